use std::fmt;

use serde::{Deserialize, Serialize};

/// The part of a data set that a picture belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// Validation: for choosing the best epoch and the settings of a training.
    Val,
    /// For judging the network once, at the end.
    Test,
}

impl Split {
    /// All parts, in the order in which they are used.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The name of its folder, and its value in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// The part that the name of a folder or a cell of a table means, in upper or lower case.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" => Some(Self::Val),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
