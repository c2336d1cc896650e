//! The JSON object of `--json`. Names and meanings are a promise; see the command's documentation.
//!
//! Numbers have full precision. A number that is not finite (the log-likelihood of an impossible
//! row, say) is `null`, as `serde_json` writes it: JSON has no other word for it.

use std::io::{self, Write};

use elbo::core::{Criterion, HeldOut};
use serde::{Deserialize, Serialize};

use crate::{args::EstimatorKind, summary::Kind};

/// What `elbo fit --json` prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FitOutput {
    /// `mixture`.
    pub(crate) family: &'static str,
    /// `gaussian` or `poisson`.
    pub(crate) component: Kind,
    /// `ml`, `map` or `vb`.
    pub(crate) estimator: EstimatorKind,
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
    /// AIC + 2 df (df + 1) / (n − df − 1); smaller is better; `null` where n is too small for it.
    pub(crate) aicc: f64,
    /// BIC − 2 Σ ln of the largest responsibility of each row; smaller is better.
    pub(crate) icl: f64,
    /// What held-out rows say, with `--criterion cv`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) held_out: Option<HeldOutOutput>,
    /// Whether the best start met the convergence test.
    pub(crate) converged: bool,
    /// Why the best start stopped.
    pub(crate) stopped: &'static str,
    /// Iterations of the best start.
    pub(crate) iterations: usize,
    /// Passes over the data of the best start.
    pub(crate) e_steps: usize,
    /// Estimated distance of the objective from its limit, in nats; `null` if unknown.
    pub(crate) gap: Option<f64>,
    /// Objective of the best start: where it began, then after each iteration.
    pub(crate) trace: Vec<f64>,
    /// How every start ended.
    pub(crate) starts: Vec<StartOutput>,
    /// One sentence each.
    pub(crate) warnings: Vec<String>,
    /// Where the time went.
    pub(crate) seconds: Seconds,
    /// The fitted parameters.
    pub(crate) params: Params,
    /// Covariance structure, one of mclust's names, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) covariance: Option<&'static str>,
    /// What chose among the candidates.
    pub(crate) criterion: Criterion,
    /// All candidates, in the order of their number of components.
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
    pub(crate) stopped: &'static str,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Seconds {
    /// Reading the data.
    pub(crate) read: f64,
    /// Fitting, all starts and candidates.
    pub(crate) fit: f64,
    /// One iteration of the best start, on average, by the clock on the wall.
    pub(crate) per_iteration: f64,
}

/// Fitted parameters.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Params {
    /// Of a Gaussian mixture.
    Gaussian(GaussianParams),
    /// Of a mixture of Poisson distributions.
    Poisson(PoissonParams),
}

/// A Gaussian mixture; also the shape of `--start` files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GaussianParams {
    /// `[K]`
    pub(crate) weights: Vec<f64>,
    /// `[K][D]`
    pub(crate) means: Vec<Vec<f64>>,
    /// `[K][D][D]`
    pub(crate) covariances: Vec<Vec<Vec<f64>>>,
}

/// A mixture of Poisson distributions; also the shape of `--start` files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoissonParams {
    /// `[K]`
    pub(crate) weights: Vec<f64>,
    /// `[K]`
    pub(crate) rates: Vec<f64>,
}

/// One row of the table of candidates.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CandidateOutput {
    /// Number of components.
    pub(crate) components: usize,
    /// Covariance structure, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) covariance: Option<&'static str>,
    /// Whether it was chosen.
    pub(crate) chosen: bool,
    /// Its numbers; absent if it could not be fitted.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) scores: Option<ScoresOutput>,
    /// Why it could not be fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Why held-out rows say nothing of it, with `--criterion cv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cv_error: Option<String>,
}

/// What rows say that were held out.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct HeldOutOutput {
    /// −2 × the log-likelihood of all rows, each while it was held out; smaller is better.
    pub(crate) cv: f64,
    /// Standard error of `cv` from its spread over the folds.
    pub(crate) cv_standard_error: f64,
    /// Number of folds.
    pub(crate) folds: usize,
}

impl From<HeldOut> for HeldOutOutput {
    fn from(held_out: HeldOut) -> Self {
        Self {
            cv: held_out.deviance(),
            cv_standard_error: held_out.deviance_error(),
            folds: held_out.folds,
        }
    }
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
    pub(crate) aicc: f64,
    /// Smaller is better.
    pub(crate) icl: f64,
    /// What held-out rows say, with `--criterion cv`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) held_out: Option<HeldOutOutput>,
    /// Whether its best start converged.
    pub(crate) converged: bool,
    /// Why that start stopped.
    pub(crate) stopped: &'static str,
    /// Whether it looks like an artifact of an unbounded likelihood, and is not chosen if another is sound.
    pub(crate) spurious: bool,
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
            family: "mixture",
            component: Kind::Gaussian,
            estimator: EstimatorKind::Ml,
            n: 272,
            d: 1,
            columns: vec!["waiting".into()],
            log_likelihood: 0.1 + 0.2,
            objective: f64::NEG_INFINITY,
            penalty: 0.0,
            df: 5,
            aic: 1.0,
            bic: 2.0,
            aicc: 1.5,
            icl: 3.0,
            held_out: None,
            converged: true,
            stopped: "aitken",
            iterations: 1,
            e_steps: 2,
            gap: None,
            trace: vec![-1.0],
            starts: vec![StartOutput { objective: -1.0, iterations: 1, stopped: "aitken" }],
            warnings: vec![],
            seconds: Seconds { read: 0.0, fit: 0.0, per_iteration: 0.0 },
            params: Params::Gaussian(GaussianParams {
                weights: vec![1.0],
                means: vec![vec![70.9]],
                covariances: vec![vec![vec![184.0]]],
            }),
            covariance: Some("VVV"),
            criterion: Criterion::Bic,
            table: vec![CandidateOutput {
                components: 7,
                covariance: Some("VVV"),
                chosen: false,
                scores: None,
                error: Some("too few rows".into()),
                cv_error: None,
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
        let Params::Gaussian(params) = output().params else { panic!("it was made of Gaussians") };
        let text = serde_json::to_string(&params).unwrap();
        assert_eq!(serde_json::from_str::<GaussianParams>(&text).unwrap(), params);
        let poisson = serde_json::from_str(r#"{"weights": [0.5, 0.5], "rates": [1, 2.5]}"#);
        let expected = PoissonParams { weights: vec![0.5, 0.5], rates: vec![1.0, 2.5] };
        assert_eq!(poisson.map_err(|error| error.to_string()), Ok(expected));
        assert!(serde_json::from_str::<GaussianParams>(r#"{"weights": [1]}"#).is_err());
    }
}
