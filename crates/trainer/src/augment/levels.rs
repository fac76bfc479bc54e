//! Operations that replace each level of a channel by another level: Pillow's `ImageOps`, bit for bit.

use image::RgbImage;

/// The new level for each old level of a channel.
type Table = [u8; 256];

/// Stretches every channel so that its darkest level becomes 0 and its lightest 255: `PIL.ImageOps.autocontrast`.
pub fn autocontrast(picture: &mut RgbImage) {
    let tables = histograms(picture).map(|histogram| {
        let darkest = histogram.iter().position(|&count| count > 0).unwrap_or(0);
        let lightest = histogram.iter().rposition(|&count| count > 0).unwrap_or(0);
        if lightest <= darkest {
            return identity();
        }
        let scale = 255.0 / (lightest - darkest) as f64;
        let offset = -(darkest as f64) * scale;
        table(|level| (f64::from(level) * scale + offset) as u8)
    });
    replace(picture, &tables);
}

/// Spreads every channel's levels evenly: `PIL.ImageOps.equalize`.
pub fn equalize(picture: &mut RgbImage) {
    let tables = histograms(picture).map(|histogram| {
        let lightest = histogram.iter().copied().rfind(|&count| count > 0).unwrap_or(0);
        let step = (histogram.iter().sum::<u64>() - lightest) / 255;
        // Also taken for a channel with a single level, whose step is 0.
        if step == 0 {
            return identity();
        }
        let mut sum = step / 2;
        histogram.map(|count| {
            let level = (sum / step).min(255) as u8;
            sum += count;
            level
        })
    });
    replace(picture, &tables);
}

/// Keeps the upper `bits` of every level, 0 to 8: `PIL.ImageOps.posterize`.
pub fn posterize(picture: &mut RgbImage, bits: u32) {
    let mask = u8::MAX.checked_shl(8_u32.saturating_sub(bits)).unwrap_or(0);
    replace_alike(picture, &table(|level| level & mask));
}

/// Inverts the levels from `threshold` on: `PIL.ImageOps.solarize`.
pub fn solarize(picture: &mut RgbImage, threshold: f64) {
    replace_alike(
        picture,
        &table(|level| {
            if f64::from(level) < threshold {
                level
            } else {
                255 - level
            }
        }),
    );
}

fn histograms(picture: &RgbImage) -> [[u64; 256]; 3] {
    let mut histograms = [[0; 256]; 3];
    for pixel in picture.pixels() {
        for (histogram, &level) in histograms.iter_mut().zip(&pixel.0) {
            histogram[usize::from(level)] += 1;
        }
    }
    histograms
}

fn identity() -> Table {
    table(|level| level)
}

pub(super) fn table(new: impl Fn(u8) -> u8) -> Table {
    std::array::from_fn(|level| new(level as u8))
}

pub(super) fn replace_alike(picture: &mut RgbImage, table: &Table) {
    for level in picture.iter_mut() {
        *level = table[usize::from(*level)];
    }
}

fn replace(picture: &mut RgbImage, tables: &[Table; 3]) {
    for pixel in picture.pixels_mut() {
        for (level, table) in pixel.0.iter_mut().zip(tables) {
            *level = table[usize::from(*level)];
        }
    }
}
