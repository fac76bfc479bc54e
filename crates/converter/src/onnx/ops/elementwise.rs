//! Operations on each value alone.

use graph::{Activation, NodeId, Op, ScaleShift};
use onnx_ir::NodeProto;

use crate::onnx::curve;
use crate::onnx::graph::{Data, Reader, SoftmaxStep, Value};
use crate::onnx::layout::{Axis, broadcast};
use crate::onnx::node::{attribute, float};
use crate::onnx::tensor::Constant;
use crate::onnx::weights::Weights;

impl<'a> Reader<'a> {
    /// `max(x, 0) - slope * max(-x, 0)`, with a slope for each channel.
    pub(super) fn prelu(&mut self, node: &'a NodeProto) -> Result<Value, String> {
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

    /// An operation on each number, or on each pair of numbers.
    pub(super) fn elementwise(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let (op, at) = (&*node.op_type, self.at);
        let first = self.value(node, 0)?;
        if let (Value::Softmax(SoftmaxStep::Difference, data), "Exp") = (&first, op) {
            return Ok(Value::Softmax(SoftmaxStep::Exponential, data.clone()));
        }
        // A lower bound keeps the next step from dividing by 0; `Expand` repeats the length.
        if let (Value::Length(data), "Clip" | "Max" | "Add" | "Expand") = (&first, op) {
            let bound = match op {
                "Clip" => self.number(node, 1).unwrap_or_else(|| float(node, "min", 0.0)),
                "Expand" => 0.0,
                _ => self.number(node, 1).ok_or("its second input is not known")?,
            };
            if !(0.0..=1e-6).contains(&bound) {
                return Err(format!(
                    "the length of a vector is at least {bound}, which no network here computes"
                ));
            }
            return Ok(Value::Length(data.clone()));
        }
        // In newer versions, the bounds are inputs.
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
            (Value::Data(one), Value::Length(two)) if op == "Div" && is_value(&one, &two) => self.unit(two),
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
    pub(super) fn sum(&mut self, node: &'a NodeProto) -> Result<Value, String> {
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
        let mut inputs = self.alike(&values)?;
        if let Op::Multiply = op {
            self.repeat_numbers(&mut inputs)?;
        }
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

    /// Repeats one number for all channels for each of them, as a product does.
    fn repeat_numbers(&mut self, inputs: &mut [NodeId]) -> Result<(), String> {
        let counts: Vec<Option<usize>> = inputs.iter().map(|input| self.channels(*input)).collect();
        let most = counts.iter().flatten().copied().max().unwrap_or(1);
        for (input, _) in inputs
            .iter_mut()
            .zip(counts)
            .filter(|(_, count)| most > 1 && *count == Some(1))
        {
            *input = self.add(
                Op::Take {
                    channels: vec![0; most],
                },
                &[*input],
            )?;
        }
        Ok(())
    }

    /// A scale or shift after a convolution or dense layer: the rest of a folded norm, or a bias.
    pub(super) fn folded(&mut self, node: &NodeProto, at: usize, data: &Data) -> Option<Value> {
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
    pub(super) fn scaled(&mut self, node: &'a NodeProto, data: usize, constant: usize) -> Result<Value, String> {
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
            _ => return Err("it neither multiplies by nor adds a constant".into()),
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

/// Whether the first value is the second value, unchanged.
fn is_value(one: &Data, two: &Data) -> bool {
    one.curve.is_none() && one.node == two.node && one.axes == two.axes
}
