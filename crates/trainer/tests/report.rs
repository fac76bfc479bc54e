//! Figures against scikit-learn, plots and the report as files.
//!
//! `golden/metrics.py` writes the figures.

use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::Deserialize;
use trainer::data::ClassCount;
use trainer::explain::{Examples, Heat};
use trainer::metrics::{
    Calibration, EpochRow, Evaluation, Predictions, Score, Task, Temperature, write_class_table, write_predictions,
};
use trainer::plots;
use trainer::report::{self, ClassPictures, ReportData, Shown, TrainingReport};

/// `golden/metrics.json`.
#[derive(Deserialize)]
struct Golden {
    single: Figures,
    multi: Figures,
}

#[derive(Deserialize)]
struct Figures {
    classes: usize,
    truths: Vec<Vec<usize>>,
    probabilities: Vec<f32>,
    loss: f64,
    per_class: Columns,
    averages: Averages,
    calibration: Bins,
    #[serde(default)]
    top_1: f64,
    #[serde(default)]
    top_5: f64,
    #[serde(default)]
    confusion: Vec<Vec<usize>>,
    #[serde(default)]
    subset_accuracy: f64,
    #[serde(default)]
    average_precision: Vec<Option<f64>>,
    #[serde(default)]
    mean_average_precision: f64,
}

#[derive(Deserialize)]
struct Columns {
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<usize>,
}

#[derive(Deserialize)]
struct Averages {
    r#macro: Score,
    weighted: Score,
    micro: Score,
}

#[derive(Deserialize)]
struct Bins {
    counts: Vec<usize>,
    /// Of the filled bins.
    accuracy: Vec<f64>,
    confidence: Vec<f64>,
    ece: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/metrics.json")).unwrap()
}

impl Figures {
    fn predictions(&self, multi_label: bool) -> Predictions {
        Predictions {
            classes: (0..self.classes).map(|class| format!("class {class}")).collect(),
            multi_label,
            paths: (0..self.truths.len())
                .map(|picture| PathBuf::from(format!("{picture}.jpg")))
                .collect(),
            truths: self.truths.clone(),
            probabilities: self.probabilities.clone(),
        }
    }

    /// What both kinds of task have.
    fn check(&self, found: &Evaluation) {
        assert_eq!(found.pictures, self.truths.len());
        // scikit-learn divides 32-bit rows by their sum first.
        close("loss", found.loss, self.loss, 1e-6);
        assert_eq!(found.classes.len(), self.classes);
        for (index, class) in found.classes.iter().enumerate() {
            let expected = Score {
                precision: self.per_class.precision[index],
                recall: self.per_class.recall[index],
                f1: self.per_class.f1[index],
            };
            same(&class.class, class.score, expected);
            assert_eq!(class.support, self.per_class.support[index], "{}", class.class);
        }
        same("weighted", found.weighted_average, self.averages.weighted);
        self.calibration.check(&found.calibration);
    }
}

impl Bins {
    fn check(&self, found: &Calibration) {
        let counts: Vec<usize> = found.bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, self.counts);
        let filled = || found.bins.iter().filter(|bin| bin.count > 0);
        assert_eq!(filled().count(), self.accuracy.len());
        for (bin, (accuracy, confidence)) in filled().zip(self.accuracy.iter().zip(&self.confidence)) {
            close("accuracy of a bin", bin.accuracy.unwrap(), *accuracy, 1e-12);
            close("confidence of a bin", bin.confidence.unwrap(), *confidence, 1e-12);
        }
        close("ece", found.ece, self.ece, 1e-12);
    }
}

#[track_caller]
fn close(what: &str, found: f64, expected: f64, bound: f64) {
    assert!(
        (found - expected).abs() <= bound,
        "{what}: expected {expected}, found {found}"
    );
}

#[track_caller]
fn same(what: &str, found: Score, expected: Score) {
    close(what, found.precision, expected.precision, 1e-12);
    close(what, found.recall, expected.recall, 1e-12);
    close(what, found.f1, expected.f1, 1e-12);
}

