//! The Laplace distribution obeys the laws of its traits, and agrees with the sorted weighted median and with statrs.

use elbo_core::{EstimateError, Family, FitError, Statistics, Weighted, fit_single};
use elbo_dist::{Laplace, LaplaceStats};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::{Continuous, ContinuousCDF};

use crate::rng;

type Data = Of<Laplace, f64>;

fn laplace() -> impl Strategy<Value = Laplace> {
    (-10.0..10.0_f64, -3.0..3.0_f64)
        .prop_map(|(median, log_scale)| Laplace::new(median, log_scale.exp()).unwrap())
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        (vec((-10.0..10.0_f64, weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (data, mut weights): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            weights[0] = first;
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

/// Values with ties and gaps, weights that are whole numbers: sums are exact.
fn tied() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    let value = prop_oneof![9 => (-5..5_i32).prop_map(f64::from), 1 => Just(f64::NAN)];
    vec((value, (0..4_u32).prop_map(f64::from)), 2..40).prop_map(|rows| rows.into_iter().unzip())
}

/// By sorting and summing from both ends.
fn sorted_median(data: &[f64], weights: &[f64]) -> Option<(f64, f64)> {
    let mut rows: Vec<(f64, f64)> = data.iter().copied().zip(weights.iter().copied()).collect();
    rows.retain(|(x, w)| !x.is_nan() && *w > 0.0);
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = rows.iter().map(|(_, w)| w).sum::<f64>() / 2.0;
    let reaching = |rows: &[(f64, f64)]| {
        let mut sum = 0.0;
        let reached = |(_, w): &&(f64, f64)| {
            sum += w;
            sum >= half
        };
        rows.iter().find(reached).map(|(x, _)| *x)
    };
    let low = reaching(&rows)?;
    rows.reverse();
    Some((low, reaching(&rows)?))
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((laplace(), sample()).prop_map(|(l, s)| s.stats(&l)));
}

mod family {
    use super::*;

    elbo_laws::family_laws!(
        laplace(),
        sample(),
        Just(Data::new(vec![f64::MAX, f64::MIN, f64::INFINITY, f64::NAN]))
    );
}

/// The density has a kink at the median, so integrals are taken on either side of it.
mod univariate {
    use elbo_laws::univariate::{
        Continuous, density_integrates_to_the_cdf, draws_follow_the_cdf, integrate,
        quantile_inverts_the_cdf,
    };

    use super::*;

    proptest! {
        #[test]
        fn density_cdf_and_quantile_agree(laplace in laplace(), p in 0.001..0.5_f64, q in 0.001..0.5_f64) {
            let (f, c, inverse) = (|x| laplace.log_density(x), |x| laplace.cdf(x), |p| laplace.quantile(p));
            let of = Continuous { log_density: &f, cdf: &c, quantile: &inverse };
            density_integrates_to_the_cdf(&of, [p, q]);
            density_integrates_to_the_cdf(&of, [1.0 - p, 1.0 - q]);
            quantile_inverts_the_cdf(&of, p * q);
            quantile_inverts_the_cdf(&of, 1.0 - p * q);
        }

        #[test]
        fn draws_follow_it(laplace in laplace(), seed in any::<u64>()) {
            let mut rng = rng(seed);
            let draws = (0..1000).map(|_| laplace.sample(&mut rng)).collect();
            draws_follow_the_cdf(draws, |x| laplace.cdf(x), |x| laplace.cdf(x));
        }

        #[test]
        fn moments_agree_with_quadrature(laplace in laplace()) {
            let mean = |g: &dyn Fn(f64) -> f64| {
                let g = |u: f64| g(laplace.quantile(u));
                integrate(g, 0.0, 0.5) + integrate(g, 0.5, 1.0)
            };
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-7 * (1.0 + b.abs());
            prop_assert!(close(mean(&|x| x), laplace.mean()));
            let square = |x: f64| (x - laplace.mean()).powi(2);
            prop_assert!(close(mean(&square), laplace.variance()));
            prop_assert!(close(mean(&|x| -laplace.log_density(x)), laplace.entropy()));
        }
    }
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(laplace in laplace(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&laplace, &sample.data, 1.0);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform2(-50.0..50.0_f64)) {
        elbo_laws::parameters::every_point_is_a_distribution(&Laplace::new(0.0, 1.0).unwrap(), &flat);
    }

    #[test]
    fn missing_values_are_skipped(laplace in laplace(), sample in sample(), at in 0..40_usize) {
        let at = at.min(sample.len());
        let (mut data, mut weights) = (sample.data.rows().to_vec(), sample.weights.clone());
        data.insert(at, f64::NAN);
        weights.insert(at, 1.5);
        let holey = WeightedSample::new(Data::new(data), weights);
        let (with, without) = (holey.stats(&laplace), sample.stats(&laplace));
        elbo_laws::statistics::assert_same(&with, &without, &[&with, &without]);
        prop_assert_eq!(holey.log_densities(&laplace)[at], 0.0);
    }

    #[test]
    fn the_estimate_is_the_sorted_weighted_median((data, weights) in tied()) {
        let Some((low, high)) = sorted_median(&data, &weights) else {
            let result = Laplace::estimate(&data, &weights);
            prop_assert!(matches!(result, Err(EstimateError::NoWeight { .. })), "{result:?}");
            return Ok(());
        };
        let (median, total) = (low.midpoint(high), weights.iter().zip(&data).filter(|(_, x)| !x.is_nan()).map(|(w, _)| w).sum::<f64>());
        let distance = |x: f64| if x.is_nan() { 0.0 } else { (x - median).abs() };
        let scale = data.iter().zip(&weights).map(|(x, w)| w * distance(*x)).sum::<f64>() / total;
        match Laplace::estimate(&data, &weights) {
            Ok(fitted) => {
                prop_assert_eq!(fitted.median(), median);
                assert_close(fitted.scale(), scale, scale);
            }
            Err(error) => prop_assert!(scale == 0.0 && matches!(error, EstimateError::Singular { .. }), "{error}"),
        }
    }

    #[test]
    fn statistics_agree_with_the_plain_formulas(laplace in laplace(), sample in sample()) {
        let rows = || sample.data.rows().iter().zip(&sample.weights).map(|(x, w)| (*x, *w, (x - laplace.median()).abs()));
        let (total, mass) = rows().fold((0.0, 0.0), |(t, m), (_, w, d)| (t + w, m + w / d));
        let median = rows().map(|(x, w, d)| w / d * x).sum::<f64>() / mass;
        let scale = rows().map(|(x, w, d)| 0.5 * w * ((x - median).powi(2) / d + d)).sum::<f64>() / total;
        let stats = sample.stats(&laplace);
        assert_close(stats.total_weight(), total, total);
        assert_close(stats.median(), median, 20.0);
        assert_close(stats.mean_distance(), scale, 40.0);
    }

    #[test]
    fn no_step_lowers_the_likelihood(start in laplace(), on_a_row in any::<bool>(), sample in sample()) {
        let mut at = start;
        if on_a_row {
            at = at.moved_to(sample.data.rows(), 0).unwrap();
        }
        let (mut last, _) = sample.log_likelihood(&at);
        for _ in 0..20 {
            let mut next = at;
            if let Err(error) = at.maximize(&sample.stats(&at), &mut next) {
                prop_assert!(matches!(error, EstimateError::Singular { .. }), "{error}");
                return Ok(());
            }
            let (now, size) = sample.log_likelihood(&next);
            prop_assert!(now >= last - elbo_laws::TOLERANCE * (size + sample.total_weight()), "{last} to {now}");
            (at, last) = (next, now);
        }
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in laplace(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..500).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn density_and_cdf_agree_with_statrs(laplace in laplace(), z in -30.0..30.0_f64) {
        let x = laplace.median() + z * laplace.scale();
        let other = statrs::distribution::Laplace::new(laplace.median(), laplace.scale()).unwrap();
        assert_close(laplace.log_density(x), other.ln_pdf(x), 100.0);
        assert_close(laplace.cdf(x), other.cdf(x), 1.0);
    }

    #[test]
    fn divergence_agrees_with_quadrature(p in laplace(), q in laplace()) {
        let gap = |u: f64| { let x = p.quantile(u); p.log_density(x) - q.log_density(x) };
        // Cut where the integrand has its kinks.
        let cuts = [0.0, p.cdf(q.median()).min(0.5), p.cdf(q.median()).max(0.5), 1.0];
        let expected: f64 = cuts.windows(2).map(|w| elbo_laws::univariate::integrate(gap, w[0], w[1])).sum();
        let divergence = p.kl_divergence(&q);
        // The nodes at the ends are rounded, and there the logarithms are steep.
        prop_assert!((divergence - expected).abs() <= 1e-8 * (1.0 + expected), "{divergence} {expected}");
        prop_assert_eq!(p.kl_divergence(&p), 0.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn fits_end_at_the_weighted_median(seed in any::<u64>(), n in 2..400_usize, start in laplace()) {
        let mut rng = rng(seed);
        let data: Vec<f64> = (0..n).map(|_| Laplace::new(1.0, 2.0).unwrap().sample(&mut rng)).collect();
        let weights: Vec<f64> = (0..n).map(|i| (1 + i % 3) as f64).collect();
        let exact = Laplace::estimate(&data, &weights).unwrap();
        let (low, high) = sorted_median(&data, &weights).unwrap();
        let fit = fit_single(start, Weighted::new(&data[..], &weights).unwrap()).unwrap();
        prop_assert!(!fit.report.stopped.is_failure(), "{:?}", fit.report.stopped);
        let near = 1e-6 * exact.scale();
        let median = fit.params.median();
        prop_assert!(low - near <= median && median <= high + near, "{median} is not in [{low}, {high}], {:?}", fit.report.stopped);
        prop_assert!((fit.params.scale() / exact.scale() - 1.0).abs() < 1e-6);
    }
}

#[test]
fn extreme_units_and_offsets_keep_the_fit() {
    for (unit, offset) in [(1.0, 0.0), (1e-150, 0.0), (1e150, 0.0), (1.0, 1e8)] {
        let data: Vec<f64> = [0.0, 1.0, 2.0, 5.0, 9.0].iter().map(|x| offset + unit * x).collect();
        let fit = fit_single(Laplace::new(offset, unit).unwrap(), &data[..]).unwrap();
        let (median, scale) = ((fit.params.median() - offset) / unit, fit.params.scale() / unit);
        assert!((median - 2.0).abs() < 1e-6 && (scale - 2.6).abs() < 1e-6, "{median} {scale}");
    }
}

#[test]
fn statistics_without_a_laplace_are_rejected() {
    let start = Laplace::new(3.0, 1.0).unwrap();
    let estimate = |stats: &LaplaceStats| start.maximize(stats, &mut start.clone());
    let observe = |xs: &[f64], ws: &[f64]| {
        WeightedSample::new(Data::new(xs.to_vec()), ws.to_vec()).stats(&start)
    };
    assert!(matches!(estimate(&start.new_stats()), Err(EstimateError::NoWeight { .. })));
    let result = estimate(&observe(&[3.0; 5], &[1.0; 5])); // at the median
    assert!(matches!(result, Err(EstimateError::Singular { .. })), "{result:?}");
    let mut negative = observe(&[1.0, 2.0], &[1.0, 1.0]);
    negative.scale(-1.0);
    assert!(matches!(estimate(&negative), Err(EstimateError::Infeasible { .. })));
    let fit = fit_single(start, &[5.0; 8][..]);
    assert!(matches!(fit, Err(FitError::NoMaximum(_))), "{fit:?}");
}

#[test]
fn parameters_and_data_are_checked() {
    assert!(Laplace::new(f64::NAN, 1.0).is_err());
    for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(Laplace::new(0.0, bad).is_err());
    }
    let laplace = Laplace::new(0.0, 1.0).unwrap();
    assert!(laplace.check(&[0.0, f64::NAN]).is_ok() && laplace.check(&[f64::INFINITY]).is_err());
    for (x, w) in [(f64::INFINITY, 1.0), (1.0, -1.0), (1.0, f64::NAN)] {
        let result = Laplace::estimate(&[0.0, x], &[1.0, w]);
        assert!(matches!(result, Err(EstimateError::Infeasible { .. })), "{result:?}");
    }
    let one = Laplace::estimate(&[4.0], &[1.0]);
    assert!(matches!(one, Err(EstimateError::Singular { .. })), "{one:?}");
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let laplace = Laplace::new(0.1, 0.3).unwrap();
    let text = serde_json::to_string(&laplace).unwrap();
    assert_eq!(serde_json::from_str::<Laplace>(&text).unwrap(), laplace);
    let error = serde_json::from_str::<Laplace>(&text.replace("0.3", "-0.3")).unwrap_err();
    assert!(error.to_string().contains("scale is -0.3"), "{error}");
}
