//! Converts grey, transparent and 16-bit pictures to 8-bit RGB.

use image::{DynamicImage, RgbImage};

use super::warning::PictureWarning;
use crate::reading::{AlphaMode, Reading, SixteenBitMode};

/// Samples at or above this use the upper two bits of 16.
const LIGHT: u16 = 1 << 14;

/// Converts a picture of any integer kind to RGB; `None` for floating-point samples, whose range is unknown.
///
/// With Pillow's numbers throughout: 16 bits lose their lower byte (`Unpack.c`), grey is repeated, and transparency is
/// blended as in `PIL.Image.alpha_composite`.
pub(super) fn flatten(picture: DynamicImage, reading: Reading, warnings: &mut Vec<PictureWarning>) -> Option<RgbImage> {
    let (width, height) = (picture.width(), picture.height());
    let alpha = reading.alpha;
    let rgb = match picture {
        DynamicImage::ImageRgb8(picture) => return Some(picture),
        DynamicImage::ImageLuma8(picture) => repeat(picture.as_raw()),
        DynamicImage::ImageLumaA8(picture) => grey_on(alpha, picture.as_raw()),
        DynamicImage::ImageRgba8(picture) => colours_on(alpha, picture.as_raw()),
        DynamicImage::ImageLuma16(picture) => repeat(&to_bytes(picture.as_raw(), 1, reading, warnings)),
        DynamicImage::ImageLumaA16(picture) => grey_on(alpha, &to_bytes(picture.as_raw(), 2, reading, warnings)),
        DynamicImage::ImageRgb16(picture) => to_bytes(picture.as_raw(), 3, reading, warnings),
        DynamicImage::ImageRgba16(picture) => colours_on(alpha, &to_bytes(picture.as_raw(), 4, reading, warnings)),
        _ => return None,
    };
    RgbImage::from_raw(width, height, rgb)
}

/// A warning if 16-bit samples of at most this level come out nearly black. A black picture is black.
pub(super) fn dark(lightest: u16) -> Option<PictureWarning> {
    (1..LIGHT).contains(&lightest).then(|| PictureWarning::Dark {
        largest: lightest,
        bits: u16::BITS - lightest.leading_zeros(),
    })
}

/// 16-bit samples to bytes; of two or four channels the last is transparency, which is never stretched.
fn to_bytes(samples: &[u16], channels: usize, reading: Reading, warnings: &mut Vec<PictureWarning>) -> Vec<u8> {
    let colours = channels - usize::from(channels.is_multiple_of(2));
    let levels = || {
        samples
            .chunks_exact(channels)
            .flat_map(|pixel| &pixel[..colours])
            .copied()
    };
    let (darkest, lightest) = levels().fold((u16::MAX, 0), |(low, high), level| (level.min(low), level.max(high)));
    let high_byte = |level: u16| (level >> 8) as u8;
    let to_byte: Box<dyn Fn(u16) -> u8> = match reading.sixteen_bit {
        SixteenBitMode::Stretch if lightest > darkest => {
            let (darkest, range) = (u32::from(darkest), u32::from(lightest - darkest));
            Box::new(move |level| (((u32::from(level) - darkest) * 255 + range / 2) / range) as u8)
        }
        SixteenBitMode::Clip if channels == 1 => Box::new(|level| level.min(255) as u8),
        _ => Box::new(high_byte),
    };
    if reading.sixteen_bit == SixteenBitMode::HighByte {
        warnings.extend(dark(lightest));
    }
    let to_bytes = |pixel: &[u16]| {
        let mut bytes = [0; 4];
        for (index, (byte, &sample)) in bytes.iter_mut().zip(pixel).enumerate() {
            *byte = if index < colours {
                to_byte(sample)
            } else {
                high_byte(sample)
            };
        }
        bytes
    };
    samples
        .chunks_exact(channels)
        .flat_map(|pixel| to_bytes(pixel).into_iter().take(channels))
        .collect()
}

fn repeat(grey: &[u8]) -> Vec<u8> {
    grey.iter().flat_map(|&level| [level; 3]).collect()
}

fn grey_on(ground: AlphaMode, grey_alpha: &[u8]) -> Vec<u8> {
    grey_alpha
        .chunks_exact(2)
        .flat_map(|pixel| [lay_on(ground, pixel[0], pixel[1]); 3])
        .collect()
}

fn colours_on(ground: AlphaMode, rgba: &[u8]) -> Vec<u8> {
    let blended = |pixel: &[u8]| [0, 1, 2].map(|channel| lay_on(ground, pixel[channel], pixel[3]));
    rgba.chunks_exact(4).flat_map(blended).collect()
}

/// One channel over an opaque ground, with the roundings of Pillow's `AlphaComposite.c`.
fn lay_on(ground: AlphaMode, level: u8, alpha: u8) -> u8 {
    let (light, alpha) = (u32::from(level), u32::from(alpha));
    let ground = match ground {
        AlphaMode::White => 255,
        AlphaMode::Black => 0,
        AlphaMode::Drop => return level,
    };
    let sum = (light * alpha + ground * (255 - alpha) + 128) << 7;
    (((sum >> 8) + sum) >> 8 >> 7) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_pixels_keep_their_colour_and_invisible_ones_are_white() {
        for level in 0..=u8::MAX {
            assert_eq!(lay_on(AlphaMode::White, level, 255), level);
            assert_eq!(lay_on(AlphaMode::White, level, 0), 255);
            assert_eq!(lay_on(AlphaMode::Black, level, 255), level);
            assert_eq!(lay_on(AlphaMode::Black, level, 0), 0);
            assert_eq!(lay_on(AlphaMode::Drop, level, 0), level);
        }
    }

    /// 16-bit grey as bytes, and the warnings.
    fn grey(levels: &[u16], sixteen_bit: SixteenBitMode) -> (Vec<u8>, Vec<PictureWarning>) {
        let reading = Reading {
            sixteen_bit,
            ..Reading::default()
        };
        let mut warnings = Vec::new();
        (to_bytes(levels, 1, reading, &mut warnings), warnings)
    }

    #[test]
    fn twelve_bit_data_warn_and_can_be_stretched() {
        let levels = [95, 1_000, 4_095];
        let dark = PictureWarning::Dark {
            largest: 4_095,
            bits: 12,
        };
        assert_eq!(grey(&levels, SixteenBitMode::HighByte), (vec![0, 3, 15], vec![dark]));
        assert_eq!(grey(&levels, SixteenBitMode::Stretch), (vec![0, 58, 255], vec![]));
        assert_eq!(grey(&levels, SixteenBitMode::Clip), (vec![95, 255, 255], vec![]));
        assert_eq!(grey(&[0, 20_000], SixteenBitMode::HighByte).1, []);
        assert_eq!(grey(&[0, 0], SixteenBitMode::HighByte).1, []);
        assert_eq!(grey(&[7, 7], SixteenBitMode::Stretch).0, [0, 0]);
    }

    #[test]
    fn transparency_is_never_stretched() {
        let reading = Reading {
            sixteen_bit: SixteenBitMode::Stretch,
            ..Reading::default()
        };
        let bytes = to_bytes(&[0, 0xffff, 100, 0x8000], 2, reading, &mut Vec::new());
        assert_eq!(bytes, [0, 255, 255, 128]);
    }
}
