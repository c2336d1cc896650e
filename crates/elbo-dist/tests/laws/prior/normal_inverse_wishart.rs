//! The normal-inverse-Wishart prior obeys the laws of conjugate priors, and agrees with its one-dimensional relative.

use elbo_core::{
    Conjugate, ConjugatePrior, EmpiricalBayes, EstimateError, Estimator, Evidence, Family,
    MaximumAPosteriori, Priors, Rows, VariationalBayes,
};
use elbo_dist::CovarianceStructure::{self, EEE, EEI, EII, VEE, VII, VVI, VVV};
use elbo_dist::{
    Gaussian, MultivariateGaussian, MultivariateGaussianStats, NormalInverseGamma,
    NormalInverseWishart,
};
use elbo_laws::{Sample, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use rand::RngExt;
use rand_distr::{ChiSquared, StandardNormal};

use super::FACTORS;
use crate::multivariate_gaussian::{Table, covariance, gaussian, neighbors};
use crate::rng;

const SHARED: [CovarianceStructure; 3] = [EII, EEI, EEE];

fn prior(structure: CovarianceStructure, d: usize) -> impl Strategy<Value = NormalInverseWishart> {
    let positive = || (-3.0..3.0_f64).prop_map(f64::exp);
    (vec(-10.0..10.0, d), positive(), positive(), covariance(structure, d)).prop_map(
        move |(mean, count, above, scale)| {
            let degrees = (d - 1) as f64 + above;
            NormalInverseWishart::new(structure, mean, count, degrees, &scale).unwrap()
        },
    )
}

fn sample(d: usize) -> impl Strategy<Value = WeightedSample<Table>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    vec((vec(-10.0..10.0_f64, d), weight), 0..30).prop_map(move |rows| {
        let (data, weights): (Vec<Vec<f64>>, Vec<f64>) = rows.into_iter().unzip();
        WeightedSample::new(Table { data: data.concat(), d }, weights)
    })
}

fn log_base(data: &Table) -> Vec<f64> {
    vec![0.0; data.data.len() / data.d]
}

/// Every hyper-parameter moved, the scale by a factor, by that of one column, and by its correlations.
fn other_priors(p: &NormalInverseWishart) -> Vec<NormalInverseWishart> {
    let (d, count, degrees) = (p.d(), p.mean_pseudo_count(), p.degrees_of_freedom());
    let least = if p.structure().is_diagonal() { 0.0 } else { (d - 1) as f64 };
    let new = |mean: &[f64], count, degrees, scale: &[f64]| {
        NormalInverseWishart::new(p.structure(), mean.to_vec(), count, degrees, scale).unwrap()
    };
    let (mean, scale) = (p.expected_mean(), p.scale());
    let mut others = Vec::new();
    for f in FACTORS {
        let higher = least + f * (degrees - least);
        let times = |g: f64| scale.iter().map(|v| g * v).collect::<Vec<f64>>();
        let column = |i: usize| {
            let stretch =
                |p: usize| if p / d == i { f } else { 1.0 } * if p % d == i { f } else { 1.0 };
            scale.iter().enumerate().map(|(p, v)| v * stretch(p)).collect::<Vec<f64>>()
        };
        let less_correlated: Vec<f64> = scale
            .iter()
            .enumerate()
            .map(|(p, v)| if p / d == p % d { *v } else { f.min(1.0) * v })
            .collect();
        others.push(new(mean, f * count, degrees, &scale));
        others.push(new(mean, count, higher, &scale));
        others.push(new(mean, count, degrees, &times(f)));
        others.push(new(mean, count, higher, &times(higher / degrees)));
        others.push(new(mean, count, degrees, &less_correlated));
        for i in 0..d {
            let mut moved = mean.to_vec();
            moved[i] += (f - 1.0) * (scale[i * d + i] / degrees / count).sqrt();
            others.push(new(&moved, count, degrees, &scale));
            if !p.structure().is_spherical() {
                others.push(new(mean, count, degrees, &column(i)));
            }
        }
    }
    others
}

