//! Counting allocations: iterations must allocate nothing.
#![allow(unsafe_code, reason = "a global allocator that counts is the only way to see allocations")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

/// The system's allocator with a counter. Make it the global allocator of a test binary of its own:
///
/// ```
/// use elbo_laws::CountingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::new();
///
/// assert_eq!(ALLOCATOR.allocations_of(|| 1 + 1), 0);
/// assert_eq!(ALLOCATOR.allocations_of(|| vec![1.0; 3]), 1);
/// ```
#[derive(Debug, Default)]
pub struct CountingAllocator(AtomicUsize);

impl CountingAllocator {
    /// A counter at zero.
    pub const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// How often memory was asked for, by any thread, while `work` ran.
    pub fn allocations_of<T>(&self, work: impl FnOnce() -> T) -> usize {
        let before = self.0.load(Ordering::Relaxed);
        let result = work();
        let after = self.0.load(Ordering::Relaxed);
        drop(result);
        after - before
    }
}

// SAFETY: every call is passed on unchanged to the system allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.0.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
