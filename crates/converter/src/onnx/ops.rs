//! Translates each ONNX operation into operations of a network.

use graph::{Activation, BatchNorm, ChannelOrder, Conv, Dense, GlobalPool, Op, Padding, Pool, PoolKind, ScaleShift};
use onnx_ir::NodeProto;

use super::curve;
use super::graph::{Data, Reader, SoftmaxStep, Value};
use super::layout::{Axis, Reshaped, Size, VECTOR, broadcast, is_pixel, order, permuted, place, reshape};
use super::node::{attribute, float, groups, int, ints, shown};
use super::tensor::{self, Constant, Place};
use super::weights::{Linear, Weights};

/// Longest shape that is tracked.
const MAX_SIZES: usize = 64;

impl<'a> Reader<'a> {
    /// The value that a node outputs.
    pub(super) fn step(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        if !matches!(&*node.domain, "" | "ai.onnx") {
            return Err(format!("an operation of `{}`, which is not known", shown(&node.domain)));
        }
        let of_pictures = |value: Value| !matches!(value, Value::Constant(_) | Value::Filled(_) | Value::Sizes(_));
        match &*node.op_type {
            "Constant" => self.constant_node(node),
            "Shape" => self.shape(node),
            _ if !(0..node.input.len()).any(|at| self.value(node, at).is_ok_and(of_pictures)) => self.computed(node),
            "Identity" | "CastLike" => self.value(node, 0),
            // FLOAT, FLOAT16, DOUBLE and BFLOAT16 of `TensorProto.DataType`.
            "Cast" if matches!(int(node, "to", 0), 1 | 10 | 11 | 16) => self.value(node, 0),
            "Conv" => self.conv(node),
            "BatchNormalization" => self.norm(node),
            "MaxPool" => self.pool(node, PoolKind::Max),
            "AveragePool" => self.pool(node, PoolKind::Average),
            "GlobalAveragePool" | "ReduceMean" => self.reduce(node, PoolKind::Average),
            "GlobalMaxPool" | "ReduceMax" | "TopK" => self.reduce(node, PoolKind::Max),
            "ReduceSum" => self.softmax_sum(node),
            "Pad" => self.pad(node),
            "Slice" => self.crop(node),
            "PRelu" => self.prelu(node),
            "LayerNormalization" => self.layer_norm(node),
            "Gemm" | "MatMul" => self.dense(node),
            "Transpose" => {
                // Also inside the steps of an activation.
                let Value::Data(mut data) = self.value(node, 0)? else {
                    return Err("no map is turned".into());
                };
                let reversed: Vec<i64> = (0..data.axes.len() as i64).rev().collect();
                let axes = permuted(&data.axes, ints(node, "perm").unwrap_or(&reversed));
                data.axes = axes.ok_or("no transposition")?;
                data.curve = data.curve.map(|(curve, _)| (curve, self.at));
                Ok(Value::Data(data))
            }
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            "Concat" => self.concat(node),
            "Softmax" => self.softmax(node),
            "Dropout" => {
                let rate = self.number(node, 1).unwrap_or_else(|| float(node, "ratio", 0.5));
                let data = self.input(node, 0)?;
                let id = self.add(Op::Dropout { rate }, &[data.node])?;
                Ok(data.at(id))
            }
            _ => self.elementwise(node),
        }
    }

    fn constant_node(&self, node: &NodeProto) -> Result<Value, String> {
        let mut values = node.attribute.iter().enumerate();
        let (at, value) = values
            .find(|(_, value)| value.name.starts_with("value"))
            .ok_or("it has no value")?;
        match (&*value.name, value.t.as_ref()) {
            ("value", Some(stored)) => {
                let name = node.output.first().map_or("", String::as_str);
                tensor::constant(stored, name, Place::Attribute(self.at, at)).map(Value::Constant)
            }
            ("value_float", _) => Ok(Value::Filled(f64::from(value.f))),
            ("value_int", _) => Ok(Value::Sizes(vec![Size::Known(value.i)])),
            ("value_ints", _) if value.ints.len() <= MAX_SIZES => {
                Ok(Value::Sizes(value.ints.iter().copied().map(Size::Known).collect()))
            }
            _ => Err("a value of another kind than a tensor".into()),
        }
    }

    /// The shape of a value, or a part of it.
    fn shape(&self, node: &NodeProto) -> Result<Value, String> {
        let sizes: Vec<Size> = match self.value(node, 0)? {
            Value::Constant(constant) => constant.dims.iter().map(|side| Size::Known(*side as i64)).collect(),
            Value::Data(data) => {
                let lengths = self.lengths(&data).into_iter().zip(&data.axes);
                let size = |(length, axis): (Option<usize>, &Axis)| match (axis, length) {
                    (Axis::Batch, _) => Size::Batch,
                    (_, Some(length)) => Size::Known(length as i64),
                    _ => Size::Unknown,
                };
                lengths.map(size).collect()
            }
            _ => vec![Size::Unknown],
        };
        let end = int(node, "end", i64::MAX);
        Ok(Value::Sizes(part(&sizes, int(node, "start", 0), end)))
    }

