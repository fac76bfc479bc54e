use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::Value;
use xception_model::{Architecture, HiddenActivation, Known, ModelSpec, Outputs, Pooling, Scaling, Unknown, Variant};

use crate::error::ConvertError;
use crate::mismatch::Mismatch;
use crate::open::{self, open};
use crate::weight_file::{FileTensor, RawTensors};

/// The content of a weight file.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The file's format and the program that wrote it.
    pub format: String,
    /// The network that the file is recognised as, if it is a known one.
    pub network: Option<Described>,
    /// Number of parameters of that network.
    pub parameters: Option<usize>,
    /// The tensors, in the order of the network's names.
    pub tensors: Vec<TensorStatistics>,
    /// Tensors that are not part of a network.
    pub ignored: Vec<String>,
    /// How the tensors differ from the network's, or why the network is unknown.
    pub problem: Option<String>,
}

/// A network, as far as its file describes it.
#[derive(Clone, Debug)]
pub struct Described {
    /// The network; facts that the file leaves open have a placeholder.
    pub spec: ModelSpec,
    /// What the file leaves open.
    pub unknown: Vec<Unknown>,
}

/// One tensor of a file.
#[derive(Clone, Debug, Serialize)]
pub struct TensorStatistics {
    /// The tensor's name in the file.
    pub origin: String,
    /// The tensor's name in the network, if it has one.
    pub name: String,
    /// The type in the file.
    pub dtype: String,
    /// The shape in Burn's layout.
    pub shape: Vec<usize>,
    /// The smallest finite value.
    pub min: f64,
    /// The largest finite value.
    pub max: f64,
    /// Mean of the finite values.
    pub mean: f64,
    /// Standard deviation of the finite values.
    pub std: f64,
    /// Number of values that are NaN or infinite.
    pub non_finite: usize,
}

/// Reads and describes every tensor of a file. A file whose network cannot be computed here is described, too.
///
/// # Errors
///
/// If the file is none of the formats, is damaged, or a tensor cannot be read.
pub fn inspect(path: &Path, known: &Known) -> Result<Inspection, ConvertError> {
    let opened = open(path, known);
    // Facts that the file leaves open are not needed for an inspection.
    let unknown = opened.as_ref().err().and_then(ConvertError::unknown);
    let unknown = unknown.map(<[Unknown]>::to_vec).unwrap_or_default();
    let opened = if unknown.is_empty() {
        opened
    } else {
        open(path, &placeholders(known, &unknown))
    };
    match opened {
        Ok(file) => {
            let mismatch = Mismatch::find(&file.spec.network, &file.tensors);
            Ok(Inspection {
                format: file.format.to_string(),
                parameters: Some(file.spec.network.num_params()),
                tensors: statistics(path, &file.tensors)?,
                network: Some(Described {
                    spec: file.spec,
                    unknown,
                }),
                ignored: file.ignored,
                problem: (!mismatch.is_empty()).then(|| mismatch.to_string()),
            })
        }
        Err(problem) if problem.is_of_the_network() => {
            let RawTensors {
                format,
                tensors,
                ignored,
            } = open::raw(path, known.key.as_deref())?;
            Ok(Inspection {
                format: format.to_string(),
                network: None,
                parameters: None,
                tensors: statistics(path, &tensors)?,
                ignored,
                problem: Some(problem.to_string()),
            })
        }
        Err(error) => Err(error),
    }
}

fn placeholders(known: &Known, unknown: &[Unknown]) -> Known {
    let mut known = known.clone();
    for what in unknown {
        match what {
            Unknown::Size => known.size = Some([299; 2]),
            Unknown::Pooling => known.pooling = Some(Pooling::Average),
            Unknown::Variant => known.variant = Some(Variant::Keras),
            // Sigmoids fit one output and several.
            Unknown::Outputs => known.outputs = Some(Outputs::Sigmoid),
            Unknown::HiddenActivation => known.hidden_activation = Some(HiddenActivation::RELU),
            Unknown::Scaling => known.scaling = Some(Scaling::None),
            _ => {}
        }
    }
    known
}

fn statistics(path: &Path, tensors: &[FileTensor]) -> Result<Vec<TensorStatistics>, ConvertError> {
    let mut listed = tensors
        .iter()
        .map(|entry| TensorStatistics::of(path, entry))
        .collect::<Result<Vec<_>, _>>()?;
    listed.sort_by(|a, b| alphanumeric_sort::compare_str(&a.name, &b.name));
    Ok(listed)
}

