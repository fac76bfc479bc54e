//! A multiplication of matrices with seven products of halves for eight: one step of Strassen's algorithm in Winograd's form
//! (Higham 2002, *Accuracy and Stability of Numerical Algorithms*, section 23.1).
//!
//! The halves are those of the inputs, two neighbouring pixels, and two neighbouring groups of outputs, each a tile's width. With the
//! pixels `[a11 a12; a21 a22]` and the weights `[b11 b12; b21 b22]`:
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
//! The `t` are made before the first run that needs them, the `s` before the multiplication. An output's rounding error grows with the larger
//! one of the two pixels, so that pixels that are far apart in size are computed in the order of the definition, and so are those
//! that are not finite. Which pixels belong together does not depend on how they are cut into jobs.

use core::ops::Range;

use super::buffer::{Buffer, padded};
use super::cache::second_level;
use super::isa::{Isa, Kernel};
use super::lanes::Lanes;
use super::layer::share;
use super::matmul::{Ahead, Fetching, Finish, Reach, Soon, Tile, tile_panels};
use super::packed::{PANEL, PackedMatrix};

/// What of `b11`, `b12`, `b21` and `b22` is in `t1` to `t4`.
const SUMS: [[f64; 4]; 4] = [
    [-1.0, 1.0, 0.0, 0.0],
    [1.0, -1.0, 0.0, 1.0],
    [0.0, -1.0, 0.0, 1.0],
    [-1.0, 1.0, 1.0, -1.0],
];

/// Inputs below which the sums cost more than the product that they save.
const FEWEST_INPUTS: usize = 256;

/// Pixels a thread below which there are too few for all the sums of weights that are read.
const FEWEST_PIXELS: usize = 48;

/// Bytes of second-level cache below which it loses what the products gain: sums are seven quarters of pixels and weights.
const LEAST_CACHE: usize = 1 << 20;

/// Values between the sums of two pixels and those of the next two, as between pixels.
const GAP: usize = 16;

/// The largest sum of a pixel's squares: no product of sums is infinite then, nor are weights larger than its root.
const MOST_SQUARES: f32 = 1e30;

/// The largest quotient of the sums of squares of two pixels that are computed together.
const MOST_APART: f32 = 256.0;

/// The sums of weights.
pub(crate) struct Strassen {
    /// `t1` to `t4`, for all pairs of groups.
    sums: [PackedMatrix; 4],
    /// A group of them, which is the bias of what is no output yet.
    zeros: Buffer,
    /// Panels of a group.
    together: usize,
    /// Pairs of groups. The panels that are left are not done this way.
    pairs: usize,
}

impl Strassen {
    /// Whether it is worth it for so many pixels. So many threads may change the last bits of an output, the way in which jobs are cut
    /// for them does not.
    pub(crate) const fn pays(pixels: usize, threads: usize) -> bool {
        // Tests have small pictures.
        cfg!(test) || pixels / threads >= FEWEST_PIXELS
    }

    /// Adds up `weights`; `None` if the ordinary way is better.
    pub(crate) fn new(zeros: impl FnMut(usize) -> Buffer, isa: Isa, weights: &PackedMatrix) -> Option<Self> {
        if weights.stays() || weights.inputs() < FEWEST_INPUTS || second_level() < LEAST_CACHE {
            return None;
        }
        Self::of(zeros, isa, weights)
    }

