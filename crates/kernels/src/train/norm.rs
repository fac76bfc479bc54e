//! Batch norm, and the `ReLU` after it: statistics, values and gradients.
//!
//! Sums over a few pixels are in `f32`. These sums are added in `f64`, in parts that do not depend on the number of
//! threads.

use rayon::prelude::*;

use super::elementwise::{part, pixels, relu};
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::Lanes;

/// Number of parts of a map. Each part has its own sums.
const PARTS: usize = 32;

/// The most pixels whose sums are added in `f32`.
const RUN: usize = 256;

/// Mean and biased variance of every channel.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

/// A norm as a function of each value: `(x - centre) * scale + shift`.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub centre: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl Affine {
    /// The norm with these statistics, and one divided by the deviation of each channel.
    pub(crate) fn new(moments: &Moments, gamma: &[f32], beta: &[f32], epsilon: f64) -> (Self, Vec<f64>) {
        let inverse = |variance: &f32| 1.0 / (f64::from(*variance) + epsilon).sqrt();
        let inverse: Vec<f64> = moments.variance.iter().map(inverse).collect();
        let scale = gamma.iter().zip(&inverse);
        let affine = Self {
            centre: moments.mean.clone(),
            scale: scale
                .map(|(gamma, inverse)| (f64::from(*gamma) * inverse) as f32)
                .collect(),
            shift: beta.to_vec(),
        };
        (affine, inverse)
    }

    fn channels(&self) -> usize {
        self.scale.len()
    }
}

/// Values per part, when a map is cut into parts with their own sums.
fn part_len(len: usize, channels: usize) -> usize {
    (len / channels).div_ceil(PARTS).max(1) * channels
}

/// Pixels per run. A run is read twice, the second time from the second-level cache.
fn run_len(channels: usize) -> usize {
    pixels(channels).min(RUN) * channels
}

/// The statistics of a map.
pub(crate) fn moments(isa: Isa, map: &[f32], channels: usize) -> Moments {
    let parts = map.par_chunks(part_len(map.len(), channels));
    let parts: Vec<Sums> = parts.map(|map| part_sums(isa, map, channels)).collect();
    Moments::of_parts(channels, parts.iter())
}

/// The sums of a part of a map, on this thread.
pub(crate) fn part_sums(isa: Isa, map: &[f32], channels: usize) -> Sums {
    // SAFETY: the kernel has no pointers.
    unsafe { isa.run(PartMoments { map, channels }) }
}

impl Moments {
    /// The statistics of the whole map, from the sums of its parts.
    pub(crate) fn of_parts<'a>(channels: usize, parts: impl Iterator<Item = &'a Sums>) -> Self {
        let mut total = Sums::zeros(channels);
        for part in parts {
            total.merge(part.count, &part.first, &part.second);
        }
        let count = total.count.max(1.0);
        Self {
            mean: total.first.iter().map(|mean| *mean as f32).collect(),
            variance: total.second.iter().map(|squares| (squares / count) as f32).collect(),
        }
    }
}

/// Count, and for each channel the mean and the sum of squared distances to the mean.
#[derive(Debug)]
pub(crate) struct Sums {
    count: f64,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Sums {
    fn zeros(channels: usize) -> Self {
        Self {
            count: 0.0,
            first: vec![0.0; channels],
            second: vec![0.0; channels],
        }
    }

    /// Merges the sums of more values (Chan, Golub and `LeVeque` 1979).
    #[inline(always)]
    fn merge<T: Copy + Into<f64>>(&mut self, count: f64, mean: &[T], squares: &[T]) {
        let total = self.count + count;
        let (weight, both) = (count / total, self.count * count / total);
        let own = self.first.iter_mut().zip(&mut self.second);
        for ((own_mean, own_squares), (mean, squares)) in own.zip(mean.iter().zip(squares)) {
            let distance = (*mean).into() - *own_mean;
            *own_mean += distance * weight;
            *own_squares += (*squares).into() + distance * distance * both;
        }
        self.count = total;
    }
}

struct PartMoments<'a> {
    map: &'a [f32],
    channels: usize,
}

