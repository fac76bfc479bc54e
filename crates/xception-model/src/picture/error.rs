//! The errors between a file and its pixels, one sentence each.

use std::{io, path::PathBuf};

use super::formats::OtherFormat;

/// Why a picture could not be read or resized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// One of the other errors, with the file's name.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file as the caller named it.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<PictureError>,
    },

    /// The operating system could not read the file.
    #[error("cannot be read: {0}")]
    Read(io::Error),

    /// The path is a folder.
    #[error("this is a folder; name a picture inside it")]
    Folder,

    /// The file is empty.
    #[error("the file is empty; a download that failed leaves such files")]
    Empty,

    /// The content begins like none of the formats that are read.
    #[error("this is not a picture; {READS}")]
    NotAPicture,

    /// A format that is not read, or something that is no picture.
    #[error("{}", other_format(.0))]
    OtherFormat(OtherFormat),

    /// The file is larger than [`DecodeLimits::max_file_bytes`](super::DecodeLimits::max_file_bytes).
    #[error("the file has more than {limit} bytes, the limit set by max_file_bytes")]
    FileTooLarge {
        /// The limit in bytes.
        limit: u64,
    },

    /// The header announces more pixels than [`DecodeLimits::max_pixels`](super::DecodeLimits::max_pixels).
    #[error(
        "the header announces {width} x {height} pixels, more than the {limit} that max_pixels allows; a file made \
         to exhaust memory looks like this, so raise the limit only for pictures you know"
    )]
    TooManyPixels {
        /// Width in pixels, as announced.
        width: u64,
        /// Height in pixels, as announced.
        height: u64,
        /// The limit in pixels.
        limit: u64,
    },

    /// Decoding would take more memory than [`DecodeLimits::max_bytes`](super::DecodeLimits::max_bytes).
    #[error("decoding needs more memory than the {limit} bytes that max_bytes allows")]
    TooMuchMemory {
        /// The limit in bytes.
        limit: u64,
    },

    /// The file is cut short or damaged. No part of it is returned: half a picture classifies as something else.
    #[error("the {format} file is damaged or cut short: {reason}; fetch or export it again")]
    Damaged {
        /// The format its first bytes promise.
        format: &'static str,
        /// The decoder's error.
        reason: String,
    },

    /// A valid file of a kind that is not read, such as a TIFF of floating-point samples.
    #[error("this kind of {format} is not read: {reason}; save it as an 8-bit RGB PNG or JPEG")]
    UnsupportedKind {
        /// The format its first bytes promise.
        format: &'static str,
        /// What about it is not read.
        reason: String,
    },

    /// A requested size, or a given picture, that has no pixel or more than memory can address.
    #[error(
        "a picture of {from_width} x {from_height} pixels (width x height) cannot become {width} x {height}: \
         each side needs at least one pixel and at most {}",
        super::preset::MAX_SIDE
    )]
    Size {
        /// Width of the picture handed in.
        from_width: u32,
        /// Height of the picture handed in.
        from_height: u32,
        /// Width asked for.
        width: usize,
        /// Height asked for.
        height: usize,
    },

    /// A size larger than the picture that torchvision's transform cuts it out of. torchvision would add black borders.
    #[error(
        "a part of {width} x {height} pixels (width x height) cannot be cut out of a picture whose shorter side was \
         scaled to {side}: choose a preset with a longer side, such as torchvision-bilinear-{}",
        height.max(width)
    )]
    Crop {
        /// Length of the scaled picture's shorter side.
        side: u16,
        /// Height asked for.
        height: usize,
        /// Width asked for.
        width: usize,
    },

    /// The length of the slice for [`Pixels::write_nchw`](super::Pixels::write_nchw) does not fit the pixels.
    #[error("the pixels fill {expected} numbers, the slice has {found}")]
    SliceLength {
        /// `3 * height * width`.
        expected: usize,
        /// The length of the slice.
        found: usize,
    },
}

fn other_format(format: &OtherFormat) -> String {
    let OtherFormat { phrase, advice, .. } = format;
    if format.is_picture {
        format!("this is {phrase}, which is not read; {READS}, so convert it first: {advice}")
    } else {
        format!("this is not a picture but {phrase}; {READS}; {advice}")
    }
}

/// The formats that are read, for the end of an error's sentence.
const READS: &str =
    "JPEG, PNG, WebP, GIF, BMP, TIFF, JPEG 2000, AVIF, PNM, TGA, PSD, ICO and a few rarer formats are read";
