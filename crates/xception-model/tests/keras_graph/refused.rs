//! Models that cannot be computed here, are malformed, or are too large.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use graph::NodeId;
use serde_json::{Value, json};
use xception_model::keras::{self, ReadError};

use crate::files::named;
use crate::models::{called, config, conv_chain, sequential};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_cannot_be_computed_is_named() {
    let gap = ("GlobalAveragePooling2D", json!({}));
    let one = ("Conv2D", json!({"filters": 2, "kernel_size": 1}));
    for (layers, part) in [
        (
            vec![("Lambda", json!({}))],
            "layer layer0 (Lambda): it runs a Python function, which only Python can",
        ),
        (
            vec![one.clone(), ("Permute", json!({"dims": [1]}))],
            "layer layer1 (Permute): there is no operation for its class; with `--no-top` the network up to the layer \
             layer0 can be used",
        ),
        (
            vec![
                one.clone(),
                gap.clone(),
                ("Attention", json!({})),
                ("Dense", json!({"units": 2})),
            ],
            "layer layer2 (Attention): there is no operation for its class; with `--no-top` the network up to the \
             layer layer1 can be used",
        ),
        (
            vec![(
                "Conv2D",
                json!({"filters": 2, "kernel_size": 1, "data_format": "channels_first"}),
            )],
            "its data format is `channels_first`",
        ),
        (
            vec![("Conv2D", json!({"filters": 2, "kernel_size": 1, "groups": 3}))],
            "its 3 groups do not divide 4 channels and 2 filters",
        ),
        (
            vec![("Conv2D", json!({"filters": 2, "kernel_size": 1, "activation": "glu"}))],
            "its activation is glu, which is not known",
        ),
        (
            vec![("Conv2D", json!({"filters": 2, "kernel_size": 1, "padding": "causal"}))],
            "expected `valid` or `same` for `padding`, found \"causal\"",
        ),
        (
            vec![("Conv2D", json!({"filters": 1e30, "kernel_size": 1}))],
            "expected a count for `filters`",
        ),
        (
            vec![("Conv2D", json!({"filters": 2, "kernel_size": [1, 2, 3]}))],
            "expected one or two counts for `kernel_size`, found [1,2,3]",
        ),
        (
            vec![("ReLU", json!({"max_value": 5.0, "negative_slope": 0.1}))],
            "it is a ReLU with max_value 5, negative_slope 0.1",
        ),
        (
            vec![("BatchNormalization", json!({"axis": [1]}))],
            "expected -1 or 3, the channels for `axis`, found [1]",
        ),
        (
            vec![("BatchNormalization", json!({"mode": 1}))],
            "its mode of Keras 1 is 1",
        ),
        (vec![("Dense", json!({"units": 2}))], "it is a Dense of a feature map"),
        (
            vec![gap.clone(), one],
            "it reads a feature map, and its input is a vector",
        ),
        (
            vec![("Reshape", json!({"target_shape": [4, 16, 4]}))],
            "it reshapes to [4,16,4]",
        ),
        (
            vec![gap, ("Reshape", json!({"target_shape": [1, 1, 5]}))],
            "it reshapes to [1,1,5]",
        ),
        (
            vec![("RandomCrop", json!({"height": 4, "width": 4}))],
            "it crops pictures",
        ),
        (vec![("Dropout", json!({"rate": 1.0}))], "its rate is 1"),
        (vec![("Normalization", json!({}))], "it was never adapted"),
        (
            vec![("Rescaling", json!({"scale": [1.0, 2.0]}))],
            "it has constants for 2 channels, and its input has 4",
        ),
        (
            vec![("MaxPooling2D", json!({"pool_size": 9}))],
            "layer layer0: its window of 9 does not fit into a side of 8",
        ),
        (
            vec![("MaxPooling2D", json!({"pool_size": 100_000}))],
            "its window is 100000",
        ),
    ] {
        let error = config(&sequential(&layers), Some(3)).unwrap_err();
        assert!(error.contains(part), "{error}\nexpected {part}");
    }
    // A user's class may have the name of one of Keras's.
    let own = called("my.layers", "Dropout", json!({}), json!(["PICTURE"]));
    let error = config(&own, Some(3)).unwrap_err();
    assert!(
        error.contains("layer called (Dropout): its class is not one of Keras's own"),
        "{error}"
    );
}

/// The least number of 64 bits has no positive counterpart.
#[test]
fn a_part_that_ends_far_before_its_start_is_refused() {
    let range = |stop: Value| json!({"class_name": "slice", "config": {"start": null, "stop": stop, "step": null}});
    let every = || range(Value::Null);
    let key = json!([every(), range(json!(i64::MIN)), every(), every()]);
    let model = called("keras.src.ops.numpy", "GetItem", json!({}), json!(["PICTURE", key]));
    let error = config(&model, Some(3)).unwrap_err();
    assert!(
        error.contains("the part that it takes depends on the picture's size"),
        "{error}"
    );
}

