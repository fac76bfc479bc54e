//! Tables as people have them.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use trainer::data::{DataOptions, DataReport, Dataset, Split, TableOptions};

use super::{error, folder, open, paint};

fn table(text: &str) -> (TempDir, PathBuf) {
    let root = folder(&[("pictures", 12)]);
    let path = root.path().join("labels.csv");
    fs::write(&path, text).unwrap();
    (root, path)
}

/// Opens a table with these options.
fn with(path: &Path, table: TableOptions) -> Result<(Dataset, DataReport), String> {
    let options = DataOptions {
        table,
        ..DataOptions::default()
    };
    Dataset::open(path, &options).map_err(|error| error.to_string())
}

/// The file's name and the first class of each picture.
fn labels(dataset: &Dataset) -> Vec<(String, String)> {
    let label = |sample: &trainer::data::Sample| {
        let file = sample.path.file_name().unwrap().to_str().unwrap().to_owned();
        (file, dataset.classes[sample.labels[0]].clone())
    };
    dataset.samples.iter().map(label).collect()
}

#[test]
fn a_table_gives_labels_and_uses() {
    let (root, path) = table(
        "\u{feff}split, path ,label\ntrain,pictures/000.png,cat\nTRAIN,pictures/001.png,\"dog, small\"\nvalidation,\
         pictures/002.png,cat\ntest,pictures/003.png, cat \n",
    );
    let (dataset, report) = open(&path);
    assert_eq!(dataset.classes, ["cat", "dog, small"]);
    assert!(!dataset.multi_label);
    assert_eq!(report.split_by, "split by its column");
    let expected = [(0, Split::Train), (1, Split::Train), (0, Split::Val), (0, Split::Test)];
    for (sample, (label, split)) in dataset.samples.iter().zip(expected) {
        assert_eq!(
            (&sample.labels[..], sample.split),
            (&[label][..], split),
            "{}",
            sample.name
        );
    }
    assert_eq!(dataset.samples[0].path, root.path().join("pictures/000.png"));
}

#[test]
fn a_table_may_give_several_labels() {
    let (_root, path) = table(
        "path,labels\npictures/000.png,sea;sun\npictures/001.png,sun\npictures/002.png,\n\
         pictures/003.png,sea|rock;sun\n\
         pictures/004.png,rock\npictures/005.png,sun\n",
    );
    let (dataset, report) = open(&path);
    assert!(dataset.multi_label && report.multi_label);
    assert_eq!(dataset.classes, ["rock", "sea", "sun"]);
    let labels: Vec<&[usize]> = dataset.samples.iter().map(|sample| &sample.labels[..]).collect();
    assert_eq!(labels, [&[1, 2][..], &[2], &[], &[0, 1, 2], &[0], &[2]]);
    assert!(report.to_string().contains("3 classes, any number of them per picture"));
}

/// One cell does not change what the whole run learns.
#[test]
fn only_the_column_labels_or_an_option_gives_several_labels() {
    let text = "path,label\npictures/000.png,cat;small\npictures/001.png,cat\npictures/002.png,dog\n";
    let (_root, path) = table(text);
    let (dataset, report) = open(&path);
    assert!(!dataset.multi_label);
    assert_eq!(dataset.classes, ["cat", "cat;small", "dog"]);
    assert_eq!(
        report.warnings[0],
        "1 cell in the column label with \";\", \"|\" or brackets, each taken for one class, such as \"cat;small\" in \
         line 2: if that is a list of labels, add --multi-label"
    );
    let several = TableOptions {
        multi_label: Some(true),
        ..TableOptions::default()
    };
    let (dataset, _) = with(&path, several).unwrap();
    assert!(dataset.multi_label);
    assert_eq!(dataset.classes, ["cat", "dog", "small"]);

    let (_root, path) = table("path,labels\npictures/000.png,cat\npictures/001.png,dog\n");
    let (dataset, report) = open(&path);
    assert!(
        dataset.multi_label && report.warnings[0].ends_with("add --single-label"),
        "{report}"
    );
    let one = TableOptions {
        multi_label: Some(false),
        ..TableOptions::default()
    };
    let (dataset, report) = with(&path, one).unwrap();
    assert!(!dataset.multi_label && !report.to_string().contains("--single-label"));
}

