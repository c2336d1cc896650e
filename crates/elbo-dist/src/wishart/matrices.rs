//! What a Wishart distribution and its inverse share: rows that are matrices, their statistics, degrees of freedom.

use std::f64::consts::LN_2;

use elbo_core::{
    BLOCK, Batch, DataError, EstimateError, Matrix, MatrixMut, Range, Rows, Statistics,
};
use elbo_linalg::{cholesky_in_place, log_det_from_cholesky, spd_inverse_from_cholesky};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::{
    block::check_shape,
    gamma::standard_gamma,
    linear::{Linear, check_entries, check_width, weighted_sum},
    multivariate_gaussian::spd::Spd,
    prior::learning::shape_with_spread,
    special::{ln_multivariate_gamma, multivariate_digamma},
};

/// Weighted sufficient statistics of a [`Wishart`](crate::Wishart): `Σw`, in matrices, `Σw X` and `Σw ln |X|`. An
/// [`InverseWishart`](crate::InverseWishart) keeps them of the inverses `X⁻¹`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WishartStats {
    weight: f64,
    /// Lower triangle, row by row.
    sum: Vec<f64>,
    log_det_sum: f64,
}

impl WishartStats {
    /// Nothing observed, of `d × d` matrices.
    pub fn new(d: usize) -> Self {
        Self { weight: 0.0, sum: vec![0.0; triangle(d)], log_det_sum: 0.0 }
    }

    /// `weight` times a matrix, row-major, and a log determinant.
    pub(crate) fn of(weight: f64, d: usize, matrix: &[f64], log_det: f64) -> Self {
        let sum = lower(d).map(|(i, j)| weight * matrix[i * d + j]).collect();
        Self { weight, sum, log_det_sum: weight * log_det }
    }

    /// `Σw`, in matrices.
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// `Σw ln |X|`, or `Σw ln |X⁻¹|`.
    pub fn log_det_sum(&self) -> f64 {
        self.log_det_sum
    }

    /// The lower triangle of `Σw X`, or of `Σw X⁻¹`, row by row.
    pub fn sum(&self) -> &[f64] {
        &self.sum
    }
}

impl Statistics for WishartStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.weight));
        see(&self.sum);
        see(std::slice::from_ref(&self.log_det_sum));
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.weight));
        see(&mut self.sum);
        see(std::slice::from_mut(&mut self.log_det_sum));
    }
}

/// `k` Wishart or inverse Wishart distributions as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct WishartPacked {
    linear: Linear,
    d: usize,
}

impl WishartPacked {
    pub(crate) fn new(k: usize, d: usize) -> Self {
        Self { linear: Linear::new(k, triangle(d) + 1), d }
    }

    /// Matrices are scored by `constant − ½ tr(precision · X) + slope · ln |X|`.
    pub(crate) fn set(&mut self, j: usize, constant: f64, precision: &[f64], slope: f64) {
        let d = self.d;
        let twice = |(i, j): (usize, usize)| if i == j { 0.5 } else { 1.0 }; // both triangles
        let traces = lower(d).map(|place| -twice(place) * precision[place.0 * d + place.1]);
        self.linear.set(j, constant, traces.chain([slope]));
    }
}

/// The matrices of a block, or their inverses, entry by entry, and their log determinants.
#[derive(Clone, Debug)]
pub struct WishartScratch {
    matrix: Vec<f64>,
    inverse: Vec<f64>,
    /// Lower triangle and log determinant; [`BLOCK`] numbers each.
    features: Vec<f64>,
}

impl WishartScratch {
    pub(crate) fn new(packed: &WishartPacked) -> Self {
        let size = packed.d * packed.d;
        Self {
            matrix: vec![0.0; size],
            inverse: vec![0.0; size],
            features: vec![0.0; BLOCK * packed.linear.features()],
        }
    }

    fn load(&mut self, data: Rows<'_>, d: usize, inverted: bool) {
        for row in 0..data.len() {
            data.copy_row(row, &mut self.matrix);
            if !inverted {
                self.inverse.copy_from_slice(&self.matrix);
            }
            let log_det = if cholesky_in_place(&mut self.matrix, d).is_ok() {
                log_det_from_cholesky(&self.matrix, d)
            } else {
                f64::NAN // refused by `check`: no score at all
            };
            if inverted {
                spd_inverse_from_cholesky(&self.matrix, d, &mut self.inverse);
            }
            for (feature, (i, j)) in lower(d).enumerate() {
                self.features[feature * BLOCK + row] = self.inverse[i * d + j];
            }
            let log_det = if inverted { -log_det } else { log_det };
            self.features[triangle(d) * BLOCK + row] = log_det;
        }
    }
}

