//! Legacy layout: `<layer>/<weight name>` with the attributes `layer_names` and `weight_names`. Keras 1, Keras 2 and
//! tf.keras write it into an `.h5`; Keras 3 still does for a whole model.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::ConfigNode;
use crate::hdf5::{H5Dataset, H5Tree, join};
use crate::layer::{KerasLayer, KerasVariable, StoredLayer, UnknownType};
use crate::names::{self, Kind};

/// The group with the variables of the model itself, which belong to no layer (Keras >= 2.6).
const TOP_LEVEL: &str = "top_level_model_weights";

/// Why a tree cannot be read as the legacy layout.
pub(crate) enum Broken {
    /// An attribute names a group or dataset that does not exist.
    Missing(String),
    /// Kernels in an order that this crate does not read.
    Kernels(String),
    UnknownType(UnknownType),
}

impl From<UnknownType> for Broken {
    fn from(unknown: UnknownType) -> Self {
        Self::UnknownType(unknown)
    }
}

/// All layers below the group `root` (empty, or `model_weights`), in the order of `layer_names`; the layers of a nested
/// model in the order of the config.
pub(crate) fn layers(tree: &H5Tree, root: &str, config: Option<&ConfigNode<'_>>) -> Result<Vec<StoredLayer>, Broken> {
    let group = tree.groups.get(root);
    let mut listed = group.and_then(|g| g.strings("layer_names")).unwrap_or_default();
    if tree.groups.contains_key(&join(root, TOP_LEVEL)) && !listed.iter().any(|n| n == TOP_LEVEL) {
        listed.push(TOP_LEVEL.to_owned());
    }
    let backend = group.and_then(|g| g.string("backend"));
    if backend == Some("theano") {
        // Keras's `preprocess_weights_for_loading` flips these kernels, for some layers and versions.
        return Err(Broken::Kernels("kernels which Theano wrote (flipped)".into()));
    }
    let nodes: HashMap<&str, &ConfigNode<'_>> = config
        .map(|c| c.layers.iter().map(|l| (l.name, l)).collect())
        .unwrap_or_default();

    let mut layers = Vec::new();
    for name in listed {
        let node = nodes.get(name.as_str()).copied();
        let weights = weights(tree, &join(root, &name), &name)?;
        Group {
            path: if name == TOP_LEVEL { "" } else { &name },
            node,
            weights,
        }
        .into_layers(&mut layers)?;
    }
    Ok(layers)
}

/// A dataset and the parts of its name.
struct Weight {
    /// The path below the group's layer: empty for the layer itself, `block1_conv1` in a nested model.
    scope: String,
    variable: String,
    place: String,
    data: Arc<H5Dataset>,
}

fn weights(tree: &H5Tree, group: &str, layer: &str) -> Result<Vec<Weight>, Broken> {
    let entry = tree.groups.get(group).ok_or_else(|| {
        Broken::Missing(format!(
            "`layer_names` lists `{layer}`, and there is no group `{group}`"
        ))
    })?;
    entry
        .strings("weight_names")
        .unwrap_or_default()
        .iter()
        .map(|name| {
            let place = join(group, name.trim_start_matches('/'));
            let data = tree.datasets.get(&place).ok_or_else(|| {
                Broken::Missing(format!(
                    "`weight_names` of `{group}` lists `{name}`, and there is no dataset `{place}`"
                ))
            })?;
            let (scope, variable) = split(name, layer);
            if scope.starts_with("deconvolution") || layer.starts_with("deconvolution") {
                return Err(Broken::Kernels(format!("`{place}` of Keras 1's Deconvolution")));
            }
            Ok(Weight {
                scope,
                variable,
                place,
                data: Arc::clone(data),
            })
        })
        .collect()
}

/// Splits a weight's name. In the group `xception`, `block1_conv1/kernel:0` is the variable `kernel` of `block1_conv1`;
/// in the group `block1_conv1` it is the layer's own.
fn split(name: &str, layer: &str) -> (String, String) {
    let name = name.trim_start_matches('/');
    let name = match name.rsplit_once(':') {
        Some((before, output)) if output.bytes().all(|b| b.is_ascii_digit()) => before,
        _ => name,
    };
    let (scope, variable) = match name.rsplit_once('/') {
        Some((scope, variable)) => (scope, variable),
        None => names::split_keras1(name).unwrap_or(("", name)),
    };
    (
        own(scope, layer)
            .or_else(|| behind(scope, layer))
            .or_else(|| below(scope, layer))
            .unwrap_or(scope)
            .to_owned(),
        names::modern(variable).to_owned(),
    )
}

/// `scope` without the layer's own name in front. TensorFlow may have added a number to that name to make it unique.
fn below<'a>(scope: &'a str, layer: &str) -> Option<&'a str> {
    let rest = scope.strip_prefix(layer)?;
    let rest = rest
        .strip_prefix('_')
        .map(|numbered| numbered.trim_start_matches(|c: char| c.is_ascii_digit()))
        .filter(|after| after.len() + 1 < rest.len())
        .unwrap_or(rest);
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('/')
    }
}

/// `scope` without exactly the layer's name in front.
fn own<'a>(scope: &'a str, layer: &str) -> Option<&'a str> {
    match scope.strip_prefix(layer)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

