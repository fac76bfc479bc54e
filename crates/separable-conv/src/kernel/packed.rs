//! Weights in the order in which the matrix kernel reads them.

use super::buffer::{Buffer, padded};

/// Outputs in a panel: one cache line.
pub(crate) const PANEL: usize = 16;

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
    /// Packs `weights`, of which `weight(output, input)` is one; `bias` is one value an output, or nothing.
    pub(crate) fn new(
        inputs: usize,
        outputs: usize,
        bias: Option<&[f32]>,
        weight: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        use rayon::prelude::*;

        let mut packed = Self {
            inputs,
            outputs,
            weights: Buffer::zeros(padded(outputs) * inputs),
            bias: Buffer::zeros(padded(outputs)),
        };
        packed
            .weights
            .as_mut_slice()
            .par_chunks_mut((inputs * PANEL).max(1))
            .enumerate()
            .for_each(|(panel, values)| {
                let first = panel * PANEL;
                for output in first..outputs.min(first + PANEL) {
                    for (input, row) in values.chunks_exact_mut(PANEL).enumerate() {
                        row[output - first] = weight(output, input);
                    }
                }
            });
        if let Some(bias) = bias {
            packed.bias.as_mut_slice()[..outputs].copy_from_slice(&bias[..outputs]);
        }
        packed
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

    /// One panel: `inputs` rows of sixteen weights, and how many of the sixteen outputs are real.
    pub(crate) fn panel(&self, panel: usize) -> (&[f32], &[f32], usize) {
        let size = self.inputs * PANEL;
        (
            &self.weights.as_slice()[panel * size..][..size],
            &self.bias.as_slice()[panel * PANEL..][..PANEL],
            (self.outputs - panel * PANEL).min(PANEL),
        )
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.weights.bytes() + self.bias.bytes()
    }
}
