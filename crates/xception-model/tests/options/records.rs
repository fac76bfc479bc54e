//! Configurations and records on disk, and the names of parameters.

use std::collections::BTreeSet;

use burn::config::Config;
use burn::module::Module;
use xception_model::{Architecture, IntermediateActivation, Pooling, XceptionConfig};

use crate::common;
use crate::common::{device, network, parameters, toy};
use crate::networks::{assorted, classes, layers};

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
