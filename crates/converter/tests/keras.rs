//! Whole Keras models with Xception's weights and another graph, and models that compute the same with other layers.
//! Each is `toy.keras` with an edited `config.json`; files that Keras wrote are in `xception-model`'s `tests/keras.rs`.

mod common;

use std::io::{Cursor, Read, Write};
use std::path::Path;

use burn::tensor::Device;
use common::{Bench, keras, picture, tf};
use converter::{ConvertError, Known, Unknown, WeightFile, open};
use serde_json::{Value, json};
use xception_model::{Architecture, Outputs, Scaling, WeightsError};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// A fixture with another config.
fn edited(fixture: &str, edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut archive = ZipArchive::new(std::fs::File::open(keras(fixture)).unwrap()).unwrap();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut edit = Some(edit);
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let name = member.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        if name == "config.json" {
            let mut config = serde_json::from_slice(&bytes).unwrap();
            edit.take().unwrap()(&mut config);
            bytes = config.to_string().into_bytes();
        }
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn layers(model: &mut Value) -> &mut Vec<Value> {
    model["config"]["layers"].as_array_mut().unwrap()
}

/// The layer of this name, in a model or in a nested one.
fn layer<'a>(model: &'a mut Value, name: &str) -> &'a mut Value {
    fn find<'a>(model: &'a mut Value, name: &str) -> Option<&'a mut Value> {
        let list = model["config"].get_mut("layers")?.as_array_mut()?;
        list.iter_mut().find_map(|layer| {
            if layer["config"]["name"] == name {
                Some(layer)
            } else {
                find(layer, name)
            }
        })
    }
    find(model, name).unwrap_or_else(|| panic!("{name}"))
}

fn set(name: &'static str, key: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |model| layer(model, name)["config"][key] = value
}

fn class(name: &'static str, class: &'static str) -> impl FnOnce(&mut Value) {
    move |model| layer(model, name)["class_name"] = class.into()
}

/// The layer that a layer reads.
fn source<'a>(model: &'a mut Value, name: &str) -> &'a mut Value {
    &mut layer(model, name)["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0]
}

/// The operands of an addition: two arguments, or a list of two.
fn addends<'a>(model: &'a mut Value, name: &str) -> &'a mut Vec<Value> {
    let arguments = &mut layer(model, name)["inbound_nodes"][0]["args"];
    let arguments = if arguments[0].is_array() {
        &mut arguments[0]
    } else {
        arguments
    };
    arguments.as_array_mut().unwrap()
}

/// Adds a layer after another one; the readers of that one then read the new layer.
fn insert(after: &'static str, class: &'static str, config: Value) -> impl FnOnce(&mut Value) {
    move |model| {
        let place = layers(model).iter().position(|layer| layer["name"] == after).unwrap();
        let rest = json!(&layers(model)[place + 1..]).to_string();
        let rest = rest.replace(
            &format!("\"keras_history\":[\"{after}\","),
            "\"keras_history\":[\"inserted\",",
        );
        let rest: Vec<Value> = serde_json::from_str(&rest).unwrap();
        let mut config = config;
        config["name"] = "inserted".into();
        let tensor = json!({"class_name": "__keras_tensor__", "config": {"keras_history": [after, 0, 0]}});
        let numbers = config.as_object_mut().unwrap().remove("arguments").unwrap_or(json!([]));
        let arguments: Vec<Value> = [tensor]
            .into_iter()
            .chain(numbers.as_array().unwrap().clone())
            .collect();
        let list = layers(model);
        list.truncate(place + 1);
        list.push(json!({
            "class_name": class, "name": "inserted", "config": config,
            "inbound_nodes": [{"args": arguments, "kwargs": {}}],
        }));
        list.extend(rest);
        let ends = model["config"]["output_layers"].to_string();
        model["config"]["output_layers"] =
            serde_json::from_str(&ends.replace(&format!("\"{after}\""), "\"inserted\"")).unwrap();
    }
}

/// Removes a layer; its readers then read its input.
fn remove(name: &'static str) -> impl FnOnce(&mut Value) {
    move |model| {
        let before = source(model, name).as_str().unwrap().to_owned();
        layers(model).retain(|layer| layer["name"] != name);
        let text = model.to_string();
        let text = text.replace(
            &format!("\"keras_history\":[\"{name}\","),
            &format!("\"keras_history\":[\"{before}\","),
        );
        *model = serde_json::from_str(&text).unwrap();
    }
}

