//! Rotations of loadings towards what is easy to read.

use elbo_linalg::{View, multiply_into};

/// Towards what loadings are rotated. The first two keep factors uncorrelated, the others let them correlate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rotation {
    /// Largest variance of squared loadings within factors (Kaiser 1958); with `kaiser`, of rows scaled to length one.
    Varimax {
        /// Kaiser's normalization, which every program turns on by default.
        kaiser: bool,
    },
    /// Largest variance of squared loadings within rows.
    Quartimax,
    /// Least squares towards varimax loadings with their size raised to a power (Hendrickson & White 1964).
    Promax {
        /// The power; 4 as a rule.
        power: f64,
    },
    /// Direct oblimin, `¼ Σ_{a≠b} [Σᵢ λ²ᵢₐ λ²ᵢᵦ − γ/d Σᵢ λ²ᵢₐ Σᵢ λ²ᵢᵦ]` (Jennrich & Sampson 1966); quartimin at 0.
    Oblimin {
        /// `γ ≤ 0` as a rule; above, factors may fall together.
        gamma: f64,
    },
    /// `Σᵢ (Πₐ (λ²ᵢₐ + ε))^{1/q}`: a small loading in every row (Yates 1987).
    Geomin {
        /// `ε > 0`; 0.01 as a rule.
        epsilon: f64,
    },
}

/// Rotated loadings. Factors are in order of falling sums of squares, the largest loading of each is positive.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rotated {
    /// `W T`, `d × q`, row-major: the pattern.
    pub loadings: Vec<f64>,
    /// `T`, `q × q`: the factors of these loadings are `T⁻¹ z`.
    pub transform: Vec<f64>,
    /// Correlations of the factors, `T⁻¹ T⁻ᵀ`, `q × q`; the identity for an orthogonal rotation.
    pub correlations: Vec<f64>,
    /// Did the iteration settle?
    pub converged: bool,
}

/// Why loadings cannot be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// A loading is NaN or infinite.
    #[error("loading {factor} of column {column} is not finite")]
    NotFinite {
        /// Column of the data, from 0.
        column: usize,
        /// Factor, from 0.
        factor: usize,
    },
    /// Loadings of fewer dimensions than factors.
    #[error("the loadings of {factors} factors are linearly dependent; use fewer factors")]
    Dependent {
        /// Factors given.
        factors: usize,
    },
}

/// Rotates loadings, `d × q`, row-major, usually those of columns in units of their standard deviations.
///
/// Orthogonal criteria are maximized plane by plane, each at its best angle; oblique ones by projected gradients.
/// Where a criterion has several maxima, the one near the loadings given is found.
/// Cost: `d q²` flops per sweep of planes, `4 d q²` per gradient.
///
/// # Errors
///
/// [`RotationError`] if a loading is not finite, or an oblique rotation does not exist.
///
/// # Panics
///
/// If `loadings` is no multiple of `q > 0`.
///
/// # Source
///
/// Planes: Kaiser (1958), Psychometrika 23(3). Projected gradients: Jennrich (2002), Psychometrika 67(1).
pub fn rotate(loadings: &[f64], q: usize, to: Rotation) -> Result<Rotated, RotationError> {
    assert!(q > 0 && loadings.len().is_multiple_of(q), "{} loadings of {q}", loadings.len());
    if let Some(place) = loadings.iter().position(|w| !w.is_finite()) {
        return Err(RotationError::NotFinite { column: place / q, factor: place % q });
    }
    let (transform, converged) = match to {
        Rotation::Varimax { kaiser } => orthomax(loadings, q, 1.0, kaiser),
        Rotation::Quartimax => orthomax(loadings, q, 0.0, false),
        Rotation::Promax { power } => promax(loadings, q, power)?,
        Rotation::Oblimin { gamma } => oblique(loadings, q, &|l, g| oblimin(l, q, gamma, g))?,
        Rotation::Geomin { epsilon } => oblique(loadings, q, &|l, g| geomin(l, q, epsilon, g))?,
    };
    let is_orthogonal = matches!(to, Rotation::Varimax { .. } | Rotation::Quartimax);
    let rotated = canonical(loadings, q, &transform, converged, is_orthogonal);
    rotated.ok_or(RotationError::Dependent { factors: q })
}

fn product(a: &[f64], b: &[f64], q: usize) -> Vec<f64> {
    let rows = a.len() / q;
    let mut out = vec![0.0; rows * q];
    multiply_into(View::new(a, rows, q), View::new(b, q, q), &mut out);
    out
}

/// `aᵀ b`, `q × q`.
fn cross(a: &[f64], b: &[f64], q: usize) -> Vec<f64> {
    let rows = a.len() / q;
    let mut out = vec![0.0; q * q];
    multiply_into(View::new(a, rows, q).t(), View::new(b, rows, q), &mut out);
    out
}

fn transposed(a: &[f64], q: usize) -> Vec<f64> {
    (0..q * q).map(|p| a[p % q * q + p / q]).collect()
}

