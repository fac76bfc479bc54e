//! The samples of a TIFF file as pixels of its own kind, with Pillow's numbers.

use image::{DynamicImage, ImageBuffer, Pixel};

use super::{
    super::{
        error::PictureError,
        flatten::{dark, range},
        jpeg::inks_to_rgb,
        options::DecodeOptions,
        warning::PictureWarning,
    },
    chunks::{Chunks, gather},
    directory::{Directory, tag},
    fault::damaged,
    header::{Alpha, Header, Kind, NONE},
    lab,
};
use crate::reading::SixteenBitMode;

/// A file whose tags are read.
pub(super) struct File<'a> {
    pub directory: Directory<'a>,
    pub header: Header,
    pub chunks: Chunks<'a>,
}

impl File<'_> {
    /// Pixels of the file's own kind.
    pub fn decode(
        &self,
        options: &DecodeOptions,
        warnings: &mut Vec<PictureWarning>,
    ) -> Result<DynamicImage, PictureError> {
        let header = &self.header;
        let stretch = options.reading.sixteen_bit == SixteenBitMode::Stretch;
        if let Kind::DeepGrey { negative: true } | Kind::Float { negative: true } = header.kind {
            warnings.push(PictureWarning::Negative { bits: header.bits });
        }
        warnings.extend(self.pillows_error().map(|what| PictureWarning::Misread { what }));
        match header.kind {
            Kind::Grey { inverted } => self.grey(inverted, self.bytes()?),
            Kind::Signed8 => {
                let levels = self.bytes()?;
                if levels.iter().any(|&level| level > 127) {
                    warnings.push(PictureWarning::Signed);
                }
                self.picture(levels, DynamicImage::ImageLuma8)
            }
            // The only kinds of one sample are left with YCbCr.
            Kind::YCbCr => self.picture(self.bytes()?, DynamicImage::ImageLuma8),
            Kind::DeepGrey { .. } => self.picture(self.words()?, DynamicImage::ImageLuma16),
            Kind::Integer { signed } => {
                // Pillow takes numbers without a sign for ones with a sign.
                let numbers = self.integers(signed || !stretch)?;
                let levels = to_levels(&numbers, "integers", stretch, warnings);
                self.picture(levels, DynamicImage::ImageLuma8)
            }
            Kind::Float { .. } => {
                let float = |row: &[u8], index| f64::from(f32::from_bits(number(row, index)));
                let numbers = gather(&self.chunks, &self.directory, header, float)?;
                let levels = to_levels(&numbers, "floating-point numbers", stretch, warnings);
                self.picture(levels, DynamicImage::ImageLuma8)
            }
            Kind::Rgb => self.colours(options.reading.sixteen_bit, warnings),
            Kind::Lab => self.lab(),
            Kind::Palette => self.palette(),
            Kind::Inks => self.inks(&self.high_bytes()?),
        }
    }

    /// The kinds that Pillow reads to noise, though their meaning is clear.
    pub fn pillows_error(&self) -> Option<&'static str> {
        let header = &self.header;
        match header.kind {
            // libtiff has turned the bytes already, and Pillow turns them back.
            Kind::Integer { .. } | Kind::Float { .. } if !self.directory.little && header.compression != NONE => {
                Some("compressed numbers whose bytes begin with the highest")
            }
            // Each byte is taken for a sample.
            Kind::Rgb | Kind::Inks if header.is_planar && header.bits == 16 && header.compression == NONE => {
                Some("uncompressed planes of 16 bits")
            }
            Kind::Rgb if header.is_planar && header.is_reversed && header.compression == NONE => {
                Some("uncompressed planes of reversed bits")
            }
            _ if self.is_plane_alone() => Some("uncompressed samples in a single plane"),
            // The rows of tiles that reach beyond the picture are taken for a third longer than they are.
            Kind::Rgb
                if header.is_planar
                    && header.compression == NONE
                    && header.samples == 4
                    && self.chunks.width != header.width
                    && !self.directory.has(tag::EXTRA_SAMPLES) =>
            {
                Some("uncompressed tiles of planes with transparency that no tag names")
            }
            // The transparency is lost.
            Kind::Grey { .. } if header.is_planar && header.compression != NONE && header.alpha == Alpha::Straight => {
                Some("compressed planes of grey and transparency")
            }
            // The planes of a* and b* lose their sign.
            Kind::Lab if header.is_planar => Some("planes of CIE L*a*b*"),
            _ => None,
        }
    }

    /// Whether Pillow forgets how the samples are stored, as it does with those of a single plane: that bits are
    /// reversed, that 0 is white, and how many bits or which order of bytes they have.
    fn is_plane_alone(&self) -> bool {
        let header = &self.header;
        let is_single = header.samples == 1 && self.directory.number(tag::PLANES) == Some(2);
        let is_known = match header.kind {
            Kind::Grey { inverted } => !inverted && matches!(header.bits, 1 | 8),
            Kind::Integer { .. } | Kind::Float { .. } => header.bits == 32 && self.directory.little,
            Kind::DeepGrey { .. } => false,
            _ => header.bits == 8,
        };
        is_single && header.compression == NONE && (header.is_reversed || !is_known)
    }

    pub fn picture<P: Pixel>(
        &self,
        samples: Vec<P::Subpixel>,
        kind: impl Fn(ImageBuffer<P, Vec<P::Subpixel>>) -> DynamicImage,
    ) -> Result<DynamicImage, PictureError> {
        ImageBuffer::from_raw(self.header.width, self.header.height, samples)
            .map(kind)
            .ok_or_else(|| damaged("the data end early"))
    }

    /// Samples of at most eight bits.
    fn bytes(&self) -> Result<Vec<u8>, PictureError> {
        let bits = self.header.bits;
        if bits == 8 {
            return gather(&self.chunks, &self.directory, &self.header, |row, index| row[index]);
        }
        gather(&self.chunks, &self.directory, &self.header, |row, index| {
            let start = index * bits;
            (row[start / 8] >> (8 - bits - start % 8)) & ((1 << bits) - 1)
        })
    }

    /// Samples of 12 or 16 bits.
    fn words(&self) -> Result<Vec<u16>, PictureError> {
        if self.header.bits == 16 {
            let word = |row: &[u8], index: usize| u16::from_le_bytes([row[2 * index], row[2 * index + 1]]);
            return gather(&self.chunks, &self.directory, &self.header, word);
        }
        gather(&self.chunks, &self.directory, &self.header, |row, index| {
            let start = index * 12 / 8;
            let pair = u16::from_be_bytes([row[start], row[start + 1]]);
            if index.is_multiple_of(2) {
                pair >> 4
            } else {
                pair & 0xfff
            }
        })
    }

    /// The upper bytes of samples of 8 or 16 bits.
    fn high_bytes(&self) -> Result<Vec<u8>, PictureError> {
        if self.header.bits == 8 {
            return self.bytes();
        }
        gather(&self.chunks, &self.directory, &self.header, |row, index| {
            row[2 * index + 1]
        })
    }

    /// Whole numbers of 16 bits with a sign, or of 32 bits.
    fn integers(&self, signed: bool) -> Result<Vec<f64>, PictureError> {
        if self.header.bits == 16 {
            let word = |row: &[u8], index: usize| i16::from_le_bytes([row[2 * index], row[2 * index + 1]]);
            return gather(&self.chunks, &self.directory, &self.header, |row, index| {
                f64::from(word(row, index))
            });
        }
        gather(&self.chunks, &self.directory, &self.header, |row, index| {
            let bits = number(row, index);
            if signed {
                f64::from(bits.cast_signed())
            } else {
                f64::from(bits)
            }
        })
    }

    /// Levels of at most eight bits, perhaps with transparency behind each.
    pub fn grey(&self, inverted: bool, mut levels: Vec<u8>) -> Result<DynamicImage, PictureError> {
        let largest = u8::MAX >> (8 - self.header.bits);
        let has_alpha = self.header.alpha != Alpha::Opaque;
        let step = if has_alpha { 2 } else { 1 };
        for level in levels.iter_mut().step_by(step) {
            *level = (if inverted { largest - *level } else { *level }) * (u8::MAX / largest);
        }
        if has_alpha {
            self.picture(levels, DynamicImage::ImageLumaA8)
        } else {
            self.picture(levels, DynamicImage::ImageLuma8)
        }
    }

    fn colours(&self, mode: SixteenBitMode, warnings: &mut Vec<PictureWarning>) -> Result<DynamicImage, PictureError> {
        match (self.header.alpha, self.header.bits) {
            (Alpha::Premultiplied, 9..) => {
                // Pillow divides bytes, so that nothing is left to stretch.
                let mut words = self.words()?;
                let pixels = words.as_chunks::<4>().0.iter();
                let levels = pixels.flat_map(|&[red, green, blue, _]| [red, green, blue]);
                if mode != SixteenBitMode::Stretch {
                    warnings.extend(dark(range(levels).1));
                    return self.bytes_of_colours(words.iter().map(|word| (word >> 8) as u8).collect());
                }
                for [colours @ .., alpha] in words.as_chunks_mut::<4>().0 {
                    for colour in colours {
                        let whole = u32::from(*colour) * u32::from(u16::MAX) / u32::from((*alpha).max(1));
                        *colour = whole.min(u16::MAX.into()) as u16;
                    }
                }
                self.picture(words, DynamicImage::ImageRgba16)
            }
            (Alpha::Opaque, 9..) => self.picture(self.words()?, DynamicImage::ImageRgb16),
            (Alpha::Straight, 9..) => self.picture(self.words()?, DynamicImage::ImageRgba16),
            _ => self.bytes_of_colours(self.high_bytes()?),
        }
    }

    /// Red, green and blue, perhaps with transparency behind them.
    pub fn bytes_of_colours(&self, mut bytes: Vec<u8>) -> Result<DynamicImage, PictureError> {
        match self.header.alpha {
            Alpha::Opaque => self.picture(bytes, DynamicImage::ImageRgb8),
            Alpha::Straight => self.picture(bytes, DynamicImage::ImageRgba8),
            Alpha::Premultiplied => {
                for [colours @ .., alpha] in bytes.as_chunks_mut::<4>().0 {
                    for colour in colours {
                        *colour = divided(*colour, *alpha);
                    }
                }
                self.picture(bytes, DynamicImage::ImageRgba8)
            }
        }
    }

    fn palette(&self) -> Result<DynamicImage, PictureError> {
        let colours = self.directory.numbers(tag::PALETTE);
        let colours = colours.ok_or_else(|| damaged("its palette is missing"))?;
        let count = colours.len() / 3;
        // `TiffImagePlugin.py`: `b // 256`. Beyond the palette is black.
        let colour = |place: u8| {
            let place = usize::from(place);
            [0, 1, 2].map(|plane| {
                if place < count {
                    (colours[plane * count + place] >> 8) as u8
                } else {
                    0
                }
            })
        };
        let places = self.bytes()?;
        if self.header.alpha == Alpha::Opaque {
            let rgb = places.iter().flat_map(|&place| colour(place)).collect();
            return self.picture(rgb, DynamicImage::ImageRgb8);
        }
        let rgba = places.as_chunks().0.iter().flat_map(|&[place, alpha]| {
            let [red, green, blue] = colour(place);
            [red, green, blue, alpha]
        });
        self.picture(rgba.collect(), DynamicImage::ImageRgba8)
    }

    fn lab(&self) -> Result<DynamicImage, PictureError> {
        let samples = self.bytes()?;
        // `Unpack.c`, `ImagingUnpackLAB`: a* and b* have a sign in the file.
        let rgb = samples
            .as_chunks()
            .0
            .iter()
            .flat_map(|&[lightness, a, b]| lab::to_rgb([lightness, a ^ 0x80, b ^ 0x80]));
        self.picture(rgb.collect(), DynamicImage::ImageRgb8)
    }

    pub fn inks(&self, inks: &[u8]) -> Result<DynamicImage, PictureError> {
        let mixed = |&[cyan, magenta, yellow, black]: &[u8; 4]| {
            // JPEG's inks are inverted, these are not.
            inks_to_rgb([255 - cyan, 255 - magenta, 255 - yellow], 255 - black)
        };
        let rgb = inks.as_chunks().0.iter().flat_map(mixed).collect();
        self.picture(rgb, DynamicImage::ImageRgb8)
    }
}

