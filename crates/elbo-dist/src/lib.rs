//! Probability distributions with weighted sufficient statistics, conjugate priors and special functions
