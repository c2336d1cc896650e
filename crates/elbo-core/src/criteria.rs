//! Information criteria. Smaller is better for all of them.

/// Akaike's criterion, `−2 ℓ + 2 p`.
pub fn aic(log_likelihood: f64, free_parameters: usize) -> f64 {
    -2.0 * log_likelihood + 2.0 * free_parameters as f64
}

/// The Bayesian (Schwarz) criterion, `−2 ℓ + p ln n`, for `n` observations.
pub fn bic(log_likelihood: f64, free_parameters: usize, observations: f64) -> f64 {
    -2.0 * log_likelihood + free_parameters as f64 * observations.ln()
}

/// The integrated completed likelihood, `BIC − 2 Σᵢ ln maxⱼ γᵢⱼ`: BIC of the data together with their most probable
/// labels, so it prefers components that separate. `log_certainty` is `Σᵢ ln maxⱼ γᵢⱼ ≤ 0`, in nats.
/// Source: Biernacki, Celeux & Govaert (2000).
pub fn icl(bic: f64, log_certainty: f64) -> f64 {
    bic - 2.0 * log_certainty
}
