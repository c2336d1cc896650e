//! The inverse Wishart distribution.

use elbo_core::{
    DataError, Draw, EstimateError, Family, FlatParameters, Matrix, MatrixMut, OwnedRows, Range,
    Repairs, Rows,
};
use rand::Rng;

use crate::{
    ParameterError, Wishart, WishartPacked, WishartScratch, WishartStats,
    multivariate_gaussian::spd::Spd,
    wishart::{invert, log_density, matrices, parse_scale, refactor},
};

/// The inverse Wishart distribution over symmetric positive definite `d × d` matrices, with scale `Ψ` and `ν > d − 1`
/// degrees of freedom:
/// `ln p(X) = ½ν (ln |Ψ| − d ln 2) − ln Γ_d(ν/2) − ½(ν + d + 1) ln |X| − ½ tr(ΨX⁻¹)`.
///
/// It is the distribution of the inverse of a [`Wishart`] matrix `W(Ψ⁻¹, ν)`, and that of a covariance in a
/// [`NormalInverseWishart`](crate::NormalInverseWishart) prior
/// ([`covariance_prior`](crate::NormalInverseWishart::covariance_prior)). For a covariance that several components
/// share, that prior with the structure `EEE` is the conjugate one: it keeps one inverse Wishart for all of them.
///
/// Observations are as for the Wishart: rows of `d²` numbers, checked to be symmetric and positive definite; NaN is
/// refused. With `X` in unit `u`, `Ψ` is in `u`, too. Statistics and maximum likelihood are those of the Wishart
/// distribution of `X⁻¹`.
///
/// ```
/// use elbo_dist::InverseWishart;
///
/// let covariance = InverseWishart::new(5.0, 2, &[2.0, 0.0, 0.0, 4.0])?;
/// assert_eq!(covariance.mean().unwrap(), [1.0, 0.0, 0.0, 2.0]);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Gelman et al. (2013), *Bayesian Data Analysis*, section 3.6 and appendix A; variances: Siskind (1972), Biometrika 59(3).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Parameters", try_from = "Parameters")
)]
pub struct InverseWishart {
    degrees_of_freedom: f64,
    scale: Spd,
    d: usize,
}

impl InverseWishart {
    /// The distribution with these parameters; `scale` is `d × d`, row-major.
    ///
    /// # Errors
    ///
    /// As [`Wishart::new`].
    pub fn new(degrees_of_freedom: f64, d: usize, scale: &[f64]) -> Result<Self, ParameterError> {
        let scale = parse_scale(degrees_of_freedom, d, scale)?;
        Ok(Self { degrees_of_freedom, scale, d })
    }

    pub(crate) fn from_parts(degrees_of_freedom: f64, scale: Spd, d: usize) -> Self {
        Self { degrees_of_freedom, scale, d }
    }

    /// Order of the matrices.
    pub fn d(&self) -> usize {
        self.d
    }

    /// `ν`.
    pub fn degrees_of_freedom(&self) -> f64 {
        self.degrees_of_freedom
    }

    /// `Ψ`, `d × d`, row-major.
    pub fn scale(&self) -> Vec<f64> {
        self.scale.to_dense()
    }

    /// `ln p(X)` at one matrix, row by row, in nats; NaN if it is not positive definite.
    ///
    /// # Panics
    ///
    /// If it has not `d²` numbers.
    pub fn log_density(&self, matrix: &[f64]) -> f64 {
        log_density(self, matrix)
    }

    /// `E[X] = Ψ/(ν − d − 1)`, row-major; none for `ν ≤ d + 1`, where it diverges.
    pub fn mean(&self) -> Option<Vec<f64>> {
        let divisor = self.degrees_of_freedom - self.d as f64 - 1.0;
        (divisor > 0.0).then(|| self.scale().into_iter().map(|v| v / divisor).collect())
    }

    /// `Var[Xᵢⱼ] = [(ν − d + 1) Ψᵢⱼ² + (ν − d − 1) Ψᵢᵢ Ψⱼⱼ] / [(ν − d)(ν − d − 1)²(ν − d − 3)]` of every entry,
    /// row-major; none for `ν ≤ d + 3`, where they diverge.
    pub fn variance(&self) -> Option<Vec<f64>> {
        let (d, v) = (self.d, self.scale());
        let excess = self.degrees_of_freedom - d as f64;
        let divisor = excess * (excess - 1.0).powi(2) * (excess - 3.0);
        let entry = |i: usize, j: usize| {
            (excess + 1.0) * v[i * d + j].powi(2) + (excess - 1.0) * v[i * d + i] * v[j * d + j]
        };
        (excess > 3.0)
            .then(|| (0..d * d).map(|place| entry(place / d, place % d) / divisor).collect())
    }

    /// `Ψ/(ν + d + 1)`, the mode.
    pub fn mode(&self) -> Vec<f64> {
        let divisor = self.degrees_of_freedom + self.d as f64 + 1.0;
        self.scale().into_iter().map(|v| v / divisor).collect()
    }

    /// `E ln |X| = ln |Ψ| − d ln 2 − ψ_d(ν/2)`.
    pub fn expected_log_det(&self) -> f64 {
        -matrices::expected_log_det(self.d, self.degrees_of_freedom, -self.scale.log_det())
    }

