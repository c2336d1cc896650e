//! Conjugate priors are posteriors before any data.

use elbo_core::{ConjugatePrior, Family};

use crate::{Sample, TOLERANCE, WeightedSample, assert_close, sample::weighted_sum};

/// The posterior after `a`, taken as the prior of `b`, is the posterior after both.
///
/// # Panics
///
/// If not, judged by the densities at `points` and by the divergences between the two.
pub fn learning_twice_is_learning_at_once<F: Family, P: ConjugatePrior<F>>(
    prior: &P,
    a: &F::Stats,
    b: &F::Stats,
    points: &[F],
) {
    let in_turn = posterior(&posterior(prior, a), b);
    let mut both = a.clone();
    elbo_core::Statistics::merge(&mut both, b);
    let at_once = posterior(prior, &both);
    for point in points {
        let (x, y) = (in_turn.log_prior(point), at_once.log_prior(point));
        assert_close(x, y, 1e3 * (1.0 + x.abs())); // normalizers some 10³ times larger cancel in a density
    }
    divergence_is_about_zero(&in_turn, &at_once);
    divergence_is_about_zero(&at_once, &in_turn);
}

/// `KL(q ‖ p) ≥ 0`, and `KL(q ‖ q) = 0`. The point tells of which family the prior is meant.
///
/// # Panics
///
/// If not.
pub fn divergence_is_never_negative<F: Family, P: ConjugatePrior<F>>(q: &P, p: &P, _: &F) {
    let divergence = q.kl_divergence(p);
    assert!(divergence >= -1e-9, "KL = {divergence}");
    divergence_is_about_zero(q, q);
}

/// No neighbor of the posterior's mode has a higher `ln p(θ) + ln p(x ∣ θ)`.
///
/// # Panics
///
/// If one has, or there is no mode.
pub fn no_neighbor_beats_the_mode<S: Sample, P: ConjugatePrior<S::Family>>(
    prior: &P,
    start: &S::Family,
    sample: &WeightedSample<S>,
    neighbors: impl Fn(&S::Family) -> Vec<S::Family>,
) {
    let mut mode = start.clone();
    posterior(prior, &sample.stats(start)).mode_into(&mut mode).expect("this posterior has a mode");
    let objective = |point: &S::Family| {
        let (data_term, size) = sample.log_likelihood(point);
        let penalty = prior.log_prior(point);
        (data_term + penalty, size + penalty.abs() + sample.total_weight())
    };
    let (highest, size) = objective(&mode);
    for neighbor in neighbors(&mode) {
        let (other, _) = objective(&neighbor);
        assert!(other <= highest + TOLERANCE * size, "a neighbor is better: {other} > {highest}");
    }
}

/// Bayes' theorem with all normalizers: `ln p(x) = ln p(x ∣ θ) + ln p(θ) − ln p(θ ∣ x)` is the same number at every
/// `θ`, and it is the lower bound `Σ w E_q[ln p(x ∣ θ)] − KL(q ‖ p)` at the posterior `q`.
///
/// # Panics
///
/// If not.
pub fn the_bound_at_the_posterior_is_the_evidence<S: Sample, P: ConjugatePrior<S::Family>>(
    prior: &P,
    sample: &WeightedSample<S>,
    points: &[S::Family],
) {
    let posterior = posterior(prior, &sample.stats(&points[0]));
    let mut expected = vec![f64::NAN; sample.len()];
    posterior.expected_log_density_into(&points[0], sample.data.batch(), &mut expected);
    let (data_term, bound_size) = weighted_sum(&expected, &sample.weights);
    let divergence = posterior.kl_divergence(prior);
    let bound = data_term - divergence;
    for point in points {
        let (log_likelihood, size) = sample.log_likelihood(point);
        let (before, after) = (prior.log_prior(point), posterior.log_prior(point));
        let evidence = log_likelihood + before - after;
        // Normalizers inside of the densities are larger than the densities by up to some ln Γ(n).
        let n = 2.0 + sample.total_weight();
        let size = size + bound_size + before.abs() + after.abs() + divergence + n * n.ln();
        assert_close(evidence, bound, 10.0 * size);
    }
}

/// `E_q[ln p(x ∣ θ)]` and `KL(q ‖ p)` are what draws from `q` average to, within six standard errors.
///
/// # Panics
///
/// If not, or there are fewer than two draws.
pub fn expectations_are_averages_over_draws<S: Sample, P: ConjugatePrior<S::Family>>(
    q: &P,
    p: &P,
    draws: &[S::Family],
    data: &S,
) {
    let n = elbo_core::Batch::len(&data.batch());
    let sample = WeightedSample::new(data.clone(), vec![1.0; n]);
    let scores: Vec<Vec<f64>> = draws.iter().map(|point| sample.log_densities(point)).collect();
    let mut expected = vec![f64::NAN; n];
    q.expected_log_density_into(&draws[0], data.batch(), &mut expected);
    for (i, expected) in expected.iter().enumerate() {
        assert_is_mean_of(*expected, scores.iter().map(|row| row[i]));
    }
    let gaps = draws.iter().map(|point| q.log_prior(point) - p.log_prior(point));
    assert_is_mean_of(q.kl_divergence(p), gaps);
}

/// Tests of the laws of [`ConjugatePrior`] that need no parametrization.
///
/// Strategies: a prior, a [`WeightedSample`], a point. Call it inside a module of its own.
#[macro_export]
macro_rules! prior_laws {
    ($prior:expr, $sample:expr, $point:expr) => {
        $crate::proptest::proptest! {
            #[test]
            fn learning_twice_is_learning_at_once(
                prior in $prior, a in $sample, b in $sample,
                points in $crate::proptest::collection::vec($point, 3)
            ) {
                let (a, b) = (a.stats(&points[0]), b.stats(&points[1]));
                $crate::prior::learning_twice_is_learning_at_once(&prior, &a, &b, &points);
            }

            #[test]
            fn divergence_is_never_negative(q in $prior, p in $prior, point in $point) {
                $crate::prior::divergence_is_never_negative(&q, &p, &point);
            }

            #[test]
            fn the_bound_at_the_posterior_is_the_evidence(
                prior in $prior, sample in $sample,
                points in $crate::proptest::collection::vec($point, 3)
            ) {
                $crate::prior::the_bound_at_the_posterior_is_the_evidence(&prior, &sample, &points);
            }
        }
    };
}

fn posterior<F: Family, P: ConjugatePrior<F>>(prior: &P, stats: &F::Stats) -> P {
    let mut posterior = prior.clone();
    prior.posterior(stats, &mut posterior).expect("statistics of data have a posterior");
    posterior
}

/// Near its zero a divergence is the difference of normalizers: absolute rounding of `10⁻⁹` leaves room for those of
/// 10⁶ observations.
#[track_caller]
fn divergence_is_about_zero<F: Family, P: ConjugatePrior<F>>(q: &P, p: &P) {
    let divergence = q.kl_divergence(p);
    assert!(divergence.abs() <= 1e-9, "KL = {divergence:e} between equal distributions");
}

#[track_caller]
fn assert_is_mean_of(claimed: f64, values: impl Iterator<Item = f64>) {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    assert!(n >= 2.0, "two draws are needed");
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = 6.0 * (variance / n).sqrt() + 1e-12 * mean.abs();
    assert!((claimed - mean).abs() <= error, "{claimed} is not {mean} ± {error}");
}
