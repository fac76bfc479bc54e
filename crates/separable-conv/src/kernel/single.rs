//! One separable convolution on its own, between pictures whose channels lie one after the other.

use std::sync::{Mutex, OnceLock, PoisonError};

use super::buffer::{Buffer, Shared, volume};
use super::depthwise::DepthwiseKernel;
use super::isa::Isa;
use super::layer::{Layer, Maps, SeparableRelu};
use super::map::Map;
use super::packed::PackedMatrix;
use super::team::{Stage, work_through};
use super::work::Pictures;

/// One separable convolution that keeps height and width, its weights packed.
///
/// Depthwise 3 x 3, pointwise, then bias, the residual and ReLU. For a layer between others that are not this crate's:
/// pictures are `[batch, channels, height, width]` and are turned around on the way in and out. A [`Network`] keeps them
/// in the kernel's own order from layer to layer.
///
/// [`Network`]: super::Network
///
/// ```
/// use separable_conv::{Isa, SeparableConv, SeparableRelu};
///
/// // One channel, a box filter, doubled: the middle of a 3 x 3 picture of ones sees all nine.
/// let layer = SeparableConv::new(&[1.0; 9], 1, &[2.0], None, 1, SeparableRelu::default(), Isa::detect());
/// let mut output = [0.0; 9];
/// layer.run(&[1.0; 9], [1, 3, 3], None, &mut output);
/// assert_eq!(output[4], 18.0);
/// ```
pub struct SeparableConv {
    layer: Layer,
    channels: usize,
    outputs: usize,
    isa: Isa,
}

impl SeparableConv {
    /// `depthwise` weights are `[channels, 1, 3, 3]`, `dilation` the distance between their taps, `pointwise` weights
    /// `[outputs, channels, 1, 1]`, `bias` one value an output.
    ///
    /// # Panics
    ///
    /// When weights and channels don't fit together.
    pub fn new(
        depthwise: &[f32],
        dilation: usize,
        pointwise: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        relu: SeparableRelu,
        isa: Isa,
    ) -> Self {
        let channels = depthwise.len() / 9;
        assert_eq!(depthwise.len(), 9 * channels, "weights of a depthwise convolution");
        assert!(
            channels > 0 && outputs > 0 && dilation > 0,
            "a separable convolution of nothing"
        );
        Self {
            layer: Layer::Separable {
                depthwise: DepthwiseKernel::new(depthwise, channels, dilation),
                pointwise: PackedMatrix::of_rows(Buffer::zeros, channels, outputs, bias, pointwise),
                // Nobody asks for it: weights are packed for one call.
                strassen: OnceLock::new(),
                relu,
            },
            channels,
            outputs,
            isa,
        }
    }

    /// How many channels go in.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// How many come out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Convolves pictures `[batch, channels, height, width]` into `output`, `[batch, outputs, height, width]`, and adds
    /// `residual`, which is of the same shape, before the last ReLU.
    ///
    /// Uses all threads of the current rayon pool.
    ///
    /// # Panics
    ///
    /// When the length of a slice is not that of its shape.
    pub fn run(&self, input: &[f32], shape: [usize; 3], residual: Option<&[f32]>, output: &mut [f32]) {
        let [batch, height, width] = shape;
        let picture = Map::dense(height, width, self.channels);
        let result = Map::dense(height, width, self.outputs);
        assert_eq!(input.len(), volume(&[batch, picture.len()]), "pictures of {shape:?}");
        assert_eq!(output.len(), volume(&[batch, result.len()]), "outputs of {shape:?}");
        if let Some(residual) = residual {
            assert_eq!(residual.len(), output.len(), "residuals of {shape:?}");
        }
        if input.is_empty() {
            return;
        }

        let turn = Layer::Interleave { padded: true };
        let wide_picture = turn.output(picture, None);
        let wide_result = turn.output(result, None);
        let step = |what, layer, input, residual, output| Step {
            what,
            layer,
            maps: Maps {
                input,
                residual,
                output,
            },
        };
        let added = residual.map(|_| wide_result);
        let mut steps = vec![step(What::Picture, &turn, picture, None, wide_picture)];
        steps.extend(added.map(|wide| step(What::Residual, &turn, result, None, wide)));
        steps.push(step(What::Layer, &self.layer, wide_picture, added, wide_result));
        steps.push(step(What::Result, &Layer::Deinterleave, wide_result, None, result));

        let mut buffers = [wide_picture.len(), wide_result.len()].map(Buffer::zeros);
        let [from, to] = buffers.each_mut().map(|buffer| Shared::new(buffer.as_mut_slice()));
        let results = Shared::new(output);
        let threads = rayon::current_num_threads();
        let scratch = self.layer.scratch(&steps[steps.len() - 2].maps, threads);
        let scratch: Vec<Mutex<Buffer>> = (0..threads).map(|_| Mutex::new(Buffer::zeros(scratch))).collect();
        let stages: Vec<Stage> = (0..batch)
            .flat_map(|_| &steps)
            .map(|step| Stage::new(step.layer.jobs(&step.maps, threads)))
            .collect();
        let work = |worker: usize, stage: usize, job: usize| {
            let (index, step) = (stage / steps.len(), &steps[stage % steps.len()]);
            let (from, to, results) = (from.address(), to.address(), results.address());
            let (input, residual, output) = match step.what {
                What::Picture => (input[index * picture.len()..].as_ptr(), None, from),
                What::Residual => {
                    let residuals = residual.unwrap_or_default();
                    (residuals[index * result.len()..].as_ptr(), None, to)
                }
                // The residual lies where the sum goes: whoever writes a value reads it just before.
                What::Layer => (from.cast_const(), residual.map(|_| to.cast_const()), to),
                // SAFETY: the output is as long as `batch` results, which was checked above.
                What::Result => (to.cast_const(), None, unsafe { results.add(index * result.len()) }),
            };
            let pictures = Pictures {
                input,
                residual,
                output,
            };
            let mut scratch = scratch[worker].lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the pictures are of the step's maps, by the lengths checked above and the buffers made for them. A
            // stage begins when the one before is done, and the jobs of a stage write to different places.
            unsafe {
                step.layer
                    .run(self.isa, &step.maps, pictures, job, threads, scratch.as_mut_slice());
            }
        };
        work_through(threads, &stages, &work, &|_| ());
    }
}

/// One pass over a picture.
struct Step<'a> {
    what: What,
    layer: &'a Layer,
    maps: Maps,
}

#[derive(Clone, Copy)]
enum What {
    /// The picture, channels last.
    Picture,
    /// The residual, channels last.
    Residual,
    /// The convolution.
    Layer,
    /// The result, channels first again.
    Result,
}
