//! The products of a training step against their definition in `f64`.

use kernels::train::{Convolution, Depthwise, Geometry};
use kernels::{Error, Isa, Padding};

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
        } else if expected.is_nan() != found.is_nan() || (expected.is_infinite() && f64::from(found) != expected) {
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

/// Sizes of all kinds. Channel counts are replaced by the tests.
fn geometries() -> Vec<Geometry> {
    let plain = Geometry {
        batch: 2,
        size: [7, 5],
        inputs: 1,
        outputs: 1,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding::Same,
    };
    let mut list = vec![
        plain,
        Geometry { size: [1, 1], ..plain },
        Geometry {
            batch: 1,
            size: [1, 9],
            ..plain
        },
        Geometry {
            size: [9, 13],
            padding: Padding::VALID,
            ..plain
        },
        Geometry {
            size: [9, 13],
            padding: Padding::symmetric(2),
            ..plain
        },
        Geometry {
            size: [8, 6],
            padding: explicit([0, 2, 3, 1]),
            ..plain
        },
        Geometry {
            size: [8, 6],
            stride: [2, 2],
            ..plain
        },
        Geometry {
            size: [9, 11],
            stride: [2, 2],
            padding: Padding::VALID,
            ..plain
        },
        Geometry {
            size: [9, 11],
            stride: [2, 3],
            padding: explicit([1, 0, 2, 3]),
            ..plain
        },
        Geometry {
            size: [9, 11],
            dilation: [2, 2],
            ..plain
        },
        Geometry {
            size: [5, 4],
            dilation: [4, 7],
            padding: explicit([4, 7, 4, 7]),
            ..plain
        },
        Geometry {
            size: [12, 10],
            stride: [2, 1],
            dilation: [1, 3],
            padding: explicit([1, 2, 0, 1]),
            ..plain
        },
        Geometry {
            kernel: [1, 1],
            size: [6, 7],
            ..plain
        },
        Geometry {
            kernel: [1, 1],
            size: [1, 1],
            batch: 1,
            ..plain
        },
        Geometry {
            kernel: [1, 1],
            size: [7, 6],
            stride: [2, 2],
            ..plain
        },
        Geometry {
            kernel: [1, 1],
            size: [4, 5],
            stride: [3, 2],
            padding: explicit([1, 2, 0, 1]),
            ..plain
        },
        Geometry {
            kernel: [1, 7],
            size: [6, 9],
            ..plain
        },
        Geometry {
            kernel: [7, 1],
            size: [9, 6],
            ..plain
        },
        Geometry {
            kernel: [7, 7],
            size: [17, 15],
            stride: [2, 2],
            padding: Padding::symmetric(3),
            ..plain
        },
        Geometry {
            kernel: [5, 5],
            size: [3, 2],
            ..plain
        },
        Geometry {
            kernel: [2, 2],
            size: [6, 5],
            stride: [2, 2],
            padding: Padding::VALID,
            ..plain
        },
        Geometry {
            kernel: [2, 4],
            size: [6, 5],
            ..plain
        },
        // Rows and columns that no window looks at.
        Geometry {
            kernel: [2, 2],
            size: [9, 10],
            stride: [4, 4],
            padding: Padding::VALID,
            ..plain
        },
        // Windows on padding alone.
        Geometry {
            kernel: [2, 2],
            size: [3, 3],
            padding: explicit([4, 3, 3, 4]),
            ..plain
        },
    ];
    if cfg!(miri) {
        list.retain(|geometry| geometry.size[0] * geometry.size[1] < 90);
    }
    list
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
