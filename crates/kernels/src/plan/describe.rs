//! The description of a plan, for people and tests.

use core::fmt;
use core::ops::Range;

use super::{Place, Plan, Planned};
use crate::memory::map::Map;
use crate::ops::layout::Deinterleave;
use crate::ops::op::{Maps, Op};
use crate::step::Operations;

/// The plan of a run: its steps in order and its memory. `Display` prints a line for each step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The steps in order.
    pub steps: Vec<PlannedStepDescription>,
    /// Values of every buffer between steps.
    pub buffers: Vec<usize>,
    /// Values of scratch for each thread.
    pub scratch: usize,
    /// Bytes of packed weights of the whole network.
    pub weight_bytes: usize,
}

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedStepDescription {
    /// The layers of the network that it computes, in the order in which they were added; empty for a step that hands a
    /// value out.
    pub layers: Range<usize>,
    /// The operation, and how it is computed.
    pub kind: String,
    /// Height, width and channels of every map that it reads.
    pub inputs: Vec<[usize; 3]>,
    /// Height, width and channels of the map that it writes.
    pub output: [usize; 3],
    /// Jobs that threads can do at the same time.
    pub jobs: usize,
    /// The memory of the maps that it reads.
    pub reads: Vec<Memory>,
    /// The memory of the map that it writes.
    pub writes: Memory,
}

/// The memory of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// A picture of the caller.
    Picture(usize),
    /// A buffer of the run.
    Buffer(usize),
    /// Output memory of the caller.
    Output(usize),
}

impl Plan {
    pub(crate) fn describe(&self, network: &Operations) -> Description {
        let machine = self.key.machine;
        let memory = |place: &Place| match *place {
            Place::Picture(picture) => Memory::Picture(picture),
            Place::Buffer { buffer, .. } => Memory::Buffer(buffer),
            Place::Output(output) => Memory::Output(output),
        };
        let sides = |map: &Map| [map.height, map.width, map.channels];
        let step = |step: &super::PlannedStep| {
            let (layers, kind, maps): (_, _, &Maps) = match &step.what {
                Planned::Step(index, maps) => {
                    let op = &network.steps[*index].op;
                    (*index..index + 1, op.describe(maps, machine), maps)
                }
                Planned::Cascade(cascade) => (cascade.steps.clone(), "cascade".to_owned(), &cascade.outer),
                Planned::HandOut(maps) => (0..0, Deinterleave.describe(maps, machine), maps),
            };
            PlannedStepDescription {
                layers,
                kind,
                inputs: maps.inputs.iter().map(sides).collect(),
                output: sides(&maps.output),
                jobs: step.jobs(network, machine),
                reads: step.inputs.iter().map(memory).collect(),
                writes: memory(&step.output),
            }
        };
        Description {
            steps: self.steps.iter().map(step).collect(),
            buffers: self.buffers.clone(),
            scratch: self.scratch,
            weight_bytes: network.bytes(),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Picture(0) => write!(f, "picture"),
            Self::Picture(picture) => write!(f, "picture {picture}"),
            Self::Buffer(buffer) => write!(f, "buffer {buffer}"),
            Self::Output(output) => write!(f, "output {output}"),
        }
    }
}

impl fmt::Display for PlannedStepDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layers, kind, jobs, .. } = self;
        match layers.len() {
            0 => {}
            1 => write!(f, "{}: ", layers.end)?,
            _ => write!(f, "{}-{}: ", layers.start + 1, layers.end)?,
        }
        let map = |[height, width, channels]: &[usize; 3]| format!("{height} x {width} x {channels}");
        let maps = self.inputs.iter().map(map).collect::<Vec<_>>().join(" + ");
        let reads = self.reads.iter().map(Memory::to_string).collect::<Vec<_>>().join(" + ");
        let output = map(&self.output);
        write!(f, "{kind}; {maps} -> {output}; {jobs} jobs; {reads} -> {}", self.writes)
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        let Self {
            buffers,
            scratch,
            weight_bytes,
            ..
        } = self;
        writeln!(
            f,
            "buffers {buffers:?}, scratch {scratch} for each thread, weights {weight_bytes} bytes"
        )
    }
}
