//! Every option of `XceptionConfig`, and what a network can be asked and turned into.
//!
//! What the options compute is compared with Keras in `golden.rs` and `training.rs`; here is what follows from them.

mod common;

use std::collections::{BTreeSet, HashMap};

use burn::config::Config;
use burn::module::{Module, ParamGroup};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};
use common::{device, network, parameters, relative_error, toy, values};
use xception_model::graph::{LayerId, Op};
use xception_model::{
    Architecture, ConfigError, InputError, IntermediateActivation, OutputStride, Pooling, SeparableOrder, Variant,
    Widths, Xception, XceptionConfig,
};

fn images(batch: usize, height: usize, width: usize) -> Tensor<4> {
    common::input([batch, height, width, 3], &device())
}

/// Networks that differ in everything that adds or takes away a layer.
fn assorted() -> Vec<XceptionConfig> {
    vec![
        toy(),
        toy().with_residual(false),
        toy().with_middle_blocks(0),
        toy().with_middle_blocks(2),
        toy().with_hidden_layers(vec![12, 8]),
        toy().with_pooling(Pooling::Max),
        toy().with_include_top(false),
        toy().with_include_top(false).with_pooling(Pooling::None),
        toy().with_output_stride(OutputStride::S16),
        toy().with_output_stride(OutputStride::S8),
        toy().with_order(SeparableOrder::PointwiseFirst),
        toy().with_intermediate_activation(IntermediateActivation::Elu),
        toy().with_variant(Variant::Torch),
        toy().with_in_channels(5),
    ]
}

/// Module paths and names of a network's layers.
fn layers(config: &XceptionConfig) -> HashMap<String, String> {
    let layers = config.graph().layers.into_iter();
    layers.map(|layer| (layer.path, layer.name)).collect()
}

/// Names and Keras classes of a network's layers.
fn classes(config: &XceptionConfig) -> Vec<(String, &'static str)> {
    let graph = config.graph();
    let layers = graph.layers.iter().enumerate();
    layers
        .map(|(index, layer)| (layer.name.clone(), graph.keras_class(LayerId(index))))
        .collect()
}

/// Mean cross-entropy of a training pass over two pictures.
fn loss(model: &Xception, channels: usize, device: &Device) -> Tensor<1> {
    let logits = model
        .forward(common::input([2, 71, 71, channels], device))
        .expect("a valid input");
    let labels = Tensor::<1, Int>::from_ints([0, 1], device);
    CrossEntropyLossConfig::new().init(device).forward(logits, labels)
}

/// Paths of the parameters that a training pass gives a gradient, running statistics left out.
fn trained_paths(model: &Xception, channels: usize) -> BTreeSet<String> {
    let device = device().autodiff();
    let before: HashMap<_, _> = parameters(model)
        .into_iter()
        .map(|(path, _, values)| (path, values))
        .collect();
    let gradients = GradientsParams::from_grads(loss(model, channels, &device).backward(), model);
    let stepped = SgdConfig::new().init().step(0.1, model.clone(), gradients);
    parameters(&stepped)
        .into_iter()
        .filter(|(path, _, values)| !path.contains("running_") && before[path] != *values)
        .map(|(path, ..)| path)
        .collect()
}

// ------------------------------------------------------------------------------------------------ the summary

#[test]
fn parameters_are_counted_as_in_keras() {
    let full = XceptionConfig::new();
    let without_top = full.clone().with_include_top(false);
    for (config, total, trainable) in [(full, 22_910_480, 22_855_952), (without_top, 20_861_480, 20_806_952)] {
        let model = config.init(&device()).expect("a network");
        let summary = model.summary(299, 299).expect("a summary");
        assert_eq!(summary.params(), total);
        assert_eq!(summary.trainable_params(), trainable);
        assert_eq!(Module::num_params(&model), total);
    }
}

#[test]
fn the_summary_counts_what_the_modules_hold() {
    for config in assorted() {
        let model = config.init(&device()).expect("a network");
        let summary = model.summary(71, 71).expect("a summary");
        assert_eq!(summary.params(), Module::num_params(&model), "{config}");
        let running: usize = parameters(&model)
            .iter()
            .filter(|(path, ..)| path.contains("running_"))
            .map(|(_, _, values)| values.len())
            .sum();
        assert_eq!(summary.trainable_params() + running, summary.params(), "{config}");
    }
}

