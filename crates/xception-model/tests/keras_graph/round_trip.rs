//! Graphs that are written as a Keras model and read again.

use graph::Tolerance;
use serde_json::Value;
use xception_model::FileGraph;
use xception_model::keras::{self, End};

use crate::files::{MODELS, fixture, named, read, unpacked};
use crate::models::listed;

/// A graph that is written and read again is the same graph.
#[test]
fn what_is_written_is_read_again() {
    for (name, ..) in MODELS {
        let FileGraph {
            graph, output, size, ..
        } = read(name);
        let size = size.unwrap();
        let model = keras::keras_model(&graph, size, End::Linear).unwrap_or_else(|error| panic!("{name}: {error}"));
        let plain = |name: String| name.replace('/', "_");
        let order: Vec<String> = named(&graph, &graph.keras_order()).into_iter().map(plain).collect();
        assert_eq!(listed(&model.config), order, "{name}");
        if name.starts_with("unnamed") {
            // Only the weights show the width of a flattened map.
            continue;
        }
        let again = keras::read_config(&model.config, Some(3)).unwrap().unwrap();
        let tolerance = Tolerance {
            size: Some(size),
            ..Tolerance::default()
        };
        let pairs = graph.correspondence(output, &again.graph, again.output, tolerance);
        pairs.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(again.graph.num_params(), graph.num_params(), "{name}");
    }
}

/// `scripts/fixtures/keras_every_layer.py`: Keras counts 1530 parameters.
#[test]
fn every_layer_of_keras_there_and_back() {
    let config: Value = serde_json::from_slice(&unpacked(&fixture("every_layer.json.gz"))).unwrap();
    let FileGraph {
        graph, output, size, ..
    } = keras::read_config(&config, Some(3)).unwrap().unwrap();
    assert_eq!(size, Some([33, 31]));
    assert_eq!((graph.nodes.len(), graph.num_params()), (67, 1530));
    assert_eq!(graph.shapes([33, 31]).unwrap()[output.0].to_vec(), [5]);
    let order = named(&graph, &graph.keras_order());
    let is_computed = |name: &String| !["gaussian_noise", "identity"].contains(&name.as_str());
    let expected: Vec<String> = listed(&config).into_iter().filter(is_computed).collect();
    assert_eq!(order, expected);

    let model = keras::keras_model(&graph, [33, 31], End::Linear).unwrap();
    let again = keras::read_config(&model.config, Some(3)).unwrap().unwrap();
    let tolerance = Tolerance {
        size,
        ..Tolerance::default()
    };
    graph
        .correspondence(output, &again.graph, again.output, tolerance)
        .unwrap();
    // A layer with an activation for which Keras has no name becomes two layers; the first has the weights.
    let written = listed(&model.config);
    for name in ["conv2d_1", "conv2d_1_activation", "dense_3", "dense_3_activation"] {
        assert!(written.iter().any(|written| written == name), "{name}");
    }
}

/// Xception is written in the same way as in earlier versions.
#[test]
fn the_model_of_xception_has_not_changed() {
    let expected: Value = serde_json::from_slice(&unpacked(&fixture("written.json.gz"))).unwrap();
    let FileGraph { graph, size, .. } = {
        let network = keras::read_config(&expected, Some(3));
        network.unwrap().unwrap()
    };
    assert_eq!(graph.layers.len(), 64);
    let model = keras::keras_model(&graph, size.unwrap(), End::Linear).unwrap();
    assert_eq!(model.config, expected);
    assert_eq!(model.names.len(), 39);
    assert!(
        model
            .names
            .contains(&("block2_sepconv1".into(), "block2_sepconv1".into()))
    );
}
