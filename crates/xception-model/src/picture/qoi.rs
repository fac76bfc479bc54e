//! QOI, with Pillow's numbers (`QoiImagePlugin.py`).

use image::DynamicImage;

use super::{canvas::Canvas, error::PictureError, fault::early, limits::DecodeLimits, numbers::big_long};

const FORMAT: &str = "QOI";
const HEADER: usize = 14;

type Pixel = [u8; 4];

pub(super) fn decode_qoi(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let (header, data) = bytes.split_at_checked(HEADER).ok_or_else(|| early(FORMAT))?;
    let size = [4, 8].map(|at| big_long(header, at).unwrap_or_default());
    let canvas = Canvas::new(FORMAT, size, 8, limits)?;
    let pixels = pixels(data, canvas.pixels()).ok_or_else(|| early(FORMAT))?;
    if header[12] == 3 {
        let colours = pixels.iter().flat_map(|&[red, green, blue, _]| [red, green, blue]);
        canvas.picture(colours.collect(), DynamicImage::ImageRgb8)
    } else {
        canvas.picture(pixels.into_flattened(), DynamicImage::ImageRgba8)
    }
}

fn pixels(data: &[u8], total: usize) -> Option<Vec<Pixel>> {
    let mut seen = [[0; 4]; 64];
    let mut last = [0, 0, 0, 255];
    let mut pixels = Vec::new();
    let mut data = data.iter().copied();
    while pixels.len() < total {
        let head = data.next()?;
        let low = head & 63;
        let [red, green, blue, alpha] = last;
        last = match (head, head >> 6) {
            (0xfe, _) => [data.next()?, data.next()?, data.next()?, alpha],
            (0xff, _) => [data.next()?, data.next()?, data.next()?, data.next()?],
            (_, 0) => seen[usize::from(low)],
            (_, 1) => {
                let moved = |level: u8, shift: u8| level.wrapping_add((low >> shift) & 3).wrapping_sub(2);
                [moved(red, 4), moved(green, 2), moved(blue, 0), alpha]
            }
            (_, 2) => {
                let next = data.next()?;
                let moved = |level: u8, by: u8| level.wrapping_add(low).wrapping_add(by).wrapping_sub(32 + 8);
                [moved(red, next >> 4), moved(green, 8), moved(blue, next & 15), alpha]
            }
            _ => {
                let length = (usize::from(low) + 1).min(total - pixels.len());
                pixels.extend([last].repeat(length));
                continue;
            }
        };
        let sum = last
            .iter()
            .zip([3, 5, 7, 11])
            .map(|(&level, factor)| usize::from(level) * factor);
        seen[sum.sum::<usize>() % 64] = last;
        pixels.push(last);
    }
    Some(pixels)
}
