//! A whole network on the CPU: layers, the memory between them, and the run.

use core::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::buffer::{Arena, Shared, padded, volume};
use super::depthwise::DepthwiseKernel;
use super::isa::Isa;
use super::layer::{Layer, Maps, SeparableRelu};
use super::map::Map;
use super::packed::PackedMatrix;
use super::plan::{Key, Place, Plan, Workspace};
use super::pool::{GlobalPool, MaxPool};
use super::team::{Stage, work_through};
use super::winograd::Winograd;
use super::work::Pictures;

/// What a layer gives; later layers take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(usize);

/// The picture that goes in.
pub(crate) const PICTURE: usize = 0;
/// The same, channels last.
const INTERLEAVED: usize = 1;

/// A value, weights `[outputs, inputs, 1, 1]` and a bias.
pub type Projection<'a> = (Value, &'a [f32], Option<&'a [f32]>);

/// A layer and the values it reads.
pub(crate) struct Step {
    pub layer: Layer,
    pub input: usize,
    pub residual: Option<usize>,
}

/// A network of convolutions with their weights packed, run in one go with memory that is used again.
///
/// Built layer by layer: every method that adds one takes the [`Value`]s it reads and gives the one it writes. Weights come
/// in Burn's layouts and are packed at once. Biases are one value an output, or `None`.
///
/// Sizes are checked when the network is asked for one or run: a residual that is of another size than what it is added to
/// panics then.
pub struct Network {
    /// Step `n` gives value `n + 1`.
    steps: Vec<Step>,
    channels: Vec<usize>,
    isa: Isa,
    /// Where the next weights come from.
    arena: Arena,
    idle: Mutex<Vec<Workspace>>,
}

impl Network {
    /// An empty network for pictures of `channels` channels.
    ///
    /// # Panics
    ///
    /// When there are none.
    pub fn new(channels: usize, isa: Isa) -> Self {
        assert!(channels > 0, "pictures without channels");
        let interleave = Step {
            layer: Layer::Interleave { padded: false },
            input: PICTURE,
            residual: None,
        };
        Self {
            steps: vec![interleave],
            channels: vec![channels; 2],
            isa,
            arena: Arena::default(),
            idle: Mutex::default(),
        }
    }

    /// The picture.
    pub fn input(&self) -> Value {
        Value(INTERLEAVED)
    }

    /// The instructions it runs with.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Channels of a value.
    pub fn channels(&self, value: Value) -> usize {
        self.channels[value.0]
    }

    /// Bytes of packed weights.
    pub fn bytes(&self) -> usize {
        self.steps.iter().map(|step| step.layer.bytes()).sum()
    }

    /// Channels of a value whose pixels are whole cache lines; all layers but a convolution read nothing else.
    fn map_channels(&self, value: Value) -> usize {
        assert!(value.0 > INTERLEAVED, "the picture itself can only be convolved");
        self.channels(value)
    }

    fn add(&mut self, layer: Layer, input: Value, residual: Option<Value>, channels: usize) -> Value {
        self.steps.push(Step {
            layer,
            input: input.0,
            residual: residual.map(|value| value.0),
        });
        self.channels.push(channels);
        Value(self.steps.len())
    }

    /// An ordinary convolution without padding, its weights `[outputs, inputs, kernel, kernel]`.
    ///
    /// # Panics
    ///
    /// When weights and channels don't fit together.
    #[allow(clippy::too_many_arguments, reason = "each is one word of what a convolution is")]
    pub fn convolution(
        &mut self,
        input: Value,
        weights: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        kernel: usize,
        stride: usize,
        relu: bool,
    ) -> Value {
        let channels = self.channels(input);
        assert!(outputs > 0 && kernel > 0 && stride > 0, "a convolution of nothing");
        assert_eq!(
            weights.len(),
            volume(&[outputs, channels, kernel, kernel]),
            "weights of a convolution"
        );
        // Pixels of the picture lie close together, those of feature maps a number of cache lines apart.
        let step = if input.0 == INTERLEAVED {
            channels
        } else {
            padded(channels)
        };
        let taps = kernel * kernel;
        let winograd = (kernel == 3 && stride == 1 && input.0 != INTERLEAVED)
            .then(|| Winograd::new(|len| self.arena.zeros(len), weights, bias, channels, outputs))
            .flatten();
        let weights = PackedMatrix::new(
            |len| self.arena.zeros(len),
            taps * step,
            outputs,
            bias,
            |panel, values| {
                for (lane, output) in panel.enumerate() {
                    for (channel, kernel) in weights[output * channels * taps..][..channels * taps]
                        .chunks_exact(taps)
                        .enumerate()
                    {
                        for (tap, &weight) in kernel.iter().enumerate() {
                            values[tap * step + channel][lane] = weight;
                        }
                    }
                }
            },
        );
        let layer = Layer::Convolution {
            weights,
            kernel,
            stride,
            relu,
            winograd,
        };
        self.add(layer, input, None, outputs)
    }

