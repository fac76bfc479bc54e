//! Named outputs, the pyramid and the output stride.

use std::collections::{BTreeSet, HashMap};

use burn::tensor::activation::softmax;
use xception_model::{InputError, OutputStride, Variant};

use crate::common;
use crate::common::{device, network, relative_error, toy, values};
use crate::networks::{assorted, images};

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
    // The block's output is the pool plus the shortcut, before the next block's activation.
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

/// Trained weights see the same neighbourhoods: every 2nd or 4th value of the dilated network's map is the ordinary
/// network's value.
///
/// This requires pools whose windows are centred on every second pixel from the first: `same` does so on maps of odd
/// side, one pixel of padding on every side does so on any map. 331 x 200 reaches the pools of blocks 4 and 13 as 41 x
/// 25 and 21 x 13, 224 x 224 as 28 and 14.
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