/// The part before an unknown layer, if the whole output depends on it.
#[test]
fn a_backbone_ends_on_every_way_to_the_output() {
    let mut model = conv_chain(3);
    // conv0 -> conv1 -> conv2, and conv2 also reads conv0.
    let layers = model["config"]["layers"].as_array_mut().unwrap();
    layers[3]["class_name"] = "Mystery".into();
    layers[3]["inbound_nodes"] = json!([[["conv1", 0, 0, {}], ["conv0", 0, 0, {}]]]);
    match keras::read_config(&model, None) {
        Err(ReadError::Unknown {
            layer,
            class,
            backbone: Some(backbone),
            ..
        }) => {
            assert_eq!((layer.as_str(), class.as_str()), ("conv2", "Mystery"));
            let names = named(&backbone.graph, &backbone.graph.keras_order());
            assert_eq!(names, ["picture", "conv0"]);
            assert_eq!(backbone.output, NodeId(1));
            assert_eq!(backbone.size, Some([8, 8]));
        }
        other => panic!("{other:?}"),
    }
}

/// Several outputs, and inputs beside the pictures, leave the backbone that all of it goes through.
#[test]
fn what_lies_before_several_outputs_and_other_inputs_is_the_backbone() {
    let layer = |class: &str, name: &str, config: Value, reads: &[&str]| {
        let mut config = config;
        config["name"] = name.into();
        let nodes: Vec<Value> = reads.iter().map(|read| json!([read, 0, 0, {}])).collect();
        let nodes = if reads.is_empty() { json!([]) } else { json!([nodes]) };
        json!({"class_name": class, "name": name, "config": config, "inbound_nodes": nodes})
    };
    let input = |name: &str, shape: Value| layer("InputLayer", name, json!({"batch_shape": shape}), &[]);
    let trunk = || {
        vec![
            input("picture", json!([null, 8, 8, 3])),
            layer("Conv2D", "conv", json!({"filters": 4, "kernel_size": 3}), &["picture"]),
            layer("GlobalAveragePooling2D", "pool", json!({}), &["conv"]),
        ]
    };
    let model = |layers: Vec<Value>, inputs: &[&str], outputs: &[&str]| {
        let ends = |names: &[&str]| names.iter().map(|name| json!([name, 0, 0])).collect::<Vec<_>>();
        json!({"class_name": "Functional", "config": {
            "name": "model", "layers": layers, "input_layers": ends(inputs), "output_layers": ends(outputs),
        }})
    };
    let mut several = trunk();
    for name in ["age", "sex", "race"] {
        several.push(layer("Dense", name, json!({"units": 2}), &["pool"]));
    }
    let mut metadata = trunk();
    metadata.push(input("metadata", json!([null, 5])));
    metadata.push(layer("Dense", "embedded", json!({"units": 4}), &["metadata"]));
    metadata.push(layer("Concatenate", "both", json!({"axis": -1}), &["pool", "embedded"]));
    metadata.push(layer("Dense", "end", json!({"units": 2}), &["both"]));
    for (model, part) in [
        (
            model(several, &["picture"], &["age", "sex", "race"]),
            "the model has 3 outputs (age, sex, race)",
        ),
        (
            model(metadata, &["picture", "metadata"], &["end"]),
            "layer metadata (InputLayer): it is a second input",
        ),
    ] {
        let error = keras::read_config(&model, None).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(part), "{text}");
        assert!(
            text.contains("with `--no-top` the network up to the layer pool"),
            "{text}"
        );
        let ReadError::Unknown {
            backbone: Some(backbone),
            ..
        } = error
        else {
            panic!("{text}");
        };
        assert_eq!(
            named(&backbone.graph, &backbone.graph.keras_order()),
            ["picture", "conv", "pool"]
        );
    }
}

/// A layer that is called several times is as many layers, with the same variables.
#[test]
fn a_shared_layer_stands_in_the_graph_for_each_of_its_calls() {
    let mut model = conv_chain(2);
    model["config"]["layers"][2]["inbound_nodes"] = json!([[["conv0", 0, 0, {}]], [["conv1", 0, 0, {}]]]);
    model["config"]["output_layers"] = json!([["conv1", 1, 0]]);
    let network = keras::read_config(&model, None).unwrap().unwrap();
    assert_eq!(network.graph.nodes.len(), 4);
    let names = keras::names(&network);
    let homes: Vec<(&str, &str)> = names
        .iter()
        .map(|(layer, path)| (layer.as_str(), path.as_str()))
        .collect();
    assert_eq!(homes, [("conv0", "conv0"), ("conv1", "conv1"), ("conv1", "conv1_2")]);
    // Its first call alone.
    model["config"]["output_layers"] = json!([["conv1", 0, 0]]);
    assert_eq!(keras::read_config(&model, None).unwrap().unwrap().graph.nodes.len(), 3);
    model["config"]["output_layers"] = json!([["conv1", 2, 0]]);
    let error = config(&model, None).unwrap_err();
    assert!(error.contains("conv1"), "{error}");
}

