//! Decides whether two graphs compute the same outputs.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::error::GraphError;
use crate::fold::{is_positive, padded};
use crate::graph::{Graph, NodeId};
use crate::op::{Activation, Op, Padding, Pool, PoolKind, ScaleShift};
use crate::shape::Shape;

/// The differences that are accepted between two graphs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tolerance {
    /// Whether the other graph may have biases instead of batch norms, as exports for inference do, and batch norms
    /// with a scale and a shift where this one has none: the caller checks that these are 1 and 0.
    pub folded_norms: bool,
    /// The picture size at which `same` padding is compared with explicit padding. Without a size, `same` with a stride
    /// above 1 equals no explicit padding.
    pub size: Option<[usize; 2]>,
}

/// For each node of a graph, the node of the other graph that computes the same output. `None` for dropouts, for
/// paddings and batch norms that the other graph has folded into a convolution, and for nodes outside of the compared
/// part.
pub type Correspondence = Vec<Option<NodeId>>;

impl Graph {
    /// Pairs the nodes that `output` depends on with the nodes that `other_output` depends on in `other`.
    ///
    /// These count as equal: a dropout and no dropout; a padding node and the same padding inside the convolution or
    /// the pooling after it; the two orders of a sum.
    ///
    /// # Errors
    ///
    /// Names the first layer of `other`, from the output backwards, that computes something else.
    pub fn correspondence(
        &self,
        output: NodeId,
        other: &Self,
        other_output: NodeId,
        tolerance: Tolerance,
    ) -> Result<Correspondence, GraphError> {
        let ours = View::new(self, tolerance)?;
        let theirs = View::new(other, tolerance)?;
        let mut pairs: Correspondence = vec![None; self.nodes.len()];
        let mut seen = vec![None; other.nodes.len()];
        let mut left = VecDeque::from([(output, other_output)]);
        while let Some((mut one, mut two)) = left.pop_front() {
            one = ours.essential(one);
            two = theirs.essential(two);
            let (mut node, mut found) = (self.node(one), other.node(two));
            let differs = |problem: String| Err(GraphError::layer(&other.layer_of(two).name, problem));
            // A batch norm that only one of the graphs still has.
            if tolerance.folded_norms && matches!(node.op, Op::BatchNorm(_)) && !matches!(found.op, Op::BatchNorm(_)) {
                one = ours.essential(node.inputs[0]);
                node = self.node(one);
            }
            match (pairs[one.0], seen[two.0]) {
                (None, None) => {}
                (Some(before), Some(again)) if before == two && again == one => continue,
                _ => {
                    return differs(format!(
                        "its readers are other than those of {}",
                        self.layer_of(one).name
                    ));
                }
            }
            if !same(&ours, one, &theirs, two) {
                return differs(format!(
                    "expected {} as {} has, found {}",
                    ours.description(one),
                    self.layer_of(one).name,
                    theirs.description(two)
                ));
            }
            pairs[one.0] = Some(two);
            seen[two.0] = Some(one);
            let (ours_inputs, mut theirs_inputs) = (ours.inputs(one), theirs.inputs(two));
            if ours_inputs.len() != theirs_inputs.len() {
                found = other.node(two);
                return differs(format!(
                    "expected a {} of {}, found one of {}",
                    found.op.name(),
                    ours_inputs.len(),
                    theirs_inputs.len()
                ));
            }
            if node.op.is_commutative() {
                arrange(&ours, &ours_inputs, &theirs, &mut theirs_inputs);
            }
            left.extend(ours_inputs.into_iter().zip(theirs_inputs));
        }
        Ok(pairs)
    }

    /// The last node of `other` whose hash equals that of `output`. [`correspondence`](Self::correspondence) decides
    /// whether both really compute the same.
    pub fn counterpart(&self, output: NodeId, other: &Self, tolerance: Tolerance) -> Option<NodeId> {
        let ours = View::new(self, tolerance).ok()?;
        let theirs = View::new(other, tolerance).ok()?;
        let wanted = ours.hashes[output.0];
        let place = theirs.hashes.iter().rposition(|hash| *hash == wanted)?;
        Some(theirs.essential(NodeId(place)))
    }
}

