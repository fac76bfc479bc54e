use alloc::string::String;

/// A graph that is no network, or that cannot take a picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The graph is malformed.
    #[error("layer {layer}: {problem}")]
    Layer {
        /// The layer's name.
        layer: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// Something of the graph as a whole.
    #[error("the network's graph: {0}")]
    Graph(String),
}

impl GraphError {
    pub(crate) fn layer(layer: &str, problem: impl Into<String>) -> Self {
        Self::Layer {
            layer: layer.into(),
            problem: problem.into(),
        }
    }
}
