//! The backends' features, checked in the manifests, because a build has only some of them: each crate's feature enables
//! the next crate's, down to Burn's.

use std::path::Path;

use toml::{Table, Value};

const BACKENDS: [&str; 11] = [
    "flex", "ndarray", "wgpu", "vulkan", "metal", "webgpu", "cuda", "rocm", "cpu", "tch", "remote",
];

/// The features of a crate of the workspace.
fn features(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(name)
        .join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut manifest: Table = toml::from_str(&text).unwrap();
    match manifest.remove("features") {
        Some(Value::Table(features)) => features,
        other => panic!("{name}: {other:?}"),
    }
}

fn turns_on(features: &Table, feature: &str, wanted: &str) -> bool {
    let list = features.get(feature).and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|entry| entry.as_str() == Some(wanted)))
}

#[test]
fn backends_pass_on_to_burn() {
    let [program, trainer, model] = ["cli", "trainer", "xception-model"].map(features);
    for backend in BACKENDS {
        assert!(
            turns_on(&model, backend, &format!("burn/{backend}")),
            "xception-model: {backend}"
        );
        let next = format!("xception-model/{backend}");
        assert!(turns_on(&program, backend, &next), "cli: {backend}");
        if trainer.contains_key(backend) {
            assert!(turns_on(&trainer, backend, &next), "trainer: {backend}");
        }
    }
    for features in [&program, &model] {
        let default = features["default"].as_array().unwrap();
        assert!(
            default.iter().any(|feature| feature.as_str() == Some("flex")),
            "{default:?}"
        );
    }
    // CubeCL's backends can name the device.
    for backend in ["wgpu", "vulkan", "metal", "webgpu", "cuda", "rocm", "cpu"] {
        assert!(turns_on(&program, backend, "cubecl"), "{backend}");
    }
}
