//! From components to a picture, as Pillow does it (`Jpeg2KDecode.c`).

use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, RgbImage, RgbaImage};

use super::{
    super::{error::PictureError, jpeg::inks_to_rgb, warning::PictureWarning},
    boxes::{Colours, Jp2, Palette},
    codestream::{Codestream, Component},
    fault::{damaged, unsupported},
    samples::Samples,
};

pub(super) fn picture(
    stream: &Codestream,
    boxes: Option<&Jp2<'_>>,
    samples: &[Samples],
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let colours = colours(stream, boxes)?;
    let (width, height) = (stream.area.width() as u32, stream.area.height() as u32);
    let palette = boxes.and_then(|boxes| boxes.palette.as_ref());
    let picture = match (palette, samples) {
        (Some(palette), [places]) => coloured(stream, palette, &places.values, warnings),
        (None, [grey]) if stream.components[0].bits > 8 => {
            let shift = 16 - stream.components[0].bits;
            let levels = grey.values.iter().map(|&level| level << shift).collect();
            ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageLuma16)
        }
        (None, _) => {
            let mut pixels = interleaved(stream, samples, warnings);
            match colours {
                Colours::YCbCr => pixels.chunks_exact_mut(samples.len()).for_each(to_rgb),
                Colours::Inks => {
                    let inks = pixels.as_chunks::<4>().0.iter();
                    let rgb = inks.flat_map(|&[cyan, magenta, yellow, black]| {
                        inks_to_rgb([cyan, magenta, yellow].map(|ink| 255 - ink), 255 - black)
                    });
                    pixels = rgb.collect();
                }
                _ => {}
            }
            match (samples.len(), colours) {
                (1, _) => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
                (2, _) => GrayAlphaImage::from_raw(width, height, pixels).map(DynamicImage::ImageLumaA8),
                (3, _) | (4, Colours::Inks) => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
                _ => RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8),
            }
        }
        _ => None,
    };
    picture.ok_or_else(|| damaged("the decoded size is not the size in the header"))
}

/// The colours of the components.
///
/// # Errors
///
/// Colours that Pillow refuses.
fn colours(stream: &Codestream, boxes: Option<&Jp2<'_>>) -> Result<Colours, PictureError> {
    let count = stream.components.len();
    let sampled = |component: &Component| (component.across, component.down) != (1, 1);
    let named = boxes.map_or(Colours::Unnamed, |boxes| boxes.colours);
    let colours = match (named, count) {
        (Colours::Unnamed, 1 | 2) => Colours::Grey,
        (Colours::Unnamed, _) => match stream.components.iter().position(sampled) {
            Some(1 | 2) => Colours::YCbCr,
            _ => Colours::Rgb,
        },
        (named, _) => named,
    };
    let has_palette = boxes.is_some_and(|boxes| boxes.palette.is_some());
    match (colours, count, has_palette) {
        (Colours::Rgb, 1, true)
        | (Colours::Grey, 1 | 2, false)
        | (Colours::Rgb | Colours::YCbCr, 3 | 4, false)
        | (Colours::Inks, 4, false) => {}
        _ => return Err(unsupported("its colours do not fit the number of its components")),
    }
    if count < 3 && stream.components.iter().any(sampled) {
        return Err(unsupported("its transparency has another size than its levels"));
    }
    Ok(colours)
}

