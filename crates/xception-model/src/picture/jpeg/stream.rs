//! The bytes of a JPEG file and the search for its markers (`jdmarker.c`).

use super::fault::Fault;

/// Where the reading of a file is, in libjpeg's words (`jpeg_decompress_struct`, `jpeg_marker_reader`).
pub(super) struct Stream<'a> {
    pub data: &'a [u8],
    pub position: usize,
    /// A marker that was found and not handled, or 0.
    pub marker: u8,
    /// Bytes skipped since the last marker.
    pub discarded: usize,
    /// The number expected of the next restart marker, 0 to 7.
    pub next_restart: u8,
    pub warnings: Warnings,
}

/// How often libjpeg gives each of its warnings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Warnings {
    /// `JWRN_HUFF_BAD_CODE`
    pub bad_codes: usize,
    /// `JWRN_HIT_MARKER`
    pub early_markers: usize,
    /// `JWRN_EXTRANEOUS_DATA`, in bytes.
    pub extraneous: usize,
    /// `JWRN_MUST_RESYNC`
    pub resyncs: usize,
    /// `JWRN_BOGUS_PROGRESSION` and `JWRN_NOT_SEQUENTIAL`
    pub odd_scans: usize,
    /// `JWRN_ADOBE_XFORM`
    pub odd_colours: bool,
    /// The picture is whole, but no end marker follows.
    pub no_end: bool,
}

impl Warnings {
    /// The damage as a list; `None` without damage.
    pub(super) fn sentence(&self) -> Option<String> {
        let counted = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {many}")),
        };
        let parts = [
            counted(self.bad_codes, "impossible code", "impossible codes"),
            counted(self.early_markers, "part that ends early", "parts that end early"),
            counted(self.extraneous, "superfluous byte", "superfluous bytes"),
            counted(
                self.resyncs,
                "restart marker out of turn",
                "restart markers out of turn",
            ),
            counted(self.odd_scans, "scan with odd parameters", "scans with odd parameters"),
            self.odd_colours.then(|| "an unknown colour transform".to_owned()),
            self.no_end.then(|| "no end marker".to_owned()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

pub(super) const RESTART: u8 = 0xd0;

impl<'a> Stream<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            position: 0,
            marker: 0,
            discarded: 0,
            next_restart: 0,
            warnings: Warnings::default(),
        }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.data.get(self.position).ok_or(Fault::End)?;
        self.position += 1;
        Ok(byte)
    }

    pub(super) fn word(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// The content of a segment, after its length.
    pub(super) fn segment(&mut self) -> Result<&'a [u8], Fault> {
        // A length below 2 counts as an empty segment, as in `skip_variable`.
        let length = usize::from(self.word()?).saturating_sub(2);
        let segment = self.data.get(self.position..self.position + length).ok_or(Fault::End)?;
        self.position += length;
        Ok(segment)
    }

    /// `next_marker`: skips to the next marker and leaves it in `marker`.
    pub(super) fn next_marker(&mut self) -> Result<(), Fault> {
        loop {
            while self.byte()? != 0xff {
                self.discarded += 1;
            }
            let marker = loop {
                match self.byte()? {
                    0xff => {}
                    other => break other,
                }
            };
            if marker != 0 {
                self.marker = marker;
                break;
            }
            self.discarded += 2;
        }
        self.warnings.extraneous += self.discarded;
        self.discarded = 0;
        Ok(())
    }

    /// `read_restart_marker`
    pub(super) fn read_restart_marker(&mut self) -> Result<(), Fault> {
        if self.marker == 0 {
            self.next_marker()?;
        }
        if self.marker == RESTART + self.next_restart {
            self.marker = 0;
        } else {
            self.resync()?;
        }
        self.next_restart = (self.next_restart + 1) & 7;
        Ok(())
    }

    /// `jpeg_resync_to_restart`: whether the marker found is passed over, taken for the one expected, or left for
    /// later.
    fn resync(&mut self) -> Result<(), Fault> {
        self.warnings.resyncs += 1;
        loop {
            match self.marker {
                // Not a marker that can stand here.
                ..0xc0 => self.next_marker()?,
                RESTART..=0xd7 => match (self.marker - RESTART).wrapping_sub(self.next_restart) & 7 {
                    // One of the next two: the data between are lost.
                    1 | 2 => return Ok(()),
                    // One of the last two.
                    6 | 7 => self.next_marker()?,
                    _ => {
                        self.marker = 0;
                        return Ok(());
                    }
                },
                _ => return Ok(()),
            }
        }
    }
}
