//! EM for rows of which values are missing.

mod kernel;
mod posterior;

use elbo_core::{
    Batch, DataError, EStepError, EstimateError, Fit, FitError, Inference, LatentModel, Observer,
    Repairs, Report, Rows, Settings, Weighted, fit,
};
use elbo_dist::LowRankGaussian;
use elbo_linalg::{
    Level, cholesky_relative, solve_lower_in_place, solve_lower_transposed_in_place,
};

use self::kernel::{EStep, Packed, Scratch, triangle};
use self::posterior::Posterior;
use crate::{ProbabilisticPca, Sample};

/// The share of the variance below which noise common to all columns counts as none.
const NOTHING: f64 = 1e-8;

/// What the factors leave of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// The same variance in every column: probabilistic PCA.
    Common,
    /// A variance of each column's own: factor analysis.
    Own,
}

/// Factor models by EM on rows: where values are missing (NaN), or rows come in pieces.
///
/// Missing values are integrated out, which is exact if they are missing at random. Given the factors, each column is a
/// regression over the rows that have it; the E-step sums its normal equations, the M-step solves them. Complete rows are
/// better served by [`FactorAnalysis`](crate::FactorAnalysis) and [`ProbabilisticPca::of_sample`], which read them once.
///
/// Cost per iteration: about `n d (q² + 5q) + n q³` flops, with as many rows side by side as the CPU's vectors have lanes,
/// whatever is missing where.
///
/// ```
/// use elbo_factor::{FactorEm, Noise, Rows};
///
/// let mut data: Vec<f64> = (0..80).map(|i| f64::from(i / 4 * 7 % 20) + f64::from(i * i % 7)).collect();
/// data[5] = f64::NAN;
/// let fit = FactorEm::new(1, Noise::Common).fit(Rows::new(&data, 20, 4).into())?;
/// assert!(fit.report.stopped.is_converged());
/// # Ok::<(), elbo_factor::FitError>(())
/// ```
///
/// # Source
///
/// Rubin & Thayer (1982), *EM algorithms for ML factor analysis*, Psychometrika 47(1); Ilin & Raiko (2010), *Practical
/// approaches to principal component analysis in the presence of missing values*, J. Mach. Learn. Res. 11.
#[derive(Clone, Debug)]
pub struct FactorEm {
    model: FactorRowsModel,
    settings: Settings,
}

/// A factor model fitted to rows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FactorEmFit {
    /// The distribution: mean, loadings, uniquenesses.
    pub analyzer: LowRankGaussian,
    /// How the fit went.
    pub report: Report,
    /// Heywood cases: columns whose uniqueness is at its lower bound, because the likelihood rises beyond it.
    pub heywood: Vec<usize>,
    /// Share of the total variance that each factor's loadings explain; under automatic relevance, those that are not needed have
    /// next to none.
    pub shares: Vec<f64>,
    /// How many factors are in use: those whose loadings are more than their own uncertainty. All without automatic relevance.
    pub in_use: usize,
}

impl FactorEmFit {
    /// The same as a probabilistic PCA, if its noise is common to all columns.
    pub fn to_pca(&self) -> Option<ProbabilisticPca> {
        let (own, of) = (self.analyzer.uniquenesses(), &self.analyzer);
        let is_common = own.iter().all(|v| v.to_bits() == own[0].to_bits());
        is_common
            .then(|| ProbabilisticPca::new(of.mean().to_vec(), of.loadings(), own[0]).ok())
            .flatten()
    }
}

impl FactorEm {
    /// Maximum likelihood with `q` factors, and uniquenesses of at least 0.005 of a column's variance.
    ///
    /// # Panics
    ///
    /// If `q = 0`.
    pub fn new(q: usize, noise: Noise) -> Self {
        assert!(q > 0, "a factor model needs a factor");
        let model = FactorRowsModel { q, noise, floor: 0.005, relevance: false };
        Self { model, settings: Settings::default() }
    }

    /// The least share of a column's variance that may be its own, where noise is each column's own.
    ///
    /// # Panics
    ///
    /// Unless `0 < floor < 1`.
    #[must_use]
    pub fn floor(mut self, floor: f64) -> Self {
        assert!(floor > 0.0 && floor < 1.0, "a floor of {floor} is no share of a variance");
        self.model.floor = floor;
        self
    }

