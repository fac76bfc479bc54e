//! Definitions in f64, random numbers, and the comparison of a network with a definition.

use kernels::{Isa, Network, Value};

use super::{Build, MaxPool, new_network};

/// Random shapes for each test; Miri is a few thousand times slower.
pub const ROUNDS: u64 = if cfg!(miri) { 2 } else { 60 };

/// xorshift64*: the same numbers on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// `1..=most`, 1 and `most` more often than the others.
    pub fn size(&mut self, most: usize) -> usize {
        let most = if cfg!(miri) { most.min(9) } else { most };
        match self.next() % 6 {
            0 => 1,
            1 => most,
            _ => 1 + self.next() as usize % most,
        }
    }

    pub fn yes(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    /// Three times of four.
    pub fn often(&mut self) -> bool {
        !self.next().is_multiple_of(4)
    }

    /// Ordinary numbers, with an occasional NaN, infinity or denormal.
    pub fn odd_values(&mut self, count: usize) -> Vec<f32> {
        const ODD: [f32; 6] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -1e-45, -0.0];
        let mut values = self.values(count);
        if self.next().is_multiple_of(3) {
            let place = self.next() as usize % count;
            values[place] = ODD[self.next() as usize % ODD.len()];
        }
        values
    }

    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count)
            .map(|_| self.next() as f32 / (1_u64 << 47) as f32 - 1.0)
            .collect()
    }
}

/// `[channels, height, width]`.
#[derive(Clone)]
pub struct Map {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub values: Vec<f64>,
}

impl Map {
    pub fn filled(channels: usize, height: usize, width: usize, value: impl Fn(usize, usize, usize) -> f64) -> Self {
        let mut values = Vec::new();
        for channel in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    values.push(value(channel, y, x));
                }
            }
        }
        Self {
            channels,
            height,
            width,
            values,
        }
    }

    pub fn at(&self, channel: usize, y: usize, x: usize) -> f64 {
        self.values[(channel * self.height + y) * self.width + x]
    }

    /// `None` outside.
    pub fn padded(&self, channel: usize, y: Option<usize>, x: Option<usize>) -> Option<f64> {
        let (y, x) = (y?, x?);
        (y < self.height && x < self.width).then(|| self.at(channel, y, x))
    }

    pub fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            values: self.values.iter().map(|&value| change(value)).collect(),
            ..self.clone()
        }
    }

    pub fn plus(&self, other: &Self) -> Self {
        assert_eq!(
            (self.channels, self.height, self.width),
            (other.channels, other.height, other.width)
        );
        Self {
            values: self.values.iter().zip(&other.values).map(|(a, b)| a + b).collect(),
            ..self.clone()
        }
    }

    /// An ordinary convolution without padding.
    pub fn convolve(
        &self,
        weights: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        kernel: usize,
        stride: usize,
    ) -> Self {
        let side = |size: usize| (size - kernel) / stride + 1;
        Self::filled(outputs, side(self.height), side(self.width), |output, y, x| {
            let mut sum = bias.map_or(0.0, |bias| f64::from(bias[output]));
            for channel in 0..self.channels {
                for row in 0..kernel {
                    for column in 0..kernel {
                        let weight = weights[((output * self.channels + channel) * kernel + row) * kernel + column];
                        sum += f64::from(weight) * self.at(channel, y * stride + row, x * stride + column);
                    }
                }
            }
            sum
        })
    }

    pub fn identity(&self) -> Self {
        self.convolve(&identity_weights(self.channels), None, self.channels, 1, 1)
    }

    pub fn depthwise(&self, weights: &[f32], dilation: usize) -> Self {
        Self::filled(self.channels, self.height, self.width, |channel, y, x| {
            let tap = |tap: usize| {
                let place = |at: usize, tap: usize| (at + tap * dilation).checked_sub(dilation);
                let value = self.padded(channel, place(y, tap / 3), place(x, tap % 3));
                value.map_or(0.0, |value| value * f64::from(weights[channel * 9 + tap]))
            };
            (0..9).map(tap).sum()
        })
    }

    pub fn pool(&self, pool: MaxPool) -> Self {
        let MaxPool {
            stride,
            dilation,
            symmetric,
        } = pool;
        let reach = 2 * dilation + 1;
        let side = |size: usize| {
            if symmetric {
                ((size + 2 * dilation - reach) / stride + 1, dilation)
            } else {
                let outputs = size.div_ceil(stride);
                (outputs, ((outputs - 1) * stride + reach).saturating_sub(size) / 2)
            }
        };
        let ((height, above), (width, left)) = (side(self.height), side(self.width));
        Self::filled(self.channels, height, width, |channel, y, x| {
            let taps = (0..9).filter_map(|tap| {
                let place = |at: usize, tap: usize, before: usize| (at * stride + tap * dilation).checked_sub(before);
                self.padded(channel, place(y, tap / 3, above), place(x, tap % 3, left))
            });
            taps.fold(f64::NEG_INFINITY, larger)
        })
    }
}

