//! Independent components by maximum likelihood.

mod kernel;

use std::f64::consts::{PI, TAU};

use elbo_core::{
    Acceleration, Batch, DataError, EStepError, EstimateError, Fit, FitError, Inference,
    LatentModel, Repairs, Report, Restarts, Rows, Runs, Settings, Statistics, Weighted, add_scaled,
    fit_restarts, mix,
};
use elbo_linalg::{Level, View, multiply_into, symmetric_eigen};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use self::kernel::Score;
use crate::Sample;
use crate::small::{identity, inverse, inverse_and_log_det};

/// Rows that are scored at a time.
const BLOCK: usize = 512;

/// The least curvature that a step divides by.
const FLATTEST: f64 = 0.01;

/// The longest relative step.
const LONGEST: f64 = 0.5;

/// The density that stands for a source. Only its shape counts: a wrong one of the right kind still separates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Peaked with long tails, `1/(π cosh y)`: speech, most of what is measured.
    SuperGaussian,
    /// Flat or with two humps, `½ N(−1, 1) + ½ N(1, 1)`.
    SubGaussian,
}

/// Independent component analysis: `x = μ + A s` with as many sources as columns, or as leading principal components.
///
/// Each source has one of two densities, which is chosen with everything else by likelihood (extended Infomax). A step is one of
/// Newton's method with the Hessian of independent sources, which has blocks of two (Pham & Garat 1997); the driver halves it
/// where it would lower the likelihood. Sources come out with variance one, those that explain most first, the largest number
/// of each column of `A` positive.
///
/// Cost per iteration: `4 n d q` flops and `n q` exponentials. Rows are read where they are: beside the data there are blocks
/// of 512 rows.
///
/// ```
/// use elbo_factor::{Ica, Rows};
///
/// // two sources with long tails, mixed
/// let source = |i: i32, step: i32| f64::from((i * step) % 101 - 50).powi(3) / 5e4;
/// let data: Vec<f64> = (0..1010)
///     .flat_map(|i| [source(i, 1) + 0.5 * source(i / 10, 7), source(i / 10, 7) - 0.3 * source(i, 1)])
///     .collect();
/// let fit = Ica::new().fit(Rows::new(&data, 1010, 2).into())?;
/// let a = &fit.mixing;
/// assert!((a[1] / a[3] - 0.5).abs() < 0.1 || (a[0] / a[2] - 0.5).abs() < 0.1);
/// # Ok::<(), elbo_factor::FitError>(())
/// ```
///
/// # Source
///
/// Pham & Garat (1997), IEEE Trans. Signal Process. 45(7); Lee, Girolami & Sejnowski (1999), Neural Comput. 11(2); relative
/// gradient: Cardoso & Laheld (1996), IEEE Trans. Signal Process. 44(12); Ablin, Cardoso & Gramfort (2018), IEEE Trans.
/// Signal Process. 66(15).
#[derive(Clone, Debug, Default)]
pub struct Ica {
    components: Option<usize>,
    settings: Settings,
    extra_starts: usize,
}

/// Fitted independent components.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IcaFit {
    /// `μ`.
    pub mean: Vec<f64>,
    /// `A`, `d × q`, row-major, in the unit of the columns.
    pub mixing: Vec<f64>,
    /// `B`, `q × d`: sources are `B (x − μ)`.
    pub unmixing: Vec<f64>,
    /// The density of each source.
    pub kinds: Vec<SourceKind>,
    /// How the best run went. With fewer sources than columns its likelihood is that of the whitened components.
    pub report: Report,
    /// How all runs ended.
    pub runs: Runs,
}

impl Ica {
    /// As many sources as columns, one start.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sources in the span of the `q` leading principal components only.
    ///
    /// # Panics
    ///
    /// If `q = 0`.
    #[must_use]
    pub fn components(mut self, q: usize) -> Self {
        assert!(q > 0, "a component is needed");
        self.components = Some(q);
        self
    }

