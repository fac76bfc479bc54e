//! Options that act in training: dropout, initial weights, momentum.

use burn::module::Module;
use xception_model::graph::Op;
use xception_model::{SeparableOrder, Variant, Widths, Xception};

use crate::common;
use crate::common::{device, network, parameters, relative_error, toy, values};
use crate::networks::{classes, images, layers};

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

        // Every stage of two training passes over the same pictures: stages before the dropout are equal in both.
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
        // A dropped feature is zero, but every logit has its bias.
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
                exit: [300, 200, 256].into(),
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
            // The limit is rounded to f32; values beyond six standard deviations do not occur.
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

/// Each variant's momentum, measured by how far one batch moves the first batch norm's statistics.
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
    // The batch's own mean of the convolution's output.
    let plain = network(&toy(), &device());
    let output = plain
        .stage(common::input([2, 71, 71, 3], &device()), "block1_conv1")
        .expect("a stage");
    let batch = values(&output.mean_dims(&[0, 2, 3]));
    let expected: Vec<f32> = batch.iter().zip(mean(&plain)).map(|(batch, old)| batch - old).collect();
    let error = relative_error(&torch, &expected);
    assert!(error <= 1e-4, "off by {error:.1e}");
}
