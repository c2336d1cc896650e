//! What is frozen stays to the bit; the rest ends at the optimum given it.

use elbo_core::{
    EstimateError, FitError, Freeze, LatentModel, MaximumLikelihood,
    uncertainty::{hessian, louis},
};
use elbo_dist::{CovarianceStructure, Gaussian};
use elbo_mixture::{Mixture, MixtureModel, MultivariateGaussian, Settings, Start, Tolerance};

use crate::support::shipped;

type Freezing = Freeze<MaximumLikelihood>;

fn free() -> Freezing {
    Freeze::none(MaximumLikelihood)
}

fn start() -> Mixture<Gaussian> {
    let component = |mean, variance| Gaussian::new(mean, variance).unwrap();
    Mixture::new(
        vec![0.3, 0.5, 0.2],
        vec![component(9.5, 0.3), component(20.0, 5.0), component(33.0, 1.0)],
    )
    .unwrap()
}

fn fit(components: Freezing, weights: Freezing) -> elbo_mixture::Fitted<Gaussian> {
    let velocities = shipped("galaxies").map(|x| x / 1000.0).values;
    let settings = Settings { tolerance: Tolerance::Gap(1e-14), ..Settings::default() };
    MixtureModel::new(components, weights)
        .fit(velocities[..].into(), &Start::At(start()), &settings, &())
        .unwrap()
}

/// The log-likelihood of the galaxies, by the definition.
fn log_likelihood(weights: &[f64], components: &[Gaussian]) -> f64 {
    let velocities = shipped("galaxies").map(|x| x / 1000.0).values;
    let density = |x: &f64| -> f64 {
        weights.iter().zip(components).map(|(w, c)| w * c.log_density(*x).exp()).sum()
    };
    velocities.iter().map(|x| density(x).ln()).sum()
}

#[test]
fn frozen_weights_stay_and_components_reach_their_optimum() {
    let fitted = fit(free(), Freeze::all(MaximumLikelihood));
    assert!(fitted.report.stopped.is_converged());
    assert_eq!(fitted.mixture.weights(), start().weights());
    assert_eq!(fitted.report.free_parameters, 6);
    let components = fitted.mixture.components();
    // Central differences of width h are wrong by some h²; slopes at the optimum are zero.
    for j in 0..3 {
        for moved in 0..2 {
            let at = |h: f64| {
                let mut components = components.to_vec();
                let (mean, variance) = (components[j].mean(), components[j].variance());
                let (dm, dv) = if moved == 0 { (h, 0.0) } else { (0.0, h * variance) };
                components[j] = Gaussian::new(mean + dm, variance + dv).unwrap();
                log_likelihood(start().weights(), &components)
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(slope.abs() < 1e-3, "component {j}: slope {slope}");
        }
    }
}

#[test]
fn a_frozen_component_stays_and_the_others_are_estimated() {
    let fitted = fit(Freeze::only(MaximumLikelihood, vec![1]), free());
    assert!(fitted.report.stopped.is_converged());
    assert_eq!(fitted.report.free_parameters, 2 + 4);
    let (mixture, start) = (&fitted.mixture, start());
    assert_eq!(mixture.components()[1], start.components()[1]);
    for j in [0, 2] {
        assert!((mixture.components()[j].mean() - start.components()[j].mean()).abs() > 1e-3);
    }
    // EM from the optimum goes nowhere: every free block is at its own maximum.
    let trace = &fitted.report.trace;
    assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9));
    let best = log_likelihood(mixture.weights(), mixture.components());
    for (j, h) in [(0, 1e-4), (2, 1e-4), (0, -1e-4), (2, -1e-4)] {
        let mut components = mixture.components().to_vec();
        components[j] = Gaussian::new(components[j].mean() + h, components[j].variance()).unwrap();
        assert!(log_likelihood(mixture.weights(), &components) < best + 1e-9);
    }
}

#[test]
fn everything_frozen_is_the_start() {
    let fitted = fit(Freeze::all(MaximumLikelihood), Freeze::all(MaximumLikelihood));
    assert_eq!(fitted.mixture, start());
    assert_eq!(fitted.report.free_parameters, 0);
    assert!(fitted.report.stopped.is_converged(), "{:?}", fitted.report.stopped);
}

#[test]
fn nothing_frozen_is_the_estimator_itself() {
    let frozen = fit(free(), free());
    let velocities = shipped("galaxies").map(|x| x / 1000.0).values;
    let settings = Settings { tolerance: Tolerance::Gap(1e-14), ..Settings::default() };
    let plain =
        MixtureModel::ml().fit(velocities[..].into(), &Start::At(start()), &settings, &()).unwrap();
    assert_eq!(frozen.mixture, plain.mixture);
    assert_eq!(frozen.report.trace, plain.report.trace);
    assert_eq!(frozen.report.free_parameters, plain.report.free_parameters);
}

