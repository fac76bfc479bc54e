use std::fmt;

/// Something a weight file may leave open, and that changes what the network computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// The size of its pictures.
    Size,
    /// How the last feature map is pooled.
    Pooling,
    /// Whose batch-norm epsilon and pool padding it was trained with.
    Variant,
    /// What its one output is.
    Outputs,
    /// How its pictures are scaled.
    Scaling,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "the size of its pictures (say it: --size 299x299)",
            Self::Pooling => "how it pools (say it: --pooling average, max or none)",
            Self::Variant => {
                "whose batch-norm epsilon and pool padding it has (say it: --variant keras, or torch for timm's)"
            }
            Self::Outputs => {
                "what its one output is (say it: --head binary for the logit of the second of two classes, or --head value for a \
                 number)"
            }
            Self::Scaling => {
                "how its pictures are scaled (say it: --scaling tf for -1..1, unit for 0..1, torch for ImageNet's mean and \
                 deviation, caffe for BGR minus means, or none for 0..255)"
            }
        })
    }
}

/// Several unknowns in one sentence.
pub(crate) fn list(unknown: &[Unknown]) -> String {
    let parts: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    parts.join(", nor ")
}
