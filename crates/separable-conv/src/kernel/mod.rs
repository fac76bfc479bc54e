//! The kernels: plain slices of `f32`, channels last, no Burn.
#![allow(
    unsafe_code,
    reason = "vector loads and stores, and feature maps that many threads write to, each its own pixels"
)]
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled with its instructions"
)]
#![warn(clippy::undocumented_unsafe_blocks)]

mod buffer;
mod cache;
mod cascade;
mod depthwise;
mod isa;
mod lanes;
mod layer;
mod map;
mod matmul;
mod network;
mod packed;
mod peak;
mod plan;
mod pool;
mod single;
mod strassen;
mod team;
mod winograd;
mod work;

pub use isa::Isa;
pub use layer::SeparableRelu;
pub use network::{Network, Projection, Value};
pub use peak::peak;
pub use pool::{GlobalPool, MaxPool};
pub use single::SeparableConv;