#[test]
fn one_label_a_picture_is_judged_as_scikit_learn_does() {
    let golden = golden().single;
    let found = Evaluation::new(&golden.predictions(false)).unwrap();
    golden.check(&found);
    same("macro", found.macro_average, golden.averages.r#macro);
    let Task::Single {
        top_1,
        top_5,
        confusion,
    } = &found.task
    else {
        panic!("{:?}", found.task);
    };
    close("top 1", *top_1, golden.top_1, 1e-12);
    close("top 5", top_5.unwrap(), golden.top_5, 1e-12);
    assert_eq!(confusion.as_ref(), Some(&golden.confusion));
    let wrong = (1.0 - golden.top_1) * found.pictures as f64;
    assert_eq!(found.mistake_count, wrong.round() as usize);
    assert!(found.mistakes.is_sorted_by(|a, b| a.confidence >= b.confidence));
}

#[test]
fn several_labels_a_picture_are_judged_as_scikit_learn_does() {
    let golden = golden().multi;
    let found = Evaluation::new(&golden.predictions(true)).unwrap();
    golden.check(&found);
    let Task::Multi {
        subset_accuracy,
        micro_average,
        mean_average_precision,
    } = found.task
    else {
        panic!("{:?}", found.task);
    };
    close("subset accuracy", subset_accuracy, golden.subset_accuracy, 1e-12);
    same("micro", micro_average, golden.averages.micro);
    for (class, expected) in found.classes.iter().zip(&golden.average_precision) {
        match (class.average_precision, expected) {
            (Some(found), Some(expected)) => close(&class.class, found, *expected, 1e-12),
            (found, expected) => assert_eq!(found, *expected, "{}", class.class),
        }
    }
    close("mAP", mean_average_precision, golden.mean_average_precision, 1e-12);
}

#[test]
fn json_names_the_figures() {
    let golden = golden();
    let value = |figures: &Figures, multi_label| {
        let evaluation = Evaluation::new(&figures.predictions(multi_label)).unwrap();
        serde_json::to_value(&evaluation).unwrap()
    };
    let single = value(&golden.single, false);
    assert_eq!(single["task"]["labels"], "single");
    close(
        "top 1",
        single["task"]["top_1"].as_f64().unwrap(),
        golden.single.top_1,
        1e-12,
    );
    assert_eq!(single["classes"][1]["support"], golden.single.per_class.support[1]);
    let precision = single["classes"][1]["precision"].as_f64().unwrap();
    close("precision", precision, golden.single.per_class.precision[1], 1e-12);
    assert!(single["classes"][1].get("average_precision").is_none());
    let multi = value(&golden.multi, true);
    assert_eq!(multi["task"]["labels"], "multi");
    let area = multi["classes"][0]["average_precision"].as_f64();
    close(
        "average precision",
        area.unwrap(),
        golden.multi.average_precision[0].unwrap(),
        1e-12,
    );
}

/// A training of `head` and `all`, eight epochs.
fn epochs() -> Vec<EpochRow> {
    (1..=8)
        .map(|epoch| {
            let time = epoch as f64;
            EpochRow {
                epoch,
                phase: if epoch < 4 { "head" } else { "all" }.to_owned(),
                step: 40 * epoch,
                learning_rate: if epoch < 4 {
                    1e-3
                } else {
                    1e-4 * 0.5_f64.powf(time - 4.0)
                },
                train_loss: 1.6 / time,
                train_accuracy: Some(1.0 - 0.5 / time),
                val_loss: Some(1.6 / time.min(5.0) + 0.05 * time),
                val_accuracy: Some(0.95 - 0.5 / time),
                ema_val_loss: (epoch > 3).then_some(1.5 / time),
                ema_val_accuracy: (epoch > 3).then_some(0.97 - 0.5 / time),
                seconds: 12.5,
                wait_share: 0.02,
                overhead_share: 0.001,
            }
        })
        .collect()
}

/// Random but repeatable predictions for pictures of `classes` classes, most of them right.
fn some_predictions(classes: usize, pictures: usize) -> Predictions {
    let mut state = 1_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f32 / (1_u64 << 31) as f32
    };
    let truths: Vec<usize> = (0..pictures)
        .map(|_| (random() * classes as f32) as usize % classes)
        .collect();
    let probabilities = truths.iter().flat_map(|truth| {
        let mut row: Vec<f32> = (0..classes).map(|_| random().powi(6) + 1e-6).collect();
        row[*truth] += random() * 2.0;
        let sum: f32 = row.iter().sum();
        row.into_iter().map(move |value| value / sum).collect::<Vec<_>>()
    });
    Predictions {
        classes: (0..classes).map(|class| format!("class {class}")).collect(),
        multi_label: false,
        paths: (0..pictures)
            .map(|picture| format!("data/test/{picture}.jpg").into())
            .collect(),
        probabilities: probabilities.collect(),
        truths: truths.into_iter().map(|truth| vec![truth]).collect(),
    }
}

