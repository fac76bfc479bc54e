//! Pictures with their channels one after the other, to channels last and back.

use core::slice;

use super::op::{Job, Maps, Op};
use crate::error::Error;
use crate::memory::buffer::LINE;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, Machine, Work};

/// `[channels, height, width]` to channels last.
pub(crate) struct Interleave {
    /// Whether pixels are padded to whole cache lines.
    pub padded: bool,
}

impl Op for Interleave {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        "interleave".to_owned()
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        let Map {
            height,
            width,
            channels,
            ..
        } = inputs[0];
        if self.padded {
            Map::new(height, width, channels)
        } else {
            Map::dense(height, width, channels)
        }
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        Cut::new(Work::of(maps.output.height), machine.threads)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let Maps { output, .. } = job.maps;
        let (rows, _) = self.cut(job.maps, job.machine).job(job.index, output.height, 1);
        for row in rows {
            let to = (job.pictures.output, output.step);
            // SAFETY: the caller guarantees the pictures.
            unsafe { interleave(job.pictures.input(), job.maps.input(), row, to) };
        }
    }
}

/// Channels last to `[channels, height, width]`.
pub(crate) struct Deinterleave;

impl Op for Deinterleave {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        "deinterleave".to_owned()
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        Map::dense(inputs[0].height, inputs[0].width, inputs[0].channels)
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        Cut::new(Work::of(maps.input().channels.div_ceil(LINE)), machine.threads)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let map = job.maps.input();
        let cut = self.cut(job.maps, job.machine);
        let (lines, _) = cut.job(job.index, map.channels.div_ceil(LINE), 1);
        for line in lines {
            // SAFETY: the caller guarantees the pictures.
            unsafe { deinterleave(job.pictures.input(), map, line, job.pictures.output) };
        }
    }
}

/// Row `row` of a picture, into one whose pixels are `step` values apart.
///
/// # Safety
///
/// See [`Op::run`].
unsafe fn interleave(input: *const f32, map: &Map, row: usize, (output, step): (*mut f32, usize)) {
    let start = row * map.width;
    if (map.channels, step) == (3, 3) {
        // SAFETY: both pictures have this row.
        unsafe {
            let [red, green, blue] =
                [0, 1, 2].map(|channel| slice::from_raw_parts(input.add(channel * map.pixels() + start), map.width));
            let pixels = slice::from_raw_parts_mut(output.add(start * step).cast::<[f32; 3]>(), map.width);
            for (((pixel, &red), &green), &blue) in pixels.iter_mut().zip(red).zip(green).zip(blue) {
                *pixel = [red, green, blue];
            }
        }
        return;
    }
    // A cache line of channels at a time: the lines that are read and written stay in the first-level cache.
    for line in (0..map.channels).step_by(LINE) {
        for pixel in start..start + map.width {
            for channel in line..map.channels.min(line + LINE) {
                // SAFETY: both pictures have this pixel and this channel.
                unsafe { *output.add(pixel * step + channel) = *input.add(channel * map.pixels() + pixel) };
            }
        }
    }
}

/// Cache line `line` of the channels of a picture.
///
/// # Safety
///
/// See [`Op::run`].
unsafe fn deinterleave(input: *const f32, map: &Map, line: usize, output: *mut f32) {
    for pixel in 0..map.pixels() {
        for channel in line * LINE..map.channels.min((line + 1) * LINE) {
            // SAFETY: both pictures have this pixel and this channel.
            unsafe { *output.add(channel * map.pixels() + pixel) = *input.add(pixel * map.step + channel) };
        }
    }
}
