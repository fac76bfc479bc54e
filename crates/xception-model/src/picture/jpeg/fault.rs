//! Why a file is not read.

use crate::picture::error::PictureError;

/// Why a file is not read.
#[derive(Debug)]
pub(super) enum Fault {
    /// The data end, where libjpeg would wait for more.
    End,
    /// libjpeg's errors.
    Broken(&'static str),
    Unsupported(String),
    Refused(PictureError),
}
