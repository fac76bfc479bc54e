use crate::error::ConfigError;

/// Limits for values from files, far above any real network. They keep every product of two widths, and every sum over
/// the layers, within 64 bits.
pub(super) struct Limits;

impl Limits {
    pub(super) const CLASSES: usize = 1 << 24;
    pub(super) const WIDTH: usize = 1 << 16;
    pub(super) const BLOCKS: usize = 1 << 10;

    pub(super) fn classes(count: usize) -> Result<(), ConfigError> {
        within("num_classes", count, Self::CLASSES)
    }

    pub(super) fn widths(name: &'static str, widths: &[usize]) -> Result<(), ConfigError> {
        widths.iter().try_for_each(|width| within(name, *width, Self::WIDTH))
    }

    /// A count that may be zero.
    pub(super) fn blocks(name: &'static str, count: usize) -> Result<(), ConfigError> {
        Self::at_most(name, count, Self::BLOCKS)
    }

    /// A count that may be zero, with a limit of its own.
    pub(super) fn at_most(name: &'static str, count: usize, limit: usize) -> Result<(), ConfigError> {
        within(name, count.max(1), limit)
    }

    /// The length of a list.
    pub(super) fn length(name: &'static str, length: usize, limit: usize) -> Result<(), ConfigError> {
        if (1..=limit).contains(&length) {
            Ok(())
        } else {
            Err(ConfigError::Length { name, length, limit })
        }
    }
}

fn within(name: &'static str, count: usize, limit: usize) -> Result<(), ConfigError> {
    match count {
        0 => Err(ConfigError::Zero(name)),
        count if count > limit => Err(ConfigError::TooLarge { name, count, limit }),
        _ => Ok(()),
    }
}
