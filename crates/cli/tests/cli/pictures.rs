//! Pictures that are doubtful, skipped or oddly named.

use std::fs;
use std::path::Path;

use crate::sandbox::{Run, Sandbox, parse_csv};

/// A golden file of the library's tests.
fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xception-model/tests/golden/picture");
    fs::read(folder.join(name)).unwrap()
}

/// Runs `classify --format csv`.
fn classify(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    sandbox.run(&[&["classify", "-w", "toy.bpk", "--format", "csv"], arguments].concat())
}

#[test]
fn doubtful_pictures_are_read_with_a_warning() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("dark.png"), golden("png-12bit-grey.png")).unwrap();
    fs::write(sandbox.path("open.png"), golden("png-no-end.png")).unwrap();
    let run = classify(&sandbox, &["dark.png", "open.png"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let warnings: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(warnings.len(), 3, "{}", run.stderr);
    assert!(warnings[0].starts_with("warning: dark.png: the largest of its 16-bit samples is 4095"));
    assert!(warnings[0].contains("--sixteen-bit stretch"));
    assert!(warnings[1].starts_with("warning: open.png: the PNG file is damaged (its end is missing)"));
    assert_eq!(warnings[2], "warning: 2 of 2 pictures are doubtful");
    let dark = parse_csv(&run.stdout);

    let stretched = classify(&sandbox, &["dark.png", "--sixteen-bit", "stretch"]).ok();
    let stretched = parse_csv(&stretched);
    assert_ne!(dark[1][5], stretched[1][5], "the same probability");
}

#[test]
fn every_exception_has_a_switch() {
    let sandbox = Sandbox::new();
    let folder = [
        ("png-orientation-6.png", "--orientation", "stored"),
        ("png-rgba.png", "--alpha", "drop"),
        ("png-rgba.png", "--alpha", "black"),
        ("png-grey-16bit.png", "--sixteen-bit", "clip"),
    ];
    for (name, flag, mode) in folder {
        fs::write(sandbox.path(name), golden(name)).unwrap();
        let plain = classify(&sandbox, &[name]).ok();
        let switched = classify(&sandbox, &[name, flag, mode]).ok();
        assert_ne!(plain, switched, "{flag} {mode}");
    }
    let mut cut = golden("jpeg-420.jpg");
    cut.truncate(cut.len() - 60);
    fs::write(sandbox.path("cut.jpg"), cut).unwrap();
    let run = classify(&sandbox, &["cut.jpg"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("the data end early"), "{}", run.stderr);
    let run = classify(&sandbox, &["cut.jpg", "--truncated", "fill"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(
        run.stderr
            .starts_with("warning: cut.jpg: the JPEG file is damaged (the data end early")
    );
}

#[test]
fn skipped_pictures_are_counted() {
    let sandbox = Sandbox::new();
    sandbox.pictures(2);
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    for name in ["a.heic", "b.HEIC"] {
        fs::write(sandbox.path("pictures").join(name), heic).unwrap();
    }
    let run = classify(&sandbox, &["pictures"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(
        run.stderr
            .starts_with("warning: pictures: skipped 2 HEIC; for HEIC: python -c "),
        "{}",
        run.stderr
    );
    let run = classify(&sandbox, &["pictures/a.heic"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("this is a HEIC picture, which is not read"),
        "{}",
        run.stderr
    );
}

/// The glob crate panics at such names.
#[cfg(target_os = "linux")]
#[test]
fn a_pattern_over_a_name_that_is_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let sandbox = Sandbox::new();
    let picture = golden("png-rgb.png");
    fs::write(sandbox.path("a.png"), &picture).unwrap();
    let odd = Path::new(OsStr::from_bytes(b"caf\xe9.png"));
    fs::write(sandbox.path("x").with_file_name(odd), &picture).unwrap();
    let rows = parse_csv(&classify(&sandbox, &["*.png", "-k", "1"]).ok());
    let names: Vec<&str> = rows[1..].iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["a.png", "caf\u{fffd}.png"]);
}
