//! A node of the file: its name for messages, and its attributes.

use onnx_ir::{AttributeProto, NodeProto};

/// Longest name of a layer; the path made from it stays within the graph's limit.
pub(super) const MAX_NAME: usize = 200;

/// A name in the file, for messages.
pub(super) fn shown(name: &str) -> String {
    name.chars()
        .take(MAX_NAME)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

/// A node, for messages.
pub(super) fn title(node: &NodeProto) -> String {
    let name = if node.name.is_empty() {
        node.output.first().map_or("?", String::as_str)
    } else {
        &node.name
    };
    format!("{} `{}`", shown(&node.op_type), shown(name))
}

pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

pub(super) fn ints<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    attribute(node, name).map(|attribute| attribute.ints.as_slice())
}

pub(super) fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |attribute| attribute.i)
}

pub(super) fn float(node: &NodeProto, name: &str, default: f64) -> f64 {
    attribute(node, name).map_or(default, |attribute| f64::from(attribute.f))
}

pub(super) fn groups(node: &NodeProto) -> usize {
    usize::try_from(int(node, "group", 1)).unwrap_or(0)
}
