//! Finds the operations of a folded graph that one kernel computes together.

use alloc::vec;
use alloc::vec::Vec;

use graph::{Activation, Conv, Graph, NodeId, Op, Padding, PoolKind};
use kernels::ConvolutionShape;

/// The role of a node in a fusion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fusion {
    /// No kernel: runs on Burn's operations.
    Without,
    /// Computed by the kernel of a later node.
    Inside,
    /// The last node of a chain.
    Chain(Chain),
    /// The sum of a max pooling and a strided 1 x 1 convolution.
    PoolAndProjection {
        /// The pooling.
        pool: NodeId,
        /// The convolution.
        projection: NodeId,
    },
    /// Has a kernel of its own.
    Alone,
}

/// One convolution, a depthwise and a pointwise one, a dense layer, or an operation on pixels, with the operations
/// around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chain {
    /// The convolution, the depthwise half, or another operation that applies an activation last.
    pub first: NodeId,
    /// The node whose output the chain reads; it stands before a ReLU if the chain applies that ReLU itself.
    pub input: NodeId,
    /// Applied to the input.
    pub before: Option<Activation>,
    /// Applied between the two halves.
    pub between: Option<Activation>,
    /// The pointwise half of a separable convolution.
    pub pointwise: Option<NodeId>,
    /// Added to the output.
    pub residual: Option<NodeId>,
    /// Applied last.
    pub after: Option<Activation>,
}

struct Finder<'a> {
    graph: &'a Graph,
    readers: Vec<Vec<NodeId>>,
    has_role: Vec<bool>,
    fusions: Vec<Fusion>,
}

/// The role of each node.
pub(super) fn fusions(graph: &Graph) -> Vec<Fusion> {
    let mut readers = vec![Vec::new(); graph.nodes.len()];
    for (id, node) in graph.iter() {
        for input in &node.inputs {
            readers[input.0].push(id);
        }
    }
    let mut finder = Finder {
        graph,
        readers,
        has_role: graph.has_role(),
        fusions: graph.iter().map(|(id, _)| alone(graph, id)).collect(),
    };
    for (id, _) in graph.iter() {
        finder.pool_and_projection(id);
    }
    for (id, _) in graph.iter() {
        finder.chain(id);
    }
    finder.fusions
}

/// The role of a node that is in no chain.
fn alone(graph: &Graph, id: NodeId) -> Fusion {
    let node = graph.node(id);
    let has_kernel = match &node.op {
        Op::Input { .. }
        | Op::BatchNorm(_)
        | Op::GlobalPool(_)
        | Op::ToMap
        | Op::Concat
        | Op::ScaleShift(_)
        | Op::Pool(_)
        | Op::Dropout { .. }
        // A flattened map comes from Burn as a vector, which is a map of one pixel.
        | Op::Dense(_) => true,
        Op::Conv(conv) => ConvolutionShape {
            inputs: conv.channels[0],
            outputs: conv.channels[1],
            groups: conv.groups,
        }
        .is_supported(),
        Op::Activation(activation) => kernel_of(*activation).is_some(),
        Op::Add => node.inputs.len() == 2,
        // The kernel multiplies by one number for each channel.
        Op::Multiply => node.inputs.iter().any(|input| is_pixel(graph, *input)),
        Op::Flatten { .. }
        | Op::Pad { .. }
        | Op::Crop { .. }
        | Op::Take { .. }
        | Op::LayerNorm { .. }
        | Op::GroupNorm { .. }
        | Op::Resize { .. } => false,
    };
    if has_kernel { Fusion::Alone } else { Fusion::Without }
}

