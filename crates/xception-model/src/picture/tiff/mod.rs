//! TIFF, with the numbers of Pillow and the libtiff in it.
//!
//! The readers of `image` and `tiff` refuse, or read to other pixels, much that Pillow reads: levels of two and four
//! bits, palettes, inks, premultiplied colours, planes in tiles, bits in reverse order, fax compression, and numbers
//! without a fixed range. The way through a file: the [`directory`] of its tags, of which the [`header`] makes sense;
//! the [`chunks`] of its pixels behind their [`compression`]; and the colours of the [`samples`].

mod chunk;
mod chunks;
mod compression;
mod directory;
mod fault;
mod fax;
mod header;
mod jpeg;
mod lab;
mod old_jpeg;
mod samples;
mod ycbcr;

use image::{RgbImage, metadata::Orientation};

use self::{
    chunks::Chunks,
    directory::{Directory, tag},
    fault::{FORMAT, damaged, unsupported},
    header::{Header, JPEG, Kind, NONE, OLD_JPEG},
    jpeg::decode_jpeg_parts,
    old_jpeg::decode_old_jpeg,
    samples::File,
    ycbcr::decode_ycbcr,
};
pub(super) use self::{lab::to_rgb as lab_to_rgb, samples::to_levels};
use super::{
    error::PictureError, flatten::flatten, limits::check_size, options::DecodeOptions, orientation::orientation,
    warning::PictureWarning,
};

/// Pixels before orientation, and the orientation.
pub(super) fn decode_tiff(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<(RgbImage, Orientation), PictureError> {
    let directory = Directory::read(bytes).map_err(damaged)?;
    let header = Header::read(&directory).map_err(unsupported)?;
    // libtiff reads over some of this damage too, but otherwise than Pillow.
    let is_disputed = directory.is_disputed && header.compression != NONE;
    if let Some(reason) = directory.damage.filter(|_| is_disputed) {
        return Err(damaged(reason));
    }
    let sample_bytes = match header.kind {
        // Numbers without a range are kept in 64 bits until their range is known.
        Kind::Integer { .. } | Kind::Float { .. } => size_of::<f64>(),
        _ => header.bits.div_ceil(8) * header.kept(),
    };
    check_size(header.width, header.height, sample_bytes as u8, &options.limits)?;
    let orientation = match directory.number(tag::ORIENTATION) {
        Some(number) => u8::try_from(number).ok().and_then(Orientation::from_exif),
        None => Some(orientation(None, directory.bytes(tag::XMP))),
    };
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    if header.compression == OLD_JPEG {
        let picture = decode_old_jpeg(bytes, &directory, &header, options)?;
        return Ok((picture, orientation));
    }
    let chunks = Chunks::new(bytes, &directory, &header, options)?;
    warnings.extend(
        directory
            .damage
            .or(chunks.damage)
            .map(|reason| PictureWarning::Damaged {
                format: FORMAT,
                reason: reason.to_owned(),
            }),
    );
    let file = File {
        directory,
        header,
        chunks,
    };
    let picture = match (file.header.compression, file.header.kind) {
        (JPEG, _) => decode_jpeg_parts(&file, options, warnings)?,
        (_, Kind::YCbCr) if file.header.samples >= 3 => decode_ycbcr(&file, warnings)?,
        _ => {
            let picture = file.decode(options, warnings)?;
            flatten(picture, options.reading, warnings).ok_or_else(|| damaged("its samples have an unknown type"))?
        }
    };
    Ok((picture, orientation))
}
