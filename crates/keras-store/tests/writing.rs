//! What is written is read back the same, in every layout; what does not fit is refused before a byte is written.
//! `scripts/peers/keras_roundtrip.py` shows that Keras reads it too.

mod common;

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Distribution, Tensor};
use burn_store::{FloatCastAdapter, ModuleSnapshot, ModuleStore};
use common::names;
use keras_store::{KerasFileKind, KerasFormat, KerasStore, KerasStoreError};
use serde_json::{Value, json};
use tempfile::TempDir;

const KINDS: [(&str, KerasFileKind); 4] = [
    ("out.keras", KerasFileKind::Archive),
    ("out.weights.h5", KerasFileKind::Weights),
    ("out.h5", KerasFileKind::LegacyModel),
    ("out_weights.h5", KerasFileKind::LegacyWeights),
];

/// A model of two layers as Keras 3 describes it.
fn two_layers() -> Value {
    let dense = |name: &str, units: usize, input: usize| {
        json!({
            "module": "keras.layers", "class_name": "Dense", "registered_name": null, "name": name,
            "config": {"name": name, "units": units}, "build_config": {"input_shape": [null, input]},
        })
    };
    json!({
        "module": "keras", "class_name": "Sequential", "registered_name": null,
        "config": {"name": "sequential", "layers": [dense("first", 4, 3), dense("second", 2, 4)]},
    })
}

#[derive(Module, Debug)]
struct TwoLayers {
    first: Linear,
    second: Linear,
}

impl TwoLayers {
    fn new() -> Self {
        let device = Device::flex();
        Self {
            first: LinearConfig::new(3, 4).init(&device),
            second: LinearConfig::new(4, 2).init(&device),
        }
    }
}

fn out(folder: &TempDir, name: &str, kind: KerasFileKind) -> KerasStore {
    KerasStore::from_file(folder.path().join(name))
        .with_file_kind(kind)
        .with_model_config(two_layers())
}

fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_layout_gives_back_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    let module = TwoLayers::new();
    for (name, kind) in KINDS {
        module.save_into(&mut out(&folder, name, kind)).unwrap();
        let mut back = TwoLayers::new();
        let mut store = KerasStore::from_file(folder.path().join(name));
        back.load_from(&mut store).unwrap();
        let one = module.collect(None, None, true);
        let two = back.collect(None, None, true);
        for (one, two) in one.iter().zip(&two) {
            assert_eq!(one.to_bytes().unwrap(), two.to_bytes().unwrap(), "{name}: {}", one.name);
        }
        let format = store.format().unwrap();
        match kind {
            KerasFileKind::Archive => assert!(matches!(format, KerasFormat::Keras3Archive { .. })),
            KerasFileKind::Weights => assert!(matches!(format, KerasFormat::Keras3Weights { .. })),
            KerasFileKind::LegacyModel => assert!(matches!(format, KerasFormat::LegacyModel { .. })),
            _ => assert!(matches!(format, KerasFormat::LegacyWeights { .. })),
        }
        assert_eq!(store.model_config().unwrap().is_some(), kind.holds_model(), "{name}");
        let paths: Vec<&str> = store
            .layers()
            .unwrap()
            .iter()
            .map(|layer| layer.path.as_str())
            .collect();
        assert_eq!(paths, ["first", "second"], "{name}");
    }
}

#[test]
fn half_precision_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    for dtype in [DType::F16, DType::BF16, DType::F64] {
        for (name, kind) in KINDS {
            let mut store = out(&folder, name, kind)
                .overwrite(true)
                .with_to_adapter(FloatCastAdapter::to(dtype));
            let saved = TwoLayers::new().save_into(&mut store);
            if dtype == DType::BF16 && kind.is_legacy() {
                let error = saved.unwrap_err().to_string();
                assert!(error.contains("bfloat16 in a legacy .h5"), "{error}");
                continue;
            }
            saved.unwrap();
            let mut store = KerasStore::from_file(folder.path().join(name));
            for tensor in store.get_all_tensors().unwrap().values() {
                assert_eq!(tensor.dtype, dtype, "{name}");
            }
        }
    }
}

#[test]
fn names_serve_both_directions() {
    #[derive(Module, Debug)]
    struct Inner {
        inside: Linear,
    }
    #[derive(Module, Debug)]
    struct Outer {
        renamed: Inner,
        second: Linear,
    }
    let folder = tempfile::tempdir().unwrap();
    let map = || names(&[("first", "renamed.inside")]);
    let TwoLayers { first, second } = TwoLayers::new();
    let outer = Outer {
        renamed: Inner { inside: first },
        second,
    };
    let mut store = out(&folder, "out.keras", KerasFileKind::Archive).with_names(map());
    outer.save_into(&mut store).unwrap();
    let mut plain = KerasStore::from_file(folder.path().join("out.keras"));
    assert_eq!(
        plain.keys().unwrap(),
        ["first.bias", "first.weight", "second.bias", "second.weight"]
    );
    let mut mapped = KerasStore::from_file(folder.path().join("out.keras")).with_names(map());
    outer.clone().load_from(&mut mapped).unwrap();
}

