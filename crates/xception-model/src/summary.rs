use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::config::{LayerKind, MIN_INPUT, Pool, Pooling, Relu, SeparableOrder, Shortcut, Stage, XceptionConfig};
use crate::error::InputError;

/// What a network is made of, as a table like Keras's `summary()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Shape of the input: `[channels, height, width]`.
    pub input: [usize; 3],
    /// One row a layer, in the order of computation.
    pub rows: Vec<SummaryRow>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// Its Keras name.
    pub name: String,
    /// The block it belongs to; `head` after the last feature map.
    pub block: String,
    /// Its Keras class.
    pub class: &'static str,
    /// Shape of its output without the batch: `[channels, height, width]` or `[features]`.
    pub output: Vec<usize>,
    /// Weights that training changes.
    pub trainable: usize,
    /// Running statistics.
    pub non_trainable: usize,
    /// Multiplications followed by an addition, for one picture; what batch norms, activations and pools do is not
    /// counted, as in the literature.
    pub multiply_adds: u64,
}

impl SummaryRow {
    /// All of the layer's parameters.
    pub fn params(&self) -> usize {
        self.trainable + self.non_trainable
    }
}

impl Summary {
    pub(crate) fn new(config: &XceptionConfig, height: usize, width: usize) -> Result<Self, InputError> {
        if height.min(width) < MIN_INPUT {
            return Err(InputError::TooSmall { height, width });
        }
        let mut walk = Walk {
            rows: Vec::new(),
            block: String::new(),
            size: [height, width],
        };
        for stage in config.stages() {
            walk.stage(&stage, config.order);
        }
        walk.head(config);
        Ok(Self {
            input: [config.in_channels, height, width],
            rows: walk.rows,
        })
    }

    /// All parameters: 22,910,480 for `XceptionConfig::new()`.
    pub fn params(&self) -> usize {
        self.rows.iter().map(SummaryRow::params).sum()
    }

    /// Parameters that training changes: 22,855,952 for `XceptionConfig::new()`.
    pub fn trainable_params(&self) -> usize {
        self.rows.iter().map(|row| row.trainable).sum()
    }

    /// Multiply-adds for one picture: 8.4 billion for `XceptionConfig::new()` at 299 x 299.
    pub fn multiply_adds(&self) -> u64 {
        self.rows.iter().map(|row| row.multiply_adds).sum()
    }
}

impl XceptionConfig {
    /// Parameters of the network that this makes, running statistics among them.
    pub fn num_params(&self) -> usize {
        Summary::new(self, MIN_INPUT, MIN_INPUT).map_or(0, |summary| summary.params())
    }

    /// The names of every layer's output and of every block's, in the order of computation.
    pub(crate) fn stage_names(&self) -> Vec<String> {
        let rows = Summary::new(self, MIN_INPUT, MIN_INPUT).map_or_else(|_| Vec::new(), |summary| summary.rows);
        let mut names: Vec<String> = Vec::with_capacity(rows.len() + 2);
        for block in rows.chunk_by(|a, b| a.block == b.block) {
            names.extend(block.iter().map(|row| row.name.clone()));
            if let [.., last] = block
                && last.block != HEAD
                && last.name != last.block
            {
                names.push(last.block.clone());
            }
        }
        names
    }
}

const HEAD: &str = "head";

/// A walk through the table of stages with the size of the feature map.
struct Walk {
    rows: Vec<SummaryRow>,
    block: String,
    size: [usize; 2],
}

impl Walk {
    fn push(&mut self, name: String, class: &'static str, output: &[usize], trainable: usize, non_trainable: usize) {
        self.rows.push(SummaryRow {
            name,
            block: self.block.clone(),
            class,
            output: output.to_vec(),
            trainable,
            non_trainable,
            multiply_adds: 0,
        });
    }

    /// A layer whose every weight is used once at every position of the output.
    fn conv(&mut self, name: String, class: &'static str, channels: usize, weights: usize) {
        let [height, width] = self.size;
        self.push(name, class, &[channels, height, width], weights, 0);
        if let Some(row) = self.rows.last_mut() {
            row.multiply_adds = (weights * height * width) as u64;
        }
    }

