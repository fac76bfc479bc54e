//! Writes the legacy layout: `<layer>/<weight name>` with the attributes `layer_names` and `weight_names`, the tree of
//! `save_weights_to_hdf5_group` (`keras/src/legacy/saving/legacy_h5_format.py` of 3.15.1). Keras loads it by order, so
//! the orders here are Keras's.

use crate::write::hdf5::{Attribute, NewDataset, NewGroup};
use crate::write::model::{Model, Part, Variable};
use crate::write::version::KERAS_VERSION;

/// An attribute is stored in its object's header, whose size is limited (`HDF5_OBJECT_HEADER_LIMIT`).
const MAX_LIST_BYTES: usize = 64_512;

/// The tree of a file with weights alone. `datasets` has one entry for each of the model's variables.
pub(crate) fn weights(model: &Model, datasets: &[NewDataset]) -> Result<NewGroup, String> {
    let mut tree = NewGroup::default();
    let layers = &model.root.parts;
    list(
        &mut tree,
        "layer_names",
        layers.iter().map(|layer| layer.name.clone()).collect(),
    )?;
    // Tells readers that no kernel is flipped, as Theano's would be.
    tree.attribute("backend", Attribute::Bytes("tensorflow".into()));
    tree.attribute("keras_version", Attribute::Bytes(KERAS_VERSION.into()));
    for layer in layers {
        let mut variables = Vec::new();
        collect(layer, &mut variables);
        if layer.trainable {
            // `_legacy_weights`: trainable variables first, then the others; in one order if the layer is frozen. The
            // sort is stable.
            variables.sort_by_key(|&variable| !model.variables[variable].trainable);
        }
        let names: Vec<String> = variables
            .iter()
            .map(|&variable| weight_name(layer, &model.variables[variable]))
            .collect();
        let group = tree.group(&layer.name);
        for (name, &variable) in names.iter().zip(&variables) {
            group.dataset(name, datasets[variable].clone())?;
        }
        list(group, "weight_names", names)?;
    }
    // Variables of the model itself: a functional or sequential model has none.
    list(tree.group("top_level_model_weights"), "weight_names", Vec::new())?;
    Ok(tree)
}

/// The tree of a file with the whole model, whose config is `config`.
pub(crate) fn model(model: &Model, datasets: &[NewDataset], config: &str) -> Result<NewGroup, String> {
    let mut tree = NewGroup::default();
    tree.attribute("keras_version", Attribute::Text(KERAS_VERSION.into()));
    tree.attribute("backend", Attribute::Text("tensorflow".into()));
    let config = config.to_owned();
    let config = if config.is_ascii() {
        Attribute::Bytes(config)
    } else {
        Attribute::Text(config)
    };
    tree.attribute("model_config", config);
    tree.groups.insert("model_weights".into(), weights(model, datasets)?);
    Ok(tree)
}

/// Collects the variables of a layer, or of all layers of a nested model.
fn collect(part: &Part, variables: &mut Vec<usize>) {
    variables.extend(&part.variables);
    for inner in &part.parts {
        collect(inner, variables);
    }
}

/// The name `block1_conv1/kernel`, both in the layer's own group and in the group of a nested model.
fn weight_name(layer: &Part, variable: &Variable) -> String {
    let below = variable.layer.strip_prefix(&layer.path).unwrap_or_default();
    let scope = match below.strip_prefix('/') {
        Some(below) => below,
        None => &layer.name,
    };
    format!("{scope}/{}", variable.needed.name)
}

/// Writes a list of names, split over several attributes if necessary (`save_attributes_to_hdf5_group`).
fn list(group: &mut NewGroup, name: &str, list: Vec<String>) -> Result<(), String> {
    // A NumPy array of bytes gives every name the width of the longest.
    let width = |list: &[String]| list.iter().map(String::len).max().unwrap_or(0);
    let bytes = |list: &[String]| width(list) * list.len();
    if width(&list) > MAX_LIST_BYTES {
        return Err(format!(
            "a name in `{name}` is longer than the {MAX_LIST_BYTES} bytes that a legacy .h5 has room for; \
             give the layer a shorter one, or write a .keras"
        ));
    }
    if bytes(&list) <= MAX_LIST_BYTES {
        group.attribute(name, Attribute::List(list));
        return Ok(());
    }
    let parts = (2..=list.len())
        .map(|count| split(&list, count))
        .find(|parts| parts.iter().all(|part| bytes(part) <= MAX_LIST_BYTES))
        .unwrap_or_default();
    for (number, part) in parts.into_iter().enumerate() {
        group.attribute(&format!("{name}{number}"), Attribute::List(part.to_vec()));
    }
    Ok(())
}

/// `numpy.array_split`: the first parts are longer by one.
fn split(list: &[String], count: usize) -> Vec<&[String]> {
    let (short, longer) = (list.len() / count, list.len() % count);
    let mut rest = list;
    (0..count)
        .map(|part| {
            let (head, tail) = rest.split_at((short + usize::from(part < longer)).min(rest.len()));
            rest = tail;
            head
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_split_as_numpy_splits_them() {
        let names: Vec<String> = (0..1000).map(|i| format!("{i:0100}")).collect();
        let mut group = NewGroup::default();
        list(&mut group, "weight_names", names.clone()).unwrap();
        let parts: Vec<_> = group
            .attributes
            .iter()
            .map(|(name, value)| match value {
                Attribute::List(list) => (name.as_str(), list.len()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(parts, [("weight_names0", 500), ("weight_names1", 500)]);

        // `[len(p) for p in numpy.array_split(range(10), 4)]`
        let lengths: Vec<_> = split(&names[..10], 4).iter().map(|part| part.len()).collect();
        assert_eq!(lengths, [3, 3, 2, 2]);
        assert_eq!(split(&names[..10], 4).concat(), names[..10]);
    }

    #[test]
    fn the_limit_itself_fits_and_a_longer_name_does_not() {
        let mut group = NewGroup::default();
        list(&mut group, "a", vec!["x".repeat(MAX_LIST_BYTES)]).unwrap();
        assert_eq!(group.attributes[0].0, "a");
        assert!(list(&mut group, "b", vec!["x".repeat(MAX_LIST_BYTES + 1)]).is_err());
    }
}
