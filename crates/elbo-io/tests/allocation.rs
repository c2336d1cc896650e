//! Reading allocates nothing once the buffers are filled.

use elbo_core::{ChunkSource, Settings, Tolerance, WeightedSource, fit_source};
use elbo_dist::{CovarianceStructure, MultivariateGaussian};
use elbo_io::RowsFile;
use elbo_laws::CountingAllocator;
use elbo_mixture::{Mixture, MixtureModel};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn iterations_over_a_file_allocate_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.f64");
    let number = |i: i32| f64::from(i % 2 * 4 + i % 7) + f64::from(i % 97) / 97.0;
    let bytes: Vec<u8> = (0..9000).flat_map(|i| number(i).to_le_bytes()).collect();
    std::fs::write(&path, bytes).unwrap();
    let at = |x: f64| MultivariateGaussian::new(CovarianceStructure::VVV, vec![x], &[2.0]).unwrap();
    let start = Mixture::new(vec![0.5, 0.5], vec![at(1.0), at(6.0)]).unwrap();
    let model = MixtureModel::ml();
    let allocations = |iterations: usize| {
        let source = WeightedSource::uniform(RowsFile::open_raw(&path, 1).unwrap());
        let settings = Settings {
            tolerance: Tolerance::Gap(0.0),
            max_iterations: iterations,
            ..Settings::default()
        };
        let from = model.start(start.clone(), source.observations()).unwrap();
        CountingAllocator::allocations_of(|| {
            let fit = fit_source(&model, &source, from, &settings, &()).unwrap();
            assert_eq!(fit.report.iterations, iterations);
        })
    };
    // One thread: how many buffers are in use at a time does not depend on timing then.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        assert!(allocations(1) > 0, "the counter counts nothing");
        assert_eq!(allocations(1), allocations(50));
    });
}