pub fn relu(value: f64) -> f64 {
    if value < 0.0 { 0.0 } else { value }
}

/// The larger value; NaN is larger than anything, as in Burn.
pub fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// The kernels' ReLU if `yes`, otherwise the map unchanged.
pub fn relu_if(map: Map, yes: bool) -> Map {
    if yes { map.map(relu) } else { map }
}

/// Runs `network` twice, so that memory is reused, and compares with `expected` for each picture.
pub fn compare(what: &str, network: &Network, value: Value, pictures: &[Map], expected: &[Map], threads: usize) {
    let input: Vec<f32> = pictures
        .iter()
        .flat_map(|map| map.values.iter().map(|&value| value as f32))
        .collect();
    let shape = [pictures.len(), pictures[0].height, pictures[0].width];
    let expected_values: Vec<f64> = expected.iter().flat_map(|map| map.values.iter().copied()).collect();
    assert_eq!(
        network.side(value, [shape[1], shape[2]]),
        [expected[0].height, expected[0].width],
        "{what}"
    );

    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for run in 0..2 {
        let mut output = vec![f32::NAN; expected_values.len()];
        pool.install(|| network.go(&input, shape, &mut [(value, &mut output)]));
        let what = format!("{what}, {}, {threads} threads, run {run}", network.isa().name());
        compare_values(&what, &output, &expected_values);
    }
}

/// The same for one picture.
pub fn compare_one(what: &str, network: &Network, value: Value, picture: &Map, expected: &Map, threads: usize) {
    let [picture, expected] = [picture, expected].map(std::slice::from_ref);
    compare(what, network, value, picture, expected, threads);
}

pub fn compare_values(what: &str, output: &[f32], expected: &[f64]) {
    let scale = expected
        .iter()
        .filter(|value| value.is_finite())
        .fold(1.0_f64, |a, b| a.max(b.abs()));
    assert_eq!(output.len(), expected.len(), "{what}");
    for (index, (&ours, &theirs)) in output.iter().zip(expected).enumerate() {
        let ours = f64::from(ours);
        let same = (ours.is_nan() && theirs.is_nan())
            || ours.total_cmp(&theirs).is_eq()
            || (ours - theirs).abs() <= 2e-6 * scale;
        assert!(same, "{what}: value {index} is {ours}, not {theirs}");
    }
}

/// A random picture and a network whose first layer is a 1 x 1 convolution with the identity, so that the next layer
/// reads a feature map. Returns the pictures and the maps that they become.
pub fn start(random: &mut Random, isa: Isa, channels: usize) -> (Network, Value, Vec<Map>, Vec<Map>) {
    let (height, width) = (random.size(23), random.size(23));
    let pictures: Vec<Map> = (0..random.size(3))
        .map(|_| {
            let values = random.odd_values(channels * height * width);
            Map::filled(channels, height, width, |channel, y, x| {
                f64::from(values[(channel * height + y) * width + x])
            })
        })
        .collect();
    let mut network = new_network(channels, isa);
    let value = identity(&mut network, channels);
    // An infinity makes NaN of the other channels: 0 times infinity.
    let maps = pictures.iter().map(Map::identity).collect();
    (network, value, pictures, maps)
}

pub fn identity(network: &mut Network, channels: usize) -> Value {
    network.conv(
        network.input(),
        &identity_weights(channels),
        None,
        channels,
        1,
        1,
        false,
    )
}

pub fn identity_weights(channels: usize) -> Vec<f32> {
    let mut weights = vec![0.0; channels * channels];
    weights
        .iter_mut()
        .step_by(channels + 1)
        .for_each(|weight| *weight = 1.0);
    weights
}

pub fn each_set(test: impl Fn(Isa, &mut Random)) {
    for isa in Isa::available() {
        for round in 0..ROUNDS {
            test(isa, &mut Random::new(round + 1));
        }
    }
}
