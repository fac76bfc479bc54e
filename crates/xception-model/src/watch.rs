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
}

impl Watch<'_> {
    /// Shows a feature map, `[batch, channels, height, width]`.
    pub(crate) fn see(&mut self, name: Arguments<'_>, output: &Tensor<4>) {
        if let Self::Each(look) = self {
            look(&name.to_string(), output);
        }
    }

    /// Shows a vector a picture, `[batch, features]`, as `[batch, features, 1, 1]`.
    pub(crate) fn see_vector(&mut self, name: Arguments<'_>, output: &Tensor<2>) {
        if let Self::Each(_) = self {
            let [batch, features] = output.dims();
            self.see(name, &output.clone().reshape([batch, features, 1, 1]));
        }
    }
}
