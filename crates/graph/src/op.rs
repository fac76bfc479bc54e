//! The operations.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// One operation of a network. Feature maps are `[batch, channels, height, width]`, vectors `[batch, features]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Op {
    /// The network's input: the picture.
    Input {
        /// Channels of the picture.
        channels: usize,
    },
    /// A convolution.
    Conv(Conv),
    /// Batch normalization.
    BatchNorm(BatchNorm),
    /// A function of each value.
    Activation(Activation),
    /// Pooling over windows.
    Pool(Pool),
    /// Pooling over the whole map.
    GlobalPool(GlobalPool),
    /// A fully-connected layer.
    Dense(Dense),
    /// A map flattened into one vector.
    Flatten {
        /// The axis that varies fastest: channels in Keras, columns in PyTorch.
        order: ChannelOrder,
    },
    /// A vector reshaped to a map of 1 x 1 (Keras `Reshape((1, 1, C))`).
    ToMap,
    /// Zeros around a map.
    Pad {
        /// Rows above, columns left, rows below, columns right.
        pads: [usize; 4],
    },
    /// A map without its borders.
    Crop {
        /// Rows above, columns left, rows below, columns right.
        crops: [usize; 4],
    },
    /// The sum of all inputs, which have one shape.
    Add,
    /// The product of two inputs of one shape, or of a map and a map of 1 x 1.
    Multiply,
    /// The channels of all inputs, concatenated.
    Concat,
    /// The channels of a map, or the features of a vector, with these numbers and in this order: `[2, 1, 0]` makes BGR
    /// of RGB (Keras `x[..., ::-1]`).
    Take {
        /// The number of each output channel in the input.
        channels: Vec<usize>,
    },
    /// `scale * x + shift` with constants that are not trained.
    ScaleShift(ScaleShift),
    /// Layer normalization (Ba 2016) over the channels of a vector, or of each pixel of a map:
    /// `(x - mean) / sqrt(variance + epsilon)`. Scale and shift follow as a [`ScaleShift`].
    LayerNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Group normalization (Wu 2018) over the channels of each group and all places of a map:
    /// `(x - mean) / sqrt(variance + epsilon)`. Groups of one channel make an instance normalization (Ulyanov 2016).
    /// Scale and shift follow as a [`ScaleShift`].
    GroupNorm {
        /// Number of groups of neighbouring channels.
        groups: usize,
        /// Added to the variance.
        epsilon: f64,
    },
    /// A map made this large.
    Resize {
        /// Height and width.
        size: [usize; 2],
        /// Which pixels a new pixel is made of.
        filter: Filter,
    },
    /// Values dropped at random in training; nothing otherwise.
    Dropout {
        /// The probability that a value is dropped.
        rate: f64,
    },
}

/// A convolution with a kernel `[out, in / groups, height, width]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Input and output channels.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Stride down and right.
    #[serde(default = "one")]
    pub stride: [usize; 2],
    /// Distance between the kernel's taps.
    #[serde(default = "one")]
    pub dilation: [usize; 2],
    /// Number of channel groups that are convolved separately; equal to the number of channels in a depthwise
    /// convolution.
    #[serde(default = "single")]
    pub groups: usize,
    /// Whether the convolution adds a bias.
    #[serde(default)]
    pub bias: bool,
    /// Padding around the map.
    pub padding: Padding,
}

impl Conv {
    /// A convolution of stride 1 without bias, dilation or groups.
    pub const fn new(channels: [usize; 2], kernel: [usize; 2], padding: Padding) -> Self {
        Self {
            channels,
            kernel,
            stride: [1; 2],
            dilation: [1; 2],
            groups: 1,
            bias: false,
            padding,
        }
    }

    /// Sets the stride of both axes.
    #[must_use]
    pub const fn with_stride(mut self, stride: usize) -> Self {
        self.stride = [stride; 2];
        self
    }

    /// Sets the dilation of both axes.
    #[must_use]
    pub const fn with_dilation(mut self, dilation: usize) -> Self {
        self.dilation = [dilation; 2];
        self
    }

