use std::fs;

use serde_json::Value;

use crate::sandbox::{LABELS, Sandbox, parse_csv};

/// `data/CLASS/*.png`, three pictures per class, and how many of them the toy gets right.
fn data(sandbox: &Sandbox) -> usize {
    let classifier = sandbox.classifier();
    let mut right = 0;
    for (class, label) in LABELS.iter().enumerate() {
        for number in 0..3 {
            let name = format!("data/{label}/{number}.png");
            sandbox.picture(&name, (10 * class + number) as u32);
            let said = classifier.classify_file(sandbox.path(&name), 1).unwrap();
            right += usize::from(said[0].class == class);
        }
    }
    right
}

const TOY: [&str; 4] = ["evaluate", "data", "-w", "toy.bpk"];

#[test]
fn figures_are_those_of_the_library_in_every_format() {
    let sandbox = Sandbox::new();
    let right = data(&sandbox);
    let top_1 = right as f64 / 9.0;

    let text = sandbox.run(&TOY).ok();
    for part in [
        "pictures    9 (all pictures of data)\n",
        "preset      keras-nearest, 71 x 71\n",
        &format!("top-1       {:.2} %\n", 100.0 * top_1),
        "pictures/s, ",
        "ECE  ",
        "mean over the classes",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("top-5"), "three classes");
    // Right answers are on the matrix's diagonal, and each row is of the class's three pictures.
    let (_, matrix) = text.split_once("were taken for (column)\n").unwrap();
    let cells: Vec<Vec<usize>> = matrix
        .lines()
        .skip(1)
        .map(|line| {
            let mut cells: Vec<usize> = line
                .split_whitespace()
                .rev()
                .map_while(|cell| cell.parse().ok())
                .collect();
            cells.truncate(LABELS.len());
            cells.reverse();
            cells
        })
        .collect();
    assert_eq!(cells.len(), LABELS.len(), "{text}");
    assert!(cells.iter().all(|row| row.iter().sum::<usize>() == 3), "{text}");
    assert_eq!((0..LABELS.len()).map(|class| cells[class][class]).sum::<usize>(), right);
    let rows: Vec<&str> = text.lines().filter(|line| line.ends_with("         3")).collect();
    assert_eq!(rows.len(), LABELS.len(), "{text}");

    let files = [
        "--json",
        "all.json",
        "--csv",
        "classes.csv",
        "--predictions",
        "pictures.csv",
        "--report",
        "report.html",
    ];
    let json = sandbox.run(&[&TOY[..], &["--format", "json"], &files].concat()).ok();
    let figures: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(figures["preset"], "keras-nearest");
    assert_eq!(figures["pictures"], 9);
    assert!((figures["task"]["top_1"].as_f64().unwrap() - top_1).abs() < 1e-12);
    assert_eq!(figures["classes"][1]["class"], LABELS[1]);
    let saved: Value = serde_json::from_str(&fs::read_to_string(sandbox.path("all.json")).unwrap()).unwrap();
    assert_eq!(saved["classes"], figures["classes"]);

    let classes = fs::read_to_string(sandbox.path("classes.csv")).unwrap();
    assert_eq!(sandbox.run(&[&TOY[..], &["--format", "csv"]].concat()).ok(), classes);
    let rows = parse_csv(&classes);
    assert_eq!(rows.len(), 1 + LABELS.len());
    assert_eq!((rows[2][0].as_str(), rows[2][4].as_str()), (LABELS[1], "3"));
    let rows = parse_csv(&fs::read_to_string(sandbox.path("pictures.csv")).unwrap());
    assert_eq!(rows.len(), 10);
    assert_eq!(rows.iter().filter(|row| row[3] == "true").count(), right);

    let page = fs::read_to_string(sandbox.path("report.html")).unwrap();
    assert!(page.contains("Evaluation of toy.bpk") && page.contains("&quot;fork&quot;, silver"));
    // Nine pictures in their section, and again among the ordinary ones; where nothing speaks for a class of this
    // network of random weights, there is no heat map.
    let heats = page.matches("under its heat map").count();
    assert_eq!(page.matches("src=\"data:image/").count(), 2 * 9 + heats);
    let without = page.matches("no heat map:").count();
    assert_eq!(heats + without, 9, "{heats} heat maps");
}

