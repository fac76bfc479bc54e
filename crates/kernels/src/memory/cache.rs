//! The size of the second-level cache, which decides how layers are cut into jobs.

use std::sync::OnceLock;

/// Used when the machine does not report a size: the smallest of today's servers and laptops.
const DEFAULT: usize = 512 * 1024;

/// Bytes of a core's second-level cache.
pub(crate) fn second_level() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| reported().filter(|&bytes| bytes > 0).unwrap_or(DEFAULT))
}

#[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), not(miri)))]
fn reported() -> Option<usize> {
    let caches = raw_cpuid::CpuId::new().get_cache_parameters()?;
    caches
        .filter(|cache| cache.level() == 2 && cache.cache_type() != raw_cpuid::CacheType::Instruction)
        .map(|cache| {
            cache.associativity() * cache.physical_line_partitions() * cache.coherency_line_size() * cache.sets()
        })
        .max()
}

#[cfg(not(all(any(target_arch = "x86", target_arch = "x86_64"), not(miri))))]
fn reported() -> Option<usize> {
    None
}
