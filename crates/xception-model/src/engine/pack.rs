//! Packs sections of a folded graph into networks of the CPU engine (`crates/kernels`).

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use burn::backend::Flex;
use burn::tensor::{Bytes, DType, Tensor};
use graph::{Activation, Graph, NodeId, Op, Padding, PoolKind};
use kernels::{
    Activate, Add, Affine, AveragePool, Concat, Convolution, Dense, Error, GlobalPool, GlobalPoolKind, Isa, MaxPool,
    Multiply, Network, Projection, Separable, Value,
};

use super::fusions::{Chain, Fusion, is_pixel, kernel_of};
use crate::fold::{Fold, Folded, host};
use crate::parameters::Parameters;

/// Packs nodes; `fold` gives the weights of a node.
///
/// Kernels are copied through one buffer, one at a time: fresh memory for each would cost as much time as reading it.
pub(super) struct Packer<'a, F> {
    graph: &'a Graph,
    fold: F,
    spare: Vec<f32>,
}

/// The engine's value for each node of one packed network.
struct Values {
    network: Network,
    of: Vec<Option<Value>>,
}

impl Values {
    fn of(&self, node: NodeId) -> Result<Value, Error> {
        self.of[node.0].ok_or(Error::UnknownValue(node.0))
    }
}

impl<'a, 'p, F: Fn(NodeId) -> Fold<'p>> Packer<'a, F> {
    pub fn new(graph: &'a Graph, fold: F) -> Self {
        Self {
            graph,
            fold,
            spare: Vec::new(),
        }
    }

    /// Packs the nodes after `start` up to `end`. Also gives the engine's value of each node that has one. `None` if
    /// the engine refuses a node.
    pub fn pack(
        &mut self,
        fusions: &[Fusion],
        start: NodeId,
        end: NodeId,
        isa: Isa,
    ) -> Option<(Network, Vec<(NodeId, Value)>)> {
        self.try_pack(fusions, start, end, isa).ok()
    }

    fn try_pack(
        &mut self,
        fusions: &[Fusion],
        start: NodeId,
        end: NodeId,
        isa: Isa,
    ) -> Result<(Network, Vec<(NodeId, Value)>), Error> {
        let channels = self.graph.features(start).unwrap_or(0);
        let network = Network::new(channels, isa)?;
        let mut values = Values {
            of: vec![None; self.graph.nodes.len()],
            network,
        };
        values.of[start.0] = Some(values.network.input());
        for (index, fusion) in fusions.iter().enumerate().take(end.0 + 1).skip(start.0 + 1) {
            let value = match fusion {
                Fusion::Inside | Fusion::Without => continue,
                Fusion::Chain(chain) => self.chain(&mut values, chain)?,
                Fusion::PoolAndProjection { pool, projection } => {
                    let weights = self.weights(*projection);
                    let fused = Projection {
                        input: values.of(self.graph.node(*projection).inputs[0])?,
                        weights: &weights.values,
                        bias: weights.bias.as_deref(),
                    };
                    let value = self.max_pool(&mut values, *pool, Some(fused))?;
                    self.spare = weights.values;
                    value
                }
                Fusion::Alone => self.alone(&mut values, NodeId(index), kernels::Activation::None)?,
            };
            values.of[index] = Some(value);
        }
        let own = values.of.iter().enumerate();
        let found = own
            .filter_map(|(index, value)| Some((NodeId(index), (*value)?)))
            .collect();
        Ok((values.network, found))
    }

