//! Training learns, and a run that is stopped anywhere goes on as if it had not been.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{options, settings, settings_told, start, write_pictures};
use trainer::{Event, Recipe, Run, TrainError};
use xception_model::Variant;

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
            (row.seconds, row.wait_share) = (0.0, 0.0);
            format!("{row:?}")
        })
        .collect()
}

/// A whole run, never stopped.
fn reference(data: &Path, folder: &Path) {
    let run = Run::new(&options(data, folder, recipe()), settings(), start(settings().device())).unwrap();
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
        let mut run = Run::new(
            &options(&data, &folder, recipe()),
            settings(),
            start(settings().device()),
        )
        .unwrap();
        let mut pauses = 0;
        loop {
            // Told after `stop_every` steps, it stops at the next place where nothing is half done.
            let interrupter = burn::train::Interrupter::new();
            let (stop, seen) = (interrupter.clone(), Mutex::new(0));
            let mut settings = settings_told(Arc::new(move |event| {
                if let Event::Step { .. } = event {
                    let mut seen = seen.lock().unwrap();
                    *seen += 1;
                    if *seen == stop_every {
                        stop.stop(None);
                    }
                }
            }));
            settings.interrupter = interrupter;
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
        let device = settings.device().clone();
        Run::new(&options(data, folder, recipe()), settings, start(&device)).unwrap()
    };
    assert!(run.train(None).unwrap().complete);
}

#[test]
fn a_run_that_is_killed_twenty_times_reaches_the_same_numbers() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 8, 1);
    let whole = home.path().join("whole");
    reference(&data, &whole);

    let mut seed = 5;
    let mut kills = 0;
    let mut number = 0;
    // A run lasts some seconds: when one ends before its twentieth kill, the next begins.
    while kills < 20 {
        let folder = home.path().join(format!("killed-{number}"));
        number += 1;
        let mut killed = 0;
        loop {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "child", "--nocapture"])
                .env("RUN_DATA", &data)
                .env("RUN_FOLDER", &folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Not before there is something to resume, then at a random moment.
            let patience = 0.05 + 0.9 * common::noise(&mut seed);
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
    drop(
        Run::new(
            &options(&data, &folder, recipe()),
            settings(),
            start(settings().device()),
        )
        .unwrap(),
    );

    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env("RUN_DATA", &data)
        .env("RUN_FOLDER", &folder)
        .output()
        .unwrap();
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
    assert_eq!(left, ["step-0000000000"]);

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
    let mut first = settings();
    first.budget = Some(Duration::ZERO);
    let run = Run::new(&options(&data, &folder, recipe()), first, start(settings().device())).unwrap();
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
fn a_run_whose_pictures_changed_is_not_resumed() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pictures");
    write_pictures(&data, 6, 1);
    let folder = home.path().join("run");
    drop(
        Run::new(
            &options(&data, &folder, recipe()),
            settings(),
            start(settings().device()),
        )
        .unwrap(),
    );
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
    let _run = Run::new(
        &options(&data, &folder, recipe()),
        settings(),
        start(settings().device()),
    )
    .unwrap();
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
    let run = Run::new(&options(&data, &folder, recipe), settings(), start(settings().device())).unwrap();
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
    spec.network.variant = Variant::Torch;
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
