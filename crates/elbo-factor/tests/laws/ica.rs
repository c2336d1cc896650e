//! Independent components: known sources, a zero gradient, and what must not matter.

use elbo_core::{Tolerance, Weighted};
use elbo_factor::{DataError, EstimateError, FitError, Ica, Rows, Settings, SourceKind};
use rand::RngExt;

use crate::rng;
use crate::support::assert_close;

/// Laplace and uniform sources of variance one in turn, `n × d`.
fn sources(n: usize, d: usize, seed: u64) -> Vec<f64> {
    let mut rng = rng(seed);
    (0..n * d)
        .map(|p| {
            let u: f64 = rng.random_range(-0.5..0.5);
            let laplace = -u.signum() * (1.0 - 2.0 * u.abs()).ln() / 2.0_f64.sqrt();
            if (p % d).is_multiple_of(2) { laplace } else { u * 12.0_f64.sqrt() }
        })
        .collect()
}

/// Mixed by a matrix without a pattern: rows, and the matrix.
fn mixed(n: usize, d: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let (s, mut rng) = (sources(n, d, seed), rng(seed + 1));
    let a: Vec<f64> = (0..d * d).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mix = |s: &[f64]| -> Vec<f64> {
        a.chunks_exact(d).map(|a| 2.0 + a.iter().zip(s).map(|(a, s)| a * s).sum::<f64>()).collect()
    };
    (s.chunks_exact(d).flat_map(mix).collect(), a)
}

/// Amari's distance of `B A` from a scaled permutation, per row and column.
fn amari(b: &[f64], a: &[f64], d: usize) -> f64 {
    let entry = |i: usize, j: usize| (0..d).map(|k| b[i * d + k] * a[k * d + j]).sum::<f64>().abs();
    let excess = |line: &dyn Fn(usize) -> f64| {
        let (sum, largest) = (0..d).map(line).fold((0.0, 0.0_f64), |(s, m), x| (s + x, m.max(x)));
        sum / largest - 1.0
    };
    let rows: f64 = (0..d).map(|i| excess(&|j| entry(i, j))).sum();
    let columns: f64 = (0..d).map(|j| excess(&|i| entry(i, j))).sum();
    (rows + columns) / (2 * d) as f64
}

fn tight() -> Settings {
    Settings { tolerance: Tolerance::Gap(1e-14), ..Settings::default() }
}

#[test]
fn known_sources_of_both_kinds_are_found() {
    let (data, a) = mixed(4000, 4, 1);
    let fit = Ica::new().fit(Rows::new(&data, 4000, 4).into()).unwrap();
    assert!(fit.report.stopped.is_converged(), "{:?}", fit.report.stopped);
    // an entry of B A beside the diagonal is off by about 1/√n = 0.016; there are three of them in a row
    let distance = amari(&fit.unmixing, &a, 4);
    assert!(distance < 0.06, "{distance}");
    let flat = fit.kinds.iter().filter(|kind| **kind == SourceKind::SubGaussian).count();
    assert_eq!(flat, 2, "{:?}", fit.kinds);
    let sources = fit.sources(Rows::new(&data, 4000, 4)).unwrap();
    for k in 0..4 {
        let square: f64 = sources.iter().skip(k).step_by(4).map(|s| s * s).sum::<f64>() / 4000.0;
        assert!((square - 1.0).abs() < 1e-10, "source {k}: {square}");
    }
}

/// `Σ ln p` by the definition of the densities: the Jacobian is that of `B`, whose sources are scaled back.
fn log_likelihood(unmixing: &[f64], mean: &[f64], kinds: &[SourceKind], data: &[f64]) -> f64 {
    let d = mean.len();
    let log_det = determinant(unmixing, d).abs().ln();
    let density = |y: f64, kind: SourceKind| match kind {
        SourceKind::SuperGaussian => -(std::f64::consts::PI * y.cosh()).ln(),
        SourceKind::SubGaussian => {
            let normal = |m: f64| (-0.5 * (y - m).powi(2)).exp() / std::f64::consts::TAU.sqrt();
            (0.5 * (normal(1.0) + normal(-1.0))).ln()
        }
    };
    data.chunks_exact(d)
        .map(|x| {
            let source =
                |b: &[f64]| b.iter().zip(x).zip(mean).map(|((b, x), m)| b * (x - m)).sum::<f64>();
            let terms =
                unmixing.chunks_exact(d).zip(kinds).map(|(b, kind)| density(source(b), *kind));
            log_det + terms.sum::<f64>()
        })
        .sum()
}

fn determinant(a: &[f64], d: usize) -> f64 {
    if d == 1 {
        return a[0];
    }
    let minor = |k: usize| -> Vec<f64> {
        a.iter().enumerate().filter(|(p, _)| p / d > 0 && p % d != k).map(|(_, x)| *x).collect()
    };
    (0..d).map(|k| [1.0, -1.0][k % 2] * a[k] * determinant(&minor(k), d - 1)).sum()
}

