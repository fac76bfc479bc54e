//! A table of paths and labels.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    path::{Path, PathBuf},
};

use csv::{Reader, ReaderBuilder, StringRecord};

use super::{
    columns::{Columns, LabelCells, are_splits},
    delimiter,
    error::DataError,
    listing::{Item, Listing},
    one_hot::{class_columns, flag},
    options::TableOptions,
    pictures::{FileMatch, Pictures},
    split::Split,
    text::{LISTED, counted, listed},
};

/// The largest table in bytes, with room for ten million lines.
const MAX_BYTES: u64 = 1 << 30;

/// The separators of several labels in a cell.
const SEPARATORS: [char; 2] = [';', '|'];

/// One line, with trimmed cells.
struct Row {
    line: u64,
    path: String,
    /// The cell of the labels.
    label: String,
    labels: Vec<String>,
    /// The cell of the split.
    split: String,
}

/// The pictures of a table that [`Dataset::open`](super::Dataset::open) reads, in the order of their names. No picture
/// is opened.
///
/// # Errors
///
/// A [`DataError`]: the table cannot be read, or lacks a column.
pub fn pictures_of_table(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let listing = read(path, &TableOptions::default(), true)?;
    Ok(listing.items.into_iter().map(|item| item.path).collect())
}

pub(super) fn read(path: &Path, options: &TableOptions, judging: bool) -> Result<Listing, DataError> {
    let mut reader = open(path)?;
    let header = reader
        .headers()
        .map_err(|error| DataError::in_table(path, &error))?
        .clone();
    let problem = if header.iter().all(|cell| cell.trim().is_empty()) {
        Some("the table is empty, or has an empty first line")
    } else if header.iter().any(|cell| cell.contains('\0')) {
        Some("this is no text, so it is no table")
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(DataError::Columns {
            path: path.to_owned(),
            problem: problem.to_owned(),
        });
    }
    let mut columns = Columns::find(path, &header.iter().collect::<Vec<_>>(), options, |candidates| {
        class_columns(path, &mut open(path)?, candidates)
    })?;
    let rows = rows(path, &mut reader, &columns)?;
    settle_one_hot(path, &rows, &mut columns, options)?;
    if columns.split_is_doubtful && !are_splits(rows.iter().map(|row| row.split.as_str())) {
        columns.split = None;
    }
    let mut notes: Vec<String> = columns.note().into_iter().collect();
    notes.extend(one_hot(&columns));
    notes.extend(cells_with_separators(&rows, &columns));
    notes.extend(no_labels(&rows, &columns));
    notes.extend(decimals(&rows, &columns));
    notes.extend(one_label_each(&rows, &columns, options));
    let labelled = items(path, rows, &columns, options, &mut notes)?;
    let classes: BTreeSet<&String> = labelled.iter().flat_map(|(labels, _)| labels).collect();
    let classes: Vec<String> = classes.into_iter().cloned().collect();
    let number = |(labels, mut item): (Vec<String>, Item)| {
        item.labels = labels
            .iter()
            .filter_map(|label| classes.binary_search(label).ok())
            .collect();
        item
    };
    let items: Vec<Item> = labelled.into_iter().map(number).collect();
    let mut given: Vec<Split> = items.iter().map(|item| item.split).collect();
    given.sort_unstable();
    given.dedup();
    if columns.split.is_none() {
        given.clear();
    }
    if !judging && !given.is_empty() && !given.contains(&Split::Train) {
        return Err(DataError::NoTraining { path: path.to_owned() });
    }
    Ok(Listing {
        classes,
        multi_label: columns.several,
        items,
        given,
        notes,
    })
}

fn open(path: &Path) -> Result<Reader<File>, DataError> {
    let failed = |problem| DataError::Read {
        path: path.to_owned(),
        problem,
    };
    let (file, delimiter) = delimiter::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > MAX_BYTES {
        return Err(DataError::TableTooLarge {
            path: path.to_owned(),
            limit: MAX_BYTES,
        });
    }
    Ok(ReaderBuilder::new().delimiter(delimiter).from_reader(file))
}

fn rows(path: &Path, reader: &mut Reader<File>, columns: &Columns) -> Result<Vec<Row>, DataError> {
    let mut rows: Vec<Row> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| DataError::in_table(path, &error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = row(path, &record, line, columns)?;
        let problem = if row.path.is_empty() {
            "the path is empty"
        } else if row.labels.is_empty() && !columns.several && matches!(columns.labels, LabelCells::Cell(_)) {
            "the label is empty; pictures without a label need a column called labels, or --multi-label"
        } else {
            rows.push(row);
            continue;
        };
        return Err(DataError::Line {
            path: path.to_owned(),
            line,
            problem: problem.to_owned(),
        });
    }
    if rows.is_empty() {
        return Err(DataError::Columns {
            path: path.to_owned(),
            problem: "the table has no lines below the names of its columns".to_owned(),
        });
    }
    Ok(rows)
}

