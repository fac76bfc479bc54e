//! The summary: a network as a table.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::error::GraphError;
use crate::graph::{Graph, NodeId};
use crate::op::Op;
use crate::shape::Shape;

/// A network's layers as a table like Keras's `summary()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The network's name.
    pub title: String,
    /// Shape of the input: `[channels, height, width]`.
    pub input: [usize; 3],
    /// One row for each layer, in the order of computation.
    pub rows: Vec<SummaryRow>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// The layer's name.
    pub name: String,
    /// The block that the layer belongs to; `head` after the embedding.
    pub block: String,
    /// The layer's Keras class.
    pub class: &'static str,
    /// Shape of the output without the batch: `[channels, height, width]` or `[features]`.
    pub output: Vec<usize>,
    /// Number of parameters that training changes.
    pub trainable: usize,
    /// Number of running statistics.
    pub non_trainable: usize,
    /// Multiply-adds for one picture. Batch norms, activations and pools are not counted, as usual in the literature.
    pub multiply_adds: u64,
}

impl SummaryRow {
    /// Number of all parameters of the layer.
    pub fn params(&self) -> usize {
        self.trainable + self.non_trainable
    }
}

impl Summary {
    /// Number of all parameters: 22,910,480 for Keras's Xception.
    pub fn params(&self) -> usize {
        self.rows.iter().map(SummaryRow::params).sum()
    }

    /// Number of parameters that training changes: 22,855,952 for Keras's Xception.
    pub fn trainable_params(&self) -> usize {
        self.rows.iter().map(|row| row.trainable).sum()
    }

    /// Multiply-adds for one picture: 8.4 billion for Keras's Xception at 299 x 299.
    pub fn multiply_adds(&self) -> u64 {
        self.rows
            .iter()
            .fold(0, |sum: u64, row| sum.saturating_add(row.multiply_adds))
    }
}

impl Graph {
    /// A table of layers, output shapes, parameters and multiply-adds for a picture of this height and width.
    ///
    /// # Errors
    ///
    /// Those of [`shapes`](Self::shapes).
    pub fn summary(&self, size: [usize; 2]) -> Result<Summary, GraphError> {
        let shapes = self.shapes(size)?;
        let outputs = self.layer_outputs();
        let mut rows = Vec::new();
        for (id, node) in self.iter() {
            let silent = matches!(node.op, Op::Input { .. } | Op::Dropout { .. });
            if silent || outputs[node.layer.0] != Some(id) {
                continue;
            }
            let layer = self.layer(node.layer);
            let mut row = SummaryRow {
                name: layer.name.clone(),
                block: layer.block.clone(),
                class: self.keras_class(node.layer),
                output: shapes[id.0].to_vec(),
                trainable: 0,
                non_trainable: 0,
                multiply_adds: 0,
            };
            // The nodes of a layer stand together, except in unusual files.
            for (part, member) in self.iter().take(id.0 + 1).rev().take(8) {
                if member.layer != node.layer {
                    continue;
                }
                for (kind, shape) in member.op.parameters() {
                    let count = shape.into_iter().fold(1, usize::saturating_mul);
                    let total = if kind.is_trainable() {
                        &mut row.trainable
                    } else {
                        &mut row.non_trainable
                    };
                    *total = total.saturating_add(count);
                }
                row.multiply_adds = row.multiply_adds.saturating_add(self.multiply_adds(part, &shapes));
            }
            rows.push(row);
        }
        Ok(Summary {
            title: self.title.clone(),
            input: [self.in_channels(), size[0], size[1]],
            rows,
        })
    }

    /// Multiply-adds of a node for one picture.
    pub fn multiply_adds(&self, id: NodeId, shapes: &[Shape]) -> u64 {
        let outputs = shapes[id.0].values() as u64;
        let each = match &self.node(id).op {
            Op::Conv(conv) => conv.channels[0] / conv.groups * conv.kernel[0] * conv.kernel[1],
            Op::Dense(dense) => dense.features[0],
            _ => 0,
        };
        outputs.saturating_mul(each as u64)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RULE: usize = 94;
        let [channels, height, width] = self.input;
        writeln!(
            f,
            "{}, input {channels} x {height} x {width} (channels x height x width)",
            self.title
        )?;
        writeln!(f, "{:-<RULE$}", "")?;
        writeln!(
            f,
            "{:<44}  {:<16}{:>14}{:>18}",
            "Layer (class)", "Output shape", "Parameters", "Multiply-adds"
        )?;
        for block in self.rows.chunk_by(|a, b| a.block == b.block) {
            writeln!(f, "{:-<RULE$}", "")?;
            for row in block {
                let shape: Vec<String> = row.output.iter().map(ToString::to_string).collect();
                writeln!(
                    f,
                    "{:<44}  {:<16}{:>14}{:>18}",
                    format!("{} ({})", row.name, row.class),
                    shape.join(" x "),
                    grouped(row.params() as u64),
                    grouped(row.multiply_adds)
                )?;
            }
        }
        let (total, trainable) = (self.params(), self.trainable_params());
        writeln!(f, "{:-<RULE$}", "")?;
        writeln!(f, "Parameters           {:>16}", grouped(total as u64))?;
        writeln!(f, "  trainable          {:>16}", grouped(trainable as u64))?;
        writeln!(f, "  running statistics {:>16}", grouped((total - trainable) as u64))?;
        write!(f, "Multiply-adds        {:>16}", grouped(self.multiply_adds()))
    }
}

/// `22910480` as `22,910,480`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(22_910_480), "22,910,480");
    }
}
