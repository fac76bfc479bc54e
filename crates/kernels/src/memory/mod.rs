//! Memory: aligned buffers, feature maps, and the size of the caches.

pub(crate) mod buffer;
pub(crate) mod cache;
#[cfg_attr(
    not(feature = "burn"),
    allow(dead_code, reason = "maps of Burn's tensors use all of it")
)]
pub(crate) mod heap;
pub(crate) mod map;
