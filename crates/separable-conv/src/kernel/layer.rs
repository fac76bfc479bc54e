//! Layers: each a number of jobs that can be done in any order by any thread.

use core::ops::Range;

use super::buffer::{LINE, padded};
use super::depthwise::DepthwiseKernel;
use super::isa::{Isa, Kernel};
use super::lanes::Lanes;
use super::map::Map;
use super::matmul::{Finish, Pixels, Reach, Soon, multiply};
use super::packed::PackedMatrix;
use super::pool::{GlobalPool, MaxPool};

/// Bytes of convolved pixels and outputs that a thread works on at a time: they stay in its second-level cache, next to two
/// panels of weights.
const PANEL_BYTES: usize = 320 * 1024;

/// Pixels that are worked on at a time however wide they are; with fewer, weights pass by too often.
const MOST_PIXELS: usize = 48;

/// Values between the pixels of that panel beyond their channels. With 1,024 channels and none, the pixels of a tile would
/// fall into one set of the first-level cache.
const PANEL_GAP: usize = 16;

/// Bytes of a matrix of weights that stays in the second-level cache from job to job.
const SMALL_WEIGHTS: usize = 280 * 1024;

/// Bytes of pooled rows that a projection is added to while they are in the second-level cache.
const POOLED_BYTES: usize = 128 * 1024;

/// Jobs a thread that a layer is cut into, so that one that was interrupted leaves work to the others.
const JOBS: usize = 3;

/// Pixels below which a job is not cut further but shares its pixels with others, each doing some of the outputs.
const FEWEST_PIXELS: usize = 12;

/// One step of a network.
pub(crate) enum Layer {
    /// `[channels, height, width]` to channels last, with or without padding between the pixels.
    Interleave { padded: bool },
    /// An ordinary convolution without padding.
    Convolution {
        weights: PackedMatrix,
        kernel: usize,
        stride: usize,
        relu: bool,
    },
    /// Depthwise 3 x 3, then pointwise.
    Separable {
        depthwise: DepthwiseKernel,
        pointwise: PackedMatrix,
        relu: SeparableRelu,
    },
    /// Max pooling, plus a 1 x 1 convolution of the residual input.
    Pool {
        pool: MaxPool,
        projection: Option<(PackedMatrix, usize)>,
    },
    /// One value a channel.
    GlobalPool(GlobalPool),
    /// A fully-connected layer.
    Dense { weights: PackedMatrix, relu: bool },
    /// Channels last to `[channels, height, width]`.
    Deinterleave,
}

/// Where a separable convolution has a ReLU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeparableRelu {
    /// On the input.
    pub before: bool,
    /// Between the depthwise and the pointwise convolution.
    pub between: bool,
    /// On the output, after the residual sum.
    pub after: bool,
}

/// How the pixels and the outputs of a layer are cut into jobs.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// Parts of the pixels or rows.
    parts: usize,
    /// Parts of the outputs.
    groups: usize,
}

impl Cut {
    /// Cuts `units` into parts of at most `most` and, if that leaves threads without work, `panels` into groups.
    fn new(units: usize, most: usize, fewest: usize, panels: usize, threads: usize) -> Self {
        let least = units.div_ceil(most.max(1)).max(1);
        let wanted = (threads * JOBS).min(units / fewest.max(1)).max(1);
        // A whole number a thread, so that none waits for another's last part.
        let parts = match least.max(wanted) {
            parts if parts >= threads => parts.next_multiple_of(threads).min(units.max(1)),
            parts => parts,
        };
        let groups = threads.div_ceil(parts).min(panels).max(1);
        Self { parts, groups }
    }

    fn jobs(self) -> usize {
        self.parts * self.groups
    }

    /// The units and the panels of a job.
    fn job(self, job: usize, units: usize, panels: usize) -> (Range<usize>, Range<usize>) {
        let (part, group) = (job / self.groups, job % self.groups);
        (share(units, part, self.parts), share(panels, group, self.groups))
    }
}