#[test]
fn usual_columns_are_recognised() {
    let rows = [("pictures/000.png", "cat"), ("pictures/001.png", "dog")];
    for (header, separator) in [
        ("path,label", ","),
        ("id,breed", ","),
        ("filename,label", ","),
        ("image,class", ","),
        ("Image Path;Class Name", ";"),
        ("file_name\tcategory", "\t"),
        ("sep=;\nfilepaths;species", ";"),
        ("path|label", "|"),
    ] {
        let lines = rows.map(|(file, label)| format!("{file}{separator}{label}\n"));
        let (_root, path) = table(&format!("{header}\n{}", lines.concat()));
        let (dataset, _) = open(&path);
        let expected = [("000.png", "cat"), ("001.png", "dog")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(labels(&dataset), expected, "{header}");
        let other = path.with_extension("tsv");
        fs::rename(&path, &other).unwrap();
        assert_eq!(labels(&open(&other).0), expected, "{header}");
    }
    // Excel's "Unicode text".
    let (_root, path) = table("");
    let text = "path\tlabel\npictures/000.png\tkätzchen\npictures/001.png\tdog\n";
    let units = [0xfeff].into_iter().chain(text.encode_utf16());
    fs::write(&path, units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    assert_eq!(open(&path).0.classes, ["dog", "kätzchen"]);
    // A column of splits with another name counts if all of its cells are splits.
    let text = |cell: &str| format!("id,class,set\npictures/000.png,a,train\npictures/001.png,b,{cell}\n");
    let (_root, path) = table(&text("test"));
    assert_eq!(open(&path).1.total.test, 1);
    let (_root, path) = table(&text("7"));
    assert_eq!(open(&path).1.split_by, "all for training");
}

#[test]
fn other_columns_are_named_by_option() {
    let text = "what,the file,image,filename,part\ncat,pictures/000.png,x,y,test\ndog,pictures/001.png,x,y,train\n";
    let (_root, path) = table(text);
    let sentence = error(&path);
    assert!(
        sentence.contains("both columns image and filename may be meant: say which with --file-column"),
        "{sentence}"
    );
    let named = |file: &str, label: Option<&str>| TableOptions {
        file_column: Some(file.to_owned()),
        label_column: label.map(str::to_owned),
        split_column: Some("part".to_owned()),
        ..TableOptions::default()
    };
    let sentence = with(&path, named("the file", None)).unwrap_err();
    assert!(
        sentence.contains("no column of labels") && sentence.contains("--label-column"),
        "{sentence}"
    );
    let sentence = with(&path, named("files", Some("what"))).unwrap_err();
    assert!(
        sentence.ends_with("there is no column files; the columns are what, the file, image, filename, part"),
        "{sentence}"
    );
    let (dataset, report) = with(&path, named("The File", Some("what"))).unwrap();
    assert_eq!(dataset.classes, ["cat", "dog"]);
    assert_eq!((report.total.train, report.total.test), (1, 1));
}

#[test]
fn names_without_endings_in_other_cases_and_with_backslashes_are_found() {
    for names in [
        ["pictures/000", "pictures/001"],
        ["pictures\\000.png", ".\\pictures\\001.png"],
        ["Pictures/000.PNG", "PICTURES\\001"],
    ] {
        let (root, path) = table(&format!("id,breed\n{},cat\n{},dog\n", names[0], names[1]));
        let (dataset, _) = open(&path);
        let found: Vec<_> = dataset.samples.iter().map(|sample| sample.path.clone()).collect();
        let expected = ["000.png", "001.png"].map(|name| root.path().join("pictures").join(name));
        for path in &expected {
            assert!(found.contains(path), "{names:?}: {found:?}");
        }
    }
    let (root, path) = table("id,breed\npictures/000,cat\npictures/001,dog\n");
    fs::copy(
        root.path().join("pictures/000.png"),
        root.path().join("pictures/000.jpg"),
    )
    .unwrap();
    let sentence = error(&path);
    assert!(
        sentence.contains("line 2: pictures/000 can be 000.jpg or 000.png: write the ending"),
        "{sentence}"
    );
}

#[test]
fn the_pictures_may_lie_elsewhere() {
    let (root, path) = table("id,breed\n000,cat\n001,dog\n");
    let elsewhere = |folder: PathBuf| TableOptions {
        pictures: Some(folder),
        ..TableOptions::default()
    };
    let sentence = error(&path);
    let pictures = root.path().join("pictures");
    assert!(
        sentence.contains(&format!("they are in {0}: add --pictures {0}", pictures.display())),
        "{sentence}"
    );
    assert_eq!(with(&path, elsewhere(pictures)).unwrap().0.samples.len(), 2);
    for start in ["/kaggle/input/birds/", "C:\\Users\\me\\", "../birds/"] {
        let (root, path) = table(&format!(
            "path,label\n{start}pictures/000.png,cat\n{start}pictures/001.png,dog\n"
        ));
        let sentence = error(&path);
        assert!(
            sentence.contains("exists without its leading folders: add --pictures"),
            "{sentence}"
        );
        assert_eq!(
            with(&path, elsewhere(root.path().to_owned())).unwrap().0.samples.len(),
            2,
            "{start}"
        );
    }
    // Different folders are never taken for the same.
    let root = folder(&[("a", 2), ("b", 2)]);
    let path = root.path().join("labels.csv");
    fs::write(&path, "path,label\nx/000.png,cat\ny/001.png,dog\n").unwrap();
    let sentence = with(&path, elsewhere(root.path().join("a"))).unwrap_err();
    assert!(
        sentence.contains("1 of the 2 files that it names cannot be found: y/001.png"),
        "{sentence}"
    );
}

#[test]
fn missing_pictures_are_counted_and_left_out_on_request() {
    let (_root, path) = table(
        "path,label\npictures/000.png,cat\nlost/1.png,cat\npictures/001.png,dog\nlost/2.png,emu\npictures/001.png,dog\n",
    );
    let sentence = error(&path);
    assert!(
        sentence.contains("2 of the 5 files that it names cannot be found: lost/1.png, lost/2.png; ")
            && sentence.ends_with("--skip-missing leaves them out"),
        "{sentence}"
    );
    let skipping = TableOptions {
        skip_missing: true,
        ..TableOptions::default()
    };
    let (dataset, report) = with(&path, skipping.clone()).unwrap();
    assert_eq!(dataset.classes, ["cat", "dog"], "a class without pictures is none");
    assert_eq!(
        report.warnings[..2],
        [
            "1 line of the table repeated, ignored",
            "2 files of the table cannot be found, left out: lost/1.png, lost/2.png"
        ]
    );
    let (_root, path) = table("path,label\nlost/1.png,cat\n");
    assert!(
        with(&path, skipping).unwrap_err().contains("1 of the 1 files"),
        "nothing is left"
    );
}

#[test]
fn a_table_without_a_header_is_told() {
    let (_root, path) = table("pictures/000.png,cat\npictures/001.png,dog\n");
    let sentence = error(&path);
    assert!(
        sentence.ends_with(
            "its first line names the picture pictures/000.png: put a line above it that names the columns, such as \
             path,label"
        ),
        "{sentence}"
    );
    let (root, path) = table("");
    for (name, part) in [
        ("data.zip", "unpack this archive first"),
        ("data.xlsx", "save it as CSV"),
    ] {
        let other = root.path().join(name);
        fs::copy(&path, &other).unwrap();
        let sentence = error(&other);
        assert!(sentence.contains(part), "{sentence}");
    }
    paint(&root.path().join("one.png"), 1);
    assert!(error(&root.path().join("one.png")).contains("neither a folder nor a .csv file"));
}

#[test]
fn other_columns_are_ignored_with_a_note() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("pictures");
    std::fs::create_dir(&folder).unwrap();
    let mut text = "width,path,label,spilt\n".to_owned();
    for number in 0..6 {
        let name = format!("pictures/{number}.png");
        image::RgbImage::from_pixel(8, 8, image::Rgb([number, 0, 0]))
            .save(home.path().join(&name))
            .unwrap();
        text += &["8,", &name, ",", ["a", "b"][usize::from(number % 2)], ",val\n"].concat();
    }
    let table = home.path().join("table.csv");
    std::fs::write(&table, text).unwrap();
    let (dataset, report) = Dataset::open(&table, &DataOptions::default()).unwrap();
    assert_eq!(dataset.samples.len(), 6);
    assert_eq!(
        report.warnings.first().map(String::as_str),
        Some("columns of the table other than path, label, ignored: \"width\", \"spilt\"")
    );
}

#[test]
fn mistakes_in_a_table_are_sentences() {
    let lines: Vec<String> = (0..14).map(|index| format!("lost/{index}.png,cat\n")).collect();
    let long = format!("path,label\n{}", lines.concat());
    for (text, expected) in [
        ("path,label\n", "the table has no lines below the names of its columns"),
        ("", "the table is empty, or has an empty first line"),
        (
            "x,label\n",
            "there is no column of files called path, file, filename, image or id",
        ),
        (
            "label,split\n",
            "say with --file-column which it is (the columns are label, split)",
        ),
        (
            "path,size\nx,z\n",
            "there is no column of labels called label, class, category or the like: say with --label-column which it \
             is (the columns are path, size)",
        ),
        (
            "path,label,labels\nx,y,z\n",
            "both columns label and labels may be meant",
        ),
        ("path,label,label\nx,y,z\n", "column \"label\" is there twice"),
        (
            "path,label\nx\n",
            "line 2: 1 cell where the first line has 2; a cell is missing",
        ),
        ("path,label\n,cat\n", "line 2: the path is empty"),
        ("path,labels\npictures/000.png,\n", "no picture has a label"),
        (
            "path,label\npictures/000.png,cat\npictures/001.png,\n",
            "line 3: the label is empty; pictures without a label need a column called labels, or --multi-label",
        ),
        (
            "path,label,split\npictures/000.png,cat,later\n",
            "line 2: split is \"later\", and should be train, val or test",
        ),
        (
            "path,label\npictures/000.png,cat\npictures/000.png,dog\n",
            "line 3: pictures/000.png is in line 2 already",
        ),
        (
            "path,label,split\npictures/000.png,cat,val\n",
            "there are no pictures to train on",
        ),
        (
            "path,label\npictures/000.png,cat\n",
            "all pictures are of one class, cat",
        ),
        (
            "path,label\npictures,cat\n",
            "1 of the 1 files that it names cannot be found: pictures",
        ),
        (
            &long,
            "14 of the 14 files that it names cannot be found: lost/0.png, lost/1.png",
        ),
        (&long, "lost/9.png and 4 more; paths are relative to the table's folder"),
    ] {
        let (_root, path) = table(text);
        let sentence = error(&path);
        assert!(sentence.contains(expected), "{text:?}: {sentence}");
        assert!(sentence.starts_with(path.to_str().unwrap()), "{sentence}");
    }
    let (_root, path) = table("");
    fs::write(&path, b"path,label\nx,\xff\xfe\n").unwrap();
    let sentence = error(&path);
    assert!(sentence.contains("line 2: this is not UTF-8 text"), "{sentence}");
}

/// The labels of each picture, by name.
fn all_labels(dataset: &Dataset) -> Vec<Vec<&str>> {
    let names = |labels: &[usize]| labels.iter().map(|&label| dataset.classes[label].as_str()).collect();
    dataset.samples.iter().map(|sample| names(&sample.labels)).collect()
}

#[test]
fn a_column_for_each_class_is_read() {
    for text in [
        "id,cat,dog\npictures/000.png,1,0\npictures/001.png,0,1\npictures/002.png,1,0\n",
        "image,age,cat,dog\npictures/000,7,1.0,0.0\npictures/001,8,0.0,1.0\npictures/002,9,1.0,0.0\n",
        "filename,cat,dog,fox\npictures/000.png,1,-1,-1\npictures/001.png,-1,1,-1\npictures/002.png,1,-1,-1\n",
        "path;cat;dog\npictures/000.png;True;False\npictures/001.png;False;True\npictures/002.png;True;False\n",
        "sep=;\npath;cat;dog\npictures/000.png;1;0\npictures/001.png;0;1\npictures/002.png;1;0\n",
    ] {
        let (_root, path) = table(text);
        let (dataset, report) = open(&path);
        assert!(!dataset.multi_label, "{text}");
        assert_eq!(all_labels(&dataset), [["cat"], ["dog"], ["cat"]], "{text}");
        assert!(
            report
                .to_string()
                .contains("one column of 0 and 1 for each class: cat, dog"),
            "{report}"
        );
    }
    // The splits may stand beside them.
    let (_root, path) = table(
        "filename,split,cat,dog\npictures/000.png,train,1,0\npictures/001.png,train,0,1\npictures/002.png,test,1,0\n",
    );
    let (dataset, _) = open(&path);
    assert_eq!(dataset.classes, ["cat", "dog"]);
    assert_eq!(dataset.samples[2].split, Split::Test);
}

#[test]
fn columns_of_several_labels_or_none_are_asked_about() {
    let (_root, path) =
        table("id,sea,sun,big\npictures/000.png,1,1,0\npictures/001.png,0,0,0\npictures/002.png,0,1,1\n");
    let sentence = error(&path);
    assert!(
        sentence.ends_with(
            "the columns sea, sun, big hold yes and no (1 and 0), and in line 2 sea, sun are 1: --multi-label takes \
             them for any number of labels per picture; --label-column NAME,NAME,... says which of them are the classes"
        ),
        "{sentence}"
    );
    let several = TableOptions {
        multi_label: Some(true),
        ..TableOptions::default()
    };
    let (dataset, _) = with(&path, several).unwrap();
    assert!(dataset.multi_label);
    assert_eq!(all_labels(&dataset), [&["sea", "sun"][..], &[], &["big", "sun"]]);

    let (_root, path) = table("id,a,b,male\npictures/000.png,1,0,1\npictures/001.png,0,1,1\npictures/002.png,0,1,0\n");
    let named = |columns: &str| TableOptions {
        label_column: Some(columns.to_owned()),
        ..TableOptions::default()
    };
    let (dataset, report) = with(&path, named("a, b")).unwrap();
    assert_eq!(all_labels(&dataset), [["a"], ["b"], ["b"]]);
    assert!(report.to_string().contains("ignored: \"male\""), "{report}");
    let problem = with(&path, named("a,c")).unwrap_err();
    assert!(
        problem.contains("there is no column c; the columns are id, a, b, male"),
        "{problem}"
    );
    // A column of one yes or no is no list of classes.
    let (_root, path) = table("path,is_cat\npictures/000.png,1\npictures/001.png,0\n");
    assert!(error(&path).contains("say with --label-column which it is"));
    let (_root, path) = table("id,a,b\npictures/000.png,1,0\npictures/001.png,0,maybe\n");
    let problem = with(&path, named("a,b")).unwrap_err();
    assert!(
        problem.contains("line 3: \"maybe\" in the column b is neither 0 nor 1"),
        "{problem}"
    );
}

#[test]
fn a_column_of_yes_and_no_gives_the_splits() {
    for (column, yes, no) in [
        ("is_valid", Split::Val, Split::Train),
        ("is_test", Split::Test, Split::Train),
        ("is_training_image", Split::Train, Split::Test),
    ] {
        for [one, zero] in [["True", "False"], ["1", "0"]] {
            let (_root, path) = table(&format!(
                "name,label,{column}\npictures/000.png,a,{one}\npictures/001.png,b,{zero}\npictures/002.png,a,{zero}\n\
                 pictures/003.png,b,{one}\n"
            ));
            let options = DataOptions {
                val_fraction: 0.0,
                test_fraction: 0.0,
                ..DataOptions::default()
            };
            let (dataset, report) = Dataset::open(&path, &options).unwrap();
            let splits: Vec<Split> = dataset.samples.iter().map(|sample| sample.split).collect();
            assert_eq!(splits, [yes, no, no, yes], "{column}");
            assert_eq!(report.split_by, "split by its column");
        }
    }
    // Other cells than yes and no say nothing about the splits.
    let (_root, path) = table("name,label,is_valid\npictures/000.png,a,maybe\npictures/001.png,b,0\n");
    assert!(open(&path).1.to_string().contains("ignored: \"is_valid\""));
}

#[test]
fn doubtful_labels_are_told() {
    let note = |text: &str| {
        let (_root, path) = table(text);
        open(&path).1.to_string()
    };
    let report = note("path,label\npictures/000.png,cat\npictures/001.png,nan\npictures/002.png,nan\n");
    assert!(
        report.contains("2 cells in the column label with \"nan\", which is taken for a class"),
        "{report}"
    );
    let report = note("path,label\npictures/000.png,1.0\npictures/001.png,3.5\n");
    assert!(
        report.contains("the column label holds numbers such as 3.5"),
        "{report}"
    );
    let report = note("path,label\npictures/000.png,1.0\npictures/001.png,2.0\n");
    assert!(!report.contains("holds numbers"), "{report}");
    let report = note("path,labels\npictures/000.png,\"sea,sun\"\npictures/001.png,sun\n");
    assert!(
        report.contains("the cell \"sea,sun\" of the column labels is taken for one label, because it has a comma"),
        "{report}"
    );
    let (_root, path) = table("path,labels\npictures/000.png,\"['sea', 'sun']\"\npictures/001.png,\"[\"\"sun\"\"]\"\n");
    assert_eq!(all_labels(&open(&path).0), [&["sea", "sun"][..], &["sun"]]);
}

/// HAM10000 has its pictures in two folders, and one table.
#[test]
fn names_without_folders_are_found_in_the_folders_below() {
    let root = folder(&[("part_1", 2)]);
    for number in 2..4 {
        paint(&root.path().join(format!("part_2/deep/{number:03}.png")), number);
    }
    let path = root.path().join("train.csv");
    fs::write(&path, "id,label\n000,a\n001.png,b\n002,a\n003.png,b\n").unwrap();
    let sentence = error(&path);
    let place = root.path().display();
    assert!(
        sentence.contains(&format!(
            "they are in the folders below {place}: add --pictures {place};"
        )),
        "{sentence}"
    );
    let options = DataOptions {
        table: TableOptions {
            pictures: Some(root.path().to_owned()),
            ..TableOptions::default()
        },
        ..DataOptions::default()
    };
    let (dataset, _) = Dataset::open(&path, &options).unwrap();
    let found: Vec<_> = dataset.samples.iter().map(|sample| sample.path.clone()).collect();
    let expected = [
        "part_1/000.png",
        "part_1/001.png",
        "part_2/deep/002.png",
        "part_2/deep/003.png",
    ];
    assert_eq!(found, expected.map(|path| root.path().join(path)));
    // Two files of one name.
    paint(&root.path().join("part_2/001.png"), 9);
    let sentence = Dataset::open(&path, &options).unwrap_err().to_string();
    assert!(
        sentence.contains("part_2/001.png: write its folder before it"),
        "{sentence}"
    );
}

/// Both folders hold a picture of the first name.
#[test]
fn the_folder_of_most_pictures_is_advised() {
    let root = folder(&[("test", 2), ("train", 4), ("old", 4)]);
    let path = root.path().join("train.csv");
    fs::write(&path, "id,label\n000.png,0\n001.png,1\n002.png,0\n003.png,1\n").unwrap();
    let place = |name: &str| root.path().join(name).display().to_string();
    let sentence = error(&path);
    assert!(
        sentence.contains(&format!(
            "files of these names are in {}, {}: say which folder is meant with --pictures",
            place("old"),
            place("train")
        )),
        "{sentence}"
    );
    fs::remove_dir_all(root.path().join("old")).unwrap();
    assert!(error(&path).contains(&format!("they are in {0}: add --pictures {0};", place("train"))));
    fs::remove_file(root.path().join("train/003.png")).unwrap();
    assert!(error(&path).contains(&format!("3 of them are in {0}: add --pictures {0};", place("train"))));
}

#[test]
fn a_list_without_a_header_is_told() {
    let (_root, path) = table("pictures/000.png 0\npictures/001.png 1\n");
    let sentence = error(&path);
    assert!(
        sentence.ends_with(
            "its first line names the picture pictures/000.png: put a line above it that names the columns, such as \
             path,label, and commas between the cells"
        ),
        "{sentence}"
    );
}

/// `x` and `y` of 0 and 1 are two classes, or a mark and a label.
#[test]
fn a_vague_name_above_zeros_and_ones_is_asked_about() {
    let (_root, path) = table("path,x,y\npictures/000.png,1,0\npictures/001.png,0,1\npictures/002.png,0,1\n");
    let sentence = error(&path);
    assert!(
        sentence.ends_with(
            "the column y may hold the labels, or be one of the columns of 0 and 1 for each class (x, y): \
             --label-column y takes it for the labels, --label-column NAME,NAME,... takes the columns so named for the \
             classes"
        ),
        "{sentence}"
    );
    let by = |columns: &str| TableOptions {
        label_column: Some(columns.to_owned()),
        ..TableOptions::default()
    };
    assert_eq!(with(&path, by("x,y")).unwrap().0.classes, ["x", "y"]);
    assert_eq!(with(&path, by("y")).unwrap().0.classes, ["0", "1"]);
    let (_root, path) = table("path,width,y\npictures/000.png,20,0\npictures/001.png,30,1\n");
    assert_eq!(open(&path).0.classes, ["0", "1"]);
}

#[test]
fn names_as_programs_write_them_are_found() {
    let root = folder(&[("a b", 3), ("e\u{301}", 3)]);
    let path = root.path().join("t.csv");
    let at = root.path().display();
    fs::write(
        &path,
        format!(
            "path,label\na%20b/000.png,x\nfile://{at}/a%20b/001.png,x\n'a b/002.png',x\n\u{e9}/000.png,y\n\
             %C3%A9/001.png,y\ne%CC%81/002.png,y\n"
        ),
    )
    .unwrap();
    let (dataset, _) = open(&path);
    assert_eq!((dataset.samples.len(), dataset.classes.len()), (6, 2));
    // A file whose name has such a code.
    let root = folder(&[("a%20b", 3), ("c", 3)]);
    let path = root.path().join("t.csv");
    fs::write(&path, "path,label\na%20b/000.png,x\nc/000.png,y\n").unwrap();
    assert!(open(&path).0.samples[0].path.ends_with("a%20b/000.png"));
    fs::write(&path, "path,label\na%2/000.png,x\nc/000.png,y\n").unwrap();
    assert!(error(&path).contains("a%2/000.png"));
    fs::write(&path, "path,label\na%20b/000.jpg,x\nc/000.jpg,y\n").unwrap();
    assert!(
        error(&path).contains("a%20b/000.png is there, with another ending than in the table"),
        "{}",
        error(&path)
    );
}

#[test]
fn files_that_are_no_tables_are_named() {
    let (_root, path) = table("");
    assert!(error(&path).ends_with("the table is empty, or has an empty first line"));
    fs::write(&path, b"PK\x03\x04rest").unwrap();
    assert!(error(&path).contains("a sheet of Excel or an archive"));
    fs::write(&path, b"a\0\x01\x02,b\n").unwrap();
    assert!(error(&path).ends_with("this is no text, so it is no table"));
    let text = "path,label\npictures/000.png,x\npictures/001.png,y\n";
    for write in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(write).collect();
        fs::write(&path, bytes).unwrap();
        assert_eq!(open(&path).0.classes, ["x", "y"]);
    }
    fs::write(&path, format!("{text}pictures/002.png\n")).unwrap();
    assert!(
        error(&path)
            .ends_with("1 cell where the first line has 2; a cell is missing, or a quotation mark is never closed")
    );
}

