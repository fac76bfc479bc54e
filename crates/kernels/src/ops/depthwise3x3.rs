//! The kernel of 3 x 3 depthwise convolutions that keep height and width.

use crate::memory::buffer::{Buffer, LINE, padded};
use crate::memory::map::{Map, Rows};
use crate::simd::isa::Kernel;
use crate::simd::lanes::{Lanes, prefetch};

/// Bytes of a row of which three fit in the first-level cache, with room to spare.
const ROW_BYTES: usize = 10 * 1024;

/// One 3 x 3 kernel for each channel, stride 1, padded so that height and width stay.
pub(crate) struct DepthwiseKernel {
    channels: usize,
    dilation: usize,
    /// `[tap][channel]`, taps row by row; then a row of zeros, which lies above and below the picture; then the bias,
    /// if any.
    taps: Buffer,
    has_bias: bool,
}

impl DepthwiseKernel {
    /// `weights` are `[channels, 3, 3]`, `dilation` is the distance between the taps. The caller has checked the
    /// lengths.
    pub(crate) fn new(weights: &[f32], channels: usize, dilation: usize, bias: Option<&[f32]>) -> Self {
        let step = padded(channels);
        let mut taps = Buffer::zeros((10 + usize::from(bias.is_some())) * step);
        let rows = taps.as_mut_slice();
        for (channel, kernel) in weights.chunks_exact(9).take(channels).enumerate() {
            for (tap, &weight) in kernel.iter().enumerate() {
                rows[tap * step + channel] = weight;
            }
        }
        if let Some(bias) = bias {
            rows[10 * step..][..channels].copy_from_slice(&bias[..channels]);
        }
        Self {
            channels,
            dilation,
            taps,
            has_bias: bias.is_some(),
        }
    }

    /// The distance between its taps.
    pub(crate) fn dilation(&self) -> usize {
        self.dilation
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.taps.bytes()
    }

    /// A pixel of zeros, which lies above and below the picture.
    fn zeros(&self) -> *const f32 {
        self.taps.as_slice()[9 * padded(self.channels)..].as_ptr()
    }

    /// A pixel of bias.
    fn bias(&self) -> *const f32 {
        let row = 9 + usize::from(self.has_bias);
        self.taps.as_slice()[row * padded(self.channels)..].as_ptr()
    }
}

/// Pixels `first..first + count` of a picture, row by row, convolved into `output`, `step` values apart.
///
/// The caller of `run` guarantees that `input` has readable rows of `map` around these pixels, with as many channels as
/// the kernel, that `output` has room for `count` pixels, and that no other thread writes to either during the call.
pub(crate) struct Depthwise<'a> {
    pub kernel: &'a DepthwiseKernel,
    /// Whether negative inputs count as zero.
    pub relu: bool,
    pub input: Rows,
    pub map: &'a Map,
    pub first: usize,
    pub count: usize,
    pub output: *mut f32,
    pub step: usize,
}

impl Kernel for Depthwise<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller's promise is the same.
        unsafe {
            if self.relu {
                self.pixels::<V, true>();
            } else {
                self.pixels::<V, false>();
            }
        }
    }
}

