//! The uniform distribution on a box.

use elbo_core::{
    Batch, ConjugatePrior, DataError, Draw, EstimateError, ExpectedLogLikelihood, Family,
    FlatParameters, Matrix, MatrixMut, OwnedRows, Range, Repairs, Rows,
};
use rand::{Rng, RngExt};

use crate::{
    ParameterError,
    block::check_shape,
    error::{finite, positive},
};

/// The uniform distribution on a box, `ln p(x) = −ln V` inside of it and `−∞` elsewhere: noise.
///
/// As a component beside others, which it joins by [`Either`](elbo_core::Either), it takes the rows that belong to none of
/// them. Nothing of it is estimated; as a prior of itself it says so under every estimator. Ends are in the units of the
/// columns. NaN is a missing value: the density is that of the columns that are there.
///
/// ```
/// use elbo_core::Rows;
/// use elbo_dist::UniformBox;
///
/// let noise = UniformBox::around(Rows::new(&[0.0, 1.0, 4.0, 3.0, 2.0, 2.0], 3, 2)).unwrap();
/// assert!((noise.volume() - 8.0).abs() < 1e-12);
/// assert!((noise.log_density(&[1.0, 1.5]) + 8.0_f64.ln()).abs() < 1e-12);
/// ```
///
/// # Source
///
/// Banfield & Raftery (1993), Biometrics 49(3); Fraley & Raftery (1998), Comput. J. 41(8).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters", into = "Parameters")
)]
pub struct UniformBox {
    low: Vec<f64>,
    high: Vec<f64>,
    /// Logs of the widths, all moved alike where the volume is not that of the box.
    log_widths: Vec<f64>,
}

impl UniformBox {
    /// The distribution on `[low₁, high₁] × …`.
    ///
    /// # Errors
    ///
    /// If there is no column, not one `high` for each `low`, or a width is not positive and finite.
    pub fn new(low: Vec<f64>, high: Vec<f64>) -> Result<Self, ParameterError> {
        if low.is_empty() || high.len() != low.len() {
            let (expected, found) = (low.len().max(1), high.len());
            return Err(ParameterError::Length { parameter: "high ends", expected, found });
        }
        for (low, high) in low.iter().zip(&high) {
            finite("low end", *low)?;
            finite("high end", *high)?;
            positive("width", high - low)?;
        }
        let log_widths = low.iter().zip(&high).map(|(low, high)| (high - low).ln()).collect();
        Ok(Self { low, high, log_widths })
    }

    /// The smallest box that holds all rows, NaN aside.
    ///
    /// # Errors
    ///
    /// [`DataError::Empty`] without a row, [`DataError::ConstantColumn`] where the box would be flat,
    /// [`DataError::NotFinite`] where a column has no number, an infinite one, or is too wide.
    pub fn around(rows: Rows<'_>) -> Result<Self, DataError> {
        if rows.is_empty() {
            return Err(DataError::Empty);
        }
        let (mut low, mut high) =
            (vec![f64::INFINITY; rows.d()], vec![f64::NEG_INFINITY; rows.d()]);
        for row in 0..rows.len() {
            for column in 0..rows.d() {
                let value = rows.get(row, column);
                if value.is_infinite() {
                    return Err(DataError::NotFinite { row, column, value });
                }
                low[column] = low[column].min(value); // NaN is skipped
                high[column] = high[column].max(value);
            }
        }
        for (column, (low, high)) in low.iter().zip(&high).enumerate() {
            let width = high - low;
            if width == 0.0 {
                return Err(DataError::ConstantColumn { column, value: *low });
            }
            if !(width > 0.0 && width.is_finite()) {
                return Err(DataError::NotFinite { row: 0, column, value: width });
            }
        }
        let log_widths = low.iter().zip(&high).map(|(low, high)| (high - low).ln()).collect();
        Ok(Self { low, high, log_widths })
    }

