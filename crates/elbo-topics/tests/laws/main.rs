//! Laws and oracles of topic models.

mod coherences;
mod collapsed;
mod corpora;
mod evidence;
mod fits;
mod modes;
mod predictions;
mod support;
#[cfg(feature = "text")]
mod text;
