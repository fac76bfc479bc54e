//! Converts grey, transparent and 16-bit pictures to 8-bit RGB.

use image::{DynamicImage, RgbImage};

/// Converts a picture of any integer kind to RGB, with transparency laid on white; `None` for floating-point samples,
/// whose range is unknown.
///
/// With Pillow's numbers throughout: 16 bits lose their lower byte (`Unpack.c`), grey is repeated, and transparency is
/// blended as in `PIL.Image.alpha_composite`.
pub(super) fn flatten(picture: DynamicImage) -> Option<RgbImage> {
    let (width, height) = (picture.width(), picture.height());
    let rgb = match picture {
        DynamicImage::ImageRgb8(picture) => return Some(picture),
        DynamicImage::ImageLuma8(picture) => repeat(picture.as_raw()),
        DynamicImage::ImageLuma16(picture) => repeat(&upper_bytes(picture.as_raw())),
        DynamicImage::ImageLumaA8(picture) => lay_grey_on_white(picture.as_raw()),
        DynamicImage::ImageLumaA16(picture) => lay_grey_on_white(&upper_bytes(picture.as_raw())),
        DynamicImage::ImageRgb16(picture) => upper_bytes(picture.as_raw()),
        DynamicImage::ImageRgba8(picture) => lay_on_white(picture.as_raw()),
        DynamicImage::ImageRgba16(picture) => lay_on_white(&upper_bytes(picture.as_raw())),
        _ => return None,
    };
    RgbImage::from_raw(width, height, rgb)
}

fn upper_bytes(samples: &[u16]) -> Vec<u8> {
    samples.iter().map(|&sample| (sample >> 8) as u8).collect()
}

fn repeat(grey: &[u8]) -> Vec<u8> {
    grey.iter().flat_map(|&level| [level; 3]).collect()
}

fn lay_grey_on_white(grey_alpha: &[u8]) -> Vec<u8> {
    grey_alpha
        .chunks_exact(2)
        .flat_map(|pixel| [on_white(pixel[0], pixel[1]); 3])
        .collect()
}

fn lay_on_white(rgba: &[u8]) -> Vec<u8> {
    let blended = |pixel: &[u8]| [0, 1, 2].map(|channel| on_white(pixel[channel], pixel[3]));
    rgba.chunks_exact(4).flat_map(blended).collect()
}

/// One channel over an opaque white ground, with the roundings of Pillow's `AlphaComposite.c`.
fn on_white(level: u8, alpha: u8) -> u8 {
    let (level, alpha) = (u32::from(level), u32::from(alpha));
    let sum = (level * alpha + 255 * (255 - alpha) + 128) << 7;
    (((sum >> 8) + sum) >> 8 >> 7) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_pixels_keep_their_colour_and_invisible_ones_are_white() {
        for level in 0..=u8::MAX {
            assert_eq!(on_white(level, 255), level);
            assert_eq!(on_white(level, 0), 255);
        }
    }
}