/// Whether a node outputs a vector, or a map of one pixel for pictures of every size: a global pooling, or layers
/// behind one.
pub(super) fn is_pixel(graph: &Graph, id: NodeId) -> bool {
    let mut met = vec![false; graph.nodes.len()];
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        if core::mem::replace(&mut met[id.0], true) {
            continue;
        }
        let node = graph.node(id);
        let keeps = match &node.op {
            Op::GlobalPool(_) | Op::ToMap | Op::Dense(_) | Op::Flatten { .. } => continue,
            Op::Conv(conv) => conv.padding == Padding::Same || conv.kernel == [1; 2],
            Op::Activation(_)
            | Op::BatchNorm(_)
            | Op::ScaleShift(_)
            | Op::LayerNorm { .. }
            | Op::GroupNorm { .. }
            | Op::Take { .. }
            | Op::Dropout { .. }
            | Op::Add
            | Op::Multiply
            | Op::Concat => true,
            _ => false,
        };
        if !keeps {
            return false;
        }
        open.extend(&node.inputs);
    }
    true
}

/// The engine's name for an activation, if the engine has a kernel for it.
pub(super) fn kernel_of(activation: Activation) -> Option<kernels::Activation> {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
    Some(match activation {
        Activation::Relu => kernels::Activation::Relu,
        Activation::Relu6 => kernels::Activation::Relu6,
        Activation::LeakyRelu { slope } => kernels::Activation::LeakyRelu(slope as f32),
        Activation::Elu { alpha } if near(alpha, 1.0) => kernels::Activation::Elu,
        Activation::Sigmoid => kernels::Activation::Sigmoid,
        Activation::Swish => kernels::Activation::Swish,
        Activation::HardSigmoid { slope } if near(slope, 1.0 / 6.0) => kernels::Activation::HardSigmoid,
        Activation::HardSwish => kernels::Activation::HardSwish,
        Activation::Tanh => kernels::Activation::Tanh,
        Activation::Gelu { approximate: false } => kernels::Activation::Gelu,
        _ => return None,
    })
}

