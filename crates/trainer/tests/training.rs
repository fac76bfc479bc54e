//! Training learns, and a run that is stopped anywhere goes on as if it had not been.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{options, settings, settings_told, start, write_pictures};
use trainer::{Event, Recipe, Run, RunSettings, TrainError};
use xception_model::Variant;
use xception_model::registry::{Card, Kind};

/// Burn's random numbers are the process's: trainings at the same time would draw each other's.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every feature that has state: a frozen head on features, then everything with augmentation, dropout, accumulation,
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

fn recipe() -> Recipe {
    Recipe::parse(RECIPE).unwrap()
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// `metrics.csv` without how long epochs took.
fn metrics(folder: &Path) -> Vec<String> {
    let rows = trainer::metrics::read_epochs(&folder.join("metrics.csv")).unwrap();
    rows.into_iter()
        .map(|mut row| {
            (row.seconds, row.wait_share, row.overhead_share) = (0.0, 0.0, 0.0);
            format!("{row:?}")
        })
        .collect()
}

/// A run that begins.
fn begin(data: &Path, folder: &Path, recipe: Recipe, settings: RunSettings) -> Run {
    let device = settings.device().clone();
    Run::new(&options(data, folder, recipe), settings, start(&device)).unwrap()
}

/// A whole run, never stopped.
fn reference(data: &Path, folder: &Path) {
    let run = begin(data, folder, recipe(), settings());
    assert!(run.train(None).unwrap().complete);
}

/// The names and bytes of `model.bpk`'s tensors. Burn numbers a network's parameters anew in every process, so files of the
/// same weights differ.
fn weights(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let (_, tensors) = xception_model::read_record(&folder.join("model.bpk")).unwrap();
    tensors
        .into_iter()
        .map(|tensor| {
            let (name, _, _, _, bytes) = tensor.into_parts().unwrap();
            (name, bytes.to_vec())
        })
        .collect()
}

fn assert_same(run: &Path, reference: &Path) {
    assert_eq!(read(run, "steps.csv"), read(reference, "steps.csv"));
    assert_eq!(metrics(run), metrics(reference));
    assert!(weights(run) == weights(reference));
}

/// The card is of the weights that lie beside it, and of how they were judged.
fn assert_card(folder: &Path, outcome: &trainer::Outcome) {
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

/// Settings of a run that is told to stop after so many steps.
fn stopping_after(steps: usize) -> RunSettings {
    let interrupter = burn::train::Interrupter::new();
    let (stop, seen) = (interrupter.clone(), Mutex::new(0));
    let mut settings = settings_told(Arc::new(move |event| {
        if let Event::Step { .. } = event {
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

/// Settings, and all that is told.
fn listening() -> (RunSettings, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let settings = settings_told(Arc::new(move |event| told.lock().unwrap().push(event)));
    (settings, events)
}

/// How many pictures went through the backbone for their features.
fn extracted(events: &Mutex<Vec<Event>>) -> usize {
    let events = events.lock().unwrap();
    events
        .iter()
        .filter(|event| matches!(event, Event::Features { .. }))
        .count()
}

#[test]
fn a_run_that_is_stopped_at_any_step_reaches_the_same_numbers() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let whole = home.path().join("whole");
    reference(&data, &whole);
    let steps = read(&whole, "steps.csv").lines().count() - 1;
    assert!(steps > 20, "{steps}");

    for stop_every in [1, 5] {
        let folder = home.path().join(format!("stopped-{stop_every}"));
        let mut run = begin(&data, &folder, recipe(), settings());
        let mut pauses = 0;
        loop {
            // Told after `stop_every` steps, it stops at the next place where nothing is half done.
            let settings = stopping_after(stop_every);
            drop(run);
            run = Run::resume(&folder, settings.clone()).unwrap();
            if run.train(None).unwrap().complete {
                break;
            }
            pauses += 1;
            run = Run::resume(&folder, common::settings()).unwrap();
        }
        assert!(pauses >= 4, "{pauses}");
        assert_same(&folder, &whole);
    }
}

/// Not a test: what the kill test runs in a process of its own.
#[test]
#[ignore = "run by the test that kills it"]
fn child() {
    let (Some(data), Some(folder)) = (std::env::var_os("RUN_DATA"), std::env::var_os("RUN_FOLDER")) else {
        return;
    };
    let (data, folder) = (Path::new(&data), Path::new(&folder));
    let mut settings = settings();
    // A checkpoint after every update: most kills come while one is written.
    settings.checkpoint_every = Duration::ZERO;
    let run = if folder.join("run.toml").exists() {
        Run::resume(folder, settings).unwrap()
    } else {
        // Of a process that was killed before there was a run.
        let _ = fs::remove_dir_all(folder);
        begin(data, folder, recipe(), settings)
    };
    assert!(run.train(None).unwrap().complete);
}

/// What makes [`child`] of this program.
fn as_child<'a>(command: &'a mut Command, data: &Path, folder: &Path) -> &'a mut Command {
    command
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env("RUN_DATA", data)
        .env("RUN_FOLDER", folder)
}

#[test]
fn a_run_that_is_killed_twenty_times_reaches_the_same_numbers() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let whole = home.path().join("whole");
    reference(&data, &whole);

    let child = |folder: &Path| {
        as_child(&mut Command::new(std::env::current_exe().unwrap()), &data, folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    // How long one lasts that is left alone.
    let start = Instant::now();
    let undisturbed = home.path().join("undisturbed");
    assert!(child(&undisturbed).wait().unwrap().success());
    assert_same(&undisturbed, &whole);
    let lasts = start.elapsed().as_secs_f64();

    let mut seed = 5;
    let mut kills = 0;
    let mut number = 0;
    // When one ends before the twentieth kill, the next begins.
    while kills < 20 {
        let folder = home.path().join(format!("killed-{number}"));
        number += 1;
        let mut killed = 0;
        loop {
            let mut child = child(&folder);
            // Not before there is something to resume, then at a random moment.
            while !folder.join("run.toml").exists() && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(5));
            }
            let patience = 0.4 * lasts * common::noise(&mut seed);
            std::thread::sleep(Duration::from_secs_f64(patience));
            match child.try_wait().unwrap() {
                Some(status) => {
                    assert!(status.success(), "run {number} failed after {killed} kills");
                    break;
                }
                None if killed < 12 => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    killed += 1;
                }
                None => {
                    assert!(
                        child.wait().unwrap().success(),
                        "run {number} failed after {killed} kills"
                    );
                    break;
                }
            }
        }
        kills += killed;
        assert_same(&folder, &whole);
        assert!(number < 20, "runs end before they are killed");
    }
}

/// A file that may not grow stands in for a disk without room: the system refuses the same write.
#[cfg(unix)]
#[test]
fn a_checkpoint_that_finds_no_room_stops_the_run_and_costs_nothing() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let whole = home.path().join("whole");
    reference(&data, &whole);
    let folder = home.path().join("full");
    drop(begin(&data, &folder, recipe(), settings()));

    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap());
    let output = as_child(&mut shell, &data, &folder).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("could not be written") && said.contains("make room"),
        "{said}"
    );
    let left: Vec<_> = fs::read_dir(folder.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["step-0000000000-phase-0"]);

    let run = Run::resume(&folder, settings()).unwrap();
    assert!(run.train(None).unwrap().complete);
    assert_same(&folder, &whole);
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let whole = home.path().join("whole");
    reference(&data, &whole);
    let folder = home.path().join("damaged");
    let run = begin(&data, &folder, recipe(), stopping_after(1));
    assert!(!run.train(None).unwrap().complete);

    let newest = || {
        let mut names: Vec<_> = fs::read_dir(folder.join("checkpoints"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        names.pop().unwrap()
    };
    let path = newest().join("model.bpk");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();

    let warnings = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&warnings);
    let settings = settings_told(Arc::new(move |event| {
        if let Event::Warning(text) = event {
            told.lock().unwrap().push(text);
        }
    }));
    let run = Run::resume(&folder, settings).unwrap();
    assert!(run.train(None).unwrap().complete);
    let warnings = warnings.lock().unwrap();
    assert!(
        warnings.len() == 1 && warnings[0].contains("model.bpk is not what was written"),
        "{warnings:?}"
    );
    assert_same(&folder, &whole);
}

