//! The folder of a run: who may use it, and what it says about the pictures and the machine.

use std::fs;
use std::path::Path;

use trainer::{Event, Run};

use crate::common::{options, settings, start};
use crate::fixture::{Fixture, listening, read, recipe};

#[test]
fn a_run_needs_a_folder_of_its_own() {
    let fixture = Fixture::new(6);
    let refused = |folder: &Path| {
        let error = Run::new(
            &options(&fixture.data, folder, recipe()),
            settings(),
            start(settings().device()),
        );
        error.err().unwrap().to_string()
    };
    let used = fixture.path("used");
    fs::create_dir(&used).unwrap();
    fs::write(used.join("notes.txt"), "mine").unwrap();
    assert!(refused(&used).contains("is not empty"));
    assert_eq!(fs::read_dir(&used).unwrap().count(), 1, "nothing is left there");
    assert!(refused(&used.join("notes.txt")).contains("no folder"));
    for inside in [
        &fixture.data,
        &fixture.data.join("runs/new"),
        &fixture.data.join("disc/../runs"),
    ] {
        assert!(refused(inside).contains("lies in the data"), "{}", inside.display());
    }
    assert_eq!(fs::read_dir(&fixture.data).unwrap().count(), 4);
    // A folder with a similar name is another folder, and an empty one can be used.
    let beside = fixture.path("pictures-run");
    fs::create_dir(&beside).unwrap();
    fixture.begin(&beside, recipe(), settings());
}

#[test]
fn another_number_of_threads_is_a_warning() {
    let fixture = Fixture::new(6);
    let folder = fixture.path("run");
    drop(fixture.begin(&folder, recipe(), settings()));
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
fn only_changed_pictures_are_decoded_again() {
    let fixture = Fixture::new(6);
    let folder = fixture.path("run");
    drop(fixture.begin(&folder, recipe(), settings()));
    let table = folder.join("checked.csv");
    let text = fs::read_to_string(&table).unwrap();
    assert_eq!(text.lines().count(), 1 + 24);
    // The table counts for a file as long as the length and time of the file are the same.
    let line = text.lines().nth(1).unwrap();
    let cells: Vec<&str> = line.split(',').collect();
    let other = line.replace(cells[3], &"0".repeat(64));
    fs::write(&table, text.replace(line, &other)).unwrap();
    let error = Run::resume(&folder, settings()).err().unwrap().to_string();
    assert!(error.contains("are not those the run began with"), "{error}");
    fs::write(&table, &text).unwrap();
    drop(Run::resume(&folder, settings()).unwrap());

    // A file of the same length with another time is decoded.
    let path = fixture.data.join(cells[0]);
    let (old, length) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().len());
    fs::write(&path, vec![0; usize::try_from(length).unwrap()]).unwrap();
    assert!(Run::resume(&folder, settings()).is_err());
    // The same content with another time is the same picture.
    fs::write(&path, old).unwrap();
    drop(Run::resume(&folder, settings()).unwrap());
    assert_ne!(fs::read_to_string(&table).unwrap(), text, "the table has the new time");
}

#[test]
fn a_run_whose_pictures_changed_is_not_resumed() {
    let fixture = Fixture::new(6);
    let folder = fixture.path("run");
    drop(fixture.begin(&folder, recipe(), settings()));
    let error = Run::new(
        &options(&fixture.data, &folder, recipe()),
        settings(),
        start(settings().device()),
    );
    assert!(error.err().unwrap().to_string().contains("--resume"));

    fs::remove_file(fixture.data.join("disc").join("000.png")).unwrap();
    let error = Run::resume(&folder, settings()).err().unwrap().to_string();
    assert!(error.contains("are not those the run began with"), "{error}");
    let error = Run::resume(fixture.home(), settings()).err().unwrap().to_string();
    assert!(error.contains("run.toml"), "{error}");
}

#[test]
fn one_process_at_a_time_trains_in_a_folder() {
    let fixture = Fixture::new(6);
    let folder = fixture.path("run");
    let _run = fixture.begin(&folder, recipe(), settings());
    let error = Run::resume(&folder, settings()).err().unwrap().to_string();
    assert!(error.contains("another process"), "{error}");
}
