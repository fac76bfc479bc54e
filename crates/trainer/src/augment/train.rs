use serde::{Deserialize, Serialize};
use xception_model::picture::Preset;

use super::crop::RandomResizedCrop;
use super::erasing::RandomErasing;
use super::jitter::ColorJitter;
use super::mix::{Cutmix, Mixup};
use super::rand_augment::RandAugment;

/// The changes for training, in the order of their application. An omitted change is not applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Height and width of the network's input.
    pub size: usize,
    /// The preset that resizes a part of a picture: any preset that does not crop. By default the preset of evaluation,
    /// or `pil-bilinear` if the preset of evaluation crops the centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Preset>,
    /// Whether large pictures are shrunk first. JPEG files are decoded at a half, a quarter or an eighth of their size;
    /// pixels of other formats are averaged. The smallest crop still has as many pixels as the input. Only with
    /// `pil-bilinear`, which averages as well, so that the input stays about the same. On by default.
    #[serde(default = "on")]
    pub shrink_on_load: bool,
    /// The probability that left and right are swapped, 0 to 1.
    #[serde(default)]
    pub horizontal_flip: f64,
    /// The probability that top and bottom are swapped, 0 to 1.
    #[serde(default)]
    pub vertical_flip: f64,
    /// A random part, cut out before resizing; `None` for the whole picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_resized_crop: Option<RandomResizedCrop>,
    /// Random brightness, contrast, saturation and hue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_jitter: Option<ColorJitter>,
    /// Random operations of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rand_augment: Option<RandAugment>,
    /// A random rectangle that is blanked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_erasing: Option<RandomErasing>,
    /// Two pictures blended. If `cutmix` is set too, each batch gets one of the two, with equal probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixup: Option<Mixup>,
    /// A rectangle replaced by the same rectangle of another picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutmix: Option<Cutmix>,
}

fn on() -> bool {
    true
}

impl Train {
    /// Whether pictures are only resized. Training then reads the same pixel values as evaluation.
    pub(crate) fn is_plain(&self) -> bool {
        // Every field is named, so that the compiler reports a new change that is missing here.
        let Self {
            size: _,
            resize: _,
            shrink_on_load: _,
            horizontal_flip,
            vertical_flip,
            random_resized_crop,
            color_jitter,
            rand_augment,
            random_erasing,
            mixup: _,
            cutmix: _,
        } = self;
        *horizontal_flip == 0.0
            && *vertical_flip == 0.0
            && random_resized_crop.is_none()
            && color_jitter.is_none()
            && rand_augment.is_none()
            && random_erasing.is_none()
    }
}
