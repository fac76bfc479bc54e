//! macOS icons (ICNS): the largest, as Pillow chooses and reads it (`IcnsImagePlugin.py`).

use image::DynamicImage;

use super::{
    canvas::Canvas,
    error::PictureError,
    fault::{damaged, early, unsupported},
    formats::{FileKind, HEAD_BYTES, PictureFormat},
    icon::Icon,
    limits::DecodeLimits,
    numbers::big_long,
};

const FORMAT: &str = "ICNS";
const HEADER: usize = 8;

/// The kinds of an icon, the largest first.
const KINDS: [Kind; 12] = [
    Kind::file(1024, b"ic10"),
    Kind::file(512, b"ic09"),
    Kind::file(512, b"ic14"),
    Kind::file(256, b"ic08"),
    Kind::file(256, b"ic13"),
    Kind::pixels(128, b"ic07", [b"it32", b"t8mk"]),
    Kind::file(64, b"icp6"),
    Kind::pixels(48, b"", [b"ih32", b"h8mk"]),
    Kind::file(64, b"ic12"),
    Kind::pixels(32, b"icp5", [b"il32", b"l8mk"]),
    Kind::file(32, b"ic11"),
    Kind::pixels(16, b"icp4", [b"is32", b"s8mk"]),
];

struct Kind {
    /// Pixels of each side.
    side: usize,
    /// The part that holds a file.
    file: &'static [u8],
    /// The parts that hold colours and opacity.
    pixels: Option<[&'static [u8; 4]; 2]>,
}

impl Kind {
    const fn file(side: usize, file: &'static [u8]) -> Self {
        Self {
            side,
            file,
            pixels: None,
        }
    }

    const fn pixels(side: usize, file: &'static [u8], pixels: [&'static [u8; 4]; 2]) -> Self {
        Self {
            side,
            file,
            pixels: Some(pixels),
        }
    }
}

/// The largest icon, and the sides of all icons in full colours.
pub(super) struct Icns<'a> {
    pub icon: Icon<'a>,
    pub sides: Vec<usize>,
}

pub(super) fn decode_icns<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Icns<'a>, PictureError> {
    let parts = parts(bytes)?;
    // Of several of a name the last one counts.
    let find = |name: &[u8]| parts.iter().rev().find(|part| part.name == name);
    let kinds = KINDS.iter().filter_map(|&Kind { side, file, pixels }| {
        let file = find(file);
        let [colours, opacity] = pixels.map_or([None; 2], |names| names.map(|name| find(&name[..])));
        let has_any = file.or(colours).or(opacity).is_some();
        has_any.then_some((side, file, colours, opacity))
    });
    let kinds: Vec<_> = kinds.collect();
    let &(side, file, colours, opacity) = kinds
        .first()
        .ok_or_else(|| unsupported(FORMAT, "it has no icon in full colours"))?;
    let opacity = opacity.map(|part| opacity_of(bytes, part, side * side)).transpose()?;
    // A file counts more than pixels, which must be whole even so.
    let picture = colours.map(|part| picture(bytes, side, part, opacity, limits));
    let picture = picture.transpose()?;
    let icon = match file {
        Some(part) => file_of(bytes, part)?,
        None => Icon::Picture(picture.ok_or_else(|| damaged(FORMAT, "its largest icon has no colours"))?),
    };
    let sides = kinds.iter().map(|&(side, ..)| side).collect();
    Ok(Icns { icon, sides })
}

/// Refuses an icon unless a kind of icon in the file has its sides or a multiple of them, as Pillow does.
pub(super) fn check_sides(sides: &[usize], (width, height): (u32, u32)) -> Result<(), PictureError> {
    let (width, height) = (width as usize, height as usize);
    let fits = |&side: &usize| side.checked_div(width).is_some_and(|scale| scale * height == side);
    if sides.iter().any(fits) {
        Ok(())
    } else {
        Err(damaged(FORMAT, "its largest icon has an impossible size"))
    }
}