impl Finder<'_> {
    /// The only node that reads `id`, if there is exactly one.
    fn only_reader(&self, id: NodeId) -> Option<NodeId> {
        match self.readers[id.0].as_slice() {
            [reader] if !self.has_role[id.0] => Some(*reader),
            _ => None,
        }
    }

    fn is_free(&self, id: NodeId) -> bool {
        self.fusions[id.0] == Fusion::Alone
    }

    /// Fuses the sum `id` if its inputs are a max pooling and a 1 x 1 convolution of the same stride. One kernel pools
    /// and adds.
    fn pool_and_projection(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let (Op::Add, [one, two]) = (&node.op, node.inputs.as_slice()) else {
            return;
        };
        for (pool, projection) in [(*one, *two), (*two, *one)] {
            let (Op::Pool(own), Op::Conv(conv)) = (&self.graph.node(pool).op, &self.graph.node(projection).op) else {
                continue;
            };
            let unpadded = matches!(
                conv.padding,
                Padding::Valid | Padding::Same | Padding::Explicit([0, 0, 0, 0])
            );
            let fits = own.kind == PoolKind::Max
                && conv.is_pointwise()
                && unpadded
                && conv.stride == own.stride
                && self.only_reader(pool) == Some(id)
                && self.only_reader(projection) == Some(id)
                && self.sizes_are_alike(pool, projection);
            if fits {
                self.fusions[pool.0] = Fusion::Inside;
                self.fusions[projection.0] = Fusion::Inside;
                self.fusions[id.0] = Fusion::PoolAndProjection { pool, projection };
                return;
            }
        }
    }

    /// Whether both nodes' maps have the same size, for pictures of every size.
    fn sizes_are_alike(&self, one: NodeId, two: NodeId) -> bool {
        let input = |id: NodeId| self.graph.node(id).inputs[0];
        let (one, two) = (input(one), input(two));
        let least = self.graph.min_size;
        let mut sizes = [least, least + 1, least + 2, 2 * least + 1].into_iter();
        sizes.all(|side| match self.graph.shapes([side; 2]) {
            Ok(shapes) => shapes[one.0].size() == shapes[two.0].size(),
            // The network takes pictures of one size only.
            Err(_) => side != least,
        })
    }

    /// Builds the chain that begins with `id`.
    fn chain(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        if !self.is_free(id) {
            return;
        }
        let mut chain = Chain {
            first: id,
            input: match node.inputs.first() {
                Some(input) => *input,
                None => return,
            },
            before: None,
            between: None,
            pointwise: None,
            residual: None,
            after: None,
        };
        let mut inside = Vec::new();
        let mut end = id;
        match &node.op {
            Op::Conv(conv) => {
                if keeps_size(conv)
                    && let Some((between, pointwise)) = self.pointwise_behind(id)
                {
                    // A ReLU between two convolutions is computed by the first one when it writes. Only if another node
                    // reads the output without the ReLU does the second one apply it when it reads.
                    let input = self.graph.node(chain.input);
                    if matches!(input.op, Op::Activation(Activation::Relu))
                        && self.is_free(chain.input)
                        && self.only_reader(chain.input) == Some(id)
                    {
                        inside.push(chain.input);
                        chain.before = Some(Activation::Relu);
                        chain.input = input.inputs[0];
                    }
                    inside.push(id);
                    if let Some(between) = between {
                        inside.push(between);
                        if let Op::Activation(activation) = self.graph.node(between).op {
                            chain.between = Some(activation);
                        }
                    }
                    chain.pointwise = Some(pointwise);
                    end = pointwise;
                }
                if let Some((sum, other)) = self.sum_behind(end) {
                    inside.push(end);
                    chain.residual = Some(other);
                    end = sum;
                }
            }
            Op::Dense(_) | Op::BatchNorm(_) | Op::ScaleShift(_) | Op::Add | Op::Multiply => {}
            _ => return,
        }
        if let Some(next) = self.only_reader(end)
            && self.is_free(next)
            && let Op::Activation(activation) = self.graph.node(next).op
        {
            inside.push(end);
            chain.after = Some(activation);
            end = next;
        }
        for node in inside {
            self.fusions[node.0] = Fusion::Inside;
        }
        self.fusions[end.0] = Fusion::Chain(chain);
    }

    /// The 1 x 1 convolution that is the only reader of a depthwise one, perhaps after an activation.
    fn pointwise_behind(&self, depthwise: NodeId) -> Option<(Option<NodeId>, NodeId)> {
        let mut next = self.only_reader(depthwise)?;
        let mut between = None;
        if let Op::Activation(_) = self.graph.node(next).op
            && self.is_free(next)
        {
            between = Some(next);
            next = self.only_reader(next)?;
        }
        match &self.graph.node(next).op {
            Op::Conv(conv)
                if conv.is_pointwise() && conv.stride == [1; 2] && is_unpadded(conv) && self.is_free(next) =>
            {
                Some((between, next))
            }
            _ => None,
        }
    }

    /// The sum that is the only reader of a convolution, and the sum's other input. That input must be computed
    /// earlier, and must not be a convolution that could take this sum itself.
    fn sum_behind(&self, end: NodeId) -> Option<(NodeId, NodeId)> {
        let sum = self.only_reader(end)?;
        let node = self.graph.node(sum);
        let (Op::Add, [one, two], true) = (&node.op, node.inputs.as_slice(), self.is_free(sum)) else {
            return None;
        };
        let other = if *one == end { *two } else { *one };
        let later =
            other > end && matches!(self.graph.node(other).op, Op::Conv(_)) && self.only_reader(other) == Some(sum);
        (!later && other != end).then_some((sum, other))
    }
}

fn is_unpadded(conv: &Conv) -> bool {
    matches!(
        conv.padding,
        Padding::Valid | Padding::Same | Padding::Explicit([0, 0, 0, 0])
    )
}

/// Whether this is a 3 x 3 depthwise convolution of stride 1 whose output is as large as its input.
fn keeps_size(conv: &Conv) -> bool {
    let [dilation, across] = conv.dilation;
    let padded = match conv.padding {
        Padding::Same => true,
        Padding::Explicit(pads) => pads == [dilation; 4],
        Padding::Valid => false,
    };
    conv.is_depthwise()
        && conv.channels[0] == conv.channels[1]
        && conv.kernel == [3; 2]
        && conv.stride == [1; 2]
        && dilation == across
        && padded
}
