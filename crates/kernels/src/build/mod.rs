//! The methods that add operations to a network, one file for each operation.

mod activate;
mod add;
mod affine;
mod average_pool;
mod concat;
mod convolution;
mod dense;
mod global_pool;
mod max_pool;
mod multiply;
mod separable;