#[test]
fn features_are_computed_once() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let whole = home.path().join("whole");
    reference(&data, &whole);
    let folder = home.path().join("stopped");
    // Stopped among the training pictures: 5 validation pictures are one batch, and 22 training pictures three.
    let (mut settings, events) = listening();
    let (stop, told) = (settings.interrupter.clone(), settings.observer.clone());
    settings.observer = Arc::new(move |event| {
        let middle = matches!(event, Event::Features { done: 8, total: 9.. });
        told(event);
        if middle {
            stop.stop(None);
        }
    });
    let run = begin(&data, &folder, recipe(), settings);
    assert!(!run.train(None).unwrap().complete);
    let before = extracted(&events);
    assert!(before >= 2, "{before}");

    // What was done is not done again.
    let (settings, events) = listening();
    let first = settings.observer.clone();
    let (stop, seen) = (settings.interrupter.clone(), Mutex::new(false));
    let mut settings = settings;
    settings.observer = Arc::new(move |event| {
        let is_step = matches!(event, Event::Step { .. });
        first(event);
        if is_step && !std::mem::replace(&mut *seen.lock().unwrap(), true) {
            stop.stop(None);
        }
    });
    assert!(!Run::resume(&folder, settings).unwrap().train(None).unwrap().complete);
    let after = extracted(&events);
    assert!(after >= 1, "{after}");

    // In the head's phase nothing is left to do.
    let (settings, events) = listening();
    assert!(Run::resume(&folder, settings).unwrap().train(None).unwrap().complete);
    assert_eq!(extracted(&events), 0);
    assert_same(&folder, &whole);
    let (settings, events) = listening();
    let run = begin(&data, &home.path().join("again"), recipe(), settings);
    run.train(None).unwrap();
    assert_eq!(extracted(&events), before + after, "each batch once");
}

