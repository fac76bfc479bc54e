//! A network on the CPU: its operations, their packed weights, and the sizes of its maps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use crate::error::Error;
use crate::gemm::packed::PackedMatrix;
use crate::memory::buffer::{Arena, Buffer, padded};
use crate::memory::cache::second_level;
use crate::memory::map::Map;
use crate::ops::activate::{Activate, ActivateOp};
use crate::ops::add::{Add, AddOp};
use crate::ops::affine::{Affine, AffineOp};
use crate::ops::average_pool::{AveragePool, AveragePoolOp};
use crate::ops::concat::{Concat, ConcatOp};
use crate::ops::convolution::{Convolution, ConvolutionOp, ConvolutionShape};
use crate::ops::dense::{Dense, DenseOp};
use crate::ops::depthwise::DepthwiseOp;
use crate::ops::depthwise3x3::DepthwiseKernel;
use crate::ops::global_pool::{GlobalPool, GlobalPoolOp};
use crate::ops::layout::Interleave;
use crate::ops::max_pool::{MaxPool, MaxPoolOp};
use crate::ops::multiply::{Multiply, MultiplyOp};
use crate::ops::separable::{FEWEST_STRASSEN_PIXELS, Separable, SeparableOp};
use crate::ops::window::WindowShape;
use crate::ops::{Layer, Maps};
use crate::plan::cut::Machine;
use crate::plan::{Description, Key, Plan, Workspace};
use crate::simd::isa::Isa;

/// The output of an operation; later operations take it as input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub(crate) usize);

/// The input of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A picture of the caller.
    Picture(usize),
    /// The output of a step.
    Value(usize),
}

/// An operation and its inputs.
pub(crate) struct Step {
    pub layer: Layer,
    pub inputs: Vec<Source>,
}

/// A network of convolutions, its weights packed, with memory that runs use again.
///
/// Built operation by operation: every method that adds one takes the [`Value`]s that it reads and returns the value that it
/// computes. Weights come in Burn's layouts and are packed at once. Heights and widths are known when the network is asked for a
/// [`size`](Self::size) or run.
///
/// # Errors
///
/// Every method that adds an operation returns an [`Error`] when weights, channels and options do not fit together. Every method
/// that takes the size of a picture returns one when the size does not fit the network.
pub struct Network {
    /// Channels of every picture.
    pictures: Vec<usize>,
    /// Step `n` computes value `n`.
    steps: Vec<Step>,
    /// Channels of every value.
    channels: Vec<usize>,
    /// Pictures whose pixels are padded to whole cache lines, by the value whose pixels are not.
    padded_pictures: BTreeMap<usize, Value>,
    isa: Isa,
    second_level_cache: usize,
    /// Memory for weights.
    arena: Arena,
    pub(crate) idle: Mutex<Vec<Workspace>>,
}

