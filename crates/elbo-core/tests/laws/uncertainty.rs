//! Standard errors of models that are written by hand.

use elbo_core::{
    CompleteDataModel, EStepError, EstimateError, FlatModel, Inference, LatentModel, Range,
    Repairs, Settings, Tolerance, Uncertainty, UncertaintyError, fit,
    uncertainty::{hessian, oakes, sem},
};

use crate::coins::{Coins, packets};

/// The multinomial of Rao (1965) on 197 animals, cells `(½ + θ/4, (1−θ)/4, (1−θ)/4, θ/4)`, whose first cell is two: the
/// example of Dempster, Laird & Rubin (1977) and of Meng & Rubin (1991). `Data` are the four counts, each a unit.
struct Linkage;

impl LatentModel for Linkage {
    type Data<'a> = &'a [(usize, f64)];
    type Params = f64;
    type Stats = [f64; 2]; // animals that count for θ, and for 1 − θ
    type Scratch = ();

    fn new_stats(&self, _: &f64) -> [f64; 2] {
        [0.0; 2]
    }

    fn new_scratch(&self, _: &f64) {}

    fn e_step(
        &self,
        theta: &f64,
        cells: &[(usize, f64)],
        how: &mut Inference<'_>,
        stats: &mut [f64; 2],
        (): &mut (),
    ) -> Result<f64, EStepError> {
        let mut data_term = 0.0;
        for (cell, count) in cells {
            match cell {
                0 => {
                    let mut joint = [0.5_f64.ln(), (0.25 * theta).ln()];
                    data_term += count * how.assign(&mut joint).unwrap();
                    stats[0] += count * joint[1];
                }
                1 | 2 => {
                    data_term += count * (0.25 * (1.0 - theta)).ln();
                    stats[1] += count;
                }
                _ => {
                    data_term += count * (0.25 * theta).ln();
                    stats[0] += count;
                }
            }
        }
        Ok(data_term)
    }

    fn m_step(&self, _: &f64, s: &[f64; 2], next: &mut f64) -> Result<Repairs, EstimateError> {
        *next = s[0] / (s[0] + s[1]);
        Ok(Repairs::default())
    }

    fn free_parameters(&self, _: &f64) -> usize {
        1
    }
}

impl FlatModel for Linkage {
    fn write_unconstrained(&self, theta: &f64, out: &mut Vec<f64>) {
        out.push((theta / (1.0 - theta)).ln());
    }

    fn with_unconstrained(&self, _: &f64, from: &[f64]) -> f64 {
        1.0 / (1.0 + (-from[0]).exp())
    }

    fn for_each_parameter(&self, theta: &f64, see: &mut dyn FnMut(&str, f64, Range)) {
        see("theta", *theta, Range::Probability);
    }
}

impl CompleteDataModel for Linkage {
    fn expected_log_likelihood(&self, theta: &f64, s: &[f64; 2]) -> f64 {
        s[0] * theta.ln() + s[1] * (1.0 - theta).ln()
    }
}

fn to_the_bottom() -> Settings {
    Settings { tolerance: Tolerance::Gap(1e-15), ..Settings::default() }
}

/// `|a − b| ≤ 10⁻⁵` of the diagonal: the goal for differences.
#[track_caller]
fn assert_same_information(a: &[f64], b: &[f64]) {
    let r = a.len().isqrt();
    for (at, (x, y)) in a.iter().zip(b).enumerate() {
        let size = (b[at / r * (r + 1)] * b[at % r * (r + 1)]).sqrt();
        assert!((x - y).abs() <= 1e-5 * size, "{a:?}\n{b:?}");
    }
}

