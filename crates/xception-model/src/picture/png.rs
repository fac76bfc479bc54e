//! PNG, also files that end early, carry wrong checksums or impossible chunks, as Pillow reads them.

use std::io::{Cursor, Read};

use flate2::read::ZlibDecoder;
use image::{DynamicImage, ImageBuffer, metadata::Orientation};
use png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Limits, Reader, Transformations};

use super::{
    error::PictureError,
    limits::{DecodeLimits, check_size},
    orientation::orientation,
};

/// The bytes that begin a file.
const SIGNATURE: usize = 8;

/// A chunk's length, name and checksum.
const FRAME: usize = 12;

/// A damaged file's pixels.
pub(super) struct Damaged {
    pub picture: DynamicImage,
    pub reason: &'static str,
}

/// Reads an undamaged file. The checksum of the compressed data counts, as in Pillow; `image` does not look at it.
pub(super) fn decode_intact(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let problem = |error: DecodingError| match error {
        DecodingError::LimitsExceeded => PictureError::TooMuchMemory {
            limit: limits.max_bytes,
        },
        DecodingError::IoError(_) => damage_of("the data end early"),
        other => damage_of(other),
    };
    let mut reader = open(bytes, limits, false).map_err(problem)?;
    let (width, height) = check(&reader, limits)?;
    let mut pixels = vec![
        0;
        reader
            .output_buffer_size()
            .ok_or_else(|| problem(DecodingError::LimitsExceeded))?
    ];
    let frame = reader.next_frame(&mut pixels).map_err(problem)?;
    picture(width, height, frame.color_type, frame.bit_depth, pixels)
        .ok_or_else(|| damage_of("the decoded size is not the size in the header"))
}

fn open<'a>(
    bytes: &'a [u8],
    limits: &DecodeLimits,
    ignore_crc: bool,
) -> Result<Reader<Cursor<&'a [u8]>>, DecodingError> {
    let mut options = DecodeOptions::default();
    options.set_ignore_crc(ignore_crc);
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_limits(Limits {
        bytes: usize::try_from(limits.max_bytes).unwrap_or(usize::MAX),
    });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.read_info()
}

/// The size, if it is within the limits.
fn check(reader: &Reader<Cursor<&[u8]>>, limits: &DecodeLimits) -> Result<(u32, u32), PictureError> {
    let (width, height) = (reader.info().width, reader.info().height);
    let (colours, depth) = reader.output_color_type();
    let bytes_per_pixel = colours.samples() as u8 * (depth as u8).div_ceil(8);
    check_size(width, height, bytes_per_pixel, limits)?;
    Ok((width, height))
}

/// The orientation, also of metadata behind the pixels.
pub(super) fn orientation_of(bytes: &[u8]) -> Orientation {
    let mut rest = bytes.get(SIGNATURE..).unwrap_or_default();
    let (mut exif, mut profile, mut xmp) = (None, None, None);
    while let Some(Chunk { name, content, whole }) = next_chunk(rest) {
        match name {
            b"eXIf" => exif = Some(content.to_vec()),
            b"tEXt" | b"zTXt" | b"iTXt" => match text(name, content) {
                Some((b"Raw profile type exif", text)) => profile = of_profile(&text),
                Some((b"XML:com.adobe.xmp", text)) => xmp = Some(text),
                _ => {}
            },
            _ => {}
        }
        rest = &rest[whole.len()..];
    }
    orientation(exif.or(profile).as_deref(), xmp.as_deref())
}

/// The key and the text of a chunk.
fn text<'a>(name: &[u8], content: &'a [u8]) -> Option<(&'a [u8], Vec<u8>)> {
    let (key, rest) = split_at_zero(content)?;
    let is_compressed = name == b"zTXt" || name == b"iTXt" && rest.first() == Some(&1);
    let data = match name {
        b"tEXt" => rest,
        b"zTXt" => rest.get(1..)?,
        // Flag, method, language and translated key.
        _ => split_at_zero(split_at_zero(rest.get(2..)?)?.1)?.1,
    };
    if !is_compressed {
        return Some((key, data.to_vec()));
    }
    let mut text = Vec::new();
    ZlibDecoder::new(data).take(MAX_TEXT).read_to_end(&mut text).ok()?;
    Some((key, text))
}

