//! Networks as graphs.

mod file_graph;

pub use file_graph::FileGraph;
