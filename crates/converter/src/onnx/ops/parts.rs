//! Operations that take parts: they crop maps or choose channels.

use graph::{ChannelOrder, Op, slice_indices};
use onnx_ir::NodeProto;

use crate::onnx::graph::{Data, Reader, Value};
use crate::onnx::layout::{Axis, Size, VECTOR, place};
use crate::onnx::node::int;

/// An end is open from this number on: tf2onnx writes 10^9, other programs the largest number of their type.
const OPEN: i64 = 1_000_000_000;

impl<'a> Reader<'a> {
    /// A part of a map: without its borders, or some of its channels.
    pub(super) fn slice(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let mut data = self.input(node, 0)?;
        let lengths = self.lengths(&data);
        let numbers = |name: &str, at: usize| self.integers(node, name, at);
        let (starts, ends) = numbers("starts", 1)
            .zip(numbers("ends", 2))
            .ok_or("the part that it takes is not known")?;
        let axes = numbers("axes", 3).unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = numbers("steps", 4).unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return Err("it takes a part of axes that it does not name".into());
        }
        let mut crops = [0; 4];
        for (((axis, start), end), step) in axes.iter().zip(&starts).zip(&ends).zip(&steps) {
            let at = place(*axis, data.axes.len()).ok_or("it takes a part of an axis that is not there")?;
            let side = match data.axes[at] {
                Axis::Channels => {
                    let count = lengths[at].ok_or("the number of its channels is not known")?;
                    let channels = slice_indices([Some(*start), Some(*end), Some(*step)], count);
                    data = self.take(data, channels.ok_or("it takes no channel")?)?;
                    continue;
                }
                Axis::Height => 0,
                Axis::Width => 1,
                // tf2onnx names every axis.
                _ if (*start, *step) == (0, 1) && *end >= OPEN => continue,
                other => return Err(format!("it takes a part of the axis {other:?}")),
            };
            // Only a start counted from the start and an end counted from the end crop pictures of every size.
            let before = usize::try_from(*start).ok().filter(|_| *step == 1);
            let behind = match *end {
                end if end < 0 => usize::try_from(end.unsigned_abs()).ok(),
                end => lengths[at]
                    .is_some_and(|length| usize::try_from(end).is_ok_and(|end| end >= length))
                    .then_some(0)
                    .or((end >= OPEN).then_some(0)),
            };
            let (before, behind) = before
                .zip(behind)
                .ok_or("the part that it takes depends on the picture's size, or has steps")?;
            (crops[side], crops[side + 2]) = (before, behind);
        }
        if crops == [0; 4] {
            return Ok(Value::Data(data));
        }
        let id = self.add(Op::Crop { crops }, &[data.node])?;
        Ok(data.at(id))
    }

    /// Chooses channels by their numbers.
    pub(super) fn gather(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let mut data = self.input(node, 0)?;
        let dims = match self.value(node, 1)? {
            Value::Constant(constant) => constant.dims,
            _ => vec![1],
        };
        let at = place(int(node, "axis", 0), data.axes.len());
        // `x[:, :, 0, 0]` of a map of one pixel.
        if let (Some(at), "Gather", true) = (at, &*node.op_type, dims.is_empty())
            && data.axes[at] == Axis::One
            && matches!(self.number(node, 1), Some(0.0 | -1.0))
        {
            data.axes.remove(at);
            if data.axes == VECTOR {
                data.node = self.as_vector(data.node, ChannelOrder::ChannelsLast)?;
            }
            return Ok(Value::Data(data));
        }
        let at = at.filter(|at| data.axes[*at] == Axis::Channels);
        let at = at.ok_or("it takes parts of another axis than the channels")?;
        // `GatherND` takes whole channels if each of its indices is one number.
        if node.op_type == "GatherND" && (dims.len() != 2 || dims[1] != 1 || int(node, "batch_dims", 0) != 0) {
            return Err("it takes single values".into());
        }
        let count = self.lengths(&data)[at].ok_or("the number of its channels is not known")?;
        let numbers = self
            .integers(node, "indices", 1)
            .ok_or("the channels that it takes are not known")?;
        let channels: Option<Vec<usize>> = numbers.iter().map(|number| place(*number, count)).collect();
        let channels = channels.ok_or("it takes a channel that its input does not have")?;
        // PyTorch's exporter writes `as_strided` of one pixel as all its channels in a row; the indices have the axes.
        if let ([Axis::Channels], [1, ..], "Gather") = (&data.axes[..], &dims[..], &*node.op_type) {
            let is_whole = channels.iter().copied().eq(0..count) && dims.iter().filter(|side| **side != 1).count() <= 1;
            let place = dims.iter().rposition(|side| *side == count);
            let place = place
                .filter(|_| is_whole)
                .ok_or("it puts channels into another order")?;
            data.axes = vec![Axis::One; dims.len()];
            data.axes[0] = Axis::Batch;
            data.axes[place] = Axis::Channels;
            return Ok(Value::Data(data));
        }
        data = self.take(data, channels)?;
        // An index without an axis removes the axis.
        if dims.is_empty() {
            data.axes.remove(at);
        }
        Ok(Value::Data(data))
    }

    /// Reverses the channels. tf2onnx writes `tf.reverse` with a length for each row, here the length of the whole row.
    pub(super) fn reverse(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let data = self.input(node, 0)?;
        let at = place(int(node, "time_axis", 0), data.axes.len()).filter(|at| data.axes[*at] == Axis::Channels);
        let at = at.ok_or("it turns another axis around than the channels")?;
        let count = self.lengths(&data)[at].ok_or("the number of its channels is not known")?;
        let lengths = self.sizes(node, 1).unwrap_or_default();
        let whole = Size::Known(i64::try_from(count).unwrap_or(i64::MAX));
        if lengths.is_empty() || lengths.iter().any(|length| *length != whole) {
            return Err("it turns a part of the channels around".into());
        }
        self.take(data, (0..count).rev().collect()).map(Value::Data)
    }

    /// The parts of the channels, one value for each output.
    pub(super) fn split(&mut self, node: &'a NodeProto) -> Result<Vec<Value>, String> {
        let data = self.input(node, 0)?;
        let at = place(int(node, "axis", 0), data.axes.len()).filter(|at| data.axes[*at] == Axis::Channels);
        let at = at.ok_or("it splits along another axis than the channels")?;
        let count = self.lengths(&data)[at].ok_or("the number of its channels is not known")?;
        let parts = node.output.len().max(1);
        let equal = || vec![i64::try_from(count.div_ceil(parts)).unwrap_or(i64::MAX); parts];
        let lengths = self.integers(node, "split", 1).unwrap_or_else(equal);
        let mut values = Vec::with_capacity(lengths.len());
        let mut begin = 0_usize;
        for length in &lengths {
            let end = usize::try_from(*length)
                .ok()
                .and_then(|length| begin.checked_add(length));
            let end = end.map(|end| end.min(count)).filter(|end| *end > begin);
            let end = end.ok_or("it splits its channels into other parts than it names")?;
            values.push(Value::Data(self.take(data.clone(), (begin..end).collect())?));
            begin = end;
        }
        if begin != count || values.len() != parts {
            return Err("it splits its channels into other parts than it names".into());
        }
        Ok(values)
    }

    fn take(&mut self, data: Data, channels: Vec<usize>) -> Result<Data, String> {
        let id = self.add(Op::Take { channels }, &[data.node])?;
        Ok(Data {
            node: id,
            curve: None,
            is_private: true,
            ..data
        })
    }
}
