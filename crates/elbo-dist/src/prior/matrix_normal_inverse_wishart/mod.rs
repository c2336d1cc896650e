//! The matrix-normal-inverse-Wishart prior of a linear regression.

mod empirical;
mod learning;

use std::f64::consts::{LN_2, PI, TAU};

use elbo_core::{Batch, ConjugatePrior, EstimateError, Evidence, Rows};

use crate::error::positive;
use crate::multivariate_gaussian::{parse_spd, spd::Spd};
use crate::regression::{parse_covariance, plane::Plane};
use crate::special::{ln_gamma_ratio, ln_multivariate_gamma, multivariate_digamma};
use crate::{
    CovarianceStructure, LinearGaussian, LinearGaussianPacked, LinearGaussianStats, ParameterError,
};

/// Prior and posterior of a [`LinearGaussian`] with `p` covariates and `q` responses: `Σ ∼ IW(Ψ, ν)`, and given `Σ`
/// slopes `B ∼ MN(M, Σ, K⁻¹)` and, independent of them, the value at a center `c`, `v ∼ N(m, Σ/κ)`.
///
/// In terms of intercept and slopes together, `(b, B) ∣ Σ` is matrix normal with precision
/// `[κ, κcᵀ; κc, K + κccᵀ]` between columns; every positive definite precision can be written so, and about a center
/// among the data nothing cancels. Read `κ` and `ν` as observations that the value and `Ψ` are worth, and `K`, in
/// squared units of the covariates, as the scatter `Σ(x − c)(x − c)ᵀ` of observations that the slopes are worth. Without
/// an intercept there is no `v`.
///
/// Where errors are independent by definition, each `Σₒₒ` is inverse gamma `(ν/2, Ψₒₒ/2)`.
///
/// | covariance | mode of `(b, B, Σ)` | predictions are |
/// |---|---|---|
/// | full | `Σ = Ψ/(ν + q + 1 + p′)` | multivariate `t` with `ν − q + 1` degrees of freedom |
/// | diagonal | `Σ = Ψ/(ν + 2 + p′)` | independent `t` with `ν` |
///
/// with `p′` the number of coefficients per response, intercept included. Modes and densities are taken in `(b, B, Σ)`.
/// What stands for a posterior ([`ConjugatePrior::mean_into`]) is `(m, M, Ψ/ν)`.
///
/// # Ridge regression
///
/// With `M = 0` and `K = λI` the posterior's slopes are those of ridge regression,
/// `(Σw(x − x̄)(x − x̄)ᵀ + λI)⁻¹ Σw(x − x̄)(y − ȳ)`, exactly where `c = x̄` and in the limit `κ → 0` everywhere: see
/// [`ridge`](Self::ridge).
///
/// ```
/// use elbo_core::{ConjugatePrior, Evidence, Family, Rows};
/// use elbo_dist::{LinearGaussian, MatrixNormalInverseWishart};
///
/// let prior = MatrixNormalInverseWishart::ridge(vec![1.0], vec![2.0], 2.0, 1e-3, 1.0, &[1.0])?;
/// let mut line = LinearGaussian::standard(1, 1);
/// let (x, y) = ([0.0, 1.0, 2.0], [0.0, 1.0, 5.0]);
/// let mut stats = line.new_stats();
/// line.observe(&mut stats, (Rows::new(&x, 3, 1), Rows::new(&y, 3, 1)), &[1.0; 3]);
///
/// let mut posterior = prior.clone();
/// prior.posterior(&stats, &mut posterior).unwrap();
/// posterior.mode_into(&mut line).unwrap();
/// assert!((line.coefficients()[0] - 5.0 / (2.0 + 2.0)).abs() < 1e-14);
/// assert!(prior.log_evidence(&stats).unwrap() < 0.0);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Murphy (2012), *Machine Learning: A Probabilistic Perspective*, section 7.6; Zellner (1971), *An
/// Introduction to Bayesian Inference in Econometrics*, chapter 8.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Parameters", try_from = "Parameters")
)]
pub struct MatrixNormalInverseWishart {
    plane: Plane,
    /// `κ`; none without an intercept.
    value_pseudo_count: Option<f64>,
    precision: Spd,
    degrees_of_freedom: f64,
    scale: Spd,
}

