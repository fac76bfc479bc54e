//! The files that a table names.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use super::formats::is_picture;

/// What a name of a table leads to.
pub(super) enum Found {
    File(PathBuf),
    /// Several files have the name that the table gives without its ending.
    Several(Vec<String>),
    Nothing,
}

/// Finds the pictures of a table.
pub(super) struct Pictures {
    folder: PathBuf,
    /// Leading folders that do not exist are left out.
    shorten: bool,
    /// The names of the files in folders that were searched.
    listings: HashMap<PathBuf, Vec<String>>,
}

impl Pictures {
    /// `given` is the folder of the options.
    pub fn new(table: &Path, given: Option<&Path>) -> Self {
        let own = table.parent().unwrap_or(Path::new(""));
        Self {
            folder: given.unwrap_or(own).to_owned(),
            shorten: given.is_some(),
            listings: HashMap::new(),
        }
    }

    /// The file of a name: as it stands, with `/` for `\`, in another case, or with the ending of a picture.
    pub fn find(&mut self, name: &str) -> Found {
        let folder = self.folder.clone();
        if folder.join(name).is_file() {
            return Found::File(folder.join(name));
        }
        let name = name.replace('\\', "/");
        let mut rest = name.as_str();
        loop {
            match self.find_in(&folder, rest) {
                Found::Nothing if self.shorten => match rest.split_once('/') {
                    Some((_, shorter)) => rest = shorter,
                    None => return Found::Nothing,
                },
                found => return found,
            }
        }
    }

    fn find_in(&mut self, folder: &Path, name: &str) -> Found {
        let path = folder.join(name);
        if path.is_file() {
            return Found::File(path);
        }
        let Some(wanted) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
            return Found::Nothing;
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let names = self.listing(&folder);
        let stem = |name: &str| -> Option<String> {
            let path = Path::new(name);
            is_picture(path).then(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        };
        let ways: [&dyn Fn(&str) -> bool; 3] = [
            &|name| stem(name).is_some_and(|stem| stem == wanted),
            &|name| name.to_lowercase() == wanted.to_lowercase(),
            &|name| stem(name).is_some_and(|stem| stem.to_lowercase() == wanted.to_lowercase()),
        ];
        for way in ways {
            let mut found: Vec<String> = names.iter().filter(|name| way(name)).cloned().collect();
            match found.len() {
                0 => {}
                1 => return Found::File(folder.join(&found[0])),
                _ => {
                    found.sort();
                    return Found::Several(found);
                }
            }
        }
        Found::Nothing
    }

    fn listing(&mut self, folder: &Path) -> &[String] {
        self.listings.entry(folder.to_owned()).or_insert_with(|| {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let files = entries.filter(|entry| entry.path().is_file());
            files.filter_map(|entry| entry.file_name().into_string().ok()).collect()
        })
    }

    /// Where the files may be, for a name that leads to nothing.
    pub fn advice(&self, name: &str) -> String {
        const FLAG: &str = "--skip-missing leaves them out";
        let is_here = |folder: &Path, shorten: bool| {
            let mut pictures = Self {
                folder: folder.to_owned(),
                shorten,
                listings: HashMap::new(),
            };
            matches!(pictures.find(name), Found::File(_))
        };
        let own = if self.folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.folder
        };
        if is_here(own, true) {
            return format!(
                "the first one is there without its first folders: add --pictures {}; {FLAG}",
                own.display()
            );
        }
        let folders = fs::read_dir(own).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        match folders.iter().find(|folder| is_here(folder, true)) {
            Some(folder) => format!("the first one is in {0}: add --pictures {0}; {FLAG}", folder.display()),
            None => format!("paths are relative to the table's folder, or to that of --pictures; {FLAG}"),
        }
    }
}
