//! One scan's codes (`jdhuff.c`, `jdphuff.c`, `jdcoefct.c`).

use super::{
    arithmetic::ArithmeticDecoder,
    block_decoder::BlockDecoder,
    coefficients::{Block, Coefficients},
    fault::Fault,
    huffman::{Bits, Codes, Table},
    idct::{Idct, Multipliers},
    plane::Plane,
    segments::{Coding, Frame, NATURAL_ORDER, Scan, Segments},
};

/// The tables of a sequential scan: for each of its components DC and AC.
fn sequential_tables(segments: &mut Segments<'_>) -> Result<Vec<[Table; 2]>, Fault> {
    note_odd_scan(segments);
    // Once, before the first scan: later ones must bring their own.
    if segments.scans == 1 {
        for (place, [dc, ac]) in Codes::standard().into_iter().enumerate() {
            segments.dc_codes[place].get_or_insert(dc);
            segments.ac_codes[place].get_or_insert(ac);
        }
    }
    let components = segments.scan.components.iter();
    components
        .map(|&(_, dc, ac)| {
            Ok([
                table(&segments.dc_codes, dc, true)?,
                table(&segments.ac_codes, ac, false)?,
            ])
        })
        .collect()
}

fn table(codes: &[Option<Codes>; 4], place: usize, of_dc: bool) -> Result<Table, Fault> {
    let codes = codes.get(place).and_then(Option::as_ref);
    Table::new(codes.ok_or(Fault::Broken("a Huffman table is missing"))?, of_dc)
}

/// One block of a sequential scan; `block` holds zeros or an earlier scan's coefficients.
#[inline]
fn decode_block(
    bits: &mut Bits<'_, '_>,
    [dc, ac]: &[Table; 2],
    last_dc: &mut i32,
    block: &mut Block,
) -> Result<(), Fault> {
    // The sizes of DC differences are at most 15.
    let (_, difference) = bits.symbol_and_signed(dc)?;
    *last_dc = add_dc(*last_dc, difference)?;
    block[0] = *last_dc as i16;
    let mut place = 1;
    while place < 64 {
        let (symbol, value) = bits.symbol_and_signed(ac)?;
        let (run, size) = (usize::from(symbol >> 4), symbol & 15);
        if size != 0 {
            place += run;
            block[usize::from(NATURAL_ORDER[place])] = value as i16;
            place += 1;
        } else if run == 15 {
            place += 16;
        } else {
            break;
        }
    }
    Ok(())
}

fn add_dc(last: i32, difference: i32) -> Result<i32, Fault> {
    last.checked_add(difference)
        .ok_or(Fault::Broken("a coefficient is out of range"))
}

/// Counts the units between restart markers.
struct Restarts {
    interval: usize,
    left: usize,
}

impl Restarts {
    fn new(interval: usize) -> Self {
        Self {
            interval,
            left: interval,
        }
    }

    /// Whether a restart marker comes before the next unit.
    fn is_due(&mut self) -> bool {
        if self.interval == 0 {
            return false;
        }
        let due = self.left == 0;
        if due {
            self.left = self.interval;
        }
        self.left -= 1;
        due
    }
}

