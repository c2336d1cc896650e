//! The JSON object of `--json`. Names and meanings are a promise; see the command's documentation.
//!
//! Numbers have full precision. A number that is not finite (the log-likelihood of an impossible
//! row, say) is `null`, as `serde_json` writes it: JSON has no other word for it.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

/// What `elbo fit --json` prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FitOutput {
    /// `mixture`, `kmeans`, `hmm`.
    pub(crate) family: String,
    /// `ml`, `map` or `vb`.
    pub(crate) estimator: String,
    /// Rows.
    pub(crate) n: usize,
    /// Columns.
    pub(crate) d: usize,
    /// Names of the columns.
    pub(crate) columns: Vec<String>,
    /// Observed-data log-likelihood of all rows in nats, without the prior.
    pub(crate) log_likelihood: f64,
    /// What was maximized: `log_likelihood`-like data term + `penalty`.
    pub(crate) objective: f64,
    /// The estimator's part of the objective.
    pub(crate) penalty: f64,
    /// Free parameters.
    pub(crate) df: usize,
    /// −2 log L + 2 df; smaller is better.
    pub(crate) aic: f64,
    /// −2 log L + df ln n; smaller is better.
    pub(crate) bic: f64,
    /// BIC + 2 × the entropy of the responsibilities; smaller is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) icl: Option<f64>,
    /// Whether the best start met the convergence test.
    pub(crate) converged: bool,
    /// Why the best start stopped.
    pub(crate) stopped: String,
    /// Iterations of the best start.
    pub(crate) iterations: usize,
    /// Passes over the data of the best start.
    pub(crate) e_steps: usize,
    /// Estimated distance of the objective from its limit, in nats; `null` if unknown.
    pub(crate) gap: Option<f64>,
    /// Objective of the best start after each iteration.
    pub(crate) trace: Vec<f64>,
    /// How every start ended.
    pub(crate) starts: Vec<StartOutput>,
    /// One sentence each.
    pub(crate) warnings: Vec<String>,
    /// Where the time went.
    pub(crate) seconds: Seconds,
    /// The fitted parameters.
    pub(crate) params: Params,
    /// Covariance structure of the mixture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) covariance: Option<String>,
    /// All candidates, when there was a choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) table: Vec<CandidateOutput>,
}

/// How one start ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StartOutput {
    /// Its last objective.
    pub(crate) objective: f64,
    /// Its iterations.
    pub(crate) iterations: usize,
    /// Why it stopped.
    pub(crate) stopped: String,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Seconds {
    /// Reading the data.
    pub(crate) read: f64,
    /// Fitting, all starts and candidates.
    pub(crate) fit: f64,
    /// One iteration of the best start, on average.
    pub(crate) per_iteration: f64,
}

/// Fitted parameters; also the shape of `--start` files.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Params {
    /// A Gaussian mixture.
    GaussianMixture {
        /// `[K]`
        weights: Vec<f64>,
        /// `[K][D]`
        means: Vec<Vec<f64>>,
        /// `[K][D][D]`
        covariances: Vec<Vec<Vec<f64>>>,
    },
    /// A mixture of Poisson distributions.
    PoissonMixture {
        /// `[K]`
        weights: Vec<f64>,
        /// `[K]`
        rates: Vec<f64>,
    },
    /// k-means.
    Kmeans {
        /// `[K][D]`
        centers: Vec<Vec<f64>>,
        /// Sum of squared distances to the nearest center; not needed in a `--start` file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inertia: Option<f64>,
        /// `[n]`, from 0, with `--labels`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        labels: Option<Vec<usize>>,
    },
    /// A hidden Markov model.
    Hmm {
        /// `[K]`
        initial: Vec<f64>,
        /// `[K][K]`, rows sum to one.
        transition: Vec<Vec<f64>>,
        /// Parameters of the states' distributions.
        emission: EmissionParams,
    },
}

/// Parameters of the distributions of hidden states.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum EmissionParams {
    /// Gaussian states.
    Gaussian {
        /// `[K][D]`
        means: Vec<Vec<f64>>,
        /// `[K][D][D]`
        covariances: Vec<Vec<Vec<f64>>>,
    },
    /// Poisson states.
    Poisson {
        /// `[K]`
        rates: Vec<f64>,
    },
    /// Categorical states.
    Categorical {
        /// `[K][M]`, rows sum to one.
        probabilities: Vec<Vec<f64>>,
    },
}