/// The picture of a plot, which must not be blank.
#[track_caller]
fn opened(path: &Path) -> RgbImage {
    let picture = image::open(path).unwrap().into_rgb8();
    let colors: std::collections::HashSet<_> = picture.pixels().collect();
    assert!(colors.len() > 20, "{}: {} colours", path.display(), colors.len());
    picture
}

#[test]
fn curves_with_gaps_single_epochs_and_nan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("curves.png");
    plots::curves(&epochs(), &path).unwrap();
    let whole = opened(&path);
    assert_eq!(whole.dimensions(), (1200, 720));

    plots::curves(&epochs()[..1], &path).unwrap();
    assert_ne!(opened(&path), whole, "the file is replaced");
    let mut rows = epochs();
    rows[2].train_loss = f64::NAN;
    rows[3].val_loss = Some(f64::INFINITY);
    rows[5].learning_rate = 0.0;
    for row in &mut rows {
        (row.train_accuracy, row.val_accuracy, row.ema_val_accuracy) = (None, None, None);
    }
    plots::curves(&rows, &path).unwrap();
    opened(&path);

    let error = plots::curves(&[], &path).unwrap_err().to_string();
    assert_eq!(error, "cannot draw training curves: no epoch is done");
    let nowhere = folder.path().join("no/where.png");
    let error = plots::curves(&rows, &nowhere).unwrap_err().to_string();
    let lost = folder.path().join("no");
    assert_eq!(
        error,
        format!("{}: there is no such folder; make it first", lost.display())
    );
}

#[test]
fn matrices_of_two_to_a_thousand_classes() {
    let folder = tempfile::tempdir().unwrap();
    for classes in [2, 6, 25, 60, 200, 1000] {
        let path = folder.path().join(format!("{classes}.png"));
        let evaluation = Evaluation::new(&some_predictions(classes, 10 * classes)).unwrap();
        plots::confusion_matrix(&evaluation, &path).unwrap();
        let picture = opened(&path);
        let bounds = 500..=4500;
        assert!(
            bounds.contains(&picture.width()),
            "{classes}: {:?}",
            picture.dimensions()
        );
        assert!(std::fs::metadata(&path).unwrap().len() < 2_000_000, "{classes}");
    }
    let several = Evaluation::new(&golden().multi.predictions(true)).unwrap();
    let error = plots::confusion_matrix(&several, &folder.path().join("several.png")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot draw a confusion matrix: pictures have several labels"
    );
}

#[test]
fn every_cell_of_a_matrix_is_filled() {
    // Four hundred classes, all right: two dark diagonals, cells of five pixels without lines between them.
    let classes = 400;
    let mut predictions = some_predictions(classes, classes);
    predictions.truths = (0..classes).map(|class| vec![class]).collect();
    predictions.probabilities = (0..classes * classes)
        .map(|place| f32::from(u8::from(place % (classes + 1) == 0)))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("matrix.png");
    plots::confusion_matrix(&Evaluation::new(&predictions).unwrap(), &path).unwrap();
    let dark = opened(&path).pixels().filter(|pixel| pixel.0 == [8, 69, 138]).count();
    assert!(dark >= 2 * classes * 9, "{dark} of {} pixels", 2 * classes * 25);
}

