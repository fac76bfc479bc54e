//! Checkpoints as people bring them: names behind prefixes, copies, foreign tensors, heads of every kind. The numbers
//! are PyTorch's (`scripts/torch_toy_xception.py`).

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::{Bench, all_known, logits_of, relative, tiny, torch};
use converter::{Known, open, open_backbone};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;
use xception_model::{HiddenActivation, Outputs, Pooling, Unknown, Variant, WeightsError};

fn expected() -> Vec<f32> {
    let text = std::fs::read(torch("expected.json")).unwrap();
    let json: Value = serde_json::from_slice(&text).unwrap();
    serde_json::from_value(json["logits"].clone()).unwrap()
}

/// The tensors of a checkpoint: bytes of 32-bit floats or 64-bit integers, and shapes.
#[derive(Clone)]
struct Checkpoint(BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>);

impl Checkpoint {
    fn toy() -> Self {
        let bytes = std::fs::read(torch("toy.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let entry = |(name, view): (String, TensorView<'_>)| {
            (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        };
        Self(tensors.tensors().into_iter().map(entry).collect())
    }

    fn renamed(&self, rename: impl Fn(&str) -> String) -> Self {
        let entries = self.0.iter().map(|(name, entry)| (rename(name), entry.clone()));
        Self(entries.collect())
    }

    fn with(mut self, name: &str, shape: &[usize], values: impl Fn(usize) -> f32) -> Self {
        let count = shape.iter().product();
        let bytes = (0..count).flat_map(|at| values(at).to_le_bytes()).collect();
        self.0.insert(name.to_owned(), (Dtype::F32, shape.to_vec(), bytes));
        self
    }

    fn without(mut self, name: &str) -> Self {
        assert!(self.0.remove(name).is_some(), "{name}");
        self
    }

    fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn write(&self, bench: &Bench) -> PathBuf {
        let views = self
            .0
            .iter()
            .map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        bench.write("names.safetensors", serialize(views, None).unwrap())
    }
}

/// Under other names of the classifier.
fn classifier(to: &str) -> Checkpoint {
    Checkpoint::toy().renamed(|name| name.replace("fc.", &format!("{to}.")))
}

fn error_of(checkpoint: &Checkpoint, known: &Known) -> f64 {
    let bench = Bench::new();
    relative(&logits_of(&checkpoint.write(&bench), known), &expected())
}

fn refusal(checkpoint: &Checkpoint, known: &Known) -> String {
    let bench = Bench::new();
    open(&checkpoint.write(&bench), known).unwrap_err().to_string()
}

#[test]
fn names_are_found_behind_any_prefix_beside_foreign_tensors() {
    for prefix in [
        "",
        "module.",
        "backbone.",
        "net.",
        "encoder.",
        "model.backbone.",
        "_orig_mod.model.",
    ] {
        let bench = Bench::new();
        let checkpoint = Checkpoint::toy().renamed(|name| format!("{prefix}{name}"));
        let checkpoint = checkpoint
            .with("loss.weight", &[5], |_| 1.0)
            .with("adjust_channel.0.weight", &[4, 8, 1, 1], |_| 1.0)
            .with("adjust_channel.1.running_mean", &[4], |_| 1.0);
        let path = checkpoint.write(&bench);
        let source = open(&path, &all_known()).unwrap_or_else(|error| panic!("{prefix}: {error}"));
        assert_eq!(
            source.spec.network,
            tiny().with_variant(Variant::Torch).into(),
            "{prefix}"
        );
        let foreign: Vec<&String> = source
            .ignored
            .iter()
            .filter(|name| !name.ends_with("tracked"))
            .collect();
        assert_eq!(foreign.len(), 3, "{prefix}: {foreign:?}");
        let error = relative(&common::logits(source), &expected());
        assert!(error <= 1e-5, "{prefix} is off by {error:.1e}");
    }
    // What is left out is said.
    let bench = Bench::new();
    let path = Checkpoint::toy().with("loss.weight", &[5], |_| 1.0).write(&bench);
    let said = "--size 75x90 --pooling average --head softmax --scaling tf";
    let arguments: Vec<&str> = [path.to_str().unwrap(), "out.bpk"]
        .into_iter()
        .chain(said.split(' '))
        .collect();
    let text = bench.run(&arguments).ok();
    assert!(
        text.contains("20 tensors are no part of the network and are left out, among them loss.weight"),
        "{text}"
    );
}

#[test]
fn something_unknown_within_the_network_is_refused() {
    let checkpoint = Checkpoint::toy().with("block2.se.weight", &[4, 4], |_| 1.0);
    let error = refusal_of_load(&checkpoint);
    assert!(
        error.contains("block2.se.weight") && error.contains("torch.onnx.export"),
        "{error}"
    );
}

/// thop's `profile` leaves counters in every module.
#[test]
fn counters_within_the_network_are_left_out() {
    let bench = Bench::new();
    let checkpoint = Checkpoint::toy()
        .with("block2.rep.0.total_ops", &[1], |_| 1.0)
        .with("total_params", &[1], |_| 1.0);
    let found = logits_of(&checkpoint.write(&bench), &all_known());
    assert!(relative(&found, &expected()) <= 1e-5);
}

#[test]
fn layers_whose_weights_other_tensors_change_are_refused() {
    for (name, what) in [
        ("fc.lora_A", "its layer fc has an adapter (LoRA) (fc.lora_A)"),
        ("fc.weight_mask", "remove(model.fc, \"weight\")"),
        (
            "block1.rep.0.conv1.weight_g",
            "remove_weight_norm(model.block1.rep.0.conv1)",
        ),
    ] {
        let error = refusal(&Checkpoint::toy().with(name, &[2, 2], |_| 1.0), &all_known());
        assert!(error.contains(what), "{name}: {error}");
    }
    // Without the weights that they stand for.
    let normed = Checkpoint::toy()
        .without("fc.weight")
        .with("fc.parametrizations.weight.original0", &[5, 1], |_| 1.0);
    let error = refusal(&normed, &all_known());
    assert!(error.contains("remove_parametrizations(model.fc,"), "{error}");
    // Beside the network they are as foreign as others; a head that is left out may have them.
    let bench = Bench::new();
    let path = Checkpoint::toy().with("loss.weight_g", &[5, 1], |_| 1.0).write(&bench);
    open(&path, &all_known()).unwrap();
    let path = Checkpoint::toy().with("fc.lora_A", &[2, 2], |_| 1.0).write(&bench);
    open_backbone(&path, &all_known()).unwrap();
}

fn refusal_of_load(checkpoint: &Checkpoint) -> String {
    let bench = Bench::new();
    let source = open(&checkpoint.write(&bench), &all_known()).unwrap();
    source.load(&burn::tensor::Device::flex()).unwrap_err().to_string()
}

#[test]
fn of_several_copies_one_is_chosen() {
    let one = Checkpoint::toy().renamed(|name| format!("model.{name}"));
    let zeros = |(dtype, shape, bytes): &(Dtype, Vec<usize>, Vec<u8>)| (*dtype, shape.clone(), vec![0; bytes.len()]);
    let mut other = Checkpoint::toy().renamed(|name| format!("ema_model.{name}"));
    for entry in other.0.values_mut() {
        *entry = zeros(entry);
    }
    let both = one.and(other);
    let error = refusal(&both, &all_known());
    assert!(
        error.contains("under `model.` and `ema_model.`") && error.contains("--prefix"),
        "{error}"
    );
    for prefix in ["model.", "model"] {
        let known = Known {
            prefix: Some(prefix.to_owned()),
            ..all_known()
        };
        let error = error_of(&both, &known);
        assert!(error <= 1e-5, "{prefix} is off by {error:.1e}");
    }
    let known = Known {
        prefix: Some("student".to_owned()),
        ..all_known()
    };
    let error = refusal(&both, &known);
    assert!(error.contains("has the prefix `student`"), "{error}");
}

#[test]
fn a_classifier_has_any_of_its_usual_names() {
    for name in [
        "fc",
        "fc.1",
        "last_linear",
        "last_linear.1",
        "classifier",
        "classifier.1",
        "head",
        "head.fc",
        "my_decision",
    ] {
        let error = error_of(&classifier(name), &all_known());
        assert!(error <= 1e-5, "{name} is off by {error:.1e}");
    }
    // Beside the prefix of the backbone.
    let beside = classifier("model.last_linear.1").renamed(|name| {
        if name.starts_with("model.") {
            name.to_owned()
        } else {
            format!("model.backbone.{name}")
        }
    });
    let error = error_of(&beside, &all_known());
    assert!(error <= 1e-5, "off by {error:.1e}");
}

#[test]
fn a_head_of_two_layers_asks_for_its_activation() {
    // Features behind a ReLU and a mean are not negative: an identity with a ReLU changes none.
    let width = 8;
    let identity = |at: usize| if at / width == at % width { 1.0 } else { 0.0 };
    let two = classifier("fc.3").with("fc.0.weight", &[width, width], identity);
    let two = two.with("fc.0.bias", &[width], |_| 0.0);
    let open_activation = Known {
        hidden_activation: None,
        ..all_known()
    };
    let bench = Bench::new();
    let error = open(&two.write(&bench), &open_activation).unwrap_err();
    assert!(error.to_string().contains("--hidden-activation relu"), "{error}");
    let error = error_of(&two, &all_known());
    assert!(error <= 1e-5, "off by {error:.1e}");
    for (name, same) in [
        ("linear", true),
        ("leaky_relu=0.01", true),
        ("tanh", false),
        ("sigmoid", false),
    ] {
        let known = Known {
            hidden_activation: Some(name.parse().unwrap()),
            ..all_known()
        };
        let error = error_of(&two, &known);
        assert_eq!(error <= 1e-5, same, "{name}: {error:.1e}");
    }
    let other = HiddenActivation::RELU;
    assert_eq!(
        open(&two.write(&bench), &all_known())
            .unwrap()
            .spec
            .network
            .hidden_activation(),
        Some(other)
    );
}

#[test]
fn a_head_without_a_bias_is_one() {
    let bench = Bench::new();
    let without = Checkpoint::toy().without("fc.bias");
    let zero = Checkpoint::toy().with("fc.bias", &[5], |_| 0.0);
    let found = logits_of(&without.write(&bench), &all_known());
    let expected = logits_of(&zero.write(&bench), &all_known());
    assert_eq!(found, expected);
}

#[test]
fn heads_that_cannot_be_read_leave_the_backbone() {
    let normed = classifier("fc.1")
        .with("fc.0.weight", &[8], |_| 1.0)
        .with("fc.0.bias", &[8], |_| 0.0)
        .with("fc.0.running_mean", &[8], |_| 0.0)
        .with("fc.0.running_var", &[8], |_| 1.0);
    let error = refusal(&normed, &all_known());
    assert!(
        error.contains("fc.0, a batch norm") && error.contains("--no-top"),
        "{error}"
    );
    let bench = Bench::new();
    let known = Known {
        outputs: None,
        hidden_activation: None,
        ..all_known()
    };
    let source = open_backbone(&normed.write(&bench), &known).unwrap();
    assert!(!source.spec.network.include_top());
}

#[test]
fn weights_alone_are_asked_about() {
    let bench = Bench::new();
    let path = Checkpoint::toy().write(&bench);
    let error = open(&path, &Known::default()).unwrap_err();
    let converter::ConvertError::Weights(WeightsError::Unknown { unknown, .. }) = &error else {
        panic!("{error}");
    };
    assert_eq!(
        unknown[..],
        [Unknown::Size, Unknown::Pooling, Unknown::Outputs, Unknown::Scaling]
    );
    // timm's `global_pool="max"`: the flag's word is taken, and the record remembers all of them.
    let said = "--size 75x90 --pooling max --head sigmoid --scaling unit";
    let arguments: Vec<&str> = [path.to_str().unwrap(), "out.bpk"]
        .into_iter()
        .chain(said.split(' '))
        .collect();
    bench.run(&arguments).ok();
    let spec = open(&bench.path("out.bpk"), &Known::default()).unwrap().spec;
    assert_eq!(spec.network.pooling(), Some(Pooling::Max));
    assert_eq!(spec.outputs, Outputs::Sigmoid);
    assert_eq!(spec.input.scaling, xception_model::Scaling::Unit);
}

#[test]
fn one_output_is_no_softmax() {
    let bench = Bench::new();
    let one = Checkpoint::toy()
        .with("fc.weight", &[1, 8], |at| at as f32)
        .with("fc.bias", &[1], |_| 0.5);
    let path = one.write(&bench);
    let said = |outputs: Option<Outputs>| Known { outputs, ..all_known() };
    let error = open(&path, &said(None)).unwrap_err().to_string();
    assert!(error.contains("--head softmax") && error.contains("binary"), "{error}");
    let error = open(&path, &said(Some(Outputs::Softmax))).unwrap_err().to_string();
    assert!(error.contains("over which a softmax is always 1"), "{error}");
    for outputs in [Outputs::Binary, Outputs::Value] {
        assert_eq!(open(&path, &said(Some(outputs))).unwrap().spec.outputs, outputs);
    }
    // One sigmoid tells two classes apart.
    let spec = open(&path, &said(Some(Outputs::Sigmoid))).unwrap().spec;
    assert_eq!(spec.outputs, Outputs::Binary);
}
