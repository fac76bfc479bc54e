//! Damaged JPEG files against Pillow. The files come from `scripts/fixtures/damaged_pictures.py`.

use std::fmt::Write as _;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use xception_model::picture::{PictureError, Reading, TruncatedMode, decode_with_warnings};

/// What the script says it made.
#[derive(Deserialize)]
struct Manifest {
    files: Vec<Damaged>,
}

#[derive(Deserialize)]
struct Damaged {
    file: String,
    /// Pillow's pixels, if it reads the file.
    read: Option<Pixels>,
    /// The same with `LOAD_TRUNCATED_IMAGES`.
    filled: Option<Pixels>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Pixels {
    size: (u32, u32),
    sha256: String,
}

/// Width, height, the pixels' hash, and whether there were warnings.
fn read(bytes: &[u8], truncated: TruncatedMode) -> Result<(Pixels, bool), PictureError> {
    let reading = Reading {
        truncated,
        ..Reading::default()
    };
    let decoded = decode_with_warnings(bytes, reading)?;
    let hash = Sha256::digest(decoded.picture.as_raw());
    let pixels = Pixels {
        size: decoded.picture.dimensions(),
        sha256: hash.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        }),
    };
    Ok((pixels, !decoded.warnings.is_empty()))
}

/// The folder of the committed files, or another of the same make.
fn folder() -> PathBuf {
    env::var_os("XCEPTION_DAMAGED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/picture/damaged"),
        PathBuf::from,
    )
}

#[test]
fn damaged_files_are_read_as_pillow_reads_them_or_refused() {
    let folder = folder();
    let manifest = fs::read(folder.join("manifest.json")).expect("the manifest is there");
    let manifest: Manifest = serde_json::from_slice(&manifest).expect("the manifest fits");
    assert!(manifest.files.len() >= 48);
    let mut wrong = Vec::new();
    let (mut same, mut warned) = (0, 0);
    for damaged in &manifest.files {
        let bytes = fs::read(folder.join(&damaged.file)).expect("the file is there");
        let name = &damaged.file;
        match (read(&bytes, TruncatedMode::Refuse), &damaged.read) {
            (Ok((found, warns)), Some(expected)) => {
                if found == *expected {
                    same += 1;
                } else {
                    wrong.push(format!("{name}: other pixels ({found:?})"));
                }
                warned += usize::from(warns);
            }
            (Err(error), Some(_)) => wrong.push(format!("{name}: refused ({error})")),
            // The picture is whole and nothing but the end marker is missing, for which Pillow waits.
            (Ok((found, true)), None) if Some(&found) == damaged.filled.as_ref() => {}
            (Ok(_), None) => wrong.push(format!("{name}: read, and Pillow refuses it")),
            (Err(_), None) => {}
        }
        // Of a file whose last segment is cut, Pillow then makes a black picture; that is refused.
        if let Ok((found, _)) = read(&bytes, TruncatedMode::Fill)
            && Some(&found) != damaged.filled.as_ref()
        {
            wrong.push(format!("{name}: other pixels when filled"));
        }
    }
    println!(
        "{same} of {} files read to Pillow's pixels, {warned} with a warning",
        manifest.files.len()
    );
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same >= 24 && warned >= 16, "{same} {warned}");
}
