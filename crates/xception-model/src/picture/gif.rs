//! GIF: the first frame, with Pillow's answers to frames and colours out of range (`GifImagePlugin.py`).

use std::io::{Cursor, Read};

use gif::{ColorOutput, MemoryLimit};
use image::{DynamicImage, RgbImage, RgbaImage};

use super::{
    error::PictureError,
    limits::check_size,
    options::DecodeOptions,
    short_gif::{ShortFrame, without_a_cut_block},
    warning::PictureWarning,
};
use crate::reading::TruncatedMode;

const FORMAT: &str = "GIF";

pub(super) fn decode_gif(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let limits = &options.limits;
    let mut reader = gif::DecodeOptions::new();
    reader.set_color_output(ColorOutput::Indexed);
    // What is decoded is checked below.
    reader.set_memory_limit(MemoryLimit::Unlimited);
    let (head, rest) = essentials(bytes).ok_or_else(|| damaged("it holds no picture, or ends before its first one"))?;
    let rest = without_a_cut_block(rest);
    let file = Cursor::new(head).chain(rest).chain(NO_MORE_BLOCKS);
    let mut decoder = reader.read_info(file).map_err(damaged)?;
    check_size(decoder.width().into(), decoder.height().into(), 4, limits)?;
    let everywhere = decoder.global_palette().map(<[u8]>::to_vec);
    let (screen_width, screen_height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = decoder.next_frame_info().map_err(damaged)?;
    let frame = frame.ok_or_else(|| damaged("it holds no picture"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (frame_width, frame_height) = (usize::from(frame.width), usize::from(frame.height));
    let (transparent, is_interlaced) = (frame.transparent, frame.interlaced);
    let palette = frame.palette.clone().or(everywhere);
    // A frame that reaches beyond the screen makes it larger.
    let (width, height) = (
        screen_width.max(left + frame_width),
        screen_height.max(top + frame_height),
    );
    check_size(width as u32, height as u32, 4, limits)?;
    // Pixels outside of the frame have the transparent colour, or the first colour.
    let ground = transparent.unwrap_or(0);
    let mut places = vec![0; frame_width * frame_height];
    if let Err(error) = decoder.read_into_buffer(&mut places) {
        let frame = ShortFrame {
            width: frame_width,
            height: frame_height,
            is_interlaced,
            ground,
        };
        let found = frame.read(rest, &mut places);
        let is_filled = options.reading.truncated == TruncatedMode::Fill && found >= frame_width;
        // An impossible code behind the last pixel does not count.
        let is_whole = found == places.len();
        if found == 0 || !(is_filled || is_whole) {
            return Err(damaged(error));
        }
        warnings.extend((!is_whole).then(|| PictureWarning::Damaged {
            format: FORMAT,
            reason: error.to_string(),
        }));
    }
    let mut canvas = vec![ground; width * height];
    for (row, places) in places.chunks_exact(frame_width.max(1)).enumerate() {
        canvas[(top + row) * width + left..][..frame_width].copy_from_slice(places);
    }
    let colours = Colours::new(palette.as_deref());
    let pixels = canvas.iter().map(|&place| (place, colours.get(place)));
    let picture = if let Some(transparent) = transparent {
        let rgba = pixels
            .flat_map(|(place, [red, green, blue])| [red, green, blue, if place == transparent { 0 } else { 255 }]);
        RgbaImage::from_raw(width as u32, height as u32, rgba.collect()).map(DynamicImage::ImageRgba8)
    } else {
        let rgb = pixels.flat_map(|(_, colour)| colour);
        RgbImage::from_raw(width as u32, height as u32, rgb.collect()).map(DynamicImage::ImageRgb8)
    };
    picture.ok_or_else(|| damaged("the decoded size is not the size in the header"))
}

/// The bytes before a palette, and the place of the flags among them.
const HEADER: usize = 13;
const FLAGS: usize = 10;
/// The flags of a palette of 256 colours.
const WHOLE_PALETTE: u8 = 0x87;

/// The end of a picture's data and of a file, which may be missing.
const NO_MORE_BLOCKS: &[u8] = &[0, END];

/// What begins a block: an extension, a picture, and the end of the file.
const EXTENSION: u8 = b'!';
const PICTURE: u8 = b',';
const END: u8 = b';';
/// The extension that names a transparent colour, in the fourth byte of its first part if the lowest bit of the first
/// byte is set.
const CONTROL: u8 = 0xf9;

/// The file up to its first picture, with nothing behind its palette but the transparent colour, and the file from the
/// picture on; `None` without a picture, and where Pillow refuses it.
///
/// As in Pillow, bytes that begin no block are passed over, and a file without a palette for all frames has grey
/// levels for one.
fn essentials(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let mut file = header.to_vec();
    let mut rest = if header[FLAGS] & 0x80 == 0 {
        file.extend((0..=u8::MAX).flat_map(|level| [level; 3]));
        file[FLAGS] |= WHOLE_PALETTE;
        rest
    } else {
        let (palette, rest) = rest.split_at_checked(3 << ((header[FLAGS] & 7) + 1))?;
        file.extend(palette);
        rest
    };
    let mut transparent = None;
    loop {
        let (&first, after) = rest.split_first()?;
        match first {
            EXTENSION => {
                let (&name, parts) = after.split_first()?;
                let length = usize::from(*parts.first()?);
                if name == CONTROL && length > 0 {
                    let part = parts.get(1..1 + length)?;
                    // Pillow fails on a part that is too short.
                    part.get(..3)?;
                    if part[0] & 1 == 1 {
                        transparent = Some(*part.get(3)?);
                    }
                }
                rest = behind_parts(parts);
            }
            PICTURE => break,
            END => return None,
            _ => rest = after,
        }
    }
    if let Some(transparent) = transparent {
        file.extend([EXTENSION, CONTROL, 4, 1, 0, 0, transparent, 0]);
    }
    Some((file, rest))
}

/// What follows the parts of an extension: each has its length before it, and the last one is empty.
fn behind_parts(mut rest: &[u8]) -> &[u8] {
    while let Some((&length, after)) = rest.split_first() {
        rest = after.get(usize::from(length)..).unwrap_or_default();
        if length == 0 {
            break;
        }
    }
    rest
}

fn damaged(error: impl std::fmt::Display) -> PictureError {
    PictureError::Damaged {
        format: FORMAT,
        reason: error.to_string(),
    }
}

/// The colours of a palette.
struct Colours<'p> {
    /// The colour of each place; `None` for levels of grey.
    palette: Option<&'p [[u8; 3]]>,
}

impl<'p> Colours<'p> {
    /// A palette of grey levels in order counts as none (`_is_palette_needed`).
    fn new(palette: Option<&'p [u8]>) -> Self {
        let palette = palette.map(|palette| palette.as_chunks().0);
        let is_needed = |palette: &&[[u8; 3]]| {
            let mut levels = (0..=255).zip(*palette);
            levels.any(|(level, colour)| *colour != [level; 3])
        };
        Self {
            palette: palette.filter(is_needed),
        }
    }

    /// Beyond the palette is black.
    fn get(&self, place: u8) -> [u8; 3] {
        match self.palette {
            Some(palette) => palette.get(usize::from(place)).copied().unwrap_or_default(),
            None => [place; 3],
        }
    }
}
