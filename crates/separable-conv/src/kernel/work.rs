//! Doing a layer's jobs.

use core::ops::Range;
use core::slice;

use super::buffer::{LINE, padded};
use super::depthwise::{Depthwise, DepthwiseKernel};
use super::isa::{Isa, Kernel};
use super::lanes::Lanes;
use super::layer::{Layer, Maps, SeparableRelu};
use super::map::{Map, Rows};
use super::matmul::{Finish, Multiply, Pixels, Reach, Soon};
use super::packed::PackedMatrix;
use super::pool::{MaxPool, PoolAll, PoolRow};
use super::strassen::{MultiplyBySeven, Strassen};
use super::winograd::Winograd;

/// Values between the pixels of a separable convolution's scratch beyond their channels. With 1,024 channels and none, the
/// pixels of a tile would fall into one set of the first-level cache.
pub(crate) const PANEL_GAP: usize = 16;

/// Bytes of pooled rows that a projection is added to while they are in the second-level cache.
const POOLED_BYTES: usize = 128 * 1024;

/// Where a layer's maps are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pictures {
    pub input: *const f32,
    pub residual: Option<*const f32>,
    pub output: *mut f32,
}

impl Layer {
    /// Does one job.
    ///
    /// # Safety
    ///
    /// `pictures` must be pictures of `maps` that this layer gave: the inputs readable and not written to, the output
    /// writable by this job alone where the job writes. Two jobs of a layer write to different places.
    pub(crate) unsafe fn run(
        &self,
        isa: Isa,
        maps: &Maps,
        pictures: Pictures,
        job: usize,
        threads: usize,
        scratch: &mut [f32],
    ) {
        let cut = self.cut(maps, threads);
        let Maps { input, output, .. } = *maps;
        // SAFETY: here and in the functions below, the pictures are readable and writable as the caller vouches, and every
        // index is within the maps, by `Cut::job` and by `Layer::output`, which checks that the maps fit together.
        unsafe {
            match self {
                Self::Interleave { .. } => {
                    let (rows, _) = cut.job(job, output.height, 1);
                    rows.for_each(|row| interleave(pictures.input, &input, row, pictures.output, output.step));
                }
                Self::Convolution {
                    weights,
                    kernel,
                    stride,
                    relu,
                    winograd,
                } => {
                    let convolution = Convolution {
                        weights,
                        kernel: *kernel,
                        stride: *stride,
                        relu: *relu,
                        input: &input,
                        output: &output,
                        from: pictures.input,
                        to: pictures.output,
                    };
                    if let Some(winograd) = winograd {
                        let (pairs, _) = cut.job(job, output.height.div_ceil(2), 1);
                        for pair in pairs {
                            convolution.two_rows(isa, winograd, 2 * pair, scratch);
                        }
                    } else {
                        let (rows, panels) = cut.job(job, output.height, weights.panels());
                        convolution.run(isa, rows, 0..output.width, panels);
                    }
                }
                Self::Separable {
                    depthwise,
                    pointwise,
                    relu,
                    ..
                } => {
                    let strassen = self.strassen(maps, threads);
                    let together = strassen.map_or([1; 2], |strassen| [2, strassen.both()]);
                    let (pixels, panels) = cut.job_of(job, [input.pixels(), pointwise.panels()], together);
                    let start = pixels.start * output.step;
                    // The rows of the job that comes next to this thread, if they all take turns.
                    let next = (pixels.start + pixels.len() * threads).saturating_sub(input.width) * input.step;
                    let soon = Soon {
                        from: pictures.input.wrapping_add(next),
                        len: (pixels.len() + 2 * input.width) * input.step,
                    };
                    let separable = Separable {
                        depthwise,
                        pointwise,
                        strassen,
                        relu: *relu,
                    };
                    let (rows, to) = (Rows::all(pictures.input, &input), pictures.output.add(start));
                    let residual = pictures.residual.map(|residual| residual.add(start));
                    separable.run(isa, rows, &input, pixels, panels, scratch, residual, to, soon);
                }
                Self::Pool { pool, projection } => {
                    let (rows, _) = cut.job(job, output.height, 1);
                    run_pool(isa, pool, projection.as_ref(), maps, pictures, rows);
                }
                Self::GlobalPool(pool) => {
                    let (lines, _) = cut.job(job, input.step / LINE, 1);
                    isa.run(PoolAll {
                        pool: *pool,
                        input: pictures.input,
                        map: &input,
                        lanes: lines.start * LINE..lines.end * LINE,
                        output: pictures.output,
                    });
                }
                Self::Dense { weights, relu } => {
                    let (_, panels) = cut.job(job, 1, weights.panels());
                    isa.run(Multiply {
                        input: pictures.input,
                        pixels: Pixels::row(1, 0, 0, Soon::NOTHING),
                        reach: Reach::pixel(input.channels),
                        weights,
                        panels,
                        finish: Finish {
                            residual: None,
                            relu: *relu,
                        },
                        output: pictures.output,
                    });
                }
                Self::Deinterleave => {
                    let (lines, _) = cut.job(job, input.channels.div_ceil(LINE), 1);
                    lines.for_each(|line| deinterleave(pictures.input, &input, line, pictures.output));
                }
            }
        }
    }
}

