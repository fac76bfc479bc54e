//! Layers: each a number of jobs that can be done in any order by any thread.

use core::ops::Range;
use std::sync::OnceLock;

use super::buffer::{Buffer, LINE};
use super::cache::second_level;
use super::depthwise::DepthwiseKernel;
use super::isa::Isa;
use super::map::Map;
use super::packed::PackedMatrix;
use super::pool::{GlobalPool, MaxPool};
use super::strassen::Strassen;
use super::winograd::Winograd;
use super::work::{PANEL_GAP, Separable};

/// Bytes of convolved pixels and outputs that a thread works on at a time: they stay in its second-level cache, next to two
/// panels of weights.
fn panel_bytes() -> usize {
    second_level() / 8 * 5
}

/// Pixels that are worked on at a time however wide they are; with fewer, weights pass by too often.
const MOST_PIXELS: usize = 48;

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
        /// The same with fewer multiplications, for those that have such a form.
        winograd: Option<Winograd>,
    },
    /// Depthwise 3 x 3, then pointwise.
    Separable {
        depthwise: DepthwiseKernel,
        pointwise: PackedMatrix,
        /// The same with fewer multiplications, once a run has asked for it; nothing where it is not faster.
        strassen: OnceLock<Option<Box<Strassen>>>,
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
pub(crate) struct Cut {
    /// Parts of the pixels or rows.
    parts: usize,
    /// Parts of the outputs.
    groups: usize,
}

impl Cut {
    /// Cuts `units` into parts of at most `most`, better `jobs` a thread unless they have less than `fewest`, and, if that leaves
    /// threads without work, `panels` into groups.
    fn new(units: usize, most: usize, fewest: usize, jobs: usize, panels: usize, threads: usize) -> Self {
        let least = units.div_ceil(most.max(1)).max(1);
        // One thread has nobody to leave work to.
        let jobs = if threads == 1 { 1 } else { jobs };
        let wanted = (threads * jobs).min(units / fewest.max(1)).max(1);
        // A whole number a thread, so that none waits for another's last part.
        let parts = match least.max(wanted) {
            parts if parts >= threads => parts.next_multiple_of(threads).min(units.max(1)),
            parts => parts,
        };
        let groups = threads.div_ceil(parts).min(panels).max(1);
        Self { parts, groups }
    }

    /// Cuts rows into `wanted` parts, if each then has at least `fewest`.
    pub(crate) fn rows(rows: usize, wanted: usize, fewest: usize) -> Self {
        Self {
            parts: wanted.min(rows / fewest).max(1),
            groups: 1,
        }
    }

    pub(crate) fn jobs(self) -> usize {
        self.parts * self.groups
    }

    /// The units and the panels of a job.
    pub(crate) fn job(self, job: usize, units: usize, panels: usize) -> (Range<usize>, Range<usize>) {
        self.job_of(job, [units, panels], [1; 2])
    }

    /// The same where so many units and so many panels go together.
    pub(crate) fn job_of(
        self,
        job: usize,
        [units, panels]: [usize; 2],
        together: [usize; 2],
    ) -> (Range<usize>, Range<usize>) {
        let (part, group) = (job / self.groups, job % self.groups);
        let share = |count: usize, index, parts, together: usize| {
            let Range { start, end } = share(count.div_ceil(together), index, parts);
            start * together..count.min(end * together)
        };
        (
            share(units, part, self.parts, together[0]),
            share(panels, group, self.groups, together[1]),
        )
    }
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
                let pixels = maps.input.pixels();
                let most = |units: usize| units.div_ceil(self.cut(maps, threads).parts);
                match self.strassen(maps, threads) {
                    Some(strassen) => Separable::strassen_scratch(&maps.input, 2 * most(pixels.div_ceil(2)), strassen),
                    None => Separable::scratch(&maps.input, most(pixels)),
                }
            }
            Self::Convolution {
                winograd: Some(winograd),
                ..
            } => winograd.scratch(),
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
            Self::Convolution { weights, winograd, .. } => {
                weights.bytes() + winograd.as_ref().map_or(0, Winograd::bytes)
            }
            Self::Dense { weights, .. } => weights.bytes(),
            Self::Separable {
                depthwise,
                pointwise,
                strassen,
                ..
            } => {
                let strassen = strassen.get().and_then(Option::as_deref);
                depthwise.bytes() + pointwise.bytes() + strassen.map_or(0, Strassen::bytes)
            }
            Self::Pool { projection, .. } => projection.as_ref().map_or(0, |(weights, _)| weights.bytes()),
            Self::Interleave { .. } | Self::GlobalPool(_) | Self::Deinterleave => 0,
        }
    }

    /// Whether [`add_up`](Self::add_up) has something to do before this layer is run.
    pub(crate) fn wants_sums(&self, maps: &Maps, threads: usize) -> bool {
        match self {
            Self::Separable { strassen, .. } => {
                strassen.get().is_none() && Strassen::pays(maps.input.pixels(), threads)
            }
            _ => false,
        }
    }

    /// Makes Strassen's sums, in memory from `zeros`.
    pub(crate) fn add_up(&self, isa: Isa, zeros: impl FnMut(usize) -> Buffer) {
        if let Self::Separable {
            pointwise, strassen, ..
        } = self
        {
            strassen.get_or_init(|| Strassen::new(zeros, isa, pointwise).map(Box::new));
        }
    }

    /// Strassen's sums, if the layer is done with them.
    pub(crate) fn strassen(&self, maps: &Maps, threads: usize) -> Option<&Strassen> {
        match self {
            Self::Separable { strassen, .. } if Strassen::pays(maps.input.pixels(), threads) => {
                strassen.get()?.as_deref()
            }
            _ => None,
        }
    }

    pub(crate) fn cut(&self, maps: &Maps, threads: usize) -> Cut {
        match self {
            // Two rows at a time.
            Self::Convolution { winograd: Some(_), .. } => {
                Cut::new(maps.output.height.div_ceil(2), usize::MAX, 1, JOBS, 1, threads)
            }
            Self::Convolution { weights, .. } => {
                Cut::new(maps.output.height, usize::MAX, 1, JOBS, weights.panels(), threads)
            }
            Self::Separable { pointwise, .. } if let Some(strassen) = self.strassen(maps, threads) => {
                // Two pixels at a time, and two groups of outputs.
                let most = panel_bytes() / size_of::<f32>() / (2 * maps.input.step + PANEL_GAP);
                Cut::new(
                    maps.input.pixels().div_ceil(2),
                    most.max(MOST_PIXELS) / 2,
                    FEWEST_PIXELS / 2,
                    1,
                    pointwise.panels().div_ceil(strassen.both()),
                    threads,
                )
            }
            Self::Separable { pointwise, .. } => {
                let pixel = maps.input.step + PANEL_GAP + maps.output.step;
                // What the next job reads is in that cache as well.
                let (bytes, jobs) = if pointwise.stays() {
                    (panel_bytes() / 2, JOBS)
                } else {
                    // Every job reads all of the weights again.
                    (panel_bytes(), 1)
                };
                let most = (bytes / size_of::<f32>() / pixel).max(MOST_PIXELS);
                Cut::new(
                    maps.input.pixels(),
                    most,
                    FEWEST_PIXELS,
                    jobs,
                    pointwise.panels(),
                    threads,
                )
            }
            Self::Dense { weights, .. } => Cut::new(1, 1, 1, 1, weights.panels(), threads),
            Self::GlobalPool(_) => Cut::new(maps.input.step / LINE, usize::MAX, 8, JOBS, 1, threads),
            // Every job reads all of the weights again.
            Self::Pool {
                projection: Some((weights, _)),
                ..
            } if !weights.stays() => Cut::new(maps.output.height, usize::MAX, 1, 1, 1, threads),
            Self::Interleave { .. } | Self::Pool { .. } => {
                Cut::new(maps.output.height, usize::MAX, 1, JOBS, 1, threads)
            }
            Self::Deinterleave => Cut::new(maps.input.channels.div_ceil(LINE), usize::MAX, 1, JOBS, 1, threads),
        }
    }

    /// How many jobs it is cut into for `threads` threads.
    pub(crate) fn jobs(&self, maps: &Maps, threads: usize) -> usize {
        self.cut(maps, threads).jobs()
    }
}
