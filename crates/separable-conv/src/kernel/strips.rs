//! Two separable convolutions and a pooling, a few rows at a time.

use super::isa::Isa;
use super::layer::{Layer, Maps, Pictures, PoolJob, Separable, SeparableJob, share};
use super::map::Map;
use super::packed::PackedMatrix;
use super::pool::MaxPool;

/// Bytes of the two maps in between from which on they are run in strips. Smaller ones stay in a cache anyway, and the rows
/// that neighbouring strips both compute cost more.
const LEAST_BYTES: usize = 8 << 20;

/// Rows of the output that a strip has at least, for the same reason.
const LEAST_ROWS: usize = 12;

/// Pixels of a row from which on a row at a time is enough: weights pass by once a row.
const LEAST_WIDTH: usize = 48;

/// Two separable convolutions and a pooling whose maps in between are never held as a whole: a strip keeps the rows that the
/// next layer looks at, and each new one takes the place of the oldest.
#[derive(Clone, Copy)]
pub(crate) struct Strips<'a> {
    first: Separable<'a>,
    second: Separable<'a>,
    pool: MaxPool,
    projection: Option<&'a (PackedMatrix, usize)>,
}

impl<'a> Strips<'a> {
    /// `None` for other layers.
    pub(crate) fn new(layers: [&'a Layer; 3]) -> Option<Self> {
        let separable = |layer: &'a Layer| match layer {
            Layer::Separable {
                depthwise,
                pointwise,
                relu,
            } => Some(Separable {
                depthwise,
                pointwise,
                relu: *relu,
            }),
            _ => None,
        };
        let [first, second, Layer::Pool { pool, projection }] = layers else {
            return None;
        };
        Some(Self {
            first: separable(first)?,
            second: separable(second)?,
            pool: *pool,
            projection: projection.as_ref(),
        })
    }

    /// Whether they are faster in strips, by the maps in between and the output.
    pub(crate) fn pay(between: [Map; 2], output: Map, threads: usize) -> bool {
        let bytes = between.iter().map(Map::len).sum::<usize>() * size_of::<f32>();
        bytes >= LEAST_BYTES && between[0].width >= LEAST_WIDTH && output.height >= threads * LEAST_ROWS
    }

    /// A strip for each thread.
    pub(crate) fn jobs(maps: &Maps, threads: usize) -> usize {
        threads.min(maps.output.height)
    }

    /// The rows of the two maps in between that are kept.
    fn between(&self, input: &Map) -> [Map; 2] {
        let map = |channels| Map::new(input.height, input.width, channels);
        [
            map(self.first.pointwise.outputs()).keeping(2 * self.second.depthwise.dilation() + 1),
            map(self.second.pointwise.outputs()).keeping(2 * self.pool.dilation + 1),
        ]
    }

    /// Values of scratch that a job needs.
    pub(crate) fn scratch(&self, maps: &Maps) -> usize {
        let [first, second] = self.between(&maps.input);
        first.len() + second.len() + Self::panel(&maps.input, &first)
    }

    /// Values of scratch for a row of either convolution.
    fn panel(input: &Map, first: &Map) -> usize {
        Separable::scratch(input, input.width).max(Separable::scratch(first, first.width))
    }

