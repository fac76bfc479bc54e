//! Batches: the same however they are prepared, and stopped when they are dropped.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use image::{ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;
use trainer::{
    augment::{Augmentation, AugmentationLevel},
    data::{DataError, DataOptions, Dataset, Split},
    pipeline::{Batch, Cache, Pipeline, PipelineOptions},
    preview::{PreviewError, contact_sheet},
};
use xception_model::Scaling;
use xception_model::picture::{DecodeLimits, Preset};

const SIZE: usize = 24;

/// Pictures of two classes, JPEG and PNG, some several times as large as the input.
fn folder(classes: &[(&str, u32)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (kind, &(class, count)) in classes.iter().enumerate() {
        fs::create_dir(root.path().join(class)).unwrap();
        for index in 0..count {
            let side = 40 + index * 37 % 300;
            // A few waves across, so that they survive at the input's size.
            let turns = |place: u32, count: u32| {
                ((place as f32 / side as f32 * count as f32 + index as f32).sin() * 100.0 + 128.0) as u8
            };
            let picture = RgbImage::from_fn(side + 11, side, |x, y| {
                Rgb([turns(x, 5 + index % 7), turns(y, 9), turns(x + y, 3 + kind as u32 * 9)])
            });
            let (format, ending) = match index % 3 {
                0 => (ImageFormat::Png, "png"),
                _ => (ImageFormat::Jpeg, "jpg"),
            };
            let path = root.path().join(class).join(format!("{index:02}.{ending}"));
            picture.save_with_format(path, format).unwrap();
        }
    }
    root
}

fn open(root: &Path) -> Arc<Dataset> {
    Arc::new(Dataset::open(root, &DataOptions::default()).unwrap().0)
}

fn options(level: AugmentationLevel) -> PipelineOptions {
    PipelineOptions {
        augmentation: Augmentation::named(level, SIZE, Preset::PilBilinear),
        training: true,
        batch_size: 4,
        seed: 5,
        balanced: false,
        workers: 2,
        cache: Cache::None,
    }
}

fn epoch(dataset: &Arc<Dataset>, options: PipelineOptions, epoch: usize, skip: usize) -> Vec<Batch> {
    let pipeline = Pipeline::new(Arc::clone(dataset), Split::Train, options).unwrap();
    pipeline.epoch(epoch, skip).collect::<Result<_, _>>().unwrap()
}

#[test]
fn batches_follow_from_seed_epoch_and_place_alone() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    let batches = epoch(&dataset, options(AugmentationLevel::Strong), 3, 0);
    assert_eq!(batches.len(), dataset.count(Split::Train).div_ceil(4));
    for workers in [0, 1, 5] {
        let other = PipelineOptions {
            workers,
            ..options(AugmentationLevel::Strong)
        };
        assert_eq!(epoch(&dataset, other, 3, 0), batches, "{workers} workers");
    }
    for skip in [1, 2, batches.len(), batches.len() + 7] {
        let rest = &batches[skip.min(batches.len())..];
        assert_eq!(
            epoch(&dataset, options(AugmentationLevel::Strong), 3, skip),
            rest,
            "{skip} skipped"
        );
    }
    assert_ne!(epoch(&dataset, options(AugmentationLevel::Strong), 4, 0), batches);
    let other = PipelineOptions {
        seed: 6,
        ..options(AugmentationLevel::Strong)
    };
    assert_ne!(epoch(&dataset, other, 3, 0), batches);
}

#[test]
fn an_epoch_has_every_training_picture_once_in_an_order_of_its_own() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    let orders = [0, 1].map(|number| {
        let batches = epoch(&dataset, options(AugmentationLevel::Light), number, 0);
        let sizes: Vec<usize> = batches.iter().map(Batch::len).collect();
        assert_eq!(sizes, [4, 4, 4, 3]);
        for batch in &batches {
            assert_eq!((batch.height, batch.width), (SIZE, SIZE));
            assert_eq!(batch.pixels.len(), batch.len() * 3 * SIZE * SIZE);
            assert!(batch.pixels.iter().all(|value| (-1.0..=1.0).contains(value)));
            for (row, &index) in batch.targets.chunks(2).zip(&batch.indices) {
                let label = dataset.samples[index].labels[0];
                assert_eq!((row[label], row[1 - label]), (1.0, 0.0));
            }
        }
        batches.into_iter().flat_map(|batch| batch.indices).collect::<Vec<_>>()
    });
    assert_ne!(orders[0], orders[1]);
    for mut order in orders {
        order.sort_unstable();
        assert_eq!(order, dataset.indices(Split::Train));
    }
}