/// `scope` behind the layer's name: Keras 3 puts the names of all models around a layer before the layer's.
fn behind<'a>(scope: &'a str, layer: &str) -> Option<&'a str> {
    let mut starts = scope.match_indices('/').map(|(slash, _)| slash + 1);
    starts.find_map(|start| own(&scope[start..], layer))
}

/// A group of `layer_names`: a layer, or a model nested in the model.
struct Group<'a> {
    path: &'a str,
    node: Option<&'a ConfigNode<'a>>,
    weights: Vec<Weight>,
}

impl Group<'_> {
    fn into_layers(mut self, out: &mut Vec<StoredLayer>) -> Result<(), Broken> {
        match self.node {
            Some(model) if !model.layers.is_empty() => {
                let mut leaves = Vec::new();
                collect(model, "", &mut leaves);
                // Exact names first, so that the rest can be matched without its number.
                let mut own: Vec<Vec<Weight>> = leaves
                    .iter()
                    .map(|(path, node)| self.take(|scope| scope == path || scope == node.name))
                    .collect();
                for ((path, node), weights) in leaves.iter().zip(&mut own) {
                    if weights.is_empty() {
                        *weights =
                            self.take(|scope| below(scope, node.name) == Some("") || below(scope, path) == Some(""));
                    }
                }
                for ((path, node), weights) in leaves.iter().zip(own) {
                    out.push(layer(&join(self.path, path), Some(node), weights)?);
                }
            }
            node => {
                let own = if node.is_some_and(|n| names::kind(n.class) != Kind::Other) {
                    // A layer that was renamed after it was built keeps its old scope.
                    std::mem::take(&mut self.weights)
                } else {
                    self.take(str::is_empty)
                };
                if !own.is_empty() || (self.weights.is_empty() && !self.path.is_empty()) {
                    out.push(layer(self.path, node, own)?);
                }
            }
        }
        // Sublayers that the config does not describe, in the order of their first weights.
        while let Some(first) = self.weights.first() {
            let scope = first.scope.clone();
            let own = self.take(|s| s == scope);
            out.push(layer(&join(self.path, &scope), None, own)?);
        }
        Ok(())
    }

    fn take(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<Weight> {
        let (taken, left) = std::mem::take(&mut self.weights)
            .into_iter()
            .partition(|w| wanted(&w.scope));
        self.weights = left;
        taken
    }
}

/// The layers of a model and of the models nested in it, with their paths.
fn collect<'a>(model: &'a ConfigNode<'a>, path: &str, leaves: &mut Vec<(String, &'a ConfigNode<'a>)>) {
    for node in &model.layers {
        let path = join(path, node.name);
        if node.layers.is_empty() {
            leaves.push((path, node));
        } else {
            collect(node, &path, leaves);
        }
    }
}

fn layer(path: &str, node: Option<&ConfigNode<'_>>, weights: Vec<Weight>) -> Result<StoredLayer, Broken> {
    if let Some(node) = node
        && node.setting("dim_ordering").and_then(|d| d.as_str()) == Some("th")
    {
        return Err(Broken::Kernels(format!("`{path}` with Keras 1's `dim_ordering: th`")));
    }
    let variables = weights
        .iter()
        .map(|w| KerasVariable::of(w.variable.clone(), &w.place, &w.data))
        .collect::<Result<_, _>>()?;
    let last = path.rsplit('/').next().unwrap_or(path);
    Ok(StoredLayer {
        layer: KerasLayer {
            path: path.to_owned(),
            name: node.map_or(last, |n| n.name).to_owned(),
            class: node.map(|n| n.class.to_owned()),
            config: node.map(|n| n.json.clone()),
            variables,
        },
        data: weights.into_iter().map(|w| w.data).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_names_of_every_version_come_apart() {
        for (name, layer, scope, variable) in [
            ("block1_conv1/kernel:0", "block1_conv1", "", "kernel"),
            ("block1_conv1_1/kernel:0", "block1_conv1", "", "kernel"),
            ("block1_conv1/kernel", "block1_conv1", "", "kernel"),
            ("block1_conv1/kernel:0", "xception", "block1_conv1", "kernel"),
            ("block1_conv1/kernel:0", "block1", "block1_conv1", "kernel"),
            ("conv1/bn/gamma:0", "conv1/bn", "", "gamma"),
            ("lstm/lstm_cell/kernel:0", "lstm", "lstm_cell", "kernel"),
            ("convolution2d_1_W:0", "convolution2d_1", "", "kernel"),
            ("/convolution2d_1_b:0", "convolution2d_1", "", "bias"),
            (
                "batchnormalization_3_running_std:0",
                "batchnormalization_3",
                "",
                "moving_variance",
            ),
            ("dense_2/bias:0", "dense", "", "bias"),
            ("model/head/dense/kernel", "head", "dense", "kernel"),
            ("model/dense/kernel", "dense", "", "kernel"),
            ("sequential_1/sequential/dense/kernel", "sequential", "dense", "kernel"),
            ("model/heads/dense/kernel", "head", "model/heads/dense", "kernel"),
            // Keras 3.0, whose variables have no layer in their names.
            ("kernel", "block1_conv1", "", "kernel"),
            ("depthwise_kernel", "block2_sepconv1", "", "depthwise_kernel"),
        ] {
            assert_eq!(
                split(name, layer),
                (scope.to_owned(), variable.to_owned()),
                "{name} in {layer}"
            );
        }
    }
}
