//! Counts and lists in sentences.

use std::fmt;

/// "1 file", "2 files": the count and the noun.
pub(super) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// The number of names that a sentence lists.
pub(super) const LISTED: usize = 10;

/// The text with control characters escaped: a file name can hold codes that move a terminal's cursor.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// The first names of a list, and the number of the others.
pub(super) fn listed(names: &[String]) -> String {
    Listed(&names[..names.len().min(LISTED)], names.len()).to_string()
}

/// The first of `count` names, and the number of the others.
pub(super) struct Listed<'a>(pub &'a [String], pub usize);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(names, count) = *self;
        f.write_str(&shown(&names.join(", ")))?;
        match count.saturating_sub(names.len()) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
