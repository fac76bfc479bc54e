//! `xception embed`.

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::args::format::EmbeddingFormat;
use crate::args::output::OutputArgs;
use crate::args::pictures::PictureArgs;
use crate::args::values::{count, similarity};
use crate::args::weights::WeightsArgs;

/// The levels of a feature pyramid. Which of them a network has is checked when its weights are loaded.
const LEVELS: [&str; 5] = ["stride_2", "stride_4", "stride_8", "stride_16", "stride_32"];

/// Turn pictures into feature vectors
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception embed photos/ --output photos.npy            One row per picture; the names in photos.names.txt
  xception embed photos/ --output photos.safetensors    Rows and names in one file
  xception embed photos/ --format csv | head -1         To standard output
  xception embed photos/ --neighbours 5                 The five most similar pictures of each
  xception embed photos/ --duplicates                   Pairs that are nearly the same picture
  xception embed photos/ --level stride_8 -o maps.npy   Feature maps for detection or segmentation")]
pub struct EmbedArgs {
    #[command(flatten)]
    pub pictures: PictureArgs,
    /// A level of the feature pyramid instead of the pooled vector
    #[arg(long, value_name = "NAME", conflicts_with = "plain", value_parser = PossibleValuesParser::new(LEVELS))]
    pub level: Option<String>,
    /// Instead of vectors, each picture's N most similar pictures, as CSV
    #[arg(long, value_name = "N", value_parser = count, conflicts_with_all = ["level", "format", "duplicates"])]
    pub neighbours: Option<usize>,
    /// Instead of vectors, pairs of pictures at least this similar (cosine, up to 1), as CSV [without a number: 0.95]
    #[arg(
        long,
        value_name = "SIMILARITY",
        num_args = 0..=1,
        default_missing_value = "0.95",
        require_equals = true,
        value_parser = similarity,
        conflicts_with_all = ["level", "format"]
    )]
    pub duplicates: Option<f32>,
    /// Format of the rows [default: chosen by the ending of --output; csv on standard output]
    #[arg(long, value_enum)]
    pub format: Option<EmbeddingFormat>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub weights: WeightsArgs,
}
