//! Fully-connected layers.

use super::op::{Job, Maps, Op};
use crate::activation::Activation;
use crate::error::Error;
use crate::gemm::matmul::{Epilogue, Multiply, Pixels, Prefetch, Window};
use crate::gemm::packed::PackedMatrix;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, Machine};
use crate::value::Value;

/// A fully-connected layer on each pixel: `activation(input * weights + bias)`.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// A map, most often of one pixel.
    pub input: Value,
    /// `[inputs, outputs]`.
    pub weights: &'a [f32],
    /// One value for each output.
    pub bias: Option<&'a [f32]>,
    /// Outputs.
    pub outputs: usize,
    /// Applied last.
    pub activation: Activation,
}

impl<'a> Dense<'a> {
    /// A layer without bias and activation.
    pub const fn new(input: Value, weights: &'a [f32], outputs: usize) -> Self {
        Self {
            input,
            weights,
            bias: None,
            outputs,
            activation: Activation::None,
        }
    }
}

pub(crate) struct DenseOp {
    pub weights: PackedMatrix,
    pub activation: Activation,
}

impl Op for DenseOp {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        "dense".to_owned()
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        Map::new(inputs[0].height, inputs[0].width, self.weights.outputs())
    }

    fn multiplications(&self, maps: &Maps) -> usize {
        maps.output.pixels() * self.weights.inputs() * self.weights.outputs()
    }

    fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    fn cut(&self, _maps: &Maps, machine: Machine) -> Cut {
        Cut::panels(self.weights.panels(), machine.threads)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let (_, panels) = self.cut(job.maps, job.machine).job(job.index, 1, self.weights.panels());
        let Maps { output, .. } = job.maps;
        let input = job.maps.input();
        // SAFETY: the caller guarantees the pictures, whose pixels lie one after the other.
        unsafe {
            let multiply = Multiply {
                input: job.pictures.input(),
                pixels: Pixels::row(output.pixels(), input.step, output.step, Prefetch::NONE),
                window: Window::pixel(input.channels),
                weights: &self.weights,
                panels,
                epilogue: Epilogue {
                    residual: None,
                    activation: self.activation,
                },
                output: job.pictures.output,
            };
            multiply.run_on(job.isa);
        }
    }
}