impl MatrixNormalInverseWishart {
    /// `c`, `m`, `M` (`q × p`, row-major), `κ`, `K` (`p × p`), `ν` and `Ψ` (`q × q`, or its `q` diagonal numbers for
    /// independent errors) in this order.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if the lengths do not fit, a number is not finite, a matrix is not symmetric and positive
    /// definite, `κ` is not positive, or `ν` is not above `q − 1` (above 0 for independent errors).
    pub fn new(
        center: Vec<f64>,
        value: Vec<f64>,
        coefficients: Vec<f64>,
        value_pseudo_count: f64,
        precision: &[f64],
        degrees_of_freedom: f64,
        scale: &[f64],
    ) -> Result<Self, ParameterError> {
        let count = positive("pseudo-count of the value", value_pseudo_count)?;
        let plane = Plane::new(center, value, coefficients)?;
        Self::checked(plane, Some(count), precision, degrees_of_freedom, scale)
    }

    /// The prior of a regression through the origin with `outputs` responses; otherwise like [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn without_intercept(
        outputs: usize,
        coefficients: Vec<f64>,
        precision: &[f64],
        degrees_of_freedom: f64,
        scale: &[f64],
    ) -> Result<Self, ParameterError> {
        let p = coefficients.len() / outputs.max(1);
        let plane = Plane::new(vec![0.0; p], vec![0.0; outputs], coefficients)?;
        Self::checked(plane, None, precision, degrees_of_freedom, scale)
    }

    /// Slopes about zero with precision `λI`: with the means of the data for `center` and `value`, ridge regression
    /// that does not penalize the intercept. Covariates should have comparable units.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), for `penalty` `λ` as well.
    pub fn ridge(
        center: Vec<f64>,
        value: Vec<f64>,
        penalty: f64,
        value_pseudo_count: f64,
        degrees_of_freedom: f64,
        scale: &[f64],
    ) -> Result<Self, ParameterError> {
        let (p, q) = (center.len(), value.len());
        let penalty = positive("penalty", penalty)?;
        let precision: Vec<f64> =
            (0..p * p).map(|place| if place / p == place % p { penalty } else { 0.0 }).collect();
        let (slopes, count) = (vec![0.0; p * q], value_pseudo_count);
        Self::new(center, value, slopes, count, &precision, degrees_of_freedom, scale)
    }

    fn checked(
        plane: Plane,
        value_pseudo_count: Option<f64>,
        precision: &[f64],
        degrees_of_freedom: f64,
        scale: &[f64],
    ) -> Result<Self, ParameterError> {
        let (p, structure) = (plane.covariates(), CovarianceStructure::VVV);
        let precision = parse_spd("precision", structure, p, precision)?;
        let scale = parse_covariance(plane.outputs(), scale)?;
        let new = Self { plane, value_pseudo_count, precision, degrees_of_freedom, scale };
        let parameter = "degrees of freedom";
        if degrees_of_freedom.is_finite() && degrees_of_freedom > new.order() as f64 - 1.0 {
            Ok(new)
        } else {
            Err(ParameterError::NotPositive { parameter, value: degrees_of_freedom })
        }
    }

    /// Number of covariates, `p`.
    pub fn covariates(&self) -> usize {
        self.plane.covariates()
    }

    /// Number of responses, `q`.
    pub fn outputs(&self) -> usize {
        self.plane.outputs()
    }

    /// `c`, where slopes and value are independent.
    pub fn center(&self) -> &[f64] {
        &self.plane.center
    }

    /// `m`, the expected response at the center.
    pub fn expected_value(&self) -> &[f64] {
        &self.plane.value
    }

    /// `M = E[B]`, `q × p`, row-major.
    pub fn expected_coefficients(&self) -> &[f64] {
        &self.plane.slopes
    }

    /// `κ`, in observations; none without an intercept.
    pub fn value_pseudo_count(&self) -> Option<f64> {
        self.value_pseudo_count
    }

    /// `K`, `p × p`, row-major, in squared units of the covariates.
    pub fn precision(&self) -> Vec<f64> {
        self.precision.to_dense()
    }

    /// `ν`.
    pub fn degrees_of_freedom(&self) -> f64 {
        self.degrees_of_freedom
    }

    /// `Ψ`, `q × q`, row-major, in squared units of the responses.
    pub fn scale(&self) -> Vec<f64> {
        self.scale.to_dense()
    }

    /// `ln p(y ∣ x)` with all parameters integrated out, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has not `p` numbers, or `y` not `q`.
    pub fn log_predictive(&self, x: &[f64], y: &[f64]) -> f64 {
        let mean = self.plane.evaluate(x);
        assert_eq!(y.len(), mean.len(), "an observation has one number per response");
        let (q, nu) = (self.outputs() as f64, self.degrees_of_freedom);
        let widening = 1.0 + self.leverage(x);
        let half = 0.5 * (nu + 1.0);
        let constant = -0.5 * (q * (PI * widening).ln() + self.scale.log_det());
        if self.scale.is_diagonal() {
            let terms = y.iter().zip(&mean).zip(&self.scale.values).map(|((y, m), scale)| {
                let z = (y - m) * ((y - m) / (widening * scale));
                -half * z.ln_1p()
            });
            return constant + q * ln_gamma_ratio(0.5 * nu, 0.5) + terms.sum::<f64>();
        }
        let z = self.scale.distance_squared(y, &mean) / widening;
        constant + ln_gamma_ratio(half - 0.5 * q, 0.5 * q) - half * z.ln_1p()
    }

    /// `1/κ + (x − c)ᵀ K⁻¹ (x − c)`: the variance of the mean response at `x`, in units of `Σ`.
    fn leverage(&self, x: &[f64]) -> f64 {
        self.value_pseudo_count.map_or(0.0, f64::recip)
            + self.precision.distance_squared(x, &self.plane.center)
    }

    /// Coefficients per response.
    fn coefficients_per_output(&self) -> f64 {
        (self.covariates() + usize::from(self.value_pseudo_count.is_some())) as f64
    }

    /// `ln` of the determinant of the precision of all coefficients of one response.
    fn log_det_precision(&self) -> f64 {
        self.precision.log_det() + self.value_pseudo_count.map_or(0.0, f64::ln)
    }

    /// Order of the matrices that are inverse Wishart: `q`, or 1 where variances are on their own.
    fn order(&self) -> usize {
        if self.scale.is_diagonal() { 1 } else { self.outputs() }
    }

    /// How many of them there are.
    fn copies(&self) -> f64 {
        if self.scale.is_diagonal() { self.outputs() as f64 } else { 1.0 }
    }

    /// `ln` of what the density of `Σ` is divided by.
    fn log_normalizer_of_covariance(&self) -> f64 {
        let (half, order) = (0.5 * self.degrees_of_freedom, self.order());
        self.copies() * (half * order as f64 * LN_2 + ln_multivariate_gamma(order, half))
            - half * self.scale.log_det()
    }

    /// `tr(W [K (M − M′) …])`: the squared distance of another function from ours in our precision and the whitening
    /// `U` of a covariance: `κ ‖U δ‖² + Σₒ zₒᵀ K zₒ`, where `δ` is their difference at our center, `z = U (B′ − M)`.
    fn distance_squared(&self, other: &Plane, of: &Spd) -> f64 {
        let (p, q) = (self.covariates(), self.outputs());
        let of_value = self.value_pseudo_count.map_or(0.0, |count| {
            let there = other.evaluate(&self.plane.center);
            count * of.distance_squared(&there, &self.plane.value)
        });
        let u = of.whitening();
        let mut z = vec![0.0; p];
        let mut of_slopes = 0.0;
        for o in 0..q {
            z.fill(0.0);
            for e in if of.is_diagonal() { o } else { 0 }..=o {
                let u = if of.is_diagonal() { u[o] } else { u[o * q + e] };
                let pairs = other.row(e).iter().zip(self.plane.row(e));
                z.iter_mut().zip(pairs).for_each(|(z, (b, m))| *z += u * (b - m));
            }
            of_slopes += quadratic_form(&self.precision, &z);
        }
        of_value + of_slopes
    }

    /// `E ln |Σ|`.
    fn expected_log_det(&self) -> f64 {
        let (half, order) = (0.5 * self.degrees_of_freedom, self.order());
        self.scale.log_det()
            - self.copies() * (order as f64 * LN_2 + multivariate_digamma(order, half))
    }

    /// `E KL` between the distributions of the coefficients given `Σ`, over our own `Σ`.
    fn kl_of_coefficients(&self, prior: &Self) -> f64 {
        let q = self.outputs() as f64;
        let trace = prior.precision_trace(self);
        let log_dets = self.log_det_precision() - prior.log_det_precision();
        let distance = prior.distance_squared(&self.plane, &self.scale);
        0.5 * (q * (trace - self.coefficients_per_output() + log_dets)
            + self.degrees_of_freedom * distance)
    }

    /// The trace of our precision times the variance of the coefficients under `other`.
    fn precision_trace(&self, other: &Self) -> f64 {
        self.value_pseudo_count.map_or(0.0, |count| count * other.leverage(&self.plane.center))
            + other.precision.trace_of_solved(&self.precision.values)
    }

    /// `KL` between the distributions of `Σ`.
    fn kl_of_covariance(&self, prior: &Self) -> f64 {
        let (order, copies) = (self.order(), self.copies());
        let (half, prior_half) = (0.5 * self.degrees_of_freedom, 0.5 * prior.degrees_of_freedom);
        let log_dets = self.scale.log_det() - prior.scale.log_det();
        let trace = self.scale.trace_of_solved(&prior.scale.values);
        prior_half * log_dets
            + copies
                * ((half - prior_half) * multivariate_digamma(order, half)
                    - ln_multivariate_gamma(order, half)
                    + ln_multivariate_gamma(order, prior_half))
            + half * (trace - copies * order as f64)
    }
}

