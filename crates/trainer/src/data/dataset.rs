//! The pictures of a data set, with their labels and splits.

use std::path::PathBuf;

use files::{ContentHash, Sha256};
use xception_model::picture::{DecodeLimits, DecodeOptions, Reading};

use super::error::DataError;
use super::options::DataOptions;
use super::split::Split;

/// Labelled pictures, all of which could be decoded when they were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The folder or table, as given.
    pub root: PathBuf,
    /// The names of the classes; labels are indices into them.
    pub classes: Vec<String>,
    /// Whether a picture may have any number of labels. Otherwise it has exactly one.
    pub multi_label: bool,
    /// Every picture, in the order of the relative paths.
    pub samples: Vec<Sample>,
    /// The limits for decoding a picture.
    pub limits: DecodeLimits,
    /// How orientation, transparency and 16-bit samples are treated.
    pub reading: Reading,
}

/// One picture of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The file.
    pub path: PathBuf,
    /// The path relative to the data set, for messages and for the fingerprint.
    pub name: String,
    /// Indices into [`Dataset::classes`], ascending.
    pub labels: Vec<usize>,
    /// The split of the picture.
    pub split: Split,
    /// The hash of the file when it was checked.
    pub content: ContentHash,
    /// The hash of the picture's width, height and pixels. Files that were saved again without loss, or whose metadata
    /// were removed, have the same.
    pub pixels: ContentHash,
}

impl Dataset {
    /// How the pictures are decoded.
    pub fn decode_options(&self) -> DecodeOptions {
        DecodeOptions {
            limits: self.limits,
            reading: self.reading,
        }
    }

    /// The number of pictures of a split.
    pub fn count(&self, split: Split) -> usize {
        self.samples.iter().filter(|sample| sample.split == split).count()
    }

    /// The indices in [`samples`](Self::samples) of the pictures of a split, ascending.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.samples.len())
            .filter(|&index| self.samples[index].split == split)
            .collect()
    }

    /// Whether pictures are held out, if the options ask for held-out pictures.
    ///
    /// # Errors
    ///
    /// [`DataError::TooFew`] if no class has enough pictures for this.
    pub fn check_held_out(&self, options: &DataOptions) -> Result<(), DataError> {
        let wanted = options.val_fraction + options.test_fraction > 0.0;
        if wanted && self.count(Split::Val) + self.count(Split::Test) == 0 {
            return Err(DataError::TooFew {
                path: self.root.clone(),
                pictures: self.samples.len(),
                classes: self.classes.len(),
            });
        }
        Ok(())
    }

    /// SHA-256 over everything that training depends on: the classes, and the relative path, content, labels and split
    /// of every picture, in the order of the paths. Equal fingerprints mean equal data, in whatever folder.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(&[u8::from(self.multi_label)]);
        field(&(self.classes.len() as u64).to_le_bytes());
        for class in &self.classes {
            field(class.as_bytes());
        }
        let mut samples: Vec<&Sample> = self.samples.iter().collect();
        samples.sort_by(|a, b| a.name.cmp(&b.name));
        for sample in samples {
            field(sample.name.as_bytes());
            field(&sample.content.0);
            let labels: Vec<u8> = sample
                .labels
                .iter()
                .flat_map(|&label| (label as u64).to_le_bytes())
                .collect();
            field(&labels);
            field(sample.split.name().as_bytes());
        }
        hash.finish().to_string()
    }
}
