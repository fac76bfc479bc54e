//! How pictures become input: changed at random for training, always alike for evaluation.
//!
//! Both stand side by side in one [`Augmentation`], which is one TOML file, since a network judges well only what it is
//! shown as in training:
//!
//! ```
//! use trainer::augment::{Augmentation, Level};
//! use xception_model::picture::Preset;
//!
//! let augmentation = Augmentation::named(Level::Light, 150, Preset::PilBilinear);
//! let text = augmentation.to_toml();
//! assert!(text.contains("[train.random_resized_crop]\nscale = [0.5, 1.0]"));
//! assert_eq!(Augmentation::from_toml(&text)?, augmentation);
//! # Ok::<(), trainer::augment::AugmentError>(())
//! ```
//!
//! The colour operations give Pillow's levels, bit for bit, so a recipe of torchvision or timm means the same here.

pub mod affine;
mod crop;
pub mod enhance;
mod erasing;
mod error;
mod hue;
mod jitter;
mod level;
pub mod levels;
mod mix;
mod rand_augment;

use std::path::Path;

use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};
use xception_model::Scaling;
use xception_model::picture::{PictureError, Preset};

pub use crop::RandomResizedCrop;
pub use erasing::RandomErasing;
pub use error::AugmentError;
pub use hue::hue;
pub use jitter::ColorJitter;
pub use level::{Level, UnknownLevel};
pub(crate) use mix::Mixable;
pub use mix::{Cutmix, Mixup};
pub use rand_augment::{Operation, RandAugment};

use crate::error::toml_problem;
use crate::random::{Purpose, Random};
use error::{bounds, read_text, within};

/// What happens to a picture on its way to the network, in training and in evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// For training.
    pub train: Train,
    /// For validation, test and later use.
    pub eval: Eval,
    /// How channel values are scaled: as the weights that a run starts from want them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scaling: Scaling,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_default(scaling: &Scaling) -> bool {
    *scaling == Scaling::default()
}

/// Changes for training, in the order in which they happen. What is left out does not happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Height and width of the network's input.
    pub size: usize,
    /// How a part of a picture is brought to the size: any preset that stretches to it. By default as in evaluation, and
    /// `pil-bilinear` where evaluation cuts out the middle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Preset>,
    /// Take a smaller version of a large picture: JPEG files are decoded at a half, a quarter or an eighth, of others the
    /// pixels are averaged, as long as the smallest crop has as many pixels as the input. Only with `pil-bilinear`, which
    /// averages too, so that the input stays about the same. By default on.
    #[serde(default = "on")]
    pub shrink_on_load: bool,
    /// How often left and right change places, 0 to 1.
    #[serde(default)]
    pub horizontal_flip: f64,
    /// How often top and bottom change places, 0 to 1.
    #[serde(default)]
    pub vertical_flip: f64,
    /// A random part, before the resizing; else the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_resized_crop: Option<RandomResizedCrop>,
    /// Random brightness, contrast, saturation and hue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_jitter: Option<ColorJitter>,
    /// Random operations of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rand_augment: Option<RandAugment>,
    /// A random rectangle blanked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_erasing: Option<RandomErasing>,
    /// Two pictures blended. With `cutmix` beside it, each batch is given one or the other, as often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixup: Option<Mixup>,
    /// A rectangle out of another picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutmix: Option<Cutmix>,
}

/// What happens in evaluation: nothing at random.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// Height and width of the network's input.
    pub size: usize,
    /// Decoding and resizing, exact to a library.
    pub preset: Preset,
}

/// Which random numbers a picture is given: all of them follow from these three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Of the run.
    pub seed: u64,
    /// From 0.
    pub epoch: usize,
    /// Of the picture in the epoch, from 0.
    pub position: usize,
}

fn on() -> bool {
    true
}

/// The largest size; a batch of eight takes 400 MB there.
const MAX_SIZE: usize = 2_048;

impl Augmentation {
    /// One of the ready-made levels, for this input size and this preset in evaluation.
    pub fn named(level: Level, size: usize, preset: Preset) -> Self {
        Self {
            train: level.train(size),
            eval: Eval { size, preset },
            scaling: Scaling::default(),
        }
    }