    /// The result of an operation on constants and shapes alone.
    fn computed(&mut self, node: &NodeProto) -> Result<Value, String> {
        let first = self.value(node, 0)?;
        let sizes = |at: usize| self.sizes(node, at);
        Ok(match (&*node.op_type, first) {
            ("Identity" | "Dropout" | "Cast", value)
            | (
                "Squeeze" | "Unsqueeze" | "Reshape" | "CastLike" | "Expand",
                value @ (Value::Filled(_) | Value::Sizes(_)),
            ) => value,
            ("Transpose" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten", Value::Constant(constant)) => {
                let perm = ints(node, "perm").map(<[i64]>::to_vec);
                let perm = perm.unwrap_or_else(|| (0..constant.dims.len() as i64).rev().collect());
                let turned = match &*node.op_type {
                    "Transpose" => constant.transposed(&perm),
                    "Reshape" => sizes(1).and_then(|target| constant.reshaped(&target)),
                    // Only the number of values will be needed.
                    _ => constant.reshaped(&[Size::Known(-1)]),
                };
                Value::Constant(turned.ok_or("a constant in an unknown shape")?)
            }
            ("Expand", _) => Value::Filled(self.number(node, 0).ok_or("it repeats more than one number")?),
            ("ConstantOfShape", _) => {
                let value = attribute(node, "value").and_then(|value| value.t.as_ref());
                Value::Filled(f64::from(value.map_or(Some(0.0), tensor::scalar).ok_or("no number")?))
            }
            ("Gather", _) => {
                let (from, which) = (sizes(0).ok_or("no shape")?, sizes(1).ok_or("no shape")?);
                let pick = |index: &Size| match index {
                    Size::Known(index) => place(*index, from.len()).map(|at| from[at]),
                    _ => None,
                };
                let picked: Option<_> = which.iter().map(pick).collect();
                Value::Sizes(picked.ok_or("no part of the shape")?)
            }
            ("Slice", _) => {
                let number = |at: usize| self.number(node, at).map(|number| number as i64);
                let (start, end) = number(1).zip(number(2)).ok_or("no part of the shape")?;
                if node.input.len() > 4 && number(4) != Some(1) {
                    return Err("a part of a shape in steps".into());
                }
                Value::Sizes(part(&sizes(0).ok_or("no shape")?, start, end))
            }
            ("Concat", _) => {
                let parts: Option<Vec<_>> = (0..node.input.len().min(MAX_SIZES)).map(sizes).collect();
                let whole = parts
                    .map(|parts| parts.concat())
                    .filter(|whole| whole.len() <= MAX_SIZES);
                Value::Sizes(whole.ok_or("it puts constants together")?)
            }
            (op, first) => {
                let function = curve::unary(op, |name, default| float(node, name, default), false);
                match (function, curve::binary(op), self.number(node, 0), self.number(node, 1)) {
                    (Some(function), _, Some(number), _) => Value::Filled(function(number)),
                    (_, Some(function), Some(one), Some(two)) => Value::Filled(function(one, two)),
                    _ if matches!(first, Value::Sizes(_)) => Value::Sizes(vec![Size::Unknown]),
                    _ => return Err("it computes with the constants".into()),
                }
            }
        })
    }

    fn sizes(&self, node: &NodeProto, at: usize) -> Option<Vec<Size>> {
        match self.value(node, at).ok()? {
            Value::Sizes(sizes) => Some(sizes),
            Value::Filled(number) => Some(vec![Size::Known(number as i64)]),
            Value::Constant(constant) if constant.count()? <= MAX_SIZES => {
                let integers = tensor::integers(tensor::proto(self.model, constant.place)?);
                Some(integers.into_iter().map(Size::Known).collect())
            }
            _ => None,
        }
    }

    /// The integers of an attribute, or of an input in newer versions.
    fn integers(&self, node: &NodeProto, name: &str, at: usize) -> Option<Vec<i64>> {
        let known = |size: &Size| match size {
            Size::Known(size) => Some(*size),
            _ => None,
        };
        let own = ints(node, name).map(<[i64]>::to_vec);
        own.or_else(|| self.sizes(node, at)?.iter().map(known).collect())
    }

    /// The value of a constant that is one number.
    fn number(&self, node: &NodeProto, at: usize) -> Option<f64> {
        match self.value(node, at).ok()? {
            Value::Filled(number) => Some(number),
            Value::Constant(constant) if constant.count() == Some(1) => self.numbers(&constant).ok()?.first().copied(),
            Value::Sizes(sizes) => match sizes[..] {
                [Size::Known(size)] => Some(size as f64),
                _ => None,
            },
            _ => None,
        }
    }

    fn numbers(&self, constant: &Constant) -> Result<Vec<f64>, String> {
        tensor::numbers(self.model, self.path, constant)
    }

