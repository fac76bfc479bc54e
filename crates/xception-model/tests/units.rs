//! Networks trained by kernels against the same networks trained by Burn's operations: logits, gradients, running
//! statistics, and ten updates.
#![cfg(feature = "flex")]

mod common;

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, FloatDType, GradientCheckpointingStrategy, Int, Tensor};
use xception_model::{
    FrozenPrefix, IntermediateActivation, Network, OutputStride, ResNetConfig, SeparableOrder, Variant, Widths,
    XceptionConfig, with_burn_operations,
};

/// The most that two ways of computing are apart, relative to the norm.
const BOUND: f64 = 1e-5;

/// Norms over the pixels of two pictures, one behind the other, amplify the rounding of every sum before them, in
/// Burn's operations as well. There an error against `f64` may be this many times the error of Burn's operations.
const TIMES_BURN: f64 = 3.0;

const CLASSES: usize = 5;

fn xception() -> XceptionConfig {
    XceptionConfig::new()
        .with_num_classes(CLASSES)
        .with_middle_blocks(2)
        .with_widths(Widths {
            stem: [4, 6],
            entry: [8, 12, 20],
            exit: [20, 24, 28].into(),
        })
}

/// Pictures with values between -1 and 1, which `draw` decides.
fn pictures(draw: u64, shape: [usize; 4], device: &Device) -> Tensor<4> {
    common::drawn(&format!("pictures/{draw}"), shape, [-1.0, 1.0], device)
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Values by path.
struct Collector<'a> {
    gradients: Option<&'a GradientsParams>,
    path: Vec<String>,
    found: Vec<(String, Option<Vec<f32>>)>,
}

impl ModuleVisitor for Collector<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = match self.gradients {
            None => Some(numbers(param.val())),
            Some(gradients) => gradients.get::<D>(param.id).map(numbers),
        };
        self.found.push((self.path.join("."), values));
    }
}