/// Reorders the inputs of the other graph's sum to match ours, by the hashes of what they compute.
fn arrange(ours: &View<'_>, inputs: &[NodeId], theirs: &View<'_>, others: &mut [NodeId]) {
    for (place, input) in inputs.iter().enumerate() {
        let wanted = ours.hashes[input.0];
        if let Some(found) = (place..others.len()).find(|&at| theirs.hashes[others[at].0] == wanted) {
            others.swap(place, found);
        }
    }
}

/// For each node, itself, or the first node before it that changes values.
fn essentials(graph: &Graph) -> Vec<NodeId> {
    let mut essentials: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
    for (id, node) in graph.iter() {
        let before = node.inputs.first().map(|input| essentials[input.0]);
        let is_relu = |id: NodeId| matches!(graph.node(id).op, Op::Activation(Activation::Relu));
        essentials.push(match (&node.op, before) {
            (Op::Dropout { .. } | Op::ToMap, Some(before)) => before,
            (_, Some(before)) if is_relu(id) && is_relu(before) => before,
            _ => id,
        });
    }
    essentials
}

/// A graph prepared for comparison.
struct View<'a> {
    graph: &'a Graph,
    shapes: Option<Vec<Shape>>,
    /// For each node, itself, or the first node before it that changes values.
    essentials: Vec<NodeId>,
    /// For each node, a hash of the whole computation from the input to it.
    hashes: Vec<u64>,
    tolerance: Tolerance,
}

impl<'a> View<'a> {
    fn new(graph: &'a Graph, tolerance: Tolerance) -> Result<Self, GraphError> {
        let mut view = Self {
            graph,
            shapes: tolerance.size.map(|size| graph.shapes(size)).transpose()?,
            essentials: essentials(graph),
            hashes: Vec::with_capacity(graph.nodes.len()),
            tolerance,
        };
        for (id, _) in graph.iter() {
            let hash = view.hash(id);
            view.hashes.push(hash);
        }
        Ok(view)
    }

    /// The node, or the first node before it that changes values: no dropout, no reshape of a vector to a map of one
    /// pixel, and no second ReLU.
    fn essential(&self, id: NodeId) -> NodeId {
        self.essentials[id.0]
    }

    /// The padding node before a convolution or a pooling, if it can be part of it: its pads, and the node that it
    /// pads.
    fn padding_before(&self, id: NodeId) -> Option<([usize; 4], NodeId)> {
        let node = self.graph.node(id);
        let padding = match &node.op {
            Op::Conv(conv) => conv.padding,
            Op::Pool(pool) => pool.padding,
            _ => return None,
        };
        let input = self.graph.node(self.essential(node.inputs[0]));
        let Op::Pad { pads } = input.op else { return None };
        let joins = match &node.op {
            // Zeros never win a maximum of numbers that are not negative.
            Op::Pool(pool) if pool.kind == PoolKind::Max => is_positive(self.graph, &input.inputs),
            // The mean counts the zeros around the map: its own padding must be counted, too.
            Op::Pool(pool) => pool.count_padding || pool.padding == Padding::Valid,
            _ => true,
        };
        (joins && padded(padding, pads).is_some()).then_some((pads, input.inputs[0]))
    }

    /// Whether the mean of a pooling counts padded pixels.
    fn counts_padding(&self, id: NodeId, pool: &Pool) -> bool {
        pool.count_padding || self.padding_before(id).is_some()
    }

    fn inputs(&self, id: NodeId) -> Vec<NodeId> {
        match self.padding_before(id) {
            Some((_, input)) => vec![self.essential(input)],
            None => self
                .graph
                .node(id)
                .inputs
                .iter()
                .map(|input| self.essential(*input))
                .collect(),
        }
    }

