//! Presets: the named ways from a picture to a network's input size.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a picture becomes `height` x `width` pixels, named after the library it equals bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
    /// torchvision's and timm's evaluation transforms: the picture scaled by a rule, then the centre cut out. The
    /// borders of the picture are lost.
    CentreCrop(CentreCrop),
}

/// The evaluation transforms of torchvision and timm: scale the picture until its shorter side has some length, then
/// cut the centre out.
///
/// In names, `torchvision-bilinear-256` is torchvision's `ImageClassification(resize_size=256)`, and
/// `timm-bicubic-0.95` is timm's `create_transform` with `crop_pct=0.95` and `interpolation="bicubic"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CentreCrop {
    filter: CropFilter,
    scale: CropScale,
}

/// The filter of a [`CentreCrop`]; both antialias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CropFilter {
    /// `PIL.Image.resize(BILINEAR)`
    Bilinear,
    /// `PIL.Image.resize(BICUBIC)`
    Bicubic,
}

/// How far a [`CentreCrop`] scales the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CropScale {
    /// The shorter side gets this length, whatever the size of the part (torchvision's `resize_size`).
    Side(u16),
    /// The part is this share of the shorter side, in ten-thousandths (timm's `crop_pct`).
    Share(u16),
}

/// [`CropScale::Share`] of the whole side.
const WHOLE: u16 = 10_000;
/// The longest side that a name can give.
const MAX_CROP_SIDE: u16 = 8192;

impl CentreCrop {
    /// torchvision's `ImageClassification(resize_size=side)`: the shorter side gets `side` pixels. `None` for a side
    /// of 0 or above 8,192.
    pub fn torchvision(filter: CropFilter, side: u16) -> Option<Self> {
        let scale = CropScale::Side(side);
        (1..=MAX_CROP_SIDE).contains(&side).then_some(Self { filter, scale })
    }

    /// timm's `crop_pct`, in ten-thousandths: 9500 for 0.95. `None` for 0 and above the whole.
    pub fn timm(filter: CropFilter, ten_thousandths: u16) -> Option<Self> {
        let scale = CropScale::Share(ten_thousandths);
        (1..=WHOLE).contains(&ten_thousandths).then_some(Self { filter, scale })
    }

    #[cfg(feature = "picture")]
    pub(crate) fn filter(self) -> CropFilter {
        self.filter
    }

    #[cfg(feature = "picture")]
    pub(crate) fn scale(self) -> CropScale {
        self.scale
    }

    /// Of a name such as `torchvision-bilinear-256`; there is one spelling of each.
    fn of_name(name: &str) -> Option<Self> {
        let (library, rest) = name.split_once('-')?;
        let (filter, number) = rest.split_once('-')?;
        let filter = match filter {
            "bilinear" => CropFilter::Bilinear,
            "bicubic" => CropFilter::Bicubic,
            _ => return None,
        };
        let found = match library {
            "torchvision" => Self::torchvision(filter, number.parse().ok()?),
            "timm" => Self::timm(filter, ten_thousandths(number)?),
            _ => None,
        }?;
        (found.name() == name).then_some(found)
    }

    fn name(self) -> String {
        let filter = match self.filter {
            CropFilter::Bilinear => "bilinear",
            CropFilter::Bicubic => "bicubic",
        };
        match self.scale {
            CropScale::Side(side) => format!("torchvision-{filter}-{side}"),
            // `f64`'s shortest text: 0.95, 1, 0.8975.
            CropScale::Share(share) => format!("timm-{filter}-{}", f64::from(share) / f64::from(WHOLE)),
        }
    }
}

/// A share such as `0.95` in ten-thousandths.
fn ten_thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() > 4 || !is_number(fraction) || !is_number(whole) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<4}").parse().ok()?;
    whole.parse::<u16>().ok()?.checked_mul(WHOLE)?.checked_add(fraction)
}

impl Preset {
    /// Every preset without a number, in the order of their declaration.
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

    /// All names: those of [`ALL`](Self::ALL), and the forms of the names with a number.
    pub const NAMES: [&str; 17] = [
        "keras-nearest",
        "keras-bilinear",
        "pil-bilinear",
        "pil-bicubic",
        "pil-lanczos",
        "pil-box",
        "pil-hamming",
        "keras-nearest-crop",
        "keras-bilinear-crop",
        "pil-bilinear-crop",
        "pil-bicubic-crop",
        "pil-lanczos-crop",
        "timm-bicubic",
        "timm-bicubic-SHARE",
        "timm-bilinear-SHARE",
        "torchvision-bilinear-SIDE",
        "torchvision-bicubic-SIDE",
    ];

    /// The name in cards, on the command line and in error messages.
    pub fn name(self) -> Cow<'static, str> {
        let name = match self {
            Self::CentreCrop(crop) => return Cow::Owned(crop.name()),
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
        };
        Cow::Borrowed(name)
    }

    /// Whether the borders of a picture are lost.
    pub fn cuts(self) -> bool {
        self.whole() != self
    }

    /// The preset that stretches the whole picture as this one stretches a part of it. For timm's and torchvision's,
    /// whose part depends on the picture's size, that is `pil-bilinear`.
    #[must_use]
    pub fn whole(self) -> Self {
        match self {
            Self::KerasNearestCrop => Self::KerasNearest,
            Self::KerasBilinearCrop => Self::KerasBilinear,
            Self::PilBilinearCrop | Self::TimmBicubic | Self::CentreCrop(_) => Self::PilBilinear,
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
        f.pad(&self.name())
    }
}

impl From<Preset> for String {
    fn from(preset: Preset) -> Self {
        preset.name().into_owned()
    }
}

impl TryFrom<String> for Preset {
    type Error = UnknownPreset;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

/// A name that is none of [`Preset::NAMES`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no preset \"{0}\"; the presets are {names}, with a share of the shorter side such as 0.875 (timm's \
     crop_pct) or a length of the shorter side such as 256 (torchvision's resize_size)",
    names = Preset::NAMES.join(", ")
)]
pub struct UnknownPreset(pub String);

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .or_else(|| CentreCrop::of_name(name).map(Self::CentreCrop))
            .ok_or_else(|| UnknownPreset(name.to_owned()))
    }
}
