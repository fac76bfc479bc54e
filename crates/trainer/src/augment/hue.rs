//! A rotation of the colour circle, as torchvision does it on Pillow's HSV pictures.

use image::RgbImage;

/// Adds `share` of a full circle, -0.5 to 0.5, to every pixel's hue: torchvision's `adjust_hue`
/// (`_functional_pil.py`), which goes through `Image.convert("HSV")` and so through 8-bit hues.
pub fn hue(picture: &mut RgbImage, share: f64) {
    let turn = (share * 255.0) as i32 as u8;
    for pixel in picture.pixels_mut() {
        let [hue, saturation, value] = to_hsv(pixel.0);
        pixel.0 = to_rgb([hue.wrapping_add(turn), saturation, value]);
    }
}

/// `Convert.c`, `rgb2hsv_row`, with its mixture of single and double precision.
fn to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let max = red.max(green).max(blue);
    let min = red.min(green).min(blue);
    if max == min {
        return [0, 0, max];
    }
    let range = f32::from(max - min);
    let saturation = range / f32::from(max);
    let [r, g, b] = [red, green, blue].map(|level| f32::from(max - level) / range);
    let sixths = if red == max {
        b - g
    } else if green == max {
        (2.0 + f64::from(r) - f64::from(b)) as f32
    } else {
        (4.0 + f64::from(g) - f64::from(r)) as f32
    };
    let hue = ((f64::from(sixths) / 6.0 + 1.0) % 1.0) as f32;
    [
        (f64::from(hue) * 255.0) as u8,
        (f64::from(saturation) * 255.0) as u8,
        max,
    ]
}

/// `Convert.c`, `hsv2rgb`, with its mixture of single and double precision.
fn to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let sixths = f64::from(hue) * 6.0 / 255.0;
    let sector = sixths.floor();
    let rest = (sixths - sector) as f32;
    let saturation = (f64::from(saturation) / 255.0) as f32;
    let level = |less: f64| (f64::from(value) * (1.0 - less)).round() as u8;
    let (p, q, t) = (
        level(saturation.into()),
        level((saturation * rest).into()),
        level(f64::from(saturation) * (1.0 - f64::from(rest))),
    );
    match sector as u8 % 6 {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}
