//! A layer of a model's config while it is added to the graph.

use std::collections::{HashMap, HashSet};

use graph::{Activation, Graph, Layer, LayerId, Naming, Node, NodeId, Op, Roles, Shape};
use serde_json::Value;

use super::call::Operand;
use super::paths::Paths;
use super::settings::{Settings, array, count, input_shape, shown};
use super::wiring::{self, Wiring};
use crate::preset::Preset;

/// Mean and variance: one number for all channels, or one for each channel.
pub(super) type Statistics = (Vec<f64>, Vec<f64>);

/// What a file says about its network besides the config.
pub(super) struct Weights<'a> {
    pub(super) config: &'a Value,
    /// The major version of Keras that wrote the file.
    pub(super) keras: Option<u32>,
    /// The shapes of the variables, by layer and name.
    pub(super) shapes: HashMap<String, HashMap<String, Vec<usize>>>,
    /// Mean and variance of the `Normalization` layers.
    pub(super) statistics: HashMap<String, Option<Statistics>>,
    /// The variables of other layers that are constants of the graph, by layer and name.
    pub(super) numbers: HashMap<(String, &'static str), Vec<f64>>,
}

/// Separates a layer's path from the number of its call, in the names of the second and later calls.
const CALL: &str = "#call";

/// A layer's path in the file, from the layer's name in the graph.
pub(super) fn stored(name: &str) -> &str {
    match name.rsplit_once(CALL) {
        Some((path, number)) if number.parse::<usize>().is_ok() => path,
        _ => name,
    }
}

/// What the config says about a node's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) node: NodeId,
    /// Whether the output is a feature map and not a vector.
    pub(super) is_map: bool,
    /// `None` if the number depends on the picture's size.
    pub(super) channels: Option<usize>,
    /// Whether the output is a map of 1 x 1 for every picture.
    pub(super) is_pixel: bool,
    /// Whether the output is one channel of a map, without the axis of channels.
    pub(super) is_plane: bool,
}

impl Tensor {
    pub(super) fn as_vector(self) -> Self {
        Self {
            is_map: false,
            is_pixel: false,
            ..self
        }
    }

    pub(super) fn as_pixel(self) -> Self {
        Self {
            is_map: true,
            is_pixel: true,
            ..self
        }
    }
}

/// Builds a graph from a model's config.
pub(super) struct Reader<'a> {
    pub(super) file: &'a Weights<'a>,
    pub(super) graph: Graph,
    paths: Paths,
    /// The network's input.
    pub(super) picture: Tensor,
    pub(super) size: Option<[usize; 2]>,
    /// The preset that the first layer equals.
    pub(super) preset: Option<Preset>,
    /// The shapes of the first nodes.
    pub(super) shapes: Vec<Shape>,
}

impl<'a> Reader<'a> {
    /// A graph with only its input.
    pub(super) fn new(file: &'a Weights<'a>, wiring: &Wiring<'_>) -> Result<Self, String> {
        let entry = &wiring.layers[wiring.entry];
        let config = file.config.get("config").unwrap_or(&Value::Null);
        // A `Sequential` of Keras 2 may lack an input layer.
        let build = file.config.get("build_config").unwrap_or(&Value::Null);
        let shape = input_shape(entry.config)
            .or_else(|| array(config, "build_input_shape"))
            .or_else(|| array(build, "input_shape"));
        let Some([_, _, _, channels]) = shape else {
            return Err(format!(
                "expected an input of pictures, a shape of batch, height, width and channels, found {}",
                shown(&shape.into())
            ));
        };
        let channels = count(channels).ok_or_else(|| format!("its pictures have {} channels", shown(channels)))?;
        let is_input = entry.class == "InputLayer";
        let taken: HashSet<&str> = wiring.layers.iter().map(|layer| layer.path.as_str()).collect();
        let mut name = if is_input {
            entry.path.clone()
        } else {
            "input_layer".to_owned()
        };
        while !is_input && taken.contains(name.as_str()) {
            name.push('_');
        }
        let title = config.get("name").and_then(Value::as_str).unwrap_or("model");
        let picture = Tensor {
            node: NodeId(0),
            is_map: true,
            channels: Some(channels),
            is_pixel: false,
            is_plane: false,
        };
        Ok(Self {
            file,
            graph: Graph {
                title: title.chars().filter(|c| !c.is_control()).take(100).collect(),
                min_size: 1,
                nodes: vec![Node {
                    op: Op::Input { channels },
                    inputs: Vec::new(),
                    layer: LayerId(0),
                    path: String::new(),
                    torch: String::new(),
                }],
                layers: vec![Layer {
                    name,
                    naming: Naming::Given,
                    block: "input".into(),
                    path: String::new(),
                }],
                roles: Roles::default(),
            },
            paths: Paths::default(),
            picture,
            size: shape.and_then(size),
            preset: None,
            shapes: Vec::new(),
        })
    }
}

