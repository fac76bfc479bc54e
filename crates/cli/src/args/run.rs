//! `xception run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use crate::args::compute::{ComputeArgs, PlainArgs};
use crate::args::size::Size;
use crate::args::values::{STAGES, batch_size};
use crate::args::weights_file::WeightsFileArgs;

/// Put a tensor of your own through the network
#[derive(Debug, Args)]
#[command(after_help = "\
The input is a .npy file of 16-, 32- or 64-bit floats with four dimensions, preprocessed by you: RGB, scaled as the
weights' card says. The output holds 32-bit floats: logits [batch, classes], or a layer's output in the input's layout.

Examples:
  xception run pictures.npy --output logits.npy
  xception run pictures.npy --output features.npy --stage block4
  xception run --list-stages --weights my_model.bpk")]
pub struct RunArgs {
    /// The input tensor (.npy)
    #[arg(value_name = "INPUT", required_unless_present = "list_stages", value_hint = ValueHint::FilePath)]
    pub input: Option<PathBuf>,
    /// File for the output tensor (.npy)
    #[arg(short, long, value_name = "FILE", required_unless_present = "list_stages", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long)]
    pub force: bool,
    /// Order of the dimensions of input and output
    #[arg(long, value_enum, default_value_t = Layout::Nhwc)]
    pub layout: Layout,
    /// A layer's output by its Keras name instead of the logits, such as `block4_sepconv2_bn`
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "plain",
        value_parser = STAGES.text(),
        hide_possible_values = true
    )]
    pub stage: Option<String>,
    /// Print the names that --stage takes, and end
    #[arg(long, conflicts_with_all = ["input", "output", "stage", "plain"])]
    pub list_stages: bool,
    /// Height and width of the weights' pictures, if the weight file does not say
    #[arg(long, value_name = "HxW")]
    pub size: Option<Size>,
    /// Pictures in a batch
    #[arg(long, value_name = "N", default_value = "8", value_parser = batch_size)]
    pub batch_size: usize,
    #[command(flatten)]
    pub file: WeightsFileArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub plain: PlainArgs,
}

/// Order of a tensor's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// [batch, height, width, channels], as `TensorFlow`
    Nhwc,
    /// [batch, channels, height, width], as `PyTorch` and Burn
    Nchw,
}
