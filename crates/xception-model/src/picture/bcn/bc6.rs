//! BC6: floating-point numbers of 16 bits, cut to 0 to 1.

use super::{
    block::{AREA, Bits, Block},
    partitions::{Partition, weights},
};

/// How a block is laid out.
struct Mode {
    parts: u8,
    /// All colours but the first are differences from it.
    are_deltas: bool,
    /// Bits of the first colour's channels.
    end: u8,
    /// Bits of the other colours' red, green and blue.
    deltas: [u8; 3],
    /// Table F: where each bit goes, the number of a channel times 16 and a place in it.
    bits: &'static [u8],
}

/// Channels of the colours of two parts.
const ENDS: usize = 12;

/// Bits of a partition.
const PARTITION: u8 = 5;

const MODES: [Mode; 14] = [
    Mode {
        parts: 2,
        are_deltas: true,
        end: 10,
        deltas: [5, 5, 5],
        bits: &[
            116, 132, 180, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 32, 33, 34, 35, 36,
            37, 38, 39, 40, 41, 48, 49, 50, 51, 52, 164, 112, 113, 114, 115, 64, 65, 66, 67, 68, 176, 160, 161, 162,
            163, 80, 81, 82, 83, 84, 177, 128, 129, 130, 131, 96, 97, 98, 99, 100, 178, 144, 145, 146, 147, 148, 179,
        ],
    },
    Mode {
        parts: 2,
        are_deltas: true,
        end: 7,
        deltas: [6, 6, 6],
        bits: &[
            117, 164, 165, 0, 1, 2, 3, 4, 5, 6, 176, 177, 132, 16, 17, 18, 19, 20, 21, 22, 133, 178, 116, 32, 33, 34,
            35, 36, 37, 38, 179, 181, 180, 48, 49, 50, 51, 52, 53, 112, 113, 114, 115, 64, 65, 66, 67, 68, 69, 160,
            161, 162, 163, 80, 81, 82, 83, 84, 85, 128, 129, 130, 131, 96, 97, 98, 99, 100, 101, 144, 145, 146, 147,
            148, 149,
        ],
    },
    Mode {
        parts: 2,
        are_deltas: true,
        end: 11,
        deltas: [5, 4, 4],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 32, 33, 34, 35, 36, 37, 38, 39, 40,
            41, 48, 49, 50, 51, 52, 10, 112, 113, 114, 115, 64, 65, 66, 67, 26, 176, 160, 161, 162, 163, 80, 81, 82,
            83, 42, 177, 128, 129, 130, 131, 96, 97, 98, 99, 100, 178, 144, 145, 146, 147, 148, 179,
        ],
    },
    Mode {
        parts: 2,
        are_deltas: true,
        end: 11,
        deltas: [4, 5, 4],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 32, 33, 34, 35, 36, 37, 38, 39, 40,
            41, 48, 49, 50, 51, 10, 164, 112, 113, 114, 115, 64, 65, 66, 67, 68, 26, 160, 161, 162, 163, 80, 81, 82,
            83, 42, 177, 128, 129, 130, 131, 96, 97, 98, 99, 176, 178, 144, 145, 146, 147, 116, 179,
        ],
    },
    Mode {
        parts: 2,
        are_deltas: true,
        end: 11,
        deltas: [4, 4, 5],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 32, 33, 34, 35, 36, 37, 38, 39, 40,
            41, 48, 49, 50, 51, 10, 132, 112, 113, 114, 115, 64, 65, 66, 67, 26, 176, 160, 161, 162, 163, 80, 81, 82,
            83, 84, 42, 128, 129, 130, 131, 96, 97, 98, 99, 177, 178, 144, 145, 146, 147, 180, 179,
        ],
    },
    Mode {
        parts: 2,
        are_deltas: true,
        end: 9,
        deltas: [5, 5, 5],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 132, 16, 17, 18, 19, 20, 21, 22, 23, 24, 116, 32, 33, 34, 35, 36, 37, 38, 39,
            40, 180, 48, 49, 50, 51, 52, 164, 112, 113, 114, 115, 64, 65, 66, 67, 68, 176, 160, 161, 162, 163, 80, 81,
            82, 83, 84, 177, 128, 129, 130, 131, 96, 97, 98, 99, 100, 178, 144, 145, 146, 147, 148, 179,
        ],
    },
    Mode {
        parts: 2,
        are_deltas: true,
        end: 8,
        deltas: [6, 5, 5],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 164, 132, 16, 17, 18, 19, 20, 21, 22, 23, 178, 116, 32, 33, 34, 35, 36, 37, 38, 39,
            179, 180, 48, 49, 50, 51, 52, 53, 112, 113, 114, 115, 64, 65, 66, 67, 68, 176, 160, 161, 162, 163, 80, 81,
            82, 83, 84, 177, 128, 129, 130, 131, 96, 97, 98, 99, 100, 101, 144, 145, 146, 147, 148, 149,
        ],
    },
    Mode {
        parts: 2,
        are_deltas: true,
        end: 8,
        deltas: [5, 6, 5],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 176, 132, 16, 17, 18, 19, 20, 21, 22, 23, 117, 116, 32, 33, 34, 35, 36, 37, 38, 39,
            165, 180, 48, 49, 50, 51, 52, 164, 112, 113, 114, 115, 64, 65, 66, 67, 68, 69, 160, 161, 162, 163, 80, 81,
            82, 83, 84, 177, 128, 129, 130, 131, 96, 97, 98, 99, 100, 178, 144, 145, 146, 147, 148, 179,
        ],
    },
    Mode {
        parts: 2,
        are_deltas: true,
        end: 8,
        deltas: [5, 5, 6],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 177, 132, 16, 17, 18, 19, 20, 21, 22, 23, 133, 116, 32, 33, 34, 35, 36, 37, 38, 39,
            181, 180, 48, 49, 50, 51, 52, 164, 112, 113, 114, 115, 64, 65, 66, 67, 68, 176, 160, 161, 162, 163, 80, 81,
            82, 83, 84, 85, 128, 129, 130, 131, 96, 97, 98, 99, 100, 178, 144, 145, 146, 147, 148, 179,
        ],
    },
    Mode {
        parts: 2,
        are_deltas: false,
        end: 6,
        deltas: [6, 6, 6],
        bits: &[
            0, 1, 2, 3, 4, 5, 164, 176, 177, 132, 16, 17, 18, 19, 20, 21, 117, 133, 178, 116, 32, 33, 34, 35, 36, 37,
            165, 179, 181, 180, 48, 49, 50, 51, 52, 53, 112, 113, 114, 115, 64, 65, 66, 67, 68, 69, 160, 161, 162, 163,
            80, 81, 82, 83, 84, 85, 128, 129, 130, 131, 96, 97, 98, 99, 100, 101, 144, 145, 146, 147, 148, 149,
        ],
    },
    Mode {
        parts: 1,
        are_deltas: false,
        end: 10,
        deltas: [10, 10, 10],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 32, 33, 34, 35, 36, 37, 38, 39, 40,
            41, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 80, 81, 82, 83, 84, 85,
            86, 87, 88, 89,
        ],
    },
    Mode {
        parts: 1,
        are_deltas: true,
        end: 11,
        deltas: [9, 9, 9],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 32, 33, 34, 35, 36, 37, 38, 39, 40,
            41, 48, 49, 50, 51, 52, 53, 54, 55, 56, 10, 64, 65, 66, 67, 68, 69, 70, 71, 72, 26, 80, 81, 82, 83, 84, 85,
            86, 87, 88, 42,
        ],
    },
    Mode {
        parts: 1,
        are_deltas: true,
        end: 12,
        deltas: [8, 8, 8],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 32, 33, 34, 35, 36, 37, 38, 39, 40,
            41, 48, 49, 50, 51, 52, 53, 54, 55, 11, 10, 64, 65, 66, 67, 68, 69, 70, 71, 27, 26, 80, 81, 82, 83, 84, 85,
            86, 87, 43, 42,
        ],
    },
    Mode {
        parts: 1,
        are_deltas: true,
        end: 16,
        deltas: [4, 4, 4],
        bits: &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 32, 33, 34, 35, 36, 37, 38, 39, 40,
            41, 48, 49, 50, 51, 15, 14, 13, 12, 11, 10, 64, 65, 66, 67, 31, 30, 29, 28, 27, 26, 80, 81, 82, 83, 47, 46,
            45, 44, 43, 42,
        ],
    },
];

