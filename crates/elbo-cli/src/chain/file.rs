//! Model files of chains.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Chain, ChainParams, Emission};
use crate::{
    args::EstimatorKind,
    error::Error,
    model::{FORMAT, ModelProblem, VERSION},
    output::write_json,
};

/// A chain with what is known of it.
#[derive(Debug)]
pub(crate) struct SavedChain {
    /// The chain.
    pub(crate) chain: Chain,
    /// What its states emit.
    pub(crate) emission: Emission,
    /// Whether it starts in its stationary law.
    pub(crate) stationary: bool,
    /// Names of its columns.
    pub(crate) columns: Vec<String>,
    /// How it was estimated.
    pub(crate) estimator: EstimatorKind,
    /// How the fit went; absent in files written by hand.
    pub(crate) fit: Option<ChainFacts>,
}

/// How a fit went.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainFacts {
    /// What a person calls the data.
    pub(crate) source: String,
    /// Rows.
    pub(crate) n: usize,
    /// Sequences.
    pub(crate) sequences: usize,
    /// Of all rows, in nats.
    pub(crate) log_likelihood: f64,
    /// What was maximized.
    pub(crate) objective: f64,
    /// Free parameters.
    pub(crate) df: usize,
    /// −2 log L + df ln n.
    pub(crate) bic: f64,
    /// −2 log L + 2 df.
    pub(crate) aic: f64,
    /// −2 × the log joint probability of the rows and the most probable path + df ln n.
    pub(crate) icl: f64,
    /// Whether the best start converged.
    pub(crate) converged: bool,
    /// Why it stopped.
    pub(crate) stopped: String,
    /// Its iterations.
    pub(crate) iterations: usize,
    /// Starts in all.
    pub(crate) starts: usize,
    /// Starts that reached the best optimum.
    pub(crate) reached: usize,
    /// Seed of the starts.
    pub(crate) seed: u64,
    /// What a careful reader should know.
    pub(crate) warnings: Vec<String>,
}

/// The file, field by field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: String,
    version: u64,
    family: String,
    emission: Emission,
    stationary: bool,
    columns: Vec<String>,
    estimator: EstimatorKind,
    params: ChainParams,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fit: Option<ChainFacts>,
}

impl SavedChain {
    /// Reads the model file at `path`, if it holds a chain; `None` if it may hold something else.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or its chain is damaged.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = fs::read(path).map_err(|cause| Error::File {
            path: path.into(),
            action: "read",
            cause,
        })?;
        Self::parse(&text).map_err(|problem| Error::Model { path: path.into(), problem })
    }

    fn parse(text: &[u8]) -> Result<Option<Self>, ModelProblem> {
        let Ok(value) = serde_json::from_slice::<Value>(text) else { return Ok(None) };
        let is = |key: &str, word: &str| value.get(key).and_then(Value::as_str) == Some(word);
        let version = value.get("version").and_then(Value::as_u64);
        if !is("format", FORMAT) || !is("family", "hmm") || version != Some(VERSION) {
            return Ok(None);
        }
        let wire: Wire = serde_json::from_value(value).map_err(ModelProblem::Fields)?;
        let chain = wire.params.chain(wire.emission, wire.columns.len())?;
        Ok(Some(Self {
            chain,
            emission: wire.emission,
            stationary: wire.stationary,
            columns: wire.columns,
            estimator: wire.estimator,
            fit: wire.fit,
        }))
    }

    /// Writes the model file to `out`.
    ///
    /// # Errors
    ///
    /// What `out` reports.
    pub(crate) fn write(&self, out: impl io::Write) -> io::Result<()> {
        let wire = Wire {
            format: FORMAT.into(),
            version: VERSION,
            family: "hmm".into(),
            emission: self.emission,
            stationary: self.stationary,
            columns: self.columns.clone(),
            estimator: self.estimator,
            params: ChainParams::of(&self.chain),
            fit: self.fit.clone(),
        };
        write_json(out, &wire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"format": "elbo-model", "version": 1, "family": "hmm",
        "emission": "diagonal", "stationary": false, "columns": ["a", "b"], "estimator": "ml",
        "params": {"initial": [0.1, 0.9], "transition": [[0.5, 0.5], [0, 1]],
        "emission": {"means": [[0.1, 2], [3, 4]],
        "covariances": [[[0.3, 0], [0, 7]], [[1, 0], [0, 1e-300]]]}}}"#;

    #[test]
    fn a_chain_survives_its_file() {
        let saved = SavedChain::parse(TEXT.as_bytes()).unwrap().unwrap();
        let mut file = Vec::new();
        saved.write(&mut file).unwrap();
        let again = SavedChain::parse(&file).unwrap().unwrap();
        assert_eq!(again.chain, saved.chain);
        assert_eq!((again.columns, again.emission), (saved.columns, saved.emission));
    }

    #[test]
    fn damaged_files_are_refused_with_a_reason() {
        for (from, to, reason) in [
            ("\"diagonal\"", "\"poisson\"", "its emission is not of the kind poisson"),
            ("\"columns\"", "\"colums\"", "unknown field `colums`"),
            ("[\"a\", \"b\"]", "[\"a\"]", "it has 2 numbers in a mean where 1 are needed"),
            ("[0.1, 0.9]", "[0.1, 0.8]", "sum"),
            ("[0.1, 0.9]", "[1]", "1 initial probabilities"),
            ("[0, 7]", "[0, -7]", "component 1: the covariance is not positive definite"),
            ("[0, 1]", "[1]", "transition row 1 has 1 probabilities"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert_ne!(text, TEXT, "{from}");
            let found = SavedChain::parse(text.as_bytes()).expect_err(from).to_string();
            assert!(found.contains(reason) && !found.contains('\n'), "{from}: {found}");
        }
        let other = TEXT.replace("\"hmm\"", "\"mixture\"");
        assert!(SavedChain::parse(other.as_bytes()).unwrap().is_none());
    }
}