    /// Sets the number of groups.
    #[must_use]
    pub const fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Sets whether there is a bias.
    #[must_use]
    pub const fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Whether there are several channels and each is convolved separately.
    pub const fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.channels[0]
    }

    /// Whether the kernel is 1 x 1 and there is one group.
    pub const fn is_pointwise(&self) -> bool {
        self.kernel[0] == 1 && self.kernel[1] == 1 && self.groups == 1
    }
}

fn one() -> [usize; 2] {
    [1; 2]
}

const fn single() -> usize {
    1
}

/// Padding around a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// No padding.
    Valid,
    /// Keras's `same`: `ceil(size / stride)` outputs; an odd pixel of padding goes to the end
    /// (`tensorflow/core/framework/kernel_shape_util.cc`, `GetWindowedOutputSizeVerbose`).
    Same,
    /// Rows above, columns left, rows below, columns right.
    Explicit([usize; 4]),
}

impl Padding {
    /// Equal padding on every side.
    pub const fn symmetric(pixels: usize) -> Self {
        Self::Explicit([pixels; 4])
    }

    /// Padding before and after along one axis (0 down, 1 right), or `None` if a number overflows.
    pub fn along(self, axis: usize, size: usize, kernel: usize, stride: usize, dilation: usize) -> Option<[usize; 2]> {
        Some(match self {
            Self::Valid => [0; 2],
            Self::Explicit(pads) => [pads[axis], pads[axis + 2]],
            Self::Same => {
                let reach = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
                let outputs = size.div_ceil(stride.max(1));
                let needed = outputs.checked_sub(1)?.checked_mul(stride)?.checked_add(reach)?;
                let total = needed.saturating_sub(size);
                [total / 2, total - total / 2]
            }
        })
    }

