//! The factor analyzer obeys the laws of its traits, and is the Gaussian of its covariance.

use elbo_core::{
    DataError, Draw, EstimateError, Family, FlatParameters, Rows, Statistics, fit_single,
};
use elbo_dist::{LowRankGaussian, MultivariateGaussian};
use elbo_laws::parameters::{
    coordinates_give_the_distribution_back, every_point_is_a_distribution,
};
use elbo_laws::{Sample, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;

/// Rows that a test owns.
#[derive(Clone, Debug)]
struct Table {
    data: Vec<f64>,
    d: usize,
}

impl Sample for Table {
    type Family = LowRankGaussian;

    fn batch(&self) -> Rows<'_> {
        Rows::new(&self.data, self.data.len() / self.d, self.d)
    }

    fn pick(&self, rows: &[usize]) -> Self {
        let row = |i: &usize| &self.data[i * self.d..][..self.d];
        Self { data: rows.iter().flat_map(row).copied().collect(), d: self.d }
    }
}

fn analyzer(d: usize, q: usize) -> impl Strategy<Value = LowRankGaussian> {
    (vec(-10.0..10.0_f64, d), vec(-1.0..1.0_f64, d * q), vec(0.1..2.0_f64, d))
        .prop_map(|(mean, loadings, own)| LowRankGaussian::new(mean, &loadings, own).unwrap())
}

fn sample(d: usize) -> impl Strategy<Value = WeightedSample<Table>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    (1..40_usize).prop_flat_map(move |n| {
        (vec(-3.0..3.0_f64, n * d), vec(weight.clone(), n), 0.1..2.0).prop_map(
            move |(data, mut weights, first)| {
                weights[0] = first;
                WeightedSample::new(Table { data, d }, weights)
            },
        )
    })
}

fn extreme(d: usize) -> Just<Table> {
    Just(Table { data: [f64::MAX, f64::MIN, 0.0].repeat(d), d })
}

mod one_factor {
    use super::*;

    /// One factor that each of three columns depends on is determined: expected statistics give it back.
    fn determined() -> impl Strategy<Value = LowRankGaussian> {
        let loading = prop_oneof![0.3..1.0_f64, -1.0..-0.3_f64];
        (vec(-10.0..10.0_f64, 3), vec(loading, 3), vec(0.1..2.0_f64, 3))
            .prop_map(|(mean, loadings, own)| LowRankGaussian::new(mean, &loadings, own).unwrap())
    }

    elbo_laws::family_laws!(determined(), sample(3), extreme(3), 1e5);
}

/// A table with holes: patterns that repeat, that do not, and rows of nothing.
fn holed(d: usize) -> impl Strategy<Value = WeightedSample<Table>> {
    (sample(d), vec(any::<bool>(), 40 * d), 0..4_usize).prop_map(
        move |(mut sample, holes, repeat)| {
            for (i, row) in sample.data.data.chunks_exact_mut(d).enumerate() {
                let pattern = &holes[i / (repeat + 1) * d..][..d];
                row.iter_mut()
                    .zip(pattern)
                    .filter(|(_, hole)| **hole)
                    .for_each(|(x, _)| *x = f64::NAN);
            }
            sample
        },
    )
}

mod with_holes {
    use super::*;

