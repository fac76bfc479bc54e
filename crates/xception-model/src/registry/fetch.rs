//! Downloads a file from URLs and verifies it.
//!
//! TLS is `rustls` with the machine's own certificate store (on Linux also `SSL_CERT_FILE` and `SSL_CERT_DIR`), because
//! companies with TLS proxies install their certificate there and nowhere else. A bare container therefore needs its
//! distribution's `ca-certificates`.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::header::{self, HeaderMap};
use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, ResponseExt};

use super::checksum::verify;
use super::error::RegistryError;
use super::options::FetchOptions;
use super::partial::{Origin, Partial, write_error};
use super::weights::Weights;

/// As in browsers and curl: enough for every real chain, few enough to end a loop quickly. GitHub's downloads need one.
const MAX_REDIRECTS: u32 = 10;

/// Less progress within the stall time-out is a stall; 1 kB/s would take a day for Xception's 92 MB.
const MIN_PROGRESS: u64 = 64 << 10;

/// A round with at least this much progress does not count against the retries: bad connections break often.
const REAL_PROGRESS: u64 = 1 << 20;

/// The longest pause between two rounds.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Why a download ended without a file.
#[derive(Debug)]
pub(super) enum Failure {
    /// No URL gave the file; the answer of each URL.
    Sources(String),
    /// This machine could not keep the file.
    Local(RegistryError),
}

/// Why one attempt at one URL ended without a file.
enum Trouble {
    /// The host's name cannot be found. If that is so for every URL, this machine has no connection.
    NoHost(String),
    /// Trying again may help.
    Transient(String),
    /// The same URL would give the same answer again.
    Permanent(String),
    /// This machine cannot keep the file, whatever the URL.
    Local(RegistryError),
}

impl From<RegistryError> for Trouble {
    fn from(error: RegistryError) -> Self {
        Self::Local(error)
    }
}

/// Downloads a file: tries all URLs in turn, in rounds, until one gives the file that the card describes. The file
/// appears as `target` only when it is complete and verified.
pub(super) fn fetch(weights: &Weights, target: &Path, options: &FetchOptions) -> Result<(), Failure> {
    let fetcher = Fetcher {
        weights,
        options,
        agent: agent(options),
    };
    let mut alive: Vec<&str> = weights.urls.iter().map(String::as_str).collect();
    let mut answers: BTreeMap<&str, String> = BTreeMap::new();
    let mut previous: Option<(&str, String)> = None;
    let mut longest = 0;
    let mut round = 0;
    loop {
        let mut next = Vec::new();
        let mut progress = false;
        let mut found_a_host = false;
        for url in alive {
            let silent = previous.is_some() && !found_a_host && round == 0;
            let announced = match previous.take() {
                None => format!("fetching {url}"),
                Some((before, answer)) if before == url => {
                    format!("{url} {answer}, trying again")
                }
                Some((before, answer)) => format!("{before} {answer}, trying {url}"),
            };
            if !silent {
                options.reporter.say(&announced);
            }
            let mut partial = Partial::open(target).map_err(Failure::Local)?;
            longest = longest.max(partial.length());
            let trouble = match fetcher.attempt(url, &mut partial) {
                Ok(()) => return partial.publish(target).map_err(Failure::Local),
                Err(trouble) => trouble,
            };
            if partial.length() >= longest + REAL_PROGRESS {
                progress = true;
                longest = partial.length();
            }
            found_a_host |= !matches!(trouble, Trouble::NoHost(_));
            let answer = match trouble {
                Trouble::NoHost(answer) | Trouble::Transient(answer) => {
                    next.push(url);
                    answer
                }
                Trouble::Permanent(answer) => answer,
                Trouble::Local(error) => return Err(Failure::Local(error)),
            };
            previous = Some((url, answer.clone()));
            answers.insert(url, answer);
        }
        if !found_a_host && round == 0 {
            let hosts = weights.urls.iter().map(|url| host(url)).collect::<Vec<_>>().join(", ");
            return Err(Failure::Sources(format!(
                "no network connection: {hosts} cannot be found from here"
            )));
        }
        alive = next;
        if !progress {
            round += 1;
        }
        if alive.is_empty() || round > options.retries {
            let answer = |url: &String| Some(format!("{url} {}", answers.get(url.as_str())?));
            let answers: Vec<String> = weights.urls.iter().filter_map(answer).collect();
            return Err(Failure::Sources(answers.join(", ")));
        }
        thread::sleep(pause(options.backoff, round));
    }
}

