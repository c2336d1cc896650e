//! One distribution by itself, fitted by the same drivers as everything else.

use std::marker::PhantomData;

use crate::{
    BLOCK, BLOCK_STRIDE, Batch, DataError, EStepError, EstimateError, Estimator, Family, Fit,
    FitError, Inference, LatentModel, Matrix, MatrixMut, MaximumLikelihood, PointEstimator,
    Repairs, Settings, Statistics, Stopped, Weighted, fit,
};

/// A family by itself, estimated by `E`: no label to fill in, only latent variables of the family's own, if it has any
/// (the scales of a Student t).
///
/// Where the family is an exponential one, the first M-step is the answer
/// ([`Family::is_maximized_at_once`]), and the second E-step only evaluates it.
#[derive(Clone, Debug)]
pub struct SingleModel<F, E> {
    estimator: E,
    family: PhantomData<fn() -> F>,
}

/// The distribution under estimation, with its packed form.
#[derive(Clone, Debug)]
pub struct SingleParams<F: Family, E: Estimator<F>> {
    fits: E::Fits,
    packed: F::Packed,
}

/// What one worker needs: the scores and weights of a block, and the family's own.
#[derive(Debug)]
pub struct SingleScratch<S> {
    block: Vec<f64>,
    family: S,
}

impl<F: Family, E: Estimator<F>> SingleModel<F, E> {
    /// A family estimated so.
    pub fn new(estimator: E) -> Self {
        Self { estimator, family: PhantomData }
    }

    pub(crate) fn estimator(&self) -> &E {
        &self.estimator
    }

    /// Parameters to start from; a posterior starts as if it had seen `observations` ideal ones.
    ///
    /// # Errors
    ///
    /// If a prior cannot serve such a distribution.
    pub fn start(&self, point: F, observations: f64) -> Result<SingleParams<F, E>, EstimateError> {
        let packed = point.new_packed(1);
        let fits = self.estimator.start(vec![point], observations)?;
        let mut params = SingleParams { fits, packed };
        params.repack();
        Ok(params)
    }
}

impl<F: Family, E: Estimator<F>> SingleParams<F, E> {
    /// The fit: a point, or a posterior with the point that stands for it.
    pub fn fits(&self) -> &E::Fits {
        &self.fits
    }

    /// The distribution that these parameters are or stand for.
    pub fn point(&self) -> &F {
        &E::points(&self.fits)[0]
    }

    fn repack(&mut self) {
        E::pack(&self.fits, &mut self.packed);
    }

    /// The same with other points.
    pub(crate) fn at(&self, points: Vec<F>) -> Self
    where
        E: PointEstimator<F>,
    {
        let mut moved = self.clone();
        E::set_points(&mut moved.fits, points);
        moved.repack();
        moved
    }
}

impl<F: Family, E: Estimator<F>> LatentModel for SingleModel<F, E> {
    type Data<'a> = Weighted<'a, F::Batch<'a>>;
    type Params = SingleParams<F, E>;
    type Stats = Vec<F::Stats>;
    type Scratch = SingleScratch<F::Scratch>;

    fn check(&self, params: &Self::Params, data: Self::Data<'_>) -> Result<(), DataError> {
        params.point().check(data.units())
    }

    fn new_stats(&self, params: &Self::Params) -> Self::Stats {
        vec![params.point().new_stats()]
    }

    fn new_scratch(&self, params: &Self::Params) -> Self::Scratch {
        SingleScratch { block: vec![0.0; BLOCK_STRIDE], family: F::new_scratch(&params.packed) }
    }

    fn reset(&self, params: &Self::Params, stats: &mut Self::Stats) {
        stats.set_zero();
        F::reset_all(&params.packed, stats);
    }

    fn e_step(
        &self,
        params: &Self::Params,
        data: Self::Data<'_>,
        how: &mut Inference<'_>,
        stats: &mut Self::Stats,
        scratch: &mut Self::Scratch,
    ) -> Result<f64, EStepError> {
        let _ = how; // there is no label
        let SingleScratch { block, family } = scratch;
        let mut data_term = 0.0;
        for start in (0..data.len()).step_by(BLOCK) {
            let rows = data.slice(start..data.len().min(start + BLOCK));
            let n = rows.len();
            let scores = MatrixMut::new(block, 1, n, BLOCK_STRIDE);
            F::score_all(&params.packed, rows.units(), scores, family);
            let scores = &mut block[..n];
            data_term += weigh(scores, rows.weights(), start)?;
            match rows.weights() {
                None => scores.fill(1.0),
                Some(weights) => scores.copy_from_slice(weights),
            }
            let weights = Matrix::new(block, 1, n, BLOCK_STRIDE);
            F::observe_all(&params.packed, stats, rows.units(), weights, family);
        }
        F::finish(&params.packed, stats, family);
        Ok(data_term)
    }

