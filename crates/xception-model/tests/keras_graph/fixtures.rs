//! Files of Keras, read as graphs: their counts, and the order and names of their layers.

use std::collections::BTreeMap;
use std::path::Path;

use burn::store::ModuleStore;
use serde::Deserialize;
use xception_model::{FileGraph, keras};

use crate::files::{MODELS, named, store, unpacked};

#[test]
fn every_fixture_is_read() {
    for (name, title, nodes, layers, params, output) in MODELS {
        let (mut store, _folder) = store(name);
        let network = keras::read(&mut store).unwrap_or_else(|error| panic!("{name}: {error}"));
        let FileGraph {
            graph,
            output: last,
            size,
            ..
        } = network.clone().unwrap_or_else(|| panic!("{name} has a model"));
        let size = size.unwrap_or_else(|| panic!("{name} states its size"));
        assert_eq!(
            size,
            if name.starts_with("unnamed") {
                [40, 36]
            } else {
                [331, 200]
            },
            "{name}"
        );
        let found = (
            graph.title.as_str(),
            graph.nodes.len(),
            graph.layers.len(),
            graph.num_params(),
        );
        assert_eq!(found, (title, nodes, layers, params), "{name}");
        assert_eq!(graph.shapes(size).unwrap()[last.0].to_vec(), output, "{name}");

        // Every tensor of the file is a parameter of the graph with the same shape, and vice versa.
        let constants = keras::constants(store.layers().unwrap());
        let names = keras::names(&network.unwrap());
        let mut store = store.with_names(names).without_layers(constants);
        let stored: BTreeMap<String, Vec<usize>> = store
            .get_all_tensors()
            .unwrap()
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shape.to_vec()))
            .collect();
        let parameters = graph.parameters().into_iter();
        let expected: BTreeMap<String, Vec<usize>> = parameters.map(|it| (it.name, it.shape)).collect();
        assert_eq!(stored, expected, "{name}");
    }
}

#[test]
fn weights_alone_are_no_graph() {
    for name in ["toy.weights.h5", "keras1_weights.h5", "legacy_weights.h5"] {
        let (mut store, _folder) = store(name);
        assert!(keras::read(&mut store).unwrap().is_none(), "{name}");
    }
}

/// Keras's own files list their layers in Keras's order.
#[test]
fn the_order_of_layers_is_the_files() {
    for (name, ..) in MODELS.into_iter().filter(|(name, ..)| !name.starts_with("nested")) {
        let (mut store, _folder) = store(name);
        let graph = keras::read(&mut store).unwrap().unwrap().graph;
        let order = named(&graph, &graph.keras_order());
        let config = store.model_config().unwrap().unwrap();
        let listed = config["config"]["layers"].as_array().unwrap().iter();
        let listed: Vec<&str> = listed.map(|layer| layer["config"]["name"].as_str().unwrap()).collect();
        assert_eq!(order, listed, "{name}");
    }
}

#[derive(Deserialize)]
struct Layers {
    networks: Vec<Network>,
}

#[derive(Deserialize)]
struct Network {
    #[serde(rename = "network")]
    name: String,
    created: Vec<(String, String, Vec<String>)>,
    order: Vec<String>,
}

/// The layers of `keras.applications`, each in the order of creation, and their order in the model.
#[test]
fn the_order_of_layers_is_keras_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layers.json.gz");
    let Layers { networks } = serde_json::from_slice(&unpacked(&path)).unwrap();
    assert!(!networks.is_empty());
    for network in networks {
        let places: BTreeMap<&str, usize> = network
            .created
            .iter()
            .enumerate()
            .map(|(place, (_, name, _))| (name.as_str(), place))
            .collect();
        let inputs: Vec<Vec<usize>> = network
            .created
            .iter()
            .map(|(_, _, inputs)| inputs.iter().map(|input| places[input.as_str()]).collect())
            .collect();
        let output = places[network.order.last().unwrap().as_str()];
        let order = graph::keras_order(&inputs, output);
        let order: Vec<&str> = order
            .into_iter()
            .map(|place| network.created[place].1.as_str())
            .collect();
        assert_eq!(order, network.order, "{}", network.name);
    }
}
