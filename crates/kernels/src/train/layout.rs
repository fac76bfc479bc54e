//! Reorders a map from channels first, Burn's order, to channels last.

use rayon::prelude::*;

/// Pixels per tile.
const TILE: usize = 32;

/// Writes a map `[batch, channels, pixels]` as `[batch, pixels, channels]`.
pub(crate) fn to_channels_last(map: &[f32], channels: usize, pixels: usize, output: &mut [f32]) {
    if channels * pixels == 0 {
        return;
    }
    let pictures = output
        .par_chunks_mut(channels * pixels)
        .zip(map.par_chunks(channels * pixels));
    pictures.for_each(|(output, map)| {
        output
            .par_chunks_mut(TILE * channels)
            .enumerate()
            .for_each(|(tile, output)| {
                for (channel, plane) in map.chunks_exact(pixels).enumerate() {
                    let pixels = output.chunks_exact_mut(channels);
                    for (pixel, value) in pixels.zip(&plane[tile * TILE..]) {
                        pixel[channel] = *value;
                    }
                }
            });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_moves_to_its_place() {
        for (batch, channels, pixels) in [(1, 3, 70), (2, 1, 5), (3, 40, 1), (2, 33, 65)] {
            let map: Vec<f32> = (0..batch * channels * pixels).map(|value| value as f32).collect();
            let mut last = vec![0.0; map.len()];
            to_channels_last(&map, channels, pixels, &mut last);
            for picture in 0..batch {
                for channel in 0..channels {
                    for pixel in 0..pixels {
                        let found = last[(picture * pixels + pixel) * channels + channel];
                        let expected = map[(picture * channels + channel) * pixels + pixel];
                        assert_eq!(found.to_bits(), expected.to_bits());
                    }
                }
            }
        }
    }
}