    /// A floating-point constant whose values are in the file.
    fn constant(&self, node: &NodeProto, at: usize) -> Result<Constant, String> {
        let name = node.input.get(at).map_or("", String::as_str);
        let Ok(Value::Constant(constant)) = self.value(node, at) else {
            return Err(format!("its input `{}` is no constant of the file", shown(name)));
        };
        let stored = tensor::proto(self.model, constant.place).ok_or("a constant is missing")?;
        tensor::dims(stored, self.path).map_err(|problem| format!("constant {} {problem}", shown(&constant.name)))?;
        Ok(constant)
    }

    /// A constant with one number for each of `channels`; `None` if all are 0.
    fn bias(&self, node: &NodeProto, at: usize, channels: usize) -> Result<Option<Constant>, String> {
        match self.value(node, at) {
            Err(_) if node.input.get(at).is_none_or(String::is_empty) => Ok(None),
            Ok(Value::Filled(0.0)) => Ok(None),
            _ => self.per_channel(node, at, channels).map(Some),
        }
    }

    fn per_channel(&self, node: &NodeProto, at: usize, channels: usize) -> Result<Constant, String> {
        let constant = self.constant(node, at)?;
        if constant.count() == Some(channels) {
            return Ok(constant);
        }
        let name = shown(&constant.name);
        Err(format!(
            "constant {name} has the shape {:?}, for {channels} channels",
            constant.dims
        ))
    }

    fn conv(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let kernel = self.constant(node, 1)?;
        let [output, inner, height, width] = kernel.dims[..] else {
            return Err(format!("its kernel has the shape {:?}", kernel.dims));
        };
        let window = window(node, Some([height, width]))?;
        let groups = groups(node);
        let bias = self.bias(node, 2, output)?;
        let conv = Conv {
            channels: [inner.saturating_mul(groups), output],
            kernel: window.side,
            stride: window.stride,
            dilation: window.dilation,
            groups,
            bias: bias.is_some(),
            padding: window.padding,
        };
        let map = self.map(node, 0)?;
        let id = self.add(Op::Conv(conv), &[map])?;
        self.weights[id.0] = Some(linear(kernel, bias, [1.0; 2]));
        Ok(self.mapped(id))
    }

    fn dense(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let kernel = self.constant(node, 1)?;
        if int(node, "transA", 0) != 0 {
            return Err("it transposes its first input (transA)".into());
        }
        let is_turned = int(node, "transB", 0) != 0;
        let kernel = if is_turned {
            kernel.transposed(&[1, 0]).ok_or("its weights are no matrix")?
        } else {
            kernel
        };
        let features = <[usize; 2]>::try_from(&*kernel.dims).map_err(|_| "its weights are no matrix")?;
        let bias = self.bias(node, 2, features[1])?;
        let data = self.input(node, 0)?;
        let Some(layout) =
            order(&data.axes).filter(|_| is_pixel(&data.axes) && data.axes.last() == Some(&Axis::Channels))
        else {
            return Err(format!("a matrix product over the axes {:?}", data.axes));
        };
        let vector = self.as_vector(data.node, layout)?;
        let dense = Dense {
            features,
            bias: bias.is_some(),
        };
        let id = self.add(Op::Dense(dense), &[vector])?;
        // A bias that is added later is not multiplied by beta.
        let beta = if bias.is_some() { float(node, "beta", 1.0) } else { 1.0 };
        let times = [float(node, "alpha", 1.0), beta];
        self.weights[id.0] = Some(linear(kernel, bias, times));
        Ok(data.at(id))
    }

    fn norm(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        if int(node, "training_mode", 0) != 0 {
            return Err("it is of a network in training; export it in evaluation mode".into());
        }
        let channels = self.constant(node, 1)?.count().unwrap_or(0);
        let part = |at: usize| self.per_channel(node, at, channels);
        let parts = [part(1)?, part(2)?, part(3)?, part(4)?];
        let data = self.input(node, 0)?;
        if data.axes.get(1) != Some(&Axis::Channels) {
            return Err(format!("a norm over the axes {:?}", data.axes));
        }
        let momentum = 1.0 - float(node, "momentum", 0.9);
        let epsilon = float(node, "epsilon", 1e-5);
        let op = BatchNorm {
            channels,
            epsilon,
            momentum: momentum.clamp(0.0, 1.0),
            scale: true,
            center: true,
        };
        let id = self.add(Op::BatchNorm(op), &[data.node])?;
        self.weights[id.0] = Some(Weights::Norm(Box::new(parts)));
        Ok(data.at(id))
    }

    fn pool(&mut self, node: &'a NodeProto, kind: PoolKind) -> Result<Value, String> {
        let mut window = window(node, None)?;
        let counts = int(node, "count_include_pad", 0) != 0;
        if int(node, "ceil_mode", 0) != 0 {
            window.padding = rounded_up(&window, kind == PoolKind::Average && counts)?;
        }
        let map = match self.value(node, 0)? {
            Value::Bordered(pads, data)
                if kind == PoolKind::Max && window.padding == Padding::Valid && int(node, "ceil_mode", 0) == 0 =>
            {
                window.padding = Padding::Explicit(pads);
                self.as_map(data.node)?
            }
            _ => self.map(node, 0)?,
        };
        let pool = Pool {
            kind,
            window: window.side,
            stride: window.stride,
            dilation: window.dilation,
            padding: window.padding,
            count_padding: counts,
        };
        let id = self.add(Op::Pool(pool), &[map])?;
        Ok(self.mapped(id))
    }

