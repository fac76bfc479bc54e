//! The character between the cells of a table.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, Write},
    path::Path,
};

/// The longest table in UTF-16.
const MAX_WIDE: u64 = 1 << 28;

/// The longest first line.
const MAX_LINE: u64 = 1 << 20;

/// Opens a table, and skips a first line in which Excel names the delimiter (`sep=;`). Finds the delimiter: the
/// candidate that is most frequent in the first line, outside of quotes.
pub(super) fn open(path: &Path) -> io::Result<(File, u8)> {
    let mut file = as_utf8(File::open(path)?)?;
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

/// The file, or a temporary copy in UTF-8 of one in the UTF-16 that Excel writes as "Unicode text".
fn as_utf8(mut file: File) -> io::Result<File> {
    let mut mark = [0; 2];
    let length = file.read(&mut mark)?;
    file.rewind()?;
    let read = match (length, mark) {
        (2, [0xff, 0xfe]) => u16::from_le_bytes as fn([u8; 2]) -> u16,
        (2, [0xfe, 0xff]) => u16::from_be_bytes,
        _ => return Ok(file),
    };
    let mut bytes = Vec::new();
    file.take(MAX_WIDE).read_to_end(&mut bytes)?;
    let units: Vec<u16> = bytes.as_chunks().0.iter().map(|&pair| read(pair)).collect();
    let text = String::from_utf16(&units).map_err(io::Error::other)?;
    let mut copy = tempfile::tempfile()?;
    copy.write_all(text.as_bytes())?;
    copy.rewind()?;
    Ok(copy)
}

/// `None` for a line without a delimiter. Of equally frequent candidates, the first.
fn most_frequent(line: &[u8]) -> Option<u8> {
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
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
            ("path|label", Some(b'|')),
            ("\"path, or so\";label", Some(b';')),
            ("path", None),
            ("", None),
        ] {
            assert_eq!(most_frequent(line.as_bytes()), delimiter, "{line}");
        }
    }
}