/// Log determinants, some 30, times half of the weight; and `n ln n`.
const TERMS: f64 = 1e4;

macro_rules! laws_of {
    ($name:ident, $structure:expr, $d:expr) => {
        mod $name {
            use super::*;

            elbo_laws::prior_laws!(prior($structure, $d), sample($d), gaussian($structure, $d, 10.0));
            elbo_laws::evidence_laws!(
                prior($structure, $d), sample($d), gaussian($structure, $d, 10.0), log_base, TERMS
            );
            elbo_laws::learning_laws!(
                prior($structure, $d), sample($d), gaussian($structure, $d, 10.0), other_priors, TERMS
            );

            proptest! {
                #[test]
                fn a_posterior_is_its_own_best_prior(
                    prior in prior($structure, $d), q in prior($structure, $d),
                    point in gaussian($structure, $d, 10.0)
                ) {
                    elbo_laws::prior::one_posterior_is_its_own_best_prior(&prior, &q, &point);
                }

                #[test]
                fn no_neighbor_beats_the_mode(
                    prior in prior($structure, $d), start in gaussian($structure, $d, 10.0),
                    sample in sample($d)
                ) {
                    elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &start, &sample, neighbors);
                }
            }
        }
    };
}
laws_of!(full, VVV, 3);
laws_of!(diagonal, VVI, 3);
laws_of!(spherical, VII, 3);
laws_of!(single_column, EEE, 1);

fn posterior(
    prior: &NormalInverseWishart,
    stats: &MultivariateGaussianStats,
) -> NormalInverseWishart {
    let mut posterior = prior.clone();
    prior.posterior(stats, &mut posterior).unwrap();
    posterior
}

