//! Random brightness, contrast, saturation and hue.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::{
    enhance,
    error::{AugmentError, within},
    hue::hue,
};
use crate::random::Random;

/// The four colour changes of torchvision's `ColorJitter`, in random order.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColorJitter {
    /// Factor drawn from `max(0, 1 - brightness)` to `1 + brightness`.
    pub brightness: f64,
    /// Factor drawn from `max(0, 1 - contrast)` to `1 + contrast`.
    pub contrast: f64,
    /// Factor drawn from `max(0, 1 - saturation)` to `1 + saturation`.
    pub saturation: f64,
    /// Share of the colour circle drawn from `-hue` to `hue`, at most 0.5.
    pub hue: f64,
}

impl ColorJitter {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        within("color_jitter.brightness", self.brightness, 0.0..=10.0)?;
        within("color_jitter.contrast", self.contrast, 0.0..=10.0)?;
        within("color_jitter.saturation", self.saturation, 0.0..=10.0)?;
        within("color_jitter.hue", self.hue, 0.0..=0.5)
    }

    pub(super) fn apply(&self, picture: &mut RgbImage, random: &mut Random) {
        let mut order = [0, 1, 2, 3];
        random.shuffle(&mut order);
        let mut factor = |spread: f64| random.between((1.0 - spread).max(0.0), 1.0 + spread) as f32;
        let factors = [self.brightness, self.contrast, self.saturation].map(&mut factor);
        let turn = random.between(-self.hue, self.hue);
        for change in order {
            match change {
                0 if self.brightness > 0.0 => enhance::brightness(picture, factors[0]),
                1 if self.contrast > 0.0 => enhance::contrast(picture, factors[1]),
                2 if self.saturation > 0.0 => enhance::color(picture, factors[2]),
                3 if self.hue > 0.0 => hue(picture, turn),
                _ => {}
            }
        }
    }
}
