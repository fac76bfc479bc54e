//! The variables of each layer class, as the layer's `build()` creates them (`keras/src/layers` of 3.15.1).

use serde_json::Value;

use crate::config::ConfigNode;

/// Layers without variables.
const WITHOUT: [&str; 69] = [
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "CenterCrop",
    "Concatenate",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dot",
    "Dropout",
    "ELU",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "Identity",
    "InputLayer",
    "Lambda",
    "LeakyReLU",
    "Masking",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Permute",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    // Keras 2: operations as layers.
    "SlicingOpLambda",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Subtract",
    "TFOpLambda",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
];

/// A variable that a layer must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) name: &'static str,
    /// The shape in Keras. A side is `None` if it depends on the layer's input shape and the config does not record
    /// that shape (Keras 2 and legacy files).
    pub(crate) shape: Vec<Option<usize>>,
    /// Whether gradient descent changes the variable while its layer is trainable.
    pub(crate) trainable: bool,
}

/// The layer's variables in Keras's order, or the reason why they are unknown.
pub(crate) fn of(node: &ConfigNode<'_>) -> Result<Vec<Needed>, String> {
    if is_custom(node.json) {
        return Err("a class of the user's own".into());
    }
    let layer = Settings(node);
    let variables = match node.class {
        class if WITHOUT.binary_search(&class).is_ok() => return Ok(Vec::new()),
        "Dense" => {
            let units = layer.count("units")?;
            let kernel = vec![layer.input_side(-1), Some(units)];
            with_bias(&layer, vec![needed("kernel", kernel)], Some(units))
        }
        "Embedding" => vec![needed(
            "embeddings",
            vec![Some(layer.count("input_dim")?), Some(layer.count("output_dim")?)],
        )],
        "Conv1D" | "Conv2D" | "Conv3D" => {
            let (groups, filters) = (layer.count_or("groups", 1)?, layer.count("filters")?);
            let inside = match layer.channels() {
                Some(channels) if channels % groups != 0 => {
                    return Err(format!("{groups} groups for {channels} channels"));
                }
                channels => channels.map(|c| c / groups),
            };
            let kernel = layer.kernel(&[inside, Some(filters)])?;
            with_bias(&layer, vec![needed("kernel", kernel)], Some(filters))
        }
        "Conv1DTranspose" | "Conv2DTranspose" | "Conv3DTranspose" => {
            let filters = layer.count("filters")?;
            let kernel = layer.kernel(&[Some(filters), layer.channels()])?;
            with_bias(&layer, vec![needed("kernel", kernel)], Some(filters))
        }
        "DepthwiseConv1D" | "DepthwiseConv2D" => {
            let (channels, multiplier) = (layer.channels(), layer.count_or("depth_multiplier", 1)?);
            let kernel = layer.kernel(&[channels, Some(multiplier)])?;
            let out = channels.and_then(|c| c.checked_mul(multiplier));
            // Keras 3 calls this variable `kernel`; Keras 2's name distinguishes it from an ordinary convolution's in a
            // file without a config. Keras itself loads by order.
            with_bias(&layer, vec![needed("depthwise_kernel", kernel)], out)
        }
        "SeparableConv1D" | "SeparableConv2D" => {
            let (channels, multiplier) = (layer.channels(), layer.count_or("depth_multiplier", 1)?);
            let filters = layer.count("filters")?;
            let depthwise = layer.kernel(&[channels, Some(multiplier)])?;
            let mut pointwise = vec![Some(1); depthwise.len() - 2];
            pointwise.extend([channels.and_then(|c| c.checked_mul(multiplier)), Some(filters)]);
            let kernels = vec![
                needed("depthwise_kernel", depthwise),
                needed("pointwise_kernel", pointwise),
            ];
            with_bias(&layer, kernels, Some(filters))
        }
        "BatchNormalization" | "SyncBatchNormalization" => {
            if layer.is_on("renorm", false) {
                return Err("with `renorm`, which Burn does not have".into());
            }
            let shape = layer.axes()?;
            let mut variables = scale_and_center(&layer, &shape);
            variables.extend(["moving_mean", "moving_variance"].map(|name| Needed {
                trainable: false,
                ..needed(name, shape.clone())
            }));
            variables
        }
        "LayerNormalization" | "GroupNormalization" => {
            if layer.is_on("rms_scaling", false) {
                return Err("with `rms_scaling`".into());
            }
            scale_and_center(&layer, &layer.axes()?)
        }
        "PReLU" => vec![needed("alpha", layer.alpha()?)],
        _ => return Err("an unknown class".into()),
    };
    layer.check_plain()?;
    Ok(variables)
}

