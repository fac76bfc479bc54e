//! Every layer against the definition in f64, over random shapes, with every instruction set that the machine has.

mod common;

use common::reference::*;
use common::{Build, MaxPool, SeparableRelu, new_network, single_separable};
use kernels::{GlobalPoolKind as GlobalPool, Isa, Network, Value};

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

        // Straight from the picture, and from a feature map, whose pixels are padded.
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

/// A 3 x 3 convolution of many channels adds and subtracts inputs before it multiplies them. Infinity less infinity is
/// no number, but what looks at one infinity is infinite.
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

/// What fills a pixel up to a whole cache line is zero and stays zero, whatever the picture holds: a convolution reads
/// it along with the channels, and 0 times infinity would be NaN.
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

/// So many channels and pixels that products are saved, where the machine's caches allow it.
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

/// One on its own, between pictures whose channels lie one after the other.
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

/// The variable is read by a process of its own, which runs this test as well and only prints.
#[test]
fn a_variable_chooses_the_instructions() {
    const VARIABLE: &str = "KERNELS_ISA";
    if std::env::var_os(VARIABLE).is_some() || cfg!(miri) {
        println!("uses {} instructions", Isa::detect().name());
        return;
    }
    let best = Isa::detect().name();
    let names = Isa::available().into_iter().map(|isa| (isa.name(), isa.name()));
    for (wanted, expected) in names.chain([("PORTABLE", "portable"), ("abacus", best)]) {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_variable_chooses_the_instructions", "--nocapture"])
            .env(VARIABLE, wanted)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stdout);
        assert!(
            text.contains(&format!("uses {expected} instructions")),
            "{wanted}: {text}"
        );
    }
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

/// What is not a number stays what it is, exactly where the definition has it, and pads are never touched by it.
#[test]
fn nan_infinity_and_denormals_pass_as_they_should() {
    for isa in Isa::available() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-40, -0.0] {
            let channels = 11;
            let picture = Map::filled(channels, 7, 6, |channel, y, x| match (channel, y, x) {
                (3, 2, 4) => f64::from(odd),
                _ => (channel + y + x) as f64 / 64.0,
            });
            // One input channel an output, so that 0 x infinity makes no NaN of its own.
            let mut network = new_network(1, isa);
            let single = Map::filled(1, 7, 6, |_, y, x| picture.at(3, y, x));
            let input = network.conv(network.input(), &[1.0], None, 1, 1, 1, false);
            let taps = [0.5; 9];
            let relu = SeparableRelu {
                before: true,
                after: true,
                ..SeparableRelu::default()
            };
            let separable = network.sep(input, &taps, 1, &[0.5], None, 1, None, relu);
            let expected = single
                .map(relu_f32)
                .depthwise(&taps, 1)
                .map(|value| f64::from((value * 0.5) as f32))
                .map(relu_f32);
            compare_one(
                &format!("separable with {odd}"),
                &network,
                separable,
                &single,
                &expected,
                2,
            );

            let pool = MaxPool {
                stride: 2,
                dilation: 1,
                symmetric: true,
            };
            let pooled = network.pool3(input, pool, None);
            compare_one(
                &format!("max pool with {odd}"),
                &network,
                pooled,
                &single,
                &single.pool(pool),
                2,
            );
        }
    }
}

