//! Class activation maps against TensorFlow's `GradientTape`.
//!
//! `golden/explain.py` writes the goldens, for the toy network of `scripts/golden/golden.py`, whose weights follow a
//! formula.

#[path = "../../xception-model/tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Tensor;
use image::{Rgb, RgbImage};
use serde::Deserialize;
use trainer::evaluate::{EvaluateError, EvaluateOptions, Labelled, evaluate};
use trainer::explain::{ExampleCounts, ExplainError, Explainer, Heatmap, Method, examples};
use xception_model::labels::Label;
use xception_model::picture::Preset;
use xception_model::{Classifier, InceptionV3Config, InputSpec, ModelSpec, Outputs, Scaling, Xception};

/// The largest error, as a part of the largest term of a map's sum. Grad-CAM's terms cancel, so its own largest value
/// is no measure.
const BOUND: f32 = 1e-5;

#[derive(Deserialize)]
struct Case {
    /// `[batch, height, width, channels]`, of the toy network.
    #[serde(default)]
    input: [usize; 4],
    /// A photograph's name, of a real network.
    #[serde(default)]
    picture: String,
    classes: Vec<usize>,
    maps: Vec<Map>,
}

#[derive(Deserialize)]
struct Map {
    #[serde(rename = "stage")]
    layer: String,
    method: String,
    shape: [usize; 2],
    logits: Vec<f32>,
    maps: Vec<Vec<f32>>,
}

impl Case {
    /// The largest error of all maps, as a part of the scale of their layer.
    fn check(&self, explainer: &Explainer, images: &Tensor<4>, bound: f32) -> f32 {
        let mut worst = 0.0_f32;
        assert!(!self.maps.is_empty());
        for expected in &self.maps {
            let method: Method = expected.method.parse().unwrap();
            let found = explainer
                .heatmaps(images.clone(), &self.classes, &expected.layer, method)
                .unwrap();
            assert_eq!(found.len(), self.classes.len());
            for (place, (found, values)) in found.iter().zip(&expected.maps).enumerate() {
                let what = format!("{} of {}, picture {place}", expected.method, expected.layer);
                assert_eq!([found.height, found.width], expected.shape, "{what}");
                let logit = expected.logits[place];
                assert!(
                    (found.logit - logit).abs() <= 1e-4 * logit.abs().max(1.0),
                    "{what}: logit {}",
                    found.logit
                );
                let scale = self.scale(&expected.layer, place);
                let mut error = largest_difference(found, values) / scale;
                if error > bound {
                    let other = self.after_rounding(explainer, images, expected, place) / scale;
                    println!("{what}: off by {error:.1e} of its scale; by {other:.1e} after rounding");
                    error = other;
                }
                assert!(error <= bound, "{what} is off by {error:.1e} of its scale {scale}");
                worst = worst.max(error);
            }
        }
        worst
    }

    /// The least error of the maps of pictures that differ from this one by about the rounding of their values.
    ///
    /// One of the millions of rectifiers above a layer may have an input that rounding takes across zero, and then lets
    /// a gradient through or stops it: the whole map moves by a thousandth. Which side it is on depends on the order in
    /// which a machine adds; one of these pictures has it where TensorFlow had it.
    fn after_rounding(&self, explainer: &Explainer, images: &Tensor<4>, expected: &Map, place: usize) -> f32 {
        let method: Method = expected.method.parse().unwrap();
        [1e-7, -1e-7, 2e-7, -2e-7, 4e-7, -4e-7]
            .map(|part| {
                let images = images.clone() * (1.0 + part);
                let maps = explainer
                    .heatmaps(images, &self.classes, &expected.layer, method)
                    .unwrap();
                largest_difference(&maps[place], &expected.maps[place])
            })
            .into_iter()
            .fold(f32::INFINITY, f32::min)
    }

