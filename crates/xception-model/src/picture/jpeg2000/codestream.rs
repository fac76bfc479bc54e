//! The headers of a codestream (ISO/IEC 15444-1, annex A), and the codestream that gives its plain coefficients.
//!
//! The decoder hands out samples. Its wavelet transform rounds floating-point numbers in another way than `OpenJPEG`.
//! The codestream here is rewritten to promise the reversible transform, steps of one, no transform of
//! colours and one more bit in every coefficient: its samples are whole numbers, from which the reversible transform
//! gives back the coefficients exactly. They are then twice the numbers that were coded, with the half that `OpenJPEG`
//! adds to each (`t1.c`).

use super::{
    super::error::PictureError,
    fault::{damaged, unsupported},
    reader::Reader,
};

/// Marker codes of table A.2.
mod marker {
    pub(super) const SOC: u16 = 0xff4f;
    pub(super) const SIZ: u16 = 0xff51;
    pub(super) const COD: u16 = 0xff52;
    pub(super) const COC: u16 = 0xff53;
    pub(super) const TLM: u16 = 0xff55;
    pub(super) const PLM: u16 = 0xff57;
    pub(super) const PLT: u16 = 0xff58;
    pub(super) const QCD: u16 = 0xff5c;
    pub(super) const QCC: u16 = 0xff5d;
    pub(super) const CRG: u16 = 0xff63;
    pub(super) const COM: u16 = 0xff64;
    pub(super) const SOT: u16 = 0xff90;
    pub(super) const SOD: u16 = 0xff93;
    pub(super) const EOC: u16 = 0xffd9;
}

/// A rectangle, without its right and lower edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) right: u32,
    pub(super) bottom: u32,
}

impl Area {
    pub(super) fn width(self) -> usize {
        self.right.saturating_sub(self.left) as usize
    }

    pub(super) fn height(self) -> usize {
        self.bottom.saturating_sub(self.top) as usize
    }

