//! Translates Keras layers into operations: one function for each class.

use graph::{
    Activation, BatchNorm, ChannelOrder, Conv, Dense, Filter, GlobalPool, MAX_CHANNELS, Op, Padding, Pool, PoolKind,
    ScaleShift,
};
use serde_json::Value;

use super::call::{Operand, argument, constants};
use super::channels::{self, Channels};
use super::place::{Place, Tensor};
use super::settings::{count, shown};
use crate::preset::Preset;

/// Keras's `backend.epsilon()`, the lower bound of the deviation by which `Normalization` divides.
const SMALLEST_DEVIATION: f64 = 1e-7;

/// Adds the operations of a layer to the graph, and returns the layer's outputs.
///
/// # Errors
///
/// The reason why the layer cannot be computed.
pub(super) fn add(at: &mut Place<'_, '_>) -> Result<Vec<Tensor>, String> {
    if at.layer.is_custom {
        return Err("its class is not one of Keras's own".into());
    }
    let function = at.settings.text(&["function"]);
    if let Some(kind) = Channels::of(at.class(), function) {
        return channels::add(at, kind);
    }
    let planes = at.several_inputs().unwrap_or_default();
    let planes: Vec<bool> = planes.iter().map(|input| input.is_plane).collect();
    if planes.contains(&true) && (planes.contains(&false) || !takes_planes(at.class(), function)) {
        return Err("it reads one channel without its axis; known is that in arithmetic and in a stack".into());
    }
    only_output(at).map(|output| vec![output])
}

/// Whether a layer computes the same on a plane (one channel without its axis) as on a map.
fn takes_planes(class: &str, function: Option<&str>) -> bool {
    let arithmetic = [
        "Add",
        "Subtract",
        "Multiply",
        "Divide",
        "TrueDivide",
        "Rescaling",
        "Cast",
        "Identity",
    ];
    let functions = ["math.", "__operators__.", "cast", "identity"];
    arithmetic.contains(&class)
        || class == "TFOpLambda" && function.is_some_and(|name| functions.iter().any(|known| name.starts_with(known)))
}

fn only_output(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let class = at.class();
    if let Some(mode) = at.settings.quantization() {
        return Err(format!(
            "it is quantized ({}), and Keras rounds its inputs too, as no operation here does; save the model as it \
             was before model.quantize()",
            shown(&mode.into())
        ));
    }
    if let Some(activation) = at.settings.activation_layer(class) {
        return activate(at, class, activation?);
    }
    match class {
        "Conv2D" | "Convolution2D" | "AtrousConvolution2D" => conv(at),
        "DepthwiseConv2D" => depthwise_conv(at),
        "SeparableConv2D" | "SeparableConvolution2D" => separable_conv(at),
        "BatchNormalization" | "BatchNormalizationV1" | "BatchNormalizationV2" | "SyncBatchNormalization" => {
            batch_norm(at)
        }
        "MaxPooling2D" | "MaxPool2D" => pool(at, PoolKind::Max),
        "AveragePooling2D" | "AvgPool2D" => pool(at, PoolKind::Average),
        "GlobalMaxPooling2D" | "GlobalMaxPool2D" => global_pool(at, PoolKind::Max),
        "GlobalAveragePooling2D" | "GlobalAvgPool2D" => global_pool(at, PoolKind::Average),
        // `keras.ops.mean` and `keras.ops.max` over the sides.
        "Mean" => reduction(at, PoolKind::Average),
        "Max" => reduction(at, PoolKind::Max),
        "Dense" => dense(at),
        "Flatten" => flatten(at),
        "Reshape" => reshape(at),
        "ZeroPadding2D" => zero_padding(at),
        "Cropping2D" => cropping(at),
        "PReLU" => prelu(at),
        "LayerNormalization" => layer_norm(at),
        "GroupNormalization" => group_norm(at),
        "Add" => arithmetic(at, Arithmetic::Add),
        "Subtract" => arithmetic(at, Arithmetic::Subtract),
        "Multiply" => arithmetic(at, Arithmetic::Multiply),
        "Divide" | "TrueDivide" => arithmetic(at, Arithmetic::Divide),
        "Average" => average(at),
        "Maximum" => extremum(at, 1.0),
        "Minimum" => extremum(at, -1.0),
        "Negative" => {
            let input = at.only_input()?;
            scaled(at, input, vec![-1.0], vec![0.0])
        }
        "Square" => {
            let input = at.only_input()?;
            Ok(at.join(Op::Multiply, &[input, input], input))
        }
        "Squeeze" => squeeze(at),
        "UnitNormalization" => {
            let input = at.only_input()?;
            at.settings.channel_axis(&["axis"], -1, input.is_map)?;
            unit_norm(at, input)
        }
        "Normalize" => normalize(at),
        "Concatenate" => concatenate(at, "axis"),
        "Merge" => merge(at),
        "TFOpLambda" => tf_operation(at),
        "CustomScaleLayer" => scaled_sum(at),
        "Rescaling" => rescaling(at),
        "Normalization" => normalization(at),
        "Dropout" | "SpatialDropout2D" => dropout(at),
        "Cast" => cast(at, at.settings.text(&["dtype"])),
        "Resizing" => resizing(at),
        "UpSampling2D" => up_sampling(at),
        "Power" => power(at),
        "CenterCrop" | "RandomCrop" => center_crop(at),
        "SlicingOpLambda" => Err("it takes a part of its input by no key of numbers".into()),
        "Lambda" => Err(lambda(at)),
        class if is_harmless(class) => at.only_input(),
        class if is_active(class) => Err("it changes pictures at rest too, as no operation here does".into()),
        _ => Err("there is no operation for its class".into()),
    }
}