#[test]
fn a_range_test_with_and_without_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rates.png");
    let points: Vec<(f64, f64)> = (0..100)
        .map(|step| {
            let rate = 1e-7 * 10_f64.powf(f64::from(step) * 0.08);
            (rate, 2.0 - 1.2 / (1.0 + (1e-4 / rate)) + (rate * 10.0).powi(4))
        })
        .collect();
    plots::lr_finder(&points, Some(3e-4), &path).unwrap();
    let suggested = opened(&path);
    plots::lr_finder(&points, None, &path).unwrap();
    assert_ne!(opened(&path), suggested);
    for bad in [
        &[][..],
        &[(1e-3, 1.0)],
        &[(1e-3, f64::NAN), (1e-2, 1.0)],
        &[(0.0, 1.0), (-1.0, 2.0), (0.1, 1.0)],
    ] {
        let error = plots::lr_finder(bad, None, &path).unwrap_err().to_string();
        assert!(error.ends_with("fewer than two steps have a finite loss"), "{error}");
    }
}

#[test]
fn tables_have_a_line_a_class_and_a_line_a_picture() {
    let golden = golden();
    let mut predictions = golden.multi.predictions(true);
    predictions.classes[1] = "cup, \"large\"".to_owned();
    let evaluation = Evaluation::new(&predictions).unwrap();
    let mut classes = Vec::new();
    write_class_table(&mut classes, &evaluation).unwrap();
    let mut reader = csv::Reader::from_reader(classes.as_slice());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(&rows[1][0], "cup, \"large\"");
    close(
        "recall",
        rows[1][2].parse().unwrap(),
        golden.multi.per_class.recall[1],
        1e-12,
    );
    assert_eq!(&rows[3][6], "", "no picture shows the last class");

    let mut pictures = Vec::new();
    write_predictions(&mut pictures, &predictions).unwrap();
    let mut reader = csv::Reader::from_reader(pictures.as_slice());
    assert_eq!(&reader.headers().unwrap()[5], "cup, \"large\"");
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let right = rows.iter().filter(|row| &row[3] == "true").count();
    assert_eq!((rows.len(), rows.len() - right), (40, evaluation.mistake_count));
    let probability: f32 = rows[7][6].parse().unwrap();
    assert_eq!(probability.to_bits(), predictions.probabilities[7 * 4 + 2].to_bits());
}

/// A report with names that would break a page without escaping.
const HOSTILE: &str = "<script>alert('&amp;\u{201d}\"')</script>{{ title }}";

fn page(predictions: &Predictions, training: Option<TrainingReport>) -> ReportData {
    let shown = |index: usize| Shown {
        path: format!("data/test/{HOSTILE}/{index}.jpg").into(),
        truth: HOSTILE.to_owned(),
        predicted: "cup".to_owned(),
        confidence: 0.987,
        right: false,
        second: Some((HOSTILE.to_owned(), 0.01)),
        picture: (index > 0).then(|| RgbImage::from_pixel(900, 600, image::Rgb([200, 30, 30]))),
        heat: (index > 0).then(|| Heat {
            class: HOSTILE.to_owned(),
            picture: RgbImage::new(900, 600),
        }),
    };
    ReportData {
        title: HOSTILE.to_owned(),
        facts: vec![(HOSTILE.to_owned(), HOSTILE.to_owned())],
        details: vec![("recipe".to_owned(), HOSTILE.to_owned())],
        judged: HOSTILE.to_owned(),
        evaluation: Evaluation::new(predictions).unwrap(),
        predictions: predictions.clone(),
        examples: Examples {
            suspects: vec![shown(3)],
            mistakes: vec![shown(0), shown(1)],
            ordinary: vec![shown(4)],
            right: vec![shown(2)],
        },
        training,
    }
}

fn training() -> TrainingReport {
    TrainingReport {
        epochs: epochs(),
        best: Some((5, true)),
        stops: vec![(7, format!("Phase {HOSTILE} ended."))],
        times: vec![(HOSTILE.to_owned(), 75.0)],
        classes: vec![ClassPictures {
            count: ClassCount {
                name: HOSTILE.to_owned(),
                train: 7,
                val: 2,
                test: 1,
            },
            pictures: vec![RgbImage::new(300, 200)],
        }],
        map: vec![(0, [0.0, 1.0]), (1, [2.0, -3.0])],
        temperature: Some((
            Temperature {
                value: 1.25,
                error_without: 0.08,
                error_with: 0.03,
            },
            false,
        )),
        suspects: 3,
    }
}

