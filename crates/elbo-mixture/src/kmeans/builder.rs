//! k-means for users.

use std::{marker::PhantomData, sync::Arc};

use elbo_core::{
    Batch, DataError, EstimateError, FitError, Observer, Rows, Settings, Tolerance, Variant,
    Weighted, fit_restarts, map_in_order, mix,
};
use elbo_linalg::Number;

use super::{
    bounds::Bounds,
    centers::{Centers, FittedKMeans, placed},
    model::KMeansModel,
    packed::Frame,
    params::{KMeansParams, normalize},
    start::{Seeds, Spread},
};

/// Fits centers to rows so that the sum of squared distances to the nearest ones is small.
///
/// ```
/// use elbo_mixture::{KMeans, Rows};
///
/// let data = [0.0, 0.1, 0.3, 5.0, 5.2, 4.9];
/// let fitted = KMeans::new(2).fit(Rows::new(&data, 6, 1).into())?;
/// assert!((fitted.inertia - 0.093_333).abs() < 1e-6);
/// assert_eq!(fitted.sizes, [3.0, 3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KMeans {
    k: usize,
    starts: usize,
    spread: Spread,
    start_at: Option<Centers>,
    comparisons: Comparisons,
    spherical: bool,
    settings: Settings,
}

/// Which rows are compared with which centers. Labels, centers and reports are the same to the bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Comparisons {
    /// Bounds from four centers on, as long as they pay.
    #[default]
    Auto,
    /// Every row with every center (Lloyd 1982).
    All,
}

impl KMeans {
    /// `k` centers from 10 starts, until no row changes its center.
    ///
    /// # Panics
    ///
    /// If `k = 0`, or `k > 2²⁴`.
    pub fn new(k: usize) -> Self {
        assert!(k > 0 && k <= 1 << 24, "k-means needs 1 to 2²⁴ centers, not {k}");
        // The last steps of k-means are worth little and end at a partition that is stable.
        let settings = Settings { tolerance: Tolerance::Gap(1e-15), ..Settings::default() };
        Self {
            k,
            starts: 10,
            spread: Spread::default(),
            start_at: None,
            comparisons: Comparisons::default(),
            spherical: false,
            settings,
        }
    }

    /// Number of starts.
    ///
    /// # Panics
    ///
    /// If zero.
    #[must_use]
    pub fn starts(mut self, starts: usize) -> Self {
        assert!(starts > 0, "at least one start is needed");
        self.starts = starts;
        self
    }

    /// How starts are picked.
    #[must_use]
    pub fn spread(mut self, spread: Spread) -> Self {
        self.spread = spread;
        self
    }

    /// One run from these centers instead.
    #[must_use]
    pub fn start_at(mut self, centers: Centers) -> Self {
        self.k = centers.k();
        self.start_at = Some(centers);
        self
    }

    /// Which rows are compared with which centers.
    #[must_use]
    pub fn comparisons(mut self, comparisons: Comparisons) -> Self {
        self.comparisons = comparisons;
        self
    }

    /// Clusters directions: rows are scaled to length 1 and centers kept there, so that the inertia is `2 Σ w (1 − cos)`.
    ///
    /// Rows are copied. [`Centers::predict`] gives the nearest direction of rows of any length. Source: Dhillon & Modha
    /// (2001), Machine Learning 42(1–2).
    #[must_use]
    pub fn spherical(mut self) -> Self {
        self.spherical = true;
        self
    }

    /// Seed of the starts.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Everything else about the fit: tolerance, iterations, time budget, cancellation, seed. [`Variant::Online`] is
    /// mini-batch k-means.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Mini-batches of `batch` rows, `epochs` times over the data, instead of steps over all rows: see
    /// [`Variant::Online`]. Steps shrink as `(t + 2)^−0.7`, and the second half of them is averaged.
    #[must_use]
    pub fn mini_batch(mut self, batch: usize, epochs: usize) -> Self {
        self.settings.variant = Variant::Online { batch, epochs, decay: 0.7, delay: 2.0 };
        self
    }

    /// Fits without watching.
    ///
    /// # Errors
    ///
    /// As [`fit_observed`](Self::fit_observed).
    pub fn fit<T: Number>(
        &self,
        data: Weighted<'_, Rows<'_, T>>,
    ) -> Result<FittedKMeans, FitError> {
        self.fit_observed(data, &())
    }

    /// Fits centers to `n × d` rows of `f64` or `f32`, which may have weights.
    ///
    /// Cost: at most `n·k·d` multiply-adds per iteration and start; with bounds 12 bytes of memory per row.
    ///
    /// # Errors
    ///
    /// [`DataError`] for NaN and infinite values, fewer rows (or distinct rows) than centers, a start of another width, and
    /// rows of zeros where directions are asked for; [`EstimateError::Unsupported`] for rows with labels.
    pub fn fit_observed<T: Number>(
        &self,
        data: Weighted<'_, Rows<'_, T>>,
        observer: &impl Observer<KMeansParams<T>>,
    ) -> Result<FittedKMeans, FitError> {
        let rows = data.units();
        let n = data
            .weights()
            .map_or(data.len(), |weights| weights.iter().filter(|weight| **weight > 0.0).count());
        if n == 0 {
            return Err(DataError::Empty.into());
        }
        if data.labels().is_some() {
            let (what, structure) = ("knowing labels", "k-means");
            return Err(EstimateError::Unsupported { what, structure }.into());
        }
        rows.check_finite()?;
        if n < self.k {
            return Err(DataError::TooFew { n, needed: self.k }.into());
        }
        if self.spherical {
            let unit = unit_rows(data)?;
            let rows = Rows::new(&unit, rows.len(), rows.d());
            return self.fit_checked(Weighted::of(rows, data.weights())?, observer);
        }
        self.fit_checked(data, observer)
    }

