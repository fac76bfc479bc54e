//! NaN, infinities and denormals.

use kernels::{GlobalPoolKind as GlobalPool, Isa};

use crate::common::reference::*;
use crate::common::{Build, MaxPool, SeparableRelu, new_network};

/// NaN and infinity appear exactly where the definition has them, and never come from padding.
#[test]
fn nan_infinity_and_denormals_pass_as_they_should() {
    for isa in Isa::available() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-40, -0.0] {
            let channels = 11;
            let picture = Map::filled(channels, 7, 6, |channel, y, x| match (channel, y, x) {
                (3, 2, 4) => f64::from(odd),
                _ => (channel + y + x) as f64 / 64.0,
            });
            // One input channel for each output, so that 0 x infinity makes no NaN of its own.
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

/// If all values are denormal, none is flushed to zero.
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

fn relu_f32(value: f64) -> f64 {
    if value.is_nan() || value > 0.0 { value } else { 0.0 }
}
