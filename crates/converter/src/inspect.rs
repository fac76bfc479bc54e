use std::fmt;

use serde::Serialize;
use xception_model::ModelSpec;

use crate::dtype::values;
use crate::error::ConvertError;
use crate::mismatch::Mismatch;
use crate::source::Source;

/// What is in a weight file.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The file's format, and what wrote it.
    pub format: String,
    /// The network it is taken for.
    pub network: ModelSpec,
    /// Parameters of that network.
    pub parameters: usize,
    /// Its tensors, in the order of the network's names.
    pub tensors: Vec<TensorStatistics>,
    /// Tensors that are no part of a network.
    pub ignored: Vec<String>,
    /// How the tensors differ from the network's, if they do.
    pub problem: Option<String>,
}

/// One tensor of a file.
#[derive(Clone, Debug, Serialize)]
pub struct TensorStatistics {
    /// Its name in the file.
    pub origin: String,
    /// Its name in the network, where it has one.
    pub name: String,
    /// Its type in the file.
    pub dtype: String,
    /// Its shape in Burn's layout.
    pub shape: Vec<usize>,
    /// The smallest finite value.
    pub min: f64,
    /// The largest finite value.
    pub max: f64,
    /// Mean of the finite values.
    pub mean: f64,
    /// Their standard deviation.
    pub std: f64,
    /// How many values are NaN or infinite.
    pub non_finite: usize,
}

/// Reads every tensor of a file and describes it.
///
/// # Errors
///
/// When a tensor cannot be read.
pub fn inspect(source: &Source) -> Result<Inspection, ConvertError> {
    let mut tensors = Vec::with_capacity(source.tensors.len());
    for entry in &source.tensors {
        let data = entry.read(&source.path)?;
        let mut statistics = TensorStatistics {
            origin: entry.origin.clone(),
            name: entry.tensor.name.clone(),
            dtype: data.dtype().name().to_owned(),
            shape: entry.tensor.shape.to_vec(),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
            std: 0.0,
            non_finite: 0,
        };
        let values = values(&data);
        let finite = values.iter().copied().filter(|value| value.is_finite());
        let (mut count, mut sum) = (0_usize, 0.0);
        for value in finite.clone() {
            statistics.min = statistics.min.min(value);
            statistics.max = statistics.max.max(value);
            sum += value;
            count += 1;
        }
        statistics.non_finite = values.len() - count;
        let count = count.max(1) as f64;
        statistics.mean = sum / count;
        let squares: f64 = finite.map(|value| (value - statistics.mean).powi(2)).sum();
        statistics.std = (squares / count).sqrt();
        tensors.push(statistics);
    }
    tensors.sort_by(|a, b| alphanumeric_sort::compare_str(&a.name, &b.name));
    let mismatch = Mismatch::find(&source.spec.network, &source.tensors);
    Ok(Inspection {
        format: source.format.to_string(),
        network: source.spec.clone(),
        parameters: source.spec.network.num_params(),
        tensors,
        ignored: source.ignored.clone(),
        problem: (!mismatch.is_empty()).then(|| mismatch.to_string()),
    })
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
        let spec = &self.network;
        writeln!(f, "\nformat      {}", self.format)?;
        writeln!(
            f,
            "tensors     {}, and {} that are no part of a network",
            self.tensors.len(),
            self.ignored.len()
        )?;
        writeln!(f, "parameters  {}", self.parameters)?;
        writeln!(f, "input       {} x {}", spec.input.height, spec.input.width)?;
        writeln!(f, "network     {}", spec.network)?;
        if !spec.labels.is_empty() {
            writeln!(f, "labels      {}", spec.labels.len())?;
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
