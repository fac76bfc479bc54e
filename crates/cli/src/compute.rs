//! Backends, their devices, and the processor's threads.

pub mod backend;
pub mod device;
pub mod failure;
mod panics;
pub mod threads;