    /// When to stop, and the seed of starts.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Runs from this many starts; the first at the principal components, the others turned at random.
    ///
    /// # Panics
    ///
    /// If `starts = 0`.
    #[must_use]
    pub fn starts(mut self, starts: usize) -> Self {
        assert!(starts > 0, "at least one start is needed");
        self.extra_starts = starts - 1;
        self
    }

    /// Fits rows.
    ///
    /// # Errors
    ///
    /// [`FitError`] if a value is not finite, there are more components than columns, or the covariance has no as many
    /// dimensions.
    pub fn fit(&self, data: Weighted<'_, Rows<'_>>) -> Result<IcaFit, FitError> {
        let sample = Sample::of_rows(data)?;
        let model = IcaModel::of_sample(&sample, self.components.unwrap_or(sample.d()))?;
        let q = model.q;
        let start = |run: usize| {
            let turn = if run == 0 {
                identity(q)
            } else {
                let seed = mix(self.settings.seed, run as u64);
                random_orthogonal(q, &mut ChaCha8Rng::seed_from_u64(seed))
            };
            Ok(model.params(turn, vec![SourceKind::SuperGaussian; q])?)
        };
        // steps are Newton's: nothing of the statistics can be extrapolated
        let settings = Settings { acceleration: Acceleration::None, ..self.settings.clone() };
        let all = fit_restarts(&model, data, 1 + self.extra_starts, start, &settings, &())?;
        let Restarts { best: Fit { params, report, .. }, runs } = all;
        Ok(model.told(sample.mean().to_vec(), &params, report, runs)?)
    }
}

impl IcaFit {
    /// The sources of rows, `n × q`, row-major.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the width is another or a value is not finite.
    pub fn sources(&self, rows: Rows<'_>) -> Result<Vec<f64>, DataError> {
        let d = self.mean.len();
        if rows.d() != d {
            return Err(DataError::Dimension { expected: d, found: rows.d() });
        }
        rows.check_finite()?;
        let mut x = vec![0.0; d];
        let mut out = Vec::with_capacity(rows.len() * self.kinds.len());
        for i in 0..rows.len() {
            rows.copy_row(i, &mut x);
            add_scaled(&mut x, -1.0, &self.mean);
            let source = |b: &[f64]| b.iter().zip(&x).map(|(b, x)| b * x).sum::<f64>();
            out.extend(self.unmixing.chunks_exact(d).map(source));
        }
        Ok(out)
    }
}

/// Independent components as a latent-variable model of rows, which it whitens as one sample says.
#[derive(Clone, Debug, PartialEq)]
pub struct IcaModel {
    q: usize,
    mean: Vec<f64>,
    /// `K = Λ^−½ Uᵀ`, `q × d`.
    whitening: Vec<f64>,
    /// `U Λ^½`, `d × q`.
    coloring: Vec<f64>,
    /// `ln |det K|` per observation; 0 where `K` is not square.
    log_det: f64,
}

/// Parameters of an [`IcaModel`]: sources are `R K (x − μ)`.
#[derive(Clone, Debug, PartialEq)]
pub struct IcaParams {
    turn: Vec<f64>,
    kinds: Vec<SourceKind>,
    /// `R K`, `q × d`, and `R K μ`.
    unmixing: Vec<f64>,
    offsets: Vec<f64>,
    /// `ln |det R|`.
    log_det: f64,
}

/// Relative gradient and curvature, as sums.
#[derive(Clone, Debug, PartialEq)]
pub struct IcaStats {
    n: f64,
    /// `Σw tanh(yₐ) y_b`.
    products: Vec<f64>,
    /// `Σw (1 − tanh²)`, `Σw y²` and `Σw ln cosh y`, `q` of each.
    sums: Vec<f64>,
}

impl Statistics for IcaStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.n));
        see(&self.products);
        see(&self.sums);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.n));
        see(&mut self.products);
        see(&mut self.sums);
    }
}

/// A block of rows and its sources.
#[derive(Clone, Debug)]
pub struct IcaScratch {
    rows: Vec<f64>,
    values: Vec<f64>,
    tanh: Vec<f64>,
    products: Vec<f64>,
}