/// Why a layer that holds a Python function is refused.
fn lambda(at: &Place<'_, '_>) -> String {
    let function = at.settings.get(&["function"]);
    let name = function.and_then(|function| function.as_str().or_else(|| function.get("config")?.as_str()));
    let name = name.map_or_else(String::new, |name| format!(" ({})", shown(&name.into())));
    format!(
        "it runs a Python function{name}, which only Python can; where the function scales pictures, save the model \
         from the layer behind it, keras.Model(that_layer.input, model.output), and say --scaling tf, unit, torch or \
         caffe; or build the model with Rescaling, or with the function called on the input and not in a Lambda"
    )
}

/// Layers that do not change a picture in inference. Each was run in inference in Keras 3.15.1
/// (`scripts/fixtures/keras_augmentation.py`), except the layers of older versions.
fn is_harmless(class: &str) -> bool {
    const HARMLESS: [&str; 35] = [
        "ActivityRegularization",
        "AlphaDropout",
        "AugMix",
        "CastLike",
        "CutMix",
        "Equalization",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "InputLayer",
        "MaxNumBoundingBoxes",
        "MixUp",
        "RandAugment",
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomContrast",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHeight",
        "RandomHue",
        "RandomInvert",
        "RandomPerspective",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomWidth",
        "RandomZoom",
        "Solarization",
    ];
    HARMLESS.contains(&class)
}

/// Layers that change a picture in inference, too.
fn is_active(class: &str) -> bool {
    [
        "AutoContrast",
        "ContrastLimitedAdaptiveHistogramEqualization",
        "Grayscale",
        "RandomResizedCrop",
    ]
    .contains(&class)
}

fn activate(at: &mut Place<'_, '_>, class: &str, activation: Option<Activation>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    if matches!(class, "Softmax" | "LogSoftmax") {
        at.settings.channel_axis(&["axis"], -1, input.is_map)?;
    }
    Ok(at.activated(input, activation))
}

/// The settings of a convolution other than its channels.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
    bias: bool,
    activation: Option<Activation>,
}

impl Window {
    fn of(at: &Place<'_, '_>) -> Result<Self, String> {
        let settings = at.settings;
        settings.channels_last()?;
        let kernel = if settings.get(&["nb_row"]).is_some() {
            [settings.count(&["nb_row"])?, settings.count(&["nb_col"])?]
        } else {
            settings.pair(&["kernel_size"], None)?
        };
        Ok(Self {
            kernel,
            stride: settings.pair(&["strides", "subsample"], Some([1; 2]))?,
            dilation: settings.pair(&["dilation_rate", "atrous_rate"], Some([1; 2]))?,
            padding: settings.padding()?,
            bias: settings.is_on(&["use_bias", "bias"], true),
            activation: settings.activation()?,
        })
    }

    fn conv(&self, channels: [usize; 2]) -> Conv {
        Conv {
            stride: self.stride,
            dilation: self.dilation,
            bias: self.bias,
            ..Conv::new(channels, self.kernel, self.padding)
        }
    }

    /// The output before the activation. It is a map of 1 x 1 if the input is a map of 1 x 1 and the window does not
    /// change its size.
    fn output(&self, input: Tensor) -> Tensor {
        let stays = self.kernel == [1; 2] || self.padding == Padding::Same;
        Tensor {
            is_pixel: input.is_pixel && stays,
            ..input
        }
    }
}

fn conv(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_map()?;
    let window = Window::of(at)?;
    let groups = at.settings.count_or(&["groups"], 1)?;
    let channels = at.channels(input, "kernel", |kernel| match kernel {
        [_, _, inside, _] => inside.checked_mul(groups),
        _ => None,
    })?;
    let filters = at.settings.count(&["filters", "nb_filter"])?;
    let conv = window.conv([channels, filters]).with_groups(groups);
    if !channels.is_multiple_of(groups) || !filters.is_multiple_of(groups) {
        return Err(format!(
            "its {groups} groups do not divide {channels} channels and {filters} filters"
        ));
    }
    let output = at.parameters(Op::Conv(conv), window.output(input), filters, "");
    Ok(at.activated(output, window.activation))
}

/// Input and output channels of the depthwise convolution.
fn depthwise_channels(at: &Place<'_, '_>, input: Tensor) -> Result<[usize; 2], String> {
    let name = if at.holds("depthwise_kernel") {
        "depthwise_kernel"
    } else {
        "kernel"
    };
    let channels = at.channels(input, name, |kernel| kernel.get(2).copied())?;
    let multiplier = at.settings.count_or(&["depth_multiplier"], 1)?;
    let output = channels
        .checked_mul(multiplier)
        .filter(|output| *output <= MAX_CHANNELS);
    let output =
        output.ok_or_else(|| format!("its depth_multiplier of {multiplier} for {channels} channels is too large"))?;
    Ok([channels, output])
}