/// The pixels of a block. One of an unknown mode is black.
///
/// Of signed numbers that are differences, Pillow takes those below zero for large ones.
pub(super) fn bc6(block: u128, is_signed: bool) -> Block {
    let mut bits = Bits(block);
    let number = match bits.take(2) {
        number @ (0 | 1) => number,
        2 => 2 + bits.take(3),
        _ => 10 + bits.take(3),
    };
    let Some(mode) = MODES.get(usize::from(number)) else {
        return [[0, 0, 0, 255]; AREA];
    };
    let mut ends = [0_u16; ENDS];
    for &place in mode.bits {
        ends[usize::from(place >> 4)] |= u16::from(bits.take(1)) << (place & 15);
    }
    let (partition_len, places) = if mode.parts == 2 { (PARTITION, 3) } else { (0, 4) };
    let partition = Partition::new(mode.parts, bits.take(partition_len));
    let ends = mode.whole(ends, is_signed).map(|end| mode.numbers(end, is_signed));
    std::array::from_fn(|index| {
        let part = partition.parts[index];
        let is_anchor = partition.anchors[part] == index;
        let place = bits.take(places - u8::from(is_anchor));
        let weight = weights(places)[usize::from(place)];
        let channel = |channel: usize| {
            let [first, second] = [0, 3].map(|end| ends[part * 6 + end + channel]);
            level((first * (64 - weight) + second * weight) >> 6, is_signed)
        };
        [channel(0), channel(1), channel(2), 255]
    })
}

