//! A folder with one folder per class.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};
use xception_model::picture::{SkippedFiles, hidden_pictures, is_hidden, is_named_as_picture};

use super::{
    conversion,
    error::DataError,
    folders::{Tables, loose_pictures, name_of, names_with_classes},
    layout::{ClassFolder, Layout},
    listing::{Item, Listing},
    options::DataOptions,
    text::counted,
};

pub(super) fn scan(root: &Path, options: &DataOptions) -> Result<Listing, DataError> {
    let layout = Layout::find(root, options)?;
    let mut notes = Notes {
        beside: layout.beside,
        unlabelled: layout.unlabelled,
        ..Notes::default()
    };
    let mut found: Vec<(String, Item)> = Vec::new();
    for folder in &layout.holders {
        notes.loose += loose_pictures(folder)?;
    }
    for folder in &layout.classes {
        let before = found.len();
        class_pictures(root, folder, &mut found, &mut notes)?;
        if found.len() == before {
            let hidden = match hidden_pictures(&folder.path) {
                0 => String::new(),
                count => format!(" ({} passed over)", counted(count, "hidden picture")),
            };
            notes.empty.push(name_of(root, &folder.path) + &hidden);
        }
    }
    if found.is_empty() {
        notes.tables = Tables::find(root);
        notes.hidden = hidden_pictures(root);
        return Err(DataError::NoPictures {
            path: root.to_owned(),
            hint: notes.instead(root) + &names_with_classes(root).unwrap_or_default(),
        });
    }
    let classes: BTreeSet<&String> = found.iter().map(|(class, _)| class).collect();
    let classes: Vec<String> = classes.into_iter().cloned().collect();
    let mut items: Vec<Item> = found
        .into_iter()
        .map(|(class, mut item)| {
            item.labels = classes.binary_search(&class).into_iter().collect();
            item
        })
        .collect();
    // Names that are not UTF-8 may become equal.
    items.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    Ok(Listing {
        classes,
        multi_label: false,
        items,
        given: layout.given,
        notes: notes.sentences(),
    })
}

/// The content of the folder besides the classes' pictures.
#[derive(Default)]
struct Notes {
    /// The number of pictures beside the classes' folders.
    loose: usize,
    /// Classes' folders without a picture.
    empty: Vec<String>,
    /// Folders beside `train`, `val` and `test`.
    beside: Vec<String>,
    /// Folders of splits whose pictures are in no class's folder, with the number of these pictures.
    unlabelled: Vec<(String, usize)>,
    /// The number of files that are not pictures, by extension.
    others: BTreeMap<String, usize>,
    /// The number of skipped files by their content.
    skipped: SkippedFiles,
    /// Tables beside the pictures, if there are no classes.
    tables: Tables,
    /// Hidden pictures, if there are no others.
    hidden: usize,
}

impl Notes {
    fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for (folder, count) in &self.unlabelled {
            sentences.push(format!(
                "{} of {folder} in no class's folder: their classes are not known, ignored",
                counted(*count, "picture")
            ));
        }
        if self.loose > 0 {
            sentences.push(format!(
                "{} in no class's folder, ignored",
                counted(self.loose, "picture")
            ));
        }
        if !self.empty.is_empty() {
            sentences.push(format!("no pictures in {}, ignored", self.empty.join(", ")));
        }
        if !self.beside.is_empty() {
            sentences.push(format!("beside the train folder, ignored: {}", self.beside.join(", ")));
        }
        if let Some(others) = self.others() {
            sentences.push(format!("files that are not pictures, ignored: {others}"));
        }
        if self.skipped.pictures() > 0 {
            sentences.push(format!("by their content, {}", self.skipped));
        }
        sentences
    }

    fn others(&self) -> Option<String> {
        let others = self.others.iter().map(|(ending, count)| format!("{count} {ending}"));
        let others: Vec<String> = others.collect();
        (!others.is_empty()).then(|| others.join(", "))
    }

    /// What a folder without pictures holds instead, as the rest of a sentence.
    fn instead(&self, root: &Path) -> String {
        let loose = self.loose + self.unlabelled.iter().map(|(_, count)| count).sum::<usize>();
        let found = match (loose, self.others()) {
            (0, None) => String::new(),
            (0, Some(others)) => format!("; found instead: {others}"),
            (loose, _) => format!("; {} beside the folders, not in them", counted(loose, "picture")),
        };
        let found = match self.hidden {
            0 => found,
            count => format!(
                "{found}; {} passed over: their names, or those of their folders, begin with a dot or are \
                              of a system (__MACOSX)",
                counted(count, "hidden picture")
            ),
        };
        let packed = if self.loose + self.hidden > 0 {
            String::new()
        } else {
            conversion::packed(root)
        };
        found + &packed + &self.tables.advice(root)
    }
}

/// Adds every picture below a class's folder, through links.
fn class_pictures(
    root: &Path,
    folder: &ClassFolder,
    found: &mut Vec<(String, Item)>,
    notes: &mut Notes,
) -> Result<(), DataError> {
    let ignored = |entry: &DirEntry| entry.depth() > 0 && is_hidden(entry.file_name());
    let depth = if folder.is_deep { usize::MAX } else { 1 };
    let walk = WalkDir::new(&folder.path)
        .follow_links(true)
        .max_depth(depth)
        .into_iter();
    for entry in walk.filter_entry(|entry| !ignored(entry)) {
        let path: PathBuf = match entry {
            Ok(entry) if !entry.file_type().is_file() => continue,
            Ok(entry) => entry.into_path(),
            Err(error) => match error.path() {
                // A broken link counts as one more unreadable file, or as one that is no picture.
                Some(path) if is_broken_link(path) => path.to_owned(),
                path => {
                    return Err(DataError::Read {
                        path: path.unwrap_or(&folder.path).to_owned(),
                        problem: error.into(),
                    });
                }
            },
        };
        if !is_named_as_picture(&path) {
            *notes.others.entry(ending(&path)).or_default() += 1;
            notes.skipped.add(&path);
            continue;
        }
        let item = Item {
            name: name_of(root, &path),
            path,
            labels: Vec::new(),
            split: folder.split,
        };
        found.push((folder.class.clone(), item));
    }
    Ok(())
}

fn is_broken_link(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}

fn ending(path: &Path) -> String {
    match path.extension() {
        Some(extension) => format!(".{}", extension.to_string_lossy()),
        None => "without an ending".to_owned(),
    }
}
