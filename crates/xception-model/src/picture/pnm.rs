//! PNM (PBM, PGM, PPM), grey PFM, and Pillow's additions to them, with Pillow's numbers (`PpmImagePlugin.py`).

use image::DynamicImage;

use super::{
    canvas::{Canvas, samples, turned_over},
    error::PictureError,
    fault::{damaged, early},
    flatten::dark,
    jpeg::inks_to_rgb,
    options::DecodeOptions,
    python::{float, integer, is_blank},
    tiff::to_levels,
    warning::PictureWarning,
};
use crate::reading::SixteenBitMode;

const FORMAT: &str = "PNM";

/// Most bytes of a number.
const MAX_TOKEN: usize = 10;
/// Bytes that Pillow reads, and checks, at a time (`ImageFile.SAFEBLOCK`).
const BLOCK: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bits,
    Grey,
    Colour,
    Inks,
    ColourAlpha,
    Float,
}

struct Header {
    canvas: Canvas,
    kind: Kind,
    /// Samples are written as decimal numbers.
    is_plain: bool,
    /// The largest level, or less than 0 for floating-point numbers whose lowest byte comes first.
    largest: f64,
    pixels_at: usize,
}

pub(super) fn decode_pnm(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let header = Header::read(bytes, options)?;
    let data = bytes.get(header.pixels_at..).unwrap_or_default();
    match (header.kind, header.is_plain) {
        (Kind::Bits, true) => header.plain_bits(data),
        (Kind::Bits, false) => header.raw_bits(data),
        (Kind::Float, _) => header.floats(data, options, warnings),
        (_, true) => {
            let numbers = header.plain_numbers(data)?;
            header.picture(numbers.into_iter(), options, warnings)
        }
        (_, false) if header.largest < 256.0 => {
            let data = data.get(..header.count()).ok_or_else(|| early(FORMAT))?;
            header.picture(data.iter().map(|&byte| byte.into()), options, warnings)
        }
        _ => {
            let data = data.get(..2 * header.count()).ok_or_else(|| early(FORMAT))?;
            let words = data.as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair));
            header.picture(words, options, warnings)
        }
    }
}

impl Header {
    fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Self, PictureError> {
        let magic = bytes.get(..2).unwrap_or_default();
        let (kind, is_plain, mut at) = match magic {
            b"P0" => (Kind::Inks, false, 6),
            b"Py" if bytes.starts_with(b"PyCMYK") => (Kind::Inks, false, 6),
            b"Py" => (Kind::ColourAlpha, false, 6),
            b"Pf" => (Kind::Float, false, 3),
            [_, digit] => {
                let kinds = [Kind::Bits, Kind::Grey, Kind::Colour];
                let index = usize::from(digit.wrapping_sub(b'1'));
                (kinds[index % 3], index < 3, 3)
            }
            _ => return Err(early(FORMAT)),
        };
        let mut number = || {
            let token = token(bytes, &mut at)?;
            integer(&token).ok_or_else(|| damaged(FORMAT, "its header has something else where a number must be"))
        };
        let pixels = |number: i64| usize::try_from(number).unwrap_or_default();
        let sides = [pixels(number()?), pixels(number()?)];
        let largest = match kind {
            Kind::Bits => 1.0,
            Kind::Float => float(&token(bytes, &mut at)?)
                .filter(|scale| scale.is_finite() && *scale != 0.0)
                .ok_or_else(|| damaged(FORMAT, "its scale is no number other than 0"))?,
            _ => match number()? {
                largest @ 1..=65_535 => largest as f64,
                _ => return Err(damaged(FORMAT, "its largest level is not from 1 to 65535")),
            },
        };

        Ok(Self {
            canvas: Canvas::new(FORMAT, sides, 8, &options.limits)?,
            kind,
            is_plain,
            largest,
            pixels_at: at,
        })
    }