impl Mode {
    /// The colours without differences and with their signs.
    fn whole(&self, mut ends: [u16; ENDS], is_signed: bool) -> [u16; ENDS] {
        let (first, others) = ends.split_at_mut(3);
        if is_signed {
            for end in &mut *first {
                *end = with_sign(*end, self.end);
            }
        }
        for other in others.chunks_exact_mut(3) {
            for (index, end) in other.iter_mut().enumerate() {
                if is_signed || self.are_deltas {
                    *end = with_sign(*end, self.deltas[index]);
                }
                if self.are_deltas {
                    *end = end.wrapping_add(first[index]) & (u16::MAX >> (16 - self.end));
                }
            }
        }
        ends
    }

    /// A channel of a colour in the full range (`bc6_unquantize`).
    fn numbers(&self, end: u16, is_signed: bool) -> i32 {
        let bits = self.end;
        let spread = |number: i32| ((number << 15) + 0x4000) >> (bits - 1);
        if is_signed {
            let number = i32::from(end.cast_signed());
            let size = match number.abs() {
                size if bits >= 16 || size == 0 => size,
                size if size >= (1 << (bits - 1)) - 1 => 0x7fff,
                size => spread(size),
            };
            if number < 0 { -size } else { size }
        } else {
            match i32::from(end) {
                number if bits >= 15 || number == 0 => number,
                number if number == (1 << bits) - 1 => 0xffff,
                number => spread(number),
            }
        }
    }
}

/// A number of so many bits, of which the highest is the sign.
fn with_sign(number: u16, bits: u8) -> u16 {
    let shift = 16 - bits;
    ((number << shift).cast_signed() >> shift).cast_unsigned()
}

/// A number between two colours as a level. What lies outside of 0 to 1 is cut.
fn level(number: i32, is_signed: bool) -> u8 {
    let half = if is_signed { number * 31 / 32 } else { number * 31 / 64 };
    // The bits of a floating-point number of 16 bits, of which none below zero counts. That of 1 is 0x3c00.
    match half {
        ..=0 => 0,
        0x3c00.. => 255,
        half => {
            let (exponent, fraction) = (half >> 10, half & 0x3ff);
            let value = match exponent {
                0 => fraction as f32 / 16_777_216.0,
                _ => (1024 + fraction) as f32 * 2.0_f32.powi(exponent - 25),
            };
            (value * 255.0) as u8
        }
    }
}
