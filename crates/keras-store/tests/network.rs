//! One network in every layout that Keras ever wrote: same tensors bit for bit, same outputs.

mod common;

use burn_store::{ModuleSnapshot, ModuleStore, bridge};
use common::{Network, RESIDUAL, assert_close, expected, names, shape, store, tensor, values};
use keras_store::KerasStore;
use serde_json::Value;

/// A Keras tensor in Burn's order, by the definition.
fn arranged(layer: &Value, variable: &Value) -> Vec<f32> {
    let kept = values(variable);
    let (class, name) = (&layer["class"], &variable["name"]);
    let [h, w, a, b] = shape(variable)[..] else {
        return kept;
    };
    let depthwise = name == "depthwise_kernel" || class == "DepthwiseConv2D";
    let mut out = vec![0.0; kept.len()];
    for y in 0..h {
        for x in 0..w {
            for i in 0..a {
                for j in 0..b {
                    let channel = if depthwise { i * b + j } else { j * a + i };
                    out[(channel * h + y) * w + x] = kept[((y * w + x) * a + i) * b + j];
                }
            }
        }
    }
    out
}

fn burn_name(layer: &Value, variable: &Value) -> String {
    let separable = layer["class"] == "SeparableConv2D";
    match variable["name"].as_str().unwrap() {
        "kernel" => "weight",
        "depthwise_kernel" if separable => "depthwise.weight",
        "pointwise_kernel" => "pointwise.weight",
        "bias" if separable => "pointwise.bias",
        "moving_mean" => "running_mean",
        "moving_variance" => "running_var",
        other => other,
    }
    .to_owned()
}

/// Every variable Keras has, under the layer's path after `rename`, and no other.
fn check(mut store: KerasStore, rename: impl Fn(&str) -> String) {
    let expected = expected("network.json");
    let mut checked = Vec::new();
    for layer in expected["layers"].as_array().unwrap() {
        for variable in layer["variables"].as_array().unwrap() {
            let path = rename(layer["path"].as_str().unwrap());
            let key = format!("{path}.{}", burn_name(layer, variable));
            let tensor = store.get_tensor(&key).unwrap().unwrap_or_else(|| panic!("no {key}"));
            let data = bridge::to_data(tensor).unwrap();
            assert_eq!(data.as_slice::<f32>().unwrap(), arranged(layer, variable), "{key}");
            checked.push(key);
        }
    }
    checked.sort();
    assert_eq!(store.keys().unwrap(), checked);

    let mut network = Network::new();
    let result = network.load_from(&mut store).unwrap();
    assert_eq!(result.applied.len(), checked.len());
    let output = network.forward(tensor(&expected["inputs"][0])).into_data();
    assert_close(&output, &values(&expected["outputs"][0]));
}

/// By the layers' own names.
fn by_name(file: &str) {
    check(store(file).with_names(names(&RESIDUAL)), |path| {
        RESIDUAL
            .iter()
            .find(|(from, _)| *from == path)
            .map_or(path, |(_, to)| to)
            .replace('/', ".")
    });
}

/// By groups named after classes; `step` is how far the numbers go on from layer to layer.
fn by_class(file: &str, step: usize) {
    let numbered = |stem: &str, i: usize| match i * step {
        0 => stem.to_owned(),
        n => format!("{stem}_{n}"),
    };
    let pairs: Vec<(String, String)> = [
        (format!("functional/{}", numbered("conv2d", 0)), "backbone.stem"),
        (format!("functional/{}", numbered("conv2d", 1)), "backbone.residual"),
        (
            format!("functional/{}", numbered("batch_normalization", 0)),
            "backbone.stem_bn",
        ),
        (
            format!("functional/{}", numbered("batch_normalization", 1)),
            "backbone.residual_bn",
        ),
        (
            format!("functional/{}", numbered("separable_conv2d", 0)),
            "backbone.sep",
        ),
        (
            format!("functional/{}", numbered("separable_conv2d", 1)),
            "backbone.sep_one",
        ),
        (numbered("dense", 0), "dense"),
        (numbered("dense", 1), "scores"),
    ]
    .map(|(from, to)| (from, to.to_owned()))
    .into();
    check(store(file).with_names(pairs), |path| {
        RESIDUAL
            .iter()
            .find(|(from, _)| *from == path)
            .map_or(path, |(_, to)| to)
            .replace('/', ".")
    });
}

#[test]
fn keras_3_archive() {
    by_name("network.keras");
}

#[test]
fn keras_3_archive_packed_again_by_another_tool() {
    by_name("network_deflated.keras");
}

#[test]
fn keras_3_0_to_3_5_archive_whose_layers_are_counted() {
    by_name("network_no_names.keras");
}

#[test]
fn tf_2_12_archive_whose_numbers_skip() {
    by_name("network_tf212.keras");
}

#[test]
fn tf_2_14_archive_whose_numbers_do_not() {
    by_name("network_tf214.keras");
}

#[test]
fn keras_3_weights() {
    by_name("network.weights.h5");
}

#[test]
fn keras_3_sharded_weights() {
    by_name("network.weights.json");
}

#[test]
fn keras_3_0_to_3_5_weights() {
    by_class("network_no_names.weights.h5", 1);
}

#[test]
fn tf_2_12_weights() {
    by_class("network_tf212.weights.h5", 2);
}

#[test]
fn keras_3_whole_model_h5() {
    by_name("network_whole.h5");
}

#[test]
fn keras_2_whole_model_h5() {
    by_name("network_keras2_whole.h5");
}

#[test]
fn keras_2_weights_h5() {
    let mut all = RESIDUAL.to_vec();
    // TensorFlow made the name unique, and there is no config.
    all.push(("backbone/stem_1", "backbone.stem"));
    check(store("network_keras2.h5").with_names(names(&all)), |path| {
        all.iter()
            .find(|(from, _)| *from == path)
            .map_or(path, |(_, to)| to)
            .replace('/', ".")
    });
}

#[test]
fn keras_2_weights_h5_with_split_attributes() {
    let mut all = RESIDUAL.to_vec();
    all.push(("backbone/stem_1", "backbone.stem"));
    check(store("network_split.h5").with_names(names(&all)), |path| {
        all.iter()
            .find(|(from, _)| *from == path)
            .map_or(path, |(_, to)| to)
            .replace('/', ".")
    });
}

#[test]
fn keras_1_weights_h5() {
    let expected = expected("network.json");
    let new_name = |path: &str| {
        RESIDUAL
            .iter()
            .find(|(from, _)| *from == path)
            .map_or(path, |(_, to)| to)
            .replace('/', ".")
    };
    let pairs = expected["keras1_names"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, old)| (old.as_str().unwrap().to_owned(), new_name(path)));
    check(store("network_keras1.h5").with_names(pairs), new_name);
}
