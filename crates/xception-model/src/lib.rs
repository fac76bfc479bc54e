#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]

//! Trained convolutional image classifiers on Burn: Xception (Chollet 2017, arXiv 1610.02357) first, then the networks
//! it is compared with. The same picture and the same weights give the original's numbers, on every Burn backend.
//!
//! The crate follows a picture from file to label, and every step can be used alone:
//!
//! * [`XceptionConfig`], [`ResNetConfig`] and others are architectures: functions from options to a [`Graph`] of
//!   operations. [`Architecture::init`] makes a [`Network`] of one, a Burn module like any other.
//! * [`Network::forward`] gives logits, [`Network::embed`] the pooled features, [`Network::pyramid`] feature maps at
//!   strides 2 to 32 and [`Network::stage`] any layer's output by its Keras name.
#![cfg_attr(
    feature = "std",
    doc = "* [`Network::fuse`] makes the network for prediction: several times as fast on a CPU."
)]
#![cfg_attr(
    feature = "picture",
    doc = "* [`picture`] decodes and resizes as Keras, Pillow and timm do, to the pixel; [`Classifier`] does it all."
)]
#![cfg_attr(feature = "std", doc = "* [`labels`] names the classes.")]
#![cfg_attr(
    feature = "pretrained",
    doc = "* [`registry`] and [`Network::pretrained`] fetch trained weights once."
)]
//!
//! # Words
//!
//! One word has one meaning, here and in all crates of the repository; `docs/architecture.md` shows how the crates work
//! together.
//!
//! | word | meaning |
//! |---|---|
//! | picture | an image file, or its pixels as 8-bit RGB |
//! | preset | the way from a picture to pixels of the network's size, named after the library that it equals |
//! | scaling | the way from pixel values 0 to 255 to the network's input: `tf`, `unit`, `torch`, `caffe` or `none` |
//! | graph | the operations of a network in the order of computation (`Graph`); never a plot |
//! | op, node | an op is an operation; a node is an op in a graph, with the nodes that it reads |
//! | layer | one named layer of Keras or PyTorch: one node or a few |
//! | block | neighbouring layers, as the architecture's paper counts them; frozen together, with one learning rate |
//! | stage | a named output of a network: a layer's or a block's |
//! | role | what the output of a node is for: last feature map, embedding, logits, or a level |
//! | level | a resolution of the feature pyramid; an *augmentation level* is one of the built-in augmentations |
//! | architecture | a function from options to a graph, such as Xception; the *zoo* holds all of them |
//! | network | a graph with its parameters (`Network`, a Burn module) |
//! | backbone, head | the layers up to the embedding (or the last feature map), and the layers after it |
//! | embedding | the vector that describes a picture: the pooled last feature map |
//! | logits, outputs | the numbers of the last layer; `Outputs` says what they mean: softmax, sigmoid, binary or value |
//! | engine | a program that runs networks: Keras, ONNX Runtime, ours (`kernels`) |
//! | plan | the engine's list of steps for one network and picture size; a step of a plan computes one op or several |
//! | kernel, tap | a kernel is the weights of a convolution, in the engine also an inner loop; a tap is one place of a kernel or a window |
//! | unit | neighbouring ops that the engine trains together: it keeps the input and computes the rest again |
//! | record | a Burn file (`.bpk`) with a network's weights and its specification |
//! | specification | everything about a trained network except its weights (`ModelSpec`) |
//! | card | a TOML file about a set of weights: origin, hash, licence, input, labels, accuracy |
//! | run | one training, and the folder with its files |
//! | recipe | a TOML file with the phases of a training |
//! | phase, epoch, step | a part of a training with its own rate and trainable layers; one pass over the pictures; one update of the weights |
//! | activity | a part of a run between the steps: checking pictures, validation, saving, the report |
//! | checkpoint | the state of an unfinished run, from which it resumes |
//! | golden, fixture | a golden holds the original's numbers, with which a test compares; a fixture is a small input file of a test |
//! | backend, device | Burn's words: the code that computes tensors, and the processor that it runs on |

