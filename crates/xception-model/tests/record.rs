//! Records: a saved network is loaded bit for bit, and a file that is no record gives a clear error.
#![cfg(feature = "picture")]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::store::ModuleSnapshot;
use burn::store::burn_pack::{Reader, Tensor as PackTensor, Writer};
use burn::tensor::{Bytes, DType, TensorData};
use tempfile::TempDir;
use xception_model::labels::Label;
use xception_model::picture::Preset;
use xception_model::{
    Architecture, InputSpec, Known, ModelSpec, OutputStride, Outputs, Pooling, Scaling, SeparableOrder, TensorMismatch,
    Variant, WeightsError, Xception, XceptionConfig, load, load_reader, save,
};

/// The longest time in which an error must be found.
const QUICK: Duration = Duration::from_secs(5);

fn spec(config: &XceptionConfig) -> ModelSpec {
    let network = Architecture::from(config.clone());
    ModelSpec {
        source: "the formula of the goldens".to_owned(),
        outputs: Outputs::Softmax,
        input: InputSpec {
            height: 150,
            width: 200,
            preset: Some(Preset::TimmBicubic),
            scaling: Scaling::Torch,
            ..InputSpec::default()
        },
        labels: (0..network.outputs().unwrap_or(0))
            .map(|class| Label {
                id: Some(format!("n{class:08}")),
                name: format!("Klasse „{class}“"),
            })
            .collect(),
        network,
    }
}

/// A toy network's record in a temporary folder.
struct Saved {
    folder: TempDir,
    model: Xception,
    spec: ModelSpec,
}

impl Saved {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let model = common::network(&common::toy(), &common::device());
        let saved = Self {
            folder,
            model,
            spec: spec(&common::toy()),
        };
        save(&saved.model, &saved.spec, &saved.path(), false).expect("a saved record");
        saved
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("toy.bpk")
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).expect("the record is there")
    }

    /// Loads other bytes from the record's path.
    fn load(&self, bytes: &[u8]) -> Result<(Xception, ModelSpec), WeightsError> {
        let path = self.folder.path().join("other.bpk");
        std::fs::write(&path, bytes).expect("a writable folder");
        quickly(&path)
    }

    fn tensors(&self) -> Vec<PackTensor> {
        let reader = Reader::from_file_exact(self.path()).expect("a record");
        reader.into_tensors().expect("tensors")
    }

    fn description(&self) -> String {
        toml::to_string(&self.spec).expect("TOML")
    }

    /// Loads a record of these tensors and this description.
    fn load_record(&self, tensors: Vec<PackTensor>, description: &str) -> Result<(Xception, ModelSpec), WeightsError> {
        let writer = Writer::new(tensors).with_metadata("xception", description);
        self.load(&writer.into_bytes().expect("a record"))
    }

    /// The error of a record whose tensors were changed.
    fn mismatch(&self, change: impl FnOnce(&mut Vec<PackTensor>)) -> (TensorMismatch, String) {
        let mut tensors = self.tensors();
        change(&mut tensors);
        let error = self
            .load_record(tensors, &self.description())
            .expect_err("a record that does not fit");
        let text = error.to_string();
        match error {
            WeightsError::Mismatch { mismatch, .. } => (mismatch, text),
            other => panic!("expected a mismatch, found {other:?}"),
        }
    }
}

fn quickly(path: &Path) -> Result<(Xception, ModelSpec), WeightsError> {
    let start = Instant::now();
    let result = load(path, &common::device());
    assert!(start.elapsed() < QUICK, "{} took {:?}", path.display(), start.elapsed());
    result
}

/// The problem with a file: the message without its path.
fn problem(error: &WeightsError) -> String {
    let text = error.to_string();
    let (_, problem) = text
        .split_once("other.bpk: ")
        .unwrap_or_else(|| panic!("{text} names no file"));
    problem.to_owned()
}

fn pack(name: &str, dtype: DType, shape: Vec<usize>, bytes: Vec<u8>) -> PackTensor {
    PackTensor::new(name.to_owned(), dtype, shape, None, Bytes::from_bytes_vec(bytes))
}

fn assert_same_bits(a: &Xception, b: &Xception) {
    let (a, b) = (common::parameters(a), common::parameters(b));
    assert_eq!(a.len(), b.len());
    for ((name, shape, ours), (other, other_shape, theirs)) in a.iter().zip(&b) {
        assert_eq!((name, shape), (other, other_shape));
        assert!(
            ours.iter().zip(theirs).all(|(x, y)| x.to_bits() == y.to_bits()),
            "{name}"
        );
    }
}

