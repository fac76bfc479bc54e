//! Running a network: the only executor.

use core::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, volume};
use crate::memory::buffer::Shared;
use crate::memory::map::Map;
use crate::network::Network;
use crate::ops::op::Pictures;
use crate::plan::cut::Machine;
use crate::plan::{Key, Place, PlannedJob};
use crate::team::{Round, work_through};
use crate::value::Value;

impl Network {
    /// Runs pictures `[batch, channels, height, width]` through the network and writes the given values, each
    /// `[batch, channels, height, width]` of its own size.
    ///
    /// Uses all threads of the current rayon pool. The first run with a size allocates memory, later runs use it again.
    /// The first run also prepares weights where that makes wide layers faster.
    ///
    /// # Errors
    ///
    /// An [`Error`] when the length of a slice is not that of its shape, or the size of the picture does not fit the
    /// network.
    pub fn run(&self, pictures: &[f32], shape: [usize; 3], outputs: &mut [(Value, &mut [f32])]) -> Result<(), Error> {
        self.run_with(&[pictures], shape, outputs)
    }

    /// [`run`](Self::run) for a network of several pictures, in the order in which they were added.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_with(
        &self,
        pictures: &[&[f32]],
        shape: [usize; 3],
        outputs: &mut [(Value, &mut [f32])],
    ) -> Result<(), Error> {
        let pass = Pass::new(self, pictures, shape, outputs)?;
        let threads = rayon::current_num_threads();
        // With as many pictures as threads, each thread takes whole pictures and waits for no other.
        let alone = if threads > 1 { pass.batch / threads * threads } else { 0 };
        if alone > 0 {
            self.add_up(&pass.picture_maps, &pass.maps, self.machine(1));
        }
        let next = AtomicUsize::new(0);
        rayon::scope(|scope| {
            for _ in 0..threads.min(alone) {
                scope.spawn(|_| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= alone {
                            break;
                        }
                        pass.go(self.machine(1), index..index + 1, &|_| ());
                    }
                });
            }
        });
        if alone < pass.batch {
            let machine = self.machine(threads);
            self.add_up(&pass.picture_maps, &pass.maps, machine);
            pass.go(machine, alone..pass.batch, &|_| ());
        }
        Ok(())
    }

    /// Runs as [`run`](Self::run), but with all threads on every picture, and returns the time of every operation, in
    /// the order in which they were added; zero for operations that no output needs. Fused operations have their time
    /// at the last of them. Reading the pictures and handing values out are not counted.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn profile(
        &self,
        pictures: &[f32],
        shape: [usize; 3],
        outputs: &mut [(Value, &mut [f32])],
    ) -> Result<Vec<Duration>, Error> {
        let pass = Pass::new(self, &[pictures], shape, outputs)?;
        let times = Mutex::new((Instant::now(), vec![Duration::ZERO; self.operations().steps.len()]));
        let machine = self.machine(rayon::current_num_threads());
        self.add_up(&pass.picture_maps, &pass.maps, machine);
        times.lock().unwrap_or_else(PoisonError::into_inner).0 = Instant::now();
        pass.go(machine, 0..pass.batch, &|layer| {
            let (last, shares) = &mut *times.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if let Some(layer) = layer {
                shares[layer] += now - *last;
            }
            *last = now;
        });
        Ok(times.into_inner().unwrap_or_else(PoisonError::into_inner).1)
    }
}

/// Pictures on their way through a network.
struct Pass<'a> {
    network: &'a Network,
    /// Every picture of the network, each `batch` times.
    pictures: Vec<&'a [f32]>,
    batch: usize,
    size: [usize; 2],
    picture_maps: Vec<Map>,
    /// The maps of all values.
    maps: Vec<Map>,
    /// The values that are handed out, and their memory: as long as `batch` pictures of their maps.
    values: Vec<usize>,
    targets: Vec<Shared>,
}

