//! Files and runs written by the program before networks were graphs; see `fixtures/before-graph/README.md`.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use xception_model::Outputs;
use xception_model::registry::Card;

use crate::sandbox::{Sandbox, parse_csv};
use crate::tensors::read_npy;

/// The largest relative difference: other programs and processors add in another order.
const BOUND: f64 = 1e-5;

/// The pictures whose results the fixtures hold.
const PICTURES: [&str; 2] = ["data/across/0.png", "data/down/5.png"];

/// A folder with the fixtures, unpacked, which the runs name as the place of their data.
fn fixtures() -> Sandbox {
    let sandbox = Sandbox::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/before-graph");
    unpack(&fixtures, sandbox.folder(), sandbox.folder());
    sandbox
}

fn unpack(from: &Path, to: &Path, folder: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            unpack(&path, &target, folder);
        } else if path.extension().is_some_and(|ending| ending == "gz") {
            let mut bytes = Vec::new();
            GzDecoder::new(fs::File::open(&path).unwrap())
                .read_to_end(&mut bytes)
                .unwrap();
            fs::write(target.with_extension(""), bytes).unwrap();
        } else if path.ends_with("run.toml") || path.ends_with("data.csv") {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(target, text.replace("@FOLDER@", folder.to_str().unwrap())).unwrap();
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// Compares tables: words must be equal, and numbers within [`BOUND`]. Returns how many numbers differ in their text.
#[track_caller]
fn compare(what: &str, found: &[Vec<String>], expected: &[Vec<String>]) -> usize {
    assert_eq!(found.len(), expected.len(), "{what}");
    let mut different = 0;
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (cell, wanted) in found.iter().zip(expected) {
            if cell == wanted {
                continue;
            }
            different += 1;
            let (Ok(number), Ok(wanted)) = (cell.parse::<f64>(), wanted.parse::<f64>()) else {
                panic!("{what}: {found:?}, expected {expected:?}");
            };
            let error = (number - wanted).abs() / wanted.abs();
            assert!(
                error <= BOUND,
                "{what}: {found:?} is off by {error:.1e} from {expected:?}"
            );
        }
    }
    different
}

/// The first `columns` cells of a CSV's rows.
fn table(text: &str, columns: usize) -> Vec<Vec<String>> {
    let mut rows = parse_csv(text);
    for row in &mut rows {
        row.truncate(columns);
    }
    rows
}

/// Classifies the two pictures and compares with the old program.
#[track_caller]
fn check_classes(sandbox: &Sandbox, weights: &str, expected: &str) {
    let mut arguments = vec!["classify"];
    arguments.extend(PICTURES);
    arguments.extend([
        "--format",
        "csv",
        "--top-k",
        "5",
        "--threads",
        "1",
        "--offline",
        "--weights",
        weights,
    ]);
    let found = sandbox.run(&arguments).ok();
    let wanted = fs::read_to_string(sandbox.path(&format!("expected/{expected}.csv"))).unwrap();
    let different = compare(weights, &table(&found, 6), &table(&wanted, 6));
    println!("{weights}: {different} numbers differ in their last digits");
}

#[test]
fn old_records_say_what_they_said() {
    let sandbox = fixtures();
    for name in ["toy", "toy_f16", "several_labels", "hidden", "max"] {
        check_classes(&sandbox, &format!("files/{name}.bpk"), name);
    }
    check_classes(&sandbox, "finished", "finished");
    check_classes(&sandbox, "finished/model.bpk", "finished");

    let mut arguments = vec!["embed"];
    arguments.extend(PICTURES);
    arguments.extend([
        "--weights",
        "files/notop.bpk",
        "--level",
        "stride_32",
        "--output",
        "found.npy",
    ]);
    sandbox.run(&arguments).ok();
    let (shape, found) = read_npy(&sandbox.path("found.npy"));
    let (expected_shape, expected) = read_npy(&sandbox.path("expected/notop.npy"));
    assert_eq!(shape, expected_shape);
    let scale = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= 1e-5 * scale, "{found} {expected}");
    }
    assert_eq!(
        fs::read(sandbox.path("found.names.txt")).unwrap(),
        fs::read(sandbox.path("expected/notop.names.txt")).unwrap()
    );
}

