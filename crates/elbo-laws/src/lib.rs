//! Reusable property-based laws for implementors of the elbo traits