    /// Does one job.
    ///
    /// # Safety
    ///
    /// As [`Layer::run`]; the residual is the pooling's.
    pub(crate) unsafe fn run(
        self,
        isa: Isa,
        maps: &Maps,
        pictures: Pictures,
        job: usize,
        threads: usize,
        scratch: &mut [f32],
    ) {
        let height = maps.input.height;
        let between = self.between(&maps.input);
        let (first_rows, rest) = scratch.split_at_mut(between[0].len());
        let (second_rows, panel) = rest.split_at_mut(between[1].len());
        let (first_rows, second_rows) = (first_rows.as_mut_ptr(), second_rows.as_mut_ptr());
        let pooled = Maps {
            input: between[1],
            ..*maps
        };
        let mut row_of = |separable: Separable, input: *const f32, map: &Map, y: usize, output: *mut f32| {
            isa.run(SeparableJob {
                separable,
                input,
                map,
                pixels: y * map.width..(y + 1) * map.width,
                panels: 0..separable.pointwise.panels(),
                scratch: &mut *panel,
                residual: None,
                output,
            });
        };

        let reach = self.second.depthwise.dilation();
        let rows = share(maps.output.height, job, Self::jobs(maps, threads));
        let mut next_second = self.pool.taps(rows.start, height).next().unwrap_or(0);
        let mut next_first = next_second.saturating_sub(reach);
        for row in rows {
            let end = self.pool.taps(row, height).last().map_or(0, |last| last + 1);
            for y in next_second..end {
                // What the second convolution looks at, computed just before, takes the places of rows that it no longer
                // looks at; so with the rows of the pooling. The caller vouches for the pictures.
                let needed = (y + reach + 1).min(height);
                for y in next_first..needed {
                    // SAFETY: the rows that are kept have a place for every row.
                    let to = unsafe { first_rows.add(between[0].offset(y)) };
                    row_of(self.first, pictures.input, &maps.input, y, to);
                }
                next_first = next_first.max(needed);
                // SAFETY: as above.
                let to = unsafe { second_rows.add(between[1].offset(y)) };
                row_of(self.second, first_rows, &between[0], y, to);
            }
            next_second = next_second.max(end);
            isa.run(PoolJob {
                pool: self.pool,
                projection: self.projection,
                maps: &pooled,
                pictures: Pictures {
                    input: second_rows,
                    ..pictures
                },
                rows: row..row + 1,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Isa, MaxPool, Network, SeparableRelu, Value};

    /// Numbers of both signs that never repeat in step with a shape.
    fn numbers(count: usize) -> Vec<f32> {
        (0..count)
            .map(|index| ((index * 7919 + index / 13 * 31) % 1009) as f32 / 504.5 - 1.0)
            .collect()
    }

    /// Two separable convolutions, a pooling and its projection, between other layers.
    fn network(isa: Isa, [channels, wide]: [usize; 2], dilation: usize, pool: MaxPool) -> (Network, Value) {
        let mut network = Network::new(3, isa);
        let relu = |before, between| SeparableRelu {
            before,
            between,
            after: false,
        };
        let bias = numbers(wide);
        let input = network.convolution(network.input(), &numbers(3 * channels), None, channels, 1, 1, true);
        let x = network.separable(
            input,
            &numbers(9 * channels),
            dilation,
            &numbers(channels * wide),
            Some(&bias),
            wide,
            None,
            relu(true, true),
        );
        let x = network.separable(
            x,
            &numbers(9 * wide),
            dilation,
            &numbers(wide * wide),
            None,
            wide,
            None,
            relu(true, false),
        );
        let shortcut = numbers(channels * wide);
        let x = network.max_pool(x, pool, Some((input, &shortcut, None)));
        let x = network.separable(
            x,
            &numbers(9 * wide),
            1,
            &numbers(wide * 5),
            None,
            5,
            None,
            SeparableRelu::default(),
        );
        (network, x)
    }

    #[test]
    fn strips_give_to_the_last_bit_what_the_layers_give_one_after_the_other() {
        let sizes: &[[usize; 2]] = if cfg!(miri) {
            &[[5, 4]]
        } else {
            &[[1, 1], [1, 9], [2, 3], [5, 4], [23, 17], [40, 61]]
        };
        let sets = if cfg!(miri) {
            vec![Isa::portable()]
        } else {
            Isa::available()
        };
        for isa in sets {
            for (index, &[height, width]) in sizes.iter().enumerate() {
                for threads in [1, 3] {
                    let pool = MaxPool {
                        stride: 1 + index % 3,
                        dilation: 1 + index % 2,
                        symmetric: index % 2 == 0,
                    };
                    let dilation = 1 + (index + threads) % 3;
                    let (mut network, value) = network(isa, [5 + 13 * index, 9 + 11 * index], dilation, pool);
                    network.always_strips = true;
                    let picture = numbers(2 * 3 * height * width);
                    let shape = [2, height, width];
                    let count = network.size(value, [height, width]).iter().product::<usize>() * 2 * 5;
                    let [mut together, mut apart] = [0, 1].map(|_| vec![f32::NAN; count]);
                    let workers = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    workers.install(|| {
                        network.run(&picture, shape, &mut [(value, &mut together)]);
                        network.profile(&picture, shape, &mut [(value, &mut apart)]);
                    });
                    assert_eq!(together, apart, "{}, {height} x {width}, {threads} threads", isa.name());
                }
            }
        }
    }

    /// A map in between that somebody else wants is made as a whole.
    #[test]
    fn a_wanted_map_is_not_left_out() {
        let pool = MaxPool {
            stride: 2,
            dilation: 1,
            symmetric: false,
        };
        let mut network = Network::new(3, Isa::detect());
        network.always_strips = true;
        let relu = SeparableRelu::default();
        let input = network.convolution(network.input(), &numbers(9), None, 3, 1, 1, false);
        let first = network.separable(input, &numbers(27), 1, &numbers(12), None, 4, None, relu);
        let second = network.separable(first, &numbers(36), 1, &numbers(16), None, 4, None, relu);
        let pooled = network.max_pool(second, pool, None);
        let picture = numbers(3 * 49);
        let run = |values: &[Value]| -> Vec<Vec<f32>> {
            let mut memory: Vec<Vec<f32>> = values
                .iter()
                .map(|&value| vec![f32::NAN; 4 * network.size(value, [7, 7]).iter().product::<usize>()])
                .collect();
            let mut outputs: Vec<(Value, &mut [f32])> = values
                .iter()
                .copied()
                .zip(memory.iter_mut().map(Vec::as_mut_slice))
                .collect();
            network.run(&picture, [1, 7, 7], &mut outputs);
            memory
        };
        let alone = run(&[pooled]);
        for wanted in [first, second] {
            let both = run(&[wanted, pooled]);
            assert!(both[0].iter().all(|value| value.is_finite()));
            assert_eq!(both[1], alone[0]);
        }
    }
}
