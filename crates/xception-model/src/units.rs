//! A graph computed by units of training kernels, with Burn's operations where no kernel exists.
//!
//! The walk holds operations back until it knows what follows them, and computes them together as one [`Unit`].

use alloc::vec;
use alloc::vec::Vec;

use burn::nn::BatchNorm;
use burn::tensor::Tensor;
use graph::{Activation, Conv, Op, Padding, Pool, PoolKind};
use kernels::{
    Measured, Norm, NormStatistics, SharedGradient, Unit, UnitConvolution, UnitInput, UnitPool, Window,
    has_training_kernels, unit,
};

use crate::feature::Feature;
use crate::operations::apply;
use crate::parameters::Parameters;

/// Whether kernels compute the operations that read this feature.
pub(crate) fn are_for(feature: &Feature) -> bool {
    matches!(feature, Feature::Map(map) if has_training_kernels(map))
}

/// An output, or the operations that compute it.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "a few at a time")]
pub(crate) enum Deferred<'a> {
    Feature(Feature, Option<SharedGradient>),
    Pending(Pending<'a>),
}

/// Operations that are computed together, as one unit.
#[derive(Clone)]
pub(crate) struct Pending<'a> {
    x: UnitInput,
    /// At most one operation for each part, in the order of the parts.
    ops: Vec<(UnitPart, &'a Op, &'a Parameters)>,
    residual: Option<UnitInput>,
}

/// The parts of a unit, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum UnitPart {
    Norm,
    Relu,
    Depthwise,
    Convolution,
    Pool,
    Residual,
}

impl UnitPart {
    /// The part that computes an operation with one input.
    fn of(op: &Op) -> Option<Self> {
        match op {
            Op::BatchNorm(_) => Some(Self::Norm),
            Op::Activation(Activation::Relu) => Some(Self::Relu),
            Op::Conv(conv) if conv.groups == 1 => Some(Self::Convolution),
            Op::Conv(conv) if conv.is_depthwise() && conv.channels[0] == conv.channels[1] => Some(Self::Depthwise),
            Op::Pool(pool) if pool.kind == PoolKind::Max => Some(Self::Pool),
            Op::GlobalPool(pool) if pool.kind == PoolKind::Average => Some(Self::Pool),
            _ => None,
        }
    }
}

impl<'a> Deferred<'a> {
    /// An output. `is_shared` says that several operations read it.
    pub fn new(feature: Feature, is_shared: bool) -> Self {
        Self::Feature(feature, is_shared.then(SharedGradient::default))
    }

    /// The output itself.
    pub fn into_feature(self) -> Feature {
        match self {
            Self::Feature(feature, _) => feature,
            Self::Pending(pending) => pending.compute(false).0,
        }
    }

    /// Applies one operation, now or later.
    pub fn apply(op: &'a Op, parameters: &'a Parameters, inputs: Vec<Self>) -> Self {
        if matches!(op, Op::Add) && inputs.iter().all(Self::is_map) {
            let sum = inputs.into_iter().reduce(|sum, input| sum.plus(op, parameters, input));
            return sum.expect("a validated graph has all inputs");
        }
        let Some(part) = UnitPart::of(op).filter(|_| inputs.iter().all(Self::is_map)) else {
            let features = inputs.into_iter().map(Self::into_feature).collect();
            return Self::Feature(apply(op, parameters, features), None);
        };
        let input = inputs.into_iter().next().expect("a validated graph has all inputs");
        let measure = matches!(parameters, Parameters::Norm(module) if module.norm.training.is_enabled());
        let mut pending = input.into_pending(part, measure);
        pending.ops.push((part, op, parameters));
        match op {
            Op::GlobalPool(pool) if !pool.keep_dims => {
                Self::Feature(Feature::Vector(pending.compute(false).0.into_vector()), None)
            }
            _ => Self::Pending(pending),
        }
    }

    fn plus(self, op: &'a Op, parameters: &'a Parameters, other: Self) -> Self {
        let part = UnitPart::Residual;
        let (main, other) = match (&self, &other) {
            (Self::Feature(..), Self::Pending(_)) => (other, self),
            _ => (self, other),
        };
        let mut pending = main.into_pending(part, false);
        pending.residual = Some(other.into_input(false));
        pending.ops.push((part, op, parameters));
        Self::Pending(pending)
    }

    fn is_map(&self) -> bool {
        match self {
            Self::Feature(feature, _) => are_for(feature),
            Self::Pending(_) => true,
        }
    }

