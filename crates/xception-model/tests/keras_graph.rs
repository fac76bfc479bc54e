//! Keras files as graphs, and graphs as Keras models.
#![cfg(feature = "keras")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::store::ModuleStore;
use flate2::read::GzDecoder;
use graph::{Activation, Builder, Conv, Dense, Graph, NewLayer, NodeId, Op, Padding, Pool, PoolKind, Taps, Tolerance};
use keras_store::KerasStore;
use serde::Deserialize;
use serde_json::{Value, json};
use xception_model::FileGraph;
use xception_model::keras::{self, End, ReadError};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keras")
        .join(name)
}

fn unpacked(path: &Path) -> Vec<u8> {
    let packed = std::fs::read(path).expect("the fixture is there");
    let mut bytes = Vec::new();
    GzDecoder::new(packed.as_slice())
        .read_to_end(&mut bytes)
        .expect("a gzip file");
    bytes
}

/// A fixture's store; one that is only there gzipped is unpacked into a folder that must live as long.
fn store(name: &str) -> (KerasStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut path = fixture(name);
    if !path.exists() {
        let packed = path.with_file_name(format!("{}.gz", path.file_name().unwrap().to_string_lossy()));
        path = folder.path().join("model.h5");
        std::fs::write(&path, unpacked(&packed)).expect("a writable folder");
    }
    (KerasStore::from_file(path), folder)
}

fn read(name: &str) -> FileGraph {
    let (mut store, _folder) = store(name);
    let network = keras::read(&mut store).unwrap_or_else(|error| panic!("{name}: {error}"));
    network.unwrap_or_else(|| panic!("{name} has a model"))
}

/// A fixture with a model: its title, nodes and layers of its graph, parameters, the shape of its output.
type Model = (&'static str, &'static str, usize, usize, usize, &'static [usize]);

const MODELS: [Model; 20] = [
    ("cnn.keras", "sequential_2", 6, 6, 301, &[5]),
    ("hidden.keras", "xception", 82, 67, 1497, &[5]),
    ("legacy_model.h5", "xception", 77, 64, 1435, &[5]),
    ("max.keras", "xception", 77, 64, 1435, &[5]),
    ("nested_frozen.h5", "functional_20", 78, 65, 1435, &[5]),
    ("nested_functional.keras", "functional_17", 78, 65, 1435, &[5]),
    ("nested_sequential.keras", "sequential", 78, 65, 1435, &[5]),
    ("nested_unfrozen.h5", "sequential_1", 78, 65, 1435, &[5]),
    ("notop.keras", "xception", 75, 62, 1390, &[8, 11, 7]),
    ("offset.keras", "xception", 77, 64, 1435, &[5]),
    ("toy.keras", "xception", 77, 64, 1435, &[5]),
    ("unnamed/adapted.h5", "functional", 29, 24, 2631, &[3]),
    ("unnamed/adapted.keras", "functional", 29, 24, 2631, &[3]),
    ("unnamed/constant.keras", "functional", 29, 24, 2631, &[3]),
    ("unnamed/linear1.keras", "functional", 28, 24, 2617, &[1]),
    ("unnamed/raw.keras", "functional", 28, 23, 2631, &[3]),
    ("unnamed/sigmoid1.h5", "functional", 29, 24, 2617, &[1]),
    ("unnamed/sigmoid1.keras", "functional", 29, 24, 2617, &[1]),
    ("unnamed/signed.keras", "functional", 29, 24, 2631, &[3]),
    ("unnamed/softmax3.keras", "functional", 29, 24, 2631, &[3]),
];

#[test]
fn every_fixture_is_read() {
    for (name, title, nodes, layers, params, output) in MODELS {
        let (mut store, _folder) = store(name);
        let network = keras::read(&mut store).unwrap_or_else(|error| panic!("{name}: {error}"));
        let FileGraph {
            graph,
            output: last,
            size,
        } = network.clone().unwrap_or_else(|| panic!("{name} has a model"));
        let size = size.unwrap_or_else(|| panic!("{name} states its size"));
        assert_eq!(
            size,
            if name.starts_with("unnamed") {
                [40, 36]
            } else {
                [331, 200]
            },
            "{name}"
        );
        let found = (
            graph.title.as_str(),
            graph.nodes.len(),
            graph.layers.len(),
            graph.num_params(),
        );
        assert_eq!(found, (title, nodes, layers, params), "{name}");
        assert_eq!(graph.shapes(size).unwrap()[last.0].to_vec(), output, "{name}");

        // Every tensor of the file is a parameter of the graph, of the same shape, and the other way round.
        let constants = keras::constants(store.layers().unwrap());
        let names = keras::names(&network.unwrap());
        let mut store = store.with_names(names).without_layers(constants);
        let stored: BTreeMap<String, Vec<usize>> = store
            .get_all_tensors()
            .unwrap()
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shape.to_vec()))
            .collect();
        let parameters = graph.parameters().into_iter();
        let expected: BTreeMap<String, Vec<usize>> = parameters.map(|it| (it.name, it.shape)).collect();
        assert_eq!(stored, expected, "{name}");
    }
}

