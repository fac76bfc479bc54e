//! The operations: each a number of jobs that threads do in any order. One file per operation.

pub(crate) mod activate;
pub(crate) mod add;
pub(crate) mod affine;
pub(crate) mod average_pool;
pub(crate) mod concat;
pub(crate) mod convolution;
pub(crate) mod dense;
pub(crate) mod depthwise;
pub(crate) mod depthwise3x3;
pub(crate) mod elementwise;
pub(crate) mod global_pool;
pub(crate) mod layout;
pub(crate) mod max_pool;
pub(crate) mod multiply;
pub(crate) mod pool;
pub(crate) mod separable;
pub(crate) mod window;

use std::sync::Arc;

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

/// An operation of a network. The plan fuses some kinds, which is why this is no trait object.
pub(crate) enum Layer {
    Interleave(layout::Interleave),
    Convolution(convolution::ConvolutionOp),
    Depthwise(depthwise::DepthwiseOp),
    Separable(Arc<separable::SeparableOp>),
    MaxPool(max_pool::MaxPoolOp),
    AveragePool(average_pool::AveragePoolOp),
    GlobalPool(global_pool::GlobalPoolOp),
    Dense(dense::DenseOp),
    Add(add::AddOp),
    Multiply(multiply::MultiplyOp),
    Affine(affine::AffineOp),
    Activate(activate::ActivateOp),
    Concat(concat::ConcatOp),
}

impl core::ops::Deref for Layer {
    type Target = dyn Op;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Interleave(op) => op,
            Self::Convolution(op) => op,
            Self::Depthwise(op) => op,
            Self::Separable(op) => op.as_ref(),
            Self::MaxPool(op) => op,
            Self::AveragePool(op) => op,
            Self::GlobalPool(op) => op,
            Self::Dense(op) => op,
            Self::Add(op) => op,
            Self::Multiply(op) => op,
            Self::Affine(op) => op,
            Self::Activate(op) => op,
            Self::Concat(op) => op,
        }
    }
}
