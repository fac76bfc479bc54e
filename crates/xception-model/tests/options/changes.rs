//! A network with other classes, other channels or frozen parts.

use std::collections::{BTreeSet, HashMap};

use burn::module::{Module, ParamGroup};
use xception_model::{ConfigError, Xception};

use crate::common;
use crate::common::{device, network, parameters, relative_error, toy, values};
use crate::networks::{adapt_input_conv, images, trained_paths};

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
    let expected = network(&toy(), &device()).feature_map(rgb.clone()).expect("features");
    let model = network(&toy(), &device()).with_in_channels(1).expect("a network");
    let found = model.feature_map(grey).expect("features");
    let error = relative_error(&values(&found), &values(&expected));
    assert!(error <= 1e-5, "off by {error:.1e}");

    // And back: three channels of a third each.
    let model = model.with_in_channels(3).expect("a network");
    let found = model.feature_map(rgb).expect("features");
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
