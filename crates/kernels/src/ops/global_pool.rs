//! Pooling over all pixels of a map.

use core::ops::Range;

use super::op::{Job, Maps, Op};
use crate::error::Error;
use crate::memory::buffer::LINE;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, Machine, Work};
use crate::simd::isa::Kernel;
use crate::simd::lanes::Lanes;
use crate::value::Value;

/// One value for each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalPool {
    /// A map.
    pub input: Value,
    /// Which value.
    pub kind: GlobalPoolKind,
}

/// The value of a [`GlobalPool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalPoolKind {
    /// The mean.
    Average,
    /// The largest value.
    Max,
}

pub(crate) struct GlobalPoolOp(pub GlobalPoolKind);

impl Op for GlobalPoolOp {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        "global pool".to_owned()
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        Map::new(1, 1, inputs[0].channels)
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        let work = Work {
            fewest: 8,
            ..Work::of(maps.input().step / LINE)
        };
        Cut::new(work, machine.threads)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let map = job.maps.input();
        let (lines, _) = self.cut(job.maps, job.machine).job(job.index, map.step / LINE, 1);
        // SAFETY: the caller guarantees the pictures.
        unsafe {
            job.isa.run(PoolAll {
                kind: self.0,
                input: job.pictures.input(),
                map,
                lanes: lines.start * LINE..lines.end * LINE,
                output: job.pictures.output,
            });
        }
    }
}

/// Channels `lanes` (whole cache lines) of all pixels of a picture.
///
/// The caller of `run` guarantees that `input` is a readable picture of `map`, that `output` is a writable pixel, and
/// that no other thread writes to either during the call.
struct PoolAll<'a> {
    kind: GlobalPoolKind,
    input: *const f32,
    map: &'a Map,
    lanes: Range<usize>,
    output: *mut f32,
}

impl Kernel for PoolAll<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { map, input, output, .. } = self;
        let scale = V::splat(1.0 / map.pixels() as f32);
        for lane in self.lanes.step_by(V::WIDTH) {
            let pixels = (0..map.pixels()).map(|pixel| {
                // SAFETY: a vector of channels ends within the pixel's padding.
                unsafe { V::load(input.add(pixel * map.step + lane)) }
            });
            let zero = V::splat(0.0);
            let value = match self.kind {
                GlobalPoolKind::Average => pixels.fold(zero, Lanes::plus).mul_add(scale, zero),
                GlobalPoolKind::Max => pixels.fold(V::splat(f32::NEG_INFINITY), Lanes::largest),
            };
            // SAFETY: the output is as wide as a pixel.
            unsafe { value.store(output.add(lane)) };
        }
    }
}
