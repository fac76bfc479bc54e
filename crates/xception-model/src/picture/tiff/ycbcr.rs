//! Lightness and colour differences, with libtiff's numbers (`tif_getimage.c`, `tif_color.c`).

use image::RgbImage;

use super::{
    super::{error::PictureError, warning::PictureWarning},
    chunk::Chunk,
    chunks::gather,
    compression::decompress,
    directory::{Directory, tag},
    fault::{damaged, unsupported},
    header::NONE,
    samples::File,
};

pub(super) fn decode_ycbcr(file: &File<'_>, warnings: &mut Vec<PictureWarning>) -> Result<RgbImage, PictureError> {
    let (header, directory) = (&file.header, &file.directory);
    let subsampling = directory.numbers(tag::SUBSAMPLING);
    let (across, down) = match subsampling.as_deref() {
        Some(&[across @ (1 | 2 | 4), down @ (1 | 2 | 4)]) => (across as usize, down as usize),
        // Pillow reads uncompressed rows as if every pixel had colours of its own.
        None if header.compression == NONE => (1, 1),
        None => (2, 2),
        Some(_) => return Err(unsupported("its colours have an unknown resolution".into())),
    };
    let samples = if (across, down) == (1, 1) {
        gather(&file.chunks, directory, header, |row, index| row[index])?
    } else if header.is_planar || header.samples > 3 || header.predictor != 1 {
        return Err(unsupported(
            "its colours are YCbCr of fewer pixels, in planes or as differences".into(),
        ));
    } else {
        if header.compression == NONE {
            let what = "uncompressed YCbCr with colours for several pixels at once";
            warnings.push(PictureWarning::Misread { what });
        }
        spread(file, across, down)?
    };
    let rgb = if header.compression == NONE && (across, down) == (1, 1) {
        samples
            .as_chunks()
            .0
            .iter()
            .flat_map(|&pixel| pillow_to_rgb(pixel))
            .collect()
    } else {
        to_rgb(directory, &samples)
    };
    RgbImage::from_raw(header.width, header.height, rgb).ok_or_else(|| damaged("the data end early"))
}

/// Pixels as RGB, by the shares that tags name.
pub(super) fn to_rgb(directory: &Directory<'_>, samples: &[u8]) -> Vec<u8> {
    let tables = Tables::new(directory);
    let pixels = samples.as_chunks().0.iter();
    pixels.flat_map(|&pixel| tables.to_rgb(pixel)).collect()
}

/// Blocks of `across` times `down` pixels, each of their lightnesses and one pair of colour differences, as pixels.
fn spread(file: &File<'_>, across: usize, down: usize) -> Result<Vec<u8>, PictureError> {
    let (width, height) = (file.header.width as usize, file.header.height as usize);
    let block_len = across * down + 2;
    let mut samples = vec![0; width * height * 3];
    for place in file.chunks.places(&file.header, 1) {
        let blocks = (file.chunks.width as usize).div_ceil(across);
        let mut data = vec![0; blocks * place.rows.div_ceil(down) * block_len];
        let chunk = Chunk {
            bytes: file.chunks.bytes(place)?,
            row_len: blocks * block_len,
            width: file.chunks.width as usize,
            is_reversed: file.header.is_reversed,
            is_first: place.x == 0 && place.y == 0,
            options: 0,
            max_bytes: file.chunks.max_bytes,
        };
        decompress(&chunk, file.header.compression, &mut data)?;
        for row in 0..place.rows {
            let start = ((place.y as usize + row) * width + place.x as usize) * 3;
            let line = samples[start..][..place.columns * 3].as_chunks_mut().0;
            for (column, pixel) in line.iter_mut().enumerate() {
                let block = &data[((row / down) * blocks + column / across) * block_len..][..block_len];
                let lightness = block[row % down * across + column % across];
                *pixel = [lightness, block[block_len - 2], block[block_len - 1]];
            }
        }
    }
    Ok(samples)
}

/// `TIFFYCbCrToRGBInit`: the shares of each sample in the colours, with 16 bits behind the point where `_fine`.
struct Tables {
    lightness: [i32; 256],
    red: [i32; 256],
    green_of_cb_fine: [i32; 256],
    green_of_cr_fine: [i32; 256],
    blue: [i32; 256],
}

const HALF: i32 = 1 << 15;

impl Tables {
    fn new(directory: &Directory<'_>) -> Self {
        let ratios = |tag, default: &[f32]| {
            let ratios = directory.ratios(tag).filter(|ratios| ratios.len() >= default.len());
            ratios.unwrap_or(default.to_vec())
        };
        let luma = ratios(tag::LUMA, &[0.299, 0.587, 0.114]);
        let range = ratios(tag::BLACK_AND_WHITE, &[0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
        let fixed = |share: f32| (f64::from(share.clamp(0.0, 2.0) * 65_536.0) + 0.5) as i32;
        let (red, blue) = (2.0 - 2.0 * luma[0], 2.0 - 2.0 * luma[2]);
        let (by_red, by_blue) = (luma[0] * red / luma[1], luma[2] * blue / luma[1]);
        let (red, by_red, blue, by_blue) = (fixed(red), -fixed(by_red), fixed(blue), -fixed(by_blue));
        // `Code2V`: a code between the codes of black and white as a value of 0 to `largest`.
        let value = |code: i32, black: f32, white: f32, largest: f32| {
            let span = if white - black == 0.0 { 1.0 } else { white - black };
            let value = code.wrapping_sub(black as i32) as f32 * largest / span;
            value.clamp(-128.0 * 32.0, 128.0 * 32.0) as i32
        };
        let table = |entry: &dyn Fn(i32) -> i32| std::array::from_fn(|code| entry(code as i32));
        let cb = |code| value(code - 128, range[2] - 128.0, range[3] - 128.0, 127.0);
        let cr = |code| value(code - 128, range[4] - 128.0, range[5] - 128.0, 127.0);
        Self {
            lightness: table(&|code| value(code, range[0], range[1], 255.0)),
            red: table(&|code| (red.wrapping_mul(cr(code)).wrapping_add(HALF)) >> 16),
            green_of_cb_fine: table(&|code| by_blue.wrapping_mul(cb(code)).wrapping_add(HALF)),
            green_of_cr_fine: table(&|code| by_red.wrapping_mul(cr(code))),
            blue: table(&|code| (blue.wrapping_mul(cb(code)).wrapping_add(HALF)) >> 16),
        }
    }

    fn to_rgb(&self, pixel: [u8; 3]) -> [u8; 3] {
        let [lightness, cb, cr] = pixel.map(usize::from);
        let green = self.green_of_cb_fine[cb].wrapping_add(self.green_of_cr_fine[cr]) >> 16;
        [self.red[cr], green, self.blue[cb]].map(|share| (self.lightness[lightness] + share).clamp(0, 255) as u8)
    }
}

/// `ConvertYCbCr.c`: shares with six bits behind the point, each cut towards 0 after half a unit is added.
fn pillow_to_rgb([lightness, cb, cr]: [u8; 3]) -> [u8; 3] {
    let share = |code: u8, factor: f64| ((f64::from(code) - 128.0) * factor * 64.0 + 0.5) as i32;
    [
        share(cr, 1.402),
        share(cb, -0.34414) + share(cr, -0.71414),
        share(cb, 1.772),
    ]
    .map(|share| (i32::from(lightness) + (share >> 6)).clamp(0, 255) as u8)
}
