use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::bench::{Bench, LABELS, Run, parse_csv};

/// The files of a `jsonl` report.
fn files(report: &str) -> Vec<String> {
    let line = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["file"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    report.lines().map(line).collect()
}

#[test]
fn every_format_tells_what_the_library_says() {
    let bench = Bench::new();
    let names = bench.pictures(3);
    let classifier = bench.classifier().fuse();
    let pixels: Vec<_> = names
        .iter()
        .map(|name| classifier.prepare_file(&bench.path(name)).unwrap())
        .collect();
    let expected = classifier.classify(&pixels, 2).unwrap();
    let run = |format| {
        let arguments = ["classify", "pictures", "-w", "toy.bpk", "-k", "2", "--format", format];
        bench.run(&arguments).ok()
    };

    let check_json = |picture: &Value, index: usize| {
        assert_eq!(picture["file"], names[index]);
        let guesses = picture["predictions"].as_array().unwrap();
        assert_eq!(guesses.len(), 2);
        for (guess, expected) in guesses.iter().zip(&expected[index]) {
            assert_eq!(guess["class"], expected.class);
            assert_eq!(guess["label"], LABELS[expected.class]);
            let probability = guess["probability"].as_f64().unwrap() as f32;
            assert_eq!(probability.to_bits(), expected.probability.to_bits());
        }
    };
    let array: Value = serde_json::from_str(&run("json")).unwrap();
    assert_eq!(array.as_array().unwrap().len(), 3);
    for (index, picture) in array.as_array().unwrap().iter().enumerate() {
        check_json(picture, index);
    }
    let lines = run("jsonl");
    assert_eq!(lines.lines().count(), 3);
    for (index, line) in lines.lines().enumerate() {
        check_json(&serde_json::from_str(line).unwrap(), index);
    }

    let rows = parse_csv(&run("csv"));
    assert_eq!(rows[0], ["file", "rank", "class", "id", "label", "probability"]);
    assert_eq!(rows.len(), 7);
    for (index, row) in rows[1..].iter().enumerate() {
        let expected = &expected[index / 2][index % 2];
        assert_eq!(row[0], names[index / 2]);
        assert_eq!(row[1], (index % 2 + 1).to_string());
        assert_eq!(row[2], expected.class.to_string());
        assert_eq!((row[3].as_str(), row[4].as_str()), ("", LABELS[expected.class]));
        assert_eq!(row[5].parse(), Ok(expected.probability));
    }

    let table = run("text");
    for ((line, name), expected) in table.lines().zip(&names).zip(&expected) {
        let mut line = line.strip_prefix(name.as_str()).unwrap();
        for guess in expected {
            let percent = format!("{:.1} %", 100.0 * guess.probability);
            line = line.trim_start().strip_prefix(&percent).unwrap();
            line = line.trim_start().strip_prefix(LABELS[guess.class]).unwrap();
        }
        assert_eq!(line, "");
    }
    assert_eq!(table.lines().count(), 3);
}

#[test]
fn several_batches_keep_the_order() {
    let bench = Bench::new();
    let names = bench.pictures(23);
    let run = |more: &[&str]| {
        let arguments = [&["classify", "pictures", "-w", "toy.bpk", "--format", "jsonl"], more].concat();
        bench.run(&arguments).ok()
    };
    let whole = run(&["--batch-size", "4", "--threads", "3"]);
    assert_eq!(files(&whole), names, "in natural order");

    // The same pictures one by one, where nothing can be mixed up.
    let guess = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["predictions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|guess| guess["probability"].as_f64().unwrap())
            .sum::<f64>()
    };
    let one_by_one = run(&["--batch-size", "1", "--threads", "1", "-k", "1"]);
    let whole = run(&["--batch-size", "4", "--threads", "3", "-k", "1"]);
    for (one, of_many) in one_by_one.lines().zip(whole.lines()) {
        assert!((guess(one) - guess(of_many)).abs() < 1e-5, "{one} {of_many}");
    }
}

#[test]
fn files_folders_patterns_and_standard_input() {
    let bench = Bench::new();
    bench.pictures(2);
    bench.picture("pictures/deep/3.png", 3);
    bench.picture("called.anything", 4);
    let run = |paths: &[&str]| {
        let arguments = [&["classify", "-w", "toy.bpk", "--format", "jsonl"], paths].concat();
        files(&bench.run(&arguments).ok())
    };
    assert_eq!(run(&["called.anything"]), ["called.anything"]);
    assert_eq!(
        run(&["pictures"]),
        ["pictures/1.png", "pictures/2.png", "pictures/deep/3.png"]
    );
    assert_eq!(
        run(&["pictures/*.png", "called.anything"]),
        ["pictures/1.png", "pictures/2.png", "called.anything"]
    );

    let mut child = bench
        .command(&["classify", "-w", "toy.bpk", "--format", "jsonl", "pictures/1.png", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = std::fs::read(bench.path("pictures/1.png")).unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let report = Run::from(child.wait_with_output().unwrap()).ok();
    assert_eq!(files(&report), ["pictures/1.png", "-"]);
    let [file, stdin] = report.lines().collect::<Vec<_>>()[..] else {
        panic!("{report}");
    };
    assert_eq!(
        file.replace("pictures/1.png", "-"),
        stdin,
        "the same bytes give the same guesses"
    );
}

#[test]
fn what_the_command_line_says_is_laid_over_what_the_weights_say() {
    let bench = Bench::new();
    bench.pictures(1);
    bench.write("labels.txt", "n1\tone\nn2\ttwo\nn3\tthree\n");
    let run = |more: &[&str]| {
        let arguments = [&["classify", "pictures", "-w", "toy.bpk", "--format", "json"], more].concat();
        serde_json::from_str::<Value>(&bench.run(&arguments).ok()).unwrap()[0]["predictions"][0].clone()
    };
    let plain = run(&[]);
    let class = plain["class"].as_u64().unwrap() as usize;
    let labelled = run(&["--labels", "labels.txt"]);
    assert_eq!(labelled["label"], ["one", "two", "three"][class]);
    assert_eq!(labelled["id"], ["n1", "n2", "n3"][class]);
    assert_eq!(labelled["probability"], plain["probability"]);
    assert_ne!(run(&["--size", "75x80"])["probability"], plain["probability"]);
    assert_ne!(run(&["--preset", "pil-bilinear"])["probability"], plain["probability"]);
}

#[test]
fn one_bad_picture_does_not_stop_the_others() {
    let bench = Bench::new();
    bench.pictures(9);
    let whole = std::fs::read(bench.path("pictures/5.png")).unwrap();
    bench.write("pictures/5.png", &whole[..whole.len() / 2]);
    let arguments = [
        "classify",
        "pictures",
        "lost.png",
        "*.gif",
        "-w",
        "toy.bpk",
        "--format",
        "jsonl",
        "--batch-size",
        "2",
    ];
    let run = bench.run(&arguments);
    assert_eq!(run.status, Some(1));
    let files = files(&run.stdout);
    assert_eq!(files.len(), 8);
    assert!(!files.contains(&"pictures/5.png".to_owned()));
    let [pattern, damaged, lost, count] = run.stderr.lines().collect::<Vec<_>>()[..] else {
        panic!("{}", run.stderr);
    };
    assert_eq!(pattern, "error: no file matches `*.gif`");
    assert!(
        damaged.starts_with("error: pictures/5.png: the PNG file is damaged or cut short"),
        "{damaged}"
    );
    assert!(lost.starts_with("error: lost.png: cannot be read: "), "{lost}");
    assert_eq!(count, "error: 2 of 10 pictures could not be read");

    // The last of a batch, and all of them.
    let run = bench.run(&[
        "classify",
        "pictures/1.png",
        "pictures/5.png",
        "-w",
        "toy.bpk",
        "--format",
        "json",
    ]);
    assert_eq!(run.status, Some(1));
    assert_eq!(
        serde_json::from_str::<Value>(&run.stdout)
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let run = bench.run(&["classify", "pictures/5.png", "-w", "toy.bpk", "--format", "json"]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(1), "[]\n"));
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[test]
fn limits_are_kept() {
    let bench = Bench::new();
    bench.pictures(1);
    let run = bench.run(&["classify", "pictures/1.png", "-w", "toy.bpk", "--max-pixels", "7199"]);
    assert!(run.failed(1).contains("90 x 80 pixels, more than the 7199"));
    bench
        .run(&["classify", "pictures/1.png", "-w", "toy.bpk", "--max-pixels", "7200"])
        .ok();
}

#[test]
fn the_output_file_appears_complete_or_not_at_all() {
    let bench = Bench::new();
    bench.pictures(2);
    let arguments = ["classify", "pictures", "-w", "toy.bpk", "--format", "csv"];
    let expected = bench.run(&arguments).ok();
    let to_file = [&arguments[..], &["--output", "out.csv"]].concat();
    assert_eq!(bench.run(&to_file).ok(), "");
    assert_eq!(std::fs::read_to_string(bench.path("out.csv")).unwrap(), expected);
    assert_eq!(bench.listing(), ["out.csv", "pictures", "toy.bpk"]);

    assert!(
        bench
            .run(&to_file)
            .failed(1)
            .ends_with("out.csv exists already; --force replaces it\n")
    );
    bench.write("out.csv", "old");
    assert_eq!(bench.run(&[&to_file[..], &["--force"]].concat()).ok(), "");
    assert_eq!(std::fs::read_to_string(bench.path("out.csv")).unwrap(), expected);

    let folder = bench.run(&[&arguments[..], &["-o", "pictures"]].concat()).failed(1);
    assert!(folder.contains("is a folder"), "{folder}");
    let nowhere = bench.run(&[&arguments[..], &["-o", "no/where.csv"]].concat()).failed(1);
    assert!(nowhere.starts_with("error: cannot write no/where.csv: "), "{nowhere}");
    if cfg!(unix) {
        let device = bench
            .run(&[&arguments[..], &["-o", "/dev/null", "--force"]].concat())
            .failed(1);
        assert!(device.contains("no ordinary file"), "{device}");
    }
}

#[cfg(unix)]
#[test]
fn being_ended_leaves_nothing() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::time::{Duration, Instant};

    let bench = Bench::new();
    bench.pictures(1);
    // It waits for the rest of a picture, with one result written.
    let mut child = bench
        .command(&[
            "classify",
            "pictures",
            "-",
            "-w",
            "toy.bpk",
            "--batch-size",
            "1",
            "-o",
            "out.txt",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    let start = Instant::now();
    // Not an interrupt, which whoever runs the tests in the background has it ignore.
    let interrupt = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(bench.listing(), ["pictures", "toy.bpk"]);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let bench = Bench::new();
    bench.pictures(3);
    for format in ["text", "json", "jsonl", "csv"] {
        let mut child = bench
            .command(&[
                "classify",
                "pictures",
                "-w",
                "toy.bpk",
                "--batch-size",
                "1",
                "--format",
                format,
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let run = Run::from(child.wait_with_output().unwrap());
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{format}");
    }
}
