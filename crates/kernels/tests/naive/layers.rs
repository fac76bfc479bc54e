//! Each layer over random shapes.

use kernels::{GlobalPoolKind as GlobalPool, Isa};

use crate::common::reference::*;
use crate::common::{Build, MaxPool, SeparableRelu, new_network, single_separable};

#[test]
fn convolutions() {
    each_set(|isa, random| {
        let (channels, outputs) = (random.size(35), random.size(50));
        let (kernel, stride) = (random.size(3), random.size(2));
        let (height, width) = (kernel - 1 + random.size(19), kernel - 1 + random.size(19));
        let values = random.odd_values(channels * height * width);
        let picture = Map::filled(channels, height, width, |channel, y, x| {
            f64::from(values[(channel * height + y) * width + x])
        });
        let weights = random.values(outputs * channels * kernel * kernel);
        let bias = random.yes().then(|| random.values(outputs));
        let after = random.yes();

        // Reads the picture itself, and a feature map, whose pixels are padded.
        for from_map in [false, true] {
            let mut network = new_network(channels, isa);
            let input = if from_map {
                identity(&mut network, channels)
            } else {
                network.input()
            };
            let value = network.conv(input, &weights, bias.as_deref(), outputs, kernel, stride, after);
            let map = if from_map { picture.identity() } else { picture.clone() };
            let expected = relu_if(map.convolve(&weights, bias.as_deref(), outputs, kernel, stride), after);
            let what =
                format!("convolution {channels} -> {outputs}, kernel {kernel}, stride {stride}, {height} x {width}");
            compare_one(&what, &network, value, &picture, &expected, random.size(5));
        }
    });
}

/// A fully-connected layer on a map computes each pixel by itself, as Keras's `Dense` does.
#[test]
fn fully_connected_layers_on_maps() {
    each_set(|isa, random| {
        let (channels, outputs) = (random.size(35), random.size(50));
        let (height, width) = (random.size(9), random.size(9));
        let values = random.odd_values(channels * height * width);
        let picture = Map::filled(channels, height, width, |channel, y, x| {
            f64::from(values[(channel * height + y) * width + x])
        });
        let weights = random.values(channels * outputs);
        let bias = random.yes().then(|| random.values(outputs));
        let after = random.yes();
        let mut network = new_network(channels, isa);
        let input = identity(&mut network, channels);
        let value = network.fully(input, &weights, bias.as_deref(), outputs, after);
        // The reference takes `[outputs, channels]`.
        let turned: Vec<f32> = (0..outputs * channels)
            .map(|at| weights[at % channels * outputs + at / channels])
            .collect();
        let map = picture.identity().convolve(&turned, bias.as_deref(), outputs, 1, 1);
        let what = format!("fully-connected {channels} -> {outputs}, {height} x {width}");
        compare_one(&what, &network, value, &picture, &relu_if(map, after), random.size(5));
    });
}

/// A 3 x 3 convolution with many channels adds and subtracts inputs before it multiplies them. Infinity minus infinity
/// is NaN, but an output that depends on one infinity must be infinite.
#[test]
fn a_sum_that_is_infinite_stays_so() {
    each_set(|isa, random| {
        let (channels, outputs) = (15 + random.size(20), random.size(40));
        let (height, width) = (2 + random.size(12), 2 + random.size(12));
        let mut picture = Map::filled(1, height, width, |_, y, x| (y + x) as f64 / 32.0);
        let place = random.next() as usize % (height * width);
        picture.values[place] = f64::from([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX][random.size(4) - 1]);
        // All of one sign, and so large that the largest number overflows.
        let mut positive =
            |count: usize| -> Vec<f32> { random.values(count).iter().map(|value| value.abs() + 2.0).collect() };
        let (widen, weights) = (positive(channels), positive(outputs * channels * 9));

        let mut network = new_network(1, isa);
        let input = network.conv(network.input(), &widen, None, channels, 1, 1, false);
        let value = network.conv(input, &weights, None, outputs, 3, 1, false);
        let to_f32 = |map: Map| map.map(|value| f64::from(value as f32));
        let map = to_f32(picture.convolve(&widen, None, channels, 1, 1));
        let expected = to_f32(map.convolve(&weights, None, outputs, 3, 1));
        let what = format!("{channels} -> {outputs}, {height} x {width}");
        compare(&what, &network, value, &[picture], &[expected], random.size(3));
    });
}

