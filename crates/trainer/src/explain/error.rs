use xception_model::{ClassifyError, InputError};

/// Why a heat map cannot be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The network does not take the pictures, or lacks the layer.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The pictures cannot form a batch.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// The network does not have this class.
    #[error("there is no class {class}: the network has {classes}, counted from 0")]
    Class {
        /// The class asked for.
        class: usize,
        /// The number of classes.
        classes: usize,
    },
    /// The number of classes is not the number of pictures.
    #[error("expected one class for each of {pictures} pictures, found {classes}")]
    Count {
        /// Pictures in the batch.
        pictures: usize,
        /// Classes given.
        classes: usize,
    },
    /// The output of the layer has no height and width.
    #[error("`{layer}` is a vector, without height and width; the last layer that has them is `{last}`")]
    Vector {
        /// The layer asked for.
        layer: String,
        /// The last layer with height and width.
        last: String,
    },
}
