//! TIFF files of every kind against Pillow, bit for bit. The files come from `scripts/golden/golden_tiff.py`.

use std::time::{Duration, Instant};

use serde::Deserialize;
use xception_model::picture::{
    AlphaMode, DecodeLimits, OrientationMode, PictureError, PictureWarning, Reading, SixteenBitMode, TruncatedMode,
    decode, decode_with_warnings,
};

use super::{Dice, bytes_of, ppm};

#[derive(Deserialize)]
struct Manifest {
    read: Vec<String>,
    misread: Vec<String>,
    refused: Vec<String>,
    damaged: Vec<String>,
    odd: Vec<String>,
}

fn manifest() -> Manifest {
    serde_json::from_slice(&bytes_of("tiff/manifest.json")).expect("the manifest fits")
}

fn file(name: &str) -> Vec<u8> {
    bytes_of(&format!("tiff/{name}.tif"))
}

/// As Pillow's and Keras's plain conversion.
const AS_PILLOW: Reading = Reading {
    orientation: OrientationMode::Stored,
    alpha: AlphaMode::Drop,
    sixteen_bit: SixteenBitMode::Clip,
    truncated: TruncatedMode::Refuse,
};

fn warnings(name: &str) -> Vec<PictureWarning> {
    let decoded = decode_with_warnings(&file(name), AS_PILLOW);
    decoded.unwrap_or_else(|error| panic!("{name}: {error}")).warnings
}