/// Scores matrices, or their inverses.
pub(crate) fn score(
    packed: &WishartPacked,
    data: Rows<'_>,
    inverted: bool,
    mut out: MatrixMut<'_>,
    scratch: &mut WishartScratch,
) {
    check_shape(packed.linear.k(), data.len(), out.rows(), out.columns());
    scratch.load(data, packed.d, inverted);
    packed.linear.start(&mut out);
    for (feature, values) in scratch.features.chunks_exact(BLOCK).enumerate() {
        packed.linear.add(feature, &values[..data.len()], &mut out);
    }
}

/// Observes matrices, or their inverses.
pub(crate) fn observe(
    packed: &WishartPacked,
    stats: &mut [WishartStats],
    data: Rows<'_>,
    inverted: bool,
    weights: Matrix<'_>,
    scratch: &mut WishartScratch,
) {
    check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
    scratch.load(data, packed.d, inverted);
    for (j, stats) in stats.iter_mut().enumerate() {
        let weights = weights.row(j);
        stats.weight += weights.iter().sum::<f64>();
        let sums = stats.sum.iter_mut().chain([&mut stats.log_det_sum]);
        for (sum, values) in sums.zip(scratch.features.chunks_exact(BLOCK)) {
            *sum += weighted_sum(&values[..data.len()], weights);
        }
    }
}

/// Refuses rows that are no symmetric positive definite `d × d` matrices.
pub(crate) fn check_matrices(data: Rows<'_>, d: usize) -> Result<(), DataError> {
    const ASYMMETRY: f64 = 1e-10;
    check_width(data, d * d)?;
    check_entries(data, "a finite number", |_| true)?;
    let mut matrix = vec![0.0; d * d];
    for row in 0..data.len() {
        let refuse = |column, value, needed| Err(DataError::Support { row, column, value, needed });
        data.copy_row(row, &mut matrix);
        for (i, j) in lower(d) {
            let size = (matrix[i * d + i].abs() * matrix[j * d + j].abs()).sqrt();
            let (lower, upper) = (matrix[i * d + j], matrix[j * d + i]);
            if (upper - lower).abs() > ASYMMETRY * size {
                return refuse(j * d + i, upper, "a symmetric matrix");
            }
        }
        if let Err(flat) = cholesky_in_place(&mut matrix, d) {
            let column = flat.column * (d + 1);
            return refuse(column, data.get(row, column), "a positive definite matrix");
        }
    }
    Ok(())
}

/// `−½ν (d ln 2 + ln |V|) − ln Γ_d(ν/2)` of a Wishart distribution with scale `V`.
pub(crate) fn log_normalizer(d: usize, degrees_of_freedom: f64, log_det_of_scale: f64) -> f64 {
    let half = 0.5 * degrees_of_freedom;
    -half * (d as f64 * LN_2 + log_det_of_scale) - ln_multivariate_gamma(d, half)
}

/// `E ln |X| = ψ_d(ν/2) + d ln 2 + ln |V|`.
pub(crate) fn expected_log_det(d: usize, degrees_of_freedom: f64, log_det_of_scale: f64) -> f64 {
    multivariate_digamma(d, 0.5 * degrees_of_freedom) + d as f64 * LN_2 + log_det_of_scale
}

/// `KL(W(V, ν) ‖ W(V₀, ν₀))`, given `ln |V₀| − ln |V|` and `tr(V₀⁻¹ V)`; the same for the distributions of the inverses.
pub(crate) fn kl_wishart(d: usize, nu: f64, nu_0: f64, log_dets: f64, trace: f64) -> f64 {
    let (half, half_0) = (0.5 * nu, 0.5 * nu_0);
    half_0 * log_dets + half * (trace - d as f64) + ln_multivariate_gamma(d, half_0)
        - ln_multivariate_gamma(d, half)
        + (half - half_0) * multivariate_digamma(d, half)
}

