//! FLI and FLC (Autodesk Animator), the first frame, with Pillow's numbers (`FliImagePlugin.py`, `FliDecode.c`).

use image::DynamicImage;

use super::{
    canvas::{Canvas, Palette},
    error::PictureError,
    fault::{damaged, early, unsupported},
    limits::DecodeLimits,
    numbers::{long, short},
};

const FORMAT: &str = "FLI";
const HEADER: usize = 128;
/// Bytes of the header of a frame, and of a part of it.
const FRAME_HEADER: usize = 16;
const PART_HEADER: usize = 6;

/// Types of frames and of their parts.
const FRAME: usize = 0xf1fa;
const PREFIX: usize = 0xf100;
const COLOURS_OF_8_BITS: usize = 4;
const WORDS: usize = 7;
const COLOURS_OF_6_BITS: usize = 11;
const LINES: usize = 12;
const BLACK: usize = 13;
const RUNS: usize = 15;
const COPY: usize = 16;
const STAMP: usize = 18;

pub(super) fn decode_fli(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let number = |at| short(bytes, at).ok_or_else(|| early(FORMAT));
    if number(6)? == 0 {
        return Err(damaged(FORMAT, "it has no frames"));
    }
    let canvas = Canvas::new(FORMAT, [number(8)?, number(10)?], 5, limits)?;
    match number(HEADER + 4)? {
        FRAME => {}
        PREFIX => return Err(unsupported(FORMAT, "it begins with another part than its first frame")),
        _ => return Err(damaged(FORMAT, "it has something else where its first frame must be")),
    }
    let palette = palette(bytes)?;
    let length = long(bytes, HEADER).ok_or_else(|| early(FORMAT))?;
    let frame = &bytes[HEADER..];
    let frame = &frame[..frame.len().min(length)];
    // One byte of padding may be missing.
    if frame.len().next_multiple_of(2) < length {
        return Err(early(FORMAT));
    }
    canvas.of_places(&frame_of(frame, &canvas)?, &palette)
}

/// The colours of the first part that has some; without one, levels of grey.
fn palette(bytes: &[u8]) -> Result<Palette, PictureError> {
    let mut colours: [_; 256] = std::array::from_fn(|level| [level as u8, level as u8, level as u8, 255]);
    let mut at = HEADER + FRAME_HEADER;
    for _ in 0..short(bytes, HEADER + 6).unwrap_or_default() {
        let head = bytes.get(at..).and_then(|part| part.get(..PART_HEADER));
        let head = head.ok_or_else(|| early(FORMAT))?;
        match (short(head, 4), long(head, 0)) {
            (Some(kind @ (COLOURS_OF_8_BITS | COLOURS_OF_6_BITS)), _) => {
                let shift = if kind == COLOURS_OF_6_BITS { 2 } else { 0 };
                fill(&mut colours, bytes.get(at + PART_HEADER..).unwrap_or_default(), shift)?;
                break;
            }
            (_, Some(length @ 1..)) => at += length,
            _ => break,
        }
    }
    Palette::new(colours.into_iter(), false).ok_or_else(|| early(FORMAT))
}

/// Packets of a number of colours to leave as they are, a number of new ones, and these.
fn fill(colours: &mut [[u8; 4]; 256], data: &[u8], shift: u32) -> Result<(), PictureError> {
    let packets = short(data, 0).ok_or_else(|| early(FORMAT))?;
    let mut data = &data[2..];
    let mut place = 0;
    for _ in 0..packets {
        let (&[skipped, count], rest) = data.split_first_chunk().ok_or_else(|| early(FORMAT))?;
        let count = if count == 0 { 256 } else { usize::from(count) };
        place += usize::from(skipped);
        let changed = colours.get_mut(place..place + count);
        let changed = changed.ok_or_else(|| damaged(FORMAT, "its palette is too long"))?;
        // Pillow reads fewer colours at the end of a file.
        let (new, rest) = rest.split_at(rest.len().min(3 * count));
        let (new, incomplete) = new.as_chunks::<3>();
        if !incomplete.is_empty() {
            return Err(early(FORMAT));
        }
        for (colour, new) in changed.iter_mut().zip(new) {
            if new.iter().any(|&level| u32::from(level) << shift > 255) {
                return Err(damaged(FORMAT, "a colour has more than 6 bits"));
            }
            let [red, green, blue] = new.map(|level| level << shift);
            *colour = [red, green, blue, 255];
        }
        place += new.len();
        data = rest;
    }
    Ok(())
}

