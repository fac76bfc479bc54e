//! What the sequence header of an AV1 stream says of the colours, and how many frames a stream has.

use super::properties::Colours;

/// Bytes of a stream that are searched for its header, as in libavif.
const SEARCHED: usize = 4096;

/// Bits from the highest of each byte on.
struct Bits<'b> {
    bytes: &'b [u8],
    place: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut number = 0_u32;
        for _ in 0..count {
            let byte = self.bytes.get(self.place / 8)?;
            number = number << 1 | u32::from(byte >> (7 - self.place % 8) & 1);
            self.place += 1;
        }
        Some(number)
    }

    fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// A number of variable length (`uvlc`).
    fn variable(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == 32 {
                return Some(u32::MAX);
            }
        }
        Some(self.take(zeros)? + ((1 << zeros) - 1))
    }
}

/// A unit of a stream (OBU).
struct Unit<'b> {
    kind: u8,
    content: &'b [u8],
}

/// The units of a stream, up to the first one that is broken.
fn units(mut rest: &[u8]) -> impl Iterator<Item = Unit<'_>> {
    std::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        if first & 0x80 != 0 {
            return None;
        }
        let mut after = after.get(usize::from(first & 4 != 0)..)?;
        let mut length = after.len() as u64;
        if first & 2 != 0 {
            length = 0;
            for shift in (0..56).step_by(7) {
                let (&byte, next) = after.split_first()?;
                after = next;
                length |= u64::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
                if shift == 49 {
                    return None;
                }
            }
        }
        let (content, next) = after.split_at_checked(usize::try_from(length).ok()?)?;
        rest = next;
        Some(Unit {
            kind: first >> 3 & 15,
            content,
        })
    })
}

/// The colours that the first sequence header names.
pub(super) fn colours_of(stream: &[u8]) -> Option<Colours> {
    let head = &stream[..stream.len().min(SEARCHED)];
    let header = units(head).find(|unit| unit.kind == 1)?;
    read_header(&mut Bits {
        bytes: header.content,
        place: 0,
    })
}

/// Frames of a stream, shown or not.
pub(super) fn frames_of(stream: &[u8]) -> usize {
    units(stream).filter(|unit| [3, 6].contains(&unit.kind)).count()
}

fn read_header(bits: &mut Bits<'_>) -> Option<Colours> {
    let profile = bits.take(3).filter(|&profile| profile < 3)?;
    let is_still = bits.flag()?;
    let is_reduced = bits.flag()?;
    if is_reduced && !is_still {
        return None;
    }
    if is_reduced {
        bits.take(5)?;
    } else {
        skip_operating_points(bits)?;
    }
    let [across, down] = [bits.take(4)? + 1, bits.take(4)? + 1];
    bits.take(across)?;
    bits.take(down)?;
    if !is_reduced && bits.flag()? {
        bits.take(7)?;
    }
    bits.take(1)?;
    skip_tools(bits, is_reduced)?;
    bits.take(3)?;
    let colours = read_colours(bits, profile)?;
    // Film grain, the last bit.
    bits.take(1)?;
    Some(colours)
}

fn skip_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_length = None;
    if bits.flag()? {
        bits.take(32)?;
        bits.take(32)?;
        if bits.flag()? && bits.variable()? == u32::MAX {
            return None;
        }
        if bits.flag()? {
            delay_length = Some(bits.take(5)? + 1);
            bits.take(32)?;
            bits.take(10)?;
        }
    }
    let has_delays = bits.flag()?;
    for _ in 0..=bits.take(5)? {
        bits.take(12)?;
        if bits.take(5)? > 7 {
            bits.take(1)?;
        }
        if let Some(length) = delay_length
            && bits.flag()?
        {
            bits.take(length)?;
            bits.take(length)?;
            bits.take(1)?;
        }
        if has_delays && bits.flag()? {
            bits.take(4)?;
        }
    }
    Some(())
}

fn skip_tools(bits: &mut Bits<'_>, is_reduced: bool) -> Option<()> {
    bits.take(2)?;
    if is_reduced {
        return Some(());
    }
    bits.take(4)?;
    let has_order = bits.flag()?;
    if has_order {
        bits.take(2)?;
    }
    let may_have_screen_content = bits.flag()? || bits.flag()?;
    if may_have_screen_content && !bits.flag()? {
        bits.take(1)?;
    }
    if has_order {
        bits.take(3)?;
    }
    Some(())
}

fn read_colours(bits: &mut Bits<'_>, profile: u32) -> Option<Colours> {
    let is_deep = bits.flag()?;
    let is_twelve = profile == 2 && is_deep && bits.flag()?;
    let is_grey = profile != 1 && bits.flag()?;
    let mut colours = Colours::UNSPECIFIED;
    if bits.flag()? {
        for number in [&mut colours.primaries, &mut colours.transfer, &mut colours.matrix] {
            *number = bits.take(8)? as u16;
        }
    }
    if is_grey {
        colours.is_full_range = bits.flag()?;
        return Some(colours);
    }
    let is_rgb = (colours.primaries, colours.transfer, colours.matrix) == (1, 13, 0);
    if !is_rgb {
        colours.is_full_range = bits.flag()?;
        let is_halved = match profile {
            0 => true,
            2 if is_twelve => bits.flag()? && bits.flag()?,
            _ => false,
        };
        if is_halved {
            bits.take(2)?;
        }
    }
    // Separate quantizers of the chroma planes.
    bits.take(1)?;
    Some(colours)
}