/// `zᵀ K z`.
fn quadratic_form(k: &Spd, z: &[f64]) -> f64 {
    let p = z.len();
    let rows = k.values.chunks_exact(p).zip(z);
    rows.map(|(row, z_a)| z_a * row.iter().zip(z).map(|(k, z)| k * z).sum::<f64>()).sum()
}

impl ConjugatePrior<LinearGaussian> for MatrixNormalInverseWishart {
    fn posterior(
        &self,
        stats: &LinearGaussianStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        stats.check_feasible()?;
        let weight = stats.total_weight();
        posterior.clone_from(self);
        if weight == 0.0 {
            return Ok(());
        }
        posterior.value_pseudo_count = self.value_pseudo_count.map(|count| count + weight);
        posterior.degrees_of_freedom = self.degrees_of_freedom + weight;
        self.absorb(stats, posterior)
    }

    fn mode_into(&self, point: &mut LinearGaussian) -> Result<(), EstimateError> {
        let order = self.order() as f64;
        let count = self.degrees_of_freedom + order + 1.0 + self.coefficients_per_output();
        point.set_scaled(&self.plane, 1.0 / count, &self.scale);
        Ok(())
    }

    fn mean_into(&self, point: &mut LinearGaussian) {
        point.set_scaled(&self.plane, 1.0 / self.degrees_of_freedom, &self.scale);
    }

