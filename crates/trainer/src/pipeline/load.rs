//! From a sample to its pixels in a batch.

use std::sync::Arc;

use image::RgbImage;
use xception_model::Scaling;
use xception_model::picture::{DecodeLimits, PictureError, Pixels, Preset};

use super::{
    cache::{Cache, CacheStats, Store},
    shrink::decode_shrunk,
};
use crate::{
    augment::{Augmentation, Draw, write_pixels, write_planes},
    data::{ContentHash, DataError, Sample, read_file},
};

/// How far a picture is prepared before it is cached.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// Decoded, to be cut at random; its shorter side at least this long, if it is shrunk.
    Picture { preset: Preset, short_side: Option<u32> },
    /// At the input size, as in evaluation.
    Input { preset: Preset, size: usize },
}

impl Target {
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
        // Only a filter that averages gives about the same from a smaller version.
        let shrinks = train.shrink_on_load && preset == Preset::PilBilinear;
        let zoom = train.random_resized_crop.map_or(1.0, |crop| crop.largest_zoom());
        Self::Picture {
            preset,
            short_side: shrinks.then(|| (train.size as f64 * zoom).ceil() as u32),
        }
    }

    /// What tells one way of preparing from another in the names of cached files.
    fn key(self) -> String {
        match self {
            Self::Picture {
                preset,
                short_side: None,
            } => format!("picture {preset}"),
            Self::Picture {
                preset,
                short_side: Some(side),
            } => format!("picture {preset} shrunk {side}"),
            Self::Input { preset, size } => format!("input {preset} {size}"),
        }
    }
}

/// A prepared picture, as it is cached.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Loaded {
    /// Whole levels.
    Levels(RgbImage),
    /// With fractions: `[height, width, 3]`, 0 to 255.
    Fractions { height: u32, width: u32, values: Vec<f32> },
}

impl Loaded {
    fn of(pixels: &Pixels, preset: Preset) -> Self {
        let (height, width) = (pixels.height() as u32, pixels.width() as u32);
        let fractions = || Self::Fractions {
            height,
            width,
            values: pixels.data().to_vec(),
        };
        if preset == Preset::KerasBilinear {
            return fractions();
        }
        let levels = pixels.data().iter().map(|&value| value as u8);
        RgbImage::from_raw(width, height, levels.collect()).map_or_else(fractions, Self::Levels)
    }

    /// Bytes of memory, about.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Levels(picture) => picture.as_raw().len() as u64,
            Self::Fractions { values, .. } => (values.len() * size_of::<f32>()) as u64,
        }
    }

    fn write(&self, scaling: Scaling, planes: &mut [f32]) {
        match self {
            Self::Levels(picture) => write_planes(picture, scaling, planes),
            Self::Fractions { values, .. } => {
                let (pixels, _) = values.as_chunks();
                write_pixels(pixels.iter().copied(), scaling, planes);
            }
        }
    }
}

/// Reads, decodes and caches.
pub(super) struct Loader {
    target: Target,
    key: String,
    scaling: Scaling,
    limits: DecodeLimits,
    store: Store,
}

impl Loader {
    pub(super) fn new(
        target: Target,
        scaling: Scaling,
        limits: DecodeLimits,
        cache: &Cache,
    ) -> Result<Self, DataError> {
        Ok(Self {
            target,
            key: target.key(),
            scaling,
            limits,
            store: Store::open(cache)?,
        })
    }

    pub(super) fn cache_stats(&self) -> CacheStats {
        self.store.stats()
    }

    /// Fills one picture's place in a batch, `[3, size, size]`.
    pub(super) fn fill(
        &self,
        index: usize,
        sample: &Sample,
        training: Option<(&Augmentation, Draw)>,
        planes: &mut [f32],
    ) -> Result<(), DataError> {
        let loaded = if let Some(loaded) = self.store.get(index, sample.content, &self.key) {
            loaded
        } else {
            let loaded = Arc::new(self.load(sample)?);
            self.store.put(index, sample.content, &self.key, &loaded);
            loaded
        };
        if let (Target::Picture { .. }, Some((augmentation, draw)), Loaded::Levels(picture)) =
            (self.target, training, &*loaded)
        {
            return augmentation
                .write_augmented(picture, draw, planes)
                .map_err(|problem| failed(sample, problem));
        }
        loaded.write(self.scaling, planes);
        Ok(())
    }

    fn load(&self, sample: &Sample) -> Result<Loaded, DataError> {
        let failed = |problem| failed(sample, problem);
        let bytes = read_file(&sample.path, &self.limits).map_err(failed)?;
        let loaded = match self.target {
            Target::Picture {
                preset,
                short_side: None,
            } => preset.decode(&bytes, &self.limits).map(Loaded::Levels),
            Target::Picture {
                preset,
                short_side: Some(short_side),
            } => decode_shrunk(&bytes, preset, &self.limits, short_side).map(Loaded::Levels),
            Target::Input { preset, size } => preset
                .decode(&bytes, &self.limits)
                .and_then(|picture| preset.apply(&picture, size, size))
                .map(|pixels| Loaded::of(&pixels, preset)),
        };
        // After decoding: that a file is damaged says more than that it has changed.
        let loaded = loaded.map_err(failed)?;
        if ContentHash::of(&bytes) != sample.content {
            return Err(DataError::Changed {
                path: sample.path.clone(),
            });
        }
        Ok(loaded)
    }
}

fn failed(sample: &Sample, problem: PictureError) -> DataError {
    DataError::Picture {
        path: sample.path.clone(),
        problem,
    }
}
