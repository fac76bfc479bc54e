//! Mixes the pictures of a batch, and their targets likewise.

use serde::{Deserialize, Serialize};

use super::error::{AugmentError, within};
use crate::random::Random;

/// Zhang and others 2017, "mixup": every picture becomes a weighted mean of two pictures, its target the same mean of
/// their targets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixup {
    /// The weight is drawn from Beta(alpha, alpha): 0 always keeps one picture, 1 makes all weights equally likely.
    /// torchvision's recipes take 0.2.
    pub alpha: f64,
}

/// Yun and others 2019, "`CutMix`": a rectangle of every picture is replaced by the same rectangle of another picture.
/// The target is replaced in proportion to the rectangle's area.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cutmix {
    /// The rectangle's share of the area is drawn from Beta(alpha, alpha). The paper and torchvision's recipes take 1.
    pub alpha: f64,
}

/// A batch that can be mixed: `pixels` is `[pictures, 3, height, width]`, `targets` is `[pictures, classes]`.
pub(crate) struct Mixable<'a> {
    pub pixels: &'a mut [f32],
    pub targets: &'a mut [f32],
    pub pictures: usize,
    pub height: usize,
    pub width: usize,
}

impl Mixup {
    pub(super) fn check(self) -> Result<(), AugmentError> {
        within("mixup.alpha", self.alpha, 0.0..=100.0)
    }

    /// Mixes every picture with the previous one, as torchvision does (`roll(1, 0)`). The order of the pictures is
    /// already random.
    pub(super) fn apply(self, batch: &mut Mixable<'_>, random: &mut Random) {
        let share = random.beta(self.alpha) as f32;
        let mix = |value: &mut f32, other: f32| *value = *value * share + other * (1.0 - share);
        with_previous(batch.pixels, batch.pictures, |picture, previous| {
            for (value, &other) in picture.iter_mut().zip(previous) {
                mix(value, other);
            }
        });
        mix_targets(batch, share);
    }
}

impl Cutmix {
    pub(super) fn check(self) -> Result<(), AugmentError> {
        within("cutmix.alpha", self.alpha, 0.0..=100.0)
    }

    /// Uses one rectangle for the whole batch, clipped at the border (torchvision's `references/classification`,
    /// `RandomCutMix`).
    pub(super) fn apply(self, batch: &mut Mixable<'_>, random: &mut Random) {
        let (height, width) = (batch.height, batch.width);
        let half = 0.5 * (1.0 - random.beta(self.alpha)).sqrt();
        let (half_width, half_height) = ((half * width as f64) as usize, (half * height as f64) as usize);
        let (x, y) = (random.below(width), random.below(height));
        let columns = x.saturating_sub(half_width)..(x + half_width).min(width);
        let rows = y.saturating_sub(half_height)..(y + half_height).min(height);
        with_previous(batch.pixels, batch.pictures, |picture, previous| {
            let planes = picture.chunks_exact_mut(height * width);
            for (plane, other) in planes.zip(previous.chunks_exact(height * width)) {
                for row in rows.clone() {
                    let cut = row * width + columns.start..row * width + columns.end;
                    plane[cut.clone()].copy_from_slice(&other[cut]);
                }
            }
        });
        let cut = (rows.len() * columns.len()) as f64 / (height * width) as f64;
        mix_targets(batch, (1.0 - cut) as f32);
    }
}

/// Mixes every target with the previous target, which gets `1 - share`.
fn mix_targets(batch: &mut Mixable<'_>, share: f32) {
    with_previous(batch.targets, batch.pictures, |target, previous| {
        for (value, &other) in target.iter_mut().zip(previous) {
            *value = *value * share + other * (1.0 - share);
        }
    });
}

/// Calls `change` with each of `parts` equal parts and the unchanged previous part. The last part precedes the first.
fn with_previous(values: &mut [f32], parts: usize, mut change: impl FnMut(&mut [f32], &[f32])) {
    let len = values.len() / parts.max(1);
    if parts < 2 || len == 0 {
        return;
    }
    let last = values[(parts - 1) * len..].to_vec();
    for part in (1..parts).rev() {
        let (before, from) = values.split_at_mut(part * len);
        change(&mut from[..len], &before[(part - 1) * len..]);
    }
    change(&mut values[..len], &last);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    const SIDE: usize = 16;
    const LEN: usize = 3 * SIDE * SIDE;

    /// Three pictures of one level each. The level is also the place of the picture's target.
    fn mixed(apply: impl Fn(&mut Mixable<'_>)) -> (Vec<f32>, Vec<f32>) {
        let mut pixels: Vec<f32> = (0..3).flat_map(|picture| [picture as f32; LEN]).collect();
        let mut targets = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        apply(&mut Mixable {
            pixels: &mut pixels,
            targets: &mut targets,
            pictures: 3,
            height: SIDE,
            width: SIDE,
        });
        (pixels, targets)
    }

    #[test]
    fn mixup_gives_pixels_and_targets_one_weight() {
        for position in 0..50 {
            let (pixels, targets) =
                mixed(|batch| Mixup { alpha: 0.4 }.apply(batch, &mut Random::new(0, Purpose::Mix, 0, position)));
            let share = targets[4];
            for (picture, (own, before)) in [(0.0, 2.0), (1.0, 0.0), (2.0, 1.0)].into_iter().enumerate() {
                let expected = own * share + before * (1.0 - share);
                assert!(
                    pixels[picture * LEN..][..LEN]
                        .iter()
                        .all(|value| (value - expected).abs() < 1e-6)
                );
                assert!((targets[picture * 3..][..3].iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
            assert_eq!(targets[..3], [share, 0.0, 1.0 - share]);
        }
    }

    #[test]
    fn cutmix_counts_the_pixels_it_took() {
        let mut shares = Vec::new();
        for position in 0..50 {
            let (pixels, targets) =
                mixed(|batch| Cutmix { alpha: 1.0 }.apply(batch, &mut Random::new(0, Purpose::Mix, 0, position)));
            for (picture, (own, before)) in [(0, 2), (1, 0), (2, 1)].into_iter().enumerate() {
                let picture = &pixels[picture * LEN..][..LEN];
                let taken = picture.iter().filter(|&&value| value as usize == before).count();
                let kept = picture.iter().filter(|&&value| value as usize == own).count();
                assert_eq!(taken + kept, LEN);
                let share = kept as f32 / LEN as f32;
                assert!((targets[own * 3 + own] - share).abs() < 1e-6);
                assert!((targets[own * 3 + before] - (1.0 - share)).abs() < 1e-6);
            }
            shares.push(targets[0]);
        }
        assert!(shares.iter().any(|&share| share < 0.5) && shares.iter().any(|&share| share > 0.9));
    }

    #[test]
    fn a_picture_alone_stays() {
        let (mut pixels, mut targets) = ([0.25; LEN], [0.0, 1.0]);
        let mut batch = Mixable {
            pixels: &mut pixels,
            targets: &mut targets,
            pictures: 1,
            height: SIDE,
            width: SIDE,
        };
        Mixup { alpha: 1.0 }.apply(&mut batch, &mut Random::new(0, Purpose::Mix, 0, 0));
        Cutmix { alpha: 1.0 }.apply(&mut batch, &mut Random::new(0, Purpose::Mix, 0, 0));
        assert_eq!((pixels, targets), ([0.25; LEN], [0.0, 1.0]));
    }
}
