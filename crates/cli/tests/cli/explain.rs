use std::fs;

use image::RgbImage;

use crate::sandbox::{LABELS, Sandbox};

fn read(sandbox: &Sandbox, name: &str) -> RgbImage {
    image::open(sandbox.path(name)).unwrap().into_rgb8()
}

#[test]
fn a_picture_and_its_heat_stand_side_by_side() {
    // The weights are random: in some networks nothing speaks for the likeliest class, which is a warning of its own.
    let draw = || {
        let sandbox = Sandbox::new();
        sandbox.pictures(1);
        let run = sandbox.run(&["explain", "pictures/1.png", "-w", "toy.bpk"]);
        (sandbox, run)
    };
    let mut drawn = (0..20).map(|_| draw());
    let drawn = drawn.find(|(_, run)| !run.stderr.contains("speaks for"));
    let (sandbox, run) = drawn.expect("a network in which something speaks for a class");
    let line = run.ok();
    let said = sandbox
        .classifier()
        .classify_file(sandbox.path("pictures/1.png"), 1)
        .unwrap();
    let percent = 100.0 * said[0].probability;
    assert_eq!(
        line,
        format!(
            "pictures/1.png  {percent:.1} %  {}  1.grad-cam.png\n",
            said[0].label.name
        )
    );
    let sheet = read(&sandbox, "1.grad-cam.png");
    let picture = read(&sandbox, "pictures/1.png");
    assert_eq!(sheet.dimensions(), (2 * 90 + 14 + 46 + 4 * 16, 80 + 64 + 16));
    let part = |left: u32| image::imageops::crop_imm(&sheet, left, 64, 90, 80).to_image();
    assert_eq!(part(16), picture);
    assert_ne!(part(16 + 90 + 16), picture, "no heat");
}

#[test]
fn class_stage_and_method_matter() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let explain = |output: &str, more: &[&str]| {
        let arguments = [
            "explain",
            "pictures/1.png",
            "-w",
            "toy.bpk",
            "--method",
            "layer-cam",
            "-o",
            output,
        ];
        sandbox.run(&[&arguments, more].concat()).ok()
    };
    let by_name = explain("name.png", &["--class", LABELS[1]]);
    assert!(
        by_name.contains(LABELS[1]) && by_name.ends_with("name.png\n"),
        "{by_name}"
    );
    explain("number.png", &["--class", "1"]);
    explain("other.png", &["--class", "2"]);
    explain("early.png", &["--class", "1", "--stage", "block4_sepconv2_bn"]);
    let heat = |name: &str| image::imageops::crop_imm(&read(&sandbox, name), 122, 64, 90, 80).to_image();
    assert_eq!(heat("name.png"), heat("number.png"));
    assert_ne!(heat("name.png"), heat("other.png"));
    assert_ne!(heat("name.png"), heat("early.png"));
}

#[test]
fn folders_in_and_out() {
    let sandbox = Sandbox::new();
    sandbox.pictures(3);
    sandbox.write("pictures/2.png", "no picture");
    let arguments = ["explain", "pictures", "-w", "toy.bpk", "-o", "seen"];
    let run = sandbox.run(&arguments);
    assert_eq!((run.status, run.stdout.lines().count()), (Some(1), 2), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: pictures/2.png: "), "{}", run.stderr);
    let mut written: Vec<_> = fs::read_dir(sandbox.path("seen"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    assert_eq!(written, ["1.grad-cam.png", "3.grad-cam.png"]);

    assert!(
        sandbox
            .run(&arguments)
            .failed(1)
            .contains("1.grad-cam.png exists already; --force replaces it")
    );
    let again = sandbox.run(&[&arguments[..], &["--force"]].concat());
    assert_eq!(again.stdout.lines().count(), 2, "{}", again.stderr);
}

#[test]
fn wrong_questions_are_sentences() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    let error = |status, more: &[&str]| {
        let arguments = ["explain", "pictures/1.png", "-w", "toy.bpk"];
        let error = sandbox.run(&[&arguments, more].concat()).failed(status);
        assert_eq!(sandbox.listing(), ["pictures", "toy.bpk"], "nothing is left behind");
        error
    };
    assert!(error(1, &["--class", "mug"]).contains("no class `mug`; the network knows cup, "));
    assert!(error(1, &["--class", "3"]).contains("no class 3: the network has 3, counted from 0"));
    assert!(error(1, &["--stage", "block4_sepconv2_bm"]).contains("did you mean `block4_sepconv2_bn`?"));
    assert!(error(1, &["--stage", "avg_pool"]).contains("is a vector"));
    assert!(error(2, &["--method", "lime"]).contains("grad-cam"));
    assert!(error(2, &["pictures/2.png", "-o", "one.png"]).contains("one.png is one file"));
    assert!(error(1, &["pictures/1.png"]).contains("two pictures would be written to 1.grad-cam.png"));
    let lost = sandbox.run(&["explain", "lost.png", "-w", "toy.bpk"]).failed(1);
    assert!(lost.starts_with("error: lost.png: cannot be read: "), "{lost}");
}

#[test]
fn several_classes_stand_side_by_side() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let arguments = [
        "explain",
        "pictures/1.png",
        "-w",
        "toy.bpk",
        "-o",
        "two.png",
        "-c",
        LABELS[2],
        "-c",
        "0",
    ];
    // In a network of random weights, nothing may speak for a class, which is a warning.
    let line = sandbox.run(&arguments).stdout;
    assert!(line.find(LABELS[2]) < line.find(LABELS[0]), "{line}");
    let sheet = read(&sandbox, "two.png");
    assert_eq!(sheet.dimensions(), (3 * 90 + 14 + 46 + 5 * 16, 80 + 64 + 16));
    let heat = |left: u32| image::imageops::crop_imm(&sheet, left, 64, 90, 80).to_image();
    let run = sandbox.run(&["explain", "pictures/1.png", "-w", "toy.bpk", "-o", "one.png", "-c", "0"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let alone = image::imageops::crop_imm(&read(&sandbox, "one.png"), 122, 64, 90, 80).to_image();
    assert_eq!(heat(16 + 2 * 106), alone);
}

#[test]
fn a_folder_becomes_one_page_and_one_sheet() {
    let sandbox = Sandbox::new();
    sandbox.pictures(3);
    let arguments = [
        "explain",
        "pictures",
        "-w",
        "toy.bpk",
        "--html",
        "seen.html",
        "--sheet",
        "seen.png",
    ];
    let run = sandbox.run(&arguments);
    assert_eq!((run.status, run.stdout.lines().count()), (Some(0), 3), "{}", run.stderr);
    let page = fs::read_to_string(sandbox.path("seen.html")).unwrap();
    assert_eq!(
        page.matches("src=\"data:image/jpeg").count(),
        6,
        "each picture and its heat"
    );
    assert!(read(&sandbox, "seen.png").width() > 3 * 160);
    assert!(!sandbox.path("1.grad-cam.png").exists());
    assert!(sandbox.run(&arguments).failed(1).contains("exists already"));
}
