//! Rotations against R, and by what a stationary point and a rotation are.

use elbo_factor::{Rotated, Rotation, RotationError, rotate};
use rand::RngExt;
use serde_json::Value;

use crate::rng;
use crate::support::{assert_close, matrix, product_transposed, reference};

const ALL: [Rotation; 6] = [
    Rotation::Varimax { kaiser: true },
    Rotation::Varimax { kaiser: false },
    Rotation::Quartimax,
    Rotation::Promax { power: 4.0 },
    Rotation::Oblimin { gamma: 0.0 },
    Rotation::Geomin { epsilon: 0.01 },
];

/// Loadings of 24 tests on 4 factors without a rotation, if the reference is at hand.
fn harman() -> Option<(Value, Vec<f64>)> {
    let all = reference("ref_rotation_harman74_q4.json")?;
    let unrotated = matrix(&all["loadings_unrotated"]);
    Some((all, unrotated))
}

/// Clusters of columns on each of `q` factors, some noise, and a random rotation.
fn loadings(d: usize, q: usize, seed: u64) -> Vec<f64> {
    let mut rng = rng(seed);
    let clean: Vec<f64> = (0..d * q)
        .map(|p| f64::from(u8::from(p / q % q == p % q)) * 0.8 + rng.random_range(-0.2..0.2))
        .collect();
    let mut turned = clean;
    for (a, b) in (0..q).flat_map(|a| (a + 1..q).map(move |b| (a, b))) {
        let (sin, cos) = rng.random_range(0.0..3.0_f64).sin_cos();
        for row in turned.chunks_exact_mut(q) {
            (row[a], row[b]) = (cos * row[a] + sin * row[b], cos * row[b] - sin * row[a]);
        }
    }
    turned
}

/// Columns in order of falling sums of squares, the largest number of each positive.
fn in_order(loadings: &[f64], q: usize) -> Vec<f64> {
    let mut columns: Vec<Vec<f64>> =
        (0..q).map(|a| loadings.iter().skip(a).step_by(q).copied().collect()).collect();
    let squares = |c: &[f64]| c.iter().map(|x| x * x).sum::<f64>();
    columns.sort_by(|a, b| squares(b).total_cmp(&squares(a)));
    for column in &mut columns {
        let largest =
            column.iter().copied().fold(0.0, |x: f64, y| if y.abs() > x.abs() { y } else { x });
        column.iter_mut().for_each(|x| *x *= largest.signum());
    }
    (0..loadings.len()).map(|p| columns[p % q][p / q]).collect()
}

/// R 4.2.2: `varimax` and `promax(m = 4)` of the loadings of `factanal` with four factors of `Harman74.cor`.
///
/// R's varimax stops when its criterion no longer grows, where the condition of a maximum is missed by 2e-8 with Kaiser's
/// normalization and 1e-9 without. Loadings are wrong by some tenth of that; ours are held to the condition itself below.
#[test]
fn varimax_and_promax_agree_with_r() {
    let Some((all, unrotated)) = harman() else { return };
    for (key, to, tolerance) in [
        ("varimax_kaiser", Rotation::Varimax { kaiser: true }, 2e-8),
        ("varimax_raw", Rotation::Varimax { kaiser: false }, 2e-8),
        ("promax_m4", Rotation::Promax { power: 4.0 }, 1e-10),
    ] {
        let found = rotate(&unrotated, 4, to).unwrap();
        assert!(found.converged);
        assert_close(&found.loadings, &in_order(&matrix(&all[key]), 4), tolerance);
    }
}

/// At a maximum of varimax `Zᵀ(Z³ − Z diag(ZᵀZ)/d)` is symmetric, `Z` being the rows that are rotated.
#[test]
fn varimax_meets_the_condition_of_a_maximum() {
    let (d, q, unrotated) = (24, 3, loadings(24, 3, 5));
    for kaiser in [true, false] {
        let mut z = rotate(&unrotated, q, Rotation::Varimax { kaiser }).unwrap().loadings;
        if kaiser {
            for row in z.chunks_exact_mut(q) {
                let length = row.iter().map(|w| w * w).sum::<f64>().sqrt();
                row.iter_mut().for_each(|w| *w /= length);
            }
        }
        let squares: Vec<f64> =
            (0..q).map(|a| z.chunks(q).map(|row| row[a] * row[a]).sum()).collect();
        let entry = |a: usize, b: usize| -> f64 {
            z.chunks(q)
                .map(|row| row[a] * (row[b].powi(3) - row[b] * squares[b] / f64::from(d)))
                .sum()
        };
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            assert!((entry(a, b) - entry(b, a)).abs() < 1e-12, "{a}, {b}");
        }
    }
}

#[test]
fn rotations_keep_what_the_factors_explain() {
    let unrotated = loadings(12, 3, 1);
    let before = product_transposed(&unrotated, &unrotated, 3);
    for to in ALL {
        let Rotated { loadings, correlations, transform, converged, .. } =
            rotate(&unrotated, 3, to).unwrap();
        assert!(converged, "{to:?}");
        let common = product_transposed(&loadings, &transposed(&correlations), 3);
        assert_close(&product_transposed(&common, &loadings, 3), &before, 1e-12);
        assert_close(&product_transposed(&unrotated, &transposed(&transform), 3), &loadings, 1e-13);
        (0..3).for_each(|a| assert!((correlations[a * 4] - 1.0).abs() < 1e-12, "{correlations:?}"));
        assert_eq!(in_order(&loadings, 3), loadings);
    }
}