    proptest! {
        /// Scores and statistics are those of the Gaussian of this covariance, whose rule for missing numbers has its own oracle.
        #[test]
        fn it_is_the_gaussian_of_its_covariance(a in analyzer(5, 2), sample in holed(5)) {
            let full = a.to_gaussian().unwrap();
            a.check(sample.data.batch()).unwrap();
            let mut expected = vec![f64::NAN; sample.weights.len()];
            full.log_density_into(sample.data.batch(), &mut expected);
            for (score, expected) in sample.log_densities(&a).iter().zip(&expected) {
                assert_close(*score, *expected, 1e3 * (1.0 + expected.abs()));
            }
            let mut stats = full.new_stats();
            full.observe(&mut stats, sample.data.batch(), &sample.weights);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            sample.stats(&a).write_to(&mut ours);
            stats.write_to(&mut theirs);
            let size = theirs.iter().fold(1.0_f64, |size, x| size.max(x.abs()));
            for (x, y) in ours.iter().zip(&theirs) {
                assert_close(*x, *y, 1e4 * size); // conditions of covariances are some hundred
            }
        }

        #[test]
        fn an_em_step_never_lowers_the_likelihood(start in analyzer(4, 1), sample in holed(4)) {
            let mut next = start.clone();
            let before = sample.log_likelihood(&start).0;
            match start.maximize(&sample.stats(&start), &mut next) {
                Ok(_) => prop_assert!(sample.log_likelihood(&next).0 >= before - 1e-9 * (1.0 + before.abs())),
                Err(error) => {
                    let known = matches!(
                        error,
                        EstimateError::Boundary { .. }
                            | EstimateError::Singular { .. }
                            | EstimateError::NoWeight { .. }
                    );
                    prop_assert!(known, "{error}");
                }
            }
        }

        #[test]
        fn weight_zero_hides_a_row(a in analyzer(4, 2), mut sample in holed(4), wild in -1e300..1e300_f64) {
            let expected = sample.stats(&a);
            sample.data.data.extend([f64::NAN, wild, 1.0, f64::NAN]);
            sample.weights.push(0.0);
            prop_assert_eq!(sample.stats(&a), expected);
        }

        #[test]
        fn components_are_scored_each_by_its_own_factors(
            a in analyzer(4, 2), b in analyzer(4, 2), sample in holed(4)
        ) {
            let mut packed = a.new_packed(2);
            a.pack(0, &mut packed);
            b.pack(1, &mut packed);
            let n = sample.weights.len();
            let mut scores = vec![f64::NAN; 2 * n];
            let mut scratch = LowRankGaussian::new_scratch(&packed);
            let out = elbo_core::MatrixMut::new(&mut scores, 2, n, n);
            LowRankGaussian::score_all(&packed, sample.data.batch(), out, &mut scratch);
            prop_assert_eq!(&scores[..n], &sample.log_densities(&a)[..]);
            prop_assert_eq!(&scores[n..], &sample.log_densities(&b)[..]);
        }
    }

    /// Loadings are found where a third of all numbers is missing at random.
    #[test]
    fn a_fit_finds_the_loadings() {
        let truth = LowRankGaussian::new(
            vec![1.0, -2.0, 0.5, 3.0],
            &[1.0, 2.0, -1.0, 0.5],
            vec![0.5, 1.0, 0.2, 1.0],
        )
        .unwrap();
        let mut sample = draws(&truth, 4000, 5);
        let mut holes = rng(6);
        for x in &mut sample.data.data {
            if rand::RngExt::random::<f64>(&mut holes) < 1.0 / 3.0 {
                *x = f64::NAN;
            }
        }
        let fit =
            fit_single(LowRankGaussian::standard(vec![0.0; 4], 1), sample.data.batch()).unwrap();
        let sign = fit.params.loadings()[1].signum();
        for (found, expected) in fit.params.loadings().iter().zip(truth.loadings()) {
            assert!((sign * found - expected).abs() < 0.15, "{:?}", fit.params);
        }
        for (found, expected) in fit.params.mean().iter().zip(truth.mean()) {
            assert!((found - expected).abs() < 0.15, "{:?}", fit.params);
        }
    }
}

fn draws(of: &LowRankGaussian, n: usize, seed: u64) -> WeightedSample<Table> {
    let data = of.draw(n, &mut rng(seed)).data().to_vec();
    WeightedSample::new(Table { data, d: of.d() }, vec![1.0; n])
}

