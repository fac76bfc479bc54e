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
        // The recipes leave out the last layer of Xceptions alone.
        assert!(!run.stderr.contains(", up to "), "{}", run.stderr);
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
fn a_grey_network_is_used_and_trained_and_one_of_four_channels_takes_tensors() {
    let sandbox = Sandbox::new();
    for (name, channels) in [("grey.bpk", 1), ("four.bpk", 4)] {
        sandbox.save_channels(name, channels);
    }
    for seed in 0..10 {
        sandbox.picture(&format!("data/a/{seed}.png"), seed);
        sandbox.picture(&format!("data/b/{seed}.png"), 100 + seed);
    }
    sandbox.run(&["classify", "data/a/1.png", "-w", "grey.bpk"]).ok();
    let train = |weights, more: &[&str]| {
        let arguments = ["train", "data", "-w", weights, "--recipe", "linear-probe"];
        sandbox.run(&[&arguments[..], more].concat())
    };
    let run = train("grey.bpk", &["--epochs", "1", "-o", "run"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("grey.bpk takes grey pictures"), "{}", run.stderr);
    let device = burn::tensor::Device::flex();
    let (network, _) = xception_model::load(sandbox.path("run").join("model.bpk"), &device).unwrap();
    assert_eq!(network.graph().in_channels(), 3);
    sandbox.run(&["classify", "data/a/1.png", "-w", "run"]).ok();

    let said = sandbox.run(&["classify", "data/a/1.png", "-w", "four.bpk"]).failed(1);
    assert!(said.contains("4 channels") && said.contains("xception run"), "{said}");
    for more in [&["--check"][..], &["-o", "none"]] {
        let run = train("four.bpk", more);
        assert_eq!(run.status, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains("RGB or grey pictures"), "{}", run.stderr);
    }
    assert!(!sandbox.path("none").exists());
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

/// A Keras model whose pictures were scaled before it says nothing of that: no command takes -1..1 without a word.
#[test]
fn the_scaling_of_a_known_architecture_is_asked_for_too() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    sandbox.fixture("toy.keras");
    let weights = ["-w", "toy.keras", "--preset", "keras-nearest"];
    for command in [
        &["classify", "pictures"][..],
        &["embed", "pictures", "-o", "vectors.npy"],
        &["explain", "pictures/1.png", "-o", "heat.png"],
    ] {
        let error = sandbox.run(&[command, &weights[..]].concat()).failed(1);
        assert!(error.contains("--scaling tf") && !error.contains("--head"), "{error}");
    }
    // Tensors are scaled already, and layers are no pictures.
    sandbox.run(&["summary", "-w", "toy.keras"]).ok();
    sandbox.run(&["run", "--list-stages", "-w", "toy.keras"]).ok();
    // Said once, it is remembered.
    sandbox
        .run(&[
            "convert",
            "toy.keras",
            "toy2.bpk",
            "--scaling",
            "unit",
            "--preset",
            "keras-nearest",
        ])
        .ok();
    let unit = sandbox
        .run(&[&["classify", "pictures", "--scaling", "unit"], &weights[..]].concat())
        .ok();
    assert_eq!(sandbox.run(&["classify", "pictures", "-w", "toy2.bpk"]).ok(), unit);
}

#[test]
fn pytorch_and_safetensors_files_are_weights_like_others() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../converter/tests/fixtures/torch");
    for name in ["toy.pth", "toy.safetensors"] {
        sandbox.write(name, std::fs::read(fixtures.join(name)).unwrap());
    }
    let classify = |file: &str, more: &[&str]| {
        let arguments = [
            "classify",
            "pictures",
            "--preset",
            "keras-nearest",
            "--format",
            "csv",
            "-w",
            file,
        ];
        sandbox.run(&[&arguments[..], more].concat())
    };
    let error = classify("toy.pth", &[]).failed(1);
    for flag in ["--size", "--pooling", "--head", "--scaling"] {
        assert!(error.contains(flag), "{error}");
    }
    let said = [
        "--size",
        "75x90",
        "--pooling",
        "average",
        "--head",
        "softmax",
        "--scaling",
        "tf",
    ];
    let pth = classify("toy.pth", &said).ok();
    assert_eq!(parse_csv(&pth).len(), 6, "{pth}");
    assert_eq!(classify("toy.safetensors", &said).ok(), pth);
    // Nothing is asked about a head that is not used.
    let known = ["--size", "75x90", "--pooling", "average", "--scaling", "tf"];
    sandbox
        .run(
            &[
                &[
                    "embed",
                    "pictures",
                    "--preset",
                    "keras-nearest",
                    "-w",
                    "toy.pth",
                    "-o",
                    "vectors.npy",
                ],
                &known[..],
            ]
            .concat(),
        )
        .ok();
    assert_eq!(read_npy(&sandbox.path("vectors.npy")).0, [1, 8]);
}

#[test]
fn formats_that_are_not_read_are_named_with_lines_of_python() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    sandbox.write("saved/saved_model.pb", b"\x08\x01");
    sandbox.write("saved/keras_metadata.pb", b"");
    sandbox.write("model.tflite", b"\x1c\0\0\0TFL3");
    for (weights, part) in [("saved", "tf_keras.models.load_model"), ("model.tflite", "model.save(")] {
        for command in [
            &["classify", "pictures", "--preset", "keras-nearest", "-w", weights][..],
            &[
                "embed",
                "pictures",
                "--preset",
                "keras-nearest",
                "-w",
                weights,
                "-o",
                "x.npy",
            ],
            &["convert", weights, "x.bpk"],
            &["inspect", weights],
            &["summary", "-w", weights],
        ] {
            let error = sandbox.run(command).failed(1);
            assert!(
                error.contains(part) && error.contains("TensorFlow"),
                "{command:?}: {error}"
            );
            assert!(
                error.lines().count() > 1 && !error.contains("\\n"),
                "{command:?}: {error}"
            );
        }
    }
}

#[test]
fn verify_and_inspect_take_the_registrys_names() {
    let sandbox = Sandbox::new();
    for command in [
        &["inspect", "xception-imagenet", "--offline", "--cache", "cache"][..],
        &[
            "verify",
            "toy.bpk",
            "xception-imagenet",
            "--offline",
            "--cache",
            "cache",
        ],
    ] {
        let error = sandbox.run(command).failed(1);
        assert!(
            error.contains("xception_weights_tf_dim_ordering_tf_kernels.h5"),
            "{error}"
        );
    }
    let text = sandbox.run(&["inspect", "toy.bpk"]).ok();
    assert!(text.contains("It is complete"), "{text}");
}
