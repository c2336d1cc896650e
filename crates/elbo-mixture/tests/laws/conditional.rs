//! Marginals and conditionals of Gaussian mixtures.

use elbo_laws::assert_close;
use elbo_mixture::{CovarianceStructure, Mixture, MixtureError, MultivariateGaussian, Rows};
use proptest::{collection::vec, prelude::*};

use CovarianceStructure::{VVI, VVV};

const D: usize = 3;

/// Two or three components in three dimensions.
fn mixture(structure: CovarianceStructure) -> impl Strategy<Value = Mixture<MultivariateGaussian>> {
    let component = (vec(-3.0..3.0_f64, D), vec(-1.0..1.0_f64, D * D), 0.1..1.0_f64);
    vec((component, 0.1..1.0_f64), 2..4).prop_map(move |parts| {
        let total: f64 = parts.iter().map(|(_, weight)| weight).sum();
        let weights = parts.iter().map(|(_, weight)| weight / total).collect();
        let components = parts.iter().map(|((mean, a, ridge), _)| {
            let entry = |i: usize, j: usize| {
                let product: f64 = (0..D).map(|c| a[i * D + c] * a[j * D + c]).sum();
                let diagonal = if i == j { product + ridge } else { product };
                if structure.is_diagonal() && i != j { 0.0 } else { diagonal }
            };
            let covariance: Vec<f64> = (0..D * D).map(|p| entry(p / D, p % D)).collect();
            MultivariateGaussian::new(structure, mean.clone(), &covariance).unwrap()
        });
        Mixture::new(weights, components.collect()).unwrap()
    })
}

fn log_density(mixture: &Mixture<MultivariateGaussian>, x: &[f64]) -> f64 {
    let mut out = [f64::NAN];
    mixture.log_density_into(Rows::new(x, 1, x.len()), &mut out).unwrap();
    out[0]
}

/// The columns that are not given, ascending.
fn left(given: &[usize]) -> Vec<usize> {
    (0..D).filter(|c| !given.contains(c)).collect()
}

fn given() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::select(vec![vec![0], vec![2], vec![2, 0], vec![1, 2], vec![0, 1]])
}

proptest! {
    #[test]
    fn the_joint_density_is_marginal_times_conditional(
        full in mixture(VVV), diagonal in mixture(VVI), given in given(), x in vec(-4.0..4.0_f64, D)
    ) {
        for mixture in [full, diagonal] {
            let values: Vec<f64> = given.iter().map(|c| x[*c]).collect();
            let rest: Vec<f64> = left(&given).iter().map(|c| x[*c]).collect();
            let marginal = log_density(&mixture.marginal(&given).unwrap(), &values);
            let conditional = log_density(&mixture.conditional(&given, &values).unwrap(), &rest);
            let joint = log_density(&mixture, &x);
            // Whitened distances of up to 7²·3/0.1, once for each factor.
            assert_close(marginal + conditional, joint, 1e4);
        }
    }

    #[test]
    fn the_regression_function_is_the_mean_of_the_conditional(
        full in mixture(VVV), diagonal in mixture(VVI), given in given(),
        x in vec(-4.0..4.0_f64, 300 * 2)
    ) {
        for mixture in [full, diagonal] {
            let (p, q) = (given.len(), D - given.len());
            let n = x.len() / p;
            let means = mixture.conditional_means(&given, Rows::new(&x, n, p)).unwrap();
            prop_assert_eq!(means.len(), n * q);
            for i in [0, 1, 255, 256, n - 1] {
                let conditional = mixture.conditional(&given, &x[i * p..][..p]).unwrap();
                for (a, b) in conditional.mean().iter().zip(&means[i * q..]) {
                    // Slopes of up to 3/0.1, times 7; shares that have lost 10⁴ ulps of their logarithm.
                    assert_close(*a, *b, 1e6);
                }
            }
        }
    }
}

/// The moments of two points with a spread.
#[test]
fn moments_are_those_of_the_mixture() {
    let a = MultivariateGaussian::new(VVV, vec![0.0, 1.0], &[1.0, 0.5, 0.5, 2.0]).unwrap();
    let b = MultivariateGaussian::new(VVV, vec![4.0, -1.0], &[3.0, 0.0, 0.0, 1.0]).unwrap();
    let mixture = Mixture::new(vec![0.75, 0.25], vec![a, b]).unwrap();
    assert_eq!(mixture.mean(), [1.0, 0.5]);
    // Within: [1.5, .375; .375, 1.75]; between: 3/16 of (4, −2)(4, −2)ᵀ.
    assert_eq!(mixture.covariance(), [1.5 + 3.0, 0.375 - 1.5, 0.375 - 1.5, 1.75 + 0.75]);
}

#[test]
fn what_cannot_be_conditioned_on_is_told() {
    let a = MultivariateGaussian::standard(VVV, vec![0.0; 2]);
    let mixture = Mixture::new(vec![1.0], vec![a]).unwrap();
    let error = mixture.conditional(&[0], &[f64::NAN]).unwrap_err();
    assert!(matches!(error, MixtureError::Component { component: 0, .. }), "{error}");
    let error = mixture.conditional(&[0], &[1e200]).unwrap_err();
    assert!(matches!(error, MixtureError::EStep(_)), "{error}");
    let error = mixture.conditional_means(&[1], Rows::new(&[0.0, f64::NAN], 2, 1)).unwrap_err();
    assert!(error.to_string().contains("row 1"), "{error}");
}
