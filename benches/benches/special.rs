//! Special functions against libm and statrs, nanoseconds per number: `function/implementation,region`.
//!
//! Each iteration works through 512 numbers of the region, drawn once, so that branches are as hard to predict as in use.
#![allow(missing_docs, reason = "the macros of criterion make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use elbo::dist::special as ours;
use statrs::function::{beta, erf, gamma};

const NUMBERS: usize = 512;

/// Numbers between `low` and `high`, evenly spread on a logarithmic scale.
fn numbers(low: f64, high: f64) -> Vec<f64> {
    let spread =
        |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1_u64 << 53) as f64;
    (1..=NUMBERS as u64).map(|i| (low.ln() + spread(i) * (high / low).ln()).exp()).collect()
}

fn scalar(
    criterion: &mut Criterion,
    name: &str,
    (region, x): (&str, &[f64]),
    implementations: &[(&str, &dyn Fn(f64) -> f64)],
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(NUMBERS as u64)).sample_size(20);
    for (implementation, function) in implementations {
        let id = BenchmarkId::from_parameter(format!("{implementation},{region}"));
        group.bench_function(id, |bencher| {
            bencher.iter(|| x.iter().map(|x| function(black_box(*x))).sum::<f64>());
        });
    }
    group.finish();
}

fn slice(
    criterion: &mut Criterion,
    name: &str,
    (region, x): (&str, &[f64]),
    function: fn(&[f64], &mut [f64]),
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(NUMBERS as u64)).sample_size(20);
    let mut out = vec![0.0; NUMBERS];
    group.bench_function(BenchmarkId::from_parameter(format!("slice,{region}")), |bencher| {
        bencher.iter(|| function(black_box(x), black_box(&mut out)));
    });
    group.finish();
}

fn gamma_functions(criterion: &mut Criterion) {
    for (region, low, high) in
        [("small", 1e-3, 1.0), ("1to3", 1.0, 3.0), ("3to8", 3.0, 8.0), ("large", 8.0, 1e6)]
    {
        let x = numbers(low, high);
        let at = (region, x.as_slice());
        scalar(
            criterion,
            "ln_gamma",
            at,
            &[("elbo", &ours::ln_gamma), ("libm", &libm::lgamma), ("statrs", &gamma::ln_gamma)],
        );
        slice(criterion, "ln_gamma", at, ours::ln_gamma_into);
        scalar(criterion, "digamma", at, &[("elbo", &ours::digamma), ("statrs", &gamma::digamma)]);
        slice(criterion, "digamma", at, ours::digamma_into);
        scalar(criterion, "trigamma", at, &[("elbo", &ours::trigamma)]);
        let at_three = |x| ours::ln_beta(3.0, x);
        scalar(
            criterion,
            "ln_beta",
            at,
            &[("elbo", &at_three), ("statrs", &|x| beta::ln_beta(3.0, x))],
        );
    }
}

fn elementary(criterion: &mut Criterion) {
    let x = numbers(1e-3, 100.0);
    let at = ("any", x.as_slice());
    scalar(criterion, "exp", at, &[("std", &f64::exp), ("libm", &libm::exp)]);
    slice(criterion, "exp", at, ours::exp_into);
    scalar(criterion, "ln", at, &[("std", &f64::ln), ("libm", &libm::log)]);
    slice(criterion, "ln", at, ours::ln_into);
    scalar(criterion, "log1p_exp", at, &[("elbo", &ours::log1p_exp)]);
    scalar(criterion, "logistic", at, &[("elbo", &ours::logistic)]);
}

fn normal(criterion: &mut Criterion) {
    let x = numbers(1e-2, 6.0);
    let at = ("any", x.as_slice());
    scalar(criterion, "erfc", at, &[("elbo", &ours::erfc), ("statrs", &erf::erfc)]);
    scalar(criterion, "standard_normal_cdf", at, &[("elbo", &ours::standard_normal_cdf)]);
    scalar(criterion, "ln_standard_normal_cdf", at, &[("elbo", &ours::ln_standard_normal_cdf)]);
    for (region, low, high) in [("tail", 1e-10, 0.1), ("center", 0.2, 0.6)] {
        let p = numbers(low, high);
        let at = (region, p.as_slice());
        scalar(criterion, "erfc_inv", at, &[("elbo", &ours::erfc_inv), ("statrs", &erf::erfc_inv)]);
    }
}

fn incomplete(criterion: &mut Criterion) {
    for a in [0.3, 2.5, 15.0, 30.0, 1e3, 1e5] {
        let region = format!("a={a}");
        let deviation = 2.0 * f64::sqrt(a);
        let x = numbers((a - deviation).max(0.05 * a), a + deviation);
        let at = (region.as_str(), x.as_slice());
        scalar(
            criterion,
            "gamma_p",
            at,
            &[("elbo", &|x| ours::gamma_p(a, x)), ("statrs", &|x| gamma::gamma_lr(a, x))],
        );
        let share = |x: f64| (0.5 * x / a).min(0.99);
        scalar(
            criterion,
            "beta_regularized",
            at,
            &[
                ("elbo", &|x| ours::beta_regularized(a, a, share(x))),
                ("statrs", &|x| beta::beta_reg(a, a, share(x))),
            ],
        );
        let p = numbers(1e-3, 0.99);
        let at = (region.as_str(), p.as_slice());
        scalar(criterion, "inverse_gamma_p", at, &[("elbo", &|p| ours::inverse_gamma_p(a, p))]);
        scalar(
            criterion,
            "inverse_beta_regularized",
            at,
            &[
                ("elbo", &|p| ours::inverse_beta_regularized(a, a, p)),
                ("statrs", &|p| beta::inv_beta_reg(a, a, p)),
            ],
        );
    }
}

fn directions(criterion: &mut Criterion) {
    for d in [2, 3, 50, 1000] {
        let region = format!("d={d}");
        let kappa = numbers(0.1, 1e3);
        let at = (region.as_str(), kappa.as_slice());
        let order = 0.5 * d as f64 - 1.0;
        scalar(
            criterion,
            "mean_resultant_length",
            at,
            &[("elbo", &|kappa| ours::mean_resultant_length(d, kappa))],
        );
        scalar(criterion, "ln_bessel_i", at, &[("elbo", &|x| ours::ln_bessel_i(order, x))]);
        let r = numbers(1e-3, 0.99);
        let at = (region.as_str(), r.as_slice());
        scalar(
            criterion,
            "inverse_mean_resultant_length",
            at,
            &[("elbo", &|r| ours::inverse_mean_resultant_length(d, r))],
        );
    }
}

criterion_group!(benches, gamma_functions, elementary, normal, incomplete, directions);
criterion_main!(benches);
