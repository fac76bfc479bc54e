//! Finds the columns of a table that hold the files, the labels and the splits.

use std::path::Path;

use xception_model::picture::is_named_as_picture;

use super::{error::DataError, options::TableOptions, split::Split, text::listed};

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
        "imageindex",
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
        "diagnosis",
        "dx",
        "findinglabels",
        "labelname",
        "species",
        "target",
        "targets",
        "tag",
        "tags",
    ],
    &["categoryid", "classid", "classindex", "labelid", "y"],
];

/// The tier of the vaguest names.
const VAGUE: usize = 2;

const SPLIT: Names = [&["split"], &["datasplit", "dataset", "partition", "set", "subset"], &[]];

/// Columns of yes and no that name a picture's split: the split that yes means, and the split that no means.
const SPLIT_FLAGS: [(&str, Split, Split); 6] = [
    ("isvalid", Split::Val, Split::Train),
    ("isval", Split::Val, Split::Train),
    ("isvalidation", Split::Val, Split::Train),
    ("istest", Split::Test, Split::Train),
    ("istrain", Split::Train, Split::Test),
    ("istrainingimage", Split::Train, Split::Test),
];

/// The columns of a run's table besides path, label and split.
const OF_A_RUN: [&str; 3] = ["name", "sha256", "pixels_sha256"];

/// The cells that hold the labels of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LabelCells {
    /// In the cell of one column.
    Cell(usize),
    /// Each of these columns is a class. Its cell says whether the picture belongs to the class.
    OneHot(Vec<usize>),
}

/// The columns' numbers.
pub(super) struct Columns {
    pub file: usize,
    pub labels: LabelCells,
    pub split: Option<usize>,
    /// If the column of the splits holds yes and no: the split that yes means, and the split that no means.
    pub split_flag: Option<(Split, Split)>,
    /// The column is called `labels`, or the options say that its cells hold several labels.
    pub several: bool,
    /// The header of the label column.
    pub label_name: String,
    /// The name of the split column may mean something else. The column counts only if all of its cells are splits.
    pub split_is_doubtful: bool,
    /// The header's cells, trimmed.
    header: Vec<String>,
}

impl Columns {
    /// `class_columns` returns the given columns that hold yes or no in every line.
    pub fn find(
        path: &Path,
        header: &[&str],
        options: &TableOptions,
        class_columns: impl FnOnce(Vec<usize>) -> Result<Vec<usize>, DataError>,
    ) -> Result<Self, DataError> {
        let table = Table {
            path,
            header: header.iter().map(|name| name.trim().to_owned()).collect(),
        };
        let found = table.find(options.file_column.as_deref(), &FILE, "--file-column")?;
        let Some(Place { column: file, .. }) = found else {
            return Err(table.missing("files", "path, file, filename, image or id", "--file-column"));
        };
        let split = table.find(options.split_column.as_deref(), &SPLIT, "--split-column")?;
        let (split, split_flag) = match (split, table.split_flag()) {
            (None, Some((place, flag))) if options.split_column.is_none() => (Some(place), Some(flag)),
            (split, _) => (split, None),
        };
        let labels = table.labels(file, split, options, class_columns)?;
        let label_name = match &labels {
            LabelCells::Cell(label) => table.header[*label].clone(),
            LabelCells::OneHot(columns) => table.names(columns).join(", "),
        };
        Ok(Self {
            file,
            several: options.multi_label.unwrap_or_else(|| key(&label_name) == "labels"),
            labels,
            label_name,
            split: split.map(|place| place.column),
            split_flag,
            split_is_doubtful: split.is_some_and(|place| place.tier > 0),
            header: table.header,
        })
    }

    /// The header of a column.
    pub fn name(&self, column: usize) -> &str {
        &self.header[column]
    }

    /// A note about ignored columns, so that a misspelt `split` is noticed.
    pub fn note(&self) -> Option<String> {
        let labels = match &self.labels {
            LabelCells::Cell(label) => std::slice::from_ref(label),
            LabelCells::OneHot(columns) => columns,
        };
        let used: Vec<usize> = std::iter::once(self.file)
            .chain(labels.iter().copied())
            .chain(self.split)
            .collect();
        let unused = (0..self.header.len()).filter(|column| !used.contains(column));
        let is_of_a_run = OF_A_RUN
            .iter()
            .all(|name| self.header.iter().any(|header| header == name));
        let names = unused.map(|column| &self.header[column]);
        let names = names.filter(|name| !is_of_a_run || !OF_A_RUN.contains(&name.as_str()));
        let ignored: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
        let columns = if ignored.len() == 1 { "column" } else { "columns" };
        let read: Vec<&str> = used.into_iter().map(|column| self.header[column].as_str()).collect();
        (!ignored.is_empty()).then(|| {
            format!(
                "{columns} of the table other than {}, ignored: {}",
                read.join(", "),
                listed(&ignored)
            )
        })
    }
}

