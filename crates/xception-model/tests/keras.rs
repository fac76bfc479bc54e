//! Every layout Keras gives its files, through `xception_model::load`: the same network, the same numbers.
//!
//! `scripts/keras_toy_xception.py` wrote the files and what Keras computes with them.
#![cfg(feature = "keras")]

mod common;

use std::io::Read;
use std::path::{Path, PathBuf};

use burn::store::ModuleSnapshot;
use burn::tensor::Tensor;
use common::Record;
use flate2::read::GzDecoder;
use serde::Deserialize;
use xception_model::{
    InputError, InputSpec, ModelSpec, Pooling, WeightsError, Widths, Xception, XceptionConfig, keras, load,
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

/// A fixture's path; one that is only there gzipped is unpacked first, into a folder that lives as long as this.
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

    fn load(&self) -> Result<(Xception, ModelSpec), WeightsError> {
        load(&self.path, &common::device())
    }

    /// Loads a file that does not say how it pools, as who knows it does.
    fn load_pooled(&self, pooling: Pooling) -> (Xception, ModelSpec) {
        let mut file = keras::open(&self.path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(file.pooling, None, "{}", self.path.display());
        file.spec.network.pooling = pooling;
        let mut model = file.spec.network.init(&common::device()).expect("a network");
        model
            .load_from(&mut file.store)
            .unwrap_or_else(|error| panic!("{error}"));
        (model, file.spec)
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
            exit: [6, 7, 8],
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
    assert_eq!(&spec.network, network, "{name}");
    assert_eq!(model.config(), network, "{name}");
    assert_eq!(spec.input, input, "{name}");
    assert_eq!(spec.source, name);
    assert!(spec.labels.is_empty(), "{name}");
    let logits = model.forward(images()).expect("logits");
    compare(name, expected, &logits.dims(), &common::values(&logits));
}

/// What a file with a config says about its input.
fn stated() -> InputSpec {
    InputSpec {
        height: 331,
        width: 200,
        preset: None,
    }
}

#[test]
fn keras_archives() {
    check("toy.keras", "toy", &tiny(), stated());
    check("offset.keras", "toy", &tiny(), stated());
}

#[test]
fn bare_weights() {
    check("toy.weights.h5", "toy", &tiny(), InputSpec::default());
}

#[test]
fn legacy_weights() {
    for name in ["legacy_weights.h5", "keras2_weights.h5"] {
        check(name, "toy", &tiny(), InputSpec::default());
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
    // The classes of no classifier are Keras's default.
    let network = tiny()
        .with_num_classes(1000)
        .with_include_top(false)
        .with_pooling(Pooling::None);
    assert_eq!(spec.network, network);
    let (shape, values) = common::nhwc(&model.feature_map(images()).expect("features"));
    compare("notop.keras", "notop", &shape, &values);
    assert_eq!(model.forward(images()).err(), Some(InputError::NoTop));
}

/// Weights alone say how they pool by the name of `keras.applications`' classifier, or not at all.
#[test]
fn pooling_that_a_file_does_not_say_is_asked_for() {
    for name in ["no_names.weights.h5", "keras1_weights.h5", "notop_legacy_weights.h5"] {
        let fixture = Fixture::new(name);
        let error = fixture.load().expect_err("nobody knows").to_string();
        assert!(error.contains("does not say how it pools"), "{error}");
        assert!(
            error.contains(&format!("{name} OUTPUT.bpk --pooling average")),
            "{error}"
        );
        let (model, spec) = fixture.load_pooled(Pooling::Average);
        if name.starts_with("notop") {
            let (shape, values) = common::nhwc(&model.feature_map(images()).expect("features"));
            compare(name, "notop", &shape, &values);
        } else {
            check_loaded(name, (model, spec), "toy", &tiny(), InputSpec::default());
        }
    }
}

#[test]
fn another_network_is_named_as_such() {
    let error = load(&fixture("cnn.keras"), &common::device()).expect_err("no Xception");
    let text = error.to_string();
    assert!(
        text.ends_with(
            "cnn.keras: expected Xception's 34 separable convolutions (10 and three a middle block), found 0"
        ),
        "{text}"
    );
}
