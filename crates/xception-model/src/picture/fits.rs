//! FITS, the pictures of astronomy, with Pillow's numbers (`FitsImagePlugin.py`).

use std::{collections::BTreeMap, io::Read};

use flate2::bufread::GzDecoder;
use image::DynamicImage;

use super::{
    canvas::{Canvas, turned_over},
    error::PictureError,
    fault::{damaged, early},
    formats::fits_of,
    marks::{FITS_LINE, fits_name, fits_value},
    options::DecodeOptions,
    python::{float, integer},
    tiff::to_levels,
    warning::PictureWarning,
};
use crate::reading::SixteenBitMode;

const FORMAT: &str = "FITS";
/// Bytes of the blocks in which a file grows.
const BLOCK: usize = 2880;

/// The lines of a header by their names.
type Lines<'a> = BTreeMap<&'a [u8], &'a [u8]>;

struct Header {
    canvas: Canvas,
    /// Bits of a number, negative for floating-point numbers.
    bits: i64,
    /// What every number is multiplied with, and what is added to it then.
    scale: [f64; 2],
    is_gzip: bool,
    data_at: usize,
    /// Whether Pillow begins to read before the data, as it does where less than a line is left.
    is_misplaced: bool,
}

#[expect(clippy::float_cmp, reason = "a header states these numbers, nothing computes them")]
pub(super) fn decode_fits(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let header = Header::read(bytes, options)?;
    let canvas = &header.canvas;
    let data = bytes.get(header.data_at..).unwrap_or_default();
    let number_len = header.bits.unsigned_abs() as usize / 8;
    let data = if header.is_gzip {
        unpacked(data, canvas.pixels(), number_len)?
    } else {
        let data = data.get(..canvas.pixels() * number_len);
        data.ok_or_else(|| early(FORMAT))?.to_vec()
    };
    let data = turned_over(&data, canvas.width * number_len);
    let mut misread = |what| warnings.push(PictureWarning::Misread { what });
    if header.is_misplaced {
        misread("FITS data of less than 80 bytes");
    }
    let stretch = options.reading.sixteen_bit == SixteenBitMode::Stretch;
    let (numbers, name): (Vec<f64>, _) = match header.bits {
        8 => return canvas.picture(data, DynamicImage::ImageLuma8),
        16 => {
            let words = data.as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair));
            let has_negative = words.clone().any(|word| word >= 0x8000);
            // Unsigned numbers are stored from -32768 on (BZERO), and so are scaled ones.
            if header.scale == [1.0, 32_768.0] || has_negative && header.scale != [1.0, 0.0] {
                misread("16-bit FITS numbers that do not begin at 0 (BZERO)");
                return canvas.picture(words.map(|word| word ^ 0x8000).collect(), DynamicImage::ImageLuma16);
            }
            if has_negative {
                misread("negative 16-bit FITS numbers");
            }
            if !has_negative || !stretch {
                let positive = |word: u16| if word < 0x8000 { word } else { 0 };
                return canvas.picture(words.map(positive).collect(), DynamicImage::ImageLuma16);
            }
            (words.map(|word| word.cast_signed().into()).collect(), "integers")
        }
        32 => {
            let is_unsigned = header.scale == [1.0, 2_147_483_648.0];
            if is_unsigned {
                misread("32-bit FITS numbers that do not begin at 0 (BZERO)");
            }
            let number = |&number: &[u8; 4]| match i32::from_be_bytes(number) {
                number if is_unsigned => f64::from(number) + 2_147_483_648.0,
                number => number.into(),
            };
            (data.as_chunks().0.iter().map(number).collect(), "integers")
        }
        -32 => {
            let number = |&number: &[u8; 4]| f32::from_be_bytes(number).into();
            (
                data.as_chunks().0.iter().map(number).collect(),
                "floating-point numbers",
            )
        }
        _ => {
            // Pillow keeps 32 bits of them.
            let number = |&number: &[u8; 8]| f64::from(f64::from_be_bytes(number) as f32);
            (
                data.as_chunks().0.iter().map(number).collect(),
                "floating-point numbers",
            )
        }
    };
    let levels = to_levels(&numbers, name, stretch, warnings);
    canvas.picture(levels, DynamicImage::ImageLuma8)
}

