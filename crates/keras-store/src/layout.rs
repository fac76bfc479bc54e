//! From Keras's order of axes to Burn's.

use burn::tensor::DType;

use crate::hdf5::H5Dataset;

/// How a variable's axes are arranged in Burn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// Alike: vectors, `Dense` (`[in, out]` on both sides), `Embedding`.
    Same,
    /// `[spatial.., a, b]` to `[b, a, spatial..]`: convolutions `[.., in, out]` to
    /// `[out, in, ..]` and transposed ones `[.., out, in]` to `[in, out, ..]`.
    Conv,
    /// `[spatial.., channel, multiplier]` to `[channel * multiplier, 1, spatial..]`. Output
    /// channel `c * M + m` reads input channel `c`, in TensorFlow as in Burn's grouped convolution.
    Depthwise,
}

impl Arrangement {
    /// The shape in Burn of a variable with this shape in Keras.
    pub(crate) fn shape(self, keras: &[usize]) -> Vec<usize> {
        match (self, keras) {
            (Self::Conv, [spatial @ .., a, b]) => [&[*b, *a], spatial].concat(),
            (Self::Depthwise, [spatial @ .., channels, multiplier]) => [&[channels * multiplier, 1], spatial].concat(),
            _ => keras.to_vec(),
        }
    }

    /// Read all values, little-endian, in Burn's order. Holds the result and one piece of it.
    pub(crate) fn read(self, dataset: &H5Dataset, finite: bool) -> Result<Vec<u8>, String> {
        let dtype = dataset
            .dtype()
            .ok_or_else(|| "its type is not one a tensor has".to_owned())?;
        let width = dtype.size();
        let shape = &dataset.shape;
        let row_bytes = shape.last().copied().unwrap_or(1) * width;
        let mut out = vec![0; shape.iter().product::<usize>() * width];
        let strides = self.strides(shape);
        dataset.read_rows(|first, piece| {
            if finite && !all_finite(piece, dtype) {
                return Err("it holds a NaN or an infinity; \
                     allow such values with `allow_non_finite(true)`"
                    .into());
            }
            match strides {
                None => {
                    let start = first * row_bytes;
                    out[start..start + piece.len()].copy_from_slice(piece);
                }
                Some(strides) => match width {
                    8 => strides.scatter::<8>(first, piece, &mut out),
                    4 => strides.scatter::<4>(first, piece, &mut out),
                    2 => strides.scatter::<2>(first, piece, &mut out),
                    _ => strides.scatter::<1>(first, piece, &mut out),
                },
            }
            Ok(())
        })?;
        Ok(out)
    }

    fn strides(self, keras: &[usize]) -> Option<Strides> {
        let [spatial @ .., a, b] = keras else {
            return None;
        };
        let area: usize = spatial.iter().product();
        let (a_stride, b_stride) = match self {
            Self::Same => return None,
            Self::Conv => (area, a * area),
            Self::Depthwise => (b * area, area),
        };
        Some(Strides {
            a: *a,
            b: *b,
            a_stride,
            b_stride,
        })
    }
}

/// Where a value of `[spatial.., a, b]` goes, counted in values.
#[derive(Clone, Copy)]
struct Strides {
    a: usize,
    b: usize,
    a_stride: usize,
    b_stride: usize,
}

impl Strides {
    /// Write rows of `b` values of `N` bytes from row number `first`.
    fn scatter<const N: usize>(self, first: usize, piece: &[u8], out: &mut [u8]) {
        // A 4-byte value by value copy of a 1536 x 2048 kernel misses the cache at each write;
        // tiles of 16 by 16 values fill whole cache lines on both sides.
        const TILE: usize = 16;
        let (values, _) = piece.as_chunks::<N>();
        let (out, _) = out.as_chunks_mut::<N>();
        for (t, tile) in values.chunks(TILE * self.b).enumerate() {
            let rows = tile.len() / self.b;
            let mut starts = [0; TILE];
            for (r, start) in starts.iter_mut().take(rows).enumerate() {
                let row = first + t * TILE + r;
                *start = (row % self.a) * self.a_stride + row / self.a;
            }
            for left in (0..self.b).step_by(TILE) {
                for column in left..self.b.min(left + TILE) {
                    for (r, start) in starts.iter().take(rows).enumerate() {
                        out[start + column * self.b_stride] = tile[r * self.b + column];
                    }
                }
            }
        }
    }
}