#[test]
fn a_network_and_its_specification_come_back_to_the_bit() {
    let every_option = common::toy()
        .with_in_channels(5)
        .with_pooling(Pooling::Max)
        .with_hidden_layers(vec![12, 8])
        .with_dropout(0.5)
        .with_residual(false)
        .with_order(SeparableOrder::PointwiseFirst)
        .with_output_stride(OutputStride::S8)
        .with_variant(Variant::Torch);
    for network in [common::toy(), every_option, common::toy().with_include_top(false)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a name without ending");
        let spec = spec(&network);
        let model = common::with_formula(&spec.network, &common::device());
        save(&model, &spec, &path, false).expect("a saved record");
        let (loaded, found) = load(&path, &common::device()).expect("a loaded record");
        assert_eq!(found, spec);
        assert_eq!(loaded.architecture(), &spec.network);
        assert_same_bits(&loaded, &model);

        let channels = spec.network.in_channels();
        let images = common::input([2, 71, 80, channels], &common::device());
        let features = |model: &Xception| common::values(&model.feature_map(images.clone()).expect("features"));
        assert_eq!(features(&loaded), features(&model));
    }
}

/// The bytes of a record in memory, embedded or received by a program.
#[test]
fn a_record_in_memory_is_loaded_as_from_its_file() {
    let saved = Saved::new();
    let bytes = saved.bytes();
    let (loaded, spec) =
        load_reader(bytes.as_slice(), &Known::default(), &common::device()).expect("a record in memory");
    assert_eq!(spec, saved.spec);
    assert_same_bits(&loaded, &saved.model);
    let half = &bytes[..bytes.len() / 2];
    assert!(load_reader(half, &Known::default(), &common::device()).is_err());
}

