use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use burn::tensor::Device;
use serde_json::Value;
use xception_model::labels::Label;
use xception_model::picture::Preset;
use xception_model::{Classifier, Known, Scaling};

use crate::sandbox::{LABELS, Run, Sandbox, parse_csv};

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
    let sandbox = Sandbox::new();
    let names = sandbox.pictures(3);
    let classifier = sandbox.classifier();
    let pixels: Vec<_> = names
        .iter()
        .map(|name| classifier.prepare_file(sandbox.path(name)).unwrap())
        .collect();
    let expected = classifier.classify(&pixels, 2).unwrap();
    let run = |format| {
        let arguments = ["classify", "pictures", "-w", "toy.bpk", "-k", "2", "--format", format];
        sandbox.run(&arguments).ok()
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
    let sandbox = Sandbox::new();
    let names = sandbox.pictures(23);
    let run = |more: &[&str]| {
        let arguments = [&["classify", "pictures", "-w", "toy.bpk", "--format", "jsonl"], more].concat();
        sandbox.run(&arguments).ok()
    };
    let whole = run(&["--batch-size", "4", "--threads", "2"]);
    assert_eq!(files(&whole), names, "in natural order");

    // One picture per batch: no result can belong to another picture.
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
    let whole = run(&["--batch-size", "4", "--threads", "1", "-k", "1"]);
    for (one, of_many) in one_by_one.lines().zip(whole.lines()) {
        assert!((guess(one) - guess(of_many)).abs() < 1e-5, "{one} {of_many}");
    }
}

