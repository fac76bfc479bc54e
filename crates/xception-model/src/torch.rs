//! Reads PyTorch checkpoints with the names of torchvision, timm and Cadene.
//!
//! A pickle is never run; it is scanned before anything in it is read.

mod changed;
mod children;
mod head;
mod names;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::store::ModuleSnapshot;
use burn::tensor::{DType, Device};
use burn_store::bridge;
use burn_store::burn_pack::Tensor as PackTensor;
use burn_store::pytorch_reader::{FileFormat, PickleValue, PytorchReader};
use graph::{Graph, Node};

use self::changed::Changed;
use self::head::{TorchHead, is_called_head};
use crate::compare::compare;
use crate::description::{Description, Known};
use crate::network::Network;
use crate::spec::ModelSpec;
use crate::tensors::{all_finite, cast, rename, reshape, transpose};
use crate::weights_error::WeightsError;
use crate::zoo::{Architecture, Torch, Variant, of_record_names};

/// Entries of a checkpoint that may hold a network's weights, in timm and elsewhere.
const WRAPPERS: [&str; 7] = [
    "state_dict",
    "model",
    "model_state_dict",
    "net",
    "network",
    "state_dict_ema",
    "model_ema",
];

/// A network in a checkpoint, described but not loaded.
pub struct TorchNetwork {
    /// What the names and shapes say about the network.
    pub description: Description,
    /// The name of each tensor in the file, and the tensor under the network's name and in its layout. The values are
    /// read when they are requested.
    pub tensors: Vec<(String, PackTensor)>,
    /// Tensors outside of the network, such as counters of training steps.
    pub ignored: Vec<String>,
    /// The library whose names the tensors have: PyTorch (torchvision and timm), timm or Cadene.
    pub library: &'static str,
}