fn needed(name: &'static str, shape: Vec<Option<usize>>) -> Needed {
    Needed {
        name,
        shape,
        trainable: true,
    }
}

fn with_bias(layer: &Settings<'_>, mut variables: Vec<Needed>, len: Option<usize>) -> Vec<Needed> {
    if layer.is_on("use_bias", true) {
        variables.push(needed("bias", vec![len]));
    }
    variables
}

fn scale_and_center(layer: &Settings<'_>, shape: &[Option<usize>]) -> Vec<Needed> {
    [("scale", "gamma"), ("center", "beta")]
        .into_iter()
        .filter(|(setting, _)| layer.is_on(setting, true))
        .map(|(_, name)| needed(name, shape.to_vec()))
        .collect()
}

/// Whether a class is the user's own. Keras's own classes have a module of Keras in the config, or, in a legacy config,
/// no module.
fn is_custom(json: &Value) -> bool {
    let text = |key: &str| json.get(key).and_then(Value::as_str);
    match text("module") {
        Some(module) => !(module == "keras" || module.starts_with("keras.")),
        None => text("registered_name").is_some_and(|name| !name.starts_with("keras>")),
    }
}

/// A layer's settings, read strictly.
struct Settings<'a>(&'a ConfigNode<'a>);

impl Settings<'_> {
    fn count(&self, name: &str) -> Result<usize, String> {
        let found = self.0.setting(name).unwrap_or(&Value::Null);
        as_count(found).ok_or_else(|| format!("`{name}` is {found}, expected a count"))
    }

    fn count_or(&self, name: &str, default: usize) -> Result<usize, String> {
        self.0.setting(name).map_or(Ok(default), |_| self.count(name))
    }

    fn is_on(&self, name: &str, default: bool) -> bool {
        self.0.setting(name).and_then(Value::as_bool).unwrap_or(default)
    }

    /// The shape of the layer's input, batch included, if the config has it.
    fn input(&self) -> Option<&Vec<Value>> {
        self.0.json.get("build_config")?.get("input_shape")?.as_array()
    }

    /// One side of the input; -1 is the last.
    fn input_side(&self, axis: i64) -> Option<usize> {
        let sides = self.input()?;
        let index = match usize::try_from(axis) {
            Ok(index) => index,
            Err(_) => sides.len().checked_sub(usize::try_from(axis.unsigned_abs()).ok()?)?,
        };
        as_count(sides.get(index)?)
    }

    fn channels(&self) -> Option<usize> {
        let first = self.0.setting("data_format").and_then(Value::as_str) == Some("channels_first");
        self.input_side(if first { 1 } else { -1 })
    }

    /// The kernel's shape: `kernel_size`, then `channels`.
    fn kernel(&self, channels: &[Option<usize>]) -> Result<Vec<Option<usize>>, String> {
        let rank = ["1D", "2D", "3D"].iter().position(|d| self.0.class.contains(d));
        let rank = rank.map_or(2, |index| index + 1);
        let found = self.0.setting("kernel_size").unwrap_or(&Value::Null);
        let sides: Option<Vec<usize>> = match found {
            Value::Array(sides) => sides.iter().map(as_count).collect(),
            side => as_count(side).map(|side| vec![side; rank]),
        };
        let sides = sides
            .filter(|sides| sides.len() == rank)
            .ok_or_else(|| format!("`kernel_size` is {found}, expected {rank} counts"))?;
        Ok(sides.into_iter().map(Some).chain(channels.iter().copied()).collect())
    }

    /// The input's sides along `axis`, which is one number or a list.
    fn axes(&self) -> Result<Vec<Option<usize>>, String> {
        let found = self.0.setting("axis").unwrap_or(&Value::Null);
        let axes: Option<Vec<i64>> = match found {
            Value::Null => Some(vec![-1]),
            Value::Array(axes) => axes.iter().map(Value::as_i64).collect(),
            axis => axis.as_i64().map(|axis| vec![axis]),
        };
        let mut axes = axes
            .filter(|axes| !axes.is_empty())
            .ok_or_else(|| format!("`axis` is {found}, expected a number or a list of numbers"))?;
        axes.sort_unstable();
        Ok(axes.into_iter().map(|axis| self.input_side(axis)).collect())
    }

    /// The shape of the slopes: one slope for each place of the input, or one along each shared axis.
    fn alpha(&self) -> Result<Vec<Option<usize>>, String> {
        let sides = self
            .input()
            .ok_or("the config has no `build_config` with its input's shape")?;
        let mut shape: Vec<Option<usize>> = sides.iter().skip(1).map(as_count).collect();
        let shared = self.0.setting("shared_axes").and_then(Value::as_array);
        for axis in shared.into_iter().flatten() {
            let side = axis
                .as_u64()
                .and_then(|axis| usize::try_from(axis).ok()?.checked_sub(1));
            let side = side.and_then(|index| shape.get_mut(index));
            *side.ok_or_else(|| format!("`shared_axes` has {axis}, which the input does not have"))? = Some(1);
        }
        Ok(shape)
    }

    /// Refuses quantised layers and layers with `LoRA`, which have other variables.
    fn check_plain(&self) -> Result<(), String> {
        if self.0.setting("lora_rank").is_some_and(|rank| !rank.is_null()) {
            return Err("with LoRA".into());
        }
        if self
            .0
            .setting("quantization_config")
            .is_some_and(|config| !config.is_null())
        {
            return Err("quantised".into());
        }
        let policy = self.0.setting("dtype").unwrap_or(&Value::Null);
        let plain = match policy {
            Value::Object(policy) => {
                let class = policy.get("class_name").and_then(Value::as_str);
                matches!(class, Some("DTypePolicy" | "Policy"))
            }
            Value::String(name) => !name.contains("_from_"),
            _ => true,
        };
        if plain { Ok(()) } else { Err("quantised".into()) }
    }
}

