//! Folders as people unpack them.

use std::fs;

use trainer::data::{ClassCase, ClassFolders, DataOptions, Dataset, Split};

use super::{error, folder, open, paint};

/// The classes, and the number of pictures for training, validation and test that the folders name.
fn read(folders: &[(&str, u32)], options: &DataOptions) -> (Vec<String>, [usize; 3]) {
    let root = folder(folders);
    let options = DataOptions {
        val_fraction: 0.0,
        test_fraction: 0.0,
        ..options.clone()
    };
    let (dataset, _) = Dataset::open(root.path(), &options).unwrap();
    (dataset.classes.clone(), Split::ALL.map(|split| dataset.count(split)))
}

#[test]
fn folders_of_splits_are_recognised_by_their_words() {
    let two = [("cats", 3), ("dogs", 3)];
    for parts in [
        ["seg_train/seg_train", "seg_test/seg_test"],
        ["training_set/training_set", "test_set/test_set"],
        ["Train-Images", "Test-Images"],
        ["trainset", "testset"],
        ["train", "test_data"],
        ["my training pictures", "my test pictures"],
        ["Training", "Testdaten"],
        ["Trainingsbilder", "Testbilder"],
        ["entra\u{ee}nement", "test"],
        ["entrai\u{302}nement", "jeu_de_test"],
        ["entrenamiento", "pruebas"],
        ["treino", "teste"],
        ["\u{8bad}\u{7ec3}\u{96c6}", "\u{6d4b}\u{8bd5}\u{96c6}"],
        ["trn", "tst"],
        ["tr", "te"],
        ["train", "ts"],
    ] {
        let names: Vec<String> = parts
            .iter()
            .flat_map(|part| two.map(|(class, _)| format!("{part}/{class}")))
            .collect();
        let folders: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 3)).collect();
        let (classes, counts) = read(&folders, &DataOptions::default());
        assert_eq!(
            (classes, counts),
            (vec!["cats".to_owned(), "dogs".to_owned()], [6, 0, 6]),
            "{parts:?}"
        );
    }
    let (classes, counts) = read(
        &[
            ("train_data/a", 2),
            ("train_data/b", 2),
            ("val_data/a", 1),
            ("val_data/b", 1),
        ],
        &DataOptions::default(),
    );
    assert_eq!((classes, counts), (vec!["a".to_owned(), "b".to_owned()], [4, 2, 0]));
}

/// `tr` and `te` may be languages; splits of other names may be anything.
#[test]
fn doubtful_names_of_splits_are_asked_about() {
    for [first, second] in [["tr", "de"], ["learn", "check"], ["train", "eval"], ["fold1", "fold2"]] {
        let names = [first, second].map(|part| ["cats", "dogs"].map(|class| format!("{part}/{class}")));
        let folders: Vec<(&str, u32)> = names.as_flattened().iter().map(|name| (name.as_str(), 3)).collect();
        let mut sorted = [first, second];
        sorted.sort_unstable();
        let sentence = error(folder(&folders).path());
        assert!(
            sentence.ends_with(&format!(
                "--class-folders deepest takes cats, dogs; if {}, {} are the splits of one data set, name them train, \
                 val or test",
                sorted[0], sorted[1]
            )),
            "{sentence}"
        );
    }
    // The classes differ, so these are not the parts of one data set.
    let sentence = error(folder(&[("tr/a", 3), ("tr/b", 3), ("te/c", 3), ("te/d", 3)]).path());
    assert!(sentence.contains("--class-folders top takes te, tr"), "{sentence}");
    // Pictures of texts in three languages, and in two.
    let (classes, _) = read(&[("de", 3), ("te", 3), ("tr", 3)], &DataOptions::default());
    assert_eq!(classes, ["de", "te", "tr"]);
    let sentence = error(folder(&[("te", 3), ("tr", 3)]).path());
    assert!(sentence.contains("the names te, tr are those of splits"), "{sentence}");
}

