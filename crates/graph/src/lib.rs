#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]

//! What a convolutional network is: a graph of operations.
//!
//! A [`Graph`] is a list of [`Node`]s in the order of computation. A node has an [`Op`] and the nodes whose outputs it
//! reads. A [`Layer`] groups the nodes of one Keras layer and carries its names. A [`Stage`] is a named output: a
//! layer's, or a block's. [`Roles`] mark the feature map, the embedding, the logits and the levels of the pyramid.
//!
//! Every other fact about a network comes from one walk over its graph. This crate holds the walks that need no tensor
//! values:
//!
//! | walk | gives |
//! |---|---|
//! | [`Graph::shapes`] | the shape of every output, or the layer whose input does not fit |
//! | [`Graph::parameters`] | every tensor's name in a record, shape, and whether training changes it |
//! | [`Graph::summary`] | layers, shapes, parameters and multiply-adds as a table |
//! | [`Graph::stages`] | the names of all outputs that a caller can ask for |
//! | [`Graph::blocks`] | the blocks, in order, with their parameters' paths |
//! | [`Graph::keras_order`], [`Graph::keras_names`] | the order and the names that Keras gives the layers |
//! | [`Graph::folded`] | the same network with batch norms folded into convolutions |
//! | [`Graph::correspondence`] | which nodes of two graphs compute the same |
//!
//! A graph may come from a file, so [`Graph::validate`] trusts nothing: a graph that passes has no cycle, a bounded
//! size, and unique names. [`Graph::shapes`] checks sizes, in arithmetic that cannot overflow.

extern crate alloc;

mod builder;
mod channels;
mod error;
mod fold;
mod graph;
mod keras;
mod matching;
mod op;
mod parameters;
mod shape;
mod summary;

pub use builder::{Builder, NewLayer};
pub use channels::{ChosenChannels, slice_indices};
pub use error::GraphError;
pub use fold::{Folded, Origin};
pub use graph::{Block, Graph, Layer, LayerId, Level, MAX_CHANNELS, MAX_NODES, Naming, Node, NodeId, Roles, Stage};
pub use keras::{keras_order, snake_case};
pub use matching::{Correspondence, Tolerance};
pub use op::{
    Activation, BatchNorm, ChannelOrder, Conv, Dense, Filter, GlobalPool, Op, Padding, Pool, PoolKind, ScaleShift,
};
pub use parameters::{Parameter, ParameterKind};
pub use shape::Shape;
pub use summary::{Summary, SummaryRow};
