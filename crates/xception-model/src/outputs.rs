//! What a network's outputs are.

use core::fmt;
use core::str::FromStr;

use alloc::borrow::ToOwned;
use alloc::string::String;

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softmax};
use serde::{Deserialize, Serialize};

/// What a network's outputs are, and so how probabilities are made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outputs {
    /// One logit for each class; a picture has one class. Probabilities are their softmax.
    #[default]
    Softmax,
    /// One logit for each class; a picture may have several classes, or none. Probabilities are each one's sigmoid.
    Sigmoid,
    /// One logit, that of the second of two classes. Probabilities are 1 minus its sigmoid, and its sigmoid.
    Binary,
    /// One number that is no probability, such as a price or an angle.
    Value,
}

impl Outputs {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Softmax, Self::Sigmoid, Self::Binary, Self::Value];

    /// Its name in records and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
            Self::Binary => "binary",
            Self::Value => "value",
        }
    }

    /// How many classes a network with `outputs` outputs has.
    pub const fn classes(self, outputs: usize) -> usize {
        match self {
            Self::Softmax | Self::Sigmoid => outputs,
            Self::Binary => 2,
            Self::Value => 1,
        }
    }

    /// The probabilities of a network's outputs; numbers that are no probabilities as they are.
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
            Self::Value => outputs,
        }
    }
}

impl fmt::Display for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of [`Outputs::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are no outputs \"{0}\"; there are softmax, sigmoid, binary, value, and logits for softmax")]
pub struct UnknownOutputs(pub String);

impl FromStr for Outputs {
    type Err = UnknownOutputs;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "softmax" | "logits" => Ok(Self::Softmax),
            "sigmoid" => Ok(Self::Sigmoid),
            "binary" => Ok(Self::Binary),
            "value" => Ok(Self::Value),
            _ => Err(UnknownOutputs(name.to_owned())),
        }
    }
}
