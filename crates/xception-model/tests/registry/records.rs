//! Records made from a verified file, and the networks that they hold.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{fs, thread};

use burn::tensor::{Tensor, TensorData};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use xception_model::picture::Preset;
use xception_model::registry::{Cache, Card, FetchOptions, Kind, Reporter};
use xception_model::{Classifier, Known, Outputs, Pooling, Scaling, Xception, load_with};

use crate::common;
use crate::desk::{Desk, FILE, NETWORK, SIZE, content, files, has, hex};
use crate::server::Server;

#[test]
fn a_record_is_made_once() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let desk = Desk::new(&[server.url()], "");
    let calls = AtomicUsize::new(0);
    let record = |card: &Card, options: &FetchOptions| {
        desk.cache.record(card, Kind::Full, options, |source, temporary| {
            calls.fetch_add(1, Ordering::SeqCst);
            assert_eq!(source, desk.path());
            assert!(!temporary.exists());
            let mut bytes = fs::read(source)?;
            bytes.reverse();
            fs::write(temporary, bytes)
        })
    };
    let options = desk.options();
    let path = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| record(&desk.card, &options).unwrap()))
            .collect();
        let mut paths: Vec<PathBuf> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        paths.dedup();
        assert_eq!(paths.len(), 1);
        paths.remove(0)
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let mut expected = content();
    expected.reverse();
    assert!(fs::read(&path).unwrap() == expected);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(
        files(&desk.cache.dir().join("toy")),
        [
            name.to_owned(),
            format!("{name}.lock"),
            FILE.to_owned(),
            format!("{FILE}.lock")
        ]
    );

    // From here on, the record alone is enough.
    fs::remove_file(desk.path()).unwrap();
    let offline = desk.options().offline(true);
    assert_eq!(record(&desk.card, &offline).unwrap(), path);
    let status = &desk.cache.status(&desk.card)[0];
    assert_eq!((status.bytes, status.partial_bytes), (None, None));
    assert_eq!(status.path, desk.path());
    assert_eq!((&status.record, status.record_bytes), (&path, Some(SIZE as u64)));

    // Another network gives another record of the same file.
    let folder = desk.home.path().join("card");
    let text = fs::read_to_string(folder.join("card.toml")).unwrap();
    let text = text.replace(NETWORK, &format!("{NETWORK}dropout = 0.5\n"));
    fs::write(folder.join("card.toml"), text).unwrap();
    let other = Card::load(&folder).unwrap();
    assert_ne!(record(&other, &desk.options()).unwrap(), path);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_failed_conversion_leaves_nothing() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let desk = Desk::new(&[server.url()], "");
    let folder = desk.cache.dir().join("toy");
    let convert = |convert: &dyn Fn(&Path) -> Result<(), std::io::Error>| {
        desk.cache
            .record(&desk.card, Kind::Full, &desk.options(), |_, temporary| {
                convert(temporary)
            })
    };
    let error = convert(&|temporary| {
        fs::write(temporary, b"half a record")?;
        Err(std::io::Error::other("block4_sepconv1 is missing"))
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot convert {} into a record: block4_sepconv1 is missing",
            desk.path().display()
        )
    );
    let error = convert(&|_| Ok(())).unwrap_err();
    has(&error.to_string(), &["the converter wrote no file"]);
    let error = convert(&|temporary| fs::write(temporary, b"")).unwrap_err();
    has(&error.to_string(), &["the converter wrote no file"]);
    let left = files(&folder);
    assert!(
        left.iter()
            .all(|name| name.starts_with(FILE) || name.ends_with(".bpk.lock")),
        "{left:?}"
    );

    // Files left by a killed process are removed, and the next conversion works.
    let record = desk.cache.status(&desk.card)[0].record.clone();
    let scratch = record.with_added_extension("tmp");
    fs::create_dir(&scratch).unwrap();
    fs::write(scratch.join("record.bpk"), b"half a record").unwrap();
    assert_eq!(convert(&|temporary| fs::write(temporary, b"a record")).unwrap(), record);
    assert_eq!(fs::read(&record).unwrap(), b"a record");
    assert!(!scratch.exists());
    assert_eq!(server.requests().len(), 1);
}

