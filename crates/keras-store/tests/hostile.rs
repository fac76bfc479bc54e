//! Broken and hostile files: an error that is a sentence, quickly, in bounded memory.

mod common;

use std::io::Write;
use std::time::{Duration, Instant};

use burn_store::{ModuleStore, bridge};
use common::{fixture, store};
use hdf5_pure::{AttrValue, Chunk, File, FileBuilder};
use keras_store::{KerasStore, KerasStoreError};
use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn file(bytes: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// Open, list and read everything; the first error, if any.
fn use_all(bytes: &[u8]) -> Result<(), String> {
    let file = file(bytes);
    let mut store = KerasStore::from_file(file.path());
    let tensors = store.get_all_tensors().map_err(|e| e.to_string())?;
    for tensor in tensors.values() {
        bridge::to_data(tensor).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn error(bytes: &[u8]) -> KerasStoreError {
    let file = file(bytes);
    let started = Instant::now();
    let error = KerasStore::from_file(file.path()).layers().unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    error
}

#[track_caller]
fn says(error: &KerasStoreError, part: &str) {
    assert!(error.to_string().contains(part), "no `{part}` in: {error}");
}

#[test]
fn files_of_other_kinds_are_told_apart() {
    says(&error(b""), "an empty file");
    says(&error(b"\n<!DOCTYPE html><html><body>404"), "a web page");
    says(&error(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull");
    says(&error(&[0x80, 2, 99, 7]), "bytes 80 02 63 07");
    says(&error(br#"{"class_name": "Functional"}"#), "without a `weight_map`");
    says(&error(b"{"), "cannot be parsed");
}

#[test]
fn a_missing_file_and_a_directory_are_named() {
    let missing = KerasStore::from_file("no/such.keras").layers().unwrap_err();
    assert!(matches!(&missing, KerasStoreError::Io { .. }));
    says(&missing, "no/such.keras");
    let directory = KerasStore::from_file(fixture("")).layers().unwrap_err();
    says(&directory, "a directory");
}

#[test]
fn random_bytes_are_refused() {
    let mut random = Random(1);
    for magic in [&b""[..], b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"] {
        let noise: Vec<u8> = (0..4096).map(|_| random.next() as u8).collect();
        error(&[magic, &noise].concat());
    }
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    for name in [
        "network.keras",
        "network.weights.h5",
        "network_keras2.h5",
        "types.weights.h5",
    ] {
        let whole = read(name);
        assert_eq!(use_all(&whole), Ok(()), "{name}");
        for cut in (0..whole.len()).step_by(whole.len() / 150) {
            assert!(use_all(&whole[..cut]).is_err(), "{name} at {cut}");
        }
        assert!(use_all(&whole[..whole.len() - 1]).is_err(), "{name}");
    }
}

struct Random(u64);

impl Random {
    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// One to four bytes changed, in a sequence that is the same each time. Every call must return.
#[test]
fn changed_bytes_never_bring_it_down() {
    for (seed, name) in [
        (1, "network.weights.h5"),
        (2, "network_keras2.h5"),
        (3, "types.weights.h5"),
        (4, "network_deflated.keras"),
        (5, "network_keras2_whole.h5"),
    ] {
        let whole = read(name);
        let mut random = Random(seed);
        let mut refused = 0;
        for round in 0..600 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                // A bit, an extreme, or anything.
                bytes[at] = match random.below(3) {
                    0 => bytes[at] ^ (1 << random.below(8)),
                    1 => 0xff,
                    _ => random.next() as u8,
                };
            }
            let started = Instant::now();
            refused += usize::from(use_all(&bytes).is_err());
            assert!(started.elapsed() < Duration::from_secs(5), "{name}, round {round}");
        }
        assert!(refused > 10, "{name}: only {refused} of 600 noticed");
    }
}

/// Replace a shape wherever it stands.
fn reshape(bytes: &mut [u8], from: [u64; 2], to: [u64; 2]) -> usize {
    let pattern = |[a, b]: [u64; 2]| [a.to_le_bytes(), b.to_le_bytes()].concat();
    let (from, to) = (pattern(from), pattern(to));
    let places: Vec<usize> = (0..bytes.len() - 16).filter(|&i| bytes[i..i + 16] == from).collect();
    for &place in &places {
        bytes[place..place + 16].copy_from_slice(&to);
    }
    places.len()
}

#[test]
fn a_shape_larger_than_the_file_reserves_nothing() {
    // The dense kernel, contiguous.
    for to in [[1 << 20, 1 << 20], [u64::MAX, 2], [1 << 63, 1 << 63]] {
        let mut bytes = read("network_keras2.h5");
        assert!(reshape(&mut bytes, [6, 5], to) > 0);
        let error = error(&bytes);
        says(&error, "dense/dense/kernel:0");
        says(&error, "more than a file of");
    }
}

/// A file of one dataset in four chunks, and what their index says of each: its length, filters and place in the
/// dataset, then its address in the file.
fn chunked() -> (Vec<u8>, Vec<Vec<u8>>) {
    let bytes = read("chunked.weights.h5");
    let file = File::from_bytes(bytes.clone()).unwrap();
    let chunks = file.dataset("layers/dense/vars/0").unwrap().chunks().unwrap();
    let entry = |chunk: &Chunk| {
        let fields = [chunk.storage_size, chunk.offset[0], 0, chunk.address];
        fields.iter().flat_map(|field| field.to_le_bytes()).collect()
    };
    (bytes, chunks.iter().map(entry).collect())
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|&place| bytes[place..].starts_with(from))
        .collect();
    assert_eq!(places.len(), 1);
    bytes[places[0]..places[0] + to.len()].copy_from_slice(to);
}

#[test]
fn chunks_that_overlap_are_an_error() {
    let (whole, entries) = chunked();
    assert_eq!(entries.len(), 4);
    assert_eq!(use_all(&whole), Ok(()));
    // The second chunk's address: the first one's, or two bytes behind it.
    for offset in [0, 2] {
        let mut bytes = whole.clone();
        let first = u64::from_le_bytes(entries[0][24..].try_into().unwrap());
        let moved = [&entries[1][..24], &(first + offset).to_le_bytes()].concat();
        replace(&mut bytes, &entries[1], &moved);
        let error = use_all(&bytes).unwrap_err();
        assert!(
            error.contains(&format!(
                "its chunks at the bytes {first} and {} of the file overlap",
                first + offset
            )),
            "{error}"
        );
        assert!(error.contains("`layers/dense/vars/0`"), "{error}");
    }
    // The second chunk's place in the dataset: the third one's.
    let mut bytes = whole.clone();
    let moved = [&entries[1][..8], &entries[2][8..16], &entries[1][16..]].concat();
    replace(&mut bytes, &entries[1], &moved);
    let error = use_all(&bytes).unwrap_err();
    assert!(error.contains("two of its chunks are for the place [2]"), "{error}");
}

/// Values are read when they are requested; the file may have changed by then.
#[test]
fn a_file_that_shrinks_before_its_values_are_read_is_an_error() {
    for name in ["network.keras", "network.weights.h5", "network_keras2.h5"] {
        let file = file(&read(name));
        let mut store = KerasStore::from_file(file.path());
        let tensors = store.get_all_tensors().unwrap().clone();
        let len = file.as_file().metadata().unwrap().len();
        file.as_file().set_len(len / 8).unwrap();
        let errors = tensors.values().filter_map(|tensor| bridge::to_data(tensor).err());
        let errors: Vec<String> = errors.map(|error| error.to_string()).collect();
        assert!(errors.len() > 3, "{name}: {errors:?}");
    }
}

#[test]
fn a_group_that_contains_itself_is_an_error() {
    let error = store("cycle.weights.h5").layers().unwrap_err();
    says(&error, "contains itself");
}

#[test]
fn a_type_nested_thousands_of_levels_deep_does_not_end_the_stack() {
    let keys = store("deep.weights.h5").keys().unwrap();
    assert_eq!(keys, ["dense.weight"]);
}

/// Names that would be the path of another object, once of the group itself without end.
#[test]
fn a_member_without_a_name_or_with_a_slash_is_an_error() {
    for replaced in [b'\0', b'/'] {
        let mut bytes = read("subclassed.weights.h5");
        // The names of the root's members lie in its local heap: `blocks`, `first`, `vars`.
        let at: Vec<usize> = (0..bytes.len() - 6)
            .filter(|&i| &bytes[i..i + 6] == b"blocks")
            .collect();
        assert_eq!(at.len(), 1);
        bytes[at[0]] = replaced;
        says(&error(&bytes), "it has a member named");
    }
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn an_archive_without_weights_lists_what_it_has() {
    let error = error(&zip(&[("config.json", b"{}"), ("saved_model.pb", b"")]));
    says(&error, "no member `model.weights.h5`");
    says(&error, "`saved_model.pb`");
    says(&crate::error(&zip(&[])), "no member at all");
    let numpy = crate::error(&zip(&[("model.weights.npz", b"")]));
    assert!(matches!(numpy, KerasStoreError::Unsupported { .. }));
}

#[test]
fn a_member_elsewhere_in_the_tree_is_not_the_weights() {
    let weights = read("network.weights.h5");
    let error = error(&zip(&[("../model.weights.h5", &weights), ("/etc/passwd", b"x")]));
    says(&error, "no member `model.weights.h5`");
}

/// Each layer's path has the names of the models around it: two megabytes of JSON would be gigabytes of paths.
#[test]
fn paths_that_grow_in_memory_are_refused() {
    let weights = read("network.weights.h5");
    let layer = r#"{"class_name":"ReLU","config":{"name":"a"}},"#.repeat(20_000);
    let name = "x".repeat(1 << 20);
    let layers = layer.trim_end_matches(',');
    let model = |name: &str, layers: &str| {
        format!(r#"{{"class_name":"Model","config":{{"name":"{name}","layers":[{layers}]}}}}"#)
    };
    let config = model("m", &model(&name, layers));
    let error = error(&zip(&[
        ("config.json", config.as_bytes()),
        ("model.weights.h5", &weights),
    ]));
    says(&error, "the paths of its layers have 209");
}

#[test]
fn a_config_that_is_no_json_is_named() {
    let weights = read("network.weights.h5");
    let error = error(&zip(&[("config.json", b"{\"a\":"), ("model.weights.h5", &weights)]));
    says(&error, "`config.json` cannot be parsed");
    let deep = "[".repeat(50_000);
    let error = crate::error(&zip(&[("config.json", deep.as_bytes())]));
    says(&error, "recursion limit");
}

#[test]
fn weights_that_are_no_hdf5_are_an_error() {
    let error = error(&zip(&[("model.weights.h5", b"not HDF5 at all")]));
    assert!(matches!(error, KerasStoreError::Hdf5 { .. }), "{error}");
}

/// Set a little-endian field in the local and the central header of a member.
fn patch(bytes: &mut [u8], member: &str, local: usize, central: usize, value: &[u8]) {
    let mut patched = 0;
    for (signature, field, name_at) in [(b"PK\x03\x04", local, 30), (b"PK\x01\x02", central, 46)] {
        for i in 0..bytes.len() - name_at - member.len() {
            if bytes[i..].starts_with(signature) && bytes[i + name_at..].starts_with(member.as_bytes()) {
                bytes[i + field..i + field + value.len()].copy_from_slice(value);
                patched += 1;
            }
        }
    }
    assert_eq!(patched, 2);
}

#[test]
fn an_encrypted_member_is_refused() {
    let mut bytes = read("network.keras");
    // General purpose flags, bit 0.
    patch(&mut bytes, "model.weights.h5", 6, 8, &[1]);
    says(&error(&bytes), "`model.weights.h5` is encrypted");
}

#[test]
fn a_bomb_is_refused_by_what_it_declares() {
    let mut bytes = read("network_deflated.keras");
    // Uncompressed size: 4 GB from a few thousand bytes.
    patch(&mut bytes, "model.weights.h5", 22, 24, &0xf000_0000_u32.to_le_bytes());
    says(&error(&bytes), "which no weights deflate to");

    let mut bytes = read("network_deflated.keras");
    patch(&mut bytes, "config.json", 22, 24, &0xf000_0000_u32.to_le_bytes());
    says(&error(&bytes), "more than the");
}

#[test]
fn a_bomb_is_stopped_at_the_size_it_declares() {
    for member in ["model.weights.h5", "config.json"] {
        let mut bytes = read("network_deflated.keras");
        patch(&mut bytes, member, 22, 24, &100_u32.to_le_bytes());
        says(&error(&bytes), "larger than its declared uncompressed size");
    }
}

#[test]
fn a_stored_member_that_ends_behind_the_file_is_refused() {
    let mut bytes = read("network.keras");
    for (local, central) in [(18, 20), (22, 24)] {
        patch(
            &mut bytes,
            "model.weights.h5",
            local,
            central,
            &0x7fff_ffff_u32.to_le_bytes(),
        );
    }
    says(&error(&bytes), "cut short");
}

#[test]
fn shards_lie_beside_their_map() {
    for name in ["../secret.h5", "/etc/passwd", "a/b.h5", "..", "a\\b.h5"] {
        let map = serde_json::json!({"weight_map": {"/layers/dense/vars": name}});
        let error = error(map.to_string().as_bytes());
        says(&error, "not a plain file name");
    }
    let map = serde_json::json!({"weight_map": {"/layers/dense/vars": ["gone_00000.weights.h5"]}});
    says(&error(map.to_string().as_bytes()), "gone_00000.weights.h5");
}

#[test]
fn hdf5_that_is_not_keras_says_what_was_looked_for() {
    let tree = read("network_keras2.h5");
    // Break the attribute's name, and nothing else.
    let mut bytes = tree.clone();
    for i in 0..bytes.len() - 11 {
        if &bytes[i..i + 11] == b"layer_names" {
            bytes[i] = b'L';
        }
    }
    says(&error(&bytes), "expected the attribute `layer_names`");
}

#[test]
fn a_weight_that_is_listed_and_absent_is_named() {
    let mut bytes = read("network_keras2.h5");
    // The attribute's `scores/bias:0` becomes `scores/bias:1`; the dataset keeps its name.
    let at: Vec<usize> = (0..bytes.len() - 13)
        .filter(|&i| &bytes[i..i + 13] == b"scores/bias:0")
        .collect();
    assert_eq!(at.len(), 1);
    bytes[at[0] + 12] = b'1';
    says(&error(&bytes), "there is no dataset `scores/scores/bias:1`");
}

#[test]
fn kernels_flipped_by_theano_are_refused() {
    let mut bytes = read("network_keras2.h5");
    let at = (0..bytes.len() - 10)
        .find(|&i| &bytes[i..i + 10] == b"tensorflow")
        .unwrap();
    bytes[at..at + 10].copy_from_slice(b"theano\0\0\0\0");
    says(&error(&bytes), "Theano");
}

/// Weights do not deflate; zeros do, a thousand times.
#[test]
fn datasets_that_unfold_to_far_more_than_the_file_are_refused() {
    let zeros = |megabytes: usize| {
        let mut builder = FileBuilder::new();
        builder.set_attr(
            "layer_names",
            AttrValue::VarLenAsciiStringArray(vec!["big".into(), "more".into()]),
        );
        for name in ["big", "more"] {
            let mut group = builder.create_group(name);
            group.set_attr(
                "weight_names",
                AttrValue::VarLenAsciiStringArray(vec![format!("{name}/kernel:0")]),
            );
            let mut inner = group.create_group(name);
            inner
                .create_dataset("kernel:0")
                .with_f32_data(&vec![0.0; megabytes << 17])
                .with_shape(&[megabytes as u64, 1 << 17])
                .with_chunks(&[1, 1 << 17])
                .with_deflate(9);
            group.add_group(inner.finish());
            builder.add_group(group.finish());
        }
        builder.finish().unwrap()
    };
    // Two datasets of 60 half megabytes are just allowed; two of 70 are not, although one would be.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zeros.h5");
    std::fs::write(&path, zeros(60)).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
    assert_eq!(KerasStore::from_file(&path).layers().unwrap().len(), 2);
    says(&error(&zeros(70)), "which weights do not");
}

/// A text that is small in the file and large in memory, as a `.keras`, a whole-model `.h5` and the map of shards hold
/// it.
#[test]
fn a_config_that_grows_in_memory_is_refused() {
    let text = format!("{{\"weight_map\":[{}0]}}", "{\"\":0},".repeat(1 << 17));
    says(&error(text.as_bytes()), "objects and lists");

    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in [
        ("config.json", text.as_bytes()),
        ("model.weights.h5", &read("types.weights.h5")),
    ] {
        zip.start_file(name, deflated).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let archive = zip.finish().unwrap().into_inner();
    assert!(archive.len() < 1 << 16);
    says(&error(&archive), "objects and lists");

    let mut builder = FileBuilder::new();
    builder.set_attr("layer_names", AttrValue::VarLenAsciiStringArray(vec!["dense".into()]));
    builder.set_attr("model_config", AttrValue::VarLenString(text));
    says(&error(&builder.finish().unwrap()), "objects and lists");
}
