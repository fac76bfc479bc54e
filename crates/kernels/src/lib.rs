//! Convolutional classifiers on the CPU, fast: every operation that such a network needs, fused with its neighbours.
//!
//! A [`Network`] is built operation by operation from plain slices of `f32` and then run on pictures. Five things make
//! it fast:
//!
//! * Bias, residual sum and activation are computed in registers, before a convolution's outputs are written.
//! * The depthwise half of a separable convolution is computed for a few pixels at a time. The pointwise half reads
//!   them while they are in the processor's second-level cache.
//! * Weights are packed once, in the order in which the kernel reads them.
//! * Separable convolutions on large maps, and the pooling after them, are computed a row at a time: the maps between
//!   them never go to memory.
//! * Feature maps keep their channels last, in memory that later operations and later runs use again.
//!
//! Of a batch, each thread of the current [rayon] pool takes whole pictures. A single picture, and the rest of a batch,
//! is shared by all threads. How work is divided changes no bit of the result.
//!
//! Kernels are compiled for every instruction set that `macerator` knows (AVX-512, AVX2 with FMA, SSE4.2, NEON) and
//! chosen at run time; [`Isa::portable`] needs none of them.
//!
//! ```
//! use kernels::{Activation, Convolution, GlobalPool, GlobalPoolKind, Isa, Network};
//!
//! # fn main() -> Result<(), kernels::Error> {
//! let mut network = Network::new(3, Isa::detect())?;
//! let map = network.convolution(Convolution {
//!     stride: [2; 2],
//!     activation: Activation::Relu,
//!     ..Convolution::new(network.input(), &[0.1; 8 * 27], 8, [3; 2])
//! })?;
//! let mean = network.global_pool(GlobalPool { input: map, kind: GlobalPoolKind::Average })?;
//! let mut features = [0.0; 8];
//! network.run(&[1.0; 3 * 9 * 9], [1, 9, 9], &mut [(mean, &mut features)])?;
//! assert!((features[0] - 2.7).abs() < 1e-5);
//! # Ok(())
//! # }
//! ```
#![allow(
    unsafe_code,
    reason = "vector loads and stores, and feature maps that many threads write to, each its own pixels"
)]
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled with its instructions"
)]
#![warn(clippy::undocumented_unsafe_blocks)]

mod activation;
#[cfg(feature = "burn")]
mod autodiff;
mod build;
mod error;
#[cfg(feature = "burn")]
mod extension;
mod gemm;
mod memory;
mod network;
mod ops;
mod plan;
mod run;
mod simd;
mod single;
mod step;
mod team;
pub mod train;
mod value;

pub use activation::Activation;
#[cfg(feature = "burn")]
pub use autodiff::{
    Measured, Norm, NormStatistics, SharedGradient, TrainingBackend, TrainingOperands, TrainingOutput, Unit,
    UnitConvolution, UnitInput, UnitOutput, UnitPool, Window, adamw_update, averaged, has_training_kernels, scaled,
    sgd_update, squared_norm, unit, with_burn_operations,
};
pub use error::Error;
#[cfg(feature = "burn")]
pub use extension::{
    Operand, Operands, SeparableConvBackend, SeparableError, SeparableOptions, SeparableRelu, separable_conv2d,
};
pub use memory::heap::release_training_memory;
pub use network::Network;
pub use ops::activate::Activate;
pub use ops::add::Add;
pub use ops::affine::Affine;
pub use ops::average_pool::AveragePool;
pub use ops::concat::Concat;
pub use ops::convolution::{Convolution, ConvolutionShape};
pub use ops::dense::Dense;
pub use ops::global_pool::{GlobalPool, GlobalPoolKind};
pub use ops::max_pool::{MaxPool, Projection};
pub use ops::multiply::Multiply;
pub use ops::separable::Separable;
pub use ops::window::Padding;
pub use plan::{Description, Memory, PlannedStepDescription};
pub use simd::isa::Isa;
pub use simd::peak::peak;
pub use single::{SeparableConv, SeparableWeights};
#[cfg(feature = "burn")]
pub use train::optimizer::{AdamWUpdate, SgdUpdate};
pub use value::Value;