fn collect(network: &Network, gradients: Option<&GradientsParams>) -> Vec<(String, Option<Vec<f32>>)> {
    let mut collector = Collector {
        gradients,
        path: Vec::new(),
        found: Vec::new(),
    };
    network.visit(&mut collector);
    collector.found
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// The norm of the difference, relative to that of what is expected, or to `least`.
fn distance(found: &[f32], expected: &[f32], least: f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    let apart = norm(pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    apart / norm(expected.iter().map(|value| f64::from(*value))).max(least)
}

type Named = [(String, Option<Vec<f32>>)];

fn compare(what: &str, found: &Named, expected: &Named, bound: f64) {
    let (path, apart) = worst(found, expected);
    println!("{what}: {apart:.1e}");
    assert!(apart <= bound, "{what} of {path}: {apart:.1e}");
}

/// The tensor that is farthest from what is expected, and how far.
fn worst<'a>(found: &'a Named, expected: &Named) -> (&'a str, f64) {
    assert_eq!(found.len(), expected.len());
    let values = expected.iter().flat_map(|(_, values)| values);
    // The bias of a convolution before a norm has no gradient but rounding errors.
    let least = 1e-3
        * values
            .map(|values| norm(values.iter().map(|value| f64::from(*value))))
            .fold(0.0, f64::max);
    let distances = found.iter().zip(expected).filter_map(|((path, found), (_, expected))| {
        assert_eq!(found.is_some(), expected.is_some(), "{path}");
        // Such a bias sums up gradients that cancel.
        let least = if path.ends_with("conv.bias") {
            10.0 * least
        } else {
            least
        };
        let apart = distance(found.as_ref()?, expected.as_ref()?, least);
        // NaN counts as farthest.
        Some((path.as_str(), if apart.is_nan() { f64::INFINITY } else { apart }))
    });
    distances
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .expect("a network has tensors")
}

/// A step's loss and gradients, those of the pictures among them.
fn step(network: &Network, images: &Tensor<4>) -> (Vec<f32>, GradientsParams, Vec<f32>) {
    let device = images.device();
    let [batch, ..] = images.dims();
    let labels: Vec<i64> = (0..batch as i64).map(|label| label % CLASSES as i64).collect();
    let images = images.clone().require_grad();
    let logits = network.forward(images.clone()).expect("a valid input");
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
    let loss = CrossEntropyLossConfig::new()
        .init(&device)
        .forward(logits.clone(), labels);
    let gradients = loss.backward();
    let of_images = images.grad(&gradients).map(numbers).unwrap_or_default();
    (
        numbers(logits),
        GradientsParams::from_grads(gradients, network),
        of_images,
    )
}

#[test]
fn a_frozen_prefix_changes_no_number() {
    let device = Device::flex().autodiff();
    for device in [device.clone(), device.gradient_checkpointing()] {
        let resnet = ResNetConfig::new()
            .with_num_classes(CLASSES)
            .with_blocks([2, 1, 1, 2])
            .with_stem(6)
            .with_widths([4, 5, 6, 7]);
        let xception = common::new_network(xception().with_dropout(0.0), 7, &device);
        let resnet = common::new_network(resnet, 7, &device);
        for (whole, keeps_statistics) in [(xception, false), (resnet, true)] {
            let blocks = whole.blocks();
            for frozen in [0, 1, blocks.len() / 2, blocks.len() - 1] {
                let freeze = |network: Network| {
                    // The biases of the ResNet stand before norms, and have gradients only if the norms keep their
                    // statistics.
                    let network = if keeps_statistics {
                        network.map(&mut StopNorms)
                    } else {
                        network
                    };
                    let first = blocks[..frozen].iter();
                    first.fold(network, |network, (_, block)| network.freeze_group(block.clone()))
                };
                let network = freeze(whole.clone());
                let prefix = network.frozen_prefix();
                assert_eq!(prefix.is_some(), frozen > 0, "{frozen} blocks");
                let Some(prefix) = prefix else { continue };
                let double = freeze(whole.valid().map(&mut InDouble).train());
                let failed: Vec<String> = (0..3)
                    .map_while(|draw| distance_behind(draw, &prefix, &network, &double, &device).err())
                    .collect();
                assert!(failed.len() < 3, "{frozen} of {} blocks: {failed:#?}", blocks.len());
            }
        }
    }
}

/// Logits and gradients of a step behind the prefix, and of one through the whole network, each against the same
/// network in `f64`: those behind the prefix may be [`BOUND`] away, or [`TIMES_BURN`] times as far as the others.
fn distance_behind(
    draw: u64,
    prefix: &FrozenPrefix,
    network: &Network,
    double: &Network,
    device: &Device,
) -> Result<(), String> {
    let images = pictures(draw, [2, 3, 75, 71], device);
    let gradients = |network: &Network, logits: Tensor<2>| {
        let loss = logits.clone().square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), network);
        (numbers(logits), collect(network, Some(&gradients)))
    };
    let behind = gradients(network, network.forward_behind(prefix, images.clone()).unwrap());
    let through = gradients(network, network.forward(images.clone()).unwrap());
    // Without gradient checkpointing, as the copy in `f64`.
    let images = Tensor::<4>::from_data(images.to_data(), &Device::flex().autodiff());
    let exact = gradients(double, double.forward(images.cast(FloatDType::F64)).unwrap());

    let [own, other] = [&behind, &through].map(|(logits, _)| distance(logits, &exact.0, 0.0));
    println!("logits: {own:.1e}, through the whole network {other:.1e}");
    if own > BOUND.max(TIMES_BURN * other) {
        return Err(format!("logits: {own:.1e}, through the whole network {other:.1e}"));
    }
    let ((path, own), (_, other)) = (worst(&behind.1, &exact.1), worst(&through.1, &exact.1));
    println!("gradients: {own:.1e}, through the whole network {other:.1e}");
    if own > BOUND.max(TIMES_BURN * other) {
        return Err(format!(
            "gradient of {path}: {own:.1e}, through the whole network {other:.1e}"
        ));
    }
    Ok(())
}

/// Burn's copies of a network share its running statistics: one more of each.
fn copy(network: &Network) -> Network {
    network.valid().train()
}

/// One step both ways.
fn check(what: &str, network: &Network, shape: [usize; 4]) {
    println!("{what}");
    let device = Device::flex().autodiff();
    let images = pictures(0, shape, &device);
    let (own, plain) = (copy(network), copy(network));
    let found = step(&own, &images);
    let expected = with_burn_operations(|| step(&plain, &images));
    let apart = distance(&found.0, &expected.0, 0.0);
    assert!(apart <= BOUND, "{what}: logits are {apart:.1e} apart");
    compare(
        "gradients",
        &collect(&own, Some(&found.1)),
        &collect(&plain, Some(&expected.1)),
        3.0 * BOUND,
    );
    let apart = distance(&found.2, &expected.2, 0.0);
    assert!(
        apart <= 3.0 * BOUND,
        "{what}: gradients of the pictures are {apart:.1e} apart"
    );
    compare(
        "values after a step",
        &collect(&own.valid(), None),
        &collect(&plain.valid(), None),
        BOUND,
    );
}

