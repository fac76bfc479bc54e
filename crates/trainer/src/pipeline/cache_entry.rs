//! The file of a cached picture.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use files::{ContentHash, FileError, NewFile, Sha256};
use image::RgbImage;

use super::prepared::Prepared;

/// The first bytes of an entry. Each new layout gets a new number.
const MAGIC: [u8; 8] = *b"xcpixel1";

/// [`MAGIC`], kind, width, height and checksum.
const HEADER_LEN: usize = 8 + 1 + 4 + 4 + 4;

/// The file of a picture with this content, prepared as `key` says.
pub(super) fn path(folder: &Path, content: ContentHash, key: &str) -> PathBuf {
    let mut name = Sha256::new();
    name.update(content.0);
    name.update(key);
    folder.join(format!("{}.pixels", name.finish()))
}

/// Writes an entry to a temporary file and renames the file, so that no reader finds half an entry. The file is not
/// synced: an entry that a crash damages fails its checksum and is replaced.
pub(super) fn write(path: &Path, prepared: &Prepared) -> io::Result<()> {
    let (kind, width, height, values) = match prepared {
        Prepared::Levels(picture) => (0, picture.width(), picture.height(), picture.as_raw().clone()),
        Prepared::Fractions { height, width, values } => {
            let values = values.iter().flat_map(|value| value.to_le_bytes());
            (1, *width, *height, values.collect())
        }
    };
    let mut new = NewFile::create(path, true).map_err(FileError::into_io)?;
    let file = new.file();
    let mut header = Vec::with_capacity(HEADER_LEN);
    header.extend(MAGIC);
    header.push(kind);
    header.extend(width.to_le_bytes());
    header.extend(height.to_le_bytes());
    header.extend(checksum(&header, &values).to_le_bytes());
    file.write_all(&header)?;
    file.write_all(&values)?;
    new.publish_unsynced().map_err(FileError::into_io)
}

/// Reads an entry. The error is `NotFound` if there is no entry, and another if the entry is damaged.
pub(super) fn read(path: &Path) -> io::Result<Prepared> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let mut file = File::open(path)?;
    let mut header = [0; HEADER_LEN];
    file.read_exact(&mut header)?;
    let (begin, checksum_bytes) = header.split_at(HEADER_LEN - 4);
    let number = |at: usize| -> io::Result<u32> {
        let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_le_bytes).ok_or_else(damaged)
    };
    let (width, height) = (number(9)?, number(13)?);
    let sample_len = match header[8] {
        0 => 1,
        1 => size_of::<f32>() as u64,
        _ => return Err(damaged()),
    };
    let samples = u64::from(width) * u64::from(height) * 3;
    let len = samples.checked_mul(sample_len).ok_or_else(damaged)?;
    // Checked before memory is allocated for the length in a damaged header.
    if !begin.starts_with(&MAGIC) || file.metadata()?.len() != len + HEADER_LEN as u64 {
        return Err(damaged());
    }
    let mut values = Vec::with_capacity(usize::try_from(len).map_err(|_| damaged())?);
    file.take(len).read_to_end(&mut values)?;
    if values.len() as u64 != len || checksum(begin, &values).to_le_bytes() != checksum_bytes {
        return Err(damaged());
    }
    if sample_len == 1 {
        RgbImage::from_raw(width, height, values)
            .map(Prepared::Levels)
            .ok_or_else(damaged)
    } else {
        let (numbers, _) = values.as_chunks::<4>();
        Ok(Prepared::Fractions {
            height,
            width,
            values: numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        })
    }
}

fn checksum(header: &[u8], values: &[u8]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(header);
    checksum.update(values);
    checksum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn entries() -> [Prepared; 2] {
        [
            Prepared::Levels(RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 9]))),
            Prepared::Fractions {
                height: 1,
                width: 2,
                values: vec![0.25, -1.5, 3.0, f32::MAX, 5.0, 6.0],
            },
        ]
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        for prepared in entries() {
            let path = folder.path().join("entry");
            write(&path, &prepared).unwrap();
            assert_eq!(read(&path).unwrap(), prepared);
        }
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("entry");
        for prepared in entries() {
            write(&path, &prepared).unwrap();
            let whole = fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut changed = whole.clone();
                changed[at] ^= 0x41;
                fs::write(&path, changed).unwrap();
                assert!(read(&path).is_err(), "byte {at}");
                fs::write(&path, &whole[..at]).unwrap();
                assert!(read(&path).is_err(), "cut at {at}");
            }
            fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
            assert!(read(&path).is_err());
        }
    }
}
