//! A toy weight file, its card, a cache folder, and the messages of the reporter.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use xception_model::registry::{Cache, Card, FetchOptions, Kind, RegistryError, Reporter};

pub const FILE: &str = "toy_weights.h5";

pub const SIZE: usize = 300_000;

/// No test waits this long; it only keeps a broken build from hanging.
pub const FOREVER: Duration = Duration::from_mins(1);

/// Bytes without a pattern, so that a wrong offset is noticed.
pub fn content() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..SIZE)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A folder with a card, a folder for the cache, and the reporter's messages.
pub struct Desk {
    pub home: TempDir,
    pub card: Card,
    pub cache: Cache,
    pub said: Arc<Mutex<Vec<String>>>,
}

pub const NETWORK: &str = "[network]\nnum_classes = 2\n";

pub fn card_text(weights: &str) -> String {
    format!(
        "name = \"toy\"\n\
         description = \"A toy\"\n\
         licence = \"MIT\"\n\
         {NETWORK}\
         [input]\nheight = 71\nwidth = 71\npreset = \"keras-nearest\"\nscaling = \"tf\"\n\
         [labels]\nnames = [\"cat\", \"dog\"]\n\
         [[weights]]\nkind = \"full\"\nfile = \"{FILE}\"\nformat = \"keras-h5\"\nparameters = 1\n{weights}\n"
    )
}

impl Desk {
    /// A card with these URLs, the file's SHA-256, and additional lines.
    pub fn new(urls: &[String], more: &str) -> Self {
        let sha256 = hex(&Sha256::digest(content()));
        Self::with(&format!("sha256 = \"{sha256}\"\nurls = {urls:?}\n{more}"))
    }

    pub fn with(weights: &str) -> Self {
        let home = TempDir::new().unwrap();
        let folder = home.path().join("card");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("card.toml"), card_text(weights)).unwrap();
        Self {
            card: Card::load(&folder).unwrap(),
            cache: Cache::new(Some(home.path().join("cache"))).unwrap(),
            said: Arc::default(),
            home,
        }
    }

    pub fn options(&self) -> FetchOptions {
        let said = self.said.clone();
        FetchOptions::default()
            .retries(2)
            .backoff(Duration::from_millis(1))
            .reporter(Reporter::to(move |sentence| {
                said.lock().unwrap().push(sentence.to_owned());
            }))
    }

    pub fn fetch(&self) -> Result<PathBuf, RegistryError> {
        self.cache.weights(&self.card, Kind::Full, &self.options())
    }

    pub fn path(&self) -> PathBuf {
        self.cache.dir().join("toy").join(FILE)
    }

    /// Fetches and checks success: the right bytes under the right name, and no unfinished file beside them.
    pub fn fetch_well(&self) {
        let path = self.fetch().unwrap();
        assert_eq!(path, self.path());
        assert!(fs::read(&path).unwrap() == content());
        assert_eq!(
            files(&self.cache.dir().join("toy")),
            [FILE.to_owned(), format!("{FILE}.lock")]
        );
    }

    /// Fetches and checks failure: no file under the file's name. Returns the message.
    pub fn fetch_badly(&self) -> String {
        let error = self.fetch().unwrap_err();
        assert!(!self.path().exists());
        assert!(matches!(error, RegistryError::Unavailable(_)), "{error:?}");
        error.to_string()
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }
}

pub fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[track_caller]
pub fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}