    /// The largest value of a layer's maps of both methods.
    fn scale(&self, layer: &str, place: usize) -> f32 {
        let maps = self.maps.iter().filter(|map| map.layer == layer);
        let values = maps.filter_map(|map| map.maps.get(place)).flatten();
        values.copied().fold(0.0, f32::max)
    }
}

fn largest_difference(found: &Heatmap, expected: &[f32]) -> f32 {
    assert_eq!(found.values.len(), expected.len());
    let pairs = found.values.iter().zip(expected);
    pairs
        .map(|(found, expected)| (found - expected).abs())
        .fold(0.0, f32::max)
}

fn toy() -> Xception {
    common::network(&common::toy(), &common::device())
}

#[test]
fn maps_equal_tensorflow() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/explain.json")).unwrap();
    assert_eq!(cases.len(), 2);
    for (name, device) in common::devices() {
        let explainer = Explainer::new(&common::network(&common::toy(), &device), Outputs::Softmax);
        for case in &cases {
            let worst = case.check(&explainer, &common::input(case.input, &device), BOUND);
            println!("{name}, input {:?}: {worst:.1e}", case.input);
        }
    }
}

/// The trained network, on photographs.
#[test]
fn maps_of_a_real_network_equal_tensorflow() {
    let Some(package) = common::kitchenware() else { return };
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/explain_kitchenware.json")).unwrap();
    assert_eq!(cases.len(), 2);
    let classifier = trained(&package);
    let explainer = Explainer::new(classifier.network(), classifier.spec.outputs);
    for case in &cases {
        let picture = package.join(PHOTOGRAPHS).join(&case.picture);
        let pixels = classifier.prepare_file(&picture).unwrap();
        let worst = case.check(&explainer, &classifier.batch(&[pixels]).unwrap(), 2e-5);
        println!("{}: {worst:.1e}", case.picture);
    }
}

const PHOTOGRAPHS: &str = "datasets/kitchenware-data/images";

/// The network of the kitchenware package.
fn trained(package: &Path) -> Classifier {
    let model = "trained_models/kitchenware_xception_model_val-acc_0.901.keras";
    let known = xception_model::Known {
        scaling: Some(xception_model::Scaling::Tf),
        ..xception_model::Known::default()
    };
    let mut classifier = Classifier::load_with(package.join(model), &known, &common::device()).unwrap();
    classifier.spec.input.preset = Some(Preset::KerasNearest);
    classifier
}

#[test]
fn a_network_in_training_is_asked_as_in_inference() {
    let images = || common::input([3, 71, 71, 3], &common::device());
    let maps = |model: &Xception| {
        let explainer = Explainer::new(model, Outputs::Softmax);
        let layer = explainer.last_layer().to_owned();
        assert_eq!(layer, "block7_sepconv2_act");
        explainer
            .heatmaps(images(), &[1, 2, 3], &layer, Method::GradCam)
            .unwrap()
    };
    let model = toy();
    let expected = maps(&model);
    let training = model.train();
    assert_eq!(maps(&training), expected);
    assert_eq!(maps(&training), expected, "asking moved the running statistics");
}

#[test]
fn each_picture_of_a_batch_is_explained_for_itself() {
    let explainer = Explainer::new(&toy(), Outputs::Softmax);
    let images = common::input([3, 71, 71, 3], &common::device());
    let explain =
        |images: Tensor<4>, classes: &[usize]| explainer.heatmaps(images, classes, "block6", Method::LayerCam).unwrap();
    let together = explain(images.clone(), &[9, 0, 4]);
    for (place, class) in [9, 0, 4].into_iter().enumerate() {
        let alone = explain(images.clone().narrow(0, place, 1), &[class]);
        let error = largest_difference(&alone[0], &together[place].values);
        assert!(error <= 1e-5 * together[place].max(), "picture {place}: {error:.1e}");
    }
    assert_ne!(
        together[0].values,
        explain(images, &[8, 0, 4])[0].values,
        "the class matters"
    );
}

