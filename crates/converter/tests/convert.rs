//! Every format to every format, and the messages on the way.

mod common;
#[path = "../../xception-model/tests/common/readme.rs"]
mod readme;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use burn_store::bridge;
use common::{Bench, all_known, keras, logits_of, tf, tiny, torch, torch_known};
use converter::{Known, Options, Precision, open, verify};
use readme::ReadmeTable;
use xception_model::picture::Preset;
use xception_model::registry::{Card, Kind};
use xception_model::{Architecture, Outputs, Pooling, Variant};

/// The formats of the README's table: name, fixtures that are read here, endings that are written.
const FORMATS: [(&str, &[&str], &[&str]); 7] = [
    (
        "Keras 3 `.keras` (also of TensorFlow 2.11 on)",
        &[
            "toy.keras",
            "offset.keras",
            "hidden.keras",
            "max.keras",
            "notop.keras",
            "nested_functional.keras",
            "nested_sequential.keras",
        ],
        &["keras"],
    ),
    (
        "Keras 3 `.weights.h5`",
        &["toy.weights.h5.gz", "no_names.weights.h5.gz"],
        &["weights.h5"],
    ),
    (
        "Keras 1, 2 and 3 legacy `.h5`, whole model or weights alone",
        &[
            "legacy_model.h5.gz",
            "legacy_weights.h5.gz",
            "keras2_weights.h5.gz",
            "keras1_weights.h5.gz",
            "nested_frozen.h5.gz",
            "nested_unfrozen.h5.gz",
        ],
        &["h5"],
    ),
    (
        "PyTorch `.pth`, `.pt`: timm `legacy_xception`, Cadene",
        &["toy.pth", "legacy.pth", "checkpoint.pth", "half.pth", "strided.pth"],
        &[],
    ),
    (
        "safetensors, timm's names or ours",
        &["toy.safetensors"],
        &["safetensors"],
    ),
    (
        "ONNX `.onnx`: PyTorch (both exporters), tf2onnx, Keras and ours",
        &[
            "torch_folded.onnx",
            "torch_norms.onnx",
            "torch_dynamo.onnx",
            "torch_unoptimized.onnx",
            "torch_open.onnx",
            "torch_external.onnx",
            "tf2onnx.onnx",
            "keras_hidden.onnx",
            "keras_max.onnx",
        ],
        &["onnx"],
    ),
    ("Burn record `.bpk`", &[], &["bpk"]),
];

/// A fixture, unpacked if it is gzipped.
fn fixture(bench: &Bench, name: &str) -> PathBuf {
    match name.rsplit_once('.') {
        Some((_, "onnx")) => return common::onnx(name),
        Some((_, "pth" | "safetensors")) => return torch(name),
        _ => {}
    }
    match name.strip_suffix(".gz") {
        None => keras(name),
        Some(plain) => {
            let packed = std::fs::File::open(keras(name)).unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut bytes).unwrap();
            bench.write(plain, bytes)
        }
    }
}

