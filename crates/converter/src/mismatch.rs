use std::collections::BTreeMap;
use std::fmt;

use xception_model::Architecture;

use crate::source::SourceTensor;

/// More suggestions are not useful, and each is searched among all names.
const MAX_SUGGESTIONS: usize = 32;
/// Names with at least this Jaro similarity are suggested.
const SIMILAR: f64 = 0.7;

/// Every difference between a file's tensors and the network's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors that the network has and the file lacks.
    pub missing: Vec<NameMismatch>,
    /// Tensors that the file has and the network lacks.
    pub unused: Vec<NameMismatch>,
    /// The network's name, the file's name, the expected shape, the found shape.
    pub shapes: Vec<(String, String, Vec<usize>, Vec<usize>)>,
    /// The file's name and type of tensors that hold no floating-point numbers.
    pub dtypes: Vec<(String, String)>,
    /// The file's names of tensors that hold NaN or an infinity.
    pub non_finite: Vec<String>,
}

/// A tensor that one side lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameMismatch {
    /// The tensor's name: the network's if it is missing, the file's if it is unused.
    pub name: String,
    /// The shape in Burn's layout.
    pub shape: Vec<usize>,
    /// The most similar name on the other side, if one is similar.
    pub nearest: Option<String>,
}

impl Mismatch {
    /// Compares names, shapes and types. No tensor's values are read.
    pub(crate) fn find(network: &Architecture, tensors: &[SourceTensor]) -> Self {
        let expected = network.tensor_shapes();
        let found: BTreeMap<&str, &SourceTensor> = tensors
            .iter()
            .map(|entry| (entry.tensor.name.as_str(), entry))
            .collect();
        let mut mismatch = Self::default();
        for (name, shape) in &expected {
            match found.get(name.as_str()) {
                None => mismatch.missing.push(NameMismatch {
                    name: name.clone(),
                    shape: shape.clone(),
                    nearest: None,
                }),
                Some(entry) if entry.tensor.shape[..] != shape[..] => mismatch.shapes.push((
                    name.clone(),
                    entry.origin.clone(),
                    shape.clone(),
                    entry.tensor.shape.to_vec(),
                )),
                Some(entry) if !entry.tensor.dtype.is_float() => {
                    let dtype = format!("{:?}", entry.tensor.dtype);
                    mismatch.dtypes.push((entry.origin.clone(), dtype));
                }
                Some(_) => {}
            }
        }
        let unused = tensors
            .iter()
            .filter(|entry| !expected.contains_key(&entry.tensor.name));
        mismatch.unused = unused
            .map(|entry| NameMismatch {
                name: entry.origin.clone(),
                shape: entry.tensor.shape.to_vec(),
                nearest: None,
            })
            .collect();
        mismatch.suggest(&expected, tensors);
        mismatch
    }

    /// Finds the most similar name for each unmatched tensor, first among the unmatched names of the other side, then
    /// among all.
    fn suggest(&mut self, expected: &BTreeMap<String, Vec<usize>>, tensors: &[SourceTensor]) {
        let names = |list: &[NameMismatch]| list.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        let (missing, unused) = (names(&self.missing), names(&self.unused));
        let found: Vec<&str> = tensors.iter().map(|entry| entry.tensor.name.as_str()).collect();
        let expected: Vec<&str> = expected.keys().map(String::as_str).collect();
        for (list, lonely, all) in [
            (&mut self.missing, &unused, &found),
            (&mut self.unused, &missing, &expected),
        ] {
            for entry in list.iter_mut().take(MAX_SUGGESTIONS) {
                entry.nearest = nearest(&entry.name, lonely.iter().map(String::as_str))
                    .or_else(|| nearest(&entry.name, all.iter().copied()));
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn nearest<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = others.map(|other| (strsim::jaro(name, other), other));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score >= SIMILAR)
        .map(|(_, other)| other.to_owned())
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its tensors are not those of the network it holds")?;
        let mut list = |title: &str, lines: Vec<String>| -> fmt::Result {
            /// A longer list does not help a reader; [`Mismatch`] has all differences.
            const SHOWN: usize = 20;
            if lines.is_empty() {
                return Ok(());
            }
            write!(f, "\n  {} {title}:", lines.len())?;
            for line in lines.iter().take(SHOWN) {
                write!(f, "\n    {line}")?;
            }
            match lines.len().saturating_sub(SHOWN) {
                0 => Ok(()),
                more => write!(f, "\n    and {more} more"),
            }
        };
        list("missing (--partial leaves them at their initial values)", {
            self.missing.iter().map(ToString::to_string).collect()
        })?;
        list("that the network has no place for (--partial leaves them out)", {
            self.unused.iter().map(ToString::to_string).collect()
        })?;
        list("of another shape", {
            let shapes = self.shapes.iter();
            let line = |(name, origin, expected, found): &(String, String, Vec<usize>, Vec<usize>)| {
                format!("{origin} for {name}: expected {expected:?}, found {found:?}")
            };
            shapes.map(line).collect()
        })?;
        list("not of floating-point numbers", {
            let dtypes = self.dtypes.iter();
            dtypes.map(|(name, dtype)| format!("{name}: {dtype}")).collect()
        })?;
        list("with a NaN or an infinity", self.non_finite.clone())
    }
}

impl fmt::Display for NameMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.shape)?;
        match &self.nearest {
            Some(nearest) => write!(f, ", most like {nearest}"),
            None => Ok(()),
        }
    }
}
