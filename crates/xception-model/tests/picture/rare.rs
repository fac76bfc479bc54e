//! The rarer formats against Pillow, bit for bit: PNM, TGA, PCX, SGI, Sun raster, PSD, ICO, CUR, ICNS, DIB, QOI, XBM,
//! XPM, FITS, FLI, DCX, IM, MSP, PCD, SPIDER, PIXAR, XV thumbnails, GIMP brushes, IM Tools and `McIDAS`.
//! `scripts/golden/golden_rare_formats.py` writes the files.

use std::collections::BTreeMap;

use flate2::Crc;
use image::RgbImage;
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
    deep: Vec<String>,
    refused: Vec<String>,
    misread: Vec<String>,
    refused_though_read: Vec<String>,
    photo_cd: [u32; 4],
}

fn manifest() -> Manifest {
    let manifest: Manifest = serde_json::from_slice(&bytes_of("rare/manifest.json")).expect("the manifest fits");
    assert!(manifest.read.len() >= 155 && manifest.refused.len() >= 29 && manifest.misread.len() >= 5);
    assert!(manifest.transparent.len() >= 34 && manifest.deep.len() >= 8);
    manifest
}

fn file(name: &str) -> Vec<u8> {
    let format = name.split('-').next().unwrap_or(name);
    bytes_of(&format!("rare/{name}.{format}"))
}

/// As Pillow's and Keras's plain conversion.
const AS_PILLOW: Reading = Reading {
    orientation: OrientationMode::Stored,
    alpha: AlphaMode::Drop,
    sixteen_bit: SixteenBitMode::Clip,
    truncated: TruncatedMode::Refuse,
};

/// The files whose pixels are not those that Pillow makes, whose names end so.
fn differences(names: &[String], reading: Reading, ending: &str) -> Vec<String> {
    let differs = |name: &&String| {
        let found = decode(&file(name), reading).unwrap_or_else(|error| panic!("{name}: {error}"));
        found != ppm(&format!("rare/{name}{ending}.ppm"))
    };
    names.iter().filter(differs).cloned().collect()
}

#[test]
fn rare_formats_are_read_to_pillow_s_pixels() {
    assert_eq!(differences(&manifest().read, AS_PILLOW, ""), [""; 0]);
}

#[test]
fn transparency_of_rare_formats_is_laid_on_white() {
    assert_eq!(
        differences(&manifest().transparent, Reading::default(), "-on-white"),
        [""; 0]
    );
}

#[test]
fn sixteen_bit_grey_of_rare_formats_keeps_its_upper_byte() {
    assert_eq!(differences(&manifest().deep, Reading::default(), "-high-byte"), [""; 0]);
}

#[test]
fn opaque_files_of_eight_bits_are_read_alike_by_default() {
    let Manifest {
        read,
        transparent,
        deep,
        ..
    } = manifest();
    let plain: Vec<_> = read
        .into_iter()
        .filter(|name| !transparent.contains(name) && !deep.contains(name))
        .collect();
    assert_eq!(differences(&plain, Reading::default(), ""), [""; 0]);
}

#[test]
fn what_pillow_refuses_is_refused() {
    for name in manifest().refused {
        let error = decode(&file(&name), AS_PILLOW).expect_err(&name);
        assert!(
            matches!(
                error,
                PictureError::Damaged { .. } | PictureError::UnsupportedKind { .. } | PictureError::OtherFormat(_)
            ),
            "{name}: {error}"
        );
    }
}

/// Tables of numbers, and levels that come out black.
#[test]
fn noise_that_pillow_reads_is_refused_with_a_way_out() {
    for name in manifest().refused_though_read {
        let error = decode(&file(&name), AS_PILLOW).expect_err(&name).to_string();
        assert!(
            error.contains("astropy") || error.contains("so that Pillow reads it black"),
            "{error}"
        );
    }
}

