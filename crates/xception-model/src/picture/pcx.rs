//! PCX (Paintbrush), and DCX, which is several of its pages, with Pillow's numbers (`PcxImagePlugin.py`,
//! `DcxImagePlugin.py`, `PcxDecode.c`).

use image::DynamicImage;

use super::{
    canvas::{Canvas, Palette, samples},
    error::PictureError,
    fault::{damaged, early, unsupported},
    limits::DecodeLimits,
    numbers::{long, short},
    warning::PictureWarning,
};

const HEADER: usize = 128;
/// The mark of the palette at the end of a file, and its 256 colours.
const PALETTE: usize = 1 + 3 * 256;
const PALETTE_MARK: u8 = 12;

/// Pages of a DCX file, at most.
const MAX_PAGES: usize = 1024;

pub(super) fn decode_pcx(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    Page {
        format: "PCX",
        bytes,
        file: bytes,
    }
    .decode(limits)
}

/// The first page of a DCX file, whose mark is followed by the places of the pages, and 0.
pub(super) fn decode_dcx(
    bytes: &[u8],
    limits: &DecodeLimits,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let format = "DCX";
    let mut pages = Vec::new();
    for index in 1..=MAX_PAGES {
        match long(bytes, 4 * index).ok_or_else(|| early(format))? {
            0 => break,
            page_at => pages.push(page_at),
        }
    }
    let &page_at = pages.first().ok_or_else(|| damaged(format, "it has no pages"))?;
    let page = Page {
        format,
        bytes: bytes.get(page_at..).unwrap_or_default(),
        file: bytes,
    };
    if !matches!(page.bytes, [0x0a, 0 | 2 | 3 | 5, ..]) {
        return Err(damaged(format, "its first page is no PCX file"));
    }
    // A page of 8 bits has its palette at its own end, where Pillow takes that at the end of the file.
    let next = pages.iter().filter(|&&other| other > page_at).min();
    let own = &page.bytes[..page.bytes.len().min(next.map_or(usize::MAX, |next| next - page_at))];
    let end = |bytes: &[u8]| {
        bytes
            .last_chunk::<PALETTE>()
            .filter(|end| end[0] == PALETTE_MARK)
            .copied()
    };
    let has_palette = page.bytes.get(3) == Some(&8) && page.bytes.get(65) == Some(&1);
    if has_palette && end(own).is_some() && end(own) != end(bytes) {
        warnings.push(PictureWarning::Misread {
            what: "a first page whose palette is not that of the last",
        });
        return Page {
            format,
            bytes: own,
            file: own,
        }
        .decode(limits);
    }
    page.decode(limits)
}

/// A picture up to the end of its file.
struct Page<'a> {
    format: &'static str,
    bytes: &'a [u8],
    /// Bytes with the palette at their end.
    file: &'a [u8],
}

impl Page<'_> {
    fn decode(&self, limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
        let (format, bytes) = (self.format, self.bytes);
        let header = bytes.first_chunk::<HEADER>().ok_or_else(|| early(format))?;
        let number = |at| short(header, at).unwrap_or_default();
        let side = |from, to| (number(to) + 1).checked_sub(number(from));
        let sides = side(4, 8).zip(side(6, 10));
        let (width, height) = sides.ok_or_else(|| damaged(format, "its size is impossible"))?;
        let canvas = Canvas::new(format, [width, height], 6, limits)?;
        let (version, bits, planes) = (header[1], header[3], header[65]);
        if !matches!((version, bits, planes), (_, 1, 1 | 2 | 4) | (5, 8, 1 | 3)) {
            let reason = format!("it has {planes} planes of {bits} bits in version {version}");
            return Err(unsupported(format, reason));
        }
        let (bits, planes) = (usize::from(bits), usize::from(planes));
        // Not the header's, which may be wrong (CVE-2020-35653).
        let used = (width * bits).div_ceil(8);
        let stride = if number(66) == used {
            used
        } else {
            used.next_multiple_of(2)
        };
        let rows = self.rows(stride * planes, height)?;
        let plane = |row: &[u8], plane: usize| row[plane * stride..][..used].to_vec();
        let mut pixels = Vec::new();
        for row in rows.chunks(stride * planes) {
            match (bits, planes) {
                (1, _) => {
                    let mut indices = vec![0; width];
                    for index in 0..planes {
                        let plane = plane(row, index);
                        for (number, bit) in indices.iter_mut().zip(samples(&plane, 1)) {
                            *number |= bit << index;
                        }
                    }
                    pixels.extend(indices);
                }
                (_, 1) => pixels.extend_from_slice(&row[..used]),
                _ => pixels.extend((0..used).flat_map(|x| [0, 1, 2].map(|plane| row[plane * stride + x]))),
            }
        }
        match (bits, planes) {
            (1, 1) => {
                let levels = pixels.iter().map(|bit| bit * 255);
                canvas.picture(levels.collect(), DynamicImage::ImageLuma8)
            }
            (1, _) => canvas.of_places(&pixels, &self.palette(&header[16..64])?),
            (_, 1) => {
                let end = self.file.len().checked_sub(PALETTE);
                let end = end.ok_or_else(|| early(format))?;
                match &self.file[end..] {
                    [PALETTE_MARK, colours @ ..] => canvas.of_places(&pixels, &self.palette(colours)?),
                    _ => canvas.picture(pixels, DynamicImage::ImageLuma8),
                }
            }
            _ => canvas.picture(pixels, DynamicImage::ImageRgb8),
        }
    }

    fn palette(&self, colours: &[u8]) -> Result<Palette, PictureError> {
        let colours = colours
            .as_chunks()
            .0
            .iter()
            .map(|&[red, green, blue]| [red, green, blue, 255]);
        Palette::new(colours, false).ok_or_else(|| damaged(self.format, "its palette is too long"))
    }

    /// The bytes behind run lengths, none of which may go on in the next row.
    fn rows(&self, row_len: usize, height: usize) -> Result<Vec<u8>, PictureError> {
        let total = row_len * height;
        let mut rows = Vec::new();
        let mut data = self.bytes[HEADER..].iter().copied();
        while rows.len() < total {
            let byte = data.next().ok_or_else(|| early(self.format))?;
            if byte < 0xc0 {
                rows.push(byte);
                continue;
            }
            let length = usize::from(byte & 0x3f);
            let byte = data.next().ok_or_else(|| early(self.format))?;
            if rows.len() % row_len + length > row_len {
                return Err(damaged(self.format, "a run is longer than its row"));
            }
            rows.resize(rows.len() + length, byte);
        }
        Ok(rows)
    }
}
