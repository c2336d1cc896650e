//! Expectation-Maximization toolkit: one facade over the elbo crates
