//! The operations, one file each, and the type that is any of them.

pub(crate) mod activate;
pub(crate) mod add;
pub(crate) mod affine;
pub(crate) mod average_pool;
pub(crate) mod concat;
pub(crate) mod convolution;
pub(crate) mod dense;
pub(crate) mod depthwise;
pub(crate) mod depthwise3x3;
pub(crate) mod elementwise;
pub(crate) mod global_pool;
pub(crate) mod layout;
pub(crate) mod max_pool;
pub(crate) mod multiply;
pub(crate) mod op;
pub(crate) mod pool;
pub(crate) mod separable;
pub(crate) mod window;

use std::sync::Arc;

use op::Op;

/// An operation of a network. The plan fuses some kinds, which is why this is no trait object.
pub(crate) enum AnyOp {
    Interleave(layout::Interleave),
    Convolution(convolution::ConvolutionOp),
    Depthwise(depthwise::DepthwiseOp),
    Separable(Arc<separable::SeparableOp>),
    MaxPool(max_pool::MaxPoolOp),
    AveragePool(average_pool::AveragePoolOp),
    GlobalPool(global_pool::GlobalPoolOp),
    Dense(dense::DenseOp),
    Add(add::AddOp),
    Multiply(multiply::MultiplyOp),
    Affine(affine::AffineOp),
    Activate(activate::ActivateOp),
    Concat(concat::ConcatOp),
}

impl core::ops::Deref for AnyOp {
    type Target = dyn Op;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Interleave(op) => op,
            Self::Convolution(op) => op,
            Self::Depthwise(op) => op,
            Self::Separable(op) => op.as_ref(),
            Self::MaxPool(op) => op,
            Self::AveragePool(op) => op,
            Self::GlobalPool(op) => op,
            Self::Dense(op) => op,
            Self::Add(op) => op,
            Self::Multiply(op) => op,
            Self::Affine(op) => op,
            Self::Activate(op) => op,
            Self::Concat(op) => op,
        }
    }
}