    fn pad(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let data = self.input(node, 0)?;
        let rank = data.axes.len();
        let pads = self.integers(node, "pads", 1).ok_or("its padding is not known")?;
        let axes = self.integers(node, "axes", 3);
        let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
        let axes: Option<Vec<usize>> = axes.iter().map(|axis| place(*axis, rank)).collect();
        let axes = axes.filter(|axes| axes.len() * 2 == pads.len());
        let axes = axes.ok_or("its padding is not of these axes")?;
        let mut sides = [0; 4];
        let (mut cuts, mut pads_any) = (false, false);
        for (index, pad) in pads.iter().enumerate().filter(|(_, pad)| **pad != 0) {
            let after = index / axes.len();
            let side = match data.axes[axes[index % axes.len()]] {
                Axis::Height => 2 * after,
                Axis::Width => 2 * after + 1,
                other => return Err(format!("it pads the axis {other:?}")),
            };
            sides[side] = usize::try_from(pad.unsigned_abs()).map_err(|_| "it pads too far")?;
            cuts |= *pad < 0;
            pads_any |= *pad > 0;
        }
        if cuts && pads_any {
            return Err("it pads some sides and cuts others".into());
        }
        if cuts {
            let id = self.add(Op::Crop { crops: sides }, &[data.node])?;
            return Ok(data.at(id));
        }
        let mode = attribute(node, "mode").map_or(&b"constant"[..], |mode| &mode.s[..]);
        let value = self.number(node, 2).unwrap_or_else(|| float(node, "value", 0.0));
        match value {
            _ if sides == [0; 4] => Ok(Value::Data(data)),
            _ if mode != b"constant" => Err(format!("it pads by {}", shown(&String::from_utf8_lossy(mode)))),
            0.0 => {
                let id = self.add(Op::Pad { pads: sides }, &[data.node])?;
                Ok(data.at(id))
            }
            value if value < -1e30 && data.axes == super::layout::CHANNELS_FIRST => Ok(Value::Bordered(sides, data)),
            value => Err(format!("it pads with {value}")),
        }
    }

    /// A part of a map without its borders.
    fn crop(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let data = self.input(node, 0)?;
        let lengths = self.lengths(&data);
        let numbers = |name: &str, at: usize| self.integers(node, name, at);
        let (starts, ends) = numbers("starts", 1)
            .zip(numbers("ends", 2))
            .ok_or("the part that it takes is not known")?;
        let axes = numbers("axes", 3).unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = numbers("steps", 4).unwrap_or_else(|| vec![1; starts.len()]);
        if starts.len() != ends.len() || starts.len() != axes.len() || steps.iter().any(|step| *step != 1) {
            return Err("it takes a part in steps".into());
        }
        let mut crops = [0; 4];
        for ((axis, start), end) in axes.iter().zip(&starts).zip(&ends) {
            let at = place(*axis, data.axes.len()).ok_or("it takes a part of an axis that is not there")?;
            let side = match data.axes[at] {
                Axis::Height => 0,
                Axis::Width => 1,
                other => return Err(format!("it takes a part of the axis {other:?}")),
            };
            // A part that begins from the start and ends from the end is one of pictures of every size.
            let before = usize::try_from(*start).ok();
            let behind = match *end {
                end if end < 0 => usize::try_from(end.unsigned_abs()).ok(),
                end => lengths[at]
                    .is_some_and(|length| usize::try_from(end).is_ok_and(|end| end >= length))
                    .then_some(0)
                    .or((end >= i64::from(i32::MAX)).then_some(0)),
            };
            let (before, behind) = before
                .zip(behind)
                .ok_or("the part that it takes depends on the picture's size")?;
            (crops[side], crops[side + 2]) = (before, behind);
        }
        if crops == [0; 4] {
            return Ok(Value::Data(data));
        }
        let id = self.add(Op::Crop { crops }, &[data.node])?;
        Ok(data.at(id))
    }

    /// Over the channels, where they are the last axis; factor and term are constants.
    fn layer_norm(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let data = self.input(node, 0)?;
        let axis = place(int(node, "axis", -1), data.axes.len());
        if data.axes.last() != Some(&Axis::Channels) || axis.map(|axis| axis + 1) != Some(data.axes.len()) {
            return Err(format!("a layer norm over the axes {:?}", data.axes));
        }
        let channels = self.constant(node, 1)?.count().unwrap_or(usize::MAX);
        let left = self.budget.checked_sub(channels.saturating_mul(2));
        self.budget = left.ok_or("its graph has more constants than any network")?;
        let scale = self.numbers(&self.constant(node, 1)?)?;
        let shift = match self.bias(node, 2, channels)? {
            Some(bias) => self.numbers(&bias)?,
            None => vec![0.0],
        };
        let epsilon = float(node, "epsilon", 1e-5);
        let id = self.add(Op::LayerNorm { epsilon }, &[data.node])?;
        let id = self.add(Op::ScaleShift(ScaleShift { scale, shift }), &[id])?;
        Ok(data.at(id))
    }

