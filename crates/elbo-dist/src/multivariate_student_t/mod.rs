//! The multivariate Student t.

mod dof;
mod flat;
mod stats;

use std::f64::consts::PI;

use elbo_core::{
    BLOCK, BLOCK_STRIDE, Batch, DataError, EstimateError, Family, Matrix, MatrixMut, Repairs, Rows,
};
use rand::Rng;
use rand_distr::{ChiSquared, Distribution};

pub use stats::MultivariateStudentTStats;

use crate::multivariate_gaussian::kernels::{
    self, BlockId, Moments, PackedGaussians, Scratch, Shape,
};
use crate::multivariate_gaussian::packed::{finish_component, kernel_rows};
use crate::{
    CovarianceStructure, MultivariateGaussian, ParameterError, block::check_shape, error::positive,
    special::ln_gamma_ratio,
};

/// The multivariate Student t with location `μ`, scale matrix `Σ` and degrees of freedom `ν`: with
/// `r = 1 + (x − μ)ᵀ Σ⁻¹ (x − μ)/ν`,
/// `ln p(x) = ln Γ((ν + d)/2) − ln Γ(ν/2) − ½ d ln πν − ½ ln |Σ| − ½(ν + d) ln r`.
///
/// A [`MultivariateGaussian`] whose outliers are expected: the fewer degrees of freedom, the heavier the tails. The scale
/// matrix is full (`VVV`), diagonal (`VVI`) or spherical (`VII`); columns are never independent, not even then. With `x`
/// in unit `u`, the location is in `u` and the scale matrix in `u²`; the covariance is `ν/(ν − 2) Σ`. NaN in data is
/// refused: there is no rule for missing numbers here.
///
/// ```
/// use elbo_core::{Rows, fit_single};
/// use elbo_dist::{CovarianceStructure::VVV, MultivariateStudentT};
///
/// let start = MultivariateStudentT::with_fixed_dof(VVV, vec![0.0; 2], &[1.0, 0.0, 0.0, 1.0], 3.0)?;
/// let data = [-1.0, 0.0, 0.0, 0.5, 1.0, 0.5, 0.5, -1.0, 2.0, 1.0, 100.0, -100.0];
/// let fit = fit_single(start, Rows::new(&data, 6, 2)).unwrap();
/// assert!(fit.params.location()[0] < 1.0); // the mean is 17
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Estimation
///
/// There are no finite sufficient statistics. [`MultivariateStudentTStats`] are taken at the current parameters, and
/// [`maximize`](Family::maximize) climbs a lower bound of the likelihood that touches it there; no step lowers it. As the
/// mean of logarithms is at most the logarithm of the mean, `Σ ln qᵢ ≤ Σ ln rᵢ + n ln(Σ qᵢ/rᵢ / n)` for the `qᵢ` of any
/// parameters, with equality at the current ones. Put into the likelihood, the bound has its maximum where `μ` and `Σ` are
/// mean and covariance under weights `1/rᵢ`, which is the parameter-expanded EM step (Liu, Rubin & Wu 1998; Kent, Tyler &
/// Vardi 1994), and where `ψ((ν + d)/2) − ψ(ν/2) − ln(1 + d/ν)` is [`MultivariateStudentTStats::spread`], which is solved
/// exactly. ECME (Liu & Rubin 1995), which maximizes the likelihood itself over `ν`, would need a pass over the rows inside
/// of the M-step.
///
/// Data without heavy tails want `ν = ∞`, where the likelihood is all but flat: a fit then ends wherever nothing is left
/// to gain. Estimates are confined to `ν ≤` [`MAX_DOF`](Self::MAX_DOF); [`is_gaussian`](Self::is_gaussian) tells that an
/// estimate got there. Data of which a large part lies in a plane make the likelihood unbounded: that is
/// [`EstimateError::Singular`], or [`EstimateError::Boundary`] if the degrees of freedom go to zero.
///
/// # Source
///
/// Kotz & Nadarajah (2004), *Multivariate t Distributions and Their Applications*, chapter 1.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Parameters", try_from = "Parameters")
)]
pub struct MultivariateStudentT {
    /// Location and scale matrix.
    shape: MultivariateGaussian,
    dof: f64,
    dof_is_fixed: bool,
}

