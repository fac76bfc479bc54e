//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use xception_model::picture::Preset;
use xception_model::{
    Architecture, InputSpec, Known, Outputs, Pooling, ResNetConfig, Scaling, Variant, XceptionConfig,
};

pub use converter::command::{InspectArgs, VerifyArgs};

use crate::device::DeviceName;
pub use crate::evaluate::EvaluateArgs;
pub use crate::explain::ExplainArgs;
use crate::output::{Outcome, Output};
#[cfg(feature = "remote")]
pub use crate::serve::ServeArgs;
pub use crate::train::TrainArgs;
use crate::version;

/// The longest side of an input: at 4,096 x 4,096 the first feature maps alone take 2 GB.
const MAX_INPUT: usize = 4096;

/// Classify, embed and inspect pictures with Xception (Chollet 2017), exact to Keras.
#[derive(Debug, Parser)]
#[command(name = "xception", version, long_version = version::long())]
#[command(after_help = "\
Examples:
  xception classify photo.jpg                      What is in the picture?
  xception classify photos/ --format csv           A folder, as a spreadsheet
  xception embed photos/ --output photos.npy       Feature vectors for a search or a classifier
  xception models                                  Which weights there are

Exit status: 0 all done; 1 something failed, and standard error says what; 2 the command line is wrong.")]
pub struct Cli {
    /// Say more on standard error: -v what is done and how long it took, -vv everything
    #[arg(short, long, global = true, display_order = 900, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Classify(ClassifyArgs),
    Embed(EmbedArgs),
    Run(RunArgs),
    Convert(ConvertArgs),
    #[command(after_help = "\
Examples:
  xception verify model.keras model.bpk
  xception verify model.keras model.bpk --with-keras venv/bin/python --picture cup.jpg
  xception verify xception.onnx xception.bpk --with-onnxruntime venv/bin/python --json report.json")]
    Verify(VerifyArgs),
    #[command(after_help = "\
Examples:
  xception inspect model.h5
  xception inspect xception.pth --json")]
    Inspect(InspectArgs),
    Summary(SummaryArgs),
    Train(TrainArgs),
    Evaluate(EvaluateArgs),
    Explain(ExplainArgs),
    Bench(BenchArgs),
    #[cfg(feature = "remote")]
    Serve(ServeArgs),
    Devices(ListArgs),
    Models(ModelsArgs),
    Completions(CompletionsArgs),
}

/// Name what is in pictures
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception classify photo.jpg
  xception classify photos/ 'more/*.png' --top-k 1
  xception classify photos/ --format jsonl | jq -r '.predictions[0].label'
  curl -s https://example.org/cat.jpg | xception classify -
  xception classify cup.jpg --weights my_model.keras --preset keras-nearest --labels classes.txt")]
pub struct ClassifyArgs {
    #[command(flatten)]
    pub pictures: PictureArgs,
    /// How many classes to name for each picture
    #[arg(short = 'k', long, value_name = "N", default_value = "5", value_parser = count)]
    pub top_k: usize,
    /// How results are written
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub weights: WeightsArgs,
    #[command(flatten)]
    pub labels: LabelsArgs,
}

/// Turn pictures into feature vectors
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception embed photos/ --output photos.npy            One row a picture; the names in photos.names.txt
  xception embed photos/ --output photos.safetensors    Rows and names in one file
  xception embed photos/ --format csv | head -1         To standard output
  xception embed photos/ --level stride_8 -o maps.npy   Feature maps for detection or segmentation")]
pub struct EmbedArgs {
    #[command(flatten)]
    pub pictures: PictureArgs,
    /// A level of the feature pyramid instead of the pooled vector
    #[arg(long, value_name = "NAME", conflicts_with = "plain", value_parser = PossibleValuesParser::new(["stride_2", "stride_4", "stride_8", "stride_16", "stride_32"]))]
    pub level: Option<String>,
    /// How rows are written [default: after the ending of --output; csv on standard output]
    #[arg(long, value_enum)]
    pub format: Option<RowsFormat>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub weights: WeightsArgs,
}

/// Put a tensor of your own through the network
#[derive(Debug, Args)]
#[command(after_help = "\
The input is a .npy file of 16-, 32- or 64-bit floats, four dimensions, prepared by you: RGB, scaled as the weights' card says.
The output holds 32-bit floats: logits [batch, classes], or a stage in the input's layout.

Examples:
  xception run pictures.npy --output logits.npy
  xception run pictures.npy --output features.npy --stage block4
  xception run --list-stages --weights my_model.bpk")]
