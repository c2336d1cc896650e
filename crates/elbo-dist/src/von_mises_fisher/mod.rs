//! The von Mises–Fisher distribution of directions.

mod stats;

use std::f64::consts::{LN_2, PI};

use elbo_core::{
    Batch, DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    Rows, Statistics, take_front,
};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

pub(crate) use stats::Resultant;
pub use stats::VonMisesFisherStats;

use crate::{
    ParameterError,
    block::check_shape,
    error::not_negative,
    gamma,
    special::{ln_bessel_i_scaled, ln_gamma, mean_resultant_complement, mean_resultant_length},
};

/// The von Mises–Fisher distribution of a direction, a unit vector of `d ≥ 2` dimensions: `ln p(x) = κ μᵀx + ln C_d(κ)`.
///
/// `μ` is the mean direction; the concentration `κ ≥ 0` is a pure number, and at `κ = 0` all directions are alike. The
/// density is with respect to the area of the sphere, `C_d(κ) = κ^ν / [(2π)^{d/2} I_ν(κ)]` with `ν = d/2 − 1`. Rows must have norm 1 within
/// `10⁻⁶`; a norm that is off by `δ` moves a score by some `κδ²`, as `κ(μᵀx − 1)` is taken as `−½κ|x − μ|²`. Missing values
/// are refused.
///
/// Of rows that all agree the concentration is infinite: [`EstimateError::Boundary`]. Of rows that cancel it is zero, and the
/// direction stays where it was.
///
/// ```
/// use elbo_core::{Rows, fit_single};
/// use elbo_dist::VonMisesFisher;
///
/// let rows = Rows::new(&[1.0, 0.0, 0.0, 0.6, 0.8, 0.0, 0.6, 0.0, 0.8], 3, 3);
/// let fit = fit_single(VonMisesFisher::new(vec![0.0, 0.0, 1.0], 1.0)?, rows).unwrap();
/// let norm = (2.2_f64.powi(2) + 2.0 * 0.8_f64.powi(2)).sqrt();
/// assert!((fit.params.direction()[0] - 2.2 / norm).abs() < 1e-12);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Mardia & Jupp (2000), *Directional Statistics*, sections 9.3.2 and 10.3.1.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct VonMisesFisher {
    direction: Vec<f64>,
    concentration: f64,
}

impl VonMisesFisher {
    /// Mean direction `μ`, which is divided by its norm, and concentration `κ`.
    ///
    /// # Errors
    ///
    /// If there are fewer than two dimensions, `direction` is zero or not finite, or `concentration` negative or not finite.
    pub fn new(direction: Vec<f64>, concentration: f64) -> Result<Self, ParameterError> {
        let concentration = not_negative("concentration", concentration)?;
        Ok(Self { direction: unit("direction", direction)?, concentration })
    }

    /// `μ`, a unit vector.
    pub fn direction(&self) -> &[f64] {
        &self.direction
    }

    /// `κ`.
    pub fn concentration(&self) -> f64 {
        self.concentration
    }

    /// `d`.
    pub fn d(&self) -> usize {
        self.direction.len()
    }

    /// `A_d(κ) = E[μᵀx]`, the length of the mean vector, from 0 for no concentration to 1.
    pub fn mean_resultant_length(&self) -> f64 {
        mean_resultant_length(self.d(), self.concentration)
    }

    /// `E[x] = A_d(κ) μ`.
    pub fn mean(&self) -> Vec<f64> {
        let length = self.mean_resultant_length();
        self.direction.iter().map(|m| length * m).collect()
    }

    /// `ln p(x)`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has another dimension.
    pub fn log_density(&self, x: &[f64]) -> f64 {
        assert_eq!(x.len(), self.d(), "a direction has {} coordinates", self.d());
        self.log_density_at_mean() - self.concentration * half_square(x, &self.direction)
    }

    /// `−E[ln p(x)]`, in nats.
    pub fn entropy(&self) -> f64 {
        self.concentration * self.spread() - self.log_density_at_mean()
    }

