//! Matrix multiplication with seven products of halves instead of eight: one step of Strassen's algorithm in Winograd's
//! form (Higham 2002, *Accuracy and Stability of Numerical Algorithms*, section 23.1).
//!
//! The matrices are halved along the inputs, along two neighbouring pixels, and along two neighbouring groups of
//! outputs, each a tile wide. With the pixels `[a11 a12; a21 a22]` and the weights `[b11 b12; b21 b22]`:
//!
//! ```text
//! s1 = a21 + a22    s2 = s1 - a11    s3 = a11 - a21    s4 = a12 - s2
//! t1 = b12 - b11    t2 = b22 - t1    t3 = b22 - b12    t4 = b21 - t2
//!
//! x = a11 b11       c11 = x + a12 b21
//! x = x + s2 t2     y = x + s3 t3     c21 = y + a22 t4
//! z = s1 t1         c22 = y + z       c12 = x + z + s4 b22
//! ```
//!
//! The `t` are computed before the first run that needs them, the `s` before the multiplication. The rounding error of
//! an output grows with the larger of the two pixels. Pixels that are far apart in size are therefore computed in the
//! order of the definition, and so are pixels that are not finite. The pairing of pixels does not depend on how they
//! are cut into jobs.

use core::ops::Range;

use super::matmul::{Epilogue, Prefetch, Share, Shares, Tile, Window, tile_panels};
use super::packed::{PANEL, PackedMatrix};
use crate::activation::Activation;
use crate::memory::buffer::{Buffer, padded};
use crate::plan::cut::share;
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::Lanes;

/// The coefficients of `b11`, `b12`, `b21` and `b22` in `t1` to `t4`.
const SUMS: [[f64; 4]; 4] = [
    [-1.0, 1.0, 0.0, 0.0],
    [1.0, -1.0, 0.0, 1.0],
    [0.0, -1.0, 0.0, 1.0],
    [-1.0, 1.0, 1.0, -1.0],
];

/// Inputs below which the sums cost more than the product that they save.
const FEWEST_INPUTS: usize = 256;

/// Bytes of second-level cache below which seven products do not pay: sums take seven quarters of pixels and weights.
const LEAST_CACHE: usize = 1 << 20;

/// Values between the sums of two pixels and those of the next two, as between pixels.
const GAP: usize = 16;

/// The largest sum of a pixel's squares: no product of sums is infinite then, nor are weights larger than its root.
const MOST_SQUARES: f32 = 1e30;

/// The largest quotient of the sums of squares of the two pixels of a pair.
const MOST_APART: f32 = 256.0;

/// The sums of weights.
pub(crate) struct Strassen {
    /// `t1` to `t4`, for all pairs of groups.
    sums: [PackedMatrix; 4],
    /// A group of zeros: the bias of partial sums.
    zeros: Buffer,
    /// Panels of a group.
    group: usize,
    /// Pairs of groups. The remaining panels are computed with eight products.
    pairs: usize,
}

impl Strassen {
    /// Adds up `weights`; `None` if eight products are faster on a core with this second-level cache.
    pub(crate) fn new(
        zeros: impl FnMut(usize) -> Buffer,
        isa: Isa,
        second_level_cache: usize,
        weights: &PackedMatrix,
    ) -> Option<Self> {
        let too_small = weights.fits_in_second_level_cache() || weights.inputs() < FEWEST_INPUTS;
        if too_small || second_level_cache < LEAST_CACHE {
            return None;
        }
        Self::of(zeros, isa, weights)
    }

