//! Depthwise convolutions: every channel on its own, with any kernel, stride, dilation and padding.

use super::convolution::Convolution;
use super::depthwise3x3::{Depthwise, DepthwiseKernel};
use super::elementwise::{Elementwise, Operand};
use super::op::{Job, Maps, Op};
use super::window::{Side, WindowRows, WindowShape};
use crate::activation::Activation;
use crate::error::{Error, volume};
use crate::memory::buffer::{Buffer, padded};
use crate::memory::map::{Map, Rows};
use crate::plan::cut::{Cut, Machine, Work};
use crate::simd::isa::Kernel;
use crate::simd::lanes::Lanes;

const NAME: &str = "depthwise convolution";

pub(crate) struct DepthwiseOp {
    window: WindowShape,
    channels: usize,
    kernel: Taps,
    activation: Activation,
}

enum Taps {
    /// 3 x 3 that keeps height and width: every input is read once for three outputs.
    Square(DepthwiseKernel),
    /// `[tap][channel]`, taps row by row, then the bias.
    Any(Buffer),
}

impl DepthwiseOp {
    /// The window.
    pub(crate) fn window(&self) -> &WindowShape {
        &self.window
    }

    /// Whether a cascade can compute it row by row: it looks at three neighbouring rows, and its output has fewer rows
    /// than its input.
    pub(crate) fn fits_cascade(&self) -> bool {
        self.window.taps[0] == 3 && self.window.dilation == [1; 2] && self.window.stride[0] > 1
    }

    /// Computes row `y`.
    ///
    /// # Safety
    ///
    /// `input` must have readable rows where the windows lie; the residual and the output must be pictures of the
    /// output's map, the row writable by no other thread.
    pub(crate) unsafe fn row(&self, at: &WindowRows<'_>, y: usize) {
        let output = at.output_map;
        let place = y * output.row();
        // SAFETY: the caller's promise is the same; row `y` lies within the output.
        unsafe {
            let to = at.output.add(place);
            match &self.kernel {
                Taps::Square(kernel) => at.isa.run(Depthwise {
                    kernel,
                    relu: false,
                    input: at.input,
                    map: at.input_map,
                    first: y * output.width,
                    count: output.width,
                    output: to,
                    step: output.step,
                }),
                Taps::Any(taps) => at.isa.run(DepthwiseRow {
                    taps: taps.as_slice(),
                    sides: at.sides,
                    input: at.input,
                    map: at.input_map,
                    y,
                    output: to,
                }),
            }
            if self.activation != Activation::None || at.second.is_some() {
                // The row is in the first-level or the second-level cache.
                at.isa.run(Elementwise {
                    input: to,
                    operand: at
                        .second
                        .map_or(Operand::Absent, |(residual, _)| Operand::Sum(residual.add(place))),
                    activation: self.activation,
                    map: output,
                    pixels: 0..output.width,
                    output: to,
                });
            }
        }
    }

    /// Packs checked weights.
    pub(crate) fn new(convolution: &Convolution<'_>, channels: usize) -> Result<Self, Error> {
        let Convolution { weights, bias, .. } = *convolution;
        let window = WindowShape {
            taps: convolution.kernel,
            stride: convolution.stride,
            dilation: convolution.dilation,
            padding: convolution.padding,
        };
        let [height, width] = window.taps;
        let taps = volume(&[height, width])?;
        let square = window.taps == [3; 2] && window.keeps_size() && window.dilation[0] == window.dilation[1];
        let kernel = if square {
            Taps::Square(DepthwiseKernel::new(weights, channels, window.dilation[0], bias))
        } else {
            let step = padded(channels);
            let mut buffer = Buffer::zeros(volume(&[taps + 1, step])?);
            let rows = buffer.as_mut_slice();
            for (channel, kernel) in weights.chunks_exact(taps).enumerate() {
                for (tap, &weight) in kernel.iter().enumerate() {
                    rows[tap * step + channel] = weight;
                }
            }
            if let Some(bias) = bias {
                rows[taps * step..][..channels].copy_from_slice(bias);
            }
            Taps::Any(buffer)
        };
        Ok(Self {
            window,
            channels,
            kernel,
            activation: convolution.activation,
        })
    }
}

