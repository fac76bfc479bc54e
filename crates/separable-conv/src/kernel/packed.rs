//! Weights in the order in which the matrix kernel reads them.

use core::ops::Range;

use rayon::prelude::*;

use super::buffer::{Buffer, padded, volume};

/// Outputs in a panel: one cache line.
pub(crate) const PANEL: usize = 16;

/// Bytes of a matrix that stays in the second-level cache from job to job.
const SMALL: usize = 280 * 1024;

/// Inputs that are packed at a time: 4 KiB of a panel.
const BLOCK: usize = 64;

/// A matrix `[inputs, outputs]` packed once: `[panel][input][16 outputs]`, and a bias for every output.
///
/// What the last panel has too much is zero, so padded outputs are zero.
pub struct PackedMatrix {
    inputs: usize,
    outputs: usize,
    weights: Buffer,
    bias: Buffer,
}

impl PackedMatrix {
    /// Packs weights that `fill` writes panel by panel, on all threads: it is given the panel's outputs, at most sixteen,
    /// and its rows, zeros so far. `bias` is one value an output, or nothing. `zeros` is where the memory comes from.
    pub(crate) fn new(
        zeros: impl FnOnce(usize) -> Buffer,
        inputs: usize,
        outputs: usize,
        bias: Option<&[f32]>,
        fill: impl Fn(Range<usize>, &mut [[f32; PANEL]]) + Sync,
    ) -> Self {
        let mut packed = Self::empty(zeros, inputs, outputs);
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
        packed
    }

    /// The same on one thread, without a bias.
    pub(crate) fn serial(
        zeros: impl FnOnce(usize) -> Buffer,
        inputs: usize,
        outputs: usize,
        fill: impl Fn(Range<usize>, &mut [[f32; PANEL]]),
    ) -> Self {
        let mut packed = Self::empty(zeros, inputs, outputs);
        let values = packed.weights.as_mut_slice();
        for (panel, values) in values.chunks_mut((inputs * PANEL).max(1)).enumerate() {
            fill(outputs_of(panel, outputs), values.as_chunks_mut().0);
        }
        packed
    }

    fn empty(zeros: impl FnOnce(usize) -> Buffer, inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            weights: zeros(volume(&[padded(volume(&[outputs])), inputs])),
            bias: Buffer::zeros(padded(outputs)),
        }
    }

    /// Packs weights `[outputs, inputs]`, those of a pointwise convolution.
    ///
    /// # Panics
    ///
    /// When weights and sizes don't fit together.
    pub(crate) fn of_rows(
        zeros: impl FnOnce(usize) -> Buffer,
        inputs: usize,
        outputs: usize,
        bias: Option<&[f32]>,
        weights: &[f32],
    ) -> Self {
        assert_eq!(
            weights.len(),
            volume(&[inputs, outputs]),
            "weights of a pointwise convolution"
        );
        Self::new(zeros, inputs, outputs, bias, |panel, values| {
            let rows = &weights[panel.start * inputs..panel.end * inputs];
            // A few inputs of all outputs at a time: what is written sixteen times stays in the first-level cache.
            for (block, values) in values.chunks_mut(BLOCK).enumerate() {
                for (lane, row) in rows.chunks_exact(inputs).enumerate() {
                    for (value, &weight) in values.iter_mut().zip(&row[block * BLOCK..]) {
                        value[lane] = weight;
                    }
                }
            }
        })
    }

    /// Packs weights `[inputs, outputs]`.
    pub(crate) fn of_columns(
        zeros: impl FnOnce(usize) -> Buffer,
        inputs: usize,
        outputs: usize,
        bias: Option<&[f32]>,
        weights: &[f32],
    ) -> Self {
        Self::new(zeros, inputs, outputs, bias, |panel, values| {
            for (value, row) in values.iter_mut().zip(weights.chunks_exact(outputs)) {
                value[..panel.len()].copy_from_slice(&row[panel.clone()]);
            }
        })
    }

    /// How many values go in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many come out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Panels of sixteen outputs.
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// Some panels: of each `inputs` rows of sixteen weights; the bias of all; and how many of their outputs are real.
    pub(crate) fn panels_at(&self, panels: Range<usize>) -> (&[f32], &[f32], usize) {
        let size = self.inputs * PANEL;
        (
            &self.weights.as_slice()[panels.start * size..panels.end * size],
            &self.bias.as_slice()[panels.start * PANEL..panels.end * PANEL],
            self.outputs.min(panels.end * PANEL) - panels.start * PANEL,
        )
    }

    /// Whether it stays in the second-level cache from job to job.
    pub(crate) fn stays(&self) -> bool {
        self.bytes() <= SMALL
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
