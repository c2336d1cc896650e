//! One EM step against the plain formulas: nothing that matters is skipped.

use elbo_mixture::{
    CovarianceStructure, GaussianMixture, Mixture, MultivariateGaussian, Settings, Tolerance,
};

use crate::support::shipped;

/// Weights, means and covariances of two components in the plane after one step, by double loops over all rows: every
/// responsibility counts, however small.
#[test]
fn one_step_agrees_with_the_plain_formulas_down_to_rounding() {
    let faithful = shipped("faithful");
    // Far apart and very unequal: most responsibilities of the light component are between 1e-30 and 1e-3.
    let (weights, means, variances) = ([0.999, 0.001], [[4.3, 80.0], [2.0, 54.0]], [0.2, 30.0]);
    let component = |mean: [f64; 2]| {
        let covariance = [variances[0], 0.0, 0.0, variances[1]];
        MultivariateGaussian::new(CovarianceStructure::VVV, mean.to_vec(), &covariance).unwrap()
    };
    let start = Mixture::new(weights.to_vec(), means.map(component).to_vec()).unwrap();
    let settings =
        Settings { max_iterations: 1, tolerance: Tolerance::Gap(0.0), ..Settings::default() };
    let stepped =
        GaussianMixture::new(2).start_at(start).settings(settings).fit(faithful.rows().into());
    let mixture = stepped.unwrap().mixture;

    let rows: Vec<&[f64]> = faithful.values.chunks_exact(2).collect();
    let joint = |j: usize, x: &[f64]| {
        let z: f64 = (0..2).map(|c| (x[c] - means[j][c]).powi(2) / variances[c]).sum();
        weights[j] * (-0.5 * z).exp()
    };
    for j in 0..2 {
        let shares: Vec<f64> =
            rows.iter().map(|x| joint(j, x) / (joint(0, x) + joint(1, x))).collect();
        let total: f64 = shares.iter().sum();
        let mean: Vec<f64> = (0..2)
            .map(|c| rows.iter().zip(&shares).map(|(x, g)| g * x[c]).sum::<f64>() / total)
            .collect();
        // Exponents of up to some hundreds carry as many roundings into each share.
        let bound = 1e-12;
        let weight = total / rows.len() as f64;
        assert!((mixture.weights()[j] - weight).abs() < bound * weight, "weight {j}");
        let ours = &mixture.components()[j];
        for c in 0..2 {
            assert!((ours.mean()[c] - mean[c]).abs() < bound * mean[c], "mean {j} {c}");
            for e in 0..2 {
                let products = rows.iter().zip(&shares);
                let moment: f64 =
                    products.map(|(x, g)| g * (x[c] - mean[c]) * (x[e] - mean[e])).sum();
                let (covariance, size) =
                    (moment / total, (ours.variances()[c] * ours.variances()[e]).sqrt());
                let error = (ours.covariance()[2 * c + e] - covariance).abs();
                assert!(error < bound * size, "covariance {j} {c} {e}: {error}");
            }
        }
    }
}
