//! Model files: what `elbo fit --model` writes and the other commands read.

use std::{fs, io, path::Path};

use elbo::dist::CovarianceStructure;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Model, ParamsError, gaussian_from, poisson_from};
use crate::{
    args::EstimatorKind,
    error::Error,
    output::{Params, write_json},
    summary::Kind,
};

/// The value of `format` in every model file.
pub(crate) const FORMAT: &str = "elbo-model";

/// The version of the format that is written and read.
pub(crate) const VERSION: u64 = 1;

/// A model with what is known of it.
#[derive(Debug)]
pub(crate) struct Saved {
    /// The model.
    pub(crate) model: Model,
    /// Names of its columns.
    pub(crate) columns: Vec<String>,
    /// How it was estimated.
    pub(crate) estimator: EstimatorKind,
    /// How the fit went; absent in files written by hand.
    pub(crate) fit: Option<FitFacts>,
}

/// How a fit went.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FitFacts {
    /// What a person calls the data.
    pub(crate) source: String,
    /// Rows.
    pub(crate) n: usize,
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
    /// BIC + 2 × the entropy of the classification.
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

/// Why a file is no model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ModelProblem {
    /// Not JSON.
    #[error("is not JSON ({0}); give a file written by elbo fit --model")]
    Json(serde_json::Error),
    /// JSON of something else.
    #[error(
        "is not a model file: its \"format\" is not \"{FORMAT}\"; give a file written by elbo fit --model"
    )]
    Format,
    /// Of another version.
    #[error("is a model file of version {found}; this elbo reads version {VERSION}")]
    Version {
        /// Its version, as it stands there.
        found: String,
    },
    /// Fields that a model file does not have, or lacks.
    #[error("is a damaged model file ({0})")]
    Fields(serde_json::Error),
    /// A family that this version does not have.
    #[error("holds a model of the family \"{found}\", which this version does not have")]
    Family {
        /// The family.
        found: String,
    },
    /// Centers where a density is needed.
    #[error("holds k-means centers, which have no density; give a mixture (elbo fit mixture)")]
    NoDensity,
    /// Parameters that are none.
    #[error("is a damaged model file: {0}")]
    Params(#[from] ParamsError),
    /// A Gaussian mixture without structure, or counts in several columns.
    #[error("is a damaged model file: {0}")]
    Shape(&'static str),
}

/// The file, field by field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<P> {
    format: String,
    version: u64,
    family: String,
    component: Kind,
    columns: Vec<String>,
    estimator: EstimatorKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    structure: Option<CovarianceStructure>,
    params: P,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fit: Option<FitFacts>,
}

/// The content of a model file of this version, whatever its family.
pub(super) fn checked(text: &[u8]) -> Result<Value, ModelProblem> {
    let value: Value = serde_json::from_slice(text).map_err(ModelProblem::Json)?;
    if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(ModelProblem::Format);
    }
    match value.get("version") {
        Some(version) if version.as_u64() == Some(VERSION) => Ok(value),
        other => {
            let found = other.map_or("none".into(), Value::to_string);
            Err(ModelProblem::Version { found })
        }
    }
}

