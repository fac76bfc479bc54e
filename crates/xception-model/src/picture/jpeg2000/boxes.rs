//! The boxes of a JP2 file, as `OpenJPEG` (`jp2.c`) and Pillow (`Jpeg2KImagePlugin.py`) both read them.

use super::{
    super::error::PictureError,
    fault::{damaged, unsupported},
    reader::Reader,
};

/// The colours that a file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// None, or a profile: the number of components tells.
    Unnamed,
    Grey,
    Rgb,
    YCbCr,
    Inks,
}

/// Colours of one byte each, three or four for an entry.
#[derive(Debug)]
pub(super) struct Palette {
    pub(super) channels: usize,
    pub(super) entries: Vec<u8>,
}

/// What stands around the codestream.
#[derive(Debug)]
pub(super) struct Jp2<'b> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: u16,
    pub(super) colours: Colours,
    pub(super) palette: Option<Palette>,
    pub(super) codestream: &'b [u8],
}

impl<'b> Jp2<'b> {
    pub(super) fn read(bytes: &'b [u8]) -> Result<Self, PictureError> {
        let mut reader = Reader::new(bytes);
        let cut = || damaged("its boxes end early");
        let signature = next_box(&mut reader).ok_or_else(cut)?;
        let file_type = next_box(&mut reader).ok_or_else(cut)?;
        if signature.0 != *b"jP  " || file_type.0 != *b"ftyp" {
            return Err(damaged("its boxes are out of order"));
        }
        let mut header = None;
        loop {
            let (name, content) = next_box(&mut reader).ok_or_else(cut)?;
            match &name {
                b"jp2h" if header.is_none() => header = Some(Header::read(content)?),
                b"jp2h" => return Err(unsupported("it has several headers")),
                b"jp2c" => {
                    let header = header.ok_or_else(|| damaged("it has no header before its picture"))?;
                    return Ok(header.around(content));
                }
                // Boxes of the header, which OpenJPEG obeys outside of it too.
                b"ihdr" | b"colr" | b"bpcc" | b"pclr" | b"cmap" | b"cdef" => {
                    return Err(damaged("a box of its header is misplaced"));
                }
                _ => {}
            }
        }
    }
}

/// The name and content of a box.
fn next_box<'b>(reader: &mut Reader<'b>) -> Option<([u8; 4], &'b [u8])> {
    let length = reader.u32()?;
    let name = reader.bytes(4)?.try_into().ok()?;
    let content = match length {
        // Only the last box may have no length.
        0 if name == *b"jp2c" => reader.rest().len(),
        1 => {
            let high = reader.u32()?;
            let low = reader.u32()?;
            usize::try_from((u64::from(high) << 32) | u64::from(low))
                .ok()?
                .checked_sub(16)?
        }
        _ => (length as usize).checked_sub(8)?,
    };
    // OpenJPEG ignores the length of the last box.
    let content = if name == *b"jp2c" {
        content.min(reader.rest().len())
    } else {
        content
    };
    Some((name, reader.bytes(content)?))
}

struct Header {
    width: u32,
    height: u32,
    components: u16,
    colours: Option<Colours>,
    palette: Option<Palette>,
}

impl Header {
    fn read(content: &[u8]) -> Result<Self, PictureError> {
        let short = || damaged("its header is incomplete");
        let mut reader = Reader::new(content);
        let mut header: Option<Self> = None;
        while !reader.rest().is_empty() {
            let (name, content) = next_box(&mut reader).ok_or_else(short)?;
            let mut fields = Reader::new(content);
            match (&name, &mut header) {
                (b"ihdr", None) if content.len() == 14 => header = Self::of(&mut fields),
                (b"colr", Some(header)) => header.name_colours(&mut fields)?,
                (b"pclr", Some(header)) if header.palette.is_none() => {
                    header.palette = Some(palette(&mut fields)?);
                }
                // Pillow's modes do not follow these: it takes components as they come.
                (b"cdef", Some(header)) => header.check_order(&mut fields)?,
                (b"bpcc" | b"cmap" | b"res ", Some(_)) => {}
                (b"ihdr" | b"colr" | b"pclr" | b"cdef" | b"bpcc" | b"cmap", _) => {
                    return Err(damaged("the boxes of its header are out of order"));
                }
                _ => {}
            }
        }
        header.ok_or_else(short)
    }

    fn of(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            height: fields.u32()?,
            width: fields.u32()?,
            components: fields.u16()?,
            colours: None,
            palette: None,
        })
    }

    /// Only the first such box counts.
    fn name_colours(&mut self, fields: &mut Reader<'_>) -> Result<(), PictureError> {
        let short = || damaged("its header is incomplete");
        let method = fields.u8().ok_or_else(short)?;
        fields.bytes(2).ok_or_else(short)?;
        let colours = match method {
            1 => match fields.u32().ok_or_else(short)? {
                12 => Colours::Inks,
                16 => Colours::Rgb,
                17 => Colours::Grey,
                18 => Colours::YCbCr,
                14 => return Err(unsupported("its colours are CIE L*a*b*")),
                other => return Err(unsupported(format!("its colours have the unknown number {other}"))),
            },
            2 => Colours::Unnamed,
            _ => return Ok(()),
        };
        self.colours.get_or_insert(colours);
        Ok(())
    }

    /// Pillow takes components for colours in the order in which they stand, and the last one for transparency.
    fn check_order(&self, fields: &mut Reader<'_>) -> Result<(), PictureError> {
        let short = || damaged("its header is incomplete");
        let count = fields.u16().ok_or_else(short)?;
        let colours = match self.components {
            2 => 1,
            3 | 4 if self.colours != Some(Colours::Inks) => 3,
            components => components,
        };
        for _ in 0..count {
            let mut number = || fields.u16().ok_or_else(short);
            let (component, kind, association) = (number()?, number()?, number()?);
            let is_colour = kind == 0 && component < colours && association == component + 1;
            let is_alpha = kind == 1 && component == colours;
            if self.palette.is_none() && !is_colour && !is_alpha {
                return Err(unsupported(
                    "its components are not colours in order with plain transparency behind them",
                ));
            }
        }
        Ok(())
    }

    fn around(self, codestream: &[u8]) -> Jp2<'_> {
        Jp2 {
            width: self.width,
            height: self.height,
            components: self.components,
            colours: self.colours.unwrap_or(Colours::Unnamed),
            palette: self.palette,
            codestream,
        }
    }
}

fn palette(fields: &mut Reader<'_>) -> Result<Palette, PictureError> {
    /// Eight bits without a sign.
    const BYTE: u8 = 7;

    let short = || damaged("its palette is incomplete");
    let count = fields.u16().ok_or_else(short)?;
    let channels = usize::from(fields.u8().ok_or_else(short)?);
    let depths = fields.bytes(channels).ok_or_else(short)?;
    if !(3..=4).contains(&channels) || count > 256 || depths.iter().any(|&depth| depth != BYTE) {
        return Err(unsupported("its palette holds other than RGB colours of 8 bits"));
    }
    let entries = fields.bytes(usize::from(count) * channels).ok_or_else(short)?;
    Ok(Palette {
        channels,
        entries: entries.to_vec(),
    })
}