    /// The same box with density `1/V` instead.
    ///
    /// That is no distribution, and likelihoods are not normalized, unless `V` is the box's own volume. It is what
    /// mclust does, whose `V` is the smaller one of this box and of that along the principal axes.
    ///
    /// # Errors
    ///
    /// Unless `V` is positive and finite.
    pub fn with_volume(mut self, volume: f64) -> Result<Self, ParameterError> {
        positive("volume", volume)?;
        let excess = (volume.ln() - self.log_volume()) / self.log_widths.len() as f64;
        self.log_widths.iter_mut().for_each(|width| *width += excess);
        Ok(self)
    }

    /// The least value of each column.
    pub fn low(&self) -> &[f64] {
        &self.low
    }

    /// The greatest value of each column.
    pub fn high(&self) -> &[f64] {
        &self.high
    }

    /// `V`: one over the density inside of the box. Infinite where it overflows.
    pub fn volume(&self) -> f64 {
        self.log_volume().exp()
    }

    /// `ln V`, in nats: the entropy.
    pub fn log_volume(&self) -> f64 {
        self.log_widths.iter().sum()
    }

    /// `ln p(x)`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has not one number for each column.
    pub fn log_density(&self, x: &[f64]) -> f64 {
        assert_eq!(x.len(), self.low.len(), "one number for each column");
        x.iter().enumerate().map(|(column, x)| self.score(column, *x)).sum()
    }

    /// One draw from the box.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        let ends = self.low.iter().zip(&self.high);
        ends.map(|(low, high)| low + rng.random::<f64>() * (high - low)).collect()
    }

    fn score(&self, column: usize, x: f64) -> f64 {
        if x.is_nan() {
            0.0 // what is missing says nothing
        } else if self.low[column] <= x && x <= self.high[column] {
            -self.log_widths[column]
        } else {
            f64::NEG_INFINITY
        }
    }
}

/// `k` uniform boxes as the kernels want them.
pub type UniformBoxPacked = Vec<UniformBox>;

impl Family for UniformBox {
    type Batch<'a> = Rows<'a>;
    /// `Σw`, in observations.
    type Stats = [f64; 1];
    type Packed = UniformBoxPacked;
    type Scratch = ();

    /// What lies outside of the box is no error: its density is zero.
    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        if data.d() != self.low.len() {
            return Err(DataError::Dimension { expected: self.low.len(), found: data.d() });
        }
        if data.all(|x| !x.is_infinite()) { Ok(()) } else { data.check_finite() }
    }

    fn new_stats(&self) -> [f64; 1] {
        [0.0]
    }

    fn new_packed(&self, k: usize) -> UniformBoxPacked {
        vec![self.clone(); k]
    }

    fn new_scratch(_: &UniformBoxPacked) {}

    fn pack(&self, j: usize, packed: &mut UniformBoxPacked) {
        packed[j].clone_from(self);
    }

    fn score_all(packed: &UniformBoxPacked, data: Rows<'_>, mut out: MatrixMut<'_>, (): &mut ()) {
        check_shape(packed.len(), data.len(), out.rows(), out.columns());
        let (values, row_stride, column_stride) = data.raw();
        for (j, component) in packed.iter().enumerate() {
            let out = out.row_mut(j);
            out.fill(0.0);
            for column in 0..data.d() {
                for (i, out) in out.iter_mut().enumerate() {
                    *out +=
                        component.score(column, values[i * row_stride + column * column_stride]);
                }
            }
        }
    }

    fn observe_all(
        _: &UniformBoxPacked,
        stats: &mut [[f64; 1]],
        data: Rows<'_>,
        weights: Matrix<'_>,
        (): &mut (),
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        for (j, stats) in stats.iter_mut().enumerate() {
            stats[0] += weights.row(j).iter().sum::<f64>();
        }
    }

    /// Stays where it is: its range is not a matter of one observation.
    fn moved_to(&self, _: Rows<'_>, _: usize) -> Result<Self, EstimateError> {
        Ok(self.clone())
    }

    /// Estimates nothing: `next` is `self`, also where no observation is left.
    fn maximize(&self, stats: &[f64; 1], next: &mut Self) -> Result<Repairs, EstimateError> {
        check_weight(stats[0])?;
        next.clone_from(self);
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> [f64; 1] {
        [weight]
    }

    fn is_maximized_at_once(&self, _: &[f64; 1]) -> bool {
        true
    }

    /// No parameter touches the likelihood.
    fn write_natural(&self, _: &[f64; 1], out: &mut Vec<f64>) -> bool {
        out.push(-self.log_volume());
        true
    }

    fn free_parameters(&self, _: usize) -> usize {
        0
    }
}