impl IcaModel {
    fn of_sample(sample: &Sample, q: usize) -> Result<Self, FitError> {
        let d = sample.d();
        if q > d {
            let (what, structure) = ("more sources than columns", "independent components");
            return Err(EstimateError::Unsupported { what, structure }.into());
        }
        let infeasible = |_| EstimateError::Infeasible { component: 0, what: "covariance" };
        let eigen = symmetric_eigen(sample.covariance(), d).map_err(infeasible)?;
        let (mut whitening, mut coloring) = (vec![0.0; q * d], vec![0.0; d * q]);
        let mut log_det = 0.0;
        let largest = eigen.values[d - 1];
        let pairs = eigen.values.iter().zip(eigen.vectors.chunks_exact(d)).rev().take(q);
        for (a, (value, u)) in pairs.enumerate() {
            if *value <= 1e-12 * largest || largest == 0.0 {
                let (column, variance) = (a, value.max(0.0));
                return Err(EstimateError::Singular { component: 0, column, variance }.into());
            }
            log_det -= 0.5 * value.ln();
            for (j, u) in u.iter().enumerate() {
                whitening[a * d + j] = u / value.sqrt();
                coloring[j * q + a] = u * value.sqrt();
            }
        }
        let log_det = if q == d { log_det } else { 0.0 };
        Ok(Self { q, mean: sample.mean().to_vec(), whitening, coloring, log_det })
    }

    fn params(&self, turn: Vec<f64>, kinds: Vec<SourceKind>) -> Result<IcaParams, EstimateError> {
        let (q, d) = (self.q, self.mean.len());
        let (unmixing, offsets) = (vec![0.0; q * d], vec![0.0; q]);
        let mut params = IcaParams { turn, kinds, unmixing, offsets, log_det: 0.0 };
        self.prepare(&mut params)?;
        Ok(params)
    }

    fn prepare(&self, params: &mut IcaParams) -> Result<(), EstimateError> {
        let (q, d) = (self.q, self.mean.len());
        let singular = EstimateError::Infeasible { component: 0, what: "unmixing matrix" };
        (_, params.log_det) = inverse_and_log_det(&params.turn, q).ok_or(singular)?;
        let turn = View::new(&params.turn, q, q);
        multiply_into(turn, View::new(&self.whitening, q, d), &mut params.unmixing);
        let mean = View::new(&self.mean, d, 1);
        multiply_into(View::new(&params.unmixing, q, d), mean, &mut params.offsets);
        Ok(())
    }

    /// Scaled, signed and in order.
    fn told(
        &self,
        mean: Vec<f64>,
        params: &IcaParams,
        report: Report,
        runs: Runs,
    ) -> Result<IcaFit, EstimateError> {
        let (q, d) = (self.q, mean.len());
        let singular = EstimateError::Infeasible { component: 0, what: "unmixing matrix" };
        let inverse = inverse(&params.turn, q).ok_or(singular)?;
        let mut raw = vec![0.0; d * q];
        multiply_into(View::new(&self.coloring, d, q), View::new(&inverse, q, q), &mut raw);
        let column = |a: usize| raw.iter().skip(a).step_by(q);
        // whitened data have the identity as covariance, so that of the sources is R Rᵀ
        let turn = |a: usize| &params.turn[a * q..][..q];
        let scales: Vec<f64> = (0..q)
            .map(|a| {
                let deviation = turn(a).iter().map(|r| r * r).sum::<f64>().sqrt();
                let largest = |x: f64, y: &f64| if y.abs() > x.abs() { *y } else { x };
                deviation.copysign(column(a).fold(0.0, largest))
            })
            .collect();
        let explained = |a: usize| scales[a].powi(2) * column(a).map(|x| x * x).sum::<f64>();
        let mut order: Vec<usize> = (0..q).collect();
        order.sort_by(|a, b| explained(*b).total_cmp(&explained(*a)));
        let mixing = raw
            .chunks_exact(q)
            .flat_map(|row| order.iter().map(|a| row[*a] * scales[*a]))
            .collect();
        let unmixing = order
            .iter()
            .flat_map(|a| params.unmixing[a * d..][..d].iter().map(|b| b / scales[*a]))
            .collect();
        let kinds = order.iter().map(|a| params.kinds[*a]).collect();
        Ok(IcaFit { mean, mixing, unmixing, kinds, report, runs })
    }

