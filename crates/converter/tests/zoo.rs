//! Every published network of the zoo, with fewer channels, in every format: what is written is read as the same
//! network with the same outputs. README's table of architectures is what this test did.

mod common;
#[path = "../../xception-model/tests/common/readme.rs"]
mod readme;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, Tensor};
use common::{Bench, picture, relative};
use converter::{Known, Names, Options, open};
use readme::ReadmeTable;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Value, json};
use xception_model::graph::ParameterKind;
use xception_model::{
    Architecture, HiddenActivation, InputSpec, ModelSpec, Network, Outputs, Pooling, Published, Scaling, Variant,
};

const SIZE: [usize; 2] = [75, 95];
const CLASSES: usize = 5;

/// The network with few channels, for pictures of [`SIZE`].
fn small(published: &Published, variant: Variant) -> Architecture {
    let network = published.network.clone().with_variant(variant);
    let mut table = serde_json::to_value(&network).unwrap();
    let narrow = match network.name() {
        "xception" => json!({"widths": {"stem": [2, 3], "entry": [3, 4, 5], "exit": [6, 7, 8]}}),
        "resnet" => json!({"stem": 4, "widths": [2, 4, 3, 5]}),
        "vgg" => json!({"widths": [2, 3, 4, 5, 6], "hidden_layers": [9, 8], "map": [2, 2]}),
        "inception-v3" => json!({"width_divisor": 16}),
        "xception-aligned" => json!({"width_divisor": 8}),
        other => panic!("no small {other}: add its options here"),
    };
    for (key, value) in narrow.as_object().unwrap() {
        table[key] = value.clone();
    }
    table["num_classes"] = CLASSES.into();
    serde_json::from_value(table).unwrap()
}

/// Moves every value, so that no two tensors of a norm are equal.
struct Shaken;

impl ModuleMapper for Shaken {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let noise = Tensor::random(tensor.shape(), Distribution::Uniform(0.0, 0.02), &tensor.device());
            tensor + noise
        })
    }
}

fn network(architecture: &Architecture) -> Network {
    // Burn has one random generator per process.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let device = Device::flex();
    device.seed(7);
    architecture.init(&device).unwrap().map(&mut Shaken)
}

fn spec(network: Architecture) -> ModelSpec {
    ModelSpec {
        source: "a test".into(),
        network,
        outputs: Outputs::Softmax,
        input: InputSpec {
            height: SIZE[0],
            width: SIZE[1],
            scaling: Scaling::Tf,
            ..InputSpec::default()
        },
        labels: Vec::new(),
    }
}

fn logits(network: &Network) -> Vec<f32> {
    let logits = network.forward(picture([1, SIZE[0], SIZE[1], 3])).unwrap();
    logits.into_data().iter::<f32>().collect()
}

/// What no format but a record says. A pooling that the file shows is not repeated.
fn known(network: &Architecture) -> Known {
    Known {
        size: Some(SIZE),
        pooling: network.pooling(),
        outputs: Some(Outputs::Softmax),
        hidden_activation: Some(HiddenActivation::RELU),
        scaling: Some(Scaling::Tf),
        ..Known::default()
    }
}

/// A checkpoint with PyTorch's names and layout, as `state_dict` has them.
fn checkpoint(model: &Network, path: &Path, rename: impl Fn(&str, Vec<usize>) -> (String, Vec<usize>)) {
    let graph = model.graph();
    let mut entries: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut tensors = Tensors(Vec::new(), Vec::new());
    model.visit(&mut tensors);
    for parameter in graph.parameters() {
        let (_, shape, values) = tensors.1.iter().find(|(name, ..)| *name == parameter.name).unwrap();
        let (shape, values) = match *shape.as_slice() {
            // `[in, out]` here, `[out, in]` in PyTorch.
            [inputs, outputs] => {
                let transposed = (0..outputs).flat_map(|out| (0..inputs).map(move |at| values[at * outputs + out]));
                (vec![outputs, inputs], transposed.collect())
            }
            _ => (shape.clone(), values.clone()),
        };
        let torch = &graph.node(parameter.node).torch;
        assert!(!torch.is_empty(), "{} has no name in PyTorch", parameter.name);
        let (name, shape) = rename(&format!("{torch}.{}", parameter.kind.torch_name()), shape);
        let bytes = values.iter().flat_map(|value: &f32| value.to_le_bytes()).collect();
        entries.push((name, shape, bytes));
        if parameter.kind == ParameterKind::RunningVar {
            let counter = format!("{torch}.num_batches_tracked");
            entries.push((rename(&counter, Vec::new()).0, vec![1], vec![0; 4]));
        }
    }
    let views = entries
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    std::fs::write(path, serialize(views, None).unwrap()).unwrap();
}

