//! Training learns, and a run that is stopped anywhere continues to the same numbers.

#[path = "../common/mod.rs"]
mod common;
mod features;
mod fixture;
mod folder;
mod learning;
mod moved;
mod stopping;
mod updates;
mod zoo;
