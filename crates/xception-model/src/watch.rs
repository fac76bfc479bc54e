use alloc::string::ToString;
use core::fmt::Arguments;

use burn::tensor::Tensor;

/// Who looks on while a picture passes through the network.
///
/// Names are only formatted for somebody who looks.
pub(crate) enum Watch<'a> {
    /// Nobody: the ordinary forward pass.
    Nobody,
    /// A function that sees every layer's Keras name and output.
    Each(&'a mut dyn FnMut(&str, &Tensor<4>)),
    /// A function that may put another tensor in an output's place; the layers after it take that one.
    Change(&'a mut dyn FnMut(&str, &mut Tensor<4>)),
}

impl Watch<'_> {
    /// Shows a feature map, `[batch, channels, height, width]`.
    pub(crate) fn see(&mut self, name: Arguments<'_>, output: &mut Tensor<4>) {
        match self {
            Self::Nobody => {}
            Self::Each(look) => look(&name.to_string(), output),
            Self::Change(change) => change(&name.to_string(), output),
        }
    }

    /// Shows a vector a picture, `[batch, features]`, as `[batch, features, 1, 1]`.
    pub(crate) fn see_vector(&mut self, name: Arguments<'_>, output: &mut Tensor<2>) {
        if let Self::Nobody = self {
            return;
        }
        let [batch, features] = output.dims();
        let mut map = output.clone().reshape([batch, features, 1, 1]);
        self.see(name, &mut map);
        if let Self::Change(_) = self {
            *output = map.flatten(1, 3);
        }
    }
}
