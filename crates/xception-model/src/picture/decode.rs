//! Decodes a file's bytes to an upright RGB picture.

use std::{
    fs::File,
    io::{Cursor, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use files::Kind;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage, error::UnsupportedErrorKind,
    metadata::Orientation,
};

use super::{
    avif::decode_avif,
    blp::decode_blp,
    bmp::{decode_bmp, decode_dib},
    dds::decode_dds,
    error::PictureError,
    fits::decode_fits,
    flatten::flatten,
    fli::decode_fli,
    formats::{FileKind, HEAD_BYTES, PictureFormat},
    ftex::decode_ftex,
    gbr::decode_gbr,
    gif::decode_gif,
    icns::{Icns, check_sides, decode_icns},
    ico::{decode_cur, decode_ico},
    icon::Icon,
    im::decode_im,
    imt::decode_imt,
    jpeg::{Idct, decode_jpeg},
    jpeg2000::decode_jpeg2000,
    limits::{DecodeLimits, check_size},
    mcidas::decode_mcidas,
    msp::decode_msp,
    options::DecodeOptions,
    pcd::decode_pcd,
    pcx::{decode_dcx, decode_pcx},
    pixar::decode_pixar,
    png::{self, decode_damaged, decode_intact, ends_within_chunk, essentials, palette_fault},
    pnm::decode_pnm,
    psd::decode_psd,
    qoi::decode_qoi,
    sgi::decode_sgi,
    short_png::{decode_short, has_broken_end},
    spider::decode_spider,
    sun::decode_sun,
    tga::decode_tga,
    tiff::decode_tiff,
    warning::PictureWarning,
    webp::{first_frame, orientation_of, without_promises},
    xbm::decode_xbm,
    xpm::decode_xpm,
    xvthumb::decode_xvthumb,
};
use crate::reading::{OrientationMode, SixteenBitMode, TruncatedMode};

/// Decodes a picture file of any [`PictureFormat`] to RGB, turned upright by its EXIF orientation.
///
/// The numbers are those of Pillow's `convert("RGB")`, for damaged files too, with three deliberate exceptions. Each
/// has a switch in [`Reading`](super::Reading): pictures are turned upright (`PIL.ImageOps.exif_transpose`);
/// transparency is laid on white, where `convert` shows the colour stored under it; and 16-bit grey keeps its upper
/// byte, where `convert` turns all but the darkest levels white.
///
/// An animation gives its first frame, a TIFF its first page, an icon its largest picture. Colour profiles are ignored,
/// as in Keras.
///
/// `options` are [`DecodeOptions`], or [`DecodeLimits`](super::DecodeLimits) or a [`Reading`](super::Reading) alone.
/// Warnings are dropped; [`decode_with_warnings`] returns them.
///
/// # Errors
///
/// One sentence for content that is no picture, has another format, is damaged, is of a kind that is not read, or
/// exceeds the limits.
pub fn decode(bytes: &[u8], options: impl Into<DecodeOptions>) -> Result<RgbImage, PictureError> {
    decode_with(bytes, &options.into(), Idct::Accurate).map(|decoded| decoded.picture)
}

/// [`decode`] with the warnings.
///
/// # Errors
///
/// Those of [`decode`].
pub fn decode_with_warnings(bytes: &[u8], options: impl Into<DecodeOptions>) -> Result<Decoded, PictureError> {
    decode_with(bytes, &options.into(), Idct::Accurate)
}

/// Reads and decodes a picture file, as [`decode`] does.
///
/// # Errors
///
/// [`PictureError::File`], which names the file, around one of [`decode`]'s or the operating system's.
pub fn open(path: impl AsRef<Path>, options: impl Into<DecodeOptions>) -> Result<RgbImage, PictureError> {
    open_with(path.as_ref(), &options.into(), Idct::Accurate).map(|decoded| decoded.picture)
}

/// [`open`] with the warnings.
///
/// # Errors
///
/// Those of [`open`].
pub fn open_with_warnings(path: impl AsRef<Path>, options: impl Into<DecodeOptions>) -> Result<Decoded, PictureError> {
    open_with(path.as_ref(), &options.into(), Idct::Accurate)
}

/// A picture, and the warnings about its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The pixels, upright.
    pub picture: RgbImage,
    /// Facts about the file that make the picture doubtful.
    pub warnings: Vec<PictureWarning>,
}

