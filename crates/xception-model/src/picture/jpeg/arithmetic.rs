//! Arithmetic codes (`jdarith.c`, `jaricom.c`; JPEG standard, annex D and sections F.1.4 and F.2.4).

use super::{
    block_decoder::BlockDecoder,
    coefficients::Block,
    conditioning::Conditioning,
    fault::Fault,
    segments::{Coding, NATURAL_ORDER, Scan},
    stream::Stream,
};

/// A place of statistics: an index into [`STATES`], and in the highest bit the more probable decision.
type Statistics = u8;

/// The place of decisions of equal probability.
const EVEN: Statistics = 113;

/// Places of a table for DC and for AC coefficients.
const OF_DC: usize = 64;
const OF_AC: usize = 256;

/// Where the magnitudes of large differences, and of large AC coefficients, begin.
const LARGE_DC: usize = 20;
const LARGE_AC: [usize; 2] = [189, 217];
/// From the place of a magnitude to that of its bits.
const TO_BITS: usize = 14;
/// Larger magnitudes than this are impossible.
const LARGEST: i32 = 0x8000;

/// Probability of the less probable decision, the next state after it and after the other one, and whether the less
/// probable decision becomes the more probable one (table D.3, and a last state that stays).
#[rustfmt::skip]
const STATES: [(u16, u8, u8, bool); 114] = [
    (0x5a1d, 1, 1, true), (0x2586, 14, 2, false), (0x1114, 16, 3, false), (0x080b, 18, 4, false),
    (0x03d8, 20, 5, false), (0x01da, 23, 6, false), (0x00e5, 25, 7, false), (0x006f, 28, 8, false),
    (0x0036, 30, 9, false), (0x001a, 33, 10, false), (0x000d, 35, 11, false), (0x0006, 9, 12, false),
    (0x0003, 10, 13, false), (0x0001, 12, 13, false), (0x5a7f, 15, 15, true), (0x3f25, 36, 16, false),
    (0x2cf2, 38, 17, false), (0x207c, 39, 18, false), (0x17b9, 40, 19, false), (0x1182, 42, 20, false),
    (0x0cef, 43, 21, false), (0x09a1, 45, 22, false), (0x072f, 46, 23, false), (0x055c, 48, 24, false),
    (0x0406, 49, 25, false), (0x0303, 51, 26, false), (0x0240, 52, 27, false), (0x01b1, 54, 28, false),
    (0x0144, 56, 29, false), (0x00f5, 57, 30, false), (0x00b7, 59, 31, false), (0x008a, 60, 32, false),
    (0x0068, 62, 33, false), (0x004e, 63, 34, false), (0x003b, 32, 35, false), (0x002c, 33, 9, false),
    (0x5ae1, 37, 37, true), (0x484c, 64, 38, false), (0x3a0d, 65, 39, false), (0x2ef1, 67, 40, false),
    (0x261f, 68, 41, false), (0x1f33, 69, 42, false), (0x19a8, 70, 43, false), (0x1518, 72, 44, false),
    (0x1177, 73, 45, false), (0x0e74, 74, 46, false), (0x0bfb, 75, 47, false), (0x09f8, 77, 48, false),
    (0x0861, 78, 49, false), (0x0706, 79, 50, false), (0x05cd, 48, 51, false), (0x04de, 50, 52, false),
    (0x040f, 50, 53, false), (0x0363, 51, 54, false), (0x02d4, 52, 55, false), (0x025c, 53, 56, false),
    (0x01f8, 54, 57, false), (0x01a4, 55, 58, false), (0x0160, 56, 59, false), (0x0125, 57, 60, false),
    (0x00f6, 58, 61, false), (0x00cb, 59, 62, false), (0x00ab, 61, 63, false), (0x008f, 61, 32, false),
    (0x5b12, 65, 65, true), (0x4d04, 80, 66, false), (0x412c, 81, 67, false), (0x37d8, 82, 68, false),
    (0x2fe8, 83, 69, false), (0x293c, 84, 70, false), (0x2379, 86, 71, false), (0x1edf, 87, 72, false),
    (0x1aa9, 87, 73, false), (0x174e, 72, 74, false), (0x1424, 72, 75, false), (0x119c, 74, 76, false),
    (0x0f6b, 74, 77, false), (0x0d51, 75, 78, false), (0x0bb6, 77, 79, false), (0x0a40, 77, 48, false),
    (0x5832, 80, 81, true), (0x4d1c, 88, 82, false), (0x438e, 89, 83, false), (0x3bdd, 90, 84, false),
    (0x34ee, 91, 85, false), (0x2eae, 92, 86, false), (0x299a, 93, 87, false), (0x2516, 86, 71, false),
    (0x5570, 88, 89, true), (0x4ca9, 95, 90, false), (0x44d9, 96, 91, false), (0x3e22, 97, 92, false),
    (0x3824, 99, 93, false), (0x32b4, 99, 94, false), (0x2e17, 93, 86, false), (0x56a8, 95, 96, true),
    (0x4f46, 101, 97, false), (0x47e5, 102, 98, false), (0x41cf, 103, 99, false), (0x3c3d, 104, 100, false),
    (0x375e, 99, 93, false), (0x5231, 105, 102, false), (0x4c0f, 106, 103, false), (0x4639, 107, 104, false),
    (0x415e, 103, 99, false), (0x5627, 105, 106, true), (0x50e7, 108, 107, false), (0x4b85, 109, 103, false),
    (0x5597, 110, 109, false), (0x504f, 111, 107, false), (0x5a10, 110, 111, true), (0x5522, 112, 109, false),
    (0x59eb, 112, 111, true), (0x5a1d, 113, 113, false),
];

