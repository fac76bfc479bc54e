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
    /// `PIL.Image.resize`, its default: `BICUBIC`, which antialiases, stretched to the size.
    PilBicubic,
    /// `PIL.Image.resize(LANCZOS)`, which antialiases, stretched to the size.
    PilLanczos,
    /// `PIL.Image.resize(BOX)`, the mean over an area, stretched to the size.
    PilBox,
    /// `PIL.Image.resize(HAMMING)`, which antialiases, stretched to the size.
    PilHamming,
    /// `keras.utils.load_img(target_size=..., keep_aspect_ratio=True)`: the largest centred part with the proportions
    /// of the size, by `PIL.Image.resize(NEAREST, box=...)`. The borders of the picture are lost, as by all `-crop`
    /// presets.
    KerasNearestCrop,
    /// `keras.utils.image_dataset_from_directory(crop_to_aspect_ratio=True)`: the largest centred part with the
    /// proportions of the size (`smart_resize`), then as [`KerasBilinear`](Self::KerasBilinear).
    KerasBilinearCrop,
    /// `keras.utils.load_img(target_size=..., keep_aspect_ratio=True, interpolation="bilinear")`
    PilBilinearCrop,
    /// `keras.utils.load_img(target_size=..., keep_aspect_ratio=True, interpolation="bicubic")`
    PilBicubicCrop,
    /// `keras.utils.load_img(target_size=..., keep_aspect_ratio=True, interpolation="lanczos")`
    PilLanczosCrop,
    /// timm's evaluation transform for `legacy_xception`: the shorter side scaled to `floor(size / 0.8975)` by
    /// `PIL.Image.resize(BICUBIC)`, then the centre cut out. The borders of the picture are lost.
    TimmBicubic,
}

impl Preset {
    /// Every preset, in the order of their declaration.
    pub const ALL: [Self; 13] = [
        Self::KerasNearest,
        Self::KerasBilinear,
        Self::PilBilinear,
        Self::PilBicubic,
        Self::PilLanczos,
        Self::PilBox,
        Self::PilHamming,
        Self::KerasNearestCrop,
        Self::KerasBilinearCrop,
        Self::PilBilinearCrop,
        Self::PilBicubicCrop,
        Self::PilLanczosCrop,
        Self::TimmBicubic,
    ];

    /// The name in cards, on the command line and in error messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::KerasNearest => "keras-nearest",
            Self::KerasBilinear => "keras-bilinear",
            Self::PilBilinear => "pil-bilinear",
            Self::PilBicubic => "pil-bicubic",
            Self::PilLanczos => "pil-lanczos",
            Self::PilBox => "pil-box",
            Self::PilHamming => "pil-hamming",
            Self::KerasNearestCrop => "keras-nearest-crop",
            Self::KerasBilinearCrop => "keras-bilinear-crop",
            Self::PilBilinearCrop => "pil-bilinear-crop",
            Self::PilBicubicCrop => "pil-bicubic-crop",
            Self::PilLanczosCrop => "pil-lanczos-crop",
            Self::TimmBicubic => "timm-bicubic",
        }
    }

    /// Whether the borders of a picture are lost.
    pub fn cuts(self) -> bool {
        self.whole() != self
    }

    /// The preset that stretches the whole picture as this one stretches a part of it. For timm's, whose part depends
    /// on the picture's size, that is `pil-bilinear`.
    #[must_use]
    pub fn whole(self) -> Self {
        match self {
            Self::KerasNearestCrop => Self::KerasNearest,
            Self::KerasBilinearCrop => Self::KerasBilinear,
            Self::PilBilinearCrop | Self::TimmBicubic => Self::PilBilinear,
            Self::PilBicubicCrop => Self::PilBicubic,
            Self::PilLanczosCrop => Self::PilLanczos,
            Self::KerasNearest
            | Self::KerasBilinear
            | Self::PilBilinear
            | Self::PilBicubic
            | Self::PilLanczos
            | Self::PilBox
            | Self::PilHamming => self,
        }
    }

    /// Whether the resized values have fractions.
    pub fn keeps_fractions(self) -> bool {
        self.whole() == Self::KerasBilinear
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
