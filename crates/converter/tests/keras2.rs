//! The ResNet-50 of Keras 2.0 to 2.2, as Keras 2 wrote it (`scripts/fixtures/keras2_resnet50.py`), whole and as weights
//! alone.

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use common::{Bench, picture, relative};
use converter::{Known, Options, WeightFile, open};
use flate2::read::GzDecoder;
use serde::Deserialize;
use xception_model::zoo::ResNetConfig;
use xception_model::{Outputs, Pooling, Scaling, Variant};

#[derive(Deserialize)]
struct Expected {
    side: usize,
    softmax: BTreeMap<String, Vec<f32>>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keras2")
        .join(name)
}

fn expected() -> Expected {
    serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap()
}

fn unpacked(bench: &Bench, name: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let packed = std::fs::File::open(fixture(&format!("{name}.gz"))).unwrap();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bench.write(name, bytes)
}

fn probabilities(source: WeightFile) -> Vec<f32> {
    let (network, spec) = source.load(&Device::flex()).unwrap();
    let logits = network
        .forward(picture([1, spec.input.height, spec.input.width, 3]))
        .unwrap();
    let exps: Vec<f32> = logits.into_data().iter::<f32>().map(f32::exp).collect();
    let sum: f32 = exps.iter().sum();
    exps.iter().map(|exp| exp / sum).collect()
}

/// The network of both files, and whether it pads before the first pool.
fn network(pads_pool: bool) -> ResNetConfig {
    ResNetConfig::new()
        .with_num_classes(5)
        .with_stem(2)
        .with_widths([2, 4, 8, 16])
        .with_blocks([2, 1, 2, 1])
        .with_variant(Variant::Keras2)
        .with_pads_pool(pads_pool)
}

#[test]
fn both_networks_are_told_apart_and_give_keras_s_numbers() {
    let bench = Bench::new();
    let Expected { side, softmax } = expected();
    for (name, pads_pool) in [("padded", true), ("valid", false)] {
        let scaling = Some(Scaling::Caffe);
        let whole = Known {
            scaling,
            ..Known::default()
        };
        let alone = Known {
            size: Some([side; 2]),
            pooling: Some(Pooling::Average),
            outputs: Some(Outputs::Softmax),
            ..whole.clone()
        };
        for (file, known) in [(format!("{name}.h5"), &whole), (format!("{name}_weights.h5"), &alone)] {
            let path = unpacked(&bench, &file);
            let source = open(&path, known).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(source.spec.network, network(pads_pool).into(), "{file}");
            // Weightless layers have no names of their own; every convolution and norm is a stage of Keras's.
            assert!(source.stages.len() > 40, "{file}: {} stages", source.stages.len());
            let error = relative(&probabilities(source), &softmax[name]);
            assert!(error < 1e-5, "{file} is off by {error:.1e}");
        }
        // And back: as a record, and as a whole model of Keras 3.
        for ending in ["bpk", "safetensors", "keras", "h5", "onnx"] {
            let out = bench.path(&format!("{name}_again.{ending}"));
            let source = open(&bench.path(&format!("{name}.h5")), &whole).unwrap();
            source
                .convert(&out, &Options::default())
                .unwrap_or_else(|error| panic!("{ending}: {error}"));
            let back = open(&out, &whole).unwrap_or_else(|error| panic!("{ending}: {error}"));
            assert_eq!(back.spec.network, network(pads_pool).into(), "{ending}");
            let error = relative(&probabilities(back), &softmax[name]);
            assert!(error < 1e-5, "{ending} is off by {error:.1e}");
        }
    }
}
