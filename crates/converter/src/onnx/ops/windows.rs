//! Operations that slide a window over a map, or pad and crop it.

use graph::{Conv, Filter, Op, Padding, Pool, PoolKind};
use onnx_ir::NodeProto;

use super::products::linear;
use crate::onnx::graph::{Reader, Value};
use crate::onnx::layout::{Axis, CHANNELS_FIRST, Size, place};
use crate::onnx::node::{attribute, float, groups, int, ints, shown};

impl<'a> Reader<'a> {
    pub(super) fn conv(&mut self, node: &'a NodeProto) -> Result<Value, String> {
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

    pub(super) fn pool(&mut self, node: &'a NodeProto, kind: PoolKind) -> Result<Value, String> {
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

    pub(super) fn pad(&mut self, node: &'a NodeProto) -> Result<Value, String> {
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
            value if value < -1e30 && data.axes == CHANNELS_FIRST => Ok(Value::Bordered(sides, data)),
            value => Err(format!("it pads with {value}")),
        }
    }
}

impl<'a> Reader<'a> {
    /// A map made larger or smaller by looking up the middle of each new pixel. `Resize` has scales or sizes as inputs,
    /// `Upsample` had scales as an attribute or an input.
    pub(super) fn resize(&mut self, node: &'a NodeProto) -> Result<Value, String> {
        let data = self.input(node, 0)?;
        let text = |name: &str| attribute(node, name).map(|found| String::from_utf8_lossy(&found.s).into_owned());
        let sides = [Axis::Height, Axis::Width].map(|axis| data.axes.iter().position(|other| *other == axis));
        let lengths = self.lengths(&data);
        let of = |at: Option<usize>| at.and_then(|at| Some((at, lengths[at]?)));
        let [Some(rows), Some(columns)] = sides.map(of) else {
            return Err("it resizes a map, and the file does not say the size of pictures".into());
        };
        if attribute(node, "axes").is_some() || int(node, "antialias", 0) != 0 {
            return Err("it resizes some axes alone, or smooths first (antialias)".into());
        }
        let stated = if node.op_type == "Upsample" {
            None
        } else {
            self.sizes(node, 3)
        };
        let scales = self.scales(node)?;
        let mut size = [0; 2];
        for (side, (at, length)) in size.iter_mut().zip([rows, columns]) {
            *side = match (stated.as_deref().and_then(|sizes| sizes.get(at)), scales.get(at)) {
                (Some(Size::Known(to)), _) => usize::try_from(*to).unwrap_or_default(),
                // `floor(length * scale)`; a scale such as 2.3333333 is rounded.
                (None, Some(scale)) => (length as f64 * scale + 1e-4) as usize,
                _ => return Err("its size is not known".into()),
            };
        }
        let whole = size[0].is_multiple_of(rows.1) && size[1].is_multiple_of(columns.1);
        let lookup = match &*node.op_type {
            "Upsample" => "asymmetric".to_owned(),
            _ => text("coordinate_transformation_mode").unwrap_or_else(|| "half_pixel".into()),
        };
        let rounding = text("nearest_mode").unwrap_or_else(|| "round_prefer_floor".into());
        let mode = text("mode").unwrap_or_else(|| "nearest".into());
        // Between two pixels, each way to look up and to round finds the same one if every pixel is repeated.
        let filter = match (&*mode, &*lookup, &*rounding) {
            ("nearest", "asymmetric", "floor") if whole => Filter::Nearest,
            ("nearest", "asymmetric", _) if whole && node.op_type == "Upsample" => Filter::Nearest,
            ("nearest", "half_pixel" | "pytorch_half_pixel", "round_prefer_floor" | "round_prefer_ceil") if whole => {
                Filter::Nearest
            }
            ("linear", "half_pixel" | "pytorch_half_pixel", _) if size[0] > 1 && size[1] > 1 => Filter::Bilinear,
            _ => {
                return Err(format!(
                    "it resizes by {}, {}, {}",
                    shown(&mode),
                    shown(&lookup),
                    shown(&rounding)
                ));
            }
        };
        let id = self.add(Op::Resize { size, filter }, &[data.node])?;
        Ok(data.at(id))
    }

    /// The scales of a `Resize` or an `Upsample`; none where sizes are given instead.
    fn scales(&self, node: &NodeProto) -> Result<Vec<f64>, String> {
        if let Some(own) = attribute(node, "scales") {
            return Ok(own.floats.iter().map(|scale| f64::from(*scale)).collect());
        }
        let at = if node.op_type == "Upsample" || node.input.len() < 3 {
            1
        } else {
            2
        };
        match self.value(node, at) {
            Ok(Value::Constant(_)) => self.numbers(&self.constant(node, at)?),
            Ok(_) => Err("its scales are computed".into()),
            Err(_) => Ok(Vec::new()),
        }
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

/// The padding at the end, less than a step, with which rounding down gives the size that `ceil_mode` rounds up to. A
/// maximum never takes this padding, and a mean leaves it out; a mean that counts padding would count this padding,
/// too.
fn rounded_up(window: &Window, counts: bool) -> Result<Padding, String> {
    let [top, left, bottom, right] = match window.padding {
        Padding::Valid => [0; 4],
        Padding::Explicit(pads) => pads,
        // `same` already rounds up.
        Padding::Same => return Ok(Padding::Same),
    };
    let ends = [bottom, right];
    let more = [0, 1].map(|axis| window.stride[axis].saturating_sub(1));
    // ONNX leaves out a window that begins in the padding at the end; the network here would count it.
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
