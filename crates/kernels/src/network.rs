//! A network on the CPU: its operations, their packed weights, and the sizes of its maps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::Error;
use crate::memory::buffer::Arena;
use crate::memory::cache::second_level;
use crate::memory::map::Map;
use crate::ops::AnyOp;
use crate::ops::layout::Interleave;
use crate::ops::op::Maps;
use crate::ops::separable::SeparableOp;
use crate::plan::cut::Machine;
use crate::plan::{Description, Key, Plan, Workspace};
use crate::simd::isa::Isa;
use crate::step::{MapId, Operations, Step};
use crate::value::Value;

/// A network of convolutions, its weights packed, with memory that runs use again.
///
/// Built operation by operation: every method that adds one takes the [`Value`]s that it reads and returns the value
/// that it computes. Weights come in Burn's layouts and are packed at once. Heights and widths are known when the
/// network is asked for a [`size`](Self::size) or run.
///
/// # Errors
///
/// Every method that adds an operation returns an [`Error`] when weights, channels and options do not fit together.
/// Every method that takes the size of a picture returns one when the size does not fit the network.
pub struct Network {
    /// Channels of every picture.
    pictures: Vec<usize>,
    operations: Operations,
    /// Channels of every value.
    channels: Vec<usize>,
    /// Pictures whose pixels are padded to whole cache lines, by the value whose pixels are not.
    padded_pictures: BTreeMap<usize, Value>,
    second_level_cache: usize,
    /// Memory for weights.
    pub(crate) arena: Arena,
    pub(crate) idle: Mutex<Vec<Workspace>>,
}

