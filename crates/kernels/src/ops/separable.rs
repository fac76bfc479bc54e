//! Separable convolutions: depthwise 3 x 3 for a few pixels at a time, and pointwise while these pixels are in the
//! second-level cache.

use core::ops::Range;
use std::sync::OnceLock;

use super::depthwise3x3::{Depthwise, DepthwiseKernel};
use super::op::{Job, Maps, Op};
use crate::activation::{Activation, CurvePixels};
use crate::error::Error;
use crate::gemm::matmul::{Epilogue, Multiply, Pixels, Prefetch, Window};
use crate::gemm::packed::{PANEL, PackedMatrix};
use crate::gemm::strassen::{MultiplyBySeven, Strassen};
use crate::memory::buffer::{Buffer, padded};
use crate::memory::map::{Map, Rows};
use crate::plan::cut::{Cut, JOBS, Machine, Work};
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::Lanes;
use crate::value::Value;

const NAME: &str = "separable convolution";

/// A separable convolution that keeps height and width: `before`, depthwise 3 x 3, `between`, pointwise, the residual,
/// `after`.
#[derive(Clone, Copy, Debug)]
pub struct Separable<'a> {
    /// A map.
    pub input: Value,
    /// `[channels, 1, 3, 3]`.
    pub depthwise: &'a [f32],
    /// One value for each channel.
    pub depthwise_bias: Option<&'a [f32]>,
    /// Distance between the taps; as many pixels are padded on every side.
    pub dilation: usize,
    /// `[outputs, channels, 1, 1]`.
    pub pointwise: &'a [f32],
    /// One value for each output.
    pub bias: Option<&'a [f32]>,
    /// Output channels.
    pub outputs: usize,
    /// Added before the last activation; of the size of the output.
    pub residual: Option<Value>,
    /// Applied to the input: none or `ReLU`.
    pub before: Activation,
    /// Applied between the convolutions.
    pub between: Activation,
    /// Applied last.
    pub after: Activation,
}

impl<'a> Separable<'a> {
    /// A separable convolution without bias, dilation, residual and activations.
    pub const fn new(input: Value, depthwise: &'a [f32], pointwise: &'a [f32], outputs: usize) -> Self {
        Self {
            input,
            depthwise,
            depthwise_bias: None,
            dilation: 1,
            pointwise,
            bias: None,
            outputs,
            residual: None,
            before: Activation::None,
            between: Activation::None,
            after: Activation::None,
        }
    }

    /// Whether there is a kernel with this activation on the input.
    pub fn supports_before(activation: Activation) -> bool {
        matches!(activation, Activation::None | Activation::Relu)
    }
}

/// Values between the pixels of the scratch beyond their channels. With 1,024 channels and no gap, the pixels of a tile
/// fall into one set of the first-level cache.
const GAP: usize = 16;

/// The least limit on the pixels of a job: with fewer pixels, the weights are read too often.
const MOST_PIXELS: usize = 48;

/// Pixels below which a job is not cut further but shares its pixels with other jobs, each for some of the outputs.
const FEWEST_PIXELS: usize = 12;

/// Pixels per thread below which seven products do not pay: there are too few for the sums of weights that are read.
pub(crate) const FEWEST_STRASSEN_PIXELS: usize = 48;

pub(crate) struct SeparableOp {
    pub depthwise: DepthwiseKernel,
    pub pointwise: PackedMatrix,
    /// Sums of weights for seven products instead of eight: made before the first run with enough pixels, `None` where
    /// they do not pay.
    pub strassen: OnceLock<Option<Strassen>>,
    /// Pixels per thread from which seven products pay.
    pub fewest_strassen_pixels: usize,
    pub relu_before: bool,
    pub between: Activation,
    pub after: Activation,
}

impl SeparableOp {
    fn strassen_pays(&self, maps: &Maps, machine: Machine) -> bool {
        maps.input().pixels() / machine.threads >= self.fewest_strassen_pixels
    }

    /// Whether [`add_up`](Self::add_up) must be called before a run.
    pub(crate) fn needs_sums(&self, maps: &Maps, machine: Machine) -> bool {
        self.strassen.get().is_none() && self.strassen_pays(maps, machine)
    }

    /// Makes the sums of weights.
    pub(crate) fn add_up(&self, isa: Isa, machine: Machine, zeros: impl FnMut(usize) -> Buffer) {
        self.strassen
            .get_or_init(|| Strassen::new(zeros, isa, machine.second_level_cache, &self.pointwise));
    }

