//! `elbo fit mixture`: known values, the promised JSON, the table, the report.

use serde_json::Value;

use crate::support::{Folder, number, numbers};

/// The best maximum of two components with full covariances on Old Faithful: scikit-learn 1.9.1,
/// mclust 6.1.3 and R mixtools agree on these digits.
const FAITHFUL_2_VVV: f64 = -1_130.263_96;

#[track_caller]
fn assert_close(found: &Value, expected: f64, tolerance: f64) {
    let found = number(found);
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

fn lines(rows: impl Iterator<Item = String>) -> String {
    rows.fold(String::new(), |text, row| text + &row + "\n")
}

#[test]
fn two_groups_of_eruptions_have_their_known_likelihood() {
    let folder = Folder::of("faithful.csv");
    let fit = folder.json("fit mixture data.csv --components 2 --starts 4");
    assert_close(&fit["log_likelihood"], FAITHFUL_2_VVV, 5e-6);
    assert_eq!(fit["covariance"], "VVV");
    assert_eq!(fit["df"], 11);
    let log_likelihood = number(&fit["log_likelihood"]);
    assert_close(&fit["aic"], -2.0 * log_likelihood + 22.0, 1e-9);
    assert_close(&fit["bic"], -2.0 * log_likelihood + 11.0 * 272_f64.ln(), 1e-9);
    assert!(number(&fit["icl"]) >= number(&fit["bic"]));
    assert_eq!((&fit["converged"], &fit["stopped"]), (&true.into(), &"aitken".into()));
    let trace = numbers(&fit["trace"]);
    assert_eq!(Some(&number(&fit["objective"])), trace.last());
    assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9), "{trace:?}");
    assert_eq!(trace.len() as u64, fit["iterations"].as_u64().unwrap() + 1);
    assert!(numbers(&fit["params"]["weights"]).is_sorted_by(|a, b| a >= b), "heaviest first");
}

#[test]
fn json_has_the_promised_keys_and_shapes() {
    let folder = Folder::of("faithful.csv");
    let fit = folder.json("fit mixture data.csv --components 1..2 --starts 3");
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
        "table",
    ] {
        assert!(fit.get(key).is_some(), "{key}");
    }
    assert_eq!((&fit["family"], &fit["estimator"]), (&"mixture".into(), &"ml".into()));
    assert_eq!((&fit["n"], &fit["d"]), (&272.into(), &2.into()));
    assert_eq!(fit["columns"], serde_json::json!(["eruptions", "waiting"]));
    assert_eq!(fit["starts"].as_array().unwrap().len(), 3);
    for key in ["objective", "iterations", "stopped"] {
        assert!(fit["starts"][0].get(key).is_some(), "{key}");
    }
    for key in ["read", "fit", "per_iteration"] {
        assert!(number(&fit["seconds"][key]) > 0.0, "{key}");
    }
    let sizes = ["weights", "means", "covariances"].map(|key| numbers(&fit["params"][key]).len());
    assert_eq!(sizes, [2, 4, 8]);
    let table = fit["table"].as_array().unwrap();
    assert_eq!(table.len(), 2 * 14, "all structures where there is a range");
    let chosen: Vec<_> = table.iter().filter(|row| row["chosen"] == true).collect();
    assert_eq!((chosen.len(), &chosen[0]["bic"]), (1, &fit["bic"]));
    let bics = table.iter().map(|row| number(&row["bic"]));
    assert_close(&fit["bic"], bics.fold(f64::INFINITY, f64::min), 1e-6);
}

#[test]
fn the_criterion_chooses() {
    let folder = Folder::of("galaxies.csv");
    let line = "fit mixture data.csv --components 1..5 --covariance spherical --starts 10";
    let k = |criterion: &str| {
        let fit = folder.json(&format!("{line} --criterion {criterion}"));
        assert_eq!(fit["criterion"], criterion);
        let values = fit["table"].as_array().unwrap().iter().map(|row| number(&row[criterion]));
        assert_close(&fit[criterion], values.fold(f64::INFINITY, f64::min), 1e-9);
        numbers(&fit["params"]["weights"]).len()
    };
    assert_eq!(k("bic"), 3);
    assert!(k("aic") >= 3 && k("icl") <= 3);
    assert!(k("aicc") >= 3 && k("cv") >= 2);
}

