//! Logistic and Poisson regression.

use elbo_core::{DataError, EstimateError, Family, FlatParameters, Rows, Statistics, fit_single};
use elbo_dist::{LogisticRegression, ParameterError, Poisson, PoissonRegression};
use elbo_laws::{Sample, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use rand::RngExt;

use crate::rng;

/// Largest distance of the covariates from zero, in their spreads.
const RANGE: f64 = 3.0;

/// Successes, counts.
fn number(response: impl Into<u64>) -> f64 {
    response.into() as f64
}

macro_rules! laws {
    ($name:ident, $family:ty, $response:ty, $responses:expr, $extreme:expr) => {
        mod $name {
            use super::*;

            /// Covariates, row after row, and responses.
            #[derive(Clone, Debug)]
            pub(super) struct Data {
                pub(super) x: Vec<f64>,
                pub(super) columns: usize,
                pub(super) y: Vec<$response>,
            }

            impl Sample for Data {
                type Family = $family;

                fn batch(&self) -> (Rows<'_>, &[$response]) {
                    let n = self.y.len();
                    (Rows::new(&self.x, n, self.columns), &self.y)
                }

                fn pick(&self, rows: &[usize]) -> Self {
                    let columns = self.columns;
                    let x = rows.iter().flat_map(|i| &self.x[i * columns..][..columns]).copied();
                    Self { x: x.collect(), columns, y: rows.iter().map(|i| self.y[*i]).collect() }
                }
            }

            /// Two covariates, with an intercept and with an offset, or neither.
            pub(super) fn regression(intercept: bool) -> impl Strategy<Value = $family> {
                let slopes = vec(-1.5..1.5_f64, 2);
                (vec(-RANGE..RANGE, 2), -3.0..3.0_f64, slopes).prop_map(
                    move |(center, value, slopes)| {
                        if intercept {
                            <$family>::centered(center, value, slopes).unwrap().with_offset()
                        } else {
                            <$family>::without_intercept(slopes).unwrap()
                        }
                    },
                )
            }

            pub(super) fn rows(
                intercept: bool,
                size: impl Strategy<Value = usize>,
                zeros: bool,
            ) -> impl Strategy<Value = WeightedSample<Data>> {
                let p = if intercept { 3 } else { 2 };
                (vec(-RANGE..RANGE, p), size).prop_flat_map(move |(at, n)| {
                    let weight = prop_oneof![4 => 0.1..2.0, u32::from(zeros) => Just(0.0)];
                    let cells = (vec(-1.0..1.0_f64, n * p), vec($responses, n), vec(weight, n));
                    (cells, 0.1..2.0).prop_map(move |((x, y, mut weights), first)| {
                        weights[0] = first;
                        let x = x.iter().zip(at.iter().cycle()).map(|(x, c)| x + c).collect();
                        WeightedSample::new(Data { x, columns: p, y }, weights)
                    })
                })
            }

            fn sample(intercept: bool) -> impl Strategy<Value = WeightedSample<Data>> {
                rows(intercept, prop_oneof![9 => 1..40_usize, 1 => 260..300_usize], true)
            }

            fn extreme(intercept: bool) -> Just<Data> {
                let wild = [f64::MAX, f64::NAN, f64::INFINITY, f64::MIN, 0.0, 1e9];
                let p = if intercept { 3 } else { 2 };
                Just(Data { x: wild[..2 * p].to_vec(), columns: p, y: $extreme })
            }

            mod with_intercept {
                use super::*;

                mod statistics {
                    use super::*;

                    elbo_laws::statistics_laws!(
                        (regression(true), sample(true)).prop_map(|(r, s)| s.stats(&r))
                    );
                }

                mod family {
                    use super::*;

                    // Linear predictors of size 10 are sums of terms of size 10, and counts of 50 multiply them.
                    elbo_laws::family_laws!(regression(true), sample(true), extreme(true), 1e3);
                }
            }

            mod without_intercept {
                use super::*;

                mod statistics {
                    use super::*;

                    elbo_laws::statistics_laws!(
                        (regression(false), sample(false)).prop_map(|(r, s)| s.stats(&r))
                    );
                }

                mod family {
                    use super::*;

                    elbo_laws::family_laws!(regression(false), sample(false), extreme(false), 1e3);
                }
            }

            proptest! {
                #[test]
                fn coordinates_give_the_distribution_back(
                    regression in regression(true), sample in sample(true)
                ) {
                    elbo_laws::parameters::coordinates_give_the_distribution_back(
                        &regression, &sample.data, 1.0,
                    );
                }

                #[test]
                fn every_point_is_a_distribution(flat in vec(-50.0..50.0_f64, 3)) {
                    let shape = <$family>::new(0.0, vec![0.0; 2]).unwrap();
                    elbo_laws::parameters::every_point_is_a_distribution(&shape, &flat);
                }

                #[test]
                fn steps_never_lower_the_log_likelihood(
                    start in regression(true), sample in rows(true, 5..40_usize, true),
                    wild in 1.0..8.0_f64
                ) {
                    let slopes = start.coefficients().iter().map(|b| wild * b).collect();
                    let center = start.center().to_vec();
                    let value = wild * start.value_at_center();
                    let mut here = <$family>::centered(center, value, slopes).unwrap().with_offset();
                    let (mut before, _) = sample.log_likelihood(&here);
                    for step in 0..25 {
                        let stats = sample.stats(&here);
                        // Where nothing is counted there is no maximum; columns of few rows may be collinear.
                        let result = here.clone().maximize(&stats, &mut here);
                        if let Err(error) = result {
                            let known = matches!(
                                error,
                                EstimateError::Boundary { .. } | EstimateError::Singular { .. }
                            );
                            prop_assert!(known, "{:?}", error);
                            break;
                        }
                        let (after, size) = sample.log_likelihood(&here);
                        // Terms of y η and ln y! cancel in a score.
                        let rounding = elbo_laws::TOLERANCE * (size + 1e3 * sample.total_weight());
                        prop_assert!(after >= before - rounding, "step {}: {} → {}", step, before, after);
                        before = after;
                    }
                }

                #[test]
                fn the_gradient_is_zero_in_the_end(
                    start in regression(true), sample in estimable(true)
                ) {
                    let fit = converged(&start, &sample);
                    let mut gradient = [0.0; 3];
                    let mut size = 0.0;
                    for (i, y) in sample.data.y.iter().enumerate() {
                        let x = &sample.data.x[3 * i..][..3];
                        let residual = sample.weights[i] * (number(*y) - fit.predict(x));
                        for (g, z) in gradient.iter_mut().zip([1.0, x[0], x[1]]) {
                            *g += residual * z;
                        }
                        size += residual.abs() * 2.0 * RANGE;
                    }
                    for g in gradient {
                        assert_close(g, 0.0, 100.0 * size);
                    }
                }

                #[test]
                fn convergence_is_quadratic(sample in estimable(true), start in regression(true)) {
                    let fit = converged(&start, &sample);
                    let off = |other: &$family| {
                        (0..sample.data.y.len())
                            .map(|i| &sample.data.x[3 * i..][..3])
                            .map(|x| (fit.linear_predictor(x) - other.linear_predictor(x)).abs())
                            .fold(0.0, f64::max)
                    };
                    let mut flat = Vec::new();
                    fit.write_unconstrained(&mut flat);
                    for b in &mut flat {
                        *b += 1e-3;
                    }
                    let mut near = fit.with_unconstrained(&mut &flat[..]);
                    let before = off(&near);
                    let stats = sample.stats(&near);
                    near.clone().maximize(&stats, &mut near).unwrap();
                    // Steps are off by a share of their reach, about three times what they change at most, and by what
                    // Newton's method leaves, which is the square of the change times the condition.
                    prop_assert!(off(&near) <= 100.0 * before * before + 1e-12, "{} {}", before, off(&near));
                }

                #[test]
                fn gradients_change_by_curvature_times_shift(
                    start in regression(false), sample in rows(false, 5..40_usize, false),
                    shift in vec(-1.0..1.0_f64, 2)
                ) {
                    const H: f64 = 1e-4;
                    let slopes = start.coefficients().iter().zip(&shift).map(|(b, s)| b + H * s);
                    let near = <$family>::without_intercept(slopes.collect()).unwrap();
                    let (there, mut moved) = (sample.stats(&near), sample.stats(&start));
                    moved.align(&there);
                    let (mut a, mut b) = (Vec::new(), Vec::new());
                    there.write_to(&mut a);
                    moved.write_to(&mut b);
                    // Gradients stand behind Σw and Σwy; third derivatives are no more than some curvatures.
                    let size = a.iter().fold(1.0_f64, |max, x| max.max(x.abs()));
                    for i in 2..4 {
                        prop_assert!((a[i] - b[i]).abs() <= 100.0 * H * H * size, "{:?} {:?}", a, b);
                    }
                }

                #[test]
                fn the_anchor_does_not_matter(
                    start in regression(true), sample in sample(true), center in vec(-RANGE..RANGE, 2)
                ) {
                    let mut x = center.clone();
                    x.push(0.0);
                    let value = start.linear_predictor(&x);
                    let slopes = start.coefficients().to_vec();
                    let same = <$family>::centered(center, value, slopes).unwrap().with_offset();
                    let (here, there) = (sample.stats(&start), sample.stats(&same));
                    let mut moved = here.clone();
                    moved.align(&there);
                    let (mut a, mut b) = (Vec::new(), Vec::new());
                    there.write_to(&mut a);
                    moved.write_to(&mut b);
                    let size = a.iter().chain(&b).fold(1.0_f64, |max, x| max.max(x.abs()));
                    // A linear predictor rounded to 10ε changes e^η and all sums by as much.
                    for (a, b) in a.iter().zip(&b) {
                        assert_close(*a, *b, 100.0 * size);
                    }
                }
            }

            /// Rows of a design that no coefficients separate, with responses that are not all alike.
            pub(super) fn estimable(intercept: bool) -> impl Strategy<Value = WeightedSample<Data>> {
                rows(intercept, 24..40_usize, false).prop_map(|mut sample| {
                    let p = sample.data.columns;
                    let n = sample.data.y.len();
                    // Every design point twice, with both kinds of response.
                    sample.data.x.extend_from_within(..n / 2 * p);
                    let flipped: Vec<$response> =
                        sample.data.y[..n / 2].iter().map(|y| <$response>::from(number(*y) == 0.0)).collect();
                    sample.data.y.extend(flipped);
                    sample.weights.extend_from_within(..n / 2);
                    sample
                })
            }

            pub(super) fn converged(start: &$family, sample: &WeightedSample<Data>) -> $family {
                let mut here = start.clone();
                for _ in 0..60 {
                    let stats = sample.stats(&here);
                    here.clone().maximize(&stats, &mut here).unwrap();
                }
                here
            }

            #[test]
            fn data_are_checked() {
                let regression = <$family>::new(0.0, vec![1.0]).unwrap().with_offset();
                let y: [$response; 2] = [<$response>::from(true), <$response>::from(false)];
                let check = |x: &[f64], d: usize| {
                    regression.check((Rows::new(x, x.len() / d, d), &y))
                };
                assert_eq!(check(&[1.0; 4], 2), Ok(()));
                let unpaired =
                    DataError::Unpaired { of: "covariates", left: 1, with: "responses", right: 2 };
                assert_eq!(check(&[1.0; 2], 2), Err(unpaired));
                assert_eq!(check(&[1.0; 2], 1), Err(DataError::Dimension { expected: 2, found: 1 }));
                let error = check(&[1.0, 1.0, 1.0, f64::NAN], 2).unwrap_err();
                assert!(matches!(error, DataError::NotFinite { row: 1, column: 1, .. }), "{error:?}");
                assert!(matches!(<$family>::new(0.0, vec![]), Err(ParameterError::Length { .. })));
                assert!(<$family>::new(f64::NAN, vec![1.0]).is_err());
                assert!(<$family>::new(0.0, vec![f64::INFINITY]).is_err());
            }

            #[test]
            fn estimates_without_an_answer_are_errors() {
                let start = <$family>::new(0.0, vec![0.0, 0.0]).unwrap();
                let estimate = |x: &[f64], y: &[bool]| {
                    let y = y.iter().map(|y| <$response>::from(*y)).collect();
                    let sample = WeightedSample::new(Data { x: x.to_vec(), columns: 2, y }, vec![1.0; x.len() / 2]);
                    start.maximize(&sample.stats(&start), &mut start.clone())
                };
                let x = [0.3, 1.0, -0.4, 0.7, 1.2, -0.2, 0.9, 0.1, -1.0, 0.5];
                let y = [true, false, true, true, false];
                estimate(&x, &y).unwrap();
                let nothing = estimate(&x, &[false; 5]);
                assert!(matches!(nothing, Err(EstimateError::Boundary { .. })), "{nothing:?}");
                let collinear: Vec<f64> = x.iter().step_by(2).flat_map(|x| [*x, 2.0 - x]).collect();
                let result = estimate(&collinear, &y);
                assert!(matches!(result, Err(EstimateError::Singular { column: 1, .. })), "{result:?}");
                let constant: Vec<f64> = x.iter().step_by(2).flat_map(|x| [0.3, *x]).collect();
                let result = estimate(&constant, &y);
                assert!(matches!(result, Err(EstimateError::Singular { column: 0, .. })), "{result:?}");
                let empty = start.maximize(&start.new_stats(), &mut start.clone());
                assert!(matches!(empty, Err(EstimateError::NoWeight { .. })), "{empty:?}");
            }

            #[cfg(feature = "serde")]
            #[test]
            fn a_file_cannot_build_what_the_constructor_refuses() {
                let centered = <$family>::centered(vec![0.1, 0.2], 0.3, vec![1.0, 2.0]).unwrap();
                let homogeneous = <$family>::without_intercept(vec![1.0]).unwrap().with_offset();
                for regression in [centered, homogeneous] {
                    let text = serde_json::to_string(&regression).unwrap();
                    assert_eq!(serde_json::from_str::<$family>(&text).unwrap(), regression);
                    let text = text.replace("\"coefficients\":[1.0", "\"coefficients\":[1e999");
                    assert!(serde_json::from_str::<$family>(&text).is_err());
                }
            }
        }
    };
}
laws!(logistic, LogisticRegression, bool, any::<bool>(), vec![true, false]);
laws!(
    poisson,
    PoissonRegression,
    u64,
    prop_oneof![Just(0), 1..4_u64, 10..50_u64],
    vec![u64::MAX, 0]
);

proptest! {
    #[test]
    fn probabilities_are_those_of_the_predicted_odds(
        regression in logistic::regression(false), x in vec(-20.0..20.0_f64, 2)
    ) {
        let eta = regression.linear_predictor(&x);
        let plain = |eta: f64| 1.0 / (1.0 + (-eta).exp());
        assert_close(regression.predict(&x), plain(eta), 1.0);
        // ln σ(η) = −ln(1 + e^{−η}), which for η ≪ 0 is η.
        let expected = |eta: f64| if eta < -30.0 { eta } else { -(-eta).exp().ln_1p() };
        assert_close(regression.log_probability(&x, true), expected(eta), 1.0 + eta.abs());
        assert_close(regression.log_probability(&x, false), expected(-eta), 1.0 + eta.abs());
    }

    #[test]
    fn counts_have_the_predicted_rate(
        regression in poisson::regression(false), x in vec(-2.0..2.0_f64, 2), y in 0..100_u64
    ) {
        let poisson = Poisson::new(regression.predict(&x)).unwrap();
        let terms = 1e3 + poisson.rate();
        assert_close(regression.log_probability(&x, y), poisson.log_probability(y), terms);
    }

    #[test]
    fn divergences_are_sums_over_responses(
        a in poisson::regression(false), b in poisson::regression(false), x in vec(-1.0..1.0_f64, 2)
    ) {
        let sum: f64 = (0..400)
            .map(|y| {
                let own = a.log_probability(&x, y);
                own.exp() * (own - b.log_probability(&x, y))
            })
            .sum();
        // Rates are below e³: nothing is left beyond 400. Terms of size 10³ at most cancel.
        prop_assert!((a.kl_divergence_given(&x, &b) - sum).abs() < 1e-9);
        prop_assert!(a.kl_divergence_given(&x, &a) == 0.0 && sum > -1e-9);
    }

    #[test]
    fn divergences_of_logistic_regressions_are_not_negative(
        a in logistic::regression(false), b in logistic::regression(false), x in vec(-9.0..9.0_f64, 2)
    ) {
        let (p, q) = (a.predict(&x), b.predict(&x));
        let expected = p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
        // ln(1 − p) loses what e^{−27} is of ε.
        prop_assert!((a.kl_divergence_given(&x, &b) - expected).abs() < 1e-8 * (1.0 + 30.0));
        prop_assert_eq!(a.kl_divergence_given(&x, &a), 0.0);
    }
}

const X: [f64; 16] =
    [0.5, 1.2, 1.5, -0.3, 2.5, 0.8, 3.0, -1.1, 4.2, 0.4, 5.1, -0.6, 6.3, 1.0, 7.7, 0.1];
const WEIGHTS: [f64; 8] = [1.0, 2.0, 0.5, 1.0, 1.5, 1.0, 0.25, 1.0];

#[track_caller]
fn assert_golden(found: (f64, &[f64], f64), expected: [f64; 4]) {
    let found = [found.0, found.1[0], found.1[1], found.2];
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-10 * (1.0 + b.abs()), "{found:?} {expected:?}");
    }
}