/// Loads a checkpoint of a network of the zoo; with `backbone` the layers up to the last feature map.
pub(crate) fn load(
    path: &Path,
    known: &Known,
    backbone: bool,
    device: &Device,
) -> Result<(Network, ModelSpec), WeightsError> {
    let (_, tensors) = tensors(path, known.key.as_deref())?;
    let file = named(path, tensors, known, backbone)?;
    let description = if backbone {
        file.description.of_backbone(known)
    } else {
        file.description
    };
    let spec = description.complete(path, known)?;
    let found = file.tensors.iter().map(|(_, tensor)| tensor);
    let shapes = found.map(|tensor| (tensor.name.as_str(), &tensor.shape[..], tensor.dtype));
    let mismatch = compare(&spec.network, shapes);
    // Values are read only if names and shapes fit.
    if !mismatch.is_empty() {
        return Err(WeightsError::Mismatch {
            path: path.to_owned(),
            mismatch,
        });
    }
    let damaged = |error: &dyn std::fmt::Display| WeightsError::Damaged {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    for (origin, tensor) in &file.tensors {
        let values = bridge::to_data(tensor).map_err(|error| damaged(&format_args!("{origin}: {error}")))?;
        if !all_finite(&values) {
            return Err(damaged(&format_args!("{origin} holds a NaN or an infinity")));
        }
    }
    let tensors = file.tensors.into_iter();
    let tensors = tensors.map(|(_, tensor)| cast(tensor, DType::F32)).collect();
    let mut network = Network::new(spec.network.clone(), device);
    let result = network.apply(tensors, None, None, false);
    match result.errors.first() {
        Some(error) => Err(damaged(error)),
        None => Ok((network, spec)),
    }
}

/// The tensors of a checkpoint of any network, and the name of its container. `key` is the entry that holds the
/// weights, where there are several.
///
/// # Errors
///
/// [`WeightsError::Damaged`], also for a pickle that would run a program or fill the memory.
pub fn tensors(path: &Path, key: Option<&str>) -> Result<(&'static str, Vec<PackTensor>), WeightsError> {
    let damaged = |error: &dyn std::fmt::Display| WeightsError::Damaged {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    // The scan refuses a pickle that would run a program or fill the memory.
    scan::scan(path).map_err(|problem| damaged(&problem))?;
    let key = match key {
        Some(key) => Some(key.to_owned()),
        None => PytorchReader::read_pickle_data(path, None)
            .map_err(|error| error.to_string())
            .and_then(|pickled| wrapper(&pickled))
            .map_err(|problem| damaged(&with_advice(problem)))?,
    };
    let reader = match &key {
        Some(key) => PytorchReader::with_top_level_key(path, key),
        None => PytorchReader::new(path),
    }
    .map_err(|error| damaged(&with_advice(error.to_string())))?;
    let container = match reader.metadata().format_type {
        FileFormat::Zip => "PyTorch checkpoint",
        FileFormat::Legacy => "PyTorch checkpoint of before 1.6",
        // The scan has refused these, and they hold no tensors.
        FileFormat::Tar | FileFormat::Pickle => "PyTorch pickle",
    };
    let mut tensors: Vec<PackTensor> = reader.into_tensors().into_values().map(bridge::from_pytorch).collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((container, tensors))
}

/// The advice for a pickle that is not a dictionary.
const NO_NAMES: &str = "A file of weights holds tensors by their names. With the program that builds the model, in \
     Python:\n    \
     torch.save(model.state_dict(), \"weights.pth\")    # PyTorch\n    \
     model.save(\"model.keras\")    # Keras, after model.set_weights(...) of a pickled get_weights()";

/// The advice for tensors of 8 bits.
const IN_32_BITS: &str = "Save them in 32 bits, in Python:\n    \
     import torch\n    \
     weights = torch.load(\"model.pth\", map_location=\"cpu\")    # or the entry of it that holds the weights\n    \
     torch.save({name: tensor.float() for name, tensor in weights.items()}, \"weights.pth\")";

/// A problem of the reader of pickles, with the way out where there is one.
fn with_advice(problem: String) -> String {
    if problem.contains("Expected a dictionary") {
        format!("{problem}. {NO_NAMES}")
    } else if let Some(at) = problem.find("torch.float8_") {
        let kind: String = problem[at..].chars().take_while(|char| *char != '\'').collect();
        format!("its tensors are of type {kind}, which is not read. {IN_32_BITS}")
    } else {
        problem
    }
}

/// A PyTorch network's tensors, of whatever container, as ours; with `no_top` those of its backbone alone.
///
/// Tensors outside of the network are left out and listed.
///
/// # Errors
///
/// [`WeightsError::NoNetwork`].
pub fn named(path: &Path, tensors: Vec<PackTensor>, known: &Known, no_top: bool) -> Result<TorchNetwork, WeightsError> {
    let no_network = |problem: String| WeightsError::NoNetwork {
        path: path.to_owned(),
        problem,
    };
    let tensors = children::named(tensors);
    let family = family(&tensors);
    let tensors = renamed(tensors, family.renamed);
    let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    // The published network has most of the names, whatever the depth of this one.
    let published = family.published.clone().without_top().graph();
    let count = names::network_count(&published, &names);
    let is_known = count * LEAST_SHARE >= published.parameters().len();
    if count > 0 && !is_known && !names.iter().any(|name| Changed::of(name).is_some()) {
        let shown: Vec<&str> = names.iter().copied().filter(|name| !is_counter(name)).take(3).collect();
        return Err(no_network(format!(
            "its names are of no network that is known here ({}, ..); {OTHERS}",
            shown.join(", ")
        )));
    }
    let prefix = names::network_prefix(&published, &names, known.prefix.as_deref()).map_err(|problem| {
        if let Some(changed) = names.iter().find_map(|name| Changed::of(name)) {
            return no_network(changed.refusal());
        }
        // If the file holds the network, another format does not help.
        let is_there = names::network_count(&published, &names) > 0;
        no_network(if is_there {
            problem
        } else {
            format!("{problem}; {OTHERS}")
        })
    })?;
    let prefix = prefix.to_owned();
    if let Some(changed) = changed_layer(&names, &prefix, &modules(&published), no_top) {
        return Err(no_network(changed.refusal()));
    }
    let own: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(&*prefix)).collect();
    let network = (family.of_names)(&own).map_err(|problem| no_network(format!("{problem}; {OTHERS}")))?;
    let graph = network.without_top().graph();
    let targets = names::network_names(&graph, &names, &prefix).map_err(no_network)?;
    let features = features(&tensors, &targets, family.flattened.then_some(&*prefix));
    let copies = names::network_copies(&published, &names).into_iter();
    let checkpoint = Checkpoint {
        copies: copies.filter(|copy| *copy != prefix).map(str::to_owned).collect(),
        backbone: modules(&graph),
        unused: family.unused,
        prefix,
    };
    let others = tensors.iter().zip(&targets);
    let others: Vec<(&str, Vec<usize>)> = others
        .filter(|(tensor, target)| target.is_none() && checkpoint.may_be_head(&tensor.name))
        .map(|(tensor, _)| (tensor.name.as_str(), dense_shape(tensor, family.flattened)))
        .collect();
    let head = match (no_top, features) {
        (false, Some(features)) => TorchHead::find(&others, features).map_err(no_network)?,
        _ => TorchHead::default(),
    };

    let mut ignored = Vec::new();
    let mut found = Vec::new();
    for (tensor, target) in tensors.into_iter().zip(targets) {
        let origin = tensor.name.clone();
        let tensor = match target.or_else(|| head.target(&origin)) {
            Some(target) => arrange(tensor, target),
            // An unknown tensor within the network: the comparison refuses it.
            None if checkpoint.is_in_backbone(&origin) && !is_counter(&origin) => tensor,
            None => {
                ignored.push(origin);
                continue;
            }
        };
        found.push((origin, tensor));
    }
    let shapes: BTreeMap<String, Vec<usize>> = found
        .iter()
        .map(|(_, tensor)| (tensor.name.clone(), tensor.shape.to_vec()))
        .collect();
    let mut description =
        Description::new(of_record_names(&shapes).map_err(|problem| no_network(format!("{problem}; {OTHERS}")))?);
    // Modules of these names are PyTorch's version of the network, unless the user knows better.
    let has_variants = description.network.variant().is_some();
    description.variant = has_variants.then(|| known.variant.unwrap_or(Variant::Torch));
    description.head_biases = head.layers.iter().map(|(_, bias)| *bias).collect();
    Ok(TorchNetwork {
        description,
        library: library(&family, &found),
        tensors: found,
        ignored,
    })
}

/// A layer of the network, or of its head, whose weights another tensor changes.
fn changed_layer<'a>(
    names: &[&'a str],
    prefix: &str,
    backbone: &BTreeSet<String>,
    no_top: bool,
) -> Option<Changed<'a>> {
    let mut changed = names.iter().filter_map(|name| Changed::of(name));
    changed.find(|changed| {
        let own = changed.layer.strip_prefix(prefix).unwrap_or(changed.layer);
        let first = own.split('.').next().unwrap_or(own);
        backbone.contains(without_number(first)) || !no_top && is_called_head(own)
    })
}

