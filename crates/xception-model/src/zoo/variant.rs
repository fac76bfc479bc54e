//! The library whose version of a network was trained.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The library whose version of a network was trained: the same layers, with other constants and paddings. Shapes do
/// not show the difference, so a file's source decides, or its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Keras. Xception: batch-norm epsilon 1e-3 and momentum 0.99
    /// (`keras/src/layers/normalization/batch_normalization.py`), pools pad as `same`, the odd pixel at the end.
    /// ResNet: the stride is in a block's first convolution, every convolution has a bias. Inception: average pools
    /// leave padding out of the mean, batch norms have no scale. VGG: flattens pixel by pixel.
    Keras,
    /// Keras 2.0 to 2.2 (`keras_applications` up to 1.0.7), of which only ResNet-50 is another network than Keras's:
    /// epsilon 1e-3, layers called `res2a_branch2a`, and at first no padding before the first pool.
    Keras2,
    /// PyTorch: torchvision, timm and Cadene. Xception: batch-norm epsilon 1e-5 and momentum 0.9 (PyTorch's 0.1), pools
    /// pad one pixel on every side (`nn.MaxPool2d(3, 2, 1)` in timm's `xception.py`). ResNet: the stride is in a
    /// block's 3 x 3 convolution, no convolution has a bias. Inception: average pools count padding, batch norms have
    /// a scale. VGG: flattens channel by channel.
    Torch,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Keras => "keras",
            Self::Keras2 => "keras2",
            Self::Torch => "torch",
        })
    }
}