fn split_at_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let zero = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..zero], &bytes[zero + 1..]))
}

/// EXIF data as `ImageMagick` writes them: a line break, a name, a length, and the bytes as hexadecimal digits.
fn of_profile(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.split(|&byte| byte == b'\n').skip(3).flatten().copied().collect();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    digits.as_chunks().0.iter().map(byte).collect()
}

fn damage_of(reason: impl std::fmt::Display) -> PictureError {
    PictureError::Damaged {
        format: "PNG",
        reason: reason.to_string(),
    }
}

/// Reads a file whose pixels are all there but which the strict decoder has refused; `None` where Pillow refuses it
/// too.
///
/// Pillow does not check the checksums of the pixels' chunks (`PngImagePlugin.py`, `load_read`), only that of the
/// compressed data in them, and does not miss the end chunk (`load_end`). Damage before the pixels it refuses.
pub(super) fn decode_damaged(bytes: &[u8], limits: &DecodeLimits) -> Option<Damaged> {
    let reason = damage(bytes)?;
    let mut reader = open(bytes, limits, true).ok()?;
    let (width, height) = check(&reader, limits).ok()?;
    let interlaced = reader.info().interlaced;
    let (colours, depth) = reader.output_color_type();
    let row_len = reader.output_line_size(width)?;
    let mut pixels = vec![0; reader.output_buffer_size()?];
    if interlaced {
        let bits = colours.samples() as u8 * depth as u8;
        for _ in 0..passes(width, height) {
            let row = reader.next_interlaced_row().ok()??;
            let png::InterlaceInfo::Adam7(place) = row.interlace() else {
                return None;
            };
            png::expand_interlaced_row(&mut pixels, row_len, row.data(), place, bits);
        }
    } else {
        for row in pixels.chunks_exact_mut(row_len) {
            reader.read_row(row).ok()??;
        }
    }
    // The checksum follows the last row; the file may end before it.
    match reader.next_row() {
        Ok(_) | Err(DecodingError::IoError(_)) => {}
        Err(_) => return None,
    }
    Some(Damaged {
        picture: picture(width, height, colours, depth, pixels)?,
        reason,
    })
}

/// Rows of all passes of an interlaced picture.
fn passes(width: u32, height: u32) -> u32 {
    let passes = PASSES.into_iter().filter(|&[column, ..]| width > column);
    passes
        .map(|[_, row, _, step]| height.saturating_sub(row).div_ceil(step))
        .sum()
}

/// The passes of an interlaced picture: first column and row, and the steps to the next ones (PNG specification,
/// section 8.2).
pub(super) const PASSES: [[u32; 4]; 7] = [
    [0, 0, 8, 8],
    [4, 0, 8, 8],
    [0, 4, 4, 8],
    [2, 0, 4, 4],
    [0, 2, 2, 4],
    [1, 0, 2, 2],
    [0, 1, 1, 2],
];

/// The most bytes of a text (`PngImagePlugin.py`, `MAX_TEXT_CHUNK`).
const MAX_TEXT: u64 = 1 << 20;

/// A chunk's name and content, and the whole chunk.
struct Chunk<'a> {
    name: &'a [u8],
    content: &'a [u8],
    whole: &'a [u8],
}

/// The first chunk; `None` if it is incomplete.
fn next_chunk(bytes: &[u8]) -> Option<Chunk<'_>> {
    let (length, name) = bytes.get(..8)?.split_at(4);
    let length = length.iter().fold(0, |length, &byte| (length << 8) | usize::from(byte));
    let whole = bytes.get(..length.checked_add(FRAME)?)?;
    Some(Chunk {
        name,
        content: &whole[8..8 + length],
        whole,
    })
}

/// The chunks before the pixels, and the rest of the file; `None` if a chunk is incomplete.
fn head(bytes: &[u8]) -> Option<(Vec<Chunk<'_>>, &[u8])> {
    let (mut chunks, mut rest) = (Vec::new(), bytes.get(SIGNATURE..)?);
    while rest.get(4..8)? != b"IDAT" {
        let chunk = next_chunk(rest)?;
        rest = &rest[chunk.whole.len()..];
        chunks.push(chunk);
    }
    Some((chunks, rest))
}

