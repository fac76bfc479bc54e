//! The tags of the first picture of a TIFF file.

/// Tags by name (TIFF 6.0, and its technical note 2 for `JPEGTables`).
pub(super) mod tag {
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const SAMPLES: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_COUNTS: u16 = 279;
    pub const PLANES: u16 = 284;
    pub const GROUP_3_OPTIONS: u16 = 292;
    pub const PREDICTOR: u16 = 317;
    pub const PALETTE: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_HEIGHT: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_COUNTS: u16 = 325;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const JPEG_STREAM: u16 = 513;
    pub const JPEG_STREAM_LENGTH: u16 = 514;
    pub const JPEG_DIVISORS: u16 = 519;
    pub const JPEG_MEAN_CODES: u16 = 520;
    pub const JPEG_CODES: u16 = 521;
    pub const LUMA: u16 = 529;
    pub const SUBSAMPLING: u16 = 530;
    pub const BLACK_AND_WHITE: u16 = 532;
    pub const XMP: u16 = 700;

    /// Tags without which a picture would look different.
    pub const ALL: [u16; 30] = [
        WIDTH,
        HEIGHT,
        BITS,
        COMPRESSION,
        PHOTOMETRIC,
        FILL_ORDER,
        STRIP_OFFSETS,
        ORIENTATION,
        SAMPLES,
        ROWS_PER_STRIP,
        STRIP_COUNTS,
        PLANES,
        GROUP_3_OPTIONS,
        PREDICTOR,
        PALETTE,
        TILE_WIDTH,
        TILE_HEIGHT,
        TILE_OFFSETS,
        TILE_COUNTS,
        EXTRA_SAMPLES,
        SAMPLE_FORMAT,
        JPEG_TABLES,
        JPEG_STREAM,
        JPEG_STREAM_LENGTH,
        JPEG_DIVISORS,
        JPEG_MEAN_CODES,
        JPEG_CODES,
        LUMA,
        SUBSAMPLING,
        BLACK_AND_WHITE,
    ];
}

/// Tags of one number.
const SINGLE: [u16; 13] = [
    tag::WIDTH,
    tag::HEIGHT,
    tag::COMPRESSION,
    tag::PHOTOMETRIC,
    tag::FILL_ORDER,
    tag::ORIENTATION,
    tag::SAMPLES,
    tag::ROWS_PER_STRIP,
    tag::PLANES,
    tag::GROUP_3_OPTIONS,
    tag::PREDICTOR,
    tag::TILE_WIDTH,
    tag::TILE_HEIGHT,
];

/// Tags of the places of tables.
const TABLES: [u16; 5] = [
    tag::JPEG_STREAM,
    tag::JPEG_STREAM_LENGTH,
    tag::JPEG_DIVISORS,
    tag::JPEG_MEAN_CODES,
    tag::JPEG_CODES,
];

/// Used tags of other values than whole numbers.
const NO_NUMBERS: [u16; 3] = [tag::JPEG_TABLES, tag::LUMA, tag::BLACK_AND_WHITE];

/// Types of values: bytes, and numbers of 16, 32 and 64 bits, some with a sign.
const BYTE: u64 = 1;
const ASCII: u64 = 2;
const SHORT: u64 = 3;
const LONG: u64 = 4;
const RATIO: u64 = 5;
const SIGNED_BYTE: u64 = 6;
const UNDEFINED: u64 = 7;
const SIGNED_SHORT: u64 = 8;
const SIGNED_LONG: u64 = 9;
const SIGNED_RATIO: u64 = 10;
const FLOAT: u64 = 11;
const DOUBLE: u64 = 12;
/// The place of a directory.
const PLACE: u64 = 13;
const LONG_8: u64 = 16;

/// Bytes of a value; `None` for types that Pillow does not know, whose tags it passes over.
fn size(kind: u64) -> Option<usize> {
    Some(match kind {
        BYTE | ASCII | SIGNED_BYTE | UNDEFINED => 1,
        SHORT | SIGNED_SHORT => 2,
        LONG | SIGNED_LONG | FLOAT | PLACE => 4,
        RATIO | SIGNED_RATIO | DOUBLE | LONG_8 => 8,
        _ => return None,
    })
}

/// The bytes of a number in a file.
fn number(bytes: &[u8], little: bool) -> u64 {
    let join = |number: u64, &byte: &u8| (number << 8) | u64::from(byte);
    if little {
        bytes.iter().rev().fold(0, join)
    } else {
        bytes.iter().fold(0, join)
    }
}

const UNUSUAL: &str = "a tag has an unusual type";

/// A tag's type and values.
struct Entry<'a> {
    tag: u16,
    kind: u64,
    values: &'a [u8],
}

/// The first directory of a file.
pub(super) struct Directory<'a> {
    pub little: bool,
    entries: Vec<Entry<'a>>,
    /// Damage that Pillow reads over.
    pub damage: Option<&'static str>,
    /// libtiff, which reads compressed files for Pillow, sees other tags than Pillow.
    pub is_disputed: bool,
}

