//! Blocks of four colours on a line, and of eight levels between two (BC1 to BC5, or DXT1 to DXT5).

use super::block::{AREA, Block};

/// How colours of five bits, six of green, become eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Fifths {
    /// Their upper bits are repeated below them.
    Repeated,
    /// Zeros follow, so that white is grey: Pillow's way with BLP files.
    WithZeros,
}

impl Fifths {
    fn colour(self, pixel: u16) -> [u8; 3] {
        let [red, green, blue] =
            [(pixel >> 8) & 0xf8, (pixel >> 3) & 0xfc, (pixel << 3) & 0xf8].map(|level| level as u8);
        match self {
            Self::Repeated => [red | red >> 5, green | green >> 6, blue | blue >> 5],
            Self::WithZeros => [red, green, blue],
        }
    }
}

/// Four colours, or three and a black without opacity if the first is not the greater number.
pub(super) fn bc1(block: [u8; 8], fifths: Fifths) -> Block {
    let [a, b, c, d, ..] = block;
    four_colours(block, u16::from_le_bytes([a, b]) > u16::from_le_bytes([c, d]), fifths)
}

/// The first half is opacity.
pub(super) fn bc2(opacity: [u8; 8], colours: [u8; 8], fifths: Fifths) -> Block {
    let mut block = four_colours(colours, true, fifths);
    for (index, pixel) in block.iter_mut().enumerate() {
        pixel[3] = (opacity[index / 2] >> (index % 2 * 4) & 15) * 17;
    }
    block
}

/// The first half is opacity.
pub(super) fn bc3(opacity: [u8; 8], colours: [u8; 8], fifths: Fifths) -> Block {
    let mut block = four_colours(colours, true, fifths);
    for (pixel, level) in block.iter_mut().zip(levels(opacity)) {
        pixel[3] = level;
    }
    block
}

/// Two colours, and two bits for each pixel.
fn four_colours([a, b, c, d, places @ ..]: [u8; 8], are_four: bool, fifths: Fifths) -> Block {
    let ends = [[a, b], [c, d]].map(|end| fifths.colour(u16::from_le_bytes(end)));
    let between = |weights: [u16; 2]| {
        let level = |channel: usize| {
            let [first, second] = ends.map(|end| u16::from(end[channel]));
            ((first * weights[0] + second * weights[1]) / (weights[0] + weights[1])) as u8
        };
        [level(0), level(1), level(2), 255]
    };
    let colours = if are_four {
        [between([1, 0]), between([0, 1]), between([2, 1]), between([1, 2])]
    } else {
        [between([1, 0]), between([0, 1]), between([1, 1]), [0; 4]]
    };
    let places = u32::from_le_bytes(places);
    std::array::from_fn(|index| colours[(places >> (2 * index) & 3) as usize])
}

/// Two levels, and three bits for each pixel. Unless the first is the greater level, there are four between the two,
/// and 0 and 255.
pub(super) fn levels(block: [u8; 8]) -> [u8; AREA] {
    let [first, second] = [block[0], block[1]].map(usize::from);
    let steps = if first > second { 7 } else { 5 };
    let level = |place: usize| match place {
        0 => block[0],
        1 => block[1],
        place if place <= steps => ((first * (steps + 1 - place) + second * (place - 1)) / steps) as u8,
        6 => 0,
        _ => 255,
    };
    let places = u64::from_le_bytes(block) >> 16;
    std::array::from_fn(|index| level((places >> (3 * index) & 7) as usize))
}
