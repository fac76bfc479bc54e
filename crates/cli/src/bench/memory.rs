//! How much memory this process takes.

use std::fs;

/// The most bytes the process has had in memory at a time since it started, or since [`forget`]. Linux says; other systems
/// don't.
pub fn peak() -> Option<u64> {
    // proc_pid_status(5)
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Makes [`peak`] begin anew. Where that can't be done, it goes on from the start of the process.
pub fn forget() {
    // proc_pid_clear_refs(5)
    drop(fs::write("/proc/self/clear_refs", "5"));
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_counts_until_it_is_forgotten() {
        const BLOCK: usize = 64 << 20;
        drop(std::hint::black_box(vec![1_u8; BLOCK]));
        let before = peak().unwrap();
        assert!(before > BLOCK as u64, "{before}");
        forget();
        let after = peak().unwrap();
        assert!(after + BLOCK as u64 / 2 < before, "{after}, {before}");
    }
}
