//! Shared by the golden tests: the formula for weights and inputs (defined in the docstring of
//! `scripts/golden/golden.py`), the format of the goldens, and the comparison.
#![allow(
    dead_code,
    missing_docs,
    reason = "shared by several test binaries, each of which uses a part"
)]

use std::collections::HashMap;
use std::path::PathBuf;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;
use xception_model::{
    Architecture, Graph, IntermediateActivation, OutputStride, Pooling, ResNetConfig, SeparableOrder, Variant, Widths,
    Xception, XceptionConfig,
};

/// The kitchenware package's folder; `None`, with a message, if it is not available.
pub fn kitchenware() -> Option<PathBuf> {
    let folder = std::env::var_os("XCEPTION_KITCHENWARE").map(PathBuf::from);
    if folder.is_none() {
        assert!(
            std::env::var_os("XCEPTION_REQUIRE_KITCHENWARE").is_none(),
            "XCEPTION_REQUIRE_KITCHENWARE is set and XCEPTION_KITCHENWARE is not: set it to what \
             scripts/kitchenware.sh prints"
        );
        eprintln!("skipped: XCEPTION_KITCHENWARE is not set; scripts/kitchenware.sh prints its value");
    }
    folder
}

/// The first `count` 64-bit numbers of a key.
pub fn hashes(key: &str, count: usize) -> impl Iterator<Item = u64> {
    let start = key.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    (0..count as u64).map(move |index| {
        let mut z = start.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

fn uniform(key: &str, count: usize) -> impl Iterator<Item = f64> {
    hashes(key, count).map(|z| (z >> 40) as f64 * 2f64.powi(-24))
}

/// A weight's values in the Keras layout of `shape`.
fn weight(layer: &str, variable: &str, shape: &[usize]) -> Vec<f32> {
    let inputs = shape[..shape.len() - 1].iter().product::<usize>() as f64;
    let value: Box<dyn Fn(f64) -> f64> = match variable {
        "kernel" => Box::new(move |u| (2.0 * u - 1.0) * (6.0 / inputs).sqrt()),
        "pointwise_kernel" => Box::new(move |u| (2.0 * u - 1.0) * (3.0 / inputs).sqrt()),
        "depthwise_kernel" => Box::new(|u| (2.0 * u - 1.0) * (3.0_f64 / 9.0).sqrt()),
        "bias" | "beta" | "moving_mean" => Box::new(|u| (2.0 * u - 1.0) * 0.1),
        // The last norm of a ResNet's block: the formula halves its gamma, because activations grow from sum to sum.
        "gamma" if layer.ends_with("_3_bn") => Box::new(|u| f64::midpoint(0.5, u)),
        "gamma" | "moving_variance" => Box::new(|u| 0.5 + u),
        _ => panic!("no formula for {layer}/{variable}"),
    };
    let count = shape.iter().product();
    uniform(&format!("{layer}/{variable}"), count)
        .map(|u| value(u) as f32)
        .collect()
}

/// The input of shape `[batch, height, width, channels]`, returned as `[batch, channels, height, width]`.
pub fn input(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let key = format!("input/{}", dimensions(&shape));
    let values: Vec<f32> = uniform(&key, shape.iter().product())
        .map(|u| (2.0 * u - 1.0) as f32)
        .collect();
    Tensor::<4>::from_data(TensorData::new(values, shape), device).permute([0, 3, 1, 2])
}

/// The input of shape `[batch, height, width, channels]` with values between `low` and `high`, in that layout.
pub fn uniform_input(shape: [usize; 4], low: f64, high: f64) -> Vec<f32> {
    let key = format!("input/{}", dimensions(&shape));
    uniform(&key, shape.iter().product())
        .map(|u| (low + (high - low) * u) as f32)
        .collect()
}

/// A tensor with values between `low` and `high`, which the key decides.
pub fn drawn<const D: usize>(key: &str, shape: [usize; D], [low, high]: [f64; 2], device: &Device) -> Tensor<D> {
    let values = uniform(key, shape.iter().product());
    let values: Vec<f32> = values.map(|u| (low + (high - low) * u) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A new network whose kernels are Glorot-uniform, as [`Architecture::init`] draws them, and which the seed decides.
///
/// Burn has one random generator per process, and tests run at the same time: `Device::seed` does not decide what they
/// draw.
pub fn new_network(architecture: impl Into<Architecture>, seed: u64, device: &Device) -> Xception {
    let model = architecture.into().init(device).expect("a valid configuration");
    model.map(&mut Glorot { seed, path: Vec::new() })
}

struct Glorot {
    seed: u64,
    path: Vec<String>,
}

impl ModuleMapper for Glorot {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Biases and norms start from constants.
        if D == 1 {
            return param;
        }
        let shape: [usize; D] = param.lazy_shape().dims();
        let taps: usize = shape[2..].iter().product();
        let limit = (6.0 / ((shape[0] + shape[1]) * taps) as f64).sqrt();
        let key = format!("{}/{}", self.seed, self.path.join("."));
        let device = param.lazy_device();
        param.map(|old| drawn(&key, shape, [-limit, limit], &device).set_require_grad(old.is_require_grad()))
    }
}

fn dimensions(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

/// A network with all weights by the formula.
pub fn network(config: &XceptionConfig, device: &Device) -> Xception {
    with_formula(&config.clone().into(), device)
}

/// A network of any architecture with all weights by the formula, under our names of layers.
pub fn with_formula(architecture: &Architecture, device: &Device) -> Xception {
    with_formula_of(architecture, Names::Ours, device)
}

/// A network of any architecture with all weights by the formula, under these names.
pub fn with_formula_of(architecture: &Architecture, names: Names, device: &Device) -> Xception {
    let model = architecture.init(device).expect("a valid configuration");
    let graph = model.graph();
    let own = match names {
        Names::Keras => graph.keras_names(),
        Names::Ours | Names::Torch => graph.layers.iter().map(|layer| layer.name.clone()).collect(),
    };
    let layers = graph.layers.iter().zip(own);
    let layers = layers.map(|(layer, name)| (layer.path.clone(), name)).collect();
    let torch = graph.nodes.iter().filter(|_| names == Names::Torch);
    let torch = torch.map(|node| (node.path.clone(), node.torch.clone())).collect();
    model.map(&mut Formula {
        layers,
        torch,
        path: Vec::new(),
    })
}

/// Whose names of layers a golden has.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// Keras's where they are fixed, and ours.
    #[default]
    Ours,
    /// Those of a fresh Keras process.
    Keras,
    /// Those of PyTorch's modules.
    Torch,
}

struct Formula {
    /// Keras's layer for each module path.
    layers: HashMap<String, String>,
    /// PyTorch's module for each module path, in goldens with such names.
    torch: HashMap<String, String>,
    path: Vec<String>,
}

/// The value of a tensor in PyTorch's layout, which is ours except for dense layers (`scripts/golden/golden_torch.py`).
fn torch_weight(module: &str, tensor: &str, shape: &[usize]) -> Vec<f32> {
    let inputs = shape[1..].iter().product::<usize>() as f64;
    let value: Box<dyn Fn(f64) -> f64> = match (tensor, shape) {
        ("weight", [_, 1, height, width]) => {
            let taps = (height * width) as f64;
            Box::new(move |u| (2.0 * u - 1.0) * (3.0 / taps).sqrt())
        }
        ("weight", [_, _, ..]) => Box::new(move |u| (2.0 * u - 1.0) * (6.0 / inputs).sqrt()),
        ("weight", _) if module.rsplit('.').next() == Some("bn3") => Box::new(|u| f64::midpoint(0.5, u)),
        ("weight" | "running_var", _) => Box::new(|u| 0.5 + u),
        ("bias" | "running_mean", _) => Box::new(|u| (2.0 * u - 1.0) * 0.1),
        _ => panic!("no formula for {module}.{tensor}"),
    };
    let count = shape.iter().product();
    uniform(&format!("{module}.{tensor}"), count)
        .map(|u| value(u) as f32)
        .collect()
}

fn torch_data(module: &str, name: &str, shape: &[usize]) -> TensorData {
    let tensor = match name {
        "gamma" => "weight",
        "beta" => "bias",
        name => name,
    };
    match *shape {
        [inputs, outputs] => {
            let values = torch_weight(module, tensor, &[outputs, inputs]);
            let data = permuted(&values, [1, 1, outputs, inputs], [0, 1, 3, 2]);
            TensorData::new(data.iter::<f32>().collect::<Vec<_>>(), [inputs, outputs])
        }
        _ => TensorData::new(torch_weight(module, tensor, shape), shape.to_vec()),
    }
}

impl ModuleMapper for Formula {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if let [module @ .., name] = self.path.as_slice()
            && let Some(torch) = self.torch.get(&module.join("."))
        {
            let data = torch_data(torch, name, &param.lazy_shape());
            let device = param.lazy_device();
            return param.map(|_| Tensor::from_data(data, &device));
        }
        let (layer, variable) = keras_name(&self.layers, &self.path.join("."));
        let shape = param.lazy_shape();
        let data = match (variable, shape.as_slice()) {
            ("depthwise_kernel", &[channels, 1, height, width]) => {
                let values = weight(layer, variable, &[height, width, channels, 1]);
                permuted(&values, [height, width, channels, 1], [2, 3, 0, 1])
            }
            (_, &[outputs, inputs, height, width]) => {
                let values = weight(layer, variable, &[height, width, inputs, outputs]);
                permuted(&values, [height, width, inputs, outputs], [3, 2, 0, 1])
            }
            (_, shape) => TensorData::new(weight(layer, variable, shape), shape.to_vec()),
        };
        let device = param.lazy_device();
        param.map(|_| Tensor::from_data(data, &device))
    }
}

/// The Keras layer and variable of a parameter's path.
pub fn keras_name<'a>(layers: &'a HashMap<String, String>, path: &str) -> (&'a str, &'static str) {
    let (module, name) = path.rsplit_once('.').expect("a parameter lives in a module");
    let (module, variable) = match (module.rsplit_once('.'), name) {
        (Some((module, "depthwise")), "weight") => (module, "depthwise_kernel"),
        (Some((module, "pointwise")), "weight") => (module, "pointwise_kernel"),
        (_, "weight") => (module, "kernel"),
        (_, "bias") => (module, "bias"),
        (_, "gamma") => (module, "gamma"),
        (_, "beta") => (module, "beta"),
        (_, "running_mean") => (module, "moving_mean"),
        (_, "running_var") => (module, "moving_variance"),
        _ => panic!("unknown parameter {path}"),
    };
    let layer = layers
        .get(module)
        .unwrap_or_else(|| panic!("no Keras layer lives at {module}"));
    (layer, variable)
}

pub fn permuted(values: &[f32], shape: [usize; 4], axes: [usize; 4]) -> TensorData {
    let strides = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1];
    let to = axes.map(|axis| shape[axis]);
    let step = axes.map(|axis| strides[axis]);
    let mut out = Vec::with_capacity(values.len());
    for a in 0..to[0] {
        for b in 0..to[1] {
            for c in 0..to[2] {
                for d in 0..to[3] {
                    out.push(values[a * step[0] + b * step[1] + c * step[2] + d * step[3]]);
                }
            }
        }
    }
    TensorData::new(out, to.to_vec())
}

/// A file of `tests/golden/network`.
#[derive(Deserialize)]
pub struct Golden {
    pub network: Network,
    #[serde(default)]
    pub names: Names,
    /// `[batch, height, width, channels]`.
    pub input: [usize; 4],
    #[serde(default)]
    pub stages: Vec<Record>,
}

/// The network of a golden.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Network {
    /// The options of any architecture.
    Options(OptionFields),
    Xception(XceptionFields),
    ResNet(ResNetFields),
}

