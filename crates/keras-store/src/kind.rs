//! The layout to write.

use std::path::Path;

/// The layout in which a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KerasFileKind {
    /// A `.keras` archive: the model and its weights. `keras.models.load_model` of Keras 3.
    Archive,
    /// A `.weights.h5`: weights for a model which is built already. `model.load_weights` of Keras 3.
    Weights,
    /// A legacy `.h5` with the model and its weights. `keras.models.load_model` of Keras 3.
    LegacyModel,
    /// A legacy `.h5` with weights alone. `model.load_weights` of Keras 2 and 3, tf.keras and tf-keras.
    LegacyWeights,
}

impl KerasFileKind {
    /// The layout for which Keras uses this name: `.keras`, `.weights.h5`, or a whole model in any other `.h5` or
    /// `.hdf5`. `None` for any other name.
    pub fn of_name(path: impl AsRef<Path>) -> Option<Self> {
        let name = path.as_ref().file_name()?.to_string_lossy().to_ascii_lowercase();
        let (stem, ending) = name.rsplit_once('.')?;
        match ending {
            "keras" => Some(Self::Archive),
            "h5" if stem.ends_with(".weights") => Some(Self::Weights),
            "h5" | "hdf5" => Some(Self::LegacyModel),
            _ => None,
        }
    }

    /// Whether the file holds the model as well as its weights.
    pub fn holds_model(self) -> bool {
        matches!(self, Self::Archive | Self::LegacyModel)
    }

    /// Whether the layout is older than Keras 3.
    pub fn is_legacy(self) -> bool {
        matches!(self, Self::LegacyModel | Self::LegacyWeights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_layout_as_it_does_in_keras() {
        use KerasFileKind::{Archive, LegacyModel, Weights};
        for (name, kind) in [
            ("a/model.keras", Some(Archive)),
            ("MODEL.KERAS", Some(Archive)),
            ("a.weights.h5", Some(Weights)),
            ("weights.h5", Some(LegacyModel)),
            ("model.hdf5", Some(LegacyModel)),
            ("model.bpk", None),
            ("keras", None),
            ("..", None),
        ] {
            assert_eq!(KerasFileKind::of_name(name), kind, "{name}");
        }
    }
}