pub(super) fn open_with(path: &Path, options: &DecodeOptions, idct: Idct) -> Result<Decoded, PictureError> {
    read(path, &options.limits)
        .and_then(|bytes| decode_with(&bytes, options, idct))
        .map_err(|problem| PictureError::File {
            path: path.to_owned(),
            problem: Box::new(problem),
        })
}

/// The file's bytes. Bounded while reading too: a pipe or a device does not tell its length beforehand.
fn read(path: &Path, limits: &DecodeLimits) -> Result<Vec<u8>, PictureError> {
    // Opening a pipe without a writer blocks for ever.
    if Kind::of(path).map_err(PictureError::Read)? == Kind::Pipe {
        return Err(PictureError::Read(std::io::Error::other(
            "it is a pipe: give it on standard input, as the picture -",
        )));
    }
    let file = File::open(path).map_err(PictureError::Read)?;
    let metadata = file.metadata().map_err(PictureError::Read)?;
    if metadata.is_dir() {
        return Err(PictureError::Folder);
    }
    let limit = limits.max_file_bytes;
    let too_large = PictureError::FileTooLarge { limit };
    if metadata.len() > limit {
        return Err(too_large);
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(PictureError::Read)?;
    if bytes.len() as u64 > limit {
        Err(too_large)
    } else {
        Ok(bytes)
    }
}

pub(super) fn decode_with(bytes: &[u8], options: &DecodeOptions, idct: Idct) -> Result<Decoded, PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    let format = match FileKind::of(&bytes[..bytes.len().min(HEAD_BYTES)]) {
        FileKind::Picture(format) => format,
        FileKind::Other(format) => return Err(PictureError::OtherFormat(format)),
        FileKind::Unknown => return Err(PictureError::NotAPicture),
    };
    // If the decoder panics on a broken file, the other pictures must survive. Nothing of the decoder is used after a
    // panic.
    let read = || {
        let mut warnings = Vec::new();
        decode_format(bytes, format, options, idct, &mut warnings).map(|read| (read, warnings))
    };
    let ((picture, orientation), warnings) = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(PictureError::Damaged {
            format: format.name(),
            reason: "the decoder failed on it".to_owned(),
        })
    })?;
    // Pillow turns TIFF files by itself.
    let is_stored = options.reading.orientation == OrientationMode::Stored && format != PictureFormat::Tiff;
    let picture = if orientation == Orientation::NoTransforms || is_stored {
        picture
    } else {
        let mut picture = DynamicImage::ImageRgb8(picture);
        picture.apply_orientation(orientation);
        picture.into_rgb8()
    };
    Ok(Decoded { picture, warnings })
}

/// Pixels before orientation, and the orientation.
fn decode_format(
    bytes: &[u8],
    format: PictureFormat,
    options: &DecodeOptions,
    idct: Idct,
    warnings: &mut Vec<PictureWarning>,
) -> Result<(RgbImage, Orientation), PictureError> {
    match format {
        PictureFormat::Jpeg => {
            let fill = options.reading.truncated == TruncatedMode::Fill;
            let decoded = decode_jpeg(bytes, &options.limits, idct, fill)?;
            let format = format.name();
            warnings.extend(decoded.damage.map(|reason| PictureWarning::Damaged { format, reason }));
            Ok((decoded.picture, decoded.orientation))
        }
        PictureFormat::Png => decode_png(bytes, options, warnings),
        PictureFormat::WebP => {
            check_riff_length(bytes)?;
            let honest = without_promises(bytes);
            decode_other(honest.as_deref().unwrap_or(bytes), ImageFormat::WebP, options, warnings)
        }
        PictureFormat::Gif => {
            let picture = decode_gif(bytes, options, warnings)?;
            let picture = flatten(picture, options.reading, warnings).ok_or_else(floating_point)?;
            Ok((picture, Orientation::NoTransforms))
        }
        PictureFormat::Bmp => match decode_bmp(bytes, options, warnings) {
            Some(picture) => {
                let picture = flatten(picture?, options.reading, warnings).ok_or_else(floating_point)?;
                Ok((picture, Orientation::NoTransforms))
            }
            None => decode_other(bytes, ImageFormat::Bmp, options, warnings),
        },
        PictureFormat::Tiff => decode_tiff(bytes, options, warnings),
        PictureFormat::Jpeg2000 => decode_jpeg2000(bytes, options, warnings),
        PictureFormat::Avif => decode_avif(bytes, options, warnings),
        PictureFormat::Ico => decode_icon(decode_ico(bytes, &options.limits)?, options, warnings),
        PictureFormat::Icns => {
            let Icns { icon, sides } = decode_icns(bytes, &options.limits)?;
            let (picture, orientation) = decode_icon(icon, options, warnings)?;
            check_sides(&sides, picture.dimensions())?;
            Ok((picture, orientation))
        }
        _ => {
            let picture = decode_rare(bytes, format, options, warnings)?;
            decode_icon(Icon::Picture(picture), options, warnings)
        }
    }
}

