//! DDS (`DirectDraw` surfaces), with Pillow's numbers (`DdsImagePlugin.py`): the largest level of the first face.

use image::DynamicImage;

use super::{
    bcn::{Blocks, Fifths},
    canvas::{Canvas, Palette},
    error::PictureError,
    fault::{early, unsupported},
    limits::DecodeLimits,
    numbers::long,
};

const FORMAT: &str = "DDS";

/// Bytes of the mark and the header, of which the latter are counted in it.
const HEADER: usize = 128;
const HEADER_COUNT: usize = 124;
/// Bytes of a second header, which `DX10` announces.
const SECOND_HEADER: usize = 20;
const PALETTE: usize = 4 * 256;

/// Flags of the kind of pixels, in the order in which they count.
const RGB: usize = 0x40;
const LUMINANCE: usize = 0x2_0000;
const PLACES: usize = 0x20;
const NAMED: usize = 4;
/// A flag beside those.
const ALPHA: usize = 1;

enum Kind {
    Grey,
    GreyAlpha,
    Rgba,
    Blocks(Blocks),
}

pub(super) fn decode_dds(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let header = bytes.first_chunk::<HEADER>().ok_or_else(|| early(FORMAT))?;
    let number = |at| long(header, at).unwrap_or_default();
    if number(4) != HEADER_COUNT {
        return Err(unsupported(FORMAT, "its header has an unknown length"));
    }
    let canvas = Canvas::new(FORMAT, [number(16), number(12)], 4, limits)?;
    let (flags, bits) = (number(80), number(88));
    let data = &bytes[HEADER..];
    let has_alpha = flags & ALPHA != 0;
    let kind = if flags & RGB != 0 {
        let masks = [92, 96, 100, 104].map(|at| number(at) as u32);
        return masked(&canvas, data, bits / 8, &masks[..if has_alpha { 4 } else { 3 }]);
    } else if flags & LUMINANCE != 0 {
        match (bits, has_alpha) {
            (8, _) => Kind::Grey,
            (16, true) => Kind::GreyAlpha,
            _ => return Err(unsupported(FORMAT, format!("its grey levels have {bits} bits"))),
        }
    } else if flags & PLACES != 0 {
        let (colours, places) = data.split_at_checked(PALETTE).ok_or_else(|| early(FORMAT))?;
        let colours = colours.as_chunks().0.iter().copied();
        let palette = Palette::new(colours, true).ok_or_else(|| early(FORMAT))?;
        let places = places.get(..canvas.pixels()).ok_or_else(|| early(FORMAT))?;
        return canvas.of_places(places, &palette);
    } else if flags & NAMED != 0 {
        match &header[84..88] {
            b"DX10" => {
                let (second, data) = data.split_at_checked(SECOND_HEADER).ok_or_else(|| early(FORMAT))?;
                return of_number(long(second, 0).unwrap_or_default())?.picture(&canvas, data);
            }
            name => of_name(name)?,
        }
    } else {
        return Err(unsupported(FORMAT, "its pixels have neither colours nor grey levels"));
    };
    kind.picture(&canvas, data)
}

/// A kind of pixels by its name (`D3DFMT`).
fn of_name(name: &[u8]) -> Result<Kind, PictureError> {
    Ok(Kind::Blocks(match name {
        b"DXT1" => Blocks::Bc1(Fifths::Repeated),
        b"DXT3" => Blocks::Bc2(Fifths::Repeated),
        b"DXT5" => Blocks::Bc3(Fifths::Repeated),
        b"BC4U" | b"ATI1" => Blocks::Bc4,
        b"BC5U" | b"ATI2" => Blocks::Bc5 { is_signed: false },
        b"BC5S" => Blocks::Bc5 { is_signed: true },
        name => {
            let name = name.escape_ascii();
            return Err(unsupported(FORMAT, format!("its pixels are of the kind \"{name}\"")));
        }
    }))
}

/// A kind of pixels by its number in a second header (`DXGI_FORMAT`).
fn of_number(number: usize) -> Result<Kind, PictureError> {
    Ok(match number {
        27..=29 => Kind::Rgba,
        70 | 71 => Kind::Blocks(Blocks::Bc1(Fifths::Repeated)),
        73 | 74 => Kind::Blocks(Blocks::Bc2(Fifths::Repeated)),
        76 | 77 => Kind::Blocks(Blocks::Bc3(Fifths::Repeated)),
        79 | 80 => Kind::Blocks(Blocks::Bc4),
        82 | 83 => Kind::Blocks(Blocks::Bc5 { is_signed: false }),
        84 => Kind::Blocks(Blocks::Bc5 { is_signed: true }),
        95 => Kind::Blocks(Blocks::Bc6 { is_signed: false }),
        96 => Kind::Blocks(Blocks::Bc6 { is_signed: true }),
        97..=99 => Kind::Blocks(Blocks::Bc7),
        _ => return Err(unsupported(FORMAT, format!("its pixels are of DXGI format {number}"))),
    })
}

impl Kind {
    fn picture(&self, canvas: &Canvas, data: &[u8]) -> Result<DynamicImage, PictureError> {
        let samples = |channels: usize| {
            let samples = data.get(..canvas.pixels() * channels);
            samples.map(<[u8]>::to_vec).ok_or_else(|| early(FORMAT))
        };
        match self {
            Self::Grey => canvas.picture(samples(1)?, DynamicImage::ImageLuma8),
            Self::GreyAlpha => canvas.picture(samples(2)?, DynamicImage::ImageLumaA8),
            Self::Rgba => canvas.picture(samples(4)?, DynamicImage::ImageRgba8),
            Self::Blocks(blocks) => blocks.picture(canvas, data),
        }
    }
}

/// Pixels of so many bytes, in which each channel has its bits. Only the first four bytes count, the lowest first.
fn masked(canvas: &Canvas, data: &[u8], pixel_len: usize, masks: &[u32]) -> Result<DynamicImage, PictureError> {
    let length = pixel_len.checked_mul(canvas.pixels()).filter(|&length| length > 0);
    let data = length
        .and_then(|length| data.get(..length))
        .ok_or_else(|| early(FORMAT))?;
    let mut samples = Vec::with_capacity(canvas.pixels() * masks.len());
    for pixel in data.chunks_exact(pixel_len) {
        let bytes = pixel.iter().take(4).rev();
        let number = bytes.fold(0, |number, &byte| number << 8 | u32::from(byte));
        samples.extend(masks.iter().map(|&mask| level(number, mask)));
    }
    match masks {
        [_, _, _] => canvas.picture(samples, DynamicImage::ImageRgb8),
        _ => canvas.picture(samples, DynamicImage::ImageRgba8),
    }
}

/// The bits of a channel as a level, cut to a whole number; 0 for a channel without bits.
fn level(number: u32, mask: u32) -> u8 {
    let place = mask.trailing_zeros();
    let [level, largest] = [number & mask, mask].map(|bits| f64::from(bits.checked_shr(place).unwrap_or_default()));
    // Not a number without bits, which becomes 0.
    (level / largest * 255.0) as u8
}