/// The decoder of binary decisions.
struct Coder<'s, 'a> {
    stream: &'s mut Stream<'a>,
    /// The base of the interval, and bits read ahead.
    base: i64,
    /// The size of the interval.
    size: i64,
    /// Bits read ahead; below 0 before the first two bytes are read.
    ahead: i32,
    even: Statistics,
}

impl<'s, 'a> Coder<'s, 'a> {
    fn new(stream: &'s mut Stream<'a>) -> Self {
        Self {
            stream,
            base: 0,
            size: 0,
            ahead: -16,
            even: EVEN,
        }
    }

    fn start(&mut self) {
        (self.base, self.size, self.ahead) = (0, 0, -16);
    }

    /// The next byte; zeros after a marker, which is no damage here.
    fn byte(&mut self) -> Result<u8, Fault> {
        if self.stream.marker != 0 {
            return Ok(0);
        }
        let byte = self.stream.byte()?;
        if byte != 0xff {
            return Ok(byte);
        }
        loop {
            match self.stream.byte()? {
                0xff => {}
                0 => return Ok(0xff),
                marker => {
                    self.stream.marker = marker;
                    return Ok(0);
                }
            }
        }
    }

    /// `arith_decode`
    fn decision(&mut self, statistics: &mut Statistics) -> Result<bool, Fault> {
        while self.size < 0x8000 {
            self.ahead -= 1;
            if self.ahead < 0 {
                let byte = self.byte()?;
                self.base = (self.base << 8) | i64::from(byte);
                self.ahead += 8;
                if self.ahead < 0 {
                    self.ahead += 1;
                    if self.ahead == 0 {
                        self.size = 0x8000;
                    }
                }
            }
            self.size <<= 1;
        }
        let before = *statistics;
        let (probability, after_less, after_more, switches) = STATES[usize::from(before & 0x7f)];
        let probability = i64::from(probability);
        let more = before & 0x80;
        let after_less = more ^ (after_less | (u8::from(switches) << 7));
        let after_more = more ^ after_more;
        self.size -= probability;
        let bound = self.size << self.ahead;
        let is_more_probable = if self.base >= bound {
            self.base -= bound;
            let exchanged = self.size < probability;
            self.size = probability;
            *statistics = if exchanged { after_more } else { after_less };
            exchanged
        } else if self.size < 0x8000 {
            let exchanged = self.size < probability;
            *statistics = if exchanged { after_less } else { after_more };
            !exchanged
        } else {
            true
        };
        Ok((more != 0) == is_more_probable)
    }

    fn even_decision(&mut self) -> Result<bool, Fault> {
        let mut even = self.even;
        let decision = self.decision(&mut even);
        self.even = even;
        decision
    }

