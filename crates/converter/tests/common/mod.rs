//! The toy network, and the program as a user runs it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use burn::tensor::{Device, Tensor, TensorData};
use converter::{Known, WeightFile, open};
use tempfile::TempDir;
use xception_model::{HiddenActivation, Outputs, Pooling, Scaling, Variant, Widths, XceptionConfig};

/// `TOY` of `scripts/fixtures/keras_toy_xception.py`.
pub fn tiny() -> XceptionConfig {
    XceptionConfig::new()
        .with_widths(Widths {
            stem: [2, 3],
            entry: [3, 4, 5],
            exit: [6, 7, 8].into(),
        })
        .with_middle_blocks(1)
        .with_num_classes(5)
}

/// A file that Keras wrote, from the tests of `xception-model`.
pub fn keras(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../xception-model/tests/fixtures/keras")
        .join(name)
}

pub fn torch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/torch")
        .join(name)
}

pub fn onnx(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/onnx")
        .join(name)
}

/// The scaling, which is all that a whole Keras model of the toy leaves open.
pub fn tf() -> Known {
    Known {
        scaling: Some(Scaling::Tf),
        ..Known::default()
    }
}

/// All that a file may leave open.
pub fn all_known() -> Known {
    Known {
        size: Some([75, 90]),
        pooling: Some(Pooling::Average),
        outputs: Some(Outputs::Softmax),
        hidden_activation: Some(HiddenActivation::RELU),
        ..tf()
    }
}

pub fn torch_known() -> Known {
    Known {
        variant: Some(Variant::Torch),
        ..all_known()
    }
}

/// The picture of `scripts/fixtures/torch_toy_xception.py`: sin(i / 100), i counting NHWC values.
pub fn picture([batch, height, width, channels]: [usize; 4]) -> Tensor<4> {
    let count = batch * height * width * channels;
    let values: Vec<f32> = (0..count).map(|i| (i as f64 / 100.0).sin() as f32).collect();
    Tensor::<4>::from_data(
        TensorData::new(values, [batch, height, width, channels]),
        &Device::flex(),
    )
    .permute([0, 3, 1, 2])
}

pub fn logits(file: WeightFile) -> Vec<f32> {
    let (model, _) = file.load(&Device::flex()).unwrap();
    let logits = model.forward(picture([1, 75, 90, 3])).unwrap();
    logits.into_data().iter::<f32>().collect()
}

pub fn logits_of(path: &Path, known: &Known) -> Vec<f32> {
    logits(open(path, known).unwrap_or_else(|error| panic!("{error}")))
}

/// Norm of the difference by the norm of the expected.
pub fn relative(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / norm(&mut expected.iter().map(|v| f64::from(*v)))
}

/// Pseudo-random numbers by Knuth's generator, the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // The high bits are the random ones.
        (self.0 >> 33) as usize % bound
    }

    /// The bytes with one to four changes: a flipped bit, an extreme value, an additional byte, or an early end.
    pub fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len().max(1));
            if bytes.is_empty() {
                bytes.push(0);
            }
            match self.below(8) {
                0..=2 => bytes[at] ^= 1 << self.below(8),
                3..=5 => bytes[at] = 0xff,
                6 => bytes.insert(at, self.below(256) as u8),
                _ => bytes.truncate(at + 1),
            }
        }
        bytes
    }
}

/// A temporary folder, and the program run in it.
pub struct Bench {
    pub folder: TempDir,
}

pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_converter"))
            .current_dir(self.folder.path())
            .args(arguments)
            .output()
            .unwrap();
        Run::of(output)
    }

    /// Runs the program with at most 256 MB for its heap and stacks and 5 seconds of processor time, enforced by the
    /// system. On a busy machine the wall clock may show more, but the program must not wait for anything.
    #[cfg(unix)]
    pub fn bounded(&self, arguments: &[&str]) -> Run {
        self.limited("ulimit -d 262144 && ulimit -t 5", arguments)
    }

    /// Runs the program in a shell that has run `limits`, for half a minute at most.
    #[cfg(unix)]
    pub fn limited(&self, limits: &str, arguments: &[&str]) -> Run {
        let child = Command::new("sh")
            .current_dir(self.folder.path())
            .args([
                "-c",
                &format!("{limits} && exec \"$0\" \"$@\""),
                env!("CARGO_BIN_EXE_converter"),
            ])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let id = child.id().to_string();
        let (sender, receiver) = channel();
        let waiting = std::thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(Duration::from_secs(30)) else {
            Command::new("kill").args(["-9", &id]).status().unwrap();
            panic!("{arguments:?} did not end");
        };
        waiting.join().unwrap().unwrap();
        Run::of(output.unwrap())
    }

    pub fn listing(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The output of a successful run.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The error message of a failed run.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self.stderr
    }
}
