//! Model files and the commands that use them.
#![allow(clippy::float_cmp, reason = "the same numbers told twice are the same to the bit")]

use serde_json::Value;

use crate::support::{Folder, number, numbers};

/// Old Faithful, and a fit of two components to it in `model.json`.
fn fitted() -> (Folder, Value) {
    let folder = Folder::of("faithful.csv");
    let fit = folder.json("fit mixture data.csv --components 2 --starts 3 --model model.json");
    (folder, fit)
}

#[test]
fn a_model_scores_its_data_as_the_fit_did() {
    let (folder, fit) = fitted();
    let score = folder.json("score model.json data.csv --rows");
    let (total, expected) = (number(&score["log_likelihood"]), number(&fit["log_likelihood"]));
    // Sums of 272 terms in another order.
    assert!((total - expected).abs() < 1e-13 * 272.0 * expected.abs(), "{total} {expected}");
    assert_eq!(number(&score["mean_log_likelihood"]).to_bits(), (total / 272.0).to_bits());
    let rows = numbers(&score["rows"]);
    assert_eq!(rows.len(), 272);
    let text = folder.run("score model.json data.csv --rows");
    let lines: Vec<f64> = text.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    assert_eq!(lines, rows);
    assert!(folder.run("score model.json data.csv").contains("-1130.263960"));
}

#[test]
fn the_model_file_holds_what_the_fit_printed() {
    let (folder, fit) = fitted();
    let model: Value = serde_json::from_str(&folder.read("model.json")).unwrap();
    let keys = ["format", "version", "family", "component", "estimator", "structure"];
    let found = keys.map(|key| model[key].to_string());
    let expected = ["\"elbo-model\"", "1", "\"mixture\"", "\"gaussian\"", "\"ml\"", "\"VVV\""];
    assert_eq!(found, expected);
    assert_eq!(model["params"], fit["params"]);
    for key in ["log_likelihood", "bic", "aic", "icl", "df", "converged", "stopped", "iterations"] {
        assert_eq!(model["fit"][key], fit[key], "{key}");
    }
    assert_eq!(folder.json("inspect model.json"), model, "read and written, it is the same");
}

#[test]
fn predictions_are_bayes_rule() {
    let (folder, fit) = fitted();
    let predicted = folder.json("predict model.json data.csv");
    let probabilities = numbers(&predicted["probabilities"]);
    assert_eq!((&predicted["n"], &predicted["k"]), (&272.into(), &2.into()));
    assert_eq!(probabilities.len(), 544);
    let expected = responsibility(&fit["params"], &[3.6, 79.0]);
    assert!((probabilities[0] - expected).abs() < 1e-12, "{} {expected}", probabilities[0]);
    let text = folder.run("predict model.json data.csv --out labels.csv");
    assert_eq!(text, "");
    let csv = folder.read("labels.csv");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("label,probability_1,probability_2,uncertainty"));
    for (row, line) in lines.enumerate() {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(cells[1..3], probabilities[2 * row..][..2]);
        assert_eq!(cells[0], number(&predicted["labels"][row]));
        assert_eq!(cells[3], number(&predicted["uncertainty"][row]));
        assert_eq!(cells[0], if cells[1] >= cells[2] { 1.0 } else { 2.0 });
        assert_eq!(cells[3], cells[1].min(cells[2]));
    }
}

/// `p(component 1 ∣ x)` of two Gaussians in the plane, by hand.
fn responsibility(params: &Value, x: &[f64; 2]) -> f64 {
    let joint = [0, 1].map(|j| {
        let (m, c) = (numbers(&params["means"][j]), numbers(&params["covariances"][j]));
        let (u, v, det) = (x[0] - m[0], x[1] - m[1], c[0] * c[3] - c[1] * c[2]);
        let distance = (c[3] * u * u - 2.0 * c[1] * u * v + c[0] * v * v) / det;
        number(&params["weights"][j]) * (-0.5 * distance).exp() / det.sqrt()
    });
    joint[0] / (joint[0] + joint[1])
}

#[test]
fn columns_are_found_by_name_or_by_place() {
    let (folder, _) = fitted();
    folder.write("named.csv", "plant,waiting,extra,eruptions\n\"a,b\",79,x,3.6\nc,54,y,1.8\n");
    folder.write("plain.csv", "3.6,79\n1.8,54\n");
    let named = folder.run("predict model.json named.csv");
    assert_eq!(named, folder.run("predict model.json plain.csv"));
    let with_id = folder.run("predict model.json named.csv --id plant");
    let expected: Vec<_> = named
        .lines()
        .zip(["plant", "\"a,b\"", "c"])
        .map(|(line, id)| format!("{id},{line}"))
        .collect();
    assert_eq!(with_id.lines().collect::<Vec<_>>(), expected);
    let json = folder.json("predict model.json named.csv --id plant");
    assert_eq!(json["ids"], serde_json::json!(["a,b", "c"]));
    let standard_input = folder.run_with("predict model.json -", b"3.6\t79\n1.8\t54\n");
    assert_eq!(standard_input, named);
    folder.write("wide.csv", "1,2,3\n4,5,6\n");
    let refusal = folder.refusal("predict model.json wide.csv");
    assert!(refusal.contains("3 columns without names, the model has 2"), "{refusal}");
    folder.write("other.csv", "eruptions,wait\n1,2\n");
    let refusal = folder.refusal("score model.json other.csv");
    assert!(refusal.contains("no column \"waiting\", which the model asks for"), "{refusal}");
}

