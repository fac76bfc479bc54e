//! Writes Keras 3's layout `layers/<class>[_i]/vars/<n>`: the groups of `_save_state` and `_save_container_state`
//! (`keras/src/saving/saving_lib.py` of 3.15.1).

use std::collections::HashMap;

use crate::hdf5::join;
use crate::names;
use crate::write::hdf5::{Attribute, NewDataset, NewGroup};
use crate::write::model::Part;

/// The tree of a `.weights.h5`, alone or inside a `.keras`. `datasets` has one entry for each of the model's variables.
pub(crate) fn tree(root: &Part, datasets: &[NewDataset]) -> Result<NewGroup, String> {
    let mut tree = NewGroup::default();
    part(root, "", datasets, &mut tree)?;
    Ok(tree)
}

fn part(part: &Part, group: &str, datasets: &[NewDataset], tree: &mut NewGroup) -> Result<(), String> {
    let vars = join(group, "vars");
    // Written since Keras 3.6. Keras itself loads by the groups' names; people and readers like this crate's use the
    // layer's name.
    let name = Attribute::Text(part.name.clone());
    tree.group(&vars).attribute("name", name);
    for (number, &variable) in part.variables.iter().enumerate() {
        tree.dataset(&join(&vars, &number.to_string()), datasets[variable].clone())?;
    }

    let mut used: HashMap<String, usize> = HashMap::new();
    for inner in &part.parts {
        let class = names::snake_case(&inner.class);
        let number = used.entry(class.clone()).or_default();
        let name = match *number {
            0 => class,
            n => format!("{class}_{n}"),
        };
        *number += 1;
        self::part(inner, &join(&join(group, "layers"), &name), datasets, tree)?;
    }
    Ok(())
}