/// Height and width of a shape that states both.
pub(super) fn size(shape: &[Value]) -> Option<[usize; 2]> {
    match shape {
        [_, height, width, _] => Some([count(height)?, count(width)?]),
        _ => None,
    }
}

/// A layer of the config that is being added to the graph.
pub(super) struct Place<'r, 'a> {
    pub(super) layer: &'r wiring::Layer<'r>,
    pub(super) settings: Settings<'r>,
    pub(super) operands: Vec<Operand<Tensor>>,
    /// The layer's id in the graph, once it has a node.
    pub(super) id: Option<LayerId>,
    pub(super) reader: &'r mut Reader<'a>,
}

impl<'r> Place<'r, '_> {
    pub(super) fn class(&self) -> &'r str {
        self.layer.class
    }

    pub(super) fn only_input(&self) -> Result<Tensor, String> {
        match self.several_inputs()?.as_slice() {
            [input] => Ok(*input),
            inputs => Err(format!("expected one input, found {}", inputs.len())),
        }
    }

    pub(super) fn only_map(&self) -> Result<Tensor, String> {
        let input = self.only_input()?;
        if input.is_map {
            Ok(input)
        } else {
            Err("it reads a feature map, and its input is a vector".into())
        }
    }

    /// The tensors of a layer that takes one or more.
    pub(super) fn several_inputs(&self) -> Result<Vec<Tensor>, String> {
        let inputs: Vec<Tensor> = self
            .operands
            .iter()
            .filter_map(|operand| match operand {
                Operand::Tensor(tensor) => Some(*tensor),
                Operand::Constant(_) => None,
            })
            .collect();
        if inputs.is_empty() {
            return Err("it has no input".into());
        }
        Ok(inputs)
    }

    /// Whether the file has this variable of the layer.
    pub(super) fn holds(&self, variable: &str) -> bool {
        let shapes = self.reader.file.shapes.get(&self.layer.path);
        shapes.is_some_and(|shapes| shapes.contains_key(variable))
    }

    /// Number of channels of an input. If the config does not state it, the shape of a variable does.
    pub(super) fn channels(
        &self,
        input: Tensor,
        variable: &str,
        of: impl FnOnce(&[usize]) -> Option<usize>,
    ) -> Result<usize, String> {
        let shape = || self.reader.file.shapes.get(&self.layer.path)?.get(variable);
        input.channels.or_else(|| of(shape()?)).ok_or_else(|| {
            format!("the file does not say how many values it reads: no variable `{variable}` of its shape is there")
        })
    }

    /// Height and width of the picture, if the file states them.
    pub(super) fn size(&self) -> Option<[usize; 2]> {
        self.reader.size
    }

    /// Height and width of a map, if the file states the picture's.
    pub(super) fn map_size(&mut self, map: Tensor) -> Option<[usize; 2]> {
        let size = self.reader.size?;
        let Reader { graph, shapes, .. } = self.reader;
        for node in graph.nodes.get(shapes.len()..=map.node.0).unwrap_or_default() {
            let inputs: Vec<Shape> = node.inputs.iter().map(|input| shapes[input.0]).collect();
            shapes.push(node.op.output_shape(&inputs, size).ok()?);
        }
        match shapes[map.node.0] {
            Shape::Map([_, height, width]) => Some([height, width]),
            Shape::Vector(_) => None,
        }
    }

    /// Whether a tensor is the network's input, changed only by constants and by an order of channels.
    pub(super) fn is_picture(&self, tensor: Tensor) -> bool {
        let mut at = tensor.node;
        loop {
            let node = self.reader.graph.node(at);
            match (&node.op, node.inputs.first()) {
                (Op::Input { .. }, _) => return true,
                (Op::ScaleShift(_) | Op::Take { .. }, Some(input)) => at = *input,
                _ => return false,
            }
        }
    }

    /// The numbers of one of the layer's variables, if they are constants of the graph.
    pub(super) fn numbers(&self, variable: &'static str) -> Option<Vec<f64>> {
        let numbers = &self.reader.file.numbers;
        numbers.get(&(self.layer.path.clone(), variable)).cloned()
    }

    /// The shape of one of the layer's variables.
    pub(super) fn shape(&self, variable: &str) -> Option<&[usize]> {
        let shapes = self.reader.file.shapes.get(&self.layer.path)?;
        shapes.get(variable).map(Vec::as_slice)
    }

    /// The mean and variance that the layer was adapted to.
    pub(super) fn statistics(&self) -> Option<Statistics> {
        self.reader.file.statistics.get(&self.layer.path)?.clone()
    }

    /// Adds a node that reads the layer's only tensor.
    pub(super) fn push(&mut self, op: Op, output: Tensor) -> Tensor {
        self.push_on(op, output, output)
    }

    /// Adds a node that reads `input`; its output is described by `output`.
    pub(super) fn push_on(&mut self, op: Op, input: Tensor, output: Tensor) -> Tensor {
        self.join(op, &[input], output)
    }

    /// Adds a node that reads `inputs`; its output is described by `output`.
    pub(super) fn join(&mut self, op: Op, inputs: &[Tensor], output: Tensor) -> Tensor {
        let inputs = inputs.iter().map(|input| input.node).collect();
        self.node(op, inputs, String::new(), output)
    }

    /// Adds the concatenation of `inputs`. If all inputs are parts of one tensor, adds a choice of its channels
    /// instead.
    pub(super) fn concatenated(&mut self, inputs: &[Tensor], output: Tensor) -> Tensor {
        let nodes: Vec<NodeId> = inputs.iter().map(|input| input.node).collect();
        let Some(chosen) = self.reader.graph.chosen_channels(&nodes) else {
            return self.join(Op::Concat, inputs, output);
        };
        let channels = chosen.channels;
        let taken = self.node(Op::Take { channels }, vec![chosen.source], String::new(), output);
        match chosen.constants {
            Some(constants) => self.push_on(Op::ScaleShift(constants), taken, output),
            None => taken,
        }
    }

    /// Adds a node with parameters that reads `input` and outputs `channels`. `part` is its module within the layer's
    /// module, if it has one.
    pub(super) fn parameters(&mut self, op: Op, input: Tensor, channels: usize, part: &str) -> Tensor {
        let layer = self.layer();
        if self.reader.graph.layers[layer.0].path.is_empty() {
            self.reader.graph.layers[layer.0].path = self.reader.paths.unique(&self.layer.path);
        }
        let mut path = self.reader.graph.layers[layer.0].path.clone();
        if !part.is_empty() {
            path = format!("{path}.{part}");
        }
        let output = Tensor {
            channels: Some(channels),
            ..input
        };
        self.node(op, vec![input.node], path, output)
    }

    pub(super) fn activated(&mut self, input: Tensor, activation: Option<Activation>) -> Tensor {
        match activation {
            Some(activation) => self.push(Op::Activation(activation), input),
            None => input,
        }
    }

    fn node(&mut self, op: Op, inputs: Vec<NodeId>, path: String, output: Tensor) -> Tensor {
        let layer = self.layer();
        let nodes = &mut self.reader.graph.nodes;
        nodes.push(Node {
            op,
            inputs,
            layer,
            path,
            torch: String::new(),
        });
        Tensor {
            node: NodeId(nodes.len() - 1),
            ..output
        }
    }

    fn layer(&mut self) -> LayerId {
        let layers = &mut self.reader.graph.layers;
        *self.id.get_or_insert_with(|| {
            let name = match self.layer.call {
                0 => self.layer.path.clone(),
                call => format!("{}{CALL}{call}", self.layer.path),
            };
            layers.push(Layer {
                name,
                naming: Naming::Given,
                block: "network".into(),
                path: String::new(),
            });
            LayerId(layers.len() - 1)
        })
    }
}
