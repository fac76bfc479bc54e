//! The command line, shared by `converter` and `xception`.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueHint};
use graph::{Graph, Op, PoolKind};
use xception_model::picture::DecodeLimits;
use xception_model::{HiddenActivation, Known, Outputs, Pooling, Preset, Scaling, Unknown, Variant, labels};

use crate::convert::{Names, Options};
use crate::dtype::Precision;
use crate::engine::{self, Engine};
use crate::open::{open, open_backbone};
use crate::weight_file::WeightFile;
use crate::{ConvertError, OutputFormat};

/// Turn any weight file of a trained network into a Burn record, and back, with proof
///
/// `converter INPUT OUTPUT` is short for `converter convert INPUT OUTPUT`.
#[derive(Debug, Parser)]
#[command(name = "converter", version)]
#[command(after_help = "\
Examples:
  converter model.keras model.bpk --labels classes.txt --preset keras-nearest
  converter xception.pth xception.bpk --size 299x299 --pooling average --head softmax --scaling tf
  converter trained.bpk trained.keras
  converter trained.bpk state_dict.safetensors --names pytorch
  converter verify model.keras model.bpk --with-keras venv/bin/python
  converter inspect model.h5

Exit status: 0 all done; 1 something failed, and standard error says what; 2 the command line is wrong.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Convert(ConvertArgs),
    Verify(VerifyArgs),
    Inspect(InspectArgs),
}

/// Turn a weight file into another format
///
/// Reads Keras (.keras, .weights.h5, .h5), PyTorch (.pth, .pt: timm's and Cadene's Xception), safetensors, ONNX and
/// Burn records; the format is detected from the content. A whole Keras model and an ONNX graph may be any network
/// whose layers are known; weights alone must be of Xception or ResNet. Writes the format of OUTPUT's ending: .bpk,
/// .safetensors, .keras, .weights.h5, .h5 or .onnx. A card (OUTPUT.card.toml) with the source's hash and all options is
/// written beside it.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The weight file to read
    #[arg(value_name = "INPUT", value_hint = ValueHint::FilePath)]
    pub input: PathBuf,
    /// The weight file to write
    #[arg(value_name = "OUTPUT", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Type of the written numbers
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub dtype: Precision,
    /// Whose names the tensors of a .safetensors have: own, or pytorch for torchvision's and timm's, which
    /// `model.load_state_dict(safetensors.torch.load_file(OUTPUT))` loads
    #[arg(long, value_enum, default_value_t = Names::Own)]
    pub names: Names,
    /// Leave out the classifier, and any layer after the backbone that cannot be computed
    #[arg(long)]
    pub no_top: bool,
    /// Keep the initial values of missing tensors, and leave out tensors that the network does not have
    #[arg(long)]
    pub partial: bool,
    /// Replace the output and its card if they exist
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    /// Facts that the file may leave open
    pub known: KnownArgs,
}

/// Facts that a weight file may leave open
#[derive(Debug, Default, Args)]
pub struct KnownArgs {
    /// Height and width of the pictures, if the file doesn't say
    #[arg(long, value_name = "HxW", value_parser = size)]
    pub size: Option<[usize; 2]>,
    /// The pooling, if the file doesn't say
    #[arg(long, value_name = "POOLING", value_parser = pooling)]
    pub pooling: Option<Pooling>,
    /// The library whose version of the network the file holds, if the file doesn't say: keras, keras2 or torch
    #[arg(long, value_name = "VARIANT", value_parser = variant)]
    pub variant: Option<Variant>,
    /// The meaning of the outputs, if the file doesn't say: softmax (or logits), sigmoid, binary (one logit, that of
    /// the second of two classes) or value (one number)
    #[arg(long, value_name = "OUTPUTS")]
    pub head: Option<Outputs>,
    /// The activation after each hidden layer of the head, if the file doesn't say: relu, tanh, swish, linear, ...
    #[arg(long, value_name = "NAME")]
    pub hidden_activation: Option<HiddenActivation>,
    /// The scaling of the pictures, if the file doesn't say: tf (-1..1), unit (0..1), torch (ImageNet's mean and
    /// deviation), caffe (BGR minus means) or none (0..255)
    #[arg(long, value_name = "SCALING")]
    pub scaling: Option<Scaling>,
    /// The preset by which pictures are resized, such as keras-nearest or pil-bicubic
    #[arg(long)]
    pub preset: Option<Preset>,
    /// Class names, one per line, in the order of the outputs
    #[arg(long, visible_alias = "classes", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub labels: Option<PathBuf>,
    /// The entry of a PyTorch checkpoint that holds the weights, such as `model_ema`
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
    /// The prefix of the tensors' names, for a PyTorch checkpoint that holds the network several times, such as
    /// `ema_model.`
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
}