impl<'a> Directory<'a> {
    /// As Pillow reads it (`TiffImagePlugin.py`, `ImageFileDirectory_v2.load`).
    ///
    /// # Errors
    ///
    /// What makes the file unreadable.
    pub fn read(bytes: &'a [u8]) -> Result<Self, &'static str> {
        const INCOMPLETE: &str = "its directory is incomplete";

        let little = bytes.first() == Some(&b'I');
        let at = |place: usize, length: usize| {
            let bytes = bytes.get(place..place.checked_add(length)?)?;
            usize::try_from(number(bytes, little)).ok()
        };
        // BigTIFF (43) has counts and places of eight bytes.
        let is_big = at(2, 2).ok_or(INCOMPLETE)? == 43;
        let (place, count_len, word) = if is_big { (at(8, 8), 8, 8) } else { (at(4, 4), 2, 4) };
        let place = place.ok_or(INCOMPLETE)?;
        let all = at(place, count_len).ok_or(INCOMPLETE)?;
        let mut directory = Self {
            little,
            entries: Vec::new(),
            damage: None,
            is_disputed: false,
        };
        let mut is_stored = vec![false; 1 << 16];
        // Values beside the directory are at most as long as the file, all together.
        let mut budget = bytes.len();
        for index in 0..all {
            let entry = index
                .checked_mul(4 + 2 * word)
                .and_then(|start| start.checked_add(place + count_len));
            let head = entry.and_then(|entry| Some((entry, at(entry, 2)?, at(entry + 2, 2)?, at(entry + 4, word)?)));
            let Some((entry, number, kind, count)) = head.filter(|(entry, ..)| at(entry + 4 + word, word).is_some())
            else {
                return Err(INCOMPLETE);
            };
            let (tag, kind) = (number as u16, kind as u64);
            if is_stored[usize::from(tag)] {
                continue;
            }
            let inline = entry + 4 + word;
            let length = size(kind).map(|size| count.saturating_mul(size));
            let values = match length {
                Some(length) if length <= word => bytes.get(inline..inline + length),
                Some(length) if length <= budget => {
                    budget -= length;
                    let start = at(inline, word);
                    let values = start.and_then(|start| bytes.get(start..start.checked_add(length)?));
                    if values.is_none() {
                        // Pillow reads no further, and makes another picture of the tags that are left.
                        let mut tags =
                            (index..all).map_while(|index| at(place + count_len + index * (4 + 2 * word), 2));
                        if tags.any(|tag| tag::ALL.contains(&(tag as u16))) {
                            return Err(INCOMPLETE);
                        }
                        directory.damage = Some("the values of a tag lie outside of the file");
                        break;
                    }
                    values
                }
                Some(_) => {
                    budget = 0;
                    None
                }
                None => None,
            };
            is_stored[usize::from(tag)] = values.is_some_and(|values| !values.is_empty());
            directory.add(tag, kind, count, values)?;
        }
        Ok(directory)
    }

    fn doubt(&mut self, damage: &'static str) {
        self.damage = Some(damage);
        self.is_disputed = true;
    }

    /// Adds a tag; `None` for values of an unknown type or out of the file, which Pillow passes over.
    fn add(&mut self, tag: u16, kind: u64, count: usize, values: Option<&'a [u8]>) -> Result<(), &'static str> {
        let is_used = tag::ALL.contains(&tag);
        if !is_used && tag != tag::XMP {
            return Ok(());
        }
        let Some(values) = values else {
            if is_used {
                self.doubt("a tag has an unknown type, or values outside of the file");
            }
            return Ok(());
        };
        if values.is_empty() {
            return Ok(());
        }
        if is_used && !NO_NUMBERS.contains(&tag) {
            match kind {
                BYTE if TABLES.contains(&tag) => self.doubt(UNUSUAL),
                // Pillow takes these bytes for text or for no colours.
                BYTE if ![tag::PLANES, tag::PALETTE, tag::ORIENTATION].contains(&tag) => {}
                LONG_8 if SINGLE.contains(&tag) => self.doubt(UNUSUAL),
                SHORT | LONG | LONG_8 => {}
                SIGNED_BYTE | SIGNED_SHORT | SIGNED_LONG | PLACE => {
                    let size = size(kind).unwrap_or(1);
                    let highest = if self.little { size - 1 } else { 0 };
                    if kind != PLACE && values.chunks_exact(size).any(|value| value[highest] > 127) {
                        return Err("a tag is a negative number");
                    }
                    self.doubt(UNUSUAL);
                }
                _ => return Err("a tag that should be a whole number is none"),
            }
            if SINGLE.contains(&tag) && count > 1 {
                self.doubt("a tag has several values instead of one");
                if tag == tag::PHOTOMETRIC {
                    return Ok(());
                }
            }
        }
        let is_usual = match tag {
            tag::JPEG_TABLES => matches!(kind, BYTE | UNDEFINED),
            tag::LUMA | tag::BLACK_AND_WHITE => kind == RATIO,
            _ => true,
        };
        if !is_usual {
            self.doubt(UNUSUAL);
        }
        self.entries.push(Entry { tag, kind, values });
        Ok(())
    }

    fn entry(&self, tag: u16) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    pub fn has(&self, tag: u16) -> bool {
        self.entry(tag).is_some()
    }

    pub fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.entry(tag).map(|entry| entry.values)
    }

    pub fn numbers(&self, tag: u16) -> Option<Vec<u64>> {
        let entry = self.entry(tag)?;
        if let RATIO | SIGNED_RATIO | FLOAT | DOUBLE | ASCII | UNDEFINED = entry.kind {
            return None;
        }
        let numbers = entry.values.chunks_exact(size(entry.kind)?);
        Some(numbers.map(|value| number(value, self.little)).collect())
    }

    pub fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag)?.first().copied()
    }

    pub fn ratios(&self, tag: u16) -> Option<Vec<f32>> {
        let entry = self.entry(tag).filter(|entry| entry.kind == RATIO)?;
        let ratio = |ratio: &[u8]| {
            let (above, below) = ratio.split_at(4);
            let (above, below) = (number(above, self.little), number(below, self.little));
            // As in libtiff, which takes nothing by nothing for 0.
            if below == 0 {
                0.0
            } else {
                (above as f64 / below as f64) as f32
            }
        };
        Some(entry.values.chunks_exact(8).map(ratio).collect())
    }
}
