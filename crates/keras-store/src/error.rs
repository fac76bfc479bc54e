//! The error types.

use std::fmt;
use std::path::PathBuf;

use burn::tensor::DType;

/// Why a Keras file could not be read or written, or does not fit the module.
///
/// Every variant names the file; most also name the place inside it and say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KerasStoreError {
    /// The operating system could not open or read the file.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file that was asked for.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },

    /// The file's first bytes are not those of a Keras weight file.
    #[error(
        "`{}` is not a Keras weight file: expected a .keras archive or an HDF5 file, found {found}",
        path.display()
    )]
    NotKeras {
        /// The file that was asked for.
        path: PathBuf,
        /// What the content looks like.
        found: String,
    },

    /// The `.keras` archive (a zip) is broken, or lacks a member.
    #[error("`{}`: the .keras archive cannot be used: {reason}{}", path.display(), cut_short(reason))]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The HDF5 file, or the HDF5 member of a `.keras` archive, is broken at one place.
    #[error("`{}`: the HDF5 data is broken at `{place}`: {reason}", path.display())]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// The group or dataset inside it.
        place: String,
        /// What is wrong there.
        reason: String,
    },

    /// The file is sound, but is not laid out as any version of Keras lays out weights.
    #[error("`{}` is HDF5, but holds no Keras weights: {reason}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What was expected and not found.
        reason: String,
    },

    /// A `config.json`, `metadata.json`, `model_config` or `.weights.json` is not what Keras writes.
    #[error("`{}`: `{place}` cannot be parsed: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The archive member or HDF5 attribute.
        place: String,
        /// The parser's error.
        reason: String,
    },

    /// The file is sound, but uses something this version does not read.
    #[error("`{}`: {what} is not supported; {way_out}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported.
        what: String,
        /// What to do instead.
        way_out: String,
    },

    /// Renaming sent two variables of the file to one name.
    #[error(
        "`{}`: both `{first}` and `{second}` are named `{key}` after renaming; \
         change `with_names` or `with_key_remapping` so that each keeps its own name",
        path.display()
    )]
    DuplicateKey {
        /// The file.
        path: PathBuf,
        /// The name that both ended up with.
        key: String,
        /// The first variable, by its Keras name.
        first: String,
        /// The second variable, by its Keras name.
        second: String,
    },

    /// The file and the module do not match. A failed load leaves the module unchanged; a failed save writes nothing.
    #[error("{0}")]
    Mismatch(Box<Mismatch>),

    /// The backend refused a tensor, for example a float64 one on a device without float64. The module is left
    /// unchanged.
    #[error(
        "the backend does not take a tensor of `{}`: {reason}; \
         cast the file's values with `with_from_adapter(FloatCastAdapter::to(..))`",
        path.display()
    )]
    Backend {
        /// The file.
        path: PathBuf,
        /// The backend's error.
        reason: String,
    },

    /// A module was to be saved, but no Keras model was given.
    #[error(
        "cannot write `{}`: a Keras file is arranged by the model it belongs to; give the model's \
         config with `with_model_config(..)`: `config.json` of a .keras archive, `model.to_json()` in \
         Keras, or `KerasStore::model_config` of a file of the same model",
        path.display()
    )]
    NoConfig {
        /// The file that would have been written.
        path: PathBuf,
    },

    /// The given config does not describe a model that can be written.
    #[error("cannot write `{}`: the model's config cannot be used: {reason}", path.display())]
    Config {
        /// The file that would have been written.
        path: PathBuf,
        /// The layer or setting, what was expected and what was found.
        reason: String,
    },

    /// The model has layers whose variables are unknown.
    #[error(
        "cannot write `{}`: the variables of {} of its layers are not known: {}",
        path.display(), layers.len(), layers.join(", ")
    )]
    UnknownLayers {
        /// The file that would have been written.
        path: PathBuf,
        /// The layers' paths, each with its class and the reason.
        layers: Vec<String>,
    },

    /// The output's name does not say which layout to write.
    #[error(
        "cannot write `{}`: its name does not say which of Keras's layouts is meant; expected .keras, \
         .weights.h5 or .h5, or choose one with `with_file_kind(..)`",
        path.display()
    )]
    UnclearKind {
        /// The file that would have been written.
        path: PathBuf,
    },

    /// The output file exists.
    #[error("cannot write `{}`: it exists; replace it with `overwrite(true)`", path.display())]
    Exists {
        /// The file, which is left unchanged.
        path: PathBuf,
    },

    /// The operating system refused the output file. No part of it remains, and an existing file is left unchanged.
    #[error("cannot write `{}`: {reason}", path.display())]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
}

