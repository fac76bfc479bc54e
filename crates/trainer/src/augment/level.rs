//! Built-in augmentations by name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::crop::RandomResizedCrop;
use super::erasing::RandomErasing;
use super::jitter::ColorJitter;
use super::mix::{Cutmix, Mixup};
use super::rand_augment::RandAugment;
use super::train::Train;

/// How much training pictures are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AugmentationLevel {
    /// No change: pictures are prepared as in evaluation.
    None,
    /// Parts of at least half the area, and random horizontal flips (Ultralytics' `scale` of 0.5 and `fliplr` of 0.5).
    #[default]
    Light,
    /// Parts of at least 35 % of the area (fastai's book, `min_scale=0.35`), flips, and colours changed by up to 20 %.
    Medium,
    /// For long runs on many pictures, from torchvision's newer recipes (`references/classification`): parts of at
    /// least 8 %, flips, `RandAugment` (its `ViT`'s), random erasing at a tenth (its `ResNet-50`'s), mixup at 0.2 and
    /// cutmix at 1 (both's).
    Strong,
}

impl AugmentationLevel {
    /// All levels, from least to most change.
    pub const ALL: [Self; 4] = [Self::None, Self::Light, Self::Medium, Self::Strong];

    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Light => "light",
            Self::Medium => "medium",
            Self::Strong => "strong",
        }
    }

    /// The level's changes for training.
    pub(super) fn train(self, size: usize) -> Train {
        let none = Train {
            size,
            resize: None,
            shrink_on_load: true,
            horizontal_flip: 0.0,
            vertical_flip: 0.0,
            random_resized_crop: None,
            color_jitter: None,
            rand_augment: None,
            random_erasing: None,
            mixup: None,
            cutmix: None,
        };
        let crop_and_flip = |area| Train {
            horizontal_flip: 0.5,
            random_resized_crop: Some(RandomResizedCrop::of_at_least(area)),
            ..none.clone()
        };
        match self {
            Self::None => none,
            Self::Light => crop_and_flip(0.5),
            Self::Medium => Train {
                color_jitter: Some(ColorJitter {
                    brightness: 0.2,
                    contrast: 0.2,
                    saturation: 0.2,
                    hue: 0.02,
                }),
                ..crop_and_flip(0.35)
            },
            Self::Strong => Train {
                rand_augment: Some(RandAugment::default()),
                random_erasing: Some(RandomErasing {
                    probability: 0.1,
                    ..RandomErasing::default()
                }),
                mixup: Some(Mixup { alpha: 0.2 }),
                cutmix: Some(Cutmix { alpha: 1.0 }),
                ..crop_and_flip(0.08)
            },
        }
    }
}

impl fmt::Display for AugmentationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error for a name that is not in [`AugmentationLevel::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no augmentation \"{0}\"; there are {names}",
    names = AugmentationLevel::ALL.map(AugmentationLevel::name).join(", ")
)]
pub struct UnknownLevel(pub String);

impl FromStr for AugmentationLevel {
    type Err = UnknownLevel;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| UnknownLevel(name.to_owned()))
    }
}
