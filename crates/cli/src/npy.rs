//! `NumPy`'s array files (`numpy/lib/format.py`): 32-bit floats out, 16- to 64-bit floats in.
//!
//! Not a crate: those there are bring a parser generator and an assembler file for the one line of header.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use half::f16;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// `numpy/lib/format.py`, `ARRAY_ALIGN`: where the numbers start is a multiple of it.
const ALIGN: usize = 64;

/// `numpy/lib/format.py`, `_MAX_HEADER_SIZE`.
const MAX_HEADER: usize = 10_000;

/// Numbers with a shape, the last dimension running fastest.
#[derive(Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

/// What stands before the numbers.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// The bytes before the little-endian 32-bit floats of an array.
pub fn header(shape: &[usize]) -> Vec<u8> {
    // Python's tuples: `(2,)`, `(2, 3)`.
    let mut sides = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    if shape.len() == 1 {
        sides.push(',');
    }
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sides}), }}");
    let before = MAGIC.len() + 4;
    let length = (before + text.len() + 1).next_multiple_of(ALIGN) - before;
    text.extend(std::iter::repeat_n(' ', length - 1 - text.len()));
    text.push('\n');

    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    // Version 1.0 counts to 65,535, and four sides take at most 160 bytes.
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(text.into_bytes());
    bytes
}

/// Writes an array.
pub fn write(output: &mut impl Write, shape: &[usize], data: &[f32]) -> std::io::Result<()> {
    output.write_all(&header(shape))?;
    write_values(output, data)
}

/// Writes numbers as they stand behind a header.
pub fn write_values(output: &mut impl Write, data: &[f32]) -> std::io::Result<()> {
    for values in data.chunks(1 << 14) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        output.write_all(&bytes)?;
    }
    Ok(())
}

/// Reads an array of 16-, 32- or 64-bit floats in either byte order and either order of dimensions.
///
/// # Errors
///
/// One sentence that names the file. No more memory is taken than the file has content.
pub fn read(path: &Path) -> anyhow::Result<Array> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let length = file
        .metadata()
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    read_array(&mut file, length).with_context(|| path.display().to_string())
}

fn read_array(file: &mut impl Read, file_length: u64) -> anyhow::Result<Array> {
    let not_npy = || anyhow!("this is no .npy file");
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(|_| not_npy())?;
    let [magic @ .., major, _] = &start;
    if magic != MAGIC {
        return Err(not_npy());
    }
    let cut_short = "the file is cut short in its header";
    let (length, start_length) = match major {
        1 => {
            let mut length = [0; 2];
            file.read_exact(&mut length).context(cut_short)?;
            (usize::from(u16::from_le_bytes(length)), 10)
        }
        2 | 3 => {
            let mut length = [0; 4];
            file.read_exact(&mut length).context(cut_short)?;
            (u32::from_le_bytes(length) as usize, 12)
        }
        other => bail!("its format version is {other}; 1 to 3 are read"),
    };
    if length > MAX_HEADER {
        bail!("its header has {length} bytes; at most {MAX_HEADER} are read");
    }
    let mut text = vec![0; length];
    file.read_exact(&mut text).context(cut_short)?;
    let text = std::str::from_utf8(&text).context("its header is no text")?;
    let header = parse_header(text).ok_or_else(|| {
        anyhow!(
            "expected a header like {{'descr': '<f4', 'fortran_order': False, 'shape': (8, 299, 299, 3), }}, found {}",
            text.trim()
        )
    })?;

    let width = match header.descr.get(1..) {
        Some("f2") => 2,
        Some("f4") => 4,
        Some("f8") => 8,
        _ => bail!(
            "expected 16-, 32- or 64-bit floats, found `{}`; convert it with `array.astype(\"float32\")`",
            header.descr
        ),
    };
    let big_endian = match header.descr.get(..1) {
        Some("<") => false,
        Some(">") => true,
        // `=` is never written: it would mean another thing on another machine.
        _ => bail!("expected the byte order `<` or `>`, found `{}`", header.descr),
    };
    let expected = header
        .shape
        .iter()
        .try_fold(width, |bytes: u64, &side| bytes.checked_mul(side as u64));
    let found = file_length.saturating_sub((start_length + length) as u64);
    if expected != Some(found) {
        let expected = expected.map_or_else(|| "more than 2^64".to_owned(), |bytes| bytes.to_string());
        bail!(
            "its shape {:?} takes {expected} bytes, the file has {found}",
            header.shape
        );
    }
    let mut bytes = Vec::new();
    file.take(found).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != found {
        bail!(
            "the file is cut short: expected {found} bytes of numbers, found {}",
            bytes.len()
        );
    }
    let data = values(bytes, width as usize, big_endian);
    Ok(Array {
        data: if header.fortran_order {
            transpose(&data, &header.shape)
        } else {
            data
        },
        shape: header.shape,
    })
}