impl Op for DepthwiseOp {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        let WindowShape { taps, stride, .. } = self.window;
        format!("{NAME} {} x {}, stride {}", taps[0], taps[1], stride[0])
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        let [rows, columns] = self.window.sides(NAME, &inputs[0])?.map(|side| side.outputs);
        let output = Map::new(rows, columns, self.channels)?;
        match inputs.get(1) {
            Some(residual) if *residual != output => Err(Error::Size {
                op: NAME,
                what: "the residual",
                expected: output.size(),
                found: residual.size(),
            }),
            _ => Ok(output),
        }
    }

    fn multiplications(&self, maps: &Maps) -> usize {
        let [height, width] = self.window.taps;
        maps.output.pixels() * maps.output.channels * height * width
    }

    fn bytes(&self) -> usize {
        match &self.kernel {
            Taps::Square(kernel) => kernel.bytes(),
            Taps::Any(buffer) => buffer.bytes(),
        }
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        Cut::new(Work::of(maps.output.height), machine.threads)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let (input, output) = (job.maps.input(), &job.maps.output);
        let (rows, _) = self.cut(job.maps, job.machine).job(job.index, output.height, 1);
        let sides = self.window.checked_sides(input);
        let at = WindowRows {
            isa: job.isa,
            sides: &sides,
            input: Rows::all(job.pictures.input(), input),
            input_map: input,
            second: job.pictures.second().zip(job.maps.second()),
            output: job.pictures.output,
            output_map: output,
        };
        for y in rows {
            // SAFETY: the caller guarantees the pictures.
            unsafe { self.row(&at, y) };
        }
    }
}

/// Outputs that share the weights in registers.
const TOGETHER: usize = 4;

/// Row `y` of a depthwise convolution.
///
/// The caller of `run` guarantees that `input` has readable rows of `map` where the windows lie, that `output` is a
/// writable row, and that no other thread writes to either during the call.
struct DepthwiseRow<'a> {
    taps: &'a [f32],
    sides: &'a [Side; 2],
    input: Rows,
    map: &'a Map,
    y: usize,
    output: *mut f32,
}

impl Kernel for DepthwiseRow<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let columns = &self.sides[1];
        let step = self.map.step;
        let rows: Vec<(usize, *const f32)> = self.sides[0]
            .taps(self.y)
            .map(|(tap, row)| (tap * columns.most_taps(), self.input.at(row)))
            .collect();
        let inner = columns.inner();
        for lane in (0..step).step_by(V::WIDTH) {
            let mut x = 0;
            while x < columns.outputs {
                if inner.start <= x && x + TOGETHER <= inner.end {
                    // SAFETY: every tap of these windows lies on the map.
                    unsafe { self.inner::<V>(&rows, x, lane) };
                    x += TOGETHER;
                } else {
                    // SAFETY: `taps` gives columns of the map; a vector of channels ends within the padding.
                    unsafe { self.border::<V>(&rows, x, lane) };
                    x += 1;
                }
            }
        }
    }
}

impl DepthwiseRow<'_> {
    fn weights(&self, tap: usize, lane: usize) -> *const f32 {
        self.taps[tap * self.map.step + lane..].as_ptr()
    }

    /// The bias is the last row.
    #[inline(always)]
    unsafe fn bias<V: Lanes>(&self, lane: usize) -> V {
        // SAFETY: the last row of the taps is as long as a pixel.
        unsafe { V::load(self.taps.as_ptr().add(self.taps.len() - self.map.step + lane)) }
    }

    /// # Safety
    ///
    /// See [`DepthwiseRow`]; all taps of windows `x..x + TOGETHER` must lie on the map.
    #[inline(always)]
    unsafe fn inner<V: Lanes>(&self, rows: &[(usize, *const f32)], x: usize, lane: usize) {
        let (columns, step) = (&self.sides[1], self.map.step);
        // SAFETY: the caller's promise is the same.
        unsafe {
            let mut sums = [self.bias::<V>(lane); TOGETHER];
            for &(first, row) in rows {
                for (tap, column) in columns.taps(x) {
                    let weight = V::load(self.weights(first + tap, lane));
                    let place = row.add(column * step + lane);
                    for (index, sum) in sums.iter_mut().enumerate() {
                        let value = V::load(place.add(index * columns.stride * step));
                        *sum = value.mul_add(weight, *sum);
                    }
                }
            }
            for (index, sum) in sums.into_iter().enumerate() {
                sum.store(self.output.add((x + index) * step + lane));
            }
        }
    }

    /// # Safety
    ///
    /// See [`DepthwiseRow`].
    #[inline(always)]
    unsafe fn border<V: Lanes>(&self, rows: &[(usize, *const f32)], x: usize, lane: usize) {
        let (columns, step) = (&self.sides[1], self.map.step);
        // SAFETY: the caller's promise is the same.
        unsafe {
            let mut sum = self.bias::<V>(lane);
            for &(first, row) in rows {
                for (tap, column) in columns.taps(x) {
                    let weight = V::load(self.weights(first + tap, lane));
                    sum = V::load(row.add(column * step + lane)).mul_add(weight, sum);
                }
            }
            sum.store(self.output.add(x * step + lane));
        }
    }
}
