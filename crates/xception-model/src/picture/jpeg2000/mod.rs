//! JPEG 2000, with the numbers of `OpenJPEG` as Pillow uses it (`Jpeg2KDecode.c`, `Jpeg2KImagePlugin.py`).
//!
//! The crate `hayro-jpeg2000` decodes; its floating-point sums are not `OpenJPEG`'s, so the [`codestream`] it is given
//! makes it hand out coefficients, from which the [`samples`] are computed here with `OpenJPEG`'s sums. The [`boxes`]
//! around a codestream name the colours.

mod boxes;
mod codestream;
mod colours;
mod fault;
mod reader;
mod samples;
mod wavelet;

use hayro_jpeg2000::{ComponentData, DecodeSettings, DecoderContext, Image};
use image::{RgbImage, metadata::Orientation};

use self::{
    boxes::Jp2,
    codestream::Codestream,
    colours::picture,
    fault::{damaged, unsupported},
    samples::{Samples, samples},
};
use super::{
    error::PictureError, flatten::flatten, limits::check_size, options::DecodeOptions, warning::PictureWarning,
};

/// The pixels; Pillow finds no orientation in these files.
pub(super) fn decode_jpeg2000(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<(RgbImage, Orientation), PictureError> {
    let (codestream, boxes) = if bytes.starts_with(b"\xff\x4f") {
        (bytes, None)
    } else {
        let boxes = Jp2::read(bytes)?;
        (boxes.codestream, Some(boxes))
    };
    let stream = Codestream::read(codestream)?;
    check(&stream, boxes.as_ref(), options)?;
    let samples = decode(&stream)?;
    let picture = picture(&stream, boxes.as_ref(), &samples, warnings)?;
    drop(samples);
    let picture = flatten(picture, options.reading, warnings);
    let picture = picture.ok_or_else(|| damaged("its samples have an unknown type"))?;
    Ok((picture, Orientation::NoTransforms))
}

fn check(stream: &Codestream, boxes: Option<&Jp2<'_>>, options: &DecodeOptions) -> Result<(), PictureError> {
    let (width, height) = (stream.area.width() as u32, stream.area.height() as u32);
    check_size(width, height, stream.working_bytes(), &options.limits)?;
    let pixels = u64::from(width) * u64::from(height);
    if stream.block_bytes() + pixels * u64::from(stream.working_bytes()) > options.limits.max_bytes {
        return Err(PictureError::TooMuchMemory {
            limit: options.limits.max_bytes,
        });
    }
    if let Some(boxes) = boxes
        && (boxes.width, boxes.height, usize::from(boxes.components)) != (width, height, stream.components.len())
    {
        return Err(damaged("its header and its codestream have different sizes"));
    }
    // OpenJPEG and the decoder place samples differently if no component has one for each pixel.
    if stream
        .components
        .iter()
        .all(|component| (component.across, component.down) != (1, 1))
    {
        return Err(unsupported("no component has a sample for each pixel"));
    }
    Ok(())
}

/// The samples of all components.
fn decode(stream: &Codestream) -> Result<Vec<Samples>, PictureError> {
    let settings = DecodeSettings {
        resolve_palette_indices: false,
        strict: true,
        target_resolution: None,
    };
    let file = boxed(&stream.plain);
    let image = Image::new(&file, &settings).map_err(damaged)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(damaged)?;
    let planes: Vec<_> = decoded.components().iter().map(ComponentData::samples).collect();
    let pixels = stream.area.width() * stream.area.height();
    if planes.len() != stream.components.len() || planes.iter().any(|plane| plane.len() != pixels) {
        return Err(damaged("its components have other sizes than announced"));
    }
    samples(stream, &planes)
}

/// A file around a codestream that names its colours RGB. The decoder leaves RGB as it is, and may
/// take the colours of a codestream without a file around it for YCbCr.
fn boxed(codestream: &[u8]) -> Vec<u8> {
    const BEFORE: &[u8] = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 \
        \0\0\0\x17jp2h\0\0\0\x0fcolr\x01\0\0\0\0\0\x10\0\0\0\0jp2c";

    [BEFORE, codestream].concat()
}
