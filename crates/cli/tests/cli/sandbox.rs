//! A folder with a toy network and pictures, and the program run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use image::{Rgb, RgbImage};
use tempfile::TempDir;
use xception_model::labels::Label;
use xception_model::picture::Preset;
use xception_model::{
    Architecture, Classifier, InputSpec, ModelSpec, Outputs, Pooling, ResNetConfig, Scaling, Widths, XceptionConfig,
};

/// With a quote and a comma, which CSV must quote, and wide characters, which columns must count.
pub const LABELS: [&str; 3] = ["cup", "\"fork\", silver", "茶碗"];

pub struct Sandbox {
    folder: TempDir,
}

/// The result of running the program.
pub struct Run {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, Some(0), "{}", self.stderr);
        assert_eq!(self.stderr, "");
        self.stdout
    }

    /// As [`ok`](Self::ok), with warnings on standard error or without.
    #[track_caller]
    pub fn ok_with_warnings(self) -> String {
        assert_eq!(self.status, Some(0), "{}", self.stderr);
        assert!(
            self.stderr.lines().all(|line| line.starts_with("warning: ")),
            "{}",
            self.stderr
        );
        self.stdout
    }

    /// The error of a run that printed nothing.
    #[track_caller]
    pub fn failed(self, status: i32) -> String {
        assert_eq!(self.status, Some(status), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        assert!(self.stderr.starts_with("error: "), "{}", self.stderr);
        self.stderr
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Sandbox {
    /// `toy.bpk`: three classes, pictures of 71 x 71.
    pub fn new() -> Self {
        let sandbox = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        sandbox.save("toy.bpk", Some(Preset::KerasNearest));
        sandbox
    }

    pub fn save(&self, name: &str, preset: Option<Preset>) {
        self.save_network(
            name,
            preset,
            LABELS.map(Label::new).to_vec(),
            toy().into(),
            Outputs::Softmax,
        );
    }

    /// A record without a classifier.
    pub fn save_headless(&self, name: &str, pooling: Pooling) {
        let network = toy().with_include_top(false).with_pooling(pooling);
        self.save_network(
            name,
            Some(Preset::KerasNearest),
            Vec::new(),
            network.into(),
            Outputs::Softmax,
        );
    }

    /// A record of a network with one output.
    pub fn save_one_output(&self, name: &str, labels: &[&str], outputs: Outputs) {
        let network = toy().with_num_classes(1);
        let labels = labels.iter().copied().map(Label::new).collect();
        self.save_network(name, Some(Preset::KerasNearest), labels, network.into(), outputs);
    }

    /// A record of a network for pictures of `channels` channels.
    pub fn save_channels(&self, name: &str, channels: usize) {
        let network = toy().with_in_channels(channels);
        let labels = LABELS.map(Label::new).to_vec();
        let preset = Some(Preset::KerasNearest);
        self.save_network(name, preset, labels, network.into(), Outputs::Softmax);
    }

    /// `resnet.bpk`: a ResNet of three classes, pictures of 64 x 64 scaled as ResNet's.
    pub fn save_resnet(&self) {
        let network = ResNetConfig::new()
            .with_num_classes(LABELS.len())
            .with_blocks([1, 2, 1, 1])
            .with_stem(4)
            .with_widths([2, 3, 4, 5]);
        let spec = ModelSpec {
            source: "made by a test".to_owned(),
            outputs: Outputs::Softmax,
            input: InputSpec {
                height: 64,
                width: 64,
                preset: Some(Preset::KerasNearest),
                scaling: Scaling::Caffe,
                ..InputSpec::default()
            },
            labels: LABELS.map(Label::new).to_vec(),
            network: network.into(),
        };
        self.save_drawn("resnet.bpk", &spec);
    }

    /// Copies a Keras file of the library's fixtures.
    pub fn fixture(&self, name: &str) {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xception-model/tests/fixtures/keras");
        let file = fixtures.join(name);
        fs::copy(&file, self.path(file.file_name().unwrap().to_str().unwrap())).unwrap();
    }

    fn save_network(
        &self,
        name: &str,
        preset: Option<Preset>,
        labels: Vec<Label>,
        network: Architecture,
        outputs: Outputs,
    ) {
        let spec = ModelSpec {
            source: "made by a test".to_owned(),
            outputs,
            input: InputSpec {
                height: 71,
                width: 71,
                preset,
                scaling: Scaling::Tf,
                ..InputSpec::default()
            },
            labels,
            network,
        };
        self.save_drawn(name, &spec);
    }

    /// Saves a network with random weights, the same ones in every run.
    fn save_drawn(&self, name: &str, spec: &ModelSpec) {
        // Burn has one random generator per process.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let device = Device::flex();
        device.seed(1);
        let model = spec.network.init(&device).unwrap();
        xception_model::save(&model, spec, &self.path(name), false).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A PNG that differs with `seed`.
    pub fn picture(&self, name: &str, seed: u32) {
        let picture = RgbImage::from_fn(90, 80, |x, y| {
            Rgb([x * (seed + 1), y * (seed + 3), (x * y) >> (seed % 5)].map(|value| value as u8))
        });
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save_with_format(path, image::ImageFormat::Png).unwrap();
    }

    /// `pictures/1.png` to `pictures/<count>.png`.
    pub fn pictures(&self, count: u32) -> Vec<String> {
        (1..=count)
            .map(|number| {
                let name = format!("pictures/{number}.png");
                self.picture(&name, number);
                name
            })
            .collect()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xception"));
        command
            .args(arguments)
            .current_dir(self.folder())
            .stdin(Stdio::null())
            // Without it EGL, which looks for GPUs, complains on standard error.
            .env("XDG_RUNTIME_DIR", self.folder())
            .env_remove("RUST_LOG")
            .env_remove("XCEPTION_CACHE");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        self.command(arguments).output().unwrap().into()
    }

    /// The toy through the library, as the program loads it.
    pub fn classifier(&self) -> Classifier {
        Classifier::load(self.path("toy.bpk"), &Device::flex()).unwrap()
    }

    /// The names of the files in the folder.
    pub fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn toy() -> XceptionConfig {
    XceptionConfig::new()
        .with_num_classes(LABELS.len())
        .with_middle_blocks(1)
        .with_widths(Widths {
            stem: [4, 8],
            entry: [8, 12, 16],
            exit: [16, 20, 24].into(),
        })
}

/// Reads CSV back with a reader that is not ours.
pub fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv_core::Reader::new();
    let mut input = text.as_bytes();
    let mut rows = Vec::new();
    let (mut bytes, mut ends) = (vec![0; 1 << 16], vec![0; 1 << 12]);
    loop {
        let (result, read, _, fields) = reader.read_record(input, &mut bytes, &mut ends);
        input = &input[read..];
        match result {
            csv_core::ReadRecordResult::Record => {
                let starts = std::iter::once(0).chain(ends[..fields].iter().copied());
                let row = starts
                    .zip(&ends[..fields])
                    .map(|(start, &end)| String::from_utf8(bytes[start..end].to_vec()).unwrap());
                rows.push(row.collect());
            }
            csv_core::ReadRecordResult::End => return rows,
            csv_core::ReadRecordResult::InputEmpty => {}
            full => panic!("{full:?}"),
        }
    }
}
