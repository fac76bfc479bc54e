use image::RgbImage;
use xception_model::Scaling;

/// Writes a picture as `[3, height, width]`, scaled, by the arithmetic of `Pixels::to_nchw`.
pub(crate) fn write_planes(picture: &RgbImage, scaling: Scaling, planes: &mut [f32]) {
    let pixels = picture.pixels().map(|pixel| pixel.0.map(f32::from));
    write_pixels(pixels, scaling, planes);
}

/// Writes pixels of 0 to 255 as planes.
pub(crate) fn write_pixels(pixels: impl Iterator<Item = [f32; 3]>, scaling: Scaling, planes: &mut [f32]) {
    let plane_len = planes.len() / 3;
    for (at, rgb) in pixels.take(plane_len).enumerate() {
        for (channel, value) in scaling.apply(rgb).into_iter().enumerate() {
            planes[channel * plane_len + at] = value;
        }
    }
}
