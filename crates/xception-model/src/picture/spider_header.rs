//! The header of a SPIDER file, which has no mark (`SpiderImagePlugin.py`).

/// The numbers of a header that are looked at.
pub(super) const NUMBERS: usize = 27;

/// The places of numbers in the header, counted from 1 as in SPIDER's documentation: rows, kind, columns, records and
/// bytes of the header, bytes of a record, kind of stack, number within the stack.
pub(super) const ROWS: usize = 2;
pub(super) const KIND: usize = 5;
pub(super) const COLUMNS: usize = 12;
pub(super) const RECORDS: usize = 13;
pub(super) const HEADER_LEN: usize = 22;
pub(super) const RECORD_LEN: usize = 23;
pub(super) const STACK: usize = 24;
pub(super) const IN_STACK: usize = 27;

/// The numbers of the header, with one before them, and how they are stored.
pub(super) struct Header {
    pub numbers: [f64; NUMBERS + 1],
    pub is_big_endian: bool,
}

/// Whether a file begins with the header of a picture, which has no mark.
pub(super) fn is_spider(head: &[u8]) -> bool {
    Header::read(head).is_some()
}

impl Header {
    #[expect(clippy::float_cmp, reason = "whole numbers")]
    pub fn read(head: &[u8]) -> Option<Self> {
        [true, false].into_iter().find_map(|is_big_endian| {
            let mut numbers = [0.0; NUMBERS + 1];
            for (number, bytes) in numbers[1..].iter_mut().zip(head.get(..4 * NUMBERS)?.as_chunks().0) {
                *number = float(*bytes, is_big_endian);
            }
            let is_whole = |place: usize| numbers[place].is_finite() && numbers[place].fract() == 0.0;
            let is_header = [1, ROWS, KIND, COLUMNS, RECORDS, HEADER_LEN, RECORD_LEN]
                .into_iter()
                .all(is_whole)
                && numbers[KIND] == 1.0
                && numbers[HEADER_LEN] > 0.0
                && numbers[HEADER_LEN] == numbers[RECORDS] * numbers[RECORD_LEN]
                && numbers[ROWS] > 0.0
                && numbers[COLUMNS] > 0.0;
            is_header.then_some(Self { numbers, is_big_endian })
        })
    }
}

pub(super) fn float(bytes: [u8; 4], is_big_endian: bool) -> f64 {
    f64::from(if is_big_endian {
        f32::from_be_bytes(bytes)
    } else {
        f32::from_le_bytes(bytes)
    })
}
