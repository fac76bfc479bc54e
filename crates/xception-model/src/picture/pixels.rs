//! Pixels at a network's input size, before and after scaling.

use super::PictureError;
use crate::input::Scaling;

/// A resized picture: `[height, width, 3]` RGB values from 0 to 255, row by row.
///
/// Whole numbers for every preset but [`KerasBilinear`](super::Preset::KerasBilinear), as in the libraries the presets
/// are named after.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    height: usize,
    width: usize,
    data: Vec<f32>,
}

impl Pixels {
    /// `data` is `[height, width, 3]`; the callers in this module guarantee it.
    pub(super) fn new(height: usize, width: usize, data: Vec<f32>) -> Self {
        debug_assert_eq!(data.len(), height * width * 3);
        Self { height, width, data }
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The values, `[height, width, 3]`, 0 to 255.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The values scaled, `[height, width, 3]`: Keras's layout and numbers.
    ///
    /// In 32-bit floats with Keras's roundings: [`Scaling::Tf`] divides, then subtracts. timm's `(x / 255 - 0.5) / 0.5`
    /// gives the same bits: the two differ by a factor of two at each step, which rounds alike.
    pub fn scaled(&self, scaling: Scaling) -> Vec<f32> {
        let (pixels, _) = self.data.as_chunks();
        pixels.iter().flat_map(|rgb| scaling.apply(*rgb)).collect()
    }

    /// The values scaled as by [`scaled`](Self::scaled), `[3, height, width]`: Burn's layout.
    pub fn to_nchw(&self, scaling: Scaling) -> Vec<f32> {
        let mut planes = vec![0.0; self.data.len()];
        self.fill_nchw(scaling, &mut planes);
        planes
    }

    /// Writes the values of [`to_nchw`](Self::to_nchw) into one picture's place in a batch.
    ///
    /// # Errors
    ///
    /// [`PictureError::SliceLength`] unless `planes` holds `3 * height * width` numbers.
    pub fn write_nchw(&self, scaling: Scaling, planes: &mut [f32]) -> Result<(), PictureError> {
        if planes.len() != self.data.len() {
            return Err(PictureError::SliceLength {
                expected: self.data.len(),
                found: planes.len(),
            });
        }
        self.fill_nchw(scaling, planes);
        Ok(())
    }

    fn fill_nchw(&self, scaling: Scaling, planes: &mut [f32]) {
        let area = self.height * self.width;
        let (red, rest) = planes.split_at_mut(area);
        let (green, blue) = rest.split_at_mut(area);
        let (pixels, _) = self.data.as_chunks();
        for (((rgb, red), green), blue) in pixels.iter().zip(red).zip(green).zip(blue) {
            [*red, *green, *blue] = scaling.apply(*rgb);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_as_keras_and_as_timm_gives_the_same_bits() {
        let tf = |value: f32| Scaling::Tf.apply([value; 3])[0];
        for value in 0..=u8::MAX {
            let value = f32::from(value);
            assert_eq!(tf(value).to_bits(), ((value / 255.0 - 0.5) / 0.5).to_bits(), "{value}");
        }
        assert_eq!(tf(0.0).to_bits(), (-1.0_f32).to_bits());
        assert_eq!(tf(255.0).to_bits(), 1.0_f32.to_bits());
    }

    #[test]
    fn planes_hold_one_channel_each() {
        let pixels = Pixels::new(1, 2, vec![0.0, 127.5, 255.0, 255.0, 0.0, 127.5]);
        assert_eq!(pixels.to_nchw(Scaling::Tf), [-1.0, 1.0, 0.0, -1.0, 1.0, 0.0]);
        assert_eq!(pixels.scaled(Scaling::Tf), [-1.0, 0.0, 1.0, 1.0, -1.0, 0.0]);
    }

    #[test]
    fn a_slice_of_another_length_is_refused() {
        let pixels = Pixels::new(1, 1, vec![0.0; 3]);
        let error = pixels.write_nchw(Scaling::Tf, &mut [0.0; 4]).unwrap_err();
        assert_eq!(error.to_string(), "the pixels fill 3 numbers, the slice has 4");
    }
}