/// The components' bytes, pixel by pixel.
fn interleaved(stream: &Codestream, samples: &[Samples], warnings: &mut Vec<PictureWarning>) -> Vec<u8> {
    let (width, height) = (stream.area.width(), stream.area.height());
    let count = samples.len();
    let mut pixels = vec![0; width * height * count];
    let mut is_cut = false;
    for (index, (component, samples)) in stream.components.iter().zip(samples).enumerate() {
        let (byte_of, cuts) = bytes_of(component);
        is_cut |= cuts.is_some_and(|first| samples.values.iter().any(|&value| value >= first));
        let column = |x: u32| ((x / component.across).max(samples.area.left) - samples.area.left) as usize;
        for (y, row) in (stream.area.top..).zip(pixels.chunks_exact_mut(width * count)) {
            let line = (y / component.down).max(samples.area.top) - samples.area.top;
            let line = &samples.values[line as usize * samples.area.width()..][..samples.area.width()];
            let targets = row.iter_mut().skip(index).step_by(count);
            for (x, target) in (stream.area.left..).zip(targets) {
                *target = byte_of(line[column(x)]);
            }
        }
    }
    if is_cut {
        let what = "the lightest samples of more than 8 bits in JPEG 2000 files, as black";
        warnings.push(PictureWarning::Misread { what });
    }
    if is_sheared(stream) {
        let what = "colours of fewer pixels in JPEG 2000 files whose tiles do not divide evenly";
        warnings.push(PictureWarning::Misread { what });
    }
    pixels
}

/// The byte for a sample, and the smallest sample that Pillow rounds up to 256, which it takes for 0.
fn bytes_of(component: &Component) -> (impl Fn(u16) -> u8 + use<>, Option<u16>) {
    let bits = component.bits;
    let byte_of = move |value: u16| match bits.checked_sub(8) {
        None | Some(0) => (value << (8 - bits)) as u8,
        Some(further) => ((u32::from(value) + (1 << (further - 1))) >> further).min(255) as u8,
    };
    let cuts = (bits > 8).then(|| (255 << (bits - 8)) + (1 << (bits - 9)));
    (byte_of, cuts)
}

/// Whether Pillow mistakes the length of a component's rows, or where a tile's first sample lies.
fn is_sheared(stream: &Codestream) -> bool {
    let components = stream.components.iter();
    let mut sampled = components.filter(|component| (component.across, component.down) != (1, 1));
    sampled.any(|component| {
        stream.tiles.iter().any(|tile| {
            !tile.left.is_multiple_of(component.across)
                || !tile.top.is_multiple_of(component.down)
                || !tile.right.is_multiple_of(component.across)
                || !tile.bottom.is_multiple_of(component.down)
        })
    })
}

/// The colours of a palette. Pillow shifts places of fewer than eight bits, and passes over colours that stand there
/// for the second time.
fn coloured(
    stream: &Codestream,
    palette: &Palette,
    places: &[u16],
    warnings: &mut Vec<PictureWarning>,
) -> Option<DynamicImage> {
    let (width, height) = (stream.area.width() as u32, stream.area.height() as u32);
    let entries: Vec<_> = palette.entries.chunks_exact(palette.channels).collect();
    let mut sorted = entries.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if stream.components[0].bits != 8 || sorted.len() != entries.len() {
        let what = "JPEG 2000 files with a palette of other than 256 different colours";
        warnings.push(PictureWarning::Misread { what });
    }
    let black = [0, 0, 0, 255];
    let colours = places.iter().flat_map(|&place| {
        let colour = entries.get(usize::from(place)).copied();
        colour.unwrap_or(&black[..palette.channels])
    });
    let colours = colours.copied().collect();
    match palette.channels {
        3 => RgbImage::from_raw(width, height, colours).map(DynamicImage::ImageRgb8),
        _ => RgbaImage::from_raw(width, height, colours).map(DynamicImage::ImageRgba8),
    }
}

/// YCbCr to RGB with the fractions of Pillow's `ConvertYCbCr.c`, whose tables round towards zero after a half is added.
fn to_rgb(pixel: &mut [u8]) {
    let share = |level: u8, factor: f64| ((f64::from(level) - 128.0) * 64.0 * factor + 0.5) as i32;
    let (y, cb, cr) = (i32::from(pixel[0]), pixel[1], pixel[2]);
    let red = y + (share(cr, 1.402) >> 6);
    let green = y + ((share(cb, -0.344_14) + share(cr, -0.714_14)) >> 6);
    let blue = y + (share(cb, 1.772) >> 6);
    for (target, colour) in pixel.iter_mut().zip([red, green, blue]) {
        *target = colour.clamp(0, 255) as u8;
    }
}