#[test]
fn weights_alone_are_no_graph() {
    for name in ["toy.weights.h5", "keras1_weights.h5", "legacy_weights.h5"] {
        let (mut store, _folder) = store(name);
        assert!(keras::read(&mut store).unwrap().is_none(), "{name}");
    }
}

fn named(graph: &Graph, order: &[graph::LayerId]) -> Vec<String> {
    order.iter().map(|layer| graph.layer(*layer).name.clone()).collect()
}

/// Keras's own files list their layers in Keras's order.
#[test]
fn the_order_of_layers_is_the_files() {
    for (name, ..) in MODELS.into_iter().filter(|(name, ..)| !name.starts_with("nested")) {
        let (mut store, _folder) = store(name);
        let graph = keras::read(&mut store).unwrap().unwrap().graph;
        let order = named(&graph, &graph.keras_order());
        let config = store.model_config().unwrap().unwrap();
        let listed = config["config"]["layers"].as_array().unwrap().iter();
        let listed: Vec<&str> = listed.map(|layer| layer["config"]["name"].as_str().unwrap()).collect();
        assert_eq!(order, listed, "{name}");
    }
}

#[derive(Deserialize)]
struct Layers {
    networks: Vec<Network>,
}

#[derive(Deserialize)]
struct Network {
    #[serde(rename = "network")]
    name: String,
    created: Vec<(String, String, Vec<String>)>,
    order: Vec<String>,
}

/// The layers of `keras.applications`, each in the order of creation, and their order in the model.
#[test]
fn the_order_of_layers_is_keras_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layers.json.gz");
    let Layers { networks } = serde_json::from_slice(&unpacked(&path)).unwrap();
    assert!(!networks.is_empty());
    for network in networks {
        let places: BTreeMap<&str, usize> = network
            .created
            .iter()
            .enumerate()
            .map(|(place, (_, name, _))| (name.as_str(), place))
            .collect();
        let inputs: Vec<Vec<usize>> = network
            .created
            .iter()
            .map(|(_, _, inputs)| inputs.iter().map(|input| places[input.as_str()]).collect())
            .collect();
        let output = places[network.order.last().unwrap().as_str()];
        let order = graph::keras_order(&inputs, output);
        let order: Vec<&str> = order
            .into_iter()
            .map(|place| network.created[place].1.as_str())
            .collect();
        assert_eq!(order, network.order, "{}", network.name);
    }
}

/// Layers on a picture of 8 x 8 x 4, one behind the other.
fn sequential(layers: &[(&str, Value)]) -> Value {
    let mut list = vec![json!({
        "class_name": "InputLayer", "config": {"name": "picture", "batch_shape": [null, 8, 8, 4]},
    })];
    for (place, (class, config)) in layers.iter().enumerate() {
        let mut config = config.clone();
        config["name"] = format!("layer{place}").into();
        list.push(json!({"class_name": class, "config": config}));
    }
    json!({"class_name": "Sequential", "config": {"name": "test", "layers": list}})
}

