//! Times training steps of Xception on this machine's processor: `training_step [burn] [SIZE] [BATCH] [STEPS]
//! [full|frozen|head]`.
//!
//! `burn` runs on Burn's operations instead of the training kernels; `frozen` trains all weights with the norms'
//! running statistics, and `head` the classifier alone. `RAYON_NUM_THREADS` says how many threads compute.

use std::time::Instant;

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use xception_model::XceptionConfig;

/// A line of `/proc/self/status` or a field of `/proc/self/stat`, in MB or as a count.
fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
        / 1024
}

fn minor_faults() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default();
    fields
        .split_whitespace()
        .nth(7)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

struct StopNorms;

impl ModuleMapper for StopNorms {
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        flag.with_value(false)
    }
}

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let burn = words.first().is_some_and(|word| word == "burn");
    if burn {
        words.remove(0);
    }
    let mode = words
        .pop_if(|word| word.parse::<usize>().is_err())
        .unwrap_or("full".into());
    let number = |index: usize, default: usize| words.get(index).and_then(|word| word.parse().ok()).unwrap_or(default);
    let (size, batch, steps) = (number(0, 299), number(1, 8), number(2, 4));

    let plain = Device::flex();
    plain.seed(1);
    let device = plain.clone().autodiff();
    let mut model = XceptionConfig::new().init(&plain).expect("Xception").train();
    match mode.as_str() {
        "frozen" => model = model.map(&mut StopNorms),
        "head" => {
            model = model.map(&mut StopNorms);
            for (name, group) in model.blocks() {
                if name != "head" {
                    model = model.freeze_group(group);
                }
            }
        }
        _ => {}
    }
    let momentum = MomentumConfig::new().with_dampening(0.0);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let labels: Vec<i64> = (0..batch).map(|picture| picture as i64 * 37 % 1000).collect();
    let images = Tensor::<4>::random([batch, 3, size, size], Distribution::Uniform(-1.0, 1.0), &device);
    let loss = CrossEntropyLossConfig::new().init(&device);
    for step in 0..steps {
        let (start, faults) = (Instant::now(), minor_faults());
        let forward = || model.forward(images.clone()).expect("a valid input");
        let logits = if burn {
            xception_model::with_burn_operations(forward)
        } else {
            forward()
        };
        let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
        let value = loss.forward(logits, labels);
        let shown: f32 = value.clone().into_scalar();
        let forward = start.elapsed().as_secs_f64();
        let gradients = GradientsParams::from_grads(value.backward(), &model);
        let backward = start.elapsed().as_secs_f64() - forward;
        model = optimizer.step(1e-3, model, gradients);
        let all = start.elapsed().as_secs_f64();
        println!(
            "step {step}: loss {shown:.6}, {:.3} pictures/s; forward {forward:.3} s, backward {backward:.3} s, \
             update {:.3} s; \
             {} faults, peak {} MB, now {} MB",
            batch as f64 / all,
            all - forward - backward,
            minor_faults() - faults,
            status("VmHWM"),
            status("VmRSS"),
        );
    }
}