    /// Reads a TOML file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or any of [`from_toml`](Self::from_toml)'s, with the file's name.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, AugmentError> {
        let path = path.as_ref();
        let in_file = |problem: AugmentError| AugmentError::File {
            path: path.to_owned(),
            problem: Box::new(problem),
        };
        read_text(path).and_then(|text| Self::from_toml(&text)).map_err(in_file)
    }

    /// Reads TOML text and checks it.
    ///
    /// # Errors
    ///
    /// What is no TOML, an unknown or missing key, and a value out of its range, by name.
    pub fn from_toml(text: &str) -> Result<Self, AugmentError> {
        let augmentation: Self =
            toml::from_str(text).map_err(|error| AugmentError::Toml(toml_problem(text, &error)))?;
        augmentation.check()?;
        Ok(augmentation)
    }

    /// The TOML text that [`from_toml`](Self::from_toml) reads.
    pub fn to_toml(&self) -> String {
        // Serialising fails for maps with keys that are no text, and there is no map in here.
        toml::to_string(self).unwrap_or_default()
    }

    /// Whether every value is in its range.
    ///
    /// # Errors
    ///
    /// [`AugmentError::OutOfRange`] for the first that is not; [`AugmentError::Resize`] for a preset that cuts.
    pub fn check(&self) -> Result<(), AugmentError> {
        let train = &self.train;
        for (name, size) in [("train.size", train.size), ("eval.size", self.eval.size)] {
            within(name, size as f64, 1.0..=MAX_SIZE as f64)?;
        }
        if train.resize == Some(Preset::TimmBicubic) {
            return Err(AugmentError::Resize);
        }
        within("horizontal_flip", train.horizontal_flip, 0.0..=1.0)?;
        within("vertical_flip", train.vertical_flip, 0.0..=1.0)?;
        train.random_resized_crop.map_or(Ok(()), |crop| crop.check())?;
        train.color_jitter.map_or(Ok(()), |jitter| jitter.check())?;
        train.rand_augment.map_or(Ok(()), |operations| operations.check())?;
        train.random_erasing.map_or(Ok(()), |erasing| erasing.check())?;
        train.mixup.map_or(Ok(()), Mixup::check)?;
        train.cutmix.map_or(Ok(()), Cutmix::check)
    }

    /// The preset that brings a training picture to its size, and whose library decodes it.
    pub fn train_preset(&self) -> Preset {
        self.train.resize.unwrap_or(match self.eval.preset {
            Preset::TimmBicubic if !self.train.is_plain() => Preset::PilBilinear,
            preset => preset,
        })
    }

    /// Augments a decoded picture: `[3, size, size]`, scaled, all but mixup and cutmix, which need a batch.
    ///
    /// # Errors
    ///
    /// [`PictureError::Size`] for a picture without pixels.
    pub fn augment(&self, picture: &RgbImage, draw: Draw) -> Result<Vec<f32>, PictureError> {
        let mut planes = vec![0.0; 3 * self.train.size * self.train.size];
        self.write_augmented(picture, draw, &mut planes)?;
        Ok(planes)
    }

    /// [`augment`](Self::augment) into a picture's place in a batch.
    pub(crate) fn write_augmented(
        &self,
        picture: &RgbImage,
        draw: Draw,
        planes: &mut [f32],
    ) -> Result<(), PictureError> {
        let (train, preset) = (&self.train, self.train_preset());
        let size = train.size;
        if train.is_plain() {
            return preset.apply(picture, size, size)?.write_nchw(self.scaling, planes);
        }
        let random = &mut Random::new(draw.seed, Purpose::Augment, draw.epoch, draw.position);
        let mut picture = match train.random_resized_crop {
            Some(crop) if picture.width() > 0 && picture.height() > 0 => {
                whole_levels(&crop.apply(picture, random), preset, size)?
            }
            _ => whole_levels(picture, preset, size)?,
        };
        if random.chance(train.horizontal_flip) {
            imageops::flip_horizontal_in_place(&mut picture);
        }
        if random.chance(train.vertical_flip) {
            imageops::flip_vertical_in_place(&mut picture);
        }
        if let Some(jitter) = train.color_jitter {
            jitter.apply(&mut picture, random);
        }
        if let Some(operations) = train.rand_augment {
            operations.apply(&mut picture, random);
        }
        write_planes(&picture, self.scaling, planes);
        if let Some(erasing) = train.random_erasing {
            erasing.apply(planes, size, size, random);
        }
        Ok(())
    }

    /// Mixes the pictures of a batch, in place.
    pub(crate) fn mix(&self, batch: &mut Mixable<'_>, draw: Draw) {
        let random = &mut Random::new(draw.seed, Purpose::Mix, draw.epoch, draw.position);
        match (self.train.mixup, self.train.cutmix) {
            (Some(mixup), Some(cutmix)) => {
                if random.chance(0.5) {
                    mixup.apply(batch, random);
                } else {
                    cutmix.apply(batch, random);
                }
            }
            (Some(mixup), None) => mixup.apply(batch, random),
            (None, Some(cutmix)) => cutmix.apply(batch, random),
            (None, None) => {}
        }
    }
}

