//! Maximum likelihood of several components together: constraints hold, nothing feasible is better.

use elbo_core::{EstimateError, Family};
use elbo_dist::CovarianceStructure::{
    self, EEE, EEI, EEV, EII, EVE, EVI, EVV, VEE, VEI, VEV, VII, VVE, VVI, VVV,
};
use elbo_dist::{MultivariateGaussian, MultivariateGaussianStats, Sharing};
use elbo_laws::assert_close;
use elbo_linalg::symmetric_eigen;
use proptest::{collection::vec, prelude::*};

use super::{congruent, covariance};

const K: usize = 3;
const D: usize = 3;

/// Weight and own covariance of each component.
type Moments = Vec<(f64, Vec<f64>)>;

fn moments() -> impl Strategy<Value = Moments> {
    let scale = (-3.0..3.0_f64).prop_map(f64::exp);
    vec((1.0..50.0, covariance(VVV, D), scale), K).prop_map(|all| {
        let scaled = |(w, s, c): (f64, Vec<f64>, f64)| (w, s.iter().map(|x| c * x).collect());
        all.into_iter().map(scaled).collect()
    })
}

/// Statistics with these moments, as the structure keeps them.
fn stats(structure: CovarianceStructure, moments: &Moments) -> Vec<MultivariateGaussianStats> {
    let layout = if structure.is_diagonal() { VVI } else { VVV };
    let one = |(w, s): &(f64, Vec<f64>)| {
        let mut s = s.clone();
        if structure.is_diagonal() {
            (0..D * D).filter(|p| p / D != p % D).for_each(|p| s[p] = 0.0);
        }
        MultivariateGaussian::new(layout, vec![*w; D], &s).unwrap().expected_stats(*w)
    };
    moments.iter().map(one).collect()
}

fn starts(structure: CovarianceStructure) -> Vec<MultivariateGaussian> {
    vec![MultivariateGaussian::standard(structure, vec![0.0; D]); K]
}

fn maximize(
    current: &[MultivariateGaussian],
    stats: &[MultivariateGaussianStats],
) -> Result<Vec<MultivariateGaussian>, EstimateError> {
    let mut next = current.to_vec();
    MultivariateGaussian::maximize_all(current, stats, &mut next).map(|_| next)
}

fn fit(structure: CovarianceStructure, moments: &Moments) -> Vec<MultivariateGaussian> {
    maximize(&starts(structure), &stats(structure, moments)).unwrap()
}

/// `Σⱼ nⱼ [ln |Σⱼ| + tr(Sⱼ Σⱼ⁻¹)]`: minus twice the expected log-likelihood, but for a constant.
fn objective(moments: &Moments, covariances: &[Vec<f64>]) -> f64 {
    let one = |((w, s), sigma): (&(f64, Vec<f64>), &Vec<f64>)| {
        let mut l = sigma.clone();
        elbo_linalg::cholesky_in_place(&mut l, D).unwrap();
        let mut inverse = vec![0.0; D * D];
        elbo_linalg::spd_inverse_from_cholesky(&l, D, &mut inverse);
        let trace: f64 = inverse.iter().zip(s).map(|(a, b)| a * b).sum();
        w * (elbo_linalg::log_det_from_cholesky(&l, D) + trace)
    };
    moments.iter().zip(covariances).map(one).sum()
}

fn covariances(fit: &[MultivariateGaussian]) -> Vec<Vec<f64>> {
    fit.iter().map(MultivariateGaussian::covariance).collect()
}

/// Axes (in rows) in which the structure sees the covariances.
fn axes(structure: CovarianceStructure, fit: &[MultivariateGaussian]) -> Vec<Vec<f64>> {
    let identity: Vec<f64> = (0..D * D).map(|p| f64::from(p / D == p % D)).collect();
    match structure.orientation() {
        Sharing::Identity => vec![identity; K],
        Sharing::Variable => {
            fit.iter().map(|g| symmetric_eigen(&g.covariance(), D).unwrap().vectors).collect()
        }
        Sharing::Equal => {
            // a generic combination has the common axes for eigenvectors
            let mut sum = vec![0.0; D * D];
            for (j, g) in fit.iter().enumerate() {
                let weight = (1.0 + 0.7 * j as f64) / (g.log_det() / D as f64).exp();
                elbo_core::add_scaled(&mut sum, weight, &g.covariance());
            }
            vec![symmetric_eigen(&sum, D).unwrap().vectors; K]
        }
    }
}

