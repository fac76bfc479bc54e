//! The shape of every output, for pictures of one size.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::GraphError;
use crate::graph::Graph;
use crate::op::{Op, ScaleShift};

/// Values of one output of one picture: 4 GiB in single precision. VGG-16 at 4096 x 4096 reaches it.
const MAX_VALUES: usize = 1 << 30;

/// The shape of an output without the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Channels, height and width.
    Map([usize; 3]),
    /// Features.
    Vector(usize),
}

impl Shape {
    /// Channels or features.
    pub const fn channels(self) -> usize {
        match self {
            Self::Map([channels, ..]) | Self::Vector(channels) => channels,
        }
    }

    /// Height and width; 1 x 1 for a vector.
    pub const fn size(self) -> [usize; 2] {
        match self {
            Self::Map([_, height, width]) => [height, width],
            Self::Vector(_) => [1; 2],
        }
    }

    /// The number of values, at most `usize::MAX`.
    pub const fn values(self) -> usize {
        let [height, width] = self.size();
        self.channels().saturating_mul(height).saturating_mul(width)
    }

    /// `[channels, height, width]` or `[features]`.
    pub fn to_vec(self) -> Vec<usize> {
        match self {
            Self::Map(sides) => sides.to_vec(),
            Self::Vector(features) => alloc::vec![features],
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map([channels, height, width]) => write!(f, "{channels} x {height} x {width}"),
            Self::Vector(features) => write!(f, "{features}"),
        }
    }
}

impl Graph {
    /// The shape of every node's output for a picture of this height and width.
    ///
    /// # Errors
    ///
    /// Names the layer whose input does not fit: the picture is too small, the channels differ, or a map is too large.
    pub fn shapes(&self, size: [usize; 2]) -> Result<Vec<Shape>, GraphError> {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.nodes.len());
        for (id, node) in self.iter() {
            let inputs: Vec<Shape> = node.inputs.iter().map(|input| shapes[input.0]).collect();
            let shape = node.op.output_shape(&inputs, size);
            shapes.push(shape.map_err(|problem| GraphError::layer(&self.layer_of(id).name, problem))?);
        }
        Ok(shapes)
    }

    /// The smallest square picture that every operation accepts, as the length of its side; `None` if it is larger than
    /// `most`.
    pub fn smallest_size(&self, most: usize) -> Option<usize> {
        // An operation that accepts a size accepts every larger one, unless a dense layer fixes the size.
        (1..=most).find(|&side| self.shapes([side; 2]).is_ok())
    }
}

impl Op {
    /// The shape of the output for inputs of these shapes and a picture of this height and width.
    ///
    /// # Errors
    ///
    /// Why the operation cannot take these inputs.
    pub fn output_shape(&self, inputs: &[Shape], size: [usize; 2]) -> Result<Shape, String> {
        let shape = shape(self, inputs, size)?;
        if shape.values() > MAX_VALUES {
            return Err(format!("its output {shape} has more than {MAX_VALUES} values"));
        }
        Ok(shape)
    }
}

fn shape(op: &Op, inputs: &[Shape], [height, width]: [usize; 2]) -> Result<Shape, String> {
    let map = |at: usize| match inputs.get(at) {
        Some(Shape::Map(sides)) => Ok(*sides),
        Some(Shape::Vector(features)) => Err(format!(
            "a {} reads a feature map, and its input is a vector of {features}",
            op.name()
        )),
        None => Err(format!("a {} without an input", op.name())),
    };
    let first = inputs.first().copied();
    let any = || first.ok_or_else(|| format!("a {} without an input", op.name()));
    match op {
        Op::Input { channels } => Ok(Shape::Map([*channels, height, width])),
        Op::Conv(conv) => {
            let [channels, ..] = map(0)?;
            fits(channels, conv.channels[0])?;
            let size = window(map(0)?, conv.kernel, conv.stride, conv.dilation, conv.padding)?;
            Ok(Shape::Map([conv.channels[1], size[0], size[1]]))
        }
        Op::Pool(pool) => {
            let [channels, ..] = map(0)?;
            let size = window(map(0)?, pool.window, pool.stride, pool.dilation, pool.padding)?;
            Ok(Shape::Map([channels, size[0], size[1]]))
        }
        Op::BatchNorm(norm) => {
            fits(any()?.channels(), norm.channels)?;
            any()
        }
        Op::Activation(_) | Op::Dropout { .. } | Op::LayerNorm { .. } => any(),
        Op::GroupNorm { groups, .. } => {
            let channels = any()?.channels();
            if !channels.is_multiple_of(*groups) {
                return Err(format!("its {groups} groups do not divide {channels} channels"));
            }
            any()
        }
        Op::Resize {
            size: [height, width], ..
        } => {
            let [channels, ..] = map(0)?;
            Ok(Shape::Map([channels, *height, *width]))
        }
        Op::ScaleShift(ScaleShift { scale, shift }) => {
            for constants in [scale, shift] {
                if constants.len() != 1 {
                    fits(any()?.channels(), constants.len())?;
                }
            }
            any()
        }
        Op::GlobalPool(pool) => {
            let [channels, ..] = map(0)?;
            Ok(if pool.keep_dims {
                Shape::Map([channels, 1, 1])
            } else {
                Shape::Vector(channels)
            })
        }
        Op::Flatten { .. } => Ok(Shape::Vector(any()?.values())),
        Op::ToMap => match any()? {
            Shape::Vector(features) => Ok(Shape::Map([features, 1, 1])),
            map @ Shape::Map([_, 1, 1]) => Ok(map),
            Shape::Map([channels, height, width]) => Err(format!(
                "it makes a map of 1 x 1 of a vector, and its input is {channels} x {height} x {width}"
            )),
        },
        Op::Dense(dense) => match any()? {
            Shape::Vector(features) | Shape::Map([features, 1, 1]) => {
                fits(features, dense.features[0])?;
                Ok(Shape::Vector(dense.features[1]))
            }
            Shape::Map([channels, height, width]) => Err(format!(
                "a dense layer reads a vector, and its input is {channels} x {height} x {width}"
            )),
        },
        Op::Pad {
            pads: [top, left, bottom, right],
        } => {
            let [channels, height, width] = map(0)?;
            Ok(Shape::Map([channels, height + top + bottom, width + left + right]))
        }
        Op::Crop { crops } => cropped(map(0)?, *crops),
        Op::Add => {
            let shape = any()?;
            match inputs.iter().find(|input| **input != shape) {
                Some(other) => Err(format!("its inputs are {shape} and {other}; they must be equal")),
                None => Ok(shape),
            }
        }
        Op::Multiply => product(inputs),
        Op::Concat => concatenation(inputs),
        Op::Take { channels } => taken(any()?, channels),
    }
}

