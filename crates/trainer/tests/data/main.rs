//! Data sets are found, checked and split.

mod layouts;
mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use image::{Rgb, RgbImage};
use tempfile::TempDir;
use trainer::data::{DataError, DataOptions, DataReport, Dataset, Split, class_weights};

/// Saves a small picture whose pixels depend on `number`.
fn paint(path: &Path, number: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let picture = RgbImage::from_fn(12 + number % 5, 10, |x, y| {
        Rgb([(x * 20) as u8, (y * 25) as u8, 0].map(|level| level ^ (number * 37 + number / 7) as u8))
    });
    picture.save_with_format(path, image::ImageFormat::Png).unwrap();
}

/// A folder with so many pictures per class: `NAME/000.png`, `NAME/001.png`...
fn folder(classes: &[(&str, u32)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let mut number = 0;
    for &(class, count) in classes {
        for index in 0..count {
            paint(&root.path().join(class).join(format!("{index:03}.png")), number);
            number += 1;
        }
    }
    root
}

fn open(path: &Path) -> (Dataset, DataReport) {
    Dataset::open(path, &DataOptions::default()).unwrap()
}

fn error(path: &Path) -> String {
    Dataset::open(path, &DataOptions::default()).unwrap_err().to_string()
}

fn uses(dataset: &Dataset) -> BTreeMap<String, Split> {
    let samples = dataset.samples.iter();
    samples.map(|sample| (sample.name.clone(), sample.split)).collect()
}

#[test]
fn one_folder_per_class_is_found_at_any_depth() {
    let root = folder(&[("b", 4), ("a/deep/deeper", 3), ("10", 3), ("2", 3)]);
    fs::write(root.path().join("b/notes.txt"), "x").unwrap();
    fs::write(root.path().join("b/drawing.svg"), "<svg/>").unwrap();
    fs::write(root.path().join("b/.hidden.png"), "x").unwrap();
    fs::create_dir(root.path().join("empty")).unwrap();
    fs::create_dir(root.path().join(".git")).unwrap();
    paint(&root.path().join("loose.PNG"), 500);
    fs::rename(root.path().join("b/000.png"), root.path().join("b/000.PNG")).unwrap();

    let (dataset, report) = open(root.path());
    // In the order of their bytes, as in Keras and torchvision.
    assert_eq!(dataset.classes, ["10", "2", "a", "b"]);
    assert!(!dataset.multi_label);
    let names: Vec<&str> = dataset.samples.iter().map(|sample| sample.name.as_str()).collect();
    assert!(names.contains(&"a/deep/deeper/002.png") && names.contains(&"b/000.PNG"));
    assert_eq!(names.len(), 13);
    for sample in &dataset.samples {
        let [label] = sample.labels[..] else {
            panic!("{sample:?}")
        };
        assert!(sample.name.starts_with(&dataset.classes[label]));
        assert_eq!(sample.path, root.path().join(&sample.name));
    }
    let warnings = report.warnings.join("\n");
    assert!(warnings.contains("1 picture in no class's folder"), "{warnings}");
    assert!(warnings.contains("no pictures in empty, ignored"), "{warnings}");
    assert!(warnings.contains("ignored: 1 .svg, 1 .txt"), "{warnings}");
    let widths = report.sizes.width;
    assert_eq!((widths.min, widths.max, report.sizes.height.median), (12, 16, 10));
}

#[test]
fn each_class_is_split_alike_by_the_seed() {
    let root = folder(&[("cat", 40), ("dog", 20), ("emu", 3), ("fox", 2)]);
    let (dataset, report) = open(root.path());
    let counts: Vec<_> = report
        .classes
        .iter()
        .map(|class| (class.train, class.val, class.test))
        .collect();
    assert_eq!(counts, [(28, 6, 6), (14, 3, 3), (1, 1, 1), (1, 1, 0)]);
    assert_eq!((report.total.train, report.total.val, report.total.test), (44, 11, 10));
    assert_eq!(
        report.warnings,
        [
            "no test pictures of fox",
            "fewer than 5 training pictures of emu, fox: such classes are hardly learnt",
        ]
    );
    assert_eq!(dataset.count(Split::Train), 44);
    assert_eq!(dataset.indices(Split::Val).len(), 11);
    assert_eq!(uses(&open(root.path()).0), uses(&dataset), "a second time");

    let seeded = |seed| {
        let options = DataOptions {
            seed,
            ..DataOptions::default()
        };
        uses(&Dataset::open(root.path(), &options).unwrap().0)
    };
    assert_eq!(seeded(42), uses(&dataset));
    assert_ne!(seeded(43), uses(&dataset));

    let whole = DataOptions {
        val_fraction: 0.0,
        test_fraction: 0.0,
        ..DataOptions::default()
    };
    let (whole, report) = Dataset::open(root.path(), &whole).unwrap();
    assert_eq!(
        (whole.count(Split::Train), report.split_by.as_str()),
        (65, "all for training")
    );
}

#[test]
fn renaming_moves_no_picture_and_adding_moves_few() {
    let root = folder(&[("cat", 60), ("dog", 60)]);
    let by_content = |dataset: &Dataset| -> BTreeMap<String, Split> {
        let samples = dataset.samples.iter();
        samples
            .map(|sample| (sample.content.to_string(), sample.split))
            .collect()
    };
    let before = by_content(&open(root.path()).0);
    for index in 0..60 {
        let name = |name: String| root.path().join("cat").join(name);
        fs::rename(name(format!("{index:03}.png")), name(format!("z{}.png", 99 - index))).unwrap();
    }
    assert_eq!(by_content(&open(root.path()).0), before);
    for index in 0..6 {
        paint(&root.path().join(format!("cat/new{index}.png")), 900 + index);
    }
    let after = by_content(&open(root.path()).0);
    let moved = before
        .iter()
        .filter(|(content, split)| after[*content] != **split)
        .count();
    assert!(moved <= 6, "{moved} of 120 moved");
}

#[test]
fn copies_stay_on_one_side_and_are_reported() {
    let root = folder(&[("cat", 20), ("dog", 20)]);
    for index in 0..20 {
        let from = root.path().join(format!("cat/{index:03}.png"));
        fs::copy(&from, root.path().join(format!("cat/copy{index}.png"))).unwrap();
    }
    fs::copy(root.path().join("dog/000.png"), root.path().join("cat/wrong.png")).unwrap();
    let (dataset, report) = open(root.path());
    let mut sides: BTreeMap<_, BTreeSet<Split>> = BTreeMap::new();
    for sample in &dataset.samples {
        sides.entry(sample.content).or_default().insert(sample.split);
    }
    assert!(sides.values().all(|splits| splits.len() == 1));
    assert!(report.total.val >= 5 && report.total.test >= 5);
    assert_eq!((report.duplicates.len(), report.leaking.len()), (21, 0));
    let [conflict] = &report.conflicting[..] else {
        panic!("{report}")
    };
    let files: Vec<&str> = conflict.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(files, ["cat/wrong.png", "dog/000.png"]);
    let text = report.to_string();
    assert!(
        text.contains("21 groups of files with the same pixels:\n  cat/000.png = cat/copy0.png"),
        "{text}"
    );
    assert!(text.contains("  and 11 more"), "{text}");
    assert!(text.contains("cat/wrong.png (cat) = dog/000.png (dog)"), "{text}");
}

#[test]
fn pictures_saved_again_without_loss_are_copies() {
    let root = folder(&[("cat", 20), ("dog", 20)]);
    for index in 0..20 {
        let from = root.path().join(format!("cat/{index:03}.png"));
        let picture = image::open(&from).unwrap();
        picture.save(from.with_extension("bmp")).unwrap();
        let cut = picture.crop_imm(0, 0, picture.width(), picture.height() - 1);
        cut.save(from.with_extension("cut.png")).unwrap();
    }
    let (dataset, report) = open(root.path());
    assert_eq!(report.duplicates.len(), 20);
    assert!(report.leaking.is_empty() && report.total.test >= 5);
    let text = report.to_string();
    assert!(text.contains("  cat/000.bmp = cat/000.png\n"), "{text}");
    let contents: BTreeSet<_> = dataset.samples.iter().map(|sample| sample.content).collect();
    assert_eq!(contents.len(), 80);
}

#[test]
fn train_val_and_test_folders_are_kept_and_leaks_reported() {
    let root = folder(&[
        ("Training/cat", 5),
        ("Training/dog", 6),
        ("valid/cat", 2),
        ("valid/dog", 3),
        ("test/dog", 2),
        ("extra/cat", 1),
    ]);
    fs::copy(
        root.path().join("Training/cat/000.png"),
        root.path().join("test/dog/leak.png"),
    )
    .unwrap();
    let (dataset, report) = open(root.path());
    assert_eq!(dataset.classes, ["cat", "dog"]);
    let counts: Vec<_> = report
        .classes
        .iter()
        .map(|class| (class.train, class.val, class.test))
        .collect();
    assert_eq!(counts, [(5, 2, 0), (6, 3, 3)]);
    assert_eq!(report.split_by, "split by its folders");
    assert_eq!(
        report.warnings,
        ["beside the train folder, ignored: extra", "no test pictures of cat"]
    );
    assert_eq!((report.leaking.len(), report.conflicting.len()), (1, 1));
    let text = report.to_string();
    assert!(
        text.contains("Training/cat/000.png (train) = test/dog/leak.png (test)"),
        "{text}"
    );

    fs::create_dir(root.path().join("val")).unwrap();
    let sentence = error(root.path());
    assert!(
        sentence.ends_with("both val and valid hold the val pictures; keep one of them"),
        "{sentence}"
    );
}

#[test]
fn what_is_missing_is_taken_from_training_but_never_a_test() {
    let root = folder(&[("train/cat", 20), ("train/dog", 20), ("test/cat", 4), ("test/dog", 4)]);
    let (_, report) = open(root.path());
    assert_eq!((report.total.train, report.total.val, report.total.test), (34, 6, 8));
    assert_eq!(report.split_by, "split by its folders; validation by seed 42");

    let root = folder(&[("train/cat", 20), ("train/dog", 20), ("val/cat", 4), ("val/dog", 4)]);
    let (_, report) = open(root.path());
    assert_eq!((report.total.train, report.total.val, report.total.test), (40, 8, 0));

    let root = folder(&[("train/cat", 20), ("train/dog", 20)]);
    let (_, report) = open(root.path());
    assert_eq!((report.total.train, report.total.val), (34, 6), "{report}");

    let root = folder(&[("val/cat", 3), ("test/cat", 3)]);
    let sentence = error(root.path());
    assert!(
        sentence.ends_with("there are no pictures to train on; name them train"),
        "{sentence}"
    );
}

#[test]
fn a_class_may_be_called_train() {
    let root = folder(&[("train", 5), ("car", 5), ("ship", 5)]);
    assert_eq!(open(root.path()).0.classes, ["car", "ship", "train"]);
}

#[test]
fn damaged_files_are_skipped_and_named_or_refused() {
    let root = folder(&[("cat", 6), ("dog", 6)]);
    let whole = fs::read(root.path().join("cat/000.png")).unwrap();
    fs::write(root.path().join("cat/cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(root.path().join("cat/empty.jpg"), "").unwrap();
    fs::write(root.path().join("dog/page.jpeg"), "<!DOCTYPE html><p>404").unwrap();
    let (dataset, report) = open(root.path());
    assert_eq!(dataset.samples.len(), 12);
    let names: Vec<&str> = report.unreadable.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["cat/cut.png", "cat/empty.jpg", "dog/page.jpeg"]);
    assert!(report.unreadable[2].reason.contains("HTML page"));
    assert!(
        report
            .to_string()
            .contains("3 files that cannot be decoded, skipped:\n  cat/cut.png: the PNG file")
    );

    let strict = DataOptions {
        strict: true,
        ..DataOptions::default()
    };
    let sentence = Dataset::open(root.path(), &strict).unwrap_err().to_string();
    assert!(
        sentence.contains("3 pictures cannot be decoded: cat/cut.png: the PNG file is damaged"),
        "{sentence}"
    );

    for class in ["cat", "dog"] {
        for entry in fs::read_dir(root.path().join(class)).unwrap() {
            fs::write(entry.unwrap().path(), "no picture").unwrap();
        }
    }
    let sentence = error(root.path());
    assert!(
        sentence.contains("no picture of 15 can be decoded; the first is cat/000.png: "),
        "{sentence}"
    );
}

#[test]
fn a_folder_without_use_is_a_sentence() {
    let empty = tempfile::tempdir().unwrap();
    let sentence = error(empty.path());
    assert!(
        sentence.contains("no pictures found; expected one folder per class with files named .jpg, "),
        "{sentence}"
    );
    paint(&empty.path().join("a.png"), 1);
    let sentence = error(empty.path());
    assert!(
        sentence.ends_with("; 1 picture beside the folders, not in them"),
        "{sentence}"
    );
    fs::create_dir(empty.path().join("cat")).unwrap();
    fs::remove_file(empty.path().join("a.png")).unwrap();
    fs::write(empty.path().join("cat/x.svg"), "").unwrap();
    let sentence = error(empty.path());
    assert!(sentence.ends_with("; found instead: 1 .svg"), "{sentence}");

    let one = folder(&[("cat", 4)]);
    let sentence = error(one.path());
    assert!(sentence.ends_with("all pictures are of one class, cat; a classifier needs at least two classes"));
    assert!(error(&one.path().join("cat/000.png")).contains("neither a folder nor a .csv file"));
    assert!(error(&one.path().join("nowhere")).contains("nowhere: cannot be read: "));

    let options = DataOptions {
        val_fraction: 0.5,
        test_fraction: 0.5,
        ..DataOptions::default()
    };
    let error = Dataset::open(one.path(), &options).unwrap_err();
    assert!(matches!(error, DataError::Fractions { .. }));
}

#[test]
fn too_few_pictures_to_hold_any_out_are_refused() {
    let root = folder(&[("cat", 1), ("dog", 1)]);
    let (dataset, _) = open(root.path());
    let sentence = dataset.check_held_out(&DataOptions::default()).unwrap_err().to_string();
    assert!(
        sentence.contains("2 pictures of 2 classes are too few to hold any out")
            && sentence.ends_with("--val-fraction 0 --test-fraction 0"),
        "{sentence}"
    );
    let all = DataOptions {
        val_fraction: 0.0,
        test_fraction: 0.0,
        ..DataOptions::default()
    };
    dataset.check_held_out(&all).unwrap();
    let root = folder(&[("cat", 3), ("dog", 2)]);
    open(root.path()).0.check_held_out(&DataOptions::default()).unwrap();
}

/// A name with an escape moves the terminal's cursor, and cannot be saved with a network.
#[cfg(unix)]
#[test]
fn classes_that_cannot_be_saved_are_refused_and_shown_escaped() {
    for name in ["cat\u{1b}[2J", "two\nlines", " "] {
        let root = folder(&[(name, 4), ("dog", 4)]);
        let sentence = error(root.path());
        assert!(
            sentence.contains("cannot be saved with a network") && !sentence.contains(['\u{1b}', '\n']),
            "{sentence:?}"
        );
    }
    let root = folder(&[("cat", 4), ("dog", 4)]);
    fs::write(root.path().join("cat/\u{1b}[2J.png"), "no picture").unwrap();
    let text = open(root.path()).1.to_string();
    assert!(
        text.contains("cat/\\u{1b}[2J.png: ") && !text.contains('\u{1b}'),
        "{text:?}"
    );
}

#[cfg(unix)]
#[test]
fn names_and_links_that_no_one_expects_are_sentences() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt, os::unix::fs::symlink};

    let root = folder(&[("cat", 4), ("dog", 4)]);
    // A link to the folder of a class is followed.
    let elsewhere = folder(&[("emu", 3)]);
    symlink(elsewhere.path().join("emu"), root.path().join("emu")).unwrap();
    symlink("/nowhere", root.path().join("broken")).unwrap();
    symlink("/nowhere.png", root.path().join("cat/broken.png")).unwrap();
    symlink("/nowhere", root.path().join("dog/latest")).unwrap();
    let (dataset, report) = open(root.path());
    assert_eq!(dataset.classes, ["cat", "dog", "emu"]);
    let [lost] = &report.unreadable[..] else {
        panic!("{report}")
    };
    assert!(
        lost.name == "cat/broken.png" && lost.reason.starts_with("cannot be read: "),
        "{}",
        lost.reason
    );
    symlink(root.path().join("cat"), root.path().join("cat/round")).unwrap();
    let sentence = error(root.path());
    assert!(sentence.contains("cat/round: cannot be read: "), "{sentence}");
    fs::remove_file(root.path().join("cat/round")).unwrap();

    let odd = root.path().join(OsStr::from_bytes(b"b\xffird"));
    paint(&odd.join("000.png"), 77);
    let sentence = error(root.path());
    assert!(
        sentence.contains("is not UTF-8, so it cannot name a class"),
        "{sentence}"
    );
}