    /// `KL(self ‖ other)`, in nats; never negative.
    ///
    /// # Panics
    ///
    /// If `other` has another dimension.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(self.d(), other.d(), "another dimension");
        let apart = half_square(&self.direction, &other.direction);
        let distance = self.spread() + self.mean_resultant_length() * apart;
        let cross = other.log_density_at_mean() - other.concentration * distance;
        (-self.entropy() - cross).max(0.0) // what is negative is rounding
    }

    /// One draw, a unit vector.
    ///
    /// Source: Wood (1994), Commun. Statist. Simul. 23(1), written in the distance `1 − μᵀx`, which keeps its digits for large
    /// concentrations.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        let mut x = vec![0.0; self.d()];
        self.sample_into(&self.distances(), rng, &mut x);
        x
    }

    fn sample_into(&self, distances: &Distances, rng: &mut (impl Rng + ?Sized), out: &mut [f64]) {
        let distance = distances.sample(rng);
        // A direction at right angles to the mean, all of which are alike.
        loop {
            for x in &mut *out {
                *x = rng.sample(StandardNormal);
            }
            let along = dot(out, &self.direction);
            out.iter_mut().zip(&self.direction).for_each(|(x, m)| *x -= along * m);
            let norm = dot(out, out).sqrt();
            if norm > 1e-3 {
                divide(out, norm);
                break;
            }
        }
        let sine = (distance * (2.0 - distance)).sqrt();
        for (x, m) in out.iter_mut().zip(&self.direction) {
            *x = m - distance * m + sine * *x;
        }
        let norm = dot(out, out).sqrt();
        divide(out, norm);
    }

    fn distances(&self) -> Distances {
        let (kappa, beyond) = (self.concentration, (self.d() - 1) as f64);
        let b = beyond / (2.0 * kappa + (2.0 * kappa).hypot(beyond));
        let start = 2.0 * b / (1.0 + b);
        let log_bound = (start * (2.0 - start)).ln();
        Distances { kappa, beyond, b, start, log_bound, gamma: gamma::standard(0.5 * beyond) }
    }

    /// Overwrites both parameters, which the caller knows to be a unit vector and a concentration.
    pub(crate) fn set(&mut self, direction: &[f64], concentration: f64) {
        self.direction.copy_from_slice(direction);
        self.concentration = concentration;
    }

    /// `E[1 − μᵀx]`.
    fn spread(&self) -> f64 {
        mean_resultant_complement(self.d(), self.concentration)
    }

    /// `ln C_d(κ) + κ`.
    fn log_density_at_mean(&self) -> f64 {
        log_normalizer(self.d(), self.concentration)
    }
}

/// `ln C_d(κ) + κ`, the log density at the mean, without rounding of the size of `κ`.
pub(crate) fn log_normalizer(d: usize, kappa: f64) -> f64 {
    let half = 0.5 * d as f64;
    ln_gamma(half) - half * PI.ln() - LN_2 - ln_bessel_i_scaled(half - 1.0, kappa)
}

