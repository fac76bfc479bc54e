//! Keras 3's layout `layers/<class>[_i]/vars/<n>`, written by `saving_lib.py` into a `.weights.h5` or inside a
//! `.keras`, and before it by TF 2.11 to 2.15.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::config::ConfigNode;
use crate::hdf5::{H5Dataset, H5Tree, join};
use crate::layer::{KerasLayer, KerasVariable, StoredLayer, UnknownType};
use crate::names;

/// Where a model keeps its layers, in Keras 3 and in TF up to 2.14.
const CONTAINERS: [&str; 2] = ["layers", TF_CONTAINER];
const TF_CONTAINER: &str = "_layer_checkpoint_dependencies";

/// What a model or layer owns beside its weights: the trainer's state and random generators.
const SKIPPED: [&str; 11] = [
    "optimizer",
    "metrics",
    "_metrics",
    "compile_metrics",
    "_compile_metrics",
    "loss_tracker",
    "_loss_tracker",
    "seed_generator",
    "generator",
    "random_generator",
    "_random_generator",
];

/// All layers, in the config's order, or by class and number without a config.
pub(crate) fn layers(tree: &H5Tree, config: Option<&ConfigNode<'_>>) -> Result<Vec<StoredLayer>, UnknownType> {
    let mut reader = Reader {
        tree,
        layers: Vec::new(),
    };
    let root = Object {
        group: String::new(),
        path: String::new(),
        name: String::new(),
        class: config.map(|c| c.class),
        config,
    };
    reader.object(&root)?;
    Ok(reader.layers)
}

/// A model, a layer, or an object that a layer owns, at its group.
struct Object<'a> {
    group: String,
    path: String,
    name: String,
    class: Option<&'a str>,
    config: Option<&'a ConfigNode<'a>>,
}

struct Reader<'a> {
    tree: &'a H5Tree,
    layers: Vec<StoredLayer>,
}

