//! A unit's tensors on a backend, and its checked description.

use std::sync::{Arc, OnceLock};

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};

use super::map::vector;
use super::plan::UnitPlan;
use super::unit::{Measured, SharedGradient};
use crate::extension::Operand;
use crate::train::norm::Moments;

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
    /// Bias of the depthwise convolution.
    #[extension_type]
    pub depthwise_bias: Operand<B>,
    /// Weights of the convolution.
    #[extension_type]
    pub weights: Operand<B>,
    /// Bias of the convolution.
    #[extension_type]
    pub bias: Operand<B>,
    /// The map that is added to the output.
    #[extension_type]
    pub residual: Operand<B>,
    /// The norm's means, if given.
    #[extension_type]
    pub mean: Operand<B>,
    /// The norm's variances, if given.
    #[extension_type]
    pub variance: Operand<B>,
}

/// The tensors that a unit returns.
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
    pub(super) plan: Arc<UnitPlan>,
    /// The shared gradients of the input and of the residual.
    pub(super) shared: [Option<SharedGradient>; 2],
    /// The measured statistics of the input.
    pub(super) measured: Option<Measured>,
    /// Where the moments of the output are written.
    pub(super) measure: Option<Arc<OnceLock<Arc<Moments>>>>,
}

/// The statistics of the batch as tensors of a backend.
pub(super) fn statistics<B: Backend>(
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