fn open_any(path: &Path) -> converter::WeightFile {
    // A file that records its pooling is not contradicted.
    open(path, &all_known())
        .or_else(|_| {
            open(
                path,
                &Known {
                    size: Some([75, 90]),
                    ..tf()
                },
            )
        })
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Reads every fixture, writes each network in every format that can hold it, reads it back and compares every bit. The
/// README's table must equal the list of what was tested.
#[test]
fn every_format_is_read_and_written_bit_for_bit() {
    let bench = Bench::new();
    let mut table = String::from("| format | read | written |\n|---|---|---|\n");
    let endings: Vec<&str> = FORMATS.iter().flat_map(|(_, _, written)| *written).copied().collect();
    let mut number = 0;
    for (title, files, written) in FORMATS {
        for name in files {
            let path = fixture(&bench, name);
            let is_torch = open_any(&path).spec.network.variant() == Some(Variant::Torch);
            for ending in &endings {
                // Keras has no pools that pad on both sides.
                if is_torch && ["keras", "weights.h5", "h5"].contains(ending) {
                    continue;
                }
                number += 1;
                let out = bench.path(&format!("{number}.{ending}"));
                let report = open_any(&path).convert(&out, &Options::default()).unwrap();
                assert!(report.initial.is_empty() && report.left_out.is_empty());
                let original = open_any(&path);
                let back = open(
                    &out,
                    &Known {
                        size: Some([75, 90]),
                        pooling: original.spec.network.pooling(),
                        outputs: Some(original.spec.outputs),
                        hidden_activation: original.spec.network.hidden_activation(),
                        ..tf()
                    },
                )
                .unwrap();
                let verification = verify(&original, &back).unwrap();
                assert!(verification.is_equal(), "{name} as {ending}: {verification}");
                assert!(verification.compared > 100, "{name} as {ending}");
            }
        }
        let read = match files.len() {
            0 => "yes".to_owned(),
            1 => "yes, 1 file".to_owned(),
            count => format!("yes, {count} files"),
        };
        let _ = writeln!(
            table,
            "| {title} | {read} | {} |",
            if written.is_empty() { "no" } else { "yes" }
        );
    }
    println!("{number} conversions");

    ReadmeTable::read("formats").check(&table);
}

#[test]
fn half_precision_is_rounded_to_the_nearest_and_verified_so() {
    let bench = Bench::new();
    for (precision, bound) in [(Precision::F16, 5e-4), (Precision::Bf16, 4e-3)] {
        for ending in ["bpk", "safetensors"] {
            let out = bench.path(&format!("{precision}.{ending}"));
            let options = Options {
                precision,
                ..Options::default()
            };
            open(&keras("toy.keras"), &tf())
                .unwrap()
                .convert(&out, &options)
                .unwrap();
            let first = open(&keras("toy.keras"), &tf()).unwrap();
            let second = open(&out, &Known::default()).unwrap();
            let verification = verify(&first, &second).unwrap();
            assert!(verification.is_equal(), "{verification}");
            assert_eq!(verification.rounded_to.as_deref(), Some(precision.to_string().as_str()));
            for (one, two) in first.tensors.iter().zip(&second.tensors) {
                let value = |entry: &converter::FileTensor| -> Vec<f32> {
                    bridge::to_data(&entry.tensor).unwrap().iter::<f32>().collect()
                };
                let (one, two) = (value(one), value(two));
                assert!(
                    one.iter()
                        .zip(&two)
                        .all(|(a, b)| (a - b).abs() <= bound * a.abs() + 1e-7)
                );
            }
        }
    }
    let options = Options {
        precision: Precision::F16,
        ..Options::default()
    };
    let source = open(&keras("toy.keras"), &tf()).unwrap();
    let error = source
        .convert(&bench.path("out.onnx"), &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("leave out --dtype"), "{error}");
}

#[test]
fn a_changed_bit_is_found() {
    let bench = Bench::new();
    let out = bench.path("out.safetensors");
    let source = open(&keras("toy.keras"), &tf()).unwrap();
    source.convert(&out, &Options::default()).unwrap();
    let mut bytes = std::fs::read(&out).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&out, bytes).unwrap();
    let path = keras("toy.keras");
    let report = bench.run(&[
        "verify".as_ref(),
        path.as_os_str(),
        "out.safetensors".as_ref(),
        "--json".as_ref(),
        "r.json".as_ref(),
    ]);
    assert_eq!(report.code, Some(1));
    assert!(report.stdout.contains("1 values differ"), "{}", report.stdout);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(bench.path("r.json")).unwrap()).unwrap();
    assert_eq!(json["equal"], false);
    assert_eq!(json["tensors"]["different"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_card_tells_where_the_file_came_from() {
    let bench = Bench::new();
    bench.write("classes.txt", "cup\nfork\nglass\nknife\nplate\n");
    let input = keras("toy.keras");
    let arguments = [
        input.as_os_str(),
        "toy.bpk".as_ref(),
        "--classes".as_ref(),
        "classes.txt".as_ref(),
        "--preset".as_ref(),
        "keras-nearest".as_ref(),
        "--scaling".as_ref(),
        "tf".as_ref(),
    ];
    let said = bench.run(&arguments).ok();
    assert!(said.ends_with("wrote toy.bpk and toy.bpk.card.toml\n"), "{said}");
    assert!(
        said.contains("Keras .keras archive, written by Keras 3.15.1; 1435 parameters as f32"),
        "{said}"
    );
    let card = Card::load(&bench.path("toy.bpk.card.toml")).unwrap();
    let conversion = card.conversion.as_ref().unwrap();
    assert_eq!(conversion.file, "toy.keras");
    assert_eq!(conversion.writer.as_deref(), Some("Keras 3.15.1"));
    assert_eq!(conversion.sha256.len(), 64);
    assert_eq!(conversion.dtype, "f32");
    assert_eq!(card.classes, Some(5));
    assert_eq!(card.input.height, 331);
    assert_eq!(card.network["middle_blocks"].as_integer(), Some(1));
    assert_eq!(card.labels()[3].name, "knife");
    let (bytes, sha256) = files::sha256(&bench.path("toy.bpk")).unwrap();
    let weights = card.weights(Kind::Full).unwrap();
    assert_eq!((weights.bytes, weights.sha256.as_ref()), (Some(bytes), Some(&sha256)));
    let source = open(&bench.path("toy.bpk"), &Known::default()).unwrap();
    assert_eq!(source.spec.label(3).name, "knife");
    assert_eq!(source.spec.input.preset, Some(Preset::KerasNearest));

    // An existing output and its card are kept.
    assert!(
        bench
            .run(&arguments)
            .failed(1)
            .contains("toy.bpk exists already; --force replaces it")
    );
    std::fs::remove_file(bench.path("toy.bpk")).unwrap();
    assert!(
        bench
            .run(&arguments)
            .failed(1)
            .contains("toy.bpk.card.toml exists already")
    );
    bench.run(&[&arguments[..], &["--force".as_ref()]].concat()).ok();
}

#[test]
fn what_the_file_leaves_open_is_asked_for_by_name() {
    let bench = Bench::new();
    let path = fixture(&bench, "legacy_weights.h5.gz");
    let error = open(&path, &Known::default()).unwrap_err().to_string();
    // `predictions` is the name of keras.applications' classifier, and of many others: weights alone do not say what
    // stands before it.
    for flag in ["--size 299x299", "--pooling average", "--scaling tf", "--head softmax"] {
        assert!(error.contains(flag), "{error}");
    }
    let path = fixture(&bench, "legacy_weights.h5.gz");
    let known = Known {
        pooling: Some(Pooling::Max),
        ..all_known()
    };
    // What a user says of it is never against the file.
    let max = open(&path, &known).unwrap();
    assert_eq!(max.spec.network, tiny().with_pooling(Pooling::Max).into());
    let whole = open(&keras("max.keras"), &all_known()).unwrap_err().to_string();
    assert!(
        whole.ends_with("--pooling average was given, and the file says max"),
        "{whole}"
    );
    let said = ["--pooling", "average", "--head", "softmax", "--scaling", "tf"];
    let said = said.map(std::ffi::OsStr::new);
    let size = |size: &'static str| [std::ffi::OsStr::new("--size"), size.as_ref()];
    let run = bench.run(&[&[path.as_os_str(), "out.bpk".as_ref()], &said[..], &size("12x12")].concat());
    let error = run.failed(1);
    assert!(
        error.contains("the input is 12 x 12; Xception takes pictures from 71 x 71 on"),
        "{error}"
    );
    for size in ["0x75", "75x", "75x5000"] {
        let run = bench.run(&[path.as_os_str(), "out.bpk".as_ref(), "--size".as_ref(), size.as_ref()]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
    }
    let run = bench.run(&[
        path.as_os_str(),
        "out.xyz".as_ref(),
        "--size".as_ref(),
        "99x99".as_ref(),
    ]);
    assert!(run.failed(1).contains("no format with this ending"));
}

/// The toy's archive with another activation at its end.
fn ending_in(bench: &Bench, activation: &str) -> PathBuf {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(keras("toy.keras")).unwrap()).unwrap();
    let path = bench.path(&format!("{activation}.keras"));
    let mut out = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let name = member.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
        if name == "config.json" {
            let mut config: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let layers = config["config"]["layers"].as_array_mut().unwrap();
            layers.last_mut().unwrap()["config"]["activation"] = activation.into();
            bytes = serde_json::to_vec(&config).unwrap();
        }
        out.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut out, &bytes).unwrap();
    }
    out.finish().unwrap();
    path
}

