//! Arithmetic-coded JPEG files, also damaged ones, against Pillow, bit for bit. The files come from
//! `scripts/golden/golden_arithmetic.py`.

use serde::Deserialize;
use xception_model::picture::{PictureError, Reading, TruncatedMode, decode};

use super::{Dice, bytes_of, ppm};

#[derive(Deserialize)]
struct Manifest {
    read: Vec<String>,
    damaged: Vec<String>,
}

fn manifest() -> Manifest {
    serde_json::from_slice(&bytes_of("arithmetic/manifest.json")).expect("the manifest fits")
}

fn file(name: &str) -> Vec<u8> {
    bytes_of(&format!("arithmetic/{name}.jpg"))
}

#[test]
fn arithmetic_codes_are_read_to_pillow_s_pixels() {
    let Manifest { read, damaged } = manifest();
    assert!(read.len() >= 13 && damaged.len() >= 13);
    let differs = |name: &&String| {
        let found = decode(&file(name), Reading::default());
        found.unwrap_or_else(|error| panic!("{name}: {error}")) != ppm(&format!("arithmetic/{name}.ppm"))
    };
    let differences: Vec<_> = read.iter().chain(&damaged).filter(differs).collect();
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn impossible_conditions_of_arithmetic_codes_are_refused() {
    for content in [&[0, 0x01][..], &[32, 0], &[0]] {
        let mut bytes = file("420");
        let mut segment = vec![0xff, 0xcc, 0, 2 + content.len() as u8];
        segment.extend(content);
        bytes.splice(2..2, segment);
        let error = decode(&bytes, Reading::default()).unwrap_err();
        assert!(matches!(error, PictureError::Damaged { .. }), "{error}");
    }
}

#[test]
fn damaged_and_cut_files_do_not_panic() {
    let mut dice = Dice(0xa117);
    for name in manifest().read {
        let bytes = file(&name);
        for round in 0..200 {
            let mut damaged = bytes.clone();
            for _ in 0..=dice.roll(4) {
                let place = dice.roll(damaged.len());
                damaged[place] = dice.roll(256) as u8;
            }
            if round % 4 == 0 {
                damaged.truncate(dice.roll(bytes.len()));
            }
            if let Err(error) = decode(&damaged, Reading::default()) {
                assert!(
                    !error.to_string().contains("the decoder failed on it"),
                    "{name}: {error}"
                );
            }
        }
        let cut = &bytes[..bytes.len() / 2];
        for truncated in [TruncatedMode::Refuse, TruncatedMode::Fill] {
            let reading = Reading {
                truncated,
                ..Reading::default()
            };
            assert!(decode(cut, reading).is_err(), "{name}");
        }
    }
}