/// A component on one row would have no variance to estimate; frozen, it has no say in that.
#[test]
fn a_frozen_component_cannot_fail() {
    let data = [0.0, 0.1, 0.2, 0.3, 0.15, 50.0];
    let spike = Gaussian::new(50.0, 1e-4).unwrap();
    let mixture =
        Mixture::new(vec![0.8, 0.2], vec![Gaussian::new(0.0, 1.0).unwrap(), spike]).unwrap();
    let settings = Settings::default();
    let fitted = MixtureModel::new(Freeze::only(MaximumLikelihood, vec![1]), free())
        .fit(data[..].into(), &Start::At(mixture), &settings, &())
        .unwrap();
    assert!(fitted.report.stopped.is_converged(), "{:?}", fitted.report.stopped);
    assert_eq!(fitted.mixture.components()[1], spike);
    assert!((fitted.mixture.weights()[1] - 1.0 / 6.0).abs() < 1e-9);
}

#[test]
fn components_that_share_a_covariance_are_frozen_all_or_none() {
    let tied =
        |mean: f64| MultivariateGaussian::standard(CovarianceStructure::EEE, vec![mean, mean]);
    let mixture = || Mixture::new(vec![0.5, 0.5], vec![tied(0.0), tied(1.0)]).unwrap();
    let some = MixtureModel::new(Freeze::only(MaximumLikelihood, vec![0]), MaximumLikelihood);
    assert!(matches!(some.start(mixture(), 10.0), Err(EstimateError::Unsupported { .. })));
    for estimator in [free(), Freeze::all(MaximumLikelihood)] {
        let model = MixtureModel::new(estimator, MaximumLikelihood);
        let params = model.start(mixture(), 10.0).unwrap();
        assert!(model.free_parameters(&params) < 9);
    }
    let faithful = shipped("faithful");
    let start = Start::At(mixture());
    let error = some.fit(faithful.rows().into(), &start, &Settings::default(), &()).unwrap_err();
    assert!(matches!(error, FitError::Start(EstimateError::Unsupported { .. })), "{error}");
}

/// Two groups that never meet: each part has the standard errors of its textbook, and what is frozen has none.
#[test]
fn what_is_frozen_has_no_standard_error() {
    let data: Vec<f64> =
        (0..40).map(|i| f64::from(i % 4) + if i < 16 { 0.0 } else { 1e3 }).collect();
    let component = |mean| Gaussian::new(mean, 1.25).unwrap();
    let start = Mixture::new(vec![0.4, 0.6], vec![component(1.5), component(1001.5)]).unwrap();
    let fit = |components: Freezing, weights: Freezing| {
        let model = MixtureModel::new(components, weights);
        let settings = Settings { tolerance: Tolerance::Gap(1e-14), ..Settings::default() };
        let at = Start::At(start.clone());
        let fitted = model.fit(data[..].into(), &at, &settings, &()).unwrap();
        let params = model.start(fitted.mixture.clone(), 40.0).unwrap();
        let by_oakes = model.standard_errors(&fitted, &data[..]).unwrap();
        for other in [
            hessian(&model, data[..].into(), &params).unwrap(),
            louis(&model, data[..].into(), &params).unwrap(),
        ] {
            for (a, b) in by_oakes.parameters.iter().zip(&other.parameters) {
                assert_eq!((&a.name, a.std_error.is_some()), (&b.name, b.std_error.is_some()));
                let (a, b) = (a.std_error.unwrap_or(0.0), b.std_error.unwrap_or(0.0));
                assert!((a - b).abs() <= 1e-5 * a, "{a} {b}");
            }
        }
        move |name: &str| by_oakes.parameter(name).unwrap().std_error
    };
    let close = |found: Option<f64>, expected: f64| {
        let found = found.unwrap();
        assert!((found - expected).abs() < 1e-5 * expected, "{found} is not {expected}");
    };
    let of_mean = |n: f64| (1.25 / n).sqrt();
    let of_weight = (0.4 * 0.6 / 40.0_f64).sqrt();

    let known_weights = fit(free(), Freeze::all(MaximumLikelihood));
    assert_eq!(known_weights("weight 0"), None);
    close(known_weights("component 0 mean"), of_mean(16.0));
    close(known_weights("component 1 variance"), 1.25 * (2.0 / 24.0_f64).sqrt());

    let known_background = fit(Freeze::only(MaximumLikelihood, vec![0]), free());
    assert_eq!(known_background("component 0 mean"), None);
    close(known_background("component 1 mean"), of_mean(24.0));
    close(known_background("weight 1"), of_weight);

    let known_components = fit(Freeze::all(MaximumLikelihood), free());
    assert_eq!(known_components("component 1 variance"), None);
    close(known_components("weight 0"), of_weight);
}