    /// `max(x, 0) - slope * max(-x, 0)`, with a slope for each channel.
    fn prelu(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let slopes = self.constant(node, 1)?;
        let data = self.input(node, 0)?;
        let channels = data.axes.iter().position(|axis| *axis == Axis::Channels);
        let channels = channels.and_then(|at| self.lengths(&data)[at]);
        let count = slopes.count().unwrap_or(usize::MAX);
        // The shape is broadcast from the end, so that [channels, 1, 1] fits a map.
        if !is_along_channels(&slopes, &data.axes) || count != 1 && channels.is_some_and(|channels| channels != count) {
            return Err(format!(
                "its slopes have the shape {:?}, for values of the axes {:?}",
                slopes.dims, data.axes
            ));
        }
        let left = self.budget.checked_sub(count);
        self.budget = left.ok_or("its graph has more constants than any network")?;
        let numbers = self.numbers(&slopes)?;
        let scaled = |scale: Vec<f64>| {
            Op::ScaleShift(ScaleShift {
                scale,
                shift: vec![0.0],
            })
        };
        let positive = self.add(Op::Activation(Activation::Relu), &[data.node])?;
        let negative = self.add(scaled(vec![-1.0]), &[data.node])?;
        let negative = self.add(Op::Activation(Activation::Relu), &[negative])?;
        let negative = self.add(scaled(numbers.into_iter().map(|slope| -slope).collect()), &[negative])?;
        let id = self.add(Op::Add, &[positive, negative])?;
        Ok(data.at(id))
    }

    /// A mean or maximum over axes.
    fn reduce(&mut self, node: &'a NodeProto, kind: PoolKind) -> Result<Value, String> {
        let mut data = match self.value(node, 0)? {
            Value::Halved(half, data) if half == kind => data,
            _ => self.input(node, 0)?,
        };
        let rank = data.axes.len();
        let axes = match &*node.op_type {
            "TopK" if self.sizes(node, 1) == Some(vec![Size::Known(1)]) && int(node, "largest", 1) != 0 => {
                Some(vec![int(node, "axis", -1)])
            }
            "TopK" => return Err("it is not a maximum".into()),
            op if op.starts_with("Global") => Some((2..rank as i64).collect()),
            _ => self.integers(node, "axes", 1),
        };
        let places: Vec<usize> = axes.iter().flatten().filter_map(|axis| place(*axis, rank)).collect();
        let over: Vec<Axis> = places.iter().map(|place| data.axes[*place]).collect();
        if over == [Axis::Channels] && kind == PoolKind::Max {
            return Ok(Value::Softmax(SoftmaxStep::Max, data));
        }
        if over.is_empty() || over.iter().any(|axis| matches!(axis, Axis::Batch | Axis::Channels)) {
            return Err(format!("it is over the axes {over:?}, not over height and width"));
        }
        let keeps = int(node, "keepdims", 1) != 0;
        for place in &places {
            data.axes[*place] = Axis::One;
        }
        if !is_pixel(&data.axes) {
            let halved = Some(Value::Halved(kind, data)).filter(|_| keeps);
            return halved.ok_or_else(|| "it drops one side of a map".into());
        }
        if !keeps {
            data.axes = without(&data.axes, &places);
        }
        if self.is_vector(data.node) {
            return Ok(Value::Data(data));
        }
        let id = self.add(Op::GlobalPool(GlobalPool { kind, keep_dims: false }), &[data.node])?;
        Ok(data.at(id))
    }

