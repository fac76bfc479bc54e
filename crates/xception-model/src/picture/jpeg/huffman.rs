//! Huffman codes and the bits they are made of, with libjpeg's answers to damaged data (`jdhuff.c`).
//!
//! libjpeg reads an impossible code as the symbol 0, and zero bits where a marker ends the data too early. Both only
//! bring a warning, so a damaged file becomes the same picture everywhere.

use super::{fault::Fault, stream::Stream};

/// Codes up to this length are found by one look into a table.
const LOOK_BITS: u32 = 10;

/// A table as its segment (DHT) defines it.
#[derive(Clone)]
pub(super) struct Codes {
    /// How many codes have each length; `counts[0]` is unused.
    pub counts: [u8; 17],
    /// The symbols in the order of their codes, zero behind the last.
    pub symbols: [u8; 256],
}

impl Codes {
    /// `counts` from length 1 on.
    fn new(counts: [u8; 16], first: &[u8]) -> Self {
        let mut codes = Self {
            counts: [0; 17],
            symbols: [0; 256],
        };
        codes.counts[1..].copy_from_slice(&counts);
        codes.symbols[..first.len()].copy_from_slice(first);
        codes
    }

    /// The tables of Motion JPEG frames, which leave them out (`jstdhuff.c`; JPEG standard, section K.3): `[DC, AC]`
    /// for luminance and for chrominance.
    pub(super) fn standard() -> [[Self; 2]; 2] {
        const DC: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        [
            [
                Self::new([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &DC),
                Self::new([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], &LUMINANCE_AC),
            ],
            [
                Self::new([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &DC),
                Self::new([0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], &CHROMINANCE_AC),
            ],
        ]
    }
}

#[rustfmt::skip]
const LUMINANCE_AC: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
    0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

#[rustfmt::skip]
const CHROMINANCE_AC: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
    0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
    0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
    0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
    0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

/// A table made ready for decoding.
pub(super) struct Table {
    /// For the next [`LOOK_BITS`] bits: `length << 8 | symbol`, or 0 where the code is longer or impossible.
    look: Box<[u16; 1 << LOOK_BITS]>,
    /// The largest code of each length, -1 where there is none.
    max_code: [i32; 17],
    /// What to add to a code of each length for the place of its symbol.
    offset: [i32; 17],
    symbols: [u8; 256],
}

impl Table {
    /// `jpeg_make_d_derived_tbl`, with its checks.
    pub(super) fn new(codes: &Codes, of_dc: bool) -> Result<Self, Fault> {
        const BAD: Fault = Fault::Broken("a Huffman table is impossible");
        let mut table = Self {
            look: Box::new([0; 1 << LOOK_BITS]),
            max_code: [-1; 17],
            offset: [0; 17],
            symbols: codes.symbols,
        };
        let (mut code, mut place) = (0_i32, 0_i32);
        for length in 1..=16_u32 {
            let count = i32::from(codes.counts[length as usize]);
            if place + count > 256 {
                return Err(BAD);
            }
            if count > 0 {
                table.offset[length as usize] = place - code;
                for _ in 0..count {
                    if length <= LOOK_BITS && code < 1 << length {
                        let entry = ((length as u16) << 8) | u16::from(codes.symbols[place as usize]);
                        let first = (code as usize) << (LOOK_BITS - length);
                        table.look[first..first + (1 << (LOOK_BITS - length))].fill(entry);
                    }
                    code += 1;
                    place += 1;
                }
                table.max_code[length as usize] = code - 1;
                // No code consists of ones alone.
                if code >= 1 << length {
                    return Err(BAD);
                }
            }
            code <<= 1;
        }
        if of_dc && codes.symbols[..place as usize].iter().any(|&symbol| symbol > 15) {
            return Err(BAD);
        }
        Ok(table)
    }
}

/// Reads the bits of one scan.
pub(super) struct Bits<'s, 'a> {
    pub stream: &'s mut Stream<'a>,
    /// The bits read ahead are the lowest `left`.
    buffer: u64,
    left: u32,
    /// A marker has ended the data too early; until the next restart every block is zero.
    pub insufficient: bool,
}

impl<'s, 'a> Bits<'s, 'a> {
    pub(super) fn new(stream: &'s mut Stream<'a>) -> Self {
        Self {
            stream,
            buffer: 0,
            left: 0,
            insufficient: false,
        }
    }

    /// Throws the rest of the current byte away; whole bytes read ahead are superfluous, unless they are stuffed.
    pub(super) fn finish(&mut self) {
        if !self.insufficient {
            self.stream.discarded += (self.left / 8) as usize;
        }
        self.left = 0;
        // The marker is found already, so nothing more is skipped.
        if self.stream.marker != 0 {
            self.stream.warnings.extraneous += self.stream.discarded;
            self.stream.discarded = 0;
        }
    }

    /// `process_restart`: goes to the next restart marker.
    pub(super) fn restart(&mut self) -> Result<(), Fault> {
        self.finish();
        self.stream.read_restart_marker()?;
        if self.stream.marker == 0 {
            self.insufficient = false;
        }
        Ok(())
    }

    #[inline]
    fn fill(&mut self) {
        let data = self.stream.data;
        if self.stream.marker == 0
            && let Some(eight) = data.get(self.stream.position..).and_then(<[u8]>::first_chunk)
        {
            let word = u64::from_be_bytes(*eight);
            let inverse = !word;
            // Where no byte is 0xff, none of the inverse is zero.
            if inverse.wrapping_sub(0x0101_0101_0101_0101) & !inverse & 0x8080_8080_8080_8080 == 0 {
                let bytes = ((64 - self.left) / 8).min(7);
                self.buffer = (self.buffer << (8 * bytes)) | (word >> (64 - 8 * bytes));
                self.left += 8 * bytes;
                self.stream.position += bytes as usize;
                return;
            }
        }
        self.fill_bytewise();
    }

    /// `jpeg_fill_bit_buffer`: 0xff stands for itself before a zero, and begins a marker before anything else.
    #[cold]
    fn fill_bytewise(&mut self) {
        let data = self.stream.data;
        while self.stream.marker == 0 && self.left <= 56 {
            let Some(&byte) = data.get(self.stream.position) else {
                return;
            };
            if byte == 0xff {
                let fillers = data[self.stream.position..].iter().take_while(|&&byte| byte == 0xff);
                let next = self.stream.position + fillers.count();
                match data.get(next) {
                    None => return,
                    Some(0) => {}
                    Some(&marker) => {
                        self.stream.marker = marker;
                        self.stream.position = next + 1;
                        return;
                    }
                }
                self.stream.position = next;
            }
            self.stream.position += 1;
            self.buffer = (self.buffer << 8) | u64::from(byte);
            self.left += 8;
        }
    }

    /// Reads ahead until there are `count` bits; after a marker they are 0.
    #[inline]
    fn require(&mut self, count: u32) -> Result<(), Fault> {
        if self.left < count {
            self.fill();
            if self.left < count {
                return self.stuff();
            }
        }
        Ok(())
    }

    #[cold]
    fn stuff(&mut self) -> Result<(), Fault> {
        if self.stream.marker == 0 {
            return Err(Fault::End);
        }
        if !self.insufficient {
            self.insufficient = true;
            self.stream.warnings.early_markers += 1;
        }
        self.buffer <<= 57 - self.left;
        self.left = 57;
        Ok(())
    }

    /// At most 16 bits as a number.
    #[inline]
    pub(super) fn bits(&mut self, count: u32) -> Result<i32, Fault> {
        self.require(count)?;
        self.left -= count;
        Ok((self.buffer >> self.left) as i32 & ((1 << count) - 1))
    }

    /// At most 15 bits as a signed number (JPEG standard, figure F.12).
    #[inline]
    pub(super) fn signed(&mut self, count: u32) -> Result<i32, Fault> {
        let value = self.bits(count)?;
        Ok(if value < 1 << (count - 1) {
            value + (-1 << count) + 1
        } else {
            value
        })
    }

    /// The next symbol, 0 for an impossible code.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, Fault> {
        if self.left < 16 {
            self.fill();
        }
        let ahead = if self.left >= LOOK_BITS {
            self.buffer >> (self.left - LOOK_BITS)
        } else {
            self.buffer << (LOOK_BITS - self.left)
        };
        let entry = table.look[ahead as usize & ((1 << LOOK_BITS) - 1)];
        let length = u32::from(entry >> 8);
        if length == 0 || length > self.left {
            return self.symbol_bitwise(table);
        }
        self.left -= length;
        Ok(entry as u8)
    }

    /// The next symbol and, of its lower four bits, a signed number as long as they say; [`symbol`](Self::symbol) and
    /// [`signed`](Self::signed) at once.
    #[inline]
    pub(super) fn symbol_and_signed(&mut self, table: &Table) -> Result<(u8, i32), Fault> {
        // A code of up to 16 bits and a number of up to 15.
        if self.left < 32 {
            self.fill();
        }
        if self.left >= 32 {
            let ahead = self.buffer >> (self.left - LOOK_BITS);
            let entry = table.look[ahead as usize & ((1 << LOOK_BITS) - 1)];
            if entry >= 1 << 8 {
                let (symbol, size) = (entry as u8, u32::from(entry & 15));
                self.left -= u32::from(entry >> 8) + size;
                if size == 0 {
                    return Ok((symbol, 0));
                }
                let value = (self.buffer >> self.left) as i32 & ((1 << size) - 1);
                let negative = (value >> (size - 1)) - 1;
                return Ok((symbol, value + (negative & ((-1 << size) + 1))));
            }
        }
        let symbol = self.symbol(table)?;
        let value = match symbol & 15 {
            0 => 0,
            size => self.signed(size.into())?,
        };
        Ok((symbol, value))
    }

    /// `jpeg_huff_decode`
    #[cold]
    fn symbol_bitwise(&mut self, table: &Table) -> Result<u8, Fault> {
        let mut code = 0;
        for length in 1..=16 {
            code = (code << 1) | self.bits(1)?;
            if code <= table.max_code[length] {
                return Ok(table.symbols[(code + table.offset[length]) as usize & 0xff]);
            }
        }
        // libjpeg notices at the seventeenth bit.
        self.bits(1)?;
        self.stream.warnings.bad_codes += 1;
        Ok(0)
    }
}