/// The padding of a pixel up to a whole cache line is zero and stays zero, whatever the picture contains: a convolution
/// reads it with the channels, and 0 times infinity would be NaN.
#[test]
fn padding_is_no_channel() {
    each_set(|isa, random| {
        let (between, outputs) = (random.size(40), random.size(40));
        let (kernel, first_kernel) = (random.size(3), random.size(3));
        let side = kernel + first_kernel - 1;
        let mut picture = Map::filled(1, side, side, |_, y, x| (y + x) as f64);
        picture.values[0] = f64::from([f32::INFINITY, f32::NEG_INFINITY, f32::MAX][random.size(3) - 1]);
        // All of one sign: infinities add up to infinity.
        let mut positive =
            |count: usize| -> Vec<f32> { random.values(count).iter().map(|value| value.abs() + 2.0).collect() };
        let first = positive(between * first_kernel * first_kernel);
        let second = positive(outputs * between * kernel * kernel);
        let residual = positive(between);

        let mut network = new_network(1, isa);
        let map = network.conv(network.input(), &first, None, between, first_kernel, 1, false);
        // The same with a sum, which is added where the output goes.
        let pool = MaxPool {
            stride: 1,
            dilation: 1,
            symmetric: true,
        };
        let widened = network.conv(network.input(), &[1.0], None, 1, 1, 1, false);
        let zeros = vec![0.0; between];
        let zero = network.conv(network.input(), &zeros, None, between, 1, 1, false);
        let pooled = network.pool3(zero, pool, Some((widened, &residual, None)));

        let to_f32 = |map: Map| map.map(|value| f64::from(value as f32));
        let expected_map = to_f32(picture.convolve(&first, None, between, first_kernel, 1));
        let expected = to_f32(expected_map.convolve(&second, None, outputs, kernel, 1));
        let value = network.conv(map, &second, None, outputs, kernel, 1, false);
        let what = format!("{between} channels between, {outputs} outputs, kernels {first_kernel} and {kernel}");
        let pictures = std::slice::from_ref(&picture);
        compare(&what, &network, value, pictures, &[expected], random.size(5));

        let expected_pool = to_f32(picture.convolve(&zeros, None, between, 1, 1).pool(pool))
            .plus(&to_f32(picture.convolve(&residual, None, between, 1, 1)));
        let expected = to_f32(to_f32(expected_pool).convolve(&second, None, outputs, kernel, 1));
        let value = network.conv(pooled, &second, None, outputs, kernel, 1, false);
        compare(
            &format!("{what}, pooled"),
            &network,
            value,
            pictures,
            &[expected],
            random.size(5),
        );
    });
}

#[test]
fn separable_convolutions() {
    each_set(|isa, random| {
        let (channels, outputs, dilation) = (random.size(70), random.size(70), random.size(3));
        let (mut network, input, pictures, maps) = start(random, isa, channels);
        let depthwise = random.values(9 * channels);
        let pointwise = random.values(outputs * channels);
        let bias = random.yes().then(|| random.values(outputs));
        let relu = SeparableRelu {
            before: random.yes(),
            between: random.yes(),
            after: random.yes(),
        };
        let side = random.yes().then(|| random.values(outputs * channels));
        let residual = side
            .as_ref()
            .map(|weights| network.conv(input, weights, None, outputs, 1, 1, false));
        let value = network.sep(
            input,
            &depthwise,
            dilation,
            &pointwise,
            bias.as_deref(),
            outputs,
            residual,
            relu,
        );

        let expected: Vec<Map> = maps
            .iter()
            .map(|picture| {
                let x = relu_if(picture.clone(), relu.before).depthwise(&depthwise, dilation);
                let x = relu_if(x, relu.between).convolve(&pointwise, bias.as_deref(), outputs, 1, 1);
                let x = match &side {
                    Some(weights) => x.plus(&picture.convolve(weights, None, outputs, 1, 1)),
                    None => x,
                };
                relu_if(x, relu.after)
            })
            .collect();
        let what = format!(
            "separable {channels} -> {outputs}, dilation {dilation}, {relu:?}, residual {}",
            side.is_some()
        );
        compare(&what, &network, value, &pictures, &expected, random.size(5));
    });
}