/// `exp(X)` for a skew-symmetric `X` with these three entries: a rotation.
fn rotation(angles: &[f64]) -> Vec<f64> {
    let mut total: Vec<f64> = (0..D * D).map(|p| f64::from(p / D == p % D)).collect();
    for (pair, angle) in [(0, 1), (0, 2), (1, 2)].into_iter().zip(angles) {
        let (sin, cos) = angle.sin_cos();
        for i in 0..D {
            let (x, y) = (total[i * D + pair.0], total[i * D + pair.1]);
            total[i * D + pair.0] = cos * x + sin * y;
            total[i * D + pair.1] = cos * y - sin * x;
        }
    }
    total
}

/// Feasible covariances nearby: `direction` holds a volume, `D` stretches and `D` angles for each component; what is
/// shared moves by the first component's.
fn moved(
    structure: CovarianceStructure,
    fit: &[MultivariateGaussian],
    direction: &[f64],
    step: f64,
) -> Vec<Vec<f64>> {
    let per_component = 1 + 2 * D;
    let pick = |sharing, j: usize, from: usize, length: usize| -> Vec<f64> {
        let start = if sharing == Sharing::Variable { j * per_component } else { 0 };
        let amount = if sharing == Sharing::Identity { 0.0 } else { step };
        direction[start + from..][..length].iter().map(|x| amount * x).collect()
    };
    let axes = axes(structure, fit);
    fit.iter()
        .enumerate()
        .map(|(j, g)| {
            let volume = pick(structure.volume(), j, 0, 1)[0];
            let mut stretch = pick(structure.shape(), j, 1, D);
            let mean = stretch.iter().sum::<f64>() / D as f64;
            for s in &mut stretch {
                *s -= mean;
            }
            // T = Aᵀ diag(e^stretch) A
            let mut t = vec![0.0; D * D];
            for (s, axis) in stretch.iter().zip(axes[j].chunks_exact(D)) {
                elbo_linalg::add_outer(&mut t, (s + 0.5 * volume).exp(), axis, axis);
            }
            let stretched = congruent(&t, &g.covariance(), D);
            let angles = pick(structure.orientation(), j, 1 + D, D);
            congruent(&rotation(&angles), &stretched, D)
        })
        .collect()
}