#[test]
fn multiply_adds_are_those_of_the_papers_figure() {
    // Kernel side, channels in and out, side of the output: Figure 5 for a picture of 299 x 299.
    let convolution =
        |kernel: u64, [inputs, outputs]: [u64; 2], side: u64| kernel.pow(2) * inputs * outputs * side.pow(2);
    let separable = |channels: [u64; 2], side: u64| (9 * channels[0] + channels[0] * channels[1]) * side.pow(2);
    let entry = convolution(3, [3, 32], 149)
        + convolution(3, [32, 64], 147)
        + separable([64, 128], 147)
        + separable([128, 128], 147)
        + convolution(1, [64, 128], 74)
        + separable([128, 256], 74)
        + separable([256, 256], 74)
        + convolution(1, [128, 256], 37)
        + separable([256, 728], 37)
        + separable([728, 728], 37)
        + convolution(1, [256, 728], 19);
    let middle = 8 * 3 * separable([728, 728], 19);
    let exit = separable([728, 728], 19)
        + separable([728, 1024], 19)
        + convolution(1, [728, 1024], 10)
        + separable([1024, 1536], 10)
        + separable([1536, 2048], 10);
    let expected = entry + middle + exit + 2048 * 1000;

    let model = XceptionConfig::new().init(&device()).expect("a network");
    assert_eq!(model.summary(299, 299).expect("a summary").multiply_adds(), expected);
    assert_eq!(expected, 8_357_403_496);
}

#[test]
fn display_is_a_table_of_layers() {
    let text = XceptionConfig::new().init(&device()).expect("a network").to_string();
    let lines: Vec<&str> = text.lines().collect();
    for expected in [
        "Xception, input 3 x 299 x 299 (channels x height x width)",
        "block1_conv1 (Conv2D)                         32 x 149 x 149             864        19,181,664",
        "block5_sepconv2_bn (BatchNormalization)       728 x 19 x 19            2,912                 0",
        "block13_residual (Conv2D)                     1024 x 10 x 10         745,472        74,547,200",
        "predictions (Dense)                           1000                 2,049,000         2,048,000",
        "Parameters                 22,910,480",
        "  trainable                22,855,952",
        "  running statistics           54,528",
    ] {
        assert!(lines.contains(&expected), "{expected:?} is not in\n{text}");
    }
    assert_eq!(lines.last(), Some(&"Multiply-adds           8,357,403,496"));
}

// ------------------------------------------------------------------------------------------------ stages

#[test]
fn stage_names_are_what_each_stage_shows() {
    for config in assorted() {
        let model = network(&config, &device());
        let mut shown = Vec::new();
        model
            .each_stage(
                common::input([1, 71, 71, config.in_channels], &device()),
                &mut |name, _| {
                    shown.push(name.to_owned());
                },
            )
            .expect("a valid input");
        assert_eq!(shown, model.stage_names(), "{config}");
        let unique: BTreeSet<_> = shown.iter().collect();
        assert_eq!(unique.len(), shown.len(), "{config}");
    }
}

#[test]
fn any_picture_from_71_on_has_the_shapes_of_the_summary() {
    let model = network(&toy(), &device());
    let sizes = (71..=80)
        .map(|height| (height, 71))
        .chain([(71, 72), (72, 72), (71, 150), (103, 90)]);
    for (height, width) in sizes {
        let summary = model.summary(height, width).expect("a summary");
        let mut shapes = HashMap::new();
        model
            .each_stage(images(1, height, width), &mut |name, output| {
                shapes.insert(name.to_owned(), output.dims());
            })
            .expect("a valid input");
        for row in &summary.rows {
            let mut expected = [1; 4];
            expected[1..=row.output.len()].copy_from_slice(&row.output);
            assert_eq!(shapes[&row.name], expected, "{} at {height} x {width}", row.name);
        }
    }
}

