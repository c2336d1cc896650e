//! Files of k-means centers.

use std::{fs, io, path::Path};

use elbo::mixture::Centers;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file::{FORMAT, ModelProblem, Saved, VERSION, checked};
use crate::{error::Error, output::write_json};

/// Centers; also the shape of `--start` files, in which the centers alone are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CentersParams {
    /// `[K][D]`
    pub(crate) centers: Centers,
    /// Sum of squared distances of the rows they were fitted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inertia: Option<f64>,
}

/// Centers with what is known of them.
#[derive(Clone, Debug)]
pub(crate) struct SavedCenters {
    /// The centers.
    pub(crate) centers: Centers,
    /// Names of the columns.
    pub(crate) columns: Vec<String>,
    /// How the fit went; absent in files written by hand.
    pub(crate) fit: Option<CentersFacts>,
}

/// How a fit of k-means went.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CentersFacts {
    /// What a person calls the data.
    pub(crate) source: String,
    /// Rows.
    pub(crate) n: usize,
    /// Sum of squared distances of rows to their centers.
    pub(crate) inertia: f64,
    /// Rows of each center, or their total weight.
    pub(crate) sizes: Vec<f64>,
    /// The share of each center in the inertia.
    pub(crate) scatters: Vec<f64>,
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
    columns: Vec<String>,
    params: CentersParams,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fit: Option<CentersFacts>,
}

/// A model file of any family.
pub(crate) enum SavedModel {
    /// A mixture.
    Mixture(Box<Saved>),
    /// k-means.
    Centers(SavedCenters),
}

impl SavedModel {
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
        let value = checked(text)?;
        if value.get("family").and_then(Value::as_str) == Some("kmeans") {
            return SavedCenters::of(value).map(Self::Centers);
        }
        Saved::of(value).map(Box::new).map(Self::Mixture)
    }
}

impl SavedCenters {
    fn of(value: Value) -> Result<Self, ModelProblem> {
        let wire: Wire = serde_json::from_value(value).map_err(ModelProblem::Fields)?;
        if wire.params.centers.d() != wire.columns.len() {
            return Err(ModelProblem::Shape("its centers have not one number for each column"));
        }
        Ok(Self { centers: wire.params.centers, columns: wire.columns, fit: wire.fit })
    }

    /// Writes the model file to `out`.
    ///
    /// # Errors
    ///
    /// What `out` reports.
    pub(crate) fn write(&self, out: impl io::Write) -> io::Result<()> {
        let inertia = self.fit.as_ref().map(|fit| fit.inertia);
        let wire = Wire {
            format: FORMAT.into(),
            version: VERSION,
            family: "kmeans".into(),
            columns: self.columns.clone(),
            params: CentersParams { centers: self.centers.clone(), inertia },
            fit: self.fit.clone(),
        };
        write_json(out, &wire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"format": "elbo-model", "version": 1, "family": "kmeans",
        "columns": ["a", "b"], "params": {"centers": [[0.1, 2], [3, 1e-300]]}}"#;

    #[test]
    fn centers_survive_their_file() {
        let Ok(SavedModel::Centers(saved)) = SavedModel::parse(TEXT.as_bytes()) else {
            panic!("it holds centers")
        };
        let mut file = Vec::new();
        saved.write(&mut file).unwrap();
        let Ok(SavedModel::Centers(again)) = SavedModel::parse(&file) else {
            panic!("it holds centers")
        };
        assert_eq!((again.centers, again.columns), (saved.centers, saved.columns));
    }

    #[test]
    fn damaged_files_are_refused_with_a_reason() {
        for (from, to, reason) in [
            ("[0.1, 2]", "[0.1]", "center 1 has 2 columns, the first has 1"),
            ("[\"a\", \"b\"]", "[\"a\"]", "not one number for each column"),
            ("\"centers\"", "\"middles\"", "unknown field `middles`"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            let Err(problem) = SavedModel::parse(text.as_bytes()) else { panic!("{from}") };
            assert!(problem.to_string().contains(reason), "{from}: {problem}");
        }
    }
}
