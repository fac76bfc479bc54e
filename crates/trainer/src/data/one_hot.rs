//! Tables with one column per class, whose cells say whether the picture belongs to the class.

use std::{fs::File, path::Path};

use csv::{Reader, StringRecord};

use super::error::DataError;

/// The meaning of a cell of such a column: 1 or 0, 1.0 or 0.0, 1 or -1, true or false.
pub(super) fn flag(cell: &str) -> Option<bool> {
    let cell = cell.trim();
    match cell.to_lowercase().as_str() {
        "true" => return Some(true),
        "false" => return Some(false),
        _ => {}
    }
    match cell.parse::<f32>().ok()? {
        1.0 => Some(true),
        0.0 | -1.0 => Some(false),
        _ => None,
    }
}

/// The `candidates` whose cells are flags in every line, with at least one flag set.
pub(super) fn class_columns(
    path: &Path,
    reader: &mut Reader<File>,
    candidates: Vec<usize>,
) -> Result<Vec<usize>, DataError> {
    let mut columns: Vec<(usize, bool)> = candidates.into_iter().map(|column| (column, false)).collect();
    let mut record = StringRecord::new();
    while !columns.is_empty()
        && reader
            .read_record(&mut record)
            .map_err(|error| DataError::in_table(path, &error))?
    {
        columns.retain_mut(|(column, is_used)| {
            let found = record.get(*column).and_then(flag);
            *is_used |= found == Some(true);
            found.is_some()
        });
    }
    Ok(columns
        .into_iter()
        .filter_map(|(column, is_used)| is_used.then_some(column))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        for (cell, expected) in [
            ("1", Some(true)),
            (" 1.0", Some(true)),
            ("True", Some(true)),
            ("0", Some(false)),
            ("0.0", Some(false)),
            ("-1", Some(false)),
            ("FALSE", Some(false)),
            ("2", None),
            ("0.5", None),
            ("", None),
            ("yes", None),
        ] {
            assert_eq!(flag(cell), expected, "{cell}");
        }
    }
}
