//! The mean of each channel over a picture.

use rayon::prelude::*;

use super::norm::ChannelSums;
use crate::simd::isa::Isa;

/// Writes the means, `[batch, channels]`, of the map `[batch, pixels, channels]`.
pub(crate) fn global_average(isa: Isa, map: &[f32], channels: usize, means: &mut [f32]) {
    let len = map.len() / means.len().max(1) * channels;
    let pictures = means.par_chunks_mut(channels).zip(map.par_chunks(len.max(1)));
    pictures.for_each(|(means, map)| {
        // SAFETY: the kernel has no pointers.
        let sums = unsafe { isa.run(ChannelSums { map, channels }) };
        let pixels = (map.len() / channels) as f64;
        means
            .iter_mut()
            .zip(sums)
            .for_each(|(mean, sum)| *mean = (sum / pixels) as f32);
    });
}

/// Writes the gradient of the map, from the gradient of the means.
pub(crate) fn global_average_gradient(gradient: &[f32], channels: usize, map_gradient: &mut [f32]) {
    let len = map_gradient.len() / gradient.len().max(1) * channels;
    let pictures = map_gradient.par_chunks_mut(len.max(1));
    pictures.zip(gradient.par_chunks(channels)).for_each(|(map, gradient)| {
        let pixels = (map.len() / channels) as f32;
        let gradient: Vec<f32> = gradient.iter().map(|gradient| gradient / pixels).collect();
        map.chunks_exact_mut(channels)
            .for_each(|pixel| pixel.copy_from_slice(&gradient));
    });
}
