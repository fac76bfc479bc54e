//! A published, fine-tuned Xception on the 18 photographs that come with it, against Keras and Pillow.
//!
//! `XCEPTION_KITCHENWARE` names the folder of the unpacked package (`scripts/kitchenware.sh` prints it). Without it
//! these tests say so and pass, unless `XCEPTION_REQUIRE_KITCHENWARE` is set, as `scripts/test.sh` does.
#![cfg(feature = "pretrained")]

mod common;

use burn::tensor::Device;
use common::Record;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use xception_model::picture::{DecodeLimits, Pixels, Preset};
use xception_model::registry::{self, Cache, FetchOptions, Kind, Reporter};
use xception_model::{Classifier, InputSpec, Known, Scaling, Xception, XceptionConfig};

const MODEL: &str = "kitchenware_xception_model_val-acc_0.901.keras";

/// Relative, in norm.
const BOUND: f64 = 1e-5;

/// `tests/golden/kitchenware.json`.
#[derive(Deserialize)]
struct Golden {
    labels: Vec<String>,
    labelled: usize,
    right: usize,
    photographs: Vec<Photograph>,
}

#[derive(Deserialize)]
struct Photograph {
    file: String,
    sha256: String,
    logits: Vec<f32>,
    embedding: Record,
    label: String,
    truth: Option<String>,
}

fn golden() -> Golden {
    let golden: Golden = common::read("kitchenware.json");
    assert_eq!(golden.photographs.len(), 18);
    golden
}

/// What the Keras file does not say: it was trained with Xception's `preprocess_input`.
fn known() -> Known {
    Known {
        scaling: Some(Scaling::Tf),
        ..Known::default()
    }
}

/// The network of the Keras file, with the card's preset.
fn classifier(package: &std::path::Path, device: &Device) -> Classifier {
    let path = package.join("trained_models").join(MODEL);
    let mut classifier = Classifier::load_with(&path, &known(), device).unwrap_or_else(|error| panic!("{error}"));
    classifier.spec.input.preset = Some(Preset::KerasNearest);
    classifier
}