fn identity(q: usize) -> Vec<f64> {
    (0..q * q).map(|p| f64::from(u8::from(p % (q + 1) == 0))).collect()
}

/// Inverse by elimination with row exchanges; nothing if singular to working precision.
fn inverse(a: &[f64], q: usize) -> Option<Vec<f64>> {
    let (mut a, mut b) = (a.to_vec(), identity(q));
    let size = a.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
    for k in 0..q {
        let pivot = (k..q).max_by(|i, j| a[i * q + k].abs().total_cmp(&a[j * q + k].abs()))?;
        let value = a[pivot * q + k];
        if !(value.abs() > 1e-13 * size) {
            return None;
        }
        for column in 0..q {
            a.swap(k * q + column, pivot * q + column);
            b.swap(k * q + column, pivot * q + column);
        }
        for x in [&mut a, &mut b] {
            x[k * q..][..q].iter_mut().for_each(|x| *x /= value);
        }
        for i in (0..q).filter(|i| *i != k) {
            let factor = a[i * q + k];
            for column in 0..q {
                a[i * q + column] -= factor * a[k * q + column];
                b[i * q + column] -= factor * b[k * q + column];
            }
        }
    }
    Some(b)
}

/// Orders and signs factors.
fn canonical(
    loadings: &[f64],
    q: usize,
    transform: &[f64],
    converged: bool,
    is_orthogonal: bool,
) -> Option<Rotated> {
    let all = product(loadings, transform, q);
    let column = |a: usize| all.iter().skip(a).step_by(q);
    let squares: Vec<f64> = (0..q).map(|a| column(a).map(|w| w * w).sum()).collect();
    let mut order: Vec<usize> = (0..q).collect();
    order.sort_by(|a, b| squares[*b].total_cmp(&squares[*a]));
    let sign = |a: usize| {
        let largest = |x: f64, y: &f64| if y.abs() > x.abs() { *y } else { x };
        if column(a).fold(0.0, largest) < 0.0 { -1.0 } else { 1.0 }
    };
    let signs: Vec<f64> = (0..q).map(sign).collect();
    let arrange = |m: &[f64]| -> Vec<f64> {
        m.chunks_exact(q).flat_map(|row| order.iter().map(|a| signs[*a] * row[*a])).collect()
    };
    let (loadings, transform) = (arrange(&all), arrange(transform));
    let correlations = if is_orthogonal {
        identity(q)
    } else {
        let inverse = inverse(&transform, q)?;
        cross(&transposed(&inverse, q), &transposed(&inverse, q), q)
    };
    Some(Rotated { loadings, transform, correlations, converged })
}

/// The orthogonal matrix that maximizes `Σₐ [Σᵢ λ⁴ − γ/d (Σᵢ λ²)²]`.
///
/// In a plane, with `u = x² − y²` and `v = 2xy`, the best angle is a quarter of that of
/// `(Σ(u² − v²) − γ((Σu)² − (Σv)²)/d, 2Σuv − 2γ Σu Σv/d)`.
fn orthomax(loadings: &[f64], q: usize, gamma: f64, kaiser: bool) -> (Vec<f64>, bool) {
    const SWEEPS: usize = 2000;
    let mut rows = loadings.to_vec();
    if kaiser {
        for row in rows.chunks_exact_mut(q) {
            let length = row.iter().map(|w| w * w).sum::<f64>().sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|w| *w /= length);
            }
        }
    }
    let d = (rows.len() / q) as f64;
    let mut transform = identity(q);
    for _ in 0..SWEEPS {
        let mut largest = 0.0_f64;
        for (a, b) in (0..q).flat_map(|a| (a + 1..q).map(move |b| (a, b))) {
            let [mut su, mut sv, mut squares, mut products] = [0.0; 4];
            for row in rows.chunks_exact(q) {
                let (x, y) = (row[a], row[b]);
                let (u, v) = ((x - y) * (x + y), 2.0 * x * y);
                (su, sv) = (su + u, sv + v);
                squares += (u - v) * (u + v);
                products += u * v;
            }
            let sine = 2.0 * (products - gamma * su * sv / d);
            let cosine = squares - gamma * (su - sv) * (su + sv) / d;
            let angle = 0.25 * sine.atan2(cosine);
            largest = largest.max(angle.abs());
            let (sin, cos) = angle.sin_cos();
            for row in rows.chunks_exact_mut(q).chain(transform.chunks_exact_mut(q)) {
                let (x, y) = (row[a], row[b]);
                row[a] = cos * x + sin * y;
                row[b] = cos * y - sin * x;
            }
        }
        if largest < 1e-13 {
            return (transform, true);
        }
    }
    (transform, false)
}