#[test]
fn the_standard_error_of_the_linkage_example_is_the_published_one() {
    let cells = [(0, 125.0), (1, 18.0), (2, 20.0), (3, 34.0)];
    let found = fit(&Linkage, &cells[..], 0.5, &to_the_bottom(), &()).unwrap();
    let theta = found.params;
    assert!((theta - 0.626_821_5).abs() < 1e-7, "{theta}");
    // −ℓ″ by hand
    let information =
        125.0 / (2.0 + theta).powi(2) + 38.0 / (1.0 - theta).powi(2) + 34.0 / theta.powi(2);
    let all = [
        hessian(&Linkage, &cells[..], &theta),
        oakes(&Linkage, &cells[..], &theta),
        sem(&Linkage, &cells[..], &theta),
    ];
    for found in all {
        let found = found.unwrap();
        let error = found.parameters[0].std_error.unwrap();
        assert!((error * information.sqrt() - 1.0).abs() < 1e-6, "{:?} {error}", found.method);
        assert!((error - 0.0515).abs() < 5e-5); // published with four decimals
        if let Some(fraction) = found.missing_fraction {
            assert!((fraction - 0.1328).abs() < 1e-4, "{fraction}"); // the rate of EM, as published
        }
    }
}

/// All routes to the same information.
fn routes(
    model: &Coins,
    data: &[f64],
    coins: &Vec<f64>,
) -> [Result<Uncertainty, UncertaintyError>; 3] {
    [hessian(model, data, coins), oakes(model, data, coins), sem(model, data, coins)]
}

#[test]
fn one_coin_has_the_standard_error_of_a_binomial() {
    let (model, data) = (Coins::new(10.0), packets(300));
    let p = data.iter().sum::<f64>() / 3000.0;
    for found in routes(&model, &data, &vec![p]) {
        let found = found.unwrap();
        let error = found.parameters[0].std_error.unwrap();
        assert!((error / (p * (1.0 - p) / 3000.0).sqrt() - 1.0).abs() < 1e-7);
        assert!(found.missing_fraction.unwrap_or(0.0).abs() < 1e-6);
        let [low, high] = found.parameters[0].interval(0.95).unwrap();
        let half = 1.959_963_984_540_054 / (p * (1.0 - p) * 3000.0).sqrt();
        let odds = |p: f64| (p / (1.0 - p)).ln();
        assert!(
            (odds(low) - (odds(p) - half)).abs() < 1e-6
                && (odds(high) - odds(p) - half).abs() < 1e-6
        );
    }
}

#[test]
fn all_routes_meet_for_two_coins() {
    let (model, data) = (Coins::new(10.0), packets(500));
    let found = fit(&model, &data[..], vec![0.3, 0.6], &to_the_bottom(), &()).unwrap();
    let [hessian, oakes, sem] = routes(&model, &data, &found.params).map(Result::unwrap);
    assert_same_information(oakes.information(), hessian.information());
    assert_same_information(sem.information(), hessian.information());
    assert!(oakes.asymmetry < 1e-6 && sem.asymmetry < 1e-6);
    assert!(oakes.distance < 1e-5, "{}", oakes.distance);
    // The rate of EM is the largest fraction of missing information.
    let plain = Settings {
        acceleration: elbo_core::Acceleration::None,
        tolerance: Tolerance::Change(0.0),
        max_iterations: 30,
        ..Settings::default()
    };
    let trace = fit(&model, &data[..], vec![0.3, 0.6], &plain, &()).unwrap().report.trace;
    let gain = |t: usize| trace[t + 1] - trace[t];
    let mut rate = 0.0;
    for t in 1..20 {
        if gain(t + 1) > 1e-9 {
            rate = (gain(t + 1) / gain(t)).sqrt();
        }
    }
    assert!(
        (rate - oakes.missing_fraction.unwrap()).abs() < 0.01,
        "{rate} {:?}",
        oakes.missing_fraction
    );
}

#[test]
fn covariances_of_parameters_follow_from_those_of_coordinates() {
    let (model, data) = (Coins::new(10.0), packets(500));
    let found = fit(&model, &data[..], vec![0.3, 0.6], &to_the_bottom(), &()).unwrap();
    let found = oakes(&model, &data[..], &found.params).unwrap();
    let slopes: Vec<f64> = found.parameters.iter().map(|p| p.value * (1.0 - p.value)).collect();
    for (at, value) in found.parameter_covariance().into_iter().enumerate() {
        let wanted = slopes[at / 2] * found.covariance()[at] * slopes[at % 2];
        assert!((value - wanted).abs() <= 1e-8 * wanted.abs());
    }
    let errors = found.parameters.iter().map(|p| p.std_error.unwrap());
    for (i, error) in errors.enumerate() {
        assert!((error * error / found.parameter_covariance()[3 * i] - 1.0).abs() < 1e-12);
    }
}