/// Whether weights need not be fetched again for every job, so that what is fetched ahead is better the next job's input.
fn is_small(weights: &PackedMatrix) -> bool {
    weights.bytes() <= SMALL_WEIGHTS
}

/// Part `index` of `parts` of `0..count`, all of nearly the same size.
pub(crate) fn share(count: usize, index: usize, parts: usize) -> Range<usize> {
    count * index / parts..count * (index + 1) / parts
}

/// The maps that a layer reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maps {
    pub input: Map,
    pub residual: Option<Map>,
    pub output: Map,
}

/// Where they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pictures {
    pub input: *const f32,
    pub residual: Option<*const f32>,
    pub output: *mut f32,
}

impl Layer {
    /// The size of the output for an input and a residual.
    ///
    /// # Panics
    ///
    /// When the layer can't take them. The kernels rely on what is checked here.
    pub(crate) fn output(&self, input: Map, residual: Option<Map>) -> Map {
        match self {
            Self::Interleave { padded: true } => Map::new(input.height, input.width, input.channels),
            Self::Interleave { padded: false } | Self::Deinterleave => {
                Map::dense(input.height, input.width, input.channels)
            }
            Self::Convolution {
                weights,
                kernel,
                stride,
                ..
            } => {
                let side = |size: usize| {
                    assert!(
                        size >= *kernel,
                        "a side of {size} for a convolution of {kernel} x {kernel}"
                    );
                    (size - kernel) / stride + 1
                };
                Map::new(side(input.height), side(input.width), weights.outputs())
            }
            Self::Separable { pointwise, .. } => {
                let output = Map::new(input.height, input.width, pointwise.outputs());
                if let Some(residual) = residual {
                    assert_eq!(residual, output, "the residual of a separable convolution");
                }
                output
            }
            Self::Pool { pool, .. } => {
                if let Some(residual) = residual {
                    let sizes = [residual, input].map(|map| [map.height, map.width]);
                    assert_eq!(sizes[0], sizes[1], "the projected residual of a pooling");
                }
                pool.output(&input)
            }
            Self::GlobalPool(_) => Map::new(1, 1, input.channels),
            Self::Dense { weights, .. } => {
                assert_eq!(input.pixels(), 1, "pixels of a fully-connected layer's input");
                Map::new(1, 1, weights.outputs())
            }
        }
    }

    /// Values of scratch that a job needs.
    pub(crate) fn scratch(&self, maps: &Maps, threads: usize) -> usize {
        match self {
            Self::Separable { .. } => {
                let cut = self.cut(maps, threads);
                Separable::scratch(&maps.input, maps.input.pixels().div_ceil(cut.parts))
            }
            _ => 0,
        }
    }

    /// Multiplications of a picture.
    pub(crate) fn multiplications(&self, maps: &Maps) -> usize {
        let output = maps.output.pixels();
        let matrix = |weights: &PackedMatrix| weights.inputs() * weights.outputs();
        match self {
            Self::Convolution { weights, .. } | Self::Dense { weights, .. } => output * matrix(weights),
            Self::Separable {
                depthwise, pointwise, ..
            } => output * (9 * depthwise.channels() + matrix(pointwise)),
            Self::Pool { projection, .. } => projection.as_ref().map_or(0, |(weights, _)| output * matrix(weights)),
            Self::Interleave { .. } | Self::GlobalPool(_) | Self::Deinterleave => 0,
        }
    }