/// Every tensor by its path, with shape and values.
struct Tensors(Vec<String>, Vec<(String, Vec<usize>, Vec<f32>)>);

impl burn::module::ModuleVisitor for Tensors {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.0.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.0.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let values = tensor.to_data().iter::<f32>().collect();
        self.1.push((self.0.join("."), tensor.shape().to_vec(), values));
    }
}

/// Reads a file as this network with these logits.
fn check(path: &Path, known: &Known, network: &Architecture, expected: &[f32], bound: f64) {
    let source = open(path, known).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let found = &source.spec.network;
    assert!(
        found == network,
        "{}: found {found}, expected {network}",
        path.display()
    );
    let (model, _) = source.load(&Device::flex()).unwrap();
    let error = relative(&logits(&model), expected);
    assert!(error <= bound, "{}: off by {error:.1e}", path.display());
}

/// Writes a record in another format and reads that back; the message of a refusal.
fn round_trip(
    bench: &Bench,
    record: &Path,
    ending: &str,
    network: &Architecture,
    expected: &[f32],
) -> Result<(), String> {
    let out: PathBuf = bench.path(&format!("network.{ending}"));
    let source = open(record, &Known::default()).unwrap();
    let options = Options {
        overwrite: true,
        ..Options::default()
    };
    source.convert(&out, &options).map_err(|error| error.to_string())?;
    let known = Known {
        // `.weights.h5` of Keras's own networks is theirs; a whole file shows its variant.
        variant: network.variant().filter(|_| ending == "safetensors"),
        ..known(network)
    };
    // A whole Keras model flattens as Keras does.
    let flattens = network.pooling() == Some(Pooling::Flatten) && ["keras", "h5"].contains(&ending);
    let network = if flattens {
        network.clone().with_variant(Variant::Keras)
    } else {
        network.clone()
    };
    // Keras's and ONNX's files compute in the same order here.
    check(&out, &known, &network, expected, 1e-6);
    Ok(())
}

/// Writes a record with PyTorch's names; the message of a refusal.
fn pytorch(bench: &Bench, record: &Path, name: &str) -> Result<PathBuf, String> {
    let out = bench.path(name);
    let options = Options {
        names: Names::Pytorch,
        overwrite: true,
        ..Options::default()
    };
    let source = open(record, &Known::default()).unwrap();
    source.convert(&out, &options).map_err(|error| error.to_string())?;
    Ok(out)
}

/// Every tensor of a written file stands in PyTorch's own, and those left over are counters, which PyTorch completes.
fn same_tensors(written: &Path, torch: &Path) {
    let [written, torch] = [written, torch].map(|path| std::fs::read(path).unwrap());
    let [written, torch] = [&written, &torch].map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
    let mut names: Vec<String> = torch
        .names()
        .into_iter()
        .map(|name| name.replace("module.", ""))
        .collect();
    names.retain(|name| !name.ends_with("num_batches_tracked"));
    names.sort();
    let mut found: Vec<String> = written.names().into_iter().map(ToString::to_string).collect();
    found.sort();
    assert_eq!(found, names);
    for name in names {
        let [own, theirs] = [
            written.tensor(&name).unwrap(),
            torch.tensor(&format!("module.{name}")).unwrap(),
        ];
        assert_eq!((own.shape(), own.data()), (theirs.shape(), theirs.data()), "{name}");
    }
}

