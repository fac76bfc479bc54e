//! AVIF files, also damaged ones, against Pillow, bit for bit. The files come from `scripts/golden/golden_avif.py`.

use serde::Deserialize;
use xception_model::picture::{
    AlphaMode, DecodeLimits, OrientationMode, PictureError, Reading, SixteenBitMode, TruncatedMode, decode,
    decode_with_warnings,
};

use super::{Dice, bytes_of, golden, ppm};

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
}

fn manifest() -> Manifest {
    serde_json::from_slice(&bytes_of("avif/manifest.json")).expect("the manifest fits")
}

fn file(name: &str) -> Vec<u8> {
    bytes_of(&format!("avif/{name}.avif"))
}

#[test]
fn all_kinds_are_read_to_pillow_s_pixels() {
    let names = manifest().read;
    assert!(names.len() >= 40);
    for name in names {
        let found = decode_with_warnings(&file(&name), PILLOW).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.picture == ppm(&format!("avif/{name}.stored.ppm")), "{name}");
        assert_eq!(found.warnings, [], "{name}");
    }
}

#[test]
fn pictures_are_turned_and_laid_on_white() {
    let mut turned = 0;
    for name in manifest().read {
        let upright = format!("avif/{name}.upright.ppm");
        let kind = if golden(&upright).exists() { "upright" } else { "stored" };
        turned += usize::from(kind == "upright");
        let found = decode(&file(&name), Reading::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found == ppm(&format!("avif/{name}.{kind}.ppm")), "{name}");
    }
    assert!(turned >= 18, "{turned}");
}

#[test]
fn damaged_files_are_read_to_pillow_s_pixels() {
    let names = manifest().damaged;
    assert!(names.len() >= 8);
    for name in names {
        let found = decode(&file(&name), PILLOW).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found == ppm(&format!("avif/{name}.stored.ppm")), "{name}");
    }
}

/// The message for a file of which one place is changed.
fn refusal(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = file(name);
    change(&mut bytes);
    decode(&bytes, PILLOW).expect_err("it is refused").to_string()
}

/// Where a box's content begins.
fn content(bytes: &[u8], kind: &[u8]) -> usize {
    let found = bytes.windows(kind.len()).position(|window| window == kind);
    found.expect("it is there") + kind.len()
}

#[test]
fn files_that_end_early_are_refused() {
    for name in ["rgb", "rgba", "animation", "grid"] {
        let length = file(name).len();
        for kept in (length / 2..length).chain([1, 4, 12, 40, 80, 100]) {
            // The second frame of an animation is not looked at, but has to be there.
            let sentence = refusal(name, |bytes| bytes.truncate(kept));
            let is_refused = sentence.contains("is damaged or cut short") || sentence.contains("is not a picture");
            assert!(is_refused, "{name} {kept}: {sentence}");
        }
    }
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let scaled = refusal("rgb", |bytes| {
        let place = content(bytes, b"ispe") + 4;
        bytes[place + 3] = 22;
    });
    assert!(
        scaled.contains("its stream has 21 x 13 pixels, which would have to be scaled to 22 x 13"),
        "{scaled}"
    );
    let matrix = refusal("rgb", |bytes| {
        let place = content(bytes, b"nclx") + 4;
        bytes[place + 1] = 10;
    });
    assert!(
        matrix.contains("its colours have the matrix 10, which Pillow refuses"),
        "{matrix}"
    );
    let other = refusal("rgb", |bytes| {
        let place = content(bytes, b"av1C") + 2;
        bytes[place] |= 0x10;
    });
    assert!(
        other.contains("its stream has other planes than its coding says"),
        "{other}"
    );
    let smaller = refusal("rgb", |bytes| {
        let place = content(bytes, b"ispe") + 4;
        bytes[place + 3] = 8;
    });
    assert!(
        smaller.contains("its AV1 stream is broken, or larger than announced"),
        "{smaller}"
    );
}

#[test]
fn limits_hold_before_anything_is_decoded() {
    let mut bytes = file("rgb");
    let size = content(&bytes, b"ispe") + 4;
    for place in [size, size + 4] {
        bytes[place..place + 4].copy_from_slice(&12_000_u32.to_be_bytes());
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
fn damaged_files_do_not_panic_and_are_read_twice_alike() {
    let mut dice = Dice(0xa1);
    for name in manifest().read {
        let bytes = file(&name);
        for _ in 0..60 {
            let mut damaged = bytes.clone();
            for _ in 0..=dice.roll(3) {
                let place = dice.roll(damaged.len());
                damaged[place] = dice.roll(256) as u8;
            }
            let [first, second] = [(); 2].map(|()| decode(&damaged, PILLOW).map_err(|error| error.to_string()));
            assert!(first == second, "{name}");
            if let Err(error) = first {
                assert!(!error.contains("the decoder failed on it"), "{name}: {error}");
            }
        }
    }
}
