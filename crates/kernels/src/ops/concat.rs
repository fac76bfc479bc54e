//! Maps side by side along their channels.
//!
//! Most inputs are written in their places by the operations that compute them (`plan/mod.rs`); the others are copied.

use super::op::{Job, Maps, Op};
use crate::error::Error;
use crate::memory::buffer::padded;
use crate::memory::map::Map;
use crate::plan::cut::{Cut, Machine};
use crate::value::Value;

/// The channels of several maps, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concat<'a> {
    /// Maps of one height and width.
    pub inputs: &'a [Value],
}

pub(crate) struct ConcatOp;

impl Op for ConcatOp {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        "concat".to_owned()
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        let first = inputs[0];
        let mut channels = 0_usize;
        for input in inputs {
            if input.size() != first.size() {
                return Err(Error::Size {
                    op: "concat",
                    what: "every input",
                    expected: first.size(),
                    found: input.size(),
                });
            }
            channels = channels
                .checked_add(input.channels)
                .ok_or_else(|| Error::TooLarge(vec![channels, input.channels]))?;
        }
        Map::new(first.height, first.width, channels)
    }

    fn writes_beside(&self, _inputs: usize) -> bool {
        true
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        super::elementwise::cut(maps, machine)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let Maps { inputs, output } = job.maps;
        let (pixels, _) = self.cut(job.maps, job.machine).job(job.index, output.pixels(), 1);
        for pixel in pixels {
            let mut channel = 0;
            for (map, from) in inputs.iter().zip(job.pictures.inputs) {
                // SAFETY: the caller guarantees the pictures, and the channels of the output are those of all inputs.
                unsafe {
                    let first = job.pictures.output.add(channel);
                    // Inputs that were written in their places stay.
                    if *from != first.cast_const() {
                        let to = first.add(pixel * output.step);
                        core::ptr::copy_nonoverlapping(from.add(pixel * map.step), to, map.channels);
                    }
                }
                channel += map.channels;
            }
            // SAFETY: the padding of the pixel.
            unsafe {
                let end = job.pictures.output.add(pixel * output.step + channel);
                end.write_bytes(0, padded(channel) - channel);
            }
        }
    }
}
