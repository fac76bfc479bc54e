//! BMP, and DIB without its first header, with Pillow's numbers (`BmpImagePlugin.py`).
//!
//! `image` rounds colours of five bits where Pillow cuts them, leaves the pixels that run lengths skip black where
//! Pillow gives them the first colour, and refuses OS/2 headers.

use image::{DynamicImage, RgbImage, RgbaImage};

use super::{
    error::PictureError,
    fault::{early, unsupported},
    limits::{DecodeLimits, check_size},
    numbers::{long, short},
    options::DecodeOptions,
    warning::PictureWarning,
};
use crate::reading::TruncatedMode;

const FORMAT: &str = "BMP";

/// Bytes before the second header, which begins with its own length.
const FILE_HEADER: usize = 14;
/// The second header of OS/2 1, whose numbers have 16 bits.
const CORE_HEADER: usize = 12;
/// The second headers of Windows (3, its two extensions, 4 and 5) and of OS/2 2.
const HEADERS: [usize; 6] = [40, 52, 56, 64, 108, 124];

/// Kinds of data (`biCompression`).
const PLAIN: u32 = 0;
const RUNS_OF_8_BITS: u32 = 1;
const RUNS_OF_4_BITS: u32 = 2;
const MASKS: u32 = 3;

/// The second header, which is the first of a DIB file.
pub(super) struct Header {
    pub width: usize,
    pub height: usize,
    /// Rows begin with the lowest, as in most files.
    is_upward: bool,
    bits: usize,
    compression: u32,
    /// Colours in the palette, and bytes of each.
    colours: usize,
    colour_len: usize,
    /// Bits of red, green, blue and transparency in a pixel.
    masks: [u32; 4],
    /// The fourth byte of plain pixels of 32 bits is transparency, as in cursors.
    pub has_alpha: bool,
    palette_at: usize,
    pub pixels_at: usize,
}