impl MultivariateStudentT {
    /// The most degrees of freedom that are estimated.
    pub const MAX_DOF: f64 = 1e8;

    /// Location, scale matrix (`d × d`, row-major) and degrees of freedom, all of which are estimated. `structure` is
    /// `VVV`, `VVI` or `VII`.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] as for [`MultivariateGaussian::new`], if the degrees of freedom are not positive and finite, or
    /// the structure is another one.
    pub fn new(
        structure: CovarianceStructure,
        location: Vec<f64>,
        scale: &[f64],
        dof: f64,
    ) -> Result<Self, ParameterError> {
        use CovarianceStructure::{VII, VVI, VVV};
        if !matches!(structure, VVV | VVI | VII) {
            let (what, structure) = ("multivariate Student t", structure.name());
            return Err(ParameterError::Structure { what, structure });
        }
        let shape = MultivariateGaussian::new(structure, location, scale)?;
        let dof = positive("degrees of freedom", dof)?;
        Ok(Self { shape, dof, dof_is_fixed: false })
    }

    /// The same with degrees of freedom that estimation leaves alone.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_fixed_dof(
        structure: CovarianceStructure,
        location: Vec<f64>,
        scale: &[f64],
        dof: f64,
    ) -> Result<Self, ParameterError> {
        Ok(Self { dof_is_fixed: true, ..Self::new(structure, location, scale, dof)? })
    }

    /// Number of columns.
    pub fn d(&self) -> usize {
        self.shape.d()
    }

    /// `μ`, in the unit of the data.
    pub fn location(&self) -> &[f64] {
        self.shape.mean()
    }

    /// `Σ`, `d × d`, row-major, in the squared unit of the data; not the covariance.
    pub fn scale(&self) -> Vec<f64> {
        self.shape.covariance()
    }

    /// Which scale matrices this one's is among.
    pub fn structure(&self) -> CovarianceStructure {
        self.shape.structure()
    }

    /// `ν`.
    pub fn dof(&self) -> f64 {
        self.dof
    }

    /// Does estimation leave the degrees of freedom alone?
    pub fn dof_is_fixed(&self) -> bool {
        self.dof_is_fixed
    }

    /// Are there so many degrees of freedom ([`MAX_DOF`](Self::MAX_DOF)) that this is a Gaussian in all but name?
    pub fn is_gaussian(&self) -> bool {
        self.dof >= Self::MAX_DOF
    }

    /// `μ`; `None` for `ν ≤ 1`, where there is none.
    pub fn mean(&self) -> Option<&[f64]> {
        (self.dof > 1.0).then(|| self.location())
    }

    /// `ν/(ν − 2) Σ`, `d × d`, row-major; `None` for `ν ≤ 2`, where there is none.
    pub fn covariance(&self) -> Option<Vec<f64>> {
        let factor = self.dof / (self.dof - 2.0);
        (self.dof > 2.0).then(|| self.scale().into_iter().map(|s| factor * s).collect())
    }

    /// `ln p(x)` at one point, in nats. Cost: `d²` flops.
    ///
    /// # Panics
    ///
    /// If `x` has not `d` numbers.
    pub fn log_density(&self, x: &[f64]) -> f64 {
        Tail::of(self).score(self.shape.mahalanobis_squared(x))
    }

    /// `½(ν + d)[ψ((ν + d)/2) − ψ(ν/2)] − ln p(μ)`, in nats.
    pub fn entropy(&self) -> f64 {
        let tail = Tail::of(self);
        tail.half * (dof::gap_of(self.dof, self.d() as f64) + self.log_excess()) - tail.constant
    }

    /// The distribution of some columns, in the order given: a Student t of the same degrees of freedom.
    ///
    /// # Errors
    ///
    /// As [`MultivariateGaussian::marginal`].
    ///
    /// # Panics
    ///
    /// As [`MultivariateGaussian::marginal`].
    pub fn marginal(&self, columns: &[usize]) -> Result<Self, ParameterError> {
        Ok(Self { shape: self.shape.marginal(columns)?, ..*self })
    }

    /// One draw, `d` numbers: a Gaussian at a precision drawn from a gamma distribution.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        let mut x = vec![0.0; self.d()];
        self.sample_into(&self.chi_squared(), rng, &mut x);
        x
    }

    fn chi_squared(&self) -> ChiSquared<f64> {
        ChiSquared::new(self.dof).expect("positive degrees of freedom")
    }

    fn sample_into(&self, chi: &ChiSquared<f64>, rng: &mut (impl Rng + ?Sized), x: &mut [f64]) {
        loop {
            self.shape.sample_into(rng, x);
            let stretch = (self.dof / chi.sample(rng)).sqrt();
            for (x, location) in x.iter_mut().zip(self.location()) {
                *x = location + (*x - location) * stretch;
            }
            if x.iter().all(|x| x.is_finite()) {
                return;
            }
        }
    }

    /// `ln(1 + d/ν)`.
    fn log_excess(&self) -> f64 {
        (self.d() as f64 / self.dof).ln_1p()
    }
}

