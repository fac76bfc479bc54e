//! `xception train`.

use crate::bench::Bench;

/// Standard output, and the epochs on standard error.
#[track_caller]
fn run(bench: &Bench, arguments: &[&str], status: i32) -> (String, String) {
    let run = bench.run(arguments);
    assert_eq!(run.status, Some(status), "{}", run.stderr);
    (run.stdout, run.stderr)
}

/// Two classes of pictures in folders.
fn data(bench: &Bench) {
    for seed in 0..10 {
        for (class, seed) in [("a", seed), ("b", 100 + seed)] {
            std::fs::create_dir_all(bench.path(&format!("data/{class}"))).unwrap();
            bench.picture(&format!("data/{class}/{seed}.png"), seed);
        }
    }
}

const PROBE: [&str; 10] = [
    "train",
    "data",
    "--weights",
    "toy.bpk",
    "--recipe",
    "linear-probe",
    "--epochs",
    "10",
    "--output",
    "run",
];

#[test]
fn a_run_leaves_a_network_that_classifies_and_what_a_person_looks_at() {
    let bench = Bench::new();
    data(&bench);
    let (said, epochs) = run(&bench, &PROBE, 0);
    assert!(epochs.contains("  10  head  loss "), "{epochs}");
    assert!(
        said.contains("xception classify PICTURE --weights run/model.bpk"),
        "{said}"
    );
    for file in [
        "run.toml",
        "data.csv",
        "metrics.csv",
        "steps.csv",
        "curves.png",
        "confusion_matrix.png",
        "report.html",
        "model.bpk",
        "last.bpk",
    ] {
        assert!(bench.path("run").join(file).is_file(), "{file}");
    }
    let answer = bench
        .run(&[
            "classify",
            "data/a/1.png",
            "--weights",
            "run/model.bpk",
            "--format",
            "csv",
        ])
        .ok();
    assert_eq!(answer.lines().count(), 3, "{answer}");

    // The run's own table is data as well, split as it was.
    let checked = bench.run(&["train", "run/data.csv", "--check"]).ok();
    assert!(checked.contains("20"), "{checked}");
    let (done, _) = run(&bench, &["train", "--resume", "run"], 0);
    assert!(done.contains("report"), "{done}");
}

#[test]
fn what_cannot_be_trained_is_said() {
    let bench = Bench::new();
    data(&bench);
    run(&bench, &PROBE, 0);
    let error = bench.run(&PROBE).failed(1);
    assert!(error.contains("--resume"), "{error}");
    let error = bench.run(&["train", "--resume", "data"]).failed(1);
    assert!(error.contains("run.toml"), "{error}");
    let error = bench.run(&["train", "nowhere", "--weights", "toy.bpk"]).failed(1);
    assert!(error.contains("nowhere"), "{error}");
    let error = bench
        .run(&["train", "data", "--weights", "toy.bpk", "--recipe", "fine-tuen"])
        .failed(1);
    assert!(error.contains("fine-tune, linear-probe"), "{error}");
    bench.run(&["train"]).failed(2);
    bench.run(&["train", "data", "--epochs", "0"]).failed(2);
    assert!(!bench.path("runs").exists(), "nothing is written before it can be used");
}

#[test]
fn recipes_are_shown_to_be_copied() {
    let bench = Bench::new();
    let text = bench.run(&["train", "--show-recipe", "paper-imagenet"]).ok();
    assert!(
        text.contains("rate = 0.045") && text.contains("factor = 0.94"),
        "{text}"
    );
    bench.write("mine.toml", text.replace("epochs = 100", "epochs = 1"));
    data(&bench);
    let arguments = [
        "train",
        "data",
        "--weights",
        "toy.bpk",
        "--recipe",
        "mine.toml",
        "--batch-size",
        "2",
        "--time-budget",
        "0",
    ];
    let (_, error) = run(&bench, &arguments, 1);
    assert!(error.contains("--resume runs/data"), "{error}");
}

#[test]
fn samples_are_shown_before_anything_is_trained() {
    let bench = Bench::new();
    data(&bench);
    bench
        .run(&["train", "data", "--weights", "toy.bpk", "--preview", "samples.png"])
        .ok();
    assert!(image::open(bench.path("samples.png")).unwrap().width() > 71 * 2);
    assert!(!bench.path("runs").exists());
}
