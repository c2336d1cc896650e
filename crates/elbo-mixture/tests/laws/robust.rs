//! Student t, directions and rows of mixed type as components: one step by plain sums, and what the data were made from.

use elbo_core::{Draw, Weighted};
use elbo_dist::{
    Categorical, Column, CovarianceStructure::VVV, Gaussian, Independent, MultivariateStudentT,
    Poisson, VonMisesFisher,
};
use elbo_mixture::{Mixture, MixtureModel, Settings, Start, Tolerance};

use crate::{rng, support::clusters};

fn once() -> Settings {
    Settings { max_iterations: 1, tolerance: Tolerance::Gap(0.0), ..Settings::default() }
}

/// Means and covariances under weights `γ/r` with `r = 1 + δ/ν`: the parameter-expanded step, where degrees of freedom are
/// known.
#[test]
fn one_step_of_student_t_is_a_reweighted_mean() {
    let table = clusters(80, 2, 2, 17);
    let rows: Vec<&[f64]> = table.values.chunks_exact(2).collect();
    let (means, dof, weights) = ([[-2.0, 1.0], [3.0, 0.0]], 3.0, [0.3, 0.7]);
    let component = |m: [f64; 2]| {
        MultivariateStudentT::with_fixed_dof(VVV, m.to_vec(), &[2.0, 0.0, 0.0, 2.0], dof).unwrap()
    };
    let start = Mixture::new(weights.to_vec(), means.map(component).to_vec()).unwrap();
    let r = |j: usize, x: &[f64]| {
        1.0 + ((x[0] - means[j][0]).powi(2) + (x[1] - means[j][1]).powi(2)) / (2.0 * dof)
    };
    let joint = |j: usize, x: &[f64]| weights[j] * r(j, x).powf(-0.5 * (dof + 2.0));
    let stepped =
        MixtureModel::ml().fit(table.rows().into(), &Start::At(start), &once(), &()).unwrap();
    for j in 0..2 {
        let share = |x: &[f64]| joint(j, x) / (joint(0, x) + joint(1, x));
        let total: f64 = rows.iter().map(|x| share(x)).sum();
        let reweighted: f64 = rows.iter().map(|x| share(x) / r(j, x)).sum();
        let mean =
            |c: usize| rows.iter().map(|x| share(x) / r(j, x) * x[c]).sum::<f64>() / reweighted;
        let ours = &stepped.mixture.components()[j];
        assert!((stepped.mixture.weights()[j] - total / 80.0).abs() < 1e-13);
        for c in 0..2 {
            assert!((ours.location()[c] - mean(c)).abs() < 1e-12 * 10.0);
            for e in 0..2 {
                let products =
                    rows.iter().map(|x| share(x) / r(j, x) * (x[c] - mean(c)) * (x[e] - mean(e)));
                let scale = products.sum::<f64>() / reweighted;
                assert!((ours.scale()[2 * c + e] - scale).abs() < 1e-11 * 10.0);
            }
        }
    }
}

/// Outliers that would take a Gaussian apart.
#[test]
fn student_t_mixtures_keep_their_groups_among_outliers() {
    let mut table = clusters(200, 2, 1, 30);
    table.values.iter_mut().enumerate().for_each(|(place, x)| *x += 15.0 * (place / 2 % 2) as f64);
    for i in 0..6 {
        table.values.extend([100.0 * f64::from(i % 2) - 50.0, 40.0 * f64::from(i) - 100.0]);
    }
    table.n += 6;
    let template =
        MultivariateStudentT::new(VVV, vec![0.0; 2], &[1.0, 0.0, 0.0, 1.0], 5.0).unwrap();
    let start = Start::Spread { k: 2, runs: 6, template };
    let fitted =
        MixtureModel::ml().fit(table.rows().into(), &start, &Settings::default(), &()).unwrap();
    let labels = fitted.mixture.labels(table.rows()).unwrap();
    assert!((0..200).all(|i| (labels[i] == labels[0]) == (i % 2 == 0)));
    // Far away the heavier tail takes all: the outliers belong to one of them, and the other may be as good as Gaussian.
    assert!(fitted.mixture.components().iter().any(|t| t.dof() < 20.0));
    assert!(fitted.report.trace.windows(2).all(|p| p[1] >= p[0] - 1e-12 * 1e3));
}

