//! Compares a weight file with its card.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use files::{Md5, Sha256, each_piece};

use super::weights::Weights;

/// Compares a file's size, then every checksum in the card. The inner `Err` describes the difference.
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

    let mut sha256 = (weights.sha256.as_ref().or(weights.sha256_prefix.as_ref())).map(|_| Sha256::new());
    let mut md5 = weights.md5.as_ref().map(|_| Md5::new());
    each_piece(head.as_slice().chain(file), |piece| {
        if let Some(hash) = &mut sha256 {
            hash.update(piece);
        }
        if let Some(hash) = &mut md5 {
            hash.update(piece);
        }
    })?;

    let sha256 = sha256.map(|hash| hash.finish().to_string());
    let digests = [
        ("SHA-256", &weights.sha256, &sha256),
        ("MD5", &weights.md5, &md5.map(Md5::finish)),
    ];
    for (name, expected, found) in digests {
        if let (Some(expected), Some(found)) = (expected, found)
            && !expected.eq_ignore_ascii_case(found)
        {
            return Ok(Err(format!("its {name} is {found} instead of {expected}")));
        }
    }
    if let (Some(prefix), Some(found)) = (&weights.sha256_prefix, &sha256)
        && !found.starts_with(&prefix.to_lowercase())
    {
        return Ok(Err(format!("its SHA-256 is {found} and does not begin with {prefix}")));
    }
    Ok(Ok(()))
}

/// Whether a file begins like HTML: a login page, an error page, or a page saved by hand.
fn is_web_page(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_lowercase();
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    ["<!doctype html", "<html", "<head"]
        .iter()
        .any(|start| text.starts_with(start))
}
