//! Runs the original file in its own engine beside ours, on the same picture.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::Command;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use xception_model::{Architecture, ModelSpec, Network, Outputs, Pooling, Prediction, Scaling};

use crate::error::ConvertError;
use crate::weight_file::{Stage, WeightFile};

/// The script that runs the original, embedded in this program.
const SCRIPT: &str = include_str!("parity.py");

/// Two outputs agree up to this relative difference in norm, which leaves room for 32-bit sums in another order.
pub const BOUND: f64 = 1e-5;

/// An engine that runs in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Keras, for Keras files.
    Keras,
    /// ONNX Runtime, for ONNX files.
    OnnxRuntime,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Keras => "keras",
            Self::OnnxRuntime => "onnxruntime",
        }
    }
}

/// The differences between two engines' outputs, stage by stage.
#[derive(Clone, Debug, Serialize)]
pub struct Parity {
    /// The engine and its version.
    pub engine: String,
    /// A stage agrees up to this relative difference in norm.
    pub bound: f64,
    /// Every stage that both engines output, in the order of computation.
    pub stages: Vec<StageDifference>,
    /// The most likely classes in both engines, if there is a classifier.
    pub top: Vec<TopRow>,
}

/// The difference of one stage's outputs.
#[derive(Clone, Debug, Serialize)]
pub struct StageDifference {
    /// The stage's name.
    pub name: String,
    /// `[batch, channels, height, width]`.
    pub shape: Vec<usize>,
    /// Largest absolute difference.
    pub max_absolute: f64,
    /// Norm of the difference, divided by the norm of the engine's output.
    pub relative: f64,
}

/// One rank of the most likely classes.
#[derive(Clone, Debug, Serialize)]
pub struct TopRow {
    /// The engine's class and its probability.
    pub theirs: (String, f64),
    /// Our class and its probability.
    pub ours: (String, f64),
}

impl Parity {
    /// Whether every stage agrees.
    pub fn agrees(&self) -> bool {
        // NaN never agrees. Without a stage there is no proof.
        !self.stages.is_empty() && self.stages.iter().all(|stage| stage.relative <= self.bound)
    }
}

#[derive(Deserialize)]
struct Answer {
    engine: String,
    #[serde(rename = "final")]
    output: Output,
    stages: Vec<Answered>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Output {
    Logits,
    Probabilities,
    Features,
}

/// A stage that the engine output.
#[derive(Deserialize)]
struct Answered {
    name: String,
    shape: Vec<usize>,
    offset: usize,
}

impl Answered {
    /// The stage's part of the values of all stages.
    fn values<'a>(&self, all: &'a [f32]) -> Option<&'a [f32]> {
        let length = self
            .shape
            .iter()
            .try_fold(1_usize, |length, side| length.checked_mul(*side))?;
        all.get(self.offset..self.offset.checked_add(length)?)
    }
}

/// Runs `original` in the engine of the environment of `python`, and `model` here, on one picture of pixels 0 to 255,
/// `[1, height, width, channels]` flat. Each gets what it expects: the original gets unscaled pixels if it scales them
/// itself.
///
/// # Errors
///
/// If Python cannot be started or the script fails; the last line of its error output is part of the error.
pub fn compare(
    engine: Engine,
    python: &Path,
    original: &WeightFile,
    model: &Network,
    spec: &ModelSpec,
    pixels: &[f32],
) -> Result<Parity, ConvertError> {
    let failed = |problem: String| ConvertError::Engine {
        python: python.to_owned(),
        problem,
    };
    let picture = scaled(pixels, spec);
    let fed = if original.scales_pictures { pixels } else { &picture };
    let (answer, values) = ask(engine, python, original, spec, fed)?;
    let theirs = answer.stages.iter().map(|stage| {
        let values = stage.values(&values).ok_or_else(|| {
            failed(format!(
                "{} has fewer values than its shape {:?}",
                stage.name, stage.shape
            ))
        })?;
        Ok((stage.name.as_str(), (stage, values)))
    });
    let theirs = theirs.collect::<Result<BTreeMap<_, _>, ConvertError>>()?;

    let (height, width, channels) = (spec.input.height, spec.input.width, spec.network.in_channels());
    let device = Device::flex();
    let input =
        Tensor::<4>::from_data(TensorData::new(picture, [1, height, width, channels]), &device).permute([0, 3, 1, 2]);
    let mut stages = Vec::new();
    let mut last: Vec<f32> = Vec::new();
    let mut misfit = None;
    model
        .each_stage(input, &mut |name, ours| {
            let shape = ours.dims().to_vec();
            last = ours.clone().into_data().iter::<f32>().collect();
            let Some((stage, values)) = theirs.get(name) else {
                return;
            };
            if stage.shape == shape {
                stages.push(difference(name, shape, values, &last));
            } else {
                misfit
                    .get_or_insert_with(|| format!("{name} has the shape {:?} there and {shape:?} here", stage.shape));
            }
        })
        .map_err(|error| failed(error.to_string()))?;
    if let Some(misfit) = misfit {
        return Err(failed(misfit));
    }

    let Some((stage, output)) = theirs.get("output") else {
        return Err(failed("it gave no output".to_owned()));
    };
    let ours = match answer.output {
        Output::Probabilities => ends(spec, &probabilities(spec, &last)),
        Output::Logits | Output::Features => last,
    };
    if output.len() != ours.len() {
        return Err(failed(format!(
            "its output has the shape {:?}, ours {} values",
            stage.shape,
            ours.len()
        )));
    }
    let name = match answer.output {
        Output::Probabilities => "output (probabilities)",
        Output::Logits => "output (logits)",
        Output::Features => "output (features)",
    };
    stages.push(difference(name, stage.shape.clone(), output, &ours));
    let top = match answer.output {
        // A number that is no probability has no classes.
        _ if spec.classes().is_none() => Vec::new(),
        Output::Features => Vec::new(),
        Output::Logits => top(spec, &probabilities(spec, output), &probabilities(spec, &ours)),
        Output::Probabilities => top(spec, &classes(spec, output), &classes(spec, &ours)),
    };
    Ok(Parity {
        engine: answer.engine,
        bound: BOUND,
        stages,
        top,
    })
}