/// Evidence for the second class is evidence against the first.
#[test]
fn two_classes_share_one_logit() {
    let network = common::network(&common::toy().with_num_classes(1), &common::device());
    let explain = |outputs: Outputs, class: usize| {
        let images = common::input([1, 71, 71, 3], &common::device());
        let maps = Explainer::new(&network, outputs).heatmaps(images, &[class], "block6", Method::LayerCam);
        maps.map(|mut maps| maps.remove(0)).map_err(|error| error.to_string())
    };
    let [first, second] = [0, 1].map(|class| explain(Outputs::Binary, class).unwrap());
    assert!((first.logit + second.logit).abs() <= f32::EPSILON * first.logit.abs());
    assert!(first.max() > 0.0 && second.max() > 0.0);
    assert_ne!(first.values, second.values);
    // The map of a number is that of its logit.
    assert_eq!(explain(Outputs::Value, 0).unwrap(), second);
    for (outputs, class, count) in [(Outputs::Binary, 2, 2), (Outputs::Value, 1, 1)] {
        let error = explain(outputs, class).unwrap_err();
        assert_eq!(
            error,
            format!("there is no class {class}: the network has {count}, counted from 0")
        );
    }
}

#[test]
fn what_cannot_be_explained_is_a_sentence() {
    let explainer = Explainer::new(&toy(), Outputs::Softmax);
    let images = || common::input([3, 71, 71, 3], &common::device());
    let error = |classes: &[usize], layer: &str| {
        let problem = explainer
            .heatmaps(images(), classes, layer, Method::GradCam)
            .unwrap_err();
        (problem.to_string(), problem)
    };
    let (text, _) = error(&[0, 1], "block6");
    assert_eq!(text, "expected one class for each of 3 pictures, found 2");
    let (text, _) = error(&[0, 1, 10], "block6");
    assert_eq!(text, "there is no class 10: the network has 10, counted from 0");
    let (text, problem) = error(&[0, 1, 2], "block6_sepconv2_bm");
    assert!(text.contains("did you mean `block6_sepconv2_bn`?"), "{text}");
    assert!(matches!(problem, ExplainError::Input(_)));
    for vector in ["avg_pool", "predictions"] {
        let (text, _) = error(&[0, 1, 2], vector);
        assert!(text.starts_with(&format!("`{vector}` is a vector")), "{text}");
        assert!(text.ends_with("`block7_sepconv2_act`"), "{text}");
    }
    let small = Tensor::<4>::zeros([1, 3, 70, 71], &common::device());
    let problem = explainer.heatmaps(small, &[0], "block6", Method::GradCam).unwrap_err();
    assert!(problem.to_string().contains("70 x 71"), "{problem}");
}

/// A toy classifier and pictures of it, two of which are damaged or lost.
fn bench() -> (Classifier, Vec<Labelled>, tempfile::TempDir) {
    let network = common::toy();
    let spec = ModelSpec {
        source: "made by a test".to_owned(),
        outputs: Outputs::Softmax,
        input: InputSpec {
            height: 71,
            width: 71,
            preset: Some(Preset::KerasNearest),
            scaling: Scaling::Tf,
            ..InputSpec::default()
        },
        labels: (0..network.num_classes)
            .map(|class| Label::new(class.to_string()))
            .collect(),
        network: network.into(),
    };
    let folder = tempfile::tempdir().unwrap();
    let mut pictures: Vec<Labelled> = (0..11_u32)
        .map(|number| {
            let path = folder.path().join(format!("{number}.png"));
            let picture = RgbImage::from_fn(90, 80, |x, y| {
                Rgb([x * (number + 1), y * (number + 3), (x * y) >> (number % 5)].map(|value| value as u8))
            });
            picture.save(&path).unwrap();
            Labelled {
                path,
                classes: vec![number as usize % 10],
            }
        })
        .collect();
    std::fs::write(&pictures[4].path, "no picture").unwrap();
    pictures.push(Labelled {
        path: folder.path().join("lost.png"),
        classes: vec![0],
    });
    (Classifier::new(&toy(), spec), pictures, folder)
}

