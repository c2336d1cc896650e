//! Hidden Markov models from the outside.
#![allow(clippy::float_cmp, reason = "the same numbers told twice are the same to the bit")]

use serde_json::Value;

use crate::support::{Folder, number, numbers, refused};

/// Earthquakes of magnitude 7 and more in the world, 1900-2006 (U.S. Geological Survey).
const EARTHQUAKES: &str = "13 14 8 10 16 26 32 27 18 32 36 24 22 23 22 18 25 21 21 14 8 11 14 23 18 17 19 20 22 19 13 26 13 14 22 24 21 22 26 21 23 24 27 41 31 27 35 26 28 36 39 21 17 22 17 19 15 34 10 15 22 18 15 20 15 22 19 16 30 27 29 23 20 16 21 21 25 16 18 15 18 14 10 15 8 15 6 11 8 7 18 16 13 12 13 20 15 16 12 18 15 16 13 15 16 11 11";

fn earthquakes() -> Folder {
    let rows: String = EARTHQUAKES
        .split(' ')
        .enumerate()
        .map(|(i, count)| format!("{},{count}\n", 1900 + i))
        .collect();
    Folder::new(&format!("year,count\n{rows}"))
}

const FIT: &str = "fit hmm data.csv --columns count --emission poisson";

/// Zucchini & MacDonald (2009), chapters 3 and 6; by EM hmmlearn 0.3.3.
#[test]
fn earthquakes_are_those_of_the_literature() {
    let folder = earthquakes();
    for (options, log_likelihood) in [
        ("--states 2", -341.878_701_03),
        ("--states 3", -328.527_483_38),
        ("--states 2 --stationary", -342.318_266_79),
        ("--states 3 --stationary", -329.460_276_26),
    ] {
        let fit = folder.json(&format!("{FIT} {options} --starts 20"));
        let found = number(&fit["log_likelihood"]);
        assert!((found - log_likelihood).abs() < 1e-6, "{options}: {found}");
        assert_eq!((&fit["family"], &fit["converged"]), (&"hmm".into(), &true.into()));
    }
}

#[test]
fn the_promised_keys_are_there() {
    let folder = earthquakes();
    let fit = folder.json(&format!("{FIT} --states 1..3 --starts 10 --stationary"));
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
        assert!(fit.get(key).is_some(), "{key}");
    }
    assert_eq!(numbers(&fit["params"]["initial"]).len(), 3, "three states by BIC");
    assert_eq!(numbers(&fit["params"]["transition"]).len(), 9);
    let rates = numbers(&fit["params"]["emission"]["rates"]);
    assert!((rates[0] - 13.146).abs() < 0.01 && (rates[1] - 19.721).abs() < 0.01, "{rates:?}");
    assert_eq!(fit["table"].as_array().unwrap().len(), 3);
    let (bic, df) = (number(&fit["bic"]), number(&fit["df"]));
    let expected = df.mul_add(107_f64.ln(), -2.0 * number(&fit["log_likelihood"]));
    assert!((bic - expected).abs() < 1e-9 && (df - 9.0).abs() < 1e-12, "{bic} {expected} {df}");
    assert!(number(&fit["icl"]) >= bic);
}

/// Old Faithful in two sequences, and a model of two states in `model.json`.
fn faithful() -> (Folder, Value) {
    let folder = Folder::of("faithful.csv");
    let text = folder.read("data.csv");
    let mut lines = text.lines();
    let mut data = format!("{},part\n", lines.next().unwrap());
    for (i, line) in lines.enumerate() {
        data += &format!("{line},{}\n", if i < 100 { "a" } else { "b, c" }.replace(", ", "-"));
    }
    folder.write("data.csv", &data);
    let fit = folder.json("fit hmm data.csv --id part --states 2 --starts 4 --model model.json");
    (folder, fit)
}

#[test]
fn a_model_scores_and_decodes_its_data() {
    let (folder, fit) = faithful();
    assert_eq!((&fit["sequences"], &fit["n"]), (&2.into(), &272.into()));
    let score = folder.json("score model.json data.csv --id part --rows");
    let (total, expected) = (number(&score["log_likelihood"]), number(&fit["log_likelihood"]));
    // Sums of 272 terms in another order.
    assert!((total - expected).abs() < 1e-13 * 272.0 * expected.abs(), "{total} {expected}");
    assert_eq!(score["ids"], serde_json::json!(["a", "b-c"]));
    let predicted = folder.json("predict model.json data.csv --id part --ahead 3");
    assert_eq!(predicted["path"].as_array().unwrap().len(), 272);
    let probabilities = numbers(&predicted["probabilities"]);
    assert!(probabilities.chunks(2).all(|row| (row[0] + row[1] - 1.0).abs() < 1e-12));
    assert_eq!(numbers(&predicted["forecast"]).len(), 2 * 3 * 2);
    let icl =
        number(&fit["df"]).mul_add(272_f64.ln(), -2.0 * number(&predicted["log_probability"]));
    assert!((icl - number(&fit["icl"])).abs() < 1e-8);
    let csv = folder.run("predict model.json data.csv --id part");
    assert_eq!(csv.lines().next(), Some("part,path,label,probability_1,probability_2"));
    assert_eq!(csv.lines().count(), 273);
    let model: Value = serde_json::from_str(&folder.read("model.json")).unwrap();
    assert_eq!(model["params"], fit["params"]);
    assert_eq!(folder.json("inspect model.json"), model, "read and written, it is the same");
    assert!(folder.run("inspect model.json").contains("from \\ to"));
}

