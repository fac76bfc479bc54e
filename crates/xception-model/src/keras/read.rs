//! Reads the model config of a Keras file as a graph.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use burn::store::{ModuleStore, bridge};
use graph::{Graph, NodeId, Op};
use keras_store::{KerasLayer, KerasStore, KerasStoreError};
use serde_json::Value;

use super::call::Operand;
use super::layers;
use super::place::{Place, Reader, Tensor, Weights, size, stored};
use super::settings::{Settings, input_shape};
use super::wiring::{self, Wiring};
use crate::zoo::FileGraph;

/// The most numbers, over all layers, that become constants: one picture of 1024 x 1024 pixels.
const MAX_STATISTICS: usize = 1 << 20;

/// Why a Keras file cannot be read as a network.
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
    let adapted = of_class(layers, "Normalization");
    let kept: Vec<(String, &[&str])> = CONSTANTS
        .iter()
        .flat_map(|(class, names)| of_class(layers, class).into_iter().map(move |layer| (layer, *names)))
        .collect();
    let mut statistics = HashMap::new();
    let mut left = MAX_STATISTICS;
    for layer in adapted {
        let [mean, variance] = ["mean", "variance"].map(|name| values(store, &layer, name, &mut left));
        statistics.insert(layer, mean?.zip(variance?));
    }
    let mut numbers = HashMap::new();
    for (layer, names) in kept {
        for name in names {
            if let Some(values) = values(store, &layer, name, &mut left)? {
                numbers.insert((layer.clone(), *name), values);
            }
        }
    }
    graph(&Weights {
        config: &config,
        keras,
        shapes,
        statistics,
        numbers,
    })
}

/// Reads the network from a model's config alone, as [`read`] does. `keras` is the major version of Keras that wrote
/// the config.
///
/// # Errors
///
/// The same as [`read`]'s. A dense layer after a flattened map is an error, too: only the weights show its width.
pub fn read_config(config: &Value, keras: Option<u32>) -> Result<Option<FileGraph>, ReadError> {
    graph(&Weights {
        config,
        keras,
        shapes: HashMap::new(),
        statistics: HashMap::new(),
        numbers: HashMap::new(),
    })
}

/// For each layer of a network, its path in the file and its module's path in a record, for [`KerasStore::with_names`].
pub fn names(network: &FileGraph) -> Vec<(String, String)> {
    let layers = network.graph.layers.iter().filter(|layer| !layer.path.is_empty());
    layers
        .map(|layer| (stored(&layer.name).to_owned(), layer.path.clone()))
        .collect()
}

/// The layers whose variables became constants in the network of [`read`], for [`KerasStore::without_layers`].
pub fn constants(layers: &[KerasLayer]) -> Vec<String> {
    let classes = CONSTANTS.iter().map(|(class, _)| *class).chain(["Normalization"]);
    classes.flat_map(|class| of_class(layers, class)).collect()
}

/// Classes of layers whose variables become constants of the graph, and their variables.
const CONSTANTS: [(&str, &[&str]); 3] = [
    ("PReLU", &["alpha"]),
    ("LayerNormalization", &["gamma", "beta"]),
    ("GroupNormalization", &["gamma", "beta"]),
];

/// The paths of the layers of a class that have variables.
fn of_class(layers: &[KerasLayer], class: &str) -> Vec<String> {
    let is_one = |layer: &&KerasLayer| layer.class.as_deref() == Some(class) && !layer.variables.is_empty();
    layers.iter().filter(is_one).map(|layer| layer.path.clone()).collect()
}

/// The major version: 3 for `3.15.1`.
fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn shapes(layer: &KerasLayer) -> (String, HashMap<String, Vec<usize>>) {
    let variables = layer.variables.iter();
    let shapes = variables.map(|variable| (variable.name.clone(), variable.shape.clone()));
    (layer.path.clone(), shapes.collect())
}

