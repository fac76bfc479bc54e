//! The options of a download: time-outs, retries, limits, and the receiver of messages.

use std::time::Duration;

use super::reporter::Reporter;

/// The environment variable that names the cache folder.
pub const CACHE_VARIABLE: &str = "XCEPTION_CACHE";

/// The options of a download: time-outs, retries, limits, and the receiver of messages. Proxies come from the usual
/// environment variables (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
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
    /// Online; 10 s to connect, 30 s for each read, 60 s with hardly any progress; 3 further rounds over all URLs, the
    /// first after about half a second; files up to 1 GiB; a progress bar on a terminal.
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
    /// Whether to stay offline: a file that is not on this machine is then an error at once.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// The time-out for resolving a name and, separately, for connecting (with TLS).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The time-out for the server's answer, and for a pause within the body.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// The time-out for progress: less than 64 KiB within this time is a stall, even if bytes keep coming.
    #[must_use]
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// Number of further rounds over all URLs. A round that makes 1 MiB of progress does not count.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The pause before the first further round. It doubles with each round, up to 30 s, and is shortened by up to half
    /// at random so that many machines do not come back at the same moment.
    #[must_use]
    pub fn backoff(mut self, pause: Duration) -> Self {
        self.backoff = pause;
        self
    }

    /// The size limit for a file whose card does not state its size.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Receives progress, waiting and retries.
    #[must_use]
    pub fn reporter(mut self, reporter: Reporter) -> Self {
        self.reporter = reporter;
        self
    }
}
