//! What each fuzz target does with its bytes. `crates/converter/tests/corpus.rs` does the same with the corpus, in CI.

use std::io::Write;
use std::path::{Path, PathBuf};

use burn_store::{ModuleStore, bridge};
use converter::ConvertError;
use keras_store::KerasStore;
use tempfile::TempDir;
use xception_model::keras::{self, End, ReadError};
use xception_model::picture::{self, DecodeLimits, Preset};
use xception_model::registry::Card;
use xception_model::{HiddenActivation, Outputs, Pooling, Scaling, Unknown, Variant, WeightsError, labels};

/// What a target does with its bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 7] = [
    ("keras_store", keras_store),
    ("keras_archive", keras_archive),
    ("keras_graph", keras_graph),
    ("weights", weights),
    ("card", card),
    ("label_file", label_file),
    ("picture", picture),
];

fn file(name: &str, bytes: &[u8]) -> Option<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir().ok()?;
    let path = folder.path().join(name);
    std::fs::File::create(&path).ok()?.write_all(bytes).ok()?;
    Some((folder, path))
}

/// Opens a Keras file of any layout and reads every tensor of it.
pub fn keras_store(bytes: &[u8]) {
    if let Some((_folder, path)) = file("weights.h5", bytes) {
        read_keras(&path);
    }
}

/// The same from a `.keras` archive, which is a zip.
pub fn keras_archive(bytes: &[u8]) {
    if let Some((_folder, path)) = file("model.keras", bytes) {
        read_keras(&path);
    }
}

fn read_keras(path: &Path) {
    let mut store = KerasStore::from_file(path);
    let _ = store.layers();
    let _ = keras::read(&mut store);
    if let Ok(tensors) = store.get_all_tensors() {
        for tensor in tensors.values() {
            let _ = bridge::to_data(tensor);
        }
    }
}

/// The config of a Keras model as a graph, and that as a model again.
pub fn keras_graph(bytes: &[u8]) {
    let Ok(config) = serde_json::from_slice(bytes) else {
        return;
    };
    let network = match keras::read_config(&config, Some(2)) {
        Ok(network) => network,
        Err(ReadError::Unknown { backbone, .. }) => backbone.map(|network| *network),
        Err(_) => None,
    };
    if let Some(network) = network {
        let size = network.size.unwrap_or([75, 90]);
        let _ = keras::keras_model(&network.graph, size, End::Softmax);
    }
}

/// Any weight file the converter reads, as far as a network.
pub fn weights(bytes: &[u8]) {
    let known = converter::Known {
        size: Some([75, 90]),
        ..converter::Known::default()
    };
    let Some((_folder, path)) = file("weights.bin", bytes) else {
        return;
    };
    let opened = converter::open(&path, &known).or_else(|error| {
        let ConvertError::Weights(WeightsError::Unknown { unknown, .. }) = error else {
            return Err(error);
        };
        let says = |what: Unknown| unknown.contains(&what);
        let known = converter::Known {
            pooling: says(Unknown::Pooling).then_some(Pooling::Average),
            variant: says(Unknown::Variant).then_some(Variant::Keras),
            // Of one output or several.
            outputs: says(Unknown::Outputs).then_some(Outputs::Sigmoid),
            hidden_activation: says(Unknown::HiddenActivation).then_some(HiddenActivation::RELU),
            scaling: says(Unknown::Scaling).then_some(Scaling::Unit),
            ..known
        };
        converter::open(&path, &known)
    });
    if let Ok(source) = opened {
        let _ = source.load(&burn::tensor::Device::flex());
    }
}

/// A weight set's card.
pub fn card(bytes: &[u8]) {
    if let Some((_folder, path)) = file("card.toml", bytes) {
        let _ = Card::load(&path);
    }
}

/// A label file.
pub fn label_file(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = labels::parse(text);
    }
}

/// A picture; its first byte chooses the preset, the second the limits.
pub fn picture(bytes: &[u8]) {
    let [choice, limit, bytes @ ..] = bytes else {
        return;
    };
    let limits = DecodeLimits {
        max_pixels: 1 << (limit % 22),
        max_bytes: 64 << 20,
        max_file_bytes: 1 << 20,
    };
    let preset = Preset::ALL[usize::from(*choice) % Preset::ALL.len()];
    if let Ok(picture) = picture::decode(bytes, limits) {
        let _ = preset.apply(&picture, 71, 73);
    }
}
