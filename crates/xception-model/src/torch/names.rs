//! Finds the network's tensor for each tensor of a PyTorch checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Graph, NodeId, Op};

/// Common names of the last layer.
pub(super) const CLASSIFIERS: [&str; 7] = [
    "fc",
    "last_linear",
    "classifier",
    "head.fc",
    "fc.1",
    "last_linear.1",
    "classifier.1",
];

/// The most name parts that wrapping modules may put before a name.
const MAX_WRAPPERS: usize = 16;

/// The prefix of the names of the network's tensors.
///
/// `DataParallel`, `torch.compile`, Lightning and users put a prefix before every name. Without `chosen`, the result is
/// the prefix that most of the network's tensors have.
///
/// # Errors
///
/// If no tensor of the network is found, or none with the prefix `chosen`; without `chosen`, if several prefixes hold
/// the network.
pub(crate) fn network_prefix<'a>(graph: &Graph, names: &[&'a str], chosen: Option<&str>) -> Result<&'a str, String> {
    let known = known(graph);
    let Some(chosen) = chosen else {
        return detect(&known, names);
    };
    let chosen = chosen.trim_end_matches('.');
    let found = behind(&known, names);
    if let Some(prefix) = found.keys().find(|prefix| prefix.trim_end_matches('.') == chosen) {
        Ok(prefix)
    } else {
        let copies = copies(&found);
        let prefixes: Vec<String> = copies.into_iter().map(|prefix| format!("`{prefix}`")).collect();
        Err(format!(
            "no tensor of the network has the prefix `{chosen}`; the network's tensors have {}",
            if prefixes.is_empty() {
                "none".to_owned()
            } else {
                prefixes.join(", ")
            }
        ))
    }
}

/// The prefix of each copy of the network.
pub(crate) fn network_copies<'a>(graph: &Graph, names: &[&'a str]) -> Vec<&'a str> {
    copies(&behind(&known(graph), names))
}

/// How many tensors of the network are among these names, with the prefix that most of them have.
pub(crate) fn network_count(graph: &Graph, names: &[&str]) -> usize {
    let found = behind(&known(graph), names);
    found.values().map(Vec::len).max().unwrap_or_default()
}

/// The prefixes with more than half as many tensors as the prefix with the most.
fn copies<'a>(found: &BTreeMap<&'a str, Vec<&'a str>>) -> Vec<&'a str> {
    let most = found.values().map(Vec::len).max().unwrap_or_default();
    let whole = found.iter().filter(|(_, names)| names.len() * 2 > most);
    whole.map(|(prefix, _)| *prefix).collect()
}

/// For each name of a checkpoint, the name of the network's tensor; `None` for a tensor outside of the network.
///
/// # Errors
///
/// When two names stand for the same tensor.
pub(crate) fn network_names(graph: &Graph, names: &[&str], prefix: &str) -> Result<Vec<Option<String>>, String> {
    let known = known(graph);
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let target = name.strip_prefix(prefix).and_then(|own| known.get(own));
        if let Some(target) = target
            && let Some(other) = taken.insert(target, name)
        {
            return Err(format!("{other} and {name} are both {target}"));
        }
        targets.push(target.cloned());
    }
    Ok(targets)
}

/// The network's tensors by their names in PyTorch.
fn known(graph: &Graph) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    let classifier = classifier(graph);
    for parameter in graph.parameters() {
        let module = graph.node(parameter.node).torch.as_str();
        let aliases = CLASSIFIERS
            .iter()
            .copied()
            .filter(|_| Some(parameter.node) == classifier);
        for module in aliases.chain([module]).filter(|module| !module.is_empty()) {
            known.insert(
                format!("{module}.{}", parameter.kind.torch_name()),
                parameter.name.clone(),
            );
        }
    }
    known
}

/// The layer that outputs the logits.
fn classifier(graph: &Graph) -> Option<NodeId> {
    let mut id = graph.roles.logits?;
    while !matches!(graph.node(id).op, Op::Dense(_) | Op::Conv(_)) {
        id = *graph.node(id).inputs.first()?;
    }
    Some(id)
}

/// The names of the network's tensors, grouped by their prefix.
fn behind<'a>(known: &BTreeMap<String, String>, names: &[&'a str]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        let ends = name.match_indices('.').map(|(dot, _)| dot + 1);
        for start in [0].into_iter().chain(ends).take(MAX_WRAPPERS) {
            if known.contains_key(&name[start..]) {
                found.entry(&name[..start]).or_default().push(name);
            }
        }
    }
    found
}