    /// Operations to which `part` can be added. `measure` says that the part is a norm that takes the statistics of its
    /// input.
    fn into_pending(self, part: UnitPart, measure: bool) -> Pending<'a> {
        match self {
            Self::Pending(pending) if pending.ops.last().is_none_or(|(last, ..)| *last < part) => pending,
            other => Pending {
                x: other.into_input(measure),
                ops: Vec::new(),
                residual: None,
            },
        }
    }

    fn into_input(self, measure: bool) -> UnitInput {
        match self {
            Self::Feature(feature, shared) => UnitInput {
                tensor: feature.into_map(),
                shared,
                measured: None,
            },
            Self::Pending(pending) => {
                let (feature, measured) = pending.compute(measure);
                UnitInput {
                    tensor: feature.into_map(),
                    shared: None,
                    measured,
                }
            }
        }
    }
}

impl Pending<'_> {
    /// Computes the output. Measures the output if `measure` is set and measuring is possible.
    fn compute(self, measure: bool) -> (Feature, Option<Measured>) {
        let mut planned = Unit {
            residual: self.residual.clone(),
            measure,
            ..Unit::default()
        };
        let mut norm = None;
        for (_, op, parameters) in &self.ops {
            match (op, parameters) {
                (Op::BatchNorm(_), Parameters::Norm(module)) => {
                    norm = Some(&module.norm);
                    planned.norm = Some(part_of_norm(&module.norm, &self.x.tensor));
                }
                (Op::Activation(_), _) => planned.relu = true,
                (Op::Conv(conv), Parameters::Conv(module)) => {
                    let part = UnitConvolution {
                        weights: module.weight.val(),
                        bias: module.bias.as_ref().map(burn::module::Param::val),
                        window: window_of_conv(conv),
                    };
                    if conv.groups == 1 {
                        planned.convolution = Some(part);
                    } else {
                        planned.depthwise = Some(part);
                    }
                }
                (Op::Pool(pool), _) => planned.pool = Some(UnitPool::Max(window_of_pool(pool))),
                (Op::GlobalPool(_), _) => planned.pool = Some(UnitPool::GlobalAverage),
                _ => {}
            }
        }
        let Some(found) = unit(self.x.clone(), planned) else {
            return (self.compute_by_burn(), None);
        };
        if let (Some(norm), Some(statistics)) = (norm, found.statistics) {
            update(norm, statistics);
        }
        (Feature::Map(found.output), found.measured)
    }

    fn compute_by_burn(self) -> Feature {
        let mut residual = self.residual.map(|residual| Feature::Map(residual.tensor));
        let mut feature = Feature::Map(self.x.tensor);
        for (part, op, parameters) in self.ops {
            let mut inputs = vec![feature];
            if part == UnitPart::Residual {
                inputs.extend(residual.take());
            }
            feature = apply(op, parameters, inputs);
        }
        feature
    }
}

/// A norm with the statistics that Burn's [`BatchNorm::forward`] takes.
fn part_of_norm(norm: &BatchNorm, x: &Tensor<4>) -> Norm {
    let device = x.device();
    Norm {
        gamma: norm.gamma.val(),
        beta: norm.beta.val(),
        epsilon: norm.epsilon,
        statistics: if device.is_autodiff() && norm.training.is_enabled() {
            NormStatistics::Batch
        } else {
            NormStatistics::Given {
                mean: norm.running_mean.value().to_device(&device),
                variance: norm.running_var.value().to_device(&device),
            }
        },
    }
}

/// Mixes a batch's statistics into the running statistics, as Burn's [`BatchNorm::forward`] does.
fn update(norm: &BatchNorm, [mean, variance]: [Tensor<1>; 2]) {
    let device = mean.device();
    for (running, batch) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
        let old = running.value_sync().to_device(&device);
        let new = old
            .mul_scalar(1.0 - norm.momentum)
            .add(batch.detach().mul_scalar(norm.momentum));
        running.update(new.detach());
    }
}

fn window_of_conv(conv: &Conv) -> Window {
    Window {
        size: conv.kernel,
        stride: conv.stride,
        dilation: conv.dilation,
        padding: padding(conv.padding),
    }
}

fn window_of_pool(pool: &Pool) -> Window {
    Window {
        size: pool.window,
        stride: pool.stride,
        dilation: pool.dilation,
        padding: padding(pool.padding),
    }
}

fn padding(padding: Padding) -> kernels::Padding {
    match padding {
        Padding::Valid => kernels::Padding::VALID,
        Padding::Same => kernels::Padding::Same,
        Padding::Explicit([top, left, bottom, right]) => kernels::Padding::Explicit {
            top,
            left,
            bottom,
            right,
        },
    }
}
