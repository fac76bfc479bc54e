//! A scale and a shift for each channel: batch norms that no convolution takes up, and the scaling of pictures.

use super::elementwise::{self, Operand};
use super::op::{Job, Maps, Op};
use crate::activation::Activation;
use crate::error::Error;
use crate::memory::buffer::Buffer;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, Machine};
use crate::value::Value;

/// `activation(input * scale + shift)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine<'a> {
    /// A map.
    pub input: Value,
    /// One value for each channel.
    pub scale: &'a [f32],
    /// One value for each channel.
    pub shift: &'a [f32],
    /// Applied last.
    pub activation: Activation,
}

pub(crate) struct AffineOp {
    /// Padded to whole cache lines.
    pub scale: Buffer,
    pub shift: Buffer,
    pub activation: Activation,
}

impl Op for AffineOp {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        "scale and shift".to_owned()
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        Ok(inputs[0])
    }

    fn multiplications(&self, maps: &Maps) -> usize {
        maps.output.pixels() * maps.output.channels
    }

    fn bytes(&self) -> usize {
        self.scale.bytes() + self.shift.bytes()
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        elementwise::cut(maps, machine)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let operand = Operand::Affine(self.scale.as_slice(), self.shift.as_slice());
        // SAFETY: the caller's promise is the same; both slices are as long as a pixel.
        unsafe { elementwise::run(&job, operand, self.activation) };
    }
}