    /// Adds up `weights`; `None` where that is not possible.
    fn of(mut zeros: impl FnMut(usize) -> Buffer, isa: Isa, weights: &PackedMatrix) -> Option<Self> {
        // SAFETY: it touches no memory.
        let (together, width) = unsafe { isa.run(Sizes) };
        let half = weights.inputs() / 2;
        // No group with outputs that are not real.
        let pairs = weights.outputs() / PANEL / (2 * together);
        let (all, ..) = weights.panels_at(0..weights.panels());
        let small = all.iter().all(|weight| weight * weight <= MOST_SQUARES);
        if !weights.inputs().is_multiple_of(2) || half < width || pairs == 0 || !small {
            return None;
        }
        let sums = SUMS.map(|signs| {
            PackedMatrix::serial(&mut zeros, half, pairs * together * PANEL, |outputs, rows| {
                let panel = outputs.start / PANEL;
                let left = panel / together * 2 * together + panel % together;
                let halves = |panel: usize| {
                    let (weights, ..) = weights.panels_at(panel..panel + 1);
                    weights.as_chunks::<PANEL>().0.split_at(half)
                };
                let ((b11, b21), (b12, b22)) = (halves(left), halves(left + together));
                for ((((row, b11), b12), b21), b22) in rows.iter_mut().zip(b11).zip(b12).zip(b21).zip(b22) {
                    for (lane, value) in row.iter_mut().enumerate() {
                        let weights = [b11, b12, b21, b22].map(|weights| f64::from(weights[lane]));
                        let parts = [0, 1, 2, 3].map(|part| signs[part] * weights[part]);
                        // Rounded once.
                        *value = (parts[0] + parts[1] + (parts[2] + parts[3])) as f32;
                    }
                }
            })
        });
        Some(Self {
            sums,
            zeros: Buffer::zeros(together * PANEL),
            together,
            pairs,
        })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.sums.iter().map(PackedMatrix::bytes).sum::<usize>() + self.zeros.bytes()
    }

    /// Panels of two groups, which belong together.
    pub(crate) fn both(&self) -> usize {
        2 * self.together
    }

    /// Panels that are done this way, the first ones.
    pub(crate) fn panels(&self) -> usize {
        self.both() * self.pairs
    }

    /// Values of scratch for `pixels` pixels.
    pub(crate) fn scratch(&self, pixels: usize) -> usize {
        pixels.div_ceil(2) * (self.step() + 3 * self.lanes() + 1)
    }

