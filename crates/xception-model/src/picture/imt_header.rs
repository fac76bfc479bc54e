//! The header of a file of IM Tools, which has no mark (`ImtImagePlugin.py`).

use super::python::integer;

/// A line feed stands in so many bytes of a file, and a line has no more.
const MAX_LINE: usize = 100;
const FORM_FEED: u8 = 0x0c;

pub(super) struct Header {
    pub size: [usize; 2],
    pub pixels_at: usize,
}

/// Whether a file begins with the header of a picture, which has no mark, up to its end.
pub(super) fn is_imt(head: &[u8]) -> bool {
    Header::read(head).is_some()
}

impl Header {
    /// Lines of a name and a value up to a form feed, among them the size and the kind of pixels.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes[..bytes.len().min(MAX_LINE)].contains(&b'\n').then_some(())?;
        let mut size = [0, 0];
        let mut has_kind = false;
        let mut at = 0;
        while *bytes.get(at)? != FORM_FEED {
            // A line feed at the beginning belongs to the line.
            let rest = &bytes[at + 1..];
            let length = 1 + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            let line = &bytes[at..at + length];
            at += length + 1;
            if line.len() == 1 || line.len() > MAX_LINE {
                return None;
            }
            if line.starts_with(b"*") {
                continue;
            }
            let name = line.iter().position(|byte| !byte.is_ascii_lowercase())?;
            let (name, value) = line.split_at(name);
            let value = value.strip_prefix(b" ")?;
            let value = value.split(|&byte| matches!(byte, b' ' | b'\r' | b'\n')).next()?;
            match (name, value) {
                (b"width", _) => size[0] = usize::try_from(integer(value)?).ok()?,
                (b"height", _) => size[1] = usize::try_from(integer(value)?).ok()?,
                (b"pixel", b"n8") => has_kind = true,
                _ => {}
            }
        }
        (has_kind && size[0] > 0 && size[1] > 0).then_some(Self {
            size,
            pixels_at: at + 1,
        })
    }
}