#[test]
fn every_kind_that_pillow_reads_is_read_to_its_pixels() {
    let Manifest { read, misread, odd, .. } = manifest();
    assert!(read.len() >= 50 && odd.len() >= 7);
    let differs = |name: &&String| {
        let found = decode(&file(name), AS_PILLOW);
        found.unwrap_or_else(|error| panic!("{name}: {error}")) != ppm(&format!("tiff/{name}.ppm"))
    };
    let differences: Vec<_> = read.iter().chain(&misread).chain(&odd).filter(differs).collect();
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn doubtful_numbers_bring_a_warning() {
    for name in ["float-of-0-to-1", "float", "signed-32bit-tiles", "unsigned-32bit"] {
        let warnings = warnings(name);
        assert!(
            matches!(warnings[..], [PictureWarning::Cut { .. }]),
            "{name}: {warnings:?}"
        );
        assert!(warnings[0].to_string().contains("--sixteen-bit stretch"));
    }
    assert_eq!(warnings("grey-signed-8bit"), [PictureWarning::Signed]);
    assert_eq!(
        warnings("grey-16bit-white-is-zero"),
        [PictureWarning::Negative { bits: 16 }]
    );
    assert_eq!(warnings("float-white-is-zero"), [PictureWarning::Negative { bits: 32 }]);
    for name in manifest().misread {
        assert!(
            matches!(warnings(&name)[..], [PictureWarning::Misread { .. }]),
            "{name}"
        );
    }
    for name in [
        "rgb-predictor-tiles",
        "grey-4bit",
        "ycbcr-2x2",
        "fax-group3",
        "palette-alpha",
    ] {
        assert_eq!(warnings(name), [], "{name}");
    }
}

#[test]
fn odd_directories_bring_a_warning() {
    for name in ["fewer-strips", "samples-twice", "signed-types", "values-outside"] {
        let warnings = warnings(name);
        assert!(
            matches!(warnings[..], [PictureWarning::Damaged { format: "TIFF", .. }]),
            "{name}: {warnings:?}"
        );
    }
}

/// As with `LOAD_TRUNCATED_IMAGES`, of uncompressed files alone.
#[test]
fn missing_rows_can_be_filled() {
    let bytes = file("no-strip-lengths-or-rows");
    // The pixels begin at byte 8, and the directory after them is moved before them.
    let whole = decode(&bytes, AS_PILLOW).unwrap();
    let row = whole.width() as usize * 3;
    let (pixels, directory) = bytes[8..].split_at(whole.as_raw().len());
    let mut moved = bytes[..4].to_vec();
    moved.extend(8_u32.to_le_bytes());
    moved.extend(&directory[1..]);
    let start = moved.len();
    // The place of the pixels, the last number of the entry of tag 273.
    let entry = moved.windows(4).position(|window| window == [0x11, 1, 4, 0]).unwrap();
    moved[entry + 8..entry + 12].copy_from_slice(&(start as u32).to_le_bytes());
    let bits = moved.windows(4).position(|window| window == [2, 1, 3, 0]).unwrap();
    moved[bits + 8..bits + 12].copy_from_slice(&(start as u32 - 6).to_le_bytes());
    moved.extend(&pixels[..row * 2 + 5]);
    assert!(decode(&moved, AS_PILLOW).is_err());
    let fill = Reading {
        truncated: TruncatedMode::Fill,
        ..AS_PILLOW
    };
    let decoded = decode_with_warnings(&moved, fill).unwrap();
    assert!(matches!(decoded.warnings[..], [PictureWarning::Damaged { .. }]));
    let (there, missing) = decoded.picture.as_raw().split_at(row * 2);
    assert_eq!(there, &whole.as_raw()[..row * 2]);
    assert!(missing.iter().all(|&level| level == 0));
}

#[test]
fn numbers_without_a_range_can_be_stretched() {
    let stretch = Reading {
        sixteen_bit: SixteenBitMode::Stretch,
        ..Reading::default()
    };
    for name in ["float-of-0-to-1", "float", "signed-16bit", "unsigned-32bit"] {
        let decoded = decode_with_warnings(&file(name), stretch).unwrap();
        assert_eq!(decoded.warnings, [], "{name}");
        assert_eq!(decoded.picture.iter().max(), Some(&255), "{name}");
        assert_eq!(decoded.picture.iter().min(), Some(&0), "{name}");
    }
}

#[test]
fn kinds_that_are_not_read_name_the_way_out() {
    let refused = manifest().refused;
    assert!(refused.len() >= 8);
    for name in refused {
        let error = decode(&file(&name), DecodeLimits::default()).expect_err(&name);
        assert!(
            matches!(error, PictureError::UnsupportedKind { format: "TIFF", .. }),
            "{name}: {error}"
        );
        assert!(
            error.to_string().ends_with("; save it as an 8-bit RGB PNG or JPEG"),
            "{name}: {error}"
        );
    }
}

/// libtiff writes a note to standard error, and reads on to other pixels; Pillow makes a picture of the tags that are
/// left.
#[test]
fn broken_codes_and_cut_directories_are_refused() {
    let damaged = manifest().damaged;
    assert!(!damaged.is_empty());
    for name in damaged {
        let error = decode(&file(&name), DecodeLimits::default()).expect_err(&name);
        assert!(matches!(error, PictureError::Damaged { .. }), "{name}: {error}");
    }
}

/// The dictionary of an LZMA file is memory of the reader's own.
#[test]
fn a_large_dictionary_is_refused_before_memory_is_taken() {
    let limits = DecodeLimits {
        max_bytes: 1 << 20,
        ..DecodeLimits::default()
    };
    assert!(decode(&file("rgb-lzma"), DecodeLimits::default()).is_ok());
    let error = decode(&file("rgb-lzma"), limits).unwrap_err();
    assert!(matches!(error, PictureError::Damaged { .. }), "{error}");
}

/// The sentence for a picture on which the decoder panicked.
const PANICKED: &str = "the decoder failed on it";

#[test]
fn damaged_files_neither_panic_nor_take_long() {
    let limits = DecodeLimits {
        max_pixels: 1 << 20,
        max_bytes: 16 << 20,
        ..DecodeLimits::default()
    };
    let mut dice = Dice(0x71ff);
    for name in manifest().read {
        let bytes = file(&name);
        for round in 0..400 {
            let mut damaged = bytes.clone();
            if round < 200 {
                for _ in 0..=dice.roll(4) {
                    let place = dice.roll(damaged.len());
                    damaged[place] = dice.roll(256) as u8;
                }
            }
            damaged.truncate(damaged.len() - dice.roll(2) * dice.roll(bytes.len()));
            let start = Instant::now();
            if let Err(error) = decode(&damaged, limits) {
                assert!(!error.to_string().contains(PANICKED), "{name}: {error}");
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{name}");
        }
    }
}

#[test]
fn a_cut_file_is_an_error_or_loses_nothing() {
    for name in manifest().read {
        let bytes = file(&name);
        let whole = decode(&bytes, AS_PILLOW).unwrap();
        for length in 0..bytes.len() {
            if let Ok(picture) = decode(&bytes[..length], AS_PILLOW) {
                assert!(picture == whole, "{name} cut to {length} of {} bytes", bytes.len());
            }
        }
    }
}
