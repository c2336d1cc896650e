//! The multivariate Student t obeys the laws of its traits, and its steps climb the likelihood.

use elbo_core::{
    DataError, Draw, EstimateError, Family, FlatParameters, Rows, Statistics, fit_single,
};
use elbo_dist::CovarianceStructure::{self, EEE, VII, VVI, VVV};
use elbo_dist::{MultivariateGaussian, MultivariateStudentT};
use elbo_laws::parameters::{
    coordinates_give_the_distribution_back, every_point_is_a_distribution,
};
use elbo_laws::{Sample, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::multivariate_gaussian::covariance;
use crate::rng;

/// Rows that a test owns.
#[derive(Clone, Debug)]
struct Table {
    data: Vec<f64>,
    d: usize,
}

impl Sample for Table {
    type Family = MultivariateStudentT;

    fn batch(&self) -> Rows<'_> {
        Rows::new(&self.data, self.data.len() / self.d, self.d)
    }

    fn pick(&self, rows: &[usize]) -> Self {
        let row = |i: &usize| &self.data[i * self.d..][..self.d];
        Self { data: rows.iter().flat_map(row).copied().collect(), d: self.d }
    }
}

fn student(
    structure: CovarianceStructure,
    d: usize,
) -> impl Strategy<Value = MultivariateStudentT> {
    let dof = (-0.5..5.0_f64).prop_map(f64::exp);
    (vec(-10.0..10.0_f64, d), covariance(structure, d), dof, any::<bool>()).prop_map(
        move |(location, scale, dof, is_fixed)| {
            let new = if is_fixed {
                MultivariateStudentT::with_fixed_dof
            } else {
                MultivariateStudentT::new
            };
            new(structure, location, &scale, dof).unwrap()
        },
    )
}

fn estimated(
    structure: CovarianceStructure,
    d: usize,
) -> impl Strategy<Value = MultivariateStudentT> {
    student(structure, d).prop_map(move |t| {
        MultivariateStudentT::new(structure, t.location().to_vec(), &t.scale(), t.dof()).unwrap()
    })
}

