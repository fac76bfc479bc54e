//! Every operation and every option against the definition in f64: odd sizes, maps of one pixel, strides, dilations,
//! paddings, channels that are multiples of nothing, batches, with every instruction set and several numbers of
//! threads.

mod common;

use common::reference::*;
use common::{Build, new_network};
use kernels::{
    Activate, Activation, Add, Affine, AveragePool, Concat, Convolution, ConvolutionShape, Dense, Error, GlobalPool,
    GlobalPoolKind, Isa, MaxPool, Multiply, Network, Padding, Separable, Value,
};

const ACTIVATIONS: [Activation; 11] = [
    Activation::None,
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu(0.2),
    Activation::Elu,
    Activation::Sigmoid,
    Activation::Swish,
    Activation::HardSigmoid,
    Activation::HardSwish,
    Activation::Tanh,
    Activation::Gelu,
];

fn any_activation(random: &mut Random) -> Activation {
    ACTIVATIONS[random.next() as usize % ACTIVATIONS.len()]
}

/// The definition.
fn activate(activation: Activation, x: f64) -> f64 {
    let hard = |x: f64| if x.is_nan() { x } else { (x / 6.0 + 0.5).clamp(0.0, 1.0) };
    match activation {
        Activation::Relu => relu(x),
        Activation::Relu6 => relu(if x > 6.0 { 6.0 } else { x }),
        Activation::LeakyRelu(alpha) => {
            if x < 0.0 {
                f64::from(alpha) * x
            } else {
                x
            }
        }
        Activation::Elu => {
            if x < 0.0 {
                x.exp_m1()
            } else {
                x
            }
        }
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Swish => x / (1.0 + (-x).exp()),
        Activation::HardSigmoid => hard(x),
        Activation::HardSwish => x * hard(x),
        Activation::Tanh => x.tanh(),
        // By its integral: the series and continued fraction of the error function would be a second implementation.
        Activation::Gelu => x / 2.0 * (1.0 + erf(x / 2.0_f64.sqrt())),
        _ => x,
    }
}

/// Simpson's rule on `2 / sqrt(pi) * exp(-t * t)`.
fn erf(x: f64) -> f64 {
    if !x.is_finite() {
        return if x.is_nan() { x } else { x.signum() };
    }
    let (end, steps) = (x.clamp(-6.0, 6.0), 400);
    let step = end / f64::from(steps);
    let value = |index: i32| (-(f64::from(index) * step).powi(2)).exp();
    let inner: f64 = (1..steps)
        .map(|index| value(index) * if index % 2 == 1 { 4.0 } else { 2.0 })
        .sum();
    2.0 / std::f64::consts::PI.sqrt() * step / 3.0 * (value(0) + inner + value(steps))
}

/// The window of an operation, and its places along the sides of a map.
#[derive(Clone, Copy, Debug)]
struct Window {
    taps: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
}

impl Window {
    fn any(random: &mut Random, most: usize) -> Self {
        // Sometimes wider than the map, so that windows lie in the padding alone.
        let wide = random.next().is_multiple_of(8);
        let pads = |random: &mut Random, taps: usize| random.next() as usize % if wide { 7 } else { taps.min(4) };
        let taps = [random.size(most), random.size(most)];
        let padding = match random.next() % 3 {
            0 => Padding::Same,
            1 => Padding::symmetric(taps[0].min(taps[1]) / 2),
            _ => Padding::Explicit {
                top: pads(random, taps[0]),
                left: pads(random, taps[1]),
                bottom: pads(random, taps[0]),
                right: pads(random, taps[1]),
            },
        };
        Self {
            taps,
            stride: [random.size(3), random.size(3)],
            dilation: if random.next().is_multiple_of(3) {
                [random.size(3), random.size(3)]
            } else {
                [1; 2]
            },
            padding,
        }
    }

