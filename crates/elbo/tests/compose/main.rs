//! Families of models share families of distributions: what a mixture learns of a `Poisson` and what a chain learns of it
//! come from the same code, so where the two models coincide their numbers must.

mod factor;
mod families;

use elbo::{
    core::{ConjugatePrior, DataError, Family, FitError, Settings, Tolerance, Weighted},
    dist::{Categorical, Dirichlet, Gamma, Gaussian, NormalInverseGamma, Poisson},
    hmm::{Hmm, HmmModel, Sequences},
    mixture::{Mixture, MixtureModel, Start},
};

const COUNTS: [u64; 24] =
    [3, 9, 2, 4, 11, 8, 3, 1, 12, 9, 2, 3, 10, 4, 2, 9, 8, 3, 2, 10, 1, 3, 9, 2];
const CODES: [u32; 24] = [0, 2, 0, 1, 2, 2, 0, 0, 2, 1, 0, 0, 2, 0, 1, 2, 2, 0, 0, 2, 0, 1, 2, 0];
const VALUES: [f64; 24] = [
    0.1, 5.2, -0.3, 0.4, 4.7, 5.5, 0.2, -0.1, 5.1, 4.9, 0.3, 0.0, 5.3, 0.5, -0.2, 4.8, 5.0, 0.1,
    0.6, 5.4, -0.4, 0.2, 4.6, 0.3,
];

/// Where every state has the same law of the next state, a chain is a mixture. One EM step from such a chain gives the
/// emissions of one EM step of the mixture.
fn a_chain_without_memory_is_a_mixture<F: Family>(
    components: Vec<F>,
    data: F::Batch<'static>,
    parameter: impl Fn(&F) -> f64,
) {
    let weights = [0.3, 0.7];
    let mixture = Mixture::new(weights.to_vec(), components.clone()).unwrap();
    let chain = Hmm::new(&weights, &[weights, weights], components).unwrap();
    let (of_mixture, of_chain) = (
        mixture.log_likelihood(data).unwrap(),
        chain.log_likelihood(Sequences::one(data)).unwrap(),
    );
    assert!((of_mixture - of_chain).abs() < 1e-12 * of_mixture.abs(), "{of_mixture} {of_chain}");
    let step =
        Settings { max_iterations: 1, tolerance: Tolerance::Gap(0.0), ..Settings::default() };
    let mixture = MixtureModel::ml()
        .fit(Weighted::uniform(data), &Start::At(mixture), &step, &())
        .unwrap()
        .mixture;
    let chain = HmmModel::ml()
        .fit(Sequences::one(data), &elbo::hmm::Start::At(chain), &step, &())
        .unwrap()
        .hmm;
    for (a, b) in mixture.components().iter().zip(chain.emission()) {
        let (a, b) = (parameter(a), parameter(b));
        assert!((a - b).abs() < 1e-12 * a.abs(), "{a} {b}");
    }
}

#[test]
fn chains_without_memory_are_mixtures_of_poissons_categoricals_and_gaussians() {
    let poisson = |rate| Poisson::new(rate).unwrap();
    a_chain_without_memory_is_a_mixture(
        vec![poisson(2.0), poisson(9.0)],
        &COUNTS[..],
        Poisson::rate,
    );
    let categorical = |p: [f64; 3]| Categorical::new(p.to_vec()).unwrap();
    a_chain_without_memory_is_a_mixture(
        vec![categorical([0.7, 0.2, 0.1]), categorical([0.1, 0.2, 0.7])],
        &CODES[..],
        |c| c.probabilities()[0],
    );
    let gaussian = |mean| Gaussian::new(mean, 1.0).unwrap();
    a_chain_without_memory_is_a_mixture(
        vec![gaussian(0.0), gaussian(5.0)],
        &VALUES[..],
        Gaussian::mean,
    );
}

/// Each estimator on each model is one line; all climb, and a chain that can remember explains at least as much.
#[test]
fn every_estimator_serves_mixtures_and_chains_alike() {
    fn all<F: Family, P: ConjugatePrior<F>>(data: F::Batch<'static>, template: F, prior: P) {
        let settings = Settings::default();
        let spread = Start::Spread { k: 2, runs: 4, template: template.clone() };
        let random = elbo::hmm::Start::Random { k: 2, runs: 4, template };
        let flat = || Dirichlet::symmetric(2, 1.5).unwrap();
        let (rows, steps) = (Weighted::uniform(data), Sequences::one(data));
        for trace in [
            MixtureModel::ml().fit(rows, &spread, &settings, &()).unwrap().report.trace,
            MixtureModel::map(prior.clone(), flat())
                .fit(rows, &spread, &settings, &())
                .unwrap()
                .report
                .trace,
            MixtureModel::vb(prior.clone(), flat())
                .fit(rows, &spread, &settings, &())
                .unwrap()
                .report
                .trace,
            HmmModel::ml().fit(steps, &random, &settings, &()).unwrap().report.trace,
            HmmModel::map(prior.clone(), flat(), flat())
                .fit(steps, &random, &settings, &())
                .unwrap()
                .report
                .trace,
            HmmModel::vb(prior, flat(), flat())
                .fit(steps, &random, &settings, &())
                .unwrap()
                .report
                .trace,
        ] {
            assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9), "{trace:?}");
        }
    }
    all(&COUNTS[..], Poisson::new(1.0).unwrap(), Gamma::new(1.5, 0.3).unwrap());
    all(&CODES[..], Categorical::uniform(3), Dirichlet::symmetric(3, 1.5).unwrap());
    all(
        &VALUES[..],
        Gaussian::new(0.0, 1.0).unwrap(),
        NormalInverseGamma::new(2.0, 0.1, 2.0, 2.0).unwrap(),
    );
}

#[test]
fn bad_data_are_told_alike() {
    let template = Categorical::uniform(2);
    let expected = FitError::Data(DataError::Category { row: 1, value: 2, categories: 2 });
    let spread = Start::Spread { k: 2, runs: 1, template: template.clone() };
    let mixture =
        MixtureModel::ml().fit(Weighted::uniform(&CODES[..]), &spread, &Settings::default(), &());
    assert_eq!(mixture.unwrap_err(), expected);
    let random = elbo::hmm::Start::Random { k: 2, runs: 1, template };
    let chain = HmmModel::ml().fit(Sequences::one(&CODES[..]), &random, &Settings::default(), &());
    assert_eq!(chain.unwrap_err(), expected);
}

/// A model of one's own must stay short: this is what the traits are judged by.
#[test]
fn the_custom_model_takes_at_most_sixty_lines() {
    let example = include_str!("../../examples/custom_model.rs");
    let (model, drivers) = example.split_once("// The model ends here").unwrap();
    let lines = model.lines().skip_while(|line| !line.starts_with("struct")).count();
    assert!(lines <= 60, "{lines} lines");
    assert!(drivers.contains("fit_restarts"));
}