#[test]
fn old_files_of_every_format_hold_the_same_network() {
    let sandbox = fixtures();
    fs::write(sandbox.path("labels.txt"), "ant\nbee\ncat\ndog\neel\n").unwrap();
    for ending in ["keras", "weights.h5", "h5", "safetensors", "onnx"] {
        let (file, record) = (format!("files/toy.{ending}"), format!("{ending}.bpk"));
        let known = [
            "--size",
            "331x200",
            "--pooling",
            "average",
            "--variant",
            "keras",
            "--head",
            "softmax",
            "--scaling",
            "tf",
        ];
        let told = ["--preset", "keras-bilinear", "--labels", "labels.txt"];
        sandbox
            .run(&[&["convert", file.as_str(), record.as_str()], &known[..], &told[..]].concat())
            .ok();
        check_classes(&sandbox, &record, "toy");
    }
}

#[test]
fn old_cards_stand_for_their_files() {
    let sandbox = fixtures();
    for name in ["toy", "toy_f16", "hidden", "max"] {
        check_classes(&sandbox, &format!("files/{name}.bpk.card.toml"), name);
    }
    // Files that know their classes, and are read by the converter.
    for ending in ["safetensors", "onnx"] {
        check_classes(&sandbox, &format!("files/toy.{ending}.card.toml"), "toy");
    }
    check_classes(&sandbox, "finished/model.bpk.card.toml", "finished");
    // It was renamed after its card was written.
    fs::rename(
        sandbox.path("files/several_labels.bpk"),
        sandbox.path("files/model.bpk"),
    )
    .unwrap();
    check_classes(&sandbox, "files/several_labels.bpk.card.toml", "several_labels");

    let card = Card::load(&sandbox.path("finished/model.bpk.card.toml")).unwrap();
    let training = card.training.as_ref().unwrap();
    assert_eq!((training.recipe.as_str(), training.seed), ("small", 42));
    let metrics = card.metrics.as_ref().unwrap();
    assert_eq!(
        (metrics.pictures, metrics.dataset.as_str()),
        (Some(2), "test split of the training data")
    );
    let names: Vec<&str> = card.labels().iter().map(|label| label.name.as_str()).collect();
    assert_eq!(names, ["across", "down"]);
    for ending in ["h5", "keras", "weights.h5"] {
        let card = Card::load(&sandbox.path(&format!("files/toy.{ending}.card.toml"))).unwrap();
        let conversion = card.conversion.as_ref().unwrap();
        assert_eq!(
            (conversion.file.as_str(), conversion.converter.as_str()),
            ("toy.bpk", "0.1.0")
        );
    }
}

#[test]
fn old_cards_have_the_options_of_their_records() {
    let sandbox = fixtures();
    let device = burn::tensor::Device::flex();
    for name in ["toy", "toy_f16", "several_labels", "hidden", "max", "notop"] {
        let (_, spec) = xception_model::load(sandbox.path(&format!("files/{name}.bpk")), &device).unwrap();
        let card = Card::load(&sandbox.path(&format!("files/{name}.bpk.card.toml"))).unwrap();
        assert_eq!(card.architecture().unwrap(), spec.network, "{name}");
        assert_eq!(card.input, spec.input, "{name}");
        let several = card.outputs == Some(Outputs::Sigmoid);
        assert_eq!(several, spec.outputs == Outputs::Sigmoid, "{name}");
        assert_eq!(card.classes, spec.classes(), "{name}");
        assert_eq!(spec.outputs == Outputs::Sigmoid, name == "several_labels");
    }
}

/// The last digits are the same where the same program runs on the same processor.
#[test]
fn old_runs_go_on_to_the_numbers_of_one_that_was_not_stopped() {
    let sandbox = fixtures();
    let read = |run: &str, file: &str| fs::read_to_string(sandbox.path(run).join(file)).unwrap();
    for run in ["killed_head", "killed_all"] {
        let resumed = sandbox.run(&["train", "--resume", run, "--threads", "1"]);
        assert_eq!(resumed.status, Some(0), "{}", resumed.stderr);
        // The columns after the tenth are times.
        for (file, columns) in [("metrics.csv", 10), ("steps.csv", 5)] {
            let found = table(&read(run, file), columns);
            let expected = table(&read("finished", file), columns);
            let different = compare(&format!("{run}/{file}"), &found, &expected);
            println!("{run}/{file}: {different} numbers differ in their last digits");
        }
        check_classes(&sandbox, run, "finished");
    }
}
