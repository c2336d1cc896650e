//! Regressions with Gaussian priors of their coefficients: the equations of the optimum, the way there, and the limits of
//! strong and weak priors.

use elbo_core::{
    EstimateError, Estimator, Family, Rows, Settings, SingleModel, Weighted, fit, fit_single,
};
use elbo_dist::{LogisticRegression, PoissonRegression, Ridge};
use proptest::{collection::vec, prelude::*};

/// Covariates in two columns, and responses.
#[derive(Clone, Debug)]
struct Data {
    x: Vec<f64>,
    y: Vec<bool>,
    weights: Vec<f64>,
}

impl Data {
    fn rows(&self) -> Rows<'_> {
        Rows::new(&self.x, self.y.len(), 2)
    }

    fn counts(&self) -> Vec<u64> {
        (0..).zip(&self.y).map(|(i, y)| if *y { 1 + i % 4 } else { 0 }).collect()
    }

    fn cells(&self) -> impl Iterator<Item = (&[f64], f64)> {
        self.x.chunks_exact(2).zip(self.weights.iter().copied())
    }
}

/// Both responses occur; classes may be separated, and columns collinear.
fn data() -> impl Strategy<Value = Data> {
    (2..30_usize).prop_flat_map(|n| {
        let cells = (vec(-2.0..3.0_f64, 2 * n), vec(any::<bool>(), n), vec(0.1..2.0_f64, n));
        (cells, any::<bool>()).prop_map(|((mut x, mut y, weights), collinear)| {
            (y[0], y[1]) = (false, true);
            if collinear {
                x.chunks_exact_mut(2).for_each(|row| row[1] = 1.0 - row[0]);
            }
            Data { x, y, weights }
        })
    })
}

fn ridge() -> impl Strategy<Value = Ridge> {
    (vec(-1.0..1.0_f64, 2), vec(-3.0..4.0_f64, 2)).prop_map(|(means, logs)| {
        Ridge::about(means, logs.iter().map(|log| log.exp()).collect()).unwrap()
    })
}

macro_rules! laws {
    ($name:ident, $family:ty, $responses:expr) => {
        mod $name {
            use super::*;

            fn fitted(ridge: &Ridge, start: &$family, data: &Data) -> $family {
                let responses = $responses(data);
                let weighted = Weighted::new((data.rows(), &responses[..]), &data.weights).unwrap();
                let model = SingleModel::new(ridge.clone());
                let start = model.start(start.clone(), 1.0).unwrap();
                let settings = Settings::default();
                let fit = fit(&model, weighted, start, &settings, &()).unwrap();
                assert!(fit.report.stopped.is_converged(), "{:?}", fit.report.stopped);
                fit.params.point().clone()
            }

            fn objective(ridge: &Ridge, point: &$family, data: &Data) -> f64 {
                let mut scores = vec![f64::NAN; data.y.len()];
                point.log_density_into((data.rows(), &$responses(data)[..]), &mut scores);
                let sum: f64 = scores.iter().zip(&data.weights).map(|(s, w)| s * w).sum();
                sum + ridge.log_prior(point.coefficients())
            }

            fn step(ridge: &Ridge, here: &$family, data: &Data) -> Result<$family, EstimateError> {
                let mut stats = here.new_stats();
                here.observe(&mut stats, (data.rows(), &$responses(data)[..]), &data.weights);
                let current = vec![here.clone()];
                let mut next = current.clone();
                ridge.estimate(&current, &[stats], &mut next)?;
                Ok(next.swap_remove(0))
            }

            proptest! {
                #[test]
                fn steps_never_lower_the_objective(
                    ridge in ridge(), data in data(), value in -4.0..4.0_f64,
                    slopes in vec(-4.0..4.0_f64, 2)
                ) {
                    let mut here = <$family>::new(value, slopes).unwrap();
                    let mut before = objective(&ridge, &here, &data);
                    for _ in 0..12 {
                        here = step(&ridge, &here, &data).unwrap();
                        let after = objective(&ridge, &here, &data);
                        prop_assert!(after >= before - 1e-12 * (1e3 + before.abs()), "{} {}", before, after);
                        before = after;
                    }
                }

                /// Residuals times covariates are what the prior pulls with; the intercept is free.
                #[test]
                fn the_gradient_is_zero_in_the_end(ridge in ridge(), data in data(), intercept in any::<bool>()) {
                    let mut here = if intercept {
                        <$family>::new(0.0, vec![0.0; 2]).unwrap()
                    } else {
                        <$family>::without_intercept(vec![0.0; 2]).unwrap()
                    };
                    for _ in 0..60 {
                        here = step(&ridge, &here, &data).unwrap();
                    }
                    let mut gradient = [0.0; 3];
                    let mut size = 1.0;
                    let responses = $responses(&data);
                    for ((x, w), y) in data.cells().zip(responses) {
                        let residual = w * (f64::from(u32::try_from(u64::from(y)).unwrap()) - here.predict(x));
                        gradient[0] += residual * f64::from(u8::from(intercept));
                        gradient[1] += residual * x[0];
                        gradient[2] += residual * x[1];
                        size += residual.abs();
                    }
                    for (a, b) in here.coefficients().iter().enumerate() {
                        let pull = ridge.precisions()[a] * (b - ridge.means()[a]);
                        gradient[a + 1] -= pull;
                        size += pull.abs();
                    }
                    prop_assert!(gradient.iter().all(|g| g.abs() <= 1e-11 * size), "{:?} of {}", gradient, size);
                }

                #[test]
                fn a_strong_prior_is_obeyed(data in data(), means in vec(-1.0..1.0_f64, 2)) {
                    let ridge = Ridge::about(means.clone(), vec![1e9; 2]).unwrap();
                    let fit = fitted(&ridge, &<$family>::new(0.1, vec![0.0; 2]).unwrap(), &data);
                    // Pulls of up to some thousand, over the precision.
                    for (b, mean) in fit.coefficients().iter().zip(means) {
                        prop_assert!((b - mean).abs() <= 1e-5, "{} is not {}", b, mean);
                    }
                }
            }

            #[test]
            fn a_weak_prior_leaves_the_likelihood() {
                let x = [[0.3, 1.0], [-0.4, 0.7], [1.2, -0.2], [-1.0, -0.5]];
                let x = x.iter().chain(&x).flatten().copied().collect();
                let y = [[true; 4], [false; 4]].concat();
                let data = Data { x, y, weights: vec![1.0, 0.5, 2.0, 1.5, 0.3, 1.0, 1.0, 2.0] };
                let start = <$family>::new(0.0, vec![0.0; 2]).unwrap();
                let responses = $responses(&data);
                let weighted = Weighted::new((data.rows(), &responses[..]), &data.weights).unwrap();
                let free = fit_single(start.clone(), weighted).unwrap().params;
                let held = fitted(&Ridge::new(2, 1e-9).unwrap(), &start, &data);
                for (a, b) in free.coefficients().iter().zip(held.coefficients()) {
                    assert!((a - b).abs() < 1e-5, "{a} is not {b}");
                }
            }

            #[test]
            fn an_intercept_needs_events_and_a_prior_its_coefficients() {
                let data = Data { x: vec![0.3, 1.0, -0.4, 0.7], y: vec![false; 2], weights: vec![1.0; 2] };
                let start = <$family>::new(0.0, vec![0.0; 2]).unwrap();
                let ridge = Ridge::new(2, 1.0).unwrap();
                let error = step(&ridge, &start, &data).unwrap_err();
                assert!(matches!(error, EstimateError::Boundary { .. }), "{error:?}");
                let homogeneous = <$family>::without_intercept(vec![0.0; 2]).unwrap();
                let mut here = step(&ridge, &homogeneous, &data).unwrap();
                for _ in 0..20 {
                    here = step(&ridge, &here, &data).unwrap();
                }
                assert!(here.coefficients().iter().all(|b| b.is_finite() && b.abs() < 10.0));
                let error = SingleModel::new(Ridge::new(3, 1.0).unwrap()).start(start, 1.0).unwrap_err();
                assert!(matches!(error, EstimateError::Unsupported { .. }), "{error:?}");
            }
        }
    };
}