#[test]
fn evaluation_is_exact_and_in_order() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    for preset in Preset::ALL {
        for cache in [Cache::None, Cache::Memory { bytes: 1 << 30 }] {
            let options = PipelineOptions {
                augmentation: Augmentation::named(AugmentationLevel::Strong, SIZE, preset),
                training: false,
                cache,
                ..options(AugmentationLevel::None)
            };
            let pipeline = Pipeline::new(Arc::clone(&dataset), None, options).unwrap();
            assert_eq!((pipeline.len(), pipeline.batches()), (21, 6));
            for number in 0..2 {
                let mut place = 0;
                for batch in pipeline.epoch(number, 0) {
                    let batch = batch.unwrap();
                    for (planes, &index) in batch.pixels.chunks(3 * SIZE * SIZE).zip(&batch.indices) {
                        assert_eq!(index, place);
                        let picture = preset
                            .open(&dataset.samples[index].path, DecodeLimits::default())
                            .unwrap();
                        let expected = preset.apply(&picture, SIZE, SIZE).unwrap().to_nchw(Scaling::Tf);
                        assert_eq!(planes, expected, "{preset}, {}", dataset.samples[index].name);
                        place += 1;
                    }
                }
                assert_eq!(place, 21);
            }
        }
    }
}

#[test]
fn plain_training_sees_the_numbers_of_evaluation() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    let evaluation = PipelineOptions {
        training: false,
        ..options(AugmentationLevel::None)
    };
    let by_index = |batches: Vec<Batch>| -> BTreeMap<usize, Vec<f32>> {
        let pictures = batches.into_iter().flat_map(|batch| {
            let planes: Vec<Vec<f32>> = batch.pixels.chunks(3 * SIZE * SIZE).map(<[f32]>::to_vec).collect();
            batch.indices.into_iter().zip(planes)
        });
        pictures.collect()
    };
    assert_eq!(
        by_index(epoch(&dataset, options(AugmentationLevel::None), 0, 0)),
        by_index(epoch(&dataset, evaluation, 0, 0))
    );
}

#[test]
fn caches_change_nothing_and_replace_damaged_entries() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    let plain = [0, 1].map(|number| epoch(&dataset, options(AugmentationLevel::Medium), number, 0));
    let home = tempfile::tempdir().unwrap();
    let disk = || Cache::Disk {
        folder: home.path().join("new/cache"),
    };
    for cache in [
        Cache::Memory { bytes: 1 << 30 },
        Cache::Memory { bytes: 100_000 },
        disk(),
    ] {
        let options = PipelineOptions {
            cache: cache.clone(),
            ..options(AugmentationLevel::Medium)
        };
        let pipeline = Pipeline::new(Arc::clone(&dataset), Split::Train, options).unwrap();
        for (number, expected) in plain.iter().enumerate() {
            let batches: Vec<Batch> = pipeline.epoch(number, 0).collect::<Result<_, _>>().unwrap();
            assert_eq!(&batches, expected, "{cache:?}");
        }
        let stats = pipeline.cache_stats();
        assert_eq!(
            (stats.hits + stats.misses, stats.damaged, &stats.failed),
            (30, 0, &None)
        );
        match cache {
            Cache::Memory { bytes: 100_000 } => assert!(stats.hits > 0 && stats.hits < 15, "{stats:?}"),
            _ => assert_eq!(stats.hits, 15),
        }
    }

    let entries: Vec<PathBuf> = fs::read_dir(home.path().join("new/cache"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(entries.len(), 15, "one a picture and no leftovers: {entries:?}");
    for (entry, len) in entries.iter().zip([0, 10, 100]) {
        let whole = fs::read(entry).unwrap();
        fs::write(entry, &whole[..len]).unwrap();
    }
    for expected in [3, 0] {
        let options = PipelineOptions {
            cache: disk(),
            ..options(AugmentationLevel::Medium)
        };
        let pipeline = Pipeline::new(Arc::clone(&dataset), Split::Train, options).unwrap();
        let batches: Vec<Batch> = pipeline.epoch(0, 0).collect::<Result<_, _>>().unwrap();
        assert_eq!(batches, plain[0]);
        let stats = pipeline.cache_stats();
        assert_eq!((stats.damaged, stats.misses), (expected, expected));
    }

    // Other settings do not use these entries.
    let mut other = options(AugmentationLevel::Medium);
    other.cache = disk();
    other.augmentation.train.size = SIZE / 2;
    let pipeline = Pipeline::new(Arc::clone(&dataset), Split::Train, other).unwrap();
    assert!(pipeline.epoch(0, 0).all(|batch| batch.is_ok()));
    assert_eq!(pipeline.cache_stats().hits, 0);
}

#[test]
fn a_cache_that_cannot_be_written_does_not_stop_the_run() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("cache");
    let options = PipelineOptions {
        cache: Cache::Disk { folder: cache.clone() },
        ..options(AugmentationLevel::Light)
    };
    let pipeline = Pipeline::new(Arc::clone(&dataset), Split::Train, options.clone()).unwrap();
    fs::remove_dir(&cache).unwrap();
    assert!(pipeline.epoch(0, 0).all(|batch| batch.is_ok()));
    let failed = pipeline.cache_stats().failed.unwrap();
    assert!(failed.starts_with(cache.to_str().unwrap()), "{failed}");

    // A folder that cannot be created is an error before the run.
    fs::write(&cache, "a file").unwrap();
    let error = Pipeline::new(dataset, Split::Train, options).err().unwrap().to_string();
    assert!(error.contains("making this folder for cached pictures"), "{error}");
}