/// Decodes and transforms the only scan of a picture, which holds all components.
pub(super) fn decode_single(segments: &mut Segments<'_>, idct: Idct) -> Result<Vec<Plane>, Fault> {
    segments.start_scan()?;
    let tables = sequential_tables(segments)?;
    let Segments {
        stream,
        frame,
        scan,
        restart_interval,
        ..
    } = segments;
    let Some(frame) = frame else {
        return Ok(Vec::new());
    };
    let mut planes: Vec<Plane> = frame
        .components
        .iter()
        .map(|component| Plane::new(component.blocks_across, component.blocks_down))
        .collect();
    let multipliers: Vec<Multipliers> = frame
        .components
        .iter()
        .map(|component| Multipliers::new(component.quant.as_ref(), idct))
        .collect();
    let interleaved = scan.components.len() > 1;
    let (units_across, units_down) = units(frame, scan);
    let mut last_dcs = vec![0; scan.components.len()];
    let mut restarts = Restarts::new(*restart_interval);
    let mut bits = Bits::new(stream);
    for unit_row in 0..units_down {
        for unit in 0..units_across {
            if restarts.is_due() {
                bits.restart()?;
                last_dcs.fill(0);
            }
            // Blocks after the end of the data stay middle grey.
            if bits.insufficient {
                continue;
            }
            for (part, &(index, ..)) in scan.components.iter().enumerate() {
                let component = &frame.components[index];
                let (across, down) = if interleaved {
                    (component.across, component.down)
                } else {
                    (1, 1)
                };
                for row in unit_row * down..(unit_row + 1) * down {
                    for column in unit * across..(unit + 1) * across {
                        let mut block = [0; 64];
                        decode_block(&mut bits, &tables[part], &mut last_dcs[part], &mut block)?;
                        if row < component.blocks_down && column < component.blocks_across {
                            let plane = &mut planes[index];
                            let stride = plane.stride;
                            multipliers[index].transform(&block, plane.block(column, row), stride);
                        }
                    }
                }
            }
        }
    }
    bits.finish();
    Ok(planes)
}

/// Units of a scan across and down: interleaved ones, or the blocks of its only component.
fn units(frame: &Frame, scan: &Scan) -> (usize, usize) {
    match scan.components[..] {
        [(index, ..)] => {
            let component = &frame.components[index];
            (component.blocks_across, component.blocks_down)
        }
        _ => (frame.units_across, frame.units_down),
    }
}

/// Adds a scan to the coefficients.
pub(super) fn decode_one_of_many(segments: &mut Segments<'_>, coefficients: &mut Coefficients) -> Result<(), Fault> {
    segments.start_scan()?;
    coefficients.scans = segments.scans;
    let (coding, is_arithmetic) = {
        let frame = segments.frame()?;
        (frame.coding, frame.is_arithmetic)
    };
    if coding == Coding::Progressive {
        check_progressive(segments, coefficients)?;
    } else {
        for &(index, ..) in &segments.scan.components {
            coefficients.unknown_bits[index] = [0; 64];
        }
    }
    let tables = match coding {
        _ if is_arithmetic => None,
        Coding::Progressive => Some(Tables::progressive(segments)?),
        _ => Some(Tables::Sequential(sequential_tables(segments)?)),
    };
    if is_arithmetic && coding == Coding::Sequential {
        note_odd_scan(segments);
    }
    let Segments {
        stream,
        frame,
        scan,
        restart_interval,
        conditioning,
        ..
    } = segments;
    let Some(frame) = frame else {
        return Ok(());
    };
    match tables {
        None => {
            let decoder = ArithmeticDecoder::new(stream, scan, *conditioning, coding);
            decode_blocks(frame, scan, *restart_interval, coefficients, decoder)
        }
        Some(tables) => {
            let decoder = HuffmanDecoder {
                tables,
                scan,
                last_dcs: vec![0; scan.components.len()],
                blocks_to_skip: 0,
                bits: Bits::new(stream),
            };
            decode_blocks(frame, scan, *restart_interval, coefficients, decoder)
        }
    }
}

fn decode_blocks(
    frame: &Frame,
    scan: &Scan,
    restart_interval: usize,
    coefficients: &mut Coefficients,
    mut decoder: impl BlockDecoder,
) -> Result<(), Fault> {
    let interleaved = scan.components.len() > 1;
    let (units_across, units_down) = units(frame, scan);
    let mut restarts = Restarts::new(restart_interval);
    for unit_row in 0..units_down {
        let frame_row = match scan.components[..] {
            [(index, ..)] => unit_row / frame.components[index].down,
            _ => unit_row,
        };
        for unit in 0..units_across {
            if !decoder.is_spent() {
                coefficients.last_good_row = frame_row;
            }
            if restarts.is_due() {
                decoder.restart()?;
            }
            if decoder.is_spent() {
                continue;
            }
            for (part, &(index, ..)) in scan.components.iter().enumerate() {
                let component = &frame.components[index];
                let (across, down) = if interleaved {
                    (component.across, component.down)
                } else {
                    (1, 1)
                };
                for row in unit_row * down..(unit_row + 1) * down {
                    for column in unit * across..(unit + 1) * across {
                        let place = row * coefficients.strides[index] + column;
                        let block = &mut coefficients.blocks[index][place];
                        decoder.decode(part, block)?;
                    }
                }
            }
        }
    }
    decoder.finish();
    Ok(())
}

