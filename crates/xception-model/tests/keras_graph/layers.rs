//! Each Keras layer as operations, under the settings of every version.

use graph::{Activation, Op};
use serde_json::{Value, json};

use crate::models::{called, config, conv, ops, sequential};

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
                "filters": 6, "kernel_size": [3, 2], "strides": [2, 1], "padding": "same", "groups": 2,
                "use_bias": false, "data_format": "channels_last",
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
            json!({
                "activation": {"module": "keras.layers", "class_name": "LeakyReLU", "config": {"negative_slope": 0.1}},
            }),
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
            "Mean",
            json!({"axis": [1, 2], "keepdims": false}),
            json!([{"op": "global-pool", "kind": "average", "keep_dims": false}]),
        ),
        (
            "Max",
            json!({"axis": [-2, -3], "keepdims": true}),
            json!([{"op": "global-pool", "kind": "max", "keep_dims": true}]),
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
            json!({
                "scale": [1, 2, 3, 4],
                "offset": {"class_name": "__numpy__", "config": {"value": [1.0, 2.0, 3.0, 4.0]}},
            }),
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
