//! A part of a TIFF file's pixels.

/// A strip or a tile.
pub(super) struct Chunk<'a> {
    pub bytes: &'a [u8],
    /// Bytes of a row of pixels.
    pub row_len: usize,
    /// Pixels of a row.
    pub width: usize,
    pub is_reversed: bool,
    /// Whether it is the first one of the file.
    pub is_first: bool,
    /// Of fax compression (`T4Options`).
    pub options: u64,
    /// Most bytes of memory for a decoder's own use.
    pub max_bytes: u64,
}