fn depthwise_conv(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_map()?;
    let window = Window::of(at)?;
    let channels = depthwise_channels(at, input)?;
    let conv = window.conv(channels).with_groups(channels[0]);
    let output = at.parameters(Op::Conv(conv), window.output(input), channels[1], "");
    Ok(at.activated(output, window.activation))
}

fn separable_conv(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_map()?;
    let window = Window::of(at)?;
    let channels = depthwise_channels(at, input)?;
    let filters = at.settings.count(&["filters", "nb_filter"])?;
    let depthwise = window.conv(channels).with_groups(channels[0]).with_bias(false);
    let pointwise = Conv::new([channels[1], filters], [1; 2], Padding::Valid).with_bias(window.bias);
    let between = at.parameters(Op::Conv(depthwise), window.output(input), channels[1], "depthwise");
    let output = at.parameters(Op::Conv(pointwise), between, filters, "pointwise");
    Ok(at.activated(output, window.activation))
}

fn batch_norm(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    let settings = at.settings;
    settings.channel_axis(&["axis"], -1, input.is_map)?;
    let mode = settings.number(&["mode"], 0.0)?;
    if mode != 0.0 {
        return Err(format!("its mode of Keras 1 is {mode}; known is 0"));
    }
    if settings.is_on(&["renorm"], false) {
        return Err("it is a batch renormalization".into());
    }
    let channels = at.channels(input, "moving_mean", |mean| mean.first().copied())?;
    let norm = BatchNorm {
        channels,
        epsilon: settings.number(&["epsilon"], 1e-3)?,
        momentum: rounded(1.0 - settings.number(&["momentum"], 0.99)?),
        scale: settings.is_on(&["scale"], true),
        center: settings.is_on(&["center"], true),
    };
    Ok(at.parameters(Op::BatchNorm(norm), input, channels, ""))
}

/// Rounds 1 - 0.99 to 0.01.
pub(super) fn rounded(difference: f64) -> f64 {
    (difference * 1e12).round() / 1e12
}

fn pool(at: &mut Place<'_, '_>, kind: PoolKind) -> Result<Tensor, String> {
    let input = at.only_map()?;
    at.settings.channels_last()?;
    let window = at.settings.pair(&["pool_size"], Some([2; 2]))?;
    let pool = Pool {
        kind,
        window,
        // Without strides, a pool's stride is its window.
        stride: at.settings.pair(&["strides"], Some(window))?,
        dilation: [1; 2],
        padding: at.settings.padding()?,
        count_padding: false,
    };
    let output = Tensor {
        is_pixel: false,
        ..input
    };
    Ok(at.push(Op::Pool(pool), output))
}

fn global_pool(at: &mut Place<'_, '_>, kind: PoolKind) -> Result<Tensor, String> {
    let input = at.only_map()?;
    at.settings.channels_last()?;
    let keep_dims = at.settings.is_on(&["keepdims"], false);
    let output = if keep_dims { input.as_pixel() } else { input.as_vector() };
    Ok(at.push(Op::GlobalPool(GlobalPool { kind, keep_dims }), output))
}

fn reduction(at: &mut Place<'_, '_>, kind: PoolKind) -> Result<Tensor, String> {
    let input = at.only_map()?;
    // Keras 2 stores the arguments of a function of TensorFlow with the call.
    let axes = at
        .settings
        .get(&["axis"])
        .or_else(|| argument(at.layer.arguments, "axis", 1));
    let keeps = at
        .settings
        .get(&["keepdims"])
        .or_else(|| argument(at.layer.arguments, "keepdims", 2));
    let keep_dims = keeps.and_then(Value::as_bool).unwrap_or(false);
    let Some(mut axes) = axes.and_then(constants) else {
        return Err("it reduces all axes at once".into());
    };
    axes.iter_mut()
        .filter(|axis| **axis < 0.0)
        .for_each(|axis| *axis += 4.0);
    axes.sort_by(f64::total_cmp);
    if axes != [1.0, 2.0] {
        return Err(format!(
            "it reduces the axes {axes:?}; known is the reduction of height and width"
        ));
    }
    let output = if keep_dims { input.as_pixel() } else { input.as_vector() };
    Ok(at.push(Op::GlobalPool(GlobalPool { kind, keep_dims }), output))
}

fn dense(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    if input.is_map && !input.is_pixel {
        return Err("it is a Dense of a feature map; known is one of a vector, or of a map of 1 x 1".into());
    }
    let activation = at.settings.activation()?;
    let features = at.channels(input, "kernel", |kernel| kernel.first().copied())?;
    let units = at.settings.count(&["units", "output_dim"])?;
    let dense = Dense {
        features: [features, units],
        bias: at.settings.is_on(&["use_bias", "bias"], true),
    };
    let output = at.parameters(Op::Dense(dense), input.as_vector(), units, "");
    let output = at.activated(output, activation);
    // Keras keeps the sides of a map of 1 x 1.
    Ok(if input.is_map {
        at.push(Op::ToMap, output.as_pixel())
    } else {
        output
    })
}