fn row(path: &Path, record: &StringRecord, line: u64, columns: &Columns) -> Result<Row, DataError> {
    // `csv` refuses lines with fewer cells than the first line.
    let cell = |column: usize| record.get(column).unwrap_or_default().trim();
    let (label, mut labels) = match &columns.labels {
        LabelCells::Cell(column) => (cell(*column), labels_of(cell(*column), columns.several)),
        LabelCells::OneHot(classes) => {
            let mut labels = Vec::new();
            for &column in classes {
                match flag(cell(column)) {
                    Some(true) => labels.push(columns.name(column).to_owned()),
                    Some(false) => {}
                    None => {
                        return Err(DataError::Line {
                            path: path.to_owned(),
                            line,
                            problem: format!(
                                "\"{}\" in the column {} is neither 0 nor 1",
                                cell(column),
                                columns.name(column)
                            ),
                        });
                    }
                }
            }
            ("", labels)
        }
    };
    labels.sort_unstable();
    labels.dedup();
    let split = columns.split.map(cell).unwrap_or_default();
    let split = match (columns.split_flag, flag(split)) {
        (Some((yes, _)), Some(true)) => yes.name(),
        (Some((_, no)), Some(false)) => no.name(),
        _ => split,
    };
    Ok(Row {
        line,
        path: cell(columns.file).to_owned(),
        label: label.to_owned(),
        labels,
        split: split.to_owned(),
    })
}

/// The labels of a cell: one, or several as `cat;dog`, `cat|dog` or `['cat', 'dog']`.
fn labels_of(cell: &str, several: bool) -> Vec<String> {
    let labels: Vec<&str> = match list_in(cell) {
        _ if !several => vec![cell],
        Some(list) => list
            .split(',')
            .map(|label| label.trim().trim_matches(['\'', '"']))
            .collect(),
        None => cell.split(SEPARATORS).collect(),
    };
    let labels = labels.into_iter().map(str::trim);
    labels.filter(|label| !label.is_empty()).map(str::to_owned).collect()
}

/// The text between the brackets of a list of Python or JSON.
fn list_in(cell: &str) -> Option<&str> {
    cell.strip_prefix('[')?.strip_suffix(']')
}

/// Decides whether the classes' columns give each picture one label or several. Refuses lines without a label or with
/// several, unless the options allow any number of labels.
fn settle_one_hot(path: &Path, rows: &[Row], columns: &mut Columns, options: &TableOptions) -> Result<(), DataError> {
    let LabelCells::OneHot(_) = columns.labels else {
        return Ok(());
    };
    columns.several = options.multi_label == Some(true);
    let Some(row) = rows
        .iter()
        .find(|row| row.labels.len() != 1)
        .filter(|_| !columns.several)
    else {
        return Ok(());
    };
    let set = match row.labels.as_slice() {
        [] => "none of them is 1".to_owned(),
        labels => format!("{} are 1", listed(labels)),
    };
    Err(DataError::Columns {
        path: path.to_owned(),
        problem: format!(
            "the columns {} hold yes and no (1 and 0), and in line {} {set}: --multi-label takes them for any number \
             of labels per picture; --label-column NAME,NAME,... says which of them are the classes",
            columns.label_name, row.line
        ),
    })
}

/// A note on columns that are read as classes.
fn one_hot(columns: &Columns) -> Option<String> {
    let LabelCells::OneHot(classes) = &columns.labels else {
        return None;
    };
    let names: Vec<String> = classes.iter().map(|column| columns.name(*column).to_owned()).collect();
    Some(format!("one column of 0 and 1 for each class: {}", listed(&names)))
}

/// A note on labels that programs write for a missing label.
fn no_labels(rows: &[Row], columns: &Columns) -> Option<String> {
    const NONE: [&str; 5] = ["nan", "null", "n/a", "#n/a", "?"];
    let mut cells = rows
        .iter()
        .filter(|row| NONE.contains(&row.label.to_lowercase().as_str()));
    let first = cells.next()?;
    let count = 1 + cells.count();
    Some(format!(
        "{} in the column {} with \"{}\", which is taken for a class: if these pictures have no label, leave their \
         lines out",
        counted(count, "cell"),
        columns.label_name,
        first.label
    ))
}

