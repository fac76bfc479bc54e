//! `xception evaluate`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueHint};
use serde::Serialize;
use trainer::data::Split;
use trainer::evaluate::{EvaluateOptions, Evaluated, Speed, evaluate as judge};
use trainer::explain::examples;
use trainer::metrics::{ClassScore, Evaluation, Score, Task, write_class_table, write_predictions};
use trainer::report::{self, ReportData};
use unicode_width::UnicodeWidthStr;
use xception_model::Classifier;
use xception_model::picture::Preset;

use crate::args::{LabelsArgs, SummaryFormat, WeightsArgs, batch_size};
use crate::inputs;
use crate::output::{self, Outcome, Output, Target, printable};
use crate::progress::Progress;
use crate::truths::{self, Truths};
use crate::weights;

/// Judge a network by pictures whose classes are known
///
/// DATA is a folder with a folder of pictures a class, or a CSV file of path and label, as for `xception train`; or ImageNet's
/// validation pictures, in folders by wnid or all in one. Classes are found among the network's labels by name or wnid.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --split the test part is judged where the data has one: folders or a column, or the split of the run that the
weights lie in; otherwise all pictures.

Examples:
  xception evaluate flowers/ --weights runs/flowers/model.bpk --report flowers.html
  xception evaluate flowers/ --weights my_model.keras --split val --format json
  xception evaluate photos.csv --weights my_model.bpk --predictions answers.csv
  xception evaluate ILSVRC2012_img_val/ --imagenet-labels val.txt --blacklist ILSVRC2014_clsloc_validation_blacklist.txt")]
pub struct EvaluateArgs {
    /// A folder a class, a CSV of path and label, or ImageNet's validation pictures
    #[arg(value_name = "DATA", value_hint = ValueHint::AnyPath)]
    pub data: PathBuf,
    /// Judge this part: train, val or test
    #[arg(long, value_name = "PART", value_parser = truths::parse_split, conflicts_with = "imagenet_labels")]
    pub split: Option<Split>,
    /// Classes of ImageNet's validation pictures: Caffe's val.txt, one wnid a line, or the devkit's ground truth
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub imagenet_labels: Option<PathBuf>,
    /// Leave out the pictures whose numbers it lists (the ILSVRC devkit's blacklist), as the Xception paper does (Chollet
    /// 2017, section 4.5.1)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub blacklist: Option<PathBuf>,
    /// How the figures are written to standard output
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
    /// Write a report to look at: figures, plots, mistakes and what the network looked at
    #[arg(long, value_name = "FILE.html", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// Write every figure to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,
    /// Write the table of classes to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub csv: Option<PathBuf>,
    /// Write what was said about each picture to this file (CSV)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub predictions: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    pub force: bool,
    /// Pictures that go through the network at once
    #[arg(long, value_name = "N", default_value = "8", value_parser = batch_size)]
    pub batch_size: usize,
    /// Refuse pictures of more pixels [default: 178,956,970]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_pixels: Option<u64>,
    #[command(flatten)]
    pub weights: WeightsArgs,
    #[command(flatten)]
    pub labels: LabelsArgs,
}

/// Classes whose matrix fits a terminal's line.
const MATRIX: usize = 16;

/// Pictures that a report shows: mistakes, and right answers.
const SHOWN: [usize; 2] = [24, 12];