/// One row of the table of candidates.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CandidateOutput {
    /// Number of components.
    pub(crate) components: usize,
    /// Covariance structure.
    pub(crate) covariance: String,
    /// Whether it was chosen.
    pub(crate) chosen: bool,
    /// Its numbers; absent if it could not be fitted.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) scores: Option<ScoresOutput>,
    /// Why it could not be fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// The numbers by which candidates are compared.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ScoresOutput {
    /// In nats.
    pub(crate) log_likelihood: f64,
    /// Free parameters.
    pub(crate) df: usize,
    /// Smaller is better.
    pub(crate) bic: f64,
    /// Smaller is better.
    pub(crate) aic: f64,
    /// Smaller is better.
    pub(crate) icl: f64,
    /// Cross-validated −2 log-likelihood, with `--criterion cv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cv: Option<f64>,
    /// Whether its best start converged.
    pub(crate) converged: bool,
    /// Starts that reached its best optimum.
    pub(crate) reached: usize,
    /// Starts in all.
    pub(crate) starts: usize,
}

/// Writes `value` as JSON and ends the line.
///
/// # Errors
///
/// What `out` reports.
pub(crate) fn write_json(mut out: impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> FitOutput {
        FitOutput {
            family: "mixture".into(),
            estimator: "ml".into(),
            n: 272,
            d: 1,
            columns: vec!["waiting".into()],
            log_likelihood: 0.1 + 0.2,
            objective: f64::NEG_INFINITY,
            penalty: 0.0,
            df: 5,
            aic: 1.0,
            bic: 2.0,
            icl: Some(3.0),
            converged: true,
            stopped: "aitken".into(),
            iterations: 1,
            e_steps: 2,
            gap: None,
            trace: vec![-1.0],
            starts: vec![StartOutput { objective: -1.0, iterations: 1, stopped: "aitken".into() }],
            warnings: vec![],
            seconds: Seconds { read: 0.0, fit: 0.0, per_iteration: 0.0 },
            params: Params::GaussianMixture {
                weights: vec![1.0],
                means: vec![vec![70.9]],
                covariances: vec![vec![vec![184.0]]],
            },
            covariance: Some("full".into()),
            table: vec![CandidateOutput {
                components: 7,
                covariance: "full".into(),
                chosen: false,
                scores: None,
                error: Some("too few rows".into()),
            }],
        }
    }

    #[test]
    fn the_promised_keys_are_there() {
        let value = serde_json::to_value(output()).unwrap();
        for key in [
            "family",
            "estimator",
            "n",
            "d",
            "columns",
            "log_likelihood",
            "objective",
            "penalty",
            "df",
            "aic",
            "bic",
            "icl",
            "converged",
            "stopped",
            "iterations",
            "e_steps",
            "gap",
            "trace",
            "starts",
            "warnings",
            "seconds",
            "params",
        ] {
            assert!(value.get(key).is_some(), "{key}");
        }
        for key in ["read", "fit", "per_iteration"] {
            assert!(value["seconds"][key].is_f64(), "{key}");
        }
        for key in ["weights", "means", "covariances"] {
            assert!(value["params"][key].is_array(), "{key}");
        }
        assert!(value["objective"].is_null(), "minus infinity has no JSON");
        assert_eq!(value["table"][0]["error"], "too few rows");
    }

    #[test]
    fn numbers_keep_every_bit() {
        let mut json = Vec::new();
        write_json(&mut json, &output()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            value["log_likelihood"].as_f64().map(f64::to_bits),
            Some((0.1_f64 + 0.2).to_bits())
        );
        assert!(json.ends_with(b"}\n"));
    }

    #[test]
    fn start_files_have_the_shape_of_params() {
        let read = |text| serde_json::from_str::<Params>(text);
        let poisson = read(r#"{"weights": [0.5, 0.5], "rates": [1, 2.5]}"#).unwrap();
        assert_eq!(
            poisson,
            Params::PoissonMixture { weights: vec![0.5, 0.5], rates: vec![1.0, 2.5] }
        );
        assert!(matches!(
            read(r#"{"centers": [[1.0]]}"#),
            Ok(Params::Kmeans { inertia: None, .. })
        ));
        let hmm =
            r#"{"initial": [1], "transition": [[1]], "emission": {"probabilities": [[0.5, 0.5]]}}"#;
        assert!(matches!(
            read(hmm),
            Ok(Params::Hmm { emission: EmissionParams::Categorical { .. }, .. })
        ));
        assert!(read(r#"{"weights": [1]}"#).is_err());
    }
}
