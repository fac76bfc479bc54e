//! `xception evaluate`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use trainer::data::Split;

use crate::args::format::FigureFormat;
use crate::args::labels::LabelsArgs;
use crate::args::layout::LayoutArgs;
use crate::args::values::{batch_size, split};
use crate::args::weights::SeveralWeightsArgs;

/// Judge a network by pictures whose classes are known
///
/// DATA is a folder with one folder of pictures per class, or a CSV file of path and label, as for `xception train`; or
/// ImageNet's validation pictures, in folders by wnid or all in one folder. Classes are matched to the network's labels
/// by name or wnid. With several --weights, a table compares the networks: accuracy, size and speed beside the
/// published accuracy, as the tables of the Xception paper.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --split, the test part is judged if the data has one: a folder `test`, a column `split`, or the split of the
training run beside the weights, which knows its pictures by their content. Otherwise all pictures are judged. A warning
says how many of them the network was trained on.

Examples:
  xception evaluate flowers/ --weights runs/flowers/model.bpk --report flowers.html
  xception evaluate flowers/ --weights my_model.keras --scaling tf --split val --format json
  xception evaluate photos.csv --weights my_model.bpk --predictions answers.csv
  xception evaluate flowers/ -w runs/flowers -w runs/flowers-2 --csv comparison.csv
  xception evaluate ILSVRC2012_img_val/ --imagenet-labels val.txt \\
    --blacklist ILSVRC2014_clsloc_validation_blacklist.txt")]
pub struct EvaluateArgs {
    /// One folder per class, a CSV of path and label, or ImageNet's validation pictures
    #[arg(value_name = "DATA", value_hint = ValueHint::AnyPath)]
    pub data: PathBuf,
    /// Judge this part: train, val or test
    #[arg(long, value_name = "PART", value_parser = split, conflicts_with = "imagenet_labels")]
    pub split: Option<Split>,
    /// Classes of ImageNet's validation pictures: Caffe's val.txt, one wnid per line, or the devkit's ground truth
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub imagenet_labels: Option<PathBuf>,
    /// Leave out the pictures whose numbers this file lists (the ILSVRC devkit's blacklist), as the Xception paper does
    /// (Chollet 2017, section 4.5.1)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub blacklist: Option<PathBuf>,
    /// Format of the figures on standard output
    #[arg(long, value_enum, default_value_t = FigureFormat::Text)]
    pub format: FigureFormat,
    /// Write an HTML report: figures, plots, mistakes and heat maps (of one network)
    #[arg(long, value_name = "FILE.html", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// Write every figure to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,
    /// Write the table to this file: of the classes, or of several networks
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub csv: Option<PathBuf>,
    /// Write the predictions for each picture to this file (CSV; of one network)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub predictions: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    pub force: bool,
    /// Pictures in a batch
    #[arg(long, value_name = "N", default_value = "8", value_parser = batch_size)]
    pub batch_size: usize,
    /// Refuse pictures of more pixels [default: 178,956,970]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_pixels: Option<u64>,
    /// Leave out pictures of classes that the network does not know, instead of refusing the data
    #[arg(long, conflicts_with = "imagenet_labels")]
    pub skip_unknown: bool,
    #[command(flatten, next_help_heading = "How the data lies")]
    pub layout: LayoutArgs,
    #[command(flatten)]
    pub weights: SeveralWeightsArgs,
    #[command(flatten)]
    pub labels: LabelsArgs,
}
