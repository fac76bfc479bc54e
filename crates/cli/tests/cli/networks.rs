//! Networks that are no Xception: a ResNet, and Keras files that no table here knows.

use serde_json::Value;

use crate::bench::{Bench, LABELS, parse_csv};
use crate::tensors::read_npy;

#[test]
fn a_resnet_classifies_embeds_explains_and_is_judged() {
    let bench = Bench::new();
    bench.pictures(2);
    bench.save_resnet();
    let classifier = xception_model::Classifier::load(bench.path("resnet.bpk"), &burn::tensor::Device::flex()).unwrap();
    let said = bench
        .run(&["classify", "pictures/1.png", "-w", "resnet.bpk", "--format", "csv"])
        .ok();
    let rows = parse_csv(&said);
    let expected = classifier.classify_file(bench.path("pictures/1.png"), 3).unwrap();
    assert_eq!(rows.len(), 4);
    for (row, expected) in rows[1..].iter().zip(&expected) {
        assert_eq!(row[4], expected.label.name);
        assert_eq!(row[5], expected.probability.to_string());
    }

    bench
        .run(&["embed", "pictures", "-w", "resnet.bpk", "-o", "vectors.npy"])
        .ok();
    assert_eq!(read_npy(&bench.path("vectors.npy")).0, [2, 20]);
    bench
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
    assert_eq!(read_npy(&bench.path("maps.npy")).0, [2, 12, 8, 8]);

    let explained = bench.run(&["explain", "pictures/1.png", "-w", "resnet.bpk", "-o", "heat.png"]);
    assert_eq!(explained.status, Some(0), "{}", explained.stderr);
    assert!(bench.path("heat.png").is_file());

    for (class, label) in LABELS.iter().enumerate() {
        bench.picture(&format!("data/{label}/1.png"), class as u32);
    }
    let figures = bench
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
    let summary = bench.run(&["summary", "-w", "resnet.bpk"]).ok();
    assert!(summary.contains("conv3_block2_out"), "{summary}");
}

/// The new network is fed as the one it began with.
#[test]
fn a_resnet_is_trained() {
    let bench = Bench::new();
    bench.save_resnet();
    for seed in 0..10 {
        bench.picture(&format!("data/a/{seed}.png"), seed);
        bench.picture(&format!("data/b/{seed}.png"), 100 + seed);
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
        let run = bench.run(&arguments);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        let weights = bench.path(recipe).join("model.bpk");
        let (network, spec) = xception_model::load(weights, &burn::tensor::Device::flex()).unwrap();
        assert_eq!(spec.network.name(), "resnet");
        assert_eq!(spec.input.scaling, xception_model::Scaling::Caffe);
        assert_eq!((spec.input.height, network.graph().outputs()), (64, Some(2)));
        let said = bench.run(&["classify", "data/a/1.png", "-w", recipe]).ok();
        assert!(said.contains("%  a") && said.contains("%  b"), "{said}");
    }
}

#[test]
fn a_network_without_a_name_is_used_like_others() {
    let bench = Bench::new();
    bench.pictures(1);
    bench.fixture("unnamed/sigmoid1.keras");
    let weights = ["-w", "sigmoid1.keras", "--preset", "keras-nearest"];
    let run = |arguments: &[&str]| bench.run(&[arguments, &weights[..]].concat());
    let said = run(&["classify", "pictures", "--format", "csv"]).ok();
    let rows = parse_csv(&said);
    assert_eq!(rows.len(), 3, "one logit of two classes: {said}");
    let sum: f32 = rows[1..].iter().map(|row| row[5].parse::<f32>().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{said}");
    run(&["embed", "pictures", "-o", "vectors.npy"]).ok();
    assert_eq!(read_npy(&bench.path("vectors.npy")).0[0], 1);
    let explained = run(&["explain", "pictures/1.png", "-o", "heat.png"]);
    assert_eq!(explained.status, Some(0), "{}", explained.stderr);
    let summary = bench.run(&["summary", "-w", "sigmoid1.keras"]).ok();
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
    let bench = Bench::new();
    bench.pictures(1);
    bench.fixture("unnamed/linear1.keras");
    bench.fixture("unnamed/raw.keras");
    let run = |file: &str, more: &[&str]| {
        bench.run(&[&["classify", "pictures", "--preset", "keras-nearest", "-w", file], more].concat())
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