    fn reshape(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let mut data = self.input(node, 0)?;
        let rank = data.axes.len();
        let axes = self.integers(node, "axes", 1);
        let places =
            |rank: usize| -> Option<Vec<usize>> { axes.as_ref()?.iter().map(|axis| place(*axis, rank)).collect() };
        let reshaped = match &*node.op_type {
            "Flatten" if matches!(int(node, "axis", 1), 1) => {
                reshape(&data.axes, &self.lengths(&data), &[Size::Batch, Size::Known(-1)])
            }
            "Squeeze" => {
                let ones = || (0..rank).filter(|at| data.axes[*at] == Axis::One).collect();
                let dropped = places(rank).unwrap_or_else(ones);
                let single = self.lengths(&data);
                let may = |at: &usize| data.axes[*at] != Axis::Batch && single[*at].is_none_or(|length| length == 1);
                let kept = without(&data.axes, &dropped);
                match dropped.iter().all(may) {
                    true if kept == VECTOR && !is_pixel(&data.axes) => order(&data.axes).map(Reshaped::Flattened),
                    true => Some(Reshaped::Renamed(kept)),
                    false => None,
                }
            }
            "Unsqueeze" => {
                let mut renamed = data.axes.clone();
                let count = axes.as_ref().map_or(0, Vec::len);
                let mut places = places(rank + count)
                    .filter(|_| rank + count <= 6)
                    .ok_or("its axes are not known")?;
                places.sort_unstable();
                for place in places {
                    renamed.insert(place.min(renamed.len()), Axis::One);
                }
                Some(Reshaped::Renamed(renamed))
            }
            "Reshape" => {
                let target = self.sizes(node, 1);
                target.and_then(|target| reshape(&data.axes, &self.lengths(&data), &target))
            }
            _ => None,
        };
        match reshaped.ok_or("it puts the values into an order that no network here has")? {
            Reshaped::Renamed(axes) if axes == VECTOR => {
                data.node = self.as_vector(data.node, ChannelOrder::ChannelsLast)?;
                data.axes = axes;
            }
            Reshaped::Renamed(axes) => data.axes = axes,
            Reshaped::Flattened(order) => {
                data.node = self.as_vector(data.node, order)?;
                data.axes = VECTOR.to_vec();
            }
        }
        Ok(Value::Data(data))
    }

    fn concat(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let parts: Vec<Data> = (0..node.input.len())
            .map(|at| self.input(node, at))
            .collect::<Result<_, _>>()?;
        let first = parts.first().ok_or("it has no inputs")?.clone();
        let axis = place(int(node, "axis", 1), first.axes.len()).map(|at| first.axes[at]);
        if axis != Some(Axis::Channels) || parts.iter().any(|part| part.axes != first.axes) {
            return Err(format!(
                "it concatenates along the axis {axis:?}, not along the channels"
            ));
        }
        if parts.len() == 1 {
            return Ok(Value::Data(first));
        }
        let inputs = self.alike(&parts)?;
        let id = self.add(Op::Concat, &inputs)?;
        Ok(first.at(id))
    }

    fn softmax(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let mut imports = self.model.opset_import.iter();
        let opset = imports
            .find(|import| import.domain.is_empty())
            .map_or(0, |import| import.version);
        let data = self.input(node, 0)?;
        let axis = place(int(node, "axis", if opset < 13 { 1 } else { -1 }), data.axes.len()).map(|at| data.axes[at]);
        let is_last = data.axes.last() == Some(&Axis::Channels);
        // Before version 13, a softmax is over all axes from this one on.
        if axis != Some(Axis::Channels) || opset < 13 && !is_last && !is_pixel(&data.axes) {
            return Err(format!("a softmax over the axis {axis:?}"));
        }
        let id = self.add(Op::Activation(Activation::Softmax), &[data.node])?;
        Ok(data.at(id))
    }

    /// A sum over the channels, which must be the second last step of a softmax.
    fn softmax_sum(&self, node: &NodeProto) -> Result<Value, String> {
        let Value::Softmax(SoftmaxStep::Exponential, data) = self.value(node, 0)? else {
            return Err("a sum that is no step of a softmax".into());
        };
        let axes = self.integers(node, "axes", 1).unwrap_or_default();
        let [Some(place)] = axes
            .iter()
            .map(|axis| place(*axis, data.axes.len()))
            .collect::<Vec<_>>()[..]
        else {
            return Err("a sum that is not over one axis".into());
        };
        if data.axes[place] != Axis::Channels || int(node, "keepdims", 1) == 0 {
            return Err("a sum that is not over the channels".into());
        }
        Ok(Value::Softmax(SoftmaxStep::Sum, data))
    }

    /// An operation on each number, or on each pair of numbers.
    fn elementwise(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let (op, at) = (&*node.op_type, self.at);
        let first = self.value(node, 0)?;
        if let (Value::Softmax(SoftmaxStep::Difference, data), "Exp") = (&first, op) {
            return Ok(Value::Softmax(SoftmaxStep::Exponential, data.clone()));
        }
        // In newer versions, bounds are inputs.
        let number = |name: &str, default: f64| {
            let input = ["", "min", "max"].iter().position(|input| *input == name);
            let input = input.and_then(|input| self.number(node, input));
            input.unwrap_or_else(|| float(node, name, default))
        };
        let is_tanh = attribute(node, "approximate").is_some_and(|approximate| &approximate.s[..] == b"tanh");
        if let Some(function) = curve::unary(op, number, is_tanh) {
            let Value::Data(data) = first else {
                return Err("it is not of a feature map".into());
            };
            return Ok(data.along(data.function().map(function), at));
        }
        let function = curve::binary(op).ok_or("an operation that is not known here")?;
        if node.input.len() != 2 {
            return self.sum(node);
        }
        let second = self.value(node, 1)?;
        match (first, second) {
            (Value::Data(one), Value::Data(two)) if one.node == two.node && one.axes == two.axes => {
                Ok(one.along(one.function().with(&two.function(), function), at))
            }
            (Value::Data(one), Value::Softmax(SoftmaxStep::Max, two)) if op == "Sub" && is_value(&one, &two) => {
                Ok(Value::Softmax(SoftmaxStep::Difference, two))
            }
            (Value::Softmax(SoftmaxStep::Exponential, one), Value::Softmax(SoftmaxStep::Sum, two))
                if op == "Div" && is_value(&one, &two) =>
            {
                let id = self.add(Op::Activation(Activation::Softmax), &[one.node])?;
                Ok(one.at(id))
            }
            (Value::Data(_), Value::Data(_)) => self.sum(node),
            (Value::Data(data), _) => {
                if let Some(folded) = self.folded(node, 1, &data) {
                    return Ok(folded);
                }
                match self.number(node, 1) {
                    Some(number) => Ok(data.along(data.function().map(|x| function(x, number)), at)),
                    None => self.scaled(node, 0, 1),
                }
            }
            (_, Value::Data(data)) => {
                if let Some(folded) = self.folded(node, 0, &data) {
                    return Ok(folded);
                }
                match self.number(node, 0) {
                    Some(number) => Ok(data.along(data.function().map(|x| function(number, x)), at)),
                    None => self.scaled(node, 1, 0),
                }
            }
            _ => Err("it is not of feature maps".into()),
        }
    }