    fn log_prior(&self, point: &LinearGaussian) -> f64 {
        let (q, coefficients) = (self.outputs() as f64, self.coefficients_per_output());
        let covariance = point.spd();
        let of_coefficients = q * (self.log_det_precision() - coefficients * TAU.ln())
            - coefficients * covariance.log_det()
            - self.distance_squared(point.plane(), covariance);
        let of_covariance = -(self.degrees_of_freedom + self.order() as f64 + 1.0)
            * covariance.log_det()
            - covariance.trace_of_solved(&self.scale.values);
        0.5 * (of_coefficients + of_covariance) - self.log_normalizer_of_covariance()
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        self.kl_of_coefficients(prior) + self.kl_of_covariance(prior)
    }

    fn pack(&self, j: usize, packed: &mut LinearGaussianPacked) {
        let q = self.outputs() as f64;
        let of_value = q * self.value_pseudo_count.map_or(0.0, f64::recip);
        let constant = -0.5 * (q * TAU.ln() + self.expected_log_det() + of_value);
        let whitening = (self.degrees_of_freedom.sqrt(), self.scale.whitening());
        let spread = self.precision.whitening().iter().map(|u| q.sqrt() * u);
        packed.set(j, &self.plane, constant, whitening, spread);
    }

    fn check(&self, point: &LinearGaussian) -> Result<(), EstimateError> {
        let unsupported = |what, structure| Err(EstimateError::Unsupported { what, structure });
        if (self.covariates(), self.outputs()) != (point.covariates(), point.outputs()) {
            unsupported("a prior of another shape", "these covariates and responses")
        } else if self.value_pseudo_count.is_some() != point.has_intercept() {
            unsupported("a prior with and a regression without an intercept, or the reverse,", "it")
        } else if self.scale.is_diagonal() != point.is_diagonal() {
            unsupported("a prior of the other kind of covariance", "these errors")
        } else {
            Ok(())
        }
    }
}

