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

    /// Numbers without a fixed range that Pillow cuts to 0 to 255.
    #[error(
        "its samples are {numbers} from {smallest} to {largest}, which Pillow cuts to whole numbers from 0 to 255, so \
         the picture may be black or white; SixteenBitMode::Stretch (--sixteen-bit stretch) spreads them"
    )]
    Cut {
        /// What the numbers are.
        numbers: &'static str,
        /// The smallest number.
        smallest: String,
        /// The largest number.
        largest: String,
    },

    /// A clear kind of file that Pillow reads to noise.
    #[error("Pillow misreads {what}; the picture here is right, but no network saw such a one that Pillow read")]
    Misread {
        /// The kind of file.
        what: &'static str,
    },

    /// Signed bytes, which Pillow reads as unsigned ones.
    #[error("its samples are signed bytes, which Pillow reads as unsigned ones: -1 becomes 255")]
    Signed,

    /// Samples of which 0 is white, where Pillow takes 0 for black.
    #[error("0 is white in its {bits}-bit samples, which Pillow reads as black, so the picture is a negative")]
    Negative {
        /// Bits of a sample.
        bits: usize,
    },
}
