//! The automation of this workspace: `cargo xtask <task>…`. Standard library only, so that it compiles at once.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

mod book;
mod docs;
mod layers;
mod test;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

type Outcome = Result<(), String>;

struct Task {
    name: &'static str,
    help: &'static str,
    run: fn() -> Outcome,
}

/// `cargo xtask ci` runs these in order and stops at the first failure; the cheap ones come first.
const CI: &[Task] = &[
    Task { name: "fmt", help: "formatting is canonical", run: || cargo("fmt --all --check") },
    Task { name: "layers", help: "crates depend only downwards", run: layers::check },
    Task { name: "lint", help: "no warning with no features and with all", run: lint },
    Task { name: "test", help: "unit tests, laws, doctests, all features", run: test::workspace },
    Task { name: "examples", help: "every example runs", run: test::examples },
    Task {
        name: "alone",
        help: "each crate passes its tests without its neighbors",
        run: test::alone,
    },
    Task { name: "docs", help: "API pages and book, readable offline", run: docs::build },
];

/// Tasks for the desk.
const DESK: &[Task] = &[
    Task { name: "book", help: "the book alone", run: book::build },
    Task { name: "deps", help: "how many crates each published crate brings", run: layers::count },
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let Some(tasks) = chosen(&words) else {
        usage();
        return ExitCode::from(2);
    };
    if let Err(why) = env::set_current_dir(root()) {
        println!("xtask: {}: {why}", root().display());
        return ExitCode::FAILURE;
    }
    let mut seconds = Vec::new();
    for task in tasks {
        println!("== {}: {}", task.name, task.help);
        let start = Instant::now();
        let outcome = (task.run)();
        seconds.push(format!("{} {:.1} s", task.name, start.elapsed().as_secs_f64()));
        if let Err(why) = outcome {
            println!("xtask {}: {why}", task.name);
            return ExitCode::FAILURE;
        }
    }
    println!("== passed: {}", seconds.join(", "));
    ExitCode::SUCCESS
}

/// The tasks that the words ask for, or `None` if one of them is unknown.
fn chosen(words: &[String]) -> Option<Vec<&'static Task>> {
    match words {
        [] => None,
        [ci] if ci == "ci" => Some(CI.iter().collect()),
        [ci, except, skipped @ ..] if ci == "ci" && except == "--except" => {
            let known = |name: &String| CI.iter().any(|task| task.name == name);
            let kept = |task: &&Task| !skipped.iter().any(|name| name == task.name);
            skipped.iter().all(known).then(|| CI.iter().filter(kept).collect())
        }
        names => names.iter().map(|name| all().find(|task| task.name == name)).collect(),
    }
}

fn all() -> impl Iterator<Item = &'static Task> {
    CI.iter().chain(DESK)
}

fn usage() {
    println!("usage: cargo xtask ci [--except TASK…], or cargo xtask TASK… with");
    for Task { name, help, .. } in all() {
        println!("  {name:9} {help}");
    }
}

fn lint() -> Outcome {
    cargo("clippy --workspace --all-targets --no-default-features -- -D warnings")?;
    cargo("clippy --workspace --all-targets --all-features -- -D warnings")
}

/// Runs cargo with space-separated arguments and turns a bad exit into an error.
fn cargo(arguments: &str) -> Outcome {
    run(Command::new(env!("CARGO")).args(arguments.split(' ')))
}

/// Runs a command, its output on ours, and turns a bad exit into an error.
fn run(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(why) => Err(format!("{command:?}: {why}")),
    }
}

/// The root of the workspace from which cargo started us; a build directory may serve several checkouts.
fn root() -> PathBuf {
    let xtask =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(xtask).join("..")
}

/// The build directory.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The sorted names of what lies in a folder.
fn names_in(folder: &Path) -> Result<Vec<String>, String> {
    let failed = |why| format!("{}: {why}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
