//! The report of `verify --with-keras`. The engine is a script with prepared answers; real engines run in
//! `scripts/peers/keras_real_size.py`.
#![cfg(unix)]

mod common;

use std::os::unix::fs::PermissionsExt;

use burn::tensor::{Device, Tensor, TensorData};
use common::{Bench, Run, keras, tf};
use converter::engine::Engine;
use converter::{Known, Options, engine, open};
use serde_json::{Value, json};
use xception_model::Scaling;

/// An engine's answer: names, shapes and values of stages.
struct Answer {
    last: &'static str,
    stages: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl Answer {
    fn stage(&mut self, name: &str) -> &mut (String, Vec<usize>, Vec<f32>) {
        self.stages.iter_mut().find(|(found, ..)| found == name).unwrap()
    }
}

/// A folder with `toy.keras`, its record, and an engine that computes the same as ours.
fn prepared() -> (Bench, Answer) {
    let bench = Bench::new();
    std::fs::copy(keras("toy.keras"), bench.path("toy.keras")).unwrap();
    let source = open(&bench.path("toy.keras"), &tf()).unwrap();
    source.convert(&bench.path("toy.bpk"), &Options::default()).unwrap();
    let (model, spec) = xception_model::load(bench.path("toy.bpk"), &Device::flex()).unwrap();
    let sides = [1, spec.input.height, spec.input.width, spec.network.in_channels()];
    let pixels = engine::generated_pixels(&spec);
    let (pixels, _) = pixels.as_chunks();
    let picture: Vec<f32> = pixels.iter().flat_map(|rgb| spec.input.scaling.apply(*rgb)).collect();
    let picture = TensorData::new(picture, sides);
    let picture = Tensor::<4>::from_data(picture, &Device::flex()).permute([0, 3, 1, 2]);
    let mut stages = Vec::new();
    model
        .each_stage(picture, &mut |name, ours| {
            let values = ours.clone().into_data().iter::<f32>().collect();
            stages.push((name.to_owned(), ours.dims().to_vec(), values));
        })
        .unwrap();
    // The last answer is the model's own output, under this name.
    let (_, shape, values) = stages.pop().unwrap();
    stages.push(("output".to_owned(), shape, values));
    (bench, Answer { last: "logits", stages })
}

/// Verifies with an engine that gives this answer.
fn verify(bench: &Bench, answer: &Answer) -> Run {
    let mut values = Vec::new();
    let mut offset = 0;
    let mut stages = Vec::new();
    for (name, shape, numbers) in &answer.stages {
        stages.push(json!({"name": name, "shape": shape, "offset": offset}));
        offset += numbers.len();
        values.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }
    let text = json!({"engine": "Fake 1.0", "final": answer.last, "stages": stages});
    bench.write("stages.json", text.to_string());
    bench.write("stages.f32", values);
    let python = bench.write(
        "python",
        "#!/bin/sh\nhere=$(dirname \"$0\")\nwhile [ $# -gt 0 ]; do\n  [ \"$1\" = --out ] && out=$2\n  shift\ndone\n\
         cp \"$here/stages.json\" \"$here/stages.f32\" \"$out\"\n",
    );
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = ["verify", "toy.keras", "toy.bpk", "--with-keras", "./python"];
    bench.run(&[&arguments[..], &["--json", "report.json", "--force"]].concat())
}

fn report(bench: &Bench) -> Value {
    serde_json::from_slice(&std::fs::read(bench.path("report.json")).unwrap()).unwrap()
}

#[test]
fn an_engine_that_computes_the_same_agrees() {
    let (bench, answer) = prepared();
    let text = verify(&bench, &answer).ok();
    let count = answer.stages.len();
    assert!(count > 60, "{count}");
    assert!(
        text.trim_end()
            .ends_with(&format!("{count} of {count} stages agree with Fake 1.0 within 1e-5")),
        "{text}"
    );
    assert!(!text.contains("differs"), "{text}");
    for (name, shape, _) in &answer.stages[..count - 1] {
        let row = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        let row = row.unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(row.contains(&format!("{shape:?}")) && row.ends_with("0.00e0"), "{row}");
    }
    // The most likely classes, side by side and in order.
    let top: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("Fake 1.0"))
        .skip(1)
        .take(5)
        .collect();
    let sure = |cell: &str| cell.trim().split(' ').next().unwrap().parse::<f64>().unwrap();
    let rows: Vec<(f64, f64)> = top.iter().map(|line| (sure(&line[..36]), sure(&line[36..]))).collect();
    assert_eq!(rows.len(), 5, "{text}");
    assert!(rows.iter().all(|(theirs, ours)| (theirs - ours).abs() < 1e-9), "{text}");
    assert!(rows.windows(2).all(|pair| pair[0].0 >= pair[1].0), "{text}");
    assert!(
        (rows.iter().map(|row| row.0).sum::<f64>() - 100.0).abs() < 0.5,
        "{text}"
    );

