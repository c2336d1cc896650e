//! Counting allocations: iterations must allocate nothing.
#![allow(unsafe_code, reason = "a global allocator that counts is the only way to see allocations")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    /// Allocations of this thread; a test harness allocates on threads of its own.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator with a counter for each thread. Make it the global allocator of a test binary of its own:
///
/// ```
/// use elbo_laws::CountingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// assert_eq!(CountingAllocator::allocations_of(|| 1 + 1), 0);
/// assert_eq!(CountingAllocator::allocations_of(|| vec![1.0; 3]), 1);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

impl CountingAllocator {
    /// How often this thread asked for memory while `work` ran; 0 if this is not the global allocator.
    pub fn allocations_of<T>(work: impl FnOnce() -> T) -> usize {
        let before = ALLOCATIONS.get();
        let result = work();
        let after = ALLOCATIONS.get();
        drop(result);
        after - before
    }
}

fn count() {
    // A thread that is being torn down has no counter any longer, and nothing to test.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