struct HuffmanDecoder<'s, 'a> {
    tables: Tables,
    scan: &'s Scan,
    last_dcs: Vec<i32>,
    /// `EOBRUN`
    blocks_to_skip: i32,
    bits: Bits<'s, 'a>,
}

/// The tables of a scan, and with them what it adds to a block.
enum Tables {
    /// For each component its DC and AC tables.
    Sequential(Vec<[Table; 2]>),
    /// For each component its table.
    DcFirst(Vec<Table>),
    DcRefine,
    AcFirst(Table),
    AcRefine(Table),
}

/// Checks the parameters of a scan of a progressive picture, and notes what it adds (`start_pass_phuff_decoder`).
fn check_progressive(segments: &mut Segments<'_>, coefficients: &mut Coefficients) -> Result<(), Fault> {
    let Scan {
        ref components,
        first,
        last,
        high,
        low,
    } = segments.scan;
    let is_dc = first == 0;
    let band_is_bad = if is_dc {
        last != 0
    } else {
        first > last || last > 63 || components.len() != 1
    };
    if band_is_bad || (high != 0 && low != high - 1) || low > 13 {
        return Err(Fault::Broken("a progressive scan has impossible parameters"));
    }
    for &(index, ..) in components {
        let unknown = &mut coefficients.unknown_bits[index];
        if !is_dc && unknown[0] < 0 {
            segments.stream.warnings.odd_scans += 1;
        }
        let before = &mut coefficients.unknown_before[index];
        for place in first.min(1)..=last.max(9) {
            before[place] = if segments.scans > 1 { unknown[place] } else { 0 };
        }
        let mut odd = false;
        for unknown in &mut unknown[first..=last] {
            odd |= high as i32 != (*unknown).max(0);
            *unknown = low as i32;
        }
        segments.stream.warnings.odd_scans += usize::from(odd);
    }
    Ok(())
}

/// Counts the only kind of scan's odd parameters: a sequential scan holds all bits of all coefficients.
fn note_odd_scan(segments: &mut Segments<'_>) {
    let scan = &segments.scan;
    if (scan.first, scan.last, scan.high, scan.low) != (0, 63, 0, 0) {
        segments.stream.warnings.odd_scans += 1;
    }
}

impl Tables {
    fn progressive(segments: &Segments<'_>) -> Result<Self, Fault> {
        let Scan {
            ref components,
            first,
            high,
            ..
        } = segments.scan;
        Ok(match (first == 0, high) {
            (true, 0) => {
                let tables = components.iter().map(|&(_, dc, _)| table(&segments.dc_codes, dc, true));
                Self::DcFirst(tables.collect::<Result<_, _>>()?)
            }
            (true, _) => Self::DcRefine,
            (false, high) => {
                let table = table(&segments.ac_codes, components[0].2, false)?;
                if high == 0 {
                    Self::AcFirst(table)
                } else {
                    Self::AcRefine(table)
                }
            }
        })
    }
}

impl BlockDecoder for HuffmanDecoder<'_, '_> {
    #[inline]
    fn is_spent(&self) -> bool {
        self.bits.insufficient
    }

    fn restart(&mut self) -> Result<(), Fault> {
        self.bits.restart()?;
        self.last_dcs.fill(0);
        self.blocks_to_skip = 0;
        Ok(())
    }