proptest! {
    #[test]
    fn it_is_the_gaussian_of_its_covariance(
        a in analyzer(6, 2), b in analyzer(6, 3), sample in sample(6), seed in any::<u64>()
    ) {
        let (full, other) = (a.to_gaussian().unwrap(), b.to_gaussian().unwrap());
        let x = a.sample(&mut rng(seed));
        let scores = sample.log_densities(&a);
        for (row, score) in sample.data.data.chunks_exact(6).zip(&scores) {
            let expected = full.log_density(row);
            assert_close(*score, expected, 1e3 * (1.0 + expected.abs()));
            assert_close(a.log_density(row), expected, 1e3 * (1.0 + expected.abs()));
        }
        assert_close(a.log_density(&x), full.log_density(&x), 1e4);
        assert_close(a.entropy(), full.entropy(), 100.0);
        let divergence = full.kl_divergence(&other);
        assert_close(a.kl_divergence(&b), divergence, 1e3 * (1.0 + divergence));
        prop_assert!(a.kl_divergence(&a) < 1e-12);
        // the statistics are those of the full Gaussian
        let mut stats = full.new_stats();
        full.observe(&mut stats, sample.data.batch(), &sample.weights);
        prop_assert_eq!(stats, sample.stats(&a));
    }

    #[test]
    fn coordinates_are_as_many_as_free_parameters(of in analyzer(5, 2), sample in sample(5)) {
        coordinates_give_the_distribution_back(&of, &sample.data, 1e5);
    }

    #[test]
    fn all_coordinates_are_allowed(flat in vec(-2.0..2.0_f64, 15)) {
        every_point_is_a_distribution(&LowRankGaussian::standard(vec![0.0; 4], 2), &flat);
    }

    #[test]
    fn an_m_step_never_lowers_the_likelihood(start in analyzer(5, 2), rows in vec(-1.0..1.0_f64, 100)) {
        let sample = WeightedSample::new(Table { data: rows, d: 5 }, vec![1.0; 20]);
        let mut next = start.clone();
        match start.maximize(&sample.stats(&start), &mut next) {
            Ok(_) => prop_assert!(sample.log_likelihood(&next).0 >= sample.log_likelihood(&start).0 - 1e-9),
            Err(error) => {
                let is_heywood = matches!(error, EstimateError::Boundary { .. });
                prop_assert!(is_heywood, "{error}");
            }
        }
    }
}

/// Two factors behind eight columns in units from 10⁻⁶ to 10⁶.
fn truth() -> LowRankGaussian {
    let unit = |i: usize| 10.0_f64.powf(2.0 * (i % 7) as f64 - 6.0);
    let loadings: Vec<f64> = (0..8)
        .flat_map(|i| {
            let angle = 0.7 * i as f64;
            [0.9 * angle.sin() * unit(i), 0.8 * angle.cos() * unit(i)]
        })
        .collect();
    let own = (0..8).map(|i| (0.3 + 0.05 * i as f64) * unit(i) * unit(i)).collect();
    LowRankGaussian::new((0..8).map(|i| 5.0 * unit(i)).collect(), &loadings, own).unwrap()
}

#[test]
fn the_estimate_satisfies_the_likelihood_equations() {
    let truth = truth();
    let sample = draws(&truth, 2000, 3);
    let start = LowRankGaussian::standard(truth.mean().to_vec(), 2);
    let fit = fit_single(start, sample.data.batch()).unwrap().params;
    let stats = sample.stats(&fit);
    let (sigma, s) = (fit.covariance(), stats.covariance());
    for i in 0..8 {
        // diag Σ = diag S, and S Σ⁻¹ W = W
        let off = sigma[i * 9] / s[i * 9] - 1.0;
        assert!(off.abs() < 1e-7, "variance {i} is off by {off:e}");
    }
    let mut factor = sigma.clone();
    elbo_linalg::cholesky_in_place(&mut factor, 8).unwrap();
    for a in 0..2 {
        let mut w: Vec<f64> = fit.loadings().iter().skip(a).step_by(2).copied().collect();
        let before = w.clone();
        elbo_linalg::solve_lower_in_place(&factor, 8, &mut w);
        elbo_linalg::solve_lower_transposed_in_place(&factor, 8, &mut w);
        for i in 0..8 {
            let back: f64 = (0..8).map(|j| s[i * 8 + j] * w[j]).sum();
            assert!((back - before[i]).abs() < 1e-6 * s[i * 9].sqrt(), "{back} ≠ {}", before[i]);
        }
    }
    elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &sample.data);
}

