//! The network against Keras, stage by stage, on every backend that is compiled in.
//!
//! `flex` and `ndarray` hold a relative error of 1e-5 in norm at every stage, `wgpu` 1e-4.

mod common;

use burn::tensor::Device;
use common::{Golden, nhwc};

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

#[cfg(feature = "flex")]
#[test]
fn full_network_on_flex() {
    check_all(&common::goldens("full", &[""], 10), &Device::flex(), 1e-5);
}

#[cfg(feature = "flex")]
#[test]
fn resnet_50_on_flex() {
    check_all(&common::goldens("resnet", &[""], 4), &Device::flex(), 1e-5);
}

/// By Keras, torchvision and timm.
#[cfg(feature = "flex")]
#[test]
fn the_zoo_on_flex() {
    check_all(&common::goldens("zoo", &[""], 32), &Device::flex(), 1e-5);
}

#[cfg(feature = "ndarray")]
#[test]
fn toy_networks_on_ndarray() {
    check_all(&common::goldens("toy", &[""], 10), &ndarray(), 1e-5);
}

/// Several pictures only at small sizes: this backend takes seconds for one picture.
#[cfg(feature = "ndarray")]
#[test]
fn full_network_on_ndarray() {
    check_all(&common::goldens("full", &["-b1", "71x71"], 6), &ndarray(), 1e-5);
}

#[cfg(feature = "ndarray")]
#[allow(deprecated, reason = "ndarray is deprecated upstream and stays a feature here")]
fn ndarray() -> Device {
    Device::ndarray()
}

/// At one size only: the software Vulkan device compiles its kernels again for every shape.
#[cfg(feature = "wgpu")]
#[test]
fn toy_networks_on_wgpu() {
    check_all(
        &common::goldens("toy", &["71x71"], 10),
        &Device::wgpu(burn::tensor::DeviceKind::default()),
        1e-4,
    );
}

/// Once and small: the software Vulkan device takes seconds per picture.
#[cfg(feature = "wgpu")]
#[test]
fn full_network_on_wgpu() {
    check(
        "full-71x71-b1.json",
        &Device::wgpu(burn::tensor::DeviceKind::default()),
        1e-4,
    );
}