fn pixels(classifier: &Classifier, package: &std::path::Path, photograph: &Photograph) -> Pixels {
    let path = package.join("datasets/kitchenware-data/images").join(&photograph.file);
    classifier
        .prepare_file(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A golden of `scripts/golden/golden_crops.py`: a photograph, or a picture of a formula (`tests/picture/crops.rs`).
#[derive(Deserialize)]
struct Crop {
    file: Option<String>,
    preset: Preset,
    height: usize,
    width: usize,
    fnv1a: String,
}

#[test]
fn crops_of_photographs_are_those_of_torchvision_and_timm() {
    #[derive(Deserialize)]
    struct Crops {
        crops: Vec<Crop>,
    }
    let Some(package) = common::kitchenware() else { return };
    let images = package.join("datasets/kitchenware-data/images");
    let mut compared = 0;
    for crop in common::read::<Crops>("crops.json").crops {
        let Some(file) = &crop.file else { continue };
        let picture = crop.preset.open(images.join(file), DecodeLimits::default()).unwrap();
        let pixels = crop.preset.apply(&picture, crop.height, crop.width).unwrap();
        let hash = pixels.data().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &value| {
            (hash ^ u64::from(value as u8)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(format!("{hash:016x}"), crop.fnv1a, "{} of {file}", crop.preset);
        compared += 1;
    }
    assert_eq!(compared, 28);
}

/// The hash of the values as Pillow's bytes.
fn sha256(pixels: &Pixels) -> String {
    let bytes: Vec<u8> = pixels.data().iter().map(|&value| value as u8).collect();
    let digest = Sha256::digest(bytes);
    digest
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn the_file_says_what_the_network_is() {
    let Some(package) = common::kitchenware() else { return };
    let path = package.join("trained_models").join(MODEL);
    let loaded = xception_model::load_with(&path, &known(), &common::device());
    let (model, spec) = loaded.unwrap_or_else(|error| panic!("{error}"));
    let expected = XceptionConfig::new()
        .with_num_classes(6)
        .with_hidden_layers(vec![100])
        .with_dropout(0.2);
    assert_eq!(spec.network, expected.into());
    assert_eq!(
        spec.input,
        InputSpec {
            height: 150,
            width: 150,
            preset: None,
            scaling: Scaling::Tf,
            ..InputSpec::default()
        }
    );
    assert_eq!(spec.source, MODEL);
    assert_eq!(burn::module::Module::num_params(&model), 21_066_986);
}

#[test]
fn pixels_logits_and_classes_are_those_of_keras() {
    let Some(package) = common::kitchenware() else { return };
    let golden = golden();
    assert_eq!((golden.labelled, golden.right), (9, 9));
    for (name, device) in common::devices() {
        let classifier = classifier(&package, &device);
        let mut worst = [0.0_f64; 3];
        let (mut labelled, mut right) = (0, 0);
        // Only two pictures, with labels, on a backend that takes up to half a minute for one.
        let (first, every, labels) = if name == "ndarray" {
            (3, 12, 2)
        } else {
            (0, 1, golden.labelled)
        };
        for photograph in golden.photographs.iter().skip(first).step_by(every) {
            let file = &photograph.file;
            let pixels = pixels(&classifier, &package, photograph);
            assert_eq!(sha256(&pixels), photograph.sha256, "pixels of {file}");

            let images = classifier.batch(&[pixels]).expect("a batch");
            let embedding = classifier.network().embed(images.clone()).expect("an embedding");
            let [samples, norm] = photograph
                .embedding
                .errors(&embedding.dims(), &common::values(&embedding));
            let logits = common::values(&classifier.network().forward(images).expect("logits"));
            let error = common::relative_error(&logits, &photograph.logits);
            for (worst, error) in worst.iter_mut().zip([error, samples, norm]) {
                assert!(error <= BOUND, "{file} on {name} is off by {error:.1e}");
                *worst = worst.max(error);
            }

            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            let label = best.map(|class| golden.labels[class].as_str());
            assert_eq!(label, Some(photograph.label.as_str()), "{file}");
            labelled += usize::from(photograph.truth.is_some());
            right += usize::from(photograph.truth.as_deref() == label);
        }
        assert_eq!((labelled, right), (labels, labels));
        println!(
            "{name}: logits {:.1e}, embedding {:.1e}, its norm {:.1e}",
            worst[0], worst[1], worst[2]
        );
    }
}

#[test]
fn a_batch_gives_what_each_picture_gives_alone() {
    let Some(package) = common::kitchenware() else { return };
    let golden = golden();
    let classifier = classifier(&package, &common::device());
    let all: Vec<Pixels> = golden
        .photographs
        .iter()
        .map(|photograph| pixels(&classifier, &package, photograph))
        .collect();
    let together = classifier.classify(&all, 6).expect("predictions");
    assert_eq!(together.len(), 18);
    for ((pixels, batch), photograph) in all.iter().zip(&together).zip(&golden.photographs) {
        let alone = classifier
            .classify(std::slice::from_ref(pixels), 6)
            .expect("a prediction");
        let by_class = |predictions: &[xception_model::Prediction]| {
            let mut predictions = predictions.to_vec();
            predictions.sort_by_key(|prediction| prediction.class);
            predictions.iter().map(|p| p.probability).collect::<Vec<_>>()
        };
        let error = common::relative_error(&by_class(batch), &by_class(&alone[0]));
        assert!(error <= BOUND, "{} is off by {error:.1e} in a batch", photograph.file);
        assert_eq!(batch[0].class, alone[0][0].class);
        let sum: f32 = batch.iter().map(|prediction| prediction.probability).sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
}

#[test]
fn the_card_converts_once_and_the_record_gives_the_same_bits() {
    let Some(package) = common::kitchenware() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let card = registry::card("xception-kitchenware").expect("a built-in card");
    let cache = Cache::new(Some(folder.path().to_owned())).expect("a cache");
    let options = FetchOptions::default().offline(true).reporter(Reporter::silent());
    let put = folder.path().join(&card.name).join(MODEL);
    std::fs::create_dir_all(put.parent().expect("a folder")).expect("a writable folder");
    std::fs::copy(package.join("trained_models").join(MODEL), &put).expect("a copy");

    let device = common::device();
    let open =
        || Classifier::from_card(card, Kind::Full, &cache, &options, &device).unwrap_or_else(|error| panic!("{error}"));
    let first = open();
    // The second load must not need the original.
    std::fs::remove_file(&put).expect("a file to remove");
    let second = open();

    assert_eq!(first.spec, second.spec);
    assert_eq!(first.spec.input.preset, Some(Preset::KerasNearest));
    let golden = golden();
    let labels: Vec<&str> = first.spec.labels.iter().map(|label| label.name.as_str()).collect();
    assert_eq!(labels, golden.labels);

    let photograph = &golden.photographs[0];
    let keras = classifier(&package, &device);
    let images = keras.batch(&[pixels(&keras, &package, photograph)]).expect("a batch");
    let logits = |classifier: &Classifier| {
        let logits = common::values(&classifier.network().forward(images.clone()).expect("logits"));
        logits.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(logits(&first), logits(&keras));
    assert_eq!(logits(&second), logits(&keras));

    let path = package.join("datasets/kitchenware-data/images").join(&photograph.file);
    let guesses = second.classify_file(&path, 2).expect("a prediction");
    assert_eq!(guesses.len(), 2);
    assert_eq!(guesses[0].label.name, photograph.label);
}

/// Not a test: run in a second process by `pretrained_reads_the_cache_that_the_environment_names`.
#[test]
#[ignore = "run by the test that needs a second process"]
fn child() {
    let Some(answer) = std::env::var_os("TOY_ANSWER") else {
        return;
    };
    let Some(package) = common::kitchenware() else { return };
    let device = common::device();
    let model = Xception::pretrained("xception-kitchenware", &device).unwrap_or_else(|error| panic!("{error}"));
    let whole = Classifier::pretrained("xception-kitchenware", &device).unwrap_or_else(|error| panic!("{error}"));
    let pixels = pixels(&whole, &package, &golden().photographs[0]);
    let images = whole.batch(&[pixels]).expect("a batch");
    let logits = common::values(&model.forward(images.clone()).expect("logits"));
    assert_eq!(
        logits,
        common::values(&whole.network().forward(images).expect("logits"))
    );
    let text = serde_json::to_string(&logits).expect("numbers");
    std::fs::write(answer, text).expect("a writable folder");
}

#[test]
fn pretrained_reads_the_cache_that_the_environment_names() {
    let Some(package) = common::kitchenware() else { return };
    let cache = tempfile::tempdir().expect("a temporary folder");
    let folder = cache.path().join("xception-kitchenware");
    std::fs::create_dir(&folder).expect("a writable folder");
    std::fs::copy(package.join("trained_models").join(MODEL), folder.join(MODEL)).expect("a copy");
    let answer = cache.path().join("answer.json");
    let child = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env("XCEPTION_CACHE", cache.path())
        .env("TOY_ANSWER", &answer)
        .output()
        .expect("a process");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));

    let text = std::fs::read_to_string(&answer).expect("the child's answer");
    let logits: Vec<f32> = serde_json::from_str(&text).expect("numbers");
    let error = common::relative_error(&logits, &golden().photographs[0].logits);
    assert!(error <= BOUND, "off by {error:.1e}");
    let is_record = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".bpk");
    let names = std::fs::read_dir(&folder).expect("the cache's folder");
    let records = names
        .map(|entry| entry.expect("an entry").file_name())
        .filter(is_record);
    assert_eq!(records.count(), 1, "converted once, and there");
}
