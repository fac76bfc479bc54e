//! Converts between Keras's and Burn's order of axes.

use std::io::{self, Write};

use burn::tensor::DType;

use crate::hdf5::{H5Dataset, PIECE_BYTES};
use crate::names::{self, Kind};

/// The problem with values that are NaN or infinite.
pub(crate) const NOT_FINITE: &str = "it holds a NaN or an infinity; allow such values with `allow_non_finite(true)`";

/// How Burn arranges a variable's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// The same in both: vectors, `Dense` (`[in, out]`), `Embedding`.
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

    /// The shape in Keras of a tensor with this shape in Burn; `multiplier` is that of a depthwise kernel. `None` if no
    /// variable can have it.
    pub(crate) fn keras_shape(self, burn: &[usize], multiplier: usize) -> Option<Vec<usize>> {
        match (self, burn) {
            (Self::Same, _) => Some(burn.to_vec()),
            (Self::Conv, [b, a, spatial @ ..]) => Some([spatial, &[*a, *b]].concat()),
            (Self::Depthwise, [out, 1, spatial @ ..]) => {
                let channels = out.checked_div(multiplier).filter(|c| c * multiplier == *out)?;
                Some([spatial, &[channels, multiplier]].concat())
            }
            _ => None,
        }
    }

    /// Reads all values as little-endian bytes in Burn's order. Holds the result and one piece in memory.
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
                return Err(NOT_FINITE.into());
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

    /// Writes `bytes`, values of `width` bytes in Burn's order, in Keras's order. Holds one piece in memory beside
    /// them.
    pub(crate) fn write(self, bytes: &[u8], keras: &[usize], width: usize, out: &mut dyn Write) -> io::Result<()> {
        let Some(strides) = self.strides(keras) else {
            return out.write_all(bytes);
        };
        let row_bytes = strides.b * width;
        if bytes.is_empty() || row_bytes == 0 {
            return Ok(());
        }
        let rows = (PIECE_BYTES / row_bytes).max(1);
        let mut piece = vec![0; (rows * row_bytes).min(bytes.len())];
        for start in (0..bytes.len()).step_by(rows * row_bytes) {
            let len = piece.len().min(bytes.len() - start);
            let piece = &mut piece[..len];
            let first = start / row_bytes;
            match width {
                8 => strides.gather::<8>(first, bytes, piece),
                4 => strides.gather::<4>(first, bytes, piece),
                2 => strides.gather::<2>(first, bytes, piece),
                _ => strides.gather::<1>(first, bytes, piece),
            }
            out.write_all(piece)?;
        }
        Ok(())
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

/// Burn's name for a variable of a layer of this class, and its arrangement. `separable`: whether the layer has a
/// pointwise kernel too. `rank`: the variable's rank.
pub(crate) fn burn_variable<'a>(
    class: Option<&str>,
    separable: bool,
    variable: &'a str,
    rank: usize,
) -> (&'a str, Arrangement) {
    let kind = class.map_or(Kind::Other, names::kind);
    let separable = kind == Kind::Separable || separable;
    match variable {
        "kernel" => {
            let arrangement = match (kind, rank) {
                (Kind::Depthwise, 3..=5) => Arrangement::Depthwise,
                (Kind::Conv | Kind::Other, 3..=5) => Arrangement::Conv,
                _ => Arrangement::Same,
            };
            ("weight", arrangement)
        }
        "depthwise_kernel" if separable => ("depthwise.weight", Arrangement::Depthwise),
        "depthwise_kernel" => ("weight", Arrangement::Depthwise),
        "pointwise_kernel" => ("pointwise.weight", Arrangement::Conv),
        // A SeparableConv adds its bias after the pointwise convolution.
        "bias" if separable => ("pointwise.bias", Arrangement::Same),
        "embeddings" => ("weight", Arrangement::Same),
        "moving_mean" => ("running_mean", Arrangement::Same),
        "moving_variance" => ("running_var", Arrangement::Same),
        other => (other, Arrangement::Same),
    }
}

/// The place of each value of `[spatial.., a, b]` after the permutation, counted in values.
#[derive(Clone, Copy)]
struct Strides {
    a: usize,
    b: usize,
    a_stride: usize,
    b_stride: usize,
}

impl Strides {
    /// Writes rows of `b` values of `N` bytes, the first of which is row `first`.
    fn scatter<const N: usize>(self, first: usize, piece: &[u8], out: &mut [u8]) {
        let (values, _) = piece.as_chunks::<N>();
        let (out, _) = out.as_chunks_mut::<N>();
        self.pairs(first, values.len(), |burn, keras| out[burn] = values[keras]);
    }