fn probe() -> Recipe {
    let mut recipe = recipe();
    recipe.phases.truncate(1);
    recipe
}

/// Without a test split the validation pictures are judged in the end. That they are gone by then shows that the backbone
/// does not see them again.
#[test]
fn a_linear_probe_shows_no_picture_to_the_backbone_twice() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let folder = home.path().join("run");
    let pictures = data.clone();
    let settings = settings_told(Arc::new(move |event| {
        if let Event::Epoch(_) = event {
            let _ = fs::remove_dir_all(&pictures);
        }
    }));
    let mut options = options(&data, &folder, probe());
    options.data_options.test_fraction = 0.0;
    let device = settings.device().clone();
    let outcome = Run::new(&options, settings, start(&device))
        .unwrap()
        .train(None)
        .unwrap();
    let (split, evaluation) = outcome.evaluation.unwrap();
    assert_eq!(split, trainer::data::Split::Val);
    let best = outcome.progress.best.unwrap();
    assert!(
        (evaluation.loss - best.loss).abs() < 1e-5,
        "{} {}",
        evaluation.loss,
        best.loss
    );
    assert!((evaluation.accuracy() - best.accuracy).abs() < 1e-9);
}

/// Neither weights nor the statistics of the batch norms, whether the backbone is shown pictures once or anew in every epoch.
#[test]
fn a_head_s_phase_leaves_the_backbone_as_it_is() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let (network, spec) = start(settings().device());
    let begun = home.path().join("begun");
    fs::create_dir(&begun).unwrap();
    xception_model::save(&network, &spec, &begun.join("model.bpk"), false).unwrap();
    let backbone = |folder: &Path| {
        let mut tensors = weights(folder);
        tensors.retain(|(name, _)| !name.starts_with("head."));
        tensors
    };
    assert!(backbone(&begun).len() < weights(&begun).len());
    for inputs in [trainer::Inputs::Features, trainer::Inputs::Pictures] {
        let mut recipe = probe();
        recipe.phases[0].inputs = inputs;
        let folder = home.path().join(format!("{inputs:?}"));
        let from = (network.clone(), spec.clone());
        let run = Run::new(&options(&data, &folder, recipe), settings(), from).unwrap();
        assert!(run.train(None).unwrap().complete);
        assert!(backbone(&folder) == backbone(&begun), "{inputs:?}");
        assert!(weights(&folder) != weights(&begun));
    }
}

