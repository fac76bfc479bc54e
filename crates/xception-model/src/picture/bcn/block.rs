//! A block's pixels, and its bits.

/// Pixels of each side of a block, and of a block.
pub(super) const SIDE: usize = 4;
pub(super) const AREA: usize = SIDE * SIDE;

/// Red, green, blue and opacity of a block's pixels, row by row.
pub(super) type Block = [[u8; 4]; AREA];

/// The bits of a block, the lowest first.
pub(super) struct Bits(pub u128);

impl Bits {
    /// The next `count` bits, at most eight.
    pub fn take(&mut self, count: u8) -> u8 {
        let value = (self.0 & ((1 << count) - 1)) as u8;
        self.0 >>= count;
        value
    }
}
