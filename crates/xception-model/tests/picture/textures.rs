//! DDS, BLP and FTEX files against Pillow, bit for bit. The files come from `scripts/golden/golden_textures.py`.

use std::collections::BTreeMap;

use flate2::Crc;
use serde::Deserialize;
use xception_model::picture::{
    AlphaMode, DecodeLimits, OrientationMode, PictureError, PictureWarning, Reading, SixteenBitMode, SkippedFiles,
    TruncatedMode, decode, decode_with_warnings, is_named_as_picture,
};

use super::{Dice, bytes_of, ppm};

#[derive(Deserialize)]
struct Manifest {
    read: Vec<String>,
    transparent: Vec<String>,
    refused: Vec<String>,
    misread: Vec<String>,
}

fn manifest() -> Manifest {
    let manifest: Manifest = serde_json::from_slice(&bytes_of("textures/manifest.json")).expect("the manifest fits");
    assert!(manifest.read.len() >= 47 && manifest.transparent.len() >= 20);
    assert!(manifest.refused.len() >= 15 && manifest.misread.len() >= 2);
    manifest
}

fn file(name: &str) -> Vec<u8> {
    let (format, _) = name.split_once('-').expect("the name begins with the format");
    bytes_of(&format!("textures/{name}.{format}"))
}

/// As Pillow's and Keras's plain conversion.
const AS_PILLOW: Reading = Reading {
    orientation: OrientationMode::Stored,
    alpha: AlphaMode::Drop,
    sixteen_bit: SixteenBitMode::Clip,
    truncated: TruncatedMode::Refuse,
};

/// The files that bring a warning, or whose pixels differ from Pillow's, which are in the file with this ending.
fn differences(names: &[String], reading: Reading, ending: &str) -> Vec<String> {
    let differs = |name: &&String| {
        let found = decode_with_warnings(&file(name), reading).unwrap_or_else(|error| panic!("{name}: {error}"));
        found.picture != ppm(&format!("textures/{name}{ending}.ppm")) || !found.warnings.is_empty()
    };
    names.iter().filter(differs).cloned().collect()
}

#[test]
fn textures_are_read_to_pillow_s_pixels() {
    assert_eq!(differences(&manifest().read, AS_PILLOW, ""), [""; 0]);
}

#[test]
fn transparency_of_textures_is_laid_on_white() {
    let Manifest { read, transparent, .. } = manifest();
    assert_eq!(differences(&transparent, Reading::default(), "-on-white"), [""; 0]);
    let opaque: Vec<_> = read.into_iter().filter(|name| !transparent.contains(name)).collect();
    assert_eq!(differences(&opaque, Reading::default(), ""), [""; 0]);
}

#[test]
fn textures_that_pillow_refuses_are_refused() {
    for name in manifest().refused {
        let error = decode(&file(&name), AS_PILLOW).expect_err(&name);
        assert!(
            matches!(
                error,
                PictureError::Damaged { .. } | PictureError::UnsupportedKind { .. }
            ),
            "{name}: {error}"
        );
    }
}

#[test]
fn textures_that_pillow_reads_to_noise_are_right_and_warn() {
    for name in manifest().misread {
        let found = decode_with_warnings(&file(&name), AS_PILLOW).unwrap();
        assert_eq!(found.picture, ppm(&format!("textures/{name}.ppm")), "{name}");
        assert!(
            matches!(found.warnings[..], [PictureWarning::Misread { .. }]),
            "{name}: {:?}",
            found.warnings
        );
    }
}

#[test]
fn cut_textures_are_read_and_refused_as_by_pillow() {
    let cuts: BTreeMap<String, Vec<(usize, usize, u32)>> =
        serde_json::from_slice(&bytes_of("textures/cuts.json")).expect("the list fits");
    for (name, ranges) in cuts {
        let bytes = file(&name);
        for length in 1..bytes.len() {
            let expected = ranges
                .iter()
                .find(|(first, last, _)| (*first..=*last).contains(&length));
            let found = decode(&bytes[..length], AS_PILLOW).ok().map(|picture| {
                let mut crc = Crc::new();
                crc.update(picture.as_raw());
                crc.sum()
            });
            assert_eq!(
                found,
                expected.map(|&(.., checksum)| checksum),
                "{name} cut to {length} of {} bytes",
                bytes.len()
            );
        }
    }
}

/// Textures of a game are no examples of a class.
#[test]
fn textures_are_counted_and_not_searched_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut skipped = SkippedFiles::default();
    for (name, golden) in [("a.dds", "dds-rgb"), ("b.blp", "blp-1-jpeg"), ("c.ftu", "ftc-rgb")] {
        let path = folder.path().join(name);
        std::fs::write(&path, file(golden)).unwrap();
        assert!(!is_named_as_picture(&path), "{name}");
        skipped.add(&path);
    }
    assert_eq!(
        skipped.to_string(),
        "skipped 1 BLP (read only when named), 1 DDS (read only when named), 1 FTEX (read only when named)"
    );
}

#[test]
fn damaged_textures_do_not_panic() {
    let limits = DecodeLimits {
        max_pixels: 1 << 20,
        max_bytes: 16 << 20,
        ..DecodeLimits::default()
    };
    let mut dice = Dice(0xdd5);
    for name in manifest().read {
        let bytes = file(&name);
        for _ in 0..200 {
            let mut damaged = bytes.clone();
            for _ in 0..=dice.roll(4) {
                // Half of the damage is in the header.
                let end = [150, usize::MAX][dice.roll(2)];
                let place = dice.roll(damaged.len().min(end));
                damaged[place] = dice.roll(256) as u8;
            }
            if let Err(error) = decode(&damaged, limits) {
                assert!(
                    !error.to_string().contains("the decoder failed on it"),
                    "{name}: {error}"
                );
            }
        }
    }
}

/// Headers that announce the largest sizes.
#[test]
fn impossible_sizes_of_textures_are_refused_before_memory_is_reserved() {
    for (name, sides) in [
        ("dds-bc7", 12),
        ("dds-bgr", 12),
        ("blp-1-palette", 12),
        ("blp-2-dxt1", 12),
        ("ftc-rgb", 8),
    ] {
        let mut bytes = file(name);
        bytes[sides..sides + 8].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
        let error = decode(&bytes, DecodeLimits::default()).unwrap_err();
        assert!(matches!(error, PictureError::TooManyPixels { .. }), "{name}: {error}");
    }
}
