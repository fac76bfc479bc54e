//! Kernels of a training step: each operation forward and backward, on channels-last maps of plain `f32` slices.
//!
//! Maps are `[batch, height, width, channels]`, densely packed. Weights and their gradients are in Burn's order,
//! `[outputs, inputs, kernel height, kernel width]`. An operation checks its sizes once, in `new`; its functions check
//! the lengths of their slices and use all threads of the current [rayon] pool. Results have the same bits for any
//! number of threads.

mod convolution;
mod correlation;
mod depthwise;
mod depthwise_rows;
mod depthwise_sums;
mod geometry;
mod pixel_product;
mod scratch;
mod tile;
mod transform;
mod weight_product;

#[cfg(feature = "burn")]
pub(crate) mod elementwise;
#[cfg(feature = "burn")]
pub(crate) mod global_average;
#[cfg(feature = "burn")]
pub(crate) mod layout;
#[cfg(feature = "burn")]
pub(crate) mod max_pool;
#[cfg(feature = "burn")]
pub(crate) mod norm;
#[cfg(feature = "burn")]
pub(crate) mod optimizer;

pub use convolution::Convolution;
pub use depthwise::{Depthwise, DepthwiseGradients};
pub use geometry::Geometry;
pub use pixel_product::{MapInput, MapPart, Reads, Visit};
pub use transform::Transform;
