//! Writes a record of a published network with random weights, to measure its speed and to compare engines.
//!
//! ```sh
//! cargo run --release --example random_weights -- resnet50 resnet50.bpk
//! ```
//!
//! Kernels are uniform with the variance that keeps feature maps near their size (He 2015, arXiv 1502.01852), norms are
//! near the identity, and biases are small: every tensor shows in the outputs. The same name gives the same weights.

use std::path::Path;

use burn::store::ModuleSnapshot;
use burn::store::burn_pack::Tensor as PackTensor;
use burn::tensor::{Device, Distribution, Tensor};
use xception_model::{Architecture, InputSpec, ModelSpec, Outputs, save_tensors};

/// The day of arXiv 1610.02357.
const SEED: u64 = 20_161_007;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("expected the name of a network and the path of a new record".into());
    };
    let mut all = Architecture::published().into_iter();
    let published = all
        .find(|published| published.name == name)
        .ok_or_else(|| format!("there is no network {name}: `xception summary --help` lists them"))?;
    let device = Device::flex();
    device.seed(SEED);
    let network = published.network.init(&device)?;
    let tensors = network.collect(None, None, false).into_iter();
    let random = tensors.map(|tensor| random(&tensor, &device)).collect();
    let spec = ModelSpec {
        source: format!("{name} with random weights"),
        outputs: Outputs::Softmax,
        input: InputSpec {
            height: published.size,
            width: published.size,
            scaling: published.scaling,
            ..InputSpec::default()
        },
        labels: Vec::new(),
        network: published.network,
    };
    Ok(save_tensors(random, &spec, Path::new(&path), false)?)
}

/// Random values for a tensor of a network, by its name and shape.
fn random(tensor: &PackTensor, device: &Device) -> PackTensor {
    let shape = tensor.shape.as_slice();
    let [low, high] = match (tensor.name.rsplit('.').next(), shape) {
        // `[inputs, outputs]`
        (Some("weight"), [inputs, _]) => symmetric(6.0, *inputs),
        // A depthwise kernel: no ReLU follows in most networks.
        (Some("weight"), [_, 1, height, width]) => symmetric(3.0, height * width),
        (Some("weight"), [_, inputs @ ..]) => symmetric(6.0, inputs.iter().product()),
        (Some("gamma" | "running_var"), _) => [0.7, 1.3],
        _ => [-0.1, 0.1],
    };
    let count: usize = shape.iter().product();
    let values = Tensor::<1>::random([count], Distribution::Uniform(low, high), device);
    let (bytes, _, dtype) = values.into_data().into_parts();
    PackTensor::new(tensor.name.clone(), dtype, tensor.shape.clone(), None, bytes)
}

/// The limits of uniform numbers of variance `gain / 3 / inputs`.
fn symmetric(gain: f64, inputs: usize) -> [f64; 2] {
    let limit = (gain / inputs as f64).sqrt();
    [-limit, limit]
}
