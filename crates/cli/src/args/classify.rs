//! `xception classify`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::args::format::PredictionFormat;
use crate::args::labels::LabelsArgs;
use crate::args::output::OutputArgs;
use crate::args::pictures::PictureArgs;
use crate::args::values::count;
use crate::args::weights::WeightsArgs;

/// Name what is in pictures
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception classify photo.jpg
  xception classify photos/ 'more/*.png' --top-k 1
  xception classify photos/ --format jsonl | jq -r '.predictions[0].label'
  xception classify photos/ --html photos.html --sheet photos.png
  curl -s https://example.org/cat.jpg | xception classify -
  xception classify cup.jpg --weights my_model.keras --scaling tf --preset keras-nearest --labels classes.txt")]
pub struct ClassifyArgs {
    #[command(flatten)]
    pub pictures: PictureArgs,
    /// How many classes to name for each picture
    #[arg(short = 'k', long, value_name = "N", default_value = "5", value_parser = count)]
    pub top_k: usize,
    /// Format of the results
    #[arg(long, value_enum, default_value_t = PredictionFormat::Text)]
    pub format: PredictionFormat,
    /// Also write a page of the pictures and their classes
    #[arg(long, value_name = "FILE.html", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
    /// Also write a picture of all pictures and their likeliest class
    #[arg(long, value_name = "FILE.png", value_hint = ValueHint::FilePath)]
    pub sheet: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub weights: WeightsArgs,
    #[command(flatten)]
    pub labels: LabelsArgs,
}