/// An ordinary convolution of a picture.
struct Convolution<'a> {
    weights: &'a PackedMatrix,
    kernel: usize,
    stride: usize,
    relu: bool,
    input: &'a Map,
    output: &'a Map,
    from: *const f32,
    to: *mut f32,
}

impl Convolution<'_> {
    /// Computes some panels of some pixels of the output.
    ///
    /// # Safety
    ///
    /// See [`Layer::run`].
    unsafe fn run(&self, isa: Isa, rows: Range<usize>, columns: Range<usize>, panels: Range<usize>) {
        let Self { input, output, .. } = *self;
        // SAFETY: the caller vouches for the pictures.
        unsafe {
            let from = self.stride * (rows.start * input.row() + columns.start * input.step);
            isa.run(Multiply {
                input: self.from.add(from),
                pixels: Pixels {
                    rows: rows.len(),
                    columns: columns.len(),
                    in_steps: [self.stride * input.step, self.stride * input.row()],
                    out_steps: [output.step, output.row()],
                    soon: Soon::NOTHING,
                },
                reach: Reach {
                    pieces: self.kernel,
                    step: input.row(),
                    len: self.kernel * input.step,
                },
                weights: self.weights,
                panels,
                finish: Finish {
                    residual: None,
                    relu: self.relu,
                },
                output: self.to.add(rows.start * output.row() + columns.start * output.step),
            });
        }
    }

    /// Computes rows `y` and `y + 1` with fewer multiplications; what is not finite then, in the order of the definition.
    ///
    /// # Safety
    ///
    /// See [`Layer::run`].
    unsafe fn two_rows(&self, isa: Isa, winograd: &Winograd, y: usize, scratch: &mut [f32]) {
        let Self { input, output, .. } = *self;
        for tiles in Winograd::parts(output.width) {
            // SAFETY: the caller vouches for the pictures.
            unsafe {
                if !winograd.run(
                    isa,
                    self.from,
                    input,
                    y,
                    tiles.clone(),
                    self.relu,
                    self.to,
                    output,
                    scratch,
                ) {
                    let columns = 2 * tiles.start..output.width.min(2 * tiles.end);
                    let rows = y..output.height.min(y + 2);
                    self.run(isa, rows, columns, 0..self.weights.panels());
                }
            }
        }
    }
}

/// A separable convolution.
#[derive(Clone, Copy)]
pub(crate) struct Separable<'a> {
    pub depthwise: &'a DepthwiseKernel,
    pub pointwise: &'a PackedMatrix,
    pub strassen: Option<&'a Strassen>,
    pub relu: SeparableRelu,
}

