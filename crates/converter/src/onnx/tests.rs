//! Models of many exporters, read as graphs and computed as the graphs say, against ONNX Runtime
//! (`scripts/fixtures/onnx_fixtures.py`, `scripts/fixtures/onnx_zoo_fixtures.py`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn_store::bridge;
use graph::{
    Activation, BatchNorm, Builder, ChannelOrder, Conv, NewLayer, NodeId, Op, Padding, PoolKind, Roles, Shape,
};
use onnx_ir::{AttributeProto, GraphProto, Message, ModelProto, NodeProto};

use super::weights::Network;
use crate::dtype::values;
use crate::weight_file::FileTensor;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx")
}

fn read(path: &Path) -> Network {
    let model = Arc::new(super::parse(path).unwrap_or_else(|error| panic!("{error}")));
    super::network(&model, path, true).unwrap_or_else(|error| panic!("{error}"))
}

/// sin(i / 100), i counting NHWC values, as `[channels, height, width]`.
fn picture(channels: usize, [height, width]: [usize; 2]) -> Vec<f64> {
    let place = |c, y, x| (y * width + x) * channels + c;
    let pixels = (0..channels).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| (c, y, x))));
    pixels
        .map(|(c, y, x)| f64::from((place(c, y, x) as f64 / 100.0).sin() as f32))
        .collect()
}

