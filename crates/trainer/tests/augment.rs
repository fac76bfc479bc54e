//! Augmentation: Pillow's levels, the file, and what follows from a seed.

use image::{Rgb, RgbImage};
use serde::Deserialize;
use trainer::{
    augment::{
        AugmentError, Augmentation, AugmentationLevel, ColorJitter, Draw, Operation, RandAugment, RandomErasing,
        affine::{Affine, FILL},
        enhance, hue, levels,
    },
    data::ContentHash,
};
use xception_model::picture::Preset;

/// One line of `golden/augment.json`, made by `golden/augment.py`.
#[derive(Deserialize)]
struct Golden {
    operation: String,
    value: f64,
    picture: String,
    /// Twelve levels in the middle of the first two rows.
    first: Vec<u8>,
    sha256: String,
}

/// The pictures of `golden/augment.py`.
fn source(name: &str) -> RgbImage {
    RgbImage::from_fn(32, 20, |x, y| {
        Rgb([0, 1, 2].map(|channel| {
            let level = (x * 37 + y * 91 + channel * 53 + x * y * 7) % 256;
            match name {
                "dull" => (level / 4 + 60 + 10 * channel) as u8,
                _ => level as u8,
            }
        }))
    })
}

#[test]
fn operations_give_pillows_levels() {
    let goldens: Vec<Golden> = serde_json::from_str(include_str!("golden/augment.json")).unwrap();
    assert_eq!(goldens.len(), 76);
    for golden in goldens {
        let mut picture = source(&golden.picture);
        let value = golden.value;
        match golden.operation.as_str() {
            "brightness" => enhance::brightness(&mut picture, value as f32),
            "contrast" => enhance::contrast(&mut picture, value as f32),
            "color" => enhance::color(&mut picture, value as f32),
            "sharpness" => enhance::sharpness(&mut picture, value as f32),
            "posterize" => levels::posterize(&mut picture, value as u32),
            "solarize" => levels::solarize(&mut picture, value),
            "autocontrast" => levels::autocontrast(&mut picture),
            "equalize" => levels::equalize(&mut picture),
            "hue" => hue(&mut picture, value),
            "rotation" => picture = Affine::rotation(&picture, value).apply(&picture),
            "shear_x" => picture = Affine::shear_x(value).apply(&picture),
            "shear_y" => picture = Affine::shear_y(value).apply(&picture),
            "translation" => picture = Affine::translation(value, -value).apply(&picture),
            other => panic!("no operation {other}"),
        }
        let place = format!("{} {value} of the {} picture", golden.operation, golden.picture);
        assert_eq!(picture.as_raw()[99..111], golden.first, "{place}");
        assert_eq!(ContentHash::of(picture.as_raw()).to_string(), golden.sha256, "{place}");
    }
}

#[test]
fn every_operation_of_the_list_does_something_and_more_at_more_strength() {
    let changed = |operation: Operation, strength: f64| {
        let mut picture = source("dull");
        operation.apply(&mut picture, strength);
        let pairs = picture.iter().zip(source("dull").into_raw());
        pairs.map(|(&new, old)| u64::from(new.abs_diff(old))).sum::<u64>()
    };
    for operation in Operation::ALL {
        let (none, some, most) = (
            changed(operation, 0.0),
            changed(operation, 0.3),
            changed(operation, 1.0),
        );
        match operation {
            Operation::Identity => assert_eq!((none, some, most), (0, 0, 0)),
            Operation::AutoContrast | Operation::Equalize => assert!(none > 0 && none == some && some == most),
            // Of a noisy picture a small move changes as much as a large one.
            Operation::ShearX
            | Operation::ShearY
            | Operation::TranslateX
            | Operation::TranslateY
            | Operation::Rotate => assert!(
                none == 0 && some > 0 && most > 0,
                "{operation:?}: {none}, {some}, {most}"
            ),
            _ => assert!(
                none == 0 && most > 0 && most >= some,
                "{operation:?}: {none}, {some}, {most}"
            ),
        }
    }
}

