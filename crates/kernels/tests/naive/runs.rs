//! Whole runs: threads, cascades, instruction sets, several values.

use kernels::{Activation, Convolution, GlobalPoolKind as GlobalPool, Isa, Network, Padding, Value};

use crate::common::reference::*;
use crate::common::{Build, MaxPool, SeparableRelu, new_network};

/// The variable is read in a second process, which runs this test as well and only prints.
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
            .args(["--exact", "runs::a_variable_chooses_the_instructions", "--nocapture"])
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

/// The picture is a value like any other.
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

/// Outputs of several threads equal those of one thread, bit for bit: how a layer is cut changes no sum.
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

/// Layers of one size start after the layer before is done, in whatever order the threads arrive.
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

/// Layers that are computed together, row by row, give the same as one after the other.
#[test]
fn rows_in_turn_are_layers_one_after_the_other() {
    // With a pooling last, and with a depthwise convolution last.
    let mut together = [0; 2];
    let rounds = if cfg!(miri) { 2 } else { 160 };
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
        let ends_in_depthwise = random.yes();
        let end = if ends_in_depthwise {
            let channels = widths[widths.len() - 1];
            let (weights, bias) = (random.values(9 * channels), random.values(channels));
            let depthwise = Convolution {
                bias: Some(&bias),
                stride: [1 + stride, random.size(3)],
                padding: if random.yes() {
                    Padding::Same
                } else {
                    Padding::symmetric(1)
                },
                groups: channels,
                activation: if random.yes() {
                    Activation::Relu
                } else {
                    Activation::None
                },
                ..Convolution::new(last, &weights, channels, [3; 2])
            };
            network.convolution(depthwise).unwrap()
        } else {
            network.pool3(last, pool, projection)
        };

        let batch = random.size(2);
        let picture = random.odd_values(batch * 2 * height * width);
        let shape = [batch, height, width];
        let memory = |value: Value| {
            let [height, width] = network.side(value, [height, width]);
            vec![f32::NAN; batch * network.channels(value).unwrap() * height * width]
        };
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        // If a caller asks for a value in between, the layers are not computed together.
        let (mut expected, mut between) = (memory(end), memory(last));
        network.go(&picture, shape, &mut [(end, &mut expected), (last, &mut between)]);
        for threads in [1, 2, 3, 5] {
            let mut output = memory(end);
            let workers = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let times = workers.install(|| network.times(&picture, shape, &mut [(end, &mut output)]));
            // All of their time is counted at the last one.
            together[usize::from(ends_in_depthwise)] += usize::from(times[times.len() - 2].is_zero());
            let what = format!(
                "{widths:?}, {height} x {width}, {pool:?}, depthwise {ends_in_depthwise}, {threads} threads, {}",
                isa.name()
            );
            assert_eq!(bits(&output), bits(&expected), "{what}");
        }
    }
    assert!(
        together.iter().all(|count| *count > 0),
        "computed together: {together:?}"
    );
}

/// A machine without vector instructions gives the same answers: every kind of layer in one network, portable against
/// the best instruction set of this machine.
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

/// The index of the layer of a value: the last layer of a network that ends with it.
fn unused_layer(network: &Network, _: Value) -> usize {
    network.counts([15, 15]).len() - 1
}
