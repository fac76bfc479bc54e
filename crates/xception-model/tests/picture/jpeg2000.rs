//! JPEG 2000 files, also damaged ones, against Pillow, bit for bit. The files come from
//! `scripts/golden/golden_jpeg2000.py`.

use serde::Deserialize;
use xception_model::picture::{
    AlphaMode, DecodeLimits, OrientationMode, PictureError, PictureWarning, Reading, SixteenBitMode, TruncatedMode,
    decode, decode_with_warnings,
};

use super::{Dice, bytes_of, ppm};

/// As `convert("RGB")` reads.
const PILLOW: Reading = Reading {
    orientation: OrientationMode::Stored,
    alpha: AlphaMode::Drop,
    sixteen_bit: SixteenBitMode::Clip,
    truncated: TruncatedMode::Refuse,
};

#[derive(Deserialize)]
struct Manifest {
    read: Vec<String>,
    damaged: Vec<String>,
    misread: Vec<String>,
}

fn manifest() -> Manifest {
    serde_json::from_slice(&bytes_of("jpeg2000/manifest.json")).expect("the manifest fits")
}

fn file(name: &str) -> Vec<u8> {
    bytes_of(&format!("jpeg2000/{name}.jp2"))
}

#[test]
fn all_kinds_are_read_to_pillow_s_pixels() {
    let names = manifest().read;
    assert!(names.len() >= 27);
    for name in names {
        let found = decode_with_warnings(&file(&name), PILLOW).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.picture == ppm(&format!("jpeg2000/{name}.ppm")), "{name}");
        assert_eq!(found.warnings, [], "{name}");
    }
}

#[test]
fn damaged_files_are_read_to_pillow_s_pixels_or_refused() {
    let names = manifest().damaged;
    let mut read = 0;
    for name in &names {
        if let Ok(found) = decode(&file(name), PILLOW) {
            assert!(found == ppm(&format!("jpeg2000/{name}.ppm")), "{name}");
            read += 1;
        }
    }
    assert!(read >= 7, "{read} of {names:?}");
}

#[test]
fn files_that_pillow_misreads_are_read_right_with_a_warning() {
    let names = manifest().misread;
    assert_eq!(names.len(), 2);
    for name in names {
        let found = decode_with_warnings(&file(&name), PILLOW).expect("it is read");
        assert!(found.picture == ppm(&format!("jpeg2000/{name}.ppm")), "{name}");
        assert!(matches!(found.warnings[..], [PictureWarning::Misread { .. }]), "{name}");
    }
}

/// The message for a file of which one place is changed.
fn refusal(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = file(name);
    change(&mut bytes);
    decode(&bytes, PILLOW).expect_err("it is refused").to_string()
}

/// Where a marker stands, or other bytes.
fn place(bytes: &[u8], marker: &[u8]) -> usize {
    let found = bytes.windows(marker.len()).position(|window| window == marker);
    found.expect("they are there")
}

#[test]
fn files_that_end_early_are_refused() {
    for name in ["rgb", "rgb-lossy", "rgb-codestream"] {
        let length = file(name).len();
        for kept in (length / 2..length).chain([1, 4, 12, 40, 80, 100]) {
            let sentence = refusal(name, |bytes| bytes.truncate(kept));
            let is_refused = sentence.contains("is damaged or cut short") || sentence.contains("is not a picture");
            assert!(is_refused, "{name} {kept}: {sentence}");
        }
    }
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let coding = |bytes: &[u8]| place(bytes, b"\xff\x52") + 4;
    let layers = refusal("rgb-lossy", |bytes| {
        let place = coding(bytes);
        bytes[place + 3] = 33;
    });
    assert!(layers.contains("it has 33 layers, more than 32"), "{layers}");
    let blocks = refusal("rgb-lossy", |bytes| {
        let place = coding(bytes);
        bytes[place + 8] = 0x40;
    });
    assert!(blocks.contains("its blocks are coded as in HTJ2K"), "{blocks}");
    let deep = refusal("grey", |bytes| {
        let place = place(bytes, b"\xff\x51");
        bytes[place + 40] = 30;
    });
    assert!(deep.contains("its samples have 31 bits, more than 16"), "{deep}");
    let colours = refusal("rgb", |bytes| {
        let place = place(bytes, b"colr");
        bytes[place + 10] = 14;
    });
    assert!(colours.contains("its colours are CIE L*a*b*"), "{colours}");
}

#[test]
fn coefficients_with_more_bits_than_the_file_has_are_refused() {
    // Three bits fewer in every band.
    let sentence = refusal("rgb-lossy", |bytes| {
        let start = place(bytes, b"\xff\x5c");
        let end = start + 2 + usize::from(bytes[start + 3]);
        for step in bytes[start + 5..end].chunks_exact_mut(2) {
            step[0] -= 0x18;
        }
    });
    assert!(sentence.contains("is damaged or cut short"), "{sentence}");
}

#[test]
fn limits_hold_before_anything_is_decoded() {
    let mut bytes = file("rgb-lossy");
    let header = place(&bytes, b"ihdr") + 4;
    let size = place(&bytes, b"\xff\x51") + 6;
    for (place, side) in [
        (header, 12_000_u32),
        (header + 4, 12_000),
        (size, 12_000),
        (size + 4, 12_000),
        (size + 16, 12_000),
        (size + 20, 12_000),
    ] {
        bytes[place..place + 4].copy_from_slice(&side.to_be_bytes());
    }
    let error = decode(&bytes, PILLOW).unwrap_err();
    assert!(matches!(error, PictureError::TooMuchMemory { .. }), "{error}");
    let few = DecodeLimits {
        max_pixels: 1 << 20,
        ..DecodeLimits::default()
    };
    let error = decode(&bytes, few).unwrap_err();
    assert!(matches!(error, PictureError::TooManyPixels { .. }), "{error}");
}

#[test]
fn damaged_files_do_not_panic() {
    let mut dice = Dice(0x2000);
    for name in manifest().read {
        let bytes = file(&name);
        for _ in 0..100 {
            let mut damaged = bytes.clone();
            for _ in 0..=dice.roll(3) {
                let place = dice.roll(damaged.len());
                damaged[place] = dice.roll(256) as u8;
            }
            if let Err(error) = decode(&damaged, PILLOW) {
                assert!(
                    !error.to_string().contains("the decoder failed on it"),
                    "{name}: {error}"
                );
            }
        }
    }
}
