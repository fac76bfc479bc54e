//! Reads boxes (ISO 14496-12) and the big-endian numbers in them.

use super::{
    super::error::PictureError,
    fault::{damaged, early},
};

/// The name of a box, and its content.
type Child<'b> = ([u8; 4], &'b [u8]);

pub(super) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(super) fn new(rest: &'b [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'b [u8], PictureError> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or_else(early)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PictureError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(early)?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, PictureError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, PictureError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, PictureError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, PictureError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of 2 bytes, or of 4 in a long form.
    pub(super) fn short_or_long(&mut self, is_long: bool) -> Result<u32, PictureError> {
        if is_long { self.u32() } else { self.u16().map(u32::from) }
    }

    /// A number of 0, 4 or 8 bytes.
    pub(super) fn sized(&mut self, length: u8) -> Result<u64, PictureError> {
        match length {
            0 => Ok(0),
            4 => self.u32().map(u64::from),
            8 => self.u64(),
            _ => Err(damaged("a number has an impossible length")),
        }
    }

    /// Four letters.
    pub(super) fn kind(&mut self) -> Result<[u8; 4], PictureError> {
        self.array()
    }

    /// The bytes before the next zero.
    pub(super) fn text(&mut self) -> Result<&'b [u8], PictureError> {
        let end = self.rest.iter().position(|&byte| byte == 0).ok_or_else(early)?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    /// The version and the flags at the start of most boxes.
    pub(super) fn version_and_flags(&mut self) -> Result<(u8, u32), PictureError> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0xff_ffff))
    }

    /// The version, which has to be zero.
    pub(super) fn version_zero(&mut self) -> Result<(), PictureError> {
        match self.version_and_flags()? {
            (0, _) => Ok(()),
            (version, _) => Err(damaged(format!("a box has the unknown version {version}"))),
        }
    }

    /// The name of the next box and the length of its content; `None` stands for all that follows.
    pub(super) fn box_header(&mut self) -> Result<([u8; 4], Option<u64>), PictureError> {
        let before = self.rest.len();
        let short = self.u32()?;
        let kind = self.kind()?;
        let length = match short {
            1 => self.u64()?,
            short => u64::from(short),
        };
        if &kind == b"uuid" {
            self.bytes(16)?;
        }
        let header = (before - self.rest.len()) as u64;
        match length {
            0 => Ok((kind, None)),
            length => {
                let content = length.checked_sub(header);
                let content = content.ok_or_else(|| damaged("a box is shorter than its header"))?;
                Ok((kind, Some(content)))
            }
        }
    }

    /// The name and the content of the next box inside another; `None` at the end.
    pub(super) fn child(&mut self) -> Result<Option<Child<'b>>, PictureError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (kind, length) = self.box_header()?;
        let length = length.ok_or_else(|| damaged("a box inside another has no length"))?;
        let content = self.bytes(usize::try_from(length).map_err(|_| early())?)?;
        Ok(Some((kind, content)))
    }
}
