//! Arguments: help, and refusals that say what to write instead.

use crate::support::{elbo, refused};

#[test]
fn help_and_version_are_not_errors() {
    let folder = tempfile::tempdir().unwrap();
    for (line, word) in [
        ("--help", "elbo fit mixture faithful.csv --components 1..6"),
        ("--version", env!("CARGO_PKG_VERSION")),
        ("fit --help", "mixture"),
        ("fit mixture --help", "--components"),
        ("predict --help", "MODEL.json"),
        ("score --help", "MODEL.json"),
        ("sample --help", "--seed"),
        ("inspect --help", "MODEL.json"),
    ] {
        let output = elbo(folder.path(), line, b"");
        assert_eq!(output.status.code(), Some(0), "{line}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(word), "{line}: {text}");
    }
}

#[test]
fn help_lists_only_families_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let text = String::from_utf8(elbo(folder.path(), "fit --help", b"").stdout).unwrap();
    for family in ["ppca", "factor", "ica", "topics", "impute"] {
        assert!(!text.contains(&format!("\n  {family} ")), "{family}");
        let error = refused(&format!("fit {family} data.csv --factors 2"), "a\n1\n");
        assert_eq!(
            error,
            format!(
                "elbo: the family {family} is not in this version; it has mixture, kmeans, hmm\n"
            )
        );
    }
    assert!(
        refused("fit data.csv", "a\n1\n")
            .starts_with("elbo: there is no family \"data.csv\"; choose among")
    );
}

#[test]
fn wrong_arguments_get_one_clear_first_line() {
    for (line, first) in [
        (
            "fit mixture data.csv",
            "the following required arguments were not provided: --components <K>",
        ),
        (
            "fit mixture data.csv -K 6..1",
            "invalid value '6..1' for '--components <K>': the range is empty; write the smaller number first: 1..6",
        ),
        (
            "fit mixture data.csv -K 2 --covariance EVX",
            "invalid value 'EVX' for '--covariance <STRUCTURE>': \"EVX\" is no covariance structure; choose among full, tied, diagonal, spherical, all, and EII VII",
        ),
        (
            "fit mixture data.csv -K 2 --estimator mle",
            "invalid value 'mle' for '--estimator <ESTIMATOR>' [possible values: ml, map, vb]",
        ),
        (
            "fit mixture data.csv -K 2 --tol -1",
            "invalid value '-1' for '--tol <X>': write a number of at least 0",
        ),
        (
            "fit mixture data.csv -K 2 --starts 0",
            "invalid value '0' for '--starts <N>': write a whole number of at least 1",
        ),
        (
            "fit mixture data.csv -K 2 --start s.json --starts 3",
            "--starts 3 does not go with --start",
        ),
        ("fit mixture data.csv -K 1..2 --start s.json", "--start is one model: give its number"),
        (
            "fit mixture data.csv -K 2 --start s.json --covariance all",
            "--start is one model: choose one --covariance",
        ),
        (
            "fit mixture data.csv -K 2 --criterion cv",
            "1 rows are too few for 10 folds; ask for fewer",
        ),
        ("fit mixture data.csv -K 2 --folds 5", "--folds goes with --criterion cv"),
        (
            "fit mixture data.csv -K 2 --covariance EVE --estimator map",
            "--estimator map needs a conjugate prior, which only EII, VII, EEI, VVI, EEE, VVV have",
        ),
        (
            "fit mixture data.csv -K 2 --component poisson --covariance full",
            "--covariance goes with --component gaussian",
        ),
    ] {
        let error = refused(line, "a,b\n1,2\n");
        let found = error.lines().next().unwrap();
        assert!(found.starts_with(&format!("elbo: {first}")), "{line}: {found}");
    }
}
