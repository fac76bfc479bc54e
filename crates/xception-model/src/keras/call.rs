//! The arguments of a layer's calls, in the formats of all Keras versions.

use serde_json::Value;

/// An argument: a tensor, or numbers written into the config.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand<T> {
    Tensor(T),
    /// One number, or one for each channel.
    Constant(Vec<f64>),
}

/// A tensor, as a call names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// The layer's name.
    pub(super) layer: &'a str,
    /// The number of the layer's call.
    pub(super) call: usize,
    /// Which of the layer's outputs.
    pub(super) output: usize,
}

/// The arguments of one call: `["name", 0, 0, {..}]` in Keras 1 and 2, `keras_history` in Keras 3. A model's inputs and
/// outputs are written in the same way.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    /// In the order in which they are given.
    pub(super) operands: Vec<Operand<Reference<'a>>>,
    /// Whether the layer is called with `training=True`.
    pub(super) training: bool,
    /// Whether Keras 3 wrote the call.
    pub(super) is_keras3: bool,
    /// The target type of a cast.
    pub(super) dtype: Option<&'a str>,
}

/// In Keras 2, marks a first argument that is not a tensor: `["_CONSTANT_VALUE", -1, 1.0, {"y": [..]}]`
/// (`_CONSTANT_VALUE` in `keras/engine/functional.py` of 2.15).
const CONSTANT: &str = "_CONSTANT_VALUE";

impl<'a> Call<'a> {
    pub(super) fn of(arguments: &'a Value) -> Self {
        let mut call = Self::default();
        call.argument(arguments);
        call
    }

    /// The tensors.
    pub(super) fn tensors(&self) -> Vec<Reference<'a>> {
        let tensor = |operand: &Operand<Reference<'a>>| match operand {
            Operand::Tensor(tensor) => Some(*tensor),
            Operand::Constant(_) => None,
        };
        self.operands.iter().filter_map(tensor).collect()
    }

    /// The recursion is bounded: `serde_json` reads at most 128 levels.
    fn argument(&mut self, value: &'a Value) {
        if let Some(constant) = constants(value) {
            self.operands.push(Operand::Constant(constant));
            return;
        }
        match value {
            Value::Array(list) => match list.as_slice() {
                [Value::String(layer), node, tensor, rest @ ..] if node.is_u64() && tensor.is_u64() => {
                    let [call, output] = [node, tensor].map(|number| {
                        let number = number.as_u64().and_then(|number| usize::try_from(number).ok());
                        number.unwrap_or(usize::MAX)
                    });
                    self.operands.push(Operand::Tensor(Reference { layer, call, output }));
                    self.all(rest);
                }
                [Value::String(name), _, rest @ ..] if name == CONSTANT => self.all(rest),
                list => self.all(list),
            },
            Value::Object(map) => {
                if let Some(history) = map.get("config").and_then(|config| config.get("keras_history")) {
                    return self.argument(history);
                }
                self.is_keras3 |= map.contains_key("args") && map.contains_key("kwargs");
                for (key, value) in map {
                    self.training |= key == "training" && value.as_bool() == Some(true);
                    if key == "dtype" {
                        self.dtype = value.as_str();
                    }
                    self.argument(value);
                }
            }
            _ => {}
        }
    }

    fn all(&mut self, values: &'a [Value]) {
        for value in values {
            self.argument(value);
        }
    }
}

/// The argument of a call with this name; in Keras 3 also the one at this place.
pub(super) fn argument<'a>(call: &'a Value, name: &str, place: usize) -> Option<&'a Value> {
    let found = match call {
        Value::Object(map) => {
            let named = map.get("kwargs").and_then(|named| named.get(name));
            named.or_else(|| map.get("args")?.get(place))
        }
        Value::Array(list) => match list.as_slice() {
            [Value::String(_), _, _, named, ..] => named.get(name),
            [Value::String(_), ..] | [] => None,
            [inner, ..] => argument(inner, name, place),
        },
        _ => None,
    };
    found.filter(|found| !found.is_null())
}

