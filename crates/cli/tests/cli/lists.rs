use std::process::Stdio;

use serde_json::Value;
use xception_model::registry;

use crate::sandbox::{Run, Sandbox};

#[test]
fn the_summary_counts_keras_parameters() {
    let sandbox = Sandbox::new();
    let text = sandbox.run(&["summary"]).ok();
    assert!(text.contains("22,910,480") && text.contains("22,855,952"), "{text}");
    assert!(text.contains("block14_sepconv2"), "{text}");
    let json: Value =
        serde_json::from_str(&sandbox.run(&["summary", "--format", "json", "--classes", "6"]).ok()).unwrap();
    assert_eq!(json["parameters"], 22_910_480 - 994 * 2049);
    assert_eq!(json["input"], serde_json::json!([3, 299, 299]));

    let json = sandbox.run(&["summary", "-w", "toy.bpk", "--format", "json"]).ok();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["input"], serde_json::json!([3, 71, 71]), "the weights' own size");
    let layers = json["layers"].as_array().unwrap();
    assert_eq!(layers.last().unwrap()["output"], serde_json::json!([3]));
    let text = sandbox.run(&["summary", "-w", "toy.bpk", "--size", "99x88"]).ok();
    assert!(text.contains("3 x 99 x 88"), "{text}");
    let error = sandbox.run(&["summary", "--size", "70x71"]).failed(1);
    assert!(
        error.contains("70 x 71; Xception takes pictures from 71 x 71 on"),
        "{error}"
    );
}

#[test]
fn other_architectures_have_summaries() {
    let sandbox = Sandbox::new();
    // `count_params()` of `keras.applications`.
    for (name, parameters) in [
        ("resnet50", 25_636_712),
        ("resnet101", 44_707_176),
        ("resnet152", 60_419_944),
    ] {
        let json = sandbox
            .run(&["summary", "--architecture", name, "--format", "json"])
            .ok();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["parameters"], parameters, "{name}");
        assert_eq!(json["input"], serde_json::json!([3, 224, 224]));
    }
    let text = sandbox
        .run(&["summary", "--architecture", "resnet50", "--size", "32x32"])
        .ok();
    assert!(text.contains("conv5_block3_out"), "{text}");
    let error = sandbox
        .run(&["summary", "--architecture", "resnet50", "--size", "31x32"])
        .failed(1);
    assert!(
        error.contains("31 x 32; ResNet") && error.contains("from 32 x 32 on"),
        "{error}"
    );
}

