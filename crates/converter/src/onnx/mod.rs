//! ONNX: reading exports of Keras and PyTorch, and writing our own.

mod curve;
mod graph;
mod layout;
mod ops;
mod structure;
mod tensor;
mod weights;
mod xception;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor};
use burn_onnx::export::{AxisSpec, InputSpec, OnnxExporter};
use onnx_ir::{GraphProto, Message, ModelProto};
use xception_model::{IntermediateActivation, KerasClass, ModelSpec, Pooling, Variant, Xception, XceptionConfig};

use self::structure::parse;
pub use self::weights::Network;
use self::xception::{Convolution, Graph, Norm, Walk};
use crate::dtype::{minus, transpose};
use crate::error::ConvertError;
use crate::publish::publish;
use crate::source::{Format, Found, Raw, SourceTensor, network_of};

/// Reads an ONNX export of an Xception: by tf2onnx or Keras, by PyTorch, or our own. `known` is whose constants the caller
/// says it has; a norm that was folded away is made anew with them.
pub(crate) fn read(path: &Path, known: Option<Variant>) -> Result<Found, ConvertError> {
    let model = Arc::new(parse(path)?);
    let not_xception = |problem: String| ConvertError::NotXception {
        path: path.to_owned(),
        problem,
    };

    let graph = Graph::new(&model, path).map_err(not_xception)?;
    let walk = graph.walk().map_err(not_xception)?;
    let shape = walk.network().map_err(not_xception)?;
    let stated = model.metadata_props.iter().find(|entry| entry.key == ModelSpec::KEY);
    let stated = stated.map(|entry| ModelSpec::parse(&entry.value)).transpose();
    let stated =
        stated.map_err(|problem| ConvertError::damaged(path, format_args!("the network's description: {problem}")))?;

    let size = input_size(&model, walk.in_channels());
    let variant = match walk.variant(&shape, size).map_err(not_xception)? {
        Some(variant) => Some(variant),
        None => stated
            .as_ref()
            .map(|spec| spec.network.variant)
            .or_else(|| producers(&model)),
    };
    let maker = Maker {
        model: &model,
        path,
        // Without either the file is refused when it is completed.
        epsilon: variant.or(known).unwrap_or(Variant::Keras).epsilon(),
    };
    let tensors = maker.tensors(&walk, &shape).map_err(not_xception)?;
    let found = network_of(&tensors).map_err(not_xception)?;
    let mut network = XceptionConfig {
        num_classes: found.num_classes,
        in_channels: found.in_channels,
        include_top: found.include_top,
        hidden_layers: found.hidden_layers,
        widths: found.widths,
        ..shape
    };
    if let Some(spec) = &stated {
        // What no graph shows.
        network.dropout = spec.network.dropout;
        if !network.include_top {
            network.num_classes = spec.network.num_classes;
        }
    }
    if let (Some(spec), Some(variant)) = (&stated, variant)
        && spec.network
            != network
                .clone()
                .with_variant(variant)
                .with_pooling(walk.pooling.unwrap_or(Pooling::None))
    {
        return Err(ConvertError::damaged(
            path,
            "its description is of another network than its graph",
        ));
    }
    let whole = walk.convolutions.iter().chain(&walk.projections);
    let whole = whole
        .filter(|convolution| matches!(convolution.norm, Some(Norm::Whole { .. })))
        .count();
    let norms = network.keras_layers();
    let norms = norms
        .iter()
        .filter(|layer| layer.class == KerasClass::BatchNormalization);
    let is_folded = whole < norms.count();
    let name = if is_folded { "ONNX, batch norms folded" } else { "ONNX" };
    let format = Format {
        name: name.to_owned(),
        writer: writer(&model),
    };
    let mut file = match stated {
        Some(spec) => Found::described(format, ModelSpec { network, ..spec }, tensors),
        None => Found {
            size,
            ..Found::new(format, network, tensors)
        },
    };
    // What the graph shows.
    file.pooling = Some(walk.pooling.unwrap_or(Pooling::None));
    file.variant = variant;
    file.ignored.extend(walk.softmax);
    Ok(file)
}

/// Reads a network of any kind; without `top` up to its last feature map, or the vector that is pooled of it.
pub fn network(path: &Path, top: bool) -> Result<Network, ConvertError> {
    let model = Arc::new(parse(path)?);
    graph::read(&model, path, top).map_err(|problem| ConvertError::NotXception {
        path: path.to_owned(),
        problem,
    })
}

/// The constants of a graph of any network.
pub(crate) fn raw(path: &Path) -> Result<Raw, ConvertError> {
    let model = Arc::new(parse(path)?);
    let mut raw = Raw::new("ONNX", Vec::new());
    raw.format.writer = writer(&model);
    let constants = model.graph.as_ref().map(|graph| graph.initializer.as_slice());
    for (index, stored) in constants.unwrap_or_default().iter().enumerate() {
        let name = stored.name.clone();
        let Ok(dims) = tensor::dims(stored, path) else {
            raw.ignored.push(name);
            continue;
        };
        let constant = tensor::Constant {
            name: name.clone(),
            place: tensor::Place::Initializer(index),
            dims: dims.clone(),
            order: Vec::new(),
        };
        let tensor = tensor::tensor(&model, path, &constant, name, dims)
            .map_err(|problem| ConvertError::damaged(path, problem))?;
        raw.tensors.push(SourceTensor::own(tensor));
    }
    Ok(raw)
}

