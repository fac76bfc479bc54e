//! Smaller versions of large pictures, which are faster to decode and to augment.

use image::{DynamicImage, RgbImage, imageops};
use libjpeg_turbo_rs::{DecodeLimits as JpegLimits, Decoder, PixelFormat, ScalingFactor};
use xception_model::picture::{DecodeOptions, OrientationMode, PictureError, Preset, jpeg_orientation};

/// The fractions of a side, as denominators, smallest first. A JPEG decoder computes these sizes directly from its
/// blocks of eight.
const PARTS: [u32; 3] = [8, 4, 2];

/// Decodes at an eighth, a quarter, a half or all of the size: the smallest whose shorter side is at least
/// `short_side`.
///
/// libjpeg's scaled inverse transform decodes a JPEG file at that size. The transform averages pixels and skips most of
/// the work. For other formats the decoded pixels are averaged.
pub(super) fn decode_shrunk(
    bytes: &[u8],
    preset: Preset,
    options: &DecodeOptions,
    short_side: u32,
) -> Result<RgbImage, PictureError> {
    if let Some(picture) = shrunk_jpeg(bytes, options, short_side) {
        return Ok(picture);
    }
    let picture = preset.decode(bytes, options)?;
    Ok(match part(picture.width(), picture.height(), short_side) {
        Some(part) => trim(average(&picture, part), picture.dimensions(), part),
        None => picture,
    })
}

fn part(width: u32, height: u32, short_side: u32) -> Option<u32> {
    let short = width.min(height);
    PARTS.into_iter().find(|part| short / part >= short_side.max(1))
}

/// `None` for a file that is not JPEG, is too small to shrink, or is unusual in any way. The full decoder then decides,
/// and reports errors.
fn shrunk_jpeg(bytes: &[u8], options: &DecodeOptions, short_side: u32) -> Option<RgbImage> {
    if !bytes.starts_with(b"\xff\xd8\xff") {
        return None;
    }
    let orientation = jpeg_orientation(bytes)?;
    let limits = &options.limits;
    let guard = JpegLimits {
        max_pixels: limits.max_pixels,
        // As in `picture::decode`: thousands of empty scans would keep the decoder busy for minutes.
        max_scans: 100,
        max_memory: Some(limits.max_bytes),
        ..JpegLimits::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, guard).ok()?;
    let header = decoder.header();
    // CMYK needs Pillow's conversion.
    if header.components.len() == 4 {
        return None;
    }
    let size = (header.width.into(), header.height.into());
    let part = part(size.0, size.1, short_side)?;
    decoder.set_scale(ScalingFactor::try_new(1, part).ok()?);
    decoder.set_output_format(PixelFormat::Rgb);
    let small = decoder.decode_image().ok()?;
    let picture = RgbImage::from_raw(small.width as u32, small.height as u32, small.data)?;
    let mut picture = DynamicImage::ImageRgb8(trim(picture, size, part));
    if options.reading.orientation == OrientationMode::Exif {
        picture.apply_orientation(orientation);
    }
    Some(picture.into_rgb8())
}

/// Drops a last column or row if it averages fewer than half of a full one's pixels. The picture is then stretched by
/// less than half a pixel.
fn trim(picture: RgbImage, (width, height): (u32, u32), part: u32) -> RgbImage {
    let [width, height] = [width, height].map(|side| (side + part / 2) / part);
    if picture.dimensions() == (width, height) {
        return picture;
    }
    imageops::crop_imm(&picture, 0, 0, width, height).to_image()
}

/// The rounded mean of every square of `part` x `part` pixels. Squares at the right and lower border may be smaller.
fn average(picture: &RgbImage, part: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let row_len = width as usize * 3;
    let columns = width.div_ceil(part) as usize;
    let mut levels = Vec::with_capacity(columns * height.div_ceil(part) as usize * 3);
    let mut sums = vec![0_u32; columns * 3];
    for rows in picture.as_raw().chunks(row_len * part as usize) {
        sums.fill(0);
        for row in rows.chunks_exact(row_len) {
            for (square, sum) in row.chunks(part as usize * 3).zip(sums.chunks_exact_mut(3)) {
                for pixel in square.chunks_exact(3) {
                    for (sum, &level) in sum.iter_mut().zip(pixel) {
                        *sum += u32::from(level);
                    }
                }
            }
        }
        let height = (rows.len() / row_len) as u32;
        for (column, sum) in sums.chunks_exact(3).enumerate() {
            let count = height * part.min(width - column as u32 * part);
            levels.extend(sum.iter().map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    RgbImage::from_raw(columns as u32, height.div_ceil(part), levels).unwrap_or_else(|| picture.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_part_that_is_large_enough_is_taken() {
        assert_eq!(part(800, 1_200, 100), Some(8));
        assert_eq!(part(799, 1_200, 100), Some(4));
        assert_eq!(part(200, 210, 100), Some(2));
        assert_eq!(part(210, 199, 100), None);
        assert_eq!(part(u32::MAX, u32::MAX, 0), Some(8));
    }

    #[test]
    fn less_than_half_a_square_is_dropped() {
        let trimmed = |width: u32, part: u32| {
            let small = RgbImage::new(width.div_ceil(part), 2);
            trim(small, (width, 2 * part), part).dimensions()
        };
        assert_eq!(trimmed(13, 4), (3, 2));
        assert_eq!(trimmed(14, 4), (4, 2));
        assert_eq!(trimmed(16, 4), (4, 2));
    }

    #[test]
    fn squares_are_averaged_also_at_the_border() {
        let picture = RgbImage::from_fn(5, 3, |x, y| image::Rgb([(x * 10) as u8, (y * 10) as u8, 7]));
        let small = average(&picture, 2);
        assert_eq!(small.dimensions(), (3, 2));
        assert_eq!(small.get_pixel(0, 0).0, [5, 5, 7]);
        assert_eq!(small.get_pixel(1, 1).0, [25, 20, 7]);
        assert_eq!(small.get_pixel(2, 0).0, [40, 5, 7]);
        assert_eq!(small.get_pixel(2, 1).0, [40, 20, 7]);
    }
}
