//! The machine's peak: multiply-adds in registers.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::isa::{Isa, Kernel};
use super::lanes::Lanes;

/// Independent chains of multiply-adds: as many as keep two units of latency 4 busy, and no more than the registers
/// hold.
const CHAINS: usize = 12;
const STEPS: usize = 20_000;

/// Floating-point operations per second of one thread that multiplies and adds in registers: the limit of any kernel on
/// this machine. The best of a few milliseconds.
pub fn peak(isa: Isa) -> f64 {
    let mut best = Duration::MAX;
    let mut operations = 0;
    for _ in 0..20 {
        let start = Instant::now();
        // SAFETY: it uses no memory but its own.
        operations = unsafe { isa.run(Chains) };
        best = best.min(start.elapsed());
    }
    operations as f64 / best.as_secs_f64()
}

struct Chains;

impl Kernel for Chains {
    type Output = usize;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> usize {
        let mut sums = [V::splat(black_box(1.0)); CHAINS];
        let factor = V::splat(black_box(0.5));
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, factor);
            }
        }
        let mut out = [0.0; 16];
        for sum in sums {
            // SAFETY: no vector is wider than sixteen values.
            unsafe { sum.store(out.as_mut_ptr()) };
            black_box(out);
        }
        2 * STEPS * CHAINS * V::WIDTH
    }
}