fn everywhere(from: &'static str, to: &'static str) -> impl FnOnce(&mut Value) {
    move |model| {
        let text = model.to_string();
        assert!(text.contains(from));
        *model = serde_json::from_str(&text.replace(from, to)).unwrap();
    }
}

type Edit = Box<dyn FnOnce(&mut Value)>;

/// The part of the message that names the layer and its problem, and the edit that causes it; or the kind of network
/// that the edited model becomes.
type Case = (&'static str, Edit);

/// A network that is not in the zoo.
const OWN: &str = "a network of its own";
/// The toy's numbers, with other layers or for other pictures.
const SAME: &str = "the same network";

fn other_activations() -> Vec<Case> {
    let relu = "\"activation\":\"relu\"";
    vec![
        (OWN, Box::new(everywhere(relu, "\"activation\":\"gelu\""))),
        (OWN, Box::new(set("block1_conv1_act", "activation", json!("elu")))),
        (OWN, Box::new(class("block5_sepconv2_act", "LeakyReLU"))),
        (
            OWN,
            Box::new(|model| {
                *layer(model, "block5_sepconv2_act") = json!({
                    "class_name": "ReLU", "name": "block5_sepconv2_act",
                    "config": {"name": "block5_sepconv2_act", "max_value": 6.0},
                    "inbound_nodes": layer(model, "block5_sepconv2_act")["inbound_nodes"],
                });
            }),
        ),
        (OWN, Box::new(remove("block5_sepconv1_act"))),
        (
            // The same function twice.
            SAME,
            Box::new(insert(
                "block2_sepconv1_bn",
                "Activation",
                json!({"activation": "relu"}),
            )),
        ),
    ]
}

fn other_convolutions() -> Vec<Case> {
    vec![
        (OWN, Box::new(set("block1_conv1", "strides", json!([1, 1])))),
        (OWN, Box::new(set("block1_conv1", "padding", json!("same")))),
        (OWN, Box::new(set("block1_conv2", "strides", json!(2)))),
        (
            "layer block2: its inputs are 3 x 82 x 49 and 3 x 163 x 97; they must be equal",
            Box::new(set("conv2d", "strides", json!([1, 1]))),
        ),
        (
            "layer block1_conv2 (Conv2D): its 3 groups do not divide 2 channels and 3 filters",
            Box::new(set("block1_conv2", "groups", json!(3))),
        ),
        (
            "1 missing (`xception convert --partial` leaves them at their initial values):\n    block1_conv2.bias [3]",
            Box::new(set("block1_conv2", "use_bias", json!(true))),
        ),
        (
            "layer block4: its inputs are 5 x 20 x 12 and 5 x 21 x 13; they must be equal",
            Box::new(set("block4_sepconv1", "padding", json!("valid"))),
        ),
        (OWN, Box::new(set("block4_sepconv1", "activation", json!("relu")))),
        (
            "layer block4: its inputs are 5 x 11 x 7 and 5 x 21 x 13; they must be equal",
            Box::new(set("block4_sepconv1", "strides", json!([2, 2]))),
        ),
        (OWN, Box::new(set("block4_sepconv1", "dilation_rate", json!([2, 2])))),
        (
            "block4_sepconv1.depthwise.weight: expected [4, 1, 5, 5], found [4, 1, 3, 3]",
            Box::new(set("block4_sepconv1", "kernel_size", json!([5, 5]))),
        ),
        (
            "block4_sepconv1.depthwise.weight: expected [8, 1, 3, 3], found [4, 1, 3, 3]",
            Box::new(set("block4_sepconv1", "depth_multiplier", json!(2))),
        ),
        (
            "layer block4_sepconv1 (SeparableConv2D): its data format is `channels_first`",
            Box::new(set("block4_sepconv1", "data_format", json!("channels_first"))),
        ),
    ]
}

fn other_norms_and_pools() -> Vec<Case> {
    vec![
        (OWN, Box::new(set("block4_sepconv1_bn", "epsilon", json!(0.00001)))),
        (
            "layer block4_sepconv1_bn (BatchNormalization): expected -1 or 3, the channels for `axis`, found [1]",
            Box::new(set("block4_sepconv1_bn", "axis", json!([1]))),
        ),
        (
            "layer block4: its inputs are 5 x 20 x 12 and 5 x 21 x 13; they must be equal",
            Box::new(set("block4_pool", "padding", json!("valid"))),
        ),
        (OWN, Box::new(set("block4_pool", "pool_size", json!([2, 2])))),
        (
            "layer block4: its inputs are 5 x 14 x 9 and 5 x 21 x 13; they must be equal",
            Box::new(set("block4_pool", "strides", Value::Null)),
        ),
        (OWN, Box::new(class("block4_pool", "AveragePooling2D"))),
        (
            "layer block4: its inputs are 5 x 11 x 7 and 5 x 21 x 13; they must be equal",
            Box::new(insert(
                "block4_sepconv2_bn",
                "MaxPooling2D",
                json!({"pool_size": [3, 3], "strides": [2, 2], "padding": "same"}),
            )),
        ),
        (SAME, Box::new(set("avg_pool", "keepdims", json!(true)))),
    ]
}

fn other_ends() -> Vec<Case> {
    vec![
        (OWN, Box::new(set("predictions", "activation", json!("tanh")))),
        (
            "layer predictions (Dense): it is quantized (\"int8\"), and Keras rounds its inputs too",
            Box::new(set(
                "predictions",
                "dtype",
                json!({
                    "class_name": "QuantizedDTypePolicy",
                    "config": {"mode": "int8", "source_name": "float32"},
                }),
            )),
        ),
        (
            "layer predictions (Dense): it is quantized (\"int8_from_float32\")",
            Box::new(set("predictions", "dtype", json!("int8_from_float32"))),
        ),
        (
            SAME,
            Box::new(|model| {
                layer(model, "avg_pool")["class_name"] = "Flatten".into();
                // Something must pool, otherwise this is another case.
                insert("block7_sepconv2_act", "GlobalAveragePooling2D", json!({}))(model);
            }),
        ),
        (
            SAME,
            Box::new(insert(
                "input_layer",
                "Rescaling",
                json!({"scale": 1.0 / 255.0, "offset": 0.0}),
            )),
        ),
        (
            OWN,
            Box::new(insert(
                "input_layer",
                "Normalization",
                json!({"mean": 3.0, "variance": 2.0}),
            )),
        ),
        (
            SAME,
            Box::new(insert("input_layer", "TrueDivide", json!({"arguments": [255.0]}))),
        ),
        (
            OWN,
            Box::new(insert("input_layer", "TrueDivide", json!({"arguments": [127.5]}))),
        ),
        (
            "layer inserted (Resizing): expected a count for `height`, found null; `--no-top` would not help",
            Box::new(insert("input_layer", "Resizing", json!({}))),
        ),
    ]
}

fn other_wires() -> Vec<Case> {
    vec![
        (OWN, Box::new(|model| *source(model, "conv2d_1") = "block2_pool".into())),
        (
            "layer block3: its inputs are 4 x 41 x 25 and 4 x 82 x 49; they must be equal",
            Box::new(|model| *source(model, "batch_normalization_1") = "block3_sepconv1".into()),
        ),
        (OWN, Box::new(class("block3", "Multiply"))),
        (
            "layer block3: sum with 1 inputs",
            Box::new(|model| {
                addends(model, "block3").truncate(1);
            }),
        ),
        (
            "its layers form a cycle through inserted",
            Box::new(|model| {
                insert("block5_sepconv1_bn", "Dropout", json!({"rate": 0.1}))(model);
                *source(model, "inserted") = "inserted".into();
            }),
        ),
        (
            // Nothing reads the second call.
            SAME,
            Box::new(|model| {
                let nodes = layer(model, "block1_conv2")["inbound_nodes"].as_array_mut().unwrap();
                nodes.push(nodes[0].clone());
            }),
        ),
        (
            "layer block1_conv2_bn (BatchNormalization): it is called with training=True",
            Box::new(|model| layer(model, "block1_conv2_bn")["inbound_nodes"][0]["kwargs"] = json!({"training": true})),
        ),
        (
            "the model has 2 outputs",
            Box::new(|model| model["config"]["output_layers"] = json!([["predictions", 0, 0], ["avg_pool", 0, 0]])),
        ),
        (
            "layer block1_conv2 reads the layer nowhere, which the model does not have",
            Box::new(|model| *source(model, "block1_conv2") = "nowhere".into()),
        ),
        (
            "the model has two layers of the name block1_conv1_act",
            Box::new(|model| {
                let twin = layer(model, "block1_conv1_act").clone();
                layers(model).push(twin);
            }),
        ),
        (
            "2 that the network does not have (`xception convert --partial` leaves them out):\n    predictions/bias",
            Box::new(|model| model["config"]["output_layers"] = json!(["avg_pool", 0, 0])),
        ),
    ]
}

fn logits(path: &Path) -> Result<Vec<f32>, ConvertError> {
    logits_of(open(path, &tf())?)
}

fn logits_of(file: WeightFile) -> Result<Vec<f32>, ConvertError> {
    let (model, spec) = file.load(&Device::flex())?;
    let sides = [1, spec.input.height, spec.input.width, spec.network.in_channels()];
    let logits = model.forward(picture(sides)).unwrap();
    Ok(logits.into_data().iter::<f32>().collect())
}

/// The result for a file: the error message, [`OWN`] or [`SAME`].
fn becomes(path: &Path, toy: &[f32]) -> String {
    let opened = open(path, &Known::default()).or_else(|error| match error {
        // What its pictures are fed is no part of a model.
        ConvertError::Weights(WeightsError::Unknown { unknown, .. }) => {
            // Numbers that are no logits may be anything.
            let known = Known {
                scaling: Some(Scaling::Tf),
                outputs: unknown.contains(&Unknown::Outputs).then_some(Outputs::Softmax),
                ..Known::default()
            };
            open(path, &known)
        }
        error => Err(error),
    });
    let found = opened.and_then(|file| {
        let network = file.spec.network.clone();
        Ok((network, logits_of(file)?))
    });
    match found {
        Err(error) => error.to_string(),
        Ok((_, logits)) if logits == toy => SAME.to_owned(),
        Ok((Architecture::Graph(_), logits)) => {
            assert!(
                logits.len() == 5 && logits.iter().all(|logit| logit.is_finite()),
                "{logits:?}"
            );
            OWN.to_owned()
        }
        Ok((network, logits)) => format!("{network} with the logits {logits:?}"),
    }
}

#[test]
fn models_that_compute_something_else_are_networks_of_their_own_or_refused_by_layer() {
    let bench = Bench::new();
    let toy = logits(&keras("toy.keras")).unwrap();
    let mut wrong = Vec::new();
    let cases = [
        other_activations(),
        other_convolutions(),
        other_norms_and_pools(),
        other_ends(),
        other_wires(),
    ];
    for (number, (part, edit)) in cases.into_iter().flatten().enumerate() {
        let path = bench.write("other.keras", edited("toy.keras", edit));
        let found = becomes(&path, &toy);
        let is_named = [OWN, SAME].contains(&part) || found.contains("other.keras");
        if !found.contains(part) || !is_named {
            wrong.push(format!("case {number}: expected {part}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn models_that_compute_the_same_by_other_layers_are_read() {
    let bench = Bench::new();
    let expected = logits(&keras("toy.keras")).unwrap();
    let relu = |model: &mut Value| {
        for layer in layers(model) {
            if layer["class_name"] == "Activation" {
                layer["class_name"] = "ReLU".into();
                layer["config"] = json!({
                    "name": layer["name"], "max_value": null, "negative_slope": 0.0, "threshold": 0.0,
                });
            }
        }
    };
    let edits: Vec<(&str, Edit)> = vec![
        ("as it is", Box::new(|_| {})),
        ("ReLU", Box::new(relu)),
        (
            "functions as objects",
            Box::new(everywhere(
                "\"activation\":\"relu\"",
                "\"activation\":{\"module\":\"builtins\",\"class_name\":\"function\",\"config\":\"relu\"}",
            )),
        ),
        (
            "its own scaling",
            Box::new(insert(
                "input_layer",
                "Rescaling",
                json!({"scale": 1.0 / 127.5, "offset": -1.0}),
            )),
        ),
        (
            "preprocess_input",
            Box::new(|model| {
                insert("input_layer", "Subtract", json!({"arguments": [1.0]}))(model);
                everywhere("\"inserted\"", "\"subtract\"")(model);
                insert("input_layer", "TrueDivide", json!({"arguments": [127.5]}))(model);
            }),
        ),
        (
            "augmentation",
            Box::new(insert("input_layer", "RandomFlip", json!({"mode": "horizontal"}))),
        ),
        (
            "dropout within",
            Box::new(insert("block5_sepconv1_bn", "SpatialDropout2D", json!({"rate": 0.1}))),
        ),
        (
            "a softmax of its own",
            Box::new(insert("predictions", "Activation", json!({"activation": "softmax"}))),
        ),
        (
            "a sum the other way round",
            Box::new(|model| {
                addends(model, "block3").reverse();
            }),
        ),
    ];
    for (name, edit) in edits {
        let path = bench.write("same.keras", edited("toy.keras", edit));
        let found = logits(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found, expected, "{name}");
    }
}

/// The graph, not a layer's name, shows the layer's place.
#[test]
fn layers_go_where_the_graph_has_them() {
    let bench = Bench::new();
    let expected = logits(&keras("toy.keras")).unwrap();
    let swapped = edited("toy.keras", |model| {
        // Two layers of equal shape swap places in the graph, and their weights with them.
        let text = model.to_string();
        let history = |name: &str| format!("\"keras_history\":[\"{name}\",");
        let (one, two) = ("block5_sepconv1", "block5_sepconv2");
        let text = text
            .replace(&history(one), &history("?"))
            .replace(&history(two), &history(one))
            .replace(&history("?"), &history(two));
        *model = serde_json::from_str(&text).unwrap();
        let (first, second) = (source(model, one).clone(), source(model, two).clone());
        *source(model, one) = second;
        *source(model, two) = first;
    });
    let path = bench.write("swapped.keras", swapped);
    assert_ne!(logits(&path).unwrap(), expected);
    let file = open(&path, &tf()).unwrap();
    let origin = |name: &str| {
        file.tensors
            .iter()
            .find(|entry| entry.tensor.name == name)
            .unwrap()
            .origin
            .clone()
    };
    let moved = origin("middle.block5.sepconv1.depthwise.weight");
    assert!(moved.contains("block5_sepconv2"), "{moved}");
}

#[test]
fn several_labels_a_picture_are_told_by_a_sigmoid_behind_the_classifier() {
    let bench = Bench::new();
    for (name, edit) in [
        (
            "own.keras",
            Box::new(set("predictions", "activation", json!("sigmoid"))) as Edit,
        ),
        (
            "layer.keras",
            Box::new(insert("predictions", "Activation", json!({"activation": "sigmoid"}))),
        ),
    ] {
        let path = bench.write(name, edited("toy.keras", edit));
        assert!(open(&path, &tf()).unwrap().spec.is_multi_label(), "{name}");
    }
    assert!(!open(&keras("toy.keras"), &tf()).unwrap().spec.is_multi_label());
}

/// burn-onnx exports few activations; ONNX has an operation for each, or two lines of arithmetic.
#[test]
fn every_activation_goes_to_onnx_and_back() {
    let bench = Bench::new();
    for name in [
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "silu",
        "hard_silu",
        "sigmoid",
        "hard_sigmoid",
        "tanh",
        "gelu",
        "softplus",
        "softsign",
        "mish",
        "exponential",
        "softmax",
    ] {
        let path = bench.write(
            "activation.keras",
            edited("toy.keras", set("block5_sepconv2_act", "activation", json!(name))),
        );
        let known = Known {
            scaling: Some(Scaling::Tf),
            ..Known::default()
        };
        let read = |path: &Path| open(path, &known).unwrap_or_else(|error| panic!("{name}: {error}"));
        let out = bench.path(&format!("{name}.onnx"));
        read(&path).convert(&out, &converter::Options::default()).unwrap();
        let (expected, back) = (read(&path), read(&out));
        assert_eq!(back.spec.network, expected.spec.network, "{name}");
        let (expected, back) = (logits_of(expected).unwrap(), logits_of(back).unwrap());
        let error = common::relative(&back, &expected);
        assert!(error <= 1e-6, "{name} is off by {error:.1e}");
    }
}
