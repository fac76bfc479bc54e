//! A weight set's card: everything about a set of trained weights, in one TOML file.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::RegistryError;
use crate::input::Scaling;
use crate::labels::{self, Label, printable};
use crate::preset::Preset;
use crate::record::open_ordinary;
use crate::zoo::Architecture;

/// Far above any card (2 kB) or label file (20 kB): a wrong path fails quickly instead of filling the memory.
const MAX_TEXT_BYTES: u64 = 4 << 20;

/// Our own endings in the cache folder, which a weight file's name must not have.
const RESERVED_ENDINGS: [&str; 3] = [".part", ".from", ".lock"];

/// A weight set: where its files come from, what they must hash to, and how the network is fed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Card {
    /// What users call it, and its folder in the cache: lower-case letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// The paper's URL.
    pub paper: Option<String>,
    /// An SPDX expression, or "not stated".
    pub licence: String,
    /// Where the licence is stated; required when it is "not stated".
    pub licence_note: Option<String>,
    /// The keys that differ from the network's defaults; `num_classes` is always there.
    pub network: toml::Table,
    /// What the network is fed.
    pub input: Input,
    /// Where the label names come from; [`Card::labels`] has them read.
    #[serde(rename = "labels")]
    pub label_source: Labels,
    /// Published accuracy.
    pub metrics: Option<Metrics>,
    /// The files, at most one of each kind.
    pub weights: Vec<Weights>,
    #[serde(skip)]
    labels: Vec<Label>,
    #[serde(skip)]
    folder: Option<PathBuf>,
}

/// Picture size and preprocessing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Input {
    /// Rows in pixels.
    pub height: usize,
    /// Columns in pixels.
    pub width: usize,
    /// How pictures are brought to that size.
    pub preset: Preset,
    /// How channel values are scaled.
    pub scaling: Scaling,
}

/// Where the label names come from: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Labels {
    /// A file beside the card: one class a line, in class order, `name` or `id<TAB>name`.
    pub file: Option<String>,
    /// The names themselves, in class order.
    pub names: Option<Vec<String>>,
}

/// Published accuracy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Metrics {
    /// Share of pictures whose best guess is right, 0 to 1.
    pub top1: f64,
    /// Share of pictures whose best five guesses contain the right one, 0 to 1.
    pub top5: Option<f64>,
    /// What it was measured on.
    pub dataset: String,
    /// Who says so.
    pub source: String,
}

/// One file of trained weights.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Weights {
    /// With or without the classifier.
    pub kind: Kind,
    /// The file's name, in the cache and beside a user's own card.
    pub file: String,
    /// How the file is to be read.
    pub format: Format,
    /// Size in bytes, where it is known.
    pub bytes: Option<u64>,
    /// SHA-256 in hex; this or `md5` must be there.
    pub sha256: Option<String>,
    /// MD5 in hex, for files whose publisher gives nothing better.
    pub md5: Option<String>,
    /// Number of parameters.
    pub parameters: u64,
    /// Those of them that training can change: all but the moving means and variances.
    pub trainable_parameters: Option<u64>,
    /// Where the file is served: the primary source first, then mirrors with the same bytes.
    #[serde(default)]
    pub urls: Vec<String>,
    /// How a person gets the file where no URL serves it, as a half-sentence in the imperative.
    pub obtain: Option<String>,
}

/// With or without the classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The whole network.
    Full,
    /// Without the classifier, as a backbone for fine-tuning.
    NoTop,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::NoTop => "notop",
        })
    }
}

/// File formats a card can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// HDF5 as any Keras writes it: legacy weights, whole model, or `.weights.h5`.
    KerasH5,
    /// Keras 3's `.keras` zip.
    Keras,
    /// safetensors.
    Safetensors,
    /// A `PyTorch` state dict.
    Pytorch,
    /// Burn's own record.
    Burnpack,
}

