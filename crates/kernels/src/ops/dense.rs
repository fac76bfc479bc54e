//! Fully-connected layers.

use super::op::{Job, Maps, Op};
use crate::activation::Activation;
use crate::error::Error;
use crate::gemm::matmul::{Epilogue, Multiply, Pixels, Prefetch, Window};
use crate::gemm::packed::PackedMatrix;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, Machine};
use crate::value::Value;

/// A fully-connected layer on a single pixel: `activation(input * weights + bias)`.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// A map of one pixel.
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
        if inputs[0].pixels() != 1 {
            return Err(Error::Size {
                op: "dense",
                what: "the input",
                expected: [1, 1],
                found: inputs[0].size(),
            });
        }
        Map::new(1, 1, self.weights.outputs())
    }

    fn multiplications(&self, _maps: &Maps) -> usize {
        self.weights.inputs() * self.weights.outputs()
    }

    fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    fn cut(&self, _maps: &Maps, machine: Machine) -> Cut {
        Cut::panels(self.weights.panels(), machine.threads)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let (_, panels) = self.cut(job.maps, job.machine).job(job.index, 1, self.weights.panels());
        // SAFETY: the caller guarantees the pictures, each a pixel.
        unsafe {
            let multiply = Multiply {
                input: job.pictures.input(),
                pixels: Pixels::row(1, 0, 0, Prefetch::NONE),
                window: Window::pixel(job.maps.input().channels),
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