/// `½|a − b|²`, for unit vectors `1 − aᵀb`.
pub(crate) fn half_square(a: &[f64], b: &[f64]) -> f64 {
    0.5 * a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn divide(x: &mut [f64], by: f64) {
    for x in x {
        *x /= by;
    }
}

/// `vector` divided by its norm; what has norm 1 to rounding already is left as it is.
pub(crate) fn unit(
    parameter: &'static str,
    mut vector: Vec<f64>,
) -> Result<Vec<f64>, ParameterError> {
    if vector.len() < 2 {
        return Err(ParameterError::Length { parameter, expected: 2, found: vector.len() });
    }
    if let Some(index) = vector.iter().position(|x| !x.is_finite()) {
        return Err(ParameterError::Entry { parameter, index, value: vector[index] });
    }
    let largest = vector.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
    if largest == 0.0 {
        return Err(ParameterError::NotPositive { parameter, value: 0.0 });
    }
    if (dot(&vector, &vector) - 1.0).abs() > 4.0 * vector.len() as f64 * f64::EPSILON {
        divide(&mut vector, largest);
        let norm = dot(&vector, &vector).sqrt();
        divide(&mut vector, norm);
    }
    Ok(vector)
}

/// The coordinates are those of the natural parameter `κμ`, which covers `ℝᵈ`; at its origin, where there is no direction,
/// that of `self` is kept.
impl FlatParameters for VonMisesFisher {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend(self.direction.iter().map(|m| self.concentration * m));
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, self.d());
        let concentration = dot(at, at).sqrt();
        let mut next = Self { concentration, ..self.clone() };
        if concentration > 0.0 {
            next.direction.iter_mut().zip(at).for_each(|(m, x)| *m = x / concentration);
        }
        next
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        for (i, m) in self.direction.iter().enumerate() {
            see(&format!("direction[{i}]"), *m, Range::Real);
        }
        see("concentration", self.concentration, Range::Positive);
    }
}

/// Ready to draw `1 − μᵀx` by rejection.
struct Distances {
    kappa: f64,
    /// `d − 1`.
    beyond: f64,
    b: f64,
    /// `1 − x₀`.
    start: f64,
    log_bound: f64,
    /// Of shape `(d − 1)/2`.
    gamma: rand_distr::Gamma<f64>,
}

impl Distribution<f64> for Distances {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        let Self { kappa, beyond, b, start, log_bound, gamma } = self;
        loop {
            let (x, y) = (gamma.sample(rng), gamma.sample(rng));
            let distance = 2.0 * b * x / (y + b * x); // Z = x/(x + y) is a beta variable
            let product = start + distance - start * distance; // 1 − x₀w
            let log_ratio = kappa * (start - distance) + beyond * (product.ln() - log_bound);
            if log_ratio >= rng.random::<f64>().ln() {
                return distance;
            }
        }
    }
}

impl elbo_core::Draw for VonMisesFisher {
    type Drawn = Directions;

    fn no_draws(&self) -> Directions {
        Directions { d: self.d(), values: Vec::new() }
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut Directions) {
        let distances = self.distances();
        let from = drawn.values.len();
        drawn.values.resize(from + n * self.d(), 0.0);
        for row in drawn.values[from..].chunks_exact_mut(self.d()) {
            self.sample_into(&distances, rng, row);
        }
    }

    fn batch_of(drawn: &Directions) -> Rows<'_> {
        Rows::new(&drawn.values, drawn.values.len() / drawn.d, drawn.d)
    }
}

/// Directions that own themselves, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Directions {
    d: usize,
    values: Vec<f64>,
}

impl Directions {
    /// All coordinates, one direction after the other.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

/// `k` von Mises–Fisher distributions, or posteriors over them, as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct VonMisesFisherPacked {
    d: usize,
    /// `k × d`.
    directions: Vec<f64>,
    /// Rows are scored by `constant − concentration · ½|x − direction|²`.
    scales: Vec<(f64, f64)>,
}

impl VonMisesFisherPacked {
    fn direction(&self, j: usize) -> &[f64] {
        &self.directions[j * self.d..][..self.d]
    }

    pub(crate) fn set(&mut self, j: usize, direction: &[f64], constant: f64, concentration: f64) {
        self.directions[j * self.d..][..self.d].copy_from_slice(direction);
        self.scales[j] = (constant, concentration);
    }
}

/// One row.
#[derive(Clone, Debug)]
pub struct VonMisesFisherScratch {
    row: Vec<f64>,
}