#[test]
fn what_is_moved_in_from_outside_is_grey() {
    let picture = source("bright");
    let moved = Affine::translation(-5.0, 0.0).apply(&picture);
    assert!((0..5).all(|x| moved.get_pixel(x, 7).0 == FILL));
    assert_eq!(moved.get_pixel(5, 7), picture.get_pixel(0, 7));
}

#[test]
fn operations_take_pictures_of_any_size() {
    for (width, height) in [(0, 0), (1, 1), (2, 5), (5, 2), (3, 3)] {
        for operation in Operation::ALL {
            for strength in [-1.0, 0.5, 1.0] {
                let mut picture = RgbImage::from_pixel(width, height, Rgb([10, 200, 30]));
                operation.apply(&mut picture, strength);
                assert_eq!(picture.dimensions(), (width, height));
            }
        }
        hue(&mut RgbImage::new(width, height), 0.2);
    }
}

#[test]
fn a_file_keeps_every_level() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("augmentation.toml");
    for level in AugmentationLevel::ALL {
        let augmentation = Augmentation::named(level, 150, Preset::KerasNearest);
        std::fs::write(&path, augmentation.to_toml()).unwrap();
        assert_eq!(Augmentation::load(&path).unwrap(), augmentation, "{level}");
        assert_eq!(level.name().parse(), Ok(level));
    }
    let error = "lots".parse::<AugmentationLevel>().unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no augmentation \"lots\"; there are none, light, medium, strong"
    );
}

#[test]
fn a_file_may_leave_out_what_should_not_happen() {
    let text =
        "[train]\nsize = 96\n[train.rand_augment]\nmagnitude = 5\n[eval]\nsize = 128\npreset = \"timm-bicubic\"\n";
    let augmentation = Augmentation::from_toml(text).unwrap();
    assert_eq!((augmentation.train.size, augmentation.eval.size), (96, 128));
    assert_eq!(augmentation.train_preset(), Preset::PilBilinear, "timm-bicubic cuts");
    let operations = RandAugment {
        magnitude: 5.0,
        ..RandAugment::default()
    };
    assert_eq!(augmentation.train.rand_augment, Some(operations));
    assert_eq!(augmentation.train.color_jitter, None);
}

#[test]
fn mistakes_in_a_file_are_named() {
    let whole = Augmentation::named(AugmentationLevel::Strong, 150, Preset::PilBilinear).to_toml();
    let sentence = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from} in\n{whole}");
        Augmentation::from_toml(&whole.replacen(from, to, 1))
            .unwrap_err()
            .to_string()
    };
    for (from, to, expected) in [
        (
            "size = 150",
            "size = 0",
            "train.size is 0, and should be between 1 and 2048",
        ),
        (
            "horizontal_flip = 0.5",
            "horizontal_flip = 1.5",
            "horizontal_flip is 1.5, and should be between 0 and 1",
        ),
        (
            "horizontal_flip = 0.5",
            "horizontal_flop = 0.5",
            "unknown field `horizontal_flop`",
        ),
        (
            "scale = [0.08, 1.0]",
            "scale = [0.0, 1.0]",
            "random_resized_crop.scale is 0, and should be between 0.0001 and 1",
        ),
        (
            "scale = [0.08, 1.0]",
            "scale = [1.0, 0.5]",
            "random_resized_crop.scale goes from 1 to 0.5; the smaller number comes first",
        ),
        (
            "magnitude = 9.0",
            "magnitude = nan",
            "rand_augment.magnitude is NaN, and should be between 0 and 30",
        ),
        (
            "alpha = 0.2",
            "alpha = -1.0",
            "mixup.alpha is -1, and should be between 0 and 100",
        ),
        (
            "preset = \"pil-bilinear\"",
            "preset = \"pil\"",
            "there is no preset \"pil\"",
        ),
        (
            "horizontal_flip = 0.5",
            "resize = \"timm-bicubic\"",
            "train.resize cannot be timm-bicubic, which cuts the border off",
        ),
        (
            "preset = \"pil-bilinear\"",
            "preset = \"torchvision-bilinear-60\"",
            "eval.size: a part of 150 x 150 pixels (width x height) cannot be cut out",
        ),
    ] {
        let sentence = sentence(from, to);
        assert!(sentence.contains(expected), "{sentence}");
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
    }
    let error = Augmentation::load("/nowhere/augmentation.toml").unwrap_err();
    assert!(matches!(error, AugmentError::File { .. }));
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/augmentation.toml: cannot be read: ")
    );
}