    /// The explicit padding of a node, if the picture size is known or does not matter; `None` for `same` at an unknown
    /// size.
    fn pads(&self, id: NodeId) -> Option<[usize; 4]> {
        let node = self.graph.node(id);
        let (padding, kernel, stride, dilation) = match &node.op {
            Op::Conv(conv) => {
                let padding = match self.padding_before(id) {
                    Some((pads, _)) => padded(conv.padding, pads).unwrap_or(conv.padding),
                    None => conv.padding,
                };
                (padding, conv.kernel, conv.stride, conv.dilation)
            }
            Op::Pool(pool) => {
                let padding = match self.padding_before(id) {
                    Some((pads, _)) => padded(pool.padding, pads).unwrap_or(pool.padding),
                    None => pool.padding,
                };
                (padding, pool.window, pool.stride, pool.dilation)
            }
            _ => return Some([0; 4]),
        };
        match padding {
            Padding::Valid => Some([0; 4]),
            Padding::Explicit(pads) => Some(pads),
            Padding::Same if kernel == [1; 2] => Some([0; 4]),
            Padding::Same => {
                let size = match &self.shapes {
                    Some(shapes) => shapes[self.inputs(id)[0].0].size(),
                    // At stride 1 every size gives the same padding.
                    None if stride == [1; 2] => [MANY; 2],
                    None => return None,
                };
                padding.pads(size, kernel, stride, dilation)
            }
        }
    }

    fn hash(&self, id: NodeId) -> u64 {
        let node = self.graph.node(id);
        let of = |input: &NodeId| self.hashes[input.0];
        let folds = self.tolerance.folded_norms;
        match &node.op {
            _ if self.essential(id) != id => return of(&node.inputs[0]),
            Op::BatchNorm(_) if folds => {
                let before = self.essential(node.inputs[0]);
                if matches!(self.graph.node(before).op, Op::Conv(_) | Op::Dense(_)) {
                    return of(&before);
                }
            }
            _ => {}
        }
        let mut hash = Hash::new(node.op.name());
        match &node.op {
            Op::Conv(conv) => {
                for pair in [conv.channels, conv.kernel, conv.stride, conv.dilation] {
                    hash.take_all(&pair);
                }
                hash.take(conv.groups as u64);
            }
            Op::Dense(dense) => hash.take_all(&dense.features),
            Op::Take { channels } => hash.take_all(channels),
            Op::Pool(pool) => {
                hash.take(pool.kind as u64);
                for pair in [pool.window, pool.stride, pool.dilation] {
                    hash.take_all(&pair);
                }
            }
            _ => {}
        }
        if let Some(pads) = self.pads(id) {
            hash.take_all(&pads);
        }
        let mut inputs: Vec<u64> = self.inputs(id).iter().map(of).collect();
        if node.op.is_commutative() {
            inputs.sort_unstable();
        }
        for input in inputs {
            hash.take(input);
        }
        hash.0
    }

    /// An operation in words.
    fn description(&self, id: NodeId) -> String {
        let node = self.graph.node(id);
        let pads = || self.pads(id).map_or_else(|| "same".into(), |pads| format!("{pads:?}"));
        match &node.op {
            Op::Input { channels } => format!("the picture of {channels} channels"),
            Op::Conv(conv) => format!(
                "a convolution of {} to {} channels (kernel {} x {}, stride {:?}, dilation {:?}, {} groups, \
                 padding {})",
                conv.channels[0],
                conv.channels[1],
                conv.kernel[0],
                conv.kernel[1],
                conv.stride,
                conv.dilation,
                conv.groups,
                pads()
            ),
            Op::Pool(pool) => format!(
                "a {:?} pooling (window {} x {}, stride {:?}, dilation {:?}, padding {})",
                pool.kind,
                pool.window[0],
                pool.window[1],
                pool.stride,
                pool.dilation,
                pads()
            ),
            Op::BatchNorm(norm) => format!("a batch norm of epsilon {:e}", norm.epsilon),
            Op::Activation(activation) => format!("an activation {activation:?}"),
            op => format!("a {}", op.name()),
        }
    }
}