/// The values of a variable with few values; `None` if the file does not have the variable.
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
    let mut outputs: Vec<Vec<Tensor>> = vec![Vec::new(); wiring.layers.len()];
    let mut refused = None;
    for &index in &order {
        let layer = &wiring.layers[index];
        // Layers that read the output of a refused layer are skipped.
        let operands = match operands(layer, &wiring, &outputs) {
            _ if index == wiring.entry => Ok(Some(vec![Operand::Tensor(reader.picture)])),
            operands => operands,
        };
        let Some(operands) = operands.transpose() else {
            continue;
        };
        match operands.and_then(|operands| reader.layer(layer, operands)) {
            Ok(found) => outputs[index] = found,
            Err(problem) => {
                refused.get_or_insert((layer, problem));
            }
        }
    }
    let (layer, problem) = match (refused, &wiring.outputs[..]) {
        (_, ends @ [first, _, ..]) => {
            let names: Vec<&str> = ends.iter().map(|end| wiring.layers[*end].path.as_str()).collect();
            let count = ends.len();
            let problem = format!(
                "the model has {count} outputs{}; a network here has one: keras.Model(model.input, \
                 model.outputs[0]).save(\"one.keras\") keeps the first",
                listed(&names)
            );
            (&wiring.layers[*first], problem)
        }
        (Some(refused), _) => refused,
        (None, [output]) => return reader.finish(only(&outputs[*output])).map(Some),
        (None, []) => return Err(ReadError::Model("it has no output".into())),
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

/// What a layer reads; `None` if a layer that it reads was refused.
fn operands(
    layer: &wiring::Layer<'_>,
    wiring: &Wiring<'_>,
    outputs: &[Vec<Tensor>],
) -> Result<Option<Vec<Operand<Tensor>>>, String> {
    let mut operands = Vec::with_capacity(layer.operands.len());
    for operand in &layer.operands {
        operands.push(match operand {
            Operand::Constant(values) => Operand::Constant(values.clone()),
            Operand::Tensor((from, output)) => match (outputs[*from].get(*output), outputs[*from].len()) {
                (Some(tensor), _) => Operand::Tensor(*tensor),
                (None, 0) => return Ok(None),
                (None, count) => {
                    let from = &wiring.layers[*from].path;
                    return Err(format!(
                        "it reads the output {output} of {from}, counted from 0, which has {count}"
                    ));
                }
            },
        });
    }
    Ok(Some(operands))
}

/// The layer's output, if there is only one and it is a map or a vector.
fn only(outputs: &[Tensor]) -> Option<Tensor> {
    match outputs {
        [output] if !output.is_plane => Some(*output),
        _ => None,
    }
}

/// The layers that the output needs: each after the layers it reads, otherwise in the order of the file.
fn order(wiring: &Wiring<'_>) -> Result<Vec<usize>, String> {
    let count = wiring.layers.len();
    let mut needed = vec![false; count];
    let mut open = wiring.outputs.clone();
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

/// The last global pooling, or else the last feature map, on every path from the picture to the outputs.
fn backbone(wiring: &Wiring<'_>, order: &[usize], outputs: &[Vec<Tensor>], graph: &Graph) -> Option<Tensor> {
    let mut places = vec![0; wiring.layers.len()];
    for (place, index) in order.iter().enumerate() {
        places[*index] = place;
    }
    // Layers that do not depend on the picture, such as other inputs, are on no path from the picture.
    let mut depends = vec![false; order.len()];
    // The last reader of each layer. A layer that no connection passes over is on every path.
    let mut reach = vec![0; order.len()];
    for (place, &index) in order.iter().enumerate() {
        if index == wiring.entry {
            depends[place] = true;
            continue;
        }
        for input in wiring.layers[index].inputs() {
            let from = places[input];
            if depends[from] {
                depends[place] = true;
                reach[from] = reach[from].max(place);
            }
        }
    }
    // Each output counts as read after the last layer.
    if let [_, _, ..] = wiring.outputs[..] {
        for output in &wiring.outputs {
            reach[places[*output]] = order.len();
        }
    }
    let mut furthest = 0;
    let mut on_every_way = Vec::new();
    for (place, &index) in order.iter().enumerate().filter(|(place, _)| depends[*place]) {
        if furthest <= place {
            on_every_way.extend(only(&outputs[index]));
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
    fn layer(&mut self, layer: &wiring::Layer<'_>, operands: Vec<Operand<Tensor>>) -> Result<Vec<Tensor>, String> {
        if let Some(problem) = &layer.problem {
            return Err(problem.clone());
        }
        if layer.training {
            return Err("it is called with training=True, so it would act as in training".into());
        }
        // An input other than the pictures.
        if layer.class == "InputLayer" && operands.is_empty() {
            return Err("it is a second input; a network here has one, the pictures".into());
        }
        // The picture's size, if only a model within the model states the size.
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
            self.shapes.truncate(nodes);
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
            preset: self.preset,
        })
    }
}

/// The first few names in brackets.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let more = if names.len() > SHOWN { ", .." } else { "" };
    format!(" ({}{more})", names[..names.len().min(SHOWN)].join(", "))
}