#[test]
fn exactly_n_iterations_from_given_parameters() {
    let folder = earthquakes();
    folder.write(
        "start.json",
        r#"{"initial": [0.5, 0.5], "transition": [[0.8, 0.2], [0.1, 0.9]], "emission": {"rates": [10, 30]}}"#,
    );
    let line = format!("{FIT} --states 2 --start start.json --tol 0");
    let one = folder.json(&format!("{line} --max-iter 1"));
    assert_eq!((&one["iterations"], one["starts"].as_array().unwrap().len()), (&1.into(), 1));
    // From where one iteration ends, one more is what two are.
    folder.write("start.json", &one["params"].to_string());
    let second = folder.json(&format!("{line} --max-iter 1"));
    assert!(number(&second["log_likelihood"]) > number(&one["log_likelihood"]));
    assert_eq!(number(&second["trace"][0]), number(&one["log_likelihood"]));
}

#[test]
fn samples_are_fitted_again() {
    let folder = earthquakes();
    folder.json(&format!("{FIT} --states 2 --starts 5 --model model.json"));
    let drawn = folder.run("sample model.json -n 3000 --seed 3 --labels");
    assert_eq!(drawn.lines().next(), Some("count,label"));
    folder.write("data.csv", &drawn);
    let fit = folder.json(&format!("{FIT} --states 2 --starts 3"));
    let rates = numbers(&fit["params"]["emission"]["rates"]);
    // Standard errors below 0.2.
    assert!((rates[0] - 15.42).abs() < 1.0 && (rates[1] - 26.02).abs() < 1.0, "{rates:?}");
}

#[test]
fn categories_and_missing_rows_are_modeled() {
    let folder = Folder::new("x\n0\n1\n\n2\n2\nNA\n0\n0\n1\n2\n2\n2\n");
    for estimator in ["ml", "map", "vb"] {
        let fit = folder.json(&format!(
            "fit hmm data.csv --emission categorical --states 2 --starts 3 --estimator {estimator}"
        ));
        let table = numbers(&fit["params"]["emission"]["probabilities"]);
        assert_eq!(table.len(), 6);
        assert!((table[..3].iter().sum::<f64>() - 1.0).abs() < 1e-12, "{table:?}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_in_a_line() {
    for (line, data, reason) in [
        (
            "fit hmm data.csv --states 2 --emission poisson",
            "x\n1\n2.5\n3\n",
            "line 3, column \"x\": 2.5 is not one of the whole numbers",
        ),
        (
            "fit hmm data.csv --states 2 --emission poisson",
            "x,y\n1,2\n3,4\n",
            "has 2 columns of numbers, but --emission poisson models one",
        ),
        (
            "fit hmm data.csv --states 2 --id s",
            "x,s\n1,a\n2,b\n3,a\n4,b\n",
            "line 4: sequence \"a\" goes on after another one has begun",
        ),
        ("fit hmm data.csv --states 5", "x\n1\n2\n3\n", "3 rows are too few for 5"),
        (
            "fit hmm data.csv --states 2 --weights w",
            "x,w\n1,1\n2,1\n",
            "--weights does not go with hmm",
        ),
        (
            "fit hmm data.csv --states 2 --stationary --estimator vb",
            "x\n1\n2\n",
            "--stationary goes with",
        ),
    ] {
        let text = refused(line, data);
        assert!(text.contains(reason) && text.lines().count() == 1, "{line}: {text}");
    }
    let (folder, _) = faithful();
    folder.write("other.csv", "a,b\n1,2\n");
    assert!(folder.refusal("score model.json other.csv").contains("eruptions"));
}

#[test]
fn a_report_is_one_page_with_pictures() {
    let (folder, _) = faithful();
    folder.run("fit hmm data.csv --id part --states 1..3 --starts 3 --report out/page.html");
    let page = folder.read("out/page.html");
    for part in [
        "Decoded path",
        "Transitions",
        "mean duration",
        "id=\"density1-t\"",
        "id=\"transitions-t\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("http://") && !page.contains("src="), "nothing is loaded");
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    let text = folder.run("fit hmm data.csv --id part --states 2 --starts 3");
    assert!(text.contains("in 2 sequences") && text.contains("duration"), "{text}");
}
