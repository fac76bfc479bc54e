//! Blocks of four by four pixels, as graphics cards keep textures (BC1 to BC7), with Pillow's roundings
//! (`BcnDecode.c`).
//!
//! The crate `dds` rounds levels between two colours to the nearest (`decode/bc.rs`), where Pillow cuts them.

mod bc6;
mod bc7;
mod block;
mod four_colours;
mod partitions;

use image::DynamicImage;

pub(super) use self::four_colours::Fifths;
use self::{
    bc6::bc6,
    bc7::bc7,
    block::{Block, SIDE},
    four_colours::{bc1, bc2, bc3, levels},
};
use super::{canvas::Canvas, error::PictureError, fault::early};

/// A kind of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    /// Four colours, or three and black without opacity.
    Bc1(Fifths),
    /// Four colours, and opacity of four bits.
    Bc2(Fifths),
    /// Four colours, and eight levels of opacity.
    Bc3(Fifths),
    /// Eight levels of grey.
    Bc4,
    /// Eight levels of red and of green.
    Bc5 {
        is_signed: bool,
    },
    /// Floating-point numbers.
    Bc6 {
        is_signed: bool,
    },
    Bc7,
}

impl Blocks {
    fn byte_len(self) -> usize {
        match self {
            Self::Bc1(_) | Self::Bc4 => 8,
            _ => 16,
        }
    }

    /// Whether pixels have an opacity.
    fn has_alpha(self) -> bool {
        matches!(self, Self::Bc1(_) | Self::Bc2(_) | Self::Bc3(_) | Self::Bc7)
    }

    /// The pixels of a block; `None` if bytes are missing.
    fn pixels(self, block: &[u8]) -> Option<Block> {
        let (&first, rest) = block.split_first_chunk()?;
        if let Self::Bc1(fifths) = self {
            return Some(bc1(first, fifths));
        } else if self == Self::Bc4 {
            return Some(levels(first).map(|level| [level, level, level, 255]));
        }
        let second = *rest.first_chunk()?;
        let bits = u128::from_le_bytes(*block.first_chunk()?);
        Some(match self {
            Self::Bc2(fifths) => bc2(first, second, fifths),
            Self::Bc3(fifths) => bc3(first, second, fifths),
            Self::Bc5 { is_signed } => {
                // Signed levels are moved up by half of the range, in which blue stays.
                let (blue, sign) = if is_signed { (128, 0x80) } else { (0, 0) };
                let [reds, greens] = [first, second].map(|mut block| {
                    for end in &mut block[..2] {
                        *end ^= sign;
                    }
                    levels(block)
                });
                std::array::from_fn(|index| [reds[index], greens[index], blue, 255])
            }
            Self::Bc6 { is_signed } => bc6(bits, is_signed),
            _ => bc7(bits),
        })
    }

    /// A picture of rows of blocks; those at the right and lower edges may reach beyond it.
    pub fn picture(self, canvas: &Canvas, data: &[u8]) -> Result<DynamicImage, PictureError> {
        let across = canvas.width.div_ceil(SIDE);
        let row_len = across * self.byte_len();
        let data = data.get(..row_len * canvas.height.div_ceil(SIDE));
        let data = data.ok_or_else(|| early(canvas.format))?;
        let channels = if self.has_alpha() { 4 } else { 3 };
        let mut samples = vec![0; canvas.pixels() * channels];
        let rows = samples.chunks_mut(canvas.width * channels * SIDE);
        for (blocks, rows) in data.chunks(row_len).zip(rows) {
            for (column, block) in blocks.chunks(self.byte_len()).enumerate() {
                let pixels = self.pixels(block).ok_or_else(|| early(canvas.format))?;
                let rows = rows.chunks_mut(canvas.width * channels);
                for (row, pixels) in rows.zip(pixels.chunks(SIDE)) {
                    let places = row.chunks_exact_mut(channels).skip(column * SIDE);
                    for (place, pixel) in places.zip(pixels) {
                        place.copy_from_slice(&pixel[..channels]);
                    }
                }
            }
        }
        if self.has_alpha() {
            canvas.picture(samples, DynamicImage::ImageRgba8)
        } else {
            canvas.picture(samples, DynamicImage::ImageRgb8)
        }
    }
}