impl Network {
    /// An empty network for pictures of `channels` channels.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn new(channels: usize, isa: Isa) -> Result<Self, Error> {
        let mut network = Self {
            pictures: Vec::new(),
            operations: Operations { steps: Vec::new(), isa },
            channels: Vec::new(),
            padded_pictures: BTreeMap::new(),
            second_level_cache: second_level(),
            arena: Arena::default(),
            idle: Mutex::default(),
        };
        network.add_picture(channels)?;
        Ok(network)
    }

    /// Plans for a core with a second-level cache of `bytes`. Without this, for that of the machine.
    #[must_use]
    pub fn with_second_level_cache(mut self, bytes: usize) -> Self {
        self.second_level_cache = bytes;
        self
    }

    /// The picture.
    pub fn input(&self) -> Value {
        Value(0)
    }

    /// One more picture of `channels` channels, of the height and width of the first.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn add_picture(&mut self, channels: usize) -> Result<Value, Error> {
        Error::if_zero("picture", "the number of channels", channels)?;
        let picture = MapId::Picture(self.pictures.len());
        self.pictures.push(channels);
        let interleave = AnyOp::Interleave(Interleave { padded: false });
        Ok(self.push_step(interleave, vec![picture], channels))
    }

    /// The instruction set that the network runs with.
    pub fn isa(&self) -> Isa {
        self.operations.isa
    }

    /// Channels of a value.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn channels(&self, value: Value) -> Result<usize, Error> {
        self.channels.get(value.0).copied().ok_or(Error::UnknownValue(value.0))
    }

    /// Bytes of packed weights.
    pub fn bytes(&self) -> usize {
        self.operations.bytes()
    }

    /// Adds an operation that reads values.
    pub(crate) fn push(&mut self, op: AnyOp, inputs: impl IntoIterator<Item = Value>, channels: usize) -> Value {
        let inputs = inputs.into_iter().map(|value| MapId::Value(value.0)).collect();
        self.push_step(op, inputs, channels)
    }

    fn push_step(&mut self, op: AnyOp, inputs: Vec<MapId>, channels: usize) -> Value {
        self.operations.steps.push(Step { op, inputs });
        self.channels.push(channels);
        Value(self.operations.steps.len() - 1)
    }

    /// Whether the pixels of a value lie side by side. Pixels of all other values take whole cache lines.
    pub(crate) fn is_picture(&self, value: Value) -> bool {
        let op = self.operations.steps.get(value.0).map(|step| &step.op);
        matches!(op, Some(AnyOp::Interleave(Interleave { padded: false })))
    }

    /// The value with pixels of whole cache lines, which every operation but a convolution needs.
    pub(crate) fn padded(&mut self, value: Value) -> Result<Value, Error> {
        let channels = self.channels(value)?;
        if !self.is_picture(value) {
            return Ok(value);
        }
        if let Some(padded) = self.padded_pictures.get(&value.0) {
            return Ok(*padded);
        }
        let inputs = self.operations.steps[value.0].inputs.clone();
        let padded = self.push_step(AnyOp::Interleave(Interleave { padded: true }), inputs, channels);
        self.padded_pictures.insert(value.0, padded);
        Ok(padded)
    }

    /// A value that is added to another with `outputs` channels.
    pub(crate) fn residual(
        &mut self,
        op: &'static str,
        residual: Option<Value>,
        outputs: usize,
    ) -> Result<Option<Value>, Error> {
        let Some(residual) = residual else {
            return Ok(None);
        };
        self.expect_channels(op, "the residual", residual, outputs)?;
        self.padded(residual).map(Some)
    }

    pub(crate) fn expect_channels(
        &self,
        op: &'static str,
        what: &'static str,
        value: Value,
        expected: usize,
    ) -> Result<(), Error> {
        let found = self.channels(value)?;
        if found != expected {
            return Err(Error::Channels {
                op,
                what,
                expected,
                found,
            });
        }
        Ok(())
    }

    /// The height and width of a value, for a picture of this height and width.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn size(&self, value: Value, size: [usize; 2]) -> Result<[usize; 2], Error> {
        self.channels(value)?;
        let (_, maps) = self.maps(size)?;
        Ok(maps[value.0].size())
    }

    /// Multiplications of every operation for one picture, in the order in which they were added.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn multiplications(&self, size: [usize; 2]) -> Result<Vec<usize>, Error> {
        let (pictures, maps) = self.maps(size)?;
        let count = |(index, step): (usize, &Step)| step.op.multiplications(&self.step_maps(index, &pictures, &maps));
        Ok(self.operations.steps.iter().enumerate().map(count).collect())
    }

    /// The plan of a run on one picture of this height and width by `threads` threads that hands out `values`.
    ///
    /// Prepares the weights as such a run would.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn describe(&self, size: [usize; 2], threads: usize, values: &[Value]) -> Result<Description, Error> {
        Error::if_zero("describe", "the number of threads", threads)?;
        for value in values {
            self.channels(*value)?;
        }
        let (pictures, maps) = self.maps(size)?;
        let machine = self.machine(threads);
        self.add_up(&pictures, &maps, machine);
        let key = Key {
            size,
            machine,
            values: values.iter().map(|value| value.0).collect(),
        };
        Ok(Plan::new(&self.operations, key, &pictures, &maps).describe(&self.operations))
    }

    pub(crate) fn machine(&self, threads: usize) -> Machine {
        Machine {
            threads,
            second_level_cache: self.second_level_cache,
        }
    }

    /// The operations.
    pub(crate) fn operations(&self) -> &Operations {
        &self.operations
    }

    /// The maps of all pictures and of all values.
    pub(crate) fn maps(&self, [height, width]: [usize; 2]) -> Result<(Vec<Map>, Vec<Map>), Error> {
        Error::if_zero("picture", "the height", height)?;
        Error::if_zero("picture", "the width", width)?;
        let pictures = self
            .pictures
            .iter()
            .map(|&channels| Map::dense(height, width, channels));
        let pictures = pictures.collect::<Result<Vec<_>, _>>()?;
        let mut maps = Vec::with_capacity(self.operations.steps.len());
        for step in &self.operations.steps {
            let inputs: Vec<Map> = step.inputs.iter().map(|id| id.map(&pictures, &maps)).collect();
            maps.push(step.op.output(&inputs)?);
        }
        Ok((pictures, maps))
    }

    /// The maps of a step.
    pub(crate) fn step_maps(&self, step: usize, pictures: &[Map], maps: &[Map]) -> Maps {
        let ids = self.operations.steps[step].inputs.iter();
        Maps {
            inputs: ids.map(|id| id.map(pictures, maps)).collect(),
            output: maps[step],
        }
    }

    /// Makes the sums of weights that pictures with these maps need.
    pub(crate) fn add_up(&self, pictures: &[Map], maps: &[Map], machine: Machine) {
        let missing: Vec<&SeparableOp> = self
            .operations
            .steps
            .iter()
            .enumerate()
            .filter_map(|(index, step)| match &step.op {
                AnyOp::Separable(op) if op.needs_sums(&self.step_maps(index, pictures, maps), machine) => Some(&**op),
                _ => None,
            })
            .collect();
        if missing.is_empty() {
            return;
        }
        let arena = Mutex::new(Arena::default());
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(op) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                op.add_up(self.operations.isa, machine, |len| {
                    arena.lock().unwrap_or_else(PoisonError::into_inner).zeros(len)
                });
            }
        };
        // Not rayon's threads: a rayon thread that waits takes other work, perhaps another run, which would wait for
        // these sums.
        thread::scope(|scope| {
            for _ in 1..rayon::current_num_threads().min(missing.len()) {
                // Without another thread, this one does all of it.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }

    /// Memory for a run: that of an earlier run of the same kind, if it is idle.
    pub(crate) fn workspace(&self, key: Key, pictures: &[Map], maps: &[Map]) -> Workspace {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = idle.iter().position(|workspace| workspace.plan.key == key) {
            return idle.swap_remove(index);
        }
        // Memory of another kind of run is freed: it might never be used again.
        idle.retain(|workspace| workspace.plan.key.kind() == key.kind());
        drop(idle);
        Workspace::new(Plan::new(&self.operations, key, pictures, maps))
    }
}
