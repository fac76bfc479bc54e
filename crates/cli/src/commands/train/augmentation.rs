//! `--augmentation`.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::bail;
use trainer::augment::{Augmentation, AugmentationLevel};
use xception_model::picture::Preset;

/// The augmentation that `--augmentation` names.
pub enum Named {
    BuiltIn(AugmentationLevel),
    /// Read from a file.
    File(Box<Augmentation>),
}

impl Named {
    pub fn parse(name: &str) -> anyhow::Result<Self> {
        Ok(match name.parse::<AugmentationLevel>() {
            Ok(level) => Self::BuiltIn(level),
            Err(_) if Path::new(name).extension() == Some(OsStr::new("toml")) => {
                Self::File(Box::new(Augmentation::load(name)?))
            }
            Err(unknown) => bail!("{unknown}; or name a TOML file"),
        })
    }

    /// For pictures of `size` x `size`.
    pub fn resolve(self, size: usize, preset: Preset) -> Augmentation {
        match self {
            Self::BuiltIn(level) => Augmentation::named(level, size, preset),
            Self::File(augmentation) => *augmentation,
        }
    }
}
