//! Planes of samples.

use super::{
    coefficients::{Block, Coefficients},
    idct::{Idct, Multipliers},
    segments::Frame,
    smooth::Smoothing,
};

/// One component's samples, whole blocks.
pub(super) struct Plane {
    pub samples: Vec<u8>,
    /// Samples in a row.
    pub stride: usize,
}

impl Plane {
    /// Middle grey where nothing is written.
    pub(super) fn new(blocks_across: usize, blocks_down: usize) -> Self {
        let stride = blocks_across * 8;
        Self {
            samples: vec![128; stride * blocks_down * 8],
            stride,
        }
    }

    /// From a block's first sample on.
    pub(super) fn block(&mut self, column: usize, row: usize) -> &mut [u8] {
        &mut self.samples[row * 8 * self.stride + column * 8..]
    }
}

/// Turns all coefficients into samples.
pub(super) fn transform(frame: &Frame, coefficients: &Coefficients, idct: Idct) -> Vec<Plane> {
    let smoothing = Smoothing::of(frame, coefficients);
    let mut planes = Vec::with_capacity(frame.components.len());
    for (index, component) in frame.components.iter().enumerate() {
        let multipliers = Multipliers::new(component.quant.as_ref(), idct);
        let mut plane = Plane::new(component.blocks_across, component.blocks_down);
        let stride = plane.stride;
        for row in 0..component.blocks_down {
            let first = row * coefficients.strides[index];
            let blocks = &coefficients.blocks[index][first..first + component.blocks_across];
            if let Some(smoothing) = &smoothing {
                smoothing.each_block(index, row, |column, block| {
                    multipliers.transform(block, plane.block(column, row), stride);
                });
                continue;
            }
            for (column, block) in blocks.iter().enumerate() {
                multipliers.transform(block, plane.block(column, row), stride);
            }
        }
        planes.push(plane);
    }
    planes
}

/// Whether the memory of decoding is within a limit: samples, coefficients where there are several scans, and the
/// colours.
pub(super) fn fits(frame: &Frame, several_scans: bool, limit: u64) -> bool {
    let blocks: usize = frame
        .components
        .iter()
        .map(|component| {
            let samples = component.blocks_across * component.blocks_down * 64;
            let units = frame.units_across * component.across * frame.units_down * component.down;
            samples + if several_scans { units * size_of::<Block>() } else { 0 }
        })
        .sum();
    (blocks + frame.width * frame.height * 3) as u64 <= limit
}
