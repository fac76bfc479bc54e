//! The network fused for prediction, against Keras's numbers and against the plain modules.

mod common;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use common::{Golden, Names, nhwc, relative_error, toy, values};
use xception_model::graph::{NodeId, Op};
use xception_model::{
    Architecture, InferenceNetwork, InputError, IntermediateActivation, OutputStride, Pooling, SeparableOrder, Variant,
    Xception, XceptionConfig,
};

/// Compares the outputs of a fused network with a golden file.
fn check(file: &str, device: &Device, bound: f64) {
    let golden: Golden = common::read(&format!("network/{file}"));
    let model = common::with_formula_of(&golden.network.architecture(), golden.names, device).fuse();
    let names = common::stage_names(model.graph(), golden.names);
    let input = common::input(golden.input, device);
    // Flattening moves numbers and computes none.
    let flattens = model
        .graph()
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Flatten { .. }));
    let flattens = flattens.count();
    if model.kernels().is_some() {
        assert_eq!(model.without_kernels(), flattens, "{file}: operations on Burn");
    }

    let graph = model.graph();
    let layer = |node: Option<NodeId>| node.map(|node| graph.layer_of(node)).expect("the network has it");
    let (map, embedding) = (layer(graph.roles.feature_map), layer(graph.roles.embedding));
    let features = nhwc(&model.feature_map(input.clone()).expect("a valid input"));
    let vector = |tensor: Tensor<2>| (tensor.dims().to_vec(), values(&tensor));
    let outputs = [
        (map.block.as_str(), features.clone()),
        (map.name.as_str(), features),
        (
            embedding.name.as_str(),
            vector(model.embed(input.clone()).expect("a valid input")),
        ),
        ("predictions", vector(model.forward(input).expect("a valid input"))),
    ];
    let mut compared = 0;
    for record in &golden.stages {
        let is_it = |name: &str| names.get(name).map_or(name, String::as_str) == record.stage;
        let Some((_, (shape, values))) = outputs.iter().find(|(name, _)| is_it(name)) else {
            continue;
        };
        for error in record.errors(shape, values) {
            assert!(error <= bound, "{file}: {} is off by {error:.2e}", record.stage);
        }
        compared += 1;
    }
    // Of PyTorch's modules the last one alone is an output of ours.
    let least = if golden.names == Names::Torch { 1 } else { 2 };
    assert!(compared >= least, "{file}: only {compared} stages could be compared");
}

fn check_all(prefix: &str, size: &str, device: &Device, bound: f64) {
    for file in common::goldens(prefix, &[size], 10) {
        check(&file, device, bound);
    }
}

#[cfg(feature = "flex")]
#[test]
fn the_full_network_holds_its_goldens() {
    check_all("full", "", &Device::flex(), 1e-5);
}

#[cfg(feature = "flex")]
#[test]
fn resnet_50_holds_its_goldens() {
    for file in common::goldens("resnet", &[""], 4) {
        check(&file, &Device::flex(), 1e-5);
    }
}

#[cfg(feature = "flex")]
#[test]
fn the_zoo_holds_its_goldens() {
    for file in common::goldens("zoo", &[""], 32) {
        check(&file, &Device::flex(), 1e-5);
    }
}

