//! Pillow's nearest neighbour.

use image::RgbImage;

/// `PIL.Image.resize((width, height), NEAREST)`: `[height, width, 3]`.
pub(super) fn resize_nearest(picture: &RgbImage, height: usize, width: usize) -> Vec<u8> {
    let columns = positions(picture.width() as usize, width);
    let rows = positions(picture.height() as usize, height);
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

/// For each of the `to` new samples, the index of the old sample that it takes.
///
/// Pillow adds up the step instead of multiplying it (`Geometry.c`, `ImagingScaleAffine`), so rounding errors
/// accumulate and sometimes decide which sample is nearest.
fn positions(from: usize, to: usize) -> Vec<usize> {
    let step = from as f64 / to as f64;
    let mut position = step * 0.5;
    (0..to)
        .map(|_| {
            let index = position as usize;
            position += step;
            index.min(from - 1)
        })
        .collect()
}