/// A fixture of `tests/keras.rs`.
fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keras")
        .join(name);
    let packed = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_card_gives_the_network_of_its_file_and_the_second_time_without_a_server() {
    const FULL: &str = "legacy_weights.h5";
    const NOTOP: &str = "notop_legacy_weights.h5";
    let files = [FULL, NOTOP].map(|name| (name, fixture(&format!("{name}.gz"))));
    let gone = Arc::new(AtomicBool::new(false));
    let (known, is_gone) = (files.clone(), gone.clone());
    let server = Server::start(move |_, request, answer| {
        let file = known
            .iter()
            .find(|(name, _)| request.line == format!("GET /{name} HTTP/1.1"));
        match file.filter(|_| !is_gone.load(Ordering::SeqCst)) {
            Some((_, bytes)) => answer.file(request, "\"1\"", bytes),
            None => answer.whole("404 Not Found", &[], b""),
        }
    });

    // A user's card. Its `num_classes` belongs to the classifier alone.
    let home = TempDir::new().unwrap();
    let mut text = "name = \"toy\"\ndescription = \"A toy\"\nlicence = \"MIT\"\n\
                    [network]\nnum_classes = 5\nmiddle_blocks = 1\n\
                    widths = { stem = [2, 3], entry = [3, 4, 5], exit = [6, 7, 8] }\n\
                    [input]\nheight = 90\nwidth = 80\npreset = \"pil-bilinear\"\nscaling = \"tf\"\n\
                    [labels]\nnames = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n"
        .to_owned();
    for ((name, bytes), kind) in files.iter().zip(["full", "notop"]) {
        let (sha256, url) = (hex(&Sha256::digest(bytes)), format!("http://{}/{name}", server.address));
        write!(
            text,
            "[[weights]]\nkind = \"{kind}\"\nfile = \"{name}\"\nformat = \"keras-h5\"\nparameters = 1\n\
             sha256 = \"{sha256}\"\nurls = [\"{url}\"]\n"
        )
        .unwrap();
    }
    fs::write(home.path().join("card.toml"), text).unwrap();
    let card = Card::load(home.path()).unwrap();
    let cache = Cache::new(Some(home.path().join("cache"))).unwrap();
    let options = FetchOptions::default().retries(0).reporter(Reporter::silent());
    let device = common::device();
    let images = common::input([2, 90, 80, 3], &device);

    // The same files, loaded in place by the library.
    let direct = |index: usize| {
        let path = home.path().join("direct.h5");
        fs::write(&path, &files[index].1).unwrap();
        let known = Known {
            size: Some([90, 80]),
            pooling: Some(Pooling::Average),
            outputs: Some(Outputs::Softmax),
            scaling: Some(Scaling::Tf),
            ..Known::default()
        };
        load_with(&path, &known, &device).unwrap().0
    };
    let logits = common::values(&direct(0).forward(images.clone()).unwrap());
    let embedding = common::values(&direct(1).embed(images.clone()).unwrap());
    assert_eq!((logits.len(), embedding.len()), (2 * 5, 2 * 8));

    for _ in 0..2 {
        let model = Xception::from_card(&card, Kind::Full, &cache, &options, &device).unwrap();
        assert_eq!(common::values(&model.forward(images.clone()).unwrap()), logits);
        let backbone = Xception::from_card(&card, Kind::NoTop, &cache, &options, &device).unwrap();
        assert!(!backbone.has_top());
        assert_eq!(common::values(&backbone.embed(images.clone()).unwrap()), embedding);

        let classifier = Classifier::from_card(&card, Kind::Full, &cache, &options, &device).unwrap();
        let spec = classifier.spec;
        assert_eq!(spec.source, format!("toy, {FULL}"));
        assert_eq!(spec.input.preset, Some(Preset::PilBilinear));
        assert_eq!((spec.input.height, spec.input.width), (90, 80));
        assert_eq!(spec.label(4).name, "e");
        let headless = Classifier::from_card(&card, Kind::NoTop, &cache, &options, &device).unwrap();
        assert!(headless.spec.labels.is_empty(), "classes of no classifier");

        // The second time there is no server, and the files are gone from the cache.
        gone.store(true, Ordering::SeqCst);
        for (name, _) in &files {
            let _ = fs::remove_file(cache.dir().join("toy").join(name));
        }
    }
    assert_eq!(server.requests().len(), 2);
}