proptest! {
    #[test]
    fn one_column_is_a_normal_inverse_gamma(
        prior in prior(VVV, 1), other in prior(VVV, 1), point in gaussian(VVV, 1, 10.0), sample in sample(1)
    ) {
        let scalar = |p: &NormalInverseWishart| {
            let (shape, scale) = (0.5 * p.degrees_of_freedom(), 0.5 * p.scale()[0]);
            NormalInverseGamma::new(p.expected_mean()[0], p.mean_pseudo_count(), shape, scale).unwrap()
        };
        let x = Gaussian::new(point.mean()[0], point.variances()[0]).unwrap();
        let density = scalar(&prior).log_prior(&x);
        assert_close(prior.log_prior(&point), density, 1e3 * (1.0 + density.abs()));
        let divergence = scalar(&prior).kl_divergence(&scalar(&other));
        assert_close(prior.kl_divergence(&other), divergence, 1e3 * (1.0 + divergence));

        let mut stats = x.new_stats();
        x.observe(&mut stats, &sample.data.data, &sample.weights);
        let mut expected = scalar(&prior);
        ConjugatePrior::<Gaussian>::posterior(&scalar(&prior), &stats, &mut expected).unwrap();
        let posterior = posterior(&prior, &sample.stats(&point));
        let got = scalar(&posterior);
        assert_close(got.expected_mean(), expected.expected_mean(), 100.0);
        assert_close(got.scale(), expected.scale(), 1e4);
        let (mut mode, mut scalar_mode) = (point.clone(), x);
        posterior.mode_into(&mut mode).unwrap();
        expected.mode_into(&mut scalar_mode).unwrap();
        assert_close(mode.variances()[0], scalar_mode.variance(), 1e3 * (1.0 + scalar_mode.variance()));

        let evidence = Evidence::<Gaussian>::log_evidence(&scalar(&prior), &stats).unwrap();
        assert_close(prior.log_evidence(&sample.stats(&point)).unwrap(), evidence, TERMS);
        let both = [prior.clone(), other.clone()];
        let learned = scalar(&prior.learned_from(&both).unwrap());
        let scalar_learned = scalar(&prior).learned_from(&both.map(|p| scalar(&p))).unwrap();
        prop_assert!(learned.kl_divergence(&scalar_learned).abs() < 1e-9, "{:?} {:?}", learned, scalar_learned);

        let at = [1.5];
        let (mut a, mut b) = ([f64::NAN], [f64::NAN]);
        prior.log_predictive_into(&point, Rows::new(&at, 1, 1), &mut a);
        scalar(&prior).log_predictive_into(&x, &at[..], &mut b);
        assert_close(a[0], b[0], 1e3 * (1.0 + b[0].abs()));
        prior.expected_log_density_into(&point, Rows::new(&at, 1, 1), &mut a);
        scalar(&prior).expected_log_density_into(&x, &at[..], &mut b);
        assert_close(a[0], b[0], 1e2 * (1.0 + b[0].abs()));
    }

    #[test]
    fn no_data_leave_the_prior(prior in prior(VVV, 3), point in gaussian(VVV, 3, 10.0)) {
        prop_assert_eq!(posterior(&prior, &point.new_stats()), prior);
    }

    #[test]
    fn a_single_component_shares_with_nobody(
        prior in prior(VVV, 2), start in gaussian(VVV, 2, 10.0), sample in sample(2)
    ) {
        let tied = NormalInverseWishart::new(
            EEE, prior.expected_mean().to_vec(), prior.mean_pseudo_count(),
            prior.degrees_of_freedom(), &prior.scale(),
        ).unwrap();
        let stats = [sample.stats(&start)];
        let mut posteriors = [tied.clone()];
        NormalInverseWishart::posterior_all(&Priors::shared(tied.clone()), &stats, &mut posteriors).unwrap();
        let alone = posterior(&prior, &stats[0]);
        prop_assert_eq!(posteriors[0].scale(), alone.scale());
        let divergence = NormalInverseWishart::kl_all(&posteriors, &Priors::shared(tied));
        assert_close(divergence, alone.kl_divergence(&prior), 1e3 * (1.0 + divergence));
    }

    /// The MAP step of shared covariances is a maximum: no common change of covariance, no change of a mean is better.
    #[test]
    fn no_neighbor_beats_the_shared_mode(
        which in 0..3_usize, a in sample(2), b in sample(2), count in 0.1..5.0_f64, above in 0.1..5.0_f64,
        scale in covariance(EII, 2)
    ) {
        let structure = SHARED[which];
        let prior =
            NormalInverseWishart::new(structure, vec![1.0, -2.0], count, 1.0 + above, &scale).unwrap();
        let priors = Priors::shared(prior.clone());
        let start = MultivariateGaussian::standard(structure, vec![0.0; 2]);
        let stats = [a.stats(&start), b.stats(&start)];
        let mut posteriors = vec![prior; 2];
        NormalInverseWishart::posterior_all(&priors, &stats, &mut posteriors).unwrap();
        let mut points = vec![start; 2];
        NormalInverseWishart::mode_all(&posteriors, &mut points).unwrap();
        prop_assert_eq!(points[0].covariance(), points[1].covariance());
        let objective = |points: &[MultivariateGaussian]| {
            let (x, size_x) = a.log_likelihood(&points[0]);
            let (y, size_y) = b.log_likelihood(&points[1]);
            (x + y + NormalInverseWishart::log_prior_all(&priors, points), size_x + size_y + 100.0)
        };
        let (best, size) = objective(&points);
        for neighbor in neighbors(&points[0]) {
            let covariance = neighbor.covariance();
            let second = MultivariateGaussian::new(structure, points[1].mean().to_vec(), &covariance).unwrap();
            let (other, _) = objective(&[neighbor, second]);
            prop_assert!(other <= best + elbo_laws::TOLERANCE * size, "{structure}: {other} > {best}");
        }
    }

    /// The evidence of two components with one covariance, by Bayes' theorem at any point, is the bound at the
    /// posterior: shared parts are counted once everywhere or nowhere.
    #[test]
    fn the_shared_bound_is_the_evidence(
        which in 0..3_usize, a in sample(2), b in sample(2), means in vec(-3.0..3.0_f64, 4), scale in covariance(EII, 2)
    ) {
        let structure = SHARED[which];
        let prior = NormalInverseWishart::new(structure, vec![1.0, -2.0], 0.5, 3.0, &scale).unwrap();
        let priors = Priors::shared(prior.clone());
        let at = |mean: &[f64]| MultivariateGaussian::new(structure, mean.to_vec(), &scale).unwrap();
        let points = [at(&means[..2]), at(&means[2..])];
        let stats = [a.stats(&points[0]), b.stats(&points[1])];
        let mut posteriors = vec![prior; 2];
        NormalInverseWishart::posterior_all(&priors, &stats, &mut posteriors).unwrap();
        let (x, size_x) = a.log_likelihood(&points[0]);
        let (y, size_y) = b.log_likelihood(&points[1]);
        let evidence = x + y + NormalInverseWishart::log_prior_all(&priors, &points)
            - NormalInverseWishart::log_prior_all(&Priors::each(posteriors.clone()), &points);
        let expected = |posterior: &NormalInverseWishart, sample: &WeightedSample<Table>| -> f64 {
            let mut out = vec![f64::NAN; sample.len()];
            posterior.expected_log_density_into(&points[0], sample.data.batch(), &mut out);
            out.iter().zip(&sample.weights).map(|(x, w)| w * x).sum()
        };
        let bound = expected(&posteriors[0], &a) + expected(&posteriors[1], &b)
            - NormalInverseWishart::kl_all(&posteriors, &priors);
        assert_close(evidence, bound, 100.0 * (size_x + size_y + 100.0));
    }
}

