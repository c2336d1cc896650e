//! Iterations allocate nothing: statistics, scratch and parameters are made once.
#![allow(unsafe_code, reason = "a global allocator that counts is the only way to see allocations")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use elbo_core::{Settings, Tolerance, fit};

#[allow(dead_code, reason = "this binary uses part of the shared model")]
#[path = "laws/coins.rs"]
mod coins;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn iterations_allocate_nothing() {
    let (model, data) = (coins::Coins::new(10.0), coins::packets(5000));
    let allocations = |iterations: usize| {
        let settings = Settings {
            tolerance: Tolerance::Change(0.0),
            max_iterations: iterations,
            ..Settings::default()
        };
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let end = fit(&model, &data[..], vec![0.3, 0.5, 0.6], &settings, &()).unwrap();
        let after = ALLOCATIONS.load(Ordering::Relaxed);
        assert_eq!(end.report.iterations, iterations);
        after - before
    };
    // One thread: how many statistics are in use at a time does not depend on timing then.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let first = allocations(1);
        assert!(first > 0, "the counter counts nothing");
        assert_eq!(allocations(1), allocations(60));
    });
}
