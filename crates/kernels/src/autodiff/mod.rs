//! Operations of a training step on Burn's tensors: this crate's kernels, with their gradients, on the device `Flex`.
//!
//! A [`Unit`] is what the kernels compute as one operation of Burn's tape. A unit keeps only its input for the backward
//! pass, and computes the maps between its parts again. Maps between units stay channels-last in memory.

mod map;
mod node;
mod operands;
mod optimizer;
mod plan;
mod step;
mod unit;

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Device, Tensor};

use crate::extension::Operand;
use crate::simd::isa::Isa;
use operands::statistics;
pub use operands::{TrainingOperands, TrainingOutput, TrainingUnit};
pub use optimizer::{adamw_update, averaged, scaled, sgd_update, squared_norm};
use plan::UnitPlan;
pub use unit::{
    Measured, Norm, NormStatistics, SharedGradient, Unit, UnitConvolution, UnitInput, UnitOutput, UnitPool, Window,
};

/// If this environment variable is `burn`, training runs on Burn's operations.
const VARIABLE: &str = "KERNELS_TRAINING";

thread_local! {
    static BURN_OPERATIONS: Cell<bool> = const { Cell::new(false) };
}

/// Calls `work`. Within `work`, [`has_training_kernels`] finds no kernels, so that results can be compared with Burn's
/// operations. The environment variable `KERNELS_TRAINING=burn` has the same effect on a whole process.
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

/// Whether [`unit()`] has kernels for this tensor: `f32` on `Flex` with autodiff, unless Burn's operations were
/// requested.
pub fn has_training_kernels(x: &Tensor<4>) -> bool {
    let device = x.device();
    device.is_autodiff() && device == Device::flex() && x.dtype() == DType::F32 && !burn_operations_are_asked_for()
}

/// Computes a unit; `None` if there are no kernels for the unit, or its shapes do not fit together.
///
/// Burn's operations give the same results and gradients within rounding, NaN and infinities included. Only
/// gradients that are needed cost anything: a unit without trained parameters after an input without gradient keeps
/// nothing.
pub fn unit(x: UnitInput, unit: Unit) -> Option<UnitOutput> {
    if !has_training_kernels(&x.tensor) {
        return None;
    }
    let plan = UnitPlan::new(x.tensor.dims(), &unit, Isa::detect())?;
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

/// The backend with kernels for training.
#[backend_extension(Flex, Autodiff)]
pub trait TrainingBackend: Backend {
    /// [`unit()`] on the backend's own tensors.
    fn training_unit(#[extension_type] operands: TrainingOperands<Self>, unit: TrainingUnit) -> TrainingOutput<Self>;
}

impl TrainingBackend for Flex {
    fn training_unit(operands: TrainingOperands<Self>, unit: TrainingUnit) -> TrainingOutput<Self> {
        let forward = step::forward(&unit, &operands.into(), None);
        let (mean, variance) = statistics(forward.moments, |tensor| tensor);
        TrainingOutput {
            y: forward.output.into_tensor(),
            mean,
            variance,
        }
    }
}

impl<C: CheckpointStrategy> TrainingBackend for Autodiff<Flex, C> {
    fn training_unit(operands: TrainingOperands<Self>, unit: TrainingUnit) -> TrainingOutput<Self> {
        node::training_unit::<C>(operands, unit)
    }
}