/// A draw of `Σ` as the inverse of a Wishart one (Bartlett), or of gamma ones, and of `μ` given it.
fn draw(prior: &NormalInverseWishart, rng: &mut impl rand::Rng) -> MultivariateGaussian {
    let (d, degrees, scale) = (prior.d(), prior.degrees_of_freedom(), prior.scale());
    let mut chi_squared = |degrees: f64| -> f64 { rng.sample(ChiSquared::new(degrees).unwrap()) };
    let mut covariance = vec![0.0; d * d];
    if prior.structure().is_diagonal() {
        for j in 0..d {
            let spherical = prior.structure().is_spherical() && j > 0;
            covariance[j * d + j] =
                if spherical { covariance[0] } else { scale[j * d + j] / chi_squared(degrees) };
        }
    } else {
        // Λ = L A Aᵀ Lᵀ with L Lᵀ = Ψ⁻¹, A lower triangular
        let mut inverse = vec![0.0; d * d];
        let mut l = scale;
        elbo_linalg::cholesky_in_place(&mut l, d).unwrap();
        elbo_linalg::spd_inverse_from_cholesky(&l, d, &mut inverse);
        elbo_linalg::cholesky_in_place(&mut inverse, d).unwrap();
        let mut a = vec![0.0; d * d];
        for i in 0..d {
            a[i * d + i] = chi_squared(degrees - i as f64).sqrt();
        }
        for i in 0..d {
            for j in 0..i {
                a[i * d + j] = rng.sample(StandardNormal);
            }
        }
        let wishart = crate::multivariate_gaussian::congruent(
            &inverse,
            &crate::multivariate_gaussian::congruent(&a, &identity(d), d),
            d,
        );
        let mut l = wishart;
        elbo_linalg::cholesky_in_place(&mut l, d).unwrap();
        elbo_linalg::spd_inverse_from_cholesky(&l, d, &mut covariance);
    }
    let of_mean: Vec<f64> = covariance.iter().map(|x| x / prior.mean_pseudo_count()).collect();
    let (structure, center) = (prior.structure(), prior.expected_mean().to_vec());
    let mean = MultivariateGaussian::new(structure, center, &of_mean).unwrap().sample(rng);
    MultivariateGaussian::new(structure, mean, &covariance).unwrap()
}