impl Kernel for PartMoments<'_> {
    type Output = Sums;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> Sums {
        let channels = self.channels;
        let mut total = Sums::zeros(channels);
        let (mut mean, mut squares) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
        for run in self.map.chunks(run_len(channels)) {
            let count = (run.len() / channels) as f32;
            // Distances to the first pixel are summed, because sums of values far from zero would lose digits.
            let first = &run[..channels];
            mean.fill(0.0);
            squares.fill(0.0);
            for pixel in run.chunks_exact(channels) {
                let values = mean.iter_mut().zip(pixel).zip(first);
                values.for_each(|((sum, x), first)| *sum += x - first);
            }
            let sums = mean.iter_mut().zip(first);
            sums.for_each(|(sum, first)| *sum = first + *sum / count);
            for pixel in run.chunks_exact(channels) {
                let values = squares.iter_mut().zip(&mean).zip(pixel);
                values.for_each(|((sum, mean), x)| *sum += (x - mean) * (x - mean));
            }
            total.merge(f64::from(count), &mean, &squares);
        }
        total
    }
}

/// Writes a norm's values, with `ReLU` if `rectified`, plus `add` if given.
pub(crate) fn normalise(
    isa: Isa,
    x: &[f32],
    affine: &Affine,
    rectified: bool,
    add: Option<&[f32]>,
    output: &mut [f32],
) {
    let block = pixels(affine.channels()) * affine.channels();
    output.par_chunks_mut(block).enumerate().for_each(|(index, output)| {
        let (start, len) = (index * block, output.len());
        let kernel = Normalise {
            x: &x[start..start + len],
            affine,
            rectified,
            add: part(add, start, len),
            output,
        };
        // SAFETY: the kernel has no pointers.
        unsafe { isa.run(kernel) }
    });
}

/// As [`normalise`], on this thread.
pub(crate) fn normalise_part(isa: Isa, x: &[f32], affine: &Affine, rectified: bool, output: &mut [f32]) {
    let kernel = Normalise {
        x,
        affine,
        rectified,
        add: None,
        output,
    };
    // SAFETY: the kernel has no pointers.
    unsafe { isa.run(kernel) }
}

struct Normalise<'a> {
    x: &'a [f32],
    affine: &'a Affine,
    rectified: bool,
    add: Option<&'a [f32]>,
    output: &'a mut [f32],
}

impl Kernel for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let channels = self.affine.channels();
        let Affine { centre, scale, shift } = self.affine;
        let (centre, scale, shift) = (&centre[..channels], &scale[..channels], &shift[..channels]);
        let pixels = self
            .output
            .chunks_exact_mut(channels)
            .zip(self.x.chunks_exact(channels));
        let value = |x: &[f32], index: usize| (x[index] - centre[index]) * scale[index] + shift[index];
        #[allow(clippy::needless_range_loop, reason = "one index for five slices")]
        match (self.add, self.rectified) {
            (None, false) => {
                for (y, x) in pixels {
                    y.iter_mut().enumerate().for_each(|(index, y)| *y = value(x, index));
                }
            }
            (None, true) => {
                for (y, x) in pixels {
                    y.iter_mut()
                        .enumerate()
                        .for_each(|(index, y)| *y = relu(value(x, index)));
                }
            }
            (Some(add), false) => {
                for ((y, x), add) in pixels.zip(add.chunks_exact(channels)) {
                    for index in 0..channels {
                        y[index] = value(x, index) + add[index];
                    }
                }
            }
            (Some(add), true) => {
                for ((y, x), add) in pixels.zip(add.chunks_exact(channels)) {
                    for index in 0..channels {
                        y[index] = relu(value(x, index)) + add[index];
                    }
                }
            }
        }
    }
}

