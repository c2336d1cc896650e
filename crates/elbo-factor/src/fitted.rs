//! Factor analysis as a user asks for it, and what comes out.

use elbo_core::{
    DataError, EstimateError, Fit, FitError, Observer, Report, Restarts, Runs, Settings, criteria,
    fit_restarts, mix,
};
use elbo_dist::{LowRankGaussian, special::gamma_q};
use elbo_linalg::{
    LowRankPlusDiagonal, cholesky_relative, leading_eigen, log_det_from_cholesky,
    spd_inverse_from_cholesky,
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::analysis::{FactorModel, FactorParams, FactorStats, UniquenessPrior};
use crate::{Sample, Whole};

/// Columns up to which the first start is taken from the inverse of the correlations.
const INVERTED: usize = 200;

/// Factor analysis with `q` factors: maximum likelihood, or MAP with a prior on the uniquenesses.
///
/// ```
/// use elbo_factor::{FactorAnalysis, Sample};
///
/// // correlations of three tests behind which there is one ability
/// let r = [1.0, 0.56, 0.48, 0.56, 1.0, 0.42, 0.48, 0.42, 1.0];
/// let fit = FactorAnalysis::new(1).fit(&Sample::of_covariance(&r, 3, 200.0)?)?;
/// for (loading, truth) in fit.analyzer.loadings().iter().zip([0.8, 0.7, 0.6]) {
///     assert!((loading - truth).abs() < 1e-6);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FactorAnalysis {
    model: FactorModel,
    settings: Settings,
    starts: usize,
}

/// A fitted factor analysis.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FactorFit {
    /// The distribution: mean, loadings, uniquenesses. Loadings have `Wᵀ diag(ψ)⁻¹ W` diagonal and falling.
    pub analyzer: LowRankGaussian,
    /// How the best run went.
    pub report: Report,
    /// How all runs ended, with the distinct optima among them.
    pub runs: Runs,
    /// Heywood cases: columns whose uniqueness is at its lower bound, because the likelihood rises beyond it.
    pub heywood: Vec<usize>,
}

/// The likelihood-ratio test of `q` factors against any covariance.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct GoodnessOfFit {
    /// Bartlett's statistic, about `χ²` if `q` factors are enough.
    pub statistic: f64,
    /// Degrees of freedom, `((d − q)² − d − q) / 2`.
    pub degrees_of_freedom: usize,
    /// Probability of such a statistic or a larger one if `q` factors are enough.
    pub p_value: f64,
}

impl FactorAnalysis {
    /// Maximum likelihood with `q` factors, uniquenesses of at least 0.005 of a column's variance, one start.
    ///
    /// # Panics
    ///
    /// If `q = 0`.
    pub fn new(q: usize) -> Self {
        assert!(q > 0, "factor analysis needs a factor");
        let model = FactorModel { q, floor: 0.005, prior: None };
        Self { model, settings: Settings::default(), starts: 1 }
    }

    /// The least share of a column's variance that may be its own. Where the likelihood would rise beyond it, the column is
    /// reported as a Heywood case.
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

    /// MAP with this prior on every column's uniqueness.
    ///
    /// # Panics
    ///
    /// Unless shape and scale are positive.
    #[must_use]
    pub fn prior(mut self, prior: UniquenessPrior) -> Self {
        let UniquenessPrior { shape, scale } = prior;
        assert!(shape > 0.0 && scale > 0.0, "an inverse gamma of {shape}, {scale} is no prior");
        self.model.prior = Some(prior);
        self
    }

    /// Runs from this many starts; the first is at principal axes, the others at random uniquenesses.
    ///
    /// # Panics
    ///
    /// If `starts = 0`.
    #[must_use]
    pub fn starts(mut self, starts: usize) -> Self {
        assert!(starts > 0, "at least one start is needed");
        self.starts = starts;
        self
    }

    /// When to stop, and the seed of starts.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Fits the sample. Cost: `9 d³` flops per iteration for up to 40 columns, some `10 d² q` above that.
    ///
    /// # Errors
    ///
    /// [`FitError`] if a column is constant, or there are not more columns than factors.
    pub fn fit(&self, sample: &Sample) -> Result<FactorFit, FitError> {
        self.fit_observed(sample, &())
    }

    /// The same, watched.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    pub fn fit_observed(
        &self,
        sample: &Sample,
        observer: &impl Observer<FactorParams>,
    ) -> Result<FactorFit, FitError> {
        if self.model.q >= sample.d() {
            let (what, structure) = ("as many factors as columns", "factor analysis");
            return Err(EstimateError::Unsupported { what, structure }.into());
        }
        sample.check_variances()?;
        let start = |run| Ok(self.start(sample, run)?);
        // nothing of the statistics can be extrapolated: they belong to the parameters they were taken at
        let acceleration = elbo_core::Acceleration::None;
        let settings = Settings { acceleration, ..self.settings.clone() };
        let data = Whole::new(sample);
        let all = fit_restarts(&self.model, data, self.starts, start, &settings, observer)?;
        let Restarts { best: Fit { params, stats, report }, runs } = all;
        let analyzer = analyzer(sample, &params, &stats, self.model.q)?;
        let lowest = self.model.floor * (1.0 + 1e-9);
        let shares = params.shares();
        let heywood = (0..shares.len()).filter(|j| shares[*j] <= lowest).collect();
        Ok(FactorFit { analyzer, report, runs, heywood })
    }

    fn start(&self, sample: &Sample, run: usize) -> Result<FactorParams, DataError> {
        let d = sample.d();
        let floor = self.model.floor;
        if run > 0 {
            let mut rng = ChaCha8Rng::seed_from_u64(mix(self.settings.seed, run as u64));
            let shares: Vec<f64> = (0..d).map(|_| rng.random_range(0.05..1.0)).collect();
            return Ok(FactorParams::new(&shares, floor));
        }
        let r = sample.standardized()?;
        let shares = match d {
            ..=INVERTED => principal_axes(r.covariance(), d, self.model.q),
            _ => principal_components(r.covariance(), d, self.model.q),
        };
        Ok(FactorParams::new(&shares, floor))
    }
}