/// The network's output, computed by loops that follow the definition of each operation.
#[allow(clippy::too_many_lines, reason = "an arm for each operation")]
fn run(network: &Network, size: [usize; 2]) -> Vec<f64> {
    let graph = &network.file.graph;
    let shapes = graph.shapes(size).unwrap_or_else(|error| panic!("{error}"));
    let tensors: HashMap<String, Vec<f64>> = network
        .own_tensors()
        .unwrap()
        .into_iter()
        .map(|entry| {
            (
                entry.tensor.name.clone(),
                values(&bridge::to_data(&entry.tensor).unwrap()),
            )
        })
        .collect();
    let mut outputs: Vec<Vec<f64>> = Vec::new();
    for (id, node) in graph.iter() {
        let input = |at: usize| &outputs[node.inputs[at].0];
        let shape = |at: usize| shapes[node.inputs[at].0];
        let tensor = |name: &str| &tensors[&format!("{}.{name}", node.path)];
        let spatial = |at: usize| shape(at).size().iter().product::<usize>();
        outputs.push(match &node.op {
            Op::Input { channels } => picture(*channels, size),
            Op::Conv(conv) => {
                let [outs, height, width] = sides(shapes[id.0]);
                let (kernel, [top, left, ..]) = (
                    tensor("weight"),
                    pads(conv.padding, shape(0), conv.kernel, conv.stride, conv.dilation),
                );
                let [inner, per_group] = [conv.channels[0] / conv.groups, outs / conv.groups];
                let mut out = Vec::new();
                for (o, y, x) in each(outs, height, width) {
                    let mut sum = if conv.bias { tensor("bias")[o] } else { 0.0 };
                    for (i, ky, kx) in each(inner, conv.kernel[0], conv.kernel[1]) {
                        let at = [
                            y * conv.stride[0] + ky * conv.dilation[0],
                            x * conv.stride[1] + kx * conv.dilation[1],
                        ];
                        let weight = kernel[((o * inner + i) * conv.kernel[0] + ky) * conv.kernel[1] + kx];
                        sum += weight
                            * pixel(input(0), shape(0), o / per_group * inner + i, at, [top, left]).unwrap_or(0.0);
                    }
                    out.push(sum);
                }
                out
            }
            Op::Pool(pool) => {
                let [channels, height, width] = sides(shapes[id.0]);
                let [top, left, ..] = pads(pool.padding, shape(0), pool.window, pool.stride, pool.dilation);
                let mut out = Vec::new();
                for (c, y, x) in each(channels, height, width) {
                    let found: Vec<f64> = each(1, pool.window[0], pool.window[1])
                        .filter_map(|(_, ky, kx)| {
                            let at = [
                                y * pool.stride[0] + ky * pool.dilation[0],
                                x * pool.stride[1] + kx * pool.dilation[1],
                            ];
                            pixel(input(0), shape(0), c, at, [top, left])
                        })
                        .collect();
                    let count = if pool.count_padding {
                        pool.window[0] * pool.window[1]
                    } else {
                        found.len()
                    };
                    out.push(match pool.kind {
                        PoolKind::Max => found.iter().copied().fold(f64::MIN, f64::max),
                        PoolKind::Average => found.iter().sum::<f64>() / count as f64,
                    });
                }
                out
            }
            Op::Pad { pads: [top, left, ..] } => {
                let [channels, height, width] = sides(shapes[id.0]);
                let zero = |(c, y, x)| pixel(input(0), shape(0), c, [y, x], [*top, *left]).unwrap_or(0.0);
                each(channels, height, width).map(zero).collect()
            }
            Op::Crop { crops: [top, left, ..] } => {
                let [channels, height, width] = sides(shapes[id.0]);
                let kept = |(c, y, x)| pixel(input(0), shape(0), c, [y + top, x + left], [0; 2]).unwrap_or(f64::NAN);
                each(channels, height, width).map(kept).collect()
            }
            Op::GroupNorm { groups, epsilon } => {
                let (values, count) = (input(0), input(0).len() / groups);
                let mut normed = Vec::with_capacity(values.len());
                for own in values.chunks_exact(count) {
                    let mean = own.iter().sum::<f64>() / count as f64;
                    let variance = own.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
                    normed.extend(own.iter().map(|x| (x - mean) / (variance + epsilon).sqrt()));
                }
                normed
            }
            Op::Resize { size, filter } => {
                let [channels, height, width] = sides(shape(0));
                let [rows, columns] = [filter.taps(height, size[0]), filter.taps(width, size[1])];
                let at = |c: usize, y: usize, x: usize| input(0)[(c * height + y) * width + x];
                each(channels, size[0], size[1])
                    .map(|(c, y, x)| {
                        let ((top, bottom, down), (left, right, along)) = (rows[y], columns[x]);
                        let row = |y: usize| at(c, y, left) * (1.0 - along) + at(c, y, right) * along;
                        row(top) * (1.0 - down) + row(bottom) * down
                    })
                    .collect()
            }
            Op::LayerNorm { epsilon } => {
                let (values, step) = (input(0), spatial(0));
                let normed = |(at, x): (usize, &f64)| {
                    let own: Vec<f64> = values.iter().skip(at % step).step_by(step).copied().collect();
                    let mean = own.iter().sum::<f64>() / own.len() as f64;
                    let variance = own.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / own.len() as f64;
                    (x - mean) / (variance + epsilon).sqrt()
                };
                values.iter().enumerate().map(normed).collect()
            }
            Op::GlobalPool(pool) => {
                let chunks = input(0).chunks(spatial(0));
                match pool.kind {
                    PoolKind::Max => chunks
                        .map(|values| values.iter().copied().fold(f64::MIN, f64::max))
                        .collect(),
                    PoolKind::Average => chunks
                        .map(|values| values.iter().sum::<f64>() / values.len() as f64)
                        .collect(),
                }
            }
            Op::BatchNorm(norm) => {
                let [gamma, beta, mean, variance] = ["gamma", "beta", "running_mean", "running_var"].map(tensor);
                let normed = |(at, x): (usize, &f64)| {
                    let c = at / spatial(0);
                    gamma[c] * (x - mean[c]) / (variance[c] + norm.epsilon).sqrt() + beta[c]
                };
                input(0).iter().enumerate().map(normed).collect()
            }
            Op::Take { channels } => {
                let step = spatial(0);
                let part = |channel: &usize| input(0)[channel * step..(channel + 1) * step].to_vec();
                channels.iter().flat_map(part).collect()
            }
            Op::ScaleShift(constants) => {
                let scaled = |(at, x): (usize, &f64)| {
                    let c = at / spatial(0);
                    x * constants.scale_of(c) + constants.shift_of(c)
                };
                input(0).iter().enumerate().map(scaled).collect()
            }
            Op::Activation(activation @ (Activation::Softmax | Activation::LogSoftmax)) => {
                let (values, step) = (input(0), spatial(0));
                let sum = |at: usize| {
                    values
                        .iter()
                        .skip(at % step)
                        .step_by(step)
                        .map(|x| x.exp())
                        .sum::<f64>()
                };
                let softmax = values.iter().enumerate().map(|(at, x)| x.exp() / sum(at));
                if *activation == Activation::LogSoftmax {
                    softmax.map(f64::ln).collect()
                } else {
                    softmax.collect()
                }
            }
            Op::Activation(activation) => input(0).iter().map(|x| activated(*activation, *x)).collect(),
            Op::Dense(dense) => {
                let [ins, outs] = dense.features;
                let product = |o: usize| {
                    (0..ins)
                        .map(|i| input(0)[i] * tensor("weight")[i * outs + o])
                        .sum::<f64>()
                };
                (0..outs)
                    .map(|o| product(o) + if dense.bias { tensor("bias")[o] } else { 0.0 })
                    .collect()
            }
            Op::Flatten {
                order: ChannelOrder::ChannelsLast,
            } => {
                let (channels, step) = (shape(0).channels(), spatial(0));
                (0..input(0).len())
                    .map(|at| input(0)[at % channels * step + at / channels])
                    .collect()
            }
            Op::Flatten { .. } | Op::ToMap | Op::Dropout { .. } => input(0).clone(),
            Op::Add => (0..input(0).len())
                .map(|at| node.inputs.iter().map(|input| outputs[input.0][at]).sum())
                .collect(),
            Op::Multiply => {
                let (one, two) = (input(0), input(1));
                let count = one.len().max(two.len());
                (0..count)
                    .map(|at| one[at * one.len() / count] * two[at * two.len() / count])
                    .collect()
            }
            Op::Concat => node.inputs.iter().flat_map(|input| outputs[input.0].clone()).collect(),
        });
    }
    outputs.swap_remove(network.file.output.0)
}