/// The library whose names a network's tensors have.
fn library(family: &Torch, tensors: &[(String, PackTensor)]) -> &'static str {
    if !is_xception(family) {
        "PyTorch"
    } else if tensors.iter().any(|(origin, _)| origin.contains("last_linear.")) {
        "Cadene"
    } else {
        "timm"
    }
}

/// The parts of a checkpoint, by the names of their tensors.
struct Checkpoint {
    /// The prefix of the network's names.
    prefix: String,
    /// The prefixes of other copies of the network.
    copies: Vec<String>,
    /// The first parts of the names of the backbone's modules, without numbers.
    backbone: BTreeSet<String>,
    /// Beginnings of the names of modules that prediction does not use.
    unused: &'static [&'static str],
}

impl Checkpoint {
    /// Whether a tensor may belong to the head: it belongs to no other part.
    fn may_be_head(&self, name: &str) -> bool {
        !self.is_in_backbone(name) && !is_counter(name) && !self.is_in_copy(name) && !self.is_unused(name)
    }

    fn is_in_backbone(&self, name: &str) -> bool {
        let first = name.strip_prefix(&*self.prefix).and_then(|own| own.split('.').next());
        first.is_some_and(|first| self.backbone.contains(without_number(first)))
    }

    /// Whether a tensor belongs to another copy. A copy without a prefix has every name that does not begin with this
    /// prefix.
    fn is_in_copy(&self, name: &str) -> bool {
        let is_own = name.starts_with(&*self.prefix);
        let may_hold = |copy: &&String| !is_own || copy.len() > self.prefix.len();
        self.copies.iter().filter(may_hold).any(|copy| name.starts_with(copy))
    }

    fn is_unused(&self, name: &str) -> bool {
        let own = name.strip_prefix(&*self.prefix).unwrap_or(name);
        self.unused.iter().any(|unused| own.starts_with(unused))
    }
}

/// A file of a network has at least one in this many of the published network's tensors. Names such as `conv1.weight`
/// are in networks of all kinds.
const LEAST_SHARE: usize = 8;