/// statsmodels 0.15.0 with numpy 2.4: `sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial(),
/// freq_weights=w).fit(tol=1e-14, maxiter=200)`, `params` and `llf`.
#[test]
fn logistic_regression_agrees_with_statsmodels() {
    let y = [false, true, true, false, true, false, false, true];
    let sample = WeightedSample::new(
        logistic::Data { x: X.to_vec(), columns: 2, y: y.to_vec() },
        WEIGHTS.to_vec(),
    );
    let fit = logistic::converged(&LogisticRegression::new(0.0, vec![0.0; 2]).unwrap(), &sample);
    let log_likelihood = sample.log_likelihood(&fit).0;
    let expected = [
        -0.008_042_425_930_053_942,
        0.128_248_258_740_231_44,
        0.419_945_082_106_548_7,
        -5.394_499_004_159_51,
    ];
    assert_golden((fit.intercept(), fit.coefficients(), log_likelihood), expected);
    let fit =
        logistic::converged(&LogisticRegression::without_intercept(vec![0.0; 2]).unwrap(), &sample);
    let expected = [0.0, 0.126_523_787_175_805_54, 0.419_186_130_575_495_9, 0.0];
    assert_golden((0.0, fit.coefficients(), 0.0), expected);
}

/// The same with `family=sm.families.Poisson()`, the second with `exposure`.
#[test]
fn poisson_regression_agrees_with_statsmodels() {
    let y = vec![2, 1, 4, 0, 7, 3, 12, 9];
    let sample = WeightedSample::new(
        poisson::Data { x: X.to_vec(), columns: 2, y: y.clone() },
        WEIGHTS.to_vec(),
    );
    let start = PoissonRegression::new(0.0, vec![0.0; 2]).unwrap();
    let fit = poisson::converged(&start, &sample);
    let expected = [
        -0.096_686_163_545_896_76,
        0.303_217_182_480_791_55,
        0.888_687_560_240_841_1,
        -13.101_840_751_424_627,
    ];
    assert_golden((fit.intercept(), fit.coefficients(), sample.log_likelihood(&fit).0), expected);
    let exposure: [f64; 8] = [1.0, 2.0, 1.0, 3.0, 2.0, 1.0, 4.0, 2.0];
    let x = X.chunks_exact(2).zip(exposure).flat_map(|(x, e)| [x[0], x[1], e.ln()]).collect();
    let sample = WeightedSample::new(poisson::Data { x, columns: 3, y }, WEIGHTS.to_vec());
    let fit = poisson::converged(&start.with_offset(), &sample);
    let expected = [
        -0.354_160_648_824_560_2,
        0.223_725_367_342_936_58,
        0.779_994_490_737_38,
        -15.653_480_597_075_728,
    ];
    assert_golden((fit.intercept(), fit.coefficients(), sample.log_likelihood(&fit).0), expected);
}