impl Evidence<LinearGaussian> for MatrixNormalInverseWishart {
    fn log_evidence(&self, stats: &LinearGaussianStats) -> Result<f64, EstimateError> {
        let mut posterior = self.clone();
        self.posterior(stats, &mut posterior)?;
        let q = self.outputs() as f64;
        let of_coefficients = self.log_det_precision() - posterior.log_det_precision();
        Ok(0.5 * q * (of_coefficients - stats.total_weight() * TAU.ln())
            + posterior.log_normalizer_of_covariance()
            - self.log_normalizer_of_covariance())
    }

    fn log_predictive_into(
        &self,
        _: &LinearGaussian,
        (x, y): (Rows<'_>, Rows<'_>),
        out: &mut [f64],
    ) {
        assert_eq!(out.len(), x.len(), "one prediction per observation");
        let (mut row, mut response) = (vec![0.0; x.d()], vec![0.0; y.d()]);
        for (i, out) in out.iter_mut().enumerate() {
            x.copy_row(i, &mut row);
            y.copy_row(i, &mut response);
            let missing = response[0].is_nan();
            *out = if missing { 0.0 } else { self.log_predictive(&row, &response) };
        }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    center: Vec<f64>,
    value: Vec<f64>,
    coefficients: Vec<Vec<f64>>,
    value_pseudo_count: Option<f64>,
    precision: Vec<Vec<f64>>,
    degrees_of_freedom: f64,
    scale: Vec<f64>,
}

#[cfg(feature = "serde")]
impl From<MatrixNormalInverseWishart> for Parameters {
    fn from(prior: MatrixNormalInverseWishart) -> Self {
        let p = prior.covariates();
        let rows = |numbers: &[f64]| numbers.chunks_exact(p).map(<[f64]>::to_vec).collect();
        Self {
            coefficients: rows(&prior.plane.slopes),
            precision: rows(&prior.precision.values),
            value_pseudo_count: prior.value_pseudo_count,
            degrees_of_freedom: prior.degrees_of_freedom,
            scale: prior.scale.values,
            center: prior.plane.center,
            value: prior.plane.value,
        }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for MatrixNormalInverseWishart {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        let (slopes, precision) = (p.coefficients.concat(), p.precision.concat());
        let (nu, scale) = (p.degrees_of_freedom, &p.scale);
        match p.value_pseudo_count {
            Some(count) => Self::new(p.center, p.value, slopes, count, &precision, nu, scale),
            None => Self::without_intercept(p.value.len(), slopes, &precision, nu, scale),
        }
    }
}