    /// Outputs along an axis and the padding before; `None` if the window does not fit.
    fn side(&self, axis: usize, size: usize) -> Option<(usize, usize)> {
        let extent = (self.taps[axis] - 1) * self.dilation[axis] + 1;
        let stride = self.stride[axis];
        match self.padding {
            Padding::Same => {
                let outputs = size.div_ceil(stride);
                Some((outputs, ((outputs - 1) * stride + extent).saturating_sub(size) / 2))
            }
            Padding::Explicit {
                top,
                left,
                bottom,
                right,
            } => {
                let (before, after) = [(top, bottom), (left, right)][axis];
                let padded = size + before + after;
                (padded >= extent).then(|| ((padded - extent) / stride + 1, before))
            }
        }
    }

    fn fits(&self, map: &Map) -> bool {
        self.side(0, map.height).is_some() && self.side(1, map.width).is_some()
    }

    /// Every output from the taps of its window, those outside of the map included as `None`.
    fn slide(
        &self,
        map: &Map,
        outputs: usize,
        value: impl Fn(usize, &dyn Fn(usize, usize, usize) -> Option<f64>) -> f64,
    ) -> Map {
        let (height, above) = self.side(0, map.height).unwrap();
        let (width, left) = self.side(1, map.width).unwrap();
        Map::filled(outputs, height, width, |output, y, x| {
            let tap = |channel: usize, row: usize, column: usize| {
                let y = (y * self.stride[0] + row * self.dilation[0]).checked_sub(above);
                let x = (x * self.stride[1] + column * self.dilation[1]).checked_sub(left);
                map.padded(channel, y, x)
            };
            value(output, &tap)
        })
    }

    fn taps(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let [height, width] = self.taps;
        (0..height).flat_map(move |row| (0..width).map(move |column| (row, column)))
    }
}

/// A convolution by its definition: padding contributes nothing.
fn convolve(map: &Map, window: Window, weights: &[f32], bias: Option<&[f32]>, outputs: usize, groups: usize) -> Map {
    let inputs = map.channels / groups;
    let [height, width] = window.taps;
    window.slide(map, outputs, |output, tap| {
        let mut sum = bias.map_or(0.0, |bias| f64::from(bias[output]));
        let first = output / (outputs / groups) * inputs;
        for channel in 0..inputs {
            for (row, column) in window.taps() {
                let weight = weights[((output * inputs + channel) * height + row) * width + column];
                if let Some(value) = tap(first + channel, row, column) {
                    sum += f64::from(weight) * value;
                }
            }
        }
        sum
    })
}

fn plus_if(map: Map, residual: Option<&Map>) -> Map {
    match residual {
        Some(residual) => map.plus(residual),
        None => map,
    }
}

#[test]
fn convolutions_of_every_kind() {
    each_set(|isa, random| {
        let depthwise = random.next().is_multiple_of(3);
        let channels = random.size(40);
        let outputs = if depthwise { channels } else { random.size(40) };
        let groups = if depthwise { channels } else { 1 };
        // Often 3 x 3 with stride 1, which has a method of its own.
        let window = match random.next() % 3 {
            0 => Window {
                taps: [3; 2],
                stride: [1; 2],
                dilation: [1; 2],
                ..Window::any(random, 3)
            },
            1 => Window::any(random, 7),
            _ => Window::any(random, 3),
        };
        let (mut network, input, pictures, maps) = start(random, isa, channels);
        if !window.fits(&maps[0]) {
            return;
        }
        let weights = random.values(outputs * channels / groups * window.taps.iter().product::<usize>());
        let bias = random.yes().then(|| random.values(outputs));
        let activation = any_activation(random);
        let mut convolution = |from_map: bool, add: bool| {
            let input = if from_map { input } else { network.input() };
            let mut build = |residual, activation| {
                network
                    .convolution(Convolution {
                        bias: bias.as_deref(),
                        stride: window.stride,
                        dilation: window.dilation,
                        padding: window.padding,
                        groups,
                        residual,
                        activation,
                        ..Convolution::new(input, &weights, outputs, window.taps)
                    })
                    .unwrap()
            };
            // The residual is the convolution itself, with an activation.
            let residual = add.then(|| build(None, Activation::Relu));
            build(residual, activation)
        };
        let add = random.yes();
        let values = [convolution(true, add), convolution(false, add)];
        for (value, maps) in values.into_iter().zip([&maps, &pictures]) {
            let expected: Vec<Map> = maps
                .iter()
                .map(|map| {
                    let plain = convolve(map, window, &weights, bias.as_deref(), outputs, groups);
                    let residual = add.then(|| plain.map(relu));
                    plus_if(plain, residual.as_ref()).map(|value| activate(activation, value))
                })
                .collect();
            let what = format!(
                "{channels} -> {outputs}, {groups} groups, {window:?}, {activation:?}, residual {add}, {} x {}",
                maps[0].height, maps[0].width
            );
            compare(&what, &network, value, &pictures, &expected, random.size(3));
        }
    });
}

