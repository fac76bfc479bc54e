//! Every distinct layer of Xception at 299 x 299: fused, and separable convolutions also step by step.
//!
//! ```sh
//! cargo bench --manifest-path benches/Cargo.toml                             # all cores
//! RAYON_NUM_THREADS=1 cargo bench --manifest-path benches/Cargo.toml -- 19x19
//! ```
//!
//! Criterion's `elem/s` are floating-point operations per second; a multiply-add counts as two. The table at the end
//! gives each layer's share of the speed of a loop that only multiplies and adds in registers, which is measured first.
//! A layer runs on a feature map that another layer has just written, as in the network.

mod plain;

use std::cell::RefCell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use kernels::{
    Activation, Convolution, Dense, Isa, MaxPool, Network, Padding, Projection, Separable as SeparableLayer, Value,
    peak,
};

use plain::Plain;

/// Height and width of the input, channels in and out, and the operations around the convolution.
struct Separable {
    name: &'static str,
    size: usize,
    channels: [usize; 2],
    relu_before: bool,
    relu_after: bool,
    residual: bool,
}

/// arXiv 1610.02357, figure 5. Block 13's first layer is one of the middle's, and the middle's first two lack the
/// residual.
const SEPARABLE: [Separable; 10] = [
    separable("block2_sepconv1", 147, [64, 128], false, true),
    separable("block2_sepconv2", 147, [128, 128], false, false),
    separable("block3_sepconv1", 74, [128, 256], true, true),
    separable("block3_sepconv2", 74, [256, 256], false, false),
    separable("block4_sepconv1", 37, [256, 728], true, true),
    separable("block4_sepconv2", 37, [728, 728], false, false),
    Separable {
        residual: true,
        ..separable("block5_sepconv3", 19, [728, 728], false, false)
    },
    separable("block13_sepconv2", 19, [728, 1024], false, false),
    separable("block14_sepconv1", 10, [1024, 1536], false, true),
    separable("block14_sepconv2", 10, [1536, 2048], false, true),
];

/// Blocks that end with a pooling and have a convolution in the shortcut: size and channels of the input, channels of
/// the pooled map.
const POOLS: [(&str, usize, [usize; 2]); 4] = [
    ("block2_pool", 147, [64, 128]),
    ("block3_pool", 74, [128, 256]),
    ("block4_pool", 37, [256, 728]),
    ("block13_pool", 19, [728, 1024]),
];

const fn separable(
    name: &'static str,
    size: usize,
    channels: [usize; 2],
    relu_before: bool,
    relu_after: bool,
) -> Separable {
    Separable {
        name,
        size,
        channels,
        relu_before,
        relu_after,
        residual: false,
    }
}

/// All layers of this file fit together.
const FITS: &str = "sizes that fit";

/// The best time of a layer, fused and step by step.
struct Line {
    name: String,
    flops: f64,
    fused: Duration,
    plain: Option<Duration>,
}

fn main() {
    let isa = Isa::detect();
    let threads = rayon::current_num_threads();
    let limit: f64 = rayon::broadcast(|_| peak(isa)).iter().sum();
    println!("{}, {threads} threads, limit {:.1} GFLOP/s", isa.name(), limit / 1e9);

    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut lines = vec![picture(&mut criterion, isa), convolution(&mut criterion, isa)];
    lines.extend(
        SEPARABLE
            .iter()
            .map(|layer| separable_convolution(&mut criterion, layer, isa)),
    );
    lines.extend(POOLS.iter().map(|pool| max_pool(&mut criterion, *pool, isa)));
    lines.push(classifier(&mut criterion, isa));
    criterion.final_summary();

    println!(
        "\n{:<34}{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "layer, the best sample", "GFLOP", "fused ms", "GFLOP/s", "of limit", "plain ms", "by fused"
    );
    // Filters and `--test` skip layers.
    for line in lines.iter().filter(|line| line.fused != Duration::MAX) {
        let seconds = line.fused.as_secs_f64();
        let plain = line.plain.map(|time| time.as_secs_f64());
        println!(
            "{:<34}{:>8.3}{:>10.3}{:>10.1}{:>8.1} %{:>10}{:>10}",
            line.name,
            line.flops / 1e9,
            1e3 * seconds,
            line.flops / seconds / 1e9,
            100.0 * line.flops / seconds / limit,
            plain.map_or_else(|| "-".to_owned(), |plain| format!("{:.3}", 1e3 * plain)),
            plain.map_or_else(|| "-".to_owned(), |plain| format!("{:.2}", plain / seconds)),
        );
    }
}

