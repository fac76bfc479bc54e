//! Memory: aligned buffers, feature maps, and the size of the caches.

pub(crate) mod buffer;
pub(crate) mod cache;
#[cfg(feature = "burn")]
pub(crate) mod heap;
pub(crate) mod map;