/// Numbers of 64 bits.
struct InDouble;

impl ModuleMapper for InDouble {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|values| values.cast(FloatDType::F64))
    }
}

/// One step both ways with the statistics of the batch, each against Burn's operations in `f64`.
///
/// A value within rounding of a `ReLU`'s zero, or of the largest in its window, can fall on the other side and change
/// the gradients at once, in a few draws of pictures. A wrong kernel fails every draw.
fn check_against_double(what: &str, network: &Network, shape: [usize; 4]) {
    let failed: Vec<String> = (0..3)
        .map_while(|draw| distance_to_double(draw, what, network, shape).err())
        .collect();
    assert!(failed.len() < 3, "{failed:#?}");
}

fn distance_to_double(draw: u64, what: &str, network: &Network, shape: [usize; 4]) -> Result<(), String> {
    println!("{what}");
    let device = Device::flex().autodiff();
    let images = pictures(draw, shape, &device);
    let (own, plain) = (copy(network), copy(network));
    let exact = network.valid().map(&mut InDouble).train();
    let found = values_of_step(&own, &images);
    let burn = with_burn_operations(|| values_of_step(&plain, &images));
    let expected = values_of_step(&exact, &images.cast(FloatDType::F64));
    let least = 1e-3
        * expected
            .iter()
            .map(|(_, values)| norm(values.iter().map(|value| f64::from(*value))))
            .fold(0.0, f64::max);
    for (((path, found), (_, burn)), (_, expected)) in found.iter().zip(&burn).zip(&expected) {
        let (own, burn) = (distance(found, expected, least), distance(burn, expected, least));
        if own > (3.0 * BOUND).max(TIMES_BURN * burn) {
            return Err(format!(
                "{what}, {path}: {own:.1e} from f64, Burn's operations {burn:.1e}"
            ));
        }
    }
    Ok(())
}

/// Logits, gradients and values after a step, by name.
fn values_of_step(network: &Network, images: &Tensor<4>) -> Vec<(String, Vec<f32>)> {
    let (logits, gradients, of_images) = step(network, images);
    let mut all = vec![("logits".to_owned(), logits), ("pictures".to_owned(), of_images)];
    for (kind, found) in [
        ("gradient of", collect(network, Some(&gradients))),
        ("value of", collect(&network.valid(), None)),
    ] {
        let given = found
            .into_iter()
            .filter_map(|(path, values)| Some((format!("{kind} {path}"), values?)));
        all.extend(given);
    }
    all
}

/// Norms that keep their statistics.
struct StopNorms;

impl ModuleMapper for StopNorms {
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        flag.with_value(false)
    }
}

#[test]
fn a_step_of_every_kind_of_xception_is_burn_s() {
    let device = Device::flex();
    for (what, config, shape) in [
        ("plain", xception(), [2, 3, 71, 75]),
        ("batch 1", xception(), [1, 3, 107, 96]),
        ("no residuals", xception().with_residual(false), [2, 3, 71, 71]),
        (
            "pointwise first",
            xception().with_order(SeparableOrder::PointwiseFirst),
            [2, 3, 71, 71],
        ),
        (
            "ELU between",
            xception().with_intermediate_activation(IntermediateActivation::Elu),
            [2, 3, 71, 71],
        ),
        (
            "ReLU between",
            xception().with_intermediate_activation(IntermediateActivation::Relu),
            [2, 3, 71, 71],
        ),
        (
            "output stride 8",
            xception().with_output_stride(OutputStride::S8),
            [2, 3, 71, 71],
        ),
        (
            "output stride 16, paddings of PyTorch",
            xception()
                .with_variant(Variant::Torch)
                .with_output_stride(OutputStride::S16),
            [2, 3, 74, 71],
        ),
        (
            "one channel, a hidden layer",
            xception().with_in_channels(1).with_hidden_layers(vec![7]),
            [3, 1, 71, 71],
        ),
    ] {
        let channels = shape[1];
        assert_eq!(config.in_channels, channels);
        let network = common::new_network(config, 11, &device).train();
        check_against_double(what, &network, shape);
        check(
            &format!("{what}, norms of inference"),
            &network.map(&mut StopNorms),
            shape,
        );
    }
}