/// Maps and channels so large that every way of dividing the work is used.
#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn wide_convolutions() {
    let cases = [
        // inputs, outputs, height and width, taps, stride
        ([96, 160], [14, 15], 3, 1),
        ([130, 100], [7, 7], 3, 1),
        ([130, 100], [15, 9], 3, 2),
        ([300, 270], [14, 13], 1, 1),
        ([300, 270], [14, 13], 1, 2),
        ([3, 64], [61, 63], 7, 2),
    ];
    for isa in Isa::available() {
        for (seed, ([channels, outputs], [height, width], taps, stride)) in cases.into_iter().enumerate() {
            let random = &mut Random::new(seed as u64 + 1);
            let values = random.values(channels * height * width);
            let picture = Map::filled(channels, height, width, |channel, y, x| {
                f64::from(values[(channel * height + y) * width + x])
            });
            let window = Window {
                taps: [taps; 2],
                stride: [stride; 2],
                dilation: [1; 2],
                padding: Padding::symmetric(taps / 2),
            };
            let weights = random.values(outputs * channels * taps * taps);
            let bias = random.values(outputs);
            let mut network = new_network(channels, isa);
            let input = if channels == 3 {
                network.input()
            } else {
                identity(&mut network, channels)
            };
            let value = network
                .convolution(Convolution {
                    bias: Some(&bias),
                    stride: window.stride,
                    padding: window.padding,
                    activation: Activation::Relu,
                    ..Convolution::new(input, &weights, outputs, window.taps)
                })
                .unwrap();
            let expected = convolve(&picture, window, &weights, Some(&bias), outputs, 1).map(relu);
            for threads in [1, 2, 5] {
                let what = format!("{channels} -> {outputs}, {taps} x {taps}, stride {stride}");
                compare_one(&what, &network, value, &picture, &expected, threads);
            }
        }
    }
}

#[test]
fn poolings_of_every_window() {
    each_set(|isa, random| {
        let channels = random.size(40);
        let most = if random.next().is_multiple_of(4) { 9 } else { 3 };
        let window = Window::any(random, most);
        let (mut network, input, pictures, maps) = start(random, isa, channels);
        if !window.fits(&maps[0]) {
            return;
        }
        let Window {
            taps,
            stride,
            dilation,
            padding,
        } = window;
        let count_padding = random.yes();
        let largest = network
            .max_pool(MaxPool {
                stride,
                dilation,
                padding,
                ..MaxPool::new(input, taps)
            })
            .unwrap();
        let mean = network
            .average_pool(AveragePool {
                stride,
                dilation,
                padding,
                count_padding,
                ..AveragePool::new(input, taps)
            })
            .unwrap();
        let expected = |reduce: &dyn Fn(&[Option<f64>]) -> f64| -> Vec<Map> {
            let all = |map: &Map| {
                window.slide(map, channels, |channel, tap| {
                    reduce(
                        &window
                            .taps()
                            .map(|(row, column)| tap(channel, row, column))
                            .collect::<Vec<_>>(),
                    )
                })
            };
            maps.iter().map(all).collect()
        };
        let of_max = expected(&|taps| taps.iter().flatten().copied().fold(f64::NEG_INFINITY, larger));
        let of_mean = expected(&|taps| {
            let sum: f64 = taps.iter().flatten().sum();
            let count = if count_padding {
                taps.len()
            } else {
                taps.iter().flatten().count()
            };
            sum / count as f64
        });
        let what = format!("{channels} channels, {window:?}, padding counted {count_padding}");
        compare(
            &format!("max, {what}"),
            &network,
            largest,
            &pictures,
            &of_max,
            random.size(3),
        );
        compare(
            &format!("mean, {what}"),
            &network,
            mean,
            &pictures,
            &of_mean,
            random.size(3),
        );
    });
}