    /// `Σw ln p(yₐ)` under one of the densities.
    fn log_density(&self, stats: &IcaStats, a: usize, kind: SourceKind) -> f64 {
        let (q, n) = (self.q, stats.n);
        let (square, log_cosh) = (stats.sums[q + a], stats.sums[2 * q + a]);
        match kind {
            SourceKind::SuperGaussian => -log_cosh - n * PI.ln(),
            SourceKind::SubGaussian => log_cosh - 0.5 * square - 0.5 * n * (1.0 + TAU.ln()),
        }
    }
}

impl LatentModel for IcaModel {
    type Data<'a> = Weighted<'a, Rows<'a>>;
    type Params = IcaParams;
    type Stats = IcaStats;
    type Scratch = IcaScratch;

    fn check(&self, _: &IcaParams, data: Self::Data<'_>) -> Result<(), DataError> {
        let (expected, found) = (self.mean.len(), data.units().d());
        if found != expected {
            return Err(DataError::Dimension { expected, found });
        }
        data.units().check_finite()
    }

    fn new_stats(&self, _: &IcaParams) -> IcaStats {
        let q = self.q;
        IcaStats { n: 0.0, products: vec![0.0; q * q], sums: vec![0.0; 3 * q] }
    }

    fn new_scratch(&self, _: &IcaParams) -> IcaScratch {
        let (q, d) = (self.q, self.mean.len());
        IcaScratch {
            rows: vec![0.0; BLOCK * d],
            values: vec![0.0; BLOCK * q],
            tanh: vec![0.0; BLOCK * q],
            products: vec![0.0; q * q],
        }
    }

    fn e_step(
        &self,
        params: &IcaParams,
        data: Self::Data<'_>,
        how: &mut Inference<'_>,
        stats: &mut IcaStats,
        scratch: &mut IcaScratch,
    ) -> Result<f64, EStepError> {
        let _ = how; // sources are functions of the data
        for start in (0..data.len()).step_by(BLOCK) {
            self.observe(params, data.slice(start..data.len().min(start + BLOCK)), stats, scratch);
        }
        let q = self.q;
        let densities: f64 = (0..q).map(|a| self.log_density(stats, a, params.kinds[a])).sum();
        let data_term = densities + stats.n * (params.log_det + self.log_det);
        if data_term.is_finite() { Ok(data_term) } else { Err(EStepError::NotFinite { row: 0 }) }
    }

    fn m_step(
        &self,
        params: &IcaParams,
        stats: &IcaStats,
        next: &mut IcaParams,
    ) -> Result<Repairs, EstimateError> {
        let q = self.q;
        for (a, kind) in next.kinds.iter_mut().enumerate() {
            let of = |kind| self.log_density(stats, a, kind);
            let (flat, peaked) = (SourceKind::SubGaussian, SourceKind::SuperGaussian);
            *kind = if of(flat) > of(peaked) { flat } else { peaked };
        }
        let mut step = self.newton_step(params, stats, &next.kinds);
        let largest = step.iter().fold(0.0_f64, |largest, e| largest.max(e.abs()));
        let share = (LONGEST / largest).min(1.0);
        for (p, e) in step.iter_mut().enumerate() {
            *e = share * *e + f64::from(u8::from(p % (q + 1) == 0));
        }
        let turn = View::new(&params.turn, q, q);
        multiply_into(View::new(&step, q, q), turn, &mut next.turn);
        self.prepare(next)?;
        Ok(Repairs::default())
    }

    fn retreat(&self, params: &IcaParams, next: &mut IcaParams) -> bool {
        for (new, old) in next.turn.iter_mut().zip(&params.turn) {
            *new = 0.5 * (*new + old);
        }
        self.prepare(next).is_ok()
    }

