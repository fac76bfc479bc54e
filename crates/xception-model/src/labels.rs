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
    let mut labels = labels_of(text)?;
    for label in &mut labels {
        label.name = label.name.trim_matches(is_invisible).to_owned();
    }
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

#[cfg(feature = "picture")]
const SHEET: &str = "it is a sheet of Excel, or an archive: save the sheet as CSV";

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
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            return Err(io::Error::other("it is UTF-32 text: save it as UTF-8"));
        }
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => return Err(io::Error::other(NUMPY)),
        [b'P', b'K', 3, 4, ..] | [0xd0, 0xcf, 0x11, 0xe0, ..] => return Err(io::Error::other(SHEET)),
        // Of programs that leave out the mark at the beginning; names begin with letters of one byte.
        [1..=u8::MAX, 0, 1..=u8::MAX, 0, ..] => {
            let units = bytes.as_chunks().0.iter();
            units.map(|&pair| u16::from_le_bytes(pair)).collect()
        }
        [0, 1..=u8::MAX, 0, 1..=u8::MAX, ..] => {
            let units = bytes.as_chunks().0.iter();
            units.map(|&pair| u16::from_be_bytes(pair)).collect()
        }
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

/// Characters without width, which web pages and editors leave around names.
fn is_invisible(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Characters that turn the order of those after them, so that a name looks like another one.
fn turns_order(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Refuses control characters, and with them the escape sequences of terminals.
pub(crate) fn printable(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("expected a text, found nothing".to_owned());
    }
    match text.chars().find(|&c| c.is_control() || turns_order(c)) {
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
        assert_eq!(
            message("a\nb\u{202e}c"),
            "label 2: expected printable text, found '\\u{202e}'"
        );
    }

    #[test]
    fn characters_without_width_are_no_part_of_a_name() {
        let labels = parse("\u{200b}cup\u{a0}\n\u{2060}fork\u{feff}\nknife\n").unwrap();
        assert_eq!(labels, ["cup", "fork", "knife"].map(Label::new));
    }

    #[cfg(feature = "picture")]
    #[test]
    fn windows_and_excel_are_understood() {
        let wide = |read: fn(u16) -> [u8; 2]| "cup\nfork\n".encode_utf16().flat_map(read).collect::<Vec<u8>>();
        assert_eq!(text_of(wide(u16::to_le_bytes)).unwrap(), "cup\nfork\n");
        let marked = [&[0xfe, 0xff][..], &wide(u16::to_be_bytes)].concat();
        assert_eq!(text_of(marked).unwrap(), "cup\nfork\n");
        for sheet in [&b"PK\x03\x04..."[..], b"\xd0\xcf\x11\xe0..."] {
            assert!(
                text_of(sheet.to_vec())
                    .unwrap_err()
                    .to_string()
                    .contains("save the sheet as CSV")
            );
        }
    }
}
