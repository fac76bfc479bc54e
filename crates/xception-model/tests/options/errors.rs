//! Inputs, questions and options that are refused.

use burn::tensor::Tensor;
use xception_model::{ConfigError, InputError, Pooling, Widths, XceptionConfig};

use crate::common::{device, network, toy};
use crate::networks::images;

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
    for length in [0, 4] {
        let mut config = toy();
        config.widths.exit = vec![8; length];
        let problem = format!("`widths.exit` has {length} numbers; 1 to 3 are possible");
        assert_eq!(error(config).to_string(), problem);
    }
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