/// An icon that is a file. A PNG file may be longer than its part.
fn file_of<'a>(bytes: &'a [u8], part: &Part<'_>) -> Result<Icon<'a>, PictureError> {
    let file = bytes.get(part.start..).unwrap_or_default();
    if file.starts_with(Icon::PNG) {
        return Ok(Icon::Png(file));
    }
    let file = &file[..part.length.min(file.len())];
    match FileKind::of(&file[..file.len().min(HEAD_BYTES)]) {
        FileKind::Picture(PictureFormat::Jpeg2000) => Ok(Icon::Jpeg2000(file)),
        _ => Err(unsupported(FORMAT, "its largest icon is neither PNG nor JPEG 2000")),
    }
}

fn picture(
    bytes: &[u8],
    side: usize,
    colours: &Part<'_>,
    opacity: Option<&[u8]>,
    limits: &DecodeLimits,
) -> Result<DynamicImage, PictureError> {
    let canvas = Canvas::new(FORMAT, [side; 2], 4, limits)?;
    let planes = colours_of(bytes, colours, canvas.pixels())?;
    let colours = (0..canvas.pixels()).map(|index| planes.each_ref().map(|plane| plane[index]));
    let Some(opacity) = opacity else {
        return canvas.picture(colours.flatten().collect(), DynamicImage::ImageRgb8);
    };
    let pixels = colours
        .zip(opacity)
        .flat_map(|([red, green, blue], &alpha)| [red, green, blue, alpha]);
    canvas.picture(pixels.collect(), DynamicImage::ImageRgba8)
}

fn opacity_of<'a>(bytes: &'a [u8], part: &Part<'_>, count: usize) -> Result<&'a [u8], PictureError> {
    let opacity = bytes.get(part.start..).and_then(|opacity| opacity.get(..count));
    opacity.ok_or_else(|| early(FORMAT))
}

struct Part<'a> {
    name: &'a [u8],
    start: usize,
    length: usize,
}

fn parts(bytes: &[u8]) -> Result<Vec<Part<'_>>, PictureError> {
    let end = big_long(bytes, 4).ok_or_else(|| early(FORMAT))?;
    let mut parts = Vec::new();
    let mut at = HEADER;
    while at < end {
        let length = big_long(bytes, at + 4).ok_or_else(|| early(FORMAT))?;
        if length < HEADER {
            return Err(damaged(FORMAT, "a part is shorter than its header"));
        }
        parts.push(Part {
            name: &bytes[at..at + 4],
            start: at + HEADER,
            length: length - HEADER,
        });
        at += length;
    }
    Ok(parts)
}

/// Red, green and blue, each in runs, or the three of each pixel as they are.
fn colours_of(bytes: &[u8], part: &Part<'_>, count: usize) -> Result<[Vec<u8>; 3], PictureError> {
    let (mut start, mut length) = (part.start, part.length);
    if part.name == b"it32" {
        if big_long(bytes, start) != Some(0) {
            return Err(damaged(FORMAT, "its largest icon has an unknown mark"));
        }
        (start, length) = (start + 4, length.saturating_sub(4));
    }
    let data = bytes.get(start..).unwrap_or_default();
    if length == 3 * count {
        let data = data.get(..length).ok_or_else(|| early(FORMAT))?;
        return Ok([0, 1, 2].map(|channel| data.iter().skip(channel).step_by(3).copied().collect()));
    }
    let mut data = data.iter().copied();
    let mut planes = [const { Vec::new() }; 3];
    for plane in &mut planes {
        while plane.len() < count {
            let head = data.next().ok_or_else(|| early(FORMAT))?;
            if head & 0x80 == 0 {
                let length = plane.len() + usize::from(head) + 1;
                plane.extend(data.by_ref().take(usize::from(head) + 1));
                if plane.len() < length {
                    return Err(early(FORMAT));
                }
            } else {
                let byte = data.next().ok_or_else(|| early(FORMAT))?;
                plane.resize(plane.len() + usize::from(head) - 125, byte);
            }
        }
        if plane.len() > count {
            return Err(damaged(FORMAT, "a channel is too long"));
        }
    }
    Ok(planes)
}