impl Network {
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::Options(fields) => {
                let mut options = fields.options.clone();
                options.insert("architecture".into(), fields.architecture.clone().into());
                Architecture::from_options(options).expect("options of an architecture")
            }
            Self::Xception(fields) => fields.config().into(),
            Self::ResNet(fields) => ResNetConfig::new()
                .with_stem(fields.stem)
                .with_widths(fields.widths)
                .with_blocks(fields.blocks)
                .with_num_classes(fields.classes)
                .with_in_channels(fields.in_channels)
                .into(),
        }
    }

    pub fn config(&self) -> XceptionConfig {
        match self {
            Self::Xception(fields) => fields.config(),
            Self::Options(_) | Self::ResNet(_) => panic!("a golden of another network"),
        }
    }
}

#[derive(Deserialize)]
pub struct OptionFields {
    architecture: String,
    #[serde(flatten)]
    options: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
pub struct ResNetFields {
    stem: usize,
    widths: [usize; 4],
    blocks: [usize; 4],
    classes: usize,
    in_channels: usize,
}

#[derive(Deserialize)]
pub struct XceptionFields {
    stem: [usize; 2],
    entry: [usize; 3],
    exit: Vec<usize>,
    middle_blocks: usize,
    classes: usize,
    in_channels: usize,
    residual: bool,
    intermediate_activation: Option<String>,
    pointwise_first: bool,
    output_stride: usize,
    pooling: String,
    hidden: Vec<usize>,
    symmetric_pool: bool,
}

impl XceptionFields {
    pub fn config(&self) -> XceptionConfig {
        XceptionConfig::new()
            .with_widths(Widths {
                stem: self.stem,
                entry: self.entry,
                exit: self.exit.clone(),
            })
            .with_middle_blocks(self.middle_blocks)
            .with_num_classes(self.classes)
            .with_in_channels(self.in_channels)
            .with_residual(self.residual)
            .with_intermediate_activation(match self.intermediate_activation.as_deref() {
                None => IntermediateActivation::None,
                Some("relu") => IntermediateActivation::Relu,
                Some("elu") => IntermediateActivation::Elu,
                Some(other) => panic!("unknown activation {other}"),
            })
            .with_order(if self.pointwise_first {
                SeparableOrder::PointwiseFirst
            } else {
                SeparableOrder::DepthwiseFirst
            })
            .with_output_stride(match self.output_stride {
                32 => OutputStride::S32,
                16 => OutputStride::S16,
                8 => OutputStride::S8,
                other => panic!("unknown output stride {other}"),
            })
            .with_pooling(if self.pooling == "max" {
                Pooling::Max
            } else {
                Pooling::Average
            })
            .with_hidden_layers(self.hidden.clone())
            .with_variant(if self.symmetric_pool {
                Variant::Torch
            } else {
                Variant::Keras
            })
    }
}

/// One tensor from Keras: its shape, its norm, and either samples or all values.
#[derive(Deserialize)]
pub struct Record {
    pub stage: String,
    pub shape: Vec<usize>,
    pub norm: f64,
    #[serde(default)]
    pub samples: Vec<f32>,
    #[serde(default)]
    pub values: Vec<f32>,
}

impl Record {
    /// The relative error in norm of a tensor in Keras's layout, and the relative difference of the norms themselves.
    ///
    /// # Panics
    ///
    /// If the shape differs, or the golden has no values.
    pub fn errors(&self, shape: &[usize], values: &[f32]) -> [f64; 2] {
        assert_eq!(self.shape, shape, "shape of {}", self.stage);
        let (theirs, ours): (&[f32], Vec<f32>) = if self.values.is_empty() {
            let key = format!("sample/{}/{}", self.stage, dimensions(shape));
            let size = values.len() as u64;
            let ours = hashes(&key, self.samples.len()).map(|z| values[(z % size) as usize]);
            (&self.samples, ours.collect())
        } else {
            (&self.values, values.to_vec())
        };
        assert!(
            !theirs.is_empty() && theirs.len() == ours.len(),
            "{} has no values",
            self.stage
        );
        let difference = theirs
            .iter()
            .zip(&ours)
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        let square = theirs.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>();
        // A few samples may all be zeros after a ReLU: then the tensor's own scale is used.
        let scale = square.max(self.norm.powi(2) * theirs.len() as f64 / values.len() as f64);
        let norm = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        [
            (difference.sum::<f64>() / scale).sqrt(),
            (norm - self.norm).abs() / self.norm,
        ]
    }
}

pub fn golden_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The network goldens whose name starts with `prefix` and contains one of `parts`; there must be at least `least`.
pub fn goldens(prefix: &str, parts: &[&str], least: usize) -> Vec<String> {
    let mut files: Vec<String> = std::fs::read_dir(golden_folder().join("network"))
        .expect("the goldens are there")
        .map(|entry| {
            entry
                .expect("a readable entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|file| file.starts_with(prefix) && parts.iter().any(|part| file.contains(part)))
        .collect();
    files.sort();
    assert!(files.len() >= least, "only {} goldens start with {prefix}", files.len());
    files
}

/// The name in a golden of each of our stages that it has.
pub fn stage_names(graph: &Graph, names: Names) -> HashMap<String, String> {
    let ends = graph.layer_outputs();
    let keras = graph.keras_names();
    let layers = graph.layers.iter().zip(ends).zip(keras);
    layers
        .filter_map(|((layer, end), keras)| {
            let theirs = match names {
                Names::Ours => layer.name.clone(),
                Names::Keras => keras,
                // The layer's name in PyTorch is that of its first node.
                Names::Torch => {
                    let id = end?;
                    let first = graph.nodes.iter().find(|node| node.layer == graph.node(id).layer)?;
                    first.torch.clone()
                }
            };
            Some((layer.name.clone(), theirs))
        })
        .collect()
}

/// Reads a golden; the panic names the file.
pub fn read<T: for<'de> Deserialize<'de>>(file: &str) -> T {
    let path = golden_folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The toy network of `scripts/golden/golden.py`.
pub fn toy() -> XceptionConfig {
    XceptionConfig::new()
        .with_widths(Widths {
            stem: [4, 8],
            entry: [8, 12, 16],
            exit: [16, 20, 24].into(),
        })
        .with_middle_blocks(1)
        .with_num_classes(10)
}

/// The CPU backends that are compiled in.
pub fn devices() -> Vec<(&'static str, Device)> {
    vec![
        #[cfg(feature = "flex")]
        ("flex", Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", ndarray()),
    ]
}

/// The first of [`devices`]. Burn's default is the GPU if one is compiled in, which here is a software one.
pub fn device() -> Device {
    devices().remove(0).1
}

#[cfg(feature = "ndarray")]
#[allow(deprecated, reason = "ndarray is deprecated upstream and stays a feature here")]
fn ndarray() -> Device {
    Device::ndarray()
}

/// A tensor's values in C order.
pub fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().convert::<f32>().try_to_vec().expect("f32 data")
}

/// The relative error in norm.
pub fn relative_error(ours: &[f32], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let difference = square(&mut ours.iter().zip(theirs).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    (difference / square(&mut theirs.iter().map(|v| f64::from(*v)))).sqrt()
}

/// Every floating-point tensor of a module by its path, in the order of the module tree.
pub fn parameters(model: &Xception) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let mut tensors = Tensors::default();
    model.visit(&mut tensors);
    tensors.found
}

#[derive(Default)]
struct Tensors {
    path: Vec<String>,
    found: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl ModuleVisitor for Tensors {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        self.found
            .push((self.path.join("."), tensor.shape().to_vec(), values(&tensor)));
    }
}

/// `[batch, channels, height, width]` in Keras's layout.
pub fn nhwc(tensor: &Tensor<4>) -> (Vec<usize>, Vec<f32>) {
    let tensor = tensor.clone().permute([0, 2, 3, 1]);
    let shape = tensor.dims();
    let values = tensor.into_data().convert::<f32>().try_to_vec().expect("f32 data");
    // Keras's vectors have neither height nor width.
    match shape {
        [batch, 1, 1, features] => (vec![batch, features], values),
        shape => (shape.to_vec(), values),
    }
}