/// How a density falls with the squared distance: `constant − half · ln(1 + distance/ν)`.
#[derive(Clone, Copy, Debug, Default)]
struct Tail {
    constant: f64,
    half: f64,
    inverse_dof: f64,
}

impl Tail {
    fn of(t: &MultivariateStudentT) -> Self {
        let d = t.d() as f64;
        let constant = ln_gamma_ratio(0.5 * t.dof, 0.5 * d)
            - 0.5 * (d * (PI * t.dof).ln() + t.shape.log_det());
        Self { constant, half: 0.5 * (t.dof + d), inverse_dof: t.dof.recip() }
    }

    fn score(&self, distance: f64) -> f64 {
        self.constant - self.half * (distance * self.inverse_dof).ln_1p()
    }
}

/// `k` of them as the kernels want them.
#[derive(Clone, Debug)]
pub struct MultivariateStudentTPacked {
    /// Scores a row by minus half its squared distance.
    kernel: PackedGaussians,
    tails: Vec<Tail>,
}

/// What one worker needs to score and observe rows.
#[derive(Clone, Debug)]
pub struct MultivariateStudentTScratch {
    kernel: Scratch,
    moments: Moments,
    /// `r` of each row of a block under each component, `k × BLOCK_STRIDE`; then their logarithms.
    ratios: Vec<f64>,
    logs: Vec<f64>,
    weights: Vec<f64>,
    /// The block whose ratios these are.
    block: Option<BlockId>,
    /// `Σw` and `Σw ln r` since the last chunk's end.
    sums: Vec<[f64; 2]>,
}

impl MultivariateStudentTScratch {
    /// Fills in `r` and `ln r`.
    fn see(&mut self, packed: &MultivariateStudentTPacked, rows: elbo_linalg::Rows<'_>) {
        let Self { kernel, ratios, logs, .. } = self;
        kernels::score_all(&packed.kernel, rows, ratios, BLOCK_STRIDE, kernel);
        let blocks = ratios.chunks_exact_mut(BLOCK_STRIDE).zip(logs.chunks_exact_mut(BLOCK_STRIDE));
        for (tail, (ratios, logs)) in packed.tails.iter().zip(blocks) {
            let (ratios, logs) = (&mut ratios[..rows.n], &mut logs[..rows.n]);
            for (ratio, log) in ratios.iter_mut().zip(&mut *logs) {
                let excess = -2.0 * tail.inverse_dof * *ratio;
                *log = excess;
                *ratio = 1.0 + excess;
            }
            ln_1p_in_place(logs, ratios);
        }
        self.block = Some(BlockId::of(rows));
    }
}

