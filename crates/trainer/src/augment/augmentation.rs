use std::path::Path;

use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};
use xception_model::Scaling;
use xception_model::picture::{PictureError, Preset};

use super::error::{AugmentError, read_text, within};
use super::level::AugmentationLevel;
use super::mix::{Cutmix, Mixable, Mixup};
use super::planes::write_planes;
use super::train::Train;
use crate::random::{Purpose, Random};
use crate::toml_problem::toml_problem;

/// How a picture is prepared for the network in training and in evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// The changes for training.
    pub train: Train,
    /// The preparation for validation, test and later use.
    pub eval: Eval,
    /// How channel values are scaled, as the starting weights of a run require.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scaling: Scaling,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_default(scaling: &Scaling) -> bool {
    *scaling == Scaling::default()
}

/// The preparation for evaluation, which has nothing random.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// Height and width of the network's input.
    pub size: usize,
    /// The preset: decoding and resizing, exact to a library.
    pub preset: Preset,
}

/// The address of random numbers. A picture's random numbers follow from these three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// The seed of the run.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: usize,
    /// The number of the picture in the epoch, from 0.
    pub position: usize,
}

/// The largest size. A batch of eight takes 400 MB at that size.
const MAX_SIZE: usize = 2_048;

impl Augmentation {
    /// A built-in level, for this input size and this evaluation preset.
    pub fn named(level: AugmentationLevel, size: usize, preset: Preset) -> Self {
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
    /// The file cannot be read, or an error of [`from_toml`](Self::from_toml), with the file's name.
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
    /// The text is not TOML, a key is unknown or missing, or a value is out of its range; the error names it.
    pub fn from_toml(text: &str) -> Result<Self, AugmentError> {
        let augmentation: Self =
            toml::from_str(text).map_err(|error| AugmentError::Toml(toml_problem(text, &error)))?;
        augmentation.check()?;
        Ok(augmentation)
    }

    /// The TOML text that [`from_toml`](Self::from_toml) reads.
    pub fn to_toml(&self) -> String {
        // Serialization fails only for maps with keys that are not text. An augmentation holds no map.
        toml::to_string(self).unwrap_or_default()
    }

    /// Whether every value is in its range.
    ///
    /// # Errors
    ///
    /// [`AugmentError::OutOfRange`] for the first value that is not; [`AugmentError::Resize`] for a preset that crops,
    /// and [`AugmentError::EvalSize`] for one that cuts the size out of too small a picture.
    pub fn check(&self) -> Result<(), AugmentError> {
        let train = &self.train;
        for (name, size) in [("train.size", train.size), ("eval.size", self.eval.size)] {
            within(name, size as f64, 1.0..=MAX_SIZE as f64)?;
        }
        let eval = &self.eval;
        (eval.preset.check_size(eval.size, eval.size)).map_err(AugmentError::EvalSize)?;
        if let Some(preset) = train.resize.filter(|preset| preset.cuts()) {
            return Err(AugmentError::Resize(preset));
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

    /// The preset that resizes a training picture, and whose library decodes the picture.
    pub fn train_preset(&self) -> Preset {
        self.train.resize.unwrap_or(match self.eval.preset {
            preset if !self.train.is_plain() => preset.whole(),
            preset => preset,
        })
    }

    /// Augments a decoded picture: `[3, size, size]`, scaled. Mixup and cutmix are not applied, because they need a
    /// batch.
    ///
    /// # Errors
    ///
    /// [`PictureError::Size`] for a picture without pixels.
    pub fn augment(&self, picture: &RgbImage, draw: Draw) -> Result<Vec<f32>, PictureError> {
        let mut planes = vec![0.0; 3 * self.train.size * self.train.size];
        self.write_augmented(picture, draw, &mut planes)?;
        Ok(planes)
    }

    /// Like [`augment`](Self::augment), but writes into the planes of a batch.
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

/// A picture resized to the size. Its levels are rounded if the preset gives fractions, because the operations work on
/// whole levels.
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
            let augmentation = Augmentation::named(AugmentationLevel::None, 17, preset);
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
        for level in AugmentationLevel::ALL {
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