/// The host of a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or(rest)
}

/// `first`, doubled with each round after the first, and shortened by up to half at random.
fn pause(first: Duration, round: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(round.saturating_sub(1));
    let full = first.saturating_mul(doubled).min(MAX_PAUSE);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn agent(options: &FetchOptions) -> Agent {
    // Android's verifier panics unless the app has initialised it through JNI, so there the roots are built in.
    let roots = if cfg!(target_os = "android") {
        RootCerts::WebPki
    } else {
        RootCerts::PlatformVerifier
    };
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(MAX_REDIRECTS)
        .user_agent(concat!("xception/", env!("CARGO_PKG_VERSION")))
        // A compressed answer could neither be resumed nor measured.
        .accept_encoding("identity")
        .timeout_resolve(Some(options.connect_timeout))
        .timeout_connect(Some(options.connect_timeout))
        .timeout_recv_response(Some(options.read_timeout))
        .timeout_per_read(Some(options.read_timeout))
        .timeout_per_write(Some(options.read_timeout))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build()
        .new_agent()
}

struct Fetcher<'a> {
    weights: &'a Weights,
    options: &'a FetchOptions,
    agent: Agent,
}

impl Fetcher<'_> {
    /// One attempt at one URL, continuing from `partial`; `Ok` if `partial` is complete and verified.
    fn attempt(&self, url: &str, partial: &mut Partial) -> Result<(), Trouble> {
        let expected = self.weights.bytes.or(partial.origin().total);
        // Already complete if an earlier process was stopped between the last byte and the verification.
        let mut resumed = partial.length() > 0;
        if !(resumed && expected == Some(partial.length())) {
            resumed = self.receive(url, partial)?;
        }

        let declared = self.weights.bytes.or(partial.origin().total).is_some();
        let problem = match verify(partial.path(), self.weights) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(problem)) => problem,
            Err(source) => {
                let path = partial.path().to_owned();
                return Err(RegistryError::Read { path, source }.into());
            }
        };
        partial.clear()?;
        let answer = format!("sent something else: {problem}");
        // Two halves of different files, or the end of a broken connection, may be right in the next attempt.
        Err(if resumed || !declared {
            Trouble::Transient(answer)
        } else {
            Trouble::Permanent(answer)
        })
    }

    /// Requests and stores the rest of the file; true if a part of it was there before.
    fn receive(&self, url: &str, partial: &mut Partial) -> Result<bool, Trouble> {
        let mut response = self.request(url, partial)?;
        if partial.length() > 0
            && let Err(reason) = continues(&response, url, partial)
        {
            self.options
                .reporter
                .say(&format!("{url} {reason}, starting {} over", self.weights.file));
            partial.clear()?;
            if response.status() != StatusCode::OK {
                response = self.request(url, partial)?;
            }
        }
        let resumed = partial.length() > 0;
        if !resumed && response.status() != StatusCode::OK {
            let answer = format!("answered {} to a plain request", response.status());
            return Err(Trouble::Permanent(answer));
        }

        let origin = Origin {
            url: url.to_owned(),
            etag: text(response.headers(), &header::ETAG).map(str::to_owned),
            total: if resumed {
                content_range(response.headers()).map(|range| range.total)
            } else {
                response.body().content_length()
            },
        };
        self.check_answer(&response, &origin)?;
        self.store(response, origin, partial)?;
        Ok(resumed)
    }

    /// Sends one request and follows redirects. The answer is 200, or 206 or 416 if there was a part to resume.
    fn request(&self, url: &str, partial: &Partial) -> Result<Response<Body>, Trouble> {
        let mut request = self.agent.get(url);
        let length = partial.length();
        if length > 0 {
            request = request.header(header::RANGE, format!("bytes={length}-"));
            // Only a strong tag is allowed in If-Range (RFC 9110, 13.1.5), and it has no meaning for another server.
            let origin = partial.origin();
            if let Some(etag) = &origin.etag
                && origin.url == url
                && etag.starts_with('"')
            {
                request = request.header(header::IF_RANGE, etag);
            }
        }
        // A secure address must not redirect to an insecure one.
        let secure = url.starts_with("https:");
        let response = request
            .config()
            .https_only(secure)
            .build()
            .call()
            .map_err(|error| self.trouble(&error))?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if length > 0 => Ok(response),
            status => {
                let answer = format!("answered {status}");
                let again = status.is_server_error()
                    || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
                Err(if again {
                    Trouble::Transient(answer)
                } else {
                    Trouble::Permanent(answer)
                })
            }
        }
    }

    /// Refuses an answer whose headers show that it is wrong.
    fn check_answer(&self, response: &Response<Body>, origin: &Origin) -> Result<(), Trouble> {
        let media = text(response.headers(), &header::CONTENT_TYPE).unwrap_or_default();
        if media.trim_start().to_lowercase().starts_with("text/html") {
            let mut answer = "sent a web page, perhaps a login or proxy page, instead of the file".to_owned();
            let final_url = response.get_uri().to_string();
            if final_url != origin.url {
                answer = format!("{answer} (from {final_url})");
            }
            return Err(Trouble::Permanent(answer));
        }
        let coding = text(response.headers(), &header::CONTENT_ENCODING).unwrap_or("identity");
        if !coding.eq_ignore_ascii_case("identity") {
            let answer = "sent the file compressed, which nobody asked for".to_owned();
            return Err(Trouble::Permanent(answer));
        }
        match (origin.total, self.weights.bytes) {
            (Some(total), Some(bytes)) if total != bytes => Err(Trouble::Permanent(format!(
                "announced {total} bytes instead of {bytes}"
            ))),
            (Some(total), None) if total > self.options.max_bytes => Err(Trouble::Permanent(format!(
                "announced {total} bytes, more than the {} allowed",
                self.options.max_bytes
            ))),
            _ => Ok(()),
        }
    }

    /// Appends the body to `partial`, up to its end or its first error.
    fn store(&self, response: Response<Body>, origin: Origin, partial: &mut Partial) -> Result<(), Trouble> {
        let total = origin.total.or(self.weights.bytes);
        let limit = total.unwrap_or(self.options.max_bytes);
        let mut file = partial.append(origin)?;
        let bar = self.options.reporter.bar(&self.weights.file, partial.length(), total);
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        let mut window = (Instant::now(), partial.length());
        loop {
            let chunk = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Trouble::Transient(self.broken(&error, partial, total)));
                }
            };
            if partial.length() + chunk as u64 > limit {
                partial.clear()?;
                let answer = format!("sent more than {limit} bytes");
                return Err(Trouble::Permanent(answer));
            }
            file.write_all(&buffer[..chunk])
                .map_err(write_error("write", partial.path()))?;
            partial.grow(chunk as u64);
            bar.inc(chunk as u64);

            if window.0.elapsed() >= self.options.stall_timeout {
                if partial.length() - window.1 < MIN_PROGRESS {
                    let answer = format!(
                        "stalled: {} bytes in {:?}",
                        partial.length() - window.1,
                        window.0.elapsed()
                    );
                    return Err(Trouble::Transient(answer));
                }
                window = (Instant::now(), partial.length());
            }
        }
        if let Some(total) = total
            && partial.length() < total
        {
            let error = io::ErrorKind::UnexpectedEof.into();
            return Err(Trouble::Transient(self.broken(&error, partial, Some(total))));
        }
        Ok(())
    }

    /// Describes a body that ended early.
    fn broken(&self, error: &io::Error, partial: &Partial, total: Option<u64>) -> String {
        let reason = match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(ureq::Error::Timeout(_)) => {
                format!("fell silent for {:?}", self.options.read_timeout)
            }
            _ if error.kind() == io::ErrorKind::UnexpectedEof => "broke off".to_owned(),
            _ => format!("broke off ({error})"),
        };
        let total = total.map_or_else(String::new, |total| format!(" of {total}"));
        format!("{reason} after {}{total} bytes", partial.length())
    }

    /// Describes a request that got no answer.
    fn trouble(&self, error: &ureq::Error) -> Trouble {
        use ureq::Error;
        match error {
            Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                Trouble::Transient(format!("did not connect within {:?}", self.options.connect_timeout))
            }
            Error::Timeout(_) => Trouble::Transient(format!("did not answer within {:?}", self.options.read_timeout)),
            Error::HostNotFound => Trouble::NoHost("names a host that can't be found from here".to_owned()),
            Error::Io(inner) if is_unreachable(inner) => {
                Trouble::NoHost("names a host that can't be found from here".to_owned())
            }
            Error::TooManyRedirects => Trouble::Permanent(format!("redirected more than {MAX_REDIRECTS} times")),
            Error::RequireHttpsOnly(_) => Trouble::Permanent("redirected to an address without https".to_owned()),
            // A refusal by rustls, mostly of a certificate, comes as one or the other.
            Error::Rustls(_) | Error::Tls(_) => Trouble::Permanent(insecure(error)),
            Error::Io(inner) if inner.kind() == io::ErrorKind::InvalidData => Trouble::Permanent(insecure(error)),
            Error::Io(_) | Error::ConnectionFailed | Error::Protocol(_) => {
                Trouble::Transient(format!("could not be asked ({error})"))
            }
            _ => Trouble::Permanent(format!("could not be asked ({error})")),
        }
    }
}

