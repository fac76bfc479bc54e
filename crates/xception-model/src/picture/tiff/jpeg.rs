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
    directory::tag,
    fault::{FORMAT, damaged, unsupported},
    header::{Alpha, Kind},
    samples::{File, divided},
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
    if header.bits != 8 || header.samples != count && (!is_one_more || header.is_planar) {
        return Err(unsupported(
            "its JPEG data have additional samples or more than 8 bits".into(),
        ));
    }
    if header.is_planar && header.kind != Kind::Rgb {
        return Err(unsupported("its JPEG data are planes of other colours than RGB".into()));
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
    let header = &file.header;
    let planes = if header.is_planar { header.kept() } else { 1 };
    let tables = file.directory.bytes(tag::JPEG_TABLES).unwrap_or_default();
    let mut picture = RgbImage::new(header.width, header.height);
    // A part may be somewhat larger than its place, but many large ones would take long.
    let part_pixels = u64::from(file.chunks.width) * u64::from(file.chunks.height);
    let limits = DecodeLimits {
        max_pixels: options.limits.max_pixels.min(2 * part_pixels + MORE_PIXELS),
        ..options.limits
    };
    for place in file.chunks.places(header, planes) {
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
        let plane = header.is_planar.then_some(place.plane);
        paste(&mut picture, &inner, place.x as usize, place.y as usize, plane);
        let damage = inner
            .damage
            .map(|reason| PictureWarning::Damaged { format: FORMAT, reason });
        warnings.extend(damage);
    }
    Ok(picture)
}

/// Copies what of a part lies within the picture; the part of a plane, to one of the colours.
fn paste(picture: &mut RgbImage, part: &Inner, column: usize, row: usize, plane: Option<usize>) {
    let stride = picture.width() as usize * 3;
    let width = part.width.min(picture.width() as usize - column);
    let rows = picture.chunks_exact_mut(stride).skip(row);
    for (to, from) in rows.zip(part.rgb.chunks_exact(part.width * 3)) {
        let to = to[column * 3..][..width * 3].as_chunks_mut().0;
        for (to, from) in to.iter_mut().zip(from.as_chunks::<3>().0) {
            match plane {
                Some(plane) => to[plane] = from[plane],
                None => *to = *from,
            }
        }
    }
}