/// The direction of a transfer between module and file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the file into the module.
    Loading,
    /// From the module into the file, which is laid out for a Keras model.
    Saving,
}

/// All differences between a module and the file to load, or the Keras model to save as.
///
/// The *receiving* side must be filled completely: the module when loading, the Keras model when saving. `Display`
/// lists every difference by name, with both sides and the nearest name on the other side. `KerasStore::allow_partial`
/// lets tensors be missing, and `KerasStore::allow_unused` lets them be left out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The file.
    pub path: PathBuf,
    /// Which side receives.
    pub direction: Direction,
    /// Needed by the receiving side and missing on the giving side.
    pub missing: Vec<NameMismatch>,
    /// Present on the giving side and not used by the receiving side.
    pub unused: Vec<NameMismatch>,
    /// Same name, other shape.
    pub shapes: Vec<ShapeMismatch>,
    /// Same name, different kind of number.
    pub dtypes: Vec<DTypeMismatch>,
    /// Variables whose values could not be read or are not finite.
    pub values: Vec<ValueMismatch>,
}

/// A name that exists on one side only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameMismatch {
    /// The Burn name, such as `block1_conv1.weight`.
    pub name: String,
    /// Its shape, in Burn's layout.
    pub shape: Vec<usize>,
    /// The most similar name on the other side, if one is similar at all.
    pub nearest: Option<String>,
}

/// A tensor with different shapes on the two sides.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShapeMismatch {
    /// The Burn name.
    pub name: String,
    /// The receiving side's shape, in Burn's layout.
    pub expected: Vec<usize>,
    /// The giving side's shape, in Burn's layout.
    pub found: Vec<usize>,
}

/// A tensor with different kinds of numbers (float, integer, boolean) on the two sides.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DTypeMismatch {
    /// The Burn name.
    pub name: String,
    /// The kind the receiving side expects: `float`, `int` or `bool`.
    pub expected: &'static str,
    /// The giving side's type.
    pub found: DType,
}

/// A tensor whose values could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValueMismatch {
    /// The Burn name.
    pub name: String,
    /// The reason.
    pub reason: String,
}

impl Mismatch {
    pub(crate) fn new(path: PathBuf, direction: Direction) -> Self {
        Self {
            path,
            direction,
            missing: Vec::new(),
            unused: Vec::new(),
            shapes: Vec::new(),
            dtypes: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty()
            && self.unused.is_empty()
            && self.shapes.is_empty()
            && self.dtypes.is_empty()
            && self.values.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let (taker, giver) = match self.direction {
            Direction::Loading => {
                write!(f, "`{path}` does not fit the module, which is left as it was")?;
                names(f, "missing from the file", &self.missing)?;
                names(f, "in the file, but not in the module", &self.unused)?;
                ("the module", "the file")
            }
            Direction::Saving => {
                write!(
                    f,
                    "`{path}` is not written, because the module does not fit the Keras model"
                )?;
                names(f, "needed by the Keras model, but not in the module", &self.missing)?;
                names(f, "in the module, but not in the Keras model", &self.unused)?;
                ("the Keras model", "the module")
            }
        };
        heading(f, "of another shape", self.shapes.len())?;
        for s in &self.shapes {
            write!(
                f,
                "\n    {}: {taker} has {:?}, {giver} {:?}",
                s.name, s.expected, s.found
            )?;
        }
        heading(f, "of another type", self.dtypes.len())?;
        for d in &self.dtypes {
            write!(f, "\n    {}: {taker} has {}, {giver} {:?}", d.name, d.expected, d.found)?;
        }
        heading(f, "unreadable", self.values.len())?;
        for v in &self.values {
            write!(f, "\n    {}: {}", v.name, v.reason)?;
        }
        Ok(())
    }
}

fn heading(f: &mut fmt::Formatter<'_>, what: &str, count: usize) -> fmt::Result {
    if count > 0 {
        write!(f, "\n  {count} {what}:")?;
    }
    Ok(())
}

fn names(f: &mut fmt::Formatter<'_>, what: &str, list: &[NameMismatch]) -> fmt::Result {
    heading(f, what, list.len())?;
    for n in list {
        write!(f, "\n    {} {:?}", n.name, n.shape)?;
        if let Some(nearest) = &n.nearest {
            write!(f, ", nearest is `{nearest}`")?;
        }
    }
    Ok(())
}

/// The likely cause of an archive without its end (`zip`'s message names its record, the EOCD).
fn cut_short(reason: &str) -> &'static str {
    if reason.contains("EOCD") {
        "; it was probably cut short: download or copy it again"
    } else {
        ""
    }
}
