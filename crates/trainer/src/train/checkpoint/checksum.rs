use std::fs::File;
use std::io;

use files::{Sha256, each_piece};

/// The SHA-256 of a file.
pub(super) fn checksum(file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    each_piece(file, |piece| hash.update(piece))?;
    Ok(hash.finish().to_string())
}