impl Depthwise<'_> {
    /// # Safety
    ///
    /// See [`Depthwise`].
    #[inline(always)]
    unsafe fn pixels<V: Lanes, const RELU: bool>(&self) {
        let Self { map, first, count, .. } = *self;
        // A larger one looks past the picture as well, and might wrap around.
        let dilation = self.kernel.dilation.min(map.height.max(map.width));
        let zeros = self.kernel.zeros();
        // With several rows, blocks of channels: three rows of a block stay in the first-level cache.
        let block = if first % map.width + count > map.width {
            (ROW_BYTES / size_of::<f32>() / map.width / LINE * LINE).max(LINE)
        } else {
            map.step
        };
        for start in (0..map.step).step_by(block) {
            let end = map.step.min(start + block);
            let mut done = 0;
            while done < count {
                let (y, x) = ((first + done) / map.width, (first + done) % map.width);
                let columns = (map.width - x).min(count - done);
                // A row outside of the picture is one pixel of zeros, read for every column.
                let mut rows = [(zeros, 0); 3];
                for (row, y) in rows
                    .iter_mut()
                    .zip([y.checked_sub(dilation), Some(y), Some(y + dilation)])
                {
                    if let Some(y) = y.filter(|&y| y < map.height) {
                        *row = (self.input.at(y), map.step);
                    }
                }
                for lane in (start..end).step_by(V::WIDTH) {
                    for phase in 0..dilation.min(columns) {
                        // SAFETY: rows of the picture are readable, and so are zeros; the outputs are those of the
                        // caller.
                        unsafe {
                            let output = self.output.add((done + phase) * self.step + lane);
                            self.line::<V, RELU>(&rows, dilation, lane, x + phase, x + columns, output);
                        }
                    }
                }
                done += columns;
            }
        }
    }

    /// Columns `start`, `start + dilation`, ... before `end` of one row, in one vector of channels.
    ///
    /// Every input is read once: a column belongs to three outputs, whose sums stay in registers.
    ///
    /// # Safety
    ///
    /// See [`Depthwise`]; `rows` must be readable at all columns.
    #[inline(always)]
    unsafe fn line<V: Lanes, const RELU: bool>(
        &self,
        rows: &[(*const f32, usize); 3],
        dilation: usize,
        lane: usize,
        start: usize,
        end: usize,
        output: *mut f32,
    ) {
        let taps = self.kernel.taps.as_slice()[lane..].as_ptr();
        let channels = padded(self.kernel.channels);
        let mut weights = [[V::splat(0.0); 3]; 3];
        for (tap, weight) in weights.as_flattened_mut().iter_mut().enumerate() {
            // SAFETY: a vector of channels ends within the padding.
            *weight = unsafe { V::load(taps.add(tap * channels)) };
        }
        let mut places = *rows;
        for (place, step) in &mut places {
            *place = place.wrapping_add(start * *step + lane);
        }
        // SAFETY: columns are read if they exist; a vector of channels ends within the padding; outputs are those of
        // the caller.
        unsafe {
            let bias = V::load(self.kernel.bias().add(lane));
            let mut right = bias;
            if start >= dilation {
                let mut before = places;
                for (place, step) in &mut before {
                    *place = place.wrapping_sub(dilation * *step);
                }
                right = add(bias, &column::<V, RELU>(&before), &weights, 0);
            }
            let values = column::<V, RELU>(&places);
            let mut middle = add(right, &values, &weights, 1);
            right = add(bias, &values, &weights, 0);
            let mut to = output;
            let mut x = start + dilation;
            while x < end {
                next(&mut places, dilation);
                let values = column::<V, RELU>(&places);
                add(middle, &values, &weights, 2).store(to);
                to = to.add(dilation * self.step);
                middle = add(right, &values, &weights, 1);
                right = add(bias, &values, &weights, 0);
                x += dilation;
            }
            if x < self.map.width {
                next(&mut places, dilation);
                middle = add(middle, &column::<V, RELU>(&places), &weights, 2);
            }
            middle.store(to);
        }
    }
}

/// A column of three pixels.
///
/// # Safety
///
/// A vector must be readable at each place.
#[inline(always)]
unsafe fn column<V: Lanes, const RELU: bool>(places: &[(*const f32, usize); 3]) -> [V; 3] {
    let mut values = [V::splat(0.0); 3];
    for (value, (place, _)) in values.iter_mut().zip(places) {
        // The next cache line of channels: pixels are too far apart for the hardware's prefetcher.
        prefetch(place.wrapping_add(LINE));
        // SAFETY: the caller's promise is the same.
        *value = unsafe { V::load(*place) };
        if RELU {
            *value = value.relu();
        }
    }
    values
}

/// Advances one column; after the last, past the row.
#[inline(always)]
fn next(places: &mut [(*const f32, usize); 3], dilation: usize) {
    for (place, step) in places {
        *place = place.wrapping_add(dilation * *step);
    }
}

/// Adds a column to the sum of the output for which it is column `tap`.
#[inline(always)]
fn add<V: Lanes>(mut sum: V, values: &[V; 3], weights: &[[V; 3]; 3], tap: usize) -> V {
    for (value, weights) in values.iter().zip(weights) {
        sum = value.mul_add(weights[tap], sum);
    }
    sum
}
