//! TensorFlow's bilinear resize without antialiasing.

use image::RgbImage;

use super::resample::Rectangle;

/// `tf.image.resize(part, (height, width), method="bilinear", antialias=False)`: `[height, width, 3]`.
///
/// In the order of operations of TensorFlow's CPU kernel (`resize_bilinear_op.cc`, `compute_lerp`), 32-bit throughout,
/// because another order rounds differently.
pub(super) fn resize_bilinear(picture: &RgbImage, part: Rectangle, height: usize, width: usize) -> Vec<f32> {
    let columns = points(part.width, width);
    let rows = points(part.height, height);
    let row_len = picture.width() as usize * 3;
    let mut resized = Vec::with_capacity(height * width * 3);
    for row in rows {
        let upper = &picture.as_raw()[(part.top + row.before) * row_len..][..row_len];
        let lower = &picture.as_raw()[(part.top + row.after) * row_len..][..row_len];
        for column in &columns {
            let left = (part.left + column.before) * 3;
            let right = (part.left + column.after) * 3;
            for channel in 0..3 {
                let top = mix(
                    upper[left + channel].into(),
                    upper[right + channel].into(),
                    column.share,
                );
                let bottom = mix(
                    lower[left + channel].into(),
                    lower[right + channel].into(),
                    column.share,
                );
                resized.push(mix(top, bottom, row.share));
            }
        }
    }
    resized
}

fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

/// The position of a new sample between two old ones.
struct Point {
    before: usize,
    after: usize,
    /// 0.0 at `before`, growing to 1.0 at `after`.
    share: f32,
}

/// `compute_interpolation_weights` with `HalfPixelScaler`: sample centres lie at half pixels.
fn points(from: usize, to: usize) -> Vec<Point> {
    let last = from - 1;
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|index| {
            let position = (index as f32 + 0.5) * scale - 0.5;
            Point {
                // Negative before the first centre; the cast gives 0 there.
                before: (position.floor() as usize).min(last),
                after: (position.ceil() as usize).min(last),
                share: position - position.floor(),
            }
        })
        .collect()
}
