//! Random heads behind a toy backbone, as Keras wrote them (`scripts/fixtures/keras_random_heads.py`): each gives
//! Keras's numbers, or is refused by the name of a layer.
#![cfg(feature = "keras")]

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use flate2::read::GzDecoder;
use serde::Deserialize;
use xception_model::{Classifier, Known, Outputs, Preset, Scaling, Unknown, WeightsError, load_with};

/// Relative to the largest output.
const BOUND: f64 = 1e-5;

#[derive(Deserialize)]
struct File {
    size: [usize; 2],
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    /// The last layer's activation.
    end: String,
    /// The classes of its layers.
    layers: Vec<String>,
    output: Vec<f32>,
    /// What the caller says about the outputs.
    say: Option<String>,
    /// Its file, in hex.
    file: String,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keras")
        .join(name)
}

fn models(path: &Path) -> File {
    let packed = std::fs::read(path).expect("the file is there");
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice())
        .read_to_end(&mut text)
        .expect("a gzip file");
    serde_json::from_slice(&text).expect("the script's format")
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a hexadecimal digit") as u8;
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// The picture of the script, scaled as the file's network is fed.
fn picture([height, width]: [usize; 2], scaling: Scaling) -> Tensor<4> {
    let count = height * width * 3;
    let pixels: Vec<f32> = (0..count)
        .map(|i| (127.5 * (1.0 + (i as f64 / 7.0).sin())).round() as f32)
        .collect();
    let (pixels, _) = pixels.as_chunks();
    let values: Vec<f32> = pixels.iter().flat_map(|rgb| scaling.apply(*rgb)).collect();
    Tensor::<4>::from_data(TensorData::new(values, [1, height, width, 3]), &common::device()).permute([0, 3, 1, 2])
}

#[test]
fn a_head_gives_keras_s_numbers_or_is_refused() {
    let path = std::env::var_os("RANDOM_HEADS").map_or_else(|| fixture("random_heads.json.gz"), PathBuf::from);
    let File { size, models } = models(&path);
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let mut worst = 0.0_f64;
    let count = models.len();
    for model in models {
        let Model {
            name,
            end,
            layers,
            output,
            file,
            ..
        } = model;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(&name);
        std::fs::write(&path, unhex(&file)).expect("a writable folder");
        // What the file does not say.
        let mut known = Known {
            outputs: (end == "linear" && output.len() == 1).then_some(Outputs::Value),
            ..Known::default()
        };
        let mut loaded = load_with(&path, &known, &common::device());
        if let Err(WeightsError::Unknown { unknown, .. }) = &loaded {
            assert_eq!(unknown.len(), 1, "{name}: {unknown:?}");
            known.scaling = Some(Scaling::None);
            loaded = load_with(&path, &known, &common::device());
        }
        let (network, spec) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("layer ") && text.contains("--no-top"), "{name}: {text}");
                let class = text.split(['(', ')']).nth(1).unwrap_or_default().to_owned();
                *refused.entry(class).or_default() += 1;
                continue;
            }
        };
        assert_eq!([spec.input.height, spec.input.width], size, "{name}");
        let images = picture(size, spec.input.scaling);
        let classifier = Classifier::new(&network, spec.clone());
        for (way, logits) in [
            ("plain", network.forward(images.clone()).expect("logits")),
            ("fused", classifier.logits(images.clone()).expect("logits")),
        ] {
            let found = match (end.as_str(), spec.outputs) {
                ("linear", _) => logits,
                (_, Outputs::Binary) => spec.outputs.probabilities(logits).narrow(1, 1, 1),
                (_, outputs) => outputs.probabilities(logits),
            };
            let found = common::values(&found);
            assert_eq!(found.len(), output.len(), "{name}, {way}");
            let largest = output.iter().fold(1e-3_f32, |largest, value| largest.max(value.abs()));
            for (found, expected) in found.iter().zip(&output) {
                let error = f64::from((found - expected).abs() / largest);
                assert!(
                    error <= BOUND,
                    "{name}, {way}: {found} for Keras's {expected}, {error:.1e}; its layers are {layers:?}"
                );
                worst = worst.max(error);
            }
        }
    }
    let refusals: usize = refused.values().sum();
    println!("{count} models, {refusals} refused {refused:?}; the largest difference is {worst:.1e}");
    assert!(
        refusals * 3 < count,
        "{refusals} of {count} models are refused: {refused:?}"
    );
}

/// Ends and heads of every kind (`scripts/fixtures/keras_ends.py`): each gives Keras's numbers, and what its file does
/// not say is asked for.
#[test]
fn every_end_gives_keras_s_numbers() {
    let File { size, models } = models(&fixture("ends.json.gz"));
    for Model {
        name,
        output,
        say,
        file,
        ..
    } in models
    {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(&name);
        std::fs::write(&path, unhex(&file)).expect("a writable folder");
        let mut known = Known::default();
        if let Some(say) = say {
            match load_with(&path, &known, &common::device()) {
                Err(WeightsError::Unknown { unknown, .. }) => assert_eq!(unknown, [Unknown::Outputs], "{name}"),
                other => panic!("{name}: {:?}", other.map(|(_, spec)| spec)),
            }
            known.outputs = Some(say.parse().expect("a meaning of outputs"));
        }
        let (network, spec) =
            load_with(&path, &known, &common::device()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!([spec.input.height, spec.input.width], size, "{name}");
        let resizes = name.starts_with("resizing");
        assert_eq!(spec.input.preset, resizes.then_some(Preset::KerasBilinear), "{name}");
        assert_eq!(
            spec.classes(),
            (spec.outputs != Outputs::Value).then_some(output.len()),
            "{name}"
        );
        let images = picture(size, spec.input.scaling);
        let classifier = Classifier::new(&network, spec.clone());
        for (way, logits) in [
            ("plain", network.forward(images.clone()).expect("logits")),
            ("fused", classifier.logits(images.clone()).expect("logits")),
        ] {
            let found = common::values(&spec.outputs.probabilities(logits));
            assert_eq!(found.len(), output.len(), "{name}, {way}");
            let largest = output.iter().fold(1e-3_f32, |largest, value| largest.max(value.abs()));
            for (found, expected) in found.iter().zip(&output) {
                let error = f64::from((found - expected).abs() / largest);
                assert!(
                    error <= BOUND,
                    "{name}, {way}: {found} for Keras's {expected}, {error:.1e}"
                );
            }
        }
    }
}
