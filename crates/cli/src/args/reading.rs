//! How picture files become pixels.

use clap::Args;
use xception_model::picture::{AlphaMode, OrientationMode, Reading, SixteenBitMode, TruncatedMode};

use crate::args::values::{alpha, orientation, sixteen_bit, truncated};

/// Replaces how the weights' pictures are read, where libraries disagree.
#[derive(Clone, Debug, Args)]
pub struct ReadingArgs {
    /// Turn pictures upright by their EXIF orientation, or leave them as stored, as Pillow and Keras do [default: the
    /// weights' own, else exif]
    #[arg(long, value_name = "MODE", value_parser = orientation())]
    pub orientation: Option<OrientationMode>,
    /// What shows through transparent pixels; drop shows the colour stored there, as Pillow and Keras do [default: the
    /// weights' own, else white]
    #[arg(long, value_name = "MODE", value_parser = alpha())]
    pub alpha: Option<AlphaMode>,
    /// 16-bit samples: their upper byte, darkest to lightest (for 10- to 14-bit data), or grey above 255 as white, as
    /// Pillow and Keras do [default: the weights' own, else high-byte]
    #[arg(long, value_name = "MODE", value_parser = sixteen_bit())]
    pub sixteen_bit: Option<SixteenBitMode>,
    /// JPEG, PNG, BMP and uncompressed TIFF files that end early [default: the weights' own, else refuse]
    #[arg(long, value_name = "MODE", value_parser = truncated())]
    pub truncated: Option<TruncatedMode>,
}

impl ReadingArgs {
    /// These modes, and those of `other` where none is given.
    pub fn over(&self, other: Reading) -> Reading {
        Reading {
            orientation: self.orientation.unwrap_or(other.orientation),
            alpha: self.alpha.unwrap_or(other.alpha),
            sixteen_bit: self.sixteen_bit.unwrap_or(other.sixteen_bit),
            truncated: self.truncated.unwrap_or(other.truncated),
        }
    }
}