fn transposed(a: &[f64]) -> Vec<f64> {
    (0..9).map(|p| a[p % 3 * 3 + p / 3]).collect()
}

/// Where loadings start from must not matter, as long as they are in the same basin.
#[test]
fn a_rotation_before_changes_nothing() {
    let one = loadings(12, 3, 2);
    let (sin, cos) = 0.3_f64.sin_cos();
    let other: Vec<f64> = one
        .chunks_exact(3)
        .flat_map(|row| [cos * row[0] + sin * row[2], row[1], cos * row[2] - sin * row[0]])
        .collect();
    for to in ALL {
        let (a, b) = (rotate(&one, 3, to).unwrap(), rotate(&other, 3, to).unwrap());
        assert_close(&a.loadings, &b.loadings, 1e-6);
    }
}

/// The criteria by their definitions, to be made small.
fn criterion(l: &[f64], q: usize, to: Rotation) -> f64 {
    let d = (l.len() / q) as f64;
    let sum = |f: &dyn Fn(&[f64]) -> f64| l.chunks_exact(q).map(f).sum::<f64>();
    let fourth = sum(&|row| row.iter().map(|w| w.powi(4)).sum());
    let squares = |a: usize| sum(&|row| row[a] * row[a]);
    match to {
        Rotation::Varimax { .. } => (0..q).map(|a| squares(a).powi(2)).sum::<f64>() / d - fourth,
        Rotation::Quartimax => -fourth,
        Rotation::Oblimin { gamma } => (0..q * q)
            .filter(|p| p / q != p % q)
            .map(|p| {
                let (a, b) = (p / q, p % q);
                sum(&|row| (row[a] * row[b]).powi(2)) - gamma / d * squares(a) * squares(b)
            })
            .sum(),
        Rotation::Geomin { epsilon } => {
            sum(&|row| row.iter().map(|w| w * w + epsilon).product::<f64>().powf(1.0 / q as f64))
        }
        Rotation::Promax { .. } => unreachable!(),
    }
}

#[test]
fn orthogonal_criteria_have_a_minimum_over_planes() {
    let unrotated = loadings(12, 3, 3);
    for to in [Rotation::Varimax { kaiser: false }, Rotation::Quartimax] {
        let l = rotate(&unrotated, 3, to).unwrap().loadings;
        let here = criterion(&l, 3, to);
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            for angle in [1e-3_f64, -1e-3] {
                let (sin, cos) = angle.sin_cos();
                let mut near = l.clone();
                for row in near.chunks_exact_mut(3) {
                    (row[a], row[b]) = (cos * row[a] + sin * row[b], cos * row[b] - sin * row[a]);
                }
                assert!(criterion(&near, 3, to) > here, "{to:?}, plane {a}, {b}");
            }
        }
    }
}

/// Moving factor `b` a little towards `a`, with variances of one kept, changes loadings in two columns.
#[test]
fn oblique_criteria_have_a_minimum() {
    let unrotated = loadings(12, 3, 4);
    let cases = [
        Rotation::Oblimin { gamma: 0.0 },
        Rotation::Oblimin { gamma: -0.5 },
        Rotation::Geomin { epsilon: 0.01 },
    ];
    for to in cases {
        let rotated = rotate(&unrotated, 3, to).unwrap();
        let here = criterion(&rotated.loadings, 3, to);
        let phi = &rotated.correlations;
        for (a, b) in (0..9).map(|p| (p / 3, p % 3)).filter(|(a, b)| a != b) {
            for step in [1e-3_f64, -1e-3] {
                // z_b' = (z_b + step z_a) / s, so z_b = s z_b' − step z_a
                let s = (1.0 + 2.0 * step * phi[a * 3 + b] + step * step).sqrt();
                let mut near = rotated.loadings.clone();
                for row in near.chunks_exact_mut(3) {
                    row[a] -= step * row[b];
                    row[b] *= s;
                }
                let there = criterion(&near, 3, to);
                assert!(there > here, "{to:?}: {a}, {b}: {there} below {here}");
            }
        }
    }
}

#[test]
fn bad_loadings_are_refused() {
    let varimax = Rotation::Varimax { kaiser: true };
    let error = rotate(&[1.0, 2.0, f64::NAN, 1.0], 2, varimax).unwrap_err();
    assert_eq!(error, RotationError::NotFinite { column: 1, factor: 0 });
    let error = rotate(&[1.0, 2.0, 2.0, 4.0], 2, Rotation::Promax { power: 4.0 }).unwrap_err();
    assert_eq!(error, RotationError::Dependent { factors: 2 });
    let zero = rotate(&[0.0; 6], 2, varimax).unwrap();
    assert_eq!(zero.loadings, [0.0; 6]);
}
