//! How files of rarer formats begin, where that is more than a few fixed bytes.

use super::numbers::{long, short};

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

/// Whether a file begins with fields of IPTC, among them those that describe a picture.
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