/// A column of the table.
#[derive(Clone, Copy)]
struct Place {
    column: usize,
    /// How clear the column's name is, from 0.
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

    /// The column or columns of the labels.
    fn labels(
        &self,
        file: usize,
        split: Option<Place>,
        options: &TableOptions,
        class_columns: impl FnOnce(Vec<usize>) -> Result<Vec<usize>, DataError>,
    ) -> Result<LabelCells, DataError> {
        let named = options.label_column.as_deref();
        if let Some(columns) =
            named.filter(|name| name.contains(',') && self.columns(|header| header == *name).is_empty())
        {
            let places = columns
                .split(',')
                .map(|name| self.find(Some(name.trim()), &LABEL, "--label-column"));
            let places: Vec<Option<Place>> = places.collect::<Result<_, _>>()?;
            return Ok(LabelCells::OneHot(
                places.into_iter().flatten().map(|place| place.column).collect(),
            ));
        }
        let found = self.find(named, &LABEL, "--label-column")?;
        let found = found.filter(|place| place.column != file);
        if let Some(Place { column, tier }) = found
            && tier < VAGUE
        {
            return Ok(LabelCells::Cell(column));
        }
        let candidates = (0..self.header.len()).filter(|&column| {
            column != file && split.is_none_or(|split| split.column != column) && !self.header[column].is_empty()
        });
        let classes = class_columns(candidates.collect())?;
        if let Some(Place { column, .. }) = found {
            // `x` and `y`, of 0 and 1: two classes, or a mark and a label.
            if classes.len() > 1 && classes.contains(&column) {
                return Err(self.problem(format!(
                    "the column {} may hold the labels, or be one of the columns of 0 and 1 for each class ({}): \
                     --label-column {} takes it for the labels, --label-column NAME,NAME,... takes the columns so \
                     named for the classes",
                    self.header[column],
                    listed(&self.names(&classes)),
                    self.header[column]
                )));
            }
            return Ok(LabelCells::Cell(column));
        }
        if classes.len() > 1 {
            return Ok(LabelCells::OneHot(classes));
        }
        Err(self.missing("labels", "label, class, category or the like", "--label-column"))
    }

    /// The column of yes and no that names the split.
    fn split_flag(&self) -> Option<(Place, (Split, Split))> {
        SPLIT_FLAGS.iter().find_map(|&(name, yes, no)| {
            let &[column] = self.columns(|header| key(header) == name).as_slice() else {
                return None;
            };
            Some((Place { column, tier: 1 }, (yes, no)))
        })
    }

    fn names(&self, columns: &[usize]) -> Vec<String> {
        columns.iter().map(|column| self.header[*column].clone()).collect()
    }

    fn columns(&self, is: impl Fn(&str) -> bool) -> Vec<usize> {
        (0..self.header.len())
            .filter(|&column| is(&self.header[column]))
            .collect()
    }

    fn missing(&self, what: &str, usual: &str, flag: &str) -> DataError {
        let of_picture = |name: &&str| is_named_as_picture(Path::new(&name.replace('\\', "/")));
        let cell = self.header.iter().map(String::as_str).find(of_picture);
        let word = self
            .header
            .iter()
            .flat_map(|cell| cell.split_whitespace())
            .find(of_picture);
        let commas = if cell.is_none() {
            ", and commas between the cells"
        } else {
            ""
        };
        if let Some(name) = cell.or(word) {
            return self.problem(format!(
                "its first line names the picture {name}: put a line above it that names the columns, such as \
                 path,label{commas}"
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

/// Whether all of these cells are splits, and there is at least one cell.
pub(super) fn are_splits<'a>(mut cells: impl Iterator<Item = &'a str>) -> bool {
    let mut any = false;
    cells.all(|cell| {
        any = true;
        Split::from_cell(cell).is_some()
    }) && any
}
