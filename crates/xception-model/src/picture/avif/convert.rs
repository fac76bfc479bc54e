//! The picture that planes make, in the way that libavif chooses for Pillow (`avifImageYUVToRGB` of `reformat.c`).

use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};

use super::{
    super::error::PictureError,
    fault::{damaged, unsupported},
    fixed::{self, Factors},
    floating::{Conversion, Sums},
    planes::{Plane, Planes},
    properties::Colours,
    stream::Layout,
};

/// Grey, RGB or RGBA of 8 bits.
pub(super) fn picture(planes: &Planes, colours: Colours, is_premultiplied: bool) -> Result<DynamicImage, PictureError> {
    let (width, height) = (planes.width, planes.height);
    let wrong_size = || damaged("its planes have impossible sizes");
    let conversion = Conversion::of(colours, planes.depth, planes.layout).ok_or_else(|| {
        unsupported(format!(
            "its colours have the matrix {}, which Pillow refuses",
            colours.matrix
        ))
    })?;
    let is_grey = planes.layout == Layout::Grey;
    let factors = Factors::of(colours, is_grey);
    let Some(alpha) = &planes.alpha else {
        if is_grey {
            let rgb = conversion.convert(planes, None);
            let grey = rgb.into_iter().step_by(3).collect();
            return GrayImage::from_raw(width, height, grey)
                .map(Into::into)
                .ok_or_else(wrong_size);
        }
        let rgb = match factors {
            Some(factors) => fixed::rgb(planes, factors),
            None => conversion.convert(planes, None),
        };
        return RgbImage::from_raw(width, height, rgb)
            .map(Into::into)
            .ok_or_else(wrong_size);
    };
    let is_cut = factors.is_some() && !is_grey && !(planes.depth == 12 && planes.layout == Layout::Halved);
    let levels = alpha_levels(alpha, planes.depth, is_cut);
    let rgb = match factors {
        Some(factors) => {
            let mut rgb = fixed::rgb(planes, factors);
            if is_premultiplied {
                fixed::unpremultiply(&mut rgb, &levels);
            }
            rgb
        }
        // libavif's plain loop divides by itself, its quick ones leave it to libyuv.
        None if is_quick(planes, &conversion, colours) => {
            let mut rgb = conversion.convert(planes, None);
            if is_premultiplied {
                fixed::unpremultiply(&mut rgb, &levels);
            }
            rgb
        }
        None => conversion.convert(planes, is_premultiplied.then_some(alpha)),
    };
    let rgba = rgb.as_chunks().0.iter().zip(&levels);
    let rgba = rgba
        .flat_map(|(&[red, green, blue], &alpha)| [red, green, blue, alpha])
        .collect();
    RgbaImage::from_raw(width, height, rgba)
        .map(Into::into)
        .ok_or_else(wrong_size)
}

/// Whether libavif has a loop for this alone.
fn is_quick(planes: &Planes, conversion: &Conversion, colours: Colours) -> bool {
    match (conversion.sums, planes.layout) {
        (Sums::Identity, Layout::Whole) => planes.depth == 8 && colours.is_full_range,
        (Sums::YCbCr, Layout::Whole | Layout::Grey) => true,
        _ => false,
    }
}

/// Transparency of 8 bits. libyuv cuts the lower bits off; libavif rounds (`avifReformatAlpha`).
fn alpha_levels(alpha: &Plane, depth: u8, is_cut: bool) -> Vec<u8> {
    let largest = f32::from(u16::MAX >> (16 - depth));
    let mut levels = Vec::with_capacity(alpha.width * alpha.height);
    let mut row = Vec::new();
    for y in 0..alpha.height {
        alpha.row(y, &mut row);
        levels.extend(row.iter().map(|&sample| match depth {
            8 => sample as u8,
            _ if is_cut => (sample >> (depth - 8)).min(255) as u8,
            _ => (0.5 + f32::from(sample) / largest * 255.0) as u8,
        }));
    }
    levels
}
