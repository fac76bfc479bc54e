//! From a sample to its pixels in a batch.

use std::sync::Arc;

use xception_model::Scaling;
use xception_model::picture::{DecodeOptions, PictureError};

use super::cache::{Cache, CacheStats, Store};
use super::prepared::{Preparation, Prepared};
use super::shrink::decode_shrunk;
use crate::augment::{Augmentation, Draw};
use crate::data::{ContentHash, DataError, Sample, read_file};

/// Reads, decodes, prepares and caches pictures.
pub(super) struct Loader {
    preparation: Preparation,
    key: String,
    scaling: Scaling,
    options: DecodeOptions,
    store: Store,
}

impl Loader {
    pub(super) fn new(
        preparation: Preparation,
        scaling: Scaling,
        options: DecodeOptions,
        cache: &Cache,
    ) -> Result<Self, DataError> {
        Ok(Self {
            preparation,
            key: preparation.key(options.reading),
            scaling,
            options,
            store: Store::open(cache)?,
        })
    }

    pub(super) fn cache_stats(&self) -> CacheStats {
        self.store.stats()
    }

    /// Writes a picture into its planes of a batch, `[3, size, size]`.
    pub(super) fn fill(
        &self,
        index: usize,
        sample: &Sample,
        training: Option<(&Augmentation, Draw)>,
        planes: &mut [f32],
    ) -> Result<(), DataError> {
        let prepared = if let Some(prepared) = self.store.get(index, sample.content, &self.key) {
            prepared
        } else {
            let prepared = Arc::new(self.load(sample)?);
            self.store.put(index, sample.content, &self.key, &prepared);
            prepared
        };
        if let (Preparation::Picture { .. }, Some((augmentation, draw)), Prepared::Levels(picture)) =
            (self.preparation, training, &*prepared)
        {
            return augmentation
                .write_augmented(picture, draw, planes)
                .map_err(|problem| failed(sample, problem));
        }
        prepared.write(self.scaling, planes);
        Ok(())
    }

    /// Prepares a picture from its file.
    fn load(&self, sample: &Sample) -> Result<Prepared, DataError> {
        let failed = |problem| failed(sample, problem);
        let bytes = read_file(&sample.path, &self.options.limits).map_err(failed)?;
        let prepared = match self.preparation {
            Preparation::Picture {
                preset,
                short_side: None,
            } => preset.decode(&bytes, self.options).map(Prepared::Levels),
            Preparation::Picture {
                preset,
                short_side: Some(short_side),
            } => decode_shrunk(&bytes, preset, &self.options, short_side).map(Prepared::Levels),
            Preparation::Input { preset, size } => preset
                .decode(&bytes, self.options)
                .and_then(|picture| preset.apply(&picture, size, size))
                .map(|pixels| Prepared::of(&pixels, preset)),
        };
        // Checked after decoding, because "damaged" says more than "changed".
        let prepared = prepared.map_err(failed)?;
        if ContentHash::of(&bytes) != sample.content {
            return Err(DataError::Changed {
                path: sample.path.clone(),
            });
        }
        Ok(prepared)
    }
}

fn failed(sample: &Sample, problem: PictureError) -> DataError {
    DataError::Picture {
        path: sample.path.clone(),
        problem,
    }
}
