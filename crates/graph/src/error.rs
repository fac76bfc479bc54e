use alloc::string::String;

/// A graph that is not a valid network, or that cannot take this picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A layer is malformed, or cannot take its input.
    #[error("layer {layer}: {problem}")]
    Layer {
        /// The layer's name.
        layer: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// The graph as a whole is malformed.
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
