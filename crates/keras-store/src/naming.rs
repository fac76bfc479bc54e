//! Maps a layer's path in Keras to a parameter's path in the module, for loading and for saving.

use std::collections::BTreeMap;

use burn_store::KeyRemapper;

/// The renames: those of `with_names` first, then those of `with_key_remapping`.
#[derive(Default)]
pub(crate) struct Naming {
    pub(crate) layers: BTreeMap<String, String>,
    /// Further modules with the variables of a layer that its model calls several times.
    pub(crate) copies: BTreeMap<String, Vec<String>>,
    pub(crate) keys: KeyRemapper,
}

impl Naming {
    /// The names of all modules for the variable which Burn calls `variable` of the layer at `layer`.
    pub(crate) fn every_key(&self, layer: &str, variable: &str) -> Vec<String> {
        let copies = self.copies.get(layer).into_iter().flatten();
        let copies = copies.map(|path| format!("{path}.{variable}"));
        [self.key(layer, variable)].into_iter().chain(copies).collect()
    }

    /// The module's name for the variable which Burn calls `variable` of the layer at `layer`.
    pub(crate) fn key(&self, layer: &str, variable: &str) -> String {
        let mut key = match self.module_path(layer).as_str() {
            "" => variable.to_owned(),
            path => format!("{path}.{variable}"),
        };
        // The same steps as `KeyRemapper::remap` on a list of tensors.
        for (pattern, replacement) in &self.keys.patterns {
            key = pattern.replace_all(&key, replacement.as_str()).into_owned();
        }
        key
    }

    /// The layer's path in the module: from its own entry in `with_names`, or from the entry of the nearest model
    /// around it.
    fn module_path(&self, layer: &str) -> String {
        let mut around = layer;
        loop {
            if let Some(to) = self.layers.get(around) {
                return format!("{to}{}", &layer[around.len()..]).replace('/', ".");
            }
            match around.rsplit_once('/') {
                Some((outer, _)) => around = outer,
                None => return layer.replace('/', "."),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_entry_decides_and_expressions_come_after_it() {
        let mut naming = Naming::default();
        naming.layers.insert("backbone".into(), "trunk".into());
        naming.layers.insert("backbone/stem".into(), "entry.conv".into());
        assert_eq!(naming.key("backbone/stem", "weight"), "entry.conv.weight");
        assert_eq!(naming.key("backbone/stem_bn", "gamma"), "trunk.stem_bn.gamma");
        assert_eq!(naming.key("other/stem", "weight"), "other.stem.weight");
        assert_eq!(naming.key("", "scale"), "scale");

        naming.keys = KeyRemapper::new().add_pattern(r"^trunk\.", "body.").unwrap();
        naming.keys = naming.keys.add_pattern("gamma$", "scale").unwrap();
        assert_eq!(naming.key("backbone/stem_bn", "gamma"), "body.stem_bn.scale");
    }
}