    fn free_parameters(&self, _: &IcaParams) -> usize {
        let (q, d) = (self.q, self.mean.len());
        if q == d { d + d * d } else { q * q }
    }
}

impl IcaModel {
    /// `E` of `R ← (I + E) R`, by Newton's method with the Hessian of independent sources of these kinds.
    fn newton_step(&self, params: &IcaParams, stats: &IcaStats, kinds: &[SourceKind]) -> Vec<f64> {
        let (q, n) = (self.q, stats.n);
        let mut covariance = vec![0.0; q * q]; // of the sources
        let turn = View::new(&params.turn, q, q);
        multiply_into(turn, turn.t(), &mut covariance);
        let is_flat = |a: usize| kinds[a] == SourceKind::SubGaussian;
        let gradient = |a: usize, b: usize| {
            let product = stats.products[a * q + b] / n;
            let score = if is_flat(a) { covariance[a * q + b] - product } else { product };
            score - f64::from(u8::from(a == b))
        };
        let curvature = |a: usize, b: usize| {
            let slope = stats.sums[a] / n;
            let slope = if is_flat(a) { 1.0 - slope } else { slope };
            slope * stats.sums[q + b] / n
        };
        let entry = |a: usize, b: usize| {
            if a == b {
                return -gradient(a, a) / (1.0 + curvature(a, a)).max(FLATTEST);
            }
            let (h, k) = (curvature(a, b), curvature(b, a));
            // the smaller eigenvalue of the block, raised where it is too small
            let smaller = 0.5 * (h + k - (h - k).hypot(2.0));
            let raise = (FLATTEST - smaller).max(0.0);
            let (h, k) = (h + raise, k + raise);
            -(k * gradient(a, b) - gradient(b, a)) / (h * k - 1.0)
        };
        (0..q * q).map(|p| entry(p / q, p % q)).collect()
    }

    /// Adds a block of rows.
    fn observe(
        &self,
        params: &IcaParams,
        data: Weighted<'_, Rows<'_>>,
        stats: &mut IcaStats,
        scratch: &mut IcaScratch,
    ) {
        let (n, q, d) = (data.len(), self.q, self.mean.len());
        let (rows, values) = (&mut scratch.rows[..n * d], &mut scratch.values[..n * q]);
        let tanh = &mut scratch.tanh[..n * q];
        for (i, row) in rows.chunks_exact_mut(d).enumerate() {
            data.units().copy_row(i, row);
        }
        let unmixing = View::new(&params.unmixing, q, d);
        multiply_into(unmixing, View::new(rows, n, d).t(), values);
        let level = Level::detect();
        for a in 0..q {
            let sums = level.dispatch(Score {
                values: &mut values[a * n..][..n],
                tanh: &mut tanh[a * n..][..n],
                weights: data.weights(),
                offset: params.offsets[a],
            });
            stats.sums[a] += sums.slope;
            stats.sums[q + a] += sums.square;
            stats.sums[2 * q + a] += sums.log_cosh;
        }
        stats.n += data.observations();
        multiply_into(View::new(tanh, q, n), View::new(values, q, n).t(), &mut scratch.products);
        add_scaled(&mut stats.products, 1.0, &scratch.products);
    }
}

/// An orthogonal matrix: random rows, made orthonormal one after the other.
fn random_orthogonal(q: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut rows: Vec<f64> = Vec::with_capacity(q * q);
    while rows.len() < q * q {
        let mut row: Vec<f64> =
            (0..q).map(|_| (0..4).map(|_| rng.random_range(-1.0..1.0)).sum()).collect();
        for _ in 0..2 {
            for other in rows.chunks_exact(q) {
                let along: f64 = row.iter().zip(other).map(|(x, y)| x * y).sum();
                add_scaled(&mut row, -along, other);
            }
        }
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 1e-3 {
            rows.extend(row.iter().map(|x| x / norm));
        }
    }
    rows
}
