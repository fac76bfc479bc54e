//! A run that is stopped, killed or out of disk space continues to the same numbers.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use burn::train::Interrupter;
use trainer::data::Split;
use trainer::{Activity, Event, Recipe, Run, RunSettings};
use xception_model::Architecture;

use crate::common::{self, observed_settings, settings};
use crate::fixture::{Fixture, assert_card, assert_same, begin, names, probe, read, recipe, stopping_after, weights};

#[test]
fn a_run_that_is_stopped_at_any_step_reaches_the_same_numbers() {
    let fixture = Fixture::new(8);
    let whole = fixture.reference();
    let steps = read(&whole, "steps.csv").lines().count() - 1;
    assert!(steps > 20, "{steps}");

    for stop_every in [1, 5] {
        let folder = fixture.path(&format!("stopped-{stop_every}"));
        let mut run = fixture.begin(&folder, recipe(), settings());
        let mut pauses = 0;
        loop {
            // Asked to stop after `stop_every` steps, the run stops after the next update.
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

/// Stopped in every validation, of the last and of the averaged weights.
#[test]
fn a_run_that_is_stopped_while_it_validates_reaches_the_same_numbers() {
    let fixture = Fixture::new(8);
    let whole = fixture.reference();
    let folder = fixture.path("stopped");
    drop(fixture.begin(&folder, recipe(), settings()));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (mut stops, mut within) = (0, 0);
    loop {
        let settings = stopping_in_validation(&seen);
        let run = Run::resume(&folder, settings).unwrap();
        let pictures = run.dataset().count(Split::Train);
        let outcome = run.train(None).unwrap();
        if outcome.complete {
            break;
        }
        stops += 1;
        within += usize::from(outcome.progress.seen == pictures);
        assert!(stops < 40, "the run does not end");
    }
    // Behind all steps of the epoch, and before its validation was over.
    assert_eq!((stops, within), (9, 9));
    let seen = seen.lock().unwrap();
    for activity in [Activity::Validation, Activity::AverageValidation] {
        assert!(
            seen.iter().any(|(_, other)| *other == activity),
            "{activity:?}: {seen:?}"
        );
    }
    assert_same(&folder, &whole);
}

/// Settings of a run that is asked to stop at the first batch of a validation that has not been stopped yet.
fn stopping_in_validation(seen: &Arc<Mutex<Vec<(usize, Activity)>>>) -> RunSettings {
    let seen = Arc::clone(seen);
    let interrupter = Interrupter::new();
    let stop = interrupter.clone();
    let epoch = Mutex::new(0);
    let mut settings = observed_settings(Arc::new(move |event| match event {
        Event::Phase { number, done, .. } => *epoch.lock().unwrap() = 100 * number + done,
        Event::Epoch { .. } => *epoch.lock().unwrap() += 1,
        Event::Work {
            activity: activity @ (Activity::Validation | Activity::AverageValidation),
            ..
        } => {
            let place = (*epoch.lock().unwrap(), activity);
            let mut seen = seen.lock().unwrap();
            if !seen.contains(&place) {
                seen.push(place);
                stop.stop(Some("a test"));
            }
        }
        _ => {}
    }));
    settings.interrupter = interrupter;
    settings
}

#[test]
fn a_run_whose_beginning_is_frozen_reaches_the_same_numbers_after_stops() {
    let fixture = Fixture::new(8);
    let mut recipe = recipe();
    recipe.phases.remove(0);
    let phase = &mut recipe.phases[0];
    (phase.trains, phase.norms, phase.epochs) = (trainer::Trains::LastPercent(40), trainer::Norms::Inference, 2);
    let whole = fixture.path("whole");
    assert!(
        fixture
            .begin(&whole, recipe.clone(), settings())
            .train(None)
            .unwrap()
            .complete
    );
    let folder = fixture.path("stopped");
    let mut run = fixture.begin(&folder, recipe, stopping_after(1));
    let mut pauses = 0;
    while !run.train(None).unwrap().complete {
        pauses += 1;
        run = Run::resume(&folder, stopping_after(1)).unwrap();
    }
    assert!(pauses >= 4, "{pauses}");
    assert_same(&folder, &whole);
}

/// A run file of the time before recipes had `leave_out`: its network keeps all layers, although today's recipe of the
/// same name leaves one out.
#[test]
fn a_run_without_the_key_leave_out_continues_with_all_layers() {
    let fixture = Fixture::new(4);
    let mut recipe = Recipe::load("linear-probe").unwrap();
    assert_eq!(recipe.leave_out, 1);
    recipe.leave_out = 0;
    recipe.phases[0].epochs = 3;
    let whole = fixture.path("whole");
    assert!(
        fixture
            .begin(&whole, recipe.clone(), settings())
            .train(None)
            .unwrap()
            .complete
    );
    let folder = fixture.path("stopped");
    let outcome = fixture.begin(&folder, recipe, stopping_after(1)).train(None).unwrap();
    assert!(!outcome.complete);
    assert!(!read(&folder, "run.toml").contains("leave_out"));

    let run = Run::resume(&folder, settings()).unwrap();
    assert_eq!(run.file().recipe.leave_out, 0);
    let outcome = run.train(None).unwrap();
    assert!(outcome.complete);
    assert_eq!(outcome.model.embedding_len(), Ok(48));
    assert_same(&folder, &whole);
}

/// A run file that lists all layers of its Xception, as every run of a recipe with `leave_out` once did.
#[test]
fn a_run_whose_network_is_a_list_of_layers_reaches_the_same_numbers() {
    let fixture = Fixture::new(4);
    let recipe = Recipe {
        leave_out: 1,
        ..recipe()
    };
    let whole = fixture.path("whole");
    assert!(
        fixture
            .begin(&whole, recipe.clone(), settings())
            .train(None)
            .unwrap()
            .complete
    );
    let folder = fixture.path("stopped");
    let run = fixture.begin(&folder, recipe, stopping_after(1));
    let graph = Architecture::Graph(run.file().model.network.graph());
    assert!(!run.train(None).unwrap().complete);
    let mut file: toml::Table = read(&folder, "run.toml").parse().unwrap();
    file["model"]["network"] = toml::Value::try_from(&graph).unwrap();
    fs::write(folder.join("run.toml"), file.to_string()).unwrap();

    let run = Run::resume(&folder, settings()).unwrap();
    assert_eq!(run.file().model.network, graph);
    assert!(run.train(None).unwrap().complete);
    assert_same(&folder, &whole);
}

/// Not a test: the kill test runs this in a process of its own.
#[test]
#[ignore = "run by the test that kills it"]
fn child() {
    let (Some(data), Some(folder)) = (std::env::var_os("RUN_DATA"), std::env::var_os("RUN_FOLDER")) else {
        return;
    };
    let (data, folder) = (Path::new(&data), Path::new(&folder));
    let mut settings = settings();
    // Killed after the run was finished, while it removed its checkpoints.
    if Run::is_finished(folder) {
        Run::remove_leftovers(folder).unwrap();
        return;
    }
    // A checkpoint after every update, so that most kills happen while one is written.
    settings.checkpoint_every = Duration::ZERO;
    let run = if folder.join("run.toml").exists() {
        Run::resume(folder, settings).unwrap()
    } else {
        // Left by a process that was killed before it had written `run.toml`.
        let _ = fs::remove_dir_all(folder);
        begin(data, folder, recipe(), settings)
    };
    assert!(run.train(None).unwrap().complete);
}

/// Makes a command that starts this program run [`child`].
fn as_child<'a>(command: &'a mut Command, data: &Path, folder: &Path) -> &'a mut Command {
    command
        .args(["--ignored", "--exact", "stopping::child", "--nocapture"])
        .env("RUN_DATA", data)
        .env("RUN_FOLDER", folder)
}

#[test]
fn a_run_that_is_killed_twenty_times_reaches_the_same_numbers() {
    let fixture = Fixture::new(8);
    let whole = fixture.reference();

    let child = |folder: &Path| {
        as_child(
            &mut Command::new(std::env::current_exe().unwrap()),
            &fixture.data,
            folder,
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
    };
    // The time of a run that is not killed.
    let start = Instant::now();
    let undisturbed = fixture.path("undisturbed");
    assert!(child(&undisturbed).wait().unwrap().success());
    assert_same(&undisturbed, &whole);
    let lasts = start.elapsed().as_secs_f64();

    let mut seed = 5;
    let mut kills = 0;
    let mut number = 0;
    // When a run ends before the twentieth kill, the next one starts.
    while kills < 20 {
        let folder = fixture.path(&format!("killed-{number}"));
        number += 1;
        let mut killed = 0;
        loop {
            let mut child = child(&folder);
            // At a random moment after there is something to resume.
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
        assert_eq!(names(&folder), names(&undisturbed));
        assert!(number < 20, "runs end before they are killed");
    }
}

/// What is left of the checkpoints after each step of their removal.
#[test]
fn a_removal_of_checkpoints_that_was_killed_is_completed() {
    let fixture = Fixture::new(8);
    let folder = fixture.path("run");
    let run = fixture.begin(&folder, probe(), settings());
    assert!(run.train(None).unwrap().complete);
    let whole = names(&folder);
    assert!(!folder.join("checkpoints").exists());

    for left in [".discarded/step-0000000010-phase-0", "features", "pictures"] {
        fs::create_dir_all(folder.join(left)).unwrap();
        fs::write(folder.join("last.bpk"), "").unwrap();
        Run::remove_leftovers(&folder).unwrap();
        assert_eq!(names(&folder), whole, "{left}");
    }
    // A run that can be continued loses nothing.
    fs::create_dir(folder.join("checkpoints")).unwrap();
    Run::remove_leftovers(&folder).unwrap();
    assert!(folder.join("checkpoints").exists());
}

/// A limit on the size of files stands in for a full disk: the system refuses the same write.
#[cfg(unix)]
#[test]
fn a_checkpoint_that_finds_no_room_stops_the_run_and_costs_nothing() {
    let fixture = Fixture::new(8);
    let whole = fixture.reference();
    let folder = fixture.path("full");
    drop(fixture.begin(&folder, recipe(), settings()));

    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap());
    let output = as_child(&mut shell, &fixture.data, &folder).output().unwrap();
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

    // A run that cannot even begin leaves nothing, and begins again in the same folder.
    let new = fixture.path("new");
    let output = shell.env("RUN_FOLDER", &new).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("the first checkpoint could not be written"),
        "{said}"
    );
    assert!(said.contains("make room, then begin again") && !new.exists(), "{said}");
    // So does one that was killed between its first files.
    fs::create_dir_all(new.join("checkpoints/unfinished")).unwrap();
    fs::write(new.join(".lock"), "").unwrap();
    fs::write(new.join("data.csv"), "path,label\n").unwrap();
    drop(fixture.begin(&new, recipe(), settings()));
    assert!(Run::resume(&new, settings()).is_ok());
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let fixture = Fixture::new(8);
    let whole = fixture.reference();
    let folder = fixture.path("damaged");
    let run = fixture.begin(&folder, recipe(), stopping_after(1));
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
    let received = Arc::clone(&warnings);
    let settings = observed_settings(Arc::new(move |event| {
        if let Event::Warning(text) = event {
            received.lock().unwrap().push(text);
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
fn a_run_that_is_stopped_has_a_network_to_use() {
    let fixture = Fixture::new(8);
    let folder = fixture.path("run");
    // Stopped in the second epoch: the weights of the first epoch are the best.
    let run = fixture.begin(&folder, recipe(), stopping_after(5));
    assert!(!run.train(None).unwrap().complete);
    let (network, spec) = xception_model::load(folder.join("model.bpk"), settings().device()).unwrap();
    assert_eq!(spec.labels.len(), 4);
    assert_eq!(network.architecture().outputs(), Some(4));
    let first = weights(&folder);
    assert!(Run::resume(&folder, settings()).unwrap().train(None).unwrap().complete);
    assert!(weights(&folder) != first);
}

#[test]
fn a_run_whose_time_is_up_ends_with_a_report_and_continues_with_more_time() {
    let fixture = Fixture::new(8);
    let whole = fixture.reference();
    let rows = trainer::metrics::read_epochs(&whole.join("metrics.csv")).unwrap();
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    for budget in [Duration::ZERO, Duration::from_secs_f64(seconds / 4.0)] {
        let folder = fixture.path(&format!("{}", budget.as_nanos()));
        let mut settings = settings();
        settings.budget = Some(budget);
        let run = fixture.begin(&folder, recipe(), settings.clone());
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