#[test]
fn devices_are_listed_whether_they_work_or_not() {
    let sandbox = Sandbox::new();
    let text = sandbox.run(&["devices"]).ok();
    assert!(text.starts_with("flex ") && text.contains(" core"), "{text}");
    assert_eq!(text.matches("(default)").count(), 1, "{text}");
    let json: Value = serde_json::from_str(&sandbox.run(&["devices", "--format", "json"]).ok()).unwrap();
    let rows = json.as_array().unwrap();
    assert_eq!(rows.len(), text.lines().count());
    assert_eq!(rows[0]["device"], "flex");
    assert_eq!(
        (&rows[0]["available"], &rows[0]["default"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
}

#[test]
fn every_device_listed_as_available_classifies() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let json: Value = serde_json::from_str(&sandbox.run(&["devices", "--format", "json"]).ok()).unwrap();
    let expected = sandbox.classifier();
    let pixels = expected.prepare_file(sandbox.path("pictures/1.png")).unwrap();
    let expected = expected.classify(&[pixels], 1).unwrap();
    // Mesa's software GPU takes a minute to compile the kernels; it is tested by hand.
    let usable = |row: &&Value| row["available"] == true && !row["about"].as_str().unwrap().contains("llvmpipe");
    for row in json.as_array().unwrap().iter().filter(usable) {
        let device = row["device"].as_str().unwrap();
        let run = sandbox.run(&[
            "classify", "pictures", "-w", "toy.bpk", "-k", "1", "--format", "json", "-d", device,
        ]);
        let report: Value = serde_json::from_str(&run.ok()).unwrap();
        let probability = report[0]["predictions"][0]["probability"].as_f64().unwrap() as f32;
        assert!(
            (probability - expected[0][0].probability).abs() < 1e-4,
            "{device}: {report}"
        );
    }
}

#[test]
fn models_say_what_is_here() {
    let sandbox = Sandbox::new();
    let run = |more: &[&str]| sandbox.run(&[&["models", "--cache", "cache"], more].concat()).ok();
    let table = run(&[]);
    let lines: Vec<&str> = table.lines().collect();
    for (name, rest) in [
        ("xception-imagenet", "299 22.9 M 8.36 G 79.0 % MIT no"),
        ("xception-kitchenware", "not stated no"),
        ("xception41p-timm-ra3", "299 27.0 M 9.20 G 82.0 % Apache-2.0 no"),
        ("resnet152-torchvision-v2", "224 60.3 M 11.51 G 82.3 % BSD-3-Clause no"),
    ] {
        let line = lines.iter().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {table}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words.join(" ").ends_with(rest), "{line}");
        assert!(line.len() <= 78, "{line}");
    }
    for card in registry::names() {
        assert!(lines.iter().any(|line| line.starts_with(&format!("{card} "))), "{card}");
    }
    let text = run(&["xception-imagenet"]);
    for part in ["xception-imagenet", "MIT", "not here", "299 x 299", "https://"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let error = sandbox.run(&["models", "xception-imagnet"]).failed(1);
    assert!(error.contains("known are xception-imagenet"), "{error}");
    assert!(!sandbox.path("cache").exists(), "looking creates nothing");

    let file = "cache/xception-imagenet/xception_weights_tf_dim_ordering_tf_kernels.h5";
    sandbox.write(file, [0; 12_345]);
    assert!(run(&[]).contains("MIT           yes"));
    let text = run(&["xception-imagenet"]);
    assert!(
        text.contains(&format!("here, 12.35 kB: {}", sandbox.path(file).display())),
        "{text}"
    );
    let json: Value = serde_json::from_str(&run(&["--format", "json"])).unwrap();
    assert_eq!(json[0]["name"], "xception-imagenet");
    assert_eq!(json[0]["files"][0]["bytes"], 12_345);
    assert_eq!(json[1]["files"][0]["bytes"], Value::Null);

    let by_variable = sandbox
        .command(&["models", "--format", "json"])
        .env("XCEPTION_CACHE", "cache")
        .output()
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&Run::from(by_variable).ok()).unwrap(),
        json
    );
}