/// The kind of colours for places in a palette.
const PLACES: u8 = 3;

const HALF_A_COLOUR: &str = "its palette has an impossible length";

/// What is wrong with a palette and its transparency that the decoder panics at, or takes otherwise than Pillow.
pub(super) fn palette_fault(bytes: &[u8]) -> Option<&'static str> {
    let (chunks, _) = head(bytes)?;
    let place = |name: &[u8]| chunks.iter().rposition(|chunk| chunk.name == name);
    let palette = place(b"PLTE")?;
    let colours = chunks[palette].content.len();
    if !colours.is_multiple_of(3) {
        return Some(HALF_A_COLOUR);
    }
    let is_of_places = chunks.first().and_then(|header| header.content.get(9)) == Some(&PLACES);
    let transparency = place(b"tRNS").filter(|_| is_of_places)?;
    if transparency < palette {
        Some("its transparency comes before its palette")
    } else if chunks[transparency].content.len() > colours / 3 {
        Some("its transparency has more entries than its palette")
    } else {
        None
    }
}

/// The chunks alone that make the pixels of a file, without the pixels.
pub(super) struct Head<'a> {
    pub width: u32,
    pub height: u32,
    pub depth: u8,
    pub colours: u8,
    pub is_interlaced: bool,
    /// The file up to the pixels, with nothing wrong.
    pub file: Vec<u8>,
    /// The file from the pixels on.
    pub rest: &'a [u8],
    /// What was wrong with the other chunks or with the palette.
    pub reason: &'static str,
}

/// `None` if a checksum before the pixels is wrong, and where Pillow refuses the file. `fill`: as with
/// `LOAD_TRUNCATED_IMAGES`, under which checksums of chunks that programs may skip do not count.
///
/// As in Pillow (`PngImagePlugin.py`): of two palettes the last one counts, one of a picture without places in it does
/// not, colours beyond it are black, and unknown chunks are passed over.
pub(super) fn essentials(bytes: &[u8], fill: bool) -> Option<Head<'_>> {
    let (chunks, rest) = head(bytes)?;
    let counts = |chunk: &&Chunk<'_>| !(fill && chunk.name[0].is_ascii_lowercase());
    if chunks.iter().filter(counts).any(|chunk| {
        checksum(&chunk.whole[4..chunk.whole.len() - 4]).to_be_bytes() != chunk.whole[chunk.whole.len() - 4..]
    }) {
        return None;
    }
    let last = |name: &[u8]| chunks.iter().rfind(|chunk| chunk.name == name);
    let [size @ .., depth @ (1 | 2 | 4 | 8 | 16), colours, _, 0, interlace] = last(b"IHDR")?.content else {
        return None;
    };
    let (depth, colours, is_interlaced) = (*depth, *colours, *interlace != 0);
    let mut repaired = bytes[..SIGNATURE].to_vec();
    append_chunk(
        &mut repaired,
        *b"IHDR",
        &[size, &[depth, colours, 0, 0, u8::from(is_interlaced)]].concat(),
    );
    let mut reason = "chunks are unknown, repeated or in the wrong place";
    let mut most_transparent = usize::MAX;
    if colours == PLACES {
        let palette = last(b"PLTE").map_or(&[][..], |chunk| chunk.content);
        let count = palette.len() / 3;
        if count > 256 || depth > 8 {
            return None;
        }
        let mut padded = palette[..count * 3].to_vec();
        padded.resize((3 << depth).max(count * 3), 0);
        append_chunk(&mut repaired, *b"PLTE", &padded);
        match count {
            0 => reason = "its palette is missing, so every pixel is black",
            _ => reason = palette_fault(bytes).unwrap_or(reason),
        }
        most_transparent = padded.len() / 3;
    }
    if let Some(chunk) = last(b"tRNS") {
        let content = &chunk.content[..chunk.content.len().min(most_transparent)];
        append_chunk(&mut repaired, *b"tRNS", content);
    }
    let number = |at: usize| Some(u32::from_be_bytes(*size.get(at..)?.first_chunk()?));
    Some(Head {
        width: number(0)?,
        height: number(4)?,
        depth,
        colours,
        is_interlaced,
        file: repaired,
        rest,
        reason,
    })
}