/// On a machine without vector instructions, simulated by an environment variable in a second process.
#[cfg(feature = "flex")]
#[test]
fn the_full_network_holds_its_goldens_on_the_portable_path() {
    let child = std::process::Command::new(std::env::current_exe().expect("a test has a program"))
        .args(["--exact", "the_full_network_holds_its_goldens"])
        .env("KERNELS_ISA", "portable")
        .output()
        .expect("the test can be run");
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn toy_networks_hold_their_goldens_on_every_backend_of_the_processor() {
    for (_, device) in common::devices() {
        check_all("toy", "", &device, 1e-5);
    }
}

/// At one size only: the software Vulkan device compiles its kernels again for every shape.
#[cfg(feature = "wgpu")]
#[test]
fn toy_networks_hold_their_goldens_on_wgpu() {
    check_all("toy", "71x71", &Device::wgpu(burn::tensor::DeviceKind::default()), 1e-4);
}

fn without_last_layers(count: usize) -> XceptionConfig {
    let network = Architecture::from(toy()).without_last_layers(count).unwrap();
    network.xception().unwrap().clone().with_include_top(true)
}

/// Every option, fused against plain.
#[test]
fn every_option_gives_what_the_plain_modules_give() {
    let options: Vec<(&str, XceptionConfig, bool)> = vec![
        ("defaults", toy(), true),
        ("torch", toy().with_variant(Variant::Torch), true),
        ("no residual", toy().with_residual(false), true),
        (
            "relu between",
            toy().with_intermediate_activation(IntermediateActivation::Relu),
            true,
        ),
        (
            "elu between",
            toy().with_intermediate_activation(IntermediateActivation::Elu),
            true,
        ),
        (
            "pointwise first",
            toy().with_order(SeparableOrder::PointwiseFirst),
            true,
        ),
        ("stride 16", toy().with_output_stride(OutputStride::S16), true),
        ("one layer left out", without_last_layers(1), true),
        ("two layers left out", without_last_layers(2), true),
        (
            "stride 8, torch",
            toy().with_output_stride(OutputStride::S8).with_variant(Variant::Torch),
            true,
        ),
        (
            "max pooling, hidden layers",
            toy().with_pooling(Pooling::Max).with_hidden_layers(vec![7, 5]),
            true,
        ),
        (
            "five channels, three middle blocks",
            toy().with_in_channels(5).with_middle_blocks(3),
            true,
        ),
        ("no middle block", toy().with_middle_blocks(0), true),
    ];
    for (backend, device) in common::devices() {
        for (name, config, packed) in &options {
            let plain = common::network(config, &device);
            let fused = plain.fuse();
            assert_eq!(
                fused.kernels().is_some(),
                *packed && backend == "flex",
                "{name} on {backend}"
            );
            let input = common::input([2, 83, 97, config.in_channels], &device);
            compare(&plain, &fused, &input, &format!("{name} on {backend}"));
        }
    }
}

/// Levels of the pyramid and every stage, including stages that the engine does not output.
#[test]
fn levels_and_stages_are_those_of_the_plain_modules() {
    for (backend, device) in common::devices() {
        let plain = common::network(&toy(), &device);
        let fused = plain.fuse();
        let input = common::input([1, 83, 97, 3], &device);
        let (ours, theirs) = (
            fused.pyramid(input.clone()).unwrap(),
            plain.pyramid(input.clone()).unwrap(),
        );
        assert_eq!(ours.levels.len(), 5);
        for (ours, theirs) in ours.levels.iter().zip(&theirs.levels) {
            assert_eq!(
                (&ours.name, &ours.stage, ours.stride),
                (&theirs.name, &theirs.stage, theirs.stride)
            );
            let error = relative_error(&values(&ours.features), &values(&theirs.features));
            assert!(error <= 1e-5, "{} on {backend}: off by {error:.2e}", ours.name);
        }
        for name in ["block1_conv1", "block4_sepconv2_bn", "avg_pool"] {
            let ours = fused.clone().stage(input.clone(), name).unwrap();
            let theirs = plain.stage(input.clone(), name).unwrap();
            assert_eq!(values(&ours), values(&theirs), "{name}");
        }
    }
}

fn compare(plain: &Xception, fused: &InferenceNetwork, input: &Tensor<4>, name: &str) {
    let close = |ours: &[f32], theirs: &[f32]| {
        let error = relative_error(ours, theirs);
        assert!(error <= 1e-5, "{name}: off by {error:.2e}");
    };
    let ours = fused.feature_map(input.clone()).unwrap();
    let theirs = plain.feature_map(input.clone()).unwrap();
    assert_eq!(ours.dims(), theirs.dims(), "{name}");
    close(&values(&ours), &values(&theirs));
    close(
        &values(&fused.embed(input.clone()).unwrap()),
        &values(&plain.embed(input.clone()).unwrap()),
    );
    close(
        &values(&fused.forward(input.clone()).unwrap()),
        &values(&plain.forward(input.clone()).unwrap()),
    );
    close(
        &values(&fused.predict(input.clone()).unwrap()),
        &values(&plain.predict(input.clone()).unwrap()),
    );
}

/// Pictures of other sizes and batches in between: buffers are reused, and no value of an earlier run remains.
#[test]
fn a_run_leaves_nothing_to_the_next() {
    let device = common::device();
    let fused = common::network(&toy(), &device).fuse();
    let small = common::input([1, 71, 71, 3], &device);
    let large = common::input([3, 120, 90, 3], &device);
    let first = values(&fused.forward(small.clone()).unwrap());
    let all = values(&fused.forward(large.clone()).unwrap());
    assert_eq!(values(&fused.forward(small).unwrap()), first);
    let one = large.narrow(0, 2, 1);
    assert_eq!(values(&fused.forward(one).unwrap()), all[20..]);
}

#[test]
fn a_picture_with_nan_gives_nan_as_the_plain_modules_do() {
    let device = common::device();
    let plain = common::network(&toy(), &device);
    let shape = [1, 3, 71, 71];
    let mut pixels = values(&common::input([1, 71, 71, 3], &device));
    pixels[35 * 71 + 35] = f32::NAN;
    let input = Tensor::<4>::from_data(TensorData::new(pixels, shape), &device);
    assert!(
        values(&plain.forward(input.clone()).unwrap())
            .iter()
            .all(|value| value.is_nan())
    );
    assert!(
        values(&plain.fuse().forward(input).unwrap())
            .iter()
            .all(|value| value.is_nan())
    );
}

#[test]
fn bad_input_is_refused_as_by_the_plain_modules() {
    let device = common::device();
    let fused = common::network(&toy(), &device).fuse();
    let zeros = |shape: [usize; 4]| Tensor::<4>::zeros(shape, &device);
    assert!(matches!(
        fused.forward(zeros([0, 3, 71, 71])),
        Err(InputError::EmptyBatch(_))
    ));
    assert!(matches!(
        fused.forward(zeros([1, 4, 71, 71])),
        Err(InputError::Channels { .. })
    ));
    assert!(matches!(
        fused.embed(zeros([1, 3, 70, 71])),
        Err(InputError::TooSmall { .. })
    ));
    assert!(matches!(
        fused.feature_map(zeros([1, 3, 71, 70])),
        Err(InputError::TooSmall { .. })
    ));

    let headless = toy().with_include_top(false).with_pooling(Pooling::None);
    let headless = common::network(&headless, &device).fuse();
    assert!(matches!(
        headless.forward(zeros([1, 3, 71, 71])),
        Err(InputError::NoTop)
    ));
    assert!(matches!(
        headless.embed(zeros([1, 3, 71, 71])),
        Err(InputError::NoPooling)
    ));
    assert_eq!(
        headless.feature_map(zeros([1, 3, 71, 71])).unwrap().dims(),
        [1, 24, 3, 3]
    );
}

/// A network can be fused between two training steps.
#[test]
fn a_network_with_gradients_can_be_fused() {
    let device = common::device();
    let plain = common::network(&toy(), &device);
    let input = common::input([1, 71, 71, 3], &device);
    let expected = values(&plain.fuse().forward(input.clone()).unwrap());

    let training = plain.train().fork(&device.clone().autodiff());
    let fused = training.fuse();
    assert_eq!(values(&fused.forward(input.autodiff()).unwrap()), expected);
}