#[test]
fn files_folders_patterns_and_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    sandbox.picture("pictures/deep/3.png", 3);
    sandbox.picture("called.anything", 4);
    let run = |paths: &[&str]| {
        let arguments = [&["classify", "-w", "toy.bpk", "--format", "jsonl"], paths].concat();
        files(&sandbox.run(&arguments).ok())
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

    let mut child = sandbox
        .command(&["classify", "-w", "toy.bpk", "--format", "jsonl", "pictures/1.png", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = std::fs::read(sandbox.path("pictures/1.png")).unwrap();
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
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    sandbox.write("labels.txt", "n1\tone\nn2\ttwo\nn3\tthree\n");
    let run = |more: &[&str]| {
        let arguments = [&["classify", "pictures", "-w", "toy.bpk", "--format", "json"], more].concat();
        serde_json::from_str::<Value>(&sandbox.run(&arguments).ok()).unwrap()[0]["predictions"][0].clone()
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
fn a_keras_file_and_a_card_are_weights_as_well() {
    let sandbox = Sandbox::new();
    let names = sandbox.pictures(2);
    let keras = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xception-model/tests/fixtures/keras/toy.keras");
    sandbox.write("mine/toy.keras", std::fs::read(keras).unwrap());
    let file = sandbox.path("mine/toy.keras");
    let known = Known {
        scaling: Some(Scaling::Tf),
        ..Known::default()
    };
    let mut expected = Classifier::load_with(&file, &known, &Device::flex()).unwrap();
    expected.spec.input.preset = Some(Preset::PilBilinear);

    let check = |expected: Classifier, arguments: &[&str]| {
        let pixels: Vec<_> = names
            .iter()
            .map(|name| expected.prepare_file(sandbox.path(name)).unwrap())
            .collect();
        let expected = expected.classify(&pixels, 5).unwrap();
        let arguments = [&["classify", "pictures", "--format", "json", "-w"], arguments].concat();
        let said: Value = serde_json::from_str(&sandbox.run(&arguments).ok()).unwrap();
        for (picture, expected) in said.as_array().unwrap().iter().zip(&expected) {
            let guesses = picture["predictions"].as_array().unwrap();
            assert_eq!(guesses.len(), 5);
            for (guess, expected) in guesses.iter().zip(expected) {
                assert_eq!(guess["label"], expected.label.name);
                let probability = guess["probability"].as_f64().unwrap() as f32;
                assert_eq!(probability.to_bits(), expected.probability.to_bits());
            }
        }
        assert_eq!(said.as_array().unwrap().len(), 2);
    };
    check(
        expected.clone(),
        &["mine/toy.keras", "--scaling", "tf", "--preset", "pil-bilinear"],
    );

    let labels = ["a", "b", "c", "d", "e"];
    let sha256 = files::sha256(&file).unwrap().1;
    sandbox.write(
        "mine/card.toml",
        format!(
            "name = \"mine\"\ndescription = \"A toy\"\nlicence = \"MIT\"\n\
             [network]\nnum_classes = 5\nmiddle_blocks = 1\n\
             widths = {{ stem = [2, 3], entry = [3, 4, 5], exit = [6, 7, 8] }}\n\
             [input]\nheight = 90\nwidth = 80\npreset = \"keras-bilinear\"\nscaling = \"tf\"\n\
             [labels]\nnames = {labels:?}\n\
             [[weights]]\nkind = \"full\"\nfile = \"toy.keras\"\nformat = \"keras\"\nparameters = 1\n\
             sha256 = \"{sha256}\"\nobtain = \"ask\"\n"
        ),
    );
    expected.spec.input.preset = Some(Preset::KerasBilinear);
    (expected.spec.input.height, expected.spec.input.width) = (90, 80);
    expected.spec.labels = labels.map(Label::new).to_vec();
    for card in ["mine", "mine/card.toml"] {
        check(expected.clone(), &[card, "--cache", "cache", "--offline"]);
    }
}

#[test]
fn the_card_of_a_converted_file_stands_for_it() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    sandbox.write("names.txt", "n1\tant\nbee\ncat\ndog\neel\n");
    let keras = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xception-model/tests/fixtures/keras/toy.keras");
    let told = ["--labels", "names.txt", "--preset", "pil-bilinear", "--scaling", "tf"];
    sandbox
        .run(&[&["convert", keras.to_str().unwrap(), "first.bpk"], &told[..]].concat())
        .ok();
    let classify = |weights: &str, more: &[&str]| {
        let arguments = [
            "classify",
            "pictures",
            "--format",
            "csv",
            "--top-k",
            "5",
            "--cache",
            "cache",
            "--offline",
            "-w",
            weights,
        ];
        sandbox.run(&[&arguments[..], more].concat())
    };
    let expected = classify("first.bpk", &[]).ok();
    assert_eq!(classify("first.bpk.card.toml", &[]).ok(), expected);
    for ending in ["bpk", "keras", "h5", "weights.h5", "safetensors", "onnx"] {
        let file = format!("my flowers.{ending}");
        sandbox.run(&["convert", "first.bpk", &file]).ok();
        assert_eq!(classify(&format!("{file}.card.toml"), &[]).ok(), expected, "{file}");
    }

    // What the command line says stands over what the card says.
    let smaller = classify("first.bpk", &["--size", "75x80"]).ok();
    assert_ne!(smaller, expected);
    assert_eq!(classify("first.bpk.card.toml", &["--size", "75x80"]).ok(), smaller);

    // The file's hash is the card's, or it is not loaded.
    let mut bytes = std::fs::read(sandbox.path("first.bpk")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    sandbox.write("first.bpk", bytes);
    let error = classify("first.bpk.card.toml", &[]).failed(1);
    assert!(
        error.contains("first.bpk is not the file that its card describes: its SHA-256 is"),
        "{error}"
    );
    std::fs::remove_file(sandbox.path("first.bpk")).unwrap();
    let error = classify("first.bpk.card.toml", &[]).failed(1);
    assert!(
        error.contains("cannot get first.bpk of first: ") && error.contains("convert toy.keras again"),
        "{error}"
    );
}

#[test]
fn the_card_of_a_backbone_stands_for_it() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    let keras = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xception-model/tests/fixtures/keras/toy.keras");
    sandbox
        .run(&[
            "convert",
            keras.to_str().unwrap(),
            "body.bpk",
            "--no-top",
            "--preset",
            "pil-bilinear",
            "--scaling",
            "tf",
        ])
        .ok();
    for (weights, output) in [("body.bpk", "file.npy"), ("body.bpk.card.toml", "card.npy")] {
        sandbox
            .run(&["embed", "pictures", "-w", weights, "--output", output])
            .ok();
    }
    let read = |name: &str| std::fs::read(sandbox.path(name)).unwrap();
    assert_eq!(read("card.npy"), read("file.npy"));
    let error = sandbox
        .run(&["classify", "pictures", "-w", "body.bpk.card.toml"])
        .failed(1);
    assert!(error.contains("these weights have no classifier"), "{error}");
}

#[test]
fn one_bad_picture_does_not_stop_the_others() {
    let sandbox = Sandbox::new();
    sandbox.pictures(9);
    let whole = std::fs::read(sandbox.path("pictures/5.png")).unwrap();
    sandbox.write("pictures/5.png", &whole[..whole.len() / 2]);
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
    let run = sandbox.run(&arguments);
    assert_eq!(run.status, Some(1));
    let files = files(&run.stdout);
    assert_eq!(files.len(), 8);
    assert!(!files.contains(&"pictures/5.png".to_owned()));
    let [lost, pattern, damaged, count] = run.stderr.lines().collect::<Vec<_>>()[..] else {
        panic!("{}", run.stderr);
    };
    assert_eq!(pattern, "error: no file matches `*.gif`");
    assert!(
        damaged.starts_with("error: pictures/5.png: the PNG file is damaged or cut short"),
        "{damaged}"
    );
    assert!(lost.starts_with("error: lost.png: cannot be read: "), "{lost}");
    assert_eq!(count, "error: 1 of 9 pictures could not be read");

    // The last of a batch, and all of them.
    let run = sandbox.run(&[
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
    let run = sandbox.run(&["classify", "pictures/5.png", "-w", "toy.bpk", "--format", "json"]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(1), "[]\n"));
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

/// As `zlib` computes it.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
    !bytes
        .iter()
        .fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), bit))
}

/// A PNG of 16-bit RGBA that ends where its pixels begin.
fn png_head(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend([width, height].map(u32::to_be_bytes).concat());
    header.extend([16, 6, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    bytes.extend(&header);
    bytes.extend(crc32(&header).to_be_bytes());
    bytes.extend(b"\0\0\x10\0IDAT\x78\x9c");
    bytes
}

#[test]
fn more_pixels_may_also_take_more_memory() {
    let sandbox = Sandbox::new();
    sandbox.write("huge.png", png_head(12_500, 8_000));
    let classify = |more: &[&str]| {
        let arguments = [&["classify", "huge.png", "-w", "toy.bpk"], more].concat();
        sandbox.run(&arguments).failed(1)
    };
    let error = classify(&[]);
    assert!(error.contains("1073741824 bytes"), "{error}");
    let error = classify(&["--max-pixels", "99999999"]);
    assert!(error.contains("12500 x 8000 pixels, more than the 99999999"), "{error}");
    let error = classify(&["--max-pixels", "100000000"]);
    assert!(error.contains("the PNG file is damaged or cut short"), "{error}");
}

#[test]
fn limits_are_kept() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let run = sandbox.run(&["classify", "pictures/1.png", "-w", "toy.bpk", "--max-pixels", "7199"]);
    assert!(run.failed(1).contains("90 x 80 pixels, more than the 7199"));
    sandbox
        .run(&["classify", "pictures/1.png", "-w", "toy.bpk", "--max-pixels", "7200"])
        .ok();
}

#[test]
fn the_output_file_appears_complete_or_not_at_all() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    let arguments = ["classify", "pictures", "-w", "toy.bpk", "--format", "csv"];
    let expected = sandbox.run(&arguments).ok();
    let to_file = [&arguments[..], &["--output", "out.csv"]].concat();
    assert_eq!(sandbox.run(&to_file).ok(), "");
    assert_eq!(std::fs::read_to_string(sandbox.path("out.csv")).unwrap(), expected);
    assert_eq!(sandbox.listing(), ["out.csv", "pictures", "toy.bpk"]);

    assert!(
        sandbox
            .run(&to_file)
            .failed(1)
            .ends_with("out.csv exists already; --force replaces it\n")
    );
    sandbox.write("out.csv", "old");
    assert_eq!(sandbox.run(&[&to_file[..], &["--force"]].concat()).ok(), "");
    assert_eq!(std::fs::read_to_string(sandbox.path("out.csv")).unwrap(), expected);

    let folder = sandbox.run(&[&arguments[..], &["-o", "pictures"]].concat()).failed(1);
    assert!(folder.contains("is a folder"), "{folder}");
    let nowhere = sandbox
        .run(&[&arguments[..], &["-o", "no/where.csv"]].concat())
        .failed(1);
    assert_eq!(nowhere, "error: cannot write no/where.csv: there is no folder no\n");
}

#[cfg(unix)]
#[test]
fn being_ended_leaves_nothing() {
    use std::process::Command;
    use std::time::{Duration, Instant};

    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    // The program has written one result and waits for the rest of a picture.
    let mut child = sandbox
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
    // Not an interrupt, which programs in the background ignore.
    let interrupt = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(sandbox.listing(), ["pictures", "toy.bpk"]);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let sandbox = Sandbox::new();
    sandbox.pictures(3);
    for format in ["text", "json", "jsonl", "csv"] {
        let mut child = sandbox
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

/// In a terminal.
#[cfg(target_os = "linux")]
#[test]
fn a_bar_is_drawn_on_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.pictures(9);
    let seen = |pictures: &str| {
        let program = env!("CARGO_BIN_EXE_xception");
        let line = format!("'{program}' classify {pictures} -w toy.bpk --batch-size 2 -o out.txt --force");
        let output = std::process::Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(sandbox.folder())
            .stdin(Stdio::null())
            .env("TERM", "xterm")
            .env_remove("RUST_LOG")
            .output();
        match output {
            Ok(output) => Some(Run::from(output)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    };
    let Some(many) = seen("pictures") else {
        eprintln!("skipped: there is no `script`, which lends a program a terminal");
        return;
    };
    assert_eq!(many.status, Some(0), "{}", many.stdout);
    assert!(many.stdout.contains("2/9 pictures"), "{:?}", many.stdout);
    let one = seen("pictures/1.png").unwrap();
    assert_eq!(
        (one.status, one.stdout.as_str()),
        (Some(0), ""),
        "no bar for one picture"
    );
}

#[test]
fn a_table_s_pictures_become_a_page_and_a_sheet() {
    let sandbox = Sandbox::new();
    sandbox.pictures(3);
    sandbox.write("some.csv", "path,label\npictures/1.png,a\npictures/3.png,b\n");
    let arguments = [
        "classify",
        "some.csv",
        "-w",
        "toy.bpk",
        "-k",
        "2",
        "--html",
        "page.html",
        "--sheet",
        "sheet.png",
        "--format",
        "csv",
    ];
    let table = sandbox.run(&arguments).ok();
    assert_eq!(table.lines().count(), 1 + 2 * 2, "{table}");
    let page = std::fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert_eq!(page.matches("<figure").count(), 2);
    assert!(page.contains("pictures&#x2f;3.png") && !page.contains("pictures&#x2f;2.png"));
    assert!(image::open(sandbox.path("sheet.png")).is_ok());
    let error = sandbox
        .run(&["classify", "some.csv", "-w", "toy.bpk", "--sheet", "sheet.jpg"])
        .failed(1);
    assert!(error.contains("ends in .png"), "{error}");
}
