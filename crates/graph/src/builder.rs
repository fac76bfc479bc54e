//! Builds a graph, layer by layer.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::graph::{Graph, Layer, LayerId, Naming, Node, NodeId, Roles};
use crate::op::Op;

/// A graph under construction.
///
/// ```
/// use graph::{Activation, Builder, Conv, NewLayer, Op, Padding};
///
/// let (mut net, picture) = Builder::new("A small network", 3);
/// net.block("block1");
/// let conv = Op::Conv(Conv::new([3, 8], [3, 3], Padding::Same));
/// let x = net.layer(NewLayer::new("conv1").at("block1.conv1"), conv, &[picture]);
/// let x = net.layer(NewLayer::new("conv1_relu"), Op::Activation(Activation::Relu), &[x]);
/// let graph = net.finish(graph::Roles { feature_map: Some(x), ..Default::default() }, 1);
/// assert_eq!(graph.num_params(), 8 * 27);
/// ```
#[derive(Debug)]
pub struct Builder {
    graph: Graph,
    block: String,
}

/// A new layer's names.
#[derive(Clone, Copy, Debug)]
pub struct NewLayer<'a> {
    /// The layer's name.
    pub name: &'a str,
    /// Whether Keras uses this name.
    pub naming: Naming,
    /// The path of the layer's module in a record; empty for a layer without parameters.
    pub path: &'a str,
    /// The name of its first node's module in PyTorch; empty if PyTorch has none.
    pub torch: &'a str,
}

impl<'a> NewLayer<'a> {
    /// A layer with its name in Keras.
    pub const fn new(name: &'a str) -> Self {
        Self {
            name,
            naming: Naming::Given,
            path: "",
            torch: "",
        }
    }

    /// A layer that Keras numbers, with a name of our own.
    pub const fn automatic(name: &'a str) -> Self {
        Self {
            naming: Naming::Automatic,
            ..Self::new(name)
        }
    }

    /// Sets the path of the layer's module in a record.
    #[must_use]
    pub const fn at(mut self, path: &'a str) -> Self {
        self.path = path;
        self
    }

    /// Sets the name of the layer's module in PyTorch.
    #[must_use]
    pub const fn torch(mut self, torch: &'a str) -> Self {
        self.torch = torch;
        self
    }
}

impl Builder {
    /// Starts a graph with an input of `channels`; returns the builder and the input's node.
    pub fn new(title: &str, channels: usize) -> (Self, NodeId) {
        let mut builder = Self {
            graph: Graph {
                title: title.into(),
                min_size: 1,
                nodes: Vec::new(),
                layers: Vec::new(),
                roles: Roles::default(),
            },
            block: "input".into(),
        };
        let input = builder.layer(NewLayer::automatic("input_layer"), Op::Input { channels }, &[]);
        (builder, input)
    }

    /// Continues an existing graph; its roles are dropped.
    pub fn from_graph(graph: Graph) -> Self {
        Self {
            graph: Graph {
                roles: Roles::default(),
                ..graph
            },
            block: String::new(),
        }
    }

    /// Sets the block of the layers that follow.
    pub fn block(&mut self, name: &str) {
        self.block = name.to_string();
    }

    /// Adds a layer of one node.
    pub fn layer(&mut self, layer: NewLayer<'_>, op: Op, inputs: &[NodeId]) -> NodeId {
        self.graph.layers.push(Layer {
            name: layer.name.into(),
            naming: layer.naming,
            block: self.block.clone(),
            path: layer.path.into(),
        });
        self.push(op, inputs, layer.path.into(), layer.torch.into())
    }

    /// Adds a layer of several modules within its path, such as a separable convolution's `depthwise` and `pointwise`.
    /// This call adds the first; [`part`](Self::part) adds the others.
    pub fn layer_of_parts(&mut self, layer: NewLayer<'_>, part: &str, op: Op, inputs: &[NodeId]) -> NodeId {
        let id = self.layer(layer, op, inputs);
        self.graph.nodes[id.0].path = format!("{}.{part}", layer.path);
        id
    }

    /// Adds a node to the last layer, with its module at `part` within the layer's path; `part` is empty for a node
    /// without parameters.
    pub fn part(&mut self, part: &str, torch: &str, op: Op, inputs: &[NodeId]) -> NodeId {
        let path = match (part, self.graph.layers.last()) {
            ("", _) | (_, None) => String::new(),
            (part, Some(layer)) => format!("{}.{part}", layer.path),
        };
        self.push(op, inputs, path, torch.into())
    }

    fn push(&mut self, op: Op, inputs: &[NodeId], path: String, torch: String) -> NodeId {
        self.graph.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            layer: LayerId(self.graph.layers.len() - 1),
            path,
            torch,
        });
        NodeId(self.graph.nodes.len() - 1)
    }

    /// The graph so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Finishes the graph, for pictures of at least `min_size` x `min_size`.
    pub fn finish(self, roles: Roles, min_size: usize) -> Graph {
        Graph {
            min_size,
            roles,
            ..self.graph
        }
    }
}
