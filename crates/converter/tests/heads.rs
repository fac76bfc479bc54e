//! Random heads behind a toy backbone, as Keras wrote them (`scripts/fixtures/keras_random_heads.py`): each that is
//! read passes through every format that can hold it.

mod common;

use std::collections::BTreeMap;
use std::io::Read;

use burn::tensor::Device;
use common::{Bench, keras, picture, relative};
use converter::{ConvertError, Known, Options, WeightFile, open};
use flate2::read::GzDecoder;
use serde_json::Value;
use xception_model::{Outputs, Scaling, WeightsError};

/// Name and bytes of each file.
fn models() -> Vec<(String, Vec<u8>)> {
    let files = ["random_heads.json.gz", "ends.json.gz"];
    files.into_iter().flat_map(unpacked).collect()
}

fn unpacked(file: &str) -> Vec<(String, Vec<u8>)> {
    let packed = std::fs::read(keras(file)).unwrap();
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut text).unwrap();
    let json: Value = serde_json::from_slice(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let unhex = |text: &str| {
        let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
        let pairs = text.as_bytes().chunks_exact(2);
        pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    };
    let models = json["models"].as_array().unwrap().iter();
    models
        .map(|model| (text(&model["name"]), unhex(&text(&model["file"]))))
        .collect()
}

fn logits(file: WeightFile) -> Vec<f32> {
    let (network, spec) = file.load(&Device::flex()).unwrap();
    let sides = [1, spec.input.height, spec.input.width, spec.network.in_channels()];
    network
        .forward(picture(sides))
        .unwrap()
        .into_data()
        .iter::<f32>()
        .collect()
}

/// What a file leaves open; `None` for a network that is refused.
fn known(open: impl Fn(&Known) -> Result<WeightFile, ConvertError>) -> Option<Known> {
    let mut known = Known::default();
    match open(&known) {
        Err(ConvertError::Weights(WeightsError::Unknown { unknown, .. })) => {
            for what in unknown {
                match what {
                    xception_model::Unknown::Scaling => known.scaling = Some(Scaling::None),
                    xception_model::Unknown::Outputs => known.outputs = Some(Outputs::Probabilities),
                    other => panic!("{other}"),
                }
            }
            Some(known)
        }
        Err(_) => None,
        Ok(_) => Some(known),
    }
}

#[test]
fn a_head_passes_through_every_format_that_holds_it() {
    let bench = Bench::new();
    let mut faults = Vec::new();
    let mut refused: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let (mut read, mut worst) = (0, 0.0_f64);
    for (name, bytes) in models() {
        let path = bench.write(&name, bytes);
        let Some(known) = known(|known| open(&path, known)) else {
            continue;
        };
        read += 1;
        let file = open(&path, &known).unwrap();
        let (spec, expected) = (file.spec.clone(), logits(file));
        for ending in ["bpk", "safetensors", "keras", "h5", "onnx"] {
            let out = bench.path(&format!("{name}.{ending}"));
            if let Err(error) = open(&path, &known).unwrap().convert(&out, &Options::default()) {
                *refused.entry((ending, error.to_string())).or_default() += 1;
                continue;
            }
            // A Keras file records neither the scaling of pictures nor the meaning of a single number.
            let told = Known {
                scaling: Some(spec.input.scaling),
                outputs: Some(spec.outputs),
                ..Known::default()
            };
            match open(&out, &told) {
                Ok(back) if back.spec.outputs != spec.outputs => {
                    faults.push(format!(
                        "{name} as {ending}: {:?} for {:?}",
                        back.spec.outputs, spec.outputs
                    ));
                }
                Ok(back) => {
                    let error = relative(&logits(back), &expected);
                    worst = worst.max(error);
                    if error > 1e-5 {
                        faults.push(format!("{name} as {ending} is off by {error:.1e}"));
                    }
                }
                Err(error) => faults.push(format!("{name} as {ending}: {error}")),
            }
        }
    }
    println!("{read} heads; the largest difference is {worst:.1e}; not written: {refused:#?}");
    assert!(faults.is_empty(), "{faults:#?}");
}
