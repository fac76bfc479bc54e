//! The registry of trained weights, against a server on this machine that misbehaves in every way a server can.
#![cfg(feature = "pretrained")]

mod by_hand;
mod cards;
#[path = "../common/mod.rs"]
mod common;
mod desk;
mod processes;
mod records;
mod resuming;
mod server;
mod transfers;
mod wrong_answers;
