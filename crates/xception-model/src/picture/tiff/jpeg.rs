//! JPEG data in a TIFF file, by our own decoder, since others differ from libjpeg.

use image::{DynamicImage, Rgb, RgbImage};

use super::{
    super::{
        error::PictureError,
        flatten::flatten,
        jpeg::{Idct, Inner, InnerColours, decode_inner},
        limits::DecodeLimits,
        options::DecodeOptions,
        warning::PictureWarning,
    },
    chunks::Place,
    directory::tag,
    fault::{FORMAT, damaged, unsupported},
    header::{Alpha, Kind},
    samples::{File, divided},
    ycbcr::to_rgb,
};

/// Pixels by which a part may exceed twice its place.
const MORE_PIXELS: u64 = 1 << 16;

pub(super) fn decode_jpeg_parts(
    file: &File<'_>,
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<RgbImage, PictureError> {
    let header = &file.header;
    let colours = match header.kind {
        Kind::YCbCr => InnerColours::YCbCr,
        Kind::Inks => InnerColours::Inks,
        Kind::Grey { .. } | Kind::Rgb => InnerColours::Rgb,
        _ => return Err(unsupported("its JPEG data are not grey, RGB, YCbCr or CMYK".into())),
    };
    // JPEG data have at most four samples for a pixel.
    let count = header.kind.colours(header.samples as u64) as usize;
    let is_one_more = matches!(header.kind, Kind::Grey { .. } | Kind::Rgb) && header.samples == count + 1;
    if header.bits != 8 || header.samples != count && !is_one_more && !header.is_planar {
        return Err(unsupported(
            "its JPEG data have additional samples or more than 8 bits".into(),
        ));
    }
    if header.is_planar {
        warnings.extend(file.pillows_error().map(|what| PictureWarning::Misread { what }));
        let picture = match header.kind {
            Kind::Grey { inverted } => file.grey(inverted, planes(file, options, warnings)?),
            Kind::Rgb => file.bytes_of_colours(planes(file, options, warnings)?),
            Kind::Inks => file.inks(&planes(file, options, warnings)?),
            // libtiff reads no others.
            Kind::YCbCr if file.directory.numbers(tag::SUBSAMPLING).as_deref() == Some(&[1, 1]) => {
                let mut damage = Vec::new();
                let rgb = to_rgb(&file.directory, &planes(file, options, &mut damage)?);
                // libtiff leaves out what it cannot read, without a word.
                if !damage.is_empty() {
                    return Err(damaged("its JPEG data are damaged"));
                }
                file.picture(rgb, DynamicImage::ImageRgb8)
            }
            _ => return Err(unsupported("its JPEG data are planes of YCbCr of fewer pixels".into())),
        }?;
        return flatten(picture, options.reading, warnings).ok_or_else(|| damaged("the data end early"));
    }
    let mut picture = decode(file, colours, options, warnings)?;
    if header.kind == (Kind::Grey { inverted: true }) {
        picture.iter_mut().for_each(|level| *level = 255 - *level);
    }
    if header.alpha == Alpha::Opaque {
        return Ok(picture);
    }
    let alpha = decode(file, InnerColours::Last, options, &mut Vec::new())?;
    let pixels = picture.pixels().zip(alpha.pixels());
    let rgba = pixels.flat_map(|(&Rgb(colours), &Rgb([alpha, ..]))| {
        let [red, green, blue] = match header.alpha {
            Alpha::Premultiplied => colours.map(|colour| divided(colour, alpha)),
            _ => colours,
        };
        [red, green, blue, alpha]
    });
    let picture = file.picture(rgba.collect(), DynamicImage::ImageRgba8)?;
    flatten(picture, options.reading, warnings).ok_or_else(|| damaged("the data end early"))
}

/// All parts, put together.
fn decode(
    file: &File<'_>,
    colours: InnerColours,
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<RgbImage, PictureError> {
    let mut picture = RgbImage::new(file.header.width, file.header.height);
    for place in file.chunks.places(&file.header, 1) {
        let inner = part(file, place, colours, options, warnings)?;
        paste(&mut picture, &inner, place.x as usize, place.y as usize);
    }
    Ok(picture)
}

/// The samples of all planes, pixel by pixel.
fn planes(
    file: &File<'_>,
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<Vec<u8>, PictureError> {
    let (width, kept) = (file.header.width as usize, file.header.kept());
    let mut samples = vec![0; width * file.header.height as usize * kept];
    for place in file.chunks.places(&file.header, kept) {
        let inner = part(file, place, InnerColours::Rgb, options, warnings)?;
        for row in 0..place.rows {
            let start = ((place.y as usize + row) * width + place.x as usize) * kept;
            let to = samples[start..].chunks_exact_mut(kept).take(place.columns);
            let from = inner.rgb[row * inner.width * 3..].as_chunks::<3>().0;
            for (to, from) in to.zip(from) {
                to[place.plane] = from[0];
            }
        }
    }
    Ok(samples)
}

/// A part, decoded; it is not smaller than its place.
fn part(
    file: &File<'_>,
    place: Place,
    colours: InnerColours,
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<Inner, PictureError> {
    // A part may be somewhat larger than its place, but many large ones would take long.
    let part_pixels = u64::from(file.chunks.width) * u64::from(file.chunks.height);
    let limits = DecodeLimits {
        max_pixels: options.limits.max_pixels.min(2 * part_pixels + MORE_PIXELS),
        ..options.limits
    };
    let tables = file.directory.bytes(tag::JPEG_TABLES).unwrap_or_default();
    let part = file.chunks.bytes(place)?;
    // The tables come without a picture, the parts without tables, each between its own start and end.
    let joined = match (tables.strip_suffix(b"\xff\xd9"), part.strip_prefix(b"\xff\xd8")) {
        (Some(tables), Some(part)) => [tables, part].concat(),
        _ => part.to_vec(),
    };
    let inner = decode_inner(&joined, &limits, Idct::Accurate, colours)?;
    if inner.width < place.columns || inner.height < place.rows {
        return Err(damaged("a part is smaller than its place"));
    }
    let damage = inner
        .damage
        .clone()
        .map(|reason| PictureWarning::Damaged { format: FORMAT, reason });
    warnings.extend(damage);
    Ok(inner)
}

/// Copies what of a part lies within the picture.
fn paste(picture: &mut RgbImage, part: &Inner, column: usize, row: usize) {
    let stride = picture.width() as usize * 3;
    let width = part.width.min(picture.width() as usize - column);
    let rows = picture.chunks_exact_mut(stride).skip(row);
    for (to, from) in rows.zip(part.rgb.chunks_exact(part.width * 3)) {
        to[column * 3..][..width * 3].copy_from_slice(&from[..width * 3]);
    }
}