#[test]
fn the_same_draw_gives_the_same_numbers_and_another_gives_others() {
    let picture = source("bright");
    let draw = Draw {
        seed: 1,
        epoch: 2,
        position: 3,
    };
    let others = [
        Draw { seed: 4, ..draw },
        Draw { epoch: 4, ..draw },
        Draw { position: 4, ..draw },
    ];
    for level in [
        AugmentationLevel::Light,
        AugmentationLevel::Medium,
        AugmentationLevel::Strong,
    ] {
        let augmentation = Augmentation::named(level, 30, Preset::PilBilinear);
        let planes = augmentation.augment(&picture, draw).unwrap();
        assert_eq!(planes.len(), 3 * 30 * 30);
        assert!(planes.iter().all(|value| (-1.0..=1.0).contains(value)));
        assert_eq!(augmentation.augment(&picture, draw).unwrap(), planes);
        for other in others {
            assert_ne!(
                augmentation.augment(&picture, other).unwrap(),
                planes,
                "{level}, {other:?}"
            );
        }
    }
}

/// One change alone, with probability one, differs from the unchanged picture.
#[test]
fn each_change_can_be_had_alone() {
    let picture = source("bright");
    let draw = Draw {
        seed: 1,
        epoch: 0,
        position: 0,
    };
    let plain = Augmentation::named(AugmentationLevel::None, 20, Preset::PilBilinear);
    let planes = plain.augment(&picture, draw).unwrap();
    let at = |planes: &[f32], x: usize, y: usize| [0, 1, 2].map(|channel| planes[channel * 400 + y * 20 + x].to_bits());

    let mut flipped = plain.clone();
    flipped.train.horizontal_flip = 1.0;
    let mirrored = flipped.augment(&picture, draw).unwrap();
    flipped.train.horizontal_flip = 0.0;
    flipped.train.vertical_flip = 1.0;
    let upside_down = flipped.augment(&picture, draw).unwrap();
    for (x, y) in (0..20).flat_map(|x| (0..20).map(move |y| (x, y))) {
        assert_eq!(at(&mirrored, 19 - x, y), at(&planes, x, y));
        assert_eq!(at(&upside_down, x, 19 - y), at(&planes, x, y));
    }

    let mut erased = plain.clone();
    erased.train.random_erasing = Some(RandomErasing {
        probability: 1.0,
        ..RandomErasing::default()
    });
    let erased = erased.augment(&picture, draw).unwrap();
    let blank = erased
        .iter()
        .zip(&planes)
        .filter(|(new, old)| new.to_bits() != old.to_bits())
        .map(|(&new, _)| new);
    assert!(blank.clone().count() > 0 && blank.clone().all(|value| value == 0.0));

    for jitter in [
        ColorJitter {
            brightness: 0.5,
            ..ColorJitter::default()
        },
        ColorJitter {
            contrast: 0.5,
            ..ColorJitter::default()
        },
        ColorJitter {
            saturation: 0.5,
            ..ColorJitter::default()
        },
        ColorJitter {
            hue: 0.3,
            ..ColorJitter::default()
        },
    ] {
        let mut changed = plain.clone();
        changed.train.color_jitter = Some(jitter);
        assert_ne!(changed.augment(&picture, draw).unwrap(), planes, "{jitter:?}");
    }
    let mut still = plain.clone();
    still.train.color_jitter = Some(ColorJitter::default());
    assert_eq!(still.augment(&picture, draw).unwrap(), planes);
}