    /// Adds up `weights`; `None` where that is not possible.
    fn of(mut zeros: impl FnMut(usize) -> Buffer, isa: Isa, weights: &PackedMatrix) -> Option<Self> {
        // SAFETY: it touches no memory.
        let (group, width) = unsafe { isa.run(Sizes) };
        let half = weights.inputs() / 2;
        // No group with outputs that are not real.
        let pairs = weights.outputs() / PANEL / (2 * group);
        let (all, ..) = weights.panels_at(0..weights.panels());
        let small = all.iter().all(|weight| weight * weight <= MOST_SQUARES);
        if !weights.inputs().is_multiple_of(2) || half < width || pairs == 0 || !small {
            return None;
        }
        let mut add = |signs: [f64; 4]| {
            PackedMatrix::serial(&mut zeros, half, pairs * group * PANEL, |outputs, rows| {
                let panel = outputs.start / PANEL;
                let left = panel / group * 2 * group + panel % group;
                let halves = |panel: usize| {
                    let (weights, ..) = weights.panels_at(panel..panel + 1);
                    weights.as_chunks::<PANEL>().0.split_at(half)
                };
                let ((b11, b21), (b12, b22)) = (halves(left), halves(left + group));
                for ((((row, b11), b12), b21), b22) in rows.iter_mut().zip(b11).zip(b12).zip(b21).zip(b22) {
                    for (lane, value) in row.iter_mut().enumerate() {
                        let weights = [b11, b12, b21, b22].map(|weights| f64::from(weights[lane]));
                        let parts = [0, 1, 2, 3].map(|part| signs[part] * weights[part]);
                        // Rounded once.
                        *value = (parts[0] + parts[1] + (parts[2] + parts[3])) as f32;
                    }
                }
            })
            .ok()
        };
        let [t1, t2, t3, t4] = SUMS;
        Some(Self {
            sums: [add(t1)?, add(t2)?, add(t3)?, add(t4)?],
            zeros: Buffer::zeros(group * PANEL),
            group,
            pairs,
        })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.sums.iter().map(PackedMatrix::bytes).sum::<usize>() + self.zeros.bytes()
    }

    /// Panels of a pair of groups.
    pub(crate) fn both(&self) -> usize {
        2 * self.group
    }

    /// Panels that have sums: the first ones.
    pub(crate) fn panels(&self) -> usize {
        self.both() * self.pairs
    }

    /// Values of scratch for `pixels` pixels.
    pub(crate) fn scratch(&self, pixels: usize) -> usize {
        pixels.div_ceil(2) * (self.step() + 3 * self.lanes() + 1)
    }

    /// Outputs of a group.
    fn lanes(&self) -> usize {
        self.group * PANEL
    }

    /// The target of partial sums of `pairs` pairs of pixels.
    fn partial_sums(&self, output: *mut f32, pairs: usize) -> Target {
        Target {
            output,
            step: self.lanes(),
            bias: self.zeros.as_slice().as_ptr(),
            residual: None,
            clamp: Activation::None.clamp(),
            pairs,
        }
    }

    /// Values of a half.
    fn half(&self) -> usize {
        self.sums[0].inputs()
    }

    /// Values from the sums of two pixels to those of the next two.
    fn step(&self) -> usize {
        4 * padded(self.half()) + GAP
    }
}

/// How many panels a tile has, and how many lanes a vector.
struct Sizes;

impl Kernel for Sizes {
    type Output = (usize, usize);

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> (usize, usize) {
        (tile_panels::<V>(), V::WIDTH)
    }
}

/// Pixels `in_step` values apart, multiplied with the panels `panels` of the weights, which are whole pairs of groups
/// that have sums. Returns a number for each pair of pixels, in `scratch`: not 0 if the caller must compute the pair
/// again in the order of the definition.
///
/// The caller of `run` guarantees that `input` is readable, `output` writable and the residual readable at every pixel;
/// that a pixel of zeros follows an odd number of pixels; and that no other thread writes to any of them during the
/// call.
pub(crate) struct MultiplyBySeven<'a> {
    pub strassen: &'a Strassen,
    pub weights: &'a PackedMatrix,
    pub panels: Range<usize>,
    pub input: *const f32,
    pub in_step: usize,
    pub pixels: usize,
    pub epilogue: Epilogue,
    pub output: *mut f32,
    pub out_step: usize,
    pub prefetch: Prefetch,
    pub scratch: &'a mut [f32],
}

impl<'a> Kernel for MultiplyBySeven<'a> {
    type Output = &'a [f32];

    #[inline(always)]
    #[allow(clippy::many_single_char_names, reason = "those of the formulas above")]
    unsafe fn run<V: Lanes>(self) -> &'a [f32] {
        let Self {
            strassen,
            weights,
            panels,
            input,
            in_step,
            pixels,
            epilogue,
            output,
            out_step,
            prefetch,
            scratch,
        } = self;
        let (half, step, lanes) = (strassen.half(), strassen.step(), strassen.lanes());
        let all = pixels.div_ceil(2);
        let (sums, scratch) = scratch.split_at_mut(all * step);
        let (kept, scratch) = scratch.split_at_mut(3 * all * lanes);
        let (again, _) = scratch.split_at_mut(all);
        let sums = sums.as_mut_ptr();
        let [x, y, z] = [0, 1, 2].map(|sum| kept[sum * all * lanes..].as_mut_ptr());
        for (pair, again) in again.iter_mut().enumerate() {
            // SAFETY: every pair of pixels has as many values, and as many sums.
            *again = unsafe {
                let pixel = input.add(2 * pair * in_step);
                add_pixels::<V>(pixel, in_step, half, sums.add(pair * step), 2 * pair + 1 == pixels)
            };
        }

