#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]

//! Xception (Chollet 2017, *Deep Learning with Depthwise Separable Convolutions*, arXiv 1610.02357) on Burn: the same
//! picture and the same weights give Keras's numbers, on every Burn backend.
//!
//! The crate follows a picture from file to label, and every step can be used alone:
//!
//! * [`XceptionConfig`] holds the architecture as one table of [`Stage`]s, and
//!   [`XceptionConfig::init`] makes an [`Xception`] of it, a Burn module like any other.
//! * [`Xception::forward`] gives logits, [`Xception::embed`] the pooled features, [`Xception::pyramid`] feature maps at
//!   strides 2 to 32 and [`Xception::stage`] any layer's output by its Keras name.
#![cfg_attr(
    feature = "picture",
    doc = "* [`picture`] decodes and resizes as Keras, Pillow and timm do, to the pixel."
)]
#![cfg_attr(feature = "std", doc = "* [`labels`] names the classes.")]
#![cfg_attr(
    feature = "pretrained",
    doc = "* [`registry`] and [`Xception::pretrained`] fetch trained weights once."
)]

extern crate alloc;

mod block;
mod config;
mod error;
mod flow;
mod head;
#[cfg(feature = "std")]
mod inference;
mod names;
mod separable;
mod stem;
mod summary;
mod watch;
mod xception;
#[doc(hidden)]
pub mod zoo;

#[cfg(feature = "picture")]
mod classifier;
#[cfg(feature = "keras")]
pub mod keras;
#[cfg(feature = "std")]
pub mod labels;
#[cfg(feature = "picture")]
pub mod picture;
#[cfg(feature = "pretrained")]
mod pretrained;
#[cfg(feature = "pretrained")]
pub mod registry;
#[cfg(feature = "picture")]
mod spec;
#[cfg(feature = "picture")]
mod weights;

pub use block::Block;
pub use config::{
    FlowName, IntermediateActivation, Layer, LayerKind, MIN_INPUT, OutputStride, Pool, Pooling, Relu, SeparableOrder,
    Shortcut, Stage, Variant, Widths, XceptionConfig,
};
pub use error::{ConfigError, InputError};
pub use flow::Flow;
pub use head::Head;
#[cfg(feature = "std")]
pub use inference::InferenceXception;
pub use names::{KerasClass, KerasLayerHome};
pub use separable::{ConvNorm, SeparableConvNorm};
pub use stem::Stem;
pub use summary::{Summary, SummaryRow};
pub use xception::{Pyramid, PyramidLevel, Xception};

#[cfg(feature = "picture")]
pub use classifier::{Classifier, ClassifyError, Prediction};
#[cfg(feature = "pretrained")]
pub use pretrained::record;
#[cfg(feature = "picture")]
pub use spec::{InputSpec, ModelSpec};
#[cfg(feature = "picture")]
pub use weights::{TensorMismatch, WeightsError, load, read_record, save, save_tensors};

/// The README's examples are run as doc tests.
#[cfg(all(doctest, feature = "pretrained"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