/// Keras's VGG has PyTorch's layers, and only the first fully-connected one in another order.
#[test]
fn a_vgg_of_keras_becomes_one_of_pytorch_and_back() {
    let bench = Bench::new();
    let network = small(&published("vgg16"), Variant::Keras);
    let model = self::network(&network);
    let expected = logits(&model);
    let record = bench.path("vgg.bpk");
    xception_model::save(&model, &spec(network.clone()), &record, true).unwrap();
    let torch = pytorch(&bench, &record, "vgg.safetensors").unwrap();
    check(
        &torch,
        &Known::default(),
        &network.clone().with_variant(Variant::Torch),
        &expected,
        1e-6,
    );
    for (from, to) in [("vgg.safetensors", "back.keras"), ("back.keras", "back.bpk")] {
        let known = known(&network);
        let source = open(&bench.path(from), &known).unwrap();
        source.convert(&bench.path(to), &Options::default()).unwrap();
        check(&bench.path(to), &known, &network, &expected, 1e-6);
    }
}

#[test]
fn every_network_is_read_and_written_in_every_format() {
    let bench = Bench::new();
    let mut table = String::from(
        "| `--architecture` | paper | parameters | Keras | PyTorch | ONNX, safetensors, record | largest error \
         | fine-tuned | speed |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    // The golden test of the library and the test of fine-tuning in the trainer check and write their columns.
    let readme = ReadmeTable::read("architectures");
    let [errors, fine_tuned] = ["largest error", "fine-tuned"]
        .map(|heading| readme.column(heading).into_iter().collect::<BTreeMap<&str, &str>>());
    for published in Architecture::published() {
        let mut torch = "";
        let mut keras = "";
        for variant in [Variant::Keras, Variant::Torch] {
            let network = small(&published, variant);
            if variant == Variant::Torch && network.variant().is_none() {
                continue;
            }
            let model = self::network(&network);
            let expected = logits(&model);
            let record = bench.path("network.bpk");
            xception_model::save(&model, &spec(network.clone()), &record, true).unwrap();
            check(&record, &Known::default(), &network, &expected, 0.0);
            for ending in ["safetensors", "onnx"] {
                round_trip(&bench, &record, ending, &network, &expected).unwrap();
            }
            for ending in ["keras", "h5"] {
                let written = round_trip(&bench, &record, ending, &network, &expected);
                match (network.name(), variant, written) {
                    // Symmetric max pools that may meet negative numbers.
                    ("xception", Variant::Torch, written) => {
                        let problem = written.unwrap_err();
                        assert!(problem.contains("save the network as"), "{problem}");
                    }
                    (_, _, written) => written.unwrap(),
                }
            }
            if network.name() == "inception-v3" && variant == Variant::Torch {
                let source = open(&record, &Known::default()).unwrap();
                let options = Options {
                    overwrite: true,
                    ..Options::default()
                };
                let written = source.convert(&bench.path("network.weights.h5"), &options);
                let error = written.map(drop).unwrap_err().to_string();
                assert!(error.contains("do not say that the network is PyTorch's"), "{error}");
            } else if published.keras.is_some() && variant == Variant::Keras {
                round_trip(&bench, &record, "weights.h5", &network, &expected).unwrap();
                keras = "read, written";
            } else if published.keras.is_none() {
                keras = "whole models read, written";
            }
            if variant == Variant::Torch || network.variant().is_none() {
                let path = bench.path("torch.safetensors");
                checkpoint(&model, &path, |name, shape| (format!("module.{name}"), shape));
                check(&path, &self::known(&network), &network, &expected, 0.0);
                let written = pytorch(&bench, &record, "written.safetensors").unwrap();
                same_tensors(&written, &path);
                check(&written, &Known::default(), &network, &expected, 0.0);
                torch = "read, written (safetensors)";
            } else if network.name() != "vgg" {
                let error = pytorch(&bench, &record, "written.safetensors").unwrap_err();
                assert!(error.contains("PyTorch's computes something else"), "{error}");
            }
        }
        let parameters = published.network.num_params();
        let row = format!("`{}`", published.name);
        let error = errors.get(row.as_str()).unwrap_or(&"");
        let fine_tuned = fine_tuned.get(row.as_str()).unwrap_or(&"no");
        let _ = writeln!(
            table,
            "| {row} | {} | {:.1} M | {keras} | {torch} | read, written | {error} | {fine_tuned} | {} |",
            published.paper,
            parameters as f64 / 1e6,
            speed(published.name).map_or_else(|| "not measured".into(), |ratio| format!("{ratio:.2}"))
        );
    }

    readme.check(&table);
}

/// What a recipe with `leave_out` trains is an Xception in every format.
#[test]
fn an_xception_without_its_last_layers_is_read_and_written_in_every_format() {
    let bench = Bench::new();
    let published = published("xception");
    for (variant, count) in [
        (Variant::Keras, 1),
        (Variant::Keras, 2),
        (Variant::Torch, 1),
        (Variant::Torch, 2),
    ] {
        let head = xception_model::NewHead {
            num_classes: CLASSES,
            hidden_layers: Vec::new(),
            dropout: 0.0,
        };
        let network = small(&published, variant)
            .without_last_layers(count)
            .unwrap()
            .with_classifier(&head)
            .unwrap();
        assert_eq!(network.name(), "xception");
        let model = self::network(&network);
        let expected = logits(&model);
        let record = bench.path("network.bpk");
        xception_model::save(&model, &spec(network.clone()), &record, true).unwrap();
        check(&record, &Known::default(), &network, &expected, 0.0);
        let endings: &[&str] = match variant {
            Variant::Torch => &["safetensors", "onnx"],
            _ => &["safetensors", "onnx", "keras", "h5", "weights.h5"],
        };
        for ending in endings {
            round_trip(&bench, &record, ending, &network, &expected).unwrap();
        }
        if variant == Variant::Torch {
            let path = bench.path("torch.safetensors");
            checkpoint(&model, &path, |name, shape| (format!("module.{name}"), shape));
            check(&path, &self::known(&network), &network, &expected, 0.0);
            let written = pytorch(&bench, &record, "written.safetensors").unwrap();
            same_tensors(&written, &path);
            check(&written, &Known::default(), &network, &expected, 0.0);
        }

        // A record of before, with the graph of all layers, has the same weights.
        let described = bench.path("described.bpk");
        let graph = Architecture::Graph(network.graph());
        xception_model::save(&model, &spec(graph.clone()), &described, true).unwrap();
        check(&described, &Known::default(), &graph, &expected, 0.0);
        let [one, two] = [&record, &described].map(|path| open(path, &Known::default()).unwrap());
        let comparison = converter::verify(&one, &two).unwrap();
        assert!(comparison.is_equal(), "{comparison:?}");
    }
}

/// Our time for one picture by that of the faster of ONNX Runtime and `OpenVINO`, on one thread: the median over the
/// rounds of a kept run of `scripts/peers/bench_peers.sh`. Of several runs the one with most rounds counts, then the
/// newest.
fn speed(network: &str) -> Option<f64> {
    let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/runs");
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let outer = folders(&runs);
    let inner = outer.iter().flat_map(|path| folders(path));
    let found = outer.iter().cloned().chain(inner).filter_map(|folder| {
        let result: Value = serde_json::from_slice(&std::fs::read(folder.join("result.json")).ok()?).ok()?;
        // Runs of the time when there was one network do not name it.
        let own = result.get("network").map_or(Some("xception"), Value::as_str)?;
        let date = result["date"].as_str()?.to_owned();
        (own == network).then_some(())?;
        let ratios = ratios(&std::fs::read_to_string(folder.join("times.csv")).ok()?);
        (!ratios.is_empty()).then_some((ratios.len(), date, ratios))
    });
    let (_, _, mut ratios) = found.max_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)))?;
    Some(median(&mut ratios))
}

