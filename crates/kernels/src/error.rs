//! The errors of building and running a network.

/// A layer or a picture whose sizes or options do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A count that must be at least 1 is 0.
    #[error("{op}: {what} is 0; it must be at least 1")]
    Zero {
        /// The operation.
        op: &'static str,
        /// The count.
        what: &'static str,
    },
    /// A slice does not have the length of its shape.
    #[error("{op}: expected {expected} values for {what}, found {found}")]
    Length {
        /// The operation.
        op: &'static str,
        /// The slice.
        what: &'static str,
        /// The length that the other sizes ask for.
        expected: usize,
        /// The length of the slice.
        found: usize,
    },
    /// A value does not have the number of channels that the operation needs.
    #[error("{op}: expected {expected} channels of {what}, found {found}")]
    Channels {
        /// The operation.
        op: &'static str,
        /// The value.
        what: &'static str,
        /// The channels that the other inputs ask for.
        expected: usize,
        /// The channels of the value.
        found: usize,
    },
    /// A map does not have the height and width that the operation needs.
    #[error("{op}: expected {} x {} pixels of {what}, found {} x {}", expected[0], expected[1], found[0], found[1])]
    Size {
        /// The operation.
        op: &'static str,
        /// The map.
        what: &'static str,
        /// Height and width that the other inputs ask for.
        expected: [usize; 2],
        /// Height and width of the map.
        found: [usize; 2],
    },
    /// The window is larger than the padded map.
    #[error("{op}: a window that spans {extent} pixels does not fit into {padded}, padding included")]
    Window {
        /// The operation.
        op: &'static str,
        /// Pixels from the first tap to the last, both included.
        extent: u128,
        /// Pixels of the side, padding included.
        padded: u128,
    },
    /// The product of these sizes is more than an address space holds.
    #[error("{0:?} values are more than any memory holds")]
    TooLarge(Vec<usize>),
    /// No kernel has these options; see [`ConvolutionShape::is_supported`](crate::ConvolutionShape::is_supported).
    #[error("{op}: there is no kernel for {what}")]
    Unsupported {
        /// The operation.
        op: &'static str,
        /// The option.
        what: &'static str,
    },
    /// A value of another network.
    #[error("value {0} is not of this network")]
    UnknownValue(usize),
}

impl Error {
    /// [`Zero`](Self::Zero) if `count` is 0.
    pub(crate) fn if_zero(op: &'static str, what: &'static str, count: usize) -> Result<(), Self> {
        if count == 0 {
            return Err(Self::Zero { op, what });
        }
        Ok(())
    }

    /// [`Length`](Self::Length) if a slice of `found` values does not have the `sides` of its shape.
    pub(crate) fn unless_length(
        op: &'static str,
        what: &'static str,
        sides: &[usize],
        found: usize,
    ) -> Result<(), Self> {
        let expected = volume(sides)?;
        if expected != found {
            return Err(Self::Length {
                op,
                what,
                expected,
                found,
            });
        }
        Ok(())
    }
}

/// The product of the sides of something that is to lie in memory.
///
/// # Errors
///
/// [`Error::TooLarge`] when no memory can hold as many `f32`: raw pointers rely on products of sizes that do not wrap.
pub(crate) fn volume(sides: &[usize]) -> Result<usize, Error> {
    sides
        .iter()
        .try_fold(1_usize, |volume, &side| volume.checked_mul(side))
        .filter(|&volume| volume < isize::MAX as usize / size_of::<f32>())
        .ok_or_else(|| Error::TooLarge(sides.to_vec()))
}
