//! Lines that fit a terminal.

use unicode_width::UnicodeWidthStr;

/// The most columns of a line: two fewer than the narrowest usual terminal has.
pub const COLUMNS: usize = 78;

/// The text with its words on lines of at most 78 columns; lines after the first are indented. A longer word, such as a
/// path, has a line of its own.
pub fn wrapped(text: &str, indent: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_inclusive(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + word.trim_end().width() <= COLUMNS || line.trim().is_empty() => {
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
            Some(line) => {
                line.truncate(line.trim_end().len());
                lines.push(format!("{}{word}", " ".repeat(indent)));
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_lines_are_indented() {
        assert_eq!(wrapped("short", 4), "short");
        let text = format!("time      {}", "a word ".repeat(20).trim_end());
        let lines: Vec<String> = wrapped(&text, 10).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("time      a word"), "{lines:?}");
        assert!(
            lines[1..]
                .iter()
                .all(|line| line.starts_with("          a ") || line.starts_with("          word"))
        );
        assert!(lines.iter().all(|line| line.len() <= COLUMNS));
        let path = "/p".repeat(60);
        assert_eq!(
            wrapped(&format!("data {path} end"), 2),
            format!("data\n  {path}\n  end")
        );
    }
}
