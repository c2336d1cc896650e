//! Probabilistic PCA: a family with a closed form, and the evidence for its dimension.

use std::f64::consts::{PI, TAU};

use elbo_core::{
    DataError, Draw, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix,
    MatrixMut, OwnedRows, Range, Repairs, Rows, take_front,
};
use elbo_dist::{
    LowRankGaussian, LowRankGaussianPacked, LowRankGaussianScratch, MultivariateGaussianStats,
    ParameterError, special::ln_gamma,
};
use elbo_linalg::{EigenError, leading_eigen, symmetric_eigen};
use rand::Rng;

use crate::Sample;

/// The distribution `N(μ, W Wᵀ + σ² I)` with `d × q` loadings `W`: probabilistic PCA.
///
/// It is a [`LowRankGaussian`] whose uniquenesses are all equal. The maximum of its likelihood is known: loadings span the
/// leading principal axes, `σ²` is the mean of the variances along the others. As a family it is estimated by EM where
/// values are missing (NaN), by one step where none is, and serves as a component of mixtures.
///
/// ```
/// use elbo_factor::{ProbabilisticPca, Sample};
///
/// let sample = Sample::of_covariance(&[3.0, 1.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.0, 1.0], 3, 10.0)?;
/// let pca = ProbabilisticPca::of_sample(&sample, 1)?;
/// assert!((pca.noise_variance() - 1.5).abs() < 1e-14); // (2 + 1) / 2, beside 4
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Tipping & Bishop (1999), *Probabilistic principal component analysis*, J. R. Statist. Soc. B 61(3).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Parameters", try_from = "Parameters")
)]
pub struct ProbabilisticPca {
    gaussian: LowRankGaussian,
}

impl ProbabilisticPca {
    /// `N(mean, W Wᵀ + noise_variance I)`; `loadings` is `W`, `d × q`, row-major.
    ///
    /// # Errors
    ///
    /// As [`LowRankGaussian::new`].
    pub fn new(
        mean: Vec<f64>,
        loadings: &[f64],
        noise_variance: f64,
    ) -> Result<Self, ParameterError> {
        let own = vec![noise_variance; mean.len()];
        Ok(Self { gaussian: LowRankGaussian::new(mean, loadings, own)? })
    }

    /// The start of an estimate with `q` factors: noise of variance 1 and no loadings yet.
    ///
    /// # Panics
    ///
    /// If `mean` is not finite, or not `1 ≤ q < d`.
    pub fn standard(mean: Vec<f64>, q: usize) -> Self {
        Self { gaussian: LowRankGaussian::standard(mean, q) }
    }

    /// Maximum likelihood from a sample. Cost: `2 d²` flops for each row of some blocks of `q + 4`; see
    /// [`leading_eigen`].
    ///
    /// # Errors
    ///
    /// [`EstimateError::Unsupported`] unless `1 ≤ q < d`, [`EstimateError::Singular`] if `q` components leave no variance.
    pub fn of_sample(sample: &Sample, q: usize) -> Result<Self, EstimateError> {
        if q == 0 || q >= sample.d() {
            let (what, structure) = ("that number of components", "probabilistic PCA");
            return Err(EstimateError::Unsupported { what, structure });
        }
        closed_form(sample.mean().to_vec(), sample.covariance(), q)
    }

    /// The same distribution as a factor analyzer, whose methods about factors serve here, too.
    pub fn as_analyzer(&self) -> &LowRankGaussian {
        &self.gaussian
    }

    /// `σ²`, in the squared unit of the data.
    pub fn noise_variance(&self) -> f64 {
        self.gaussian.uniquenesses()[0]
    }

    /// `W`, `d × q`, row-major: orthogonal columns along principal axes, the longest first.
    pub fn loadings(&self) -> &[f64] {
        self.gaussian.loadings()
    }

    /// `μ`.
    pub fn mean(&self) -> &[f64] {
        self.gaussian.mean()
    }

    /// Number of components.
    pub fn q(&self) -> usize {
        self.gaussian.q()
    }
}

