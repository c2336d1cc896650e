//! The beta distribution as the prior of probabilities.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence};

use super::learning::dirichlet_with_logs;
use crate::{
    Bernoulli, BernoulliPacked, BernoulliStats, Beta, Binomial, BinomialPacked, BinomialStats,
    Geometric, GeometricPacked, GeometricStats,
    binomial::ln_choose,
    special::{ln_gamma, ln_gamma_ratio, x_ln_y},
};

/// What families whose likelihood is `p^successes (1 − p)^failures` share.
impl Beta {
    /// The posterior after so many successes and failures.
    pub(super) fn after(&self, successes: f64, failures: f64) -> Self {
        Self { a: self.a + successes, b: self.b + failures }
    }

    /// `ln ∫ p(p) p^successes (1 − p)^failures dp`.
    pub(super) fn log_evidence_of(&self, successes: f64, failures: f64) -> f64 {
        ln_gamma_ratio(self.a, successes) + ln_gamma_ratio(self.b, failures)
            - ln_gamma_ratio(self.a + self.b, successes + failures)
    }

    /// `(a − 1)/(a + b − 2)`; none if one is below 1 or both are 1.
    pub(super) fn mode_of_probability(&self) -> Result<f64, EstimateError> {
        let (above_a, above_b) = (self.a - 1.0, self.b - 1.0);
        if above_a < 0.0 || above_b < 0.0 || above_a + above_b == 0.0 {
            let (parameter, value) = ("probability", self.a.min(self.b));
            return Err(EstimateError::NoMode { component: 0, parameter, value });
        }
        Ok(above_a / (above_a + above_b))
    }

    /// `ln p(p)`, given `1 − p`, too. At 0 and 1 the limit.
    pub(super) fn log_density_of(&self, p: f64, rest: f64) -> f64 {
        ln_gamma_ratio(self.a, self.b) - ln_gamma(self.b)
            + x_ln_y(self.a - 1.0, p)
            + x_ln_y(self.b - 1.0, rest)
    }

    /// The best of all such priors for these posteriors.
    pub(super) fn learned(
        posteriors: impl ExactSizeIterator<Item = Self>,
    ) -> Result<Self, EstimateError> {
        let n = posteriors.len() as f64;
        assert!(n > 0.0, "at least one posterior is needed");
        let (mut ln_p, mut ln_rest) = (0.0, 0.0);
        for (own, rest) in posteriors.map(|q| q.expected_logs()) {
            ln_p += own / n;
            ln_rest += rest / n;
        }
        let concentration = dirichlet_with_logs(&[ln_p, ln_rest])?;
        Ok(Self { a: concentration[0], b: concentration[1] })
    }
}

impl EmpiricalBayes for Beta {
    /// As a [`Dirichlet`](crate::Dirichlet) of two categories.
    fn learned_from(&self, posteriors: &[Self]) -> Result<Self, EstimateError> {
        Self::learned(posteriors.iter().copied())
    }
}

/// The prior of families whose likelihood is that of trials; they differ in what they count.
macro_rules! prior_of_trials {
    ($family:ty, $stats:ty, $packed:ty, lowest: $lowest:expr) => {
        impl ConjugatePrior<$family> for Beta {
            fn posterior(&self, stats: &$stats, posterior: &mut Self) -> Result<(), EstimateError> {
                stats.check()?;
                *posterior = self.after(stats.successes(), stats.failures());
                Ok(())
            }

            /// `(a − 1)/(a + b − 2)`. With `a` or `b` equal to 1 it is the boundary, 0 or 1, where the density is largest
            /// and finite, if the family has a distribution there. With one below 1 the density is infinite there, and with
            /// both equal to 1 the same everywhere: no mode.
            fn mode_into(&self, point: &mut $family) -> Result<(), EstimateError> {
                let mode = self.mode_of_probability()?;
                if mode < $lowest {
                    let (parameter, value) = ("probability", self.a);
                    return Err(EstimateError::NoMode { component: 0, parameter, value });
                }
                point.set(mode);
                Ok(())
            }

            /// `E[p] = a/(a + b)`.
            fn mean_into(&self, point: &mut $family) {
                point.set(self.mean());
            }

            /// In `p`. At 0 and 1 the limit.
            fn log_prior(&self, point: &$family) -> f64 {
                self.log_density_of(point.probability(), 1.0 - point.probability())
            }

            fn kl_divergence(&self, prior: &Self) -> f64 {
                self.kl_divergence(prior)
            }

            fn pack(&self, j: usize, packed: &mut $packed) {
                let (ln_p, ln_rest) = self.expected_logs();
                packed.set(j, ln_p, ln_rest);
            }
        }
    };
}

prior_of_trials!(Bernoulli, BernoulliStats, BernoulliPacked, lowest: 0.0);
prior_of_trials!(Binomial, BinomialStats, BinomialPacked, lowest: 0.0);
prior_of_trials!(Geometric, GeometricStats, GeometricPacked, lowest: f64::MIN_POSITIVE);

impl Evidence<Bernoulli> for Beta {
    fn log_evidence(&self, stats: &BernoulliStats) -> Result<f64, EstimateError> {
        stats.check()?;
        Ok(self.log_evidence_of(stats.successes(), stats.failures()))
    }

    /// `ln a/(a + b)` and `ln b/(a + b)`.
    fn log_predictive_into(&self, _: &Bernoulli, data: &[bool], out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log probability per observation");
        let total = self.a + self.b;
        let (success, failure) = ((self.a / total).ln(), (self.b / total).ln());
        out.iter_mut().zip(data).for_each(|(out, x)| *out = if *x { success } else { failure });
    }
}

impl Evidence<Binomial> for Beta {
    /// Without `Σ wᵢ ln (n choose xᵢ)`, which the statistics do not hold.
    fn log_evidence(&self, stats: &BinomialStats) -> Result<f64, EstimateError> {
        stats.check()?;
        Ok(self.log_evidence_of(stats.successes(), stats.failures()))
    }

    /// Beta-binomial; `−∞` beyond the number of trials.
    fn log_predictive_into(&self, point: &Binomial, data: &[u64], out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log probability per observation");
        for (out, x) in out.iter_mut().zip(data) {
            *out = point.trials().checked_sub(*x).map_or(f64::NEG_INFINITY, |failures| {
                let (x, failures) = (*x as f64, failures as f64);
                ln_choose(x, failures) + self.log_evidence_of(x, failures)
            });
        }
    }
}

impl Evidence<Geometric> for Beta {
    fn log_evidence(&self, stats: &GeometricStats) -> Result<f64, EstimateError> {
        stats.check()?;
        Ok(self.log_evidence_of(stats.successes(), stats.failures()))
    }

    /// Beta-geometric, whose tail falls like `x^{−(a + 1)}`.
    fn log_predictive_into(&self, _: &Geometric, data: &[u64], out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log probability per observation");
        for (out, x) in out.iter_mut().zip(data) {
            *out = self.log_evidence_of(1.0, *x as f64);
        }
    }
}