/// A row is predicted from what it has: as if the other columns were not in the model.
#[test]
fn missing_cells_are_fitted_and_predicted() {
    let (folder, _) = fitted();
    folder.write("gap.csv", "eruptions,waiting\n4.4,\n1.8,NA\n,80\n,\n");
    let labels = |text: &str| -> Vec<String> {
        text.lines().skip(1).map(|line| line.split(',').next().unwrap_or_default().into()).collect()
    };
    folder.write("full.csv", "eruptions,waiting\n4.4,80\n1.8,54\n4.4,80\n4.4,80\n");
    let predicted = labels(&folder.run("predict model.json gap.csv"));
    let complete = labels(&folder.run("predict model.json full.csv"));
    assert_eq!(predicted[..3], complete[..3]);
    assert_eq!(predicted.len(), 4);
    assert!(folder.run("score model.json gap.csv").contains("log"));

    let row = |i: i32| {
        let (x, cluster) = (f64::from(i * 37 % 60) / 30.0, f64::from(i % 2) * 9.0);
        let b = if i % 7 == 3 { "NA".into() } else { (cluster - x * x).to_string() };
        format!("{},{b}\n", x + cluster)
    };
    let rows: String = (0..60).map(row).collect();
    folder.write("some.csv", &format!("a,b\n{rows}"));
    let report = folder.run("fit mixture some.csv --components 2");
    assert!(report.contains("9 missing cells"), "{report}");
}

#[test]
fn rows_that_cannot_be_predicted_are_named() {
    let (folder, _) = fitted();
    folder.write(
        "zero.json",
        r#"{"format": "elbo-model", "version": 1, "family": "mixture", "component": "poisson",
            "columns": ["n"], "estimator": "ml", "params": {"weights": [1], "rates": [0]}}"#,
    );
    folder.write("counts.csv", "n\n0\n2\n");
    let refusal = folder.refusal("score zero.json counts.csv");
    assert!(refusal.contains("line 3 has density zero under every component"), "{refusal}");
    folder.write("gap.csv", "n\n1\nNA\n");
    for command in ["predict", "score"] {
        let refusal = folder.refusal(&format!("{command} zero.json gap.csv"));
        assert!(refusal.contains("gap.csv: line 3, column \"n\" is missing"), "{refusal}");
        assert!(refusal.ends_with("fill the cell or remove the row\n"), "{refusal}");
    }
}

#[test]
fn samples_follow_the_model_and_the_seed() {
    let (folder, fit) = fitted();
    let sample = folder.run("sample model.json -n 4000 --seed 7 --labels");
    assert_eq!(sample, folder.run("sample model.json -n 4000 --seed 7 --labels"));
    assert_ne!(sample, folder.run("sample model.json -n 4000 --seed 8 --labels"));
    let mut lines = sample.lines();
    assert_eq!(lines.next(), Some("eruptions,waiting,label"));
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    assert_eq!(rows.len(), 4000);
    let first = rows.iter().filter(|row| row[2] == 1.0).count() as f64 / 4000.0;
    let weight = number(&fit["params"]["weights"][0]);
    // Five standard errors of a share of 4000, and of a mean over those rows.
    assert!((first - weight).abs() < 5.0 * (weight * (1.0 - weight) / 4000.0).sqrt());
    let sum: f64 = rows.iter().filter(|row| row[2] == 1.0).map(|row| row[1]).sum();
    let (mean, variance) =
        (number(&fit["params"]["means"][0][1]), number(&fit["params"]["covariances"][0][1][1]));
    assert!((sum / (4000.0 * first) - mean).abs() < 5.0 * (variance / (4000.0 * first)).sqrt());
    let json = folder.json("sample model.json -n 2 --seed 7 --labels");
    assert_eq!(numbers(&json["rows"][0]), rows[0][..2]);
    assert_eq!(number(&json["labels"][1]), rows[1][2]);
    folder.write("new.csv", &folder.run("sample model.json -n 50"));
    folder.run("score model.json new.csv");
}

#[test]
fn a_model_is_shown_as_after_the_fit() {
    let (folder, _) = fitted();
    let text = folder.run("inspect model.json");
    let fit = folder.run("fit mixture data.csv --components 2 --starts 3");
    let parameters = fit.split_once("2 Gaussian components").unwrap().1;
    assert!(text.ends_with(parameters), "{text}");
    assert!(text.contains("data.csv, 272 rows; log-likelihood -1130.264"), "{text}");
}

#[test]
fn files_that_are_no_models_are_refused() {
    let (folder, _) = fitted();
    folder.write("bad.json", &folder.read("model.json").replace("\"params\"", "\"parameters\""));
    folder.write("text.json", "hello");
    for (file, reason) in [
        ("absent.json", "cannot be read ("),
        ("text.json", "is not JSON ("),
        ("data.csv", "is not JSON ("),
        ("bad.json", "unknown field `parameters`"),
    ] {
        for command in ["predict", "score", "sample", "inspect"] {
            let data = if ["predict", "score"].contains(&command) { " data.csv" } else { "" };
            let refusal = folder.refusal(&format!("{command} {file}{data}"));
            assert!(refusal.contains(file) && refusal.contains(reason), "{refusal}");
        }
    }
}
