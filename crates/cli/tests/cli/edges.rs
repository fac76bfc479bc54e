//! Safe at the edges: outputs, Ctrl-C, threads, and what is found before any work.

use std::fs;
#[cfg(unix)]
use std::process::Stdio;
#[cfg(unix)]
use std::time::{Duration, Instant};

use crate::sandbox::Sandbox;

const CLASSIFY: [&str; 6] = ["classify", "pictures", "-w", "toy.bpk", "--format", "csv"];

#[cfg(target_os = "linux")]
fn to(output: &str) -> Vec<&str> {
    [&CLASSIFY[..], &["-o", output]].concat()
}

#[cfg(target_os = "linux")]
#[test]
fn streams_devices_and_links_are_never_replaced() {
    use std::os::unix::fs::{FileTypeExt, symlink};

    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    let expected = sandbox.run(&CLASSIFY).ok();
    symlink("/dev/stdout", sandbox.path("out")).unwrap();
    for output in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "out"] {
        assert_eq!(sandbox.run(&to(output)).ok(), expected, "{output}");
        // Standard output may be a file; what others wrote there stays.
        let mut file = fs::File::create(sandbox.path("all.csv")).unwrap();
        std::io::Write::write_all(&mut file, b"before\n").unwrap();
        let mut command = sandbox.command(&[&to(output)[..], &["--force"]].concat());
        assert!(command.stdout(file).status().unwrap().success());
        let all = fs::read_to_string(sandbox.path("all.csv")).unwrap();
        assert_eq!(all, format!("before\n{expected}"), "{output}");
    }
    assert!(fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
    sandbox.run(&to("/dev/null")).ok();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());

    fs::create_dir(sandbox.path("real")).unwrap();
    symlink("real/answers.csv", sandbox.path("link.csv")).unwrap();
    fs::write(sandbox.path("real/answers.csv"), "old").unwrap();
    assert!(
        sandbox
            .run(&to("link.csv"))
            .failed(1)
            .contains("exists already; --force")
    );
    sandbox.run(&[&to("link.csv")[..], &["--force"]].concat()).ok();
    assert!(sandbox.path("link.csv").is_symlink());
    assert_eq!(fs::read_to_string(sandbox.path("real/answers.csv")).unwrap(), expected);

    // What must be a file is refused elsewhere.
    for arguments in [
        &[
            "embed",
            "pictures",
            "-w",
            "toy.bpk",
            "--format",
            "npy",
            "-o",
            "/dev/stdout",
        ][..],
        &["explain", "pictures/1.png", "-w", "toy.bpk", "-o", "/dev/stdout"],
    ] {
        assert!(
            sandbox.run(arguments).failed(1).contains("name a file"),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_path_like_a_folder_s_is_refused_before_the_work() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    sandbox.picture("data/cup/1.png", 1);
    for arguments in [
        &CLASSIFY[..],
        &["embed", "pictures", "-w", "toy.bpk", "--format", "npy"],
        &["run", "missing.npy", "-w", "toy.bpk"],
    ] {
        for output in ["x/", "x/y/"] {
            let error = sandbox.run(&[arguments, &["-o", output]].concat()).failed(1);
            assert!(
                error.contains(&format!("{output} is a folder; name a file in it")),
                "{error}"
            );
        }
    }
    for flag in ["--json", "--report", "--csv", "--predictions"] {
        let error = sandbox
            .run(&["evaluate", "data", "-w", "toy.bpk", flag, "x/"])
            .failed(1);
        assert!(error.contains("x/ is a folder"), "{error}");
    }
    assert_eq!(sandbox.listing(), ["data", "pictures", "toy.bpk"]);
}

#[test]
fn more_threads_than_cores_are_not_started() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let run = sandbox.run(&[&CLASSIFY[..], &["--threads", "1024"]].concat());
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.starts_with("warning: --threads 1024: ") && run.stderr.contains("this machine runs no more at once"),
        "{}",
        run.stderr
    );
    let mut command = sandbox.command(&CLASSIFY);
    let output = command.env("RAYON_NUM_THREADS", "999").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.starts_with("warning: RAYON_NUM_THREADS=999: "), "{stderr}");
}

