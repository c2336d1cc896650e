//! The built command from outside: what a person or a script sees.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Runs `elbo` with the words of `line`, and `input` on standard input.
fn elbo(folder: &Path, line: &str, input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_elbo"))
        .args(line.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails early does not read its input: then the pipe is closed.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Standard error of a refused command: exit code 2, nothing on standard output, no color.
#[track_caller]
fn refused(line: &str, input: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.csv"), input).unwrap();
    let output = elbo(folder.path(), line, input.as_bytes());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{line}: {text}");
    assert_eq!(output.stdout, b"", "{line}");
    assert!(text.starts_with("elbo: ") && !text.contains('\x1b'), "{text}");
    text
}

#[test]
fn help_and_version_are_not_errors() {
    let folder = tempfile::tempdir().unwrap();
    for (line, word) in [
        ("--help", "elbo fit mixture faithful.csv --components 1..6"),
        ("--version", env!("CARGO_PKG_VERSION")),
        ("fit --help", "mixture"),
        ("fit mixture --help", "--components"),
        ("fit kmeans --help", "--clusters"),
        ("fit hmm --help", "--states"),
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
        assert!(!text.split_whitespace().any(|word| word == family), "{family}");
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
            "fit mixture data.csv -K 2 --covariance EVE",
            "invalid value 'EVE' for '--covariance <STRUCTURE>': EVE is not in this version; it has full (VVV), tied (EEE), diagonal (VVI), spherical (VII)",
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
    ] {
        let error = refused(line, "a\n1\n");
        let found = error.lines().next().unwrap();
        assert!(found.starts_with(&format!("elbo: {first}")), "{line}: {found}");
    }
}

#[test]
fn wrong_data_get_one_line_with_file_place_and_cure() {
    let line = "fit mixture data.csv --components 2";
    assert_eq!(
        refused(line, "a,b\n1,2\n3,oops\n"),
        "elbo: data.csv: line 3, column \"b\": \"oops\" is not a number; correct it, leave it empty if it is missing, or choose other columns with --columns\n"
    );
    assert_eq!(refused(line, ""), "elbo: data.csv: is empty; expected rows of numbers\n");
    assert!(
        refused("fit mixture - -K 2", "a\n1\ninf\n")
            .starts_with("elbo: standard input: line 3, column \"a\": inf")
    );
    let absent = refused("fit mixture absent.csv -K 2", "");
    assert!(
        absent.starts_with("elbo: absent.csv: cannot be opened (") && absent.lines().count() == 1
    );
    assert!(
        refused("fit hmm data.csv --states 2 --id z", "a\n1\n")
            .contains("no column \"z\", which --id asks for")
    );
}