#[test]
fn a_record_is_overwritten_only_when_told_to() {
    let saved = Saved::new();
    let before = saved.bytes();
    let other = common::network(&common::toy().with_num_classes(3), &common::device());
    let other_spec = spec(&common::toy().with_num_classes(3));
    let error = save(&other, &other_spec, &saved.path(), false).expect_err("the file exists");
    assert!(matches!(error, WeightsError::Write { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot write {}: ", saved.path().display())),
        "{text}"
    );
    assert_eq!(saved.bytes(), before);

    save(&other, &other_spec, &saved.path(), true).expect("an overwritten record");
    let (loaded, _) = load(saved.path(), &common::device()).expect("a loaded record");
    assert_same_bits(&loaded, &other);
    assert_eq!(
        std::fs::read_dir(saved.folder.path()).expect("a folder").count(),
        1,
        "something was left behind"
    );
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let saved = Saved::new();
    let path = saved.folder.path().join("missing/toy.bpk");
    let error = save(&saved.model, &saved.spec, &path, false).expect_err("no folder");
    assert!(matches!(error, WeightsError::Write { .. }), "{error:?}");
}

#[test]
fn labels_must_be_as_many_as_classes() {
    let saved = Saved::new();
    let mut spec = saved.spec.clone();
    spec.labels.pop();
    let path = saved.folder.path().join("other.bpk");
    let error = save(&saved.model, &spec, &path, false).expect_err("nine labels");
    assert_eq!(problem(&error), "9 labels for 10 classes; there must be one for each");
    assert!(!path.exists());

    let description = toml::to_string(&spec).expect("TOML");
    let error = saved
        .load_record(saved.tensors(), &description)
        .expect_err("nine labels");
    assert!(
        matches!(
            error,
            WeightsError::LabelCount {
                labels: 9,
                classes: 10,
                ..
            }
        ),
        "{error:?}"
    );

    spec.labels.push(spec.labels[0].clone());
    let description = toml::to_string(&spec).expect("TOML");
    let error = saved
        .load_record(saved.tensors(), &description)
        .expect_err("a label twice");
    assert_eq!(problem(&error), "label 10: the label \"Klasse „0“\" is there twice");
}

#[test]
fn what_is_no_record_is_named() {
    let saved = Saved::new();
    let found = |bytes: &[u8]| {
        let error = saved.load(bytes).expect_err("no record");
        let text = error.to_string();
        text.rsplit_once("found ").map(|(_, found)| found.to_owned())
    };
    assert_eq!(found(b"").as_deref(), Some("an empty file. Download or copy it again."));
    let page = found(b"\n<!DOCTYPE html><html><body>404</body></html>").unwrap();
    assert!(
        page.starts_with("a web page. The download did not give the file"),
        "{page}"
    );
    assert_eq!(
        found(b"version https://git-lfs.github.com/spec/v1\n").as_deref(),
        Some("a Git LFS pointer: fetch the file itself with `git lfs pull`")
    );

    let noise: Vec<u8> = common::hashes("noise", 4096).map(|z| (z >> 32) as u8).collect();
    let error = saved.load(&noise).expect_err("noise");
    assert!(error.to_string().contains("other.bpk"), "{error}");

    let missing = saved.folder.path().join("missing.bpk");
    let error = quickly(&missing).expect_err("no file");
    assert!(matches!(error, WeightsError::Read { .. }), "{error:?}");
    assert!(error.to_string().contains("missing.bpk"), "{error}");
    let error = quickly(saved.folder.path()).expect_err("a folder");
    assert!(matches!(error, WeightsError::UnknownFormat { .. }), "{error:?}");
    assert!(error.to_string().contains("Name the weight file in it"), "{error}");
}

#[test]
fn a_truncated_record_is_an_error_wherever_it_ends() {
    let saved = Saved::new();
    let bytes = saved.bytes();
    let ends = (0..64)
        .chain((64..bytes.len()).step_by(bytes.len() / 150))
        .chain([bytes.len() - 1]);
    for end in ends {
        assert!(saved.load(&bytes[..end]).is_err(), "a record of {end} bytes loaded");
    }
}

/// A flipped bit in a tensor is another number, which a format without checksums cannot detect. Elsewhere, the record
/// must be refused or describe the network that it holds.
#[test]
fn a_flipped_byte_neither_panics_nor_takes_long() {
    let saved = Saved::new();
    let bytes = saved.bytes();
    let refused = common::hashes("flips", 400)
        .map(|z| {
            // Half of the flips are in the header and the metadata.
            let span = if z & 1 == 0 { bytes.len() } else { bytes.len() / 8 };
            let mut flipped = bytes.clone();
            flipped[(z >> 16) as usize % span] ^= 1 << ((z >> 1) % 8);
            saved.load(&flipped)
        })
        .filter(Result::is_err)
        .count();
    println!("{refused} of 400 refused");
    assert!(refused > 50);
}

#[test]
fn a_record_without_a_description_says_what_to_do() {
    let saved = Saved::new();
    let writer = Writer::new(saved.tensors());
    let error = saved
        .load(&writer.into_bytes().expect("a record"))
        .expect_err("no description");
    assert!(matches!(error, WeightsError::NoSpec { .. }), "{error:?}");
    assert!(error.to_string().contains("save it with `xception_model::save`"));
}

#[test]
fn a_description_of_no_network_is_refused() {
    let saved = Saved::new();
    let description = saved.description();
    let changed = |from: &str, to: &str| {
        assert!(description.contains(from), "{from} is not in\n{description}");
        let text = description.replace(from, to);
        match saved.load_record(saved.tensors(), &text) {
            Ok(_) => panic!("a record with {to:?} loaded"),
            Err(error) => problem(&error),
        }
    };
    assert_eq!(
        changed("stem = [4, 8]", "stem = [4, 1099511627776]"),
        "`widths.stem` is 1099511627776; at most 65536 is possible"
    );
    assert_eq!(
        changed("middle_blocks = 1", "middle_blocks = 1099511627776"),
        "`middle_blocks` is 1099511627776; at most 1024 is possible"
    );
    assert_eq!(
        changed("in_channels = 3", "in_channels = 0"),
        "`in_channels` is 0; it must be at least 1"
    );
    assert_eq!(
        changed("dropout = 0.0", "dropout = 1.0"),
        "`dropout` is 1; it must be at least 0 and below 1"
    );
    for (from, to) in [
        ("in_channels = 3", "in_channels = -3"),
        ("in_channels = 3", "in_channels = 3\nblocks = 14"),
        ("source = ", "origin = "),
        ("order = \"depthwise-first\"", "order = \"sideways\""),
        ("in_channels = 3\n", ""),
    ] {
        let problem = changed(from, to);
        assert!(problem.starts_with("the network's description: "), "{problem}");
    }
    let error = saved.load_record(saved.tensors(), "\u{1b}[2J").expect_err("no TOML");
    assert!(problem(&error).starts_with("the network's description: "));
}

/// A description within every limit, of a network that fits no machine.
#[test]
fn a_description_far_beyond_the_file_is_refused_before_anything_is_allocated() {
    let saved = Saved::new();
    let mut large = saved.spec.clone();
    let mut config = common::toy();
    config.widths.entry = [1 << 16; 3];
    config.middle_blocks = 1 << 10;
    large.network = config.into();
    let description = toml::to_string(&large).expect("TOML");
    let error = saved.load_record(saved.tensors(), &description).expect_err("too large");
    let problem = problem(&error);
    assert!(
        problem.starts_with("its description is of a network of 1323"),
        "{problem}"
    );
}

#[test]
fn tensors_that_differ_are_listed() {
    let saved = Saved::new();
    let (mismatch, text) = saved.mismatch(|tensors| {
        tensors.retain(|tensor| tensor.name != "middle.block5.sepconv2.bn.gamma");
        tensors.push(pack("middle.block6.gamma", DType::F32, vec![1], vec![0; 4]));
        for tensor in tensors.iter_mut() {
            if tensor.name == "block1.conv1.bn.beta" {
                *tensor = pack("block1.conv1.bn.beta", DType::F32, vec![2, 2], vec![0; 16]);
            } else if tensor.name == "head.predictions.bias" {
                *tensor = pack("head.predictions.bias", DType::I32, vec![10], vec![0; 40]);
            }
        }
    });
    let expected = TensorMismatch {
        missing: vec!["middle.block5.sepconv2.bn.gamma".to_owned()],
        unused: vec!["middle.block6.gamma".to_owned()],
        shapes: vec![("block1.conv1.bn.beta".to_owned(), vec![4], vec![2, 2])],
        dtypes: vec!["head.predictions.bias".to_owned()],
    };
    assert_eq!(mismatch, expected);
    assert!(
        text.ends_with(
            "its tensors are not those of the network it describes; 1 missing: middle.block5.sepconv2.bn.gamma; \
             1 unused: middle.block6.gamma; 1 not of floating-point numbers: head.predictions.bias; \
             1 of another shape: block1.conv1.bn.beta (expected [4], found [2, 2])"
        ),
        "{text}"
    );
}

#[test]
fn a_long_list_is_cut() {
    let saved = Saved::new();
    let (mismatch, text) = saved.mismatch(|tensors| {
        for index in 0..12 {
            tensors.push(pack(&format!("x{index:02}"), DType::F32, vec![1], vec![0; 4]));
        }
    });
    assert_eq!(mismatch.unused.len(), 12);
    assert!(
        text.ends_with("12 unused: x00, x01, x02, x03, x04, x05, x06, x07, x08, x09, ..."),
        "{text}"
    );
}

#[test]
fn half_precision_records_load_as_32_bits() {
    let saved = Saved::new();
    for (dtype, bound) in [
        (DType::F16, 1e-3),
        (DType::BF16, 1e-2),
        (DType::F64, 0.0),
        (DType::Flex32, 0.0),
    ] {
        let tensors = saved
            .tensors()
            .into_iter()
            .map(|tensor| {
                let (name, from, shape, id, bytes) = tensor.into_parts().expect("bytes");
                let data = TensorData::from_bytes(bytes, shape.clone(), from).convert_dtype(dtype);
                let (bytes, ..) = data.into_parts();
                PackTensor::new(name, dtype, shape, id, bytes)
            })
            .collect();
        let (loaded, _) = saved
            .load_record(tensors, &saved.description())
            .unwrap_or_else(|error| panic!("{dtype:?}: {error}"));
        let first = &loaded.collect(None, None, false)[0];
        assert_eq!(
            (first.name.as_str(), first.dtype),
            ("block1.conv1.conv.weight", DType::F32)
        );
        for ((name, _, ours), (_, _, theirs)) in
            common::parameters(&loaded).iter().zip(common::parameters(&saved.model))
        {
            let error = common::relative_error(ours, &theirs);
            assert!(error <= bound, "{name} as {dtype:?} is off by {error:.1e}");
        }
        let images = common::input([1, 71, 71, 3], &common::device());
        loaded.forward(images).expect("logits");
    }
}
