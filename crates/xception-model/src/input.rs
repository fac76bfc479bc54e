//! Scaling of a picture's channel values.

use core::fmt;
use core::str::FromStr;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;

use graph::ScaleShift;
use serde::{Deserialize, Serialize};

/// Scaling of the channel values 0 to 255 (`preprocess_input` of `keras/src/applications/imagenet_utils.py`, by
/// `mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scaling {
    /// `x / 127.5 - 1`, to -1..1.
    #[default]
    Tf,
    /// `x / 255`, to 0..1.
    Unit,
    /// `x / 255`, minus ImageNet's mean, by its standard deviation.
    Torch,
    /// Blue, green, red, each minus ImageNet's mean.
    Caffe,
    /// Unchanged, 0 to 255.
    None,
}

/// ImageNet's mean of red, green and blue in 0..1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// ImageNet's standard deviation of red, green and blue in 0..1.
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
/// ImageNet's mean of blue, green and red in 0..255.
const CAFFE_MEAN: [f32; 3] = [103.939, 116.779, 123.68];

impl Scaling {
    /// All scalings.
    pub const ALL: [Self; 5] = [Self::Tf, Self::Unit, Self::Torch, Self::Caffe, Self::None];

    /// The scaling's name in cards, in records and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tf => "tf",
            Self::Unit => "unit",
            Self::Torch => "torch",
            Self::Caffe => "caffe",
            Self::None => "none",
        }
    }

    /// Whether each colour has constants of its own, so that only pictures of three channels can be scaled so.
    pub const fn is_per_colour(self) -> bool {
        matches!(self, Self::Torch | Self::Caffe)
    }

    /// Scales a pixel's red, green and blue (0 to 255) to the network's three channels, with Keras's roundings.
    pub fn apply(self, rgb: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Tf => rgb.map(|value| value / 127.5 - 1.0),
            Self::Unit => rgb.map(|value| value / 255.0),
            Self::Torch => core::array::from_fn(|channel| (rgb[channel] / 255.0 - MEAN[channel]) / DEVIATION[channel]),
            Self::Caffe => core::array::from_fn(|channel| rgb[2 - channel] - CAFFE_MEAN[channel]),
            Self::None => rgb,
        }
    }

    /// The inverse of [`apply`](Self::apply), up to rounding.
    pub fn undo(self, channels: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Tf => channels.map(|value| (value + 1.0) * 127.5),
            Self::Unit => channels.map(|value| value * 255.0),
            Self::Torch => {
                core::array::from_fn(|channel| (channels[channel] * DEVIATION[channel] + MEAN[channel]) * 255.0)
            }
            Self::Caffe => core::array::from_fn(|channel| channels[2 - channel] + CAFFE_MEAN[2 - channel]),
            Self::None => channels,
        }
    }

    /// The scaling that equals these constants, if there is one. [`None`](Self::None) has no constants and is never
    /// returned.
    pub fn of_affine(affine: &ScaleShift) -> Option<Self> {
        let torch = ScaleShift {
            scale: DEVIATION
                .iter()
                .map(|deviation| 1.0 / (255.0 * f64::from(*deviation)))
                .collect(),
            shift: MEAN
                .iter()
                .zip(DEVIATION)
                .map(|(mean, deviation)| -f64::from(*mean) / f64::from(deviation))
                .collect(),
        };
        let known = [
            (Self::Tf, ScaleShift::new(1.0 / 127.5, -1.0)),
            (Self::Unit, ScaleShift::new(1.0 / 255.0, 0.0)),
            (Self::Torch, torch),
            (
                Self::None,
                ScaleShift {
                    scale: vec![1.0],
                    shift: vec![0.0],
                },
            ),
        ];
        known
            .into_iter()
            .find_map(|(scaling, expected)| are_near(affine, &expected).then_some(scaling))
    }

    /// The scaling that equals these constants applied to blue, green and red, if there is one.
    pub fn of_reversed(affine: &ScaleShift) -> Option<Self> {
        let caffe = ScaleShift {
            scale: vec![1.0],
            shift: CAFFE_MEAN.iter().map(|mean| -f64::from(*mean)).collect(),
        };
        are_near(affine, &caffe).then_some(Self::Caffe)
    }
}

/// Whether constants for three channels are equal. Those in files are rounded to 32 bits, some of them in several
/// steps.
fn are_near(found: &ScaleShift, expected: &ScaleShift) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 2e-6 * b.abs().max(1e-3);
    let equal = |channel: usize| {
        near(found.scale_of(channel), expected.scale_of(channel))
            && near(found.shift_of(channel), expected.shift_of(channel))
    };
    found.scale.len().max(found.shift.len()) <= 3 && (0..3).all(equal)
}

impl fmt::Display for Scaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not in [`Scaling::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no scaling \"{0}\"; there are tf (-1..1), unit (0..1), torch (ImageNet's mean and deviation), \
     caffe (BGR minus means) and none (0..255)"
)]
pub struct UnknownScaling(pub String);

impl FromStr for Scaling {
    type Err = UnknownScaling;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scaling| scaling.name() == name)
            .ok_or_else(|| UnknownScaling(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalings_are_keras_s() {
        // ZOO: RGB (10, 20, 30) by `preprocess_input` of Keras 3.15.
        for (scaling, expected) in [
            (Scaling::Caffe, [-73.939, -96.779, -113.68]),
            (Scaling::Tf, [-0.921_568_6, -0.843_137_3, -0.764_705_9]),
            (Scaling::Torch, [-1.946_656_5, -1.685_574_2, -1.281_568_6]),
        ] {
            let found = scaling.apply([10.0, 20.0, 30.0]);
            for (found, expected) in found.into_iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-6 * expected.abs(),
                    "{scaling}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn a_scaling_is_undone() {
        for scaling in Scaling::ALL {
            let found = scaling.undo(scaling.apply([10.0, 128.0, 250.0]));
            for (found, expected) in found.into_iter().zip([10.0, 128.0, 250.0]) {
                assert!((found - expected).abs() < 1e-4, "{scaling}");
            }
        }
    }

    #[test]
    fn constants_are_recognised() {
        let affine = |scale: f64, shift: f64| Scaling::of_affine(&ScaleShift::new(scale, shift));
        assert_eq!(affine(1.0 / 127.5, -1.0), Some(Scaling::Tf));
        assert_eq!(affine(f64::from(1.0_f32 / 255.0), 0.0), Some(Scaling::Unit));
        assert_eq!(affine(1.0 / 128.0, -1.0), None);
        // (x - 127.5) / 127.5
        let steps = ScaleShift::new(1.0, -127.5)
            .then(&ScaleShift::new(1.0 / 127.5, 0.0))
            .unwrap();
        assert_eq!(Scaling::of_affine(&steps), Some(Scaling::Tf));
    }
}