/// Appends a chunk to a file.
pub(super) fn append_chunk(file: &mut Vec<u8>, name: [u8; 4], content: &[u8]) {
    let named = [&name, content].concat();
    file.extend((content.len() as u32).to_be_bytes());
    file.extend(&named);
    file.extend(checksum(&named).to_be_bytes());
}

/// Whether the file ends within a chunk that Pillow reads behind the pixels: "Truncated File Read"
/// (`PngImagePlugin.py`, `load_end`). It stops at the end chunk, and at a name that is none. The pixels' last chunk may
/// be cut.
pub(super) fn ends_within_chunk(bytes: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let Some((_, mut rest)) = head(bytes) else {
        return false;
    };
    while let Some(name) = rest.get(4..8) {
        if name == b"IEND" || !name.iter().all(is_letter) {
            return false;
        }
        let length = rest[..4]
            .iter()
            .fold(0, |length, &byte| (length << 8) | usize::from(byte));
        let behind = &rest[8..];
        if behind.len() < length {
            return name != b"IDAT";
        }
        // The checksum of the last chunk may be missing.
        rest = behind.get(length + 4..).unwrap_or_default();
    }
    false
}

/// The damage to the chunks of a file; `None` without damage, and if the damage is before the pixels.
fn damage(bytes: &[u8]) -> Option<&'static str> {
    let mut rest = bytes.get(SIGNATURE..)?;
    let mut pixels_began = false;
    loop {
        let Some((length, name)) = rest.get(..8).map(|head| head.split_at(4)) else {
            return pixels_began.then_some("its end is missing");
        };
        let length = length.iter().fold(0, |length, &byte| (length << 8) | usize::from(byte));
        pixels_began |= name == b"IDAT";
        let Some(chunk) = rest.get(..length.checked_add(FRAME)?) else {
            return pixels_began.then_some("its end is missing");
        };
        let (content, sum) = chunk[4..].split_at(length + 4);
        if checksum(content).to_be_bytes() != sum {
            return pixels_began.then_some("a checksum is wrong");
        }
        if name == b"IEND" {
            return None;
        }
        rest = &rest[length + FRAME..];
    }
}

/// CRC-32 (PNG specification, annex D).
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

/// The decoder's bytes as a picture.
fn picture(width: u32, height: u32, colours: ColorType, depth: BitDepth, pixels: Vec<u8>) -> Option<DynamicImage> {
    let wide = || {
        pixels
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&pair| u16::from_be_bytes(pair))
            .collect()
    };
    Some(match (colours, depth) {
        (ColorType::Grayscale, BitDepth::Eight) => {
            DynamicImage::ImageLuma8(ImageBuffer::from_raw(width, height, pixels)?)
        }
        (ColorType::Grayscale, BitDepth::Sixteen) => {
            DynamicImage::ImageLuma16(ImageBuffer::from_raw(width, height, wide())?)
        }
        (ColorType::GrayscaleAlpha, BitDepth::Eight) => {
            DynamicImage::ImageLumaA8(ImageBuffer::from_raw(width, height, pixels)?)
        }
        (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
            DynamicImage::ImageLumaA16(ImageBuffer::from_raw(width, height, wide())?)
        }
        (ColorType::Rgb, BitDepth::Eight) => DynamicImage::ImageRgb8(ImageBuffer::from_raw(width, height, pixels)?),
        (ColorType::Rgb, BitDepth::Sixteen) => DynamicImage::ImageRgb16(ImageBuffer::from_raw(width, height, wide())?),
        (ColorType::Rgba, BitDepth::Eight) => DynamicImage::ImageRgba8(ImageBuffer::from_raw(width, height, pixels)?),
        (ColorType::Rgba, BitDepth::Sixteen) => {
            DynamicImage::ImageRgba16(ImageBuffer::from_raw(width, height, wide())?)
        }
        _ => return None,
    })
}
