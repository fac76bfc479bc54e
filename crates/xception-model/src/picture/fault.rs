//! The errors of the formats with a small reader of their own.

use super::error::PictureError;

pub(super) fn damaged(format: &'static str, reason: &str) -> PictureError {
    PictureError::Damaged {
        format,
        reason: reason.to_owned(),
    }
}

/// The pixels or the header end before they are complete.
pub(super) fn early(format: &'static str) -> PictureError {
    damaged(format, "the data end early")
}

pub(super) fn unsupported(format: &'static str, reason: impl Into<String>) -> PictureError {
    PictureError::UnsupportedKind {
        format,
        reason: reason.into(),
    }
}