    /// The sums of weights, if the layer is computed with seven products.
    fn strassen(&self, maps: &Maps, machine: Machine) -> Option<&Strassen> {
        if !self.strassen_pays(maps, machine) {
            return None;
        }
        self.strassen.get()?.as_ref()
    }

    /// Whether a cascade can compute it row by row.
    pub(crate) fn fits_cascade(&self) -> bool {
        self.depthwise.dilation() == 1 && self.pointwise.fits_in_second_level_cache()
    }

    /// Values of scratch for `pixels` pixels of a map.
    pub(crate) const fn scratch_of(map: &Map, pixels: usize) -> usize {
        pixels * (map.step + GAP)
    }

    /// The same with seven products.
    fn strassen_scratch(map: &Map, pixels: usize, strassen: &Strassen) -> usize {
        // A pixel of zeros follows an odd number of pixels.
        Self::scratch_of(map, pixels + 1) + strassen.scratch(pixels)
    }

    /// Convolves some pixels into some panels of outputs. With seven products the pixels begin with an even one, and
    /// the panels with a pair of groups.
    ///
    /// # Safety
    ///
    /// The part's input must have readable rows around its pixels; its output must be writable and its residual
    /// readable from the first pixel on; no other thread writes to any of them during the call.
    pub(crate) unsafe fn convolve(&self, part: SeparablePart<'_>, scratch: &mut [f32]) {
        let SeparablePart {
            isa,
            strassen,
            input,
            map,
            pixels,
            panels,
            residual,
            output,
            prefetch,
        } = part;
        let step = map.step + GAP;
        let count = pixels.len();
        let zeros = usize::from(strassen.is_some());
        let (scratch, sums) = scratch.split_at_mut(Self::scratch_of(map, count + zeros));
        // SAFETY: the caller guarantees the rows, the output and the residual; the scratch has room for these pixels.
        unsafe {
            isa.run(Depthwise {
                kernel: &self.depthwise,
                relu: self.relu_before,
                input,
                map,
                first: pixels.start,
                count,
                output: scratch.as_mut_ptr(),
                step,
            });
            if let Some(curve) = self.between.curve() {
                isa.run(CurvePixels {
                    curve,
                    output: scratch.as_mut_ptr(),
                    rows: 1,
                    columns: count,
                    steps: [step, 0],
                    channels: map.channels,
                });
            } else if self.between != Activation::None {
                isa.run(Clamp(scratch, self.between.clamp()));
            }
            // The pixel of zeros.
            scratch[count * step..].fill(0.0);
            let out_step = padded(self.pointwise.outputs());
            let epilogue = Epilogue {
                residual,
                activation: self.after,
            };
            let multiply = |pixels: Range<usize>, panels: Range<usize>, prefetch| {
                let multiply = Multiply {
                    input: scratch.as_ptr().add(pixels.start * step),
                    pixels: Pixels::row(pixels.len(), step, out_step, prefetch),
                    window: Window::pixel(map.channels),
                    weights: &self.pointwise,
                    panels,
                    epilogue: Epilogue {
                        residual: residual.map(|residual| residual.add(pixels.start * out_step)),
                        ..epilogue
                    },
                    output: output.add(pixels.start * out_step),
                };
                multiply.run_on(isa);
            };
            let last = strassen.map_or(0, Strassen::panels);
            let by_seven = panels.start..last.clamp(panels.start, panels.end);
            let Some(strassen) = strassen.filter(|_| !by_seven.is_empty()) else {
                return multiply(0..count, panels, prefetch);
            };
            let again = isa.run(MultiplyBySeven {
                strassen,
                weights: &self.pointwise,
                panels: by_seven.clone(),
                input: scratch.as_ptr(),
                in_step: step,
                pixels: count,
                epilogue,
                output,
                out_step,
                prefetch,
                scratch: sums,
            });
            if let Some(curve) = self.after.curve() {
                isa.run(CurvePixels {
                    curve,
                    output: output.add(by_seven.start * PANEL),
                    rows: 1,
                    columns: count,
                    steps: [out_step, 0],
                    // None of these outputs is padding.
                    channels: by_seven.len() * PANEL,
                });
            }
            // Neighbours in one call.
            let mut done = 0;
            for pairs in again.chunk_by(|one, next| (*one > 0.0) == (*next > 0.0)) {
                let pixels = 2 * done..count.min(2 * (done + pairs.len()));
                done += pairs.len();
                if pairs[0] > 0.0 {
                    multiply(pixels, by_seven.clone(), Prefetch::NONE);
                }
            }
            multiply(0..count, by_seven.end..panels.end, Prefetch::NONE);
        }
    }
}

