//! `xception convert`, `verify` and `inspect`: the converter's arguments, and the cache of named weights.

use clap::Args;

use crate::args::cache::CacheArgs;

/// Turn a weight file into another format
///
/// INPUT is a Keras (.keras, .weights.h5, .h5), PyTorch, safetensors, ONNX or Burn file, or a name that `xception
/// models` lists. OUTPUT's ending chooses the format: .bpk, .safetensors, .keras, .weights.h5, .h5 or .onnx.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception convert my_model.keras my_model.bpk --scaling tf --preset keras-nearest --labels classes.txt
  xception convert xception.pth xception.bpk --size 299x299 --pooling average --head softmax --scaling tf
  xception convert trained.bpk trained.keras")]
pub struct ConvertArgs {
    #[command(flatten)]
    pub convert: converter::command::ConvertArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// Compare a weight file with the file it was converted to, tensor by tensor and bit by bit
///
/// With an engine, both run a picture: the original in the Python environment that you name, the record here. The table
/// shows every stage's largest and relative difference, and the likeliest classes side by side.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception verify model.keras model.bpk
  xception verify model.keras model.bpk --with-keras venv/bin/python --picture cup.jpg
  xception verify xception.onnx xception.bpk --with-onnxruntime venv/bin/python --json report.json")]
pub struct VerifyArgs {
    #[command(flatten)]
    pub verify: converter::command::VerifyArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// List a weight file's tensors, and the network it is recognised as
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception inspect model.h5
  xception inspect xception-imagenet
  xception inspect xception.pth --json")]
pub struct InspectArgs {
    #[command(flatten)]
    pub inspect: converter::command::InspectArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
}
