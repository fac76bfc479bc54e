use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::Digest as _;

use crate::error::FileError;

/// SHA-256 of some content. Displayed, and parsed, as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Reads a hash as it is displayed; `None` where the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .chars()
            .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
            .collect::<Option<_>>()?;
        let (pairs, []) = digits.as_chunks::<2>() else {
            return None;
        };
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// SHA-256 of content that comes in pieces.
#[derive(Debug, Clone, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a piece.
    pub fn update(&mut self, piece: impl AsRef<[u8]>) {
        self.0.update(piece);
    }

    /// The hash of all pieces.
    pub fn finish(self) -> ContentHash {
        ContentHash(self.0.finalize().into())
    }
}

/// MD5 of content that comes in pieces, for files whose publisher gives nothing better.
#[derive(Debug, Clone, Default)]
pub struct Md5(md5::Md5);

impl Md5 {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a piece.
    pub fn update(&mut self, piece: impl AsRef<[u8]>) {
        self.0.update(piece);
    }

    /// The hash of all pieces, as 32 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// A file's length in bytes, and its SHA-256 as lower-case hexadecimal digits.
///
/// # Errors
///
/// [`FileError::System`].
pub fn sha256(path: &Path) -> Result<(u64, String), FileError> {
    let mut hash = Sha256::new();
    let length = File::open(path)
        .and_then(|file| each_piece(file, |piece| hash.update(piece)))
        .map_err(FileError::system("read", path))?;
    Ok((length, hash.finish().to_string()))
}

/// Gives all of a reader to `take`, a piece at a time, and returns its length.
///
/// # Errors
///
/// The reader's.
pub fn each_piece(mut reader: impl Read, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(count) => {
                take(&buffer[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, the example of one block.
    const SHA256_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    /// RFC 1321, A.5.
    const MD5_OF_ABC: &str = "900150983cd24fb0d6963f7d28e17f72";

    #[test]
    fn published_values() {
        assert_eq!(ContentHash::of(b"abc").to_string(), SHA256_OF_ABC);
        let (mut sha256, mut md5) = (Sha256::new(), Md5::new());
        let length = each_piece(&b"abc"[..], |piece| {
            sha256.update(piece);
            md5.update(piece);
        });
        assert_eq!(length.unwrap(), 3);
        assert_eq!(sha256.finish().to_string(), SHA256_OF_ABC);
        assert_eq!(md5.finish(), MD5_OF_ABC);
    }

    #[test]
    fn a_file_longer_than_the_buffer() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let content: Vec<u8> = (0..200_000_u32).map(|value| value as u8).collect();
        std::fs::write(&path, &content).unwrap();
        assert_eq!(sha256(&path).unwrap(), (200_000, ContentHash::of(&content).to_string()));
        let none = home.path().join("none");
        let error = sha256(&none).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot read {}: ", none.display())),
            "{error}"
        );
    }

    #[test]
    fn hashes_are_read_as_they_are_displayed() {
        let hash = ContentHash::of(b"abc");
        assert_eq!(ContentHash::parse(&hash.to_string()), Some(hash));
        assert_eq!(ContentHash::parse(&SHA256_OF_ABC.to_uppercase()), Some(hash));
        for wrong in [
            "",
            "ba",
            &SHA256_OF_ABC[1..],
            &format!("{SHA256_OF_ABC}00"),
            &SHA256_OF_ABC.replace('b', "g"),
        ] {
            assert_eq!(ContentHash::parse(wrong), None, "{wrong}");
        }
    }
}
