use alloc::vec::Vec;

use burn::backend::Flex;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Linear};
use burn::tensor::{Bytes, DType, Device, Tensor, TensorData};
use kernels::{
    Activation, Convolution, Dense, Error, GlobalPool, GlobalPoolKind, Isa, MaxPool, Network, Padding, Projection,
    Separable, Value,
};

use super::{Fold, blocks, host, layers, projection, stride};
use crate::config::{IntermediateActivation, Pooling, Relu, SeparableOrder, Shortcut, Variant};
use crate::xception::Xception;

/// The folded network on the CPU kernels of the crate `kernels`.
pub(super) struct Packed {
    network: Network,
    features: Value,
    embedding: Option<Value>,
    logits: Option<Value>,
    device: Device,
}

impl Packed {
    /// `None` for a network that the kernels don't know, or one that lives on another device.
    pub(super) fn new(model: &Xception) -> Option<Self> {
        let config = model.config();
        let device = model.block1.conv1.conv.weight.device();
        let between = match config.intermediate_activation {
            IntermediateActivation::None => false,
            IntermediateActivation::Relu => true,
            IntermediateActivation::Elu => return None,
        };
        if device != Device::flex() || config.order == SeparableOrder::PointwiseFirst {
            return None;
        }

        let mut kernels = Kernels::default();
        let mut network = Network::new(config.in_channels, Isa::detect()).ok()?;
        let mut x = network.input();
        let stem = [&model.block1.conv1, &model.block1.conv2];
        for (layer, row) in stem.into_iter().zip(&model.block1.stage().layers) {
            let fold = kernels.fold(&layer.conv, &layer.bn);
            let [outputs, _, height, width] = fold.shape;
            let convolution = Convolution {
                bias: Some(&fold.bias),
                stride: [stride(row.kind); 2],
                activation: Activation::Relu,
                ..Convolution::new(x, &fold.weight, outputs, [height, width])
            };
            x = network.convolution(convolution).ok()?;
            kernels.done(fold.weight);
        }

        for block in blocks(model) {
            let stage = block.stage();
            let input = x;
            let last = stage.layers.len() - 1;
            let relu_before = |index: usize| stage.layers.get(index).is_some_and(|row| row.relu == Relu::Before);
            for (index, ((layer, dilation), row)) in layers(block).zip(&stage.layers).enumerate() {
                let Fold { shape, weight, bias } = kernels.fold(&layer.pointwise, &layer.bn);
                let depthwise = host(&layer.depthwise.weight.val());
                let separable = Separable {
                    dilation,
                    bias: Some(&bias),
                    residual: (index == last && stage.shortcut == Shortcut::Identity).then_some(input),
                    // A ReLU between two convolutions is computed once, by the one that writes. Only the block's input is read
                    // without the ReLU as well.
                    before: relu(index == 0 && relu_before(0)),
                    between: relu(between),
                    after: relu(row.relu == Relu::After || relu_before(index + 1)),
                    ..Separable::new(x, &depthwise, &weight, shape[0])
                };
                x = network.separable(separable).ok()?;
                kernels.done(weight);
            }
            match (stage.pool, &block.residual) {
                (Some(pool), shortcut) => {
                    let fold = shortcut.as_ref().map(|layer| kernels.fold(&layer.conv, &layer.bn));
                    // The kernel adds the projection while it pools, at the pooling's stride.
                    if projection(stage).is_some_and(|stride| stride != pool.stride) {
                        return None;
                    }
                    let pool = MaxPool {
                        stride: [pool.stride; 2],
                        dilation: [pool.dilation; 2],
                        padding: match config.variant {
                            Variant::Torch => Padding::symmetric(pool.dilation),
                            Variant::Keras => Padding::Same,
                        },
                        projection: fold.as_ref().map(|fold| Projection {
                            input,
                            weights: &fold.weight,
                            bias: Some(&fold.bias),
                        }),
                        ..MaxPool::new(x, [3; 2])
                    };
                    x = network.max_pool(pool).ok()?;
                    if let Some(fold) = fold {
                        kernels.done(fold.weight);
                    }
                }
                (None, None) => {}
                (None, Some(_)) => return None,
            }
        }

        let features = x;
        let pool = match config.pooling {
            Pooling::Average => Some(GlobalPoolKind::Average),
            Pooling::Max => Some(GlobalPoolKind::Max),
            Pooling::None => None,
        };
        let input = features;
        let embedding = pool.map(|kind| network.global_pool(GlobalPool { input, kind }));
        let embedding = embedding.transpose().ok()?;
        let logits = match model.head.as_ref().zip(embedding) {
            Some((head, mut x)) => {
                for layer in &head.hidden {
                    x = dense(&mut network, &mut kernels, x, layer, Activation::Relu).ok()?;
                }
                Some(dense(&mut network, &mut kernels, x, &head.predictions, Activation::None).ok()?)
            }
            None => None,
        };
        Some(Self {
            network,
            features,
            embedding,
            logits,
            device,
        })
    }