    /// Padding `[top, left, bottom, right]` for a map of `size`, or `None` if a number overflows.
    pub fn pads(
        self,
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> Option<[usize; 4]> {
        let along = |axis: usize| self.along(axis, size[axis], kernel[axis], stride[axis], dilation[axis]);
        let [[top, bottom], [left, right]] = [along(0)?, along(1)?];
        Some([top, left, bottom, right])
    }
}

/// Batch normalization: `gamma * (x - mean) / sqrt(variance + epsilon) + beta`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Channels of the map, or features of the vector.
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Weight of a new batch in the running statistics, PyTorch's and Burn's sense: 1 minus Keras's momentum.
    pub momentum: f64,
    /// Whether there is a gamma.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub scale: bool,
    /// Whether there is a beta.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub center: bool,
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// A function of each value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x` above zero, `slope * x` below.
    LeakyRelu {
        /// The slope below zero.
        slope: f64,
    },
    /// `x` above zero, `alpha * (exp(x) - 1)` below.
    Elu {
        /// The limit below zero.
        alpha: f64,
    },
    /// Scaled exponential linear unit (Klambauer 2017).
    Selu,
    /// `x * sigmoid(x)`, also called `SiLU`.
    Swish,
    /// `x * hard_sigmoid(x)`.
    HardSwish,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `min(max(slope * x + 0.5, 0), 1)`: slope 1/6 in Keras 3 and PyTorch, 0.2 in Keras 1 and 2.
    HardSigmoid {
        /// The slope.
        slope: f64,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// Gaussian error linear unit.
    Gelu {
        /// Whether the approximation with a hyperbolic tangent is used.
        approximate: bool,
    },
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x / (1 + abs(x))`.
    Softsign,
    /// `x * tanh(softplus(x))`.
    Mish,
    /// `exp(x)`.
    Exponential,
    /// `x^exponent`.
    Power {
        /// The exponent.
        exponent: f64,
    },
    /// `min(max(x, min), max)`.
    Clip {
        /// The smallest value.
        min: f64,
        /// The largest value.
        max: f64,
    },
    /// Softmax over the features of a vector, or over the channels of a map.
    Softmax,
    /// The logarithm of the softmax.
    LogSoftmax,
}

/// What a pooling computes from a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolKind {
    /// The mean.
    Average,
    /// The largest value.
    Max,
}

/// Pooling over windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Mean or largest value.
    pub kind: PoolKind,
    /// Height and width of the window.
    pub window: [usize; 2],
    /// Stride down and right.
    pub stride: [usize; 2],
    /// Distance between the window's taps.
    #[serde(default = "one")]
    pub dilation: [usize; 2],
    /// Padding around the map. A padded pixel never wins a maximum.
    pub padding: Padding,
    /// Whether a mean counts padded pixels: no in Keras, yes by default in PyTorch.
    #[serde(default)]
    pub count_padding: bool,
}

impl Pool {
    /// A max pooling.
    pub const fn max(window: usize, stride: usize, padding: Padding) -> Self {
        Self {
            kind: PoolKind::Max,
            window: [window; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            padding,
            count_padding: false,
        }
    }

    /// An average pooling that leaves padding out of the mean.
    pub const fn average(window: usize, stride: usize, padding: Padding) -> Self {
        Self {
            kind: PoolKind::Average,
            ..Self::max(window, stride, padding)
        }
    }

    /// Sets the dilation of both axes.
    #[must_use]
    pub const fn with_dilation(mut self, dilation: usize) -> Self {
        self.dilation = [dilation; 2];
        self
    }
}

/// How a map is resized. The middle of each new pixel is looked up in the old map, whose last rows and columns go on
/// beyond its edges (TensorFlow's `half_pixel_centers`, PyTorch's `align_corners=False`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The pixel in which the middle lies.
    Nearest,
    /// The four pixels around the middle, by their distance.
    Bilinear,
}

impl Filter {
    /// For each new pixel along an axis: the first and the last old pixel that it is made of, and the weight of the
    /// last one.
    pub fn taps(self, from: usize, to: usize) -> Vec<(usize, usize, f64)> {
        let last = from.saturating_sub(1);
        let tap = |at: usize| match self {
            // In whole numbers: the middle of a new pixel may be an edge of an old one.
            Self::Nearest => {
                let old = ((2 * at + 1) * from / (2 * to)).min(last);
                (old, old, 0.0)
            }
            Self::Bilinear => {
                // Never negative and below 2^24, so the cast only drops the fraction.
                let middle = ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, last as f64);
                let first = middle as usize;
                (first, (first + 1).min(last), middle - first as f64)
            }
        };
        (0..to).map(tap).collect()
    }
}

/// Pooling over the whole map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalPool {
    /// Mean or largest value.
    pub kind: PoolKind,
    /// Whether the output is a map of 1 x 1 (Keras `keepdims`) instead of a vector.
    #[serde(default)]
    pub keep_dims: bool,
}

/// A fully-connected layer with weights `[in, out]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Input and output features.
    pub features: [usize; 2],
    /// Whether the layer adds a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
}

/// The order in which a map's values become a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelOrder {
    /// Channels vary fastest (Keras, TensorFlow).
    ChannelsLast,
    /// Columns vary fastest (PyTorch).
    ChannelsFirst,
}

/// `scale * x + shift`: one number for all channels, or one for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleShift {
    /// One scale for all channels, or one for each.
    pub scale: Vec<f64>,
    /// One shift for all channels, or one for each.
    pub shift: Vec<f64>,
}

impl ScaleShift {
    /// One scale and one shift for all channels.
    pub fn new(scale: f64, shift: f64) -> Self {
        Self {
            scale: alloc::vec![scale],
            shift: alloc::vec![shift],
        }
    }

    /// Applies `self` first, then `next`; `None` if both are for single channels and the numbers of channels differ.
    #[must_use]
    pub fn then(&self, next: &Self) -> Option<Self> {
        let scale = each(&self.scale, &next.scale, |a, b| a * b)?;
        let shift = each(&each(&self.shift, &next.scale, |a, b| a * b)?, &next.shift, |a, b| {
            a + b
        })?;
        Some(Self { scale, shift })
    }

    /// The scale of a channel.
    pub fn scale_of(&self, channel: usize) -> f64 {
        broadcast(&self.scale, channel)
    }

    /// The shift of a channel.
    pub fn shift_of(&self, channel: usize) -> f64 {
        broadcast(&self.shift, channel)
    }
}