impl Network {
    /// An empty network for pictures of `channels` channels.
    pub fn new(channels: usize, isa: Isa) -> Result<Self, Error> {
        let mut network = Self {
            pictures: Vec::new(),
            steps: Vec::new(),
            channels: Vec::new(),
            padded_pictures: BTreeMap::new(),
            isa,
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
    pub fn add_picture(&mut self, channels: usize) -> Result<Value, Error> {
        Error::if_zero("picture", "the number of channels", channels)?;
        let picture = Source::Picture(self.pictures.len());
        self.pictures.push(channels);
        let interleave = Layer::Interleave(Interleave { padded: false });
        Ok(self.push(interleave, vec![picture], channels))
    }

    /// The instruction set that the network runs with.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Channels of a value.
    pub fn channels(&self, value: Value) -> Result<usize, Error> {
        self.channels.get(value.0).copied().ok_or(Error::UnknownValue(value.0))
    }

    /// Bytes of packed weights.
    pub fn bytes(&self) -> usize {
        self.steps.iter().map(|step| step.layer.bytes()).sum()
    }

    fn push(&mut self, layer: Layer, inputs: Vec<Source>, channels: usize) -> Value {
        self.steps.push(Step { layer, inputs });
        self.channels.push(channels);
        Value(self.steps.len() - 1)
    }

    /// The value with pixels of whole cache lines, which every operation but a convolution needs.
    fn padded(&mut self, value: Value) -> Result<Value, Error> {
        let channels = self.channels(value)?;
        let Step {
            layer: Layer::Interleave(Interleave { padded: false }),
            inputs,
        } = &self.steps[value.0]
        else {
            return Ok(value);
        };
        if let Some(padded) = self.padded_pictures.get(&value.0) {
            return Ok(*padded);
        }
        let inputs = inputs.clone();
        let padded = self.push(Layer::Interleave(Interleave { padded: true }), inputs, channels);
        self.padded_pictures.insert(value.0, padded);
        Ok(padded)
    }

    /// A value that is added to another with `outputs` channels.
    fn residual(&mut self, op: &'static str, residual: Option<Value>, outputs: usize) -> Result<Option<Value>, Error> {
        let Some(residual) = residual else {
            return Ok(None);
        };
        self.expect_channels(op, "the residual", residual, outputs)?;
        self.padded(residual).map(Some)
    }

    fn expect_channels(
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

    /// Adds an ordinary or a depthwise convolution.
    pub fn convolution(&mut self, convolution: Convolution<'_>) -> Result<Value, Error> {
        const OP: &str = "convolution";
        let Convolution {
            input,
            weights,
            bias,
            outputs,
            kernel: [height, width],
            groups,
            ..
        } = convolution;
        let channels = self.channels(input)?;
        Error::if_zero(OP, "the number of outputs", outputs)?;
        Error::if_zero(OP, "the number of groups", groups)?;
        WindowShape {
            taps: convolution.kernel,
            stride: convolution.stride,
            dilation: convolution.dilation,
            padding: convolution.padding,
        }
        .check(OP)?;
        let shape = ConvolutionShape {
            inputs: channels,
            outputs,
            groups,
        };
        if !shape.is_supported() {
            return Err(Error::Unsupported {
                op: OP,
                what: "groups of several channels",
            });
        }
        Error::unless_length(
            OP,
            "the weights",
            &[outputs, channels / groups, height, width],
            weights.len(),
        )?;
        if let Some(bias) = bias {
            Error::unless_length(OP, "the bias", &[outputs], bias.len())?;
        }
        let residual = self.residual(OP, convolution.residual, outputs)?;
        // A single channel is a group of its own either way.
        let (layer, input) = if shape.is_depthwise() && channels > 1 {
            let input = self.padded(input)?;
            let op = DepthwiseOp::new(&convolution, channels)?;
            (Layer::Depthwise(op), input)
        } else {
            // Pixels of the picture lie close together, those of maps a number of cache lines apart.
            let is_picture = matches!(
                self.steps[input.0].layer,
                Layer::Interleave(Interleave { padded: false })
            );
            let step = if is_picture { channels } else { padded(channels) };
            let arena = &mut self.arena;
            let op = ConvolutionOp::new(|len| arena.zeros(len), &convolution, channels, step, !is_picture)?;
            (Layer::Convolution(op), input)
        };
        Ok(self.push(layer, sources(input, residual), outputs))
    }

    /// Adds a separable convolution.
    pub fn separable(&mut self, separable: Separable<'_>) -> Result<Value, Error> {
        self.separable_with(separable, FEWEST_STRASSEN_PIXELS)
    }

    /// The same, with seven products instead of eight from so many pixels per thread.
    pub(crate) fn separable_with(
        &mut self,
        separable: Separable<'_>,
        fewest_strassen_pixels: usize,
    ) -> Result<Value, Error> {
        const OP: &str = "separable convolution";
        let Separable {
            depthwise,
            depthwise_bias,
            dilation,
            pointwise,
            bias,
            outputs,
            ..
        } = separable;
        let channels = self.channels(separable.input)?;
        Error::if_zero(OP, "the number of outputs", outputs)?;
        Error::if_zero(OP, "the dilation", dilation)?;
        Error::unless_length(OP, "the depthwise weights", &[9, channels], depthwise.len())?;
        Error::unless_length(OP, "the pointwise weights", &[channels, outputs], pointwise.len())?;
        if let Some(bias) = bias {
            Error::unless_length(OP, "the bias", &[outputs], bias.len())?;
        }
        if let Some(bias) = depthwise_bias {
            Error::unless_length(OP, "the depthwise bias", &[channels], bias.len())?;
        }
        if !Separable::supports_before(separable.before) {
            return Err(Error::Unsupported {
                op: OP,
                what: "this activation on the input",
            });
        }
        let input = self.padded(separable.input)?;
        let residual = self.residual(OP, separable.residual, outputs)?;
        let op = SeparableOp {
            depthwise: DepthwiseKernel::new(depthwise, channels, dilation, depthwise_bias),
            pointwise: PackedMatrix::of_rows(|len| self.arena.zeros(len), [channels, outputs], bias, pointwise)?,
            strassen: OnceLock::new(),
            fewest_strassen_pixels,
            relu_before: separable.before == crate::Activation::Relu,
            between: separable.between,
            after: separable.after,
        };
        Ok(self.push(Layer::Separable(Arc::new(op)), sources(input, residual), outputs))
    }

    /// The separable convolution that gives `value` in another network, with the same memory for its weights, on the first picture
    /// and with a residual.
    pub(crate) fn separable_like(&mut self, other: &Self, value: Value, residual: Value) -> Result<Value, Error> {
        let Some(Step {
            layer: Layer::Separable(op),
            ..
        }) = other.steps.get(value.0)
        else {
            return Err(Error::UnknownValue(value.0));
        };
        let outputs = other.channels(value)?;
        let input = self.padded(self.input())?;
        let residual = self.residual("separable convolution", Some(residual), outputs)?;
        Ok(self.push(Layer::Separable(Arc::clone(op)), sources(input, residual), outputs))
    }

    /// Adds a max pooling.
    pub fn max_pool(&mut self, pool: MaxPool<'_>) -> Result<Value, Error> {
        const OP: &str = "max pool";
        let channels = self.channels(pool.input)?;
        let window = WindowShape {
            taps: pool.window,
            stride: pool.stride,
            dilation: pool.dilation,
            padding: pool.padding,
        };
        window.check(OP)?;
        let input = self.padded(pool.input)?;
        let (mut projected, mut projection) = (None, None);
        if let Some(shortcut) = pool.projection {
            let inputs = self.channels(shortcut.input)?;
            let sides = [inputs, channels];
            Error::unless_length(OP, "the weights of the projection", &sides, shortcut.weights.len())?;
            if let Some(bias) = shortcut.bias {
                Error::unless_length(OP, "the bias of the projection", &[channels], bias.len())?;
            }
            projected = Some(self.padded(shortcut.input)?);
            let zeros = |len| self.arena.zeros(len);
            projection = Some(PackedMatrix::of_rows(zeros, sides, shortcut.bias, shortcut.weights)?);
        }
        let op = MaxPoolOp { window, projection };
        Ok(self.push(Layer::MaxPool(op), sources(input, projected), channels))
    }

    /// Adds an average pooling.
    pub fn average_pool(&mut self, pool: AveragePool) -> Result<Value, Error> {
        let channels = self.channels(pool.input)?;
        let window = WindowShape {
            taps: pool.window,
            stride: pool.stride,
            dilation: pool.dilation,
            padding: pool.padding,
        };
        window.check("average pool")?;
        let input = self.padded(pool.input)?;
        let op = AveragePoolOp {
            window,
            count_padding: pool.count_padding,
        };
        Ok(self.push(Layer::AveragePool(op), sources(input, None), channels))
    }

    /// Adds a pooling over all pixels.
    pub fn global_pool(&mut self, pool: GlobalPool) -> Result<Value, Error> {
        let channels = self.channels(pool.input)?;
        let input = self.padded(pool.input)?;
        let op = Layer::GlobalPool(GlobalPoolOp(pool.kind));
        Ok(self.push(op, sources(input, None), channels))
    }

    /// Adds a fully-connected layer.
    pub fn dense(&mut self, dense: Dense<'_>) -> Result<Value, Error> {
        const OP: &str = "dense";
        let Dense {
            weights, bias, outputs, ..
        } = dense;
        let inputs = self.channels(dense.input)?;
        Error::if_zero(OP, "the number of outputs", outputs)?;
        Error::unless_length(OP, "the weights", &[inputs, outputs], weights.len())?;
        if let Some(bias) = bias {
            Error::unless_length(OP, "the bias", &[outputs], bias.len())?;
        }
        let input = self.padded(dense.input)?;
        let op = DenseOp {
            weights: PackedMatrix::of_columns(|len| self.arena.zeros(len), [inputs, outputs], bias, weights)?,
            activation: dense.activation,
        };
        Ok(self.push(Layer::Dense(op), sources(input, None), outputs))
    }

    /// Adds the sum of two maps.
    pub fn add(&mut self, add: Add) -> Result<Value, Error> {
        let channels = self.channels(add.a)?;
        self.expect_channels("add", "the second map", add.b, channels)?;
        let (a, b) = (self.padded(add.a)?, self.padded(add.b)?);
        Ok(self.push(Layer::Add(AddOp(add.activation)), sources(a, Some(b)), channels))
    }

    /// Adds the product of a map and a factor for each channel.
    pub fn multiply(&mut self, multiply: Multiply) -> Result<Value, Error> {
        let channels = self.channels(multiply.input)?;
        self.expect_channels("multiply", "the factors", multiply.factors, channels)?;
        let (input, factors) = (self.padded(multiply.input)?, self.padded(multiply.factors)?);
        let op = Layer::Multiply(MultiplyOp(multiply.activation));
        Ok(self.push(op, sources(input, Some(factors)), channels))
    }

    /// Adds a scale and a shift for each channel.
    pub fn affine(&mut self, affine: Affine<'_>) -> Result<Value, Error> {
        const OP: &str = "scale and shift";
        let channels = self.channels(affine.input)?;
        Error::unless_length(OP, "the scale", &[channels], affine.scale.len())?;
        Error::unless_length(OP, "the shift", &[channels], affine.shift.len())?;
        let input = self.padded(affine.input)?;
        let pixel = |values: &[f32]| {
            let mut pixel = Buffer::zeros(padded(channels));
            pixel.as_mut_slice()[..channels].copy_from_slice(values);
            pixel
        };
        let op = AffineOp {
            scale: pixel(affine.scale),
            shift: pixel(affine.shift),
            activation: affine.activation,
        };
        Ok(self.push(Layer::Affine(op), sources(input, None), channels))
    }

    /// Adds an activation on its own.
    pub fn activate(&mut self, activate: Activate) -> Result<Value, Error> {
        let channels = self.channels(activate.input)?;
        let input = self.padded(activate.input)?;
        let op = Layer::Activate(ActivateOp(activate.activation));
        Ok(self.push(op, sources(input, None), channels))
    }

    /// Adds a concatenation of channels.
    pub fn concat(&mut self, concat: Concat<'_>) -> Result<Value, Error> {
        Error::if_zero("concat", "the number of inputs", concat.inputs.len())?;
        let (mut inputs, mut channels) = (Vec::new(), 0_usize);
        for &input in concat.inputs {
            let more = self.channels(input)?;
            channels = channels
                .checked_add(more)
                .ok_or_else(|| Error::TooLarge(vec![channels, more]))?;
            inputs.push(Source::Value(self.padded(input)?.0));
        }
        Ok(self.push(Layer::Concat(ConcatOp), inputs, channels))
    }

    /// The height and width of a value, for a picture of this height and width.
    pub fn size(&self, value: Value, size: [usize; 2]) -> Result<[usize; 2], Error> {
        self.channels(value)?;
        let (_, maps) = self.maps(size)?;
        Ok(maps[value.0].size())
    }

    /// Multiplications of every operation for one picture, in the order in which they were added.
    pub fn multiplications(&self, size: [usize; 2]) -> Result<Vec<usize>, Error> {
        let (pictures, maps) = self.maps(size)?;
        let count =
            |(index, step): (usize, &Step)| step.layer.multiplications(&self.step_maps(index, &pictures, &maps));
        Ok(self.steps.iter().enumerate().map(count).collect())
    }

    /// The plan of a run on one picture of this height and width by `threads` threads that hands out `values`.
    ///
    /// Prepares the weights as such a run would.
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
        Ok(Plan::new(self, key, &pictures, &maps).describe(self))
    }

    pub(crate) fn machine(&self, threads: usize) -> Machine {
        Machine {
            threads,
            second_level_cache: self.second_level_cache,
        }
    }

    /// The operations.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
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
        let mut maps = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let inputs: Vec<Map> = step.inputs.iter().map(|source| source.map(&pictures, &maps)).collect();
            maps.push(step.layer.output(&inputs)?);
        }
        Ok((pictures, maps))
    }

