//! A picture of known size, filled from the rows of a file.

use image::{DynamicImage, ImageBuffer, Pixel};

use super::{
    error::PictureError,
    fault::{damaged, early},
    limits::{DecodeLimits, check_size},
};

/// The format and the size of a picture, within the limits.
#[derive(Clone, Copy)]
pub(super) struct Canvas {
    pub format: &'static str,
    pub width: usize,
    pub height: usize,
}

/// The colours of a palette. Pillow has black for places beyond it.
pub(super) struct Palette {
    pub colours: [[u8; 4]; 256],
    pub has_alpha: bool,
}

impl Canvas {
    /// Checks the size before anything is reserved for it.
    pub fn new(
        format: &'static str,
        [width, height]: [usize; 2],
        bytes_per_pixel: u8,
        limits: &DecodeLimits,
    ) -> Result<Self, PictureError> {
        if width == 0 || height == 0 {
            return Err(damaged(format, "it has no pixels"));
        }
        let side = |side: usize| u32::try_from(side).map_err(|_| damaged(format, "its size is impossible"));
        check_size(side(width)?, side(height)?, bytes_per_pixel, limits)?;
        Ok(Self { format, width, height })
    }

    pub fn pixels(&self) -> usize {
        self.width * self.height
    }

    /// The bytes of each row, without padding. The padding of the last row may be missing.
    pub fn rows<'d>(
        &self,
        data: &'d [u8],
        used: usize,
        stride: usize,
    ) -> Result<impl DoubleEndedIterator<Item = &'d [u8]>, PictureError> {
        let data = data.get(..(self.height - 1) * stride + used);
        let data = data.ok_or_else(|| early(self.format))?;
        Ok(data.chunks(stride).map(move |row| &row[..used]))
    }

    /// The picture of these samples from top to bottom.
    pub fn picture<P: Pixel>(
        &self,
        samples: Vec<P::Subpixel>,
        kind: impl Fn(ImageBuffer<P, Vec<P::Subpixel>>) -> DynamicImage,
    ) -> Result<DynamicImage, PictureError> {
        let picture = ImageBuffer::from_raw(self.width as u32, self.height as u32, samples);
        picture.map(kind).ok_or_else(|| early(self.format))
    }

    /// The picture of these places in a palette.
    pub fn of_places(&self, places: &[u8], palette: &Palette) -> Result<DynamicImage, PictureError> {
        let colour = |&place: &u8| palette.colours[usize::from(place)];
        if palette.has_alpha {
            self.picture(places.iter().flat_map(colour).collect(), DynamicImage::ImageRgba8)
        } else {
            let opaque = |place| colour(place).into_iter().take(3);
            self.picture(places.iter().flat_map(opaque).collect(), DynamicImage::ImageRgb8)
        }
    }
}

impl Palette {
    /// `None` for more than 256 colours.
    pub fn new(colours: impl Iterator<Item = [u8; 4]>, has_alpha: bool) -> Option<Self> {
        let mut palette = Self {
            colours: [[0, 0, 0, 255]; 256],
            has_alpha,
        };
        for (place, colour) in colours.enumerate() {
            *palette.colours.get_mut(place)? = colour;
        }
        Some(palette)
    }
}

/// Samples of `bits` bits, at most eight, from the highest bit on.
pub(super) fn samples(row: &[u8], bits: usize) -> impl Iterator<Item = u8> {
    let count = 8 / bits;
    let mask = u8::MAX >> (8 - bits);
    row.iter()
        .flat_map(move |byte| (1..=count).map(move |place| (byte >> (8 - bits * place)) & mask))
}

/// A row or a picture whose lower half comes first, turned over.
pub(super) fn turned_over<T: Copy>(samples: &[T], row_len: usize) -> Vec<T> {
    samples.rchunks(row_len).flatten().copied().collect()
}

/// Colours of five bits, and a bit that makes a pixel transparent (`Unpack.c`, `ImagingUnpackBGRA15Z`).
pub(super) fn colour_of_16_bits(pair: [u8; 2]) -> [u8; 4] {
    let pixel = u32::from(u16::from_le_bytes(pair));
    let level = |shift: u32| (((pixel >> shift) & 31) * 255 / 31) as u8;
    [level(10), level(5), level(0), if pixel >> 15 == 0 { 255 } else { 0 }]
}
