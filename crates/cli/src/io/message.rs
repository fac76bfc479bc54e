//! Sentences on standard error.

use std::io::{self, ErrorKind, Write};

use crate::io::wrap::wrapped;

/// Writes one sentence to standard error. A failure is ignored, because standard error is where it would be reported.
pub fn print(kind: &str, sentence: &str) {
    // Our own lists and lines of Python stand on indented lines.
    let lines: Vec<String> = sentence.split("\n  ").map(printable).collect();
    drop(writeln!(io::stderr(), "{kind}: {}", lines.join("\n  ")));
}

/// Writes a sentence on lines that fit a terminal.
pub fn print_wrapped(kind: &str, sentence: &str) {
    let indent = kind.len() + 2;
    let text = wrapped(&format!("{kind}: {sentence}"), indent);
    print(kind, text.get(indent..).unwrap_or(sentence));
}

/// An error and its causes in one sentence. The messages of some libraries include their causes' already.
pub fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |mut sentence, cause| {
        let cause = cause.to_string();
        if !sentence.contains(&cause) {
            if !sentence.is_empty() {
                sentence.push_str(": ");
            }
            sentence.push_str(&cause);
        }
        sentence
    })
}

/// The text with control characters escaped: the name of a file can hold codes that move a terminal's cursor.
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut text, char| {
        if char.is_control() {
            text.extend(char.escape_default());
        } else {
            text.push(char);
        }
        text
    })
}

/// Whether the error says that the reader of standard output has gone. Errors of standard output carry no context; a
/// pipe that closed elsewhere is a failure like any other.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