#[test]
fn shrunk_pictures_look_the_same() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    let light = options(AugmentationLevel::Light);
    let mut flipped = options(AugmentationLevel::Light);
    flipped.augmentation.train.random_resized_crop = None;
    // The mean difference as a share of the range of 2. A quarter of 125 x 114 pixels is 31.25 x 28.5, stretched as 31
    // x 29; a crop begins up to half a pixel elsewhere as well. Another crop differs by 0.4.
    for (options, bound) in [(flipped, 0.04), (light, 0.08)] {
        let mut whole = options.clone();
        whole.augmentation.train.shrink_on_load = false;
        let (shrunk, whole) = (epoch(&dataset, options, 0, 0), epoch(&dataset, whole, 0, 0));
        let mut differing = 0;
        for (shrunk, whole) in shrunk.iter().zip(&whole) {
            assert_eq!(shrunk.indices, whole.indices);
            let pairs = shrunk
                .pixels
                .chunks(3 * SIZE * SIZE)
                .zip(whole.pixels.chunks(3 * SIZE * SIZE));
            for ((shrunk, whole), &index) in pairs.zip(&shrunk.indices) {
                let sum: f32 = shrunk.iter().zip(whole).map(|(a, b)| (a - b).abs()).sum();
                let mean = sum / shrunk.len() as f32;
                assert!(mean < bound, "{}: {mean}", dataset.samples[index].name);
                differing += usize::from(mean > 0.0);
            }
        }
        // Not equal: large pictures were shrunk.
        assert!(differing >= 5, "{differing}");
    }
}

#[test]
fn balanced_epochs_have_classes_in_equal_number() {
    let root = folder(&[("a", 24), ("b", 4), ("c", 8)]);
    let whole = DataOptions {
        val_fraction: 0.0,
        test_fraction: 0.0,
        ..DataOptions::default()
    };
    let dataset = Arc::new(Dataset::open(root.path(), &whole).unwrap().0);
    let balanced = PipelineOptions {
        balanced: true,
        ..options(AugmentationLevel::Light)
    };
    let mut seen = vec![0; dataset.samples.len()];
    for number in 0..6 {
        let mut counts = [0; 3];
        for batch in epoch(&dataset, balanced.clone(), number, 0) {
            for index in batch.indices {
                counts[dataset.samples[index].labels[0]] += 1;
                seen[index] += 1;
            }
        }
        assert_eq!(counts, [12, 12, 12], "epoch {number}");
    }
    // 72 turns in six epochs: all pictures of a class come equally often.
    for (sample, count) in dataset.samples.iter().zip(seen) {
        assert_eq!(count, [3, 18, 9][sample.labels[0]], "{}", sample.name);
    }
}