#[test]
fn files_of_other_tools_are_named_with_a_line_that_makes_a_table() {
    let root = tempfile::tempdir().unwrap();
    let coco = "{\"images\": [], \"annotations\": [], \"categories\": []}";
    for (name, content, expected) in [
        ("boxes.json", coco, "; these are annotations in COCO's format: "),
        (
            "labels.json",
            "{\"0.png\": \"cat\"}",
            "; save it as CSV, for a list of objects: ",
        ),
        (
            "data.yaml",
            "names: [cat, dog]",
            "; a YAML file beside pictures describes a data set of boxes (YOLO)",
        ),
        ("metadata.jsonl", "{}", "pandas.read_json('FILE', lines=True)"),
    ] {
        let path = root.path().join(name);
        fs::write(&path, content).unwrap();
        let sentence = error(&path);
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
fn splits_of_a_column_may_be_abbreviated_or_foreign() {
    for splits in [
        ["tr", "va", "te"],
        ["trn", "vld", "tst"],
        ["Trainingsdaten", "Validierung", "Testdaten"],
    ] {
        let line = |(number, split): (usize, &str)| format!("pictures/00{number}.png,{},{split}\n", number % 2);
        let lines: Vec<String> = splits.iter().cycle().take(6).copied().enumerate().map(line).collect();
        let (_root, path) = table(&format!("path,label,split\n{}", lines.concat()));
        let (dataset, _) = open(&path);
        assert_eq!(Split::ALL.map(|split| dataset.count(split)), [2, 2, 2], "{splits:?}");
    }
}
