//! The separable convolution as an operation on Burn's tensors.
#![cfg_attr(
    feature = "ndarray",
    allow(deprecated, reason = "kept for comparison while Burn has it")
)]

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, TensorMetadata, backend_extension};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData};

use crate::{Activation, Isa, SeparableConv, SeparableWeights};

/// Where a separable convolution has a `ReLU`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeparableRelu {
    /// On the input.
    pub before: bool,
    /// Between the depthwise and the pointwise convolution.
    pub between: bool,
    /// On the output, after the residual sum.
    pub after: bool,
}

/// The options of a separable convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeparableOptions {
    /// Distance between the taps of the depthwise half; as many pixels are padded with zeros on every side.
    pub dilation: usize,
    /// Where it has a ReLU.
    pub relu: SeparableRelu,
}

impl Default for SeparableOptions {
    /// No ReLU, taps side by side.
    fn default() -> Self {
        Self {
            dilation: 1,
            relu: SeparableRelu::default(),
        }
    }
}

/// Tensors whose shapes do not make a separable convolution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeparableError {
    /// A tensor is not of the shape that the others ask for.
    #[error("{tensor} of a separable convolution: expected the shape {expected:?}, found {found:?}")]
    Shape {
        /// `depthwise`, `pointwise`, `bias` or `residual`.
        tensor: &'static str,
        /// The shape that the input and the other weights ask for.
        expected: Vec<usize>,
        /// The tensor's own.
        found: Vec<usize>,
    },
    /// The dilation is 0.
    #[error("the dilation of a separable convolution is 0; it is 1 for taps that lie side by side")]
    Dilation,
}

/// A separable convolution that keeps height and width: ReLU, depthwise 3 x 3, ReLU, pointwise, bias, residual, ReLU;
/// each ReLU, the bias and the residual only where asked for.
///
/// On Burn's `Flex` device this is one pass of this crate's kernels for `f32` tensors without gradients; on every other
/// device, with autodiff, and for other types of numbers it is Burn's own operations one after the other. Both are the
/// same within rounding, NaN and infinities included.
///
/// The kernels pack the weights in every call, in proportion to them and not to the pictures: for weights that stay the
/// same, [`SeparableConv`] or [`Network`](crate::Network) packs them once.
///
/// # Shapes
///
/// - `x`: `[batch, channels, height, width]`
/// - `depthwise`: `[channels, 1, 3, 3]`
/// - `pointwise`: `[outputs, channels, 1, 1]`
/// - `bias`: `[outputs]`
/// - `residual` and output: `[batch, outputs, height, width]`
///
/// # Errors
///
/// [`SeparableError`] when the shapes don't fit together.
///
/// # Panics
///
/// As all of Burn's operations, when the tensors live on different devices. Also on a device whose Cargo feature
/// (`ndarray`, `wgpu`, `cuda`, ...) is on in Burn and not in this crate.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kernels::{SeparableOptions, separable_conv2d};
///
/// # fn main() -> Result<(), kernels::SeparableError> {
/// let device = Device::flex();
/// let x = Tensor::<4>::ones([1, 2, 3, 3], &device);
/// let depthwise = Tensor::ones([2, 1, 3, 3], &device);
/// let pointwise = Tensor::ones([4, 2, 1, 1], &device);
/// let y = separable_conv2d(x, depthwise, pointwise, None, None, SeparableOptions::default())?;
/// assert_eq!(y.dims(), [1, 4, 3, 3]);
/// # Ok(())
/// # }
/// ```
pub fn separable_conv2d(
    x: Tensor<4>,
    depthwise: Tensor<4>,
    pointwise: Tensor<4>,
    bias: Option<Tensor<1>>,
    residual: Option<Tensor<4>>,
    options: SeparableOptions,
) -> Result<Tensor<4>, SeparableError> {
    let [batch, channels, height, width] = x.dims();
    let [outputs, ..] = pointwise.dims();
    expect("depthwise", &[channels, 1, 3, 3], &depthwise.dims())?;
    expect("pointwise", &[outputs, channels, 1, 1], &pointwise.dims())?;
    if let Some(bias) = &bias {
        expect("bias", &[outputs], &bias.dims())?;
    }
    if let Some(residual) = &residual {
        expect("residual", &[batch, outputs, height, width], &residual.dims())?;
    }
    if options.dilation == 0 {
        return Err(SeparableError::Dilation);
    }
    let operands = Operands {
        x: x.into_dispatch(),
        depthwise: depthwise.into_dispatch(),
        pointwise: pointwise.into_dispatch(),
        bias: bias.map_or(Operand::Absent, |tensor| Operand::Given(tensor.into_dispatch())),
        residual: residual.map_or(Operand::Absent, |tensor| Operand::Given(tensor.into_dispatch())),
    };
    Ok(Tensor::from_dispatch(
        <Dispatch as SeparableConvBackend>::separable_conv2d(operands, options),
    ))
}

fn expect(tensor: &'static str, expected: &[usize], found: &[usize]) -> Result<(), SeparableError> {
    if expected == found {
        return Ok(());
    }
    Err(SeparableError::Shape {
        tensor,
        expected: expected.to_vec(),
        found: found.to_vec(),
    })
}

