//! A file's tensors beside the network's.

use std::collections::BTreeMap;

use xception_model::Architecture;

use crate::mismatch::{Mismatch, NameMismatch};
use crate::weight_file::FileTensor;

/// More suggestions are not useful, and each is searched among all names.
const MAX_SUGGESTIONS: usize = 32;
/// Names with at least this Jaro similarity are suggested.
const SIMILAR: f64 = 0.7;

impl Mismatch {
    /// Compares names, shapes and types. No tensor's values are read.
    pub(crate) fn find(network: &Architecture, tensors: &[FileTensor]) -> Self {
        let expected = network.tensor_shapes();
        let found: BTreeMap<&str, &FileTensor> = tensors
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
    fn suggest(&mut self, expected: &BTreeMap<String, Vec<usize>>, tensors: &[FileTensor]) {
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
}

fn nearest<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = others.map(|other| (strsim::jaro(name, other), other));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score >= SIMILAR)
        .map(|(_, other)| other.to_owned())
}
