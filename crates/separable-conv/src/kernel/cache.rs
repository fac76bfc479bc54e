//! How much of what a thread works on stays near it.

use std::sync::OnceLock;

/// Where the machine doesn't say: the smallest of today's servers and laptops.
const USUAL: usize = 512 * 1024;

/// Bytes of a core's second-level cache.
pub(crate) fn second_level() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| asked().filter(|&bytes| bytes > 0).unwrap_or(USUAL))
}

#[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), not(miri)))]
fn asked() -> Option<usize> {
    let caches = raw_cpuid::CpuId::new().get_cache_parameters()?;
    caches
        .filter(|cache| cache.level() == 2 && cache.cache_type() != raw_cpuid::CacheType::Instruction)
        .map(|cache| {
            cache.associativity() * cache.physical_line_partitions() * cache.coherency_line_size() * cache.sets()
        })
        .max()
}

#[cfg(not(all(any(target_arch = "x86", target_arch = "x86_64"), not(miri))))]
fn asked() -> Option<usize> {
    None
}