impl Separable<'_> {
    /// Values of scratch for `pixels` pixels of a map.
    pub(crate) const fn scratch(map: &Map, pixels: usize) -> usize {
        pixels * (map.step + PANEL_GAP)
    }

    /// The same with their sums.
    pub(crate) fn strassen_scratch(map: &Map, pixels: usize, strassen: &Strassen) -> usize {
        // An odd number of pixels has zeros after the last.
        Self::scratch(map, pixels + 1) + strassen.scratch(pixels)
    }

    /// Convolves some pixels into some panels of outputs. `soon` is read next. With Strassen's sums the pixels begin with an even
    /// one, and the panels with a pair of groups.
    ///
    /// # Safety
    ///
    /// `input` must have readable rows of `map` around these pixels; `output` must be writable and `residual` readable from
    /// the first of them on; nobody else may write to any of it meanwhile.
    #[allow(clippy::too_many_arguments, reason = "all of them change from call to call")]
    pub(crate) unsafe fn run(
        &self,
        isa: Isa,
        input: Rows,
        map: &Map,
        pixels: Range<usize>,
        panels: Range<usize>,
        scratch: &mut [f32],
        residual: Option<*const f32>,
        output: *mut f32,
        soon: Soon,
    ) {
        let step = map.step + PANEL_GAP;
        let count = pixels.len();
        let zeros = usize::from(self.strassen.is_some());
        let (scratch, sums) = scratch.split_at_mut(Self::scratch(map, count + zeros));
        // SAFETY: the caller vouches for the rows, the output and the residual; the scratch has room for these pixels.
        unsafe {
            isa.run(Depthwise {
                kernel: self.depthwise,
                relu: self.relu.before,
                input,
                map,
                first: pixels.start,
                count,
                output: scratch.as_mut_ptr(),
                step,
            });
            if self.relu.between {
                isa.run(Relu(scratch));
            }
            // The pixel of zeros, if any.
            scratch[count * step..].fill(0.0);
            let out_step = padded(self.pointwise.outputs());
            let finish = Finish {
                residual,
                relu: self.relu.after,
            };
            let multiply = |pixels: Range<usize>, panels: Range<usize>, soon| {
                isa.run(Multiply {
                    input: scratch.as_ptr().add(pixels.start * step),
                    pixels: Pixels::row(pixels.len(), step, out_step, soon),
                    reach: Reach::pixel(map.channels),
                    weights: self.pointwise,
                    panels,
                    finish: Finish {
                        residual: residual.map(|residual| residual.add(pixels.start * out_step)),
                        ..finish
                    },
                    output: output.add(pixels.start * out_step),
                });
            };
            let last = self.strassen.map_or(0, Strassen::panels);
            let by_seven = panels.start..last.clamp(panels.start, panels.end);
            let Some(strassen) = self.strassen.filter(|_| !by_seven.is_empty()) else {
                return multiply(0..count, panels, soon);
            };
            let again = isa.run(MultiplyBySeven {
                strassen,
                weights: self.pointwise,
                panels: by_seven.clone(),
                input: scratch.as_ptr(),
                in_step: step,
                pixels: count,
                finish,
                output,
                out_step,
                soon,
                scratch: sums,
            });
            // Neighbours at once.
            let mut done = 0;
            for pairs in again.chunk_by(|one, next| (*one > 0.0) == (*next > 0.0)) {
                let pixels = 2 * done..count.min(2 * (done + pairs.len()));
                done += pairs.len();
                if pairs[0] > 0.0 {
                    multiply(pixels, by_seven.clone(), Soon::NOTHING);
                }
            }
            multiply(0..count, by_seven.end..panels.end, Soon::NOTHING);
        }
    }
}

/// Negative values made zero, in whole cache lines.
struct Relu<'a>(&'a mut [f32]);

impl Kernel for Relu<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for values in self.0.chunks_exact_mut(V::WIDTH) {
            // SAFETY: a chunk is one vector.
            unsafe { V::load(values.as_ptr()).relu().store(values.as_mut_ptr()) };
        }
    }
}