/// Two classes of many large pictures: their check takes a minute.
#[cfg(unix)]
fn large_data(sandbox: &Sandbox) {
    let noise = image::RgbImage::from_fn(1200, 900, |x, y| {
        image::Rgb([x * y, x * 7 + y, y * y].map(|value| (value % 251) as u8))
    });
    fs::create_dir_all(sandbox.path("large/cup")).unwrap();
    fs::create_dir_all(sandbox.path("large/fork")).unwrap();
    noise.save(sandbox.path("large/cup/0.png")).unwrap();
    for number in 1..1000 {
        for class in ["cup", "fork"] {
            let copy = sandbox.path(&format!("large/{class}/{number}.png"));
            fs::hard_link(sandbox.path("large/cup/0.png"), copy).unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn control_c_is_heard_within_a_second_at_every_stage() {
    let sandbox = Sandbox::new();
    large_data(&sandbox);
    sandbox.write("labels.txt", "cup\nfork\nspoon\n");
    for number in 0..6 {
        sandbox.picture(&format!("data/cup/{number}.png"), number);
        sandbox.picture(&format!("data/fork/{number}.png"), 100 + number);
    }
    fs::create_dir(sandbox.path("scratch")).unwrap();
    let before = sandbox.listing();
    let toy = ["-w", "toy.bpk"];
    for (arguments, wait) in [
        (&["train", "large", "--check"][..], 0.3),
        (&["train", "large", "-o", "run"], 0.3),
        (&["train", "large", "--preview", "sheet.png"], 0.3),
        (
            &["evaluate", "large", "--labels", "labels.txt", "--json", "all.json"],
            0.3,
        ),
        (&["classify", "large", "-o", "answers.csv"], 0.3),
        (&["embed", "large", "-o", "vectors.npy"], 0.3),
        // The search is under way: its folder is there.
        (
            &[
                "train",
                "data",
                "--recipe",
                "scratch",
                "--size",
                "299",
                "--find-rate",
                "curve.png",
            ],
            1.0,
        ),
    ] {
        let mut command = sandbox.command(&[arguments, &toy].concat());
        command.env("TMPDIR", sandbox.path("scratch"));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(wait));
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap();
        let start = Instant::now();
        let run = crate::sandbox::Run::from(child.wait_with_output().unwrap());
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{arguments:?}: {:?}",
            start.elapsed()
        );
        assert!(sent.success());
        assert_eq!(run.status, Some(130), "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert_eq!(sandbox.listing(), before, "{arguments:?}");
        let left = fs::read_dir(sandbox.path("scratch")).unwrap().count();
        assert_eq!(left, 0, "{arguments:?}");
    }
}

/// A card whose weights are nowhere.
fn lost_weights(sandbox: &Sandbox) -> &'static str {
    fs::create_dir(sandbox.path("lost")).unwrap();
    let converted = sandbox.run(&["convert", "toy.bpk", "lost/toy.keras"]);
    assert_eq!(converted.status, Some(0), "{}", converted.stderr);
    fs::remove_file(sandbox.path("lost/toy.keras")).unwrap();
    "lost/toy.keras.card.toml"
}

#[test]
fn weights_that_are_not_used_are_not_needed() {
    let sandbox = Sandbox::new();
    let card = lost_weights(&sandbox);
    for number in 0..6 {
        sandbox.picture(&format!("data/a/{number}.png"), number);
        sandbox.picture(&format!("data/b/{number}.png"), 100 + number);
    }
    let train = |more: &[&str]| sandbox.run(&[&["train", "data", "--weights", card], more].concat());
    let stages = sandbox.run(&["run", "--list-stages", "--weights", "toy.bpk"]).ok();
    assert_eq!(sandbox.run(&["run", "--list-stages", "--weights", card]).ok(), stages);
    train(&["--preview", "sheet.png"]).ok();
    assert!(sandbox.path("sheet.png").exists());
    let run = train(&["--recipe", "scratch", "--epochs", "1", "--batch-size", "4", "-o", "run"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(
        train(&["-o", "other"]).stderr.contains("toy.keras"),
        "the default recipe needs them"
    );
    assert!(!sandbox.path("other").exists());
}

#[test]
fn faults_of_the_data_come_before_the_weights() {
    let sandbox = Sandbox::new();
    let card = lost_weights(&sandbox);
    for number in 0..4 {
        sandbox.picture(&format!("one/a/{number}.png"), number);
        sandbox.picture(&format!("around/all/a/{number}.png"), number);
        sandbox.picture(&format!("around/all/b/{number}.png"), 100 + number);
    }
    sandbox.picture("few/a/0.png", 0);
    sandbox.picture("few/b/0.png", 100);
    sandbox.write("lost.csv", "path,label\nlost.png,cat\n");
    for (data, part) in [
        ("one", "a classifier needs at least two classes"),
        ("few", "too few to hold any out"),
        ("around", "did you mean around/all?"),
        ("lost.csv", "cannot be found: lost.png"),
    ] {
        for more in [&["-o", "run"][..], &["--find-rate", "curve.png"]] {
            let run = sandbox.run(&[&["train", data, "--weights", card], more].concat());
            assert_eq!(run.status, Some(1));
            assert!(run.stderr.contains(part), "{}", run.stderr);
        }
        if data != "few" && data != "one" {
            let error = sandbox.run(&["evaluate", data, "--weights", card]).failed(1);
            assert!(error.contains(part), "{error}");
        }
    }
    assert!(!sandbox.path("run").exists() && !sandbox.path("curve.png").exists());
    // All of few pictures can be trained on, on request, and no report is promised.
    let all = [
        "--val-fraction",
        "0",
        "--test-fraction",
        "0",
        "--recipe",
        "scratch",
        "--epochs",
        "1",
        "-o",
        "run",
    ];
    let run = sandbox.run(&[&["train", "few", "--weights", card][..], &all].concat());
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(
        !run.stdout.contains("report") || sandbox.path("run/report.html").exists(),
        "{}",
        run.stdout
    );
}

#[cfg(unix)]
#[test]
fn a_class_that_cannot_be_saved_is_found_by_the_check() {
    let sandbox = Sandbox::new();
    for number in 0..3 {
        sandbox.picture(&format!("data/a\u{1b}[2J/{number}.png"), number);
        sandbox.picture(&format!("data/b\nc/{number}.png"), 100 + number);
    }
    for more in [&["--check"][..], &["-w", "toy.bpk", "-o", "run"]] {
        let error = sandbox.run(&[&["train", "data"], more].concat()).failed(1);
        assert!(
            error.contains("the class \"a\\u{1b}[2J\" cannot be saved with a network") && error.lines().count() == 1,
            "{error:?}"
        );
    }
    assert!(!sandbox.path("run").exists());
}

#[test]
fn label_files_have_many_forms() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    let classify = |file: &str| sandbox.run(&[&CLASSIFY[..], &["--labels", file]].concat());
    sandbox.write("plain.txt", "mug\nspoon\nbowl\n");
    let expected = classify("plain.txt").ok();
    assert!(expected.contains("spoon"));
    for (file, text) in [
        ("bom.txt", "\u{feff}mug\r\nspoon\r\nbowl\r\n"),
        ("header.txt", "label\nmug\nspoon\nbowl\n"),
        ("numbered.txt", "0 mug\n1 spoon\n2 bowl\n"),
        ("table.csv", "class,index\nmug,0\nbowl,2\nspoon,1\n"),
        ("bare.csv", "mug,0\nspoon,1\nbowl,2\n"),
        (
            "class_indices.json",
            "{\n  \"bowl\": 2,\n  \"mug\": 0,\n  \"spoon\": 1\n}\n",
        ),
        (
            "config.json",
            "{\"id2label\": {\"0\": \"mug\", \"1\": \"spoon\", \"2\": \"bowl\"}}",
        ),
    ] {
        sandbox.write(file, text);
        assert_eq!(classify(file).ok(), expected, "{file}");
    }
    for (text, part) in [
        (
            "{'mug': 0, 'spoon': 1, 'bowl': 2}",
            "this is a dictionary or list of Python",
        ),
        (
            "{0: \"mug\", 1: \"spoon\", 2: \"bowl\"}",
            "this is a dictionary or list of Python",
        ),
        ("names:\n- mug\n- spoon\n- bowl\n", "this is a YAML file"),
        ("1 mug\n5 spoon\n9 bowl\n", "every line begins with a number"),
        ("mug\nspoon\n", "2 labels for 3 classes"),
    ] {
        sandbox.write("other", text);
        let error = classify("other").failed(1);
        assert!(error.contains(part), "{text:?}: {error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_never_replace_what_is_read() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    for number in 0..2 {
        sandbox.picture(&format!("data/cup/{number}.png"), number);
        sandbox.picture(&format!("data/spoon/{number}.png"), 100 + number);
    }
    sandbox.write("labels.csv", "path,label\ndata/cup/0.png,cup\ndata/spoon/0.png,spoon\n");
    sandbox.write("names.txt", "cup\nfork\nspoon\n");
    std::os::unix::fs::symlink("toy.bpk", sandbox.path("link")).unwrap();
    let read = |name: &str| fs::read(sandbox.path(name)).unwrap();
    let (weights, picture, table) = (read("toy.bpk"), read("data/cup/0.png"), read("labels.csv"));
    let evaluate = ["evaluate", "labels.csv", "--labels", "names.txt"];
    for (arguments, flag, output) in [
        (&["classify", "data"][..], "-o", "toy.bpk"),
        (&["classify", "data"], "-o", "link"),
        (&["classify", "data"], "-o", "data/cup/0.png"),
        (&["classify", "data"], "--sheet", "./data/cup/0.png"),
        (&["embed", "data"], "-o", "toy.bpk"),
        (&["embed", "data", "--duplicates"], "-o", "data/cup/0.png"),
        (&["explain", "data"], "--html", "toy.bpk"),
        (&["explain", "data/cup/0.png"], "-o", "data/cup/0.png"),
        (&evaluate, "--csv", "labels.csv"),
        (&evaluate, "--json", "toy.bpk"),
    ] {
        let mut all = [arguments, &["-w", "toy.bpk", "--force", flag, output]].concat();
        if arguments[0] == "embed" {
            all.extend(["--format", "csv"]);
        }
        if all.contains(&"--duplicates") {
            all.retain(|argument| !["--format", "csv"].contains(argument));
        }
        let error = sandbox.run(&all).failed(1);
        assert!(
            error.contains("is read by this command, and the result would replace it"),
            "{all:?}: {error}"
        );
        assert_eq!(
            (&read("toy.bpk"), &read("data/cup/0.png")),
            (&weights, &picture),
            "{all:?}"
        );
        assert_eq!(read("labels.csv"), table, "{all:?}");
    }
    for (input, output) in [
        ("toy.bpk", "toy.bpk"),
        ("toy.bpk", "link.bpk"),
        ("./toy.bpk", "toy.bpk"),
    ] {
        std::os::unix::fs::symlink("toy.bpk", sandbox.path("link.bpk")).ok();
        let error = sandbox.run(&["convert", input, output, "--force"]).failed(1);
        assert!(
            error.contains("the result would replace it"),
            "{input} {output}: {error}"
        );
        assert_eq!(read("toy.bpk"), weights, "{input} {output}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_dash_is_standard_output() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    assert_eq!(sandbox.run(&to("-")).ok(), sandbox.run(&CLASSIFY).ok());
    assert!(!sandbox.path("-").exists());
}
