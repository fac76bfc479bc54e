//! Reads a layer's settings, under the names of all Keras versions.

use graph::{Activation, MAX_CHANNELS, Padding};
use serde_json::Value;

use super::call::constants;

/// `min(max(x, -1), 1)`.
const HARD_TANH: Activation = Activation::Clip { min: -1.0, max: 1.0 };

/// A layer's settings, and the Keras version that wrote them, if the file records it.
#[derive(Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) config: &'a Value,
    pub(super) keras: Option<u32>,
}

impl<'a> Settings<'a> {
    /// The value of the first of these keys that exists; each key is the name in one Keras version. `None` for null.
    pub(super) fn get(self, keys: &[&str]) -> Option<&'a Value> {
        keys.iter()
            .find_map(|key| self.config.get(*key))
            .filter(|value| !value.is_null())
    }

    pub(super) fn text(self, keys: &[&str]) -> Option<&'a str> {
        self.get(keys).and_then(Value::as_str)
    }

    /// How a layer of `model.quantize()` is quantized, such as `int8`: since Keras 3.0 said by its policy.
    pub(super) fn quantization(self) -> Option<&'a str> {
        let policy = self.get(&["dtype"])?;
        let mode = policy.get("config").and_then(|config| config.get("mode"));
        mode.unwrap_or(policy)
            .as_str()
            .filter(|name| mode.is_some() || name.contains("_from_"))
    }

    pub(super) fn is_on(self, keys: &[&str], default: bool) -> bool {
        self.get(keys).and_then(Value::as_bool).unwrap_or(default)
    }

    pub(super) fn number(self, keys: &[&str], default: f64) -> Result<f64, String> {
        let Some(found) = self.get(keys) else {
            return Ok(default);
        };
        match constants(found).as_deref() {
            Some([number]) => Ok(*number),
            _ => Err(wrong(keys, "a number", found)),
        }
    }

    /// One number, or one for each channel.
    pub(super) fn constants(self, keys: &[&str]) -> Result<Option<Vec<f64>>, String> {
        let read = |found| constants(found).ok_or_else(|| wrong(keys, "a number or one for each channel", found));
        self.get(keys).map(read).transpose()
    }

    pub(super) fn count(self, keys: &[&str]) -> Result<usize, String> {
        let found = self.get(keys).unwrap_or(&Value::Null);
        count(found).ok_or_else(|| wrong(keys, "a count", found))
    }

    pub(super) fn count_or(self, keys: &[&str], default: usize) -> Result<usize, String> {
        self.get(keys).map_or(Ok(default), |_| self.count(keys))
    }

    /// Height and width: two numbers, or one number for both.
    pub(super) fn pair(self, keys: &[&str], default: Option<[usize; 2]>) -> Result<[usize; 2], String> {
        let Some(found) = self.get(keys) else {
            return default.ok_or_else(|| wrong(keys, "one or two counts", &Value::Null));
        };
        let pair = match found {
            Value::Array(list) => match list.as_slice() {
                [height, width] => count(height).zip(count(width)),
                _ => None,
            },
            side => count(side).map(|side| (side, side)),
        };
        pair.map(|(height, width)| [height, width])
            .ok_or_else(|| wrong(keys, "one or two counts", found))
    }

    pub(super) fn padding(self) -> Result<Padding, String> {
        let keys = ["padding", "border_mode"];
        match self.text(&keys) {
            Some("valid") => Ok(Padding::Valid),
            Some("same") => Ok(Padding::Same),
            _ => match self.get(&keys) {
                None => Ok(Padding::Valid),
                Some(found) => Err(wrong(&keys, "`valid` or `same`", found)),
            },
        }
    }

    pub(super) fn channels_last(self) -> Result<(), String> {
        match self.text(&["data_format", "dim_ordering"]) {
            None | Some("channels_last" | "tf" | "default") => Ok(()),
            Some(found) => Err(format!(
                "its data format is `{found}`; networks here have channels last, as Keras on TensorFlow does: save the \
                 model with `channels_last`"
            )),
        }
    }

    /// Checks that `axis` is the axis of the channels: -1, or the last axis's number in a map or a vector.
    pub(super) fn channel_axis(self, keys: &[&str], default: i64, is_map: bool) -> Result<(), String> {
        let found = self.get(keys);
        let axis = match found {
            None => Some(default),
            Some(Value::Array(list)) => match list.as_slice() {
                [axis] => axis.as_i64(),
                _ => None,
            },
            Some(axis) => axis.as_i64(),
        };
        let last = if is_map { 3 } else { 1 };
        if axis.is_some_and(|axis| axis == -1 || axis == last) {
            return Ok(());
        }
        let default = Value::from(default);
        Err(wrong(
            keys,
            &format!("-1 or {last}, the channels"),
            found.unwrap_or(&default),
        ))
    }

    /// The activation inside a layer; `None` for `linear`.
    pub(super) fn activation(self) -> Result<Option<Activation>, String> {
        let Some(found) = self.get(&["activation"]) else {
            return Ok(None);
        };
        if let Value::String(name) = found {
            return self.activation_named(name);
        }
        // Keras 3 writes a function as an object with its name, and a layer like any layer.
        let class = found.get("class_name").and_then(Value::as_str).unwrap_or_default();
        match found.get("config") {
            Some(Value::String(name)) => self.activation_named(name),
            Some(config) => Self { config, ..self }
                .activation_layer(class)
                .unwrap_or_else(|| Err(format!("its activation is a {class}, which is not known"))),
            None => Err(wrong(&["activation"], "the name of an activation", found)),
        }
    }

    /// The names of `keras.activations`.
    pub(super) fn activation_named(self, name: &str) -> Result<Option<Activation>, String> {
        Ok(Some(match name {
            "linear" => return Ok(None),
            "relu" => Activation::Relu,
            "relu6" => Activation::Relu6,
            // The slope is 0.2, in `leaky_relu` of `keras/src/activations/activations.py` and in TensorFlow.
            "leaky_relu" => Activation::LeakyRelu { slope: 0.2 },
            // `celu(x, alpha=1)` is `elu(x)`.
            "elu" | "celu" => Activation::Elu { alpha: 1.0 },
            "selu" => Activation::Selu,
            "gelu" => Activation::Gelu { approximate: false },
            "swish" | "silu" => Activation::Swish,
            "hard_swish" | "hard_silu" => Activation::HardSwish,
            "sigmoid" => Activation::Sigmoid,
            "hard_sigmoid" => Activation::HardSigmoid {
                slope: match self.keras {
                    Some(1 | 2) => 0.2,
                    Some(_) => 1.0 / 6.0,
                    None => {
                        return Err(
                            "its activation is hard_sigmoid, of slope 0.2 in Keras 1 and 2 and of 1/6 in Keras 3, and \
                             the file does not say which Keras wrote it"
                                .into(),
                        );
                    }
                },
            },
            "tanh" => Activation::Tanh,
            "softplus" => Activation::Softplus,
            "softsign" => Activation::Softsign,
            "mish" => Activation::Mish,
            "exponential" => Activation::Exponential,
            "hard_tanh" => HARD_TANH,
            "softmax" => Activation::Softmax,
            "log_softmax" => Activation::LogSoftmax,
            _ => return Err(format!("its activation is {name}, which is not known")),
        }))
    }

    /// The activation of a layer or operation class that is an activation with settings of its own; `None` for every
    /// other class.
    pub(super) fn activation_layer(self, class: &str) -> Option<Result<Option<Activation>, String>> {
        let slope = &["negative_slope", "alpha"];
        let some = |activation: Result<Activation, String>| Some(activation.map(Some));
        match class {
            "Activation" => Some(self.activation()),
            "ReLU" => some(self.relu()),
            "LeakyReLU" => some(self.number(slope, 0.3).map(|slope| Activation::LeakyRelu { slope })),
            "LeakyRelu" => some(self.number(slope, 0.2).map(|slope| Activation::LeakyRelu { slope })),
            "ELU" | "Elu" => some(self.number(&["alpha"], 1.0).map(|alpha| Activation::Elu { alpha })),
            "Softmax" => Some(Ok(Some(Activation::Softmax))),
            "LogSoftmax" => Some(Ok(Some(Activation::LogSoftmax))),
            "HardTanh" => some(Ok(HARD_TANH)),
            "Clip" => some(self.clip()),
            "Celu" if self.number(&["alpha"], 1.0) == Ok(1.0) => some(Ok(Activation::Elu { alpha: 1.0 })),
            "Gelu" => some(Ok(Activation::Gelu {
                approximate: self.is_on(&["approximate"], true),
            })),
            "HardSigmoid" => some(Ok(Activation::HardSigmoid { slope: 1.0 / 6.0 })),
            "Relu" | "Relu6" | "Selu" | "Silu" | "Sigmoid" | "Softplus" | "Softsign" | "Tanh" => {
                Some(self.activation_named(&class.to_lowercase()))
            }
            "HardSilu" => some(Ok(Activation::HardSwish)),
            _ => None,
        }
    }

    /// `keras.ops.clip` with numbers for both bounds.
    fn clip(self) -> Result<Activation, String> {
        let bound = |keys: &[&str]| match self.get(keys) {
            Some(_) => self.number(keys, 0.0),
            None => Err(format!("it has no `{}`", keys[0])),
        };
        Ok(Activation::Clip {
            min: bound(&["x_min"])?,
            max: bound(&["x_max"])?,
        })
    }

    fn relu(self) -> Result<Activation, String> {
        let slope = self.number(&["negative_slope"], 0.0)?;
        let threshold = self.number(&["threshold", "theta"], 0.0)?;
        let largest = self
            .get(&["max_value"])
            .map(|_| self.number(&["max_value"], 0.0))
            .transpose()?;
        match (largest, slope == 0.0, threshold == 0.0) {
            (None, true, true) => Ok(Activation::Relu),
            (None, false, true) => Ok(Activation::LeakyRelu { slope }),
            (Some(6.0), true, true) => Ok(Activation::Relu6),
            (Some(max), true, true) if max > 0.0 => Ok(Activation::Clip { min: 0.0, max }),
            _ => Err(format!(
                "it is a ReLU with max_value {}, negative_slope {slope} and threshold {threshold}; known are \
                 max_value alone, negative_slope alone, or none of them",
                largest.map_or_else(|| "null".into(), |largest| largest.to_string())
            )),
        }
    }
}

/// The shape that an input layer, or the first layer of a `Sequential`, states.
pub(super) fn input_shape(config: &Value) -> Option<&[Value]> {
    array(config, "batch_shape").or_else(|| array(config, "batch_input_shape"))
}

pub(super) fn array<'a>(value: &'a Value, key: &str) -> Option<&'a [Value]> {
    value.get(key)?.as_array().map(Vec::as_slice)
}

/// A count in the range of every side and width.
pub(super) fn count(value: &Value) -> Option<usize> {
    let count = usize::try_from(value.as_u64()?).ok()?;
    (1..=MAX_CHANNELS).contains(&count).then_some(count)
}

pub(super) fn wrong(keys: &[&str], expected: &str, found: &Value) -> String {
    let key = keys.first().copied().unwrap_or_default();
    format!("expected {expected} for `{key}`, found {}", shown(found))
}

/// A value for messages, shortened if it is long.
pub(super) fn shown(value: &Value) -> String {
    const SHOWN: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}