#[test]
fn mixed_batches_have_soft_targets() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    let mut soft = 0;
    for number in 0..8 {
        for batch in epoch(&dataset, options(AugmentationLevel::Strong), number, 0) {
            for row in batch.targets.chunks(2) {
                assert!((row[0] + row[1] - 1.0).abs() < 1e-6);
                soft += usize::from(row[0] > 0.01 && row[0] < 0.99);
            }
        }
    }
    assert!(soft > 10, "{soft}");
}

#[test]
fn several_labels_are_several_ones_in_the_targets() {
    let root = folder(&[("a", 4)]);
    let table = root.path().join("labels.csv");
    fs::write(
        &table,
        "path,labels\na/00.png,x;y\na/01.jpg,\na/02.jpg,z\na/03.png,x;y;z\n",
    )
    .unwrap();
    let dataset = open(&table);
    let evaluation = PipelineOptions {
        training: false,
        ..options(AugmentationLevel::None)
    };
    let pipeline = Pipeline::new(dataset, None, evaluation).unwrap();
    let batch = pipeline.epoch(0, 0).next().unwrap().unwrap();
    assert_eq!(
        batch.targets,
        [[1.0, 1.0, 0.0], [0.0; 3], [0.0, 0.0, 1.0], [1.0; 3]].concat()
    );
}

#[test]
fn a_file_that_goes_bad_during_a_run_is_named() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    let victim = dataset.samples[dataset.indices(Split::Train)[2]].path.clone();
    let whole = fs::read(&victim).unwrap();
    let other = dataset.samples[dataset.indices(Split::Train)[3]].path.clone();
    let spoil: [(&dyn Fn(), &str); 3] = [
        (
            &|| fs::write(&victim, &whole[..whole.len() / 2]).unwrap(),
            "damaged or cut short",
        ),
        (
            &|| fs::copy(&other, &victim).map(drop).unwrap(),
            "the file has changed since",
        ),
        (&|| fs::remove_file(&victim).unwrap(), "cannot be read: "),
    ];
    for (spoil, expected) in spoil {
        spoil();
        for training in [true, false] {
            let options = PipelineOptions {
                training,
                ..options(AugmentationLevel::Light)
            };
            let pipeline = Pipeline::new(Arc::clone(&dataset), Split::Train, options).unwrap();
            let mut batches = pipeline.epoch(0, 0);
            let error = batches.by_ref().find_map(Result::err).unwrap().to_string();
            assert!(
                error.starts_with(victim.to_str().unwrap()) && error.contains(expected),
                "{error}"
            );
            assert!(batches.next().is_none(), "an error is the end");
        }
    }
}

#[test]
fn a_panic_becomes_an_error() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let mut broken = Dataset::clone(&open(root.path()));
    for sample in &mut broken.samples {
        // The data has no class of this number.
        sample.labels = vec![2];
    }
    let pipeline = Pipeline::new(Arc::new(broken), Split::Train, options(AugmentationLevel::Light)).unwrap();
    let mut batches = pipeline.epoch(0, 0);
    let error = batches.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("could not start, or panicked"), "{error}");
    assert!(batches.next().is_none());
}

#[test]
fn a_dropped_epoch_leaves_nothing_behind() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    for taken in 0..5 {
        let pipeline = Pipeline::new(Arc::clone(&dataset), Split::Train, options(AugmentationLevel::Light)).unwrap();
        let mut batches = pipeline.epoch(0, 0);
        assert_eq!(batches.by_ref().take(taken).flatten().count(), taken.min(4));
        // Until the channel is full.
        if taken == 0 {
            std::thread::sleep(Duration::from_millis(200));
        }
        let start = Instant::now();
        drop(batches);
        assert!(start.elapsed() < Duration::from_secs(5));
        drop(pipeline);
        assert_eq!(Arc::strong_count(&dataset), 1, "a thread still holds the data set");
    }
}

#[test]
fn waiting_is_measured() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let pipeline = Pipeline::new(open(root.path()), Split::Train, options(AugmentationLevel::Light)).unwrap();
    let mut batches = pipeline.epoch(0, 0);
    // No wait when all batches are ready.
    std::thread::sleep(Duration::from_millis(500));
    batches.next();
    let ready = batches.waited();
    assert!(ready < Duration::from_millis(50), "{ready:?}");
    for batch in batches.by_ref() {
        batch.unwrap();
    }
    let start = Instant::now();
    assert_eq!(pipeline.waited(), batches.waited());
    pipeline.epoch(1, 0).for_each(drop);
    let waited = pipeline.waited().saturating_sub(batches.waited());
    assert!(waited > Duration::ZERO && waited <= start.elapsed());
}