    /// The maps of a step.
    pub(crate) fn step_maps(&self, step: usize, pictures: &[Map], maps: &[Map]) -> Maps {
        let sources = self.steps[step].inputs.iter();
        Maps {
            inputs: sources.map(|source| source.map(pictures, maps)).collect(),
            output: maps[step],
        }
    }

    /// Makes the sums of weights that pictures with these maps need.
    pub(crate) fn add_up(&self, pictures: &[Map], maps: &[Map], machine: Machine) {
        let missing: Vec<&SeparableOp> = self
            .steps
            .iter()
            .enumerate()
            .filter_map(|(index, step)| match &step.layer {
                Layer::Separable(op) if op.needs_sums(&self.step_maps(index, pictures, maps), machine) => Some(&**op),
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
                op.add_up(self.isa, machine, |len| {
                    arena.lock().unwrap_or_else(PoisonError::into_inner).zeros(len)
                });
            }
        };
        // Not rayon's threads: a rayon thread that waits takes other work, perhaps another run, which would wait for these sums.
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
        Workspace::new(Plan::new(self, key, pictures, maps))
    }
}

impl Source {
    fn map(self, pictures: &[Map], maps: &[Map]) -> Map {
        match self {
            Self::Picture(picture) => pictures[picture],
            Self::Value(value) => maps[value],
        }
    }
}

/// An input, and a second one.
fn sources(input: Value, second: Option<Value>) -> Vec<Source> {
    let values = [input].into_iter().chain(second);
    values.map(|value| Source::Value(value.0)).collect()
}
