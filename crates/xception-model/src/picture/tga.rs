//! TGA (Targa), with Pillow's numbers (`TgaImagePlugin.py`, `TgaRleDecode.c`).

use image::DynamicImage;

use super::{
    canvas::{Canvas, Palette, colour_of_16_bits, samples, turned_over},
    error::PictureError,
    fault::{damaged, early, unsupported},
    limits::DecodeLimits,
    numbers::{long, short},
};

const FORMAT: &str = "TGA";
const HEADER: usize = 18;

/// Bits of the descriptor: the first row is the highest, and the first pixel of a row the rightmost.
const DOWNWARD: u8 = 0x20;
const LEFTWARD: u8 = 0x10;

/// The bit of an image type that stands for run lengths.
const RUNS: u8 = 8;

/// The end of a file of version 2, and the place of the kind of transparency in its extension.
const FOOTER: usize = 26;
const FOOTER_MARK: &[u8] = b"TRUEVISION-XFILE.\0";
const ALPHA_KIND: usize = 494;

enum Kind {
    Bits,
    Grey,
    GreyAlpha,
    Places(Box<Palette>),
    Colour16,
    Colour24,
    Colour32,
}

pub(super) fn decode_tga(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let header = bytes.first_chunk::<HEADER>().ok_or_else(|| early(FORMAT))?;
    let [id_len, map, image, .., depth, flags] = *header;
    let size = [12, 14].map(|at| short(header, at).unwrap_or_default());
    let canvas = Canvas::new(FORMAT, size, 8, limits)?;
    let map_at = HEADER + usize::from(id_len);
    let (palette, pixels_at) = match map {
        0 => (None, map_at),
        _ => palette(bytes, header, map_at)?,
    };
    let kind = match (image & !RUNS, depth, palette) {
        (1 | 3, 8, Some(palette)) => Kind::Places(palette.into()),
        (3, 1, None) => Kind::Bits,
        (3, 8, None) => Kind::Grey,
        (3, 16, None) => Kind::GreyAlpha,
        (2, 16, None) => Kind::Colour16,
        (2, 24, None) => Kind::Colour24,
        (2, 32, None) => Kind::Colour32,
        _ => {
            let reason = format!("its pixels have {depth} bits of image type {image} and map type {map}");
            return Err(unsupported(FORMAT, reason));
        }
    };
    let row_len = (canvas.width * usize::from(depth)).div_ceil(8);
    let data = bytes.get(pixels_at..).unwrap_or_default();
    let mut data = if image & RUNS == 0 {
        let data = data.get(..row_len * canvas.height);
        data.ok_or_else(|| early(FORMAT))?.to_vec()
    } else {
        runs(data, &canvas, row_len, usize::from(depth / 8))?
    };
    if flags & DOWNWARD == 0 {
        data = turned_over(&data, row_len);
    }
    let mut picture = kind.picture(&canvas, &data, row_len, is_opaque(bytes))?;
    if flags & LEFTWARD != 0 {
        image::imageops::flip_horizontal_in_place(&mut picture);
    }
    Ok(picture)
}

/// The map of colours at a place, and the place behind it.
fn palette(bytes: &[u8], header: &[u8; HEADER], at: usize) -> Result<(Option<Palette>, usize), PictureError> {
    let start = short(header, 3).unwrap_or_default();
    let count = short(header, 5).unwrap_or_default();
    let size = match header[7] {
        bits @ (16 | 24 | 32) => usize::from(bits / 8),
        bits => return Err(unsupported(FORMAT, format!("its map has colours of {bits} bits"))),
    };
    let end = at + size * count;
    let map = bytes.get(at..end.min(bytes.len())).unwrap_or_default();
    let colour = |colour: &[u8]| match *colour {
        [low, high] => colour_of_16_bits([low, high]),
        [blue, green, red] => [red, green, blue, 255],
        [blue, green, red, alpha] => [red, green, blue, alpha],
        _ => [0; 4],
    };
    // Colours before the start are zeros, which are transparent where there is transparency, but for 16 bits.
    let unused = vec![0; size * start.min(257)];
    let before = unused.chunks_exact(size).map(colour);
    let colours = before.chain(map.chunks_exact(size).map(colour));
    let palette = Palette::new(colours, size != 3);
    let palette = palette.ok_or_else(|| unsupported(FORMAT, "its map has more than 256 colours"))?;
    Ok((Some(palette), end.min(bytes.len())))
}

