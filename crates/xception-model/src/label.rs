use std::fmt;

use serde::{Deserialize, Serialize};

/// One class.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The identifier, if there is one: `ImageNet`'s classes have `WordNet` ids such as `n01440764`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name; two classes can share one (`ImageNet` has two `crane` and two `maillot`).
    pub name: String,
}

impl Label {
    /// A class with a name and no identifier.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            id: None,
            name: name.into(),
        }
    }

    /// Reads a line of a label file: `name` or `id<TAB>name`.
    pub(crate) fn of_line(line: &str) -> Self {
        match line.split_once('\t') {
            Some((id, name)) => Self {
                id: Some(id.trim().to_owned()),
                name: name.trim().to_owned(),
            },
            None => Self::new(line.trim()),
        }
    }

    /// The line that [`of_line`](Self::of_line) reads.
    #[cfg(feature = "pretrained")]
    pub(crate) fn to_line(&self) -> String {
        match &self.id {
            Some(id) => format!("{id}\t{}", self.name),
            None => self.name.clone(),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An invalid list of labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", place(*number))]
pub struct LabelError {
    /// The label's place in the list, from 1; 0 if the list as a whole is wrong.
    pub number: usize,
    /// What was expected and what was found.
    pub problem: String,
}

fn place(number: usize) -> String {
    match number {
        0 => String::new(),
        number => format!("label {number}: "),
    }
}
