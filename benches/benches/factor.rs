//! Factor models: reading a sample, fitting it, one step on rows with missing values, independent components.
#![allow(missing_docs, reason = "the macros of criterion make public items")]

use criterion::{Criterion, criterion_group, criterion_main};
use elbo::core::Tolerance;
use elbo::factor::{
    FactorAnalysis, FactorEm, Ica, Noise, ProbabilisticPca, Rows, Sample, Settings,
};
use elbo_benches::gaussian_rows;

fn factor(c: &mut Criterion) {
    let (n, d, q) = (20_000, 50, 5);
    let (data, _) = gaussian_rows(n, d, q + 1);
    let rows = Rows::new(&data, n, d);
    let sample = Sample::of_rows(rows.into()).expect("finite rows");
    let id = |what: &str| format!("{what}/n={n},d={d},q={q}");
    let mut group = c.benchmark_group("factor");
    group.sample_size(20);
    group.bench_function(id("sample"), |b| b.iter(|| Sample::of_rows(rows.into())));
    group.bench_function(id("analysis"), |b| b.iter(|| FactorAnalysis::new(q).fit(&sample)));
    group.bench_function(id("pca"), |b| b.iter(|| ProbabilisticPca::of_sample(&sample, q)));
    let mut holes = data.clone();
    holes.iter_mut().step_by(7).for_each(|x| *x = f64::NAN);
    let holes = Rows::new(&holes, n, d);
    let (tolerance, max_iterations) = (Tolerance::Gap(0.0), 1);
    let once = Settings { tolerance, max_iterations, ..Settings::default() };
    let em = FactorEm::new(q, Noise::Own).settings(once.clone());
    group.bench_function(id("missing"), |b| b.iter(|| em.fit(holes.into())));
    let ica = Ica::new().components(q).settings(once);
    group.bench_function(id("ica"), |b| b.iter(|| ica.fit(rows.into())));
    group.finish();
}

criterion_group!(benches, factor);
criterion_main!(benches);
