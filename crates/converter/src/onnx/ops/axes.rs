//! Operations that remove axes or join maps.

use graph::{Activation, ChannelOrder, GlobalPool, Op, PoolKind, ScaleShift};
use onnx_ir::NodeProto;

use crate::onnx::graph::{Data, Reader, SoftmaxStep, Value};
use crate::onnx::layout::{Axis, CHANNELS_FIRST, Reshaped, Size, VECTOR, is_pixel, order, place, reshape};
use crate::onnx::node::int;

impl<'a> Reader<'a> {
    /// A mean or maximum over axes.
    pub(super) fn reduce(&mut self, node: &'a NodeProto, kind: PoolKind) -> Result<Value, String> {
        let mut data = match self.value(node, 0)? {
            Value::Halved(half, data) if half == kind => data,
            Value::Grouped(rows, data) => return self.reduce_rows(node, kind, rows, data),
            Value::Stacked(at, values) => return self.reduce_stack(node, kind, at, &values),
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
            // `x.mean(3).mean(2)` drops one side after the other.
            if !keeps {
                data.axes = without(&data.axes, &places);
            }
            return Ok(Value::Halved(kind, data));
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

    /// A mean or maximum over all places of each channel: `x.flatten(2).mean(2)`.
    fn reduce_rows(&mut self, node: &'a NodeProto, kind: PoolKind, rows: usize, data: Data) -> Result<Value, String> {
        let axes = self.integers(node, "axes", 1).unwrap_or_default();
        let is_last = matches!(axes[..], [-1 | 2]) && node.op_type.starts_with("Reduce");
        let channels = self.lengths(&data)[1];
        if !is_last || channels != Some(rows) {
            return Err("it is over more than the places of each channel".into());
        }
        let id = self.add(Op::GlobalPool(GlobalPool { kind, keep_dims: false }), &[data.node])?;
        let keeps = int(node, "keepdims", 1) != 0;
        let axes = if keeps {
            vec![Axis::Batch, Axis::Channels, Axis::One]
        } else {
            VECTOR.to_vec()
        };
        Ok(Data { axes, ..data }.at(id))
    }

    /// The mean of several values: `torch.stack(values).mean(0)`.
    fn reduce_stack(&mut self, node: &NodeProto, kind: PoolKind, at: usize, values: &[Data]) -> Result<Value, String> {
        let first = values.first().ok_or("it has no inputs")?.clone();
        let axes = self.integers(node, "axes", 1).unwrap_or_default();
        let is_stack = matches!(axes[..], [only] if place(only, first.axes.len() + 1) == Some(at));
        if !is_stack || kind != PoolKind::Average || int(node, "keepdims", 1) != 0 {
            return Err("it is no mean of the values that were put beside each other".into());
        }
        let inputs = self.alike(values)?;
        let sum = self.add(Op::Add, &inputs)?;
        let mean = ScaleShift::new(1.0 / values.len() as f64, 0.0);
        let id = self.add(Op::ScaleShift(mean), &[sum])?;
        Ok(first.at(id))
    }

    /// The rows of a reshape of a map to `[batch, rows, -1]`, if they divide its channels.
    fn rows(&self, node: &NodeProto, data: &Data) -> Option<usize> {
        if data.axes != CHANNELS_FIRST {
            return None;
        }
        let [_, channels, height, width] = self.lengths(data)[..] else {
            return None;
        };
        let channels = channels?;
        let batch = self.batch.map(|batch| Size::Known(batch as i64));
        let is_batch = |size: Size| matches!(size, Size::Batch | Size::Known(0)) || Some(size) == batch;
        let (rows, length) = match self.sizes(node, 1)?[..] {
            [first, Size::Known(rows), Size::Known(length)] if is_batch(first) => (rows, length),
            _ => return None,
        };
        let rows = if rows == 0 {
            channels
        } else {
            usize::try_from(rows).ok()?
        };
        let values = || channels.checked_mul(height?)?.checked_mul(width?);
        let is_rest = |length| {
            let named = rows.checked_mul(length);
            named.is_some_and(|named| Some(named) == values())
        };
        let is_rest = length == -1 || usize::try_from(length).is_ok_and(is_rest);
        (is_rest && rows > 0 && channels.is_multiple_of(rows)).then_some(rows)
    }

    pub(super) fn reshape(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        if let (Value::Grouped(_, data), "Reshape") = (self.value(node, 0)?, &*node.op_type) {
            let back = self
                .sizes(node, 1)
                .and_then(|target| reshape(&data.axes, &self.lengths(&data), &target));
            return match back {
                Some(Reshaped::Renamed(axes)) if axes == data.axes => Ok(Value::Data(data)),
                _ => Err("it puts groups of channels into an order that no network here has".into()),
            };
        }
        let mut data = self.input(node, 0)?;
        if let ("Reshape", Some(rows)) = (&*node.op_type, self.rows(node, &data)) {
            return Ok(Value::Grouped(rows, data));
        }
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
                // One channel without its axis gets it back.
                let is_plane = [Axis::Height, Axis::Width].iter().all(|side| renamed.contains(side));
                let mut is_plane = is_plane && !renamed.contains(&Axis::Channels);
                for place in places {
                    let added = if std::mem::take(&mut is_plane) {
                        Axis::Channels
                    } else {
                        Axis::One
                    };
                    renamed.insert(place.min(renamed.len()), added);
                }
                Some(Reshaped::Renamed(renamed))
            }
            "Reshape" => {
                let target = self.sizes(node, 1);
                // One pixel of one picture, as its channels in a row.
                let is_row = target.as_deref() == Some(&[Size::Known(-1)]);
                if is_row && self.batch == Some(1) && is_pixel(&data.axes) {
                    data.node = self.as_vector(data.node, ChannelOrder::ChannelsLast)?;
                    data.axes = vec![Axis::Channels];
                    return Ok(Value::Data(data));
                }
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

    pub(super) fn concat(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let parts: Vec<Data> = (0..node.input.len())
            .map(|at| self.input(node, at))
            .collect::<Result<_, _>>()?;
        let first = parts.first().ok_or("it has no inputs")?.clone();
        let at = place(int(node, "axis", 1), first.axes.len());
        let axis = at.map(|at| first.axes[at]);
        if let (Some(at), Some(Axis::One), [_, _, ..]) = (at, axis, &parts[..])
            && parts.iter().all(|part| part.axes == first.axes)
        {
            let values = parts.into_iter().map(|part| Data {
                axes: without(&part.axes, &[at]),
                ..part
            });
            return Ok(Value::Stacked(at, values.collect()));
        }
        if axis != Some(Axis::Channels) || parts.iter().any(|part| part.axes != first.axes) {
            return Err(format!(
                "it concatenates along the axis {axis:?}, not along the channels"
            ));
        }
        if parts.len() == 1 {
            return Ok(Value::Data(first));
        }
        let inputs = self.alike(&parts)?;
        let Some(chosen) = self.graph.chosen_channels(&inputs) else {
            let id = self.add(Op::Concat, &inputs)?;
            return Ok(first.at(id));
        };
        let channels = chosen.channels;
        let mut id = self.add(Op::Take { channels }, &[chosen.source])?;
        if let Some(constants) = chosen.constants {
            id = self.add(Op::ScaleShift(constants), &[id])?;
        }
        Ok(first.at(id))
    }

    pub(super) fn softmax(&mut self, node: &'a NodeProto, activation: Activation) -> Result<Value, String> {
        let mut imports = self.model.opset_import.iter();
        let opset = imports
            .find(|import| import.domain.is_empty())
            .map_or(0, |import| import.version);
        let data = self.input(node, 0)?;
        let axis = place(int(node, "axis", if opset < 13 { 1 } else { -1 }), data.axes.len()).map(|at| data.axes[at]);
        let is_last = data.axes.last() == Some(&Axis::Channels);
        // Before version 13, a softmax runs over all axes from this axis on.
        if axis != Some(Axis::Channels) || opset < 13 && !is_last && !is_pixel(&data.axes) {
            return Err(format!("a softmax over the axis {axis:?}"));
        }
        let id = self.add(Op::Activation(activation), &[data.node])?;
        Ok(data.at(id))
    }

    /// The length of each vector, or of each pixel of a map: the first step of a normalization to the length 1.
    pub(super) fn norm_of(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let data = self.input(node, 0)?;
        self.check_channels(node, &data, "norm")?;
        Ok(Value::Length(data))
    }

    /// `LpNormalization`.
    pub(super) fn normalized(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let data = self.input(node, 0)?;
        let axis = place(int(node, "axis", -1), data.axes.len()).map(|at| data.axes[at]);
        match (int(node, "p", 2), axis) {
            (2, Some(Axis::Channels)) => self.unit(data),
            (order, axis) => Err(format!("a norm of the order {order} over the axis {axis:?}")),
        }
    }

    /// `x / sqrt(sum(x * x))` over the channels, as a layer norm: the mean of x and -x together is 0, and their
    /// variance is the mean of `x * x`.
    pub(super) fn unit(&mut self, data: Data) -> Result<Value, String> {
        /// The usual lower bound of the sum; here it is added.
        const LEAST: f64 = 1e-24;

        let at = data.axes.iter().position(|axis| *axis == Axis::Channels);
        let count = at.and_then(|at| self.lengths(&data)[at]);
        let count = count.ok_or("the number of its channels is not known")?;
        let negative = self.add(Op::ScaleShift(ScaleShift::new(-1.0, 0.0)), &[data.node])?;
        let both = self.add(Op::Concat, &[data.node, negative])?;
        let epsilon = LEAST / count as f64;
        let normed = self.add(Op::LayerNorm { epsilon }, &[both])?;
        let half = Op::Take {
            channels: (0..count).collect(),
        };
        let half = self.add(half, &[normed])?;
        let id = self.add(
            Op::ScaleShift(ScaleShift::new(1.0 / (count as f64).sqrt(), 0.0)),
            &[half],
        )?;
        Ok(data.at(id))
    }

    /// A sum over the channels, which must be the second last step of a softmax.
    pub(super) fn softmax_sum(&self, node: &NodeProto) -> Result<Value, String> {
        let Value::Softmax(SoftmaxStep::Exponential, data) = self.value(node, 0)? else {
            return Err("a sum that is no step of a softmax".into());
        };
        self.check_channels(node, &data, "sum")?;
        Ok(Value::Softmax(SoftmaxStep::Sum, data))
    }

    /// A reduction over the channels alone, which keeps their axis.
    fn check_channels(&self, node: &NodeProto, data: &Data, what: &str) -> Result<(), String> {
        let axes = self.integers(node, "axes", 1).unwrap_or_default();
        let [Some(place)] = axes
            .iter()
            .map(|axis| place(*axis, data.axes.len()))
            .collect::<Vec<_>>()[..]
        else {
            return Err(format!("a {what} that is not over one axis"));
        };
        if data.axes[place] != Axis::Channels || int(node, "keepdims", 1) == 0 {
            return Err(format!("a {what} that is not over the channels"));
        }
        Ok(())
    }
}

/// The axes that remain.
fn without(axes: &[Axis], places: &[usize]) -> Vec<Axis> {
    let kept = axes.iter().enumerate().filter(|(at, _)| !places.contains(at));
    kept.map(|(_, axis)| *axis).collect()
}