#[test]
fn a_run_that_is_stopped_has_a_network_to_use() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let folder = home.path().join("run");
    // In the second epoch: the first one's weights are the best.
    let run = begin(&data, &folder, recipe(), stopping_after(5));
    assert!(!run.train(None).unwrap().complete);
    let (network, spec) = xception_model::load(folder.join("model.bpk"), settings().device()).unwrap();
    assert_eq!(spec.labels.len(), 4);
    assert_eq!(network.architecture().outputs(), Some(4));
    let first = weights(&folder);
    assert!(Run::resume(&folder, settings()).unwrap().train(None).unwrap().complete);
    assert!(weights(&folder) != first);
}

#[test]
fn a_run_whose_time_is_up_ends_with_a_report_and_goes_on_with_more() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let whole = home.path().join("whole");
    reference(&data, &whole);
    let rows = trainer::metrics::read_epochs(&whole.join("metrics.csv")).unwrap();
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    for budget in [Duration::ZERO, Duration::from_secs_f64(seconds / 4.0)] {
        let folder = home.path().join(format!("{}", budget.as_nanos()));
        let mut settings = settings();
        settings.budget = Some(budget);
        let run = begin(&data, &folder, recipe(), settings.clone());
        let outcome = run.train(None).unwrap();
        assert!(outcome.complete && outcome.time_up && outcome.evaluation.is_some());
        assert!(outcome.progress.phase < 2);
        for file in ["model.bpk", "last.bpk", "report.html"] {
            assert!(folder.join(file).is_file(), "{file}");
        }
        assert_card(&folder, &outcome);
        let stopped = Run::resume(&folder, stopping_after(1)).unwrap().train(None).unwrap();
        assert!(!stopped.complete && !folder.join(trainer::CARD).exists());
        let outcome = Run::resume(&folder, common::settings()).unwrap().train(None).unwrap();
        assert!(outcome.complete && !outcome.time_up);
        assert_card(&folder, &outcome);
        assert_same(&folder, &whole);
    }
}

#[test]
fn a_run_needs_a_folder_of_its_own() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 6, 1);
    let refused = |folder: &Path| {
        let error = Run::new(
            &options(&data, folder, recipe()),
            settings(),
            start(settings().device()),
        );
        error.err().unwrap().to_string()
    };
    let used = home.path().join("used");
    fs::create_dir(&used).unwrap();
    fs::write(used.join("notes.txt"), "mine").unwrap();
    assert!(refused(&used).contains("is not empty"));
    assert_eq!(fs::read_dir(&used).unwrap().count(), 1, "nothing is left there");
    assert!(refused(&used.join("notes.txt")).contains("no folder"));
    for inside in [&data, &data.join("runs/new"), &data.join("disc/../runs")] {
        assert!(refused(inside).contains("lies in the data"), "{}", inside.display());
    }
    assert_eq!(fs::read_dir(&data).unwrap().count(), 4);
    // A folder with a similar name is another one, and one that is empty is free.
    let beside = home.path().join("pictures-run");
    fs::create_dir(&beside).unwrap();
    begin(&data, &beside, recipe(), settings());
}