#[test]
fn classes_of_a_network_can_be_required() {
    let root = folder(&[("cat", 4), ("dog", 4)]);
    let options = |classes: &[&str]| DataOptions {
        classes: Some(classes.iter().map(|&class| class.to_owned()).collect()),
        ..DataOptions::default()
    };
    let (dataset, report) = Dataset::open(root.path(), &options(&["emu", "dog", "cat"])).unwrap();
    assert_eq!(dataset.classes, ["emu", "dog", "cat"]);
    assert!(
        dataset
            .samples
            .iter()
            .all(|sample| sample.labels == [if sample.name.starts_with("cat") { 2 } else { 1 }])
    );
    assert!(report.warnings.contains(&"no train pictures of emu".to_owned()));
    let sentence = Dataset::open(root.path(), &options(&["cat", "emu"]))
        .unwrap_err()
        .to_string();
    assert!(
        sentence.ends_with("dog is none of the network's 2 classes"),
        "{sentence}"
    );
    fs::remove_dir_all(root.path().join("dog")).unwrap();
    assert!(
        Dataset::open(root.path(), &options(&["cat", "emu"])).is_ok(),
        "one class to judge"
    );
}

#[test]
fn the_fingerprint_depends_on_the_data_not_on_the_folder() {
    let root = folder(&[("cat", 5), ("dog", 5)]);
    let fingerprint = |path: &Path| open(path).0.fingerprint();
    let first = fingerprint(root.path());
    assert_eq!(first.len(), 64);
    assert_eq!(fingerprint(&root.path().join("cat/..")), first);
    let twin = folder(&[("cat", 5), ("dog", 5)]);
    assert_eq!(fingerprint(twin.path()), first);

    let changed = |change: &dyn Fn(&mut Dataset)| {
        let mut dataset = open(root.path()).0;
        change(&mut dataset);
        dataset.fingerprint()
    };
    assert_eq!(changed(&|dataset| dataset.samples.reverse()), first);
    for other in [
        changed(&|dataset| dataset.samples[0].split = Split::Test),
        changed(&|dataset| dataset.samples[0].labels = vec![1]),
        changed(&|dataset| dataset.samples[0].content.0[3] ^= 1),
        changed(&|dataset| dataset.samples[0].name.push('x')),
        changed(&|dataset| dataset.classes[1].push('s')),
        changed(&|dataset| dataset.multi_label = true),
        changed(&|dataset| drop(dataset.samples.pop())),
    ] {
        assert_ne!(other, first);
    }
    // Each change above must be a change.
    let mut dataset = open(root.path()).0;
    assert_ne!(dataset.samples[0].split, Split::Test, "pick another sample");
    dataset.samples[0].labels = vec![0];
    assert_eq!(dataset.fingerprint(), first);
}