/// Whether there is no way to the host, or no way to ask for its address. The latter has a text of the standard
/// library, and no kind.
fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable};
    [HostUnreachable, NetworkDown, NetworkUnreachable].contains(&error.kind())
        || error.to_string().contains("failed to lookup address information")
}

fn insecure(error: &ureq::Error) -> String {
    format!("could not be asked securely ({error}; this machine's own certificate store decides whom to trust)")
}

/// Whether this answer continues the part that exists. `Err` is the reason why not.
fn continues(response: &Response<Body>, url: &str, partial: &Partial) -> Result<(), &'static str> {
    if response.status() == StatusCode::OK {
        return Err("sends the file from its beginning");
    }
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return Err("has no more bytes behind those that came");
    }
    let origin = partial.origin();
    let range = content_range(response.headers());
    let fits = range
        .is_some_and(|range| range.start == partial.length() && origin.total.is_none_or(|total| total == range.total));
    if !fits {
        return Err("sends another range than the one asked for");
    }
    let etag = text(response.headers(), &header::ETAG);
    if let (Some(before), Some(now)) = (origin.etag.as_deref(), etag)
        && origin.url == url
        && before != now
    {
        return Err("has another version of the file by now");
    }
    Ok(())
}

struct ContentRange {
    start: u64,
    total: u64,
}

