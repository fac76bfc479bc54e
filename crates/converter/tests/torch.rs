//! Checkpoints of timm's and Cadene's Xception, against PyTorch's own logits (`scripts/torch_toy_xception.py`).

mod common;

use common::{Bench, all_known, logits_of, relative, tiny, torch};
use converter::{Known, open};
use serde_json::Value;
use xception_model::Variant;

fn expected() -> Vec<f32> {
    let text = std::fs::read(torch("expected.json")).unwrap();
    let json: Value = serde_json::from_slice(&text).unwrap();
    serde_json::from_value(json["logits"].clone()).unwrap()
}

#[test]
fn every_container_and_wrapper_gives_pytorchs_logits() {
    let ema = Known {
        key: Some("state_dict_ema".to_owned()),
        ..all_known()
    };
    for (name, known) in [
        ("toy.pth", all_known()),
        ("legacy.pth", all_known()),
        ("checkpoint.pth", all_known()),
        ("strided.pth", all_known()),
        ("toy.safetensors", all_known()),
        ("two.pth", ema),
    ] {
        let source = open(&torch(name), &known).unwrap();
        assert_eq!(source.spec.network, tiny().with_variant(Variant::Torch), "{name}");
        assert_eq!(
            source.ignored.len(),
            19,
            "{name} counts its batches in each of 19 norms"
        );
        let error = relative(&common::logits(source), &expected());
        println!("{name}: {error:.1e}");
        assert!(error <= 1e-5, "{name} is off by {error:.1e}");
    }
}

#[test]
fn half_precision_is_rounded_and_no_more() {
    let error = relative(&logits_of(&torch("half.pth"), &all_known()), &expected());
    assert!(error > 1e-6 && error < 1e-2, "{error:.1e}");
}

#[test]
fn the_format_says_whose_names_they_are() {
    let name = |file| open(&torch(file), &all_known()).unwrap().format.to_string();
    assert_eq!(name("toy.pth"), "PyTorch checkpoint with timm's names");
    assert_eq!(
        name("legacy.pth"),
        "PyTorch checkpoint of before 1.6 with Cadene's names"
    );
    assert_eq!(name("toy.safetensors"), "safetensors with timm's names");
}

#[test]
fn of_two_sets_of_weights_one_must_be_chosen() {
    let error = open(&torch("two.pth"), &all_known()).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "it holds several sets of weights: state_dict, state_dict_ema; choose one, such as --key state_dict_ema"
        ),
        "{error}"
    );
    let wrong = Known {
        key: Some("model".to_owned()),
        ..all_known()
    };
    let error = open(&torch("two.pth"), &wrong).unwrap_err().to_string();
    assert!(
        error.contains("'model' not found") && error.contains("state_dict_ema"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn what_would_run_code_is_refused_by_name_and_not_run() {
    let bench = Bench::new();
    for file in ["evil.pth", "unsafe_global.pth"] {
        let path = torch(file);
        let error = bench.bounded(&[path.to_str().unwrap(), "out.bpk"]).failed(1);
        assert!(error.contains("posix.system"), "{error}");
        assert!(error.contains("refused"), "{error}");
        assert!(bench.listing().is_empty());
    }
    assert!(!std::path::Path::new("/tmp/this-must-not-exist").exists());
}

/// One number, of which the file says that it is 2^40 kernels.
#[cfg(unix)]
#[test]
fn a_view_far_larger_than_its_storage_is_refused_before_it_is_read() {
    let bench = Bench::new();
    let path = torch("giant.pth");
    let error = bench
        .bounded(&[path.to_str().unwrap(), "out.bpk", "--size", "75x90"])
        .failed(1);
    assert!(error.contains("giant.pth"), "{error}");
    assert!(bench.listing().is_empty());
}

#[test]
fn the_size_must_be_said() {
    let error = open(&torch("toy.pth"), &Known::default()).unwrap_err().to_string();
    assert!(
        error.ends_with("toy.pth does not say the size of its pictures (say it: --size 299x299)"),
        "{error}"
    );
    let other = Known {
        variant: Some(Variant::Keras),
        ..all_known()
    };
    let error = open(&torch("toy.pth"), &other).unwrap_err().to_string();
    assert!(
        error.ends_with("--variant keras was given, and the file says torch"),
        "{error}"
    );
}
