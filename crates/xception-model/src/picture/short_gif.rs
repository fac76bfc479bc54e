//! The first picture of a GIF file that ends early or has an impossible code, as Pillow reads it with
//! `LOAD_TRUNCATED_IMAGES` (`GifDecode.c`).

use weezl::{BitOrder, LzwStatus, decode::Decoder};

/// Bytes of a picture's header, its flags among them, and the flag of a palette.
const HEADER: usize = 10;
const FLAGS: usize = 9;
const HAS_PALETTE: u8 = 0x80;

/// First row and distance of the rows in each pass of an interlaced picture.
const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];

pub(super) struct ShortFrame {
    pub width: usize,
    pub height: usize,
    pub is_interlaced: bool,
    /// The place in the palette of what is missing.
    pub ground: u8,
}

/// The file from a picture on without a block that is cut: Pillow waits for whole ones.
pub(super) fn without_a_cut_block(picture: &[u8]) -> &[u8] {
    let Some(mut at) = data_at(picture) else {
        return picture;
    };
    while let Some(&length) = picture.get(at).filter(|&&length| length != 0) {
        let next = at + 1 + usize::from(length);
        if next > picture.len() {
            return &picture[..at];
        }
        at = next;
    }
    picture
}

/// Where the blocks of a picture begin: behind the length of a code.
fn data_at(picture: &[u8]) -> Option<usize> {
    let flags = *picture.get(FLAGS)?;
    let palette_len = if flags & HAS_PALETTE == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    };
    Some(HEADER + palette_len + 1)
}

impl ShortFrame {
    /// Fills the places in the palette of a picture that begins with its header, and counts those before the end or the
    /// first impossible code.
    pub fn read(&self, picture: &[u8], places: &mut [u8]) -> usize {
        places.fill(self.ground);
        let parts = data_at(picture).and_then(|at| picture.split_at_checked(at));
        let found = match parts {
            Some((&[.., code_len @ 1..=11], data)) => decoded(data, code_len, places),
            _ => 0,
        };
        if self.is_interlaced && found > 0 {
            let in_order = places.to_vec();
            let rows = PASSES
                .iter()
                .flat_map(|&(first, step)| (first..self.height).step_by(step));
            for (row, places_of_row) in rows.zip(in_order.chunks_exact(self.width)) {
                places[row * self.width..][..self.width].copy_from_slice(places_of_row);
            }
        }
        found
    }
}

/// Fills the places with those behind the codes and counts them.
fn decoded(mut data: &[u8], code_len: u8, places: &mut [u8]) -> usize {
    let mut decoder = Decoder::new(BitOrder::Lsb, code_len);
    let mut found = 0;
    // An empty block is no end for Pillow.
    while let Some((&length, rest)) = data.split_first()
        && let Some((mut block, rest)) = rest.split_at_checked(length.into())
    {
        data = rest;
        // Of a block that is read through, pixels may still be to come.
        while found < places.len() {
            let step = decoder.decode_bytes(block, &mut places[found..]);
            block = &block[step.consumed_in..];
            found += step.consumed_out;
            match step.status {
                Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
                Ok(LzwStatus::Ok | LzwStatus::NoProgress) => break,
                Ok(LzwStatus::Done) | Err(_) => return found,
            }
        }
    }
    found
}
