//! The function that a depthwise convolution applies to its input while reading it.

use crate::error::Error;

/// A function that a depthwise convolution applies to each value of its input while reading it: `(value - centre) *
/// scale + shift`, with one centre, scale and shift for each channel, then `ReLU`. Padding is zero after the function.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transform<'a> {
    /// Centre, scale and shift: a batch norm.
    pub norm: Option<[&'a [f32]; 3]>,
    /// Whether negative values become 0.
    pub relu: bool,
}

impl Transform<'_> {
    /// Whether the function changes nothing.
    pub(super) fn is_identity(&self) -> bool {
        self.norm.is_none() && !self.relu
    }

    /// Checks the lengths of the norm's vectors.
    pub(super) fn check(&self, op: &'static str, channels: usize) -> Result<(), Error> {
        for vector in self.norm.iter().flatten() {
            Error::unless_length(op, "the norm of the input", &[channels], vector.len())?;
        }
        Ok(())
    }
}
