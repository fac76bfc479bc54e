//! A convolution as an operation, and its methods at work on a picture.

use core::ops::Range;

use super::{ConvolutionOp, FEWEST_PIXELS, GATHERED, Method, NAME};
use crate::activation::{Curve, CurvePixels};
use crate::error::Error;
use crate::gemm::matmul::{Epilogue, Multiply, Pixels, Prefetch, Window};
use crate::gemm::packed::PANEL;
use crate::gemm::winograd::{Epilogue as TileEpilogue, Tiles, Winograd};
use crate::memory::buffer::padded;
use crate::memory::map::Map;
use crate::ops::op::{Job, Maps, Op, Pictures};
use crate::ops::window::WindowShape;
use crate::plan::cut::{Cut, JOBS, Machine, Work};
use crate::simd::isa::Isa;

impl Op for ConvolutionOp {
    fn describe(&self, maps: &Maps, _machine: Machine) -> String {
        let WindowShape { taps, stride, .. } = self.window;
        let stride = if stride[0] == stride[1] {
            stride[0].to_string()
        } else {
            format!("{} x {}", stride[0], stride[1])
        };
        let method = match self.method(maps) {
            Method::Direct => "",
            Method::Pointwise => ", pointwise",
            Method::Winograd => ", Winograd",
            Method::Bordered => ", bordered",
            Method::Gathered => ", gathered",
        };
        format!("convolution {} x {}, stride {stride}{method}", taps[0], taps[1])
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        let sides = self.window.sides(NAME, &inputs[0])?;
        let [rows, columns] = sides.map(|side| side.outputs);
        let output = Map::new(rows, columns, self.weights.outputs())?;
        if let Some(residual) = inputs.get(1)
            && *residual != output
        {
            return Err(Error::Size {
                op: NAME,
                what: "the residual",
                expected: output.size(),
                found: residual.size(),
            });
        }
        Ok(output)
    }

    /// A residual is laid out as the output.
    fn writes_beside(&self, inputs: usize) -> bool {
        inputs == 1
    }

    fn multiplications(&self, maps: &Maps) -> usize {
        let [height, width] = self.window.taps;
        maps.output.pixels() * maps.output.channels * height * width * maps.input().channels
    }

    fn bytes(&self) -> usize {
        self.weights.bytes() + self.winograd.as_ref().map_or(0, Winograd::bytes)
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        let output = &maps.output;
        let panels = self.weights.panels();
        let small = self.weights.fits_in_second_level_cache();
        let method = self.method(maps);
        let work = match method {
            Method::Winograd => {
                let pairs = output.height.div_ceil(2);
                let winograd = self.winograd.as_ref();
                if winograd.is_some_and(Winograd::fits_in_second_level_cache) {
                    // Two rows at a time.
                    Work::of(pairs)
                } else {
                    // Every job reads all weights of its outputs.
                    let tiles = output.width.div_ceil(2);
                    Work {
                        fewest: Winograd::FEWEST_TILES.div_ceil(tiles),
                        jobs: 1,
                        panels,
                        ..Work::of(pairs)
                    }
                }
            }
            Method::Pointwise => {
                let (bytes, jobs) = if small {
                    (machine.working_set() / 2, JOBS)
                } else {
                    (machine.working_set(), 1)
                };
                let pixel = self.step + padded(output.channels);
                Work {
                    units: output.pixels(),
                    most: (bytes / size_of::<f32>() / pixel).max(FEWEST_PIXELS),
                    fewest: 12,
                    jobs,
                    panels,
                }
            }
            Method::Gathered | Method::Direct | Method::Bordered if small => Work {
                panels,
                ..Work::of(output.height)
            },
            // Every job reads all weights of its outputs.
            Method::Gathered | Method::Direct | Method::Bordered => Work {
                fewest: FEWEST_PIXELS.div_ceil(output.width.max(1)),
                jobs: 1,
                panels,
                ..Work::of(output.height)
            },
        };
        Cut::new(work, machine.threads)
    }

    fn scratch(&self, maps: &Maps, machine: Machine) -> usize {
        let gathered = GATHERED * self.weights.inputs();
        match self.method(maps) {
            Method::Pointwise | Method::Direct => 0,
            Method::Winograd => self.winograd.as_ref().map_or(0, Winograd::scratch),
            Method::Bordered => {
                let columns = maps.output.width;
                let rows = self.bordered_rows(columns, machine).min(maps.output.height);
                let copied = (rows - 1) * self.window.stride[0] + self.window.taps[0];
                copied * self.bordered_row(columns)
            }
            Method::Gathered => gathered,
        }
    }

    unsafe fn run(&self, job: Job<'_>) {
        let Maps { output, .. } = job.maps;
        let cut = self.cut(job.maps, job.machine);
        let method = self.method(job.maps);
        let units = match method {
            Method::Pointwise => output.pixels(),
            Method::Winograd => output.height.div_ceil(2),
            _ => output.height,
        };
        let (part, panels) = cut.job(job.index, units, self.weights.panels());
        let run = Run {
            op: self,
            isa: job.isa,
            machine: job.machine,
            input: *job.maps.input(),
            output: *output,
            pictures: job.pictures,
            panels,
        };
        // SAFETY: the caller guarantees the pictures, and the job's part lies within the output.
        unsafe {
            match method {
                Method::Pointwise => run.pointwise(part),
                Method::Winograd => {
                    let pairs = Winograd::pairs_per_pass(output.width);
                    for start in part.clone().step_by(pairs) {
                        run.winograd(start..part.end.min(start + pairs), job.scratch);
                    }
                }
                Method::Direct => run.direct(part),
                Method::Bordered => run.bordered(part, job.scratch),
                Method::Gathered => run.gathered(part, 0..output.width, job.scratch),
            }
        }
    }
}

/// A convolution at work on a picture.
struct Run<'a> {
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
    unsafe fn pointwise(&self, pixels: Range<usize>) {
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
    unsafe fn direct(&self, rows: Range<usize>) {
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
    unsafe fn bordered(&self, rows: Range<usize>, scratch: &mut [f32]) {
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
    unsafe fn gathered(&self, rows: Range<usize>, columns: Range<usize>, scratch: &mut [f32]) {
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
    unsafe fn winograd(&self, pairs: Range<usize>, scratch: &mut [f32]) {
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