/// What wrote a model, where it says.
fn writer(model: &ModelProto) -> Option<String> {
    let writer = format!("{} {}", model.producer_name, model.producer_version);
    Some(writer.trim().to_owned()).filter(|writer| !writer.is_empty())
}

/// Height and width where the graph fixes them.
fn input_size(model: &ModelProto, channels: usize) -> Option<[usize; 2]> {
    let graph = model.graph.as_ref()?;
    let constants: Vec<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let input = graph
        .input
        .iter()
        .find(|input| !constants.contains(&input.name.as_str()))?;
    let shape = &input.type_.as_ref()?.tensor_type().shape;
    let mut sides = Vec::new();
    for dimension in &shape.as_ref()?.dim {
        // An open side has the value 0.
        sides.push(usize::try_from(dimension.dim_value()).ok().filter(|side| *side > 0));
    }
    match sides[..] {
        [_, Some(first), height, width] if first == channels => Some([height?, width?]),
        [_, height, width, Some(last)] if last == channels => Some([height?, width?]),
        _ => None,
    }
}

/// Where sizes are open and norms folded, only the exporter tells whose network it was.
fn producers(model: &ModelProto) -> Option<Variant> {
    match model.producer_name.as_str() {
        "pytorch" => Some(Variant::Torch),
        "tf2onnx" => Some(Variant::Keras),
        _ => None,
    }
}

/// Makes the network's tensors of a graph's constants.
struct Maker<'a> {
    model: &'a Arc<ModelProto>,
    path: &'a Path,
    /// What is added to a variance, so that one that stands for 1 becomes 1.
    epsilon: f64,
}

impl Maker<'_> {
    fn tensors(&self, walk: &Walk, network: &XceptionConfig) -> Result<Vec<SourceTensor>, String> {
        let (main, projections) = xception::homes(network);
        let mut tensors = Vec::new();
        let convolutions = main
            .iter()
            .zip(&walk.convolutions)
            .chain(projections.iter().zip(&walk.projections));
        for (home, convolution) in convolutions {
            self.convolution(home, convolution, &mut tensors)?;
        }
        let Some((predictions, hidden)) = walk.denses.split_last() else {
            return Ok(tensors);
        };
        let hidden = hidden.iter().enumerate();
        let homes = hidden.map(|(index, dense)| (format!("head.hidden.{index}"), dense));
        for (home, dense) in homes.chain([("head.predictions".to_owned(), predictions)]) {
            let kernel = self.constant(&dense.kernel, format!("{home}.weight"), dense.kernel.dims.clone())?;
            tensors.push(SourceTensor {
                origin: kernel.origin,
                tensor: if dense.transposed {
                    transpose(kernel.tensor)
                } else {
                    kernel.tensor
                },
            });
            let outputs = dense.kernel.dims[usize::from(!dense.transposed)];
            tensors.push(match &dense.bias {
                Some(bias) => self.constant(bias, format!("{home}.bias"), vec![outputs])?,
                None => weights::vector(&format!("{home}.bias"), outputs, 0.0),
            });
        }
        Ok(tensors)
    }

    fn convolution(
        &self,
        home: &str,
        convolution: &Convolution,
        tensors: &mut Vec<SourceTensor>,
    ) -> Result<(), String> {
        let kernel = &convolution.kernel;
        tensors.push(self.constant(kernel, format!("{home}.weight"), kernel.dims.clone())?);
        let Some((path, half)) = home.rsplit_once('.') else {
            return Ok(());
        };
        let channels = kernel.dims.first().copied().unwrap_or(0);
        let other = match half {
            "depthwise" => "pointwise",
            "pointwise" => "depthwise",
            _ => half,
        };
        let other = format!("{path}.{other}.weight");
        let is_first_half = !tensors.iter().any(|entry| entry.tensor.name == other);
        let norm = match &convolution.norm {
            None if is_first_half => return Ok(()),
            Some(_) if is_first_half => return Err(format!("{path} has a bias or a norm between its two halves")),
            None => &Norm::Folded {
                scale: None,
                shift: None,
            },
            Some(norm) => norm,
        };
        let name = |variable: &str| format!("{path}.bn.{variable}");
        match norm {
            Norm::Whole { parts, bias, .. } => {
                for (part, variable) in parts.iter().zip(["gamma", "beta", "running_mean", "running_var"]) {
                    tensors.push(self.constant(part, name(variable), vec![channels])?);
                }
                if let Some(bias) = bias
                    && let Some(mean) = tensors
                        .iter_mut()
                        .rfind(|entry| entry.tensor.name == name("running_mean"))
                {
                    let bias = self.constant(bias, format!("{path}.bias"), vec![channels])?;
                    mean.tensor = minus(mean.tensor.clone(), bias.tensor);
                }
            }
            Norm::Folded { scale, shift } => {
                for (part, variable, default) in [(scale, "gamma", 1.0), (shift, "beta", 0.0)] {
                    tensors.push(match part {
                        Some(part) => self.constant(part, name(variable), vec![channels])?,
                        None => weights::vector(&name(variable), channels, default),
                    });
                }
                tensors.push(weights::vector(&name("running_mean"), channels, 0.0));
                tensors.push(weights::vector(
                    &name("running_var"),
                    channels,
                    weights::unit_variance(self.epsilon),
                ));
            }
        }
        Ok(())
    }

    fn constant(&self, constant: &tensor::Constant, name: String, shape: Vec<usize>) -> Result<SourceTensor, String> {
        if constant.dims.iter().product::<usize>() != shape.iter().product::<usize>() {
            return Err(format!(
                "constant {} has the shape {:?}, for {name} {shape:?}",
                constant.name, constant.dims
            ));
        }
        Ok(SourceTensor {
            origin: constant.name.clone(),
            tensor: tensor::tensor(self.model, self.path, constant, name, shape)?,
        })
    }
}

