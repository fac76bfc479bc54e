//! `xception explain`.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use trainer::explain::{Explainer, Method, overlay, view};
use trainer::plots;
use xception_model::picture::Preset;
use xception_model::{Classifier, ClassifyError, Outputs, Prediction};

use crate::args::{self, LabelsArgs, PictureArgs, WeightsArgs};
use crate::inputs::{self, Input};
use crate::output::{self, Outcome, Output, Target, printable};
use crate::pictures;
use crate::progress::Progress;
use crate::weights;

/// Show where in a picture the network sees a class
///
/// Writes a PNG for each picture: the picture, and beside it the same coloured by how much each place speaks for the class.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception explain cup.jpg                                  What speaks for the likeliest class: cup.grad-cam.png
  xception explain cup.jpg --class glass -o glass.png       What speaks for another
  xception explain photos/ --output seen/                   A folder of pictures into a folder
  xception explain cup.jpg --method layer-cam --stage block4_sepconv2_bn    Finer, from an earlier stage
  xception run --list-stages                                The stages' names")]
pub struct ExplainArgs {
    #[command(flatten)]
    pub pictures: PictureArgs,
    /// The class to look for, by its name, its wnid or its number from 0 [default: the likeliest of each picture]
    #[arg(short, long, value_name = "NAME|N")]
    pub class: Option<String>,
    /// Whose places are shown, by its Keras name [default: the last feature map]
    #[arg(long, value_name = "NAME")]
    pub stage: Option<String>,
    /// How gradients become colours; layer-cam also suits earlier stages
    #[arg(long, default_value_t = Method::GradCam, value_parser = PossibleValuesParser::new(Method::ALL.map(Method::name)).try_map(|name| name.parse::<Method>()))]
    pub method: Method,
    /// A .png file for one picture, or a folder [default: the picture's name with .grad-cam.png, in the current folder]
    #[arg(short, long, value_name = "FILE|FOLDER", value_hint = ValueHint::AnyPath)]
    pub output: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub weights: WeightsArgs,
    #[command(flatten)]
    pub labels: LabelsArgs,
}

/// Classes that are listed in an error.
const LISTED: usize = 12;

pub fn explain(args: &ExplainArgs) -> anyhow::Result<Outcome> {
    let (inputs, mut failed) = inputs::find(&args.pictures.paths)?;
    let targets = targets(args, &inputs)?;
    weights::start_threads(&args.weights.compute)?;
    let classifier = weights::load_classifier(&args.weights, &args.labels, args.pictures.max_pixels)?;
    if let Some(stage) = &args.stage {
        weights::need_stage(classifier.network(), stage)?;
    } else if classifier.network().graph().taps.feature_map.is_none() {
        bail!(
            "{}: this network has no last feature map that could be shown: name a stage with --stage; `xception run \
             --list-stages` lists them",
            args.weights.source.weights.display()
        );
    }
    let work = Work {
        explainer: Explainer::new(classifier.network(), classifier.spec.outputs),
        class: args
            .class
            .as_deref()
            .map(|class| find_class(class, &classifier))
            .transpose()?,
        preset: classifier.spec.input.preset.ok_or(ClassifyError::NoPreset)?,
        args,
        classifier: &classifier,
    };

    let mut output = Output::stdout();
    let progress = Progress::new(inputs.len());
    for (input, (path, target)) in inputs.iter().zip(targets) {
        match work.explain(input, &target) {
            Ok(said) => progress.aside(|| {
                let (name, path) = (printable(&input.name()), path.display().to_string());
                writeln!(output, "{name}  {}  {}", work.answer(&said), printable(&path))?;
                output.flush()
            })?,
            // What is wrong with the question is wrong with it for every picture.
            Err(Failure::Question(error)) => return Err(error),
            Err(Failure::Picture(error)) => {
                failed += 1;
                progress.complain("error", &output::sentence(&error));
            }
        }
        progress.advance(1);
    }
    drop(progress);
    output.finish()?;
    Ok(if failed > 0 {
        Outcome::Incomplete
    } else {
        Outcome::Complete
    })
}

/// Where each picture's explanation goes; what exists is refused before any work is done.
fn targets(args: &ExplainArgs, inputs: &[Input]) -> anyhow::Result<Vec<(PathBuf, Target)>> {
    let output = args.output.as_deref();
    let is_file = |path: &&Path| plots::is_png(path) && !path.is_dir();
    if let Some(file) = output.filter(is_file) {
        let [_] = inputs else {
            args::wrong_usage(format_args!(
                "{} is one file, and there are {} pictures: name a folder",
                file.display(),
                inputs.len()
            ));
        };
        return Ok(vec![(file.to_owned(), Target::new(file, args.force)?)]);
    }
    let folder = output.unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let mut taken = HashSet::new();
    inputs
        .iter()
        .map(|input| {
            let stem = match input {
                Input::File(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                Input::Stdin => "standard-input".to_owned(),
            };
            let name = format!("{stem}.{}.png", args.method);
            let path = folder.join(&name);
            if !taken.insert(name) {
                bail!(
                    "two pictures would be written to {}: explain them in two runs",
                    path.display()
                );
            }
            let target = Target::new(&path, args.force)?;
            Ok((path, target))
        })
        .collect()
}

/// What stays the same for all pictures.
struct Work<'a> {
    args: &'a ExplainArgs,
    classifier: &'a Classifier,
    explainer: Explainer,
    class: Option<usize>,
    preset: Preset,
}

