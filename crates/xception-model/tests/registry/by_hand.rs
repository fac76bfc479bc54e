//! Offline use, and files that a person put into their place.

use std::fs;

use sha2::{Digest, Sha256};
use xception_model::registry::{Cache, Kind, RegistryError};

use crate::desk::{Desk, FILE, SIZE, content, has, hex};
use crate::server::Server;

#[test]
fn offline_says_what_to_do() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let desk = Desk::new(&[server.url(), "https://mirror.test/b.h5".to_owned()], "");
    let offline = desk.options().offline(true);
    let weights = || desk.cache.weights(&desk.card, Kind::Full, &offline);
    assert_eq!(
        weights().unwrap_err().to_string(),
        format!(
            "cannot get {FILE} of toy: the network is off limits; fetch {} or https://mirror.test/b.h5 by other means, \
             then save the file as {}, or name one with --weights FILE",
            server.url(),
            desk.path().display()
        )
    );
    assert!(!desk.cache.dir().exists(), "nothing was created for nothing");

    fs::create_dir_all(desk.path().parent().unwrap()).unwrap();
    fs::write(desk.path(), b"something else").unwrap();
    let message = weights().unwrap_err().to_string();
    has(
        &message,
        &[
            &format!("{} is wrong (its SHA-256 is", desk.path().display()),
            "off limits",
        ],
    );
    assert!(desk.path().exists(), "the user's file is not ours to remove");

    fs::write(desk.path(), content()).unwrap();
    assert_eq!(weights().unwrap(), desk.path());
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn without_a_url_the_card_says_how() {
    let sha256 = hex(&Sha256::digest(content()));
    let desk = Desk::with(&format!("sha256 = \"{sha256}\"\nobtain = \"ask your neighbour\""));
    assert_eq!(
        desk.fetch_badly(),
        format!(
            "cannot get {FILE} of toy: no URL serves it; ask your neighbour, then save the file as {}, \
             or name one with --weights FILE",
            desk.path().display()
        )
    );
}

#[test]
fn a_damaged_file_is_fetched_anew() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let desk = Desk::new(&[server.url()], "");
    desk.fetch_well();
    let mut damaged = content();
    damaged[SIZE / 2] ^= 1;
    fs::write(desk.path(), damaged).unwrap();
    desk.fetch_well();
    assert_eq!(server.requests().len(), 2);
    has(
        &desk.said(),
        &[
            &desk.path().display().to_string(),
            "is wrong (its SHA-256 is",
            "fetching it anew",
        ],
    );
}

#[test]
fn a_file_beside_the_users_card_comes_first() {
    let desk = Desk::new(&["https://weights.test/a.h5".to_owned()], "");
    let beside = desk.home.path().join("card").join(FILE);
    fs::write(&beside, content()).unwrap();
    assert_eq!(desk.fetch().unwrap(), beside);

    fs::write(&beside, b"<html>saved by hand</html>").unwrap();
    let error = desk.fetch().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is not the file that its card describes: it is a web page, not a weight file",
            beside.display()
        )
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let mut desk = Desk::new(&[server.url()], "");
    let file = desk.home.path().join("a file");
    fs::write(&file, b"").unwrap();
    desk.cache = Cache::new(Some(file.join("cache"))).unwrap();
    let error = desk.fetch().unwrap_err();
    assert!(matches!(error, RegistryError::Write { .. }), "{error:?}");
    has(
        &error.to_string(),
        &[
            "cannot create",
            &file.display().to_string(),
            "set XCEPTION_CACHE to a folder that can be written",
        ],
    );
    assert_eq!(server.requests().len(), 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_named() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let desk = Desk::new(&[server.url()], "");
    fs::create_dir_all(desk.path().parent().unwrap()).unwrap();
    let part = desk.path().with_added_extension("part");
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let note = format!("url = {:?}\n", server.url());
    fs::write(part.with_added_extension("from"), note).unwrap();
    let error = desk.fetch().unwrap_err();
    has(
        &error.to_string(),
        &[
            &format!("cannot write {}", part.display()),
            "No space left on device",
            "free some space or set XCEPTION_CACHE to a folder on a larger disk",
        ],
    );
    assert_eq!(server.requests().len(), 1, "no retry makes room");
}
