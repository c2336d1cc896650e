//! Dirichlet processes and predictions of posteriors.

use elbo_core::{EstimateError, FitError, VariationalBayes};
use elbo_dist::{NormalInverseWishart, StudentT};
use elbo_mixture::{
    CovarianceStructure::VVV, Estimation, GaussianMixture, Mixture, MixtureModel,
    MultivariateGaussian, Rows, Settings, Start, StickBreaking, Tolerance, WeightPrior,
};

use crate::support::{Table, clusters, shipped};

/// Three groups 20 apart.
fn apart() -> Table {
    let mut table = clusters(150, 2, 1, 30);
    table.values.iter_mut().enumerate().for_each(|(place, x)| {
        *x += 20.0 * [0.0, 1.0, 2.0, 2.0, 2.0, 1.0][place / 2 % 6];
    });
    table
}

fn process(k: usize, alpha: f64) -> GaussianMixture {
    GaussianMixture::new(k)
        .estimation(Estimation::VariationalBayes)
        .weights_prior(WeightPrior::DirichletProcess(alpha))
        .starts(6)
}

#[test]
fn a_process_uses_as_many_components_as_there_are_groups_in_order_of_size() {
    let table = apart();
    for alpha in [0.1, 1.0] {
        let fitted = process(8, alpha).fit(table.rows().into()).unwrap();
        let weights = fitted.mixture.weights();
        assert!(weights.is_sorted_by(|a, b| a >= b), "{weights:?}");
        let used = weights.iter().filter(|weight| **weight > 0.05).count();
        assert_eq!(used, 3, "{weights:?}");
        for (weight, share) in weights.iter().zip([3.0, 2.0, 1.0]) {
            assert!((weight - share / 6.0).abs() < 0.02, "{weights:?}");
        }
    }
}

/// What more components with nothing to do cost is the divergence of their sticks: less than nothing is never gained.
#[test]
fn sorting_never_lowers_the_bound() {
    let table = shipped("faithful");
    let prior = NormalInverseWishart::default_for(VVV, 6, vec![3.5, 71.0], &[1.3, 0.0, 0.0, 184.0])
        .unwrap();
    let model = MixtureModel::vb(prior, StickBreaking::dirichlet_process(6, 1.0).unwrap());
    let template = MultivariateGaussian::standard(VVV, vec![0.0; 2]);
    let start = Start::Spread { k: 6, runs: 6, template };
    let settings = Settings { tolerance: Tolerance::Gap(1e-10), ..Settings::default() };
    let unsorted = model.fit(table.rows().into(), &start, &settings, &()).unwrap();
    let sorted = Start::At(unsorted.mixture.sorted_by_weight());
    let sorted = model.fit(table.rows().into(), &sorted, &settings, &()).unwrap();
    assert!(sorted.report.objective >= unsorted.report.objective - 1e-6);
    let weights = sorted.mixture.sorted_by_weight();
    assert_eq!(weights.sorted_by_weight(), weights);
    let (a, b) =
        (sorted.mixture.log_likelihood(table.rows()), weights.log_likelihood(table.rows()));
    assert!((a.unwrap() - b.unwrap()).abs() < 1e-9);
}

#[test]
fn maximum_likelihood_refuses_a_prior_of_the_weights() {
    let table = apart();
    for prior in [WeightPrior::Dirichlet(0.5), WeightPrior::DirichletProcess(1.0)] {
        let builder = GaussianMixture::new(2).weights_prior(prior);
        for error in [
            builder.fit(table.rows().into()).err(),
            builder.clone().with_noise().fit(table.rows().into()).err(),
        ] {
            let error = error.unwrap();
            assert!(matches!(error, FitError::Start(EstimateError::Unsupported { .. })), "{error}");
        }
    }
}

/// A sparse Dirichlet prior and its concentration by name are the same as the default where they are the default.
#[test]
fn priors_of_weights_by_name() {
    let table = apart();
    let builder = GaussianMixture::new(4).estimation(Estimation::VariationalBayes).starts(3);
    let plain = builder.fit(table.rows().into()).unwrap();
    let named = builder.clone().weights_prior(WeightPrior::Dirichlet(0.25));
    let named = named.fit(table.rows().into()).unwrap();
    assert_eq!(plain.mixture, named.mixture);
    let other =
        builder.weights_prior(WeightPrior::Dirichlet(3.0)).fit(table.rows().into()).unwrap();
    assert_ne!(plain.mixture, other.mixture);
    let sticks = GaussianMixture::new(3)
        .estimation(Estimation::MaximumAPosteriori)
        .weights_prior(WeightPrior::DirichletProcess(2.0))
        .fit(table.rows().into())
        .unwrap();
    assert!(sticks.report.stopped.is_converged());
}

/// In one column: a mixture of Student t with `ν` degrees of freedom and scale `Ψ(κ + 1)/(κν)`, weights `E[πⱼ]`; and it
/// integrates to one.
#[test]
fn posteriors_predict_by_student_t() {
    let x = [0.1, 0.4, -0.3, 0.2, 5.1, 4.7, 5.6, 4.9, 5.2];
    let rows = Rows::new(&x, 9, 1);
    let prior = NormalInverseWishart::default_for(VVV, 2, vec![2.9], &[6.0]).unwrap();
    let model: MixtureModel<_, VariationalBayes<NormalInverseWishart>, _> =
        MixtureModel::vb(prior, StickBreaking::dirichlet_process(2, 1.0).unwrap());
    let template = MultivariateGaussian::standard(VVV, vec![0.0]);
    let start = Start::Spread { k: 2, runs: 3, template };
    let found = model.fit_restarts(rows.into(), &start, &Settings::default(), &()).unwrap();
    let params = found.best.params;
    let weights: Vec<f64> = params.weights().posteriors()[0].expected_probabilities().collect();
    let of_components: Vec<StudentT> = params
        .components()
        .posteriors()
        .iter()
        .map(|q| {
            let (kappa, nu) = (q.mean_pseudo_count(), q.degrees_of_freedom());
            let scale = (q.scale()[0] * (kappa + 1.0) / (kappa * nu)).sqrt();
            StudentT::new(q.expected_mean()[0], scale, nu).unwrap()
        })
        .collect();
    let steps = 40_000;
    let grid: Vec<f64> =
        (0..=steps).map(|i| -200.0 + 400.0 * f64::from(i) / f64::from(steps)).collect();
    let mut out = vec![0.0; grid.len()];
    params.log_predictive_into(Rows::new(&grid, grid.len(), 1), &mut out);
    let mut integral = 0.0;
    for (x, log_density) in grid.iter().zip(&out) {
        let plain: f64 =
            weights.iter().zip(&of_components).map(|(w, t)| w * t.log_density(*x).exp()).sum();
        assert!((log_density - plain.ln()).abs() < 1e-11 * (1.0 + plain.ln().abs()), "{x}");
        integral += log_density.exp() * 400.0 / f64::from(steps);
    }
    // Tails beyond ±200 with at least three degrees of freedom.
    assert!((integral - 1.0).abs() < 1e-4, "{integral}");
    let points: Mixture<MultivariateGaussian> = params.to_mixture();
    let mut narrow = [0.0];
    points.log_density_into(Rows::new(&[40.0], 1, 1), &mut narrow).unwrap();
    let far = grid.iter().position(|x| *x >= 40.0).unwrap();
    assert!(out[far] > narrow[0]);
}