fn broadcast(values: &[f64], channel: usize) -> f64 {
    match values {
        [one] => *one,
        many => many.get(channel).copied().unwrap_or(0.0),
    }
}

fn each(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Option<Vec<f64>> {
    let count = a.len().max(b.len());
    let fits = |values: &[f64]| values.len() == 1 || values.len() == count;
    (fits(a) && fits(b)).then(|| (0..count).map(|at| f(broadcast(a, at), broadcast(b, at))).collect())
}

impl Op {
    /// The operation's name in messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Input { .. } => "input",
            Self::Conv(_) => "convolution",
            Self::BatchNorm(_) => "batch norm",
            Self::Activation(_) => "activation",
            Self::Pool(_) => "pooling",
            Self::GlobalPool(_) => "global pooling",
            Self::Dense(_) => "dense layer",
            Self::Flatten { .. } => "flatten",
            Self::ToMap => "reshape to a map",
            Self::Pad { .. } => "zero padding",
            Self::Crop { .. } => "cropping",
            Self::Add => "sum",
            Self::Multiply => "product",
            Self::Concat => "concatenation",
            Self::Take { .. } => "choice of channels",
            Self::ScaleShift(_) => "scale and shift",
            Self::LayerNorm { .. } => "layer norm",
            Self::GroupNorm { .. } => "group norm",
            Self::Resize { .. } => "resizing",
            Self::Dropout { .. } => "dropout",
        }
    }

    /// The smallest and the largest number of inputs.
    pub(crate) const fn arity(&self) -> (usize, usize) {
        match self {
            Self::Input { .. } => (0, 0),
            Self::Add | Self::Concat => (2, 64),
            Self::Multiply => (2, 2),
            _ => (1, 1),
        }
    }

    /// Whether the order of the inputs makes no difference.
    pub(crate) const fn is_commutative(&self) -> bool {
        matches!(self, Self::Add | Self::Multiply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keras_puts_the_odd_pixel_at_the_end() {
        assert_eq!(Padding::Same.along(0, 74, 3, 2, 1), Some([0, 1]));
        assert_eq!(Padding::Same.along(0, 37, 3, 2, 1), Some([1, 1]));
        assert_eq!(Padding::symmetric(1).along(0, 74, 3, 2, 1), Some([1, 1]));
        for dilation in [1, 2] {
            assert_eq!(Padding::Same.along(1, 19, 3, 1, dilation), Some([dilation; 2]));
        }
    }

    #[test]
    fn a_clip_has_bounds_in_order() {
        let check = |min: f64, max: f64| Op::Activation(Activation::Clip { min, max }).check();
        assert_eq!(check(-1.0, 1.0), Ok(()));
        for (min, max) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            assert!(check(min, max).is_err(), "{min} to {max}");
        }
    }

    /// `tf.image.resize(np.arange(2.0).reshape(1, 2, 1, 1), (5, 1))` and with `method="nearest"`.
    #[test]
    fn a_resized_axis_has_the_taps_of_tensorflow() {
        let at = |filter: Filter, from: usize, to: usize| -> Vec<f64> {
            let taps = filter.taps(from, to).into_iter();
            taps.map(|(first, last, weight)| first as f64 * (1.0 - weight) + last as f64 * weight)
                .collect()
        };
        assert_eq!(at(Filter::Nearest, 2, 5), [0.0, 0.0, 1.0, 1.0, 1.0]);
        let expected = [0.0, 0.1, 0.5, 0.9, 1.0];
        for (found, expected) in at(Filter::Bilinear, 2, 5).into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-7, "{found}, {expected}");
        }
        assert_eq!(at(Filter::Nearest, 3, 6), [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]);
        assert_eq!(at(Filter::Nearest, 4, 2), [1.0, 3.0]);
    }

    #[test]
    fn scalings_are_composed_in_order() {
        let first = ScaleShift::new(2.0, 1.0);
        let second = ScaleShift {
            scale: alloc::vec![1.0, 3.0],
            shift: alloc::vec![0.5],
        };
        let both = first.then(&second).unwrap();
        assert_eq!(both.scale, [2.0, 6.0]);
        assert_eq!(both.shift, [1.5, 3.5]);
    }
}