#[test]
fn rows_held_out_choose_by_cross_validation() {
    let folder = Folder::of("faithful.csv");
    let line = "fit mixture data.csv --components 1..3 --covariance full,tied --starts 3";
    let cv = format!("{line} --criterion cv --folds 4");
    let fit = folder.json(&format!("{cv} --threads 1"));
    let plain = folder.json(line);
    let (table, without) = (fit["table"].as_array().unwrap(), plain["table"].as_array().unwrap());
    for (row, other) in table.iter().zip(without) {
        // The fits to all rows are those of any other criterion.
        assert_eq!(row["log_likelihood"], other["log_likelihood"]);
        assert!(number(&row["cv_standard_error"]) > 0.0 && row["folds"] == 4);
        assert!(other.get("cv").is_none() && other.get("cv_error").is_none());
        // A model is worse on rows that it has not seen.
        assert!(number(&row["cv"]) > -2.0 * number(&row["log_likelihood"]));
        let (l, p) = (number(&row["log_likelihood"]), number(&row["df"]));
        assert_close(&row["aicc"], -2.0 * l + 2.0 * p + 2.0 * p * (p + 1.0) / (271.0 - p), 1e-9);
    }
    assert!(plain.get("cv").is_none());
    let least = table.iter().map(|row| number(&row["cv"])).fold(f64::INFINITY, f64::min);
    assert_close(&fit["cv"], least, 1e-9);
    assert_eq!((&fit["folds"], &fit["criterion"]), (&4.into(), &"cv".into()));
    let chosen = table.iter().find(|row| row["chosen"] == true).unwrap();
    assert_eq!(chosen["cv"], fit["cv"]);
    // One component is far behind.
    assert!(number(&table[0]["cv"]) > least + 100.0);
    let two = folder.json(&format!("{cv} --threads 2"));
    assert_eq!(two["table"], fit["table"]);
    let text = folder.run(&format!("{cv} --report r.html"));
    assert!(
        text.contains(
            "smallest CV of 6; CV is -2 x the log-likelihood of rows held out in 4 folds"
        ),
        "{text}"
    );
    assert!(folder.read("r.html").contains(">CV</th>"));
}

#[test]
fn a_candidate_that_cannot_be_held_out_says_why() {
    let counts = [1, 2, 0, 3, 1, 14, 12, 15, 13, 11, 2, 12];
    let folder = Folder::new(&format!("events\n{}", lines(counts.iter().map(ToString::to_string))));
    let line = "fit mixture data.csv --component poisson --starts 3 --criterion cv --folds 4";
    let fit = folder.json(&format!("{line} --components 1..2"));
    assert_eq!(fit["params"]["rates"].as_array().unwrap().len(), 2);
    // Nine rows are left to fit ten components to.
    let folder = Folder::new(&format!("a\n{}", lines((0..12).map(|i| (i * i).to_string()))));
    let fit = folder.json(
        "fit mixture data.csv -K 1..10 --covariance tied --starts 2 --criterion cv --folds 4",
    );
    let last = &fit["table"][9];
    assert_eq!(
        last["cv_error"],
        "with fold 1 held out, 9 rows are too few for 10 components; ask for fewer, or add rows"
    );
    assert!(last.get("cv").is_none() && last["log_likelihood"].is_number());
    let warnings = fit["warnings"].to_string();
    assert!(warnings.contains("of 10 candidates have no CV; "), "{warnings}");
    // Without any held-out likelihood another criterion chooses, and says so.
    let fit = folder.json(
        "fit mixture data.csv -K 1..2 --covariance tied --criterion cv --folds 4 --time-budget 0",
    );
    assert_eq!((&fit["criterion"], fit.get("cv")), (&"bic".into(), None));
    let warnings = fit["warnings"].to_string();
    assert!(
        warnings.contains("no candidate has a held-out likelihood, so that BIC chose"),
        "{warnings}"
    );
    assert!(warnings.contains("with fold 1 held out, not begun"), "{warnings}");
}