    fn chain(&mut self, values: &mut Values, chain: &Chain) -> Result<Value, Error> {
        let input = values.of(chain.input)?;
        let residual = chain.residual.map(|residual| values.of(residual)).transpose()?;
        let kernel = |activation: Option<Activation>| activation.and_then(kernel_of).unwrap_or_default();
        match &self.graph.node(chain.first).op {
            Op::Conv(_) => {}
            Op::Dense(_) => return self.dense(values, chain),
            _ => return self.alone(values, chain.first, kernel(chain.after)),
        }
        let value = match (&self.graph.node(chain.first).op, chain.pointwise) {
            (Op::Conv(conv), Some(pointwise)) => {
                // The pointwise half is read first, into the spare buffer. The depthwise half is small.
                let second = self.weights(pointwise);
                let depthwise = self.weights(chain.first);
                let separable = Separable {
                    depthwise_bias: depthwise.bias.as_deref(),
                    dilation: conv.dilation[0],
                    bias: second.bias.as_deref(),
                    residual,
                    before: kernel(chain.before),
                    between: kernel(chain.between),
                    after: kernel(chain.after),
                    ..Separable::new(input, &depthwise.values, &second.values, second.outputs)
                };
                let value = values.network.separable(separable)?;
                self.spare = second.values;
                value
            }
            (Op::Conv(conv), None) => {
                let first = self.weights(chain.first);
                let convolution = Convolution {
                    bias: first.bias.as_deref(),
                    stride: conv.stride,
                    padding: padding(conv.padding, conv.kernel),
                    dilation: conv.dilation,
                    groups: conv.groups,
                    residual,
                    activation: kernel(chain.after),
                    ..Convolution::new(input, &first.values, first.outputs, conv.kernel)
                };
                let value = values.network.convolution(convolution)?;
                self.spare = first.values;
                value
            }
            _ => return Err(Error::UnknownValue(chain.first.0)),
        };
        Ok(value)
    }

    /// A dense layer. Its weights are read some rows at a time: VGG-16's first ones are 411 MB.
    fn dense(&self, values: &mut Values, chain: &Chain) -> Result<Value, Error> {
        let fold = (self.fold)(chain.first);
        let Parameters::Dense(dense) = fold.parameters() else {
            return Err(Error::UnknownValue(chain.first.0));
        };
        let Folded { bias, outputs, .. } = fold.weights(Vec::new());
        let input = values.of(chain.input)?;
        let layer = Dense {
            bias: bias.as_deref(),
            activation: chain.after.and_then(kernel_of).unwrap_or_default(),
            ..Dense::new(input, &[], outputs)
        };
        let mut rows = TensorRows::new(dense.weight.val());
        values.network.dense_by_rows(layer, |range, part| {
            rows.read(range, part);
            fold.scale_rows(part);
        })
    }

    /// An operation on pixels, and the activation that it applies last.
    fn alone(&mut self, values: &mut Values, id: NodeId, activation: kernels::Activation) -> Result<Value, Error> {
        let node = self.graph.node(id);
        let inputs: Vec<Value> = node
            .inputs
            .iter()
            .map(|input| values.of(*input))
            .collect::<Result<_, _>>()?;
        let Some(&input) = inputs.first() else {
            return Err(Error::UnknownValue(id.0));
        };
        match &node.op {
            Op::Activation(own) => values.network.activate(Activate {
                input,
                activation: kernel_of(*own).unwrap_or_default(),
            }),
            Op::Pool(pool) => match pool.kind {
                PoolKind::Max => self.max_pool(values, id, None),
                PoolKind::Average => values.network.average_pool(AveragePool {
                    input,
                    window: pool.window,
                    stride: pool.stride,
                    dilation: pool.dilation,
                    padding: padding(pool.padding, pool.window),
                    count_padding: pool.count_padding,
                }),
            },
            Op::GlobalPool(pool) => values.network.global_pool(GlobalPool {
                input,
                kind: match pool.kind {
                    PoolKind::Average => GlobalPoolKind::Average,
                    PoolKind::Max => GlobalPoolKind::Max,
                },
            }),
            Op::Add => values.network.add(Add {
                a: input,
                b: *inputs.get(1).unwrap_or(&input),
                activation,
            }),
            Op::Multiply => {
                let second = *inputs.get(1).unwrap_or(&input);
                // The engine's multiplication takes the map of one pixel as its second input.
                let (input, factors) = if is_pixel(self.graph, node.inputs[0]) {
                    (second, input)
                } else {
                    (input, second)
                };
                values.network.multiply(Multiply {
                    input,
                    factors,
                    activation,
                })
            }
            Op::Concat => values.network.concat(Concat { inputs: &inputs }),
            Op::ScaleShift(constants) => {
                let channels = values.network.channels(input)?;
                let scale: Vec<f32> = (0..channels)
                    .map(|channel| constants.scale_of(channel) as f32)
                    .collect();
                let shift: Vec<f32> = (0..channels)
                    .map(|channel| constants.shift_of(channel) as f32)
                    .collect();
                values.network.affine(Affine {
                    input,
                    scale: &scale,
                    shift: &shift,
                    activation,
                })
            }
            Op::BatchNorm(_) => {
                let (scale, shift) = (self.fold)(id).affine().ok_or(Error::UnknownValue(id.0))?;
                values.network.affine(Affine {
                    input,
                    scale: &scale,
                    shift: &shift,
                    activation,
                })
            }
            Op::ToMap | Op::Dropout { .. } => Ok(input),
            _ => Err(Error::UnknownValue(id.0)),
        }
    }