fn identity(d: usize) -> Vec<f64> {
    (0..d * d).map(|p| f64::from(p / d == p % d)).collect()
}

#[test]
fn expectations_are_averages_over_draws() {
    for structure in [VVV, VVI, VII] {
        let scales = match structure {
            VVV => [[4.0, 1.0, 1.0, 2.0], [3.0, -0.5, -0.5, 1.0]],
            VVI => [[4.0, 0.0, 0.0, 2.0], [3.0, 0.0, 0.0, 1.0]],
            _ => [[4.0, 0.0, 0.0, 4.0], [3.0, 0.0, 0.0, 3.0]],
        };
        let q = NormalInverseWishart::new(structure, vec![1.0, 0.0], 2.0, 6.0, &scales[0]).unwrap();
        let p = NormalInverseWishart::new(structure, vec![0.5, 1.0], 0.7, 4.0, &scales[1]).unwrap();
        let mut rng = rng(1);
        let draws: Vec<_> = (0..4000).map(|_| draw(&q, &mut rng)).collect();
        let data = Table { data: vec![-3.0, 0.0, 1.0, 8.0, 1.0, 0.0], d: 2 };
        elbo_laws::prior::expectations_are_averages_over_draws(&q, &p, &draws, &data);
    }
}

/// The double integral over two columns.
#[test]
fn predictions_integrate_to_one() {
    for structure in [VVV, VVI, VII] {
        let scale = match structure {
            VVV => [4.0, 1.0, 1.0, 2.0],
            VVI => [4.0, 0.0, 0.0, 2.0],
            _ => [3.0, 0.0, 0.0, 3.0],
        };
        let prior =
            NormalInverseWishart::new(structure, vec![1.0, -2.0], 0.7, 4.5, &scale).unwrap();
        let point = MultivariateGaussian::standard(structure, vec![0.0; 2]);
        let density = |x: f64, y: f64| {
            let mut out = [f64::NAN];
            prior.log_predictive_into(&point, Rows::new(&[x, y], 1, 2), &mut out);
            out[0].exp()
        };
        let coarse = |f: &dyn Fn(f64) -> f64| -> f64 {
            // Trapezoids in t, x = sinh 2t: the integrand falls like a power of x, so exponentially in t.
            let step = 1.0 / 16.0;
            (-112..=112)
                .map(|i| step * f64::from(i))
                .map(|t| f((2.0 * t).sinh()) * 2.0 * (2.0 * t).cosh() * step)
                .sum()
        };
        let integral = coarse(&|x| coarse(&|y| density(1.0 + x, y - 2.0)));
        assert!((integral - 1.0).abs() < 1e-8, "{structure:?}: {integral}");
    }
}

/// mpmath 1.3.0 at 50 digits: `ln Γ_d(ν'/2) − ln Γ_d(ν/2) + (ν/2) ln|Ψ| − (ν'/2) ln|Ψ'| + (d/2) ln(κ/κ') − (nd/2) ln π`
/// with m = (10⁸ + 1, −10⁸), κ = 1/2, ν = 7/2, Ψ = [3 1; 1 2], data (10⁸, −10⁸) + {(0, 1), (1, 0), (4, 2)}; and the
/// predictive density at (10⁸ + 3, −10⁸ + 1).
#[test]
fn the_evidence_of_far_data_is_exact() {
    let o = 1e8;
    let scale = [3.0, 1.0, 1.0, 2.0];
    let prior = NormalInverseWishart::new(VVV, vec![o + 1.0, -o], 0.5, 3.5, &scale).unwrap();
    let start = MultivariateGaussian::standard(VVV, vec![o + 2.0, -o]);
    let data = Table { data: vec![o, 1.0 - o, o + 1.0, -o, o + 4.0, 2.0 - o], d: 2 };
    let evidence =
        prior.log_evidence(&WeightedSample::new(data, vec![1.0; 3]).stats(&start)).unwrap();
    assert!((evidence + 12.444_192_463_725_518).abs() < 2e-14, "{evidence:.17}");
    let mut predicted = [f64::NAN];
    prior.log_predictive_into(&start, Rows::new(&[o + 3.0, 1.0 - o], 1, 2), &mut predicted);
    assert!((predicted[0] + 3.686_650_146_996_588).abs() < 5e-15, "{:.17}", predicted[0]);
}

