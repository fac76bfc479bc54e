//! The type of the numbers in an array file.

use anyhow::bail;
use half::f16;

/// Floats of one width in one byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberType {
    width: Width,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Two,
    Four,
    Eight,
}

impl NumberType {
    /// Reads `NumPy`'s name of the type, such as `<f4`.
    pub fn parse(descr: &str) -> anyhow::Result<Self> {
        let width = match descr.get(1..) {
            Some("f2") => Width::Two,
            Some("f4") => Width::Four,
            Some("f8") => Width::Eight,
            _ => {
                bail!(
                    "expected 16-, 32- or 64-bit floats, found `{descr}`; convert it with `array.astype(\"float32\")`"
                )
            }
        };
        let big_endian = match descr.get(..1) {
            Some("<") => false,
            Some(">") => true,
            // `=` is never written: it would have another meaning on another machine.
            _ => bail!("expected the byte order `<` or `>`, found `{descr}`"),
        };
        Ok(Self { width, big_endian })
    }

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self.width {
            Width::Two => 2,
            Width::Four => 4,
            Width::Eight => 8,
        }
    }

    pub fn decode(self, mut bytes: Vec<u8>) -> Vec<f32> {
        if self.big_endian {
            bytes.chunks_exact_mut(self.bytes()).for_each(<[u8]>::reverse);
        }
        match self.width {
            Width::Two => {
                let numbers = bytes.as_chunks().0.iter();
                numbers.map(|&number| f16::from_le_bytes(number).to_f32()).collect()
            }
            Width::Four => {
                let numbers = bytes.as_chunks().0.iter();
                numbers.map(|&number| f32::from_le_bytes(number)).collect()
            }
            Width::Eight => {
                let numbers = bytes.as_chunks().0.iter();
                numbers.map(|&number| f64::from_le_bytes(number) as f32).collect()
            }
        }
    }
}
