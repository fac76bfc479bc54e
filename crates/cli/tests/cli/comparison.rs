//! `xception evaluate` with several networks.

use std::fs;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::sandbox::{LABELS, Sandbox, parse_csv};

/// `data/CLASS/*.png`, three pictures per class; `toy.bpk`, `resnet.bpk`, and `copy.bpk` with a card that states an
/// accuracy.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for (class, label) in LABELS.iter().enumerate() {
        for number in 0..3 {
            sandbox.picture(&format!("data/{label}/{number}.png"), (10 * class + number) as u32);
        }
    }
    sandbox.save_resnet();
    sandbox.run(&["convert", "toy.bpk", "copy.bpk"]);
    let card = sandbox.path("copy.bpk.card.toml");
    let text = fs::read_to_string(&card).unwrap();
    let metrics = "\n[metrics]\ntop1 = 0.625\ntop5 = 0.9\ndataset = \"a test\"\nsource = \"made up\"\n";
    fs::write(card, text + metrics).unwrap();
    sandbox
}

const THREE: [&str; 8] = [
    "evaluate",
    "data",
    "-w",
    "toy.bpk",
    "-w",
    "copy.bpk",
    "-w",
    "resnet.bpk",
];

fn json(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let text = sandbox.run(&[arguments, &["--format", "json"]].concat()).ok();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn each_network_has_the_figures_that_it_has_alone() {
    let sandbox = sandbox();
    let all = json(&sandbox, &THREE);
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 3);
    for (entry, name) in all.iter().zip(["toy.bpk", "copy.bpk", "resnet.bpk"]) {
        assert_eq!(entry["name"], name);
        let alone = json(&sandbox, &["evaluate", "data", "-w", name]);
        for figure in [
            "weights", "data", "preset", "height", "pictures", "task", "loss", "classes",
        ] {
            assert_eq!(entry[figure], alone[figure], "{figure} of {name}");
        }
        let size = json(&sandbox, &["summary", "-w", name]);
        assert_eq!(entry["parameters"], size["parameters"], "{name}");
        assert_eq!(entry["multiply_adds"], size["multiply_adds"], "{name}");
        assert!(entry["speed"]["pictures_per_second"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(all[0]["published"], Value::Null);
    assert_eq!(all[1]["published"]["top1"], 0.625);
}

#[test]
fn the_table_fits_a_terminal_and_is_the_csv() {
    let sandbox = sandbox();
    let text = sandbox.run(&THREE).ok();
    assert!(text.starts_with("pictures   9 (all pictures of data)\n"), "{text}");
    assert!(text.lines().all(|line| line.width() <= 78), "{text}");
    let row = |name: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("copy.bpk")[1..3], ["62.5", "90.0"]);
    assert_eq!(row("toy.bpk")[1..3], ["-", "-"]);
    assert!(text.ends_with("published  a test (made up)\n"), "{text}");

    let csv = sandbox
        .run(
            &[
                &THREE[..],
                &["--format", "csv", "--csv", "table.csv", "--json", "all.json"],
            ]
            .concat(),
        )
        .ok();
    let saved = fs::read_to_string(sandbox.path("table.csv")).unwrap();
    assert_eq!(csv, saved);
    let rows = parse_csv(&csv);
    assert_eq!(rows.len(), 4);
    let column = |name: &str| rows[0].iter().position(|column| column == name).unwrap();
    let saved: Value = serde_json::from_str(&fs::read_to_string(sandbox.path("all.json")).unwrap()).unwrap();
    for (line, entry) in rows[1..].iter().zip(saved.as_array().unwrap()) {
        assert_eq!(entry["name"], line[column("weights")].as_str());
        let top_1: f64 = line[column("top1")].parse().unwrap();
        assert_eq!(entry["task"]["top_1"].as_f64(), Some(top_1));
        assert_eq!(entry["multiply_adds"].to_string(), line[column("multiply_adds")]);
        let shown = &row(&line[0])[3];
        assert_eq!(*shown, format!("{:.1}", 100.0 * top_1));
    }
    assert_eq!(rows[2][column("published_top1")], "0.625");
    assert_eq!(rows[2][column("published_on")], "a test");
}

#[test]
fn what_is_of_one_network_is_refused_and_faults_are_told_once() {
    let sandbox = sandbox();
    for flag in ["--report", "--predictions"] {
        let error = sandbox.run(&[&THREE[..], &[flag, "file.html"]].concat()).failed(1);
        assert!(error.contains(&format!("{flag} is for one network")), "{error}");
    }
    let lost = sandbox.run(&["evaluate", "data", "-w", "toy.bpk", "-w", "lost.bpk"]);
    assert!(lost.failed(1).contains("lost.bpk: cannot be read"));

    sandbox.write("data/cup/0.png", "no picture");
    let run = sandbox.run(&THREE);
    assert_eq!((run.status, run.stderr.lines().count()), (Some(1), 1), "{}", run.stderr);
    assert!(run.stdout.contains("pictures   8 ("), "{}", run.stdout);
}
