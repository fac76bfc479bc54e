//! The errors of TIFF files.

use super::super::error::PictureError;

pub(super) const FORMAT: &str = "TIFF";

pub(super) fn damaged(reason: impl std::fmt::Display) -> PictureError {
    PictureError::Damaged {
        format: FORMAT,
        reason: reason.to_string(),
    }
}

pub(super) fn unsupported(reason: String) -> PictureError {
    PictureError::UnsupportedKind { format: FORMAT, reason }
}