#[test]
fn completions_for_every_shell() {
    let sandbox = Sandbox::new();
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef xception"),
        ("fish", "complete -c xception"),
    ] {
        let script = sandbox.run(&["completions", shell]).ok();
        assert!(script.contains(mark) && script.contains("classify"), "{shell}");
        // Names that can be completed, and files where a file may stand too.
        for name in [
            "linear-probe",
            "xception-kitchenware",
            "block4_sepconv2_bn",
            "pil-bilinear",
        ] {
            assert!(script.contains(name), "{shell}: {name}");
        }
        let files = [
            "compgen -f -W \"fine-tune fine-tune-all",
            "{compadd -- fine-tune fine-tune-all",
            "-F -a \"fine-tune",
        ];
        assert!(files.iter().any(|files| script.contains(files)), "{shell}");
        let asks = format!("xception completions {shell} --class-names");
        assert!(script.contains(&asks), "{shell}");
        // A shell that is installed reads it without complaint.
        if let Ok(check) = std::process::Command::new(shell)
            .args(["-n", "/dev/stdin"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
        {
            let mut check = check;
            std::io::Write::write_all(&mut check.stdin.take().unwrap(), script.as_bytes()).unwrap();
            let output = check.wait_with_output().unwrap();
            assert!(
                output.status.success(),
                "{shell}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    assert!(sandbox.run(&["completions", "tcsh"]).failed(2).contains("bash"));
}

#[test]
fn class_names_are_those_of_the_weights_on_the_line() {
    let sandbox = Sandbox::new();
    let names = |shell: &str, words: &[&str]| {
        let arguments = [&["completions", shell, "--class-names", "explain", "x.png"], words].concat();
        sandbox.run(&arguments).ok()
    };
    assert_eq!(
        names("zsh", &["-w", "toy.bpk", "--class", ""]),
        "cup\n\"fork\", silver\n茶碗\n"
    );
    assert_eq!(names("bash", &["-w", "toy.bpk", "--class", "c"]), "cup\n");
    assert_eq!(
        names("bash", &["--class", "\"fo", "--weights=toy.bpk", "-c", ""]),
        "cup\n\\\"fork\\\",\\ silver\n茶碗\n"
    );
    sandbox.write("names.txt", "one\ntwo\nthree\n");
    assert_eq!(
        names("fish", &["--labels", "names.txt", "--class", "t"]),
        "one\ntwo\nthree\n"
    );
    assert_eq!(names("bash", &["--class", "great_white"]), "great_white_shark\n");
    assert_eq!(names("bash", &["-w", "lost.bpk", "--class", ""]), "");
}

/// The script in a shell, as far as it asks the program.
#[cfg(unix)]
#[test]
fn bash_completes_classes() {
    let sandbox = Sandbox::new();
    let script = sandbox.run(&["completions", "bash"]).ok();
    sandbox.write("xception.bash", &script);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_xception"), sandbox.path("xception")).unwrap();
    let line = "PATH=.:$PATH; source xception.bash; COMP_WORDS=(xception explain x.png -w toy.bpk --class cu); \
                COMP_CWORD=6; _xception xception cu --class; printf '%s|' \"${COMPREPLY[@]}\"";
    let Ok(output) = std::process::Command::new("bash")
        .args(["-c", line])
        .current_dir(sandbox.path("."))
        .output()
    else {
        return;
    };
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "cup|",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_version_names_burn_and_the_backends() {
    let sandbox = Sandbox::new();
    let version = env!("CARGO_PKG_VERSION");
    let long = sandbox.run(&["--version"]).ok();
    assert!(long.starts_with(&format!("xception {version}\nBurn 0.22.")), "{long}");
    assert!(long.contains("backends: flex"), "{long}");
    assert_eq!(sandbox.run(&["-V"]).ok(), format!("xception {version}\n"));
}

#[test]
fn help_has_examples() {
    let sandbox = Sandbox::new();
    let list = sandbox.run(&["--help"]).ok();
    let commands = list.split_once("\nCommands:\n").unwrap().1;
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    for command in &commands {
        let help = sandbox.run(&[command, "--help"]).ok();
        assert!(help.contains(&format!("\n  xception {command}")), "{help}");
    }
    assert_eq!(commands.len(), 14, "{commands:?}");
    assert_eq!(sandbox.run(&["help"]).ok(), sandbox.run(&["--help"]).ok());
}

#[test]
fn logging_goes_to_standard_error() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let run = sandbox.run(&["-v", "classify", "pictures", "-w", "toy.bpk", "--format", "json"]);
    assert_eq!(run.status, Some(0));
    assert!(run.stderr.contains("weights loaded"), "{}", run.stderr);
    serde_json::from_str::<Value>(&run.stdout).unwrap();
}

#[test]
fn threads_and_batches_are_those_that_were_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.pictures(10);
    for verbose in ["-v", "-vv"] {
        let run = sandbox.run(&[
            verbose,
            "classify",
            "pictures",
            "-w",
            "toy.bpk",
            "--threads",
            "2",
            "--batch-size",
            "4",
        ]);
        assert_eq!((run.status, run.stdout.lines().count()), (Some(0), 10));
        let log = run.stderr;
        assert!(!log.contains('\u{1b}'), "colours in a pipe: {log}");
        assert!(log.contains("threads of the network threads=2\n"), "{log}");
        assert!(
            log.contains("pictures found pictures=10 batch_size=4 decoding_threads=2\n"),
            "{log}"
        );
        let batches: Vec<&str> = log
            .lines()
            .filter_map(|line| line.split_once("batch computed pictures="))
            .filter_map(|(_, rest)| rest.split_whitespace().next())
            .collect();
        assert_eq!(batches, ["4", "4", "2"]);
    }
}