/// The rows behind run lengths. A literal may go on in the next rows, a run may not.
fn runs(data: &[u8], canvas: &Canvas, row_len: usize, pixel_len: usize) -> Result<Vec<u8>, PictureError> {
    let total = row_len * canvas.height;
    let mut rows = Vec::new();
    let mut rest = data;
    while rows.len() < total {
        let (&head, after) = rest.split_first().ok_or_else(|| early(FORMAT))?;
        let length = pixel_len * (usize::from(head & 0x7f) + 1);
        if head & 0x80 == 0 {
            let (pixels, after) = after.split_at_checked(length).ok_or_else(|| early(FORMAT))?;
            rows.extend_from_slice(pixels);
            rest = after;
        } else {
            let (pixel, after) = after.split_at_checked(pixel_len).ok_or_else(|| early(FORMAT))?;
            if rows.len() % row_len + length > row_len {
                return Err(damaged(FORMAT, "a run is longer than its row"));
            }
            rows.extend(pixel.iter().copied().cycle().take(length));
            rest = after;
        }
    }
    rows.truncate(total);
    Ok(rows)
}

/// Whether the extension of the file says that the fourth byte of a pixel is not transparency.
fn is_opaque(bytes: &[u8]) -> bool {
    let footer = bytes.len().checked_sub(FOOTER).map(|at| &bytes[at..]);
    let footer = footer.filter(|footer| footer.ends_with(FOOTER_MARK));
    let extension = footer.and_then(|footer| long(footer, 0)).filter(|&at| at != 0);
    extension.is_some_and(|at| bytes.get(at + ALPHA_KIND) == Some(&0))
}

impl Kind {
    fn picture(
        &self,
        canvas: &Canvas,
        data: &[u8],
        row_len: usize,
        is_opaque: bool,
    ) -> Result<DynamicImage, PictureError> {
        let alpha = |alpha: u8| if is_opaque { 255 } else { alpha };
        match self {
            Self::Bits => {
                let row = |row| samples(row, 1).take(canvas.width).map(|bit| bit * 255);
                canvas.picture(data.chunks(row_len).flat_map(row).collect(), DynamicImage::ImageLuma8)
            }
            Self::Grey => canvas.picture(data.to_vec(), DynamicImage::ImageLuma8),
            Self::GreyAlpha => canvas.picture(data.to_vec(), DynamicImage::ImageLumaA8),
            Self::Places(palette) => canvas.of_places(data, palette),
            Self::Colour16 => {
                let pixel = |&pair: &[u8; 2]| {
                    let [red, green, blue, opacity] = colour_of_16_bits(pair);
                    [red, green, blue, alpha(opacity)]
                };
                let pixels = data.as_chunks().0.iter().flat_map(pixel);
                canvas.picture(pixels.collect(), DynamicImage::ImageRgba8)
            }
            Self::Colour24 => {
                let pixel = |&[blue, green, red]: &[u8; 3]| [red, green, blue];
                let pixels = data.as_chunks().0.iter().flat_map(pixel);
                canvas.picture(pixels.collect(), DynamicImage::ImageRgb8)
            }
            Self::Colour32 => {
                let pixel = |&[blue, green, red, opacity]: &[u8; 4]| [red, green, blue, alpha(opacity)];
                let pixels = data.as_chunks().0.iter().flat_map(pixel);
                canvas.picture(pixels.collect(), DynamicImage::ImageRgba8)
            }
        }
    }
}
