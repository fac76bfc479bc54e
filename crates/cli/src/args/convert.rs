//! `xception convert`: the converter's arguments, and the cache of named weights.

use clap::Args;

use crate::args::cache::CacheArgs;

/// Turn a weight file into another format
///
/// INPUT is a Keras (.keras, .weights.h5, .h5), PyTorch, safetensors, ONNX or Burn file, or a name that `xception
/// models` lists. OUTPUT's ending chooses the format: .bpk, .safetensors, .keras, .weights.h5, .h5 or .onnx.
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
