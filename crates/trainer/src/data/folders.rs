//! The content of a folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;
use xception_model::picture::{is_hidden, is_named_as_picture};

use super::{conversion, error::DataError, text::listed};

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Folder {
    /// `None` for a name that is not text.
    pub name: Option<String>,
    pub path: PathBuf,
}

impl Folder {
    /// Its name as text.
    pub fn shown(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The folders in a folder without the ignored ones, by name.
pub(super) fn folders(path: &Path) -> Result<Vec<Folder>, DataError> {
    let mut folders = Vec::new();
    for path in entries(path)? {
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && !is_hidden(name) {
            folders.push(Folder {
                name: name.to_str().map(str::to_owned),
                path,
            });
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

/// The folders in a folder that hold pictures, at any depth.
pub(super) fn folders_with_pictures(path: &Path) -> Result<Vec<Folder>, DataError> {
    let mut folders = folders(path)?;
    folders.retain(|folder| holds_pictures(&folder.path));
    Ok(folders)
}

/// The number of pictures directly in a folder, without its subfolders.
pub(super) fn loose_pictures(path: &Path) -> Result<usize, DataError> {
    let pictures = entries(path)?
        .into_iter()
        .filter(|path| is_loose_picture(path) && path.is_file());
    Ok(pictures.count())
}

/// Whether a picture lies directly in a folder, not in a subfolder.
pub(super) fn has_loose_pictures(path: &Path) -> bool {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| is_loose_picture(&path) && !path.is_dir())
}

fn is_loose_picture(path: &Path) -> bool {
    is_named_as_picture(path) && !is_hidden(path.file_name().unwrap_or_default())
}

/// Whether a picture lies anywhere below a folder.
pub(super) fn holds_pictures(path: &Path) -> bool {
    all_pictures(path).next().is_some()
}

/// The number of pictures below a folder, at any depth.
pub(super) fn pictures_below(path: &Path) -> usize {
    all_pictures(path).count()
}

/// The pictures below a folder, at any depth and through links.
pub(super) fn all_pictures(path: &Path) -> impl Iterator<Item = PathBuf> {
    let walk = WalkDir::new(path).follow_links(true).into_iter();
    let entries = walk.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()));
    let files = entries.flatten().filter(|entry| !entry.file_type().is_dir());
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| is_named_as_picture(path))
}

/// The folders below a folder that hold pictures directly.
pub(super) fn deepest(path: &Path) -> Result<Vec<Folder>, DataError> {
    let walk = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    let mut found = Vec::new();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name())) {
        let entry = entry.map_err(|error| DataError::Read {
            path: error.path().unwrap_or(path).to_owned(),
            problem: error.into(),
        })?;
        if entry.file_type().is_dir() && has_loose_pictures(entry.path()) {
            found.push(Folder {
                name: entry.file_name().to_str().map(str::to_owned),
                path: entry.into_path(),
            });
        }
    }
    Ok(found)
}

/// Advice, as the rest of a sentence, for a folder whose pictures have their class in their names: `cat.0.jpg` or
/// `beagle_12.jpg`.
pub(super) fn names_with_classes(path: &Path) -> Option<String> {
    /// From this number of pictures on, a common beginning of their names counts as their class.
    const LEAST: usize = 3;
    let mut classes: BTreeMap<String, usize> = BTreeMap::new();
    let mut pictures = 0;
    for path in entries(path).ok()?.iter().filter(|path| is_loose_picture(path)) {
        pictures += 1;
        let stem = path.file_stem()?.to_string_lossy();
        let class = stem.trim_end_matches(|char: char| char.is_ascii_digit());
        if class.len() < stem.len() {
            let class = class.trim_end_matches(|char: char| !char.is_alphanumeric());
            *classes.entry(class.to_owned()).or_default() += 1;
        }
    }
    let counted: usize = classes.values().sum();
    let usual = classes.len() > 1 && counted == pictures && classes.values().all(|count| *count >= LEAST);
    let names: Vec<String> = classes.into_keys().filter(|class| !class.is_empty()).collect();
    (usual && names.len() > 1).then(|| {
        format!(
            "; the names in {} begin with {}: if these are the classes, write a table of path and label, or move each \
             class into a folder of its own",
            path.display(),
            listed(&names)
        )
    })
}

/// Files that may say the classes of pictures: tables and lists in JSON, in a folder and in the folders in it.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// The files of the folder itself.
    pub own: Vec<String>,
    /// The files of each folder in it, with the folder's name.
    pub inner: Vec<(String, Vec<String>)>,
}

impl Tables {
    pub(super) fn find(path: &Path) -> Self {
        let folders = folders(path).unwrap_or_default();
        let inner = folders.iter().map(|folder| (folder.shown(), tables(&folder.path)));
        Self {
            own: tables(path),
            inner: inner.filter(|(_, tables)| !tables.is_empty()).collect(),
        }
    }

    /// The rest of a sentence about the folder `root`, in which no class was found, or an empty one.
    pub(super) fn advice(&self, root: &Path) -> String {
        let question =
            |tables: &[String]| format!("; if a table says their classes, name the table: {}", listed(tables));
        if !self.own.is_empty() {
            return question(&self.own);
        }
        let all: Vec<String> = self.inner.iter().flat_map(|(_, tables)| tables.clone()).collect();
        let file_names: BTreeSet<_> = all.iter().filter_map(|path| Path::new(path).file_name()).collect();
        match file_names.first().and_then(|name| name.to_str()) {
            None => String::new(),
            Some(name) if all.len() > 1 && file_names.len() == 1 && has_ending(Path::new(name), &["csv"]) => {
                let folders: Vec<String> = self.inner.iter().map(|(folder, _)| folder.clone()).collect();
                question(&all) + &conversion::joined(root, &folders, name)
            }
            Some(_) => question(&all),
        }
    }
}

/// The paths of the tables in a folder. Folders with a JSON file for each picture have no table.
fn tables(path: &Path) -> Vec<String> {
    const JSON_FILES: usize = 5;
    let mut tables: Vec<PathBuf> = entries(path).unwrap_or_default();
    tables.retain(|path| has_ending(path, &["csv", "tsv", "json", "jsonl"]));
    if tables.iter().filter(|path| has_ending(path, &["json"])).count() > JSON_FILES {
        tables.retain(|path| !has_ending(path, &["json"]));
    }
    tables.sort_unstable();
    tables.iter().map(|path| path.display().to_string()).collect()
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let found = path.extension().unwrap_or_default();
    endings.iter().any(|ending| found.eq_ignore_ascii_case(ending))
}

fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read = || -> io::Result<Vec<PathBuf>> { fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect() };
    read().map_err(|problem| DataError::Read {
        path: path.to_owned(),
        problem,
    })
}

/// The path inside the data set, the same on every system.
pub(super) fn name_of(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