/// A sigmoid means that a picture may show several classes; every format that describes its network keeps this.
#[test]
fn what_a_classifier_ends_in_is_read_and_kept() {
    let bench = Bench::new();
    for (activation, outputs) in [
        ("linear", Outputs::Softmax),
        ("softmax", Outputs::Softmax),
        ("sigmoid", Outputs::Sigmoid),
    ] {
        let path = ending_in(&bench, activation);
        for ending in ["bpk", "safetensors", "keras", "h5", "onnx"] {
            let out = bench.path(&format!("{activation}-out.{ending}"));
            let source = open(&path, &tf()).unwrap();
            assert_eq!(source.spec.outputs, outputs, "{activation}");
            source.convert(&out, &Options::default()).unwrap();
            let back = open(&out, &tf()).unwrap();
            assert_eq!(back.spec.outputs, outputs, "{activation} as {ending}");
        }
    }
    // Another activation stays part of the network, which is then Xception with a custom head.
    // What its numbers mean is asked for.
    let path = ending_in(&bench, "tanh");
    let error = open(&path, &tf()).unwrap_err().to_string();
    assert!(error.contains("--head probabilities"), "{error}");
    let known = Known {
        outputs: Some(Outputs::Softmax),
        ..tf()
    };
    let source = open(&path, &known).unwrap();
    let Architecture::Graph(graph) = &source.spec.network else {
        panic!("{}", source.spec.network);
    };
    assert_eq!((graph.title.as_str(), graph.outputs()), ("Xception", Some(5)));
    let tanh = logits_of(&source.path.clone(), &known);
    let linear = logits_of(&keras("toy.keras"), &tf());
    for (found, expected) in tanh.iter().zip(&linear) {
        assert!((found - expected.tanh()).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn without_its_classifier() {
    let bench = Bench::new();
    let out = bench.path("backbone.bpk");
    let options = Options {
        no_top: true,
        ..Options::default()
    };
    let report = open(&keras("hidden.keras"), &tf())
        .unwrap()
        .convert(&out, &options)
        .unwrap();
    assert_eq!(report.left_out.len(), 6);
    let source = open(&out, &Known::default()).unwrap();
    // Without a classifier, its options have their defaults.
    let backbone = tiny().with_include_top(false).with_num_classes(1000);
    assert_eq!(source.spec.network, backbone.into());
}

#[test]
fn missing_and_unused_tensors_are_listed_with_their_nearest_and_only_partial_lets_them_pass() {
    let bench = Bench::new();
    // A network whose file lacks one tensor and has one with a wrong name.
    let source = open(&torch("toy.safetensors"), &torch_known()).unwrap();
    source
        .convert(&bench.path("whole.safetensors"), &Options::default())
        .unwrap();
    let bytes = std::fs::read(bench.path("whole.safetensors")).unwrap();
    let text =
        String::from_utf8_lossy(&bytes).replacen("exit.block7.sepconv1.bn.gamma", "exit.block7.sepconv1.bn.gumma", 1);
    assert_eq!(text.len(), String::from_utf8_lossy(&bytes).len());
    let mut broken = bytes.clone();
    let place = bytes
        .windows(29)
        .position(|window| window == b"exit.block7.sepconv1.bn.gamma")
        .unwrap();
    broken[place..place + 29].copy_from_slice(b"exit.block7.sepconv1.bn.gumma");
    bench.write("broken.safetensors", broken);

    let error = bench.run(&["broken.safetensors", "out.bpk"]).failed(1);
    assert!(error.contains("1 missing"), "{error}");
    assert!(
        error.contains("exit.block7.sepconv1.bn.gamma [7], most like exit.block7.sepconv1.bn.gumma"),
        "{error}"
    );
    assert!(
        error.contains("exit.block7.sepconv1.bn.gumma [7], most like exit.block7.sepconv1.bn.gamma"),
        "{error}"
    );
    assert!(!bench.path("out.bpk").exists());

    let run = bench.run(&["broken.safetensors", "out.bpk", "--partial"]);
    let said = run.ok();
    assert!(
        said.contains("1 tensors at their initial values: exit.block7.sepconv1.bn.gamma"),
        "{said}"
    );
    let card = std::fs::read_to_string(bench.path("out.bpk.card.toml")).unwrap();
    assert!(card.contains("initial = [\"exit.block7.sepconv1.bn.gamma\"]"), "{card}");
}

#[test]
fn inspect_shows_tensors_and_network() {
    let bench = Bench::new();
    let path = torch("half.pth");
    let text = bench.run(&["inspect".as_ref(), path.as_os_str()]).ok();
    assert!(text.contains("block1.rep.0.conv1.weight"), "{text}");
    assert!(text.contains("entry.block2.sepconv1.depthwise.weight"), "{text}");
    assert!(text.contains("f16"), "{text}");
    assert!(text.contains("It is complete"), "{text}");
    let json = bench
        .run(&["inspect".as_ref(), path.as_os_str(), "--json".as_ref()])
        .ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["parameters"], 1435);
    assert_eq!(json["ignored"].as_array().map(Vec::len), Some(19));
}

/// Facts that the file leaves open are not invented.
#[test]
fn inspect_says_what_the_file_does_not() {
    let bench = Bench::new();
    let run = |arguments: &[&str], path: &std::path::Path| {
        let path = path.to_str().unwrap();
        bench.run(&[&["inspect", path], arguments].concat()).ok()
    };
    let open_size = torch("toy.pth");
    let text = run(&[], &open_size);
    assert!(text.contains("input       not said"), "{text}");
    assert!(text.contains("\"pooling\": \"not said\""), "{text}");
    let json: serde_json::Value = serde_json::from_str(&run(&["--json"], &open_size)).unwrap();
    assert!(json["network"]["input"]["height"].is_null(), "{json}");
    assert!(json["network"]["network"]["pooling"].is_null(), "{json}");
    let text = run(&["--size", "75x90"], &open_size);
    assert!(text.contains("input       75 x 90"), "{text}");

    let model = tiny().init(&burn::tensor::Device::flex()).unwrap();
    let path = bench.path("burn.bpk");
    burn_store::ModuleSnapshot::save_into(&model, &mut burn_store::BurnpackStore::from_file(&path)).unwrap();
    let text = run(&[], &path);
    for open in [
        "input       not said",
        "\"pooling\": \"not said\"",
        "\"variant\": \"not said\"",
    ] {
        assert!(text.contains(open), "{text}");
    }
}

/// A network of known layers is recognised; other files are listed, too; in every format.
#[test]
fn inspect_lists_the_tensors_of_any_network() {
    let bench = Bench::new();
    let fixture = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../keras-store/tests/fixtures");
        folder.join(name)
    };
    for (path, tensor, network) in [
        (
            fixture("network.keras"),
            "sep_one",
            "network     a network of 14 layers (toy)",
        ),
        (
            keras("cnn.keras"),
            "conv2d_1",
            "network     a network of 6 layers (sequential_2)",
        ),
    ] {
        let text = bench.run(&["inspect".as_ref(), path.as_os_str()]).ok();
        let row = text.lines().find(|line| line.contains(tensor));
        assert!(row.is_some_and(|row| row.contains("f32")), "{text}");
        for part in [network, "parameters", "scaling     not said", "It is complete"] {
            assert!(text.contains(part), "{text}");
        }
        let json = bench
            .run(&["inspect".as_ref(), path.as_os_str(), "--json".as_ref()])
            .ok();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["network"]["network"]["architecture"], "graph");
        assert!(
            json["network"]["input"]["scaling"].is_null() && json["problem"].is_null(),
            "{json}"
        );
    }
    let device = burn::tensor::Device::flex();
    let linear = burn::nn::LinearConfig::new(3, 2).init(&device);
    let record = bench.path("linear.bpk");
    burn_store::ModuleSnapshot::save_into(&linear, &mut burn_store::BurnpackStore::from_file(&record)).unwrap();
    let safetensors = bench.path("linear.safetensors");
    burn_store::ModuleSnapshot::save_into(&linear, &mut burn_store::SafetensorsStore::from_file(&safetensors)).unwrap();
    for (path, tensor, problem) in [
        (fixture("zoo.keras"), "grouped", "the model has 6 outputs"),
        (record, "weight", "it has no block1.conv1.conv.weight"),
        (safetensors, "weight", "it has no block1.conv1.conv.weight"),
    ] {
        let run = bench.run(&["inspect".as_ref(), path.as_os_str()]);
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        assert_eq!(run.stderr, "");
        let row = run.stdout.lines().find(|line| line.contains(tensor));
        assert!(row.is_some_and(|row| row.contains("f32")), "{}", run.stdout);
        assert!(
            run.stdout.contains("problem     ") && run.stdout.contains(problem),
            "{}",
            run.stdout
        );
        assert!(!run.stdout.contains("parameters"), "{}", run.stdout);
        let json = bench
            .run(&["inspect".as_ref(), path.as_os_str(), "--json".as_ref()])
            .stdout;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(
            json["network"].is_null() && !json["tensors"].as_array().unwrap().is_empty(),
            "{json}"
        );
    }
    // A graph with an unknown operation: its constants are listed.
    let bytes = std::fs::read(common::onnx("torch_folded.onnx")).unwrap();
    // The node's type, and not its name.
    let place = bytes.windows(6).position(|window| window == b"\x22\x04Relu").unwrap();
    let mut changed = bytes.clone();
    changed[place..place + 6].copy_from_slice(b"\x22\x04Ceil");
    let path = bench.write("ceil.onnx", changed);
    let run = bench.run(&["inspect".as_ref(), path.as_os_str()]);
    assert!(
        run.stdout.contains("fc.weight") && run.stdout.contains("problem") && run.stdout.contains("Ceil"),
        "{}{}",
        run.stdout,
        run.stderr
    );
}

