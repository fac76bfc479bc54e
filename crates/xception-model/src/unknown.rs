use std::fmt;

/// A property that changes what the network computes and that a weight file may leave open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// The size of the pictures.
    Size,
    /// The pooling of the last feature map.
    Pooling,
    /// The library whose batch-norm epsilon and pool padding apply.
    Variant,
    /// What its outputs are.
    Outputs,
    /// What stands behind each hidden layer of its head.
    HiddenActivation,
    /// How its pictures are scaled.
    Scaling,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "the size of its pictures (option: --size 299x299)",
            Self::Pooling => "how it pools (option: --pooling average, max or none)",
            Self::Variant => {
                "whose batch-norm epsilon and pool padding it has (option: --variant keras, or torch for timm's)"
            }
            Self::Outputs => {
                "what its outputs are (option, for one output: --head binary for the logit of the second of two \
                 classes, or --head value for a number that is no probability; for several: --head softmax for one \
                 class of several, or --head sigmoid for several labels)"
            }
            Self::HiddenActivation => {
                "what stands behind the hidden layers of its head (option: --hidden-activation relu, tanh, swish, \
                 linear, ...)"
            }
            Self::Scaling => {
                "how its pictures are scaled (option: --scaling tf for -1..1, as Keras's Xception is fed; unit for \
                 0..1; torch for ImageNet's mean and deviation; caffe for BGR minus means, as Keras's ResNet is fed; \
                 none for 0..255)"
            }
        })
    }
}

/// Joins several unknowns in one sentence.
pub(crate) fn list(unknown: &[Unknown]) -> String {
    let parts: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    parts.join(", nor ")
}