impl Reader<'_> {
    fn object(&mut self, object: &Object<'_>) -> Result<(), UnknownType> {
        let Some(entry) = self.tree.groups.get(&object.group) else {
            // A layer that the config lists and for which the file needs no group.
            self.push(object)?;
            return Ok(());
        };
        let container = CONTAINERS
            .into_iter()
            .find(|&c| entry.children.iter().any(|child| child == c));
        let is_model =
            container.is_some() || object.path.is_empty() || object.config.is_some_and(|c| !c.layers.is_empty());
        let is_list = !entry.children.iter().any(|c| c == "vars") && object.config.is_none();
        if self.has_variables(&join(&object.group, "vars")) || !(is_model || is_list) {
            self.push(object)?;
        }
        if let Some(container) = container {
            self.container(object, container)?;
        }

        let mut attributes: Vec<&str> = entry
            .children
            .iter()
            .map(String::as_str)
            .filter(|&c| c != "vars" && Some(c) != container)
            .collect();
        attributes.sort_by(|a, b| names::natural(a, b));
        for attribute in attributes {
            let group = join(&object.group, attribute);
            let name = self.stored_name(&group);
            if SKIPPED.contains(&attribute) || name.is_some_and(|n| n.starts_with("seed_generator")) {
                continue;
            }
            let config = object.config.and_then(|c| c.attribute(attribute));
            let class = config
                .as_ref()
                .map(|c| c.class)
                .or_else(|| cell_class(object.class, attribute))
                .or_else(|| names::class_of_group(attribute))
                .or_else(|| name.and_then(names::class_of_group));
            self.object(&Object {
                path: join(&object.path, attribute),
                name: name.unwrap_or(attribute).to_owned(),
                group,
                class,
                config: config.as_ref(),
            })?;
        }
        Ok(())
    }

    /// The layers of a model.
    fn container(&mut self, model: &Object<'_>, container: &str) -> Result<(), UnknownType> {
        let group = join(&model.group, container);
        let mut children: Vec<&str> = self
            .tree
            .groups
            .get(&group)
            .map(|g| g.children.iter().map(String::as_str).collect())
            .unwrap_or_default();
        children.sort_by(|a, b| names::natural(a, b));

        let config = model.config.map(|c| c.layers.as_slice()).unwrap_or_default();
        let assigned = self.assign(&group, container, &children, config);
        for (node, child) in &assigned {
            self.object(&Object {
                group: join(&group, child),
                path: join(&model.path, node.name),
                name: node.name.to_owned(),
                class: Some(node.class),
                config: Some(node),
            })?;
        }

        // Without a config, all of them. With one, layers that the config does not list are still kept.
        let assigned: HashSet<&str> = assigned.iter().map(|(_, child)| child.as_str()).collect();
        for child in children.into_iter().filter(|c| !assigned.contains(c)) {
            let child_group = join(&group, child);
            if !config.is_empty() && !self.has_variables(&child_group) {
                continue;
            }
            let name = self.stored_name(&child_group).unwrap_or(child).to_owned();
            self.object(&Object {
                path: join(&model.path, &name),
                name,
                group: child_group,
                class: names::class_of_group(child),
                config: None,
            })?;
        }
        Ok(())
    }

    /// Pairs the config's layers with their groups. Keras >= 3.6 writes each layer's name into its group; for earlier
    /// files the layers of each class are counted (`_save_container_state`).
    fn assign<'n>(
        &self,
        group: &str,
        container: &str,
        children: &[&str],
        config: &'n [ConfigNode<'n>],
    ) -> Vec<(&'n ConfigNode<'n>, String)> {
        let named: HashMap<&str, &str> = children
            .iter()
            .filter_map(|&child| Some((self.stored_name(&join(group, child))?, child)))
            .collect();
        if !named.is_empty() {
            // An entry without a group is not a layer but an operation of the user's own.
            return config
                .iter()
                .filter_map(|node| Some((node, (*named.get(node.name)?).to_owned())))
                .collect();
        }
        let mut counted = self.count(group, config, 1);
        if container == TF_CONTAINER {
            // TF 2.12 and 2.13 count a layer with weights twice, later versions once.
            let twice = self.count(group, config, 2);
            let all_found = children
                .iter()
                .filter(|child| self.has_variables(&join(group, child)))
                .all(|child| twice.iter().any(|t| t == child));
            if all_found {
                counted = twice;
            }
        }
        config.iter().zip(counted).collect()
    }

    /// Names the layers by class; a layer with variables takes `step` numbers.
    fn count(&self, group: &str, config: &[ConfigNode<'_>], step: usize) -> Vec<String> {
        let mut next: HashMap<String, usize> = HashMap::new();
        config
            .iter()
            .map(|node| {
                let class = names::snake_case(node.class);
                let number = next.entry(class.clone()).or_default();
                let name = match *number {
                    0 => class,
                    n => format!("{class}_{n}"),
                };
                *number += if self.has_variables(&join(group, &name)) {
                    step
                } else {
                    1
                };
                name
            })
            .collect()
    }

    fn stored_name(&self, group: &str) -> Option<&str> {
        self.tree.groups.get(&join(group, "vars"))?.string("name")
    }

    fn has_variables(&self, group: &str) -> bool {
        let inside = format!("{group}/");
        self.tree
            .datasets
            .range(inside.clone()..)
            .next()
            .is_some_and(|(path, _)| path.starts_with(&inside))
    }

    fn push(&mut self, object: &Object<'_>) -> Result<(), UnknownType> {
        let inside = join(&object.group, "vars/");
        let mut stored: Vec<(&str, &Arc<H5Dataset>)> = self
            .tree
            .datasets
            .range(inside.clone()..)
            .map_while(|(path, dataset)| Some((path.strip_prefix(&inside)?, dataset)))
            .filter(|(name, _)| !name.contains('/'))
            .collect();
        stored.sort_by(|a, b| names::natural(a.0, b.0));
        let called = names::variables(object.class, object.config, stored.len());
        let variables = stored
            .iter()
            .zip(called)
            // `vars/<n>` is the rule; a layer with its own `save_own_variables` may use other names.
            .enumerate()
            .map(|(i, ((place, dataset), called))| {
                let name = if *place == i.to_string() {
                    called
                } else {
                    (*place).to_owned()
                };
                KerasVariable::of(name, &join(&inside, place), dataset)
            })
            .collect::<Result<_, _>>()?;
        self.layers.push(StoredLayer {
            layer: KerasLayer {
                path: object.path.clone(),
                name: object.name.clone(),
                class: object.class.map(str::to_owned),
                config: object.config.map(|c| c.json.clone()),
                variables,
            },
            data: stored.into_iter().map(|(_, d)| Arc::clone(d)).collect(),
        });
        Ok(())
    }
}

/// A recurrent layer keeps its variables in its cell.
fn cell_class(owner: Option<&str>, attribute: &str) -> Option<&'static str> {
    match (owner, attribute) {
        (Some("LSTM"), "cell") => Some("LSTMCell"),
        (Some("GRU"), "cell") => Some("GRUCell"),
        (Some("SimpleRNN"), "cell") => Some("SimpleRNNCell"),
        _ => None,
    }
}
