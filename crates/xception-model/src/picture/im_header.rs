//! The header of an IM file, which has no mark (`ImImagePlugin.py`).

use super::python::{float, integer};

/// A line feed stands in so many bytes of a file, and a line has no more.
const MAX_LINE: usize = 100;
/// The byte behind the header, which may end with zeros before.
pub(super) const END: u8 = 0x1a;

/// Names of the lines that make a file an IM file.
const KIND: &[u8] = b"Image type";
const SIZE: &[u8] = b"Image size (x*y)";
const FRAMES: &[u8] = b"File size (no of images)";
const SCALE: &[u8] = b"Scale (x,y)";
const LOOKUP: &[u8] = b"Lut";
const NAMES: [&[u8]; 9] = [
    KIND,
    SIZE,
    FRAMES,
    SCALE,
    LOOKUP,
    b"Comment",
    b"Date",
    b"Digitalization equipment",
    b"Name",
];

/// How the pixels are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pixels {
    Bits,
    Grey,
    /// 16 bits, and whether the highest come first.
    DeepGrey(bool),
    /// Places in a palette, of so many bits.
    Places(usize),
    Rgb,
    /// Rows of one channel after the other.
    RgbRows,
    /// Planes of green, red and blue.
    Planes,
    GreyAlpha,
    PlacesAlpha,
    Rgba,
    Rgbx,
    Inks,
    YCbCr,
    Numbers(Number),
    /// Floating-point numbers made of so many bits.
    Packed(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
}

pub(super) struct Header {
    pub pixels: Option<Pixels>,
    pub size: Option<[i64; 2]>,
    pub has_table: bool,
    /// Where lines end.
    pub end: usize,
}

/// Whether a file begins with lines as an IM file does, which has no mark: all that end here, and one with the kind or
/// the size of the picture.
pub(super) fn is_im(head: &[u8]) -> bool {
    Header::read(head, false).is_some()
}

/// The pixels of a kind (`OPEN`); `None` for one that Pillow does not know or cannot unpack.
fn pixels_of(kind: &[u8]) -> Option<Pixels> {
    let kind = std::str::from_utf8(kind.strip_suffix(b" image")?).ok()?;
    let either = kind.strip_prefix("L ").or_else(|| kind.strip_prefix("L*"));
    Some(match (kind, either) {
        ("0 1" | "L 1" | "B1", _) => Pixels::Bits,
        ("Greyscale" | "Grayscale", _) => Pixels::Grey,
        ("RGB", _) => Pixels::RgbRows,
        ("B2", _) => Pixels::Places(2),
        ("B4", _) => Pixels::Places(4),
        ("X 24", _) => Pixels::Rgb,
        ("RGB3" | "RYB3", _) => Pixels::Planes,
        ("LA", _) => Pixels::GreyAlpha,
        ("PA", _) => Pixels::PlacesAlpha,
        ("RGBA", _) => Pixels::Rgba,
        ("RGBX", _) => Pixels::Rgbx,
        ("CMYK", _) => Pixels::Inks,
        ("YCC", _) => Pixels::YCbCr,
        ("L 32 S", _) => Pixels::Numbers(Number::I32),
        ("L 8" | "L*8", _) => Pixels::Numbers(Number::U8),
        ("L*16", _) => Pixels::Numbers(Number::U16),
        ("L 32" | "L*32" | "L 32 F", _) => Pixels::Numbers(Number::U32),
        (_, Some("8S")) => Pixels::Numbers(Number::I8),
        (_, Some("16S")) => Pixels::Numbers(Number::I16),
        (_, Some("32S")) => Pixels::Numbers(Number::I32),
        (_, Some("32F")) => Pixels::Numbers(Number::F32),
        ("L 16", _) | (_, Some("16L")) => Pixels::DeepGrey(false),
        (_, Some("16B")) => Pixels::DeepGrey(true),
        _ => {
            let bits = kind.strip_prefix("L*").filter(|bits| !bits.starts_with(['0', '+']))?;
            Pixels::Packed(bits.parse().ok().filter(|bits| (2..32).contains(bits))?)
        }
    })
}

impl Header {
    /// Lines of a name, a colon and a value. The last may be cut unless the file `is_whole`.
    pub fn read(bytes: &[u8], is_whole: bool) -> Option<Self> {
        bytes[..bytes.len().min(MAX_LINE)].contains(&b'\n').then_some(())?;
        let mut header = Self {
            pixels: Some(Pixels::Grey),
            size: Some([512, 512]),
            has_table: false,
            end: 0,
        };
        let (mut is_known, mut is_telling) = (false, false);
        loop {
            let rest = &bytes[header.end..];
            match rest.first() {
                None | Some(0 | &END) => break,
                Some(b'\r') => {
                    header.end += 1;
                    continue;
                }
                Some(_) => {}
            }
            // A line feed at the beginning belongs to the line.
            let length = rest[1..].iter().position(|&byte| byte == b'\n').map(|at| at + 2);
            if length.is_none() && !is_whole && rest.len() <= MAX_LINE {
                break;
            }
            let line = &rest[..length.unwrap_or(rest.len())];
            header.end += line.len();
            if line.len() > MAX_LINE || !line[0].is_ascii_alphabetic() {
                return None;
            }
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let (name, value) = line.split_at(line.iter().position(|&byte| byte == b':')?);
            let start = value[1..].iter().position(|byte| !matches!(byte, b' ' | b'\t'));
            let value = start.map_or(&b""[..], |start| &value[1 + start..]);
            is_known |= NAMES.contains(&name);
            is_telling |= [KIND, SIZE].contains(&name);
            header.take(name, value)?;
        }
        (is_known && is_telling).then_some(header)
    }

    /// What a line says; `None` where Pillow looks for numbers and there are others.
    fn take(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        if [SIZE, FRAMES, SCALE].contains(&name) {
            let numbers: Vec<_> = value.split(|byte| matches!(byte, b'*' | b',')).collect();
            if numbers.iter().any(|number| float(number).is_none()) {
                return None;
            }
            if name == SIZE {
                self.size = match numbers[..] {
                    [width, height] => integer(width)
                        .zip(integer(height))
                        .map(|(width, height)| [width, height]),
                    _ => None,
                };
            }
        } else if name == KIND {
            self.pixels = pixels_of(value);
        }
        self.has_table |= name == LOOKUP;
        Some(())
    }
}