/// Whether no float among little-endian `bytes` is a NaN or an infinity.
fn all_finite(bytes: &[u8], dtype: DType) -> bool {
    /// Exponent bits all set. Blocks, because a loop that may stop anywhere is not vectorised.
    macro_rules! finite {
        ($int:ty, $exponent:expr) => {
            bytes
                .as_chunks::<{ size_of::<$int>() }>()
                .0
                .chunks(4096)
                .all(|block| {
                    !block.iter().fold(false, |any, &value| {
                        any | (<$int>::from_le_bytes(value) & $exponent == $exponent)
                    })
                })
        };
    }
    match dtype {
        DType::F64 => finite!(u64, 0x7ff0_0000_0000_0000),
        DType::F32 => finite!(u32, 0x7f80_0000),
        DType::F16 => finite!(u16, 0x7c00),
        DType::BF16 => finite!(u16, 0x7f80),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scattered(arrangement: Arrangement, shape: &[usize], values: &[u16], rows: usize) -> Vec<u16> {
        let strides = arrangement.strides(shape).unwrap();
        let mut out = vec![0; values.len() * 2];
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        for (i, piece) in bytes.chunks(rows * strides.b * 2).enumerate() {
            strides.scatter::<2>(i * rows, piece, &mut out);
        }
        out.as_chunks().0.iter().map(|&v| u16::from_le_bytes(v)).collect()
    }

    /// The definition, one value at a time.
    fn by_definition(arrangement: Arrangement, shape: [usize; 4], values: &[u16]) -> Vec<u16> {
        let [height, width, a, b] = shape;
        let mut out = vec![0; values.len()];
        for (from, &value) in values.iter().enumerate() {
            let (pixel, i, j) = (from / (a * b), from / b % a, from % b);
            let channel = match arrangement {
                Arrangement::Conv => j * a + i,
                _ => i * b + j,
            };
            out[channel * height * width + pixel] = value;
        }
        out
    }

    #[test]
    fn every_value_goes_where_the_definition_says_whatever_the_pieces() {
        // Wider and longer than a tile, and not a multiple of it.
        let shape = [2, 3, 19, 37];
        let values: Vec<u16> = (0..2 * 3 * 19 * 37).collect();
        for arrangement in [Arrangement::Conv, Arrangement::Depthwise] {
            let expected = by_definition(arrangement, shape, &values);
            for rows in [1, 7, 16, 1000] {
                assert_eq!(scattered(arrangement, &shape, &values, rows), expected);
            }
        }
    }

    #[test]
    fn a_depthwise_kernel_with_a_multiplier_keeps_the_channels_of_an_input_together() {
        // [1, 1, channels 3, multiplier 2]: the values are already c * 2 + m.
        let values = [0, 1, 2, 3, 4, 5];
        assert_eq!(Arrangement::Depthwise.shape(&[1, 1, 3, 2]), [6, 1, 1, 1]);
        assert_eq!(scattered(Arrangement::Depthwise, &[1, 1, 3, 2], &values, 3), values);
    }

    #[test]
    fn non_finite_values_are_found_in_every_float_type() {
        let f32s = |v: f32| [1f32.to_le_bytes(), v.to_le_bytes()].concat();
        assert!(all_finite(&f32s(f32::MAX), DType::F32));
        assert!(!all_finite(&f32s(f32::NAN), DType::F32));
        assert!(!all_finite(&f32s(f32::NEG_INFINITY), DType::F32));
        assert!(!all_finite(&f64::INFINITY.to_le_bytes(), DType::F64));
        assert!(!all_finite(&0xfc00_u16.to_le_bytes(), DType::F16));
        assert!(all_finite(&0x7bff_u16.to_le_bytes(), DType::F16));
        assert!(!all_finite(&0x7fc0_u16.to_le_bytes(), DType::BF16));
        assert!(all_finite(&u32::MAX.to_le_bytes(), DType::U32));
    }
}
