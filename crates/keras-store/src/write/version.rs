/// The version of Keras whose layouts are written. Readers ask only whether it is 1, 2 or 3.
pub(super) const KERAS_VERSION: &str = "3.15.1";
