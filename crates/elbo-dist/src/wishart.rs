//! The Wishart distribution.

pub(crate) mod matrices;

use elbo_core::{
    DataError, Draw, EstimateError, Family, FlatParameters, Matrix, MatrixMut, OwnedRows, Range,
    Repairs, Rows,
};
use rand::Rng;

use crate::{
    CovarianceStructure, InverseWishart, ParameterError,
    multivariate_gaussian::{parse_spd, spd::Spd},
};
pub use matrices::{WishartPacked, WishartScratch, WishartStats};

/// The Wishart distribution `W(V, ν)` over symmetric positive definite `d × d` matrices, with scale `V` and `ν > d − 1`
/// degrees of freedom:
/// `ln p(X) = ½(ν − d − 1) ln |X| − ½ tr(V⁻¹X) − ½ν (d ln 2 + ln |V|) − ln Γ_d(ν/2)`.
///
/// It is the distribution of `Σ xxᵀ` over `ν` draws from `N(0, V)`. An observation is a row of `d²` numbers, the matrix
/// row by row; it is checked to be symmetric (to `1e-10` of the product of the standard deviations; the lower triangle
/// counts) and positive definite. NaN is refused. With `X` in unit `u`, `V` is in `u`, too.
///
/// Maximum likelihood has `V = X̄/ν` and one equation for `ν`, which depends on the data by `ln |X̄|` less the mean of
/// `ln |X|` only; Newton's method on the reciprocals of its two sides takes a handful of steps. The density is a sum over
/// entries of `V⁻¹` and `X`, which loses as many digits as the condition of `V` has.
///
/// ```
/// use elbo_core::{Family, Rows};
/// use elbo_dist::Wishart;
///
/// let start = Wishart::new(3.0, 2, &[1.0, 0.0, 0.0, 1.0])?;
/// let data = [2.0, 0.5, 0.5, 1.0, 4.0, -0.5, -0.5, 1.0];
/// let mut stats = start.new_stats();
/// start.observe(&mut stats, Rows::new(&data, 2, 4), &[1.0, 1.0]);
/// let mut fitted = start.clone();
/// start.maximize(&stats, &mut fitted).unwrap();
/// assert!((fitted.mean()[0] - 3.0).abs() < 1e-14);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Bishop (2006), appendix B; sampling: Bartlett's decomposition, Muirhead (1982), *Aspects of Multivariate Statistical
/// Theory*, section 3.2.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Parameters", try_from = "Parameters")
)]
pub struct Wishart {
    degrees_of_freedom: f64,
    scale: Spd,
    d: usize,
}

impl Wishart {
    /// `W(scale, degrees_of_freedom)`; `scale` is `d × d`, row-major.
    ///
    /// # Errors
    ///
    /// If the degrees of freedom are not above `d − 1` or not finite, or the scale is not a symmetric positive definite
    /// matrix of this size.
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

    /// `V`, `d × d`, row-major.
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

    /// `E[X] = νV`, row-major.
    pub fn mean(&self) -> Vec<f64> {
        self.scale().into_iter().map(|v| self.degrees_of_freedom * v).collect()
    }

    /// `Var[Xᵢⱼ] = ν (Vᵢⱼ² + Vᵢᵢ Vⱼⱼ)` of every entry, row-major.
    pub fn variance(&self) -> Vec<f64> {
        let (d, v) = (self.d, self.scale());
        let entry = |i: usize, j: usize| v[i * d + j].powi(2) + v[i * d + i] * v[j * d + j];
        (0..d * d).map(|place| self.degrees_of_freedom * entry(place / d, place % d)).collect()
    }

    /// `(ν − d − 1) V`, the mode; none for `ν < d + 1`, where the density grows toward singular matrices.
    pub fn mode(&self) -> Option<Vec<f64>> {
        let factor = self.degrees_of_freedom - self.d as f64 - 1.0;
        (factor >= 0.0).then(|| self.scale().into_iter().map(|v| factor * v).collect())
    }

    /// `E ln |X| = ψ_d(ν/2) + d ln 2 + ln |V|`.
    pub fn expected_log_det(&self) -> f64 {
        matrices::expected_log_det(self.d, self.degrees_of_freedom, self.scale.log_det())
    }

    /// `−E[ln p(X)]`, in nats.
    pub fn entropy(&self) -> f64 {
        let slope = 0.5 * (self.degrees_of_freedom - self.d as f64 - 1.0);
        0.5 * self.degrees_of_freedom * self.d as f64
            - slope * self.expected_log_det()
            - self.log_normalizer()
    }

