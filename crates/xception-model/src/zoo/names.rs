//! Tensors by their names in a record.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The shapes of tensors by their names in a record.
pub(super) struct Tensors<'a>(pub &'a BTreeMap<String, Vec<usize>>);

impl<'a> Tensors<'a> {
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.keys().map(String::as_str)
    }

    /// Length of an axis of a tensor.
    pub fn side(&self, name: &str, axis: usize) -> Result<usize, String> {
        let shape = self.0.get(name).ok_or_else(|| format!("it has no {name}"))?;
        let side = shape.get(axis).copied();
        side.ok_or_else(|| format!("{name} has the shape {shape:?}"))
    }

    /// Input and output channels of a convolution.
    pub fn channels(&self, path: &str) -> Result<[usize; 2], String> {
        let name = format!("{path}.weight");
        Ok([self.side(&name, 1)?, self.side(&name, 0)?])
    }

    /// Number of classes, if there is a classifier, and the widths of the layers before it.
    pub fn head(&self) -> Result<(Option<usize>, Vec<usize>), String> {
        if !self.0.contains_key("head.predictions.weight") {
            return Ok((None, Vec::new()));
        }
        let hidden = (0..).map(|index| format!("head.hidden.{index}.weight"));
        let hidden = hidden.take_while(|name| self.0.contains_key(name));
        let widths = hidden.map(|name| self.side(&name, 1)).collect::<Result<_, _>>()?;
        Ok((Some(self.side("head.predictions.weight", 1)?), widths))
    }
}
