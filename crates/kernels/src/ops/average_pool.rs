//! Average pooling.

use super::op::{Job, Maps, Op};
use super::pool::PoolRow;
use super::window::{Padding, WindowShape};
use crate::error::Error;
use crate::memory::map::{Map, Rows};
use crate::plan::cut::{Cut, Machine, Work};
use crate::value::Value;

const NAME: &str = "average pool";

/// The mean of every window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AveragePool {
    /// A map.
    pub input: Value,
    /// Height and width of the window.
    pub window: [usize; 2],
    /// Steps along height and width.
    pub stride: [usize; 2],
    /// Distances between the taps.
    pub dilation: [usize; 2],
    /// Pixels beyond the edge.
    pub padding: Padding,
    /// Whether the padding counts as zeros (`PyTorch`'s default) or is left out of the mean (Keras).
    pub count_padding: bool,
}

impl AveragePool {
    /// A pooling whose windows lie side by side, without padding.
    pub const fn new(input: Value, window: [usize; 2]) -> Self {
        Self {
            input,
            window,
            stride: window,
            dilation: [1; 2],
            padding: Padding::VALID,
            count_padding: false,
        }
    }
}

pub(crate) struct AveragePoolOp {
    pub window: WindowShape,
    pub count_padding: bool,
}

impl Op for AveragePoolOp {
    fn describe(&self, _maps: &Maps, _machine: Machine) -> String {
        NAME.to_owned()
    }

    fn output(&self, inputs: &[Map]) -> Result<Map, Error> {
        let [rows, columns] = self.window.sides(NAME, &inputs[0])?.map(|side| side.outputs);
        Map::new(rows, columns, inputs[0].channels)
    }

    fn writes_beside(&self, _inputs: usize) -> bool {
        true
    }

    fn cut(&self, maps: &Maps, machine: Machine) -> Cut {
        Cut::new(Work::of(maps.output.height), machine.threads)
    }

    unsafe fn run(&self, job: Job<'_>) {
        let (input, output) = (job.maps.input(), &job.maps.output);
        let (rows, _) = self.cut(job.maps, job.machine).job(job.index, output.height, 1);
        let sides = self.window.checked_sides(input);
        let count = self.count_padding.then(|| self.window.taps.iter().product());
        for y in rows {
            // SAFETY: the caller guarantees the pictures.
            unsafe {
                let row = PoolRow {
                    sides: &sides,
                    input: Rows::all(job.pictures.input(), input),
                    map: input,
                    y,
                    output: job.pictures.output.add(y * output.row()),
                    out_step: output.step,
                };
                row.mean(job.isa, count);
            }
        }
    }
}
