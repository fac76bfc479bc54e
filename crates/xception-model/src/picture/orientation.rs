//! The orientation that a file's metadata name, found as by Pillow (`Image.getexif`, `ImageOps.exif_transpose`).

use image::metadata::Orientation;

/// The orientation of EXIF data or, if these name none, of XMP data.
pub(super) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let number = exif.and_then(of_exif).or_else(|| xmp.and_then(of_xmp));
    let number = number.and_then(|number| u8::try_from(number).ok());
    // A damaged or impossible number is no reason to refuse an intact picture.
    number
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms)
}

/// Whether EXIF data name an orientation.
pub(super) fn is_named(exif: &[u8]) -> bool {
    of_exif(exif).is_some()
}

/// The number in the first directory of EXIF data, with or without `Exif` before it. As in Pillow it may have any
/// width, and the last one counts.
fn of_exif(exif: &[u8]) -> Option<u64> {
    const ORIENTATION: u64 = 0x0112;
    const ENTRY: usize = 12;

    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match exif.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let number = |place: usize, length: usize| -> Option<u64> {
        let bytes = exif.get(place..place.checked_add(length)?)?;
        let join = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Some(if little {
            bytes.iter().rev().fold(0, join)
        } else {
            bytes.iter().fold(0, join)
        })
    };
    let directory = usize::try_from(number(4, 4)?).ok()?;
    let count = number(directory, 2)? as usize;
    let mut found = None;
    for entry in (0..count).map(|index| directory + 2 + index * ENTRY) {
        let Some(tag) = number(entry, 2) else { break };
        if tag != ORIENTATION || number(entry + 4, 4) != Some(1) {
            continue;
        }
        // Bytes, and numbers of 16 and 32 bits, each without and with a sign.
        let length = match number(entry + 2, 2) {
            Some(1 | 6) => 1,
            Some(3 | 8) => 2,
            Some(4 | 9) => 4,
            _ => continue,
        };
        found = number(entry + 8, length).or(found);
    }
    found
}

/// The digit behind the first `tiff:Orientation="` or `tiff:Orientation>`.
fn of_xmp(xmp: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"tiff:Orientation";

    let mut rest = xmp;
    while let Some(place) = rest.windows(NAME.len()).position(|window| window == NAME) {
        rest = &rest[place + NAME.len()..];
        let value = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"));
        if let Some(digit) = value.and_then(<[u8]>::first).filter(|byte| byte.is_ascii_digit()) {
            return Some(u64::from(digit - b'0'));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EXIF data with entries of a tag, a type, a count and a value.
    fn exif(little: bool, entries: &[(u16, u16, u32, [u8; 4])]) -> Vec<u8> {
        let word = |number: u16| {
            if little {
                number.to_le_bytes()
            } else {
                number.to_be_bytes()
            }
        };
        let long = |number: u32| {
            if little {
                number.to_le_bytes()
            } else {
                number.to_be_bytes()
            }
        };
        let mut bytes = if little { b"II".to_vec() } else { b"MM".to_vec() };
        bytes.extend(word(42));
        bytes.extend(long(8));
        bytes.extend(word(entries.len() as u16));
        for &(tag, kind, count, value) in entries {
            bytes.extend(word(tag));
            bytes.extend(word(kind));
            bytes.extend(long(count));
            bytes.extend(value);
        }
        bytes
    }

    #[test]
    fn numbers_of_any_width_count() {
        for (little, kind, value) in [
            (true, 3, [6, 0, 0, 0]),
            (false, 3, [0, 6, 0, 0]),
            (true, 4, [6, 0, 0, 0]),
            (false, 4, [0, 0, 0, 6]),
            (true, 1, [6, 0, 0, 0]),
            (false, 9, [0, 0, 0, 6]),
        ] {
            let bytes = exif(little, &[(0x0112, kind, 1, value)]);
            assert_eq!(of_exif(&bytes), Some(6), "{little} {kind}");
            let with_name = [b"Exif\0\0", &bytes[..]].concat();
            assert_eq!(of_exif(&with_name), Some(6));
            for length in 0..bytes.len() {
                of_exif(&bytes[..length]);
            }
        }
        let two = exif(true, &[(0x0112, 3, 1, [3, 0, 0, 0]), (0x0112, 3, 1, [8, 0, 0, 0])]);
        assert_eq!(of_exif(&two), Some(8));
        assert_eq!(of_exif(&exif(true, &[(0x0112, 3, 2, [3, 0, 3, 0])])), None);
        assert_eq!(of_exif(&exif(true, &[(0x0112, 2, 1, *b"6\0\0\0")])), None);
        assert_eq!(of_exif(b"nothing"), None);
    }

    #[test]
    fn xmp_counts_where_exif_names_none() {
        let xmp = b"<x tiff:Orientation=''/><y tiff:Orientation=\"6\"/>";
        assert_eq!(of_xmp(xmp), Some(6));
        assert_eq!(of_xmp(b"<tiff:Orientation>3</tiff:Orientation>"), Some(3));
        assert_eq!(of_xmp(b"tiff:Orientation"), None);
        let upright = exif(true, &[(0x0112, 3, 1, [1, 0, 0, 0])]);
        assert_eq!(orientation(Some(&upright), Some(xmp)), Orientation::NoTransforms);
        assert_eq!(orientation(Some(b"II"), Some(xmp)), Orientation::Rotate90);
        assert_eq!(
            orientation(None, Some(b"tiff:Orientation>9")),
            Orientation::NoTransforms
        );
    }
}
