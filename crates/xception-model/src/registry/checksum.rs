//! Is this the file that the card describes?

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::card::Weights;

/// Compares a file with its card: size first, then every checksum the card gives. `Err` inside names the difference.
///
/// One pass over the file.
pub(super) fn verify(path: &Path, weights: &Weights) -> io::Result<Result<(), String>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();

    let mut head = Vec::new();
    file.by_ref().take(512).read_to_end(&mut head)?;
    if is_web_page(&head) {
        return Ok(Err("it is a web page, not a weight file".to_owned()));
    }
    if let Some(bytes) = weights.bytes
        && bytes != size
    {
        return Ok(Err(format!("its size is {size} bytes instead of {bytes}")));
    }

    let mut sha256 = weights.sha256.as_ref().map(|_| Sha256::new());
    let mut md5 = weights.md5.as_ref().map(|_| Md5::new());
    each_piece(head.as_slice().chain(file), |piece| {
        if let Some(hasher) = &mut sha256 {
            hasher.update(piece);
        }
        if let Some(hasher) = &mut md5 {
            hasher.update(piece);
        }
    })?;

    let digests = [
        ("SHA-256", &weights.sha256, sha256.map(|hasher| hex(&hasher.finalize()))),
        ("MD5", &weights.md5, md5.map(|hasher| hex(&hasher.finalize()))),
    ];
    for (name, expected, found) in digests {
        if let (Some(expected), Some(found)) = (expected, found)
            && !expected.eq_ignore_ascii_case(&found)
        {
            return Ok(Err(format!("its {name} is {found} instead of {expected}")));
        }
    }
    Ok(Ok(()))
}

/// A file's length in bytes, and its SHA-256 in lower-case hexadecimal digits.
///
/// # Errors
///
/// When the file cannot be read.
pub fn sha256(path: &Path) -> io::Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let bytes = each_piece(File::open(path)?, |piece| hasher.update(piece))?;
    Ok((bytes, hex(&hasher.finalize())))
}

/// Gives all of a file to `take`, a piece at a time, and returns its length.
fn each_piece(mut file: impl Read, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(bytes);
        }
        take(&buffer[..count]);
        bytes += count as u64;
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Does it begin like HTML, as a login page, an error page or a page saved by hand does?
fn is_web_page(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_lowercase();
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    ["<!doctype html", "<html", "<head"]
        .iter()
        .any(|start| text.starts_with(start))
}
