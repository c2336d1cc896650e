//! The objective never falls, and its gradient is zero at the end.

use elbo_core::{Conjugate, Estimator, Family, FitError, LatentModel, Stopped};
use elbo_dist::{Categorical, Dirichlet, Gamma, Poisson};
use elbo_mixture::{
    CovarianceStructure, Estimation, GaussianMixture, Mixture, MixtureModel, MultivariateGaussian,
    Settings, Start, Tolerance, Weighted,
};
use proptest::prelude::*;

use crate::support::{clusters, shipped, tight};

/// No step may lower the objective by more than rounding: 10⁻¹² of the size of the terms added.
fn assert_never_falls(trace: &[f64], size: f64) {
    for (i, pair) in trace.windows(2).enumerate() {
        assert!(
            pair[1] >= pair[0] - 1e-12 * size,
            "iteration {}: {} after {}",
            i + 1,
            pair[1],
            pair[0]
        );
    }
}

fn size(report: &elbo_core::Report) -> f64 {
    report.data_term.abs() + report.penalty.abs() + report.observations
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_structure_and_no_estimator_ever_lowers_the_objective(
        seed in any::<u64>(),
        d in 1_usize..4,
        k in 1_usize..4,
        structure in prop::sample::select(CovarianceStructure::ALL.to_vec()),
        estimation in prop::sample::select(
            vec![Estimation::MaximumLikelihood, Estimation::MaximumAPosteriori, Estimation::VariationalBayes],
        ),
    ) {
        let table = clusters(60, d, k, seed);
        let settings = Settings { max_iterations: 60, seed, tolerance: Tolerance::Gap(0.0), ..Settings::default() };
        let fitted = GaussianMixture::new(k)
            .structure(structure)
            .estimation(estimation)
            .starts(2)
            .settings(settings)
            .fit(table.rows().into());
        let fitted = match fitted {
            Err(FitError::Start(elbo_core::EstimateError::Unsupported { .. })) => {
                // Only structures without a conjugate prior may refuse one.
                prop_assert!(estimation != Estimation::MaximumLikelihood && !has_prior(structure));
                return Ok(());
            }
            other => other.unwrap(),
        };
        for end in &fitted.runs.ends {
            let report = end.outcome.as_ref().unwrap();
            prop_assert!(!matches!(report.stopped, Stopped::ObjectiveFell { .. }), "{:?}", report.stopped);
            assert_never_falls(&report.trace, size(report));
        }
    }

    #[test]
    fn mixtures_of_poissons_climb_under_ml_map_and_vb(
        counts in prop::collection::vec(0_u64..40, 12..80),
        k in 1_usize..4,
        seed in any::<u64>(),
    ) {
        let template = Poisson::new(1.0).unwrap();
        climbs(&MixtureModel::ml(), &counts[..], &template, k, seed)?;
        let (prior, weights) = (Gamma::new(1.5, 0.2).unwrap(), Dirichlet::symmetric(k, 1.5).unwrap());
        climbs(&MixtureModel::map(prior, weights.clone()), &counts[..], &template, k, seed)?;
        climbs(&MixtureModel::vb(prior, weights), &counts[..], &template, k, seed)?;
    }

    #[test]
    fn mixtures_of_categoricals_climb_under_ml_map_and_vb(
        codes in prop::collection::vec(0_u32..5, 12..80),
        k in 1_usize..4,
        seed in any::<u64>(),
    ) {
        let template = Categorical::uniform(5);
        climbs(&MixtureModel::ml(), &codes[..], &template, k, seed)?;
        let (prior, weights) = (Dirichlet::symmetric(5, 1.5).unwrap(), Dirichlet::symmetric(k, 1.5).unwrap());
        climbs(&MixtureModel::map(prior.clone(), weights.clone()), &codes[..], &template, k, seed)?;
        climbs(&MixtureModel::vb(prior, weights), &codes[..], &template, k, seed)?;
    }
}

/// Structures with a conjugate prior: those whose M-step is closed in the conjugate family.
fn has_prior(structure: CovarianceStructure) -> bool {
    use CovarianceStructure::{EEE, EEI, EII, VII, VVI, VVV};
    [EII, VII, EEI, VVI, EEE, VVV].contains(&structure)
}

fn climbs<F, E, W>(
    model: &MixtureModel<F, E, W>,
    data: F::Batch<'_>,
    template: &F,
    k: usize,
    seed: u64,
) -> Result<(), TestCaseError>
where
    F: Family,
    E: Estimator<F>,
    W: Estimator<Categorical>,
{
    let settings = Settings {
        seed,
        max_iterations: 100,
        tolerance: Tolerance::Gap(0.0),
        ..Settings::default()
    };
    let start = Start::Spread { k, runs: 2, template: template.clone() };
    match model.fit(Weighted::uniform(data), &start, &settings, &()) {
        Ok(fitted) => {
            for end in &fitted.runs.ends {
                let report = end.outcome.as_ref().unwrap();
                prop_assert!(
                    !matches!(report.stopped, Stopped::ObjectiveFell { .. }),
                    "{:?}",
                    report.stopped
                );
                assert_never_falls(&report.trace, size(report));
            }
        }
        // Fewer distinct values than components, or only zeros: typed, and true.
        Err(FitError::Data(_) | FitError::Start(_)) => {}
        Err(other) => return Err(TestCaseError::fail(format!("{other}"))),
    }
    Ok(())
}

