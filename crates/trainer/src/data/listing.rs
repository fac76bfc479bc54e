//! The content of a folder or a table, before any picture is opened.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use xception_model::{
    labels::{self, Label},
    picture::hidden_pictures,
};

use super::{
    error::DataError,
    folders::names_with_classes,
    options::ClassCase,
    spelling::{spelling, tidy},
    split::Split,
    text::counted,
};

/// The pictures of a folder or a table.
pub(super) struct Listing {
    pub classes: Vec<String>,
    pub multi_label: bool,
    /// In the order of their names.
    pub items: Vec<Item>,
    /// The splits that folders or a column name; empty if there are none.
    pub given: Vec<Split>,
    pub notes: Vec<String>,
}

/// One picture.
pub(super) struct Item {
    pub path: PathBuf,
    pub name: String,
    pub labels: Vec<usize>,
    pub split: Split,
}

/// The largest number of classes. JFT, the largest data set that an Xception was trained on, has 17,000 (Chollet 2017).
const MAX_CLASSES: usize = 20_000;

impl Listing {
    /// Replaces the classes by `classes`, which contain them.
    pub(super) fn relabel(&mut self, path: &Path, classes: &[String]) -> Result<(), DataError> {
        let places = self.classes.iter().map(|class| {
            let place = classes.iter().position(|known| known == class);
            // A copy of the folders on another system may write accents otherwise.
            let place = place.or_else(|| classes.iter().position(|known| tidy(known) == tidy(class)));
            place.ok_or_else(|| DataError::UnknownClass {
                path: path.to_owned(),
                class: class.clone(),
                known: classes.len(),
            })
        });
        let places: Vec<usize> = places.collect::<Result<_, _>>()?;
        for item in &mut self.items {
            item.labels = item.labels.iter().map(|&label| places[label]).collect();
            item.labels.sort_unstable();
        }
        classes.clone_into(&mut self.classes);
        Ok(())
    }

    /// Classes whose names differ only in upper and lower case, blanks or Unicode form: merges, keeps or refuses them.
    pub(super) fn settle_case(&mut self, path: &Path, case: Option<ClassCase>) -> Result<(), DataError> {
        if case == Some(ClassCase::Keep) {
            return Ok(());
        }
        let mut spellings: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, class) in self.classes.iter().enumerate() {
            spellings.entry(spelling(class)).or_default().push(number);
        }
        let alike = spellings.values().find(|numbers| numbers.len() > 1);
        let Some(alike) = alike else { return Ok(()) };
        if case.is_none() {
            return Err(DataError::ClassCase {
                path: path.to_owned(),
                first: self.classes[alike[0]].clone(),
                second: self.classes[alike[1]].clone(),
            });
        }
        // The spelling with the most pictures names the class.
        let mut counts = vec![0_usize; self.classes.len()];
        for &label in self.items.iter().flat_map(|item| &item.labels) {
            counts[label] += 1;
        }
        let mut merged = self.classes.clone();
        for numbers in spellings.into_values() {
            let best = numbers
                .iter()
                .copied()
                .max_by_key(|&number| (counts[number], usize::MAX - number));
            for &number in &numbers {
                merged[number] = match numbers.len() {
                    1 => self.classes[number].clone(),
                    _ => tidy(&self.classes[best.unwrap_or(number)]),
                };
            }
        }
        let mut classes = merged.clone();
        classes.sort_unstable();
        classes.dedup();
        for item in &mut self.items {
            let labels = item
                .labels
                .iter()
                .filter_map(|&label| classes.binary_search(&merged[label]).ok());
            item.labels = labels.collect();
            item.labels.sort_unstable();
            item.labels.dedup();
        }
        self.classes = classes;
        Ok(())
    }

    /// What the names of the pictures may mean, if all pictures lie in one folder.
    fn names_with_classes(&self) -> String {
        let mut folders: Vec<Option<&Path>> = self.items.iter().map(|item| item.path.parent()).collect();
        folders.dedup();
        match folders[..] {
            [Some(folder)] => names_with_classes(folder).unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// Whether the number of classes is in its range, and whether their names can be saved with a network.
    pub(super) fn check_classes(&self, path: &Path, given: bool) -> Result<(), DataError> {
        let path = path.to_owned();
        let labels: Vec<Label> = self.classes.iter().map(Label::new).collect();
        if let Some((error, class)) = labels::check(&labels)
            .err()
            .and_then(|error| Some((error.clone(), self.classes.get(error.number.checked_sub(1)?)?)))
        {
            return Err(DataError::ClassText {
                path,
                class: class.clone(),
                problem: error.problem,
            });
        }
        match self.classes.as_slice() {
            [class] if !self.multi_label && !given => Err(DataError::OneClass {
                hint: self.names_with_classes() + &hidden_beside(&path),
                path,
                class: class.clone(),
            }),
            [] => Err(DataError::Columns {
                path,
                problem: "no picture has a label".to_owned(),
            }),
            classes if classes.len() > MAX_CLASSES => Err(DataError::TooManyClasses {
                path,
                limit: MAX_CLASSES,
                pictures: self.items.len(),
            }),
            _ => Ok(()),
        }
    }
}

/// Hidden pictures in a folder, as the rest of a sentence, or empty.
fn hidden_beside(path: &Path) -> String {
    match hidden_pictures(path) {
        0 => String::new(),
        count => format!("; {} passed over", counted(count, "hidden picture")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_classes_are_refused() {
        let of = |count: usize| Listing {
            classes: (0..count).map(|number| number.to_string()).collect(),
            multi_label: false,
            items: Vec::new(),
            given: Vec::new(),
            notes: Vec::new(),
        };
        let path = Path::new("photos.csv");
        assert!(of(MAX_CLASSES).check_classes(path, false).is_ok());
        let error = of(MAX_CLASSES + 1).check_classes(path, false).unwrap_err().to_string();
        assert!(
            error.starts_with("photos.csv: there are more than 20000 classes in 0 pictures; is this"),
            "{error}"
        );
    }
}