/// Varimax, then the matrix that brings it nearest to its own powers, scaled to factors of variance one.
fn promax(loadings: &[f64], q: usize, power: f64) -> Result<(Vec<f64>, bool), RotationError> {
    let dependent = RotationError::Dependent { factors: q };
    let (orthogonal, converged) = orthomax(loadings, q, 1.0, true);
    let rotated = product(loadings, &orthogonal, q);
    let target: Vec<f64> = rotated.iter().map(|w| w * w.abs().powf(power - 1.0)).collect();
    let normal = inverse(&cross(&rotated, &rotated, q), q).ok_or(dependent)?;
    let mut to = product(&normal, &cross(&rotated, &target, q), q);
    let variances = inverse(&cross(&to, &to, q), q).ok_or(dependent)?;
    for row in to.chunks_exact_mut(q) {
        row.iter_mut().enumerate().for_each(|(a, u)| *u *= variances[a * (q + 1)].sqrt());
    }
    Ok((product(&orthogonal, &to, q), converged))
}

/// `¼ Σ_{a≠b} [Σᵢ λ²ᵢₐ λ²ᵢᵦ − γ/d Σᵢ λ²ᵢₐ Σᵢ λ²ᵢᵦ]`, and its gradient.
fn oblimin(l: &[f64], q: usize, gamma: f64, gradient: &mut [f64]) -> f64 {
    let d = (l.len() / q) as f64;
    let mut totals = vec![0.0; q];
    for row in l.chunks_exact(q) {
        totals.iter_mut().zip(row).for_each(|(total, w)| *total += w * w);
    }
    let all: f64 = totals.iter().sum();
    let mut value = 0.0;
    for (row, gradient) in l.chunks_exact(q).zip(gradient.chunks_exact_mut(q)) {
        let here: f64 = row.iter().map(|w| w * w).sum();
        for (a, (w, gradient)) in row.iter().zip(gradient).enumerate() {
            let others = here - w * w - gamma / d * (all - totals[a]);
            *gradient = w * others;
            value += 0.25 * w * w * others;
        }
    }
    value
}

/// `Σᵢ (Πₐ (λ²ᵢₐ + ε))^{1/q}`, and its gradient.
fn geomin(l: &[f64], q: usize, epsilon: f64, gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for (row, gradient) in l.chunks_exact(q).zip(gradient.chunks_exact_mut(q)) {
        let logs: f64 = row.iter().map(|w| (w * w + epsilon).ln()).sum();
        let mean = (logs / q as f64).exp();
        value += mean;
        for (w, gradient) in row.iter().zip(gradient) {
            *gradient = 2.0 / q as f64 * w / (w * w + epsilon) * mean;
        }
    }
    value
}

/// Minimizes a criterion of `L = A T⁻ᵀ` over matrices `T` with columns of length one, so that `TᵀT` is the correlation of
/// the factors; returns `T⁻ᵀ`. Starts at quartimax.
fn oblique(
    loadings: &[f64],
    q: usize,
    criterion: &dyn Fn(&[f64], &mut [f64]) -> f64,
) -> Result<(Vec<f64>, bool), RotationError> {
    const STEPS: usize = 20_000;
    let dependent = RotationError::Dependent { factors: q };
    let at = |t: &[f64], gradient: &mut [f64]| {
        let inverse = inverse(t, q)?;
        let l = product(loadings, &transposed(&inverse, q), q);
        let value = criterion(&l, gradient);
        Some((value, l, inverse))
    };
    let (mut t, _) = orthomax(loadings, q, 0.0, false);
    let mut gradient = vec![0.0; loadings.len()];
    let (mut value, mut l, mut inverse_t) = at(&t, &mut gradient).ok_or(dependent)?;
    let size: f64 = loadings.iter().map(|w| w * w).sum();
    let mut length = 1.0;
    for _ in 0..STEPS {
        // −(Lᵀ G T⁻¹)ᵀ, without its part along the columns of T
        let mut slope = transposed(&product(&cross(&l, &gradient, q), &inverse_t, q), q);
        for a in 0..q {
            let along: f64 = (0..q).map(|i| t[i * q + a] * slope[i * q + a]).sum();
            (0..q).for_each(|i| slope[i * q + a] = along * t[i * q + a] - slope[i * q + a]);
        }
        let squares: f64 = slope.iter().map(|s| s * s).sum();
        if squares.sqrt() <= 1e-12 * size.max(value.abs()) {
            return Ok((transposed(&inverse_t, q), true));
        }
        length *= 2.0;
        let mut moved = false;
        for _ in 0..60 {
            let mut new: Vec<f64> = t.iter().zip(&slope).map(|(t, s)| t - length * s).collect();
            for a in 0..q {
                let norm = (0..q).map(|i| new[i * q + a].powi(2)).sum::<f64>().sqrt();
                (0..q).for_each(|i| new[i * q + a] /= norm);
            }
            let mut next = gradient.clone();
            if let Some((lower, new_l, inverse)) = at(&new, &mut next)
                && lower < value - 0.25 * length * squares
            {
                (t, value, l, inverse_t, gradient) = (new, lower, new_l, inverse, next);
                moved = true;
                break;
            }
            length *= 0.5;
        }
        if !moved {
            // the criterion no longer resolves the slope
            let settled = squares.sqrt() <= 1e-7 * size.max(value.abs());
            return Ok((transposed(&inverse_t, q), settled));
        }
    }
    Ok((transposed(&inverse_t, q), false))
}