/// Everything on pictures, without anything random but their order: 32 pictures, 4 a batch.
fn plain(batch_size: usize, accumulate: usize) -> Recipe {
    let mut recipe = recipe();
    recipe.phases.remove(0);
    (recipe.dropout, recipe.augmentation) = (0.0, trainer::augment::Level::None);
    let phase = &mut recipe.phases[0];
    phase.norms = trainer::Norms::Inference;
    (phase.batch_size, phase.accumulate, phase.epochs) = (batch_size, accumulate, 2);
    recipe
}

fn train_plain(data: &Path, folder: &Path, recipe: Recipe, settings: RunSettings) {
    let mut options = options(data, folder, recipe);
    (options.data_options.val_fraction, options.data_options.test_fraction) = (0.0, 0.0);
    let device = settings.device().clone();
    let run = Run::new(&options, settings, start(&device)).unwrap();
    assert!(run.train(None).unwrap().complete);
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let [parts, large] = ["parts", "large"].map(|name| home.path().join(name));
    train_plain(&data, &parts, plain(4, 2), settings());
    train_plain(&data, &large, plain(8, 1), settings());
    assert_eq!(read(&parts, "steps.csv").lines().count(), 1 + 16);
    assert_eq!(read(&large, "steps.csv").lines().count(), 1 + 8);
    let values = |folder: &Path| -> Vec<f32> {
        let bytes = weights(folder).into_iter().flat_map(|(_, bytes)| bytes);
        let bytes: Vec<u8> = bytes.collect();
        bytes
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect()
    };
    let (parts, large) = (values(&parts), values(&large));
    assert!(parts.len() > 1000);
    for (part, whole) in parts.iter().zip(&large) {
        assert!((part - whole).abs() <= 1e-5 * whole.abs().max(0.1), "{part} {whole}");
    }
}

/// Two devices that work on a batch each do what one does that works on both before it updates.
#[test]
fn two_devices_are_one_that_accumulates() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let [one, two] = ["one", "two"].map(|name| home.path().join(name));
    train_plain(&data, &one, plain(4, 2), settings());
    let mut both = settings();
    both.devices.push(both.devices[0].clone());
    train_plain(&data, &two, plain(4, 1), both.clone());
    assert_eq!(read(&two, "steps.csv"), read(&one, "steps.csv"));
    assert!(weights(&two) == weights(&one));

    let text = read(&two, "run.toml");
    assert!(
        text.contains("burn = \"0.22.1\"") && text.contains("gradient_checkpointing = false"),
        "{text}"
    );
    let error = Run::resume(&two, settings()).err().unwrap().to_string();
    assert!(
        error.contains("computes on 2 devices") && error.contains("one device is given"),
        "{error}"
    );
    assert!(Run::resume(&two, both).is_ok());
}

/// What is computed again for the backward pass is what was computed before.
#[test]
fn gradient_checkpointing_changes_no_number() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let whole = home.path().join("whole");
    reference(&data, &whole);
    let folder = home.path().join("again");
    let with = |mut settings: RunSettings| {
        settings.gradient_checkpointing = true;
        settings
    };
    let run = begin(&data, &folder, recipe(), with(stopping_after(14)));
    assert!(!run.train(None).unwrap().complete);
    assert!(read(&folder, "run.toml").contains("gradient_checkpointing = true"));
    assert!(
        Run::resume(&folder, with(settings()))
            .unwrap()
            .train(None)
            .unwrap()
            .complete
    );
    assert_same(&folder, &whole);
}