    let report = report(&bench);
    assert_eq!(report["equal"], true);
    assert_eq!(report["engine"]["engine"], "Fake 1.0");
    assert_eq!(report["engine"]["bound"], 1e-5);
    assert_eq!(report["engine"]["stages"].as_array().map(Vec::len), Some(count));
    assert_eq!(report["engine"]["stages"][0]["name"], "block1_conv1");
    assert_eq!(report["engine"]["stages"][0]["relative"], 0.0);
    assert_eq!(report["engine"]["top"].as_array().map(Vec::len), Some(5));
}

/// A model with a `Rescaling` layer gets pixels from 0 to 255, and one without gets them scaled.
#[test]
fn no_picture_is_scaled_twice() {
    let bench = Bench::new();
    let python = bench.write(
        "python",
        "#!/bin/sh\nhere=$(dirname \"$0\")\nwhile [ $# -gt 0 ]; do\n  [ \"$1\" = --input ] && input=$2\n  shift\ndone\n\
         cp \"$input\" \"$here/fed.f32\"\n",
    );
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (name, scales) in [("unnamed/softmax3.keras", true), ("toy.keras", false)] {
        let opened = || open(&keras(name), &if scales { Known::default() } else { tf() }).unwrap();
        let (model, spec) = opened().load(&Device::flex()).unwrap();
        let (scaling, pixels) = (spec.input.scaling, engine::generated_pixels(&spec));
        assert_ne!(scaling, Scaling::None);
        // The engine keeps its input and gives no answer.
        engine::compare(Engine::Keras, &python, &opened(), &model, &spec, &pixels).unwrap_err();
        let fed = std::fs::read(bench.path("fed.f32")).unwrap();
        let fed: Vec<f32> = fed
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        let (colours, _) = pixels.as_chunks();
        let scaled: Vec<f32> = colours.iter().flat_map(|rgb| scaling.apply(*rgb)).collect();
        assert_eq!(fed, if scales { pixels } else { scaled }, "{name}");
    }
}

#[test]
fn probabilities_are_compared_with_probabilities() {
    let (bench, mut answer) = prepared();
    let (.., logits) = answer.stage("output");
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    *logits = powers.iter().map(|power| power / sum).collect();
    answer.last = "probabilities";
    let text = verify(&bench, &answer).ok();
    assert!(
        text.contains("output (probabilities)") && !text.contains("differs"),
        "{text}"
    );
    // The same numbers mean something else as logits.
    answer.last = "logits";
    verify(&bench, &answer).failed(1);
}

#[test]
fn one_value_that_differs_is_marked_and_fails() {
    for (name, index) in [("block1_conv1", 0), ("block5_sepconv2_bn", 7), ("output", 4)] {
        let (bench, mut answer) = prepared();
        let count = answer.stages.len();
        let (.., values) = answer.stage(name);
        values[index] += 0.5;
        let run = verify(&bench, &answer);
        assert_eq!(run.code, Some(1), "{name}: {}{}", run.stdout, run.stderr);
        let marked: Vec<&str> = run
            .stdout
            .lines()
            .filter(|line| line.ends_with("<-- differs"))
            .collect();
        assert_eq!(marked.len(), 1, "{name}: {}", run.stdout);
        assert!(
            marked[0].starts_with(name) && marked[0].contains("5.00e-1"),
            "{}",
            marked[0]
        );
        assert!(
            run.stdout.contains(&format!("{} of {count} stages agree", count - 1)),
            "{}",
            run.stdout
        );
        let report = report(&bench);
        assert_eq!(report["equal"], false);
        let largest = |stage: &&Value| stage["max_absolute"].as_f64() > Some(0.4);
        assert_eq!(
            report["engine"]["stages"]
                .as_array()
                .unwrap()
                .iter()
                .filter(largest)
                .count(),
            1
        );
    }
}

#[test]
fn nan_never_agrees() {
    let (bench, mut answer) = prepared();
    answer.stage("block4").2[3] = f32::NAN;
    let run = verify(&bench, &answer);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let row = run.stdout.lines().find(|line| line.starts_with("block4 ")).unwrap();
    assert!(row.ends_with("<-- differs") && row.contains("NaN"), "{row}");
}

#[test]
fn an_answer_that_is_none_is_an_error() {
    type Spoil = fn(&mut Answer);
    let cases: [(&str, Spoil); 5] = [
        ("it gave no output", |answer| answer.stages.clear()),
        ("it gave no output", |answer| drop(answer.stages.pop())),
        ("output has fewer values than its shape", |answer| {
            answer.stage("output").2.truncate(4);
        }),
        ("block4 has the shape [1, ", |answer| {
            answer.stage("block4").1.swap(1, 2);
        }),
        ("its output has the shape [1, 4", |answer| {
            let (_, shape, values) = answer.stage("output");
            shape[1] = 4;
            values.truncate(4);
        }),
    ];
    for (part, spoil) in cases {
        let (bench, mut answer) = prepared();
        spoil(&mut answer);
        let error = verify(&bench, &answer).failed(1);
        assert!(error.contains(part) && error.contains("./python"), "{error}");
        assert!(!bench.path("report.json").exists());
    }
}
