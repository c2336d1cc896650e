//! The Dirichlet-multinomial obeys the laws of its traits, and its steps climb; its oracles are the sum over all rows of
//! counts, scipy, and an optimum found with 40 digits.

use elbo_core::{
    DataError, EstimateError, Family, FitError, Rows, Statistics, Weighted, fit_single,
};
use elbo_dist::special::digamma;
use elbo_dist::{DirichletMultinomial, Multinomial};
use elbo_laws::{Sample, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;
use crate::rows::{RowsOf, all_counts, expect, weighted};

type Data = RowsOf<DirichletMultinomial>;

/// `n ln n` and the logarithms of factorials that cancel it, for rows of up to some 10⁴ trials.
const TERMS: f64 = 1e5;

fn family_of(alpha: Vec<f64>) -> DirichletMultinomial {
    DirichletMultinomial::new(alpha).unwrap()
}

/// Concentrations from 0.02 to 150.
fn compound() -> impl Strategy<Value = DirichletMultinomial> {
    vec((-4.0..5.0_f64).prop_map(f64::exp), 3).prop_map(family_of)
}

/// Counts below and above the table of logarithms.
fn row() -> impl Strategy<Value = Vec<f64>> + Clone {
    let count = prop_oneof![3 => 0..5_u32, 2 => 0..100_u32, 1 => 200..3000_u32];
    vec(count.prop_map(f64::from), 3)
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    weighted(row())
}

/// Rows in which every category is counted, and more than once.
fn counted() -> impl Strategy<Value = WeightedSample<Data>> {
    let count = prop_oneof![3 => 0..5_u32, 2 => 0..100_u32, 1 => 200..1000_u32];
    vec((vec(count.prop_map(f64::from), 3), 0.1..2.0), 3..20).prop_map(|rows| {
        let (mut rows, weights): (Vec<Vec<f64>>, Vec<f64>) = rows.into_iter().unzip();
        rows[0].iter_mut().for_each(|x| *x += 2.0);
        WeightedSample::new(Data::new(&rows), weights)
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((compound(), sample()).prop_map(|(p, s)| s.stats(&p)));
}

mod family {
    use super::*;

    elbo_laws::family_laws!(
        compound(),
        sample(),
        Just(Data::new(&[vec![f64::MAX, 0.0, 1e300], vec![0.0; 3]])),
        TERMS
    );
}

/// `∂ℓ/∂ ln αⱼ`, and the size of the terms that add up to it.
fn gradient(p: &DirichletMultinomial, sample: &WeightedSample<Data>, j: usize) -> (f64, f64) {
    let (a, total) = (p.concentration()[j], p.total_concentration());
    let terms = sample.data.rows().zip(&sample.weights).map(|(x, w)| {
        let n: f64 = x.iter().sum();
        (w * (digamma(a + x[j]) - digamma(a)), w * (digamma(total + n) - digamma(total)))
    });
    terms
        .fold((0.0, 0.0), |(sum, size), (up, down)| (sum + a * (up - down), size + a * (up + down)))
}

/// One step with fresh statistics.
fn step(
    p: &DirichletMultinomial,
    sample: &WeightedSample<Data>,
) -> Result<DirichletMultinomial, EstimateError> {
    let mut next = p.clone();
    p.maximize(&sample.stats(p), &mut next)?;
    Ok(next)
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(p in compound(), sample in sample(), flat in vec(-50.0..50.0_f64, 3)) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&p, &sample.data, TERMS);
        elbo_laws::parameters::every_point_is_a_distribution(&p, &flat);
    }

    /// From anywhere, also far off, to where the gradient vanishes or the concentration grows without end.
    #[test]
    fn no_step_lowers_the_likelihood(sample in counted(), start in vec((-7.0..9.0_f64).prop_map(f64::exp), 3)) {
        let mut p = family_of(start);
        let (mut before, mut size) = sample.log_likelihood(&p);
        let mut steps = 0;
        let end = loop {
            let next = match step(&p, &sample) {
                Ok(next) => next,
                Err(error) => break Some(error),
            };
            let (after, _) = sample.log_likelihood(&next);
            // Scores cancel terms of size n ln n.
            prop_assert!(after >= before - 1e-9 * (1.0 + size), "{after} < {before} at {next:?}");
            let moved = p.concentration().iter().zip(next.concentration());
            let moved = moved.map(|(a, b)| (b / a - 1.0).abs()).fold(0.0, f64::max);
            (p, before, size) = (next, after, size.max(after.abs()));
            steps += 1;
            if moved < 1e-12 || steps == 400 {
                break None;
            }
        };
        match end {
            Some(error) => {
                let at_infinity = matches!(error, EstimateError::Boundary { limit: "infinity", .. });
                prop_assert!(at_infinity, "{error}");
                prop_assert!(p.total_concentration() > 100.0);
            }
            None if p.total_concentration() < 1e4 => {
                // Far off, where the three α must fall by a factor of 160, the bound is short: some forty steps. That the
                // error is squared each time near the maximum is shown below.
                prop_assert!(steps < 100, "{steps} steps");
                for j in 0..3 {
                    let (slope, size) = gradient(&p, &sample, j);
                    prop_assert!(slope.abs() <= 1e-9 * size, "slope {slope} along ln α of {j}");
                }
            }
            None => {}
        }
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in compound(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws: Vec<_> = (0..300_u64).map(|i| truth.sample(2 + i % 20, &mut rng)).collect();
        let sample = WeightedSample::new(Data::new(&draws), vec![1.0; 300]);
        prop_assume!((0..3).all(|j| draws.iter().any(|row| row[j] > 0.0)));
        prop_assume!(step(&truth, &sample).is_ok()); // not under-dispersed by chance
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &sample.data);
    }

    #[test]
    fn scores_are_log_probabilities(p in compound(), sample in sample()) {
        for (score, row) in sample.log_densities(&p).into_iter().zip(sample.data.rows()) {
            assert_close(score, p.log_probability(row), TERMS);
        }
    }

    /// Statistics hold the slope `α₀m₀ + m₁`, by the plain formula.
    #[test]
    fn statistics_hold_the_gradient(p in compound(), sample in counted()) {
        let mut flat = Vec::new();
        sample.stats(&p).write_to(&mut flat);
        let slope_of_total = p.total_concentration() * flat[1] + flat[2];
        for j in 0..3 {
            let a = p.concentration()[j];
            let (slope, size) = gradient(&p, &sample, j);
            let ours = a * (a * flat[8 + j] + flat[11 + j] - slope_of_total);
            prop_assert!((ours - slope).abs() <= 1e-9 * size.max(1.0), "{ours} is not {slope}");
            prop_assert!((flat[5 + j] - a * sample.total_weight()).abs() <= 1e-9 * flat[5 + j]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn moments_agree_with_the_sum_over_all_rows(p in compound(), q in compound(), n in 0..12_u32) {
        let rows = all_counts(3, n);
        let trials = f64::from(n);
        let check = |claimed: f64, g: &dyn Fn(&[f64]) -> f64| {
            let (sum, size) = expect(&rows, |x| p.log_probability(x), g);
            assert_close(claimed, sum, 1e3 * (1.0 + size)); // exponentials of differences of log gammas of size 10²
        };
        check(1.0, &|_| 1.0);
        let (mean, covariance) = (p.mean(trials), p.covariance(trials));
        for i in 0..3 {
            check(mean[i], &|x| x[i]);
            for j in 0..3 {
                check(covariance[3 * i + j], &|x| (x[i] - mean[i]) * (x[j] - mean[j]));
            }
        }
        check(p.entropy(u64::from(n)), &|x| -p.log_probability(x));
        let gap = |x: &[f64]| p.log_probability(x) - q.log_probability(x);
        check(p.kl_divergence(&q, u64::from(n)), &gap);
    }
}

/// Rows, weights, and the optimum that mpmath 1.3.0 finds with 40 digits, `mp.findroot` on the gradient
/// `Σ w [ψ(A) − ψ(A + n) + ψ(αⱼ + xⱼ) − ψ(αⱼ)]` from `(1, 1, 1)`.
const ROWS: [[f64; 3]; 8] = [
    [9.0, 1.0, 2.0],
    [2.0, 8.0, 5.0],
    [7.0, 3.0, 0.0],
    [5.0, 5.0, 1.0],
    [10.0, 0.0, 3.0],
    [0.0, 2.0, 4.0],
    [3.0, 3.0, 3.0],
    [1.0, 0.0, 80.0],
];
const WEIGHTS: [f64; 8] = [1.0, 0.5, 2.0, 1.0, 1.0, 1.5, 1.0, 0.25];
const OPTIMUM: [f64; 3] =
    [1.265_284_005_100_901_3, 0.855_834_897_194_836_7, 0.781_213_004_536_429_6];

#[test]
fn the_fit_is_the_optimum_that_mpmath_finds() {
    for start in [[1.0; 3], [1e-4; 3], [1e4; 3], [1e-3, 1.0, 1e3]] {
        let data = Weighted::new(Rows::new(ROWS.as_flattened(), 8, 3), &WEIGHTS).unwrap();
        let fit = fit_single(family_of(start.to_vec()), data).unwrap();
        assert!(fit.report.stopped.is_converged(), "{:?}", fit.report.stopped);
        assert!(fit.report.largest_fall < 1e-10);
        for (a, b) in fit.params.concentration().iter().zip(OPTIMUM) {
            // The driver ends at a gap of some 10⁻¹⁰ nats or better: the square root of that in α.
            assert!((a / b - 1.0).abs() < 1e-4, "{a} is not {b} from {start:?}");
        }
    }
}

/// The error is squared at each step, up to a constant.
#[test]
fn near_the_optimum_convergence_is_quadratic() {
    let sample = WeightedSample::new(Data::new(&ROWS.map(|row| row.to_vec())), WEIGHTS.to_vec());
    let error = |p: &DirichletMultinomial| {
        let pairs = p.concentration().iter().zip(OPTIMUM);
        pairs.map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max)
    };
    let mut p = family_of(OPTIMUM.map(|a| 1.1 * a).to_vec());
    for _ in 0..6 {
        let before = error(&p);
        p = step(&p, &sample).unwrap();
        assert!(error(&p) <= 5.0 * before * before + 1e-14, "from {before:e} to {:e}", error(&p));
    }
    assert!(error(&p) < 1e-14);
}

#[test]
fn probability_and_covariance_agree_with_scipy() {
    // scipy 1.17.1: d = stats.dirichlet_multinomial([0.7, 2.5, 4.0], 10); d.logpmf([3, 1, 6]); d.cov()
    let p = family_of(vec![0.7, 2.5, 4.0]);
    assert_close(p.log_probability(&[3.0, 1.0, 6.0]), -4.449_955_864_269_156, 30.0);
    let expected = [1.841_030_56, -0.708_088_68, 4.754_309_7];
    let covariance = p.covariance(10.0);
    for (a, b) in [covariance[0], covariance[1], covariance[4]].into_iter().zip(expected) {
        assert!((a - b).abs() < 1e-8, "{a} is not {b}");
    }
}

#[test]
fn far_out_it_is_a_multinomial() {
    let multinomial = Multinomial::new(vec![0.2, 0.3, 0.5]).unwrap();
    let p = family_of([0.2, 0.3, 0.5].map(|p| 1e12 * p).to_vec());
    let row = [100.0, 3.0, 7.0];
    // They differ by about n²/A.
    assert!((p.log_probability(&row) - multinomial.log_probability(&row)).abs() < 1e-7);
}

#[test]
fn rows_that_vary_too_little_belong_to_a_multinomial() {
    let rows = [[3.0, 3.0, 4.0], [4.0, 3.0, 3.0], [3.0, 4.0, 3.0]];
    for start in [[1.0; 3], [0.01, 100.0, 1.0]] {
        let fit = fit_single(family_of(start.to_vec()), Rows::new(rows.as_flattened(), 3, 3));
        let Err(FitError::NoMaximum(EstimateError::Boundary { limit, cure, .. })) = fit else {
            panic!("{fit:?}");
        };
        assert_eq!(limit, "infinity");
        assert!(cure.contains("Multinomial"));
    }
}

#[test]
fn what_the_data_do_not_tell_is_an_error() {
    let p = family_of(vec![1.0, 1.0]);
    let estimate = |rows: &[Vec<f64>]| {
        let sample = WeightedSample::new(Data::new(rows), vec![1.0; rows.len()]);
        step(&p, &sample)
    };
    let never = estimate(&[vec![3.0, 0.0], vec![5.0, 0.0]]);
    assert!(matches!(never, Err(EstimateError::Boundary { limit: "zero", .. })), "{never:?}");
    let single = estimate(&[vec![1.0, 0.0], vec![0.0, 1.0]]);
    assert!(matches!(single, Err(EstimateError::Unsupported { .. })), "{single:?}");
    let empty = estimate(&[vec![0.0, 0.0]]);
    assert!(matches!(empty, Err(EstimateError::NoWeight { .. })), "{empty:?}");
}

#[test]
fn sums_without_a_distribution_are_rejected() {
    let p = family_of(vec![1.0, 2.0]);
    let estimate = |change: &dyn Fn(&mut Vec<f64>)| {
        let mut flat = Vec::new();
        p.expected_stats(2.0).write_to(&mut flat);
        change(&mut flat);
        let mut stats = p.new_stats();
        stats.read_from(&flat);
        p.maximize(&stats, &mut p.clone())
    };
    estimate(&|_| ()).unwrap();
    assert!(matches!(estimate(&|flat| flat.fill(0.0)), Err(EstimateError::NoWeight { .. })));
    for place in [0, 1, 2, 5, 7, 9] {
        for value in [-1.0, f64::NAN] {
            let result = estimate(&|flat| flat[place] = value);
            assert!(matches!(result, Err(EstimateError::Infeasible { .. })), "{place}: {result:?}");
        }
    }
    // By Cauchy and Schwarz no three moments are like that.
    let result = estimate(&|flat| flat[9] *= 10.0);
    assert!(matches!(result, Err(EstimateError::Infeasible { .. })), "{result:?}");
}

#[test]
fn an_estimate_moves_to_a_row() {
    let p = family_of(vec![1.0, 3.0]);
    let moved = p.moved_to(Rows::new(&[2.0, 0.0, 0.0, 0.0], 2, 2), 0).unwrap();
    assert_eq!(moved.concentration(), [2.5, 1.5]);
    assert_eq!(p.moved_to(Rows::new(&[0.0, 0.0], 1, 2), 0).unwrap(), p);
}

#[test]
fn parameters_and_data_are_checked() {
    assert!(DirichletMultinomial::new(vec![0.0, 1.0]).is_err());
    let p = family_of(vec![1.0, 1.0]);
    let error = p.check(Rows::new(&[1.0, 0.5], 1, 2)).unwrap_err();
    assert!(matches!(error, DataError::Support { row: 0, column: 1, .. }));
    assert!(p.check(Data::new(&[vec![1.0; 3]]).batch()).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let p = family_of(vec![0.5, 2.0]);
    let text = serde_json::to_string(&p).unwrap();
    assert_eq!(text, r#"{"concentration":[0.5,2.0]}"#);
    assert_eq!(serde_json::from_str::<DirichletMultinomial>(&text).unwrap(), p);
    assert!(serde_json::from_str::<DirichletMultinomial>(r#"{"concentration": [0.0]}"#).is_err());
}
