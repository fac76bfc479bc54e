//! Pillow's nearest neighbour.

use std::ops::Range;

use image::RgbImage;

use super::resample::Rectangle;

/// `PIL.Image.resize((width, height), NEAREST, box=part)`: `[height, width, 3]`.
pub(super) fn resize_nearest(picture: &RgbImage, part: Rectangle, height: usize, width: usize) -> Vec<u8> {
    let columns = positions(picture.width() as usize, part.left..part.left + part.width, width);
    let rows = positions(picture.height() as usize, part.top..part.top + part.height, height);
    let row_len = picture.width() as usize * 3;
    let mut resized = Vec::with_capacity(height * width * 3);
    for row in rows {
        let source = &picture.as_raw()[row * row_len..][..row_len];
        for &column in &columns {
            resized.extend_from_slice(&source[column * 3..][..3]);
        }
    }
    resized
}

/// For each of the `to` new samples that `part` becomes, the index of the old sample that it takes.
///
/// Pillow adds up the step instead of multiplying it (`Geometry.c`, `ImagingScaleAffine`), so rounding errors
/// accumulate and sometimes decide which sample is nearest.
fn positions(from: usize, part: Range<usize>, to: usize) -> Vec<usize> {
    let step = part.len() as f64 / to as f64;
    let mut position = part.start as f64 + step * 0.5;
    (0..to)
        .map(|_| {
            let index = position as usize;
            position += step;
            index.min(from - 1)
        })
        .collect()
}