#[test]
fn a_nested_model_keeps_its_layers_together() {
    #[derive(Module, Debug)]
    struct Inner {
        first: Linear,
    }
    #[derive(Module, Debug)]
    struct Outer {
        inner: Inner,
        second: Linear,
    }
    let folder = tempfile::tempdir().unwrap();
    let TwoLayers { first, second } = TwoLayers::new();
    let outer = Outer {
        inner: Inner { first },
        second,
    };
    let mut config = two_layers();
    let first = config["config"]["layers"][0].take();
    config["config"]["layers"][0] = json!({
        "module": "keras", "class_name": "Sequential", "registered_name": null, "name": "inner",
        "config": {"name": "inner", "layers": [first]},
    });
    for (name, kind) in KINDS {
        let mut store = out(&folder, name, kind).with_model_config(config.clone());
        outer.save_into(&mut store).unwrap();
        let mut store = KerasStore::from_file(folder.path().join(name));
        let keys = store.keys().unwrap();
        let expected = ["inner.first.bias", "inner.first.weight", "second.bias", "second.weight"];
        assert_eq!(keys, expected, "{name}");
    }
}

#[test]
fn an_existing_file_is_kept_unless_it_may_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.keras");
    std::fs::write(&path, "precious").unwrap();
    let error = TwoLayers::new()
        .save_into(&mut out(&folder, "out.keras", KerasFileKind::Archive))
        .unwrap_err();
    assert!(matches!(error, KerasStoreError::Exists { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    TwoLayers::new()
        .save_into(&mut out(&folder, "out.keras", KerasFileKind::Archive).overwrite(true))
        .unwrap();
    assert_eq!(listing(folder.path()), ["out.keras"]);
    TwoLayers::new().load_from(&mut KerasStore::from_file(&path)).unwrap();
}

#[test]
fn what_does_not_fit_is_listed_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut config = two_layers();
        change(&mut config);
        let mut store = KerasStore::from_file(folder.path().join("out.keras")).with_model_config(config);
        let error = TwoLayers::new().save_into(&mut store).unwrap_err().to_string();
        assert_eq!(listing(folder.path()), [""; 0], "{error}");
        error
    };
    let error = refused(&|config| config["config"]["layers"][0]["config"]["units"] = 5.into());
    assert!(
        error.contains("first.weight: the Keras model has [3, 5], the module [3, 4]"),
        "{error}"
    );
    let error = refused(&|config| config["config"]["layers"][1]["config"]["use_bias"] = false.into());
    assert!(error.contains("second.bias [2]"), "{error}");
    let error = refused(&|config| config["config"]["layers"][1]["config"]["name"] = "sekond".into());
    assert!(
        error.contains("sekond.weight [4, 2], nearest is `second.weight`"),
        "{error}"
    );
    let error = refused(&|config| config["config"]["layers"][1]["class_name"] = "LSTM".into());
    assert!(error.contains("`second` (LSTM: an unknown class)"), "{error}");
    let error = refused(&|config| *config = json!({}));
    assert!(error.contains("expected a Functional or Sequential model"), "{error}");
}

