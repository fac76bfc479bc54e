//! 3 x 3 depthwise convolution: every channel on its own.

use super::buffer::{Buffer, LINE, padded};
use super::lanes::{Lanes, fetch};
use super::map::Map;

/// One 3 x 3 kernel a channel, stride 1, padded so that height and width stay.
pub struct DepthwiseKernel {
    channels: usize,
    dilation: usize,
    /// `[tap][channel]`, taps row by row; then a row of zeros, which is what lies above and below the picture.
    taps: Buffer,
}

impl DepthwiseKernel {
    /// `weights` are `[channels, 3, 3]`, `dilation` is the distance between the taps.
    pub(crate) fn new(weights: &[f32], channels: usize, dilation: usize) -> Self {
        let step = padded(channels);
        let mut taps = Buffer::zeros(10 * step);
        let rows = taps.as_mut_slice();
        for (channel, kernel) in weights.chunks_exact(9).take(channels).enumerate() {
            for (tap, &weight) in kernel.iter().enumerate() {
                rows[tap * step + channel] = weight;
            }
        }
        Self {
            channels,
            dilation,
            taps,
        }
    }

    /// How many channels it has.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.taps.bytes()
    }

    /// Convolves pixels `first..first + count` of a picture, row by row, into `output`, `step` values apart.
    ///
    /// # Safety
    ///
    /// `input` must be a readable picture of `map`, with as many channels as the kernel; `output` must have room for
    /// `count` pixels. Nobody may write to either meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn run<V: Lanes, const RELU: bool>(
        &self,
        input: *const f32,
        map: &Map,
        first: usize,
        count: usize,
        output: *mut f32,
        step: usize,
    ) {
        // Any larger one looks past the picture as well, and might wrap around.
        let dilation = self.dilation.min(map.height.max(map.width));
        // A cache line of channels at a time, so that what the rows share is still in the first-level cache.
        for line in (0..map.step).step_by(LINE) {
            let mut done = 0;
            while done < count {
                let (y, x) = ((first + done) / map.width, (first + done) % map.width);
                let columns = (map.width - x).min(count - done);
                // SAFETY: the rows that exist are the picture's; the others are a pixel of zeros, read again and again.
                unsafe {
                    let zeros = self.taps.as_slice().as_ptr().add(9 * map.step);
                    let row = |y: Option<usize>| match y {
                        Some(y) if y < map.height => (input.add(y * map.row()), map.step),
                        _ => (zeros, 0),
                    };
                    let rows = [row(y.checked_sub(dilation)), row(Some(y)), row(Some(y + dilation))];
                    for lane in (line..line + LINE).step_by(V::WIDTH) {
                        for phase in 0..dilation.min(columns) {
                            let output = output.add((done + phase) * step + lane);
                            self.line::<V, RELU>(
                                &rows,
                                dilation,
                                lane,
                                map.width,
                                x + phase,
                                x + columns,
                                output,
                                step,
                            );
                        }
                    }
                }
                done += columns;
            }
        }
    }

    /// Columns `start`, `start + dilation`, ... before `end` of one row, in one vector of channels.
    ///
    /// Every input is read once: a column belongs to three outputs, whose sums are carried along in registers.
    ///
    /// # Safety
    ///
    /// See [`run`](Self::run); `rows` must be readable at all columns before `width`.
    #[allow(clippy::too_many_arguments, reason = "all of them change from call to call")]
    #[inline(always)]
    unsafe fn line<V: Lanes, const RELU: bool>(
        &self,
        rows: &[(*const f32, usize); 3],
        dilation: usize,
        lane: usize,
        width: usize,
        start: usize,
        end: usize,
        output: *mut f32,
        step: usize,
    ) {
        // SAFETY: columns are read if they exist; a vector of channels ends within the padding; outputs are those that
        // `run` was asked for.
        unsafe {
            let taps = self.taps.as_slice().as_ptr().add(lane);
            let channels = padded(self.channels);
            let mut weights = [[V::splat(0.0); 3]; 3];
            for (tap, weight) in weights.as_flattened_mut().iter_mut().enumerate() {
                *weight = V::load(taps.add(tap * channels));
            }
            let column = |places: &[*const f32; 3]| {
                let mut values = [V::splat(0.0); 3];
                for (value, place) in values.iter_mut().zip(places) {
                    // The next cache line of channels: pixels are too far apart for the hardware to guess it.
                    fetch(place.wrapping_add(LINE));
                    *value = V::load(*place);
                    if RELU {
                        *value = value.relu();
                    }
                }
                values
            };
            // A column on; of the last, that is past the row.
            let next = |places: &mut [*const f32; 3]| {
                for (place, (_, step)) in places.iter_mut().zip(rows) {
                    *place = place.wrapping_add(dilation * step);
                }
            };
            let add = |sum: V, values: &[V; 3], tap: usize| {
                let mut sum = sum;
                for (value, weights) in values.iter().zip(&weights) {
                    sum = value.mul_add(weights[tap], sum);
                }
                sum
            };

            let zero = V::splat(0.0);
            let mut right = match start.checked_sub(dilation) {
                Some(x) => add(zero, &column(&rows.map(|(row, step)| row.add(x * step + lane))), 0),
                None => zero,
            };
            let mut places = rows.map(|(row, step)| row.add(start * step + lane));
            let values = column(&places);
            let mut middle = add(right, &values, 1);
            right = add(zero, &values, 0);
            let mut to = output;
            let mut x = start + dilation;
            while x < end {
                next(&mut places);
                let values = column(&places);
                add(middle, &values, 2).store(to);
                to = to.add(dilation * step);
                middle = add(right, &values, 1);
                right = add(zero, &values, 0);
                x += dilation;
            }
            if x < width {
                next(&mut places);
                middle = add(middle, &column(&places), 2);
            }
            middle.store(to);
        }
    }
}
