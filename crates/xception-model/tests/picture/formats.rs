//! BMP, GIF, PNG and WebP files of rare kinds against Pillow, bit for bit. The files come from
//! `scripts/golden/golden_formats.py`.

use serde::Deserialize;
use xception_model::picture::{
    AlphaMode, OrientationMode, PictureError, PictureWarning, Reading, SixteenBitMode, TruncatedMode, decode,
    decode_with_warnings,
};

use super::{Dice, bytes_of, ppm};

#[derive(Deserialize)]
struct Manifest {
    read: Vec<String>,
    damaged: Vec<String>,
    refused: Vec<String>,
    usual: Vec<String>,
    filled: Vec<String>,
}

fn manifest() -> Manifest {
    serde_json::from_slice(&bytes_of("formats/manifest.json")).expect("the manifest fits")
}

fn file(name: &str) -> Vec<u8> {
    let (format, _) = name.split_once('-').expect("the name begins with the format");
    bytes_of(&format!("formats/{name}.{format}"))
}

/// Name and bytes of each file that Pillow reads.
fn files() -> Vec<(String, Vec<u8>)> {
    let Manifest { read, damaged, .. } = manifest();
    assert!(read.len() >= 24 && damaged.len() >= 7);
    let names = read.into_iter().chain(damaged);
    names.map(|name| (name.clone(), file(&name))).collect()
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

/// Turned by metadata in rare places, and transparent in rare ways: as Pillow's `exif_transpose` and `alpha_composite`
/// have them.
#[test]
fn rare_metadata_count_as_in_pillow() {
    let usual = manifest().usual;
    assert!(usual.len() >= 12);
    let differs = |name: &&String| {
        let found = decode(&file(name), Reading::default());
        found.unwrap_or_else(|error| panic!("{name}: {error}")) != ppm(&format!("formats/{name}.ppm"))
    };
    let differences: Vec<_> = usual.iter().filter(differs).collect();
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn chunks_that_png_forbids_bring_a_warning() {
    let Manifest {
        read, damaged, refused, ..
    } = manifest();
    let warnings = |name: &str| decode_with_warnings(&file(name), AS_PILLOW).unwrap().warnings;
    for name in damaged {
        assert!(
            matches!(warnings(&name)[..], [PictureWarning::Damaged { format: "PNG", .. }]),
            "{name}"
        );
    }
    for name in read {
        let is_damaged = |warning: &PictureWarning| matches!(warning, PictureWarning::Damaged { .. });
        assert!(!warnings(&name).iter().any(is_damaged), "{name}");
    }
    for name in refused {
        let error = decode(&file(&name), AS_PILLOW).expect_err(&name);
        assert!(matches!(error, PictureError::Damaged { .. }), "{name}: {error}");
    }
}

/// As with Pillow's `LOAD_TRUNCATED_IMAGES`.
#[test]
fn missing_rows_are_filled_on_request() {
    let filled = manifest().filled;
    assert!(filled.len() >= 13);
    let fill = Reading {
        truncated: TruncatedMode::Fill,
        ..AS_PILLOW
    };
    for name in filled {
        let bytes = file(&name);
        let error = decode(&bytes, AS_PILLOW).expect_err(&name);
        assert!(matches!(error, PictureError::Damaged { .. }), "{name}: {error}");
        let decoded = decode_with_warnings(&bytes, fill).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(decoded.picture == ppm(&format!("formats/{name}.ppm")), "{name}");
        assert!(
            matches!(decoded.warnings[..], [PictureWarning::Damaged { .. }]),
            "{name}: {:?}",
            decoded.warnings
        );
    }
}

/// A picture without a single row is none, though Pillow makes a black one of it.
#[test]
fn a_file_without_any_row_is_refused() {
    let fill = Reading {
        truncated: TruncatedMode::Fill,
        ..AS_PILLOW
    };
    for (name, length) in [("png-cut", 60), ("bmp-cut-24bit", 60), ("gif-cut", 460)] {
        assert!(decode(&file(name)[..length], fill).is_err(), "{name}");
    }
}

/// zlib meets the impossible code before it hands out the last byte, so Pillow says "broken data stream".
#[test]
fn an_impossible_code_directly_behind_the_pixels_is_refused() {
    let pixels = b"\x78\x9c\x63\x50\x52\x11\x06\xff\x00\xc5\x00\x5a";
    let file = [
        &b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90\x77\x53\xde\0\0\0\x0cIDAT"[..],
        pixels,
        b"\xef\x5c\xe0\x0e\0\0\0\0IEND\xae\x42\x60\x82",
    ];
    let error = decode(&file.concat(), AS_PILLOW).unwrap_err();
    assert!(matches!(error, PictureError::Damaged { format: "PNG", .. }), "{error}");
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

/// Such a header made a division by zero of the count of complete rows.
#[test]
fn a_bmp_file_without_bits_for_a_pixel_is_refused() {
    const BITS: usize = 28;

    let mut bytes = file("bmp-cut-24bit");
    bytes[BITS] = 0;
    let fill = Reading {
        truncated: TruncatedMode::Fill,
        ..AS_PILLOW
    };
    for reading in [AS_PILLOW, fill] {
        let error = decode(&bytes, reading).unwrap_err();
        assert!(!error.to_string().contains("the decoder failed on it"), "{error}");
    }
}
