//! The sum of two maps.

use super::elementwise::{self, Operand};
use super::op::{Job, Maps, Op};
use crate::activation::Activation;
use crate::error::Error;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, Machine};
use crate::value::Value;

/// `activation(a + b)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Add {
    /// A map.
    pub a: Value,
    /// A map of the same size.
    pub b: Value,
    /// Applied to the sum.
    pub activation: Activation,
}

pub(crate) struct AddOp(pub Activation);

impl Op for AddOp {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        "add".to_owned()
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        let [a, b] = [inputs[0], inputs[1]];
        if a != b {
            return Err(Error::Size {
                op: "add",
                what: "the second map",
                expected: a.size(),
                found: b.size(),
            });
        }
        Ok(a)
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        elementwise::cut(maps, machine)
    }

    unsafe fn run(&self, job: Job<'_>) {
        // SAFETY: the caller's promise is the same; `output` has checked that both maps are of one size.
        unsafe { elementwise::run(&job, Operand::Sum(job.pictures.inputs[1]), self.0) };
    }
}