/// The lower triangular `A` of Bartlett's decomposition: `A Aᵀ ∼ W(I, ν)`.
pub(crate) fn bartlett(
    d: usize,
    degrees_of_freedom: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Vec<f64> {
    let mut a = vec![0.0; d * d];
    for (i, j) in lower(d) {
        a[i * d + j] = if i == j {
            (2.0 * standard_gamma(0.5 * (degrees_of_freedom - i as f64), rng)).sqrt()
        } else {
            rng.sample(StandardNormal)
        };
    }
    a
}

/// The most likely degrees of freedom, and the mean of the matrices.
///
/// # Errors
///
/// Statistics of no distribution, of no weight, or of matrices that are all the same.
pub(crate) fn most_likely(d: usize, stats: &WishartStats) -> Result<(f64, Spd), EstimateError> {
    const WHAT: EstimateError =
        EstimateError::Infeasible { component: 0, what: "Wishart distribution" };
    let weight = stats.weight;
    let finite = stats.sum.iter().chain([&stats.log_det_sum]).all(|x| x.is_finite());
    if !(weight >= 0.0 && weight.is_finite() && finite) {
        return Err(WHAT);
    }
    if weight == 0.0 {
        let empty = stats.sum.iter().chain([&stats.log_det_sum]).all(|x| *x == 0.0);
        return Err(if empty { EstimateError::NoWeight { component: 0, weight } } else { WHAT });
    }
    let mut values = vec![0.0; d * d];
    for ((i, j), sum) in lower(d).zip(&stats.sum) {
        values[i * d + j] = sum / weight;
    }
    let mean = Spd::new(values, d).map_err(|flat| EstimateError::Singular {
        component: 0,
        column: flat.column,
        variance: flat.variance,
    })?;
    let mean_log_det = stats.log_det_sum / weight;
    let shortfall = mean.log_det() - mean_log_det;
    let rounding = 1024.0 * f64::EPSILON * (d as f64 + mean_log_det.abs());
    if shortfall < -rounding {
        return Err(WHAT); // ln |X| is concave
    }
    if shortfall <= rounding {
        return Err(EstimateError::Boundary {
            component: 0,
            parameter: "degrees of freedom",
            limit: "infinity",
            cure: "all its matrices are the same: use fewer components, or fix them",
        });
    }
    let half = shape_with_spread(d, shortfall).ok_or(WHAT)?;
    Ok((2.0 * half, mean))
}

/// `Σ⁻¹ = UᵀU`, row-major.
pub(crate) fn inverse(spd: &Spd, d: usize) -> Vec<f64> {
    let u = spd.whitening();
    let entry = |i: usize, j: usize| (i.max(j)..d).map(|r| u[r * d + i] * u[r * d + j]).sum();
    (0..d * d).map(|place| entry(place / d, place % d)).collect()
}

/// `Σ yyᵀ` over vectors of length `d`.
pub(crate) fn gram(vectors: &[f64], d: usize) -> Vec<f64> {
    let mut sum = vec![0.0; d * d];
    for y in vectors.chunks_exact(d) {
        elbo_linalg::rank_one_update_lower(&mut sum, d, 1.0, y);
    }
    elbo_linalg::mirror_lower(&mut sum, d);
    sum
}

/// Number of entries of a lower triangle.
pub(crate) fn triangle(d: usize) -> usize {
    d * (d + 1) / 2
}

/// Its places, row by row.
pub(crate) fn lower(d: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..d).flat_map(|i| (0..=i).map(move |j| (i, j)))
}

/// Appends `ln(ν − d + 1)` and the lower triangle of the Cholesky factor, its diagonal in logarithms.
pub(crate) fn write_unconstrained(nu: f64, scale: &Spd, d: usize, out: &mut Vec<f64>) {
    let factor = scale.scale_factor();
    out.push((nu - (d as f64 - 1.0)).ln());
    let entry = |(i, j): (usize, usize)| {
        let value = factor[i * d + j];
        if i == j { value.ln() } else { value }
    };
    out.extend(lower(d).map(entry));
}

/// The degrees of freedom and the scale with these coordinates.
pub(crate) fn read_unconstrained(d: usize, from: &mut &[f64]) -> (f64, Spd) {
    let coordinates = elbo_core::take_front(from, 1 + triangle(d));
    let mut factor = vec![0.0; d * d];
    for ((i, j), x) in lower(d).zip(&coordinates[1..]) {
        factor[i * d + j] = if i == j { x.exp() } else { *x };
    }
    (coordinates[0].exp() + (d as f64 - 1.0), Spd::from_scale_factor(factor, d))
}

/// Shows the degrees of freedom and the lower triangle of the scale.
pub(crate) fn for_each_parameter(
    nu: f64,
    scale: &Spd,
    d: usize,
    see: &mut dyn FnMut(&str, f64, Range),
) {
    see("degrees of freedom", nu, Range::Positive);
    for (i, j) in lower(d) {
        let range = if i == j { Range::Positive } else { Range::Real };
        see(&format!("scale[{i},{j}]"), scale.get(i, j), range);
    }
}