/// The sums of columns that 3 x 3 windows share are kept.
#[test]
fn means_of_windows_a_column_apart() {
    each_set(|isa, random| {
        let channels = random.size(40);
        let pads = |random: &mut Random| random.next() as usize % 3;
        let padding = match random.next() % 3 {
            0 => Padding::Same,
            1 => Padding::symmetric(1),
            _ => Padding::Explicit {
                top: pads(random),
                left: pads(random),
                bottom: pads(random),
                right: pads(random),
            },
        };
        let window = Window {
            taps: [3; 2],
            stride: [random.size(2), 1],
            dilation: [1; 2],
            padding,
        };
        let (mut network, input, pictures, maps) = start(random, isa, channels);
        if !window.fits(&maps[0]) {
            return;
        }
        let count_padding = random.yes();
        let mean = network
            .average_pool(AveragePool {
                stride: window.stride,
                padding,
                count_padding,
                ..AveragePool::new(input, window.taps)
            })
            .unwrap();
        let expected: Vec<Map> = maps.iter().map(|map| mean_of(window, map, count_padding)).collect();
        let what = format!("{channels} channels, {window:?}, padding counted {count_padding}");
        compare(&what, &network, mean, &pictures, &expected, random.size(3));
    });
}

/// The definition of an average pooling.
fn mean_of(window: Window, map: &Map, count_padding: bool) -> Map {
    window.slide(map, map.channels, |channel, tap| {
        let taps: Vec<_> = window.taps().map(|(row, column)| tap(channel, row, column)).collect();
        let on_map = taps.iter().flatten();
        let count = if count_padding {
            taps.len()
        } else {
            on_map.clone().count()
        };
        on_map.sum::<f64>() / count as f64
    })
}

/// Convolutions and poolings write their outputs into a concatenation, also into one within another; a value that is
/// handed out as well is copied.
#[test]
fn concatenations_in_place() {
    each_set(|isa, random| {
        let channels = random.size(40);
        let (mut network, input, pictures, maps) = start(random, isa, channels);
        let activation = any_activation(random);
        let [wide, square_outputs] = [0; 2].map(|_| 16 * random.size(3));
        let last_outputs = random.size(40);
        let pixel = Window {
            taps: [1; 2],
            stride: [1; 2],
            dilation: [1; 2],
            padding: Padding::VALID,
        };
        let square = Window {
            taps: [3; 2],
            padding: Padding::Same,
            ..pixel
        };
        let mut conv = |network: &mut Network, input: Value, outputs: usize, window: Window, after: Activation| {
            let channels = network.channels(input).unwrap();
            let weights = random.values(outputs * channels * window.taps.iter().product::<usize>());
            let value = network.convolution(Convolution {
                padding: window.padding,
                activation: after,
                ..Convolution::new(input, &weights, outputs, window.taps)
            });
            let expected = move |map: &Map| {
                let sums = convolve(map, window, &weights, None, outputs, 1);
                sums.map(|value| activate(after, value))
            };
            (value.unwrap(), expected)
        };
        let (base, of_base) = conv(&mut network, input, wide, pixel, Activation::Relu);
        let (squares, of_squares) = conv(&mut network, base, square_outputs, square, activation);
        let (handed, of_handed) = conv(&mut network, base, 16, pixel, activation);
        let (last, of_last) = conv(&mut network, base, last_outputs, pixel, activation);
        let largest = network
            .max_pool(MaxPool {
                stride: [1; 2],
                padding: Padding::Same,
                ..MaxPool::new(base, [3; 2])
            })
            .unwrap();
        let mean = network
            .average_pool(AveragePool {
                stride: [1; 2],
                padding: Padding::Same,
                ..AveragePool::new(base, [3; 2])
            })
            .unwrap();
        let inner = network
            .concat(Concat {
                inputs: &[squares, mean],
            })
            .unwrap();
        let whole = network
            .concat(Concat {
                inputs: &[largest, inner, handed, last],
            })
            .unwrap();
        let (read, of_read) = conv(&mut network, whole, 5, pixel, Activation::None);
        let of_whole = |map: &Map| {
            let base = of_base(map);
            let largest = square.slide(&base, wide, |channel, tap| {
                let taps = square.taps().filter_map(|(row, column)| tap(channel, row, column));
                taps.fold(f64::NEG_INFINITY, larger)
            });
            let mean = mean_of(square, &base, false);
            let parts = [largest, of_squares(&base), mean, of_handed(&base), of_last(&base)];
            Map {
                channels: parts.iter().map(|part| part.channels).sum(),
                values: parts.iter().flat_map(|part| part.values.clone()).collect(),
                ..base
            }
        };

        let [height, width] = [maps[0].height, maps[0].width];
        let copies = |values: &[Value]| {
            let plan = network.describe([height, width], 2, values).unwrap();
            plan.steps.iter().filter(|step| step.kind == "concat").count()
        };
        assert_eq!(copies(&[read]), 0, "all parts are written in their places");
        assert_eq!(copies(&[read, handed]), 1, "one is copied");

        let of_whole: Vec<Map> = maps.iter().map(of_whole).collect();
        let of_read: Vec<Map> = of_whole.iter().map(of_read).collect();
        let of_handed: Vec<Map> = maps.iter().map(|map| of_handed(&of_base(map))).collect();
        let what = format!("{channels} -> {wide}, {square_outputs}, {last_outputs}, {activation:?}");
        let threads = random.size(3);
        compare(
            &format!("whole, {what}"),
            &network,
            whole,
            &pictures,
            &of_whole,
            threads,
        );
        compare(&format!("read, {what}"), &network, read, &pictures, &of_read, threads);

        let both = [(whole, of_whole), (handed, of_handed)];
        compare_both(&format!("both, {what}"), &network, &pictures, both);
    });
}