#[test]
fn a_step_of_resnet_is_burn_s() {
    let device = Device::flex();
    let config = ResNetConfig::new()
        .with_num_classes(CLASSES)
        .with_blocks([2, 1, 1, 2])
        .with_stem(6)
        .with_widths([4, 5, 6, 7]);
    let network = common::new_network(config, 12, &device).train();
    check_against_double("ResNet", &network, [2, 3, 49, 64]);
    check(
        "ResNet, norms of inference",
        &network.map(&mut StopNorms),
        [2, 3, 49, 64],
    );
}

#[test]
fn frozen_blocks_get_no_gradient_either_way() {
    let device = Device::flex();
    for frozen in [1, 3, 6] {
        let mut network = common::new_network(xception(), 13, &device).train().map(&mut StopNorms);
        for (_, group) in network.blocks().into_iter().take(frozen) {
            network = network.freeze_group(group);
        }
        check(&format!("{frozen} blocks frozen"), &network, [2, 3, 71, 71]);
    }
    // Single layers in the middle.
    let mut network = common::new_network(xception(), 13, &device).train();
    for (_, group) in network.blocks().into_iter().skip(2).step_by(2) {
        network = network.freeze_group(group);
    }
    check("every other block frozen", &network, [2, 3, 71, 71]);
}

/// A ReLU whose input is zero but for rounding, or two equal values in a max pool, is taken either way, and all later
/// updates differ by as much: of three draws of pictures and weights, one goes without.
#[test]
fn ten_updates_are_burn_s() {
    let apart = [14, 15, 16].map(ten_updates);
    println!("weights after ten updates: {apart:?}");
    assert!(apart.iter().any(|apart| *apart <= BOUND), "{apart:?}");
}

/// How far the weights of ten updates are from Burn's.
fn ten_updates(seed: u64) -> f64 {
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    let start = common::new_network(xception(), seed, &plain).train();
    let images: Vec<Tensor<4>> = (0..10)
        .map(|batch| pictures(10 * seed + batch, [4, 3, 71, 71], &device))
        .collect();
    let train = || {
        let mut network = copy(&start);
        let momentum = MomentumConfig::new().with_dampening(0.0);
        let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
        for images in &images {
            let (_, gradients, _) = step(&network, images);
            network = optimizer.step(1e-3, network, gradients);
        }
        network.valid()
    };
    let (found, expected) = (train(), with_burn_operations(train));
    worst(&collect(&found, None), &collect(&expected, None)).1
}

/// Changed stages are leaves: Grad-CAM and its kin.
#[test]
fn gradients_with_respect_to_a_stage_are_burn_s() {
    let device = Device::flex();
    let network = common::new_network(xception(), 15, &device).train().map(&mut StopNorms);
    let images = pictures(0, [2, 3, 71, 71], &device.clone().autodiff());
    let names = network.stage_names();
    for stage in ["block4", "block2_sepconv1", "block8_sepconv2_act"] {
        assert!(names.iter().any(|name| name == stage), "{stage} of {names:?}");
        let gradient = || {
            let mut leaf = None;
            let logits = network.forward_changed(images.clone(), &mut |name, map| {
                if name == stage {
                    let own = map.clone().detach().require_grad();
                    *map = own.clone();
                    leaf = Some(own);
                }
            });
            let gradients = logits.unwrap().sum().backward();
            numbers(leaf.unwrap().grad(&gradients).unwrap())
        };
        let (found, expected) = (gradient(), with_burn_operations(gradient));
        let apart = distance(&found, &expected, 0.0);
        assert!(apart <= BOUND, "{stage}: {apart:.1e}");
    }
}

/// Gives parameters a strategy of gradient checkpointing, as the trainer does.
struct Checkpointing(GradientCheckpointingStrategy);

impl ModuleMapper for Checkpointing {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.with_gradient_checkpointing_strategy(self.0))
    }
}

#[test]
fn gradient_checkpointing_changes_nothing() {
    let plain = Device::flex();
    let config = xception().with_intermediate_activation(IntermediateActivation::Elu);
    let network = common::new_network(config, 16, &plain);
    let device = plain.clone().autodiff();
    let images = pictures(0, [2, 3, 71, 71], &plain);
    let run = |device: &Device| {
        let mut network = network.clone().train().fork(device);
        if let Some(strategy) = device.gradient_checkpointing_strategy() {
            network = network.map(&mut Checkpointing(strategy));
        }
        let images = Tensor::from_data(images.to_data(), device);
        let found = step(&network, &images);
        collect(&network, Some(&found.1))
    };
    let (found, expected) = (run(&device.clone().gradient_checkpointing()), run(&device));
    compare("gradients", &found, &expected, 1e-7);
}
