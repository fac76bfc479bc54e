//! The compressions of fax machines: CCITT (ITU-T) T.4 in one and two dimensions, and T.6.

use super::chunk::Chunk;
use fax::{
    BitReader, Bits,
    maps::{EOL, Mode, black, mode, white},
    slice_reader,
};

/// The number of compression T.4 without marks between the rows, which begin at whole bytes.
const PLAIN: u64 = 2;
/// T.4.
const GROUP_3: u64 = 3;
/// Of T.4: rows may be coded by the row above.
const TWO_DIMENSIONS: u64 = 1;

/// Zeros behind the data, so that a last code is found whose first bits may begin longer ones.
const PADDING: usize = 8;

/// Fills `out` with rows of bits, of which 1 is black; `None` for damaged data.
///
/// Of the first strip, the rows behind an early end are zeros. Those of later strips are, in libtiff's memory, what is
/// left of the strip before: such files are refused.
pub(super) fn decode(chunk: &Chunk<'_>, bytes: &[u8], compression: u64, out: &mut [u8]) -> Option<()> {
    let width = chunk.width;
    let padded = [bytes, &[0; PADDING]].concat();
    let mut reader = slice_reader(&padded);
    let mut changes = Vec::new();
    for (index, row) in out.chunks_exact_mut(chunk.row_len).enumerate() {
        let by_row_above = match compression {
            PLAIN => false,
            GROUP_3 => {
                skip_mark(&mut reader)?;
                chunk.options & TWO_DIMENSIONS != 0 && !take_bit(&mut reader)?
            }
            _ => true,
        };
        changes = if by_row_above {
            match two_dimensions(&mut reader, &changes, width)? {
                Row::Changes(changes) => changes,
                Row::End => return (index > 0 && chunk.is_first).then_some(()),
            }
        } else {
            one_dimension(&mut reader, width)?
        };
        if compression == PLAIN {
            reader.consume(reader.bits_to_byte_boundary()).ok()?;
        }
        for run in changes.chunks(2) {
            // From a change to black to the next one, or to the border.
            for place in run[0]..run.get(1).copied().unwrap_or(width) {
                row[place / 8] |= 0x80 >> (place % 8);
            }
        }
    }
    Some(())
}

/// The columns at which the colour of a row changes: first to black, then to white, and so on.
type Changes = Vec<usize>;

enum Row {
    Changes(Changes),
    End,
}

fn take_bit(reader: &mut impl BitReader) -> Option<bool> {
    let bit = reader.peek(1)? == 1;
    reader.consume(1).ok()?;
    Some(bit)
}

/// Skips to behind the next mark of a row's begin.
fn skip_mark(reader: &mut impl BitReader) -> Option<()> {
    let Bits { data, len } = EOL;
    while reader.peek(len)? != data {
        reader.consume(1).ok()?;
    }
    reader.consume(len).ok()
}

/// A run of one colour.
fn run(reader: &mut impl BitReader, is_black: bool) -> Option<usize> {
    let mut length = 0;
    loop {
        let part = if is_black {
            black::decode(reader)
        } else {
            white::decode(reader)
        }?;
        length += usize::from(part);
        // Longer runs begin with multiples of 64.
        if part < 64 {
            return Some(length);
        }
    }
}

fn one_dimension(reader: &mut impl BitReader, width: usize) -> Option<Changes> {
    let (mut changes, mut place, mut is_black) = (Vec::new(), 0, false);
    while place < width {
        place += run(reader, is_black)?;
        // libtiff notes the damage and cuts the row; what follows is seldom right.
        if place > width {
            return None;
        }
        changes.push(place);
        is_black = !is_black;
    }
    Some(changes)
}

fn two_dimensions(reader: &mut impl BitReader, above: &[usize], width: usize) -> Option<Row> {
    let (mut changes, mut is_black) = (Vec::new(), false);
    // No place before the first pixel.
    let mut place = None;
    let mut index = 0;
    while place.is_none_or(|place| place < width) {
        // The next change above to the other colour, and the one after it.
        while index > 0 && place.is_none_or(|place| above[index - 1] > place) {
            index -= 1;
        }
        while index < above.len() && place.is_some_and(|place| above[index] <= place) {
            index += 1;
        }
        let next = index + usize::from(index % 2 != usize::from(is_black));
        let above = |index: usize| above.get(index).copied().unwrap_or(width);
        match mode::decode(reader)? {
            Mode::Pass => place = Some(above(next + 1)),
            Mode::Vertical(offset) => {
                let change = above(next).checked_add_signed(isize::from(offset))?;
                if change > width || place.is_some_and(|place| change < place) {
                    return None;
                }
                changes.push(change);
                place = Some(change);
                is_black = !is_black;
            }
            Mode::Horizontal => {
                let first = place.unwrap_or(0) + run(reader, is_black)?;
                let second = first + run(reader, !is_black)?;
                if second > width {
                    return None;
                }
                changes.extend([first, second]);
                place = Some(second);
            }
            Mode::EOF if place.is_none() => return Some(Row::End),
            // The end within a row is a broken code.
            Mode::EOF | Mode::Extension => return None,
        }
    }
    Some(Row::Changes(changes))
}
