//! The errors of AVIF files.

use super::super::error::PictureError;

pub(super) const FORMAT: &str = "AVIF";

pub(super) fn damaged(reason: impl std::fmt::Display) -> PictureError {
    PictureError::Damaged {
        format: FORMAT,
        reason: reason.to_string(),
    }
}

/// A box or its numbers end early.
pub(super) fn early() -> PictureError {
    damaged("a box ends early")
}

pub(super) fn unsupported(reason: impl Into<String>) -> PictureError {
    PictureError::UnsupportedKind {
        format: FORMAT,
        reason: reason.into(),
    }
}
