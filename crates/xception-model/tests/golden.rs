//! The network against Keras, stage by stage, on every backend that is compiled in.
//!
//! `flex` and `ndarray` hold a relative error of 1e-5 in norm at every stage, `wgpu` 1e-4.

mod common;
#[path = "common/readme.rs"]
mod readme;

use std::collections::BTreeMap;

use burn::tensor::Device;
use common::{Golden, nhwc};
use readme::ReadmeTable;
use xception_model::Architecture;

/// Compares one golden file on one device; returns the largest error seen.
fn check(file: &str, device: &Device, bound: f64) -> f64 {
    let golden: Golden = common::read(&format!("network/{file}"));
    let model = common::with_formula_of(&golden.network.architecture(), golden.names, device);
    let names = common::stage_names(model.graph(), golden.names);
    let input = common::input(golden.input, device);

    let mut left: Vec<_> = golden.stages.iter().collect();
    let mut worst = 0.0_f64;
    model
        .each_stage(input, &mut |name, output| {
            let name = names.get(name).map_or(name, String::as_str);
            let Some(index) = left.iter().position(|record| record.stage == name) else {
                return;
            };
            let record = left.remove(index);
            let (shape, values) = nhwc(output);
            for error in record.errors(&shape, &values) {
                assert!(
                    error <= bound,
                    "{file}: {name} is off by {error:.2e}, more than {bound:.0e}"
                );
                worst = worst.max(error);
            }
        })
        .expect("a valid input");
    let missing: Vec<_> = left.iter().map(|record| &record.stage).collect();
    assert!(missing.is_empty(), "{file}: no stage is called {missing:?}");
    println!("{file}: largest relative error {worst:.1e}");
    worst
}

fn check_all(files: &[String], device: &Device, bound: f64) {
    for file in files {
        check(file, device, bound);
    }
}

#[cfg(feature = "flex")]
#[test]
fn toy_networks_on_flex() {
    check_all(&common::goldens("toy", &[""], 10), &Device::flex(), 1e-5);
}

/// ResNet-50 with few channels, every layer.
#[cfg(feature = "flex")]
#[test]
fn toy_resnet_on_flex() {
    check_all(&common::goldens("resnet-toy", &[""], 2), &Device::flex(), 1e-5);
}

/// A backend in README's column of errors.
struct Backend {
    name: &'static str,
    device: fn() -> Device,
    bound: f64,
    /// Which goldens of a network, the smallest first, it is compared with.
    files: fn(&[String]) -> &[String],
}

/// The backends that are compiled in; `None` for others, whose numbers in README are kept.
const BACKENDS: [Option<Backend>; 3] = [
    #[cfg(feature = "flex")]
    Some(Backend {
        name: "flex",
        device: Device::flex,
        bound: 1e-5,
        files: |all| all,
    }),
    #[cfg(not(feature = "flex"))]
    None,
    #[cfg(feature = "ndarray")]
    Some(Backend {
        name: "ndarray",
        device: ndarray,
        bound: 1e-5,
        // This backend takes seconds for one picture.
        files: |all| &all[..all.len().min(2)],
    }),
    #[cfg(not(feature = "ndarray"))]
    None,
    #[cfg(feature = "wgpu")]
    Some(Backend {
        name: "wgpu",
        device: wgpu,
        bound: 1e-4,
        // The software Vulkan device compiles its kernels again for every shape.
        files: |all| &all[..1],
    }),
    #[cfg(not(feature = "wgpu"))]
    None,
];

/// The goldens of each published network, Keras's and PyTorch's, the smallest first.
fn published_goldens() -> Vec<(&'static str, Vec<String>)> {
    let mut files: Vec<(usize, String, String)> = Vec::new();
    for (prefix, least) in [("full", 10), ("resnet50", 2), ("zoo", 32)] {
        for file in common::goldens(prefix, &[""], least) {
            let golden: Golden = common::read(&format!("network/{file}"));
            let name = file.trim_start_matches("zoo-").trim_start_matches("torch-");
            let name = name.split('-').next().unwrap_or(name).replace("full", "xception");
            files.push((golden.input.iter().product(), name, file));
        }
    }
    files.sort();
    let mut networks: Vec<(&str, Vec<String>)> = Vec::new();
    for published in Architecture::published() {
        let own = files.iter().filter(|(_, name, _)| name == published.name);
        let own: Vec<String> = own.map(|(.., file)| file.clone()).collect();
        assert!(own.len() >= 2, "{}: {own:?}", published.name);
        networks.push((published.name, own));
    }
    assert_eq!(networks.iter().map(|(_, own)| own.len()).sum::<usize>(), files.len());
    networks.sort();
    networks
}

/// Every published network against Keras, torchvision or timm. README has the largest errors, which may differ by the
/// processor's order of additions.
#[test]
fn published_networks_are_as_exact_as_the_readme_says() {
    let readme = ReadmeTable::read("architectures");
    let written: BTreeMap<&str, &str> = readme.column("largest error").into_iter().collect();
    let mut measured = BTreeMap::new();
    for (name, files) in published_goldens() {
        let row = format!("`{name}`");
        let said: Vec<&str> = written
            .get(row.as_str())
            .map_or(Vec::new(), |cell| cell.split(", ").collect());
        let cell = BACKENDS.iter().enumerate().map(|(index, backend)| {
            let said = said.get(index).copied().unwrap_or("");
            let Some(backend) = backend else { return said.to_owned() };
            let device = (backend.device)();
            let errors = (backend.files)(&files)
                .iter()
                .map(|file| check(file, &device, backend.bound));
            let worst = errors.fold(0.0, f64::max);
            if readme::is_updated() {
                return format!("{worst:.1e}");
            }
            let figure: f64 = said
                .parse()
                .unwrap_or_else(|_| panic!("README has no figure of {name}"));
            assert!(
                worst <= 2.0 * figure,
                "{name} on {}: {worst:.1e}, README says {said}",
                backend.name
            );
            said.to_owned()
        });
        let cell = cell.collect::<Vec<_>>().join(", ");
        measured.insert(row, cell);
    }
    readme.check_column("largest error", |row| measured[row].clone());
}

#[cfg(feature = "ndarray")]
#[test]
fn toy_networks_on_ndarray() {
    check_all(&common::goldens("toy", &[""], 10), &ndarray(), 1e-5);
}

/// The sizes that the README's table leaves out, one picture each: this backend takes seconds for one picture.
#[cfg(feature = "ndarray")]
#[test]
fn larger_pictures_on_ndarray() {
    let larger = ["150x150-b1", "224x224-b1", "299x299-b1", "331x200-b1"];
    check_all(&common::goldens("full", &larger, 4), &ndarray(), 1e-5);
}

#[cfg(feature = "ndarray")]
#[allow(deprecated, reason = "ndarray is deprecated upstream and stays a feature here")]
fn ndarray() -> Device {
    Device::ndarray()
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Device {
    Device::wgpu(burn::tensor::DeviceKind::default())
}

/// At one size only: the software Vulkan device compiles its kernels again for every shape.
#[cfg(feature = "wgpu")]
#[test]
fn toy_networks_on_wgpu() {
    check_all(&common::goldens("toy", &["71x71"], 10), &wgpu(), 1e-4);
}
