//! Networks that are not in the zoo (`scripts/fixtures/keras_unnamed_model.py`), written by Keras and tf2onnx: each
//! converts and gives the numbers of Keras or ONNX Runtime.

mod common;
#[path = "../../xception-model/tests/common/mod.rs"]
#[allow(unexpected_cfgs, reason = "its backends are xception-model's features")]
mod formula;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use common::{Bench, keras, relative};
use converter::{ConvertError, Known, Options, open, verify};
use flate2::read::GzDecoder;
use serde::Deserialize;
use xception_model::{Architecture, Network, Outputs, Scaling, Unknown, WeightsError};

#[derive(Deserialize)]
struct Expected {
    models: Vec<Model>,
}

#[derive(Deserialize)]
#[allow(clippy::struct_field_names, reason = "the file's word")]
struct Model {
    model: String,
    input: [usize; 4],
    low: f64,
    high: f64,
    outputs: String,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    stage: String,
    shape: Vec<usize>,
    values: Option<Vec<f32>>,
}

impl Model {
    /// The model's own input, NHWC.
    fn picture(&self) -> Vec<f32> {
        let [batch, height, width, channels] = self.input;
        let key = format!("input/{batch}x{height}x{width}x{channels}");
        let uniform = formula::hashes(&key, self.input.iter().product()).map(|z| (z >> 40) as f64 * 2f64.powi(-24));
        uniform
            .map(|u| (self.low + (self.high - self.low) * u) as f32)
            .collect()
    }

    fn output(&self) -> &[f32] {
        let record = self.records.iter().find(|record| record.stage == "output").unwrap();
        assert_eq!(record.shape[0], 2);
        record.values.as_ref().unwrap()
    }

    /// The facts that the file leaves open.
    fn known(&self) -> Known {
        Known {
            outputs: (self.model == "linear1").then_some(Outputs::Value),
            scaling: (self.model == "raw").then_some(Scaling::Tf),
            ..Known::default()
        }
    }
}

fn expected(folder: &Path) -> Vec<Model> {
    let text = std::fs::read(folder.join("expected.json")).unwrap();
    serde_json::from_slice::<Expected>(&text).unwrap().models
}

fn onnx_folder() -> PathBuf {
    common::onnx("unnamed")
}

/// Every file of a model, unpacked if it is gzipped.
fn files(bench: &Bench, folder: &Path, model: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(&format!("{model}."))
        })
        .collect();
    files.sort();
    for path in &mut files {
        if path.extension().is_some_and(|ending| ending == "gz") {
            let mut bytes = Vec::new();
            let packed = std::fs::File::open(&path).unwrap();
            std::io::Read::read_to_end(&mut GzDecoder::new(packed), &mut bytes).unwrap();
            *path = bench.write(path.file_stem().unwrap().to_str().unwrap(), bytes);
        }
    }
    files
}

/// The output of a model's file: its last layer's numbers for its own input.
fn compute(network: &Network, spec: &xception_model::ModelSpec, model: &Model) -> Vec<f32> {
    let picture = model.picture();
    let picture = if model.high > 1.0 {
        let (pixels, _) = picture.as_chunks();
        pixels.iter().flat_map(|rgb| spec.input.scaling.apply(*rgb)).collect()
    } else {
        picture
    };
    let images = Tensor::<4>::from_data(TensorData::new(picture, model.input), &Device::flex());
    let logits = network.forward(images.permute([0, 3, 1, 2])).unwrap();
    let outputs = match (model.outputs.as_str(), spec.outputs) {
        ("logits", _) => logits,
        (_, Outputs::Binary) => spec.outputs.probabilities(logits).slice([0..2, 1..2]),
        (_, outputs) => outputs.probabilities(logits),
    };
    outputs.into_data().iter::<f32>().collect()
}

#[test]
fn every_file_converts_and_gives_its_engines_numbers() {
    let bench = Bench::new();
    let keras = keras("unnamed");
    let mut count = 0;
    for folder in [&keras, &onnx_folder()] {
        for model in expected(folder) {
            let files = files(&bench, folder, &model.model);
            assert!(!files.is_empty(), "{}", model.model);
            for path in files {
                count += 1;
                let name = path.display();
                let file = open(&path, &model.known()).unwrap_or_else(|error| panic!("{error}"));
                assert!(matches!(file.spec.network, Architecture::Graph(_)), "{name}");
                assert_eq!((file.spec.input.height, file.spec.input.width), (40, 36), "{name}");
                let outputs = match model.model.as_str() {
                    "sigmoid1" => Outputs::Binary,
                    "sigmoid3" => Outputs::Sigmoid,
                    "linear1" => Outputs::Value,
                    _ => Outputs::Softmax,
                };
                assert_eq!(file.spec.outputs, outputs, "{name}");
                let record = bench.path(&format!("{count}.bpk"));
                let spec = file.convert(&record, &Options::default()).unwrap().spec;
                let (network, stored) = xception_model::load(&record, &Device::flex()).unwrap();
                assert_eq!(stored, spec, "{name}");
                let error = relative(&compute(&network, &spec, &model), model.output());
                println!("{name}: {error:.1e}");
                assert!(error <= 1e-5, "{name} is off by {error:.1e}");
                let original = open(&path, &model.known()).unwrap();
                let verification = verify(&original, &open(&record, &Known::default()).unwrap()).unwrap();
                assert!(verification.is_equal(), "{name}: {verification}");
            }
        }
    }
    assert_eq!(count, 11 + 8);
}