fn check_weight(weight: f64) -> Result<(), EstimateError> {
    if weight >= 0.0 && weight.is_finite() {
        return Ok(());
    }
    Err(EstimateError::Infeasible { component: 0, what: "uniform distribution" })
}

/// Surely itself: prior and posterior of a distribution that is known.
impl ConjugatePrior<UniformBox> for UniformBox {
    fn posterior(&self, stats: &[f64; 1], posterior: &mut Self) -> Result<(), EstimateError> {
        check_weight(stats[0])?;
        posterior.clone_from(self);
        Ok(())
    }

    fn mode_into(&self, point: &mut UniformBox) -> Result<(), EstimateError> {
        point.clone_from(self);
        Ok(())
    }

    fn mean_into(&self, point: &mut UniformBox) {
        point.clone_from(self);
    }

    fn log_prior(&self, _: &UniformBox) -> f64 {
        0.0
    }

    fn kl_divergence(&self, _: &Self) -> f64 {
        0.0
    }

    fn pack(&self, j: usize, packed: &mut UniformBoxPacked) {
        packed[j].clone_from(self);
    }
}

impl Draw for UniformBox {
    type Drawn = OwnedRows;

    fn no_draws(&self) -> OwnedRows {
        OwnedRows::new(self.low.len())
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut OwnedRows) {
        (0..n).for_each(|_| drawn.push(&self.sample(rng)));
    }

    fn batch_of(drawn: &OwnedRows) -> Rows<'_> {
        drawn.rows()
    }
}

impl FlatParameters for UniformBox {
    fn write_unconstrained(&self, _: &mut Vec<f64>) {} // nothing is estimated

    fn with_unconstrained(&self, _: &mut &[f64]) -> Self {
        self.clone()
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        for (column, (low, high)) in self.low.iter().zip(&self.high).enumerate() {
            see(&format!("low[{column}]"), *low, Range::Real);
            see(&format!("high[{column}]"), *high, Range::Real);
        }
    }
}

impl ExpectedLogLikelihood for UniformBox {
    /// Complete rows; nothing depends on a parameter.
    fn expected_log_likelihood(&self, stats: &[f64; 1]) -> f64 {
        -stats[0] * self.log_volume()
    }

    fn is_complete(&self, _: Rows<'_>) -> bool {
        true
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    low: Vec<f64>,
    high: Vec<f64>,
    /// Where it is not that of the box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_widths: Option<Vec<f64>>,
}

#[cfg(feature = "serde")]
impl From<UniformBox> for Parameters {
    fn from(noise: UniformBox) -> Self {
        let own = noise.low.iter().zip(&noise.high).map(|(low, high)| (high - low).ln());
        let is_own = own.eq(noise.log_widths.iter().copied());
        let log_widths = (!is_own).then_some(noise.log_widths);
        Self { low: noise.low, high: noise.high, log_widths }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for UniformBox {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        let mut noise = Self::new(p.low, p.high)?;
        if let Some(log_widths) = p.log_widths {
            if log_widths.len() != noise.log_widths.len() {
                let (expected, found) = (noise.log_widths.len(), log_widths.len());
                return Err(ParameterError::Length { parameter: "log widths", expected, found });
            }
            for width in &log_widths {
                finite("log width", *width)?;
            }
            noise.log_widths = log_widths;
        }
        Ok(noise)
    }
}