fn flatten(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    at.settings.channels_last()?;
    Ok(flattened(at, input))
}

fn flattened(at: &mut Place<'_, '_>, input: Tensor) -> Tensor {
    if !input.is_map {
        return input;
    }
    let output = Tensor {
        channels: input.channels.filter(|_| input.is_pixel),
        ..input.as_vector()
    };
    let order = ChannelOrder::ChannelsLast;
    at.push(Op::Flatten { order }, output)
}

fn reshape(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    let target = at.settings.get(&["target_shape"]).unwrap_or(&Value::Null);
    let sides: Option<Vec<i64>> = target
        .as_array()
        .and_then(|sides| sides.iter().map(Value::as_i64).collect());
    // -1 stands for the remaining values.
    let fits = |side: i64| {
        side == -1
            || input
                .channels
                .is_none_or(|channels| i64::try_from(channels) == Ok(side))
    };
    match sides.as_deref() {
        Some([side]) if input.is_map && (!input.is_pixel || fits(*side)) => Ok(flattened(at, input)),
        Some([side]) if !input.is_map && fits(*side) => Ok(input),
        Some([1, 1, side]) if input.is_pixel && fits(*side) => Ok(input),
        Some([1, 1, side]) if !input.is_map && fits(*side) => Ok(at.push(Op::ToMap, input.as_pixel())),
        _ => Err(format!(
            "it reshapes to {}; known are from a vector to a map of 1 x 1 and back, and from a map to a vector",
            shown(target)
        )),
    }
}

fn zero_padding(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_map()?;
    at.settings.channels_last()?;
    let found = at.settings.get(&["padding"]);
    let pads = match found {
        None => Some([1; 4]),
        Some(found) => pads(found),
    };
    let pads = pads.ok_or_else(|| {
        let found = shown(found.unwrap_or(&Value::Null));
        format!("expected rows and columns for `padding`, found {found}")
    })?;
    let output = Tensor {
        is_pixel: false,
        ..input
    };
    Ok(at.push(Op::Pad { pads }, output))
}

