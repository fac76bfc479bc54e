//! Separable convolutions and the pooling or the strided depthwise convolution after them, fused: computed a row at a
//! time.
//!
//! On large maps with few channels, a layer by itself waits for memory: block 2 of Xception writes two maps of 11 MB
//! and reads them again. In a cascade every layer keeps the last three rows of its output in the second-level cache,
//! and the next layer looks at no other rows. Only the input of the block and the smaller output are maps in memory.

use core::ops::Range;

use super::cut::{Cut, Machine};
use crate::gemm::matmul::Prefetch;
use crate::memory::map::{Map, Rows};
use crate::ops::AnyOp;
use crate::ops::op::{Maps, Pictures};
use crate::ops::separable::{SeparableOp, SeparablePart};
use crate::ops::window::WindowRows;
use crate::simd::isa::Isa;
use crate::step::{MapId, Operations, Step};

/// Rows that a step of a cascade looks at.
const WINDOW: usize = 3;

/// The fewest rows of the last step's output in a job. Neighbouring jobs both compute the rows between them, which is
/// also why no thread has more than one job.
const FEWEST_ROWS: usize = 8;

/// Fused steps of a network: separable convolutions without dilation and residual, then a pooling or a strided
/// depthwise convolution.
#[derive(Clone, Debug)]
pub(crate) struct Cascade {
    /// The steps' numbers.
    pub steps: Range<usize>,
    /// The input of every convolution, and the output of the last.
    maps: Vec<Map>,
    /// The first convolution's input, the second map that the last step reads (projected or added), and the output.
    pub outer: Maps,
}

impl Cascade {
    /// The cascade that begins with step `first`, if there is one and it saves time: its weights stay in the cache, no
    /// other step reads the maps between, and there are rows enough for all threads.
    pub(crate) fn starting_at(
        network: &Operations,
        first: usize,
        maps: &PlanMaps<'_>,
        machine: Machine,
    ) -> Option<Self> {
        let steps = &network.steps;
        let mut last = first;
        loop {
            let step = steps.get(last)?;
            if last > first && (step.inputs[0] != MapId::Value(last - 1) || maps.readers[last - 1] != 1) {
                return None;
            }
            match &step.op {
                AnyOp::Separable(op) if step.inputs.len() == 1 && op.fits_cascade() => last += 1,
                AnyOp::MaxPool(op) if last > first && op.fits_cascade() => break,
                AnyOp::Depthwise(op) if last > first && op.fits_cascade() => break,
                _ => return None,
            }
        }
        let ids = [steps[first].inputs[0]]
            .into_iter()
            .chain(steps[last].inputs.get(1).copied());
        let outer = Maps {
            inputs: ids.map(|id| maps.of(id)).collect(),
            output: maps.values[last],
        };
        let between = first..last;
        let reads_within = matches!(steps[last].inputs.get(1), Some(MapId::Value(value)) if between.contains(value));
        (!reads_within && outer.output.height >= machine.threads * FEWEST_ROWS).then(|| Self {
            steps: first..last + 1,
            maps: [outer.inputs[0]]
                .into_iter()
                .chain(maps.values[between].iter().copied())
                .collect(),
            outer,
        })
    }

    pub(crate) fn cut(&self, machine: Machine) -> Cut {
        Cut::rows(self.outer.output.height, machine.threads, FEWEST_ROWS)
    }

    /// Values of scratch that a job needs: the rows that every convolution keeps, and the pixels of one row between its
    /// depthwise and its pointwise half.
    pub(crate) fn scratch(&self) -> usize {
        let kept: usize = self.maps[1..].iter().map(|map| WINDOW * map.row()).sum();
        kept + self.working()
    }

    fn working(&self) -> usize {
        let rows = self.maps.iter().map(|map| SeparableOp::scratch_of(map, map.width));
        rows.max().unwrap_or(0)
    }

