//! Resampling: weights with known moments, standard errors with known limits, intervals that are exact in theory.

use std::convert::Infallible;

use elbo_core::{
    Folds, Interval, IntervalError, Replication, Resampling, bootstrap, jackknife,
    parametric_bootstrap, replicate,
};
use elbo_laws::assert_close;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::on_threads;

const BOTH: [Resampling; 2] = [Resampling::Multinomial, Resampling::Dirichlet];

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn mean(x: &[f64], weights: &[f64]) -> f64 {
    x.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() / weights.iter().sum::<f64>()
}

proptest! {
    #[test]
    fn weights_keep_their_sum_and_never_wake_a_unit_of_weight_zero(
        own in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), Just(2.0), Just(3.0)], 1..9),
        seed in 0_u64..99,
    ) {
        prop_assume!(own.iter().any(|w| *w > 0.0));
        let total: f64 = own.iter().sum();
        for how in BOTH {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let weights = how.weights(own.len(), Some(&own), &mut rng);
            assert_close(weights.iter().sum(), total, total);
            for (weight, own) in weights.iter().zip(&own) {
                prop_assert!(*weight >= 0.0 && (*own > 0.0 || *weight == 0.0));
                prop_assert!(how == Resampling::Dirichlet || weight.fract() == 0.0);
            }
        }
    }
}

/// Of `N` draws, and of a Dirichlet distribution with parameters `w`, `N = Σw`: the mean is `w`, the variance
/// `w (1 − w/N)` and `w (N − w)/(N + 1)`.
#[test]
fn weights_have_their_moments() {
    let (draws, total) = (40_000, 6.0);
    let own = [1.0, 0.3, 0.0, 2.7, 2.0];
    let plain = [1.0; 6];
    for own in [Some(&own[..]), None] {
        let w = own.unwrap_or(&plain);
        for how in BOTH {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let (mut sums, mut squares) = (vec![0.0; w.len()], vec![0.0; w.len()]);
            for _ in 0..draws {
                for (j, x) in how.weights(w.len(), own, &mut rng).into_iter().enumerate() {
                    sums[j] += x;
                    squares[j] += x * x;
                }
            }
            for (j, w) in w.iter().enumerate() {
                let mean = sums[j] / f64::from(draws);
                let variance = squares[j] / f64::from(draws) - mean * mean;
                let expected = match how {
                    Resampling::Multinomial => w * (1.0 - w / total),
                    Resampling::Dirichlet => w * (total - w) / (total + 1.0),
                };
                // Five standard deviations; excess kurtosis is at most some 8 here (share 0.3 of 6).
                let root = 5.0 / f64::from(draws).sqrt();
                assert!((mean - w).abs() <= root * expected.sqrt(), "{how:?} {j}: {mean}");
                assert!(
                    (variance - expected).abs() <= root * 10_f64.sqrt() * expected,
                    "{how:?} {j}"
                );
            }
        }
    }
}

/// The bootstrap of a mean has a limit in closed form: `√(Σ(x − x̄)²/n²)`, and `√(Σ(x − x̄)²/(n (n + 1)))` with Dirichlet
/// weights.
#[test]
fn the_standard_error_of_a_mean_is_the_known_one() {
    let x = [1.0, 2.0, 4.0, 8.0, 9.0];
    let scatter: f64 = x.iter().map(|x| (x - 4.8_f64).powi(2)).sum();
    for (how, divisor) in [(Resampling::Multinomial, 25.0), (Resampling::Dirichlet, 30.0)] {
        let statistic = |w: &[f64]| Ok::<_, Infallible>(vec![mean(&x, w), 7.0]);
        let result = bootstrap(&Replication::new(10_000, 2), how, 5, None, statistic).unwrap();
        let (found, expected) = (result.standard_errors(), f64::sqrt(scatter / divisor));
        // A standard deviation of 10⁴ values is known to 1/√(2·10⁴) = 0.7 %.
        assert!((found[0] / expected - 1.0).abs() < 0.035, "{how:?}: {found:?}, {expected}");
        assert_eq!((found[1], result.original[1]), (0.0, 7.0));
        assert!(result.biases()[0].abs() < 5.0 * expected / 100.0);
    }
}