/// The advice for a checkpoint of another network.
pub const OTHERS: &str = "weights alone are known of the networks that `xception summary --architecture` lists, with \
     the names of timm, torchvision or Cadene; of another network make an ONNX file, in Python: \
     torch.onnx.export(model, torch.zeros(1, 3, 299, 299), \"model.onnx\")";

/// The architecture that has most of these tensors.
fn family(tensors: &[PackTensor]) -> Torch {
    let mut families = Architecture::torch();
    let count = |family: &Torch| {
        let graph = family.published.graph();
        let names: Vec<String> = tensors
            .iter()
            .map(|tensor| new_name(&tensor.name, family.renamed))
            .collect();
        names::network_count(&graph, &names.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // The last of several equal ones is taken.
    let best = (0..families.len()).max_by_key(|index| count(&families[*index]));
    families.swap_remove(best.unwrap_or_default())
}

/// A tensor's name with the architecture's own name of its module.
fn new_name(name: &str, renamed: &[(&str, &str)]) -> String {
    for (theirs, ours) in renamed {
        if let Some(at) = name.find(theirs)
            && (at == 0 || name[..at].ends_with('.'))
        {
            return format!("{}{ours}{}", &name[..at], &name[at + theirs.len()..]);
        }
    }
    name.to_owned()
}

fn renamed(tensors: Vec<PackTensor>, table: &[(&str, &str)]) -> Vec<PackTensor> {
    let tensors = tensors.into_iter();
    tensors
        .map(|tensor| match new_name(&tensor.name, table) {
            name if name == tensor.name => tensor,
            name => rename(tensor, name),
        })
        .collect()
}

/// How many features the head reads: the channels of the last feature map, or, where the head flattens the map, the
/// inputs of the first layer after it. `flattened` is then the prefix of the network's names.
fn features(tensors: &[PackTensor], targets: &[Option<String>], flattened: Option<&str>) -> Option<usize> {
    let name = flattened.map(|prefix| format!("{prefix}classifier.0.weight"));
    let first = tensors.iter().find(|tensor| Some(&tensor.name) == name.as_ref());
    if let Some(first) = first {
        return dense_shape(first, true).get(1).copied();
    }
    let shapes = tensors.iter().zip(targets);
    let shapes: BTreeMap<String, Vec<usize>> = shapes
        .filter_map(|(tensor, target)| Some((target.clone()?, tensor.shape.to_vec())))
        .collect();
    let graph = of_record_names(&shapes).ok()?.graph();
    graph.features(graph.roles.feature_map?)
}

/// A tensor's shape; in a head that flattens, a convolution of the whole map is a fully-connected layer.
fn dense_shape(tensor: &PackTensor, flattened: bool) -> Vec<usize> {
    let shape = tensor.shape.to_vec();
    match *shape.as_slice() {
        [output, channels, height, width] if flattened => vec![output, channels * height * width],
        _ => shape,
    }
}

/// The first parts of the names of a network's modules in PyTorch, without numbers.
fn modules(graph: &Graph) -> BTreeSet<String> {
    let first = |node: &Node| node.torch.split('.').next().map(|part| without_number(part).to_owned());
    let nodes = graph.nodes.iter().filter(|node| !node.torch.is_empty());
    nodes.filter_map(first).collect()
}

fn without_number(part: &str) -> &str {
    part.trim_end_matches(|c: char| c.is_ascii_digit())
}

fn is_xception(family: &Torch) -> bool {
    family.published.xception().is_some()
}

/// Whether a tensor counts the steps of a norm in training, or a module's operations and weights (thop's `profile`).
fn is_counter(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    ["num_batches_tracked", "total_ops", "total_params"].contains(&last)
}

/// A file has an architecture's names in PyTorch if it holds a third of this many first layers.
const FIRST_LAYERS: usize = 12;

/// Whether an architecture has these names in PyTorch.
pub fn has_torch_names<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let names: Vec<&str> = names.collect();
    if children::are_numbered(&names) {
        return true;
    }
    Architecture::torch().into_iter().any(|family| {
        let graph = family.published.graph();
        let layers = graph.nodes.iter().filter(|node| !node.torch.is_empty());
        let found = layers.take(FIRST_LAYERS).filter(|node| {
            let wanted = format!("{}.weight", node.torch);
            let is_wanted = |name: &&str| new_name(name, family.renamed).ends_with(&wanted);
            names.iter().any(is_wanted)
        });
        found.count() >= FIRST_LAYERS / 3
    })
}

/// A tensor under the network's name and in its layout.
fn arrange(tensor: PackTensor, target: String) -> PackTensor {
    let is_dense = target.starts_with("head.");
    let tensor = rename(tensor, target);
    let shape = tensor.shape.to_vec();
    match *shape.as_slice() {
        // A dense layer's weights are `[out, in]` in PyTorch and `[in, out]` here.
        [_, _] if is_dense => transpose(tensor),
        [output, channels, height, width] if is_dense => {
            transpose(reshape(tensor, vec![output, channels * height * width]))
        }
        // Files from before 2018 have kernels without the axes of size 1.
        [channels, 3, 3] if tensor.name.ends_with(".depthwise.weight") => reshape(tensor, vec![channels, 1, 3, 3]),
        [output, input] if tensor.name.ends_with(".weight") => reshape(tensor, vec![output, input, 1, 1]),
        _ => tensor,
    }
}

/// The entry that holds the weights, if they are not at the root.
fn wrapper(root: &PickleValue) -> Result<Option<String>, String> {
    let PickleValue::Dict(entries) = root else {
        return Ok(None);
    };
    let is_weights = |name: &&str| matches!(entries.get(*name), Some(PickleValue::Dict(_)));
    let mut found: Vec<&str> = WRAPPERS.into_iter().filter(is_weights).collect();
    // An entry of any other name that holds tensors by name.
    if found.is_empty() {
        let holds_weights = |value: &PickleValue| match value {
            PickleValue::Dict(inner) => inner.keys().any(|name| name.ends_with(".weight")),
            _ => false,
        };
        // The versions of modules, of which one may be called `fc.parametrizations.weight`.
        let others = entries
            .iter()
            .filter(|(name, value)| *name != "_metadata" && holds_weights(value));
        found = others.map(|(name, _)| name.as_str()).collect();
        found.sort_unstable();
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).to_owned())),
        several => Err(format!(
            "it holds several sets of weights: {}; choose one, such as --key {}",
            several.join(", "),
            several[several.len() - 1]
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::zoo::XceptionConfig;

    use super::*;

    #[test]
    fn versions_of_modules_are_no_weights() {
        let dict = |name: &str| PickleValue::Dict([(name.to_owned(), PickleValue::None)].into());
        let root = |entry: &str| {
            let weights = dict("fc.parametrizations.weight");
            PickleValue::Dict(
                [
                    ("conv1.weight".to_owned(), PickleValue::None),
                    (entry.to_owned(), weights),
                ]
                .into(),
            )
        };
        assert_eq!(wrapper(&root("_metadata")), Ok(None));
        assert_eq!(wrapper(&root("weights")), Ok(Some("weights".to_owned())));
    }

    #[test]
    fn names_of_the_published_network() {
        let graph = XceptionConfig::new().graph();
        for (theirs, ours) in [
            ("conv1.weight", "block1.conv1.conv.weight"),
            ("bn2.bias", "block1.conv2.bn.beta"),
            ("block1.rep.0.conv1.weight", "entry.block2.sepconv1.depthwise.weight"),
            ("block1.rep.4.running_var", "entry.block2.sepconv2.bn.running_var"),
            ("block1.skip.weight", "entry.block2.residual.conv.weight"),
            (
                "block3.rep.4.pointwise.weight",
                "entry.block4.sepconv2.pointwise.weight",
            ),
            ("block4.rep.7.conv1.weight", "middle.block5.sepconv3.depthwise.weight"),
            ("block11.rep.8.weight", "middle.block12.sepconv3.bn.gamma"),
            ("block12.skipbn.running_mean", "exit.block13.residual.bn.running_mean"),
            ("block12.rep.2.bias", "exit.block13.sepconv1.bn.beta"),
            ("conv3.pointwise.weight", "exit.block14.sepconv1.pointwise.weight"),
            ("bn4.weight", "exit.block14.sepconv2.bn.gamma"),
            ("fc.weight", "head.predictions.weight"),
            ("last_linear.bias", "head.predictions.bias"),
        ] {
            let targets = names::network_names(&graph, &[theirs], "").unwrap();
            assert_eq!(targets, [Some(ours.to_owned())], "{theirs}");
        }
        for unknown in [
            "block4.rep.6.weight",
            "block1.rep.2.conv1.weight",
            "layer1.0.conv1.weight",
            "weight",
        ] {
            let targets = names::network_names(&graph, &["bn4.weight", "fc.weight", unknown], "").unwrap();
            assert_eq!(targets[2], None, "{unknown}");
        }
    }
}