    #[inline]
    fn decode(&mut self, part: usize, block: &mut Block) -> Result<(), Fault> {
        let (bits, scan) = (&mut self.bits, self.scan);
        match &self.tables {
            Tables::Sequential(tables) => decode_block(bits, &tables[part], &mut self.last_dcs[part], block),
            Tables::DcFirst(tables) => {
                let (_, difference) = bits.symbol_and_signed(&tables[part])?;
                let last_dc = &mut self.last_dcs[part];
                *last_dc = add_dc(*last_dc, difference)?;
                block[0] = (*last_dc << scan.low) as i16;
                Ok(())
            }
            Tables::DcRefine => {
                if bits.bits(1)? != 0 {
                    block[0] |= (1 << scan.low) as i16;
                }
                Ok(())
            }
            Tables::AcFirst(table) => first_band(bits, table, scan, &mut self.blocks_to_skip, block),
            Tables::AcRefine(table) => refine_band(bits, table, scan, &mut self.blocks_to_skip, block),
        }
    }

    fn finish(&mut self) {
        self.bits.finish();
    }
}

/// `decode_mcu_AC_first`
#[inline]
fn first_band(
    bits: &mut Bits<'_, '_>,
    table: &Table,
    scan: &Scan,
    blocks_to_skip: &mut i32,
    block: &mut Block,
) -> Result<(), Fault> {
    if *blocks_to_skip > 0 {
        *blocks_to_skip -= 1;
        return Ok(());
    }
    let mut place = scan.first;
    while place <= scan.last {
        let (symbol, value) = bits.symbol_and_signed(table)?;
        let (run, size) = (usize::from(symbol >> 4), symbol & 15);
        if size != 0 {
            place += run;
            block[usize::from(NATURAL_ORDER[place])] = (value << scan.low) as i16;
            place += 1;
        } else if run == 15 {
            place += 16;
        } else {
            *blocks_to_skip = skipped(bits, run)? - 1;
            break;
        }
    }
    Ok(())
}

/// The number of blocks that hold no more, this one included.
fn skipped(bits: &mut Bits<'_, '_>, size: usize) -> Result<i32, Fault> {
    Ok((1 << size) + if size == 0 { 0 } else { bits.bits(size as u32)? })
}

/// `decode_mcu_AC_refine`
#[inline]
fn refine_band(
    bits: &mut Bits<'_, '_>,
    table: &Table,
    scan: &Scan,
    blocks_to_skip: &mut i32,
    block: &mut Block,
) -> Result<(), Fault> {
    let (plus, minus) = ((1 << scan.low) as i16, (-1 << scan.low) as i16);
    let refine = |bits: &mut Bits<'_, '_>, coefficient: &mut i16| -> Result<(), Fault> {
        if bits.bits(1)? != 0 && *coefficient & plus == 0 {
            *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { plus } else { minus });
        }
        Ok(())
    };
    let mut place = scan.first;
    if *blocks_to_skip == 0 {
        while place <= scan.last {
            let symbol = bits.symbol(table)?;
            let (mut run, size) = (symbol >> 4, symbol & 15);
            let mut fresh = 0;
            if size != 0 {
                if size != 1 {
                    bits.stream.warnings.bad_codes += 1;
                }
                fresh = if bits.bits(1)? != 0 { plus } else { minus };
            } else if run != 15 {
                *blocks_to_skip = skipped(bits, run.into())?;
                break;
            }
            while place <= scan.last {
                let coefficient = &mut block[usize::from(NATURAL_ORDER[place])];
                if *coefficient != 0 {
                    refine(bits, coefficient)?;
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                place += 1;
            }
            if fresh != 0 {
                block[usize::from(NATURAL_ORDER[place])] = fresh;
            }
            place += 1;
        }
    }
    if *blocks_to_skip > 0 {
        for &natural in &NATURAL_ORDER[place.min(scan.last + 1)..=scan.last] {
            let coefficient = &mut block[usize::from(natural)];
            if *coefficient != 0 {
                refine(bits, coefficient)?;
            }
        }
        *blocks_to_skip -= 1;
    }
    Ok(())
}