    fn max_pool(&self, values: &mut Values, id: NodeId, projection: Option<Projection<'_>>) -> Result<Value, Error> {
        let node = self.graph.node(id);
        let Op::Pool(pool) = &node.op else {
            return Err(Error::UnknownValue(id.0));
        };
        let input = values.of(node.inputs[0])?;
        values.network.max_pool(MaxPool {
            stride: pool.stride,
            dilation: pool.dilation,
            padding: padding(pool.padding, pool.window),
            projection,
            ..MaxPool::new(input, pool.window)
        })
    }

    /// A node's weights, with the folded batch norm included.
    fn weights(&mut self, id: NodeId) -> Folded {
        let fold = (self.fold)(id);
        let spare = core::mem::take(&mut self.spare);
        let values = match fold.parameters() {
            Parameters::Conv(conv) => copied(&conv.weight.val(), spare),
            Parameters::Dense(dense) => copied(&dense.weight.val(), spare),
            _ => Vec::new(),
        };
        fold.weights(values)
    }
}

/// A tensor's values in C order, in a reused buffer.
///
/// Burn's record leaves weights in the file until they are first used, and then keeps them in memory. Copied as bytes,
/// they stay in the file, so that the plain network takes no memory beside the packed one.
fn copied<const D: usize>(tensor: &Tensor<D>, mut spare: Vec<f32>) -> Vec<f32> {
    let count = tensor.dims().iter().product::<usize>();
    let Ok(primitive) = tensor.clone().try_into_primitive::<Flex>() else {
        return host(tensor);
    };
    let bytes = primitive.data_arc();
    let whole =
        primitive.is_contiguous() && primitive.layout().start_offset() == 0 && bytes.len() == count * size_of::<f32>();
    if primitive.dtype() != DType::F32 || !whole {
        return host(tensor);
    }
    spare.resize(count, 0.0);
    let mut target = Bytes::from_elems(spare);
    bytes.copy_into(&mut target);
    target.try_into_vec().unwrap_or_else(|_| host(tensor))
}

/// The rows of a matrix that may be in a file.
struct TensorRows {
    tensor: Tensor<2>,
    /// Of `f32` in C order.
    bytes: Option<Arc<Bytes>>,
    /// All values, where they are not in a file.
    values: Option<Vec<f32>>,
}

impl TensorRows {
    fn new(tensor: Tensor<2>) -> Self {
        let count = tensor.dims().iter().product::<usize>();
        let primitive = tensor.clone().try_into_primitive::<Flex>().ok();
        let bytes = primitive.filter(|primitive| {
            primitive.is_contiguous()
                && primitive.layout().start_offset() == 0
                && primitive.dtype() == DType::F32
                && primitive.data_arc().len() == count * size_of::<f32>()
        });
        Self {
            bytes: bytes.map(|primitive| primitive.data_arc()),
            values: None,
            tensor,
        }
    }

    /// Writes some rows to `part`.
    fn read(&mut self, rows: Range<usize>, part: &mut [f32]) {
        let [_, width] = self.tensor.dims();
        let places = rows.start * width..rows.end * width;
        let in_bytes = [places.start, places.end].map(|place| place * size_of::<f32>());
        let view = self
            .bytes
            .as_ref()
            .and_then(|bytes| bytes.view(in_bytes[0], in_bytes[1]).ok());
        if let Some(view) = view {
            let mut target = Bytes::from_elems(vec![0.0_f32; part.len()]);
            view.copy_into(&mut target);
            if let Ok(values) = target.try_into_vec::<f32>() {
                part.copy_from_slice(&values);
                return;
            }
        }
        let values = self.values.get_or_insert_with(|| host(&self.tensor));
        part.copy_from_slice(&values[places]);
    }
}

/// The engine's padding. `same` pads nothing for a window of one pixel.
fn padding(padding: Padding, window: [usize; 2]) -> kernels::Padding {
    match padding {
        Padding::Valid => kernels::Padding::VALID,
        Padding::Same if window == [1; 2] => kernels::Padding::VALID,
        Padding::Same => kernels::Padding::Same,
        Padding::Explicit([top, left, bottom, right]) => kernels::Padding::Explicit {
            top,
            left,
            bottom,
            right,
        },
    }
}