/// Tiny ImageNet has `train/n014/images/` and `val/images/`.
#[test]
fn a_split_without_the_training_classes_has_no_class_of_its_own() {
    let root = folder(&[("train/n014/images", 10), ("train/n017/images", 10), ("val/images", 3)]);
    let (dataset, report) = open(root.path());
    assert_eq!(dataset.classes, ["n014", "n017"]);
    assert_eq!((report.total.train, report.total.val, report.total.test), (12, 4, 4));
    assert_eq!(
        report.warnings,
        ["3 pictures of val/images in no class's folder: their classes are not known, ignored"]
    );
    let root = folder(&[("train/cat", 4), ("train/dog", 4), ("val/chat", 2), ("val/chien", 2)]);
    let sentence = error(root.path());
    assert!(
        sentence.contains("val holds chat, chien, and train holds cat, dog: no class is in both"),
        "{sentence}"
    );
    // Other spellings of a class are asked about as such.
    let root = folder(&[("train/cat", 4), ("train/dog", 4), ("val/Cat", 2)]);
    assert!(error(root.path()).contains("--class-case merge"));
}

#[test]
fn the_folder_of_the_classes_is_found_below_others() {
    let root = folder(&[("ILSVRC/Data/CLS-LOC/train/n1", 3), ("ILSVRC/Data/CLS-LOC/train/n2", 3)]);
    fs::write(root.path().join("ILSVRC/notes.txt"), "x").unwrap();
    let sentence = error(root.path());
    assert!(
        sentence.contains("did you mean ") && sentence.contains("ILSVRC/Data/CLS-LOC/train?"),
        "{sentence}"
    );
    let (classes, _) = read(&[("cat/2024/05", 3), ("dog/2024", 3)], &DataOptions::default());
    assert_eq!(classes, ["cat", "dog"]);
}

#[test]
fn parts_of_one_set_of_pictures_are_no_classes() {
    for names in [
        ["HAM_images_part_1", "HAM_images_part_2"],
        ["batch01", "batch02"],
        ["images_001/images", "images_002/images"],
    ] {
        let root = folder(&[(names[0], 3), (names[1], 3)]);
        fs::write(root.path().join("metadata.csv"), "image_id,dx\n").unwrap();
        let sentence = error(root.path());
        assert!(
            sentence.contains("the parts of one set") && sentence.ends_with("metadata.csv"),
            "{sentence}"
        );
        let options = DataOptions {
            class_folders: Some(ClassFolders::Top),
            ..DataOptions::default()
        };
        assert_eq!(
            Dataset::open(root.path(), &options).unwrap().0.classes.len(),
            2,
            "{names:?}"
        );
    }
    let (classes, _) = read(&[("type1", 3), ("type2", 3)], &DataOptions::default());
    assert_eq!(classes, ["type1", "type2"]);
}

/// Dogs vs. Cats has `train/cat.0.jpg` and `test/1.jpg`.
#[test]
fn splits_without_folders_of_classes_are_refused_with_what_their_names_hold() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..3 {
        for name in [
            format!("train/cat.{number}.png"),
            format!("train/dog.{number}.png"),
            format!("test/{number}.png"),
        ] {
            paint(
                &root.path().join(&name),
                900 + number * 3 + u32::from(name.contains("dog")),
            );
        }
    }
    let sentence = error(root.path());
    assert!(
        sentence.contains("the pictures of train, test lie in no class's folder")
            && sentence.contains("begin with cat, dog"),
        "{sentence}"
    );
}

