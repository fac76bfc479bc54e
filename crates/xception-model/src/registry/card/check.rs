//! Checks of a card that its types do not express.

use std::collections::HashSet;

use super::contents::{Card, Metrics};
use crate::labels::printable;
use crate::outputs::Outputs;
use crate::preset::Preset;
use crate::registry::weights::Weights;

/// Endings that the cache uses itself; a weight file's name must not have one of them.
const RESERVED_ENDINGS: [&str; 3] = [".part", ".from", ".lock"];

impl Card {
    /// Checks what the types do not express. The error is the key and the problem.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
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
        // A converted file may leave open the preset and the class names.
        if self.input.preset.is_none() && self.conversion.is_none() {
            let names = Preset::NAMES.join(", ");
            return at("input.preset", format!("expected one of {names}, found nothing"));
        }
        if self.label_source.is_none() && self.conversion.is_none() && self.outputs != Some(Outputs::Value) {
            let problem = "expected one of `file` and `names`, found neither";
            return at("labels", problem.to_owned());
        }
        if let Some(file) = self.label_source.as_ref().and_then(|labels| labels.file.as_ref())
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

impl Card {
    /// Checks that the number of labels is that of the network's classes.
    pub(super) fn check_label_count(&self) -> Result<(), (&'static str, String)> {
        let labels = self.labels.len();
        if self.classes.is_some_and(|classes| classes != labels) {
            let problem = format!(
                "expected {labels}, the number of labels, found {}",
                self.classes.unwrap_or(0)
            );
            return Err(("classes", problem));
        }
        // A graph shows its number of outputs, and one output may distinguish two classes.
        let is_graph = self.network.get("architecture").and_then(toml::Value::as_str) == Some("graph");
        if is_graph || matches!(self.outputs, Some(Outputs::Binary | Outputs::Probabilities)) {
            let network = self.architecture().map_err(|problem| ("network", problem))?;
            let outputs = self.outputs.unwrap_or_default();
            let classes = network.outputs().map_or(0, |count| outputs.classes(count));
            if classes != labels {
                return Err((
                    "labels",
                    format!("expected {classes}, as the network has classes, found {labels}"),
                ));
            }
            return Ok(());
        }
        let classes = self.network.get("num_classes");
        if classes.and_then(toml::Value::as_integer) != i64::try_from(labels).ok() {
            let found = classes.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let problem = format!("expected {labels}, the number of labels, found {found}");
            return Err(("network.num_classes", problem));
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
        if let Some(scaling) = &self.temperature
            && !(scaling.value.is_finite() && scaling.value > 0.0)
        {
            let problem = format!("expected a number above 0, found {}", scaling.value);
            return Err(("temperature.value", problem));
        }
        for (key, text) in [("dataset", &self.dataset), ("source", &self.source)] {
            printable(text).map_err(|problem| (key, problem))?;
        }
        Ok(())
    }
}

impl Weights {
    fn check(&self) -> Result<(), (&'static str, String)> {
        if !is_plain_name(&self.file)
            || RESERVED_ENDINGS
                .iter()
                .any(|ending| self.file.to_lowercase().ends_with(ending))
        {
            let problem = format!(
                "expected a plain file name (no folder, no leading dot, none of `\\:*?\"<>|`, not ending with {}), \
                 found {:?}",
                RESERVED_ENDINGS.join(", "),
                self.file
            );
            return Err(("file", problem));
        }
        if self.bytes == Some(0) {
            return Err(("bytes", "expected at least 1, found 0".to_owned()));
        }
        if self.sha256.is_none() && self.sha256_prefix.is_none() && self.md5.is_none() {
            let problem = "expected `sha256`, `sha256_prefix` or `md5`, found none: a file can't be trusted without";
            return Err(("sha256", problem.to_owned()));
        }
        if let Some(prefix) = &self.sha256_prefix {
            // `torch.hub` publishes eight digits. All 64 are a `sha256`, which is checked in full.
            if !(8..=63).contains(&prefix.len()) || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
                let problem = format!("expected the first 8 to 63 hexadecimal digits of a SHA-256, found {prefix:?}");
                return Err(("sha256_prefix", problem));
            }
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

/// Whether a name is one file in its folder on every system, for example that of a converted file: "my flowers.bpk".
fn is_plain_name(name: &str) -> bool {
    (1..=200).contains(&name.len())
        && !name.contains(|char: char| char.is_control() || "/\\:*?\"<>|".contains(char))
        && !name.starts_with(['.', ' '])
        && !name.ends_with(['.', ' '])
}

/// Whether a name is one plain file in its folder on every system: no separators, no drive, no hidden file, no trailing
/// dot.
fn is_file_name(name: &str) -> bool {
    (1..=200).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
        && !name.starts_with('.')
        && !name.ends_with('.')
}
