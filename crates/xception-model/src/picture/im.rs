//! IM (IFUNC and `LabEye`), the first picture, with Pillow's numbers (`ImImagePlugin.py`, `BitDecode.c`).

use image::DynamicImage;

use super::{
    canvas::{Canvas, Palette, samples, turned_over},
    error::PictureError,
    fault::{damaged, early, unsupported},
    im_header::{END, Header, Number, Pixels},
    jpeg::inks_to_rgb,
    options::DecodeOptions,
    tiff::to_levels,
    warning::PictureWarning,
};
use crate::reading::SixteenBitMode;

const FORMAT: &str = "IM";

/// Bytes of a lookup table: 256 of red, green and blue each.
const TABLE: usize = 3 * 256;

pub(super) fn decode_im(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let header = Header::read(bytes, true).ok_or_else(|| damaged(FORMAT, "a line of its header is wrong"))?;
    let size = header.size.ok_or_else(|| damaged(FORMAT, "its size is impossible"))?;
    let size = size.map(|side| usize::try_from(side).unwrap_or_default());
    let canvas = Canvas::new(FORMAT, size, 12, &options.limits)?;
    let unknown = || unsupported(FORMAT, "its pixels are of an unknown kind");
    let mut pixels = header.pixels.ok_or_else(unknown)?;
    let end = bytes[header.end..].iter().position(|&byte| byte == END);
    let mut data = &bytes[header.end + end.ok_or_else(|| early(FORMAT))? + 1..];
    let mut palette = None;
    if header.has_table {
        let (table, rest) = data.split_at_checked(TABLE).ok_or_else(|| early(FORMAT))?;
        data = rest;
        palette = colours(table);
    }
    match (pixels, &palette) {
        (Pixels::Grey | Pixels::Places(_), Some(_)) => pixels = Pixels::Places(8),
        (Pixels::GreyAlpha | Pixels::PlacesAlpha, Some(_)) => pixels = Pixels::PlacesAlpha,
        (Pixels::PlacesAlpha, None) => return Err(unknown()),
        (Pixels::Places(_), None) => {
            return Err(unsupported(FORMAT, "it has no palette, so that Pillow reads it black"));
        }
        _ => {}
    }
    if let Pixels::Planes = pixels {
        let planes = data.get(..3 * canvas.pixels()).ok_or_else(|| early(FORMAT))?;
        let [green, red, blue] =
            [0, 1, 2].map(|plane| turned_over(&planes[plane * canvas.pixels()..][..canvas.pixels()], canvas.width));
        let rgb = (0..canvas.pixels()).flat_map(|index| [red[index], green[index], blue[index]]);
        return canvas.picture(rgb.collect(), DynamicImage::ImageRgb8);
    }
    let row_len = (canvas.width * pixels.bits()).div_ceil(8);
    let rows = data.get(..row_len * canvas.height).ok_or_else(|| early(FORMAT))?;
    if let Pixels::Packed(bits) = pixels {
        let numbers = turned_over(&packed(rows, row_len, canvas.width, bits), canvas.width);
        return numbers_as_picture(&canvas, &numbers, options, warnings);
    }
    let rows = turned_over(rows, row_len);
    if let Pixels::Numbers(number) = pixels {
        let numbers: Vec<f64> = rows
            .chunks_exact(pixels.bits() / 8)
            .map(|bytes| number.of(bytes))
            .collect();
        return numbers_as_picture(&canvas, &numbers, options, warnings);
    }
    pixels.picture(&canvas, rows, row_len, palette.as_deref())
}

fn numbers_as_picture(
    canvas: &Canvas,
    numbers: &[f64],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let stretch = options.reading.sixteen_bit == SixteenBitMode::Stretch;
    canvas.picture(
        to_levels(numbers, "numbers", stretch, warnings),
        DynamicImage::ImageLuma8,
    )
}

/// The colours of a lookup table; `None` if all are grey, which Pillow does not apply.
fn colours(table: &[u8]) -> Option<Vec<[u8; 3]>> {
    let colour = |place: usize| [0, 256, 512].map(|plane| table[plane + place]);
    let colours: Vec<_> = (0..256).map(colour).collect();
    let has_colour = colours.iter().any(|[red, green, blue]| red != green || green != blue);
    has_colour.then_some(colours)
}

/// Numbers of so many bits, the lowest first. What is left in a row's last byte goes into the next row's first number.
fn packed(rows: &[u8], row_len: usize, width: usize, bits: usize) -> Vec<f64> {
    let mut numbers = Vec::new();
    let mut buffer = 0_u64;
    for row in rows.chunks_exact(row_len) {
        let mut filled = 0;
        let end = numbers.len() + width;
        for &byte in row {
            buffer |= u64::from(byte) << filled;
            filled += 8;
            while filled >= bits && numbers.len() < end {
                // Pillow keeps 32 bits of them.
                numbers.push(f64::from((buffer & ((1 << bits) - 1)) as f32));
                buffer >>= bits;
                filled -= bits;
            }
        }
    }
    numbers
}

