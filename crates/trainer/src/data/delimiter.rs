//! The character between the cells of a table.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    path::Path,
};

/// The longest first line.
const MAX_LINE: u64 = 1 << 20;

/// Opens a table, and skips a first line in which Excel names the delimiter (`sep=;`). Finds the delimiter: the
/// candidate that is most frequent in the first line, outside of quotes.
pub(super) fn open(path: &Path) -> io::Result<(File, u8)> {
    let mut file = File::open(path)?;
    let mut line = Vec::new();
    BufReader::new((&mut file).take(MAX_LINE)).read_until(b'\n', &mut line)?;
    let named = line
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(&line)
        .strip_prefix(b"sep=");
    if let Some([delimiter, ..]) = named {
        file.seek(io::SeekFrom::Start(line.len() as u64))?;
        return Ok((file, *delimiter));
    }
    file.rewind()?;
    let ending = path.extension().unwrap_or_default();
    let usual = if ["tsv", "tab"].iter().any(|tabs| ending.eq_ignore_ascii_case(tabs)) {
        b'\t'
    } else {
        b','
    };
    Ok((file, most_frequent(&line).unwrap_or(usual)))
}

/// `None` for a line without a delimiter. Of equally frequent candidates, the first.
fn most_frequent(line: &[u8]) -> Option<u8> {
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in line {
        quoted ^= *byte == b'"';
        for (delimiter, count) in &mut counts {
            *count += usize::from(!quoted && byte == delimiter);
        }
    }
    let most = counts.iter().map(|&(_, count)| count).max()?;
    let (delimiter, _) = counts.into_iter().find(|&(_, count)| count == most)?;
    (most > 0).then_some(delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        for (line, delimiter) in [
            ("path,label\n", Some(b',')),
            ("path;label", Some(b';')),
            ("path\tlabel", Some(b'\t')),
            ("\"path, or so\";label", Some(b';')),
            ("path", None),
            ("", None),
        ] {
            assert_eq!(most_frequent(line.as_bytes()), delimiter, "{line}");
        }
    }
}
