//! Operations of a training step on Burn's tensors: this crate's kernels, with their gradients, on the device `Flex`.
//!
//! A [`Unit`] is what the kernels compute as one operation of Burn's tape. It keeps its input alone for the backward
//! pass, and computes anew what lies between its stages. Maps between units stay channels-last in memory.

mod map;
mod node;
mod optimizer;
mod plan;
mod step;

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, backend_extension};
use burn::tensor::{DType, Device, Tensor};

use crate::extension::Operand;
use crate::ops::window::Padding;
use crate::simd::isa::Isa;
use crate::train::norm::Moments;
use map::{Map, vector};
pub use optimizer::{adamw_update, averaged, scaled, sgd_update, squared_norm};
use plan::Plan;

/// The environment variable that lets training run on Burn's operations, if it is `burn`.
const VARIABLE: &str = "KERNELS_TRAINING";

thread_local! {
    static BURN_OPERATIONS: Cell<bool> = const { Cell::new(false) };
}

/// Calls `work`, in which [`has_training_kernels`] finds no kernels: for comparison with Burn's operations. The
/// environment variable `KERNELS_TRAINING=burn` has the same effect on a whole process.
pub fn with_burn_operations<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            BURN_OPERATIONS.set(self.0);
        }
    }
    let _restore = Restore(BURN_OPERATIONS.replace(true));
    work()
}

fn burn_operations_are_asked_for() -> bool {
    static ASKED: OnceLock<bool> = OnceLock::new();
    let asked = || std::env::var(VARIABLE).is_ok_and(|value| value.eq_ignore_ascii_case("burn"));
    BURN_OPERATIONS.get() || *ASKED.get_or_init(asked)
}

/// Whether [`unit()`] has kernels for this tensor: `f32` on `Flex` with autodiff, unless Burn's operations are asked
/// for.
pub fn has_training_kernels(x: &Tensor<4>) -> bool {
    let device = x.device();
    device.is_autodiff() && device == Device::flex() && x.dtype() == DType::F32 && !burn_operations_are_asked_for()
}

/// Says that several operations read one tensor. Those given the same add their gradients in place.
#[derive(Clone, Debug, Default)]
pub struct SharedGradient(Arc<OnceLock<FloatTensor<Autodiff<Flex>>>>);

/// An input of a [`Unit`].
#[derive(Clone, Debug)]
pub struct Source {
    /// `[batch, channels, height, width]`.
    pub tensor: Tensor<4>,
    /// Given if other units read it.
    pub shared: Option<SharedGradient>,
    /// Given if the unit that computed it has measured it.
    pub measured: Option<Measured>,
}

impl From<Tensor<4>> for Source {
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
pub struct Measured(Arc<Moments>);

/// What a unit computes, stage by stage in this order. All stages may be absent.
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
    pub residual: Option<Source>,
    /// Whether to measure the output of the convolution, if it is the last stage: a norm comes next.
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
    /// What it normalises with.
    pub statistics: NormStatistics,
}

/// The statistics of a norm.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one is made for each norm of a step")]
pub enum NormStatistics {
    /// Those of the batch, which [`UnitOutput::statistics`] gives.
    Batch,
    /// Constants.
    Given {
        /// Of each channel.
        mean: Tensor<1>,
        /// Of each channel.
        variance: Tensor<1>,
    },
}

/// A convolution.
#[derive(Clone, Debug)]
pub struct UnitConvolution {
    /// `[outputs, inputs, height, width]`; `[channels, 1, height, width]` if depthwise.
    pub weights: Tensor<4>,
    /// A value for each output.
    pub bias: Option<Tensor<1>>,
    /// How it moves.
    pub window: Window,
}

/// How a window moves over a map.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Height and width.
    pub size: [usize; 2],
    /// Steps down and right.
    pub stride: [usize; 2],
    /// Distances between the taps.
    pub dilation: [usize; 2],
    /// What stands around the map.
    pub padding: Padding,
}

/// A pooling.
#[derive(Clone, Copy, Debug)]
pub enum UnitPool {
    /// The largest value of every window.
    Max(Window),
    /// The mean of every channel: a map of 1 x 1.
    GlobalAverage,
}

/// What a unit gives.
#[derive(Clone, Debug)]
pub struct UnitOutput {
    /// `[batch, channels, height, width]`, channels last in memory.
    pub output: Tensor<4>,
    /// Mean and biased variance of every channel of the input, if a norm took those of the batch.
    pub statistics: Option<[Tensor<1>; 2]>,
    /// For the [`Source`] of the next unit.
    pub measured: Option<Measured>,
}

