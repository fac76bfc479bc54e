//! Memory: aligned buffers, feature maps, and the size of the caches.

pub(crate) mod buffer;
pub(crate) mod cache;
pub(crate) mod map;
