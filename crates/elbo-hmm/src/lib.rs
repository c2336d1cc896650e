//! Hidden Markov models with any emission distribution, by ML, MAP or variational EM
