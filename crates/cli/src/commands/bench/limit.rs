//! The limit of the processor.

use kernels::Isa;
use rayon::ThreadPool;
use serde::Serialize;

/// The rate at which the processor multiplies and adds in registers alone.
#[derive(Debug, Serialize)]
pub struct Limit {
    pub threads: usize,
    pub flops_per_second: f64,
}

/// The rate of all threads of a pool together, measured once for each number of threads.
pub fn limit<'a>(limits: &'a mut Vec<Limit>, threads: usize, workers: &ThreadPool) -> &'a Limit {
    let index = limits
        .iter()
        .position(|limit| limit.threads == threads)
        .unwrap_or_else(|| {
            let isa = Isa::detect();
            limits.push(Limit {
                threads,
                flops_per_second: workers.broadcast(|_| kernels::peak(isa)).iter().sum(),
            });
            limits.len() - 1
        });
    &limits[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_measured_once() {
        let mut limits = Vec::new();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let first = limit(&mut limits, 2, &pool).flops_per_second;
        assert!(first > 0.0);
        assert_eq!(limit(&mut limits, 2, &pool).flops_per_second.to_bits(), first.to_bits());
        assert_eq!(limits.len(), 1);
    }
}