/// `[top, left, bottom, right]` from one number, two numbers, two pairs, or Keras 1's four numbers or dictionary.
fn pads(value: &Value) -> Option<[usize; 4]> {
    let side = |value: &Value| match value.as_u64()? {
        0 => Some(0),
        _ => count(value),
    };
    match value {
        Value::Number(_) => Some([side(value)?; 4]),
        Value::Array(list) => match list.as_slice() {
            [Value::Array(rows), Value::Array(columns)] => match (rows.as_slice(), columns.as_slice()) {
                ([top, bottom], [left, right]) => Some([side(top)?, side(left)?, side(bottom)?, side(right)?]),
                _ => None,
            },
            [rows, columns] => Some([side(rows)?, side(columns)?, side(rows)?, side(columns)?]),
            [top, bottom, left, right] => Some([side(top)?, side(left)?, side(bottom)?, side(right)?]),
            _ => None,
        },
        Value::Object(map) => {
            let given = |key: &str| map.get(key).map_or(Some(0), side);
            Some([
                given("top_pad")?,
                given("left_pad")?,
                given("bottom_pad")?,
                given("right_pad")?,
            ])
        }
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// The operands are tensors, or a tensor and constants.
fn arithmetic(at: &mut Place<'_, '_>, kind: Arithmetic) -> Result<Tensor, String> {
    match at.operands.as_slice() {
        [Operand::Tensor(input), Operand::Constant(constants)] => {
            let (input, constants) = (*input, constants.clone());
            let inverted = constants.iter().map(|value| 1.0 / value).collect();
            let negated = constants.iter().map(|value| -value).collect();
            let (scale, shift) = match kind {
                Arithmetic::Add => (vec![1.0], constants),
                Arithmetic::Subtract => (vec![1.0], negated),
                Arithmetic::Multiply => (constants, vec![0.0]),
                Arithmetic::Divide => (inverted, vec![0.0]),
            };
            scaled(at, input, scale, shift)
        }
        [Operand::Constant(constants), Operand::Tensor(input)] => {
            let (input, constants) = (*input, constants.clone());
            match kind {
                Arithmetic::Add => scaled(at, input, vec![1.0], constants),
                Arithmetic::Subtract => scaled(at, input, vec![-1.0], constants),
                Arithmetic::Multiply => scaled(at, input, constants, vec![0.0]),
                Arithmetic::Divide => Err("it divides by its input".into()),
            }
        }
        _ => match kind {
            Arithmetic::Add => {
                let inputs = at.several_inputs()?;
                alike(&inputs)?;
                Ok(at.join(Op::Add, &inputs, inputs[0]))
            }
            Arithmetic::Multiply => product(at),
            Arithmetic::Subtract => {
                let inputs = at.several_inputs()?;
                let [first, second] = inputs[..] else {
                    return Err(format!("expected 2 inputs, found {}", inputs.len()));
                };
                alike(&inputs)?;
                let negative = scaled(at, second, vec![-1.0], vec![0.0])?;
                Ok(at.join(Op::Add, &[first, negative], first))
            }
            Arithmetic::Divide => Err("it divides one tensor by another".into()),
        },
    }
}

fn alike(inputs: &[Tensor]) -> Result<(), String> {
    if inputs
        .iter()
        .any(|input| input.is_map != inputs[0].is_map || input.is_plane != inputs[0].is_plane)
    {
        return Err("some of its inputs are feature maps and some are vectors".into());
    }
    Ok(())
}

/// A product of several inputs, computed as products of two. A layer (but not an operation) takes a vector beside maps
/// as a map of 1 x 1 (`Merge.call` in `keras/src/layers/merging/base_merge.py`).
fn product(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let mut inputs = at.several_inputs()?;
    if inputs.iter().any(|input| input.is_map) {
        if at.layer.is_operation {
            alike(&inputs)?;
        }
        for input in inputs.iter_mut().filter(|input| !input.is_map) {
            *input = at.push_on(Op::ToMap, *input, input.as_pixel());
        }
    }
    // One number for all channels is repeated for each of them.
    let most = inputs.iter().filter_map(|input| input.channels).max().unwrap_or(1);
    for input in inputs.iter_mut().filter(|input| most > 1 && input.channels == Some(1)) {
        let output = Tensor {
            channels: Some(most),
            ..*input
        };
        *input = at.push_on(
            Op::Take {
                channels: vec![0; most],
            },
            *input,
            output,
        );
    }
    let mut product = inputs[0];
    for input in &inputs[1..] {
        let larger = if product.is_pixel { *input } else { product };
        product = at.join(Op::Multiply, &[product, *input], larger);
    }
    Ok(product)
}

fn concatenate(at: &mut Place<'_, '_>, key: &str) -> Result<Tensor, String> {
    let inputs = at.several_inputs()?;
    alike(&inputs)?;
    // An operation without an axis would join batches; its config always has `axis`.
    at.settings.channel_axis(&[key], -1, inputs[0].is_map)?;
    Ok(concatenated(at, &inputs))
}

fn tf_concatenate(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let inputs = at.several_inputs()?;
    alike(&inputs)?;
    channels::last_axis(at, if inputs[0].is_map { 4 } else { 2 })?;
    Ok(concatenated(at, &inputs))
}

fn concatenated(at: &mut Place<'_, '_>, inputs: &[Tensor]) -> Tensor {
    if let [only] = inputs {
        return *only;
    }
    let channels = inputs
        .iter()
        .try_fold(0_usize, |sum, input| sum.checked_add(input.channels?));
    let output = Tensor {
        channels,
        is_pixel: inputs.iter().all(|input| input.is_pixel),
        ..inputs[0]
    };
    at.concatenated(inputs, output)
}

/// The mean of the layer's inputs.
fn average(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let inputs = at.several_inputs()?;
    alike(&inputs)?;
    if let [only] = inputs[..] {
        return Ok(only);
    }
    let sum = at.join(Op::Add, &inputs, inputs[0]);
    scaled(at, sum, vec![1.0 / inputs.len() as f64], vec![0.0])
}

/// The largest (`sign` 1) or smallest (`sign` -1) of the layer's inputs: `max(a, b) = a + max(b - a, 0)`. The
/// inputs are tensors, or a tensor and a number.
fn extremum(at: &mut Place<'_, '_>, sign: f64) -> Result<Tensor, String> {
    let inputs = at.several_inputs()?;
    alike(&inputs)?;
    let bound = at.operands.iter().find_map(|operand| match operand {
        Operand::Constant(bound) => Some(bound.clone()),
        Operand::Tensor(_) => None,
    });
    if let Some(bound) = bound {
        let (&[input], &[bound]) = (&inputs[..], &bound[..]) else {
            return Err("it compares with several constants".into());
        };
        // max(x, b) = max(x - b, 0) + b
        let above = scaled(at, input, vec![sign], vec![-sign * bound])?;
        let above = at.push_on(Op::Activation(Activation::Relu), above, above);
        return scaled(at, above, vec![sign], vec![bound]);
    }
    let mut found = inputs[0];
    for input in &inputs[1..] {
        let negative = scaled(at, found, vec![-sign], vec![0.0])?;
        let other = scaled(at, *input, vec![sign], vec![0.0])?;
        let difference = at.join(Op::Add, &[other, negative], found);
        let positive = at.push_on(Op::Activation(Activation::Relu), difference, found);
        let more = scaled(at, positive, vec![sign], vec![0.0])?;
        found = at.join(Op::Add, &[found, more], found);
    }
    Ok(found)
}

/// One number without its axis, or one pixel without its sides.
fn squeeze(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    let axes = at
        .settings
        .get(&["axis"])
        .or_else(|| argument(at.layer.arguments, "axis", 1));
    let mut axes = axes.and_then(constants).unwrap_or_default();
    let rank = if input.is_map { 4.0 } else { 2.0 };
    axes.iter_mut()
        .filter(|axis| **axis < 0.0)
        .for_each(|axis| *axis += rank);
    axes.sort_by(f64::total_cmp);
    let is_number = !input.is_map && input.channels == Some(1) && (axes == [1.0] || axes.is_empty());
    let is_pixel = input.is_pixel && (axes == [1.0, 2.0] || axes.is_empty() && input.channels != Some(1));
    match (is_number, is_pixel) {
        (true, _) => Ok(input),
        (_, true) => Ok(flattened(at, input)),
        _ => Err(format!(
            "it removes the axes {axes:?}; known is that of one number, or the sides of a map of 1 x 1"
        )),
    }
}

/// `keras.ops.normalize`.
fn normalize(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    at.settings.channel_axis(&["axis"], -1, input.is_map)?;
    let order = at.settings.number(&["order"], 2.0)?;
    if (order - 2.0).abs() > 1e-9 {
        return Err(format!("its norm has the order {order}; known is 2"));
    }
    unit_norm(at, input)
}

/// `x / sqrt(sum(x * x))` over the channels, as a layer norm: the mean of x and -x together is 0, and their variance is
/// the mean of `x * x`. Keras's lower bound of the sum is 1e-12; here it is added.
fn unit_norm(at: &mut Place<'_, '_>, input: Tensor) -> Result<Tensor, String> {
    const LEAST: f64 = 1e-12;

    let count = input.channels.filter(|count| count * 2 <= MAX_CHANNELS);
    let count = count.ok_or("the file does not say how many values it reads")?;
    let negative = scaled(at, input, vec![-1.0], vec![0.0])?;
    let twice = Tensor {
        channels: Some(2 * count),
        ..input
    };
    let both = at.join(Op::Concat, &[input, negative], twice);
    let epsilon = LEAST / count as f64;
    let normed = at.push_on(Op::LayerNorm { epsilon }, both, both);
    let half = Op::Take {
        channels: (0..count).collect(),
    };
    let half = at.push_on(half, normed, input);
    scaled(at, half, vec![1.0 / (count as f64).sqrt()], vec![0.0])
}

/// `max(x, 0) - alpha * max(-x, 0)`. The slopes are constants of the network, as the numbers of a `Normalization` are.
fn prelu(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    let shape = at.shape("alpha").map(<[usize]>::to_vec);
    let slopes = at.numbers("alpha").zip(shape);
    let (slopes, shape) = slopes.ok_or("its slopes are not among the weights, or too many")?;
    let channels = *shape.last().unwrap_or(&0);
    if shape[..shape.len().max(1) - 1].iter().any(|side| *side != 1) {
        return Err(format!(
            "it has a slope for each place, of the shape {shape:?}; known is one for each channel (shared_axes=[1, 2])"
        ));
    }
    if slopes.len() != channels {
        return Err(format!("its slopes have the shape {shape:?}"));
    }
    let positive = at.push_on(Op::Activation(Activation::Relu), input, input);
    let negative = scaled(at, input, vec![-1.0], vec![0.0])?;
    let negative = at.push_on(Op::Activation(Activation::Relu), negative, negative);
    let negative = scaled(at, negative, slopes.iter().map(|slope| -slope).collect(), vec![0.0])?;
    Ok(at.join(Op::Add, &[positive, negative], input))
}

/// Layer norm over the channels. Factor and term are constants of the network.
fn layer_norm(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    at.settings.channel_axis(&["axis"], -1, input.is_map)?;
    if at.settings.is_on(&["rms_scaling"], false) {
        return Err("it scales by the root of the mean square (rms_scaling)".into());
    }
    let epsilon = at.settings.number(&["epsilon"], 1e-3)?;
    let [scale, shift] = scale_and_center(at)?;
    let normed = at.push(Op::LayerNorm { epsilon }, input);
    scaled(at, normed, scale, shift)
}

/// Factor and term of a norm, as constants of the network.
fn scale_and_center(at: &Place<'_, '_>) -> Result<[Vec<f64>; 2], String> {
    let part = |setting: &str, variable: &'static str, missing: f64| {
        if !at.settings.is_on(&[setting], true) {
            return Ok(vec![missing]);
        }
        at.numbers(variable)
            .ok_or_else(|| format!("its `{variable}` is not among the weights, or has too many numbers"))
    };
    Ok([part("scale", "gamma", 1.0)?, part("center", "beta", 0.0)?])
}

/// Group norm over the channels. Factor and term are constants of the network.
fn group_norm(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    let settings = at.settings;
    settings.channel_axis(&["axis"], -1, input.is_map)?;
    let channels = at.channels(input, "gamma", |gamma| gamma.first().copied())?;
    // -1 stands for a group for each channel.
    let groups = match settings.get(&["groups"]).map_or(Some(32), Value::as_i64) {
        Some(-1) => channels,
        Some(groups) => usize::try_from(groups).unwrap_or_default(),
        None => 0,
    };
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(format!("its {groups} groups do not divide {channels} channels"));
    }
    let epsilon = settings.number(&["epsilon"], 1e-3)?;
    let [scale, shift] = scale_and_center(at)?;
    let normed = at.push(Op::GroupNorm { groups, epsilon }, input);
    scaled(at, normed, scale, shift)
}

