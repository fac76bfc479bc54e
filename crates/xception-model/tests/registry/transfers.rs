//! Downloads that succeed, and transfers that break, stall or drip.

use std::io::Write;
use std::time::{Duration, Instant};
use std::{fs, thread};

use md5::Md5;
use sha2::{Digest, Sha256};
use xception_model::registry::Kind;

use crate::desk::{Desk, FILE, FOREVER, SIZE, content, has, hex};
use crate::server::Server;

#[test]
fn a_file_is_fetched_once() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let desk = Desk::new(&[server.url()], "");
    desk.fetch_well();
    desk.fetch_well();
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, format!("GET /{FILE} HTTP/1.1"));
    assert_eq!(requests[0].range(), None);
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn md5_and_size_are_enough() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let md5 = hex(&Md5::digest(content())).to_uppercase();
    let url = server.url();
    Desk::with(&format!("md5 = \"{md5}\"\nbytes = {SIZE}\nurls = [{url:?}]")).fetch_well();

    let wrong = format!("md5 = \"{}\"\nurls = [{url:?}]", "0".repeat(32));
    let message = Desk::with(&wrong).fetch_badly();
    has(&message, &["its MD5 is", &md5.to_lowercase(), "instead of 0000"]);
}

#[test]
fn the_beginning_of_a_sha256_is_enough() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let sha256 = hex(&Sha256::digest(content()));
    let url = server.url();
    for prefix in [&sha256[..8], &sha256[..63], &sha256[..9].to_uppercase()] {
        Desk::with(&format!("sha256_prefix = \"{prefix}\"\nurls = [{url:?}]")).fetch_well();
    }

    // The last of eight digits differs.
    let last = if &sha256[7..8] == "0" { "1" } else { "0" };
    let prefix = format!("{}{last}", &sha256[..7]);
    let wrong = Desk::with(&format!("sha256_prefix = \"{prefix}\"\nurls = [{url:?}]"));
    let message = wrong.fetch_badly();
    has(
        &message,
        &[&format!("its SHA-256 is {sha256} and does not begin with {prefix}")],
    );

    // A file put there by hand is checked in the same way.
    let desk = Desk::with(&format!("sha256_prefix = \"{}\"\nobtain = \"ask\"", &sha256[..8]));
    fs::create_dir_all(desk.path().parent().unwrap()).unwrap();
    let mut damaged = content();
    damaged[SIZE / 2] ^= 1;
    fs::write(desk.path(), damaged).unwrap();
    let message = desk.fetch().unwrap_err().to_string();
    has(&message, &["does not begin with", &sha256[..8]]);
    fs::write(desk.path(), content()).unwrap();
    assert_eq!(desk.fetch().unwrap(), desk.path());

    // With both, both are checked.
    let both = Desk::with(&format!(
        "sha256 = \"{sha256}\"\nsha256_prefix = \"{prefix}\"\nurls = [{url:?}]"
    ));
    has(&both.fetch_badly(), &["does not begin with"]);
}

#[test]
fn redirects_are_followed_and_keep_the_range() {
    let server = Server::start(|number, request, answer| {
        if request.line.contains("/final") {
            if number == 1 {
                answer.broken("\"1\"", &content(), 100_000);
            } else {
                answer.file(request, "\"1\"", &content());
            }
        } else {
            answer.whole("302 Found", &[("Location", "/final")], b"moved");
        }
    });
    Desk::new(&[server.url()], "").fetch_well();
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[3].range(), Some(100_000));
}

#[test]
fn a_file_of_unknown_length_is_taken() {
    let server = Server::start(|_, _, mut answer| {
        answer.head("200 OK", &[]);
        answer.body(&content());
    });
    Desk::new(&[server.url()], "").fetch_well();
}

#[test]
fn a_broken_transfer_is_resumed() {
    let server = Server::start(|number, request, answer| match number {
        0 => answer.broken("\"1\"", &content(), 200_000),
        _ => answer.file(request, "\"1\"", &content()),
    });
    let desk = Desk::new(&[server.url()], "");
    desk.fetch_well();
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].range(), Some(200_000));
    assert_eq!(requests[1].header("if-range"), Some("\"1\""));
    assert_eq!(server.body_bytes(), SIZE, "no byte came twice");
    has(&desk.said(), &["broke off after 200000 of 300000 bytes"]);
}

