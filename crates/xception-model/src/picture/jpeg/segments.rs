//! The content of the segments between the scans (`jdmarker.c`, `jdinput.c`).

use super::{
    conditioning::Conditioning,
    fault::Fault,
    huffman::Codes,
    stream::{RESTART, Stream},
};

/// More scans than any encoder writes (about ten are usual); a file of thousands of nearly empty scans keeps a decoder
/// busy for minutes.
pub(super) const MAX_SCANS: usize = 100;

/// More components than this are no picture of ours: grey, grey and transparency, three colours or four inks.
const MAX_COMPONENTS: usize = 4;

/// Most blocks in the unit of an interleaved scan (`D_MAX_BLOCKS_IN_MCU`).
const MAX_BLOCKS_IN_MCU: usize = 10;

const WRONG_LENGTH: Fault = Fault::Broken("a segment has the wrong length");

/// The place in a block of each coefficient in the order of the file (JPEG standard, figure A.6). Sixteen more, since a
/// damaged run may lead beyond the end.
#[rustfmt::skip]
pub(super) const NATURAL_ORDER: [u8; 80] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
];

/// The coding of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Sequential,
    Progressive,
    /// No transform: left to another decoder.
    Other,
}

/// One colour of the picture.
pub(super) struct Component {
    id: u8,
    /// Samples for each unit of the frame, across and down.
    pub across: usize,
    pub down: usize,
    quant_place: usize,
    /// In natural order; taken over at the component's first scan.
    pub quant: Option<[u16; 64]>,
    /// Blocks that hold part of the picture.
    pub blocks_across: usize,
    pub blocks_down: usize,
    /// Samples that are part of the picture.
    pub width: usize,
    pub height: usize,
}

/// The frame header (SOF).
pub(super) struct Frame {
    pub coding: Coding,
    /// Arithmetic codes, not Huffman's.
    pub is_arithmetic: bool,
    pub width: usize,
    pub height: usize,
    pub components: Vec<Component>,
    pub max_across: usize,
    pub max_down: usize,
    /// Interleaved units of the whole picture.
    pub units_across: usize,
    pub units_down: usize,
}

/// The scan header (SOS).
#[derive(Clone, Default)]
pub(super) struct Scan {
    /// For each component of the scan its index in the frame, its DC and its AC table.
    pub components: Vec<(usize, usize, usize)>,
    /// First and last coefficient.
    pub first: usize,
    pub last: usize,
    /// Bits known before and left out after (successive approximation).
    pub high: u32,
    pub low: u32,
}

/// The part of the file after the segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Scan,
    End,
}

/// The content of all segments so far.
pub(super) struct Segments<'a> {
    pub stream: Stream<'a>,
    quants: [Option<[u16; 64]>; 4],
    pub dc_codes: [Option<Codes>; 4],
    pub ac_codes: [Option<Codes>; 4],
    /// Units between two restart markers, 0 for none.
    pub restart_interval: usize,
    pub frame: Option<Frame>,
    /// Of arithmetic codes.
    pub conditioning: Conditioning,
    pub scan: Scan,
    pub scans: usize,
    jfif: bool,
    /// The colour transform of Adobe's segment.
    adobe: Option<u8>,
    /// The first EXIF segment's content.
    pub exif: Option<&'a [u8]>,
    /// The last XMP segment's content.
    pub xmp: Option<&'a [u8]>,
    started: bool,
}

/// How a file's components become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    Rgb,
    YCbCr,
    Cmyk,
    /// Inks that are not inverted.
    PlainCmyk,
    Ycck,
    /// The last sample alone, as grey.
    Last,
    /// Three samples as they are, repeated to the resolution of the picture.
    Repeated,
}