    /// Does one job.
    ///
    /// # Safety
    ///
    /// As [`Op::run`](crate::ops::Op::run).
    pub(crate) unsafe fn run(&self, network: &Operations, job: CascadeJob<'_>) {
        let CascadeJob {
            pictures,
            index,
            machine,
            scratch,
        } = job;
        let (rows, _) = self.cut(machine).job(index, self.outer.output.height, 1);
        let (working, mut kept) = scratch[..self.scratch()].split_at_mut(self.working());
        let steps = &network.steps[self.steps.clone()];
        let [convolutions @ .., Step { op: end, .. }] = steps else {
            unreachable!("`starting_at` takes several steps");
        };

        let height = self.outer.inputs[0].height;
        let mut links: Vec<Link> = Vec::with_capacity(convolutions.len());
        let mut input = Rows::all(pictures.input(), &self.outer.inputs[0]);
        for (step, maps) in convolutions.iter().zip(self.maps.windows(2)) {
            let AnyOp::Separable(separable) = &step.op else {
                unreachable!("`starting_at` takes separable convolutions before the last step");
            };
            let (mine, others) = kept.split_at_mut(WINDOW * maps[1].row());
            kept = others;
            let output = mine.as_mut_ptr();
            links.push(Link {
                separable,
                input,
                map: maps[0],
                output,
                row: maps[1].row(),
                next: 0,
            });
            input = Rows::ring(output, &maps[1], WINDOW);
        }
        let input_map = &self.maps[self.maps.len() - 1];
        let window = match end {
            AnyOp::MaxPool(pool) => &pool.window,
            AnyOp::Depthwise(depthwise) => depthwise.window(),
            _ => unreachable!("`starting_at` ends with a pooling or a depthwise convolution"),
        };
        let sides = window.checked_sides(input_map);
        // The first rows that the job needs.
        let mut first = sides[0].span(rows.start).start;
        for link in links.iter_mut().rev() {
            link.next = first;
            first = first.saturating_sub(1);
        }
        let at = WindowRows {
            isa: network.isa,
            sides: &sides,
            input,
            input_map,
            second: pictures.second().zip(self.outer.second()),
            output: pictures.output,
            output_map: &self.outer.output,
        };
        for y in rows {
            // SAFETY: the caller guarantees the pictures; the rows that the last step looks at were computed last.
            unsafe {
                advance(network.isa, &mut links, sides[0].span(y).end, height, working);
                match end {
                    AnyOp::MaxPool(pool) => pool.rows(&at, y..y + 1, Prefetch::NONE),
                    AnyOp::Depthwise(depthwise) => depthwise.row(&at, y),
                    _ => unreachable!("the window is that of a pooling or a depthwise convolution"),
                }
            }
        }
    }
}

/// The maps of a network for a size of picture, and the readers of its values.
pub(crate) struct PlanMaps<'a> {
    pub pictures: &'a [Map],
    pub values: &'a [Map],
    pub readers: &'a [usize],
}

impl PlanMaps<'_> {
    pub(crate) fn of(&self, id: MapId) -> Map {
        match id {
            MapId::Picture(picture) => self.pictures[picture],
            MapId::Value(value) => self.values[value],
        }
    }
}

/// One job of a cascade.
pub(crate) struct CascadeJob<'a> {
    pub pictures: Pictures<'a>,
    pub index: usize,
    pub machine: Machine,
    pub scratch: &'a mut [f32],
}

/// A convolution of a cascade at work.
struct Link<'a> {
    separable: &'a SeparableOp,
    input: Rows,
    map: Map,
    /// The ring of its last rows, `row` values each.
    output: *mut f32,
    row: usize,
    /// The row that it computes next.
    next: usize,
}

/// Computes the last link's rows before `end`, and the rows of the earlier links that these rows read.
///
/// # Safety
///
/// The rows that the first link reads must be readable, and no two links may share a ring.
unsafe fn advance(isa: Isa, links: &mut [Link], end: usize, height: usize, working: &mut [f32]) {
    let last = links.len() - 1;
    while links[last].next < end {
        // The last link whose inputs are complete: the row above, the row itself and the row below.
        let mut index = last;
        while index > 0 && links[index - 1].next < height.min(links[index].next + 2) {
            index -= 1;
        }
        let link = &mut links[index];
        let (map, y) = (&link.map, link.next);
        let prefetch = match index {
            // The row that the next call reads and this one does not.
            0 => Prefetch {
                from: link.input.at((y + 2).min(height - 1)),
                len: map.row(),
            },
            _ => Prefetch::NONE,
        };
        // SAFETY: the rows are complete, by the order of work; row `y` of the ring overwrites a row that no link reads
        // any more.
        unsafe {
            let part = SeparablePart {
                isa,
                strassen: None,
                input: link.input,
                map,
                pixels: y * map.width..(y + 1) * map.width,
                panels: 0..link.separable.pointwise.panels(),
                residual: None,
                output: link.output.add(y % WINDOW * link.row),
                prefetch,
            };
            link.separable.convolve(part, working);
        }
        link.next += 1;
    }
}
