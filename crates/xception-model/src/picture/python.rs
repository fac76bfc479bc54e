//! Text in headers as Python reads it: blanks and numbers.

/// Also Python's vertical tab.
pub(super) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// Text without the blanks around it.
pub(super) fn stripped(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|&byte| !is_blank(byte))
        .map_or(start, |last| last + 1);
    &text[start..end]
}

/// A whole number, perhaps with blanks around it.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    without_underscores(stripped(text))?.parse().ok()
}

/// A number, perhaps with blanks around it.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    without_underscores(stripped(text))?.parse().ok()
}

/// A number without the single underscores that Python allows between digits; `None` for other underscores.
fn without_underscores(token: &[u8]) -> Option<String> {
    let is_digit = |at: usize| token.get(at).is_some_and(u8::is_ascii_digit);
    let misplaced = |at: usize| token[at] == b'_' && !(at > 0 && is_digit(at - 1) && is_digit(at + 1));
    if (0..token.len()).any(misplaced) {
        return None;
    }
    let text = std::str::from_utf8(token).ok()?;
    Some(text.replace('_', ""))
}
