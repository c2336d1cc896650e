//! Log densities, fits and draws of a million rows beside statrs, rv and `rand_distr`, one thread:
//! `log_density/<family>,n=…/<program>`, `fit/…` and `sample/…`.
//!
//! Log densities are compared with every peer's before any is timed. Parameters are ordinary ones, data are drawn from
//! them; fits start where no data have been seen.

use std::{hint::black_box, time::Duration};

use cpu_time::ProcessTime;
use criterion::{
    BenchmarkGroup, SamplingMode, Throughput, criterion_group, criterion_main,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use elbo_core::{Batch, Draw, Family, OwnedRows, Rows, fit_single};
use elbo_dist::{
    Bernoulli, Beta, BetaBinomial, Binomial, Categorical, CovarianceStructure, Dirichlet,
    Exponential, Gamma, Gaussian, Geometric, InverseGamma, Laplace, LogNormal, Multinomial,
    MultivariateGaussian, NegativeBinomial, Number, Poisson, StudentT, Uniform, Univariate,
    VonMises, Weibull, ZeroInflated,
};
use nalgebra::{Const, DVector, DimMin, SMatrix, SVector};
use rand::{SeedableRng, rngs::SmallRng};
use rand_distr::{Distribution, multi::MultiDistribution, weighted::WeightedAliasIndex};
use rv::{dist as rvd, traits::HasDensity};
use statrs::distribution::{self as st, Continuous, Discrete};

const N: usize = 1_000_000;

/// Seconds of the processor, not of the wall: other work on the machine counts less.
struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = ProcessTime;
    type Value = Duration;

    fn start(&self) -> ProcessTime {
        ProcessTime::now()
    }

    fn end(&self, start: ProcessTime) -> Duration {
        start.elapsed()
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

type Criterion = criterion::Criterion<ProcessorTime>;
type Group<'a> = BenchmarkGroup<'a, ProcessorTime>;

fn group<'a>(criterion: &'a mut Criterion, name: String, rows: usize) -> Group<'a> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .throughput(Throughput::Elements(rows as u64));
    group
}

/// Equal to nine digits, counted from one on.
fn assert_agreement(family: &str, peer: &str, ours: f64, theirs: f64) {
    assert!(
        (ours - theirs).abs() <= 1e-9 * (1.0 + ours.abs()),
        "{family}: {peer} has {theirs}, not {ours}"
    );
}

/// Times a peer's loop over the rows, after the values have been compared.
fn peer_loop<T>(
    group: &mut Group<'_>,
    (family, peer): (&str, &str),
    ours: &[f64],
    rows: &[T],
    log_density: impl Fn(&T) -> f64,
) {
    for (row, ours) in rows.iter().zip(ours) {
        assert_agreement(family, peer, *ours, log_density(row));
    }
    let mut out = vec![0.0; rows.len()];
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function(peer, |bencher| {
        bencher.iter(|| {
            for (out, row) in out.iter_mut().zip(rows) {
                *out = log_density(row);
            }
            black_box(&out);
        });
    });
}

/// Our log densities of a batch, and a group in which they have been timed.
fn our_log_densities<'a, F: Family>(
    criterion: &'a mut Criterion,
    name: &str,
    family: &F,
    batch: F::Batch<'_>,
) -> (Vec<f64>, Group<'a>) {
    let mut out = vec![0.0; batch.len()];
    family.log_density_into(batch, &mut out);
    let mut group = group(criterion, format!("log_density/{name},n={}", batch.len()), batch.len());
    group.bench_function("elbo", |bencher| {
        bencher.iter(|| {
            family.log_density_into(batch, &mut out);
            black_box(&out);
        });
    });
    (out, group)
}

fn our_fit<'a, F: Family + 'a>(
    criterion: &mut Criterion,
    name: &str,
    start: &F,
    batch: F::Batch<'a>,
) {
    our_estimate(criterion, name, batch.len(), || {
        let fitted = fit_single(start.clone(), elbo_core::Weighted::uniform(batch));
        fitted.expect("data that can be fitted").params
    });
}

fn our_estimate<F>(criterion: &mut Criterion, name: &str, n: usize, fit: impl Fn() -> F) {
    let mut group = group(criterion, format!("fit/{name},n={n}"), n);
    group.bench_function("elbo", |bencher| bencher.iter(|| black_box(fit())));
    group.finish();
}

/// How a family is fitted.
enum Start<F, V> {
    /// By `fit_single` from here.
    At(F),
    /// By an estimator of its own.
    Exact(fn(&[V]) -> F),
}