fn values(mut bytes: Vec<u8>, width: usize, big_endian: bool) -> Vec<f32> {
    if big_endian {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    match width {
        2 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&value| f16::from_le_bytes(value).to_f32())
            .collect(),
        4 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&value| f32::from_le_bytes(value))
            .collect(),
        _ => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&value| f64::from_le_bytes(value) as f32)
            .collect(),
    }
}

/// From the first dimension running fastest to the last.
fn transpose(data: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut place = vec![0; shape.len()];
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |stride, side| Some(std::mem::replace(stride, *stride * side)))
        .collect();
    (0..data.len())
        .map(|_| {
            let index: usize = place.iter().zip(&strides).map(|(place, stride)| place * stride).sum();
            for (place, side) in place.iter_mut().zip(shape).rev() {
                *place += 1;
                if *place < *side {
                    break;
                }
                *place = 0;
            }
            data.get(index).copied().unwrap_or(f32::NAN)
        })
        .collect()
}

/// A Python dictionary of three known keys: `None` for anything else.
fn parse_header(text: &str) -> Option<Header> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, value) = quoted(rest)?;
        let value = value.trim_start().strip_prefix(':')?.trim_start();
        rest = match key {
            "descr" => {
                let (text, rest) = quoted(value)?;
                descr = Some(text.to_owned());
                rest
            }
            "fortran_order" => {
                let (flag, rest) = match value.strip_prefix("True") {
                    Some(rest) => (true, rest),
                    None => (false, value.strip_prefix("False")?),
                };
                fortran_order = Some(flag);
                rest
            }
            "shape" => {
                let (sides, rest) = value.strip_prefix('(')?.split_once(')')?;
                let sides = sides.trim().trim_end_matches(',');
                let sides = sides.split(',').filter(|side| !side.is_empty());
                shape = Some(sides.map(|side| side.trim().parse().ok()).collect::<Option<_>>()?);
                rest
            }
            _ => return None,
        };
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').or(rest.is_empty().then_some(""))?.trim_start();
    }
    Some(Header {
        descr: descr?,
        fortran_order: fortran_order?,
        shape: shape?,
    })
}