/// Two values that are handed out of one run.
fn compare_both(what: &str, network: &Network, pictures: &[Map], expected: [(Value, Vec<Map>); 2]) {
    let pixels = pictures.iter().flat_map(|picture| &picture.values);
    let pixels: Vec<f32> = pixels.map(|value| *value as f32).collect();
    let shape = [pictures.len(), pictures[0].height, pictures[0].width];
    let [(one, of_one), (other, of_other)] =
        expected.map(|(value, maps)| (value, maps.into_iter().flat_map(|map| map.values).collect::<Vec<f64>>()));
    let (mut ones, mut others) = (vec![f32::NAN; of_one.len()], vec![f32::NAN; of_other.len()]);
    network
        .run(&pixels, shape, &mut [(one, &mut ones), (other, &mut others)])
        .unwrap();
    compare_values(what, &ones, &of_one);
    compare_values(what, &others, &of_other);
}

/// Large weights come some rows at a time.
#[test]
fn weights_by_rows_are_weights_at_once() {
    for isa in Isa::available() {
        let random = &mut Random::new(5);
        let (inputs, outputs) = if cfg!(miri) { (3, 21) } else { (300, 4100) };
        let (weights, bias) = (random.values(inputs * outputs), random.values(outputs));
        let picture = random.values(inputs);
        let mut network = new_network(inputs, isa);
        let layer = Dense {
            bias: Some(&bias),
            activation: Activation::Relu,
            ..Dense::new(network.input(), &weights, outputs)
        };
        let at_once = network.dense(layer).unwrap();
        let mut parts = Vec::new();
        let by_rows = network
            .dense_by_rows(layer, |rows, part| {
                part.copy_from_slice(&weights[rows.start * outputs..rows.end * outputs]);
                parts.push(rows);
            })
            .unwrap();
        assert!(parts.len() > 1 || cfg!(miri), "{parts:?}");
        let [mut one, mut other] = [(); 2].map(|()| vec![f32::NAN; outputs]);
        network
            .run(&picture, [1, 1, 1], &mut [(at_once, &mut one), (by_rows, &mut other)])
            .unwrap();
        assert_eq!(one, other, "{}", isa.name());
        assert!(one.iter().any(|value| *value > 0.0));
    }
}

