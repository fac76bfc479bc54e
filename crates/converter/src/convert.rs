use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn_store::ModuleSnapshot;
use burn_store::burn_pack::Tensor as PackTensor;
use xception_model::graph::ChannelOrder;
use xception_model::keras::{self, KerasFileKind};
use xception_model::registry::Card;
use xception_model::{ModelSpec, Network, Outputs};

use crate::card;
use crate::dtype::{Precision, all_finite, cast};
use crate::error::ConvertError;
use crate::flatten::reorder;
use crate::mismatch::Mismatch;
use crate::torch::torch_tensors;
use crate::weight_file::{FileTensor, WeightFile};
use crate::{onnx, safetensors};

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// `.bpk`, a Burn record.
    Record,
    /// `.safetensors`, with our names and Burn's layout.
    Safetensors,
    /// A Keras file.
    Keras(KerasFileKind),
    /// `.onnx`.
    Onnx,
}

impl OutputFormat {
    /// The format that a file's name asks for.
    ///
    /// # Errors
    ///
    /// [`ConvertError::OutputFormat`].
    pub fn of(path: &Path) -> Result<Self, ConvertError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let endings = [
            (".bpk", Self::Record),
            (".safetensors", Self::Safetensors),
            (".keras", Self::Keras(KerasFileKind::Archive)),
            (".weights.h5", Self::Keras(KerasFileKind::Weights)),
            (".h5", Self::Keras(KerasFileKind::LegacyModel)),
            (".onnx", Self::Onnx),
        ];
        let found = endings.iter().find(|(ending, _)| name.ends_with(ending));
        found
            .map(|(_, format)| *format)
            .ok_or_else(|| ConvertError::OutputFormat { path: path.to_owned() })
    }
}

/// Whose names and layout the tensors of a `.safetensors` have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Names {
    /// Ours, with Burn's layout.
    #[default]
    Own,
    /// torchvision's and timm's: `model.load_state_dict(safetensors.torch.load_file(FILE))` loads them.
    #[value(alias = "torch")]
    Pytorch,
}

/// The options of a conversion.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whose names and layout the tensors of a `.safetensors` have.
    pub names: Names,
    /// The type of the written numbers.
    pub precision: Precision,
    /// Leave out the classifier.
    pub no_top: bool,
    /// Keep the initial values of missing tensors, and leave out tensors that the network does not have.
    pub partial: bool,
    /// Replace an existing output and its card.
    pub overwrite: bool,
}

/// The result of a conversion.
#[derive(Clone, Debug)]
pub struct Report {
    /// The network that was written.
    pub spec: ModelSpec,
    /// Number of parameters of the network.
    pub parameters: usize,
    /// Missing tensors that got the initial values of a new layer.
    pub initial: Vec<String>,
    /// Tensors of the file that were left out.
    pub left_out: Vec<String>,
    /// The card that was written beside the output.
    pub card: PathBuf,
}

impl WeightFile {
    /// Writes the network in the format that `output`'s ending asks for, and a card beside it.
    ///
    /// Every tensor is read and compared with the network before anything is written. Files appear complete or not at
    /// all.
    ///
    /// # Errors
    ///
    /// If tensors do not fit, or the output cannot hold the network, exists, or cannot be written.
    pub fn convert(self, output: &Path, options: &Options) -> Result<Report, ConvertError> {
        let format = OutputFormat::of(output)?;
        let card_path = Card::beside(output);
        for path in [output, &card_path] {
            files::check_target(path, options.overwrite).map_err(|error| ConvertError::not_written(path, error))?;
        }
        if options.precision != Precision::F32 && !matches!(format, OutputFormat::Record | OutputFormat::Safetensors) {
            return Err(ConvertError::Unsupported {
                path: output.to_owned(),
                problem: format!(
                    "{} is written to .bpk and .safetensors; leave out --dtype for this format",
                    options.precision
                ),
            });
        }
        if options.names == Names::Pytorch && format != OutputFormat::Safetensors {
            return Err(ConvertError::Unsupported {
                path: output.to_owned(),
                problem: "PyTorch's names are written to .safetensors; leave out --names for this format".into(),
            });
        }
        let mut conversion = card::conversion(&self.path, &self.format)?;
        let source = self.path.clone();
        let Checked {
            mut spec,
            mut tensors,
            initial,
            left_out,
        } = self.check(options)?;
        // Before anything is written: the output may not hold the network.
        let unsupported = |problem| ConvertError::Unsupported {
            path: output.to_owned(),
            problem,
        };
        if options.names == Names::Pytorch {
            tensors = torch_tensors(&mut spec, tensors).map_err(unsupported)?;
        }
        if let OutputFormat::Keras(_) = format {
            reorder(&mut spec, &mut tensors, ChannelOrder::ChannelsLast).map_err(unsupported)?;
        }

        let bytes = if options.precision == Precision::F32 { 4 } else { 2 };
        files::check_space(files::folder_of(output), bytes * spec.network.num_params() as u64)
            .map_err(|error| ConvertError::not_written(output, error))?;
        match format {
            OutputFormat::Record => xception_model::save_tensors(tensors, &spec, output, options.overwrite)?,
            OutputFormat::Safetensors => files::write_at(output, options.overwrite, |scratch| {
                safetensors::write(scratch, &tensors, &spec)
            })
            .map_err(|error| ConvertError::not_written(output, error))?,
            OutputFormat::Keras(file) => {
                let model = assemble(&source, tensors, &spec)?;
                keras::save(&model, &spec, output, file, options.overwrite)?;
            }
            OutputFormat::Onnx => {
                let model = assemble(&source, tensors, &spec)?;
                onnx::write(&model, &spec, output, options.overwrite)?;
            }
        }
        let report = Report {
            parameters: spec.network.num_params(),
            spec,
            initial,
            left_out,
            card: card_path,
        };
        conversion.dtype = options.precision.to_string();
        conversion.left_out.clone_from(&report.left_out);
        conversion.initial.clone_from(&report.initial);
        let text = card::card(conversion, output, &report.spec)?
            .to_toml()
            .map_err(|problem| ConvertError::write(&report.card, problem))?;
        files::write(&report.card, options.overwrite, text.as_bytes())
            .map_err(|error| ConvertError::not_written(&report.card, error))?;
        Ok(report)
    }