/// A quoted word and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    text.get(1..)?.split_once(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<Array, String> {
        read_array(&mut &bytes[..], bytes.len() as u64).map_err(|error| format!("{error:#}"))
    }

    /// A version 1 file with a header of one's own.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn headers_are_numpys() {
        // `numpy.save(.., numpy.zeros((2, 3), "f4"))` and `numpy.zeros(5, "f4")`, numpy 2.
        let text = |shape: &[usize]| String::from_utf8_lossy(&header(shape)).into_owned();
        let two = text(&[2, 3]);
        assert_eq!(
            two.trim_end(),
            "\u{fffd}NUMPY\u{1}\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
        );
        assert_eq!(header(&[2, 3]).len(), 128);
        assert!(two.ends_with(" \n"));
        assert!(text(&[5]).contains("'shape': (5,), }"));
        assert_eq!(header(&[usize::MAX; 5]).len() % ALIGN, 0);
    }

    #[test]
    fn what_is_written_is_read() {
        for shape in [vec![2, 3], vec![6], vec![0, 4], vec![1, 2, 3, 1]] {
            let data: Vec<f32> = (0..shape.iter().product()).map(|value| value as f32 - 0.5).collect();
            let mut bytes = Vec::new();
            write(&mut bytes, &shape, &data).unwrap();
            assert_eq!(read_bytes(&bytes), Ok(Array { shape, data }));
        }
    }

    #[test]
    fn widths_and_orders() {
        let header = |descr: &str, fortran: &str, shape: &str| {
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
        };
        let expected = Ok(Array {
            shape: vec![2],
            data: vec![1.0, -2.0],
        });
        assert_eq!(
            read_bytes(&file(&header("<f2", "False", "(2,)"), &[0, 0x3C, 0, 0xC0])),
            expected
        );
        assert_eq!(
            read_bytes(&file(&header(">f2", "False", "(2,)"), &[0x3C, 0, 0xC0, 0])),
            expected
        );
        let doubles: Vec<u8> = [1.0_f64, -2.0].into_iter().flat_map(f64::to_le_bytes).collect();
        assert_eq!(read_bytes(&file(&header("<f8", "False", "(2,)"), &doubles)), expected);
        let doubles: Vec<u8> = [1.0_f64, -2.0].into_iter().flat_map(f64::to_be_bytes).collect();
        assert_eq!(read_bytes(&file(&header(">f8", "False", "(2,)"), &doubles)), expected);

        // [[0, 1, 2], [3, 4, 5]] column by column.
        let columns: Vec<u8> = [0.0_f32, 3.0, 1.0, 4.0, 2.0, 5.0]
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect();
        let read = read_bytes(&file(&header("<f4", "True", "(2, 3)"), &columns)).unwrap();
        assert_eq!(read.data, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        // Keys in another order, other quotes, no comma at the end.
        let other = "{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<f2\"}";
        assert_eq!(read_bytes(&file(other, &[0, 0x3C, 0, 0xC0])), expected);
    }

    #[test]
    fn hostile_files() {
        let header =
            |descr: &str, shape: &str| format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let right = file(&header("<f4", "(2,)"), &[0; 8]);
        assert!(read_bytes(&right).is_ok());
        for length in 0..right.len() {
            assert!(read_bytes(&right[..length]).is_err(), "cut to {length} bytes");
        }
        for (bytes, part) in [
            (b"PK\x03\x04 and more".to_vec(), "no .npy file"),
            (file(&header("<f4", "(2,)"), &[0; 9]), "takes 8 bytes, the file has 9"),
            (file(&header("<f4", "(1000000000, 1000000000)"), &[]), "the file has 0"),
            (file(&header("<f4", "(18446744073709551615, 2)"), &[]), "more than 2^64"),
            (
                file(&header("<f4", "(18446744073709551616,)"), &[]),
                "expected a header like",
            ),
            (file(&header("<f4", "(-1,)"), &[]), "expected a header like"),
            (file(&header("<i4", "(2,)"), &[0; 8]), "found `<i4`"),
            (file(&header("|O", "(2,)"), &[0; 8]), "found `|O`"),
            (file(&header("<c8", "(2,)"), &[0; 16]), "found `<c8`"),
            (file(&header("=f4", "(2,)"), &[0; 8]), "byte order"),
            (file(&header("é", "(2,)"), &[0; 8]), "found `é`"),
            (
                file(
                    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
                    &[0; 8],
                ),
                "expected a header like",
            ),
            (
                file("{'descr': '<f4', 'shape': (2,), }", &[0; 8]),
                "expected a header like",
            ),
            (file("{'descr", &[]), "expected a header like"),
            (
                b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
                "its header has 4294967295 bytes",
            ),
            (b"\x93NUMPY\x09\x00\x10\x00".to_vec(), "its format version is 9"),
        ] {
            let error = read_bytes(&bytes).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