/// Whether other pictures would fail alike.
enum Failure {
    Picture(anyhow::Error),
    Question(anyhow::Error),
}

impl Work<'_> {
    /// What the network says: how likely a class is, and which; or a number.
    fn answer(&self, said: &Prediction) -> String {
        match self.classifier.spec.outputs {
            Outputs::Value => said.probability.to_string(),
            _ => format!("{:.1} %  {}", 100.0 * said.probability, said.label.name),
        }
    }

    /// Writes one picture's explanation and says how likely its class is.
    fn explain(&self, input: &Input, target: &Target) -> Result<Prediction, Failure> {
        let picture = pictures::open(self.classifier, self.preset, input).map_err(Failure::Picture)?;
        let size = self.classifier.spec.input;
        let pixels = self.preset.apply(&picture, size.height, size.width);
        let pixels = pixels.map_err(|error| Failure::Picture(anyhow!(error).context(input.name())))?;
        let seen = view(&picture, &pixels, self.preset);
        drop(picture);
        self.draw(input, pixels, &seen)
            .map_err(Failure::Question)
            .and_then(|(said, png)| {
                let written = target.publish(|file| file.write_all(&png));
                written.map_err(Failure::Question)?;
                Ok(said)
            })
    }

    fn draw(
        &self,
        input: &Input,
        pixels: xception_model::picture::Pixels,
        seen: &image::RgbImage,
    ) -> anyhow::Result<(Prediction, Vec<u8>)> {
        let pictures = [pixels];
        let classes = classes(self.classifier);
        let said = self.classifier.classify(&pictures, classes)?.into_iter().flatten();
        let said = said
            .into_iter()
            .find(|said| self.class.is_none_or(|class| said.class == class));
        let said = said.context("the network has no classes")?;
        let stage = self.args.stage.as_deref().unwrap_or(self.explainer.last_layer());
        let images = self.classifier.batch(&pictures)?;
        let maps = self
            .explainer
            .heatmaps(images, &[said.class], stage, self.args.method)?;
        let map = maps.first().context("the network gave no map")?;
        if map.max() <= 0.0 {
            output::complain(
                "warning",
                &format!("{}: nothing in `{stage}` speaks for {}", input.name(), said.label.name),
            );
        }
        let first = match self.classifier.spec.outputs {
            Outputs::Value => said.probability.to_string(),
            _ => format!("{}, {:.1} %", said.label.name, 100.0 * said.probability),
        };
        let second = format!("{} of {stage}: {}", self.args.method, file_name(input));
        let sheet = plots::explanation(seen, &overlay(seen, map), [&first, &second])?;
        Ok((said, plots::png(&sheet)?))
    }
}

/// A picture's name without its folders, which a small picture has no room for.
fn file_name(input: &Input) -> String {
    match input {
        Input::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        Input::Stdin => "standard input".to_owned(),
    }
}

/// How many classes can be asked for; a number is one.
fn classes(classifier: &Classifier) -> usize {
    classifier.spec.classes().unwrap_or(1)
}

/// The class that a name, a wnid or a number stands for. Names win: a class may be called `7`.
fn find_class(text: &str, classifier: &Classifier) -> anyhow::Result<usize> {
    let spec = &classifier.spec;
    let classes = classes(classifier);
    let by_name = spec
        .labels
        .iter()
        .position(|label| label.name == text || label.id.as_deref() == Some(text));
    if let Some(class) = by_name {
        return Ok(class);
    }
    match text.parse::<usize>() {
        Ok(class) if class < classes => Ok(class),
        Ok(class) => bail!("there is no class {class}: the network has {classes}, counted from 0"),
        Err(_) if spec.labels.is_empty() => bail!(
            "the weights name no classes, so `{text}` can't be found: give its number, from 0 to {}",
            classes.saturating_sub(1)
        ),
        Err(_) => {
            let listed = spec.labels.iter().take(LISTED).map(|label| label.name.as_str());
            let listed = listed.collect::<Vec<_>>().join(", ");
            let more = spec.labels.len().saturating_sub(LISTED);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            bail!("there is no class `{text}`; the network knows {listed}{more}")
        }
    }
}
