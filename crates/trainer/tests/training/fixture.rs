//! What every test of a training needs: pictures in a folder of their own, a recipe, and ways to compare runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use trainer::{Activity, Event, Recipe, Run, RunSettings};
use xception_model::registry::{Card, Kind};

use crate::common::{observed_settings, options, settings, start, write_pictures};

/// Burn has one random generator per process, so that trainings at the same time would disturb each other.
static ALONE: Mutex<()> = Mutex::new(());

/// Pictures of four classes in a temporary folder. No other test trains while it lives.
pub struct Fixture {
    home: TempDir,
    /// The folder of the pictures.
    pub data: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Fixture {
    /// `count` pictures per class.
    pub fn new(count: usize) -> Self {
        Self::with_seed(count, 1)
    }

    /// `count` pictures per class, which the seed decides.
    pub fn with_seed(count: usize, seed: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("pictures");
        write_pictures(&data, count, seed);
        Self {
            home,
            data,
            _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// A path beside the pictures.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The temporary folder itself.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts a run on the pictures.
    pub fn begin(&self, folder: &Path, recipe: Recipe, settings: RunSettings) -> Run {
        begin(&self.data, folder, recipe, settings)
    }

    /// The folder of a whole run of [`recipe`], never stopped.
    pub fn reference(&self) -> PathBuf {
        let folder = self.path("whole");
        let run = self.begin(&folder, recipe(), settings());
        assert!(run.train(None).unwrap().complete);
        folder
    }
}

/// Every feature that has state: a head on kept features, then all layers with augmentation, dropout, accumulation,
/// clipping, layer decay and averaged weights.
const RECIPE: &str = r#"
name = "test"
about = "a bit of everything"
start = "weights"
dropout = 0.3
label_smoothing = 0.1
augmentation = "light"

[[phase]]
name = "head"
epochs = 3
trains = "head"
inputs = "features"
norms = "inference"
batch_size = 8
optimizer = { kind = "adamw", weight_decay = 0.01 }
schedule = { rate = 3e-3, shape = { kind = "cosine" } }

[[phase]]
name = "all"
epochs = 3
trains = "all"
norms = "train"
batch_size = 4
accumulate = 2
optimizer = { kind = "sgd", momentum = 0.9, weight_decay = 1e-4 }
schedule = { rate = 0.02, warm_up = 1.0, shape = { kind = "one-cycle" } }
layer_decay = 0.9
clip_norm = 1.0
ema = 0.9
"#;

/// The recipe of most tests.
pub fn recipe() -> Recipe {
    Recipe::parse(RECIPE).unwrap()
}

/// A recipe that trains the head alone.
pub fn probe() -> Recipe {
    let mut recipe = recipe();
    recipe.phases.truncate(1);
    recipe
}

/// A recipe of one phase that trains everything, with nothing random but the order of the pictures.
pub fn plain(batch_size: usize, accumulate: usize) -> Recipe {
    let mut recipe = recipe();
    recipe.phases.remove(0);
    (recipe.dropout, recipe.augmentation) = (0.0, trainer::augment::AugmentationLevel::None);
    let phase = &mut recipe.phases[0];
    phase.norms = trainer::Norms::Inference;
    (phase.batch_size, phase.accumulate, phase.epochs) = (batch_size, accumulate, 2);
    recipe
}

/// The names in a run's folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A text file of a run.
pub fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// `metrics.csv` without the times.
pub fn metrics(folder: &Path) -> Vec<String> {
    let rows = trainer::metrics::read_epochs(&folder.join("metrics.csv")).unwrap();
    rows.into_iter()
        .map(|mut row| {
            (row.seconds, row.wait_share, row.overhead_share) = (0.0, 0.0, 0.0);
            format!("{row:?}")
        })
        .collect()
}

/// Starts a run.
pub fn begin(data: &Path, folder: &Path, recipe: Recipe, settings: RunSettings) -> Run {
    let device = settings.device().clone();
    Run::new(&options(data, folder, recipe), settings, start(&device)).unwrap()
}

/// The names and bytes of `model.bpk`'s tensors. Burn numbers a network's parameters anew in every process, so files of
/// the same weights differ.
pub fn weights(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let (_, tensors) = xception_model::read_record(&folder.join("model.bpk")).unwrap();
    tensors
        .into_iter()
        .map(|tensor| {
            let (name, _, _, _, bytes) = tensor.into_parts().unwrap();
            (name, bytes.to_vec())
        })
        .collect()
}

/// Checks that two runs have the same steps, metrics and weights.
pub fn assert_same(run: &Path, reference: &Path) {
    assert_eq!(read(run, "steps.csv"), read(reference, "steps.csv"));
    assert_eq!(metrics(run), metrics(reference));
    assert!(weights(run) == weights(reference));
}

/// Checks that the card describes the weights beside it, and their evaluation.
pub fn assert_card(folder: &Path, outcome: &trainer::Outcome) {
    let card = Card::load(&folder.join(trainer::CARD)).unwrap();
    let (bytes, sha256) = files::sha256(&folder.join("model.bpk")).unwrap();
    let weights = card.weights(Kind::Full).unwrap();
    assert_eq!(weights.sha256.as_ref(), Some(&sha256));
    assert_eq!(weights.bytes, Some(bytes));
    let (split, evaluation) = outcome.evaluation.as_ref().unwrap();
    let metrics = card.metrics.as_ref().unwrap();
    assert_eq!(metrics.dataset, format!("{} split of the training data", split.name()));
    assert_eq!(metrics.top1.to_bits(), evaluation.accuracy().to_bits());
    assert_eq!(card.labels().len(), evaluation.classes.len());
}

/// Settings of a run that stops after so many steps.
pub fn stopping_after(steps: usize) -> RunSettings {
    let interrupter = burn::train::Interrupter::new();
    let (stop, seen) = (interrupter.clone(), Mutex::new(0));
    let mut settings = observed_settings(Arc::new(move |event| {
        let activity = Activity::RateSearch;
        if matches!(event, Event::Step { .. }) || matches!(event, Event::Work { activity: now, .. } if now == activity)
        {
            let mut seen = seen.lock().unwrap();
            *seen += 1;
            if *seen == steps {
                stop.stop(None);
            }
        }
    }));
    settings.interrupter = interrupter;
    settings
}

/// Settings, and all events of the run.
pub fn listening() -> (RunSettings, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let received = Arc::clone(&events);
    let settings = observed_settings(Arc::new(move |event| received.lock().unwrap().push(event)));
    (settings, events)
}

/// A whole run without validation and test split.
pub fn train_plain(data: &Path, folder: &Path, recipe: Recipe, settings: RunSettings) {
    let mut options = options(data, folder, recipe);
    (options.data_options.val_fraction, options.data_options.test_fraction) = (0.0, 0.0);
    let device = settings.device().clone();
    let run = Run::new(&options, settings, start(&device)).unwrap();
    assert!(run.train(None).unwrap().complete);
}