        let tiles = all.div_ceil(V::TILE[0]);
        let pairs = panels.start / strassen.both()..panels.end / strassen.both();
        let panel = 2 * half * PANEL;
        let next_weights = Shares::new(half * PANEL, tiles, half);
        let next_pixels = Shares::new(prefetch.len, 7 * tiles * pairs.len(), half);
        let next_job = (prefetch.from, 0);
        let mut done = 0;
        for pair in pairs {
            let left = pair * strassen.both();
            let right = left + strassen.group;
            let (b, bias, _) = weights.panels_at(left..left + strassen.both());
            let upper = |group: usize| (b[group * strassen.group * panel..].as_ptr(), panel);
            let lower = |group: usize| (upper(group).0.wrapping_add(half * PANEL), panel);
            let t = |sum: usize| {
                let first = pair * strassen.group;
                let (sums, ..) = strassen.sums[sum].panels_at(first..first + strassen.group);
                (sums.as_ptr(), half * PANEL)
            };
            let a = |pixel: usize, part: usize| (input.wrapping_add(pixel * in_step + part * half), 2 * in_step);
            let s = |sum: usize| (sums.wrapping_add(sum * padded(half)).cast_const(), step);
            let keep = |sum| strassen.partial_sums(sum, all);
            let c = |pixel: usize, group: usize| {
                let place = pixel * out_step + [left, right][group] * PANEL;
                Target {
                    output: output.wrapping_add(place),
                    step: 2 * out_step,
                    bias: bias[group * lanes..].as_ptr(),
                    residual: epilogue.residual.map(|residual| residual.wrapping_add(place)),
                    clamp: epilogue.activation.clamp(),
                    // An odd number of pixels ends with a first one.
                    pairs: (pixels - pixel).div_ceil(2),
                }
            };
            let products = [
                (a(0, 0), upper(0), None, keep(x)),
                (a(0, 1), lower(0), Some(x), c(0, 0)),
                (s(1), t(1), Some(x), keep(x)),
                (s(2), t(2), Some(x), keep(y)),
                (a(1, 1), t(3), Some(y), c(1, 0)),
                (s(0), t(0), None, keep(z)),
                (s(3), lower(1), Some(x), c(0, 1)),
            ];
            for (index, (from, by, partial, to)) in products.into_iter().enumerate() {
                if index == 6 {
                    // SAFETY: the products before have written the sums, and the caller guarantees the outputs.
                    unsafe { c(1, 1).take::<V>([x, y, z], all, lanes) };
                }
                let next_group = (b.as_ptr().wrapping_add(b.len()), panel);
                let next = products.get(index + 1).map_or(next_group, |product| product.1);
                let product = Product {
                    half,
                    from,
                    by,
                    partial: partial.map(|sum| (sum.cast_const(), lanes)),
                    to,
                    next,
                    ahead: next_weights,
                };
                for tile in 0..tiles {
                    // SAFETY: the caller guarantees pixels and outputs, the sums were made here, and every half has as
                    // many weights.
                    unsafe { product.run::<V>(share(all, tile, tiles), tile, next_pixels.share(done, next_job)) };
                    done += 1;
                }
            }
        }
        again
    }
}