    pub(super) fn instructions(&self) -> &'static str {
        self.network.isa().name()
    }

    pub(super) fn features(&self, images: Tensor<4>) -> Tensor<4> {
        self.run(images, self.features)
    }

    pub(super) fn embedding(&self, images: Tensor<4>) -> Tensor<2> {
        self.run(images, self.embedding.unwrap_or(self.features)).flatten(1, 3)
    }

    pub(super) fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.run(images, self.logits.unwrap_or(self.features)).flatten(1, 3)
    }

    /// One value of the network, `[batch, channels, height, width]`.
    fn run(&self, images: Tensor<4>, value: Value) -> Tensor<4> {
        let [batch, _, height, width] = images.dims();
        let images = images.into_data().convert::<f32>();
        let pixels = images.as_slice::<f32>().expect("converted to f32 the line before");

        let fits = "images are at least as large as the network's kernels";
        let [out_height, out_width] = self.network.size(value, [height, width]).expect(fits);
        let shape = [batch, self.network.channels(value).expect(fits), out_height, out_width];
        let mut values = vec![0.0; shape.iter().product()];
        self.network
            .run(pixels, [batch, height, width], &mut [(value, &mut values)])
            .expect(fits);
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }
}

fn relu(yes: bool) -> Activation {
    if yes { Activation::Relu } else { Activation::None }
}

fn dense(
    network: &mut Network,
    kernels: &mut Kernels,
    x: Value,
    layer: &Linear,
    activation: Activation,
) -> Result<Value, Error> {
    let weight = layer.weight.val();
    let [_, outputs] = weight.dims();
    let values = kernels.values(&weight);
    let bias = layer.bias.as_ref().map(|bias| host(&bias.val()));
    let value = network.dense(Dense {
        bias: bias.as_deref(),
        activation,
        ..Dense::new(x, &values, outputs)
    });
    kernels.done(values);
    value
}

/// Kernels on their way from the plain network into the packed one, one at a time and through the same memory: fresh
/// memory for each costs as much time as reading it.
#[derive(Default)]
struct Kernels {
    spare: Vec<f32>,
}

impl Kernels {
    /// A tensor's values in C order.
    ///
    /// Burn's record leaves weights in the file until they are first used, and then keeps them. Copied through their bytes
    /// they stay there, and the plain network takes no memory beside the packed one.
    fn values<const D: usize>(&mut self, tensor: &Tensor<D>) -> Vec<f32> {
        let count = tensor.dims().iter().product::<usize>();
        let Ok(primitive) = tensor.clone().try_into_primitive::<Flex>() else {
            return host(tensor);
        };
        let bytes = primitive.data_arc();
        let whole = primitive.is_contiguous()
            && primitive.layout().start_offset() == 0
            && bytes.len() == count * size_of::<f32>();
        if primitive.dtype() != DType::F32 || !whole {
            return host(tensor);
        }
        let mut values = core::mem::take(&mut self.spare);
        values.resize(count, 0.0);
        let mut target = Bytes::from_elems(values);
        bytes.copy_into(&mut target);
        target.try_into_vec().unwrap_or_else(|_| host(tensor))
    }

    /// A convolution with its batch norm.
    fn fold(&mut self, conv: &Conv2d, bn: &BatchNorm) -> Fold {
        let weight = conv.weight.val();
        Fold::of_kernel(weight.dims(), self.values(&weight), bn)
    }

    /// Takes the memory of values that were packed.
    fn done(&mut self, values: Vec<f32>) {
        self.spare = values;
    }
}

impl core::fmt::Debug for Packed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Packed")
            .field("instructions", &self.instructions())
            .field("weight_bytes", &self.network.bytes())
            .finish_non_exhaustive()
    }
}
