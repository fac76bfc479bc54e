//! A unit's kernels for the sizes of its maps.

use burn::tensor::Tensor;

use super::unit::{NormStatistics, Unit, UnitConvolution, UnitPool, Window};
use crate::simd::isa::Isa;
use crate::train::max_pool::MaxPool;
use crate::train::{Convolution, Depthwise, Geometry};

/// A unit's kernels for the sizes of its maps.
pub(super) struct UnitPlan {
    pub isa: Isa,
    /// The input, `[batch, height, width, channels]`.
    pub input: [usize; 4],
    pub norm: Option<NormPlan>,
    pub relu: bool,
    pub depthwise: Option<UnitKernel<Depthwise>>,
    pub convolution: Option<UnitKernel<Convolution>>,
    pub pool: Option<UnitKernel<Pool>>,
    /// The output, `[batch, height, width, channels]`.
    pub output: [usize; 4],
}

#[derive(Clone, Copy)]
pub(super) struct NormPlan {
    pub epsilon: f64,
    /// Whether the norm takes the statistics of the batch.
    pub batch: bool,
}

/// The kernel of a unit's part, and the size of its output.
pub(super) struct UnitKernel<T> {
    pub op: T,
    /// `[batch, height, width, channels]`.
    pub output: [usize; 4],
}

#[allow(clippy::large_enum_variant, reason = "one for each unit")]
pub(super) enum Pool {
    Max(Box<MaxPool>),
    GlobalAverage,
}

impl core::fmt::Debug for UnitPlan {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UnitPlan")
            .field("input", &self.input)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl UnitPlan {
    /// `None` if shapes do not fit together, or a part has no kernel.
    pub(super) fn new([batch, channels, height, width]: [usize; 4], unit: &Unit, isa: Isa) -> Option<Self> {
        let input = [batch, height, width, channels];
        if input.contains(&0) {
            return None;
        }
        let is_vector = |tensor: &Tensor<1>, len: usize| tensor.dims() == [len];
        let norm = match &unit.norm {
            None => None,
            Some(norm) => {
                let given = match &norm.statistics {
                    NormStatistics::Batch => true,
                    NormStatistics::Given { mean, variance } => {
                        is_vector(mean, channels) && is_vector(variance, channels)
                    }
                };
                if !(given && is_vector(&norm.gamma, channels) && is_vector(&norm.beta, channels)) {
                    return None;
                }
                Some(NormPlan {
                    epsilon: norm.epsilon,
                    batch: matches!(norm.statistics, NormStatistics::Batch),
                })
            }
        };
        let fits = |conv: &UnitConvolution, outputs: usize, inputs: usize| {
            let [height, width] = conv.window.size;
            conv.weights.dims() == [outputs, inputs, height, width]
                && conv.bias.as_ref().is_none_or(|bias| is_vector(bias, outputs))
        };
        let mut output = input;
        let mut depthwise = None;
        if let Some(conv) = &unit.depthwise {
            let op = Depthwise::new(&geometry(output, channels, &conv.window), isa).ok()?;
            output = sized(op.output_size(), batch, channels);
            depthwise = fits(conv, channels, 1).then_some(UnitKernel { op, output });
            depthwise.as_ref()?;
        }
        let mut convolution = None;
        if let Some(conv) = &unit.convolution {
            let [outputs, ..] = conv.weights.dims();
            let op = Convolution::new(&geometry(output, outputs, &conv.window), isa).ok()?;
            output = sized(op.output_size(), batch, outputs);
            convolution = fits(conv, outputs, channels).then_some(UnitKernel { op, output });
            convolution.as_ref()?;
        }
        let [.., channels] = output;
        let pool = match &unit.pool {
            None => None,
            Some(UnitPool::GlobalAverage) => {
                output = sized([1; 2], batch, channels);
                Some(UnitKernel {
                    op: Pool::GlobalAverage,
                    output,
                })
            }
            Some(UnitPool::Max(window)) => {
                let op = MaxPool::new(&geometry(output, channels, window), isa).ok()?;
                output = sized(op.output_size(), batch, channels);
                let op = Pool::Max(Box::new(op));
                Some(UnitKernel { op, output })
            }
        };
        if let Some(residual) = &unit.residual {
            let [_, height, width, channels] = output;
            if residual.tensor.dims() != [batch, channels, height, width] {
                return None;
            }
        }
        Some(Self {
            isa,
            input,
            norm,
            relu: unit.relu,
            depthwise,
            convolution,
            pool,
            output,
        })
    }

    pub(super) fn channels(&self) -> usize {
        self.input[3]
    }

    /// Whether a norm or a `ReLU` comes first.
    pub(super) fn is_normed(&self) -> bool {
        self.norm.is_some() || self.relu
    }

    /// Whether there is a part between norm and residual.
    pub(super) fn has_parts(&self) -> bool {
        self.depthwise.is_some() || self.convolution.is_some() || self.pool.is_some()
    }
}

fn geometry([batch, height, width, inputs]: [usize; 4], outputs: usize, window: &Window) -> Geometry {
    Geometry {
        batch,
        size: [height, width],
        inputs,
        outputs,
        kernel: window.size,
        stride: window.stride,
        dilation: window.dilation,
        padding: window.padding,
    }
}

fn sized([height, width]: [usize; 2], batch: usize, channels: usize) -> [usize; 4] {
    [batch, height, width, channels]
}

/// Number of values of a map.
pub(super) fn volume(shape: [usize; 4]) -> usize {
    shape.iter().product()
}