/// Sums over each channel, from which the norm's gradients are computed.
#[derive(Clone, Debug)]
pub(crate) struct GradientSums {
    /// The sum of the gradients of the norm's output.
    pub plain: Vec<f64>,
    /// The sum of the same gradients, each times the input's distance to the mean.
    pub centred: Vec<f64>,
}

/// The sums for the gradient of a norm's output, or of the output of the `ReLU` after it if `rectified`.
pub(crate) fn gradient_sums(isa: Isa, x: &[f32], affine: &Affine, rectified: bool, gradient: &[f32]) -> GradientSums {
    let channels = affine.channels();
    let len = part_len(x.len(), channels);
    let parts = x.par_chunks(len).zip(gradient.par_chunks(len)).map(|(x, gradient)| {
        let kernel = PartSums {
            x,
            affine,
            rectified,
            gradient,
        };
        // SAFETY: the kernel has no pointers.
        unsafe { isa.run(kernel) }
    });
    let parts: Vec<GradientSums> = parts.collect();
    let mut total = GradientSums {
        plain: vec![0.0; channels],
        centred: vec![0.0; channels],
    };
    for part in &parts {
        total
            .plain
            .iter_mut()
            .zip(&part.plain)
            .for_each(|(sum, part)| *sum += part);
        let centred = total.centred.iter_mut().zip(&part.centred);
        centred.for_each(|(sum, part)| *sum += part);
    }
    total
}

struct PartSums<'a> {
    x: &'a [f32],
    affine: &'a Affine,
    rectified: bool,
    gradient: &'a [f32],
}

impl Kernel for PartSums<'_> {
    type Output = GradientSums;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> GradientSums {
        let channels = self.affine.channels();
        let Affine { centre, scale, shift } = self.affine;
        let (centre, scale, shift) = (&centre[..channels], &scale[..channels], &shift[..channels]);
        let mut total = GradientSums {
            plain: vec![0.0; channels],
            centred: vec![0.0; channels],
        };
        let (mut plain, mut centred) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
        let len = run_len(channels);
        for (x, gradient) in self.x.chunks(len).zip(self.gradient.chunks(len)) {
            plain.fill(0.0);
            centred.fill(0.0);
            let (plain, centred) = (&mut plain[..channels], &mut centred[..channels]);
            let pixels = x.chunks_exact(channels).zip(gradient.chunks_exact(channels));
            if self.rectified {
                for (x, gradient) in pixels {
                    for index in 0..channels {
                        let distance = x[index] - centre[index];
                        let z = distance * scale[index] + shift[index];
                        let gradient = if z <= 0.0 { 0.0 } else { gradient[index] };
                        plain[index] += gradient;
                        centred[index] += gradient * distance;
                    }
                }
            } else {
                for (x, gradient) in pixels {
                    for index in 0..channels {
                        plain[index] += gradient[index];
                        centred[index] += gradient[index] * (x[index] - centre[index]);
                    }
                }
            }
            let own = total.plain.iter_mut().zip(&mut total.centred);
            for ((own_plain, own_centred), (plain, centred)) in own.zip(plain.iter().zip(&*centred)) {
                *own_plain += f64::from(*plain);
                *own_centred += f64::from(*centred);
            }
        }
        total
    }
}

/// The gradient of a norm's input: `factor * dz + slope * (x - centre) + term`, where `dz` is the gradient of its
/// output.
#[derive(Clone, Debug)]
pub(crate) struct InputGradient {
    factor: Vec<f32>,
    slope: Vec<f32>,
    term: Vec<f32>,
}

impl InputGradient {
    /// For a norm with given statistics.
    pub(crate) fn with_given(affine: &Affine) -> Self {
        Self {
            factor: affine.scale.clone(),
            slope: vec![0.0; affine.channels()],
            term: vec![0.0; affine.channels()],
        }
    }

