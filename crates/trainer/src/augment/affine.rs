//! Rotation, shear and translation, as Pillow's `Image.transform(AFFINE, resample=BILINEAR)`, bit for bit.

use image::{Rgb, RgbImage};

/// The colour of places outside the picture: timm's `_FILL` (`auto_augment.py`).
pub const FILL: [u8; 3] = [128; 3];

/// The source of each new pixel, as Pillow's six numbers: column `a x + b y + c`, row `d x + e y + f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine(pub [f64; 6]);

impl Affine {
    /// Counter-clockwise by `degrees` around the centre: `Image.rotate`.
    pub fn rotation(picture: &RgbImage, degrees: f64) -> Self {
        // As in `Image.rotate`, which rounds to fifteen digits.
        let (sin, cos) = (-degrees.rem_euclid(360.0).to_radians()).sin_cos();
        let [sin, cos] = [sin, cos].map(|part| (part * 1e15).round_ties_even() / 1e15);
        let (x, y) = (f64::from(picture.width()) / 2.0, f64::from(picture.height()) / 2.0);
        let right = cos * -x + sin * -y + x;
        let down = -sin * -x + cos * -y + y;
        Self([cos, sin, right, -sin, cos, down])
    }

    /// Moves each row left by `factor` times its distance from the top.
    pub fn shear_x(factor: f64) -> Self {
        Self([1.0, factor, 0.0, 0.0, 1.0, 0.0])
    }

    /// Moves each column up by `factor` times its distance from the left.
    pub fn shear_y(factor: f64) -> Self {
        Self([1.0, 0.0, 0.0, factor, 1.0, 0.0])
    }

    /// Moves the picture left and up by so many pixels.
    pub fn translation(left: f64, up: f64) -> Self {
        Self([1.0, 0.0, left, 0.0, 1.0, up])
    }

    /// The transformed picture, of the same size. Places outside the original picture become [`FILL`].
    pub fn apply(&self, picture: &RgbImage) -> RgbImage {
        let Self(numbers) = *self;
        RgbImage::from_fn(picture.width(), picture.height(), |column, row| {
            let (x, y) = (f64::from(column) + 0.5, f64::from(row) + 0.5);
            let from = |numbers: &[f64]| numbers[0] * x + numbers[1] * y + numbers[2];
            Rgb(sample(picture, from(&numbers[..3]), from(&numbers[3..])))
        })
    }
}

/// `Geometry.c`, `bilinear_filter32RGB`: in double precision, truncated.
fn sample(picture: &RgbImage, x: f64, y: f64) -> [u8; 3] {
    let (width, height) = picture.dimensions();
    if !(0.0..f64::from(width)).contains(&x) || !(0.0..f64::from(height)).contains(&y) {
        return FILL;
    }
    let (x, y) = (x - 0.5, y - 0.5);
    let (left, top) = (x.floor(), y.floor());
    let (dx, dy) = (x - left, y - top);
    // The cast turns -1 into 0, as `XCLIP` does; larger numbers stay below the width and height.
    let columns = [left as u32, ((left + 1.0) as u32).min(width - 1)];
    let rows = [top as u32, ((top + 1.0) as u32).min(height - 1)];
    let corners = rows.map(|row| columns.map(|column| picture.get_pixel(column, row).0.map(f64::from)));
    let mix = |from: f64, to: f64, share: f64| from + (to - from) * share;
    [0, 1, 2].map(|channel| {
        let [above, below] = corners.map(|[left, right]| mix(left[channel], right[channel], dx));
        mix(above, below, dy) as u8
    })
}
