//! Pictures on their way from the file to a batch.

use image::RgbImage;
use xception_model::Scaling;
use xception_model::picture::{Pixels, Preset, Reading};

use crate::augment::{Augmentation, write_pixels, write_planes};

/// How a picture is prepared before it is cached.
#[derive(Debug, Clone, Copy)]
pub(super) enum Preparation {
    /// Decoded, for random crops. With a `short_side` the picture is shrunk to a shorter side of at least so many
    /// pixels.
    Picture { preset: Preset, short_side: Option<u32> },
    /// Resized to the network's input, as in evaluation.
    Input { preset: Preset, size: usize },
}

impl Preparation {
    /// The preparation that an augmentation needs.
    pub(super) fn of(augmentation: &Augmentation, training: bool) -> Self {
        let (train, preset) = (&augmentation.train, augmentation.train_preset());
        if !training {
            return Self::Input {
                preset: augmentation.eval.preset,
                size: augmentation.eval.size,
            };
        }
        if train.is_plain() {
            return Self::Input {
                preset,
                size: train.size,
            };
        }
        // Only a filter that averages gives about the same result from a smaller version.
        let shrinks = train.shrink_on_load && preset == Preset::PilBilinear;
        let zoom = train.random_resized_crop.map_or(1.0, |crop| crop.largest_zoom());
        Self::Picture {
            preset,
            short_side: shrinks.then(|| (train.size as f64 * zoom).ceil() as u32),
        }
    }

    /// Identifies the preparation in the names of cached files.
    pub(super) fn key(self, reading: Reading) -> String {
        let preparation = match self {
            Self::Picture {
                preset,
                short_side: None,
            } => format!("picture {preset}"),
            Self::Picture {
                preset,
                short_side: Some(side),
            } => format!("picture {preset} shrunk {side}"),
            Self::Input { preset, size } => format!("input {preset} {size}"),
        };
        if reading.is_default() {
            return preparation;
        }
        let Reading {
            orientation,
            alpha,
            sixteen_bit,
            truncated,
        } = reading;
        format!("{preparation} {orientation} {alpha} {sixteen_bit} {truncated}")
    }
}

/// A prepared picture, in the form that the cache holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Prepared {
    /// Whole levels of 0 to 255.
    Levels(RgbImage),
    /// Levels with fractions: `[height, width, 3]`, 0 to 255.
    Fractions { height: u32, width: u32, values: Vec<f32> },
}

impl Prepared {
    /// A picture that was resized by `preset`, as whole levels if the preset gives whole levels.
    pub(super) fn of(pixels: &Pixels, preset: Preset) -> Self {
        let (height, width) = (pixels.height() as u32, pixels.width() as u32);
        let fractions = || Self::Fractions {
            height,
            width,
            values: pixels.data().to_vec(),
        };
        if preset.keeps_fractions() {
            return fractions();
        }
        let levels = pixels.data().iter().map(|&value| value as u8);
        RgbImage::from_raw(width, height, levels.collect()).map_or_else(fractions, Self::Levels)
    }

    /// The approximate size in bytes of memory.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Levels(picture) => picture.as_raw().len() as u64,
            Self::Fractions { values, .. } => (values.len() * size_of::<f32>()) as u64,
        }
    }

    /// Writes the picture into its planes of a batch, `[3, height, width]`.
    pub(super) fn write(&self, scaling: Scaling, planes: &mut [f32]) {
        match self {
            Self::Levels(picture) => write_planes(picture, scaling, planes),
            Self::Fractions { values, .. } => {
                let (pixels, _) = values.as_chunks();
                write_pixels(pixels.iter().copied(), scaling, planes);
            }
        }
    }
}
