//! The Student t obeys the laws of its traits, and agrees with statrs, with 50-digit references and with an optimum found
//! otherwise.

use elbo_core::{EstimateError, Family, FlatParameters, Statistics, fit_single};
use elbo_dist::StudentT;
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::{Continuous, ContinuousCDF};

use crate::rng;

type Data = Of<StudentT, f64>;

/// Locations within some ten scales of the data, at scales from e⁻² to e².
fn student_t() -> impl Strategy<Value = StudentT> {
    let dof = prop_oneof![(-1.0..4.0_f64).prop_map(f64::exp), Just(1e4)];
    (-10.0..10.0_f64, -2.0..2.0_f64, dof, any::<bool>()).prop_map(|(at, log_scale, dof, fixed)| {
        let new = if fixed { StudentT::with_fixed_dof } else { StudentT::new };
        new(at, log_scale.exp(), dof).unwrap()
    })
}

/// With lighter tails than the quadrature of second moments bears.
fn light() -> impl Strategy<Value = StudentT> {
    (-10.0..10.0_f64, -2.0..2.0_f64, prop_oneof![5.0..40.0_f64, Just(1e6)])
        .prop_map(|(at, log_scale, dof)| StudentT::new(at, log_scale.exp(), dof).unwrap())
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    let value = prop_oneof![6 => -3.0..3.0_f64, 1 => -1e3..1e3_f64];
    size.prop_flat_map(move |n| {
        (vec((value.clone(), weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (data, mut weights): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            weights[0] = first;
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((student_t(), sample()).prop_map(|(t, s)| s.stats(&t)));
}

mod family {
    use super::*;

    // The degrees of freedom come out within ε·ν of themselves, ν ≤ 10⁴, and scores are up to 2·10⁴.
    elbo_laws::family_laws!(
        student_t().prop_map(|t| StudentT::new(t.location(), t.scale(), t.dof()).unwrap()),
        sample(),
        Just(Data::new(vec![f64::MAX, f64::MIN, f64::INFINITY, f64::NAN])),
        1e6
    );
}

mod univariate {
    use super::*;

    elbo_laws::continuous_laws!(light(), rng);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(t in student_t(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&t, &sample.data, 10.0);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform3(-50.0..50.0_f64)) {
        elbo_laws::parameters::every_point_is_a_distribution(&StudentT::new(0.0, 1.0, 1.0).unwrap(), &flat);
    }

    #[test]
    fn missing_values_are_skipped(t in student_t(), sample in sample(), at in 0..40_usize) {
        let at = at.min(sample.len());
        let (mut data, mut weights) = (sample.data.rows().to_vec(), sample.weights.clone());
        data.insert(at, f64::NAN);
        weights.insert(at, 1.5);
        let holey = WeightedSample::new(Data::new(data), weights);
        let (with, without) = (holey.stats(&t), sample.stats(&t));
        elbo_laws::statistics::assert_same(&with, &without, &[&with, &without]);
        prop_assert_eq!(holey.log_densities(&t)[at], 0.0);
    }

    #[test]
    fn statistics_agree_with_the_two_pass_formulas(t in student_t(), sample in sample()) {
        let (s0, weights) = (t.dof() * t.scale() * t.scale(), &sample.weights);
        let rows = || sample.data.rows().iter().zip(weights);
        let r = |x: f64| s0 + (x - t.location()).powi(2);
        let mass: f64 = rows().map(|(x, w)| w / r(*x)).sum();
        let location = rows().map(|(x, w)| w / r(*x) * x).sum::<f64>() / mass;
        let scatter: f64 = rows().map(|(x, w)| w / r(*x) * (x - location).powi(2)).sum();
        let about_start: f64 = rows().map(|(x, w)| w / r(*x) * (x - t.location()).powi(2)).sum();
        let total: f64 = weights.iter().sum();
        let log_mean = rows().map(|(x, w)| w * r(*x).ln()).sum::<f64>() / total;
        let stats = sample.stats(&t);
        assert_close(stats.total_weight(), total, total);
        assert_close(stats.location(), location, 20.0 + location.abs());
        assert_close(stats.squared_scale(), scatter / mass, about_start / mass);
        assert_close(stats.spread(), log_mean + (mass / total).ln(), 10.0 + log_mean.abs());
    }

    #[test]
    fn no_step_lowers_the_likelihood(start in student_t(), sample in sample()) {
        let mut at = start;
        let (mut last, _) = sample.log_likelihood(&at);
        for _ in 0..20 {
            let mut next = at;
            if let Err(error) = at.maximize(&sample.stats(&at), &mut next) {
                // A single value, or one that has all but all weight.
                prop_assert!(matches!(error, EstimateError::Singular { .. }), "{error}");
                return Ok(());
            }
            let (now, size) = sample.log_likelihood(&next);
            prop_assert!(now >= last - elbo_laws::TOLERANCE * (size + sample.total_weight()), "{last} to {now} at {next:?}");
            (at, last) = (next, now);
        }
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in student_t(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..500).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn density_and_cdf_agree_with_statrs(t in student_t(), z in -20.0..20.0_f64) {
        let x = t.location() + z * t.scale();
        let other = statrs::distribution::StudentsT::new(t.location(), t.scale(), t.dof()).unwrap();
        // statrs takes ln Γ by a Lanczos sum, some 10⁻¹⁵ of terms of size ν ln ν.
        assert_close(t.log_density(x), other.ln_pdf(x), 100.0 + 10.0 * t.dof());
        prop_assert!((t.cdf(x) - other.cdf(x)).abs() < 1e-9);
    }

    #[test]
    fn quantiles_are_symmetric_and_keep_their_digits(t in student_t(), log_p in -600.0..-0.7_f64) {
        let p = log_p.exp();
        let standard = StudentT::new(0.0, 1.0, t.dof()).unwrap();
        let x = standard.quantile(p);
        if x.is_finite() {
            // Far in the tail ln P changes by at most ν per unit of ln x.
            let back = standard.cdf(x);
            prop_assert!((back / p - 1.0).abs() <= 1e-14 * (100.0 + t.dof() + log_p.abs()), "{p:e} {x:e} {back:e}");
        }
        let q = 1.0 - p;
        prop_assert_eq!(standard.quantile(q), -standard.quantile(1.0 - q));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn divergence_agrees_with_quadrature(p in light(), q in student_t()) {
        let gap = |u: f64| { let x = p.quantile(u); p.log_density(x) - q.log_density(x) };
        let expected = elbo_laws::univariate::integrate(gap, 0.0, 1.0);
        let divergence = p.kl_divergence(&q);
        // Nodes beside zero and one are rounded, and there the logarithms are steep.
        prop_assert!((divergence - expected).abs() <= 1e-6 * (1.0 + expected), "{divergence} {expected}");
        prop_assert!(p.kl_divergence(&p) <= 1e-12 && q.kl_divergence(&q) <= 1e-12, "{} {}", p.kl_divergence(&p), q.kl_divergence(&q));
    }

    #[test]
    fn the_gradient_vanishes_where_steps_end(seed in any::<u64>(), start in student_t()) {
        const H: f64 = 1e-4;
        let mut rng = rng(seed);
        let truth = StudentT::new(1.0, 2.0, 2.0).unwrap();
        let data: Vec<f64> = (0..200).map(|_| truth.sample(&mut rng)).collect();
        let sample = WeightedSample::new(Data::new(data), (0..200).map(|i| 0.5 + f64::from(i % 3)).collect());
        let mut at = start;
        for _ in 0..400 {
            at.clone().maximize(&sample.stats(&at), &mut at).unwrap();
        }
        let mut flat = Vec::new();
        at.write_unconstrained(&mut flat);
        for i in 0..flat.len() {
            let along = |step: f64| {
                let mut there = flat.clone();
                there[i] += step;
                sample.log_likelihood(&at.with_unconstrained(&mut &there[..])).0 / sample.total_weight()
            };
            let slope = (along(H) - along(-H)) / (2.0 * H);
            // Third derivatives are of size 1; the mean log density of size 3 is rounded.
            prop_assert!(slope.abs() <= 16.0 * H * H + 3.0 * elbo_laws::TOLERANCE / H, "{slope:e} along {i} at {at:?}");
        }
    }
}

#[test]
fn tails_agree_with_references() {
    // ½ I_x(ν/2, ½) at x = ν/(ν + t²), by mpmath 1.3 with 50 digits.
    for (t, dof, expected) in [
        (-1e-3, 4.0, 0.499_625_000_078_125_f64),
        (-2.5, 0.5, 0.200_485_264_526_646_6),
        (-5.0, 1e4, 2.915_163_306_831_323_6e-7),
        (-5.0, 1e6, 2.866_998_935_445_371e-7),
        (-0.5, 1e6, 0.308_537_593_736_185_7),
        (-1e5, 3.0, 1.102_657_790_446_627_2e-15),
        (-40.0, 30.0, 6.863_022_597_203_201e-28),
        (-1e200, 0.1, 4.173_803_137_173_207e-21),
    ] {
        let standard = StudentT::new(0.0, 1.0, dof).unwrap();
        let p = standard.cdf(t);
        // As documented of the incomplete beta function: ε (20 + 2 |ln I|).
        let tolerance = f64::EPSILON * (40.0 + 4.0 * expected.ln().abs());
        assert!((p / expected - 1.0).abs() <= tolerance, "{t} {dof}: {p:e}");
        let back = standard.quantile(p);
        assert!((back / t - 1.0).abs() <= 1e-12, "{t} {dof}: {back:e}");
    }
    assert_eq!(StudentT::new(3.0, 2.0, 1.0).unwrap().quantile(0.5), 3.0);
}

#[test]
fn divergences_agree_with_references() {
    // Piecewise quadrature by mpmath 1.3 with 20 digits.
    let t = |location, scale, dof| StudentT::new(location, scale, dof).unwrap();
    let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-13, "{a} {b}");
    near(t(0.0, 1.0, 4.0).kl_divergence(&t(0.5, 0.01, 1.0)), 3.323_671_826_549_75);
    near(t(0.0, 1.0, 5.0).kl_divergence(&t(1.0, 2.0, 30.0)), 0.323_075_631_119_922);
    for dof in [0.05, 0.5, 1.0, 3.0, 1e3, 1e8] {
        let t = t(3.0, 0.1, dof);
        assert!(t.kl_divergence(&t) < 1e-12, "{dof}: {:e}", t.kl_divergence(&t));
    }
}

#[test]
fn the_fit_is_the_optimum_found_otherwise() {
    // Root of the gradient by mpmath 1.3 from the Nelder–Mead optimum of scipy 1.17.1.
    let data = [-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 100.0];
    for start in [StudentT::new(0.0, 1.0, 1.0), StudentT::new(-40.0, 100.0, 1e3)] {
        let fit = fit_single(start.unwrap(), &data[..]).unwrap();
        assert!(fit.report.stopped.is_converged(), "{:?}", fit.report.stopped);
        // Within 10⁻¹⁰ nats per observation of the top, parameters of unit curvature are within 10⁻⁵ to 10⁻⁴.
        let t = fit.params;
        assert!((t.location() - 0.816_274_187_6).abs() < 1e-4, "{t:?}");
        assert!((t.scale() - 0.727_143_515_6).abs() < 1e-4, "{t:?}");
        assert!((t.dof() - 0.634_286_593_1).abs() < 1e-4, "{t:?}");
        assert!((fit.report.objective + 20.089_781_585_464_6).abs() < 1e-8);
    }
    let fixed = StudentT::with_fixed_dof(0.0, 1.0, 3.0).unwrap();
    let t = fit_single(fixed, &data[..]).unwrap().params;
    assert!(
        (t.location() - 0.724_781_856).abs() < 1e-4 && (t.scale() - 1.397_546_278).abs() < 1e-4
    );
    assert_eq!(t.dof(), 3.0);
}

#[test]
fn a_far_start_takes_few_passes() {
    let mut rng = rng(4);
    let truth = StudentT::new(10.0, 2.0, 4.0).unwrap();
    let data: Vec<f64> = (0..2000).map(|_| truth.sample(&mut rng)).collect();
    for start in [(0.0, 1.0, 30.0), (1e6, 1e-3, 1.0), (-1e3, 1e5, 1e6)] {
        let start = StudentT::new(start.0, start.1, start.2).unwrap();
        let fit = fit_single(start, &data[..]).unwrap();
        assert!(fit.report.stopped.is_converged(), "{:?}", fit.report.stopped);
        assert!(fit.report.e_steps <= 60, "{} passes from {start:?}", fit.report.e_steps);
        eprintln!("{} passes from {start:?} to {:?}", fit.report.e_steps, fit.params);
        assert!((fit.params.dof() - 4.0).abs() < 1.0);
    }
}

#[test]
fn light_tails_end_as_a_gaussian() {
    let uniform: Vec<f64> = (0..1000).map(f64::from).collect();
    let fit = fit_single(StudentT::new(0.0, 1.0, 1.0).unwrap(), &uniform[..]).unwrap();
    assert!(!fit.report.stopped.is_failure(), "{:?}", fit.report.stopped);
    assert!(fit.params.dof() > 1e3, "{:?}", fit.params);
    assert!((fit.params.variance() / 83_333.25 - 1.0).abs() < 0.01, "{}", fit.params.variance());
    // Two values are as light as tails can be.
    let mut t = StudentT::new(0.5, 1.0, 5.0).unwrap();
    t.clone()
        .maximize(&WeightedSample::new(Data::new(vec![0.0, 1.0]), vec![1.0; 2]).stats(&t), &mut t)
        .unwrap();
    assert!(t.is_gaussian() && t.dof() == StudentT::MAX_DOF && t.location() == 0.5);
}

#[test]
fn extreme_units_and_offsets_keep_the_fit() {
    let data = [-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 100.0];
    let fit = |unit: f64, offset: f64| {
        let data: Vec<f64> = data.iter().map(|x| offset + unit * x).collect();
        let t = fit_single(StudentT::new(offset, unit, 1.0).unwrap(), &data[..]).unwrap().params;
        ((t.location() - offset) / unit, t.scale() / unit, t.dof())
    };
    let (location, scale, dof) = fit(1.0, 0.0);
    for (unit, offset) in [(1e-150, 0.0), (1e150, 0.0), (1.0, 1e8)] {
        let other = fit(unit, offset);
        let gap = (other.0 - location).abs() + (other.1 - scale).abs() + (other.2 - dof).abs();
        assert!(gap < 1e-4, "{unit} {offset}: {other:?}");
    }
}

#[test]
fn statistics_without_a_student_t_are_rejected() {
    let start = StudentT::new(3.0, 1.0, 4.0).unwrap();
    let estimate = |stats: &elbo_dist::StudentTStats| start.maximize(stats, &mut start.clone());
    let observe = |xs: &[f64], ws: &[f64]| {
        WeightedSample::new(Data::new(xs.to_vec()), ws.to_vec()).stats(&start)
    };
    let nothing = estimate(&start.new_stats());
    assert!(matches!(nothing, Err(EstimateError::NoWeight { .. })), "{nothing:?}");
    for constant in [0.1, 3.0, 1e8 + 0.1] {
        let result = estimate(&observe(&[constant; 37], &[0.1; 37]));
        assert!(matches!(result, Err(EstimateError::Singular { .. })), "{constant}: {result:?}");
    }
    let mut negative = observe(&[1.0, 2.0], &[1.0, 1.0]);
    negative.scale(-1.0);
    assert!(matches!(estimate(&negative), Err(EstimateError::Infeasible { .. })));
    let mut outside = observe(&[1.0, 2.0], &[1.0, 1.0]);
    outside.axpy(-1.0, &observe(&[1.0, 8.0], &[0.2, 0.9]));
    assert!(matches!(estimate(&outside), Err(EstimateError::Infeasible { .. })));
}

#[test]
fn parameters_and_data_are_checked() {
    assert!(StudentT::new(f64::NAN, 1.0, 1.0).is_err());
    for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(StudentT::new(0.0, bad, 1.0).is_err() && StudentT::new(0.0, 1.0, bad).is_err());
    }
    let t = StudentT::new(0.0, 1.0, 1.5).unwrap();
    assert!(t.check(&[0.0, f64::NAN]).is_ok() && t.check(&[0.0, f64::INFINITY]).is_err());
    assert!(t.mean() == 0.0 && t.variance() == f64::INFINITY);
    let cauchy = StudentT::new(0.0, 1.0, 1.0).unwrap();
    assert!(cauchy.mean().is_nan() && cauchy.variance().is_nan());
    assert!((cauchy.entropy() - (4.0 * std::f64::consts::PI).ln()).abs() < 1e-14);
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let t = StudentT::with_fixed_dof(0.1, 0.3, 5.0).unwrap();
    let text = serde_json::to_string(&t).unwrap();
    assert_eq!(serde_json::from_str::<StudentT>(&text).unwrap(), t);
    let error = serde_json::from_str::<StudentT>(&text.replace("0.3", "-0.3")).unwrap_err();
    assert!(error.to_string().contains("scale is -0.3"), "{error}");
}