#[test]
fn a_stage_is_found_by_its_keras_name() {
    let model = network(&toy(), &device());
    let stage = |name: &str| values(&model.stage(images(2, 71, 71), name).expect("a stage"));
    // The block's output is its pool plus its shortcut, and what the next block's activation sees.
    let sum: Vec<f32> = stage("block4_pool")
        .iter()
        .zip(stage("block4_residual_bn"))
        .map(|(a, b)| a + b)
        .collect();
    assert_eq!(stage("block4"), sum);
    let rectified: Vec<f32> = sum.iter().map(|value| value.max(0.0)).collect();
    assert_eq!(stage("block5_sepconv1_act"), rectified);

    assert_eq!(
        stage("block7"),
        values(&model.feature_map(images(2, 71, 71)).expect("features"))
    );
    assert_eq!(
        stage("avg_pool"),
        values(&model.embed(images(2, 71, 71)).expect("an embedding"))
    );
    let logits = model.forward(images(2, 71, 71)).expect("logits");
    assert_eq!(stage("predictions"), values(&logits));
    let probabilities = model.predict(images(2, 71, 71)).expect("probabilities");
    assert_eq!(values(&probabilities), values(&softmax(logits, 1)));
}

#[test]
fn an_unknown_stage_suggests_the_nearest() {
    let model = network(&toy(), &device());
    let error = model
        .stage(images(1, 71, 71), "block4_sepconv2bn")
        .expect_err("an unknown name");
    let text = error.to_string();
    let count = model.stage_names().len();
    assert_eq!(
        text,
        format!(
            "no stage is called `block4_sepconv2bn` (did you mean `block4_sepconv2_bn`?); `stage_names` lists the \
             {count} there are"
        )
    );
    assert_eq!(model.check_stage("block4_sepconv2bn"), Err(error));
    assert_eq!(model.check_stage("block4_sepconv2_bn"), Ok(()));
    let error = model
        .stage(images(1, 71, 71), "attention")
        .expect_err("an unknown name");
    let InputError::UnknownStage { nearest, known, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(nearest, None);
    assert_eq!(known, model.stage_names());
}

#[test]
fn the_pyramid_has_the_last_block_of_each_resolution() {
    let strides = [
        (OutputStride::S32, [2, 4, 8, 16, 32]),
        (OutputStride::S16, [2, 4, 8, 16, 16]),
        (OutputStride::S8, [2, 4, 8, 8, 8]),
    ];
    // Sides of the maps at strides 2, 4, 8, 16, 32; `same` pooling rounds up.
    let sides = [(299, [147, 74, 37, 19, 10]), (150, [72, 36, 18, 9, 5])];
    for (output_stride, strides) in strides {
        let model = network(&toy().with_output_stride(output_stride), &device());
        for (size, sides) in sides {
            let pyramid = model.pyramid(images(1, size, 71)).expect("a pyramid");
            let names: Vec<_> = pyramid.levels.iter().map(|level| level.name.as_str()).collect();
            assert_eq!(names, ["stride_2", "stride_4", "stride_8", "stride_16", "stride_32"]);
            let stages: Vec<_> = pyramid.levels.iter().map(|level| level.stage.as_str()).collect();
            assert_eq!(stages, ["block1", "block2", "block3", "block5", "block7"]);
            for ((level, stride), channels) in pyramid.levels.iter().zip(strides).zip([8, 8, 12, 16, 24]) {
                assert_eq!(level.stride, stride);
                let place = stride.ilog2() as usize - 1;
                let [_, found, height, _] = level.features.dims();
                assert_eq!((found, height), (channels, sides[place]), "{} at {size}", level.name);
                let stage = model.stage(images(1, size, 71), &level.stage).expect("a stage");
                assert_eq!(values(&level.features), values(&stage), "{}", level.name);
            }
            assert_eq!(
                pyramid.level("stride_8").map(|level| level.stage.as_str()),
                Some("block3")
            );
            assert!(pyramid.level("stride_64").is_none());
        }
    }
    let shallow = network(&toy().with_middle_blocks(0), &device());
    let pyramid = shallow.pyramid(images(1, 71, 71)).expect("a pyramid");
    assert_eq!(
        pyramid.level("stride_16").map(|level| level.stage.as_str()),
        Some("block4")
    );
}

// ------------------------------------------------------------------------------------------------ output stride

/// Trained weights see the same neighbourhoods: every 2nd or 4th value of the dilated network's map is the ordinary
/// network's.
///
/// That needs pools whose windows stand around every second pixel from the first: `same` does so on maps of odd side,
/// one pixel on each side all around on any. 331 x 200 reaches the pools of blocks 4 and 13 as 41 x 25 and 21 x 13, 224
/// x 224 as 28 and 14.
#[test]
fn a_dilated_network_computes_the_ordinary_networks_features_and_those_in_between() {
    for (variant, height, width) in [(Variant::Keras, 331, 200), (Variant::Torch, 224, 224)] {
        let config = toy().with_variant(variant);
        let features = |output_stride| {
            let model = network(&config.clone().with_output_stride(output_stride), &device());
            model.feature_map(images(1, height, width)).expect("features")
        };
        let ordinary = features(OutputStride::S32);
        let [_, channels, rows, columns] = ordinary.dims();
        for (output_stride, every) in [(OutputStride::S16, 2), (OutputStride::S8, 4)] {
            let dilated = features(output_stride);
            let [_, _, height, width] = dilated.dims();
            assert_eq!([height.div_ceil(every), width.div_ceil(every)], [rows, columns]);
            let dense = values(&dilated);
            let mut sampled = Vec::new();
            for channel in 0..channels {
                for row in 0..rows {
                    for column in 0..columns {
                        sampled.push(dense[(channel * height + row * every) * width + column * every]);
                    }
                }
            }
            let error = relative_error(&sampled, &values(&ordinary));
            assert!(error <= 1e-5, "{variant:?} {output_stride:?}: off by {error:.1e}");
        }
    }
}

// ------------------------------------------------------------------------------------------------ changes of a network

#[test]
fn another_number_of_classes_leaves_all_but_the_last_layer() {
    let config = toy().with_hidden_layers(vec![12, 8]);
    let model = network(&config, &device());
    let before = parameters(&model);
    let changed = model.with_num_classes(3).expect("a network");
    assert_eq!(changed.architecture(), &config.with_num_classes(3).into());
    for ((path, shape, ours), (other, old_shape, theirs)) in parameters(&changed).iter().zip(&before) {
        assert_eq!(path, other);
        match path.as_str() {
            "head.predictions.weight" => assert_eq!(shape, &[8, 3]),
            "head.predictions.bias" => assert_eq!((shape.as_slice(), ours.as_slice()), (&[3][..], &[0.0; 3][..])),
            _ => assert_eq!((shape, ours), (old_shape, theirs), "{path}"),
        }
    }
    let logits = changed.forward(images(2, 71, 71)).expect("logits");
    assert_eq!(logits.dims(), [2, 3]);

    let all = trained_paths(&changed.train(), 3);
    assert!(all.contains("head.predictions.weight") && all.contains("head.predictions.bias"));
}

#[test]
fn classes_need_a_classifier_and_a_number() {
    let error = network(&toy(), &device()).with_num_classes(0).expect_err("no classes");
    assert_eq!(error, ConfigError::Zero("num_classes"));
    let error = network(&toy().with_include_top(false), &device())
        .with_num_classes(3)
        .expect_err("no classifier");
    assert_eq!(error, ConfigError::NoTop);
}

/// `adapt_input_conv` of timm's `models/_manipulate.py`, for a kernel `[out, old, 3, 3]` of 3 channels.
fn adapt_input_conv(kernel: &[f32], outputs: usize, channels: usize) -> Vec<f32> {
    let tap = |output: usize, channel: usize, place: usize| kernel[(output * 3 + channel) * 9 + place];
    let mut adapted = Vec::new();
    for output in 0..outputs {
        for channel in 0..channels {
            for place in 0..9 {
                adapted.push(if channels == 1 {
                    (0..3).map(|channel| tap(output, channel, place)).sum()
                } else {
                    tap(output, channel % 3, place) * (3.0 / channels as f32)
                });
            }
        }
    }
    adapted
}

#[test]
fn the_first_kernel_is_adapted_to_other_channels_as_in_timm() {
    let before = parameters(&network(&toy(), &device()));
    for channels in [1, 2, 4, 6] {
        let model = network(&toy(), &device())
            .with_in_channels(channels)
            .expect("a network");
        assert_eq!(model.architecture().in_channels(), channels);
        for ((path, shape, ours), (_, old_shape, theirs)) in parameters(&model).iter().zip(&before) {
            if path == "block1.conv1.conv.weight" {
                assert_eq!(shape, &[4, channels, 3, 3]);
                let error = relative_error(ours, &adapt_input_conv(theirs, 4, channels));
                assert!(error <= 1e-7, "{channels} channels: off by {error:.1e}");
            } else {
                assert_eq!((shape, ours), (old_shape, theirs), "{path}");
            }
        }
        let logits = model
            .forward(common::input([1, 71, 71, channels], &device()))
            .expect("logits");
        assert_eq!(logits.dims(), [1, 10]);
    }
    let same = network(&toy(), &device()).with_in_channels(3).expect("a network");
    assert_eq!(parameters(&same), before);
    let error = network(&toy(), &device()).with_in_channels(0).expect_err("no channels");
    assert_eq!(error, ConfigError::Zero("in_channels"));
}

#[test]
fn a_grey_picture_gives_what_the_same_picture_as_rgb_gives() {
    let grey = common::input([2, 90, 71, 1], &device());
    let rgb = grey.clone().repeat_dim(1, 3);
    let expected = network(&toy(), &device()).feature_map(rgb).expect("features");
    let model = network(&toy(), &device()).with_in_channels(1).expect("a network");
    let found = model.feature_map(grey).expect("features");
    let error = relative_error(&values(&found), &values(&expected));
    assert!(error <= 1e-5, "off by {error:.1e}");
}

#[test]
fn an_adapted_network_still_learns() {
    for channels in [1, 4] {
        let plain = network(&toy(), &device())
            .with_in_channels(channels)
            .expect("a network");
        let training = network(&toy(), &device())
            .train()
            .with_in_channels(channels)
            .expect("a network");
        for model in [plain.train(), training] {
            let trained = trained_paths(&model, channels);
            let all: BTreeSet<String> = parameters(&model)
                .into_iter()
                .map(|(path, ..)| path)
                .filter(|path| !path.contains("running_"))
                .collect();
            assert_eq!(trained, all);
        }
    }
}

#[test]
fn a_part_is_frozen_by_its_path() {
    let model = network(&toy(), &device()).train();
    // `ParamGroup::from_path` wants a parameter's whole path; a part of the network is a regular expression.
    let group = ParamGroup::from_regex(r"^entry\.").expect("a pattern");
    let model = model.freeze_group(group);
    let running = |model: &Xception| -> HashMap<String, Vec<f32>> {
        parameters(&model.valid())
            .into_iter()
            .filter(|(path, ..)| path.contains("running_"))
            .map(|(path, _, values)| (path, values))
            .collect()
    };
    let before = running(&model);
    let trained = trained_paths(&model, 3);
    let (frozen, free): (Vec<String>, Vec<String>) = parameters(&model)
        .into_iter()
        .map(|(path, ..)| path)
        .partition(|path| path.starts_with("entry."));
    assert!(!frozen.is_empty());
    let free: BTreeSet<String> = free.into_iter().filter(|path| !path.contains("running_")).collect();
    assert_eq!(trained, free);
    for (path, values) in running(&model) {
        assert_eq!(values == before[&path], path.starts_with("entry."), "{path}");
    }
}

// ------------------------------------------------------------------------------------------------ training options

#[test]
fn dropout_acts_while_training_and_only_then() {
    let with = |dropout: f64| network(&toy().with_dropout(dropout), &device());
    let inference = |model: &Xception| values(&model.forward(images(2, 71, 71)).expect("logits"));
    assert_eq!(inference(&with(0.5)), inference(&with(0.0)));

    let training = device().autodiff();
    training.seed(7);
    let differs = |model: &Xception| {
        let pass = || values(&model.forward(common::input([2, 71, 71, 3], &training)).expect("logits"));
        pass() != pass()
    };
    // In training mode a batch norm's output doesn't depend on its running statistics.
    assert!(!differs(&with(0.0).train()));
    let model = with(0.5).train();
    assert!(differs(&model));
    let valid = model.valid();
    assert_eq!(inference(&valid), inference(&valid));
}

#[test]
fn dropout_has_its_probability_and_stands_before_the_last_layer_alone() {
    for hidden in [vec![], vec![16], vec![16, 12]] {
        for probability in [0.0, 0.25, 0.5] {
            let config = toy().with_dropout(probability).with_hidden_layers(hidden.clone());
            let graph = config.graph();
            let rates: Vec<f64> = graph
                .nodes
                .iter()
                .filter_map(|node| match node.op {
                    Op::Dropout { rate } => Some(rate),
                    _ => None,
                })
                .collect();
            let expected: &[f64] = if probability > 0.0 { &[probability] } else { &[] };
            assert_eq!(rates, expected);
        }

        // Every stage of two training passes over the same pictures: what is before the dropout is the same in both.
        let training = device().autodiff();
        training.seed(7);
        let model = network(&toy().with_dropout(0.5).with_hidden_layers(hidden.clone()), &device()).train();
        let pass = || {
            let mut stages = Vec::new();
            model
                .each_stage(common::input([2, 71, 71, 3], &training), &mut |name, output| {
                    stages.push((name.to_owned(), values(output)));
                })
                .expect("a valid input");
            stages
        };
        let [mut first, mut second] = [pass(), pass()];
        let (name, logits) = first.pop().expect("the last stage");
        let (_, others) = second.pop().expect("the last stage");
        assert_eq!(name, "predictions");
        assert_ne!(logits, others, "{hidden:?}");
        // What is dropped is zero, and every logit has its bias.
        assert!(logits.iter().all(|&logit| logit != 0.0), "{hidden:?}");
        assert_eq!(first, second, "{hidden:?}");
    }
}

/// Keras's initializers: `glorot_uniform` for every kernel, with its fans (`compute_fans` in
/// `keras/src/initializers/random_initializers.py`), zeros for biases, ones and zeros for batch norms.
#[test]
fn a_new_network_starts_as_in_keras() {
    for order in [SeparableOrder::DepthwiseFirst, SeparableOrder::PointwiseFirst] {
        let config = toy()
            .with_widths(Widths {
                stem: [32, 64],
                entry: [128, 256, 300],
                exit: [300, 200, 256],
            })
            .with_order(order)
            .with_hidden_layers(vec![100])
            .with_num_classes(50);
        let layers = layers(&config);
        device().seed(1);
        let mut kernels = 0;
        for (path, shape, values) in parameters(&config.init(&device()).expect("a network")) {
            // The kernel's shape in Keras without height and width: `[in, out]`.
            let (area, inputs, outputs) = match (common::keras_name(&layers, &path).1, shape.as_slice()) {
                ("bias" | "beta" | "moving_mean", _) => {
                    assert_eq!(values, vec![0.0; values.len()], "{path}");
                    continue;
                }
                ("gamma" | "moving_variance", _) => {
                    assert_eq!(values, vec![1.0; values.len()], "{path}");
                    continue;
                }
                ("depthwise_kernel", &[channels, 1, height, width]) => (height * width, channels, 1),
                (_, &[outputs, inputs, height, width]) => (height * width, inputs, outputs),
                (_, &[inputs, outputs]) => (1, inputs, outputs),
                other => panic!("{path} is {other:?}"),
            };
            kernels += 1;
            let limit = (6.0 / ((inputs + outputs) * area) as f64).sqrt();
            let count = values.len() as f64;
            let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
            let square = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / count;
            let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            // The limit is rounded to f32, and six standard deviations are never seen.
            assert!(
                f64::from(largest) <= limit * (1.0 + 1e-6),
                "{path}: {largest} > {limit}"
            );
            assert!(mean.abs() <= 6.0 * limit / (3.0 * count).sqrt(), "{path}: mean {mean}");
            let ratio = square / (limit.powi(2) / 3.0);
            assert!(
                (ratio - 1.0).abs() <= 6.0 * (0.8 / count).sqrt(),
                "{path}: variance x {ratio}"
            );
        }
        let expected: usize = classes(&config)
            .into_iter()
            .map(|(_, class)| match class {
                "Conv2D" | "Dense" => 1,
                "SeparableConv2D" => 2,
                _ => 0,
            })
            .sum();
        assert_eq!(kernels, expected);
    }
}

/// Each variant's momentum, told from how far one batch moves the first batch norm's statistics.
#[test]
fn running_statistics_move_by_the_variants_momentum() {
    let path = "block1.conv1.bn.running_mean";
    let mean = |model: &Xception| {
        let tensors = parameters(model);
        let found = tensors.into_iter().find(|(name, ..)| name == path);
        found.expect("the first batch norm").2
    };
    let moved = |variant: Variant| -> Vec<f32> {
        let plain = network(&toy().with_variant(variant), &device());
        let before = mean(&plain);
        let model = plain.train();
        let images = common::input([2, 71, 71, 3], &device().autodiff());
        model.forward(images).expect("logits");
        let after = mean(&model.valid());
        after.iter().zip(before).map(|(a, b)| a - b).collect()
    };
    let keras: Vec<f32> = moved(Variant::Keras).iter().map(|step| step / 0.01).collect();
    let torch: Vec<f32> = moved(Variant::Torch).iter().map(|step| step / 0.1).collect();
    let error = relative_error(&keras, &torch);
    assert!(error <= 1e-4, "off by {error:.1e}");
    // The batch's own mean, of the convolution's output.
    let plain = network(&toy(), &device());
    let output = plain
        .stage(common::input([2, 71, 71, 3], &device()), "block1_conv1")
        .expect("a stage");
    let batch = values(&output.mean_dims(&[0, 2, 3]));
    let expected: Vec<f32> = batch.iter().zip(mean(&plain)).map(|(batch, old)| batch - old).collect();
    let error = relative_error(&torch, &expected);
    assert!(error <= 1e-4, "off by {error:.1e}");
}

// ------------------------------------------------------------------------------------------------ errors

#[test]
fn an_input_that_is_none_is_an_error_in_words() {
    let model = network(&toy(), &device());
    let error = |shape: [usize; 4]| {
        let images = Tensor::<4>::zeros(shape, &device());
        let errors = [
            model.forward(images.clone()).err(),
            model.predict(images.clone()).err(),
            model.embed(images.clone()).err(),
            model.feature_map(images.clone()).err(),
            model.pyramid(images.clone()).err(),
            model.stage(images.clone(), "block1").err(),
            model.each_stage(images, &mut |_, _| {}).err(),
        ];
        let first = errors[0].clone().expect("an error");
        assert!(errors.iter().all(|error| error.as_ref() == Some(&first)), "{errors:?}");
        first.to_string()
    };
    assert_eq!(
        error([0, 3, 71, 71]),
        "the batch is empty: the input has shape [0, 3, 71, 71]"
    );
    assert_eq!(
        error([1, 4, 71, 80]),
        "the network takes 3 channels and the input of shape [1, 4, 71, 80] has 4 (shapes are [batch, channels, \
         height, width])"
    );
    assert_eq!(
        error([1, 71, 80, 3]),
        "the network takes 3 channels and the input of shape [1, 71, 80, 3] has 71 (shapes are [batch, channels, \
         height, width]); this one looks channels-last: permute it with `permute([0, 3, 1, 2])`"
    );
    for [height, width] in [[70, 71], [71, 70], [1, 1]] {
        assert_eq!(
            error([1, 3, height, width]),
            format!("the input is {height} x {width}; Xception takes pictures from 71 x 71 on: resize it first")
        );
        assert_eq!(
            model.summary(height, width),
            Err(InputError::TooSmall {
                height,
                width,
                title: "Xception".to_owned(),
                least: 71
            })
        );
    }
}

#[test]
fn a_network_without_a_part_says_what_to_ask_for() {
    let without_top = network(&toy().with_include_top(false), &device());
    let error = without_top.forward(images(1, 71, 71)).expect_err("no classifier");
    assert_eq!(error, InputError::NoTop);
    assert_eq!(
        without_top.embed(images(1, 71, 71)).expect("an embedding").dims(),
        [1, 24]
    );

    let without_pooling = network(&toy().with_include_top(false).with_pooling(Pooling::None), &device());
    let error = without_pooling.forward(images(1, 71, 71)).expect_err("no classifier");
    assert_eq!(error, InputError::NoTop);
    let error = without_pooling.embed(images(1, 71, 71)).expect_err("no pooling");
    assert_eq!(error, InputError::NoPooling);
    let features = without_pooling.feature_map(images(1, 71, 71)).expect("features");
    assert_eq!(features.dims(), [1, 24, 3, 3]);
    assert_eq!(without_pooling.stage_names().last().map(String::as_str), Some("block7"));
}

#[test]
fn options_of_no_network_are_refused() {
    let error = |config: XceptionConfig| config.init(&device()).expect_err("no network");
    let widths = |change: fn(&mut Widths)| {
        let mut config = toy();
        change(&mut config.widths);
        config
    };
    assert_eq!(error(toy().with_num_classes(0)), ConfigError::Zero("num_classes"));
    assert_eq!(error(toy().with_in_channels(0)), ConfigError::Zero("in_channels"));
    assert_eq!(
        error(toy().with_hidden_layers(vec![4, 0])),
        ConfigError::Zero("hidden_layers")
    );
    assert_eq!(error(widths(|w| w.stem[1] = 0)), ConfigError::Zero("widths.stem"));
    assert_eq!(error(widths(|w| w.entry[2] = 0)), ConfigError::Zero("widths.entry"));
    assert_eq!(error(widths(|w| w.exit[0] = 0)), ConfigError::Zero("widths.exit"));
    for config in [
        toy().with_num_classes(usize::MAX),
        toy().with_in_channels(usize::MAX),
        toy().with_middle_blocks(usize::MAX),
        toy().with_hidden_layers(vec![usize::MAX]),
        toy().with_hidden_layers(vec![1; 2000]),
        widths(|w| w.stem[0] = usize::MAX),
        widths(|w| w.exit[2] = usize::MAX),
    ] {
        assert!(matches!(error(config), ConfigError::TooLarge { .. }));
    }
    for dropout in [1.0, -0.1, f64::INFINITY] {
        assert_eq!(error(toy().with_dropout(dropout)), ConfigError::Dropout(dropout));
    }
    assert!(matches!(error(toy().with_dropout(f64::NAN)), ConfigError::Dropout(p) if p.is_nan()));
    assert_eq!(error(toy().with_pooling(Pooling::None)), ConfigError::TopWithoutPooling);
}

// ------------------------------------------------------------------------------------------------ on disk, and names

#[test]
fn a_configuration_survives_json_and_toml() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let odd = toy()
        .with_dropout(0.125)
        .with_hidden_layers(vec![7, 5])
        .with_pooling(Pooling::Max)
        .with_intermediate_activation(IntermediateActivation::Relu);
    for config in assorted().into_iter().chain([odd, XceptionConfig::new()]) {
        let path = folder.path().join("network.json");
        config.save(&path).expect("a saved configuration");
        assert_eq!(XceptionConfig::load(&path).expect("a configuration"), config);
        let network = Architecture::from(config);
        let text = toml::to_string(&network).expect("TOML");
        assert_eq!(toml::from_str::<Architecture>(&text).expect("a configuration"), network);
        let graph = Architecture::Graph(network.graph());
        let text = toml::to_string(&graph).expect("TOML");
        assert_eq!(toml::from_str::<Architecture>(&text).expect("a graph"), graph);
    }
}

