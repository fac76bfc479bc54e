//! Maps side by side along their channels.

use super::op::{Job, Maps, Op};
use crate::error::Error;
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

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        super::elementwise::cut(maps, machine)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let Maps { inputs, output } = job.maps;
        let (pixels, _) = self.cut(job.maps, job.machine).job(job.index, output.pixels(), 1);
        for pixel in pixels {
            let mut start = pixel * output.step;
            for (map, from) in inputs.iter().zip(job.pictures.inputs) {
                // SAFETY: the caller guarantees the pictures, and the channels of the output are those of all inputs.
                unsafe {
                    let from = from.add(pixel * map.step);
                    core::ptr::copy_nonoverlapping(from, job.pictures.output.add(start), map.channels);
                }
                start += map.channels;
            }
            let padding = (pixel + 1) * output.step - start;
            // SAFETY: the padding of the pixel.
            unsafe { job.pictures.output.add(start).write_bytes(0, padding) };
        }
    }
}
