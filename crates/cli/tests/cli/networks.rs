//! Networks other than Xception: a ResNet, and Keras files of unknown architectures.

use serde_json::Value;

use crate::sandbox::{LABELS, Sandbox, parse_csv};
use crate::tensors::read_npy;

#[test]
fn a_resnet_classifies_embeds_explains_and_is_judged() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    sandbox.save_resnet();
    let classifier =
        xception_model::Classifier::load(sandbox.path("resnet.bpk"), &burn::tensor::Device::flex()).unwrap();
    let said = sandbox
        .run(&["classify", "pictures/1.png", "-w", "resnet.bpk", "--format", "csv"])
        .ok();
    let rows = parse_csv(&said);
    let expected = classifier.classify_file(sandbox.path("pictures/1.png"), 3).unwrap();
    assert_eq!(rows.len(), 4);
    for (row, expected) in rows[1..].iter().zip(&expected) {
        assert_eq!(row[4], expected.label.name);
        assert_eq!(row[5], expected.probability.to_string());
    }

    sandbox
        .run(&["embed", "pictures", "-w", "resnet.bpk", "-o", "vectors.npy"])
        .ok();
    assert_eq!(read_npy(&sandbox.path("vectors.npy")).0, [2, 20]);
    sandbox
        .run(&[
            "embed",
            "pictures",
            "-w",
            "resnet.bpk",
            "--level",
            "stride_8",
            "-o",
            "maps.npy",
        ])
        .ok();
    assert_eq!(read_npy(&sandbox.path("maps.npy")).0, [2, 12, 8, 8]);

    let explained = sandbox.run(&["explain", "pictures/1.png", "-w", "resnet.bpk", "-o", "heat.png"]);
    assert_eq!(explained.status, Some(0), "{}", explained.stderr);
    assert!(sandbox.path("heat.png").is_file());

    for (class, label) in LABELS.iter().enumerate() {
        sandbox.picture(&format!("data/{label}/1.png"), class as u32);
    }
    let figures = sandbox
        .run(&[
            "evaluate",
            "data",
            "-w",
            "resnet.bpk",
            "--format",
            "json",
            "--report",
            "page.html",
        ])
        .ok();
    let figures: Value = serde_json::from_str(&figures).unwrap();
    assert_eq!(figures["pictures"], 3);
    let summary = sandbox.run(&["summary", "-w", "resnet.bpk"]).ok();
    assert!(summary.contains("conv3_block2_out"), "{summary}");
}

/// The trained network keeps the preprocessing of the network it started from.
#[test]
fn a_resnet_is_trained() {
    let sandbox = Sandbox::new();
    sandbox.save_resnet();
    for seed in 0..10 {
        sandbox.picture(&format!("data/a/{seed}.png"), seed);
        sandbox.picture(&format!("data/b/{seed}.png"), 100 + seed);
    }
    for recipe in ["linear-probe", "fine-tune"] {
        let arguments = [
            "train",
            "data",
            "-w",
            "resnet.bpk",
            "--recipe",
            recipe,
            "--epochs",
            "1",
            "-o",
            recipe,
        ];
        let run = sandbox.run(&arguments);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        let weights = sandbox.path(recipe).join("model.bpk");
        let (network, spec) = xception_model::load(weights, &burn::tensor::Device::flex()).unwrap();
        assert_eq!(spec.network.name(), "resnet");
        assert_eq!(spec.input.scaling, xception_model::Scaling::Caffe);
        assert_eq!((spec.input.height, network.graph().outputs()), (64, Some(2)));
        let said = sandbox.run(&["classify", "data/a/1.png", "-w", recipe]).ok();
        assert!(said.contains("%  a") && said.contains("%  b"), "{said}");
    }
}

#[test]
fn a_network_without_a_name_is_used_like_others() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    sandbox.fixture("unnamed/sigmoid1.keras");
    let weights = ["-w", "sigmoid1.keras", "--preset", "keras-nearest"];
    let run = |arguments: &[&str]| sandbox.run(&[arguments, &weights[..]].concat());
    let said = run(&["classify", "pictures", "--format", "csv"]).ok();
    let rows = parse_csv(&said);
    assert_eq!(rows.len(), 3, "one logit of two classes: {said}");
    let sum: f32 = rows[1..].iter().map(|row| row[5].parse::<f32>().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{said}");
    run(&["embed", "pictures", "-o", "vectors.npy"]).ok();
    assert_eq!(read_npy(&sandbox.path("vectors.npy")).0[0], 1);
    let explained = run(&["explain", "pictures/1.png", "-o", "heat.png"]);
    assert_eq!(explained.status, Some(0), "{}", explained.stderr);
    let summary = sandbox.run(&["summary", "-w", "sigmoid1.keras"]).ok();
    assert!(summary.contains("3 x 40 x 36"), "{summary}");
    let error = run(&["embed", "pictures", "--level", "stride_2", "-o", "maps.npy"]);
    assert!(
        error.status == Some(0) || error.stderr.contains("stride_2"),
        "{}",
        error.stderr
    );
}

#[test]
fn what_a_file_does_not_say_is_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    sandbox.fixture("unnamed/linear1.keras");
    sandbox.fixture("unnamed/raw.keras");
    let run = |file: &str, more: &[&str]| {
        sandbox.run(&[&["classify", "pictures", "--preset", "keras-nearest", "-w", file], more].concat())
    };
    let error = run("linear1.keras", &[]).failed(1);
    assert!(
        error.contains("--head binary") && error.contains("--head value"),
        "{error}"
    );
    let number = run("linear1.keras", &["--head", "value"]).ok();
    assert!(!number.contains('%'), "{number}");
    let two = run("linear1.keras", &["--head", "binary"]).ok();
    assert_eq!(two.matches('%').count(), 2, "{two}");

    let error = run("raw.keras", &[]).failed(1);
    assert!(error.contains("--scaling tf") && error.contains("caffe"), "{error}");
    let tf = run("raw.keras", &["--scaling", "tf"]).ok();
    assert_ne!(tf, run("raw.keras", &["--scaling", "unit"]).ok());
}
