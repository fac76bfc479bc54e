//! `xception train`.

use crate::sandbox::Sandbox;

/// Standard output, and the epochs on standard error.
#[track_caller]
fn run(sandbox: &Sandbox, arguments: &[&str], status: i32) -> (String, String) {
    let run = sandbox.run(arguments);
    assert_eq!(run.status, Some(status), "{}", run.stderr);
    (run.stdout, run.stderr)
}

/// Two classes of pictures in folders.
fn data(sandbox: &Sandbox) {
    for seed in 0..10 {
        for (class, seed) in [("a", seed), ("b", 100 + seed)] {
            std::fs::create_dir_all(sandbox.path(&format!("data/{class}"))).unwrap();
            sandbox.picture(&format!("data/{class}/{seed}.png"), seed);
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
    let sandbox = Sandbox::new();
    data(&sandbox);
    let (said, epochs) = run(&sandbox, &PROBE, 0);
    for word in [
        ", up to block7_sepconv1_act\n",
        "phase 1 head: up to 10 epochs",
        "  10/10  ",
        "  best",
        "head ends after all 10 epochs",
        "time      about ",
    ] {
        assert!(epochs.contains(word), "{word}: {epochs}");
    }
    for word in [
        " test pictures right (95 % interval ",
        "of the validation pictures; best epoch: ",
        "  class  pictures  found %  precision %\n",
        "report    run/report.html\n",
        "  xception classify PICTURE --weights run\n",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    for line in said.lines().chain(epochs.lines()) {
        assert!(line.chars().count() <= 80 || line.starts_with("warning"), "{line}");
    }
    for file in [
        "run.toml",
        "data.csv",
        "metrics.csv",
        "steps.csv",
        "curves.png",
        "confusion_matrix.png",
        "report.html",
        "model.bpk",
        "model.bpk.card.toml",
        "predictions.csv",
        "suspected_labels.csv",
    ] {
        assert!(sandbox.path("run").join(file).is_file(), "{file}");
    }
    for file in ["last.bpk", "checkpoints", "features"] {
        assert!(
            !sandbox.path("run").join(file).exists(),
            "{file}: a finished run does not need it"
        );
    }
    let classify = |weights: &str| {
        let arguments = ["classify", "data/a/1.png", "--weights", weights, "--format", "csv"];
        sandbox.run(&arguments).ok()
    };
    let answer = classify("run/model.bpk");
    assert_eq!(answer.lines().count(), 3, "{answer}");
    assert_eq!(classify("run/model.bpk.card.toml"), answer);

    // The run's own table can be used as data, with the same split.
    let checked = sandbox.run(&["train", "run/data.csv", "--check"]).ok();
    assert!(checked.contains("20"), "{checked}");
    // The check opens the weights, too, but downloads none.
    sandbox.write("broken.keras", "no weights");
    let check = |weights: &str| {
        let mut command = sandbox.command(&["train", "run/data.csv", "--check", "-w", weights]);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (weights, named) in [
        ("broken.keras", "broken.keras"),
        ("xception-imagenot", "xception-imagenet"),
    ] {
        let (status, error) = check(weights);
        assert!(status == Some(1) && error.contains(named), "{weights}: {error}");
    }
    assert_eq!(check("xception-imagenet"), (Some(0), String::new()));
    let (done, said) = run(&sandbox, &["train", "--resume", "run"], 0);
    assert!(
        done.contains("report") && said.contains("nothing to continue"),
        "{done}{said}"
    );
}

#[test]
fn what_cannot_be_trained_is_said() {
    let sandbox = Sandbox::new();
    data(&sandbox);
    run(&sandbox, &PROBE, 0);
    let error = sandbox.run(&PROBE).failed(1);
    assert!(error.contains("--resume"), "{error}");
    let error = sandbox.run(&["train", "--resume", "data"]).failed(1);
    assert!(error.contains("run.toml"), "{error}");
    let error = sandbox.run(&["train", "nowhere", "--weights", "toy.bpk"]).failed(1);
    assert!(error.contains("nowhere"), "{error}");
    let error = sandbox
        .run(&["train", "data", "--weights", "toy.bpk", "--recipe", "fine-tuen"])
        .failed(1);
    assert!(error.contains("fine-tune, fine-tune-all, linear-probe"), "{error}");
    sandbox.run(&["train"]).failed(2);
    sandbox.run(&["train", "data", "--epochs", "0"]).failed(2);
    assert!(
        !sandbox.path("runs").exists(),
        "nothing is written before it can be used"
    );
}

#[test]
fn recipes_are_shown_to_be_copied() {
    let sandbox = Sandbox::new();
    let text = sandbox.run(&["train", "--show-recipe", "paper-imagenet"]).ok();
    assert!(
        text.contains("rate = 0.045") && text.contains("factor = 0.94"),
        "{text}"
    );
    sandbox.write("mine.toml", text.replace("epochs = 100", "epochs = 1"));
    data(&sandbox);
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
    let (_, error) = run(&sandbox, &arguments, 0);
    assert!(error.contains("--resume runs/data"), "{error}");
    // The next run has the next number.
    let (done, _) = run(&sandbox, &arguments, 0);
    assert!(done.contains("runs/data-2/report.html"), "{done}");
}

#[test]
fn samples_are_shown_before_anything_is_trained() {
    let sandbox = Sandbox::new();
    data(&sandbox);
    let said = sandbox
        .run(&["train", "data", "--weights", "toy.bpk", "--preview", "samples.png"])
        .ok();
    assert_eq!(said, "preview  samples.png\n");
    assert!(image::open(sandbox.path("samples.png")).unwrap().width() > 71 * 2);
    assert!(!sandbox.path("runs").exists());
}

#[test]
fn a_run_goes_on_as_it_was_begun() {
    let sandbox = Sandbox::new();
    for flag in [
        &["data"][..],
        &["--output", "x"],
        &["--recipe", "scratch"],
        &["--epochs", "2"],
        &["--weights", "x"],
        &["--offline"],
        &["--cache", "x"],
        &["--size", "99"],
        &["--preset", "timm-bicubic"],
        &["--augmentation", "none"],
        &["--batch-size", "2"],
        &["--learning-rate", "0.1"],
        &["--seed", "1"],
        &["--val-fraction", "0.1"],
        &["--test-fraction", "0.1"],
        &["--strict"],
        &["--class-weights"],
        &["--balanced"],
        &["--preview", "x.png"],
        &["--find-rate", "x.png"],
        &["--show-recipe", "scratch"],
        &["--show-augmentation", "light"],
    ] {
        let error = sandbox.run(&[&["train", "--resume", "run"], flag].concat()).failed(2);
        assert!(error.contains("cannot be used with"), "{flag:?}: {error}");
    }
    // Settings that change no number may differ.
    let settings = [
        "train",
        "--resume",
        "run",
        "--threads",
        "1",
        "--time-budget",
        "1",
        "--keep",
        "1",
        "--picture-cache",
        "memory",
    ];
    assert!(sandbox.run(&settings).failed(1).contains("there is no such folder"));
}

#[test]
fn a_rate_is_found_and_nothing_is_left_behind() {
    let sandbox = Sandbox::new();
    data(&sandbox);
    std::fs::create_dir(sandbox.path("scratch")).unwrap();
    let find = |arguments: &[&str]| {
        let mut command = sandbox.command(&[&["train", "data", "--weights", "toy.bpk"], arguments].concat());
        crate::sandbox::Run::from(command.env("TMPDIR", sandbox.path("scratch")).output().unwrap())
    };
    let found = find(&["--recipe", "scratch", "--batch-size", "4", "--find-rate", "curve.png"]);
    let rate = found.stdout.trim().strip_prefix("suggested: --learning-rate ");
    let rate: f64 = rate
        .and_then(|rate| rate.parse().ok())
        .unwrap_or_else(|| panic!("{}", found.stderr));
    assert!((1e-7..=10.0).contains(&rate));
    assert!(found.stderr.contains("curve    curve.png"), "{}", found.stderr);
    assert!(image::open(sandbox.path("curve.png")).is_ok());
    // The default recipe's last phase comes after its head.
    let found = find(&["--epochs", "1", "--batch-size", "4", "--find-rate", "other.png"]);
    let said = &found.stderr;
    assert!(
        said.contains("phase 1 head") && sandbox.path("other.png").exists(),
        "{said}"
    );
    assert!(!sandbox.path("runs").exists());
    assert_eq!(std::fs::read_dir(sandbox.path("scratch")).unwrap().count(), 0);
}

#[test]
fn mistakes_are_one_sentence() {
    let sandbox = Sandbox::new();
    data(&sandbox);
    let toy = |more: &[&str], status| {
        let error = sandbox.run(&[&["train", "data", "--weights", "toy.bpk"], more].concat());
        let error = error.failed(status);
        assert!(!error.contains("\\n"), "{error}");
        error
    };
    sandbox.write("broken.toml", "name = \"x\"\nabout = \"y\"\nstart = \"nowhere\"\n");
    let error = toy(&["--recipe", "broken.toml"], 1);
    assert!(
        error.contains("broken.toml: line 3: unknown variant `nowhere`"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
    for flag in ["--preview", "--find-rate"] {
        assert!(toy(&[flag, "samples.jpg"], 1).contains("ends in .png"));
    }
    let error = toy(&["--preview", "lost/samples.png"], 1);
    assert!(error.contains("lost") && !error.contains(".tmp"), "{error}");
    assert!(toy(&["--learning-rate", "-1"], 2).contains("expected a number above 0"));
    assert!(toy(&["--time-budget", "-1"], 1).contains("-1 minutes cannot be a time"));
    let error = sandbox.run(&["train", "--resume", "toy.bpk"]).failed(1);
    assert!(
        error.contains("toy.bpk: this is a file, not the folder of a run"),
        "{error}"
    );
    assert!(toy(&["-o", "data"], 1).contains("lies in the data"));
    assert!(toy(&["-o", "data/runs"], 1).contains("lies in the data"));
    sandbox.write("mine/notes.txt", "");
    assert!(toy(&["-o", "mine"], 1).contains("is not empty"));
    sandbox.write("begun/run.toml", "");
    let error = sandbox
        .run(&["classify", "data/a/1.png", "--weights", "begun"])
        .failed(1);
    assert!(error.contains("not finished: xception train --resume begun"), "{error}");
}

#[test]
fn an_augmentation_is_shown_to_be_copied() {
    let sandbox = Sandbox::new();
    let text = sandbox
        .run(&["train", "--show-augmentation", "strong", "--size", "71"])
        .ok();
    assert!(
        text.contains("[train.rand_augment]") && text.contains("size = 71"),
        "{text}"
    );
    sandbox.write("mine.toml", text);
    data(&sandbox);
    let more = ["--augmentation", "mine.toml", "--preview", "samples.png"];
    let said = sandbox
        .run(&[&["train", "data", "--weights", "toy.bpk"][..], &more].concat())
        .ok();
    assert_eq!(said, "preview  samples.png\n");
    let error = sandbox.run(&["train", "--show-augmentation", "wild"]).failed(2);
    assert!(error.contains("none, light, medium, strong"), "{error}");
}

#[test]
fn a_finished_run_keeps_what_it_is_asked_to_keep() {
    let sandbox = Sandbox::new();
    data(&sandbox);
    run(&sandbox, &[&PROBE[..], &["--keep-checkpoints"]].concat(), 0);
    for file in ["last.bpk", "checkpoints", "features"] {
        assert!(sandbox.path("run").join(file).exists(), "{file}");
    }
    let (done, said) = run(&sandbox, &["train", "--resume", "run"], 0);
    assert!(said.contains("continues with the evaluation"), "{said}");
    assert!(done.contains(" pictures right "), "{done}");
    assert!(!sandbox.path("run/checkpoints").exists());
}

/// Every answer is right or wrong there as if the network always gave the same one.
#[test]
fn test_pictures_of_one_class_prove_nothing() {
    let sandbox = Sandbox::new();
    for seed in 0..10 {
        sandbox.picture(&format!("data/a/{seed}.png"), seed);
    }
    sandbox.picture("data/b/100.png", 100);
    let (said, warnings) = run(&sandbox, &PROBE, 0);
    let text = (said + &warnings).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("all of these pictures are of one class, a: they do not show"),
        "{text}"
    );
    assert!(!text.contains("no better than"), "{text}");
}

/// The confidences change, and no class does.
#[test]
fn a_temperature_is_stored_in_the_weights_of_a_finished_run() {
    let sandbox = Sandbox::new();
    data(&sandbox);
    // Some pictures of each class look like the other: only wrong predictions choose a temperature.
    for seed in 0..3 {
        sandbox.picture(&format!("data/a/{seed}.png"), 200 + seed);
        sandbox.picture(&format!("data/b/{seed}.png"), 10 + seed);
    }
    let (said, _) = run(&sandbox, &[&PROBE[..], &["--val-fraction", "0.4"]].concat(), 0);
    assert!(said.contains("calibration error "), "{said}");
    let classify = || {
        let arguments = ["classify", "data", "--weights", "run", "--format", "csv"];
        let answer = sandbox.run(&arguments).ok();
        let cells = answer.lines().skip(1).map(|line| {
            let (head, probability) = line.rsplit_once(',').unwrap();
            (head.to_owned(), probability.parse::<f64>().unwrap())
        });
        cells.collect::<Vec<_>>()
    };
    let before = classify();
    run(&sandbox, &["train", "--resume", "run", "--calibrate"], 0);
    let card = std::fs::read_to_string(sandbox.path("run/model.bpk.card.toml")).unwrap();
    let value = card.lines().find_map(|line| line.strip_prefix("value = "));
    let value: f64 = value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("{card}"));
    let after = classify();
    assert_eq!(before.len(), after.len());
    for ((name, before), (same, after)) in before.iter().zip(&after) {
        assert_eq!(name, same);
        // Of two classes, the logit of the probability is divided.
        let logit = |probability: f64| (probability / (1.0 - probability)).ln();
        assert!(
            (logit(*before) / value - logit(*after)).abs() < 0.01 * logit(*before).abs() + 1e-3,
            "{before} {after} {value}"
        );
    }
    let error = sandbox.run(&["train", "--resume", "run", "--calibrate"]).failed(1);
    assert!(error.contains("temperature already"), "{error}");
}

/// The most needed flags come first.
#[test]
fn help_begins_with_five_flags() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["train", "--help"]).ok();
    let flags: Vec<&str> = help
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('-'))
        .take(5)
        .map(|line| line.split([' ', ',']).next().unwrap())
        .collect();
    assert_eq!(flags, ["-r", "-e", "-w", "-o", "--resume"]);
    assert!(!help.contains("--plain"));
    for word in ["`labels`", "`split`", "whole time"] {
        assert!(help.contains(word), "{word}");
    }
}

#[cfg(unix)]
#[test]
fn control_c_saves_and_says_how_to_go_on() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let sandbox = Sandbox::new();
    data(&sandbox);
    let arguments = [
        "train",
        "data",
        "--weights",
        "toy.bpk",
        "--recipe",
        "scratch",
        "--epochs",
        "100000",
        "--batch-size",
        "4",
        "--output",
        "run",
    ];
    let mut child = sandbox.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    // One epoch is done, and the next one runs.
    while !line.contains("1/100000  ") {
        line.clear();
        assert_ne!(errors.read_line(&mut line).unwrap(), 0, "it ended");
    }
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let mut said = String::new();
    errors.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("stopping: the step is finished and saved"), "{said}");
    assert!(said.contains("continue with: xception train --resume run"), "{said}");

    // The stopped run can be used, and continued.
    sandbox.run(&["classify", "data/a/1.png", "--weights", "run"]).ok();
    let (done, said) = run(&sandbox, &["train", "--resume", "run", "--time-budget", "0"], 0);
    assert!(done.contains("report"), "{done}");
    assert!(
        said.contains("to continue with more time: xception train --resume run"),
        "{said}"
    );
}
