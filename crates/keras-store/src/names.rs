//! Names of classes, groups and variables across Keras's versions.

use std::cmp::Ordering;

use crate::config::ConfigNode;

/// Classes whose groups in a bare `.weights.h5` are recognised by their name, because this crate knows the names of
/// their variables.
const CLASSES: [&str; 24] = [
    "BatchNormalization",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "EinsumDense",
    "Embedding",
    "Functional",
    "GRUCell",
    "GroupNormalization",
    "InputLayer",
    "LSTMCell",
    "LayerNormalization",
    "Normalization",
    "PReLU",
    "SeparableConv1D",
    "SeparableConv2D",
    "Sequential",
    "SimpleRNNCell",
];

/// What a class does with its variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Kernels `[spatial.., in, out]`, or `[spatial.., out, in]` when transposed.
    Conv,
    /// Kernels `[spatial.., channels, multiplier]`.
    Depthwise,
    /// A depthwise kernel and a pointwise one.
    Separable,
    /// Kernels with the same layout in Burn: `Dense`, `EinsumDense`, the recurrent cells.
    Plain,
    Normalization,
    Embedding,
    /// All other classes, including the user's own.
    Other,
}

pub(crate) fn kind(class: &str) -> Kind {
    match class {
        "Conv1D"
        | "Conv2D"
        | "Conv3D"
        | "Conv1DTranspose"
        | "Conv2DTranspose"
        | "Conv3DTranspose"
        | "Convolution1D"
        | "Convolution2D"
        | "Convolution3D"
        | "Convolution1DTranspose"
        | "Convolution2DTranspose"
        | "Convolution3DTranspose" => Kind::Conv,
        "DepthwiseConv1D" | "DepthwiseConv2D" => Kind::Depthwise,
        "SeparableConv1D" | "SeparableConv2D" | "SeparableConvolution1D" | "SeparableConvolution2D" => Kind::Separable,
        "Dense" | "EinsumDense" | "GRUCell" | "LSTMCell" | "SimpleRNNCell" => Kind::Plain,
        "BatchNormalization" | "LayerNormalization" | "GroupNormalization" | "SyncBatchNormalization" => {
            Kind::Normalization
        }
        "Embedding" => Kind::Embedding,
        _ => Kind::Other,
    }
}

/// Names for the `count` variables `vars/0`, `vars/1`, ... of a Keras 3 layer: the names of the class if it is known
/// and the count agrees, otherwise the numbers.
pub(crate) fn variables(class: Option<&str>, config: Option<&ConfigNode<'_>>, count: usize) -> Vec<String> {
    // A setting that the config lacks has Keras's default.
    let on = |setting: &str| config.map(|c| c.setting(setting).and_then(serde_json::Value::as_bool).unwrap_or(true));
    let class = class.unwrap_or_default();
    let names: &[&str] = match (class, kind(class)) {
        ("BatchNormalization" | "SyncBatchNormalization", _) => {
            match (on("scale"), on("center"), count) {
                (Some(true), Some(true), _) | (None, None, 4) => &["gamma", "beta", "moving_mean", "moving_variance"],
                (Some(true), Some(false), _) => &["gamma", "moving_mean", "moving_variance"],
                // Without a config, three of the four: the norms of Inception V3 and Inception-ResNet V2 leave out the
                // scale (`scale=False` in `keras/src/applications`), and no network of Keras's leaves out the centre.
                (Some(false), Some(true), _) | (None, None, 3) => &["beta", "moving_mean", "moving_variance"],
                (Some(false), Some(false), _) | (None, None, 2) => &["moving_mean", "moving_variance"],
                _ => &[],
            }
        }
        (_, Kind::Normalization) => match (on("scale"), on("center"), count) {
            (Some(true), Some(true), _) | (None, None, 2) => &["gamma", "beta"],
            (Some(true), Some(false), _) => &["gamma"],
            (Some(false), Some(true), _) => &["beta"],
            _ => &[],
        },
        ("GRUCell" | "LSTMCell" | "SimpleRNNCell", _) => &["kernel", "recurrent_kernel", "bias"],
        (_, Kind::Conv | Kind::Depthwise | Kind::Plain) => &["kernel", "bias"],
        (_, Kind::Separable) => &["depthwise_kernel", "pointwise_kernel", "bias"],
        (_, Kind::Embedding) => &["embeddings"],
        ("Normalization", _) => &["mean", "variance", "count"],
        ("PReLU", _) => &["alpha"],
        _ => &[],
    };
    (0..count)
        .map(|i| names.get(i).map_or_else(|| i.to_string(), |&n| n.into()))
        .collect()
}

/// Keras 1's variable names translated to those since Keras 2. Keras 1's `running_std` is a *variance*, despite the
/// name: `BatchNormalization` passes it to `K.batch_normalization` as one. (Keras 0.x stored a real standard deviation
/// under this name; its files look the same.)
pub(crate) fn modern(variable: &str) -> &str {
    match variable {
        "W" => "kernel",
        "b" => "bias",
        "running_mean" => "moving_mean",
        "running_std" => "moving_variance",
        other => other,
    }
}