/// A reader may close the pipe early.
#[cfg(unix)]
#[test]
fn a_reader_that_stops_is_no_error() {
    let bench = Bench::new();
    let path = keras("toy.keras");
    for line in ["inspect \"$1\"", "inspect \"$1\" --json", "\"$1\" out.bpk --scaling tf"] {
        // The reader has closed the pipe before anything is written.
        let line = format!("{{ sleep 0.2; \"$0\" {line}; echo $? >code; }} | true; cat code");
        let output = std::process::Command::new("bash")
            .current_dir(bench.folder.path())
            .args(["-c", &line, env!("CARGO_BIN_EXE_converter")])
            .arg(&path)
            .output()
            .unwrap();
        let run = common::Run::of(output);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("0\n", ""), "{line}");
    }
}

#[test]
fn a_record_of_burns_own_is_read_when_its_variant_is_said() {
    let bench = Bench::new();
    let model = tiny().init(&burn::tensor::Device::flex()).unwrap();
    let path = bench.path("burn.bpk");
    burn_store::ModuleSnapshot::save_into(&model, &mut burn_store::BurnpackStore::from_file(&path)).unwrap();
    let error = open(&path, &Known::default()).unwrap_err().to_string();
    for flag in ["--size", "--pooling", "--variant"] {
        assert!(error.contains(flag), "{error}");
    }
    let known = Known {
        variant: Some(Variant::Keras),
        ..all_known()
    };
    let ours = model.forward(common::picture([1, 75, 90, 3])).unwrap();
    let ours: Vec<f32> = ours.into_data().iter::<f32>().collect();
    assert_eq!(logits_of(&path, &known), ours);
}

#[test]
fn an_engine_that_cannot_run_says_why() {
    let bench = Bench::new();
    let input = keras("toy.keras");
    let scaling = ["--scaling", "tf"].map(std::ffi::OsStr::new);
    bench
        .run(&[&[input.as_os_str(), "toy.bpk".as_ref()], &scaling[..]].concat())
        .ok();
    for (python, part) in [
        ("no/such/python", "cannot be started"),
        ("false", "keras ended with exit status: 1"),
    ] {
        let arguments = [
            "verify".as_ref(),
            input.as_os_str(),
            "toy.bpk".as_ref(),
            "--with-keras".as_ref(),
            python.as_ref(),
        ];
        let run = bench.run(&arguments);
        assert!(run.stdout.contains("equal bit for bit"), "{}", run.stdout);
        let error = run.failed(1);
        assert!(error.contains(python) && error.contains(part), "{error}");
    }
}