    /// The rest of a magnitude whose statistics begin at `place`; `None` for an impossible one.
    fn magnitude(&mut self, table: &mut [Statistics], place: &mut usize, start: i32) -> Result<Option<i32>, Fault> {
        let mut magnitude = start;
        while self.decision(&mut table[*place])? {
            magnitude <<= 1;
            if magnitude == LARGEST {
                self.stream.warnings.bad_codes += 1;
                return Ok(None);
            }
            *place += 1;
        }
        Ok(Some(magnitude))
    }

    /// The value of a magnitude, with the bits below its highest one.
    fn value(&mut self, table: &mut [Statistics], place: usize, magnitude: i32, negative: bool) -> Result<i32, Fault> {
        let (mut value, mut bit) = (magnitude, magnitude >> 1);
        while bit != 0 {
            if self.decision(&mut table[place + TO_BITS])? {
                value |= bit;
            }
            bit >>= 1;
        }
        value += 1;
        Ok(if negative { -value } else { value })
    }
}

/// What a scan adds to a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Sequential,
    DcFirst,
    DcRefine,
    AcFirst,
    AcRefine,
}

/// The decoder of a scan's blocks.
pub(super) struct ArithmeticDecoder<'s, 'a> {
    coder: Coder<'s, 'a>,
    scan: &'s Scan,
    pass: Pass,
    conditioning: Conditioning,
    of_dc: Vec<[Statistics; OF_DC]>,
    of_ac: Vec<[Statistics; OF_AC]>,
    /// For each component of the scan.
    last_dcs: Vec<i32>,
    contexts: Vec<usize>,
    /// After an impossible code, until the next restart.
    is_broken: bool,
}

impl<'s, 'a> ArithmeticDecoder<'s, 'a> {
    pub fn new(stream: &'s mut Stream<'a>, scan: &'s Scan, conditioning: Conditioning, coding: Coding) -> Self {
        let pass = match (coding, scan.first, scan.high) {
            (Coding::Sequential, ..) => Pass::Sequential,
            (_, 0, 0) => Pass::DcFirst,
            (_, 0, _) => Pass::DcRefine,
            (_, _, 0) => Pass::AcFirst,
            _ => Pass::AcRefine,
        };
        Self {
            coder: Coder::new(stream),
            pass,
            conditioning,
            of_dc: vec![[0; OF_DC]; 16],
            of_ac: vec![[0; OF_AC]; 16],
            last_dcs: vec![0; scan.components.len()],
            contexts: vec![0; scan.components.len()],
            is_broken: false,
            scan,
        }
    }

    /// Sections F.1.4.4.1 and F.2.4.1: adds a difference to the last mean value. `false` for an impossible code.
    fn dc(&mut self, part: usize) -> Result<bool, Fault> {
        let table = self.scan.components[part].1;
        let statistics = &mut self.of_dc[table];
        let coder = &mut self.coder;
        let mut place = self.contexts[part];
        if !coder.decision(&mut statistics[place])? {
            self.contexts[part] = 0;
            return Ok(true);
        }
        let negative = coder.decision(&mut statistics[place + 1])?;
        place += 2 + usize::from(negative);
        let mut magnitude = 0;
        if coder.decision(&mut statistics[place])? {
            place = LARGE_DC;
            match coder.magnitude(statistics, &mut place, 1)? {
                Some(found) => magnitude = found,
                None => return Ok(false),
            }
        }
        let (low, high) = self.conditioning.dc[table];
        self.contexts[part] = if magnitude < (1 << low) >> 1 {
            0
        } else {
            let of_size = if magnitude > (1 << high) >> 1 { 12 } else { 4 };
            of_size + 4 * usize::from(negative)
        };
        let difference = coder.value(statistics, place, magnitude, negative)?;
        self.last_dcs[part] = (self.last_dcs[part] + difference) & 0xffff;
        Ok(true)
    }