#[test]
fn an_evaluation_says_what_the_network_says_one_by_one() {
    let (classifier, pictures, _folder) = bench();
    for batch_size in [1, 4, 64] {
        let mut counted = 0;
        let options = EvaluateOptions { batch_size, threads: 3 };
        let found = evaluate(&classifier, &pictures, options, |count| counted += count).unwrap();
        assert_eq!((counted, found.evaluation.pictures), (12, 10));
        assert_eq!(found.preset, Preset::KerasNearest);
        assert!(found.speed.pictures_per_second > 0.0 && (0.0..=1.0).contains(&found.speed.wait_share));
        let lost: Vec<_> = found.unreadable.iter().map(|(path, _)| path).collect();
        assert_eq!(lost, [&pictures[4].path, &pictures[11].path]);
        assert!(
            found
                .unreadable
                .iter()
                .all(|(path, problem)| problem.contains(path.to_str().unwrap()))
        );

        let readable = pictures.iter().filter(|picture| !lost.contains(&&picture.path));
        for (picture, (truth, probabilities)) in readable.zip(found.predictions.rows()) {
            assert_eq!(truth, picture.classes);
            for said in classifier.classify_file(&picture.path, 10).unwrap() {
                let difference = (probabilities[said.class] - said.probability).abs();
                assert!(difference <= 1e-5, "{}: {difference}", picture.path.display());
            }
        }
        assert_eq!(found.predictions.paths.len(), 10);
    }
}

/// The last feature map of a small picture. Grad-CAM of one place is the logit without its bias.
#[test]
fn a_map_of_one_place_is_a_map() {
    let device = common::device();
    let inception = InceptionV3Config::new().with_width_divisor(16).with_num_classes(3);
    let network = common::new_network(inception, 1, &device);
    let images = common::input([2, 75, 75, 3], &device);
    let explainer = Explainer::new(&network, Outputs::Softmax);
    assert_eq!(explainer.last_layer(), "mixed10");
    let mut total = 0.0;
    for class in 0..3 {
        let maps = explainer.heatmaps(images.clone(), &[class; 2], "mixed10", Method::GradCam);
        for map in maps.unwrap() {
            assert_eq!((map.height, map.width), (1, 1));
            // New biases are 0, and what speaks against a class is not shown.
            let expected = map.logit.max(0.0);
            assert!((map.values[0] - expected).abs() <= 1e-5 * map.logit.abs(), "{map:?}");
            total += map.values[0];
        }
    }
    assert!(total > 0.0);
    let error = explainer
        .heatmaps(images, &[0; 2], "avg_pool", Method::GradCam)
        .unwrap_err();
    assert!(error.to_string().starts_with("`avg_pool` is a vector"), "{error}");
}

#[test]
fn nothing_to_judge_is_an_error() {
    let (mut classifier, pictures, _folder) = bench();
    let options = EvaluateOptions {
        batch_size: 2,
        threads: 2,
    };
    let error = evaluate(&classifier, &pictures[11..], options, |_| {}).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("none of the 1 pictures can be read; the first: "),
        "{text}"
    );
    assert!(matches!(error, EvaluateError::Unreadable(1, _)));
    let error = evaluate(&classifier, &[], options, |_| {}).unwrap_err();
    assert!(
        error.to_string().starts_with("there are no predictions to judge"),
        "{error}"
    );
    classifier.spec.input.preset = None;
    let error = evaluate(&classifier, &pictures, options, |_| {}).unwrap_err();
    assert!(error.to_string().contains("choose a preset"), "{error}");
}

