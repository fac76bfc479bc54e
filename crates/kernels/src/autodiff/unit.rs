//! The description of a unit, on Burn's tensors.

use std::sync::{Arc, OnceLock};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;

use crate::ops::window::Padding;
use crate::train::norm::Moments;

/// Marks one tensor that several operations read. Operations with the same mark add their gradients in place.
#[derive(Clone, Debug, Default)]
pub struct SharedGradient(pub(super) Arc<OnceLock<FloatTensor<Autodiff<Flex>>>>);

/// An input of a [`Unit`].
#[derive(Clone, Debug)]
pub struct UnitInput {
    /// `[batch, channels, height, width]`.
    pub tensor: Tensor<4>,
    /// Given if other units read the tensor.
    pub shared: Option<SharedGradient>,
    /// Given if the unit that computed the tensor has measured it.
    pub measured: Option<Measured>,
}

impl From<Tensor<4>> for UnitInput {
    fn from(tensor: Tensor<4>) -> Self {
        Self {
            tensor,
            shared: None,
            measured: None,
        }
    }
}

/// Mean and variance of every channel of a map.
#[derive(Clone, Debug)]
pub struct Measured(pub(super) Arc<Moments>);

/// What a unit computes, part by part in this order. All parts may be absent.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// A batch norm.
    pub norm: Option<Norm>,
    /// A `ReLU`.
    pub relu: bool,
    /// A depthwise convolution.
    pub depthwise: Option<UnitConvolution>,
    /// A convolution of all channels.
    pub convolution: Option<UnitConvolution>,
    /// A pooling.
    pub pool: Option<UnitPool>,
    /// A map that is added.
    pub residual: Option<UnitInput>,
    /// Whether to measure the output of the convolution, because a norm comes next. Only if the convolution is the last
    /// part.
    pub measure: bool,
}

/// A batch norm.
#[derive(Clone, Debug)]
pub struct Norm {
    /// The factor of each channel.
    pub gamma: Tensor<1>,
    /// The term of each channel.
    pub beta: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
    /// The statistics that the norm uses.
    pub statistics: NormStatistics,
}

/// The statistics of a norm.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one is made for each norm of a step")]
pub enum NormStatistics {
    /// Mean and variance of the batch; [`UnitOutput::statistics`] returns them.
    Batch,
    /// Constant statistics.
    Given {
        /// The mean of each channel.
        mean: Tensor<1>,
        /// The variance of each channel.
        variance: Tensor<1>,
    },
}

/// A convolution.
#[derive(Clone, Debug)]
pub struct UnitConvolution {
    /// `[outputs, inputs, height, width]`; `[channels, 1, height, width]` if depthwise.
    pub weights: Tensor<4>,
    /// One value for each output.
    pub bias: Option<Tensor<1>>,
    /// How the window moves.
    pub window: Window,
}

/// How a window moves over a map.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Height and width.
    pub size: [usize; 2],
    /// Pixels from one window to the next, down and to the right.
    pub stride: [usize; 2],
    /// Pixels from one tap to the next.
    pub dilation: [usize; 2],
    /// The padding around the map.
    pub padding: Padding,
}

/// A pooling.
#[derive(Clone, Copy, Debug)]
pub enum UnitPool {
    /// The largest value of each window.
    Max(Window),
    /// The mean of each channel: a map of 1 x 1.
    GlobalAverage,
}

/// The result of a unit.
#[derive(Clone, Debug)]
pub struct UnitOutput {
    /// `[batch, channels, height, width]`, channels last in memory.
    pub output: Tensor<4>,
    /// Mean and biased variance of each channel of the input, if the norm's statistics are the batch's.
    pub statistics: Option<[Tensor<1>; 2]>,
    /// For the [`UnitInput`] of the next unit.
    pub measured: Option<Measured>,
}
