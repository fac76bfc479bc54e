//! ONNX: exports of PyTorch, tf2onnx and Keras against ONNX Runtime's logits (`scripts/fixtures/onnx_fixtures.py`), our
//! own exports read back, and graphs that are broken or another network's.

mod common;

use std::time::{Duration, Instant};

use burn::tensor::Device;
use common::{Bench, Random, keras, logits, onnx, relative, tf, tiny, torch, torch_known};
use converter::{ConvertError, Known, Options, Unknown, open, verify};
use serde_json::Value;
use xception_model::{
    Architecture, InputSpec, IntermediateActivation, ModelSpec, OutputStride, Outputs, Pooling, SeparableOrder,
    Variant, WeightsError, XceptionConfig,
};

fn expected(name: &str) -> Vec<f32> {
    let json: Value = serde_json::from_slice(&std::fs::read(onnx("expected.json")).unwrap()).unwrap();
    serde_json::from_value(json[name].clone()).unwrap()
}

/// One of the files leaves the size open; the others state it.
fn known() -> Known {
    Known {
        size: Some([75, 90]),
        ..tf()
    }
}

#[test]
fn every_export_gives_onnx_runtimes_logits() {
    let torch = tiny().with_variant(Variant::Torch);
    for (name, network, folded) in [
        ("torch_folded.onnx", torch.clone(), true),
        ("torch_norms.onnx", torch.clone(), false),
        ("torch_open.onnx", torch.clone(), true),
        ("torch_dynamo.onnx", torch.clone(), true),
        ("torch_unoptimized.onnx", torch.clone(), false),
        ("torch_external.onnx", torch, true),
        ("tf2onnx.onnx", tiny(), true),
        ("keras_hidden.onnx", tiny().with_hidden_layers(vec![6, 4]), true),
        ("keras_max.onnx", tiny().with_pooling(Pooling::Max), true),
    ] {
        let source = open(&onnx(name), &known()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(source.spec.network, network.into(), "{name}");
        assert_eq!(
            source.format.name.contains("folded"),
            folded,
            "{name}: {}",
            source.format
        );
        let error = relative(&logits(source), &expected(name));
        println!("{name}: {error:.1e}");
        assert!(error <= 1e-5, "{name} is off by {error:.1e}");
    }
}

#[test]
fn a_fixed_size_is_read_and_an_open_one_asked_for() {
    let source = open(&onnx("tf2onnx.onnx"), &tf()).unwrap();
    assert_eq!((source.spec.input.height, source.spec.input.width), (75, 90));
    let source = open(&onnx("torch_folded.onnx"), &tf()).unwrap();
    assert_eq!((source.spec.input.height, source.spec.input.width), (75, 90));
    let error = open(&onnx("torch_open.onnx"), &tf()).unwrap_err();
    assert!(
        matches!(&error, ConvertError::Weights(WeightsError::Unknown { unknown, .. }) if *unknown == [Unknown::Size]),
        "{error}"
    );
    assert!(error.to_string().contains("--size 299x299"), "{error}");
}

/// A folded norm is rebuilt for the variant that the caller names if neither the graph nor its exporter shows it: at 71
/// x 71 both variants pad pools alike.
#[test]
fn a_variant_that_only_the_caller_knows_computes_right() {
    use onnx_ir::Message;
    let bench = Bench::new();
    let mut model = onnx_ir::ModelProto::parse_from_bytes(&std::fs::read(onnx("torch_folded.onnx")).unwrap()).unwrap();
    model.producer_name.clear();
    let input = &mut model.graph.as_mut().unwrap().input[0];
    let shape = input.type_.as_mut().unwrap().mut_tensor_type().shape.as_mut().unwrap();
    shape.dim[2].set_dim_value(71);
    shape.dim[3].set_dim_value(71);
    let path = bench.write("unsigned.onnx", model.write_to_bytes().unwrap());
    let error = open(&path, &Known::default()).unwrap_err().to_string();
    assert!(error.contains("--variant") && !error.contains("--size"), "{error}");
    let computed = |path: &std::path::Path, variant: Variant| -> Vec<f32> {
        let known = Known {
            variant: Some(variant),
            ..tf()
        };
        let source = open(path, &known).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(source.spec.network, tiny().with_variant(variant).into());
        let (model, _) = source.load(&Device::flex()).unwrap();
        let logits = model.forward(common::picture([1, 71, 71, 3])).unwrap();
        logits.into_data().iter::<f32>().collect()
    };
    let expected = computed(&onnx("torch_folded.onnx"), Variant::Torch);
    for variant in [Variant::Keras, Variant::Torch] {
        let error = relative(&computed(&path, variant), &expected);
        assert!(error <= 1e-6, "{variant:?} is off by {error:.1e}");
    }
}

/// With an open size, only symmetric padding shows PyTorch.
#[test]
fn padding_that_holds_at_any_size_tells_the_variant() {
    use onnx_ir::Message;
    let bench = Bench::new();
    let mut model = onnx_ir::ModelProto::parse_from_bytes(&std::fs::read(onnx("torch_open.onnx")).unwrap()).unwrap();
    model.producer_name.clear();
    let path = bench.write("unsigned.onnx", model.write_to_bytes().unwrap());
    let source = open(&path, &known()).unwrap();
    assert_eq!(source.spec.network, tiny().with_variant(Variant::Torch).into());
    let error = relative(&logits(source), &expected("torch_open.onnx"));
    assert!(error <= 1e-5, "off by {error:.1e}");
}

#[test]
fn a_description_of_another_network_is_refused() {
    use onnx_ir::Message;
    let bench = Bench::new();
    let out = bench.path("toy.onnx");
    open(&keras("toy.keras"), &tf())
        .unwrap()
        .convert(&out, &Options::default())
        .unwrap();
    let mut model = onnx_ir::ModelProto::parse_from_bytes(&std::fs::read(&out).unwrap()).unwrap();
    for entry in &mut model.metadata_props {
        entry.value = entry.value.replace("variant = \"keras\"", "variant = \"torch\"");
    }
    let path = bench.write("changed.onnx", model.write_to_bytes().unwrap());
    let error = open(&path, &Known::default()).unwrap_err().to_string();
    assert!(error.contains("another network than its graph"), "{error}");
}

/// Xception with other dilations is not in the zoo, but is still a network.
#[test]
fn another_network_is_one_of_its_own() {
    let known = Known {
        scaling: Some(xception_model::Scaling::Tf),
        ..known()
    };
    let source = open(&onnx("keras_dilated.onnx"), &known).unwrap();
    assert!(
        matches!(source.spec.network, Architecture::Graph(_)),
        "{}",
        source.spec.network
    );
    let error = relative(&logits(source), &expected("keras_dilated.onnx"));
    assert!(error <= 1e-5, "off by {error:.1e}");
}

/// Our own exports are read back as the same network, bit for bit if norms are kept; with any kind of output.
#[test]
fn our_own_exports_come_back_the_same() {
    let bench = Bench::new();
    let base = tiny();
    let variants: [(&str, XceptionConfig); 9] = [
        ("plain", base.clone()),
        ("torch", base.clone().with_variant(Variant::Torch)),
        ("hidden", base.clone().with_hidden_layers(vec![7])),
        ("max", base.clone().with_pooling(Pooling::Max)),
        ("straight", base.clone().with_residual(false)),
        (
            "relu",
            base.clone().with_intermediate_activation(IntermediateActivation::Relu),
        ),
        (
            "elu",
            base.clone().with_intermediate_activation(IntermediateActivation::Elu),
        ),
        (
            "pointwise first",
            base.clone().with_order(SeparableOrder::PointwiseFirst),
        ),
        ("stride 16", base.with_output_stride(OutputStride::S16)),
    ];
    for (name, network) in variants {
        let model = network.init(&Device::flex()).unwrap();
        let spec = ModelSpec {
            source: name.to_owned(),
            outputs: Outputs::Softmax,
            input: InputSpec {
                height: 75,
                width: 90,
                preset: None,
                ..InputSpec::default()
            },
            labels: Vec::new(),
            network: network.clone().into(),
        };
        let record = bench.path("record.bpk");
        xception_model::save(&model, &spec, &record, true).unwrap();
        let out = bench.path(&format!("{name}.onnx"));
        let source = open(&record, &Known::default()).unwrap();
        if let Err(error) = source.convert(&out, &Options::default()) {
            panic!("{name}: {error}");
        }
        let back = open(&out, &Known::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(back.spec, spec, "{name}");
        let (found, expected) = (logits(back), logits(open(&record, &Known::default()).unwrap()));
        // The outputs of such a small network may all be zero.
        let error = relative(&found, &expected);
        assert!(found == expected || error <= 1e-6, "{name} is off by {error:.1e}");
    }
}

#[test]
fn without_a_classifier_the_vector_or_the_map_comes_out() {
    let bench = Bench::new();
    for (name, pooling, output) in [
        ("vector", Pooling::Average, "embedding"),
        ("map", Pooling::None, "feature_map"),
    ] {
        let network = tiny().with_include_top(false).with_pooling(pooling);
        let model = network.init(&Device::flex()).unwrap();
        let spec = ModelSpec {
            source: name.to_owned(),
            outputs: Outputs::Softmax,
            input: InputSpec::default(),
            labels: Vec::new(),
            network: network.clone().into(),
        };
        let record = bench.path(&format!("{name}.bpk"));
        xception_model::save(&model, &spec, &record, true).unwrap();
        let out = bench.path(&format!("{name}.onnx"));
        open(&record, &Known::default())
            .unwrap()
            .convert(&out, &Options::default())
            .unwrap();
        let back = open(&out, &Known::default()).unwrap();
        assert_eq!(back.spec.network, network.into());
        assert_eq!(boundaries(&out), ["images", output]);
    }
}

#[test]
fn a_checkpoint_and_its_export_are_the_same_network() {
    let first = open(&torch("toy.pth"), &torch_known()).unwrap();
    let second = open(&onnx("torch_norms.onnx"), &known()).unwrap();
    let verification = verify(&first, &second).unwrap();
    assert!(verification.is_equal(), "{verification}");
}

/// The norm's mean stands for both: (x + b - mean) is (x - (mean - b)).
#[test]
fn a_norm_behind_a_biased_convolution_takes_the_bias_in() {
    use onnx_ir::Message;
    let bench = Bench::new();
    let mut model = onnx_ir::ModelProto::parse_from_bytes(&std::fs::read(onnx("torch_norms.onnx")).unwrap()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let mut biased = 0;
    for index in 0..graph.node.len() {
        if graph.node[index].op_type != "BatchNormalization" {
            continue;
        }
        let [input, mean] = [0, 3].map(|place| graph.node[index].input[place].clone());
        let tensor = graph.initializer.iter_mut().find(|tensor| tensor.name == mean).unwrap();
        let mut bias = tensor.clone();
        bias.name = format!("bias_{index}");
        // The mean, and the same amount added to the bias: the same sums.
        let doubled: Vec<u8> = tensor
            .raw_data
            .chunks(4)
            .flat_map(|value| (2.0 * f32::from_le_bytes(value.try_into().unwrap())).to_le_bytes())
            .collect();
        tensor.raw_data = doubled.into();
        let conv = graph.node.iter_mut().find(|node| node.output[0] == input).unwrap();
        conv.input.push(bias.name.clone());
        graph.initializer.push(bias);
        biased += 1;
    }
    assert_eq!(biased, 19);
    let path = bench.write("biased.onnx", model.write_to_bytes().unwrap());
    let source = open(&path, &known()).unwrap_or_else(|error| panic!("{error}"));
    let error = relative(&logits(source), &expected("torch_norms.onnx"));
    assert!(error <= 1e-5, "off by {error:.1e}");
}

#[test]
fn broken_graphs_are_sentences() {
    let bench = Bench::new();
    let try_open = |bytes: &[u8]| {
        let started = Instant::now();
        let path = bench.write("broken.onnx", bytes);
        let result = open(&path, &known()).and_then(|source| source.load(&Device::flex()).map(drop));
        assert!(started.elapsed() < Duration::from_secs(5));
        result.map_err(|error| error.to_string())
    };
    for name in ["torch_norms.onnx", "tf2onnx.onnx"] {
        let whole = std::fs::read(onnx(name)).unwrap();
        assert_eq!(try_open(&whole), Ok(()));
        for cut in (4..whole.len()).step_by(whole.len() / 150) {
            match try_open(&whole[..cut]) {
                Err(error) => assert!(error.contains("broken.onnx"), "{error}"),
                // A protocol buffer may end after any field; after the graph there are only notes.
                Ok(()) => assert!(cut * 100 > whole.len() * 98, "{name} at {cut}"),
            }
        }
        let mut random = Random::new(7);
        for _ in 0..600 {
            let _ = try_open(&random.mutate(&whole));
        }
    }
}

/// Changes the proto of a fixture.
fn changed(name: &str, change: impl FnOnce(&mut onnx_ir::ModelProto)) -> String {
    use onnx_ir::Message;
    let bench = Bench::new();
    let mut model = onnx_ir::ModelProto::parse_from_bytes(&std::fs::read(onnx(name)).unwrap()).unwrap();
    change(&mut model);
    let path = bench.write("changed.onnx", model.write_to_bytes().unwrap());
    open(&path, &known())
        .and_then(|source| source.convert(&bench.path("out.bpk"), &Options::default()))
        .expect_err("a broken model")
        .to_string()
}

#[test]
fn hostile_graphs_are_refused_by_name() {
    let error = changed("torch_folded.onnx", |model| {
        model.graph.as_mut().unwrap().initializer[0].dims = vec![1 << 40, 1 << 40];
    });
    assert!(error.contains("constant"), "{error}");
    let error = changed("torch_folded.onnx", |model| {
        model.graph.as_mut().unwrap().initializer.remove(0);
    });
    assert!(error.contains("is no constant of the file"), "{error}");
    // A graph with a cycle.
    let error = changed("torch_folded.onnx", |model| {
        let graph = model.graph.as_mut().unwrap();
        let first = graph.node.iter().find(|node| node.op_type == "Relu").unwrap().input[0].clone();
        let relu = graph.node.iter_mut().find(|node| node.op_type == "Relu").unwrap();
        relu.output[0] = first;
    });
    assert!(error.contains("changed.onnx"), "{error}");
    let error = changed("torch_folded.onnx", |model| {
        let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
        let bytes: Vec<u8> = tensor.raw_data.chunks(4).flat_map(|_| f32::NAN.to_le_bytes()).collect();
        tensor.raw_data = bytes.into();
    });
    assert!(error.contains("with a NaN or an infinity"), "{error}");
    // External values outside of the model's folder.
    for location in ["../secret.bin", "/etc/passwd"] {
        let error = changed("torch_external.onnx", |model| {
            for tensor in &mut model.graph.as_mut().unwrap().initializer {
                for entry in &mut tensor.external_data {
                    if entry.key == "location" {
                        entry.value = location.to_owned();
                    }
                }
            }
        });
        assert!(error.contains("is not in the model's folder"), "{error}");
    }
    // The file with the values is missing beside the copy.
    let error = changed("torch_external.onnx", |_| {});
    assert!(error.contains("torch_external.onnx.data"), "{error}");
}

#[test]
fn keras_to_onnx_and_back_computes_the_same() {
    let bench = Bench::new();
    let out = bench.path("toy.onnx");
    open(&keras("toy.keras"), &tf())
        .unwrap()
        .convert(&out, &Options::default())
        .unwrap();
    assert_eq!(boundaries(&out), ["images", "logits"]);
    let back = logits(open(&out, &Known::default()).unwrap());
    assert!(relative(&back, &logits(open(&keras("toy.keras"), &tf()).unwrap())) <= 1e-6);
}

/// Each model computes something else than Xception, with all tensors of one in their places: an operation that cannot
/// be computed is refused by its node, and the others give another network.
#[test]
#[allow(clippy::too_many_lines, reason = "a list of cases")]
fn graphs_that_compute_something_else_are_networks_of_their_own_or_refused_by_node() {
    const OWN: &str = "a network of its own";
    const SAME: &str = "the same network";
    const BACKBONE: &str = "without a classifier";
    type Model = onnx_ir::ModelProto;
    fn nodes<'a>(model: &'a mut Model, op: &'a str) -> impl Iterator<Item = &'a mut onnx_ir::NodeProto> {
        let graph = model.graph.as_mut().unwrap();
        graph.node.iter_mut().filter(move |node| node.op_type == op)
    }
    fn set(node: &mut onnx_ir::NodeProto, name: &str, value: i64, values: &[i64]) {
        node.attribute.retain(|attribute| attribute.name != name);
        let mut attribute = onnx_ir::AttributeProto::new();
        attribute.name = name.to_owned();
        attribute.i = value;
        attribute.ints = values.to_vec();
        node.attribute.push(attribute);
    }
    /// Inserts a node between a node and its readers.
    fn behind(model: &mut Model, op: &str, new: &str, name: &str, value: i64, values: &[i64]) {
        let graph = model.graph.as_mut().unwrap();
        let at = graph.node.iter().rposition(|node| node.op_type == op).unwrap();
        let mut node = onnx_ir::NodeProto::new();
        node.op_type = new.to_owned();
        node.output = std::mem::replace(&mut graph.node[at].output, vec!["between".to_owned()]);
        node.input = vec!["between".to_owned()];
        set(&mut node, name, value, values);
        graph.node.insert(at + 1, node);
    }
    type Change = fn(&mut Model);
    let cases: [(&str, Change, &str); 9] = [
        (
            "pools that round up",
            |model| nodes(model, "MaxPool").for_each(|node| set(node, "ceil_mode", 1, &[])),
            "Add `/block1/Add`: its inputs are 3 x 18 x 22 and 3 x 18 x 21; they must be equal",
        ),
        (
            "norms in training",
            |model| nodes(model, "BatchNormalization").for_each(|node| set(node, "training_mode", 1, &[])),
            "BatchNormalization `/bn1/BatchNormalization`: it is of a network in training",
        ),
        (
            "a border around every convolution",
            |model| nodes(model, "Conv").for_each(|node| set(node, "pads", 0, &[1, 1, 1, 1])),
            "Add `/block1/Add`: its inputs are 3 x 21 x 25 and 3 x 20 x 24; they must be equal",
        ),
        (
            "height and width exchanged",
            |model| behind(model, "Relu", "Transpose", "perm", 0, &[0, 1, 3, 2]),
            // For a mean over both axes, their order makes no difference.
            SAME,
        ),
        (
            "whole numbers in between",
            |model| behind(model, "Relu", "Cast", "to", 6, &[]),
            "Cast `/act4/Relu_output_0`: an operation that is not known here; --no-top reads the network up to \
             `act4/Relu`",
        ),
        (
            "pixels in another order",
            |model| behind(model, "Relu", "Reshape", "allowzero", 0, &[]),
            "Reshape `/act4/Relu_output_0`: it puts the values into an order that no network here has",
        ),
        (
            "a mean over channels",
            |model| nodes(model, "ReduceMean").for_each(|node| set(node, "axes", 0, &[1])),
            "ReduceMean `/ReduceMean`: it is over the axes [Channels], not over height and width",
        ),
        (
            "logits cut at zero",
            |model| behind(model, "Gemm", "Relu", "none", 0, &[]),
            "does not say what its outputs are",
        ),
        (
            "an output before the end",
            |model| {
                let features = nodes(model, "ReduceMean").next().unwrap().input[0].clone();
                model.graph.as_mut().unwrap().output[0].name = features;
            },
            BACKBONE,
        ),
    ];
    let same = logits(open(&onnx("torch_norms.onnx"), &known()).unwrap());
    for (name, change, expected) in cases {
        use onnx_ir::Message;
        let bench = Bench::new();
        let mut model = Model::parse_from_bytes(&std::fs::read(onnx("torch_norms.onnx")).unwrap()).unwrap();
        change(&mut model);
        let path = bench.write("changed.onnx", model.write_to_bytes().unwrap());
        let found = match open(&path, &known()) {
            Err(error) => error.to_string(),
            Ok(source) if !source.spec.network.include_top() => BACKBONE.to_owned(),
            Ok(source) => {
                let is_own = matches!(source.spec.network, Architecture::Graph(_));
                match (is_own, logits(source) == same) {
                    (true, false) => OWN.to_owned(),
                    (false, true) => SAME.to_owned(),
                    other => format!("{other:?}"),
                }
            }
        };
        assert!(found.contains(expected), "{name}: {found}");
        assert!(
            [OWN, SAME, BACKBONE].contains(&expected) || found.contains("changed.onnx"),
            "{found}"
        );
    }
}

/// A node of two bytes takes a hundred times as much memory.
#[test]
fn a_bomb_of_empty_nodes_is_refused_before_it_is_unfolded() {
    let bench = Bench::new();
    let nodes = [0x0a, 0x00].repeat(8 << 20);
    // ir_version 7, producer_name "a", then a graph of 2^24 bytes.
    let mut bytes = vec![0x08, 0x07, 0x12, 0x01, b'a', 0x3a, 0x80, 0x80, 0x80, 0x08];
    bytes.extend(nodes);
    let error = open(&bench.write("bomb.onnx", bytes), &known())
        .unwrap_err()
        .to_string();
    assert!(error.contains("its graph alone takes more than 128 MB"), "{error}");
}

/// Names of a graph's inputs and outputs.
fn boundaries(path: &std::path::Path) -> Vec<String> {
    use onnx_ir::Message;
    let model = onnx_ir::ModelProto::parse_from_bytes(&std::fs::read(path).unwrap()).unwrap();
    let boundaries = model.graph.input.iter().chain(&model.graph.output);
    boundaries.map(|value| value.name.clone()).collect()
}