#[test]
fn impossible_pipelines_are_refused() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    let refused = |dataset: &Arc<Dataset>, options| {
        Pipeline::new(Arc::clone(dataset), Split::Train, options)
            .err()
            .map(|error| error.to_string())
    };
    let empty = PipelineOptions {
        batch_size: 0,
        ..options(AugmentationLevel::Light)
    };
    assert_eq!(
        refused(&dataset, empty).unwrap(),
        "a batch of 0 pictures of size 24 is not possible"
    );
    let mut wrong = options(AugmentationLevel::Light);
    wrong.augmentation.train.horizontal_flip = 2.0;
    assert!(refused(&dataset, wrong).unwrap().starts_with("horizontal_flip is 2"));
    let mut nothing = Dataset::clone(&dataset);
    nothing.samples.retain(|sample| sample.split != Split::Train);
    let nothing = Arc::new(nothing);
    assert!(
        refused(&nothing, options(AugmentationLevel::Light))
            .unwrap()
            .contains("no pictures to train on")
    );
    // A split without pictures is no error, and a batch is at most as large as the data.
    let huge = PipelineOptions {
        training: false,
        batch_size: usize::MAX,
        ..options(AugmentationLevel::Light)
    };
    let pipeline = Pipeline::new(nothing, Split::Train, huge.clone()).unwrap();
    assert!(pipeline.is_empty() && pipeline.epoch(0, 0).next().is_none());
    let pipeline = Pipeline::new(dataset, None, huge).unwrap();
    assert_eq!(
        pipeline
            .epoch(0, 0)
            .map(|batch| batch.unwrap().len())
            .collect::<Vec<_>>(),
        [21]
    );
}

#[test]
fn a_contact_sheet_is_drawn_once() {
    let root = folder(&[("a", 12), ("b", 9)]);
    let dataset = open(root.path());
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("sheet.png");
    let augmentation = Augmentation::named(AugmentationLevel::Strong, SIZE, Preset::TimmBicubic);
    contact_sheet(&dataset, &augmentation, 1, &path, false).unwrap();
    let sheet = image::open(&path).unwrap().into_rgb8();
    let white = Rgb([255; 3]);
    // Eight columns of 160 and eight rows, with text above each.
    assert_eq!(sheet.dimensions(), (8 + 8 * 168, 22 + 8 * 190));
    for (column, row) in (0..8).flat_map(|column| (0..8).map(move |row| (column, row))) {
        let center = sheet.get_pixel(8 + column * 168 + 80, 44 + row * 190 + 80);
        assert_ne!(*center, white, "column {column}, row {row}");
    }
    let ink = (0..300)
        .flat_map(|x| (22..44).map(move |y| (x, y)))
        .filter(|&(x, y)| sheet.get_pixel(x, y).0[0] < 90);
    assert!(ink.count() > 50, "no caption");

    let error = contact_sheet(&dataset, &augmentation, 2, &path, false).unwrap_err();
    assert!(matches!(error, PreviewError::Exists { .. }), "{error}");
    assert_eq!(image::open(&path).unwrap().into_rgb8(), sheet);
    contact_sheet(&dataset, &augmentation, 2, &path, true).unwrap();
    assert_ne!(image::open(&path).unwrap().into_rgb8(), sheet);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "no leftovers");

    let lost = home.path().join("nowhere/sheet.png");
    let error = contact_sheet(&dataset, &augmentation, 2, &lost, false).unwrap_err();
    let sentence = error.to_string();
    assert!(
        sentence.contains("nowhere: cannot be written: there is no such folder") && !sentence.contains("nowhere/.tmp"),
        "{sentence}"
    );
    let other = home.path().join("sheet.jpg");
    let error = contact_sheet(&dataset, &augmentation, 2, &other, false).unwrap_err();
    assert!(
        matches!(error, PreviewError::Ending { .. }) && !other.exists(),
        "{error}"
    );
    let error: Box<dyn std::error::Error> = Box::new(DataError::from(Augmentation::from_toml("").unwrap_err()));
    assert!(error.to_string().contains("train"));
}
