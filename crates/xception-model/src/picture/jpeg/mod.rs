//! JPEG, with libjpeg-turbo's numbers, also for damaged files.
//!
//! Pillow and TensorFlow both decode with libjpeg-turbo, so weights were trained on its roundings, and data sets hold
//! damaged files that it reads with a warning. The decoders of `image` and of the older `jpeg-decoder` differ: on
//! eighteen photographs of 750 x 1000 pixels, in 1 to 26 % (by up to 5 levels) and in 4 to 12 % (by up to 3) of the
//! pixels. `libjpeg-turbo-rs` differs in none of these, but refuses some damaged files, reads others differently, and
//! reads arithmetic-coded inks of fewer pixels differently. All files but the rare lossless ones are therefore decoded
//! here, step by step as in libjpeg-turbo.
//!
//! The way through a file: [`segments`] and the [`scan`]s between them, whose [`huffman`] or [`arithmetic`] codes give
//! [`coefficients`]; [`idct`] makes [`plane`]s of samples of these, and [`colour`] pixels.

mod arithmetic;
mod block_decoder;
mod coefficients;
mod colour;
mod conditioning;
mod fault;
mod huffman;
mod idct;
mod idct_factors;
#[cfg(target_arch = "x86_64")]
mod idct_x86;
mod library;
mod plane;
mod scan;
mod segments;
mod smooth;
mod stream;

use image::{RgbImage, metadata::Orientation};

use self::{
    coefficients::Coefficients,
    fault::Fault,
    plane::{fits, transform},
    scan::{decode_one_of_many, decode_single},
    segments::{Coding, Colours, MAX_SCANS, Next, Segments},
    stream::Warnings,
};
pub(super) use self::{colour::inks_to_rgb, idct::Idct};
use super::{
    error::PictureError,
    limits::{DecodeLimits, check_size},
    orientation::orientation,
};

const FORMAT: &str = "JPEG";

/// A decoded file.
pub(super) struct Decoded {
    pub picture: RgbImage,
    pub orientation: Orientation,
    /// What is damaged, if anything.
    pub damage: Option<String>,
}

/// Decodes a file; one that ends early only if `fill` is set, and then its missing part is grey, as by Pillow with
/// `LOAD_TRUNCATED_IMAGES`.
pub(super) fn decode_jpeg(
    bytes: &[u8],
    limits: &DecodeLimits,
    idct: Idct,
    fill: bool,
) -> Result<Decoded, PictureError> {
    let decoded = match read(bytes, limits, idct, None) {
        // `JpegImagePlugin.py`, `load_read`: "Pretend file is finished adding EOI marker". libjpeg cannot wait for the
        // rest of arithmetic codes.
        Err(Fault::End) if fill && jpeg_orientation(bytes).is_some() => {
            let mut ended = bytes.to_vec();
            ended.extend([0xff, 0xd9]);
            read(&ended, limits, idct, None).map(|mut decoded| {
                let damage = decoded
                    .inner
                    .damage
                    .map_or(String::new(), |damage| format!(", {damage}"));
                decoded.inner.damage = Some(format!("the data end early{damage}"));
                decoded
            })
        }
        decoded => decoded,
    };
    let Read { inner, orientation } = decoded.map_err(problem)?;
    let picture = RgbImage::from_raw(inner.width as u32, inner.height as u32, inner.rgb);
    Ok(Decoded {
        picture: picture.ok_or_else(|| problem(Fault::Broken("the decoded size is not the size in the header")))?,
        orientation,
        damage: inner.damage,
    })
}

/// The orientation of a JPEG file with Huffman codes; `None` for other files, and for those whose header is damaged.
pub fn jpeg_orientation(bytes: &[u8]) -> Option<Orientation> {
    let mut segments = Segments::new(bytes);
    segments.read().ok()?;
    let frame = segments.frame().ok()?;
    let is_usual = frame.coding != Coding::Other && !frame.is_arithmetic;
    is_usual.then(|| orientation(segments.exif, segments.xmp))
}

/// Decodes JPEG data inside of another format, which says what their colours mean.
pub(super) fn decode_inner(
    bytes: &[u8],
    limits: &DecodeLimits,
    idct: Idct,
    colours: InnerColours,
) -> Result<Inner, PictureError> {
    let colours = match colours {
        InnerColours::Rgb => Colours::Rgb,
        InnerColours::YCbCr => Colours::YCbCr,
        InnerColours::Inks => Colours::PlainCmyk,
        InnerColours::Last => Colours::Last,
        InnerColours::Repeated => Colours::Repeated,
    };
    read(bytes, limits, idct, Some(colours))
        .map(|read| read.inner)
        .map_err(problem)
}

/// Decodes JPEG data inside of another format as a file of its own, but that four colours are inverted inks, whatever
/// the Adobe marker says.
pub(super) fn decode_with_inks(bytes: &[u8], limits: &DecodeLimits) -> Result<Inner, PictureError> {
    let mut segments = Segments::new(bytes);
    let are_inks = segments.read().is_ok() && segments.frame().is_ok_and(|frame| frame.components.len() == 4);
    read(bytes, limits, Idct::Accurate, are_inks.then_some(Colours::Cmyk))
        .map(|read| read.inner)
        .map_err(problem)
}