#[test]
fn the_report_survives_json() {
    let root = folder(&[("cat", 5), ("dog", 5)]);
    fs::write(root.path().join("cat/x.png"), "x").unwrap();
    fs::copy(root.path().join("cat/000.png"), root.path().join("dog/twin.png")).unwrap();
    let (_, report) = open(root.path());
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.contains("\"split\":\"train\""), "{json}");
    assert_eq!(serde_json::from_str::<DataReport>(&json).unwrap(), report);
}

#[test]
fn progress_reaches_the_count() {
    let root = folder(&[("cat", 5), ("dog", 5)]);
    let seen = std::sync::Mutex::new(Vec::new());
    Dataset::open_watched(root.path(), &DataOptions::default(), &|done, count| {
        seen.lock().unwrap().push((done, count));
    })
    .unwrap();
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (1..=10).map(|done| (done, 10)).collect::<Vec<_>>());
}

#[test]
fn class_weights_are_inverse_to_frequency_with_a_mean_of_one() {
    let root = folder(&[("cat", 12), ("dog", 4), ("emu", 1)]);
    let options = DataOptions {
        val_fraction: 0.0,
        test_fraction: 0.0,
        ..DataOptions::default()
    };
    let (mut dataset, _) = Dataset::open(root.path(), &options).unwrap();
    let weights = class_weights(&dataset);
    assert_eq!(weights, [17.0 / 36.0, 17.0 / 12.0, 17.0 / 3.0]);
    let sum: f32 = dataset.samples.iter().map(|sample| weights[sample.labels[0]]).sum();
    assert!((sum / 17.0 - 1.0).abs() < 1e-6);
    // A class without training pictures does not change the weights of the others.
    dataset.samples.retain(|sample| sample.labels != [2]);
    assert_eq!(class_weights(&dataset), [16.0 / 24.0, 16.0 / 8.0, 1.0]);
}

#[test]
fn options_survive_toml() {
    let options = DataOptions {
        seed: 7,
        classes: Some(vec!["cat".to_owned()]),
        ..DataOptions::default()
    };
    let text = toml::to_string(&options).unwrap();
    assert_eq!(toml::from_str::<DataOptions>(&text).unwrap(), options);
    // Files of earlier versions do not say which split is filled first: it was the test.
    let earlier = DataOptions {
        validation_first: false,
        ..DataOptions::default()
    };
    assert_eq!(toml::from_str::<DataOptions>("").unwrap(), earlier);
    assert!(toml::from_str::<DataOptions>("fraction = 1").is_err());
}