/// A number of 32 bits of a row.
fn number(row: &[u8], index: usize) -> u32 {
    row[4 * index..][..4]
        .iter()
        .rev()
        .fold(0, |number, &byte| (number << 8) | u32::from(byte))
}

/// A premultiplied colour without its transparency (`Unpack.c`, `unpackRGBa`).
pub(super) fn divided(colour: u8, alpha: u8) -> u8 {
    match alpha {
        0 => 0,
        _ => (u32::from(colour) * 255 / u32::from(alpha)).min(255) as u8,
    }
}

/// Numbers without a fixed range as levels: cut to 0 to 255, as Pillow does (`Convert.c`), or stretched.
pub(in crate::picture) fn to_levels(
    numbers: &[f64],
    name: &'static str,
    stretch: bool,
    warnings: &mut Vec<PictureWarning>,
) -> Vec<u8> {
    let finite = numbers.iter().copied().filter(|number| number.is_finite());
    let (smallest, largest) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| {
        (low.min(number), high.max(number))
    });
    if stretch && largest > smallest {
        let scale = 255.0 / (largest - smallest);
        return numbers
            .iter()
            .map(|number| ((number - smallest) * scale).round() as u8)
            .collect();
    }
    let is_cut = smallest < 0.0 || largest > 255.0;
    if is_cut || (0.0 < largest && largest <= 1.0) {
        warnings.push(PictureWarning::Cut {
            numbers: name,
            smallest: smallest.to_string(),
            largest: largest.to_string(),
        });
    }
    // Not a number is 0.
    numbers.iter().map(|&number| number as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_as_pillow_cuts_them() {
        let numbers = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.5,
            0.5,
            254.99,
            255.0,
            256.0,
        ];
        let mut warnings = Vec::new();
        let levels = to_levels(&numbers, "numbers", false, &mut warnings);
        assert_eq!(levels, [0, 255, 0, 0, 0, 254, 255, 255]);
        assert!(matches!(&warnings[..], [PictureWarning::Cut { largest, .. }] if largest == "256"));
    }

    #[test]
    fn numbers_that_come_out_black_warn_and_can_be_stretched() {
        let numbers = [0.25, 0.5, 0.75];
        let mut warnings = Vec::new();
        assert_eq!(to_levels(&numbers, "numbers", true, &mut warnings), [0, 128, 255]);
        assert_eq!(warnings, []);
        assert_eq!(to_levels(&numbers, "numbers", false, &mut warnings), [0, 0, 0]);
        assert_eq!(warnings.len(), 1);
        assert_eq!(to_levels(&[0.0, 17.5], "numbers", false, &mut warnings), [0, 17]);
        assert_eq!(warnings.len(), 1);
    }
}
