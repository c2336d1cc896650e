//! Data drawn again from themselves, as weights.

use rand::{Rng, RngExt};

/// How units are drawn again from themselves. Either way the data stay where they are and only their weights change, so
/// that every model that takes weights can be resampled without a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resampling {
    /// The ordinary bootstrap: as many units as there are, drawn with replacement; weights are whole numbers, a third of
    /// them zero. Source: Efron (1979).
    #[default]
    Multinomial,
    /// The Bayesian bootstrap: weights from a flat Dirichlet distribution, all of them positive, so that no component
    /// loses all its units and no replicate is degenerate that the data are not. Source: Rubin (1981).
    Dirichlet,
}

impl Resampling {
    /// Weights of `n` units for one replicate; their sum is that of the units' own weights.
    ///
    /// `own` weights count repetitions, as everywhere: `Multinomial` draws `Σ own` (rounded) units in proportion to them,
    /// `Dirichlet` has them as parameters. A unit of weight 2 is thereby resampled as two units of weight 1 are.
    ///
    /// Cost: `n` draws, or `Σ own` and a binary search for each.
    ///
    /// # Panics
    ///
    /// If there is no unit, not one weight per unit, or none is positive.
    ///
    /// ```
    /// use elbo_core::Resampling;
    /// use rand::{SeedableRng, rngs::ChaCha8Rng};
    ///
    /// let weights = Resampling::Multinomial.weights(5, None, &mut ChaCha8Rng::seed_from_u64(1));
    /// assert_eq!(weights.iter().sum::<f64>(), 5.0);
    /// ```
    pub fn weights(self, n: usize, own: Option<&[f64]>, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        assert!(n > 0, "there is nothing to draw from");
        if let Some(own) = own {
            assert_eq!(own.len(), n, "one weight per unit");
            assert!(own.iter().any(|w| *w > 0.0), "a unit of positive weight is needed");
        }
        match self {
            Self::Multinomial => multinomial(n, own, rng),
            Self::Dirichlet => dirichlet(n, own, rng),
        }
    }
}

/// The numbers of the units, in order, each as often as its weight says: resampled and held-out data for a model that takes
/// no weights.
///
/// ```
/// assert_eq!(elbo_core::repetitions(&[2.0, 0.0, 1.0]), [0, 0, 2]);
/// ```
///
/// # Panics
///
/// If a weight is not a whole number of at least 0.
pub fn repetitions(weights: &[f64]) -> Vec<usize> {
    let mut units = Vec::new();
    for (unit, weight) in weights.iter().enumerate() {
        assert!(*weight >= 0.0 && weight.fract() == 0.0, "{weight} is no number of repetitions");
        let mut left = *weight;
        while left > 0.0 {
            units.push(unit);
            left -= 1.0;
        }
    }
    units
}

fn multinomial(n: usize, own: Option<&[f64]>, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
    let mut counts = vec![0.0; n];
    let Some(own) = own else {
        (0..n).for_each(|_| counts[rng.random_range(0..n)] += 1.0);
        return counts;
    };
    let mut sum = 0.0;
    let cumulative: Vec<f64> = own
        .iter()
        .map(|w| {
            sum += w;
            sum
        })
        .collect();
    let last = own.iter().rposition(|w| *w > 0.0).unwrap_or_default();
    let mut left = sum.round().max(1.0);
    while left > 0.0 {
        left -= 1.0;
        let at = rng.random::<f64>() * sum;
        // The first unit whose interval lies above `at`: one of weight zero has none.
        counts[cumulative.partition_point(|c| *c <= at).min(last)] += 1.0;
    }
    counts
}

fn dirichlet(n: usize, own: Option<&[f64]>, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
    let mut weights: Vec<f64> = (0..n).map(|i| gamma(own.map_or(1.0, |own| own[i]), rng)).collect();
    let total = own.map_or(n as f64, |own| own.iter().sum());
    let factor = total / weights.iter().sum::<f64>();
    for weight in &mut weights {
        *weight *= factor;
    }
    weights
}

/// A draw from the gamma distribution of this shape and scale 1; 0 for shape 0.
///
/// Source: Marsaglia & Tsang (2000), by which a shape below one is raised by one and scaled by `u^(1/shape)`.
fn gamma(shape: f64, rng: &mut (impl Rng + ?Sized)) -> f64 {
    let uniform = |rng: &mut _| 1.0 - RngExt::random::<f64>(rng); // in (0, 1]
    if shape == 0.0 {
        return 0.0;
    }
    if shape.to_bits() == 1.0_f64.to_bits() {
        return -uniform(rng).ln();
    }
    if shape < 1.0 {
        return gamma(shape + 1.0, rng) * uniform(rng).powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = (-2.0 * uniform(rng).ln()).sqrt() * (std::f64::consts::TAU * uniform(rng)).cos();
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && uniform(rng).ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            return d * v;
        }
    }
}
