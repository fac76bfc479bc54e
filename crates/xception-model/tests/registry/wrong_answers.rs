//! Servers that send another file than the card describes, and servers that fail.

use std::net::TcpListener;

use sha2::{Digest, Sha256};
use xception_model::registry::Kind;

use crate::desk::{Desk, FILE, SIZE, content, files, has, hex};
use crate::server::{Answer, Server};

#[test]
fn more_bytes_announced_than_sent() {
    let server = Server::start(|_, request, mut answer| {
        answer.head("200 OK", &[("Content-Length", "400000")]);
        if request.range().is_none() {
            answer.body(&content());
        }
    });
    let message = Desk::new(&[server.url()], "").fetch_badly();
    has(&message, &["broke off after", "of 400000 bytes"]);
    assert_eq!(server.requests().len(), 3, "the first and two retries");
}

#[test]
fn fewer_bytes_announced_than_sent() {
    let server = Server::start(|_, _, mut answer| {
        answer.head("200 OK", &[("Content-Length", "100000")]);
        answer.body(&content());
    });
    let message = Desk::new(&[server.url()], "").fetch_badly();
    has(&message, &["sent something else: its SHA-256 is"]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn another_size_than_the_card_says() {
    let server = Server::start(|_, _, answer| answer.whole("200 OK", &[], &content()));
    let desk = Desk::new(&[server.url()], "bytes = 299999");
    has(&desk.fetch_badly(), &["announced 300000 bytes instead of 299999"]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_endless_body_is_cut_off() {
    fn endless(mut answer: Answer) {
        answer.head("200 OK", &[]);
        while answer.body(&[0; 4096]) {}
    }
    let server = Server::start(|_, _, answer| endless(answer));
    let desk = Desk::new(&[server.url()], "bytes = 300000");
    has(&desk.fetch_badly(), &["sent more than 300000 bytes"]);
    assert_eq!(server.requests().len(), 1);

    let desk = Desk::new(&[server.url()], "");
    let options = desk.options().max_bytes(500_000);
    let error = desk.cache.weights(&desk.card, Kind::Full, &options).unwrap_err();
    has(&error.to_string(), &["sent more than 500000 bytes"]);
    assert_eq!(
        files(&desk.cache.dir().join("toy")),
        [format!("{FILE}.lock")],
        "nothing of it stays"
    );

    let server = Server::start(|_, _, answer| answer.whole("200 OK", &[], &content()));
    let desk = Desk::new(&[server.url()], "");
    let error = desk
        .cache
        .weights(&desk.card, Kind::Full, &desk.options().max_bytes(299_999))
        .unwrap_err();
    has(
        &error.to_string(),
        &["announced 300000 bytes, more than the 299999 allowed"],
    );
}

#[test]
fn a_wrong_file_is_refused() {
    let server = Server::start(|_, _, answer| answer.whole("200 OK", &[], &vec![7; SIZE]));
    let desk = Desk::new(&[server.url()], "");
    let message = desk.fetch_badly();
    has(
        &message,
        &[
            "its SHA-256 is",
            &hex(&Sha256::digest(vec![7; SIZE])),
            &hex(&Sha256::digest(content())),
        ],
    );
    assert_eq!(server.requests().len(), 1, "the same answer would come again");
    assert_eq!(files(&desk.cache.dir().join("toy")), [format!("{FILE}.lock")]);
}

#[test]
fn a_web_page_is_called_one() {
    let server = Server::start(|_, _, answer| {
        let headers = [("Content-Type", "text/html; charset=utf-8")];
        answer.whole("200 OK", &headers, b"<p>Please log in</p>");
    });
    let message = Desk::new(&[server.url()], "").fetch_badly();
    has(&message, &["sent a web page, perhaps a login or proxy page"]);
    assert_eq!(server.requests().len(), 1);

    // And when the header doesn't say so.
    let server = Server::start(|_, _, answer| {
        answer.whole("200 OK", &[], b"\n<!DOCTYPE html><title>Log in</title>");
    });
    let message = Desk::new(&[server.url()], "").fetch_badly();
    has(&message, &["it is a web page, not a weight file"]);
}

#[test]
fn a_compressed_answer_is_refused() {
    let server = Server::start(|_, _, answer| {
        answer.whole("200 OK", &[("Content-Encoding", "gzip")], &content());
    });
    let message = Desk::new(&[server.url()], "").fetch_badly();
    has(&message, &["compressed"]);
}

#[test]
fn an_absent_file_is_not_asked_for_again() {
    let server = Server::start(|_, _, answer| answer.whole("404 Not Found", &[], b"no"));
    let message = Desk::new(&[server.url()], "").fetch_badly();
    has(&message, &[&format!("{} answered 404 Not Found", server.url())]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_failing_server_is_asked_again() {
    let server = Server::start(|number, request, answer| match number {
        0 => answer.whole("500 Internal Server Error", &[], b""),
        1 => answer.whole("429 Too Many Requests", &[], b""),
        _ => answer.file(request, "\"1\"", &content()),
    });
    let desk = Desk::new(&[server.url()], "");
    desk.fetch_well();
    has(
        &desk.said(),
        &["answered 500 Internal Server Error", "answered 429 Too Many Requests"],
    );
}

#[test]
fn a_mirror_helps_out() {
    let primary = Server::start(|_, _, answer| answer.whole("500 Internal Server Error", &[], b""));
    let mirror = Server::start(|number, request, answer| match number {
        0 => answer.whole("503 Service Unavailable", &[], b""),
        _ => answer.file(request, "\"1\"", &content()),
    });
    Desk::new(&[primary.url(), mirror.url()], "").fetch_well();
    assert_eq!((primary.requests().len(), mirror.requests().len()), (2, 2));
}

#[test]
fn every_source_is_named_when_all_fail() {
    let primary = Server::start(|_, _, answer| answer.whole("500 Internal Server Error", &[], b""));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}/mirror.h5", closed.local_addr().unwrap());
    drop(closed);
    let desk = Desk::new(&[primary.url(), mirror.clone()], "");
    let message = desk.fetch_badly();
    has(
        &message,
        &[
            &format!("{} answered 500 Internal Server Error, ", primary.url()),
            &format!("{mirror} could not be asked (io: Connection refused"),
            &format!("fetch {} or {mirror} by other means", primary.url()),
        ],
    );
    assert_eq!(primary.requests().len(), 3);
}

#[test]
fn redirects_in_a_circle_end() {
    let server = Server::start(|_, _, answer| {
        let location = format!("/{FILE}");
        answer.whole("302 Found", &[("Location", &location)], b"");
    });
    let message = Desk::new(&[server.url()], "").fetch_badly();
    has(&message, &["redirected more than 10 times"]);
    assert_eq!(server.requests().len(), 11);
}