    /// `−E[ln p(X)]`, in nats.
    pub fn entropy(&self) -> f64 {
        let slope = 0.5 * (self.degrees_of_freedom + self.d as f64 + 1.0);
        0.5 * self.degrees_of_freedom * self.d as f64 + slope * self.expected_log_det()
            - self.log_normalizer()
    }

    /// `KL(self ‖ other)`, in nats: that of the Wishart distributions of the inverses.
    ///
    /// # Panics
    ///
    /// If the orders differ.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(self.d, other.d, "matrices of another order");
        let log_dets = self.scale.log_det() - other.scale.log_det();
        let trace = self.scale.trace_of_solved(&other.scale.values);
        matrices::kl_wishart(
            self.d,
            self.degrees_of_freedom,
            other.degrees_of_freedom,
            log_dets,
            trace,
        )
    }

    /// The distribution of `X⁻¹`.
    pub fn inverse(&self) -> Wishart {
        Wishart::from_parts(self.degrees_of_freedom, invert(&self.scale, self.d), self.d)
    }

    /// One draw, `d²` numbers, row-major. Cost: `d³` flops.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        let d = self.d;
        let mut rows = matrices::bartlett(d, self.degrees_of_freedom, rng);
        // X⁻¹ = L⁻ᵀ A Aᵀ L⁻¹ with Ψ = L Lᵀ, so X = (L A⁻ᵀ)(L A⁻ᵀ)ᵀ: a sum over the rows of A⁻¹
        elbo_linalg::invert_lower_in_place(&mut rows, d);
        rows.chunks_exact_mut(d).for_each(|row| self.scale.color_in_place(row));
        matrices::gram(&rows, d)
    }

    fn log_normalizer(&self) -> f64 {
        matrices::log_normalizer(self.d, self.degrees_of_freedom, -self.scale.log_det())
    }
}

impl Draw for InverseWishart {
    type Drawn = OwnedRows;

    fn no_draws(&self) -> OwnedRows {
        OwnedRows::new(self.d * self.d)
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut OwnedRows) {
        (0..n).for_each(|_| drawn.push(&self.sample(rng)));
    }

    fn batch_of(drawn: &OwnedRows) -> Rows<'_> {
        drawn.rows()
    }
}

/// Coordinates are `ln(ν − d + 1)` and the lower triangle of the Cholesky factor of `Ψ` row by row, its diagonal in
/// logarithms.
impl FlatParameters for InverseWishart {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        matrices::write_unconstrained(self.degrees_of_freedom, &self.scale, self.d, out);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let (degrees_of_freedom, scale) = matrices::read_unconstrained(self.d, from);
        Self { degrees_of_freedom, scale, d: self.d }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        matrices::for_each_parameter(self.degrees_of_freedom, &self.scale, self.d, see);
    }
}

impl Family for InverseWishart {
    type Batch<'a> = Rows<'a>;
    type Stats = WishartStats;
    type Packed = WishartPacked;
    type Scratch = WishartScratch;

    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        matrices::check_matrices(data, self.d)
    }

    fn new_stats(&self) -> WishartStats {
        WishartStats::new(self.d)
    }

    fn new_packed(&self, k: usize) -> WishartPacked {
        WishartPacked::new(k, self.d)
    }

    fn new_scratch(packed: &WishartPacked) -> WishartScratch {
        WishartScratch::new(packed)
    }

    fn pack(&self, j: usize, packed: &mut WishartPacked) {
        let slope = 0.5 * (self.degrees_of_freedom + self.d as f64 + 1.0);
        packed.set(j, self.log_normalizer(), &self.scale(), slope);
    }

    fn score_all(
        packed: &WishartPacked,
        data: Rows<'_>,
        out: MatrixMut<'_>,
        scratch: &mut WishartScratch,
    ) {
        matrices::score(packed, data, true, out, scratch);
    }

    fn observe_all(
        packed: &WishartPacked,
        stats: &mut [WishartStats],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut WishartScratch,
    ) {
        matrices::observe(packed, stats, data, true, weights, scratch);
    }

    /// `Ψ⁻¹` is the mean of `X⁻¹` over `ν`. Where all matrices are the same, or there is one only, the likelihood has no
    /// maximum: [`EstimateError::Boundary`].
    fn maximize(&self, stats: &WishartStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        let (degrees_of_freedom, mean) = matrices::most_likely(self.d, stats)?;
        next.scale.values.copy_from_slice(&matrices::inverse(&mean, self.d));
        next.scale.values.iter_mut().for_each(|v| *v *= degrees_of_freedom);
        refactor(&mut next.scale)?;
        next.degrees_of_freedom = degrees_of_freedom;
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> WishartStats {
        let inverse = self.inverse();
        WishartStats::of(weight, self.d, &inverse.mean(), -self.expected_log_det())
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * (1 + matrices::triangle(self.d))
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    degrees_of_freedom: f64,
    scale: Vec<Vec<f64>>,
}

#[cfg(feature = "serde")]
impl From<InverseWishart> for Parameters {
    fn from(wishart: InverseWishart) -> Self {
        let scale = wishart.scale().chunks_exact(wishart.d).map(<[f64]>::to_vec).collect();
        Self { degrees_of_freedom: wishart.degrees_of_freedom, scale }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for InverseWishart {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.degrees_of_freedom, p.scale.len(), &p.scale.concat())
    }
}
