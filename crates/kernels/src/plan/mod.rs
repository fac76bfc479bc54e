//! The plan of a run: its steps in order, and the memory that each reads and writes. Made once for a size of picture.

pub(crate) mod cascade;
pub(crate) mod cut;
mod describe;

use std::collections::BTreeMap;
use std::sync::Mutex;

pub use describe::{Description, Memory, PlannedStepDescription};

use cascade::{Cascade, CascadeJob, PlanMaps};
use cut::Machine;

use crate::memory::buffer::{Arena, Buffer, LINE};
use crate::memory::map::Map;
use crate::ops::AnyOp;
use crate::ops::layout::Deinterleave;
use crate::ops::op::{Job, Maps, Op, Pictures};
use crate::step::{MapId, Operations, Step};

/// The run that a plan is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub size: [usize; 2],
    pub machine: Machine,
    /// The values that are handed out.
    pub values: Vec<usize>,
}

impl Key {
    /// The size and the values, which all calls of one run share, however many threads each has.
    pub(crate) fn kind(&self) -> ([usize; 2], &[usize]) {
        (self.size, &self.values)
    }
}

/// The memory of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A picture of the caller.
    Picture(usize),
    /// A buffer of the workspace, from this value on.
    Buffer { buffer: usize, start: usize },
    /// Output memory of the caller.
    Output(usize),
}

/// The work of a planned step.
pub(crate) enum Planned {
    /// A step of the network.
    Step(usize, Maps),
    /// Steps that are fused.
    Cascade(Cascade),
    /// Hands a value out.
    HandOut(Maps),
}

/// A step with the places that it reads and writes.
pub(crate) struct PlannedStep {
    pub what: Planned,
    pub inputs: Vec<Place>,
    pub output: Place,
}

/// One job of a planned step.
pub(crate) struct PlannedJob<'a> {
    pub pictures: Pictures<'a>,
    pub index: usize,
    pub machine: Machine,
    pub scratch: &'a mut [f32],
}

impl PlannedStep {
    /// The number of jobs.
    pub(crate) fn jobs(&self, network: &Operations, machine: Machine) -> usize {
        let cut = match &self.what {
            Planned::Step(index, maps) => network.steps[*index].op.cut(maps, machine),
            Planned::Cascade(cascade) => cascade.cut(machine),
            Planned::HandOut(maps) => Deinterleave.cut(maps, machine),
        };
        cut.jobs()
    }

    /// Values of scratch that a job needs.
    fn scratch(&self, network: &Operations, machine: Machine) -> usize {
        match &self.what {
            Planned::Step(index, maps) => network.steps[*index].op.scratch(maps, machine),
            Planned::Cascade(cascade) => cascade.scratch(),
            Planned::HandOut(_) => 0,
        }
    }

    /// The last step of the network that it does, if any.
    pub(crate) fn layer(&self) -> Option<usize> {
        match &self.what {
            Planned::Step(index, _) => Some(*index),
            Planned::Cascade(cascade) => Some(cascade.steps.end - 1),
            Planned::HandOut(_) => None,
        }
    }

    /// Does one job.
    ///
    /// # Safety
    ///
    /// As [`Op::run`].
    pub(crate) unsafe fn run(&self, network: &Operations, job: PlannedJob<'_>) {
        let PlannedJob {
            pictures,
            index,
            machine,
            scratch,
        } = job;
        let (op, maps): (&dyn Op, &Maps) = match &self.what {
            Planned::Step(step, maps) => (&*network.steps[*step].op, maps),
            Planned::HandOut(maps) => (&Deinterleave, maps),
            Planned::Cascade(cascade) => {
                let job = CascadeJob {
                    pictures,
                    index,
                    machine,
                    scratch,
                };
                // SAFETY: the caller's promise is the same.
                unsafe { cascade.run(network, job) };
                return;
            }
        };
        let job = Job {
            isa: network.isa,
            machine,
            maps,
            pictures,
            index,
            scratch,
        };
        // SAFETY: the caller's promise is the same.
        unsafe { op.run(job) };
    }
}