pub struct RunArgs {
    /// The input tensor (.npy)
    #[arg(value_name = "INPUT", required_unless_present = "list_stages", value_hint = ValueHint::FilePath)]
    pub input: Option<PathBuf>,
    /// Where the output tensor goes (.npy)
    #[arg(short, long, value_name = "FILE", required_unless_present = "list_stages", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long)]
    pub force: bool,
    /// Order of the dimensions, of input and output alike
    #[arg(long, value_enum, default_value_t = Layout::Nhwc)]
    pub layout: Layout,
    /// A layer's output by its Keras name instead of the logits, such as `block4_sepconv2_bn`
    #[arg(long, value_name = "NAME", conflicts_with = "plain")]
    pub stage: Option<String>,
    /// Print the stages' names and end
    #[arg(long, conflicts_with_all = ["input", "output", "stage", "plain"])]
    pub list_stages: bool,
    /// Height and width of the weights' pictures, where their file does not say
    #[arg(long, value_name = "HxW")]
    pub size: Option<Size>,
    /// Pictures that go through the network at once
    #[arg(long, value_name = "N", default_value = "8", value_parser = batch_size)]
    pub batch_size: usize,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub plain: PlainArgs,
}

/// Turn a weight file into another format
///
/// INPUT is a Keras (.keras, .weights.h5, .h5), PyTorch, safetensors, ONNX or Burn file, or a name that `xception models`
/// lists. OUTPUT's ending says what is written: .bpk, .safetensors, .keras, .weights.h5, .h5 or .onnx.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception convert my_model.keras my_model.bpk --preset keras-nearest --labels classes.txt
  xception convert xception.pth xception.bpk --size 299x299
  xception convert trained.bpk trained.keras")]
pub struct ConvertArgs {
    #[command(flatten)]
    pub convert: converter::command::ConvertArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// Show a network's layers, parameters and multiply-adds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception summary
  xception summary --size 150x150 --classes 6
  xception summary --architecture resnet50
  xception summary --weights my_model.keras --format json")]
pub struct SummaryArgs {
    /// The network in these weights: a name, a Burn record, a Keras file or a card
    #[arg(short, long, value_name = "W", conflicts_with_all = ["classes", "architecture"], value_hint = ValueHint::AnyPath)]
    pub weights: Option<OsString>,
    /// The network without weights
    #[arg(long, value_enum, default_value_t = ArchitectureName::Xception)]
    pub architecture: ArchitectureName,
    /// Classes of the classifier
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count)]
    pub classes: usize,
    /// Height and width of a picture [default: the weights' own, else the architecture's]
    #[arg(long, value_name = "HxW")]
    pub size: Option<Size>,
    /// How the table is written
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
    #[command(flatten)]
    pub known: KnownArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// Measure how fast this machine puts pictures through a network
#[derive(Debug, Args)]
#[command(after_help = "\
The limit is what the processor reaches when it multiplies and adds in registers and does nothing else, measured in the
same run. Other programs that run meanwhile count against the network.

Examples:
  xception bench                                     One thread and all cores, 1 and 8 pictures at once
  xception bench --plain --threads 2 --batch-size 1  Against Burn's own operations
  xception bench --scaling --format json             Against batch size, threads and the pictures' size
  xception bench --architecture resnet50
  xception bench --weights my_model.bpk --device wgpu")]
