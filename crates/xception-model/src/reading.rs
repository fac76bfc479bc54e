//! How a picture's pixels are read where libraries disagree.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How orientation, transparency, 16-bit samples and missing data are treated.
///
/// | | default | as Pillow's `convert("RGB")` and Keras's `load_img` | as `TensorFlow`'s `decode_image` |
/// |---|---|---|---|
/// | [`orientation`](Self::orientation) | [`Exif`](OrientationMode::Exif) | [`Stored`](OrientationMode::Stored) | [`Stored`](OrientationMode::Stored) |
/// | [`alpha`](Self::alpha) | [`White`](AlphaMode::White) | [`Drop`](AlphaMode::Drop) | [`Drop`](AlphaMode::Drop) |
/// | [`sixteen_bit`](Self::sixteen_bit) | [`HighByte`](SixteenBitMode::HighByte) | [`Clip`](SixteenBitMode::Clip) | [`HighByte`](SixteenBitMode::HighByte) |
/// | [`truncated`](Self::truncated) | [`Refuse`](TruncatedMode::Refuse) | [`Refuse`](TruncatedMode::Refuse) | [`Refuse`](TruncatedMode::Refuse) |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// Whether pictures are turned upright.
    pub orientation: OrientationMode,
    /// What shows through transparent pixels.
    pub alpha: AlphaMode,
    /// How 16-bit samples become 8-bit ones.
    pub sixteen_bit: SixteenBitMode,
    /// How JPEG, PNG, BMP and uncompressed TIFF files that end early are treated.
    pub truncated: TruncatedMode,
}

impl Reading {
    /// Whether all is at its default, which records leave out.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A choice among a few, each with a name for cards, command lines and error messages.
macro_rules! mode {
    ($(#[$about:meta])* $mode:ident, $what:literal { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $mode {
            $($(#[$doc])* $variant,)+
        }

        impl $mode {
            /// Every choice, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in cards, on the command line and in error messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl fmt::Display for $mode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $mode {
            type Err = UnknownMode;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().copied().find(|mode| mode.name() == name);
                found.ok_or_else(|| UnknownMode {
                    what: $what,
                    name: name.to_owned(),
                    names: Self::ALL.iter().map(|mode| mode.name()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

/// A name that is none of a mode's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} \"{name}\"; choose one of {names}")]
pub struct UnknownMode {
    what: &'static str,
    name: String,
    names: String,
}

mode! {
    /// Whether pictures are turned upright.
    OrientationMode, "orientation" {
        /// By the EXIF orientation, as `PIL.ImageOps.exif_transpose` does.
        #[default]
        Exif = "exif",
        /// Left as stored: Pillow's, Keras's and `TensorFlow`'s habit, on which phone pictures lie on their side. TIFF
        /// files are turned, as by Pillow and Keras.
        Stored = "stored",
    }
}

mode! {
    /// What shows through transparent pixels.
    AlphaMode, "alpha" {
        /// White, blended as `PIL.Image.alpha_composite` does.
        #[default]
        White = "white",
        /// Black, blended alike.
        Black = "black",
        /// Transparency is ignored, and the colour stored under it shows: `PIL.Image.convert("RGB")`.
        Drop = "drop",
    }
}

mode! {
    /// How 16-bit samples become 8-bit ones.
    SixteenBitMode, "16-bit mode" {
        /// Their upper byte: right for samples that fill 16 bits, nearly black for 12-bit data. Of colour pictures
        /// Pillow does the same.
        #[default]
        HighByte = "high-byte",
        /// A 16-bit picture's darkest sample becomes 0, its lightest 255: for 10-, 12- and 14-bit data. Pictures of one
        /// data set are stretched differently.
        Stretch = "stretch",
        /// Grey samples above 255 become 255, as by `PIL.Image.convert("RGB")`; colour samples keep their upper byte.
        Clip = "clip",
    }
}

mode! {
    /// How JPEG, PNG, BMP and uncompressed TIFF files that end early are treated.
    TruncatedMode, "mode for truncated files" {
        /// They are refused, as by Pillow.
        #[default]
        Refuse = "refuse",
        /// The missing part is grey or blurred in JPEG files, and black or transparent in others, as by Pillow with
        /// `ImageFile.LOAD_TRUNCATED_IMAGES`, with a warning.
        Fill = "fill",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_and_written_by_name() {
        for &mode in SixteenBitMode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{mode}\""));
        }
        assert_eq!(
            "grey".parse::<AlphaMode>().unwrap_err().to_string(),
            "there is no alpha \"grey\"; choose one of white, black, drop"
        );
    }
}