impl<'a> Pass<'a> {
    /// Checks all lengths.
    fn new(
        network: &'a Network,
        pictures: &[&'a [f32]],
        [batch, height, width]: [usize; 3],
        outputs: &'a mut [(Value, &mut [f32])],
    ) -> Result<Self, Error> {
        let (picture_maps, maps) = network.maps([height, width])?;
        if pictures.len() != picture_maps.len() {
            return Err(Error::Length {
                op: "run",
                what: "the list of pictures",
                expected: picture_maps.len(),
                found: pictures.len(),
            });
        }
        for (picture, map) in pictures.iter().zip(&picture_maps) {
            Error::unless_length("run", "the picture", &[batch, map.len()], picture.len())?;
        }
        for (value, memory) in outputs.iter() {
            let map = maps.get(value.0).ok_or(Error::UnknownValue(value.0))?;
            let pixels = volume(&[map.channels, map.pixels()])?;
            Error::unless_length("run", "the output", &[batch, pixels], memory.len())?;
        }
        Ok(Self {
            network,
            pictures: pictures.to_vec(),
            batch,
            size: [height, width],
            picture_maps,
            maps,
            values: outputs.iter().map(|(value, _)| value.0).collect(),
            targets: outputs.iter_mut().map(|(_, memory)| Shared::new(memory)).collect(),
        })
    }

    /// Takes some of the pictures through the network, with the machine's threads on each. `finished(layer)` is called
    /// when a layer is done with a picture; `None` stands for handing a value out.
    fn go(&self, machine: Machine, pictures: Range<usize>, finished: &(impl Fn(Option<usize>) + Sync)) {
        if pictures.is_empty() {
            return;
        }
        let network = self.network;
        let key = Key {
            size: self.size,
            machine,
            values: self.values.clone(),
        };
        let mut workspace = network.workspace(key, &self.picture_maps, &self.maps);
        let plan = &workspace.plan;
        if plan.steps.is_empty() {
            return;
        }
        let buffers: Vec<Shared> = workspace
            .buffers
            .iter_mut()
            .map(|buffer| Shared::new(buffer.as_mut_slice()))
            .collect();
        let scratch = &workspace.scratch;
        let rounds: Vec<Round> = pictures
            .clone()
            .flat_map(|_| {
                plan.steps
                    .iter()
                    .map(|step| Round::new(step.jobs(network.operations(), machine)))
            })
            .collect();

        let work = |worker: usize, round: usize, job: usize| {
            let index = pictures.start + round / plan.steps.len();
            let step = &plan.steps[round % plan.steps.len()];
            let at = |place: Place| match place {
                Place::Picture(picture) => {
                    let all = self.pictures[picture];
                    all[index * (all.len() / self.batch)..].as_ptr().cast_mut()
                }
                // SAFETY: `start` is a channel of a concatenation, whose map the buffer holds.
                Place::Buffer { buffer, start } => unsafe { buffers[buffer].address().add(start) },
                Place::Output(output) => {
                    let map = self.maps[self.values[output]];
                    // SAFETY: the memory is as long as `batch` pictures, which `new` has checked.
                    unsafe { self.targets[output].address().add(index * map.channels * map.pixels()) }
                }
            };
            let inputs: Vec<*const f32> = step.inputs.iter().map(|&place| at(place).cast_const()).collect();
            let mut scratch = scratch[worker].lock().unwrap_or_else(PoisonError::into_inner);
            let job = PlannedJob {
                pictures: Pictures {
                    inputs: &inputs,
                    output: at(step.output),
                },
                index: job,
                machine,
                scratch: scratch.as_mut_slice(),
            };
            // SAFETY: the plan's maps are those that the operations gave for this size of picture, and its buffers are
            // as large as the largest map that they hold in turn. The output of a step is never the buffer of a value
            // that is still read, except for parts of a concatenation: each has channels of its own, and the
            // concatenation leaves them alone. The jobs of a round write to different places, and begin when the round
            // before is done; jobs of another call write to other buffers and another picture's outputs.
            unsafe { step.run(network.operations(), job) };
        };
        work_through(machine.threads, &rounds, &work, &|round| {
            finished(plan.steps[round % plan.steps.len()].layer());
        });
        network
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(workspace);
    }
}
