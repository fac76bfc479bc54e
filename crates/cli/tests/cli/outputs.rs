//! Networks with one output: one logit of two classes, or a number.

use std::fs;

use burn::tensor::Device;
use serde_json::Value;
use xception_model::{Classifier, Outputs};

use crate::sandbox::{Sandbox, parse_csv};

/// The network's output for a picture.
fn output(sandbox: &Sandbox, weights: &str, picture: &str) -> f32 {
    let classifier = Classifier::load(sandbox.path(weights), &Device::flex()).unwrap();
    let pixels = classifier.prepare_file(sandbox.path(picture)).unwrap();
    let logits = classifier.logits(classifier.batch(&[pixels]).unwrap()).unwrap();
    assert_eq!(logits.dims(), [1, 1]);
    logits.into_scalar()
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

#[test]
fn one_logit_is_two_classes() {
    let sandbox = Sandbox::new();
    let names = sandbox.pictures(3);
    sandbox.save_one_output("named.bpk", &["bad", "good"], Outputs::Binary);
    sandbox.save_one_output("bare.bpk", &[], Outputs::Binary);
    for (weights, labels) in [("named.bpk", ["bad", "good"]), ("bare.bpk", ["class 0", "class 1"])] {
        let said = sandbox
            .run(&["classify", "pictures", "-w", weights, "--format", "json"])
            .ok();
        let said: Value = serde_json::from_str(&said).unwrap();
        for (picture, name) in said.as_array().unwrap().iter().zip(&names) {
            let good = sigmoid(output(&sandbox, weights, name));
            let guesses = picture["predictions"].as_array().unwrap();
            assert_eq!(guesses.len(), 2);
            for guess in guesses {
                let class = guess["class"].as_u64().unwrap() as usize;
                assert_eq!(guess["label"], labels[class]);
                let probability = guess["probability"].as_f64().unwrap() as f32;
                let expected = [1.0 - good, good][class];
                assert!((probability - expected).abs() < 1e-6, "{probability} {expected}");
            }
            assert!(guesses[0]["probability"].as_f64() >= guesses[1]["probability"].as_f64());
        }
    }
    fs::write(sandbox.path("names.txt"), "no\nyes\n").unwrap();
    let text = sandbox
        .run(&["classify", "pictures", "-w", "bare.bpk", "--labels", "names.txt"])
        .ok();
    assert!(text.contains("%  yes") && text.contains("%  no"), "{text}");
}

#[test]
fn one_logit_is_judged_by_its_two_classes() {
    let sandbox = Sandbox::new();
    sandbox.save_one_output("named.bpk", &["bad", "good"], Outputs::Binary);
    let mut right = 0;
    for (class, label) in ["bad", "good"].iter().enumerate() {
        for number in 0..4_u32 {
            let name = format!("data/{label}/{number}.png");
            sandbox.picture(&name, 10 * class as u32 + number);
            right += usize::from(usize::from(output(&sandbox, "named.bpk", &name) > 0.0) == class);
        }
    }
    let json = sandbox
        .run(&[
            "evaluate",
            "data",
            "-w",
            "named.bpk",
            "--format",
            "json",
            "--report",
            "page.html",
        ])
        .ok();
    let figures: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(figures["pictures"], 8);
    let accuracy = figures["task"]["top_1"].as_f64().unwrap();
    assert!((accuracy - right as f64 / 8.0).abs() < 1e-12, "{figures}");
}

/// What speaks for one class speaks against the other.
#[test]
fn both_classes_of_one_logit_are_explained() {
    let sandbox = Sandbox::new();
    sandbox.picture("picture.png", 3);
    sandbox.save_one_output("named.bpk", &["bad", "good"], Outputs::Binary);
    let explain = |class: &str, output: &str| {
        let run = sandbox.run(&[
            "explain",
            "picture.png",
            "-w",
            "named.bpk",
            "--class",
            class,
            "-o",
            output,
        ]);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        assert!(run.stdout.contains(&format!("%  {class}  {output}")), "{}", run.stdout);
        image::open(sandbox.path(output)).unwrap().into_rgb8()
    };
    let [bad, good] = [explain("bad", "bad.png"), explain("good", "good.png")];
    let heat = |sheet| image::imageops::crop_imm(sheet, 122, 64, 90, 80).to_image();
    assert_ne!(heat(&bad), heat(&good));
    let error = sandbox
        .run(&["explain", "picture.png", "-w", "named.bpk", "--class", "2"])
        .failed(1);
    assert!(error.contains("no class 2: the network has 2"), "{error}");
}

#[test]
fn a_number_is_printed_and_not_judged() {
    let sandbox = Sandbox::new();
    let names = sandbox.pictures(2);
    sandbox.save_one_output("price.bpk", &[], Outputs::Value);
    let expected: Vec<f32> = names.iter().map(|name| output(&sandbox, "price.bpk", name)).collect();
    let run = |format| {
        let arguments = ["classify", "pictures", "-w", "price.bpk", "--batch-size", "1"];
        sandbox.run(&[&arguments[..], &["--format", format]].concat()).ok()
    };
    let text = run("text");
    assert!(!text.contains('%') && !text.contains("class"), "{text}");
    let lines = names
        .iter()
        .zip(&expected)
        .map(|(name, value)| format!("{name}  {value}\n"));
    assert_eq!(text, lines.collect::<String>());
    let rows = parse_csv(&run("csv"));
    assert_eq!(rows[0], ["file", "value"]);
    let json: Value = serde_json::from_str(&run("json")).unwrap();
    for ((row, picture), (name, value)) in rows[1..]
        .iter()
        .zip(json.as_array().unwrap())
        .zip(names.iter().zip(&expected))
    {
        assert_eq!(row, &[name.clone(), value.to_string()]);
        assert_eq!(picture["file"], name.as_str());
        assert!((picture["value"].as_f64().unwrap() as f32 - value).abs() <= f32::EPSILON * value.abs());
        assert!(picture.get("predictions").is_none());
    }

    let error = sandbox.run(&["evaluate", "pictures", "-w", "price.bpk"]).failed(1);
    assert!(
        error.contains("its output is a number and tells no classes apart"),
        "{error}"
    );
    fs::write(sandbox.path("names.txt"), "price\n").unwrap();
    let error = sandbox
        .run(&["classify", "pictures", "-w", "price.bpk", "--labels", "names.txt"])
        .failed(1);
    assert!(error.contains("has no classes that names.txt could name"), "{error}");

    let explained = sandbox.run(&["explain", &names[0], "-w", "price.bpk", "-o", "heat.png"]);
    assert_eq!(explained.status, Some(0), "{}", explained.stderr);
    assert_eq!(explained.stdout, format!("{}  {}  heat.png\n", names[0], expected[0]));
}

/// Flags complete a record, and never contradict it.
#[test]
fn a_word_against_the_record_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    sandbox.save_one_output("price.bpk", &[], Outputs::Value);
    let classify = |more: &[&str]| sandbox.run(&[&["classify", "pictures", "-w", "price.bpk"], more].concat());
    let agreed = classify(&[
        "--head",
        "value",
        "--pooling",
        "average",
        "--variant",
        "keras",
        "--scaling",
        "tf",
    ])
    .ok();
    assert_eq!(agreed, classify(&[]).ok());
    for (arguments, part) in [
        (["--head", "binary"], "--head binary was given, and the file says value"),
        (
            ["--pooling", "max"],
            "--pooling max was given, and the file says average",
        ),
        (
            ["--variant", "torch"],
            "--variant torch was given, and the file says keras",
        ),
        (["--scaling", "unit"], "--scaling unit was given, and the file says tf"),
    ] {
        let error = classify(&arguments).failed(1);
        assert!(error.contains(part), "{error}");
    }
}