#[test]
fn burns_own_records_hold_the_network() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("toy.bpk");
    let model = network(&toy().with_hidden_layers(vec![12]), &device());
    let before = parameters(&model);
    model.clone().save_file(&path).expect("a saved record");
    let fresh = model.architecture().init(&device()).expect("a network");
    let loaded = fresh.try_load_file(&path).expect("a loaded record");
    assert_eq!(parameters(&loaded), before);
}

#[test]
fn every_parameter_is_one_variable_of_one_keras_layer() {
    for config in assorted() {
        let layers = layers(&config);
        let model = config.init(&device()).expect("a network");
        let mut found = BTreeSet::new();
        for (path, ..) in parameters(&model) {
            let (layer, variable) = common::keras_name(&layers, &path);
            assert!(found.insert(format!("{layer}/{variable}")), "{path} is not alone");
        }
        let expected: BTreeSet<String> = classes(&config)
            .into_iter()
            .flat_map(|(layer, class)| {
                let variables: &[&str] = match class {
                    "Conv2D" => &["kernel"],
                    "SeparableConv2D" => &["depthwise_kernel", "pointwise_kernel"],
                    "BatchNormalization" => &["gamma", "beta", "moving_mean", "moving_variance"],
                    "Dense" => &["kernel", "bias"],
                    _ => &[],
                };
                variables.iter().map(move |variable| format!("{layer}/{variable}"))
            })
            .collect();
        assert_eq!(found, expected, "{config}");
    }
}
