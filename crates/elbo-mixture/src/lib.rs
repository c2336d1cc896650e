//! Finite mixtures of any distribution, by ML, MAP or variational EM