    /// Outputs of a group.
    fn lanes(&self) -> usize {
        self.together * PANEL
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

/// Pixels `in_step` values apart, multiplied with the panels `panels` of the weights, which are whole pairs of groups that the
/// sums are there of. Gives the pairs of pixels that are to be computed again in the order of the definition, as a number each in
/// `scratch`: not zero.
///
/// Whoever runs it vouches that `input` is readable, `output` writable and the residual readable at every pixel; that of an odd
/// number of pixels, a pixel of zeros comes after the last; and that nobody else writes to any of it meanwhile.
pub(crate) struct MultiplyBySeven<'a> {
    pub strassen: &'a Strassen,
    pub weights: &'a PackedMatrix,
    pub panels: Range<usize>,
    pub input: *const f32,
    pub in_step: usize,
    pub pixels: usize,
    pub finish: Finish,
    pub output: *mut f32,
    pub out_step: usize,
    pub soon: Soon,
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
            finish,
            output,
            out_step,
            soon,
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
        let next_weights = Ahead::new(half * PANEL, tiles, half);
        let next_pixels = Ahead::new(soon.len, 7 * tiles * pairs.len(), half);
        let mut done = 0;
        for pair in pairs {
            let left = pair * strassen.both();
            let right = left + strassen.together;
            let (b, bias, _) = weights.panels_at(left..left + strassen.both());
            let upper = |group: usize| (b[group * strassen.together * panel..].as_ptr(), panel);
            let lower = |group: usize| (upper(group).0.wrapping_add(half * PANEL), panel);
            let t = |sum: usize| {
                let first = pair * strassen.together;
                let (sums, ..) = strassen.sums[sum].panels_at(first..first + strassen.together);
                (sums.as_ptr(), half * PANEL)
            };
            let a = |pixel: usize, part: usize| (input.wrapping_add(pixel * in_step + part * half), 2 * in_step);
            let s = |sum: usize| (sums.wrapping_add(sum * padded(half)).cast_const(), step);
            let keep = |sum: *mut f32| Target {
                output: sum,
                step: lanes,
                bias: strassen.zeros.as_slice().as_ptr(),
                residual: None,
                relu: false,
                pairs: all,
            };
            let c = |pixel: usize, group: usize| {
                let place = pixel * out_step + [left, right][group] * PANEL;
                Target {
                    output: output.wrapping_add(place),
                    step: 2 * out_step,
                    bias: bias[group * lanes..].as_ptr(),
                    residual: finish.residual.map(|residual| residual.wrapping_add(place)),
                    relu: finish.relu,
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
            for (index, (from, by, begun, to)) in products.into_iter().enumerate() {
                if index == 6 {
                    // SAFETY: the sums are there, and the outputs are vouched for.
                    unsafe { c(1, 1).take::<V>([x, y, z], all, lanes) };
                }
                let next_group = (b.as_ptr().wrapping_add(b.len()), panel);
                let next = products.get(index + 1).map_or(next_group, |product| product.1);
                let product = Product {
                    half,
                    from,
                    by,
                    begun: begun.map(|sum| (sum.cast_const(), lanes)),
                    to,
                    next,
                    ahead: next_weights,
                };
                for tile in 0..tiles {
                    // SAFETY: its pixels, sums and outputs are among those that are vouched for or were made here, and as many
                    // weights belong to every half.
                    unsafe { product.run::<V>(share(all, tile, tiles), tile, next_pixels.share(done, (soon.from, 0))) };
                    done += 1;
                }
            }
        }
        again
    }
}

/// The sums of two pixels, `[sum][half of the inputs]`; gives 0 if the pixels may be computed together, else 1. The second may be
/// none, that is zeros.
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
        // The last vector ends with the half; what it has in common with the one before is squared twice.
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
    let together = other <= MOST_SQUARES && one <= MOST_APART * other && other <= MOST_APART * one;
    if one <= MOST_SQUARES && (alone || together) {
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
    /// Sums that are gone on with, and from a pixel's to the next one's.
    begun: Option<(*const f32, usize)>,
    to: Target,
    /// The weights that come next.
    next: (*const f32, usize),
    ahead: Ahead,
}

impl Product {
    /// Computes the pairs `pairs`, if there are as many: tile number `tile`.
    ///
    /// # Safety
    ///
    /// See [`Tile`].
    #[inline(always)]
    unsafe fn run<V: Lanes>(&self, pairs: Range<usize>, tile: usize, next_pixels: Fetching) {
        let Target {
            output,
            step,
            bias,
            residual,
            relu,
            pairs: most,
        } = self.to;
        let first = pairs.start;
        let count = pairs.end.min(most).saturating_sub(first);
        if count > 0 {
            let tile = Tile {
                input: self.from.0.wrapping_add(first * self.from.1),
                in_step: self.from.1,
                reach: Reach::pixel(self.half),
                weights: self.by.0,
                panel: self.by.1,
                next_weights: self.ahead.share(tile, self.next),
                next_pixels,
                bias,
                begun: self.begun.map(|(sum, step)| (sum.wrapping_add(first * step), step)),
                residual: residual.map(|residual| residual.wrapping_add(first * step)),
                relu,
                output: output.wrapping_add(first * step),
                out_step: step,
            };
            // SAFETY: the caller's promise is the same.
            unsafe { tile.run_whole::<V>(count) };
        }
    }
}

/// Where sums go: outputs of every second pixel, or sums that are kept.
#[derive(Clone, Copy)]
struct Target {
    output: *mut f32,
    /// Values from one to the next.
    step: usize,
    bias: *const f32,
    residual: Option<*const f32>,
    relu: bool,
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
        // Nothing is less than minus infinity.
        let least = V::splat(if self.relu { 0.0 } else { f32::NEG_INFINITY });
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
                        sum.at_least(least).store(self.output.add(place));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::super::depthwise::DepthwiseKernel;
    use super::super::layer::{Layer, Maps, SeparableRelu};
    use super::super::map::Map;
    use super::super::work::Pictures;
    use super::*;

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
        layers: [Layer; 2],
    }

    impl Case {
        fn new(isa: Isa, [height, width]: [usize; 2], [inputs, outputs]: [usize; 2], seed: usize) -> Self {
            let input_map = Map::new(height, width, inputs);
            let output_map = Map::new(height, width, outputs);
            let mut depthwise = vec![0.0; 9 * inputs];
            // The depthwise half gives what it was given, so that pixels are what a test says.
            depthwise.iter_mut().skip(4).step_by(9).for_each(|tap| *tap = 1.0);
            let pointwise = numbers(seed, inputs * outputs);
            let bias = numbers(seed + 1, outputs);
            let relu = SeparableRelu {
                after: seed.is_multiple_of(2),
                ..SeparableRelu::default()
            };
            let layers = [true, false].map(|by_seven| {
                let pointwise = PackedMatrix::of_rows(Buffer::zeros, inputs, outputs, Some(&bias), &pointwise);
                Layer::Separable {
                    depthwise: DepthwiseKernel::new(&depthwise, inputs, 1),
                    strassen: OnceLock::from(
                        by_seven.then(|| Box::new(Strassen::of(Buffer::zeros, isa, &pointwise).unwrap())),
                    ),
                    pointwise,
                    relu,
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
                    input: input_map,
                    residual: residual.is_some().then_some(output_map),
                    output: output_map,
                },
                isa,
                input: filled(&input_map, seed + 3),
                residual,
                layers,
            }
        }

        fn pixel(&mut self, pixel: usize) -> &mut [f32] {
            let Map { step, channels, .. } = self.maps.input;
            &mut self.input.as_mut_slice()[pixel * step..][..channels]
        }

        /// The output, pixel by pixel, of all jobs that `threads` threads have.
        fn run(&self, by_seven: bool, threads: usize) -> Vec<Vec<f32>> {
            let layer = &self.layers[usize::from(!by_seven)];
            let Map { step, channels, .. } = self.maps.output;
            let mut output = Buffer::zeros(self.maps.output.len());
            output.as_mut_slice().fill(f32::NAN);
            let pictures = Pictures {
                input: self.input.as_slice().as_ptr(),
                residual: self.residual.as_ref().map(|residual| residual.as_slice().as_ptr()),
                output: output.as_mut_slice().as_mut_ptr(),
            };
            let mut scratch = Buffer::zeros(layer.scratch(&self.maps, threads));
            for job in 0..layer.jobs(&self.maps, threads) {
                scratch.as_mut_slice().fill(f32::NAN);
                // SAFETY: the pictures are of these maps, and only this thread works on them.
                unsafe {
                    layer.run(self.isa, &self.maps, pictures, job, threads, scratch.as_mut_slice());
                }
            }
            let pixels = output.as_slice().chunks_exact(step);
            let check = |pixel: &[f32]| {
                assert!(pixel[channels..].iter().all(|&padding| padding == 0.0));
                pixel[..channels].to_vec()
            };
            pixels.map(check).collect()
        }
    }

    /// One NaN is like another.
    fn bits(pixels: &[Vec<f32>]) -> Vec<u32> {
        let bits = |value: &f32| if value.is_nan() { f32::NAN } else { *value }.to_bits();
        pixels.iter().flatten().map(bits).collect()
    }

    /// Height and width, inputs and outputs: of tiles that are whole or not, odd numbers of pixels, groups that have no other.
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
            let last = case.maps.input.pixels() - 1;
            let values = [f32::NAN, 300.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e18, 1e-40];
            for value in values.into_iter().take(if cfg!(miri) { 2 } else { 7 }) {
                for pixel in [0, last / 2, last] {
                    let before = case.pixel(pixel).to_vec();
                    // So that 1e-40 is of another size than its neighbour, all of it.
                    case.pixel(pixel).fill(value);
                    let (ours, expected) = (case.run(true, 2), case.run(false, 2));
                    case.pixel(pixel).copy_from_slice(&before);
                    let first = pixel / 2 * 2;
                    // Alone, the last of an odd number goes with nothing.
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
            let weights = PackedMatrix::of_rows(Buffer::zeros, 64, 64, None, &weights);
            assert!(Strassen::of(Buffer::zeros, Isa::portable(), &weights).is_none());
        }
    }
}
