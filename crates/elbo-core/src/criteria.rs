//! Information criteria. Smaller is better for all of them.

/// Akaike's criterion, `−2 ℓ + 2 p`.
pub fn aic(log_likelihood: f64, free_parameters: usize) -> f64 {
    -2.0 * log_likelihood + 2.0 * free_parameters as f64
}

/// The Bayesian (Schwarz) criterion, `−2 ℓ + p ln n`, for `n` observations.
pub fn bic(log_likelihood: f64, free_parameters: usize, observations: f64) -> f64 {
    -2.0 * log_likelihood + free_parameters as f64 * observations.ln()
}

/// The integrated completed likelihood, BIC plus twice the entropy of the responsibilities,
/// `H = −Σᵢⱼ γᵢⱼ ln γᵢⱼ` in nats: it prefers components that separate. Source: Biernacki, Celeux & Govaert (2000).
pub fn icl(bic: f64, entropy: f64) -> f64 {
    bic + 2.0 * entropy
}
