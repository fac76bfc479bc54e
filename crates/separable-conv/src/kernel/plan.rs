//! What a run does, and the memory it needs: made once for a size of picture.

use core::ops::Range;
use std::sync::Mutex;

use super::buffer::Buffer;
use super::layer::{Layer, Maps, Pictures};
use super::map::Map;
use super::network::{Network, PICTURE};
use super::strips::Strips;
use super::team::Stage;

/// What a plan was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub size: [usize; 2],
    pub threads: usize,
    /// Whether layers may be run in strips, and begin before the one before is done.
    pub fused: bool,
    pub values: Vec<usize>,
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
#[derive(Clone, Copy)]
pub(crate) enum Planned {
    /// A step of the network.
    Step(usize),
    /// This step and the two after it, in strips.
    Strips(usize),
    /// Handing a value out.
    HandOut,
}

/// A step with the maps and the places it reads and writes.
pub(crate) struct PlannedStep {
    pub what: Planned,
    maps: Maps,
    pub input: Place,
    pub residual: Option<Place>,
    pub output: Place,
    /// Whether its jobs may begin before the step before is done: [`Layer::needs`] says when.
    follows: bool,
}

impl PlannedStep {
    fn work<'a>(&self, network: &'a Network) -> Work<'a> {
        let layer = |index: usize| &network.steps()[index].layer;
        match self.what {
            Planned::Step(index) => Work::Layer(layer(index)),
            Planned::Strips(index) => {
                Strips::new([index, index + 1, index + 2].map(layer)).map_or(Work::Layer(layer(index)), Work::Strips)
            }
            Planned::HandOut => Work::Layer(&Layer::Deinterleave),
        }
    }

    /// How many jobs it is cut into.
    pub(crate) fn jobs(&self, network: &Network, threads: usize) -> usize {
        match self.work(network) {
            Work::Layer(layer) => layer.jobs(&self.maps, threads),
            Work::Strips(_) => Strips::jobs(&self.maps, threads),
        }
    }

    /// The jobs of the step before that a job waits for, unless it is all of them.
    pub(crate) fn needs(&self, network: &Network, job: usize, threads: usize) -> Option<Range<usize>> {
        match self.work(network) {
            Work::Layer(layer) if self.follows => layer.needs(&self.maps, job, threads),
            _ => None,
        }
    }

    fn scratch(&self, network: &Network, threads: usize) -> usize {
        match self.work(network) {
            Work::Layer(layer) => layer.scratch(&self.maps, threads),
            Work::Strips(strips) => strips.scratch(&self.maps),
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
        // SAFETY: the caller's promise is the same.
        unsafe {
            match self.work(network) {
                Work::Layer(layer) => layer.run(network.isa(), &self.maps, pictures, job, threads, scratch),
                Work::Strips(strips) => strips.run(network.isa(), &self.maps, pictures, job, threads, scratch),
            }
        }
    }
}

