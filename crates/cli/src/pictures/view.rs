//! A picture as the network sees it.

use anyhow::{Context, anyhow};
use image::RgbImage;
use trainer::explain::view;
use xception_model::picture::Pixels;
use xception_model::{Classifier, ClassifyError};

use crate::pictures::source::{PictureSource, WithWarnings};

/// A picture's pixels for the network, and the same part of the picture for people.
pub struct View {
    pub pixels: Pixels,
    pub picture: RgbImage,
}

impl View {
    pub fn read(source: &PictureSource, classifier: &Classifier) -> anyhow::Result<WithWarnings<Self>> {
        let input = classifier.spec.input;
        let preset = input.preset.ok_or(ClassifyError::NoPreset)?;
        let WithWarnings {
            value: picture,
            warnings,
        } = source.open(classifier, preset)?;
        let pixels = preset.apply(&picture, input.height, input.width);
        let pixels = pixels.map_err(|error| anyhow!(error)).with_context(|| source.name())?;
        let value = Self {
            picture: view(&picture, &pixels, preset),
            pixels,
        };
        Ok(WithWarnings { value, warnings })
    }
}