/// Posteriors of components that share a covariance say the same about it.
#[test]
fn a_shared_covariance_is_learned_once() {
    let scale = [3.0, 1.0, 1.0, 2.0];
    let posterior =
        |mean: [f64; 2]| NormalInverseWishart::new(EEE, mean.to_vec(), 4.0, 9.0, &scale).unwrap();
    let posteriors = [posterior([0.0, 0.0]), posterior([1.0, 0.0]), posterior([2.0, 3.0])];
    let learned = posteriors[0].learned_from(&posteriors).unwrap();
    assert_close(learned.degrees_of_freedom(), 9.0, 9.0);
    learned.scale().iter().zip(scale).for_each(|(a, b)| assert_close(*a, b, 10.0));
    assert_close(learned.expected_mean()[0], 1.0, 10.0);
    assert_close(learned.expected_mean()[1], 1.0, 10.0);
    // 1/κ = 1/4 + ν Σ δᵀ Ψ⁻¹ δ / nd with Ψ⁻¹ = [2 −1; −1 3]/5 and δ = (−1, −1), (0, −1), (1, 2)
    let distance = (3.0 + 3.0 + 10.0) / 5.0;
    assert_close(learned.mean_pseudo_count(), 1.0 / (0.25 + 9.0 * distance / 6.0), 1.0);
}

#[test]
fn mode_and_mean_are_where_they_say() {
    let scale = [6.0, 1.0, 1.0, 3.0];
    let prior = NormalInverseWishart::new(VVV, vec![1.0, 2.0], 0.5, 4.0, &scale).unwrap();
    let mut point = MultivariateGaussian::standard(VVV, vec![0.0; 2]);
    prior.mode_into(&mut point).unwrap();
    assert_eq!(point.covariance()[0], 6.0 * (1.0 / 8.0));
    prior.mean_into(&mut point);
    assert_eq!(
        (point.mean(), &point.covariance()[..]),
        (&[1.0, 2.0][..], &scale.map(|x| x / 4.0)[..])
    );
    let spherical =
        NormalInverseWishart::new(VII, vec![0.0; 2], 1.0, 2.0, &[6.0, 0.0, 0.0, 6.0]).unwrap();
    let mut point = MultivariateGaussian::standard(VII, vec![0.0; 2]);
    spherical.mode_into(&mut point).unwrap();
    assert_close(point.variances()[1], 1.0, 1.0);
}

#[test]
fn far_data_leave_the_scale_exact() {
    for offset in [0.0, 1e8] {
        let prior = NormalInverseWishart::new(VVV, vec![offset + 2.0], 1.0, 3.0, &[10.0]).unwrap();
        let start = MultivariateGaussian::standard(VVV, vec![offset + 1.0]);
        let data = Table { data: vec![offset + 1.0, offset + 3.0], d: 1 };
        let stats = WeightedSample::new(data, vec![0.5, 0.5]).stats(&start);
        let posterior = posterior(&prior, &stats);
        assert_eq!(posterior.expected_mean(), [offset + 2.0]);
        assert_eq!(posterior.scale(), [11.0]);
        assert_eq!(posterior.degrees_of_freedom(), 4.0);
    }
}