impl Saved {
    /// Reads the model file at `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is not a model of this version.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read(path).map_err(|cause| Error::File {
            path: path.into(),
            action: "read",
            cause,
        })?;
        Self::parse(&text).map_err(|problem| Error::Model { path: path.into(), problem })
    }

    fn parse(text: &[u8]) -> Result<Self, ModelProblem> {
        Self::of(checked(text)?)
    }

    pub(super) fn of(value: Value) -> Result<Self, ModelProblem> {
        if value.get("family").and_then(Value::as_str) == Some("kmeans") {
            return Err(ModelProblem::NoDensity);
        }
        let wire: Wire<Value> = serde_json::from_value(value).map_err(ModelProblem::Fields)?;
        if wire.family != "mixture" {
            return Err(ModelProblem::Family { found: wire.family });
        }
        let d = wire.columns.len();
        let model = match (wire.component, wire.structure) {
            (Kind::Gaussian, Some(structure)) => {
                let params = serde_json::from_value(wire.params).map_err(ModelProblem::Fields)?;
                Model::Gaussian(gaussian_from(params, structure, d)?)
            }
            (Kind::Gaussian, None) => return Err(ModelProblem::Shape("it has no \"structure\"")),
            (Kind::Poisson, Some(_)) => {
                return Err(ModelProblem::Shape("a mixture of Poissons has no \"structure\""));
            }
            (Kind::Poisson, None) if d != 1 => {
                return Err(ModelProblem::Shape("a mixture of Poissons has one column"));
            }
            (Kind::Poisson, None) => {
                let params = serde_json::from_value(wire.params).map_err(ModelProblem::Fields)?;
                Model::Poisson(poisson_from(params)?)
            }
        };
        Ok(Self { model, columns: wire.columns, estimator: wire.estimator, fit: wire.fit })
    }

    /// Writes the model file to `out`.
    ///
    /// # Errors
    ///
    /// What `out` reports.
    pub(crate) fn write(&self, out: impl io::Write) -> io::Result<()> {
        let wire: Wire<Params> = Wire {
            format: FORMAT.into(),
            version: VERSION,
            family: "mixture".into(),
            component: self.model.kind(),
            columns: self.columns.clone(),
            estimator: self.estimator,
            structure: self.model.structure(),
            params: self.model.params(),
            fit: self.fit.clone(),
        };
        write_json(out, &wire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"format": "elbo-model", "version": 1, "family": "mixture",
        "component": "gaussian", "columns": ["a", "b"], "estimator": "ml", "structure": "VVI",
        "params": {"weights": [0.1, 0.9], "means": [[0.1, 2], [3, 4]],
        "covariances": [[[0.3, 0], [0, 7]], [[1, 0], [0, 1e-300]]]}}"#;

    fn changed(from: &str, to: &str) -> String {
        let text = TEXT.replacen(from, to, 1);
        assert_ne!(text, TEXT, "{from}");
        Saved::parse(text.as_bytes()).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_model_survives_its_file() {
        let saved = Saved::parse(TEXT.as_bytes()).unwrap();
        let mut file = Vec::new();
        saved.write(&mut file).unwrap();
        let again = Saved::parse(&file).unwrap();
        assert_eq!(again.model, saved.model);
        assert_eq!((again.columns, again.estimator), (saved.columns, saved.estimator));
        let poisson = r#"{"format": "elbo-model", "version": 1, "family": "mixture",
            "component": "poisson", "columns": ["a"], "estimator": "vb",
            "params": {"weights": [0.5, 0.5], "rates": [0, 2.5]}}"#;
        assert_eq!(Saved::parse(poisson.as_bytes()).unwrap().model.k(), 2);
    }

    #[test]
    fn damaged_files_are_refused_with_a_reason() {
        for (from, to, reason) in [
            ("{", "[", "is not JSON"),
            ("elbo-model", "other", "\"format\" is not \"elbo-model\""),
            ("\"version\": 1", "\"version\": 2", "of version 2"),
            ("\"mixture\"", "\"hmm\"", "family \"hmm\""),
            ("\"ml\"", "\"ols\"", "unknown variant `ols`"),
            ("\"VVI\"", "\"XXX\"", "no covariance structure"),
            ("\"columns\"", "\"colums\"", "unknown field `colums`"),
            ("[\"a\", \"b\"]", "[\"a\"]", "it has 2 numbers in a mean where 1 are needed"),
            ("[0.1, 0.9]", "[0.1, 0.8]", "sum to 0.9"),
            ("[0.1, 0.9]", "[1]", "it has 2 means where 1 are needed"),
            ("[0, 7]", "[0, -7]", "component 1: the covariance is not positive definite"),
            ("[0, 7]", "[0.5, 7]", "component 1: number"),
            ("\"weights\"", "\"shares\"", "unknown field `shares`"),
            ("\"structure\": \"VVI\",", "", "it has no \"structure\""),
            ("\"gaussian\"", "\"poisson\"", "has no \"structure\""),
        ] {
            let found = changed(from, to);
            assert!(found.contains(reason) && !found.contains('\n'), "{from}: {found}");
        }
        assert!(Saved::parse(b"").unwrap_err().to_string().contains("is not JSON"));
    }
}