impl TensorStatistics {
    fn of(path: &Path, entry: &FileTensor) -> Result<Self, ConvertError> {
        let data = entry.read(path)?;
        let finite = || data.iter::<f64>().filter(|value| value.is_finite());
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut finite_values, mut sum) = (0_usize, 0.0);
        for value in finite() {
            min = min.min(value);
            max = max.max(value);
            sum += value;
            finite_values += 1;
        }
        let count = finite_values.max(1) as f64;
        let mean = sum / count;
        let squares: f64 = finite().map(|value| (value - mean).powi(2)).sum();
        Ok(Self {
            origin: entry.origin.clone(),
            name: entry.tensor.name.clone(),
            dtype: data.dtype().name().to_owned(),
            shape: entry.tensor.shape.to_vec(),
            min,
            max,
            mean,
            std: (squares / count).sqrt(),
            non_finite: data.num_elements() - finite_values,
        })
    }
}

impl Described {
    /// The description, with `not_said` for the facts that the file leaves open.
    fn value(&self, not_said: &Value) -> serde_json::Result<Value> {
        let mut value = serde_json::to_value(&self.spec)?;
        for what in &self.unknown {
            let places: &[&str] = match what {
                Unknown::Size => &["/input/height", "/input/width"],
                Unknown::Pooling => &["/network/pooling"],
                Unknown::Variant => &["/network/variant"],
                Unknown::Outputs => &["/outputs"],
                Unknown::Scaling => &["/input/scaling"],
                _ => &[],
            };
            for place in places {
                if let Some(place) = value.pointer_mut(place) {
                    place.clone_from(not_said);
                }
            }
        }
        Ok(value)
    }

    fn leaves_open(&self, what: Unknown) -> bool {
        self.unknown.contains(&what)
    }
}

/// Facts that the file leaves open are null.
impl Serialize for Described {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value(&Value::Null)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&TensorStatistics) -> usize| self.tensors.iter().map(of).max().unwrap_or(0);
        let origin = width(|tensor| tensor.origin.chars().count());
        let name = width(|tensor| tensor.name.chars().count());
        let shape = width(|tensor| format!("{:?}", tensor.shape).len());
        writeln!(
            f,
            "{:<origin$}  {:<name$}  {:<5}  {:<shape$}  {:>10} {:>10} {:>10} {:>10}",
            "in the file", "in the network", "dtype", "shape", "min", "mean", "max", "std"
        )?;
        for tensor in &self.tensors {
            write!(
                f,
                "{:<origin$}  {:<name$}  {:<5}  {:<shape$}  {:>10.3e} {:>10.3e} {:>10.3e} {:>10.3e}",
                tensor.origin,
                tensor.name,
                tensor.dtype,
                format!("{:?}", tensor.shape),
                tensor.min,
                tensor.mean,
                tensor.max,
                tensor.std
            )?;
            match tensor.non_finite {
                0 => writeln!(f)?,
                count => writeln!(f, "  {count} NaN or infinite")?,
            }
        }
        writeln!(f, "\nformat      {}", self.format)?;
        writeln!(
            f,
            "tensors     {}, and {} that are no part of a network",
            self.tensors.len(),
            self.ignored.len()
        )?;
        if let Some(parameters) = self.parameters {
            writeln!(f, "parameters  {parameters}")?;
        }
        if let Some(network) = &self.network {
            let input = &network.spec.input;
            let said = |what, text: String| {
                if network.leaves_open(what) {
                    "not said".to_owned()
                } else {
                    text
                }
            };
            let size = format!("{} x {}", input.height, input.width);
            writeln!(f, "input       {}", said(Unknown::Size, size))?;
            writeln!(f, "scaling     {}", said(Unknown::Scaling, input.scaling.to_string()))?;
            if network.spec.network.include_top() {
                let outputs = network.spec.outputs.to_string();
                writeln!(f, "outputs     {}", said(Unknown::Outputs, outputs))?;
            }
            // A graph's table would have a line for each number of each operation.
            if let architecture @ Architecture::Graph(_) = &network.spec.network {
                writeln!(f, "network     {architecture}")?;
            } else {
                let value = network.value(&Value::from("not said")).map_err(|_| fmt::Error)?;
                writeln!(f, "network     {:#}", value["network"])?;
            }
            if !network.spec.labels.is_empty() {
                writeln!(f, "labels      {}", network.spec.labels.len())?;
            }
        }
        match &self.problem {
            Some(problem) => write!(f, "problem     {problem}"),
            None => write!(
                f,
                "It is complete: every tensor of that network is there, and no other."
            ),
        }
    }
}
