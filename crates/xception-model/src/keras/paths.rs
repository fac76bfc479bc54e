use std::collections::{HashMap, HashSet};

/// Module paths: unique, and no path within another.
#[derive(Default)]
pub(super) struct Paths {
    used: HashSet<String>,
    /// Every prefix of a path that ends before a dot.
    around: HashSet<String>,
    /// How many numbers each name has used.
    numbers: HashMap<String, usize>,
}

impl Paths {
    /// A new path that resembles the layer's.
    pub(super) fn unique(&mut self, layer: &str) -> String {
        let parts: Vec<String> = layer.split('/').map(part).collect();
        let mut path = parts.join(".");
        if self.clashes(&path) {
            // A path of one part cannot lie within another module.
            let stem = parts.join("_");
            path.clone_from(&stem);
            while self.clashes(&path) {
                let number = self.numbers.entry(stem.clone()).or_insert(1);
                *number += 1;
                path = format!("{stem}_{number}");
            }
        }
        for (end, _) in path.match_indices('.') {
            self.around.insert(path[..end].to_owned());
        }
        self.used.insert(path.clone());
        path
    }

    fn clashes(&self, path: &str) -> bool {
        let mut around = path.match_indices('.').map(|(end, _)| &path[..end]);
        self.used.contains(path) || self.around.contains(path) || around.any(|outer| self.used.contains(outer))
    }
}

fn part(name: &str) -> String {
    if name.is_empty() {
        return "layer".into();
    }
    let safe = |c: char| {
        if c.is_alphanumeric() || c == '_' || c == '-' {
            c
        } else {
            '_'
        }
    };
    name.chars().map(safe).collect()
}
