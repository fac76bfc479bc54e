//! The layers into which single operations are written.

use graph::{Activation, Conv, Dense, NewLayer, Op, Padding, Pool, PoolKind};
use serde_json::json;
use xception_model::keras::{self, End};

use crate::models::{built, owned, written};

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
    // With a stride of 1 the padding is Keras's own `same`.
    let padded = Conv::new([4, 4], [3, 3], Padding::symmetric(1));
    let graph = built(|net, picture| net.layer(NewLayer::new("conv").at("conv"), Op::Conv(padded), &[picture]));
    assert_eq!(written(&graph, End::Linear).unwrap()[0].2["padding"], "same");

    // After a ReLU no value is below zero.
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
        "layer pool: its pooling pads [1, 1, 1, 1] pixels (top, left, bottom, right), and Keras's pads as its own \
         `same` does; save the network as .bpk, .safetensors or .onnx"
    );
    // Padded zeros that count in the mean are zeros of the map.
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
                    "depth_multiplier": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same",
                    "use_bias": false,
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
