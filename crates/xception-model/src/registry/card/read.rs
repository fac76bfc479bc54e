//! Reads a card from a file.

use std::io::Read;
use std::path::{Path, PathBuf};

use files::FileError;

use super::contents::Card;
use super::older;
use crate::labels::{self, Label};
use crate::registry::error::RegistryError;

/// Far above any card (2 kB) or label file (20 kB), so that a wrong path fails quickly and does not fill the memory.
const MAX_TEXT_BYTES: u64 = 4 << 20;

impl Card {
    /// Reads a user's own card, and the label file beside it. A folder stands for the `card.toml` in it.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Read`] if a file cannot be read, [`RegistryError::Card`] if its content cannot be used.
    pub fn load(path: &Path) -> Result<Self, RegistryError> {
        let path = if path.is_dir() {
            path.join("card.toml")
        } else {
            path.to_owned()
        };
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        let text = read_text(&path)?;
        let mut card = Self::from_texts(&text, &path, |file| read_text(&folder.join(file)))?;
        card.folder = Some(folder);
        Ok(card)
    }

    /// Parses and checks a card's text. `origin` is used for messages; `read_labels` gets the label file's name.
    pub(in crate::registry) fn from_texts(
        text: &str,
        origin: &Path,
        read_labels: impl FnOnce(&str) -> Result<String, RegistryError>,
    ) -> Result<Self, RegistryError> {
        let wrong = |place: &str, problem: String| RegistryError::Card {
            file: origin.to_owned(),
            place: place.to_owned(),
            problem,
        };
        let unreadable = |error: toml::de::Error| {
            let problem = error.message().replace('\n', ", ");
            wrong(&place(text, error.span()), problem)
        };
        let table: toml::Table = toml::from_str(text).map_err(unreadable)?;
        let mut card = if older::is_older(&table) {
            older::read(text, origin).map_err(unreadable)?
        } else {
            let card: Self = toml::from_str(text).map_err(unreadable)?;
            // A record without a scaling comes from a version with only one scaling. A card must name its scaling.
            if table["input"].get("scaling").is_none() {
                return Err(wrong("input", "missing field `scaling`".to_owned()));
            }
            card.check().map_err(|(place, problem)| wrong(&place, problem))?;
            card
        };
        let Some(source) = &card.label_source else {
            return Ok(card);
        };
        card.labels = match (&source.file, &source.names) {
            (Some(file), None) => labels::parse(&read_labels(file)?).map_err(|error| RegistryError::Card {
                file: origin.with_file_name(file),
                place: match error.number {
                    0 => "the file".to_owned(),
                    number => format!("label {number}"),
                },
                problem: error.problem,
            })?,
            (None, Some(names)) => {
                let labels: Vec<Label> = names.iter().map(|line| Label::of_line(line)).collect();
                labels::check(&labels).map_err(|error| {
                    let place = format!("labels.names item {}", error.number);
                    wrong(&place, error.problem)
                })?;
                labels
            }
            (file, _) => {
                let found = if file.is_some() { "both" } else { "neither" };
                let problem = format!("expected one of `file` and `names`, found {found}");
                return Err(wrong("labels", problem));
            }
        };
        card.check_label_count()
            .map_err(|(place, problem)| wrong(place, problem))?;
        Ok(card)
    }
}

fn read_text(path: &Path) -> Result<String, RegistryError> {
    let error = |source| RegistryError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = files::open(path).map_err(FileError::into_io).map_err(error)?;
    file.take(MAX_TEXT_BYTES + 1).read_to_string(&mut text).map_err(error)?;
    if text.len() as u64 > MAX_TEXT_BYTES {
        return Err(RegistryError::Card {
            file: path.to_owned(),
            place: "the file".to_owned(),
            problem: format!("expected at most {MAX_TEXT_BYTES} bytes, found more"),
        });
    }
    Ok(text)
}

/// The place of a span in a TOML text: line, column and the line itself.
fn place(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let start = span.map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    let found: String = text
        .lines()
        .nth(line - 1)
        .unwrap_or_default()
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(80)
        .collect();
    format!("line {line}, column {column} (`{found}`)")
}
