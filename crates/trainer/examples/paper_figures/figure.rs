//! What the figures compare.

use xception_model::{IntermediateActivation, Variant as Library, Widths, XceptionConfig};

/// A figure of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// With and without residual connections (section 4.6).
    Residuals,
    /// The activation between depthwise and pointwise convolution (section 4.7).
    Activation,
}

/// One of the networks that a figure compares.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name, for tables and plots.
    pub name: &'static str,
    /// The network.
    pub network: XceptionConfig,
}

impl Figure {
    /// The figure of this number.
    pub fn of(number: &str) -> Option<Self> {
        match number {
            "9" => Some(Self::Residuals),
            "10" => Some(Self::Activation),
            _ => None,
        }
    }

    /// The title of the plot.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Residuals => "Figure 9 in small: residual connections",
            Self::Activation => "Figure 10 in small: activation between depthwise and pointwise",
        }
    }

    /// The networks, in the order in which the paper ranks them.
    pub fn variants(self) -> Vec<Variant> {
        match self {
            Self::Residuals => [("with residuals", true), ("without residuals", false)]
                .map(|(name, residual)| Variant {
                    name,
                    network: small().with_residual(residual),
                })
                .to_vec(),
            Self::Activation => [
                ("no activation", IntermediateActivation::None),
                ("ReLU", IntermediateActivation::Relu),
                ("ELU", IntermediateActivation::Elu),
            ]
            .map(|(name, activation)| Variant {
                name,
                network: small().with_intermediate_activation(activation),
            })
            .to_vec(),
        }
    }
}

/// The paper's network: all its 36 convolutions, with about an eighth of the channels. Its batch norms have PyTorch's
/// constants: Keras's running averages take a hundredth of each batch, and a run of 345 steps ends before they follow.
fn small() -> XceptionConfig {
    XceptionConfig::new()
        .with_num_classes(10)
        .with_variant(Library::Torch)
        .with_widths(Widths {
            stem: [8, 8],
            entry: [16, 32, 96],
            exit: [128, 192, 256].into(),
        })
}