/// Numbers of both signs up to `most`, the same on every machine.
fn values(count: usize, most: f32) -> Vec<f32> {
    (0..count)
        .map(|index| most * (((index * 37 + index / 11 * 13) % 101) as f32 / 50.0 - 1.0))
        .collect()
}

/// Weights that keep a sum of `count` products near 1.
fn weights(count: usize, products: usize) -> Vec<f32> {
    values(count, (3.0 / products as f32).sqrt())
}

/// A network whose last layer is measured, and its picture.
struct Subject {
    network: Network,
    last: Value,
    picture: Vec<f32>,
    size: usize,
}

impl Subject {
    /// A feature map of `channels`, made from a picture of one channel.
    fn maps(channels: usize, size: usize, isa: Isa) -> Self {
        let mut network = Network::new(1, isa).expect(FITS);
        let widen = values(channels, 1.0);
        let last = network
            .convolution(Convolution::new(network.input(), &widen, channels, [1; 2]))
            .expect(FITS);
        Self {
            network,
            last,
            picture: values(size * size, 1.0),
            size,
        }
    }

    fn output(&self, value: Value) -> Vec<f32> {
        let [height, width] = self.network.size(value, [self.size; 2]).expect(FITS);
        let mut output = vec![0.0; self.network.channels(value).expect(FITS) * height * width];
        let shape = [1, self.size, self.size];
        self.network
            .run(&self.picture, shape, &mut [(value, &mut output)])
            .expect(FITS);
        output
    }

    /// Measures the last layer.
    fn measure(&self, criterion: &mut Criterion, name: &str, plain: Option<&mut dyn FnMut()>) -> Line {
        let [height, width] = self.network.size(self.last, [self.size; 2]).expect(FITS);
        let channels = self.network.channels(self.last).expect(FITS);
        let name = format!("{name} {height}x{width}x{channels}");
        let products = self.network.multiplications([self.size; 2]).expect(FITS);
        let flops = 2 * products.last().copied().unwrap_or(0);

        let mut group = criterion.benchmark_group(&name);
        group.throughput(Throughput::Elements(flops as u64));
        let mut output = vec![0.0; channels * height * width];
        let shape = [1, self.size, self.size];
        let fused = best(&mut group, "fused", &mut || {
            let shares = self
                .network
                .profile(&self.picture, shape, &mut [(self.last, &mut output)])
                .expect(FITS);
            shares.last().copied().unwrap_or_default()
        });
        let plain = plain.map(|plain| {
            best(&mut group, "plain", &mut || {
                let start = Instant::now();
                plain();
                start.elapsed()
            })
        });
        group.finish();
        Line {
            name,
            flops: flops as f64,
            fused,
            plain,
        }
    }
}

/// Criterion's measurement of `run`, which returns its own time; returns the smallest mean of a sample.
fn best(group: &mut BenchmarkGroup<WallTime>, name: &str, run: &mut dyn FnMut() -> Duration) -> Duration {
    let best = RefCell::new(Duration::MAX);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let total: Duration = (0..times).map(|_| run()).sum();
            let mean = total.div_f64(times as f64);
            best.replace_with(|best| mean.min(*best));
            total
        });
    });
    best.into_inner()
}

fn picture(criterion: &mut Criterion, isa: Isa) -> Line {
    let mut network = Network::new(3, isa).expect(FITS);
    let (weights, bias) = (weights(32 * 27, 27), values(32, 0.1));
    let convolution = Convolution {
        bias: Some(&bias),
        stride: [2; 2],
        activation: Activation::Relu,
        ..Convolution::new(network.input(), &weights, 32, [3; 2])
    };
    let last = network.convolution(convolution).expect(FITS);
    let subject = Subject {
        network,
        last,
        picture: values(3 * 299 * 299, 1.0),
        size: 299,
    };
    subject.measure(criterion, "block1_conv1", None)
}

