//! macOS icons (ICNS): the largest, as Pillow chooses and reads it (`IcnsImagePlugin.py`).

use image::DynamicImage;

use super::{
    canvas::Canvas,
    error::PictureError,
    fault::{damaged, early, unsupported},
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
    Kind {
        pixels: Some((b"it32", b"t8mk")),
        ..Kind::file(128, b"ic07")
    },
    Kind::file(64, b"icp6"),
    Kind {
        pixels: Some((b"ih32", b"h8mk")),
        ..Kind::file(48, b"")
    },
    Kind::file(64, b"ic12"),
    Kind {
        pixels: Some((b"il32", b"l8mk")),
        ..Kind::file(32, b"icp5")
    },
    Kind::file(32, b"ic11"),
    Kind {
        pixels: Some((b"is32", b"s8mk")),
        ..Kind::file(16, b"icp4")
    },
];

struct Kind {
    /// Pixels of each side.
    side: usize,
    /// The part that holds a file.
    file: &'static [u8],
    /// The parts that hold colours and transparency.
    pixels: Option<(&'static [u8; 4], &'static [u8; 4])>,
}

impl Kind {
    const fn file(side: usize, file: &'static [u8]) -> Self {
        Self {
            side,
            file,
            pixels: None,
        }
    }
}

pub(super) fn decode_icns<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Icon<'a>, PictureError> {
    let parts = parts(bytes)?;
    // Of several of a name the last one counts.
    let find = |name: &[u8]| parts.iter().rev().find(|part| part.name == name);
    for kind in KINDS {
        if let Some(part) = find(kind.file) {
            let file = bytes.get(part.start..).unwrap_or_default();
            if !file.starts_with(Icon::PNG) {
                return Err(unsupported(FORMAT, "its largest icon is no PNG, but perhaps JPEG 2000"));
            }
            return Ok(Icon::Png(file));
        }
        let Some((colours, mask)) = kind.pixels else {
            continue;
        };
        let (colours, mask) = (find(colours), find(mask));
        if colours.is_none() && mask.is_none() {
            continue;
        }
        let colours = colours.ok_or_else(|| damaged(FORMAT, "its largest icon has no colours"))?;
        let canvas = Canvas::new(FORMAT, [kind.side; 2], 4, limits)?;
        let planes = colours_of(bytes, colours, canvas.pixels())?;
        let mask = match mask {
            None => None,
            Some(part) => {
                let mask = bytes.get(part.start..).and_then(|mask| mask.get(..canvas.pixels()));
                Some(mask.ok_or_else(|| early(FORMAT))?)
            }
        };
        let colour = |index: usize| planes.each_ref().map(|plane| plane[index]);
        let colours = (0..canvas.pixels()).map(colour);
        let picture = match mask {
            None => canvas.picture(colours.flatten().collect(), DynamicImage::ImageRgb8),
            Some(mask) => {
                let pixels = colours
                    .zip(mask)
                    .flat_map(|([red, green, blue], &alpha)| [red, green, blue, alpha]);
                canvas.picture(pixels.collect(), DynamicImage::ImageRgba8)
            }
        };
        return picture.map(Icon::Picture);
    }
    Err(unsupported(FORMAT, "it has no icon in full colours"))
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
