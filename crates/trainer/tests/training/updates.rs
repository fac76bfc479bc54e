//! Updates: accumulation, several devices, gradient checkpointing, patience, a loss that is not a number.

use std::path::Path;

use trainer::{Run, RunSettings, TrainError};

use crate::common::settings;
use crate::fixture::{Fixture, assert_same, plain, read, recipe, stopping_after, train_plain, weights};

#[test]
fn accumulated_batches_are_one_large_batch() {
    let fixture = Fixture::new(8);
    let [parts, large] = ["parts", "large"].map(|name| fixture.path(name));
    train_plain(&fixture.data, &parts, plain(4, 2), settings());
    train_plain(&fixture.data, &large, plain(8, 1), settings());
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

/// Two devices with one batch each compute the same as one device that accumulates two batches.
#[test]
fn two_devices_are_one_that_accumulates() {
    let fixture = Fixture::new(8);
    let [one, two] = ["one", "two"].map(|name| fixture.path(name));
    train_plain(&fixture.data, &one, plain(4, 2), settings());
    let mut both = settings();
    both.keep_checkpoints = true;
    both.devices.push(both.devices[0].clone());
    both.keep_checkpoints = true;
    train_plain(&fixture.data, &two, plain(4, 1), both.clone());
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

/// Recomputed activations equal the kept ones.
#[test]
fn gradient_checkpointing_changes_no_number() {
    let fixture = Fixture::new(8);
    let whole = fixture.reference();
    let folder = fixture.path("again");
    let with = |mut settings: RunSettings| {
        settings.gradient_checkpointing = true;
        settings
    };
    let run = fixture.begin(&folder, recipe(), with(stopping_after(14)));
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
fn a_phase_without_progress_ends_when_patience_does() {
    let fixture = Fixture::new(8);
    let mut recipe = plain(8, 1);
    let phase = &mut recipe.phases[0];
    // So small that no weight moves.
    phase.schedule.rate = 1e-30;
    (phase.epochs, phase.patience, phase.ema) = (10, Some(2), None);
    let run = fixture.begin(&fixture.path("run"), recipe, settings());
    // The first epoch improves on nothing, two more do not improve on the first.
    assert_eq!(run.train(None).unwrap().progress.rows.len(), 3);
}

#[test]
fn a_loss_that_is_not_a_number_stops_the_run_and_names_the_step() {
    let fixture = Fixture::new(6);
    let mut recipe = recipe();
    recipe.phases.remove(0);
    recipe.phases[0].schedule.rate = 1e30;
    recipe.phases[0].schedule.warm_up = 0.0;
    recipe.phases[0].clip_norm = None;
    let folder = fixture.path("run");
    let run = fixture.begin(&folder, recipe, settings());
    let error = run.train(None).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("step") && text.contains("learning rate"), "{text}");
}
