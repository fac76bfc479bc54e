//! Resumed downloads: ranges that the server refuses, changes or gets wrong.

use std::fs;

use crate::desk::{Desk, SIZE, content, has};
use crate::server::{Request, Server};

#[test]
fn a_server_without_ranges_starts_over() {
    let server = Server::start(|number, _, answer| match number {
        0 => answer.broken("\"1\"", &content(), 200_000),
        _ => answer.whole("200 OK", &[], &content()),
    });
    let desk = Desk::new(&[server.url()], "");
    desk.fetch_well();
    assert_eq!(server.requests()[1].range(), Some(200_000));
    assert_eq!(server.body_bytes(), 200_000 + SIZE);
    has(&desk.said(), &["sends the file from its beginning"]);
}

#[test]
fn a_changed_file_starts_over() {
    let server = Server::start(|number, request, answer| match number {
        0 => answer.broken("\"old\"", &vec![7; SIZE], 200_000),
        // Acts like a server that ignores If-Range: it sends the rest of the new file after the beginning of the old
        // one.
        1 => {
            let headers = [("Content-Range", "bytes 200000-299999/300000"), ("ETag", "\"new\"")];
            answer.whole("206 Partial Content", &headers, &content()[200_000..]);
        }
        _ => answer.file(request, "\"new\"", &content()),
    });
    let desk = Desk::new(&[server.url()], "");
    desk.fetch_well();
    assert_eq!(server.requests()[2].range(), None);
    has(&desk.said(), &["has another version of the file by now"]);
}

#[test]
fn two_halves_of_different_files_are_not_kept() {
    // Without a tag, only the checksum shows that the halves belong to different files.
    let server = Server::start(|number, request, mut answer| match number {
        0 => {
            answer.head("200 OK", &[("Content-Length", "300000")]);
            answer.body(&vec![7; 200_000]);
        }
        _ => answer.file(request, "\"1\"", &content()),
    });
    let desk = Desk::new(&[server.url()], "");
    desk.fetch_well();
    let ranges: Vec<_> = server.requests().iter().map(Request::range).collect();
    assert_eq!(ranges, [None, Some(200_000), None]);
}

#[test]
fn a_wrong_range_starts_over() {
    for range in [
        "bytes 100000-299999/300000",
        "bytes 200000-299999/400000",
        "bytes 200000-399999/400000",
        "bytes 200000-299998/300000",
        "bytes 200000-299999/*",
        "nonsense",
    ] {
        let server = Server::start(move |number, request, answer| match number {
            0 => answer.broken("\"1\"", &content(), 200_000),
            1 => {
                let headers = [("Content-Range", range), ("ETag", "\"1\"")];
                answer.whole("206 Partial Content", &headers, &content()[200_000..]);
            }
            _ => answer.file(request, "\"1\"", &content()),
        });
        let desk = Desk::new(&[server.url()], "");
        desk.fetch_well();
        assert_eq!(server.requests()[2].range(), None, "{range}");
        has(&desk.said(), &["sends another range than the one asked for"]);
    }
}

#[test]
fn an_unsatisfiable_range_starts_over() {
    let server = Server::start(|number, request, answer| match number {
        0 => answer.broken("\"1\"", &content(), 200_000),
        1 => answer.whole("416 Range Not Satisfiable", &[], b""),
        _ => answer.file(request, "\"1\"", &content()),
    });
    Desk::new(&[server.url()], "").fetch_well();
    assert_eq!(server.requests()[2].range(), None);
}

#[test]
fn a_part_of_unknown_origin_is_dropped() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let desk = Desk::new(&[server.url()], "");
    fs::create_dir_all(desk.path().parent().unwrap()).unwrap();
    fs::write(desk.path().with_added_extension("part"), [1, 2, 3]).unwrap();
    desk.fetch_well();
    assert_eq!(server.requests()[0].range(), None);
}