#[test]
fn the_report_needs_no_other_file_and_escapes_all_names() {
    let mut predictions = some_predictions(6, 90);
    predictions.classes[2] = HOSTILE.to_owned();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, "old").unwrap();
    report::write(&path, &page(&predictions, Some(training()))).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();

    assert_eq!(text.matches("<script").count(), 1, "a name became a part of the page");
    // The policy lets no script run but the page's own, by its hash.
    let script = text
        .split("<script>")
        .nth(1)
        .unwrap()
        .split("</script>")
        .next()
        .unwrap();
    let mut hash = files::Sha256::new();
    hash.update(script);
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash.finish().0);
    assert!(text.contains(&format!("script-src 'sha256-{hash}'\"")), "{hash}");
    assert!(text.matches("&lt;script&gt;alert(").count() >= 10);
    let sources = text.split("src=\"").skip(1);
    let sources: Vec<&str> = sources.map(|rest| rest.split('"').next().unwrap()).collect();
    // Four pictures with their heat maps, and one of a class.
    assert_eq!(sources.len(), 2 * 4 + 1);
    for source in sources {
        assert!(source.starts_with("data:image/"), "{}", &source[..source.len().min(60)]);
    }
    for foreign in ["http:", "https:", "url(", "@import", "<link", "<iframe"] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    assert!(text.contains("The picture cannot be read any more"));
    assert!(!text.contains("data/test/"), "paths begin where they differ");
    let (right, pictures) = (Evaluation::new(&predictions).unwrap().right(), 90);
    for word in [
        format!("{right} of {pictures} "),
        "98.7&nbsp;%".to_owned(),
        "<h2>Classes</h2>".to_owned(),
        "weighted by pictures".to_owned(),
        "averaged weights of epoch 3 of phase all".to_owned(),
        "1 min 15 s".to_owned(),
        "1.00e-3".to_owned(),
        "divides the logits by 1.25".to_owned(),
        "3 labels may be wrong".to_owned(),
    ] {
        assert!(text.contains(&word), "{word}");
    }
    // Figures and tables come before the pictures.
    let order = [
        "<h2>Training",
        "<h2>Most confused",
        "<h2>Classes",
        "<h2>Labels",
        "<h2>Mistakes",
        "<h2>All",
    ];
    let places = order.map(|heading| text.find(heading).unwrap_or_else(|| panic!("{heading}")));
    assert!(places.is_sorted(), "{places:?}");
    let top_1 = Evaluation::new(&predictions).unwrap().accuracy();
    assert!(text.contains(&format!("<b>{:.1} %</b>", 100.0 * top_1)));
}

#[test]
fn a_matrix_has_a_cell_for_each_kind_of_answer_and_a_name_for_each_class() {
    for classes in [2, 100] {
        let mut predictions = some_predictions(classes, 10 * classes);
        predictions.classes[0] = "the_longest_name_of_a_class_in_this_data".to_owned();
        let evaluation = Evaluation::new(&predictions).unwrap();
        let trainer::metrics::Task::Single {
            confusion: Some(counts),
            ..
        } = &evaluation.task
        else {
            panic!()
        };
        let cells = counts.iter().flatten().filter(|count| **count > 0).count();
        let text = report::html(&page(&predictions, None)).unwrap();
        let right = text.matches("<rect class=\"hit\"").count();
        let wrong = text.matches("<rect class=\"miss\"").count();
        assert_eq!(right + wrong, cells, "{classes}");
        assert_eq!(wrong, evaluation.confused_pairs().len(), "{classes}");
        // On both axes.
        assert_eq!(text.matches(">the_longes…this_data<").count(), 2);
    }
}

#[test]
fn a_report_of_several_labels_without_training() {
    let text = report::html(&page(&golden().multi.predictions(true), None)).unwrap();
    for word in ["mAP", "average precision %", "all answers together", "All right"] {
        assert!(text.contains(word), "{word}");
    }
    for word in ["<h2>Training</h2>", "<h2>Confusion matrix</h2>", "<h2>Map"] {
        assert!(!text.contains(word), "{word}");
    }
}