proptest! {
    #[test]
    fn constraints_hold(moments in moments()) {
        for structure in CovarianceStructure::ALL {
            let fit = fit(structure, &moments);
            let axes = axes(structure, &fit);
            for (j, g) in fit.iter().enumerate() {
                prop_assert_eq!(g.structure(), structure);
                // seen in its axes, the covariance is diagonal
                let seen = congruent(&axes[j], &g.covariance(), D);
                let size = (g.log_det() / D as f64).exp();
                let largest = seen.iter().copied().fold(0.0, f64::max);
                for p in (0..D * D).filter(|p| p / D != p % D) {
                    prop_assert!(seen[p].abs() < 1e-9 * largest, "{} {:?}", structure, seen);
                }
                let first = congruent(&axes[0], &fit[0].covariance(), D);
                let first_size = (fit[0].log_det() / D as f64).exp();
                if structure.volume() == Sharing::Equal {
                    assert_close(size, first_size, 10.0 * size);
                }
                for p in (0..D * D).step_by(D + 1) {
                    match structure.shape() {
                        Sharing::Identity => assert_close(seen[p], size, 10.0 * size),
                        Sharing::Equal => {
                            let largest = largest / size;
                            assert_close(seen[p] / size, first[p] / first_size, 100.0 * largest);
                        }
                        Sharing::Variable => {}
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_feasible_nearby_is_better(
        moments in moments(), direction in vec(-1.0..1.0_f64, K * (1 + 2 * D))
    ) {
        for structure in CovarianceStructure::ALL {
            let fit = fit(structure, &moments);
            let own: Moments = moments
                .iter()
                .map(|(w, s)| {
                    let mut s = s.clone();
                    if structure.is_diagonal() {
                        (0..D * D).filter(|p| p / D != p % D).for_each(|p| s[p] = 0.0);
                    }
                    (*w, s)
                })
                .collect();
            let best = objective(&own, &covariances(&fit));
            let size: f64 = moments.iter().map(|(w, _)| 10.0 * w).sum();
            for step in [1e-5, -1e-5, 1e-3, -1e-3, 1e-2, -1e-2] {
                let other = objective(&own, &moved(structure, &fit, &direction, step));
                prop_assert!(
                    other >= best - elbo_laws::TOLERANCE * size,
                    "{structure}: a step of {step} gains {}", best - other
                );
            }
        }
    }

    #[test]
    fn freedom_never_costs_likelihood(moments in moments()) {
        let value = |structure| objective(&moments, &covariances(&fit(structure, &moments)));
        let size: f64 = moments.iter().map(|(w, _)| 10.0 * w).sum();
        for (less, more) in [
            (EII, VII), (EII, EEI), (VII, VEI), (EEI, VEI), (EEI, EVI), (VEI, VVI), (EVI, VVI),
            (EEI, EEE), (EEE, VEE), (EEE, EEV), (VEE, VEV), (EEV, VEV), (EEV, EVV), (VEV, VVV),
            (EVV, VVV), (EVE, EVV), (VVE, VVV), (EVE, VVE),
        ] {
            let (a, b) = (value(less), value(more));
            // common axes may be a local optimum, elsewhere the optimum is the only one
            prop_assert!(b <= a + elbo_laws::TOLERANCE * size || more == VVE, "{less} {a} < {more} {b}");
        }
    }

    #[test]
    fn one_component_shares_nothing(moments in moments()) {
        for (structure, like) in [
            (EII, VII), (EEI, VVI), (VEI, VVI), (EVI, VVI), (EEE, VVV), (VEE, VVV), (EVE, VVV),
            (VVE, VVV), (EEV, VVV), (VEV, VVV), (EVV, VVV),
        ] {
            let one = |structure| {
                let start = MultivariateGaussian::standard(structure, vec![0.0; D]);
                let stats = stats(structure, &moments);
                maximize(&[start], &stats[..1]).unwrap()[0].covariance()
            };
            let (a, b) = (one(structure), one(like));
            let largest = b.iter().copied().fold(0.0, f64::max);
            for (a, b) in a.iter().zip(&b) {
                prop_assert!((a - b).abs() < 1e-7 * largest, "{structure}: {a} is not {b}");
            }
        }
    }

    #[test]
    fn a_second_step_from_the_optimum_stays_there(moments in moments()) {
        for structure in CovarianceStructure::ALL {
            let stats = stats(structure, &moments);
            let first = maximize(&starts(structure), &stats).unwrap();
            let second = maximize(&first, &stats).unwrap();
            let size: f64 = moments.iter().map(|(w, _)| 10.0 * w).sum();
            let (a, b) =
                (objective(&moments, &covariances(&first)), objective(&moments, &covariances(&second)));
            prop_assert!((a - b).abs() <= elbo_laws::TOLERANCE * size || (structure == VVE || structure == EVE) && b <= a, "{structure}: {a} became {b}");
        }
    }

    #[test]
    fn a_common_unit_changes_only_the_unit(moments in moments(), exponent in prop_oneof![Just(-300_i32), Just(-20), Just(20), Just(300)]) {
        let unit = 2.0_f64.powi(exponent);
        let rescaled: Moments =
            moments.iter().map(|(w, s)| (*w, s.iter().map(|x| x * unit * unit).collect())).collect();
        for structure in CovarianceStructure::ALL {
            let identity: Vec<f64> =
                (0..D * D).map(|p| if p / D == p % D { unit * unit } else { 0.0 }).collect();
            let start = MultivariateGaussian::new(structure, vec![0.0; D], &identity).unwrap();
            let scaled = maximize(&vec![start; K], &stats(structure, &rescaled)).unwrap();
            for (a, b) in fit(structure, &moments).iter().zip(&scaled) {
                let largest = a.variances().into_iter().fold(0.0, f64::max);
                for (a, b) in a.covariance().iter().zip(b.covariance()) {
                    let error = (a - b / unit / unit).abs();
                    prop_assert!(error < 1e-7 * largest, "{structure}: {error:e} of {largest}");
                }
            }
        }
    }

    #[test]
    fn diagonal_structures_follow_each_unit(moments in moments(), exponents in vec(-300..300_i32, D)) {
        let unit: Vec<f64> = exponents.iter().map(|e| 2.0_f64.powi(*e)).collect();
        let rescaled: Moments = moments
            .iter()
            .map(|(w, s)| {
                (*w, (0..D * D).map(|p| s[p] * unit[p / D] * unit[p % D]).collect())
            })
            .collect();
        for structure in [EEI, VEI, EVI, VVI, EEE, VEE, EVV, VVV] {
            let scaled = fit(structure, &rescaled);
            for (a, b) in fit(structure, &moments).iter().zip(&scaled) {
                let spread: Vec<f64> = a.variances().into_iter().map(f64::sqrt).collect();
                let (a, b) = (a.covariance(), b.covariance());
                for p in 0..D * D {
                    let back = b[p] / unit[p / D] / unit[p % D];
                    prop_assert!((a[p] - back).abs() < 1e-7 * spread[p / D] * spread[p % D], "{structure}");
                }
            }
        }
    }
}

/// The two components have equal variances and opposite correlations: every criterion is flat along the columns.
#[test]
fn common_axes_leave_a_saddle() {
    let own = |r: f64| vec![1.0, r, r, 1.0];
    let stats: Vec<_> = [0.6, -0.6]
        .map(|r| MultivariateGaussian::new(VVV, vec![0.0; 2], &own(r)).unwrap().expected_stats(5.0))
        .to_vec();
    for structure in [EVE, VVE] {
        let start = vec![MultivariateGaussian::standard(structure, vec![0.0; 2]); 2];
        let fit = maximize(&start, &stats).unwrap();
        for (g, r) in fit.iter().zip([0.6, -0.6]) {
            assert_close(g.covariance()[1], r, 10.0);
            assert_close(g.covariance()[0], 1.0, 10.0);
        }
    }
}

#[test]
fn errors_name_the_component() {
    let good = MultivariateGaussian::standard(VVV, vec![1.0; 2]).expected_stats(4.0);
    let flat = {
        let point = MultivariateGaussian::standard(VVV, vec![1.0; 2]);
        let mut flat = point.new_stats();
        point.observe(&mut flat, elbo_core::Rows::new(&[1.0, 2.0, 3.0, 2.0], 2, 2), &[1.0; 2]);
        flat
    };
    let empty = MultivariateGaussianStats::new(vec![0.0; 2], false);
    for structure in CovarianceStructure::ALL.into_iter().filter(|s| !s.is_diagonal()) {
        let start = vec![MultivariateGaussian::standard(structure, vec![0.0; 2]); 2];
        let none = maximize(&start, &[good.clone(), empty.clone()]);
        assert!(matches!(none, Err(EstimateError::NoWeight { component: 1, .. })), "{structure}");
        let result = maximize(&start, &[good.clone(), flat.clone()]);
        if matches!(structure, VVV | EVV | EVE | VVE) {
            let expected = EstimateError::Singular { component: 1, column: 1, variance: 0.0 };
            assert_eq!(result.unwrap_err(), expected, "{structure}");
        } else {
            assert!(result.is_ok(), "{structure}: what is shared is not flat");
        }
    }
}