/// A name, a value of the network, and its definition.
type Case<'a> = (&'a str, Value, &'a dyn Fn(&Map) -> Map);

#[test]
fn operations_on_pixels() {
    each_set(|isa, random| {
        let channels = random.size(40);
        let (mut network, input, pictures, maps) = start(random, isa, channels);
        let activation = any_activation(random);
        let (scale, shift) = (random.values(channels), random.values(channels));
        let affine = network
            .affine(Affine {
                input,
                scale: &scale,
                shift: &shift,
                activation,
            })
            .unwrap();
        let of_affine = |map: &Map| {
            Map::filled(channels, map.height, map.width, |channel, y, x| {
                activate(
                    activation,
                    map.at(channel, y, x) * f64::from(scale[channel]) + f64::from(shift[channel]),
                )
            })
        };
        let alone = network.activate(Activate { input, activation }).unwrap();
        let of_alone = |map: &Map| map.map(|value| activate(activation, value));
        let sum = network
            .add(Add {
                a: affine,
                b: input,
                activation,
            })
            .unwrap();
        let of_sum = |map: &Map| of_affine(map).plus(map).map(|value| activate(activation, value));
        let factors = network
            .global_pool(GlobalPool {
                input,
                kind: GlobalPoolKind::Max,
            })
            .unwrap();
        let product = network
            .multiply(Multiply {
                input: affine,
                factors,
                activation,
            })
            .unwrap();
        let of_product = |map: &Map| {
            let (affine, pixels) = (of_affine(map), map.height * map.width);
            Map::filled(channels, map.height, map.width, |channel, y, x| {
                let factor = map.values[channel * pixels..][..pixels]
                    .iter()
                    .copied()
                    .fold(f64::NEG_INFINITY, larger);
                activate(activation, affine.at(channel, y, x) * factor)
            })
        };
        let narrow = random.size(channels);
        let weights = random.values(narrow * channels);
        let less = network.conv(input, &weights, None, narrow, 1, 1, false);
        let joined = network
            .concat(Concat {
                inputs: &[affine, less, input],
            })
            .unwrap();
        let of_joined = |map: &Map| {
            let mut values = of_affine(map).values;
            values.extend(map.convolve(&weights, None, narrow, 1, 1).values);
            values.extend(&map.values);
            Map {
                channels: 2 * channels + narrow,
                values,
                ..map.clone()
            }
        };
        // Reads the padding of the concatenation.
        let wide = random.values(5 * (2 * channels + narrow));
        let read = network.conv(joined, &wide, None, 5, 1, 1, false);
        let of_read = |map: &Map| of_joined(map).convolve(&wide, None, 5, 1, 1);
        let cases: [Case<'_>; 6] = [
            ("affine", affine, &of_affine),
            ("activation", alone, &of_alone),
            ("add", sum, &of_sum),
            ("multiply", product, &of_product),
            ("concat", joined, &of_joined),
            ("convolution of a concat", read, &of_read),
        ];
        for (name, value, expected) in cases {
            let expected: Vec<Map> = maps.iter().map(expected).collect();
            let what = format!("{name}, {channels} channels, {activation:?}");
            compare(&what, &network, value, &pictures, &expected, random.size(3));
        }
    });
}

#[test]
fn separable_convolutions_with_every_activation() {
    each_set(|isa, random| {
        let (channels, outputs) = (random.size(40), random.size(40));
        let (mut network, input, pictures, maps) = start(random, isa, channels);
        let (depthwise, pointwise) = (random.values(9 * channels), random.values(channels * outputs));
        let (middle, bias) = (random.values(channels), random.values(outputs));
        let (between, after) = (any_activation(random), any_activation(random));
        let value = network
            .separable(Separable {
                depthwise_bias: Some(&middle),
                bias: Some(&bias),
                between,
                after,
                ..Separable::new(input, &depthwise, &pointwise, outputs)
            })
            .unwrap();
        let expected: Vec<Map> = maps
            .iter()
            .map(|map| {
                let convolved = map.depthwise(&depthwise, 1);
                let x = Map::filled(channels, map.height, map.width, |channel, y, x| {
                    activate(between, convolved.at(channel, y, x) + f64::from(middle[channel]))
                });
                x.convolve(&pointwise, Some(&bias), outputs, 1, 1)
                    .map(|value| activate(after, value))
            })
            .collect();
        let what = format!("{channels} -> {outputs}, {between:?}, {after:?}");
        compare(&what, &network, value, &pictures, &expected, random.size(3));
    });
}

