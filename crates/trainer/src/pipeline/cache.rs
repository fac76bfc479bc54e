//! Decoded pictures kept for the next epoch.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use files::{FileError, NewFile, Sha256};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::load::Loaded;
use crate::data::{ContentHash, DataError};

/// Where decoded pictures are kept. For training these are the decoded, possibly shrunk pictures, three bytes a pixel; for
/// evaluation they are at the input size. A batch is the same with and without.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Cache {
    /// Nowhere: every epoch decodes anew.
    #[default]
    None,
    /// In memory, the first that fit. None is thrown out for another: an epoch takes all in turn, so that the one thrown
    /// out would be missed just as much.
    Memory {
        /// The most bytes.
        bytes: u64,
    },
    /// In files, one a picture, which later runs find too. The folder grows without bound and may be deleted at any time.
    Disk {
        /// Where; made if need be.
        folder: PathBuf,
    },
}

/// What a cache did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Pictures taken from it.
    pub hits: u64,
    /// Pictures decoded since it did not have them.
    pub misses: u64,
    /// Of those, entries that were damaged, and are replaced.
    pub damaged: u64,
    /// Why no more pictures are kept (a full disk), if so. Training goes on without.
    pub failed: Option<String>,
}

pub(super) struct Store {
    kind: Kind,
    hits: AtomicU64,
    misses: AtomicU64,
    damaged: AtomicU64,
    failed: Mutex<Option<String>>,
}

enum Kind {
    None,
    Memory { limit: u64, shelf: Mutex<Shelf> },
    Disk { folder: PathBuf },
}

#[derive(Default)]
struct Shelf {
    used: u64,
    pictures: HashMap<usize, Arc<Loaded>>,
}

impl Store {
    pub(super) fn open(cache: &Cache) -> Result<Self, DataError> {
        let kind = match cache {
            Cache::None => Kind::None,
            Cache::Memory { bytes } => Kind::Memory {
                limit: *bytes,
                shelf: Mutex::default(),
            },
            Cache::Disk { folder } => {
                fs::create_dir_all(folder).map_err(|error| DataError::Setup {
                    what: format!("{}: making this folder for cached pictures", folder.display()),
                    problem: error.to_string(),
                })?;
                Kind::Disk { folder: folder.clone() }
            }
        };
        Ok(Self {
            kind,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            failed: Mutex::new(None),
        })
    }

    pub(super) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            damaged: self.damaged.load(Ordering::Relaxed),
            failed: self.failure().clone(),
        }
    }

    fn failure(&self) -> MutexGuard<'_, Option<String>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, index: usize, content: ContentHash, key: &str) -> Option<Arc<Loaded>> {
        let found = match &self.kind {
            Kind::None => return None,
            Kind::Memory { shelf, .. } => {
                let kept = shelf.lock().unwrap_or_else(PoisonError::into_inner);
                kept.pictures.get(&index).cloned()
            }
            Kind::Disk { folder } => match read(&entry(folder, content, key)) {
                Ok(loaded) => Some(Arc::new(loaded)),
                Err(error) => {
                    if error.kind() != io::ErrorKind::NotFound {
                        self.damaged.fetch_add(1, Ordering::Relaxed);
                    }
                    None
                }
            },
        };
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(super) fn put(&self, index: usize, content: ContentHash, key: &str, loaded: &Arc<Loaded>) {
        match &self.kind {
            Kind::None => {}
            Kind::Memory { limit, shelf } => {
                let mut kept = shelf.lock().unwrap_or_else(PoisonError::into_inner);
                let used = kept.used.saturating_add(loaded.size());
                if used <= *limit && kept.pictures.insert(index, Arc::clone(loaded)).is_none() {
                    kept.used = used;
                }
            }
            Kind::Disk { folder } => {
                if self.failure().is_some() {
                    return;
                }
                if let Err(error) = write(&entry(folder, content, key), loaded) {
                    self.failure().get_or_insert(format!("{}: {error}", folder.display()));
                }
            }
        }
    }
}

/// First bytes of an entry; another layout gets another number.
const MAGIC: [u8; 8] = *b"xcpixel1";

/// [`MAGIC`], kind, width, height and checksum.
const HEADER_LEN: usize = 8 + 1 + 4 + 4 + 4;

fn entry(folder: &Path, content: ContentHash, key: &str) -> PathBuf {
    let mut name = Sha256::new();
    name.update(content.0);
    name.update(key);
    folder.join(format!("{}.pixels", name.finish()))
}

/// To a temporary file that is renamed, so that no reader meets half an entry. It is not forced to the disk: what a
/// crash leaves fails the checksum and is made anew.
fn write(path: &Path, loaded: &Loaded) -> io::Result<()> {
    let (kind, width, height, values) = match loaded {
        Loaded::Levels(picture) => (0, picture.width(), picture.height(), picture.as_raw().clone()),
        Loaded::Fractions { height, width, values } => {
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

/// `NotFound` if there is no entry, another error if it is damaged.
fn read(path: &Path) -> io::Result<Loaded> {
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
    // Before taking memory for what a damaged header announces.
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
            .map(Loaded::Levels)
            .ok_or_else(damaged)
    } else {
        let (numbers, _) = values.as_chunks::<4>();
        Ok(Loaded::Fractions {
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

    fn entries() -> [Loaded; 2] {
        [
            Loaded::Levels(RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 9]))),
            Loaded::Fractions {
                height: 1,
                width: 2,
                values: vec![0.25, -1.5, 3.0, f32::MAX, 5.0, 6.0],
            },
        ]
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        for loaded in entries() {
            let path = folder.path().join("entry");
            write(&path, &loaded).unwrap();
            assert_eq!(read(&path).unwrap(), loaded);
        }
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("entry");
        for loaded in entries() {
            write(&path, &loaded).unwrap();
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

    #[test]
    fn memory_is_not_exceeded() {
        let store = Store::open(&Cache::Memory { bytes: 40 }).unwrap();
        let [loaded, _] = entries().map(Arc::new);
        let content = ContentHash([0; 32]);
        for index in 0..5 {
            store.put(index, content, "", &loaded);
        }
        let kept: Vec<usize> = (0..5)
            .filter(|&index| store.get(index, content, "").is_some())
            .collect();
        assert_eq!(kept, [0, 1], "18 bytes each");
        assert_eq!((store.stats().hits, store.stats().misses), (2, 3));
    }
}
