use graph::{Graph, NodeId};

#[cfg(feature = "std")]
use crate::preset::Preset;

/// A network as a file describes it: the graph and the picture size.
#[derive(Clone, Debug)]
pub struct FileGraph {
    /// All operations, roles empty; layers named as in the file (path in the file, `/` for nesting, as keras-store or
    /// the ONNX node name gives it), nodes with parameters at unique record-safe paths (letters, digits, `_`, `-`,
    /// parts joined by `.`) derived from those names.
    pub graph: Graph,
    /// The node whose output is the model's output.
    pub output: NodeId,
    /// Height and width of the pictures, if the file states them.
    pub size: Option<[usize; 2]>,
    /// The preset by which the file's first layer resizes pictures of every size to that size.
    #[cfg(feature = "std")]
    pub preset: Option<Preset>,
}