/// The sums of two pixels, `[sum][half of the inputs]`. Returns 0 if the pair may be computed with seven products, else
/// 1. Without a second pixel, zeros stand in its place.
///
/// # Safety
///
/// The pixels must be readable, the sums writable.
#[inline(always)]
unsafe fn add_pixels<V: Lanes>(first: *const f32, step: usize, half: usize, sums: *mut f32, alone: bool) -> f32 {
    let second = first.wrapping_add(step);
    let row = padded(half);
    let mut squares = [V::splat(0.0); 2];
    let mut lane = 0;
    while lane < half {
        // The last vector ends with the half. Lanes that it shares with the vector before are squared twice.
        let place = lane.min(half - V::WIDTH);
        // SAFETY: a half is a vector at least, and the caller's promise is the same.
        unsafe {
            let [a11, a12] = [V::load(first.add(place)), V::load(first.add(half + place))];
            let [a21, a22] = [V::load(second.add(place)), V::load(second.add(half + place))];
            squares[0] = a12.mul_add(a12, a11.mul_add(a11, squares[0]));
            squares[1] = a22.mul_add(a22, a21.mul_add(a21, squares[1]));
            let s1 = a21.plus(a22);
            let s2 = s1.minus(a11);
            s1.store(sums.add(place));
            s2.store(sums.add(row + place));
            a11.minus(a21).store(sums.add(2 * row + place));
            a12.minus(s2).store(sums.add(3 * row + place));
        }
        lane += V::WIDTH;
    }
    let mut size = [0.0; 2];
    for (size, squares) in size.iter_mut().zip(squares) {
        let mut values = [0.0; PANEL];
        // SAFETY: no vector is wider than sixteen values.
        unsafe { squares.store(values.as_mut_ptr()) };
        *size = values.iter().sum::<f32>();
    }
    let [one, other] = size;
    let similar = other <= MOST_SQUARES && one <= MOST_APART * other && other <= MOST_APART * one;
    if one <= MOST_SQUARES && (alone || similar) {
        0.0
    } else {
        1.0
    }
}

/// A product of halves, of pixels or sums of them with weights or sums of them.
struct Product {
    half: usize,
    /// The first pixel's, and from one to the next.
    from: (*const f32, usize),
    /// The first panel, and from one to the next.
    by: (*const f32, usize),
    /// Partial sums to continue, and the values from a pixel's sums to the next one's.
    partial: Option<(*const f32, usize)>,
    to: Target,
    /// The weights that come next.
    next: (*const f32, usize),
    ahead: Shares,
}

impl Product {
    /// Computes the pairs `pairs`, if there are as many: tile number `tile`.
    ///
    /// # Safety
    ///
    /// See [`Tile`].
    #[inline(always)]
    unsafe fn run<V: Lanes>(&self, pairs: Range<usize>, tile: usize, next_pixels: Share) {
        let Target {
            output,
            step,
            bias,
            residual,
            clamp,
            pairs: most,
        } = self.to;
        let first = pairs.start;
        let count = pairs.end.min(most).saturating_sub(first);
        if count > 0 {
            let tile = Tile {
                input: self.from.0.wrapping_add(first * self.from.1),
                in_step: self.from.1,
                window: Window::pixel(self.half),
                weights: self.by.0,
                panel: self.by.1,
                next_weights: self.ahead.share(tile, self.next),
                next_pixels,
                bias,
                accumulators: self.partial.map(|(sum, step)| (sum.wrapping_add(first * step), step)),
                residual: residual.map(|residual| residual.wrapping_add(first * step)),
                clamp,
                output: output.wrapping_add(first * step),
                out_step: step,
            };
            // SAFETY: the caller's promise is the same.
            unsafe { tile.run_whole::<V>(count) };
        }
    }
}

/// The target of sums: outputs of every second pixel, or partial sums.
#[derive(Clone, Copy)]
struct Target {
    output: *mut f32,
    /// Values from one to the next.
    step: usize,
    bias: *const f32,
    residual: Option<*const f32>,
    /// Least and largest output.
    clamp: [f32; 2],
    /// How many there are.
    pairs: usize,
}

