//! The names of outputs.

/// The output of an operation; later operations take it as input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub(crate) usize);
