//! BC7: colours and opacity of eight bits, in one of eight modes for each block.

use super::{
    block::{AREA, Bits, Block},
    partitions::{Partition, weights},
};

/// How a block is laid out: numbers of bits, but for the parts.
struct Mode {
    parts: u8,
    partition: u8,
    rotation: u8,
    selection: u8,
    colour: u8,
    alpha: u8,
    extra: Extra,
    places: u8,
    second_places: u8,
}

/// Who shares a lowest bit.
#[derive(PartialEq, Eq)]
enum Extra {
    None,
    /// The channels of a colour.
    Ends,
    /// Both colours of a part.
    Parts,
}

const MODES: [Mode; 8] = [
    Mode {
        parts: 3,
        partition: 4,
        rotation: 0,
        selection: 0,
        colour: 4,
        alpha: 0,
        extra: Extra::Ends,
        places: 3,
        second_places: 0,
    },
    Mode {
        parts: 2,
        partition: 6,
        rotation: 0,
        selection: 0,
        colour: 6,
        alpha: 0,
        extra: Extra::Parts,
        places: 3,
        second_places: 0,
    },
    Mode {
        parts: 3,
        partition: 6,
        rotation: 0,
        selection: 0,
        colour: 5,
        alpha: 0,
        extra: Extra::None,
        places: 2,
        second_places: 0,
    },
    Mode {
        parts: 2,
        partition: 6,
        rotation: 0,
        selection: 0,
        colour: 7,
        alpha: 0,
        extra: Extra::Ends,
        places: 2,
        second_places: 0,
    },
    Mode {
        parts: 1,
        partition: 0,
        rotation: 2,
        selection: 1,
        colour: 5,
        alpha: 6,
        extra: Extra::None,
        places: 2,
        second_places: 3,
    },
    Mode {
        parts: 1,
        partition: 0,
        rotation: 2,
        selection: 0,
        colour: 7,
        alpha: 8,
        extra: Extra::None,
        places: 2,
        second_places: 2,
    },
    Mode {
        parts: 1,
        partition: 0,
        rotation: 0,
        selection: 0,
        colour: 7,
        alpha: 7,
        extra: Extra::Ends,
        places: 4,
        second_places: 0,
    },
    Mode {
        parts: 2,
        partition: 6,
        rotation: 0,
        selection: 0,
        colour: 5,
        alpha: 5,
        extra: Extra::Ends,
        places: 2,
        second_places: 0,
    },
];

/// The pixels of a block. One without a mode is black.
pub(super) fn bc7(block: u128) -> Block {
    let mut bits = Bits(block);
    let number = block.trailing_zeros() as usize;
    let Some(mode) = MODES.get(number) else {
        return [[0, 0, 0, 255]; AREA];
    };
    bits.0 >>= number + 1;
    let partition = Partition::new(mode.parts, bits.take(mode.partition));
    let rotation = bits.take(mode.rotation);
    let is_swapped = bits.take(mode.selection) == 1;
    let ends = ends(mode, &mut bits);
    let length = AREA as u8 * mode.places - mode.parts;
    let mut second_bits = Bits(bits.0 >> length);
    let mut pixels = [[0; 4]; AREA];
    for (index, pixel) in pixels.iter_mut().enumerate() {
        let part = partition.parts[index];
        let is_anchor = partition.anchors[part] == index;
        let place = bits.take(mode.places - u8::from(is_anchor));
        let mut colour = weights(mode.places)[usize::from(place)];
        let mut alpha = colour;
        if mode.second_places > 0 {
            let place = second_bits.take(mode.second_places - u8::from(index == 0));
            alpha = weights(mode.second_places)[usize::from(place)];
            if is_swapped {
                (colour, alpha) = (alpha, colour);
            }
        }
        let [first, second] = ends[part];
        *pixel = std::array::from_fn(|channel| {
            let weight = if channel == 3 { alpha } else { colour };
            let sum = i32::from(first[channel]) * (64 - weight) + i32::from(second[channel]) * weight;
            ((sum + 32) >> 6) as u8
        });
        if rotation > 0 {
            pixel.swap(usize::from(rotation) - 1, 3);
        }
    }
    pixels
}

/// Both colours of each part.
fn ends(mode: &Mode, bits: &mut Bits) -> [[[u8; 4]; 2]; 3] {
    let mut ends = [[[255; 4]; 2]; 3];
    let mut lengths = [mode.colour, mode.colour, mode.colour, mode.alpha];
    let parts = usize::from(mode.parts);
    for (channel, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length > 0) {
        for end in ends[..parts].as_flattened_mut() {
            end[channel] = bits.take(length);
        }
    }
    let channels = if mode.alpha > 0 { 4 } else { 3 };
    if mode.extra != Extra::None {
        for length in &mut lengths[..channels] {
            *length += 1;
        }
        for part in &mut ends[..parts] {
            let mut bit = 0;
            for (index, end) in part.iter_mut().enumerate() {
                if index == 0 || mode.extra == Extra::Ends {
                    bit = bits.take(1);
                }
                for level in &mut end[..channels] {
                    *level = *level << 1 | bit;
                }
            }
        }
    }
    for end in ends[..parts].as_flattened_mut() {
        for (level, length) in end[..channels].iter_mut().zip(lengths) {
            *level <<= 8 - length;
            *level |= level.checked_shr(length.into()).unwrap_or_default();
        }
    }
    ends
}