/// `ln(1 + x)` of each `x`, where `rounded` holds `1 + x` as it was rounded.
///
/// `ln(r)` is right for the rounded `r`; times `x/(r − 1)` it is right for `1 + x` (Kahan).
fn ln_1p_in_place(x: &mut [f64], rounded: &[f64]) {
    let mut ln = [0.0; BLOCK];
    let ln = &mut ln[..x.len()];
    ln.copy_from_slice(rounded);
    elbo_linalg::ln_in_place(ln);
    for ((x, r), ln) in x.iter_mut().zip(rounded).zip(ln) {
        let above = r - 1.0;
        let is_plain = above == 0.0 || above.is_infinite();
        *x = if is_plain { x.min(*ln + *x) } else { *ln * (*x / above) };
    }
}

impl Family for MultivariateStudentT {
    type Batch<'a> = Rows<'a>;
    type Stats = MultivariateStudentTStats;
    type Packed = MultivariateStudentTPacked;
    type Scratch = MultivariateStudentTScratch;

    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        if data.d() != self.d() {
            return Err(DataError::Dimension { expected: self.d(), found: data.d() });
        }
        data.check_finite()
    }

    fn new_stats(&self) -> MultivariateStudentTStats {
        MultivariateStudentTStats { weight: 0.0, log: 0.0, moments: self.shape.new_stats() }
    }

    fn new_packed(&self, k: usize) -> MultivariateStudentTPacked {
        let shape = if self.shape.spd().is_diagonal() { Shape::Diagonal } else { Shape::Full };
        let kernel = PackedGaussians::new(shape, k, self.d());
        MultivariateStudentTPacked { kernel, tails: vec![Tail::default(); k] }
    }

    fn new_scratch(packed: &MultivariateStudentTPacked) -> MultivariateStudentTScratch {
        let (kernel, k) = (&packed.kernel, packed.tails.len());
        MultivariateStudentTScratch {
            kernel: Scratch::new(kernel),
            moments: Moments::new(kernel),
            ratios: vec![0.0; k * BLOCK_STRIDE],
            logs: vec![0.0; k * BLOCK_STRIDE],
            weights: vec![0.0; k * BLOCK_STRIDE],
            block: None,
            sums: vec![[0.0; 2]; k],
        }
    }

    fn pack(&self, j: usize, packed: &mut MultivariateStudentTPacked) {
        packed.kernel.set(j, 0.0, self.location(), self.shape.spd().whitening());
        packed.tails[j] = Tail::of(self);
    }

    fn score_all(
        packed: &MultivariateStudentTPacked,
        data: Rows<'_>,
        mut out: MatrixMut<'_>,
        scratch: &mut MultivariateStudentTScratch,
    ) {
        check_shape(packed.tails.len(), data.len(), out.rows(), out.columns());
        scratch.see(packed, kernel_rows(data));
        let logs = scratch.logs.chunks_exact(BLOCK_STRIDE);
        for (j, (tail, logs)) in packed.tails.iter().zip(logs).enumerate() {
            for (out, log) in out.row_mut(j).iter_mut().zip(logs) {
                *out = tail.constant - tail.half * log;
            }
        }
    }

    fn reset_all(packed: &MultivariateStudentTPacked, stats: &mut [MultivariateStudentTStats]) {
        for (j, stats) in stats.iter_mut().enumerate() {
            (stats.weight, stats.log) = (0.0, 0.0);
            stats.moments.reset(packed.kernel.mean(j));
        }
    }

    fn observe_all(
        packed: &MultivariateStudentTPacked,
        _: &mut [MultivariateStudentTStats],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut MultivariateStudentTScratch,
    ) {
        check_shape(packed.tails.len(), data.len(), weights.rows(), weights.columns());
        let rows = kernel_rows(data);
        if scratch.block.take() != Some(BlockId::of(rows)) {
            scratch.see(packed, rows);
            scratch.block = None;
        }
        let MultivariateStudentTScratch {
            kernel, moments, ratios, logs, weights: own, sums, ..
        } = scratch;
        for (j, sums) in sums.iter_mut().enumerate() {
            let at = j * BLOCK_STRIDE..j * BLOCK_STRIDE + rows.n;
            let seen = ratios[at.clone()].iter().zip(&logs[at.clone()]);
            for ((own, w), (ratio, log)) in own[at].iter_mut().zip(weights.row(j)).zip(seen) {
                *own = w / ratio;
                if *w == 0.0 {
                    *own = 0.0; // 0/∞ is 0, but 0/NaN is not
                } else {
                    sums[0] += w;
                    sums[1] += w * log;
                }
            }
        }
        kernels::observe_all(&packed.kernel, rows, own, BLOCK_STRIDE, moments, kernel);
    }

    fn finish(
        packed: &MultivariateStudentTPacked,
        stats: &mut [MultivariateStudentTStats],
        scratch: &mut MultivariateStudentTScratch,
    ) {
        let MultivariateStudentTScratch { kernel, moments, sums, .. } = scratch;
        kernels::finish(&packed.kernel, moments, kernel);
        for (j, (stats, sums)) in stats.iter_mut().zip(sums).enumerate() {
            stats.weight += sums[0];
            stats.log += sums[1];
            *sums = [0.0; 2];
            finish_component(&packed.kernel, &mut stats.moments, moments, j);
        }
        moments.clear();
    }

    fn moved_to(&self, data: Rows<'_>, row: usize) -> Result<Self, EstimateError> {
        Ok(Self { shape: self.shape.moved_to(data, row)?, ..*self })
    }

    fn maximize(
        &self,
        stats: &MultivariateStudentTStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        stats.check()?;
        let dof = if self.dof_is_fixed {
            self.dof
        } else {
            let limit = Self::MAX_DOF.max(self.dof);
            let dof = dof::dof_of(stats.spread(), self.d() as f64, limit);
            if dof <= dof::LEAST {
                return Err(EstimateError::Boundary {
                    component: 0,
                    parameter: "degrees of freedom",
                    limit: "0",
                    cure: "fix them, or remove the rows that coincide",
                });
            }
            dof
        };
        let repairs = self.shape.maximize(&stats.moments, &mut next.shape)?;
        (next.dof, next.dof_is_fixed) = (dof, self.dof_is_fixed);
        Ok(repairs)
    }

    fn expected_stats(&self, weight: f64) -> MultivariateStudentTStats {
        let d = self.d() as f64;
        // 1/r ∼ Beta(ν/2, d/2): its mean, and that of its logarithm
        let share = self.dof / (self.dof + d);
        let log = dof::gap_of(self.dof, d) + self.log_excess();
        let moments = self.shape.expected_stats(weight * share);
        MultivariateStudentTStats { weight, log: weight * log, moments }
    }

    fn free_parameters(&self, k: usize) -> usize {
        self.shape.free_parameters(k) + if self.dof_is_fixed { 0 } else { k }
    }

    /// That of the scale matrix, against the scatter of rows of weight `w/r`.
    fn relative_spread(&self, all: &MultivariateStudentTStats) -> f64 {
        self.shape.relative_spread(&all.moments)
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    structure: CovarianceStructure,
    location: Vec<f64>,
    scale: Vec<Vec<f64>>,
    dof: f64,
    #[serde(default)]
    dof_is_fixed: bool,
}

#[cfg(feature = "serde")]
impl From<MultivariateStudentT> for Parameters {
    fn from(t: MultivariateStudentT) -> Self {
        Self {
            structure: t.structure(),
            location: t.location().to_vec(),
            scale: t.scale().chunks_exact(t.d()).map(<[f64]>::to_vec).collect(),
            dof: t.dof,
            dof_is_fixed: t.dof_is_fixed,
        }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for MultivariateStudentT {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        let t = Self::new(p.structure, p.location, &p.scale.concat(), p.dof)?;
        Ok(Self { dof_is_fixed: p.dof_is_fixed, ..t })
    }
}