#[test]
fn exactly_as_many_iterations_as_asked_for_from_a_given_start() {
    let folder = Folder::of("faithful.csv");
    folder.write(
        "start.json",
        r#"{"weights": [0.4, 0.6], "means": [[2, 55], [4, 80]],
            "covariances": [[[0.2, 0], [0, 40]], [[0.2, 0], [0, 40]]]}"#,
    );
    let line = "fit mixture data.csv -K 2 --start start.json --tol 0 --max-iter";
    let fit = folder.json(&format!("{line} 7"));
    assert_eq!((&fit["iterations"], &fit["e_steps"]), (&7.into(), &8.into()));
    assert_eq!((&fit["stopped"], &fit["converged"]), (&"max_iterations".into(), &false.into()));
    assert_eq!(fit["starts"].as_array().unwrap().len(), 1);
    assert!(fit["warnings"][0].as_str().unwrap().contains("raise --max-iter"));
    // The components keep the order of the start, and the start is where the trace begins.
    assert!(number(&fit["params"]["means"][0][0]) < number(&fit["params"]["means"][1][0]));
    let none = folder.json(&format!("{line} 0"));
    assert_eq!(none["params"]["means"], serde_json::json!([[2.0, 55.0], [4.0, 80.0]]));
    assert_eq!(fit["trace"][0], none["log_likelihood"]);
    // What was fitted is a start for more.
    folder.write("more.json", &fit["params"].to_string());
    let more = folder.json("fit mixture data.csv -K 2 --start more.json --tol 0 --max-iter 3");
    let whole = folder.json(&format!("{line} 10"));
    assert_close(&more["log_likelihood"], number(&whole["log_likelihood"]), 1e-9);
}