    fn plain(&mut self, name: String, class: &'static str, channels: usize) {
        let [height, width] = self.size;
        self.push(name, class, &[channels, height, width], 0, 0);
    }

    fn norm(&mut self, layer: &str, channels: usize) {
        let [height, width] = self.size;
        let output = [channels, height, width];
        self.push(
            format!("{layer}_bn"),
            "BatchNormalization",
            &output,
            2 * channels,
            2 * channels,
        );
    }

    fn stage(&mut self, stage: &Stage, order: SeparableOrder) {
        self.block.clone_from(&stage.name);
        if let Shortcut::Projection { stride } = stage.shortcut {
            let name = format!("{}_residual", stage.name);
            let (channels_in, channels_out) = (stage.in_channels(), stage.out_channels());
            let size = self.size;
            self.size = size.map(|side| side.div_ceil(stride));
            self.conv(name.clone(), "Conv2D", channels_out, channels_in * channels_out);
            self.norm(&name, channels_out);
            self.size = size;
        }
        for layer in &stage.layers {
            let [channels_in, channels_out] = layer.channels;
            if layer.relu == Relu::Before {
                self.plain(format!("{}_act", layer.name), "Activation", channels_in);
            }
            match layer.kind {
                LayerKind::Conv { stride } => {
                    self.size = self.size.map(|side| (side - 3) / stride + 1);
                    self.conv(
                        layer.name.clone(),
                        "Conv2D",
                        channels_out,
                        9 * channels_in * channels_out,
                    );
                }
                LayerKind::Separable { .. } => {
                    let depthwise = match order {
                        SeparableOrder::DepthwiseFirst => channels_in,
                        SeparableOrder::PointwiseFirst => channels_out,
                    };
                    let weights = 9 * depthwise + channels_in * channels_out;
                    self.conv(layer.name.clone(), "SeparableConv2D", channels_out, weights);
                }
            }
            self.norm(&layer.name, channels_out);
            if layer.relu == Relu::After {
                self.plain(format!("{}_act", layer.name), "Activation", channels_out);
            }
        }
        if let Some(Pool { stride, .. }) = stage.pool {
            self.size = self.size.map(|side| side.div_ceil(stride));
            self.plain(format!("{}_pool", stage.name), "MaxPooling2D", stage.out_channels());
        }
        if stage.shortcut != Shortcut::Absent {
            self.plain(stage.name.clone(), "Add", stage.out_channels());
        }
    }

    fn head(&mut self, config: &XceptionConfig) {
        self.block = HEAD.to_string();
        let mut features = config.embedding_len();
        match config.pooling {
            Pooling::Average => self.push("avg_pool".to_string(), "GlobalAveragePooling2D", &[features], 0, 0),
            Pooling::Max => self.push("max_pool".to_string(), "GlobalMaxPooling2D", &[features], 0, 0),
            Pooling::None => {}
        }
        if !config.include_top {
            return;
        }
        let hidden = config.hidden_layers.iter().enumerate();
        let dense = hidden
            .map(|(index, &width)| (format!("hidden_{index}"), width))
            .chain([("predictions".to_string(), config.num_classes)]);
        for (name, width) in dense {
            self.push(name, "Dense", &[width], features * width + width, 0);
            if let Some(row) = self.rows.last_mut() {
                row.multiply_adds = (features * width) as u64;
            }
            features = width;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RULE: usize = 94;
        let [channels, height, width] = self.input;
        writeln!(
            f,
            "Xception, input {channels} x {height} x {width} (channels x height x width)"
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

    #[test]
    fn totals_are_the_papers() {
        let full = Summary::new(&XceptionConfig::new(), 299, 299).unwrap();
        assert_eq!(full.params(), 22_910_480);
        assert_eq!(full.trainable_params(), 22_855_952);
        let without_top = Summary::new(&XceptionConfig::new().with_include_top(false), 299, 299).unwrap();
        assert_eq!(without_top.params(), 20_861_480);
    }
}