fn detect<'a>(known: &BTreeMap<String, String>, names: &[&'a str]) -> Result<&'a str, String> {
    let found = behind(known, names);
    let most = found
        .iter()
        .max_by_key(|(prefix, names)| (names.len(), std::cmp::Reverse(prefix.len())));
    let (&one, own) = most.ok_or("none of its names is one of the network's")?;
    // `block1.conv1` of the network is not the `conv1` of a second network, and a single `fc` elsewhere is no network.
    let own: BTreeSet<&str> = own.iter().copied().collect();
    let others = |names: &Vec<&str>| names.iter().filter(|name| !own.contains(*name)).count();
    match found.iter().find(|(_, names)| others(names) * 2 > own.len()) {
        None => Ok(one),
        Some((two, _)) => Err(format!(
            "it holds the network several times, under `{one}` and `{two}`; choose one, such as --prefix {two}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use graph::{BatchNorm, Builder, Conv, Dense, GlobalPool, NewLayer, Padding, PoolKind, Roles};

    use super::*;

    fn network() -> Graph {
        let (mut net, picture) = Builder::new("small", 3);
        let conv = Op::Conv(Conv::new([3, 8], [3, 3], Padding::Same));
        let x = net.layer(NewLayer::new("conv1").at("stem.conv").torch("conv1"), conv, &[picture]);
        let norm = BatchNorm {
            channels: 8,
            epsilon: 1e-5,
            momentum: 0.1,
            scale: true,
            center: true,
        };
        let layer = NewLayer::new("bn1").at("stem.bn").torch("layer1.0.bn1");
        let x = net.layer(layer, Op::BatchNorm(norm), &[x]);
        let pool = GlobalPool {
            kind: PoolKind::Average,
            keep_dims: false,
        };
        let x = net.layer(NewLayer::new("pool"), Op::GlobalPool(pool), &[x]);
        let dense = Op::Dense(Dense {
            features: [8, 5],
            bias: true,
        });
        let x = net.layer(
            NewLayer::new("predictions").at("head.predictions").torch("fc"),
            dense,
            &[x],
        );
        net.finish(
            Roles {
                logits: Some(x),
                ..Roles::default()
            },
            1,
        )
    }

    const NAMES: [&str; 8] = [
        "conv1.weight",
        "layer1.0.bn1.weight",
        "layer1.0.bn1.bias",
        "layer1.0.bn1.running_mean",
        "layer1.0.bn1.running_var",
        "layer1.0.bn1.num_batches_tracked",
        "fc.weight",
        "fc.bias",
    ];

    fn targets(names: &[String]) -> Result<Vec<Option<String>>, String> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        network_names(&network(), &names, network_prefix(&network(), &names, None)?)
    }

    fn under(prefix: &str) -> Vec<String> {
        NAMES.iter().map(|name| format!("{prefix}{name}")).collect()
    }

    #[test]
    fn names_are_found_behind_any_prefix() {
        for prefix in ["", "module.", "_orig_mod.module.", "encoder.q."] {
            let mut names = under(prefix);
            names.extend(["optimizer.lr".to_owned(), "aux.fc.weight".to_owned()]);
            let targets = targets(&names).unwrap();
            assert_eq!(targets[0].as_deref(), Some("stem.conv.weight"), "{prefix}");
            assert_eq!(targets[1].as_deref(), Some("stem.bn.gamma"));
            assert_eq!(targets[4].as_deref(), Some("stem.bn.running_var"));
            assert_eq!(targets[7].as_deref(), Some("head.predictions.bias"));
            assert_eq!([&targets[5], &targets[8], &targets[9]], [&None, &None, &None]);
        }
    }

    #[test]
    fn a_classifier_has_many_names() {
        for classifier in CLASSIFIERS {
            let names = under("model.")
                .iter()
                .map(|name| name.replace("model.fc.", &format!("model.{classifier}.")))
                .collect::<Vec<_>>();
            let targets = targets(&names).unwrap();
            assert_eq!(targets[6].as_deref(), Some("head.predictions.weight"), "{classifier}");
        }
    }

    #[test]
    fn two_copies_are_asked_about() {
        let mut names = under("model.");
        names.extend(under("ema_model."));
        let error = targets(&names).unwrap_err();
        assert!(error.contains("under `model.` and `ema_model.`"), "{error}");
    }

    #[test]
    fn one_of_two_copies_is_chosen() {
        let mut names = under("model.");
        names.extend(under("ema_model."));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for chosen in ["ema_model.", "ema_model"] {
            let prefix = network_prefix(&network(), &names, Some(chosen)).unwrap();
            assert_eq!(prefix, "ema_model.");
            let targets = network_names(&network(), &names, prefix).unwrap();
            assert_eq!(
                [&targets[0], &targets[8]],
                [&None, &Some("stem.conv.weight".to_owned())]
            );
        }
        let error = network_prefix(&network(), &names, Some("net.")).unwrap_err();
        assert!(error.contains("tensors have `ema_model.`, `model.`"), "{error}");
    }

    #[test]
    fn a_tensor_twice_or_none_at_all_is_an_error() {
        let mut names = under("");
        names.push("classifier.weight".into());
        let error = targets(&names).unwrap_err();
        assert!(error.contains("both head.predictions.weight"), "{error}");
        assert!(targets(&["blocks.0.weight".into()]).is_err());
        let deep = ".".repeat(1 << 16);
        assert!(targets(&[deep]).is_err());
    }
}