/// Loadings `√(λₐ − σ²) uₐ` and `σ²`, the mean of the other eigenvalues, which is the trace without the leading ones.
fn closed_form(mean: Vec<f64>, s: &[f64], q: usize) -> Result<ProbabilisticPca, EstimateError> {
    let d = mean.len();
    let infeasible = |_| EstimateError::Infeasible { component: 0, what: "probabilistic PCA" };
    let leading = leading_eigen(s, d, q, &[]).map_err(infeasible)?;
    let trace: f64 = s.iter().step_by(d + 1).sum();
    let noise = (trace - leading.values.iter().sum::<f64>()) / (d - q) as f64;
    // the difference carries the rounding of the trace
    if noise <= 64.0 * f64::EPSILON * trace || !noise.is_finite() {
        return Err(EstimateError::Singular { component: 0, column: q, variance: noise.max(0.0) });
    }
    let mut loadings = vec![0.0; d * q];
    for (a, (value, u)) in leading.values.iter().zip(leading.vectors.chunks_exact(d)).enumerate() {
        let length = (value - noise).max(0.0).sqrt();
        u.iter().enumerate().for_each(|(i, u)| loadings[i * q + a] = length * u);
    }
    ProbabilisticPca::new(mean, &loadings, noise)
        .map_err(|_| EstimateError::Infeasible { component: 0, what: "probabilistic PCA" })
}

/// `ln p(data ∣ q)` for `q = 0, …, d − 1` components, in nats, by Laplace's method: what chooses a dimension.
///
/// Parameters are integrated out under a vague prior on the orthogonal group and on the variances; a constant that is the same
/// for all `q` is left out. Where eigenvalues are equal, or components leave no variance, the evidence is NaN or −∞.
/// Cost: all `d` eigenvalues, and `d²` logarithms per `q`.
///
/// # Errors
///
/// [`EigenError`] if the covariance is not finite.
///
/// # Source
///
/// Minka (2000), *Automatic choice of dimensionality for PCA*, NIPS 13.
pub fn log_evidences(sample: &Sample) -> Result<Vec<f64>, EigenError> {
    let (n, d) = (sample.n(), sample.d());
    let mut spectrum = symmetric_eigen(sample.covariance(), d)?.values;
    spectrum.reverse();
    Ok((0..d).map(|q| log_evidence(&spectrum, n, q)).collect())
}

fn log_evidence(spectrum: &[f64], n: f64, q: usize) -> f64 {
    let (d, k) = (spectrum.len(), q as f64);
    let noise = spectrum[q..].iter().sum::<f64>() / (d - q) as f64;
    if noise <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let mut sum = -k * std::f64::consts::LN_2 - 0.5 * n * (d - q) as f64 * noise.ln();
    let modeled = |j: usize| if j < q { spectrum[j] } else { noise };
    for (i, value) in spectrum[..q].iter().enumerate() {
        let half = 0.5 * (d - i) as f64;
        sum += ln_gamma(half) - half * PI.ln() - 0.5 * n * value.ln();
        for (j, other) in spectrum.iter().enumerate().skip(i + 1) {
            let curvature = (value - other) * (modeled(j).recip() - value.recip());
            sum -= 0.5 * (curvature.ln() + n.ln());
        }
    }
    let axes = d as f64 * k - 0.5 * k * (k + 1.0);
    sum + 0.5 * (axes + k) * TAU.ln() - 0.5 * k * n.ln()
}