#[test]
fn the_parametric_standard_error_of_a_mean_is_sigma_over_root_n() {
    let (n, sigma) = (30, 2.5);
    let statistic = |rng: &mut ChaCha8Rng| {
        let x: Vec<f64> = (0..n).map(|_| 3.0 + sigma * normal(rng)).collect();
        Ok::<_, Infallible>(vec![x.iter().sum::<f64>() / f64::from(n)])
    };
    let result = parametric_bootstrap(&Replication::new(4000, 3), vec![3.0], statistic);
    let expected = sigma / f64::from(n).sqrt();
    // 1/√8000 = 1.1 %, times four.
    assert!((result.standard_errors()[0] / expected - 1.0).abs() < 0.045);
}

/// `φ̂ ~ φ + (1 + aφ)(Z − z₀)` is Efron's (1987) model of a biased and skewed estimator; at `φ̂ = 0` its exact interval
/// ends at `(z₀ + z)/(1 − a (z₀ + z))`.
#[test]
fn accelerated_intervals_are_exact_where_they_should_be() {
    let (bias, z) = (0.3, 1.959_963_985);
    let knives: Vec<Vec<f64>> = [0.0, 0.0, 0.0, 1.0].iter().map(|x| vec![*x, -x]).collect();
    // d = ¼, ¼, ¼, −¾.
    let acceleration: f64 = -0.375 / (6.0 * 0.75_f64.powf(1.5));
    let statistic = |rng: &mut ChaCha8Rng| {
        let phi = normal(rng) - bias;
        Ok::<_, Infallible>(vec![phi, -phi])
    };
    let result = parametric_bootstrap(&Replication::new(40_000, 1), vec![0.0, 0.0], statistic);
    let intervals = result.bca(0.95, &knives).unwrap();
    let end = |z: f64| (bias + z) / (1.0 - acceleration * (bias + z));
    // The replicates are normal, so that quantile p has standard error √(p (1 − p)/B)/φ(z): some 0.02 in the tails.
    assert!((intervals[0].low - end(-z)).abs() < 0.08, "{intervals:?}");
    assert!((intervals[0].high - end(z)).abs() < 0.08, "{intervals:?}");
    // What is negated has the negated interval: bias and acceleration change their signs.
    assert!((intervals[1].low + intervals[0].high).abs() < 1e-2);
    assert!((intervals[1].high + intervals[0].low).abs() < 1e-2);
    // The others are not exact, by known amounts.
    let percentile = result.percentile(0.95).unwrap()[0];
    assert!(
        (percentile.low - (-z - bias)).abs() < 0.08 && (percentile.high - (z - bias)).abs() < 0.08
    );
    let basic = result.basic(0.95).unwrap()[0];
    assert_eq!(basic, Interval { low: -percentile.high, high: -percentile.low });
}

#[test]
fn percentiles_are_order_statistics_and_follow_monotone_maps() {
    let draw = |rng: &mut ChaCha8Rng| Ok::<_, Infallible>(vec![normal(rng)]);
    let result = parametric_bootstrap(&Replication::new(199, 6), vec![0.1], draw);
    let cubed = parametric_bootstrap(&Replication::new(199, 6), vec![0.001], |rng| {
        Ok::<_, Infallible>(vec![normal(rng).powi(3)])
    });
    let mut sorted: Vec<f64> = result.replicates.values.iter().map(|x| x[0]).collect();
    sorted.sort_by(f64::total_cmp);
    // 0.05 · 200 = 10 and 0.95 · 200 = 190.
    let interval = result.percentile(0.9).unwrap()[0];
    assert_close(interval.low, sorted[9], 1.0);
    assert_close(interval.high, sorted[189], 1.0);
    let map = cubed.percentile(0.9).unwrap()[0];
    assert_close(map.low, interval.low.powi(3), 10.0);
    assert_close(map.high, interval.high.powi(3), 10.0);
    // Replicates with their median at the statistic and a symmetric jackknife leave nothing to correct.
    let centered = parametric_bootstrap(&Replication::new(199, 6), vec![sorted[99]], draw);
    let bca = centered.bca(0.9, &[vec![1.0], vec![-1.0]]).unwrap()[0];
    assert!((bca.low - interval.low).abs() < 1e-9 && (bca.high - interval.high).abs() < 1e-9);
}

