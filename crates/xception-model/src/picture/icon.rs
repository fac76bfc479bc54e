//! What a file of icons holds for one of them.

use image::DynamicImage;

/// An icon of a file.
pub(super) enum Icon<'a> {
    /// A PNG file, and what follows it.
    Png(&'a [u8]),
    /// A JPEG 2000 file.
    Jpeg2000(&'a [u8]),
    Picture(DynamicImage),
}

impl Icon<'_> {
    /// How a PNG file begins.
    pub const PNG: &'static [u8] = b"\x89PNG\r\n\x1a\n";
}