pub fn evaluate(args: &EvaluateArgs) -> anyhow::Result<Outcome> {
    let files = Files::open(args)?;
    let read = [Some(&args.data), args.imagenet_labels.as_ref(), args.blacklist.as_ref()];
    if let Some(problem) = read.into_iter().flatten().find_map(|path| inputs::missing(path)) {
        bail!(problem);
    }
    let threads = weights::start_threads(&args.weights.compute)?;
    let classifier = weights::load_classifier(&args.weights, &args.labels, args.max_pixels)?;
    weights::need_classes(&args.weights.source.weights, &classifier.spec)?;
    let weights = truths::weight_file(&args.weights.source.weights);
    let truths = Truths::find(args, weights.as_deref(), &classifier, threads)?;

    let progress = Progress::new(truths.pictures.len());
    let options = EvaluateOptions {
        batch_size: args.batch_size,
        threads,
    };
    let judged = judge(&classifier, &truths.pictures, options, |pictures| {
        progress.advance(pictures);
    })?;
    drop(progress);
    for (_, problem) in &judged.unreadable {
        output::complain("error", problem);
    }

    let summary = Summary::new(&classifier, &truths, &judged);
    files.write(args, &classifier, &summary, &judged)?;
    let mut output = Output::stdout();
    match args.format {
        SummaryFormat::Text => write_text(&mut output, &summary)?,
        SummaryFormat::Json => write_json(&mut output, &summary)?,
        SummaryFormat::Csv => write_class_table(&mut output, &judged.evaluation)?,
    }
    output.finish()?;
    Ok(if truths.failed + judged.unreadable.len() > 0 {
        Outcome::Incomplete
    } else {
        Outcome::Complete
    })
}

/// What is printed, and what `--json` holds.
#[derive(Serialize)]
struct Summary<'a> {
    weights: &'a str,
    data: &'a str,
    preset: Preset,
    height: usize,
    width: usize,
    speed: Speed,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
}

impl<'a> Summary<'a> {
    fn new(classifier: &'a Classifier, truths: &'a Truths, judged: &'a Evaluated) -> Self {
        let input = classifier.spec.input;
        Self {
            weights: &classifier.spec.source,
            data: &truths.what,
            preset: judged.preset,
            height: input.height,
            width: input.width,
            speed: judged.speed,
            evaluation: &judged.evaluation,
        }
    }

    fn preset(&self) -> String {
        format!("{}, {} x {}", self.preset, self.height, self.width)
    }

    fn speed(&self) -> String {
        let Speed {
            seconds,
            pictures_per_second,
            wait_share,
        } = self.speed;
        let waited = 100.0 * wait_share;
        format!("{pictures_per_second:.1} pictures/s, {seconds:.1} s in all, {waited:.0} % of it waiting for files")
    }
}

/// Files that are asked for, refused before any work is done if they exist.
struct Files {
    report: Option<Target>,
    json: Option<Target>,
    csv: Option<Target>,
    predictions: Option<Target>,
}

impl Files {
    fn open(args: &EvaluateArgs) -> anyhow::Result<Self> {
        let target = |path: &Option<PathBuf>| {
            path.as_deref()
                .map(|path: &Path| Target::new(path, args.force))
                .transpose()
        };
        Ok(Self {
            report: target(&args.report)?,
            json: target(&args.json)?,
            csv: target(&args.csv)?,
            predictions: target(&args.predictions)?,
        })
    }

    fn write(
        &self,
        args: &EvaluateArgs,
        classifier: &Classifier,
        summary: &Summary<'_>,
        judged: &Evaluated,
    ) -> anyhow::Result<()> {
        if let Some(target) = &self.json {
            target.publish(|file| write_json(file, summary))?;
        }
        if let Some(target) = &self.csv {
            target.publish(|file| write_class_table(file, &judged.evaluation))?;
        }
        if let Some(target) = &self.predictions {
            target.publish(|file| write_predictions(file, &judged.predictions))?;
        }
        if let Some(target) = &self.report {
            let page = report::html(&ReportData {
                root: args.data.clone(),
                title: format!("Evaluation of {}", file_name(Path::new(&args.weights.source.weights))),
                facts: facts(args, summary),
                details: Vec::new(),
                epochs: Vec::new(),
                judged: summary.data.to_owned(),
                evaluation: judged.evaluation.clone(),
                examples: examples(classifier, &judged.predictions, &judged.evaluation, SHOWN)?,
            })?;
            target.publish(|file: &mut File| file.write_all(page.as_bytes()))?;
        }
        Ok(())
    }
}

/// A headline's worth of a path.
fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn facts(args: &EvaluateArgs, summary: &Summary<'_>) -> Vec<(String, String)> {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    vec![
        fact("Weights", args.weights.source.weights.display().to_string()),
        fact("Their origin", summary.weights.to_owned()),
        fact("Data", args.data.display().to_string()),
        fact("Preprocessing", summary.preset()),
        fact("Device", args.weights.compute.device.to_string()),
        fact("Speed", summary.speed()),
    ]
}

