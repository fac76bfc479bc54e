//! What the tags of a TIFF file say about its samples.

use super::directory::{Directory, tag};

/// What samples mean (`PhotometricInterpretation`).
const WHITE_IS_ZERO: u64 = 0;
const BLACK_IS_ZERO: u64 = 1;
const RGB: u64 = 2;
const PALETTE: u64 = 3;
const MASK: u64 = 4;
const INKS: u64 = 5;
const YCBCR: u64 = 6;
/// CIE L*a*b*, with signed a* and b*.
const LAB: u64 = 8;
/// Its two encodings by ICC and ITU.
const OTHER_LAB: std::ops::RangeInclusive<u64> = 9..=10;

/// Samples of red, green and blue.
const COLOURS: u64 = 3;

/// Kinds of numbers (`SampleFormat`).
const UNSIGNED: u64 = 1;
const SIGNED: u64 = 2;
const FLOAT: u64 = 3;

/// The meaning of an additional sample (`ExtraSamples`).
const NOTHING: u64 = 0;
const PREMULTIPLIED: u64 = 1;
const ALPHA: u64 = 2;
/// Corel Draw 10's alpha (`TiffImagePlugin.py`, `OPEN_INFO`).
const COREL_ALPHA: u64 = 999;

/// Uncompressed.
pub(super) const NONE: u64 = 1;

/// JPEG compression of the second kind (TIFF technical note 2).
pub(super) const JPEG: u64 = 7;

/// JPEG compression of the first kind (TIFF 6.0, section 22).
pub(super) const OLD_JPEG: u64 = 6;

/// The compressions of fax machines, for pixels of one bit.
pub(super) const FAX: std::ops::RangeInclusive<u64> = 2..=4;

/// Pillow reads at most six samples for a pixel.
const MAX_SAMPLES: u64 = 16;

/// The samples of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Levels of grey of at most eight bits.
    Grey { inverted: bool },
    /// Levels of grey of 12 or 16 bits. In a negative, which Pillow takes for a positive, 0 is white.
    DeepGrey { negative: bool },
    /// Signed bytes.
    Signed8,
    /// Whole numbers of 16 bits with a sign, or of 32 bits.
    Integer { signed: bool },
    /// Floating-point numbers of 32 bits.
    Float { negative: bool },
    /// Red, green and blue, of 8 or 16 bits.
    Rgb,
    /// Places in a palette.
    Palette,
    /// Cyan, magenta, yellow and black, of 8 or 16 bits.
    Inks,
    /// Lightness and two colour differences.
    YCbCr,
    /// CIE L*a*b*, of 8 bits.
    Lab,
}

/// The transparency of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpha {
    Opaque,
    Straight,
    /// The colours are multiplied by it.
    Premultiplied,
}

pub(super) struct Header {
    pub width: u32,
    pub height: u32,
    pub compression: u64,
    pub predictor: u64,
    /// Each sample lies in a plane of its own.
    pub is_planar: bool,
    /// The first pixel of a byte is in its lowest bits.
    pub is_reversed: bool,
    pub bits: usize,
    /// Samples of a pixel in the file.
    pub samples: usize,
    pub kind: Kind,
    pub alpha: Alpha,
}

impl Header {
    /// # Errors
    ///
    /// What about the file is not read.
    pub fn read(directory: &Directory<'_>) -> Result<Self, String> {
        let number = |tag| directory.number(tag);
        let size = |tag| number(tag).and_then(|size| u32::try_from(size).ok());
        let (Some(width @ 1..), Some(height @ 1..)) = (size(tag::WIDTH), size(tag::HEIGHT)) else {
            return Err("its size is missing".into());
        };
        let is_old_jpeg = number(tag::COMPRESSION) == Some(OLD_JPEG);
        let samples = number(tag::SAMPLES).unwrap_or(if is_old_jpeg { COLOURS } else { 1 });
        if samples > MAX_SAMPLES {
            return Err(format!("it has {samples} samples for each pixel"));
        }
        let bits = directory.numbers(tag::BITS).unwrap_or(vec![1]);
        let bits = match bits[..] {
            [first, ..] if bits.iter().take(samples as usize).all(|&bits| bits == first) => first,
            _ => return Err("its samples have different numbers of bits".into()),
        };
        let formats = directory.numbers(tag::SAMPLE_FORMAT).unwrap_or_default();
        let format = formats.first().copied().unwrap_or(UNSIGNED);
        if formats.iter().any(|&other| other != format) {
            return Err("its samples are different kinds of numbers".into());
        }
        // Pillow takes a file that does not say it for one whose white is zero.
        let colours = match number(tag::PHOTOMETRIC) {
            None | Some(RGB) if is_old_jpeg => YCBCR,
            colours => colours.unwrap_or(WHITE_IS_ZERO),
        };
        let kind = kind(colours, format, bits)?;
        let extra = directory.numbers(tag::EXTRA_SAMPLES).unwrap_or_default();
        let count = kind.colours(samples);
        let is_fax = number(tag::COMPRESSION).is_some_and(|compression| FAX.contains(&compression));
        if is_fax && (bits, samples) != (1, 1) {
            return Err("its data are compressed as a fax, but are not black and white".into());
        }
        let is_planar = number(tag::PLANES) == Some(2) && samples > 1;
        let compression = number(tag::COMPRESSION).unwrap_or(1);
        let first = extra.first().copied();
        let is_one = first.is_some() || samples == count + 1;
        let is_rgb = kind == Kind::Rgb;
        // libtiff takes an alpha of unknown kind for one that the colours are multiplied by, and Pillow listens where
        // it reads planes by libtiff.
        let is_of_libtiff = first.is_none() && is_planar && compression != NONE;
        let is_premultiplied = is_one && is_rgb && (first == Some(PREMULTIPLIED) || is_of_libtiff);
        let is_alpha = match first {
            Some(ALPHA) => is_rgb || bits == 8 && matches!(kind, Kind::Grey { .. } | Kind::Palette),
            Some(COREL_ALPHA) | None => is_one && is_rgb,
            _ => false,
        };
        let alpha = match samples.checked_sub(count) {
            None => return Err(format!("it has {samples} samples for each pixel, not {count}")),
            Some(more) if more == 0 || first == Some(NOTHING) => Alpha::Opaque,
            Some(_) if is_premultiplied => Alpha::Premultiplied,
            Some(_) if is_alpha => Alpha::Straight,
            Some(more) => {
                return Err(format!(
                    "it has {more} additional samples for each pixel, of unknown meaning"
                ));
            }
        };
        Ok(Self {
            width,
            height,
            compression,
            predictor: number(tag::PREDICTOR).unwrap_or(1),
            is_planar,
            is_reversed: number(tag::FILL_ORDER) == Some(2),
            bits: bits as usize,
            samples: samples as usize,
            kind,
            alpha,
        })
    }