fn convolution(criterion: &mut Criterion, isa: Isa) -> Line {
    let mut subject = Subject::maps(32, 149, isa);
    let (weights, bias) = (weights(64 * 32 * 9, 32 * 9), values(64, 0.1));
    let convolution = Convolution {
        bias: Some(&bias),
        activation: Activation::Relu,
        ..Convolution::new(subject.last, &weights, 64, [3; 2])
    };
    subject.last = subject.network.convolution(convolution).expect(FITS);
    subject.measure(criterion, "block1_conv2", None)
}

fn separable_convolution(criterion: &mut Criterion, layer: &Separable, isa: Isa) -> Line {
    let [channels, outputs] = layer.channels;
    let mut subject = Subject::maps(channels, layer.size, isa);
    let input = subject.last;
    let depthwise = weights(9 * channels, 9);
    let pointwise = weights(outputs * channels, channels);
    let bias = values(outputs, 0.1);
    let relu = |yes| if yes { Activation::Relu } else { Activation::None };
    let separable = SeparableLayer {
        bias: Some(&bias),
        residual: layer.residual.then_some(input),
        before: relu(layer.relu_before),
        after: relu(layer.relu_after),
        ..SeparableLayer::new(input, &depthwise, &pointwise, outputs)
    };
    subject.last = subject.network.separable(separable).expect(FITS);

    let size = [layer.size; 2];
    let relus = [layer.relu_before, layer.relu_after];
    let mut plain = Plain::new(size, &depthwise, &pointwise, &bias, relus);
    let maps = channels_last(&subject.output(input), channels);
    let residual = layer.residual.then_some(&maps[..]);
    plain.run(&maps, residual);
    let expected = channels_last(&subject.output(subject.last), outputs);
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let pairs = plain.output.iter().zip(&expected);
    let difference = pairs.fold(0.0_f32, |largest, (a, b)| largest.max((a - b).abs()));
    assert!(
        difference <= 1e-5 * largest,
        "{}: {difference} of {largest}",
        layer.name
    );

    subject.measure(
        criterion,
        layer.name,
        Some(&mut || {
            plain.run(&maps, residual);
            black_box(&plain.output);
        }),
    )
}

fn max_pool(criterion: &mut Criterion, (name, size, [channels, outputs]): (&str, usize, [usize; 2]), isa: Isa) -> Line {
    let mut subject = Subject::maps(channels, size, isa);
    let input = subject.last;
    let widen = weights(outputs * channels, channels);
    let wide = subject
        .network
        .convolution(Convolution::new(input, &widen, outputs, [1; 2]))
        .expect(FITS);
    let bias = values(outputs, 0.1);
    let pool = MaxPool {
        stride: [2; 2],
        padding: Padding::Same,
        projection: Some(Projection {
            input,
            weights: &widen,
            bias: Some(&bias),
        }),
        ..MaxPool::new(wide, [3; 2])
    };
    subject.last = subject.network.max_pool(pool).expect(FITS);
    subject.measure(criterion, name, None)
}

fn classifier(criterion: &mut Criterion, isa: Isa) -> Line {
    let mut subject = Subject::maps(2048, 1, isa);
    let weights = weights(2048 * 1000, 2048);
    let bias = values(1000, 0.1);
    let dense = Dense {
        bias: Some(&bias),
        ..Dense::new(subject.last, &weights, 1000)
    };
    subject.last = subject.network.dense(dense).expect(FITS);
    subject.measure(criterion, "predictions", None)
}

/// `[channels, pixels]` as `[pixels, channels]`.
fn channels_last(values: &[f32], channels: usize) -> Vec<f32> {
    let pixels = values.len() / channels;
    (0..values.len())
        .map(|index| values[index % channels * pixels + index / channels])
        .collect()
}