impl Target {
    /// `y + z` goes to the outputs, and `x` becomes `x + z`: `lanes` values for each of `pairs` pairs of pixels.
    ///
    /// # Safety
    ///
    /// The sums and the outputs must be writable, the bias and the residual readable.
    #[inline(always)]
    unsafe fn take<V: Lanes>(self, [x, y, z]: [*mut f32; 3], pairs: usize, lanes: usize) {
        let [least, most] = self.clamp.map(V::splat);
        for pair in 0..pairs {
            for lane in (0..lanes).step_by(V::WIDTH) {
                // SAFETY: the caller's promise is the same.
                unsafe {
                    let place = pair * lanes + lane;
                    let [x, y, z] = [x, y, z].map(|sum| sum.add(place));
                    let more = V::load(z);
                    V::load(x).plus(more).store(x);
                    if pair < self.pairs {
                        let mut sum = V::load(y).plus(more).plus(V::load(self.bias.add(lane)));
                        let place = pair * self.step + lane;
                        if let Some(residual) = self.residual {
                            sum = sum.plus(V::load(residual.add(place)));
                        }
                        sum.at_most(most).at_least(least).store(self.output.add(place));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::memory::cache::second_level;
    use crate::memory::map::Map;
    use crate::ops::depthwise3x3::DepthwiseKernel;
    use crate::ops::op::{Job, Maps, Op, Pictures};
    use crate::ops::separable::SeparableOp;
    use crate::plan::cut::Machine;

    /// Numbers of both signs, the same on every machine.
    fn numbers(seed: usize, count: usize) -> Vec<f32> {
        let number = |index: usize| (index * 7919 + index / 13 * 104_729 + seed * 31) % 2003;
        (0..count).map(|index| number(index) as f32 / 1001.0 - 1.0).collect()
    }

    /// A separable convolution between feature maps, with and without the sums.
    struct Case {
        maps: Maps,
        isa: Isa,
        input: Buffer,
        residual: Option<Buffer>,
        layers: [SeparableOp; 2],
    }

    impl Case {
        fn new(isa: Isa, [height, width]: [usize; 2], [inputs, outputs]: [usize; 2], seed: usize) -> Self {
            let input_map = Map::new(height, width, inputs).unwrap();
            let output_map = Map::new(height, width, outputs).unwrap();
            let mut depthwise = vec![0.0; 9 * inputs];
            // The depthwise half copies its input, so that pixels are what a test says.
            depthwise.iter_mut().skip(4).step_by(9).for_each(|tap| *tap = 1.0);
            let pointwise = numbers(seed, inputs * outputs);
            let bias = numbers(seed + 1, outputs);
            let after = [Activation::Relu, Activation::None, Activation::Swish][seed % 3];
            let layers = [true, false].map(|by_seven| {
                let pointwise =
                    PackedMatrix::of_rows(Buffer::zeros, [inputs, outputs], Some(&bias), &pointwise).unwrap();
                SeparableOp {
                    depthwise: DepthwiseKernel::new(&depthwise, inputs, 1, None),
                    strassen: OnceLock::from(by_seven.then(|| Strassen::of(Buffer::zeros, isa, &pointwise).unwrap())),
                    fewest_strassen_pixels: 0,
                    pointwise,
                    relu_before: false,
                    between: Activation::None,
                    after,
                }
            });
            let filled = |map: &Map, seed: usize| {
                let mut buffer = Buffer::zeros(map.len());
                let values = numbers(seed, map.pixels() * map.channels);
                for (pixel, values) in buffer
                    .as_mut_slice()
                    .chunks_exact_mut(map.step)
                    .zip(values.chunks(map.channels))
                {
                    pixel[..map.channels].copy_from_slice(values);
                }
                buffer
            };
            let residual = seed.is_multiple_of(3).then(|| filled(&output_map, seed + 2));
            Self {
                maps: Maps {
                    inputs: [input_map]
                        .into_iter()
                        .chain(residual.is_some().then_some(output_map))
                        .collect(),
                    output: output_map,
                },
                isa,
                input: filled(&input_map, seed + 3),
                residual,
                layers,
            }
        }

        fn pixel(&mut self, pixel: usize) -> &mut [f32] {
            let Map { step, channels, .. } = *self.maps.input();
            &mut self.input.as_mut_slice()[pixel * step..][..channels]
        }

        /// The output, pixel by pixel, of all jobs that `threads` threads have.
        fn run(&self, by_seven: bool, threads: usize) -> Vec<Vec<f32>> {
            let layer = &self.layers[usize::from(!by_seven)];
            let Map { step, channels, .. } = self.maps.output;
            let mut output = Buffer::zeros(self.maps.output.len());
            output.as_mut_slice().fill(f32::NAN);
            let residual = self.residual.as_ref().map(|residual| residual.as_slice().as_ptr());
            let inputs: Vec<_> = [self.input.as_slice().as_ptr()].into_iter().chain(residual).collect();
            let machine = Machine {
                threads,
                second_level_cache: second_level(),
            };
            let mut scratch = Buffer::zeros(layer.scratch(&self.maps, machine));
            for index in 0..layer.cut(&self.maps, machine).jobs() {
                scratch.as_mut_slice().fill(f32::NAN);
                let job = Job {
                    isa: self.isa,
                    machine,
                    maps: &self.maps,
                    pictures: Pictures {
                        inputs: &inputs,
                        output: output.as_mut_slice().as_mut_ptr(),
                    },
                    index,
                    scratch: scratch.as_mut_slice(),
                };
                // SAFETY: the pictures are of these maps, and only this thread works on them.
                unsafe { layer.run(job) };
            }
            let pixels = output.as_slice().chunks_exact(step);
            let check = |pixel: &[f32]| {
                assert!(pixel[channels..].iter().all(|&padding| padding == 0.0));
                pixel[..channels].to_vec()
            };
            pixels.map(check).collect()
        }
    }

    /// Every NaN counts as equal.
    fn bits(pixels: &[Vec<f32>]) -> Vec<u32> {
        let bits = |value: &f32| if value.is_nan() { f32::NAN } else { *value }.to_bits();
        pixels.iter().flatten().map(bits).collect()
    }

    /// Height and width, inputs and outputs: with whole and partial tiles, odd numbers of pixels, and groups without a
    /// partner.
    const SHAPES: [[[usize; 2]; 2]; 5] = [
        [[3, 3], [32, 64]],
        [[1, 2], [34, 70]],
        [[7, 9], [36, 129]],
        [[1, 1], [62, 65]],
        [[8, 12], [48, 200]],
    ];

    fn each_case(test: impl Fn(Case)) {
        for isa in Isa::available() {
            for (seed, [size, channels]) in SHAPES.into_iter().enumerate().take(if cfg!(miri) { 2 } else { 9 }) {
                test(Case::new(isa, size, channels, seed));
            }
        }
    }

    #[test]
    fn seven_products_give_what_eight_do() {
        each_case(|case| {
            let (ours, expected) = (case.run(true, 1), case.run(false, 1));
            let largest = expected
                .iter()
                .flatten()
                .fold(0.0_f32, |most, value| most.max(value.abs()));
            let pairs = ours.iter().flatten().zip(expected.iter().flatten());
            for (ours, expected) in pairs {
                assert!((ours - expected).abs() <= 1e-6 * largest, "{ours} {expected}");
            }
            assert!(bits(&ours) != bits(&expected), "they are the eight");
        });
    }

    #[test]
    fn jobs_change_nothing() {
        each_case(|mut case| {
            for large in [false, true] {
                if large {
                    case.pixel(0)[3] = f32::MAX;
                }
                let alone = bits(&case.run(true, 1));
                for threads in [2, 3, 7, 40] {
                    assert_eq!(bits(&case.run(true, threads)), alone, "{threads} threads");
                }
            }
        });
    }

    #[test]
    fn pixels_that_do_not_go_together_are_done_in_the_order_of_the_definition() {
        each_case(|mut case| {
            let last = case.maps.input().pixels() - 1;
            let values = [f32::NAN, 300.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e18, 1e-40];
            for value in values.into_iter().take(if cfg!(miri) { 2 } else { 7 }) {
                for pixel in [0, last / 2, last] {
                    let before = case.pixel(pixel).to_vec();
                    // Filled completely, so that 1e-40 differs in size from its neighbour.
                    case.pixel(pixel).fill(value);
                    let (ours, expected) = (case.run(true, 2), case.run(false, 2));
                    case.pixel(pixel).copy_from_slice(&before);
                    let first = pixel / 2 * 2;
                    // The last of an odd number of pixels has no partner.
                    let alone = first == last && value.is_finite() && value < 1e15;
                    let both = first..ours.len().min(first + 2);
                    assert!(
                        alone || bits(&ours[both.clone()]) == bits(&expected[both]),
                        "{value} in pixel {pixel} of {}",
                        last + 1
                    );
                }
            }
        });
    }

    #[test]
    fn weights_that_are_too_large_have_no_sums() {
        for weight in [f32::NAN, f32::INFINITY, 1e16] {
            let mut weights = numbers(1, 64 * 64);
            weights[77] = weight;
            let weights = PackedMatrix::of_rows(Buffer::zeros, [64, 64], None, &weights).unwrap();
            assert!(Strassen::of(Buffer::zeros, Isa::portable(), &weights).is_none());
        }
    }
}
