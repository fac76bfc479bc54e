//! Memory for the maps of training and scratch memory for products, reused by later steps. A step that repeats the
//! sizes of the last step, and holds as much when it ends, touches no new page.

use core::ptr::NonNull;
use core::slice;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memmap2::{MmapMut, MmapOptions};

/// Bytes that blocks are rounded up to: a cache line.
const LINE: usize = 64;

/// Address space reserved at once. Pages cost memory when they are first written.
const REGION: usize = if cfg!(target_pointer_width = "64") {
    1 << 30
} else {
    64 << 20
};

/// A multiple of the bytes of a page on every machine.
#[cfg(unix)]
const PAGE: usize = 64 << 10;

/// Start of a region within its mapping: large pages have this alignment.
const LARGE_PAGE: usize = 2 << 20;

static HEAP: Mutex<Heap> = Mutex::new(Heap { regions: Vec::new() });

/// Bytes of the heap that only their holder uses. They are zeros or what an earlier holder wrote.
pub(crate) struct Block {
    /// The first byte. All bytes lie in a region that lives as long as it has blocks, or in the block's own vector.
    /// Both were zeroed when they were made, and no two blocks overlap.
    address: NonNull<u8>,
    bytes: usize,
    memory: Memory,
}

enum Memory {
    /// A part of the region of this number.
    Part(usize),
    /// A vector, if the system has no such mapping.
    Own { _values: Vec<u128> },
}

// SAFETY: the memory is plain bytes that belong to this block alone.
unsafe impl Send for Block {}
// SAFETY: as above; writing needs `&mut`.
unsafe impl Sync for Block {}

impl Block {
    /// Room for `bytes` bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let part = heap().take(bytes);
        if let Some((region, address)) = part {
            return Self {
                address,
                bytes,
                memory: Memory::Part(region),
            };
        }
        let mut values = vec![0_u128; bytes.div_ceil(size_of::<u128>())];
        let address = NonNull::new(values.as_mut_ptr()).unwrap_or(NonNull::dangling());
        Self {
            address: address.cast(),
            bytes,
            memory: Memory::Own { _values: values },
        }
    }

    /// Room for `len` values.
    pub(crate) fn values(len: usize) -> Self {
        Self::new(len * size_of::<f32>())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the block's bytes are initialised and exclusive, see the field.
        unsafe { slice::from_raw_parts(self.address.as_ptr(), self.bytes) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.address.as_ptr(), self.bytes) }
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: as above; blocks start on a cache line, and any bits are an `f32`.
        unsafe { slice::from_raw_parts(self.address.as_ptr().cast(), self.bytes / size_of::<f32>()) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.address.as_ptr().cast(), self.bytes / size_of::<f32>()) }
    }
}

impl core::fmt::Debug for Block {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Block({} bytes)", self.bytes)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Memory::Part(region) = self.memory {
            heap().give_back(region, self.address, self.bytes);
        }
    }
}

/// Gives memory that no block holds back to the system. Call it after training, or before pictures of another size.
pub fn release_training_memory() {
    for region in &heap().regions {
        region.release();
    }
}

fn heap() -> MutexGuard<'static, Heap> {
    HEAP.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Heap {
    regions: Vec<Region>,
}

struct Region {
    map: MmapMut,
    /// Free parts: their starts within the map, and their lengths. No two touch each other.
    free: BTreeMap<usize, usize>,
}

impl Region {
    fn new(bytes: usize) -> Option<Self> {
        // Miri does not support such memory maps.
        if cfg!(miri) {
            return None;
        }
        let len = bytes.checked_add(LARGE_PAGE)?;
        let map = MmapOptions::new().len(len).no_reserve_swap().map_anon().ok()?;
        // Advice only: a failure changes no result.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let start = map.as_ptr().align_offset(LARGE_PAGE).min(LARGE_PAGE);
        let free = BTreeMap::from([(start, bytes)]);
        Some(Self { map, free })
    }

