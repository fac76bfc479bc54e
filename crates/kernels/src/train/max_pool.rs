//! Max pooling that records which value of each window was the largest.

use rayon::prelude::*;

use super::geometry::{Checked, Geometry};
use crate::error::Error;
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::Lanes;

/// A max pooling. Of equal values, the first counts as the largest. A NaN counts as larger than any number, and the
/// last NaN as the largest, as in Burn.
pub(crate) struct MaxPool {
    checked: Checked,
    isa: Isa,
}

impl MaxPool {
    /// Checks the sizes. The numbers of input and output channels must be equal.
    ///
    /// # Errors
    ///
    /// An [`Error`] when a size is 0 or too large, a window has more than 256 taps, or the window does not fit into the
    /// padded map.
    pub(crate) fn new(geometry: &Geometry, isa: Isa) -> Result<Self, Error> {
        const OP: &str = "max pooling";
        let checked = Checked::new(OP, geometry, 1)?;
        if checked.taps() > usize::from(u8::MAX) + 1 {
            return Err(Error::Unsupported {
                op: OP,
                what: "windows of more than 256 values",
            });
        }
        // Every window must contain a value of the map.
        for side in &checked.sides {
            if (0..side.outputs).any(|window| side.taps(window).next().is_none()) {
                return Err(Error::Unsupported {
                    op: OP,
                    what: "windows that lie in the padding",
                });
            }
        }
        Ok(Self { checked, isa })
    }

    /// Height and width of the output map.
    pub(crate) fn output_size(&self) -> [usize; 2] {
        self.checked.output.size()
    }

    /// Pools `input` into `output`, and writes for each output the tap that its value comes from.
    pub(crate) fn forward(&self, input: &[f32], output: &mut [f32], taps: &mut [u8]) -> Result<(), Error> {
        self.checked.check_maps(input.len(), output.len())?;
        let (row, height) = (self.checked.output.row(), self.checked.output.height);
        let rows = output.par_chunks_mut(row).zip(taps.par_chunks_mut(row)).enumerate();
        rows.for_each(|(index, (output, taps))| {
            let (picture, y) = (index / height, index % height);
            let len = self.checked.input.len();
            let kernel = PoolRow {
                checked: &self.checked,
                y,
                input: &input[picture * len..][..len],
                output,
                taps,
            };
            // SAFETY: the kernel has no pointers.
            unsafe { self.isa.run(kernel) }
        });
        Ok(())
    }

    /// Writes the gradient of the input: the gradient of each output goes to the input that its value comes from.
    pub(crate) fn input_gradient(
        &self,
        taps: &[u8],
        output_gradient: &[f32],
        input_gradient: &mut [f32],
    ) -> Result<(), Error> {
        self.checked.check_maps(input_gradient.len(), output_gradient.len())?;
        let readers = [0, 1].map(|axis| readers(&self.checked, axis));
        let (row, height) = (self.checked.input.row(), self.checked.input.height);
        input_gradient
            .par_chunks_mut(row)
            .enumerate()
            .for_each(|(index, gradient)| {
                let (picture, y) = (index / height, index % height);
                let len = self.checked.output.len();
                let kernel = GradientRow {
                    checked: &self.checked,
                    rows: &readers[0][y],
                    columns: &readers[1],
                    taps: &taps[picture * len..][..len],
                    output_gradient: &output_gradient[picture * len..][..len],
                    gradient,
                };
                // SAFETY: the kernel has no pointers.
                unsafe { self.isa.run(kernel) }
            });
        Ok(())
    }
}

/// For each place along a side, the windows that read the place, each with its tap that reads it.
fn readers(checked: &Checked, axis: usize) -> Vec<Vec<(usize, usize)>> {
    let side = &checked.sides[axis];
    let mut readers = vec![Vec::new(); side.size];
    for window in 0..side.outputs {
        for (tap, place) in side.taps(window) {
            readers[place].push((window, tap));
        }
    }
    readers
}

/// A row of outputs.
struct PoolRow<'a> {
    checked: &'a Checked,
    y: usize,
    input: &'a [f32],
    output: &'a mut [f32],
    taps: &'a mut [u8],
}

impl Kernel for PoolRow<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let channels = self.checked.geometry.inputs;
        let [down, right] = &self.checked.sides;
        let width = self.checked.geometry.kernel[1];
        let mut numbers = vec![0_u32; channels];
        let pixels = self
            .output
            .chunks_exact_mut(channels)
            .zip(self.taps.chunks_exact_mut(channels));
        for (x, (output, taps)) in pixels.enumerate() {
            let mut first = true;
            for (row, from_y) in down.taps(self.y) {
                for (column, from_x) in right.taps(x) {
                    let tap = (row * width + column) as u32;
                    let place = (from_y * self.checked.input.width + from_x) * channels;
                    let input = &self.input[place..place + channels];
                    if first {
                        output.copy_from_slice(input);
                        numbers.fill(tap);
                        first = false;
                        continue;
                    }
                    for ((most, number), value) in output.iter_mut().zip(&mut numbers).zip(input) {
                        // A NaN replaces any value; a number does not replace a NaN.
                        let larger = *value > *most || value.is_nan();
                        *most = if larger { *value } else { *most };
                        *number = if larger { tap } else { *number };
                    }
                }
            }
            taps.iter_mut()
                .zip(&numbers)
                .for_each(|(tap, number)| *tap = *number as u8);
        }
    }
}

/// A row of the input's gradient.
struct GradientRow<'a> {
    checked: &'a Checked,
    rows: &'a [(usize, usize)],
    columns: &'a [Vec<(usize, usize)>],
    taps: &'a [u8],
    output_gradient: &'a [f32],
    gradient: &'a mut [f32],
}

impl Kernel for GradientRow<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let channels = self.checked.geometry.inputs;
        let (width, kernel) = (self.checked.output.width, self.checked.geometry.kernel[1]);
        for (gradient, columns) in self.gradient.chunks_exact_mut(channels).zip(self.columns) {
            gradient.fill(0.0);
            for &(y, row) in self.rows {
                for &(x, column) in columns {
                    let tap = (row * kernel + column) as u8;
                    let place = (y * width + x) * channels;
                    let taps = &self.taps[place..place + channels];
                    let from = &self.output_gradient[place..place + channels];
                    for ((sum, own), value) in gradient.iter_mut().zip(taps).zip(from) {
                        *sum += if *own == tap { *value } else { 0.0 };
                    }
                }
            }
        }
    }
}
