//! Blends of a picture with a plainer version of it: Pillow's `ImageEnhance`, bit for bit.
//!
//! A factor of 0.0 gives the plain version, 1.0 the picture, and more than 1.0 exaggerates the difference.

use image::RgbImage;

use super::levels::{replace_alike, table};

/// Blends with black: `PIL.ImageEnhance.Brightness`.
pub fn brightness(picture: &mut RgbImage, factor: f32) {
    replace_alike(picture, &table(|level| blend(0, level, factor)));
}

/// Blends with the mean grey: `PIL.ImageEnhance.Contrast`.
pub fn contrast(picture: &mut RgbImage, factor: f32) {
    let pixels = u64::from(picture.width()) * u64::from(picture.height());
    if pixels == 0 {
        return;
    }
    let sum: u64 = picture.pixels().map(|pixel| u64::from(grey(pixel.0))).sum();
    let mean = (sum as f64 / pixels as f64 + 0.5) as u8;
    replace_alike(picture, &table(|level| blend(mean, level, factor)));
}

/// Blends with the grey picture: `PIL.ImageEnhance.Color`, which torchvision calls saturation.
pub fn color(picture: &mut RgbImage, factor: f32) {
    for pixel in picture.pixels_mut() {
        let plain = grey(pixel.0);
        pixel.0 = pixel.0.map(|level| blend(plain, level, factor));
    }
}

/// Blends with the blurred picture: `PIL.ImageEnhance.Sharpness`.
pub fn sharpness(picture: &mut RgbImage, factor: f32) {
    let row_len = picture.width() as usize * 3;
    let (height, width) = (picture.height() as usize, picture.width() as usize);
    // `ImageFilter.SMOOTH` leaves the border as it is.
    if height < 3 || width < 3 {
        return;
    }
    let source = picture.as_raw().clone();
    let rows = source.windows(row_len * 3).step_by(row_len);
    let targets = picture.chunks_exact_mut(row_len).skip(1);
    for (around, target) in rows.zip(targets) {
        let (above, rest) = around.split_at(row_len);
        let (here, below) = rest.split_at(row_len);
        for index in 3..row_len - 3 {
            let beside = |row: &[u8]| {
                [index - 3, index, index + 3]
                    .map(|at| u32::from(row[at]))
                    .iter()
                    .sum::<u32>()
            };
            let sum = beside(above) + beside(here) + beside(below) + 4 * u32::from(here[index]);
            // The weights of the kernel sum to 13. Pillow rounds; a thirteenth is never exactly a half.
            let plain = ((2 * sum + 13) / 26) as u8;
            target[index] = blend(plain, here[index], factor);
        }
    }
}

/// `Image.convert("L")` (`Convert.c`, `L24`).
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

/// `Image.blend` (`Blend.c`): single precision, truncated, clipped.
fn blend(plain: u8, level: u8, factor: f32) -> u8 {
    // The cast truncates and clips.
    (f32::from(plain) + factor * f32::from(i16::from(level) - i16::from(plain))) as u8
}
