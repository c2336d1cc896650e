//! Factor analysis against other programs, by its gradient, and by what must not matter.

use elbo_core::Draw;
use elbo_core::Tolerance;
use elbo_dist::fit_single;
use elbo_factor::{
    FactorAnalysis, LowRankGaussian, Rows, Sample, Settings, UniquenessPrior, log_likelihood,
};

use crate::rng;
use crate::support::{assert_close, classic, iris, matrix, product_transposed, reference};

/// `W Wᵀ`, which no rotation changes.
fn common(of: &LowRankGaussian) -> Vec<f64> {
    product_transposed(of.loadings(), of.loadings(), of.q())
}

fn standardized_iris() -> Sample {
    let iris = iris();
    Sample::of_rows(Rows::new(&iris, 150, 4).into()).unwrap().standardized().unwrap()
}

/// R 4.5 `factanal(covmat = …, n.obs = …, control = list(nstart = 25))`, with the likelihood of correlations.
#[test]
fn classics_agree_with_factanal() {
    let Some(all) = reference("ref_fa_factanal.json") else { return };
    for (key, name, q) in [
        ("ability.cov_q1", "ability", 1),
        ("ability.cov_q2", "ability", 2),
        ("Harman74.cor_q1", "harman", 1),
        ("Harman74.cor_q2", "harman", 2),
        ("Harman74.cor_q5", "harman", 5),
    ] {
        let (sample, expected) = (classic(name).unwrap(), &all[key]);
        let fit = FactorAnalysis::new(q).starts(20).fit(&sample).unwrap();
        assert!(fit.report.stopped.is_converged() && fit.heywood.is_empty(), "{key}");
        let log_likelihood = expected["loglik_cor_n"].as_f64().unwrap();
        // factanal stops at gradients of some 1e-6 per observation, which is 1e-9 in the likelihood
        let difference = fit.log_likelihood() - log_likelihood;
        assert!((-1e-9..1e-8).contains(&difference), "{key}: {difference:e}");
        assert_close(&common(&fit.analyzer), &matrix(&expected["loadings_LLt"]), 1e-4);
        assert_close(fit.analyzer.uniquenesses(), &matrix(&expected["uniquenesses"]), 1e-4);
        let test = fit.goodness_of_fit(&sample).unwrap();
        assert_eq!(test.degrees_of_freedom as u64, expected["dof"].as_u64().unwrap());
        let chi = expected["chisq"].as_f64().unwrap();
        assert!((test.statistic - chi).abs() < 1e-7 * chi, "{key}: {test:?}, not {chi}");
    }
}

/// Values of an L-BFGS-B run on the same problem with the same bound, 20 starts.
#[test]
fn standardized_irises_are_heywood_cases() {
    let Some(all) = reference("ref_fa_ppca.json") else { return };
    let sample = standardized_iris();
    for (key, q, cases) in [("iris_std_q1", 1, vec![2]), ("iris_std_q2", 2, vec![1, 2])] {
        let fit = FactorAnalysis::new(q).starts(8).fit(&sample).unwrap();
        assert!(fit.report.stopped.is_converged(), "{:?}", fit.report.stopped);
        let difference = fit.log_likelihood() - all[key]["loglik"].as_f64().unwrap();
        assert!((-1e-9..1e-6).contains(&difference), "{key}: {difference:e}");
        assert_eq!(fit.heywood, cases, "{key}: {:?}", fit.analyzer.uniquenesses());
    }
}

#[test]
fn a_prior_keeps_uniquenesses_off_the_boundary() {
    let sample = standardized_iris();
    let prior = UniquenessPrior { shape: 1.0, scale: 0.05 };
    let fit = FactorAnalysis::new(1).prior(prior).floor(1e-6).fit(&sample).unwrap();
    assert!(fit.report.stopped.is_converged() && fit.heywood.is_empty());
    // the gradient of the log-posterior is zero at the mode, for every uniqueness
    let posterior = |j: usize, factor: f64| {
        let mut own = fit.analyzer.uniquenesses().to_vec();
        own[j] *= factor;
        let (mean, loadings) = (fit.analyzer.mean().to_vec(), fit.analyzer.loadings());
        let near = LowRankGaussian::new(mean, loadings, own.clone()).unwrap();
        let prior: f64 = own.iter().map(|v| -2.0 * v.ln() - 0.05 / v).sum();
        log_likelihood(&near, &sample) + prior
    };
    let here = posterior(0, 1.0);
    assert!((here - fit.report.objective).abs() < 1e-9, "{here} {}", fit.report.objective);
    for j in 0..4 {
        let slope = (posterior(j, 1.0 + 1e-5) - posterior(j, 1.0 - 1e-5)) / 2e-5;
        // a curvature of some 150 observations leaves 1e-4 of the slope within 1e-10 nats of the mode
        assert!(slope.abs() < 1e-3, "column {j}: {slope}");
    }
}

/// The five best of ten end points of 24 psychological tests with five factors: scipy 1.17.1, `minimize(method="L-BFGS-B")` from
/// 300 random starts with the same bound. All but the best are Heywood cases.
#[test]
fn five_factors_of_24_tests_end_at_several_points() {
    const ENDS: [f64; 5] = [-4211.4840, -4216.3787, -4218.6971, -4219.1354, -4219.8268];
    let Some(sample) = classic("harman") else { return };
    let fit = FactorAnalysis::new(5).starts(60).fit(&sample).unwrap();
    let optima = &fit.runs.optima;
    for (optimum, end) in optima.iter().zip(ENDS) {
        assert!((optimum.objective - end).abs() < 1e-4, "{optima:?}");
    }
    assert!(optima.len() >= 5 && fit.heywood.is_empty(), "{optima:?}");
    assert_eq!(optima.iter().map(|optimum| optimum.runs).sum::<usize>(), 60);
}

