//! Every difference is refused, by name, and the module is left as it was.

mod common;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use burn_store::{ApplyError, ModuleSnapshot, ModuleStore};
use common::{Network, RESIDUAL, fixture, names, store};
use keras_store::{KerasStore, KerasStoreError, Mismatch};

fn mismatch(result: Result<burn_store::ApplyResult, KerasStoreError>) -> Mismatch {
    match result {
        Err(KerasStoreError::Mismatch(mismatch)) => *mismatch,
        other => panic!("expected a mismatch, got {other:?}"),
    }
}

fn whole() -> KerasStore {
    store("network.keras").with_names(names(&RESIDUAL))
}

#[test]
fn missing_and_unused_are_both_listed_with_the_nearest_name() {
    // `stem` is misspelt, and the residual has its Keras name.
    let mut store = store("network.keras").with_names(names(&[("backbone/stem", "backbone.sten")]));
    let found = mismatch(Network::new().load_from(&mut store));
    let missing: Vec<_> = found
        .missing
        .iter()
        .map(|n| (n.name.as_str(), n.nearest.as_deref()))
        .collect();
    assert_eq!(missing[0], ("backbone.stem.weight", Some("backbone.sten.weight")));
    assert_eq!(missing.len(), 1 + 1 + 4);
    let unused: Vec<_> = found.unused.iter().map(|n| n.name.as_str()).collect();
    assert!(unused.contains(&"backbone.sten.weight"));
    assert!(unused.contains(&"backbone.batch_normalization_1.running_var"));
    assert_eq!(unused.len(), 6);

    let text = found.to_string();
    for part in [
        "network.keras",
        "6 missing from the file",
        "6 in the file, but not in the module",
        "backbone.stem.weight [4, 3, 3, 3], nearest is `backbone.sten.weight`",
        "backbone.residual_bn.running_mean [6]",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn a_wrong_shape_is_found_before_anything_is_read_and_nothing_is_loaded() {
    let mut network = Network::with_classes(4);
    let before = network.dense.weight.val().into_data();
    let found = mismatch(network.load_from(&mut whole()));
    let shapes: Vec<_> = found
        .shapes
        .iter()
        .map(|s| (s.name.as_str(), s.expected.clone(), s.found.clone()))
        .collect();
    assert_eq!(
        shapes,
        [
            ("scores.weight", vec![5, 4], vec![5, 3]),
            ("scores.bias", vec![4], vec![3]),
        ]
    );
    assert!(
        found
            .to_string()
            .contains("scores.weight: the module has [5, 4], the file [5, 3]")
    );
    assert_eq!(network.dense.weight.val().into_data(), before);
}

#[test]
fn without_validation_a_wrong_shape_is_reported_and_the_rest_is_loaded() {
    let mut network = Network::with_classes(4);
    let result = network.load_from(&mut whole().validate(false)).unwrap();
    let paths: Vec<_> = result
        .errors
        .iter()
        .map(|e| match e {
            ApplyError::ShapeMismatch { path, .. } => path.as_str(),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(paths, ["scores.weight", "scores.bias"]);
    assert!(result.missing.is_empty() && result.unused.is_empty());
    assert!(result.applied.contains(&"dense.weight".to_owned()));
}

#[derive(Module, Debug)]
struct Head {
    dense: Linear,
}

#[test]
fn unused_variables_are_refused_unless_allowed_or_filtered() {
    let head = || Head {
        dense: LinearConfig::new(6, 5).init(&Device::flex()),
    };
    let found = mismatch(head().load_from(&mut whole()));
    assert!(found.missing.is_empty());
    assert_eq!(found.unused.len(), 17);

    // `allow_partial` allows missing parameters, and nothing else.
    let found = mismatch(head().load_from(&mut whole().allow_partial(true)));
    assert_eq!(found.unused.len(), 17);

    let result = head().load_from(&mut whole().allow_unused(true)).unwrap();
    assert_eq!(result.applied, ["dense.weight", "dense.bias"]);
    assert_eq!(result.unused.len(), 17);

    let result = head().load_from(&mut whole().with_regex("^dense\\.")).unwrap();
    assert_eq!(result.applied.len(), 2);
}

#[test]
fn a_filter_leaves_the_other_parameters_alone() {
    let mut network = Network::new();
    let before = network.dense.weight.val().into_data();
    let mut store = whole().with_predicate(|path, _| path.starts_with("backbone."));
    let result = network.load_from(&mut store).unwrap();
    assert_eq!(result.applied.len(), 15);
    assert_eq!(network.dense.weight.val().into_data(), before);
    assert!(result.skipped.contains(&"dense.weight".to_owned()));
}

#[test]
fn another_kind_of_number_is_refused() {
    let mut head = Head {
        dense: LinearConfig::new(2, 3).with_bias(false).init(&Device::flex()),
    };
    let mut store = store("types.weights.h5")
        .with_key_remapping(r"^i64\.0$", "dense.weight")
        .allow_unused(true);
    let found = mismatch(head.load_from(&mut store));
    assert_eq!(found.dtypes.len(), 1);
    assert!(
        found
            .to_string()
            .contains("dense.weight: the module has float, the file I64")
    );
}

/// The stored dense bias of the network with its third value replaced.
fn poisoned(value: f32) -> tempfile::NamedTempFile {
    let mut store = whole();
    let bias = store.get_tensor("dense.bias").unwrap().unwrap();
    let bytes = bias.to_bytes().unwrap().to_vec();
    let mut file = std::fs::read(fixture("network.keras")).unwrap();
    let at = file.windows(bytes.len()).position(|window| window == bytes).unwrap();
    file[at + 8..at + 12].copy_from_slice(&value.to_le_bytes());
    let out = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(out.path(), file).unwrap();
    out
}

#[test]
fn a_value_that_is_not_finite_is_refused_by_name_and_nothing_is_loaded() {
    for value in [f32::NAN, f32::INFINITY] {
        let file = poisoned(value);
        let poisoned = || KerasStore::from_file(file.path()).with_names(names(&RESIDUAL));
        let mut network = Network::new();
        let before = network.dense.weight.val().into_data();
        let found = mismatch(network.load_from(&mut poisoned()));
        assert_eq!(found.values.len(), 1);
        assert_eq!(found.values[0].name, "dense.bias");
        assert!(found.to_string().contains("allow_non_finite(true)"), "{found}");
        assert_eq!(network.dense.weight.val().into_data(), before);

        let mut store = poisoned().allow_non_finite(true);
        network.load_from(&mut store).unwrap();
        assert_ne!(network.dense.weight.val().into_data(), before);
    }
}

#[test]
fn two_layers_may_not_be_renamed_to_one() {
    let mut store = store("network.keras").with_names(names(&[("dense", "x"), ("scores", "x")]));
    let error = store.keys().unwrap_err();
    assert!(
        matches!(&error, KerasStoreError::DuplicateKey { key, first, second, .. }
            if key == "x.weight" && first == "dense/kernel" && second == "scores/kernel"),
        "{error}"
    );
}

#[test]
fn names_rename_a_model_and_all_in_it_and_its_layers_may_have_their_own() {
    let mut store = store("network.keras").with_names(names(&[("backbone", "trunk"), ("backbone/stem", "entry.conv")]));
    let keys = store.keys().unwrap();
    assert!(keys.contains(&"entry.conv.weight".to_owned()));
    assert!(keys.contains(&"trunk.stem_bn.gamma".to_owned()));
    assert!(!keys.iter().any(|k| k.starts_with("backbone.")));
}

#[test]
fn a_builder_after_a_read_is_not_ignored() {
    let mut store = store("network.keras");
    assert!(store.keys().unwrap().contains(&"dense.weight".to_owned()));
    let mut store = store.with_names(names(&[("dense", "renamed")]));
    assert!(store.keys().unwrap().contains(&"renamed.weight".to_owned()));
}
