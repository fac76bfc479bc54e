//! A run that begins.

use std::io::Write;
use std::path::Path;

use anyhow::bail;
use trainer::data::{DataOptions, DataReport, Dataset};
use trainer::{Recipe, Run, RunData, RunOptions, Start};
use xception_model::{Known, ModelSpec, Network, Reading};

use crate::args::{Size, TrainArgs};
use crate::commands::train::augmentation::Named;
use crate::commands::train::display::Display;
use crate::commands::train::folder;
use crate::commands::train::session::Session;
use crate::commands::train::settings::settings;
use crate::io::message::printable;
use crate::io::output::Output;
use crate::io::path;
use crate::weights::network::{self, Needed};

/// The command line of a new run.
pub struct NewRun<'a> {
    args: &'a TrainArgs,
    data: &'a Path,
    recipe: Recipe,
    data_options: DataOptions,
}

impl<'a> NewRun<'a> {
    pub fn new(args: &'a TrainArgs, data: &'a Path, threads: usize) -> anyhow::Result<Self> {
        if let Some(problem) = path::missing(data) {
            bail!(problem);
        }
        Ok(Self {
            args,
            data,
            recipe: recipe(args)?,
            data_options: args.layout.over(DataOptions {
                val_fraction: args.data.val_fraction,
                test_fraction: args.data.test_fraction,
                seed: args.recipe.seed,
                strict: args.data.strict,
                reading: args.reading.over(Reading::default()),
                threads,
                ..DataOptions::default()
            }),
        })
    }

    /// `--check`: prints the counts and problems of the data, and opens the weights, unless they would be downloaded.
    pub fn check(&self, display: &Display) -> anyhow::Result<()> {
        let (dataset, report) = self.open_data(display)?;
        let mut output = Output::stdout();
        writeln!(output, "{report}")?;
        output.finish()?;
        dataset.check_held_out(&self.data_options)?;
        match self.recipe.start {
            Start::Weights => {
                let (network, _) = self.untrained_network()?;
                Ok(Run::check_network(network.architecture())?)
            }
            Start::Random => Ok(()),
        }
    }

    /// `--preview`: writes a sheet of augmented pictures.
    pub fn preview(&self, path: &Path, display: &Display) -> anyhow::Result<()> {
        let named = self.named_augmentation()?;
        folder::check_png(path)?;
        let (dataset, _) = self.open_data(display)?;
        let size = match self.args.recipe.size {
            Some(size) => size.into(),
            None => self.untrained_network()?.1.input.height,
        };
        let preset = self.args.recipe.preset;
        let augmentation = named.unwrap_or(Named::BuiltIn(self.recipe.augmentation));
        let seed = self.args.recipe.seed;
        trainer::preview::contact_sheet(&dataset, &augmentation.resolve(size, preset), seed, path, false)?;
        let mut output = Output::stdout();
        writeln!(output, "preview  {}", path.display())?;
        output.finish()
    }

    /// The run in its folder, ready to be trained.
    pub fn begin(self, folder: &Path, session: &Session) -> anyhow::Result<Run> {
        let named = self.named_augmentation()?;
        let settings = settings(self.args, folder, session)?;
        // Faults of the data are found before weights are downloaded.
        let data = RunData::open(self.data, &self.data_options, &settings.observer)?;
        let (network, spec) = match self.recipe.start {
            Start::Weights => self.load_network()?,
            Start::Random => self.untrained_network()?,
        };
        if network.architecture().in_channels() == 1 {
            let weights = printable(&self.args.new.weights.to_string_lossy());
            session.display.print(&format!(
                "note: {weights} takes grey pictures, and the new network takes RGB: each colour has a third of the \
                 first kernel"
            ));
        }
        let (size, preset) = (spec.input.height, self.args.recipe.preset);
        let options = RunOptions {
            data: self.data.to_owned(),
            data_options: self.data_options,
            folder: folder.to_owned(),
            recipe: self.recipe,
            augmentation: named.map(|named| named.resolve(size, preset)),
            size: Some(size),
            preset,
            seed: self.args.recipe.seed,
            class_weights: self.args.recipe.class_weights,
            balanced: self.args.recipe.balanced,
        };
        let run = Run::with_data(&options, settings, data, (network, spec))?;
        session.display.print_last(&run.report().to_string());
        Ok(run)
    }

    fn open_data(&self, display: &Display) -> anyhow::Result<(Dataset, DataReport)> {
        let progress = |done, total| display.check(done, total);
        let opened = Dataset::open_watched(self.data, &self.data_options, &progress)?;
        display.clear();
        Ok(opened)
    }

    fn named_augmentation(&self) -> anyhow::Result<Option<Named>> {
        let name = self.args.recipe.augmentation.as_deref();
        name.map(Named::parse).transpose()
    }

    /// The network to start from.
    fn load_network(&self) -> anyhow::Result<(Network, ModelSpec)> {
        let args = self.args;
        let device = args.compute.device.open()?;
        network::load(&args.new.weights, &self.known(), Needed::Backbone, &args.cache, &device)
    }

    /// A network of the same architecture, whose weights are not used and not downloaded.
    fn untrained_network(&self) -> anyhow::Result<(Network, ModelSpec)> {
        let device = self.args.compute.device.open()?;
        match network::untrained(&self.args.new.weights, &self.known(), &device)? {
            Some(untrained) => Ok(untrained),
            None => self.load_network(),
        }
    }

    fn known(&self) -> Known {
        self.args.known.known(self.args.recipe.size.map(|side| Size {
            height: side.into(),
            width: side.into(),
        }))
    }
}

/// The recipe, with the changes of the command line.
fn recipe(args: &TrainArgs) -> anyhow::Result<Recipe> {
    let mut recipe = Recipe::load(&args.new.recipe)?;
    if let Some(last) = recipe.phases.last_mut() {
        if let Some(epochs) = args.new.epochs {
            last.epochs = epochs as usize;
        }
        if let Some(rate) = args.recipe.learning_rate {
            last.schedule.rate = rate;
        }
    }
    if let Some(batch_size) = args.recipe.batch_size {
        for phase in recipe.phases.iter_mut().filter(|phase| !phase.uses_features()) {
            phase.batch_size = batch_size as usize;
        }
    }
    Ok(recipe)
}
