//! How to fetch: time-outs, retries, limits, and who is told.

use std::time::Duration;

use super::reporter::Reporter;

/// The environment variable that names the cache folder.
pub const CACHE_VARIABLE: &str = "XCEPTION_CACHE";

/// How to fetch: time-outs, retries, limits, and who is told. Proxies come from the usual environment variables
/// (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
///
/// ```
/// use std::time::Duration;
/// use xception_model::registry::{FetchOptions, Reporter};
///
/// let options = FetchOptions::default()
///     .retries(2)
///     .read_timeout(Duration::from_secs(10))
///     .reporter(Reporter::silent());
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct FetchOptions {
    pub(super) offline: bool,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    pub(super) stall_timeout: Duration,
    pub(super) retries: u32,
    pub(super) backoff: Duration,
    pub(super) max_bytes: u64,
    pub(super) reporter: Reporter,
}

impl Default for FetchOptions {
    /// On line; 10 s to connect, 30 s for each read, 60 s of next to nothing; 3 further rounds over all URLs, the first
    /// after about half a second; files up to 1 GiB; a bar on a terminal.
    fn default() -> Self {
        Self {
            offline: false,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_mins(1),
            retries: 3,
            backoff: Duration::from_millis(500),
            max_bytes: 1 << 30,
            reporter: Reporter::terminal(),
        }
    }
}

impl FetchOptions {
    /// Don't touch the network: what is not on this machine is an error at once.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// How long resolving a name and, again, connecting (with TLS) may take.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may take to answer, and how long it may be silent within the body.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// How long the server may drip: less than 64 KiB within this time is a stall, however regular the drops.
    #[must_use]
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// How many more rounds over all URLs after the first one. A round that brings a file 1 MiB further doesn't count.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The pause before the first further round; it doubles with each, up to 30 s, and is cut by up to half at random
    /// so that many machines don't come back at the same moment.
    #[must_use]
    pub fn backoff(mut self, pause: Duration) -> Self {
        self.backoff = pause;
        self
    }

    /// The most bytes to take for a file whose card doesn't give its size.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Who is told about progress, waiting and retries.
    #[must_use]
    pub fn reporter(mut self, reporter: Reporter) -> Self {
        self.reporter = reporter;
        self
    }
}