impl Train {
    /// Whether no picture is changed beyond its size. Such training sees evaluation's very numbers.
    pub(crate) fn is_plain(&self) -> bool {
        self.horizontal_flip == 0.0
            && self.vertical_flip == 0.0
            && self.random_resized_crop.is_none()
            && self.color_jitter.is_none()
            && self.rand_augment.is_none()
            && self.random_erasing.is_none()
    }
}

/// A picture stretched to the size, its levels rounded where the preset keeps fractions: the operations work on levels.
fn whole_levels(picture: &RgbImage, preset: Preset, size: usize) -> Result<RgbImage, PictureError> {
    let pixels = preset.apply(picture, size, size)?;
    let levels = pixels.data().iter().map(|value| value.round_ties_even() as u8);
    let (from_width, from_height) = picture.dimensions();
    RgbImage::from_raw(size as u32, size as u32, levels.collect()).ok_or(PictureError::Size {
        from_width,
        from_height,
        width: size,
        height: size,
    })
}

/// A picture as `[3, height, width]`, scaled, by the arithmetic of `Pixels::to_nchw`.
pub(crate) fn write_planes(picture: &RgbImage, scaling: Scaling, planes: &mut [f32]) {
    let pixels = picture.pixels().map(|pixel| pixel.0.map(f32::from));
    write_pixels(pixels, scaling, planes);
}

/// Pixels of 0 to 255 as planes.
pub(crate) fn write_pixels(pixels: impl Iterator<Item = [f32; 3]>, scaling: Scaling, planes: &mut [f32]) {
    let plane_len = planes.len() / 3;
    for (at, rgb) in pixels.take(plane_len).enumerate() {
        for (channel, value) in scaling.apply(rgb).into_iter().enumerate() {
            planes[channel * plane_len + at] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> RgbImage {
        RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * 6) as u8, (y * 8) as u8, (x * y) as u8]))
    }

    #[test]
    fn bytes_and_pixels_become_the_same_numbers() {
        let picture = picture();
        let pixels = Preset::PilBilinear.apply(&picture, 30, 40).unwrap();
        let mut planes = vec![0.0; 3 * 30 * 40];
        write_planes(&picture, Scaling::Tf, &mut planes);
        assert_eq!(planes, pixels.to_nchw(Scaling::Tf));
    }

    #[test]
    fn plain_training_sees_what_evaluation_sees() {
        for preset in Preset::ALL {
            let augmentation = Augmentation::named(Level::None, 17, preset);
            let draw = Draw {
                seed: 1,
                epoch: 2,
                position: 3,
            };
            let planes = augmentation.augment(&picture(), draw).unwrap();
            assert_eq!(
                planes,
                preset.apply(&picture(), 17, 17).unwrap().to_nchw(Scaling::Tf),
                "{preset}"
            );
        }
    }

    #[test]
    fn a_picture_without_pixels_is_refused() {
        for level in Level::ALL {
            let augmentation = Augmentation::named(level, 17, Preset::PilBilinear);
            let draw = Draw {
                seed: 1,
                epoch: 2,
                position: 3,
            };
            assert!(augmentation.augment(&RgbImage::new(0, 5), draw).is_err(), "{level}");
        }
    }
}
