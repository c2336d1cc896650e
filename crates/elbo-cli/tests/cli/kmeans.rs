//! `elbo fit kmeans`: a known optimum, exact iterations, labels, files, refusals.

use crate::support::{Folder, number, numbers};

/// The least inertia of two clusters of Old Faithful: `KMeans(2, n_init=50).inertia_` of scikit-learn 1.9.1.
const FAITHFUL_2: f64 = 8_901.768_720_947_21;

#[test]
fn two_clusters_of_eruptions_have_their_known_inertia() {
    let folder = Folder::of("faithful.csv");
    let fit = folder.json("fit kmeans data.csv --clusters 2 --labels --starts 5");
    assert!((number(&fit["inertia"]) - FAITHFUL_2).abs() < 1e-6 * FAITHFUL_2, "{}", fit["inertia"]);
    assert_eq!((&fit["family"], &fit["n"], &fit["d"]), (&"kmeans".into(), &272.into(), &2.into()));
    assert_eq!(fit["converged"], true);
    let sizes = numbers(&fit["sizes"]);
    assert!(sizes[0] >= sizes[1] && (sizes.iter().sum::<f64>() - 272.0).abs() == 0.0);
    let labels = numbers(&fit["labels"]);
    let first = labels.iter().filter(|label| (**label - 1.0).abs() == 0.0).count();
    assert!(labels.len() == 272 && (first as f64 - sizes[0]).abs() == 0.0);
    assert_eq!(numbers(&fit["params"]["centers"]).len(), 4);
    let trace = numbers(&fit["trace"]);
    assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9), "{trace:?}");
    for key in ["objective", "starts", "warnings", "seconds", "iterations", "stopped", "scatters"] {
        assert!(fit.get(key).is_some(), "{key}");
    }
}

#[test]
fn a_start_and_no_tolerance_make_exactly_so_many_iterations() {
    let folder = Folder::new("x\n0\n1\n2\n10\n11\n30\n");
    folder.write("start.json", r#"{"centers": [[0], [1]]}"#);
    let fit = folder.json("fit kmeans data.csv -K 2 --start start.json --tol 0 --max-iter 2");
    // By hand: {0}, {1, …, 30} → 0, 54/5; then {0, 1, 2}, {10, 11, 30} → 1, 17.
    assert_eq!((&fit["iterations"], &fit["stopped"]), (&2.into(), &"max_iterations".into()));
    let centers = numbers(&fit["params"]["centers"]);
    assert!((centers[0] - 1.0).abs() < 1e-12 && (centers[1] - 17.0).abs() < 1e-12, "{centers:?}");
    // At these centers 2 + 49 + 36 + 169.
    assert!((number(&fit["inertia"]) - 256.0).abs() < 1e-9);
    folder.write("again.json", &fit["params"].to_string());
    let more = folder.json("fit kmeans data.csv -K 2 --start again.json --tol 0 --max-iter 0");
    assert_eq!(more["params"], fit["params"]);
}

#[test]
fn a_model_predicts_and_is_shown() {
    let folder = Folder::new("name,x,y\na,0,0\nb,0,2\nc,9,9\nd,9,9\ne,9,9\n");
    let fit = "fit kmeans data.csv --columns x,y -K 2 --model model.json --report report.html";
    let text = folder.run(fit);
    assert!(text.contains("2 clusters, inertia 2") && text.contains("cluster"), "{text}");
    let labels = folder.run("predict model.json data.csv --id name");
    assert_eq!(labels, "name,label,distance\na,2,1\nb,2,1\nc,1,0\nd,1,0\ne,1,0\n");
    let json = folder.json("predict model.json data.csv");
    assert_eq!(numbers(&json["labels"]), [2.0, 2.0, 1.0, 1.0, 1.0]);
    assert!(folder.run("inspect model.json").contains("2 clusters, inertia 2"));
    assert_eq!(folder.json("inspect model.json")["family"], "kmeans");
    let report = folder.read("report.html");
    assert!(report.contains("2 clusters by k-means") && report.contains("<svg"), "{report}");
    assert!(folder.refusal("score model.json data.csv").contains("which have no density"));
}

#[test]
fn weights_count() {
    let folder = Folder::new("x,w\n0,3\n1,1\n10,1\n11,0\n");
    let fit = folder.json("fit kmeans data.csv --columns x --weights w -K 2");
    let centers = numbers(&fit["params"]["centers"]);
    assert!((centers[0] - 0.25).abs() < 1e-12 && (centers[1] - 10.0).abs() < 1e-12, "{centers:?}");
    assert_eq!(numbers(&fit["sizes"]), [4.0, 1.0]);
}

#[test]
fn what_k_means_cannot_do_is_refused() {
    let folder = Folder::new("x\n1\n2\n2\n");
    folder.write("start.json", r#"{"centers": [[0, 1], [1, 2]]}"#);
    for (line, reason) in [
        ("fit kmeans data.csv -K 4", "3 rows are too few for 4"),
        ("fit kmeans data.csv -K 3", "only 2 distinct rows"),
        ("fit kmeans data.csv -K 2 --estimator vb", "k-means has no prior"),
        ("fit kmeans data.csv -K 2 --accelerate squarem", "--accelerate"),
        ("fit kmeans data.csv -K 2 --start start.json", "its centers have 2 columns, the data 1"),
        ("fit kmeans data.csv -K 3 --start start.json", "it has 2 components, 3 are asked for"),
    ] {
        let text = folder.refusal(line);
        assert!(text.contains(reason), "{line}: {text}");
    }
}