    /// The samples at every `across`th column and `down`th row.
    pub(super) fn sampled(self, across: u32, down: u32) -> Self {
        Self {
            left: self.left.div_ceil(across),
            top: self.top.div_ceil(down),
            right: self.right.div_ceil(across),
            bottom: self.bottom.div_ceil(down),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Component {
    pub(super) bits: u32,
    /// Columns and rows of the picture for each sample.
    pub(super) across: u32,
    pub(super) down: u32,
    pub(super) levels: u32,
    /// Of the bands from the smallest one on: exponent and mantissa of table A.30.
    pub(super) steps: Vec<(u32, u32)>,
    guard: u32,
    code_block_bits: u32,
    /// The logarithms of the precincts' sides, from the smallest resolution on.
    precincts: Vec<(u32, u32)>,
}

#[derive(Debug)]
pub(super) struct Codestream {
    pub(super) area: Area,
    pub(super) tiles: Vec<Area>,
    pub(super) components: Vec<Component>,
    pub(super) is_reversible: bool,
    pub(super) has_colour_transform: bool,
    layers: u64,
    /// The rewritten codestream.
    pub(super) plain: Vec<u8>,
}

/// The coding style of markers COD and COC.
#[derive(Debug, Clone)]
struct Coding {
    levels: u32,
    code_block_bits: u32,
    is_reversible: bool,
    precincts: Vec<(u32, u32)>,
    segment: Vec<u8>,
}

/// The quantization of markers QCD and QCC.
#[derive(Debug, Clone)]
struct Quantization {
    guard: u8,
    steps: Vec<(u32, u32)>,
}

impl Codestream {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, PictureError> {
        let cut = || damaged("its header ends early");
        let mut reader = Reader::new(bytes);
        if reader.u16() != Some(marker::SOC) || reader.u16() != Some(marker::SIZ) {
            return Err(damaged("it does not begin with its size"));
        }
        let size = segment(&mut reader).ok_or_else(cut)?;
        let mut plain = marker::SOC.to_be_bytes().to_vec();
        push_segment(&mut plain, marker::SIZ, size);
        let (area, tiles, sizes) = read_size(size)?;
        let header = MainHeader::read(&mut reader, sizes.len())?;
        let is_reversible = header.codings[0].is_reversible;
        header.push(&mut plain)?;
        let start = plain.len();
        push_parts(&mut plain, &mut reader, tiles.len())?;
        if !are_stuffed(&plain[start..]) {
            return Err(damaged("its data hold a marker where none can be"));
        }
        let parts = header.codings.iter().zip(&header.quantizations);
        let components = sizes.iter().zip(parts).map(|(size, (coding, quantization))| Component {
            levels: coding.levels,
            steps: quantization.steps.clone(),
            guard: quantization.guard.into(),
            code_block_bits: coding.code_block_bits,
            precincts: coding.precincts.clone(),
            ..size.clone()
        });
        Ok(Self {
            area,
            tiles,
            components: components.collect(),
            is_reversible,
            has_colour_transform: header.has_colour_transform,
            layers: header.layers,
            plain,
        })
    }

    /// Bytes for each pixel that decoding takes: the decoder's samples, its coefficients and two copies, our planes, a
    /// scratch plane, the samples and the picture.
    pub(super) fn working_bytes(&self) -> u8 {
        let count = self.components.len() as u8;
        4 * count + 9 + 4 * count + 4 + 2 * count + count
    }

    /// Bytes that the decoder takes for code blocks and precincts at once, roughly and rather too many.
    pub(super) fn block_bytes(&self) -> u64 {
        const PRECINCT: u64 = 160;
        const BLOCK: u64 = 200;
        const LAYER: u64 = 24;

        let of_tile = |tile: &Area| -> u64 {
            let of_component = |component: &Component| -> u64 {
                let area = tile.sampled(component.across, component.down);
                let of_level = |level: u32| {
                    let reduced = area.sampled(1 << level, 1 << level);
                    let (width, height) = (reduced.width() as u64, reduced.height() as u64);
                    let (across, down) = component.precincts[(component.levels - level) as usize];
                    let precincts = ((width >> across) + 2) * ((height >> down) + 2);
                    let blocks = ((width * height) >> component.code_block_bits.min(across + down)) + 4 * precincts;
                    let blocks = blocks + (width + height);
                    3 * precincts * PRECINCT + 3 * blocks * (BLOCK + LAYER * self.layers)
                };
                (0..=component.levels).map(of_level).sum()
            };
            self.components.iter().map(of_component).sum()
        };
        self.tiles.iter().map(of_tile).max().unwrap_or_default()
    }
}

/// A segment behind its marker, without its length.
fn segment<'b>(reader: &mut Reader<'b>) -> Option<&'b [u8]> {
    let length = usize::from(reader.u16()?).checked_sub(2)?;
    reader.bytes(length)
}

fn push_segment(stream: &mut Vec<u8>, marker: u16, segment: &[u8]) {
    stream.extend(marker.to_be_bytes());
    // No segment grows, but for a quantization of at most 97 bands.
    stream.extend((segment.len() as u16 + 2).to_be_bytes());
    stream.extend(segment);
}

/// The picture's area, its tiles and its components without their coding (A.5.1, B.3).
fn read_size(segment: &[u8]) -> Result<(Area, Vec<Area>, Vec<Component>), PictureError> {
    /// Bits of `Rsiz` for the extensions of parts 2 and 15.
    const EXTENSIONS: u16 = 0xc000;
    /// The most tiles that `OpenJPEG` reads.
    const MAX_TILES: u64 = 65_535;

    let wrong = || damaged("its size is impossible");
    let mut fields = Reader::new(segment);
    let profile = fields.u16().ok_or_else(wrong)?;
    if profile & EXTENSIONS != 0 {
        return Err(unsupported("it uses extensions of JPEG 2000 (part 2, or HTJ2K)"));
    }
    let mut numbers = [0; 8];
    for number in &mut numbers {
        *number = fields.u32().ok_or_else(wrong)?;
    }
    let [right, bottom, left, top, tile_width, tile_height, first_left, first_top] = numbers;
    let area = Area {
        left,
        top,
        right,
        bottom,
    };
    let is_possible = left < right
        && top < bottom
        && i32::try_from(right).is_ok()
        && i32::try_from(bottom).is_ok()
        && tile_width > 0
        && tile_height > 0
        && first_left <= left
        && first_top <= top
        && u64::from(first_left) + u64::from(tile_width) > u64::from(left)
        && u64::from(first_top) + u64::from(tile_height) > u64::from(top);
    if !is_possible {
        return Err(wrong());
    }
    let across = u64::from((right - first_left).div_ceil(tile_width));
    let down = u64::from((bottom - first_top).div_ceil(tile_height));
    if across * down > MAX_TILES {
        return Err(wrong());
    }
    let tiles = (0..down).flat_map(|row| (0..across).map(move |column| (column, row)));
    let tiles = tiles.map(|(column, row)| {
        let edge = |first: u32, length: u32, index: u64| u64::from(first) + u64::from(length) * index;
        let clamp = |edge: u64, low: u32, high: u32| edge.clamp(low.into(), high.into()) as u32;
        Area {
            left: clamp(edge(first_left, tile_width, column), left, right),
            top: clamp(edge(first_top, tile_height, row), top, bottom),
            right: clamp(edge(first_left, tile_width, column + 1), left, right),
            bottom: clamp(edge(first_top, tile_height, row + 1), top, bottom),
        }
    });
    let count = fields.u16().ok_or_else(wrong)?;
    if !(1..=4).contains(&count) {
        return Err(unsupported(format!("it has {count} components, not one to four")));
    }
    let mut components = Vec::new();
    for _ in 0..count {
        let depth = fields.u8().ok_or_else(wrong)?;
        let across = fields.u8().ok_or_else(wrong)?;
        let down = fields.u8().ok_or_else(wrong)?;
        if across == 0 || down == 0 {
            return Err(wrong());
        }
        let bits = u32::from(depth & 0x7f) + 1;
        if bits > 16 {
            return Err(unsupported(format!("its samples have {bits} bits, more than 16")));
        }
        components.push(Component {
            bits,
            across: across.into(),
            down: down.into(),
            levels: 0,
            steps: Vec::new(),
            guard: 0,
            code_block_bits: 0,
            precincts: Vec::new(),
        });
    }
    if !fields.rest().is_empty() {
        return Err(wrong());
    }
    Ok((area, tiles.collect(), components))
}

struct MainHeader {
    /// The coding of each component.
    codings: Vec<Coding>,
    quantizations: Vec<Quantization>,
    has_colour_transform: bool,
    layers: u64,
    /// Whose coding and quantization differ from the others'.
    special_codings: Vec<usize>,
    general_coding: Coding,
}

impl MainHeader {
    /// Reads up to the first part of a tile.
    fn read(reader: &mut Reader<'_>, components: usize) -> Result<Self, PictureError> {
        let cut = || damaged("its header ends early");
        let mut general: Option<(Coding, bool, u64)> = None;
        let mut codings = vec![None; components];
        let mut quantization: Option<Quantization> = None;
        let mut quantizations = vec![None; components];
        loop {
            let mut ahead = Reader::new(reader.rest());
            let name = ahead.u16().ok_or_else(cut)?;
            if name == marker::SOT {
                break;
            }
            let content = segment(&mut ahead).ok_or_else(cut)?;
            *reader = ahead;
            let mut fields = Reader::new(content);
            let component_of = |fields: &mut Reader<'_>| {
                let index = fields.u8().map(usize::from).filter(|&index| index < components);
                index.ok_or_else(|| damaged("it describes a component that it has not"))
            };
            match name {
                marker::COD if general.is_none() => general = Some(Coding::read_general(content)?),
                marker::COC if general.is_some() => {
                    let index = component_of(&mut fields)?;
                    codings[index] = Some(Coding::read(content, 1)?);
                }
                marker::QCD if quantization.is_none() => quantization = Some(Quantization::read(fields.rest())?),
                marker::QCC if quantization.is_some() => {
                    let index = component_of(&mut fields)?;
                    quantizations[index] = Some(Quantization::read(fields.rest())?);
                }
                marker::COM | marker::TLM | marker::PLM | marker::CRG => {}
                marker::COD | marker::COC | marker::QCD | marker::QCC => {
                    return Err(damaged("its header is out of order"));
                }
                _ => return Err(unsupported(format!("its header has a part {name:04x}"))),
            }
        }
        let (general_coding, has_colour_transform, layers) =
            general.ok_or_else(|| damaged("its header does not tell how it is coded"))?;
        let general_quantization =
            quantization.ok_or_else(|| damaged("its header does not tell how it is quantized"))?;
        let special = codings.iter().enumerate().filter(|(_, coding)| coding.is_some());
        let special_codings = special.map(|(index, _)| index).collect();
        let codings = codings.into_iter();
        let quantizations = quantizations.into_iter();
        let header = Self {
            codings: codings
                .map(|coding| coding.unwrap_or_else(|| general_coding.clone()))
                .collect(),
            quantizations: quantizations
                .map(|quantization| quantization.unwrap_or_else(|| general_quantization.clone()))
                .collect(),
            has_colour_transform,
            layers,
            special_codings,
            general_coding,
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), PictureError> {
        let mut parts = self.codings.iter().zip(&self.quantizations);
        if parts.any(|(coding, quantization)| quantization.steps.len() < 1 + 3 * coding.levels as usize) {
            return Err(damaged("it has bands without a quantization"));
        }
        let is_reversible = self.codings[0].is_reversible;
        if self.codings.iter().any(|coding| coding.is_reversible != is_reversible) {
            return Err(unsupported("its components are coded without loss and with loss"));
        }
        Ok(())
    }

