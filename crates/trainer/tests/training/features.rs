//! The features of the frozen backbone are computed once.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use trainer::{Activity, Event, Run};

use crate::common::{observed_settings, options, settings, start};
use crate::fixture::{Fixture, assert_same, listening, probe, recipe, weights};

/// The number of batches that went through the backbone for their features.
fn extracted(events: &Mutex<Vec<Event>>) -> usize {
    let events = events.lock().unwrap();
    events
        .iter()
        .filter(|event| {
            matches!(
                event,
                Event::Work {
                    activity: Activity::Features(_),
                    ..
                }
            )
        })
        .count()
}

#[test]
fn features_are_computed_once() {
    let fixture = Fixture::new(8);
    let whole = fixture.reference();
    let folder = fixture.path("stopped");
    // Stopped among the training pictures: 5 validation pictures are one batch, 22 training pictures three.
    let (mut settings, events) = listening();
    let (stop, receive) = (settings.interrupter.clone(), settings.observer.clone());
    settings.observer = Arc::new(move |event| {
        let middle = matches!(
            event,
            Event::Work {
                activity: Activity::Features(_),
                done: 8,
                total: 9..
            }
        );
        receive(event);
        if middle {
            stop.stop(None);
        }
    });
    let run = fixture.begin(&folder, recipe(), settings);
    assert!(!run.train(None).unwrap().complete);
    let before = extracted(&events);
    assert!(before >= 2, "{before}");

    // Kept features are not computed again.
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

    // All features are kept.
    let (settings, events) = listening();
    assert!(Run::resume(&folder, settings).unwrap().train(None).unwrap().complete);
    assert_eq!(extracted(&events), 0);
    assert_same(&folder, &whole);
    let (settings, events) = listening();
    let run = fixture.begin(&fixture.path("again"), recipe(), settings);
    run.train(None).unwrap();
    assert_eq!(extracted(&events), before + after, "each batch once");
}

/// Without a test split the validation pictures are judged at the end. They are deleted by then, so the backbone cannot
/// see them again.
#[test]
fn a_linear_probe_shows_no_picture_to_the_backbone_twice() {
    let fixture = Fixture::new(8);
    let folder = fixture.path("run");
    let pictures = fixture.data.clone();
    let settings = observed_settings(Arc::new(move |event| {
        if let Event::Epoch { .. } = event {
            let _ = fs::remove_dir_all(&pictures);
        }
    }));
    let mut options = options(&fixture.data, &folder, probe());
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

/// Neither weights nor batch-norm statistics change, with kept features or with new pictures in every epoch.
#[test]
fn a_head_s_phase_leaves_the_backbone_as_it_is() {
    let fixture = Fixture::new(8);
    let (network, spec) = start(settings().device());
    let begun = fixture.path("begun");
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
        let folder = fixture.path(&format!("{inputs:?}"));
        let from = (network.clone(), spec.clone());
        let run = Run::new(&options(&fixture.data, &folder, recipe), settings(), from).unwrap();
        assert!(run.train(None).unwrap().complete);
        assert!(backbone(&folder) == backbone(&begun), "{inputs:?}");
        assert!(weights(&folder) != weights(&begun));
    }
}
