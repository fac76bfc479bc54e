//! Blanks a random rectangle.

use serde::{Deserialize, Serialize};

use super::error::{AugmentError, bounds, within};
use crate::random::Random;

/// Zhong and others 2017, "Random erasing", as torchvision's `RandomErasing` draws it: a rectangle becomes mid-grey
/// (0.0 in the network's -1 to 1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomErasing {
    /// The probability, 0 to 1.
    pub probability: f64,
    /// The smallest and largest share of the area.
    pub scale: [f64; 2],
    /// The smallest and largest height divided by width.
    pub ratio: [f64; 2],
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self {
            probability: 0.5,
            scale: [0.02, 0.33],
            ratio: [0.3, 3.3],
        }
    }
}

impl RandomErasing {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        within("random_erasing.probability", self.probability, 0.0..=1.0)?;
        bounds("random_erasing.scale", self.scale, 0.0..=1.0)?;
        bounds("random_erasing.ratio", self.ratio, 1e-2..=1e2)
    }

    /// `planes` is `[3, height, width]`.
    pub(super) fn apply(&self, planes: &mut [f32], height: usize, width: usize, random: &mut Random) {
        if !random.chance(self.probability) {
            return;
        }
        // `transforms.py`, `RandomErasing.get_params`: after ten tries the picture stays as it is.
        for _ in 0..10 {
            let area = (height * width) as f64 * random.between(self.scale[0], self.scale[1]);
            let ratio = random.between(self.ratio[0].ln(), self.ratio[1].ln()).exp();
            let rows = (area * ratio).sqrt().round_ties_even() as usize;
            let columns = (area / ratio).sqrt().round_ties_even() as usize;
            if rows < height && columns < width {
                let top = random.below(height - rows + 1);
                let left = random.below(width - columns + 1);
                for plane in planes.chunks_exact_mut(height * width) {
                    for row in plane.chunks_exact_mut(width).skip(top).take(rows) {
                        row[left..left + columns].fill(0.0);
                    }
                }
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn one_rectangle_of_the_area_asked_for_is_blank_in_every_channel() {
        let erasing = RandomErasing {
            probability: 1.0,
            ..RandomErasing::default()
        };
        let (height, width) = (40, 60);
        for position in 0..200 {
            let mut planes = vec![1.0; 3 * height * width];
            erasing.apply(
                &mut planes,
                height,
                width,
                &mut Random::new(0, Purpose::Augment, 0, position),
            );
            let blank =
                |plane: &[f32]| -> Vec<usize> { (0..plane.len()).filter(|&index| plane[index] == 0.0).collect() };
            let erased = blank(&planes[..height * width]);
            let share = erased.len() as f64 / (height * width) as f64;
            assert!((0.01..=0.34).contains(&share), "{share}");
            let columns = erased.iter().map(|index| index % width);
            let (left, right) = (columns.clone().min().unwrap(), columns.max().unwrap());
            let rows = erased.last().unwrap() / width - erased[0] / width + 1;
            assert_eq!(erased.len(), rows * (right - left + 1), "a rectangle");
            for plane in planes.chunks_exact(height * width) {
                assert_eq!(blank(plane), erased);
            }
        }
    }

    #[test]
    fn the_probability_is_kept() {
        let erasing = RandomErasing {
            probability: 0.25,
            ..RandomErasing::default()
        };
        let erased = (0..2_000).filter(|&position| {
            let mut planes = [1.0; 3 * 64];
            erasing.apply(&mut planes, 8, 8, &mut Random::new(0, Purpose::Augment, 0, position));
            planes.contains(&0.0)
        });
        let count = erased.count();
        assert!((430..=570).contains(&count), "{count}");
    }
}