    /// Loads the network on the device, after the same checks.
    ///
    /// # Errors
    ///
    /// If tensors do not fit.
    pub fn load(self, device: &Device) -> Result<(Network, ModelSpec), ConvertError> {
        let path = self.path.clone();
        let checked = self.check(&Options::default())?;
        let model = assemble(&path, checked.tensors, &checked.spec)?;
        Ok((burn::module::Module::to_device(model, device), checked.spec))
    }

    /// Compares the file with its network, and reads every tensor once.
    fn check(self, options: &Options) -> Result<Checked, ConvertError> {
        let Self {
            path,
            mut spec,
            tensors,
            format,
            ..
        } = self;
        let mut tensors = tensors;
        let mut left_out = Vec::new();
        if options.no_top && spec.network.include_top() {
            let mut head = spec.network.tensor_shapes();
            spec.network = spec.network.without_top();
            spec.outputs = Outputs::Softmax;
            spec.labels.clear();
            let backbone = spec.network.tensor_shapes();
            head.retain(|name, _| !backbone.contains_key(name));
            let is_head = |entry: &FileTensor| head.contains_key(&entry.tensor.name);
            let origins = tensors.iter().filter(|entry| is_head(entry));
            left_out.extend(origins.map(|entry| entry.origin.clone()));
            tensors.retain(|entry| !is_head(entry));
        }
        let mut mismatch = Mismatch::find(&spec.network, &tensors);
        let mut initial = Vec::new();
        if options.partial {
            initial.extend(mismatch.missing.drain(..).map(|missing| missing.name));
            let unused: Vec<String> = mismatch.unused.drain(..).map(|unused| unused.name).collect();
            tensors.retain(|entry| !unused.contains(&entry.origin));
            left_out.extend(unused);
        }
        let dtype = options.precision.dtype();
        for entry in &mut tensors {
            entry.tensor = cast(entry.tensor.clone(), dtype);
        }
        // Values are read only if names and shapes fit: otherwise reading is useless, and may not be safe.
        if mismatch.is_empty() {
            for entry in &tensors {
                if !all_finite(&entry.read(&path)?) {
                    mismatch.non_finite.push(entry.origin.clone());
                }
            }
        }
        if !mismatch.is_empty() {
            let others = mismatch.missing.len() + mismatch.unused.len() + mismatch.shapes.len();
            mismatch.advice = (format.is_torch() && others > 0).then(|| {
                format!(
                    "A network of other layers is another network: {}",
                    xception_model::torch::OTHERS
                )
            });
            return Err(ConvertError::Mismatch {
                path,
                mismatch: Box::new(mismatch),
            });
        }
        let mut found: BTreeMap<String, PackTensor> = tensors
            .into_iter()
            .map(|entry| (entry.tensor.name.clone(), entry.tensor))
            .collect();
        if !initial.is_empty() {
            let fresh = init(&path, &spec)?.collect(None, None, false).into_iter();
            let fresh = fresh.filter(|tensor| initial.contains(&tensor.name));
            found.extend(fresh.map(|tensor| (tensor.name.clone(), cast(tensor, dtype))));
        }
        Ok(Checked {
            spec,
            tensors: found.into_values().collect(),
            initial,
            left_out,
        })
    }
}

/// A new network of the description, on the CPU.
fn init(path: &Path, spec: &ModelSpec) -> Result<Network, ConvertError> {
    spec.network
        .init(&Device::flex())
        .map_err(|source| ConvertError::Config {
            path: path.to_owned(),
            source,
        })
}

/// A network made of the tensors, which are known to fit.
fn assemble(path: &Path, tensors: Vec<PackTensor>, spec: &ModelSpec) -> Result<Network, ConvertError> {
    let mut model = init(path, spec)?;
    let result = model.apply(tensors, None, None, false);
    match result.errors.first() {
        Some(error) => Err(ConvertError::damaged(path, error)),
        None => Ok(model),
    }
}

/// Tensors that match the network's and are finite.
struct Checked {
    spec: ModelSpec,
    tensors: Vec<PackTensor>,
    initial: Vec<String>,
    left_out: Vec<String>,
}
