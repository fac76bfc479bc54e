//! How pictures are resized for the network.

use clap::Args;
use xception_model::picture::Preset;

use crate::args::reading::ReadingArgs;
use crate::args::size::Size;
use crate::args::values::preset;

/// Replaces the preprocessing that the weights name.
#[derive(Clone, Debug, Args)]
pub struct InputArgs {
    /// How pictures are resized [default: the weights' own]. Also timm-bicubic-SHARE, timm-bilinear-SHARE (a
    /// share of the scaled picture), torchvision-bilinear-SIDE, torchvision-bicubic-SIDE (pixels of its shorter side)
    #[arg(long, value_parser = preset())]
    pub preset: Option<Preset>,
    /// Height and width pictures are resized to [default: the weights' own]
    #[arg(long, value_name = "HxW")]
    pub size: Option<Size>,
    #[command(flatten)]
    pub reading: ReadingArgs,
}
