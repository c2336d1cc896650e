//! Runs the command in a folder of its own.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with `data.csv` in it.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// With these lines of data.
    pub(crate) fn new(data: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("data.csv"), data).unwrap();
        Self(folder)
    }

    /// With one of the data sets that come with the workspace.
    pub(crate) fn of(name: &str) -> Self {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(name);
        Self::new(&fs::read_to_string(data).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Standard output of a command that succeeds.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        self.run_with(line, b"")
    }

    /// The same with something on standard input.
    #[track_caller]
    pub(crate) fn run_with(&self, line: &str, input: &[u8]) -> String {
        let output = elbo(self.0.path(), line, input);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that succeeds prints with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        let text = self.run(&format!("{line} --json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The one line with which a command is refused.
    #[track_caller]
    pub(crate) fn refusal(&self, line: &str) -> String {
        let output = elbo(self.0.path(), line, b"");
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        assert_eq!(output.stdout, b"", "{line}");
        assert!(text.starts_with("elbo: ") && text.lines().count() == 1, "{line}: {text}");
        text
    }
}

/// A number in JSON.
#[track_caller]
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

/// Numbers in JSON, however they are nested, in order.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![number(value)],
    }
}

/// Runs `elbo` with the words of `line`, and `input` on standard input.
pub(crate) fn elbo(folder: &Path, line: &str, input: &[u8]) -> Output {
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
pub(crate) fn refused(line: &str, input: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.csv"), input).unwrap();
    let output = elbo(folder.path(), line, input.as_bytes());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{line}: {text}");
    assert_eq!(output.stdout, b"", "{line}");
    assert!(text.starts_with("elbo: ") && !text.contains('\x1b'), "{text}");
    text
}
