//! The four presets of trained Xceptions: decoding and resizing to a network's input size.

use std::path::Path;

use image::RgbImage;

use super::{
    DecodeLimits, PictureError, Pixels,
    bilinear::resize_bilinear,
    decode::{decode_with, open_with},
    jpeg::Idct,
    nearest::resize_nearest,
    resample::{Filter, Frame, resample},
};
use crate::preset::Preset;

/// The longest side that can be requested. A network's input has a few hundred pixels; the bound keeps the number of
/// values, `height * width * 3`, within every platform's `usize`.
pub(super) const MAX_SIDE: usize = 16_384;

/// timm's crop for Xception: the picture is scaled so that the crop is this part of its shorter side
/// (`timm/models/xception.py`, `legacy_xception`'s `crop_pct`).
const TIMM_CROP: f64 = 0.8975;

impl Preset {
    /// [`decode`](super::decode()) with the JPEG arithmetic of this preset's library.
    ///
    /// `TensorFlow` decodes JPEG with libjpeg's faster, coarser inverse cosine transform (`JDCT_IFAST`), Pillow with
    /// the accurate one. On photographs the two differ by about one level on average and by up to twenty. Other formats
    /// decode alike.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](super::decode()).
    pub fn decode(self, bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, PictureError> {
        decode_with(bytes, limits, self.idct())
    }

    /// [`open`](super::open) with the JPEG arithmetic of this preset's library, as [`decode`](Self::decode).
    ///
    /// # Errors
    ///
    /// Those of [`open`](super::open).
    pub fn open(self, path: impl AsRef<Path>, limits: &DecodeLimits) -> Result<RgbImage, PictureError> {
        open_with(path.as_ref(), limits, self.idct())
    }

    /// Resizes a picture to a network's input: `[height, width, 3]`, 0 to 255.
    ///
    /// # Errors
    ///
    /// [`PictureError::Size`] if the picture holds no pixel, or a side asked for is 0 or more than 16,384.
    pub fn apply(self, picture: &RgbImage, height: usize, width: usize) -> Result<Pixels, PictureError> {
        let sides = 1..=MAX_SIDE;
        let (from_width, from_height) = picture.dimensions();
        if from_width == 0 || from_height == 0 || !sides.contains(&height) || !sides.contains(&width) {
            return Err(PictureError::Size {
                from_width,
                from_height,
                width,
                height,
            });
        }
        let data = match self {
            Self::KerasNearest => to_f32(&resize_nearest(picture, height, width)),
            Self::KerasBilinear => resize_bilinear(picture, height, width),
            Self::PilBilinear => to_f32(&resample(picture, Filter::Bilinear, &Frame::whole(height, width))),
            Self::TimmBicubic => to_f32(&resample(picture, Filter::Bicubic, &timm_frame(picture, height, width))),
        };
        Ok(Pixels::new(height, width, data))
    }

    fn idct(self) -> Idct {
        match self {
            Self::KerasBilinear => Idct::Fast,
            Self::KerasNearest | Self::PilBilinear | Self::TimmBicubic => Idct::Accurate,
        }
    }
}

/// The size timm scales to and the place of its crop there (`timm/data/transforms_factory.py`,
/// `transforms_imagenet_eval`).
///
/// A square target goes through torchvision's `Resize(int)` (`functional.py`, `_compute_resized_output_size`), any
/// other through timm's `ResizeKeepRatio`, and the two round the longer side differently.
fn timm_frame(picture: &RgbImage, height: usize, width: usize) -> Frame {
    let (from_height, from_width) = (f64::from(picture.height()), f64::from(picture.width()));
    let scaled = |side: usize| (side as f64 / TIMM_CROP).floor();
    let (full_height, full_width) = if height == width {
        let short = scaled(height);
        // `int(short * long / picture_short)`
        if from_width <= from_height {
            ((short * from_height / from_width).floor(), short)
        } else {
            (short, (short * from_width / from_height).floor())
        }
    } else {
        let ratio = (from_height / scaled(height)).min(from_width / scaled(width));
        (
            (from_height / ratio).round_ties_even(),
            (from_width / ratio).round_ties_even(),
        )
    };
    // torchvision's `center_crop`: `int(round((image_height - crop_height) / 2.0))`, Python's round. The scaled
    // picture is never smaller than the crop, so nothing is padded.
    let offset = |full: f64, side: usize| ((full - side as f64) / 2.0).round_ties_even() as usize;
    Frame {
        full_height: full_height as usize,
        full_width: full_width as usize,
        top: offset(full_height, height),
        left: offset(full_width, width),
        height,
        width,
    }
}

fn to_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&byte| f32::from(byte)).collect()
}
