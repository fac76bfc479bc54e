//! The summary of a network.

use burn::module::Module;
use xception_model::XceptionConfig;

use crate::common::{device, parameters};
use crate::networks::assorted;

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