/// Everything about a family of single numbers. `statrs` and `rv` are `None` where they lack it.
fn univariate<F, V, S, R, D>(
    criterion: &mut Criterion,
    name: &str,
    (family, start): (F, Start<F, V>),
    (statrs, rv, sampler): (Option<S>, Option<R>, Option<D>),
) where
    V: Number,
    F: Univariate<Value = V> + Draw<Drawn = Vec<V>>,
    S: Fn(&V) -> f64,
    R: Fn(&V) -> f64,
    D: Fn(&mut SmallRng) -> V,
{
    let data = family.draw(N, &mut SmallRng::seed_from_u64(1));
    let batch = F::batch_of(&data);
    let (ours, mut density) = our_log_densities(criterion, name, &family, batch);
    if let Some(statrs) = statrs {
        peer_loop(&mut density, (name, "statrs"), &ours, &data, statrs);
    }
    if let Some(rv) = rv {
        peer_loop(&mut density, (name, "rv"), &ours, &data, rv);
    }
    density.finish();
    match start {
        Start::At(start) => our_fit(criterion, name, &start, batch),
        Start::Exact(estimate) => our_estimate(criterion, name, N, || estimate(&data)),
    }

    let mut sample = group(criterion, format!("sample/{name},n={N}"), N);
    let mut rng = SmallRng::seed_from_u64(2);
    let mut drawn = Vec::with_capacity(N);
    sample.bench_function("elbo", |bencher| {
        bencher.iter(|| {
            drawn.clear();
            family.draw_onto(N, &mut rng, &mut drawn);
            black_box(&drawn);
        });
    });
    if let Some(sampler) = sampler {
        sample.bench_function("rand_distr", |bencher| {
            bencher.iter(|| {
                drawn.clear();
                drawn.extend((0..N).map(|_| sampler(&mut rng)));
                black_box(&drawn);
            });
        });
    }
    sample.finish();
}

const NO_F64: Option<fn(&f64) -> f64> = None;
const NO_U64: Option<fn(&u64) -> f64> = None;
const NO_DRAW: Option<fn(&mut SmallRng) -> f64> = None;
const NO_COUNT: Option<fn(&mut SmallRng) -> u64> = None;

/// `ln_pdf` or `ln_pmf` of a statrs distribution.
fn pdf<T: Continuous<f64, f64>>(peer: T) -> Option<impl Fn(&f64) -> f64> {
    Some(move |x: &f64| peer.ln_pdf(*x))
}

fn pmf<T: Discrete<u64, f64>>(peer: T) -> Option<impl Fn(&u64) -> f64> {
    Some(move |x: &u64| peer.ln_pmf(*x))
}

/// `ln_f` of an rv distribution.
fn ln_f<T: HasDensity<f64>>(peer: T) -> Option<impl Fn(&f64) -> f64> {
    Some(move |x: &f64| peer.ln_f(x))
}

fn ln_f_count<T: HasDensity<u32>>(peer: T) -> Option<impl Fn(&u64) -> f64> {
    Some(move |x: &u64| peer.ln_f(&u32::try_from(*x).expect("a small count")))
}

fn draw<V, T: Distribution<V>>(peer: T) -> Option<impl Fn(&mut SmallRng) -> V> {
    Some(move |rng: &mut SmallRng| peer.sample(rng))
}

/// Unwraps constructors whose arguments are known to be good.
macro_rules! ok {
    ($e:expr) => {
        $e.expect("good parameters")
    };
}

fn real_line(c: &mut Criterion) {
    let families = (ok!(Gaussian::new(1.0, 4.0)), Start::At(ok!(Gaussian::new(0.0, 1.0))));
    let peers = (
        pdf(ok!(st::Normal::new(1.0, 2.0))),
        ln_f(ok!(rvd::Gaussian::new(1.0, 2.0))),
        draw(ok!(rand_distr::Normal::new(1.0, 2.0))),
    );
    univariate(c, "gaussian", families, peers);

    let exact = |x: &[f64]| ok!(Laplace::estimate(x, &vec![1.0; x.len()]));
    let families = (ok!(Laplace::new(1.0, 2.0)), Start::Exact(exact));
    let peers =
        (pdf(ok!(st::Laplace::new(1.0, 2.0))), ln_f(ok!(rvd::Laplace::new(1.0, 2.0))), NO_DRAW);
    univariate(c, "laplace", families, peers);

    // rv's Student t has no location and no scale.
    let families =
        (ok!(StudentT::new(0.0, 1.0, 4.0)), Start::At(ok!(StudentT::new(0.5, 2.0, 10.0))));
    let peers = (
        pdf(ok!(st::StudentsT::new(0.0, 1.0, 4.0))),
        ln_f(ok!(rvd::StudentsT::new(4.0))),
        draw(ok!(rand_distr::StudentT::new(4.0))),
    );
    univariate(c, "student_t", families, peers);

    let families = (ok!(Uniform::new(-1.0, 3.0)), Start::Exact(|x| ok!(Uniform::estimate(x))));
    let peers = (
        pdf(ok!(st::Uniform::new(-1.0, 3.0))),
        ln_f(ok!(rvd::Uniform::new(-1.0, 3.0))),
        draw(ok!(rand_distr::Uniform::new(-1.0, 3.0))),
    );
    univariate(c, "uniform", families, peers);

    let families = (ok!(VonMises::new(0.5, 4.0)), Start::At(ok!(VonMises::new(0.0, 1.0))));
    univariate(
        c,
        "von_mises",
        families,
        (NO_F64, ln_f(ok!(rvd::VonMises::new(0.5, 4.0))), NO_DRAW),
    );
}