#[test]
fn separable_classes_are_recognized() {
    // Separated by 66 x₀ + 170 x₁ = 270, as statsmodels finds after 30 iterations.
    let y = [false, false, true, false, true, false, true, true];
    let sample = WeightedSample::new(
        logistic::Data { x: X.to_vec(), columns: 2, y: y.to_vec() },
        vec![1.0; 8],
    );
    let mut here = LogisticRegression::new(0.0, vec![0.0; 2]).unwrap();
    let steps = (0..20).find_map(|step| {
        let stats = sample.stats(&here);
        here.clone().maximize(&stats, &mut here).err().map(|error| (step, error))
    });
    let (step, error) = steps.expect("there is no maximum");
    assert!(matches!(error, EstimateError::Boundary { .. }), "{error:?} at step {step}");
    // All true, from coefficients that say the opposite.
    let all = WeightedSample::new(
        logistic::Data { x: X.to_vec(), columns: 2, y: vec![true; 8] },
        vec![1.0; 8],
    );
    let mut here = LogisticRegression::new(-3.0, vec![0.0; 2]).unwrap();
    let error = (0..20).find_map(|_| {
        let stats = all.stats(&here);
        here.clone().maximize(&stats, &mut here).err()
    });
    assert!(matches!(error, Some(EstimateError::Boundary { .. })), "{error:?}");
}

