//! What every operation is: a number of jobs that threads do in any order.

use crate::error::Error;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, Machine};
use crate::simd::isa::Isa;

/// The maps that an operation reads and writes.
#[derive(Clone, Debug)]
pub(crate) struct Maps {
    /// The input first. A fused sum or projection reads a second map.
    pub inputs: Vec<Map>,
    pub output: Map,
}

impl Maps {
    pub(crate) fn input(&self) -> &Map {
        &self.inputs[0]
    }

    pub(crate) fn second(&self) -> Option<&Map> {
        self.inputs.get(1)
    }
}

/// The addresses of the maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pictures<'a> {
    pub inputs: &'a [*const f32],
    pub output: *mut f32,
}

impl Pictures<'_> {
    pub(crate) fn input(&self) -> *const f32 {
        self.inputs[0]
    }

    pub(crate) fn second(&self) -> Option<*const f32> {
        self.inputs.get(1).copied()
    }
}

/// One job of an operation.
pub(crate) struct Job<'a> {
    pub isa: Isa,
    pub machine: Machine,
    pub maps: &'a Maps,
    pub pictures: Pictures<'a>,
    pub index: usize,
    pub scratch: &'a mut [f32],
}

/// An operation.
pub(crate) trait Op {
    /// The name in a description of a plan, with the way in which it is computed.
    fn describe(&self, maps: &Maps, machine: Machine) -> String;

    /// The map of the output. The kernels rely on the checks that are made here.
    fn output(&self, inputs: &[Map]) -> Result<Map, Error>;

    /// Whether the output's pixels may be further apart than its channels take, with the channels of other values
    /// between them; with `inputs` inputs.
    fn writes_beside(&self, _inputs: usize) -> bool {
        false
    }

    /// Multiplications for one picture.
    fn multiplications(&self, _maps: &Maps) -> usize {
        0
    }

    /// Bytes of packed weights.
    fn bytes(&self) -> usize {
        0
    }

    /// The jobs.
    fn cut(&self, maps: &Maps, machine: Machine) -> Cut;

    /// Values of scratch that a job needs.
    fn scratch(&self, _maps: &Maps, _machine: Machine) -> usize {
        0
    }

    /// Does one job.
    ///
    /// # Safety
    ///
    /// The pictures must be pictures of the job's maps, whose output is what [`output`](Self::output) gave: the inputs
    /// readable and not written to, the output writable by this job alone where the job writes. Two jobs of an
    /// operation write to different places. The scratch is at least as long as [`scratch`](Self::scratch) says.
    unsafe fn run(&self, job: Job<'_>);
}
