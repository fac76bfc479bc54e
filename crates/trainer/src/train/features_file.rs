//! Kept features as a file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::store::burn_pack::{Reader, Tensor as PackTensor, Writer};
use burn::tensor::TensorData;

use super::error::TrainError;
use super::features::Features;

const VALUES: &str = "features";
const TARGETS: &str = "targets";
const ABOUT: &str = "about";

impl Features {
    /// Writes the features, so that a resumed run need not compute them again. `about` identifies the pictures and the
    /// backbone.
    pub fn save(&self, path: &Path, about: &str) -> Result<(), TrainError> {
        let tensor = |name: &str, values: &[f32], width: usize| {
            let data = TensorData::new(values.to_vec(), [self.len(), width]);
            let (bytes, shape, dtype) = data.into_parts();
            PackTensor::new(name.to_owned(), dtype, shape, None, bytes)
        };
        // Burn writes to a temporary file and renames it.
        Writer::new(vec![
            tensor(VALUES, &self.values, self.width),
            tensor(TARGETS, &self.targets, self.classes),
        ])
        .with_metadata(ABOUT, about)
        .auto_extension(false)
        .write_to_file(path)
        .map_err(|error| TrainError::file(path)(std::io::Error::other(error.to_string())))
    }

    /// Reads features that were written with the same `about`, possibly of the first pictures only. `None` if there is
    /// no such file.
    ///
    /// # Errors
    ///
    /// A sentence about the problem with the file.
    pub fn load(path: &Path, about: &str) -> Result<Option<Self>, String> {
        if !path.exists() {
            return Ok(None);
        }
        let reader = Reader::from_file(path).map_err(|error| error.to_string())?;
        if reader.metadata().get(ABOUT).map(String::as_str) != Some(about) {
            return Ok(None);
        }
        let mut found = BTreeMap::new();
        for tensor in reader.into_tensors().map_err(|error| error.to_string())? {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(|error| error.to_string())?;
            let &[rows, width] = shape.as_slice() else {
                return Err(format!("{name} has the shape {shape:?}"));
            };
            let values = TensorData::from_bytes(bytes, shape, dtype)
                .try_into_vec::<f32>()
                .map_err(|error| format!("{name}: {error:?}"))?;
            found.insert(name, (rows, width, values));
        }
        match (found.remove(VALUES), found.remove(TARGETS)) {
            (Some((rows, width, values)), Some((same, classes, targets))) if rows == same => Ok(Some(Self {
                values,
                targets,
                width,
                classes,
            })),
            _ => Err(format!("it does not hold {VALUES} and {TARGETS} of the same pictures")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_as_they_were_written() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("train.bpk");
        let features = Features {
            values: vec![1.0, -2.5, f32::MIN_POSITIVE, 4.0, 5.0, 6.0],
            targets: vec![1.0, 0.0, 0.0, 1.0],
            width: 3,
            classes: 2,
        };
        assert_eq!(Features::load(&path, "these"), Ok(None));
        features.save(&path, "these").unwrap();
        assert_eq!(Features::load(&path, "these"), Ok(Some(features.clone())));
        assert_eq!(Features::load(&path, "others"), Ok(None));
        let names: Vec<_> = std::fs::read_dir(home.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["train.bpk"]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() / 2);
        std::fs::write(&path, bytes).unwrap();
        assert!(Features::load(&path, "these").is_err());
    }
}
