//! A training step uses the memory of the step before. The only test of its process: others would take memory
//! meanwhile.

#![cfg(target_os = "linux")]

use burn::tensor::Device;
use trainer::{StepKind, StepTimer};
use xception_model::XceptionConfig;

/// Pages that this process has touched for the first time (`proc_pid_stat(5)`, `minflt`).
fn faults() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, behind) = text.rsplit_once(')').unwrap();
    behind.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn from_the_third_step_on_no_memory_is_new() {
    for kind in StepKind::ALL {
        let network = XceptionConfig::new()
            .with_num_classes(10)
            .with_middle_blocks(1)
            .init(&Device::flex())
            .unwrap();
        let mut timer = StepTimer::new(network, kind, [2, 151, 151], &Device::flex());
        // The first makes the optimizer's state, and the second is the first to find it.
        for _ in 0..2 {
            timer.step();
        }
        let before = faults();
        for _ in 0..3 {
            timer.step();
        }
        let new = faults() - before;
        // 1.6 MB; the maps of a step have 120 MB, its gradients 50 MB.
        assert!(new < 400, "{kind:?}: {new} pages of 4 KiB");
    }
}
