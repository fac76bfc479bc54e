//! Loads and saves trained weights in the record format.
//!
//! A record is a burnpack file (`.bpk`) that Burn's own stores read, with the [`ModelSpec`] in its metadata.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, Param};
use burn::store::burn_pack::{
    HEADER_SIZE, Header, Reader, TENSOR_ALIGNMENT, Tensor as PackTensor, Writer, aligned_data_section_start,
};
use burn::store::{ModuleRecord, ModuleSnapshot, RecordError};
use burn::tensor::{DType, Device, Tensor};
use files::FileError;

use crate::compare::compare;
use crate::description::{Description, Known};
use crate::format::WeightFormat;
use crate::labels;
use crate::network::Network;
use crate::spec::ModelSpec;
use crate::weights_error::WeightsError;

/// The metadata of the full network has 20 kB.
const MAX_METADATA: u32 = 4 << 20;
/// A record may lack tensors, which are then listed. A record that lacks more than a quarter of its network is damaged.
const MOST_MISSING: usize = 4;

/// Saves a network and everything needed to use it as one record.
///
/// The file appears complete or not at all.
///
/// # Errors
///
/// [`WeightsError::LabelCount`], or [`WeightsError::Write`]; also when the file exists and `overwrite` is false.
pub fn save(model: &Network, spec: &ModelSpec, path: &Path, overwrite: bool) -> Result<(), WeightsError> {
    save_tensors(model.collect(None, None, false), spec, path, overwrite)
}

/// As [`save`], from tensors of a file instead of a network: one is in memory at a time.
///
/// # Errors
///
/// As [`save`].
pub fn save_tensors(
    tensors: Vec<PackTensor>,
    spec: &ModelSpec,
    path: &Path,
    overwrite: bool,
) -> Result<(), WeightsError> {
    check_labels(spec, path)?;
    let write = |problem: String| WeightsError::Write {
        path: path.to_owned(),
        problem,
    };
    let text = spec.to_toml().map_err(write)?;
    Writer::new(tensors)
        .with_metadata(ModelSpec::KEY, &text)
        .auto_extension(false)
        .overwrite(overwrite)
        .write_to_file(path)
        .map_err(|error| write(error.to_string()))
}

/// Loads a network from a Burn record or, with the feature `keras`, a Keras file, or, with the feature `pytorch`, a
/// checkpoint with torchvision's or timm's names; the format is detected from the content.
///
/// Loading is strict: a missing, unused, mis-shaped or wrongly typed tensor is an error that names it. Weights of half
/// or double precision become `f32`.
///
/// # Errors
///
/// A [`WeightsError`] that names the file and the problem.
pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<(Network, ModelSpec), WeightsError> {
    load_with(path, &Known::default(), device)
}

/// As [`load`]; `known` fills in what the file leaves open.
///
/// # Errors
///
/// As [`load`].
pub fn load_with(path: impl AsRef<Path>, known: &Known, device: &Device) -> Result<(Network, ModelSpec), WeightsError> {
    load_part(path.as_ref(), known, false, device)
}

/// As [`load_with`], for callers that use the backbone alone, such as embedding and fine-tuning: facts about the head
/// may stay open, and a head with a layer that cannot be computed is left out.
///
/// # Errors
///
/// As [`load`].
pub fn load_backbone(
    path: impl AsRef<Path>,
    known: &Known,
    device: &Device,
) -> Result<(Network, ModelSpec), WeightsError> {
    load_part(path.as_ref(), known, true, device)
}

fn load_part(
    path: &Path,
    known: &Known,
    backbone: bool,
    device: &Device,
) -> Result<(Network, ModelSpec), WeightsError> {
    let format = WeightFormat::of(path).map_err(|source| WeightsError::Read {
        path: path.to_owned(),
        source,
    })?;
    match format {
        WeightFormat::Record => {
            let (network, spec) = load_record(path, device)?;
            // A record holds all facts; the caller's facts must agree with them.
            let spec = Description::of_spec(spec).complete(path, known)?;
            Ok((network, spec))
        }
        #[cfg(feature = "keras")]
        WeightFormat::Keras => crate::keras::load(path, known, backbone, device),
        #[cfg(feature = "pytorch")]
        WeightFormat::Torch => crate::torch::load(path, known, backbone, device),
        other => Err(WeightsError::UnknownFormat {
            path: path.to_owned(),
            found: other.found(path),
        }),
    }
}

/// As [`load_with`], for weights from memory or a stream: an embedded file, an entry of an archive, an answer of a
/// server.
///
/// The weights go through a temporary file, and are all in memory afterwards.
///
/// # Errors
///
/// As [`load`]; also when the temporary file cannot be written.
pub fn load_reader(
    mut reader: impl Read,
    known: &Known,
    device: &Device,
) -> Result<(Network, ModelSpec), WeightsError> {
    /// Reads the parameters that Burn has left in the file.
    struct Held;
    impl ModuleMapper for Held {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| {
                let (device, dtype) = (tensor.device(), tensor.dtype());
                Tensor::from_data(tensor.to_data(), (&device, dtype))
            })
        }
    }
    let cannot_read = |source| WeightsError::Read {
        path: PathBuf::from("weights in memory"),
        source,
    };
    let folder = tempfile::tempdir().map_err(cannot_read)?;
    let path = folder.path().join("weights");
    let mut file = File::create(&path).map_err(cannot_read)?;
    io::copy(&mut reader, &mut file).map_err(cannot_read)?;
    drop(file);
    let (network, spec) = load_with(&path, known, device)?;
    Ok((network.map(&mut Held), spec))
}