type Edit = fn(&mut Value);

#[test]
fn models_that_make_no_sense_are_refused_at_once() {
    let edits: [(&str, Edit); 8] = [
        ("its layers form a cycle through conv0", |model| {
            model["config"]["layers"][1]["inbound_nodes"] = json!([[["conv1", 0, 0, {}]]]);
            model["config"]["layers"][2]["inbound_nodes"] = json!([[["conv0", 0, 0, {}], ["picture", 0, 0, {}]]]);
        }),
        ("its output does not depend on its input", |model| {
            model["config"]["layers"][1]["inbound_nodes"] = json!([[["conv1", 0, 0, {}]]]);
        }),
        ("two layers of the name conv0", |model| {
            model["config"]["layers"][2]["name"] = "conv0".into();
        }),
        ("has 2 outputs (conv0, conv1)", |model| {
            model["config"]["output_layers"] = json!([["conv0", 0, 0], ["conv1", 0, 0]]);
        }),
        ("has 2 inputs (picture, conv0)", |model| {
            model["config"]["input_layers"] = json!([["picture", 0, 0], ["conv0", 0, 0]]);
        }),
        (
            "layer conv0 reads the layer nowhere, which the model does not have",
            |model| {
                model["config"]["layers"][1]["inbound_nodes"] = json!([[["nowhere", 0, 0, {}]]]);
            },
        ),
        ("layer conv1 (Conv2D): it is called with training=True", |model| {
            model["config"]["layers"][2]["inbound_nodes"] = json!([[["conv0", 0, 0, {"training": true}]]]);
        }),
        ("a layer whose name has 5000 bytes", |model| {
            model["config"]["layers"][1]["config"]["name"] = "x".repeat(5000).into();
        }),
    ];
    for (part, edit) in edits {
        let mut model = conv_chain(2);
        edit(&mut model);
        let error = config(&model, None).unwrap_err();
        assert!(error.contains(part), "{error}\nexpected {part}");
    }
    for model in [
        json!(null),
        json!({}),
        json!({"config": {}}),
        json!({"config": {"name": "subclassed"}}),
    ] {
        assert_eq!(config(&model, None), Err("no model".into()));
    }
    for layers in [
        json!([]),
        json!([null]),
        json!([{"class_name": "Dense"}]),
        json!([{"class_name": "Dense", "name": "a"}]),
    ] {
        let error = config(&json!({"class_name": "Sequential", "config": layers}), None).unwrap_err();
        assert!(error.starts_with("the model's config: "), "{error}");
    }
}

#[test]
fn large_and_deep_models_take_a_moment() {
    let start = Instant::now();
    let error = config(&conv_chain(20_001), None).unwrap_err();
    assert!(error.contains("more than the 20000 layers"), "{error}");
    assert!(config(&conv_chain(19_998), None).is_ok());

    // As deep as JSON goes.
    let mut model =
        String::from("{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"picture\",\"batch_shape\":[null,8,8,3]}}");
    for depth in 0..30 {
        model = format!("{{\"class_name\":\"Sequential\",\"config\":{{\"name\":\"m{depth}\",\"layers\":[{model}]}}}}");
    }
    let graph = config(&serde_json::from_str(&model).unwrap(), None).unwrap();
    assert!(graph.layers[0].name.starts_with("m28/m27/"), "{}", graph.layers[0].name);

    // Names that become one path, and layers that each read the sum of all layers before.
    let mut model = conv_chain(3000);
    for (place, layer) in model["config"]["layers"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
        .skip(1)
    {
        let mut name = String::new();
        (0..12).for_each(|bit| write!(name, "{}", if place >> bit & 1 == 1 { ' ' } else { '.' }).unwrap());
        layer["config"]["name"] = name.into();
    }
    assert_eq!(config(&model, None).unwrap().nodes.len(), 3001);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn paths_are_safe_and_lie_in_no_other() {
    let mut model = conv_chain(6);
    let names = ["stem", "stem/conv", "stem/conv 1", "stem.conv", "a b", "a-b/ü"];
    for (place, name) in names.iter().enumerate() {
        model["config"]["layers"][place + 1]["config"]["name"] = (*name).into();
    }
    let network = keras::read_config(&model, None).unwrap().unwrap();
    let pairs = keras::names(&network);
    let expected = [
        ("stem", "stem"),
        ("stem/conv", "stem_conv"),
        ("stem/conv 1", "stem_conv_1"),
        ("stem.conv", "stem_conv_2"),
        ("a b", "a_b"),
        ("a-b/ü", "a-b.ü"),
    ];
    let expected: Vec<(String, String)> = expected.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
    assert_eq!(pairs, expected);
}
