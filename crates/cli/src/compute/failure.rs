//! Devices that fail while they compute.

use anyhow::anyhow;

use crate::compute::device::DeviceName;
use crate::compute::panics::catch;

/// Runs `work` on devices. A device that fails (a graphics card without free memory, another machine that is gone)
/// makes Burn panic; the panic becomes an error that ends with `advice`. A panic on the processor is a bug, and stays a
/// panic.
pub fn as_error<T>(
    devices: &[&DeviceName],
    advice: &str,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if devices.iter().all(|device| device.uses_rayon()) {
        return work();
    }
    catch(work).unwrap_or_else(|problem| {
        let names: Vec<String> = devices.iter().map(ToString::to_string).collect();
        // Burn's advice to programmers may precede the reason.
        let problem = problem.rsplit("at runtime: ").next().unwrap_or(&problem);
        Err(anyhow!("device {} failed: {problem}; {advice}", names.join(" or ")))
    })
}