impl Family for ProbabilisticPca {
    type Batch<'a> = Rows<'a>;
    type Stats = MultivariateGaussianStats;
    type Packed = LowRankGaussianPacked;
    type Scratch = LowRankGaussianScratch;

    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        self.gaussian.check(data)
    }

    fn new_stats(&self) -> MultivariateGaussianStats {
        self.gaussian.new_stats()
    }

    fn new_packed(&self, k: usize) -> LowRankGaussianPacked {
        self.gaussian.new_packed(k)
    }

    fn new_scratch(packed: &LowRankGaussianPacked) -> LowRankGaussianScratch {
        LowRankGaussian::new_scratch(packed)
    }

    fn pack(&self, j: usize, packed: &mut LowRankGaussianPacked) {
        self.gaussian.pack(j, packed);
    }

    fn score_all(
        packed: &LowRankGaussianPacked,
        data: Rows<'_>,
        out: MatrixMut<'_>,
        scratch: &mut LowRankGaussianScratch,
    ) {
        LowRankGaussian::score_all(packed, data, out, scratch);
    }

    fn reset_all(packed: &LowRankGaussianPacked, stats: &mut [MultivariateGaussianStats]) {
        LowRankGaussian::reset_all(packed, stats);
    }

    fn observe_all(
        packed: &LowRankGaussianPacked,
        stats: &mut [MultivariateGaussianStats],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut LowRankGaussianScratch,
    ) {
        LowRankGaussian::observe_all(packed, stats, data, weights, scratch);
    }

    fn finish(
        packed: &LowRankGaussianPacked,
        stats: &mut [MultivariateGaussianStats],
        scratch: &mut LowRankGaussianScratch,
    ) {
        LowRankGaussian::finish(packed, stats, scratch);
    }

    fn moved_to(&self, data: Rows<'_>, row: usize) -> Result<Self, EstimateError> {
        Ok(Self { gaussian: self.gaussian.moved_to(data, row)? })
    }

    fn maximize(
        &self,
        stats: &MultivariateGaussianStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        let weight = stats.total_weight();
        if weight <= 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight });
        }
        let (d, covariance) = (self.gaussian.d(), stats.covariance());
        let is_one = |j: usize| covariance[j * (d + 1)] >= 0.0; // false for NaN
        if !(0..d).all(is_one) {
            return Err(EstimateError::Infeasible { component: 0, what: "probabilistic PCA" });
        }
        *next = closed_form(stats.mean(), &covariance, self.q())?;
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> MultivariateGaussianStats {
        self.gaussian.expected_stats(weight)
    }

    fn free_parameters(&self, k: usize) -> usize {
        let (d, q) = (self.gaussian.d(), self.q());
        k * (d + d * q - q * (q - 1) / 2 + 1)
    }

    fn relative_spread(&self, all: &MultivariateGaussianStats) -> f64 {
        self.gaussian.relative_spread(all)
    }
}

impl Draw for ProbabilisticPca {
    type Drawn = OwnedRows;

    fn no_draws(&self) -> OwnedRows {
        self.gaussian.no_draws()
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut OwnedRows) {
        self.gaussian.draw_onto(n, rng, drawn);
    }

    fn batch_of(drawn: &OwnedRows) -> Rows<'_> {
        drawn.rows()
    }
}

/// As of a [`LowRankGaussian`], with one logarithm of a variance at the end instead of `d`.
impl FlatParameters for ProbabilisticPca {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        self.gaussian.write_unconstrained(out);
        out.truncate(out.len() - (self.gaussian.d() - 1));
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let d = self.gaussian.d();
        let mut flat = take_front(from, self.free_parameters(1)).to_vec();
        let last = *flat.last().expect("a mean and a variance at least");
        flat.resize(flat.len() + d - 1, last);
        Self { gaussian: self.gaussian.with_unconstrained(&mut &flat[..]) }
    }

    /// `mean[i]`, `loading[i,a]` as they are and `noise_variance`.
    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        self.gaussian.for_each_parameter(&mut |name, value, range| {
            if range == Range::Real {
                see(name, value, range);
            }
        });
        see("noise_variance", self.noise_variance(), Range::Positive);
    }
}

/// As of a [`LowRankGaussian`] with these uniquenesses.
impl ExpectedLogLikelihood for ProbabilisticPca {
    fn expected_log_likelihood(&self, stats: &MultivariateGaussianStats) -> f64 {
        self.gaussian.expected_log_likelihood(stats)
    }

    fn is_complete(&self, data: Rows<'_>) -> bool {
        self.gaussian.is_complete(data)
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    mean: Vec<f64>,
    loadings: Vec<Vec<f64>>,
    noise_variance: f64,
}

#[cfg(feature = "serde")]
impl From<ProbabilisticPca> for Parameters {
    fn from(of: ProbabilisticPca) -> Self {
        let loadings = of.loadings().chunks_exact(of.q()).map(<[f64]>::to_vec).collect();
        Self { noise_variance: of.noise_variance(), mean: of.mean().to_vec(), loadings }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for ProbabilisticPca {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.mean, &p.loadings.concat(), p.noise_variance)
    }
}
