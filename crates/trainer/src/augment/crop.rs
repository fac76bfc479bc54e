//! A random part of a picture.

use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};

use super::error::{AugmentError, bounds};
use crate::random::Random;

/// A part of random area and shape, resized to the input: Inception's augmentation (Szegedy 2014, section 6), as
/// torchvision's `RandomResizedCrop` draws it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// The smallest and largest share of the picture's area, 0 to 1.
    #[serde(default = "RandomResizedCrop::default_scale")]
    pub scale: [f64; 2],
    /// The smallest and largest width divided by height, drawn evenly on a logarithmic scale.
    #[serde(default = "RandomResizedCrop::default_ratio")]
    pub ratio: [f64; 2],
}

impl RandomResizedCrop {
    /// Parts of at least this share of the area, with a width of three quarters to four thirds of the height.
    pub fn of_at_least(area: f64) -> Self {
        Self {
            scale: [area, 1.0],
            ratio: Self::default_ratio(),
        }
    }

    /// The largest ratio of the shorter side of a picture to the shorter side of its part.
    pub(crate) fn largest_zoom(&self) -> f64 {
        let [narrow, wide] = self.ratio;
        1.0 / (self.scale[0] * narrow.min(1.0 / wide)).sqrt()
    }

    pub(super) fn check(&self) -> Result<(), AugmentError> {
        bounds("random_resized_crop.scale", self.scale, 1e-4..=1.0)?;
        bounds("random_resized_crop.ratio", self.ratio, 1e-2..=1e2)
    }

    pub(super) fn apply(&self, picture: &RgbImage, random: &mut Random) -> RgbImage {
        let [x, y, width, height] = self.draw(picture.dimensions(), random);
        imageops::crop_imm(picture, x, y, width, height).to_image()
    }

    /// Left, top, width and height (`transforms.py`, `RandomResizedCrop.get_params`).
    fn draw(&self, (width, height): (u32, u32), random: &mut Random) -> [u32; 4] {
        let area = f64::from(width) * f64::from(height);
        let [narrow, wide] = self.ratio;
        for _ in 0..10 {
            let part = area * random.between(self.scale[0], self.scale[1]);
            let ratio = random.between(narrow.ln(), wide.ln()).exp();
            let crop_width = (part * ratio).sqrt().round_ties_even() as u32;
            let crop_height = (part / ratio).sqrt().round_ties_even() as u32;
            if (1..=width).contains(&crop_width) && (1..=height).contains(&crop_height) {
                let top = random.below((height - crop_height) as usize + 1) as u32;
                let left = random.below((width - crop_width) as usize + 1) as u32;
                return [left, top, crop_width, crop_height];
            }
        }
        // The picture is too narrow for the drawn shapes, so the largest part in the middle is taken.
        let own = f64::from(width) / f64::from(height);
        let (crop_width, crop_height) = if own < narrow {
            (width, (f64::from(width) / narrow).round_ties_even() as u32)
        } else if own > wide {
            ((f64::from(height) * wide).round_ties_even() as u32, height)
        } else {
            (width, height)
        };
        let (crop_width, crop_height) = (crop_width.clamp(1, width), crop_height.clamp(1, height));
        [
            (width - crop_width) / 2,
            (height - crop_height) / 2,
            crop_width,
            crop_height,
        ]
    }

    fn default_scale() -> [f64; 2] {
        [0.08, 1.0]
    }

    fn default_ratio() -> [f64; 2] {
        [3.0 / 4.0, 4.0 / 3.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn draws(crop: RandomResizedCrop, size: (u32, u32)) -> Vec<[u32; 4]> {
        (0..2_000)
            .map(|position| crop.draw(size, &mut Random::new(3, Purpose::Augment, 0, position)))
            .collect()
    }

    #[test]
    fn parts_keep_to_the_area_and_shape_asked_for_and_reach_every_border() {
        let (width, height) = (200, 120);
        let parts = draws(RandomResizedCrop::of_at_least(0.3), (width, height));
        for &[x, y, w, h] in &parts {
            assert!(x + w <= width && y + h <= height);
            let share = f64::from(w * h) / f64::from(width * height);
            let ratio = f64::from(w) / f64::from(h);
            assert!((0.28..=1.0).contains(&share), "{share}");
            assert!((0.73..=1.37).contains(&ratio), "{ratio}");
        }
        assert!(parts.iter().any(|&[x, ..]| x == 0) && parts.iter().any(|&[_, y, ..]| y == 0));
        assert!(parts.iter().any(|&[x, _, w, _]| x + w == width));
        assert!(parts.iter().any(|&[_, y, _, h]| y + h == height));
    }

    #[test]
    fn of_a_picture_too_thin_the_middle_is_taken() {
        for part in draws(RandomResizedCrop::of_at_least(0.9), (300, 3)) {
            assert_eq!(part, [148, 0, 4, 3]);
        }
        assert_eq!(draws(RandomResizedCrop::of_at_least(0.9), (1, 1))[0], [0, 0, 1, 1]);
    }

    #[test]
    fn no_part_of_a_square_is_thinner_than_the_largest_zoom_says() {
        let crop = RandomResizedCrop::of_at_least(0.08);
        let thinnest = draws(crop, (1_000, 1_000))
            .iter()
            .map(|&[_, _, w, h]| w.min(h))
            .min()
            .unwrap();
        let bound = 1_000.0 / crop.largest_zoom();
        assert!(f64::from(thinnest) >= bound - 1.0 && f64::from(thinnest) < 1.2 * bound);
    }
}