/// Where everything is denormal, nothing is taken for zero.
#[test]
fn denormals_are_numbers() {
    let least = f64::from(f32::from_bits(1));
    for isa in Isa::available() {
        let picture = Map::filled(1, 5, 9, |_, y, x| (40 * (y * 9 + x) + 40) as f64 * least);
        let mut network = new_network(1, isa);
        let input = network.conv(network.input(), &[0.5], None, 1, 1, 1, true);
        let relu = SeparableRelu {
            before: true,
            after: true,
            ..SeparableRelu::default()
        };
        let pool = MaxPool {
            stride: 1,
            dilation: 1,
            symmetric: true,
        };
        let separable = network.sep(input, &[0.25; 9], 1, &[0.5], None, 1, None, relu);
        let pooled = network.pool3(separable, pool, None);
        let mean = network.pool_all(pooled, GlobalPool::Average);
        let half = picture.map(|value| value * 0.5);
        let convolved = half.depthwise(&[0.25; 9], 1).map(|value| value * 0.5);
        let largest = convolved.pool(pool);
        let average = Map::filled(1, 1, 1, |_, _, _| largest.values.iter().sum::<f64>() / 45.0);
        let input: Vec<f32> = picture.values.iter().map(|&value| value as f32).collect();
        for (value, expected) in [(separable, convolved), (pooled, largest), (mean, average)] {
            let mut output = vec![0.0; expected.values.len()];
            network.go(&input, [1, 5, 9], &mut [(value, &mut output)]);
            for (&ours, theirs) in output.iter().zip(expected.values) {
                let steps = (f64::from(ours) - theirs).abs() / least;
                // Each product and sum is rounded to the next of them, and the mean's divisor to a float.
                assert!(steps <= 20.0 && ours > 0.0, "{}: {ours:e}, not {theirs:e}", isa.name());
            }
        }
    }
}

/// However far apart the taps are: those past the picture are padding.
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

/// The picture is a value as any other.
#[test]
fn a_network_hands_out_what_it_was_given() {
    for channels in [1, 3, 16, 17, 40] {
        let mut network = new_network(channels, Isa::detect());
        let doubled: Vec<f32> = identity_weights(channels).iter().map(|weight| weight * 2.0).collect();
        let value = network.conv(network.input(), &doubled, None, channels, 1, 1, false);
        let pictures = Random::new(3).values(2 * channels * 20);
        let [mut same, mut twice] = [vec![0.0; pictures.len()], vec![0.0; pictures.len()]];
        network.go(
            &pictures,
            [2, 4, 5],
            &mut [(network.input(), &mut same), (value, &mut twice)],
        );
        assert_eq!(same, pictures, "{channels} channels");
        let expected: Vec<f32> = pictures.iter().map(|value| value * 2.0).collect();
        assert_eq!(twice, expected, "{channels} channels");
    }
}

fn relu_f32(value: f64) -> f64 {
    if value.is_nan() || value > 0.0 { value } else { 0.0 }
}

/// The outputs of one run in several threads are those of one thread to the last bit: how a layer is cut changes no
/// sum.
#[test]
fn threads_change_nothing() {
    let random = &mut Random::new(7);
    let (channels, outputs) = (33, 40);
    let (mut network, input, pictures, _) = start(random, Isa::detect(), channels);
    let value = network.sep(
        input,
        &random.values(9 * channels),
        1,
        &random.values(channels * outputs),
        None,
        outputs,
        None,
        SeparableRelu::default(),
    );
    let picture = &pictures[0];
    let input: Vec<f32> = picture.values.iter().map(|&value| value as f32).collect();
    let run = |threads: usize| {
        let mut output = vec![0.0; outputs * picture.height * picture.width];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| network.go(&input, [1, picture.height, picture.width], &mut [(value, &mut output)]));
        output
    };
    let alone = run(1);
    for threads in [2, 3, 8] {
        assert_eq!(alone, run(threads), "{threads} threads");
    }
}