laws!(logistic, LogisticRegression, |data: &Data| data.y.clone());
laws!(poisson, PoissonRegression, |data: &Data| data.counts());

/// All successes leave the intercept to run off, whatever holds the coefficients.
#[test]
fn successes_alone_have_no_intercept() {
    let here = LogisticRegression::new(0.3, vec![0.2]).unwrap();
    let mut stats = here.new_stats();
    here.observe(&mut stats, (Rows::new(&[1.0, 2.0, 3.0], 3, 1), &[true; 3][..]), &[0.1, 0.7, 0.2]);
    let current = vec![here];
    let ridge = Ridge::new(1, 1.0).unwrap();
    let error = ridge.estimate(&current, &[stats], &mut current.clone());
    assert!(matches!(error, Err(EstimateError::Boundary { .. })), "{error:?}");
}

#[test]
fn the_prior_is_gaussian() {
    let ridge = Ridge::about(vec![1.0, -2.0], vec![4.0, 0.25]).unwrap();
    let normal = |mean: f64, std_dev: f64, x: f64| {
        use statrs::distribution::Continuous;
        statrs::distribution::Normal::new(mean, std_dev).unwrap().ln_pdf(x)
    };
    let expected = normal(1.0, 0.5, 0.3) + normal(-2.0, 2.0, 5.0);
    assert!((ridge.log_prior(&[0.3, 5.0]) - expected).abs() < 1e-13);
}

#[test]
fn bad_priors_are_refused() {
    assert!(Ridge::new(0, 1.0).is_err());
    assert!(Ridge::about(vec![0.0; 2], vec![1.0]).is_err());
    assert!(Ridge::about(vec![f64::NAN], vec![1.0]).is_err());
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Ridge::new(1, bad).is_err());
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let ridge = Ridge::about(vec![1.0], vec![2.0]).unwrap();
    let text = serde_json::to_string(&ridge).unwrap();
    assert_eq!(serde_json::from_str::<Ridge>(&text).unwrap(), ridge);
    assert!(serde_json::from_str::<Ridge>(&text.replace("2.0", "-2.0")).is_err());
}