/// Decodes the formats with a small reader of their own.
fn decode_rare(
    bytes: &[u8],
    format: PictureFormat,
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let limits = &options.limits;
    match format {
        PictureFormat::Dib => decode_dib(bytes, options, warnings),
        PictureFormat::Cur => decode_cur(bytes, limits),
        PictureFormat::Pnm => decode_pnm(bytes, options, warnings),
        PictureFormat::Tga => decode_tga(bytes, limits),
        PictureFormat::Qoi => decode_qoi(bytes, limits),
        PictureFormat::Pcx => decode_pcx(bytes, limits),
        PictureFormat::Sgi => decode_sgi(bytes, limits),
        PictureFormat::Sun => decode_sun(bytes, limits),
        PictureFormat::Psd => decode_psd(bytes, limits, warnings),
        PictureFormat::Xbm => decode_xbm(bytes, limits, warnings),
        PictureFormat::Xpm => decode_xpm(bytes, limits),
        PictureFormat::Dds => decode_dds(bytes, limits),
        PictureFormat::Blp => decode_blp(bytes, limits, warnings),
        PictureFormat::Ftex => decode_ftex(bytes, limits),
        PictureFormat::Fits => decode_fits(bytes, options, warnings),
        PictureFormat::Fli => decode_fli(bytes, limits),
        PictureFormat::Dcx => decode_dcx(bytes, limits, warnings),
        PictureFormat::Im => decode_im(bytes, options, warnings),
        PictureFormat::Msp => decode_msp(bytes, limits),
        PictureFormat::Pcd => decode_pcd(bytes, limits),
        PictureFormat::Spider => decode_spider(bytes, options, warnings),
        PictureFormat::Pixar => decode_pixar(bytes, limits),
        PictureFormat::XvThumb => decode_xvthumb(bytes, limits),
        PictureFormat::Gbr => decode_gbr(bytes, limits),
        PictureFormat::Imt => decode_imt(bytes, limits),
        PictureFormat::McIdas => decode_mcidas(bytes, options, warnings),
        _ => Err(PictureError::NotAPicture),
    }
}