    /// Gives the pages of free parts back to the system.
    fn release(&self) {
        #[cfg(unix)]
        for (&start, &len) in &self.free {
            let first = start.next_multiple_of(PAGE);
            let end = (start + len) / PAGE * PAGE;
            if first < end {
                // Advice only: a failure changes no result. SAFETY: no block lies in a free part, and the pages stay
                // initialised: afterwards they hold zeros or what they held before.
                let _ = unsafe {
                    self.map
                        .unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, first, end - first)
                };
            }
        }
    }

    #[cfg(test)]
    fn is_free(&self) -> bool {
        let bytes: usize = self.free.values().sum();
        self.free.len() == 1 && bytes + LARGE_PAGE == self.map.len()
    }
}

/// Bytes that a block takes in a region.
const fn taken(bytes: usize) -> usize {
    let bytes = if bytes == 0 { 1 } else { bytes };
    bytes.next_multiple_of(LINE)
}

impl Heap {
    /// The smallest free part that is large enough, or a part of a new region; `None` if the system has no more memory.
    fn take(&mut self, bytes: usize) -> Option<(usize, NonNull<u8>)> {
        let len = taken(bytes);
        let parts = self
            .regions
            .iter()
            .enumerate()
            .flat_map(|(index, region)| region.free.iter().map(move |(&start, &free)| (free, index, start)));
        let best = parts.filter(|(free, ..)| *free >= len).min();
        let (free, index, start) = match best {
            Some(best) => best,
            None => self.add_region(len)?,
        };
        let region = &mut self.regions[index];
        region.free.remove(&start);
        if free > len {
            region.free.insert(start + len, free - len);
        }
        let address = region.map.as_mut_ptr().wrapping_add(start);
        Some((index, NonNull::new(address)?))
    }

    fn add_region(&mut self, len: usize) -> Option<(usize, usize, usize)> {
        let region = Region::new(len.max(REGION).next_multiple_of(LARGE_PAGE))?;
        let (&start, &free) = region.free.first_key_value()?;
        self.regions.push(region);
        Some((free, self.regions.len() - 1, start))
    }

    /// Takes a block back, and joins it with the free parts beside it.
    fn give_back(&mut self, index: usize, address: NonNull<u8>, bytes: usize) {
        let region = &mut self.regions[index];
        let mut start = address.as_ptr().addr() - region.map.as_ptr().addr();
        let mut len = taken(bytes);
        if let Some((&before, &free)) = region.free.range(..start).next_back()
            && before + free == start
        {
            region.free.remove(&before);
            (start, len) = (before, free + len);
        }
        if let Some(free) = region.free.remove(&(start + len)) {
            len += free;
        }
        region.free.insert(start, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_are_used_again() {
        let mut held: Vec<(Block, u8)> = Vec::new();
        let mut number = 1_u64;
        for round in 0..400_u32 {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let draw = (number >> 33) as usize;
            if draw.is_multiple_of(3) && !held.is_empty() {
                let (block, mark) = held.swap_remove(draw % held.len());
                assert!(block.bytes().iter().all(|byte| *byte == mark));
            } else {
                let mut block = Block::new(draw % 5000);
                assert_eq!(block.bytes().as_ptr().addr() % align_of::<u128>(), 0);
                let mark = (round % 251) as u8;
                block.bytes_mut().fill(mark);
                held.push((block, mark));
            }
        }
        for (block, mark) in &held {
            assert!(block.bytes().iter().all(|byte| byte == mark));
        }
    }

    #[test]
    fn released_memory_is_used_again() {
        let mut block = Block::new(1 << 20);
        block.bytes_mut().fill(7);
        let mut other = Block::new(1 << 20);
        other.bytes_mut().fill(8);
        drop(block);
        release_training_memory();
        let mut again = Block::new(1 << 20);
        again.bytes_mut().fill(9);
        assert!(other.bytes().iter().all(|byte| *byte == 8));
        assert!(again.bytes().iter().all(|byte| *byte == 9));
    }

    #[test]
    fn a_heap_joins_free_parts() {
        let mut heap = Heap { regions: Vec::new() };
        let Some((region, first)) = heap.take(100) else { return };
        let (_, second) = heap.take(1000).unwrap();
        let (_, third) = heap.take(64).unwrap();
        heap.give_back(region, first, 100);
        heap.give_back(region, third, 64);
        assert_eq!(heap.take(128).unwrap().1, first);
        heap.give_back(region, first, 128);
        heap.give_back(region, second, 1000);
        assert!(heap.regions[region].is_free());
    }
}
