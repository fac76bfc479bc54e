//! Warnings about a picture that is read.

/// A fact about a file that makes its picture doubtful.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureWarning {
    /// Damage that libjpeg or Pillow reads over, to the same pixels.
    #[error(
        "the {format} file is damaged ({reason}); it is read as Pillow reads it, so part of the picture may be wrong"
    )]
    Damaged {
        /// The format its first bytes promise.
        format: &'static str,
        /// What is damaged.
        reason: String,
    },

    /// 16-bit samples that use only a few of their bits, as 10-, 12- and 14-bit cameras and scanners write.
    #[error(
        "the largest of its 16-bit samples is {largest}, as if they held {bits}-bit data, so the picture is nearly \
         black; SixteenBitMode::Stretch (--sixteen-bit stretch) makes it light"
    )]
    Dark {
        /// The largest sample.
        largest: u16,
        /// Bits that hold it.
        bits: u32,
    },
}