/// Layers of one size begin where the one before is done, in whatever order the threads get there.
#[test]
fn chains_give_the_same_whoever_is_first() {
    for round in 0..=(ROUNDS / 4) {
        let random = &mut Random::new(round + 1);
        let (channels, dilation) = (random.size(40), random.size(2));
        let (mut network, input, pictures, _) = start(random, Isa::detect(), channels);
        let mut values = vec![input];
        for _ in 0..if cfg!(miri) { 3 } else { 8 } {
            let residual = random.yes().then(|| values[random.next() as usize % values.len()]);
            let relu = SeparableRelu {
                before: random.yes(),
                between: false,
                after: random.yes(),
            };
            let depthwise = random.values(9 * channels);
            let pointwise = random.values(channels * channels);
            let last = values[values.len() - 1];
            values.push(network.sep(last, &depthwise, dilation, &pointwise, None, channels, residual, relu));
        }
        let value = values[values.len() - 1];
        let shape = [pictures.len(), pictures[0].height, pictures[0].width];
        let pixels: Vec<f32> = pictures
            .iter()
            .flat_map(|map| map.values.iter().map(|&value| value as f32))
            .collect();
        let run = |threads: usize, alone: bool| {
            let mut output = vec![0.0; pixels.len()];
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let outputs = &mut [(value, &mut output[..])];
                if alone {
                    network.times(&pixels, shape, outputs);
                } else {
                    network.go(&pixels, shape, outputs);
                }
            });
            output.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        let expected = run(1, true);
        for threads in [1, 2, 3, 5] {
            assert_eq!(run(threads, false), expected, "round {round}, {threads} threads");
        }
    }
}

/// Layers that are worked through together, row by row, give what they give one after the other.
#[test]
fn rows_in_turn_are_layers_one_after_the_other() {
    let mut together = 0;
    let rounds = if cfg!(miri) { 2 } else { 80 };
    for round in 0..rounds {
        let random = &mut Random::new(round + 77);
        let isa = Isa::available()[random.next() as usize % Isa::available().len()];
        let stride = random.size(3);
        let (height, width) = (
            1 + random.next() as usize % if cfg!(miri) { 20 } else { 90 },
            random.size(23),
        );
        let widths: Vec<usize> = (0..=random.size(3)).map(|_| random.size(40)).collect();
        let mut network = new_network(2, isa);
        let weights = random.values(2 * widths[0]);
        let input = network.conv(network.input(), &weights, None, widths[0], 1, 1, false);
        let mut values = vec![input];
        for (inputs, outputs) in widths.iter().zip(&widths[1..]) {
            let relu = SeparableRelu {
                before: random.yes(),
                between: random.yes(),
                after: random.yes(),
            };
            let (depthwise, pointwise) = (random.values(9 * inputs), random.values(inputs * outputs));
            let bias = random.yes().then(|| random.values(*outputs));
            let last = values[values.len() - 1];
            values.push(network.sep(last, &depthwise, 1, &pointwise, bias.as_deref(), *outputs, None, relu));
        }
        let last = values[values.len() - 1];
        let pool = MaxPool {
            stride,
            dilation: 1,
            symmetric: random.yes(),
        };
        let weights = random.values(widths[0] * widths[widths.len() - 1]);
        let projection = random.yes().then_some((input, &weights[..], None));
        let pooled = network.pool3(last, pool, projection);

        let batch = random.size(2);
        let picture = random.odd_values(batch * 2 * height * width);
        let shape = [batch, height, width];
        let memory = |value: Value| {
            let [height, width] = network.side(value, [height, width]);
            vec![f32::NAN; batch * network.channels(value).unwrap() * height * width]
        };
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        // Whoever asks for what lies between gets it, and then there is nothing to be worked through together.
        let (mut expected, mut between) = (memory(pooled), memory(last));
        network.go(&picture, shape, &mut [(pooled, &mut expected), (last, &mut between)]);
        for threads in [1, 2, 3, 5] {
            let mut output = memory(pooled);
            let workers = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let times = workers.install(|| network.times(&picture, shape, &mut [(pooled, &mut output)]));
            // All of their time is at the last one.
            together += usize::from(times[times.len() - 2].is_zero());
            let what = format!(
                "{widths:?}, {height} x {width}, {pool:?}, {threads} threads, {}",
                isa.name()
            );
            assert_eq!(bits(&output), bits(&expected), "{what}");
        }
    }
    assert!(together > 0, "none was worked through together");
}