    /// Sections F.1.4.4.2 and F.2.4.2: the coefficients from `first` to `last`. `false` for an impossible code.
    fn ac(&mut self, part: usize, [first, last]: [usize; 2], low: u32, block: &mut Block) -> Result<bool, Fault> {
        let table = self.scan.components[part].2;
        let statistics = &mut self.of_ac[table];
        let coder = &mut self.coder;
        let mut number = first;
        while number <= last {
            let mut place = 3 * (number - 1);
            if coder.decision(&mut statistics[place])? {
                break;
            }
            while !coder.decision(&mut statistics[place + 1])? {
                place += 3;
                number += 1;
                if number > last {
                    coder.stream.warnings.bad_codes += 1;
                    return Ok(false);
                }
            }
            let negative = coder.even_decision()?;
            place += 2;
            let mut magnitude = i32::from(coder.decision(&mut statistics[place])?);
            if magnitude != 0 && coder.decision(&mut statistics[place])? {
                let is_high = number > usize::from(self.conditioning.ac[table]);
                place = LARGE_AC[usize::from(is_high)];
                match coder.magnitude(statistics, &mut place, 2)? {
                    Some(found) => magnitude = found,
                    None => return Ok(false),
                }
            }
            let value = coder.value(statistics, place, magnitude, negative)?;
            block[usize::from(NATURAL_ORDER[number])] = (value << low) as i16;
            number += 1;
        }
        Ok(true)
    }

    /// `decode_mcu_AC_refine`
    fn refine(&mut self, part: usize, block: &mut Block) -> Result<bool, Fault> {
        let Scan { first, last, low, .. } = *self.scan;
        let statistics = &mut self.of_ac[self.scan.components[part].2];
        let coder = &mut self.coder;
        let (plus, minus) = ((1 << low) as i16, (-1 << low) as i16);
        let is_known = |number: &usize| block[usize::from(NATURAL_ORDER[*number])] != 0;
        let end = (1..=last).rev().find(is_known).unwrap_or(0);
        let mut number = first;
        while number <= last {
            let mut place = 3 * (number - 1);
            if number > end && coder.decision(&mut statistics[place])? {
                break;
            }
            loop {
                let coefficient = &mut block[usize::from(NATURAL_ORDER[number])];
                if *coefficient != 0 {
                    if coder.decision(&mut statistics[place + 2])? {
                        *coefficient = coefficient.wrapping_add(if *coefficient < 0 { minus } else { plus });
                    }
                    break;
                }
                if coder.decision(&mut statistics[place + 1])? {
                    *coefficient = if coder.even_decision()? { minus } else { plus };
                    break;
                }
                place += 3;
                number += 1;
                if number > last {
                    coder.stream.warnings.bad_codes += 1;
                    return Ok(false);
                }
            }
            number += 1;
        }
        Ok(true)
    }
}

impl BlockDecoder for ArithmeticDecoder<'_, '_> {
    /// Zeros follow the end of the data, and make blocks like others.
    fn is_spent(&self) -> bool {
        false
    }

    /// `process_restart`
    fn restart(&mut self) -> Result<(), Fault> {
        self.coder.stream.read_restart_marker()?;
        for (part, &(_, dc, ac)) in self.scan.components.iter().enumerate() {
            if matches!(self.pass, Pass::Sequential | Pass::DcFirst) {
                self.of_dc[dc].fill(0);
                self.last_dcs[part] = 0;
                self.contexts[part] = 0;
            }
            if !matches!(self.pass, Pass::DcFirst | Pass::DcRefine) {
                self.of_ac[ac].fill(0);
            }
        }
        self.coder.start();
        self.is_broken = false;
        Ok(())
    }

    fn decode(&mut self, part: usize, block: &mut Block) -> Result<(), Fault> {
        if self.is_broken {
            return Ok(());
        }
        let Scan { first, last, low, .. } = *self.scan;
        let is_whole = match self.pass {
            Pass::Sequential => {
                let is_whole = self.dc(part)?;
                if is_whole {
                    block[0] = self.last_dcs[part] as i16;
                }
                is_whole && self.ac(part, [1, 63], 0, block)?
            }
            Pass::DcFirst => {
                let is_whole = self.dc(part)?;
                if is_whole {
                    block[0] = (self.last_dcs[part] << low) as i16;
                }
                is_whole
            }
            Pass::DcRefine => {
                if self.coder.even_decision()? {
                    block[0] |= (1 << low) as i16;
                }
                true
            }
            Pass::AcFirst => self.ac(part, [first, last], low, block)?,
            Pass::AcRefine => self.refine(part, block)?,
        };
        self.is_broken = !is_whole;
        Ok(())
    }

    fn finish(&mut self) {}
}