#[test]
fn a_bad_line_that_makes_progress_is_not_given_up() {
    let file = content().repeat(12);
    let sha256 = hex(&Sha256::digest(&file));
    let sent = file.clone();
    let server = Server::start(move |_, request, mut answer| {
        // 1.2 MB each time, then the connection breaks.
        let start = request.range().unwrap_or(0);
        let range = format!("bytes {start}-{}/{}", sent.len() - 1, sent.len());
        let length = (sent.len() - start).to_string();
        let headers = [("Content-Length", &*length), ("Content-Range", &*range)];
        let status = ["200 OK", "206 Partial Content"][usize::from(start > 0)];
        answer.head(status, &headers[..=usize::from(start > 0)]);
        answer.body(&sent[start..sent.len().min(start + 1_200_000)]);
    });
    let desk = Desk::with(&format!("sha256 = \"{sha256}\"\nurls = [{:?}]", server.url()));
    let path = desk
        .cache
        .weights(&desk.card, Kind::Full, &desk.options().retries(0))
        .unwrap();
    assert!(fs::read(path).unwrap() == file);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn the_next_process_resumes() {
    let server = Server::start(|number, request, answer| match number {
        0 => answer.broken("\"1\"", &content(), 200_000),
        _ => answer.file(request, "\"1\"", &content()),
    });
    let desk = Desk::new(&[server.url()], "");
    let once = desk.options().retries(0);
    let error = desk.cache.weights(&desk.card, Kind::Full, &once).unwrap_err();
    has(&error.to_string(), &["broke off after 200000 of 300000 bytes"]);
    assert_eq!(desk.cache.status(&desk.card)[0].partial_bytes, Some(200_000));
    desk.fetch_well();
    assert_eq!(server.body_bytes(), SIZE);
}

#[test]
fn a_complete_part_needs_no_server() {
    let server = Server::start(|_, _, answer| answer.whole("404 Not Found", &[], b""));
    let desk = Desk::new(&[server.url()], "");
    fs::create_dir_all(desk.path().parent().unwrap()).unwrap();
    let part = desk.path().with_added_extension("part");
    fs::write(&part, content()).unwrap();
    let note = format!("url = {:?}\ntotal = {SIZE}\n", server.url());
    fs::write(part.with_added_extension("from"), note).unwrap();
    desk.fetch_well();
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_mirror_resumes_what_the_primary_began() {
    let primary = Server::start(|_, _, answer| answer.broken("\"p\"", &content(), 200_000));
    let mirror = Server::start(|_, request, answer| answer.file(request, "\"m\"", &content()));
    Desk::new(&[primary.url(), mirror.url()], "").fetch_well();
    assert_eq!(mirror.requests()[0].range(), Some(200_000));
    assert_eq!(
        mirror.requests()[0].header("if-range"),
        None,
        "the primary's tag means nothing to the mirror"
    );
    assert_eq!(mirror.body_bytes(), SIZE - 200_000);
}

#[test]
fn a_silent_server_is_left() {
    let server = Server::start(|number, request, mut answer| match number {
        0 => {
            let headers = [("Content-Length", "300000"), ("ETag", "\"1\"")];
            answer.head("200 OK", &headers);
            answer.body(&content()[..1_000]);
            thread::sleep(FOREVER);
        }
        1 => thread::sleep(FOREVER),
        _ => answer.file(request, "\"1\"", &content()),
    });
    let desk = Desk::new(&[server.url()], "");
    let options = desk.options().read_timeout(Duration::from_millis(300));
    let start = Instant::now();
    desk.cache.weights(&desk.card, Kind::Full, &options).unwrap();
    assert!(start.elapsed() < FOREVER / 2);
    assert_eq!(server.requests()[2].range(), Some(1_000));
    has(
        &desk.said(),
        &[
            "fell silent for 300ms after 1000 of 300000 bytes",
            "did not answer within 300ms",
        ],
    );
}

#[test]
fn a_dripping_server_is_left() {
    let server = Server::start(|number, request, mut answer| {
        if number > 0 {
            return answer.file(request, "\"1\"", &content());
        }
        answer.head("200 OK", &[("Content-Length", "300000")]);
        for byte in content() {
            if !answer.body(&[byte]) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let desk = Desk::new(&[server.url()], "");
    let options = desk.options().stall_timeout(Duration::from_millis(400));
    let start = Instant::now();
    desk.cache.weights(&desk.card, Kind::Full, &options).unwrap();
    assert!(start.elapsed() < FOREVER / 2);
    has(&desk.said(), &["stalled: "]);
    assert!(server.requests()[1].range().is_some_and(|start| start > 0));
}

#[test]
fn a_server_that_drips_its_headers_is_left() {
    let server = Server::start(|number, request, mut answer| {
        if number > 0 {
            return answer.file(request, "\"1\"", &content());
        }
        let _ = answer.stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        // Each byte comes well within the time-out of one read.
        while answer.stream.write_all(b"a").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let desk = Desk::new(&[server.url()], "");
    let options = desk.options().read_timeout(Duration::from_millis(500));
    let start = Instant::now();
    desk.cache.weights(&desk.card, Kind::Full, &options).unwrap();
    assert!(start.elapsed() < FOREVER / 2);
    has(&desk.said(), &["did not answer within 500ms"]);
}
