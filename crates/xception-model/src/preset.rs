//! Presets: the named ways from a picture to a network's input size.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a picture becomes `height` x `width` pixels, named after the library it equals bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// `keras.utils.load_img(target_size=..., interpolation="nearest")`, its default: `PIL.Image.resize(NEAREST)`,
    /// stretched to the size.
    KerasNearest,
    /// `keras.utils.image_dataset_from_directory`, its default: `tf.io.decode_image`, then
    /// `tf.image.resize(method="bilinear", antialias=False)`, stretched to the size, fractions kept.
    KerasBilinear,
    /// `PIL.Image.resize(BILINEAR)`, which antialiases, stretched to the size.
    PilBilinear,
    /// timm's evaluation transform for `legacy_xception`: the shorter side scaled to `floor(size / 0.8975)` by
    /// `PIL.Image.resize(BICUBIC)`, then the centre cut out. The borders of the picture are lost.
    TimmBicubic,
}

impl Preset {
    /// Every preset, in the order of their declaration.
    pub const ALL: [Self; 4] = [
        Self::KerasNearest,
        Self::KerasBilinear,
        Self::PilBilinear,
        Self::TimmBicubic,
    ];

    /// The name in cards, on the command line and in error messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::KerasNearest => "keras-nearest",
            Self::KerasBilinear => "keras-bilinear",
            Self::PilBilinear => "pil-bilinear",
            Self::TimmBicubic => "timm-bicubic",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not in [`Preset::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no preset \"{0}\"; the presets are {names}", names = Preset::ALL.map(Preset::name).join(", "))]
pub struct UnknownPreset(pub String);

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| UnknownPreset(name.to_owned()))
    }
}
