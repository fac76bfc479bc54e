//! Weights alone of heads that they do not describe (`scripts/fixtures/keras_weights_alone.py`): all that is asked for
//! by flag, and Keras's numbers with the answers.
#![cfg(feature = "keras")]

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use flate2::read::GzDecoder;
use xception_model::{
    Classifier, HiddenActivation, Known, ModelSpec, Outputs, Pooling, Scaling, Unknown, WeightsError, load_backbone,
    load_with,
};

const SIZE: [usize; 2] = [75, 90];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keras/weights_alone")
        .join(name)
}

fn unpacked(folder: &Path, name: &str) -> PathBuf {
    let packed = std::fs::read(fixture(&format!("{name}.gz"))).expect("the fixture is there");
    let mut bytes = Vec::new();
    GzDecoder::new(packed.as_slice())
        .read_to_end(&mut bytes)
        .expect("a gzip file");
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a writable folder");
    path
}

fn images() -> Tensor<4> {
    common::input([1, SIZE[0], SIZE[1], 3], &common::device())
}

fn expected(name: &str) -> Vec<f32> {
    let text = std::fs::read(fixture("expected.json")).expect("the script wrote it");
    let all: BTreeMap<String, Vec<f32>> = serde_json::from_slice(&text).expect("the script's format");
    all[name].clone()
}

fn check(name: &str, found: &Tensor<2>) {
    let error = common::relative_error(&common::values(found), &expected(name));
    assert!(error <= 1e-5, "{name} is off by {error:.1e}");
}

/// All that a file of weights alone is asked about, and its answers.
fn answered(name: &str, asked: &[Unknown], known: &Known) -> (Classifier, ModelSpec) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = unpacked(folder.path(), name);
    match load_with(&path, &Known::default(), &common::device()) {
        Err(WeightsError::Unknown { unknown, .. }) => assert_eq!(unknown, asked, "{name}"),
        other => panic!("{name}: {:?}", other.map(|(_, spec)| spec)),
    }
    let (network, spec) = load_with(&path, known, &common::device()).unwrap_or_else(|error| panic!("{error}"));
    (Classifier::new(&network, spec.clone()), spec)
}

fn known() -> Known {
    Known {
        size: Some(SIZE),
        pooling: Some(Pooling::Average),
        outputs: Some(Outputs::Softmax),
        scaling: Some(Scaling::Tf),
        ..Known::default()
    }
}

#[test]
fn a_hidden_tanh_and_sigmoids_are_asked_for() {
    let asked = [
        Unknown::Size,
        Unknown::Pooling,
        Unknown::Outputs,
        Unknown::HiddenActivation,
        Unknown::Scaling,
    ];
    let tanh: HiddenActivation = "tanh".parse().expect("a name");
    let said = Known {
        outputs: Some(Outputs::Sigmoid),
        hidden_activation: Some(tanh),
        ..known()
    };
    let (classifier, spec) = answered("tanh_sigmoid.weights.h5", &asked, &said);
    assert_eq!(spec.outputs, Outputs::Sigmoid);
    assert_eq!(spec.network.hidden_activation(), Some(tanh));
    let logits = classifier.logits(images()).expect("logits");
    check("tanh_sigmoid.weights.h5", &classifier.probabilities(logits));

    // The record remembers every answer, and refuses another one.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let record = folder.path().join("network.bpk");
    xception_model::save(classifier.network(), &spec, &record, false).expect("a record");
    let (network, read) = load_with(&record, &Known::default(), &common::device()).expect("a record");
    assert_eq!(read, spec);
    let again = Classifier::new(&network, read);
    let logits = again.logits(images()).expect("logits");
    check("tanh_sigmoid.weights.h5", &again.probabilities(logits));
    let other = Known {
        hidden_activation: Some(HiddenActivation::RELU),
        ..Known::default()
    };
    let error = load_with(&record, &other, &common::device()).expect_err("another activation");
    assert!(
        error
            .to_string()
            .ends_with("--hidden-activation relu was given, and the file says tanh"),
        "{error}"
    );
}

#[test]
fn how_weights_alone_pool_is_asked_for_whatever_the_classifier_s_name_is() {
    let asked = [Unknown::Size, Unknown::Pooling, Unknown::Outputs, Unknown::Scaling];
    let said = Known {
        pooling: Some(Pooling::Max),
        ..known()
    };
    let (classifier, _) = answered("max_dense_2.h5", &asked, &said);
    check("max_dense_2.h5", &classifier.logits(images()).expect("logits"));
}

#[test]
fn a_classifier_without_a_bias_is_read() {
    let asked = [Unknown::Size, Unknown::Pooling, Unknown::Outputs, Unknown::Scaling];
    let (classifier, _) = answered("without_bias.weights.h5", &asked, &known());
    check("without_bias.weights.h5", &classifier.logits(images()).expect("logits"));
}

#[test]
fn a_head_that_weights_alone_do_not_describe_leaves_the_backbone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = unpacked(folder.path(), "norm_behind.weights.h5");
    let error = load_with(&path, &known(), &common::device()).expect_err("an unknown layer");
    let text = error.to_string();
    assert!(
        text.contains("batch_normalization") && text.contains("model.save") && text.contains("--no-top"),
        "{text}"
    );
    let said = Known {
        outputs: None,
        ..known()
    };
    let (network, _) = load_backbone(&path, &said, &common::device()).unwrap_or_else(|error| panic!("{error}"));
    check(
        "norm_behind.weights.h5",
        &network.embed(images()).expect("an embedding"),
    );
}