/// Enough channels and pixels for seven products, if the machine's caches allow it.
#[test]
#[cfg_attr(miri, ignore = "takes hours; unit tests have small ones")]
fn wide_separable_convolutions() {
    for isa in Isa::available() {
        for (seed, (channels, outputs, height, width)) in [(258, 300, 9, 11), (320, 257, 7, 14), (300, 260, 10, 10)]
            .into_iter()
            .enumerate()
        {
            let random = &mut Random::new(seed as u64 + 1);
            let values = random.values(channels * height * width);
            let picture = Map::filled(channels, height, width, |channel, y, x| {
                f64::from(values[(channel * height + y) * width + x])
            });
            let depthwise = random.values(9 * channels);
            let pointwise = random.values(outputs * channels);
            let bias = random.values(outputs);
            let relu = SeparableRelu {
                before: seed == 1,
                between: seed == 2,
                after: seed == 0,
            };
            let mut network = new_network(channels, isa);
            let input = identity(&mut network, channels);
            let value = network.sep(input, &depthwise, 1, &pointwise, Some(&bias), outputs, None, relu);
            let x = relu_if(picture.clone(), relu.before).depthwise(&depthwise, 1);
            let x = relu_if(x, relu.between).convolve(&pointwise, Some(&bias), outputs, 1, 1);
            let expected = relu_if(x, relu.after);
            let what = format!("separable {channels} -> {outputs}, {relu:?}");
            for threads in [1, 2] {
                compare_one(&what, &network, value, &picture, &expected, threads);
            }
        }
    }
}

/// A single layer, between pictures with channels first.
#[test]
fn single_separable_convolutions() {
    each_set(|isa, random| {
        let (channels, outputs, dilation) = (random.size(70), random.size(70), random.size(3));
        let (batch, height, width) = (random.size(3), random.size(23), random.size(23));
        let depthwise = random.values(9 * channels);
        let pointwise = random.values(outputs * channels);
        let bias = random.yes().then(|| random.values(outputs));
        let relu = SeparableRelu {
            before: random.yes(),
            between: random.yes(),
            after: random.yes(),
        };
        let input = random.odd_values(batch * channels * height * width);
        let residual = random
            .yes()
            .then(|| random.odd_values(batch * outputs * height * width));

        let picture = |values: &[f32], channels: usize, index: usize| {
            let values = &values[index * channels * height * width..];
            Map::filled(channels, height, width, |channel, y, x| {
                f64::from(values[(channel * height + y) * width + x])
            })
        };
        let expected: Vec<f64> = (0..batch)
            .flat_map(|index| {
                let x = relu_if(picture(&input, channels, index), relu.before).depthwise(&depthwise, dilation);
                let x = relu_if(x, relu.between).convolve(&pointwise, bias.as_deref(), outputs, 1, 1);
                let x = match &residual {
                    Some(residual) => x.plus(&picture(residual, outputs, index)),
                    None => x,
                };
                relu_if(x, relu.after).values
            })
            .collect();

        let layer = single_separable(&depthwise, dilation, &pointwise, bias.as_deref(), outputs, relu, isa);
        assert_eq!((layer.channels(), layer.outputs()), (channels, outputs));
        let mut output = vec![f32::NAN; expected.len()];
        let threads = random.size(5);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            layer
                .run(&input, [batch, height, width], residual.as_deref(), &mut output)
                .unwrap();
        });
        let what = format!(
            "{batch} x {channels} x {height} x {width} -> {outputs}, dilation {dilation}, {relu:?}, residual {}, {}, \
             {threads} threads",
            residual.is_some(),
            isa.name()
        );
        compare_values(&what, &output, &expected);
    });
}