    fn fit_checked<T: Number>(
        &self,
        data: Weighted<'_, Rows<'_, T>>,
        observer: &impl Observer<KMeansParams<T>>,
    ) -> Result<FittedKMeans, FitError> {
        let middle = Middle::of(data);
        let model = KMeansModel { variance: middle.unit(), number: PhantomData };
        let frame = Frame::<T>::new(&middle.mean, middle.variance);
        let settings = self.hard_settings();
        let bounded = self.comparisons == Comparisons::Auto
            && self.k >= 4
            && settings.variant == Variant::Hard;
        let start = |run: usize| {
            let centers = self.start(data, &frame, run)?;
            let bounds = bounded.then(|| Arc::new(Bounds::new(data.len())));
            let mut params = KMeansParams::new(&centers, frame.clone(), data.len(), bounds);
            params.spherical = self.spherical;
            Ok(params)
        };
        let runs = if self.start_at.is_some() { 1 } else { self.starts };
        let restarts = fit_restarts(&model, placed(data), runs, start, &settings, observer)?;
        let (params, stats) = (restarts.best.params, restarts.best.stats);
        Ok(FittedKMeans {
            centers: Centers::new(params.centers(), params.d()).map_err(|_| DataError::Empty)?,
            inertia: stats.scatters.iter().sum(),
            sizes: stats.weights,
            scatters: stats.scatters,
            report: restarts.best.report,
            runs: restarts.runs,
        })
    }

    /// Soft EM is hard here; saying so turns off what is for soft EM alone.
    fn hard_settings(&self) -> Settings {
        let variant = match self.settings.variant {
            Variant::Soft | Variant::Annealed { .. } => Variant::Hard,
            variant => variant,
        };
        Settings { variant, ..self.settings.clone() }
    }

    fn start<T: Number>(
        &self,
        data: Weighted<'_, Rows<'_, T>>,
        frame: &Frame<T>,
        run: usize,
    ) -> Result<Vec<f64>, DataError> {
        let d = data.units().d();
        match &self.start_at {
            Some(centers) if centers.d() == d => {
                let mut values = centers.values().to_vec();
                if self.spherical {
                    values.chunks_exact_mut(d).for_each(|center| {
                        normalize(center);
                    });
                }
                Ok(values)
            }
            Some(centers) => Err(DataError::Dimension { expected: centers.d(), found: d }),
            None => {
                let seed = mix(self.settings.seed, run as u64);
                Seeds { data, frame }.pick(self.k, self.spread, seed)
            }
        }
    }
}

/// Rows scaled to length 1, one after the other.
fn unit_rows<T: Number>(data: Weighted<'_, Rows<'_, T>>) -> Result<Vec<T>, DataError> {
    let rows = data.units();
    let mut unit = Vec::with_capacity(rows.len() * rows.d());
    let mut x = vec![0.0; rows.d()];
    for row in 0..rows.len() {
        x.iter_mut().enumerate().for_each(|(j, x)| *x = rows.get(row, j).into());
        let counts = data.weights().is_none_or(|weights| weights[row] > 0.0);
        if !normalize(&mut x) && counts {
            return Err(DataError::Norm { row, norm: 0.0 });
        }
        unit.extend(x.iter().map(|x| T::nearest(*x)));
    }
    Ok(unit)
}

/// Where the data are, and how wide.
#[derive(Debug)]
pub(super) struct Middle {
    pub(super) mean: Vec<f64>,
    /// Per column, on average.
    pub(super) variance: f64,
}

impl Middle {
    /// One pass over finite rows, about the first that counts.
    pub(super) fn of<T: Number>(data: Weighted<'_, Rows<'_, T>>) -> Self {
        const PIECE: usize = 8192;
        let (rows, n, d) = (data.units(), data.len(), data.units().d());
        let weight = |i: usize| data.weights().map_or(1.0, |weights| weights[i]);
        let first = (0..n).find(|i| weight(*i) > 0.0).unwrap_or(0);
        let origin: Vec<f64> = (0..d).map(|j| rows.get(first, j).into()).collect();
        let parts = map_in_order(n.div_ceil(PIECE), |piece| {
            let (mut total, mut sums, mut squares) = (0.0, vec![0.0; d], vec![0.0; d]);
            let (values, row_stride, column_stride) = rows.raw();
            for i in piece * PIECE..n.min((piece + 1) * PIECE) {
                let w = weight(i);
                total += w;
                let row = values[i * row_stride..].iter().step_by(column_stride);
                for (((sum, square), x), origin) in
                    sums.iter_mut().zip(&mut squares).zip(row).zip(&origin)
                {
                    let x: f64 = (*x).into() - origin;
                    *sum += w * x;
                    *square += w * x * x;
                }
            }
            (total, sums, squares.iter().sum::<f64>())
        });
        let (mut total, mut sums, mut square) = (0.0, vec![0.0; d], 0.0);
        for (part, part_sums, part_square) in parts {
            total += part;
            square += part_square;
            sums.iter_mut().zip(part_sums).for_each(|(to, x)| *to += x);
        }
        let shifts = sums.iter().map(|x| x / total);
        let moved: f64 = shifts.clone().map(|x| x * x).sum();
        let mean = shifts.zip(&origin).map(|(x, origin)| x + origin).collect();
        Self { mean, variance: ((square / total - moved) / d as f64).max(0.0) }
    }

    /// The variance, or 1 where nothing varies.
    fn unit(&self) -> f64 {
        if self.variance > 0.0 { self.variance } else { 1.0 }
    }
}