/// Keras 1 wrote `<layer>_<variable>` without a scope: the name is split before a known variable. Early Keras 3 wrote
/// the variable alone.
pub(crate) fn split_keras1(name: &str) -> Option<(&str, &str)> {
    const VARIABLES: [&str; 10] = [
        "W",
        "b",
        "gamma",
        "beta",
        "running_mean",
        "running_std",
        "depthwise_kernel",
        "pointwise_kernel",
        "bias",
        "kernel",
    ];
    if VARIABLES.contains(&name) || name == "recurrent_kernel" {
        return None;
    }
    VARIABLES.iter().find_map(|variable| {
        let layer = name.strip_suffix(variable)?.strip_suffix('_')?;
        Some((layer, &name[layer.len() + 1..]))
    })
}

/// The group of the first layer of a class: `Conv2D` is `conv2d`, `BatchNormalization` is
/// `batch_normalization` (`keras/src/utils/naming.py`, `to_snake_case`).
pub(crate) fn snake_case(class: &str) -> String {
    let class: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    // `re.sub("(.)([A-Z][a-z]+)", r"\1_\2")`: an underscore before a capital that starts a word,
    // unless the match before it has just ended there.
    let mut first = String::new();
    let mut i = 0;
    while i < class.len() {
        first.push(class[i]);
        let word = class
            .get(i + 1..)
            .filter(|rest| rest.first().is_some_and(char::is_ascii_uppercase))
            .map(|rest| 1 + rest[1..].iter().take_while(|c| c.is_ascii_lowercase()).count())
            .filter(|&len| len > 1);
        if let Some(len) = word {
            first.push('_');
            first.extend(&class[i + 1..=i + len]);
            i += len;
        }
        i += 1;
    }
    // `re.sub("([a-z])([A-Z])", r"\1_\2").lower()`.
    let mut snake = String::new();
    let mut before = ' ';
    for c in first.chars() {
        if before.is_ascii_lowercase() && c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
        before = c;
    }
    snake
}

/// The class of a group in a bare `.weights.h5`, if it is one of Keras's classes with variables.
pub(crate) fn class_of_group(group: &str) -> Option<&'static str> {
    let stem = split_number(group).0;
    CLASSES.into_iter().find(|class| snake_case(class) == stem)
}

/// Splits `conv2d_10` into the stem `conv2d` and the number 10; `conv2d` has the number 0.
pub(crate) fn split_number(name: &str) -> (&str, u64) {
    name.rsplit_once('_')
        .and_then(|(stem, number)| {
            let plain = number.bytes().all(|b| b.is_ascii_digit());
            Some((stem, number.parse().ok().filter(|_| plain)?))
        })
        .unwrap_or((name, 0))
}

/// Orders numbers by value, and names by stem and then number, so that `conv2d_2` comes before `conv2d_10`.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => split_number(a).cmp(&split_number(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_as_keras_names_them() {
        // Printed by `keras.src.utils.naming.to_snake_case` of Keras 3.15.1.
        for (class, group) in [
            ("Conv2D", "conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("SeparableConv2D", "separable_conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("LSTMCell", "lstm_cell"),
            ("PReLU", "p_re_lu"),
            ("GRU", "gru"),
            ("InputLayer", "input_layer"),
            ("MyHTTPBlock", "my_http_block"),
            ("TFOpLambda", "tf_op_lambda"),
            ("ReLU", "re_lu"),
        ] {
            assert_eq!(snake_case(class), group, "{class}");
        }
    }

    #[test]
    fn numbers_order_by_value() {
        let mut names = ["conv2d_10", "conv2d_2", "conv2d", "add_1", "conv2d_transpose"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["add_1", "conv2d", "conv2d_2", "conv2d_10", "conv2d_transpose"]);
        let mut places = ["10", "9", "0"];
        places.sort_by(|a, b| natural(a, b));
        assert_eq!(places, ["0", "9", "10"]);
    }

    #[test]
    fn a_norm_of_weights_alone_with_three_variables_has_no_scale() {
        let three = variables(Some("BatchNormalization"), None, 3);
        assert_eq!(three, ["beta", "moving_mean", "moving_variance"]);
        assert_eq!(variables(Some("BatchNormalization"), None, 1), ["0"]);
        assert_eq!(
            variables(Some("BatchNormalization"), None, 2),
            ["moving_mean", "moving_variance"]
        );
    }

    #[test]
    fn keras_1_names_split_at_the_variable() {
        assert_eq!(
            split_keras1("separableconvolution2d_3_depthwise_kernel"),
            Some(("separableconvolution2d_3", "depthwise_kernel"))
        );
        assert_eq!(split_keras1("dense_2_W"), Some(("dense_2", "W")));
        for whole in ["kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel"] {
            assert_eq!(split_keras1(whole), None, "{whole}");
        }
    }
}