/// Computes a unit; `None` where there are no kernels for it, or its shapes do not fit together.
///
/// Results agree with those of Burn's operations within rounding, NaN and infinities included, and so do gradients.
/// What needs no gradient costs none: a unit without trained parameters behind an input without gradient keeps nothing.
pub fn unit(x: Source, unit: Unit) -> Option<UnitOutput> {
    if !has_training_kernels(&x.tensor) {
        return None;
    }
    let plan = Plan::new(x.tensor.dims(), &unit, Isa::detect())?;
    let shared = [
        x.shared,
        unit.residual.as_ref().and_then(|residual| residual.shared.clone()),
    ];
    let operand = |tensor: Option<Tensor<4>>| tensor.map_or(Operand::Absent, |own| Operand::Given(own.into_dispatch()));
    let vector = |tensor: Option<Tensor<1>>| tensor.map_or(Operand::Absent, |own| Operand::Given(own.into_dispatch()));
    let (mut gamma, mut beta, mut mean, mut variance) = (None, None, None, None);
    if let Some(norm) = unit.norm {
        (gamma, beta) = (Some(norm.gamma), Some(norm.beta));
        if let NormStatistics::Given {
            mean: given,
            variance: with,
        } = norm.statistics
        {
            (mean, variance) = (Some(given), Some(with));
        }
    }
    let split = |conv: Option<UnitConvolution>| conv.map_or((None, None), |conv| (Some(conv.weights), conv.bias));
    let (depthwise, depthwise_bias) = split(unit.depthwise);
    let (weights, bias) = split(unit.convolution);
    let operands = TrainingOperands {
        x: x.tensor.into_dispatch(),
        gamma: vector(gamma),
        beta: vector(beta),
        depthwise: operand(depthwise),
        depthwise_bias: vector(depthwise_bias),
        weights: operand(weights),
        bias: vector(bias),
        residual: operand(unit.residual.map(|residual| residual.tensor)),
        mean: vector(mean),
        variance: vector(variance),
    };
    let measure = unit.measure.then(|| Arc::new(OnceLock::new()));
    let training = TrainingUnit {
        plan: Arc::new(plan),
        shared,
        measured: x.measured,
        measure: measure.clone(),
    };
    let found = <Dispatch as TrainingBackend>::training_unit(operands, training);
    let statistics = found.mean.into_option().zip(found.variance.into_option());
    Some(UnitOutput {
        output: Tensor::from_dispatch(found.y),
        statistics: statistics.map(|(mean, variance)| [Tensor::from_dispatch(mean), Tensor::from_dispatch(variance)]),
        measured: measure.and_then(|slot| slot.get().cloned()).map(Measured),
    })
}

/// The tensors of a unit.
#[derive(ExtensionType)]
pub struct TrainingOperands<B: Backend> {
    /// The input.
    pub x: FloatTensor<B>,
    /// The norm's factors.
    #[extension_type]
    pub gamma: Operand<B>,
    /// The norm's terms.
    #[extension_type]
    pub beta: Operand<B>,
    /// Weights of the depthwise convolution.
    #[extension_type]
    pub depthwise: Operand<B>,
    /// Its bias.
    #[extension_type]
    pub depthwise_bias: Operand<B>,
    /// Weights of the convolution.
    #[extension_type]
    pub weights: Operand<B>,
    /// Its bias.
    #[extension_type]
    pub bias: Operand<B>,
    /// Added to the output.
    #[extension_type]
    pub residual: Operand<B>,
    /// The norm's means, if given.
    #[extension_type]
    pub mean: Operand<B>,
    /// The norm's variances, if given.
    #[extension_type]
    pub variance: Operand<B>,
}

/// The tensors that a unit gives.
#[derive(ExtensionType)]
pub struct TrainingOutput<B: Backend> {
    /// The output.
    pub y: FloatTensor<B>,
    /// The batch's means.
    #[extension_type]
    pub mean: Operand<B>,
    /// The batch's variances.
    #[extension_type]
    pub variance: Operand<B>,
}

/// A unit whose shapes were checked.
#[derive(Clone, Debug)]
pub struct TrainingUnit {
    plan: Arc<Plan>,
    /// Of the input and of the residual.
    shared: [Option<SharedGradient>; 2],
    /// Of the input.
    measured: Option<Measured>,
    /// Where the moments of the output go.
    measure: Option<Arc<OnceLock<Arc<Moments>>>>,
}

/// The backend with kernels for training.
#[backend_extension(Flex, Autodiff)]
pub trait TrainingBackend: Backend {
    /// [`unit()`] on the backend's own tensors.
    fn training_unit(#[extension_type] operands: TrainingOperands<Self>, unit: TrainingUnit) -> TrainingOutput<Self>;
}

impl TrainingBackend for Flex {
    fn training_unit(operands: TrainingOperands<Self>, unit: TrainingUnit) -> TrainingOutput<Self> {
        let forward = step::forward(&unit, &inputs(operands), None);
        let (mean, variance) = statistics(forward.moments, |tensor| tensor);
        TrainingOutput {
            y: forward.output.into_tensor(),
            mean,
            variance,
        }
    }
}

fn inputs(operands: TrainingOperands<Flex>) -> step::Inputs {
    let values = |operand: Operand<Flex>| operand.into_option().map(|tensor| tensor.to_contiguous());
    step::Inputs {
        x: Map::from_tensor(operands.x),
        gamma: values(operands.gamma),
        beta: values(operands.beta),
        depthwise: values(operands.depthwise),
        depthwise_bias: values(operands.depthwise_bias),
        weights: values(operands.weights),
        bias: values(operands.bias),
        residual: operands.residual.into_option().map(Map::from_tensor),
        mean: values(operands.mean),
        variance: values(operands.variance),
    }
}

fn statistics<B: Backend>(
    moments: Option<Moments>,
    wrap: impl Fn(FlexTensor) -> FloatTensor<B>,
) -> (Operand<B>, Operand<B>) {
    match moments {
        None => (Operand::Absent, Operand::Absent),
        Some(moments) => {
            let given = |values| Operand::Given(wrap(vector(values)));
            (given(moments.mean), given(moments.variance))
        }
    }
}

impl<C: CheckpointStrategy> TrainingBackend for Autodiff<Flex, C> {
    fn training_unit(operands: TrainingOperands<Self>, unit: TrainingUnit) -> TrainingOutput<Self> {
        node::training_unit::<C>(operands, unit)
    }
}