/// `None` for kinds that Pillow does not read, or damaged headers.
pub(super) fn decode_bmp(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Option<Result<DynamicImage, PictureError>> {
    let header = Header::read(bytes, FILE_HEADER, long(bytes, 10)?)?;
    header.decode_or_fill(bytes, options, warnings)
}

/// A file that begins with the second header of a BMP file.
pub(super) fn decode_dib(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let unknown = || unsupported("DIB", "its header or its kind of pixels is unknown");
    let header = Header::read(bytes, 0, 0).ok_or_else(unknown)?;
    header.decode_or_fill(bytes, options, warnings).ok_or_else(unknown)?
}

impl Header {
    /// The header at a place; `pixels_at` is 0 where the pixels follow it.
    pub fn read(bytes: &[u8], at: usize, mut pixels_at: usize) -> Option<Self> {
        let length = long(bytes, at)?;
        let number = |place: usize| long(bytes, at + place);
        let mask_at = |place: usize| number(place).map(|mask| mask as u32);
        let start = at + length;
        bytes.get(at..start)?;
        let mut palette_at = start;
        let mut header = if length == CORE_HEADER {
            Self {
                width: short(bytes, at + 4)?,
                height: short(bytes, at + 6)?,
                is_upward: true,
                bits: short(bytes, at + 10)?,
                compression: PLAIN,
                colours: 0,
                colour_len: 3,
                masks: [0; 4],
                has_alpha: false,
                palette_at: 0,
                pixels_at: 0,
            }
        } else if HEADERS.contains(&length) {
            let (height, compression) = (number(8)? as u32, number(16)? as u32);
            // Pillow looks at the upper byte of a negative height alone.
            let is_upward = height >> 24 != 0xff;
            let mut masks = [0; 4];
            if compression == MASKS {
                let count = if length >= 56 { 4 } else { 3 };
                for (index, mask) in masks.iter_mut().take(count).enumerate() {
                    *mask = mask_at(40 + 4 * index)?;
                }
                if length == HEADERS[0] {
                    palette_at += 12;
                }
            }
            Self {
                width: number(4)?,
                height: if is_upward { height } else { height.wrapping_neg() } as usize,
                is_upward,
                bits: short(bytes, at + 14)?,
                compression,
                colours: number(32)?,
                colour_len: 4,
                masks,
                has_alpha: false,
                palette_at: 0,
                pixels_at: 0,
            }
        } else {
            return None;
        };
        if header.bits <= 8 {
            if header.colours == 0 {
                header.colours = 1 << header.bits;
            }
            if header.colours > 1 << 16 {
                return None;
            }
            // Some programs leave the palette out of account.
            if pixels_at == start && at == FILE_HEADER {
                pixels_at += header.colour_len * header.colours;
            }
        }
        if pixels_at == 0 {
            let palette_len = if header.bits <= 8 {
                header.colour_len * header.colours
            } else {
                0
            };
            pixels_at = palette_at + palette_len;
        }
        (header.palette_at, header.pixels_at) = (palette_at, pixels_at);
        Some(header)
    }

    /// The picture of a file, of which rows may be missing if the options say so.
    fn decode_or_fill(
        &self,
        bytes: &[u8],
        options: &DecodeOptions,
        warnings: &mut Vec<PictureWarning>,
    ) -> Option<Result<DynamicImage, PictureError>> {
        warnings.extend(self.pillows_error(bytes).map(|what| PictureWarning::Misread { what }));
        let size = [self.width, self.height].map(u32::try_from);
        if let [Ok(width), Ok(height)] = size
            && let Err(error) = check_size(width, height, 4, &options.limits)
        {
            return Some(Err(error));
        }
        let fill = options.reading.truncated == TruncatedMode::Fill;
        let filled = if fill { self.filled(bytes) } else { None };
        warnings.extend(filled.is_some().then(|| PictureWarning::Damaged {
            format: FORMAT,
            reason: "rows of pixels are missing".to_owned(),
        }));
        self.decode(filled.as_deref().unwrap_or(bytes), &options.limits)
    }

    /// The file with zeros for missing rows, as with `LOAD_TRUNCATED_IMAGES`; `None` if no row is complete or none is
    /// missing, and for run lengths.
    fn filled(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (used, stride) = self.row_lens();
        let data = bytes.get(self.pixels_at..)?;
        // A damaged header may have no bits for a pixel.
        let complete = 1 + data.len().checked_sub(used)?.checked_div(stride)?;
        let is_plain = matches!(self.compression, PLAIN | MASKS) && self.bits <= 32;
        (is_plain && complete < self.height).then(|| {
            let mut filled = bytes[..self.pixels_at + (complete - 1) * stride + used].to_vec();
            filled.resize(self.pixels_at + self.height * stride, 0);
            filled
        })
    }

    /// Bytes of a row without and with its padding.
    fn row_lens(&self) -> (usize, usize) {
        let bits = self.width * self.bits;
        (bits.div_ceil(8), bits.div_ceil(32) * 4)
    }

    /// The picture of a whole file.
    pub fn decode(&self, bytes: &[u8], limits: &DecodeLimits) -> Option<Result<DynamicImage, PictureError>> {
        let (width, height) = (u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?);
        if width == 0 || height == 0 {
            return None;
        }
        if let Err(error) = check_size(width, height, 4, limits) {
            return Some(Err(error));
        }
        let data = bytes.get(self.pixels_at..).unwrap_or_default();
        let pixels = match (self.compression, self.bits) {
            (RUNS_OF_8_BITS, 8) | (RUNS_OF_4_BITS, 4) => self.runs(data, self.pixels_at % 2 == 1),
            (PLAIN, 1 | 4 | 8) => self.packed(data),
            (PLAIN | MASKS, 16) => return self.fifths(data).map(|rgb| self.picture(&rgb, &[])),
            (PLAIN | MASKS, 24 | 32) => return self.bytes(data).map(|(rgb, alpha)| self.picture(&rgb, &alpha)),
            _ => return None,
        };
        let Some(places) = pixels else {
            return Some(Err(early(FORMAT)));
        };
        let palette = self.palette(bytes);
        let colour = |&place: &u8| palette.get(usize::from(place)).copied().unwrap_or_default();
        let rgb: Vec<[u8; 3]> = places.iter().map(colour).collect();
        Some(self.picture(&rgb, &[]))
    }

    /// Rows from the file's order to that from top to bottom; `alpha` is empty for opaque pictures.
    fn picture(&self, rgb: &[[u8; 3]], alpha: &[u8]) -> Result<DynamicImage, PictureError> {
        if rgb.len() < self.width * self.height {
            return Err(early(FORMAT));
        }
        let (width, height) = (self.width as u32, self.height as u32);
        let place = |x: u32, y: u32| {
            let y = if self.is_upward { height - 1 - y } else { y };
            y as usize * self.width + x as usize
        };
        Ok(if alpha.is_empty() {
            DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| rgb[place(x, y)].into()))
        } else {
            DynamicImage::ImageRgba8(RgbaImage::from_fn(width, height, |x, y| {
                let [red, green, blue] = rgb[place(x, y)];
                [red, green, blue, alpha[place(x, y)]].into()
            }))
        })
    }

    /// Whether the palette is levels of grey in order, as Pillow sees it.
    pub fn is_grey(&self, bytes: &[u8]) -> bool {
        let palette = bytes.get(self.palette_at..).unwrap_or_default();
        let colours = palette
            .chunks(self.colour_len)
            .map(|colour| &colour[..colour.len().min(3)]);
        let levels = (0..self.colours).map(|index| if self.colours == 2 { index * 255 } else { index });
        self.bits <= 8 && palette.len() >= self.colours * self.colour_len && {
            let mut pairs = levels.zip(colours);
            pairs.all(|(level, colour)| *colour == [level as u8; 3])
        }
    }

    /// The kind that Pillow reads to noise: it takes pixels with a palette of grey levels for bytes, or for single bits
    /// if there are no more than two.
    pub fn pillows_error(&self, bytes: &[u8]) -> Option<&'static str> {
        let bits = if self.colours <= 2 { 1 } else { 8 };
        let is_misread = self.compression == PLAIN && self.bits != bits && self.is_grey(bytes);
        is_misread.then_some("grey levels in pixels of more or fewer bits than they need")
    }

    /// Grey levels in order count as no palette, so that places beyond them are levels, too; else these are black.
    fn palette(&self, bytes: &[u8]) -> Vec<[u8; 3]> {
        let palette = bytes.get(self.palette_at..).unwrap_or_default();
        let colours = palette.chunks_exact(self.colour_len).take(self.colours);
        let palette: Vec<_> = colours.map(|colour| [colour[2], colour[1], colour[0]]).collect();
        let mut levels = (0..=u8::MAX).zip(&palette);
        if self.bits == 8 && self.colours > 2 && levels.all(|(level, colour)| *colour == [level; 3]) {
            return (0..=u8::MAX).map(|level| [level; 3]).collect();
        }
        // A single black counts as black and white.
        if self.bits == 1 && palette == [[0; 3]] {
            return vec![[0; 3], [255; 3]];
        }
        palette
    }

    /// The pixels' bytes of each row, without padding; `None` if some are missing.
    fn rows<'d>(&self, data: &'d [u8]) -> Option<impl Iterator<Item = &'d [u8]>> {
        let (used, stride) = self.row_lens();
        // The padding of the last row may be missing.
        let data = data.get(..(self.height - 1) * stride + used)?;
        Some(data.chunks(stride).map(move |row| &row[..used]))
    }

    /// Places in the palette.
    fn packed(&self, data: &[u8]) -> Option<Vec<u8>> {
        let place = |row: &[u8], column: usize| {
            let start = column * self.bits;
            let mask = u8::MAX >> (8 - self.bits);
            (row[start / 8] >> (8 - self.bits - start % 8)) & mask
        };
        let row = |row| (0..self.width).map(move |column| place(row, column));
        Some(self.rows(data)?.flat_map(row).collect())
    }

    /// Colours of five bits, or six of green. `None` for other masks.
    fn fifths(&self, data: &[u8]) -> Option<Vec<[u8; 3]>> {
        let (red, green) = match self.masks {
            [0xf800, 0x07e0, 0x1f, _] => (11, 63),
            [0x7c00, 0x03e0, 0x1f, _] => (10, 31),
            _ if self.compression == PLAIN => (10, 31),
            _ => return None,
        };
        // `Unpack.c`, `ImagingUnpackBGR15` and `ImagingUnpackBGR16`.
        let colour = |&pair: &[u8; 2]| {
            let pixel = u32::from(u16::from_le_bytes(pair));
            [
                ((pixel >> red) & 31, 31),
                ((pixel >> 5) & green, green),
                (pixel & 31, 31),
            ]
            .map(|(level, largest)| (level * 255 / largest) as u8)
        };
        let rows = self.rows(data).into_iter().flatten();
        Some(rows.flat_map(|row| row.as_chunks().0.iter().map(colour)).collect())
    }

    /// Colours of eight bits, and transparency if there is any. `None` for other masks.
    fn bytes(&self, data: &[u8]) -> Option<(Vec<[u8; 3]>, Vec<u8>)> {
        let [red, green, blue, alpha] = if self.compression == PLAIN {
            // The fourth byte of a pixel counts for nothing, but in cursors.
            [0xff_0000, 0xff00, 0xff, if self.has_alpha { 0xff00_0000 } else { 0 }]
        } else if self.masks == [0; 4] && self.bits == 32 {
            [0xff_0000, 0xff00, 0xff, 0xff00_0000]
        } else {
            self.masks
        };
        let count = self.bits / 8;
        let byte = |mask: u32| {
            let place = (mask.trailing_zeros() / 8) as usize;
            (mask != 0 && mask == 0xff << (8 * place) && place < count).then_some(place)
        };
        let places = [byte(red)?, byte(green)?, byte(blue)?];
        let alpha = if alpha == 0 || count == 3 {
            None
        } else {
            Some(byte(alpha)?)
        };
        let rows = || {
            self.rows(data)
                .into_iter()
                .flatten()
                .flat_map(|row| row.chunks_exact(count))
        };
        let rgb = rows().map(|pixel| places.map(|place| pixel[place])).collect();
        let alpha = alpha.map_or(Vec::new(), |place| rows().map(|pixel| pixel[place]).collect());
        Some((rgb, alpha))
    }

    /// Places in the palette from run lengths (`BmpRleDecoder`). Skipped pixels have the first colour. `starts_odd`:
    /// the data begin at an odd place of the file.
    fn runs(&self, data: &[u8], starts_odd: bool) -> Option<Vec<u8>> {
        let (width, all) = (self.width, self.width * self.height);
        let is_narrow = self.compression == RUNS_OF_4_BITS;
        let mut places = Vec::with_capacity(all);
        let (mut at, mut x) = (0, 0);
        while places.len() < all {
            let Some(&[count, value]) = data.get(at..).and_then(|data| data.first_chunk()) else {
                break;
            };
            at += 2;
            match (count, value) {
                (0, 0) => {
                    places.resize(places.len().next_multiple_of(width), 0);
                    x = 0;
                }
                (0, 1) => break,
                (0, 2) => {
                    let Some(&[right, up]) = data.get(at..).and_then(|data| data.first_chunk()) else {
                        break;
                    };
                    at += 2;
                    let skipped = usize::from(right) + usize::from(up) * width;
                    places.resize(all.min(places.len() + skipped), 0);
                    x = places.len() % width;
                }
                (0, count) => {
                    let length = usize::from(count).min(all - places.len());
                    let byte_len = if is_narrow { length.div_ceil(2) } else { length };
                    let Some(bytes) = data.get(at..at + byte_len) else {
                        break;
                    };
                    if is_narrow {
                        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                        places.extend(nibbles.take(length));
                    } else {
                        places.extend(bytes);
                    }
                    at += byte_len;
                    x += usize::from(count);
                    // Each such run ends at an even place of the file.
                    at += usize::from((at % 2 == 1) != starts_odd);
                }
                (count, value) => {
                    let length = usize::from(count).min(width.saturating_sub(x));
                    let values = if is_narrow {
                        [value >> 4, value & 15]
                    } else {
                        [value; 2]
                    };
                    places.extend(values.into_iter().cycle().take(length));
                    x += length;
                }
            }
        }
        (places.len() >= all).then_some(places)
    }
}
