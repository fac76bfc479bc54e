//! EXIF and XMP data, and the orientation that Pillow finds in a file (`AvifImagePlugin.py`, `_avif.c`).

use std::borrow::Cow;

use image::metadata::Orientation;

use super::{
    super::{error::PictureError, orientation},
    fault::damaged,
    meta::Meta,
    properties::Properties,
};

/// EXIF and XMP data.
#[derive(Default)]
pub(super) struct Metadata<'b> {
    exif: Option<Cow<'b, [u8]>>,
    xmp: Option<Cow<'b, [u8]>>,
}

impl<'b> Metadata<'b> {
    /// The data that describe an item, or all there are. The last ones count.
    pub(super) fn find(meta: &Meta<'b>, item: Option<u32>, file: &'b [u8]) -> Result<Self, PictureError> {
        let mut found = Self::default();
        let readable = meta.items.iter().filter(|other| other.is_readable());
        for other in readable.filter(|other| item.is_none_or(|item| other.describes == item)) {
            if other.is_exif() {
                let content = meta.content(other, file)?;
                found.exif = Some(without_offset(content)?);
            } else if other.is_xmp() {
                found.xmp = Some(meta.content(other, file)?);
            }
        }
        Ok(found)
    }

    /// Turns and mirrors count, whatever EXIF data say. Pillow writes the orientation into the latter.
    pub(super) fn orientation(&self, properties: &Properties<'b>) -> Result<Orientation, PictureError> {
        let exif = self.exif.as_deref().unwrap_or_default();
        let start = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
        let start = start.strip_prefix(b"Exif\0\0").unwrap_or(start);
        let is_exif = start.is_empty() || [&b"II*\0"[..], b"MM\0*"].iter().any(|mark| start.starts_with(mark));
        if !is_exif {
            return Err(damaged("its EXIF data begin in the wrong place"));
        }
        let number = match (properties.turn(), properties.mirror()) {
            (Some(1), Some(0)) | (Some(3), Some(1)) => 5,
            (Some(1 | 3), Some(_)) => 7,
            (Some(1), None) => 8,
            (Some(3), None) => 6,
            (Some(2), None) => 3,
            (Some(2), Some(1)) => 4,
            (Some(2), Some(_)) | (_, Some(1)) => 2,
            (_, Some(_)) => 4,
            (_, None) => 1,
        };
        let turned = Orientation::from_exif(number).unwrap_or(Orientation::NoTransforms);
        let has_own = number != 1 || orientation::is_named(exif);
        let named = || orientation::orientation(None, self.xmp.as_deref());
        Ok(if has_own { turned } else { named() })
    }
}

/// EXIF data without the offset before them, which has to be that of the first TIFF header.
fn without_offset(content: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, PictureError> {
    let wrong = || damaged("its EXIF data have no header");
    let (offset, exif) = content.split_first_chunk().ok_or_else(wrong)?;
    let place = exif
        .windows(5)
        .position(|window| [b"II*\0", b"MM\0*"].iter().any(|mark| window.starts_with(*mark)));
    if place != Some(u32::from_be_bytes(*offset) as usize) {
        return Err(wrong());
    }
    Ok(match content {
        Cow::Borrowed(content) => Cow::Borrowed(&content[4..]),
        Cow::Owned(mut content) => Cow::Owned(content.split_off(4)),
    })
}
