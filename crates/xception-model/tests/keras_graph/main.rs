//! Keras files as graphs, and graphs as Keras models.
#![cfg(feature = "keras")]

mod files;
mod fixtures;
mod layers;
mod models;
mod refused;
mod round_trip;
mod written_layers;
