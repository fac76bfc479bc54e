//! The architectures. Each has one file, with a function from its options to a [`Graph`](graph::Graph).
//!
//! A network that is none of them is stored as its graph, [`Architecture::Graph`], and is used like the others.

mod adapt;
mod architecture;
mod design;
mod families;
pub mod figures;
mod file_graph;
mod head;
mod inception_v3;
mod limits;
mod names;
mod recognise;
mod record_names;
mod resnet;
mod variant;
mod vgg;
mod xception;
mod xception_aligned;

pub use adapt::NewHead;
pub use architecture::{Architecture, Published, Torch};
pub use design::KerasWeights;
pub(crate) use families::zoo;
pub use file_graph::FileGraph;
pub use head::Pooling;
pub use inception_v3::InceptionV3Config;
#[cfg(feature = "keras")]
pub(crate) use recognise::ends_in_logits;
pub use recognise::{Candidate, Recognised, recognise};
pub use record_names::of_record_names;
pub use resnet::ResNetConfig;
pub use variant::Variant;
pub use vgg::VggConfig;
pub use xception::{IntermediateActivation, MIN_INPUT, OutputStride, SeparableOrder, Widths, XceptionConfig};
pub use xception_aligned::XceptionAlignedConfig;
