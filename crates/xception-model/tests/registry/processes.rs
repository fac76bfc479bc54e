//! Several threads and processes at once.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use xception_model::registry::{Cache, Card, FetchOptions, Kind};

use crate::desk::{Desk, FILE, FOREVER, content, has};
use crate::server::{Server, read_request};

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

/// Not a test: run by [`spawn_child`] in a second process.
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
        .args(["--ignored", "--exact", "processes::child", "--nocapture"])
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
        // For plain http a proxy is used either directly or through a tunnel.
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
