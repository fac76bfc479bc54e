//! `xception explain`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use trainer::explain::Method;

use crate::args::labels::LabelsArgs;
use crate::args::pictures::PictureArgs;
use crate::args::values::STAGES;
use crate::args::weights::WeightsArgs;

/// Show where in a picture the network sees a class
///
/// Writes a PNG for each picture: the picture, and beside it a copy coloured by how much each place speaks for the
/// class.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception explain cup.jpg                                  What speaks for the likeliest class: cup.grad-cam.png
  xception explain cup.jpg --class glass -o glass.png       What speaks for another class
  xception explain cup.jpg --class cup --class glass        Two classes side by side
  xception explain photos/ --html seen.html                 A page of all pictures of a folder
  xception explain photos/ --output seen/                   A folder of pictures into a folder
  xception explain cup.jpg --method layer-cam --stage block4_sepconv2_bn    Finer, from an earlier layer
  xception run --list-stages                                The names of the layers")]
pub struct ExplainArgs {
    #[command(flatten)]
    pub pictures: PictureArgs,
    /// The class to look for, by its name, its wnid or its number from 0; several stand side by side [default: the
    /// likeliest of each picture]
    #[arg(short, long, value_name = "NAME|N")]
    pub class: Vec<String>,
    /// The layer whose output is coloured, by its Keras name [default: the last feature map]
    #[arg(long, value_name = "NAME", value_parser = STAGES.text(), hide_possible_values = true)]
    pub stage: Option<String>,
    /// How gradients become colours; layer-cam also suits earlier layers
    #[arg(long, default_value_t = Method::GradCam, value_parser = method())]
    pub method: Method,
    /// A .png file for one picture, or a folder [default: the picture's name with .grad-cam.png, in the current folder]
    #[arg(short, long, value_name = "FILE|FOLDER", value_hint = ValueHint::AnyPath)]
    pub output: Option<PathBuf>,
    /// A page of all pictures; no other files are written unless --output names a place for them
    #[arg(long, value_name = "FILE.html", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
    /// A picture of all pictures; no other files are written unless --output names a place for them
    #[arg(long, value_name = "FILE.png", value_hint = ValueHint::FilePath)]
    pub sheet: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub weights: WeightsArgs,
    #[command(flatten)]
    pub labels: LabelsArgs,
}

fn method() -> impl TypedValueParser<Value = Method> {
    PossibleValuesParser::new(Method::ALL.map(Method::name)).try_map(|name| name.parse::<Method>())
}