/// The direction of the shared resultant, and a concentration whose mean length is that of the resultant.
#[test]
fn one_step_of_directions_is_the_resultant() {
    let truth = [[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]];
    let component = |m: [f64; 3], kappa: f64| VonMisesFisher::new(m.to_vec(), kappa).unwrap();
    let mixture = Mixture::new(vec![0.4, 0.6], truth.map(|m| component(m, 8.0)).to_vec()).unwrap();
    let drawn = mixture.draw(300, &mut rng(2));
    let data = Mixture::<VonMisesFisher>::batch_of(&drawn);
    let stepped = MixtureModel::ml()
        .fit(Weighted::uniform(data), &Start::At(mixture.clone()), &once(), &())
        .unwrap();
    let rows: Vec<&[f64]> = drawn.values().chunks_exact(3).collect();
    let joint = |j: usize, x: &[f64]| {
        let dot: f64 = x.iter().zip(&truth[j]).map(|(a, b)| a * b).sum();
        [0.4, 0.6][j] * (8.0 * dot).exp()
    };
    for j in 0..2 {
        let share = |x: &[f64]| joint(j, x) / (joint(0, x) + joint(1, x));
        let total: f64 = rows.iter().map(|x| share(x)).sum();
        let sum = [0, 1, 2].map(|c| rows.iter().map(|x| share(x) * x[c]).sum::<f64>());
        let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
        let ours = &stepped.mixture.components()[j];
        assert!((0..3).all(|c| (ours.direction()[c] - sum[c] / length).abs() < 1e-12));
        // In three dimensions the mean length is coth κ − 1/κ.
        let kappa = ours.concentration();
        assert!((1.0 / kappa.tanh() - 1.0 / kappa - length / total).abs() < 1e-10);
        assert!((stepped.mixture.weights()[j] - total / 300.0).abs() < 1e-12);
    }
}

/// A number, a count and a category in each row, one of them missing now and then.
#[test]
fn rows_of_mixed_type_are_told_apart() {
    let class = |mean: f64, rate: f64, p: [f64; 3]| {
        Independent::new(vec![
            Gaussian::new(mean, 1.0).unwrap().into(),
            Poisson::new(rate).unwrap().into(),
            Categorical::new(p.to_vec()).unwrap().into(),
        ])
        .unwrap()
    };
    let classes = vec![class(0.0, 2.0, [0.8, 0.1, 0.1]), class(5.0, 9.0, [0.1, 0.2, 0.7])];
    let mixture = Mixture::new(vec![0.35, 0.65], classes).unwrap();
    let mut drawn = mixture.draw(600, &mut rng(9)).data().to_vec();
    for i in (0..600).step_by(7) {
        drawn[3 * i + i % 3] = f64::NAN;
    }
    let rows = elbo_mixture::Rows::new(&drawn, 600, 3);
    let template = class(0.0, 1.0, [0.3, 0.3, 0.4]);
    let start = Start::Spread { k: 2, runs: 6, template };
    let fitted = MixtureModel::ml().fit(rows.into(), &start, &Settings::default(), &()).unwrap();
    assert!(fitted.report.stopped.is_converged());
    let by_weight = fitted.mixture.sorted_by_weight();
    // Three standard errors of a share of 600, and of means of 200 rows.
    assert!((by_weight.weights()[0] - 0.65).abs() < 0.06);
    let means: Vec<f64> = by_weight.components()[0].columns().iter().map(Column::mean).collect();
    assert!((means[0] - 5.0).abs() < 0.2 && (means[1] - 9.0).abs() < 0.6, "{means:?}");
    let likelihood = mixture.log_likelihood(rows).unwrap();
    assert!(fitted.log_likelihood > likelihood);
}