/// The picture can be the input of every operation, not only of convolutions.
#[test]
fn every_operation_reads_the_picture() {
    for isa in Isa::available() {
        let random = &mut Random::new(3);
        let picture = Map::filled(3, 6, 5, |channel, y, x| (channel + y * x) as f64 / 8.0 - 1.0);
        let mut network = new_network(3, isa);
        let (scale, shift) = (random.values(3), random.values(3));
        let activation = Activation::Relu6;
        let input = network.input();
        let affine = network
            .affine(Affine {
                input,
                scale: &scale,
                shift: &shift,
                activation,
            })
            .unwrap();
        let sum = network
            .add(Add {
                a: affine,
                b: input,
                activation: Activation::None,
            })
            .unwrap();
        let mean = network
            .global_pool(GlobalPool {
                input,
                kind: GlobalPoolKind::Average,
            })
            .unwrap();
        let weights = random.values(21);
        let logits = network
            .dense(Dense {
                activation: Activation::Tanh,
                ..Dense::new(mean, &weights, 7)
            })
            .unwrap();
        let of_affine = Map::filled(3, 6, 5, |channel, y, x| {
            activate(
                activation,
                picture.at(channel, y, x) * f64::from(scale[channel]) + f64::from(shift[channel]),
            )
        });
        let of_logits = Map::filled(7, 1, 1, |output, _, _| {
            let mean = |channel: usize| picture.values[channel * 30..][..30].iter().sum::<f64>() / 30.0;
            (0..3)
                .map(|channel| mean(channel) * f64::from(weights[channel * 7 + output]))
                .sum::<f64>()
                .tanh()
        });
        compare_one("sum", &network, sum, &picture, &of_affine.plus(&picture), 2);
        compare_one("logits", &network, logits, &picture, &of_logits, 2);
        // On a map, each pixel has outputs of its own.
        let pixels = network.dense(Dense::new(input, &weights, 7)).unwrap();
        let of_pixels = Map::filled(7, 6, 5, |output, y, x| {
            let product = |channel: usize| picture.at(channel, y, x) * f64::from(weights[channel * 7 + output]);
            (0..3).map(product).sum::<f64>()
        });
        compare_one("dense on pixels", &network, pixels, &picture, &of_pixels, 2);
    }
}

/// Outputs of several threads equal those of one, bit for bit, with or without infinities in the picture.
#[test]
fn threads_change_nothing() {
    for seed in 0..if cfg!(miri) { 1 } else { 30 } {
        let random = &mut Random::new(seed + 5);
        let (channels, outputs) = (16 + random.size(40), random.size(70));
        let (height, width) = (random.size(30), random.size(30));
        let mut network = new_network(channels, Isa::detect());
        let input = identity(&mut network, channels);
        let weights = random.values(outputs * channels * 9);
        let bias = random.values(outputs);
        let mut build = |stride: usize, residual: Option<Value>| {
            network
                .convolution(Convolution {
                    bias: Some(&bias),
                    stride: [stride; 2],
                    padding: Padding::Same,
                    residual,
                    activation: any_activation(&mut Random::new(seed)),
                    ..Convolution::new(input, &weights, outputs, [3; 2])
                })
                .unwrap()
        };
        let first = build(1, None);
        let values = [first, build(1, Some(first)), build(2, None)];
        let picture = random.odd_values(channels * height * width);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let memory = |value: &Value| {
                let [height, width] = network.side(*value, [height, width]);
                vec![f32::NAN; outputs * height * width]
            };
            let mut outputs: Vec<Vec<f32>> = values.iter().map(memory).collect();
            let mut targets: Vec<(Value, &mut [f32])> = values
                .iter()
                .zip(&mut outputs)
                .map(|(value, memory)| (*value, &mut memory[..]))
                .collect();
            pool.install(|| network.go(&picture, [1, height, width], &mut targets));
            // Every NaN counts as equal.
            let number = |value: &f32| if value.is_nan() { 0 } else { value.to_bits() };
            outputs.iter().flatten().map(number).collect::<Vec<_>>()
        };
        let alone = run(1);
        for threads in [2, 3, 8] {
            assert_eq!(alone, run(threads), "seed {seed}, {threads} threads");
        }
    }
}

