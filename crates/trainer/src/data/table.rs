//! A table of paths and labels.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    path::Path,
};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::{
    error::DataError,
    listing::{Item, Listing},
    split::Split,
    text::LISTED,
};

/// The most bytes of a table: room for ten million lines.
const MAX_BYTES: u64 = 1 << 30;

/// The separators of several labels in one cell.
const SEPARATORS: [char; 2] = [';', '|'];

/// One line, with trimmed cells.
struct Row {
    line: u64,
    path: String,
    labels: Vec<String>,
    split: Option<Split>,
}

pub(super) fn read(path: &Path) -> Result<Listing, DataError> {
    let failed = |problem| DataError::Read {
        path: path.to_owned(),
        problem,
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > MAX_BYTES {
        return Err(DataError::TableTooLarge {
            path: path.to_owned(),
            limit: MAX_BYTES,
        });
    }
    let mut reader = ReaderBuilder::new().from_reader(file);
    let header = reader.headers().map_err(|error| in_table(path, &error))?.clone();
    let columns = Columns::find(path, &header)?;
    let (rows, multi_label) = rows(path, &mut reader, &columns)?;
    let classes: BTreeSet<&String> = rows.iter().flat_map(|row| &row.labels).collect();
    let classes: Vec<String> = classes.into_iter().cloned().collect();
    let mut given: Vec<Split> = rows.iter().filter_map(|row| row.split).collect();
    given.sort_unstable();
    given.dedup();
    if !given.is_empty() && !given.contains(&Split::Train) {
        return Err(DataError::NoTraining { path: path.to_owned() });
    }
    let items = items(path, rows, &classes)?;
    Ok(Listing {
        classes,
        multi_label,
        items,
        given,
        notes: columns.note().into_iter().collect(),
    })
}

/// The columns' numbers.
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
    /// The column is called `labels`.
    several: bool,
    /// The names of the other columns, in quotes.
    ignored: Vec<String>,
}

impl Columns {
    fn find(path: &Path, header: &StringRecord) -> Result<Self, DataError> {
        let problem = |problem: String| DataError::Columns {
            path: path.to_owned(),
            problem,
        };
        let names: Vec<String> = header.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        if let [name] = names.as_slice()
            && name.contains([';', '\t'])
        {
            return Err(problem(
                "the columns are separated by something else than commas".to_owned(),
            ));
        }
        let known = ["path", "label", "labels", "split"];
        let unknown = names.iter().filter(|name| !known.contains(&name.as_str()));
        let ignored: Vec<String> = unknown.map(|name| format!("\"{name}\"")).collect();
        let place = |wanted: &[&str]| -> Result<Option<usize>, DataError> {
            let mut places = (0..names.len()).filter(|&index| wanted.contains(&names[index].as_str()));
            match (places.next(), places.next()) {
                (_, Some(_)) => Err(problem(format!("column \"{}\" is there twice", wanted.join(" or ")))),
                (first, None) => Ok(first),
            }
        };
        let needed = |wanted: &[&str]| {
            place(wanted)?.ok_or_else(|| {
                problem(format!(
                    "there is no column \"{}\" in its first line ({})",
                    wanted.join("\" or \""),
                    names.join(", ")
                ))
            })
        };
        let label = needed(&["label", "labels"])?;
        Ok(Self {
            path: needed(&["path"])?,
            label,
            split: place(&["split"])?,
            several: names[label] == "labels",
            ignored,
        })
    }

    /// A note about ignored columns, so that a misspelt `split` is noticed.
    fn note(&self) -> Option<String> {
        let count = self.ignored.len();
        let columns = if count == 1 { "column" } else { "columns" };
        let listed = self.ignored[..count.min(LISTED)].join(", ");
        let more = match count.saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (count > 0).then(|| format!("{columns} of the table other than path, label and split, ignored: {listed}{more}"))
    }
}

/// The lines, and whether a picture may have several labels.
fn rows(path: &Path, reader: &mut Reader<File>, columns: &Columns) -> Result<(Vec<Row>, bool), DataError> {
    let mut rows: Vec<Row> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| in_table(path, &error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let at = |problem: String| DataError::Line {
            path: path.to_owned(),
            line,
            problem,
        };
        // `csv` refuses lines with fewer cells than the first line.
        let cell = |column: usize| record.get(column).unwrap_or_default().trim();
        let file = cell(columns.path);
        if file.is_empty() {
            return Err(at("the path is empty".to_owned()));
        }
        let split = match columns.split.map(cell) {
            None => None,
            Some(name) => Some(
                Split::from_name(name)
                    .ok_or_else(|| at(format!("split is \"{name}\", and should be train, val or test")))?,
            ),
        };
        let mut labels: Vec<String> = cell(columns.label)
            .split(SEPARATORS)
            .map(|label| label.trim().to_owned())
            .filter(|label| !label.is_empty())
            .collect();
        labels.sort_unstable();
        labels.dedup();
        rows.push(Row {
            line,
            path: file.to_owned(),
            labels,
            split,
        });
    }
    if rows.is_empty() {
        return Err(DataError::NoPictures {
            path: path.to_owned(),
            hint: "; the table has no lines".to_owned(),
        });
    }
    let multi_label = columns.several || rows.iter().any(|row| row.labels.len() > 1);
    if !multi_label && let Some(row) = rows.iter().find(|row| row.labels.is_empty()) {
        return Err(DataError::Line {
            path: path.to_owned(),
            line: row.line,
            problem: "the label is empty; pictures without a label need a column called labels".to_owned(),
        });
    }
    Ok((rows, multi_label))
}

fn items(path: &Path, rows: Vec<Row>, classes: &[String]) -> Result<Vec<Item>, DataError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut lines: HashMap<String, u64> = HashMap::new();
    let mut missing = Vec::new();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(first) = lines.insert(row.path.clone(), row.line) {
            return Err(DataError::Line {
                path: path.to_owned(),
                line: row.line,
                problem: format!(
                    "{} is in line {first} already; several labels go into one cell, separated by \";\"",
                    row.path
                ),
            });
        }
        let file = folder.join(&row.path);
        if !file.is_file() {
            missing.push(row.path);
            continue;
        }
        let labels = row.labels.iter().filter_map(|label| classes.binary_search(label).ok());
        items.push(Item {
            path: file,
            labels: labels.collect(),
            split: row.split.unwrap_or(Split::Train),
            name: row.path,
        });
    }
    if !missing.is_empty() {
        let count = missing.len();
        missing.truncate(LISTED);
        return Err(DataError::Missing {
            path: path.to_owned(),
            count,
            first: missing,
        });
    }
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(items)
}

fn in_table(path: &Path, error: &csv::Error) -> DataError {
    let path = path.to_owned();
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        ErrorKind::Utf8 { .. } => DataError::NotUtf8 { path, line },
        ErrorKind::UnequalLengths { expected_len, len, .. } => DataError::Line {
            path,
            line,
            problem: format!("{len} cells where the first line has {expected_len}; quote a cell that has a comma"),
        },
        _ => DataError::Line {
            path,
            line,
            problem: error.to_string(),
        },
    }
}