    /// Variational Bayes with automatic relevance determination: the loadings of each factor have a Gaussian prior whose precision is
    /// learned, and goes up where the factor is not needed. The objective is a lower bound of the evidence.
    ///
    /// The posterior is `q(W, μ) q(τ) q(α)` beside that of the factors. Precisions of noise and of loadings have gamma priors of
    /// a thousandth of an observation at the columns' variances; intercepts are all but free. Source: Bishop (1999),
    /// *Variational principal components*, Proc. ICANN 9.
    #[must_use]
    pub fn automatic_relevance(mut self) -> Self {
        self.model.relevance = true;
        self
    }

    /// How to fit.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Fits rows, starting at the principal components of the data with means for what is missing.
    ///
    /// # Errors
    ///
    /// [`FitError`] if a value is infinite, a column has no values or only one and the same, or there are not more columns
    /// than factors.
    pub fn fit(&self, data: Weighted<'_, Rows<'_>>) -> Result<FactorEmFit, FitError> {
        self.fit_observed(data, &())
    }

    /// The same, watched.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    pub fn fit_observed(
        &self,
        data: Weighted<'_, Rows<'_>>,
        observer: &impl Observer<FactorRows>,
    ) -> Result<FactorEmFit, FitError> {
        let start = self.model.start(data)?;
        let Fit { params, report, .. } = fit(&self.model, data, start, &self.settings, observer)?;
        let is_lowest = |j: &usize| {
            let is_bounded = self.model.noise == Noise::Own && !self.model.relevance;
            is_bounded && params.uniquenesses[*j] <= params.lowest[*j]
        };
        let heywood = (0..params.lowest.len()).filter(is_lowest).collect();
        let (analyzer, shares, in_use) = (params.analyzer()?, params.shares(), params.in_use());
        Ok(FactorEmFit { analyzer, report, heywood, shares, in_use })
    }
}

/// Factor models of rows as a latent-variable model.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorRowsModel {
    q: usize,
    noise: Noise,
    floor: f64,
    relevance: bool,
}

/// Parameters of a [`FactorRowsModel`]: loadings, intercepts and uniquenesses.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorRows {
    /// Loadings and intercept of each column, `d × (q + 1)`, about the origin of the packed form.
    coefficients: Vec<f64>,
    uniquenesses: Vec<f64>,
    /// The least that uniquenesses may be.
    lowest: Vec<f64>,
    /// Of which the above are the mean, under variational Bayes.
    posterior: Option<Posterior>,
    packed: Packed,
}

impl FactorRows {
    fn repack(&mut self) {
        let width = self.packed.q + 1;
        for (j, w) in self.coefficients.chunks_exact(width).enumerate() {
            match &self.posterior {
                None => self.packed.set_point(j, w, self.uniquenesses[j]),
                Some(posterior) => posterior.pack(j, w, self.packed.column_mut(j)),
            }
        }
    }

    fn squares(&self, a: usize) -> f64 {
        let loadings = self.coefficients.iter().skip(a).step_by(self.packed.q + 1);
        loadings.map(|w| w * w).sum()
    }

    fn shares(&self) -> Vec<f64> {
        let q = self.packed.q;
        let common: f64 = (0..q).map(|a| self.squares(a)).sum();
        let total = common + self.uniquenesses.iter().sum::<f64>();
        (0..q).map(|a| self.squares(a) / total).collect()
    }

    fn in_use(&self) -> usize {
        let (d, q) = (self.packed.d, self.packed.q);
        let Some(posterior) = &self.posterior else { return q };
        let doubt = |a: usize| (0..d).map(|j| posterior.variance(j, a, q)).sum::<f64>();
        (0..q).filter(|a| self.squares(*a) > doubt(*a)).count()
    }

