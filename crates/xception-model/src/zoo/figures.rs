//! Figures 1 to 4 of the Xception paper (arXiv 1610.02357) as graphs: the way from an Inception module to a separable
//! convolution. Each convolution is followed by a `ReLU`.

use alloc::format;
use alloc::vec::Vec;

use graph::{Activation, Builder, Conv, Graph, NewLayer, NodeId, Op, Padding, Pool, Roles};

/// The sizes of an Inception module whose towers are alike.
///
/// ```
/// use xception_model::zoo::figures::Towers;
///
/// let towers = Towers { inputs: 12, towers: 3, middle: 8, outputs: 10 };
/// // The same computation, as three towers and as one grouped convolution.
/// assert_eq!(towers.simplified().num_params(), towers.reformulated().num_params());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Towers {
    /// Channels of the module's input.
    pub inputs: usize,
    /// Number of towers.
    pub towers: usize,
    /// Channels between the two convolutions of a tower.
    pub middle: usize,
    /// Channels that each tower gives.
    pub outputs: usize,
}

impl Towers {
    /// Figure 1: the module of Inception V3, with a tower of one 1 x 1 convolution, one with a 3 x 3 convolution, one
    /// with two, and one that pools.
    pub fn inception(&self) -> Graph {
        let (mut piece, x) = Piece::new("An Inception module", self.inputs);
        let Self {
            inputs,
            middle,
            outputs,
            ..
        } = *self;
        let one = piece.conv("tower1_1x1", [inputs, outputs], 1, 1, x);
        let two = piece.conv("tower2_1x1", [inputs, middle], 1, 1, x);
        let two = piece.conv("tower2_3x3", [middle, outputs], 3, 1, two);
        let three = piece.conv("tower3_1x1", [inputs, middle], 1, 1, x);
        let three = piece.conv("tower3_3x3_1", [middle, middle], 3, 1, three);
        let three = piece.conv("tower3_3x3_2", [middle, outputs], 3, 1, three);
        let pool = Op::Pool(Pool::average(3, 1, Padding::Same));
        let four = piece.net.layer(NewLayer::new("tower4_pool"), pool, &[x]);
        let four = piece.conv("tower4_1x1", [inputs, outputs], 1, 1, four);
        piece.concat(&[one, two, three, four])
    }

    /// Figure 2: every tower is a 1 x 1 and a 3 x 3 convolution.
    pub fn simplified(&self) -> Graph {
        let (mut piece, x) = Piece::new("A simplified Inception module", self.inputs);
        let towers = 1..=self.towers;
        let ends: Vec<NodeId> = towers
            .map(|tower| {
                let middle = piece.conv(&format!("tower{tower}_1x1"), [self.inputs, self.middle], 1, 1, x);
                piece.conv(&format!("tower{tower}_3x3"), [self.middle, self.outputs], 3, 1, middle)
            })
            .collect();
        piece.concat(&ends)
    }

    /// Figure 3: one 1 x 1 convolution with the outputs of all towers, and a 3 x 3 convolution of each segment of its
    /// channels: a grouped convolution. Its kernels are those of [`simplified`](Self::simplified), side by side along
    /// their outputs.
    pub fn reformulated(&self) -> Graph {
        let (mut piece, x) = Piece::new("A simplified Inception module, reformulated", self.inputs);
        let [middle, outputs] = [self.middle, self.outputs].map(|channels| channels * self.towers);
        let x = piece.conv("pointwise", [self.inputs, middle], 1, 1, x);
        let x = piece.conv("grouped", [middle, outputs], 3, self.towers, x);
        piece.finish(x)
    }
}

/// Figure 4: a 1 x 1 convolution, and a 3 x 3 convolution of each of its channels. `between` follows the first and the
/// second: `ReLU` in an Inception module, nothing in a separable convolution.
pub fn extreme(inputs: usize, outputs: usize, between: Option<Activation>) -> Graph {
    let (mut piece, x) = Piece::new("An extreme Inception module", inputs);
    piece.activation = between;
    let x = piece.conv("pointwise", [inputs, outputs], 1, 1, x);
    let x = piece.conv("depthwise", [outputs; 2], 3, outputs, x);
    piece.finish(x)
}

/// A graph under construction.
struct Piece {
    net: Builder,
    activation: Option<Activation>,
}

impl Piece {
    fn new(title: &str, inputs: usize) -> (Self, NodeId) {
        let (mut net, x) = Builder::new(title, inputs);
        net.block("module");
        let activation = Some(Activation::Relu);
        (Self { net, activation }, x)
    }

    fn conv(&mut self, name: &str, channels: [usize; 2], side: usize, groups: usize, x: NodeId) -> NodeId {
        let conv = Conv::new(channels, [side; 2], Padding::Same).with_groups(groups);
        let x = self.net.layer(NewLayer::new(name).at(name), Op::Conv(conv), &[x]);
        match self.activation {
            Some(activation) => self.net.part("", "", Op::Activation(activation), &[x]),
            None => x,
        }
    }

    fn concat(mut self, ends: &[NodeId]) -> Graph {
        let x = self.net.layer(NewLayer::new("concat"), Op::Concat, ends);
        self.finish(x)
    }

    fn finish(self, end: NodeId) -> Graph {
        let roles = Roles {
            feature_map: Some(end),
            ..Roles::default()
        };
        self.net.finish(roles, 1)
    }
}
