//! A separable convolution in the order of its definition: one pass over the whole feature map for each of its steps.

use gemm::Parallelism;
use rayon::prelude::*;

/// The weights and buffers: channels last, no padding between pixels.
pub struct Plain {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub outputs: usize,
    /// `[9, channels]`
    depthwise: Vec<f32>,
    /// `[outputs, channels]`
    pointwise: Vec<f32>,
    bias: Vec<f32>,
    relu_before: bool,
    relu_after: bool,
    activated: Vec<f32>,
    convolved: Vec<f32>,
    pub output: Vec<f32>,
}

impl Plain {
    /// `depthwise` is `[channels, 9]`, the layout of Burn's weights.
    pub fn new(
        [height, width]: [usize; 2],
        depthwise: &[f32],
        pointwise: &[f32],
        bias: &[f32],
        [relu_before, relu_after]: [bool; 2],
    ) -> Self {
        let channels = depthwise.len() / 9;
        let outputs = bias.len();
        let pixels = height * width;
        Self {
            height,
            width,
            channels,
            outputs,
            depthwise: (0..9 * channels)
                .map(|index| depthwise[index % channels * 9 + index / channels])
                .collect(),
            pointwise: pointwise.to_vec(),
            bias: bias.to_vec(),
            relu_before,
            relu_after,
            activated: vec![0.0; pixels * channels],
            convolved: vec![0.0; pixels * channels],
            output: vec![0.0; pixels * outputs],
        }
    }

    /// `input` is `[height, width, channels]`; the residual, `[height, width, outputs]`, is added before the last ReLU.
    pub fn run(&mut self, input: &[f32], residual: Option<&[f32]>) {
        let row = self.width * self.channels;
        let input = if self.relu_before {
            let rows = self.activated.par_chunks_mut(row).zip(input.par_chunks(row));
            rows.for_each(|(to, from)| {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = from.max(0.0);
                }
            });
            &self.activated
        } else {
            input
        };
        let (height, width, channels) = (self.height, self.width, self.channels);
        let depthwise = &self.depthwise;
        self.convolved.par_chunks_mut(row).enumerate().for_each(|(y, to)| {
            to.fill(0.0);
            for (x, to) in to.chunks_exact_mut(channels).enumerate() {
                for (tap, weights) in depthwise.chunks_exact(channels).enumerate() {
                    let (y, x) = (y + tap / 3, x + tap % 3);
                    if (1..=height).contains(&y) && (1..=width).contains(&x) {
                        let from = &input[((y - 1) * width + x - 1) * channels..][..channels];
                        for ((to, from), weight) in to.iter_mut().zip(from).zip(weights) {
                            *to += from * weight;
                        }
                    }
                }
            }
        });
        self.multiply();
        let row = self.width * self.outputs;
        let (bias, relu) = (&self.bias, self.relu_after);
        self.output.par_chunks_mut(row).enumerate().for_each(|(y, to)| {
            for (to, bias) in to.iter_mut().zip(bias.iter().cycle()) {
                *to += bias;
            }
            if let Some(residual) = residual {
                for (to, residual) in to.iter_mut().zip(&residual[y * row..]) {
                    *to += residual;
                }
            }
            if relu {
                for to in to {
                    *to = to.max(0.0);
                }
            }
        });
    }

    fn multiply(&mut self) {
        let [pixels, channels, outputs] = [self.height * self.width, self.channels, self.outputs];
        let stride = |count: usize| isize::try_from(count).expect("a feature map fits into memory");
        // SAFETY: `output` is `[pixels, outputs]`, `convolved` `[pixels, channels]` and `pointwise` `[outputs,
        // channels]`, all in C order.
        unsafe {
            gemm::gemm(
                pixels,
                outputs,
                channels,
                self.output.as_mut_ptr(),
                1,
                stride(outputs),
                false,
                self.convolved.as_ptr(),
                1,
                stride(channels),
                self.pointwise.as_ptr(),
                stride(channels),
                1,
                0.0,
                1.0,
                false,
                false,
                false,
                Parallelism::Rayon(rayon::current_num_threads()),
            );
        }
    }
}