/// Compare a weight file with the file it was converted to, tensor by tensor and bit by bit
///
/// With an engine (--with-keras, --with-onnxruntime), both files also run a picture: the original in the given Python
/// environment, the record here. The table shows the largest and the relative difference of every stage, and the most
/// likely classes side by side.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  converter verify model.keras model.bpk
  converter verify model.keras model.bpk --with-keras venv/bin/python --picture cup.jpg
  converter verify xception.onnx xception.bpk --with-onnxruntime venv/bin/python --json report.json")]
pub struct VerifyArgs {
    /// The original file
    #[arg(value_name = "INPUT", value_hint = ValueHint::FilePath)]
    pub input: PathBuf,
    /// The file it was converted to
    #[arg(value_name = "RECORD", value_hint = ValueHint::FilePath)]
    pub record: PathBuf,
    /// Run the original in Keras, in the environment of this Python
    #[arg(long, value_name = "PYTHON", conflicts_with = "with_onnxruntime", value_hint = ValueHint::CommandName)]
    pub with_keras: Option<PathBuf>,
    /// Run the original in ONNX Runtime, in the environment of this Python
    #[arg(long, value_name = "PYTHON", value_hint = ValueHint::CommandName)]
    pub with_onnxruntime: Option<PathBuf>,
    /// The picture to run [default: a generated one]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub picture: Option<PathBuf>,
    /// Write the report as JSON too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,
    /// Replace the JSON file if it exists
    #[arg(long, requires = "json")]
    pub force: bool,
    #[command(flatten)]
    /// Facts that the file may leave open
    pub known: KnownArgs,
}

/// List a weight file's tensors, and the network it is recognised as
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  converter inspect model.h5
  converter inspect xception.pth --json")]
pub struct InspectArgs {
    /// The weight file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    /// Facts that the file may leave open
    pub known: KnownArgs,
}

impl Cli {
    /// Reads the program's arguments. Ends the program if they are wrong or ask for help.
    pub fn from_arguments() -> Self {
        let mut arguments: Vec<OsString> = std::env::args_os().collect();
        let is_command = |first: &OsString| {
            let first = first.to_string_lossy();
            first.starts_with('-') || ["convert", "verify", "inspect", "help"].contains(&&*first)
        };
        if arguments.get(1).is_some_and(|first| !is_command(first)) {
            arguments.insert(1, "convert".into());
        }
        Self::parse_from(arguments)
    }

