//! What memory a bench's program holds.
//!
//! In: what is allocated and freed. Out: bytes in use, as the system and as the allocator sees them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory in use, in bytes.
pub struct Usage {
    /// What the process holds.
    pub resident: usize,
    /// What its program asked for and has not given back.
    pub heap: usize,
}

impl Usage {
    /// What is in use now.
    pub fn now() -> Self {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = text.split(' ').nth(1).and_then(|word| word.parse().ok());
        Self {
            resident: pages.unwrap_or(0_usize) * 4096,
            heap: HEAP.load(Ordering::Relaxed),
        }
    }
}

/// Counts what the program asked the system's allocator for: RSS alone also holds what was freed. The bench that wants
/// to know makes it its allocator.
pub struct Counting;

static HEAP: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came.
#[allow(unsafe_code, reason = "an allocator cannot be counted otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HEAP.fetch_add(size, Ordering::Relaxed);
        HEAP.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}