fn write_json(mut output: impl Write, summary: &Summary<'_>) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut output, summary)?;
    writeln!(output)
}

fn write_text(output: &mut impl Write, summary: &Summary<'_>) -> io::Result<()> {
    let evaluation = summary.evaluation;
    let percent = |part: f64| format!("{:.2} %", 100.0 * part);
    let mut line = |name: &str, value: &str| writeln!(output, "{name:<12}{value}");
    line(
        "pictures",
        &format!("{} ({})", evaluation.pictures, printable(summary.data)),
    )?;
    line("preset", &summary.preset())?;
    match &evaluation.task {
        Task::Single { top_1, top_5, .. } => {
            line("top-1", &percent(*top_1))?;
            if let Some(top_5) = top_5 {
                line("top-5", &percent(*top_5))?;
            }
        }
        Task::Multi {
            subset_accuracy,
            micro_average,
            mean_average_precision,
        } => {
            line("all right", &percent(*subset_accuracy))?;
            line("mAP", &percent(*mean_average_precision))?;
            line("micro F1", &percent(micro_average.f1))?;
        }
    }
    line("loss", &format!("{:.4}", evaluation.loss))?;
    line("ECE", &percent(evaluation.calibration.ece))?;
    line("speed", &summary.speed())?;
    writeln!(output)?;
    write_classes(output, evaluation)?;
    match &evaluation.task {
        Task::Single {
            confusion: Some(confusion),
            ..
        } if confusion.len() <= MATRIX => {
            writeln!(output)?;
            write_confusion(output, evaluation, confusion)
        }
        _ => Ok(()),
    }
}

/// How many pictures of a class (row) are called what (column); columns are the classes in the order of the rows.
fn write_confusion(output: &mut impl Write, evaluation: &Evaluation, confusion: &[Vec<usize>]) -> io::Result<()> {
    let classes = evaluation.classes.iter().map(|class| printable(&class.class));
    let names: Vec<String> = (1..)
        .zip(classes)
        .map(|(number, class)| format!("{number:>2} {class}"))
        .collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let largest = confusion.iter().flatten().max().copied().unwrap_or(0);
    let cell = largest.to_string().len().max(2) + 1;
    let line = |name: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|text| format!("{text:>cell$}")).collect();
        format!(
            "{name}{}{}",
            " ".repeat(width.saturating_sub(name.width())),
            cells.concat()
        )
    };
    let heads: Vec<String> = (1..=confusion.len()).map(|number| number.to_string()).collect();
    writeln!(output, "what pictures of a class (row) were taken for (column)")?;
    writeln!(output, "{}", line("", &heads))?;
    for (name, row) in names.iter().zip(confusion) {
        let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
        writeln!(output, "{}", line(name, &cells))?;
    }
    Ok(())
}

fn write_classes(output: &mut impl Write, evaluation: &Evaluation) -> io::Result<()> {
    const MEANS: [&str; 2] = ["mean over the classes", "mean by pictures"];
    let names: Vec<String> = evaluation.classes.iter().map(|class| printable(&class.class)).collect();
    let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let width = widest.max(MEANS[0].len());
    let padded = |name: &str| format!("{name}{}", " ".repeat(width.saturating_sub(name.width())));
    let row = |name: &str, score: Score, pictures: &str| {
        let Score { precision, recall, f1 } = score;
        let [precision, recall, f1] = [precision, recall, f1].map(|part| 100.0 * part);
        format!(
            "{}  {precision:9.1}  {recall:6.1}  {f1:5.1}  {pictures:>8}",
            padded(name)
        )
    };
    writeln!(output, "{}  precision  recall     F1  pictures", padded("class, %"))?;
    for (name, ClassScore { score, support, .. }) in names.iter().zip(&evaluation.classes) {
        writeln!(output, "{}", row(name, *score, &support.to_string()))?;
    }
    for (name, score) in MEANS
        .iter()
        .zip([evaluation.macro_average, evaluation.weighted_average])
    {
        writeln!(output, "{}", row(name, score, "").trim_end())?;
    }
    Ok(())
}