#[test]
fn examples_are_the_most_confident_of_each_kind() {
    let (classifier, mut pictures, _folder) = bench();
    pictures.retain(|picture| image::open(&picture.path).is_ok());
    // The network predicts half of the pictures correctly.
    for picture in pictures.iter_mut().step_by(2) {
        picture.classes = vec![classifier.classify_file(&picture.path, 1).unwrap()[0].class];
    }
    let options = EvaluateOptions {
        batch_size: 4,
        threads: 2,
    };
    let found = evaluate(&classifier, &pictures, options, |_| {}).unwrap();
    std::fs::remove_file(&found.evaluation.mistakes[0].path).unwrap();
    let counts = ExampleCounts {
        mistakes: 3,
        ordinary: 5,
        right: 4,
    };
    let mut done = Vec::new();
    let shown = examples(
        &classifier,
        &found.predictions,
        &found.evaluation,
        counts,
        &mut |pictures| done.push(pictures),
    )
    .unwrap();
    // One of the seven is gone.
    assert!(done.is_sorted() && done.last() == Some(&6), "{done:?}");

    let mistakes: Vec<_> = shown.mistakes.iter().map(|shown| &shown.path).collect();
    let expected: Vec<_> = found
        .evaluation
        .mistakes
        .iter()
        .take(3)
        .map(|mistake| &mistake.path)
        .collect();
    assert_eq!(mistakes, expected);
    assert!(shown.mistakes.iter().all(|shown| shown.truth != shown.predicted));
    assert!(shown.mistakes[0].picture.is_none() && shown.mistakes[0].heat.is_none());
    for seen in shown.mistakes[1..].iter().chain(&shown.right) {
        let picture = seen.picture.as_ref().unwrap();
        let (second, probability) = seen.second.as_ref().unwrap();
        assert!(*second != seen.predicted && *probability <= seen.confidence);
        // In a network of random weights, nothing may speak for the answer; then the truth's heat is shown.
        if let Some(heat) = &seen.heat {
            assert_eq!(heat.picture.dimensions(), picture.dimensions());
            assert!(heat.class == seen.predicted || heat.class == seen.truth);
        }
    }
    assert!(shown.right.iter().any(|seen| seen.heat.is_some()));
    assert_eq!(shown.ordinary.len(), 5);
    assert!(shown.ordinary.iter().all(|seen| seen.heat.is_none()));
    assert_eq!(shown.right.len(), 4);
    assert!(shown.right.iter().all(|shown| shown.truth == shown.predicted));
}

/// The part of a map's heat in its left half.
fn left(map: &Heatmap) -> f32 {
    let rows = map.values.chunks_exact(map.width);
    let left: f32 = rows.flat_map(|row| &row[..map.width / 2]).sum();
    left / map.values.iter().sum::<f32>()
}

/// Each photograph is placed on the left and on the right of a grey field of twice its width. A map that shows typical
/// places instead of the object would not move.
#[test]
fn heat_moves_with_the_photograph() {
    let Some(package) = common::kitchenware() else { return };
    let classifier = trained(&package);
    let explainer = Explainer::new(classifier.network(), classifier.spec.outputs);
    let mut photographs: Vec<PathBuf> = std::fs::read_dir(package.join(PHOTOGRAPHS))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jpg"))
        .collect();
    photographs.sort();
    assert_eq!(photographs.len(), 18);
    for path in photographs {
        let said = classifier.classify_file(&path, 1).unwrap()[0].class;
        let photograph = classifier.batch(&[classifier.prepare_file(&path).unwrap()]).unwrap();
        let grey = photograph.zeros_like();
        let on_the_left = Tensor::cat(vec![photograph.clone(), grey.clone()], 3);
        let on_the_right = Tensor::cat(vec![grey, photograph], 3);
        let images = Tensor::cat(vec![on_the_left, on_the_right], 0);
        let maps = explainer
            .heatmaps(images, &[said, said], explainer.last_layer(), Method::GradCam)
            .unwrap();
        let parts = [left(&maps[0]), 1.0 - left(&maps[1])];
        println!("{}: {parts:.2?}", path.display());
        assert!(parts.iter().all(|part| *part > 0.8), "{}: {parts:.2?}", path.display());
    }
}