#[test]
fn hard_em_never_lowers_its_own_objective() {
    let faithful = shipped("faithful");
    let settings = Settings { variant: elbo_mixture::Variant::Hard, ..Settings::default() };
    let fitted = GaussianMixture::new(3).settings(settings).fit(faithful.rows().into()).unwrap();
    for report in fitted.runs.ends.iter().map(|end| end.outcome.as_ref().unwrap()) {
        assert_never_falls(&report.trace, size(report));
    }
    assert!(fitted.report.stopped.is_converged(), "{:?}", fitted.report.stopped);
}

#[test]
fn annealing_ends_at_a_stationary_point_of_the_likelihood() {
    let faithful = shipped("faithful");
    let variant = elbo_mixture::Variant::Annealed { start: 0.1, rate: 1.1 };
    let settings = Settings { variant, ..Settings::default() };
    let fitted = GaussianMixture::new(2).settings(settings).fit(faithful.rows().into()).unwrap();
    assert!(fitted.report.stopped.is_converged());
    assert!(
        (fitted.report.objective - fitted.log_likelihood).abs()
            < 1e-9 * fitted.log_likelihood.abs()
    );
}

/// Central differences of the log-likelihood in weights (on the simplex), means and covariances.
#[test]
fn the_gradient_is_zero_at_convergence() {
    let faithful = shipped("faithful");
    let fitted = tight(2, CovarianceStructure::VVV).fit(faithful.rows().into()).unwrap();
    let (weights, components) = (fitted.mixture.weights(), fitted.mixture.components());
    // A point moved along a coordinate, whose unit is one standard deviation or the product of two.
    let moved = |coordinate: usize, h: f64| {
        let (mut weights, mut components) = (weights.to_vec(), components.to_vec());
        if coordinate == 0 {
            weights[0] += h;
            weights[1] -= h;
        } else {
            let (j, which) = ((coordinate - 1) / 5, (coordinate - 1) % 5);
            let (mut mean, mut covariance) =
                (components[j].mean().to_vec(), components[j].covariance());
            let sd: Vec<f64> = components[j].variances().into_iter().map(f64::sqrt).collect();
            match which {
                0 | 1 => mean[which] += h * sd[which],
                2 => covariance[0] += h * sd[0] * sd[0],
                3 => covariance[3] += h * sd[1] * sd[1],
                _ => {
                    covariance[1] += h * sd[0] * sd[1];
                    covariance[2] = covariance[1];
                }
            }
            components[j] =
                MultivariateGaussian::new(CovarianceStructure::VVV, mean, &covariance).unwrap();
        }
        Mixture::new(weights, components).unwrap().log_likelihood(faithful.rows()).unwrap()
    };
    // With h = 10⁻⁴ the difference quotient errs by h²·n ≈ 3·10⁻⁶ and by ε·ℓ/h ≈ 3·10⁻⁹.
    let h = 1e-4;
    for coordinate in 0..11 {
        let slope = (moved(coordinate, h) - moved(coordinate, -h)) / (2.0 * h);
        assert!(slope.abs() < 1e-4, "slope {slope} along coordinate {coordinate}");
    }
}

#[test]
fn one_component_is_the_closed_form() {
    let iris = shipped("iris");
    let fitted = tight(1, CovarianceStructure::VVV).fit(iris.rows().into()).unwrap();
    assert!(fitted.report.iterations <= 4, "{}", fitted.report.iterations);
    assert_eq!(fitted.report.free_parameters, 14);
    assert_eq!(fitted.mixture.weights(), [1.0]);
}

#[test]
fn a_posterior_is_kept_for_every_component_under_vb() {
    let faithful = shipped("faithful");
    let prior = elbo_mixture::NormalInverseWishart::default_for(
        CovarianceStructure::VVV,
        2,
        vec![3.5, 71.0],
        &[1.3, 14.0, 14.0, 184.0],
    )
    .unwrap();
    let model = MixtureModel::vb(prior, Dirichlet::symmetric(2, 0.5).unwrap());
    let template = MultivariateGaussian::standard(CovarianceStructure::VVV, vec![0.0; 2]);
    let one = elbo_core::fit(
        &model,
        Weighted::uniform(faithful.rows()),
        model
            .start(Mixture::new(vec![0.5, 0.5], vec![template.clone(), template]).unwrap(), 272.0)
            .unwrap(),
        &Settings { max_iterations: 3, ..Settings::default() },
        &(),
    )
    .unwrap();
    let fits: &Conjugate<_, _> = one.params.components();
    assert_eq!((fits.posteriors().len(), fits.points().len()), (2, 2));
    assert!(model.penalty(&one.params) < 0.0, "a KL divergence is positive");
}
