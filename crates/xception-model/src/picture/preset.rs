//! The presets at work: decoding and resizing to a network's input size.

use std::path::Path;

use image::RgbImage;

use super::{
    DecodeOptions, Decoded, PictureError, Pixels,
    bilinear::resize_bilinear,
    decode::{decode_with, open_with},
    jpeg::Idct,
    nearest::resize_nearest,
    resample::{Filter, Frame, Rectangle, resample},
};
use crate::preset::{CentreCrop, CropFilter, CropScale, Preset};

/// The longest side that can be requested. A network's input has a few hundred pixels; the bound keeps the number of
/// values, `height * width * 3`, within every platform's `usize`.
pub(super) const MAX_SIDE: usize = 16_384;

/// timm's crop for Xception: the picture is scaled so that the crop is this part of its shorter side, in
/// ten-thousandths (`timm/models/xception.py`, `legacy_xception`'s `crop_pct`).
const TIMM_CROP: u16 = 8975;

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
    pub fn decode(self, bytes: &[u8], options: impl Into<DecodeOptions>) -> Result<RgbImage, PictureError> {
        self.decode_with_warnings(bytes, options).map(|decoded| decoded.picture)
    }

    /// [`decode`](Self::decode) with the warnings.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](super::decode()).
    pub fn decode_with_warnings(
        self,
        bytes: &[u8],
        options: impl Into<DecodeOptions>,
    ) -> Result<Decoded, PictureError> {
        decode_with(bytes, &options.into(), self.idct())
    }

    /// [`open`](super::open) with the JPEG arithmetic of this preset's library, as [`decode`](Self::decode).
    ///
    /// # Errors
    ///
    /// Those of [`open`](super::open).
    pub fn open(self, path: impl AsRef<Path>, options: impl Into<DecodeOptions>) -> Result<RgbImage, PictureError> {
        self.open_with_warnings(path, options).map(|decoded| decoded.picture)
    }

    /// [`open`](Self::open) with the warnings.
    ///
    /// # Errors
    ///
    /// Those of [`open`](super::open).
    pub fn open_with_warnings(
        self,
        path: impl AsRef<Path>,
        options: impl Into<DecodeOptions>,
    ) -> Result<Decoded, PictureError> {
        open_with(path.as_ref(), &options.into(), self.idct())
    }

    /// Whether pictures of this size can be made.
    ///
    /// # Errors
    ///
    /// [`PictureError::Crop`] if torchvision would fill the borders with black, because a side is longer than the
    /// scaled picture's shorter side.
    pub fn check_size(self, height: usize, width: usize) -> Result<(), PictureError> {
        match self {
            Self::CentreCrop(crop) => match crop.scale() {
                CropScale::Side(side) if height.max(width) > usize::from(side) => {
                    Err(PictureError::Crop { side, height, width })
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Resizes a picture to a network's input: `[height, width, 3]`, 0 to 255.
    ///
    /// # Errors
    ///
    /// [`PictureError::Size`] if the picture holds no pixel, or a side asked for is 0 or more than 16,384, and those of
    /// [`check_size`](Self::check_size).
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
        self.check_size(height, width)?;
        let part = Rectangle::whole(picture);
        let of_pil = |filter| to_f32(&resample(picture, filter, &Frame::whole(picture, height, width)));
        let of_pil_crop = |filter| {
            let frame = Frame {
                part: load_img_part(picture, height, width),
                ..Frame::whole(picture, height, width)
            };
            to_f32(&resample(picture, filter, &frame))
        };
        let data = match self {
            Self::KerasNearest => to_f32(&resize_nearest(picture, part, height, width)),
            Self::KerasNearestCrop => {
                let part = load_img_part(picture, height, width);
                to_f32(&resize_nearest(picture, part, height, width))
            }
            Self::KerasBilinear => resize_bilinear(picture, part, height, width),
            Self::KerasBilinearCrop => {
                resize_bilinear(picture, smart_resize_part(picture, height, width), height, width)
            }
            Self::PilBilinear => of_pil(Filter::Bilinear),
            Self::PilBicubic => of_pil(Filter::Bicubic),
            Self::PilLanczos => of_pil(Filter::Lanczos),
            Self::PilBox => of_pil(Filter::Box),
            Self::PilHamming => of_pil(Filter::Hamming),
            Self::PilBilinearCrop => of_pil_crop(Filter::Bilinear),
            Self::PilBicubicCrop => of_pil_crop(Filter::Bicubic),
            Self::PilLanczosCrop => of_pil_crop(Filter::Lanczos),
            Self::TimmBicubic => {
                let frame = centre_frame(picture, CropScale::Share(TIMM_CROP), height, width);
                to_f32(&resample(picture, Filter::Bicubic, &frame))
            }
            Self::CentreCrop(crop) => centre_crop(picture, crop, height, width),
        };
        Ok(Pixels::new(height, width, data))
    }

    fn idct(self) -> Idct {
        if self.keeps_fractions() {
            Idct::Fast
        } else {
            Idct::Accurate
        }
    }
}

/// The part that `load_img(keep_aspect_ratio=True)` keeps, in whole numbers (`image_utils.py`). Of a picture thinner
/// than a pixel of the size it has no width, and Pillow stretches the sample there.
fn load_img_part(picture: &RgbImage, height: usize, width: usize) -> Rectangle {
    let (from_height, from_width) = (picture.height() as usize, picture.width() as usize);
    Rectangle::centred(
        picture,
        from_height.min(from_width * height / width),
        from_width.min(from_height * width / height),
    )
}

/// The part that `smart_resize` keeps, in 32-bit numbers, as in a `tf.data` pipeline (`image_utils.py`).
fn smart_resize_part(picture: &RgbImage, height: usize, width: usize) -> Rectangle {
    let (from_height, from_width) = (picture.height() as usize, picture.width() as usize);
    let scaled = |side: usize, by: usize, over: usize| ((side * by) as f32 / over as f32) as usize;
    Rectangle::centred(
        picture,
        from_height.min(scaled(from_width, height, width)).max(1),
        from_width.min(scaled(from_height, width, height)).max(1),
    )
}

/// The centre of a scaled picture.
fn centre_crop(picture: &RgbImage, crop: CentreCrop, height: usize, width: usize) -> Vec<f32> {
    let filter = match crop.filter() {
        CropFilter::Bilinear => Filter::Bilinear,
        CropFilter::Bicubic => Filter::Bicubic,
    };
    let frame = centre_frame(picture, crop.scale(), height, width);
    to_f32(&resample(picture, filter, &frame))
}

/// The size that torchvision and timm scale to, and the place of their crop there
/// (`torchvision/transforms/_presets.py`, `ImageClassification`; `timm/data/transforms_factory.py`,
/// `transforms_imagenet_eval`).
///
/// In timm a square target goes through torchvision's `Resize(int)` (`functional.py`, `_compute_resized_output_size`),
/// any other through timm's `ResizeKeepRatio`, and the two round the longer side differently.
fn centre_frame(picture: &RgbImage, scale: CropScale, height: usize, width: usize) -> Frame {
    let (from_height, from_width) = (f64::from(picture.height()), f64::from(picture.width()));
    // `int(short * long / picture_short)`
    let shorter = |short: f64| {
        if from_width <= from_height {
            ((short * from_height / from_width).floor(), short)
        } else {
            (short, (short * from_width / from_height).floor())
        }
    };
    let (full_height, full_width) = match scale {
        CropScale::Side(side) => shorter(f64::from(side)),
        CropScale::Share(share) => {
            // The nearest f64 to the decimal fraction, which Python reads too.
            let share = f64::from(share) / 10_000.0;
            let scaled = |side: usize| (side as f64 / share).floor();
            if height == width {
                shorter(scaled(height))
            } else {
                let ratio = (from_height / scaled(height)).min(from_width / scaled(width));
                (
                    (from_height / ratio).round_ties_even(),
                    (from_width / ratio).round_ties_even(),
                )
            }
        }
    };
    // torchvision's `center_crop`: `int(round((image_height - crop_height) / 2.0))`, Python's round. The scaled
    // picture is never smaller than the crop, so nothing is padded.
    let offset = |full: f64, side: usize| ((full - side as f64) / 2.0).round_ties_even() as usize;
    Frame {
        part: Rectangle::whole(picture),
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
