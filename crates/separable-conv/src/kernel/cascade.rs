//! Separable convolutions and the pooling after them, worked through together, a row at a time.
//!
//! Where maps are large and channels few, a layer by itself waits for memory: block 2 of Xception writes two maps of 11 MB
//! and reads them again. Here every layer keeps the last three rows of its output, in the second-level cache, which is all
//! that the next one looks at. Only the block's input and what the pooling gives are maps in memory.

use core::ops::Range;

use super::isa::Isa;
use super::layer::{Cut, Layer, Maps};
use super::map::{Map, Rows};
use super::matmul::Soon;
use super::network::{Network, Step};
use super::work::{Pictures, Separable, pool_rows};

/// Rows that a separable convolution, and a pooling, looks at.
const WINDOW: usize = 3;

/// Rows of the pooling's output that a job has at least: each computes a few rows that its neighbour computes as well, which
/// is also why no thread has more than one.
const FEWEST_ROWS: usize = 8;

/// Steps of a network that are worked through together: separable convolutions without dilation and residual, then a
/// pooling.
#[derive(Clone, Debug)]
pub(crate) struct Cascade {
    /// The steps' numbers.
    pub steps: Range<usize>,
    /// What the convolutions read, one after the other; and what the last one gives.
    maps: Vec<Map>,
    /// The first convolution's input, the pooling's projected residual, and its output.
    outer: Maps,
}

impl Cascade {
    /// The cascade that begins with step `first`, if one does and it is worth it: its weights stay in the cache, nobody else
    /// reads what lies between, and there are rows enough for all threads. `readers` are those of every value.
    pub(crate) fn starting_at(
        network: &Network,
        first: usize,
        maps: &[Map],
        readers: &[usize],
        threads: usize,
    ) -> Option<Self> {
        let steps = network.steps();
        let mut last = first;
        loop {
            let step = steps.get(last)?;
            // Step `n` gives value `n + 1`.
            if last > first && (step.input != last || readers[last] != 1) {
                return None;
            }
            match &step.layer {
                Layer::Separable {
                    depthwise, pointwise, ..
                } if step.residual.is_none() && depthwise.dilation() == 1 && pointwise.stays() => last += 1,
                Layer::Pool { pool, .. } if last > first && pool.dilation == 1 => break,
                _ => return None,
            }
        }
        let between = first + 1..last + 1;
        let outer = Maps {
            input: maps[steps[first].input],
            residual: steps[last].residual.map(|value| maps[value]),
            output: maps[last + 1],
        };
        let read_within = steps[last].residual.is_some_and(|value| between.contains(&value));
        (!read_within && outer.output.height >= threads * FEWEST_ROWS).then(|| Self {
            steps: first..last + 1,
            maps: [outer.input].into_iter().chain(maps[between].iter().copied()).collect(),
            outer,
        })
    }

    fn cut(&self, threads: usize) -> Cut {
        Cut::rows(self.outer.output.height, threads, FEWEST_ROWS)
    }

    pub(crate) fn jobs(&self, threads: usize) -> usize {
        self.cut(threads).jobs()
    }

    /// Values of scratch that a job needs: the rows that every convolution keeps, and one row on its way through.
    pub(crate) fn scratch(&self) -> usize {
        let kept: usize = self.maps[1..].iter().map(|map| WINDOW * map.row()).sum();
        kept + self.working()
    }

    fn working(&self) -> usize {
        let rows = self.maps.iter().map(|map| Separable::scratch(map, map.width));
        rows.max().unwrap_or(0)
    }

    /// Does one job.
    ///
    /// # Safety
    ///
    /// As [`Layer::run`].
    pub(crate) unsafe fn run(
        &self,
        network: &Network,
        pictures: Pictures,
        job: usize,
        threads: usize,
        scratch: &mut [f32],
    ) {
        let (rows, _) = self.cut(threads).job(job, self.outer.output.height, 1);
        let (working, mut kept) = scratch[..self.scratch()].split_at_mut(self.working());
        let steps = &network.steps()[self.steps.clone()];
        let [convolutions @ .., Step { layer, .. }] = steps else {
            unreachable!("`starting_at` has found some");
        };
        let Layer::Pool { pool, projection } = layer else {
            unreachable!("`starting_at` ends with a pooling");
        };

        let height = self.outer.input.height;
        let mut stages: Vec<Stage> = Vec::with_capacity(convolutions.len());
        let mut input = Rows::all(pictures.input, &self.outer.input);
        for (step, maps) in convolutions.iter().zip(self.maps.windows(2)) {
            let Layer::Separable {
                depthwise,
                pointwise,
                relu,
                ..
            } = &step.layer
            else {
                unreachable!("`starting_at` takes separable convolutions before it");
            };
            let (mine, others) = kept.split_at_mut(WINDOW * maps[1].row());
            kept = others;
            let output = mine.as_mut_ptr();
            stages.push(Stage {
                separable: Separable {
                    depthwise,
                    pointwise,
                    strassen: None,
                    relu: *relu,
                },
                input,
                map: maps[0],
                output,
                row: maps[1].row(),
                next: 0,
            });
            input = Rows::ring(output, &maps[1], WINDOW);
        }
        // The first rows that are needed at all.
        let mut first = pool.rows(rows.start, height).start;
        for stage in stages.iter_mut().rev() {
            stage.next = first;
            first = first.saturating_sub(1);
        }
        let maps = Maps {
            input: self.maps[self.maps.len() - 1],
            ..self.outer
        };
        for y in rows {
            // SAFETY: the caller vouches for the pictures; the rows that the pooling looks at are those computed last.
            unsafe {
                advance(network.isa(), &mut stages, pool.rows(y, height).end, height, working);
                pool_rows(
                    network.isa(),
                    pool,
                    projection.as_ref(),
                    input,
                    &maps,
                    pictures,
                    y..y + 1,
                    Soon::NOTHING,
                );
            }
        }
    }
}

/// A convolution of a cascade at work.
struct Stage<'a> {
    separable: Separable<'a>,
    input: Rows,
    map: Map,
    /// The ring of its last rows, `row` values each.
    output: *mut f32,
    row: usize,
    /// The row that it computes next.
    next: usize,
}

/// Has the last of `stages` compute its rows before `end`, and those before it what that takes.
///
/// # Safety
///
/// The rows that the first stage reads must be readable, and each stage's ring its own.
unsafe fn advance(isa: Isa, stages: &mut [Stage], end: usize, height: usize, working: &mut [f32]) {
    let last = stages.len() - 1;
    while stages[last].next < end {
        // The last stage whose inputs are there: of a row, the one above, the row itself and the one below.
        let mut index = last;
        while index > 0 && stages[index - 1].next < height.min(stages[index].next + 2) {
            index -= 1;
        }
        let stage = &mut stages[index];
        let (map, y) = (&stage.map, stage.next);
        let soon = match index {
            // The row that the next one needs beside those that this one has read.
            0 => Soon {
                from: stage.input.at((y + 2).min(height - 1)),
                len: map.row(),
            },
            _ => Soon::NOTHING,
        };
        let pixels = y * map.width..(y + 1) * map.width;
        let panels = 0..stage.separable.pointwise.panels();
        // SAFETY: the rows are there, by the order of work; a ring has room for row `y` where no row lies that is still needed.
        unsafe {
            let output = stage.output.add(y % WINDOW * stage.row);
            stage
                .separable
                .run(isa, stage.input, map, pixels, panels, working, None, output, soon);
        }
        stage.next += 1;
    }
}