extern crate alloc;

#[cfg(feature = "std")]
mod compare;
#[cfg(feature = "std")]
mod description;
#[cfg(feature = "flex")]
mod engine;
mod error;
mod feature;
#[cfg(feature = "std")]
mod fold;
#[cfg(feature = "std")]
mod format;
mod forward;
mod hidden;
#[cfg(feature = "std")]
mod inference;
mod init;
mod input;
mod network;
mod operations;
mod outputs;
mod parameters;
#[cfg(all(feature = "flex", feature = "std"))]
mod prefix;
#[cfg(feature = "flex")]
mod units;
/// Passes over weights after the backward pass, each with all threads: optimizers, averages and norms.
#[cfg(feature = "flex")]
pub mod updates {
    pub use kernels::{AdamWUpdate, SgdUpdate, adamw_update, averaged, scaled, sgd_update, squared_norm};
}
pub mod zoo;

#[cfg(feature = "picture")]
mod classifier;
#[cfg(feature = "keras")]
pub mod keras;
#[cfg(feature = "std")]
mod label;
#[cfg(feature = "std")]
mod label_file;
#[cfg(feature = "std")]
pub mod labels;
#[cfg(feature = "picture")]
pub mod picture;
#[cfg(feature = "std")]
mod preset;
#[cfg(feature = "pretrained")]
mod pretrained;
#[cfg(feature = "std")]
mod reading;
#[cfg(feature = "std")]
mod record;
#[cfg(feature = "pretrained")]
pub mod registry;
#[cfg(feature = "std")]
mod spec;
#[cfg(feature = "pytorch")]
pub mod tensors;
#[cfg(feature = "pytorch")]
pub mod torch;
#[cfg(feature = "std")]
mod unknown;
#[cfg(feature = "std")]
mod weights_error;

#[cfg(feature = "std")]
pub use description::{Description, Known};
pub use error::{ConfigError, InputError};
pub use graph::{self, Block, Graph, GraphError, Summary, SummaryRow};
pub use hidden::{HiddenActivation, UnknownActivation};
#[cfg(feature = "std")]
pub use inference::InferenceNetwork;
pub use input::{Scaling, UnknownScaling};
#[cfg(feature = "flex")]
pub use kernels::{release_training_memory, with_burn_operations};
pub use network::{Network, Pyramid, PyramidLevel, Xception};
pub use outputs::{Outputs, UnknownOutputs};
#[cfg(all(feature = "flex", feature = "std"))]
pub use prefix::FrozenPrefix;
pub use zoo::{
    Architecture, Candidate, FileGraph, InceptionV3Config, IntermediateActivation, MIN_INPUT, NewHead, OutputStride,
    Pooling, Published, Recognised, ResNetConfig, SeparableOrder, Variant, VggConfig, Widths, XceptionAlignedConfig,
    XceptionConfig, recognise,
};

#[cfg(feature = "picture")]
pub use classifier::{Classifier, ClassifyError, Prediction};
#[cfg(feature = "std")]
pub use format::{Foreign, WeightFormat};
#[cfg(feature = "std")]
pub use preset::{Preset, UnknownPreset};
#[cfg(feature = "pretrained")]
pub use pretrained::{load_card, record};
#[cfg(feature = "std")]
pub use reading::{AlphaMode, OrientationMode, Reading, SixteenBitMode, TruncatedMode, UnknownMode};
#[cfg(feature = "std")]
pub use record::{load, load_backbone, load_reader, load_with, read_record, save, save_tensors};
#[cfg(feature = "std")]
pub use spec::{InputSpec, ModelSpec};
#[cfg(feature = "std")]
pub use unknown::Unknown;
#[cfg(feature = "std")]
pub use weights_error::{TensorMismatch, WeightsError};

/// The README's examples are run as doc tests.
#[cfg(all(doctest, feature = "pretrained"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