impl Card {
    /// Reads a user's own card, and the label file beside it. A folder stands for the `card.toml` in it.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Read`] when a file can't be read, [`RegistryError::Card`] when what it says can't be used.
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

    /// Parses and checks a card's text. `origin` is only for messages; `read_labels` gets the label file's name.
    pub(super) fn from_texts(
        text: &str,
        origin: &Path,
        read_labels: impl FnOnce(&str) -> Result<String, RegistryError>,
    ) -> Result<Self, RegistryError> {
        let mut card: Self = toml::from_str(text).map_err(|error| RegistryError::Card {
            file: origin.to_owned(),
            place: place(text, error.span()),
            problem: error.message().replace('\n', ", "),
        })?;
        let wrong = |place: &str, problem: String| RegistryError::Card {
            file: origin.to_owned(),
            place: place.to_owned(),
            problem,
        };
        card.check().map_err(|(place, problem)| wrong(&place, problem))?;

        card.labels = match (&card.label_source.file, &card.label_source.names) {
            (Some(file), None) => labels::parse(&read_labels(file)?).map_err(|error| RegistryError::Card {
                file: origin.with_file_name(file),
                place: format!("line {}", error.number),
                problem: error.problem,
            })?,
            (None, Some(names)) => {
                let labels: Vec<Label> = names.iter().map(Label::new).collect();
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

        let classes = card.network.get("num_classes");
        if classes.and_then(toml::Value::as_integer) != i64::try_from(card.labels.len()).ok() {
            let found = classes.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let problem = format!("expected {}, the number of labels, found {found}", card.labels.len());
            return Err(wrong("network.num_classes", problem));
        }
        Ok(card)
    }

    /// The classes, in the order of the network's outputs.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The folder of a card that came from a file; weight files beside it are used before the cache.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The weights of this kind.
    ///
    /// # Errors
    ///
    /// [`RegistryError::NoWeights`], which lists the kinds there are.
    pub fn weights(&self, kind: Kind) -> Result<&Weights, RegistryError> {
        self.weights
            .iter()
            .find(|weights| weights.kind == kind)
            .ok_or_else(|| RegistryError::NoWeights {
                card: self.name.clone(),
                kind,
                known: self.weights.iter().map(|weights| weights.kind).collect(),
            })
    }

    /// The network with its classifier.
    ///
    /// # Errors
    ///
    /// A key that is no option, or a value that is none, for people.
    pub fn architecture(&self) -> Result<Architecture, String> {
        let table = serde_json::to_value(&self.network).map_err(|error| error.to_string())?;
        let network = Architecture::from_options(table.as_object().cloned().unwrap_or_default())?;
        network.validate().map_err(|error| error.to_string())?;
        Ok(network)
    }

    /// What the types alone don't say. The error is the key and the problem.
    fn check(&self) -> Result<(), (String, String)> {
        let at = |place: &str, problem: String| Err((place.to_owned(), problem));
        if !is_card_name(&self.name) {
            return at(
                "name",
                format!(
                    "expected lower-case letters, digits, `-`, `_` or `.`, at most 100, found {:?}",
                    self.name
                ),
            );
        }
        let sentences = [
            ("description", Some(&self.description)),
            ("paper", self.paper.as_ref()),
            ("licence", Some(&self.licence)),
            ("licence_note", self.licence_note.as_ref()),
        ];
        for (key, text) in sentences {
            if let Some(text) = text {
                printable(text).map_err(|problem| (key.to_owned(), problem))?;
            }
        }
        if self.licence == "not stated" && self.licence_note.is_none() {
            let problem = "expected a note on the licence that is not stated, found nothing";
            return at("licence_note", problem.to_owned());
        }
        // The upper bound keeps one picture's first activation under 1 GiB.
        let least = self.architecture().map_or(1, |network| network.graph().min_size);
        for (key, pixels) in [("input.height", self.input.height), ("input.width", self.input.width)] {
            if !(least..=4096).contains(&pixels) {
                return at(key, format!("expected {least} to 4096 pixels, found {pixels}"));
            }
        }
        if let Some(file) = &self.label_source.file
            && !is_file_name(file)
        {
            return at(
                "labels.file",
                format!("expected the name of a file beside the card, found {file:?}"),
            );
        }
        if let Some(metrics) = &self.metrics {
            metrics
                .check()
                .map_err(|(key, problem)| (format!("metrics.{key}"), problem))?;
        }
        if self.weights.is_empty() {
            return at("weights", "expected at least one, found none".to_owned());
        }
        let mut kinds = HashSet::new();
        let mut files = HashSet::new();
        for (index, weights) in self.weights.iter().enumerate() {
            let place = |key: &str| format!("weights item {}, {key}", index + 1);
            if !kinds.insert(weights.kind) {
                return at(&place("kind"), format!("`{}` is there twice", weights.kind));
            }
            if !files.insert(weights.file.to_lowercase()) {
                return at(&place("file"), format!("{:?} is there twice", weights.file));
            }
            weights.check().map_err(|(key, problem)| (place(key), problem))?;
        }
        Ok(())
    }
}

impl Metrics {
    fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, share) in [("top1", Some(self.top1)), ("top5", self.top5)] {
            if let Some(share) = share
                && !(0.0..=1.0).contains(&share)
            {
                return Err((key, format!("expected a share from 0 to 1, found {share}")));
            }
        }
        for (key, text) in [("dataset", &self.dataset), ("source", &self.source)] {
            printable(text).map_err(|problem| (key, problem))?;
        }
        Ok(())
    }
}

