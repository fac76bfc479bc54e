//! Text files of one entry per line.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// The longest text that is read: `ImageNet`'s largest list has 1.6 MB.
const MAX_BYTES: u64 = 64 << 20;

/// The lines of a text file with their numbers, without blank lines.
pub fn lines(path: &Path) -> anyhow::Result<Vec<(usize, String)>> {
    let read = || -> std::io::Result<String> {
        if fs::metadata(path)?.len() > MAX_BYTES {
            return Err(std::io::Error::other("it is too large for a list of labels"));
        }
        fs::read_to_string(path)
    };
    let text = read().with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().map(str::trim).zip(1..);
    let lines = lines.filter(|(text, _)| !text.is_empty());
    Ok(lines.map(|(text, line)| (line, text.to_owned())).collect())
}