#[test]
fn max_pools_with_and_without_projection() {
    each_set(|isa, random| {
        let (channels, wide) = (random.size(40), random.size(40));
        let (mut network, input, pictures, maps) = start(random, isa, channels);
        let pool = MaxPool {
            stride: random.size(2),
            dilation: random.size(2),
            symmetric: random.yes(),
        };
        let widen = random.values(wide * channels);
        let widened = network.conv(input, &widen, None, wide, 1, 1, false);
        let projection = random
            .yes()
            .then(|| (random.values(wide * channels), random.values(wide)));
        let shortcut = projection
            .as_ref()
            .map(|(weights, bias)| (input, &weights[..], Some(&bias[..])));
        let value = network.pool3(widened, pool, shortcut);

        let expected: Vec<Map> = maps
            .iter()
            .map(|picture| {
                let pooled = picture.convolve(&widen, None, wide, 1, 1).pool(pool);
                match &projection {
                    Some((weights, bias)) => pooled.plus(&picture.convolve(weights, Some(bias), wide, 1, pool.stride)),
                    None => pooled,
                }
            })
            .collect();
        compare(
            &format!("{pool:?}, {channels} -> {wide}"),
            &network,
            value,
            &pictures,
            &expected,
            random.size(5),
        );
    });
}

#[test]
fn global_pools_and_fully_connected_layers() {
    each_set(|isa, random| {
        let (channels, outputs) = (random.size(150), random.size(150));
        for pool in [GlobalPool::Average, GlobalPool::Max] {
            let (mut network, input, pictures, maps) = start(random, isa, channels);
            let weights = random.values(channels * outputs);
            let bias = random.values(outputs);
            let after = random.yes();
            let pooled = network.pool_all(input, pool);
            let value = network.fully(pooled, &weights, Some(&bias), outputs, after);

            let expected: Vec<Map> = maps
                .iter()
                .map(|picture| {
                    let one = |channel: usize| {
                        let pixels = &picture.values[channel * picture.height * picture.width..]
                            [..picture.height * picture.width];
                        match pool {
                            GlobalPool::Average => pixels.iter().sum::<f64>() / pixels.len() as f64,
                            GlobalPool::Max => pixels.iter().copied().fold(f64::NEG_INFINITY, larger),
                        }
                    };
                    let sum = |output: usize| {
                        let products =
                            (0..channels).map(|input| one(input) * f64::from(weights[input * outputs + output]));
                        products.sum::<f64>() + f64::from(bias[output])
                    };
                    relu_if(Map::filled(outputs, 1, 1, |output, _, _| sum(output)), after)
                })
                .collect();
            compare(
                &format!("{pool:?}, {channels} -> {outputs}"),
                &network,
                value,
                &pictures,
                &expected,
                random.size(5),
            );
        }
    });
}

/// However far apart the taps are, those outside of the picture are padding.
#[test]
fn a_dilation_past_the_picture_is_like_any_larger() {
    let (channels, outputs) = (5, 7);
    let random = &mut Random::new(11);
    let (depthwise, pointwise) = (random.values(9 * channels), random.values(channels * outputs));
    let picture = random.values(channels * 6 * 9);
    let run = |dilation: usize, symmetric: bool| {
        let mut network = new_network(channels, Isa::detect());
        let input = identity(&mut network, channels);
        let relu = SeparableRelu::default();
        let pool = MaxPool {
            stride: 2,
            dilation,
            symmetric,
        };
        let convolved = network.sep(input, &depthwise, dilation, &pointwise, None, outputs, None, relu);
        let pooled = network.pool3(input, pool, None);
        let [mut a, mut b] = [vec![0.0; outputs * 54], vec![0.0; channels * 3 * 5]];
        network.go(&picture, [1, 6, 9], &mut [(convolved, &mut a), (pooled, &mut b)]);
        let mut c = vec![0.0; outputs * 54];
        let (relu, isa) = (SeparableRelu::default(), Isa::detect());
        single_separable(&depthwise, dilation, &pointwise, None, outputs, relu, isa)
            .run(&picture, [1, 6, 9], None, &mut c)
            .unwrap();
        assert_eq!(a, c, "dilation {dilation}");
        [a, b]
    };
    for symmetric in [false, true] {
        let expected = run(9, symmetric);
        assert_ne!(expected, run(4, symmetric));
        for dilation in [10, 1 << 20, usize::MAX / 2, usize::MAX - 3, usize::MAX] {
            assert_eq!(run(dilation, symmetric), expected, "dilation {dilation}");
        }
    }
}
