//! How files of rarer formats begin, where that is more than a few fixed bytes.

use super::{
    numbers::{big_long, long, short},
    python::stripped,
};

/// How an XPM file begins.
pub(super) const XPM: &[u8] = b"/* XPM */";

/// Whether a file begins as one of cursors, with its first entry, and not as a TGA file. Cursors are small.
pub(super) fn is_cur(head: &[u8]) -> bool {
    let count = short(head, 4).filter(|&count| count != 0);
    let count = count.filter(|_| head.starts_with(b"\0\0\x02\0"));
    count.is_some_and(|count| {
        let start = long(head, 18).unwrap_or_default();
        (6 + 16 * count..1 << 24).contains(&start) || !is_tga(head)
    })
}

/// Whether a file begins as those that are read do: with a kind, and a blank.
pub(super) fn is_pnm(head: &[u8]) -> bool {
    matches!(head, [b'P', b'1'..=b'6' | b'f', blank, ..] if blank.is_ascii_whitespace() || *blank == 0x0b)
        || [b"P0CMYK", b"PyCMYK", b"PyRGBA"]
            .iter()
            .any(|kind| head.starts_with(*kind))
}

/// Whether a file begins with the width or the height of a bitmap, as C code, perhaps behind a comment.
pub(super) fn is_xbm(head: &[u8]) -> bool {
    let start = [&b"#define "[..], b"\n#define ", b"/*"];
    let holds = |line: &[u8], word: &[u8]| line.windows(word.len()).any(|window| window == word);
    let is_size = |line: &[u8]| line.starts_with(b"#define ") && (holds(line, b"width ") || holds(line, b"height "));
    start.iter().any(|start| head.starts_with(start)) && head.split(|&byte| byte == b'\n').any(is_size)
}

/// Whether a file begins with a second header, of one plane and a possible number of bits.
pub(super) fn is_dib(head: &[u8]) -> bool {
    let (planes, bits) = match long(head, 0) {
        Some(12) => (short(head, 8), short(head, 10)),
        Some(length) if [40, 52, 56, 64, 108, 124].contains(&length) => (short(head, 12), short(head, 14)),
        _ => return false,
    };
    planes == Some(1) && bits.is_some_and(|bits| [1, 4, 8, 16, 24, 32].contains(&bits))
}

/// Whether this is the header of a TGA file, which has no mark: with a map of colours or without, plain or in run
/// lengths, with so many bits for each pixel.
pub(super) fn is_tga(head: &[u8]) -> bool {
    let Some(head) = head.first_chunk::<18>() else {
        return false;
    };
    let has_pixels = [12, 14].iter().all(|&at| short(head, at) != Some(0));
    has_pixels
        && match (head[1], head[2] & !8) {
            (0, 2 | 3) => [1, 8, 15, 16, 24, 32].contains(&head[16]),
            // Pillow lays a map on grey, too, and refuses colours with a map.
            (1, 1..=3) => [15, 16, 24, 32].contains(&head[7]) && [8, 15, 16, 24, 32].contains(&head[16]),
            _ => false,
        }
}

/// Whether a file begins with fields of IPTC, and one of the fields describes a picture.
pub(super) fn is_iptc(head: &[u8]) -> bool {
    let mut rest = head;
    let mut has_picture = false;
    while let [0x1c, record @ (1..=9 | 240), field, high @ 0..=127, low, data @ ..] = rest {
        has_picture |= (*record, *field) == (3, 60);
        if (*record, *field) == (8, 10) {
            return has_picture;
        }
        rest = data
            .get(usize::from(u16::from_be_bytes([*high, *low]))..)
            .unwrap_or_default();
    }
    false
}

/// Bytes of a line of a FITS header.
pub(super) const FITS_LINE: usize = 80;

/// Whether a file begins with the line that Pillow asks for.
pub(super) fn is_fits(head: &[u8]) -> bool {
    let line = &head[..head.len().min(FITS_LINE)];
    head.starts_with(b"SIMPLE") && fits_name(line).starts_with(b"SIMPLE") && fits_value(line) == b"T"
}

/// The name that a line of a FITS header begins with.
pub(super) fn fits_name(line: &[u8]) -> &[u8] {
    stripped(&line[..line.len().min(8)])
}

/// The value in a line of a FITS header.
pub(super) fn fits_value(line: &[u8]) -> &[u8] {
    let text = line.get(8..).unwrap_or_default();
    let text = stripped(text.split(|&byte| byte == b'/').next().unwrap_or_default());
    text.strip_prefix(b"=").map_or(text, stripped)
}

/// Bytes of the header of a FLI file.
const FLI_HEADER: usize = 128;

/// Whether this is the header of a FLI animation: with its mark, flags, and zeros where nothing is defined.
pub(super) fn is_fli(head: &[u8]) -> bool {
    let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
    head.get(..FLI_HEADER).is_some_and(|head| {
        matches!(short(head, 4), Some(0xaf11 | 0xaf12))
            && matches!(short(head, 14), Some(0 | 3))
            && [20..22, 42..80, 88..FLI_HEADER]
                .into_iter()
                .all(|zeros| is_zero(&head[zeros]))
    })
}

/// Bytes of the header of a brush of GIMP without a comment, of version 1 and of version 2, which has a mark as well.
const GBR_HEADER: usize = 20;
const GBR_HEADER_2: usize = 28;
const GBR_MARK: &[u8] = b"GIMP";

/// Whether a file begins with the header of a brush, which has no mark in version 1.
pub(super) fn is_gbr(head: &[u8]) -> bool {
    let number = |at| big_long(head, at).unwrap_or_default();
    let has_mark = head.get(GBR_HEADER..GBR_HEADER + GBR_MARK.len()) == Some(GBR_MARK);
    let is_version = matches!((number(4), number(0)), (1, GBR_HEADER..))
        || (number(4) == 2 && number(0) >= GBR_HEADER_2 && has_mark);
    is_version && number(8) != 0 && number(12) != 0 && matches!(number(16), 1 | 4)
}

/// A number of a header of `McIDAS`, in which the numbers are counted from 1.
pub(super) fn mcidas_number(head: &[u8], place: usize) -> i64 {
    let bytes = head.get(4 * (place - 1)..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |&bytes| i32::from_be_bytes(bytes).into())
}

/// Whether a file begins with a complete header of `McIDAS`, with rows, columns, and numbers of a possible size.
pub(super) fn is_mcidas(head: &[u8]) -> bool {
    let number = |place| mcidas_number(head, place);
    head.starts_with(b"\0\0\0\0\0\0\0\x04")
        && head.len() >= 256
        && number(9) > 0
        && number(10) > 0
        && matches!(number(11), 1 | 2 | 4)
}

/// The place of the mark of a Photo CD, and the mark.
pub(super) const PCD_AT: usize = 2048;
pub(super) const PCD: &[u8] = b"PCD_";