/// The output of a crop by so much at the top, left, bottom and right.
fn cropped([channels, height, width]: [usize; 3], [top, left, bottom, right]: [usize; 4]) -> Result<Shape, String> {
    let left_over = |side: usize, crops: usize| side.checked_sub(crops).filter(|left| *left > 0);
    match (left_over(height, top + bottom), left_over(width, left + right)) {
        (Some(rows), Some(columns)) => Ok(Shape::Map([channels, rows, columns])),
        _ => Err(format!(
            "it cuts {} rows and {} columns off a map of {height} x {width}",
            top + bottom,
            left + right
        )),
    }
}

/// The output of an operation that takes some channels.
fn taken(input: Shape, channels: &[usize]) -> Result<Shape, String> {
    if let Some(missing) = channels.iter().find(|channel| **channel >= input.channels()) {
        let found = input.channels();
        return Err(format!(
            "it takes the channel {missing}, counted from 0, and its input has {found}"
        ));
    }
    Ok(match input {
        Shape::Map([_, height, width]) => Shape::Map([channels.len(), height, width]),
        Shape::Vector(_) => Shape::Vector(channels.len()),
    })
}

/// The output of a product.
fn product(inputs: &[Shape]) -> Result<Shape, String> {
    match inputs {
        [one, two] if one == two => Ok(*one),
        [map @ Shape::Map([channels, ..]), Shape::Map([factors, 1, 1])]
        | [Shape::Map([factors, 1, 1]), map @ Shape::Map([channels, ..])]
            if channels == factors =>
        {
            Ok(*map)
        }
        [one, two] => Err(format!(
            "it multiplies {one} by {two}; they must be equal, or one of them 1 x 1 with as many channels"
        )),
        _ => Err(format!("it has {} inputs; a product has two", inputs.len())),
    }
}

/// The output of a concatenation.
fn concatenation(inputs: &[Shape]) -> Result<Shape, String> {
    let Some(&first) = inputs.first() else {
        return Err("concatenation of nothing".into());
    };
    let mut channels = 0_usize;
    for input in inputs {
        let alike = matches!(
            (first, input),
            (Shape::Map(_), Shape::Map(_)) | (Shape::Vector(_), Shape::Vector(_))
        );
        if !alike || first.size() != input.size() {
            return Err(format!(
                "it concatenates {first} and {input}; their sizes must be equal"
            ));
        }
        channels = channels.saturating_add(input.channels());
    }
    Ok(match first {
        Shape::Map([_, height, width]) => Shape::Map([channels, height, width]),
        Shape::Vector(_) => Shape::Vector(channels),
    })
}

fn fits(found: usize, expected: usize) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("it takes {expected} channels, and its input has {found}"))
    }
}

/// Height and width of the output of a window that slides over a map.
fn window(
    [_, height, width]: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: crate::op::Padding,
) -> Result<[usize; 2], String> {
    let side = |axis: usize, size: usize| {
        let overflow = || format!("its padding of {padding:?} overflows");
        let [before, after] = padding
            .along(axis, size, kernel[axis], stride[axis], dilation[axis])
            .ok_or_else(overflow)?;
        let padded = size
            .checked_add(before)
            .and_then(|size| size.checked_add(after))
            .ok_or_else(overflow)?;
        let reach = (kernel[axis] - 1) * dilation[axis] + 1;
        if padded < reach {
            return Err(format!(
                "its window of {reach} does not fit into a side of {padded}: the picture is too small"
            ));
        }
        Ok((padded - reach) / stride[axis] + 1)
    };
    Ok([side(0, height)?, side(1, width)?])
}