    /// Samples of the picture.
    fn count(&self) -> usize {
        let channels = match self.kind {
            Kind::Bits | Kind::Grey | Kind::Float => 1,
            Kind::Colour => 3,
            Kind::Inks | Kind::ColourAlpha => 4,
        };
        self.canvas.pixels() * channels
    }

    /// A picture of 16 bits for grey with more than 8, else of 8 bits, with levels up to the largest possible.
    fn picture(
        &self,
        numbers: impl Iterator<Item = u16>,
        options: &DecodeOptions,
        warnings: &mut Vec<PictureWarning>,
    ) -> Result<DynamicImage, PictureError> {
        // As Python computes and rounds it.
        let scaled = |number: u16, most: f64| (f64::from(number) / self.largest * most).round_ties_even().min(most);
        let scale = |most: f64| -> Vec<u16> {
            let numbers = if self.largest < 256.0 { 1 << 8 } else { 1 << 16 };
            (0..numbers)
                .map(|number: u32| scaled(number as u16, most) as u16)
                .collect()
        };
        let to_word = scale(65_535.0);
        let words = |number: u16| to_word[usize::from(number)];
        let sixteen_bit = options.reading.sixteen_bit;
        let is_deep = self.largest > 255.0;
        if is_deep && self.kind == Kind::Grey {
            let words = numbers.map(words).collect();
            return self.canvas.picture(words, DynamicImage::ImageLuma16);
        }
        if is_deep && self.kind == Kind::Colour && sixteen_bit == SixteenBitMode::Stretch {
            let words = numbers.map(words).collect();
            return self.canvas.picture(words, DynamicImage::ImageRgb16);
        }
        let to_byte = scale(255.0);
        let mut largest = 0;
        let bytes = numbers.map(|number| {
            largest = largest.max(number);
            to_byte[usize::from(number)] as u8
        });
        let bytes: Vec<u8> = bytes.collect();
        if is_deep && self.kind == Kind::Colour && sixteen_bit == SixteenBitMode::HighByte {
            warnings.extend(dark(words(largest)));
        }
        match self.kind {
            Kind::Colour => self.canvas.picture(bytes, DynamicImage::ImageRgb8),
            Kind::ColourAlpha => self.canvas.picture(bytes, DynamicImage::ImageRgba8),
            Kind::Inks => {
                let colour = |inks: &[u8; 4]| {
                    let [cyan, magenta, yellow, black] = inks.map(|ink| 255 - ink);
                    inks_to_rgb([cyan, magenta, yellow], black)
                };
                let colours = bytes.as_chunks().0.iter().flat_map(colour);
                self.canvas.picture(colours.collect(), DynamicImage::ImageRgb8)
            }
            _ => self.canvas.picture(bytes, DynamicImage::ImageLuma8),
        }
    }

    /// Rows of whole bytes, in which 1 is black.
    fn raw_bits(&self, data: &[u8]) -> Result<DynamicImage, PictureError> {
        let row_len = self.canvas.width.div_ceil(8);
        let rows = self.canvas.rows(data, row_len, row_len)?;
        let row = |row| samples(row, 1).take(self.canvas.width).map(|bit| (1 - bit) * 255);
        self.canvas
            .picture(rows.flat_map(row).collect(), DynamicImage::ImageLuma8)
    }

    /// Zeros and ones, with or without blanks between them.
    fn plain_bits(&self, data: &[u8]) -> Result<DynamicImage, PictureError> {
        let count = self.count();
        let mut levels = Vec::new();
        let mut blocks = Blocks::new(data);
        while levels.len() < count {
            let block = blocks.next().ok_or_else(|| early(FORMAT))?;
            for byte in block.into_iter().filter(|byte| !is_blank(*byte)) {
                match byte {
                    b'0' => levels.push(255),
                    b'1' => levels.push(0),
                    _ => return Err(damaged(FORMAT, "a bit is neither 0 nor 1")),
                }
            }
        }
        levels.truncate(count);
        self.canvas.picture(levels, DynamicImage::ImageLuma8)
    }

