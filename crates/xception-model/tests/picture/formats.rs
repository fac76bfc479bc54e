//! BMP, GIF, PNG and WebP files of rare kinds against Pillow, bit for bit. The files come from
//! `scripts/golden/golden_formats.py`.

use serde::Deserialize;
use xception_model::picture::{AlphaMode, OrientationMode, Reading, SixteenBitMode, TruncatedMode, decode};

use super::{Dice, bytes_of, ppm};

#[derive(Deserialize)]
struct Manifest {
    read: Vec<String>,
}

/// Each file's name and bytes.
fn files() -> Vec<(String, Vec<u8>)> {
    let Manifest { read } = serde_json::from_slice(&bytes_of("formats/manifest.json")).expect("the manifest fits");
    assert!(read.len() >= 24);
    let file = |name: String| {
        let (format, _) = name.split_once('-').expect("the name begins with the format");
        let bytes = bytes_of(&format!("formats/{name}.{format}"));
        (name, bytes)
    };
    read.into_iter().map(file).collect()
}

/// As Pillow's and Keras's plain conversion.
const AS_PILLOW: Reading = Reading {
    orientation: OrientationMode::Stored,
    alpha: AlphaMode::Drop,
    sixteen_bit: SixteenBitMode::Clip,
    truncated: TruncatedMode::Refuse,
};

#[test]
fn rare_kinds_are_read_to_pillow_s_pixels() {
    let differs = |(name, bytes): &(String, Vec<u8>)| {
        let found = decode(bytes, AS_PILLOW).unwrap_or_else(|error| panic!("{name}: {error}"));
        (found != ppm(&format!("formats/{name}.ppm"))).then(|| name.clone())
    };
    let differences: Vec<_> = files().iter().filter_map(differs).collect();
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn damaged_and_cut_files_do_not_panic() {
    let mut dice = Dice(0xb3b);
    for (name, bytes) in files() {
        let whole = decode(&bytes, AS_PILLOW).unwrap();
        for length in 0..bytes.len() {
            // What follows the pixels may be missing.
            if let Ok(picture) = decode(&bytes[..length], AS_PILLOW) {
                assert!(picture == whole, "{name} cut to {length} of {} bytes", bytes.len());
            }
        }
        for _ in 0..200 {
            let mut damaged = bytes.clone();
            for _ in 0..=dice.roll(4) {
                let place = dice.roll(damaged.len());
                damaged[place] = dice.roll(256) as u8;
            }
            if let Err(error) = decode(&damaged, AS_PILLOW) {
                assert!(
                    !error.to_string().contains("the decoder failed on it"),
                    "{name}: {error}"
                );
            }
        }
    }
}