/// An icon, which is not turned.
fn decode_icon(
    icon: Icon<'_>,
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<(RgbImage, Orientation), PictureError> {
    let picture = match icon {
        Icon::Png(file) => decode_png(file, options, warnings)?.0,
        Icon::Jpeg2000(file) => decode_jpeg2000(file, options, warnings)?.0,
        Icon::Picture(picture) => flatten(picture, options.reading, warnings).ok_or_else(floating_point)?,
    };
    Ok((picture, Orientation::NoTransforms))
}

/// Decodes a PNG file, which may be damaged.
fn decode_png(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<(RgbImage, Orientation), PictureError> {
    if ends_within_chunk(bytes) {
        return Err(PictureError::Damaged {
            format: "PNG",
            reason: "the file ends within a chunk behind the pixels".to_owned(),
        });
    }
    let fault = palette_fault(bytes);
    let intact = match fault {
        None => decode_intact(bytes, &options.limits),
        Some(reason) => Err(PictureError::Damaged {
            format: "PNG",
            reason: reason.to_owned(),
        }),
    };
    let (picture, damage) = match intact {
        Ok(intact) => (intact, None),
        // Only where the file's content was the trouble: a bomb stays refused.
        Err(error @ PictureError::Damaged { .. }) => {
            let damaged = decode_damaged_png(bytes, options, fault.is_some()).ok_or(error)?;
            (damaged.picture, Some(damaged.reason))
        }
        Err(error) => return Err(error),
    };
    warnings.extend(damage.map(|reason| PictureWarning::Damaged {
        format: "PNG",
        reason: reason.to_owned(),
    }));
    let picture = clip_keyed_grey(picture, bytes, options);
    let picture = flatten(picture, options.reading, warnings).ok_or_else(floating_point)?;
    Ok((picture, png::orientation_of(bytes)))
}

/// Decodes a PNG file that the strict decoder has refused; `None` where Pillow refuses it too.
fn decode_damaged_png(bytes: &[u8], options: &DecodeOptions, has_palette_fault: bool) -> Option<png::Damaged> {
    let fill = options.reading.truncated == TruncatedMode::Fill;
    let head = essentials(bytes, fill);
    if head.as_ref().is_some_and(|head| has_broken_end(head, &options.limits)) {
        return None;
    }
    if !has_palette_fault && let Some(damaged) = decode_damaged(bytes, &options.limits) {
        return Some(damaged);
    }
    let head = head?;
    let repaired = [&head.file, head.rest].concat();
    if let Ok(picture) = decode_intact(&repaired, &options.limits) {
        let reason = head.reason;
        return Some(png::Damaged { picture, reason });
    }
    decode_damaged(&repaired, &options.limits).or_else(|| decode_short(head, &options.limits, fill))
}

/// Decodes WebP and BMP, with the `image` crate.
fn decode_other(
    bytes: &[u8],
    format: ImageFormat,
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<(RgbImage, Orientation), PictureError> {
    let limits = &options.limits;
    let name = match format {
        ImageFormat::WebP => "WebP",
        _ => "BMP",
    };
    let problem = |error| problem(error, name, limits);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut guard = Limits::no_limits();
    guard.max_alloc = Some(limits.max_bytes);
    reader.limits(guard.clone());
    let mut decoder = reader.into_decoder().map_err(problem)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.color_type().bytes_per_pixel(), limits)?;
    guard.reserve(decoder.total_bytes()).map_err(problem)?;
    decoder.set_limits(guard).map_err(problem)?;
    let orientation = if format == ImageFormat::WebP {
        orientation_of(bytes)
    } else {
        Orientation::NoTransforms
    };
    let frame = if format == ImageFormat::WebP {
        first_frame(bytes)
    } else {
        None
    };
    let picture = match frame {
        Some(frame) => {
            let decoder = ImageReader::with_format(Cursor::new(&frame.file[..]), format);
            let decoder = decoder.into_decoder().map_err(problem)?;
            // A frame reaches no further than its canvas, whose size is checked.
            let (frame_width, frame_height) = decoder.dimensions();
            check_size(frame_width.max(width), frame_height.max(height), 4, limits)?;
            frame.on_canvas(DynamicImage::from_decoder(decoder).map_err(problem)?)
        }
        None => DynamicImage::from_decoder(decoder).map_err(problem)?,
    };
    let picture = flatten(picture, options.reading, warnings).ok_or_else(floating_point)?;
    Ok((picture, orientation))
}

/// 16-bit grey with a transparent level, which Pillow clips as it does 16-bit grey alone: other 16-bit grey with
/// transparency keeps its upper byte.
fn clip_keyed_grey(picture: DynamicImage, bytes: &[u8], options: &DecodeOptions) -> DynamicImage {
    // The colour type in the header of a PNG file.
    let is_grey = bytes.get(25) == Some(&0);
    match picture {
        DynamicImage::ImageLumaA16(mut picture) if is_grey && options.reading.sixteen_bit == SixteenBitMode::Clip => {
            for pixel in picture.pixels_mut() {
                pixel[0] = pixel[0].min(255) << 8;
            }
            DynamicImage::ImageLumaA16(picture)
        }
        picture => picture,
    }
}

fn floating_point() -> PictureError {
    PictureError::UnsupportedKind {
        format: "TIFF",
        reason: "its samples are floating-point numbers without a fixed range, so only you know which of them is white"
            .to_owned(),
    }
}

/// A WebP file that is cut after its pixels still decodes, but without the orientation, which comes last.
fn check_riff_length(bytes: &[u8]) -> Result<(), PictureError> {
    let announced = bytes
        .get(4..8)
        .and_then(|length| length.try_into().ok())
        .map(u32::from_le_bytes);
    match announced {
        Some(length) if u64::from(length) + 8 <= bytes.len() as u64 => Ok(()),
        _ => Err(PictureError::Damaged {
            format: "WebP",
            reason: "the data end early".to_owned(),
        }),
    }
}

fn problem(error: ImageError, format: &'static str, limits: &DecodeLimits) -> PictureError {
    match error {
        ImageError::Limits(_) => PictureError::TooMuchMemory {
            limit: limits.max_bytes,
        },
        ImageError::Unsupported(error) => PictureError::UnsupportedKind {
            format,
            reason: match error.kind() {
                UnsupportedErrorKind::Color(color) | UnsupportedErrorKind::ColorLayout(color) => {
                    format!("its colour type is {color:?}, not grey or RGB of 8 or 16 bits")
                }
                _ => error.to_string(),
            },
        },
        other => PictureError::Damaged {
            format,
            reason: other.to_string(),
        },
    }
}
