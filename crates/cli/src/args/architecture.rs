//! `--architecture`.

use clap::ValueEnum;
use xception_model::{Architecture, InputSpec, ResNetConfig, Scaling, XceptionConfig};

/// An architecture as its paper describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArchitectureName {
    /// Chollet 2017
    Xception,
    /// He 2015, 50 layers
    Resnet50,
    /// He 2015, 101 layers
    Resnet101,
    /// He 2015, 152 layers
    Resnet152,
}

impl ArchitectureName {
    pub fn architecture(self) -> Architecture {
        let resnet = |blocks: [usize; 4]| ResNetConfig::new().with_blocks(blocks).into();
        // He 2015, table 1.
        match self {
            Self::Xception => XceptionConfig::new().into(),
            Self::Resnet50 => resnet([3, 4, 6, 3]),
            Self::Resnet101 => resnet([3, 4, 23, 3]),
            Self::Resnet152 => resnet([3, 8, 36, 3]),
        }
    }

    /// The input of the weights that `keras.applications` publishes.
    pub fn input(self) -> InputSpec {
        match self {
            Self::Xception => InputSpec::default(),
            Self::Resnet50 | Self::Resnet101 | Self::Resnet152 => InputSpec {
                height: 224,
                width: 224,
                scaling: Scaling::Caffe,
                ..InputSpec::default()
            },
        }
    }
}
