//! Fully-connected layers and norms.

use graph::{BatchNorm, Dense, Op, ScaleShift};
use onnx_ir::NodeProto;

use crate::onnx::graph::{Reader, Value};
use crate::onnx::layout::{Axis, is_pixel, order, place};
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
