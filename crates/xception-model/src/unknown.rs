use std::fmt;

/// A property that changes what the network computes and that a weight file may leave open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// The size of the pictures.
    Size,
    /// The pooling of the last feature map.
    Pooling,
    /// The library whose version of the network it is.
    Variant,
    /// What its outputs are.
    Outputs,
    /// The activation after each hidden layer of its head.
    HiddenActivation,
    /// How its pictures are scaled.
    Scaling,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "the size of its pictures (option: --size HEIGHTxWIDTH)",
            Self::Pooling => "how it pools (option: --pooling average, max or none)",
            Self::Variant => {
                "whose version of the network it is: strides, paddings, epsilons differ (option: --variant keras, or \
                 torch for torchvision's and timm's)"
            }
            Self::Outputs => {
                "what its outputs are (option, for one output: --head binary for the logit of the second of two \
                 classes, or --head value for a number that is no probability; for several: --head softmax for the \
                 logits of one class of several, or --head sigmoid for those of several labels; for numbers that are \
                 probabilities already: --head probabilities)"
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

impl Unknown {
    /// Several of them in one sentence. `side` is the usual side of the network's pictures.
    pub fn list(unknown: &[Self], side: usize) -> String {
        let usual = format!("{side}x{side}");
        let parts = unknown
            .iter()
            .map(|what| what.to_string().replace("HEIGHTxWIDTH", &usual));
        parts.collect::<Vec<_>>().join(", nor ")
    }
}