    /// Decimal numbers.
    fn plain_numbers(&self, data: &[u8]) -> Result<Vec<u16>, PictureError> {
        let count = self.count();
        let mut numbers = Vec::new();
        let mut blocks = Blocks::new(data);
        let mut cut = Vec::new();
        while numbers.len() < count {
            let block = match blocks.next() {
                Some(block) => block,
                None if cut.is_empty() => return Err(early(FORMAT)),
                None => b" ".to_vec(),
            };
            let text = [std::mem::take(&mut cut), block].concat();
            let mut tokens = text.split(|byte| is_blank(*byte)).filter(|token| !token.is_empty());
            if text.last().is_some_and(|byte| !is_blank(*byte)) {
                cut = tokens.next_back().unwrap_or_default().to_vec();
                if cut.len() > MAX_TOKEN {
                    return Err(too_long());
                }
            }
            for token in tokens.take(count - numbers.len()) {
                if token.len() > MAX_TOKEN {
                    return Err(too_long());
                }
                let number = integer(token).filter(|&number| number >= 0 && number as f64 <= self.largest);
                let number = number.ok_or_else(|| damaged(FORMAT, "a sample is no number within its range"))?;
                numbers.push(number as u16);
            }
        }
        Ok(numbers)
    }

    /// Floating-point numbers of 32 bits, the lowest row first.
    fn floats(
        &self,
        data: &[u8],
        options: &DecodeOptions,
        warnings: &mut Vec<PictureWarning>,
    ) -> Result<DynamicImage, PictureError> {
        let data = data.get(..4 * self.count()).ok_or_else(|| early(FORMAT))?;
        let float = |&bytes: &[u8; 4]| {
            f64::from(if self.largest < 0.0 {
                f32::from_le_bytes(bytes)
            } else {
                f32::from_be_bytes(bytes)
            })
        };
        let numbers: Vec<f64> = data.as_chunks().0.iter().map(float).collect();
        let stretch = options.reading.sixteen_bit == SixteenBitMode::Stretch;
        let levels = to_levels(&numbers, "floating-point numbers", stretch, warnings);
        self.canvas
            .picture(turned_over(&levels, self.canvas.width), DynamicImage::ImageLuma8)
    }
}

fn too_long() -> PictureError {
    damaged(FORMAT, "a number is too long")
}

/// The next number of the header, up to the blank behind it. A comment in the middle of it counts for nothing.
fn token(bytes: &[u8], at: &mut usize) -> Result<Vec<u8>, PictureError> {
    let mut token = Vec::new();
    let mut in_comment = false;
    while token.len() <= MAX_TOKEN {
        let Some(&byte) = bytes.get(*at) else {
            break;
        };
        *at += 1;
        match byte {
            b'\r' | b'\n' if in_comment => in_comment = false,
            _ if in_comment => {}
            b'#' => in_comment = true,
            blank if is_blank(blank) && token.is_empty() => {}
            blank if is_blank(blank) => break,
            byte => token.push(byte),
        }
    }
    match token.len() {
        0 => Err(early(FORMAT)),
        1..=MAX_TOKEN => Ok(token),
        _ => Err(too_long()),
    }
}

/// The parts of a file that Pillow looks at one after the other, without comments.
struct Blocks<'a> {
    blocks: std::slice::Chunks<'a, u8>,
    in_comment: bool,
}

impl<'a> Blocks<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self {
            blocks: data.chunks(BLOCK),
            in_comment: false,
        }
    }
}

impl Iterator for Blocks<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let block = self.blocks.next()?;
        let mut text = Vec::new();
        for &byte in block {
            match byte {
                b'\r' | b'\n' if self.in_comment => self.in_comment = false,
                _ if self.in_comment => {}
                b'#' => self.in_comment = true,
                byte => text.push(byte),
            }
        }
        Some(text)
    }
}
