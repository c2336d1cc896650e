//! Scores and completions by conditioning the joint Gaussian of factors and columns; standard errors by theory.

use elbo_factor::{
    FactorAnalysis, LowRankGaussian, ProbabilisticPca, Rows, Sample, Scorer, standardized_loadings,
};
use elbo_linalg::{cholesky_in_place, solve_lower_in_place, solve_lower_transposed_in_place};

use crate::analysis::simulated;
use crate::support::assert_close;

fn analyzer() -> LowRankGaussian {
    let loadings = [1.0, 0.5, -0.7, 0.4, 0.2, 1.1, 0.9, -0.3];
    LowRankGaussian::new(vec![1.0, -2.0, 0.5, 3.0], &loadings, vec![0.3, 0.6, 1.2, 0.5]).unwrap()
}

/// `Σ_O⁻¹ b` for the columns in `seen`.
fn solve(of: &LowRankGaussian, seen: &[usize], b: &[f64]) -> Vec<f64> {
    let (d, sigma, m) = (of.d(), of.covariance(), seen.len());
    let mut block: Vec<f64> = (0..m * m).map(|p| sigma[seen[p / m] * d + seen[p % m]]).collect();
    cholesky_in_place(&mut block, m).unwrap();
    let mut x = b.to_vec();
    solve_lower_in_place(&block, m, &mut x);
    solve_lower_transposed_in_place(&block, m, &mut x);
    x
}

#[test]
fn scores_and_completions_are_conditional_moments() {
    let of = analyzer();
    let nan = f64::NAN;
    let data = [0.5, -1.0, 2.0, 2.0, nan, 0.0, nan, 4.0, 1.0, 1.0, 1.0, 1.0, nan, nan, nan, nan];
    let rows = Rows::new(&data, 4, 4);
    let mut scorer = Scorer::new(&of);
    let (scores, completed) = (scorer.scores(rows).unwrap(), scorer.completed(rows).unwrap());
    let reconstructed = scorer.reconstructed(rows).unwrap();
    let sigma = of.covariance();
    for (i, row) in data.chunks_exact(4).enumerate() {
        let seen: Vec<usize> = (0..4).filter(|j| !row[*j].is_nan()).collect();
        let centered: Vec<f64> = seen.iter().map(|j| row[*j] - of.mean()[*j]).collect();
        let u = solve(&of, &seen, &centered);
        let dot =
            |f: &dyn Fn(usize) -> f64| seen.iter().zip(&u).map(|(j, u)| f(*j) * u).sum::<f64>();
        for a in 0..2 {
            let expected = dot(&|j| of.loadings()[j * 2 + a]);
            assert!((scores[i * 2 + a] - expected).abs() < 1e-13, "row {i}");
        }
        for j in 0..4 {
            let common = of.mean()[j]
                + dot(&|k| sigma[j * 4 + k] - f64::from(u8::from(j == k)) * of.uniquenesses()[j]);
            assert!((reconstructed[i * 4 + j] - common).abs() < 1e-13, "row {i}, column {j}");
            let expected = if row[j].is_nan() { common } else { row[j] };
            assert!((completed[i * 4 + j] - expected).abs() < 1e-13, "row {i}, column {j}");
        }
        // Cov[z ∣ x] = I − Wᵀ Σ⁻¹ W
        let covariance = scorer.score_covariance(row);
        for (a, b) in (0..4).map(|p| (p / 2, p % 2)) {
            let column: Vec<f64> = seen.iter().map(|j| of.loadings()[j * 2 + b]).collect();
            let v = solve(&of, &seen, &column);
            let explained: f64 =
                seen.iter().zip(&v).map(|(j, v)| of.loadings()[j * 2 + a] * v).sum();
            let expected = f64::from(u8::from(a == b)) - explained;
            assert!((covariance[a * 2 + b] - expected).abs() < 1e-13, "row {i}");
        }
    }
}

#[test]
fn loadings_of_standardized_columns_are_standardized() {
    let drawn = simulated(8, 2, 400, 31);
    let sample = Sample::of_rows(drawn.rows().into()).unwrap();
    let fit = |sample: &Sample| FactorAnalysis::new(2).fit(sample).unwrap().analyzer;
    let (raw, scaled) = (fit(&sample), fit(&sample.standardized().unwrap()));
    assert_close(&standardized_loadings(&raw), scaled.loadings(), 1e-6);
}

/// One factor of three columns reproduces the correlations exactly, and the loading is a function of them, whose variance is
/// known: `w₁² = r₁₂ r₁₃ / r₂₃`. Here by the delta method on the covariance's asymptotic variances.
#[test]
fn standard_errors_agree_with_the_delta_method() {
    let (n, w) = (500.0, [0.8, 0.7, 0.6]);
    let entry = |i: usize, j: usize| if i == j { 1.0 } else { w[i] * w[j] };
    let sigma: Vec<f64> = (0..9).map(|p| entry(p / 3, p % 3)).collect();
    let sample = Sample::of_covariance(&sigma, 3, n).unwrap();
    let fit = FactorAnalysis::new(1).fit(&sample).unwrap();
    let uncertainty = fit.uncertainty(&sample).unwrap();
    // ln w₁ = ½ (ln s₁₂ + ln s₁₃ − ln s₂₃); n Cov(s_ij, s_kl) = σ_ik σ_jl + σ_il σ_jk
    let pairs = [(0, 1, 0.5), (0, 2, 0.5), (1, 2, -0.5)];
    let mut variance = 0.0;
    for (i, j, a) in pairs {
        for (k, l, b) in pairs {
            let covariance = entry(i, k) * entry(j, l) + entry(i, l) * entry(j, k);
            variance += a * b * covariance / (entry(i, j) * entry(k, l)) / n;
        }
    }
    let expected = w[0] * variance.sqrt();
    let found = uncertainty.parameters.iter().find(|p| p.name == "loading[0,0]").unwrap();
    let error = found.std_error.unwrap();
    // a Hessian by differences is good for some 1e-5
    assert!((error - expected).abs() < 1e-4 * expected, "{error}, not {expected}");
}

#[test]
fn pca_scores_are_shrunk_principal_components() {
    let drawn = simulated(5, 2, 300, 33);
    let sample = Sample::of_rows(drawn.rows().into()).unwrap();
    let pca = ProbabilisticPca::of_sample(&sample, 2).unwrap();
    let scores = Scorer::new(pca.as_analyzer()).scores(drawn.rows()).unwrap();
    // z = (λ − σ²)^½ / λ · uᵀ(x − μ), whose mean square is (λ − σ²)/λ
    for a in 0..2 {
        let length: f64 = pca.loadings().iter().skip(a).step_by(2).map(|w| w * w).sum();
        let square: f64 = scores.iter().skip(a).step_by(2).map(|z| z * z).sum::<f64>() / 300.0;
        assert!((square - length / (length + pca.noise_variance())).abs() < 1e-12);
    }
}
