//! The methods of a convolution at work on a picture.

use core::ops::Range;

use super::{ConvolutionOp, GATHERED};
use crate::activation::{Curve, CurvePixels};
use crate::gemm::matmul::{Epilogue, Multiply, Pixels, Prefetch, Window};
use crate::gemm::packed::PANEL;
use crate::gemm::winograd::{Epilogue as TileEpilogue, Tiles, Winograd};
use crate::memory::map::Map;
use crate::ops::Pictures;
use crate::plan::cut::Machine;
use crate::simd::isa::Isa;

/// A convolution at work on a picture.
pub(super) struct Run<'a> {
    pub op: &'a ConvolutionOp,
    pub isa: Isa,
    pub machine: Machine,
    pub input: Map,
    pub output: Map,
    pub pictures: Pictures<'a>,
    pub panels: Range<usize>,
}

impl Run<'_> {
    /// Multiplies `pixels`, read from `input` on, into outputs from pixel `first` on.
    ///
    /// # Safety
    ///
    /// The windows must be readable; the rest as in [`Op::run`].
    unsafe fn multiply(&self, input: *const f32, pixels: Pixels, window: Window, first: usize) {
        let start = first * self.output.step;
        // SAFETY: the caller's promise is the same.
        unsafe {
            let multiply = Multiply {
                input,
                pixels,
                window,
                weights: &self.op.weights,
                panels: self.panels.clone(),
                epilogue: Epilogue {
                    residual: self.pictures.second().map(|residual| residual.add(start)),
                    activation: self.op.activation,
                },
                output: self.pictures.output.add(start),
            };
            multiply.run_on(self.isa);
        }
    }

    /// # Safety
    ///
    /// See [`Op::run`].
    pub(super) unsafe fn pointwise(&self, pixels: Range<usize>) {
        let Self { input, output, .. } = self;
        // The pixels of this thread's next job, if all threads take turns.
        let next = (pixels.start + pixels.len() * self.machine.threads) * input.step;
        let prefetch = Prefetch {
            from: self.pictures.input().wrapping_add(next),
            len: pixels.len() * input.step,
        };
        let row = Pixels::row(pixels.len(), input.step, output.step, prefetch);
        // SAFETY: the caller guarantees the pictures.
        unsafe {
            let from = self.pictures.input().add(pixels.start * input.step);
            self.multiply(from, row, Window::pixel(input.step), pixels.start);
        }
    }

    /// The window in rows that are `row` values apart.
    fn window(&self, row: usize) -> Window {
        let [height, width] = self.op.window.taps;
        Window {
            runs: height,
            step: row,
            len: width * self.input.step,
        }
    }

    /// # Safety
    ///
    /// See [`Op::run`].
    pub(super) unsafe fn direct(&self, rows: Range<usize>) {
        let Self { input, output, .. } = self;
        let [down, right] = self.op.window.stride;
        let pixels = Pixels {
            rows: rows.len(),
            columns: output.width,
            in_steps: [right * input.step, down * input.row()],
            out_steps: [output.step, output.row()],
            prefetch: Prefetch::NONE,
        };
        // SAFETY: the caller guarantees the pictures; no window looks past the map.
        unsafe {
            let from = self.pictures.input().add(down * rows.start * input.row());
            self.multiply(from, pixels, self.window(input.row()), rows.start * output.width);
        }
    }

    /// # Safety
    ///
    /// See [`Op::run`].
    pub(super) unsafe fn bordered(&self, rows: Range<usize>, scratch: &mut [f32]) {
        let Self { input, output, op, .. } = self;
        let [down, right] = op.window.stride;
        let [above, left] = op.window.checked_sides(input).map(|side| side.before as usize);
        let row_len = op.bordered_row(output.width);
        let block = op.bordered_rows(output.width, self.machine);
        for start in rows.clone().step_by(block) {
            let block = start..rows.end.min(start + block);
            let copied = (block.len() - 1) * down + op.window.taps[0];
            for (index, row) in scratch.chunks_exact_mut(row_len).take(copied).enumerate() {
                let Some(y) = (block.start * down + index)
                    .checked_sub(above)
                    .filter(|&y| y < input.height)
                else {
                    row.fill(0.0);
                    continue;
                };
                let (border, rest) = row.split_at_mut(left * input.step);
                border.fill(0.0);
                let (inner, border) = rest.split_at_mut(rest.len().min(input.row()));
                border.fill(0.0);
                // SAFETY: the caller guarantees the row.
                let from =
                    unsafe { core::slice::from_raw_parts(self.pictures.input().add(y * input.row()), inner.len()) };
                inner.copy_from_slice(from);
            }
            let pixels = Pixels {
                rows: block.len(),
                columns: output.width,
                in_steps: [right * input.step, down * row_len],
                out_steps: [output.step, output.row()],
                prefetch: Prefetch::NONE,
            };
            let (window, first) = (self.window(row_len), block.start * output.width);
            // SAFETY: the copy holds all rows of these windows; the caller guarantees the rest.
            unsafe {
                self.multiply(scratch.as_ptr(), pixels, window, first);
            };
        }
    }

    /// # Safety
    ///
    /// See [`Op::run`].
    pub(super) unsafe fn gathered(&self, rows: Range<usize>, columns: Range<usize>, scratch: &mut [f32]) {
        let Self { input, output, op, .. } = self;
        let sides = op.window.checked_sides(input);
        let window = op.weights.inputs();
        let count = (scratch.len() / window).min(GATHERED);
        // Whole rows are one run of pixels.
        let (lines, len) = if columns.len() == output.width {
            (rows.start..rows.start + 1, rows.len() * output.width)
        } else {
            (rows, columns.len())
        };
        for line in lines {
            let run = line * output.width + columns.start..line * output.width + columns.start + len;
            for start in run.clone().step_by(count) {
                let pixels = start..run.end.min(start + count);
                for (pixel, copy) in pixels.clone().zip(scratch.chunks_exact_mut(window)) {
                    let (y, x) = (pixel / output.width, pixel % output.width);
                    copy.fill(0.0);
                    for (row, y) in sides[0].taps(y) {
                        for (column, x) in sides[1].taps(x) {
                            let place = y * input.row() + x * input.step;
                            // SAFETY: the taps lie on the map.
                            let from =
                                unsafe { core::slice::from_raw_parts(self.pictures.input().add(place), input.step) };
                            copy[(row * op.window.taps[1] + column) * input.step..][..input.step].copy_from_slice(from);
                        }
                    }
                }
                let row = Pixels::row(pixels.len(), window, output.step, Prefetch::NONE);
                // SAFETY: the copy holds these windows; the caller guarantees the rest.
                unsafe { self.multiply(scratch.as_ptr(), row, Window::pixel(window), pixels.start) };
            }
        }
    }

    /// Computes pairs of rows with fewer multiplications. Outputs that are not finite then are computed in the order of
    /// the definition.
    ///
    /// # Safety
    ///
    /// See [`Op::run`].
    pub(super) unsafe fn winograd(&self, pairs: Range<usize>, scratch: &mut [f32]) {
        let Self { input, output, op, .. } = self;
        let Some(winograd) = &op.winograd else {
            unreachable!("the method is only chosen with its weights");
        };
        let [above, left] = op.window.checked_sides(input).map(|side| side.before as usize);
        for tiles in Winograd::parts(&pairs, output.width) {
            let part = Tiles {
                input: self.pictures.input(),
                map: *input,
                before: [above, left],
                numbers: tiles.clone(),
                panels: self.panels.clone(),
                epilogue: TileEpilogue {
                    residual: self.pictures.second(),
                    activation: op.activation,
                },
                output: self.pictures.output,
                output_map: *output,
            };
            // SAFETY: the caller guarantees the pictures.
            let infinite = unsafe { winograd.run(self.isa, &part, scratch) };
            if let Some(curve) = op.activation.curve() {
                // SAFETY: the same.
                unsafe { self.curve(&tiles, curve) };
            }
            let per_row = output.width.div_ceil(2);
            for (tile, panel) in infinite {
                let (top, left) = (2 * (tile / per_row), 2 * (tile % per_row));
                let plain = Run {
                    panels: panel..panel + 1,
                    ..*self
                };
                let rows = top..output.height.min(top + 2);
                let columns = left..output.width.min(left + 2);
                // SAFETY: the same.
                unsafe { plain.gathered(rows, columns, scratch) };
            }
        }
    }

    /// Applies a curve to the outputs of some tiles.
    ///
    /// # Safety
    ///
    /// See [`Op::run`].
    unsafe fn curve(&self, tiles: &Range<usize>, curve: Curve) {
        let Self { output, op, .. } = self;
        let per_row = output.width.div_ceil(2);
        let (.., channels) = op.weights.panels_at(self.panels.clone());
        for pair in tiles.start / per_row..tiles.end.div_ceil(per_row) {
            let first = 2 * (tiles.start.max(pair * per_row) - pair * per_row);
            let last = output
                .width
                .min(2 * (tiles.end.min((pair + 1) * per_row) - pair * per_row));
            let place = 2 * pair * output.row() + first * output.step + self.panels.start * PANEL;
            // SAFETY: these pixels are outputs of the tiles.
            unsafe {
                self.isa.run(CurvePixels {
                    curve,
                    output: self.pictures.output.add(place),
                    rows: output.height.min(2 * pair + 2) - 2 * pair,
                    columns: last - first,
                    steps: [output.step, output.row()],
                    channels,
                });
            }
        }
    }
}