/// A map side so large that only the padding at stride 1, which does not depend on the side, matters.
const MANY: usize = 1 << 20;

/// Whether two nodes have the same operation, whatever their inputs compute.
fn same(ours: &View<'_>, one: NodeId, theirs: &View<'_>, two: NodeId) -> bool {
    let folds = ours.tolerance.folded_norms;
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.abs().max(b.abs());
    match (&ours.graph.node(one).op, &theirs.graph.node(two).op) {
        (Op::Conv(a), Op::Conv(b)) => {
            (folds || a.bias == b.bias)
                && (a.channels, a.kernel, a.stride, a.dilation, a.groups)
                    == (b.channels, b.kernel, b.stride, b.dilation, b.groups)
                && ours.pads(one) == theirs.pads(two)
        }
        (Op::Dense(a), Op::Dense(b)) => (folds || a.bias == b.bias) && a.features == b.features,
        (Op::BatchNorm(a), Op::BatchNorm(b)) => {
            let has = |ours: bool, theirs: bool| ours == theirs || folds && theirs;
            near(a.epsilon, b.epsilon) && a.channels == b.channels && has(a.scale, b.scale) && has(a.center, b.center)
        }
        (Op::Pool(a), Op::Pool(b)) => {
            (a.kind, a.window, a.stride, a.dilation) == (b.kind, b.window, b.stride, b.dilation)
                && ours.pads(one) == theirs.pads(two)
                && (ours.counts_padding(one, a) == theirs.counts_padding(two, b)
                    || ours.pads(one) == Some([0; 4])
                    || a.kind == PoolKind::Max)
        }
        (Op::Activation(a), Op::Activation(b)) => match (a, b) {
            (Activation::LeakyRelu { slope: a }, Activation::LeakyRelu { slope: b })
            | (Activation::Elu { alpha: a }, Activation::Elu { alpha: b })
            | (Activation::HardSigmoid { slope: a }, Activation::HardSigmoid { slope: b })
            | (Activation::Power { exponent: a }, Activation::Power { exponent: b }) => near(*a, *b),
            (Activation::Clip { min: a, max: c }, Activation::Clip { min: b, max: d }) => near(*a, *b) && near(*c, *d),
            (a, b) => a == b,
        },
        // A map of one pixel and a vector hold the same values.
        (Op::GlobalPool(a), Op::GlobalPool(b)) => a.kind == b.kind,
        (Op::ScaleShift(a), Op::ScaleShift(b)) => near_constants(a, b),
        (Op::LayerNorm { epsilon: a }, Op::LayerNorm { epsilon: b }) => near(*a, *b),
        (Op::GroupNorm { groups: a, epsilon: c }, Op::GroupNorm { groups: b, epsilon: d }) => a == b && near(*c, *d),
        (a, b) => a == b,
    }
}

fn near_constants(a: &ScaleShift, b: &ScaleShift) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-3);
    let count = [&a.scale, &a.shift, &b.scale, &b.shift]
        .map(Vec::len)
        .into_iter()
        .max()
        .unwrap_or(0);
    (0..count)
        .all(|channel| near(a.scale_of(channel), b.scale_of(channel)) && near(a.shift_of(channel), b.shift_of(channel)))
}

/// FNV-1a over 64-bit words (Fowler, Noll, Vo), with a finisher.
struct Hash(u64);

impl Hash {
    fn new(name: &str) -> Self {
        let mut hash = Self(0xCBF2_9CE4_8422_2325);
        for byte in name.bytes() {
            hash.take(u64::from(byte));
        }
        hash
    }

    fn take_all(&mut self, numbers: &[usize]) {
        for number in numbers {
            self.take(*number as u64);
        }
    }

    fn take(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x0100_0000_01B3);
        self.0 = mixed ^ (mixed >> 29);
    }
}
