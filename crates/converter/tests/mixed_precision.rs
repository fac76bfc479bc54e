//! Models that Keras computes in 16 bits (`scripts/fixtures/keras_mixed_precision.py`): a warning names the policy, and
//! the numbers are Keras's with the same weights in 32 bits.

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use common::{Bench, relative};
use converter::{Known, open};
use flate2::read::GzDecoder;
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    side: usize,
    outputs: BTreeMap<String, Outputs>,
}

#[derive(Deserialize)]
struct Outputs {
    policy: Vec<f32>,
    float32: Vec<f32>,
}

#[test]
fn a_policy_of_16_bits_is_named_and_32_bits_are_exact() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mixed");
    let text = std::fs::read(fixtures.join("expected.json")).unwrap();
    let Expected { side, outputs } = serde_json::from_slice(&text).unwrap();
    let bench = Bench::new();
    for (name, expected) in outputs {
        let mut bytes = Vec::new();
        let packed = std::fs::File::open(fixtures.join(format!("{name}.gz"))).unwrap();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        let path = bench.write(&name, bytes);
        let policy = name.split('.').next().unwrap();

        let source = open(&path, &Known::default()).unwrap();
        let said = source.policy.as_ref().expect("a policy").to_string();
        assert!(said.contains(&format!("policy {policy},")), "{said}");
        let (network, spec) = source.load(&Device::flex()).unwrap();
        let pixel = |at: usize| (127.5 * (1.0 + (at as f64 / 7.0).sin())).round_ties_even() as f32;
        let pixels = (0..side * side).map(|at| [0, 1, 2].map(|channel| pixel(3 * at + channel)));
        let values: Vec<f32> = pixels.flat_map(|rgb| spec.input.scaling.apply(rgb)).collect();
        let pictures = Tensor::<4>::from_data(TensorData::new(values, [1, side, side, 3]), &Device::flex());
        let found = network.forward(pictures.permute([0, 3, 1, 2])).unwrap().into_data();
        let found: Vec<f32> = found.iter::<f32>().collect();
        let (exact, rounded) = (relative(&found, &expected.float32), relative(&found, &expected.policy));
        assert!(exact < 1e-5, "{name} is off by {exact:.1e}");
        assert!(rounded > 1e-4, "{name}: Keras's 16 bits differ by {rounded:.1e} only");

        let run = bench.run(&["convert", &name, &format!("{name}.bpk")]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(
            run.stderr.contains("warning: ") && run.stderr.contains(policy),
            "{}",
            run.stderr
        );
    }
}