/// Runs the script and reads its answer and the values of all stages.
fn ask(
    engine: Engine,
    python: &Path,
    original: &WeightFile,
    spec: &ModelSpec,
    fed: &[f32],
) -> Result<(Answer, Vec<f32>), ConvertError> {
    let failed = |problem: String| ConvertError::Engine {
        python: python.to_owned(),
        problem,
    };
    let io = |error: std::io::Error| failed(error.to_string());
    let folder = tempfile::tempdir().map_err(io)?;
    let at = |name: &str| folder.path().join(name);
    let (height, width, channels) = (spec.input.height, spec.input.width, spec.network.in_channels());
    let bytes: Vec<u8> = fed.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(at("parity.py"), SCRIPT).map_err(io)?;
    std::fs::write(at("input.f32"), bytes).map_err(io)?;
    std::fs::write(at("wanted.json"), wanted(original).to_string()).map_err(io)?;

    let mut command = Command::new(python);
    command
        .arg(at("parity.py"))
        .arg(engine.name())
        .arg("--model")
        .arg(&original.path)
        .arg("--input")
        .arg(at("input.f32"))
        .arg("--shape")
        .arg(format!("1,{height},{width},{channels}"))
        .arg("--stages")
        .arg(at("wanted.json"))
        .arg("--out")
        .arg(folder.path());
    if let (Engine::Keras, Some(architecture)) = (engine, application(&spec.network)) {
        std::fs::write(at("architecture.json"), architecture.to_string()).map_err(io)?;
        command.arg("--architecture").arg(at("architecture.json"));
    }
    let output = command
        .output()
        .map_err(|error| failed(format!("it cannot be started: {error}")))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("no message");
        return Err(failed(format!(
            "{} ended with {}: {last}",
            engine.name(),
            output.status
        )));
    }
    let answer = std::fs::read(at("stages.json")).map_err(io)?;
    let answer: Answer = serde_json::from_slice(&answer).map_err(|error| failed(error.to_string()))?;
    let values = std::fs::read(at("stages.f32")).map_err(io)?;
    let (values, _) = values.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok((answer, values))
}

/// A picture of whole numbers from 0 to 255, with smooth waves and a little noise; the same on every machine.
pub fn generated_pixels(spec: &ModelSpec) -> Vec<f32> {
    let (height, width, channels) = (spec.input.height, spec.input.width, spec.network.in_channels());
    let mut state = 1_u32;
    let mut picture = Vec::with_capacity(height * width * channels);
    for row in 0..height {
        for column in 0..width {
            for channel in 0..channels {
                // Knuth's multiplier; the high bits are the random ones.
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f64::from(state >> 8) / f64::from(1 << 24) - 0.5;
                let wave = (0.07 * row as f64 + channel as f64).sin() * (0.05 * column as f64).cos();
                picture.push((127.5 * (1.0 + 0.7 * wave + 0.3 * noise)).round() as f32);
            }
        }
    }
    picture
}