    /// `KL(self ‖ other)`, in nats.
    ///
    /// # Panics
    ///
    /// If the orders differ.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(self.d, other.d, "matrices of another order");
        let log_dets = other.scale.log_det() - self.scale.log_det();
        let trace = other.scale.trace_of_solved(&self.scale.values);
        matrices::kl_wishart(
            self.d,
            self.degrees_of_freedom,
            other.degrees_of_freedom,
            log_dets,
            trace,
        )
    }

    /// The distribution of `X⁻¹`.
    pub fn inverse(&self) -> InverseWishart {
        let scale = invert(&self.scale, self.d);
        InverseWishart::from_parts(self.degrees_of_freedom, scale, self.d)
    }

    /// One draw, `d²` numbers, row-major. Cost: `d³` flops.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        let d = self.d;
        let a = matrices::bartlett(d, self.degrees_of_freedom, rng);
        // X = (L A)(L A)ᵀ: a sum over the columns of A
        let mut columns: Vec<f64> = (0..d * d).map(|place| a[place % d * d + place / d]).collect();
        columns.chunks_exact_mut(d).for_each(|column| self.scale.color_in_place(column));
        matrices::gram(&columns, d)
    }

    fn log_normalizer(&self) -> f64 {
        matrices::log_normalizer(self.d, self.degrees_of_freedom, self.scale.log_det())
    }
}

impl Draw for Wishart {
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

/// Coordinates are `ln(ν − d + 1)` and the lower triangle of the Cholesky factor of `V` row by row, its diagonal in
/// logarithms.
impl FlatParameters for Wishart {
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

impl Family for Wishart {
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
        let slope = 0.5 * (self.degrees_of_freedom - self.d as f64 - 1.0);
        let precision = matrices::inverse(&self.scale, self.d);
        packed.set(j, self.log_normalizer(), &precision, slope);
    }

    fn score_all(
        packed: &WishartPacked,
        data: Rows<'_>,
        out: MatrixMut<'_>,
        scratch: &mut WishartScratch,
    ) {
        matrices::score(packed, data, false, out, scratch);
    }

    fn observe_all(
        packed: &WishartPacked,
        stats: &mut [WishartStats],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut WishartScratch,
    ) {
        matrices::observe(packed, stats, data, false, weights, scratch);
    }

    /// Where all matrices are the same, or there is one only, the likelihood has no maximum:
    /// [`EstimateError::Boundary`].
    fn maximize(&self, stats: &WishartStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        let (degrees_of_freedom, mut scale) = matrices::most_likely(self.d, stats)?;
        scale.values.iter_mut().for_each(|v| *v /= degrees_of_freedom);
        refactor(&mut scale)?;
        (next.degrees_of_freedom, next.scale) = (degrees_of_freedom, scale);
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> WishartStats {
        WishartStats::of(weight, self.d, &self.mean(), self.expected_log_det())
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * (1 + matrices::triangle(self.d))
    }
}

/// The scale of a distribution with these degrees of freedom, both checked.
pub(crate) fn parse_scale(
    degrees_of_freedom: f64,
    d: usize,
    scale: &[f64],
) -> Result<Spd, ParameterError> {
    let scale = parse_spd("scale", CovarianceStructure::VVV, d, scale)?;
    if degrees_of_freedom > d as f64 - 1.0 && degrees_of_freedom.is_finite() {
        Ok(scale)
    } else {
        let (parameter, value) = ("degrees of freedom", degrees_of_freedom);
        Err(ParameterError::Entry { parameter, index: 0, value })
    }
}

/// The inverse of a scale.
pub(crate) fn invert(scale: &Spd, d: usize) -> Spd {
    Spd::new(matrices::inverse(scale, d), d).expect("the inverse of a scale is one")
}

/// Brings a scale up to date after its entries were multiplied.
pub(crate) fn refactor(scale: &mut Spd) -> Result<(), EstimateError> {
    scale.factor(0.0).map_err(|flat| EstimateError::Singular {
        component: 0,
        column: flat.column,
        variance: flat.variance,
    })
}

/// The score of a single matrix.
pub(crate) fn log_density<F>(family: &F, matrix: &[f64]) -> f64
where
    F: for<'a> Family<Batch<'a> = Rows<'a>>,
{
    let mut score = [f64::NAN];
    family.log_density_into(Rows::new(matrix, 1, matrix.len()), &mut score);
    score[0]
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    degrees_of_freedom: f64,
    scale: Vec<Vec<f64>>,
}

#[cfg(feature = "serde")]
impl From<Wishart> for Parameters {
    fn from(wishart: Wishart) -> Self {
        let scale = wishart.scale().chunks_exact(wishart.d).map(<[f64]>::to_vec).collect();
        Self { degrees_of_freedom: wishart.degrees_of_freedom, scale }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Wishart {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.degrees_of_freedom, p.scale.len(), &p.scale.concat())
    }
}