    /// The coding and quantization, rewritten.
    fn push(&self, plain: &mut Vec<u8>) -> Result<(), PictureError> {
        push_segment(plain, marker::COD, &self.general_coding.segment);
        for &index in &self.special_codings {
            push_segment(plain, marker::COC, &self.codings[index].segment);
        }
        // A further bit makes room for the half that is added to numbers with loss.
        let further = u32::from(!self.codings[0].is_reversible);
        for (index, (coding, quantization)) in self.codings.iter().zip(&self.quantizations).enumerate() {
            let mut segment = vec![quantization.guard << 5];
            for &(exponent, _) in &quantization.steps[..=3 * coding.levels as usize] {
                let exponent = exponent + further;
                if exponent > 31 {
                    return Err(unsupported("its coefficients have too many bits"));
                }
                segment.push((exponent << 3) as u8);
            }
            if index == 0 {
                push_segment(plain, marker::QCD, &segment);
            }
            segment.insert(0, index as u8);
            push_segment(plain, marker::QCC, &segment);
        }
        Ok(())
    }
}

impl Coding {
    /// The segment of COD: the coding, whether colours are transformed, and the number of layers.
    fn read_general(segment: &[u8]) -> Result<(Self, bool, u64), PictureError> {
        /// The decoder's limit.
        const MAX_LAYERS: u64 = 32;

        let &[_, _, high, low, transform, ..] = segment else {
            return Err(damaged("its header ends early"));
        };
        if transform > 1 {
            return Err(unsupported("its colours are transformed by a matrix of its own"));
        }
        let layers = u64::from(u16::from_be_bytes([high, low]));
        if layers > MAX_LAYERS {
            return Err(unsupported(format!("it has {layers} layers, more than {MAX_LAYERS}")));
        }
        let mut coding = Self::read(segment, 0)?;
        coding.segment[4] = 0;
        Ok((coding, transform == 1, layers))
    }