#[test]
fn without_a_config_or_with_an_unclear_name_the_error_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = KerasStore::from_file(folder.path().join("out.keras"));
    let error = TwoLayers::new().save_into(&mut store).unwrap_err().to_string();
    assert!(error.contains("with_model_config"), "{error}");
    let mut store = KerasStore::from_file(folder.path().join("out.bin")).with_model_config(two_layers());
    let error = TwoLayers::new().save_into(&mut store).unwrap_err().to_string();
    assert!(error.contains("with_file_kind"), "{error}");
    let mut store = KerasStore::from_file(folder.path()).with_model_config(two_layers());
    let error = TwoLayers::new().save_into(&mut store).unwrap_err().to_string();
    assert!(error.contains("it is a directory"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    for place in ["no/such/folder", "file", "/proc"] {
        for (name, kind) in KINDS {
            let path = folder.path().join(place).join(name);
            let mut store = KerasStore::from_file(&path)
                .with_file_kind(kind)
                .with_model_config(two_layers());
            let error = TwoLayers::new().save_into(&mut store).unwrap_err();
            assert!(matches!(error, KerasStoreError::Write { .. }), "{error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
    }
    assert_eq!(listing(folder.path()), ["file"]);
}

/// On a disk of 16 kB, where the tests may make one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(arguments[0]);
        let output = command.args(&arguments[1..]).current_dir(folder.path()).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !run(&["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", "disk"]) {
        println!("skipped: no disk can be mounted here");
        return;
    }
    let mut failures = Vec::new();
    for (name, kind) in KINDS {
        std::fs::write(disk.join("filler"), vec![1; 12 << 10]).unwrap();
        let mut store = KerasStore::from_file(disk.join(name))
            .with_file_kind(kind)
            .with_model_config(two_layers());
        let result = TwoLayers::new().save_into(&mut store);
        let left = listing(&disk);
        if !matches!(&result, Err(KerasStoreError::Write { .. })) || left != ["filler"] {
            failures.push(format!("{name}: {result:?}, {left:?}"));
        }
    }
    run(&["umount", "disk"]);
    assert_eq!(failures, [""; 0]);
}

#[test]
fn not_a_number_is_listed_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut module = TwoLayers::new();
    module.second.weight = module.second.weight.map(|weight| weight / 0.0 * 0.0);
    let error = module
        .save_into(&mut out(&folder, "out.keras", KerasFileKind::Archive))
        .unwrap_err()
        .to_string();
    assert!(error.contains("second.weight: it holds a NaN"), "{error}");
    assert_eq!(listing(folder.path()), [""; 0]);
    module
        .save_into(&mut out(&folder, "out.keras", KerasFileKind::Archive).allow_non_finite(true))
        .unwrap();
}

/// A separable convolution's modules.
#[derive(Module, Debug)]
struct Separable {
    depthwise: Conv2d,
    pointwise: Conv2d,
}

/// A batch norm without gamma.
#[derive(Module, Debug)]
struct Unscaled {
    beta: Param<Tensor<1>>,
    running_mean: Param<Tensor<1>>,
    running_var: Param<Tensor<1>>,
}

/// What classifiers have beside plain convolutions.
#[derive(Module, Debug)]
struct Mobile {
    depthwise: Conv2d,
    separable: Separable,
    norm: Unscaled,
    scores: Linear,
}

impl Mobile {
    fn new() -> Self {
        let device = Device::flex();
        let random = |length: usize| Param::from_tensor(Tensor::random([length], Distribution::Default, &device));
        let conv = |channels: [usize; 2], kernel: [usize; 2], groups: usize, bias: bool| {
            let mut conv = Conv2dConfig::new(channels, kernel)
                .with_groups(groups)
                .with_bias(bias)
                .init(&device);
            // A new bias is zero, and zeros are alike in any order.
            conv.bias = bias.then(|| random(channels[1]));
            conv
        };
        Self {
            depthwise: conv([3, 6], [3, 2], 3, true),
            separable: Separable {
                depthwise: conv([6, 12], [3, 3], 6, false),
                pointwise: conv([12, 4], [1, 1], 1, true),
            },
            norm: Unscaled {
                beta: random(4),
                running_mean: random(4),
                running_var: random(4),
            },
            scores: LinearConfig::new(4, 2).with_bias(false).init(&device),
        }
    }

    fn config() -> Value {
        let layer = |class: &str, name: &str, settings: Value, input: Value| {
            let mut config = settings;
            config["name"] = name.into();
            json!({
                "module": "keras.layers", "class_name": class, "registered_name": null, "name": name, "config": config,
                "build_config": {"input_shape": input},
            })
        };
        let map = |channels: usize| json!([null, 9, 9, channels]);
        let layers = [
            layer(
                "DepthwiseConv2D",
                "depthwise",
                json!({"kernel_size": [3, 2], "depth_multiplier": 2}),
                map(3),
            ),
            layer(
                "SeparableConv2D",
                "separable",
                json!({"filters": 4, "kernel_size": [3, 3], "depth_multiplier": 2}),
                map(6),
            ),
            layer("BatchNormalization", "norm", json!({"scale": false}), map(4)),
            layer("GlobalAveragePooling2D", "pool", json!({}), map(4)),
            layer(
                "Dense",
                "scores",
                json!({"units": 2, "use_bias": false}),
                json!([null, 4]),
            ),
        ];
        json!({
            "module": "keras", "class_name": "Sequential", "registered_name": null,
            "config": {"name": "mobile", "layers": layers},
        })
    }
}

#[test]
fn every_class_of_a_classifier_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let module = Mobile::new();
    for (name, kind) in KINDS {
        let mut store = KerasStore::from_file(folder.path().join(name))
            .with_file_kind(kind)
            .with_model_config(Mobile::config());
        module.save_into(&mut store).unwrap();
        let mut store = KerasStore::from_file(folder.path().join(name));
        let mut back = Mobile::new();
        back.load_from(&mut store)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let (one, two) = (module.collect(None, None, true), back.collect(None, None, true));
        assert_eq!(one.len(), 9);
        for (one, two) in one.iter().zip(&two) {
            assert_eq!(one.name, two.name);
            assert_eq!(one.to_bytes().unwrap(), two.to_bytes().unwrap(), "{name}: {}", one.name);
        }
    }
}

#[test]
fn layers_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    TwoLayers::new()
        .save_into(&mut out(&folder, "out.keras", KerasFileKind::Archive))
        .unwrap();
    let mut store = KerasStore::from_file(folder.path().join("out.keras")).without_layers(["first".to_owned()]);
    assert_eq!(store.keys().unwrap(), ["second.bias", "second.weight"]);
}