/// A part of a separable convolution.
pub(crate) struct SeparablePart<'a> {
    pub isa: Isa,
    pub strassen: Option<&'a Strassen>,
    pub input: Rows,
    pub map: &'a Map,
    pub pixels: Range<usize>,
    pub panels: Range<usize>,
    pub residual: Option<*const f32>,
    pub output: *mut f32,
    pub prefetch: Prefetch,
}

impl Op for SeparableOp {
    fn describe(&self, maps: &Maps, machine: Machine) -> String {
        match self.strassen(maps, machine) {
            Some(_) => "separable, seven products".to_owned(),
            None => "separable".to_owned(),
        }
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        let output = Map::new(inputs[0].height, inputs[0].width, self.pointwise.outputs())?;
        match inputs.get(1) {
            Some(residual) if *residual != output => Err(Error::Size {
                op: NAME,
                what: "the residual",
                expected: output.size(),
                found: residual.size(),
            }),
            _ => Ok(output),
        }
    }

    fn multiplications(&self, maps: &Maps) -> usize {
        let channels = maps.input().channels;
        maps.input().pixels() * channels * (9 + self.pointwise.outputs())
    }

    fn bytes(&self) -> usize {
        let strassen = self.strassen.get().and_then(Option::as_ref);
        self.depthwise.bytes() + self.pointwise.bytes() + strassen.map_or(0, Strassen::bytes)
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        let (input, panels) = (maps.input(), self.pointwise.panels());
        let work = if let Some(strassen) = self.strassen(maps, machine) {
            // Two pixels at a time, and two groups of outputs.
            let most = machine.working_set() / size_of::<f32>() / (2 * input.step + GAP);
            Work {
                units: input.pixels().div_ceil(2),
                most: most.max(MOST_PIXELS) / 2,
                fewest: FEWEST_PIXELS / 2,
                jobs: 1,
                panels: panels.div_ceil(strassen.both()),
            }
        } else {
            let pixel = input.step + GAP + maps.output.step;
            let (bytes, jobs) = if self.pointwise.fits_in_second_level_cache() {
                // The cache also holds the input of the next job.
                (machine.working_set() / 2, JOBS)
            } else {
                // Every job reads all of the weights.
                (machine.working_set(), 1)
            };
            Work {
                units: input.pixels(),
                most: (bytes / size_of::<f32>() / pixel).max(MOST_PIXELS),
                fewest: FEWEST_PIXELS,
                jobs,
                panels,
            }
        };
        Cut::new(work, machine.threads)
    }

    fn scratch(&self, maps: &Maps, machine: Machine) -> usize {
        let pixels = maps.input().pixels();
        let most = |units: usize| units.div_ceil(self.cut(maps, machine).parts);
        match self.strassen(maps, machine) {
            Some(strassen) => Self::strassen_scratch(maps.input(), 2 * most(pixels.div_ceil(2)), strassen),
            None => Self::scratch_of(maps.input(), most(pixels)),
        }
    }

    unsafe fn run(&self, job: Job<'_>) {
        let (input, output) = (job.maps.input(), &job.maps.output);
        let strassen = self.strassen(job.maps, job.machine);
        let blocks = strassen.map_or([1; 2], |strassen| [2, strassen.both()]);
        let cut = self.cut(job.maps, job.machine);
        let (pixels, panels) = cut.job_of(job.index, [input.pixels(), self.pointwise.panels()], blocks);
        let start = pixels.start * output.step;
        // The rows of this thread's next job, if all threads take turns.
        let next = (pixels.start + pixels.len() * job.machine.threads).saturating_sub(input.width) * input.step;
        let prefetch = Prefetch {
            from: job.pictures.input().wrapping_add(next),
            len: (pixels.len() + 2 * input.width) * input.step,
        };
        // SAFETY: the caller guarantees the pictures, and the pixels lie within them.
        unsafe {
            let part = SeparablePart {
                isa: job.isa,
                strassen,
                input: Rows::all(job.pictures.input(), input),
                map: input,
                pixels,
                panels,
                residual: job.pictures.second().map(|residual| residual.add(start)),
                output: job.pictures.output.add(start),
                prefetch,
            };
            self.convolve(part, job.scratch);
        }
    }
}

/// Values clamped between the convolutions, in whole cache lines.
struct Clamp<'a>(&'a mut [f32], [f32; 2]);

impl Kernel for Clamp<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let [least, most] = self.1.map(V::splat);
        for values in self.0.chunks_exact_mut(V::WIDTH) {
            // SAFETY: a chunk is one vector.
            unsafe {
                let value = V::load(values.as_ptr());
                value.at_most(most).at_least(least).store(values.as_mut_ptr());
            }
        }
    }
}
