//! What a run does, and the memory it needs: made once for a size of picture.

use std::sync::Mutex;

use super::buffer::Buffer;
use super::layer::{Layer, Maps, Pictures};
use super::map::Map;
use super::network::{Network, PICTURE};

/// What a plan was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub size: [usize; 2],
    pub threads: usize,
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
}

impl PlannedStep {
    fn layer<'a>(&self, network: &'a Network) -> &'a Layer {
        match self.what {
            Planned::Step(index) => &network.steps()[index].layer,
            Planned::HandOut => &Layer::Deinterleave,
        }
    }

    /// How many jobs it is cut into.
    pub(crate) fn jobs(&self, network: &Network, threads: usize) -> usize {
        self.layer(network).jobs(&self.maps, threads)
    }

    fn scratch(&self, network: &Network, threads: usize) -> usize {
        self.layer(network).scratch(&self.maps, threads)
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
            self.layer(network)
                .run(network.isa(), &self.maps, pictures, job, threads, scratch);
        }
    }
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
        for (index, step) in network.steps().iter().enumerate() {
            let value = index + 1;
            if last_use[value].is_none() {
                continue;
            }
            let buffer = plan.take(&mut free, maps[value].len());
            places[value] = Place::Buffer(buffer);
            let planned = PlannedStep {
                what: Planned::Step(index),
                maps: Maps {
                    input: maps[step.input],
                    residual: step.residual.map(|value| maps[value]),
                    output: maps[value],
                },
                input: places[step.input],
                residual: step.residual.map(|value| places[value]),
                output: places[value],
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
                    });
                }
            }
            let done = |value: &usize| last_use[*value] == Some(index);
            let mut read: Vec<usize> = [step.input]
                .into_iter()
                .chain(step.residual)
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