impl Number {
    /// The lowest byte comes first. Pillow keeps 32 bits of what it makes a floating-point number.
    fn of(self, bytes: &[u8]) -> f64 {
        let number = bytes
            .iter()
            .rev()
            .fold(0_u32, |number, &byte| (number << 8) | u32::from(byte));
        match self {
            Self::U8 | Self::U16 => number.into(),
            Self::I8 => (number as i8).into(),
            Self::I16 => (number as i16).into(),
            Self::U32 => f64::from(number as f32),
            Self::I32 => number.cast_signed().into(),
            Self::F32 => f32::from_bits(number).into(),
        }
    }
}

impl Pixels {
    /// Bits of a pixel.
    fn bits(self) -> usize {
        match self {
            Self::Bits => 1,
            Self::Places(bits) | Self::Packed(bits) => bits,
            Self::Grey | Self::Numbers(Number::U8 | Number::I8) => 8,
            Self::DeepGrey(_) | Self::GreyAlpha | Self::PlacesAlpha | Self::Numbers(Number::U16 | Number::I16) => 16,
            Self::Rgb | Self::RgbRows | Self::Planes | Self::YCbCr => 24,
            Self::Rgba | Self::Rgbx | Self::Inks | Self::Numbers(_) => 32,
        }
    }

    /// The picture of rows from top to bottom.
    fn picture(
        self,
        canvas: &Canvas,
        rows: Vec<u8>,
        row_len: usize,
        palette: Option<&[[u8; 3]]>,
    ) -> Result<DynamicImage, PictureError> {
        let width = canvas.width;
        // Rows of one channel after the other, as pixels.
        let mixed = |channels: usize| {
            let pixels = rows
                .chunks_exact(row_len)
                .flat_map(move |row| (0..width).map(move |x| (row, x)));
            pixels.map(move |(row, x)| [0, 1, 2, 3].map(|channel| row[(channel % channels) * width + x]))
        };
        let rgb = |colours: Vec<u8>| canvas.picture(colours, DynamicImage::ImageRgb8);
        let colour = |place: u8| palette.map_or([place; 3], |palette| palette[usize::from(place)]);
        match self {
            Self::Bits => {
                let row = |row| samples(row, 1).take(width).map(|bit| bit * 255);
                canvas.picture(
                    rows.chunks_exact(row_len).flat_map(row).collect(),
                    DynamicImage::ImageLuma8,
                )
            }
            Self::Places(_) => {
                let colours = (0..=u8::MAX).map(|place| {
                    let [red, green, blue] = colour(place);
                    [red, green, blue, 255]
                });
                canvas.of_places(&rows, &Palette::new(colours, false).ok_or_else(|| early(FORMAT))?)
            }
            Self::DeepGrey(is_big_endian) => {
                let word = |&pair: &[u8; 2]| {
                    if is_big_endian {
                        u16::from_be_bytes(pair)
                    } else {
                        u16::from_le_bytes(pair)
                    }
                };
                canvas.picture(rows.as_chunks().0.iter().map(word).collect(), DynamicImage::ImageLuma16)
            }
            Self::GreyAlpha => {
                let pixels = mixed(2).flat_map(|[grey, alpha, ..]| [grey, alpha]);
                canvas.picture(pixels.collect(), DynamicImage::ImageLumaA8)
            }
            Self::PlacesAlpha => {
                let pixels = mixed(2).flat_map(|[place, alpha, ..]| {
                    let [red, green, blue] = colour(place);
                    [red, green, blue, alpha]
                });
                canvas.picture(pixels.collect(), DynamicImage::ImageRgba8)
            }
            Self::RgbRows => rgb(mixed(3).flat_map(|[red, green, blue, _]| [red, green, blue]).collect()),
            Self::Rgbx => rgb(mixed(4).flat_map(|[red, green, blue, _]| [red, green, blue]).collect()),
            Self::Rgba => canvas.picture(mixed(4).flatten().collect(), DynamicImage::ImageRgba8),
            Self::Inks => {
                let mix = |inks: [u8; 4]| {
                    let [cyan, magenta, yellow, black] = inks.map(|ink| 255 - ink);
                    inks_to_rgb([cyan, magenta, yellow], black)
                };
                rgb(mixed(4).flat_map(mix).collect())
            }
            Self::YCbCr => rgb(mixed(3)
                .flat_map(|[level, blue, red, _]| to_rgb(level, blue, red))
                .collect()),
            Self::Rgb => rgb(rows),
            _ => canvas.picture(rows, DynamicImage::ImageLuma8),
        }
    }
}

/// A pixel of `YCbCr`. Pillow's tables hold these numbers, rounded (`ConvertYCbCr.c`).
fn to_rgb(level: u8, blue: u8, red: u8) -> [u8; 3] {
    let term = |factor: f64, number: u8| ((f64::from(number) - 128.0) * factor * 64.0 + 0.5) as i32;
    let sums = [
        term(1.402, red) >> 6,
        (term(-0.34414, blue) + term(-0.71414, red)) >> 6,
        term(1.772, blue) >> 6,
    ];
    sums.map(|sum| (i32::from(level) + sum).clamp(0, 255) as u8)
}
