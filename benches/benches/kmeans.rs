//! k-means, one thread: `kmeans/…`, five iterations from rows of the data by every comparison and with bounds.
#![allow(missing_docs, reason = "the macros of criterion make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use elbo::mixture::{Centers, Comparisons, KMeans, Rows, Settings, Tolerance};
use elbo_benches::gaussian_rows;

const ITERATIONS: usize = 5;

fn iterations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kmeans");
    group.sample_size(10);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    for (n, d, k) in [(100_000, 2, 8), (100_000, 16, 64), (20_000, 128, 256)] {
        let (data, means) = gaussian_rows(n, d, k);
        let single: Vec<f32> = data.iter().map(|x| *x as f32).collect();
        let settings = Settings {
            tolerance: Tolerance::Gap(0.0),
            max_iterations: ITERATIONS,
            ..Settings::default()
        };
        let start = Centers::new(means, d).expect("finite centers");
        let builder = KMeans::new(k).start_at(start).settings(settings);
        group.throughput(Throughput::Elements((n * ITERATIONS) as u64));
        for (name, comparisons) in [("all", Comparisons::All), ("auto", Comparisons::Auto)] {
            let builder = builder.clone().comparisons(comparisons);
            let id = |storage| {
                BenchmarkId::from_parameter(format!("{name},{storage},n={n},d={d},k={k}"))
            };
            group.bench_function(id("f64"), |bencher| {
                let run = || builder.fit(Rows::new(&data, n, d).into()).expect("finite rows");
                pool.install(|| bencher.iter(|| black_box(run())));
            });
            group.bench_function(id("f32"), |bencher| {
                let run = || builder.fit(Rows::new(&single, n, d).into()).expect("finite rows");
                pool.install(|| bencher.iter(|| black_box(run())));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, iterations);
criterion_main!(benches);