    /// Bytes of weights.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Convolution { weights, .. } | Self::Dense { weights, .. } => weights.bytes(),
            Self::Separable {
                depthwise, pointwise, ..
            } => depthwise.bytes() + pointwise.bytes(),
            Self::Pool { projection, .. } => projection.as_ref().map_or(0, |(weights, _)| weights.bytes()),
            Self::Interleave { .. } | Self::GlobalPool(_) | Self::Deinterleave => 0,
        }
    }

    fn cut(&self, maps: &Maps, threads: usize) -> Cut {
        match self {
            Self::Convolution { weights, .. } => Cut::new(maps.output.height, usize::MAX, 1, weights.panels(), threads),
            Self::Separable { pointwise, .. } => {
                let pixel = maps.input.step + PANEL_GAP + maps.output.step;
                // What the next job reads is in that cache as well.
                let bytes = if is_small(pointwise) {
                    PANEL_BYTES / 2
                } else {
                    PANEL_BYTES
                };
                let most = (bytes / size_of::<f32>() / pixel).max(MOST_PIXELS);
                Cut::new(maps.input.pixels(), most, FEWEST_PIXELS, pointwise.panels(), threads)
            }
            Self::Dense { weights, .. } => Cut::new(1, 1, 1, weights.panels(), threads),
            Self::GlobalPool(_) => Cut::new(maps.input.step / LINE, usize::MAX, 8, 1, threads),
            Self::Interleave { .. } | Self::Pool { .. } => Cut::new(maps.output.height, usize::MAX, 1, 1, threads),
            Self::Deinterleave => Cut::new(maps.input.channels.div_ceil(LINE), usize::MAX, 1, 1, threads),
        }
    }

    /// How many jobs it is cut into for `threads` threads.
    pub(crate) fn jobs(&self, maps: &Maps, threads: usize) -> usize {
        self.cut(maps, threads).jobs()
    }

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
        let Pictures {
            input,
            residual,
            output,
        } = pictures;
        match self {
            Self::Separable {
                depthwise,
                pointwise,
                relu,
            } => {
                let (pixels, panels) = cut.job(job, maps.input.pixels(), pointwise.panels());
                let start = pixels.start * maps.output.step;
                // SAFETY: the caller vouches for the pictures, and `start` is within them; the residual is laid out as the
                // output.
                unsafe {
                    isa.run(SeparableJob {
                        separable: Separable {
                            depthwise,
                            pointwise,
                            relu: *relu,
                        },
                        input,
                        map: &maps.input,
                        pixels,
                        panels,
                        threads,
                        scratch,
                        residual: residual.map(|residual| residual.add(start)),
                        output: output.add(start),
                    });
                }
            }
            Self::Pool { pool, projection } => {
                let (rows, _) = cut.job(job, maps.output.height, 1);
                let job = PoolJob {
                    pool: *pool,
                    projection: projection.as_ref(),
                    maps,
                    pictures,
                    rows,
                };
                // SAFETY: the caller vouches for the pictures, and the rows are within them.
                unsafe { isa.run(job) };
            }
            _ => {
                let job = Job {
                    layer: self,
                    cut,
                    maps,
                    pictures,
                    index: job,
                };
                // SAFETY: the caller vouches for the pictures.
                unsafe { isa.run(job) };
            }
        }
    }
}

/// A job of one of the other layers.
///
/// Whoever runs one vouches for the pictures, as [`Layer::run`] asks.
struct Job<'a> {
    layer: &'a Layer,
    cut: Cut,
    maps: &'a Maps,
    pictures: Pictures,
    index: usize,
}