/// `(1 − q/2d) / (R⁻¹)ⱼⱼ`: what other columns leave of each, made smaller for the number of factors; one half where `R`
/// is singular.
///
/// Source: Jöreskog (1967), Psychometrika 32(4).
fn principal_axes(r: &[f64], d: usize, q: usize) -> Vec<f64> {
    let mut factor = r.to_vec();
    if cholesky_relative(&mut factor, d, 1e-8).is_err() {
        return vec![0.5; d];
    }
    let mut inverse = vec![0.0; d * d];
    spd_inverse_from_cholesky(&factor, d, &mut inverse);
    let share = 1.0 - 0.5 * q as f64 / d as f64;
    inverse.iter().step_by(d + 1).map(|own| share / own).collect()
}

/// What `q` principal components of the correlations leave of each column, but at least a twentieth.
fn principal_components(r: &[f64], d: usize, q: usize) -> Vec<f64> {
    let mut shares = vec![1.0; d];
    if let Ok(leading) = leading_eigen(r, d, q, &[]) {
        for (value, vector) in leading.values.iter().zip(leading.vectors.chunks_exact(d)) {
            shares.iter_mut().zip(vector).for_each(|(share, v)| *share -= value * v * v);
        }
    }
    shares.iter().map(|share| share.max(0.05)).collect()
}

fn analyzer(
    sample: &Sample,
    params: &FactorParams,
    stats: &FactorStats,
    q: usize,
) -> Result<LowRankGaussian, EstimateError> {
    let mut loadings = stats.loadings(params, q);
    for (j, row) in loadings.chunks_exact_mut(q).enumerate() {
        let scale = sample.variance(j).sqrt();
        row.iter_mut().for_each(|w| *w *= scale);
    }
    let own = params.shares().iter().enumerate().map(|(j, u)| u * sample.variance(j)).collect();
    LowRankGaussian::new(sample.mean().to_vec(), &loadings, own)
        .map_err(|_| EstimateError::Infeasible { component: 0, what: "factor analysis" })
}

impl FactorFit {
    /// The log-likelihood, in nats.
    pub fn log_likelihood(&self) -> f64 {
        self.report.data_term
    }

    /// Akaike's criterion.
    pub fn aic(&self) -> f64 {
        criteria::aic(self.log_likelihood(), self.report.free_parameters)
    }

    /// The Bayesian criterion.
    pub fn bic(&self) -> f64 {
        let Report { data_term, free_parameters, observations, .. } = self.report;
        criteria::bic(data_term, free_parameters, observations)
    }

    /// Tests whether `q` factors are enough, with Bartlett's correction `n − 1 − (2d + 5)/6 − 2q/3`.
    ///
    /// `None` where `q` factors have no fewer parameters than a covariance, or the sample's is singular.
    /// `sample` is the one that was fitted. Source: Bartlett (1950), Brit. J. Statist. Psych. 3(2).
    ///
    /// # Panics
    ///
    /// If the sample has other columns.
    pub fn goodness_of_fit(&self, sample: &Sample) -> Option<GoodnessOfFit> {
        let (d, q) = (self.analyzer.d(), self.analyzer.q());
        assert_eq!(d, sample.d(), "the sample that was fitted has {d} columns");
        let degrees_of_freedom = ((d - q).pow(2)).checked_sub(d + q)? / 2;
        if degrees_of_freedom == 0 {
            return None;
        }
        let mut factor = sample.covariance().to_vec();
        cholesky_relative(&mut factor, d, 1e-12).ok()?;
        let any = log_det_from_cholesky(&factor, d) + d as f64 * (1.0 + std::f64::consts::TAU.ln());
        let criterion = -2.0 * self.log_likelihood() / sample.n() - any;
        let (p, m) = (d as f64, q as f64);
        let statistic =
            (sample.n() - 1.0 - (2.0 * p + 5.0) / 6.0 - 2.0 * m / 3.0) * criterion.max(0.0);
        let p_value = gamma_q(0.5 * degrees_of_freedom as f64, 0.5 * statistic.max(0.0));
        Some(GoodnessOfFit { statistic, degrees_of_freedom, p_value })
    }
}

/// The log-likelihood of any low-rank Gaussian on a sample, in nats. Cost: `4 d² q` flops.
///
/// # Panics
///
/// If the sample has another number of columns.
pub fn log_likelihood(of: &LowRankGaussian, sample: &Sample) -> f64 {
    let (d, q) = (of.d(), of.q());
    assert_eq!(d, sample.d(), "a distribution of {d} columns on a sample of {}", sample.d());
    let sigma = LowRankPlusDiagonal::new(of.loadings(), of.uniquenesses(), q)
        .expect("it was a covariance when the distribution was made");
    let (mut column, mut factors) = (vec![0.0; d], vec![0.0; q]);
    let mut trace = 0.0;
    for (j, s) in sample.covariance().chunks_exact(d).enumerate() {
        column.copy_from_slice(s);
        sigma.solve_in_place(&mut column, &mut factors);
        trace += column[j];
    }
    let shift: Vec<f64> = sample.mean().iter().zip(of.mean()).map(|(a, b)| a - b).collect();
    let off = sigma.quadratic_form(&shift, &mut factors);
    let constant = d as f64 * std::f64::consts::TAU.ln() + sigma.log_det();
    -0.5 * sample.n() * (constant + trace + off)
}
