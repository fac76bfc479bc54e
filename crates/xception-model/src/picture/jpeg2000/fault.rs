//! The errors of JPEG 2000 files.

use super::super::error::PictureError;

pub(super) const FORMAT: &str = "JPEG 2000";

pub(super) fn damaged(reason: impl std::fmt::Display) -> PictureError {
    PictureError::Damaged {
        format: FORMAT,
        reason: reason.to_string(),
    }
}

pub(super) fn unsupported(reason: impl Into<String>) -> PictureError {
    PictureError::UnsupportedKind {
        format: FORMAT,
        reason: reason.into(),
    }
}