impl Family for VonMisesFisher {
    type Batch<'a> = Rows<'a>;
    type Stats = VonMisesFisherStats;
    type Packed = VonMisesFisherPacked;
    type Scratch = VonMisesFisherScratch;

    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        if data.d() != self.d() {
            return Err(DataError::Dimension { expected: self.d(), found: data.d() });
        }
        data.check_finite()?;
        let mut x = vec![0.0; self.d()];
        for row in 0..data.len() {
            data.copy_row(row, &mut x);
            let norm = dot(&x, &x).sqrt();
            if (norm - 1.0).abs() > 1e-6 {
                return Err(DataError::Norm { row, norm });
            }
        }
        Ok(())
    }

    fn new_stats(&self) -> VonMisesFisherStats {
        VonMisesFisherStats::new(&self.direction)
    }

    fn new_packed(&self, k: usize) -> VonMisesFisherPacked {
        let d = self.d();
        VonMisesFisherPacked { d, directions: vec![0.0; k * d], scales: vec![(0.0, 0.0); k] }
    }

    fn new_scratch(packed: &VonMisesFisherPacked) -> VonMisesFisherScratch {
        VonMisesFisherScratch { row: vec![0.0; packed.d] }
    }

    fn pack(&self, j: usize, packed: &mut VonMisesFisherPacked) {
        packed.set(j, &self.direction, self.log_density_at_mean(), self.concentration);
    }

    fn score_all(
        packed: &VonMisesFisherPacked,
        data: Rows<'_>,
        mut out: MatrixMut<'_>,
        scratch: &mut VonMisesFisherScratch,
    ) {
        check_shape(packed.scales.len(), data.len(), out.rows(), out.columns());
        for i in 0..data.len() {
            data.copy_row(i, &mut scratch.row);
            for (j, (constant, concentration)) in packed.scales.iter().enumerate() {
                let distance = half_square(&scratch.row, packed.direction(j));
                out.row_mut(j)[i] = constant - concentration * distance;
            }
        }
    }

    fn reset_all(packed: &VonMisesFisherPacked, stats: &mut [VonMisesFisherStats]) {
        for (j, stats) in stats.iter_mut().enumerate() {
            stats.set_zero();
            stats.origin.copy_from_slice(packed.direction(j));
        }
    }

    fn observe_all(
        _: &VonMisesFisherPacked,
        stats: &mut [VonMisesFisherStats],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut VonMisesFisherScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        for i in 0..data.len() {
            data.copy_row(i, &mut scratch.row);
            for (j, stats) in stats.iter_mut().enumerate() {
                let w = weights.row(j)[i];
                if w == 0.0 {
                    continue;
                }
                stats.weight += w;
                let mut square = 0.0;
                for ((shift, x), c) in stats.shift.iter_mut().zip(&scratch.row).zip(&stats.origin) {
                    *shift += w * (x - c);
                    square += (x - c) * (x - c);
                }
                stats.rest += w * (0.5 * square);
            }
        }
    }

    fn moved_to(&self, data: Rows<'_>, row: usize) -> Result<Self, EstimateError> {
        let mut moved = self.clone();
        data.copy_row(row, &mut moved.direction);
        Ok(moved)
    }

    fn maximize(
        &self,
        stats: &VonMisesFisherStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        let resultant = stats.resultant();
        let concentration = resultant.concentration(self.d(), "von Mises–Fisher distribution")?;
        let length = resultant.length * stats.weight;
        for (i, m) in next.direction.iter_mut().enumerate() {
            let sum = stats.weight * stats.origin[i] + stats.shift[i];
            *m = if length > 0.0 { sum / length } else { self.direction[i] };
        }
        next.concentration = concentration;
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> VonMisesFisherStats {
        let rest = weight * self.spread();
        VonMisesFisherStats {
            origin: self.direction.clone(),
            weight,
            rest,
            shift: self.direction.iter().map(|m| -rest * m).collect(),
        }
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * self.d()
    }

    /// The ratio of `1 − |E[x]|`.
    fn relative_spread(&self, all: &VonMisesFisherStats) -> f64 {
        let whole = all.resultant().complement;
        if whole > 0.0 { self.spread() / whole } else { 1.0 }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    direction: Vec<f64>,
    concentration: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for VonMisesFisher {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.direction, p.concentration)
    }
}
