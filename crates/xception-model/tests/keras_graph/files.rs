//! The fixtures that Keras wrote.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use graph::Graph;
use keras_store::KerasStore;
use xception_model::{FileGraph, keras};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keras")
        .join(name)
}

pub fn unpacked(path: &Path) -> Vec<u8> {
    let packed = std::fs::read(path).expect("the fixture is there");
    let mut bytes = Vec::new();
    GzDecoder::new(packed.as_slice())
        .read_to_end(&mut bytes)
        .expect("a gzip file");
    bytes
}

/// A fixture's store. A gzipped fixture is unpacked into the returned folder, which must live as long as the store.
pub fn store(name: &str) -> (KerasStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut path = fixture(name);
    if !path.exists() {
        let packed = path.with_file_name(format!("{}.gz", path.file_name().unwrap().to_string_lossy()));
        path = folder.path().join("model.h5");
        std::fs::write(&path, unpacked(&packed)).expect("a writable folder");
    }
    (KerasStore::from_file(path), folder)
}

pub fn read(name: &str) -> FileGraph {
    let (mut store, _folder) = store(name);
    let network = keras::read(&mut store).unwrap_or_else(|error| panic!("{name}: {error}"));
    network.unwrap_or_else(|| panic!("{name} has a model"))
}

/// A fixture with a model: its title, nodes and layers of its graph, parameters, the shape of its output.
pub type Model = (&'static str, &'static str, usize, usize, usize, &'static [usize]);

pub const MODELS: [Model; 20] = [
    ("cnn.keras", "sequential_2", 6, 6, 301, &[5]),
    ("hidden.keras", "xception", 82, 67, 1497, &[5]),
    ("legacy_model.h5", "xception", 77, 64, 1435, &[5]),
    ("max.keras", "xception", 77, 64, 1435, &[5]),
    ("nested_frozen.h5", "functional_20", 78, 65, 1435, &[5]),
    ("nested_functional.keras", "functional_17", 78, 65, 1435, &[5]),
    ("nested_sequential.keras", "sequential", 78, 65, 1435, &[5]),
    ("nested_unfrozen.h5", "sequential_1", 78, 65, 1435, &[5]),
    ("notop.keras", "xception", 75, 62, 1390, &[8, 11, 7]),
    ("offset.keras", "xception", 77, 64, 1435, &[5]),
    ("toy.keras", "xception", 77, 64, 1435, &[5]),
    ("unnamed/adapted.h5", "functional", 29, 24, 2631, &[3]),
    ("unnamed/adapted.keras", "functional", 29, 24, 2631, &[3]),
    ("unnamed/constant.keras", "functional", 29, 24, 2631, &[3]),
    ("unnamed/linear1.keras", "functional", 28, 24, 2617, &[1]),
    ("unnamed/raw.keras", "functional", 28, 23, 2631, &[3]),
    ("unnamed/sigmoid1.h5", "functional", 29, 24, 2617, &[1]),
    ("unnamed/sigmoid1.keras", "functional", 29, 24, 2617, &[1]),
    ("unnamed/signed.keras", "functional", 29, 24, 2631, &[3]),
    ("unnamed/softmax3.keras", "functional", 29, 24, 2631, &[3]),
];

pub fn named(graph: &Graph, order: &[graph::LayerId]) -> Vec<String> {
    order.iter().map(|layer| graph.layer(*layer).name.clone()).collect()
}
