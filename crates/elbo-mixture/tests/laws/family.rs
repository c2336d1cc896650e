//! A mixture obeys the laws of families; by itself it is the mixture model, and inside another mixture a richer one.

use elbo_core::{BLOCK, EstimateError, Family, SingleModel, Statistics, fit};
use elbo_laws::{Of, WeightedSample, assert_close};
use elbo_mixture::{
    Gaussian, Mixture, MixtureModel, Poisson, Settings, Start, Tolerance, Weighted,
};
use proptest::{collection::vec, prelude::*};

type Data = Of<Mixture<Gaussian>, f64>;

fn mixture() -> impl Strategy<Value = Mixture<Gaussian>> {
    let component =
        (-5.0..5.0_f64, 0.2..4.0_f64).prop_map(|(mean, v)| Gaussian::new(mean, v).unwrap());
    (vec(component, 2), 0.05..0.95_f64)
        .prop_map(|(components, p)| Mixture::new(vec![p, 1.0 - p], components).unwrap())
}

/// At times more than one block, at times with missing values.
fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let value = prop_oneof![9 => -8.0..8.0_f64, 1 => Just(f64::NAN)];
    let size = prop_oneof![9 => 2..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        (vec((value.clone(), weight.clone()), n), 0.1..2.0, -3.0..3.0).prop_map(|(rows, w, x)| {
            let (mut data, mut weights): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            (data[0], data[1], weights[0], weights[1]) = (x, x + 1.0, w, w);
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((mixture(), sample()).prop_map(|(m, s)| s.stats(&m)));
}

mod laws {
    use super::*;

    elbo_laws::family_laws!(
        mixture(),
        sample(),
        Just(Data::new(vec![f64::MAX, f64::NAN, 1e300])),
        100.0
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn coordinates_give_the_mixture_back(mixture in mixture(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&mixture, &sample.data, 100.0);
    }

    #[test]
    fn it_scores_as_the_mixture_does(mixture in mixture(), sample in sample()) {
        let mut expected = vec![0.0; sample.len()];
        mixture.log_density_into(sample.data.rows(), &mut expected).unwrap();
        for (a, b) in sample.log_densities(&mixture).iter().zip(&expected) {
            assert_close(*a, *b, 10.0 + b.abs());
        }
    }

    /// The family by itself takes the steps of the mixture model.
    #[test]
    fn a_mixture_by_itself_is_the_mixture_model(start in mixture(), seed in any::<u64>()) {
        let data: Vec<f64> = {
            let mut rng = crate::rng(seed);
            elbo_core::Draw::draw(&start, 3 * BLOCK, &mut rng)
        };
        let settings =
            Settings { max_iterations: 5, tolerance: Tolerance::Gap(0.0), ..Settings::default() };
        let moved = Mixture::new(
            vec![0.5, 0.5],
            start.components().iter().map(|c| Gaussian::new(c.mean() + 0.3, 1.0).unwrap()).collect(),
        )
        .unwrap();
        let single = SingleModel::new(elbo_core::MaximumLikelihood);
        let params = single.start(moved.clone(), 1.0).unwrap();
        let ours = fit(&single, Weighted::uniform(&data[..]), params, &settings, &()).unwrap();
        let model = MixtureModel::ml();
        let theirs =
            model.fit(Weighted::uniform(&data[..]), &Start::At(moved), &settings, &()).unwrap();
        // Rounding, amplified by five steps.
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + a.abs());
        prop_assert!(close(ours.report.objective, theirs.report.objective));
        let pairs = ours.params.point().components().iter().zip(theirs.mixture.components());
        for (a, b) in pairs {
            prop_assert!(close(a.mean(), b.mean()) && close(a.variance(), b.variance()));
        }
    }

    /// A mixture of mixtures never goes downhill, and its components may be mixtures of anything.
    #[test]
    fn a_mixture_of_mixtures_never_falls(a in mixture(), b in mixture(), seed in any::<u64>()) {
        let nested = Mixture::new(vec![0.4, 0.6], vec![a.clone(), b]).unwrap();
        let data = elbo_core::Draw::draw(&nested, 500, &mut crate::rng(seed));
        let start = Mixture::new(vec![0.5, 0.5], vec![a, mixture_of(&[-1.0, 2.0])]).unwrap();
        let settings =
            Settings { max_iterations: 20, tolerance: Tolerance::Gap(0.0), ..Settings::default() };
        let fitted =
            MixtureModel::ml().fit(Weighted::uniform(&data[..]), &Start::At(start), &settings, &());
        let trace = fitted.unwrap().report.trace;
        prop_assert!(trace.windows(2).all(|w| w[1] >= w[0] - 1e-12 * w[0].abs()), "{:?}", trace);
    }
}

fn mixture_of(means: &[f64]) -> Mixture<Gaussian> {
    let weights = vec![1.0 / means.len() as f64; means.len()];
    Mixture::new(weights, means.iter().map(|m| Gaussian::new(*m, 1.0).unwrap()).collect()).unwrap()
}

/// What no component explains scores `−∞` and is not observed, here because the only one that could has no weight.
#[test]
fn impossible_rows_score_minus_infinity() {
    let zero_or_many =
        vec![Poisson::new(0.0).unwrap(), Poisson::new(0.0).unwrap(), Poisson::new(5.0).unwrap()];
    let mixture = Mixture::new(vec![0.5, 0.5, 0.0], zero_or_many).unwrap();
    let mut scores = [0.0; 2];
    Family::log_density_into(&mixture, &[0, 3], &mut scores);
    assert!(scores[0].abs() < 1e-15, "{}", scores[0]);
    assert!(scores[1] == f64::NEG_INFINITY, "{}", scores[1]);
    let mut stats = mixture.new_stats();
    mixture.observe(&mut stats, &[0, 3], &[1.0, 1.0]);
    let mut flat = Vec::new();
    stats.write_to(&mut flat);
    assert!(flat.iter().all(|x| x.is_finite()));
    assert_close(stats.0.total_weight(), 1.0, 1.0);
}

#[test]
fn a_component_without_data_is_told() {
    let mixture = mixture_of(&[0.0, 1.0]);
    let result = mixture.maximize(&mixture.new_stats(), &mut mixture.clone());
    assert!(matches!(result, Err(EstimateError::NoWeight { component: 0, .. })), "{result:?}");
}