/// Duplicates have no likelihood maximum, but a posterior mode.
#[test]
fn a_prior_cures_duplicates() {
    let prior =
        NormalInverseWishart::default_for(VVV, 2, vec![0.0; 2], &[1.0, 0.3, 0.3, 2.0]).unwrap();
    let estimator = MaximumAPosteriori::new(prior);
    let start = vec![MultivariateGaussian::standard(VVV, vec![5.0; 2]); 2];
    let fits: Conjugate<_, _> = estimator.start(start, 1.0).unwrap();
    let mut stats = fits.points()[0].new_stats();
    fits.points()[0].observe(&mut stats, Rows::new(&[5.0; 8], 4, 2), &[1.0; 4]);
    let mut next = fits.clone();
    estimator.estimate(&fits, &[stats, fits.points()[1].new_stats()], &mut next).unwrap();
    assert!(next.points().iter().all(|g| g.log_det().is_finite()));
}

#[test]
fn the_default_is_on_the_scale_of_the_data() {
    let covariance = [4.0, 1.0, 1.0, 2.0];
    let make = |structure| {
        NormalInverseWishart::default_for(structure, 4, vec![1.0, 2.0], &covariance).unwrap()
    };
    assert_eq!(make(VVV).scale(), [1.0, 0.25, 0.25, 0.5]);
    assert_eq!(make(VVI).scale(), [1.0, 0.0, 0.0, 0.5]);
    assert_eq!(make(VII).scale(), [0.75, 0.0, 0.0, 0.75]);
    assert_eq!((make(EEE).mean_pseudo_count(), make(EEE).degrees_of_freedom()), (0.01, 4.0));
    let constant = NormalInverseWishart::default_for(VVI, 2, vec![0.0; 2], &[1.0, 0.0, 0.0, 0.0]);
    assert!(constant.unwrap_err().to_string().contains("column 1"));
}

#[test]
fn what_has_no_conjugate_prior_says_so() {
    let prior = |structure| {
        NormalInverseWishart::new(structure, vec![0.0; 2], 1.0, 3.0, &identity(2)).unwrap()
    };
    let start = |structure| vec![MultivariateGaussian::standard(structure, vec![0.0; 2]); 2];
    let refused = VariationalBayes::new(prior(VEE)).start(start(VEE), 1.0).unwrap_err();
    assert!(matches!(refused, EstimateError::Unsupported { structure: "VEE", .. }), "{refused}");
    let refused = MaximumAPosteriori::new(prior(VVV)).start(start(EEE), 1.0).unwrap_err();
    assert!(matches!(refused, EstimateError::Unsupported { structure: "EEE", .. }), "{refused}");

    let wider = NormalInverseWishart::new(EEE, vec![0.0; 2], 1.0, 4.0, &identity(2)).unwrap();
    let mixed = MaximumAPosteriori::with(Priors::each(vec![prior(EEE), wider]));
    let refused = mixed.start(start(EEE), 1.0).unwrap_err();
    assert!(matches!(refused, EstimateError::Unsupported { .. }), "{refused}");
}

#[test]
fn parameters_are_checked() {
    let new = |count, degrees, scale: &[f64]| {
        NormalInverseWishart::new(VVV, vec![0.0; 2], count, degrees, scale)
    };
    assert!(new(1.0, 1.1, &identity(2)).is_ok());
    assert!(new(0.0, 3.0, &identity(2)).is_err());
    assert!(new(1.0, 1.0, &identity(2)).is_err());
    assert!(new(1.0, f64::INFINITY, &identity(2)).is_err());
    assert!(new(1.0, 3.0, &[1.0, 2.0, 2.0, 1.0]).is_err());
    assert!(NormalInverseWishart::new(VVI, vec![0.0; 2], 1.0, 0.5, &identity(2)).is_ok());
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let prior =
        NormalInverseWishart::default_for(VVV, 3, vec![0.1; 2], &[0.3, 0.1, 0.1, 0.7]).unwrap();
    let text = serde_json::to_string(&prior).unwrap();
    assert_eq!(serde_json::from_str::<NormalInverseWishart>(&text).unwrap(), prior);
    let refused = text.replace("0.01", "-0.01");
    assert!(serde_json::from_str::<NormalInverseWishart>(&refused).is_err());
}