pub struct BenchArgs {
    /// The network in these weights: a name, a Burn record, a Keras file or a card [default: random weights]
    #[arg(short, long, value_name = "W", conflicts_with = "architecture", value_hint = ValueHint::AnyPath)]
    pub weights: Option<OsString>,
    /// The network with random weights
    #[arg(long, value_enum, default_value_t = ArchitectureName::Xception)]
    pub architecture: ArchitectureName,
    /// Height and width of a picture [default: the weights' own, else the architecture's]
    #[arg(long, value_name = "HxW")]
    pub size: Option<Size>,
    /// Pictures that go through the network at once: a number or a list
    #[arg(long, value_name = "N,...", default_value = "1,8", value_delimiter = ',', value_parser = batch_size)]
    pub batch_size: Vec<usize>,
    /// Processor threads: a number or a list [default: 1 and all cores]
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Vec<u16>,
    /// How often each is measured, after a warm-up
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub runs: u16,
    /// Measure the network on Burn's own operations, layer by layer, as well
    #[arg(long)]
    pub plain: bool,
    /// Measure batches of 1 to 32 pictures, 1 to all threads, and pictures of 150x150 to 600x600
    #[arg(long, conflicts_with_all = ["batch_size", "threads", "size"])]
    pub scaling: bool,
    /// What computes; `xception devices` lists the choices
    #[arg(short, long, value_name = "NAME", default_value_t = DeviceName::default())]
    pub device: DeviceName,
    /// How the figures are written
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// List the devices this build can compute on
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception devices
  xception classify photos/ --device wgpu        One of the list")]
pub struct ListArgs {
    /// How the list is written
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

/// List the weights that have a name, and which of them are on this machine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception models
  xception models --format json --cache /srv/weights")]
pub struct ModelsArgs {
    /// How the list is written
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
    /// Folder that keeps weights [default: `$XCEPTION_CACHE`, else `xception` in the user's cache folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cache: Option<PathBuf>,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception completions bash > ~/.local/share/bash-completion/completions/xception
  xception completions zsh > ~/.zfunc/_xception
  xception completions fish > ~/.config/fish/completions/xception.fish")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// Which pictures, and how they go through the network.
#[derive(Debug, Args)]
pub struct PictureArgs {
    /// Pictures, folders (with all that is in them), patterns such as 'photos/*.jpg', or - for standard input
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<OsString>,
    /// Pictures that go through the network at once
    #[arg(long, value_name = "N", default_value = "8", value_parser = batch_size)]
    pub batch_size: usize,
    /// Refuse pictures of more pixels [default: 178,956,970]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_pixels: Option<u64>,
}

/// Where results go.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// File for the results instead of standard output; it appears complete or not at all
    #[arg(short = 'o', long = "output", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub path: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long)]
    pub force: bool,
}

/// Which network, fed how, computed where.
#[derive(Debug, Args)]
pub struct WeightsArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub plain: PlainArgs,
}

/// Where the weights come from.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// A name that `xception models` lists, a Burn record (.bpk), a Keras file (.keras, .h5), a run's folder, or a card
    #[arg(short, long, value_name = "W", default_value = "xception-imagenet", value_hint = ValueHint::AnyPath)]
    pub weights: OsString,
    #[command(flatten)]
    pub known: KnownArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// What a weight file may not say of its network. A word against what the file says is refused.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Where the weight file does not say")]
pub struct KnownArgs {
    /// What the outputs are: softmax, sigmoid (each class a yes or no), binary (one logit of two classes), logits (as softmax),
    /// or value (a number)
    #[arg(long, value_name = "OUTPUTS", value_parser = name::<Outputs>(&["softmax", "sigmoid", "binary", "logits", "value"]))]
    pub head: Option<Outputs>,
    /// How channel values are scaled: tf (-1..1), unit (0..1), torch (ImageNet's mean and deviation), caffe (BGR minus means),
    /// or none (0..255)
    #[arg(long, value_name = "NAME", value_parser = name::<Scaling>(&["tf", "unit", "torch", "caffe", "none"]))]
    pub scaling: Option<Scaling>,
    /// How the last feature map is pooled
    #[arg(long, value_name = "NAME", value_parser = pooling_parser())]
    pub pooling: Option<Pooling>,
    /// Whose batch-norm epsilon and pool padding it has: Keras's, or that of timm's PyTorch Xception
    #[arg(long, value_name = "NAME", value_parser = variant_parser())]
    pub variant: Option<Variant>,
}

impl KnownArgs {
    /// What the user knows; `size` comes from another flag.
    pub fn known(&self, size: Option<Size>) -> Known {
        Known {
            size: size.map(|size| [size.height, size.width]),
            pooling: self.pooling,
            variant: self.variant,
            outputs: self.head,
            scaling: self.scaling,
            ..Known::default()
        }
    }
}

/// How weights with a name are fetched and kept.
#[derive(Debug, Args)]
pub struct CacheArgs {
    /// Don't touch the network
    #[arg(long)]
    pub offline: bool,
    /// Folder that keeps weights [default: `$XCEPTION_CACHE`, else `xception` in the user's cache folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cache: Option<PathBuf>,
}

/// What stands in for the weights' own word on preprocessing.
#[derive(Debug, Args)]
pub struct InputArgs {
    /// How pictures are resized [default: the weights' own]
    #[arg(long, value_parser = preset_parser())]
    pub preset: Option<Preset>,
    /// Height and width pictures are resized to [default: the weights' own]
    #[arg(long, value_name = "HxW")]
    pub size: Option<Size>,
}

/// What stands in for the weights' own word on their classes.
#[derive(Debug, Args)]
pub struct LabelsArgs {
    /// Names of the classes, one a line, in the order of the outputs [default: the weights' own]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub labels: Option<PathBuf>,
}

/// Where the network runs.
#[derive(Debug, Args)]
pub struct ComputeArgs {
    /// What computes; `xception devices` lists the choices
    #[arg(short, long, value_name = "NAME", default_value_t = DeviceName::default())]
    pub device: DeviceName,
    /// Processor threads, for decoding and for the network [default: all cores]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// How the network is computed where nothing of its inside is asked for.
#[derive(Debug, Args)]
pub struct PlainArgs {
    /// Compute layer by layer with Burn's own operations, not with the fused network
    #[arg(long)]
    pub plain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// A table for people
    Text,
    /// One array of all pictures
    Json,
    /// One object a line and picture
    Jsonl,
    /// One line a picture and class
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RowsFormat {
    /// `NumPy` array, the names in a text file beside it
    Npy,
    /// Tensor `embeddings`, the names in its metadata
    Safetensors,
    /// One line a picture, its name first
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SummaryFormat {
    /// For people
    Text,
    /// Every figure
    Json,
    /// The table of classes
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// An architecture as its paper has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArchitectureName {
    /// Chollet 2017
    Xception,
    /// He 2015, 50 layers
    Resnet50,
    /// He 2015, 101 layers
    Resnet101,
    /// He 2015, 152 layers
    Resnet152,
}

impl ArchitectureName {
    pub fn architecture(self) -> Architecture {
        let resnet = |blocks: [usize; 4]| ResNetConfig::new().with_blocks(blocks).into();
        // Blocks of the stacks: Table 1 of the paper.
        match self {
            Self::Xception => XceptionConfig::new().into(),
            Self::Resnet50 => resnet([3, 4, 6, 3]),
            Self::Resnet101 => resnet([3, 4, 23, 3]),
            Self::Resnet152 => resnet([3, 8, 36, 3]),
        }
    }

    /// What its published weights are fed, in `keras.applications`.
    pub fn input(self) -> InputSpec {
        match self {
            Self::Xception => InputSpec::default(),
            Self::Resnet50 | Self::Resnet101 | Self::Resnet152 => InputSpec {
                height: 224,
                width: 224,
                scaling: Scaling::Caffe,
                ..InputSpec::default()
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// [batch, height, width, channels], as `TensorFlow`
    Nhwc,
    /// [batch, channels, height, width], as `PyTorch` and Burn
    Nchw,
}

/// An input's height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub height: usize,
    pub width: usize,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (height, width) = text.split_once(['x', 'X']).unwrap_or((text, text));
        let side = |text: &str| {
            text.parse()
                .ok()
                .filter(|side| (1..=MAX_INPUT).contains(side))
                .ok_or_else(|| format!("expected height x width such as 299x299, each from 1 to {MAX_INPUT} pixels"))
        };
        Ok(Self {
            height: side(height)?,
            width: side(width)?,
        })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number from 1 on".to_owned()),
        Ok(count) => Ok(count),
    }
}

/// The presets by name.
pub fn preset_parser() -> impl TypedValueParser<Value = Preset> {
    PossibleValuesParser::new(Preset::ALL.map(Preset::name)).try_map(|name| name.parse::<Preset>())
}

/// What is known by one of these names.
fn name<T: FromStr + Clone + Send + Sync + 'static>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    PossibleValuesParser::new(names.iter().copied()).try_map(|name| name.parse::<T>())
}

fn pooling_parser() -> impl TypedValueParser<Value = Pooling> {
    PossibleValuesParser::new(["average", "max", "none"]).map(|name| match name.as_str() {
        "max" => Pooling::Max,
        "none" => Pooling::None,
        _ => Pooling::Average,
    })
}

fn variant_parser() -> impl TypedValueParser<Value = Variant> {
    PossibleValuesParser::new(["keras", "torch"]).map(|name| match name.as_str() {
        "torch" => Variant::Torch,
        _ => Variant::Keras,
    })
}

/// At 299 x 299 a picture in the network takes about 60 MB; beyond 256 nothing gets faster anywhere.
pub fn batch_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size) if (1..=256).contains(&size) => Ok(size),
        _ => Err("expected a whole number from 1 to 256".to_owned()),
    }
}

/// Ends the program as clap does when the arguments, each right by itself, don't go together.
pub fn wrong_usage(message: impl fmt::Display) -> ! {
    Cli::command().error(ErrorKind::ArgumentConflict, message).exit()
}

pub fn print_completions(args: &CompletionsArgs) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "xception", &mut script);
    let mut output = Output::stdout();
    output.write_all(&script)?;
    output.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes() {
        let size = |height, width| Ok(Size { height, width });
        assert_eq!("299x150".parse(), size(299, 150));
        assert_eq!("150".parse(), size(150, 150));
        for wrong in ["", "x", "299x", "0x299", "299x4097", "299x299x3", "-299", "299 x 299"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
