//! The coefficients of a picture of several scans.

use super::segments::Frame;

/// The coefficients of a block in natural order.
pub(super) type Block = [i16; 64];

/// All coefficients of a picture of several scans.
pub(super) struct Coefficients {
    /// For each component the blocks row by row, whole interleaved units.
    pub blocks: Vec<Vec<Block>>,
    /// For each component how many blocks a row has.
    pub strides: Vec<usize>,
    /// For each component and coefficient, how many of its lowest bits are still unknown; -1 where all are
    /// (`coef_bits`).
    pub unknown_bits: Vec<[i32; 64]>,
    /// The same before the last scan, for the first ten coefficients in the order of the file.
    pub unknown_before: Vec<[i32; 64]>,
    /// How many scans there have been.
    pub scans: usize,
    /// The last row of interleaved units that the last scan has reached undamaged.
    pub last_good_row: usize,
}

impl Coefficients {
    pub(super) fn new(frame: &Frame) -> Self {
        let strides: Vec<usize> = frame
            .components
            .iter()
            .map(|component| frame.units_across * component.across)
            .collect();
        let blocks = strides.iter().zip(&frame.components);
        let blocks = blocks.map(|(&stride, component)| vec![[0; 64]; stride * frame.units_down * component.down]);
        Self {
            blocks: blocks.collect(),
            strides,
            unknown_bits: vec![[-1; 64]; frame.components.len()],
            unknown_before: vec![[0; 64]; frame.components.len()],
            scans: 0,
            last_good_row: 0,
        }
    }

    /// Whether all scans of the picture have been read.
    pub(super) fn are_complete(&self) -> bool {
        self.unknown_bits.iter().flatten().all(|&bits| bits == 0)
    }
}
