use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::{FlowName, LayerKind, Shortcut, XceptionConfig};

/// The home of a Keras layer in the module tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KerasLayerHome {
    /// The layer's Keras name; for the shortcuts, whose Keras names are automatic numbers, `block2_residual` and
    /// `block2_residual_bn`.
    pub layer: String,
    /// The layer's Keras class.
    pub class: KerasClass,
    /// The path of the Burn module that holds its weights, `middle.block5.sepconv2.bn`.
    pub path: String,
}

/// The Keras classes Xception's weights live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KerasClass {
    /// `Conv2D`: `kernel`.
    Conv2d,
    /// `SeparableConv2D`: `depthwise_kernel`, `pointwise_kernel`.
    SeparableConv2d,
    /// `BatchNormalization`: `gamma`, `beta`, `moving_mean`, `moving_variance`.
    BatchNormalization,
    /// `Dense`: `kernel`, `bias`.
    Dense,
}

impl XceptionConfig {
    /// Every Keras layer that has weights, and where they live here.
    ///
    /// Within each class the order is Keras's own topological order, in which a block's shortcut comes after its other
    /// convolutions and norms: the k-th `BatchNormalization` here is `batch_normalization_k` in a `.weights.h5` file.
    pub fn keras_layers(&self) -> Vec<KerasLayerHome> {
        use KerasClass::{BatchNormalization, Conv2d, Dense, SeparableConv2d};

        let mut homes = Vec::new();
        let mut push = |layer: &str, class, path: String| {
            homes.push(KerasLayerHome {
                layer: layer.into(),
                class,
                path,
            });
        };
        for stage in self.stages() {
            let block = &stage.name;
            let block_path = match stage.flow {
                FlowName::Entry if block == "block1" => block.clone(),
                FlowName::Entry => format!("entry.{block}"),
                FlowName::Middle => format!("middle.{block}"),
                FlowName::Exit => format!("exit.{block}"),
            };
            for layer in &stage.layers {
                let name = &layer.name;
                let path = format!("{block_path}.{}", name.rsplit('_').next().unwrap_or(name));
                match layer.kind {
                    LayerKind::Conv { .. } => push(name, Conv2d, format!("{path}.conv")),
                    LayerKind::Separable { .. } => push(name, SeparableConv2d, path.clone()),
                }
                push(&format!("{name}_bn"), BatchNormalization, format!("{path}.bn"));
            }
            if let Shortcut::Projection { .. } = stage.shortcut {
                push(
                    &format!("{block}_residual"),
                    Conv2d,
                    format!("{block_path}.residual.conv"),
                );
                push(
                    &format!("{block}_residual_bn"),
                    BatchNormalization,
                    format!("{block_path}.residual.bn"),
                );
            }
        }
        if self.include_top {
            for index in 0..self.hidden_layers.len() {
                push(&format!("hidden_{index}"), Dense, format!("head.hidden.{index}"));
            }
            push("predictions", Dense, "head.predictions".into());
        }
        homes
    }
}