    /// The reverse: fills `piece` with the rows from row `first` on.
    fn gather<const N: usize>(self, first: usize, values: &[u8], piece: &mut [u8]) {
        let (values, _) = values.as_chunks::<N>();
        let (piece, _) = piece.as_chunks_mut::<N>();
        self.pairs(first, piece.len(), |burn, keras| piece[keras] = values[burn]);
    }

    /// For `count` values in Keras's order from row `first` on: the place of each in Burn's order, and its place among
    /// the `count`.
    #[inline]
    fn pairs(self, first: usize, count: usize, mut visit: impl FnMut(usize, usize)) {
        // Value by value, a 1536 x 2048 kernel misses the cache at each step on one side. Tiles of 16 x 16 values use
        // whole cache lines on both sides.
        const TILE: usize = 16;
        let rows = count / self.b;
        for top in (0..rows).step_by(TILE) {
            let height = TILE.min(rows - top);
            let mut starts = [0; TILE];
            for (r, start) in starts.iter_mut().take(height).enumerate() {
                let row = first + top + r;
                *start = (row % self.a) * self.a_stride + row / self.a;
            }
            for left in (0..self.b).step_by(TILE) {
                for column in left..self.b.min(left + TILE) {
                    for (r, start) in starts.iter().take(height).enumerate() {
                        visit(start + column * self.b_stride, (top + r) * self.b + column);
                    }
                }
            }
        }
    }
}

/// Whether no float among the little-endian `bytes` is NaN or infinite.
pub(crate) fn all_finite(bytes: &[u8], dtype: DType) -> bool {
    /// NaN and infinity have all exponent bits set. Checked in blocks: a loop that can stop at any value is not
    /// vectorised.
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
        DType::F32 | DType::Flex32 => finite!(u32, 0x7f80_0000),
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

    fn gathered(arrangement: Arrangement, shape: &[usize], values: &[u16]) -> Vec<u16> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut out = Vec::new();
        arrangement.write(&bytes, shape, 2, &mut out).unwrap();
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
        // Larger than a tile in both directions, and no multiple of it.
        let shape = [2, 3, 19, 37];
        let values: Vec<u16> = (0..2 * 3 * 19 * 37).collect();
        for arrangement in [Arrangement::Conv, Arrangement::Depthwise] {
            let expected = by_definition(arrangement, shape, &values);
            for rows in [1, 7, 16, 1000] {
                assert_eq!(scattered(arrangement, &shape, &values, rows), expected);
            }
            assert_eq!(gathered(arrangement, &shape, &expected), values);
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
    fn rows_that_fill_several_pieces_are_all_written() {
        // 1.4 MiB of 2-byte values in rows of 37: pieces end inside a tile.
        let shape = [2, 2, 5000, 37];
        let values: Vec<u16> = (0..2 * 2 * 5000 * 37).map(|i: u32| (i % 65_521) as u16).collect();
        let burn = by_definition(Arrangement::Conv, shape, &values);
        assert_eq!(gathered(Arrangement::Conv, &shape, &burn), values);
    }

    #[test]
    fn a_shape_goes_to_burn_and_back() {
        for (arrangement, keras, multiplier) in [
            (Arrangement::Conv, vec![3, 2, 8, 5], 1),
            (Arrangement::Depthwise, vec![3, 2, 4, 2], 2),
            (Arrangement::Same, vec![6, 5], 1),
        ] {
            let burn = arrangement.shape(&keras);
            assert_eq!(arrangement.keras_shape(&burn, multiplier), Some(keras));
        }
        // In turn: not a multiple of the multiplier, not depthwise, not a kernel.
        assert_eq!(Arrangement::Depthwise.keras_shape(&[5, 1, 3, 3], 2), None);
        assert_eq!(Arrangement::Depthwise.keras_shape(&[5, 2, 3, 3], 1), None);
        assert_eq!(Arrangement::Depthwise.keras_shape(&[5, 1, 3, 3], 0), None);
        assert_eq!(Arrangement::Conv.keras_shape(&[5], 1), None);
    }

    #[test]
    fn non_finite_values_are_found_in_every_float_type() {
        let f32s = |v: f32| [1f32.to_le_bytes(), v.to_le_bytes()].concat();
        assert!(all_finite(&f32s(f32::MAX), DType::F32));
        assert!(!all_finite(&f32s(f32::NAN), DType::F32));
        assert!(!all_finite(&f32s(f32::NEG_INFINITY), DType::F32));
        assert!(!all_finite(&f32s(f32::NAN), DType::Flex32));
        assert!(!all_finite(&f64::INFINITY.to_le_bytes(), DType::F64));
        assert!(!all_finite(&0xfc00_u16.to_le_bytes(), DType::F16));
        assert!(all_finite(&0x7bff_u16.to_le_bytes(), DType::F16));
        assert!(!all_finite(&0x7fc0_u16.to_le_bytes(), DType::BF16));
        assert!(all_finite(&u32::MAX.to_le_bytes(), DType::U32));
    }
}
