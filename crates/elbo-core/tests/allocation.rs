//! Iterations allocate nothing: statistics, scratch and parameters are made once.

use elbo_core::{Settings, Tolerance, Variant, fit};
use elbo_laws::CountingAllocator;

#[allow(dead_code, reason = "this binary uses part of the shared model")]
#[path = "laws/coins.rs"]
mod coins;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn iterations_allocate_nothing() {
    let (model, data) = (coins::Coins::new(10.0), coins::packets(5000));
    let allocations = |variant: Variant, iterations: usize| {
        let settings = Settings {
            variant,
            tolerance: Tolerance::Change(0.0),
            max_iterations: iterations,
            ..Settings::default()
        };
        CountingAllocator::allocations_of(|| {
            let start = vec![0.3, 0.5, 0.6];
            let end = fit(&model, &data[..], start, &settings, &()).unwrap();
            assert_eq!(end.report.iterations, iterations);
        })
    };
    let sampled = Variant::Sampled { draws: 2, burn_in: 10, averaged: 90, decay: 0.7 };
    let online = Variant::Online { batch: 500, epochs: 100, decay: 0.6, delay: 1.0 };
    // One thread: how many statistics are in use at a time does not depend on timing then.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        for variant in [Variant::Soft, Variant::Hard, sampled, Variant::Incremental, online] {
            let first = allocations(variant, 1);
            assert!(first > 0, "the counter counts nothing");
            assert_eq!(allocations(variant, 1), allocations(variant, 60), "{variant:?}");
        }
    });
}
