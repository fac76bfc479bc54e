//! Reads the model config of a Keras file as a graph.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use burn::store::{ModuleStore, bridge};
use graph::{Graph, NodeId, Op};
use keras_store::{KerasLayer, KerasStore, KerasStoreError};
use serde_json::Value;

use super::call::Operand;
use super::layers;
use super::place::{Place, Reader, Tensor, Weights, input_shape, size};
use super::settings::Settings;
use super::wiring::{self, Wiring};
use crate::zoo::FileGraph;

/// Limit on the numbers of all `Normalization` layers together: one picture of 1024 x 1024 pixels.
const MAX_STATISTICS: usize = 1 << 20;

/// Why a Keras file does not give a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Store(#[from] KerasStoreError),
    /// The model's config is malformed.
    #[error("the model's config: {0}")]
    Model(String),
    /// A layer that cannot be computed here.
    #[error("layer {layer} ({class}): {problem}; {}", way_out(backbone.as_deref()))]
    Unknown {
        /// The layer's path in the file.
        layer: String,
        /// The layer's Keras class.
        class: String,
        /// What was expected and what was found.
        problem: String,
        /// The network up to the last global pooling before the layer, or up to the last feature map, if the whole
        /// output depends on it. `--no-top` would use this part.
        backbone: Option<Box<FileGraph>>,
    },
}

fn way_out(backbone: Option<&FileGraph>) -> String {
    match backbone {
        Some(FileGraph { graph, output, .. }) => format!(
            "with `--no-top` the network up to the layer {} can be used",
            graph.layer_of(*output).name
        ),
        None => "`--no-top` would not help: the layer stands before the last feature map".into(),
    }
}

/// Reads the network of a file: `None` for a file without a config, or with the config of a subclassed model.
///
/// Layers are named by their path in the file ([`KerasLayer::path`]).
///
/// # Errors
///
/// [`ReadError::Unknown`] names the first layer that cannot be computed.
pub fn read(store: &mut KerasStore) -> Result<Option<FileGraph>, ReadError> {
    let Some(config) = store.model_config()?.cloned() else {
        return Ok(None);
    };
    let keras = store.keras_version()?.and_then(major);
    let layers = store.layers()?;
    let shapes = layers.iter().map(shapes).collect();
    let adapted = constants(layers);
    let mut statistics = HashMap::new();
    let mut left = MAX_STATISTICS;
    for layer in adapted {
        let [mean, variance] = ["mean", "variance"].map(|name| values(store, &layer, name, &mut left));
        statistics.insert(layer, mean?.zip(variance?));
    }
    graph(&Weights {
        config: &config,
        keras,
        shapes,
        statistics,
    })
}

/// Reads the network from a model's config alone, as [`read`] does. `keras` is the major version of Keras that wrote
/// the config.
///
/// # Errors
///
/// Those of [`read`]; also a dense layer after a flattened map, whose width only the weights show.
pub fn read_config(config: &Value, keras: Option<u32>) -> Result<Option<FileGraph>, ReadError> {
    graph(&Weights {
        config,
        keras,
        shapes: HashMap::new(),
        statistics: HashMap::new(),
    })
}

/// For each layer of a network, its path in the file and its module's path in a record, for [`KerasStore::with_names`].
pub fn names(network: &FileGraph) -> Vec<(String, String)> {
    let layers = network.graph.layers.iter().filter(|layer| !layer.path.is_empty());
    layers.map(|layer| (layer.name.clone(), layer.path.clone())).collect()
}

/// The layers whose variables became constants in the network of [`read`], for [`KerasStore::without_layers`].
pub fn constants(layers: &[KerasLayer]) -> Vec<String> {
    let is_constant =
        |layer: &&KerasLayer| layer.class.as_deref() == Some("Normalization") && !layer.variables.is_empty();
    layers
        .iter()
        .filter(is_constant)
        .map(|layer| layer.path.clone())
        .collect()
}

/// `3.15.1` is 3.
fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn shapes(layer: &KerasLayer) -> (String, HashMap<String, Vec<usize>>) {
    let variables = layer.variables.iter();
    let shapes = variables.map(|variable| (variable.name.clone(), variable.shape.clone()));
    (layer.path.clone(), shapes.collect())
}

/// A variable with few values; `None` if the file does not have it.
fn values(
    store: &mut KerasStore,
    layer: &str,
    name: &str,
    left: &mut usize,
) -> Result<Option<Vec<f64>>, KerasStoreError> {
    let key = format!("{}.{name}", layer.replace('/', "."));
    let Some(tensor) = store.get_tensor(&key)? else {
        return Ok(None);
    };
    let numbers = tensor.shape.to_vec().into_iter().fold(1, usize::saturating_mul);
    let Some(rest) = left.checked_sub(numbers) else {
        return Ok(None);
    };
    *left = rest;
    // A value that cannot be read counts as missing: the layer is then refused by name.
    let data = bridge::to_data(tensor).ok();
    Ok(data.map(|data| data.iter::<f64>().collect()))
}