#[test]
fn the_test_part_is_judged_where_there_is_one() {
    let sandbox = Sandbox::new();
    for (split, count) in [("train", 4), ("val", 2), ("test", 3)] {
        for label in [LABELS[0], LABELS[2]] {
            for number in 0..count {
                sandbox.picture(&format!("data/{split}/{label}/{number}.png"), number + 7 * count);
            }
        }
    }
    let pictures = |more: &[&str]| {
        let json = sandbox.run(&[&TOY[..], &["--format", "json"], more].concat()).ok();
        let figures: Value = serde_json::from_str(&json).unwrap();
        (
            figures["pictures"].as_u64().unwrap(),
            figures["data"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(pictures(&[]), (6, "the test pictures of data".to_owned()));
    assert_eq!(
        pictures(&["--split", "train"]),
        (8, "the train pictures of data".to_owned())
    );
    assert_eq!(pictures(&["--split", "val"]).0, 4);
    let error = sandbox.run(&[&TOY[..], &["--split", "best"]].concat()).failed(2);
    assert!(error.contains("expected train, val or test"), "{error}");
}

#[test]
fn classes_that_do_not_match_are_listed_on_both_sides() {
    let sandbox = Sandbox::new();
    sandbox.picture("data/cup/1.png", 1);
    sandbox.picture("data/mug/1.png", 2);
    let error = sandbox.run(&TOY).failed(1);
    assert!(
        error.contains("classes that the network does not know: `mug`"),
        "{error}"
    );
    assert!(
        error.contains("the network knows `cup`, `\"fork\", silver`, `茶碗`"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
    sandbox.write("labels.txt", "cup\nmug\njar\n");
    let json = sandbox
        .run(&[&TOY[..], &["--labels", "labels.txt", "--format", "json"]].concat())
        .ok();
    assert_eq!(
        serde_json::from_str::<Value>(&json).unwrap()["classes"][1]["support"],
        1
    );
}

#[test]
fn files_that_exist_are_kept_and_bad_pictures_are_told() {
    let sandbox = Sandbox::new();
    data(&sandbox);
    sandbox.write("old.html", "old");
    let arguments = [&TOY[..], &["--report", "old.html"]].concat();
    assert!(
        sandbox
            .run(&arguments)
            .failed(1)
            .contains("old.html exists already; --force replaces it")
    );
    assert_eq!(fs::read_to_string(sandbox.path("old.html")).unwrap(), "old");
    sandbox.run(&[&arguments[..], &["--force"]].concat()).ok();
    assert!(
        fs::read_to_string(sandbox.path("old.html"))
            .unwrap()
            .starts_with("<!doctype html>")
    );

    sandbox.write("data/cup/0.png", "no picture");
    let run = sandbox.run(&[&TOY[..], &["--format", "csv"]].concat());
    assert_eq!((run.status, run.stderr.lines().count()), (Some(1), 1), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: cup/0.png: "), "{}", run.stderr);
    assert_eq!(parse_csv(&run.stdout)[1][4], "2");

    assert!(
        sandbox
            .run(&["evaluate", "lost", "-w", "toy.bpk"])
            .failed(1)
            .contains("lost")
    );
    sandbox.write("empty/notes.txt", "");
    assert!(
        sandbox
            .run(&["evaluate", "empty", "-w", "toy.bpk"])
            .failed(1)
            .contains("empty")
    );
}

#[test]
fn imagenet_in_one_folder() {
    let sandbox = Sandbox::new();
    for number in 1..=4 {
        sandbox.picture(&format!("val/ILSVRC2012_val_0000000{number}.JPEG"), number);
    }
    sandbox.write("labels.txt", "n00000300\tcat\nn00000100\tdog\nn00000200\tcow\n");
    sandbox.write("truth.txt", "n00000300\nn00000300\nn00000100\nn00000200\n");
    let run = |more: &[&str]| {
        let arguments = [
            "evaluate",
            "val",
            "-w",
            "toy.bpk",
            "--labels",
            "labels.txt",
            "--format",
            "csv",
        ];
        sandbox.run(&[&arguments, more].concat())
    };
    let support = |more: &[&str]| -> Vec<String> {
        let rows = parse_csv(&run(more).ok());
        rows.into_iter().skip(1).map(|row| row[4].clone()).collect()
    };
    assert_eq!(support(&["--imagenet-labels", "truth.txt"]), ["2", "1", "1"]);
    sandbox.write("blacklist.txt", "2\n4\n");
    assert_eq!(
        support(&["--imagenet-labels", "truth.txt", "--blacklist", "blacklist.txt"]),
        ["1", "1", "0"]
    );
    sandbox.write("short.txt", "n00000300\n");
    let error = run(&["--imagenet-labels", "short.txt"]).failed(1);
    assert!(
        error.contains("short.txt has no class for") && error.contains("00000002"),
        "{error}"
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "one run, looked at from several sides")]
fn weights_of_a_run_are_judged_by_what_it_did_not_train_on() {
    let sandbox = Sandbox::new();
    for number in 0..12 {
        sandbox.picture(&format!("data/a/{number}.png"), number);
        sandbox.picture(&format!("data/b/{number}.png"), 100 + number);
    }
    let train = [
        "train",
        "data",
        "-w",
        "toy.bpk",
        "--recipe",
        "linear-probe",
        "--epochs",
        "1",
        "--seed",
        "7",
        "-o",
        "run",
    ];
    let trained = sandbox.run(&train);
    assert_eq!(trained.status, Some(0), "{}", trained.stderr);
    for weights in ["run", "run/model.bpk"] {
        let json = sandbox
            .run(&["evaluate", "data", "-w", weights, "--format", "json"])
            .ok();
        let figures: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(figures["data"], "the test pictures of data");
        let (pictures, top_1) = (&figures["pictures"], figures["task"]["top_1"].as_f64().unwrap());
        let right = top_1 * pictures.as_f64().unwrap();
        let line = format!("{:.1} %: {right:.0} of {pictures} test pictures right", 100.0 * top_1);
        assert!(trained.stdout.contains(&line), "{line}\n{}", trained.stdout);
    }
    // Moved pictures are known by their content.
    fs::rename(sandbox.path("data"), sandbox.path("moved")).unwrap();
    let run = |arguments: &[&str]| sandbox.run(&[&["evaluate", "moved", "-w", "run"], arguments].concat());
    let figures = |run: crate::sandbox::Run| {
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        let json: Value = serde_json::from_str(&run.stdout).unwrap();
        (
            json["data"].as_str().unwrap().to_owned(),
            json["pictures"].as_u64().unwrap(),
            json["trained_on"].as_u64().unwrap(),
            run.stderr,
        )
    };
    for arguments in [&["--format", "json"][..], &["--format", "json", "--split", "test"]] {
        let (data, pictures, trained_on, said) = figures(run(arguments));
        assert_eq!(
            (data.as_str(), pictures, trained_on),
            ("the test pictures of moved", 4, 0)
        );
        assert_eq!(said, "");
    }
    let (_, pictures, trained_on, said) = figures(run(&["--format", "json", "--split", "train"]));
    assert_eq!((pictures, trained_on), (16, 16));
    assert!(
        said.starts_with("warning: the network was trained on 16 of the 16 pictures"),
        "{said}"
    );

    // Pictures of the run among others.
    for number in 0..6 {
        sandbox.picture(&format!("moved/a/new{number}.png"), 200 + number);
    }
    let (data, pictures, trained_on, said) = figures(run(&["--format", "json"]));
    assert_eq!((data.as_str(), pictures, trained_on), ("all pictures of moved", 30, 16));
    assert!(
        said.starts_with("warning: the network was trained on 16 of the 30 pictures") && said.contains("--split test"),
        "{said}"
    );
    let (_, pictures, trained_on, said) = figures(run(&["--format", "json", "--split", "test"]));
    assert_eq!((pictures, trained_on), (4, 0));
    assert!(
        said.contains("6 pictures of moved are not among the pictures of the run"),
        "{said}"
    );
    // The data's own split is used; a warning counts training pictures in its test part.
    for (from, to) in [("moved/a", "split/test/a"), ("moved/b", "split/train/b")] {
        fs::create_dir_all(sandbox.path(to)).unwrap();
        fs::remove_dir(sandbox.path(to)).unwrap();
        fs::rename(sandbox.path(from), sandbox.path(to)).unwrap();
    }
    let json = sandbox.run(&["evaluate", "split", "-w", "run", "--format", "json"]);
    let (data, pictures, trained_on, _) = figures(json);
    assert_eq!(
        (data.as_str(), pictures, trained_on),
        ("the test pictures of split", 18, 8)
    );

    // Data that is not the run's has no split.
    for number in 0..3 {
        sandbox.picture(&format!("others/a/{number}.png"), 300 + number);
        sandbox.picture(&format!("others/b/{number}.png"), 400 + number);
    }
    let error = sandbox
        .run(&["evaluate", "others", "-w", "run", "--split", "test"])
        .failed(1);
    assert!(
        error.contains("none of its pictures is one of the run beside the weights"),
        "{error}"
    );
    let json = sandbox
        .run(&["evaluate", "others", "-w", "run", "--format", "json"])
        .ok();
    let figures: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(figures["data"], "all pictures of others");
    assert_eq!(figures["pictures"], 6);
}

#[test]
fn classes_in_another_spelling_are_found_and_foreign_ones_left_out_on_request() {
    let sandbox = Sandbox::new();
    sandbox.write("labels.txt", "Coffee cup\nfork\nknife\n");
    sandbox.picture("data/coffee_cup/1.png", 1);
    sandbox.picture("data/Fork/1.png", 2);
    let evaluate = |more: &[&str]| {
        let arguments = [&TOY[..], &["--labels", "labels.txt", "--format", "csv"], more].concat();
        sandbox.run(&arguments)
    };
    let found = evaluate(&[]);
    assert_eq!(found.status, Some(0), "{}", found.stderr);
    assert_eq!(
        found.stderr,
        "warning: the class Fork is taken for the network's fork\nwarning: the class coffee_cup is taken for the \
         network's Coffee cup\n"
    );
    let supports =
        |text: &str| -> Vec<String> { parse_csv(text).into_iter().skip(1).map(|row| row[4].clone()).collect() };
    assert_eq!(supports(&found.stdout), ["1", "1", "0"]);
    sandbox.picture("data/spoon/1.png", 3);
    let error = evaluate(&[]).failed(1);
    assert!(
        error.contains("`spoon`") && error.contains("--skip-unknown leaves their pictures out"),
        "{error}"
    );
    let found = evaluate(&["--skip-unknown"]);
    assert_eq!(found.status, Some(0), "{}", found.stderr);
    assert!(
        found
            .stderr
            .contains("1 pictures of classes that the network does not know are left out: spoon"),
        "{}",
        found.stderr
    );
    assert_eq!(supports(&found.stdout), ["1", "1", "0"]);
}