fn as_count(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok().filter(|&count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    type Shapes = Vec<(&'static str, Vec<Option<usize>>)>;

    fn variables(class: &str, config: &Value, input: &Value) -> Result<Shapes, String> {
        let json = json!({"module": "keras.layers", "class_name": class, "config": config,
            "registered_name": null, "build_config": {"input_shape": input}});
        let node = ConfigNode::of(&json).ok_or("no node")?;
        Ok(of(&node)?.into_iter().map(|v| (v.name, v.shape)).collect())
    }

    #[test]
    fn layers_without_variables_are_in_order() {
        assert!(WITHOUT.is_sorted());
        assert_eq!(
            variables("Dropout", &json!({"rate": 0.5}), &json!([null, 3])),
            Ok(vec![])
        );
    }

    #[test]
    fn shapes_are_those_of_build() {
        let some = |shape: &[usize]| shape.iter().copied().map(Some).collect::<Vec<_>>();
        let picture = json!([null, 9, 7, 6]);
        for (class, config, input, expected) in [
            (
                "Dense",
                json!({"units": 4}),
                json!([null, 8, 6]),
                vec![("kernel", some(&[6, 4])), ("bias", some(&[4]))],
            ),
            (
                "Dense",
                json!({"units": 4, "use_bias": false}),
                json!([null, 6]),
                vec![("kernel", some(&[6, 4]))],
            ),
            (
                "Embedding",
                json!({"input_dim": 9, "output_dim": 2}),
                json!([null, 5]),
                vec![("embeddings", some(&[9, 2]))],
            ),
            (
                "Conv2D",
                json!({"filters": 4, "kernel_size": [3, 2], "groups": 2}),
                picture.clone(),
                vec![("kernel", some(&[3, 2, 3, 4])), ("bias", some(&[4]))],
            ),
            (
                "Conv2D",
                json!({"filters": 4, "kernel_size": 3, "data_format": "channels_first", "use_bias": false}),
                picture.clone(),
                vec![("kernel", some(&[3, 3, 9, 4]))],
            ),
            (
                "Conv1DTranspose",
                json!({"filters": 4, "kernel_size": [5]}),
                json!([null, 8, 3]),
                vec![("kernel", some(&[5, 4, 3])), ("bias", some(&[4]))],
            ),
            (
                "DepthwiseConv2D",
                json!({"kernel_size": [3, 3], "depth_multiplier": 2}),
                picture.clone(),
                vec![("depthwise_kernel", some(&[3, 3, 6, 2])), ("bias", some(&[12]))],
            ),
            (
                "SeparableConv2D",
                json!({"filters": 4, "kernel_size": [3, 3], "depth_multiplier": 2}),
                picture.clone(),
                vec![
                    ("depthwise_kernel", some(&[3, 3, 6, 2])),
                    ("pointwise_kernel", some(&[1, 1, 12, 4])),
                    ("bias", some(&[4])),
                ],
            ),
            (
                "SeparableConv1D",
                json!({"filters": 4, "kernel_size": [3], "use_bias": false}),
                json!([null, 8, 3]),
                vec![
                    ("depthwise_kernel", some(&[3, 3, 1])),
                    ("pointwise_kernel", some(&[1, 3, 4])),
                ],
            ),
            (
                "BatchNormalization",
                json!({"axis": 1, "scale": false}),
                picture.clone(),
                vec![
                    ("beta", some(&[9])),
                    ("moving_mean", some(&[9])),
                    ("moving_variance", some(&[9])),
                ],
            ),
            // Keras 2 wrote a list with one number.
            (
                "LayerNormalization",
                json!({"axis": [3], "center": false}),
                picture.clone(),
                vec![("gamma", some(&[6]))],
            ),
            (
                "PReLU",
                json!({"shared_axes": [1, 2]}),
                picture,
                vec![("alpha", some(&[1, 1, 6]))],
            ),
        ] {
            assert_eq!(variables(class, &config, &input), Ok(expected), "{class} {config}");
        }
    }

    #[test]
    fn without_the_inputs_shape_only_its_channels_are_open() {
        let json = json!({"class_name": "Conv2D", "config": {"filters": 4, "kernel_size": [3, 3], "use_bias": false}});
        let node = ConfigNode::of(&json).unwrap();
        assert_eq!(of(&node).unwrap()[0].shape, [Some(3), Some(3), None, Some(4)]);
    }

    #[test]
    fn what_is_not_known_is_refused_with_the_reason() {
        let input = json!([null, 9, 7, 6]);
        for (class, config, part) in [
            ("LSTM", json!({"units": 4}), "unknown class"),
            ("Dense", json!({}), "`units` is null"),
            ("Dense", json!({"units": -1}), "`units` is -1"),
            ("Dense", json!({"units": 4, "lora_rank": 2}), "LoRA"),
            ("Dense", json!({"units": 4, "dtype": "int8_from_float32"}), "quantised"),
            (
                "Dense",
                json!({"units": 4, "dtype": {"class_name": "QuantizedDTypePolicy", "config": {}}}),
                "quantised",
            ),
            ("Conv2D", json!({"filters": 4, "kernel_size": [3]}), "expected 2 counts"),
            (
                "Conv2D",
                json!({"filters": 4, "kernel_size": [3, 3], "groups": 4}),
                "4 groups for 6 channels",
            ),
            ("BatchNormalization", json!({"renorm": true}), "renorm"),
            ("BatchNormalization", json!({"axis": "last"}), "`axis` is \"last\""),
            ("PReLU", json!({"shared_axes": [9]}), "`shared_axes` has 9"),
        ] {
            let error = variables(class, &config, &input).unwrap_err();
            assert!(error.contains(part), "{class} {config}: {error}");
        }
    }

    #[test]
    fn a_class_of_the_users_own_is_not_taken_for_keras_s() {
        for json in [
            json!({"class_name": "Dense", "config": {"units": 3}, "module": null, "registered_name": "toy>Dense"}),
            json!({"class_name": "Dense", "config": {"units": 3}, "module": "my.layers", "registered_name": null}),
        ] {
            let node = ConfigNode::of(&json).unwrap();
            assert_eq!(of(&node), Err("a class of the user's own".into()));
        }
    }
}