    fn analyzer(&self) -> Result<LowRankGaussian, EstimateError> {
        let (q, width) = (self.packed.q, self.packed.q + 1);
        let columns = || self.coefficients.chunks_exact(width);
        let mean = columns().zip(&self.packed.origin).map(|(w, c)| c + w[q]).collect();
        let loadings: Vec<f64> = columns().flat_map(|w| w[..q].iter().copied()).collect();
        LowRankGaussian::new(mean, &loadings, self.uniquenesses.clone())
            .map_err(|_| EstimateError::Infeasible { component: 0, what: "factor model" })
    }
}

/// Normal equations of every column's regression on the factors.
///
/// For each of `d` columns, over the rows that have it: the lower triangle of `Σw E[z̃ z̃ᵀ]` with `z̃ = (z, 1)`, whose last
/// number is the weight of the rows, then `Σw y E[z̃]`, then `Σw y²`, where `y` is the column about the model's origin.
pub type FactorRowsStats = Vec<f64>;

/// What one worker needs.
#[derive(Clone, Debug)]
pub struct FactorRowsScratch(Scratch);

impl LatentModel for FactorRowsModel {
    type Data<'a> = Weighted<'a, Rows<'a>>;
    type Params = FactorRows;
    type Stats = FactorRowsStats;
    type Scratch = FactorRowsScratch;

    fn check(&self, params: &FactorRows, data: Self::Data<'_>) -> Result<(), DataError> {
        let (rows, expected) = (data.units(), params.packed.d);
        if rows.d() != expected {
            return Err(DataError::Dimension { expected, found: rows.d() });
        }
        if rows.is_empty() {
            return Err(DataError::Empty);
        }
        rows.check_finite_or_missing()
    }

    fn new_stats(&self, params: &FactorRows) -> FactorRowsStats {
        vec![0.0; params.packed.d * self.width()]
    }

    fn new_scratch(&self, params: &FactorRows) -> FactorRowsScratch {
        FactorRowsScratch(Scratch::new(params.packed.d, self.q))
    }

    fn e_step(
        &self,
        params: &FactorRows,
        data: Self::Data<'_>,
        how: &mut Inference<'_>,
        stats: &mut FactorRowsStats,
        scratch: &mut FactorRowsScratch,
    ) -> Result<f64, EStepError> {
        let _ = how; // factors are Gaussian: they are integrated out
        let kernel = EStep { packed: &params.packed, data, scratch: &mut scratch.0, sums: stats };
        Level::detect().dispatch(kernel).map_err(|row| EStepError::NotFinite { row })
    }

    fn m_step(
        &self,
        params: &FactorRows,
        stats: &FactorRowsStats,
        next: &mut FactorRows,
    ) -> Result<Repairs, EstimateError> {
        let (q, width) = (self.q, self.width());
        if let Some(posterior) = &params.posterior {
            let mut moved = posterior.clone();
            moved.update(stats, &mut next.coefficients)?;
            let own = next.uniquenesses.iter_mut().enumerate();
            own.for_each(|(j, own)| *own = moved.uniqueness(j));
            next.posterior = Some(moved);
            next.repack();
            return Ok(Repairs::default());
        }
        let (mut left, mut weight) = (0.0, 0.0);
        let columns = next.coefficients.chunks_exact_mut(q + 1).zip(stats.chunks_exact(width));
        for (j, (coefficients, stats)) in columns.enumerate() {
            let (n, residual) = regress(stats, q, j, coefficients)?;
            next.uniquenesses[j] = (residual / n).max(params.lowest[j]);
            (left, weight) = (left + residual, weight + n);
        }
        if self.noise == Noise::Common {
            let noise = left / weight;
            let scale = params.lowest.iter().sum::<f64>() / (self.floor * params.packed.d as f64);
            if noise <= NOTHING * scale {
                return Err(NO_NOISE);
            }
            next.uniquenesses.fill(noise);
        }
        next.packed.origin.clone_from(&params.packed.origin);
        next.repack();
        Ok(Repairs::default())
    }

    fn penalty(&self, params: &FactorRows) -> f64 {
        params.posterior.as_ref().map_or(0.0, |posterior| posterior.penalty(&params.coefficients))
    }

