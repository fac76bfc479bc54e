//! The JPEG compression of TIFF 6.0 (section 22), which technical note 2 replaced: old scanners and fax programs wrote
//! it.
//!
//! As libtiff reads it (`tif_ojpeg.c`): a JPEG stream at a place of its own, the strips, or both one after the other,
//! with the tables in the stream or at places named by tags, make one JPEG file. libtiff takes the samples from it
//! without smoothing between colours, and turns them into RGB itself.

use image::RgbImage;

use super::{
    super::{
        error::PictureError,
        jpeg::{Idct, InnerColours, decode_inner},
        options::DecodeOptions,
    },
    directory::{Directory, tag},
    fault::{damaged, unsupported},
    header::Header,
    ycbcr::to_rgb,
};

/// Markers (T.81, table B.1).
const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const QUANTISATION: u8 = 0xdb;
const HUFFMAN: u8 = 0xc4;
const RESTART_INTERVAL: u8 = 0xdd;
const RESTART: u8 = 0xd0;
/// Sequential frames with Huffman codes.
const FRAMES: [u8; 2] = [0xc0, 0xc1];
/// Segments of no use here: those of applications, and comments.
const PASSED_OVER: std::ops::RangeInclusive<u8> = 0xe0..=0xfe;

/// Colours of a pixel.
const COLOURS: u8 = 3;

pub(super) fn decode_old_jpeg(
    file: &[u8],
    directory: &Directory<'_>,
    header: &Header,
    options: &DecodeOptions,
) -> Result<RgbImage, PictureError> {
    let is_plain = !header.is_planar
        || directory
            .numbers(tag::STRIP_OFFSETS)
            .is_some_and(|offsets| offsets.len() == 1);
    let has_tiles = (tag::TILE_WIDTH..=tag::TILE_COUNTS).any(|tag| directory.has(tag));
    if has_tiles || header.samples != usize::from(COLOURS) || !is_plain {
        return Err(unsupported(
            "it has tiles, planes or grey as JPEG of the first kind".into(),
        ));
    }
    let broken = || damaged("its JPEG data are of no kind that is read");
    let stream = Stream::of(file, directory).ok_or_else(broken)?;
    let jpeg = stream.to_jpeg(file, directory, header).ok_or_else(broken)?;
    let inner = decode_inner(&jpeg, &options.limits, Idct::Accurate, InnerColours::Repeated)?;
    if inner.width != header.width as usize || inner.height < header.height as usize {
        return Err(damaged("its JPEG data have another size"));
    }
    // libtiff leaves out what it cannot read, without a word.
    if inner.damage.is_some() {
        return Err(damaged("its JPEG data are damaged"));
    }
    let mut samples = inner.rgb;
    samples.truncate(inner.width * header.height as usize * 3);
    RgbImage::from_raw(header.width, header.height, to_rgb(directory, &samples))
        .ok_or_else(|| damaged("the data end early"))
}

/// The JPEG stream and the strips, one after the other.
struct Stream {
    bytes: Vec<u8>,
    /// The ends of all strips but the last.
    ends: Vec<usize>,
}

impl Stream {
    /// `None` for parts that do not lie in the file, or overlap.
    fn of(file: &[u8], directory: &Directory<'_>) -> Option<Self> {
        let part = |offset: u64, length: u64| {
            let rest = file.get(usize::try_from(offset).ok().filter(|&offset| offset > 0)?..)?;
            match usize::try_from(length).ok()? {
                0 => Some(rest),
                length => Some(&rest[..length.min(rest.len())]),
            }
        };
        let mut bytes = Vec::new();
        if let Some(offset) = directory.number(tag::JPEG_STREAM).filter(|&offset| offset > 0) {
            bytes.extend(part(offset, directory.number(tag::JPEG_STREAM_LENGTH).unwrap_or(0))?);
        }
        let lengths = directory.numbers(tag::STRIP_COUNTS).unwrap_or_default();
        let mut ends = Vec::new();
        for (index, offset) in directory.numbers(tag::STRIP_OFFSETS).into_iter().flatten().enumerate() {
            bytes.extend(part(offset, lengths.get(index).copied().unwrap_or(0))?);
            ends.push(bytes.len());
            // The stream may hold the strips once more.
            if bytes.len() > 2 * file.len() {
                return None;
            }
        }
        ends.pop();
        Some(Self { bytes, ends })
    }