/// Writes a network through burn-onnx: input `images` `[batch, channels, height, width]`, any batch. The output is
/// `logits`, without a classifier `embedding`, the pooled vector, or `feature_map`.
pub(crate) fn write(model: &Xception, spec: &ModelSpec, path: &Path, overwrite: bool) -> Result<(), ConvertError> {
    let failed = |problem: String| ConvertError::write(path, problem);
    if spec.network.intermediate_activation == IntermediateActivation::Elu {
        return Err(ConvertError::Unsupported {
            path: path.to_owned(),
            problem: "burn-onnx 0.22 exports no ELU; write this network as .bpk or .safetensors".to_owned(),
        });
    }
    let device = Device::flex();
    let picture = |batch: usize| {
        let sides = [batch, spec.network.in_channels, spec.input.height, spec.input.width];
        Tensor::<4>::zeros(sides, &device)
    };
    let axes = [
        AxisSpec::dynamic("batch"),
        AxisSpec::Static,
        AxisSpec::Static,
        AxisSpec::Static,
    ];
    let axes = [InputSpec::new(axes)];
    let exporter = OnnxExporter::new();
    let result = match spec.network.pooling {
        Pooling::None => exporter.export_dynamic(model, picture(2), picture(3), &axes, feature_map),
        pooling => exporter.export_dynamic(model, picture(2), picture(3), &axes, |model, images| {
            let pooled = pool(feature_map(model, images), pooling);
            match &model.head {
                Some(head) => head.logits(pooled),
                None => pooled,
            }
        }),
    };
    let onnx = result.map_err(|error| failed(format!("burn-onnx: {error}")))?;
    let mut proto = ModelProto::parse_from_bytes(onnx.as_bytes()).map_err(|error| failed(error.to_string()))?;
    drop(onnx);
    let output = match (&model.head, spec.network.pooling) {
        (Some(_), _) => "logits",
        (None, Pooling::None) => "feature_map",
        (None, _) => "embedding",
    };
    if let Some(graph) = proto.graph.as_mut() {
        name_boundaries(graph, "images", output);
    }
    let text = spec.to_toml().map_err(failed)?;
    // The entries' type has no name outside of onnx-ir.
    let entries = proto.metadata_props.len();
    proto.metadata_props.resize_with(entries + 1, Default::default);
    if let Some(entry) = proto.metadata_props.last_mut() {
        entry.key.push_str(ModelSpec::KEY);
        entry.value = text;
    }
    publish(path, overwrite, |scratch| {
        Ok(proto.write_to_writer(&mut File::create(scratch)?)?)
    })
    .map_err(|error| ConvertError::write(path, error))
}

/// Gives the graph's input and output names that people can use; burn-onnx numbers them.
fn name_boundaries(graph: &mut GraphProto, input: &str, output: &str) {
    let mut names = Vec::new();
    for (values, name) in [(&mut graph.input, input), (&mut graph.output, output)] {
        if let [value] = values.as_mut_slice() {
            names.push((std::mem::replace(&mut value.name, name.to_owned()), name));
        }
    }
    let used = graph
        .node
        .iter_mut()
        .flat_map(|node| node.input.iter_mut().chain(&mut node.output));
    for value in used {
        if let Some((_, name)) = names.iter().find(|(old, _)| old == value) {
            value.clear();
            value.push_str(name);
        }
    }
}

/// # Panics
///
/// If the pictures are smaller than the network takes. They are made as large as its description says, which was checked.
fn feature_map(model: &Xception, images: Tensor<4>) -> Tensor<4> {
    model.feature_map(images).expect("pictures of the network's own size")
}

/// The network's pooling in operations that burn-onnx 0.22 knows: it has no mean or maximum over a side.
fn pool(map: Tensor<4>, pooling: Pooling) -> Tensor<2> {
    match pooling {
        Pooling::Max => map.max_dim_with_indices(2).0.max_dim_with_indices(3).0,
        _ => adaptive_avg_pool2d(map, [1, 1]),
    }
    .flatten(1, 3)
}