/// The steps that the wanted values need, and the memory that each writes.
pub(crate) struct Plan {
    pub key: Key,
    pub steps: Vec<PlannedStep>,
    /// The length of every buffer.
    buffers: Vec<usize>,
    scratch: usize,
}

impl Plan {
    /// `maps` are those of the pictures and of the network's values.
    pub(crate) fn new(network: &Operations, key: Key, pictures: &[Map], values: &[Map]) -> Self {
        let machine = key.machine;
        let uses = Uses::new(network, &key.values);
        let maps = PlanMaps {
            pictures,
            values,
            readers: &uses.readers,
        };

        let mut plan = Self {
            steps: Vec::new(),
            buffers: Vec::new(),
            scratch: 0,
            key,
        };
        let parts = parts(network, &uses, values);
        let mut free: Vec<usize> = Vec::new();
        let mut places = vec![Place::Picture(0); values.len()];
        // The buffers of concatenations whose parts are computed already.
        let mut wholes: BTreeMap<usize, usize> = BTreeMap::new();
        let mut next = 0;
        while let Some(step) = network.steps.get(next) {
            if uses.last[next].is_none() {
                next += 1;
                continue;
            }
            let cascade = Cascade::starting_at(network, next, &maps, machine);
            let done = next..cascade.as_ref().map_or(next + 1, |cascade| cascade.steps.end);
            let value = done.end - 1;
            let last = &network.steps[value];
            let ConcatPart { whole, channel } = parts[value].unwrap_or(ConcatPart {
                whole: value,
                channel: 0,
            });
            let buffer = match wholes.get(&whole) {
                Some(&buffer) => buffer,
                None => plan.take(&mut free, values[whole].len()),
            };
            if whole != value {
                wholes.insert(whole, buffer);
            }
            places[value] = Place::Buffer { buffer, start: channel };
            let output = Map {
                step: values[whole].step,
                ..values[value]
            };
            // A cascade reads the first step's input and the last step's projected map.
            let ids: Vec<MapId> = [step.inputs[0]]
                .into_iter()
                .chain(last.inputs[1..].iter().copied())
                .collect();
            let what = if let Some(mut cascade) = cascade {
                cascade.outer.output = output;
                Planned::Cascade(cascade)
            } else {
                let inputs = step.inputs.iter().map(|&id| maps.of(id)).collect();
                Planned::Step(next, Maps { inputs, output })
            };
            let place = |&id: &MapId| match id {
                MapId::Picture(picture) => Place::Picture(picture),
                MapId::Value(value) => places[value],
            };
            let planned = PlannedStep {
                what,
                inputs: ids.iter().map(place).collect(),
                output: places[value],
            };
            // A concatenation whose inputs were all written in their places has nothing left to do.
            let in_place = |id: &MapId| matches!(id, MapId::Value(value) if parts[*value].is_some());
            if !(matches!(last.op, AnyOp::Concat(_)) && ids.iter().all(in_place)) {
                plan.scratch = plan.scratch.max(planned.scratch(network, machine));
                plan.steps.push(planned);
            }
            plan.hand_out(value, &values[value], places[value]);
            let mut read: Vec<usize> = ids
                .iter()
                .filter_map(|id| match id {
                    MapId::Picture(_) => None,
                    MapId::Value(value) => Some(*value),
                })
                .chain([value])
                // The buffer of a part is its concatenation's.
                .filter(|&value| parts[value].is_none() && uses.last[value].is_some_and(|step| done.contains(&step)))
                .collect();
            read.sort_unstable();
            read.dedup();
            free.extend(read.into_iter().filter_map(|value| match places[value] {
                Place::Buffer { buffer, .. } => Some(buffer),
                Place::Picture(_) | Place::Output(_) => None,
            }));
            next = done.end;
        }
        plan
    }