    fn m_step(
        &self,
        params: &Self::Params,
        stats: &Self::Stats,
        next: &mut Self::Params,
    ) -> Result<Repairs, EstimateError> {
        let repairs = self.estimator.estimate(&params.fits, stats, &mut next.fits)?;
        next.repack();
        Ok(repairs)
    }

    fn retreat(&self, params: &Self::Params, next: &mut Self::Params) -> bool {
        let moved = E::retreat(&params.fits, &mut next.fits);
        if moved {
            next.repack();
        }
        moved
    }

    fn ends_here(&self, params: &Self::Params, stats: &Self::Stats) -> bool {
        params.point().is_maximized_at_once(&stats[0])
    }

    fn write_natural(&self, params: &Self::Params, like: &Self::Stats, out: &mut Vec<f64>) -> bool {
        params.point().write_natural(&like[0], out)
    }

    fn penalty(&self, params: &Self::Params) -> f64 {
        self.estimator.penalty(&params.fits)
    }

    fn free_parameters(&self, params: &Self::Params) -> usize {
        self.estimator.free_parameters(&params.fits)
    }
}

/// Independent partial sums, so that the loop runs on vectors of numbers.
const LANES: usize = 8;

/// `Σwᵢ scoreᵢ` of the rows from `start` on. A row of weight zero counts for nothing, whatever its score.
fn weigh(scores: &[f64], weights: Option<&[f64]>, start: usize) -> Result<f64, EStepError> {
    let sum = match weights {
        None => sum_of(scores.len(), |i| scores[i]),
        Some(weights) => {
            assert_eq!(weights.len(), scores.len(), "one weight per row");
            sum_of(scores.len(), |i| if weights[i] > 0.0 { weights[i] * scores[i] } else { 0.0 })
        }
    };
    if sum.is_finite() {
        return Ok(sum);
    }
    // Which row it was is looked up only now; none, where finite scores overflow together.
    let counts = |row: &usize| weights.is_none_or(|weights| weights[*row] > 0.0);
    match (0..scores.len()).filter(counts).find(|row| !scores[*row].is_finite()) {
        None => Ok(sum),
        Some(row) if scores[row] == f64::NEG_INFINITY => {
            Err(EStepError::Impossible { row: start + row })
        }
        Some(row) => Err(EStepError::NotFinite { row: start + row }),
    }
}

fn sum_of(n: usize, term: impl Fn(usize) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let whole = n - n % LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    (whole..n).for_each(|i| sums[i % LANES] += term(i));
    sums.iter().sum()
}

/// Maximum likelihood of one distribution from weighted data, starting at `start`, on the library's default settings.
///
/// One pass over the data is the whole answer for an exponential family; a curved one (a Student t, a negative binomial)
/// iterates. To choose settings, a prior or an observer, drive a [`SingleModel`] by [`fit`].
///
/// # Errors
///
/// [`FitError`] if the data are unusable or impossible at the start; [`FitError::NoMaximum`] if they have no estimate. That a
/// fit did not converge is no error but in its report.
pub fn fit_single<'a, F: Family>(
    start: F,
    data: impl Into<Weighted<'a, F::Batch<'a>>>,
) -> Result<Fit<F, F::Stats>, FitError>
where
    F::Batch<'a>: 'a,
{
    let data = data.into();
    let model = SingleModel::new(MaximumLikelihood);
    let start = model.start(start, data.observations())?;
    let Fit { params, mut stats, report } = fit(&model, data, start, &Settings::default(), &())?;
    if let Stopped::MStep(error) = report.stopped {
        return Err(FitError::NoMaximum(error));
    }
    let point = params.point().clone();
    Ok(Fit { params: point, stats: stats.swap_remove(0), report })
}