/// An optional tensor: the attribute of the backend extension does not support `Option`.
#[derive(ExtensionType)]
pub enum Operand<B: Backend> {
    /// A tensor.
    Given(FloatTensor<B>),
    /// No tensor.
    Absent,
}

impl<B: Backend> Operand<B> {
    pub(crate) fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Given(tensor) => Some(tensor),
            Self::Absent => None,
        }
    }
}

/// The tensors of a separable convolution; shapes as those of [`separable_conv2d`].
#[derive(ExtensionType)]
pub struct Operands<B: Backend> {
    /// The input.
    pub x: FloatTensor<B>,
    /// One kernel for each channel.
    pub depthwise: FloatTensor<B>,
    /// One row for each output.
    pub pointwise: FloatTensor<B>,
    /// One value for each output.
    #[extension_type]
    pub bias: Operand<B>,
    /// Added to the output.
    #[extension_type]
    pub residual: Operand<B>,
}

/// Backends with a separable convolution: all of Burn's.
///
/// A backend of your own gets one by an empty implementation.
#[backend_extension(
    Flex,
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    LibTorch: cfg(feature = "tch"),
    Remote: cfg(feature = "remote"),
    Autodiff
)]
pub trait SeparableConvBackend: Backend {
    /// [`separable_conv2d`] on the backend's own tensors, whose shapes were checked.
    fn separable_conv2d(#[extension_type] operands: Operands<Self>, options: SeparableOptions) -> FloatTensor<Self> {
        plain::<Self>(operands, options)
    }
}

/// The same in Burn's operations, which know their gradients.
fn plain<B: Backend>(operands: Operands<B>, options: SeparableOptions) -> FloatTensor<B> {
    let relu = |x, yes| if yes { B::relu(x) } else { x };
    let [_, channels, ..] = operands.x.shape().dims::<4>();
    let wide = ConvOptions::new([1; 2], [options.dilation; 2], [options.dilation; 2], channels);
    let point = ConvOptions::new([1; 2], [0; 2], [1; 2], 1);

    let x = relu(operands.x, options.relu.before);
    let x = B::conv2d(x, operands.depthwise, None, wide);
    let x = relu(x, options.relu.between);
    let x = B::conv2d(x, operands.pointwise, operands.bias.into_option(), point);
    let x = match operands.residual {
        Operand::Given(residual) => B::float_add(x, residual),
        Operand::Absent => x,
    };
    relu(x, options.relu.after)
}

impl SeparableConvBackend for Flex {
    fn separable_conv2d(operands: Operands<Self>, options: SeparableOptions) -> FlexTensor {
        match fused(&operands, options) {
            Some(output) => output,
            None => plain::<Self>(operands, options),
        }
    }
}

/// Runs on the kernels of this crate; `None` for numbers other than `f32` and for tensors without values.
fn fused(operands: &Operands<Flex>, options: SeparableOptions) -> Option<FlexTensor> {
    let contiguous = |operand: &Operand<Flex>| match operand {
        Operand::Given(tensor) => Some(tensor.to_contiguous()),
        Operand::Absent => None,
    };
    let [x, depthwise, pointwise] =
        [&operands.x, &operands.depthwise, &operands.pointwise].map(FlexTensor::to_contiguous);
    let [bias, residual] = [&operands.bias, &operands.residual].map(contiguous);
    let bias = match &bias {
        Some(tensor) => Some(tensor.as_slice()?),
        None => None,
    };
    let residual = match &residual {
        Some(tensor) => Some(tensor.as_slice()?),
        None => None,
    };

    let [batch, channels, height, width] = x.shape().dims::<4>();
    let [outputs, ..] = pointwise.shape().dims::<4>();
    if channels * outputs == 0 {
        return None;
    }
    let relu = |yes| if yes { Activation::Relu } else { Activation::None };
    let weights = SeparableWeights {
        dilation: options.dilation,
        bias,
        before: relu(options.relu.before),
        between: relu(options.relu.between),
        after: relu(options.relu.after),
        ..SeparableWeights::new(depthwise.as_slice()?, pointwise.as_slice()?, outputs)
    };
    // Sizes that do not fit are left to Burn's operations, and so are pictures without pixels.
    let layer = SeparableConv::new(&weights, Isa::detect()).ok()?;
    let mut values = vec![0.0; batch * outputs * height * width];
    layer
        .run(x.as_slice()?, [batch, height, width], residual, &mut values)
        .ok()?;
    Some(FlexTensor::from_data(TensorData::new(
        values,
        [batch, outputs, height, width],
    )))
}

#[cfg(feature = "ndarray")]
impl SeparableConvBackend for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl SeparableConvBackend for burn::backend::Cube {}

#[cfg(feature = "tch")]
impl SeparableConvBackend for burn::backend::LibTorch {}

#[cfg(feature = "remote")]
impl SeparableConvBackend for burn::backend::Remote {}

impl<B: SeparableConvBackend, C: CheckpointStrategy> SeparableConvBackend for Autodiff<B, C> {}