    /// A sum or product of values.
    fn sum(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let values: Vec<Data> = (0..node.input.len())
            .map(|at| self.input(node, at))
            .collect::<Result<_, _>>()?;
        let (op, axes) = match (&*node.op_type, &values[..]) {
            ("Add" | "Sum", [first, rest @ ..]) if rest.iter().all(|data| data.axes == first.axes) => {
                (Op::Add, Some(first.axes.clone()))
            }
            ("Mul", [one, two]) => (Op::Multiply, broadcast(&one.axes, &two.axes)),
            _ => (Op::Add, None),
        };
        let Some(axes) = axes else {
            let axes: Vec<_> = values.iter().take(4).map(|data| &data.axes).collect();
            return Err(format!("it computes with values of the axes {axes:?}"));
        };
        let inputs = self.alike(&values)?;
        let node = if let [only] = inputs[..] {
            only
        } else {
            self.add(op, &inputs)?
        };
        Ok(Data {
            axes,
            ..values[0].clone()
        }
        .at(node))
    }

    /// A scale or shift after a convolution or dense layer: the rest of a folded norm, or a bias.
    fn folded(&mut self, node: &NodeProto, at: usize, data: &Data) -> Option<Value> {
        let channels = match &self.graph.nodes[data.node.0].op {
            Op::Conv(conv) => conv.channels[1],
            Op::Dense(dense) => dense.features[1],
            _ => return None,
        };
        let constant = self.per_channel(node, at, channels).ok()?;
        if !data.is_private || data.curve.is_some() || !is_along_channels(&constant, &data.axes) {
            return None;
        }
        let Some(Weights::Linear(linear)) = &mut self.weights[data.node.0] else {
            return None;
        };
        match &*node.op_type {
            "Mul" if linear.bias.is_none() && linear.factor.is_none() => linear.factor = Some(constant),
            "Add" if linear.bias.is_none() => {
                linear.bias = Some(constant);
                match &mut self.graph.nodes[data.node.0].op {
                    Op::Conv(conv) => conv.bias = true,
                    Op::Dense(dense) => dense.bias = true,
                    _ => {}
                }
            }
            _ => return None,
        }
        Some(Value::Data(data.clone()))
    }

    /// A scale or shift for each channel.
    fn scaled(&mut self, node: &'a NodeProto, data: usize, constant: usize) -> Result<Value, String> {
        let numbers = self.constant(node, constant)?;
        let data = self.input(node, data)?;
        let channels = data.axes.iter().position(|axis| *axis == Axis::Channels);
        let channels = channels.and_then(|at| self.lengths(&data)[at]);
        let count = numbers.count().unwrap_or(usize::MAX);
        if !is_along_channels(&numbers, &data.axes) || channels.is_some_and(|channels| channels != count) {
            return Err(format!(
                "a constant of the shape {:?} for values of the axes {:?}",
                numbers.dims, data.axes
            ));
        }
        let left = self.budget.checked_sub(count);
        self.budget = left.ok_or("its graph has more constants than any network")?;
        let numbers = self.numbers(&numbers)?;
        let (one, zero) = (vec![1.0], vec![0.0]);
        let negative = |numbers: Vec<f64>| numbers.into_iter().map(|number| -number).collect();
        let (scale, shift) = match (&*node.op_type, constant) {
            ("Mul", _) => (numbers, zero),
            ("Add", _) => (one, numbers),
            ("Sub", 1) => (one, negative(numbers)),
            ("Sub", _) => (vec![-1.0], numbers),
            ("Div", 1) => (numbers.into_iter().map(f64::recip).collect(), zero),
            _ => return Err("it is no factor and no term".into()),
        };
        let next = ScaleShift { scale, shift };
        if let (true, Op::ScaleShift(before)) = (data.is_private, &mut self.graph.nodes[data.node.0].op)
            && let Some(both) = before.then(&next)
        {
            *before = both;
            return Ok(Value::Data(data));
        }
        let id = self.add(Op::ScaleShift(next), &[data.node])?;
        Ok(data.at(id))
    }
}

