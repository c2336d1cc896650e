//! One EM iteration of a Gaussian mixture, one thread: `iteration/structure,n=…,d=…,k=…`.
#![allow(missing_docs, reason = "the macros of criterion make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use elbo::{
    core::{EStep, LatentModel},
    mixture::{CovarianceStructure, Mixture, MixtureModel, MultivariateGaussian, Rows, Weighted},
};
use elbo_benches::gaussian_rows;

fn iteration(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("iteration");
    group.sample_size(10);
    for (structure, n, d, k) in [
        (CovarianceStructure::VVV, 100_000, 2, 3),
        (CovarianceStructure::VVV, 100_000, 8, 8),
        (CovarianceStructure::VVV, 20_000, 32, 16),
        (CovarianceStructure::VVI, 50_000, 32, 64),
    ] {
        let (data, means) = gaussian_rows(n, d, k);
        let rows = Weighted::uniform(Rows::new(&data, n, d));
        let identity: Vec<f64> =
            (0..d * d).map(|i| if i / d == i % d { 2.0 } else { 0.0 }).collect();
        let component = |mean: &[f64]| {
            MultivariateGaussian::new(structure, mean.to_vec(), &identity)
                .expect("a valid component")
        };
        let start =
            Mixture::new(vec![1.0 / k as f64; k], means.chunks_exact(d).map(component).collect());
        let model = MixtureModel::ml();
        let params =
            model.start(start.expect("a valid mixture"), n as f64).expect("no prior to fail");
        let (mut next, mut stats) = (params.clone(), model.new_stats(&params));
        let e_step = EStep::new(rows, 32);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(
            BenchmarkId::from_parameter(format!("{structure},n={n},d={d},k={k}")),
            |bencher| {
                pool.install(|| {
                    bencher.iter(|| {
                        let data_term = e_step
                            .run(&model, &params, rows, &mut stats)
                            .expect("finite densities");
                        model.m_step(&params, &stats, &mut next).expect("no singular component");
                        black_box(data_term)
                    });
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, iteration);
criterion_main!(benches);