impl Kernel for Job<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Maps { input, output, .. } = *self.maps;
        let Pictures {
            input: from,
            output: to,
            ..
        } = self.pictures;
        let layer = self.layer;
        // SAFETY: here and in the methods below, the pictures are readable and writable as `Layer::run` asks, and every
        // index is within the maps, by `Cut::job` and by `Layer::output`, which checks that the maps fit together.
        unsafe {
            match layer {
                Layer::Interleave { .. } => {
                    let (rows, _) = self.cut.job(self.index, output.height, 1);
                    rows.for_each(|row| interleave(from, &input, row, to, output.step));
                }
                Layer::Convolution {
                    weights,
                    kernel,
                    stride,
                    relu,
                } => self.convolution::<V>(weights, *kernel, *stride, *relu),
                Layer::GlobalPool(pool) => {
                    let (lines, _) = self.cut.job(self.index, input.step / LINE, 1);
                    pool.run::<V>(from, &input, lines.start * LINE..lines.end * LINE, to);
                }
                Layer::Dense { weights, relu } => self.dense::<V>(weights, *relu),
                Layer::Deinterleave => {
                    let (lines, _) = self.cut.job(self.index, input.channels.div_ceil(LINE), 1);
                    lines.for_each(|line| deinterleave(from, &input, line, to));
                }
                Layer::Separable { .. } | Layer::Pool { .. } => {
                    unreachable!("`Layer::run` has jobs of their own for them")
                }
            }
        }
    }
}

impl Job<'_> {
    /// # Safety
    ///
    /// See [`Layer::run`].
    #[inline(always)]
    unsafe fn convolution<V: Lanes>(&self, weights: &PackedMatrix, kernel: usize, stride: usize, relu: bool) {
        let Maps { input, output, .. } = *self.maps;
        let (rows, panels) = self.cut.job(self.index, output.height, weights.panels());
        let pixels = Pixels {
            rows: rows.len(),
            columns: output.width,
            in_steps: [stride * input.step, stride * input.row()],
            out_steps: [output.step, output.row()],
            soon: None,
        };
        let reach = Reach {
            pieces: kernel,
            step: input.row(),
            len: kernel * input.step,
        };
        let finish = Finish { residual: None, relu };
        // SAFETY: see `run`.
        unsafe {
            let from = self.pictures.input.add(rows.start * stride * input.row());
            let to = self.pictures.output.add(rows.start * output.row());
            multiply::<V>(from, &pixels, reach, weights, panels, finish, to);
        }
    }

    /// # Safety
    ///
    /// See [`Layer::run`].
    #[inline(always)]
    unsafe fn dense<V: Lanes>(&self, weights: &PackedMatrix, relu: bool) {
        let (_, panels) = self.cut.job(self.index, 1, weights.panels());
        let pixels = Pixels {
            rows: 1,
            columns: 1,
            in_steps: [0; 2],
            out_steps: [0; 2],
            soon: None,
        };
        let finish = Finish { residual: None, relu };
        let reach = Reach::pixel(self.maps.input.channels);
        // SAFETY: see `run`.
        unsafe {
            multiply::<V>(
                self.pictures.input,
                &pixels,
                reach,
                weights,
                panels,
                finish,
                self.pictures.output,
            );
        }
    }
}

/// A separable convolution.
#[derive(Clone, Copy)]
pub(crate) struct Separable<'a> {
    pub depthwise: &'a DepthwiseKernel,
    pub pointwise: &'a PackedMatrix,
    pub relu: SeparableRelu,
}

impl Separable<'_> {
    /// Values of scratch for `pixels` pixels of a map.
    pub(crate) const fn scratch(map: &Map, pixels: usize) -> usize {
        pixels * (map.step + PANEL_GAP)
    }
}

/// Some pixels and panels of outputs of a separable convolution.
///
/// Whoever runs one vouches that `input` is a readable picture of `map` around these pixels, and `output` writable and
/// `residual` readable from the first of them on; and that nobody else writes to any of it meanwhile.
pub(crate) struct SeparableJob<'a> {
    pub separable: Separable<'a>,
    pub input: *const f32,
    pub map: &'a Map,
    pub pixels: Range<usize>,
    pub panels: Range<usize>,
    /// How many jobs are done at once.
    pub threads: usize,
    pub scratch: &'a mut [f32],
    pub residual: Option<*const f32>,
    pub output: *mut f32,
}

