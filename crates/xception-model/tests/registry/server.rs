//! A server on this machine whose every answer is one closure call.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::desk::FILE;

#[derive(Debug, Clone)]
pub struct Request {
    pub line: String,
    pub headers: HashMap<String, String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// `Range: bytes=N-`.
    pub fn range(&self) -> Option<usize> {
        let range = self.header("range")?;
        range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// A server whose every answer is one closure call, with one request per connection.
pub struct Server {
    pub address: String,
    pub requests: Arc<Mutex<Vec<Request>>>,
    pub body_bytes: Arc<AtomicUsize>,
}

pub struct Answer {
    pub stream: TcpStream,
    pub body_bytes: Arc<AtomicUsize>,
}

impl Server {
    /// `answer` gets the number of the request, from 0, and the request.
    pub fn start(answer: impl Fn(usize, &Request, Answer) + Send + Sync + 'static) -> Self {
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

    pub fn url(&self) -> String {
        format!("http://{}/{FILE}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Body bytes handed to the client, over all requests.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes.load(Ordering::SeqCst)
    }
}

pub fn read_request(stream: &TcpStream) -> Option<Request> {
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
    pub fn head(&mut self, status: &str, headers: &[(&str, &str)]) {
        let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let _ = write!(self.stream, "{head}\r\n");
    }

    /// Sends a part of the body; false if the client has disconnected.
    pub fn body(&mut self, bytes: &[u8]) -> bool {
        let sent = self.stream.write_all(bytes).is_ok();
        if sent {
            self.body_bytes.fetch_add(bytes.len(), Ordering::SeqCst);
        }
        sent
    }

    pub fn whole(mut self, status: &str, headers: &[(&str, &str)], body: &[u8]) {
        let length = body.len().to_string();
        let mut all = vec![("Content-Length", length.as_str())];
        all.extend(headers);
        self.head(status, &all);
        self.body(body);
    }

    /// Sends the file as a well-behaved server does, with ranges.
    pub fn file(self, request: &Request, etag: &str, file: &[u8]) {
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

    /// Announces the whole file and closes the connection after `sent` bytes.
    pub fn broken(mut self, etag: &str, file: &[u8], sent: usize) {
        let length = file.len().to_string();
        let headers = [("Content-Length", length.as_str()), ("ETag", etag)];
        self.head("200 OK", &headers);
        self.body(&file[..sent]);
    }
}