/// The bytes of `pcd` in the script.
#[test]
fn photo_cds_are_read_and_turned_as_by_pillow() {
    let byte = |at: u32| ((at.wrapping_mul(at).wrapping_mul(7) >> 9).wrapping_add(at >> 4)) as u8;
    let mut bytes: Vec<u8> = (0..96 * 2048 + 768 * 512 * 3 / 2).map(byte).collect();
    bytes[..2048].fill(0xff);
    bytes[2048..2052].copy_from_slice(b"PCD_");
    for (orientation, expected) in manifest().photo_cd.into_iter().enumerate() {
        bytes[2048 + 1538] = orientation as u8;
        let found = decode(&bytes, AS_PILLOW).unwrap();
        let is_upright = orientation % 2 == 0;
        assert_eq!(found.dimensions(), if is_upright { (768, 512) } else { (512, 768) });
        assert_eq!(checksum(&found), expected, "orientation {orientation}");
    }
    assert!(decode(&bytes[..bytes.len() - 1], AS_PILLOW).is_err());
}

/// Numbers below 0 as well, which have no upper byte.
#[test]
fn negative_fits_numbers_of_16_bits_are_stretched_when_asked() {
    let stretch = Reading {
        sixteen_bit: SixteenBitMode::Stretch,
        ..AS_PILLOW
    };
    let found = decode_with_warnings(&file("fits-16-bits-negative"), stretch).unwrap();
    assert!(matches!(found.warnings[..], [PictureWarning::Misread { .. }]));
    let cut = decode(&file("fits-16-bits-negative"), AS_PILLOW).unwrap();
    let (found, cut) = (found.picture.into_raw(), cut.into_raw());
    assert!(found.iter().zip(&cut).any(|(&found, &cut)| found > 0 && cut == 0));
}

#[test]
fn doubtful_files_bring_a_warning() {
    let warnings = |name: &str| decode_with_warnings(&file(name), Reading::default()).unwrap().warnings;
    for name in manifest().read {
        let warnings = warnings(&name);
        let fits = match &name[..] {
            "psd-bits" | "xbm-plain" | "xbm-hotspot" => {
                matches!(warnings[..], [PictureWarning::Negative { bits: 1 }])
            }
            "pnm-float"
            | "pnm-float-big-endian"
            | "fits-32-bits"
            | "fits-float"
            | "fits-double"
            | "im-number-8-signed"
            | "im-number-32"
            | "im-float"
            | "mcidas-32-bits"
            | "spider-big-endian"
            | "spider-stack" => matches!(warnings[..], [PictureWarning::Cut { .. }]),
            "pnm-colour-dark" => matches!(warnings[..], [PictureWarning::Dark { bits: 12 | 13, .. }]),
            _ => warnings.is_empty(),
        };
        assert!(fits, "{name}: {warnings:?}");
    }
}

#[test]
fn what_pillow_reads_to_noise_is_right_and_warns() {
    for name in manifest().misread {
        let found = decode_with_warnings(&file(&name), AS_PILLOW).unwrap();
        assert_eq!(found.picture, ppm(&format!("rare/{name}.ppm")), "{name}");
        assert!(
            matches!(found.warnings[..], [PictureWarning::Misread { .. }]),
            "{name}: {:?}",
            found.warnings
        );
    }
}

/// 16-bit colours and floating-point numbers from the darkest to the lightest.
#[test]
fn deep_colours_and_numbers_are_stretched_when_asked() {
    let stretch = Reading {
        sixteen_bit: SixteenBitMode::Stretch,
        ..AS_PILLOW
    };
    for name in [
        "pnm-colour-16-bits",
        "pnm-colour-dark",
        "pnm-grey-16-bits",
        "pnm-float",
        "fits-float",
        "fits-16-bits",
        "spider-stack",
        "mcidas-32-bits",
    ] {
        let found = decode_with_warnings(&file(name), stretch).unwrap();
        let levels = found.picture.as_raw();
        assert_eq!(
            (levels.iter().min(), levels.iter().max()),
            (Some(&0), Some(&255)),
            "{name}"
        );
        assert_eq!(found.warnings, [], "{name}");
    }
}

