//! Models that scale pictures themselves, as Keras 3, Keras 2 and tf2onnx wrote them
//! (`scripts/fixtures/keras_preprocessing.py`): the scaling is found, and applied once.

mod common;

use std::io::Read;

use burn::tensor::{Device, Tensor, TensorData};
use common::{Bench, relative};
use converter::{ConvertError, Known, Options, WeightFile, open};
use flate2::read::GzDecoder;
use serde::Deserialize;
use xception_model::{Scaling, Unknown, WeightsError};

#[derive(Deserialize)]
struct Fixture {
    size: [usize; 2],
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    /// The scaling that must be found, `ask` or `refused`.
    scaling: String,
    output: Vec<f32>,
    file: String,
}

fn fixture() -> Fixture {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/preprocessing.json.gz");
    let packed = std::fs::read(path).unwrap();
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// What the network computes of the script's picture, whose values of 0 to 255 are scaled as the file says.
fn output(source: WeightFile, [height, width]: [usize; 2]) -> Vec<f32> {
    let (network, spec) = source.load(&Device::flex()).unwrap();
    let pixel = |at: usize| (127.5 * (1.0 + (at as f64 / 7.0).sin())).round_ties_even() as f32;
    let pixels = (0..height * width).map(|at| [0, 1, 2].map(|channel| pixel(3 * at + channel)));
    let values: Vec<f32> = pixels.flat_map(|rgb| spec.input.scaling.apply(rgb)).collect();
    let pictures = Tensor::<4>::from_data(TensorData::new(values, [1, height, width, 3]), &Device::flex());
    let output = network.forward(pictures.permute([0, 3, 1, 2])).unwrap();
    output.into_data().iter::<f32>().collect()
}

#[test]
fn a_model_s_own_scaling_is_applied_once() {
    let bench = Bench::new();
    let Fixture { size, models } = fixture();
    let (mut faults, mut worst) = (Vec::new(), 0.0_f64);
    for model in &models {
        let name = &model.name;
        let path = bench.write(name, unhex(&model.file));
        let opened = open(&path, &Known::default());
        let known = match (&*model.scaling, &opened) {
            ("refused", Err(error)) => {
                let error = error.to_string();
                if !error.contains("Python function") || !error.contains("layer lambda") {
                    faults.push(format!("{name}: {error}"));
                }
                continue;
            }
            ("ask", Err(ConvertError::Weights(WeightsError::Unknown { unknown, .. })))
                if *unknown == [Unknown::Scaling] =>
            {
                Known {
                    scaling: Some(Scaling::None),
                    ..Known::default()
                }
            }
            (expected, Ok(source)) if source.spec.input.scaling.name() == expected => Known::default(),
            (expected, Ok(source)) => {
                faults.push(format!("{name}: {} for {expected}", source.spec.input.scaling));
                continue;
            }
            (expected, Err(error)) => {
                faults.push(format!("{name}: {error} ({expected})"));
                continue;
            }
        };
        let mut check = |what: &str, source: WeightFile| {
            let error = relative(&output(source, size), &model.output);
            worst = worst.max(error);
            if error > 1e-5 {
                faults.push(format!("{name}{what} is off by {error:.1e}"));
            }
        };
        let source = open(&path, &known).unwrap();
        let told = Known {
            scaling: Some(source.spec.input.scaling),
            ..Known::default()
        };
        check("", source);
        // What stays in the network passes through the formats that hold it.
        if !name.starts_with("keras3")
            || std::path::Path::new(&name)
                .extension()
                .is_none_or(|ending| ending != "keras")
        {
            continue;
        }
        for ending in ["bpk", "safetensors", "keras", "onnx"] {
            let out = bench.path(&format!("{name}.{ending}"));
            match open(&path, &known).unwrap().convert(&out, &Options::default()) {
                Ok(_) => check(&format!(" as {ending}"), open(&out, &told).unwrap()),
                // burn-onnx exports no other number of channels.
                Err(error) if ending == "onnx" && error.to_string().contains("choice of channels") => {}
                Err(error) => panic!("{name} as {ending}: {error}"),
            }
        }
    }
    println!("{} models; the largest difference is {worst:.1e}", models.len());
    assert!(models.len() > 80);
    assert!(faults.is_empty(), "{faults:#?}");
}