/// Height and width, stride and padding of a window.
struct Window {
    side: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
}

fn window(node: &NodeProto, kernel: Option<[usize; 2]>) -> Result<Window, String> {
    let pair = |name: &str, default: Option<[usize; 2]>| match (ints(node, name), default) {
        (None | Some([]), Some(default)) => Ok(default),
        (Some([one, two]), _) => Ok([one, two].map(|number| usize::try_from(*number).unwrap_or(usize::MAX))),
        (found, _) => Err(format!(
            "its {name} is {:?}, not of two numbers",
            found.unwrap_or_default()
        )),
    };
    let side = pair("kernel_shape", kernel)?;
    let (stride, dilation) = (pair("strides", Some([1; 2]))?, pair("dilations", Some([1; 2]))?);
    if kernel.is_some_and(|kernel| kernel != side) {
        return Err(format!("its kernel_shape is {side:?}, and its kernel is of {kernel:?}"));
    }
    // At stride 1, an odd window has equal padding on both sides.
    let is_even =
        |axis: usize| stride[axis] != 1 || side[axis].saturating_sub(1).saturating_mul(dilation[axis]) % 2 != 0;
    let padding = match attribute(node, "auto_pad").map_or(&b"NOTSET"[..], |auto| &auto.s[..]) {
        b"NOTSET" | b"" => match ints(node, "pads").unwrap_or(&[0; 4]) {
            [0, 0, 0, 0] => Padding::Valid,
            [top, left, bottom, right] => {
                Padding::Explicit([top, left, bottom, right].map(|pad| usize::try_from(*pad).unwrap_or(usize::MAX)))
            }
            other => return Err(format!("its padding is {other:?}, not of four numbers")),
        },
        b"VALID" => Padding::Valid,
        b"SAME_LOWER" if is_even(0) || is_even(1) => {
            return Err("it pads the odd pixel first (auto_pad SAME_LOWER)".into());
        }
        b"SAME_UPPER" | b"SAME_LOWER" => Padding::Same,
        other => return Err(format!("its auto_pad is {}", shown(&String::from_utf8_lossy(other)))),
    };
    Ok(Window {
        side,
        stride,
        dilation,
        padding,
    })
}

/// The padding with which a size that is rounded down is what `ceil_mode` rounds up: as far as a step reaches, at the
/// end. It never wins a maximum and is left out of a mean; one that counts its padding would count it.
fn rounded_up(window: &Window, counts: bool) -> Result<Padding, String> {
    let [top, left, bottom, right] = match window.padding {
        Padding::Valid => [0; 4],
        Padding::Explicit(pads) => pads,
        // `same` rounds up by itself.
        Padding::Same => return Ok(Padding::Same),
    };
    let ends = [bottom, right];
    let more = [0, 1].map(|axis| window.stride[axis].saturating_sub(1));
    // A window that would begin in the padding at the end is left out by ONNX, and would be one here.
    let begins_within = |axis: usize| {
        let reach = window.side[axis]
            .saturating_sub(1)
            .saturating_mul(window.dilation[axis])
            + 1;
        ends[axis].saturating_add(more[axis]) < reach
    };
    if !begins_within(0) || !begins_within(1) || counts && more != [0; 2] {
        return Err(
            "it rounds its size up (ceil_mode) and counts padding, or has a window smaller than its step".into(),
        );
    }
    Ok(Padding::Explicit([top, left, bottom + more[0], right + more[1]]))
}

fn linear(kernel: Constant, bias: Option<Constant>, times: [f64; 2]) -> Weights {
    let factor = None;
    Weights::Linear(Box::new(Linear {
        kernel,
        bias,
        factor,
        times,
    }))
}

/// Whether a constant's numbers lie along the channels of a value.
fn is_along_channels(constant: &Constant, axes: &[Axis]) -> bool {
    let Some(missing) = axes.len().checked_sub(constant.dims.len()) else {
        return false;
    };
    constant
        .dims
        .iter()
        .zip(&axes[missing..])
        .all(|(side, axis)| *side == 1 || *axis == Axis::Channels)
}

/// Whether the first value is the second one, unchanged.
fn is_value(one: &Data, two: &Data) -> bool {
    one.curve.is_none() && one.node == two.node && one.axes == two.axes
}

/// A part of a shape; positions may be counted from the end.
fn part(sizes: &[Size], start: i64, end: i64) -> Vec<Size> {
    let rank = sizes.len() as i64;
    let bound = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    sizes.get(bound(start)..bound(end)).unwrap_or_default().to_vec()
}

/// The remaining axes.
fn without(axes: &[Axis], places: &[usize]) -> Vec<Axis> {
    let kept = axes.iter().enumerate().filter(|(at, _)| !places.contains(at));
    kept.map(|(_, axis)| *axis).collect()
}