/// A machine without vector instructions gets the same answers: every kind of layer in one network, portable against
/// the best that this machine has.
#[test]
fn the_portable_path_gives_the_same_answers() {
    let build = |isa| {
        let random = &mut Random::new(5);
        let mut network = new_network(3, isa);
        let x = network.conv(
            network.input(),
            &random.values(10 * 27),
            Some(&random.values(10)),
            10,
            3,
            2,
            true,
        );
        let x = network.conv(x, &random.values(20 * 90), None, 20, 3, 1, true);
        let mut separable = |network: &mut Network, x, inputs: usize, outputs: usize, residual, before| {
            let relu = SeparableRelu {
                before,
                between: false,
                after: !before,
            };
            let (depthwise, pointwise) = (random.values(9 * inputs), random.values(inputs * outputs));
            network.sep(
                x,
                &depthwise,
                1,
                &pointwise,
                Some(&random.values(outputs)),
                outputs,
                residual,
                relu,
            )
        };
        let y = separable(&mut network, x, 20, 33, None, true);
        let y = separable(&mut network, y, 33, 33, None, false);
        let pool = MaxPool {
            stride: 2,
            dilation: 1,
            symmetric: false,
        };
        let projection = Random::new(6).values(20 * 33);
        let y = network.pool3(y, pool, Some((x, &projection, None)));
        let z = separable(&mut network, y, 33, 33, Some(y), true);
        let z = network.pool_all(z, GlobalPool::Average);
        let z = network.fully(z, &Random::new(8).values(33 * 7), None, 7, false);
        (network, z)
    };
    let (height, width) = if cfg!(miri) { (9, 7) } else { (23, 19) };
    let picture = Random::new(9).values(2 * 3 * height * width);
    let run = |isa| {
        let (network, value) = build(isa);
        let mut output = vec![f32::NAN; 2 * 7];
        network.go(&picture, [2, height, width], &mut [(value, &mut output)]);
        output
    };
    let portable: Vec<f64> = run(Isa::portable()).into_iter().map(f64::from).collect();
    for isa in Isa::available() {
        compare_values(isa.name(), &run(isa), &portable);
    }
}

#[test]
fn several_values_of_one_run_and_runs_at_the_same_time() {
    let random = &mut Random::new(11);
    let mut network = new_network(3, Isa::detect());
    let first = network.conv(network.input(), &random.values(8 * 27), None, 8, 3, 2, true);
    let second = network.conv(first, &random.values(5 * 72), None, 5, 3, 1, false);
    let unused = network.pool_all(second, GlobalPool::Max);
    let picture = random.values(3 * 15 * 15);
    let sizes = [first, second]
        .map(|value| network.side(value, [15, 15]).iter().product::<usize>() * network.channels(value).unwrap());
    let both = || {
        let (mut a, mut b) = (vec![0.0; sizes[0]], vec![0.0; sizes[1]]);
        network.go(&picture, [1, 15, 15], &mut [(first, &mut a), (second, &mut b)]);
        (a, b)
    };
    let (a, b) = both();
    let mut again = vec![0.0; sizes[1]];
    network.go(&picture, [1, 15, 15], &mut [(second, &mut again)]);
    assert_eq!(b, again);
    let times = network.times(&picture, [1, 15, 15], &mut [(second, &mut again)]);
    assert!(
        times[unused_layer(&network, unused)].is_zero(),
        "a layer that nobody needs was run"
    );
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(both)).collect();
        for run in runs {
            assert_eq!(run.join().unwrap(), (a.clone(), b.clone()));
        }
    });
}

/// The layer that gives a value is the last of a network that ends with it.
fn unused_layer(network: &Network, _: Value) -> usize {
    network.counts([15, 15]).len() - 1
}

