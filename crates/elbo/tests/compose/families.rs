//! Every family serves as a component, a mixture serves as an emission, and every variant of EM serves both.

use elbo::{
    core::{Draw, Settings, Stopped, Tolerance, Variant, Weighted},
    dist::{
        Bernoulli, Beta, BetaBinomial, Binomial, Categorical, Column, CovarianceStructure::VVV,
        Dirichlet, Exponential, Gamma, Gaussian, Geometric, Independent, InverseGamma,
        InverseWishart, Laplace, LogNormal, LowRankGaussian, MultivariateGaussian,
        MultivariateStudentT, NegativeBinomial, Poisson, StudentT, Uniform, VonMises,
        VonMisesFisher, Weibull, Wishart, ZeroInflated,
    },
    hmm::{Hmm, HmmModel, Sequences},
    mixture::{Mixture, MixtureModel, Start},
};
use rand::{SeedableRng, rngs::ChaCha8Rng};

fn exactly(iterations: usize, variant: Variant) -> Settings {
    Settings {
        variant,
        tolerance: Tolerance::Gap(0.0),
        max_iterations: iterations,
        ..Settings::default()
    }
}

/// From the truth a mixture of two such components, fitted to its own draws, climbs without breaking down.
#[track_caller]
fn climbs<F: Draw>(components: [F; 2]) {
    let truth = Mixture::new(vec![0.4, 0.6], Vec::from(components)).unwrap();
    let drawn = Draw::draw(&truth, 400, &mut ChaCha8Rng::seed_from_u64(7));
    let data = Weighted::uniform(F::batch_of(&drawn));
    let fitted =
        MixtureModel::ml().fit(data, &Start::At(truth), &exactly(12, Variant::Soft), &()).unwrap();
    let report = fitted.report;
    assert_eq!(report.stopped, Stopped::MaxIterations, "after {:?}", report.trace);
    assert!(report.trace[12] > report.trace[0], "{:?}", report.trace);
}

#[test]
fn mixtures_of_counts_climb() {
    climbs([0.2, 0.7].map(|p| Binomial::new(12, p).unwrap()));
    climbs([(2.0, 5.0), (6.0, 3.0)].map(|(a, b)| BetaBinomial::new(12, a, b).unwrap()));
    climbs([0.1, 0.5].map(|p| Geometric::new(p).unwrap()));
    climbs([2.0, 11.0].map(|rate| Poisson::new(rate).unwrap()));
    climbs(
        [(1.5, 3.0), (4.0, 20.0)].map(|(size, mean)| NegativeBinomial::new(size, mean).unwrap()),
    );
    climbs(
        [(0.3, 4.0), (0.1, 12.0)]
            .map(|(share, rate)| ZeroInflated::new(share, Poisson::new(rate).unwrap()).unwrap()),
    );
}

#[test]
fn mixtures_of_numbers_climb() {
    climbs([0.0, 4.0].map(|mean| Gaussian::new(mean, 1.0).unwrap()));
    climbs([0.0, 5.0].map(|location| StudentT::new(location, 1.0, 4.0).unwrap()));
    climbs([0.0, 5.0].map(|median| Laplace::new(median, 1.0).unwrap()));
    climbs([-1.0, 1.5].map(|mean| VonMises::new(mean, 5.0).unwrap()));
    climbs([1.0, 9.0].map(|rate| Exponential::new(rate).unwrap()));
    climbs([(2.0, 1.0), (9.0, 1.0)].map(|(shape, rate)| Gamma::new(shape, rate).unwrap()));
    climbs(
        [(3.0, 1.0), (9.0, 30.0)].map(|(shape, scale)| InverseGamma::new(shape, scale).unwrap()),
    );
    climbs([(0.0, 0.2), (2.0, 0.3)].map(|(mean, v)| LogNormal::new(mean, v).unwrap()));
    climbs([(1.5, 1.0), (5.0, 6.0)].map(|(shape, scale)| Weibull::new(shape, scale).unwrap()));
    climbs([(2.0, 8.0), (9.0, 3.0)].map(|(a, b)| Beta::new(a, b).unwrap()));
}

#[test]
fn mixtures_of_vectors_and_matrices_climb() {
    let identity = [1.0, 0.0, 0.0, 1.0];
    climbs([0.0, 4.0].map(|m| MultivariateGaussian::new(VVV, vec![m, m], &identity).unwrap()));
    climbs([0.0, 5.0].map(|m| MultivariateStudentT::new(VVV, vec![m, m], &identity, 5.0).unwrap()));
    climbs([[2.0, 5.0, 3.0], [9.0, 2.0, 2.0]].map(|a| Dirichlet::new(a.to_vec()).unwrap()));
    climbs(
        [[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]].map(|m| VonMisesFisher::new(m.to_vec(), 8.0).unwrap()),
    );
    climbs([4.0, 12.0].map(|nu| Wishart::new(nu, 2, &identity).unwrap()));
    climbs([6.0, 14.0].map(|nu| InverseWishart::new(nu, 2, &identity).unwrap()));
    climbs([0.0, 6.0].map(|m| {
        let loadings = [0.9, 0.7, 0.5, 0.8];
        LowRankGaussian::new(vec![m; 4], &loadings, vec![0.3; 4]).unwrap()
    }));
}

/// Mixed-type rows, also with a noise component that is fixed.
#[test]
fn mixtures_of_mixed_rows_climb() {
    let product = |mean: f64, rate: f64, weights: [f64; 2], p: f64| {
        let columns: Vec<Column> = vec![
            Gaussian::new(mean, 1.0).unwrap().into(),
            Poisson::new(rate).unwrap().into(),
            Categorical::new(weights.to_vec()).unwrap().into(),
            Bernoulli::new(p).unwrap().into(),
            Uniform::new(0.0, 1.0).unwrap().into(),
        ];
        Independent::new(columns).unwrap()
    };
    climbs([product(0.0, 2.0, [0.9, 0.1], 0.2), product(3.0, 7.0, [0.3, 0.7], 0.8)]);
}