    /// Adds the steps that hand out a value.
    fn hand_out(&mut self, value: usize, map: &Map, place: Place) {
        let output = Map {
            step: map.channels,
            ..*map
        };
        for index in (0..self.key.values.len())
            .filter(|&index| self.key.values[index] == value)
            .collect::<Vec<_>>()
        {
            self.steps.push(PlannedStep {
                what: Planned::HandOut(Maps {
                    inputs: vec![*map],
                    output,
                }),
                inputs: vec![place],
                output: Place::Output(index),
            });
        }
    }

    /// The free buffer that fits best, or a new one.
    fn take(&mut self, free: &mut Vec<usize>, len: usize) -> usize {
        let waste = |buffer: usize| {
            let held = self.buffers[buffer];
            (held < len, held.abs_diff(len))
        };
        if let Some(place) = (0..free.len()).min_by_key(|&place| waste(free[place])) {
            let buffer = free.swap_remove(place);
            self.buffers[buffer] = self.buffers[buffer].max(len);
            return buffer;
        }
        self.buffers.push(len);
        self.buffers.len() - 1
    }
}

/// The place of a value within a concatenation, in which it is written at once.
#[derive(Clone, Copy, Debug)]
struct ConcatPart {
    /// The concatenation; of concatenations in concatenations the outermost.
    whole: usize,
    /// The first channel.
    channel: usize,
}

/// The values that are written into a concatenation at once: nothing else reads them, and their channels are whole
/// cache lines of every pixel.
fn parts(network: &Operations, uses: &Uses, values: &[Map]) -> Vec<Option<ConcatPart>> {
    let mut parts: Vec<Option<ConcatPart>> = vec![None; values.len()];
    // Outer concatenations stand after the inner ones.
    for (index, step) in network.steps.iter().enumerate().rev() {
        if !matches!(step.op, AnyOp::Concat(_)) || uses.last[index].is_none() {
            continue;
        }
        let ConcatPart { whole, mut channel } = parts[index].unwrap_or(ConcatPart {
            whole: index,
            channel: 0,
        });
        for (place, id) in step.inputs.iter().enumerate() {
            let MapId::Value(value) = *id else { break };
            let channels = values[value].channels;
            // The padding after the last channels is the whole's.
            let is_last = whole == index && place + 1 == step.inputs.len();
            let aligned = channel.is_multiple_of(LINE) && (channels.is_multiple_of(LINE) || is_last);
            let Step { op, inputs } = &network.steps[value];
            if aligned && uses.readers[value] == 1 && op.writes_beside(inputs.len()) {
                parts[value] = Some(ConcatPart { whole, channel });
            }
            channel += channels;
        }
    }
    parts
}

/// The readers of the values.
struct Uses {
    /// The last step that reads each value; for a value that is only handed out, the step that computes it; `None` for
    /// a value that no run needs.
    last: Vec<Option<usize>>,
    /// The number of readers of each value, callers included.
    readers: Vec<usize>,
}

impl Uses {
    /// `wanted` are values of the network.
    fn new(network: &Operations, wanted: &[usize]) -> Self {
        let values = network.steps.len();
        let mut uses = Self {
            last: vec![None; values],
            readers: vec![0; values],
        };
        for &value in wanted {
            uses.last[value] = Some(value);
            uses.readers[value] += 1;
        }
        for (index, step) in network.steps.iter().enumerate().rev() {
            if uses.last[index].is_some() {
                for id in &step.inputs {
                    if let MapId::Value(value) = *id {
                        uses.last[value] = uses.last[value].max(Some(index));
                        uses.readers[value] += 1;
                    }
                }
            }
        }
        uses
    }
}

/// Memory of one run.
pub(crate) struct Workspace {
    pub plan: Plan,
    pub buffers: Vec<Buffer>,
    pub scratch: Vec<Mutex<Buffer>>,
}

impl Workspace {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut arena = Arena::default();
        Self {
            buffers: plan.buffers.iter().map(|&len| arena.zeros(len)).collect(),
            scratch: (0..plan.key.machine.threads)
                .map(|_| Mutex::new(arena.zeros(plan.scratch)))
                .collect(),
            plan,
        }
    }
}
