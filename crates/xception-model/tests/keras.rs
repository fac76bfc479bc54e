//! Every layout of Keras files, read by `xception_model::load`: the same network, the same numbers.
//!
//! `scripts/fixtures/keras_toy_xception.py` wrote the files and Keras's outputs for them.
#![cfg(feature = "keras")]

mod common;

use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use common::Record;
use flate2::read::GzDecoder;
use serde::Deserialize;
use xception_model::{
    InputError, InputSpec, Known, ModelSpec, Outputs, Pooling, Scaling, WeightsError, Widths, Xception, XceptionConfig,
    load, load_with,
};

/// Relative, in norm.
const BOUND: f64 = 1e-5;
const INPUT: [usize; 4] = [1, 331, 200, 3];

#[derive(Deserialize)]
struct Expected {
    records: Vec<Record>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keras")
        .join(name)
}

/// The path of a fixture. A gzipped fixture is unpacked first, into a folder that lives as long as this value.
struct Fixture {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut path = fixture(name);
        if !path.exists() {
            let packed = std::fs::read(fixture(&format!("{name}.gz"))).expect("the fixture is there");
            let mut bytes = Vec::new();
            GzDecoder::new(packed.as_slice())
                .read_to_end(&mut bytes)
                .expect("a gzip file");
            path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("a writable folder");
        }
        Self { path, _folder: folder }
    }

    /// Loads a file of which its user knows the scaling.
    fn load(&self) -> Result<(Xception, ModelSpec), WeightsError> {
        let known = Known {
            scaling: Some(Scaling::Tf),
            ..Known::default()
        };
        load_with(&self.path, &known, &common::device())
    }

    /// Loads a file that leaves open the pictures' size and, in some cases, the pooling.
    fn load_known(&self, pooling: Option<Pooling>) -> (Xception, ModelSpec) {
        let known = Known {
            size: Some([299; 2]),
            pooling,
            outputs: Some(Outputs::Softmax),
            scaling: Some(Scaling::Tf),
            ..Known::default()
        };
        load_with(&self.path, &known, &common::device()).unwrap_or_else(|error| panic!("{error}"))
    }
}