/// A picture that already has the size stays as it is. If pictures may have every size, this layer is their preset.
fn resizing(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    let settings = at.settings;
    settings.channels_last()?;
    let size = [settings.count(&["height"])?, settings.count(&["width"])?];
    let is_stretch = !["crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"]
        .iter()
        .any(|other| settings.is_on(&[other], false));
    let filter = match settings.text(&["interpolation"]) {
        None | Some("bilinear") => Some(Filter::Bilinear),
        Some("nearest") => Some(Filter::Nearest),
        _ => None,
    };
    match (at.size(), filter.filter(|_| is_stretch)) {
        (Some(own), _) if own == size && at.is_picture(input) => Ok(input),
        (None, Some(Filter::Bilinear)) if at.is_picture(input) => {
            at.reader.size = Some(size);
            at.reader.preset = Some(Preset::KerasBilinear);
            Ok(input)
        }
        (own, Some(filter)) if input.is_map && (own.is_some() || !at.is_picture(input)) => Ok(at.push(
            Op::Resize { size, filter },
            Tensor {
                is_pixel: false,
                ..input
            },
        )),
        _ => Err(format!(
            "it resizes to {} x {} in a way that no operation here does; resize pictures before the network: build the \
             model on an input of that size",
            size[0], size[1]
        )),
    }
}

