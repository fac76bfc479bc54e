//! A map times a factor for each of its channels, which the network has computed: squeeze-and-excitation.

use super::elementwise::{self, Operand};
use super::op::{Job, Maps, Op};
use crate::activation::Activation;
use crate::error::Error;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, Machine};
use crate::value::Value;

/// `activation(input * factors)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multiply {
    /// A map.
    pub input: Value,
    /// A map of one pixel with as many channels.
    pub factors: Value,
    /// Applied to the products.
    pub activation: Activation,
}

pub(crate) struct MultiplyOp(pub Activation);

impl Op for MultiplyOp {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        "multiply".to_owned()
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        let [input, factors] = [inputs[0], inputs[1]];
        if factors.pixels() != 1 {
            return Err(Error::Size {
                op: "multiply",
                what: "the factors",
                expected: [1, 1],
                found: factors.size(),
            });
        }
        Ok(input)
    }

    fn multiplications(&self, maps: &Maps) -> usize {
        maps.output.pixels() * maps.output.channels
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        elementwise::cut(maps, machine)
    }

    unsafe fn run(&self, job: Job<'_>) {
        // SAFETY: the caller's promise is the same; `output` has checked that the factors are one pixel.
        unsafe { elementwise::run(&job, Operand::Factors(job.pictures.inputs[1]), self.0) };
    }
}
