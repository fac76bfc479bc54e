//! The memory of this process.

use std::fs;

/// The most bytes that the process had in memory at once since it started, or since [`reset_peak`]. Linux only.
pub fn peak() -> Option<u64> {
    // proc_pid_status(5)
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Makes [`peak`] start again from the memory in use now. Where the system cannot, [`peak`] still counts from the start
/// of the process.
pub fn reset_peak() {
    // proc_pid_clear_refs(5)
    drop(fs::write("/proc/self/clear_refs", "5"));
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn freed_memory_counts_until_the_peak_is_reset() {
        const BLOCK: usize = 64 << 20;
        drop(std::hint::black_box(vec![1_u8; BLOCK]));
        let before = peak().unwrap();
        assert!(before > BLOCK as u64, "{before}");
        reset_peak();
        let after = peak().unwrap();
        assert!(after + BLOCK as u64 / 2 < before, "{after}, {before}");
    }
}
