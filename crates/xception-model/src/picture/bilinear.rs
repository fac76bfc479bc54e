//! TensorFlow's bilinear resize without antialiasing.

use image::RgbImage;

/// `tf.image.resize(picture, (height, width), method="bilinear", antialias=False)`: `[height, width, 3]`.
///
/// In the order of operations of TensorFlow's CPU kernel (`resize_bilinear_op.cc`, `compute_lerp`), 32-bit throughout,
/// because another order rounds differently.
pub(super) fn resize_bilinear(picture: &RgbImage, height: usize, width: usize) -> Vec<f32> {
    let columns = points(picture.width(), width);
    let rows = points(picture.height(), height);
    let row_len = picture.width() as usize * 3;
    let mut resized = Vec::with_capacity(height * width * 3);
    for row in rows {
        let upper = &picture.as_raw()[row.before * row_len..][..row_len];
        let lower = &picture.as_raw()[row.after * row_len..][..row_len];
        for column in &columns {
            let left = column.before * 3;
            let right = column.after * 3;
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
fn points(from: u32, to: usize) -> Vec<Point> {
    let last = (from - 1) as usize;
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
