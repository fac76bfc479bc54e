//! The results of `layers`, `format` and `model_config`.

mod common;

use common::{expected, store};
use keras_store::{KerasFormat, KerasLayer};

/// `(path, class)` of all layers.
fn outline(file: &str) -> Vec<(String, Option<String>)> {
    store(file)
        .layers()
        .unwrap()
        .iter()
        .map(|l| (l.path.clone(), l.class.clone()))
        .collect()
}

fn layer<'a>(layers: &'a [KerasLayer], path: &str) -> &'a KerasLayer {
    layers.iter().find(|l| l.path == path).unwrap()
}

#[test]
fn a_file_with_a_config_lists_all_layers_in_the_models_order() {
    let expected: Vec<_> = expected("network.json")["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| {
            let text = |key: &str| l[key].as_str().unwrap().to_owned();
            (text("path"), Some(text("class")))
        })
        .collect();
    for file in [
        "network.keras",
        "network_no_names.keras",
        "network_tf212.keras",
        "network_tf214.keras",
        "network_whole.h5",
        "network_keras2_whole.h5",
    ] {
        assert_eq!(outline(file), expected, "{file}");
    }
}

#[test]
fn a_bare_file_lists_its_layers_by_class_and_number() {
    let expected = [
        ("dense", Some("Dense")),
        ("dense_1", Some("Dense")),
        ("dropout", None),
        ("functional/activation", None),
        ("functional/add", None),
        ("functional/batch_normalization", Some("BatchNormalization")),
        ("functional/batch_normalization_1", Some("BatchNormalization")),
        ("functional/conv2d", Some("Conv2D")),
        ("functional/conv2d_1", Some("Conv2D")),
        ("functional/input_layer", Some("InputLayer")),
        ("functional/separable_conv2d", Some("SeparableConv2D")),
        ("functional/separable_conv2d_1", Some("SeparableConv2D")),
        ("global_average_pooling2d", None),
        ("input_layer", Some("InputLayer")),
    ]
    .map(|(path, class)| (path.to_owned(), class.map(str::to_owned)));
    assert_eq!(outline("network_no_names.weights.h5"), expected);
}

#[test]
fn a_legacy_weights_file_lists_its_layers_as_layer_names_does_without_classes() {
    let outline = outline("network_keras2.h5");
    let paths: Vec<&str> = outline.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "input",
            // All trainable weights first: the order of first appearance.
            "backbone/stem_1",
            "backbone/stem_bn",
            "backbone/sep",
            "backbone/sep_one",
            "backbone/conv2d_1",
            "backbone/batch_normalization_1",
            "pool",
            "dropout",
            "dense",
            "scores",
        ]
    );
    assert!(outline.iter().all(|(_, class)| class.is_none()));
}

#[test]
fn variables_have_names_shapes_and_types() {
    let mut store = store("network.keras");
    let layers = store.layers().unwrap();
    let sep = layer(layers, "backbone/sep");
    assert_eq!(sep.name, "sep");
    let variables: Vec<_> = sep
        .variables
        .iter()
        .map(|v| (v.name.as_str(), v.shape.as_slice()))
        .collect();
    assert_eq!(
        variables,
        [
            ("depthwise_kernel", &[3, 2, 4, 2][..]),
            ("pointwise_kernel", &[1, 1, 8, 5]),
            ("bias", &[5]),
        ]
    );
    assert_eq!(sep.config.as_ref().unwrap()["config"]["depth_multiplier"], 2);
    let norm = layer(layers, "backbone/batch_normalization_1");
    let names: Vec<_> = norm.variables.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["gamma", "beta", "moving_mean", "moving_variance"]);
    assert_eq!(layer(layers, "dropout").variables, []);
}

#[test]
fn the_config_tells_which_of_a_norms_variables_are_there() {
    let mut store = store("zoo.keras");
    let norm = layer(store.layers().unwrap(), "unscaled");
    let names: Vec<_> = norm.variables.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["beta", "moving_mean", "moving_variance"]);
}

#[test]
fn stored_names_go_before_counting_and_an_operation_is_no_layer() {
    let mut store = store("operation.keras");
    let layers: Vec<_> = store
        .layers()
        .unwrap()
        .iter()
        .map(|l| (l.path.as_str(), l.variables.first().map(|v| v.shape.clone())))
        .collect();
    assert_eq!(
        layers,
        [
            ("input", None),
            ("before", Some(vec![2, 3])),
            ("after", Some(vec![3, 4])),
        ]
    );
}

#[test]
fn a_subclassed_models_layers_go_by_their_attributes() {
    let mut store = store("subclassed.weights.h5");
    let layers: Vec<_> = store
        .layers()
        .unwrap()
        .iter()
        .map(|l| (l.path.as_str(), l.name.as_str()))
        .collect();
    assert_eq!(
        layers,
        [
            ("blocks/dense", "block_0"),
            ("blocks/dense_1", "block_1"),
            ("first", "first_dense"),
        ]
    );
}

#[test]
fn formats_and_versions_are_told_by_content() {
    let version = |v: &str| Some(v.to_owned());
    for (file, format, config) in [
        (
            "network.keras",
            KerasFormat::Keras3Archive {
                keras_version: version("3.15.1"),
            },
            true,
        ),
        (
            "network_tf212.keras",
            KerasFormat::Keras3Archive {
                keras_version: version("2.12.0"),
            },
            true,
        ),
        ("network.weights.h5", KerasFormat::Keras3Weights { files: 1 }, false),
        ("network.weights.json", KerasFormat::Keras3Weights { files: 3 }, false),
        (
            "network_keras1.h5",
            KerasFormat::LegacyWeights { keras_version: None },
            false,
        ),
        (
            "network_split.h5",
            KerasFormat::LegacyWeights {
                keras_version: version("2.15.0"),
            },
            false,
        ),
        (
            "network_whole.h5",
            KerasFormat::LegacyModel {
                keras_version: version("3.15.1"),
            },
            true,
        ),
    ] {
        let mut store = store(file);
        assert_eq!(store.format().unwrap(), format, "{file}");
        assert_eq!(store.model_config().unwrap().is_some(), config, "{file}");
        assert_eq!(store.keras_version().unwrap(), format.keras_version(), "{file}");
    }
}