/// The toy network of `scripts/fixtures/torch_toy_xception.py`, as timm saves it.
#[test]
fn a_card_of_a_pytorch_file_gives_pytorch_s_logits() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../converter/tests/fixtures/torch");
    let bytes = fs::read(fixtures.join("toy.pth")).unwrap();
    let expected: serde_json::Value =
        serde_json::from_slice(&fs::read(fixtures.join("expected.json")).unwrap()).unwrap();
    let expected: Vec<f32> = serde_json::from_value(expected["logits"].clone()).unwrap();

    let prefix = &hex(&Sha256::digest(&bytes))[..8];
    let file = format!("toy-{prefix}.pth");
    let server = Server::start(move |_, request, answer| answer.file(request, "\"1\"", &bytes));
    let home = TempDir::new().unwrap();
    let text = format!(
        "name = \"toy\"\ndescription = \"A toy\"\nlicence = \"MIT\"\n\
         [network]\nvariant = \"torch\"\nnum_classes = 5\nmiddle_blocks = 1\n\
         widths = {{ stem = [2, 3], entry = [3, 4, 5], exit = [6, 7, 8] }}\n\
         [input]\nheight = 75\nwidth = 90\npreset = \"timm-bicubic-0.9\"\nscaling = \"tf\"\n\
         [labels]\nnames = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n\
         [[weights]]\nkind = \"full\"\nfile = \"{file}\"\nformat = \"pytorch\"\nparameters = 1\n\
         sha256_prefix = \"{prefix}\"\nurls = [\"http://{}/{file}\"]\n",
        server.address
    );
    fs::write(home.path().join("card.toml"), text).unwrap();
    let card = Card::load(home.path()).unwrap();
    let cache = Cache::new(Some(home.path().join("cache"))).unwrap();
    let options = FetchOptions::default().retries(0).reporter(Reporter::silent());
    let device = common::device();
    let values: Vec<f32> = (0..75 * 90 * 3).map(|i| (i as f32 / 100.0).sin()).collect();
    let picture = Tensor::<4>::from_data(TensorData::new(values, [1, 75, 90, 3]), &device).permute([0, 3, 1, 2]);

    for _ in 0..2 {
        let classifier = Classifier::from_card(&card, Kind::Full, &cache, &options, &device).unwrap();
        let logits = common::values(&classifier.network().forward(picture.clone()).unwrap());
        let error = common::relative_error(&logits, &expected);
        assert!(error <= 1e-5, "off by {error:.1e}");
        assert_eq!(classifier.spec.input.preset.unwrap().to_string(), "timm-bicubic-0.9");
        assert_eq!(classifier.spec.label(4).name, "e");
        // The second time the record is enough.
        let _ = fs::remove_file(cache.dir().join("toy").join(&file));
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_file_of_another_network_than_its_cards_is_refused() {
    let (name, bytes) = (FILE, fixture("legacy_weights.h5.gz"));
    let sha256 = hex(&Sha256::digest(&bytes));
    let desk = Desk::with(&format!("sha256 = \"{sha256}\"\nurls = []\nobtain = \"ask\""));
    fs::write(desk.home.path().join("card").join(name), bytes).unwrap();
    let device = common::device();
    let error = Xception::from_card(&desk.card, Kind::Full, &desk.cache, &desk.options(), &device).unwrap_err();
    has(&error.to_string(), &["the card of toy describes ", ", the file holds "]);
    assert!(desk.cache.status(&desk.card)[0].record_bytes.is_none());
}