/// Scales pixels for the network. If a picture does not have three channels, each channel is scaled like red.
fn scaled(pixels: &[f32], spec: &ModelSpec) -> Vec<f32> {
    let scaling: Scaling = spec.input.scaling;
    match pixels.as_chunks() {
        (pixels, []) if spec.network.in_channels() == 3 => pixels.iter().flat_map(|rgb| scaling.apply(*rgb)).collect(),
        _ => pixels.iter().map(|value| scaling.apply([*value; 3])[0]).collect(),
    }
}

/// The stages to request from the engine, and their places.
fn wanted(original: &WeightFile) -> Value {
    let mut seen = BTreeSet::new();
    let stages = original.stages.iter().filter(|stage| seen.insert(stage.name.as_str()));
    let entry = |stage: &Stage| {
        if stage.channels_last {
            json!([stage.name, stage.place, "nhwc"])
        } else {
            json!([stage.name, stage.place])
        }
    };
    stages.map(entry).collect()
}

/// The function of `keras.applications` that builds this network, and its arguments, if there is one.
fn application(network: &Architecture) -> Option<Value> {
    let name = network.published_as()?.keras?;
    let pooling = match network.pooling()? {
        Pooling::Average => Some("avg"),
        Pooling::Max => Some("max"),
        Pooling::Flatten => Some("flatten"),
        Pooling::None => None,
    };
    Some(json!({
        "application": name, "include_top": network.include_top(), "classes": network.outputs(), "pooling": pooling,
        "hidden": network.hidden_widths(),
    }))
}

fn difference(name: &str, shape: Vec<usize>, theirs: &[f32], ours: &[f32]) -> StageDifference {
    let differences = theirs.iter().zip(ours).map(|(a, b)| f64::from(*a) - f64::from(*b));
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let size = norm(&mut theirs.iter().copied().map(f64::from));
    let distance = norm(&mut differences.clone());
    StageDifference {
        name: name.to_owned(),
        shape,
        max_absolute: differences.fold(
            0.0,
            |max: f64, value| if value.is_nan() { value } else { max.max(value.abs()) },
        ),
        relative: if distance == 0.0 { 0.0 } else { distance / size },
    }
}

fn probabilities(spec: &ModelSpec, logits: &[f32]) -> Vec<f32> {
    let row = Tensor::<2>::from_data(TensorData::new(logits.to_vec(), [1, logits.len()]), &Device::flex());
    spec.outputs.probabilities(row).into_data().iter::<f32>().collect()
}

/// The probabilities in the form of the file's last layer: for two classes with one logit, only the second class's.
fn ends(spec: &ModelSpec, probabilities: &[f32]) -> Vec<f32> {
    match (spec.outputs, probabilities) {
        (Outputs::Binary | Outputs::Probabilities, [_, second]) if spec.network.outputs() == Some(1) => vec![*second],
        _ => probabilities.to_vec(),
    }
}

/// The probabilities of all classes, from the output of the file's last layer.
fn classes(spec: &ModelSpec, ends: &[f32]) -> Vec<f32> {
    match (spec.outputs, ends) {
        (Outputs::Binary | Outputs::Probabilities, [second]) => vec![1.0 - second, *second],
        _ => ends.to_vec(),
    }
}

/// The five most likely classes of both engines, rank by rank.
fn top(spec: &ModelSpec, theirs: &[f32], ours: &[f32]) -> Vec<TopRow> {
    let cell = |guess: Prediction| (guess.label.to_string(), f64::from(guess.probability));
    let ranks = spec.likeliest(theirs, 5).into_iter().zip(spec.likeliest(ours, 5));
    ranks
        .map(|(theirs, ours)| TopRow {
            theirs: cell(theirs),
            ours: cell(ours),
        })
        .collect()
}

impl fmt::Display for Parity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28} {:<22} {:>10} {:>10}",
            "stage", "shape", "largest", "relative"
        )?;
        for stage in &self.stages {
            let mark = if stage.relative <= self.bound {
                ""
            } else {
                "  <-- differs"
            };
            writeln!(
                f,
                "{:<28} {:<22} {:>10.2e} {:>10.2e}{mark}",
                stage.name,
                format!("{:?}", stage.shape),
                stage.max_absolute,
                stage.relative
            )?;
        }
        if !self.top.is_empty() {
            writeln!(f, "\n{:<36} here", self.engine)?;
        }
        for row in &self.top {
            let cell = |(label, probability): &(String, f64)| format!("{:5.1} % {label}", 100.0 * probability);
            writeln!(f, "{:<36} {}", cell(&row.theirs), cell(&row.ours))?;
        }
        let agreeing = self.stages.iter().filter(|stage| stage.relative <= self.bound).count();
        write!(
            f,
            "\n{agreeing} of {} stages agree with {} within {:.0e}",
            self.stages.len(),
            self.engine,
            self.bound
        )
    }
}