#[test]
fn the_gradient_is_zero_at_the_maximum() {
    // 60 columns: Fisher scoring and Krylov spaces
    let drawn = simulated(60, 4, 800, 3);
    let sample = Sample::of_rows(drawn.rows().into()).unwrap();
    let settings = Settings { tolerance: Tolerance::Gap(1e-13), ..Settings::default() };
    let fit = FactorAnalysis::new(4).settings(settings).fit(&sample).unwrap();
    assert!(fit.report.stopped.is_converged(), "{:?}", fit.report.stopped);
    let at = |what: usize, step: f64| {
        let mut loadings = fit.analyzer.loadings().to_vec();
        let mut own = fit.analyzer.uniquenesses().to_vec();
        match what {
            0..240 => loadings[what] += step,
            _ => own[what - 240] += step,
        }
        let near = LowRankGaussian::new(sample.mean().to_vec(), &loadings, own).unwrap();
        log_likelihood(&near, &sample)
    };
    let here = at(0, 0.0);
    assert!((here - fit.log_likelihood()).abs() < 1e-9 * here.abs(), "{here}");
    for what in (0..300).step_by(7) {
        let slope = (at(what, 1e-5) - at(what, -1e-5)) / 2e-5;
        // rounding of ℓ by 1e-11 over the step, and what a gap of 1e-13 · 800 nats leaves: √(2 · 8e-11 · 800)
        assert!(slope.abs() < 2e-3, "parameter {what}: {slope}");
    }
}

#[test]
fn units_do_not_matter() {
    let drawn = simulated(8, 2, 400, 5);
    let scale = [1e-3, 1.0, 1e4, 2.0, 0.5, 10.0, 3.0, 7.0];
    let sample = Sample::of_rows(drawn.rows().into()).unwrap();
    let other: Vec<f64> =
        drawn.data().iter().zip(scale.iter().cycle()).map(|(x, s)| x * s).collect();
    let scaled = Sample::of_rows(Rows::new(&other, 400, 8).into()).unwrap();
    let (a, b) = (FactorAnalysis::new(2).fit(&sample), FactorAnalysis::new(2).fit(&scaled));
    let (a, b) = (a.unwrap().analyzer, b.unwrap().analyzer);
    for (j, s) in scale.iter().enumerate() {
        assert_close(&[b.uniquenesses()[j] / s / s], &[a.uniquenesses()[j]], 1e-7);
    }
}

#[test]
fn rotating_loadings_keeps_the_likelihood() {
    let drawn = simulated(8, 2, 400, 7);
    let sample = Sample::of_rows(drawn.rows().into()).unwrap();
    let fit = FactorAnalysis::new(2).fit(&sample).unwrap().analyzer;
    let (sin, cos) = 0.7_f64.sin_cos();
    let turn = |row: &[f64]| [cos * row[0] + sin * row[1], cos * row[1] - sin * row[0]];
    let rotated: Vec<f64> = fit.loadings().chunks_exact(2).flat_map(turn).collect();
    let own = fit.uniquenesses().to_vec();
    let other = LowRankGaussian::new(fit.mean().to_vec(), &rotated, own).unwrap();
    let (a, b) = (log_likelihood(&fit, &sample), log_likelihood(&other, &sample));
    assert!((a - b).abs() < 1e-12 * a.abs());
}

/// The family in `elbo-dist` climbs by another route: from rows, by EM's driver around an inner Newton method.
#[test]
fn rows_and_sample_lead_to_the_same_maximum() {
    let drawn = simulated(8, 2, 400, 9);
    let sample = Sample::of_rows(drawn.rows().into()).unwrap();
    let fit = FactorAnalysis::new(2).fit(&sample).unwrap();
    let other = fit_single(LowRankGaussian::standard(vec![0.0; 8], 2), drawn.rows()).unwrap();
    assert!((fit.log_likelihood() - other.report.objective).abs() < 1e-8);
    assert_close(&common(&fit.analyzer), &common(&other.params), 1e-5);
    assert_eq!(fit.report.free_parameters, other.report.free_parameters);
}

#[test]
fn starts_change_nothing_where_there_is_one_maximum() {
    let Some(sample) = classic("ability") else { return };
    let fit = FactorAnalysis::new(2).starts(20).fit(&sample).unwrap();
    assert_eq!(fit.runs.optima.len(), 1, "{:?}", fit.runs.optima);
}

/// Rows of `d` columns with `q` factors.
pub(crate) fn simulated(d: usize, q: usize, n: usize, seed: u64) -> elbo_core::OwnedRows {
    let mut rng = rng(seed);
    let mut number = |low: f64, high: f64| rand::RngExt::random_range(&mut rng, low..high);
    let loadings: Vec<f64> = (0..d * q).map(|_| number(-1.5, 1.5)).collect();
    let own: Vec<f64> = (0..d).map(|_| number(0.3, 1.5)).collect();
    let mean: Vec<f64> = (0..d).map(|_| number(-5.0, 5.0)).collect();
    LowRankGaussian::new(mean, &loadings, own).unwrap().draw(n, &mut crate::rng(seed + 1000))
}
