//! Replays the bodies of the fuzz targets (`fuzz/entries.rs`) on their seeds, on the findings of fuzzing, and on fixed
//! mutations of both: a bounded replay for CI.

#[path = "../../../fuzz/entries.rs"]
mod entries;

mod common;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::Random;
use flate2::read::GzDecoder;

/// Mutations of each seed.
const MUTATIONS: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file's bytes, unpacked if it is gzipped.
fn read(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_none_or(|ending| ending != "gz") {
        return bytes;
    }
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
    unpacked
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let (folder, wanted): (&str, &[&str]) = match target {
        "keras_store" => (
            "crates/keras-store/tests/fixtures",
            &[
                "types.weights.h5",
                "network_keras2.h5",
                "cycle.weights.h5",
                "subclassed.weights.h5",
            ],
        ),
        "keras_archive" => (
            "crates/keras-store/tests/fixtures",
            &["network_deflated.keras", "zoo.keras"],
        ),
        "keras_graph" => (
            "crates/xception-model/tests/fixtures/keras",
            &["every_layer.json.gz", "written.json.gz"],
        ),
        "weights" => (
            "crates/converter/tests/fixtures",
            &[
                "torch/toy.safetensors",
                "torch/evil.pth",
                "torch/legacy.pth",
                "torch/toy.pth",
                "record/toy.bpk",
                "../../../xception-model/tests/fixtures/keras/toy.keras",
                "../../../xception-model/tests/fixtures/keras/legacy_model.h5.gz",
                "onnx/torch_folded.onnx",
                "onnx/tf2onnx.onnx",
            ],
        ),
        "card" => (
            "models",
            &["xception-imagenet/card.toml", "xception-kitchenware/card.toml"],
        ),
        "label_file" => (
            "models",
            &["xception-imagenet/labels.txt", "xception-kitchenware/labels.txt"],
        ),
        _ => (
            "crates/xception-model/tests/golden/picture",
            &[
                "jpeg-420.jpg",
                "jpeg-420-progressive.jpg",
                "png-rgb.png",
                "gif-animated.gif",
                "bmp-palette.bmp",
            ],
        ),
    };
    // The first two bytes of a picture's input choose preset and limits.
    let choice: &[u8] = if target == "picture" { &[0, 20] } else { &[] };
    let files = wanted.iter().map(|name| read(&root().join(folder).join(name)));
    files
        .map(|bytes| [choice, &bytes].concat())
        .chain(findings(target))
        .collect()
}

/// The inputs that fuzzing has found.
fn findings(target: &str) -> Vec<Vec<u8>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root().join("fuzz/findings").join(target))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found.iter().map(|path| read(path)).collect()
}

/// A seed that its reader refuses would not test the reader's handling of mutations.
#[test]
fn the_seeds_of_weights_are_read() {
    let known = converter::Known {
        size: Some([75, 90]),
        pooling: Some(xception_model::Pooling::Average),
        outputs: Some(xception_model::Outputs::Softmax),
        scaling: Some(xception_model::Scaling::Tf),
        ..converter::Known::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut formats = std::collections::BTreeSet::new();
    for seed in seeds("weights") {
        let path = folder.path().join("seed");
        std::fs::write(&path, seed).unwrap();
        if let Ok(source) = converter::open(&path, &known) {
            formats.insert(source.format.name);
        }
    }
    let formats: Vec<&str> = formats.iter().map(String::as_str).collect();
    assert_eq!(
        formats,
        [
            "Burn record",
            "Keras .keras archive",
            "Keras legacy .h5, whole model",
            "ONNX, batch norms folded",
            "PyTorch checkpoint of before 1.6 with Cadene's names",
            "PyTorch checkpoint with timm's names",
            "safetensors with timm's names",
        ]
    );
}

#[test]
fn every_target_comes_back_from_its_corpus() {
    for (name, run) in entries::TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty());
        for (number, seed) in seeds.iter().enumerate() {
            let mut random = Random::new(seed.len() as u64);
            let changed = (0..MUTATIONS).map(|_| random.mutate(seed));
            for bytes in std::iter::once(seed.clone()).chain(changed) {
                let started = Instant::now();
                run(&bytes);
                assert!(started.elapsed() < Duration::from_secs(5), "{name}, seed {number}");
            }
        }
    }
}
