//! Random operations of a list, all at one magnitude.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::affine::Affine;
use super::error::{AugmentError, within};
use super::{enhance, levels};
use crate::random::Random;

/// Cubuk and others 2019, "`RandAugment`", with torchvision's list of operations and its scale of magnitudes
/// (`autoaugment.py`, `RandAugment`). Moved pixels are interpolated, and places outside the picture are grey, both as
/// in timm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandAugment {
    /// The number of operations, one after another, at most 14. An operation may be repeated.
    pub num_ops: usize,
    /// The strength of the operations, 0 to 30.
    pub magnitude: f64,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self {
            num_ops: 2,
            magnitude: 9.0,
        }
    }
}

/// The highest magnitude: `num_magnitude_bins - 1`.
const MOST: f64 = 30.0;

/// One operation of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// No change.
    Identity,
    /// Shifts rows left or right, by up to 0.3 of their distance from the top.
    ShearX,
    /// Like `ShearX`, but shifts columns up or down in proportion to their distance from the left.
    ShearY,
    /// Moves the picture left or right by up to 150 / 331 of the width.
    TranslateX,
    /// Moves the picture up or down likewise.
    TranslateY,
    /// Rotates by up to 30 degrees, in either direction.
    Rotate,
    /// [`enhance::brightness`] by 1 plus or minus up to 0.9.
    Brightness,
    /// [`enhance::color`] by 1 plus or minus up to 0.9.
    Color,
    /// [`enhance::contrast`] by 1 plus or minus up to 0.9.
    Contrast,
    /// [`enhance::sharpness`] by 1 plus or minus up to 0.9.
    Sharpness,
    /// [`levels::posterize`] to 8 bits down to 4.
    Posterize,
    /// [`levels::solarize`] from 255 down to 0.
    Solarize,
    /// [`levels::autocontrast`], whatever the magnitude.
    AutoContrast,
    /// [`levels::equalize`], whatever the magnitude.
    Equalize,
}

impl Operation {
    /// All operations, in torchvision's order.
    pub const ALL: [Self; 14] = [
        Self::Identity,
        Self::ShearX,
        Self::ShearY,
        Self::TranslateX,
        Self::TranslateY,
        Self::Rotate,
        Self::Brightness,
        Self::Color,
        Self::Contrast,
        Self::Sharpness,
        Self::Posterize,
        Self::Solarize,
        Self::AutoContrast,
        Self::Equalize,
    ];

    /// Applies the operation at a `strength` of 0.0 to 1.0. A negative strength rotates, moves or changes in the
    /// opposite direction.
    pub fn apply(self, picture: &mut RgbImage, strength: f64) {
        let factor = (1.0 + 0.9 * strength) as f32;
        // AutoAugment's limit is for a picture of 331 x 331; torchvision keeps the limit.
        let shift = |side: u32| (150.0 / 331.0 * f64::from(side) * strength).trunc();
        let moved = match self {
            Self::ShearX => Affine::shear_x(0.3 * strength),
            Self::ShearY => Affine::shear_y(0.3 * strength),
            Self::TranslateX => Affine::translation(shift(picture.width()), 0.0),
            Self::TranslateY => Affine::translation(0.0, shift(picture.height())),
            Self::Rotate => Affine::rotation(picture, 30.0 * strength),
            Self::Identity => return,
            Self::Brightness => return enhance::brightness(picture, factor),
            Self::Color => return enhance::color(picture, factor),
            Self::Contrast => return enhance::contrast(picture, factor),
            Self::Sharpness => return enhance::sharpness(picture, factor),
            Self::Posterize => {
                let dropped = (strength.abs() * 4.0).round_ties_even() as u32;
                return levels::posterize(picture, 8_u32.saturating_sub(dropped));
            }
            Self::Solarize => return levels::solarize(picture, 255.0 * (1.0 - strength.abs())),
            Self::AutoContrast => return levels::autocontrast(picture),
            Self::Equalize => return levels::equalize(picture),
        };
        *picture = moved.apply(picture);
    }
}

impl RandAugment {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        within("rand_augment.num_ops", self.num_ops as f64, 0.0..=14.0)?;
        within("rand_augment.magnitude", self.magnitude, 0.0..=MOST)
    }

    pub(super) fn apply(&self, picture: &mut RgbImage, random: &mut Random) {
        for _ in 0..self.num_ops {
            let operation = Operation::ALL[random.below(Operation::ALL.len())];
            let sign = if random.chance(0.5) { -1.0 } else { 1.0 };
            operation.apply(picture, sign * self.magnitude / MOST);
        }
    }
}