    fn write_natural(&self, params: &FactorRows, _: &FactorRowsStats, out: &mut Vec<f64>) -> bool {
        let Packed { d, q, quadratic, linear, precision, .. } = &params.packed;
        for j in 0..*d {
            let mut triangle = quadratic[j * triangle(*q)..].iter();
            for a in 0..=*q {
                // elements off the diagonal stand for two
                let row = triangle.by_ref().take(a + 1).enumerate();
                out.extend(row.map(|(b, x)| if a == b { -0.5 * x } else { -x }));
            }
            out.extend(&linear[j * (q + 1)..][..=*q]);
            out.push(-0.5 * precision[j]);
        }
        true
    }

    fn free_parameters(&self, params: &FactorRows) -> usize {
        let (d, q) = (params.packed.d, self.q);
        let own = if self.noise == Noise::Common { 1 } else { d };
        d + d * q - q * (q - 1) / 2 + own
    }
}

const NO_NOISE: EstimateError = EstimateError::Boundary {
    component: 0,
    parameter: "noise variance",
    limit: "0",
    cure: "use fewer factors",
};

impl FactorRowsModel {
    /// Numbers of statistics per column.
    fn width(&self) -> usize {
        triangle(self.q) + self.q + 2
    }

    /// Principal components of the data with means for what is missing.
    fn start(&self, data: Weighted<'_, Rows<'_>>) -> Result<FactorRows, FitError> {
        let (q, d) = (self.q, data.units().d());
        if q >= d {
            let (what, structure) = ("as many factors as columns", "a factor model");
            return Err(EstimateError::Unsupported { what, structure }.into());
        }
        data.units().check_finite_or_missing()?;
        let (sample, found) = Sample::with_means(data)?;
        sample.check_variances()?;
        let pca = ProbabilisticPca::of_sample(&sample, q)?;
        let mut coefficients = Vec::with_capacity(d * (q + 1));
        let mut own = Vec::with_capacity(d);
        for (j, w) in pca.loadings().chunks_exact(q).enumerate() {
            coefficients.extend(w);
            coefficients.push(0.0);
            let common: f64 = w.iter().map(|w| w * w).sum();
            let variance = sample.variance(j);
            own.push((variance - common).max(0.05 * variance));
        }
        let variances: Vec<f64> = (found.iter().enumerate())
            .map(|(j, found)| sample.variance(j) * sample.n() / found)
            .collect();
        let lowest: Vec<f64> = variances.iter().map(|variance| self.floor * variance).collect();
        own.iter_mut().zip(&lowest).for_each(|(own, lowest)| *own = own.max(*lowest));
        if self.noise == Noise::Common {
            own.fill(pca.noise_variance());
        }
        let packed = Packed::new(sample.mean().to_vec(), q);
        let posterior = None;
        let mut start = FactorRows { coefficients, uniquenesses: own, lowest, posterior, packed };
        if self.relevance {
            start.posterior = Some(Posterior::at(&start, self.noise, &variances, &found)?);
        }
        start.repack();
        Ok(start)
    }
}

/// Loadings and intercept of column `j` from its normal equations; returns its weight and what they leave of its squares.
fn regress(
    stats: &[f64],
    q: usize,
    j: usize,
    coefficients: &mut [f64],
) -> Result<(f64, f64), EstimateError> {
    let t = triangle(q);
    let (squares, products, n) = (stats[t + q + 1], &stats[t..=t + q], stats[t - 1]);
    let mut normal = vec![0.0; (q + 1) * (q + 1)];
    let mut e = 0;
    for a in 0..=q {
        normal[a * (q + 1)..][..=a].copy_from_slice(&stats[e..=e + a]);
        e += a + 1;
    }
    let singular = |_| EstimateError::Singular { component: 0, column: j, variance: 0.0 };
    cholesky_relative(&mut normal, q + 1, 1e-14).map_err(singular)?;
    coefficients.copy_from_slice(products);
    solve_lower_in_place(&normal, q + 1, coefficients);
    let explained: f64 = coefficients.iter().map(|u| u * u).sum();
    solve_lower_transposed_in_place(&normal, q + 1, coefficients);
    let residual = squares - explained;
    if !residual.is_finite() || residual < -NOTHING * squares {
        return Err(EstimateError::Infeasible { component: 0, what: "factor model" });
    }
    Ok((n, residual))
}