#[test]
fn bad_starts_of_poisson_regressions_come_back() {
    let y = vec![2, 1, 4, 0, 7, 3, 12, 9];
    let sample =
        WeightedSample::new(poisson::Data { x: X.to_vec(), columns: 2, y }, WEIGHTS.to_vec());
    let best = poisson::converged(&PoissonRegression::new(0.0, vec![0.0; 2]).unwrap(), &sample);
    for (value, slope) in [(-300.0, 0.0), (30.0, 0.0), (0.0, 3.0), (0.0, -3.0), (5.0, 3.0)] {
        let mut here = PoissonRegression::new(value, vec![slope, 0.0]).unwrap();
        let mut before = sample.log_likelihood(&here).0;
        for _ in 0..200 {
            let stats = sample.stats(&here);
            here.clone().maximize(&stats, &mut here).unwrap();
            let (after, size) = sample.log_likelihood(&here);
            assert!(after >= before - 1e-12 * size, "{before} → {after}");
            before = after;
        }
        assert!(
            (here.coefficients()[0] - best.coefficients()[0]).abs() < 1e-9,
            "{value} {slope}: {here:?}"
        );
    }
}

#[test]
fn draws_are_fitted_by_the_driver() {
    let mut rng = rng(7);
    let x: Vec<f64> = (0..2000).map(|_| rng.random_range(-1.0..1.0) + 1e4).collect();
    let truth = PoissonRegression::centered(vec![1e4], 1.0, vec![0.8]).unwrap();
    let y: Vec<u64> = x.iter().map(|x| truth.sample_given(&[*x], &mut rng)).collect();
    let start = PoissonRegression::centered(vec![1e4], 0.0, vec![0.0]).unwrap();
    let fit = fit_single(start, (Rows::new(&x, 2000, 1), &y[..])).unwrap();
    assert!(fit.report.largest_fall <= 0.0, "{}", fit.report.largest_fall);
    // The standard error of the slope is 1/√(2000 · 2.7/3) = 0.023.
    assert!((fit.params.coefficients()[0] - 0.8).abs() < 0.12, "{:?}", fit.params);

    let truth = LogisticRegression::centered(vec![1e4], 0.5, vec![-1.5]).unwrap();
    let y: Vec<bool> = x.iter().map(|x| truth.sample_given(&[*x], &mut rng)).collect();
    let start = LogisticRegression::centered(vec![1e4], 0.0, vec![0.0]).unwrap();
    let fit = fit_single(start, (Rows::new(&x, 2000, 1), &y[..])).unwrap();
    // 1/√(2000 · 0.2/3) = 0.087.
    assert!((fit.params.coefficients()[0] + 1.5).abs() < 0.45, "{:?}", fit.params);
}

#[test]
fn parameters_have_names() {
    let mut names = Vec::new();
    let regression = LogisticRegression::centered(vec![2.0], 1.0, vec![3.0]).unwrap();
    regression.for_each_parameter(&mut |name, value, _| names.push((name.to_owned(), value)));
    assert_eq!(names, [("intercept".to_owned(), -5.0), ("coefficient[0]".to_owned(), 3.0)]);
}