#[test]
fn several_labels_a_picture_are_learnt_judged_and_listed() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    write_pictures(&home.path().join("pictures"), 8, 1);
    // Discs have no label of their own, and every second of them none at all.
    let mut table = "path,labels\n".to_owned();
    for class in common::CLASSES {
        for number in 0..8 {
            let own = Some(class).filter(|class| *class != "disc");
            let even = Some("even").filter(|_| number % 2 == 0);
            let labels: Vec<&str> = own.into_iter().chain(even).collect();
            writeln!(table, "pictures/{class}/{number:03}.png,{}", labels.join(";")).unwrap();
        }
    }
    let data = home.path().join("pictures.csv");
    fs::write(&data, table).unwrap();
    let folder = home.path().join("run");
    let mut recipe = probe();
    (recipe.phases[0].epochs, recipe.phases[0].schedule.rate) = (30, 0.03);
    let run = begin(&data, &folder, recipe, settings());
    let dataset = run.dataset().clone();
    assert_eq!(dataset.classes, ["even", "horizontal", "square", "vertical"]);
    let outcome = run.train(None).unwrap();
    let (_, evaluation) = outcome.evaluation.as_ref().unwrap();
    assert!(matches!(evaluation.task, trainer::metrics::Task::Multi { .. }));
    let losses: Vec<f64> = outcome.progress.rows.iter().map(|row| row.train_loss).collect();
    assert!(losses.last() < losses.first(), "{losses:?}");
    assert_card(&folder, &outcome);
    assert!(folder.join("report.html").is_file() && !folder.join("confusion_matrix.png").exists());
    let (_, spec) = xception_model::load(folder.join("model.bpk"), settings().device()).unwrap();
    assert!(spec.is_multi_label());

    // The run's own table says the same of each picture, also of those without a label.
    let table = folder.join("data.csv");
    let (again, _) = trainer::data::Dataset::open(&table, &trainer::data::DataOptions::default()).unwrap();
    assert!(again.multi_label);
    let said = |dataset: &trainer::data::Dataset| -> Vec<_> {
        let of = |sample: &trainer::data::Sample| {
            let path = fs::canonicalize(&sample.path).unwrap();
            (path, sample.labels.clone(), sample.split)
        };
        let mut said: Vec<_> = dataset.samples.iter().map(of).collect();
        said.sort();
        said
    };
    assert_eq!(said(&again), said(&dataset));
}

#[test]
fn other_threads_are_told_of() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 6, 1);
    let folder = home.path().join("run");
    drop(begin(&data, &folder, recipe(), settings()));
    let warnings = || {
        let (settings, events) = listening();
        drop(Run::resume(&folder, settings).unwrap());
        let events = events.lock().unwrap();
        let texts: Vec<String> = events
            .iter()
            .filter_map(|event| match event {
                Event::Warning(text) => Some(text.clone()),
                _ => None,
            })
            .collect();
        texts
    };
    assert!(warnings().is_empty(), "{:?}", warnings());
    let text = read(&folder, "run.toml");
    let line = text.lines().find(|line| line.starts_with("threads = ")).unwrap();
    fs::write(folder.join("run.toml"), text.replace(line, "threads = 977")).unwrap();
    assert!(warnings()[0].contains("began with threads: 977"), "{:?}", warnings());
}

#[test]
fn a_phase_without_progress_ends_when_patience_does() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let mut recipe = plain(8, 1);
    let phase = &mut recipe.phases[0];
    // So small that no weight moves.
    phase.schedule.rate = 1e-30;
    (phase.epochs, phase.patience, phase.ema) = (10, Some(2), None);
    let run = begin(&data, &home.path().join("run"), recipe, settings());
    // The first is better than nothing, and two more are not better than the first.
    assert_eq!(run.train(None).unwrap().progress.rows.len(), 3);
}

#[test]
fn pictures_that_are_known_are_not_decoded_again_and_others_are() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 6, 1);
    let folder = home.path().join("run");
    drop(begin(&data, &folder, recipe(), settings()));
    let table = folder.join("checked.csv");
    let text = fs::read_to_string(&table).unwrap();
    assert_eq!(text.lines().count(), 1 + 24);
    // What the table says of a file is believed while its length and time are those.
    let line = text.lines().nth(1).unwrap();
    let cells: Vec<&str> = line.split(',').collect();
    let other = line.replace(cells[3], &"0".repeat(64));
    fs::write(&table, text.replace(line, &other)).unwrap();
    let error = Run::resume(&folder, settings()).err().unwrap().to_string();
    assert!(error.contains("are not those the run began with"), "{error}");
    fs::write(&table, &text).unwrap();
    drop(Run::resume(&folder, settings()).unwrap());

    // Another file of the same length at another time is another one.
    let path = data.join(cells[0]);
    let (old, length) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().len());
    fs::write(&path, vec![0; usize::try_from(length).unwrap()]).unwrap();
    assert!(Run::resume(&folder, settings()).is_err());
    // And the same content at another time is the same.
    fs::write(&path, old).unwrap();
    drop(Run::resume(&folder, settings()).unwrap());
    assert_ne!(fs::read_to_string(&table).unwrap(), text, "it is remembered as of now");
}

