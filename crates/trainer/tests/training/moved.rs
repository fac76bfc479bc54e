//! A run whose pictures were moved, copied or changed, or that another version began.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use trainer::data::{ContentHash, Sample};
use trainer::{Event, FinderOptions, Run, RunPictures, TrainError};

use crate::common::{CLASSES, picture};
use crate::fixture::{Fixture, assert_same, listening, plain, probe, read, stopping_after};

fn warnings(events: &Arc<Mutex<Vec<Event>>>) -> Vec<String> {
    let events = events.lock().unwrap();
    let warning = |event: &Event| match event {
        Event::Warning(text) => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(warning).collect()
}

/// Why a run does not continue.
#[track_caller]
fn refused(folder: &Path, data: Option<&Path>) -> String {
    let (settings, _) = listening();
    match Run::resume_with(folder, settings, data) {
        Ok(_) => panic!("it continues"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_run_continues_where_its_pictures_lie_now() {
    let fixture = Fixture::new(6);
    let reference = fixture.reference();
    let folder = fixture.path("run");
    let run = fixture.begin(&folder, crate::fixture::recipe(), stopping_after(4));
    assert!(!run.train(None).unwrap().complete);
    let moved = fixture.path("elsewhere");
    fs::rename(&fixture.data, &moved).unwrap();
    let sentence = refused(&folder, None);
    assert!(
        sentence.contains("its pictures are not at") && sentence.ends_with("name their new place with --data"),
        "{sentence}"
    );
    let (mut settings, _) = listening();
    settings.keep_checkpoints = true;
    let run = Run::resume_with(&folder, settings, Some(&moved)).unwrap();
    assert!(run.train(None).unwrap().complete);
    assert_same(&folder, &reference);
    // The new place is remembered.
    let (settings, _) = listening();
    Run::resume(&folder, settings).unwrap();
    assert!(read(&folder, "data.csv").contains(&moved.join("disc/000.png").display().to_string()));
}

#[test]
fn changed_pictures_are_named() {
    let fixture = Fixture::new(6);
    let folder = fixture.path("run");
    drop(fixture.begin(&folder, probe(), stopping_after(1)));
    let data = &fixture.data;
    picture("disc", &mut 99).save(data.join("disc/000.png")).unwrap();
    fs::remove_file(data.join("square/001.png")).unwrap();
    picture("disc", &mut 98).save(data.join("disc/new.png")).unwrap();
    fs::rename(data.join("vertical/002.png"), data.join("horizontal/moved.png")).unwrap();
    let sentence = refused(&folder, None);
    assert!(
        sentence.contains(
            "1 changed (disc/000.png), 2 missing (square/001.png, vertical/002.png), 2 new (disc/new.png, \
             horizontal/moved.png)"
        ),
        "{sentence}"
    );
    // Old runs remember contents in another table.
    let lines = read(&folder, "data.csv");
    let old: Vec<String> = lines
        .lines()
        .map(|line| line.rsplitn(4, ',').nth(3).unwrap().to_owned())
        .collect();
    assert_eq!(old[0], "path,label,split");
    fs::write(folder.join("data.csv"), old.join("\n")).unwrap();
    assert_eq!(refused(&folder, None), sentence);
}

#[test]
fn pictures_are_known_by_their_content() {
    let fixture = Fixture::new(6);
    let folder = fixture.path("run");
    let run = fixture.begin(&folder, probe(), stopping_after(1));
    let pictures = RunPictures::read(&folder).unwrap();
    let other = ContentHash::of(b"another picture");
    for sample in &run.dataset().samples {
        assert_eq!(pictures.split(sample), Some(sample.split));
        let copy = Sample {
            name: "copy.png".to_owned(),
            pixels: other,
            ..sample.clone()
        };
        assert_eq!(pictures.split(&copy), Some(sample.split));
        let saved_again = Sample {
            content: other,
            ..sample.clone()
        };
        assert_eq!(pictures.split(&saved_again), Some(sample.split));
        let changed = Sample {
            content: other,
            pixels: other,
            ..sample.clone()
        };
        assert_eq!(pictures.split(&changed), None);
    }
    assert_eq!(run.dataset().classes, CLASSES);
}

#[test]
fn another_version_is_told() {
    let fixture = Fixture::new(6);
    let folder = fixture.path("run");
    drop(fixture.begin(&folder, probe(), stopping_after(1)));
    let text = read(&folder, "run.toml");
    let version = env!("CARGO_PKG_VERSION");
    let other = text.replace(&format!("version = \"{version}\""), "version = \"99.1.0\"");
    fs::write(folder.join("run.toml"), &other).unwrap();
    let (settings, events) = listening();
    drop(Run::resume(&folder, settings).unwrap());
    let said = warnings(&events);
    assert!(
        said.iter()
            .any(|text| text.starts_with("version 99.1.0 of this program began the run, and ")),
        "{said:?}"
    );
    fs::write(folder.join("run.toml"), format!("invented = 1\n{other}")).unwrap();
    let sentence = refused(&folder, None);
    assert!(
        sentence.contains("unknown field `invented`")
            && sentence.ends_with(&format!(
                "version 99.1.0 wrote it, and this is {version}: use that version for this run"
            )),
        "{sentence}"
    );
}

/// A part of the curve suggests nothing.
#[test]
fn a_stopped_search_suggests_no_rate() {
    let fixture = Fixture::new(6);
    let run = fixture.begin(&fixture.path("run"), plain(4, 1), stopping_after(5));
    let plot = fixture.path("curve.png");
    let stopped = run.find_rate(FinderOptions::default(), &plot);
    assert!(
        matches!(&stopped, Err(TrainError::Stopped(why)) if why.contains("interrupted")),
        "{stopped:?}"
    );
    assert!(!plot.exists());
}