/// An operation that no kernel supports gives an error message.
#[test]
fn mistakes_are_errors() {
    let mut network = new_network(4, Isa::detect());
    let input = network.input();
    let shape = ConvolutionShape {
        inputs: 4,
        outputs: 4,
        groups: 2,
    };
    assert!(!shape.is_supported());
    let groups = Convolution {
        groups: 2,
        ..Convolution::new(input, &[0.0; 8], 4, [1; 2])
    };
    assert!(matches!(network.convolution(groups), Err(Error::Unsupported { .. })));
    let short = Convolution::new(input, &[0.0; 8], 4, [1; 2]);
    let sentence = network.convolution(short).unwrap_err().to_string();
    assert_eq!(sentence, "convolution: expected 16 values for the weights, found 8");
    let bias = Convolution {
        bias: Some(&[0.0; 3]),
        ..Convolution::new(input, &[0.0; 16], 4, [1; 2])
    };
    assert!(matches!(network.convolution(bias), Err(Error::Length { .. })));
    let none = Convolution {
        stride: [0, 1],
        ..Convolution::new(input, &[0.0; 16], 4, [1; 2])
    };
    assert!(matches!(network.convolution(none), Err(Error::Zero { .. })));
    assert!(matches!(
        network.concat(Concat { inputs: &[] }),
        Err(Error::Zero { .. })
    ));

    let mut other = new_network(4, Isa::detect());
    let far = (0..9)
        .map(|_| other.conv(input, &[0.0; 16], None, 4, 1, 1, false))
        .last()
        .unwrap();
    let unknown = Activate {
        input: far,
        activation: Activation::Relu,
    };
    assert_eq!(network.activate(unknown), Err(Error::UnknownValue(9)));
    assert!(network.run(&[0.0; 4], [1, 1, 1], &mut [(far, &mut [0.0; 4])]).is_err());

    let small = network
        .convolution(Convolution::new(input, &[0.0; 64], 4, [2; 2]))
        .unwrap();
    assert!(matches!(network.size(small, [1, 5]), Err(Error::Window { .. })));
    let sum = network
        .add(Add {
            a: input,
            b: small,
            activation: Activation::None,
        })
        .unwrap();
    assert!(matches!(network.size(sum, [5, 5]), Err(Error::Size { .. })));
    assert!(
        network
            .run(&[0.0; 100], [1, 5, 5], &mut [(sum, &mut [0.0; 100])])
            .is_err()
    );
    for window in [[usize::MAX, 1], [1 << 20, 1 << 20]] {
        assert!(network.max_pool(MaxPool::new(input, window)).is_err());
    }
    for padding in [usize::MAX, usize::MAX / 2, 1 << 60] {
        // A value that does not fit affects the sizes of its whole network.
        let mut network = new_network(4, Isa::detect());
        let padding = Padding::symmetric(padding);
        let pooled = network.max_pool(MaxPool {
            padding,
            ..MaxPool::new(input, [2; 2])
        });
        let pooled = pooled.and_then(|pooled| network.size(pooled, [5, 5]));
        assert!(matches!(pooled, Err(Error::TooLarge(_))), "{pooled:?}");
        let convolved = network.convolution(Convolution {
            padding,
            ..Convolution::new(input, &[0.0; 64], 4, [2; 2])
        });
        let convolved = convolved.and_then(|convolved| network.size(convolved, [5, 5]));
        assert!(convolved.is_err(), "{convolved:?}");
    }
    assert!(Network::new(0, Isa::detect()).is_err());
}
