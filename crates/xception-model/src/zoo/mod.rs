//! The architectures. Each has one file, with a function from its options to a [`Graph`](graph::Graph).
//!
//! A network that is none of them is stored as its graph, [`Architecture::Graph`], and is used like the others.

mod adapt;
mod architecture;
mod file_graph;
mod head;
mod limits;
mod names;
mod recognise;
mod resnet;
mod xception;

pub use adapt::NewHead;
pub use architecture::Architecture;
pub use file_graph::FileGraph;
pub use head::Pooling;
pub use names::of_record_names;
pub use recognise::{Candidate, Recognised, recognise};
pub use resnet::ResNetConfig;
#[cfg(feature = "keras")]
pub(crate) use xception::Shapes as XceptionShapes;
pub use xception::{IntermediateActivation, MIN_INPUT, OutputStride, SeparableOrder, Variant, Widths, XceptionConfig};
