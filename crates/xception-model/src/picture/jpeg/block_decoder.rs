//! What the decoders of both kinds of codes have in common.

use super::{coefficients::Block, fault::Fault};

/// Decodes the blocks of a scan, one after the other.
pub(super) trait BlockDecoder {
    /// Whether the data have ended, and nothing follows before the next restart.
    fn is_spent(&self) -> bool;

    /// Goes to the next restart marker.
    fn restart(&mut self) -> Result<(), Fault>;

    /// Adds the next block's bits, of a component of the scan.
    fn decode(&mut self, part: usize, block: &mut Block) -> Result<(), Fault>;

    /// Ends the scan.
    fn finish(&mut self);
}
