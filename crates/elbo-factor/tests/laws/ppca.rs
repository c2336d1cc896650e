//! Probabilistic PCA: the closed form, and EM where values are missing.

use elbo_core::{Draw, Family};
use elbo_dist::fit_single;
use elbo_factor::{ProbabilisticPca, Rows, Sample, log_evidences, log_likelihood};

use crate::analysis::simulated;
use crate::support::{assert_close, iris, matrix, product_transposed, reference};

fn iris_sample() -> Sample {
    let iris = iris();
    Sample::of_rows(Rows::new(&iris, 150, 4).into()).unwrap()
}

/// numpy 2.4.6, by the closed form on the eigenvalues of the covariance divided by `n`.
#[test]
fn the_closed_form_agrees_with_its_reference() {
    let sample = iris_sample();
    let q1 = ProbabilisticPca::of_sample(&sample, 1).unwrap();
    let found = log_likelihood(q1.as_analyzer(), &sample);
    assert!((found - -470.669_458_321_016_1).abs() < 1e-10, "{found}");
    let Some(all) = reference("ref_fa_ppca.json") else { return };
    for (key, q) in [("iris_ppca_q1", 1), ("iris_ppca_q2", 2)] {
        let expected = &all[key];
        let pca = ProbabilisticPca::of_sample(&sample, q).unwrap();
        let found = log_likelihood(pca.as_analyzer(), &sample);
        assert!((found - expected["loglik"].as_f64().unwrap()).abs() < 1e-10, "{key}: {found}");
        assert!((pca.noise_variance() - expected["sigma2"].as_f64().unwrap()).abs() < 1e-13);
        let common = product_transposed(pca.loadings(), pca.loadings(), q);
        assert_close(&common, &matrix(&expected["WWt"]), 1e-12);
    }
}

#[test]
fn rows_and_sample_agree() {
    let iris = iris();
    let rows = Rows::new(&iris, 150, 4);
    let pca = ProbabilisticPca::of_sample(&iris_sample(), 2).unwrap();
    let fit = fit_single(ProbabilisticPca::standard(vec![5.0; 4], 2), rows).unwrap();
    assert!((fit.params.noise_variance() - pca.noise_variance()).abs() < 1e-12);
    let mut densities = vec![0.0; 150];
    pca.log_density_into(rows, &mut densities);
    let total: f64 = densities.iter().sum();
    assert!((total - fit.report.objective).abs() < 1e-9);
    assert!((total - log_likelihood(pca.as_analyzer(), &iris_sample())).abs() < 1e-9);
}

#[test]
fn large_problems_agree_with_small_ones() {
    // 70 columns go through Krylov spaces; a copy of each with q = 66 goes through all eigenvectors
    let drawn = simulated(70, 3, 500, 11);
    let sample = Sample::of_rows(drawn.rows().into()).unwrap();
    let few = ProbabilisticPca::of_sample(&sample, 3).unwrap();
    let eigen = elbo_linalg::symmetric_eigen(sample.covariance(), 70).unwrap();
    let noise = eigen.values[..67].iter().sum::<f64>() / 67.0;
    assert!((few.noise_variance() - noise).abs() < 1e-12 * noise);
    for a in 0..3 {
        let length: f64 = few.loadings().iter().skip(a).step_by(3).map(|w| w * w).sum();
        assert!((length + noise - eigen.values[69 - a]).abs() < 1e-10, "component {a}");
    }
}

/// scikit-learn 1.9.1, `sklearn.decomposition._pca._assess_dimension(eigenvalues, q, 150)`, which is Minka's formula without
/// the terms of no component.
#[test]
fn evidence_agrees_with_scikit_learn() {
    let sample = iris_sample();
    let evidences = log_evidences(&sample).unwrap();
    assert_close(&evidences[1..], &EVIDENCES, 1e-7);
}

const EVIDENCES: [f64; 3] = [366.040_427_956_398_96, 422.942_073_292_492_07, 442.425_180_071_526_2];

#[test]
fn evidence_finds_the_dimension() {
    let drawn =
        ProbabilisticPca::new(vec![0.0; 6], &LOADINGS, 0.5).unwrap().draw(1000, &mut crate::rng(2));
    let sample = Sample::of_rows(drawn.rows().into()).unwrap();
    let evidences = log_evidences(&sample).unwrap();
    let best = (0..6).max_by(|a, b| evidences[*a].total_cmp(&evidences[*b])).unwrap();
    assert_eq!(best, 2, "{evidences:?}");
}

const LOADINGS: [f64; 12] = [1.0, 0.5, -1.0, 0.7, 2.0, 0.0, 0.3, 1.0, 0.0, -1.5, 0.4, 0.4];

/// A row with values missing is scored by the marginal of what it has: the density integrated over the rest.
#[test]
fn a_missing_value_is_integrated_out() {
    let pca = ProbabilisticPca::new(vec![1.0, 2.0, 3.0], &[1.0, 0.5, -0.7], 0.4).unwrap();
    let density = |x: [f64; 3]| {
        let mut out = [0.0];
        pca.log_density_into(Rows::new(&x, 1, 3), &mut out);
        out[0]
    };
    // the trapezoid rule is exact to rounding for a smooth density that vanishes at both ends
    let sum: f64 = (-4000..4000).map(|i| density([0.5, f64::from(i) * 0.01, 2.0]).exp()).sum();
    assert!(((sum * 0.01).ln() - density([0.5, f64::NAN, 2.0])).abs() < 1e-12);
}