#[test]
fn no_scale_and_no_turn_of_the_sources_has_a_higher_likelihood() {
    let (data, _) = mixed(600, 3, 3);
    let fit = Ica::new().settings(tight()).fit(Rows::new(&data, 600, 3).into()).unwrap();
    // the scales at the maximum, one after the other: the likelihood is a sum over sources
    let mut b = fit.unmixing.clone();
    let value = |b: &[f64]| log_likelihood(b, &fit.mean, &fit.kinds, &data);
    for k in 0..3 {
        let (mut low, mut high) = (0.2_f64, 5.0_f64);
        for _ in 0..200 {
            let at = |s: f64| {
                let mut b = b.clone();
                b[k * 3..][..3].iter_mut().for_each(|x| *x *= s);
                value(&b)
            };
            let (x, y) = (low + 0.382 * (high - low), high - 0.382 * (high - low));
            if at(x) < at(y) { low = x } else { high = y }
        }
        b[k * 3..][..3].iter_mut().for_each(|x| *x *= low);
    }
    let here = value(&b);
    assert!(
        (here - fit.report.objective).abs() < 1e-9 * here.abs(),
        "{here} {}",
        fit.report.objective
    );
    for (i, j) in (0..9).map(|p| (p / 3, p % 3)) {
        let moved = |step: f64| {
            let mut near = b.clone();
            (0..3).for_each(|k| near[i * 3 + k] += step * b[j * 3 + k]);
            value(&near)
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        // curvatures of some 600; golden sections leave 1e-8 of each scale, a gap of 1e-14 as much
        assert!(slope.abs() < 1e-3, "({i}, {j}): {slope}");
    }
}

#[test]
fn mixing_again_changes_nothing() {
    let (data, _) = mixed(900, 3, 5);
    let again = |x: &[f64]| [x[0] + 2.0 * x[1], x[1] - x[2], 1e3 * x[2] + x[0] - 40.0];
    let other: Vec<f64> = data.chunks_exact(3).flat_map(again).collect();
    let fit =
        |data: &[f64]| Ica::new().settings(tight()).fit(Rows::new(data, 900, 3).into()).unwrap();
    let (one, two) = (fit(&data), fit(&other));
    // x' = C x: densities change by ln |det C|
    let log_det = determinant(&[1.0, 2.0, 0.0, 0.0, 1.0, -1.0, 1.0, 0.0, 1e3], 3).abs().ln();
    assert!((one.report.objective - two.report.objective - 900.0 * log_det).abs() < 1e-7);
}

#[test]
fn a_weight_of_two_is_two_rows() {
    let (data, _) = mixed(301, 2, 7);
    let counts: Vec<u8> = (0..=2).cycle().take(301).collect();
    let weights: Vec<f64> = counts.iter().map(|w| f64::from(*w)).collect();
    let twice: Vec<f64> = data
        .chunks_exact(2)
        .zip(&counts)
        .flat_map(|(row, w)| (0..*w).flat_map(move |_| row.iter().copied()))
        .collect();
    let weighted = Weighted::new(Rows::new(&data, 301, 2), &weights).unwrap();
    let one = Ica::new().settings(tight()).fit(weighted).unwrap();
    let two =
        Ica::new().settings(tight()).fit(Rows::new(&twice, twice.len() / 2, 2).into()).unwrap();
    assert!((one.report.objective - two.report.objective).abs() < 1e-8);
    assert_close(&one.mixing, &two.mixing, 1e-5);
}

#[test]
fn starts_find_the_same_sources() {
    let (data, _) = mixed(2000, 4, 9);
    let fit = Ica::new().starts(6).fit(Rows::new(&data, 2000, 4).into()).unwrap();
    assert_eq!(fit.runs.optima.len(), 1, "{:?}", fit.runs.optima);
}

#[test]
fn fewer_sources_lie_in_the_leading_components() {
    let (data, _) = mixed(500, 4, 11);
    let fit = Ica::new().components(2).fit(Rows::new(&data, 500, 4).into()).unwrap();
    // B A is the identity, whatever is left out
    for (i, j) in (0..4).map(|p| (p / 2, p % 2)) {
        let product: f64 = (0..4).map(|k| fit.unmixing[i * 4 + k] * fit.mixing[k * 2 + j]).sum();
        assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12);
    }
}

#[test]
fn bad_data_are_refused() {
    let data: Vec<f64> = (0..60).map(|i| f64::from(i * i % 17)).collect();
    let doubled: Vec<f64> = data.iter().flat_map(|x| [*x, 2.0 * x]).collect();
    let error = Ica::new().fit(Rows::new(&doubled, 60, 2).into()).unwrap_err();
    assert!(matches!(error, FitError::Start(EstimateError::Singular { .. })), "{error}");
    let error = Ica::new().components(3).fit(Rows::new(&data, 30, 2).into()).unwrap_err();
    assert!(matches!(error, FitError::Start(EstimateError::Unsupported { .. })), "{error}");
    let mut holes = data;
    holes[7] = f64::NAN;
    let error = Ica::new().fit(Rows::new(&holes, 30, 2).into()).unwrap_err();
    assert!(
        matches!(error, FitError::Data(DataError::NotFinite { row: 3, column: 1, .. })),
        "{error}"
    );
}