/// Every pixel several times, or pixels between them.
fn up_sampling(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_map()?;
    at.settings.channels_last()?;
    let factors = at.settings.pair(&["size"], Some([2; 2]))?;
    let filter = match at.settings.text(&["interpolation"]) {
        None | Some("nearest") => Filter::Nearest,
        // With TensorFlow 1, Keras 2 looked up corners instead of middles, and the file does not say which one it was.
        Some("bilinear") if at.settings.keras == Some(3) => Filter::Bilinear,
        other => {
            let other = shown(&other.into());
            return Err(format!(
                "its interpolation is {other}; known are nearest, and bilinear of Keras 3"
            ));
        }
    };
    let Some([height, width]) = at.map_size(input) else {
        return Err("it enlarges a map, and the file does not say the size of pictures".into());
    };
    let size = [height.saturating_mul(factors[0]), width.saturating_mul(factors[1])];
    let op = Op::Resize { size, filter };
    op.check()?;
    Ok(at.push(
        op,
        Tensor {
            is_pixel: false,
            ..input
        },
    ))
}

/// `keras.ops.power` with a number as the exponent.
fn power(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let [Operand::Tensor(input), Operand::Constant(exponent)] = at.operands.as_slice() else {
        return Err("its exponent is computed, or its base is a constant".into());
    };
    let [exponent] = exponent[..] else {
        return Err("it has an exponent for each channel".into());
    };
    let input = *input;
    Ok(at.push_on(Op::Activation(Activation::Power { exponent }), input, input))
}

/// The middle of a picture. In inference, a random crop takes the middle, too (`random_crop.py` of Keras 3).
fn center_crop(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_map()?;
    at.settings.channels_last()?;
    let target = [at.settings.count(&["height"])?, at.settings.count(&["width"])?];
    let size = at.size().filter(|_| at.is_picture(input));
    let Some(size) = size else {
        return Err("it crops, and the file does not say the size of what it crops".into());
    };
    if size == target {
        return Ok(input);
    }
    if at.class() == "RandomCrop" {
        return Err("it crops pictures, at rest too in most versions of Keras".into());
    }
    let [Some(rows), Some(columns)] = [0, 1].map(|axis| size[axis].checked_sub(target[axis])) else {
        return Err(format!(
            "it makes {} x {} larger, to {} x {}",
            size[0], size[1], target[0], target[1]
        ));
    };
    let (top, left) = (rows / 2, columns / 2);
    Ok(at.push(
        Op::Crop {
            crops: [top, left, rows - top, columns - left],
        },
        input,
    ))
}

fn cropping(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_map()?;
    at.settings.channels_last()?;
    let found = at.settings.get(&["cropping"]);
    let crops = found.map_or(Some([0; 4]), pads);
    let crops = crops.ok_or_else(|| {
        let found = shown(found.unwrap_or(&Value::Null));
        format!("expected rows and columns for `cropping`, found {found}")
    })?;
    let output = Tensor {
        is_pixel: false,
        ..input
    };
    Ok(at.push(Op::Crop { crops }, output))
}

/// Keras 1's layer of several inputs.
fn merge(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    match at.settings.text(&["mode"]) {
        Some("sum") | None => arithmetic(at, Arithmetic::Add),
        Some("mul") => arithmetic(at, Arithmetic::Multiply),
        Some("concat") => concatenate(at, "concat_axis"),
        Some(mode) => Err(format!("its mode is {mode}; known are sum, mul and concat")),
    }
}

