//! What a segment `DAC` says about arithmetic codes.

/// How the statistics of each table depend on sizes (a segment `DAC`).
#[derive(Clone, Copy)]
pub(super) struct Conditioning {
    /// Bounds of small DC differences.
    pub dc: [(u8, u8); 16],
    /// The last AC coefficient of low frequency.
    pub ac: [u8; 16],
}

impl Default for Conditioning {
    fn default() -> Self {
        Self {
            dc: [(0, 1); 16],
            ac: [5; 16],
        }
    }
}