/// One number, or one for each channel (the last axis). `value` may be a number, a list, a list within lists of length
/// one, or a NumPy array as Keras 3 writes it. `None` for anything else.
pub(super) fn constants(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Number(number) => Some(vec![number.as_f64()?]),
        Value::Array(list) => match list.as_slice() {
            [inner @ Value::Array(_)] => constants(inner),
            [] => None,
            list => list.iter().map(Value::as_f64).collect(),
        },
        Value::Object(map) => {
            let class = map.get("class_name")?.as_str()?;
            if !["__numpy__", "__tensor__", "__ndarray__"].contains(&class) {
                return None;
            }
            constants(map.get("config")?.get("value")?)
        }
        _ => None,
    }
}

/// Layers for which Keras 3 records `training=True`, the default of their `call`, even if they were called without it.
/// `predict` replaces this value (`operation_fn` in `keras/src/models/functional.py`, 3.0 to 3.15). For other layers,
/// the user has written the value: calling the model obeys it, and `predict` does not.
pub(super) fn notes_training(class: &str) -> bool {
    const OTHERS: [&str; 11] = [
        "AugMix",
        "AutoContrast",
        "CenterCrop",
        "ContrastLimitedAdaptiveHistogramEqualization",
        "CutMix",
        "Equalization",
        "MaxNumBoundingBoxes",
        "MixUp",
        "RandAugment",
        "Resizing",
        "Solarization",
    ];
    class.starts_with("Random") || OTHERS.contains(&class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn operands(value: &Value) -> Vec<Operand<String>> {
        let owned = |operand: Operand<Reference<'_>>| match operand {
            Operand::Tensor(tensor) => Operand::Tensor(tensor.layer.to_owned()),
            Operand::Constant(values) => Operand::Constant(values),
        };
        Call::of(value).operands.into_iter().map(owned).collect()
    }

    fn tensor(name: &str) -> Operand<String> {
        Operand::Tensor(name.to_owned())
    }

    #[test]
    fn the_order_of_arguments_is_kept() {
        let keras3 = |name: &str| {
            json!({
                "class_name": "__keras_tensor__",
                "config": {"shape": [null, 8, 8, 3], "dtype": "float32", "keras_history": [name, 0, 0]},
            })
        };
        let array = json!({"class_name": "__numpy__", "config": {"value": [1.0, 2.0, 3.0], "dtype": "float32"}});
        for (arguments, expected) in [
            (
                json!([[["a", 0, 0, {}], ["b", 0, 0, {}]]]),
                vec![tensor("a"), tensor("b")],
            ),
            (
                json!([["a", 0, 0, {"y": 127.5, "name": null}]]),
                vec![tensor("a"), Operand::Constant(vec![127.5])],
            ),
            (
                json!([["_CONSTANT_VALUE", -1, 1.0, {"y": ["a", 0, 0], "name": null}]]),
                vec![Operand::Constant(vec![1.0]), tensor("a")],
            ),
            (
                json!([{"args": [1.0, keras3("a")], "kwargs": {}}]),
                vec![Operand::Constant(vec![1.0]), tensor("a")],
            ),
            (
                json!([{"args": [keras3("a"), array], "kwargs": {}}]),
                vec![tensor("a"), Operand::Constant(vec![1.0, 2.0, 3.0])],
            ),
            (
                json!([{"args": [[keras3("a"), keras3("b")]], "kwargs": {"training": false}}]),
                vec![tensor("a"), tensor("b")],
            ),
        ] {
            assert_eq!(operands(&arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn a_call_in_training_is_noticed() {
        assert!(Call::of(&json!([["a", 0, 0, {"training": true}]])).training);
        assert!(!Call::of(&json!([["a", 0, 0, {"training": false}]])).training);
        let keras3 = json!([{"args": [["a", 0, 0]], "kwargs": {"training": true}}]);
        let call = Call::of(&keras3);
        assert!(call.training && call.is_keras3);
        assert_eq!(operands(&keras3), [tensor("a")]);
    }

    #[test]
    fn constants_are_numbers_along_the_last_axis() {
        assert_eq!(constants(&json!([[[1, 2, 3]]])), Some(vec![1.0, 2.0, 3.0]));
        assert_eq!(constants(&json!([[1], [2]])), None);
        assert_eq!(constants(&json!(["a", 0, 0])), None);
        assert_eq!(constants(&json!([])), None);
    }
}
