//! The pictures of a run, as recorded in the run's folder.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use csv::StringRecord;
use files::ContentHash;

use super::error::TrainError;
use super::folder::{CHECKED, DATA};
use crate::data::{Dataset, Known, Sample, Split};

/// The pictures of a run, identified by their content and their pixels wherever they are stored.
pub struct RunPictures {
    pictures: Vec<Remembered>,
    /// The splits of contents and of pixels.
    splits: HashMap<ContentHash, Split>,
}

/// A picture of a run.
struct Remembered {
    /// The picture's path in the data set.
    name: String,
    content: ContentHash,
    /// `None` in the tables of older versions.
    pixels: Option<ContentHash>,
    labels: String,
    split: String,
}

/// Writes `data.csv`: the absolute path, the labels, the split, the name in the data set, the content and the
/// pixels of every picture.
pub(crate) fn write_table(folder: &Path, dataset: &Dataset) -> Result<(), TrainError> {
    let path = folder.join(DATA);
    files::write(&path, true, &table(dataset).map_err(TrainError::file(&path))?)?;
    Ok(())
}

fn table(dataset: &Dataset) -> io::Result<Vec<u8>> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    let label = if dataset.multi_label { "labels" } else { "label" };
    rows.write_record(["path", label, "split", "name", "sha256", "pixels_sha256"])?;
    for (sample, labels) in dataset.samples.iter().zip(labels(dataset)) {
        let path = std::path::absolute(&sample.path)?;
        rows.write_record([
            &path.to_string_lossy(),
            labels.as_str(),
            sample.split.name(),
            &sample.name,
            &sample.content.to_string(),
            &sample.pixels.to_string(),
        ])?;
    }
    rows.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// The labels of each picture as one text.
fn labels(dataset: &Dataset) -> impl Iterator<Item = String> {
    dataset.samples.iter().map(|sample| {
        let labels = sample.labels.iter().map(|&label| dataset.classes[label].as_str());
        labels.collect::<Vec<_>>().join(";")
    })
}

impl RunPictures {
    /// Reads the pictures of the run in `folder`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] if its table cannot be read.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        let wrong = |error: csv::Error| TrainError::run(folder, format!("{DATA} cannot be read: {error}"));
        let mut reader = csv::Reader::from_path(folder.join(DATA)).map_err(wrong)?;
        let header = reader.headers().map_err(wrong)?.clone();
        let cell = |record: &StringRecord, name: &str| {
            let column = header.iter().position(|header| header == name)?;
            record.get(column).map(str::to_owned)
        };
        // The tables of older runs lack names and contents, which the table of the check has.
        let checked = Known::read(&folder.join(CHECKED));
        let mut pictures = Vec::new();
        for record in reader.records() {
            let record = record.map_err(wrong)?;
            let path = PathBuf::from(cell(&record, "path").unwrap_or_default());
            let name = cell(&record, "name").unwrap_or_else(|| name_in(&checked, &path));
            let content = cell(&record, "sha256").and_then(|text| ContentHash::parse(&text));
            let Some(content) = content.or_else(|| checked.content(&name)) else {
                continue;
            };
            pictures.push(Remembered {
                name,
                content,
                pixels: cell(&record, "pixels_sha256").and_then(|text| ContentHash::parse(&text)),
                labels: cell(&record, "labels")
                    .or_else(|| cell(&record, "label"))
                    .unwrap_or_default(),
                split: cell(&record, "split").unwrap_or_default(),
            });
        }
        let mut splits: HashMap<ContentHash, Split> = HashMap::new();
        for picture in &pictures {
            if let Some(split) = Split::ALL.into_iter().find(|split| split.name() == picture.split) {
                // If copies are in several splits, the copy that was trained on counts.
                for hash in [Some(picture.content), picture.pixels].into_iter().flatten() {
                    let known = splits.entry(hash).or_insert(split);
                    *known = split.min(*known);
                }
            }
        }
        Ok(Self { pictures, splits })
    }

    /// The split of the run's pictures with the content or the pixels of this one; `None` if the run had none.
    pub fn split(&self, sample: &Sample) -> Option<Split> {
        let hashes = [sample.content, sample.pixels];
        hashes.iter().filter_map(|hash| self.splits.get(hash)).min().copied()
    }

    /// A sentence about how a data set differs from the run's pictures; `None` if no picture differs.
    pub(crate) fn difference(&self, dataset: &Dataset) -> Option<String> {
        let before: BTreeMap<&str, &Remembered> = self
            .pictures
            .iter()
            .map(|picture| (picture.name.as_str(), picture))
            .collect();
        let samples = dataset.samples.iter().zip(labels(dataset));
        let now: BTreeMap<&str, _> = samples.map(|sample| (sample.0.name.as_str(), sample)).collect();
        let both = || {
            before
                .iter()
                .filter_map(|(name, then)| Some((*name, *then, now.get(name)?)))
        };
        let changed = both().filter(|(_, then, (sample, _))| then.content != sample.content);
        let moved = both().filter(|(_, then, (sample, labels))| {
            then.content == sample.content && (then.labels != *labels || then.split != sample.split.name())
        });
        let lost = before.keys().filter(|name| !now.contains_key(*name)).copied();
        let new = now.keys().filter(|name| !before.contains_key(*name)).copied();
        let parts: Vec<String> = [
            ("changed", changed.map(|(name, ..)| name).collect::<Vec<_>>()),
            ("missing", lost.collect()),
            ("new", new.collect()),
            ("with another label or split", moved.map(|(name, ..)| name).collect()),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{} {what} ({})", names.len(), some(&names)))
        .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// The first names, and the number of the others.
fn some(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A picture's path in the data set: the longest end of its absolute path that the check lists.
fn name_in(checked: &Known, picture: &Path) -> String {
    let parts: Vec<_> = picture.iter().map(|part| part.to_string_lossy()).collect();
    let ends = (0..parts.len()).map(|start| parts[start..].join("/"));
    let mut known = ends.filter(|end| checked.content(end).is_some());
    known.next().unwrap_or_else(|| picture.to_string_lossy().into_owned())
}