    /// A separable convolution that keeps height and width: depthwise 3 x 3 with weights `[channels, 1, 3, 3]`, pointwise
    /// with weights `[outputs, channels, 1, 1]`, then bias, the residual and ReLU.
    ///
    /// # Panics
    ///
    /// When weights and channels don't fit together.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is one word of what a separable convolution is"
    )]
    pub fn separable(
        &mut self,
        input: Value,
        depthwise: &[f32],
        dilation: usize,
        pointwise: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        residual: Option<Value>,
        relu: SeparableRelu,
    ) -> Value {
        let channels = self.map_channels(input);
        assert!(outputs > 0 && dilation > 0, "a separable convolution of nothing");
        assert_eq!(
            depthwise.len(),
            volume(&[9, channels]),
            "weights of a depthwise convolution"
        );
        if let Some(residual) = residual {
            assert_eq!(self.map_channels(residual), outputs, "channels of the residual");
        }
        let layer = Layer::Separable {
            depthwise: DepthwiseKernel::new(depthwise, channels, dilation),
            pointwise: PackedMatrix::of_rows(|len| self.arena.zeros(len), channels, outputs, bias, pointwise),
            strassen: OnceLock::new(),
            relu,
        };
        self.add(layer, input, residual, outputs)
    }

    /// 3 x 3 max pooling, plus a 1 x 1 convolution of `projection`'s value with weights `[outputs, inputs, 1, 1]`, as many
    /// outputs as the pooled value has channels, and the pooling's stride.
    ///
    /// # Panics
    ///
    /// When weights and channels don't fit together.
    pub fn max_pool(&mut self, input: Value, pool: MaxPool, projection: Option<Projection<'_>>) -> Value {
        let channels = self.map_channels(input);
        assert!(pool.stride > 0 && pool.dilation > 0, "a pooling of nothing");
        let layer = Layer::Pool {
            pool,
            projection: projection.map(|(value, weights, bias)| {
                let inputs = self.map_channels(value);
                let weights = PackedMatrix::of_rows(|len| self.arena.zeros(len), inputs, channels, bias, weights);
                (weights, pool.stride)
            }),
        };
        self.add(layer, input, projection.map(|(value, ..)| value), channels)
    }

    /// One value a channel.
    ///
    /// # Panics
    ///
    /// When weights and channels don't fit together.
    pub fn global_pool(&mut self, input: Value, pool: GlobalPool) -> Value {
        self.add(Layer::GlobalPool(pool), input, None, self.map_channels(input))
    }

    /// A fully-connected layer on a single pixel, its weights `[inputs, outputs]`.
    ///
    /// # Panics
    ///
    /// When weights and channels don't fit together.
    pub fn dense(&mut self, input: Value, weights: &[f32], bias: Option<&[f32]>, outputs: usize, relu: bool) -> Value {
        let inputs = self.map_channels(input);
        assert!(outputs > 0, "a fully-connected layer without outputs");
        assert_eq!(
            weights.len(),
            volume(&[inputs, outputs]),
            "weights of a fully-connected layer"
        );
        let weights = PackedMatrix::of_columns(|len| self.arena.zeros(len), inputs, outputs, bias, weights);
        self.add(Layer::Dense { weights, relu }, input, None, outputs)
    }

    /// The height and width of a value, for a picture of `height` x `width`.
    ///
    /// # Panics
    ///
    /// When the picture is smaller than a kernel, or sizes of the network don't fit together.
    pub fn size(&self, value: Value, [height, width]: [usize; 2]) -> [usize; 2] {
        let map = self.maps(height, width)[value.0];
        [map.height, map.width]
    }

    /// Multiplications of every layer for one picture, in order.
    ///
    /// # Panics
    ///
    /// As [`size`](Self::size).
    pub fn multiplications(&self, [height, width]: [usize; 2]) -> Vec<usize> {
        let maps = self.maps(height, width);
        let count = |(index, step): (usize, &Step)| step.layer.multiplications(&self.step_maps(&maps, index));
        self.steps.iter().enumerate().map(count).collect()
    }

    /// The layers.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The maps of all values.
    pub(crate) fn maps(&self, height: usize, width: usize) -> Vec<Map> {
        assert!(height > 0 && width > 0, "a picture without pixels");
        let mut maps = vec![Map::dense(height, width, self.channels[PICTURE])];
        for step in &self.steps {
            let residual = step.residual.map(|value| maps[value]);
            maps.push(step.layer.output(maps[step.input], residual));
        }
        maps
    }

    /// Those of a step.
    pub(crate) fn step_maps(&self, maps: &[Map], step: usize) -> Maps {
        Maps {
            input: maps[self.steps[step].input],
            residual: self.steps[step].residual.map(|value| maps[value]),
            output: maps[step + 1],
        }
    }

    /// Runs pictures `[batch, channels, height, width]` through the network and writes the values asked for, each
    /// `[batch, channels, height, width]` of its own size.
    ///
    /// Uses all threads of the current rayon pool; the first run with a size takes memory, later ones use it again. Where wide layers
    /// are faster with sums of weights, the first run makes them.
    ///
    /// # Panics
    ///
    /// When the length of a slice is not that of its shape, or the picture is smaller than a kernel.
    pub fn run(&self, pictures: &[f32], shape: [usize; 3], outputs: &mut [(Value, &mut [f32])]) {
        let run = Run::new(self, pictures, shape, outputs);
        let threads = rayon::current_num_threads();
        // As many pictures as threads: each takes whole ones, and none waits for another's part of a layer.
        let alone = if threads > 1 { run.batch / threads * threads } else { 0 };
        if alone > 0 {
            self.add_up(&run.maps, 1);
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
                        run.go(1, index..index + 1, &|_| ());
                    }
                });
            }
        });
        if alone < run.batch {
            self.add_up(&run.maps, threads);
            run.go(threads, alone..run.batch, &|_| ());
        }
    }

    /// Runs as [`run`](Self::run), but all threads on every picture, and gives every layer's share of the time, in order; zero for layers that the values
    /// asked for don't need. Layers that are worked through together have their time at the last of them. Reading the input
    /// and handing values out are not counted.
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    pub fn profile(&self, pictures: &[f32], shape: [usize; 3], outputs: &mut [(Value, &mut [f32])]) -> Vec<Duration> {
        let times = Mutex::new((Instant::now(), vec![Duration::ZERO; self.steps.len()]));
        let run = Run::new(self, pictures, shape, outputs);
        let threads = rayon::current_num_threads();
        self.add_up(&run.maps, threads);
        run.go(threads, 0..run.batch, &|layer| {
            let (last, shares) = &mut *times.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if let Some(layer) = layer {
                shares[layer] += now - *last;
            }
            *last = now;
        });
        times.into_inner().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Makes the sums of weights that pictures with these maps call for with so many threads on each.
    fn add_up(&self, maps: &[Map], threads: usize) {
        let wanting: Vec<&Layer> = self
            .steps
            .iter()
            .enumerate()
            .filter(|(index, step)| step.layer.wants_sums(&self.step_maps(maps, *index), threads))
            .map(|(_, step)| &step.layer)
            .collect();
        if wanting.is_empty() {
            return;
        }
        let arena = Mutex::new(Arena::default());
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(layer) = wanting.get(next.fetch_add(1, Ordering::Relaxed)) {
                layer.add_up(self.isa, |len| {
                    arena.lock().unwrap_or_else(PoisonError::into_inner).zeros(len)
                });
            }
        };
        // Not rayon's threads: one of those that waits for others takes up work meanwhile, maybe another run, which would wait for
        // what this one makes.
        thread::scope(|scope| {
            for _ in 1..rayon::current_num_threads().min(wanting.len()) {
                // If there is no other thread, this one does all of it.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }

    /// Memory for a run: that of an earlier run of the same kind, if there is one that nobody uses.
    fn workspace(&self, key: Key) -> Workspace {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = idle.iter().position(|workspace| workspace.plan.key == key) {
            return idle.swap_remove(index);
        }
        // One of another kind is of no use, and would be kept for ever.
        idle.retain(|workspace| workspace.plan.key.kind() == key.kind());
        drop(idle);
        Workspace::new(Plan::new(self, key))
    }
}

/// Pictures on their way through a network.
struct Run<'a> {
    network: &'a Network,
    pictures: &'a [f32],
    batch: usize,
    size: [usize; 2],
    /// Those of all values.
    maps: Vec<Map>,
    /// The values asked for, and where they go: as long as `batch` pictures of their maps.
    values: Vec<usize>,
    targets: Vec<Shared>,
}

impl<'a> Run<'a> {
    /// # Panics
    ///
    /// When a length is not that of its shape.
    fn new(
        network: &'a Network,
        pictures: &'a [f32],
        [batch, height, width]: [usize; 3],
        outputs: &'a mut [(Value, &mut [f32])],
    ) -> Self {
        let picture = volume(&[network.channels[PICTURE], height, width]);
        assert_eq!(
            pictures.len(),
            volume(&[batch, picture]),
            "pictures of {batch} x {height} x {width}"
        );
        let maps = network.maps(height, width);
        for (value, memory) in outputs.iter() {
            assert!(
                value.0 > PICTURE && value.0 < maps.len(),
                "value {} is not of this network",
                value.0
            );
            let map = maps[value.0];
            let expected = volume(&[batch, map.channels, map.pixels()]);
            assert_eq!(memory.len(), expected, "memory for value {}", value.0);
        }
        Self {
            network,
            pictures,
            batch,
            size: [height, width],
            maps,
            values: outputs.iter().map(|(value, _)| value.0).collect(),
            targets: outputs.iter_mut().map(|(_, memory)| Shared::new(memory)).collect(),
        }
    }

    /// Takes some of the pictures through the network, with `threads` threads on each. `finished(layer)` is called when a layer
    /// is done with a picture; no layer stands for handing a value out.
    fn go(&self, threads: usize, pictures: Range<usize>, finished: &(impl Fn(Option<usize>) + Sync)) {
        if pictures.is_empty() {
            return;
        }
        let network = self.network;
        let mut workspace = network.workspace(Key {
            size: self.size,
            threads,
            values: self.values.clone(),
        });
        let plan = &workspace.plan;
        let buffers: Vec<Shared> = workspace
            .buffers
            .iter_mut()
            .map(|buffer| Shared::new(buffer.as_mut_slice()))
            .collect();
        let scratch = &workspace.scratch;
        let stages: Vec<Stage> = pictures
            .clone()
            .flat_map(|_| plan.steps.iter().map(|step| Stage::new(step.jobs(network, threads))))
            .collect();

        let work = |worker: usize, stage: usize, job: usize| {
            let index = pictures.start + stage / plan.steps.len();
            let step = &plan.steps[stage % plan.steps.len()];
            let at = |place: Place| match place {
                Place::Picture => {
                    let picture = self.pictures.len() / self.batch;
                    self.pictures[index * picture..].as_ptr().cast_mut()
                }
                Place::Buffer(buffer) => buffers[buffer].address(),
                Place::Output(output) => {
                    let map = self.maps[self.values[output]];
                    // SAFETY: the memory is as long as `batch` pictures, which `new` has checked.
                    unsafe { self.targets[output].address().add(index * map.channels * map.pixels()) }
                }
            };
            let pictures = Pictures {
                input: at(step.input),
                residual: step.residual.map(|place| at(place).cast_const()),
                output: at(step.output),
            };
            let mut scratch = scratch[worker].lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the plan's maps are those that the layers gave for this size of picture, and its buffers are as large
            // as the largest map that they hold in turn. The output of a step is never the buffer of a value that is still
            // read. The jobs of a stage write to different places, and begin when the stage before is done; those of another
            // call write to other buffers and another picture's outputs.
            unsafe {
                step.run(network, pictures, job, threads, scratch.as_mut_slice());
            }
        };
        work_through(threads, &stages, &work, &|stage| {
            finished(plan.steps[stage % plan.steps.len()].layer());
        });
        network
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(workspace);
    }
}