fn activated(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } => x.max(slope * x),
        Activation::Elu { alpha } => x.max(0.0) + alpha * x.min(0.0).exp_m1(),
        Activation::Selu => 1.050_700_987 * (x.max(0.0) + 1.673_263_242 * x.min(0.0).exp_m1()),
        Activation::Swish => x * sigmoid(x),
        Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid { slope } => (slope * x + 0.5).clamp(0.0, 1.0),
        Activation::Tanh => x.tanh(),
        Activation::Gelu { approximate: true } => {
            x / 2.0 * (1.0 + (0.797_884_560_8 * (x + 0.044_715 * x.powi(3))).tanh())
        }
        Activation::Gelu { .. } => {
            // The integral of the normal distribution, by Simpson's rule.
            let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let (steps, to) = (400, x.clamp(-9.0, 9.0));
            let weight = |at: i32| {
                if at == 0 || at == steps {
                    1.0
                } else {
                    f64::from(2 + at % 2 * 2)
                }
            };
            let sum: f64 = (0..=steps)
                .map(|at| weight(at) * density(to * f64::from(at) / f64::from(steps)))
                .sum();
            x * (0.5 + sum * to / f64::from(steps) / 3.0)
        }
        Activation::Softplus => x.exp().ln_1p(),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Mish => x * x.exp().ln_1p().tanh(),
        Activation::Exponential => x.exp(),
        Activation::Power { exponent } => x.powf(exponent),
        Activation::Clip { min, max } => x.max(min).min(max),
        Activation::Softmax | Activation::LogSoftmax => panic!("it is over the channels"),
    }
}

fn sides(shape: Shape) -> [usize; 3] {
    let [height, width] = shape.size();
    [shape.channels(), height, width]
}