#[test]
fn packed_data_sets_are_named() {
    for (name, part) in [
        (
            "data/train-00000-of-00001.parquet",
            "name it for the lines that make folders",
        ),
        ("train/data-00000-of-00001.arrow", "Hugging Face"),
        ("train.tfrecord-00000-of-00010", "TFRecord"),
        ("archive.zip", "unpack it first"),
        ("train-images-idx3-ubyte", "MNIST"),
        ("cifar/data_batch_1", "CIFAR"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        let sentence = error(root.path());
        assert!(
            sentence.contains(&path.display().to_string()) && sentence.contains(part),
            "{sentence}"
        );
    }
}

/// A folder with the training classes beside the splits may be the split that is missing.
#[test]
fn a_folder_that_may_be_the_missing_split_is_asked_about() {
    let parts = |names: &[&str]| {
        let names: Vec<[String; 2]> = names
            .iter()
            .map(|name| ["cats", "dogs"].map(|class| format!("{name}/{class}")))
            .collect();
        let folders: Vec<(&str, u32)> = names.as_flattened().iter().map(|name| (name.as_str(), 3)).collect();
        folder(&folders)
    };
    for (names, missing) in [
        (["train", "val", "evaluation"], "name it test if"),
        (["train", "test", "holdout"], "name it val if"),
    ] {
        let sentence = error(parts(&names).path());
        assert!(
            sentence.contains(&format!("{} holds classes of train", names[2])) && sentence.contains(missing),
            "{sentence}"
        );
    }
    // All splits are there.
    let (_, report) = open(parts(&["train", "val", "test", "augmented"]).path());
    assert_eq!(report.warnings[0], "beside the train folder, ignored: augmented");
}

#[test]
fn unlabelled_pictures_are_no_class_and_no_split() {
    let root = folder(&[
        ("seg_train/sea", 8),
        ("seg_train/ice", 8),
        ("seg_test/sea", 2),
        ("seg_test/ice", 2),
    ]);
    for number in 0..3 {
        paint(
            &root.path().join(format!("seg_pred/seg_pred/{number}.png")),
            700 + number,
        );
    }
    let (dataset, report) = open(root.path());
    assert_eq!(dataset.classes, ["ice", "sea"]);
    assert_eq!(dataset.samples.len(), 20);
    assert_eq!(report.warnings, ["beside the train folder, ignored: seg_pred"]);

    let root = folder(&[("train/cats", 10), ("train/dogs", 10)]);
    for number in 0..4 {
        paint(&root.path().join(format!("test/{number}.png")), 800 + number);
    }
    let (dataset, report) = open(root.path());
    assert_eq!(dataset.classes, ["cats", "dogs"]);
    assert_eq!((report.split_by.as_str(), report.total.test), ("split by seed 42", 4));
    assert_eq!(
        report.warnings,
        ["4 pictures of test in no class's folder: their classes are not known, ignored"]
    );
}

#[test]
fn classes_may_hold_the_splits() {
    let (classes, counts) = read(
        &[("cat/train", 4), ("cat/test", 2), ("dog/train", 4), ("dog/test", 2)],
        &DataOptions::default(),
    );
    assert_eq!((classes, counts), (vec!["cat".to_owned(), "dog".to_owned()], [8, 0, 4]));
}

#[test]
fn classes_may_be_called_like_splits() {
    let (classes, _) = read(
        &[("test_tube", 3), ("train_station", 3), ("pen", 3)],
        &DataOptions::default(),
    );
    assert_eq!(classes, ["pen", "test_tube", "train_station"]);
}

#[test]
fn a_folder_around_the_classes_is_asked_about() {
    let root = folder(&[("PetImages/Cat", 4), ("PetImages/Dog", 4)]);
    fs::write(root.path().join("readme.txt"), "").unwrap();
    let inside = root.path().join("PetImages");
    let sentence = error(root.path());
    assert!(
        sentence.ends_with(&format!(
            "there is one class, PetImages, and that folder holds Cat, Dog: did you mean {}?",
            inside.display()
        )),
        "{sentence}"
    );
    assert_eq!(open(&inside).0.classes, ["Cat", "Dog"]);
}

#[test]
fn nested_classes_are_asked_about() {
    let folders = [
        ("animal/cat", 3),
        ("animal/dog", 3),
        ("vehicle/car", 3),
        ("vehicle/bus", 3),
    ];
    let root = folder(&folders);
    let sentence = error(root.path());
    assert!(
        sentence.ends_with(
            "animal holds cat, dog, so the classes can be the outer or the inner folders: --class-folders top takes \
             animal, vehicle; --class-folders deepest takes bus, car, cat, dog"
        ),
        "{sentence}"
    );
    let by = |class_folders| DataOptions {
        class_folders: Some(class_folders),
        ..DataOptions::default()
    };
    assert_eq!(read(&folders, &by(ClassFolders::Top)).0, ["animal", "vehicle"]);
    assert_eq!(
        read(&folders, &by(ClassFolders::Deepest)).0,
        ["bus", "car", "cat", "dog"]
    );
    let split = [
        ("train/x/a", 2),
        ("train/x/b", 2),
        ("train/y/c", 2),
        ("val/x/a", 1),
        ("val/y/c", 1),
    ];
    assert_eq!(
        read(&split, &by(ClassFolders::Deepest)),
        (["a", "b", "c"].map(str::to_owned).to_vec(), [6, 2, 0])
    );
    let twice = folder(&[("cat/2019", 2), ("cat/2020", 2), ("dog/2019", 2)]);
    let sentence = Dataset::open(twice.path(), &by(ClassFolders::Deepest))
        .unwrap_err()
        .to_string();
    assert!(
        sentence.contains("both cat/2019 and dog/2019 would be the class 2019"),
        "{sentence}"
    );
}

#[test]
fn classes_that_differ_in_case_are_asked_about() {
    let folders = [("train/cats", 4), ("train/dogs", 4), ("val/Cats", 2), ("val/dogs", 2)];
    let root = folder(&folders);
    let sentence = error(root.path());
    assert!(
        sentence.contains("Cats and cats differ in upper and lower case alone"),
        "{sentence}"
    );
    let by = |class_case| DataOptions {
        class_case: Some(class_case),
        ..DataOptions::default()
    };
    let (classes, counts) = read(&folders, &by(ClassCase::Merge));
    assert_eq!(
        (classes, counts),
        (vec!["cats".to_owned(), "dogs".to_owned()], [8, 4, 0])
    );
    assert_eq!(read(&folders, &by(ClassCase::Keep)).0, ["Cats", "cats", "dogs"]);
}

#[test]
fn classes_that_look_alike_are_asked_about() {
    for (names, difference) in [
        (
            ["cafe\u{301}", "caf\u{e9}"],
            "\"cafe\\u{301}\" and \"caf\\u{e9}\" differ in the Unicode characters",
        ),
        (
            ["cats", "cats "],
            "cats and \"cats \" differ in blanks and characters that cannot be seen alone",
        ),
        (
            ["hot dog", "hot\u{a0}dog"],
            "\"hot\\u{a0}dog\" differ in blanks and characters that cannot be seen alone",
        ),
        (
            ["Cup", "c\u{200b}up"],
            "Cup and \"c\\u{200b}up\" differ in upper and lower case, blanks",
        ),
    ] {
        let folders = [(names[0], 4), (names[1], 2), ("tea", 3)];
        let sentence = error(folder(&folders).path());
        assert!(sentence.contains(difference), "{sentence}");
        assert!(sentence.contains("--class-case merge"), "{sentence}");
        let merge = DataOptions {
            class_case: Some(ClassCase::Merge),
            ..DataOptions::default()
        };
        let (classes, _) = read(&folders, &merge);
        assert_eq!(classes.len(), 2, "{classes:?}");
        let keep = DataOptions {
            class_case: Some(ClassCase::Keep),
            ..DataOptions::default()
        };
        assert_eq!(read(&folders, &keep).0.len(), 3);
    }
    let split = [
        ("train/\u{fc}b", 4),
        ("train/x", 4),
        ("test/u\u{308}b", 2),
        ("test/x", 2),
    ];
    let merge = DataOptions {
        class_case: Some(ClassCase::Merge),
        ..DataOptions::default()
    };
    assert!(error(folder(&split).path()).contains("u\\u{308}b"));
    assert_eq!(
        read(&split, &merge),
        (vec!["x".to_owned(), "\u{fc}b".to_owned()], [8, 0, 4])
    );
}

#[test]
fn hidden_pictures_are_counted_where_no_others_are() {
    let count = "; 5 hidden pictures passed over: their names, or those of their folders, begin with a dot or are of a \
                 system (__MACOSX)";
    for folders in [
        [("cats/.ipynb_checkpoints", 3), (".cache/dogs", 2)],
        [("__MACOSX/cats", 3), ("__MACOSX/dogs", 2)],
        [("cats/@eaDir", 3), ("dogs/$RECYCLE.BIN", 2)],
    ] {
        let sentence = error(folder(&folders).path());
        assert!(sentence.contains(count), "{sentence}");
    }
    let root = folder(&[("cats", 3), (".dogs", 2)]);
    let sentence = error(root.path());
    assert!(
        sentence.ends_with(
            "all pictures are of one class, cats; a classifier needs at least two classes; 2 hidden \
                            pictures passed over"
        ),
        "{sentence}"
    );
    let root = folder(&[("cats", 6), ("dogs", 6), ("birds/.thumbs", 1)]);
    assert_eq!(
        open(root.path()).1.warnings[0],
        "no pictures in birds (1 hidden picture passed over), ignored"
    );
}

#[test]
fn what_systems_write_beside_pictures_is_ignored() {
    let folders = [("a", 3), ("b", 3), ("__MACOSX/a", 2), ("b/@eaDir", 1), (".cache", 1)];
    assert_eq!(
        read(&folders, &DataOptions::default()),
        (vec!["a".to_owned(), "b".to_owned()], [6, 0, 0])
    );
}

#[test]
fn a_table_beside_loose_pictures_is_named() {
    let root = folder(&[("train", 0)]);
    for number in 0..3 {
        paint(&root.path().join(format!("train/{number}.png")), number);
    }
    fs::write(root.path().join("labels.csv"), "id,breed\n").unwrap();
    let sentence = error(root.path());
    assert!(
        sentence.contains("the pictures of train lie in no class's folder")
            && sentence.contains("; if a table says their classes, name the table: ")
            && sentence.ends_with("labels.csv"),
        "{sentence}"
    );
}

/// As Roboflow exports pictures with several labels.
#[test]
fn a_table_in_each_split_is_named_with_the_line_that_joins_them() {
    let root = folder(&[]);
    for split in ["train", "valid"] {
        for number in 0..3 {
            paint(&root.path().join(format!("{split}/{number}.png")), number);
        }
        fs::write(root.path().join(split).join("_classes.csv"), "filename, cat, dog\n").unwrap();
    }
    let sentence = error(root.path());
    let path = |name: &str| root.path().join(name).display().to_string();
    let tables = format!(
        "name the table: {}, {}; ",
        path("train/_classes.csv"),
        path("valid/_classes.csv")
    );
    assert!(sentence.contains(&tables), "{sentence}");
    assert!(
        sentence.contains("for d in ['train', 'valid'] for t in [pandas.read_csv(d + '/_classes.csv',")
            && sentence.ends_with(&format!(
                "in {}, then name {}",
                root.path().display(),
                path("table.csv")
            )),
        "{sentence}"
    );
    // As Hugging Face's imagefolder.
    fs::remove_file(path("valid/_classes.csv")).unwrap();
    fs::rename(path("train/_classes.csv"), path("train/metadata.jsonl")).unwrap();
    let sentence = error(root.path());
    assert!(
        sentence.ends_with(&format!("name the table: {}", path("train/metadata.jsonl"))),
        "{sentence}"
    );
}

/// A test set alone can be judged, and not trained on.
#[test]
fn a_network_is_judged_by_a_test_set_alone() {
    let root = folder(&[("test/cat", 3)]);
    assert!(error(root.path()).ends_with("there are no pictures to train on; name them train"));
    let judging = DataOptions {
        judging: true,
        ..DataOptions::default()
    };
    let (dataset, _) = Dataset::open(root.path(), &judging).unwrap();
    assert_eq!((dataset.classes.len(), dataset.count(Split::Test)), (1, 3));
}

#[test]
fn pictures_of_a_split_beside_the_classes_are_asked_about() {
    for name in ["test", "Test1", "val", "unlabeled"] {
        let root = folder(&[("cats", 4), ("dogs", 4), (name, 3)]);
        let sentence = error(root.path());
        assert!(
            sentence.contains(&format!(
                "{name} lies beside cats, dogs, and its name is not that of a class"
            )),
            "{sentence}"
        );
        let top = DataOptions {
            class_folders: Some(ClassFolders::Top),
            ..DataOptions::default()
        };
        assert_eq!(Dataset::open(root.path(), &top).unwrap().0.classes.len(), 3);
    }
}

#[test]
fn names_that_hold_class_and_split_are_asked_about() {
    let root = folder(&[("cats_test", 3), ("cats_train", 3), ("dogs_test", 3), ("dogs_train", 3)]);
    let sentence = error(root.path());
    assert!(
        sentence.contains("the names cats_test, cats_train, dogs_test, dogs_train are those of splits"),
        "{sentence}"
    );
    let top = DataOptions {
        class_folders: Some(ClassFolders::Top),
        ..DataOptions::default()
    };
    assert_eq!(Dataset::open(root.path(), &top).unwrap().0.classes.len(), 4);
    // As data sets of picture translation have them.
    let root = folder(&[("testA", 3), ("testB", 3), ("trainA", 3), ("trainB", 3)]);
    let sentence = error(root.path());
    assert!(
        sentence.contains("the names testA, testB, trainA, trainB are those of splits"),
        "{sentence}"
    );
}

#[test]
fn the_parts_of_a_segmentation_are_no_classes() {
    for names in [["images", "masks"], ["JPEGImages", "SegmentationClass"]] {
        let root = folder(&names.map(|name| (name, 4)));
        let sentence = error(root.path());
        let expected = format!(
            "{}, {} are the parts of a data set of outlines or boxes",
            names[0], names[1]
        );
        assert!(sentence.contains(&expected), "{sentence}");
        let top = DataOptions {
            class_folders: Some(ClassFolders::Top),
            ..DataOptions::default()
        };
        assert_eq!(Dataset::open(root.path(), &top).unwrap().0.classes, names);
    }
    // Pictures of masks, and of faces without.
    let root = folder(&[("masks", 4), ("no_masks", 4)]);
    assert_eq!(open(root.path()).0.classes, ["masks", "no_masks"]);
}

/// `cat.0.jpg` in `train`, and other pictures in `test1`.
#[test]
fn names_of_pictures_may_hold_their_classes() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..4 {
        for (class, offset) in [("cat", 0), ("dog", 10)] {
            paint(
                &root.path().join(format!("train/{class}.{number}.png")),
                offset + number,
            );
        }
        paint(&root.path().join(format!("test1/{number}.png")), 20 + number);
    }
    let hint = format!(
        "; the names in {} begin with cat, dog: if these are the classes, write a table of path and label",
        root.path().join("train").display()
    );
    let sentence = error(root.path());
    assert!(sentence.contains(&hint), "{sentence}");
    // The same pictures in the only folder, and in the folder that is named.
    fs::remove_dir_all(root.path().join("test1")).unwrap();
    assert!(error(&root.path().join("train")).contains(&hint));
    fs::rename(root.path().join("train"), root.path().join("images")).unwrap();
    let sentence = error(root.path());
    assert!(sentence.contains("all pictures are of one class, images"), "{sentence}");
    assert!(sentence.contains("images begin with cat, dog"), "{sentence}");
}

#[test]
fn a_development_part_is_for_validation() {
    let (classes, counts) = read(
        &[("train/a", 3), ("train/b", 3), ("dev/a", 2), ("dev/b", 2)],
        &DataOptions::default(),
    );
    assert_eq!((classes, counts), (vec!["a".to_owned(), "b".to_owned()], [6, 4, 0]));
}

#[test]
fn splits_that_stay_empty_are_told() {
    let root = folder(&[("train/a", 1), ("train/b", 1), ("test/a", 3), ("test/b", 3)]);
    let (dataset, report) = open(root.path());
    assert_eq!(dataset.count(Split::Val), 0);
    assert_eq!(report.split_by, "split by its folders");
    assert!(
        report.warnings[0].starts_with("no validation pictures: the last weights are kept"),
        "{report}"
    );
    let root = folder(&[("a", 2), ("b", 2)]);
    let (_, report) = open(root.path());
    assert!(
        report
            .to_string()
            .contains("warning: no test pictures, for which a class needs 3"),
        "{report}"
    );
}