/// For each round, our median time by the least median of the two other engines, on one thread with one picture.
fn ratios(csv: &str) -> Vec<f64> {
    let mut rounds: BTreeMap<u32, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for line in csv.lines() {
        let [engine, "1", "1", round, _, time] = line.split(',').collect::<Vec<_>>()[..] else {
            continue;
        };
        let round = rounds.entry(round.parse().unwrap()).or_default();
        round.entry(engine).or_default().push(time.parse().unwrap());
    }
    let ratio = |mut engines: BTreeMap<&str, Vec<f64>>| {
        let mut time = |engine: &str| engines.get_mut(engine).map(|times| median(times));
        let (ours, others) = (time("xception")?, [time("onnxruntime"), time("openvino")]);
        Some(ours / others.into_iter().flatten().min_by(f64::total_cmp)?)
    };
    rounds.into_values().filter_map(ratio).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

fn published(name: &str) -> Published {
    let mut found = Architecture::published().into_iter();
    found.find(|published| published.name == name).unwrap()
}

#[test]
fn timm_s_vgg_has_convolutions_for_fully_connected_layers() {
    let bench = Bench::new();
    let mut table = serde_json::to_value(small(&published("vgg16"), Variant::Torch)).unwrap();
    table["map"] = json!([2, 3]);
    let network: Architecture = serde_json::from_value(table).unwrap();
    let model = self::network(&network);
    let path = bench.path("timm.safetensors");
    checkpoint(&model, &path, |name, shape| {
        let shape = match (name, shape.as_slice()) {
            ("classifier.0.weight", [output, _]) => vec![*output, 6, 2, 3],
            ("classifier.3.weight", [output, input]) => vec![*output, *input, 1, 1],
            _ => shape,
        };
        let name = name.replace("classifier.0.", "pre_logits.fc1.");
        let name = name
            .replace("classifier.3.", "pre_logits.fc2.")
            .replace("classifier.6.", "head.fc.");
        (name, shape)
    });
    // 2 x 3 is no square: the picture's size decides.
    let error = open(&path, &known(&network)).unwrap_err().to_string();
    assert!(error.contains("no square map of 6 channels"), "{error}");

    let mut table: Value = serde_json::to_value(&network).unwrap();
    table["map"] = json!([2, 2]);
    let network: Architecture = serde_json::from_value(table).unwrap();
    let model = self::network(&network);
    checkpoint(&model, &path, |name, shape| {
        let shape = match (name, shape.as_slice()) {
            ("classifier.0.weight", [output, _]) => vec![*output, 6, 2, 2],
            ("classifier.3.weight", [output, input]) => vec![*output, *input, 1, 1],
            _ => shape,
        };
        let name = name.replace("classifier.0.", "pre_logits.fc1.");
        let name = name
            .replace("classifier.3.", "pre_logits.fc2.")
            .replace("classifier.6.", "head.fc.");
        (name, shape)
    });
    let source = open(
        &path,
        &Known {
            size: Some([64, 64]),
            ..known(&network)
        },
    )
    .unwrap();
    assert_eq!(source.spec.network, network);
    let (read, _) = source.load(&Device::flex()).unwrap();
    let picture = picture([1, 64, 64, 3]);
    let values = |model: &Network| -> Vec<f32> {
        model
            .forward(picture.clone())
            .unwrap()
            .into_data()
            .iter::<f32>()
            .collect()
    };
    assert_eq!(values(&read), values(&model));
}

#[test]
fn an_auxiliary_head_is_left_out() {
    let bench = Bench::new();
    let network = small(&published("inception_v3"), Variant::Torch);
    let model = self::network(&network);
    let expected = logits(&model);
    let path = bench.path("aux.safetensors");
    checkpoint(&model, &path, |name, shape| (name.to_owned(), shape));
    let bytes = std::fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let zeros = vec![0; 4 * 1000 * 48];
    let extra = [
        ("AuxLogits.conv0.conv.weight", vec![8, 48, 1, 1], 8 * 48),
        ("AuxLogits.fc.weight", vec![1000, 48], 1000 * 48),
        ("AuxLogits.fc.bias", vec![1000], 1000),
    ];
    let extra = extra.map(|(name, shape, count)| {
        let view = TensorView::new(Dtype::F32, shape, &zeros[..4 * count]).unwrap();
        (name.to_owned(), view)
    });
    let all = tensors.tensors().into_iter().chain(extra);
    std::fs::write(&path, serialize(all, None).unwrap()).unwrap();
    check(&path, &known(&network), &network, &expected, 0.0);
}

/// The two `ResNets` have equal shapes but for the biases, and another stride: a flag never turns one into the other.
#[test]
fn torchvision_s_resnet_is_not_keras_s() {
    let bench = Bench::new();
    let network = small(&published("resnet50"), Variant::Torch);
    let path = bench.path("resnet.safetensors");
    checkpoint(&self::network(&network), &path, |name, shape| (name.to_owned(), shape));
    let known = Known {
        variant: Some(Variant::Keras),
        ..known(&network)
    };
    let source = open(&path, &known).unwrap();
    let error = source.load(&Device::flex()).unwrap_err().to_string();
    assert!(error.contains("conv1.conv.bias"), "{error}");
}

/// ResNet-18 has other blocks, a VGG with batch norms other layers.
#[test]
fn relatives_are_refused() {
    let bench = Bench::new();
    let resnet = small(&published("resnet50"), Variant::Torch);
    let model = self::network(&resnet);
    let path = bench.path("relative.safetensors");
    checkpoint(&model, &path, |name, shape| (name.replace(".conv3.", ".conv7."), shape));
    let error = open(&path, &known(&resnet)).unwrap_err();
    assert!(error.to_string().contains("ResNet-18"), "{error}");

    let vgg = small(&published("vgg16"), Variant::Torch);
    checkpoint(&self::network(&vgg), &path, |name, shape| {
        (name.replace("features.2.", "features.4."), shape)
    });
    let error = open(&path, &known(&vgg)).unwrap_err();
    assert!(error.to_string().contains("VGG without batch norms"), "{error}");
}

/// `nn.Sequential(*list(model.children()))` and fastai number the children of a network.
#[test]
fn a_sequence_of_children_is_its_network() {
    let bench = Bench::new();
    let resnet = small(&published("resnet50"), Variant::Torch);
    let model = self::network(&resnet);
    let expected = logits(&model);
    let path = bench.path("children.safetensors");
    for prefix in ["", "0.", "backbone.body."] {
        let children = [
            "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc",
        ];
        checkpoint(&model, &path, |name, shape| {
            let (child, rest) = name.split_once('.').unwrap();
            let number = children.iter().position(|other| *other == child).unwrap();
            (format!("{prefix}{number}.{rest}"), shape)
        });
        check(&path, &known(&resnet), &resnet, &expected, 0.0);
    }

    let vgg = small(&published("vgg16"), Variant::Torch).without_top();
    let model = self::network(&vgg);
    for prefix in ["", "0."] {
        checkpoint(&model, &path, |name, shape| (name.replace("features.", prefix), shape));
        let file = open(&path, &known(&vgg)).unwrap();
        assert_eq!(file.spec.network, vgg, "{prefix}");
        let (read, _) = file.load(&Device::flex()).unwrap();
        let picture = picture([1, SIZE[0], SIZE[1], 3]);
        let map = |model: &Network| model.feature_map(picture.clone()).unwrap().into_data();
        map(&read).assert_eq(&map(&model), true);
    }
}

/// A name such as `conv1.weight` is in networks of all kinds: it makes no file a network of ours, and no two copies.
#[test]
fn another_network_is_not_taken_for_copies_of_one() {
    let bench = Bench::new();
    let numbers = [0; 16];
    let names = [
        "block0.conv1.weight",
        "block1.conv1.weight",
        "block1.conv2.weight",
        "classifier.weight",
    ];
    let view = || TensorView::new(Dtype::F32, vec![2, 2, 1, 1], &numbers).unwrap();
    let path = bench.write(
        "other.safetensors",
        serialize(names.map(|name| (name, view())), None).unwrap(),
    );
    let error = open(&path, &Known::default()).unwrap_err().to_string();
    assert!(
        error.contains("its names are of no network that is known here (block0.conv1.weight"),
        "{error}"
    );
    assert!(error.contains("torch.onnx.export"), "{error}");

    let resnet = small(&published("resnet50"), Variant::Torch);
    let path = bench.path("deep.safetensors");
    checkpoint(&self::network(&resnet), &path, |name, shape| {
        (name.replace("conv1.weight", "conv1.0.weight"), shape)
    });
    let error = open(&path, &known(&resnet)).unwrap_err().to_string();
    assert!(
        error.contains("(ResNet-C, -D") && error.contains("torch.onnx.export"),
        "{error}"
    );
}
