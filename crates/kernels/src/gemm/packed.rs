//! Weights in the order in which the matrix kernel reads them.

use core::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, volume};
use crate::memory::buffer::{Buffer, padded};

/// Outputs in a panel: one cache line.
pub(crate) const PANEL: usize = 16;

/// Bytes up to which a matrix stays in the second-level cache from job to job.
const SMALL: usize = 280 * 1024;

/// Bytes of rows that are read at a time.
const READ: usize = 4 << 20;

/// Inputs that are packed at a time: 4 KiB of a panel.
const BLOCK: usize = 64;

/// A matrix `[inputs, outputs]`, packed as `[panel][input][16 outputs]`, and a bias for every output.
///
/// Padding lanes of the last panel are 0, weights and bias.
pub(crate) struct PackedMatrix {
    inputs: usize,
    outputs: usize,
    weights: Buffer,
    bias: Buffer,
    /// Matrices of this size that every job reads in turn, this one included.
    in_turn: usize,
}

impl PackedMatrix {
    /// Packs weights panel by panel, on all threads. `fill` receives the outputs of the panel, at most sixteen, and its
    /// rows, which are 0. `bias` has one value for each output. `zeros` allocates.
    pub(crate) fn new(
        zeros: impl FnOnce(usize) -> Buffer,
        inputs: usize,
        outputs: usize,
        bias: Option<&[f32]>,
        fill: impl Fn(Range<usize>, &mut [[f32; PANEL]]) + Sync,
    ) -> Result<Self, Error> {
        let mut packed = Self::empty(zeros, inputs, outputs)?;
        let values = packed.weights.as_mut_slice();
        values
            .par_chunks_mut((inputs * PANEL).max(1))
            .enumerate()
            .for_each(|(panel, values)| {
                fill(outputs_of(panel, outputs), values.as_chunks_mut().0);
            });
        if let Some(bias) = bias {
            packed.bias.as_mut_slice()[..outputs].copy_from_slice(&bias[..outputs]);
        }
        Ok(packed)
    }

    /// The same on one thread, without a bias.
    pub(crate) fn serial(
        zeros: impl FnOnce(usize) -> Buffer,
        inputs: usize,
        outputs: usize,
        fill: impl Fn(Range<usize>, &mut [[f32; PANEL]]),
    ) -> Result<Self, Error> {
        let mut packed = Self::empty(zeros, inputs, outputs)?;
        let values = packed.weights.as_mut_slice();
        for (panel, values) in values.chunks_mut((inputs * PANEL).max(1)).enumerate() {
            fill(outputs_of(panel, outputs), values.as_chunks_mut().0);
        }
        Ok(packed)
    }

    fn empty(zeros: impl FnOnce(usize) -> Buffer, inputs: usize, outputs: usize) -> Result<Self, Error> {
        Ok(Self {
            inputs,
            outputs,
            weights: zeros(volume(&[padded(volume(&[outputs])?), inputs])?),
            bias: Buffer::zeros(padded(outputs)),
            in_turn: 1,
        })
    }

    /// One of `count` matrices of this size that every job reads in turn.
    pub(crate) fn in_turn(self, count: usize) -> Self {
        Self { in_turn: count, ..self }
    }

    /// Packs weights `[outputs, inputs]`, those of a pointwise convolution. The caller has checked the lengths.
    pub(crate) fn of_rows(
        zeros: impl FnOnce(usize) -> Buffer,
        [inputs, outputs]: [usize; 2],
        bias: Option<&[f32]>,
        weights: &[f32],
    ) -> Result<Self, Error> {
        Self::new(zeros, inputs, outputs, bias, |panel, values| {
            let rows = &weights[panel.start * inputs..panel.end * inputs];
            // A block of inputs of all outputs at a time: lines that are written sixteen times stay in the first-level
            // cache.
            for (block, values) in values.chunks_mut(BLOCK).enumerate() {
                for (lane, row) in rows.chunks_exact(inputs).enumerate() {
                    for (value, &weight) in values.iter_mut().zip(&row[block * BLOCK..]) {
                        value[lane] = weight;
                    }
                }
            }
        })
    }

    /// Packs weights `[inputs, outputs]`. The caller has checked the lengths.
    pub(crate) fn of_columns(
        zeros: impl FnOnce(usize) -> Buffer,
        [inputs, outputs]: [usize; 2],
        bias: Option<&[f32]>,
        weights: &[f32],
    ) -> Result<Self, Error> {
        Self::new(zeros, inputs, outputs, bias, |panel, values| {
            for (value, row) in values.iter_mut().zip(weights.chunks_exact(outputs)) {
                value[..panel.len()].copy_from_slice(&row[panel.clone()]);
            }
        })
    }

    /// Packs weights `[inputs, outputs]` that `read` hands out some rows at a time, so that they are never in memory
    /// twice.
    pub(crate) fn by_rows(
        zeros: impl FnOnce(usize) -> Buffer,
        [inputs, outputs]: [usize; 2],
        bias: Option<&[f32]>,
        mut read: impl FnMut(Range<usize>, &mut [f32]),
    ) -> Result<Self, Error> {
        let mut packed = Self::empty(zeros, inputs, outputs)?;
        let most = (READ / size_of::<f32>() / outputs.max(1)).max(1);
        let mut part = vec![0.0; most.min(inputs) * outputs];
        for start in (0..inputs).step_by(most) {
            let rows = start..inputs.min(start + most);
            let part = &mut part[..rows.len() * outputs];
            read(rows.clone(), part);
            let panels = packed.weights.as_mut_slice().par_chunks_mut((inputs * PANEL).max(1));
            panels.enumerate().for_each(|(panel, values)| {
                let panel = outputs_of(panel, outputs);
                let values = values.as_chunks_mut::<PANEL>().0[rows.clone()].iter_mut();
                for (value, row) in values.zip(part.chunks_exact(outputs)) {
                    value[..panel.len()].copy_from_slice(&row[panel.clone()]);
                }
            });
        }
        if let Some(bias) = bias {
            packed.bias.as_mut_slice()[..outputs].copy_from_slice(&bias[..outputs]);
        }
        Ok(packed)
    }

    /// Rows of the matrix.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Columns of the matrix.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Panels of sixteen outputs.
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// The weights of some panels, `inputs` rows of sixteen for each; their bias; and the number of outputs that are
    /// not padding.
    pub(crate) fn panels_at(&self, panels: Range<usize>) -> (&[f32], &[f32], usize) {
        let size = self.inputs * PANEL;
        (
            &self.weights.as_slice()[panels.start * size..panels.end * size],
            &self.bias.as_slice()[panels.start * PANEL..panels.end * PANEL],
            self.outputs.min(panels.end * PANEL) - panels.start * PANEL,
        )
    }

    /// Whether this matrix and the matrices read in turn with it stay in the second-level cache from job to job.
    pub(crate) fn fits_in_second_level_cache(&self) -> bool {
        self.bytes() * self.in_turn <= SMALL
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.weights.bytes() + self.bias.bytes()
    }
}

/// The outputs of a panel, of `outputs` in all.
fn outputs_of(panel: usize, outputs: usize) -> Range<usize> {
    let first = panel * PANEL;
    first..outputs.min(first + PANEL)
}