impl Weights {
    fn check(&self) -> Result<(), (&'static str, String)> {
        if !is_file_name(&self.file)
            || RESERVED_ENDINGS
                .iter()
                .any(|ending| self.file.to_lowercase().ends_with(ending))
        {
            let problem = format!(
                "expected a plain file name (letters, digits, `-`, `_`, `.`, `+`; not ending with {}), found {:?}",
                RESERVED_ENDINGS.join(", "),
                self.file
            );
            return Err(("file", problem));
        }
        if self.bytes == Some(0) {
            return Err(("bytes", "expected at least 1, found 0".to_owned()));
        }
        if self.sha256.is_none() && self.md5.is_none() {
            let problem = "expected `sha256` or `md5`, found neither: a file can't be trusted without";
            return Err(("sha256", problem.to_owned()));
        }
        for (key, digest, digits) in [("sha256", &self.sha256, 64), ("md5", &self.md5, 32)] {
            if let Some(digest) = digest
                && (digest.len() != digits || !digest.bytes().all(|b| b.is_ascii_hexdigit()))
            {
                return Err((key, format!("expected {digits} hexadecimal digits, found {digest:?}")));
            }
        }
        for url in &self.urls {
            let uri: Option<ureq::http::Uri> = url.parse().ok();
            let served = uri
                .as_ref()
                .is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
            if !served {
                let problem = format!("expected an http or https address, found {url:?}");
                return Err(("urls", problem));
            }
        }
        if let Some(obtain) = &self.obtain {
            printable(obtain).map_err(|problem| ("obtain", problem))?;
        } else if self.urls.is_empty() {
            let problem = "expected `urls`, or a sentence in `obtain`, found neither";
            return Err(("urls", problem.to_owned()));
        }
        Ok(())
    }
}

fn is_card_name(name: &str) -> bool {
    is_file_name(name) && name.len() <= 100 && !name.bytes().any(|b| b.is_ascii_uppercase() || b == b'+')
}

/// A name that is one plain file in its folder on every system: no separators, no drive, no hidden file, no trailing
/// dot.
fn is_file_name(name: &str) -> bool {
    (1..=200).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
        && !name.starts_with('.')
        && !name.ends_with('.')
}

fn read_text(path: &Path) -> Result<String, RegistryError> {
    let error = |source| RegistryError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = open_ordinary(path).map_err(error)?;
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

/// Where a span of a TOML text is, as people count: line, column and the line itself.
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
