//! Max pooling, with a strided 1 x 1 convolution of another map added: the end of an Xception block.

use core::ops::Range;

use super::op::{Job, Maps, Op};
use super::pool::PoolRow;
use super::window::{Padding, WindowRows, WindowShape};
use crate::activation::Activation;
use crate::error::Error;
use crate::gemm::matmul::{Epilogue, Multiply, Pixels, Prefetch, Window};
use crate::gemm::packed::PackedMatrix;
use crate::memory::map::{Map, Rows};
use crate::plan::cut::{Cut, JOBS, Machine, Work};
use crate::value::Value;

const NAME: &str = "max pool";

/// The largest value of every window. Padding is never the largest.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool<'a> {
    /// A map.
    pub input: Value,
    /// Height and width of the window.
    pub window: [usize; 2],
    /// Steps along height and width.
    pub stride: [usize; 2],
    /// Distances between the taps.
    pub dilation: [usize; 2],
    /// Pixels beyond the edge.
    pub padding: Padding,
    /// Added to the pooled values.
    pub projection: Option<Projection<'a>>,
}

impl MaxPool<'_> {
    /// A pooling whose windows lie side by side, without padding and projection.
    pub const fn new(input: Value, window: [usize; 2]) -> Self {
        Self {
            input,
            window,
            stride: window,
            dilation: [1; 2],
            padding: Padding::VALID,
            projection: None,
        }
    }
}

/// A 1 x 1 convolution with the stride of a pooling, whose outputs are added to the pooled values.
#[derive(Clone, Copy, Debug)]
pub struct Projection<'a> {
    /// A map of the height and width of the pooling's input.
    pub input: Value,
    /// `[outputs, inputs, 1, 1]`; there are as many outputs as the pooled map has channels.
    pub weights: &'a [f32],
    /// One value for each output.
    pub bias: Option<&'a [f32]>,
}

/// Bytes of pooled rows that a projection is added to while they are in the second-level cache.
const POOLED_BYTES: usize = 128 * 1024;

pub(crate) struct MaxPoolOp {
    pub window: WindowShape,
    pub projection: Option<PackedMatrix>,
}

impl MaxPoolOp {
    /// Whether a cascade can compute it row by row: it looks at three neighbouring rows.
    pub(crate) fn fits_cascade(&self) -> bool {
        self.window.taps[0] == 3 && self.window.dilation == [1; 2]
    }

    /// Pools some rows.
    ///
    /// # Safety
    ///
    /// `input` must have readable rows where the windows lie; the projected map and the output must be pictures of the
    /// maps, these rows writable by no other thread.
    pub(crate) unsafe fn rows(&self, at: &WindowRows<'_>, rows: Range<usize>, prefetch: Prefetch) {
        let output = at.output_map;
        // SAFETY: the caller's promise is the same; the projection of a row of the output lies within the projected
        // map, by `Op::output`.
        unsafe {
            let to = at.output.add(rows.start * output.row());
            for (index, y) in rows.clone().enumerate() {
                let row = PoolRow {
                    sides: at.sides,
                    input: at.input,
                    map: at.input_map,
                    y,
                    output: to.add(index * output.row()),
                    out_step: output.step,
                };
                row.max(at.isa);
            }
            if let (Some(weights), Some((from, map))) = (&self.projection, at.second) {
                let [down, right] = self.window.stride;
                at.isa.run(Multiply {
                    input: from.add(rows.start * down * map.row()),
                    pixels: Pixels {
                        rows: rows.len(),
                        columns: output.width,
                        in_steps: [right * map.step, down * map.row()],
                        out_steps: [output.step, output.row()],
                        prefetch,
                    },
                    window: Window::pixel(map.channels),
                    weights,
                    panels: 0..weights.panels(),
                    epilogue: Epilogue {
                        residual: Some(to),
                        activation: Activation::None,
                    },
                    output: to,
                });
            }
        }
    }
}

impl Op for MaxPoolOp {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        let projection = if self.projection.is_some() {
            " with projection"
        } else {
            ""
        };
        format!("{NAME}{projection}")
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        let input = inputs[0];
        let sides = self.window.sides(NAME, &input)?;
        let size = sides.each_ref().map(|side| side.outputs);
        if let Some(projected) = inputs.get(1) {
            if projected.size() != input.size() {
                return Err(Error::Size {
                    op: NAME,
                    what: "the projected map",
                    expected: input.size(),
                    found: projected.size(),
                });
            }
            // Beyond that, a row of the output would have no row of the projected map.
            let most = sides.map(|side| side.size.div_ceil(side.stride));
            if size[0] > most[0] || size[1] > most[1] {
                return Err(Error::Size {
                    op: NAME,
                    what: "the output of a projection",
                    expected: most,
                    found: size,
                });
            }
        }
        Map::new(size[0], size[1], input.channels)
    }

    fn writes_beside(&self, _inputs: usize) -> bool {
        true
    }

    fn multiplications(&self, maps: &Maps) -> usize {
        let projected = self.projection.as_ref().map_or(0, PackedMatrix::inputs);
        maps.output.pixels() * maps.output.channels * projected
    }

    fn bytes(&self) -> usize {
        self.projection.as_ref().map_or(0, PackedMatrix::bytes)
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        // Every job reads all of the weights.
        let large = self
            .projection
            .as_ref()
            .is_some_and(|weights| !weights.fits_in_second_level_cache());
        let work = Work {
            jobs: if large { 1 } else { JOBS },
            ..Work::of(maps.output.height)
        };
        Cut::new(work, machine.threads)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let (input, output) = (job.maps.input(), &job.maps.output);
        let (rows, _) = self.cut(job.maps, job.machine).job(job.index, output.height, 1);
        let sides = self.window.checked_sides(input);
        let at = WindowRows {
            isa: job.isa,
            sides: &sides,
            input: Rows::all(job.pictures.input(), input),
            input_map: input,
            second: job.pictures.second().zip(job.maps.second()),
            output: job.pictures.output,
            output_map: output,
        };
        let most = match &self.projection {
            // Every part reads all of the weights.
            Some(weights) if !weights.fits_in_second_level_cache() => rows.len().max(1),
            _ => (POOLED_BYTES / size_of::<f32>() / output.row()).max(1),
        };
        let stride = self.window.stride[0];
        for start in rows.clone().step_by(most) {
            let rows = start..rows.end.min(start + most);
            let prefetch = Prefetch {
                from: job.pictures.input().wrapping_add(rows.end * stride * input.row()),
                len: rows.len() * stride * input.row(),
            };
            // SAFETY: the caller guarantees the pictures.
            unsafe { self.rows(&at, rows, prefetch) };
        }
    }
}
