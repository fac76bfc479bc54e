use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use graph::Tolerance;
use serde::Serialize;
use serde_json::Value;
use xception_model::{Architecture, ModelSpec};

use crate::dtype::{cast, values};
use crate::error::ConvertError;
use crate::weight_file::{FileTensor, WeightFile};

/// The comparison of two weight files, tensor by tensor.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// Number of tensors that both files have.
    pub compared: usize,
    /// Number of these that are equal bit for bit, after conversion to the other's layout and, if narrower, type.
    pub equal: usize,
    /// Number of values in the compared tensors.
    pub values: usize,
    /// The narrower type that the first file's values were rounded to, if any.
    pub rounded_to: Option<String>,
    /// The compared tensors that are not equal.
    pub different: Vec<Difference>,
    /// Tensors that only the first file has.
    pub only_first: Vec<String>,
    /// Tensors that only the second file has.
    pub only_second: Vec<String>,
    /// The options in which the networks differ, if any.
    pub network: Option<String>,
}

/// Two tensors that are not equal.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// The network's name of the tensor.
    pub name: String,
    /// The tensor's name in the first file.
    pub origin: String,
    /// The shapes, if they differ.
    pub shapes: Option<[Vec<usize>; 2]>,
    /// Number of values that differ.
    pub values: usize,
    /// Largest absolute difference.
    pub max_absolute: f64,
    /// Norm of the difference, divided by the norm of the first tensor.
    pub relative: f64,
}

impl Verification {
    /// Whether the files hold the same network.
    pub fn is_equal(&self) -> bool {
        self.different.is_empty() && self.only_first.is_empty() && self.only_second.is_empty() && self.network.is_none()
    }
}

/// Compares a file with the file it was converted to. One tensor of each is in memory at a time.
///
/// # Errors
///
/// When a tensor cannot be read.
pub fn verify(first: &WeightFile, second: &WeightFile) -> Result<Verification, ConvertError> {
    let by_name = |file: &WeightFile| -> BTreeMap<String, FileTensor> {
        let entries = file.tensors.iter().cloned();
        entries.map(|entry| (entry.tensor.name.clone(), entry)).collect()
    };
    let firsts = by_name(first);
    let mut seconds = by_name(second);
    let mut found = Verification {
        compared: 0,
        equal: 0,
        values: 0,
        rounded_to: None,
        different: Vec::new(),
        only_first: Vec::new(),
        only_second: Vec::new(),
        network: differing_options(&first.spec, &second.spec),
    };
    for (name, one) in firsts {
        let Some(two) = seconds.remove(&name) else {
            found.only_first.push(one.origin);
            continue;
        };
        found.compared += 1;
        let origin = one.origin.clone();
        if one.tensor.shape != two.tensor.shape {
            found.different.push(Difference {
                name,
                origin,
                shapes: Some([one.tensor.shape.to_vec(), two.tensor.shape.to_vec()]),
                values: 0,
                max_absolute: f64::NAN,
                relative: f64::NAN,
            });
            continue;
        }
        let (from, to) = (one.tensor.dtype, two.tensor.dtype);
        if to.size() < from.size() {
            found.rounded_to = Some(to.name().to_owned());
        }
        let read = |file: &WeightFile, mut entry: FileTensor| {
            entry.tensor = cast(entry.tensor, to);
            entry.read(&file.path)
        };
        let (one, two) = (read(first, one)?, read(second, two)?);
        if one.as_bytes() == two.as_bytes() {
            found.equal += 1;
            found.values += one.num_elements();
            continue;
        }
        let (one, two) = (values(&one), values(&two));
        let differences = one.iter().zip(&two).map(|(a, b)| (a - b).abs());
        let norm = one.iter().map(|value| value * value).sum::<f64>().sqrt();
        found.different.push(Difference {
            name,
            origin,
            shapes: None,
            values: one.iter().zip(&two).filter(|(a, b)| a.to_bits() != b.to_bits()).count(),
            max_absolute: differences.clone().fold(0.0, f64::max),
            relative: differences.map(|value| value * value).sum::<f64>().sqrt() / norm,
        });
    }
    found.only_second = seconds.into_values().map(|entry| entry.origin).collect();
    Ok(found)
}

/// The difference between two networks: their options, or the first layer in which their graphs differ. Dropout is
/// ignored: it computes nothing, and weights alone do not record it.
fn differing_options(first: &ModelSpec, second: &ModelSpec) -> Option<String> {
    let is_graph = |spec: &ModelSpec| matches!(spec.network, Architecture::Graph(_));
    if is_graph(first) || is_graph(second) {
        let (one, two) = (first.network.graph(), second.network.graph());
        let tolerance = Tolerance {
            folded_norms: false,
            size: Some([first.input.height, first.input.width]),
        };
        let pairs = one.correspondence(one.output(), &two, two.output(), tolerance);
        return pairs.err().map(|error| error.to_string());
    }
    let options = |spec: &ModelSpec| {
        let mut value = serde_json::to_value(&spec.network).unwrap_or_default();
        let options = value.as_object_mut().map(std::mem::take).unwrap_or_default();
        options
            .into_iter()
            .filter(|(option, _)| option != "dropout")
            .collect::<BTreeMap<_, _>>()
    };
    let (first, second) = (options(first), options(second));
    let value = |options: &BTreeMap<String, Value>, option: &str| match options.get(option) {
        Some(value) if value.is_array() && first.get("architecture") != second.get("architecture") => {
            "there".to_owned()
        }
        Some(value) => value.to_string(),
        None => "none".to_owned(),
    };
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let differing: Vec<String> = names
        .into_iter()
        .filter(|option| first.get(*option) != second.get(*option))
        .map(|option| format!("{option} is {} and {}", value(&first, option), value(&second, option)))
        .collect();
    (!differing.is_empty()).then(|| differing.join(", "))
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            compared,
            equal,
            values,
            ..
        } = self;
        write!(f, "{equal} of {compared} tensors ({values} values) equal bit for bit")?;
        if let Some(dtype) = &self.rounded_to {
            write!(f, ", rounded to {dtype}")?;
        }
        for difference in &self.different {
            write!(f, "\n  {} ({}): ", difference.name, difference.origin)?;
            match &difference.shapes {
                Some([one, two]) => write!(f, "shapes {one:?} and {two:?}")?,
                None => write!(
                    f,
                    "{} values differ, by {:.3e} at most, {:.3e} of the norm",
                    difference.values, difference.max_absolute, difference.relative
                )?,
            }
        }
        for (title, names) in [("first", &self.only_first), ("second", &self.only_second)] {
            if !names.is_empty() {
                write!(f, "\n  only in the {title} file: {}", names.join(", "))?;
            }
        }
        match &self.network {
            Some(options) => write!(f, "\n  the networks differ: {options}"),
            None => Ok(()),
        }
    }
}
