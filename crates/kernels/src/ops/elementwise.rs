//! The kernel of operations that compute every pixel from the pixel at the same place.

use core::ops::Range;

use super::op::{Job, Maps};
use crate::activation::Activation;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, JOBS, Machine, Work};
use crate::simd::isa::Kernel;
use crate::simd::lanes::Lanes;

/// Pixels below which a job is not cut further.
const FEWEST_PIXELS: usize = 16;

/// The second operand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand<'a> {
    /// None: the activation alone.
    Absent,
    /// Added, pixel by pixel.
    Sum(*const f32),
    /// One pixel that every pixel is multiplied with.
    Factors(*const f32),
    /// Scale and shift of every channel, padded to whole cache lines.
    Affine(&'a [f32], &'a [f32]),
}

pub(crate) fn cut(maps: &Maps, machine: Machine) -> Cut {
    let work = Work {
        fewest: FEWEST_PIXELS,
        jobs: JOBS,
        ..Work::of(maps.output.pixels())
    };
    Cut::new(work, machine.threads)
}

/// Does one job.
///
/// # Safety
///
/// As [`Op::run`](super::Op::run); the operand must be a picture like the input, or a pixel of it.
pub(crate) unsafe fn run(job: &Job<'_>, operand: Operand<'_>, activation: Activation) {
    let (pixels, _) = cut(job.maps, job.machine).job(job.index, job.maps.output.pixels(), 1);
    // SAFETY: the caller guarantees the pictures.
    unsafe {
        job.isa.run(Elementwise {
            input: job.pictures.input(),
            operand,
            activation,
            map: &job.maps.output,
            pixels,
            output: job.pictures.output,
        });
    }
}

/// Some pixels of a map.
///
/// The caller of `run` guarantees that input and operand are readable, that these pixels of the output are writable,
/// and that no other thread writes to any of them during the call.
pub(crate) struct Elementwise<'a> {
    pub input: *const f32,
    pub operand: Operand<'a>,
    pub activation: Activation,
    pub map: &'a Map,
    pub pixels: Range<usize>,
    pub output: *mut f32,
}

impl Kernel for Elementwise<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Map { step, channels, .. } = *self.map;
        let [least, most] = self.activation.clamp().map(V::splat);
        let curve = self.activation.curve();
        for pixel in self.pixels {
            let start = pixel * step;
            for lane in (0..step).step_by(V::WIDTH) {
                let place = start + lane;
                // SAFETY: a vector of channels ends within the pixel's padding, which all operands have.
                unsafe {
                    let x = V::load(self.input.add(place));
                    let y = match self.operand {
                        Operand::Absent => x,
                        Operand::Sum(other) => x.plus(V::load(other.add(place))),
                        Operand::Factors(factors) => x.times(V::load(factors.add(lane))),
                        Operand::Affine(scale, shift) => {
                            x.mul_add(V::load(scale.as_ptr().add(lane)), V::load(shift.as_ptr().add(lane)))
                        }
                    };
                    y.at_most(most).at_least(least).store(self.output.add(place));
                }
            }
            if let Some(curve) = curve {
                // SAFETY: the channels of the pixel, without its padding, which stays 0.
                unsafe { curve.apply(self.output.add(start), channels) };
            }
        }
    }
}
