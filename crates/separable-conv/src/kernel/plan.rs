//! What a run does, and the memory it needs: made once for a size of picture.

use std::sync::Mutex;

use super::buffer::{Arena, Buffer};
use super::cascade::Cascade;
use super::layer::{Layer, Maps};
use super::network::Network;
use super::work::Pictures;

/// What a plan was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub size: [usize; 2],
    pub threads: usize,
    pub values: Vec<usize>,
}

impl Key {
    /// What the calls of one run have in common, however many threads each has.
    pub(crate) fn kind(&self) -> ([usize; 2], &[usize]) {
        (self.size, &self.values)
    }
}

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the picture that was given.
    Picture,
    /// In a buffer of the workspace.
    Buffer(usize),
    /// In memory of the caller.
    Output(usize),
}

/// What a planned step does.
pub(crate) enum Planned {
    /// A step of the network.
    Step(usize, Maps),
    /// Steps that are worked through together.
    Cascade(Cascade),
    /// Handing a value out.
    HandOut(Maps),
}

/// A step with the places it reads and writes.
pub(crate) struct PlannedStep {
    pub what: Planned,
    pub input: Place,
    pub residual: Option<Place>,
    pub output: Place,
}

impl PlannedStep {
    /// How many jobs it is cut into.
    pub(crate) fn jobs(&self, network: &Network, threads: usize) -> usize {
        match &self.what {
            Planned::Step(index, maps) => network.steps()[*index].layer.jobs(maps, threads),
            Planned::Cascade(cascade) => cascade.jobs(threads),
            Planned::HandOut(maps) => Layer::Deinterleave.jobs(maps, threads),
        }
    }

    /// Values of scratch that a job needs.
    fn scratch(&self, network: &Network, threads: usize) -> usize {
        match &self.what {
            Planned::Step(index, maps) => network.steps()[*index].layer.scratch(maps, threads),
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
    /// As [`Layer::run`].
    pub(crate) unsafe fn run(
        &self,
        network: &Network,
        pictures: Pictures,
        job: usize,
        threads: usize,
        scratch: &mut [f32],
    ) {
        let run = |layer: &Layer, maps, scratch: &mut [f32]| {
            // SAFETY: the caller's promise is the same.
            unsafe { layer.run(network.isa(), maps, pictures, job, threads, scratch) };
        };
        match &self.what {
            Planned::Step(index, maps) => run(&network.steps()[*index].layer, maps, scratch),
            Planned::HandOut(maps) => run(&Layer::Deinterleave, maps, scratch),
            // SAFETY: the caller's promise is the same.
            Planned::Cascade(cascade) => unsafe { cascade.run(network, pictures, job, threads, scratch) },
        }
    }
}

/// The steps that the wanted values need, and where in memory each writes.
pub(crate) struct Plan {
    pub key: Key,
    threads: usize,
    pub steps: Vec<PlannedStep>,
    /// The length of every buffer.
    buffers: Vec<usize>,
    scratch: usize,
}

impl Plan {
    pub(crate) fn new(network: &Network, key: Key) -> Self {
        let maps = network.maps(key.size[0], key.size[1]);
        let threads = key.threads;
        let uses = Uses::new(network, &key.values);

        let mut plan = Self {
            threads,
            steps: Vec::new(),
            buffers: Vec::new(),
            scratch: 0,
            key,
        };
        let mut free: Vec<usize> = Vec::new();
        let mut places = vec![Place::Picture; maps.len()];
        let mut next = 0;
        while let Some(step) = network.steps().get(next) {
            if uses.last[next + 1].is_none() {
                next += 1;
                continue;
            }
            let cascade = Cascade::starting_at(network, next, &maps, &uses.readers, threads);
            let done = next..cascade.as_ref().map_or(next + 1, |cascade| cascade.steps.end);
            let (last, value) = (&network.steps()[done.end - 1], done.end);
            let buffer = plan.take(&mut free, maps[value].len());
            places[value] = Place::Buffer(buffer);
            let planned = PlannedStep {
                what: cascade.map_or_else(|| Planned::Step(next, network.step_maps(&maps, next)), Planned::Cascade),
                input: places[step.input],
                residual: last.residual.map(|value| places[value]),
                output: places[value],
            };
            plan.scratch = plan.scratch.max(planned.scratch(network, threads));
            plan.steps.push(planned);
            for output in 0..plan.key.values.len() {
                if plan.key.values[output] == value {
                    plan.steps.push(PlannedStep {
                        what: Planned::HandOut(Maps {
                            input: maps[value],
                            residual: None,
                            output: Layer::Deinterleave.output(maps[value], None),
                        }),
                        input: places[value],
                        residual: None,
                        output: Place::Output(output),
                    });
                }
            }
            let mut read: Vec<usize> = [step.input]
                .into_iter()
                .chain(last.residual)
                .chain([value])
                .filter(|&value| uses.last[value].is_some_and(|step| done.contains(&step)))
                .collect();
            read.sort_unstable();
            read.dedup();
            free.extend(read.into_iter().filter_map(|value| match places[value] {
                Place::Buffer(buffer) => Some(buffer),
                Place::Picture | Place::Output(_) => None,
            }));
            next = done.end;
        }
        plan
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

/// Who reads the values.
struct Uses {
    /// The last step that reads each value: the one that gives it for those that are only handed out, `None` for those that
    /// nobody needs.
    last: Vec<Option<usize>>,
    /// How many read each, whoever is handed it included.
    readers: Vec<usize>,
}

impl Uses {
    /// `wanted` are values of the network other than the picture, which whoever makes a run has checked.
    fn new(network: &Network, wanted: &[usize]) -> Self {
        let values = network.steps().len() + 1;
        let mut uses = Self {
            last: vec![None; values],
            readers: vec![0; values],
        };
        for &value in wanted {
            uses.last[value] = Some(value - 1);
            uses.readers[value] += 1;
        }
        for (index, step) in network.steps().iter().enumerate().rev() {
            if uses.last[index + 1].is_some() {
                for value in [step.input].into_iter().chain(step.residual) {
                    uses.last[value] = uses.last[value].max(Some(index));
                    uses.readers[value] += 1;
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
            scratch: (0..plan.threads)
                .map(|_| Mutex::new(arena.zeros(plan.scratch)))
                .collect(),
            plan,
        }
    }
}
