//! Laws and oracles of topic models.