    /// Runs the command. Errors go to standard error.
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Convert(args) => convert(&args),
            Command::Verify(args) => verify(&args),
            Command::Inspect(args) => inspect(&args),
        };
        match done {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                // An error's text includes its cause.
                let _ = writeln!(std::io::stderr(), "error: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Refuses an output that would replace a file that the command reads, whatever name it has there.
fn keep_inputs(output: &Path, inputs: &[&Path]) -> anyhow::Result<()> {
    let Ok(output) = output.canonicalize() else {
        return Ok(());
    };
    let is_output = |input: &&&Path| input.canonicalize().is_ok_and(|input| input == output);
    match inputs.iter().find(is_output) {
        Some(input) => anyhow::bail!(
            "{} is read by this command, and the result would replace it: name another file",
            input.display()
        ),
        None => Ok(()),
    }
}

/// Converts a file and reports the result.
///
/// # Errors
///
/// A [`ConvertError`], or a label file that cannot be read.
pub fn convert(args: &ConvertArgs) -> anyhow::Result<bool> {
    // Refuses a bad output name before the work.
    OutputFormat::of(&args.output)?;
    keep_inputs(&args.output, &[&args.input])?;
    let known = args.known.read()?;
    let file = if args.no_top {
        open_backbone(&args.input, &known)?
    } else {
        open(&args.input, &known)?
    };
    if let Some(policy) = &file.policy {
        let _ = writeln!(std::io::stderr(), "warning: {}: {policy}", args.input.display());
    }
    let (format, ignored) = (file.format.clone(), file.ignored.clone());
    let report = file.convert(
        &args.output,
        &Options {
            names: args.names,
            precision: args.dtype,
            no_top: args.no_top,
            partial: args.partial,
            overwrite: args.force,
        },
    )?;
    print(&format!(
        "{}: {format}; {} parameters as {}",
        args.input.display(),
        report.parameters,
        args.dtype
    ))?;
    if !ignored.is_empty() {
        // Norms of PyTorch count their steps; other tensors may be missed.
        let is_counter = |name: &&String| name.ends_with("num_batches_tracked");
        let others: Vec<&str> = ignored
            .iter()
            .filter(|name| !is_counter(name))
            .map(String::as_str)
            .collect();
        let mut text = format!("{} tensors are no part of the network", ignored.len());
        if !others.is_empty() {
            text = format!("{text} and are left out, among them {}", others.join(", "));
        }
        print(&text)?;
    }
    for (what, names) in [
        ("at their initial values", &report.initial),
        ("left out", &report.left_out),
    ] {
        if !names.is_empty() {
            print(&format!("{} tensors {what}: {}", names.len(), names.join(", ")))?;
        }
    }
    print(&format!(
        "wrote {} and {}",
        args.output.display(),
        report.card.display()
    ))?;
    Ok(true)
}

/// Compares two files, and with an engine also their outputs. Returns whether they are equal.
///
/// # Errors
///
/// A [`ConvertError`], or a picture that cannot be read.
pub fn verify(args: &VerifyArgs) -> anyhow::Result<bool> {
    if let Some(path) = &args.json {
        keep_inputs(path, &[&args.input, &args.record])?;
    }
    let known = args.known.read()?;
    // What one file leaves open was given at its conversion, so the other file has it.
    let (first, second) = match (open(&args.input, &known), open(&args.record, &known)) {
        (first, Ok(second)) => (completed(first, &args.input, &second, &known)?, second),
        (Ok(first), second) => {
            let second = completed(second, &args.record, &first, &known)?;
            (first, second)
        }
        (Err(error), Err(_)) => return Err(error.into()),
    };
    let verification = crate::verify(&first, &second)?;
    print(&verification.to_string())?;
    let mut equal = verification.is_equal();

    let engine = match (&args.with_keras, &args.with_onnxruntime) {
        (Some(python), _) => Some((Engine::Keras, python)),
        (None, Some(python)) => Some((Engine::OnnxRuntime, python)),
        (None, None) => None,
    };
    let parity = match engine {
        None => None,
        Some((engine, python)) => {
            let (model, spec) = second.load(&burn::tensor::Device::flex())?;
            let pixels = match &args.picture {
                None => engine::generated_pixels(&spec),
                Some(path) => {
                    let preset = spec
                        .input
                        .preset
                        .context("the record doesn't say how pictures are resized: --preset")?;
                    let picture = preset.open(path, DecodeLimits::default())?;
                    let pixels = preset.apply(&picture, spec.input.height, spec.input.width)?;
                    pixels.data().to_vec()
                }
            };
            let parity = engine::compare(engine, python, &first, &model, &spec, &pixels)?;
            print(&format!("\n{parity}"))?;
            // Weights that were rounded compute something else; the table shows by how much.
            equal &= parity.agrees() || verification.rounded_to.is_some();
            Some(parity)
        }
    };
    if let Some(path) = &args.json {
        let report = serde_json::json!({
            "input": args.input.display().to_string(),
            "record": args.record.display().to_string(),
            "equal": equal,
            "tensors": verification,
            "engine": parity,
        });
        files::write(path, args.force, format!("{report:#}\n").as_bytes())
            .map_err(|error| ConvertError::not_written(path, error))?;
    }
    Ok(equal)
}

/// The opened file. If it leaves something open, the file is opened again with what `other` says.
fn completed(
    opened: Result<WeightFile, ConvertError>,
    path: &Path,
    other: &WeightFile,
    known: &Known,
) -> Result<WeightFile, ConvertError> {
    let Some(unknown) = opened.as_ref().err().and_then(ConvertError::unknown) else {
        return opened;
    };
    let spec = &other.spec;
    let mut known = known.clone();
    for what in unknown {
        match what {
            Unknown::Size => known.size = Some([spec.input.height, spec.input.width]),
            Unknown::Pooling => known.pooling = spec.network.pooling().or_else(|| pooling_of(&spec.network.graph())),
            Unknown::Variant => known.variant = spec.network.variant(),
            Unknown::Outputs => known.outputs = Some(spec.outputs),
            Unknown::HiddenActivation => {
                let own = || hidden_activation_of(&spec.network.graph());
                known.hidden_activation = spec.network.hidden_activation().or_else(own);
            }
            Unknown::Scaling => known.scaling = Some(spec.input.scaling),
            _ => {}
        }
    }
    open(path, &known)
}

/// How a network that is its own graph pools its last map.
fn pooling_of(graph: &Graph) -> Option<Pooling> {
    match &graph.node(graph.roles.embedding?).op {
        Op::GlobalPool(pool) if pool.kind == PoolKind::Max => Some(Pooling::Max),
        Op::GlobalPool(_) => Some(Pooling::Average),
        _ => None,
    }
}

/// The activation after the first fully-connected layer of a network that is its own graph.
fn hidden_activation_of(graph: &Graph) -> Option<HiddenActivation> {
    let nodes = &graph.nodes[graph.roles.embedding?.0..];
    let hidden = nodes.iter().position(|node| matches!(node.op, Op::Dense(_)))?;
    Some(HiddenActivation(match &nodes.get(hidden + 1)?.op {
        Op::Activation(activation) => Some(*activation),
        _ => None,
    }))
}

/// Prints the content of a file.
///
/// # Errors
///
/// A [`ConvertError`].
pub fn inspect(args: &InspectArgs) -> anyhow::Result<bool> {
    let inspection = crate::inspect(&args.file, &args.known.read()?)?;
    print(&if args.json {
        serde_json::to_string_pretty(&inspection)?
    } else {
        inspection.to_string()
    })?;
    Ok(inspection.problem.is_none())
}

/// Writes to standard output. A reader may close the pipe early, which is not an error.
fn print(text: &str) -> std::io::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

impl KnownArgs {
    /// The facts, with the label file read.
    ///
    /// # Errors
    ///
    /// A label file that cannot be read or has no class names.
    pub fn read(&self) -> anyhow::Result<Known> {
        Ok(Known {
            size: self.size,
            pooling: self.pooling,
            variant: self.variant,
            outputs: self.head,
            hidden_activation: self.hidden_activation,
            scaling: self.scaling,
            preset: self.preset,
            labels: match &self.labels {
                Some(path) => labels::read(path)?,
                None => Vec::new(),
            },
            key: self.key.clone(),
            prefix: self.prefix.clone(),
        })
    }
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let (height, width) = text.split_once(['x', 'X']).unwrap_or((text, text));
    match (height.parse(), width.parse()) {
        (Ok(height), Ok(width)) if (1..=4096).contains(&height) && (1..=4096).contains(&width) => Ok([height, width]),
        _ => Err("expected height x width such as 299x299, each from 1 to 4096 pixels".to_owned()),
    }
}

fn pooling(text: &str) -> Result<Pooling, String> {
    match text {
        "average" | "avg" => Ok(Pooling::Average),
        "max" => Ok(Pooling::Max),
        "none" => Ok(Pooling::None),
        _ => Err("expected average, max or none".to_owned()),
    }
}

fn variant(text: &str) -> Result<Variant, String> {
    match text {
        "keras" => Ok(Variant::Keras),
        "keras2" => Ok(Variant::Keras2),
        "torch" | "timm" => Ok(Variant::Torch),
        _ => Err("expected keras, keras2 or torch".to_owned()),
    }
}
