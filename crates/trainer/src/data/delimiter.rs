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
    const OTHER: &str =
        "it is a sheet of Excel or an archive, not a table: save the sheet as CSV, or unpack the archive";

    let mut mark = Vec::new();
    (&mut file).take(4).read_to_end(&mut mark)?;
    file.rewind()?;
    let read = match mark[..] {
        // With a mark, or with letters of one byte.
        [0xff, 0xfe, ..] | [1..=u8::MAX, 0, 1..=u8::MAX, 0] => u16::from_le_bytes as fn([u8; 2]) -> u16,
        [0xfe, 0xff, ..] | [0, 1..=u8::MAX, 0, 1..=u8::MAX] => u16::from_be_bytes,
        [b'P', b'K', 3, 4] | [0xd0, 0xcf, 0x11, 0xe0] | [0x1f, 0x8b, ..] => return Err(io::Error::other(OTHER)),
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