/// The graph of a model's config.
fn graph(file: &Weights<'_>) -> Result<Option<FileGraph>, ReadError> {
    let Some(wiring) = Wiring::of(file.config).map_err(ReadError::Model)? else {
        return Ok(None);
    };
    let order = order(&wiring).map_err(ReadError::Model)?;
    let mut reader = Reader::new(file, &wiring).map_err(ReadError::Model)?;
    let mut outputs: Vec<Option<Tensor>> = vec![None; wiring.layers.len()];
    let mut refused = None;
    for &index in &order {
        let layer = &wiring.layers[index];
        // Layers that read the output of a refused layer are skipped.
        let Some(operands) = operands(layer, &outputs) else {
            continue;
        };
        let operands = if index == wiring.entry {
            vec![Operand::Tensor(reader.picture)]
        } else {
            operands
        };
        match reader.layer(layer, operands) {
            Ok(output) => outputs[index] = Some(output),
            Err(problem) => {
                refused.get_or_insert((layer, problem));
            }
        }
    }
    let Some((layer, problem)) = refused else {
        return reader.finish(outputs[wiring.output]).map(Some);
    };
    let end = backbone(&wiring, &order, &outputs, &reader.graph);
    let backbone = end.and_then(|end| reader.finish(Some(end)).ok());
    Err(ReadError::Unknown {
        layer: layer.path.clone(),
        class: layer.class.to_owned(),
        problem,
        backbone: backbone.map(Box::new),
    })
}

fn operands(layer: &wiring::Layer<'_>, outputs: &[Option<Tensor>]) -> Option<Vec<Operand<Tensor>>> {
    let operands = layer.operands.iter().map(|operand| {
        Some(match operand {
            Operand::Tensor(from) => Operand::Tensor(outputs[*from]?),
            Operand::Constant(values) => Operand::Constant(values.clone()),
        })
    });
    operands.collect()
}

/// The layers that the output needs: each after the layers it reads, otherwise in the order of the file.
fn order(wiring: &Wiring<'_>) -> Result<Vec<usize>, String> {
    let count = wiring.layers.len();
    let mut needed = vec![false; count];
    let mut open = vec![wiring.output];
    while let Some(index) = open.pop() {
        if !std::mem::replace(&mut needed[index], true) && index != wiring.entry {
            open.extend(wiring.layers[index].inputs());
        }
    }
    if !needed[wiring.entry] {
        return Err("its output does not depend on its input".into());
    }
    let mut left = vec![0_usize; count];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
    for index in (0..count).filter(|index| needed[*index] && *index != wiring.entry) {
        for input in wiring.layers[index].inputs() {
            left[index] += 1;
            readers[input].push(index);
        }
    }
    let free = (0..count).filter(|index| needed[*index] && left[*index] == 0);
    let mut ready: BinaryHeap<Reverse<usize>> = free.map(Reverse).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &reader in &readers[index] {
            left[reader] -= 1;
            if left[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    match (0..count).find(|index| needed[*index] && left[*index] > 0) {
        Some(index) => Err(format!("its layers form a cycle through {}", wiring.layers[index].path)),
        None => Ok(order),
    }
}

/// The last global pooling, or else the last feature map, that lies on every path from the picture to the output.
fn backbone(wiring: &Wiring<'_>, order: &[usize], outputs: &[Option<Tensor>], graph: &Graph) -> Option<Tensor> {
    let mut places = vec![0; wiring.layers.len()];
    for (place, index) in order.iter().enumerate() {
        places[*index] = place;
    }
    // `reach` is the furthest layer connected to any layer so far. A layer at which nothing reaches further lies on
    // every path.
    let mut reach = vec![0; order.len()];
    for (place, &index) in order.iter().enumerate().filter(|(_, index)| **index != wiring.entry) {
        for input in wiring.layers[index].inputs() {
            let from = places[input];
            reach[from] = reach[from].max(place);
        }
    }
    let mut furthest = 0;
    let mut on_every_way = Vec::new();
    for (place, &index) in order.iter().enumerate() {
        if furthest <= place {
            on_every_way.extend(outputs[index]);
        }
        furthest = furthest.max(reach[place]);
    }
    let is_pool = |end: &&Tensor| matches!(graph.node(end.node).op, Op::GlobalPool(_));
    let is_map = |end: &&Tensor| end.is_map && end.node != NodeId(0);
    let end = on_every_way
        .iter()
        .rfind(is_pool)
        .or_else(|| on_every_way.iter().rfind(is_map))?;
    let has_weights = graph.up_to(end.node).nodes.iter().any(|node| !node.path.is_empty());
    has_weights.then_some(*end)
}

impl Reader<'_> {
    fn layer(&mut self, layer: &wiring::Layer<'_>, operands: Vec<Operand<Tensor>>) -> Result<Tensor, String> {
        if layer.calls > 1 {
            return Err(format!(
                "the model uses it {} times; a network here uses each layer once",
                layer.calls
            ));
        }
        if layer.training {
            return Err("it is called with training=True, so it would act as in training".into());
        }
        // The picture's size, if only a model within the model states it.
        if layer.class == "InputLayer" && self.size.is_none() && operands == [Operand::Tensor(self.picture)] {
            self.size = input_shape(layer.config).and_then(size);
        }
        let (nodes, layers) = (self.graph.nodes.len(), self.graph.layers.len());
        let mut place = Place {
            settings: Settings {
                config: layer.config,
                keras: self.file.keras,
            },
            layer,
            operands,
            id: None,
            reader: self,
        };
        let output = layers::add(&mut place);
        if output.is_err() {
            self.graph.nodes.truncate(nodes);
            self.graph.layers.truncate(layers);
        }
        output
    }

    /// Finishes the network that ends in this output.
    fn finish(self, output: Option<Tensor>) -> Result<FileGraph, ReadError> {
        let output = output.ok_or_else(|| ReadError::Model("its output is computed by no layer".into()))?;
        let graph = self.graph.up_to(output.node);
        let wrong = |error: graph::GraphError| ReadError::Model(error.to_string());
        graph.validate().map_err(wrong)?;
        if let Some(size) = self.size {
            graph.shapes(size).map_err(wrong)?;
        }
        Ok(FileGraph {
            output: NodeId(graph.nodes.len() - 1),
            graph,
            size: self.size,
        })
    }
}
