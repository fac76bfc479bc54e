//! The meaning of a network's outputs.

use core::fmt;
use core::str::FromStr;

use alloc::borrow::ToOwned;
use alloc::string::String;

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softmax};
use serde::{Deserialize, Serialize};

/// The meaning of a network's outputs, which decides how probabilities are computed from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outputs {
    /// One logit for each class; a picture has one class. Probabilities are the softmax.
    #[default]
    Softmax,
    /// One logit for each class; a picture may have several classes, or none. Each probability is the sigmoid of its
    /// logit.
    Sigmoid,
    /// The logit of the second of two classes. The probabilities are 1 minus its sigmoid, and its sigmoid.
    Binary,
    /// One number that is no probability, such as a price or an angle.
    Value,
    /// The network itself computes the probabilities, such as the mean of several softmaxes: each class's own, or for
    /// one output, that of the second of two classes.
    Probabilities,
}

impl Outputs {
    /// All meanings.
    pub const ALL: [Self; 5] = [
        Self::Softmax,
        Self::Sigmoid,
        Self::Binary,
        Self::Value,
        Self::Probabilities,
    ];

    /// The name in records and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
            Self::Binary => "binary",
            Self::Value => "value",
            Self::Probabilities => "probabilities",
        }
    }

    /// Number of classes of a network with this number of outputs.
    pub const fn classes(self, outputs: usize) -> usize {
        match self {
            Self::Probabilities if outputs == 1 => 2,
            Self::Softmax | Self::Sigmoid | Self::Probabilities => outputs,
            Self::Binary => 2,
            Self::Value => 1,
        }
    }

    /// The probabilities for a network's outputs; values that are no probabilities are returned unchanged.
    ///
    /// # Shapes
    ///
    /// - `outputs`: `[batch, outputs]`
    /// - output: `[batch, classes]`
    pub fn probabilities(self, outputs: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Softmax => softmax(outputs, 1),
            Self::Sigmoid => sigmoid(outputs),
            Self::Binary => Tensor::cat(alloc::vec![sigmoid(-outputs.clone()), sigmoid(outputs)], 1),
            Self::Probabilities if outputs.dims()[1] == 1 => {
                Tensor::cat(alloc::vec![outputs.clone().neg() + 1.0, outputs], 1)
            }
            Self::Value | Self::Probabilities => outputs,
        }
    }
}

impl fmt::Display for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not in [`Outputs::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are no outputs \"{0}\"; there are softmax, sigmoid, binary, value, probabilities, and logits for softmax"
)]
pub struct UnknownOutputs(pub String);

impl FromStr for Outputs {
    type Err = UnknownOutputs;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "softmax" | "logits" => Ok(Self::Softmax),
            "sigmoid" => Ok(Self::Sigmoid),
            "binary" => Ok(Self::Binary),
            "value" => Ok(Self::Value),
            "probabilities" => Ok(Self::Probabilities),
            _ => Err(UnknownOutputs(name.to_owned())),
        }
    }
}
