//! PNG files with fewer rows of pixels than their header says, as Pillow reads them.
//!
//! Pillow writes each row into a picture of zeros as soon as its last byte is decompressed (`ZipDecode.c`). Compressed
//! data that end properly behind a row are a whole file to it. With `LOAD_TRUNCATED_IMAGES` the rows before any damage
//! count. The rows that are there, and zeros for the others, make a file that the ordinary decoder reads.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};
use miniz_oxide::inflate::{
    TINFLStatus,
    core::{
        decompress,
        inflate_flags::{
            TINFL_FLAG_COMPUTE_ADLER32, TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER,
            TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
        },
    },
};

use super::{
    limits::{DecodeLimits, check_size},
    png::{Damaged, Head, append_chunk, decode_intact},
};

/// Filters of a row (PNG specification, section 9.2).
const FILTERS: u8 = 5;

/// The most bytes of a chunk that Pillow decompresses at once (`ImageFile.py`, `MAXBLOCK`).
const BLOCK: usize = 1 << 16;

/// Reads a file whose compressed data end early or are broken; `None` where Pillow refuses it. `fill`: as with
/// `LOAD_TRUNCATED_IMAGES`.
pub(super) fn decode_short(head: Head<'_>, limits: &DecodeLimits, fill: bool) -> Option<Damaged> {
    let rows = Rows::of(&head)?;
    check_size(head.width, head.height, 16, limits).ok()?;
    let blocks = blocks(head.rest);
    let mut data = vec![0; rows.lens().sum()];
    let found = inflate(&blocks.concat(), &mut data);
    let (complete, last) = rows.complete(&data[..found.len]);
    // The last row ends in the block in which the data end, so that Pillow sees both at once.
    let ends_with_row = || {
        let before = blocks[..blocks.len().saturating_sub(1)].concat();
        complete == found.len && complete > 0 && inflate(&before, &mut vec![0; complete]).len < complete
    };
    let is_all = complete == data.len();
    let written = match found.end {
        End::Proper if ends_with_row() => Some(complete),
        End::Missing | End::BehindRows if is_all => Some(complete),
        End::Proper | End::Missing if fill => Some(complete),
        // Pillow loses the row that a wrong checksum follows.
        End::WrongSum if fill && ends_with_row() => Some(complete - last),
        End::Broken if fill && complete != found.len => Some(complete),
        _ => None,
    }
    // A picture without a single row is none.
    .filter(|&written| written > 0)?;
    data[written..].fill(0);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&data).ok()?;
    let mut repaired = head.file;
    append_chunk(&mut repaired, *b"IDAT", &encoder.finish().ok()?);
    append_chunk(&mut repaired, *b"IEND", &[]);
    Some(Damaged {
        picture: decode_intact(&repaired, limits).ok()?,
        reason: if is_all && written == complete {
            "the end of its compressed data is missing"
        } else {
            "rows of pixels are missing, and are black or transparent here"
        },
    })
}

/// Whether an impossible code follows the last byte of the pixels directly: zlib meets it before it hands out the last
/// row, so Pillow refuses the file.
pub(super) fn has_broken_end(head: &Head<'_>, limits: &DecodeLimits) -> bool {
    let Some(rows) = Rows::of(head).filter(|_| check_size(head.width, head.height, 16, limits).is_ok()) else {
        return false;
    };
    let mut data = vec![0; rows.lens().sum()];
    let found = inflate(&blocks(head.rest).concat(), &mut data);
    found.len == data.len() && matches!(found.end, End::Broken)
}

/// The compressed data, as Pillow reads them: chunks that follow one another, each in blocks.
fn blocks(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut blocks = Vec::new();
    while let Some((length, [b'I', b'D', b'A', b'T', after @ ..])) = rest.split_first_chunk() {
        let length = (u32::from_be_bytes(*length) as usize).min(after.len());
        blocks.extend(after[..length].chunks(BLOCK));
        // Behind the checksum.
        rest = after.get(length + 4..).unwrap_or_default();
    }
    blocks
}

/// How compressed data end.
enum End {
    Proper,
    Missing,
    /// There are more data than rows.
    BehindRows,
    WrongSum,
    /// By an impossible code.
    Broken,
}

/// The bytes that are decompressed.
struct Found {
    len: usize,
    end: End,
}

fn inflate(bytes: &[u8], out: &mut [u8]) -> Found {
    let flags = TINFL_FLAG_PARSE_ZLIB_HEADER
        | TINFL_FLAG_COMPUTE_ADLER32
        | TINFL_FLAG_HAS_MORE_INPUT
        | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, _, len) = decompress(&mut Box::default(), bytes, out, 0, flags);
    let end = match status {
        TINFLStatus::Done => End::Proper,
        TINFLStatus::NeedsMoreInput => End::Missing,
        TINFLStatus::HasMoreOutput => End::BehindRows,
        TINFLStatus::Adler32Mismatch => End::WrongSum,
        _ => End::Broken,
    };
    Found { len, end }
}

/// The rows of a picture in the order of the file.
struct Rows(Vec<Pass>);

/// Rows of equal length.
struct Pass {
    count: usize,
    /// Bytes of a row with its filter.
    len: usize,
}

impl Rows {
    /// `None` for an impossible kind of colours.
    fn of(head: &Head<'_>) -> Option<Self> {
        let samples = match head.colours {
            0 | 3 => 1,
            4 => 2,
            2 => 3,
            6 => 4,
            _ => return None,
        };
        let bits = samples * usize::from(head.depth);
        // First column and row, and the step between them (PNG specification, section 8.2).
        let passes: &[[u32; 4]] = if head.is_interlaced {
            &super::png::PASSES
        } else {
            &[[0, 0, 1, 1]]
        };
        let rows = passes.iter().map(|&[column, row, across, down]| {
            let columns = head.width.saturating_sub(column).div_ceil(across) as usize;
            let rows = head.height.saturating_sub(row).div_ceil(down) as usize;
            Pass {
                count: if columns == 0 { 0 } else { rows },
                len: 1 + (columns * bits).div_ceil(8),
            }
        });
        Some(Self(rows.collect()))
    }

    fn lens(&self) -> impl Iterator<Item = usize> {
        self.0.iter().flat_map(|pass| std::iter::repeat_n(pass.len, pass.count))
    }

    /// The bytes of the complete rows before the first one with an impossible filter, and of the last one of them.
    fn complete(&self, data: &[u8]) -> (usize, usize) {
        let (mut start, mut last) = (0, 0);
        for len in self.lens() {
            if start + len > data.len() || data[start] >= FILTERS {
                break;
            }
            (start, last) = (start + len, len);
        }
        (start, last)
    }
}