impl Kernel for SeparableJob<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Separable {
            depthwise,
            pointwise,
            relu,
        } = self.separable;
        let (first, count) = (self.pixels.start, self.pixels.len());
        let step = self.map.step + PANEL_GAP;
        let panel = &mut self.scratch[..Separable::scratch(self.map, count)];
        let to = panel.as_mut_ptr();
        // SAFETY: whoever runs the job vouches for the picture; the panel has room for `count` pixels.
        unsafe {
            if relu.before {
                depthwise.run::<V, true>(self.input, self.map, first, count, to, step);
            } else {
                depthwise.run::<V, false>(self.input, self.map, first, count, to, step);
            }
        }
        if relu.between {
            for value in panel.chunks_exact_mut(V::WIDTH) {
                // SAFETY: a chunk is one vector.
                unsafe { V::load(value.as_ptr()).relu().store(value.as_mut_ptr()) };
            }
        }
        // The rows of the job that comes next to this thread, if they all take turns.
        let next = (first + count * self.threads).saturating_sub(self.map.width);
        let soon = is_small(pointwise).then(|| Soon {
            from: self.input.wrapping_add(next * self.map.step),
            len: (count + 2 * self.map.width) * self.map.step,
        });
        let pixels = Pixels {
            rows: 1,
            columns: count,
            in_steps: [step, 0],
            out_steps: [padded(pointwise.outputs()), 0],
            soon,
        };
        let finish = Finish {
            residual: self.residual,
            relu: relu.after,
        };
        let reach = Reach::pixel(self.map.channels);
        // SAFETY: whoever runs the job vouches for the output and the residual.
        unsafe {
            multiply::<V>(
                panel.as_ptr(),
                &pixels,
                reach,
                pointwise,
                self.panels,
                finish,
                self.output,
            );
        }
    }
}

/// Some rows of a pooling and its projection.
///
/// Whoever runs one vouches that the pictures are readable around these rows, the output's rows writable, and nobody else
/// writes to any of it meanwhile.
pub(crate) struct PoolJob<'a> {
    pub pool: MaxPool,
    pub projection: Option<&'a (PackedMatrix, usize)>,
    pub maps: &'a Maps,
    pub pictures: Pictures,
    pub rows: Range<usize>,
}

impl Kernel for PoolJob<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Maps { input, output, .. } = *self.maps;
        let projection = match (self.projection, self.pictures.residual, self.maps.residual) {
            (Some((weights, stride)), Some(from), Some(map)) => Some((weights, *stride, from, map)),
            _ => None,
        };
        let most = (POOLED_BYTES / size_of::<f32>() / output.row()).max(1);
        for start in self.rows.clone().step_by(most) {
            let rows = start..self.rows.end.min(start + most);
            for row in rows.clone() {
                // SAFETY: whoever runs the job vouches for the pictures.
                unsafe {
                    let to = self.pictures.output.add(row * output.row());
                    self.pool.row::<V>(self.pictures.input, &input, row, to);
                }
            }
            let Some((weights, stride, from, map)) = projection else {
                continue;
            };
            let soon = is_small(weights).then(|| Soon {
                from: self
                    .pictures
                    .input
                    .wrapping_add(rows.end * self.pool.stride * input.row()),
                len: rows.len() * self.pool.stride * input.row(),
            });
            let pixels = Pixels {
                rows: rows.len(),
                columns: output.width,
                in_steps: [stride * map.step, stride * map.row()],
                out_steps: [output.step, output.row()],
                soon,
            };
            // SAFETY: as above; what was pooled is this job's own, and the projection of a row of the output lies within the
            // residual, by `Layer::output`.
            unsafe {
                let from = from.add(rows.start * stride * map.row());
                let to = self.pictures.output.add(rows.start * output.row());
                let finish = Finish {
                    residual: Some(to),
                    relu: false,
                };
                let reach = Reach::pixel(map.channels);
                multiply::<V>(from, &pixels, reach, weights, 0..weights.panels(), finish, to);
            }
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
