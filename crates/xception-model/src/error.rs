use alloc::string::String;
use alloc::vec::Vec;

use graph::GraphError;

/// A configuration that describes no network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A count is 0 but must be at least 1.
    #[error("`{0}` is 0; it must be at least 1")]
    Zero(&'static str),
    /// A count is too large for any network.
    #[error("`{name}` is {count}; at most {limit} is possible")]
    TooLarge {
        /// The option.
        name: &'static str,
        /// Its value.
        count: usize,
        /// The largest value.
        limit: usize,
    },
    /// A list of numbers is empty or too long.
    #[error("`{name}` has {length} numbers; 1 to {limit} are possible")]
    Length {
        /// The option.
        name: &'static str,
        /// How many numbers it has.
        length: usize,
        /// The most numbers.
        limit: usize,
    },
    /// `dropout` is not a probability below 1.
    #[error("`dropout` is {0}; it must be at least 0 and below 1")]
    Dropout(f64),
    /// A classifier needs one vector for each picture.
    #[error(
        "`pooling` is none, and a classifier needs pooled features: choose average or max, or `include_top = false`"
    )]
    TopWithoutPooling,
    /// `width_divisor` does not divide the network's widths.
    #[error("`width_divisor` is {0}; possible are {1:?}")]
    Divisor(usize, &'static [usize]),
    /// `epsilon` is not above 0 and below 1.
    #[error("`epsilon` is {0}; it must be above 0 and below 1")]
    Epsilon(f64),
    /// Only VGG's head reads a flattened map.
    #[error("`pooling` is flatten, which is an option of VGG: choose average, max or none")]
    Flatten,
    /// The network has no classifier to replace.
    #[error("the network was built with `include_top = false` and has no classifier; set `include_top` first")]
    NoTop,
    /// The classifier does not end in a dense layer that could be replaced.
    #[error(
        "the network's classifier does not end in a dense layer: remove it with `without_top`, then add a new one \
         (`Architecture::with_classifier`)"
    )]
    NoDense,
    /// The first operation cannot be adapted to other channels.
    #[error(
        "the network's first operation is not an ordinary convolution, so the network cannot be adapted to another \
         number of channels"
    )]
    Channels,
    /// The network's graph is malformed.
    #[error(transparent)]
    Graph(GraphError),
}

/// An input that the network cannot take, or an output that it does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The batch holds no picture.
    #[error("the batch is empty: the input has shape {0:?}")]
    EmptyBatch([usize; 4]),
    /// The second dimension is not the number of channels.
    #[error(
        "the network takes {expected} channels and the input of shape {shape:?} has {} \
         (shapes are [batch, channels, height, width]){}",
        shape[1],
        channels_last_hint(*expected, *shape)
    )]
    Channels {
        /// The channels the first convolution takes.
        expected: usize,
        /// The input's shape.
        shape: [usize; 4],
    },
    /// The picture is smaller than the network's smallest input.
    #[error("the input is {height} x {width}; {title} takes pictures from {least} x {least} on: resize it first")]
    TooSmall {
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
        /// The network's name.
        title: String,
        /// The smallest height and width, in pixels.
        least: usize,
    },
    /// A picture of this size does not fit one of the layers.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Embeddings of a length that the network's head does not take.
    #[error("the head takes embeddings of {expected} features, and these have {found}")]
    Embedding {
        /// Length of the network's embeddings.
        expected: usize,
        /// Length of the given embeddings.
        found: usize,
    },
    /// A feature map was requested from a network that has none.
    #[error("the network has no feature map before its embedding: ask for `embed`, or a stage by name")]
    NoFeatureMap,
    /// Logits were requested from a network without a classifier.
    #[error("the network was built with `include_top = false` and has no classifier: ask for `embed` or `feature_map`")]
    NoTop,
    /// A pooled vector was requested from a network without pooling.
    #[error("the network was built with pooling none: ask for `feature_map`, or set `pooling`")]
    NoPooling,
    /// No layer has this name.
    #[error(
        "no stage is called `{name}`{}; `stage_names` lists the {} there are",
        suggestion(nearest.as_deref()),
        known.len()
    )]
    UnknownStage {
        /// The requested name.
        name: String,
        /// The most similar name.
        nearest: Option<String>,
        /// All names, in the order of computation.
        known: Vec<String>,
    },
}

fn channels_last_hint(expected: usize, shape: [usize; 4]) -> &'static str {
    if shape[3] == expected {
        "; this one looks channels-last: permute it with `permute([0, 3, 1, 2])`"
    } else {
        ""
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| alloc::format!(" (did you mean `{name}`?)"))
}
