use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Rgb, RgbImage};
use xception_model::picture::{Pixels, Preset};

use super::heatmap::Heatmap;

/// The share of the photograph that the strongest heat leaves visible.
const TRANSPARENCY: f32 = 0.4;

/// The longest side of a picture for people, in pixels.
const LONGEST: u32 = 640;

/// The picture under its heat map, from blue for little heat to red for the most heat. Places without heat keep their
/// colour.
///
/// The map is stretched over the whole picture and scaled by its largest value.
pub fn overlay(picture: &RgbImage, heatmap: &Heatmap) -> RgbImage {
    let (width, height) = picture.dimensions();
    let max = heatmap.max();
    let scaled: Vec<f32> = heatmap
        .values
        .iter()
        .map(|value| value / max.max(f32::MIN_POSITIVE))
        .collect();
    let map = ImageBuffer::<Luma<f32>, _>::from_raw(heatmap.width as u32, heatmap.height as u32, scaled);
    let (Some(map), true) = (map, max.is_finite()) else {
        return picture.clone();
    };
    let map = imageops::resize(&map, width, height, FilterType::CatmullRom);
    let mut out = picture.clone();
    for (pixel, Luma([heat])) in out.pixels_mut().zip(map.pixels()) {
        let heat = heat.clamp(0.0, 1.0);
        let share = heat.sqrt() * (1.0 - TRANSPARENCY);
        let Rgb(color) = heat_color(heat);
        for (value, color) in pixel.0.iter_mut().zip(color) {
            *value = (f32::from(*value) * (1.0 - share) + f32::from(color) * share).round() as u8;
        }
    }
    out
}

/// The colour of heat from 0 to 1: Turbo (Mikhailov 2019), whose order most colour-blind people see too.
pub(crate) fn heat_color(heat: f32) -> Rgb<u8> {
    // The ends of the scale are nearly black.
    let color = colorous::TURBO.eval_continuous(0.08 + 0.84 * f64::from(heat.clamp(0.0, 1.0)));
    Rgb([color.r, color.g, color.b])
}

/// The part of a picture that the network takes, for people: at most 640 pixels per side. If the preset keeps all of
/// the picture, the part keeps the picture's proportions.
pub fn view(picture: &RgbImage, pixels: &Pixels, preset: Preset) -> RgbImage {
    if preset.cuts() {
        let levels = pixels.data().iter().map(|value| value.round() as u8).collect();
        let seen = RgbImage::from_raw(pixels.width() as u32, pixels.height() as u32, levels);
        return seen.unwrap_or_else(|| picture.clone());
    }
    shrunk(picture, LONGEST)
}

/// The picture, shrunk until its longer side has at most the given number of pixels.
pub(crate) fn shrunk(picture: &RgbImage, longest: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let factor = f64::from(longest) / f64::from(width.max(height).max(1));
    if factor >= 1.0 {
        return picture.clone();
    }
    let side = |side: u32| ((f64::from(side) * factor).round() as u32).max(1);
    imageops::thumbnail(picture, side(width), side(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_is_where_the_map_has_it_and_nowhere_else() {
        let grey = RgbImage::from_pixel(90, 60, Rgb([128; 3]));
        let mut values = vec![0.0; 6];
        values[5] = 3.0;
        let map = Heatmap {
            height: 2,
            width: 3,
            values,
            logit: 1.0,
        };
        let seen = overlay(&grey, &map);
        assert_eq!(seen.dimensions(), (90, 60));
        assert_eq!(seen.get_pixel(2, 2), &Rgb([128; 3]));
        let Rgb([red, _, blue]) = *seen.get_pixel(85, 55);
        assert!(red > blue + 50, "{red} {blue}");

        let nothing = Heatmap {
            values: vec![0.0; 6],
            ..map.clone()
        };
        assert_eq!(overlay(&grey, &nothing), grey);
        let endless = Heatmap {
            values: vec![f32::INFINITY; 6],
            ..map
        };
        assert_eq!(overlay(&grey, &endless), grey);
    }

    #[test]
    fn long_pictures_are_shrunk_in_their_proportions() {
        assert_eq!(shrunk(&RgbImage::new(2000, 3), 500).dimensions(), (500, 1));
        assert_eq!(shrunk(&RgbImage::new(40, 30), 500).dimensions(), (40, 30));
    }
}
