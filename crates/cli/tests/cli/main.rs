//! The program as its users see it: arguments in; standard output, standard error, files and the exit status out.
//!
//! Everything runs on a toy network and on generated pictures; nothing is downloaded.

mod before_graph;
mod bench;
mod classify;
mod comparison;
mod edges;
mod embed;
mod evaluate;
mod explain;
mod failures;
mod features;
mod lists;
mod networks;
mod outputs;
mod pictures;
mod sandbox;
mod tensors;
mod train;
