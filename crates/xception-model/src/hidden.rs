//! The activation after each hidden layer of a head.

use core::fmt;
use core::str::FromStr;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use graph::Activation;

/// The activation after each hidden layer of a head; `None` for no activation (`linear`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HiddenActivation(pub Option<Activation>);

impl HiddenActivation {
    /// `ReLU`, the default of this crate's heads.
    pub const RELU: Self = Self(Some(Activation::Relu));

    /// Its names on the command line, Keras's and PyTorch's; one with a slope is written `leaky_relu=0.01`.
    pub const NAMES: [&str; 15] = [
        "relu",
        "relu6",
        "leaky_relu=SLOPE",
        "elu",
        "selu",
        "swish",
        "hard_swish",
        "sigmoid",
        "tanh",
        "gelu",
        "softplus",
        "softsign",
        "mish",
        "exponential",
        "linear",
    ];
}

impl fmt::Display for HiddenActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(activation) = self.0 else {
            return f.pad("linear");
        };
        f.pad(match activation {
            Activation::Relu => "relu",
            Activation::Relu6 => "relu6",
            Activation::LeakyRelu { slope } => return f.pad(&format!("leaky_relu={slope}")),
            Activation::Elu { .. } => "elu",
            Activation::Selu => "selu",
            Activation::Swish => "swish",
            Activation::HardSwish => "hard_swish",
            Activation::Sigmoid => "sigmoid",
            Activation::HardSigmoid { .. } => "hard_sigmoid",
            Activation::Tanh => "tanh",
            Activation::Gelu { approximate: false } => "gelu",
            Activation::Gelu { approximate: true } => "gelu_tanh",
            Activation::Softplus => "softplus",
            Activation::Softsign => "softsign",
            Activation::Mish => "mish",
            Activation::Exponential => "exponential",
            Activation::Power { .. } => "power",
            Activation::Clip { .. } => "clip",
            Activation::Softmax => "softmax",
            Activation::LogSoftmax => "log_softmax",
        })
    }
}

/// The error for a name that is no activation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no activation \"{0}\"; there are {names}", names = HiddenActivation::NAMES.join(", "))]
pub struct UnknownActivation(pub String);

impl FromStr for HiddenActivation {
    type Err = UnknownActivation;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownActivation(name.to_owned());
        // Keras's function has the slope 0.2, its layer 0.3, and PyTorch's 0.01: the name alone does not say it.
        if let Some(slope) = name.strip_prefix("leaky_relu=") {
            let slope = slope.parse::<f64>().ok().filter(|slope| slope.is_finite());
            let slope = slope.ok_or_else(unknown)?;
            return Ok(Self(Some(Activation::LeakyRelu { slope })));
        }
        Ok(Self(Some(match name {
            "linear" | "none" => return Ok(Self(None)),
            "relu" => Activation::Relu,
            "relu6" => Activation::Relu6,
            "elu" => Activation::Elu { alpha: 1.0 },
            "selu" => Activation::Selu,
            "swish" | "silu" => Activation::Swish,
            "hard_swish" | "hardswish" => Activation::HardSwish,
            "sigmoid" => Activation::Sigmoid,
            "tanh" => Activation::Tanh,
            "gelu" => Activation::Gelu { approximate: false },
            "gelu_tanh" => Activation::Gelu { approximate: true },
            "softplus" => Activation::Softplus,
            "softsign" => Activation::Softsign,
            "mish" => Activation::Mish,
            "exponential" => Activation::Exponential,
            _ => return Err(unknown()),
        })))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in HiddenActivation::NAMES {
            let name = name.replace("SLOPE", "0.01");
            assert_eq!(name.parse::<HiddenActivation>().unwrap().to_string(), name);
        }
        let error = "leaky_relu".parse::<HiddenActivation>().unwrap_err().to_string();
        assert!(error.contains("leaky_relu=SLOPE"), "{error}");
    }
}
