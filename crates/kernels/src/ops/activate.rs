//! An activation on its own.

use super::elementwise::{self, Operand};
use super::op::{Job, Maps, Op};
use crate::activation::Activation;
use crate::error::Error;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, Machine};
use crate::value::Value;

/// `activation(input)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activate {
    /// A map.
    pub input: Value,
    /// The function.
    pub activation: Activation,
}

pub(crate) struct ActivateOp(pub Activation);

impl Op for ActivateOp {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        "activation".to_owned()
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        Ok(inputs[0])
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        elementwise::cut(maps, machine)
    }

    unsafe fn run(&self, job: Job<'_>) {
        // SAFETY: the caller's promise is the same.
        unsafe { elementwise::run(&job, Operand::Absent, self.0) };
    }
}
