//! Constants, shapes, and the operands that must be constant.

use onnx_ir::NodeProto;

use crate::onnx::curve;
use crate::onnx::graph::{Reader, Value};
use crate::onnx::layout::{Axis, Size, place};
use crate::onnx::node::{attribute, float, int, ints, shown};
use crate::onnx::tensor::{self, Constant, Place};

/// Longest shape that is tracked.
const MAX_SIZES: usize = 64;

impl Reader<'_> {
    pub(super) fn constant_node(&self, node: &NodeProto) -> Result<Value, String> {
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
    pub(super) fn shape(&self, node: &NodeProto) -> Result<Value, String> {
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

    /// The result of an operation on only constants and shapes.
    pub(super) fn computed(&mut self, node: &NodeProto) -> Result<Value, String> {
        let first = self.value(node, 0)?;
        let sizes = |at: usize| self.sizes(node, at);
        let is_reversed = || [1, 4].map(|at| self.number(node, at)) == [Some(-1.0); 2];
        Ok(match (&*node.op_type, first) {
            ("Reshape", Value::Sizes(whole)) if is_pairs(sizes(1).as_deref(), whole.len()) => {
                Value::Pairs(whole.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
            }
            ("Slice", Value::Pairs(pairs)) if is_reversed() && self.number(node, 2) < Some(-1e9) => {
                Value::Pairs(pairs.into_iter().rev().collect())
            }
            ("Transpose", Value::Pairs(pairs)) => {
                let columns = [0, 1].map(|column| pairs.iter().map(|pair| pair[column]).collect::<Vec<_>>());
                Value::Sizes(columns.concat())
            }
            (_, Value::Pairs(_)) => return Err("a constant in an unknown shape".into()),
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
                /// `INT64` of `TensorProto.DataType`.
                const INT64: i32 = 7;

                let value = attribute(node, "value").and_then(|value| value.t.as_ref());
                let count = match sizes(0).as_deref() {
                    Some([Size::Known(count)]) => usize::try_from(*count).ok().filter(|count| *count <= MAX_SIZES),
                    _ => None,
                };
                // Whole numbers in a row: a part of the padding of `F.pad`.
                if let (Some(value), Some(count)) = (value.filter(|value| value.data_type == INT64), count)
                    && let Some(number) = tensor::scalar(value).filter(|number| number.fract() == 0.0)
                {
                    return Ok(Value::Sizes(vec![Size::Known(number as i64); count]));
                }
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
                    return Err("a slice of a shape with a step other than 1".into());
                }
                Value::Sizes(part(&sizes(0).ok_or("no shape")?, start, end))
            }
            ("Concat", _) => {
                let parts: Option<Vec<_>> = (0..node.input.len().min(MAX_SIZES)).map(sizes).collect();
                let whole = parts
                    .map(|parts| parts.concat())
                    .filter(|whole| whole.len() <= MAX_SIZES);
                Value::Sizes(whole.ok_or("it concatenates constants other than short shapes")?)
            }
            (op, first) => {
                let function = curve::unary(op, |name, default| float(node, name, default), false);
                match (function, curve::binary(op), self.number(node, 0), self.number(node, 1)) {
                    (Some(function), _, Some(number), _) => Value::Filled(function(number)),
                    (_, Some(function), Some(one), Some(two)) => Value::Filled(function(one, two)),
                    _ if matches!(first, Value::Sizes(_)) => Value::Sizes(vec![Size::Unknown]),
                    _ => return Err("it computes with constants in an unknown way".into()),
                }
            }
        })
    }

    pub(super) fn sizes(&self, node: &NodeProto, at: usize) -> Option<Vec<Size>> {
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

    /// The integers of an attribute; in newer versions, of an input.
    pub(super) fn integers(&self, node: &NodeProto, name: &str, at: usize) -> Option<Vec<i64>> {
        let known = |size: &Size| match size {
            Size::Known(size) => Some(*size),
            _ => None,
        };
        let own = ints(node, name).map(<[i64]>::to_vec);
        own.or_else(|| self.sizes(node, at)?.iter().map(known).collect())
    }

    /// The value of a constant that is one number.
    pub(super) fn number(&self, node: &NodeProto, at: usize) -> Option<f64> {
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

    pub(super) fn numbers(&self, constant: &Constant) -> Result<Vec<f64>, String> {
        tensor::numbers(self.model, self.path, constant)
    }

    /// A floating-point constant whose values are in the file.
    pub(super) fn constant(&self, node: &NodeProto, at: usize) -> Result<Constant, String> {
        let name = node.input.get(at).map_or("", String::as_str);
        let Ok(Value::Constant(constant)) = self.value(node, at) else {
            return Err(format!("its input `{}` is no constant of the file", shown(name)));
        };
        let stored = tensor::proto(self.model, constant.place).ok_or("a constant is missing")?;
        tensor::dims(stored, self.path).map_err(|problem| format!("constant {} {problem}", shown(&constant.name)))?;
        Ok(constant)
    }

    /// A constant with one number for each of `channels`; `None` if all are 0.
    pub(super) fn bias(&self, node: &NodeProto, at: usize, channels: usize) -> Result<Option<Constant>, String> {
        match self.value(node, at) {
            Err(_) if node.input.get(at).is_none_or(String::is_empty) => Ok(None),
            Ok(Value::Filled(0.0)) => Ok(None),
            _ => self.per_channel(node, at, channels).map(Some),
        }
    }

    pub(super) fn per_channel(&self, node: &NodeProto, at: usize, channels: usize) -> Result<Constant, String> {
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
}

/// A part of a shape; positions may be counted from the end.
fn part(sizes: &[Size], start: i64, end: i64) -> Vec<Size> {
    let rank = sizes.len() as i64;
    let bound = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    sizes.get(bound(start)..bound(end)).unwrap_or_default().to_vec()
}

/// Whether a Reshape puts this many sizes into rows of two.
fn is_pairs(target: Option<&[Size]>, count: usize) -> bool {
    count.is_multiple_of(2) && matches!(target, Some([Size::Known(-1), Size::Known(2)]))
}
