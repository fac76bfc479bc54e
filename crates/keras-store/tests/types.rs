//! Every number type and storage, and the layouts of kernels other than those of `Conv2D`.

mod common;

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_store::{FloatCastAdapter, ModuleSnapshot, ModuleStore, bridge};
use common::{assert_close, expected, names, store, tensor, values};

fn data(name: &str) -> TensorData {
    let mut store = store("types.weights.h5");
    let tensor = store.get_tensor(&format!("{name}.0")).unwrap().unwrap();
    bridge::to_data(tensor).unwrap()
}

#[test]
fn floats_keep_their_type_and_value() {
    let expected = [-0.5, -0.25, 0.0, 0.25, 0.5, 0.75_f64];
    for (name, dtype) in [
        ("f16", DType::F16),
        ("bf16", DType::BF16),
        ("f32_big", DType::F32),
        ("gzip", DType::F32),
        ("lzf", DType::F32),
        ("f64", DType::F64),
        ("f64_big", DType::F64),
    ] {
        let data = data(name);
        assert_eq!(data.dtype(), dtype, "{name}");
        assert_eq!(data.shape().to_vec(), [2, 3], "{name}");
        let read: Vec<f64> = data.iter::<f64>().collect();
        assert_eq!(read, expected, "{name}");
    }
}

#[test]
fn integers_and_booleans_are_read_too() {
    assert_eq!(data("i64").as_slice::<i64>().unwrap(), [-2, -1, 0, 1, 2, 3]);
    assert_eq!(data("u8").as_slice::<u8>().unwrap(), [0, 1, 2, 3, 4, 5]);
    let truths: Vec<bool> = data("bool").iter::<bool>().collect();
    assert_eq!(truths, [false, false, false, true, true, true]);
}

#[test]
fn scalars_and_empty_tensors_are_read_too() {
    assert_eq!(data("scalar").as_slice::<f32>().unwrap(), [0.5]);
    assert_eq!(data("scalar").shape().to_vec(), Vec::<usize>::new());
    assert_eq!(data("empty").shape().to_vec(), [0, 3]);
}

#[derive(Module, Debug)]
struct Zoo {
    depthwise: Conv2d,
    transposed: ConvTranspose2d,
    grouped: Conv2d,
    unscaled: BatchNorm,
    line_conv: Conv1d,
    norm: LayerNorm,
}

fn zoo() -> Zoo {
    let device = Device::flex();
    Zoo {
        depthwise: Conv2dConfig::new([3, 6], [2, 3]).with_groups(3).init(&device),
        transposed: ConvTranspose2dConfig::new([3, 4], [2, 3])
            .with_stride([2, 2])
            .init(&device),
        grouped: Conv2dConfig::new([3, 6], [3, 3]).with_groups(3).init(&device),
        unscaled: BatchNormConfig::new(3).with_epsilon(1e-3).init(&device),
        line_conv: Conv1dConfig::new(3, 4, 3).init(&device),
        norm: LayerNormConfig::new(3).init(&device),
    }
}

#[test]
fn every_kind_of_kernel_computes_what_keras_computes() {
    let expected = expected("zoo.json");
    let mut zoo = zoo();
    // A norm without scale has no gamma in Keras; Burn's is one.
    let mut store = store("zoo.keras").allow_partial(true);
    let result = zoo.load_from(&mut store).unwrap();
    let missing: Vec<_> = result.missing.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(missing, ["unscaled.gamma"]);

    let picture: Tensor<4> = tensor::<4>(&expected["inputs"][0]).permute([0, 3, 1, 2]);
    let line: Tensor<3> = tensor(&expected["inputs"][1]);
    let outputs = [
        zoo.depthwise.forward(picture.clone()),
        zoo.transposed.forward(picture.clone()),
        zoo.grouped.forward(picture.clone()),
        zoo.unscaled.forward(picture),
    ];
    for (i, output) in outputs.into_iter().enumerate() {
        let output = output.permute([0, 2, 3, 1]).into_data();
        assert_close(&output, &values(&expected["outputs"][i]));
    }
    let output = zoo.line_conv.forward(line.clone().permute([0, 2, 1]));
    let output = output.permute([0, 2, 1]).into_data();
    assert_close(&output, &values(&expected["outputs"][4]));
    let output = zoo.norm.forward(line).into_data();
    assert_close(&output, &values(&expected["outputs"][5]));
}

#[derive(Module, Debug)]
struct One {
    layer: Linear,
}

#[test]
fn a_float_type_is_kept_unless_the_caller_casts() {
    let load = |cast: bool| {
        let layer = LinearConfig::new(2, 3).with_bias(false).init(&Device::flex());
        let mut one = One { layer };
        let mut store = store("types.weights.h5")
            .with_names(names(&[("f64", "layer")]))
            .with_key_remapping(r"^layer\.0$", "layer.weight")
            .allow_unused(true);
        if cast {
            store = store.with_from_adapter(FloatCastAdapter::to(DType::F32));
        }
        one.load_from(&mut store).unwrap();
        one.layer.weight.val().into_data()
    };
    assert_eq!(load(false).dtype(), DType::F64);
    assert_eq!(load(true).dtype(), DType::F32);
    assert_eq!(
        load(true).as_slice::<f32>().unwrap(),
        [-0.5, -0.25, 0.0, 0.25, 0.5, 0.75]
    );
}