/// In a folder, that is.
#[test]
fn icons_and_photoshop_files_are_counted_and_not_searched_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut skipped = SkippedFiles::default();
    for (name, golden) in [
        ("a.psd", "psd-grey"),
        ("b.psd", "psd-map"),
        ("c.ico", "ico-png"),
        ("d", "tga-grey"),
        ("e.flc", "fli-runs"),
        ("f", "fits-grey"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, file(golden)).unwrap();
        assert!(!is_named_as_picture(&path), "{name}");
        skipped.add(&path);
    }
    assert_eq!(
        skipped.to_string(),
        "skipped 1 FITS without a usual ending, 1 TGA without a usual ending, 1 FLI (read only when named), 1 ICO \
         (read only when named), 2 PSD (read only when named)"
    );
    for name in [
        "a.ppm", "a.PGM", "a.pbm", "a.pnm", "a.tga", "a.qoi", "a.pcx", "a.fits", "a.FIT",
    ] {
        assert!(is_named_as_picture(name.as_ref()), "{name}");
    }
}

fn checksum(picture: &RgbImage) -> u32 {
    let mut crc = Crc::new();
    crc.update(picture.as_raw());
    crc.sum()
}

#[test]
fn cut_files_are_read_and_refused_as_by_pillow() {
    let cuts: BTreeMap<String, Vec<(usize, usize, u32)>> =
        serde_json::from_slice(&bytes_of("rare/cuts.json")).expect("the list fits");
    for (name, ranges) in cuts {
        let bytes = file(&name);
        for length in 1..bytes.len() {
            let expected = ranges
                .iter()
                .find(|(first, last, _)| (*first..=*last).contains(&length));
            let found = decode(&bytes[..length], AS_PILLOW).ok();
            assert_eq!(
                found.as_ref().map(checksum),
                expected.map(|&(.., checksum)| checksum),
                "{name} cut to {length} of {} bytes",
                bytes.len()
            );
        }
    }
}

#[test]
fn damaged_rare_files_do_not_panic() {
    let limits = DecodeLimits {
        max_pixels: 1 << 20,
        max_bytes: 16 << 20,
        ..DecodeLimits::default()
    };
    let mut dice = Dice(0x7a6a);
    for name in manifest().read {
        let bytes = file(&name);
        for _ in 0..200 {
            let mut damaged = bytes.clone();
            for _ in 0..=dice.roll(4) {
                // Half of the damage is in the header.
                let end = [64, usize::MAX][dice.roll(2)];
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

/// Headers of a few bytes that announce the largest sizes.
#[test]
fn impossible_sizes_are_refused_before_memory_is_reserved() {
    let line = |name: &str, value: &str| format!("{name:<8}= {value:>20}{:50}", "");
    let lines = [
        ("SIMPLE", "T"),
        ("BITPIX", "-64"),
        ("NAXIS", "2"),
        ("NAXIS1", "99999"),
        ("NAXIS2", "99999"),
    ];
    let fits = lines.map(|(name, value)| line(name, value)).concat() + &format!("{:3040}", "END");
    let files: [&[u8]; 14] = [
        fits.as_bytes(),
        b"Image type: RGB image\nImage size (x*y): 99999*99999\n\0\x1a",
        b"P7 332\n99999 99999\n",
        b"width 99999\nheight 99999\npixel n8\n\x0c",
        b"\0\0\0\x14\0\0\0\x01\0\x0f\xff\xff\0\x0f\xff\xff\0\0\0\x04",
        b"\xb1\x68\xde\x3a\xff\xff\xff\xff\0\0\0\0",
        b"P5 2000000000 2000000000 255\n",
        b"P2 60000 60000 255\n1",
        b"Pf 60000 60000 1\n",
        b"qoif\xff\xff\xff\xff\xff\xff\xff\xff\x03\0\xfd\xfd",
        b"\0\0\x02\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\x20\0",
        b"8BPS\0\x01\0\0\0\0\0\0\0\x03\x7f\xff\xff\xff\x7f\xff\xff\xff\0\x08\0\x03",
        b"\x59\xa6\x6a\x95\x7f\xff\xff\xff\x7f\xff\xff\xff\0\0\0\x08\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0",
        b"/* XPM */\n\"99999999 99999999 9 1\",\n",
    ];
    for file in files {
        let error = decode(file, DecodeLimits::default()).unwrap_err();
        assert!(
            matches!(error, PictureError::TooManyPixels { .. } | PictureError::Damaged { .. }),
            "{error}"
        );
    }
}