/// A note on labels that are measurements.
fn decimals(rows: &[Row], columns: &Columns) -> Option<String> {
    let number = |row: &Row| row.label.parse::<f64>().ok();
    let first = rows
        .iter()
        .find(|row| number(row).is_some_and(|value| value.fract() != 0.0))?;
    rows.iter().all(|row| number(row).is_some()).then(|| {
        format!(
            "the column {} holds numbers such as {}, and each is taken for a class: classes are trained, not numbers",
            columns.label_name, first.label
        )
    })
}

/// A note on cells that may hold several labels, in a column with one label per cell.
fn cells_with_separators(rows: &[Row], columns: &Columns) -> Option<String> {
    if columns.several {
        return None;
    }
    let mut cells = rows
        .iter()
        .filter(|row| row.label.contains(SEPARATORS) || list_in(&row.label).is_some());
    let first = cells.next()?;
    let count = 1 + cells.count();
    Some(format!(
        "{} in the column {} with \";\", \"|\" or brackets, each taken for one class, such as \"{}\" in line {}: if \
         that is a list of labels, add --multi-label",
        counted(count, "cell"),
        columns.label_name,
        first.label,
        first.line
    ))
}

/// A note on a column for several labels whose cells hold one label each.
fn one_label_each(rows: &[Row], columns: &Columns, options: &TableOptions) -> Option<String> {
    let one_each = columns.several && options.multi_label.is_none() && rows.iter().all(|row| row.labels.len() == 1);
    if let Some(row) = rows.iter().find(|row| one_each && row.label.contains(',')) {
        return Some(format!(
            "the cell \"{}\" of the column {} is taken for one label, because it has a comma: \";\" or \"|\" separate \
             labels",
            row.label, columns.label_name
        ));
    }
    one_each.then(|| {
        format!(
            "each cell of the column {} holds one label, and still a picture may have any number of them, because of \
             the column's name: if each picture is of one class, add --single-label",
            columns.label_name
        )
    })
}

/// The pictures with their labels, by name.
fn items(
    path: &Path,
    rows: Vec<Row>,
    columns: &Columns,
    options: &TableOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<(Vec<String>, Item)>, DataError> {
    let mut pictures = Pictures::new(path, options.pictures.as_deref());
    let mut lines: HashMap<PathBuf, (u64, Vec<String>, String)> = HashMap::new();
    let (mut missing, mut repeated) = (Vec::new(), 0);
    let of = rows.len();
    let mut items = Vec::with_capacity(of);
    for row in rows {
        let wrong = |problem: String| DataError::Line {
            path: path.to_owned(),
            line: row.line,
            problem,
        };
        let split = match columns.split {
            None => Split::Train,
            Some(_) => Split::from_cell(&row.split)
                .ok_or_else(|| wrong(format!("split is \"{}\", and should be train, val or test", row.split)))?,
        };
        let file = match pictures.find(&row.path) {
            FileMatch::File(file) => file,
            FileMatch::Several(names) => {
                let way = if names.iter().any(|name| name.contains('/')) {
                    "write its folder before it"
                } else {
                    "write the ending"
                };
                return Err(wrong(format!("{} can be {}: {way}", row.path, names.join(" or "))));
            }
            FileMatch::Nothing => {
                missing.push(row.path);
                continue;
            }
        };
        let described = (row.line, row.labels.clone(), row.split.clone());
        match lines.insert(file.clone(), described) {
            Some((_, labels, split)) if (&labels, &split) == (&row.labels, &row.split) => {
                repeated += 1;
                continue;
            }
            Some((first, ..)) => {
                return Err(wrong(format!(
                    "{} is in line {first} already, with another label or split; several labels go into one cell of a \
                     column called labels, separated by \";\"",
                    row.path
                )));
            }
            None => {}
        }
        let item = Item {
            path: file,
            labels: Vec::new(),
            split,
            name: row.path.replace('\\', "/"),
        };
        items.push((row.labels, item));
    }
    if repeated > 0 {
        notes.push(format!("{} of the table repeated, ignored", counted(repeated, "line")));
    }
    if !missing.is_empty() {
        if !options.skip_missing || items.is_empty() {
            return Err(DataError::Missing {
                path: path.to_owned(),
                count: missing.len(),
                of,
                advice: pictures.advice(&missing),
                first: missing.into_iter().take(LISTED).collect(),
            });
        }
        notes.push(format!(
            "{} of the table cannot be found, left out: {}",
            counted(missing.len(), "file"),
            listed(&missing)
        ));
    }
    items.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    Ok(items)
}
