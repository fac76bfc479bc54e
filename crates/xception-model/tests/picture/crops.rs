//! The presets of torchvision's and timm's evaluation transforms, against their own code
//! (`scripts/golden/golden_crops.py`). `tests/kitchenware.rs` compares photographs.

use std::fs;
use std::path::Path;

use image::RgbImage;
use serde::Deserialize;
use xception_model::picture::{CentreCrop, CropFilter, PictureError, Preset};

use super::level;

#[derive(Deserialize)]
struct Golden {
    crops: Vec<Crop>,
}

#[derive(Deserialize)]
struct Crop {
    /// Width and height of the picture of the formula; none for a photograph.
    source: Option<(u32, u32)>,
    preset: Preset,
    height: usize,
    width: usize,
    fnv1a: String,
}

fn fnv1a(values: &[f32]) -> String {
    let hash = values.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &value| {
        assert!(value.fract().abs() < f32::EPSILON && (0.0..=255.0).contains(&value));
        (hash ^ u64::from(value as u8)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[test]
fn crops_equal_torchvision_s_and_timm_s() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/crops.json");
    let golden: Golden = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut compared = 0;
    for crop in golden.crops {
        let Some((width, height)) = crop.source else { continue };
        let pixels = crop.preset.apply(&level(width, height), crop.height, crop.width);
        let case = format!(
            "{} of {width} x {height} to {} x {}",
            crop.preset, crop.width, crop.height
        );
        let pixels = pixels.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(fnv1a(pixels.data()), crop.fnv1a, "{case}");
        compared += 1;
    }
    assert_eq!(compared, 98);
}

#[test]
fn a_crop_s_name_has_one_spelling() {
    let timm = |share| CentreCrop::timm(CropFilter::Bicubic, share).map(Preset::CentreCrop);
    let torchvision = |side| CentreCrop::torchvision(CropFilter::Bilinear, side).map(Preset::CentreCrop);
    for (name, preset) in [
        ("timm-bicubic-0.95", timm(9500)),
        ("timm-bicubic-0.8975", timm(8975)),
        ("timm-bicubic-0.0001", timm(1)),
        ("timm-bicubic-1", timm(10_000)),
        ("torchvision-bilinear-256", torchvision(256)),
        ("torchvision-bilinear-8192", torchvision(8192)),
    ] {
        let preset = preset.unwrap();
        assert_eq!(name.parse(), Ok(preset));
        assert_eq!(preset.to_string(), name);
        assert_eq!(serde_json::to_string(&preset).unwrap(), format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<Preset>(&format!("\"{name}\"")).unwrap(), preset);
        assert!(preset.cuts() && !preset.keeps_fractions());
    }
    for wrong in [
        "timm-bicubic-0",
        "timm-bicubic-1.0",
        "timm-bicubic-0.950",
        "timm-bicubic-.95",
        "timm-bicubic-0.95001",
        "timm-bicubic-1.0001",
        "timm-bicubic-7",
        "timm-bicubic-95%",
        "timm-bicubic--0.5",
        "timm-bicubic-SHARE",
        "timm-lanczos-0.95",
        "timm-bicubic-",
        "torchvision-bilinear-0",
        "torchvision-bilinear-8193",
        "torchvision-bilinear-256.0",
        "torchvision-bilinear-+256",
        "torchvision-bilinear-0256",
        "torchvision-bilinear",
        "keras-bilinear-256",
    ] {
        assert!(wrong.parse::<Preset>().is_err(), "{wrong}");
    }
    assert_eq!((timm(0), timm(10_001)), (None, None));
    assert_eq!((torchvision(0), torchvision(8193)), (None, None));
}

/// torchvision would add black borders.
#[test]
fn a_part_larger_than_the_scaled_picture_is_refused() {
    let preset: Preset = "torchvision-bilinear-256".parse().unwrap();
    for (height, width) in [(257, 224), (224, 299)] {
        let error = preset.apply(&level(40, 50), height, width).unwrap_err();
        assert!(matches!(error, PictureError::Crop { side: 256, .. }), "{error}");
        let side = height.max(width);
        assert!(
            error
                .to_string()
                .ends_with(&format!("such as torchvision-bilinear-{side}")),
            "{error}"
        );
    }
    assert!(preset.apply(&level(40, 50), 256, 256).is_ok());
    let error = preset.apply(&RgbImage::new(0, 4), 5, 6).unwrap_err();
    assert!(matches!(error, PictureError::Size { .. }), "{error}");
}

/// Before the crop the picture would have billions of pixels.
#[test]
fn a_thread_of_a_picture_is_cropped_without_its_length() {
    for name in ["torchvision-bilinear-256", "timm-bicubic-0.95"] {
        let preset: Preset = name.parse().unwrap();
        let pixels = preset.apply(&level(60_000, 1), 224, 224).unwrap();
        assert_eq!(pixels.data().len(), 224 * 224 * 3);
    }
}