/// The places in the palette that the parts of a frame make of an empty picture.
fn frame_of(frame: &[u8], canvas: &Canvas) -> Result<Vec<u8>, PictureError> {
    let parts = short(frame, 6).ok_or_else(|| early(FORMAT))?;
    let mut places = vec![0; canvas.pixels()];
    let mut part = frame.get(FRAME_HEADER..).unwrap_or_default();
    for _ in 0..parts {
        if part.len() < PART_HEADER + 4 {
            return Err(early(FORMAT));
        }
        let mut data = Data(&part[PART_HEADER..]);
        let rows = places.chunks_exact_mut(canvas.width);
        match short(part, 4).unwrap_or_default() {
            COLOURS_OF_8_BITS | COLOURS_OF_6_BITS | STAMP => {}
            WORDS => data.words(&mut rows.collect::<Vec<_>>())?,
            LINES => data.lines(&mut rows.collect::<Vec<_>>())?,
            BLACK => places.fill(0),
            RUNS => rows.into_iter().try_for_each(|row| data.runs(row))?,
            COPY => places.copy_from_slice(data.take(canvas.pixels())?),
            _ => return Err(damaged(FORMAT, "a part of its first frame has an unknown type")),
        }
        let length = long(part, 0).unwrap_or_default();
        part = part
            .get(length..)
            .filter(|_| length != 0)
            .ok_or_else(|| early(FORMAT))?;
    }
    Ok(places)
}

fn too_long() -> PictureError {
    damaged(FORMAT, "a row is longer than the picture")
}

/// The bytes from a place in a frame to the end of the frame.
struct Data<'a>(&'a [u8]);

impl<'a> Data<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], PictureError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| early(FORMAT))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<usize, PictureError> {
        Ok(self.take(1)?[0].into())
    }

    fn word(&mut self) -> Result<usize, PictureError> {
        short(self.take(2)?, 0).ok_or_else(|| early(FORMAT))
    }

    /// A row of runs and literals from its beginning to its end.
    fn runs(&mut self, row: &mut [u8]) -> Result<(), PictureError> {
        self.byte()?;
        let mut x = 0;
        while x < row.len() {
            let count = self.byte()?;
            // The byte of a run, or the first of the literals.
            let first = *self.0.first().ok_or_else(|| early(FORMAT))?;
            let (length, is_run) = if count & 0x80 == 0 {
                (count, true)
            } else {
                (256 - count, false)
            };
            let pixels = row.get_mut(x..x + length).ok_or_else(too_long)?;
            if is_run {
                pixels.fill(first);
                self.byte()?;
            } else {
                pixels.copy_from_slice(self.take(length)?);
            }
            x += length;
        }
        Ok(())
    }

    /// Changes of a number of rows, in bytes.
    fn lines(&mut self, rows: &mut [&mut [u8]]) -> Result<(), PictureError> {
        let (first, count) = (self.word()?, self.word()?);
        for y in first..first + count {
            // Rows beyond the picture are an error without regard to the data behind them.
            let row = rows.get_mut(y).ok_or_else(too_long)?;
            let packets = self.byte()?;
            let mut x = 0;
            for _ in 0..packets {
                x += self.byte()?;
                let count = self.byte()?;
                if count & 0x80 == 0 {
                    let pixels = row.get_mut(x..x + count).ok_or_else(too_long)?;
                    pixels.copy_from_slice(self.take(count)?);
                    x += count;
                } else {
                    let pixels = row.get_mut(x..x + 256 - count).ok_or_else(too_long)?;
                    pixels.fill(self.take(1)?[0]);
                    x += 256 - count;
                }
            }
        }
        Ok(())
    }

    /// Changes of a number of rows, in pairs of bytes.
    fn words(&mut self, rows: &mut [&mut [u8]]) -> Result<(), PictureError> {
        let count = self.word()?;
        let mut y = 0;
        for _ in 0..count {
            if y >= rows.len() {
                return Err(too_long());
            }
            let mut packets = self.word()?;
            while packets & 0x8000 != 0 {
                if packets & 0x4000 != 0 {
                    y += 65_536 - packets;
                    if y >= rows.len() {
                        return Err(too_long());
                    }
                } else if let Some(last) = rows[y].last_mut() {
                    *last = packets as u8;
                }
                packets = self.word()?;
            }
            let row = &mut rows[y];
            let mut x = 0;
            for _ in 0..packets {
                x += self.byte()?;
                let count = self.byte()?;
                if count < 128 {
                    let pixels = row.get_mut(x..x + 2 * count).ok_or_else(too_long)?;
                    pixels.copy_from_slice(self.take(2 * count)?);
                    x += 2 * count;
                } else {
                    let length = 2 * (256 - count);
                    let pair = self.take(2)?;
                    let pixels = row.get_mut(x..x + length).ok_or_else(too_long)?;
                    for pixels in pixels.chunks_exact_mut(2) {
                        pixels.copy_from_slice(pair);
                    }
                    x += length;
                }
            }
            y += 1;
        }
        Ok(())
    }
}
