use std::fmt;

use serde::{Deserialize, Serialize};

/// The part of a data set that a picture belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// Validation: for choosing the best epoch and the settings of training.
    Val,
    /// For judging the network once, at the end.
    Test,
}

impl Split {
    /// All parts, in the order in which they are used.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The name of the split's folder, and the split's value in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// The split that the name of a folder or a cell of a table means.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Val),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }

    /// The split that a word of a name means: `seg_train`, `Test-Images`, `validationset`, `trainA`. `None` if words
    /// mean several splits, as in `train_val`.
    pub(super) fn among_words(name: &str) -> Option<Self> {
        let name = apart(name).to_lowercase();
        let words = name.split(|char: char| !char.is_alphanumeric());
        let mut splits = words.filter_map(Self::of_word);
        let first = splits.next()?;
        splits.all(|split| split == first).then_some(first)
    }

    fn of_word(word: &str) -> Option<Self> {
        const STEMS: [(&str, Split); 7] = [
            ("training", Split::Train),
            ("train", Split::Train),
            ("validation", Split::Val),
            ("valid", Split::Val),
            ("val", Split::Val),
            ("testing", Split::Test),
            ("test", Split::Test),
        ];
        const ENDINGS: [&str; 6] = ["", "set", "data", "dataset", "images", "pictures"];
        STEMS.iter().find_map(|&(stem, split)| {
            let rest = word
                .strip_prefix(stem)?
                .trim_end_matches(|char: char| char.is_ascii_digit());
            ENDINGS.contains(&rest).then_some(split)
        })
    }
}

/// A name with a blank before each capital letter that begins a word.
fn apart(name: &str) -> String {
    let mut apart = String::new();
    for char in name.chars() {
        if char.is_uppercase() && apart.ends_with(|last: char| last.is_lowercase() || last.is_ascii_digit()) {
            apart.push(' ');
        }
        apart.push(char);
    }
    apart
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_names() {
        for (name, split) in [
            ("seg_train", Some(Split::Train)),
            ("training_set", Some(Split::Train)),
            ("Test-Images", Some(Split::Test)),
            ("val_data", Some(Split::Val)),
            ("trainset", Some(Split::Train)),
            ("val2017", Some(Split::Val)),
            ("VALIDATION", Some(Split::Val)),
            ("train train", Some(Split::Train)),
            ("train_val", None),
            ("trainval", None),
            ("trainA", Some(Split::Train)),
            ("myTestImages", Some(Split::Test)),
            ("trains", None),
            ("contest", None),
            ("seg_pred", None),
        ] {
            assert_eq!(Split::among_words(name), split, "{name}");
        }
    }
}
