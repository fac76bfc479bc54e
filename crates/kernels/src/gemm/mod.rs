//! Matrix multiplication: packed weights, the register tile, and two forms with fewer multiplications.

pub(crate) mod matmul;
pub(crate) mod packed;
pub(crate) mod strassen;
pub(crate) mod winograd;