/// What doesn't fit together is refused before any memory is touched.
#[test]
fn sizes_that_do_not_fit_are_refused() {
    let refused = |what: &str, build: &(dyn Fn() + std::panic::RefUnwindSafe)| {
        assert!(std::panic::catch_unwind(build).is_err(), "{what}");
    };
    let start = || {
        let mut network = new_network(3, Isa::detect());
        let map = network.conv(network.input(), &[0.0; 9], None, 3, 1, 1, false);
        (network, map)
    };
    refused("a picture smaller than the kernel", &|| {
        let mut network = new_network(1, Isa::detect());
        let value = network.conv(network.input(), &[0.0; 9], None, 1, 3, 2, false);
        network.side(value, [2, 5]);
    });
    refused("a residual of another size", &|| {
        let (mut network, map) = start();
        let smaller = network.conv(map, &[0.0; 9], None, 3, 1, 2, false);
        let relu = SeparableRelu::default();
        let value = network.sep(smaller, &[0.0; 27], 1, &[0.0; 9], None, 3, Some(map), relu);
        network.side(value, [8, 8]);
    });
    refused("a projection of another size", &|| {
        let (mut network, map) = start();
        let smaller = network.conv(map, &[0.0; 9], None, 3, 1, 2, false);
        let pool = MaxPool {
            stride: 1,
            dilation: 1,
            symmetric: true,
        };
        let value = network.pool3(map, pool, Some((smaller, &[0.0; 9], None)));
        network.side(value, [8, 8]);
    });
    refused("a fully-connected layer on a map", &|| {
        let (mut network, map) = start();
        let value = network.fully(map, &[0.0; 6], None, 2, false);
        network.side(value, [2, 2]);
    });
    refused("a picture without pixels", &|| {
        let (network, map) = start();
        network.side(map, [0, 4]);
    });
    refused("a picture without channels", &|| {
        new_network(0, Isa::detect());
    });
}

/// Sizes whose product wraps around to the length of the memory that was given.
#[test]
fn sizes_that_no_memory_holds_are_refused() {
    const HALF: usize = 1 << (usize::BITS / 2);
    const TOP: usize = 1 << (usize::BITS - 1);
    let refused = |what: &str, build: &(dyn Fn() + std::panic::RefUnwindSafe)| {
        let panic = std::panic::catch_unwind(build).expect_err(what);
        let sentence = panic.downcast_ref::<String>().expect("a sentence");
        assert!(sentence.contains("more than any memory holds"), "{what}: {sentence}");
    };
    refused("weights of a convolution", &|| {
        let mut network = new_network(2, Isa::detect());
        network.conv(network.input(), &[], None, TOP, 1, 1, false);
    });
    refused("a kernel", &|| {
        let mut network = new_network(1, Isa::detect());
        network.conv(network.input(), &[], None, 1, HALF, 1, false);
    });
    refused("weights of a separable convolution", &|| {
        let mut network = new_network(2, Isa::detect());
        let map = identity(&mut network, 2);
        let relu = SeparableRelu::default();
        network.sep(map, &[0.0; 18], 1, &[], None, TOP, None, relu);
    });
    refused("weights of a fully-connected layer", &|| {
        let mut network = new_network(2, Isa::detect());
        let map = identity(&mut network, 2);
        network.fully(map, &[], None, TOP, false);
    });
    refused("one separable convolution", &|| {
        single_separable(&[0.0; 18], 1, &[], None, TOP, SeparableRelu::default(), Isa::detect());
    });
    for shape in [[1, HALF, HALF], [HALF, HALF, 1], [TOP, 2, 1], [4, TOP, 1], [1, 2, TOP]] {
        refused("pictures", &|| {
            let mut network = new_network(1, Isa::detect());
            let map = identity(&mut network, 1);
            network.go(&[], shape, &mut [(map, &mut [])]);
        });
        refused("pictures of one layer", &|| {
            let relu = SeparableRelu::default();
            let layer = single_separable(&[0.0; 9], 1, &[0.0], None, 1, relu, Isa::detect());
            layer
                .run(&[], shape, None, &mut [])
                .unwrap_or_else(|error| panic!("{error}"));
        });
    }
    refused("a size", &|| {
        let mut network = new_network(1, Isa::detect());
        let map = identity(&mut network, 1);
        network.side(map, [HALF, HALF]);
    });
}