fn half_line(c: &mut Criterion) {
    let families = (ok!(LogNormal::new(0.5, 1.44)), Start::At(ok!(LogNormal::new(0.0, 1.0))));
    let peers = (
        pdf(ok!(st::LogNormal::new(0.5, 1.2))),
        ln_f(ok!(rvd::LogNormal::new(0.5, 1.2))),
        draw(ok!(rand_distr::LogNormal::new(0.5, 1.2))),
    );
    univariate(c, "log_normal", families, peers);

    let families = (ok!(Gamma::new(2.5, 0.5)), Start::At(ok!(Gamma::new(1.0, 1.0))));
    let peers = (
        pdf(ok!(st::Gamma::new(2.5, 0.5))),
        ln_f(ok!(rvd::Gamma::new(2.5, 0.5))),
        draw(ok!(rand_distr::Gamma::new(2.5, 2.0))),
    );
    univariate(c, "gamma", families, peers);

    let families = (ok!(InverseGamma::new(3.5, 2.0)), Start::At(ok!(InverseGamma::new(1.0, 1.0))));
    let peers = (
        pdf(ok!(st::InverseGamma::new(3.5, 2.0))),
        ln_f(ok!(rvd::InvGamma::new(3.5, 2.0))),
        NO_DRAW,
    );
    univariate(c, "inverse_gamma", families, peers);

    let families = (ok!(Weibull::new(1.7, 2.0)), Start::At(ok!(Weibull::new(1.0, 1.0))));
    let peers = (
        pdf(ok!(st::Weibull::new(1.7, 2.0))),
        NO_F64,
        draw(ok!(rand_distr::Weibull::new(2.0, 1.7))),
    );
    univariate(c, "weibull", families, peers);

    let families = (ok!(Exponential::new(0.5)), Start::At(ok!(Exponential::new(1.0))));
    let peers = (
        pdf(ok!(st::Exp::new(0.5))),
        ln_f(ok!(rvd::Exponential::new(0.5))),
        draw(ok!(rand_distr::Exp::new(0.5))),
    );
    univariate(c, "exponential", families, peers);

    let families = (ok!(Beta::new(2.5, 4.0)), Start::At(ok!(Beta::new(1.0, 1.0))));
    let peers = (
        pdf(ok!(st::Beta::new(2.5, 4.0))),
        ln_f(ok!(rvd::Beta::new(2.5, 4.0))),
        draw(ok!(rand_distr::Beta::new(2.5, 4.0))),
    );
    univariate(c, "beta", families, peers);
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
fn counts(c: &mut Criterion) {
    let families = (ok!(Poisson::new(12.5)), Start::At(ok!(Poisson::new(1.0))));
    let poisson = ok!(rand_distr::Poisson::new(12.5));
    let peers = (
        pmf(ok!(st::Poisson::new(12.5))),
        ln_f_count(ok!(rvd::Poisson::new(12.5))),
        Some(move |rng: &mut SmallRng| poisson.sample(rng) as u64),
    );
    univariate(c, "poisson", families, peers);

    let families = (ok!(Binomial::new(40, 0.3)), Start::At(ok!(Binomial::new(40, 0.5))));
    let peers = (
        pmf(ok!(st::Binomial::new(0.3, 40))),
        ln_f_count(ok!(rvd::Binomial::new(40, 0.3))),
        draw(ok!(rand_distr::Binomial::new(40, 0.3))),
    );
    univariate(c, "binomial", families, peers);

    let families =
        (ok!(NegativeBinomial::new(2.5, 6.0)), Start::At(ok!(NegativeBinomial::new(1.0, 1.0))));
    let p = families.0.probability();
    let peers = (
        pmf(ok!(st::NegativeBinomial::new(2.5, p))),
        ln_f_count(ok!(rvd::NegBinomial::new(2.5, p))),
        NO_COUNT,
    );
    univariate(c, "negative_binomial", families, peers);

    // statrs counts trials, we and rv failures.
    let families = (ok!(Geometric::new(0.2)), Start::At(ok!(Geometric::new(0.5))));
    let statrs = ok!(st::Geometric::new(0.2));
    let peers = (
        Some(move |x: &u64| statrs.ln_pmf(x + 1)),
        ln_f_count(ok!(rvd::Geometric::new(0.2))),
        draw(ok!(rand_distr::Geometric::new(0.2))),
    );
    univariate(c, "geometric", families, peers);

    let families =
        (ok!(BetaBinomial::new(40, 2.5, 4.0)), Start::At(ok!(BetaBinomial::new(40, 1.0, 1.0))));
    let rv = ln_f_count(ok!(rvd::BetaBinomial::new(40, 2.5, 4.0)));
    univariate(c, "beta_binomial", families, (NO_U64, rv, NO_COUNT));

    let inflated = |share, rate| ok!(ZeroInflated::new(share, ok!(Poisson::new(rate))));
    let families = (inflated(0.3, 12.5), Start::At(inflated(0.5, 1.0)));
    univariate(c, "zero_inflated_poisson", families, (NO_U64, NO_U64, NO_COUNT));
}

fn categories(c: &mut Criterion) {
    let families = (ok!(Bernoulli::new(0.3)), Start::At(ok!(Bernoulli::new(0.5))));
    let (statrs, rv) = (ok!(st::Bernoulli::new(0.3)), ok!(rvd::Bernoulli::new(0.3)));
    let peers = (
        Some(move |x: &bool| statrs.ln_pmf(u64::from(*x))),
        Some(move |x: &bool| rv.ln_f(x)),
        draw(ok!(rand_distr::Bernoulli::new(0.3))),
    );
    univariate(c, "bernoulli", families, peers);

    let weights: Vec<f64> = (1..=12).map(|x| f64::from(x) / 78.0).collect();
    let families = (ok!(Categorical::new(weights.clone())), Start::At(Categorical::uniform(12)));
    let (statrs, rv) = (ok!(st::Categorical::new(&weights)), ok!(rvd::Categorical::new(&weights)));
    let alias = ok!(WeightedAliasIndex::new(weights));
    let peers = (
        Some(move |x: &u32| statrs.ln_pmf(u64::from(*x))),
        Some(move |x: &u32| rv.ln_f(x)),
        Some(move |rng: &mut SmallRng| u32::try_from(alias.sample(rng)).expect("a category")),
    );
    univariate(c, "categorical", families, peers);
}

/// `n × D` Gaussian rows; rv, and statrs without a dimension known to the compiler, get the first 100,000.
fn multivariate_gaussian<const D: usize>(c: &mut Criterion)
where
    Const<D>: DimMin<Const<D>, Output = Const<D>>,
{
    let name = format!("multivariate_gaussian,d={D}");
    let mean: Vec<f64> = (0..D).map(|j| j as f64).collect();
    let covariance: Vec<f64> = (0..D * D)
        .map(|p| {
            0.5_f64.powi((p / D).abs_diff(p % D) as i32) * (1.0 + (p / D + p % D) as f64 / D as f64)
        })
        .collect();
    let structure = CovarianceStructure::VVV;
    let family = ok!(MultivariateGaussian::new(structure, mean.clone(), &covariance));
    let mut rng = SmallRng::seed_from_u64(1);
    let drawn = family.draw(N, &mut rng);
    let (ours, mut density) = our_log_densities(c, &name, &family, drawn.rows());

    let (statrs_mean, statrs_covariance) = (
        SVector::<f64, D>::from_column_slice(&mean),
        SMatrix::<f64, D, D>::from_column_slice(&covariance),
    );
    let statrs = ok!(st::MultivariateNormal::new_from_nalgebra(statrs_mean, statrs_covariance));
    let rows: Vec<_> =
        drawn.data().chunks_exact(D).map(SVector::<f64, D>::from_column_slice).collect();
    peer_loop(&mut density, (&name, "statrs"), &ours, &rows, |x| statrs.ln_pdf(x));
    drop(rows);
    let statrs = ok!(st::MultivariateNormal::new(mean.clone(), covariance.clone()));
    let rows: Vec<_> =
        drawn.data().chunks_exact(D).take(100_000).map(DVector::from_column_slice).collect();
    let id = (&*name, "statrs,dynamic,n=100000");
    peer_loop(&mut density, id, &ours, &rows, |x| statrs.ln_pdf(x));
    drop(rows);

    let rv = ok!(rvd::MvGaussian::new(
        rv::nalgebra::DVector::from_column_slice(&mean),
        rv::nalgebra::DMatrix::from_column_slice(D, D, &covariance)
    ));
    let rows: Vec<_> = drawn
        .data()
        .chunks_exact(D)
        .take(100_000)
        .map(rv::nalgebra::DVector::from_column_slice)
        .collect();
    peer_loop(&mut density, (&name, "rv,n=100000"), &ours, &rows, |x| rv.ln_f(x));
    density.finish();

    let start = MultivariateGaussian::standard(structure, vec![0.0; D]);
    our_fit(c, &name, &start, drawn.rows());
    let mut sample = group(c, format!("sample/{name},n={N}"), N);
    sample.bench_function("elbo", |b| b.iter(|| black_box(family.draw(N, &mut rng))));
    sample.finish();
}

fn rows(c: &mut Criterion) {
    multivariate_gaussian::<2>(c);
    multivariate_gaussian::<8>(c);
    multivariate_gaussian::<32>(c);
    dirichlet(c);
    multinomial(c);
}

fn dirichlet(c: &mut Criterion) {
    const D: usize = 8;
    let name = "dirichlet,d=8";
    let alpha: Vec<f64> = (0..D).map(|j| 0.5 + 0.7 * j as f64).collect();
    let family = ok!(Dirichlet::new(alpha.clone()));
    let mut rng = SmallRng::seed_from_u64(1);
    let drawn = family.draw(N, &mut rng);
    let (ours, mut density) = our_log_densities(c, name, &family, drawn.rows());
    let statrs = ok!(st::Dirichlet::new(alpha.clone()));
    let rows: Vec<_> = drawn.data().chunks_exact(D).map(DVector::from_column_slice).collect();
    peer_loop(&mut density, (name, "statrs"), &ours, &rows, |x| statrs.ln_pdf(x));
    let rv = ok!(rvd::Dirichlet::new(alpha.clone()));
    let rows: Vec<_> = drawn.data().chunks_exact(D).map(<[f64]>::to_vec).collect();
    peer_loop(&mut density, (name, "rv"), &ours, &rows, |x| rv.ln_f(x));
    density.finish();
    our_fit(c, name, &ok!(Dirichlet::symmetric(D, 1.0)), drawn.rows());

    let mut sample = group(c, format!("sample/{name},n={N}"), N);
    let mut room = OwnedRows::new(D);
    sample.bench_function("elbo", |b| {
        b.iter(|| {
            room = OwnedRows::new(D);
            family.draw_onto(N, &mut rng, &mut room);
            black_box(&room);
        });
    });
    let peer = ok!(rand_distr::multi::Dirichlet::new(&alpha));
    sample.bench_function("rand_distr", |b| {
        b.iter(|| {
            let mut room = vec![0.0; N * D];
            room.chunks_exact_mut(D).for_each(|row| peer.sample_to_slice(&mut rng, row));
            black_box(room);
        });
    });
    sample.finish();
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
fn multinomial(c: &mut Criterion) {
    const D: usize = 8;
    let name = "multinomial,d=8";
    let p: Vec<f64> = (1..=D).map(|x| x as f64 / 36.0).collect();
    let family = ok!(Multinomial::new(p.clone()));
    let mut rng = SmallRng::seed_from_u64(1);
    let data: Vec<f64> = (0..N).flat_map(|_| family.sample(20, &mut rng)).collect();
    let batch = Rows::new(&data, N, D);
    let (ours, mut density) = our_log_densities(c, name, &family, batch);
    let statrs = ok!(st::Multinomial::new(p, 20));
    let rows: Vec<_> = data
        .chunks_exact(D)
        .map(|row| DVector::from_iterator(D, row.iter().map(|x| *x as u64)))
        .collect();
    peer_loop(&mut density, (name, "statrs"), &ours, &rows, |x| statrs.ln_pmf(x));
    density.finish();
    our_fit(c, name, &ok!(Multinomial::new(vec![1.0 / D as f64; D])), batch);
}

criterion_group!(
    name = benches;
    config = criterion::Criterion::default().with_measurement(ProcessorTime);
    targets = real_line, half_line, counts, categories, rows
);
criterion_main!(benches);
