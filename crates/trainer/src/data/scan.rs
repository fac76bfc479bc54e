//! A folder with one folder per class.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

use super::{
    error::DataError,
    formats::is_picture,
    listing::{Item, Listing},
    split::Split,
    text::counted,
};

/// A split, and the folder that holds its classes' folders.
type Part = (Split, PathBuf);

pub(super) fn scan(root: &Path) -> Result<Listing, DataError> {
    let folders = folders(root)?;
    let mut notes = Notes::default();
    let (parts, given) = parts(root, &folders, &mut notes)?;
    let mut found: Vec<(String, Item)> = Vec::new();
    for (split, folder) in &parts {
        let inside = if *folder == *root {
            folders.clone()
        } else {
            self::folders(folder)?
        };
        notes.loose += loose_pictures(folder)?;
        for (class, path) in inside {
            let class = class.ok_or(DataError::ClassName { path: path.clone() })?;
            let before = found.len();
            class_pictures(root, &path, &class, *split, &mut found, &mut notes)?;
            if found.len() == before {
                notes.empty.push(name_of(root, &path));
            }
        }
    }
    if found.is_empty() {
        return Err(DataError::NoPictures {
            path: root.to_owned(),
            hint: notes.instead(),
        });
    }
    let mut classes: Vec<String> = found.iter().map(|(class, _)| class.clone()).collect();
    classes.sort_unstable();
    classes.dedup();
    let mut items: Vec<Item> = found
        .into_iter()
        .map(|(class, mut item)| {
            item.labels = classes.binary_search(&class).into_iter().collect();
            item
        })
        .collect();
    // Names that are not UTF-8 may look alike.
    items.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    Ok(Listing {
        classes,
        multi_label: false,
        items,
        given,
        notes: notes.sentences(),
    })
}

/// What the folder holds beside the pictures of the classes.
#[derive(Default)]
struct Notes {
    /// The number of pictures beside the classes' folders.
    loose: usize,
    /// Classes' folders without a picture.
    empty: Vec<String>,
    /// Folders beside `train`, `val` and `test`.
    beside: Vec<String>,
    /// The number of files that are not pictures, by extension.
    others: BTreeMap<String, usize>,
}

impl Notes {
    fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
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
        sentences
    }

    fn others(&self) -> Option<String> {
        let others = self.others.iter().map(|(ending, count)| format!("{count} {ending}"));
        let others: Vec<String> = others.collect();
        (!others.is_empty()).then(|| others.join(", "))
    }

    /// For a folder without pictures: what it holds instead.
    fn instead(&self) -> String {
        match (self.loose, self.others()) {
            (0, None) => String::new(),
            (0, Some(others)) => format!("; found instead: {others}"),
            (loose, _) => format!("; {} beside the folders, not in them", counted(loose, "picture")),
        }
    }
}

/// The folders that hold the classes' folders, and the splits that they name.
fn parts(root: &Path, folders: &[Folder], notes: &mut Notes) -> Result<(Vec<Part>, Vec<Split>), DataError> {
    let mut parts: Vec<(Split, &str, PathBuf)> = Vec::new();
    for (name, path) in folders {
        let Some(name) = name.as_deref() else { continue };
        let Some(split) = Split::from_name(name) else { continue };
        if let Some((_, first, _)) = parts.iter().find(|(other, ..)| *other == split) {
            return Err(DataError::TwoFolders {
                path: root.to_owned(),
                first: (*first).to_owned(),
                second: name.to_owned(),
                split,
            });
        }
        parts.push((split, name, path.clone()));
    }
    // A lone `train` among other folders is a class: pictures of trains.
    let whole = vec![(Split::Train, root.to_owned())];
    if parts.is_empty() || (parts.len() == 1 && folders.len() > 1) {
        return Ok((whole, Vec::new()));
    }
    if !parts.iter().any(|&(split, ..)| split == Split::Train) {
        return Err(DataError::NoTraining { path: root.to_owned() });
    }
    let beside = folders
        .iter()
        .filter(|(_, path)| !parts.iter().any(|(.., part)| part == path));
    notes.beside = beside.map(|(_, path)| name_of(root, path)).collect();
    parts.sort_by_key(|&(split, ..)| split);
    let given = parts.iter().map(|&(split, ..)| split).collect();
    Ok((parts.into_iter().map(|(split, _, path)| (split, path)).collect(), given))
}

/// A folder's name, if it is text, and its path.
type Folder = (Option<String>, PathBuf);

/// The folders in a folder but for hidden ones, by name.
fn folders(path: &Path) -> Result<Vec<Folder>, DataError> {
    let mut folders = Vec::new();
    for path in entries(path)? {
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && !name.as_encoded_bytes().starts_with(b".") {
            folders.push((name.to_str().map(str::to_owned), path));
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

fn loose_pictures(path: &Path) -> Result<usize, DataError> {
    let pictures = entries(path)?
        .into_iter()
        .filter(|path| is_picture(path) && path.is_file());
    Ok(pictures.count())
}

fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read = || -> io::Result<Vec<PathBuf>> { fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect() };
    read().map_err(|problem| DataError::Read {
        path: path.to_owned(),
        problem,
    })
}

/// Adds every picture below a class's folder, through links.
fn class_pictures(
    root: &Path,
    folder: &Path,
    class: &str,
    split: Split,
    found: &mut Vec<(String, Item)>,
    notes: &mut Notes,
) -> Result<(), DataError> {
    let hidden = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
    let walk = WalkDir::new(folder).follow_links(true).into_iter();
    for entry in walk.filter_entry(|entry| !hidden(entry)) {
        let path = match entry {
            Ok(entry) if !entry.file_type().is_file() => continue,
            Ok(entry) => entry.into_path(),
            Err(error) => match error.path() {
                // A link to nowhere: one more file that cannot be read.
                Some(path) if is_picture(path) && path.is_symlink() && !path.exists() => path.to_owned(),
                path => {
                    return Err(DataError::Read {
                        path: path.unwrap_or(folder).to_owned(),
                        problem: error.into(),
                    });
                }
            },
        };
        if !is_picture(&path) {
            *notes.others.entry(ending(&path)).or_default() += 1;
            continue;
        }
        let item = Item {
            name: name_of(root, &path),
            path,
            labels: Vec::new(),
            split,
        };
        found.push((class.to_owned(), item));
    }
    Ok(())
}

fn ending(path: &Path) -> String {
    match path.extension() {
        Some(extension) => format!(".{}", extension.to_string_lossy()),
        None => "without an ending".to_owned(),
    }
}

/// The path inside the data set, the same on every system.
fn name_of(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