#[test]
fn a_start_of_another_shape_is_refused() {
    let folder = Folder::of("faithful.csv");
    for (start, options, message) in [
        ("{", "-K 2", "EOF while parsing"),
        (r#"{"weights": [1], "rates": [1]}"#, "-K 1", "unknown field `rates`"),
        (
            r#"{"weights": [1], "means": [[1, 2]], "covariances": [[[1, 0], [0, 1]]]}"#,
            "-K 2",
            "it has 1 components, 2 are asked for",
        ),
        (
            r#"{"weights": [1], "means": [[1]], "covariances": [[[1]]]}"#,
            "-K 1",
            "it has 1 numbers in a mean where 2 are needed",
        ),
        (
            r#"{"weights": [1], "means": [[1, 2]], "covariances": [[[1, 0.5], [0.5, 1]]]}"#,
            "-K 1 --covariance diagonal",
            "component 1: number",
        ),
    ] {
        folder.write("start.json", start);
        let refusal = folder.refusal(&format!("fit mixture data.csv {options} --start start.json"));
        assert!(refusal.contains("start.json") && refusal.contains(message), "{refusal}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = Folder::of("iris.csv");
    let line = "fit mixture data.csv --components 1..3 --covariance full,tied,EVE --starts 4 -q";
    let mut fits = [1, 2, 3].map(|threads| folder.json(&format!("{line} --threads {threads}")));
    for fit in &mut fits {
        fit["seconds"].take();
    }
    assert_eq!(fits[0], fits[1]);
    assert_eq!(fits[0], fits[2]);
}

#[test]
fn a_candidate_alone_is_fitted_as_among_others() {
    let folder = Folder::of("faithful.csv");
    let all = folder.json("fit mixture data.csv --components 2..3 --starts 3");
    let alone = folder.json("fit mixture data.csv --components 3 --covariance tied --starts 3");
    assert_eq!((&all["covariance"], &all["params"]), (&"EEE".into(), &alone["params"]));
}

#[test]
fn weights_count_rows_as_often_as_they_say() {
    let rows: Vec<_> = (0..40_u32).map(|i| (f64::from(i * 7919 % 101) / 9.0, i % 3 + 1)).collect();
    let weighted = lines(rows.iter().map(|(x, w)| format!("{x},{w}")));
    let repeated = lines(rows.iter().flat_map(|(x, w)| vec![x.to_string(); *w as usize]));
    let folder = Folder::new(&format!("x,w\n{weighted}"));
    folder.write("repeated.csv", &format!("x\n{repeated}"));
    folder.write(
        "start.json",
        r#"{"weights": [0.5, 0.5], "means": [[2], [8]], "covariances": [[[4]], [[4]]]}"#,
    );
    let options = "-K 2 --start start.json --tol 0 --max-iter 20";
    let weighted = folder.json(&format!("fit mixture data.csv --weights w {options}"));
    let repeated = folder.json(&format!("fit mixture repeated.csv {options}"));
    for key in ["log_likelihood", "bic", "icl"] {
        assert_close(&weighted[key], number(&repeated[key]), 1e-9);
    }
    assert_eq!((&weighted["n"], &repeated["n"]), (&40.into(), &(40 + 39).into()));
}

#[test]
fn bayesian_estimators_try_the_structures_that_have_a_prior() {
    let folder = Folder::of("faithful.csv");
    for estimator in ["map", "vb"] {
        let line = format!("fit mixture data.csv -K 1..2 --starts 2 --estimator {estimator}");
        let fit = folder.json(&line);
        assert_eq!(fit["estimator"], estimator);
        assert_eq!(fit["table"].as_array().unwrap().len(), 2 * 6);
        let warnings = fit["warnings"].to_string();
        assert!(warnings.contains("tried 6 of the 14 structures"), "{warnings}");
        let (objective, penalty) = (number(&fit["objective"]), number(&fit["penalty"]));
        assert!(penalty != 0.0 && objective < number(&fit["log_likelihood"]) + penalty.abs());
    }
}

#[test]
fn counts_are_fitted_by_poissons() {
    let counts = [1, 2, 0, 3, 1, 14, 12, 15, 13, 11, 2, 12];
    let data = lines(counts.iter().map(ToString::to_string));
    let folder = Folder::new(&format!("events\n{data}"));
    let line = "fit mixture data.csv --component poisson --starts 5";
    let fit = folder.json(&format!("{line} --components 1..3"));
    let rates = numbers(&fit["params"]["rates"]);
    assert_eq!((rates.len(), &fit["df"], fit.get("covariance")), (2, &3.into(), None));
    assert!((rates.iter().sum::<f64>() - 14.3).abs() < 0.3, "{rates:?}");
    // One component: the mean, in closed form.
    let mean = f64::from(counts.iter().sum::<i32>()) / 12.0;
    let one = folder.json(&format!("{line} --components 1"));
    assert_close(&one["params"]["rates"][0], mean, 1e-12);
    for estimator in ["map", "vb"] {
        let fit = folder.json(&format!("{line} --components 2 --estimator {estimator}"));
        assert_eq!(fit["params"]["rates"].as_array().unwrap().len(), 2);
    }
    let text = folder.run(&format!("{line} --components 1..2 --report r.html --model m.json"));
    assert!(text.contains("2 Poisson components") && !text.contains("structure"), "{text}");
    assert!(folder.run("inspect m.json").contains("events (rate)"));
}

#[test]
fn standard_input_is_data() {
    let folder = Folder::of("faithful.csv");
    let data = folder.read("data.csv");
    let text = folder.run_with("fit mixture - -K 2 --starts 2", data.as_bytes());
    assert!(text.starts_with("standard input: 272 rows, 2 columns (eruptions, waiting)"), "{text}");
    assert!(text.contains("-1130.264"), "{text}");
}

#[test]
fn long_tables_are_cut_unless_asked_for() {
    let folder = Folder::of("faithful.csv");
    let line = "fit mixture data.csv --components 1..3 --starts 2";
    let rows = |text: &str| text.lines().filter(|line| line.contains("/2 ")).count();
    let short = folder.run(line);
    assert!(short.contains("smallest BIC of 42; --table all prints all of them"), "{short}");
    assert_eq!(rows(&short), 10 + 3, "{short}");
    assert_eq!(rows(&folder.run(&format!("{line} --table all"))), 42);
    assert!(short.contains("eruptions (mean ± sd)"));
}

#[test]
fn warnings_tell_what_to_distrust() {
    let warnings = |folder: &Folder, options: &str| {
        let fit = folder.json(&format!("fit mixture data.csv {options}"));
        fit["warnings"].as_array().unwrap().iter().map(ToString::to_string).collect::<String>()
    };
    let faithful = Folder::of("faithful.csv");
    let edge = warnings(&faithful, "-K 1..2 --covariance full --starts 2");
    assert!(edge.contains("boundary: 2 components are the most that were tried"), "{edge}");
    let short = warnings(&faithful, "-K 2 --starts 2 --max-iter 2");
    assert!(short.contains("stopped after 2 iterations, the limit"), "{short}");
    let lost = warnings(&faithful, "-K 6 --starts 6");
    assert!(lost.contains("the starts disagree: only 1 of 6"), "{lost}");
    let empty = warnings(&faithful, "-K 6 --starts 3 --estimator vb");
    assert!(empty.contains("is empty (weight"), "{empty}");
    let galaxies = Folder::of("galaxies.csv");
    let spurious = warnings(&galaxies, "-K 6 --starts 20");
    assert!(
        spurious.contains("is nearly singular") || spurious.contains("spurious optimum"),
        "{spurious}"
    );
    let few = Folder::new("a\n1\n2\n4\n");
    let failed = warnings(&few, "-K 1..4 --covariance tied --starts 2");
    assert!(failed.contains("1 of 4 candidates could not be fitted (4 components)"), "{failed}");
    let rows = lines(
        (0..50_u32)
            .map(|i| (f64::from(i * 37 % 50), f64::from(i * 13 % 50)))
            .map(|(a, b)| format!("{a},{b},{}", a - b + 1e-3 * (a * b).sin())),
    );
    let flat = warnings(&Folder::new(&format!("a,b,c\n{rows}")), "-K 1");
    assert!(flat.contains("columns depend on one another"), "{flat}");
}

#[test]
fn the_report_is_one_whole_page() {
    let folder = Folder::of("faithful.csv");
    let line =
        "fit mixture data.csv --components 1..3 --starts 4 --report new/folder/r.html --json";
    folder.run(line);
    let page = folder.read("new/folder/r.html");
    for title in [
        "Data and components",
        "Parameters",
        "Choice of the model",
        "Convergence",
        "Uncertainty",
        "Run",
    ] {
        assert!(page.contains(&format!("<h2>{title}</h2>")), "{title}");
    }
    assert!(page.contains(&format!("elbo {line}")), "the command is told");
    assert_eq!(page.matches("<tr").count() - page.matches("</tr>").count(), 0);
    assert!(page.matches("role=\"img\"").count() >= 5);
    assert!(!page.contains("http") && !page.contains("NaN"));
    let (before, after) = page.split_once("<style>").unwrap();
    let page = before.to_string() + after.split_once("</style>").unwrap().1;
    let mut open = Vec::new();
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.split_whitespace().next().unwrap();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "{tag}");
        } else if !(tag.ends_with('/') || ["!DOCTYPE", "meta"].contains(&name)) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_time_budget_ends_the_fit_with_the_best_so_far() {
    let folder = Folder::of("iris.csv");
    let fit = folder.json("fit mixture data.csv --components 1..6 --starts 500 --time-budget 0.2");
    let table = fit["table"].to_string();
    assert!(table.contains("not begun: the fit was stopped before"), "{table}");
    assert!(number(&fit["seconds"]["fit"]) < 5.0, "{}", fit["seconds"]);
    let none = folder.json("fit mixture data.csv --components 2 --time-budget 0");
    assert_eq!((&none["stopped"], &none["converged"]), (&"time_budget".into(), &false.into()));
}