#[test]
fn too_few_replicates_are_told() {
    let run = |b: usize| {
        let draw = |rng: &mut ChaCha8Rng| Ok::<_, Infallible>(vec![normal(rng)]);
        parametric_bootstrap(&Replication::new(b, 1), vec![0.0], draw)
    };
    assert!(matches!(
        run(38).percentile(0.95),
        Err(IntervalError::TooFew { replicates: 38, quantile }) if (quantile - 0.025).abs() < 1e-12
    ));
    assert!(run(39).percentile(0.95).is_ok());
    assert!(run(0).percentile(0.5).is_err());
    let draw = |rng: &mut ChaCha8Rng| Ok::<_, Infallible>(vec![0.0, normal(rng)]);
    let outside = parametric_bootstrap(&Replication::new(99, 1), vec![0.0, 50.0], draw);
    let knives = [vec![0.0, 1.0], vec![0.0, 2.0]];
    assert_eq!(outside.bca(0.9, &knives), Err(IntervalError::Outside { number: 1 }));
}

#[test]
fn the_jackknife_leaves_one_out() {
    let x = [1.0, 2.0, 4.0, 8.0];
    let folds = Folds::from_labels(vec![0, 1, 2, 3]);
    let values = jackknife(&folds, None, |w| Ok::<_, Infallible>(vec![mean(&x, w)])).unwrap();
    for (value, x) in values.iter().zip(x) {
        assert_close(value[0], (15.0 - x) / 3.0, 5.0);
    }
    let statistic = |w: &[f64]| if w[2] == 0.0 { Err("lost") } else { Ok(vec![1.0]) };
    assert_eq!(jackknife(&folds, None, statistic), Err("lost"));
}

#[test]
fn failures_are_counted_and_lose_nobody_else() {
    let x = [1.0, 2.0, 4.0, 8.0];
    let statistic = |w: &[f64]| match w {
        [0.0, ..] => Err("the first unit is missing"),
        [_, 0.0, ..] => Ok(vec![f64::NAN]),
        _ => Ok(vec![mean(&x, w)]),
    };
    let how = Replication::new(200, 1);
    let result = bootstrap(&how, Resampling::Multinomial, 4, None, statistic).unwrap();
    let failed = result.replicates.failures.len();
    assert_eq!(result.replicates.values.len() + failed + result.not_finite, 200);
    // A unit is missing with probability (3/4)⁴ = 0.32.
    assert!((40..90).contains(&failed), "{failed}");
    assert!(result.not_finite > 10 && result.standard_errors()[0].is_finite());
    let all = bootstrap(&how, Resampling::Dirichlet, 4, None, statistic).unwrap();
    assert_eq!(all.replicates.values.len(), 200, "Dirichlet weights are positive");
    let own = [0.0, 1.0, 1.0, 1.0];
    let none = bootstrap(&how, Resampling::Dirichlet, 4, Some(&own), statistic);
    assert_eq!(none.err(), Some("the first unit is missing"));
}

#[test]
fn threads_change_no_bit_and_a_replicate_is_what_it_would_be_alone() {
    let x: Vec<f64> = (0..17).map(|i| f64::from(i * i % 13)).collect();
    for resampling in BOTH {
        let all = || {
            let statistic = |w: &[f64]| Ok::<_, Infallible>(vec![mean(&x, w)]);
            bootstrap(&Replication::new(45, 9), resampling, 17, None, statistic).unwrap().replicates
        };
        let one = on_threads(1, all);
        for threads in [2, 3, 7] {
            assert_eq!(one, on_threads(threads, all));
        }
    }
    let first = replicate(&Replication::new(3, 5), |rng| Ok::<_, Infallible>(normal(rng)));
    let more = replicate(&Replication::new(9, 5), |rng| Ok::<_, Infallible>(normal(rng)));
    assert_eq!(first.values, more.values[..3]);
}
