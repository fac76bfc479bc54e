//! Fully-connected layers and norms.

use graph::{BatchNorm, Dense, Op, ScaleShift};
use onnx_ir::NodeProto;

use crate::onnx::graph::{Reader, Value};
use crate::onnx::layout::{Axis, CHANNELS_FIRST, PIXEL, is_pixel, order, place};
use crate::onnx::node::{float, int};
use crate::onnx::tensor::Constant;
use crate::onnx::weights::{Linear, Weights};

impl<'a> Reader<'a> {
    pub(super) fn dense(&mut self, node: &'a NodeProto) -> Result<Value, String> {
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

    pub(super) fn norm(&mut self, node: &'a NodeProto) -> Result<Value, String> {
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

    /// Layer norm over the channels, if they are the last axis. Factor and term are constants.
    pub(super) fn layer_norm(&mut self, node: &'a NodeProto) -> Result<Value, String> {
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

    /// A norm over all places of each channel or of each group of channels, with a factor and a term for each channel.
    /// Before version 21, a group norm has a factor and a term for each group.
    pub(super) fn group_norm(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let (rows, data) = match self.value(node, 0)? {
            Value::Grouped(rows, data) => (Some(rows), data),
            _ => (None, self.input(node, 0)?),
        };
        let at = data.axes.iter().position(|axis| *axis == Axis::Channels);
        let channels = at.and_then(|at| self.lengths(&data)[at]);
        let channels = channels.ok_or("the number of its channels is not known")?;
        let is_map = data.axes == CHANNELS_FIRST || data.axes == PIXEL;
        let (is_group, stated) = (node.op_type == "GroupNormalization", int(node, "num_groups", 1));
        let groups = match (is_group, rows) {
            (true, None) if is_map => usize::try_from(stated).unwrap_or_default(),
            (false, Some(rows)) => rows,
            (false, None) if is_map => channels,
            _ => return Err(format!("a norm over the axes {:?}", data.axes)),
        };
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(format!("its {groups} groups do not divide {channels} channels"));
        }
        let left = self.budget.checked_sub(channels.saturating_mul(2));
        self.budget = left.ok_or("its graph has more constants than any network")?;
        let [scale, shift] = [
            self.repeated(node, 1, channels, groups)?,
            self.repeated(node, 2, channels, groups)?,
        ];
        let epsilon = float(node, "epsilon", 1e-5);
        let id = self.add(Op::GroupNorm { groups, epsilon }, &[data.node])?;
        let is_plain = scale.iter().all(|scale| (scale - 1.0).abs() < 1e-9) && shift.iter().all(|shift| *shift == 0.0);
        let id = if is_plain {
            id
        } else {
            self.add(Op::ScaleShift(ScaleShift { scale, shift }), &[id])?
        };
        Ok(match (rows, data.at(id)) {
            (Some(rows), Value::Data(data)) => Value::Grouped(rows, data),
            (_, value) => value,
        })
    }

    /// A constant for each channel, from one for each channel or for each group of channels.
    fn repeated(&self, node: &NodeProto, at: usize, channels: usize, groups: usize) -> Result<Vec<f64>, String> {
        if let Ok(Value::Filled(number)) = self.value(node, at) {
            return Ok(vec![number; channels]);
        }
        let constant = self.constant(node, at)?;
        let count = constant.count().unwrap_or(0);
        if count != channels && count != groups {
            return Err(format!(
                "a constant of the shape {:?} for {groups} groups of {channels} channels",
                constant.dims
            ));
        }
        let numbers = self.numbers(&constant)?;
        Ok(numbers
            .into_iter()
            .flat_map(|number| std::iter::repeat_n(number, channels / count))
            .collect())
    }
}

pub(super) fn linear(kernel: Constant, bias: Option<Constant>, times: [f64; 2]) -> Weights {
    let factor = None;
    Weights::Linear(Box::new(Linear {
        kernel,
        bias,
        factor,
        times,
    }))
}
