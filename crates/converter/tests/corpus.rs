//! The fuzz targets' bodies (`fuzz/entries.rs`) on their seeds, on what fuzzing has found, and on the same mutations of both
//! every time: a bounded replay for CI.

#[path = "../../../fuzz/entries.rs"]
mod entries;

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::Random;

/// Mutations of each seed.
const MUTATIONS: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
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
        "weights" => (
            "crates/converter/tests/fixtures",
            &[
                "torch/toy.safetensors",
                "torch/evil.pth",
                "torch/legacy.pth",
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
    // A picture's first two bytes choose preset and limits.
    let choice: &[u8] = if target == "picture" { &[0, 20] } else { &[] };
    let files = wanted.iter().map(|name| read(&root().join(folder).join(name)));
    files
        .map(|bytes| [choice, &bytes].concat())
        .chain(findings(target))
        .collect()
}

/// What fuzzing has found, as it found it.
fn findings(target: &str) -> Vec<Vec<u8>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root().join("fuzz/findings").join(target))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found.iter().map(|path| read(path)).collect()
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