#[test]
fn the_gradient_vanishes_at_the_maximum() {
    let truth =
        LowRankGaussian::new(vec![0.0; 5], &[0.9, -0.5, 0.7, 0.4, 0.6], vec![0.5; 5]).unwrap();
    let sample = draws(&truth, 500, 8);
    elbo_laws::family::the_gradient_vanishes_at_the_maximum(&truth, &sample, 15, |best, step| {
        let mut flat = Vec::new();
        best.write_unconstrained(&mut flat);
        flat.iter_mut().zip(step).for_each(|(x, h)| *x += h);
        best.with_unconstrained(&mut &flat[..])
    });
}

#[test]
fn too_many_factors_are_a_heywood_case() {
    // two columns that a third one adds up to almost exactly
    let mut data = Vec::new();
    for i in 0..40 {
        let (a, b) = ((f64::from(i) * 0.7).sin(), (f64::from(i) * 1.3).cos());
        data.extend([
            a,
            b,
            a + b + 1e-9 * (f64::from(i) * 2.1).sin(),
            a - 0.3 * b + (f64::from(i) * 3.7).sin(),
        ]);
    }
    let start = LowRankGaussian::standard(vec![0.0; 4], 2);
    let sample = WeightedSample::new(Table { data, d: 4 }, vec![1.0; 40]);
    let error = start.maximize(&sample.stats(&start), &mut start.clone()).unwrap_err();
    assert!(matches!(error, EstimateError::Boundary { limit: "0", .. }), "{error}");
}

#[test]
fn factors_are_posterior_means() {
    // one factor: ẑ = Wᵀ Σ⁻¹ (x − μ)
    let of = LowRankGaussian::new(vec![1.0, 2.0], &[1.0, 1.0], vec![1.0, 2.0]).unwrap();
    let z = of.factors(&[2.0, 2.0]);
    assert_close(z[0], 0.4, 10.0); // Σ = [2 1; 1 3], Σ⁻¹ (1, 0) = (0.6, −0.2)
}

#[test]
fn parameters_and_data_are_checked() {
    let new =
        |loadings: &[f64], own: &[f64]| LowRankGaussian::new(vec![0.0; 3], loadings, own.to_vec());
    assert!(new(&[1.0; 3], &[1.0; 3]).is_ok());
    assert!(new(&[1.0; 9], &[1.0; 3]).is_err(), "as many factors as columns");
    assert!(new(&[1.0; 4], &[1.0; 3]).is_err());
    assert!(new(&[1.0; 3], &[1.0; 2]).is_err());
    assert!(new(&[1.0; 3], &[1.0, 0.0, 1.0]).is_err());
    assert!(new(&[1.0, f64::NAN, 1.0], &[1.0; 3]).is_err());
    let of = new(&[1.0; 3], &[1.0; 3]).unwrap();
    let error = of.check(Rows::new(&[0.0, f64::INFINITY, 1.0], 1, 3)).unwrap_err();
    assert!(matches!(error, DataError::NotFinite { row: 0, column: 1, .. }));
    let nothing = of.maximize(&of.new_stats(), &mut of.clone());
    assert!(matches!(nothing, Err(EstimateError::NoWeight { .. })));
    let equal = WeightedSample::new(Table { data: vec![2.0; 30], d: 3 }, vec![1.0; 10]);
    let singular = of.maximize(&equal.stats(&of), &mut of.clone());
    assert!(matches!(singular, Err(EstimateError::Singular { column: 0, .. })));
}

#[test]
fn spread_is_that_of_the_full_gaussian() {
    let of = truth();
    let half = MultivariateGaussian::new(
        elbo_dist::CovarianceStructure::VVV,
        of.mean().to_vec(),
        &of.covariance().iter().map(|s| 4.0 * s).collect::<Vec<f64>>(),
    );
    let all = half.unwrap().expected_stats(3.0);
    assert!((of.relative_spread(&all) - 0.25).abs() < 1e-9);
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let of = LowRankGaussian::new(vec![0.1; 2], &[0.3, -0.7], vec![1.1, 2.3]).unwrap();
    let text = serde_json::to_string(&of).unwrap();
    assert_eq!(serde_json::from_str::<LowRankGaussian>(&text).unwrap(), of);
    let text = r#"{"mean": [0.0, 0.0], "loadings": [[1.0], [1.0]], "uniquenesses": [1.0, -1.0]}"#;
    assert!(serde_json::from_str::<LowRankGaussian>(text).is_err());
}
