//! Information criteria. Smaller is better for all of them.

/// Akaike's criterion, `−2 ℓ + 2 p`.
pub fn aic(log_likelihood: f64, free_parameters: usize) -> f64 {
    -2.0 * log_likelihood + 2.0 * free_parameters as f64
}

/// Akaike's criterion corrected for few observations, `AIC + 2 p (p + 1) / (n − p − 1)`; `+∞` where `n ≤ p + 1`, so that
/// a model with as many parameters as observations is never chosen.
///
/// The correction is exact for a Gaussian linear model and customary elsewhere. Source: Hurvich & Tsai (1989).
pub fn aicc(log_likelihood: f64, free_parameters: usize, observations: f64) -> f64 {
    let p = free_parameters as f64;
    let left = observations - p - 1.0;
    if left > 0.0 {
        aic(log_likelihood, free_parameters) + 2.0 * p * (p + 1.0) / left
    } else {
        f64::INFINITY
    }
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