impl<'a> Segments<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            stream: Stream::new(data),
            quants: [None; 4],
            dc_codes: [const { None }; 4],
            ac_codes: [const { None }; 4],
            restart_interval: 0,
            frame: None,
            conditioning: Conditioning::default(),
            scan: Scan::default(),
            scans: 0,
            jfif: false,
            adobe: None,
            exif: None,
            xmp: None,
            started: false,
        }
    }

    /// The frame header, which every scan needs.
    pub(super) fn frame(&self) -> Result<&Frame, Fault> {
        self.frame
            .as_ref()
            .ok_or(Fault::Broken("a scan comes before the frame header"))
    }

    /// `read_markers`: reads on to the next scan's data or the end marker.
    pub(super) fn read(&mut self) -> Result<Next, Fault> {
        loop {
            if self.stream.marker == 0 {
                if self.started {
                    self.stream.next_marker()?;
                } else {
                    if self.stream.word()? != 0xffd8 {
                        return Err(Fault::Broken("it does not begin as a JPEG file"));
                    }
                    self.stream.marker = 0xd8;
                }
            }
            match self.stream.marker {
                0xd8 if self.started => return Err(Fault::Broken("a second file begins inside it")),
                0xd8 => self.started = true,
                0xc0 | 0xc1 => self.read_frame(Coding::Sequential, false)?,
                0xc2 => self.read_frame(Coding::Progressive, false)?,
                0xc9 => self.read_frame(Coding::Sequential, true)?,
                0xca => self.read_frame(Coding::Progressive, true)?,
                0xc3 | 0xcb => self.read_frame(Coding::Other, false)?,
                0xc5..=0xc8 | 0xcd..=0xcf => {
                    return Err(Fault::Unsupported("it is of a hierarchical kind".to_owned()));
                }
                0xda => {
                    self.read_scan()?;
                    self.stream.marker = 0;
                    return Ok(Next::Scan);
                }
                0xd9 => {
                    self.stream.marker = 0;
                    return Ok(Next::End);
                }
                0xc4 => self.read_codes()?,
                0xdb => self.read_quants()?,
                0xdd => self.read_restart_interval()?,
                0xe0..=0xef => self.read_application()?,
                0xcc => self.read_conditioning()?,
                0xdc | 0xfe => {
                    self.stream.segment()?;
                }
                0x01 | RESTART..=0xd7 => {}
                _ => return Err(Fault::Broken("a marker is unknown")),
            }
            self.stream.marker = 0;
        }
    }

    fn read_frame(&mut self, coding: Coding, is_arithmetic: bool) -> Result<(), Fault> {
        if self.frame.is_some() {
            return Err(Fault::Broken("it has two frame headers"));
        }
        let length = usize::from(self.stream.word()?);
        let precision = self.stream.byte()?;
        let height = usize::from(self.stream.word()?);
        let width = usize::from(self.stream.word()?);
        let count = usize::from(self.stream.byte()?);
        // A height that follows behind the first scan (DNL), which no encoder writes.
        if width == 0 || height == 0 {
            return Err(Fault::Unsupported(format!("its header says {width} x {height} pixels")));
        }
        if length != 8 + 3 * count {
            return Err(WRONG_LENGTH);
        }
        if precision != 8 {
            return Err(Fault::Unsupported(format!("its samples have {precision} bits")));
        }
        if !(1..=MAX_COMPONENTS).contains(&count) {
            return Err(Fault::Unsupported(format!("it has {count} colours")));
        }
        let mut components = Vec::with_capacity(count);
        for _ in 0..count {
            let id = self.stream.byte()?;
            let sampling = self.stream.byte()?;
            let quant_place = usize::from(self.stream.byte()?);
            let (across, down) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) {
                return Err(Fault::Broken("a sampling factor is impossible"));
            }
            components.push(Component {
                id,
                across,
                down,
                quant_place,
                quant: None,
                blocks_across: 0,
                blocks_down: 0,
                width: 0,
                height: 0,
            });
        }
        let max_across = components.iter().map(|component| component.across).max().unwrap_or(1);
        let max_down = components.iter().map(|component| component.down).max().unwrap_or(1);
        for component in &mut components {
            component.width = (width * component.across).div_ceil(max_across);
            component.height = (height * component.down).div_ceil(max_down);
            component.blocks_across = (width * component.across).div_ceil(max_across * 8);
            component.blocks_down = (height * component.down).div_ceil(max_down * 8);
        }
        self.frame = Some(Frame {
            coding,
            is_arithmetic,
            width,
            height,
            components,
            max_across,
            max_down,
            units_across: width.div_ceil(max_across * 8),
            units_down: height.div_ceil(max_down * 8),
        });
        Ok(())
    }

    fn read_scan(&mut self) -> Result<(), Fault> {
        const BAD: Fault = Fault::Broken("a scan names a colour that does not exist");
        self.frame()?;
        let length = usize::from(self.stream.word()?);
        let count = usize::from(self.stream.byte()?);
        if length != 6 + 2 * count || !(1..=MAX_COMPONENTS).contains(&count) {
            return Err(WRONG_LENGTH);
        }
        let mut components: Vec<(usize, usize, usize)> = Vec::with_capacity(count);
        for _ in 0..count {
            let id = self.stream.byte()?;
            let tables = self.stream.byte()?;
            let frame = self.frame()?;
            // libjpeg takes the first of this name whose place among the scan's components is still free.
            let named = |(index, component): (usize, &Component)| {
                (component.id == id && index >= components.len()).then_some(index)
            };
            let index = frame.components.iter().enumerate().find_map(named).ok_or(BAD)?;
            if components.iter().any(|&(other, ..)| other == index) {
                return Err(BAD);
            }
            components.push((index, usize::from(tables >> 4), usize::from(tables & 15)));
        }
        let (first, last) = (self.stream.byte()?, self.stream.byte()?);
        let approximation = self.stream.byte()?;
        self.scan = Scan {
            components,
            first: first.into(),
            last: last.into(),
            high: (approximation >> 4).into(),
            low: (approximation & 15).into(),
        };
        self.stream.next_restart = 0;
        self.scans += 1;
        Ok(())
    }

    fn read_codes(&mut self) -> Result<(), Fault> {
        let mut left = self.length()?;
        while left > 16 {
            let place = self.stream.byte()?;
            let mut codes = Codes {
                counts: [0; 17],
                symbols: [0; 256],
            };
            for count in &mut codes.counts[1..] {
                *count = self.stream.byte()?;
            }
            left -= 17;
            let count: usize = codes.counts.iter().map(|&count| usize::from(count)).sum();
            if count > 256 || count > left {
                return Err(Fault::Broken("a Huffman table is impossible"));
            }
            for symbol in &mut codes.symbols[..count] {
                *symbol = self.stream.byte()?;
            }
            left -= count;
            let tables = if place & 0x10 == 0 {
                &mut self.dc_codes
            } else {
                &mut self.ac_codes
            };
            *tables
                .get_mut(usize::from(place & !0x10))
                .ok_or(Fault::Broken("a Huffman table has an impossible number"))? = Some(codes);
        }
        if left == 0 { Ok(()) } else { Err(WRONG_LENGTH) }
    }

    /// The length of what follows in a segment.
    fn length(&mut self) -> Result<usize, Fault> {
        usize::from(self.stream.word()?).checked_sub(2).ok_or(WRONG_LENGTH)
    }

    fn read_quants(&mut self) -> Result<(), Fault> {
        let mut left = self.length()?;
        while left > 0 {
            let place = self.stream.byte()?;
            let wide = place >> 4 != 0;
            let quant = self
                .quants
                .get_mut(usize::from(place & 15))
                .ok_or(Fault::Broken("a quantisation table has an impossible number"))?
                .insert([0; 64]);
            for &natural in &NATURAL_ORDER[..64] {
                quant[usize::from(natural)] = if wide {
                    self.stream.word()?
                } else {
                    self.stream.byte()?.into()
                };
            }
            left = left.checked_sub(1 + if wide { 128 } else { 64 }).ok_or(WRONG_LENGTH)?;
        }
        Ok(())
    }

    /// `get_dac`
    fn read_conditioning(&mut self) -> Result<(), Fault> {
        let mut left = self.length()?;
        while left > 0 {
            let (place, value) = (usize::from(self.stream.byte()?), self.stream.byte()?);
            left = left.checked_sub(2).ok_or(WRONG_LENGTH)?;
            let (low, high) = (value & 15, value >> 4);
            match place {
                0..16 if low > high => return Err(Fault::Broken("arithmetic codes have impossible bounds")),
                0..16 => self.conditioning.dc[place] = (low, high),
                16..32 => self.conditioning.ac[place - 16] = value,
                _ => return Err(Fault::Broken("arithmetic codes have an impossible number")),
            }
        }
        Ok(())
    }

    fn read_restart_interval(&mut self) -> Result<(), Fault> {
        if self.stream.word()? != 4 {
            return Err(WRONG_LENGTH);
        }
        self.restart_interval = self.stream.word()?.into();
        Ok(())
    }

    fn read_application(&mut self) -> Result<(), Fault> {
        let segment = self.stream.segment()?;
        match self.stream.marker {
            0xe0 if segment.len() >= 14 && segment.starts_with(b"JFIF\0") => self.jfif = true,
            0xee if segment.len() >= 12 && segment.starts_with(b"Adobe") => self.adobe = Some(segment[11]),
            0xe1 => {
                self.exif = self.exif.or_else(|| segment.strip_prefix(b"Exif\0\0"));
                self.xmp = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0").or(self.xmp);
            }
            _ => {}
        }
        Ok(())
    }

    /// The scan's interleaving and quantisation tables, checked before its data are read (`per_scan_setup`,
    /// `latch_quant_tables`).
    pub(super) fn start_scan(&mut self) -> Result<(), Fault> {
        let Some(frame) = &mut self.frame else {
            return Err(Fault::Broken("a scan comes before the frame header"));
        };
        if self.scan.components.len() > 1 {
            let blocks = |&(index, ..): &(usize, usize, usize)| {
                let component = &frame.components[index];
                component.across * component.down
            };
            if self.scan.components.iter().map(blocks).sum::<usize>() > MAX_BLOCKS_IN_MCU {
                return Err(Fault::Broken("its sampling factors are too large"));
            }
        }
        for &(index, ..) in &self.scan.components {
            let component = &mut frame.components[index];
            if component.quant.is_none() {
                let quant = self.quants.get(component.quant_place).copied().flatten();
                component.quant = Some(quant.ok_or(Fault::Broken("a quantisation table is missing"))?);
            }
        }
        Ok(())
    }

    /// `default_decompress_parms`: what the components mean, from the markers of JFIF and Adobe or else their names.
    pub(super) fn colours(&mut self) -> Colours {
        let components = self.frame.as_ref().map_or(&[][..], |frame| &frame.components);
        let warnings = &mut self.stream.warnings;
        match components {
            [_] => Colours::Grey,
            [first, second, third] => match self.adobe {
                _ if self.jfif => Colours::YCbCr,
                Some(0) => Colours::Rgb,
                Some(1) => Colours::YCbCr,
                Some(_) => {
                    warnings.odd_colours = true;
                    Colours::YCbCr
                }
                None if [first.id, second.id, third.id] == *b"RGB" => Colours::Rgb,
                None => Colours::YCbCr,
            },
            _ => match self.adobe {
                None | Some(0) => Colours::Cmyk,
                Some(2) => Colours::Ycck,
                Some(_) => {
                    warnings.odd_colours = true;
                    Colours::Ycck
                }
            },
        }
    }
}
