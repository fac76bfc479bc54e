//! BLP (textures of Blizzard's games), with Pillow's numbers (`BlpImagePlugin.py`): the largest level.

use image::DynamicImage;

use super::{
    bcn::{Blocks, Fifths},
    canvas::{Canvas, Palette},
    error::PictureError,
    fault::{damaged, early, unsupported},
    jpeg::decode_with_inks,
    limits::DecodeLimits,
    numbers::long,
    warning::PictureWarning,
};

const FORMAT: &str = "BLP";

/// Bytes of the places of 16 levels, behind which their lengths stand.
const LEVELS: usize = 16 * 4;
const PALETTE: usize = 4 * 256;

/// How a JPEG file begins.
const JPEG: &[u8] = b"\xff\xd8\xff";

/// A file whose header is read.
struct Texture<'a> {
    bytes: &'a [u8],
    canvas: Canvas,
    has_alpha: bool,
    /// Place and length of the largest level, as the header has them.
    level: (usize, usize),
    /// What follows the header: a palette, or what the JPEG data of all levels begin with.
    common_at: usize,
}

pub(super) fn decode_blp(
    bytes: &[u8],
    limits: &DecodeLimits,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let number = |at| long(bytes, at).ok_or_else(|| early(FORMAT));
    let is_first = bytes.starts_with(b"BLP1");
    let levels_at = if is_first { 28 } else { 20 };
    // Each a byte in the second version.
    let kinds = number(8)?.to_le_bytes();
    let texture = Texture {
        bytes,
        canvas: Canvas::new(FORMAT, [number(12)?, number(16)?], 4, limits)?,
        has_alpha: if is_first { number(8)? != 0 } else { kinds[1] != 0 },
        level: (number(levels_at)?, number(levels_at + LEVELS)?),
        common_at: levels_at + 2 * LEVELS,
    };
    match (is_first, number(4)?) {
        (true, 0) => texture.jpeg(limits, warnings),
        (true, 1) if matches!(number(20)?, 4 | 5) => texture.places(texture.common_at + PALETTE),
        (false, 1) if kinds[0] == 1 => texture.places(texture.level.0),
        (false, 1) if kinds[0] == 2 => texture.blocks(kinds[2], warnings),
        _ => Err(unsupported(
            FORMAT,
            "its pixels are neither JPEG, places in a palette nor blocks",
        )),
    }
}

impl<'a> Texture<'a> {
    fn part(&self, at: usize, length: usize) -> Result<&'a [u8], PictureError> {
        let part = self.bytes.get(at..).and_then(|part| part.get(..length));
        part.ok_or_else(|| early(FORMAT))
    }

    /// Places in the palette, whose fourth byte is the opacity.
    fn places(&self, at: usize) -> Result<DynamicImage, PictureError> {
        let colours = self.part(self.common_at, PALETTE)?.as_chunks().0.iter();
        let colours = colours.map(|&[blue, green, red, alpha]| [red, green, blue, alpha]);
        let palette = Palette::new(colours, self.has_alpha).ok_or_else(|| early(FORMAT))?;
        let places = self.part(at, self.level.1)?;
        let places = places.get(..self.canvas.pixels()).ok_or_else(|| early(FORMAT))?;
        self.canvas.of_places(places, &palette)
    }

    fn blocks(&self, kind: u8, warnings: &mut Vec<PictureWarning>) -> Result<DynamicImage, PictureError> {
        let fifths = Fifths::WithZeros;
        let blocks = match kind {
            0 => Blocks::Bc1(fifths),
            1 => Blocks::Bc2(fifths),
            7 => Blocks::Bc3(fifths),
            _ => return Err(unsupported(FORMAT, format!("its blocks are of the kind {kind}"))),
        };
        // Pillow reads a palette even here.
        self.part(self.common_at, PALETTE)?;
        let data = self.bytes.get(self.level.0..).unwrap_or_default();
        let picture = blocks.picture(&self.canvas, data)?;
        let misread = if !self.canvas.width.is_multiple_of(4) {
            Some("blocks that reach beyond the right edge")
        } else if kind != 0 && !self.has_alpha {
            Some("blocks with an opacity that the header denies")
        } else {
            None
        };
        warnings.extend(misread.map(|what| PictureWarning::Misread { what }));
        Ok(match picture {
            picture if self.has_alpha => picture,
            picture => picture.into_rgb8().into(),
        })
    }

    /// JPEG data of blue, green and red. Pillow lays their pixels out anew if their size is another than the header's.
    fn jpeg(&self, limits: &DecodeLimits, warnings: &mut Vec<PictureWarning>) -> Result<DynamicImage, PictureError> {
        let length = long(self.bytes, self.common_at).ok_or_else(|| early(FORMAT))?;
        let common = self.part(self.common_at + 4, length)?;
        let level = self.part(self.level.0.max(self.common_at + 4 + length), self.level.1)?;
        let file = [common, level].concat();
        if !file.starts_with(JPEG) {
            return Err(damaged(FORMAT, "its JPEG data have no beginning"));
        }
        let inner = decode_with_inks(&file, limits)?;
        warnings.extend(
            inner
                .damage
                .map(|reason| PictureWarning::Damaged { format: FORMAT, reason }),
        );
        let mut samples = inner.rgb;
        samples.truncate(3 * self.canvas.pixels());
        for pixel in samples.as_chunks_mut::<3>().0 {
            pixel.reverse();
        }
        self.canvas.picture(samples, DynamicImage::ImageRgb8)
    }
}
