//! Data and small helpers shared by the tests.

use std::path::PathBuf;

use elbo_factor::Sample;
use serde_json::Value;

/// A file of reference results, if they are at hand.
pub(crate) fn reference(name: &str) -> Option<Value> {
    let Some(folder) = std::env::var_os("ELBO_REFERENCE") else {
        eprintln!("ELBO_REFERENCE is not set: reference results are not compared");
        return None;
    };
    let path = PathBuf::from(folder).join("factor").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Some(serde_json::from_str(&text).unwrap())
}

/// A matrix in JSON, row after row.
pub(crate) fn matrix(value: &Value) -> Vec<f64> {
    let rows = value.as_array().unwrap().iter();
    rows.flat_map(|row| match row.as_array() {
        Some(row) => row.iter().map(|x| x.as_f64().unwrap()).collect(),
        None => vec![row.as_f64().unwrap()],
    })
    .collect()
}

/// The correlations of a classic data set: `ability` or `harman`.
pub(crate) fn classic(name: &str) -> Option<Sample> {
    let all = reference("cov_classics.json")?;
    let covariance = matrix(&all[name]["cov"]);
    let n = matrix(&all[name]["n.obs"])[0];
    let d = covariance.len().isqrt();
    Some(Sample::of_covariance(&covariance, d, n).unwrap().standardized().unwrap())
}

/// Fisher's irises: 150 rows of four numbers.
pub(crate) fn iris() -> Vec<f64> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data/iris.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().skip(1);
    lines
        .flat_map(|line| {
            line.split(',').filter_map(|cell| cell.parse::<f64>().ok()).collect::<Vec<_>>()
        })
        .collect()
}

/// `a bᵀ` of row-major matrices with `k` columns each.
pub(crate) fn product_transposed(a: &[f64], b: &[f64], k: usize) -> Vec<f64> {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    a.chunks_exact(k).flat_map(|x| b.chunks_exact(k).map(move |y| dot(x, y))).collect()
}

#[track_caller]
pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (place, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance, "at {place}: {a} is not {b}");
    }
}
