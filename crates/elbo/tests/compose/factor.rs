//! Factor models as components of mixtures and emissions of chains.

use elbo::{
    core::{Draw, Settings, Stopped},
    factor::{LowRankGaussian, ProbabilisticPca},
    mixture::{Mixture, MixtureModel, Start},
};
use rand::{SeedableRng, rngs::ChaCha8Rng};

fn planes() -> [ProbabilisticPca; 2] {
    let (a, b) =
        ([2.0, 0.0, 0.0, 2.0, 1.0, 1.0, 0.5, -0.5], [0.3, 2.0, 2.0, 0.1, -1.0, 0.0, 0.0, 1.0]);
    let pca = |mean: f64, w: &[f64]| ProbabilisticPca::new(vec![mean; 4], w, 0.2).unwrap();
    [pca(0.0, &a), pca(4.0, &b)]
}

/// Two planes in four dimensions: the mixture finds their noise and their rows.
#[test]
fn a_mixture_of_planes_is_found() {
    let truth = Mixture::new(vec![0.5, 0.5], Vec::from(planes())).unwrap();
    let drawn = Draw::draw(&truth, 1500, &mut ChaCha8Rng::seed_from_u64(3));
    let data = drawn.rows().into();
    let model = MixtureModel::<ProbabilisticPca, _, _>::ml();
    let fitted = model.fit(data, &Start::At(truth.clone()), &Settings::default(), &()).unwrap();
    assert!(fitted.report.stopped.is_converged(), "{:?}", fitted.report.stopped);
    for (found, truth) in fitted.mixture.components().iter().zip(planes()) {
        // 750 rows of two residual dimensions: a standard error of σ² √(2/1500) = 0.007
        assert!((found.noise_variance() - truth.noise_variance()).abs() < 0.03);
        assert!((found.mean()[2] - truth.mean()[2]).abs() < 0.25);
    }
    // 2 (4 + 8 − 1 + 1) numbers of components and one of weights
    assert_eq!(fitted.report.free_parameters, 25);
}

#[test]
fn a_mixture_of_factor_analyzers_is_no_worse_than_one_of_planes() {
    let truth = Mixture::new(vec![0.5, 0.5], Vec::from(planes())).unwrap();
    let drawn = Draw::draw(&truth, 600, &mut ChaCha8Rng::seed_from_u64(5));
    let settings = Settings::default();
    let planes = MixtureModel::<ProbabilisticPca, _, _>::ml()
        .fit(drawn.rows().into(), &Start::At(truth), &settings, &())
        .unwrap();
    let analyzers: Vec<LowRankGaussian> =
        planes.mixture.components().iter().map(|pca| pca.as_analyzer().clone()).collect();
    let start = Mixture::new(planes.mixture.weights().to_vec(), analyzers).unwrap();
    let general = MixtureModel::<LowRankGaussian, _, _>::ml()
        .fit(drawn.rows().into(), &Start::At(start), &settings, &())
        .unwrap();
    assert!(general.report.objective > planes.report.objective, "nested models");
    assert!(!matches!(general.report.stopped, Stopped::ObjectiveFell { .. }));
}