#[test]
fn a_run_whose_pictures_changed_is_not_resumed() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 6, 1);
    let folder = home.path().join("run");
    drop(begin(&data, &folder, recipe(), settings()));
    let error = Run::new(
        &options(&data, &folder, recipe()),
        settings(),
        start(settings().device()),
    );
    assert!(error.err().unwrap().to_string().contains("--resume"));

    fs::remove_file(data.join("disc").join("000.png")).unwrap();
    let error = Run::resume(&folder, settings()).err().unwrap().to_string();
    assert!(error.contains("are not those the run began with"), "{error}");
    let error = Run::resume(home.path(), settings()).err().unwrap().to_string();
    assert!(error.contains("run.toml"), "{error}");
}

#[test]
fn one_process_at_a_time_trains_in_a_folder() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 6, 1);
    let folder = home.path().join("run");
    let _run = begin(&data, &folder, recipe(), settings());
    let error = Run::resume(&folder, settings()).err().unwrap().to_string();
    assert!(error.contains("another process"), "{error}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_names_the_step() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 6, 1);
    let mut recipe = recipe();
    recipe.phases.remove(0);
    recipe.phases[0].schedule.rate = 1e30;
    recipe.phases[0].schedule.warm_up = 0.0;
    recipe.phases[0].clip_norm = None;
    let folder = home.path().join("run");
    let run = begin(&data, &folder, recipe, settings());
    let error = run.train(None).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("step") && text.contains("learning rate"), "{text}");
}

#[test]
fn a_toy_network_learns_to_tell_shapes_apart() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 60, 3);
    let mut recipe = Recipe::load("scratch").unwrap();
    recipe.dropout = 0.0;
    recipe.label_smoothing = 0.0;
    recipe.augmentation = trainer::augment::Level::None;
    let phase = &mut recipe.phases[0];
    phase.epochs = 25;
    phase.batch_size = 16;
    phase.schedule.rate = 5e-3;
    phase.schedule.warm_up = 1.0;
    phase.ema = Some(0.9);
    // Batch-norm averages that follow in some hundred steps, not in some thousand.
    let (_, mut spec) = start(settings().device());
    spec.network = common::toy().with_variant(Variant::Torch).into();
    let start = (spec.network.init(settings().device()).unwrap(), spec);
    let run = Run::new(&options(&data, &home.path().join("run"), recipe), settings(), start).unwrap();
    let outcome = run.train(None).unwrap();
    let (_, evaluation) = outcome.evaluation.unwrap();
    assert!(evaluation.accuracy() >= 0.99, "{}", evaluation.accuracy());
}

#[test]
fn one_batch_is_learnt_by_heart() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 2, 3);
    let mut recipe = Recipe::load("scratch").unwrap();
    recipe.dropout = 0.0;
    recipe.label_smoothing = 0.0;
    recipe.augmentation = trainer::augment::Level::None;
    let phase = &mut recipe.phases[0];
    phase.epochs = 150;
    phase.batch_size = 8;
    phase.schedule.rate = 1e-2;
    phase.schedule.warm_up = 0.0;
    let mut options = options(&data, &home.path().join("run"), recipe);
    (options.data_options.val_fraction, options.data_options.test_fraction) = (0.0, 0.0);
    let run = Run::new(&options, settings(), start(settings().device())).unwrap();
    let outcome = run.train(None).unwrap();
    let last = outcome.progress.rows.last().unwrap();
    assert!(last.train_loss < 1e-3, "{last:?}");
}
