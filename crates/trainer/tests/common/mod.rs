//! A small network, a small data set, and a run of both.
#![allow(
    dead_code,
    missing_docs,
    reason = "shared by several test binaries, each of which uses a part"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use image::{Rgb, RgbImage};
use trainer::{Observer, Recipe, RunOptions, RunSettings};
use xception_model::picture::Preset;
use xception_model::{Architecture, InputSpec, ModelSpec, Outputs, Scaling, Widths, Xception, XceptionConfig};

/// The network's input.
pub const SIZE: usize = 71;

/// What the pictures show.
pub const CLASSES: [&str; 4] = ["disc", "horizontal", "square", "vertical"];

/// A network of a few thousand parameters.
pub fn toy() -> XceptionConfig {
    XceptionConfig::new()
        .with_num_classes(4)
        .with_middle_blocks(1)
        .with_widths(Widths {
            stem: [4, 8],
            entry: [12, 16, 24],
            exit: [32, 40, 48].into(),
        })
}

/// A toy network with random weights, as something to start from.
pub fn start(device: &Device) -> (Xception, ModelSpec) {
    let network = toy();
    device.seed(1);
    let spec = spec(network.clone().into(), SIZE);
    (network.init(device).unwrap(), spec)
}

/// What a test says about a network: square pictures of `size`, and no labels yet.
pub fn spec(network: Architecture, size: usize) -> ModelSpec {
    ModelSpec {
        source: "a test".to_owned(),
        outputs: Outputs::Softmax,
        input: InputSpec {
            height: size,
            width: size,
            preset: Some(Preset::PilBilinear),
            scaling: Scaling::Tf,
            ..InputSpec::default()
        },
        labels: Vec::new(),
        network,
    }
}

/// Numbers that look random, from 0 to 1.
pub fn noise(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

/// A picture of a class, in random colours, sizes and places.
pub fn picture(class: &str, seed: &mut u64) -> RgbImage {
    let side = 80.0;
    let mut draw = |low: f64, high: f64| low + (high - low) * noise(seed);
    let back = [(); 3].map(|()| draw(0.0, 110.0));
    let fore = [(); 3].map(|()| draw(150.0, 255.0));
    let (x, y) = (draw(25.0, 55.0), draw(25.0, 55.0));
    let radius = draw(14.0, 22.0);
    let period = draw(8.0, 14.0);
    let inside = |px: f64, py: f64| match class {
        "disc" => (px - x).hypot(py - y) < radius,
        "square" => (px - x).abs().max((py - y).abs()) < radius * 0.9,
        "horizontal" => (py + x).rem_euclid(period) < period / 2.0,
        "vertical" => (px + x).rem_euclid(period) < period / 2.0,
        _ => panic!("no such class: {class}"),
    };
    RgbImage::from_fn(side as u32, side as u32, |px, py| {
        let colour = if inside(f64::from(px), f64::from(py)) {
            fore
        } else {
            back
        };
        Rgb(colour.map(|level| level as u8))
    })
}

/// One folder per class, with `count` pictures each.
pub fn write_pictures(folder: &Path, count: usize, mut seed: u64) {
    for class in CLASSES {
        let folder = folder.join(class);
        fs::create_dir_all(&folder).unwrap();
        for number in 0..count {
            picture(class, &mut seed)
                .save(folder.join(format!("{number:03}.png")))
                .unwrap();
        }
    }
}

/// Default options of a run.
pub fn options(data: &Path, folder: &Path, recipe: Recipe) -> RunOptions {
    let mut options = RunOptions::new(data, folder, recipe);
    options.seed = 7;
    options
}

/// The settings of a run without an observer.
pub fn settings() -> RunSettings {
    observed_settings(Arc::new(|_| {}))
}

pub fn observed_settings(observer: Observer) -> RunSettings {
    let mut settings = RunSettings::new(Device::flex());
    settings.workers = 2;
    settings.observer = observer;
    settings
}
