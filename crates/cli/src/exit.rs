//! How the program ends.

use std::process::ExitCode;

/// How a command ended, if not with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything was done.
    Complete,
    /// Something failed and was reported; the rest was done.
    Incomplete,
    /// A signal stopped the command; the work so far is saved.
    Interrupted { signal: u8 },
}

impl ExitStatus {
    /// Incomplete after `failures`.
    pub fn after(failures: usize) -> Self {
        if failures == 0 {
            Self::Complete
        } else {
            Self::Incomplete
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Complete => Self::SUCCESS,
            ExitStatus::Incomplete => Self::FAILURE,
            // The status that shells give to a program that a signal ended.
            ExitStatus::Interrupted { signal } => Self::from(128 | signal),
        }
    }
}
