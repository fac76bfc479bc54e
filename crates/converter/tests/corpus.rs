//! The fuzz targets' bodies (`fuzz/entries.rs`) on their seeds, on what fuzzing has found, and on the same mutations of both
//! every time: a bounded replay for CI.

#[path = "../../../fuzz/entries.rs"]
mod entries;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Mutations of each seed.
const MUTATIONS: usize = 40;

fn seeds(target: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (folder, wanted): (&str, &[&str]) = match target {
        "keras_store" => (
            "crates/keras-store/tests/fixtures",
            &[
                "types.weights.h5",
                "network_keras2.h5",
                "cycle.weights.h5",
                "subclassed.weights.h5",
            ],
        ),
        "keras_archive" => (
            "crates/keras-store/tests/fixtures",
            &["network_deflated.keras", "zoo.keras"],
        ),
        "weights" => (
            "crates/converter/tests/fixtures",
            &[
                "torch/toy.safetensors",
                "torch/evil.pth",
                "torch/legacy.pth",
                "onnx/torch_folded.onnx",
                "onnx/tf2onnx.onnx",
            ],
        ),
        "card" => (
            "models",
            &["xception-imagenet/card.toml", "xception-kitchenware/card.toml"],
        ),
        "label_file" => (
            "models",
            &["xception-imagenet/labels.txt", "xception-kitchenware/labels.txt"],
        ),
        _ => (
            "crates/xception-model/tests/golden/picture",
            &[
                "jpeg-420.jpg",
                "jpeg-420-progressive.jpg",
                "png-rgb.png",
                "gif-animated.gif",
                "bmp-palette.bmp",
            ],
        ),
    };
    let mut seeds: Vec<PathBuf> = wanted.iter().map(|name| root.join(folder).join(name)).collect();
    let found = std::fs::read_dir(root.join("fuzz/findings").join(target));
    seeds.extend(found.into_iter().flatten().map(|entry| entry.unwrap().path()));
    seeds
}

#[test]
fn every_target_comes_back_from_its_corpus() {
    for (name, run) in entries::TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty());
        for seed in seeds {
            let mut bytes = std::fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
            if name == "picture" {
                bytes.splice(0..0, [0, 20]);
            }
            run(&bytes);
            let mut state = bytes.len() as u64;
            let mut random = |below: usize| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize % below
            };
            for _ in 0..MUTATIONS {
                let mut bytes = bytes.clone();
                for _ in 0..=random(4) {
                    let at = random(bytes.len());
                    match random(4) {
                        0 => bytes.truncate(at + 1),
                        1 => bytes[at] = 0xff,
                        2 => bytes[at] ^= 1 << random(8),
                        _ => bytes.insert(at, random(256) as u8),
                    }
                }
                let started = Instant::now();
                run(&bytes);
                assert!(started.elapsed() < Duration::from_secs(5), "{name}: {}", seed.display());
            }
        }
    }
}