fn load_fixture(name: &str) -> (Xception, ModelSpec) {
    Fixture::new(name)
        .load()
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The network of the files: `TOY` in the script.
fn tiny() -> XceptionConfig {
    XceptionConfig::new()
        .with_widths(Widths {
            stem: [2, 3],
            entry: [3, 4, 5],
            exit: [6, 7, 8].into(),
        })
        .with_middle_blocks(1)
        .with_num_classes(5)
}

fn images() -> Tensor<4> {
    common::input(INPUT, &common::device())
}

fn compare(name: &str, expected: &str, shape: &[usize], values: &[f32]) {
    let text = std::fs::read_to_string(fixture("expected.json")).expect("expected.json is there");
    let Expected { records } = serde_json::from_str(&text).expect("expected.json is what the script wrote");
    let record = records
        .iter()
        .find(|record| record.stage == expected)
        .expect("a network of the script");
    for error in record.errors(shape, values) {
        assert!(error <= BOUND, "{name} is off by {error:.1e}");
    }
}

/// Loads a file that has a classifier and compares its options, input size and logits.
fn check(name: &str, expected: &str, network: &XceptionConfig, input: InputSpec) {
    check_loaded(name, load_fixture(name), expected, network, input);
}

fn check_loaded(
    name: &str,
    (model, spec): (Xception, ModelSpec),
    expected: &str,
    network: &XceptionConfig,
    input: InputSpec,
) {
    assert_eq!(spec.network, network.clone().into(), "{name}");
    assert_eq!(model.architecture(), &spec.network, "{name}");
    assert_eq!(spec.input, input, "{name}");
    assert_eq!(spec.source, name);
    assert!(spec.labels.is_empty(), "{name}");
    let logits = model.forward(images()).expect("logits");
    compare(name, expected, &logits.dims(), &common::values(&logits));
}

/// Loads weights of the toy network that leave open the pictures' size and, in some files, the scaling.
fn check_bare(name: &str) {
    let fixture = Fixture::new(name);
    let error = fixture.load().expect_err("the file says no size").to_string();
    assert!(error.contains("does not say the size of its pictures"), "{error}");
    let known = fixture.load_known(Some(Pooling::Average));
    check_loaded(name, known, "toy", &tiny(), InputSpec::default());
}

/// The input of a file with a config.
fn stated() -> InputSpec {
    InputSpec {
        height: 331,
        width: 200,
        preset: None,
        scaling: Scaling::Tf,
        ..InputSpec::default()
    }
}

#[test]
fn keras_archives() {
    check("toy.keras", "toy", &tiny(), stated());
    check("offset.keras", "toy", &tiny(), stated());
}

#[test]
fn bare_weights() {
    check_bare("toy.weights.h5");
}

#[test]
fn legacy_weights() {
    for name in ["legacy_weights.h5", "keras2_weights.h5"] {
        check_bare(name);
    }
}

#[test]
fn legacy_models() {
    check("legacy_model.h5", "toy", &tiny(), stated());
}

#[test]
fn backbones_nested_in_another_model() {
    let network = tiny().with_dropout(0.5);
    for name in [
        "nested_sequential.keras",
        "nested_functional.keras",
        "nested_frozen.h5",
        "nested_unfrozen.h5",
    ] {
        check(name, "toy", &network, stated());
    }
}

#[test]
fn the_options_of_the_head() {
    check("max.keras", "max", &tiny().with_pooling(Pooling::Max), stated());
    let hidden = tiny().with_hidden_layers(vec![6, 4]).with_dropout(0.25);
    check("hidden.keras", "hidden", &hidden, stated());
}

#[test]
fn networks_without_a_top() {
    let (model, spec) = load_fixture("notop.keras");
    // Without a classifier, the number of classes is Keras's default.
    let network = tiny()
        .with_num_classes(1000)
        .with_include_top(false)
        .with_pooling(Pooling::None);
    assert_eq!(spec.network, network.into());
    let (shape, values) = common::nhwc(&model.feature_map(images()).expect("features"));
    compare("notop.keras", "notop", &shape, &values);
    assert_eq!(model.forward(images()).err(), Some(InputError::NoTop));
}

/// Weights alone show the pooling by the name of `keras.applications`' classifier, or not at all.
#[test]
fn pooling_that_a_file_does_not_say_is_asked_for() {
    for name in ["no_names.weights.h5", "keras1_weights.h5", "notop_legacy_weights.h5"] {
        let fixture = Fixture::new(name);
        let error = fixture.load().expect_err("nobody knows").to_string();
        assert!(
            error.contains("how it pools (option: --pooling average, max or none)"),
            "{error}"
        );
        assert!(error.contains(&format!("{name} OUTPUT.bpk")), "{error}");
        let (model, spec) = fixture.load_known(Some(Pooling::Average));
        if name.starts_with("notop") {
            let (shape, values) = common::nhwc(&model.feature_map(images()).expect("features"));
            compare(name, "notop", &shape, &values);
        } else {
            check_loaded(name, (model, spec), "toy", &tiny(), InputSpec::default());
        }
    }
}

/// The files of `scripts/fixtures/keras_unnamed_model.py`: networks that are not in the zoo.
mod unnamed {
    use super::*;
    use xception_model::{Architecture, Classifier};

    #[derive(Deserialize)]
    struct Models {
        models: Vec<Model>,
    }

    #[derive(Deserialize)]
    #[allow(clippy::struct_field_names, reason = "the file's word")]
    struct Model {
        model: String,
        input: [usize; 4],
        low: f64,
        high: f64,
        records: Vec<Record>,
    }

    /// The script's answers: the outputs of each head, and whether the file's own scaling is recognised.
    fn expected(model: &str) -> (Outputs, Scaling, bool) {
        let outputs = match model {
            "sigmoid1" => Outputs::Binary,
            "linear1" => Outputs::Value,
            "sigmoid3" => Outputs::Sigmoid,
            _ => Outputs::Softmax,
        };
        match model {
            "raw" => (outputs, Scaling::Tf, true),
            "signed" => (outputs, Scaling::Tf, false),
            "adapted" => (outputs, Scaling::None, false),
            "constant" => (outputs, Scaling::Torch, false),
            _ => (outputs, Scaling::Unit, false),
        }
    }

    #[test]
    fn networks_without_a_name_give_keras_s_numbers() {
        let text = std::fs::read_to_string(fixture("unnamed/expected.json")).expect("the script wrote it");
        let Models { models } = serde_json::from_str(&text).expect("the script's format");
        assert!(models.len() >= 9);
        let mut files = 0;
        for model in &models {
            for ending in ["keras", "h5.gz"] {
                let name = format!("unnamed/{}.{ending}", model.model);
                if fixture(&name).exists() {
                    check(model, name.trim_end_matches(".gz"));
                    files += 1;
                }
            }
        }
        assert!(files >= 11, "{files}");
    }

    fn check(model: &Model, file: &str) {
        let name = &model.model;
        let (outputs, scaling, asked) = expected(name);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut path = fixture(file);
        if !path.exists() {
            let packed = std::fs::read(fixture(&format!("{file}.gz"))).expect("the fixture is there");
            path = folder.path().join("model.h5");
            let mut bytes = Vec::new();
            GzDecoder::new(packed.as_slice())
                .read_to_end(&mut bytes)
                .expect("a gzip file");
            std::fs::write(&path, bytes).expect("a writable folder");
        }
        let device = common::device();
        // You are asked for what the file leaves open, and for nothing else.
        let known = Known {
            outputs: (outputs == Outputs::Value).then_some(outputs),
            scaling: asked.then_some(scaling),
            ..Known::default()
        };
        if known.outputs.is_some() || asked {
            let error = load(&path, &device).expect_err("it does not say it");
            assert!(matches!(error, WeightsError::Unknown { .. }), "{name}: {error}");
        }
        let (network, spec) = load_with(&path, &known, &device).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(matches!(spec.network, Architecture::Graph(_)), "{name}");
        assert_eq!((spec.outputs, spec.input.scaling), (outputs, scaling), "{name}");

        let [batch, height, width, channels] = model.input;
        let taken = common::uniform_input(model.input, model.low, model.high);
        let scaled: Vec<f32> = if asked {
            taken
        } else {
            let (pixels, _) = taken.as_chunks::<3>();
            pixels.iter().flat_map(|rgb| scaling.apply(*rgb)).collect()
        };
        let data = burn::tensor::TensorData::new(scaled, [batch, height, width, channels]);
        let images = Tensor::<4>::from_data(data, &device).permute([0, 3, 1, 2]);
        let record = |stage: &str| {
            model
                .records
                .iter()
                .find(|record| record.stage == stage)
                .expect("a record")
        };
        let classifier = Classifier::new(&network, spec);
        for (way, logits) in [
            ("plain", network.forward(images.clone()).expect("logits")),
            ("fused", classifier.logits(images.clone()).expect("logits")),
        ] {
            let values = common::values(&if name == "logits3" {
                logits
            } else {
                let probabilities = classifier.probabilities(logits);
                // Keras outputs the probability of the second class only.
                match outputs {
                    Outputs::Binary => probabilities.narrow(1, 1, 1),
                    _ => probabilities,
                }
            });
            let record = record("output");
            for error in record.errors(&record.shape, &values) {
                assert!(error <= BOUND, "{file}, {way}: off by {error:.1e}");
            }
        }
    }
}
