//! Convolutional networks on the CPU, fast: depthwise-separable convolutions fused with what stands around them.
//!
//! A [`Network`] is built layer by layer from plain slices of `f32` and then run on pictures. What makes it fast:
//!
//! * The depthwise half of a separable convolution is computed for a few pixels at a time, and the pointwise half reads
//!   them while they are still in the processor's second-level cache. ReLU, bias and residual sum cost no pass of their own.
//! * Weights are packed once, in the order in which the kernel reads them.
//! * Separable convolutions on large maps, and the pooling after them, are computed a row at a time: what lies between them
//!   never goes to memory.
//! * Of a batch, each thread of the current [rayon] pool takes whole pictures; through what is left over, or a single one, all
//!   go together, and a small layer is cut by its outputs when it has too few pixels.
//! * Feature maps keep their channels last, in memory that later layers and later runs use again.
//!
//! Kernels are compiled for every instruction set that `macerator` knows (AVX-512, AVX2 with FMA, SSE4.2, NEON) and chosen
//! at run time; [`Isa::portable`] needs none of them.
//!
//! ```
//! use separable_conv::{GlobalPool, Isa, Network};
//!
//! let mut network = Network::new(3, Isa::detect());
//! let map = network.convolution(network.input(), &[0.1; 8 * 27], None, 8, 3, 2, true);
//! let mean = network.global_pool(map, GlobalPool::Average);
//! let mut features = [0.0; 8];
//! network.run(&[1.0; 3 * 9 * 9], [1, 9, 9], &mut [(mean, &mut features)]);
//! assert!((features[0] - 2.7).abs() < 1e-5);
//! ```

#[cfg(feature = "burn")]
mod extension;
mod kernel;

#[cfg(feature = "burn")]
pub use extension::{Operand, Operands, SeparableConvBackend, SeparableError, SeparableOptions, separable_conv2d};
pub use kernel::{GlobalPool, Isa, MaxPool, Network, Projection, SeparableConv, SeparableRelu, Value, peak};