/// What is run.
enum Work<'a> {
    Layer(&'a Layer),
    Strips(Strips<'a>),
}

/// The steps that the wanted values need, and where in memory each writes.
pub(crate) struct Plan {
    pub key: Key,
    pub threads: usize,
    pub steps: Vec<PlannedStep>,
    pub outputs: Vec<Map>,
    /// The length of every buffer.
    buffers: Vec<usize>,
    scratch: usize,
}

impl Plan {
    pub(crate) fn new(network: &Network, key: Key) -> Self {
        let maps = network.maps(key.size[0], key.size[1]);
        let threads = key.threads;
        let last_use = last_uses(network, &key.values);

        let mut plan = Self {
            threads,
            steps: Vec::new(),
            outputs: key.values.iter().map(|&value| maps[value]).collect(),
            buffers: Vec::new(),
            scratch: 0,
            key,
        };
        let mut free: Vec<usize> = Vec::new();
        let mut places = vec![Place::Picture; maps.len()];
        let mut next = 0;
        while let Some(step) = network.steps().get(next) {
            let first = next;
            let strips = plan.key.fused && strips_at(network, &maps, &last_use, &plan.key, first);
            let last = if strips { first + 2 } else { first };
            next = last + 1;
            let value = last + 1;
            if last_use[value].is_none() {
                continue;
            }
            let residual = network.steps()[last].residual;
            let buffer = plan.take(&mut free, maps[value].len());
            places[value] = Place::Buffer(buffer);
            let planned = PlannedStep {
                what: if strips {
                    Planned::Strips(first)
                } else {
                    Planned::Step(first)
                },
                maps: Maps {
                    input: maps[step.input],
                    residual: residual.map(|value| maps[value]),
                    output: maps[value],
                },
                input: places[step.input],
                residual: residual.map(|value| places[value]),
                output: places[value],
                follows: false,
            };
            plan.scratch = plan.scratch.max(planned.scratch(network, threads));
            plan.steps.push(planned);
            for output in 0..plan.key.values.len() {
                if plan.key.values[output] == value {
                    plan.steps.push(PlannedStep {
                        what: Planned::HandOut,
                        maps: Maps {
                            input: maps[value],
                            residual: None,
                            output: Layer::Deinterleave.output(maps[value], None),
                        },
                        input: places[value],
                        residual: None,
                        output: Place::Output(output),
                        follows: false,
                    });
                }
            }
            let done = |value: &usize| last_use[*value].is_some_and(|at| (first..=last).contains(&at));
            let mut read: Vec<usize> = [step.input]
                .into_iter()
                .chain(residual)
                .chain([value])
                .filter(done)
                .collect();
            read.sort_unstable();
            read.dedup();
            free.extend(read.into_iter().filter_map(|value| match places[value] {
                Place::Buffer(buffer) => Some(buffer),
                Place::Picture | Place::Output(_) => None,
            }));
        }
        plan.overlap(network);
        plan
    }

    /// Marks the steps whose jobs may begin before the step before is done.
    fn overlap(&mut self, network: &Network) {
        if !self.key.fused {
            return;
        }
        for index in 1..self.steps.len() {
            let (before, step) = (&self.steps[index - 1], &self.steps[index]);
            let follows = match (before.work(network), step.work(network)) {
                (Work::Layer(first), Work::Layer(second)) => second.follows(&step.maps, first, &before.maps),
                _ => false,
            };
            self.steps[index].follows = follows && self.steps[index].jobs(network, self.threads) <= Stage::TOLD_APART;
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

/// Whether the step at `first` and the two after it are run in strips: two separable convolutions and a pooling whose maps
/// in between are large and needed by nobody else.
fn strips_at(network: &Network, maps: &[Map], last_use: &[Option<usize>], key: &Key, first: usize) -> bool {
    let Some([one, two, three]) = network.steps().get(first..first + 3) else {
        return false;
    };
    let chained = two.input == first + 1
        && three.input == first + 2
        && one.residual.is_none()
        && two.residual.is_none()
        && last_use[first + 1] == Some(first + 1)
        && last_use[first + 2] == Some(first + 2);
    let between = [maps[first + 1], maps[first + 2]];
    let wanted = key.values.iter().any(|value| [first + 1, first + 2].contains(value));
    chained
        && !wanted
        && Strips::new([&one.layer, &two.layer, &three.layer])
            .is_some_and(|_| network.always_strips || Strips::pay(between, maps[first + 3], key.threads))
}

/// The last step that reads each value: itself for those that are only handed out, `None` for those that nobody needs.
fn last_uses(network: &Network, wanted: &[usize]) -> Vec<Option<usize>> {
    let mut uses = vec![None; network.steps().len() + 1];
    for &value in wanted {
        assert!(
            value > PICTURE && value < uses.len(),
            "value {value} is not of this network"
        );
        uses[value] = Some(value - 1);
    }
    for (index, step) in network.steps().iter().enumerate().rev() {
        if uses[index + 1].is_some() {
            for value in [step.input].into_iter().chain(step.residual) {
                uses[value] = uses[value].max(Some(index));
            }
        }
    }
    uses
}

/// Memory of one run.
pub(crate) struct Workspace {
    pub plan: Plan,
    pub buffers: Vec<Buffer>,
    pub scratch: Vec<Mutex<Buffer>>,
}

impl Workspace {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            buffers: plan.buffers.iter().map(|&len| Buffer::zeros(len)).collect(),
            scratch: (0..plan.threads)
                .map(|_| Mutex::new(Buffer::zeros(plan.scratch)))
                .collect(),
            plan,
        }
    }
}