/// Some rows of a pooling and its projection.
///
/// # Safety
///
/// See [`Layer::run`].
unsafe fn run_pool(
    isa: Isa,
    pool: &MaxPool,
    projection: Option<&(PackedMatrix, usize)>,
    maps: &Maps,
    pictures: Pictures,
    rows: Range<usize>,
) {
    let Maps { input, output, .. } = *maps;
    let most = match projection {
        // Every part reads all of the weights again.
        Some((weights, _)) if !weights.stays() => rows.len().max(1),
        _ => (POOLED_BYTES / size_of::<f32>() / output.row()).max(1),
    };
    for start in rows.clone().step_by(most) {
        let rows = start..rows.end.min(start + most);
        let soon = Soon {
            from: pictures.input.wrapping_add(rows.end * pool.stride * input.row()),
            len: rows.len() * pool.stride * input.row(),
        };
        // SAFETY: the caller vouches for the pictures.
        unsafe {
            let from = Rows::all(pictures.input, &input);
            pool_rows(isa, pool, projection, from, maps, pictures, rows, soon);
        }
    }
}

/// Pools `input` into rows `rows` of the output, and adds a 1 x 1 convolution of every so many rows and columns of the residual.
/// `soon` is read next.
///
/// # Safety
///
/// `input` must have readable rows of `maps.input` where the pooling looks; the residual and the output of `pictures` must be
/// pictures of `maps`, these rows writable by nobody else.
#[allow(clippy::too_many_arguments, reason = "all of them change from call to call")]
pub(crate) unsafe fn pool_rows(
    isa: Isa,
    pool: &MaxPool,
    projection: Option<&(PackedMatrix, usize)>,
    input: Rows,
    maps: &Maps,
    pictures: Pictures,
    rows: Range<usize>,
    soon: Soon,
) {
    let output = &maps.output;
    // SAFETY: the caller's promise is the same; the projection of a row of the output lies within the residual, by
    // `Layer::output`.
    unsafe {
        let to = pictures.output.add(rows.start * output.row());
        for (index, y) in rows.clone().enumerate() {
            isa.run(PoolRow {
                pool,
                input,
                map: &maps.input,
                y,
                output: to.add(index * output.row()),
            });
        }
        if let (Some((weights, stride)), Some(from), Some(map)) = (projection, pictures.residual, maps.residual) {
            isa.run(Multiply {
                input: from.add(rows.start * stride * map.row()),
                pixels: Pixels {
                    rows: rows.len(),
                    columns: output.width,
                    in_steps: [stride * map.step, stride * map.row()],
                    out_steps: [output.step, output.row()],
                    soon,
                },
                reach: Reach::pixel(map.channels),
                weights,
                panels: 0..weights.panels(),
                finish: Finish {
                    residual: Some(to),
                    relu: false,
                },
                output: to,
            });
        }
    }
}

/// Row `row` of a picture whose channels lie one after the other, into one whose pixels do, `step` values apart.
///
/// # Safety
///
/// See [`Layer::run`].
unsafe fn interleave(input: *const f32, map: &Map, row: usize, output: *mut f32, step: usize) {
    let start = row * map.width;
    if (map.channels, step) == (3, 3) {
        // SAFETY: both pictures have this row.
        unsafe {
            let [red, green, blue] =
                [0, 1, 2].map(|channel| slice::from_raw_parts(input.add(channel * map.pixels() + start), map.width));
            let pixels = slice::from_raw_parts_mut(output.add(start * step).cast::<[f32; 3]>(), map.width);
            for (((pixel, &red), &green), &blue) in pixels.iter_mut().zip(red).zip(green).zip(blue) {
                *pixel = [red, green, blue];
            }
        }
        return;
    }
    // A cache line of channels at a time: what is read and what is written both stay in the first-level cache.
    for line in (0..map.channels).step_by(LINE) {
        for pixel in start..start + map.width {
            for channel in line..map.channels.min(line + LINE) {
                // SAFETY: both pictures have this pixel and this channel.
                unsafe { *output.add(pixel * step + channel) = *input.add(channel * map.pixels() + pixel) };
            }
        }
    }
}

/// Cache line `line` of the channels of a picture whose pixels lie one after the other, into one whose channels do.
///
/// # Safety
///
/// See [`Layer::run`].
unsafe fn deinterleave(input: *const f32, map: &Map, line: usize, output: *mut f32) {
    for pixel in 0..map.pixels() {
        for channel in line * LINE..map.channels.min((line + 1) * LINE) {
            // SAFETY: both pictures have this pixel and this channel.
            unsafe { *output.add(channel * map.pixels() + pixel) = *input.add(pixel * map.step + channel) };
        }
    }
}