/// `Content-Range: bytes 100-199/200` (RFC 9110, 14.4), only when it runs to the end of a file of known size.
fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let value = text(headers, &header::CONTENT_RANGE)?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let total = total.trim().parse().ok()?;
    let last: u64 = last.parse().ok()?;
    (last.checked_add(1) == Some(total)).then_some(ContentRange {
        start: start.trim().parse().ok()?,
        total,
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_address_is_no_broken_connection() {
        use std::net::ToSocketAddrs;
        let lost = "this-host.invalid:443".to_socket_addrs().unwrap_err();
        assert!(is_unreachable(&lost), "{lost}");
        assert!(is_unreachable(&io::ErrorKind::NetworkUnreachable.into()));
        assert!(!is_unreachable(&io::ErrorKind::ConnectionReset.into()));
        assert_eq!(host("https://example.org:8/a/b"), "example.org");
    }

    #[test]
    fn content_ranges() {
        let parse = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_RANGE, value.parse().unwrap());
            content_range(&headers).map(|range| (range.start, range.total))
        };
        assert_eq!(parse("bytes 100-199/200"), Some((100, 200)));
        for bad in [
            "bytes 100-198/200",
            "bytes 100-199/*",
            "bytes */200",
            "items 100-199/200",
            "bytes 100-18446744073709551615/0",
            "bytes -1-199/200",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn pauses_double_and_are_bounded() {
        let first = Duration::from_millis(100);
        for _ in 0..100 {
            assert!((50..=100).contains(&pause(first, 1).as_millis()));
            assert!((200..=400).contains(&pause(first, 3).as_millis()));
            assert!((15_000..=30_000).contains(&pause(first, u32::MAX).as_millis()));
        }
    }
}