/// A network that is not in the zoo passes through every format that holds its operations.
#[test]
fn it_is_written_and_read_in_other_formats() {
    let bench = Bench::new();
    let folder = keras("unnamed");
    for model in expected(&folder) {
        let path = files(&bench, &folder, &model.model).pop().unwrap();
        for ending in ["safetensors", "keras", "h5", "onnx"] {
            let out = bench.path(&format!("{}-out.{ending}", model.model));
            open(&path, &model.known())
                .unwrap()
                .convert(&out, &Options::default())
                .unwrap();
            // A Keras file records neither the scaling of pictures nor the meaning of a single number.
            let spec = open(&path, &model.known()).unwrap().spec;
            let known = Known {
                scaling: Some(spec.input.scaling),
                outputs: Some(spec.outputs),
                ..Known::default()
            };
            let (network, back) = open(&out, &known).unwrap().load(&Device::flex()).unwrap();
            assert_eq!(back.outputs, spec.outputs, "{} as {ending}", model.model);
            let error = relative(&compute(&network, &back, &model), model.output());
            assert!(error <= 1e-5, "{} as {ending} is off by {error:.1e}", model.model);
        }
    }
}

#[test]
fn what_no_layer_says_is_asked_for() {
    let bench = Bench::new();
    for (model, missing, flag) in [
        ("linear1", Unknown::Outputs, "--head binary"),
        ("raw", Unknown::Scaling, "--scaling tf"),
    ] {
        for folder in [keras("unnamed"), onnx_folder()] {
            let path = files(&bench, &folder, model).pop().unwrap();
            let error = open(&path, &Known::default()).unwrap_err();
            assert!(error.to_string().contains(flag), "{error}");
            assert!(
                matches!(&error, ConvertError::Weights(WeightsError::Unknown { unknown, .. }) if *unknown == [missing]),
                "{error}"
            );
        }
    }
    let path = keras("unnamed/linear1.keras");
    let path = path.to_str().unwrap();
    bench.run(&[path, "value.bpk", "--head", "value"]).ok();
    bench.run(&[path, "binary.bpk", "--head", "binary"]).ok();
    let read = |name: &str| open(&bench.path(name), &Known::default()).unwrap().spec;
    assert_eq!(read("value.bpk").outputs, Outputs::Value);
    assert_eq!(read("binary.bpk").classes(), Some(2));
    assert_eq!(bench.run(&[path, "out.bpk", "--head", "nonsense"]).code, Some(2));
    let path = keras("unnamed/sigmoid1.keras");
    let error = bench
        .run(&[path.to_str().unwrap(), "out.bpk", "--head", "softmax"])
        .failed(1);
    assert!(
        error.contains("--head softmax was given, and the file says binary"),
        "{error}"
    );
    // A fact that one file states need not be repeated for the other.
    let path = keras("unnamed/raw.keras");
    let path = path.to_str().unwrap();
    bench.run(&[path, "raw.bpk", "--scaling", "tf"]).ok();
    bench.run(&["verify", path, "raw.bpk"]).ok();
    bench.run(&["verify", "raw.bpk", path]).ok();
    assert_eq!(read("raw.bpk").input.scaling, Scaling::Tf);
    // Facts that the file leaves open are not needed for an inspection.
    let text = bench.run(&["inspect", path]).ok();
    assert!(
        text.contains("scaling     not said") && text.contains("outputs     softmax"),
        "{text}"
    );
}

#[test]
fn it_can_be_used_without_its_head() {
    let bench = Bench::new();
    let path = keras("unnamed/softmax3.keras");
    bench
        .run(&[path.to_str().unwrap(), "whole.onnx", "--preset", "keras-nearest"])
        .ok();
    bench.run(&["whole.onnx", "backbone.bpk", "--no-top"]).ok();
    // Our own export keeps its description of the pictures.
    let file = open(&bench.path("backbone.bpk"), &Known::default()).unwrap();
    assert_eq!(file.spec.input.preset, Some(xception_model::Preset::KerasNearest));
    bench
        .run(&[path.to_str().unwrap(), "backbone.bpk", "--no-top", "--force"])
        .ok();
    let file = open(&bench.path("backbone.bpk"), &Known::default()).unwrap();
    assert!(!file.spec.network.include_top());
    let (network, _) = file.load(&Device::flex()).unwrap();
    let images = Tensor::<4>::ones([2, 3, 40, 36], &Device::flex());
    assert_eq!(network.embed(images).unwrap().dims(), [2, 250]);
}