fn problem(fault: Fault) -> PictureError {
    let damaged = |reason: &str| PictureError::Damaged {
        format: FORMAT,
        reason: reason.to_owned(),
    };
    match fault {
        Fault::End => damaged("the data end early"),
        Fault::Broken(reason) => damaged(reason),
        Fault::Unsupported(reason) => PictureError::UnsupportedKind { format: FORMAT, reason },
        Fault::Refused(error) => error,
    }
}

/// What the samples of JPEG data in another format mean; one is grey, and one more behind grey or RGB is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InnerColours {
    Rgb,
    YCbCr,
    /// Cyan, magenta, yellow and black, not inverted.
    Inks,
    /// The last sample alone, as grey.
    Last,
    /// Three samples as they are, repeated where a colour has fewer of them than the picture.
    Repeated,
}

/// Pixels without orientation.
pub(super) struct Inner {
    pub width: usize,
    pub height: usize,
    pub rgb: Vec<u8>,
    /// What is damaged, if anything.
    pub damage: Option<String>,
}

struct Read {
    inner: Inner,
    orientation: Orientation,
}

fn read(bytes: &[u8], limits: &DecodeLimits, idct: Idct, colours: Option<Colours>) -> Result<Read, Fault> {
    let mut segments = Segments::new(bytes);
    if segments.read()? == Next::End {
        return Err(Fault::Broken("it ends before the picture"));
    }
    let orientation = orientation(segments.exif, segments.xmp);
    let frame = segments.frame()?;
    let (width, height, coding) = (frame.width, frame.height, frame.coding);
    // Pillow reads them in other formats alone.
    if colours.is_none() && frame.components.len() == 2 {
        return Err(Fault::Unsupported("it has 2 colours".to_owned()));
    }
    check_size(width as u32, height as u32, 3, limits).map_err(Fault::Refused)?;
    let (rgb, damage) = if coding == Coding::Other {
        (library::decode(bytes, limits, idct).map_err(Fault::Refused)?, None)
    } else {
        let colours = colours.unwrap_or_else(|| segments.colours());
        let rgb = decode(&mut segments, limits, idct, colours)?;
        (rgb, segments.stream.warnings.sentence())
    };
    Ok(Read {
        inner: Inner {
            width,
            height,
            rgb,
            damage,
        },
        orientation,
    })
}

/// Decodes the scans of a file whose header is read.
fn decode(segments: &mut Segments<'_>, limits: &DecodeLimits, idct: Idct, colours: Colours) -> Result<Vec<u8>, Fault> {
    let frame = segments.frame()?;
    let single = frame.coding != Coding::Progressive && segments.scan.components.len() == frame.components.len();
    let in_coefficients = !single || frame.is_arithmetic;
    if !fits(frame, in_coefficients, limits.max_bytes) {
        return Err(Fault::Refused(PictureError::TooMuchMemory {
            limit: limits.max_bytes,
        }));
    }
    let planes = if !single {
        let coefficients = decode_scans(segments)?;
        transform(segments.frame()?, &coefficients, idct)
    } else if in_coefficients {
        let mut coefficients = Coefficients::new(segments.frame()?);
        decode_one_of_many(segments, &mut coefficients)?;
        read_end(segments)?;
        transform(segments.frame()?, &coefficients, idct)
    } else {
        let planes = decode_single(segments, idct)?;
        read_end(segments)?;
        planes
    };
    colour::to_rgb(segments.frame()?, &planes, colours)
}

/// Reads what follows the only scan of a picture.
fn read_end(segments: &mut Segments<'_>) -> Result<(), Fault> {
    match segments.read() {
        Ok(Next::End) => {}
        Ok(Next::Scan) => return Err(Fault::Broken("a second scan follows the only one")),
        // Nothing is missing but the end.
        Err(Fault::End) => segments.stream.warnings.no_end = true,
        Err(fault) => return Err(fault),
    }
    Ok(())
}

fn decode_scans(segments: &mut Segments<'_>) -> Result<Coefficients, Fault> {
    let mut coefficients = Coefficients::new(segments.frame()?);
    loop {
        decode_one_of_many(segments, &mut coefficients)?;
        match segments.read() {
            Ok(Next::Scan) if segments.scans > MAX_SCANS => {
                return Err(Fault::Broken("its number of scans exceeds limit 100"));
            }
            Ok(Next::Scan) => {}
            Ok(Next::End) => return Ok(coefficients),
            // Nothing is missing but the end; libjpeg would wait for it.
            Err(Fault::End) if coefficients.are_complete() && segments.stream.warnings == Warnings::default() => {
                segments.stream.warnings.no_end = true;
                return Ok(coefficients);
            }
            Err(fault) => return Err(fault),
        }
    }
}
