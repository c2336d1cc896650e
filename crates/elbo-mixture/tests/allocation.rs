//! Iterations of a Gaussian mixture allocate nothing, whatever the estimator.

use elbo_core::{Estimator, Family, fit};
use elbo_dist::{Categorical, Dirichlet};
use elbo_laws::CountingAllocator;
use elbo_mixture::{
    Centers,
    CovarianceStructure::{EEE, EEI, EII, VII, VVI, VVV},
    KMeans, Mixture, MixtureModel, MultivariateGaussian, NormalInverseWishart, Rows, Settings,
    Tolerance, Weighted,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const D: usize = 3;

/// Allocations of a fit with this many iterations, leaps included.
fn allocations<F, E, W>(
    model: &MixtureModel<F, E, W>,
    data: F::Batch<'_>,
    start: &Mixture<F>,
    iterations: usize,
) -> usize
where
    F: Family,
    E: Estimator<F>,
    W: Estimator<Categorical>,
{
    // So small a tolerance is never met in 15 iterations of these data, and zero would switch leaps off.
    let settings = Settings {
        tolerance: Tolerance::Gap(1e-300),
        max_iterations: iterations,
        ..Settings::default()
    };
    let start = model.start(start.clone(), 1000.0).unwrap();
    CountingAllocator::allocations_of(|| {
        let fit = fit(model, Weighted::uniform(data), start, &settings, &()).unwrap();
        assert_eq!(fit.report.iterations, iterations, "{:?}", fit.report.stopped);
    })
}

#[test]
fn iterations_allocate_nothing() {
    let mut state = 1_u64;
    let mut uniform = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let data: Vec<f64> =
        (0..3000 * D).map(|i| uniform() + uniform() + 0.3 * (i / D % 2) as f64).collect();
    let rows = Rows::new(&data, 3000, D);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for structure in [VVV, EEE, VVI, EEI, VII, EII] {
        let at = |mean: f64| MultivariateGaussian::standard(structure, vec![mean; D]);
        let start = Mixture::new(vec![0.5, 0.5], vec![at(0.9), at(1.3)]).unwrap();
        let identity: Vec<f64> = (0..D * D).map(|i| f64::from(u8::from(i / D == i % D))).collect();
        let prior =
            NormalInverseWishart::new(structure, vec![1.0; D], 0.1, 6.0, &identity).unwrap();
        let flat = Dirichlet::symmetric(2, 1.0).unwrap();
        pool.install(|| {
            let ml = MixtureModel::ml();
            assert!(allocations(&ml, rows, &start, 5) > 0, "the counter counts nothing");
            assert_eq!(
                allocations(&ml, rows, &start, 5),
                allocations(&ml, rows, &start, 15),
                "{structure}, ML"
            );
            let map = MixtureModel::map(prior.clone(), flat.clone());
            assert_eq!(
                allocations(&map, rows, &start, 5),
                allocations(&map, rows, &start, 15),
                "{structure}, MAP"
            );
            let vb = MixtureModel::vb(prior.clone(), flat.clone());
            assert_eq!(
                allocations(&vb, rows, &start, 5),
                allocations(&vb, rows, &start, 15),
                "{structure}, VB"
            );
        });
    }
    pool.install(|| {
        let start = Centers::new(data[..8 * D].to_vec(), D).unwrap();
        let kmeans = |iterations| {
            let settings = Settings {
                tolerance: Tolerance::Gap(0.0),
                max_iterations: iterations,
                ..Settings::default()
            };
            let builder = KMeans::new(8).start_at(start.clone()).settings(settings);
            CountingAllocator::allocations_of(|| builder.fit(rows.into()).unwrap())
        };
        assert_eq!(kmeans(6), kmeans(20), "k-means");
    });
}
