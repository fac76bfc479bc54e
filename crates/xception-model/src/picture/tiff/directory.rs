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
    pub const LUMA: u16 = 529;
    pub const SUBSAMPLING: u16 = 530;
    pub const BLACK_AND_WHITE: u16 = 532;
    pub const XMP: u16 = 700;

    /// Tags without which a picture would look different.
    pub const ALL: [u16; 25] = [
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
        LUMA,
        SUBSAMPLING,
        BLACK_AND_WHITE,
    ];
}

/// Types of values: bytes, and numbers of 16, 32 and 64 bits.
const BYTE: u64 = 1;
const SHORT: u64 = 3;
const LONG: u64 = 4;
const RATIO: u64 = 5;
const UNDEFINED: u64 = 7;
const LONG_8: u64 = 16;

/// The bytes of a number in a file.
fn number(bytes: &[u8], little: bool) -> u64 {
    let join = |number: u64, &byte: &u8| (number << 8) | u64::from(byte);
    if little {
        bytes.iter().rev().fold(0, join)
    } else {
        bytes.iter().fold(0, join)
    }
}

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
}

impl<'a> Directory<'a> {
    /// `None` if the directory or the values of a used tag do not lie within the file.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let little = bytes.first() == Some(&b'I');
        let at = |place: usize, length: usize| {
            let bytes = bytes.get(place..place.checked_add(length)?)?;
            usize::try_from(number(bytes, little)).ok()
        };
        // BigTIFF (43) has counts and places of eight bytes.
        let is_big = at(2, 2)? == 43;
        let (place, count_len, word) = if is_big { (at(8, 8)?, 8, 8) } else { (at(4, 4)?, 2, 4) };
        let first = place.checked_add(count_len)?;
        let entry_len = 4 + 2 * word;
        let mut entries = Vec::new();
        for index in 0..at(place, count_len)? {
            let entry = first.checked_add(index.checked_mul(entry_len)?)?;
            let (number, kind, count) = (at(entry, 2)?, at(entry + 2, 2)? as u64, at(entry + 4, word)?);
            let size = match kind {
                BYTE | UNDEFINED => 1,
                SHORT => 2,
                LONG => 4,
                RATIO | LONG_8 => 8,
                _ => continue,
            };
            let inline = entry + 4 + word;
            let length = count.checked_mul(size)?;
            let start = if length <= word { inline } else { at(inline, word)? };
            let values = start.checked_add(length).and_then(|end| bytes.get(start..end));
            match values {
                Some(values) => entries.push(Entry {
                    tag: number as u16,
                    kind,
                    values,
                }),
                None if tag::ALL.contains(&(number as u16)) => return None,
                None => {}
            }
        }
        Some(Self { little, entries })
    }

    fn entry(&self, tag: u16) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    pub fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.entry(tag).map(|entry| entry.values)
    }

    pub fn numbers(&self, tag: u16) -> Option<Vec<u64>> {
        let entry = self.entry(tag)?;
        let size = match entry.kind {
            BYTE => 1,
            SHORT => 2,
            LONG => 4,
            LONG_8 => 8,
            _ => return None,
        };
        let numbers = entry.values.chunks_exact(size);
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
