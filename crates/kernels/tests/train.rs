//! The products of a training step against their definition in `f64`.

use std::ops::Range;
use std::sync::Mutex;

use kernels::train::{Convolution, Depthwise, DepthwiseGradients, Geometry, MapInput, MapPart, Reads, Transform};
use kernels::{Error, Isa, Padding};
use rayon::ThreadPoolBuilder;

/// Deterministic numbers in -0.5..0.5.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn output_size(geometry: &Geometry) -> [usize; 2] {
    geometry.output_size().unwrap()
}

/// Calls `visit` with output pixel, tap and input pixel of every product whose input lies on the map: the definition.
fn each_product(geometry: &Geometry, mut visit: impl FnMut(usize, usize, usize)) {
    let Geometry {
        batch,
        size,
        kernel,
        stride,
        dilation,
        ..
    } = *geometry;
    let outputs = output_size(geometry);
    let before = match geometry.padding {
        Padding::Explicit { top, left, .. } => [top, left],
        Padding::Same => [0, 1].map(|axis| {
            let needed = (outputs[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1;
            needed.saturating_sub(size[axis]) / 2
        }),
    };
    let place = |axis: usize, output: usize, tap: usize| {
        (output * stride[axis] + tap * dilation[axis])
            .checked_sub(before[axis])
            .filter(|&place| place < size[axis])
    };
    for picture in 0..batch {
        for (y, x) in (0..outputs[0]).flat_map(|y| (0..outputs[1]).map(move |x| (y, x))) {
            for (row, column) in (0..kernel[0]).flat_map(|row| (0..kernel[1]).map(move |column| (row, column))) {
                if let (Some(from_y), Some(from_x)) = (place(0, y, row), place(1, x, column)) {
                    visit(
                        (picture * outputs[0] + y) * outputs[1] + x,
                        row * kernel[1] + column,
                        (picture * size[0] + from_y) * size[1] + from_x,
                    );
                }
            }
        }
    }
}

/// Output, gradient of the input, gradient of the weights.
type Products<T> = [Vec<T>; 3];

/// Input, weights, gradient of the output.
struct Operands {
    input: Vec<f32>,
    weights: Vec<f32>,
    gradient: Vec<f32>,
}

impl Operands {
    fn new(geometry: &Geometry, depthwise: bool, seed: u64) -> Self {
        let [height, width] = output_size(geometry);
        let taps = geometry.kernel[0] * geometry.kernel[1];
        let inputs = if depthwise { 1 } else { geometry.inputs };
        Self {
            input: numbers(
                geometry.batch * geometry.size[0] * geometry.size[1] * geometry.inputs,
                seed,
            ),
            weights: numbers(geometry.outputs * inputs * taps, seed + 1),
            gradient: numbers(geometry.batch * height * width * geometry.outputs, seed + 2),
        }
    }

    fn naive(&self, geometry: &Geometry, depthwise: bool) -> Products<f64> {
        let Geometry {
            inputs,
            outputs,
            kernel,
            ..
        } = *geometry;
        let taps = kernel[0] * kernel[1];
        let mut products = [&self.gradient, &self.input, &self.weights].map(|like| vec![0.0; like.len()]);
        let [output, input_gradient, weight_gradient] = &mut products;
        each_product(geometry, |to, tap, from| {
            for channel in 0..outputs {
                let summed = if depthwise { channel..channel + 1 } else { 0..inputs };
                for input in summed {
                    let row = if depthwise { channel } else { channel * inputs + input };
                    let (at_output, at_weight, at_input) =
                        (to * outputs + channel, row * taps + tap, from * inputs + input);
                    let value = f64::from(self.input[at_input]);
                    let weight = f64::from(self.weights[at_weight]);
                    let gradient = f64::from(self.gradient[at_output]);
                    output[at_output] += value * weight;
                    input_gradient[at_input] += gradient * weight;
                    weight_gradient[at_weight] += gradient * value;
                }
            }
        });
        products
    }

    fn ours(&self, geometry: &Geometry, depthwise: bool, isa: Isa) -> Products<f32> {
        // Nothing of what was there before may stay.
        let mut products = [&self.gradient, &self.input, &self.weights].map(|like| vec![f32::NAN; like.len()]);
        let [output, input_gradient, weight_gradient] = &mut products;
        let Self {
            input,
            weights,
            gradient,
        } = self;
        if depthwise {
            let op = Depthwise::new(geometry, isa).unwrap();
            op.forward(input, weights, output).unwrap();
            op.input_gradient(weights, gradient, input_gradient).unwrap();
            op.weight_gradient(input, gradient, weight_gradient).unwrap();
        } else {
            let op = Convolution::new(geometry, isa).unwrap();
            op.forward(input, weights, output).unwrap();
            op.input_gradient(weights, gradient, input_gradient).unwrap();
            op.weight_gradient(input, gradient, weight_gradient).unwrap();
        }
        products
    }
}

const NAMES: [&str; 3] = ["output", "input gradient", "weight gradient"];

/// The distance in norm relative to the norm of `expected`; values that are not finite have to be the same.
fn distance(found: &[f32], expected: &[f64]) -> f64 {
    let (mut difference, mut norm) = (0.0, 0.0);
    for (&found, &expected) in found.iter().zip(expected) {
        if expected.is_finite() {
            difference += (f64::from(found) - expected).powi(2);
            norm += expected.powi(2);
        } else if expected.is_nan() != found.is_nan()
            || (expected.is_infinite() && f64::from(found).to_bits() != expected.to_bits())
        {
            return f64::INFINITY;
        }
    }
    if difference == 0.0 {
        0.0
    } else {
        (difference / norm).sqrt()
    }
}

fn check(geometry: &Geometry, depthwise: bool) {
    let operands = Operands::new(geometry, depthwise, 7);
    let expected = operands.naive(geometry, depthwise);
    for isa in Isa::available() {
        let found = operands.ours(geometry, depthwise, isa);
        for ((name, found), expected) in NAMES.iter().zip(&found).zip(&expected) {
            let distance = distance(found, expected);
            assert!(
                distance <= 1e-5,
                "{name}, depthwise: {depthwise}, {}: {distance:e}, {geometry:?}",
                isa.name()
            );
        }
    }
}

fn explicit([top, left, bottom, right]: [usize; 4]) -> Padding {
    Padding::Explicit {
        top,
        left,
        bottom,
        right,
    }
}

/// Height and width, kernel, stride, dilation, padding.
type Row = ([usize; 2], [usize; 2], [usize; 2], [usize; 2], Padding);

/// Sizes of all kinds. Channel counts are replaced by the tests.
fn geometries() -> Vec<Geometry> {
    let (same, valid) = (Padding::Same, Padding::VALID);
    let table: [Row; 24] = [
        ([7, 5], [3, 3], [1, 1], [1, 1], same),
        ([1, 1], [3, 3], [1, 1], [1, 1], same),
        ([1, 9], [3, 3], [1, 1], [1, 1], same),
        ([9, 13], [3, 3], [1, 1], [1, 1], valid),
        ([9, 13], [3, 3], [1, 1], [1, 1], Padding::symmetric(2)),
        ([8, 6], [3, 3], [1, 1], [1, 1], explicit([0, 2, 3, 1])),
        ([8, 6], [3, 3], [2, 2], [1, 1], same),
        ([9, 11], [3, 3], [2, 2], [1, 1], valid),
        ([9, 11], [3, 3], [2, 3], [1, 1], explicit([1, 0, 2, 3])),
        ([9, 11], [3, 3], [1, 1], [2, 2], same),
        ([5, 4], [3, 3], [1, 1], [4, 7], explicit([4, 7, 4, 7])),
        ([12, 10], [3, 3], [2, 1], [1, 3], explicit([1, 2, 0, 1])),
        ([6, 7], [1, 1], [1, 1], [1, 1], same),
        ([1, 1], [1, 1], [1, 1], [1, 1], same),
        ([7, 6], [1, 1], [2, 2], [1, 1], same),
        ([4, 5], [1, 1], [3, 2], [1, 1], explicit([1, 2, 0, 1])),
        ([6, 9], [1, 7], [1, 1], [1, 1], same),
        ([9, 6], [7, 1], [1, 1], [1, 1], same),
        ([17, 15], [7, 7], [2, 2], [1, 1], Padding::symmetric(3)),
        ([3, 2], [5, 5], [1, 1], [1, 1], same),
        ([6, 5], [2, 2], [2, 2], [1, 1], valid),
        ([6, 5], [2, 4], [1, 1], [1, 1], same),
        // Rows and columns that no window looks at.
        ([9, 10], [2, 2], [4, 4], [1, 1], valid),
        // Windows on padding alone.
        ([3, 3], [2, 2], [1, 1], [1, 1], explicit([4, 3, 3, 4])),
    ];
    let small = |row: &&Row| !cfg!(miri) || row.0[0] * row.0[1] < 25;
    let geometry = |&(size, kernel, stride, dilation, padding): &Row| Geometry {
        batch: if size[0] == 1 { 1 } else { 2 },
        size,
        inputs: 1,
        outputs: 1,
        kernel,
        stride,
        dilation,
        padding,
    };
    table.iter().filter(small).map(geometry).collect()
}

#[test]
fn convolutions_match_their_definition() {
    let channels = if cfg!(miri) {
        &[[3, 5]][..]
    } else {
        &[[1, 1], [3, 32], [8, 16], [17, 7], [37, 50]]
    };
    for geometry in geometries() {
        for &[inputs, outputs] in channels {
            check(
                &Geometry {
                    inputs,
                    outputs,
                    ..geometry
                },
                false,
            );
        }
    }
}

/// More pixels, inputs and outputs than a block, and more than a part.
#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn convolutions_of_many_blocks_match_their_definition() {
    let (same, unit) = (Padding::Same, [1, 1]);
    let table = [
        ([37, 31], 70, 20, [1, 1], unit),
        ([9, 7], 700, 41, [1, 1], unit),
        ([9, 7], 33, 401, [1, 1], unit),
        ([31, 33], 20, 35, [1, 1], [2, 2]),
        ([21, 19], 100, 24, [3, 3], unit),
        ([21, 19], 36, 40, [3, 3], [2, 2]),
    ];
    for (size, inputs, outputs, kernel, stride) in table {
        let geometry = Geometry {
            batch: 3,
            size,
            inputs,
            outputs,
            kernel,
            stride,
            dilation: unit,
            padding: same,
        };
        check(&geometry, false);
    }
}

#[test]
fn depthwise_convolutions_match_their_definition() {
    let channels: &[usize] = if cfg!(miri) { &[9] } else { &[1, 5, 8, 16, 23, 40] };
    for geometry in geometries() {
        for &channels in channels {
            check(
                &Geometry {
                    inputs: channels,
                    outputs: channels,
                    ..geometry
                },
                true,
            );
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let geometry = Geometry {
        batch: 3,
        size: [13, 11],
        inputs: 40,
        outputs: 40,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding::Same,
    };
    let small = [Geometry {
        size: [5, 4],
        inputs: 5,
        outputs: 5,
        ..geometry
    }];
    let list = [
        geometry,
        Geometry {
            kernel: [1, 1],
            size: [37, 31],
            ..geometry
        },
        Geometry {
            stride: [2, 2],
            ..geometry
        },
        // Too large a gradient for sums of its own in every part.
        Geometry {
            batch: 1,
            size: [9, 7],
            inputs: 400,
            outputs: 400,
            kernel: [1, 1],
            ..geometry
        },
    ];
    for geometry in if cfg!(miri) { &small[..] } else { &list } {
        for depthwise in [false, true] {
            let operands = Operands::new(geometry, depthwise, 3);
            let products = [1, 2, 3, 5].map(|threads| {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let products = pool.install(|| operands.ours(geometry, depthwise, Isa::detect()));
                products.map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            });
            assert!(products.iter().all(|other| *other == products[0]), "{geometry:?}");
        }
    }
}

/// NaN and infinities go where the definition takes them, and nowhere else. Padding is not looked at: a tap beyond the
/// edge takes nothing from an infinite gradient.
#[test]
fn values_that_are_not_finite_go_where_they_belong() {
    let plain = Geometry {
        batch: 1,
        size: [5, 6],
        inputs: 19,
        outputs: 19,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding::Same,
    };
    let pointwise = Geometry {
        kernel: [1, 1],
        ..plain
    };
    for (geometry, depthwise) in [(plain, true), (pointwise, false)] {
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let places = [0, 18, 19 * 17 + 4, 19 * 30 - 1];
            for place in places.into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
                let mut operands = Operands::new(&geometry, depthwise, 11);
                operands.input[place] = special;
                operands.gradient[place / 2] = special;
                let expected = operands.naive(&geometry, depthwise);
                for isa in Isa::available() {
                    let found = operands.ours(&geometry, depthwise, isa);
                    for ((name, found), expected) in NAMES.iter().zip(&found).zip(&expected) {
                        let distance = distance(found, expected);
                        assert!(
                            distance <= 1e-5,
                            "{name}, depthwise: {depthwise}, {}, {special} at {place}: {distance:e}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }
}

/// The fused backward pass against passes of its own in `f64`.
#[test]
fn a_depthwise_convolution_of_a_transformed_input_matches_its_definition() {
    let channels: &[usize] = if cfg!(miri) { &[5] } else { &[5, 16, 27] };
    for geometry in geometries() {
        for &channels in channels {
            let geometry = Geometry {
                inputs: channels,
                outputs: channels,
                ..geometry
            };
            for (normed, relu) in [(false, true), (true, false), (true, true)] {
                check_transformed(&geometry, normed, relu);
            }
        }
    }
}

fn check_transformed(geometry: &Geometry, normed: bool, relu: bool) {
    let channels = geometry.inputs;
    let operands = Operands::new(geometry, true, 5);
    let norm = [21, 22, 23].map(|seed| numbers(channels, seed));
    let added = numbers(operands.input.len(), 24);
    let transform = Transform {
        norm: normed.then(|| [&norm[0][..], &norm[1], &norm[2]]),
        relu,
    };
    // The definition.
    let of = |index: usize| {
        let value = f64::from(operands.input[index]);
        let [centre, scale, shift] = [0, 1, 2].map(|number| f64::from(norm[number][index % channels]));
        let value = if normed {
            (value - centre) * scale + shift
        } else {
            value
        };
        if relu { value.max(0.0) } else { value }
    };
    let mut expected = [&operands.gradient, &operands.input, &operands.weights].map(|like| vec![0.0; like.len()]);
    let [output, input_gradient, weight_gradient] = &mut expected;
    let taps = geometry.kernel[0] * geometry.kernel[1];
    each_product(geometry, |to, tap, from| {
        for channel in 0..channels {
            let (to, from, tap) = (to * channels + channel, from * channels + channel, channel * taps + tap);
            let gradient = f64::from(operands.gradient[to]);
            output[to] += of(from) * f64::from(operands.weights[tap]);
            weight_gradient[tap] += of(from) * gradient;
            input_gradient[from] += f64::from(operands.weights[tap]) * gradient;
        }
    });
    let mut sums = [vec![0.0; channels], vec![0.0; channels]];
    for (index, gradient) in input_gradient.iter_mut().enumerate() {
        if relu && of(index) <= 0.0 {
            *gradient = 0.0;
        }
        *gradient += f64::from(added[index]);
        let centre = if normed { norm[0][index % channels] } else { 0.0 };
        sums[0][index % channels] += *gradient;
        sums[1][index % channels] += *gradient * f64::from(operands.input[index] - centre);
    }
    for isa in Isa::available() {
        let op = Depthwise::new(geometry, isa).unwrap();
        let Operands {
            input,
            weights,
            gradient,
        } = &operands;
        let mut found = expected.clone().map(|like| vec![f32::NAN; like.len()]);
        let mut found_sums = sums.clone().map(|like| vec![f32::NAN; like.len()]);
        op.forward_of(&transform, input, weights, &mut found[0]).unwrap();
        for (wants_input, wants_weights) in [(true, true), (true, false), (false, true)] {
            let [_, input_gradient, weight_gradient] = &mut found;
            let gradients = DepthwiseGradients {
                input: wants_input.then_some(&mut input_gradient[..]),
                added: Some(&added),
                sums: Some(found_sums.each_mut().map(|sums| &mut sums[..])),
                weights: wants_weights.then_some(&mut weight_gradient[..]),
            };
            op.backward(&transform, [input, weights, gradient], gradients).unwrap();
            let pairs = found.iter().zip(&expected).chain(found_sums.iter().zip(&sums));
            for (number, (found, expected)) in pairs.enumerate() {
                let distance = distance(found, expected);
                assert!(
                    distance <= 1e-5,
                    "{number}, norm {normed}, relu {relu}, {}: {distance:e}, {geometry:?}",
                    isa.name()
                );
            }
        }
    }
}

/// A convolution of a map that a depthwise convolution makes part by part, each part of the output counted.
#[test]
fn parts_are_made_before_they_are_read_and_visited_after_they_are_written() {
    let dense: &[_] = if cfg!(miri) {
        &[([1, 1], 7), ([3, 2], 5)]
    } else {
        &[([1, 1], 7), ([1, 1], 400), ([3, 2], 40)]
    };
    for geometry in geometries() {
        let depthwise = Geometry {
            inputs: 19,
            outputs: 19,
            ..geometry
        };
        let size = output_size(&depthwise);
        for &(kernel, outputs) in dense {
            let dense = Geometry {
                size,
                kernel,
                stride: [1; 2],
                dilation: [1; 2],
                padding: Padding::Same,
                outputs,
                ..depthwise
            };
            let (first, second) = (Operands::new(&depthwise, true, 1), Operands::new(&dense, false, 2));
            let transform = Transform { norm: None, relu: true };
            for threads in [1, 3] {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| check_parts(&transform, [&depthwise, &dense], [&first, &second]));
            }
        }
    }
}

fn check_parts(transform: &Transform<'_>, [depthwise, dense]: [&Geometry; 2], [first, second]: [&Operands; 2]) {
    let maker = Depthwise::new(depthwise, Isa::detect()).unwrap();
    let reader = Convolution::new(dense, Isa::detect()).unwrap();
    let mut expected = [&first.gradient, &second.gradient, &second.input].map(|like| vec![0.0; like.len()]);
    maker
        .forward_of(transform, &first.input, &first.weights, &mut expected[0])
        .unwrap();
    let [map, output, gradient] = &mut expected;
    reader.forward(map, &second.weights, output).unwrap();
    reader
        .input_gradient(&second.weights, &second.gradient, gradient)
        .unwrap();

    let mut found = expected.clone().map(|like| vec![f32::NAN; like.len()]);
    let [map, output, gradient] = &mut found;
    let make = |part: MapPart<'_>| {
        maker
            .forward_part(transform, &first.input, &first.weights, part)
            .unwrap();
    };
    let visited = Mutex::new(Vec::new());
    let visit = |part: MapPart<'_>| {
        assert_eq!(part.values.len() % part.pixels.len(), 0);
        assert!(part.values.iter().all(|value| value.is_finite()));
        visited.lock().unwrap().push((part.index, part.pixels));
    };
    reader
        .forward_of(MapInput::Made(map, &make), &second.weights, output, Some(&visit))
        .unwrap();
    let [output_parts, gradient_parts] = [output.len() / dense.outputs, gradient.len() / dense.inputs];
    check_visits(&visited, output_parts);
    let mut copy = vec![0.0; second.gradient.len()];
    let copies = |part: MapPart<'_>| {
        let first = part.pixels.start * dense.outputs;
        part.values
            .copy_from_slice(&second.gradient[first..first + part.values.len()]);
    };
    reader
        .input_gradient_of(
            &second.weights,
            MapInput::Made(&mut copy, &copies),
            gradient,
            Some(&visit),
        )
        .unwrap();
    check_visits(&visited, gradient_parts);
    assert_eq!(found, expected);

    let reads = Reads {
        values: &first.input,
        beyond: depthwise.size[1] * depthwise.inputs,
    };
    let [mut map_again, mut gradient_again] = [&expected[0], &expected[2]].map(|like| vec![f32::NAN; like.len()]);
    let output = &mut found[1];
    output.fill(f32::NAN);
    reader
        .forward_of(MapInput::Fleeting(&make, reads), &second.weights, output, Some(&visit))
        .unwrap();
    check_visits(&visited, output_parts);
    reader
        .input_gradient_of(
            &second.weights,
            MapInput::Fleeting(&copies, Reads::default()),
            &mut gradient_again,
            None,
        )
        .unwrap();
    assert_eq!([&found[1], &gradient_again], [&expected[1], &expected[2]]);
    let mut products = [(); 3].map(|()| vec![f32::NAN; second.weights.len()]);
    let [of_map, filled, fleeting] = &mut products;
    reader.weight_gradient(&expected[0], &second.gradient, of_map).unwrap();
    reader
        .weight_gradient_of(MapInput::Made(&mut map_again, &make), &second.gradient, filled)
        .unwrap();
    reader
        .weight_gradient_of(MapInput::Fleeting(&make, reads), &second.gradient, fleeting)
        .unwrap();
    assert!(products[1] == products[0] && products[2] == products[0]);
}

/// Every pixel is visited once, in parts that are numbered in order.
fn check_visits(visited: &Mutex<Vec<(usize, Range<usize>)>>, pixels: usize) {
    let mut parts = std::mem::take(&mut *visited.lock().unwrap());
    parts.sort_by_key(|(index, _)| *index);
    let mut end = 0;
    for (number, (index, part)) in parts.into_iter().enumerate() {
        assert_eq!((index, part.start), (number, end));
        end = part.end;
    }
    assert_eq!(end, pixels);
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let geometry = Geometry {
        batch: 1,
        size: [2, 2],
        inputs: 2,
        outputs: 3,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding::Same,
    };
    let isa = Isa::portable();
    assert!(matches!(
        Depthwise::new(&geometry, isa),
        Err(Error::Channels {
            expected: 2,
            found: 3,
            ..
        })
    ));
    let valid = Geometry {
        padding: Padding::VALID,
        ..geometry
    };
    assert!(matches!(Convolution::new(&valid, isa), Err(Error::Window { .. })));
    let empty = Geometry { inputs: 0, ..geometry };
    assert!(matches!(Convolution::new(&empty, isa), Err(Error::Zero { .. })));
    let empty = Geometry { batch: 0, ..geometry };
    assert!(matches!(Convolution::new(&empty, isa), Err(Error::Zero { .. })));
    let op = Convolution::new(&geometry, isa).unwrap();
    assert_eq!(op.output_size(), [2, 2]);
    let (input, weights) = ([0.0; 8], [0.0; 54]);
    let error = op.forward(&input, &weights, &mut [0.0; 11]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "convolution: expected 12 values for the output map, found 11"
    );
    assert!(op.forward(&input[1..], &weights, &mut [0.0; 12]).is_err());
    assert!(op.input_gradient(&weights[1..], &[0.0; 12], &mut [0.0; 8]).is_err());
    assert!(op.weight_gradient(&input, &[0.0; 12], &mut [0.0; 55]).is_err());
}
