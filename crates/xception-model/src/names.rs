use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::config::{FlowName, Layer, LayerKind, SeparableOrder, Shortcut, Stage, XceptionConfig};

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

impl Stage {
    /// The path of its module: `block1`, `entry.block2`, `middle.block5`, `exit.block14`.
    pub fn path(&self) -> String {
        let block = &self.name;
        match self.flow {
            FlowName::Entry if block == "block1" => block.clone(),
            FlowName::Entry => format!("entry.{block}"),
            FlowName::Middle => format!("middle.{block}"),
            FlowName::Exit => format!("exit.{block}"),
        }
    }
}

impl Layer {
    /// Its name within its block, and that of its module there: `sepconv2` of `block5_sepconv2`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('_').next().unwrap_or(&self.name)
    }
}

impl XceptionConfig {
    /// Every tensor of the network by its path in the module tree, with its shape in Burn's layout: kernels
    /// `[out, in, height, width]`, depthwise ones `[channels, 1, height, width]`, dense ones `[in, out]`.
    ///
    /// Counts alone: nothing is allocated for the tensors.
    pub fn tensor_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = BTreeMap::new();
        let mut conv_norm = |path: &str, kernels: &[(&str, Vec<usize>)], channels: usize| {
            for (name, kernel) in kernels {
                shapes.insert(format!("{path}.{name}.weight"), kernel.clone());
            }
            for name in ["gamma", "beta", "running_mean", "running_var"] {
                shapes.insert(format!("{path}.bn.{name}"), vec![channels]);
            }
        };
        for stage in self.stages() {
            let block = stage.path();
            for layer in &stage.layers {
                let [input, output] = layer.channels;
                let path = format!("{block}.{}", layer.short_name());
                match layer.kind {
                    LayerKind::Conv { .. } => conv_norm(&path, &[("conv", vec![output, input, 3, 3])], output),
                    LayerKind::Separable { .. } => {
                        let channels = match self.order {
                            SeparableOrder::DepthwiseFirst => input,
                            SeparableOrder::PointwiseFirst => output,
                        };
                        let depthwise = ("depthwise", vec![channels, 1, 3, 3]);
                        conv_norm(&path, &[depthwise, ("pointwise", vec![output, input, 1, 1])], output);
                    }
                }
            }
            if let Shortcut::Projection { .. } = stage.shortcut {
                let [input, output] = [stage.in_channels(), stage.out_channels()];
                conv_norm(
                    &format!("{block}.residual"),
                    &[("conv", vec![output, input, 1, 1])],
                    output,
                );
            }
        }
        if self.include_top {
            let mut input = self.embedding_len();
            let hidden = self.hidden_layers.iter().enumerate();
            let hidden = hidden.map(|(index, width)| (format!("head.hidden.{index}"), *width));
            for (path, output) in hidden.chain([("head.predictions".into(), self.num_classes)]) {
                shapes.insert(format!("{path}.weight"), vec![input, output]);
                shapes.insert(format!("{path}.bias"), vec![output]);
                input = output;
            }
        }
        shapes
    }

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
            let block_path = stage.path();
            for layer in &stage.layers {
                let name = &layer.name;
                let path = format!("{block_path}.{}", layer.short_name());
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

#[cfg(all(test, feature = "std"))]
mod tests {
    use burn::store::ModuleSnapshot;
    use burn::tensor::Device;

    use super::*;
    use crate::config::{OutputStride, Widths};

    #[test]
    fn the_shapes_are_those_of_the_module() {
        let toy = XceptionConfig::new()
            .with_middle_blocks(2)
            .with_num_classes(5)
            .with_widths(Widths {
                stem: [4, 6],
                entry: [8, 10, 12],
                exit: [14, 16, 18],
            });
        for config in [
            toy.clone(),
            toy.clone().with_include_top(false).with_in_channels(1),
            toy.clone().with_hidden_layers(vec![7, 9]),
            toy.clone().with_residual(false),
            toy.clone().with_order(SeparableOrder::PointwiseFirst),
            toy.with_output_stride(OutputStride::S8),
        ] {
            let module = config.init(&Device::default()).unwrap().collect(None, None, false);
            let found: BTreeMap<String, Vec<usize>> = module
                .iter()
                .map(|tensor| (tensor.name.clone(), tensor.shape.to_vec()))
                .collect();
            assert_eq!(config.tensor_shapes(), found);
        }
    }
}