    /// The segment of COD, or of COC behind the number of its component.
    fn read(segment: &[u8], style_place: usize) -> Result<Self, PictureError> {
        /// The extension HTJ2K.
        const HIGH_THROUGHPUT: u8 = 0x40;
        const OWN_PRECINCTS: u8 = 1;

        let cut = || damaged("its header ends early");
        let place = if style_place == 0 { 5 } else { 2 };
        let style = *segment.get(style_place).ok_or_else(cut)?;
        let [levels, width, height, block_style, transform] =
            *segment.get(place..).and_then(<[u8]>::first_chunk).ok_or_else(cut)?;
        if block_style & HIGH_THROUGHPUT != 0 {
            return Err(unsupported("its blocks are coded as in HTJ2K"));
        }
        if style > 7 || levels > 31 || width > 8 || height > 8 || width + height > 8 || transform > 1 {
            return Err(damaged("its coding is impossible"));
        }
        let sides = segment.get(place + 5..).unwrap_or_default();
        let precincts = if style & OWN_PRECINCTS != 0 {
            let sides = sides.get(..usize::from(levels) + 1).ok_or_else(cut)?;
            if sides[1..].iter().any(|side| side % 16 == 0 || side / 16 == 0) {
                return Err(damaged("its coding is impossible"));
            }
            sides
                .iter()
                .map(|side| ((side & 0xf).into(), (side >> 4).into()))
                .collect()
        } else {
            vec![(15, 15); usize::from(levels) + 1]
        };
        let mut plain = segment.to_vec();
        plain[place + 4] = 1;
        Ok(Self {
            levels: levels.into(),
            code_block_bits: u32::from(width + height) + 4,
            is_reversible: transform == 1,
            precincts,
            segment: plain,
        })
    }
}

impl Quantization {
    fn read(segment: &[u8]) -> Result<Self, PictureError> {
        /// Of 32 levels, one more than are read.
        const MAX_BANDS: u32 = 97;

        let (&first, rest) = segment.split_first().ok_or_else(|| damaged("its header ends early"))?;
        let (words, odd) = rest.as_chunks::<2>();
        let step = |word: &[u8; 2]| {
            let word = u32::from(u16::from_be_bytes(*word));
            (word >> 11, word & 0x7ff)
        };
        let steps = match (first & 0x1f, words) {
            (0, _) => rest.iter().map(|&byte| (u32::from(byte >> 3), 0)).collect(),
            (1, &[word]) if odd.is_empty() => {
                let (exponent, mantissa) = step(&word);
                let lower = |band: u32| exponent.saturating_sub(band.saturating_sub(1) / 3);
                (0..MAX_BANDS).map(|band| (lower(band), mantissa)).collect()
            }
            (2, words) if odd.is_empty() => words.iter().map(step).collect(),
            _ => return Err(damaged("its quantization is impossible")),
        };
        Ok(Self {
            guard: first >> 5,
            steps,
        })
    }
}

/// The parts of all tiles and the end.
fn push_parts(plain: &mut Vec<u8>, reader: &mut Reader<'_>, tiles: usize) -> Result<(), PictureError> {
    let mut parts = vec![(0_u8, 0_u8); tiles];
    let mut last = None;
    loop {
        match reader.u16() {
            Some(marker::SOT) => {}
            Some(marker::EOC) => break,
            // Pillow refuses files without an end too.
            None => return Err(damaged("the data end early")),
            _ => return Err(damaged("something other than a tile follows a tile")),
        }
        let part = Part::read(reader)?;
        let tile = parts
            .get_mut(part.tile)
            .ok_or_else(|| damaged("it has a tile too many"))?;
        // OpenJPEG takes a tile for complete as soon as another one follows.
        let is_further = tile.1 != 0 && part.index >= tile.1;
        if tile.0 != part.index || is_further || (tile.0 > 0 && last != Some(part.tile) && part.count == 0) {
            return Err(damaged("the parts of a tile are out of order"));
        }
        tile.0 = part.index.saturating_add(1);
        tile.1 = tile.1.max(part.count);
        last = Some(part.tile);
        let mut segment = (part.tile as u16).to_be_bytes().to_vec();
        segment.extend((14 + part.data.len() as u32).to_be_bytes());
        segment.extend([part.index, part.count]);
        push_segment(plain, marker::SOT, &segment);
        plain.extend(marker::SOD.to_be_bytes());
        plain.extend(part.data);
    }
    if parts
        .iter()
        .any(|&(found, promised)| found == 0 || (promised != 0 && found != promised))
    {
        return Err(damaged("a tile is missing"));
    }
    plain.extend(marker::EOC.to_be_bytes());
    Ok(())
}

/// Whether the tiles' data hold no two bytes that look like a forbidden marker. Encoders write no such bytes; in
/// damaged data the decoder and `OpenJPEG` go on differently behind them (`mqc_inl.h`).
fn are_stuffed(parts: &[u8]) -> bool {
    const SOP: u8 = 0x91;
    const EPH: u8 = 0x92;

    let mut rest = parts;
    while let Some(place) = rest.windows(2).position(|pair| pair[0] == 0xff && pair[1] >= 0x90) {
        let length = match (rest[place + 1], rest.get(place + 2..)) {
            (0x90, _) => 12,
            (SOP, _) => 6,
            (EPH | 0x93, _) => 2,
            // The end.
            (0xd9, Some([])) => return true,
            _ => return false,
        };
        rest = rest.get(place + length..).unwrap_or_default();
    }
    true
}

/// Whether the last length of a PLT segment ends there, or begins with zeros (`opj_j2k_read_plt`).
fn are_whole(lengths: &[u8]) -> bool {
    let Some((_, lengths)) = lengths.split_first() else {
        return false;
    };
    let next = |length: u32, byte: &u8| match byte {
        0x80.. => (length | u32::from(byte & 0x7f)) << 7,
        _ => 0,
    };
    lengths.iter().fold(0, next) == 0
}

/// A part of a tile.
struct Part<'b> {
    tile: usize,
    index: u8,
    count: u8,
    data: &'b [u8],
}