    /// The picture as a JPEG file; `None` for kinds that are not read.
    fn to_jpeg(&self, file: &[u8], directory: &Directory<'_>, header: &Header) -> Option<Vec<u8>> {
        let mut jpeg = vec![0xff, START];
        let (mut frame, mut scan, mut interval) = (None, None, None);
        let mut at = 0;
        while scan.is_none() && self.bytes.get(at) == Some(&0xff) {
            let marker = at + self.bytes[at..].iter().position(|&byte| byte != 0xff)?;
            let name = self.bytes[marker];
            at = marker + 1;
            if name == START {
                continue;
            }
            let length = usize::from(u16::from_be_bytes(*self.bytes.get(at..)?.first_chunk()?));
            let content = self.bytes.get(at + 2..at + length)?;
            at += length;
            match name {
                QUANTISATION | HUFFMAN => append(&mut jpeg, name, content),
                RESTART_INTERVAL => interval = Some(content.to_vec()),
                SCAN => scan = Some(content.to_vec()),
                name if FRAMES.contains(&name) && frame.is_none() => frame = Some((name, content.to_vec())),
                name if PASSED_OVER.contains(&name) => {}
                _ => return None,
            }
        }
        let (frame, scan) = match (frame, scan) {
            (Some(frame), Some(scan)) => (frame, scan),
            (None, None) => {
                append_tables(&mut jpeg, file, directory)?;
                ((FRAMES[0], frame_of_tags(directory, header)?), scan_of_tags())
            }
            _ => return None,
        };
        let [_, _, _, _, _, COLOURS, _, sampling, _, _, 0x11, _, _, 0x11, _] = frame.1[..] else {
            return None;
        };
        // `tif_getimage.c`
        let (across, down) = match sampling {
            0x11 | 0x12 | 0x21 | 0x22 | 0x41 | 0x42 | 0x44 => (u32::from(sampling >> 4), u32::from(sampling & 15)),
            _ => return None,
        };
        let rows = directory
            .number(tag::ROWS_PER_STRIP)
            .map_or(u32::MAX, |rows| rows as u32);
        if rows < header.height {
            if rows == 0 || !rows.is_multiple_of(down * 8) {
                return None;
            }
            let units = header.width.div_ceil(across * 8) * (rows / (down * 8));
            interval = interval.or(Some((units as u16).to_be_bytes().to_vec()));
        }
        if let Some(interval) = interval {
            append(&mut jpeg, RESTART_INTERVAL, &interval);
        }
        append(&mut jpeg, frame.0, &frame.1);
        append(&mut jpeg, SCAN, &scan);
        // Each strip but the last ends with a restart marker.
        let ends: Vec<_> = self.ends.iter().copied().filter(|&end| end > at).collect();
        for (number, end) in ends.into_iter().enumerate() {
            jpeg.extend(&self.bytes[at..end]);
            jpeg.extend([0xff, RESTART + (number % 8) as u8]);
            at = end;
        }
        jpeg.extend(&self.bytes[at..]);
        jpeg.extend([0xff, END]);
        Some(jpeg)
    }
}

fn append(jpeg: &mut Vec<u8>, name: u8, content: &[u8]) {
    jpeg.extend([0xff, name]);
    jpeg.extend((content.len() as u16 + 2).to_be_bytes());
    jpeg.extend(content);
}

/// The tables at the places that tags name: 64 divisors, and numbers of codes with their values.
fn append_tables(jpeg: &mut Vec<u8>, file: &[u8], directory: &Directory<'_>) -> Option<()> {
    let places = |tag| {
        directory
            .numbers(tag)
            .filter(|places| places.len() == usize::from(COLOURS))
    };
    let table = |place: u64| file.get(usize::try_from(place).ok()?..);
    for (number, place) in (0..).zip(places(tag::JPEG_DIVISORS)?) {
        append(jpeg, QUANTISATION, &[&[number], table(place)?.get(..64)?].concat());
    }
    for (class, tag) in [(0, tag::JPEG_MEAN_CODES), (0x10, tag::JPEG_CODES)] {
        for (number, place) in (0..).zip(places(tag)?) {
            let (counts, values) = table(place)?.split_at_checked(16)?;
            let count = counts.iter().map(|&count| usize::from(count)).sum();
            append(
                jpeg,
                HUFFMAN,
                &[&[class | number], counts, values.get(..count)?].concat(),
            );
        }
    }
    Some(())
}

/// A frame whose colours have a table each.
fn frame_of_tags(directory: &Directory<'_>, header: &Header) -> Option<Vec<u8>> {
    let sampling = match directory.numbers(tag::SUBSAMPLING).as_deref() {
        None => 0x22,
        Some(&[across @ 1..=4, down @ 1..=4]) => (across << 4 | down) as u8,
        Some(_) => return None,
    };
    let [height, width] = [header.height, header.width].map(|side| u16::try_from(side).ok().map(u16::to_be_bytes));
    let colours = [0, sampling, 0, 1, 0x11, 1, 2, 0x11, 2];
    Some([&[8][..], &height?, &width?, &[COLOURS], &colours].concat())
}

fn scan_of_tags() -> Vec<u8> {
    vec![COLOURS, 0, 0, 1, 0x11, 2, 0x22, 0, 63, 0]
}
