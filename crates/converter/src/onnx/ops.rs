//! Translates each ONNX operation into operations of a network.

mod axes;
mod constants;
mod elementwise;
mod parts;
mod products;
mod windows;

use graph::{Activation, Op, PoolKind};
use onnx_ir::NodeProto;

use super::graph::{Reader, Value};
use super::layout::permuted;
use super::node::{float, int, ints, shown};

impl<'a> Reader<'a> {
    /// The values that a node outputs; only a `Split` has several that a network reads.
    pub(super) fn step(&mut self, node: &'a NodeProto) -> Result<Vec<Value>, String> {
        if node.op_type == "Split" && matches!(self.value(node, 0), Ok(Value::Data(_))) {
            return self.split(node);
        }
        self.only_output(node).map(|value| vec![value])
    }

    /// The only value that any other node outputs.
    pub(super) fn only_output(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        if node.domain.starts_with("com.microsoft") && !node.op_type.starts_with("QLinear") {
            return Err(format!(
                "an operation of `{}`, which ONNX Runtime puts into files that it optimized for itself; use the file \
                 that this one was made of",
                shown(&node.domain)
            ));
        }
        if [
            "QuantizeLinear",
            "DequantizeLinear",
            "DynamicQuantizeLinear",
            "MatMulInteger",
        ]
        .contains(&&*node.op_type)
            || node.op_type.starts_with("QLinear")
        {
            return Err("it is quantized; export the model as it was before it was quantized".into());
        }
        if !matches!(&*node.domain, "" | "ai.onnx") {
            return Err(format!("an operation of `{}`, which is not known", shown(&node.domain)));
        }
        let of_pictures = |value: Value| {
            !matches!(
                value,
                Value::Constant(_) | Value::Filled(_) | Value::Sizes(_) | Value::Pairs(_)
            )
        };
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
            "Slice" => self.slice(node),
            "Gather" | "GatherND" => self.gather(node),
            "ReverseSequence" => self.reverse(node),
            "PRelu" => self.prelu(node),
            "LayerNormalization" => self.layer_norm(node),
            "InstanceNormalization" | "GroupNormalization" => self.group_norm(node),
            "Resize" | "Upsample" => self.resize(node),
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
            "Softmax" => self.softmax(node, Activation::Softmax),
            "LogSoftmax" => self.softmax(node, Activation::LogSoftmax),
            "ReduceL2" => self.norm_of(node),
            "LpNormalization" => self.normalized(node),
            "Dropout" => {
                let rate = self.number(node, 1).unwrap_or_else(|| float(node, "ratio", 0.5));
                let data = self.input(node, 0)?;
                let id = self.add(Op::Dropout { rate }, &[data.node])?;
                Ok(data.at(id))
            }
            _ => self.elementwise(node),
        }
    }
}
