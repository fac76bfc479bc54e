//! Decoded pictures, kept for the next epoch.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use files::ContentHash;
use serde::{Deserialize, Serialize};

use super::cache_entry;
use super::prepared::Prepared;
use crate::data::DataError;

/// Where decoded pictures are kept between epochs. For training, the cache holds decoded, possibly shrunk pictures of
/// three bytes per pixel. For evaluation, it holds pictures of the network's input size. Batches are the same with and
/// without a cache.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Cache {
    /// Nowhere: every epoch decodes all pictures.
    #[default]
    None,
    /// In memory: the first pictures that fit. No picture is evicted for another, because every epoch uses all pictures
    /// and would need the evicted one too.
    Memory {
        /// The largest size in bytes.
        bytes: u64,
    },
    /// In files, one per picture. Later runs use the files too. The folder grows without limit, and may be deleted at
    /// any time.
    Disk {
        /// The folder, which is created if necessary.
        folder: PathBuf,
    },
}

/// The counts of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Pictures that were in the cache.
    pub hits: u64,
    /// Pictures that were not in the cache, and were decoded.
    pub misses: u64,
    /// Misses because of damaged entries. These entries are replaced.
    pub damaged: u64,
    /// Why the cache keeps no more pictures, such as a full disk; `None` if it keeps them. Training continues without
    /// the cache.
    pub failed: Option<String>,
}

/// The cache of a pipeline.
pub(super) struct Store {
    kind: Kind,
    hits: AtomicU64,
    misses: AtomicU64,
    damaged: AtomicU64,
    failed: Mutex<Option<String>>,
}

enum Kind {
    None,
    Memory { limit: u64, kept: Mutex<InMemory> },
    Disk { folder: PathBuf },
}

#[derive(Default)]
struct InMemory {
    used: u64,
    pictures: HashMap<usize, Arc<Prepared>>,
}

impl Store {
    pub(super) fn open(cache: &Cache) -> Result<Self, DataError> {
        let kind = match cache {
            Cache::None => Kind::None,
            Cache::Memory { bytes } => Kind::Memory {
                limit: *bytes,
                kept: Mutex::default(),
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

    pub(super) fn get(&self, index: usize, content: ContentHash, key: &str) -> Option<Arc<Prepared>> {
        let found = match &self.kind {
            Kind::None => return None,
            Kind::Memory { kept, .. } => {
                let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.pictures.get(&index).cloned()
            }
            Kind::Disk { folder } => match cache_entry::read(&cache_entry::path(folder, content, key)) {
                Ok(prepared) => Some(Arc::new(prepared)),
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

    pub(super) fn put(&self, index: usize, content: ContentHash, key: &str, prepared: &Arc<Prepared>) {
        match &self.kind {
            Kind::None => {}
            Kind::Memory { limit, kept } => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let used = kept.used.saturating_add(prepared.size());
                if used <= *limit && kept.pictures.insert(index, Arc::clone(prepared)).is_none() {
                    kept.used = used;
                }
            }
            Kind::Disk { folder } => {
                if self.failure().is_some() {
                    return;
                }
                if let Err(error) = cache_entry::write(&cache_entry::path(folder, content, key), prepared) {
                    self.failure().get_or_insert(format!("{}: {error}", folder.display()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    #[test]
    fn memory_is_not_exceeded() {
        let store = Store::open(&Cache::Memory { bytes: 40 }).unwrap();
        let picture = RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 9]));
        let prepared = Arc::new(Prepared::Levels(picture));
        let content = ContentHash([0; 32]);
        for index in 0..5 {
            store.put(index, content, "", &prepared);
        }
        let kept: Vec<usize> = (0..5)
            .filter(|&index| store.get(index, content, "").is_some())
            .collect();
        assert_eq!(kept, [0, 1], "18 bytes each");
        assert_eq!((store.stats().hits, store.stats().misses), (2, 3));
    }
}
