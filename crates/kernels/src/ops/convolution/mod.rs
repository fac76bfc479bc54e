//! Ordinary convolutions: any kernel, stride, dilation and padding; bias, residual sum and activation in the epilogue.

mod run;

use super::op::Maps;
use super::window::{Padding, Side, WindowShape};
use crate::activation::Activation;
use crate::error::{Error, volume};
use crate::gemm::packed::PackedMatrix;
use crate::gemm::winograd::Winograd;
use crate::memory::buffer::Buffer;
use crate::plan::cut::Machine;
use crate::value::Value;

/// The name in errors.
const NAME: &str = "convolution";

/// A convolution: `activation(convolve(input) + bias + residual)`.
///
/// ```
/// use kernels::{Activation, Convolution, Isa, Network, Padding};
///
/// # fn main() -> Result<(), kernels::Error> {
/// let mut network = Network::new(3, Isa::detect())?;
/// let weights = [0.1; 8 * 27];
/// let map = network.convolution(Convolution {
///     stride: [2; 2],
///     padding: Padding::Same,
///     activation: Activation::Relu,
///     ..Convolution::new(network.input(), &weights, 8, [3; 2])
/// })?;
/// assert_eq!(network.size(map, [9, 9])?, [5, 5]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Convolution<'a> {
    /// Any value, the picture included.
    pub input: Value,
    /// `[outputs, inputs / groups, height, width]`.
    pub weights: &'a [f32],
    /// One value for each output.
    pub bias: Option<&'a [f32]>,
    /// Output channels.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps along height and width.
    pub stride: [usize; 2],
    /// Pixels beyond the edge, which count as 0.
    pub padding: Padding,
    /// Distances between the taps along height and width.
    pub dilation: [usize; 2],
    /// 1, or the number of channels for a depthwise convolution, which has as many outputs.
    pub groups: usize,
    /// Added before the activation; of the size of the output.
    pub residual: Option<Value>,
    /// Applied last.
    pub activation: Activation,
}

impl<'a> Convolution<'a> {
    /// A convolution of stride 1 without bias, padding, dilation, groups, residual and activation.
    pub const fn new(input: Value, weights: &'a [f32], outputs: usize, kernel: [usize; 2]) -> Self {
        Self {
            input,
            weights,
            bias: None,
            outputs,
            kernel,
            stride: [1; 2],
            padding: Padding::VALID,
            dilation: [1; 2],
            groups: 1,
            residual: None,
            activation: Activation::None,
        }
    }
}

/// The shape of a convolution, to ask whether there is a kernel for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionShape {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Groups of channels.
    pub groups: usize,
}

impl ConvolutionShape {
    /// Whether there is a kernel: one group, or a group for each channel with one output. Every kernel size, stride,
    /// dilation, padding, residual and activation is supported.
    pub const fn is_supported(&self) -> bool {
        self.groups == 1 || self.is_depthwise()
    }

    pub(crate) const fn is_depthwise(&self) -> bool {
        self.groups == self.inputs && self.inputs == self.outputs
    }
}

/// Windows that are gathered at a time.
const GATHERED: usize = 28;

/// Outputs along a row below which windows are gathered, so that a tile holds pixels of several rows.
const NARROW: usize = 7;

/// Pixels below which a job with large weights is not cut further.
const FEWEST_PIXELS: usize = 48;

/// A packed convolution.
pub(crate) struct ConvolutionOp {
    window: WindowShape,
    /// Values from an input pixel to the next.
    step: usize,
    weights: PackedMatrix,
    /// The same with fewer multiplications, where that is possible.
    winograd: Option<Winograd>,
    activation: Activation,
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// 1 x 1 without stride: all pixels are one row.
    Pointwise,
    /// 3 x 3 with fewer multiplications.
    Winograd,
    /// Windows are read where they lie.
    Direct,
    /// Rows are copied with a border of zeros, and windows are read from the copy.
    Bordered,
    /// Windows are copied one after the other.
    Gathered,
}

impl ConvolutionOp {
    /// Packs checked weights. `step` is the distance between input pixels, which in a map are whole cache lines.
    pub(crate) fn new(
        mut zeros: impl FnMut(usize) -> Buffer,
        convolution: &Convolution<'_>,
        channels: usize,
        step: usize,
        is_map: bool,
    ) -> Result<Self, Error> {
        let Convolution {
            weights,
            bias,
            outputs,
            kernel: [height, width],
            ..
        } = *convolution;
        let window = WindowShape {
            taps: convolution.kernel,
            stride: convolution.stride,
            dilation: convolution.dilation,
            padding: convolution.padding,
        };
        let taps = volume(&[height, width])?;
        let plain = window.taps == [3; 2] && window.stride == [1; 2] && window.dilation == [1; 2];
        let winograd = if plain && is_map {
            Winograd::new(&mut zeros, weights, bias, [channels, outputs])?
        } else {
            None
        };
        let weights = PackedMatrix::new(zeros, volume(&[taps, step])?, outputs, bias, |panel, values| {
            for (lane, output) in panel.enumerate() {
                for (channel, kernel) in weights[output * channels * taps..][..channels * taps]
                    .chunks_exact(taps)
                    .enumerate()
                {
                    for (tap, &weight) in kernel.iter().enumerate() {
                        values[tap * step + channel][lane] = weight;
                    }
                }
            }
        })?;
        Ok(Self {
            window,
            step,
            weights,
            winograd,
            activation: convolution.activation,
        })
    }

    fn sides(&self, maps: &Maps) -> [Side; 2] {
        self.window.checked_sides(maps.input())
    }

    fn method(&self, maps: &Maps) -> Method {
        let [rows, columns] = self.sides(maps);
        let border = [&rows, &columns].iter().any(|side| side.before > 0 || side.after > 0);
        match self.window {
            WindowShape {
                taps: [1, 1],
                stride: [1, 1],
                ..
            } if !border => Method::Pointwise,
            _ if self.winograd.is_some() && rows.before <= 2 && columns.before <= 2 => Method::Winograd,
            WindowShape { dilation: [1, 1], .. } if !border => Method::Direct,
            WindowShape { dilation: [1, 1], .. }
                if columns.outputs >= NARROW && self.has_small_border(&rows, &columns) =>
            {
                Method::Bordered
            }
            _ => Method::Gathered,
        }
    }

    /// Whether the border is narrower than the window, as in every network in use.
    fn has_small_border(&self, rows: &Side, columns: &Side) -> bool {
        let [height, width] = self.window.taps.map(|taps| taps as u128);
        rows.before < height && rows.after < height && columns.before < width && columns.after < width
    }

    /// Values of a copied row.
    fn bordered_row(&self, columns: usize) -> usize {
        ((columns - 1) * self.window.stride[1] + self.window.taps[1]) * self.step
    }

    /// Output rows whose copied input rows stay in the second-level cache.
    fn bordered_rows(&self, columns: usize, machine: Machine) -> usize {
        let rows = machine.working_set() / 2 / size_of::<f32>() / self.bordered_row(columns);
        let [taps, stride] = [self.window.taps[0], self.window.stride[0]];
        (rows.saturating_sub(taps) / stride + 1).max(1)
    }
}
