//! Reads array files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow, bail};

use crate::io::npy::array::Array;
use crate::io::npy::header::{Header, MAGIC};
use crate::io::npy::number::NumberType;

/// `numpy/lib/format.py`, `_MAX_HEADER_SIZE`.
const MAX_HEADER: usize = 10_000;

/// Reads an array of 16-, 32- or 64-bit floats in either byte order and either order of dimensions.
///
/// # Errors
///
/// One sentence that names the file. The memory needed is bounded by the size of the file.
pub fn read(path: &Path) -> anyhow::Result<Array> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let length = file
        .metadata()
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    read_array(&mut file, length).with_context(|| path.display().to_string())
}

pub fn read_array(file: &mut impl Read, file_length: u64) -> anyhow::Result<Array> {
    let (header, header_length) = read_header(file)?;
    let number = NumberType::parse(&header.descr)?;
    let length = check_length(&header.shape, number, file_length.saturating_sub(header_length as u64))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        bail!(
            "the file is cut short: expected {length} bytes of numbers, found {}",
            bytes.len()
        );
    }
    let data = number.decode(bytes);
    Ok(if header.fortran_order {
        Array::from_fortran_order(header.shape, &data)
    } else {
        Array {
            shape: header.shape,
            data,
        }
    })
}

/// The header, and the number of bytes before the numbers.
fn read_header(file: &mut impl Read) -> anyhow::Result<(Header, usize)> {
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
    let header = Header::parse(text).ok_or_else(|| {
        anyhow!(
            "expected a header like {{'descr': '<f4', 'fortran_order': False, 'shape': (8, 299, 299, 3), }}, found {}",
            text.trim()
        )
    })?;
    Ok((header, start_length + length))
}

/// The number of bytes that the shape takes, which must be the number that the file has.
fn check_length(shape: &[usize], number: NumberType, found: u64) -> anyhow::Result<u64> {
    let expected = shape
        .iter()
        .try_fold(number.bytes() as u64, |bytes, &side| bytes.checked_mul(side as u64));
    if expected != Some(found) {
        let expected = expected.map_or_else(|| "more than 2^64".to_owned(), |bytes| bytes.to_string());
        bail!("its shape {shape:?} takes {expected} bytes, the file has {found}");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<Array, String> {
        read_array(&mut &bytes[..], bytes.len() as u64).map_err(|error| format!("{error:#}"))
    }

    /// A version 1 file with any header.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend(data);
        bytes
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
