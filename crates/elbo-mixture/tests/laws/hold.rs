//! Blocks that are held stay to the bit; the others end at their optimum given them.

use elbo_core::{Hold, MaximumLikelihood};
use elbo_dist::GaussianBlock;
use elbo_mixture::{
    CovarianceStructure, Fitted, Gaussian, Mixture, MixtureModel, MultivariateGaussian, Settings,
    Start, Tolerance,
};

use crate::support::shipped;
use GaussianBlock::{Covariance, Mean};

fn settings() -> Settings {
    Settings { tolerance: Tolerance::Gap(1e-14), max_iterations: 5_000, ..Settings::default() }
}

/// Two groups of Old Faithful with means that are near those of the data, and spreads that are not.
fn start(structure: CovarianceStructure) -> Mixture<MultivariateGaussian> {
    let covariance = |factor: f64| match structure {
        structure if structure.is_diagonal() => [0.1 * factor, 0.0, 0.0, 30.0 * factor],
        _ => [0.1 * factor, 0.5 * factor, 0.5 * factor, 30.0 * factor],
    };
    let component = |mean: [f64; 2], factor| {
        MultivariateGaussian::new(structure, mean.to_vec(), &covariance(factor)).unwrap()
    };
    let second = if structure == CovarianceStructure::EEE { 1.0 } else { 1.5 };
    Mixture::new(vec![0.4, 0.6], vec![component([2.1, 55.0], 1.0), component([4.2, 80.0], second)])
        .unwrap()
}

fn fit(structure: CovarianceStructure, held: Vec<GaussianBlock>) -> Fitted<MultivariateGaussian> {
    let faithful = shipped("faithful");
    let model = MixtureModel::new(Hold::new(held), MaximumLikelihood);
    let at = Start::At(start(structure));
    let fitted = model.fit(faithful.rows().into(), &at, &settings(), &()).unwrap();
    assert!(fitted.report.stopped.is_converged(), "{structure}: {:?}", fitted.report.stopped);
    // Acceleration or not: no step goes down by more than rounding.
    let trace = &fitted.report.trace;
    assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9));
    fitted
}

const STRUCTURES: [CovarianceStructure; 4] = [
    CovarianceStructure::VVV,
    CovarianceStructure::EEE,
    CovarianceStructure::VVI,
    CovarianceStructure::VEI,
];

/// Responsibilities at the end give the held means' covariances back by the definition.
#[test]
fn covariances_about_known_means() {
    let faithful = shipped("faithful");
    for structure in STRUCTURES {
        let fitted = fit(structure, vec![Mean]);
        let shares = fitted.mixture.responsibilities(faithful.rows()).unwrap();
        let (mut pooled, mut counts) = ([0.0; 3], [0.0; 2]);
        let mut own = [[0.0; 3]; 2];
        for (j, component) in fitted.mixture.components().iter().enumerate() {
            assert_eq!(component.mean(), start(structure).components()[j].mean());
            for i in 0..faithful.n {
                let share = shares[i * 2 + j];
                let [x, y] = [0, 1].map(|c| faithful.values[i * 2 + c] - component.mean()[c]);
                counts[j] += share;
                for (at, square) in [x * x, x * y, y * y].into_iter().enumerate() {
                    pooled[at] += share * square;
                    own[j][at] += share * square;
                }
            }
        }
        for (j, component) in fitted.mixture.components().iter().enumerate() {
            let found = component.covariance();
            let close = |found: f64, expected: f64| {
                // An objective within 1e-14 n of its maximum leaves parameters 1e-6 of a standard error, some 5 %, away.
                assert!(
                    (found - expected).abs() < 1e-6 * expected.abs(),
                    "{structure}: {found} {expected}"
                );
            };
            match structure {
                CovarianceStructure::VVV => {
                    [0, 1, 3]
                        .into_iter()
                        .zip(own[j])
                        .for_each(|(at, s)| close(found[at], s / counts[j]));
                }
                CovarianceStructure::EEE => {
                    [0, 1, 3]
                        .into_iter()
                        .zip(pooled)
                        .for_each(|(at, s)| close(found[at], s / 272.0));
                }
                CovarianceStructure::VVI => {
                    for (at, s) in [(0, 0), (3, 2)] {
                        close(found[at], own[j][s] / counts[j]);
                    }
                }
                // The volume of a component given the common shape: tr(W A⁻¹) = n d λ.
                _ => close(own[j][0] / found[0] + own[j][2] / found[3], 2.0 * counts[j]),
            }
        }
    }
}

#[test]
fn means_under_known_covariances() {
    let faithful = shipped("faithful");
    for structure in STRUCTURES {
        let fitted = fit(structure, vec![Covariance]);
        let shares = fitted.mixture.responsibilities(faithful.rows()).unwrap();
        for (j, component) in fitted.mixture.components().iter().enumerate() {
            assert_eq!(component.covariance(), start(structure).components()[j].covariance());
            let count: f64 = (0..faithful.n).map(|i| shares[i * 2 + j]).sum();
            for c in 0..2 {
                let sum: f64 =
                    (0..faithful.n).map(|i| shares[i * 2 + j] * faithful.values[i * 2 + c]).sum();
                let mean = component.mean()[c];
                assert!((mean - sum / count).abs() < 1e-6 * mean, "{structure}: {mean}");
            }
        }
        assert_eq!(fitted.report.free_parameters, 1 + 4);
    }
}

#[test]
fn what_is_held_does_not_count_as_free() {
    for (structure, of_covariances) in
        [(CovarianceStructure::VVV, 6), (CovarianceStructure::EEE, 3)]
    {
        assert_eq!(fit(structure, vec![Mean]).report.free_parameters, 1 + of_covariances);
        let both = fit(structure, vec![Mean, Covariance]);
        assert_eq!(both.report.free_parameters, 1);
        assert_eq!(both.mixture.components(), start(structure).components());
    }
}

/// The univariate Gaussian is the multivariate one in one column.
#[test]
fn one_column_is_the_same_either_way() {
    let velocities = shipped("galaxies").map(|x| x / 1000.0).values;
    let (means, variances) = ([9.7, 20.0, 32.0], [0.5, 4.0, 1.0]);
    for held in [vec![Mean], vec![Covariance]] {
        let components = means.iter().zip(variances);
        let flat = components.clone().map(|(m, v)| Gaussian::new(*m, v).unwrap()).collect();
        let rows = components.map(|(m, v)| {
            MultivariateGaussian::new(CovarianceStructure::VII, vec![*m], &[v]).unwrap()
        });
        let weights = || vec![0.1, 0.8, 0.1];
        let flat = MixtureModel::new(Hold::new(held.clone()), MaximumLikelihood)
            .fit(
                velocities[..].into(),
                &Start::At(Mixture::new(weights(), flat).unwrap()),
                &settings(),
                &(),
            )
            .unwrap();
        let table = elbo_mixture::Rows::new(&velocities, velocities.len(), 1);
        let rows = MixtureModel::new(Hold::new(held), MaximumLikelihood)
            .fit(
                table.into(),
                &Start::At(Mixture::new(weights(), rows.collect()).unwrap()),
                &settings(),
                &(),
            )
            .unwrap();
        for (a, b) in flat.mixture.components().iter().zip(rows.mixture.components()) {
            assert!((a.mean() - b.mean()[0]).abs() < 1e-6 * a.mean().abs());
            assert!((a.variance() - b.covariance()[0]).abs() < 1e-6 * a.variance());
        }
    }
}
