//! `NumPy`'s array files (`numpy/lib/format.py`): writes 32-bit floats, reads 16- to 64-bit floats.
//!
//! Written here because the crates for this format bring a parser generator and an assembler file for one line of
//! header.

mod array;
mod header;
mod number;
mod read;

use std::io::Write;

pub use self::array::Array;
pub use self::header::header;
pub use self::read::read;

/// Writes an array.
pub fn write(output: &mut impl Write, shape: &[usize], data: &[f32]) -> std::io::Result<()> {
    output.write_all(&header(shape))?;
    write_values(output, data)
}

/// Writes the numbers that follow a header.
pub fn write_values(output: &mut impl Write, data: &[f32]) -> std::io::Result<()> {
    for values in data.chunks(1 << 14) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        output.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::read::read_array;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for shape in [vec![2, 3], vec![6], vec![0, 4], vec![1, 2, 3, 1]] {
            let data: Vec<f32> = (0..shape.iter().product()).map(|value| value as f32 - 0.5).collect();
            let mut bytes = Vec::new();
            write(&mut bytes, &shape, &data).unwrap();
            assert_eq!(
                read_array(&mut &bytes[..], bytes.len() as u64).unwrap(),
                Array { shape, data }
            );
        }
    }
}