/// A chain whose emissions are mixtures of one component is the plain chain; with more it explains more.
#[test]
fn chains_emit_mixtures() {
    let values = super::VALUES;
    let gaussian = |mean: f64| Gaussian::new(mean, 1.0).unwrap();
    let (initial, transition) = ([0.5, 0.5], [[0.8, 0.2], [0.3, 0.7]]);
    let settings = exactly(5, Variant::Soft);
    let plain = Hmm::new(&initial, &transition, vec![gaussian(0.0), gaussian(5.0)]).unwrap();
    let single = |mean: f64| Mixture::new(vec![1.0], vec![gaussian(mean)]).unwrap();
    let nested = Hmm::new(&initial, &transition, vec![single(0.0), single(5.0)]).unwrap();
    let data = Sequences::one(&values[..]);
    let fit = |hmm| HmmModel::ml().fit(data, &elbo::hmm::Start::At(hmm), &settings, &()).unwrap();
    let of_plain = fit(plain).report.objective;
    let of_nested =
        HmmModel::ml().fit(data, &elbo::hmm::Start::At(nested), &settings, &()).unwrap();
    let gap = (of_plain - of_nested.report.objective).abs();
    assert!(gap < 1e-9 * of_plain.abs(), "{of_plain} {}", of_nested.report.objective);

    let pair = |low: f64, high: f64| {
        Mixture::new(vec![0.5, 0.5], vec![gaussian(low), gaussian(high)]).unwrap()
    };
    let rich = Hmm::new(&initial, &transition, vec![pair(-0.2, 0.4), pair(4.7, 5.3)]).unwrap();
    let rich = HmmModel::ml().fit(data, &elbo::hmm::Start::At(rich), &settings, &()).unwrap();
    let trace = &rich.report.trace;
    assert!(trace.windows(2).all(|w| w[1] >= w[0] - 1e-10), "{trace:?}");
}

/// Under a prior, too, drawn latent variables are told the objective of the parameters they were drawn at: the start's comes
/// twice. What is reported at the end is that of the parameters returned.
#[test]
fn traces_of_draws_hold_exact_objectives_under_a_prior() {
    let poisson = |rate: f64| Poisson::new(rate).unwrap();
    let start = Mixture::new(vec![0.5, 0.5], vec![poisson(2.0), poisson(9.0)]).unwrap();
    let flat = Dirichlet::symmetric(2, 1.5).unwrap();
    let model = MixtureModel::map(Gamma::new(3.0, 0.5).unwrap(), flat);
    let variant = Variant::Sampled { draws: 1, burn_in: 2, averaged: 3, decay: 0.0 };
    let data = Weighted::uniform(&super::COUNTS[..]);
    let report = model.fit(data, &Start::At(start), &exactly(100, variant), &()).unwrap().report;
    let size = report.trace[0].abs();
    assert!(report.penalty.abs() > 0.1, "without a penalty this shows nothing");
    assert!((report.trace[1] - report.trace[0]).abs() < 1e-12 * size, "{:?}", report.trace);
    assert!((report.data_term + report.penalty - report.objective).abs() < 1e-12 * size);
}

/// Stochastic, incremental and online EM of a mixture and of a chain end near what batch EM finds.
#[test]
fn every_variant_serves_mixtures_and_chains() {
    let poisson = |rate: f64| Poisson::new(rate).unwrap();
    let mixture = Mixture::new(vec![0.5, 0.5], vec![poisson(2.0), poisson(9.0)]).unwrap();
    let data = Draw::draw(&mixture, 4000, &mut ChaCha8Rng::seed_from_u64(3));
    let moved = Mixture::new(vec![0.5, 0.5], vec![poisson(3.0), poisson(6.0)]).unwrap();
    let chain = Hmm::new(&[0.5, 0.5], &[[0.6, 0.4], [0.4, 0.6]], vec![poisson(3.0), poisson(6.0)]);
    let (chain, offsets) = (chain.unwrap(), (0..=40).map(|i| 100 * i).collect::<Vec<usize>>());
    let (rows, sequences) = (Weighted::uniform(&data[..]), Sequences::new(&data[..], &offsets));
    let of_mixture = |settings: &Settings| {
        MixtureModel::ml().fit(rows, &Start::At(moved.clone()), settings, &()).unwrap().report
    };
    let of_chain = |settings: &Settings| {
        let start = elbo::hmm::Start::At(chain.clone());
        HmmModel::ml().fit(sequences, &start, settings, &()).unwrap().report
    };
    let best = Settings::default();
    let (best_mixture, best_chain) = (of_mixture(&best).objective, of_chain(&best).objective);
    for variant in [
        Variant::Sampled { draws: 1, burn_in: 60, averaged: 140, decay: 0.0 },
        Variant::Sampled { draws: 1, burn_in: 60, averaged: 140, decay: 0.8 },
        Variant::Incremental,
        Variant::Online { batch: 10, epochs: 10, decay: 0.6, delay: 2.0 },
    ] {
        let settings = Settings { variant, max_iterations: 500, ..Settings::default() };
        for (name, best, report) in [
            ("mixture", best_mixture, of_mixture(&settings)),
            ("chain", best_chain, of_chain(&settings)),
        ] {
            assert!(!report.stopped.is_failure(), "{name} {variant:?}: {:?}", report.stopped);
            let gap = best - report.objective;
            assert!((-1e-3..3.0).contains(&gap), "{name} {variant:?} is {gap} nats short");
        }
    }
}
