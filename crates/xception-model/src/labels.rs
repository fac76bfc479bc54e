//! Class names, in the order of the network's outputs.

use std::collections::HashSet;
#[cfg(feature = "picture")]
use std::io::{self, Read};
#[cfg(feature = "picture")]
use std::path::Path;

pub use crate::label::{Label, LabelError};
use crate::label_file::labels_of;
#[cfg(feature = "picture")]
use crate::weights_error::WeightsError;

/// `ImageNet`'s 1,000 classes in Keras's order: `WordNet` id and name (`imagenet_class_index.json`).
pub fn imagenet() -> Vec<Label> {
    include_str!("../../../models/xception-imagenet/labels.txt")
        .lines()
        .map(Label::of_line)
        .collect()
}

/// Reads a label file's text, in the order of the network's outputs: one class per line (`name` or `id<TAB>name`, with
/// a header or not), lines with the classes' numbers (`0 cup`, `cup,0`), a CSV table of them, or JSON (a list of names,
/// `id2label`, `class_indices`). Numbers are 0 to n - 1, or 1 to n, each once.
///
/// # Errors
///
/// As [`check`]; also for a text that is no list of names, which the error names.
pub fn parse(text: &str) -> Result<Vec<Label>, LabelError> {
    let labels = labels_of(text)?;
    check(&labels)?;
    Ok(labels)
}

/// Reads a label file.
///
/// # Errors
///
/// [`WeightsError::Read`] for a file that cannot be read or is far too large, [`WeightsError::Labels`] for a line that
/// is not a class.
#[cfg(feature = "picture")]
pub fn read(path: &Path) -> Result<Vec<Label>, WeightsError> {
    /// The most bytes of a label file (`ImageNet`'s has 20 kB).
    const MAX_BYTES: u64 = 4 << 20;

    let mut bytes = Vec::new();
    let text = files::open(path)
        .map_err(files::FileError::into_io)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .and_then(|_| {
            if bytes.len() as u64 > MAX_BYTES {
                Err(io::Error::other(format!(
                    "it has more than {MAX_BYTES} bytes, so it is no label file"
                )))
            } else {
                text_of(bytes)
            }
        })
        .map_err(|source| WeightsError::Read {
            path: path.to_owned(),
            source,
        })?;
    parse(&text).map_err(|source| WeightsError::Labels {
        path: path.to_owned(),
        source,
    })
}

#[cfg(feature = "picture")]
const NUMPY: &str = "it is an array of NumPy; if you trust it: python -c \"import numpy; \
                     open('labels.txt', 'w').write('\\n'.join(map(str, numpy.load('FILE', allow_pickle=True))))\"";

#[cfg(feature = "picture")]
const PICKLE: &str = "it is a pickle; if you trust it and it is a list or a LabelEncoder: python -c \"import pickle; \
                      x = pickle.load(open('FILE', 'rb')); \
                      open('labels.txt', 'w').write('\\n'.join(map(str, getattr(x, 'classes_', x))))\"";

/// UTF-8, or the UTF-16 that Windows writes.
#[cfg(feature = "picture")]
fn text_of(bytes: Vec<u8>) -> io::Result<String> {
    let units = |read: fn([u8; 2]) -> u16| {
        bytes[2..]
            .chunks_exact(2)
            .map(|pair| read([pair[0], pair[1]]))
            .collect()
    };
    let wide: Vec<u16> = match bytes.as_slice() {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => return Err(io::Error::other(NUMPY)),
        // A pickle of protocol 2 or later.
        [0x80, 2..=5, ..] => return Err(io::Error::other(PICKLE)),
        _ => {
            return String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text: save it as UTF-8"));
        }
    };
    String::from_utf16(&wide).map_err(io::Error::other)
}

/// Checks that there are labels, that each can be printed, and that no two are equal.
///
/// # Errors
///
/// Names the first invalid label.
pub fn check(labels: &[Label]) -> Result<(), LabelError> {
    let wrong = |number, problem: String| Err(LabelError { number, problem });
    if labels.is_empty() {
        return wrong(1, "expected at least one label, found none".to_owned());
    }
    let mut seen = HashSet::new();
    for (number, label) in (1..).zip(labels) {
        for text in [Some(&label.name), label.id.as_ref()].into_iter().flatten() {
            if let Err(problem) = printable(text) {
                return wrong(number, problem);
            }
        }
        if !seen.insert(label) {
            return wrong(number, format!("the label {:?} is there twice", label.name));
        }
    }
    Ok(())
}

/// Refuses control characters, and with them the escape sequences of terminals.
pub(crate) fn printable(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("expected a text, found nothing".to_owned());
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("expected printable text, found {c:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_or_an_id_and_a_name() {
        let labels = parse("n01440764\ttench\nhot dog\r\n").unwrap();
        assert_eq!(labels[0].id.as_deref(), Some("n01440764"));
        assert_eq!(labels[0].name, "tench");
        assert_eq!(labels[1], Label::new("hot dog"));
    }

    #[test]
    fn imagenet_has_a_thousand_classes() {
        let labels = imagenet();
        assert_eq!(labels.len(), 1000);
        assert_eq!(check(&labels), Ok(()));
        assert_eq!(labels[207].name, "golden_retriever");
        assert!(labels.is_sorted_by_key(|label| label.id.clone()));
    }

    #[test]
    fn what_names_no_classes_is_refused() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(message(""), "label 1: expected at least one label, found none");
        assert_eq!(message("a\n\nb"), "label 2: expected a text, found nothing");
        assert_eq!(message("a\nb\na"), "label 3: the label \"a\" is there twice");
        assert_eq!(message("a\x1b[2J"), "label 1: expected printable text, found '\\u{1b}'");
    }
}