fn each(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

fn pads(padding: Padding, shape: Shape, side: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> [usize; 4] {
    padding.pads(shape.size(), side, stride, dilation).unwrap()
}

/// A value of a map at a position counted from the start of its padding; `None` inside the padding.
fn pixel(map: &[f64], shape: Shape, channel: usize, at: [usize; 2], padding: [usize; 2]) -> Option<f64> {
    let [_, height, width] = sides(shape);
    let [y, x] = [at[0].checked_sub(padding[0])?, at[1].checked_sub(padding[1])?];
    (y < height && x < width).then(|| map[(channel * height + y) * width + x])
}

fn relative(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied())
}

fn expected(file: &Path) -> HashMap<String, Vec<f64>> {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn every_export_computes_what_onnx_runtime_does() {
    for (folder, size) in [
        (fixtures(), [75, 90]),
        (fixtures().join("zoo"), [17, 22]),
        (fixtures().join("ends"), [17, 22]),
    ] {
        for (name, expected) in expected(&folder.join("expected.json")) {
            let network = read(&folder.join(&name));
            let error = relative(&run(&network, network.file.size.unwrap_or(size)), &expected);
            println!("{name}: {error:.1e}");
            assert!(error <= 1e-5, "{name} is off by {error:.1e}");
        }
    }
}

/// ONNX Runtime's converter to 16 bits writes a node before the nodes whose outputs it reads.
#[test]
fn nodes_may_come_in_any_order() {
    let file = fixtures().join("zoo/torch_flat.onnx");
    let mut model = ModelProto::parse_from_bytes(&std::fs::read(&file).unwrap()).unwrap();
    model.graph.as_mut().unwrap().node.reverse();
    let folder = tempfile::tempdir().unwrap();
    let reversed = folder.path().join("reversed.onnx");
    std::fs::write(&reversed, model.write_to_bytes().unwrap()).unwrap();
    let size = [17, 22];
    assert_eq!(run(&read(&reversed), size), run(&read(&file), size));
}

/// The operations of a file by name, without the input.
fn operations(name: &str) -> String {
    let network = read(&fixtures().join("zoo").join(name));
    let name = |op: &Op| match op {
        Op::Activation(activation) => format!("{activation:?}"),
        op => op.name().to_owned(),
    };
    let names: Vec<String> = network.file.graph.nodes[1..]
        .iter()
        .map(|node| name(&node.op))
        .collect();
    names.join(", ")
}

#[test]
fn steps_of_an_exporter_become_one_operation() {
    assert_eq!(
        operations("steps.onnx"),
        "scale and shift, convolution, Gelu { approximate: false }, convolution, Gelu { approximate: true }, \
         convolution, Mish, Relu, convolution, scale and shift, sum, HardSwish, pooling, global pooling, dense layer, \
         scale and shift, Sigmoid, product, Softmax"
    );
    assert_eq!(
        operations("keras_gray.onnx"),
        "convolution, Elu { alpha: 1.0 }, global pooling, reshape to a map, convolution, flatten, Softmax"
    );
    assert_eq!(
        operations("torch_flat.onnx"),
        "convolution, Relu6, pooling, convolution, HardSwish, global pooling, reshape to a map, convolution, \
         HardSigmoid { slope: 0.1666666716337204 }, product, sum, pooling, flatten, dense layer, Relu, dense layer"
    );
}

/// A fixture with a change.
fn changed(name: &str, top: bool, change: impl FnOnce(&mut GraphProto)) -> Result<Network, String> {
    let mut model = ModelProto::parse_from_bytes(&std::fs::read(fixtures().join(name)).unwrap()).unwrap();
    change(model.graph.as_mut().unwrap());
    super::graph::read(&Arc::new(model), &fixtures().join(name), top)
}

fn rename(graph: &mut GraphProto, op: &str, new: &str) {
    let node = graph.node.iter_mut().rfind(|node| node.op_type == op).unwrap();
    node.op_type = new.to_owned();
}

#[test]
fn an_unknown_operation_is_named_with_the_way_out() {
    let error = changed("torch_norms.onnx", true, |graph| rename(graph, "Gemm", "Einsum")).unwrap_err();
    assert!(
        error.starts_with("Einsum `/fc/Gemm`: an operation that is not known here"),
        "{error}"
    );
    assert!(
        error.ends_with("--no-top reads the network up to `ReduceMean`"),
        "{error}"
    );
    let body = changed("torch_norms.onnx", false, |graph| rename(graph, "Gemm", "Einsum")).unwrap();
    assert!(matches!(body.file.graph.node(body.file.output).op, Op::GlobalPool(_)));
    // Also if the whole network is known.
    let body = changed("torch_norms.onnx", false, |_| {}).unwrap();
    assert!(matches!(body.file.graph.node(body.file.output).op, Op::GlobalPool(_)));

    let error = changed("torch_norms.onnx", true, |graph| rename(graph, "MaxPool", "LpPool")).unwrap_err();
    assert!(error.contains("--no-top would not help"), "{error}");
}

#[test]
fn what_computes_something_else_is_refused() {
    type Change = Box<dyn FnOnce(&mut GraphProto)>;
    fn behind(graph: &mut GraphProto, op: &str, new: &str, attribute: &str, value: i64, values: &[i64]) {
        let at = graph.node.iter().position(|node| node.op_type == op).unwrap();
        let output = std::mem::replace(&mut graph.node[at].output, vec!["between".to_owned()]);
        let mut node = NodeProto {
            op_type: new.to_owned(),
            input: vec!["between".to_owned()],
            output,
            ..Default::default()
        };
        set(&mut node, attribute, value, values);
        graph.node.insert(at + 1, node);
    }
    fn set(node: &mut NodeProto, name: &str, i: i64, ints: &[i64]) {
        node.attribute.retain(|attribute| attribute.name != name);
        node.attribute.push(AttributeProto {
            name: name.to_owned(),
            i,
            ints: ints.to_vec(),
            ..Default::default()
        });
    }
    let every = |op: &'static str, name: &'static str, i: i64, ints: &'static [i64]| {
        move |graph: &mut GraphProto| {
            let nodes = graph.node.iter_mut().filter(|node| node.op_type == op);
            nodes.for_each(|node| set(node, name, i, ints));
        }
    };
    let cases: Vec<(Change, &str)> = vec![
        (Box::new(every("MaxPool", "ceil_mode", 1, &[])), "they must be equal"),
        (
            Box::new(every("BatchNormalization", "training_mode", 1, &[])),
            "evaluation mode",
        ),
        (Box::new(every("Conv", "strides", 0, &[0, 1])), "stride is 0"),
        (Box::new(every("Conv", "group", 0, &[])), "its channels are 0"),
        (Box::new(every("Conv", "dilations", 0, &[-1, 1])), "dilation is"),
        (
            Box::new(every("ReduceMean", "axes", 0, &[1])),
            "not over height and width",
        ),
        (
            Box::new(|graph| behind(graph, "Relu", "Transpose", "perm", 0, &[0, 1, 3, 2])),
            "[Batch, Channels, Width, Height]",
        ),
        (Box::new(|graph| behind(graph, "Relu", "Cast", "to", 6, &[])), "Cast"),
        (
            Box::new(|graph| behind(graph, "Relu", "Reshape", "allowzero", 0, &[])),
            "order that no network",
        ),
        (
            Box::new(|graph| graph.initializer.truncate(3)),
            "is no constant of the file",
        ),
        (
            Box::new(|graph| graph.initializer[0].dims = vec![2, 3, 1 << 40, 3]),
            "constant",
        ),
        (
            Box::new(|graph| graph.node[1].output = vec!["input.1".to_owned()]),
            "another node outputs",
        ),
        (Box::new(|graph| graph.node.reverse()), "by no node before it"),
        (Box::new(|graph| graph.output.clear()), "0 outputs"),
        (Box::new(|graph| graph.input.clear()), "it has 0 inputs"),
        (
            Box::new(|graph| graph.node = vec![NodeProto::default(); 20_001]),
            "no network has more than 20000",
        ),
    ];
    for (change, expected) in cases {
        let error = changed("torch_norms.onnx", true, change).map(drop).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

/// A file may contain arbitrarily long chains: they are walked without recursion and in bounded time.
#[test]
fn long_chains_end_soon() {
    let started = Instant::now();
    for op in ["Relu", "Erf", "Neg", "Identity", "Unsqueeze", "Shape", "Sqrt"] {
        let _ = changed("torch_open.onnx", true, |graph| {
            let last = graph.node.len() - 1;
            let (mut before, input) = (Vec::new(), graph.node[last].input[0].clone());
            for index in 0..19_000 {
                let from = if index == 0 {
                    input.clone()
                } else {
                    format!("chain{index}")
                };
                let output = vec![format!("chain{}", index + 1)];
                before.push(NodeProto {
                    op_type: op.to_owned(),
                    input: vec![from],
                    output,
                    ..Default::default()
                });
            }
            graph.node[last].input[0] = "chain19000".to_owned();
            graph.node.splice(last..last, before);
        });
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn damaged_models_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.onnx");
    let mut seed = 7_u64;
    let mut below = |bound: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % bound
    };
    for name in [
        "torch_unoptimized.onnx",
        "zoo/steps.onnx",
        "zoo/torch_flat.onnx",
        "zoo/keras_mobile.onnx",
    ] {
        let whole = std::fs::read(fixtures().join(name)).unwrap();
        for _ in 0..1_500 {
            let mut bytes = whole.clone();
            for _ in 0..=below(3) {
                let at = below(bytes.len());
                match below(3) {
                    0 => bytes[at] ^= 1 << below(8),
                    1 => bytes[at] = 0xff,
                    _ => bytes[at] = below(256) as u8,
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(model) = super::parse(&path)
                && let Ok(network) = super::graph::read(&Arc::new(model), &path, below(2) == 0)
            {
                let _ = network.own_tensors();
            }
        }
    }
}

/// The same network as an architecture with norms: `conv`, `norm`, `relu`.
#[test]
fn folded_norms_are_made_anew() {
    let network = read(&fixtures().join("zoo/steps.onnx"));
    let theirs = &network.file.graph;
    let conv = theirs
        .nodes
        .iter()
        .position(|node| matches!(node.op, Op::Conv(_)))
        .unwrap();
    let (mut net, picture) = Builder::new("ours", 3);
    let x = net.layer(
        NewLayer::new("conv").at("stem.conv"),
        Op::Conv(Conv::new([3, 5], [3, 3], Padding::Valid)),
        &[picture],
    );
    let norm = BatchNorm {
        channels: 5,
        epsilon: 1e-3,
        momentum: 0.01,
        scale: true,
        center: true,
    };
    net.layer(NewLayer::new("norm").at("stem.bn"), Op::BatchNorm(norm), &[x]);
    let ours = net.finish(Roles::default(), 1);
    let tensors = network
        .tensors(&ours, theirs, &vec![Some(NodeId(0)), Some(NodeId(conv)), None])
        .unwrap();
    let own = network.own_tensors().unwrap();
    let numbers = |entry: &FileTensor| values(&bridge::to_data(&entry.tensor).unwrap());
    let names: Vec<&str> = tensors.iter().map(|entry| entry.tensor.name.as_str()).collect();
    let variables = ["gamma", "beta", "running_mean", "running_var"].map(|name| format!("stem.bn.{name}"));
    assert_eq!(
        names,
        [&["stem.conv.weight"], &variables.each_ref().map(String::as_str)[..]].concat()
    );
    let [kernel, gamma, beta, mean, variance] = [0, 1, 2, 3, 4].map(|at| numbers(&tensors[at]));
    let factored: Vec<f64> = kernel
        .iter()
        .enumerate()
        .map(|(at, weight)| weight * gamma[at / 27])
        .collect();
    assert!(
        relative(&numbers(&own[0]), &factored) < 1e-6,
        "the factor is in the kernel where there is no norm"
    );
    assert_eq!(numbers(&own[1]), beta);
    assert_eq!(mean, [0.0; 5]);
    assert!(
        variance
            .iter()
            .all(|variance| (*variance as f32 + 1e-3).to_bits() == 1.0_f32.to_bits())
    );
}

/// The norm's mean stands for both: (x + b - mean) is (x - (mean - b)).
#[test]
fn a_norm_behind_a_biased_convolution_takes_the_bias_in() {
    let network = changed("torch_norms.onnx", true, |graph| {
        let mean = graph
            .node
            .iter()
            .find(|node| node.op_type == "BatchNormalization")
            .unwrap()
            .input[3]
            .clone();
        graph
            .node
            .iter_mut()
            .find(|node| node.op_type == "Conv")
            .unwrap()
            .input
            .push(mean);
    })
    .unwrap();
    let theirs = &network.file.graph;
    let mut ours = theirs.clone();
    let pairs = theirs.iter().map(|(id, _)| Some(id)).collect();
    for (unbiased, mean) in [(false, false), (true, true)] {
        if let Op::Conv(conv) = &mut ours.nodes[1].op {
            conv.bias = !unbiased;
        }
        let tensors = network.tensors(&ours, theirs, &pairs).unwrap();
        let found = tensors
            .iter()
            .find(|entry| entry.tensor.name.ends_with("running_mean"))
            .unwrap();
        let numbers = values(&bridge::to_data(&found.tensor).unwrap());
        assert_eq!(numbers.iter().all(|number| number.to_bits() == 0), mean);
    }
}