    /// For a norm with the statistics of the batch: of its `count` inputs per channel.
    pub(crate) fn with_batch(affine: &Affine, inverse: &[f64], sums: &GradientSums, count: usize) -> Self {
        let count = count as f64;
        let scale = || affine.scale.iter().map(|scale| f64::from(*scale));
        let slope = scale().zip(inverse).zip(&sums.centred);
        let term = scale().zip(&sums.plain);
        Self {
            factor: affine.scale.clone(),
            slope: slope
                .map(|((scale, inverse), sum)| (-scale * inverse * inverse * sum / count) as f32)
                .collect(),
            term: term.map(|(scale, sum)| (-scale * sum / count) as f32).collect(),
        }
    }

    /// Turns the gradient of the output into the gradient of the input, in place. Adds `add` if given.
    pub(crate) fn apply(
        &self,
        isa: Isa,
        x: &[f32],
        affine: &Affine,
        rectified: bool,
        add: Option<&[f32]>,
        gradient: &mut [f32],
    ) {
        let block = pixels(affine.channels()) * affine.channels();
        gradient
            .par_chunks_mut(block)
            .enumerate()
            .for_each(|(index, gradient)| {
                let (start, len) = (index * block, gradient.len());
                let kernel = ApplyInputGradient {
                    x: &x[start..start + len],
                    affine,
                    rectified,
                    coefficients: self,
                    add: part(add, start, len),
                    gradient,
                };
                // SAFETY: the kernel has no pointers.
                unsafe { isa.run(kernel) }
            });
    }
}

struct ApplyInputGradient<'a> {
    x: &'a [f32],
    affine: &'a Affine,
    rectified: bool,
    coefficients: &'a InputGradient,
    add: Option<&'a [f32]>,
    gradient: &'a mut [f32],
}

impl Kernel for ApplyInputGradient<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let channels = self.affine.channels();
        let Affine { centre, scale, shift } = self.affine;
        let (centre, scale, shift) = (&centre[..channels], &scale[..channels], &shift[..channels]);
        let InputGradient { factor, slope, term } = self.coefficients;
        let (factor, slope, term) = (&factor[..channels], &slope[..channels], &term[..channels]);
        for (d, x) in self
            .gradient
            .chunks_exact_mut(channels)
            .zip(self.x.chunks_exact(channels))
        {
            if self.rectified {
                for index in 0..channels {
                    let distance = x[index] - centre[index];
                    let z = distance * scale[index] + shift[index];
                    let dz = if z <= 0.0 { 0.0 } else { d[index] };
                    d[index] = factor[index] * dz + (slope[index] * distance + term[index]);
                }
            } else {
                for index in 0..channels {
                    let distance = x[index] - centre[index];
                    d[index] = factor[index] * d[index] + (slope[index] * distance + term[index]);
                }
            }
        }
        if let Some(add) = self.add {
            self.gradient.iter_mut().zip(add).for_each(|(d, add)| *d += add);
        }
    }
}

/// The sum of each channel over a map.
pub(crate) fn channel_sums(isa: Isa, map: &[f32], channels: usize) -> Vec<f32> {
    let parts = map.par_chunks(part_len(map.len(), channels)).map(|map| {
        // SAFETY: the kernel has no pointers.
        unsafe { isa.run(ChannelSums { map, channels }) }
    });
    let parts: Vec<Vec<f64>> = parts.collect();
    let mut total = vec![0.0; channels];
    for part in &parts {
        total.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    total.into_iter().map(|sum| sum as f32).collect()
}

/// The sum of each channel over some pixels.
pub(super) struct ChannelSums<'a> {
    pub map: &'a [f32],
    pub channels: usize,
}

impl Kernel for ChannelSums<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> Vec<f64> {
        let mut total = vec![0.0; self.channels];
        let mut sums = vec![0.0_f32; self.channels];
        for run in self.map.chunks(run_len(self.channels)) {
            sums.fill(0.0);
            for pixel in run.chunks_exact(self.channels) {
                sums.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
            }
            total
                .iter_mut()
                .zip(&sums)
                .for_each(|(total, sum)| *total += f64::from(*sum));
        }
        total
    }
}