/// A TensorFlow function that Keras 2 stored as a layer.
fn tf_operation(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let function = at.settings.text(&["function"]).unwrap_or_default();
    let order = argument(at.layer.arguments, "data_format", 2).and_then(Value::as_str);
    if function == "nn.bias_add" && order.is_some_and(|order| order.starts_with("NC")) {
        return Err(format!(
            "its data format is {}, and networks here have channels last",
            shown(&order.into())
        ));
    }
    let name = match function {
        "math.add" | "nn.bias_add" | "__operators__.add" => return arithmetic(at, Arithmetic::Add),
        "math.subtract" | "__operators__.sub" => return arithmetic(at, Arithmetic::Subtract),
        "math.multiply" | "__operators__.mul" => return arithmetic(at, Arithmetic::Multiply),
        "math.truediv" | "math.divide" | "__operators__.truediv" => return arithmetic(at, Arithmetic::Divide),
        "concat" | "compat.v1.concat" => return tf_concatenate(at),
        "identity" => return at.only_input(),
        "cast" => return cast(at, at.layer.dtype),
        "nn.relu" => "relu",
        "nn.relu6" => "relu6",
        "nn.silu" | "nn.swish" => "swish",
        "nn.softmax" => "softmax",
        "math.sigmoid" | "nn.sigmoid" => "sigmoid",
        "math.tanh" | "nn.tanh" => "tanh",
        "nn.log_softmax" => "log_softmax",
        "math.reduce_mean" => return reduction(at, PoolKind::Average),
        "math.reduce_max" => return reduction(at, PoolKind::Max),
        "compat.v1.squeeze" | "squeeze" => return squeeze(at),
        "math.l2_normalize" | "nn.l2_normalize" | "linalg.l2_normalize" => {
            let input = at.only_input()?;
            channels::last_axis(at, if input.is_map { 4 } else { 2 })?;
            return unit_norm(at, input);
        }
        _ => {
            return Err(format!(
                "its function is {}, which is not known",
                shown(&function.into())
            ));
        }
    };
    let input = at.only_input()?;
    let activation = at.settings.activation_named(name)?;
    Ok(at.activated(input, activation))
}

/// `a + scale * b` (Inception-ResNet).
fn scaled_sum(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let inputs = at.several_inputs()?;
    let [first, second] = inputs.as_slice() else {
        return Err(format!("expected 2 inputs, found {}", inputs.len()));
    };
    let scale = at.settings.number(&["scale"], 1.0)?;
    let scaled = scaled(at, *second, vec![scale], vec![0.0])?;
    Ok(at.join(Op::Add, &[*first, scaled], *first))
}

fn scaled(at: &mut Place<'_, '_>, input: Tensor, scale: Vec<f64>, shift: Vec<f64>) -> Result<Tensor, String> {
    for constants in [&scale, &shift] {
        if let Some(value) = constants.iter().find(|value| !value.is_finite()) {
            return Err(format!("one of its constants is {value}"));
        }
        if constants.len() > 1 && input.channels.is_some_and(|channels| channels != constants.len()) {
            return Err(format!(
                "it has constants for {} channels, and its input has {}",
                constants.len(),
                input.channels.unwrap_or_default()
            ));
        }
    }
    Ok(at.push_on(Op::ScaleShift(ScaleShift { scale, shift }), input, input))
}

fn rescaling(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    let scale = at.settings.constants(&["scale"])?.unwrap_or_else(|| vec![1.0]);
    let shift = at.settings.constants(&["offset"])?.unwrap_or_else(|| vec![0.0]);
    scaled(at, input, scale, shift)
}

fn normalization(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    let settings = at.settings;
    let whole = matches!(settings.config.get("axis"), Some(Value::Null))
        || settings.get(&["axis"]) == Some(&Value::Array(vec![]));
    if !whole {
        settings.channel_axis(&["axis"], -1, input.is_map)?;
    }
    let stated = settings.constants(&["mean"])?.zip(settings.constants(&["variance"])?);
    let (mean, variance) = stated.or_else(|| at.statistics()).ok_or(
        "its mean and variance are neither in the config nor among the weights: it was never adapted to pictures",
    )?;
    if mean.len() != variance.len() {
        return Err(format!("it has {} means and {} variances", mean.len(), variance.len()));
    }
    let deviations = variance.iter().map(|variance| variance.sqrt().max(SMALLEST_DEVIATION));
    let (scale, shift): (Vec<f64>, Vec<f64>) = if settings.is_on(&["invert"], false) {
        deviations
            .zip(&mean)
            .map(|(deviation, mean)| (deviation, *mean))
            .unzip()
    } else {
        deviations
            .zip(&mean)
            .map(|(deviation, mean)| (1.0 / deviation, -mean / deviation))
            .unzip()
    };
    scaled(at, input, scale, shift)
}

fn dropout(at: &mut Place<'_, '_>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    let rate = at.settings.number(&["rate", "p"], 0.5)?;
    // Such a dropout drops whole branches in training (EfficientNet), which is not supported here.
    if at.settings.get(&["noise_shape"]).is_some() {
        return Ok(input);
    }
    if !(0.0..1.0).contains(&rate) {
        return Err(format!("its rate is {rate}; it must be at least 0 and below 1"));
    }
    Ok(at.push(Op::Dropout { rate }, input))
}

fn cast(at: &Place<'_, '_>, dtype: Option<&str>) -> Result<Tensor, String> {
    let input = at.only_input()?;
    match dtype {
        None | Some("float16" | "bfloat16" | "float32" | "float64") => Ok(input),
        Some(dtype) => Err(format!("it makes {} of its input", shown(&dtype.into()))),
    }
}