fn config(model: &Value, keras: Option<u32>) -> Result<Graph, String> {
    match keras::read_config(model, keras) {
        Ok(Some(network)) => Ok(network.graph),
        Ok(None) => Err("no model".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// The operations behind the input, as they are stored.
fn ops(model: &Value, keras: Option<u32>) -> Result<Value, String> {
    let graph = config(model, keras)?;
    Ok(graph.nodes[1..]
        .iter()
        .map(|node| match serde_json::to_value(&node.op).unwrap() {
            Value::Object(op) => tagged(op),
            op => json!({"op": op}),
        })
        .collect())
}

/// `{"conv": {..}}` as `{"op": "conv", ..}`, which takes changes.
fn tagged(op: serde_json::Map<String, Value>) -> Value {
    let (name, settings) = op.into_iter().next().unwrap();
    let Value::Object(mut settings) = settings else {
        return json!({"op": name, "value": settings});
    };
    settings.insert("op".to_owned(), name.into());
    settings.into()
}

fn conv(changes: &Value) -> Value {
    let mut conv = json!({
        "op": "conv", "channels": [4, 6], "kernel": [3, 3], "stride": [1, 1], "dilation": [1, 1], "groups": 1, "bias": true,
        "padding": "valid",
    });
    conv.as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    conv
}

#[test]
fn convolutions() {
    for (class, settings, expected) in [
        (
            "Conv2D",
            json!({"filters": 6, "kernel_size": 3}),
            json!([conv(&json!({}))]),
        ),
        (
            "Conv2D",
            json!({
                "filters": 6, "kernel_size": [3, 2], "strides": [2, 1], "padding": "same", "groups": 2, "use_bias": false,
                "data_format": "channels_last",
            }),
            json!([conv(
                &json!({"kernel": [3, 2], "stride": [2, 1], "padding": "same", "groups": 2, "bias": false})
            )]),
        ),
        (
            "Convolution2D",
            json!({
                "nb_filter": 6, "nb_row": 1, "nb_col": 7, "subsample": [2, 2], "border_mode": "same", "bias": false,
                "dim_ordering": "tf", "activation": "linear",
            }),
            json!([conv(
                &json!({"kernel": [1, 7], "stride": [2, 2], "padding": "same", "bias": false})
            )]),
        ),
        (
            "DepthwiseConv2D",
            json!({"kernel_size": [3, 3], "depth_multiplier": 2, "dilation_rate": 2}),
            json!([conv(&json!({"channels": [4, 8], "groups": 4, "dilation": [2, 2]}))]),
        ),
        (
            "SeparableConv2D",
            json!({"filters": 6, "kernel_size": [3, 3], "depth_multiplier": 2, "strides": [2, 2]}),
            json!([
                conv(&json!({"channels": [4, 8], "groups": 4, "stride": [2, 2], "bias": false})),
                conv(&json!({"channels": [8, 6], "kernel": [1, 1]})),
            ]),
        ),
    ] {
        assert_eq!(ops(&sequential(&[(class, settings)]), Some(3)), Ok(expected), "{class}");
    }
    let graph = config(
        &sequential(&[(
            "SeparableConv2D",
            json!({"filters": 6, "kernel_size": 3, "activation": "relu"}),
        )]),
        None,
    );
    let paths = graph
        .unwrap()
        .nodes
        .into_iter()
        .map(|node| node.path)
        .collect::<Vec<_>>();
    assert_eq!(paths, ["", "layer0.depthwise", "layer0.pointwise", ""]);
}

#[test]
fn activations() {
    let of = |class: &str, settings: Value, keras: Option<u32>| {
        let graph = config(&sequential(&[(class, settings)]), keras)?;
        match graph.nodes.get(1).map(|node| &node.op) {
            Some(Op::Activation(activation)) => Ok(Some(*activation)),
            None => Ok(None),
            Some(other) => Err(format!("{other:?}")),
        }
    };
    for (name, expected) in [
        ("relu", Activation::Relu),
        ("relu6", Activation::Relu6),
        ("leaky_relu", Activation::LeakyRelu { slope: 0.2 }),
        ("elu", Activation::Elu { alpha: 1.0 }),
        ("selu", Activation::Selu),
        ("gelu", Activation::Gelu { approximate: false }),
        ("swish", Activation::Swish),
        ("silu", Activation::Swish),
        ("hard_swish", Activation::HardSwish),
        ("hard_silu", Activation::HardSwish),
        ("sigmoid", Activation::Sigmoid),
        ("tanh", Activation::Tanh),
        ("softplus", Activation::Softplus),
        ("softsign", Activation::Softsign),
        ("mish", Activation::Mish),
        ("exponential", Activation::Exponential),
        ("softmax", Activation::Softmax),
    ] {
        assert_eq!(
            of("Activation", json!({"activation": name}), None),
            Ok(Some(expected)),
            "{name}"
        );
    }
    assert_eq!(of("Activation", json!({"activation": "linear"}), None), Ok(None));
    for (keras, slope) in [(1, 0.2), (2, 0.2), (3, 1.0 / 6.0)] {
        let found = of("Activation", json!({"activation": "hard_sigmoid"}), Some(keras));
        assert_eq!(found, Ok(Some(Activation::HardSigmoid { slope })));
    }
    let error = of("Activation", json!({"activation": "hard_sigmoid"}), None).unwrap_err();
    assert!(error.contains("does not say which Keras wrote it"), "{error}");

    for (class, settings, expected) in [
        ("ReLU", json!({}), Activation::Relu),
        (
            "ReLU",
            json!({"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}),
            Activation::Relu6,
        ),
        (
            "ReLU",
            json!({"negative_slope": 0.25}),
            Activation::LeakyRelu { slope: 0.25 },
        ),
        ("LeakyReLU", json!({}), Activation::LeakyRelu { slope: 0.3 }),
        ("LeakyReLU", json!({"alpha": 0.1}), Activation::LeakyRelu { slope: 0.1 }),
        ("ELU", json!({"alpha": 0.5}), Activation::Elu { alpha: 0.5 }),
        ("Softmax", json!({"axis": -1}), Activation::Softmax),
        (
            "Activation",
            json!({"activation": {"module": "builtins", "class_name": "function", "config": "relu6"}}),
            Activation::Relu6,
        ),
        (
            "Activation",
            json!({"activation": {"module": "keras.layers", "class_name": "LeakyReLU", "config": {"negative_slope": 0.1}}}),
            Activation::LeakyRelu { slope: 0.1 },
        ),
    ] {
        assert_eq!(
            of(class, settings.clone(), Some(3)),
            Ok(Some(expected)),
            "{class} {settings}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn everything_else_that_classifiers_do() {
    let scale = |scale: Value, shift: Value| json!([{"op": "scale-shift", "scale": scale, "shift": shift}]);
    let pool = |kind: &str, padding: &str| {
        json!([{
            "op": "pool", "kind": kind, "window": [2, 3], "stride": [2, 3], "dilation": [1, 1], "padding": padding,
            "count_padding": false,
        }])
    };
    let pad = |pads: [usize; 4]| json!([{"op": "pad", "pads": pads}]);
    let none = json!([]);
    for (class, settings, expected) in [
        (
            "BatchNormalization",
            json!({"axis": [3], "momentum": 0.99, "epsilon": 0.001, "scale": false}),
            json!([{"op": "batch-norm", "channels": 4, "epsilon": 0.001, "momentum": 0.01, "scale": false}]),
        ),
        (
            "MaxPooling2D",
            json!({"pool_size": [2, 3], "padding": "same"}),
            pool("max", "same"),
        ),
        (
            "AveragePooling2D",
            json!({"pool_size": [2, 3], "border_mode": "valid"}),
            pool("average", "valid"),
        ),
        (
            "GlobalAveragePooling2D",
            json!({"keepdims": true}),
            json!([{"op": "global-pool", "kind": "average", "keep_dims": true}]),
        ),
        (
            "Flatten",
            json!({}),
            json!([{"op": "flatten", "order": "channels-last"}]),
        ),
        (
            "Reshape",
            json!({"target_shape": [-1]}),
            json!([{"op": "flatten", "order": "channels-last"}]),
        ),
        ("ZeroPadding2D", json!({"padding": 2}), pad([2; 4])),
        ("ZeroPadding2D", json!({"padding": [1, 2]}), pad([1, 2, 1, 2])),
        ("ZeroPadding2D", json!({"padding": [[0, 1], [2, 3]]}), pad([0, 2, 1, 3])),
        ("ZeroPadding2D", json!({"padding": [1, 2, 3, 4]}), pad([1, 3, 2, 4])),
        (
            "ZeroPadding2D",
            json!({"padding": {"top_pad": 1, "right_pad": 2}}),
            pad([1, 0, 0, 2]),
        ),
        (
            "Rescaling",
            json!({"scale": 0.5, "offset": -1}),
            scale(json!([0.5]), json!([-1.0])),
        ),
        (
            "Rescaling",
            json!({"scale": [1, 2, 3, 4], "offset": {"class_name": "__numpy__", "config": {"value": [1.0, 2.0, 3.0, 4.0]}}}),
            scale(json!([1.0, 2.0, 3.0, 4.0]), json!([1.0, 2.0, 3.0, 4.0])),
        ),
        (
            "Normalization",
            json!({"axis": [-1], "mean": [2.0], "variance": [4.0]}),
            scale(json!([0.5]), json!([-1.0])),
        ),
        // A picture without any variance.
        (
            "Normalization",
            json!({"axis": [-1], "mean": [2.0], "variance": [0.0]}),
            scale(json!([1e7]), json!([-2e7])),
        ),
        (
            "Normalization",
            json!({"axis": -1, "mean": 2.0, "variance": 4.0, "invert": true}),
            scale(json!([2.0]), json!([2.0])),
        ),
        (
            "Dropout",
            json!({"rate": 0.25}),
            json!([{"op": "dropout", "rate": 0.25}]),
        ),
        ("Dropout", json!({"p": 0.25}), json!([{"op": "dropout", "rate": 0.25}])),
        (
            "SpatialDropout2D",
            json!({"rate": 0.25}),
            json!([{"op": "dropout", "rate": 0.25}]),
        ),
        (
            "Dropout",
            json!({"rate": 0.25, "noise_shape": [null, 1, 1, 1]}),
            none.clone(),
        ),
        ("Cast", json!({"dtype": "float32"}), none.clone()),
        ("RandomFlip", json!({}), none.clone()),
        ("RandomColorJitter", json!({}), none.clone()),
        ("RandAugment", json!({}), none.clone()),
        ("GaussianNoise", json!({"stddev": 0.1}), none.clone()),
        ("Identity", json!({}), none),
    ] {
        let found = ops(&sequential(&[(class, settings.clone())]), Some(3));
        assert_eq!(found, Ok(expected), "{class} {settings}");
    }
    // A map of 1 x 1 stays one through a Dense.
    let squeeze = [
        ("GlobalAveragePooling2D", json!({})),
        ("Reshape", json!({"target_shape": [1, 1, 4]})),
        ("Dense", json!({"units": 2, "activation": "relu", "use_bias": false})),
    ];
    let graph = config(&sequential(&squeeze), None).unwrap();
    let names: Vec<&str> = graph.nodes.iter().map(|node| node.op.name()).collect();
    assert_eq!(
        names,
        [
            "input",
            "global pooling",
            "reshape to a map",
            "dense layer",
            "activation",
            "reshape to a map"
        ]
    );
    assert_eq!(graph.layers.len(), 4);
}

/// A layer or operation with what it is called with.
fn called(module: &str, class: &str, config: Value, arguments: Value) -> Value {
    let mut config = config;
    config["name"] = "called".into();
    let tensor = |name: &str| json!({"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}});
    let keras2 = class == "TFOpLambda";
    let nodes = if keras2 {
        arguments
    } else {
        json!([{"args": arguments, "kwargs": {}}])
    };
    let text = nodes.to_string().replace("\"PICTURE\"", &tensor("picture").to_string());
    let nodes: Value = serde_json::from_str(&text).unwrap();
    json!({
        "class_name": "Functional",
        "config": {
            "name": "test",
            "layers": [
                {"class_name": "InputLayer", "name": "picture", "inbound_nodes": [],
                 "config": {"name": "picture", "batch_shape": [null, 8, 8, 4]}},
                {"class_name": class, "module": module, "name": "called", "config": config, "inbound_nodes": nodes},
            ],
            "input_layers": [["picture", 0, 0]],
            "output_layers": [["called", 0, 0]],
        },
    })
}

#[test]
fn arithmetic_with_constants() {
    let numpy = json!({"class_name": "__numpy__", "config": {"value": [[1.0, 2.0, 4.0, 8.0]], "dtype": "float32"}});
    for (class, arguments, scale, shift) in [
        ("TrueDivide", json!(["PICTURE", 4.0]), json!([0.25]), json!([0.0])),
        (
            "Divide",
            json!(["PICTURE", numpy]),
            json!([1.0, 0.5, 0.25, 0.125]),
            json!([0.0]),
        ),
        ("Subtract", json!(["PICTURE", 1.0]), json!([1.0]), json!([-1.0])),
        ("Subtract", json!([1.0, "PICTURE"]), json!([-1.0]), json!([1.0])),
        ("Multiply", json!([2, "PICTURE"]), json!([2.0]), json!([0.0])),
        ("Add", json!(["PICTURE", 3]), json!([1.0]), json!([3.0])),
    ] {
        let expected = json!([{"op": "scale-shift", "scale": scale, "shift": shift}]);
        let found = ops(
            &called("keras.src.ops.numpy", class, json!({}), arguments.clone()),
            Some(3),
        );
        assert_eq!(found, Ok(expected), "{class} {arguments}");
    }
    let picture = json!(["picture", 0, 0]);
    for (function, call, expected) in [
        (
            "math.truediv",
            json!([["picture", 0, 0, {"y": 4.0, "name": null}]]),
            json!([{"op": "scale-shift", "scale": [0.25], "shift": [0.0]}]),
        ),
        (
            "math.subtract",
            json!([["_CONSTANT_VALUE", -1, 1.0, {"y": picture, "name": null}]]),
            json!([{"op": "scale-shift", "scale": [-1.0], "shift": [1.0]}]),
        ),
        (
            "__operators__.add",
            json!([["picture", 0, 0, {"y": picture, "name": null}]]),
            json!([{"op": "add"}]),
        ),
        (
            "cast",
            json!([["picture", 0, 0, {"dtype": "float32", "name": null}]]),
            json!([]),
        ),
    ] {
        let model = called("keras", "TFOpLambda", json!({"function": function}), call);
        assert_eq!(ops(&model, Some(2)), Ok(expected), "{function}");
    }
    let model = called(
        "keras",
        "TFOpLambda",
        json!({"function": "cast"}),
        json!([["picture", 0, 0, {"dtype": "uint8", "name": null}]]),
    );
    assert!(
        ops(&model, Some(2))
            .unwrap_err()
            .contains("it makes \"uint8\" of its input")
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_cannot_be_computed_is_named() {
    let gap = ("GlobalAveragePooling2D", json!({}));
    let one = ("Conv2D", json!({"filters": 2, "kernel_size": 1}));
    for (layers, part) in [
        (
            vec![("Lambda", json!({}))],
            "layer layer0 (Lambda): there is no operation for its class; `--no-top` would not help",
        ),
        (
            vec![one.clone(), ("Permute", json!({"dims": [1]}))],
            "layer layer1 (Permute): there is no operation for its class; with `--no-top` the network up to the layer layer0 can \
             be used",
        ),
        (
            vec![
                one.clone(),
                gap.clone(),
                ("Attention", json!({})),
                ("Dense", json!({"units": 2})),
            ],
            "layer layer2 (Attention): there is no operation for its class; with `--no-top` the network up to the layer layer1 can \
             be used",
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
            vec![("ReLU", json!({"max_value": 5.0}))],
            "it is a ReLU with max_value 5",
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
    // A class of the user's own may be called as Keras's are.
    let own = called("my.layers", "Dropout", json!({}), json!(["PICTURE"]));
    let error = config(&own, Some(3)).unwrap_err();
    assert!(
        error.contains("layer called (Dropout): its class is not one of Keras's own"),
        "{error}"
    );
}

/// The part before an unknown layer, where all of the output goes through.
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

/// Keras 2's functional model of convolutions in a row.
fn conv_chain(count: usize) -> Value {
    let mut layers = vec![json!({
        "class_name": "InputLayer", "name": "picture", "inbound_nodes": [],
        "config": {"name": "picture", "batch_input_shape": [null, 8, 8, 4]},
    })];
    let mut before = "picture".to_owned();
    for place in 0..count {
        let name = format!("conv{place}");
        layers.push(json!({
            "class_name": "Conv2D", "name": name, "config": {"name": name, "filters": 4, "kernel_size": 1},
            "inbound_nodes": [[[before, 0, 0, {}]]],
        }));
        before = name;
    }
    json!({"class_name": "Model", "config": {
        "name": "chain", "layers": layers, "input_layers": [["picture", 0, 0]], "output_layers": [[before, 0, 0]],
    }})
}

type Edit = fn(&mut Value);

#[test]
fn models_that_make_no_sense_are_refused_at_once() {
    let edits: [(&str, Edit); 8] = [
        ("connected in a circle, in which conv0 stands", |model| {
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

    // Names that become one path, and every layer in the sum of all before.
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

/// Names of a model's layers, in its order.
fn listed(model: &Value) -> Vec<String> {
    let layers = model["config"]["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| layer["config"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// What a graph is written as is the same graph.
#[test]
fn what_is_written_is_read_again() {
    for (name, ..) in MODELS {
        let FileGraph { graph, output, size } = read(name);
        let size = size.unwrap();
        let model = keras::keras_model(&graph, size, End::Linear).unwrap_or_else(|error| panic!("{name}: {error}"));
        let plain = |name: String| name.replace('/', "_");
        let order: Vec<String> = named(&graph, &graph.keras_order()).into_iter().map(plain).collect();
        assert_eq!(listed(&model.config), order, "{name}");
        if name.starts_with("unnamed") {
            // Only the weights say how wide a flattened map is.
            continue;
        }
        let again = keras::read_config(&model.config, Some(3)).unwrap().unwrap();
        let tolerance = Tolerance {
            size: Some(size),
            ..Tolerance::default()
        };
        let pairs = graph.correspondence(output, &again.graph, again.output, tolerance);
        pairs.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(again.graph.num_params(), graph.num_params(), "{name}");
    }
}

/// `scripts/keras_every_layer.py`: Keras counts 1530 parameters.
#[test]
fn every_layer_of_keras_there_and_back() {
    let config: Value = serde_json::from_slice(&unpacked(&fixture("every_layer.json.gz"))).unwrap();
    let FileGraph { graph, output, size } = keras::read_config(&config, Some(3)).unwrap().unwrap();
    assert_eq!(size, Some([33, 31]));
    assert_eq!((graph.nodes.len(), graph.num_params()), (67, 1530));
    assert_eq!(graph.shapes([33, 31]).unwrap()[output.0].to_vec(), [5]);
    let order = named(&graph, &graph.keras_order());
    let is_computed = |name: &String| !["gaussian_noise", "identity"].contains(&name.as_str());
    let expected: Vec<String> = listed(&config).into_iter().filter(is_computed).collect();
    assert_eq!(order, expected);

    let model = keras::keras_model(&graph, [33, 31], End::Linear).unwrap();
    let again = keras::read_config(&model.config, Some(3)).unwrap().unwrap();
    let tolerance = Tolerance {
        size,
        ..Tolerance::default()
    };
    graph
        .correspondence(output, &again.graph, again.output, tolerance)
        .unwrap();
    // A layer with an activation that Keras has no name for is two, of which the first has the weights.
    let written = listed(&model.config);
    for name in ["conv2d_1", "conv2d_1_activation", "dense_3", "dense_3_activation"] {
        assert!(written.iter().any(|written| written == name), "{name}");
    }
}

/// Xception is written as it always was.
#[test]
fn the_model_of_xception_has_not_changed() {
    let expected: Value = serde_json::from_slice(&unpacked(&fixture("written.json.gz"))).unwrap();
    let FileGraph { graph, size, .. } = {
        let network = keras::read_config(&expected, Some(3));
        network.unwrap().unwrap()
    };
    assert_eq!(graph.layers.len(), 64);
    let model = keras::keras_model(&graph, size.unwrap(), End::Linear).unwrap();
    assert_eq!(model.config, expected);
    assert_eq!(model.names.len(), 39);
    assert!(
        model
            .names
            .contains(&("block2_sepconv1".into(), "block2_sepconv1".into()))
    );
}

/// A graph of one layer, behind what stands before it.
fn built(build: impl FnOnce(&mut Builder, NodeId) -> NodeId) -> Graph {
    let (mut net, picture) = Builder::new("Test Network", 4);
    let output = build(&mut net, picture);
    let taps = Taps {
        logits: Some(output),
        ..Taps::default()
    };
    let graph = net.finish(taps, 1);
    graph.validate().unwrap();
    graph
}

/// Class, name and settings of every layer behind the input.
fn written(graph: &Graph, end: End) -> Result<Vec<(String, String, Value)>, String> {
    let model = keras::keras_model(graph, [8, 8], end).map_err(|error| error.to_string())?;
    assert_eq!(model.config["config"]["name"], "test_network");
    let layers = model.config["config"]["layers"].as_array().unwrap()[1..].iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Ok(layers
        .map(|layer| {
            let mut settings = layer["config"].clone();
            for common in ["name", "trainable", "dtype"] {
                settings.as_object_mut().unwrap().remove(common);
            }
            (text(&layer["class_name"]), text(&layer["name"]), settings)
        })
        .collect())
}

fn owned(layers: &[(&str, &str, Value)]) -> Vec<(String, String, Value)> {
    let owned = |(class, name, settings): &(&str, &str, Value)| ((*class).into(), (*name).into(), settings.clone());
    layers.iter().map(owned).collect()
}

#[test]
fn padding_that_keras_does_not_have_is_a_layer() {
    let padded = Conv::new([4, 4], [3, 3], Padding::symmetric(1)).with_stride(2);
    let settings =
        json!({"filters": 4, "kernel_size": [3, 3], "strides": [2, 2], "padding": "valid", "use_bias": false});
    let pads = json!({"padding": [[1, 1], [1, 1]]});
    let graph = built(|net, picture| net.layer(NewLayer::new("conv").at("a.conv"), Op::Conv(padded), &[picture]));
    assert_eq!(
        written(&graph, End::Softmax).unwrap(),
        owned(&[
            ("ZeroPadding2D", "conv_pad", pads.clone()),
            ("Conv2D", "conv", settings),
            ("Activation", "probabilities", json!({"activation": "softmax"})),
        ])
    );
    // With a stride of 1 it is Keras's own.
    let padded = Conv::new([4, 4], [3, 3], Padding::symmetric(1));
    let graph = built(|net, picture| net.layer(NewLayer::new("conv").at("conv"), Op::Conv(padded), &[picture]));
    assert_eq!(written(&graph, End::Linear).unwrap()[0].2["padding"], "same");

    // Nothing behind a ReLU is below zero.
    let max = Op::Pool(Pool::max(3, 2, Padding::symmetric(1)));
    let graph = built(|net, picture| {
        let relu = net.layer(NewLayer::new("relu"), Op::Activation(Activation::Relu), &[picture]);
        net.layer(NewLayer::new("pool"), max.clone(), &[relu])
    });
    let settings = json!({"pool_size": [3, 3], "strides": [2, 2], "padding": "valid"});
    assert_eq!(
        written(&graph, End::Linear).unwrap(),
        owned(&[
            ("Activation", "relu", json!({"activation": "relu"})),
            ("ZeroPadding2D", "pool_pad", pads.clone()),
            ("MaxPooling2D", "pool", settings.clone()),
        ])
    );
    let graph = built(|net, picture| net.layer(NewLayer::new("pool"), max, &[picture]));
    let error = written(&graph, End::Linear).unwrap_err();
    assert_eq!(
        error,
        "layer pool: its pooling pads [1, 1, 1, 1] pixels (top, left, bottom, right), and Keras's pads as its own `same` does; \
         save the network as .bpk, .safetensors or .onnx"
    );
    // Zeros that count are zeros of the map.
    let average = |padding, count_padding| {
        let pool = Pool {
            count_padding,
            ..Pool::average(3, 2, padding)
        };
        built(|net, picture| net.layer(NewLayer::new("pool"), Op::Pool(pool), &[picture]))
    };
    assert_eq!(
        written(&average(Padding::symmetric(1), true), End::Linear).unwrap(),
        owned(&[
            ("ZeroPadding2D", "pool_pad", pads),
            ("AveragePooling2D", "pool", settings)
        ])
    );
    for (graph, part) in [
        (average(Padding::Same, true), "its average counts the padding"),
        (average(Padding::symmetric(1), false), "its pooling pads"),
        (
            built(|net, picture| {
                let pool = Pool::max(2, 1, Padding::Same).with_dilation(2);
                net.layer(NewLayer::new("pool"), Op::Pool(pool), &[picture])
            }),
            "its pooling has a dilation of [2, 2]",
        ),
    ] {
        let error = written(&graph, End::Linear).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn separable_convolutions_are_one_layer_where_keras_has_it() {
    let depthwise = Op::Conv(Conv::new([4, 8], [3, 3], Padding::Same).with_groups(4));
    let pointwise = Op::Conv(Conv::new([8, 6], [1, 1], Padding::Valid).with_bias(true));
    let layer = NewLayer::new("sep").at("block.sep");
    let graph = built(|net, picture| {
        let x = net.layer_of_parts(layer, "depthwise", depthwise.clone(), &[picture]);
        net.part("pointwise", "", pointwise.clone(), &[x])
    });
    let settings = json!({
        "filters": 6, "kernel_size": [3, 3], "padding": "same", "use_bias": true, "depth_multiplier": 2,
    });
    assert_eq!(
        written(&graph, End::Linear).unwrap(),
        owned(&[("SeparableConv2D", "sep", settings)])
    );
    let model = keras::keras_model(&graph, [8, 8], End::Linear).unwrap();
    assert_eq!(model.names, [("sep".to_owned(), "block.sep".to_owned())]);

    let between = built(|net, picture| {
        let x = net.layer_of_parts(layer, "depthwise", depthwise, &[picture]);
        let x = net.part("", "", Op::Activation(Activation::Relu), &[x]);
        net.part("pointwise", "", pointwise, &[x])
    });
    let model = keras::keras_model(&between, [8, 8], End::Linear).unwrap();
    assert_eq!(
        written(&between, End::Linear).unwrap(),
        owned(&[
            (
                "DepthwiseConv2D",
                "sep_depthwise",
                json!({
                    "depth_multiplier": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "use_bias": false,
                })
            ),
            ("Activation", "sep_activation", json!({"activation": "relu"})),
            (
                "Conv2D",
                "sep",
                json!({
                    "filters": 6, "kernel_size": [1, 1], "strides": [1, 1], "padding": "valid", "use_bias": true,
                })
            ),
        ])
    );
    let pair = |layer: &str, path: &str| (layer.to_owned(), path.to_owned());
    assert_eq!(
        model.names,
        [
            pair("sep_depthwise", "block.sep.depthwise"),
            pair("sep", "block.sep.pointwise")
        ]
    );
}

#[test]
fn ends_and_heads() {
    let dense = |features| Op::Dense(Dense { features, bias: true });
    let head = |keep_dims| {
        built(|net, picture| {
            let pool = graph::GlobalPool {
                kind: PoolKind::Average,
                keep_dims,
            };
            let x = net.layer(NewLayer::automatic("pooled"), Op::GlobalPool(pool), &[picture]);
            net.layer(NewLayer::new("scores/all").at("head"), dense([4, 3]), &[x])
        })
    };
    assert_eq!(
        written(&head(false), End::Sigmoid).unwrap(),
        owned(&[
            ("GlobalAveragePooling2D", "global_average_pooling2d", json!({})),
            ("Dense", "scores_all", json!({"units": 3, "activation": "sigmoid"})),
        ])
    );
    assert_eq!(
        written(&head(true), End::Linear).unwrap(),
        owned(&[
            (
                "GlobalAveragePooling2D",
                "global_average_pooling2d",
                json!({"keepdims": true})
            ),
            ("Flatten", "scores_all_flatten", json!({})),
            ("Dense", "scores_all", json!({"units": 3, "activation": "linear"})),
        ])
    );
    for (activation, part) in [
        (
            Activation::HardSigmoid { slope: 0.2 },
            "its hard sigmoid has the slope 0.2 (Keras 1 and 2), and Keras 3's has 1/6",
        ),
        (
            Activation::Gelu { approximate: true },
            "Keras has no name for its activation Gelu { approximate: true }",
        ),
    ] {
        let graph = built(|net, picture| net.layer(NewLayer::new("act"), Op::Activation(activation), &[picture]));
        let error = written(&graph, End::Linear).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    let flat = |order| built(|net, picture| net.layer(NewLayer::new("flat"), Op::Flatten { order }, &[picture]));
    let error = written(&flat(graph::ChannelOrder::ChannelsFirst), End::Linear).unwrap_err();
    assert!(error.contains("channel by channel, as PyTorch does"), "{error}");
    assert!(written(&flat(graph::ChannelOrder::ChannelsLast), End::Linear).is_ok());
}

#[test]
fn nothing_of_a_norm_is_lost() {
    for (epsilon, momentum) in [(1.001e-5, 0.01), (1e-3, 0.001), (1e-5, 0.1)] {
        let norm = graph::BatchNorm {
            channels: 4,
            epsilon,
            momentum,
            scale: false,
            center: true,
        };
        let graph =
            built(|net, picture| net.layer(NewLayer::new("bn").at("bn"), Op::BatchNorm(norm.clone()), &[picture]));
        let model = keras::keras_model(&graph, [8, 8], End::Linear).unwrap();
        let again = keras::read_config(&model.config, Some(3)).unwrap().unwrap();
        assert_eq!(again.graph.nodes[1].op, Op::BatchNorm(norm));
    }
}