#[test]
fn what_the_data_do_not_identify_is_named() {
    let (model, data) = (Coins::new(1.0), packets(100));
    let data: Vec<f64> = data.iter().map(|x| f64::from(u8::from(*x > 4.5))).collect();
    // Single tosses tell the sum of two coins' chances, nothing else.
    let p = data.iter().sum::<f64>() / 100.0;
    for found in [oakes(&model, &data[..], &vec![p, p]), sem(&model, &data[..], &vec![p, p])] {
        let error = found.unwrap_err();
        assert!(
            matches!(&error, UncertaintyError::NotIdentified { parameter, .. } if parameter.starts_with("coin")),
            "{error}"
        );
    }
    // The same coin twice, in packets that show two: a saddle.
    let (model, data) = (Coins::new(10.0), packets(500));
    let p = data.iter().sum::<f64>() / 5000.0;
    for found in routes(&model, &data, &vec![p, p]) {
        let error = found.unwrap_err();
        assert!(
            matches!(error, UncertaintyError::NotMaximum { curvature, .. } if curvature < -0.1),
            "{error}"
        );
    }
}

#[test]
fn a_point_off_the_maximum_is_refused() {
    let (model, data) = (Coins::new(10.0), packets(500));
    let fitted = fit(&model, &data[..], vec![0.3, 0.6], &to_the_bottom(), &()).unwrap().params;
    let error = oakes(&model, &data[..], &fitted).unwrap().parameters[1].std_error.unwrap();
    for (by, ends) in [(0.1, true), (2.0, false)] {
        let moved = vec![fitted[0], fitted[1] + by * error];
        for found in routes(&model, &data, &moved) {
            match found {
                Ok(found) => assert!(ends && found.distance > 0.05 && found.distance < 0.2),
                Err(error) => {
                    let UncertaintyError::NotStationary { distance, parameter } = error else {
                        panic!("{error}")
                    };
                    assert!(!ends && distance > 1.0 && parameter == "coin 1");
                }
            }
        }
    }
}

#[test]
fn a_coin_without_tails_is_held() {
    let (model, data) = (Coins::new(10.0), [10.0, 10.0, 10.0, 3.0, 2.0, 4.0, 3.0, 1.0]);
    let check = |found: Uncertainty| {
        assert_eq!(found.held, ["coin 1"]);
        assert_eq!(found.parameters[1].std_error, None);
        assert_eq!(found.parameters[1].interval(0.95), None);
        let error = found.parameters[0].std_error.unwrap();
        assert!((error / (0.26_f64 * 0.74 / 50.0).sqrt() - 1.0).abs() < 1e-4, "{error}");
    };
    // Rounding leaves a trace of tails in the statistics, which a coin at 1 exactly calls impossible.
    check(hessian(&model, &data[..], &vec![0.26, 1.0]).unwrap());
    let error = oakes(&model, &data[..], &vec![0.26, 1.0]);
    assert!(matches!(error, Err(UncertaintyError::NotFinite { .. })) || error.is_ok());
    for found in routes(&model, &data, &vec![0.26, 1.0 - 1e-14]) {
        check(found.unwrap());
    }
}

#[test]
fn nothing_is_left_where_everything_is_held() {
    for found in routes(&Coins::new(10.0), &[10.0; 8], &vec![1.0 - 1e-14]) {
        let found = found.unwrap();
        assert_eq!((found.dim(), &found.held[..]), (0, &["coin 0".to_owned()][..]));
        assert_eq!(found.parameters[0].std_error, None);
        assert_eq!(found.parameter_covariance(), [0.0]);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (model, data) = (Coins::new(10.0), packets(5000));
    let fitted = fit(&model, &data[..], vec![0.3, 0.6], &to_the_bottom(), &()).unwrap().params;
    let on = |threads| {
        crate::on_threads(threads, || {
            routes(&model, &data, &fitted).map(|found| found.unwrap().covariance().to_vec())
        })
    };
    assert_eq!(on(1), on(3));
}