/// The offset of the first tensor of a record, as its header states.
fn data_start(path: &Path) -> io::Result<Result<u64, String>> {
    let mut header = Vec::with_capacity(HEADER_SIZE);
    files::open(path)
        .map_err(FileError::into_io)?
        .take(HEADER_SIZE as u64)
        .read_to_end(&mut header)?;
    let header = match Header::from_bytes(&header) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if header.metadata_size > MAX_METADATA {
        return Ok(Err(format!(
            "its metadata claims {} bytes, and no network's exceed {MAX_METADATA}",
            header.metadata_size
        )));
    }
    Ok(Ok(aligned_data_section_start(header.metadata_size as usize) as u64))
}

/// A record's description and its tensors, which are read when they are requested.
///
/// # Errors
///
/// If the file is no record, is damaged, or its tensors do not belong to the network that it describes.
pub fn read_record(path: &Path) -> Result<(ModelSpec, Vec<PackTensor>), WeightsError> {
    let damaged = |problem: String| WeightsError::Record {
        path: path.to_owned(),
        problem,
    };
    let cannot_read = |source| WeightsError::Read {
        path: path.to_owned(),
        source,
    };
    let start = data_start(path).map_err(cannot_read)?.map_err(damaged)?;
    let reader = Reader::from_file_exact(path).map_err(|error| damaged(error.to_string()))?;
    let text = reader.metadata().get(ModelSpec::KEY).cloned();
    let found = reader.into_tensors().map_err(|error| damaged(error.to_string()))?;
    // The tensors are consecutive, each at a multiple of the alignment.
    let end = found.iter().fold(start, |end, tensor| {
        let length = tensor.byte_len() as u64;
        end.saturating_add(length.div_ceil(TENSOR_ALIGNMENT) * TENSOR_ALIGNMENT)
    });
    let length = fs::metadata(path).map_err(cannot_read)?.len();
    if length > end {
        return Err(damaged(format!(
            "it has {length} bytes, and its tensors end before byte {end}: there is data after them"
        )));
    }
    let text = text.ok_or_else(|| WeightsError::NoSpec { path: path.to_owned() })?;
    let spec = ModelSpec::parse(&text).map_err(|problem| damaged(format!("the network's description: {problem}")))?;
    check_labels(&spec, path)?;

    spec.network.validate().map_err(|source| WeightsError::Config {
        path: path.to_owned(),
        source,
    })?;
    // The described network is allocated before a tensor is read, so its size must be in proportion to the file's.
    let held: usize = found.iter().map(|tensor| tensor.shape.num_elements()).sum();
    let described = spec.network.num_params();
    if described / MOST_MISSING > held {
        return Err(damaged(format!(
            "its description is of a network of {described} parameters, and it holds {held}"
        )));
    }
    let mismatch = compare(
        &spec.network,
        found
            .iter()
            .map(|tensor| (tensor.name.as_str(), &tensor.shape[..], tensor.dtype)),
    );
    if !mismatch.is_empty() {
        return Err(WeightsError::Mismatch {
            path: path.to_owned(),
            mismatch,
        });
    }
    Ok((spec, found))
}

fn load_record(path: &Path, device: &Device) -> Result<(Network, ModelSpec), WeightsError> {
    let (spec, found) = read_record(path)?;
    let model = Network::new(spec.network.clone(), device);
    // Asking a module for its type draws its random weights, so the cast is made only if a tensor has half or double
    // precision.
    let single = found.iter().all(|tensor| tensor.dtype == DType::F32);
    let model = ModuleRecord::load(path)
        .map(|record| if single { record } else { record.cast_to_module_dtype() })
        .and_then(|record| model.try_load_record(record))
        .map_err(|error| WeightsError::Record {
            path: path.to_owned(),
            problem: match error {
                RecordError::Io(problem) | RecordError::Validation(problem) => problem,
            },
        })?;
    Ok((model, spec))
}

/// Checks that there is one label for each class, if there are labels.
pub(crate) fn check_labels(spec: &ModelSpec, path: &Path) -> Result<(), WeightsError> {
    if spec.labels.is_empty() {
        return Ok(());
    }
    labels::check(&spec.labels).map_err(|source| WeightsError::Labels {
        path: path.to_owned(),
        source,
    })?;
    let classes = spec.classes().unwrap_or(0);
    if spec.labels.len() == classes {
        Ok(())
    } else {
        Err(WeightsError::LabelCount {
            path: path.to_owned(),
            labels: spec.labels.len(),
            classes,
        })
    }
}
