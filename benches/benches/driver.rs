//! What the driver adds to an iteration: `driver/…` is a fit of a fixed number of iterations, `bare/…` the same E-steps and
//! M-steps in a loop without it, in one piece. One thread; times are of a whole run: 40 iterations of the mean, 10 of the mixture.
#![allow(missing_docs, reason = "the macros of criterion make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use elbo::{
    core::{
        Batch, EStepError, EstimateError, Inference, LatentModel, Repairs, Settings, Tolerance, fit,
    },
    mixture::{CovarianceStructure, Mixture, MixtureModel, MultivariateGaussian, Rows, Weighted},
};
use elbo_benches::gaussian_rows;

/// The mean of numbers, approached by half the way in each step: an E-step and an M-step that cost next to nothing.
struct Mean;

impl LatentModel for Mean {
    type Data<'a> = &'a [f64];
    type Params = f64;
    type Stats = [f64; 2];
    type Scratch = ();

    fn new_stats(&self, _: &f64) -> [f64; 2] {
        [0.0; 2]
    }

    fn new_scratch(&self, _: &f64) {}

    fn e_step(
        &self,
        mean: &f64,
        data: &[f64],
        _: &mut Inference<'_>,
        stats: &mut [f64; 2],
        (): &mut (),
    ) -> Result<f64, EStepError> {
        let sum: f64 = data.iter().sum();
        stats[0] += data.len() as f64;
        stats[1] += sum;
        Ok(-data.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>())
    }

    fn m_step(
        &self,
        mean: &f64,
        stats: &[f64; 2],
        next: &mut f64,
    ) -> Result<Repairs, EstimateError> {
        *next = 0.5 * (mean + stats[1] / stats[0]);
        Ok(Repairs::default())
    }

    fn free_parameters(&self, _: &f64) -> usize {
        1
    }
}

/// Both ways of running a model, as two benches.
fn both<M: LatentModel>(
    criterion: &mut Criterion,
    name: &str,
    model: &M,
    data: M::Data<'_>,
    start: &M::Params,
    iterations: usize,
) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let mut group = criterion.benchmark_group("driver");
    group.sample_size(20);
    let settings = Settings {
        tolerance: Tolerance::Gap(0.0),
        max_iterations: iterations,
        ..Settings::default()
    };
    group.bench_function(BenchmarkId::new("driver", name), |bencher| {
        let run = || {
            let fit = fit(model, data, start.clone(), &settings, &()).expect("a start that fits");
            assert_eq!(fit.report.iterations, iterations, "{:?}", fit.report.stopped);
            black_box(fit.report.objective)
        };
        pool.install(|| bencher.iter(run));
    });
    group.bench_function(BenchmarkId::new("bare", name), |bencher| {
        let run = || {
            let (mut params, mut next) = (start.clone(), start.clone());
            let (mut stats, mut scratch) = (model.new_stats(start), model.new_scratch(start));
            let mut data_term = 0.0;
            for iteration in 0..=iterations {
                model.reset(&params, &mut stats);
                data_term = model
                    .e_step(&params, data, &mut Inference::Soft, &mut stats, &mut scratch)
                    .expect("finite densities");
                if iteration < iterations {
                    model.m_step(&params, &stats, &mut next).expect("an estimate");
                    std::mem::swap(&mut params, &mut next);
                }
            }
            black_box(data_term)
        };
        pool.install(|| bencher.iter(run));
    });
    group.finish();
}

fn overhead(criterion: &mut Criterion) {
    let few: Vec<f64> = (0..100_i32).map(f64::from).collect();
    both(criterion, "mean,n=100", &Mean, &few[..], &1e6, 40);

    let (n, d, k) = (100_000, 8, 8);
    let (data, means) = gaussian_rows(n, d, k);
    let rows = Weighted::uniform(Rows::new(&data, n, d));
    let identity: Vec<f64> = (0..d * d).map(|i| f64::from(u8::from(i / d == i % d))).collect();
    let component = |mean: &[f64]| {
        MultivariateGaussian::new(CovarianceStructure::VVV, mean.to_vec(), &identity)
            .expect("a valid component")
    };
    let start =
        Mixture::new(vec![1.0 / k as f64; k], means.chunks_exact(d).map(component).collect());
    let model = MixtureModel::ml();
    let start = model.start(start.expect("a valid mixture"), rows.observations());
    let start = start.expect("no prior to fail");
    both(criterion, "mixture,n=100000,d=8,k=8", &model, rows, &start, 10);
}

criterion_group!(benches, overhead);
criterion_main!(benches);