impl<'b> Part<'b> {
    /// Reads what follows the marker SOT.
    fn read(reader: &mut Reader<'b>) -> Result<Self, PictureError> {
        let cut = || damaged("the data end early");
        let before = reader.rest().len() + 2;
        if reader.u16() != Some(10) {
            return Err(damaged("a tile's header is impossible"));
        }
        let tile = reader.u16().ok_or_else(cut)?;
        let length = reader.u32().ok_or_else(cut)? as usize;
        let index = reader.u8().ok_or_else(cut)?;
        let count = reader.u8().ok_or_else(cut)?;
        loop {
            match reader.u16().ok_or_else(cut)? {
                marker::SOD => break,
                marker::COM => {
                    segment(reader).ok_or_else(cut)?;
                }
                marker::PLT => {
                    let lengths = segment(reader).ok_or_else(cut)?;
                    if !are_whole(lengths) {
                        return Err(damaged("a tile's list of lengths is incomplete"));
                    }
                }
                name => return Err(unsupported(format!("a tile's header has a part {name:04x}"))),
            }
        }
        let header = before - reader.rest().len();
        let length = match length {
            // The last part reaches to the end marker.
            0 => reader.rest().len().checked_sub(2),
            _ => length.checked_sub(header),
        };
        let data = reader.bytes(length.ok_or_else(cut)?).ok_or_else(cut)?;
        Ok(Self {
            tile: tile.into(),
            index,
            count,
            data,
        })
    }
}

impl Component {
    /// Whether coefficients are so small that the decoder's sums of them are exact.
    pub(super) fn is_small(&self) -> bool {
        /// Every level lets numbers grow to less than four times their size.
        const BITS: u32 = 23;

        let bits = self.steps.iter().map(|&(exponent, _)| exponent + self.guard).max();
        bits.unwrap_or_default() + 2 * self.levels <= BITS
    }
}