    /// The samples of a pixel that are read: the first ones.
    pub fn kept(&self) -> usize {
        let alpha = usize::from(self.alpha != Alpha::Opaque);
        self.kind.colours(self.samples as u64) as usize + alpha
    }
}

impl Kind {
    /// The samples for a colour, in a file of so many samples for a pixel.
    pub fn colours(self, samples: u64) -> u64 {
        match self {
            // Pillow reads a YCbCr file of one sample as grey.
            Self::YCbCr if samples == 1 => 1,
            Self::Rgb | Self::YCbCr | Self::Lab => 3,
            Self::Inks => 4,
            _ => 1,
        }
    }
}

/// The kinds that Pillow reads (`TiffImagePlugin.py`, `OPEN_INFO`), some of them also in the other order of bytes or
/// with more additional samples than there.
fn kind(colours: u64, format: u64, bits: u64) -> Result<Kind, String> {
    let range = "without a fixed range, so that only you know which of them is white";
    Ok(match (colours, format, bits) {
        (WHITE_IS_ZERO | BLACK_IS_ZERO, UNSIGNED, 1 | 2 | 4 | 8) => Kind::Grey {
            inverted: colours == WHITE_IS_ZERO,
        },
        (WHITE_IS_ZERO | BLACK_IS_ZERO, UNSIGNED, 12 | 16) => Kind::DeepGrey {
            negative: colours == WHITE_IS_ZERO,
        },
        (BLACK_IS_ZERO, SIGNED, 8) => Kind::Signed8,
        (BLACK_IS_ZERO, SIGNED, 16 | 32) | (BLACK_IS_ZERO, UNSIGNED, 32) => Kind::Integer {
            signed: format == SIGNED,
        },
        (WHITE_IS_ZERO | BLACK_IS_ZERO, FLOAT, 32) => Kind::Float {
            negative: colours == WHITE_IS_ZERO,
        },
        (RGB, UNSIGNED, 8 | 16) => Kind::Rgb,
        (PALETTE, UNSIGNED, 1 | 2 | 4 | 8) => Kind::Palette,
        (INKS, UNSIGNED, 8 | 16) => Kind::Inks,
        (YCBCR, UNSIGNED, 8) => Kind::YCbCr,
        (LAB, UNSIGNED, 8) => Kind::Lab,
        (LAB, ..) => return Err("its colours are CIE L*a*b* of other numbers than bytes".into()),
        (colours, ..) if OTHER_LAB.contains(&colours) => {
            return Err("its colours are CIE L*a*b* as coded by ICC or ITU".into());
        }
        (MASK, ..) => return Err("it is a mask for another picture".into()),
        (WHITE_IS_ZERO..=YCBCR, FLOAT, _) => {
            return Err(format!("its samples are {bits}-bit floating-point numbers {range}"));
        }
        (WHITE_IS_ZERO..=YCBCR, SIGNED, _) => {
            return Err(format!("its samples are signed {bits}-bit integers {range}"));
        }
        (WHITE_IS_ZERO..=YCBCR, UNSIGNED, 17..) => return Err(format!("its samples are {bits}-bit integers {range}")),
        (WHITE_IS_ZERO..=YCBCR, UNSIGNED, _) => return Err(format!("its samples have {bits} bits")),
        (WHITE_IS_ZERO..=YCBCR, ..) => return Err("its samples are numbers of an unknown kind".into()),
        _ => {
            return Err(format!(
                "its colours are of an unknown kind (photometric interpretation {colours})"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_are_not_read_are_named() {
        for (colours, format, bits, expected) in [
            (BLACK_IS_ZERO, FLOAT, 64, "64-bit floating-point"),
            (RGB, FLOAT, 16, "16-bit floating-point"),
            (RGB, SIGNED, 32, "signed 32-bit integers"),
            (RGB, UNSIGNED, 32, "are 32-bit integers"),
            (RGB, UNSIGNED, 4, "have 4 bits"),
            (BLACK_IS_ZERO, 5, 32, "unknown kind"),
            (MASK, UNSIGNED, 1, "mask"),
            (LAB, UNSIGNED, 16, "CIE L*a*b* of other numbers"),
            (LAB, SIGNED, 8, "CIE L*a*b* of other numbers"),
            (9, UNSIGNED, 8, "CIE L*a*b* as coded by ICC"),
            (32_803, UNSIGNED, 16, "photometric interpretation 32803"),
        ] {
            let found = kind(colours, format, bits).unwrap_err();
            assert!(found.contains(expected), "{colours} {format} {bits}: {found}");
        }
    }
}
