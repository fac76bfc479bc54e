//! Which columns of a table hold the files, the labels and the splits.

use std::path::Path;

use super::{error::DataError, formats::is_picture, options::TableOptions, split::Split, text::listed};

/// The usual names of a column, as [`key`] writes them, from the clearest to the vaguest.
type Names = [&'static [&'static str]; 3];

const FILE: Names = [
    &["path"],
    &[
        "file",
        "files",
        "filename",
        "filenames",
        "filepath",
        "filepaths",
        "fname",
        "image",
        "images",
        "imagefile",
        "imagefilename",
        "imagename",
        "imagepath",
        "imagepaths",
        "img",
        "imgfile",
        "imgname",
        "imgpath",
        "imgfilename",
        "photo",
        "picture",
        "relativepath",
        "relpath",
    ],
    &["id", "idcode", "imageid", "imgid", "photoid", "pictureid", "name"],
];

const LABEL: Names = [
    &["label", "labels"],
    &[
        "breed",
        "categories",
        "category",
        "categoryname",
        "class",
        "classes",
        "classlabel",
        "classname",
        "labelname",
        "species",
        "target",
        "targets",
        "tag",
        "tags",
    ],
    &["categoryid", "classid", "classindex", "labelid", "y"],
];

const SPLIT: Names = [&["split"], &["datasplit", "dataset", "partition", "set", "subset"], &[]];

/// The columns of a run's table beside path, label and split.
const OF_A_RUN: [&str; 2] = ["name", "sha256"];

/// The columns' numbers.
pub(super) struct Columns {
    pub file: usize,
    pub label: usize,
    pub split: Option<usize>,
    /// The column is called `labels`, or the options say that its cells hold several.
    pub several: bool,
    /// The header of the column of the labels.
    pub label_name: String,
    /// The column of the splits has a name that may mean something else: it is one if all of its cells are splits.
    pub split_is_doubtful: bool,
    /// The header, trimmed.
    header: Vec<String>,
}

impl Columns {
    pub fn find(path: &Path, header: &[&str], options: &TableOptions) -> Result<Self, DataError> {
        let table = Table {
            path,
            header: header.iter().map(|name| name.trim().to_owned()).collect(),
        };
        let found = table.find(options.file_column.as_deref(), &FILE, "--file-column")?;
        let Some(Place { column: file, .. }) = found else {
            return Err(table.missing("files", "path, file, filename, image or id", "--file-column"));
        };
        let label = match table.find(options.label_column.as_deref(), &LABEL, "--label-column")? {
            Some(Place { column, .. }) if column != file => column,
            _ => return Err(table.missing("labels", "label, class, category or the like", "--label-column")),
        };
        let split = table.find(options.split_column.as_deref(), &SPLIT, "--split-column")?;
        Ok(Self {
            file,
            label,
            several: options
                .multi_label
                .unwrap_or_else(|| key(&table.header[label]) == "labels"),
            label_name: table.header[label].clone(),
            split: split.map(|place| place.column),
            split_is_doubtful: split.is_some_and(|place| place.tier > 0),
            header: table.header,
        })
    }

    /// A note about ignored columns, so that a misspelt `split` is noticed.
    pub fn note(&self) -> Option<String> {
        let used = [Some(self.file), Some(self.label), self.split];
        let unused = (0..self.header.len()).filter(|&column| !used.contains(&Some(column)));
        let is_of_a_run = OF_A_RUN
            .iter()
            .all(|name| self.header.iter().any(|header| header == name));
        let names = unused.map(|column| &self.header[column]);
        let names = names.filter(|name| !is_of_a_run || !OF_A_RUN.contains(&name.as_str()));
        let ignored: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
        let columns = if ignored.len() == 1 { "column" } else { "columns" };
        let read: Vec<&str> = used
            .into_iter()
            .flatten()
            .map(|column| self.header[column].as_str())
            .collect();
        (!ignored.is_empty()).then(|| {
            format!(
                "{columns} of the table other than {}, ignored: {}",
                read.join(", "),
                listed(&ignored)
            )
        })
    }
}

/// A column that was found.
#[derive(Clone, Copy)]
struct Place {
    column: usize,
    /// How clear its name is, from 0.
    tier: usize,
}

struct Table<'a> {
    path: &'a Path,
    header: Vec<String>,
}

impl Table<'_> {
    /// The column of this name, or the one with the clearest usual name.
    fn find(&self, name: Option<&str>, usual: &Names, flag: &str) -> Result<Option<Place>, DataError> {
        if let Some(name) = name {
            let exact = self.columns(|header| header == name);
            let places = if exact.is_empty() {
                self.columns(|header| header.eq_ignore_ascii_case(name))
            } else {
                exact
            };
            return match places[..] {
                [column] => Ok(Some(Place { column, tier: 0 })),
                [] => Err(self.problem(format!("there is no column {name}; the columns are {}", self.listed()))),
                _ => Err(self.problem(format!("column \"{name}\" is there twice"))),
            };
        }
        for (tier, names) in usual.iter().enumerate() {
            match self.columns(|header| names.contains(&key(header).as_str()))[..] {
                [] => {}
                [column] => return Ok(Some(Place { column, tier })),
                [first, second, ..] => {
                    let [first, second] = [first, second].map(|column| &self.header[column]);
                    return Err(self.problem(if first == second {
                        format!("column \"{first}\" is there twice")
                    } else {
                        format!(
                            "both columns {first} and {second} may be meant: say which with {flag} (the columns are \
                             {})",
                            self.listed()
                        )
                    }));
                }
            }
        }
        Ok(None)
    }

    fn columns(&self, is: impl Fn(&str) -> bool) -> Vec<usize> {
        (0..self.header.len())
            .filter(|&column| is(&self.header[column]))
            .collect()
    }

    fn missing(&self, what: &str, usual: &str, flag: &str) -> DataError {
        if let Some(name) = self
            .header
            .iter()
            .find(|name| is_picture(Path::new(&name.replace('\\', "/"))))
        {
            return self.problem(format!(
                "its first line names the picture {name}: put a line above it that names the columns, such as \
                 path,label"
            ));
        }
        self.problem(format!(
            "there is no column of {what} called {usual}: say with {flag} which it is (the columns are {})",
            self.listed()
        ))
    }

    fn listed(&self) -> String {
        listed(&self.header)
    }

    fn problem(&self, problem: String) -> DataError {
        DataError::Columns {
            path: self.path.to_owned(),
            problem,
        }
    }
}

/// A name without case, spaces and signs.
fn key(name: &str) -> String {
    let chars = name.chars().filter(|char| char.is_alphanumeric());
    chars.flat_map(char::to_lowercase).collect()
}

/// Whether every one of these cells is a split, and there is one.
pub(super) fn are_splits<'a>(mut cells: impl Iterator<Item = &'a str>) -> bool {
    let mut any = false;
    cells.all(|cell| {
        any = true;
        Split::from_name(cell).is_some()
    }) && any
}