fn sample(d: usize) -> impl Strategy<Value = WeightedSample<Table>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        (vec(-12.0..12.0_f64, n * d), vec(weight.clone(), n), 0.1..2.0).prop_map(
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

macro_rules! laws_of {
    ($name:ident, $structure:expr, $d:expr) => {
        mod $name {
            use super::*;

            elbo_laws::family_laws!(estimated($structure, $d), sample($d), extreme($d), 1e4);
        }
    };
}
laws_of!(full, VVV, 3);
laws_of!(diagonal, VVI, 10);

fn draws(of: &MultivariateStudentT, n: usize, seed: u64) -> WeightedSample<Table> {
    let data = of.draw(n, &mut rng(seed)).data().to_vec();
    WeightedSample::new(Table { data, d: of.d() }, vec![1.0; n])
}

/// Up to `steps` plain steps; checks that none falls.
fn climbed(
    start: &MultivariateStudentT,
    sample: &WeightedSample<Table>,
    steps: usize,
) -> MultivariateStudentT {
    let mut current = start.clone();
    let mut before = sample.log_likelihood(&current).0;
    for _ in 0..steps {
        let mut next = current.clone();
        current.maximize(&sample.stats(&current), &mut next).unwrap();
        let (after, size) = sample.log_likelihood(&next);
        assert!(after >= before - 1e-12 * (1.0 + size), "{after} < {before}");
        (current, before) = (next, after);
    }
    current
}

proptest! {
    #[test]
    fn the_density_is_a_gaussian_of_random_scale(t in student(VVV, 2), z in vec(-3.0..3.0_f64, 2)) {
        // ∫ N(x; μ, Σ/u) Gamma(u; ν/2, ν/2) du, by the trapezoidal rule in ln u, which vanishes at both ends
        prop_assume!(t.dof() > 1.0);
        let x: Vec<f64> = t.location().iter().zip(&z).map(|(m, z)| m + z).collect();
        let gaussian = MultivariateGaussian::new(VVV, t.location().to_vec(), &t.scale()).unwrap();
        let (distance, half) = (gaussian.mahalanobis_squared(&x), 0.5 * t.dof());
        let at_one = gaussian.log_density(&x) + 0.5 * distance;
        let log_term = |v: f64| {
            at_one + v - 0.5 * distance * v.exp() + half * half.ln()
                - elbo_dist::special::ln_gamma(half) + half * v - half * v.exp()
        };
        let step = 0.01;
        let integral: f64 = (-6000..1000).map(|i| log_term(f64::from(i) * step).exp() * step).sum();
        // ln Γ and half · ln half are of size 500 and cancel
        prop_assert!((t.log_density(&x) - integral.ln()).abs() < 1e-9, "{} {}", t.log_density(&x), integral.ln());
        let mut score = [f64::NAN];
        t.log_density_into(Rows::new(&x, 1, 2), &mut score);
        assert_close(score[0], t.log_density(&x), 1e3);
    }

    #[test]
    fn a_step_never_lowers_the_likelihood(
        start in prop_oneof![student(VVV, 2), student(VVI, 2), student(VII, 2)],
        rows in vec(-1.0..1.0_f64, 60), outlier in -1e6..1e6_f64,
    ) {
        let mut data = rows;
        data[10] = outlier;
        climbed(&start, &WeightedSample::new(Table { data, d: 2 }, vec![1.0; 30]), 15);
    }

    #[test]
    fn coordinates_are_as_many_as_free_parameters(
        t in prop_oneof![student(VVV, 3), student(VVI, 3), student(VII, 3)], sample in sample(3)
    ) {
        coordinates_give_the_distribution_back(&t, &sample.data, 1e5);
    }

    #[test]
    fn all_coordinates_are_allowed(flat in vec(-2.0..2.0_f64, 6)) {
        let t = MultivariateStudentT::new(VVV, vec![0.0; 2], &[1.0, 0.0, 0.0, 1.0], 1.0).unwrap();
        every_point_is_a_distribution(&t, &flat);
    }

    #[test]
    fn expected_statistics_give_the_degrees_of_freedom_back(
        t in prop_oneof![estimated(VVV, 1), estimated(VVV, 4), estimated(VVI, 9)], far in 1.0..1e6_f64,
    ) {
        for dof in [t.dof(), far] {
            let of = MultivariateStudentT::new(t.structure(), t.location().to_vec(), &t.scale(), dof).unwrap();
            let mut back = t.clone();
            t.maximize(&of.expected_stats(3.0), &mut back).unwrap();
            // the spread, of size d/ν², is the difference of logarithms of numbers near 1
            let tolerance = 4.0 * f64::EPSILON * dof * dof + 1e-11 * (1.0 + dof);
            prop_assert!((back.dof() / dof - 1.0).abs() < tolerance, "{} ≠ {dof}", back.dof());
        }
    }
}

/// Five degrees of freedom in three correlated columns of different units.
fn truth(structure: CovarianceStructure) -> MultivariateStudentT {
    let scale = match structure {
        VVV => [1.0, 30.0, 0.0, 30.0, 1e4, -2e-2, 0.0, -2e-2, 1e-6],
        VVI => [1.0, 0.0, 0.0, 0.0, 1e4, 0.0, 0.0, 0.0, 1e-6],
        _ => [4.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 4.0],
    };
    MultivariateStudentT::new(structure, vec![1.0, 1e3, -1e-2], &scale, 5.0).unwrap()
}

#[test]
fn draws_are_fitted() {
    for structure in [VVV, VVI, VII] {
        let truth = truth(structure);
        let sample = draws(&truth, 2000, 12);
        let start =
            MultivariateStudentT::new(structure, vec![0.0; 3], &truth.scale(), 30.0).unwrap();
        let fit = fit_single(start, sample.data.batch()).unwrap();
        assert!(
            fit.report.stopped.is_converged() && fit.report.iterations < 60,
            "{:?}",
            fit.report
        );
        let best = fit.params;
        let (size, at_truth) = (sample.log_likelihood(&best).0, sample.log_likelihood(&truth).0);
        // Wilks: twice the gain is χ² with at most 10 degrees of freedom, below 60 but for once in 10⁸
        assert!((0.0..30.0).contains(&(size - at_truth)), "{size} {at_truth}");
        assert!((best.dof() - 5.0).abs() < 2.0, "{}", best.dof());
        // the gradient vanishes: 10⁻¹⁰ nats per row are left, so that slopes per row are below √(2·10⁻¹⁰)
        let mut flat = Vec::new();
        best.write_unconstrained(&mut flat);
        for i in 0..flat.len() {
            let unit = if i < 3 { truth.scale()[4 * i].sqrt() } else { 1.0 };
            let is_off_diagonal = structure == VVV && [4, 6, 7].contains(&i);
            let unit =
                if is_off_diagonal { truth.scale()[[0, 4, 8, 8][i - 4]].sqrt() } else { unit };
            let at = |h: f64| {
                let mut moved = flat.clone();
                moved[i] += h * unit;
                sample.log_likelihood(&best.with_unconstrained(&mut &moved[..])).0
            };
            let slope = (at(1e-4) - at(-1e-4)) / (2e-4 * 2000.0);
            assert!(slope.abs() < 3e-5, "{structure}: slope {slope:e} along coordinate {i}");
        }
    }
}

#[test]
fn one_column_is_the_univariate_density() {
    // ln p of a standard t: ln Γ(2) − ln Γ(3/2) − ½ ln 3π − 2 ln(1 + 1/3) at x = 1, ν = 3
    let t = MultivariateStudentT::new(VVV, vec![0.0], &[1.0], 3.0).unwrap();
    let expected = -elbo_dist::special::ln_gamma(1.5)
        - 0.5 * (3.0 * std::f64::consts::PI).ln()
        - 2.0 * (4.0_f64 / 3.0).ln();
    assert_close(t.log_density(&[1.0]), expected, 10.0);
    // the Cauchy distribution has the entropy ln 4π
    let cauchy = MultivariateStudentT::new(VVV, vec![0.0], &[1.0], 1.0).unwrap();
    assert_close(cauchy.entropy(), (4.0 * std::f64::consts::PI).ln(), 10.0);
    assert!(cauchy.mean().is_none() && t.mean().is_some() && cauchy.covariance().is_none());
    assert_close(t.covariance().unwrap()[0], 3.0, 10.0);
}

#[test]
fn the_entropy_is_the_mean_information() {
    let t = truth(VVV);
    let n = 20_000;
    let sample = draws(&t, n, 4);
    let scores = sample.log_densities(&t);
    let mean = -scores.iter().sum::<f64>() / n as f64;
    let variance = scores.iter().map(|s| (s + mean).powi(2)).sum::<f64>() / n as f64;
    assert!((t.entropy() - mean).abs() < 5.0 * (variance / n as f64).sqrt());
}

#[test]
fn many_degrees_of_freedom_are_a_gaussian() {
    let gaussian = MultivariateGaussian::new(VVV, vec![1.0, 2.0], &[2.0, 0.5, 0.5, 1.0]).unwrap();
    let t = MultivariateStudentT::new(VVV, vec![1.0, 2.0], &gaussian.covariance(), 1e12).unwrap();
    for x in [[1.0, 2.0], [3.0, -1.0], [-5.0, 9.0]] {
        let expected = gaussian.log_density(&x);
        // what is left is (distance² − …)/4ν
        assert!((t.log_density(&x) - expected).abs() < 1e-8);
        let mut score = [f64::NAN];
        t.log_density_into(Rows::new(&x, 1, 2), &mut score);
        assert!((score[0] - expected).abs() < 1e-8, "{} {expected}", score[0]);
    }
    // uniform rows have lighter tails than any Gaussian
    let data: Vec<f64> =
        (0..200).map(|i| (f64::from(i) * 0.618_034).fract() + f64::from(i % 2)).collect();
    let start = MultivariateStudentT::new(VVV, vec![0.5, 1.5], &[1.0, 0.0, 0.0, 1.0], 5.0).unwrap();
    let fit = fit_single(start, Rows::new(&data, 100, 2)).unwrap();
    assert!(fit.params.dof() > 100.0, "{}", fit.params.dof());
}

#[test]
fn an_outlier_hardly_moves_the_location() {
    let mut data = draws(&truth(VVV), 200, 6).data.data;
    let start = truth(VVV);
    let fit = |data: &[f64]| fit_single(start.clone(), Rows::new(data, 200, 3)).unwrap().params;
    let before = fit(&data);
    data[0] = 1e9;
    let after = fit(&data);
    assert!((before.location()[0] - after.location()[0]).abs() < 0.1);
}

#[test]
fn parameters_and_data_are_checked() {
    let new = |structure, scale: &[f64], dof| {
        MultivariateStudentT::new(structure, vec![0.0; 2], scale, dof)
    };
    let identity = [1.0, 0.0, 0.0, 1.0];
    assert!(new(EEE, &identity, 3.0).is_err());
    assert!(new(VVV, &identity, 0.0).is_err() && new(VVV, &identity, f64::INFINITY).is_err());
    assert!(new(VVV, &[1.0, 2.0, 2.0, 1.0], 3.0).is_err());
    let t = new(VVV, &identity, 3.0).unwrap();
    let error = t.check(Rows::new(&[0.0, f64::NAN], 1, 2)).unwrap_err();
    assert!(matches!(error, DataError::NotFinite { row: 0, column: 1, .. }));
    let nothing = t.maximize(&t.new_stats(), &mut t.clone());
    assert!(matches!(nothing, Err(EstimateError::NoWeight { .. })), "{nothing:?}");
    let sample = WeightedSample::new(Table { data: vec![1.0; 20], d: 2 }, vec![1.0; 10]);
    let equal = t.maximize(&sample.stats(&t), &mut t.clone());
    assert!(matches!(equal, Err(EstimateError::Singular { .. })), "{equal:?}");
    let mut negative = draws(&t, 10, 1).stats(&t);
    negative.scale(-1.0);
    assert!(matches!(t.maximize(&negative, &mut t.clone()), Err(EstimateError::Infeasible { .. })));
    let fixed = MultivariateStudentT::with_fixed_dof(VVV, vec![0.0; 2], &identity, 7.0).unwrap();
    assert_eq!((fixed.free_parameters(2), t.free_parameters(2)), (10, 12));
    let stats = draws(&t, 50, 1).stats(&fixed);
    let mut next = fixed.clone();
    fixed.maximize(&stats, &mut next).unwrap();
    assert!(next.dof() == 7.0 && next.dof_is_fixed());
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let t = MultivariateStudentT::with_fixed_dof(VVV, vec![0.1, 0.2], &[1.3, 0.4, 0.4, 0.9], 4.5)
        .unwrap();
    let text = serde_json::to_string(&t).unwrap();
    assert_eq!(serde_json::from_str::<MultivariateStudentT>(&text).unwrap(), t);
    for text in [
        r#"{"structure": "full", "location": [0.0], "scale": [[1.0]], "dof": -1.0}"#,
        r#"{"structure": "tied", "location": [0.0], "scale": [[1.0]], "dof": 1.0}"#,
    ] {
        assert!(serde_json::from_str::<MultivariateStudentT>(text).is_err());
    }
}