impl Header {
    /// Reads headers up to the first that states a size, and the headers directly behind it.
    fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Self, PictureError> {
        let mut lines = Lines::new();
        let mut in_header = false;
        let mut found = None;
        let mut at = 0;
        loop {
            let line = bytes.get(at..).unwrap_or_default();
            let line = &line[..line.len().min(FITS_LINE)];
            if line.is_empty() {
                return Err(early(FORMAT));
            }
            let name = fits_name(line);
            if matches!(name, b"SIMPLE" | b"XTENSION") {
                in_header = true;
                lines.remove(&b"BSCALE"[..]);
                lines.remove(&b"BZERO"[..]);
            } else if !lines.is_empty() && !in_header {
                let header: Self = found.ok_or_else(|| unread("a FITS file whose first parts hold no picture"))?;
                return Ok(Self {
                    data_at: header.data_at + at,
                    is_misplaced: line.len() < FITS_LINE,
                    ..header
                });
            } else if name == b"END" {
                at = (at + line.len()).next_multiple_of(BLOCK);
                if found.is_none() {
                    found = Self::of(&lines, options)?;
                }
                in_header = false;
                continue;
            }
            at += line.len();
            if found.is_none() {
                lines.insert(name, fits_value(line));
            }
        }
    }

    /// What the lines of a header say; `None` if it has no picture.
    fn of(lines: &Lines<'_>, options: &DecodeOptions) -> Result<Option<Self>, PictureError> {
        let text = |name: &[u8]| lines.get(name).copied().unwrap_or_default();
        let number = |name: &[u8]| {
            let number = integer(text(name));
            number.ok_or_else(|| damaged(FORMAT, "its header has something else where a number must be"))
        };
        let size = |names: [&[u8]; 3]| -> Result<Option<[i64; 2]>, PictureError> {
            Ok(match number(names[0])? {
                0 => None,
                1 => Some([1, number(names[1])?]),
                _ => Some([number(names[1])?, number(names[2])?]),
            })
        };
        let extension = text(b"XTENSION");
        let is_gzip = extension == b"'BINTABLE'" && text(b"ZIMAGE") == b"T" && text(b"ZCMPTYPE") == b"'GZIP_1  '";
        // Pillow shows a table as a picture.
        if !is_gzip
            && [&b"'BINTABLE"[..], b"'TABLE", b"'A3DTABLE"]
                .iter()
                .any(|kind| extension.starts_with(kind))
        {
            return Err(unread(
                "a FITS file of a table, or of a picture compressed otherwise than by GZIP_1",
            ));
        }
        let (names, data_at): ([&[u8]; 4], _) = if is_gzip {
            let bits = number(b"BITPIX")?;
            let table = size([b"NAXIS", b"NAXIS1", b"NAXIS2"])?.unwrap_or_default();
            let len = table[0].checked_mul(table[1]);
            let len = len.and_then(|len| len.checked_mul(bits.div_euclid(8)));
            let len = len
                .and_then(|len| usize::try_from(len).ok())
                .filter(|&len| len <= 1 << 40);
            let data_at = len.ok_or_else(|| damaged(FORMAT, "its table has an impossible size"))?;
            ([b"ZNAXIS", b"ZNAXIS1", b"ZNAXIS2", b"ZBITPIX"], data_at)
        } else {
            ([b"NAXIS", b"NAXIS1", b"NAXIS2", b"BITPIX"], 0)
        };
        let [axes, columns, rows, bits] = names;
        let Some(sides) = size([axes, columns, rows])? else {
            return Ok(None);
        };
        let bits = number(bits)?;
        match (bits, is_gzip) {
            (8 | 16, _) | (32 | -32 | -64, false) => {}
            (_, false) => return Err(unread("a FITS picture of numbers other than of 8, 16 or 32 bits")),
            (_, true) => {
                return Err(unread(
                    "a compressed FITS picture of numbers other than of 8 or 16 bits",
                ));
            }
        }
        let sides = sides.map(|side| usize::try_from(side).unwrap_or_default());
        Ok(Some(Self {
            canvas: Canvas::new(FORMAT, sides, 12, &options.limits)?,
            bits,
            scale: [
                float(text(b"BSCALE")).unwrap_or(1.0),
                float(text(b"BZERO")).unwrap_or(0.0),
            ],
            is_gzip,
            data_at,
            is_misplaced: false,
        }))
    }
}

fn unread(phrase: &'static str) -> PictureError {
    PictureError::OtherFormat(fits_of(phrase))
}

/// The last bytes of numbers of four bytes, behind one or several gzip files that follow each other.
fn unpacked(data: &[u8], count: usize, number_len: usize) -> Result<Vec<u8>, PictureError> {
    let short = || unread("a FITS picture whose compressed numbers have no four bytes each, or end early");
    let mut numbers = Vec::new();
    let mut rest = data;
    while numbers.len() < 4 * count {
        // Zeros may stand between the files.
        let start = rest.iter().position(|&byte| byte != 0).ok_or_else(short)?;
        let mut decoder = GzDecoder::new(&rest[start..]);
        let missing = 4 * count - numbers.len();
        decoder
            .by_ref()
            .take(missing as u64)
            .read_to_end(&mut numbers)
            .map_err(|_| short())?;
        rest = decoder.into_inner();
    }
    let last_bytes = |number: &[u8; 4]| number[4 - number_len..].to_vec();
    Ok(numbers.as_chunks().0.iter().flat_map(last_bytes).collect())
}
